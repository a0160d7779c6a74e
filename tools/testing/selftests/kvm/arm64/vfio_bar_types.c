// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_bar_types - What a guest can do with a vfio-pci BAR, by memory type
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
 * The largest prefetchable BAR of the device is overwritten.
 */
#include "assigned_bar.h"

#define SLOT		1
#define ALIGN_FAULT	"guest fault: EC 0x25, FSC 0x21"
#define FETCH_ABORT	"guest fault: EC 0x21, FSC 0x10"

static const struct {
	const char *name;
	u8 attr;
	bool device;
} types[] = {
	{ "Device-nGnRnE", MT_DEVICE_nGnRnE, true },
	{ "Device-nGnRE", MT_DEVICE_nGnRE, true },
	{ "Device-nGRE", MT_DEVICE_nGRE, true },
	{ "Device-GRE", MT_DEVICE_GRE, true },
	{ "Normal-NC", MT_NORMAL_NC, false },
	{ "Normal-WT", MT_NORMAL_WT, false },
	{ "Normal-WB", MT_NORMAL, false },
};

enum op { LOAD, STORE, ZERO, FETCH };

/* What faults on Device memory, if the machine enforces that */
static struct {
	const char *name;
	enum op op;
	int offset;
	bool enforced;
} tries[] = {
	{ "unaligned load", LOAD, 1 },
	{ "unaligned store", STORE, 1 },
	{ "DC ZVA", ZERO, 0 },
};

static const char *source, *skip;
static bool withheld;
static struct kvm_vcpu *vcpu;
static struct kvm_vm *vm;
static gpa_t gpa;

/* For the guest, and for the test itself */
static __always_inline void do_op(enum op op, u64 addr)
{
	if (op == LOAD)
		asm volatile("ldr xzr, [%0]" : : "r" (addr) : "memory");
	else if (op == STORE)
		asm volatile("str xzr, [%0]" : : "r" (addr) : "memory");
	else if (op == ZERO)
		asm volatile("dc zva, %0" : : "r" (addr) : "memory");
	else
		asm volatile("blr %0" : : "r" (addr) : "x30", "memory");
}

static void guest_code(u64 op, u64 gva)
{
	/*
	 * The test may have written another type to the page table.  And QEMU
	 * checks the alignment only when it fills its TLB.
	 */
	asm volatile("dsb ishst; tlbi vmalle1is; dsb ish; isb" : : : "memory");
	do_op(op, gva);
	dsb(sy);
	ucall_arch_do_ucall(GUEST_TRIED);
}

static const char *try(enum op op, int offset)
{
	return skip ? "" : guest_try(vcpu, guest_code, op, gpa + offset);
}

static bool is_enforced(enum op op, void *addr)
{
	struct sigaction old, new = { .sa_handler = expect_sigbus_handler };

	sigaction(SIGBUS, &new, &old);
	if (!sigsetjmp(expect_sigbus_jmpbuf, 1)) {
		do_op(op, (u64)addr);
		sigaction(SIGBUS, &old, NULL);
		return false;
	}
	sigaction(SIGBUS, &old, NULL);
	return true;
}

static void report(const char *type, const char *what, const char *want,
		   const char *seen, const char *why_skip)
{
	if (!why_skip && strcmp(want, seen))
		ksft_print_msg("expected \"%s\", seen \"%s\"\n", want, seen);
	if (why_skip)
		ksft_test_result_skip("%s, %s: %s: %s\n", source, type, what, why_skip);
	else
		ksft_test_result(!strcmp(want, seen), "%s, %s: %s\n", source, type, what);
}

/*
 * Through vfio-pci, all of it works with each Normal type, unless it withholds
 * them, and through sysfs nothing does.  With a Device type, the guest takes the
 * fault, either way.
 */
static void test_device_faults(bool vfio, int type, int i)
{
	const char *want, *seen = try(tries[i].op, tries[i].offset), *why_skip = skip;

	want = types[type].device ? ALIGN_FAULT :
	       vfio && !withheld ? GUEST_ENDED : KVM_EFAULT;
	if (!skip && !tries[i].enforced && !strcmp(seen, GUEST_ENDED))
		why_skip = "this machine allows it on Device memory";
	report(types[type].name, tries[i].name, want, seen, why_skip);
}

