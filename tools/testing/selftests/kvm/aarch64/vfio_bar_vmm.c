// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMM's own mapping of a BAR.
 *
 * That a guest may map the BAR Normal-NC must not give the VMM, or the host's
 * kernel on its behalf, an alias of it that can be read speculatively: the
 * process that owns the VMA keeps a Device-nGnRnE mapping.  The test module
 * walks the page tables of the calling process, that is, of this VMM, and
 * says which byte of the host's MAIR_EL1 the descriptor selects.  (Flags in
 * smaps would only tell what the VMA asks for.)  The descriptor has to be the
 * same whatever the guest does, whoever touches the BAR first.
 *
 * All cases pass on any kernel.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/sizes.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#include "bar_vm.h"
#include "memattr.h"
#include "vfio_bar.h"

#define NR_MAX_DEVS	8
#define RW		(PROT_READ | PROT_WRITE)

/* What selects a type in a stage-1 descriptor: AttrIndx[2:0] and SH[1:0]. */
#define PTE_TYPE_MASK	(GENMASK_ULL(4, 2) | GENMASK_ULL(9, 8))
#define PTE_UXN		BIT_ULL(54)

static struct memattr_machine machine;
static struct vfio_pci_dev devs[NR_MAX_DEVS];
static int nr_devs;
static struct vfio_pci_dev *main_dev;
static int main_bar;
static struct bar_vm bv;

struct test_case {
	const char *name;
	void (*run)(const struct test_case *t);
	uint8_t s1;
	enum bar_op op;
	bool guest_first;
	bool last_page;
	enum bar_source source;
	uint8_t want;
};

/* The descriptor leads to the right page and has the right type. */
static bool check_pte(const char *name, const void *hva, uint64_t pa,
		      uint8_t want, struct kvm_memattr_host_pte *pte)
{
	if (memattr_host_pte(&machine, hva, pte)) {
		ksft_print_msg("%s: no descriptor for %p: %s\n", name, hva,
			       strerror(errno));
		return false;
	}
	if (pte->attr != want)
		ksft_print_msg("%s: the VMM's mapping is %s (0x%02x), not %s: 0x%llx\n",
			       name, memattr_name(pte->attr), pte->attr,
			       memattr_name(want), pte->desc);
	else if (pa && pte->oa + ((uintptr_t)hva - pte->base) != pa)
		ksft_print_msg("%s: the VMM's mapping leads to 0x%llx, not 0x%lx\n",
			       name, pte->oa, (unsigned long)pa);
	else if (!(pte->desc & PTE_UXN))
		ksft_print_msg("%s: the VMM's mapping is executable: 0x%llx\n",
			       name, pte->desc);
	else
		return true;
	return false;
}

/* A load by this process, which faults the mapping in. */
static void vmm_touch(const void *hva)
{
	READ_ONCE(*(const uint32_t *)hva);
}

/* vfio-pci's mapping, with the guest having touched the page or not. */
static void test_vfio(const struct test_case *t)
{
	struct kvm_memattr_host_pte before, after;
	struct bar_result res;
	struct bar_slot slot;
	uint64_t off = 0;
	bool ok = true;
	uint8_t *hva;

	if (t->op == BAR_WRITE32 && !vfio_pci_may_write(main_dev)) {
		memattr_skip(t->name, "%s", vfio_bar_why());
		return;
	}
	if (!bar_vm_add_bar(&bv, &slot, 0, BAR_VFIO, main_dev, main_bar, RW, 0)) {
		ksft_print_msg("%s: %s\n", t->name, vfio_bar_why());
		ksft_test_result_fail("%s\n", t->name);
		return;
	}
	if (t->last_page)
		off = slot.size - bv.vm->page_size;
	hva = (uint8_t *)slot.hva + off;

	if (!t->guest_first) {
		vmm_touch(hva);
		ok &= check_pte(t->name, hva, slot.pa + off, t->want, &before);
	}
	if (t->op != BAR_NOP) {
		bar_vm_map(&bv, slot.gpa + off);
		bar_vm_set_type(&bv, t->s1);
		res = bar_vm_do(&bv, t->op, slot.gpa + off, 0);
		ok &= bar_vm_expect(t->name, &res, BAR_OK);
	}
	ok &= check_pte(t->name, hva, slot.pa + off, t->want, &after);
	if (ok && !t->guest_first &&
	    (before.desc ^ after.desc) & PTE_TYPE_MASK) {
		ksft_print_msg("%s: the descriptor changed from 0x%llx to 0x%llx\n",
			       t->name, before.desc, after.desc);
		ok = false;
	}
	/* And one more time, with the VMM having used it beside the guest. */
	vmm_touch(hva);
	ok &= check_pte(t->name, hva, slot.pa + off, t->want, &after);
	bar_vm_remove(&bv, &slot);
	ksft_test_result(ok, "%s\n", t->name);
}

