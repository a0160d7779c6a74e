// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_bar_unmap - What stage 2 has of a BAR, and when it is gone
 *
 * When a BAR is taken from the VMM, a guest must not reach it any more.  If it
 * comes back, it has to have the type it had.  The dump of the stage-2 page
 * table in debugfs tells.
 *
 * The BARs of the device are read.  It is reset, and its decoding and power
 * state are changed.
 */
#include "assigned_bar.h"
#include "kselftest_harness.h"

#define NOT_MAPPED	"not mapped"
#define NORMAL_NC	"MEM/NORMAL-NC"
#define DEVICE		"DEVICE/nGnRE"

enum { BAR_SLOT = 1, OTHER_SLOT, };

static const char *device_bdf;

static void guest_code(u64 gva, u64 unused)
{
	asm volatile("ldr wzr, [%0]" : : "r" (gva) : "memory");
	dsb(sy);
	ucall_arch_do_ucall(GUEST_TRIED);
}

FIXTURE(bar) {
	struct vfio_pci_device *device;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	char type[16];
	void *hva;
	size_t size;
	gpa_t gpa;
	int bar;
};

static FILE *dump_open(struct kvm_vm *vm)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/stage2_page_tables",
		 getpid(), vm->fd);
	return fopen(path, "r");
}

/* The memory type is the last word of the line of @gpa, if it is mapped. */
static const char *stage2_type(struct kvm_vm *vm, gpa_t gpa)
{
	const char *type = NOT_MAPPED;
	static char line[256];
	FILE *dump = dump_open(vm);
	u64 start, end;

	while (fgets(line, sizeof(line), dump)) {
		if (sscanf(line, "0x%lx-0x%lx", &start, &end) != 2 ||
		    gpa < start || gpa >= end || !strstr(line, " R "))
			continue;
		line[strcspn(line, "\n")] = '\0';
		type = strrchr(line, ' ') + 1;
		break;
	}
	fclose(dump);
	return type;
}

/* How a load of the guest's ends, and what stage 2 has after it */
static void expect_load(struct __test_metadata *_metadata, struct kvm_vcpu *vcpu,
			gpa_t gpa, const char *end, const char *type)
{
	gpa_t page = align_down(gpa, vcpu->vm->page_size);

	virt_pg_map(vcpu->vm, page, page);
	EXPECT_STREQ(end, guest_try(vcpu, guest_code, gpa, 0));
	EXPECT_STREQ(type, stage2_type(vcpu->vm, gpa));
}

#define EXPECT_LOAD(_gpa, _type) \
	expect_load(_metadata, self->vcpu, _gpa, GUEST_ENDED, _type)

/* It is gone, and does not come back when the guest asks for it. */
static void expect_gone(struct __test_metadata *_metadata, struct kvm_vcpu *vcpu,
			gpa_t gpa, const char *end)
{
	EXPECT_STREQ(NOT_MAPPED, stage2_type(vcpu->vm, gpa));
	expect_load(_metadata, vcpu, gpa, end, NOT_MAPPED);
}

#define EXPECT_GONE(_gpa, _end)	expect_gone(_metadata, self->vcpu, _gpa, _end)

FIXTURE_SETUP(bar)
{
	FILE *dump;

	self->device = vfio_pci_device_init(device_bdf, iommu_init(default_iommu_mode));
	self->bar = bar_find(self->device, 0);
	if (self->bar < 0)
		SKIP(return, "%s has no BAR to map", device_bdf);
	self->hva = self->device->bars[self->bar].vaddr;
	self->size = align_up(self->device->bars[self->bar].info.size, getpagesize());

	self->vm = bar_vm_create(&self->vcpu);
	dump = dump_open(self->vm);
	if (kvm_is_protected()) {
		/* The page table is the hypervisor's, there are to be no files. */
		ASSERT_NULL(dump);
		SKIP(return, "pKVM refuses MMIO");
	}
	if (!dump)
		SKIP(return, "No dump: CONFIG_PTDUMP_STAGE2_DEBUGFS, debugfs, root");
	fclose(dump);

	self->gpa = bar_slot_add(self->vm, BAR_SLOT, 0, self->hva, self->size);
	virt_pg_map(self->vm, self->gpa, self->gpa);
	EXPECT_STREQ(GUEST_ENDED, guest_try(self->vcpu, guest_code, self->gpa, 0));
	snprintf(self->type, sizeof(self->type), "%s", stage2_type(self->vm, self->gpa));
	EXPECT_STRNE(NOT_MAPPED, self->type);
}

FIXTURE_TEARDOWN(bar)
{
	struct iommu *iommu = self->device->iommu;

	kvm_vm_free(self->vm);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(iommu);
}

/* Any part of any BAR is Normal-NC, whatever the size of the BAR or the slot. */
TEST_F(bar, is_normal_nc)
{
	const char *type = bar_is_withheld(device_bdf) ? DEVICE : NORMAL_NC;
	struct vfio_pci_bar *bar = self->device->bars;
	size_t page = getpagesize(), last;
	u32 slot = OTHER_SLOT;
	gpa_t gpa;

	EXPECT_STREQ(type, self->type);
	gpa = bar_slot_add(self->vm, slot++, 0, self->hva + self->size - page, page);
	EXPECT_LOAD(gpa, type);

	for (; bar < self->device->bars + PCI_STD_NUM_BARS; bar++) {
		if (!bar->vaddr)
			continue;
		gpa = self->gpa;
		if (bar->vaddr != self->hva)
			gpa = bar_slot_add(self->vm, slot++, 0, bar->vaddr, bar->info.size);
		last = align_down(bar->info.size - 1, page);
		EXPECT_LOAD(gpa, type);
		EXPECT_LOAD(gpa + align_down(last / 2, page), type);
		EXPECT_LOAD(gpa + last, type);
	}
}

