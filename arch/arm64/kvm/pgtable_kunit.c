// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the page-table code, called as mmu.c calls it: which descriptors it makes
 * of types and permissions, and how it changes them. No VM runs on the tables, so they may
 * map any address with any type.
 *
 * What the code asks of its callbacks is looked at, too; and on a VHE host with kprobes
 * what it asks of the TLBs.
 */
#include <kunit/test.h>

#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/sizes.h>

#include <asm/kvm_mmu.h>
#include <asm/kvm_pgtable.h>
#include <asm/virt.h>

#define BLOCK_LEVEL	(KVM_PGTABLE_LAST_LEVEL - 1)
/* IPA of a block; nothing accesses it */
#define BLOCK		PMD_SIZE

#define NORMAL_WB	0
#define NORMAL_NC	KVM_PGTABLE_PROT_NORMAL_NC
#define DEVICE		KVM_PGTABLE_PROT_DEVICE
#define TYPES		(NORMAL_NC | DEVICE)

#define SW_BITS		(KVM_PGTABLE_PROT_SW0 | KVM_PGTABLE_PROT_SW1 | \
			 KVM_PGTABLE_PROT_SW2 | KVM_PGTABLE_PROT_SW3)

/* As for KVM's own tables, but with an eye on what is asked for */
struct stage2 {
	struct kvm kvm;
	struct kvm_pgtable_mm_ops mm_ops;
	struct kvm_mmu_memory_cache cache;
};

static void (*kvm_put_page)(void *addr);
/* Of the tables */
static int start_level;
/* From the IPA to the PA of what is mapped */
static u64 to_pa;
/* Of the test: 0, or KVM_PGTABLE_WALK_SHARED, with mmu_lock held for read */
static enum kvm_pgtable_walk_flags walk;

/* What was asked for since the last map(), unmap() or relax() began */
static struct {
	/* Entries given up while invalid, and while valid */
	int broken, overwritten;
	/* Bytes cleaned, and the first of them */
	u64 cleaned;
	void *cleaned_from;
	/* Bytes of instructions invalidated, and the first of them */
	u64 fetched;
	void *fetched_from;
	/* The leaf that was there: its IPA and level, which is less than 0 for none */
	u64 ipa;
	int level;
	/* TLBIs for it: on all CPUs, while it was still valid, and on this CPU alone */
	int tlbi, early, local;
} saw;

static void put_page_of_entry(void *addr)
{
	if (kvm_pte_valid(READ_ONCE(*(kvm_pte_t *)addr)))
		saw.overwritten++;
	else
		saw.broken++;
	kvm_put_page(addr);
}

/* There may be no memory at that address. */
static void clean(void *addr, size_t size)
{
	if (!saw.cleaned)
		saw.cleaned_from = addr;
	saw.cleaned += size;
}

static void invalidate(void *addr, size_t size)
{
	if (!saw.fetched)
		saw.fetched_from = addr;
	saw.fetched += size;
}

static int leaf(struct kunit *test, u64 ipa, kvm_pte_t *pte, int *level)
{
	struct stage2 *s = test->priv;
	s8 found;
	int ret;

	ret = kvm_pgtable_get_leaf(s->kvm.arch.mmu.pgt, ipa, pte, &found);
	*level = found;

	return ret;
}

static void begin(struct kunit *test, u64 ipa)
{
	kvm_pte_t pte;
	int level;

	memset(&saw, 0, sizeof(saw));
	KUNIT_ASSERT_EQ(test, 0, leaf(test, ipa, &pte, &level));
	saw.ipa = ALIGN_DOWN(ipa, kvm_granule_size(level));
	saw.level = kvm_pte_valid(pte) ? level : -1;
}

static int saw_tlbi(struct kprobe *probe, struct pt_regs *regs);

/* Of an address, of all, of a range, and of an address on this CPU alone */
enum { TLBI_IPA, TLBI_ALL, TLBI_RANGE, TLBI_LOCAL };