/* Other mappings show that the module can tell the types apart. */
static void test_sysfs(const struct test_case *t)
{
	size_t size = getpagesize();
	struct kvm_memattr_host_pte pte;
	bool ok;
	void *p;

	p = vfio_pci_sysfs_mmap(main_dev, main_bar, t->source == BAR_SYSFS_WC,
				NULL, RW, 0, size);
	if (!p) {
		memattr_skip(t->name, "%s", vfio_bar_why());
		return;
	}
	vmm_touch(p);
	ok = check_pte(t->name, p, main_dev->bar[main_bar].start, t->want, &pte);
	munmap(p, size);
	ksft_test_result(ok, "%s\n", t->name);
}

static void test_ram(const struct test_case *t)
{
	struct kvm_memattr_host_pte pte;
	bool ok;
	void *p;

	p = mmap(NULL, getpagesize(), RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(p != MAP_FAILED, "mmap: %s", strerror(errno));
	memset(p, 0, getpagesize());
	ok = check_pte(t->name, p, 0, t->want, &pte);
	munmap(p, getpagesize());
	ksft_test_result(ok, "%s\n", t->name);
}

static const struct test_case cases[] = {
	/* Device-nGnRnE, without any access of the guest. */
	{ "vfio-pci, VMM only", test_vfio, .op = BAR_NOP,
	  .want = MEMATTR_DEVICE_nGnRnE },
	/* Device-nGnRnE before, and the same descriptor after it. */
	{ "vfio-pci, then guest reads as Normal-NC", test_vfio,
	  .op = BAR_READ32, .s1 = MEMATTR_NORMAL_NC,
	  .want = MEMATTR_DEVICE_nGnRnE },
	{ "vfio-pci, then guest writes as Normal-NC", test_vfio,
	  .op = BAR_WRITE32, .s1 = MEMATTR_NORMAL_NC,
	  .want = MEMATTR_DEVICE_nGnRnE },
	{ "vfio-pci, then guest reads as Normal-WB", test_vfio,
	  .op = BAR_READ32, .s1 = MEMATTR_NORMAL_WB,
	  .want = MEMATTR_DEVICE_nGnRnE },
	{ "vfio-pci, then guest reads as Device-nGnRE", test_vfio,
	  .op = BAR_READ32, .s1 = MEMATTR_DEVICE_nGnRE,
	  .want = MEMATTR_DEVICE_nGnRnE },
	{ "vfio-pci, then guest reads the last page as Normal-NC", test_vfio,
	  .op = BAR_READ32, .s1 = MEMATTR_NORMAL_NC, .last_page = true,
	  .want = MEMATTR_DEVICE_nGnRnE },
	/* Device-nGnRnE, too, if it was KVM that faulted it in. */
	{ "vfio-pci, guest reads first, as Normal-NC", test_vfio,
	  .op = BAR_READ32, .s1 = MEMATTR_NORMAL_NC, .guest_first = true,
	  .want = MEMATTR_DEVICE_nGnRnE },
	{ "vfio-pci, guest writes first, as Normal-NC", test_vfio,
	  .op = BAR_WRITE32, .s1 = MEMATTR_NORMAL_NC, .guest_first = true,
	  .want = MEMATTR_DEVICE_nGnRnE },

	/* pgprot_device(), pgprot_writecombine() and RAM are something else. */
	{ "control: sysfs resourceN is Device-nGnRE", test_sysfs,
	  .source = BAR_SYSFS, .want = MEMATTR_DEVICE_nGnRE },
	{ "control: sysfs resourceN_wc is Normal-NC", test_sysfs,
	  .source = BAR_SYSFS_WC, .want = MEMATTR_NORMAL_NC },
	{ "control: anonymous memory is Normal-WB", test_ram,
	  .want = MEMATTR_NORMAL_WB },
};

int main(int argc, char *argv[])
{
	int i;

	setbuf(stdout, NULL);
	ksft_print_header();
	memattr_require(&machine);
	main_dev = vfio_bar_require(devs, NR_MAX_DEVS, &nr_devs, &main_bar);
	bar_vm_create(&bv);

	ksft_set_plan(ARRAY_SIZE(cases));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		cases[i].run(&cases[i]);

	bar_vm_free(&bv);
	for (i = 0; i < nr_devs; i++)
		vfio_pci_close(&devs[i]);
	memattr_finish();
}
