// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest notices of a BAR's memory type.
 *
 * Unaligned accesses and DC ZVA work on Normal memory and fault on Device
 * memory: that is what breaks drivers that memcpy() to a BAR, and what Normal-NC
 * is for. The fault goes to the first stage that makes the location Device
 * (B2.10.2): to the guest's EL1 for its own type, and to EL2 for that of stage
 * 2, where KVM has no answer to it and lets KVM_RUN fail with -EFAULT.
 *
 * Not every machine enforces this; emulators are lax. The BAR as sysfs maps it,
 * Device-nGnRE at stage 2, shows for each instruction whether this one does. A
 * wrong outcome is a failure on any machine; a right one is a pass only where
 * the opposite would have been seen.
 *
 * What the guest stores with each type has to be what the VMM loads, and the
 * other way round, in each width, and unaligned where the type allows it.
 *
 * A kernel without VM_ALLOW_ANY_UNCACHED fails the rows of vfio-pci with Normal
 * types, on a machine that enforces alignment at stage 2.
 */
#include <string.h>
#include <sys/mman.h>

#include "memattr/bar_vm.h"

static const struct {
	const char *name;
	enum bar_op op;
	unsigned int offset;
	bool write;
} actions[] = {
	{ "unaligned load",  BAR_READ64,  1 },
	{ "unaligned LDP",   BAR_LDP,     4 },
	{ "unaligned store", BAR_WRITE64, 1, true },
	{ "DC ZVA",          BAR_ZVA,     0, true },
};

static const u8 types[] = {
	MEMATTR_DEVICE_nGnRnE, MEMATTR_DEVICE_nGnRE, MEMATTR_DEVICE_nGRE,
	MEMATTR_DEVICE_GRE, MEMATTR_NORMAL_NC, MEMATTR_NORMAL_WT,
	MEMATTR_NORMAL_WB,
};

/* Which action was seen to fault because of a Device type, by stage */
static struct proof {
	bool faults[3][ARRAY_SIZE(actions)];
} *proof;

struct test_case {
	const char *name;
	void (*run)(const struct test_case *t);
	enum bar_source source;
	bool device;
};

static struct bar_vm bv;
static int action;

/* By the alignment fault of a stage, and no other */
static bool faulted(const struct bar_result *res, int stage)
{
	if (stage == 2)
		return res->outcome == BAR_RUN_FAILED && res->err == EFAULT;
	return res->outcome == BAR_GUEST_FAULT &&
	       BAR_ESR_EC(res->esr) == BAR_EC_DABT &&
	       BAR_ESR_FSC(res->esr) == BAR_FSC_ALIGN;
}

static void permit(const struct vfio_bar *b, bool write)
{
	bar_skip_if(write ? !b->may_write : !b->named,
		    "%s is not named: name it in %s if its BARs are plain memory",
		    b->bdf, write ? "KVM_VFIO_BAR_WRITE" : "KVM_VFIO_DEVICE");
}

