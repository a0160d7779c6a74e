// SPDX-License-Identifier: GPL-2.0-only
/*
 * What memory type does a guest get from a PCI BAR that vfio-pci maps?
 *
 * The BAR is a memslot of a VM.  For each type the guest can ask for at
 * stage 1, the combined type is observed (AT S12E1R on a VHE host) or computed
 * from the stage-2 leaf by the architecture's rules (elsewhere), and compared
 * with the combination of that type and Normal-NC at stage 2.  The same BAR
 * through sysfs is an ordinary MMIO mapping and has to stay Device-nGnRE at
 * stage 2.  The other cases look at how the leaf comes about: by which fault,
 * with which permissions, for which kind of BAR.
 *
 * A kernel without VM_ALLOW_ANY_UNCACHED fails the cases that ask for
 * Normal-NC, and the stage-1 types that Device-nGnRE at stage 2 strengthens.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/sizes.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#include "bar_vm.h"
#include "memattr.h"
#include "vfio_bar.h"

#define NR_MAX_DEVS	8

#define RW		(PROT_READ | PROT_WRITE)

enum { WIN_VFIO, WIN_SYSFS, WIN_CASE, WIN_CASE2 };

static struct memattr_machine machine;
static struct vfio_pci_dev devs[NR_MAX_DEVS];
static int nr_devs;
static struct bar_vm bv;

/* The BAR that most cases use, and why there is none through sysfs. */
static struct vfio_pci_dev *main_dev;
static int main_bar;
static struct bar_slot via_vfio, via_sysfs;
static char no_sysfs[512];

/* What vfio-pci's VMA allows: all uncached types, no execution. */
#define WANT_NC(_write, _oa) (&(const struct bar_leaf_want){		\
	.type = MEMATTR_NORMAL_NC, .read = true, .write = (_write),	\
	.oa = (_oa) })

struct test_case {
	const char *name;
	void (*run)(const struct test_case *t, const char *name);
	enum bar_source source;
	uint8_t s1;
	int prot;
	uint32_t slot_flags;
	enum bar_op ops[2];
	struct vfio_bar_want want;
	struct {
		int first, pages;	/* of the BAR; first < 0: from its end */
		int skip;		/* of the mapping */
		uint64_t gpa;
		int vcpu;
	} part;
};

/* One stage-1 type: the combination with the stage-2 type of the VMA. */
static void test_s1_type(const struct test_case *t, const char *name)
{
	struct bar_slot *map = t->source == BAR_VFIO ? &via_vfio : &via_sysfs;
	struct memattr_row row = {
		.vma = t->source == BAR_VFIO ? "vfio-pci" : "sysfs",
		.s1 = t->s1,
		.want = t->source == BAR_VFIO ? MEMATTR_NORMAL_NC :
						MEMATTR_DEVICE_nGnRE,
	};
	struct bar_result res;
	char full[128];

	snprintf(full, sizeof(full), "%s: stage 1 %s (0x%02x)", name,
		 memattr_name(t->s1), t->s1);
	if (!map->hva) {
		memattr_skip(full, "%s", no_sysfs);
		return;
	}
	bar_vm_set_type(&bv, t->s1);
	res = bar_vm_do(&bv, BAR_READ32, map->gpa, 0);
	if (!bar_vm_expect(full, &res, BAR_OK)) {
		ksft_test_result_fail("%s\n", full);
		return;
	}
	if (memattr_observe(&machine, bv.vm, bv.vcpu, map->gpa, map->gpa,
			    &row)) {
		ksft_print_msg("%s: cannot observe it: %s\n", full,
			       strerror(errno));
		ksft_test_result_fail("%s\n", full);
		return;
	}
	memattr_report(&machine, &row, full);
}

