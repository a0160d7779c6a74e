# SPDX-License-Identifier: GPL-2.0-only
#
# From source packages to what boots. What else a file is made of, and the facts of bases
# and kernels (tree.6.1-4k), come from the plan: "make plan" shows them.

# by,STEM: the compiler that DIR/.llvm of $(O)/STEM names; without one, and for what is not
# said to be by that, it is gcc
by = env LLVM='$(or $(LLVM),$(llvm.$(1)))'
kmake := $(abspath $(qemu)/build/kmake)
kbuild = $(call by,kernel/$*) $(kmake) -C $(abspath $(tree.$*)) O=$(abspath $(O)/kernel/$*)

$(O)/%/.llvm: FORCE
	$(call remember,echo '$(or $(LLVM),$(llvm.$*))')

# Sources and trees

$(O)/source/%.id: FORCE
	$(call remember,$(lib) base_line $* && echo '$(ksrc.$*)')

$(O)/source/%.tar.xz.package: $(O)/source/%.id
	$(call step,source-$*,$*: source) $(series)/source $* $(@:.package=)

$(O)/%/.git/source: $(series)/tracked
	$(call step,unpack-$(subst /,-,$*),$*: unpack) $(series)/unpack $(*D) $(O)/$* \
		$(O)/source/$(*D).tar.xz

# A directory that joins a patch may have lost a file.
$(O)/%/series.id: FORCE
	$(call remember,$(lib) series_entries $*)

$(O)/%/tree/.git/replayed: $(O)/%/tree/.git/source $(series)/replay $(series)/commits
	$(call step,tree-$*,$*: apply the series) $(series)/replay $* $(O)/$*/tree

# The trees are there to be edited: a file that is newer counts.
$(O)/%.source: FORCE
	@mkdir -p $(@D); [ -e $@ ] && [ -z "$$(find $(watch.$*) ! -type d -newer $@ -print -quit)" ] || \
		touch $@

# Kernels: built of a tree, the distribution's own, or of the packages of "make deb"

$(O)/kernel/%/.config: $(qemu)/build/configure
	$(call step,config-$*,$*: configure) $(qemu)/build/configure $(abspath $(@D)) \
		$(fragments.$*) $(O)/$(base.$*)/tree/$(kvm)/config -- $(kbuild)

