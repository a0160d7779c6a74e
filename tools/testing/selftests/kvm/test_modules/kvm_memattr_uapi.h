/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Private interface between the KVM/arm64 memory attribute selftests and
 * their test module, kvm_memattr.ko. It is not kernel ABI: the two are built
 * from one source tree and KVM_MEMATTR_VERSION tells when they were not.
 *
 * The device, /dev/kvm_memattr, needs CAP_SYS_ADMIN to open (-EPERM
 * otherwise). Its ioctls never write to a VM's memory, to its page tables or
 * to its vCPUs. Rules that hold for all of them:
 *
 * - The size of the argument is part of the command number. An unknown
 *   command, or a known one with another size, is -ENOTTY.
 * - Input fields that do not use all of their bits, flags and reserved fields
 *   are checked: a bit without a meaning is -EINVAL, so that it can be given
 *   one. Fields marked "out" are ignored on input.
 * - -EFAULT: the argument cannot be read or written. The output is written
 *   last, so nothing is left half done.
 * - Nothing is written to the argument when an error is returned.
 * - All calls may sleep. STAGE2_LEAF and TRANSLATE take the VM's
 *   kvm->mmu_lock for write; TRANSLATE and CALIBRATE run for some
 *   microseconds with all interrupts masked, HOST_PTE with IRQs disabled.
 */
#ifndef SELFTEST_KVM_MEMATTR_UAPI_H
#define SELFTEST_KVM_MEMATTR_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KVM_MEMATTR_DEVICE	"/dev/kvm_memattr"
#define KVM_MEMATTR_VERSION	1

/*
 * Host properties, struct kvm_memattr_info.flags. The CPU features are those
 * of the CPU that ran the call, but for FWB, which is what KVM goes by.
 */
/* The kernel runs at EL2 (HCR_EL2.E2H == 1), so the EL1&0 regime is its to use */
#define KVM_MEMATTR_INFO_VHE		0x1
/* kvm-arm.mode=protected is in effect */
#define KVM_MEMATTR_INFO_PROTECTED	0x2
/* FEAT_S2FWB: KVM sets HCR_EL2.FWB for its guests */
#define KVM_MEMATTR_INFO_FWB		0x4
/* FEAT_XS: MAIR bytes 0b0000dd01, 0x40 and 0xa0 are defined */
#define KVM_MEMATTR_INFO_XS		0x8
/* FEAT_MTE2: MAIR byte 0xf0 is defined */
#define KVM_MEMATTR_INFO_MTE2		0x10
/* FEAT_MTE_PERM: stage-2 MemAttr has NoTagAccess encodings */
#define KVM_MEMATTR_INFO_MTE_PERM	0x20
/* KVM_MEMATTR_STAGE2_LEAF works on this host */
#define KVM_MEMATTR_INFO_LEAF		0x100
/* KVM_MEMATTR_TRANSLATE works on this host */
#define KVM_MEMATTR_INFO_TRANSLATE	0x200
/* KVM_MEMATTR_CALIBRATE works on this host */
#define KVM_MEMATTR_INFO_CALIBRATE	0x400

/**
 * struct kvm_memattr_info - what the host and the module can do
 * @version:	out: KVM_MEMATTR_VERSION of the module
 * @flags:	out: KVM_MEMATTR_INFO_*
 * @page_shift:	out: log2 of the host's page size in bytes, which is also the
 *		stage-2 granule: 12, 14 or 16
 * @reserved:	out: 0
 * @midr:	out: MIDR_EL1 of the CPU that ran the call, to name the
 *		implementation that a deviation is reported for
 */
struct kvm_memattr_info {
	__u32 version;
	__u32 flags;
	__u32 page_shift;
	__u32 reserved;
	__u64 midr;
};

