// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test module: lets user space see which memory attributes KVM/arm64 gave to
 * a page of a VM, and what the machine makes of them.
 *
 * Four questions, one ioctl each (see kvm_memattr_uapi.h):
 *
 * - STAGE2_LEAF: which stage-2 descriptor maps an IPA? A software walk, as
 *   kvm_pgtable_get_leaf() is not there for modules.
 * - TRANSLATE: which type does a VA have after both stages? AT S12E1x answers
 *   that, but only where the kernel runs at EL2 and can install the VM's
 *   stage 2 and the guest's stage 1 for the one instruction.
 * - CALIBRATE: the same for a pair of attributes and tables of our own. Where
 *   KVM's answer is not what the architecture says, this tells whether KVM or
 *   the machine is to blame.
 *
 * - HOST_PTE: how does the calling process, the VMM, map the page for itself?
 *
 * Neither a VM nor its memory is ever written to.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/capability.h>
#include <linux/cpufeature.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/kvm_host.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>

#include <asm/barrier.h>
#include <asm/cputype.h>
#include <asm/daifflags.h>
#include <asm/kvm_arm.h>
#include <asm/kvm_pgtable.h>
#include <asm/sysreg.h>
#include <asm/tlbflush.h>
#include <asm/virt.h>

#include "kvm_memattr_uapi.h"

/* Which of the two kernels' structures this is, is the Makefile's to find out */
#ifdef KVM_MEMATTR_VTCR_IN_MMU
#define vm_vtcr(kvm)	((kvm)->arch.mmu.vtcr)
#else
#define vm_vtcr(kvm)	((kvm)->arch.vtcr)
#endif

/* Descriptor fields of the stages, DDI 0487 D8.3.1 and D8.3.2 */
#define DESC_TYPE		GENMASK_ULL(1, 0)
#define DESC_TYPE_TABLE		3	/* above level 3 */
#define DESC_TYPE_PAGE		3	/* at level 3 */
#define DESC_TYPE_BLOCK		1	/* reserved at level 3 */
#define DESC_SH			GENMASK_ULL(9, 8)
#define DESC_AF			BIT_ULL(10)
#define DESC_CONTIG		BIT_ULL(52)
#define S1_DESC_ATTRINDX	GENMASK_ULL(4, 2)
#define S1_DESC_XN		GENMASK_ULL(54, 53)
#define S2_DESC_MEMATTR		GENMASK_ULL(5, 2)
#define S2_DESC_S2AP		GENMASK_ULL(7, 6)
#define S2_DESC_XN		GENMASK_ULL(54, 53)

#define S2_MEMATTR_WB		0xf
#define S2_MEMATTR_FWB_WB	0x6
#define SH_INNER		3

#define LAST_LEVEL		3

/* With DS set (FEAT_LPA2), SH moves from the descriptors to VTCR_EL2 or TCR */
#define VTCR_DS			BIT_ULL(32)
#define TCR_DS_BIT		BIT_ULL(59)
#define VTCR_SH0		GENMASK_ULL(13, 12)

/* SCTLR_EL1 bits that are RES1 where the feature behind them is missing */
#define SCTLR_EL1_ONES		(BIT(29) | BIT(28) | BIT(23) | BIT(22) | \
				 BIT(20) | BIT(11))

/*
 * Input size of our own stages. 32 bits is not larger than the smallest
 * PARange, and makes a walk start at level 1 with 4K and at level 2 with 16K
 * and 64K granules, which SL0 == 1 says for stage 2 with all three of them.
 */
#define OWN_T0SZ		32
#define OWN_SL0			1
#define OWN_START_LEVEL		(PAGE_SHIFT == 12 ? 1 : 2)

/**
 * struct regime - all that makes up the EL1&0 translation regime
 * @sctlr: SCTLR_EL1
 * @tcr: TCR_EL1
 * @ttbr0: TTBR0_EL1
 * @ttbr1: TTBR1_EL1
 * @mair: MAIR_EL1
 * @vtcr: VTCR_EL2
 * @vttbr: VTTBR_EL2
 * @hcr: HCR_EL2
 * @hcrx: HCRX_EL2, where the CPU has it. It enables registers that no caller
 *	gives and that may hold anything, TCR2_EL1 above all; 0 turns them off.
 * @par: PAR_EL1
 */