build-tree = $(call step,kernel-$*,$*: kernel) $(kbuild) Image modules
build-tree-base = $(build-tree)
build-debian = $(call step,kernel-$*,$*: Debian's kernel) $(qemu)/build/fetch-stock-kernel \
	$(stock.$*) $(@D)
build-packages = $(call step,kernel-$*,$*: the packages' kernel) $(qemu)/build/deb-kernel \
	$(O)/$(base.$*)/deb $(@D)
$(O)/kernel/%/.built:
	$(build-$(build.$*))
	@touch $@

$(O)/%/deb/.built: $(qemu)/build/deb $(qemu)/build/debian-unpack $(O)/%/deb/.source $(O)/source/%.id
	$(call step,deb-$*,$*: packages) $(qemu)/build/deb $* $(O)/$*/tree $(@D) $(kmake)
	@touch $@

# The test module: what it is made of are headers, not the kernel. Debian's are of gcc.
$(O)/kernel/%/test_modules/kvm_memattr.ko: $(O)/kernel/%/.headers.source $(qemu)/build/test-module \
		| $(O)/kernel/%/.built
	$(call step,module-$*,$*: test module) $(qemu)/build/test-module \
		$(O)/$(base.$*)/tree/$(kvm)/test_modules $(@D) $(if $(tree.$*),$(kbuild),$(kmake) -C \
		$(abspath $(O)/$(if $(stock.$*),kernel/$*,$(base.$*)/deb/obj)))

# Selftests

$(O)/%/headers/.done: $(O)/%/headers/.source
	$(call step,headers-$*,$*: kernel headers) $(kmake) -C $(abspath $(O)/$*/tree) \
		O=$(abspath $(@D))/obj INSTALL_HDR_PATH=$(abspath $(@D)) headers_install
	@touch $@

# Of the selftests with libvfio
$(O)/uuid-%: $(qemu)/build/debian-unpack
	$(call step,uuid-$*,libuuid for $*) $(qemu)/build/debian-unpack bookworm $* $@ uuid-dev

# and the same by another compiler
tests := $(qemu)/build/selftests $(qemu)/boot/guest/kunit
define selftests
	$(call step,$(notdir $(@D))-$*,$*: $(notdir $(@D))) $(call by,$*/$(notdir $(@D))) \
		UUID=$(abspath $(uuid.$*)) $(qemu)/build/selftests $(O)/$*/tree $(@D) $(O)/$*/headers \
		'$(tests.$*)' $(kmake)
	@touch $@
endef
$(O)/%/selftests/.installed: $(tests)
	$(selftests)
$(O)/%/selftests-clang/.installed: $(tests)
	$(selftests)

# For servers; what only those take makes no cell run again.
$(O)/%/selftests/kselftest-kvm.tar.gz: $(O)/%/selftests/.installed $(qemu)/build/pack \
		$(wildcard $(qemu)/server/*)
	$(call step,pack-$*,$*: selftests for servers) $(qemu)/build/pack $* $(O)/$*/tree $(@D)

$(O)/%/base-selftests/.installed: $(qemu)/build/base-selftests \
		$(qemu)/build/selftests $(O)/%/headers/.done $(O)/%/tree-base/.git/source
	$(call step,base-selftests-$*,$*: its own selftests) $(qemu)/build/base-selftests \
		$(qemu)/judge/expect/base-selftests-$* $(O)/$*/tree-base $(@D) $(O)/$*/headers $(kmake)
	@touch $@

# What to boot to

$(O)/busybox-%: $(qemu)/build/debian-unpack
	$(call step,busybox-$*,busybox for $*) $(qemu)/build/debian-unpack bookworm $* $@ \
		busybox-static

image := $(qemu)/build/image $(wildcard $(qemu)/boot/guest/*) $(O)/busybox-arm64
$(O)/kernel/%/initramfs.cpio: $(image) $(O)/kernel/%/.built $(O)/kernel/%/test_modules/kvm_memattr.ko
	$(call step,initramfs-$*,$*: initramfs) $(qemu)/build/image $@ $(O)/busybox-arm64 \
		$(selftests.$*)/install $(modules.$*) $(@D)/test_modules/kvm_memattr.ko

$(O)/%/base-selftests.cpio: $(image) $(O)/%/base-selftests/.installed
	$(call step,initramfs-base-selftests-$*,$*: initramfs of its own selftests) \
		$(qemu)/build/image $@ $(O)/busybox-arm64 $(O)/$*/base-selftests/install

# The same and a VMM, with the guest kernel of vfio_bar_vmm: Debian's, unpatched
$(O)/vmm.cpio: $(qemu)/build/vmm $(qemu)/build/debian-unpack
	$(call step,vmm,a VMM and its VM) $(qemu)/build/vmm $@ $(O)/kernel/$(vm-kernel)

$(O)/kernel/%/initramfs-vmm.cpio: $(O)/kernel/%/initramfs.cpio $(O)/vmm.cpio
	@cat $^ >$@

# The emulator is this machine's, or the newer one for the cells that ask for it; QEMU wins.
$(O)/.qemu: FORCE
	$(call remember,{ $(or $(QEMU),qemu-system-aarch64) --version 2>&1 | sed 1q; echo $(QEMU); })

$(O)/%/qemu-system-aarch64: $(qemu)/build/debian-unpack
	$(call step,$*,QEMU $(firstword $(emulator.$*))) $(qemu)/build/emulator $(emulator.$*) $(@D)

# Results of real machines
import:
	@$(qemu)/judge/machine.py $(O) '$(ARCHIVE)'

include $(qemu)/build/x86.mk
