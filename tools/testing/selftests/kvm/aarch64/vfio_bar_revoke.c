// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does vfio-pci take a BAR away from a guest, in each of the ways it has?
 *
 * A guest that maps MMIO Normal-NC must not be able to reach a device that
 * stopped decoding, lost power, or is being reset.  So each of these is tried on
 * a mapping as mmap() made it, on one that mremap() moved, and on one that a
 * child of fork() inherited and gives to a VM of its own.  The stage-2 leaf has
 * to be gone, and an access has to fail, until the device is back; then the
 * leaf is as before.  Tracing shows that KVM was told to remove the mapping
 * before the device was reached.
 *
 * Only devices that the user named are used.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/pci_regs.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#include "bar_vm.h"
#include "memattr.h"
#include "vfio_bar.h"

#define NR_MAX_DEVS	8
#define RW		(PROT_READ | PROT_WRITE)

static struct memattr_machine machine;
static struct vfio_pci_dev devs[NR_MAX_DEVS];
static int nr_devs;
static struct bar_vm bv;

/* Stage-2 type of vfio-pci's mappings on this kernel. */
static uint8_t vfio_type;

/**
 * struct event - a way in which vfio-pci takes the BARs away
 * @name: what happens
 * @usable: can this happen to the device? else sets skip
 * @off: make it happen
 * @on: undo it; NULL: it is over when @off returns
 * @probe: function that is entered to reach the device
 * @reaches: do these two arguments of @probe mean the event? NULL: any do
 */
struct event {
	const char *name;
	bool (*usable)(struct vfio_pci_dev *dev);
	bool (*off)(struct vfio_pci_dev *dev);
	bool (*on)(struct vfio_pci_dev *dev);
	const char *probe;
	bool (*reaches)(unsigned int pos, unsigned int val);
};

struct test_case {
	const char *name;
	bool (*run)(const struct test_case *t, struct vfio_pci_dev *dev,
		    struct bar_slot *slot);
	const struct event *event;
};

/* Set by a case that turns out to have nothing to run on. */
static char skip[512];

/* Tracing of the order of events. */

static const char trace_root[] = "/sys/kernel/tracing";
static char trace_group[32], trace_instance[128];

static bool trace_write(const char *dir, const char *file, const char *text,
			int flags)
{
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | flags);
	if (fd < 0)
		return false;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == strlen(text);
}

static void trace_stop(void)
{
	char text[64];

	if (!trace_group[0])
		return;
	snprintf(text, sizeof(text), "events/%s/enable", trace_group);
	trace_write(trace_instance, text, "0", 0);
	rmdir(trace_instance);
	snprintf(text, sizeof(text), "-:%s/device", trace_group);
	trace_write(trace_root, "kprobe_events", text, O_APPEND);
	trace_group[0] = 0;
}

static void trace_signal(int sig)
{
	trace_stop();
	signal(sig, SIG_DFL);
	raise(sig);
}

/*
 * Record when KVM is told to remove a range, which it has done by the time it
 * returns, and when @probe, the function that reaches for the device, is entered.
 */
static bool trace_start(const char *probe)
{
	char path[256], def[128];

	snprintf(path, sizeof(path), "%s/kprobe_events", trace_root);
	if (access(path, W_OK)) {
		snprintf(skip, sizeof(skip),
			 "the order of events needs %s (CONFIG_KPROBE_EVENTS): mount -t tracefs none %s",
			 path, trace_root);
		return false;
	}
	snprintf(trace_group, sizeof(trace_group), "vfio_bar_%d", getpid());
	snprintf(def, sizeof(def), "p:%s/device %s pos=%%x1:x32 val=%%x2:x32",
		 trace_group, probe);
	/* An instance of our own */
	snprintf(trace_instance, sizeof(trace_instance), "%s/instances/%s",
		 trace_root, trace_group);
	snprintf(path, sizeof(path), "events/%s/enable", trace_group);
	if (!trace_write(trace_root, "kprobe_events", def, O_APPEND) ||
	    mkdir(trace_instance, 0700) ||
	    !trace_write(trace_instance, path, "1", 0) ||
	    !trace_write(trace_instance, "events/kvm/kvm_unmap_hva_range/enable",
			 "1", 0)) {
		snprintf(skip, sizeof(skip),
			 "the order of events needs a kprobe on %s and kvm:kvm_unmap_hva_range: %s: is kprobes/enabled 0?",
			 probe, strerror(errno));
		trace_stop();
		return false;
	}
	return true;
}

