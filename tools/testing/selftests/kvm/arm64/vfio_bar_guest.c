// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_bar_guest - What a guest can do with the BAR of a vfio-pci device
 *
 * KVM maps the BARs of vfio-pci as Normal-NC at stage 2, so that the guest's
 * own type decides between Device and Normal-NC.  Any other MMIO is Device at
 * stage 2: the same BAR, as sysfs maps it, is the control.
 *
 * On Device memory, unaligned accesses and DC ZVA fault.  If stage 1 says
 * Device, the guest takes the fault.  If stage 2 alone does, KVM_RUN fails.
 * Not all machines enforce this.  The test's own mapping is Device, so doing
 * the same to it tells.
 *
 * A BAR that is taken from the VMM must be out of the guest's reach, and if it
 * comes back, it has to have the type it had.
 *
 * The largest prefetchable BAR of the device is overwritten, if it is memory:
 * four of its words are, to see whether it is.  The others are read.  The device
 * is reset, and its decoding and power state are changed.
 */
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "assigned_bar.h"
#include "kselftest_harness.h"

enum { BAR_SLOT = 1, OTHER_SLOT, };

#define PATTERN		0xf1e2d3c4b5a69788UL

static const u8 device_types[] = {
	MT_DEVICE_nGnRnE, MT_DEVICE_nGnRE, MT_DEVICE_nGRE, MT_DEVICE_GRE,
};

static const u8 normal_types[] = { MT_NORMAL_NC, MT_NORMAL_WT, MT_NORMAL, };

enum op {
	LOAD8, LOAD16, LOAD32, LOAD64, LOAD_PAIR,
	STORE8, STORE16, STORE32, STORE64, STORE_PAIR,
	ZERO, FETCH,
};

static const char *device_bdf;

#define OP(_op, _insn) do {						\
	if (op == (_op))						\
		asm volatile(_insn : "+r" (a), "+r" (b) : "r" (addr)	\
			     : "x30", "memory");			\
} while (0)

/* For the guest, and for the test itself.  Of a load, what it finds is returned. */
static __always_inline u64 do_op(enum op op, u64 addr)
{
	u64 a = PATTERN, b = ~PATTERN;

	OP(LOAD8, "ldrb %w0, [%2]");
	OP(LOAD16, "ldrh %w0, [%2]");
	OP(LOAD32, "ldr %w0, [%2]");
	OP(LOAD64, "ldr %0, [%2]");
	OP(LOAD_PAIR, "ldp %0, %1, [%2]");
	OP(STORE8, "strb %w0, [%2]");
	OP(STORE16, "strh %w0, [%2]");
	OP(STORE32, "str %w0, [%2]");
	OP(STORE64, "str %0, [%2]");
	OP(STORE_PAIR, "stp %0, %1, [%2]");
	OP(ZERO, "dc zva, %2");
	OP(FETCH, "blr %2");
	return op == LOAD_PAIR ? a ^ b : a;
}

static void guest_code(u64 op, u64 gva)
{
	/*
	 * The test may have written another type to the page table.  And QEMU
	 * checks the alignment only when it fills its TLB.
	 */
	asm volatile("dsb ishst; tlbi vmalle1is; dsb ish; isb" : : : "memory");
	guest_done(do_op(op, gva));
}

static sigjmp_buf fault_jmpbuf;

static void fault_handler(int signum)
{
	siglongjmp(fault_jmpbuf, 1);
}

/* Does the machine enforce what Device memory does not allow? */
static bool is_enforced(enum op op, void *addr)
{
	struct sigaction old, new = { .sa_handler = fault_handler };
	bool faults = true;

	sigaction(SIGBUS, &new, &old);
	if (!sigsetjmp(fault_jmpbuf, 1)) {
		do_op(op, (u64)addr);
		faults = false;
	}
	sigaction(SIGBUS, &old, NULL);
	return faults;
}

/* A word of memory has what is stored to it; registers may know no wider access. */
static bool is_memory(void *bar, size_t size)
{
	size_t at[] = { 0, 4, size / 2, size - 4 };
	int i;

	for (i = 0; i < ARRAY_SIZE(at); i++)
		WRITE_ONCE(*(u32 *)(bar + at[i]), 0x12345678 + i);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		if (READ_ONCE(*(u32 *)(bar + at[i])) != 0x12345678 + i)
			return false;
	return true;
}

