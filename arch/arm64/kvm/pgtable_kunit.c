// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the stage-2 page-table code, called as mmu.c calls it. No VM runs on
 * the tables, so they may map any address with any type.
 */
#include <kunit/test.h>

#include <linux/kvm_host.h>
#include <linux/sizes.h>

#include <asm/kvm_mmu.h>
#include <asm/kvm_pgtable.h>
#include <asm/virt.h>

#define BLOCK_LEVEL	(KVM_PGTABLE_LAST_LEVEL - 1)
/* IPA and PA of a block; nothing accesses it */
#define BLOCK		PMD_SIZE

struct split_case {
	const char *name;
	enum kvm_pgtable_prot prot;
};

static const struct split_case split_cases[] = {
	{ "Normal Write-Back", KVM_PGTABLE_PROT_RW },
	{ "Normal Write-Back, executable", KVM_PGTABLE_PROT_RWX },
	{ "Normal Write-Back, read-only", KVM_PGTABLE_PROT_R },
	{ "Normal Non-cacheable", KVM_PGTABLE_PROT_RW | KVM_PGTABLE_PROT_NORMAL_NC },
	{ "Device-nGnRE", KVM_PGTABLE_PROT_RW | KVM_PGTABLE_PROT_DEVICE },
	{ "a software bit", KVM_PGTABLE_PROT_RW | KVM_PGTABLE_PROT_SW0 },
};

KUNIT_ARRAY_PARAM_DESC(stage2_split, split_cases, name);

static int leaf(struct kvm *kvm, u64 ipa, kvm_pte_t *pte, s8 *level)
{
	int ret;

	write_lock(&kvm->mmu_lock);
	ret = kvm_pgtable_get_leaf(kvm->arch.mmu.pgt, ipa, pte, level);
	write_unlock(&kvm->mmu_lock);

	return ret;
}

/* What of a leaf is neither its address nor its level */
static u64 attributes(kvm_pte_t leaf)
{
	return leaf & (KVM_PTE_LEAF_ATTR_LO | KVM_PTE_LEAF_ATTR_HI);
}

/* The pages that a block is split into have the attributes of the block. */
static void stage2_split(struct kunit *test)
{
	const struct split_case *c = test->param_value;
	struct kvm *kvm = test->priv;
	struct kvm_s2_mmu *mmu = &kvm->arch.mmu;
	u64 offsets[] = { 0, PMD_SIZE - PAGE_SIZE };
	kvm_pte_t block, page;
	u64 want, got;
	s8 level;
	int i, ret;

	/* The block takes a table for each level above it, its pages one more. */
	KUNIT_ASSERT_EQ(test, 0, kvm_mmu_topup_memory_cache(&mmu->split_page_cache,
							    KVM_PGTABLE_LAST_LEVEL + 1));

	write_lock(&kvm->mmu_lock);
	ret = kvm_pgtable_stage2_map(mmu->pgt, BLOCK, PMD_SIZE, BLOCK, c->prot,
				     &mmu->split_page_cache, KVM_PGTABLE_WALK_SKIP_CMO);
	write_unlock(&kvm->mmu_lock);
	KUNIT_ASSERT_EQ(test, 0, ret);
	KUNIT_ASSERT_EQ(test, 0, leaf(kvm, BLOCK, &block, &level));
	KUNIT_ASSERT_EQ(test, BLOCK_LEVEL, level);
	want = attributes(block);

	write_lock(&kvm->mmu_lock);
	ret = kvm_pgtable_stage2_split(mmu->pgt, BLOCK, PMD_SIZE, &mmu->split_page_cache);
	write_unlock(&kvm->mmu_lock);
	KUNIT_ASSERT_EQ(test, 0, ret);

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		KUNIT_ASSERT_EQ(test, 0, leaf(kvm, BLOCK + offsets[i], &page, &level));
		KUNIT_EXPECT_EQ(test, KVM_PGTABLE_LAST_LEVEL, level);
		KUNIT_EXPECT_EQ(test, BLOCK + offsets[i], kvm_pte_to_phys(page));
		got = attributes(page);
		KUNIT_EXPECT_EQ_MSG(test, want, got,
				    "MemAttr 0x%lx of the block, 0x%lx of the page",
				    FIELD_GET(KVM_PTE_LEAF_ATTR_LO_S2_MEMATTR, want),
				    FIELD_GET(KVM_PTE_LEAF_ATTR_LO_S2_MEMATTR, got));
	}
}

static int stage2_init(struct kunit *test)
{
	struct kvm *kvm;
	int ret;

	if (!is_kvm_arm_initialised())
		kunit_skip(test, "KVM is not available, boot at EL2");
	if (is_protected_kvm_enabled())
		kunit_skip(test, "EL2 has the tables, boot without kvm-arm.mode=protected");

	kvm = kunit_kzalloc(test, sizeof(*kvm), GFP_KERNEL);
	if (!kvm)
		return -ENOMEM;
	rwlock_init(&kvm->mmu_lock);
	/* EL2 invalidates TLB entries by what it finds there. */
	ret = kvm_share_hyp(kvm, kvm + 1);
	if (ret)
		return ret;
	ret = kvm_init_stage2_mmu(kvm, &kvm->arch.mmu, 0);
	if (!ret)
		test->priv = kvm;

	return ret;
}

static void stage2_exit(struct kunit *test)
{
	struct kvm *kvm = test->priv;

	if (kvm) {
		kvm_mmu_free_memory_cache(&kvm->arch.mmu.split_page_cache);
		kvm_free_stage2_pgd(&kvm->arch.mmu);
		kvm_unshare_hyp(kvm, kvm + 1);
	}
}

static struct kunit_case stage2_cases[] = {
	KUNIT_CASE_PARAM(stage2_split, stage2_split_gen_params),
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