/* Was the stage-2 mapping of @hva removed when the device was reached? */
static bool trace_check_order(const char *name, const void *hva,
			      const struct event *e)
{
	bool unmapped = false, reached = false;
	char path[256], line[512], self[32];
	FILE *f;

	/* All of it happens in the thread that asked for it. */
	snprintf(self, sizeof(self), "-%d ", (int)syscall(SYS_gettid));
	snprintf(path, sizeof(path), "%s/trace", trace_instance);
	f = fopen(path, "r");
	TEST_ASSERT(f, "%s: %s", path, strerror(errno));
	while (!reached && fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		unsigned int pos, val;
		char *s;

		if (line[0] == '#' || !strstr(line, self))
			continue;
		s = strstr(line, "unmap range: ");
		if (s && sscanf(s, "unmap range: %lx -- %lx", &start, &end) == 2)
			unmapped |= start <= (uintptr_t)hva && (uintptr_t)hva < end;
		s = strstr(line, " pos=");
		if (s && sscanf(s, " pos=%x val=%x", &pos, &val) == 2)
			reached = !e->reaches || e->reaches(pos, val);
	}
	fclose(f);
	if (reached && unmapped)
		return true;
	ksft_print_msg("%s: %s\n", name, reached ?
		       "the device was reached before stage 2 was unmapped" :
		       "the device was not reached");
	return false;
}

/* What the cases share. */

static bool touch_bar(const struct test_case *t, const struct bar_slot *slot)
{
	return bar_vm_check_touch(&machine, &bv, t->name, slot->gpa,
				  &(struct bar_leaf_want){
		.type = vfio_type, .read = true, .write = true, .oa = slot->pa,
	});
}

/* There is no leaf, nor a device, unless the event is over by now. */
static bool taken_away(const struct test_case *t, const struct bar_slot *slot)
{
	bool ok = bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);

	if (t->event->on)
		return ok & bar_vm_check_gone(&machine, &bv, t->name, slot->gpa);
	return ok & touch_bar(t, slot);
}

static bool has_capability(struct vfio_pci_dev *dev, int id, const char *what)
{
	if (vfio_pci_find_capability(dev, id))
		return true;
	snprintf(skip, sizeof(skip),
		 "no named device has %s: bind one that does to vfio-pci, and name it in KVM_VFIO_DEVICE",
		 what);
	return false;
}

static bool any_device(struct vfio_pci_dev *dev)
{
	return true;
}

static bool decode_off(struct vfio_pci_dev *dev)
{
	vfio_pci_set_memory_decode(dev, false);
	return true;
}

static bool decode_on(struct vfio_pci_dev *dev)
{
	vfio_pci_set_memory_decode(dev, true);
	return true;
}

static bool is_decode_off(unsigned int pos, unsigned int val)
{
	return pos == PCI_COMMAND && !(val & PCI_COMMAND_MEMORY);
}

static bool has_pm(struct vfio_pci_dev *dev)
{
	return has_capability(dev, PCI_CAP_ID_PM, "the PM capability");
}

