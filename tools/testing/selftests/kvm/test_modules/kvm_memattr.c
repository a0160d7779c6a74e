// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test module: lets user space see which memory attributes KVM/arm64 gave to
 * a page of a VM, and what the machine makes of them.
 *
 * Four questions, one ioctl each (see kvm_memattr_uapi.h):
 *
 * - STAGE2_LEAF: which stage-2 descriptor maps an IPA? A software walk, as
 *   kvm_pgtable_get_leaf() is not there for modules.
 * - TRANSLATE: which type does a VA have for a vCPU, after both stages? AT
 *   S12E1x answers that, but only where the kernel runs at EL2 and can install
 *   the vCPU's regime for the one instruction.
 * - CALIBRATE: the same for a pair of attributes and tables of our own. Where
 *   KVM's answer is not what the architecture says, this tells whether KVM or
 *   the machine is to blame.
 * - HOST_PTE: how does the calling process, the VMM, map the page for itself?
 *
 * Neither a VM nor its memory is ever written to.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/arm-smccc.h>
#include <linux/bitfield.h>
#include <linux/capability.h>
#include <linux/cpufeature.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/magic.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/barrier.h>
#include <asm/cputype.h>
#include <asm/daifflags.h>
#include <asm/hypervisor.h>
#include <asm/kvm_arm.h>
#include <asm/kvm_emulate.h>
#include <asm/kvm_pgtable.h>
#include <asm/memory.h>
#include <asm/sysreg.h>
#include <asm/tlbflush.h>
#include <asm/virt.h>

#include "kvm_memattr_uapi.h"

/*
 * VTCR_EL2 went from struct kvm_arch to struct kvm_s2_mmu shortly before
 * KVM's page tables got a name for their last level.
 */
#ifdef KVM_PGTABLE_LAST_LEVEL
#define vm_vtcr(kvm)	((kvm)->arch.mmu.vtcr)
#else
#define vm_vtcr(kvm)	((kvm)->arch.vtcr)
#endif

/* Bits for which the names, or what they say, differ between kernel versions */
#define DESC_VALID		BIT_ULL(0)
#define DESC_TABLE		BIT_ULL(1)	/* a page at the last level */
#define DESC_SH			GENMASK_ULL(9, 8)
#define DESC_AF			BIT_ULL(10)
#define DESC_CONTIG		BIT_ULL(52)
#define DESC_XN			GENMASK_ULL(54, 53)
#define DESC_OA			GENMASK_ULL(47, 12)
#define DESC_OA_64K		GENMASK_ULL(15, 12)	/* OA[51:48] */
#define DESC_OA_LPA2		GENMASK_ULL(49, 48)	/* OA[49:48] */
#define DESC_OA_LPA2_HIGH	GENMASK_ULL(9, 8)	/* OA[51:50] */
#define S1_DESC_ATTRINDX	GENMASK_ULL(4, 2)
#define S2_DESC_MEMATTR		GENMASK_ULL(5, 2)
#define S2_DESC_S2AP		GENMASK_ULL(7, 6)
#define SH_INNER		3

/* TCR_EL1, TCR_EL2 of a host at EL2, and the first four VTCR_EL2 as well */
#define TCR_T0			GENMASK_ULL(5, 0)
#define TCR_WBWA		(BIT_ULL(10) | BIT_ULL(8))	/* ORGN0, IRGN0 */
#define TCR_SH0			GENMASK_ULL(13, 12)
#define TCR_G0			GENMASK_ULL(15, 14)
#define TCR_T1			GENMASK_ULL(21, 16)
#define TCR_EPD1		BIT_ULL(23)
#define TCR_G1			GENMASK_ULL(31, 30)
#define TCR_PS			GENMASK_ULL(34, 32)
#define TCR_HAHD		GENMASK_ULL(40, 39)
#define TCR_LPA2		BIT_ULL(59)
#define VTCR_SL0		GENMASK_ULL(7, 6)
#define VTCR_PS			GENMASK_ULL(18, 16)
#define VTCR_HAHD		GENMASK_ULL(22, 21)
#define VTCR_ONES		BIT_ULL(31)
#define VTCR_LPA2		BIT_ULL(32)
#define PS_48_BITS		5
#define PS_52_BITS		6
#define TTBR_CNP		BIT_ULL(0)

