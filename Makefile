# SPDX-License-Identifier: GPL-2.0-only
#
# Every verb of this repository; "make help" lists them.
#
# deps -> tree -> kernel -> selftests -> image -> boot -> verdict: a verb runs the
# steps it needs, and only what has changed. tools/testing/qemu/README has the picture.

# With -n and -q nothing may change, so nothing is locked or installed.
flags := $(filter-out --%,$(firstword -$(MAKEFLAGS)))
dry := $(findstring n,$(flags))$(findstring q,$(flags))
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDEXPANSION:
SHELL := /bin/sh

O ?= build
GRANULE ?= 4k
SUITE ?= series
JOBS ?= $(shell nproc)
# Those of "make check": names, or core, or all
CELLS ?= core
# Seconds of "make stress"
DURATION ?= 60
# A pattern for the names of mutants
MUTANT ?= *

qemu := tools/testing/qemu
series := tools/series

knobs := APPEND AUTHOR BASE CCACHE_DIR CELL CELLS DURATION FORCE GRANULE JOBS KSRC LIMIT MUTANT O PART \
	QEMU SIGNOFF SUITE TEST V
$(foreach v,$(MAKEOVERRIDES),$(if $(filter $(knobs),$(firstword $(subst =, ,$(v)))),,\
	$(if $(findstring =,$(v)),$(error error: unknown variable \
	$(firstword $(subst =, ,$(v))), there are: $(knobs)))))
ifneq ($(word 2,$(O))$(word 2,$(CURDIR))$(findstring :,$(O)$(CURDIR)),)
$(error error: neither O=$(O) nor the path $(CURDIR) may have a space or a colon in it: \
	the kernel does not build there)
endif
ifeq ($(if $(filter stress,$(MAKECMDGOALS)),$(shell echo '$(DURATION)' | grep -x '[1-9][0-9]*'),y),)
$(error error: DURATION=$(DURATION) is no number of seconds, as in DURATION=600)
endif
ifeq ($(filter series own own-all,$(SUITE)),)
$(error error: unknown SUITE $(SUITE), there are: series own own-all)
endif

export LC_ALL := C.UTF-8
# ask,COMMAND: its output; what it has to complain of ends make
ask = $(call answer,$(shell $(1) 2>&1))
answer = $(if $(filter 0,$(.SHELLSTATUS)),$(1),$(error $(1)))
lib := root=.; . $(series)/lib.sh;

bases := $(call ask,$(lib) base_names)

# A kernel tree of the user's own decides on the base.
ifneq ($(KSRC),)
ksrc-base := $(call ask,$(lib) kernel_base '$(KSRC)')
BASE ?= $(ksrc-base)
endif
# The mutants asked for, those of one base or of all, and the cells they are run in; make
# check has a sample of them
sample := at-constant decode-no-zap nc-cleaned quirk-one-level quirk-root-port \
	rule-fwb-nc-device switch-at-boot switch-ignored switch-module
mutants := $(if $(filter check results,$(MAKECMDGOALS)),$(sample),$(if $(filter \
	mutants,$(MAKECMDGOALS)),$(basename $(notdir $(shell grep -lsE '^(Cell: $(BASE:%=%-)|Excused:)' \
	$(qemu)/mutants/$(MUTANT).patch)))))
mutant-cells := $(if $(mutants),$(sort $(shell sed -n 's/^Cell: //p' \
	$(mutants:%=$(qemu)/mutants/%.patch))))

BASE ?= 6.1
CELL ?= $(BASE)-$(GRANULE)-max-vhe
deb-cell := $(if $(filter deb,$(MAKECMDGOALS)),$(BASE)-deb-4k-max-vhe)
vm-demo-cells := 6.1-stock-4k-max+qemu11-vhe 6.1-4k-max+qemu11-vhe
# The kernels that are compared, where time counts instructions
bench-cells := $(if $(filter bench,$(MAKECMDGOALS)),$(foreach base,$(or $(ksrc-base),$(bases)),\
	$(if $(filter 6.1,$(base)),$(base)-base-4k-max+icount-vhe) $(base)-4k-max+icount-vhe))
demo-cells := $(or $(ksrc-base),6.1)-4k-max-vhe $(or $(ksrc-base),6.1)-4k-neoverse-n1-vhe

# The cells that this is about, by what they are for. boot/cell knows what their names
# mean; its facts are words: CELL/BASE=6.1, KERNEL/GRANULE=4k ...
check := $(if $(filter check results,$(MAKECMDGOALS)),$(call ask,$(qemu)/boot/cells \
	$(if $(ksrc-base),--base $(ksrc-base)) $(CELLS)))
# What a VM of a cell's has: a kernel that knows nothing of all this
vm-kernel := 6.1-stock-4k
named := $(patsubst $(O)/cell/%/pass,%,$(filter $(O)/cell/%/pass,$(MAKECMDGOALS)))
facts := $(call ask,$(qemu)/boot/cell --facts $(CELL) $(demo-cells) $(vm-demo-cells) \
	$(bench-cells) $(mutant-cells) $(deb-cell) $(check) $(named) $(bases:%=%-4k-max-vhe) $(vm-kernel)-max-vhe)