static bool set_pm_state(struct vfio_pci_dev *dev, int state)
{
	int pos = vfio_pci_find_capability(dev, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	uint32_t val = vfio_pci_config_read(dev, pos, 2);

	vfio_pci_config_write(dev, pos, (val & ~PCI_PM_CTRL_STATE_MASK) | state,
			      2);
	return (vfio_pci_config_read(dev, pos, 2) & PCI_PM_CTRL_STATE_MASK) ==
	       state;
}

static bool d3hot(struct vfio_pci_dev *dev)
{
	return set_pm_state(dev, 3);
}

static bool d0(struct vfio_pci_dev *dev)
{
	return set_pm_state(dev, 0);
}

static bool is_d3hot(unsigned int pos, unsigned int val)
{
	return pos == 3;
}

static bool low_power(struct vfio_pci_dev *dev, uint32_t feature)
{
	struct vfio_device_feature f = {
		.argsz = sizeof(f),
		.flags = VFIO_DEVICE_FEATURE_SET | feature,
	};

	if (!ioctl(dev->fd, VFIO_DEVICE_FEATURE, &f))
		return true;
	ksft_print_msg("VFIO_DEVICE_FEATURE %u: %s\n", feature, strerror(errno));
	return false;
}

static bool low_power_entry(struct vfio_pci_dev *dev)
{
	return low_power(dev, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
}

static bool low_power_exit(struct vfio_pci_dev *dev)
{
	return low_power(dev, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
}

static bool has_flr(struct vfio_pci_dev *dev)
{
	int pos = vfio_pci_find_capability(dev, PCI_CAP_ID_EXP);

	return (pos && vfio_pci_config_read(dev, pos + PCI_EXP_DEVCAP, 4) &
		PCI_EXP_DEVCAP_FLR) ||
	       has_capability(dev, -1, "FLR in its PCIe capability");
}

static bool flr(struct vfio_pci_dev *dev)
{
	int pos = vfio_pci_find_capability(dev, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;

	vfio_pci_config_write(dev, pos, vfio_pci_config_read(dev, pos, 2) |
			      PCI_EXP_DEVCTL_BCR_FLR, 2);
	return true;
}

static bool has_af(struct vfio_pci_dev *dev)
{
	return has_capability(dev, PCI_CAP_ID_AF, "the AF capability");
}

static bool af_flr(struct vfio_pci_dev *dev)
{
	int pos = vfio_pci_find_capability(dev, PCI_CAP_ID_AF) + PCI_AF_CTRL;

	vfio_pci_config_write(dev, pos, PCI_AF_CTRL_FLR, 1);
	return true;
}

/* Is this the first of the ways in which the kernel would reset the device? */
static bool is_reset_by(struct vfio_pci_dev *dev, const char *method)
{
	char path[128], first[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset_method",
		 dev->bdf);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%31s", first) != 1)
			first[0] = 0;
		fclose(f);
	}
	if (!strcmp(first, method))
		return true;
	snprintf(skip, sizeof(skip),
		 "no named device is reset by \"%s\": bind one that is to vfio-pci (see its reset_method in sysfs), and name it in KVM_VFIO_DEVICE",
		 method);
	return false;
}

static bool by_flr(struct vfio_pci_dev *dev)
{
	return is_reset_by(dev, "flr");
}

static bool by_bus(struct vfio_pci_dev *dev)
{
	return is_reset_by(dev, "bus");
}

static bool reset(struct vfio_pci_dev *dev)
{
	if (!vfio_pci_reset(dev))
		return true;
	ksft_print_msg("%s\n", vfio_bar_why());
	return false;
}

static bool hot_reset(struct vfio_pci_dev *dev)
{
	if (!vfio_pci_hot_reset(dev))
		return true;
	ksft_print_msg("%s\n", vfio_bar_why());
	return false;
}

static const struct event events[] = {
	{ "memory decode off", any_device, decode_off, decode_on,
	  "pci_user_write_config_word", is_decode_off },
	{ "D3hot", has_pm, d3hot, d0, "pci_set_power_state", is_d3hot },
	/* The device loses its power later, by another thread. */
	{ "low power", any_device, low_power_entry, low_power_exit },
	{ "FLR by the PCIe capability", has_flr, flr, NULL,
	  "pci_try_reset_function" },
	{ "FLR by the AF capability", has_af, af_flr, NULL,
	  "pci_try_reset_function" },
	{ "VFIO_DEVICE_RESET by FLR", by_flr, reset, NULL,
	  "pci_try_reset_function" },
	{ "VFIO_DEVICE_RESET by bus reset", by_bus, reset, NULL,
	  "pci_try_reset_function" },
	{ "VFIO_DEVICE_PCI_HOT_RESET", by_bus, hot_reset, NULL,
	  "pci_reset_bus" },
};

/* Off, and on again if that is something else; the leaf is checked in between. */
static bool off_and_on(const struct test_case *t, struct vfio_pci_dev *dev,
		       const struct bar_slot *slot)
{
	bool ok = t->event->off(dev);

	ok &= taken_away(t, slot);
	if (t->event->on)
		ok &= t->event->on(dev);
	return ok & touch_bar(t, slot);
}

/* A mapping as mmap() made it */
static bool test_event(const struct test_case *t, struct vfio_pci_dev *dev,
		       struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);

	return ok & off_and_on(t, dev, slot);
}

/* Unmapped at stage 2 before the device is reached */
static bool test_order(const struct test_case *t, struct vfio_pci_dev *dev,
		       struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);

	if (!trace_start(t->event->probe))
		return ok;
	ok &= t->event->off(dev);
	ok &= trace_check_order(t->name, slot->hva, t->event);
	trace_stop();
	if (t->event->on)
		ok &= t->event->on(dev);
	return ok;
}

/* A mapping whose page table entries came without a fault: moved */
static bool test_event_mremap(const struct test_case *t,
			      struct vfio_pci_dev *dev, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);
	uint64_t pa = slot->pa;
	void *to, *p;

	to = mmap(NULL, slot->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(to != MAP_FAILED, "mmap: %s", strerror(errno));
	p = mremap(slot->hva, slot->size, slot->size,
		   MREMAP_MAYMOVE | MREMAP_FIXED, to);
	TEST_ASSERT(p != MAP_FAILED, "mremap: %s", strerror(errno));
	bar_vm_slot(&bv, slot->window, 0, slot->hva, 0);
	bar_vm_add_mem(&bv, slot, slot->window, 0, p, slot->size);
	slot->pa = pa;
	ok &= touch_bar(t, slot);
	return ok & off_and_on(t, dev, slot);
}

/* The other side goes on, or has gone on, to the next step. */
static void pass_turn(const int *to)
{
	TEST_ASSERT(write(to[1], "", 1) == 1, "write: %s", strerror(errno));
}

static bool wait_turn(const int *from)
{
	char c;

	return read(from[0], &c, 1) == 1;
}

/* A mapping whose page table entries came without a fault: inherited */
static bool test_event_fork(const struct test_case *t,
			    struct vfio_pci_dev *dev, struct bar_slot *slot)
{
	int to_child[2], to_parent[2], status;
	bool ok = touch_bar(t, slot);
	pid_t pid;

	TEST_ASSERT(!pipe(to_child) && !pipe(to_parent), "pipe: %s",
		    strerror(errno));
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		struct bar_slot inherited;

		close(to_child[1]);
		close(to_parent[0]);
		bar_vm_create(&bv);
		bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);
		bar_vm_add_mem(&bv, &inherited, 0, 0, slot->hva, slot->size);
		inherited.pa = slot->pa;
		ok = touch_bar(t, &inherited);
		pass_turn(to_parent);
		ok &= wait_turn(to_child);
		ok &= taken_away(t, &inherited);
		pass_turn(to_parent);
		ok &= wait_turn(to_child);
		ok &= touch_bar(t, &inherited);
		_exit(!ok);
	}
	close(to_parent[1]);
	ok &= wait_turn(to_parent);
	ok &= t->event->off(dev);
	ok &= taken_away(t, slot);
	pass_turn(to_child);
	ok &= wait_turn(to_parent);
	if (t->event->on)
		ok &= t->event->on(dev);
	pass_turn(to_child);
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid: %s",
		    strerror(errno));
	if (status) {
		ksft_print_msg("%s: the child ended with status 0x%x\n",
			       t->name, status);
		ok = false;
	}
	close(to_child[0]);
	close(to_child[1]);
	close(to_parent[0]);
	return ok & touch_bar(t, slot);
}