/* SCTLR_EL1: EE, and the bits that are RES1 where a feature is missing */
#define SCTLR_BIG_ENDIAN	BIT_ULL(25)
#define SCTLR_ONES		(BIT_ULL(29) | BIT_ULL(28) | BIT_ULL(23) | \
				 BIT_ULL(22) | BIT_ULL(20) | BIT_ULL(11))

#define LAST_LEVEL		3

/*
 * Input size of our own stages. 32 bits is not larger than the smallest
 * PARange, and makes a walk start at level 1 with 4K and at level 2 with 16K
 * and 64K granules, which SL0 == 1 says for stage 2 with all three of them.
 */
#define OWN_T0SZ		32
#define OWN_SL0			1
#define OWN_START_LEVEL		(PAGE_SHIFT == 12 ? 1 : 2)

/* All that makes up the EL1&0 translation regime */
struct regime {
	u64 sctlr, tcr, ttbr0, ttbr1, mair, amair, vtcr, vttbr, hcr;
	/*
	 * HCRX_EL2, where the CPU has it: 0 turns off what not all versions of
	 * KVM save for a vCPU, TCR2_EL1 above all
	 */
	u64 hcrx;
	u64 par;
};

/* Translation tables of either stage */
struct tables {
	u64 base;		/* the table(s) at the start level */
	int level;		/* the start level */
	int shift;		/* log2 of the granule */
	bool lpa2;		/* 52-bit addresses with less than 64K */
	struct kvm *kvm;	/* of a guest's stage 1: addresses are IPAs */
};

/*
 * Eight pages: the target, stage-1 tables by level, and behind these stage-2
 * tables by level. IPA page n is page n; VA 0 is IPA 0, which nobody accesses.
 */
#define OWN_ORDER		3
#define OWN_TARGET		0
#define OWN_S1(level)		(level)
#define OWN_S2(level)		(LAST_LEVEL + 1 + (level))

static void *own;

/* Keeps the contents of own's tables from being changed while in use */
static DEFINE_MUTEX(own_lock);

/* The regime is ours to change, and AT is the CPU's answer: see INFO_NESTED */
static bool at_usable;

/*
 * Set for good when a call could not put back what it had found. From then on
 * nothing that runs on this host proves anything.
 */
static bool broken;

/* What KVM's page-table code goes by */
static bool system_has_fwb(void)
{
	return cpus_have_final_cap(ARM64_HAS_STAGE2_FWB);
}

/* Of the CPU that we are on: it is this one's register that is accessed */
static __always_inline bool cpu_has_hcrx(void)
{
	return cpuid_feature_extract_unsigned_field(read_cpuid(ID_AA64MMFR1_EL1),
						    ID_AA64MMFR1_EL1_HCX_SHIFT);
}

/* All but HCR_EL2, which needs its own place in the order of things */
static __always_inline void regime_load(const struct regime *r)
{
	write_sysreg_s(r->sctlr, SYS_SCTLR_EL12);
	write_sysreg_s(r->tcr, SYS_TCR_EL12);
	write_sysreg_s(r->ttbr0, SYS_TTBR0_EL12);
	write_sysreg_s(r->ttbr1, SYS_TTBR1_EL12);
	write_sysreg_s(r->mair, SYS_MAIR_EL12);
	write_sysreg_s(r->amair, SYS_AMAIR_EL12);
	write_sysreg(r->vtcr, vtcr_el2);
	write_sysreg(r->vttbr, vttbr_el2);
	if (cpu_has_hcrx())
		write_sysreg_s(r->hcrx, SYS_HCRX_EL2);
	write_sysreg(r->par, par_el1);
}