struct regime {
	u64 sctlr;
	u64 tcr;
	u64 ttbr0;
	u64 ttbr1;
	u64 mair;
	u64 vtcr;
	u64 vttbr;
	u64 hcr;
	u64 hcrx;
	u64 par;
};

/**
 * struct own_tables - translation tables of CALIBRATE
 * @s1: stage-1 table for each level in use
 * @s2: stage-2 table for each level in use
 * @target: the page that VA 0 and IPA 0 map to; nobody accesses it
 *
 * IPA page 0 is @target, the pages behind it are @s1 by level.
 */
struct own_tables {
	u64 *s1[LAST_LEVEL + 1];
	u64 *s2[LAST_LEVEL + 1];
	void *target;
};

static struct own_tables own;
static bool own_usable;

/* Protects the contents of own's tables from being changed while in use */
static DEFINE_MUTEX(own_lock);

/*
 * Set for good when a call could not put back what it had found. From then on
 * nothing that runs on this host proves anything.
 */
static bool broken;

static bool cpu_has_fwb(void)
{
	return cpus_have_final_cap(ARM64_HAS_STAGE2_FWB);
}

/* Of the CPU that we are on: it is this one's register that is accessed */
static bool cpu_has_hcrx(void)
{
	return cpuid_feature_extract_unsigned_field(read_cpuid(ID_AA64MMFR1_EL1),
						    ID_AA64MMFR1_EL1_HCX_SHIFT);
}

/* All but HCR_EL2, which needs its own place in the order of things */
static void regime_load(const struct regime *r)
{
	write_sysreg_s(r->sctlr, SYS_SCTLR_EL12);
	write_sysreg_s(r->tcr, SYS_TCR_EL12);
	write_sysreg_s(r->ttbr0, SYS_TTBR0_EL12);
	write_sysreg_s(r->ttbr1, SYS_TTBR1_EL12);
	write_sysreg_s(r->mair, SYS_MAIR_EL12);
	write_sysreg(r->vtcr, vtcr_el2);
	write_sysreg(r->vttbr, vttbr_el2);
	if (cpu_has_hcrx())
		write_sysreg_s(r->hcrx, SYS_HCRX_EL2);
	write_sysreg(r->par, par_el1);
}

static void regime_save(struct regime *r)
{
	r->sctlr = read_sysreg_s(SYS_SCTLR_EL12);
	r->tcr = read_sysreg_s(SYS_TCR_EL12);
	r->ttbr0 = read_sysreg_s(SYS_TTBR0_EL12);
	r->ttbr1 = read_sysreg_s(SYS_TTBR1_EL12);
	r->mair = read_sysreg_s(SYS_MAIR_EL12);
	r->vtcr = read_sysreg(vtcr_el2);
	r->vttbr = read_sysreg(vttbr_el2);
	r->hcr = read_sysreg(hcr_el2);
	r->hcrx = cpu_has_hcrx() ? read_sysreg_s(SYS_HCRX_EL2) : 0;
	r->par = read_sysreg_par();
}

/*
 * KVM caches what a guest uses under the guest's VMID; we use VMID 0, which
 * KVM's allocator keeps for itself and never hands out. Nothing may be left of
 * an earlier use of it before an AT, and nothing of ours afterwards.
 */
static void regime_flush(void)
{
	__tlbi(vmalls12e1);
	dsb(nsh);
	isb();
}

/*
 * AmpereOne erratum AC04_CPU_23: a translation that is under way may see a mix
 * of the old and the new value.
 */
static void hcr_load(u64 hcr)
{
	dsb(nsh);
	write_sysreg(hcr, hcr_el2);
	isb();
}

/**
 * regime_at() - translate a VA in a regime that is not the current one
 * @r: the regime, with HCR_EL2.TGE clear
 * @va: virtual address
 * @write: AT S12E1W instead of AT S12E1R
 *
 * Context: any, in a kernel that runs at EL2 with E2H. All interrupts are
 * masked: one that ended in a context switch would take another task to EL0
 * with TGE clear, and so into a regime that is not the host's.
 * Return: PAR_EL1
 */
