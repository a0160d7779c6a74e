// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does vfio-pci take a BAR away from a guest, in each of the ways it has?
 *
 * A guest that maps MMIO Normal-NC must not be able to reach a device that
 * stopped decoding, lost power, or is being reset. So each of these is tried on
 * a mapping as mmap() made it, and on two whose page table entries came without
 * a fault: one that mremap() moved, and one that a child of fork() inherited
 * and gives to a VM of its own. The stage-2 leaf has to be gone, and an access
 * has to fail, until the device is back; then the leaf is as before. Tracing
 * shows that KVM was told to remove the mapping before the device was reached.
 *
 * Only devices that the user named are used.
 */
#define _GNU_SOURCE

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <linux/pci_regs.h>

#include "memattr/bar_vm.h"

/**
 * struct event - a way in which vfio-pci takes the BARs away
 * @name: what happens
 * @want: a BAR to which this can happen
 * @probe: function that is entered to reach the device
 * @lasts: the device stays away until it is called back
 * @set: make it happen, or call the device back
 */
struct event {
	const char *name;
	struct vfio_bar_want want;
	const char *probe;
	bool lasts;
	void (*set)(bool away);
};

static struct bar_vm bv;
static struct bar_slot slot;
static u8 vfio_type;

static void touch(void)
{
	bar_vm_touch(&bv, slot.gpa, vfio_type, true, slot.pa);
}

/* There is no leaf, nor a device, unless the event is over by now. */
static void check_away(const struct event *e)
{
	bar_vm_check_no_leaf(&bv, slot.gpa);
	if (e->lasts)
		bar_vm_check_gone(&bv, slot.gpa);
	else
		touch();
}

/* The ways */

static void decode(bool away)
{
	vfio_bar_set_decode(&bar_dev, !away);
}

static void d3hot(bool away)
{
	int pos = vfio_bar_cap(&bar_dev, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	int state = away ? 3 : 0;

	if ((vfio_bar_config(&bar_dev, pos, PCI_PM_CTRL_STATE_MASK, state) &
	     PCI_PM_CTRL_STATE_MASK) != state)
		bar_fail("%s does not enter D%d", bar_dev.bdf, state);
}

static void low_power(bool away)
{
	struct vfio_device_feature f = {
		.argsz = sizeof(f),
		.flags = VFIO_DEVICE_FEATURE_SET |
			 (away ? VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY :
				 VFIO_DEVICE_FEATURE_LOW_POWER_EXIT),
	};

	if (ioctl(bar_dev.fd, VFIO_DEVICE_FEATURE, &f))
		bar_fail("VFIO_DEVICE_FEATURE 0x%x: %s", f.flags, strerror(errno));
}

static void flr(bool away)
{
	int pos = vfio_bar_cap(&bar_dev, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;

	vfio_bar_config(&bar_dev, pos, 0, PCI_EXP_DEVCTL_BCR_FLR);
}

static void reset(bool away)
{
	if (ioctl(bar_dev.fd, VFIO_DEVICE_RESET))
		bar_fail("VFIO_DEVICE_RESET: %s", strerror(errno));
}

/* The function is alone on its bus: that is what "bus" in reset_method means. */
static void hot_reset(bool away)
{
	struct {
		struct vfio_pci_hot_reset reset;
		s32 group;
	} r = {
		.reset.argsz = sizeof(r),
		/* With a character device, the kernel knows what is ours. */
		.reset.count = bar_dev.group >= 0,
		.group = bar_dev.group,
	};

	if (ioctl(bar_dev.fd, VFIO_DEVICE_PCI_HOT_RESET, &r))
		bar_fail("VFIO_DEVICE_PCI_HOT_RESET: %s", strerror(errno));
}

#define WANT(_what, ...) { .what = _what, .named = true, __VA_ARGS__ }

static const struct event events[] = {
	{ "memory decode off", WANT("a BAR, and a memory enable bit", .vf = -1),
	  "pci_user_write_config_word", true, decode },
	{ "D3hot", WANT("a BAR, and the PM capability", .cap = PCI_CAP_ID_PM),
	  "pci_set_power_state", true, d3hot },
	/* The device loses its power later, by another thread. */
	{ "low power", WANT("a BAR"), NULL, true, low_power },
	{ "FLR by the PCIe capability",
	  WANT("a BAR, and FLR", .cap = PCI_CAP_ID_EXP, .reset = "flr"),
	  "pci_try_reset_function", false, flr },
	{ "VFIO_DEVICE_RESET", WANT("a BAR, and a reset", .reset = ""),
	  "pci_try_reset_function", false, reset },
	{ "VFIO_DEVICE_PCI_HOT_RESET",
	  WANT("a BAR, alone on its bus", .reset = "bus"),
	  "pci_reset_bus", false, hot_reset },
	/*
	 * A VF has no memory enable of its own: vfio-pci does remove the
	 * mappings, but the next access makes them again.
	 */
	{ "VF: memory decode off", WANT("a VF's BAR", .vf = 1),
	  NULL, false, decode },
	{ "VF: D3hot",
	  WANT("a VF's BAR, and the PM capability", .cap = PCI_CAP_ID_PM, .vf = 1),
	  "pci_set_power_state", true, d3hot },
	{ "VF: FLR by the PCIe capability",
	  WANT("a VF's BAR, and FLR", .cap = PCI_CAP_ID_EXP, .reset = "flr", .vf = 1),
	  "pci_try_reset_function", false, flr },
};

static void back(const struct event *e)
{
	if (e->lasts)
		e->set(false);
}

/* A mapping as mmap() made it */
static void test_mapped(const struct event *e)
{
	e->set(true);
	check_away(e);
	back(e);
	touch();
}

/* The parent and its child take turns. */
static int *turn;

static void wait_turn(int nr, pid_t child)
{
	int status;

	while (READ_ONCE(*turn) < nr) {
		if (child && waitpid(child, &status, WNOHANG))
			bar_fail("the child failed");
		usleep(1000);
	}
}

/* Mappings that were made without a fault: moved, and inherited */
static void test_unfaulted(const struct event *e)
{
	u64 pa = slot.pa;
	int status;
	pid_t pid;

	turn = bar_shared(sizeof(*turn));
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		bar_vm_create(&bv, NULL);
		bar_vm_add(&bv, &slot, 0);
		touch();
		WRITE_ONCE(*turn, 1);
		wait_turn(2, 0);
		check_away(e);
		WRITE_ONCE(*turn, 3);
		wait_turn(4, 0);
		touch();
		exit(0);
	}
	bar_vm_slot(&bv, &slot, 0);
	slot.hva = vfio_bar_move(&bar_dev, slot.hva, slot.size);
	bar_vm_slot(&bv, &slot, slot.size);
	slot.pa = pa;
	touch();
	wait_turn(1, pid);
	e->set(true);
	check_away(e);
	WRITE_ONCE(*turn, 2);
	wait_turn(3, pid);
	back(e);
	WRITE_ONCE(*turn, 4);
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid: %s",
		    strerror(errno));
	if (status)
		bar_fail("the child failed");
	touch();
}