/* All MAIR bytes there are, so that no type is special by accident. */
static void test_all_types(const struct test_case *t, const char *name)
{
	unsigned int done = 0, failed = 0, deviant = 0;
	int s1;

	for (s1 = 0; s1 < 256; s1++) {
		struct memattr_row row = {
			.vma = "vfio-pci",
			.s1 = s1,
			.want = MEMATTR_NORMAL_NC,
		};
		struct bar_result res;

		if (memattr_reserved(&machine, s1))
			continue;
		done++;
		bar_vm_set_type(&bv, s1);
		res = bar_vm_do(&bv, BAR_READ32, via_vfio.gpa, 0);
		if (!bar_vm_expect(name, &res, BAR_OK) ||
		    memattr_observe(&machine, bv.vm, bv.vcpu, via_vfio.gpa,
				    via_vfio.gpa, &row)) {
			failed++;
			continue;
		}
		switch (memattr_judge(&machine, &row)) {
		case MEMATTR_PASS:
			break;
		case MEMATTR_DEVIATION:
			deviant++;
			break;
		default:
			if (failed++ < 4)
				ksft_print_msg("%s: 0x%02x: %s\n", name, s1,
					       row.reason);
		}
	}
	ksft_print_msg("%s: %u types, %u wrong, %u deviations of the platform\n",
		       name, done, failed, deviant);
	ksft_test_result(!failed, "%s\n", name);
}

/* R_PYFVQ, R_YHCTP: Device and Normal-NC are Outer Shareable, PAR.SH = 0b10. */
static void test_shareability(const struct test_case *t, const char *name)
{
	struct kvm_memattr_leaf leaf;
	struct bar_result res;
	char full[128];
	uint64_t par, cal;
	uint8_t s1_sh;

	snprintf(full, sizeof(full), "%s: stage 1 %s (0x%02x)", name,
		 memattr_name(t->s1), t->s1);
	if (!(machine.info.flags & KVM_MEMATTR_INFO_TRANSLATE)) {
		memattr_skip(full,
			     "PAR_EL1 needs a kernel at EL2: boot with VHE (kvm-arm.mode=vhe)");
		return;
	}
	bar_vm_set_type(&bv, t->s1);
	res = bar_vm_do(&bv, BAR_READ32, via_vfio.gpa, 0);
	if (!bar_vm_expect(full, &res, BAR_OK) ||
	    memattr_leaf(&machine, bv.vm->fd, via_vfio.gpa, &leaf) ||
	    memattr_translate(&machine, bv.vm, bv.vcpu, via_vfio.gpa, false,
			      &par)) {
		ksft_test_result_fail("%s\n", full);
		return;
	}
	if (!(par & MEMATTR_PAR_F) && MEMATTR_PAR_SH(par) == MEMATTR_SH_OUTER) {
		ksft_test_result_pass("%s\n", full);
		return;
	}
	ksft_print_msg("%s: PAR_EL1 0x%lx says %s\n", full, (unsigned long)par,
		       memattr_sh_name(MEMATTR_PAR_SH(par)));

	/* Does the machine get it wrong without KVM, too? */
	s1_sh = (*memattr_guest_pte(bv.vm, via_vfio.gpa) >> 8) & 3;
	if (!(par & MEMATTR_PAR_F) &&
	    leaf.memattr == memattr_s2_encode(MEMATTR_NORMAL_NC, leaf.fwb) &&
	    !memattr_calibrate_sh(&machine, t->s1, leaf.memattr, leaf.fwb,
				  s1_sh, leaf.sh, &cal) &&
	    MEMATTR_PAR_SH(cal) == MEMATTR_PAR_SH(par))
		memattr_skip(full, "platform deviation: R_PYFVQ: %s computes %s",
			     memattr_platform(&machine),
			     memattr_sh_name(MEMATTR_PAR_SH(par)));
	else
		ksft_test_result_fail("%s\n", full);
}

