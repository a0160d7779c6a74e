// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_bar_nested - What a guest's guest can do with a vfio-pci BAR
 *
 * The guest, L1, runs at EL2, and gives the BAR to a guest of its own, L2.  The
 * memory type that L2 gets is that of its own stage 1, combined with that of
 * L1's stage 2.  KVM has to honour L1's type by the shadow stage 2: if L1 says
 * Device, an unaligned access of L2's is a fault that L1 takes, however L2 maps
 * the BAR.
 *
 * The BAR is read.  Its decoding is turned off and on.
 */
#include <linux/sizes.h>
#include <sys/mman.h>

#include <asm/sysreg.h>

#include "assigned_bar.h"
#include "kselftest_harness.h"

/* Stage 2: 39 bits, 4K granule, from level 1 */
#define S2_VTCR		(VTCR_EL2_RES1 | SYS_FIELD_PREP(VTCR_EL2, PS, 2) |	\
			 SYS_FIELD_PREP(VTCR_EL2, SL0, 1) |			\
			 SYS_FIELD_PREP(VTCR_EL2, T0SZ, 64 - 39))
#define S2_BLOCK	(PTE_AF | 0b11 << 8 /* SH */ | 0b11 << 6 /* S2AP */ | PTE_VALID)
#define S2_PAGE		(S2_BLOCK | S2_TABLE)
#define S2_TABLE	(BIT(1) | PTE_VALID)

/* MemAttr: Device and Non-cacheable are the same with and without FEAT_S2FWB. */
#define S2_nGnRnE	0b0000
#define S2_GRE		0b0011
#define S2_NC		0b0101

/* Each test has a VM of its own, which takes seconds where EL2 is emulated. */
#define SECONDS		300

static const char *device_bdf;

/* L1's stage 2, by level: 1G blocks, 2M blocks and 4K pages */
static struct {
	u64 *table[3];
	gpa_t gpa[3];
	u64 fwb, ram;
	/* The MemAttr of the BAR's first page, and with a block of all of it */
	u64 memattr;
	bool block;
} l1;

static u64 other_page(u64 addr)
{
	return align_down(addr, SZ_4K) ^ SZ_4K;
}

/* The page next to it comes first: it may be the other part of a block. */
static void l2_code(u64 gva)
{
	asm volatile("ldr wzr, [%0]" : : "r" (other_page(gva)) : "memory");
	/* QEMU checks the alignment only when it fills its TLB. */
	asm volatile("tlbi vmalle1is; dsb ish; isb" : : : "memory");
	asm volatile("ldr xzr, [%0]" : : "r" (gva) : "memory");
	guest_done(0);
}

