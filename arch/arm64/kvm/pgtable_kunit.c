// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the page-table code, called as mmu.c calls it: which descriptors it makes
 * of types and permissions, and how it changes them. No VM runs on the tables, so they may
 * map any address with any type.
 */
#include <kunit/test.h>

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
/* Entries given up while invalid, and while valid */
static int broken, overwritten;
/* Bytes cleaned, and the first of them */
static u64 cleaned;
static void *cleaned_from;

static void put_page_of_entry(void *addr)
{
	if (kvm_pte_valid(READ_ONCE(*(kvm_pte_t *)addr)))
		overwritten++;
	else
		broken++;
	kvm_put_page(addr);
}

/* There may be no memory at that address. */
static void clean(void *addr, size_t size)
{
	if (!cleaned)
		cleaned_from = addr;
	cleaned += size;
}

static void invalidate(void *addr, size_t size)
{
}

static int map(struct kunit *test, u64 addr, int level, enum kvm_pgtable_prot prot)
{
	struct stage2 *s = test->priv;
	int ret;

	/* A table for each level above it */
	KUNIT_ASSERT_EQ(test, 0, kvm_mmu_topup_memory_cache(&s->cache,
							    KVM_PGTABLE_LAST_LEVEL + 1));
	broken = 0;
	overwritten = 0;
	cleaned = 0;
	to_pa = 2 * kvm_granule_size(level);
	write_lock(&s->kvm.mmu_lock);
	ret = kvm_pgtable_stage2_map(s->kvm.arch.mmu.pgt, addr, kvm_granule_size(level),
				     addr + to_pa, prot, &s->cache, 0);
	write_unlock(&s->kvm.mmu_lock);

	return ret;
}

static void unmap(struct kunit *test, u64 addr, int level)
{
	struct stage2 *s = test->priv;
	int ret;

	cleaned = 0;
	write_lock(&s->kvm.mmu_lock);
	ret = kvm_pgtable_stage2_unmap(s->kvm.arch.mmu.pgt, addr, kvm_granule_size(level));
	write_unlock(&s->kvm.mmu_lock);
	KUNIT_EXPECT_EQ(test, 0, ret);
}

static int relax(struct kunit *test, u64 addr, enum kvm_pgtable_prot prot)
{
	struct stage2 *s = test->priv;
	int ret;

	write_lock(&s->kvm.mmu_lock);
	ret = kvm_pgtable_stage2_relax_perms(s->kvm.arch.mmu.pgt, addr, prot, 0);
	write_unlock(&s->kvm.mmu_lock);

	return ret;
}

static int leaf(struct kunit *test, u64 ipa, kvm_pte_t *pte, int *level)
{
	struct stage2 *s = test->priv;
	s8 found;
	int ret;

	write_lock(&s->kvm.mmu_lock);
	ret = kvm_pgtable_get_leaf(s->kvm.arch.mmu.pgt, ipa, pte, &found);
	write_unlock(&s->kvm.mmu_lock);
	*level = found;

	return ret;
}

/* The types, by KVM_PGTABLE_PROT_NORMAL_NC and KVM_PGTABLE_PROT_DEVICE */

struct type {
	const char *name;
	enum kvm_pgtable_prot prot;
};

static const struct type types[] = {
	{ "Normal Write-Back", NORMAL_WB },
	{ "Normal Non-cacheable", NORMAL_NC },
	{ "Device-nGnRE", DEVICE },
};