static u64 regime_at(const struct regime *r, u64 va, bool write)
{
	struct regime host, now;
	unsigned long daif;
	u64 par;

	daif = local_daif_save();
	regime_save(&host);

	/*
	 * Erratum 1165522 and its kin: a speculative AT may use the regime
	 * from the moment TGE is clear, so it has to be complete before.
	 */
	regime_load(r);
	isb();
	hcr_load(r->hcr);

	regime_flush();
	if (write)
		asm volatile("at s12e1w, %0" : : "r" (va) : "memory");
	else
		asm volatile("at s12e1r, %0" : : "r" (va) : "memory");
	isb();
	par = read_sysreg_par();
	regime_flush();

	/* And it has to stay complete until TGE is set again */
	hcr_load(host.hcr);
	regime_load(&host);
	isb();
	regime_save(&now);

	local_daif_restore(daif);

	if (WARN_ONCE(memcmp(&now, &host, sizeof(host)),
		      "the host's EL1&0 regime has not been restored\n"))
		WRITE_ONCE(broken, true);

	return par;
}

/*
 * HCR_EL2 for an AT. Interrupts and SErrors are routed to EL2, where they
 * stay masked, so that none can be taken to an EL1 that does not exist.
 */
static u64 regime_hcr(bool fwb)
{
	u64 hcr = HCR_E2H | HCR_RW | HCR_VM | HCR_AMO | HCR_IMO | HCR_FMO;

	return fwb ? hcr | HCR_FWB : hcr;
}

/**
 * vm_get() - take a reference to the VM behind a file descriptor
 * @fd: file descriptor of the calling process
 *
 * Return: the VM, to be released with kvm_put_kvm(); -EBADF or -EINVAL
 */
static struct kvm *vm_get(int fd)
{
	struct file *file = fget(fd);
	struct kvm *kvm;

	if (!file)
		return ERR_PTR(-EBADF);

	if (file_is_kvm(file)) {
		kvm = file->private_data;
		kvm_get_kvm(kvm);
	} else {
		kvm = ERR_PTR(-EINVAL);
	}
	fput(file);

	return kvm;
}

/* Stage 2 as KVM runs the VM: kvm_pgtable's stage2_has_fwb() is not for modules */
static bool vm_has_fwb(const struct kvm_pgtable *pgt)
{
	return cpu_has_fwb() && !(pgt->flags & KVM_PGTABLE_S2_NOFWB);
}

/**
 * vm_stage2() - the VM's stage-2 tables, if the host has them
 * @kvm: the VM
 *
 * Context: kvm->mmu_lock held for write, which keeps KVM from freeing a table
 * of it, or all of them when the VM's memory goes away, until it is released.
 * Return: the page table or -EOPNOTSUPP
 */
static struct kvm_pgtable *vm_stage2(struct kvm *kvm)
{
	struct kvm_pgtable *pgt;

	lockdep_assert_held_write(&kvm->mmu_lock);

#ifdef KVM_MEMATTR_PKVM_MAPPINGS
	/* The host only keeps a list of what it asked the hypervisor to map */
	if (is_protected_kvm_enabled())
		return ERR_PTR(-EOPNOTSUPP);
#endif
	pgt = kvm->arch.mmu.pgt;
	if (!pgt || !kvm->arch.mmu.pgd_phys)
		return ERR_PTR(-EOPNOTSUPP);

	return pgt;
}

/**
 * walk() - walk the tables of either stage
 * @table: the table(s) at the start level
 * @level: the start level
 * @ia: input address, no wider than the tables are
 * @leaf: set to the leaf's descriptor
 *
 * The start level takes all of the remaining bits as its index: a stage 2 may
 * have up to 16 tables there (D8.2.4), one after the other.
 *
 * Context: whatever keeps the tables from being freed
 * Return: level of the leaf, -ENOENT or -EIO
 */