static struct kprobe probes[] = {
	{ .symbol_name = "__kvm_tlb_flush_vmid_ipa", .pre_handler = saw_tlbi },
	{ .symbol_name = "__kvm_tlb_flush_vmid", .pre_handler = saw_tlbi },
	{ .symbol_name = "__kvm_tlb_flush_vmid_range", .pre_handler = saw_tlbi },
	{ .symbol_name = "__kvm_tlb_flush_vmid_ipa_nsh", .pre_handler = saw_tlbi },
};

static bool tlbi_seen;
/* The test that runs, if they are seen */
static struct kunit *tlbi_test;

/* It is for the leaf if the address, or part of the range, and the hint of a level are. */
static int saw_tlbi(struct kprobe *probe, struct pt_regs *regs)
{
	u64 ipa = regs->regs[1], arg = regs->regs[2], size = 1;
	int nr = probe - probes, level;
	struct kunit *test = tlbi_test;
	kvm_pte_t pte;
	struct stage2 *s;

	if (!test || saw.level < 0)
		return 0;
	s = test->priv;
	if (regs->regs[0] != (u64)&s->kvm.arch.mmu)
		return 0;
	if (nr == TLBI_RANGE)
		size = arg * PAGE_SIZE;
	else if (nr != TLBI_ALL && (int)arg > 0 && (int)arg <= KVM_PGTABLE_LAST_LEVEL &&
		 (int)arg != saw.level)
		return 0;
	if (nr != TLBI_ALL &&
	    (ipa + size <= saw.ipa || ipa >= saw.ipa + kvm_granule_size(saw.level)))
		return 0;
	if (nr == TLBI_LOCAL) {
		saw.local++;
		return 0;
	}
	saw.tlbi++;
	if (!leaf(test, saw.ipa, &pte, &level) && kvm_pte_valid(pte))
		saw.early++;

	return 0;
}

/* The leaf that was there is in no TLB, and was not when it could still get into one. */
static void expect_tlbi(struct kunit *test)
{
	if (!tlbi_test)
		return;
	KUNIT_ASSERT_GE(test, saw.tlbi, 1);
	KUNIT_ASSERT_EQ(test, 0, saw.early);
}

static void lock(struct kvm *kvm)
{
	if (walk & KVM_PGTABLE_WALK_SHARED)
		read_lock(&kvm->mmu_lock);
	else
		write_lock(&kvm->mmu_lock);
}

static void unlock(struct kvm *kvm)
{
	if (walk & KVM_PGTABLE_WALK_SHARED)
		read_unlock(&kvm->mmu_lock);
	else
		write_unlock(&kvm->mmu_lock);
}

static int map(struct kunit *test, u64 addr, int level, enum kvm_pgtable_prot prot)
{
	struct stage2 *s = test->priv;
	int ret;

	/* A table for each level above it */
	KUNIT_ASSERT_EQ(test, 0, kvm_mmu_topup_memory_cache(&s->cache,
							    KVM_PGTABLE_LAST_LEVEL + 1));
	to_pa = 2 * kvm_granule_size(level);
	begin(test, addr);
	lock(&s->kvm);
	ret = kvm_pgtable_stage2_map(s->kvm.arch.mmu.pgt, addr, kvm_granule_size(level),
				     addr + to_pa, prot, &s->cache, walk);
	unlock(&s->kvm);

	return ret;
}

static void unmap(struct kunit *test, u64 addr, int level)
{
	struct stage2 *s = test->priv;
	int ret;

	begin(test, addr);
	write_lock(&s->kvm.mmu_lock);
	ret = kvm_pgtable_stage2_unmap(s->kvm.arch.mmu.pgt, addr, kvm_granule_size(level));
	write_unlock(&s->kvm.mmu_lock);
	KUNIT_EXPECT_EQ(test, 0, ret);
	expect_tlbi(test);
}