#define CASE(_name, _run) { .name = _name, .run = _run }

/*
 * For each event: the leaf is gone.  As long as the device is away, an access
 * ends KVM_RUN with -EFAULT; once it is there again, the leaf is as before.
 */
static const struct test_case cases[] = {
	CASE("%s", test_event),
	CASE("%s, after mremap", test_event_mremap),
	CASE("%s, in a child of fork", test_event_fork),
	CASE("%s: unmapped before it", test_order),
};

/* A named device that the event can happen to, and a BAR of it */
static struct vfio_pci_dev *find_device(const struct event *e, int *bar)
{
	int i;

	for (i = 0; i < nr_devs; i++) {
		if (vfio_pci_named(&devs[i]) &&
		    vfio_pci_pick_bar(&devs[i], 1, bar)) {
			if (e->usable(&devs[i]))
				return &devs[i];
		} else if (!skip[0]) {
			snprintf(skip, sizeof(skip), "%s", vfio_bar_why());
		}
	}
	return NULL;
}

static void run(const struct test_case *t)
{
	struct vfio_pci_dev *dev;
	struct bar_slot slot;
	bool ok = false;
	int bar;

	skip[0] = 0;
	dev = find_device(t->event, &bar);
	if (!dev) {
		memattr_skip(t->name, "%s", skip);
		return;
	}
	skip[0] = 0;
	ksft_print_msg("%s: %s BAR %d\n", t->name, dev->bdf, bar);
	if (bar_vm_add_bar(&bv, &slot, 0, BAR_VFIO, dev, bar, RW, 0)) {
		ok = t->run(t, dev, &slot);
		bar_vm_remove(&bv, &slot);
	} else {
		ksft_print_msg("%s\n", vfio_bar_why());
	}
	if (ok && skip[0])
		memattr_skip(t->name, "%s", skip);
	else
		ksft_test_result(ok, "%s\n", t->name);
}