static int walk(phys_addr_t table, int level, u64 ia, u64 *leaf)
{
	u64 index = ia >> ARM64_HW_PGTABLE_LEVEL_SHIFT(level), desc;

	for (;;) {
		if (!pfn_valid(PHYS_PFN(table)))
			return -EIO;

		desc = READ_ONCE(((u64 *)phys_to_virt(table))[index]);
		if (!kvm_pte_valid(desc))
			return -ENOENT;

		if (level == LAST_LEVEL) {
			if (FIELD_GET(DESC_TYPE, desc) != DESC_TYPE_PAGE)
				return -EIO;
			break;
		}
		if (FIELD_GET(DESC_TYPE, desc) == DESC_TYPE_BLOCK) {
			if (level < (int)KVM_PGTABLE_MIN_BLOCK_LEVEL)
				return -EIO;
			break;
		}

		table = kvm_pte_to_phys(desc);
		level++;
		index = (ia >> ARM64_HW_PGTABLE_LEVEL_SHIFT(level)) &
			(PTRS_PER_PTE - 1);
	}
	*leaf = desc;

	return level;
}

/**
 * vm_leaf() - find the stage-2 leaf for an IPA
 * @kvm: the VM
 * @leaf: the request, completed on success
 *
 * Context: kvm->mmu_lock held for write
 * Return: 0, -EOPNOTSUPP, -EINVAL, -ENOENT or -EIO
 */
static int vm_leaf(struct kvm *kvm, struct kvm_memattr_leaf *leaf)
{
	struct kvm_pgtable *pgt = vm_stage2(kvm);
	u64 vtcr = vm_vtcr(kvm), desc;
	int level;

	if (IS_ERR(pgt))
		return PTR_ERR(pgt);

	if (leaf->ipa >> pgt->ia_bits)
		return -EINVAL;

	level = walk(kvm->arch.mmu.pgd_phys, pgt->start_level, leaf->ipa, &desc);
	if (level < 0)
		return level;

	leaf->size = BIT_ULL(ARM64_HW_PGTABLE_LEVEL_SHIFT(level));
	leaf->base = leaf->ipa & ~(leaf->size - 1);
	leaf->desc = desc;
	leaf->oa = kvm_pte_to_phys(desc) & ~(leaf->size - 1);
	leaf->level = level;
	leaf->memattr = FIELD_GET(S2_DESC_MEMATTR, desc);
	leaf->sh = vtcr & VTCR_DS ? FIELD_GET(VTCR_SH0, vtcr) :
				    FIELD_GET(DESC_SH, desc);
	leaf->s2ap = FIELD_GET(S2_DESC_S2AP, desc);
	leaf->xn = FIELD_GET(S2_DESC_XN, desc);
	leaf->af = FIELD_GET(DESC_AF, desc);
	leaf->contig = FIELD_GET(DESC_CONTIG, desc);
	leaf->fwb = vm_has_fwb(pgt);
	memset(leaf->reserved, 0, sizeof(leaf->reserved));

	return 0;
}

static int ioctl_leaf(struct kvm_memattr_leaf *leaf)
{
	struct kvm *kvm;
	int ret;

	if (leaf->flags)
		return -EINVAL;

	kvm = vm_get(leaf->vm_fd);
	if (IS_ERR(kvm))
		return PTR_ERR(kvm);

	write_lock(&kvm->mmu_lock);
	ret = vm_leaf(kvm, leaf);
	write_unlock(&kvm->mmu_lock);

	kvm_put_kvm(kvm);

	return ret;
}

static int ioctl_translate(struct kvm_memattr_translate *tr)
{
	struct regime r = {
		.sctlr = tr->sctlr_el1,
		.tcr = tr->tcr_el1,
		/* No other CPU has these tables to share a TLB entry with us */
		.ttbr0 = tr->ttbr0_el1 & ~TTBR_CNP_BIT,
		.ttbr1 = tr->ttbr1_el1 & ~TTBR_CNP_BIT,
		.mair = tr->mair_el1,
	};
	struct kvm_pgtable *pgt;
	struct kvm *kvm;
	int ret = 0;

	if (tr->flags & ~KVM_MEMATTR_TRANSLATE_WRITE)
		return -EINVAL;
	if (tr->tcr_el1 & (TCR_HA | TCR_HD))
		return -EINVAL;
	if (!is_kernel_in_hyp_mode())
		return -EOPNOTSUPP;
	if (READ_ONCE(broken))
		return -EIO;

	kvm = vm_get(tr->vm_fd);
	if (IS_ERR(kvm))
		return PTR_ERR(kvm);

	write_lock(&kvm->mmu_lock);
	pgt = vm_stage2(kvm);
	if (IS_ERR(pgt)) {
		ret = PTR_ERR(pgt);
	} else {
		/* The walk must not set an access flag or a dirty state */
		r.vtcr = vm_vtcr(kvm) & ~(u64)(VTCR_EL2_HA | VTCR_EL2_HD);
		r.vttbr = phys_to_ttbr(kvm->arch.mmu.pgd_phys);
		/*
		 * As KVM does, keep the walk of the guest's tables out of
		 * Device memory.
		 */
		r.hcr = regime_hcr(vm_has_fwb(pgt)) | HCR_PTW;
		tr->par_el1 = regime_at(&r, tr->va,
					tr->flags & KVM_MEMATTR_TRANSLATE_WRITE);
	}
	write_unlock(&kvm->mmu_lock);

	kvm_put_kvm(kvm);

	return ret;
}

