# SPDX-License-Identifier: GPL-2.0-only
#
# Every verb of this repository; "make help" lists them.
#
# deps -> tree -> kernel -> selftests -> image -> boot -> verdict: a verb runs the
# steps it needs, and only what has changed.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:
SHELL := /bin/sh

O ?= build
BASE ?= 6.1
SUITE ?= series
GRANULE ?= 4k
CELL ?= $(BASE)-$(GRANULE)-max-vhe
JOBS ?= $(shell nproc)

qemu := tools/testing/qemu
series := tools/series

knobs := AUTHOR BASE CCACHE_DIR CELL CELLS GRANULE JOBS KSRC LIMIT O QEMU \
	ROWS_ONLY SIGNOFF SUITE TEST V
$(foreach v,$(MAKEOVERRIDES),$(if $(filter $(knobs),$(firstword $(subst =, ,$(v)))),,\
	$(if $(findstring =,$(v)),$(error error: unknown variable \
	$(firstword $(subst =, ,$(v))), there are: $(knobs)))))

# The cell's name decides on base, granule, and flavour of the kernel
cell := $(shell $(qemu)/boot/cell '$(CELL)' 2>&1)
ifneq ($(.SHELLSTATUS),0)
$(error $(cell))
endif
cell-word = $(patsubst $(1)=%,%,$(filter $(1)=%,$(cell)))
override BASE := $(call cell-word,BASE)
override GRANULE := $(call cell-word,GRANULE)
suffix := $(call cell-word,SUFFIX)

B := $(O)/$(BASE)
tree := $(B)/tree$(filter -base,$(suffix))
stock := $(filter -stock,$(suffix))
kernel := $(B)/kernel-$(GRANULE)$(suffix)
modules := $(B)/modules-$(GRANULE)$(suffix)
busybox := $(O)/busybox-arm64
headers := $(B)/headers

# Which selftests: those of the series, with the test module, or the KVM selftests
# that the base has of its own, without or with those that take minutes
selftests := $(B)/selftests
own := $(B)/selftests-own
ifeq ($(SUITE),series)
suite := $(selftests)
image := $(B)/image-$(GRANULE)$(suffix).cpio
results := $(B)/results/$(CELL)
else ifneq ($(filter own own-all,$(SUITE)),)
suite := $(own)
image := $(B)/image-own.cpio
results := $(B)/results/$(CELL)-$(SUITE)
ifeq ($(LIMIT),)
LIMIT := 600
endif
else
$(error error: unknown SUITE $(SUITE), there are: series own own-all)
endif

# The selftests are the patched tree's, also for the pristine kernel
patched := $(B)/tree
pristine := $(B)/tree-base
# The file that says that the kernel's tree is what it has to be
ready := $(tree)/.git/$(if $(filter $(patched),$(tree)),replayed,source)
kvm := $(patched)/tools/testing/selftests/kvm
claimed := $(shell root=.; . $(series)/lib.sh; series_entries $(BASE))
tests := $(patsubst tools/testing/selftests/kvm/%.c,%,\
	$(filter tools/testing/selftests/kvm/aarch64/%.c,$(claimed)))

demo-cells := 6.1-4k-max-vhe 6.1-4k-neoverse-n1-vhe
# Those of "make check": names, or core, or all
CELLS ?= core

export V KSRC QEMU LIMIT SUITE TEST BOOT AUTHOR SIGNOFF JOBS ROWS_ONLY
export CCACHE_DIR ?= $(abspath $(O))/ccache
# What a file includes, ccache learns from the compiler: a second run of the
# preprocessor made a build 40 % longer.
export CCACHE_DEPEND := 1

# The + hands a step the job server; make -n is to show the steps all the same. What
# make interrupts is the shell, hence exec.
stage = $(if $(findstring n,$(firstword -$(MAKEFLAGS))),,+)@exec $(qemu)/host/stage \
	$(B)/logs/$(1).log "$(2)"
# touch-if-newer,WHERE: touch the target if find sees anything newer WHERE. The
# trees are there to be edited.
touch-if-newer = @mkdir -p $(@D); \
	[ -e $@ ] && [ -z "$$(find $(1) ! -type d -newer $@ -print -quit)" ] || touch $@
kmake := $(abspath $(qemu)/build/kmake)
kbuild = $(kmake) -C $(abspath $(tree)) O=$(abspath $(kernel)) \
	CC='ccache aarch64-linux-gnu-gcc'

.PHONY: help demo check deps tree kernel selftests image busybox verdict rows judge run \
	boot regression compare series refresh lint lint-fast harness clean FORCE