/* As sysfs maps it, the same BAR is Device.  What is next to it stays. */
TEST_F(bar, sysfs_is_device)
{
	void *hva = bar_map_sysfs(self->device, self->bar, self->size);
	gpa_t next = self->gpa + self->size;

	if (!hva)
		SKIP(return, "CONFIG_IO_STRICT_DEVMEM: boot with iomem=relaxed");

	vm_set_user_memory_region(self->vm, OTHER_SLOT, 0, next, self->size, hva);
	EXPECT_LOAD(next, DEVICE);
	EXPECT_LOAD(next - sizeof(u32), self->type);
}

/* Memory that takes the place of the BAR is Normal. */
TEST_F(bar, memory_is_normal)
{
	ASSERT_EQ(self->hva, mmap(self->hva, self->size, PROT_READ,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_STREQ(NOT_MAPPED, stage2_type(self->vm, self->gpa));
	EXPECT_LOAD(self->gpa, "MEM/NORMAL");
}

/* What the VMM has unmapped is gone: KVM finds nothing to map. */
TEST_F(bar, munmap)
{
	ASSERT_EQ(0, munmap(self->hva, self->size));
	EXPECT_GONE(self->gpa, KVM_EFAULT);
}

/* Of a block, too, just the page is gone. */
TEST_F(bar, munmap_page)
{
	if (self->size == getpagesize())
		SKIP(return, "BAR %d is no more than a page", self->bar);

	ASSERT_EQ(0, munmap(self->hva, getpagesize()));
	EXPECT_GONE(self->gpa, KVM_EFAULT);
	EXPECT_LOAD(self->gpa + getpagesize(), self->type);
}

/* Nor does it follow its mapping to where that is moved. */
TEST_F(bar, mremap)
{
	void *hva = mmap_reserve(self->size, self->size, 0);

	ASSERT_EQ(hva, mremap(self->hva, self->size, self->size,
			      MREMAP_MAYMOVE | MREMAP_FIXED, hva));
	EXPECT_GONE(self->gpa, KVM_EFAULT);
}

/* Without a slot, the VMM is asked to emulate the access. */
TEST_F(bar, slot_deleted)
{
	vm_set_user_memory_region(self->vm, BAR_SLOT, 0, self->gpa, 0, NULL);
	EXPECT_GONE(self->gpa, EXIT_MMIO);
}

TEST_F(bar, slot_moved)
{
	gpa_t gpa = bar_gpa(self->vm, self->hva, self->size);

	vm_set_user_memory_region(self->vm, BAR_SLOT, 0, gpa, self->size, self->hva);
	EXPECT_GONE(self->gpa, EXIT_MMIO);
	EXPECT_LOAD(gpa, self->type);
}

/* The VMM's mapping stays, but vfio-pci lets nobody use it for now. */
TEST_F(bar, decoding_off)
{
	char physfn[64];

	snprintf(physfn, sizeof(physfn), "/sys/bus/pci/devices/%s/physfn", device_bdf);
	vfio_pci_cmd_clear(self->device, PCI_COMMAND_MEMORY);
	/* A VF has no memory enable of its own, and goes on decoding. */
	if (!access(physfn, F_OK))
		EXPECT_LOAD(self->gpa, self->type);
	else
		EXPECT_GONE(self->gpa, KVM_EFAULT);

	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	EXPECT_LOAD(self->gpa, self->type);
}

TEST_F(bar, power_state_d3hot)
{
	u8 pos = vfio_pci_config_readb(self->device, PCI_CAPABILITY_LIST);
	u16 ctrl;

	while (pos && vfio_pci_config_readb(self->device, pos) != PCI_CAP_ID_PM)
		pos = vfio_pci_config_readb(self->device, pos + PCI_CAP_LIST_NEXT);
	if (!pos)
		SKIP(return, "%s has no power management", device_bdf);

	ctrl = vfio_pci_config_readw(self->device, pos + PCI_PM_CTRL);
	vfio_pci_config_writew(self->device, pos + PCI_PM_CTRL, ctrl | 3 /* D3hot */);
	EXPECT_GONE(self->gpa, KVM_EFAULT);

	vfio_pci_config_writew(self->device, pos + PCI_PM_CTRL, ctrl);
	EXPECT_LOAD(self->gpa, self->type);
}

/* During a reset nobody may use it, after it all may: each access is a new fault. */
TEST_F(bar, reset)
{
	if (!(self->device->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "%s cannot be reset by itself", device_bdf);

	vfio_pci_device_reset(self->device);
	EXPECT_STREQ(NOT_MAPPED, stage2_type(self->vm, self->gpa));
	EXPECT_LOAD(self->gpa, self->type);
}

int main(int argc, char *argv[])
{
	device_bdf = bar_device(&argc, &argv, "it is reset");
	return test_harness_run(argc, argv);
}