/* The first and the second access to a BAR nobody touched, and their leaf. */
static void test_faults(const struct test_case *t, const char *name)
{
	bool writable = t->prot & PROT_WRITE && !(t->slot_flags & KVM_MEM_READONLY);
	bool writes = t->ops[0] == BAR_WRITE32 || t->ops[1] == BAR_WRITE32;
	struct bar_slot map;
	bool ok = true;
	int i;

	if (writes && !vfio_pci_may_write(main_dev)) {
		memattr_skip(name, "%s", vfio_bar_why());
		return;
	}
	if (!bar_vm_add_bar(&bv, &map, WIN_CASE, BAR_VFIO, main_dev, main_bar,
			    t->prot, t->slot_flags)) {
		ksft_print_msg("%s: %s\n", name, vfio_bar_why());
		ksft_test_result_fail("%s\n", name);
		return;
	}
	bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);
	for (i = 0; i < ARRAY_SIZE(t->ops) && t->ops[i] != BAR_NOP; i++) {
		struct bar_result res = bar_vm_do(&bv, t->ops[i], map.gpa,
						  0x5a5a0000 + i);
		enum bar_outcome outcome = BAR_OK;

		/*
		 * A store through a read-only VMA cannot be resolved and ends
		 * KVM_RUN; one to a read-only memslot is left to user space.
		 */
		if (t->ops[i] == BAR_WRITE32 && !writable)
			outcome = t->slot_flags & KVM_MEM_READONLY ?
				  BAR_MMIO : BAR_RUN_FAILED;
		ok &= bar_vm_expect(name, &res, outcome);
		if (outcome == BAR_MMIO)
			ok &= res.is_write && res.gpa == map.gpa;
		if (outcome == BAR_RUN_FAILED)
			ok &= res.err == EFAULT;
		ok &= bar_vm_check_leaf(&machine, &bv, name, map.gpa,
					WANT_NC(writable, map.pa));
	}
	bar_vm_remove(&bv, &map);
	ksft_test_result(ok, "%s\n", name);
}

/* Another BAR, chosen by its properties: first and last page are as wanted. */
static void test_other_bar(const struct test_case *t, const char *name)
{
	struct vfio_pci_dev *dev;
	struct bar_slot map;
	uint64_t off[4];
	bool ok = true;
	int bar, i, n = 0;

	dev = vfio_pci_find_bar(devs, nr_devs, &t->want, 0, &bar);
	if (!dev) {
		memattr_skip(name, "%s", vfio_bar_why());
		return;
	}
	if (!bar_vm_add_bar(&bv, &map, WIN_CASE, BAR_VFIO, dev, bar, RW, 0)) {
		ksft_print_msg("%s: %s\n", name, vfio_bar_why());
		ksft_test_result_fail("%s\n", name);
		return;
	}
	off[n++] = 0;
	if (map.size > SZ_2M) {
		off[n++] = SZ_2M - bv.vm->page_size;
		off[n++] = SZ_2M;
	}
	if (map.size > bv.vm->page_size)
		off[n++] = map.size - bv.vm->page_size;

	bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);
	for (i = 0; i < n; i++) {
		struct kvm_memattr_leaf leaf;
		struct bar_result res;

		bar_vm_map(&bv, map.gpa + off[i]);
		res = bar_vm_do(&bv, BAR_READ32, map.gpa + off[i], 0);
		ok &= bar_vm_expect(name, &res, BAR_OK);
		ok &= bar_vm_check_leaf(&machine, &bv, name, map.gpa + off[i],
					WANT_NC(true, map.pa + off[i]));
		if (!memattr_leaf(&machine, bv.vm->fd, map.gpa + off[i], &leaf))
			ksft_print_msg("%s: %s BAR %d + 0x%lx: level %d, 0x%llx bytes\n",
				       name, dev->bdf, bar,
				       (unsigned long)off[i], leaf.level,
				       leaf.size);
	}
	bar_vm_remove(&bv, &map);
	ksft_test_result(ok, "%s\n", name);
}

/* Two BARs in one VM at a time: neither changes the other. */
static void check_two(const char *name, struct vfio_pci_dev *d1, int b1,
		      struct vfio_pci_dev *d2, int b2)
{
	struct bar_slot map[2] = {};
	bool ok = true;
	int i;