of = $(patsubst $(1)/$(2)=%,%,$(filter $(1)/$(2)=%,$(facts)))
override BASE := $(firstword $(call of,$(CELL),BASE))
ifneq ($(filter-out $(or $(ksrc-base),$(BASE)),$(BASE)),)
$(error error: KSRC=$(KSRC) is $(ksrc-base).y, CELL=$(CELL) is of $(BASE): name no other base)
endif

# What of the series' files there is for which base: 6.1/PATH
claimed := $(foreach base,$(bases),$(addprefix $(base)/,$(call ask,$(lib) series_entries $(base))))
claimed-by = $(patsubst $(1)/%,%,$(filter $(1)/%,$(claimed)))
tests-of = $(patsubst %.c,%,$(filter arm64/%.c,$(patsubst \
	tools/testing/selftests/kvm/%,%,$(call claimed-by,$(1)))))
messages-of = $(call ask,$(lib) series_messages $(1))

# The base's own selftests, on the pristine and on the patched kernel; CELLS=all has them
# of the bases for which it is known how many have to pass
floors := $(shell sed '/^\#/d; s/ .*//' $(qemu)/judge/expect/floors)
compared := $(if $(filter regression,$(MAKECMDGOALS)),$(CELL),$(if $(filter all,$(CELLS)), \
	$(foreach base,$(sort $(foreach c,$(check),$(call of,$(c),BASE))), \
		$(if $(filter $(base),$(floors)),$(base)-4k-max-vhe))))
pristine-of = $(call of,$(1),PRISTINE)
facts := $(sort $(facts) $(if $(compared),$(call ask,$(qemu)/boot/cell --facts $(foreach \
	c,$(compared),$(c) $(call pristine-of,$(c))))))

cells := $(sort $(CELL) $(demo-cells) $(vm-demo-cells) $(bench-cells) $(mutant-cells) $(deb-cell) $(check) \
	$(named) $(compared) \
	$(foreach c,$(compared),$(call pristine-of,$(c))))
kernels := $(sort $(bases:%=%-4k) $(vm-kernel) $(foreach c,$(cells),$(call of,$(c),KERNEL)))
stocks := $(foreach k,$(kernels),$(if $(filter stock,$(call of,$(k),FLAVOUR)),$(k)))
debs := $(foreach k,$(kernels),$(if $(filter deb,$(call of,$(k),FLAVOUR)),$(k)))
built := $(filter-out $(stocks) $(debs),$(kernels))

tree-of = $(O)/$(call of,$(1),BASE)/tree$(filter -base,-$(call of,$(1),FLAVOUR))
# The file that says that a tree is what it has to be
ready = $(1)/.git/$(if $(filter %-base,$(1)),source,replayed)
patched-of = $(O)/$(call of,$(1),BASE)/tree
kvm := tools/testing/selftests/kvm

export V KSRC AUTHOR SIGNOFF JOBS
unexport BOOT SUITE TEST QEMU APPEND LANGUAGE
export DEBIAN := $(abspath $(O))/debian
# What a file includes, ccache learns from the compiler: a second run of the
# preprocessor made a build 40 % longer. Objects are good for any directory.
export CCACHE_DEPEND := 1
export CCACHE_BASEDIR := $(abspath $(O))

# The + hands a step the job server; make -n is to show the steps all the same. What
# make interrupts is the shell, hence exec.
stage = $(if $(dry),,+)@exec $(qemu)/host/stage $(O)/logs/$(1).log "$(2)"
# touch-if-newer,WHERE: touch the target if find sees anything newer WHERE. The
# trees are there to be edited.
touch-if-newer = @mkdir -p $(@D); \
	[ -e $@ ] && [ -z "$$(find $(1) ! -type d -newer $@ -print -quit)" ] || touch $@
# remember,WORDS: write the target, if it does not say that already
remember = @mkdir -p $(@D); \
	printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' >$@
kmake := $(abspath $(qemu)/build/kmake)
kbuild = $(kmake) -C $(abspath $(call tree-of,$*)) O=$(abspath $(O)/kernel/$*)

.PHONY: help demo demo-vm demo-vm-runs check results deps tree kernel selftests image \
	busybox run stress bench boot regression series refresh lint lint-fast docs harness \
	mutants clean dist bisect deb FORCE

help:
	@sed -n 's/^## //p' Makefile

# What a verb takes of this machine
uses-tree := source
uses-series := source
uses-dist := source
uses-deb := source build boot deb
uses-bisect := source build boot lint
uses-refresh := source
uses-kernel := source build
uses-selftests := source build
uses-image := source build
uses-busybox := source
uses-check := source build boot test
uses-harness := source build boot test
uses-lint-fast := test
uses-lint := source build test lint docs
uses-docs := source docs
uses-clean :=

