// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest notices of a BAR's memory type.
 *
 * Unaligned accesses and DC ZVA work on Normal memory and fault on Device
 * memory: that is what breaks drivers that memcpy() to a BAR, and what Normal-
 * NC is for.  A fault because of the stage-1 type is taken by the guest, one
 * because of the stage-2 type goes to EL2, where KVM has no answer to it and
 * lets KVM_RUN fail with -EFAULT.  For a Device type either will do.
 *
 * Not every machine enforces this; emulators are lax.  So what a case relies
 * on is probed first, for each instruction: that a Device type chosen at
 * stage 1 makes it fault (on RAM), or one chosen at stage 2 (on the BAR as
 * sysfs maps it).  Cases that prove nothing on this machine are skipped.
 *
 * What the guest stores with each type has to be what the VMM loads, and the
 * other way round, in each width, and unaligned where the type allows it.
 *
 * A kernel without VM_ALLOW_ANY_UNCACHED fails the vfio-pci cases with a
 * Normal stage-1 type, on a machine that enforces alignment at stage 2.
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

enum { WIN_VFIO, WIN_SYSFS, WIN_RAM };

static struct memattr_machine machine;
static struct vfio_pci_dev devs[NR_MAX_DEVS];
static int nr_devs;
static struct vfio_pci_dev *main_dev;
static int main_bar;
static struct bar_vm bv;
static struct bar_slot via_vfio, via_sysfs, ram;
static char no_sysfs[512];

enum action {
	LOAD,
	STORE,
	PAIR,
	ZERO,
	EXCLUSIVE,
	NR_ACTIONS,
};

/*
 * An exclusive pair is aligned: an unaligned one may fault on any memory.  On
 * memory other than Normal Write-Back it is IMPLEMENTATION DEFINED whether it
 * works, fails, or faults (B2.12.2), but it is no reason for an alignment
 * fault.
 */
static const struct {
	const char *name;
	enum bar_op op;
	unsigned int offset;
	bool write;
} actions[NR_ACTIONS] = {
	[LOAD]      = { "unaligned load",  BAR_READ64,    1 },
	[STORE]     = { "unaligned store", BAR_WRITE64,   1, true },
	[PAIR]      = { "unaligned LDP",   BAR_LDP,       4 },
	[ZERO]      = { "DC ZVA",          BAR_ZVA,       0, true },
	[EXCLUSIVE] = { "exclusive pair",  BAR_EXCLUSIVE, 0, true },
};

/* Does a Device type at stage 1, or at stage 2, make the action fault? */
static bool enforced_s1[NR_ACTIONS], enforced_s2[NR_ACTIONS];

/* Both ways in which the wrong alignment of a Device access shows. */
static bool is_alignment_fault(const struct bar_result *res)
{
	if (res->outcome == BAR_RUN_FAILED)
		return res->err == EFAULT;
	return res->outcome == BAR_GUEST_FAULT && VECTOR_IS_SYNC(res->vector) &&
	       BAR_ESR_EC(res->esr) == BAR_EC_DABT &&
	       BAR_ESR_FSC(res->esr) == BAR_FSC_ALIGN;
}

static bool is_unsupported_exclusive(const struct bar_result *res)
{
	if (res->outcome == BAR_RUN_FAILED)
		return res->err == EFAULT;
	return res->outcome == BAR_GUEST_FAULT && VECTOR_IS_SYNC(res->vector) &&
	       BAR_ESR_EC(res->esr) == BAR_EC_DABT &&
	       BAR_ESR_FSC(res->esr) == BAR_FSC_EXCL;
}

/* Aligned first, so that stage 2 is mapped, then the access itself. */
static struct bar_result act(enum action a, const struct bar_slot *slot,
			     uint8_t s1)
{
	struct bar_result res;

	bar_vm_set_type(&bv, s1);
	res = bar_vm_do(&bv, BAR_READ64, slot->gpa, 0);
	if (res.outcome == BAR_OK && actions[a].write)
		res = bar_vm_do(&bv, BAR_WRITE64, slot->gpa, res.val);
	if (res.outcome != BAR_OK)
		return res;
	bar_vm_flush(&bv);
	return bar_vm_do(&bv, actions[a].op, slot->gpa + actions[a].offset, 0);
}