static int relax(struct kunit *test, u64 addr, enum kvm_pgtable_prot prot)
{
	struct stage2 *s = test->priv;
	int ret;

	begin(test, addr);
	lock(&s->kvm);
	ret = kvm_pgtable_stage2_relax_perms(s->kvm.arch.mmu.pgt, addr, prot, walk);
	unlock(&s->kvm);
	/* A CPU that finds the old permission faults, and comes here, too. */
	KUNIT_EXPECT_TRUE(test, ret || !tlbi_test || saw.tlbi || saw.local);

	return ret;
}

/* The types, by KVM_PGTABLE_PROT_NORMAL_NC and KVM_PGTABLE_PROT_DEVICE */

struct type {
	const char *name;
	enum kvm_pgtable_prot prot;
	enum kvm_pgtable_walk_flags walk;
};

static const struct type types[] = {
	{ "Normal Write-Back", NORMAL_WB },
	{ "Normal Non-cacheable", NORMAL_NC },
	{ "Device-nGnRE", DEVICE },
	{ "Normal Write-Back, shared walk", NORMAL_WB, KVM_PGTABLE_WALK_SHARED },
	{ "Normal Non-cacheable, shared walk", NORMAL_NC, KVM_PGTABLE_WALK_SHARED },
	{ "Device-nGnRE, shared walk", DEVICE, KVM_PGTABLE_WALK_SHARED },
};