	ksft_print_msg("%s: %s BAR %d and %s BAR %d\n", name, d1->bdf, b1,
		       d2->bdf, b2);
	if (!bar_vm_add_bar(&bv, &map[0], WIN_CASE, BAR_VFIO, d1, b1, RW, 0) ||
	    !bar_vm_add_bar(&bv, &map[1], WIN_CASE2, BAR_VFIO, d2, b2, RW, 0)) {
		ksft_print_msg("%s: %s\n", name, vfio_bar_why());
		ok = false;
	}
	bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);
	for (i = 0; ok && i < 2; i++) {
		struct bar_result res = bar_vm_do(&bv, BAR_READ32, map[i].gpa, 0);

		ok &= bar_vm_expect(name, &res, BAR_OK);
	}
	for (i = 0; ok && i < 2; i++)
		ok &= bar_vm_check_leaf(&machine, &bv, name, map[i].gpa,
					WANT_NC(true, map[i].pa));
	/* With the first one gone, the second stays what it is. */
	bar_vm_remove(&bv, &map[0]);
	if (ok) {
		ok &= bar_vm_check_no_leaf(&machine, &bv, name, map[0].gpa);
		ok &= bar_vm_check_leaf(&machine, &bv, name, map[1].gpa,
					WANT_NC(true, map[1].pa));
	}
	bar_vm_remove(&bv, &map[1]);
	ksft_test_result(ok, "%s\n", name);
}

static void test_two_bars(const struct test_case *t, const char *name)
{
	int i, b1, b2;

	for (i = 0; i < nr_devs; i++) {
		if (vfio_pci_find_bar(&devs[i], 1, &t->want, 0, &b1) &&
		    vfio_pci_find_bar(&devs[i], 1, &t->want, 1, &b2)) {
			check_two(name, &devs[i], b1, &devs[i], b2);
			return;
		}
	}
	memattr_skip(name,
		     "no device bound to vfio-pci has two BARs that can be used: bind one that does, and name it in KVM_VFIO_DEVICE if not both are prefetchable");
}

static void test_two_devices(const struct test_case *t, const char *name)
{
	struct vfio_pci_dev *d1, *d2 = NULL;
	int b1, b2;

	d1 = vfio_pci_find_bar(devs, nr_devs, &t->want, 0, &b1);
	if (d1)
		d2 = vfio_pci_find_bar(d1 + 1, devs + nr_devs - (d1 + 1),
				       &t->want, 0, &b2);
	if (!d2) {
		memattr_skip(name,
			     "only one device with a prefetchable BAR is bound to vfio-pci: bind a second one");
		return;
	}
	check_two(name, d1, b1, d2, b2);
}

/* Execution is refused before and after the BAR is mapped for data. */
static void test_exec(const struct test_case *t, const char *name)
{
	struct kvm_memattr_leaf leaf;
	struct bar_result res;
	struct bar_slot map;
	bool ok = true;
	int i;

	if (!bar_vm_add_bar(&bv, &map, WIN_CASE, BAR_VFIO, main_dev, main_bar,
			    RW, 0)) {
		ksft_print_msg("%s: %s\n", name, vfio_bar_why());
		ksft_test_result_fail("%s\n", name);
		return;
	}
	bar_vm_set_type(&bv, t->s1);
	for (i = 0; i < 4; i++) {
		if (i == 1) {
			res = bar_vm_do(&bv, BAR_READ32, map.gpa, 0);
			ok &= bar_vm_expect(name, &res, BAR_OK);
		}
		/* KVM answers with an external abort on the fetch */
		res = bar_vm_do(&bv, BAR_EXEC, map.gpa, 0);
		ok &= bar_vm_expect(name, &res, BAR_GUEST_FAULT);
		if (BAR_ESR_EC(res.esr) != BAR_EC_IABT || res.far != map.gpa) {
			ksft_print_msg("%s: not an instruction abort at 0x%lx: %s\n",
				       name, (unsigned long)map.gpa,
				       bar_result_str(&res));
			ok = false;
		}
		/* No leaf at all is fine, too, as long as there was no load */
		if (memattr_leaf(&machine, bv.vm->fd, map.gpa, &leaf)) {
			ok &= errno == ENOENT && i == 0;
		} else if (leaf.xn != 2) {
			ksft_print_msg("%s: XN[1:0] is %u after attempt %d\n",
				       name, leaf.xn, i + 1);
			ok = false;
		}
	}
	bar_vm_remove(&bv, &map);
	ksft_test_result(ok, "%s\n", name);
}