/* Unaligned loads may be as harmful to a device as stores. */
static bool permitted(enum action a)
{
	return actions[a].write ? vfio_pci_may_write(main_dev) :
				  vfio_pci_named(main_dev);
}

static void probe(void)
{
	static const struct bar_leaf_want device = {
		.type = MEMATTR_DEVICE_nGnRE,
		.read = true,
		.write = true,
	};
	struct bar_result res;
	enum action a;

	for (a = 0; a < NR_ACTIONS; a++) {
		if (a == EXCLUSIVE)
			continue;
		/* RAM is Normal at stage 2: only stage 1 can say Device. */
		res = act(a, &ram, MEMATTR_DEVICE_nGnRnE);
		enforced_s1[a] = is_alignment_fault(&res);

		/* Normal at stage 1, and Device at stage 2, if KVM says so. */
		if (via_sysfs.hva && permitted(a)) {
			res = act(a, &via_sysfs, MEMATTR_NORMAL_NC);
			enforced_s2[a] = is_alignment_fault(&res) &&
					 bar_vm_check_leaf(&machine, &bv,
							   "probe",
							   via_sysfs.gpa,
							   &device);
		}
		ksft_print_msg("%s: Device at stage 1 %s, at stage 2 %s\n",
			       actions[a].name,
			       enforced_s1[a] ? "faults" : "does not fault",
			       enforced_s2[a] ? "faults" : "does not fault");
	}
}

static void run(enum bar_source source, uint8_t s1, enum action a)
{
	const struct bar_slot *slot = source == BAR_VFIO ? &via_vfio :
							       &via_sysfs;
	uint8_t want = source == BAR_VFIO ? MEMATTR_NORMAL_NC :
					       MEMATTR_DEVICE_nGnRE;
	bool s1_device = memattr_is_device(s1);
	bool device = s1_device || memattr_is_device(want);
	struct bar_result res;
	bool enforced, ok;
	char name[128];

	snprintf(name, sizeof(name), "%s, stage 1 %s (0x%02x): %s",
		 source == BAR_VFIO ? "vfio-pci" : "sysfs",
		 memattr_name(s1), s1, actions[a].name);
	if (!slot->hva) {
		memattr_skip(name, "%s", no_sysfs);
		return;
	}
	if (!permitted(a)) {
		memattr_skip(name, "%s", vfio_bar_why());
		return;
	}

	/*
	 * The case proves something if what it is about, or what would be the
	 * matter if it failed, makes a difference: stage 1 for a Device type
	 * of the guest's, stage 2 for anything else.
	 */
	enforced = s1_device ? enforced_s1[a] : enforced_s2[a];
	if (s1_device && memattr_is_device(want))
		enforced |= enforced_s2[a];
	if (a != EXCLUSIVE && !enforced) {
		memattr_skip(name,
			     "this machine does not enforce the alignment of Device accesses at stage %d (%s): use hardware%s",
			     s1_device ? 1 : 2, memattr_platform(&machine),
			     a == ZERO ? "" : ", or QEMU 9.0 or later");
		return;
	}

	res = act(a, slot, s1);
	if (a == EXCLUSIVE)
		ok = res.outcome == BAR_OK || is_unsupported_exclusive(&res);
	else if (device)
		ok = is_alignment_fault(&res);
	else
		ok = res.outcome == BAR_OK;
	if (!ok)
		ksft_print_msg("%s: it ended as: %s; expected: %s\n", name,
			       bar_result_str(&res), a == EXCLUSIVE ?
			       "done, or unsupported exclusive" : device ?
			       "alignment fault" : "done");
	ksft_test_result(ok, "%s\n", name);
}

static const struct {
	enum bar_op load, store;
	unsigned int bytes;
} widths[] = {
	{ BAR_READ8, BAR_WRITE8, 1 },
	{ BAR_READ16, BAR_WRITE16, 2 },
	{ BAR_READ32, BAR_WRITE32, 4 },
	{ BAR_READ64, BAR_WRITE64, 8 },
	{ BAR_LDP, BAR_STP, 16 },
};

/* The bytes around what the guest stores to have to stay. */
#define DATA_AREA	64
#define DATA_GUARD	0xee