help:
	@sed -n 's/^## //p' Makefile

## make demo               build the patched 6.1 from nothing, boot it, show what
##                         a guest gets from an ordinary VMA and from vfio-pci
demo:
	@$(MAKE) image CELL=$(firstword $(demo-cells))
	@for cell in $(demo-cells); do \
		$(MAKE) judge CELL=$$cell TEST=vfio_bar_memattr || exit; \
	done
	@$(qemu)/judge/table $(foreach c,$(demo-cells),$(O)/6.1/results/$(c))

## make check [CELLS=core] all tests, in the cells named, or core, or all; ends with
##                         a table and "N passed, N failed, N skipped"
check: deps
	@$(qemu)/host/check $(O) $(JOBS) '$(MAKE)' $(CELLS)

## make deps               install the Debian packages that are missing
deps:
	@$(qemu)/host/deps

## make tree, kernel, selftests, image  [BASE=6.1] [GRANULE=4k]   one step
tree: $(ready)
kernel: $(kernel)/arch/arm64/boot/Image
selftests: $(suite)/kselftest-kvm.tar.gz
	@echo "$<"
image: $(image)
busybox: $(busybox)

# The tools of the next two rules leave alone what is up to date.
$(O)/%/.git/source: FORCE | deps
	$(call stage,unpack-$(notdir $*),$(subst /tree,,$*): unpack) \
		$(series)/unpack $(BASE) $(O)/$*

