/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Private interface between the KVM/arm64 memory attribute selftests and
 * their test module, kvm_memattr.ko. It is not kernel ABI: the two are built
 * from one source tree and KVM_MEMATTR_VERSION tells when they were not.
 *
 * The device, /dev/kvm_memattr, needs CAP_SYS_ADMIN to open (-EPERM
 * otherwise). Rules for all of its ioctls:
 *
 * - The size of the argument is part of the command number. An unknown
 *   command, or a known one with another size, is -ENOTTY.
 * - A flag without a meaning is -EINVAL. Fields marked "out" are ignored on
 *   input. With any error the argument stays as it is.
 * - -EFAULT: the argument cannot be read or written.
 * - No VM, its memory, its tables or its vCPUs are ever written to.
 */
#ifndef SELFTEST_KVM_MEMATTR_UAPI_H
#define SELFTEST_KVM_MEMATTR_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KVM_MEMATTR_DEVICE	"/dev/kvm_memattr"
#define KVM_MEMATTR_VERSION	2

/*
 * Host properties, struct kvm_memattr_info.flags. XS and MTE2 are those of the
 * CPU that ran the call.
 */
/* FEAT_S2FWB on all CPUs: KVM writes its tables for HCR_EL2.FWB == 1 */
#define KVM_MEMATTR_INFO_FWB		0x1
/* FEAT_XS: MAIR bytes 0b0000dd01, 0x40 and 0xa0 are defined */
#define KVM_MEMATTR_INFO_XS		0x2
/* FEAT_MTE2: MAIR byte 0xf0 is defined */
#define KVM_MEMATTR_INFO_MTE2		0x4
/* The host is a guest of KVM: what AT says is KVM's software, not the CPU */
#define KVM_MEMATTR_INFO_NESTED		0x8
/* KVM_MEMATTR_TRANSLATE works: the kernel runs at EL2 and is not NESTED */
#define KVM_MEMATTR_INFO_TRANSLATE	0x10
/* KVM_MEMATTR_CALIBRATE works: as for TRANSLATE, and there is memory for it */
#define KVM_MEMATTR_INFO_CALIBRATE	0x20

/**
 * struct kvm_memattr_info - what the host and the module can do
 * @version:	out: KVM_MEMATTR_VERSION of the module
 * @flags:	out: KVM_MEMATTR_INFO_*
 * @midr:	out: MIDR_EL1 of the CPU that ran the call
 */