#define TRACING		"/sys/kernel/tracing"
#define INSTANCE	TRACING "/instances/vfio_bar"

static void trace_stop(void)
{
	bar_write(INSTANCE "/events/vfio_bar/enable", "0");
	rmdir(INSTANCE);
	bar_write(TRACING "/kprobe_events", "-:vfio_bar/device");
}

/*
 * KVM is told to remove the range, which it has done by the time it returns,
 * before the function that reaches for the device is entered.
 */
static void test_order(const struct event *e)
{
	bool unmapped = false, reached = false;
	unsigned long start, end;
	char text[512], *s;
	FILE *f;

	trace_stop();
	snprintf(text, sizeof(text), "p:vfio_bar/device %s", e->probe);
	bar_skip_if(!bar_write(TRACING "/kprobe_events", text) ||
		    mkdir(INSTANCE, 0700) ||
		    !bar_write(INSTANCE "/events/vfio_bar/enable", "1") ||
		    !bar_write(INSTANCE "/events/kvm/kvm_unmap_hva_range/enable", "1"),
		    "the order of events needs a kprobe on %s, and tracefs at %s (CONFIG_KPROBE_EVENTS)",
		    e->probe, TRACING);
	atexit(trace_stop);
	e->set(true);
	f = fopen(INSTANCE "/trace", "r");
	while (f && !reached && fgets(text, sizeof(text), f)) {
		s = strstr(text, "unmap range: ");
		if (s && sscanf(s, "unmap range: %lx -- %lx", &start, &end) == 2)
			unmapped |= start <= (uintptr_t)slot.hva &&
				    (uintptr_t)slot.hva < end;
		reached = strstr(text, " device: ");
	}
	if (!reached)
		bar_fail("the device was not reached");
	if (!unmapped)
		bar_fail("the device was reached before stage 2 was unmapped");
	back(e);
}

/*
 * For each event: the leaf is gone. As long as the device is away, an access
 * ends KVM_RUN with -EFAULT; once it is there again, the leaf is as before.
 */
static const struct test_case {
	const char *name;
	void (*run)(const struct event *e);
} cases[] = {
	{ "%s", test_mapped },
	{ "%s, moved and inherited mappings", test_unfaulted },
	{ "%s: unmapped before it", test_order },
};

static const struct test_case *current;

static void run(const void *arg)
{
	bar_vm_create(&bv, NULL);
	bar_vm_add_bar(&bv, &slot, &bar_dev, BAR_RW, 0);
	vfio_type = bar_vm_mmio_type(&bv, slot.gpa);
	current->run(arg);
}

int main(int argc, char *argv[])
{
	char name[128];
	int i, c;

	/* Two of the events have no probe. */
	bar_start(ARRAY_SIZE(events) * ARRAY_SIZE(cases) - 2);
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		for (c = 0; c < ARRAY_SIZE(cases); c++) {
			current = &cases[c];
			if (current->run == test_order && !events[i].probe)
				continue;
			snprintf(name, sizeof(name), current->name,
				 events[i].name);
			bar_row(name, &events[i].want, run, &events[i]);
		}
	}
	memattr_finish();
}