static void run_event(const struct event *e)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct test_case t = cases[i];
		char name[128];

		if (t.run == test_order && !e->probe)
			continue;
		snprintf(name, sizeof(name), t.name, e->name);
		t.name = name;
		t.event = e;
		run(&t);
	}
}

/* What vfio-pci's VMA gives on this kernel; vfio_bar_memattr judges that. */
static void find_vfio_type(struct vfio_pci_dev *dev, int bar)
{
	struct bar_slot slot;

	if (!bar_vm_add_bar(&bv, &slot, 0, BAR_VFIO, dev, bar, RW, 0))
		ksft_exit_fail_msg("%s\n", vfio_bar_why());
	bar_vm_do(&bv, BAR_READ32, slot.gpa, 0);
	vfio_type = bar_vm_mmio_type(&machine, &bv, slot.gpa);
	bar_vm_remove(&bv, &slot);
}

int main(int argc, char *argv[])
{
	struct vfio_pci_dev *dev;
	int i, bar, nr = 0;

	setbuf(stdout, NULL);
	ksft_print_header();
	memattr_require(&machine);
	dev = vfio_bar_require(devs, NR_MAX_DEVS, &nr_devs, &bar);
	bar_vm_create(&bv);
	bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);
	find_vfio_type(dev, bar);

	atexit(trace_stop);
	signal(SIGINT, trace_signal);
	signal(SIGTERM, trace_signal);

	for (i = 0; i < ARRAY_SIZE(events); i++)
		nr += ARRAY_SIZE(cases) - !events[i].probe;
	ksft_set_plan(nr);
	for (i = 0; i < ARRAY_SIZE(events); i++)
		run_event(&events[i]);

	bar_vm_free(&bv);
	for (i = 0; i < nr_devs; i++)
		vfio_pci_close(&devs[i]);
	memattr_finish();
}