/* Any part of a BAR, at any guest address, on any vCPU; and a second mapping */
static void test_part(const struct test_case *t, const char *name)
{
	size_t page = getpagesize(), bar = vfio_pci_bar_map_size(main_dev, main_bar);
	uint64_t offset = t->part.first * page + (t->part.first < 0 ? bar : 0);
	struct bar_slot map = { .window = WIN_CASE, };
	size_t skip = t->part.skip * page, end;
	struct bar_result res;
	bool ok = true;

	map.size = t->part.pages * page;
	if (bar < 4 * page) {
		memattr_skip(name, "the BAR has less than four pages: use a larger one");
		return;
	}
	map.hva = vfio_pci_bar_mmap(main_dev, main_bar, NULL, RW, offset, map.size);
	if (!map.hva) {
		ksft_print_msg("%s: %s\n", name, vfio_bar_why());
		ksft_test_result_fail("%s\n", name);
		return;
	}
	map.gpa = t->part.gpa ?: bar_vm_gpa(WIN_CASE, map.hva + skip);
	TEST_ASSERT(!bar_vm_try_slot_at(&bv, WIN_CASE, 0, map.gpa, map.hva + skip,
					map.size - skip),
		    "memslot at 0x%lx: %s", (unsigned long)map.gpa,
		    strerror(errno));

	bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);
	bv.vcpu = bv.vcpus[t->part.vcpu];
	end = map.size - skip - page;
	ok &= bar_vm_check_touch(&machine, &bv, name, map.gpa,
				 WANT_NC(true, main_dev->bar[main_bar].start +
					 offset + skip));
	ok &= bar_vm_check_touch(&machine, &bv, name, map.gpa + end,
				 WANT_NC(true, main_dev->bar[main_bar].start +
					 offset + skip + end));
	bv.vcpu = bv.vcpus[0];
	/* The first mapping of the BAR is there all the time. */
	res = bar_vm_do(&bv, BAR_READ32, via_vfio.gpa, 0);
	ok &= bar_vm_expect(name, &res, BAR_OK);
	ok &= bar_vm_check_leaf(&machine, &bv, name, via_vfio.gpa,
				WANT_NC(true, via_vfio.pa));
	bar_vm_remove(&bv, &map);
	ksft_test_result(ok, "%s\n", name);
}

/* The same device through vfio's other interface; nothing else is open. */
static void test_other_interface(const struct test_case *t, const char *name)
{
	enum vfio_pci_how how = main_dev->how == VFIO_PCI_CDEV ? VFIO_PCI_GROUP :
								 VFIO_PCI_CDEV;
	struct bar_result res;
	struct bar_slot map;
	bool ok = true;
	int i;

	bar_vm_remove(&bv, &via_vfio);
	bar_vm_remove(&bv, &via_sysfs);
	for (i = 0; i < nr_devs; i++)
		vfio_pci_close(&devs[i]);
	if (vfio_pci_open(main_dev, how)) {
		memattr_skip(name, "%s", vfio_bar_why());
		return;
	}
	if (!bar_vm_add_bar(&bv, &map, WIN_CASE, BAR_VFIO, main_dev, main_bar,
			    RW, 0)) {
		ksft_print_msg("%s: %s\n", name, vfio_bar_why());
		ksft_test_result_fail("%s\n", name);
		return;
	}
	bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);
	res = bar_vm_do(&bv, BAR_READ32, map.gpa, 0);
	ok &= bar_vm_expect(name, &res, BAR_OK);
	ok &= bar_vm_check_leaf(&machine, &bv, name, map.gpa,
				WANT_NC(true, map.pa));
	bar_vm_remove(&bv, &map);
	ksft_test_result(ok, "%s\n", name);
}

#define S1(_source, _name, _s1) \
	{ .name = _name, .run = test_s1_type, .source = _source, .s1 = _s1 }