static void type_name(const struct type *type, char *desc)
{
	strscpy(desc, type->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(type, types, type_name);

/*
 * The descriptor (Arm ARM, DDI 0487, "VMSAv8-64 Block descriptor and Page descriptor
 * formats", stage 2), in numbers, so that a wrong definition is no excuse: MemAttr by
 * FEAT_S2FWB, S2AP, SH Inner Shareable, AF, XN[1] if there is no X.
 */
static kvm_pte_t descriptor(enum kvm_pgtable_prot prot, u64 pa, int level)
{
	bool fwb = cpus_have_final_cap(ARM64_HAS_STAGE2_FWB);
	u64 memattr = prot & DEVICE ? 0x1 : prot & NORMAL_NC ? 0x5 : fwb ? 0x6 : 0xf;

	return pa | (prot & SW_BITS) | memattr << 2 | BIT(10) | BIT(0) |
	       (level == KVM_PGTABLE_LAST_LEVEL ? BIT(1) : 0) |
	       (prot & KVM_PGTABLE_PROT_R ? BIT(6) : 0) |
	       (prot & KVM_PGTABLE_PROT_W ? BIT(7) : 0) |
	       (prot & KVM_PGTABLE_PROT_X ? 0 : BIT(54)) |
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

/* The first level from there on that has leaves */
static int leaf_level(int level)
{
	while (level < start_level || !kvm_level_supports_block_mapping(level))
		level++;

	return level;
}

/* Each combination of permissions and software bits, at each level, with a type */
static void each_prot(struct kunit *test, enum kvm_pgtable_prot type)
{
	static const enum kvm_pgtable_prot bits[] = {
		KVM_PGTABLE_PROT_R, KVM_PGTABLE_PROT_W, KVM_PGTABLE_PROT_X,
		KVM_PGTABLE_PROT_SW0, KVM_PGTABLE_PROT_SW1,
		KVM_PGTABLE_PROT_SW2, KVM_PGTABLE_PROT_SW3,
	};
	enum kvm_pgtable_prot prot;
	bool valid;
	int level, found;
	kvm_pte_t pte;
	int n, i, ret;

	for (level = leaf_level(0); level <= KVM_PGTABLE_LAST_LEVEL;
	     level = leaf_level(level + 1)) {
		u64 addr = kvm_granule_size(level);

		for (n = 0; n < BIT(ARRAY_SIZE(bits)); n++) {
			prot = type;
			for (i = 0; i < ARRAY_SIZE(bits); i++)
				prot |= n & BIT(i) ? bits[i] : 0;
			/* One type, and no fetches from what may be MMIO */
			valid = type == NORMAL_WB ||
				(type != TYPES && !(prot & KVM_PGTABLE_PROT_X));
			ret = map(test, addr, level, prot);
			KUNIT_ASSERT_EQ_MSG(test, valid ? 0 : -EINVAL, ret, "prot 0x%lx, level %d",
					    (unsigned long)prot, level);
			if (valid) {
				expect_leaf(test, addr, level, prot);
				unmap(test, addr, level);
			}
			KUNIT_ASSERT_EQ(test, 0, leaf(test, addr, &pte, &found));
			KUNIT_ASSERT_EQ(test, 0, pte);
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

/* Only what is cacheable is cleaned: when mapped, and without FWB when flushed, unmapped. */
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
				     type->prot | KVM_PGTABLE_PROT_RW));
	at = s->mm_ops.phys_to_virt(BLOCK + to_pa);
	KUNIT_EXPECT_EQ(test, cacheable ? size : 0, cleaned);
	KUNIT_EXPECT_TRUE(test, !cleaned || cleaned_from == at);
	cleaned = 0;
	write_lock(&s->kvm.mmu_lock);
	ret = kvm_pgtable_stage2_flush(s->kvm.arch.mmu.pgt, BLOCK, PMD_SIZE);
	write_unlock(&s->kvm.mmu_lock);
	KUNIT_EXPECT_EQ(test, 0, ret);
	KUNIT_EXPECT_EQ(test, later ? size : 0, cleaned);
	unmap(test, BLOCK, BLOCK_LEVEL);
	KUNIT_EXPECT_EQ(test, later ? size : 0, cleaned);
	KUNIT_EXPECT_TRUE(test, !cleaned || cleaned_from == at);
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
	int level, ret;

	for (level = leaf_level(0); level <= KVM_PGTABLE_LAST_LEVEL;
	     level = leaf_level(level + 1)) {
		u64 addr = kvm_granule_size(level);

		for (to = types; to < types + ARRAY_SIZE(types); to++) {
			KUNIT_ASSERT_EQ(test, 0, map(test, addr, level, from->prot | rw));
			ret = map(test, addr, level, to->prot | rw);
			KUNIT_EXPECT_EQ(test, 0, to == from && ret == -EAGAIN ? 0 : ret);
			KUNIT_EXPECT_EQ_MSG(test, to != from, broken, "to %s", to->name);
			KUNIT_EXPECT_EQ(test, 0, overwritten);
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
	int level, ret;

	for (level = leaf_level(0); level <= KVM_PGTABLE_LAST_LEVEL;
	     level = leaf_level(level + 1)) {
		u64 addr = kvm_granule_size(level);

		KUNIT_ASSERT_EQ(test, 0, map(test, addr, level, prot));
		KUNIT_EXPECT_EQ(test, 0, relax(test, addr, KVM_PGTABLE_PROT_R));
		expect_leaf(test, addr, level, prot | KVM_PGTABLE_PROT_R);
		KUNIT_EXPECT_EQ(test, 0, relax(test, addr, KVM_PGTABLE_PROT_RW));
		expect_leaf(test, addr, level, prot | KVM_PGTABLE_PROT_RW);
		KUNIT_EXPECT_EQ(test, -EINVAL, relax(test, addr, KVM_PGTABLE_PROT_SW0));
		if (type->prot == NORMAL_WB) {
			KUNIT_EXPECT_EQ(test, 0, relax(test, addr, KVM_PGTABLE_PROT_X));
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

static const struct type split_types[] = {
	{ "Normal Write-Back", KVM_PGTABLE_PROT_RW },
	{ "Normal Write-Back, executable", KVM_PGTABLE_PROT_RWX },
	{ "Normal Write-Back, read-only", KVM_PGTABLE_PROT_R },
	{ "Normal Non-cacheable", KVM_PGTABLE_PROT_RW | NORMAL_NC },
	{ "Device-nGnRE", KVM_PGTABLE_PROT_RW | DEVICE },
	{ "a software bit", KVM_PGTABLE_PROT_RW | KVM_PGTABLE_PROT_SW0 },
};

KUNIT_ARRAY_PARAM(split_type, split_types, type_name);

/* The pages that a block is split into have the attributes of the block. */
static void stage2_split(struct kunit *test)
{
	const struct type *type = test->param_value;
	struct stage2 *s = test->priv;
	struct kvm_s2_mmu *mmu = &s->kvm.arch.mmu;
	u64 ipa;
	int ret;

	KUNIT_ASSERT_EQ(test, 0, map(test, BLOCK, BLOCK_LEVEL, type->prot));
	expect_leaf(test, BLOCK, BLOCK_LEVEL, type->prot);
	KUNIT_ASSERT_EQ(test, 0, kvm_mmu_topup_memory_cache(&mmu->split_page_cache, 1));
	write_lock(&s->kvm.mmu_lock);
	ret = kvm_pgtable_stage2_split(mmu->pgt, BLOCK, PMD_SIZE, &mmu->split_page_cache);
	write_unlock(&s->kvm.mmu_lock);
	kvm_mmu_free_memory_cache(&mmu->split_page_cache);
	KUNIT_ASSERT_EQ(test, 0, ret);
	for (ipa = BLOCK; ipa < BLOCK + PMD_SIZE; ipa += PAGE_SIZE)
		expect_leaf(test, ipa, KVM_PGTABLE_LAST_LEVEL, type->prot);
}

static int stage2_init(struct kunit *test)
{
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

	return 0;
}

static void stage2_exit(struct kunit *test)
{
	struct stage2 *s = test->priv;

	if (s) {
		kvm_mmu_free_memory_cache(&s->cache);
		kvm_free_stage2_pgd(&s->kvm.arch.mmu);
		kvm_unshare_hyp(&s->kvm, &s->kvm + 1);
	}
}

static struct kunit_case stage2_cases[] = {
	KUNIT_CASE_PARAM(stage2_descriptor, type_gen_params),
	KUNIT_CASE(stage2_two_types),
	KUNIT_CASE_PARAM(stage2_cleaning, type_gen_params),
	KUNIT_CASE_PARAM(stage2_retype, type_gen_params),
	KUNIT_CASE_PARAM(stage2_permissions, type_gen_params),
	KUNIT_CASE_PARAM(stage2_split, split_type_gen_params),
	{}
};

static struct kunit_suite stage2_suite = {
	.name = "kvm_arm64_pgtable",
	.init = stage2_init,
	.exit = stage2_exit,
	.test_cases = stage2_cases,
};

kunit_test_suite(stage2_suite);

MODULE_DESCRIPTION("KUnit tests of the stage-2 page-table code of KVM/arm64");
MODULE_LICENSE("GPL");