#define copy_el2_to_el1(reg)						\
	write_sysreg_s(read_sysreg_s(SYS_##reg##_EL1), SYS_##reg##_EL12)

/* Run L2 in the stage 1 that EL2 has, and in a stage 2 that maps all 1:1. */
static void l1_code(u64 gva, u64 gpa)
{
	u64 i, pa = align_down(gpa, SZ_1G);

	for (i = 0; i < 512; i++) {
		l1.table[0][i] = i * SZ_1G | S2_BLOCK | l1.ram << 2;
		l1.table[1][i] = (pa + i * SZ_2M) | S2_BLOCK | l1.memattr << 2;
		l1.table[2][i] = (align_down(gpa, SZ_2M) + i * SZ_4K) | S2_PAGE | S2_NC << 2;
	}
	l1.table[0][gpa / SZ_1G] = l1.gpa[1] | S2_TABLE;
	if (!l1.block)
		l1.table[1][gpa % SZ_1G / SZ_2M] = l1.gpa[2] | S2_TABLE;
	i = gpa % SZ_2M / SZ_4K;
	l1.table[2][i] = gpa | S2_PAGE | l1.memattr << 2;

	copy_el2_to_el1(SCTLR);
	copy_el2_to_el1(MAIR);
	copy_el2_to_el1(TCR);
	copy_el2_to_el1(TTBR0);
	copy_el2_to_el1(TTBR1);
	copy_el2_to_el1(VBAR);
	copy_el2_to_el1(CPACR);
	write_sysreg(S2_VTCR, vtcr_el2);
	write_sysreg(l1.gpa[0], vttbr_el2);
	sysreg_clear_set(hcr_el2, HCR_EL2_TGE | HCR_EL2_FWB, HCR_EL2_VM | l1.fwb);
	/* The two pages that are tried; for stage 1 L2 does it. */
	asm volatile("dsb ish; tlbi ipas2e1is, %0; tlbi ipas2e1is, %1; dsb ish; isb"
		     : : "r" (gpa >> 12), "r" (other_page(gpa) >> 12) : "memory");

	/* L1 does not go on, so that L2 can have its stack. */
	write_sysreg(PSR_MODE_EL1h | PSR_D_BIT | PSR_A_BIT | PSR_I_BIT | PSR_F_BIT, spsr_el1);
	write_sysreg(l2_code, elr_el1);
	asm volatile("mov x0, %0; mov x1, sp; msr sp_el1, x1; eret"
		     : : "r" (gva) : "x0", "x1", "memory");
}

FIXTURE(bar) {
	struct vfio_pci_device *device;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	size_t size;
	gpa_t gpa;
	void *hva;
	int bar;
	/* How an unaligned load of L2's ends, if both stages say Normal */
	enum guest_end normal;
};

FIXTURE_VARIANT(bar) {
	u64 fwb;
};

FIXTURE_VARIANT_ADD(bar, without_fwb) {
	.fwb = 0,
};

FIXTURE_VARIANT_ADD(bar, with_fwb) {
	.fwb = HCR_EL2_FWB,
};

/* How a load of L2's ends, with the MT_* of its stage 1 and the MemAttr of L1's */
static enum guest_end try(struct kvm_vcpu *vcpu, gpa_t gpa, u8 type, u8 memattr, int offset)
{
	gpa_t other = other_page(gpa + offset), page = other_page(other);

	virt_pg_map_type(vcpu->vm, page, page, type);
	virt_pg_map_type(vcpu->vm, other, other, type);
	l1.memattr = memattr;
	sync_global_to_guest(vcpu->vm, l1);
	/* The last try may have ended in L2. */
	vcpu_set_reg(vcpu, ARM64_CORE_REG(regs.pstate), PSR_MODE_EL2h | PSR_D_BIT |
		     PSR_A_BIT | PSR_I_BIT | PSR_F_BIT);
	return guest_try(vcpu, l1_code, gpa + offset, gpa);
}

static void expect_try(struct __test_metadata *_metadata, struct kvm_vcpu *vcpu, gpa_t gpa,
		       enum guest_end want, u8 type, u8 memattr, int offset)
{
	enum guest_end seen = try(vcpu, gpa, type, memattr, offset);

	EXPECT_EQ(want, seen)
		TH_LOG("stage 1 %d, MemAttr %d, offset %d: %s (%lx), not %s", type, memattr,
		       offset, guest_end_name(seen), guest_value, guest_end_name(want));
}

#define EXPECT_TRY(...)	expect_try(_metadata, self->vcpu, self->gpa, __VA_ARGS__)

FIXTURE_SETUP(bar)
{
	gva_t table;
	int i;

	self->device = vfio_pci_device_init(device_bdf, iommu_init(default_iommu_mode));
	self->bar = bar_find(self->device, PCI_BASE_ADDRESS_MEM_PREFETCH);
	if (self->bar < 0)
		SKIP(return, "%s has no prefetchable BAR to map", device_bdf);
	self->hva = self->device->bars[self->bar].vaddr;
	self->size = self->device->bars[self->bar].info.size;
	self->normal = bar_is_withheld(device_bdf) ? L1_ALIGNMENT_FAULT : GUEST_DID_IT;

	self->vm = guest_vm_create(1, &self->vcpu);
	if (!vcpu_has_el2(self->vcpu))
		SKIP(return, "No EL2 for guests: boot with kvm-arm.mode=nested");
	if (getpagesize() != SZ_4K || self->size < 2 * SZ_4K)
		SKIP(return, "Needs 4K pages, which a guest hypervisor has only if the host has");
	guest_vm_report_l2_faults(self->vm);

	self->gpa = bar_slot_add(self->vm, 1, 0, self->hva, self->size);
	for (i = 0; i < ARRAY_SIZE(l1.table); i++) {
		table = vm_alloc_page(self->vm);
		l1.table[i] = (u64 *)table;
		l1.gpa[i] = addr_gva2gpa(self->vm, table);
	}
	l1.fwb = variant->fwb;
	l1.ram = variant->fwb ? 0b0110 : 0b1111;
	l1.block = false;

	if (try(self->vcpu, self->gpa, MT_DEVICE_nGnRE, S2_NC, 1) == GUEST_DID_IT)
		SKIP(return, "this machine allows unaligned accesses to Device memory");
}

FIXTURE_TEARDOWN(bar)
{
	struct iommu *iommu = self->device->iommu;

	kvm_vm_free(self->vm);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(iommu);
}

/* Device at either stage is Device, and who says so has the fault. */
TEST_F_TIMEOUT(bar, types, SECONDS)
{
	static const u8 device[] = { MT_DEVICE_nGnRnE, MT_DEVICE_nGnRE, MT_DEVICE_nGRE,
				     MT_DEVICE_GRE };
	static const u8 normal[] = { MT_NORMAL_NC, MT_NORMAL_WT, MT_NORMAL };
	u8 s2_normal[] = { S2_NC, variant->fwb ? 0b0111 : 0b1010, l1.ram };
	int i, j;

	for (i = S2_nGnRnE; i <= S2_GRE; i++) {
		for (j = 0; j < ARRAY_SIZE(device); j++)
			EXPECT_TRY(GUEST_ALIGNMENT_FAULT, device[j], i, 1);
		for (j = 0; j < ARRAY_SIZE(normal); j++)
			EXPECT_TRY(L1_ALIGNMENT_FAULT, normal[j], i, 1);
	}
	/* L1 changes its mind. */
	for (i = 0; i < ARRAY_SIZE(s2_normal); i++) {
		for (j = 0; j < ARRAY_SIZE(device); j++)
			EXPECT_TRY(GUEST_ALIGNMENT_FAULT, device[j], s2_normal[i], 1);
		for (j = 0; j < ARRAY_SIZE(normal); j++)
			EXPECT_TRY(self->normal, normal[j], s2_normal[i], 1);
	}
	EXPECT_TRY(L1_ALIGNMENT_FAULT, MT_NORMAL_NC, S2_GRE, 1);
	/* With FEAT_S2FWB, bit 3 is no part of the type. */
	if (variant->fwb)
		EXPECT_TRY(L1_ALIGNMENT_FAULT, MT_NORMAL_NC, BIT(3) | S2_GRE, 1);
}

/* L1's pages differ within a block that KVM could map, and L1's block is whole. */
TEST_F_TIMEOUT(bar, pages_and_blocks, SECONDS)
{
	EXPECT_TRY(L1_ALIGNMENT_FAULT, MT_NORMAL_NC, S2_GRE, 1);
	EXPECT_TRY(self->normal, MT_NORMAL_NC, S2_GRE, SZ_4K + 1);

	l1.block = true;
	EXPECT_TRY(L1_ALIGNMENT_FAULT, MT_NORMAL_NC, S2_GRE, SZ_4K + 1);
	EXPECT_TRY(self->normal, MT_NORMAL_NC, S2_NC, SZ_4K + 1);
}

/* Where KVM says Device, L1 takes the fault of its guest as well. */
TEST_F_TIMEOUT(bar, sysfs, SECONDS)
{
	void *hva = bar_map_sysfs(device_bdf, self->bar, self->size);

	if (!hva)
		SKIP(return, "CONFIG_IO_STRICT_DEVMEM: boot with iomem=relaxed");
	vm_set_user_memory_region(self->vm, 1, 0, self->gpa, 0, NULL);
	self->gpa = bar_slot_add(self->vm, 1, 0, hva, self->size);
	EXPECT_TRY(GUEST_DID_IT, MT_NORMAL_NC, S2_NC, 0);
	EXPECT_TRY(L1_ALIGNMENT_FAULT, MT_NORMAL_NC, S2_NC, 1);
}

/* When the BAR goes, it goes from the shadow stage 2 as well. */
TEST_F_TIMEOUT(bar, taken_away, SECONDS)
{
	EXPECT_TRY(GUEST_DID_IT, MT_NORMAL_NC, S2_NC, 0);
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	EXPECT_TRY(KVM_RUN_EFAULT, MT_NORMAL_NC, S2_NC, 0);
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	EXPECT_TRY(self->normal, MT_NORMAL_NC, S2_NC, 1);

	ASSERT_EQ(0, munmap(self->hva, self->size));
	EXPECT_TRY(KVM_RUN_EFAULT, MT_NORMAL_NC, S2_NC, 0);
}

int main(int argc, char *argv[])
{
	device_bdf = bar_device(&argc, &argv, "it is switched off and on");
	return test_harness_run(argc, argv);
}
