// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does vfio-pci take a BAR away from a guest before it does what it takes it for?
 *
 * Tracing shows that KVM was told to remove the mapping before the device was
 * reached. That the mapping is gone then is in vfio_bar_guest and
 * vfio_pci_bar_revoke_test.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

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

static const struct event events[] = {
	{ "memory decode off", { .what = "a BAR, and a memory enable bit", .vf = -1 },
	  "pci_user_write_config_word", true, decode },
	{ "D3hot", { .what = "a BAR, and the PM capability", .cap = PCI_CAP_ID_PM },
	  "pci_set_power_state", true, d3hot },
	{ "FLR by the PCIe capability",
	  { .what = "a BAR, and FLR", .cap = PCI_CAP_ID_EXP, .reset = "flr" },
	  "pci_try_reset_function", false, flr },
	{ "VFIO_DEVICE_RESET", { .what = "a BAR, and a reset", .reset = "" },
	  "pci_try_reset_function", false, reset },
	{ "VFIO_DEVICE_PCI_HOT_RESET",
	  { .what = "a BAR, alone on its bus", .reset = "bus" },
	  "pci_reset_bus", false, hot_reset },
};

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
static void run(const void *arg)
{
	const struct event *e = arg;
	bool unmapped = false, reached = false;
	unsigned long start, end;
	char text[512], *s;
	FILE *f;

	bar_vm_create(&bv, NULL);
	bar_vm_add_bar(&bv, &slot, &bar_dev, BAR_RW);
	bar_vm_load(&bv, slot.gpa);
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
	/* As long as it is open, trace_stop() cannot remove the instance. */
	if (f)
		fclose(f);
	if (!reached)
		bar_fail("the device was not reached");
	if (!unmapped)
		bar_fail("the device was reached before stage 2 was unmapped");
	if (e->lasts)
		e->set(false);
}

int main(int argc, char *argv[])
{
	const struct event *e;

	bar_start(ARRAY_SIZE(events));
	for (e = events; e < events + ARRAY_SIZE(events); e++)
		bar_row(e->name, &e->want, run, e);
	memattr_finish();
}