/* Reads still work, or it is their end that is reported. */
static void test_store(const char *where, const char *want)
{
	const char *seen = try(LOAD, 0);

	if (!strcmp(seen, GUEST_ENDED))
		seen = try(STORE, 0);
	else
		want = GUEST_ENDED;
	report(where, "store", want, seen, skip);
}

static void test_source(bool vfio, void *hva)
{
	bool pkvm = kvm_is_protected();
	const char *seen;
	int i, j;

	source = vfio ? "vfio-pci" : "sysfs";
	skip = hva ? NULL : "vfio has it (CONFIG_IO_STRICT_DEVMEM): boot with iomem=relaxed";
	gpa = bar_slot_add(vm, SLOT, 0, hva, getpagesize());
	virt_pg_map(vm, gpa, gpa);

	/* An aligned load works.  pKVM refuses to map any MMIO. */
	seen = try(LOAD, 0);
	report("Normal-WB", "load", pkvm ? KVM_EINVAL : GUEST_ENDED, seen, skip);
	if (!skip && strcmp(seen, GUEST_ENDED))
		skip = pkvm ? "pKVM refuses MMIO" : "not even a load works";

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		virt_pg_map_type(vm, gpa, gpa, types[i].attr);
		for (j = 0; j < ARRAY_SIZE(tries); j++)
			test_device_faults(vfio, i, j);
	}

	/* MMIO is never executable.  KVM injects an external abort. */
	virt_pg_map(vm, gpa, gpa);
	report("Normal-WB", "fetch", FETCH_ABORT, try(FETCH, 0), skip);

	/* What is not writable for the VMM is not writable for the guest. */
	mprotect(hva, getpagesize(), PROT_READ);
	test_store("read-only VMA", KVM_EFAULT);
	mprotect(hva, getpagesize(), PROT_READ | PROT_WRITE);

	vm_set_user_memory_region(vm, SLOT, 0, gpa, 0, NULL);
	gpa = bar_slot_add(vm, SLOT, KVM_MEM_READONLY, hva, getpagesize());
	virt_pg_map(vm, gpa, gpa);
	test_store("read-only slot", EXIT_MMIO);
	vm_set_user_memory_region(vm, SLOT, 0, gpa, 0, NULL);
}

int main(int argc, char *argv[])
{
	const char *bdf = bar_device(&argc, &argv, "its BAR is overwritten");
	struct vfio_pci_device *device;
	int bar, i;
	u32 *word;
	void *hva;

	ksft_print_header();
	device = vfio_pci_device_init(bdf, iommu_init(default_iommu_mode));
	bar = bar_find(device, PCI_BASE_ADDRESS_MEM_PREFETCH);
	if (bar < 0)
		ksft_exit_skip("%s has no prefetchable BAR to map\n", bdf);

	/* Registers may know no wider accesses. */
	word = device->bars[bar].vaddr;
	WRITE_ONCE(*word, 0x12345678);
	if (READ_ONCE(*word) != 0x12345678)
		ksft_exit_skip("BAR %d of %s is not memory\n", bar, bdf);

	/* Not bars[].vaddr: it has been read, and is in QEMU's TLB. */
	hva = __kvm_mmap(getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED,
			 device->fd, device->bars[bar].info.offset);
	for (i = 0; i < ARRAY_SIZE(tries); i++)
		tries[i].enforced = is_enforced(tries[i].op, hva + tries[i].offset);

	withheld = bar_is_withheld(bdf);
	ksft_set_plan(2 * (ARRAY_SIZE(types) * ARRAY_SIZE(tries) + 4));
	vm = bar_vm_create(&vcpu);
	test_source(true, hva);
	test_source(false, bar_map_sysfs(device, bar, getpagesize()));

	kvm_vm_free(vm);
	ksft_finished();
}
