# SPDX-License-Identifier: GPL-2.0-only
#
# The step x86: kernels and selftests for x86-64 of BASE (of 6.1 as a step of a check), and
# what they say

x86-base := $(if $(filter x86,$(MAKECMDGOALS)),$(BASE),6.1)
ifeq ($(filter x86,$(MAKECMDGOALS))-$(BASE),x86-6.12)
$(error error: no configuration of 6.12 for x86-64: BASE= can be 6.1 or 7.3)
endif
# Debian's own kernel, as a control: suite and meta package
x86-stock.6.1 := bookworm linux-image-amd64
# Where vfio has no selftests yet, that of DMA to a BAR is taken from here.
x86-lender.6.1 := $(if $(wildcard $(O)/source/7.3.tar.xz.gone),,7.3)

x86-cross := env ARCH=x86_64 CROSS_COMPILE=x86_64-linux-gnu- $(kmake)
x86-make = $(x86-cross) -C $(abspath $(O)/$*/tree) O=$(abspath $(O)/x86/$*)
x86-fragments = $(wildcard $(patsubst %,$(qemu)/build/config/%,all x86_64 x86_64-$(1)))

# The trees are edited: as for arm64
define x86-of
watch.x86/$(1)/ := $(watch.kernel/$(1)-4k/)
watch.x86/$(1)/tests/ := $(watch.$(1)/selftests/)
$(O)/x86/$(1)/.source $(O)/x86/$(1)/tests/.source: $(O)/$(1)/tree/.git/replayed
$(O)/x86/$(1)/.config: $(call x86-fragments,$(1)) $(O)/$(1)/tree/.git/replayed
endef
$(foreach base,$(bases),$(eval $(call x86-of,$(base))))

$(O)/x86/%/.config: $(qemu)/build/configure
	$(call step,config-x86-$*,$*: configure for x86-64) $(qemu)/build/configure \
		$(abspath $(@D)) $(call x86-fragments,$*) -- $(x86-make)

$(O)/x86/%/.built: $(O)/x86/%/.config $(O)/x86/%/.source
	$(call step,kernel-x86-$*,$*: kernel for x86-64) $(x86-make) bzImage
	@touch $@

$(O)/x86/%/stock/.built: $(qemu)/build/fetch-stock-x86 $(qemu)/build/debian-unpack \
		$(qemu)/build/modules
	$(call step,stock-x86-$*,$*: Debian's kernel for x86-64) $(qemu)/build/fetch-stock-x86 \
		$(x86-stock.$*) $(@D)
	@touch $@

$(O)/x86/%/tests/.built: $(O)/x86/%/tests/.source $(qemu)/build/selftests-x86 \
		$(qemu)/x86/bar_guest_test.c $(O)/uuid-amd64
	$(call step,selftests-x86-$*,$*: selftests for x86-64) $(qemu)/build/selftests-x86 \
		$(O)/$*/tree $(@D)/bin $(O)/uuid-amd64 $(x86-cross)
	@touch $@

# The newer one has an igb, for the hot reset of two groups.
x86-qemu := $(O)/qemu11-x86/qemu-system-x86_64
$(x86-qemu): $(qemu)/build/emulator $(qemu)/build/debian-unpack
	$(call step,qemu11-x86,QEMU 11 for x86-64) $(qemu)/build/emulator $(emulator.qemu11) \
		$(@D) x86_64

x86-kernels := $(x86-base) $(if $(x86-stock.$(x86-base)),$(x86-base)/stock)
x86-tests := $(strip $(x86-base) $(x86-lender.$(x86-base)))
x86-results := $(O)/results/x86$(filter-out -6.1,-$(x86-base))
x86: $(x86-results)/pass
$(x86-results)/pass: $(wildcard $(qemu)/x86/*) $(judges) $(x86-qemu) \
		$(O)/busybox-amd64 $(O)/uuid-amd64 tools/testing/selftests/vfio/vmtest.sh $(force) \
		$(x86-kernels:%=$(O)/x86/%/.built) $(x86-tests:%=$(O)/x86/%/tests/.built)
	$(call tap,$(notdir $(@D)),$(qemu)/x86/run $(O) $(@D) $(x86-base) $(x86-tests))