#define SH(_s1) \
	{ .name = "shareability is outer", .run = test_shareability, .s1 = _s1 }

static const struct test_case cases[] = {
	/* Device types stay what the guest chose: stage 2 is not Device. */
	S1(BAR_VFIO, "vfio-pci", MEMATTR_DEVICE_nGnRnE),
	S1(BAR_VFIO, "vfio-pci", MEMATTR_DEVICE_nGnRE),
	S1(BAR_VFIO, "vfio-pci", MEMATTR_DEVICE_nGRE),
	S1(BAR_VFIO, "vfio-pci", MEMATTR_DEVICE_GRE),
	/* Normal types become Normal-NC, whatever their cacheability. */
	S1(BAR_VFIO, "vfio-pci", MEMATTR_NORMAL_NC),
	S1(BAR_VFIO, "vfio-pci", MEMATTR_NORMAL_WT),
	S1(BAR_VFIO, "vfio-pci", MEMATTR_NORMAL_WB),
	/* Outer and inner cacheability differ: still Normal-NC. */
	S1(BAR_VFIO, "vfio-pci", 0x4b), S1(BAR_VFIO, "vfio-pci", 0x4f),
	S1(BAR_VFIO, "vfio-pci", 0xb4), S1(BAR_VFIO, "vfio-pci", 0xbf),
	S1(BAR_VFIO, "vfio-pci", 0xf4), S1(BAR_VFIO, "vfio-pci", 0xfb),
	/* Transient, and other allocation hints: still Normal-NC. */
	S1(BAR_VFIO, "vfio-pci", 0x33), S1(BAR_VFIO, "vfio-pci", 0x77),
	S1(BAR_VFIO, "vfio-pci", 0x88), S1(BAR_VFIO, "vfio-pci", 0xaa),
	S1(BAR_VFIO, "vfio-pci", 0xcc), S1(BAR_VFIO, "vfio-pci", 0xee),
	{ "vfio-pci: every type that is not reserved", test_all_types },

	/* An ordinary VMA is Device-nGnRE at stage 2 on every kernel. */
	S1(BAR_SYSFS, "sysfs", MEMATTR_DEVICE_nGnRnE),
	S1(BAR_SYSFS, "sysfs", MEMATTR_DEVICE_nGnRE),
	S1(BAR_SYSFS, "sysfs", MEMATTR_DEVICE_nGRE),
	S1(BAR_SYSFS, "sysfs", MEMATTR_DEVICE_GRE),
	S1(BAR_SYSFS, "sysfs", MEMATTR_NORMAL_NC),
	S1(BAR_SYSFS, "sysfs", MEMATTR_NORMAL_WT),
	S1(BAR_SYSFS, "sysfs", MEMATTR_NORMAL_WB),

	/* Device or Normal-NC: outer shareable whatever the descriptors say. */
	SH(MEMATTR_DEVICE_nGnRnE), SH(MEMATTR_DEVICE_nGnRE),
	SH(MEMATTR_DEVICE_nGRE), SH(MEMATTR_DEVICE_GRE),
	SH(MEMATTR_NORMAL_NC), SH(MEMATTR_NORMAL_WT), SH(MEMATTR_NORMAL_WB),

	/* Whichever access comes first, the leaf is Normal-NC, R/W, XN. */
	{ "read fault: Normal-NC", test_faults, .prot = RW,
	  .ops = { BAR_READ32 } },
	{ "write fault: Normal-NC", test_faults, .prot = RW,
	  .ops = { BAR_WRITE32 } },
	{ "read, then write fault: Normal-NC", test_faults, .prot = RW,
	  .ops = { BAR_READ32, BAR_WRITE32 } },
	{ "write, then read fault: Normal-NC", test_faults, .prot = RW,
	  .ops = { BAR_WRITE32, BAR_READ32 } },
	/* Read-only: Normal-NC, R, XN; and a store fails without changing it. */
	{ "read-only mapping: Normal-NC", test_faults, .prot = PROT_READ,
	  .ops = { BAR_READ32 } },
	{ "read-only mapping, store refused: Normal-NC", test_faults,
	  .prot = PROT_READ, .ops = { BAR_READ32, BAR_WRITE32 } },
	{ "KVM_MEM_READONLY: Normal-NC", test_faults, .prot = RW,
	  .slot_flags = KVM_MEM_READONLY, .ops = { BAR_READ32 } },
	{ "KVM_MEM_READONLY, store is MMIO: Normal-NC", test_faults, .prot = RW,
	  .slot_flags = KVM_MEM_READONLY, .ops = { BAR_READ32, BAR_WRITE32 } },

	/* The type does not depend on what kind of BAR it is. */
	{ "sub-page BAR: Normal-NC", test_other_bar,
	  .want = { .max_size = SZ_4K - 1, .what = "a BAR smaller than 4K" } },
	{ "32-bit non-prefetchable BAR: Normal-NC", test_other_bar,
	  .want = { .clear = VFIO_BAR_F_PREFETCH | VFIO_BAR_F_MEM_64,
		    .min_size = SZ_4K,
		    .what = "a 32-bit non-prefetchable BAR of 4K or more" } },
	{ "BAR larger than 2M: Normal-NC", test_other_bar,
	  .want = { .set = VFIO_BAR_F_PREFETCH, .min_size = SZ_4M,
		    .what = "a prefetchable BAR of 4M or more" } },
	{ "two BARs of one device: Normal-NC", test_two_bars,
	  .want = { .what = "any BAR" } },
	{ "BARs of two devices: Normal-NC", test_two_devices,
	  .want = { .set = VFIO_BAR_F_PREFETCH, .what = "a prefetchable BAR" } },

	/* Nor on how much of it is mapped, how often, and where. */
	{ "the BAR mapped twice: Normal-NC", test_part, .part = { .pages = 4 } },
	{ "second page of the BAR: Normal-NC", test_part,
	  .part = { .first = 1, .pages = 1 } },
	{ "last page of the BAR: Normal-NC", test_part,
	  .part = { .first = -1, .pages = 1 } },
	{ "memslot from the second page of a mapping: Normal-NC", test_part,
	  .part = { .pages = 4, .skip = 1 } },
	{ "below 4G of guest address: Normal-NC", test_part,
	  .part = { .pages = 4, .gpa = SZ_2G } },
	{ "touched by the second vCPU: Normal-NC", test_part,
	  .part = { .first = 1, .pages = 2, .vcpu = 1 } },

	/* A fetch is an instruction abort, XN stays set; also before. */
	{ "execution refused, stage 1 Normal-NC", test_exec,
	  .s1 = MEMATTR_NORMAL_NC },
	{ "execution refused, stage 1 Normal-WB", test_exec,
	  .s1 = MEMATTR_NORMAL_WB },

	/* How the device was opened does not matter. Closes all: must be last. */
	{ "vfio's other interface, group or cdev: Normal-NC",
	  test_other_interface },
};

int main(int argc, char *argv[])
{
	int i;

	setbuf(stdout, NULL);
	ksft_print_header();
	memattr_require(&machine);
	main_dev = vfio_bar_require(devs, NR_MAX_DEVS, &nr_devs, &main_bar);
	bar_vm_create(&bv);
	if (!bar_vm_add_bar(&bv, &via_vfio, WIN_VFIO, BAR_VFIO, main_dev,
			    main_bar, RW, 0))
		ksft_exit_fail_msg("%s\n", vfio_bar_why());
	if (!bar_vm_add_bar(&bv, &via_sysfs, WIN_SYSFS, BAR_SYSFS, main_dev,
			    main_bar, RW, 0))
		snprintf(no_sysfs, sizeof(no_sysfs), "%s", vfio_bar_why());

	ksft_set_plan(ARRAY_SIZE(cases));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		cases[i].run(&cases[i], cases[i].name);

	bar_vm_free(&bv);
	for (i = 0; i < nr_devs; i++)
		vfio_pci_close(&devs[i]);
	memattr_finish();
}