/**
 * struct kvm_memattr_leaf - the stage-2 leaf that maps an IPA
 * @vm_fd:	in: file descriptor that KVM_CREATE_VM returned
 * @flags:	in: must be 0
 * @ipa:	in: intermediate physical address in bytes, need not be aligned
 * @base:	out: first IPA of the block or page
 * @size:	out: its size in bytes; the Contiguous bit does not change it
 * @desc:	out: the descriptor as found in memory
 * @oa:		out: output address of @base, in bytes
 * @level:	out: lookup level of the leaf, 0 to 3
 * @memattr:	out: MemAttr[3:0], descriptor bits [5:2]
 * @sh:		out: SH[1:0], bits [9:8] (with FEAT_LPA2 in use the VM-wide
 *		VTCR_EL2.SH0, as these bits are then part of the address)
 * @s2ap:	out: S2AP[1:0], bits [7:6]: bit 0 read, bit 1 write
 * @xn:		out: XN[1:0], bits [54:53]
 * @af:		out: access flag, bit 10
 * @contig:	out: Contiguous, bit 52
 * @fwb:	out: 1 when HCR_EL2.FWB is set for the VM and gives @memattr
 *		its FEAT_S2FWB meaning, else 0
 * @reserved:	out: 0
 *
 * See the Arm ARM, DDI 0487, D8.3.1 for the descriptor and D8.6.5 and D8.6.6
 * for the meaning of @memattr.
 */
struct kvm_memattr_leaf {
	__s32 vm_fd;
	__u32 flags;
	__u64 ipa;
	__u64 base;
	__u64 size;
	__u64 desc;
	__u64 oa;
	__s32 level;
	__u8 memattr;
	__u8 sh;
	__u8 s2ap;
	__u8 xn;
	__u8 af;
	__u8 contig;
	__u8 fwb;
	__u8 reserved[5];
};

/* struct kvm_memattr_translate.flags: AT S12E1W instead of AT S12E1R */
#define KVM_MEMATTR_TRANSLATE_WRITE	0x1

/**
 * struct kvm_memattr_translate - translate a guest VA through both stages
 * @vm_fd:	in: file descriptor that KVM_CREATE_VM returned
 * @flags:	in: 0 or KVM_MEMATTR_TRANSLATE_WRITE
 * @va:		in: guest virtual address
 * @ttbr0_el1:	in: the guest's TTBR0_EL1
 * @ttbr1_el1:	in: the guest's TTBR1_EL1
 * @tcr_el1:	in: the guest's TCR_EL1; HA and HD must be 0, as a walk that
 *		updates descriptors would write to the guest
 * @mair_el1:	in: the guest's MAIR_EL1
 * @sctlr_el1:	in: the guest's SCTLR_EL1
 * @par_el1:	out: PAR_EL1 after the instruction: F in bit 0; without a fault
 *		ATTR in bits [63:56], SH in bits [8:7], the physical page in
 *		bits [51:12]; with a fault FST in bits [6:1], S (stage 2) in
 *		bit 9
 *
 * TCR2_EL1 and what it enables (PIE, POE, AIE, D128) count as 0.
 */
struct kvm_memattr_translate {
	__s32 vm_fd;
	__u32 flags;
	__u64 va;
	__u64 ttbr0_el1;
	__u64 ttbr1_el1;
	__u64 tcr_el1;
	__u64 mair_el1;
	__u64 sctlr_el1;
	__u64 par_el1;
};

/* struct kvm_memattr_calibrate.flags: HCR_EL2.FWB = 1 */
#define KVM_MEMATTR_CALIBRATE_FWB	0x1

/**
 * struct kvm_memattr_calibrate - combine two attributes, without any VM
 * @flags:	in: 0 or KVM_MEMATTR_CALIBRATE_FWB
 * @mair:	in: stage-1 type as a MAIR_EL1 byte, any value
 * @memattr:	in: stage-2 MemAttr[3:0], 0 to 15
 * @s1_sh:	in: SH[1:0] of the stage-1 page descriptor, 0, 2 or 3
 * @s2_sh:	in: SH[1:0] of the stage-2 page descriptor, 0, 2 or 3
 * @par_el1:	out: PAR_EL1 after AT S12E1R, as in &struct kvm_memattr_translate
 *
 * The module maps a page of its own with these attributes, by stage-1 and
 * stage-2 tables of its own, and lets the machine combine them. The page is
 * not accessed.
 */
struct kvm_memattr_calibrate {
	__u32 flags;
	__u8 mair;
	__u8 memattr;
	__u8 s1_sh;
	__u8 s2_sh;
	__u64 par_el1;
};