static __always_inline void regime_save(struct regime *r)
{
	r->sctlr = read_sysreg_s(SYS_SCTLR_EL12);
	r->tcr = read_sysreg_s(SYS_TCR_EL12);
	r->ttbr0 = read_sysreg_s(SYS_TTBR0_EL12);
	r->ttbr1 = read_sysreg_s(SYS_TTBR1_EL12);
	r->mair = read_sysreg_s(SYS_MAIR_EL12);
	r->amair = read_sysreg_s(SYS_AMAIR_EL12);
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
static __always_inline void regime_flush(void)
{
	__tlbi(vmalls12e1);
	dsb(nsh);
	isb();
}

/*
 * AmpereOne erratum AC04_CPU_23: a translation that is under way may see a mix
 * of the old and the new value.
 */
static __always_inline void hcr_load(u64 hcr)
{
	dsb(nsh);
	write_sysreg(hcr, hcr_el2);
	isb();
}

/**
 * regime_at() - translate a VA in a regime that is not the current one
 * @r: the regime, with HCR_EL2.TGE clear and E2H set
 * @va: virtual address
 * @write: AT S12E1W instead of AT S12E1R
 *
 * An AT can end in a synchronous external abort on the walk. KVM has an
 * exception table for its own, but that is for its vectors; the kernel's are in
 * use here, and their do_sea() looks at none. So the caller has to see to it
 * that the walk stays in memory.
 *
 * Context: any, in a kernel that runs at EL2 with E2H. All interrupts are
 * masked: one that ended in a context switch would take another task to EL0
 * with TGE clear, and so into a regime that is not the host's. Neither ftrace
 * nor a kprobe may get in between.
 * Return: PAR_EL1
 */
static noinline notrace u64 regime_at(const struct regime *r, u64 va, bool write)
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

NOKPROBE_SYMBOL(regime_at);

/*
 * Get the file of a VM or a vCPU, which keeps both alive. file_is_kvm() is not
 * for modules everywhere, and does not know vCPUs; but the name of an anonymous
 * inode is given by kernel code alone.
 */
static struct file *kvm_fget(int fd, const char *name, size_t len)
{
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (file_inode(file)->i_sb->s_magic == ANON_INODE_FS_MAGIC &&
	    !strncmp(file->f_path.dentry->d_name.name, name, len))
		return file;
	fput(file);

	return ERR_PTR(-EINVAL);
}

static int walk(const struct tables *t, u64 ia, u64 *leaf);

static u64 desc_to_oa(const struct tables *t, u64 desc)
{
	u64 oa = desc & DESC_OA & ~(BIT_ULL(t->shift) - 1);

	if (t->shift == 16)
		return oa | FIELD_GET(DESC_OA_64K, desc) << 48;
	if (t->lpa2)
		return oa | (desc & DESC_OA_LPA2) |
		       FIELD_GET(DESC_OA_LPA2_HIGH, desc) << 50;

	return oa;
}

static int level_shift(const struct tables *t, int level)
{
	return t->shift + (LAST_LEVEL - level) * (t->shift - 3);
}

/*
 * Find the stage-2 leaf for an IPA. kvm->mmu_lock keeps KVM from freeing a
 * table, or all of them when the VM's memory goes away.
 */
static int vm_leaf(struct kvm *kvm, struct kvm_memattr_leaf *leaf)
{
	struct kvm_pgtable *pgt = kvm->arch.mmu.pgt;
	struct tables t = {
		.base = kvm->arch.mmu.pgd_phys,
		.shift = PAGE_SHIFT,
		.lpa2 = vm_vtcr(kvm) & VTCR_LPA2,
	};
	int level;
	u64 desc;

	lockdep_assert_held_write(&kvm->mmu_lock);

	/* With pKVM the host may have lost its view: then pgd_phys is not set */
	if (!pgt || !t.base)
		return -EOPNOTSUPP;
	if (leaf->ipa >> pgt->ia_bits)
		return -EINVAL;

	t.level = pgt->start_level;
	level = walk(&t, leaf->ipa, &desc);
	if (level < t.level)
		return level;

	leaf->size = BIT_ULL(level_shift(&t, level));
	leaf->base = leaf->ipa & ~(leaf->size - 1);
	leaf->desc = desc;
	leaf->oa = desc_to_oa(&t, desc) & ~(leaf->size - 1);
	leaf->level = level;
	leaf->memattr = FIELD_GET(S2_DESC_MEMATTR, desc);
	leaf->sh = t.lpa2 ? FIELD_GET(TCR_SH0, vm_vtcr(kvm)) :
			    FIELD_GET(DESC_SH, desc);
	leaf->s2ap = FIELD_GET(S2_DESC_S2AP, desc);
	leaf->xn = FIELD_GET(DESC_XN, desc);
	leaf->af = FIELD_GET(DESC_AF, desc);
	leaf->contig = FIELD_GET(DESC_CONTIG, desc);
	leaf->fwb = system_has_fwb();
	memset(leaf->reserved, 0, sizeof(leaf->reserved));

	return 0;
}

/* One descriptor of a table, whose address may be an IPA */
static int read_desc(const struct tables *t, u64 addr, u64 *desc)
{
	if (t->kvm) {
		struct kvm_memattr_leaf leaf = { .ipa = addr };
		int ret = vm_leaf(t->kvm, &leaf);

		if (ret)
			return ret;
		if (leaf.memattr != (leaf.fwb ? MT_S2_FWB_NORMAL : MT_S2_NORMAL))
			return -EACCES;
		addr = leaf.oa + (addr - leaf.base);
	}
	if (!pfn_is_map_memory(PHYS_PFN(addr)))
		return -EACCES;
	*desc = READ_ONCE(*(u64 *)phys_to_virt(addr));

	return 0;
}

/*
 * Walk the tables of either stage for an input address no wider than they are.
 * The start level takes all of the remaining bits as its index: a stage 2 may
 * have up to 16 tables there, one after the other. Returns the leaf's level, or
 * less than the start level: an errno.
 */
static int walk(const struct tables *t, u64 ia, u64 *leaf)
{
	u64 table = t->base, index = ia >> level_shift(t, t->level), desc;
	int level = t->level, ret;

	for (;;) {
		ret = read_desc(t, table + index * sizeof(desc), &desc);
		if (ret)
			return ret;
		if (!(desc & DESC_VALID))
			return -ENOENT;
		if (level == LAST_LEVEL || !(desc & DESC_TABLE))
			break;

		table = desc_to_oa(t, desc);
		level++;
		index = (ia >> level_shift(t, level)) & (BIT(t->shift - 3) - 1);
	}
	if (level == LAST_LEVEL && !(desc & DESC_TABLE))
		return -EIO;
	*leaf = desc;

	return level;
}

/* The level at which a stage 1 with this TCR.TnSZ starts */
static int s1_start_level(const struct tables *t, int tsz)
{
	return LAST_LEVEL + 1 -
	       DIV_ROUND_UP(64 - tsz - t->shift, t->shift - 3);
}

/*
 * Does a walk of a guest's stage 1 stay in memory? HCR_EL2.PTW keeps it out of
 * what stage 2 maps as Device, but not out of a BAR that it maps Normal
 * Non-cacheable, where each descriptor is an MMIO read. Where this walk finds
 * nothing, AT's ends as well. kvm->mmu_lock, held for write, keeps stage 2 as it
 * is; a guest or VMM that changes its stage 1 meanwhile is trusted not to.
 */
static int check_tables(struct kvm *kvm, const struct regime *r, u64 va)
{
	static const int shift0[] = { 12, 16, 14, 0 }, shift1[] = { 0, 14, 12, 16 };
	bool upper = va & BIT_ULL(55);
	u64 ttbr = upper ? r->ttbr1 : r->ttbr0, desc;
	int tsz = upper ? FIELD_GET(TCR_T1, r->tcr) : FIELD_GET(TCR_T0, r->tcr);
	struct tables t = { .kvm = kvm, .lpa2 = r->tcr & TCR_LPA2 };
	int ret;

	if (!(r->sctlr & SCTLR_ELx_M))
		return 0;
	t.shift = upper ? shift1[FIELD_GET(TCR_G1, r->tcr)] :
			  shift0[FIELD_GET(TCR_G0, r->tcr)];
	/* What is reserved here may make AT walk elsewhere */
	if (r->sctlr & SCTLR_BIG_ENDIAN || !t.shift || tsz < 12 || tsz > 48)
		return -EOPNOTSUPP;

	t.level = s1_start_level(&t, tsz);
	t.base = ttbr & GENMASK_ULL(47, 1);
	if (FIELD_GET(TCR_PS, r->tcr) == PS_52_BITS && (t.lpa2 || t.shift == 16))
		t.base = (ttbr & GENMASK_ULL(47, 6)) |
			 FIELD_GET(GENMASK_ULL(5, 2), ttbr) << 48;

	ret = walk(&t, va & GENMASK_ULL(63 - tsz, 0), &desc);

	return ret == -EACCES || ret == -EOPNOTSUPP ? ret : 0;
}

static int ioctl_leaf(struct kvm_memattr_leaf *leaf)
{
	struct file *file;
	struct kvm *kvm;
	int ret;

	if (leaf->flags)
		return -EINVAL;
	file = kvm_fget(leaf->vm_fd, "kvm-vm", sizeof("kvm-vm"));
	if (IS_ERR(file))
		return PTR_ERR(file);
	kvm = file->private_data;

	write_lock(&kvm->mmu_lock);
	ret = vm_leaf(kvm, leaf);
	write_unlock(&kvm->mmu_lock);
	fput(file);

	return ret;
}

/* What stage 1 has at EL1, or at EL2, in the "ctxt" of a function */
#define CTXT_REGIME(el) {							\
	.sctlr = ctxt_sys_reg(ctxt, SCTLR_##el),				\
	/* The walk must not set an access flag or a dirty state */		\
	.tcr = ctxt_sys_reg(ctxt, TCR_##el) & ~TCR_HAHD,			\
	/* No other CPU has these tables to share a TLB entry with us */	\
	.ttbr0 = ctxt_sys_reg(ctxt, TTBR0_##el) & ~TTBR_CNP,			\
	.ttbr1 = ctxt_sys_reg(ctxt, TTBR1_##el) & ~TTBR_CNP,			\
	.mair = ctxt_sys_reg(ctxt, MAIR_##el),					\
	.amair = ctxt_sys_reg(ctxt, AMAIR_##el),				\
}

/*
 * Stage 1 where the vCPU is. KVM runs a guest's EL2 at EL1, with its registers as
 * they are if E2H is set. A guest's guest has another stage 2.
 */
static int vcpu_regime(struct kvm_vcpu *vcpu, struct regime *r)
{
	const struct kvm_cpu_context *ctxt = &vcpu->arch.ctxt;

	*r = (struct regime)CTXT_REGIME(EL1);
#ifdef KVM_ARM_VCPU_HAS_EL2
	if (vcpu_has_feature(vcpu, KVM_ARM_VCPU_HAS_EL2)) {
		if ((ctxt->regs.pstate & PSR_MODE_MASK) != PSR_MODE_EL2h ||
		    !(ctxt_sys_reg(ctxt, HCR_EL2) & HCR_E2H))
			return -EOPNOTSUPP;
		*r = (struct regime)CTXT_REGIME(EL2);
	}
#endif
	r->hcr = vcpu->arch.hcr_el2 & ~HCR_TGE;

	return ~r->hcr & (HCR_VM | HCR_E2H | HCR_RW) ? -EOPNOTSUPP : 0;
}

/*
 * With vcpu->mutex held the vCPU is not loaded, and its registers are where KVM
 * keeps them.
 */
static int vcpu_translate(struct kvm_vcpu *vcpu, struct kvm_memattr_translate *tr)
{
	struct kvm *kvm = vcpu->kvm;
	struct regime r;
	int ret;

	if (!vcpu_has_run_once(vcpu))
		return -ENOEXEC;
	ret = vcpu_regime(vcpu, &r);
	if (ret)
		return ret;

	ret = -EOPNOTSUPP;
	write_lock(&kvm->mmu_lock);
	if (kvm->arch.mmu.pgt)
		ret = check_tables(kvm, &r, tr->va);
	if (!ret) {
		r.vtcr = vm_vtcr(kvm) & ~VTCR_HAHD;
		r.vttbr = phys_to_ttbr(kvm->arch.mmu.pgd_phys);
		tr->par_el1 = regime_at(&r, tr->va,
					tr->flags & KVM_MEMATTR_TRANSLATE_WRITE);
		tr->hcr_el2 = vcpu->arch.hcr_el2;
	}
	write_unlock(&kvm->mmu_lock);

	return ret;
}

static int ioctl_translate(struct kvm_memattr_translate *tr)
{
	struct kvm_vcpu *vcpu;
	struct file *file;
	int ret = -EBUSY;

	if (tr->flags & ~KVM_MEMATTR_TRANSLATE_WRITE)
		return -EINVAL;
	file = kvm_fget(tr->vcpu_fd, "kvm-vcpu:", strlen("kvm-vcpu:"));
	if (IS_ERR(file))
		return PTR_ERR(file);
	vcpu = file->private_data;

	if (!at_usable) {
		ret = -EOPNOTSUPP;
	} else if (READ_ONCE(broken)) {
		ret = -EIO;
	} else if (mutex_trylock(&vcpu->mutex)) {
		ret = vcpu_translate(vcpu, tr);
		mutex_unlock(&vcpu->mutex);
	}
	fput(file);

	return ret;
}

static u64 *own_page(int nr)
{
	return own + nr * PAGE_SIZE;
}

/* memattr_init() has seen to it that only a 64K granule has PA[51:48] */
static u64 own_desc(int nr, u64 attrs)
{
	u64 pa = virt_to_phys(own_page(nr));

	return (pa & DESC_OA) | FIELD_PREP(DESC_OA_64K, pa >> 48) | attrs;
}

static void own_map(const struct kvm_memattr_calibrate *cal, bool fwb)
{
	u64 table = DESC_VALID | DESC_TABLE, page = table | DESC_AF | DESC_XN, attrs;
	int nr, level;

	lockdep_assert_held(&own_lock);

	for (level = OWN_START_LEVEL; level < LAST_LEVEL; level++) {
		*own_page(OWN_S1(level)) = (u64)OWN_S1(level + 1) << PAGE_SHIFT | table;
		*own_page(OWN_S2(level)) = own_desc(OWN_S2(level + 1), table);
	}
	/* AttrIndx 0 */
	*own_page(OWN_S1(LAST_LEVEL)) = page | FIELD_PREP(DESC_SH, cal->s1_sh);
	for (nr = OWN_TARGET; nr <= OWN_S1(LAST_LEVEL); nr++) {
		attrs = page | S2_DESC_S2AP;
		if (nr == OWN_TARGET)
			attrs |= FIELD_PREP(DESC_SH, cal->s2_sh) |
				 FIELD_PREP(S2_DESC_MEMATTR, cal->memattr);
		else
			attrs |= FIELD_PREP(DESC_SH, SH_INNER) |
				 FIELD_PREP(S2_DESC_MEMATTR,
					    fwb ? MT_S2_FWB_NORMAL : MT_S2_NORMAL);
		own_page(OWN_S2(LAST_LEVEL))[nr] = own_desc(nr, attrs);
	}

	/* Make the tables visible to the walker; regime_flush() does the rest */
	dsb(ishst);
}

static bool sh_valid(u8 sh)
{
	return sh <= 3 && sh != 1;
}

static int ioctl_calibrate(struct kvm_memattr_calibrate *cal)
{
	bool fwb = cal->flags & KVM_MEMATTR_CALIBRATE_FWB;
	u64 granule = PAGE_SHIFT == 12 ? 0 : PAGE_SHIFT == 16 ? 1 : 2;
	u64 ps = read_sanitised_ftr_reg(SYS_ID_AA64MMFR0_EL1) & 0xf;
	u64 tcr = FIELD_PREP(TCR_T0, OWN_T0SZ) | TCR_WBWA |
		  FIELD_PREP(TCR_SH0, SH_INNER) | FIELD_PREP(TCR_G0, granule);
	struct regime r = {
		.sctlr = SCTLR_ELx_M | SCTLR_ELx_C | SCTLR_ELx_I | SCTLR_ONES,
		.tcr = tcr | TCR_EPD1,
		.ttbr0 = OWN_S1(OWN_START_LEVEL) << PAGE_SHIFT,
		.mair = cal->mair,
		/* Interrupts stay masked, and so at EL2; there is no EL1 */
		.hcr = HCR_E2H | HCR_RW | HCR_VM | HCR_AMO | HCR_IMO | HCR_FMO |
		       (fwb ? HCR_FWB : 0),
	};

	if (cal->flags & ~KVM_MEMATTR_CALIBRATE_FWB || cal->memattr > 15 ||
	    !sh_valid(cal->s1_sh) || !sh_valid(cal->s2_sh))
		return -EINVAL;
	if (!own || (fwb && !system_has_fwb()))
		return -EOPNOTSUPP;
	if (READ_ONCE(broken))
		return -EIO;

	ps = min_t(u64, ps, PAGE_SHIFT == 16 ? PS_52_BITS : PS_48_BITS);
	r.vtcr = tcr | FIELD_PREP(VTCR_SL0, OWN_SL0) | FIELD_PREP(VTCR_PS, ps) |
		 VTCR_ONES;
	r.vttbr = phys_to_ttbr(virt_to_phys(own_page(OWN_S2(OWN_START_LEVEL))));

	mutex_lock(&own_lock);
	own_map(cal, fwb);
	cal->par_el1 = regime_at(&r, 0, false);
	mutex_unlock(&own_lock);

	return 0;
}

static int ioctl_host_pte(struct kvm_memattr_host_pte *pte)
{
	u64 tcr = read_sysreg(tcr_el1), mair = read_sysreg(mair_el1), desc = 0;
	int tsz = FIELD_GET(TCR_T0, tcr), level;
	struct tables t = { .shift = PAGE_SHIFT, .lpa2 = tcr & TCR_LPA2 };
	unsigned long flags;

	if (pte->flags || pte->va >> (64 - tsz))
		return -EINVAL;

	t.base = virt_to_phys(current->mm->pgd);
	t.level = s1_start_level(&t, tsz);
	/*
	 * As in get_user_pages_fast(): tables are freed by RCU or after an IPI
	 * to all CPUs that use this mm, so not while IRQs are off here.
	 */
	local_irq_save(flags);
	level = walk(&t, pte->va, &desc);
	local_irq_restore(flags);
	if (level < t.level)
		return level;

	pte->level = level;
	pte->desc = desc;
	pte->size = BIT_ULL(level_shift(&t, level));
	pte->base = pte->va & ~(pte->size - 1);
	pte->oa = desc_to_oa(&t, desc) & ~(pte->size - 1);
	pte->attr = mair >> (8 * FIELD_GET(S1_DESC_ATTRINDX, desc));
	pte->sh = t.lpa2 ? FIELD_GET(TCR_SH0, tcr) : FIELD_GET(DESC_SH, desc);
	memset(pte->reserved, 0, sizeof(pte->reserved));

	return 0;
}

static bool host_is_nested(void)
{
	return kvm_arm_hyp_service_available(ARM_SMCCC_KVM_FUNC_FEATURES);
}

static void ioctl_info(struct kvm_memattr_info *info)
{
	/*
	 * Not the sanitised values: these say how the MMU reads a MAIR, not
	 * whether the kernel lets anybody use the feature.
	 */
	u64 isar1 = read_sysreg_s(SYS_ID_AA64ISAR1_EL1);
	u64 pfr1 = read_sysreg_s(SYS_ID_AA64PFR1_EL1);

	info->version = KVM_MEMATTR_VERSION;
	info->midr = read_cpuid_id();
	info->flags = 0;
	if (system_has_fwb())
		info->flags |= KVM_MEMATTR_INFO_FWB;
	if (FIELD_GET(GENMASK_ULL(59, 56), isar1))
		info->flags |= KVM_MEMATTR_INFO_XS;
	if (FIELD_GET(GENMASK_ULL(11, 8), pfr1) >= 2)
		info->flags |= KVM_MEMATTR_INFO_MTE2;
	if (host_is_nested())
		info->flags |= KVM_MEMATTR_INFO_NESTED;
	if (at_usable)
		info->flags |= KVM_MEMATTR_INFO_TRANSLATE;
	if (own)
		info->flags |= KVM_MEMATTR_INFO_CALIBRATE;
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

	if (_IOC_TYPE(cmd) != KVM_MEMATTR_IOC || _IOC_SIZE(cmd) > sizeof(u))
		return -ENOTTY;
	memset(&u, 0, sizeof(u));
	if (_IOC_DIR(cmd) & _IOC_WRITE && copy_from_user(&u, uarg, _IOC_SIZE(cmd)))
		return -EFAULT;

	switch (cmd) {
	case KVM_MEMATTR_INFO:
		ioctl_info(&u.info);
		break;
	case KVM_MEMATTR_STAGE2_LEAF:
		ret = ioctl_leaf(&u.leaf);
		break;
	case KVM_MEMATTR_TRANSLATE:
		ret = ioctl_translate(&u.tr);
		break;
	case KVM_MEMATTR_CALIBRATE:
		ret = ioctl_calibrate(&u.cal);
		break;
	case KVM_MEMATTR_HOST_PTE:
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

static int __init memattr_init(void)
{
	int ret;

	at_usable = is_kernel_in_hyp_mode() && !host_is_nested();
	if (at_usable)
		own = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, OWN_ORDER);
	/* Only the 64K granule reaches beyond 48 bits without VTCR_EL2.DS */
	if (own && PAGE_SHIFT != 16 && virt_to_phys(own) >> 48) {
		free_pages((unsigned long)own, OWN_ORDER);
		own = NULL;
	}
	ret = misc_register(&memattr_misc);
	if (ret) {
		free_pages((unsigned long)own, OWN_ORDER);
		return ret;
	}
	/*
	 * Keep the static key of preempt notifiers on. The first VM of a row would
	 * turn it on, the last one off, and QEMU before 8.1 may go on with a stale
	 * translation of the scheduler (its commit deba78709ae8 fixes that): a vCPU
	 * thread that is scheduled without its notifier has another's TPIDR_EL0.
	 */
	preempt_notifier_inc();

	return 0;
}
module_init(memattr_init);

static void __exit memattr_exit(void)
{
	preempt_notifier_dec();
	misc_deregister(&memattr_misc);
	free_pages((unsigned long)own, OWN_ORDER);
}
module_exit(memattr_exit);

MODULE_DESCRIPTION("KVM/arm64 stage-2 memory attribute test module");
MODULE_LICENSE("GPL");
MODULE_INFO(test, "Y");