/* All the types of the guest's that are Device, or all that are Normal */
static void test_action(const struct test_case *t)
{
	static const char * const expected[] = {
		"done", "alignment fault in the guest", "KVM_RUN: Bad address",
	};
	bool *seen, in_doubt = false;
	struct bar_slot slot = {};
	struct vfio_bar b = bar_dev;
	struct bar_result res;
	int i, stage;

	if (t->source == BAR_SYSFS &&
	    !vfio_bar_open_plain(&b, &bar_dev, BAR_SYSFS, 0))
		bar_skip("%s", vfio_bar_why());
	permit(&b, actions[action].write);
	bar_vm_add_bar(&bv, &slot, &b, BAR_RW, 0);

	/* Which stage makes it Device, or would, if KVM were wrong */
	stage = t->device ? 1 : 2;
	seen = &proof->faults[stage][action];
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		bool fault = t->device || t->source == BAR_SYSFS;

		if (memattr_is_device(types[i]) != t->device)
			continue;
		bar_vm_set_type(&bv, types[i]);
		/* Aligned first, so that stage 2 is mapped */
		bar_vm_expect(&bv, BAR_READ64, slot.gpa, BAR_OK);
		bv.flush = true;
		res = bar_vm_do(&bv, actions[action].op,
				slot.gpa + actions[action].offset, 0);
		if (fault && faulted(&res, stage))
			*seen = true;
		else if (res.outcome != BAR_OK || (fault && *seen))
			bar_fail("stage 1 %s: it ended as: %s; expected: %s",
				 memattr_name(types[i]), bar_result_str(&res),
				 expected[fault ? stage : 0]);
		else if (!*seen)
			in_doubt = true;
	}
	if (t->source == BAR_SYSFS)
		bar_vm_check_leaf(&bv, slot.gpa, MEMATTR_DEVICE_nGnRE, true, b.pa);
	if (in_doubt && *seen)
		bar_fail("some types fault, some do not");
	bar_skip_if(in_doubt,
		    "nothing shows that this machine enforces alignment at stage %d (%s): use hardware%s",
		    stage, bar_machine.name,
		    actions[action].op == BAR_ZVA ? "" : ", or QEMU 9.0 or later");
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
static void check_data(const struct bar_slot *slot, int width,
		       unsigned int offset)
{
	unsigned int i, bytes = widths[width].bytes;
	u64 word[2] = { 0xf1e2d3c4b5a69788 + offset, };
	u8 byte, *in_word = (u8 *)word, *area = slot->hva;
	struct bar_result res;

	word[1] = ~word[0];
	for (i = 0; i < DATA_AREA; i++)
		WRITE_ONCE(area[i], DATA_GUARD);
	res = bar_vm_do(&bv, widths[width].store, slot->gpa + offset, word[0]);
	for (i = 0; res.outcome == BAR_OK && i < DATA_AREA; i++) {
		byte = READ_ONCE(area[i]);
		if (byte != (i >= offset && i < offset + bytes ?
			     in_word[i - offset] : DATA_GUARD))
			bar_fail("%u bytes stored at offset %u: the VMM finds 0x%02x at %u",
				 bytes, offset, byte, i);
	}

	memset(word, 0, sizeof(word));
	for (i = 0; i < bytes; i++) {
		in_word[i] = 0x1f + 13 * i + offset;
		WRITE_ONCE(area[offset + i], in_word[i]);
	}
	if (res.outcome == BAR_OK)
		res = bar_vm_do(&bv, widths[width].load, slot->gpa + offset, 0);
	if (res.outcome != BAR_OK)
		bar_fail("%u bytes at offset %u: access ended as: %s; expected: done",
			 bytes, offset, bar_result_str(&res));
	if (res.val != (word[0] ^ word[1]))
		bar_fail("%u bytes loaded at offset %u: 0x%lx, not 0x%lx", bytes,
			 offset, res.val, word[0] ^ word[1]);
}

static void test_data(const struct test_case *t)
{
	struct bar_slot slot = {};
	int i, w;

	permit(&bar_dev, true);
	bar_vm_add_bar(&bv, &slot, &bar_dev, BAR_RW, 0);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		if (memattr_is_device(types[i]) != t->device)
			continue;
		bar_vm_set_type(&bv, types[i]);
		for (w = 0; w < ARRAY_SIZE(widths); w++) {
			check_data(&slot, w, 16);
			if (!t->device)
				check_data(&slot, w, 19);
		}
	}
}

static const struct test_case cases[] = {
	/* Device, by both stages and by stage 2: this shows what is enforced. */
	{ "sysfs, Device types", test_action, BAR_SYSFS, true },
	{ "sysfs, Normal types", test_action, BAR_SYSFS, false },
	/* The Device types are Device by stage 1, the Normal ones Normal-NC. */
	{ "vfio-pci, Device types", test_action, BAR_VFIO, true },
	{ "vfio-pci, Normal types", test_action, BAR_VFIO, false },
	{ "vfio-pci, Device types: data", test_data, BAR_VFIO, true },
	{ "vfio-pci, Normal types: data", test_data, BAR_VFIO, false },
};

static void run(const void *arg)
{
	const struct test_case *t = arg;

	bar_skip_if(bar_dev.broken && t->source == BAR_VFIO && !t->device,
		    VFIO_BAR_BROKEN, bar_dev.bdf);
	bar_vm_create(&bv, NULL);
	t->run(t);
}

int main(int argc, char *argv[])
{
	char name[128];
	int i;

	bar_start(4 * ARRAY_SIZE(actions) + 2);
	proof = bar_shared(sizeof(*proof));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct test_case *t = &cases[i];

		if (t->run == test_data)
			bar_row(t->name, &vfio_bar_any, run, t);
		for (action = 0; t->run == test_action &&
		     action < ARRAY_SIZE(actions); action++) {
			snprintf(name, sizeof(name), "%s: %s", t->name,
				 actions[action].name);
			bar_row(name, &vfio_bar_any, run, t);
		}
	}
	memattr_finish();
}