struct kvm_memattr_info {
	__u32 version;
	__u32 flags;
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
 * @level:	out: lookup level of the leaf, -1 to 3
 * @memattr:	out: MemAttr[3:0], descriptor bits [5:2]
 * @sh:		out: SH[1:0], bits [9:8] (with FEAT_LPA2 in use the VM-wide
 *		VTCR_EL2.SH0, as these bits are then part of the address)
 * @s2ap:	out: S2AP[1:0], bits [7:6]: bit 0 read, bit 1 write
 * @xn:		out: XN[1:0], bits [54:53]
 * @af:		out: access flag, bit 10
 * @contig:	out: Contiguous, bit 52
 * @fwb:	out: 1 when KVM writes its tables with the FEAT_S2FWB encoding of
 *		@memattr, which it does by the capability of the system. What a
 *		vCPU runs with is &struct kvm_memattr_translate.hcr_el2.
 * @reserved:	out: 0
 *
 * See the Arm ARM, DDI 0487, "VMSAv8-64 translation table format descriptors".
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
 * struct kvm_memattr_translate - translate a VA as a vCPU would
 * @vcpu_fd:	in: file descriptor that KVM_CREATE_VCPU returned; the vCPU has
 *		run, and does not run now
 * @flags:	in: 0 or KVM_MEMATTR_TRANSLATE_WRITE
 * @va:		in: guest virtual address
 * @par_el1:	out: PAR_EL1 after the instruction: F in bit 0; without a fault
 *		ATTR in bits [63:56], SH in bits [8:7], the physical page in
 *		bits [51:12]; with a fault FST in bits [6:1], S (stage 2) in
 *		bit 9
 * @hcr_el2:	out: the vCPU's HCR_EL2 as KVM keeps it
 *
 * Stage 1 is that of the vCPU's own EL1 registers, stage 2 that of the tables
 * and the HCR_EL2 that KVM runs it with. The walk updates no descriptors: HA
 * and HD count as 0. So does TCR2_EL1 with what it enables (PIE, POE, AIE).
 */
struct kvm_memattr_translate {
	__s32 vcpu_fd;
	__u32 flags;
	__u64 va;
	__u64 par_el1;
	__u64 hcr_el2;
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
 * stage-2 tables of its own. The page is not accessed.
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
 * @level:	out: lookup level of the leaf, -1 to 3
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

#define KVM_MEMATTR_INFO \
	_IOR(KVM_MEMATTR_IOC, 0xa0, struct kvm_memattr_info)

/*
 * Walk the VM's stage-2 tables in software, under kvm->mmu_lock. Works in each
 * host mode in which the host owns these tables.
 *
 *  -EBADF	@vm_fd is not an open file descriptor
 *  -EINVAL	@vm_fd is not a VM, @flags is not 0, or the IPA is outside of the
 *		VM's IPA space
 *  -ENOENT	no valid leaf maps @ipa
 *  -EOPNOTSUPP	the VM has no stage-2 tables (its memory map is being, or has
 *		been, torn down), or the hypervisor keeps them from the host
 *  -EIO	the tables contain something that the architecture reserves
 */
#define KVM_MEMATTR_STAGE2_LEAF \
	_IOWR(KVM_MEMATTR_IOC, 0xa1, struct kvm_memattr_leaf)

/*
 * Execute AT S12E1R or AT S12E1W in the regime of a vCPU, with all interrupts
 * masked. A translation that faults is no error: it is what @par_el1 says.
 *
 *  -EBADF	@vcpu_fd is not an open file descriptor
 *  -EINVAL	@vcpu_fd is not a vCPU, or @flags has a bit set that it must not
 *  -EBUSY	the vCPU runs, or another ioctl works on it
 *  -ENOEXEC	the vCPU has never run, so KVM has not decided on its HCR_EL2
 *  -EACCES	the walk would read a stage-1 table that is not in Normal
 *		Write-Back memory, such as one in a BAR
 *  -EOPNOTSUPP	KVM_MEMATTR_INFO_TRANSLATE is not set, the vCPU has AArch32 at
 *		EL1, it has an EL2 and is not there or has no E2H there, its
 *		stage-1 tables are big-endian, what its TCR says of @va is
 *		reserved, its HCR_EL2 has no VM or E2H, or its VM has no stage-2
 *		tables
 *  -EIO	an earlier call could not restore the host's registers (the kernel
 *		log has a warning): restart the machine
 */
#define KVM_MEMATTR_TRANSLATE \
	_IOWR(KVM_MEMATTR_IOC, 0xa2, struct kvm_memattr_translate)

/*
 * What the machine makes of a pair of attributes when KVM has no part in it.
 *
 *  -EINVAL	a field is out of its range
 *  -EOPNOTSUPP	KVM_MEMATTR_INFO_CALIBRATE is not set, or the CPU lacks
 *		FEAT_S2FWB and KVM_MEMATTR_CALIBRATE_FWB is set
 *  -EIO	as for KVM_MEMATTR_TRANSLATE
 */
#define KVM_MEMATTR_CALIBRATE \
	_IOWR(KVM_MEMATTR_IOC, 0xa3, struct kvm_memattr_calibrate)

/*
 * Walk the page tables of the calling process in software, as the lockless
 * part of get_user_pages_fast() does. Nothing is faulted in.
 *
 *  -EINVAL	@flags is not 0, or @va is not a user address
 *  -ENOENT	no valid leaf maps @va
 *  -EIO	the tables contain something that the architecture reserves
 */
#define KVM_MEMATTR_HOST_PTE \
	_IOWR(KVM_MEMATTR_IOC, 0xa4, struct kvm_memattr_host_pte)

#endif /* SELFTEST_KVM_MEMATTR_UAPI_H */