/* What the tests have in common: the device, and a VM with one of its BARs */
struct setup {
	struct vfio_pci_device *device;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	void *hva;
	size_t size;
	gpa_t gpa;
	int bar;
	bool memory;
	/* What Device forbids: how it ends as Normal, and would it fault as Device? */
	enum guest_end normal;
	bool enforced;
};

static void bar_map_again(struct setup *self)
{
	void *hva = mmap(self->hva, self->size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, self->device->fd,
			 self->device->bars[self->bar].info.offset);

	TEST_ASSERT(hva == self->hva, "mmap of BAR %d: %s", self->bar, strerror(errno));
}

/* NULL, or why there is nothing to test */
static const char *setup(struct setup *self)
{
	self->device = vfio_pci_device_init(device_bdf, iommu_init(default_iommu_mode));
	vfio_pci_cmd_set(self->device, PCI_COMMAND_MEMORY);
	self->bar = bar_find(self->device, PCI_BASE_ADDRESS_MEM_PREFETCH);
	if (self->bar >= 0)
		self->memory = is_memory(self->device->bars[self->bar].vaddr,
					 self->device->bars[self->bar].info.size);
	else
		self->bar = bar_find(self->device, 0);
	if (self->bar < 0)
		return "the device has no BAR to map";
	self->hva = self->device->bars[self->bar].vaddr;
	self->size = align_up(self->device->bars[self->bar].info.size, getpagesize());
	/* It has been read, so it is in QEMU's TLB, which then checks no alignment. */
	bar_map_again(self);
	self->enforced = is_enforced(LOAD64, self->hva + 1);
	self->normal = bar_is_withheld(device_bdf) ? KVM_RUN_EFAULT : GUEST_DID_IT;

	self->vm = guest_vm_create(1, &self->vcpu);
	self->gpa = bar_slot_add(self->vm, BAR_SLOT, 0, self->hva, self->size);
	virt_pg_map(self->vm, self->gpa, self->gpa);
	return NULL;
}

static void teardown(struct setup *self)
{
	struct iommu *iommu = self->device->iommu;

	if (self->vm)
		kvm_vm_free(self->vm);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(iommu);
}

/* How an access of the guest's ends, of memory type @type */
static enum guest_end try(struct setup *self, u8 type, enum op op, gpa_t gpa)
{
	gpa_t page = gpa & ~(gpa_t)(self->vm->page_size - 1);

	virt_pg_map_type(self->vm, page, page, type);
	return guest_try(self->vcpu, guest_code, op, gpa);
}

static void expect_try(struct __test_metadata *_metadata, struct setup *self, u8 type,
		       enum op op, gpa_t gpa, enum guest_end want)
{
	enum guest_end seen = try(self, type, op, gpa);

	EXPECT_EQ(want, seen)
		TH_LOG("type %d, operation %d at 0x%lx: %s (%lx), not %s", type, op, gpa,
		       guest_end_name(seen), guest_value, guest_end_name(want));
}

#define EXPECT_TRY(...)		expect_try(_metadata, &self->s, __VA_ARGS__)
#define EXPECT_LOAD(_gpa, _end)	EXPECT_TRY(MT_NORMAL_NC, LOAD32, _gpa, _end)

/* It is there, and Normal-NC, which shows where the machine enforces Device. */
static void expect_there(struct __test_metadata *_metadata, struct setup *self, gpa_t gpa)
{
	expect_try(_metadata, self, MT_NORMAL_NC, LOAD32, gpa, GUEST_DID_IT);
	if (self->enforced)
		expect_try(_metadata, self, MT_NORMAL_NC, LOAD64, gpa + 1, self->normal);
}

/* It is gone, and does not come back when the guest asks for it. */
static void expect_gone(struct __test_metadata *_metadata, struct setup *self, gpa_t gpa,
			enum guest_end want)
{
	expect_try(_metadata, self, MT_NORMAL_NC, LOAD32, gpa, want);
	expect_try(_metadata, self, MT_NORMAL_NC, LOAD32, gpa, want);
}

#define EXPECT_THERE(_gpa)	expect_there(_metadata, &self->s, _gpa)
#define EXPECT_GONE(...)	expect_gone(_metadata, &self->s, __VA_ARGS__)

/* Types: of the BAR through vfio-pci, and through sysfs */
FIXTURE(type) {
	struct setup s;
};

FIXTURE_VARIANT(type) {
	bool sysfs;
	enum op op;
	int offset;
};