$(patched)/.git/replayed: $(patched)/.git/source series-$(BASE) $(claimed) \
		$(wildcard $(series)/*)
	$(call stage,tree,$(BASE): apply the series) \
		$(series)/replay $(BASE) $(patched)

ifneq ($(stock),)
# The distribution's own kernel
kbuild = $(kmake) -C $(abspath $(kernel)) CC=aarch64-linux-gnu-gcc

$(kernel)/arch/arm64/boot/Image: $(qemu)/build/fetch-stock-kernel $(qemu)/build/debian-unpack bases | deps
	$(call stage,kernel$(suffix),$(BASE)$(suffix): kernel) $(qemu)/build/fetch-stock-kernel \
		$(shell root=.; . $(series)/lib.sh; base_field $(BASE) 5) $(kernel)
else
fragments := $(qemu)/build/config $(qemu)/build/config-$(GRANULE) \
	$(if $(suffix),$(wildcard $(qemu)/build/config$(suffix)))

$(kernel)/.config: $(qemu)/build/configure $(fragments) $(patched)/.git/replayed \
		$(ready)
	$(call stage,config-$(GRANULE)$(suffix),$(BASE)$(suffix): configure) \
		$(qemu)/build/configure $(abspath $(kernel)) $(fragments) \
		$(kvm)/config -- $(kbuild)

$(kernel)/.source: $(ready) FORCE
	$(call touch-if-newer,$(tree) -path $(tree)/.git -prune -o \
		-path $(tree)/Documentation -prune -o \
		-path $(tree)/tools/testing -prune -o)

$(kernel)/.built: $(kernel)/.config $(kernel)/.source
	$(call stage,kernel-$(GRANULE)$(suffix),$(BASE)$(suffix): kernel $(GRANULE)) \
		$(kbuild) Image modules
	@touch $@

$(kernel)/arch/arm64/boot/Image: $(kernel)/.built ;
endif

$(modules)/.source: $(patched)/.git/replayed FORCE
	$(call touch-if-newer,$(kvm)/test_modules)

$(modules)/kvm_memattr.ko: $(kernel)/arch/arm64/boot/Image $(modules)/.source \
		$(qemu)/build/module
	$(call stage,module-$(GRANULE)$(suffix),$(BASE)$(suffix): test module) \
		$(qemu)/build/module $(kvm)/test_modules $(modules) $(kbuild)

$(headers)/include: $(patched)/.git/source
	$(call stage,headers,$(BASE): kernel headers) $(kmake) \
		-C $(abspath $(patched)) O=$(abspath $(headers))/obj \
		INSTALL_HDR_PATH=$(abspath $(headers)) headers_install

$(selftests)/.source: $(patched)/.git/replayed FORCE
	$(call touch-if-newer,$(kvm) $(patched)/tools/testing/selftests -maxdepth 3)

$(selftests)/kselftest-kvm.tar.gz: $(qemu)/build/selftests $(headers)/include \
		$(selftests)/.source series-$(BASE)
	$(call stage,selftests,$(BASE): selftests) $(qemu)/build/selftests $(patched) \
		$(selftests) $(headers) '$(tests)' $(kmake)

$(own)/kselftest-kvm.tar.gz: $(qemu)/build/base-selftests $(qemu)/build/selftests \
		$(qemu)/build/base-selftests-$(BASE) $(headers)/include $(pristine)/.git/source
	$(call stage,own-selftests,$(BASE): its own selftests) \
		$(qemu)/build/base-selftests $(qemu)/build/base-selftests-$(BASE) $(pristine) $(own) \
		$(headers) $(kmake)

$(busybox): $(qemu)/build/debian-unpack | deps
	@exec $(qemu)/host/stage $(O)/logs/busybox.log "busybox for arm64" \
		$(qemu)/build/debian-unpack arm64 $@ busybox-static

modules-of-image := $(if $(filter series,$(SUITE)),$(modules)/kvm_memattr.ko)

$(image): $(qemu)/build/image $(wildcard $(qemu)/boot/guest/*) $(busybox) \
		$(suite)/kselftest-kvm.tar.gz $(modules-of-image)
	$(call stage,$(basename $(@F)),$(BASE)$(suffix): initramfs) \
		$(qemu)/build/image $@ $(busybox) $(suite)/install \
		$(if $(stock),$(kernel)/boot-modules) $(modules-of-image)

# One cell, its output in $(results)
verdict: $(kernel)/arch/arm64/boot/Image $(image)
	@$(MAKE) judge

# The same, unless there is a result of this kernel and these tests
$(results)/rows: $(kernel)/arch/arm64/boot/Image $(image) $(qemu)/boot/run $(qemu)/judge/ktap.awk
	@$(MAKE) judge

rows: $(results)/rows

# The same, of what is built
judge:
	$(call stage,run-$(notdir $(results)),boot $(notdir $(results))) \
		$(qemu)/boot/run $(CELL) $(results) $(kernel) $(image) \
		$(suite)/install/kselftest-list.txt

## make run [CELL=6.1-4k-max-vhe] [TEST=pattern]   one cell, KTAP on stdout
run:
	@status=0; $(MAKE) verdict || status=$$?; \
	cat $(results)/ktap; exit $$status

## make boot [CELL=...]    a shell in the booted kernel
boot: $(kernel)/arch/arm64/boot/Image $(image)
	@BOOT=shell $(qemu)/boot/run $(CELL) $(results) $(kernel) $(image) \
		$(suite)/install/kselftest-list.txt

## make regression [CELL=...]  the base's own KVM selftests on the pristine and on the
##                         patched kernel: any difference is an error
base-cell = $(CELL:$(BASE)-%=$(BASE)-base-%)
regression:
	@$(MAKE) rows SUITE=own-all CELL=$(base-cell) ROWS_ONLY=1
	@$(MAKE) rows SUITE=own-all CELL=$(CELL) ROWS_ONLY=1
	@$(MAKE) compare SUITE=own-all

# The same, of what has run
compare:
	$(call stage,regression-$(CELL),$(BASE): what its own selftests say) \
		$(qemu)/judge/regression $(B) $(CELL) $(base-cell) $(SUITE) $(qemu)/build/base-selftests-$(BASE)

## make series [BASE=6.1] [AUTHOR='Name <address>'] [SIGNOFF=1]   the mails
series: $(patched)/.git/replayed
	@$(series)/mail $(BASE) $(patched) $(B)/series

## make refresh [BASE=6.1] write the commits of build/BASE/tree back to here
refresh:
	@$(series)/refresh $(BASE) $(patched)

## make lint-fast          shellcheck, and the rules of the series
lint-fast: deps
	@$(qemu)/host/lint-fast

## make lint               all of that, and checkpatch, kernel-doc, sparse, W=1,
##                         get_maintainer, documentation; only new findings count
lint: lint-fast $(kernel)/.config $(modules)/kvm_memattr.ko
	@$(MAKE) CELL=$(BASE)-base-$(GRANULE)-max-vhe $(B)/tree-base/.git/source
	$(call stage,lint,$(BASE): lint) $(series)/lint $(BASE) $(B) $(B)/lint $(kmake) \
		CC='ccache aarch64-linux-gnu-gcc'

## make harness            the tests of the harness itself
harness: $(kernel)/arch/arm64/boot/Image $(image)
	@O=$(abspath $(O)) bats --tap $(series)/tests $(qemu)/tests

## make clean              remove all that was built
clean:
	rm -rf $(O)

##
## BASE, CELL (BASE[-FLAVOUR]-GRANULE-CPU-MODE), TEST, O= (build directory), V=1
## and KSRC= (a kernel tree of your own) are the knobs most people meet.