static u64 own_desc(void *page, u64 attrs)
{
	u64 pa = virt_to_phys(page);

	/* OA[51:48] of a 64K granule; own_alloc() has seen to the others */
	return pa | ((pa >> 36) & GENMASK_ULL(15, 12)) | attrs;
}

static u64 own_s1_ipa(int level)
{
	return (u64)(1 + level - OWN_START_LEVEL) << PAGE_SHIFT;
}

static void own_map(const struct kvm_memattr_calibrate *cal, bool fwb)
{
	u64 s2 = DESC_TYPE_PAGE | DESC_AF | S2_DESC_S2AP | S2_DESC_XN;
	u64 s2_table = s2 | FIELD_PREP(DESC_SH, SH_INNER) |
		       FIELD_PREP(S2_DESC_MEMATTR,
				  fwb ? S2_MEMATTR_FWB_WB : S2_MEMATTR_WB);
	u64 s2_target = s2 | FIELD_PREP(DESC_SH, cal->s2_sh) |
			FIELD_PREP(S2_DESC_MEMATTR, cal->memattr);
	u64 s1_target = DESC_TYPE_PAGE | DESC_AF | S1_DESC_XN |
			FIELD_PREP(DESC_SH, cal->s1_sh);
	int level;

	lockdep_assert_held(&own_lock);

	for (level = OWN_START_LEVEL; level < LAST_LEVEL; level++) {
		own.s1[level][0] = own_s1_ipa(level + 1) | DESC_TYPE_TABLE;
		own.s2[level][0] = own_desc(own.s2[level + 1], DESC_TYPE_TABLE);
	}
	own.s1[LAST_LEVEL][0] = s1_target;	/* IPA 0, AttrIndx 0 */
	own.s2[LAST_LEVEL][0] = own_desc(own.target, s2_target);
	for (level = OWN_START_LEVEL; level <= LAST_LEVEL; level++)
		own.s2[LAST_LEVEL][own_s1_ipa(level) >> PAGE_SHIFT] =
			own_desc(own.s1[level], s2_table);

	/* Make the tables visible to the walker; regime_flush() does the rest */
	dsb(ishst);
}

static u64 own_vtcr(void)
{
	u64 ps = read_sanitised_ftr_reg(SYS_ID_AA64MMFR0_EL1) & 0xf;

	/* 6 is 52 bits, which takes the 64K granule or VTCR_EL2.DS */
	ps = min_t(u64, ps, PAGE_SHIFT == 16 ? 6 : 5);

	return VTCR_EL2_FLAGS | VTCR_EL2_T0SZ(64 - OWN_T0SZ) |
	       (OWN_SL0 << VTCR_EL2_SL0_SHIFT) | (ps << VTCR_EL2_PS_SHIFT);
}

static u64 own_tcr(void)
{
	u64 tcr = TCR_T0SZ(64 - OWN_T0SZ) | TCR_T1SZ(64 - OWN_T0SZ) |
		  TCR_EPD1_MASK | TCR_IRGN0_WBWA | TCR_ORGN0_WBWA |
		  TCR_SH0_INNER;

	switch (PAGE_SHIFT) {
	case 12:
		return tcr | TCR_TG0_4K | TCR_TG1_4K;
	case 14:
		return tcr | TCR_TG0_16K | TCR_TG1_16K;
	default:
		return tcr | TCR_TG0_64K | TCR_TG1_64K;
	}
}

static bool sh_valid(u8 sh)
{
	return sh <= 3 && sh != 1;
}