FIXTURE_VARIANT_ADD(type, vfio_unaligned_load) { false, LOAD64, 1 };
FIXTURE_VARIANT_ADD(type, vfio_unaligned_pair) { false, LOAD_PAIR, 4 };
FIXTURE_VARIANT_ADD(type, vfio_unaligned_store) { false, STORE64, 1 };
FIXTURE_VARIANT_ADD(type, vfio_dc_zva) { false, ZERO, 0 };
FIXTURE_VARIANT_ADD(type, sysfs_unaligned_load) { true, LOAD64, 1 };
FIXTURE_VARIANT_ADD(type, sysfs_unaligned_pair) { true, LOAD_PAIR, 4 };
FIXTURE_VARIANT_ADD(type, sysfs_unaligned_store) { true, STORE64, 1 };
FIXTURE_VARIANT_ADD(type, sysfs_dc_zva) { true, ZERO, 0 };

FIXTURE_SETUP(type)
{
	const char *why = setup(&self->s);
	void *hva = self->s.hva;

	if (why)
		SKIP(return, "%s", why);
	if (!self->s.memory)
		SKIP(return, "BAR %d is not memory", self->s.bar);
	self->s.enforced = is_enforced(variant->op, hva + variant->offset);
	if (!variant->sysfs)
		return;

	hva = bar_map_sysfs(device_bdf, self->s.bar, self->s.size);
	if (!hva)
		SKIP(return, "CONFIG_IO_STRICT_DEVMEM: boot with iomem=relaxed");
	self->s.gpa = bar_slot_add(self->s.vm, OTHER_SLOT, 0, hva, self->s.size);
	self->s.normal = KVM_RUN_EFAULT;
}

FIXTURE_TEARDOWN(type)
{
	teardown(&self->s);
}

static void expect_types(struct __test_metadata *_metadata, struct setup *self, enum op op,
			 int offset, const u8 *types, int nr, enum guest_end want)
{
	gpa_t gpa = self->gpa + offset;

	for (; nr--; types++) {
		if (!self->enforced && try(self, *types, op, gpa) == GUEST_DID_IT)
			SKIP(return, "this machine allows %s on Device memory",
			     op == ZERO ? "DC ZVA" : "unaligned accesses");
		expect_try(_metadata, self, *types, op, gpa, want);
	}
}

/* With a Device type, the guest takes the fault, either way. */
TEST_F(type, device)
{
	expect_types(_metadata, &self->s, variant->op, variant->offset, device_types,
		     ARRAY_SIZE(device_types), GUEST_ALIGNMENT_FAULT);
}

/*
 * With a Normal type, all of it works through vfio-pci, unless that withholds
 * them, and nothing does through sysfs.
 */
TEST_F(type, normal)
{
	expect_types(_metadata, &self->s, variant->op, variant->offset, normal_types,
		     ARRAY_SIZE(normal_types), self->s.normal);
}

/* Whatever becomes of the BAR */
FIXTURE(bar) {
	struct setup s;
};

FIXTURE_SETUP(bar)
{
	const char *why = setup(&self->s);

	if (why)
		SKIP(return, "%s", why);
	EXPECT_LOAD(self->s.gpa, GUEST_DID_IT);
}

FIXTURE_TEARDOWN(bar)
{
	teardown(&self->s);
}

/* MMIO is never executable.  KVM injects an external abort. */
TEST_F(bar, fetch)
{
	EXPECT_TRY(MT_NORMAL, FETCH, self->s.gpa, GUEST_FETCH_ABORT);
}