/* One width at one offset, with two patterns that differ everywhere */
static bool check_data(const char *name, int width, unsigned int offset)
{
	unsigned int i, bytes = widths[width].bytes;
	uint8_t *area = via_vfio.hva;
	uint64_t word[2] = { 0xf1e2d3c4b5a69788 + offset, };
	uint8_t *is, *want = (uint8_t *)word;
	uint64_t expected;
	struct bar_result res;

	word[1] = ~word[0];
	for (i = 0; i < DATA_AREA; i++)
		WRITE_ONCE(area[i], DATA_GUARD);
	res = bar_vm_do(&bv, widths[width].store, via_vfio.gpa + offset, word[0]);
	if (!bar_vm_expect(name, &res, BAR_OK))
		return false;
	for (i = 0; i < DATA_AREA; i++) {
		bool in = i >= offset && i < offset + bytes;
		uint8_t byte = READ_ONCE(area[i]);

		if (byte == (in ? want[i - offset] : DATA_GUARD))
			continue;
		ksft_print_msg("%s: %u bytes stored at offset %u: the VMM finds 0x%02x at %u\n",
			       name, bytes, offset, byte, i);
		return false;
	}

	memset(word, 0, sizeof(word));
	is = (uint8_t *)word;
	for (i = 0; i < bytes; i++) {
		is[i] = 0x1f + 13 * i + offset;
		WRITE_ONCE(area[offset + i], is[i]);
	}
	expected = word[0] ^ word[1];
	res = bar_vm_do(&bv, widths[width].load, via_vfio.gpa + offset, 0);
	if (!bar_vm_expect(name, &res, BAR_OK))
		return false;
	if (res.val != expected)
		ksft_print_msg("%s: %u bytes loaded at offset %u: 0x%lx, not 0x%lx\n",
			       name, bytes, offset, (unsigned long)res.val,
			       (unsigned long)expected);
	return res.val == expected;
}

static void run_data(uint8_t s1)
{
	bool ok = true;
	char name[128];
	int w;

	snprintf(name, sizeof(name), "vfio-pci, stage 1 %s (0x%02x): data",
		 memattr_name(s1), s1);
	if (!vfio_pci_may_write(main_dev)) {
		memattr_skip(name, "%s", vfio_bar_why());
		return;
	}
	bar_vm_set_type(&bv, s1);
	for (w = 0; w < ARRAY_SIZE(widths); w++) {
		ok &= check_data(name, w, 16);
		if (!memattr_is_device(s1) && widths[w].bytes > 1)
			ok &= check_data(name, w, 19);
	}
	ksft_test_result(ok, "%s\n", name);
}

/*
 * Through vfio-pci: the Device types are Device, as the guest chose, and fault;
 * the Normal types are Normal-NC, and work.  Through an ordinary VMA, which is
 * Device at stage 2, each of them faults.
 */
static const uint8_t types[] = {
	MEMATTR_DEVICE_nGnRnE, MEMATTR_DEVICE_nGnRE, MEMATTR_DEVICE_nGRE,
	MEMATTR_DEVICE_GRE, MEMATTR_NORMAL_NC, MEMATTR_NORMAL_WT,
	MEMATTR_NORMAL_WB,
};

static const enum bar_source sources[] = { BAR_VFIO, BAR_SYSFS };

int main(int argc, char *argv[])
{
	size_t size = 16 * getpagesize();
	enum action a;
	void *p;
	int i, s;

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
	p = mmap(NULL, size, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(p != MAP_FAILED, "mmap: %s", strerror(errno));
	memset(p, 0, size);
	bar_vm_add_mem(&bv, &ram, WIN_RAM, 0, p, size);
	probe();

	ksft_set_plan((ARRAY_SIZE(sources) * NR_ACTIONS + 1) *
		      ARRAY_SIZE(types));
	for (s = 0; s < ARRAY_SIZE(sources); s++)
		for (i = 0; i < ARRAY_SIZE(types); i++)
			for (a = 0; a < NR_ACTIONS; a++)
				run(sources[s], types[i], a);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		run_data(types[i]);

	bar_vm_remove(&bv, &via_vfio);
	bar_vm_remove(&bv, &via_sysfs);
	bar_vm_remove(&bv, &ram);
	bar_vm_free(&bv);
	for (i = 0; i < nr_devs; i++)
		vfio_pci_close(&devs[i]);
	memattr_finish();
}