static int ioctl_calibrate(struct kvm_memattr_calibrate *cal)
{
	bool fwb = cal->flags & KVM_MEMATTR_CALIBRATE_FWB;
	struct regime r = { };

	if (cal->flags & ~KVM_MEMATTR_CALIBRATE_FWB)
		return -EINVAL;
	if (cal->memattr > 15 || !sh_valid(cal->s1_sh) || !sh_valid(cal->s2_sh))
		return -EINVAL;
	if (!own_usable || (fwb && !cpu_has_fwb()))
		return -EOPNOTSUPP;
	if (READ_ONCE(broken))
		return -EIO;

	r.sctlr = SCTLR_ELx_M | SCTLR_ELx_C | SCTLR_ELx_I | SCTLR_EL1_ONES;
	r.tcr = own_tcr();
	r.ttbr0 = own_s1_ipa(OWN_START_LEVEL);
	r.mair = cal->mair;
	r.vtcr = own_vtcr();
	r.vttbr = phys_to_ttbr(virt_to_phys(own.s2[OWN_START_LEVEL]));
	r.hcr = regime_hcr(fwb);

	mutex_lock(&own_lock);
	own_map(cal, fwb);
	cal->par_el1 = regime_at(&r, 0, false);
	mutex_unlock(&own_lock);

	return 0;
}

static int ioctl_host_pte(struct kvm_memattr_host_pte *pte)
{
	u64 tcr = read_sysreg(tcr_el1), mair = read_sysreg(mair_el1), desc = 0;
	int va_bits = 64 - FIELD_GET(TCR_T0SZ_MASK, tcr);
	unsigned long flags;
	int level;

	if (pte->flags || pte->va >> va_bits)
		return -EINVAL;

	/*
	 * As in get_user_pages_fast(): tables are freed by RCU or after an IPI
	 * to all CPUs that use this mm, so not while IRQs are off here.
	 */
	level = LAST_LEVEL + 1 -
		DIV_ROUND_UP(va_bits - PAGE_SHIFT, PAGE_SHIFT - 3);
	local_irq_save(flags);
	level = walk(virt_to_phys(current->mm->pgd), level, pte->va, &desc);
	local_irq_restore(flags);
	if (level < 0)
		return level;

	pte->level = level;
	pte->desc = desc;
	pte->size = BIT_ULL(ARM64_HW_PGTABLE_LEVEL_SHIFT(level));
	pte->base = pte->va & ~(pte->size - 1);
	pte->oa = __pte_to_phys(__pte(desc)) & ~(pte->size - 1);
	pte->attr = mair >> (8 * FIELD_GET(S1_DESC_ATTRINDX, desc));
	pte->sh = tcr & TCR_DS_BIT ? FIELD_GET(TCR_SH0_MASK, tcr) :
				     FIELD_GET(DESC_SH, desc);
	memset(pte->reserved, 0, sizeof(pte->reserved));

	return 0;
}

static void ioctl_info(struct kvm_memattr_info *info)
{
	u64 isar1 = read_sysreg_s(SYS_ID_AA64ISAR1_EL1);
	u64 pfr1 = read_sysreg_s(SYS_ID_AA64PFR1_EL1);
	u64 pfr2 = read_sysreg_s(sys_reg(3, 0, 0, 4, 2));	/* ID_AA64PFR2_EL1 */
	u32 flags = KVM_MEMATTR_INFO_LEAF;

	if (is_kernel_in_hyp_mode())
		flags |= KVM_MEMATTR_INFO_VHE | KVM_MEMATTR_INFO_TRANSLATE;
	if (own_usable)
		flags |= KVM_MEMATTR_INFO_CALIBRATE;
	if (is_protected_kvm_enabled()) {
		flags |= KVM_MEMATTR_INFO_PROTECTED;
#ifdef KVM_MEMATTR_PKVM_MAPPINGS
		flags &= ~KVM_MEMATTR_INFO_LEAF;
#endif
	}
	if (cpu_has_fwb())
		flags |= KVM_MEMATTR_INFO_FWB;

	/*
	 * Not the sanitised values: these say how the MMU reads a MAIR, not
	 * whether the kernel lets anybody use the feature.
	 */
	if (FIELD_GET(GENMASK_ULL(59, 56), isar1))	/* XS */
		flags |= KVM_MEMATTR_INFO_XS;
	if (FIELD_GET(GENMASK_ULL(11, 8), pfr1) >= 2)	/* MTE */
		flags |= KVM_MEMATTR_INFO_MTE2;
	if (FIELD_GET(GENMASK_ULL(3, 0), pfr2))		/* MTEPERM */
		flags |= KVM_MEMATTR_INFO_MTE_PERM;

	info->version = KVM_MEMATTR_VERSION;
	info->flags = flags;
	info->page_shift = PAGE_SHIFT;
	info->midr = read_cpuid_id();
}

