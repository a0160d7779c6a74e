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
GRANULE ?= 4k
CELL ?= $(BASE)-$(GRANULE)-max-vhe
JOBS ?= $(shell nproc)

qemu := tools/testing/qemu
series := tools/series

knobs := AUTHOR BASE CCACHE_DIR CELL CELLS GRANULE JOBS KSRC LIMIT O QEMU \
	SIGNOFF TEST V
$(foreach v,$(MAKEOVERRIDES),$(if $(filter $(knobs),$(firstword $(subst =, ,$(v)))),,\
	$(if $(findstring =,$(v)),$(error error: unknown variable \
	$(firstword $(subst =, ,$(v))), there are: $(knobs)))))

# The cell's name decides on base, granule, and flavour of the kernel
cell := $(shell $(qemu)/cell '$(CELL)' 2>&1)
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
image := $(B)/image-$(GRANULE)$(suffix).cpio
selftests := $(B)/selftests
busybox := $(O)/busybox-arm64
results := $(B)/results/$(CELL)

# The selftests are the patched tree's, also for the pristine kernel
patched := $(B)/tree
# The file that says that the kernel's tree is what it has to be
ready := $(tree)/.git/$(if $(filter $(patched),$(tree)),replayed,source)
kvm := $(patched)/tools/testing/selftests/kvm
claimed := $(shell root=.; . $(series)/lib.sh; series_entries $(BASE))
tests := $(patsubst tools/testing/selftests/kvm/%.c,%,\
	$(filter tools/testing/selftests/kvm/aarch64/%.c,$(claimed)))

demo-cells := 6.1-4k-max-vhe 6.1-4k-neoverse-n1-vhe
# Every CPU, every mode, both GICs, both bases. The stock kernels are controls: that
# of 6.1, on which the rows that the series is for have to fail, and that of 6.12,
# which has the feature as others wrote it.
CELLS ?= $(demo-cells) 6.1-4k-max-nvhe 6.1-4k-neoverse-n1-protected \
	6.1-4k-cortex-a57-protected 6.1-4k-cortex-a57+gicv2-nvhe \
	6.1-4k-max+gicv2-vhe 6.12-4k-max-vhe 6.12-4k-neoverse-n1-vhe \
	6.12-4k-cortex-a57-protected 6.12-4k-max+gicv2-nvhe \
	6.1-stock-4k-max-vhe 6.1-stock-4k-neoverse-n1-vhe 6.12-stock-4k-max-vhe

export V KSRC QEMU LIMIT TEST BOOT AUTHOR SIGNOFF
export CCACHE_DIR ?= $(abspath $(O))/ccache

stage = @$(qemu)/stage $(B)/logs/$(1).log "$(2)"
# The kernel's make gets no variable of ours by way of MAKEFLAGS. Builder and
# time are fixed, so that the same source gives the same kernel.
kmake := env -u MAKEFLAGS -u MAKELEVEL -u V make -j$(JOBS) ARCH=arm64 \
	CROSS_COMPILE=aarch64-linux-gnu- LOCALVERSION= KBUILD_BUILD_USER=user \
	KBUILD_BUILD_HOST=host KBUILD_BUILD_TIMESTAMP=2026-01-01
kbuild = $(kmake) -C $(abspath $(tree)) O=$(abspath $(kernel)) \
	CC='ccache aarch64-linux-gnu-gcc'

.PHONY: help demo check deps tree kernel selftests image verdict judge run boot \
	series refresh lint lint-fast harness clean FORCE

help:
	@sed -n 's/^## //p' Makefile

## make demo               build the patched 6.1 from nothing, boot it, show what
##                         a guest gets from an ordinary VMA and from vfio-pci
demo:
	@$(MAKE) image CELL=$(firstword $(demo-cells))
	@for cell in $(demo-cells); do \
		$(MAKE) judge CELL=$$cell TEST=vfio_bar_memattr || exit; \
	done
	@$(qemu)/table $(foreach c,$(demo-cells),$(O)/6.1/results/$(c))

## make check [CELLS=...]  all tests; ends with "N passed, N failed, N skipped"
check: deps
	@$(qemu)/check $(O) '$(MAKE)' $(CELLS)

## make deps               install the Debian packages that are missing
deps:
	@$(qemu)/deps