goals := $(filter-out help deps,$(MAKECMDGOALS))
uses := $(sort $(if $(findstring -deb-,$(CELL) $(CELLS)),deb) $(foreach g,$(goals),$(if \
	$(filter-out undefined,$(origin uses-$(g))),$(uses-$(g)),source build boot)))

## make deps               install the packages that are missing for all of the below
deps:
	@QEMU='$(QEMU)' $(qemu)/host/deps source build boot test lint docs deb

ifeq ($(dry)$(filter $(abspath $(O)),$(HARNESS_LOCKED)),)

# One make at a time works in $(O); that is this Makefile again.
.PHONY: $(goals) locked
$(goals): locked ;@:
locked:
	@QEMU='$(QEMU)' $(qemu)/host/deps $(uses)
	+@exec $(qemu)/host/locked '$(O)' $(MAKE) $(goals)

else

# One job more than asked for, as some of them wait
jobs := $(if $(findstring --jobserver,$(MAKEFLAGS)),,-j$(shell expr $(JOBS) + 1))

## make demo               build the patched 6.1 from nothing, boot it, show what
##                         a guest gets from an ordinary VMA and from vfio-pci
demo: override TEST := vfio_bar_memattr
demo: $(demo-cells:%=run-%)
	@$(qemu)/judge/demo.py $(demo-cells:%=$(O)/run/%)
	@echo "What that does to a Linux guest under QEMU: make demo-vm"

## make demo-vm            the same Linux guest under QEMU, on stock 6.1 and on the patched
##                         one: what its driver asks for, gets, and what becomes of it
demo-vm:
	+@$(MAKE) $(jobs) demo-vm-runs
	@$(qemu)/judge/demo_vm.py $(vm-demo-cells:%=$(O)/run/%)

demo-vm-runs: override TEST := vfio_bar_vmm
demo-vm-runs: override APPEND := \
	KSELFTEST_VFIO_BAR_VMM_ARGS="ioremap ioremap_wc resource2 resource2_wc"
demo-vm-runs: $(vm-demo-cells:%=run-%)

## make check [CELLS=core] [FORCE=1]   all tests, in the cells named, or core, or all;
##                         ends with a table and "N passed, N failed, N skipped". What
##                         has passed is not run again, unless forced
steps := lint-fast harness mutants $(compared:%=base-selftests-%)
ran := $(check:%=$(O)/cell/%) $(steps:%=$(O)/results/%)

# The cells of a base whose source Debian has no more are skipped, and said to be.
sourced := $(filter-out $(ksrc-base),$(sort $(foreach c,$(check),$(call of,$(c),BASE))))
no-source := $(patsubst $(O)/source/%.tar.xz.gone,%,$(wildcard $(O)/source/*.gone))
gone := $(filter $(sourced),$(no-source))
lost := $(foreach c,$(check),$(if $(filter $(gone),$(call of,$(c),BASE)),$(c)))
here := $(filter-out $(lost),$(check))

# What was not reached this time has no result, whatever there was.
check:
	@mkdir -p $(O)/results; rm -rf $(O)/results/.reached $(O)/results/.made; \
		: >$(O)/results/.started
	+@$(MAKE) -k $(jobs) $(sourced:%=$(O)/%/tree/.git/replayed) $(if $(dry),,|| :)
	+@$(MAKE) -k $(jobs) results || $(if $(dry),:,echo $$? >$(O)/results/.made)
	@for dir in $(ran); do \
		[ -e $(O)/results/.reached/$${dir##*/} ] || \
		[ $$dir/result.json -nt $(O)/results/.started ] || rm -f $$dir/result.json; \
	done
	@MADE=$$(cat $(O)/results/.made 2>/dev/null || echo 0) \
		$(qemu)/judge/report.py $(O) $(check) $(steps)

results: $(here:%=kernel-%) $(check:%=reached-%) $(steps:%=reached-%)

reached = @mkdir -p $(O)/results/.reached; : >$(O)/results/.reached/$*
$(here:%=reached-%): reached-%: $(O)/cell/%/pass
	$(reached)
$(lost:%=reached-%): reached-%:
	@mkdir -p $(O)/cell/$*; rm -f $(O)/cell/$*/*
	@{ echo "cell=$*"; echo "skip=$$(cat $(O)/source/$(call of,$*,BASE).tar.xz.gone)"; } \
		>$(O)/cell/$*/boot
	@$(qemu)/judge/results.py cell $* $(O)/cell/$* /dev/null
	$(reached)
$(steps:%=reached-%): reached-%: $(O)/results/%/pass
	$(reached)
# The longest first
$(here:%=kernel-%): kernel-%: $$(O)/kernel/$$(call of,$$*,KERNEL)/.built

## make tree, kernel, selftests, image  [BASE=6.1] [GRANULE=4k]   one step
tree: $(call ready,$(call tree-of,$(CELL)))
kernel: $(O)/kernel/$(call of,$(CELL),KERNEL)/.built
selftests: $(O)/$(BASE)/selftests/kselftest-kvm.tar.gz
	@echo "$<"