/**
 * struct kvm_memattr_host_pte - how the calling process maps a page itself
 * @va:		in: user virtual address, need not be aligned
 * @flags:	in: must be 0
 * @level:	out: lookup level of the leaf, 0 to 3
 * @desc:	out: the stage-1 descriptor as found in memory
 * @base:	out: first virtual address of the block or page
 * @size:	out: its size in bytes; the Contiguous bit does not change it
 * @oa:		out: output address of @base, in bytes
 * @attr:	out: type, the byte of the host's MAIR that AttrIndx selects
 * @sh:		out: SH[1:0] (with FEAT_LPA2 in use TCR.SH0)
 * @reserved:	out: 0
 */
struct kvm_memattr_host_pte {
	__u64 va;
	__u32 flags;
	__s32 level;
	__u64 desc;
	__u64 base;
	__u64 size;
	__u64 oa;
	__u8 attr;
	__u8 sh;
	__u8 reserved[6];
};

#define KVM_MEMATTR_IOC		'M'

/*
 * KVM_MEMATTR_INFO: no error of its own.
 */
#define KVM_MEMATTR_INFO \
	_IOR(KVM_MEMATTR_IOC, 0xa0, struct kvm_memattr_info)

/*
 * KVM_MEMATTR_STAGE2_LEAF: walk the VM's stage-2 tables in software, under
 * kvm->mmu_lock. Works in VHE, nVHE and protected mode as long as the host
 * owns these tables.
 *
 *  -EBADF	@vm_fd is not an open file descriptor
 *  -EINVAL	@vm_fd is not a VM, or @flags is not 0, or the IPA is outside
 *		of the VM's IPA space
 *  -ENOENT	no valid leaf maps @ipa
 *  -EOPNOTSUPP	the VM has no stage-2 tables (its memory map is being, or has
 *		been, torn down), or the hypervisor keeps them from the host
 *  -EIO	the tables contain something that the architecture reserves
 */
#define KVM_MEMATTR_STAGE2_LEAF \
	_IOWR(KVM_MEMATTR_IOC, 0xa1, struct kvm_memattr_leaf)

/*
 * KVM_MEMATTR_TRANSLATE: execute AT S12E1R or AT S12E1W for the VM's stage 2
 * and the given stage-1 registers. A translation that faults is no error: it
 * is what @par_el1 says.
 *
 *  -EBADF	@vm_fd is not an open file descriptor
 *  -EINVAL	@vm_fd is not a VM, or @flags or @tcr_el1 has a bit set that it
 *		must not have
 *  -EOPNOTSUPP	the kernel does not run at EL2 (VHE), or the VM has no stage-2
 *		tables
 *  -EIO	an earlier call could not restore the host's registers (the kernel
 *		log has a warning): restart the machine
 */
#define KVM_MEMATTR_TRANSLATE \
	_IOWR(KVM_MEMATTR_IOC, 0xa2, struct kvm_memattr_translate)

/*
 * KVM_MEMATTR_CALIBRATE: what the machine makes of a pair of attributes when
 * KVM has no part in it.
 *
 *  -EINVAL	a field is out of its range
 *  -EOPNOTSUPP	the kernel does not run at EL2 (VHE), or the CPU lacks
 *		FEAT_S2FWB and KVM_MEMATTR_CALIBRATE_FWB is set
 *  -EIO	as for KVM_MEMATTR_TRANSLATE
 */
#define KVM_MEMATTR_CALIBRATE \
	_IOWR(KVM_MEMATTR_IOC, 0xa3, struct kvm_memattr_calibrate)

/*
 * KVM_MEMATTR_HOST_PTE: walk the page tables of the calling process in
 * software, as the lockless part of get_user_pages_fast() does. Works in every
 * host mode. Nothing is faulted in.
 *
 *  -EINVAL	@flags is not 0, or @va is not a user address
 *  -ENOENT	no valid leaf maps @va
 *  -EIO	the tables contain something that the architecture reserves
 */
#define KVM_MEMATTR_HOST_PTE \
	_IOWR(KVM_MEMATTR_IOC, 0xa4, struct kvm_memattr_host_pte)

#endif /* SELFTEST_KVM_MEMATTR_UAPI_H */