static long memattr_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	void __user *uarg = (void __user *)arg;
	union {
		struct kvm_memattr_info info;
		struct kvm_memattr_leaf leaf;
		struct kvm_memattr_translate tr;
		struct kvm_memattr_calibrate cal;
		struct kvm_memattr_host_pte pte;
	} u;
	int ret = 0;

	memset(&u, 0, sizeof(u));

	switch (cmd) {
	case KVM_MEMATTR_INFO:
		ioctl_info(&u.info);
		break;
	case KVM_MEMATTR_STAGE2_LEAF:
		if (copy_from_user(&u.leaf, uarg, sizeof(u.leaf)))
			return -EFAULT;
		ret = ioctl_leaf(&u.leaf);
		break;
	case KVM_MEMATTR_TRANSLATE:
		if (copy_from_user(&u.tr, uarg, sizeof(u.tr)))
			return -EFAULT;
		ret = ioctl_translate(&u.tr);
		break;
	case KVM_MEMATTR_CALIBRATE:
		if (copy_from_user(&u.cal, uarg, sizeof(u.cal)))
			return -EFAULT;
		ret = ioctl_calibrate(&u.cal);
		break;
	case KVM_MEMATTR_HOST_PTE:
		if (copy_from_user(&u.pte, uarg, sizeof(u.pte)))
			return -EFAULT;
		ret = ioctl_host_pte(&u.pte);
		break;
	default:
		return -ENOTTY;
	}

	if (!ret && copy_to_user(uarg, &u, _IOC_SIZE(cmd)))
		ret = -EFAULT;

	return ret;
}

static int memattr_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	return nonseekable_open(inode, file);
}

static const struct file_operations memattr_fops = {
	.owner		= THIS_MODULE,
	.open		= memattr_open,
	.unlocked_ioctl	= memattr_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice memattr_misc = {
	.minor		= MISC_DYNAMIC_MINOR,
	.name		= "kvm_memattr",
	.fops		= &memattr_fops,
	.mode		= 0600,
};

static void own_free(void)
{
	int level;

	for (level = OWN_START_LEVEL; level <= LAST_LEVEL; level++) {
		free_page((unsigned long)own.s1[level]);
		free_page((unsigned long)own.s2[level]);
	}
	free_page((unsigned long)own.target);
}

static void *own_page(void)
{
	void *page = (void *)get_zeroed_page(GFP_KERNEL);

	/* Only the 64K granule reaches beyond 48 bits without VTCR_EL2.DS */
	if (page && PAGE_SHIFT != 16 && virt_to_phys(page) >> 48) {
		free_page((unsigned long)page);
		page = NULL;
	}

	return page;
}

static int own_alloc(void)
{
	int level;

	for (level = OWN_START_LEVEL; level <= LAST_LEVEL; level++) {
		own.s1[level] = own_page();
		own.s2[level] = own_page();
		if (!own.s1[level] || !own.s2[level])
			goto fail;
	}
	own.target = own_page();
	if (!own.target)
		goto fail;

	return 0;

fail:
	own_free();
	return -ENOMEM;
}

static int __init memattr_init(void)
{
	int ret;

	if (is_kernel_in_hyp_mode()) {
		ret = own_alloc();
		if (ret)
			return ret;
		own_usable = true;
	}

	ret = misc_register(&memattr_misc);
	if (ret)
		own_free();

	return ret;
}
module_init(memattr_init);

static void __exit memattr_exit(void)
{
	misc_deregister(&memattr_misc);
	own_free();
}
module_exit(memattr_exit);

MODULE_DESCRIPTION("KVM/arm64 stage-2 memory attribute test module");
MODULE_LICENSE("GPL");
