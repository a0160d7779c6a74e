# SPDX-License-Identifier: GPL-2.0-only
#
# Every verb of this repository; "make help" lists them:
# deps -> tree -> kernel -> selftests -> image -> boot -> verdict: a verb runs the steps it
# needs, and only what has changed. Which cells, kernels and files that concerns, says
# tools/testing/qemu/plan; "make plan" shows it. tools/testing/qemu/README has the picture.

# With -n and -q nothing may change, so nothing is locked or installed.
flags := $(filter-out --%,$(firstword -$(MAKEFLAGS)))
dry := $(findstring n,$(flags))$(findstring q,$(flags))
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:
export LC_ALL := C.UTF-8
# Knobs with a default; plan/make.py knows all
O ?= build
SUITE ?= series
CELLS ?= core
DURATION ?= 60
MUTANT ?= *
LLVM := # what a kernel developer's shell has exported is for other kernels

qemu := tools/testing/qemu
series := tools/series
kvm := tools/testing/selftests/kvm

# The plan takes Python, which "deps" may have to install.
ifeq ($(dry)$(shell command -v python3),)
$(shell $(qemu)/host/deps source >&2)
ifneq ($(.SHELLSTATUS),0)
$(error python3 is missing)
endif
endif

# The plan: BASE and CELL, lists of cells, what else a file is made of, and facts of bases,
# kernels and cells, as tree.6.1-4k
planned := $(shell unset CDPATH; $(qemu)/plan/make.py $(foreach v,CURDIR O BASE CELL GRANULE CELLS DURATION \
	KSRC LLVM MUTANT QEMU SHARD SUITE TEST,'$(v)=$(subst ','\'',$($(v)))') \
	$(foreach v,$(MAKEOVERRIDES),$(if $(findstring =,$(v)),'?=$(firstword $(subst =, ,$(v)))')) \
	$(MAKECMDGOALS) 2>&1)
ifneq ($(.SHELLSTATUS),0)
$(error $(planned))
endif
$(foreach line,$(planned),$(eval $(subst ^, ,$(line))))

export V KSRC AUTHOR SIGNOFF FLAKY
unexport BOOT SUITE TEST QEMU APPEND LLVM LANGUAGE ARCH CROSS_COMPILE CDPATH
export DEBIAN := $(abspath $(O))/debian
# ccache learns from the compiler what a file includes: a run of the preprocessor of its own
# took 40 % more time. Objects are good for any directory.
export CCACHE_DEPEND := 1
export CCACHE_BASEDIR := $(abspath $(O))

# step,LOG,WHAT: runs what follows. '+' passes on the job server; -n leaves it out, so steps
# are only printed. exec, so that make's signal reaches the step.
step = $(if $(dry),,+)@exec $(qemu)/host/step $(O)/logs/$(1).log "$(2)"
# remember,COMMAND: write the target, if it does not have the output of that already
remember = @mkdir -p $(@D); text=$$($(1)) || exit; \
	printf '%s\n' "$$text" | cmp -s - $@ || printf '%s\n' "$$text" >$@
lib := root=.; . $(series)/lib.sh;
force := $(if $(FORCE)$(filter lint $(bases:%=lint-%),$(MAKECMDGOALS)),FORCE)

.PHONY: help plan demo demo-vm demo-vm-runs check report why results sources deps tree kernel \
	selftests image busybox run stress bench boot regression series refresh lint lint-fast \
	docs harness mutants x86 clean dist bisect deb import FORCE

help:
	@$(qemu)/plan/verbs.py
plan:
	$(foreach line,$(planned),$(info $(subst ^, ,$(line))))@:
deps:
	@QEMU='$(QEMU)' LLVM='$(or $(LLVM),$(llvm))' $(qemu)/host/deps source build boot x86 test lint \
		docs deb clang

goals := $(filter-out help plan deps,$(MAKECMDGOALS))
ifeq ($(dry)$(filter $(abspath $(O)),$(HARNESS_LOCKED)),)

# One make at a time works in $(O); that is this Makefile again.
.PHONY: $(goals) locked
$(goals): locked ;@:
locked:
	@QEMU='$(QEMU)' LLVM='$(or $(LLVM),$(llvm))' $(qemu)/host/deps $(uses)
	+@exec $(qemu)/host/locked '$(O)' $(MAKE) $(goals)

else

# One job more than there are processors, as some of them wait
jobs = $(if $(findstring --jobserver,$(MAKEFLAGS)),,-j$(shell expr $$(nproc) + 1))

demo: $(demo-cells:%=run-%)
	@$(qemu)/judge/demo.py $(demo-cells:%=$(O)/run/%)
	@echo "What that does to a Linux guest under QEMU: make demo-vm"

demo-vm:
	+@$(MAKE) $(jobs) demo-vm-runs
	@$(qemu)/judge/demo_vm.py $(demo-vm-cells:%=$(O)/run/%)

demo-vm-runs: override APPEND := \
	KSELFTEST_VFIO_BAR_VMM_ARGS="ioremap ioremap_wc resource2 resource2_wc"
demo-vm-runs: $(demo-vm-cells:%=run-%)

check:
	@mkdir -p $(O)/results; rm -rf $(O)/results/.reached $(O)/results/.made $(O)/.failed; \
		: >$(O)/results/.started
	+@$(MAKE) -k $(jobs) sources $(if $(dry),,|| :)
	+@$(MAKE) -k $(jobs) results || $(if $(dry),:,echo $$? >$(O)/results/.made)
	@MADE=$$(cat $(O)/results/.made 2>/dev/null || echo 0) FULL=$(full) \
		$(qemu)/judge/report.py $(O) $(check) $(steps)

sources: $(sources)
# What was not reached this time has no result, whatever there was.
reached-%:
	@mkdir -p $(O)/results/.reached; : >$(O)/results/.reached/$*

report:
	@ALL=1 FULL=$(full) $(qemu)/judge/report.py $(O) $(check) $(steps)
why:
	@$(qemu)/judge/why.py $(O) $(CELL) $(if $(ROW),'$(ROW)')

selftests: $(O)/$(BASE)/selftests/kselftest-kvm.tar.gz
	@echo "$<"
busybox: $(O)/busybox-arm64

include $(qemu)/build/rules.mk

# Cells

boots := $(qemu)/boot/run $(qemu)/plan/cells.py $(qemu)/plan/hosts
judges := $(filter-out %/expect %/__pycache__,$(wildcard $(qemu)/judge/* $(qemu)/judge/expect/*))

# boot,CELL,DIR,INITRAMFS,LIST: boot it, and leave what came of it in DIR
define boot
	@mkdir -p $(2); rm -rf $(2)/*; $(series)/provenance $(base.$(1)) $(2) $(trees.$(1))
	$(call step,boot-$(1),boot $(1)) env QEMU='$(emulator.$(1))' SUITE=$(SUITE) \
		LIMIT='$(or $(LIMIT),$(limit.$(1)))' TEST='$(TEST)' APPEND='$(APPEND)' \
		$(qemu)/boot/run $(1) $(2) $(O)/kernel/$(kernel.$(1)) $(3) $(4)
endef
list = $(selftests.$(1))/install/kselftest-list.txt
own-list = $(O)/$(base.$(1))/base-selftests/install/kselftest-list.txt
own-image = $(O)/$(base.$(1))/base-selftests.cpio

# A check is of all tests, whatever a run was asked for.
$(O)/cell/%/booted: private override SUITE := series
$(O)/cell/%/booted: private override TEST :=
$(O)/cell/%/booted: private APPEND = $(if $(short.$*),KSELFTEST_VFIO_BAR_RACE_ARGS=-s2 \
	KSELFTEST_VFIO_BAR_VMM_ARGS=-s)
$(O)/cell/%/booted: $(boots) $(force)
	$(call boot,$*,$(@D),$(whole.$*),$(call list,$*))
	@touch $@

# What has failed is booted again the next time.
$(O)/cell/%/pass: $(O)/cell/%/booted $(judges)
	@$(qemu)/judge/results.py cell $* $(@D) $(call list,$*) || { rm $<; exit 1; }
	@touch $@

own := $(filter own own-all,$(SUITE))
run-%:
	$(call boot,$*,$(O)/run/$*,$(if $(own),$(call own-image,$*),$(initramfs.$*)),$(call $(if $(own),own-)list,$*))
	@$(qemu)/judge/results.py cell $* $(O)/run/$* $(call $(if $(own),own-)list,$*) >&2

run:
	@rm -f $(O)/run/$(CELL)/ktap
	+@status=0; $(MAKE) run-$(CELL) || status=$$?; \
	[ ! -f $(O)/run/$(CELL)/ktap ] || cat $(O)/run/$(CELL)/ktap; exit $$status

stress: override LIMIT := $(or $(LIMIT),$(shell expr $(DURATION) \* 2 + 600))
stress: APPEND := KSELFTEST_VFIO_BAR_RACE_ARGS=-s$(DURATION)
stress: run-$(CELL)
	@cat $(O)/run/$(CELL)/ktap

bench: APPEND := KSELFTEST_VFIO_BAR_VMM_ARGS=ioremap_wc
bench: override LIMIT := $(or $(LIMIT),1800)
bench: $(bench-cells:%=run-%)
	@mkdir -p $(O)/results/bench
	@$(qemu)/judge/bench.py $(O)/results/bench $(bench-cells:%=$(O)/run/%)

boot:
	@mkdir -p $(O)/boot/$(CELL)
	@BOOT=shell QEMU='$(emulator.$(CELL))' exec $(qemu)/boot/run $(CELL) $(O)/boot/$(CELL) \
		$(O)/kernel/$(kernel.$(CELL)) $(O)/kernel/$(kernel.$(CELL))/initramfs.cpio $(call list,$(CELL))

# The base's own selftests on both kernels, one after the other: some of them keep two CPUs
# busy with waiting. A limit for each test is in the guest.
$(O)/base-selftests/%/ran: private override SUITE := own-all
$(O)/base-selftests/%/ran: private override TEST :=
$(O)/base-selftests/%/ran: private override LIMIT := $(or $(LIMIT),900)
$(O)/base-selftests/%/ran: $(boots) $(force)
	$(call boot,$*,$(@D),$(call own-image,$*),$(call own-list,$*))
	@$(qemu)/judge/results.py cell $* $(@D) $(call own-list,$*)
	@touch $@

$(O)/results/base-selftests-%/pass: $(judges)
	$(call step,compare-$*,$*: what its own selftests say) $(qemu)/judge/results.py compare \
		base-selftests-$* $(@D) $(O)/base-selftests/$(pristine.$*) $(O)/base-selftests/$* \
		$(qemu)/judge/expect/base-selftests-$(base.$*)
	@touch $@

regression: $(O)/results/base-selftests-$(CELL)/pass

# All else that is checked prints TAP.
lint-fast harness $(bases:%=lint-%): %: $(O)/results/%/pass
define tap
	@mkdir -p $(@D); rm -f $(@D)/result.json
	$(call step,$(1),$(1)) $(qemu)/host/tap $(1) $(@D) $(2)
	@touch $@
endef

files := $(shell unset CDPATH; $(lib) shipped_files 2>/dev/null)
$(O)/results/lint-fast/pass: $(or $(files),FORCE) $(force)
	$(call tap,lint-fast,$(qemu)/host/lint-fast)

$(O)/results/harness/pass: $(or $(filter Makefile bases series-% $(series)/% $(qemu)/%,$(files)),FORCE) $(force)
	$(call tap,harness,env O=$(abspath $(O)) TMPDIR=$(abspath $(@D)) bats --tap \
		$(series)/tests $(qemu)/tests)

mutants:
	@$(qemu)/mutants/run $(O) $(O)/results/mutants $(or $(mutants),'$(MUTANT)')
$(O)/results/mutants/pass: $(wildcard $(qemu)/mutants/run $(qemu)/plan/mutants.py $(qemu)/mutants/*/*) $(force)
	$(call tap,mutants,$(qemu)/mutants/run --tap --workers=1 $(O) $(@D) $(mutants))

series: $(O)/$(BASE)/tree/.git/replayed
	@$(series)/mail $(BASE) $(O)/$(BASE)/tree $(O)/$(BASE)/series $(PART)

dist: $(bases:%=$(O)/%/tree/.git/replayed)
	$(call step,dist,dist) $(series)/dist $(O) $(O)/dist
	@cat $(O)/dist/path

bisect: $(O)/source/$(BASE).tar.xz.package $(O)/busybox-arm64 $(uuid.$(BASE))
	@LLVM='$(LLVM)' $(series)/bisect $(BASE) $(O) $(O)/$(BASE)/bisect$(LLVM)

deb: $(deb-cells:%=run-%)
	@ls $(abspath $(O)/$(BASE)/deb)/*.deb

refresh: $(O)/$(BASE)/tree/.git/source
	@$(series)/refresh $(BASE) $(O)/$(BASE)/tree

lint: lint-fast $(bases:%=lint-%)
$(O)/results/lint-%/pass: $(O)/%/tree/.git/replayed $(O)/%/tree-base/.git/source $(O)/kernel/%-4k/.config \
		$(filter MAINTAINERS $(series)/% $(qemu)/build/% $(qemu)/mutants/%,$(files)) $(force)
	$(call tap,lint-$*,$(call by) $(series)/lint $* $(O)/$* $(O)/kernel/$*-4k/.config $(O)/$*/lint)

docs: $(O)/$(BASE)/tree/.git/replayed
	$(call step,docs-$(BASE),$(BASE): the documents) $(series)/docs $(O)/$(BASE)/tree $(O)/$(BASE)/docs
	@ls $(O)/$(BASE)/docs/Documentation/output/virt/kvm/arm/mmio-memory-types*.html

clean:
	@find $(O)/ -mindepth 1 -delete && { [ -L $(abspath $(O)) ] || rmdir $(O); }

endif