/* What the guest stores is what the VMM loads, and the other way round. */
TEST_F(bar, stores_and_loads)
{
	static const u8 types[] = { MT_DEVICE_nGnRnE, MT_DEVICE_GRE, MT_NORMAL_NC, MT_NORMAL };
	u64 want, pair[2] = { PATTERN, ~PATTERN };
	int i, width, offset, last;
	u8 *area = self->s.hva, byte;

	if (!self->s.memory)
		SKIP(return, "BAR %d is not memory", self->s.bar);
	for (i = 0; i < ARRAY_SIZE(types) * 5; i++) {
		width = 1 << i % 5;
		last = types[i / 5] == MT_NORMAL_NC && self->s.normal == GUEST_DID_IT ? 19 : 16;
		for (offset = 16; offset <= last; offset += 3) {
			for (byte = 0; byte < 64; byte++)
				WRITE_ONCE(area[byte], 0xee);
			EXPECT_TRY(types[i / 5], STORE8 + i % 5, self->s.gpa + offset,
				   GUEST_DID_IT);
			for (byte = 0; byte < 64; byte++)
				EXPECT_EQ(byte >= offset && byte < offset + width ?
					  ((u8 *)pair)[byte - offset] : 0xee,
					  READ_ONCE(area[byte]))
					TH_LOG("type %d, byte %d of a store of %d to %d",
					       types[i / 5], byte, width, offset);

			for (byte = 0; byte < width; byte++)
				WRITE_ONCE(area[offset + byte], 0x1f + 13 * byte);
			want = 0;
			for (byte = 0; byte < width; byte++)
				want ^= (u64)(u8)(0x1f + 13 * byte) << byte % 8 * 8;
			EXPECT_TRY(types[i / 5], LOAD8 + i % 5, self->s.gpa + offset,
				   GUEST_DID_IT);
			EXPECT_EQ(want, guest_value);
		}
	}
}

/* What is not writable for the VMM is not writable for the guest. */
TEST_F(bar, read_only_vma)
{
	if (!self->s.memory)
		SKIP(return, "BAR %d is not memory", self->s.bar);
	EXPECT_TRY(MT_NORMAL_NC, STORE32, self->s.gpa, GUEST_DID_IT);
	ASSERT_EQ(0, mprotect(self->s.hva, self->s.size, PROT_READ));
	EXPECT_THERE(self->s.gpa);
	EXPECT_TRY(MT_NORMAL_NC, STORE32, self->s.gpa, KVM_RUN_EFAULT);
	ASSERT_EQ(0, mprotect(self->s.hva, self->s.size, PROT_READ | PROT_WRITE));
	EXPECT_TRY(MT_NORMAL_NC, STORE32, self->s.gpa, GUEST_DID_IT);
}

TEST_F(bar, read_only_slot)
{
	gpa_t gpa = bar_slot_add(self->s.vm, OTHER_SLOT, KVM_MEM_READONLY, self->s.hva,
				 self->s.size);

	EXPECT_THERE(gpa);
	EXPECT_TRY(MT_NORMAL_NC, STORE32, gpa, KVM_RUN_MMIO);
}

static int slot_error(struct kvm_vm *vm, u32 flags, void *hva, size_t size)
{
	return __vm_set_user_memory_region(vm, OTHER_SLOT, flags, bar_gpa(vm, hva, size),
					   size, hva) ? errno : 0;
}