## make tree, kernel, selftests, image  [BASE=6.1] [GRANULE=4k]   one step
tree: $(ready)
kernel: $(kernel)/arch/arm64/boot/Image
selftests: $(selftests)/kselftest-kvm.tar.gz
	@echo "$<"
image: $(image)

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

$(kernel)/arch/arm64/boot/Image: $(qemu)/stock $(qemu)/debian-unpack bases | deps
	$(call stage,kernel$(suffix),$(BASE)$(suffix): kernel) $(qemu)/stock \
		$(shell root=.; . $(series)/lib.sh; base_field $(BASE) 5) $(kernel)
else
fragments := $(qemu)/config $(qemu)/config-$(GRANULE) $(wildcard $(qemu)/config$(filter -%,$(suffix)))

$(kernel)/.config: $(qemu)/configure $(fragments) $(patched)/.git/replayed \
		$(ready)
	$(call stage,config-$(GRANULE)$(suffix),$(BASE)$(suffix): configure) \
		$(qemu)/configure $(abspath $(kernel)) $(fragments) \
		$(kvm)/config -- $(kbuild)

# Always: kbuild knows what has changed, and the tree is there to be edited.
$(kernel)/arch/arm64/boot/Image: $(kernel)/.config FORCE
	$(call stage,kernel-$(GRANULE)$(suffix),$(BASE)$(suffix): kernel $(GRANULE)) \
		$(kbuild) Image modules
endif

$(modules)/kvm_memattr.ko: $(kernel)/arch/arm64/boot/Image \
		$(wildcard $(kvm)/test_modules/*) $(patched)/.git/replayed
	$(call stage,module-$(GRANULE)$(suffix),$(BASE)$(suffix): test module) \
		$(qemu)/module $(kvm)/test_modules $(modules) $(kbuild)

$(selftests)/usr/include: $(patched)/.git/source
	$(call stage,headers,$(BASE): kernel headers) $(kmake) \
		-C $(abspath $(patched)) O=$(abspath $(selftests))/khdr \
		INSTALL_HDR_PATH=$(abspath $(selftests))/usr headers_install

$(selftests)/kselftest-kvm.tar.gz: $(qemu)/selftests $(selftests)/usr/include \
		$(patched)/.git/replayed FORCE
	$(call stage,selftests,$(BASE): selftests) \
		$(qemu)/selftests $(patched) $(selftests) '$(tests)' $(kmake)

$(busybox): $(qemu)/debian-unpack | deps
	@$(qemu)/stage $(O)/logs/busybox.log "busybox for arm64" \
		$(qemu)/debian-unpack arm64 $@ busybox-static

$(image): $(qemu)/image $(wildcard $(qemu)/guest/*) $(busybox) \
		$(selftests)/kselftest-kvm.tar.gz $(modules)/kvm_memattr.ko
	$(call stage,image-$(GRANULE)$(suffix),$(BASE)$(suffix): initramfs) \
		$(qemu)/image $@ $(busybox) $(selftests)/install \
		$(if $(stock),$(kernel)/boot-modules) $(modules)/kvm_memattr.ko

# One cell, its output in $(results)
verdict: $(kernel)/arch/arm64/boot/Image $(image)
	@$(MAKE) judge

# The same, of what is built
judge:
	$(call stage,run-$(CELL),boot $(CELL)) $(qemu)/run $(CELL) $(results) \
		$(kernel) $(image) $(selftests)/install/kselftest-list.txt

## make run [CELL=6.1-4k-max-vhe] [TEST=pattern]   one cell, KTAP on stdout
run:
	@status=0; $(MAKE) verdict || status=$$?; \
	cat $(results)/ktap; exit $$status

## make boot [CELL=...]    a shell in the booted kernel
boot: $(kernel)/arch/arm64/boot/Image $(image)
	@BOOT=shell $(qemu)/run $(CELL) $(results) $(kernel) $(image) \
		$(selftests)/install/kselftest-list.txt

## make series [BASE=6.1] [AUTHOR='Name <address>'] [SIGNOFF=1]   the mails
series: $(patched)/.git/replayed
	@$(series)/mail $(BASE) $(patched) $(B)/series

## make refresh [BASE=6.1] write the commits of build/BASE/tree back to here
refresh:
	@$(series)/refresh $(BASE) $(patched)

## make lint-fast          shellcheck, and the rules of the series
lint-fast: deps
	@$(qemu)/lint-fast

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