image: $(O)/kernel/$(call of,$(CELL),KERNEL)/initramfs.cpio
busybox: $(O)/busybox-arm64

# Sources and trees

$(bases:%=$(O)/source/%.id): $(O)/source/%.id: FORCE
	$(call remember,$(call ask,$(lib) base_line $*)$(if $(filter $*,$(ksrc-base)), $(KSRC)))

$(bases:%=$(O)/source/%.tar.xz.package): $(O)/source/%.tar.xz.package: $(O)/source/%.id
	$(call stage,source-$*,$*: source) $(series)/source $* $(@:.package=)

unpack = $(call stage,unpack-$*$(1),$*: unpack$(1)) $(series)/unpack $* $(@D:%/.git=%) \
	$(O)/source/$*.tar.xz
sources = $(series)/tracked $(O)/source/$(1).id $(if $(filter $(1),$(ksrc-base)),FORCE,$(O)/source/$(1).tar.xz.package)
$(bases:%=$(O)/%/tree/.git/source): $(O)/%/tree/.git/source: $$(call sources,$$*)
	$(call unpack)
$(bases:%=$(O)/%/tree-base/.git/source): $(O)/%/tree-base/.git/source: $$(call sources,$$*)
	$(call unpack,-base)

$(bases:%=$(O)/%/tree/.git/replayed): $(O)/%/tree/.git/replayed: $(O)/%/tree/.git/source \
		series-% $$(call claimed-by,$$*) $$(call messages-of,$$*) $(series)/replay $(series)/commits
	$(call stage,tree-$*,$*: apply the series) $(series)/replay $* $(O)/$*/tree

# Kernels

fragments = $(qemu)/build/config $(qemu)/build/config-$(call of,$(1),BASE) \
	$(qemu)/build/config-$(call of,$(1),GRANULE) \
	$(if $(call of,$(1),FLAVOUR),$(wildcard $(qemu)/build/config-$(call of,$(1),FLAVOUR))) \
	$(if $(filter base,$(call of,$(1),FLAVOUR)),,$(if $(filter %_kunit.c,$(call \
		claimed-by,$(call of,$(1),BASE))),$(qemu)/build/config-kunit))

$(built:%=$(O)/kernel/%/.config): $(O)/kernel/%/.config: $(qemu)/build/configure \
		$$(call fragments,$$*) $$(call ready,$$(call patched-of,$$*)) \
		$$(call ready,$$(call tree-of,$$*))
	$(call stage,config-$*,$*: configure) $(qemu)/build/configure $(abspath $(@D)) \
		$(call fragments,$*) $(call patched-of,$*)/$(kvm)/config -- $(kbuild)

# What of a tree a kernel is made of
kernel-in = $(1) -path $(1)/.git -prune -o -path $(1)/Documentation -prune -o \
	-path $(1)/tools/testing -prune -o
$(built:%=$(O)/kernel/%/.source): $(O)/kernel/%/.source: $$(call ready,$$(call tree-of,$$*)) FORCE
	$(call touch-if-newer,$(call kernel-in,$(call tree-of,$*)))

$(built:%=$(O)/kernel/%/.built): $(O)/kernel/%/.built: $(O)/kernel/%/.config $(O)/kernel/%/.source
	$(call stage,kernel-$*,$*: kernel) $(kbuild) Image modules
	@touch $@