/* KVM logs no writes to MMIO, and has no tags for it, wherever in a slot it is. */
TEST_F(bar, flags_refused)
{
	size_t page = getpagesize();
	void *two = mmap_reserve(2 * page, page, 0);
	struct kvm_vm *vm;

	ASSERT_EQ(two, mmap(two, page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(two + page, mremap(self->s.hva, page, page, MREMAP_MAYMOVE | MREMAP_FIXED,
				     two + page));
	EXPECT_EQ(EINVAL, slot_error(self->s.vm, KVM_MEM_LOG_DIRTY_PAGES, two + page, page));
	EXPECT_EQ(EINVAL, slot_error(self->s.vm, KVM_MEM_LOG_DIRTY_PAGES, two, 2 * page));
	if (!kvm_has_cap(KVM_CAP_ARM_MTE))
		return;

	vm = vm_create_barebones();
	vm_enable_cap(vm, KVM_CAP_ARM_MTE, 0);
	EXPECT_EQ(EINVAL, slot_error(vm, 0, two + page, page));
	EXPECT_EQ(EINVAL, slot_error(vm, 0, two, 2 * page));
	kvm_vm_free(vm);
}

/* Any part of any BAR, whatever the size of the BAR or the slot */
TEST_F(bar, every_part)
{
	struct vfio_pci_bar *bar = self->s.device->bars;
	size_t page = getpagesize(), last;
	u32 slot = OTHER_SLOT;
	gpa_t gpa;

	gpa = bar_slot_add(self->s.vm, slot++, 0, self->s.hva + self->s.size - page, page);
	EXPECT_THERE(gpa);

	for (; bar < self->s.device->bars + PCI_STD_NUM_BARS; bar++) {
		if (!bar->vaddr)
			continue;
		gpa = self->s.gpa;
		if (bar->vaddr != self->s.hva)
			gpa = bar_slot_add(self->s.vm, slot++, 0, bar->vaddr, bar->info.size);
		last = (bar->info.size - 1) & ~(page - 1);
		if (bar->vaddr == self->s.hva) {
			EXPECT_THERE(gpa);
			EXPECT_THERE(gpa + (last / 2 & ~(page - 1)));
			EXPECT_THERE(gpa + last);
		} else {
			EXPECT_LOAD(gpa, GUEST_DID_IT);
			EXPECT_LOAD(gpa + last, GUEST_DID_IT);
		}
	}
}

/* As sysfs maps it, the same BAR is Device.  What is next to it stays. */
TEST_F(bar, sysfs_next_to_it)
{
	void *hva = bar_map_sysfs(device_bdf, self->s.bar, self->s.size);
	gpa_t next = self->s.gpa + self->s.size;

	if (!hva)
		SKIP(return, "CONFIG_IO_STRICT_DEVMEM: boot with iomem=relaxed");
	vm_set_user_memory_region(self->s.vm, OTHER_SLOT, 0, next, self->s.size, hva);
	EXPECT_LOAD(next, GUEST_DID_IT);
	if (self->s.enforced)
		EXPECT_TRY(MT_NORMAL_NC, LOAD64, next + 1, KVM_RUN_EFAULT);
	EXPECT_THERE(next - 16);
}

/* Memory that takes the place of a page is found there, and is Normal. */
TEST_F(bar, memory_instead)
{
	u64 *word = mmap(self->s.hva, getpagesize(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	ASSERT_EQ(self->s.hva, word);
	*word = ~PATTERN;
	EXPECT_TRY(MT_NORMAL, LOAD64, self->s.gpa, GUEST_DID_IT);
	EXPECT_EQ(~PATTERN, guest_value);
	EXPECT_TRY(MT_NORMAL, LOAD64, self->s.gpa + 1, GUEST_DID_IT);

	bar_map_again(&self->s);
	EXPECT_THERE(self->s.gpa);
}

/* What the VMM has unmapped is gone: KVM finds nothing to map. */
TEST_F(bar, munmap)
{
	ASSERT_EQ(0, munmap(self->s.hva, self->s.size));
	EXPECT_GONE(self->s.gpa, KVM_RUN_EFAULT);
}

/* Of a block, too, just the page is gone. */
TEST_F(bar, munmap_page)
{
	if (self->s.size == getpagesize())
		SKIP(return, "BAR %d is no more than a page", self->s.bar);

	ASSERT_EQ(0, munmap(self->s.hva, getpagesize()));
	EXPECT_GONE(self->s.gpa, KVM_RUN_EFAULT);
	EXPECT_THERE(self->s.gpa + getpagesize());
}

/* Nor does it follow its mapping to where that is moved. */
TEST_F(bar, mremap)
{
	void *hva = mmap_reserve(self->s.size, self->s.size, 0);

	ASSERT_EQ(hva, mremap(self->s.hva, self->s.size, self->s.size,
			      MREMAP_MAYMOVE | MREMAP_FIXED, hva));
	EXPECT_GONE(self->s.gpa, KVM_RUN_EFAULT);
}

/* Without a slot, the VMM is asked to emulate the access. */
TEST_F(bar, slot_deleted)
{
	vm_set_user_memory_region(self->s.vm, BAR_SLOT, 0, self->s.gpa, 0, NULL);
	EXPECT_GONE(self->s.gpa, KVM_RUN_MMIO);
}

TEST_F(bar, slot_moved)
{
	gpa_t gpa = bar_gpa(self->s.vm, self->s.hva, self->s.size);

	vm_set_user_memory_region(self->s.vm, BAR_SLOT, 0, gpa, self->s.size, self->s.hva);
	EXPECT_GONE(self->s.gpa, KVM_RUN_MMIO);
	EXPECT_THERE(gpa);
}

static int find_cap(struct vfio_pci_device *device, u8 id)
{
	u8 pos = vfio_pci_config_readb(device, PCI_CAPABILITY_LIST);

	while (pos && vfio_pci_config_readb(device, pos) != id)
		pos = vfio_pci_config_readb(device, pos + PCI_CAP_LIST_NEXT);
	return pos;
}

/* The VMM's mapping stays, but vfio-pci lets nobody use it for now. */
TEST_F(bar, decoding_off)
{
	char physfn[64];

	snprintf(physfn, sizeof(physfn), "/sys/bus/pci/devices/%s/physfn", device_bdf);
	vfio_pci_cmd_clear(self->s.device, PCI_COMMAND_MEMORY);
	/* A VF has no memory enable of its own, and goes on decoding. */
	if (!access(physfn, F_OK))
		EXPECT_THERE(self->s.gpa);
	else
		EXPECT_GONE(self->s.gpa, KVM_RUN_EFAULT);

	vfio_pci_cmd_set(self->s.device, PCI_COMMAND_MEMORY);
	EXPECT_THERE(self->s.gpa);
}

TEST_F(bar, power_state_d3hot)
{
	int pos = find_cap(self->s.device, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	u16 ctrl;

	if (pos == PCI_PM_CTRL)
		SKIP(return, "%s has no power management", device_bdf);

	ctrl = vfio_pci_config_readw(self->s.device, pos);
	vfio_pci_config_writew(self->s.device, pos, ctrl | 3 /* D3hot */);
	EXPECT_GONE(self->s.gpa, KVM_RUN_EFAULT);

	vfio_pci_config_writew(self->s.device, pos, ctrl);
	EXPECT_THERE(self->s.gpa);
}

/* vfio-pci may suspend the device. */
TEST_F(bar, low_power)
{
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
	};

	if (ioctl(self->s.device->fd, VFIO_DEVICE_FEATURE, &feature))
		SKIP(return, "VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY: %s", strerror(errno));
	EXPECT_GONE(self->s.gpa, KVM_RUN_EFAULT);

	feature.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
	ASSERT_EQ(0, ioctl(self->s.device->fd, VFIO_DEVICE_FEATURE, &feature));
	EXPECT_THERE(self->s.gpa);
}

/*
 * During a reset nobody may use it, after it all may.  That it was gone shows by
 * the fault that the next access takes in the VMM's mapping.
 */
static long faults_of_load(struct setup *self)
{
	struct rusage before, after;

	getrusage(RUSAGE_THREAD, &before);
	if (try(self, MT_NORMAL_NC, LOAD32, self->gpa) != GUEST_DID_IT)
		return -1;
	getrusage(RUSAGE_THREAD, &after);
	return after.ru_minflt - before.ru_minflt;
}

TEST_F(bar, reset)
{
	if (!(self->s.device->info.flags & VFIO_DEVICE_FLAGS_RESET))
		SKIP(return, "%s cannot be reset by itself", device_bdf);

	EXPECT_LOAD(self->s.gpa, GUEST_DID_IT);
	EXPECT_EQ(0, faults_of_load(&self->s));
	vfio_pci_device_reset(self->s.device);
	EXPECT_LE(1, faults_of_load(&self->s));
	EXPECT_THERE(self->s.gpa);
}

TEST_F(bar, function_level_reset)
{
	int pos = find_cap(self->s.device, PCI_CAP_ID_EXP);
	u16 ctrl;

	if (!pos || !(vfio_pci_config_readl(self->s.device, pos + PCI_EXP_DEVCAP) &
		      PCI_EXP_DEVCAP_FLR))
		SKIP(return, "%s has no FLR", device_bdf);

	EXPECT_LOAD(self->s.gpa, GUEST_DID_IT);
	EXPECT_EQ(0, faults_of_load(&self->s));
	ctrl = vfio_pci_config_readw(self->s.device, pos + PCI_EXP_DEVCTL);
	vfio_pci_config_writew(self->s.device, pos + PCI_EXP_DEVCTL,
			       ctrl | PCI_EXP_DEVCTL_BCR_FLR);
	EXPECT_LE(1, faults_of_load(&self->s));
	EXPECT_THERE(self->s.gpa);
}

/* Asked once, as it takes pKVM long to make a VM */
static bool mmio_is_refused(void)
{
	struct setup s = {};
	bool refused;

	if (!kvm_is_protected())
		return false;
	refused = !setup(&s) &&
		  guest_try(s.vcpu, guest_code, LOAD32, s.gpa) == KVM_RUN_EINVAL;
	teardown(&s);
	return refused;
}

int main(int argc, char *argv[])
{
	device_bdf = bar_device(&argc, &argv, "it is reset, and overwritten if it is memory");
	if (mmio_is_refused()) {
		ksft_print_header();
		ksft_exit_skip("pKVM refuses MMIO\n");
	}
	return test_harness_run(argc, argv);
}