static void type_name(const struct type *type, char *desc)
{
	strscpy(desc, type->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(type, types, type_name);

/*
 * The descriptor (Arm ARM, DDI 0487, "VMSAv8-64 Block descriptor and Page descriptor
 * formats", stage 2), in numbers, so that a wrong definition is no excuse: MemAttr by
 * FEAT_S2FWB, S2AP, SH Inner Shareable, AF, XN[1:0].
 */
static kvm_pte_t descriptor(enum kvm_pgtable_prot prot, u64 pa, int level)
{
	bool fwb = cpus_have_final_cap(ARM64_HAS_STAGE2_FWB);
	u64 memattr = prot & DEVICE ? 0x1 : prot & NORMAL_NC ? 0x5 : fwb ? 0x6 : 0xf;
	u64 xn = prot & KVM_PGTABLE_PROT_PX ? (prot & KVM_PGTABLE_PROT_UX ? 0 : 3) :
					      (prot & KVM_PGTABLE_PROT_UX ? 1 : 2);

	return pa | (prot & SW_BITS) | xn << 53 | memattr << 2 | BIT(10) | BIT(0) |
	       (level == KVM_PGTABLE_LAST_LEVEL ? BIT(1) : 0) |
	       (prot & KVM_PGTABLE_PROT_R ? BIT(6) : 0) |
	       (prot & KVM_PGTABLE_PROT_W ? BIT(7) : 0) |
	       (kvm_lpa2_is_enabled() ? 0 : GENMASK(9, 8));
}

static void expect_leaf(struct kunit *test, u64 addr, int level, enum kvm_pgtable_prot prot)
{
	kvm_pte_t want = descriptor(prot, addr + to_pa, level), pte;
	int found;

	KUNIT_ASSERT_EQ(test, 0, leaf(test, addr, &pte, &found));
	KUNIT_ASSERT_EQ(test, level, found);
	KUNIT_ASSERT_EQ_MSG(test, want, pte, "prot 0x%lx, level %d: 0x%llx, should be 0x%llx",
			    (unsigned long)prot, level, pte, want);
}

static void expect_none(struct kunit *test, u64 addr)
{
	kvm_pte_t pte;
	int found;

	KUNIT_ASSERT_EQ(test, 0, leaf(test, addr, &pte, &found));
	KUNIT_ASSERT_EQ(test, 0, pte);
}

/* Execution by EL0 alone, or by EL1 alone, takes FEAT_XNX. */
static bool has_xnx(void)
{
	return cpus_have_final_cap(ARM64_HAS_XNX);
}

/* The first level from there on that has leaves */
static int leaf_level(int level)
{
	while (level < start_level || !kvm_level_supports_block_mapping(level))
		level++;

	return level;
}

/* The next level that has leaves, -1 before the first, and an address there */
static bool next_level(int *level, u64 *addr)
{
	*level = leaf_level(*level + 1);
	*addr = kvm_granule_size(*level);

	return *level <= KVM_PGTABLE_LAST_LEVEL;
}

/* Each combination of permissions and software bits, at each level, with a type */
static void each_prot(struct kunit *test, enum kvm_pgtable_prot type)
{
	static const enum kvm_pgtable_prot bits[] = {
		KVM_PGTABLE_PROT_R, KVM_PGTABLE_PROT_W,
		KVM_PGTABLE_PROT_UX, KVM_PGTABLE_PROT_PX,
		KVM_PGTABLE_PROT_SW0, KVM_PGTABLE_PROT_SW1,
		KVM_PGTABLE_PROT_SW2, KVM_PGTABLE_PROT_SW3,
	};
	enum kvm_pgtable_prot prot;
	int level = -1, n, i, ret;
	bool valid;
	u64 addr;

	while (next_level(&level, &addr)) {
		for (n = 0; n < BIT(ARRAY_SIZE(bits)); n++) {
			prot = type;
			for (i = 0; i < ARRAY_SIZE(bits); i++)
				prot |= n & BIT(i) ? bits[i] : 0;
			/* One type, and no fetches from what may be MMIO */
			valid = type == NORMAL_WB ?
				has_xnx() || !(prot & KVM_PGTABLE_PROT_UX) ==
					     !(prot & KVM_PGTABLE_PROT_PX) :
				type != TYPES && !(prot & KVM_PGTABLE_PROT_X);
			ret = map(test, addr, level, prot);
			KUNIT_ASSERT_EQ_MSG(test, valid ? 0 : -EINVAL, ret, "prot 0x%lx, level %d",
					    (unsigned long)prot, level);
			if (valid) {
				expect_leaf(test, addr, level, prot);
				unmap(test, addr, level);
			}
			expect_none(test, addr);
		}
	}
}

/* The exact descriptor, or -EINVAL and nothing mapped */
static void stage2_descriptor(struct kunit *test)
{
	const struct type *type = test->param_value;

	each_prot(test, type->prot);
}

static void stage2_two_types(struct kunit *test)
{
	each_prot(test, TYPES);
}

/*
 * Only what is cacheable is cleaned: when mapped, and without FWB when flushed, unmapped.
 * Of what may be executed, instructions are invalidated when it is mapped.
 */
static void stage2_cleaning(struct kunit *test)
{
	const struct type *type = test->param_value;
	struct stage2 *s = test->priv;
	bool cacheable = type->prot == NORMAL_WB;
	bool later = cacheable && !cpus_have_final_cap(ARM64_HAS_STAGE2_FWB);
	u64 size = PMD_SIZE;
	void *at;
	int ret;

	KUNIT_ASSERT_EQ(test, 0, map(test, BLOCK, BLOCK_LEVEL,
				     type->prot | KVM_PGTABLE_PROT_RW |
				     (cacheable ? KVM_PGTABLE_PROT_X : 0)));
	at = s->mm_ops.phys_to_virt(BLOCK + to_pa);
	KUNIT_EXPECT_EQ(test, cacheable ? size : 0, saw.cleaned);
	KUNIT_EXPECT_TRUE(test, !saw.cleaned || saw.cleaned_from == at);
	KUNIT_EXPECT_EQ(test, cacheable ? size : 0, saw.fetched);
	KUNIT_EXPECT_TRUE(test, !saw.fetched || saw.fetched_from == at);
	saw.cleaned = 0;
	write_lock(&s->kvm.mmu_lock);
	ret = kvm_pgtable_stage2_flush(s->kvm.arch.mmu.pgt, BLOCK, PMD_SIZE);
	write_unlock(&s->kvm.mmu_lock);
	KUNIT_EXPECT_EQ(test, 0, ret);
	KUNIT_EXPECT_EQ(test, later ? size : 0, saw.cleaned);
	unmap(test, BLOCK, BLOCK_LEVEL);
	KUNIT_EXPECT_EQ(test, later ? size : 0, saw.cleaned);
	KUNIT_EXPECT_TRUE(test, !saw.cleaned || saw.cleaned_from == at);
	KUNIT_EXPECT_EQ(test, 0, saw.fetched);
}

/*
 * From a type to each other one: the old entry is gone before the new one is there (Arm
 * ARM, "Using break-before-make when updating translation table entries"). With the type
 * that it has, the entry stays.
 */
static void stage2_retype(struct kunit *test)
{
	const struct type *from = test->param_value, *to;
	enum kvm_pgtable_prot rw = KVM_PGTABLE_PROT_RW;
	int level = -1, ret;
	bool other;
	u64 addr;

	while (next_level(&level, &addr)) {
		for (to = types; to < types + ARRAY_SIZE(types); to++) {
			other = to->prot != from->prot;
			KUNIT_ASSERT_EQ(test, 0, map(test, addr, level, from->prot | rw));
			ret = map(test, addr, level, to->prot | rw);
			KUNIT_EXPECT_EQ(test, 0, !other && ret == -EAGAIN ? 0 : ret);
			KUNIT_EXPECT_EQ_MSG(test, other, saw.broken, "to %s", to->name);
			KUNIT_EXPECT_EQ(test, 0, saw.overwritten);
			if (other)
				expect_tlbi(test);
			expect_leaf(test, addr, level, to->prot | rw);
			unmap(test, addr, level);
		}
	}
}

/* Permissions come and go, and nothing else of the entry changes. */
static void stage2_permissions(struct kunit *test)
{
	const struct type *type = test->param_value;
	enum kvm_pgtable_prot prot = type->prot | SW_BITS;
	struct stage2 *s = test->priv;
	int level = -1, ret;
	u64 addr, fetched;

	while (next_level(&level, &addr)) {
		KUNIT_ASSERT_EQ(test, 0, map(test, addr, level, prot));
		KUNIT_EXPECT_EQ(test, 0, relax(test, addr, KVM_PGTABLE_PROT_R));
		expect_leaf(test, addr, level, prot | KVM_PGTABLE_PROT_R);
		KUNIT_EXPECT_EQ(test, 0, relax(test, addr, KVM_PGTABLE_PROT_RW));
		expect_leaf(test, addr, level, prot | KVM_PGTABLE_PROT_RW);
		KUNIT_EXPECT_EQ(test, -EINVAL, relax(test, addr, KVM_PGTABLE_PROT_SW0));
		if (type->prot == NORMAL_WB) {
			ret = relax(test, addr, KVM_PGTABLE_PROT_UX);
			KUNIT_EXPECT_EQ(test, has_xnx() ? 0 : -EINVAL, ret);
			expect_leaf(test, addr, level, prot | KVM_PGTABLE_PROT_RW |
				    (has_xnx() ? KVM_PGTABLE_PROT_UX : 0));
			fetched = saw.fetched;
			KUNIT_EXPECT_EQ(test, 0, relax(test, addr, KVM_PGTABLE_PROT_X));
			KUNIT_EXPECT_EQ(test, kvm_granule_size(level), fetched + saw.fetched);
			expect_leaf(test, addr, level, prot | KVM_PGTABLE_PROT_RWX);
		}
		write_lock(&s->kvm.mmu_lock);
		ret = kvm_pgtable_stage2_wrprotect(s->kvm.arch.mmu.pgt, addr,
						   kvm_granule_size(level));
		write_unlock(&s->kvm.mmu_lock);
		KUNIT_EXPECT_EQ(test, 0, ret);
		expect_leaf(test, addr, level, prot | KVM_PGTABLE_PROT_R |
			    (type->prot == NORMAL_WB ? KVM_PGTABLE_PROT_X : 0));
		unmap(test, addr, level);
	}
}

/* A block and a page of it: what is mapped last is there, and of the other one nothing. */
static void stage2_block_and_page(struct kunit *test)
{
	const struct type *type = test->param_value;
	enum kvm_pgtable_prot prot = type->prot | KVM_PGTABLE_PROT_RW;

	KUNIT_ASSERT_EQ(test, 0, map(test, BLOCK, BLOCK_LEVEL, prot));
	KUNIT_ASSERT_EQ(test, 0, map(test, BLOCK, KVM_PGTABLE_LAST_LEVEL, prot));
	KUNIT_EXPECT_EQ(test, 0, saw.overwritten);
	expect_tlbi(test);
	expect_leaf(test, BLOCK, KVM_PGTABLE_LAST_LEVEL, prot);
	expect_none(test, BLOCK + PAGE_SIZE);

	KUNIT_ASSERT_EQ(test, 0, map(test, BLOCK, BLOCK_LEVEL, prot));
	expect_tlbi(test);
	expect_leaf(test, BLOCK, BLOCK_LEVEL, prot);

	/* The rest comes back by faults. */
	unmap(test, BLOCK + PAGE_SIZE, KVM_PGTABLE_LAST_LEVEL);
	expect_none(test, BLOCK);
}

static const struct type split_types[] = {
	{ "Normal Write-Back", KVM_PGTABLE_PROT_RW },
	{ "Normal Write-Back, executable", KVM_PGTABLE_PROT_RWX },
	{ "Normal Write-Back, read-only", KVM_PGTABLE_PROT_R },
	{ "Normal Non-cacheable", KVM_PGTABLE_PROT_RW | NORMAL_NC },
	{ "Device-nGnRE", KVM_PGTABLE_PROT_RW | DEVICE },
	{ "a software bit", KVM_PGTABLE_PROT_RW | KVM_PGTABLE_PROT_SW0 },
};

KUNIT_ARRAY_PARAM(split_type, split_types, type_name);

/* Map a block and split it, with so many pages for tables */
static int split_block(struct kunit *test, int level, int pages, enum kvm_pgtable_prot prot)
{
	struct stage2 *s = test->priv;
	struct kvm_s2_mmu *mmu = &s->kvm.arch.mmu;
	u64 size = kvm_granule_size(level), addr = size;
	int ret;

	KUNIT_ASSERT_EQ(test, 0, map(test, addr, level, prot));
	expect_leaf(test, addr, level, prot);
	KUNIT_ASSERT_EQ(test, 0, kvm_mmu_topup_memory_cache(&mmu->split_page_cache, pages));
	/* It may have got more. */
	while (mmu->split_page_cache.nobjs > pages)
		free_page((unsigned long)kvm_mmu_memory_cache_alloc(&mmu->split_page_cache));
	begin(test, addr);
	write_lock(&s->kvm.mmu_lock);
	ret = kvm_pgtable_stage2_split(mmu->pgt, addr, size, &mmu->split_page_cache);
	write_unlock(&s->kvm.mmu_lock);
	kvm_mmu_free_memory_cache(&mmu->split_page_cache);
	expect_tlbi(test);

	return ret;
}

/* What a block is split into has its attributes, in a split that is cut short, too. */
static void stage2_split(struct kunit *test)
{
	const struct type *type = test->param_value;
	int level = leaf_level(0);
	u64 ipa;

	KUNIT_ASSERT_EQ(test, 0, split_block(test, BLOCK_LEVEL, 1, type->prot));
	for (ipa = BLOCK; ipa < 2 * BLOCK; ipa += PAGE_SIZE)
		expect_leaf(test, ipa, KVM_PGTABLE_LAST_LEVEL, type->prot);

	if (level != BLOCK_LEVEL - 1)
		return;
	ipa = kvm_granule_size(level);
	KUNIT_ASSERT_EQ(test, -ENOMEM, split_block(test, level, 2, type->prot));
	expect_leaf(test, ipa, KVM_PGTABLE_LAST_LEVEL, type->prot);
	expect_leaf(test, ipa + BLOCK, BLOCK_LEVEL, type->prot);
	expect_leaf(test, 2 * ipa - BLOCK, BLOCK_LEVEL, type->prot);
}

static int stage2_init(struct kunit *test)
{
	const struct type *type = test->param_value;
	/* The default, or the limit of a host that has less: it has to be asked for. */
	u32 ipa_bits = min_t(u32, KVM_PHYS_SHIFT, get_kvm_ipa_limit());
	struct kvm_pgtable *pgt;
	struct stage2 *s;
	int ret;

	if (!is_kvm_arm_initialised())
		kunit_skip(test, "KVM is not available, boot at EL2");
	if (is_protected_kvm_enabled())
		kunit_skip(test, "EL2 has the tables, boot without kvm-arm.mode=protected");

	s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->cache.gfp_zero = __GFP_ZERO;
	rwlock_init(&s->kvm.mmu_lock);
	/* EL2 invalidates TLB entries by what it finds there. */
	ret = kvm_share_hyp(&s->kvm, &s->kvm + 1);
	if (ret)
		return ret;
	ret = kvm_init_stage2_mmu(&s->kvm, &s->kvm.arch.mmu, ipa_bits);
	if (ret)
		return ret;

	pgt = s->kvm.arch.mmu.pgt;
	start_level = pgt->start_level;
	s->mm_ops = *pgt->mm_ops;
	kvm_put_page = s->mm_ops.put_page;
	s->mm_ops.put_page = put_page_of_entry;
	s->mm_ops.dcache_clean_inval_poc = clean;
	s->mm_ops.icache_inval_pou = invalidate;
	pgt->mm_ops = &s->mm_ops;
	test->priv = s;
	if (tlbi_seen)
		tlbi_test = test;
	walk = type ? type->walk : 0;

	return 0;
}

static void stage2_exit(struct kunit *test)
{
	struct stage2 *s = test->priv;

	tlbi_test = NULL;
	if (s) {
		kvm_mmu_free_memory_cache(&s->cache);
		kvm_free_stage2_pgd(&s->kvm.arch.mmu);
		kvm_unshare_hyp(&s->kvm, &s->kvm + 1);
	}
}

/* Elsewhere EL2 does it, where nothing is probed. */
static int stage2_suite_init(struct kunit_suite *suite)
{
	int i, ret;

	if (!IS_ENABLED(CONFIG_KPROBES) || !is_kernel_in_hyp_mode())
		return 0;
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		ret = register_kprobe(&probes[i]);
		if (ret)
			return ret;
	}
	tlbi_seen = true;

	return 0;
}

static void stage2_suite_exit(struct kunit_suite *suite)
{
	int i;

	for (i = 0; tlbi_seen && i < ARRAY_SIZE(probes); i++)
		unregister_kprobe(&probes[i]);
	tlbi_seen = false;
}

static struct kunit_case stage2_cases[] = {
	KUNIT_CASE_PARAM(stage2_descriptor, type_gen_params),
	KUNIT_CASE(stage2_two_types),
	KUNIT_CASE_PARAM(stage2_cleaning, type_gen_params),
	KUNIT_CASE_PARAM(stage2_retype, type_gen_params),
	KUNIT_CASE_PARAM(stage2_permissions, type_gen_params),
	KUNIT_CASE_PARAM(stage2_block_and_page, type_gen_params),
	KUNIT_CASE_PARAM(stage2_split, split_type_gen_params),
	{}
};

static struct kunit_suite stage2_suite = {
	.name = "kvm_arm64_pgtable",
	.suite_init = stage2_suite_init,
	.suite_exit = stage2_suite_exit,
	.init = stage2_init,
	.exit = stage2_exit,
	.test_cases = stage2_cases,
};

kunit_test_suite(stage2_suite);

MODULE_DESCRIPTION("KUnit tests of the stage-2 page-table code of KVM/arm64");
MODULE_LICENSE("GPL");