# The distribution's own kernel
stock-package = $(patsubst $(1)=%,%,$(filter $(1)=%,$(call ask,$(lib) base_line $(2))))
$(stocks:%=$(O)/kernel/%/.built): $(O)/kernel/%/.built: $(qemu)/build/fetch-stock-kernel \
		$(qemu)/build/debian-unpack $(qemu)/build/modules
	$(call stage,kernel-$*,$*: Debian's kernel) $(qemu)/build/fetch-stock-kernel \
		$(word 2,$(call ask,$(lib) base_line $(call of,$*,BASE))) \
		$(call stock-package,$(call of,$*,GRANULE),$(call of,$*,BASE)) $(@D)
	@touch $@

# Packages of the patched one
$(bases:%=$(O)/%/deb/.source): $(O)/%/deb/.source: $(O)/%/tree/.git/replayed FORCE
	$(call touch-if-newer,$(call kernel-in,$(O)/$*/tree))

$(bases:%=$(O)/%/deb/.built): $(O)/%/deb/.built: $(qemu)/build/deb $(qemu)/build/debian-unpack \
		$(O)/%/deb/.source $(O)/source/%.id
	$(call stage,deb-$*,$*: packages) $(qemu)/build/deb $* $(O)/$*/tree $(@D) $(kmake)
	@touch $@

$(debs:%=$(O)/kernel/%/.built): $(O)/kernel/%/.built: $(qemu)/build/deb-kernel \
		$(qemu)/build/modules $$(O)/$$(call of,$$*,BASE)/deb/.built
	$(call stage,kernel-$*,$*: the packages' kernel) $(qemu)/build/deb-kernel \
		$(O)/$(call of,$*,BASE)/deb $(@D)
	@touch $@

# The test module: what it is made of are headers, not the kernel.
$(kernels:%=$(O)/kernel/%/.headers): $(O)/kernel/%/.headers: $$(call ready,$$(call patched-of,$$*)) FORCE \
		| $(O)/kernel/%/.built
	$(call touch-if-newer,$(call patched-of,$*)/$(kvm)/test_modules $(if \
		$(filter $(built),$*),$(call tree-of,$*)/include $(call tree-of,$*)/arch/arm64 \( -name '*.h' \
		-o -path '*/test_modules/*' \)))

modules-of = $(O)/kernel/$(1)/test_modules/kvm_memattr.ko
$(kernels:%=$(O)/kernel/%/test_modules/kvm_memattr.ko): $(O)/kernel/%/test_modules/kvm_memattr.ko: \
		$(O)/kernel/%/.headers $(qemu)/build/module $$(if $$(filter $(built),$$*),\
		$(O)/kernel/%/.config) | $(O)/kernel/%/.built
	$(call stage,module-$*,$*: test module) $(qemu)/build/module \
		$(call patched-of,$*)/$(kvm)/test_modules $(@D) \
		$(if $(filter $(built),$*),$(kbuild),$(kmake) -C $(abspath $(O)/$(if $(filter \
			$(debs),$*),$(call of,$*,BASE)/deb/obj,kernel/$*)))

# Selftests

$(bases:%=$(O)/%/headers/.source): $(O)/%/headers/.source: $(O)/%/tree/.git/replayed FORCE
	$(call touch-if-newer,$(O)/$*/tree/include/uapi $(O)/$*/tree/arch/arm64/include/uapi)

$(bases:%=$(O)/%/headers/.done): $(O)/%/headers/.done: $(O)/%/headers/.source
	$(call stage,headers-$*,$*: kernel headers) $(kmake) -C $(abspath $(O)/$*/tree) \
		O=$(abspath $(@D))/obj INSTALL_HDR_PATH=$(abspath $(@D)) headers_install
	@touch $@

$(bases:%=$(O)/%/selftests/.source): $(O)/%/selftests/.source: $(O)/%/tree/.git/replayed FORCE
	$(call touch-if-newer,$(O)/$*/tree/$(kvm) $(O)/$*/tree/tools/testing/selftests -maxdepth 5)

# Of the KVM selftests with libvfio
uuid-of = $(if $(filter %/link-libvfio-$(1).patch,$(claimed)),$(O)/uuid-arm64)
$(O)/uuid-arm64: $(qemu)/build/debian-unpack
	$(call stage,uuid,libuuid for arm64) $(qemu)/build/debian-unpack bookworm arm64 $@ uuid-dev

$(bases:%=$(O)/%/selftests/kselftest-kvm.tar.gz): $(O)/%/selftests/kselftest-kvm.tar.gz: \
		$(qemu)/build/selftests $(qemu)/boot/guest/kunit $(O)/%/headers/.done \
		$(O)/%/selftests/.source series-% $$(call uuid-of,$$*)
	$(call stage,selftests-$*,$*: selftests) env UUID=$(abspath $(call uuid-of,$*)) \
		$(qemu)/build/selftests $(O)/$*/tree \
		$(@D) $(O)/$*/headers '$(call tests-of,$*)' $(kmake)

$(bases:%=$(O)/%/base-selftests/kselftest-kvm.tar.gz): $(O)/%/base-selftests/kselftest-kvm.tar.gz: \
		$(qemu)/build/base-selftests $(qemu)/build/selftests \
		$(qemu)/build/base-selftests-% $(O)/%/headers/.done $(O)/%/tree-base/.git/source
	$(call stage,base-selftests-$*,$*: its own selftests) $(qemu)/build/base-selftests \
		$(qemu)/build/base-selftests-$* $(O)/$*/tree-base $(@D) $(O)/$*/headers $(kmake)

# What to boot to

$(O)/busybox-arm64: $(qemu)/build/debian-unpack
	$(call stage,busybox,busybox for arm64) $(qemu)/build/debian-unpack bookworm arm64 $@ \
		busybox-static

image := $(qemu)/build/image $(wildcard $(qemu)/boot/guest/*) $(O)/busybox-arm64
$(kernels:%=$(O)/kernel/%/initramfs.cpio): $(O)/kernel/%/initramfs.cpio: $(image) $(O)/kernel/%/.built \
		$$(O)/$$(call of,$$*,BASE)/selftests/kselftest-kvm.tar.gz $$(call modules-of,$$*)
	$(call stage,initramfs-$*,$*: initramfs) $(qemu)/build/image $@ $(O)/busybox-arm64 \
		$(O)/$(call of,$*,BASE)/selftests/install \
		$(@D)/$(if $(filter $(stocks) $(debs),$*),boot-modules,drivers) $(call modules-of,$*)

$(bases:%=$(O)/%/base-selftests.cpio): $(O)/%/base-selftests.cpio: $(image) \
		$(O)/%/base-selftests/kselftest-kvm.tar.gz
	$(call stage,initramfs-base-selftests-$*,$*: initramfs of its own selftests) \
		$(qemu)/build/image $@ $(O)/busybox-arm64 $(O)/$*/base-selftests/install

# The same and a VMM, for the test that runs one
$(O)/vmm.cpio: $(qemu)/build/vmm $(qemu)/build/debian-unpack $(qemu)/boot/guest/vm \
		$(qemu)/boot/guest/bar.c $(O)/busybox-arm64 $(O)/kernel/$(vm-kernel)/.built \
		$(call modules-of,$(vm-kernel))
	$(call stage,vmm,a VMM and its VM) $(qemu)/build/vmm $@ $(O)/busybox-arm64 \
		$(O)/kernel/$(vm-kernel) $(dir $(call modules-of,$(vm-kernel)))

$(kernels:%=$(O)/kernel/%/initramfs-vmm.cpio): %-vmm.cpio: %.cpio $(O)/vmm.cpio
	@cat $^ >$@

with-vmm = $(if $(TEST),$(findstring [,$(TEST))$(filter $(subst *,%,$(TEST)),vfio_bar_vmm),y)
initramfs-of = $(call kernel-of,$(1))/initramfs$(if $(with-vmm),-vmm).cpio

# The emulator is this machine's, or the newer one for the cells that ask for it; QEMU wins.
emulator = $(or $(QEMU),$(if $(call of,$(1),EMULATOR),$(O)/qemu$(call of,$(1),EMULATOR)/qemu-system-aarch64,qemu-system-aarch64))

$(O)/qemu11/qemu-system-aarch64: $(qemu)/build/emulator $(qemu)/build/debian-unpack
	$(call stage,qemu11,QEMU 11) $(qemu)/build/emulator 11 trixie-backports $(@D)

$(O)/.qemu: FORCE
	$(call remember,$(shell $(or $(QEMU),qemu-system-aarch64) --version 2>&1 | sed 1q) $(QEMU))

needs-emulator = $(if $(or $(QEMU),$(if $(call of,$(1),EMULATOR),,y)),$(O)/.qemu,$(O)/qemu$(call \
	of,$(1),EMULATOR)/qemu-system-aarch64)
kernel-of = $(O)/kernel/$(call of,$(1),KERNEL)

# Cells
#
# boot,CELL,DIR,INITRAMFS,LIST: boot it, and leave what came of it in DIR
define boot
	@mkdir -p $(2); rm -rf $(2)/*; $(series)/provenance $(call of,$(1),BASE) $(2) \
		$(call patched-of,$(1)) $(filter-out $(call patched-of,$(1)),$(call tree-of,$(1)))
	$(call stage,boot-$(1),boot $(1)) env QEMU='$(call emulator,$(1))' SUITE=$(SUITE) \
		LIMIT='$(or $(LIMIT),$(if $(filter debug,$(call of,$(1),FLAVOUR)),1500))' \
		TEST='$(TEST)' APPEND='$(APPEND)' $(qemu)/boot/run $(1) $(2) \
		$(call kernel-of,$(1)) $(3) $(4)
endef
boot-series = $(call boot,$(1),$(2),$(call initramfs-of,$(1)),$(call list,$(1)))
boot-base = $(call boot,$(1),$(2),$(O)/$(call of,$(1),BASE)/base-selftests.cpio,$(call base-list,$(1)))
list = $(O)/$(call of,$(1),BASE)/selftests/install/kselftest-list.txt
base-list = $(O)/$(call of,$(1),BASE)/base-selftests/install/kselftest-list.txt

boots := $(wildcard $(addprefix $(qemu)/,boot/run boot/cell boot/cpus))
judges := $(filter-out %/expect %/__pycache__,$(wildcard $(qemu)/judge/* $(qemu)/judge/expect/*))
force := $(if $(FORCE),FORCE)

# The first cell of a kernel has the module's fuzzer in full, and all events in the life
# of a VM; the others have a tenth of the former, and one boot. So has the debug kernel,
# where all takes so much longer.
full := $(foreach k,$(kernels),$(firstword $(foreach c,$(check),$(if $(filter $(k),$(call \
	of,$(c),KERNEL)),$(if $(filter debug,$(call of,$(c),FLAVOUR)),,$(c))))))

$(cells:%=$(O)/cell/%/booted): private APPEND = $(if $(filter $(full),$*),,\
	KSELFTEST_MEMATTR_MODULE_FUZZ_ARGS=-n10000 KSELFTEST_VFIO_BAR_VMM_ARGS=-s)
$(cells:%=$(O)/cell/%/booted): private override SUITE := series
$(cells:%=$(O)/cell/%/booted): private override TEST :=
$(cells:%=$(O)/cell/%/booted): $(O)/cell/%/booted: $$(call kernel-of,$$*)/.built \
		$$(call kernel-of,$$*)/initramfs-vmm.cpio $$(call needs-emulator,$$*) $(boots) $(force)
	$(call boot-series,$*,$(@D))
	@touch $@

# What has failed is booted again the next time.
$(cells:%=$(O)/cell/%/pass): $(O)/cell/%/pass: $(O)/cell/%/booted $(judges)
	@$(qemu)/judge/results.py cell $* $(@D) $(call list,$*) || { rm $<; exit 1; }
	@touch $@

$(cells:%=run-%): run-%: $$(call kernel-of,$$*)/.built $$(call needs-emulator,$$*) \
		$$(if $$(filter series,$(SUITE)),$$(call initramfs-of,$$*),$$(O)/$$(call \
		of,$$*,BASE)/base-selftests.cpio)
	$(call $(if $(filter series,$(SUITE)),boot-series,boot-base),$*,$(O)/run/$*)
	@$(qemu)/judge/results.py cell $* $(O)/run/$* \
		$(call $(if $(filter series,$(SUITE)),list,base-list),$*) >&2

## make run [CELL=6.1-4k-max-vhe] [TEST=pattern]   one cell, KTAP on stdout
run:
	@rm -f $(O)/run/$(CELL)/ktap
	+@status=0; $(MAKE) run-$(CELL) || status=$$?; \
	[ ! -f $(O)/run/$(CELL)/ktap ] || cat $(O)/run/$(CELL)/ktap; exit $$status

## make stress [DURATION=60] [CELL=...]   several VMs use BARs while mappings, memslots,
##                         devices and VMs come and go; rates of faults and events
stress: override TEST := vfio_bar_stress
stress: override LIMIT := $(or $(LIMIT),$(shell expr $(DURATION) \* 2 + 600))
stress: APPEND := KSELFTEST_VFIO_BAR_STRESS_ARGS=-s$(DURATION)
stress: run-$(CELL)
	@cat $(O)/run/$(CELL)/ktap

## make bench              instructions a fault, faults and time to map and to revoke a
##                         BAR, on pristine and patched 6.1 and on the others: a table
##                         and a plot
# vfio_bar_bench, and vfio_bar_vmm, whose VM is to boot with the large BAR
bench: override TEST := vfio_bar_[bv][em]*
bench: APPEND := KSELFTEST_VFIO_BAR_VMM_ARGS=ioremap_wc
bench: override LIMIT := $(or $(LIMIT),1800)
bench: $(bench-cells:%=run-%)
	@mkdir -p $(O)/results/bench
	@$(qemu)/judge/bench.py $(O)/results/bench $(bench-cells:%=$(O)/run/%)

## make boot [CELL=...]    a shell in the booted kernel
boot: $(call kernel-of,$(CELL))/.built $(call kernel-of,$(CELL))/initramfs.cpio \
		$(call needs-emulator,$(CELL))
	@mkdir -p $(O)/boot/$(CELL)
	@BOOT=shell QEMU='$(call emulator,$(CELL))' exec $(qemu)/boot/run $(CELL) \
		$(O)/boot/$(CELL) $(call kernel-of,$(CELL)) $(call kernel-of,$(CELL))/initramfs.cpio \
		$(call list,$(CELL))

# The base's own selftests on both kernels, one after the other: some of them keep two
# CPUs busy with waiting. A limit for each test is in the guest.
both := $(foreach c,$(compared),$(c) $(call pristine-of,$(c)))
$(both:%=$(O)/base-selftests/%/ran): private override SUITE := own-all
$(both:%=$(O)/base-selftests/%/ran): private override TEST :=
$(both:%=$(O)/base-selftests/%/ran): private override LIMIT := $(or $(LIMIT),900)
$(both:%=$(O)/base-selftests/%/ran): $(O)/base-selftests/%/ran: $$(call kernel-of,$$*)/.built \
		$$(O)/$$(call of,$$*,BASE)/base-selftests.cpio $$(call needs-emulator,$$*) \
		$(boots) $(force) $$(if $$(call of,$$*,FLAVOUR),,| $$(O)/base-selftests/$$(call pristine-of,$$*)/ran)
	$(call boot-base,$*,$(@D))
	@$(qemu)/judge/results.py cell $* $(@D) $(call base-list,$*)
	@touch $@

$(compared:%=$(O)/results/base-selftests-%/pass): $(O)/results/base-selftests-%/pass: \
		$(O)/base-selftests/%/ran $$(O)/base-selftests/$$(call pristine-of,$$*)/ran \
		$(qemu)/build/base-selftests-$$(call of,$$*,BASE) $(judges)
	$(call stage,base-selftests-$*,$*: what its own selftests say) \
		$(qemu)/judge/results.py compare base-selftests-$* $(@D) \
		$(O)/base-selftests/$(call pristine-of,$*) $(O)/base-selftests/$* \
		$(qemu)/build/base-selftests-$(call of,$*,BASE)
	@touch $@

## make regression [CELL=6.1-4k-max-vhe]   the base's own KVM selftests on the pristine
##                         and on the patched kernel: any difference is an error
regression: $(compared:%=$(O)/results/base-selftests-%/pass)

# All else that is checked prints TAP.
define tap
	@mkdir -p $(@D); rm -f $(@D)/result.json
	$(call stage,$(1),$(1)) $(qemu)/host/tap $(1) $(@D) $(2)
	@touch $@
endef

files := $(wildcard $(shell $(lib) shipped_files 2>/dev/null))
$(O)/results/lint-fast/pass: $(or $(files),FORCE) $(force)
	$(call tap,lint-fast,$(qemu)/host/lint-fast)

$(O)/results/harness/pass: $(or $(filter Makefile bases series-% tools/series/% $(qemu)/%,$(files)),FORCE) \
		$(O)/kernel/6.1-4k/.built $(O)/kernel/6.1-4k/initramfs.cpio $(force) \
		$(patsubst %,$(O)/%/tree/.git/replayed,$(filter-out $(no-source),$(bases)))
	$(call tap,harness,env O=$(abspath $(O)) bats --tap $(series)/tests $(qemu)/tests)

## make lint-fast          shellcheck, and the rules of the series
lint-fast: $(O)/results/lint-fast/pass

## make harness            the tests of the harness itself
harness: $(O)/results/harness/pass

# What a boot of a cell takes, for those who boot by themselves
takes = $(call kernel-of,$(1))/.built $(call kernel-of,$(1))/initramfs.cpio $(call needs-emulator,$(1))
mutant-files := $(wildcard $(qemu)/mutants/*)
$(O)/results/mutants/pass: $(mutant-files) $(foreach c,$(mutant-cells),$(call takes,$(c))) $(force)
	$(call tap,mutants,$(qemu)/mutants/run --tap --workers=1 $(O) $(@D) $(sample))

## make mutants [MUTANT=pattern] [BASE=...]   does a test see each deliberate fault? The
##                         faults are in tools/testing/qemu/mutants; check has five of them
mutants: $(foreach c,$(mutant-cells),$(call takes,$(c)))
	@$(qemu)/mutants/run $(O) $(O)/results/mutants $(or $(mutants),'$(MUTANT)')

## make series [BASE=6.1] [PART=...] [AUTHOR='Name <address>'] [SIGNOFF=1]   the mails,
##                         of each part a directory
series: $(O)/$(BASE)/tree/.git/replayed
	@$(series)/mail $(BASE) $(O)/$(BASE)/tree $(O)/$(BASE)/series $(PART)

## make dist [AUTHOR='Name <address>'] [SIGNOFF=1]   all series as plain patches in one
##                         tarball, for quilt, debian/patches, rpm
dist: $(bases:%=$(O)/%/tree/.git/replayed)
	$(call stage,dist,dist) $(series)/dist $(O) $(O)/dist
	@cat $(O)/dist/path

## make bisect [BASE=6.1]  each commit compiles, in several configurations and for other
##                         architectures, and from the test module on passes the tests
##                         there are by then: a table
bisect: $(O)/source/$(BASE).tar.xz.package $(O)/busybox-arm64 $(call uuid-of,$(BASE))
	@$(series)/bisect $(BASE) $(O) $(O)/$(BASE)/bisect

## make deb [BASE=6.1]     arm64 packages of the patched kernel, with the configuration of
##                         Debian's for virtual machines; the tests are run on what is in
##                         them
deb: $(deb-cell:%=run-%)
	@ls $(abspath $(O)/$(BASE)/deb)/*.deb

## make refresh [BASE=6.1] write the commits of build/BASE/tree back to here
refresh: $(O)/$(BASE)/tree/.git/source
	@$(series)/refresh $(BASE) $(O)/$(BASE)/tree

## make lint               all of that, and checkpatch, kernel-doc, sparse, W=1,
##                         get_maintainer, documentation, other architectures, for
##                         every base; only new findings count
lint: lint-fast $(bases:%=lint-%)

$(bases:%=lint-%): lint-%: $(O)/%/tree/.git/replayed $(O)/%/tree-base/.git/source \
		$(O)/kernel/%-4k/.config
	$(call stage,lint-$*,$*: lint) $(series)/lint $* $(O)/$* $(O)/kernel/$*-4k/.config \
		$(O)/$*/lint

## make docs [BASE=6.1]    render the document with the kernel's Sphinx; prints the page
docs: $(O)/$(BASE)/tree/.git/replayed
	$(call stage,docs-$(BASE),$(BASE): the document) $(series)/docs $(O)/$(BASE)/tree $(O)/$(BASE)/docs
	@echo $(O)/$(BASE)/docs/Documentation/output/virt/kvm/arm/mmio-memory-types.html

## make clean              remove all that was built
clean:
	@find $(O)/ -mindepth 1 -delete && rmdir $(O)

endif

##
## BASE, CELL (BASE[-FLAVOUR]-GRANULE-CPU-MODE), TEST, O= (build directory), V=1
## and KSRC= (a kernel tree of your own) are the knobs most people meet.
