// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a BAR's stage-2 mapping when its backing changes?
 *
 * Whatever happens to the VMA, the memslot or the device, afterwards the
 * stage-2 leaf is gone, or it is right: for the page the VMA now maps, and of
 * the type that VMA asks for.  A guest that maps MMIO Normal-NC must not be
 * able to reach a device that stopped decoding, or that is being reset.  So
 * for these two events the order is observed, too: kprobe events show that
 * KVM finished removing the stage-2 mapping before the configuration write or
 * the reset reaches the device.
 *
 * "As before" below is the type found on the first touch, so that only the
 * case that asks for Normal-NC depends on VM_ALLOW_ANY_UNCACHED.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/pci_regs.h>
#include <linux/sizes.h>

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
static struct vfio_pci_dev *main_dev;
static int main_bar;
static struct bar_vm bv;

/* Stage-2 type of vfio-pci's mappings on this kernel. */
static uint8_t vfio_type = MEMATTR_NORMAL_NC;

struct test_case {
	const char *name;
	bool (*run)(const struct test_case *t, struct bar_slot *slot);
	const char *reset_method;
	const char *probe;
};

/* Set by a case that turns out to have nothing to run on. */
static char skip[512];

/* Tracing of the order of events. */

static char trace_group[32];
static char trace_root[64];
static char trace_instance[128];

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

static bool trace_probe(const char *fmt, ...)
{
	char def[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(def, sizeof(def), fmt, ap);
	va_end(ap);
	return trace_write(trace_root, "kprobe_events", def, O_APPEND);
}

static void trace_stop(void)
{
	static const char * const events[] = { "unmap", "unmapped", "device" };
	char path[256];
	int i;

	if (!trace_group[0])
		return;
	if (trace_instance[0]) {
		snprintf(path, sizeof(path), "events/%s/enable", trace_group);
		trace_write(trace_instance, path, "0", 0);
		rmdir(trace_instance);
		trace_instance[0] = 0;
	}
	for (i = 0; i < ARRAY_SIZE(events); i++)
		trace_probe("-:%s/%s", trace_group, events[i]);
	trace_group[0] = 0;
}

static void trace_signal(int sig)
{
	trace_stop();
	signal(sig, SIG_DFL);
	raise(sig);
}

/*
 * Record when KVM starts and ends removing a range of guest frames, and when
 * @probe, the function that reaches for the device, is entered.
 */
static bool trace_start(const char *probe)
{
	char path[256];

	strcpy(trace_root, "/sys/kernel/tracing");
	snprintf(path, sizeof(path), "%s/trace", trace_root);
	if (access(path, F_OK)) {
		strcpy(trace_root, "/sys/kernel/debug/tracing");
		snprintf(path, sizeof(path), "%s/trace", trace_root);
	}
	if (access(path, F_OK)) {
		snprintf(skip, sizeof(skip),
			 "the order of events needs tracefs: mount -t tracefs none /sys/kernel/tracing (CONFIG_TRACING)");
		return false;
	}
	snprintf(path, sizeof(path), "%s/kprobe_events", trace_root);
	if (access(path, W_OK)) {
		snprintf(skip, sizeof(skip),
			 "the order of events needs kprobe events: build the kernel with CONFIG_KPROBE_EVENTS");
		return false;
	}

	snprintf(trace_group, sizeof(trace_group), "vfio_bar_%d", getpid());
	/* struct kvm_gfn_range: slot, start, end */
	if (!trace_probe("p:%s/unmap kvm_unmap_gfn_range start=+8(%%x1):x64 end=+16(%%x1):x64",
			 trace_group) ||
	    !trace_probe("r:%s/unmapped kvm_unmap_gfn_range", trace_group) ||
	    !trace_probe("p:%s/device %s pos=%%x1:x32 val=%%x2:x32",
			 trace_group, probe)) {
		snprintf(skip, sizeof(skip),
			 "the order of events needs kprobes on kvm_unmap_gfn_range and %s: %s: is kprobes/enabled 0?",
			 probe, strerror(errno));
		trace_stop();
		return false;
	}

	/* An instance of our own; "counter" orders the events of all CPUs. */
	snprintf(path, sizeof(path), "%s/instances/%s", trace_root, trace_group);
	TEST_ASSERT(!mkdir(path, 0700), "mkdir %s: %s", path, strerror(errno));
	strcpy(trace_instance, path);
	snprintf(path, sizeof(path), "events/%s/enable", trace_group);
	TEST_ASSERT(trace_write(trace_instance, "trace_clock", "counter", 0) &&
		    trace_write(trace_instance, path, "1", 0),
		    "cannot start tracing in %s: %s", trace_instance,
		    strerror(errno));
	return true;
}

/*
 * Was the stage-2 mapping of @gpa gone when the device was reached?  With
 * @command, only configuration writes that clear PCI_COMMAND_MEMORY count.
 */
static bool trace_check_order(const char *name, uint64_t gpa, bool command)
{
	uint64_t gfn = gpa / getpagesize();
	bool unmapping = false, unmapped = false, reached = false, ok = true;
	char path[256], line[512], self[32];
	FILE *f;

	snprintf(self, sizeof(self), "-%d ", (int)syscall(SYS_gettid));
	snprintf(path, sizeof(path), "%s/trace", trace_instance);
	f = fopen(path, "r");
	TEST_ASSERT(f, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		unsigned int pos, val;
		char *s;

		/* All of it happens in the thread that asked for it. */
		if (line[0] == '#' || !strstr(line, self))
			continue;
		s = strstr(line, " start=");
		if (strstr(line, " unmap: ") && s &&
		    sscanf(s, " start=%lx end=%lx", &start, &end) == 2) {
			unmapping = start <= gfn && gfn < end;
			continue;
		}
		if (strstr(line, " unmapped: ")) {
			unmapped |= unmapping;
			unmapping = false;
			continue;
		}
		s = strstr(line, " pos=");
		if (!strstr(line, " device: ") || !s ||
		    sscanf(s, " pos=%x val=%x", &pos, &val) != 2)
			continue;
		if (command && (pos != PCI_COMMAND || val & PCI_COMMAND_MEMORY))
			continue;
		reached = true;
		if (!unmapped) {
			ksft_print_msg("%s: the device was reached before stage 2 was unmapped\n",
				       name);
			ok = false;
		}
		break;
	}
	fclose(f);
	if (!reached) {
		ksft_print_msg("%s: the device was not reached\n", name);
		ok = false;
	}
	return ok;
}

/* What the cases share. */

static bool add_bar(struct bar_slot *slot, const struct vfio_pci_dev *dev,
		    int bar)
{
	if (bar_vm_add_bar(&bv, slot, 0, BAR_VFIO, dev, bar, RW, 0))
		return true;
	ksft_print_msg("%s\n", vfio_bar_why());
	return false;
}

/* A load works, and the leaf has this type and leads to this address. */
static bool touch(const struct test_case *t, uint64_t gpa, uint8_t type,
		  bool writable, uint64_t oa)
{
	struct bar_leaf_want want = {
		.type = type,
		.read = true,
		.write = writable,
		.any_exec = type == MEMATTR_NORMAL_WB,
		.oa = oa,
	};
	struct bar_result res;

	bar_vm_map(&bv, gpa);
	res = bar_vm_do(&bv, BAR_READ32, gpa, 0);
	return bar_vm_expect(t->name, &res, BAR_OK) &
	       bar_vm_check_leaf(&machine, &bv, t->name, gpa, &want);
}

/* As before: what vfio-pci's VMA gave on the first touch. */
static bool touch_bar(const struct test_case *t, const struct bar_slot *slot)
{
	return touch(t, slot->gpa, vfio_type, true, slot->pa);
}

/* There is no leaf, and an access ends KVM_RUN with -EFAULT. */
static bool gone(const struct test_case *t, uint64_t gpa)
{
	bool ok = bar_vm_check_no_leaf(&machine, &bv, t->name, gpa);
	struct bar_result res;

	res = bar_vm_do(&bv, BAR_READ32, gpa, 0);
	ok &= bar_vm_expect(t->name, &res, BAR_RUN_FAILED);
	ok &= res.err == EFAULT;
	return ok & bar_vm_check_no_leaf(&machine, &bv, t->name, gpa);
}

/* Right after an event the leaf is gone, or still of the same page. */
static bool gone_or_right(const struct test_case *t, const struct bar_slot *slot)
{
	struct kvm_memattr_leaf leaf;

	if (memattr_leaf(&machine, bv.vm->fd, slot->gpa, &leaf))
		return errno == ENOENT;
	if (leaf.oa + (slot->gpa - leaf.base) == slot->pa &&
	    leaf.memattr == memattr_s2_encode(vfio_type, leaf.fwb))
		return true;
	ksft_print_msg("%s: the leaf is neither gone nor right: 0x%llx\n",
		       t->name, leaf.desc);
	return false;
}

/* The device stops decoding, or is reset. */

static bool test_first_touch(const struct test_case *t, struct bar_slot *slot)
{
	vfio_type = MEMATTR_NORMAL_NC;
	if (touch_bar(t, slot))
		return true;
	/* The other cases then compare with what the kernel does instead. */
	vfio_type = MEMATTR_DEVICE_nGnRE;
	return false;
}

static bool test_decode(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);

	vfio_pci_set_memory_decode(main_dev, false);
	ok &= gone(t, slot->gpa);
	vfio_pci_set_memory_decode(main_dev, true);
	return ok & touch_bar(t, slot);
}

static bool test_decode_order(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);

	if (!trace_start(t->probe))
		return ok;
	vfio_pci_set_memory_decode(main_dev, false);
	ok &= trace_check_order(t->name, slot->gpa, true);
	trace_stop();
	ok &= gone(t, slot->gpa);
	vfio_pci_set_memory_decode(main_dev, true);
	return ok & touch_bar(t, slot);
}

/* A prefetchable BAR of a device whose first reset method is the wanted one. */
static struct vfio_pci_dev *find_reset(const char *method, int *bar)
{
	struct vfio_bar_want want = {
		.set = VFIO_BAR_F_PREFETCH,
		.dev_flags = VFIO_DEVICE_FLAGS_RESET,
		.what = "a prefetchable BAR of a device that can be reset",
	};
	struct vfio_pci_dev *dev;
	int i;

	for (i = 0; i < nr_devs; i++) {
		char path[128], first[32] = "";
		FILE *f;

		dev = vfio_pci_find_bar(&devs[i], 1, &want, 0, bar);
		if (!dev)
			continue;
		snprintf(path, sizeof(path),
			 "/sys/bus/pci/devices/%s/reset_method", dev->bdf);
		f = fopen(path, "r");
		if (f) {
			if (fscanf(f, "%31s", first) != 1)
				first[0] = 0;
			fclose(f);
		}
		if (!strcmp(first, method))
			return dev;
	}
	snprintf(skip, sizeof(skip),
		 "no device with a prefetchable BAR is reset by \"%s\": bind one that is to vfio-pci (see its reset_method in sysfs)",
		 method);
	return NULL;
}

static bool test_reset(const struct test_case *t, struct bar_slot *unused)
{
	struct vfio_pci_dev *dev;
	bool ok, traced, hot = !strcmp(t->probe, "pci_reset_bus");
	struct bar_slot slot;
	int bar;

	dev = find_reset(t->reset_method, &bar);
	if (!dev)
		return true;
	ksft_print_msg("%s: %s BAR %d\n", t->name, dev->bdf, bar);
	bar_vm_remove(&bv, unused);
	if (!add_bar(&slot, dev, bar))
		return false;

	ok = touch_bar(t, &slot);
	traced = trace_start(t->probe);
	if ((hot ? vfio_pci_hot_reset(dev) : vfio_pci_reset(dev))) {
		ksft_print_msg("%s: %s\n", t->name, vfio_bar_why());
		ok = false;
	} else if (traced) {
		ok &= trace_check_order(t->name, slot.gpa, false);
	}
	trace_stop();
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, slot.gpa);
	ok &= touch_bar(t, &slot);
	bar_vm_remove(&bv, &slot);
	return ok;
}

/* The VMA changes. */

static bool test_munmap(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);

	munmap(slot->hva, slot->size);
	ok &= gone(t, slot->gpa);
	if (!vfio_pci_bar_mmap(main_dev, main_bar, slot->hva, RW, 0,
			       slot->size)) {
		ksft_print_msg("%s\n", vfio_bar_why());
		return false;
	}
	return ok & touch_bar(t, slot);
}

static bool test_over_sysfs(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);

	if (!vfio_pci_sysfs_mmap(main_dev, main_bar, false, slot->hva, RW, 0,
				 slot->size)) {
		snprintf(skip, sizeof(skip), "%s", vfio_bar_why());
		return ok;
	}
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);
	ok &= touch(t, slot->gpa, MEMATTR_DEVICE_nGnRE, true, slot->pa);
	/* And the other way round. */
	if (!vfio_pci_bar_mmap(main_dev, main_bar, slot->hva, RW, 0,
			       slot->size)) {
		ksft_print_msg("%s\n", vfio_bar_why());
		return false;
	}
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);
	return ok & touch_bar(t, slot);
}

static bool test_over_ram(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);
	void *p;

	p = mmap(slot->hva, slot->size, RW,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	TEST_ASSERT(p == slot->hva, "mmap: %s", strerror(errno));
	memset(p, 0, getpagesize());
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);
	ok &= touch(t, slot->gpa, MEMATTR_NORMAL_WB, true, 0);
	if (!vfio_pci_bar_mmap(main_dev, main_bar, slot->hva, RW, 0,
			       slot->size)) {
		ksft_print_msg("%s\n", vfio_bar_why());
		return false;
	}
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);
	return ok & touch_bar(t, slot);
}

static bool test_mprotect(const struct test_case *t, struct bar_slot *slot)
{
	struct bar_leaf_want want = {
		.type = vfio_type,
		.read = true,
		.oa = slot->pa,
	};
	bool ok = touch_bar(t, slot);
	struct kvm_memattr_leaf leaf;
	struct bar_result res;

	TEST_ASSERT(!mprotect(slot->hva, slot->size, PROT_READ), "mprotect: %s",
		    strerror(errno));
	/* A leaf that still allowed stores would be the end of mprotect(). */
	if (!memattr_leaf(&machine, bv.vm->fd, slot->gpa, &leaf))
		ok &= bar_vm_check_leaf(&machine, &bv, t->name, slot->gpa, &want);
	ok &= touch(t, slot->gpa, vfio_type, false, slot->pa);
	if (main_dev->may_write) {
		res = bar_vm_do(&bv, BAR_WRITE32, slot->gpa, 0);
		ok &= bar_vm_expect(t->name, &res, BAR_RUN_FAILED);
		ok &= bar_vm_check_leaf(&machine, &bv, t->name, slot->gpa, &want);
	}
	TEST_ASSERT(!mprotect(slot->hva, slot->size, RW), "mprotect: %s",
		    strerror(errno));
	ok &= gone_or_right(t, slot);
	if (!main_dev->may_write)
		return ok;
	res = bar_vm_do(&bv, BAR_WRITE32, slot->gpa, 0);
	ok &= bar_vm_expect(t->name, &res, BAR_OK);
	return ok & touch_bar(t, slot);
}

/*
 * The guest does not try an access while its VMM has none.  What KVM_RUN makes
 * of an attempt differs: some kernels look only at the host's descriptor, which
 * is still there, and carry it out; some retry until a signal comes.
 */
static bool test_prot_none(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);

	TEST_ASSERT(!mprotect(slot->hva, slot->size, PROT_NONE), "mprotect: %s",
		    strerror(errno));
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);
	TEST_ASSERT(!mprotect(slot->hva, slot->size, RW), "mprotect: %s",
		    strerror(errno));
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);
	return ok & touch_bar(t, slot);
}

static bool test_mremap(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);
	struct bar_slot moved;
	void *to, *p;

	to = vfio_pci_bar_pick_address(main_dev, main_bar, 0, slot->size);
	p = mremap(slot->hva, slot->size, slot->size,
		   MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (p == MAP_FAILED) {
		ksft_print_msg("%s: mremap: %s\n", t->name, strerror(errno));
		return false;
	}
	ok &= gone(t, slot->gpa);
	bar_vm_add_mem(&bv, &moved, 1, 0, p, slot->size);
	ok &= touch(t, moved.gpa, vfio_type, true, slot->pa);
	bar_vm_remove(&bv, &moved);
	return ok;
}

static bool test_mremap_shrink(const struct test_case *t, struct bar_slot *slot)
{
	size_t half = slot->size / 2 & ~(size_t)(getpagesize() - 1);
	bool ok = touch_bar(t, slot);
	void *p;

	if (!half) {
		snprintf(skip, sizeof(skip),
			 "the BAR has a single page: use a larger one");
		return ok;
	}
	ok &= touch(t, slot->gpa + half, vfio_type, true, slot->pa + half);
	p = mremap(slot->hva, slot->size, half, 0);
	TEST_ASSERT(p == slot->hva, "mremap: %s", strerror(errno));
	ok &= gone(t, slot->gpa + half);
	ok &= gone_or_right(t, slot);
	return ok & touch_bar(t, slot);
}

static bool test_fork(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);
	int status;
	pid_t pid;

	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		/* The child's own mapping of the BAR works, and it drops it. */
		READ_ONCE(*(uint32_t *)slot->hva);
		munmap(slot->hva, slot->size);
		_exit(0);
	}
	ok &= gone_or_right(t, slot);
	ok &= touch_bar(t, slot);
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid: %s",
		    strerror(errno));
	if (status) {
		ksft_print_msg("%s: the child ended with status 0x%x\n",
			       t->name, status);
		ok = false;
	}
	ok &= gone_or_right(t, slot);
	return ok & touch_bar(t, slot);
}

/* The memslot changes. */

static bool test_slot_delete(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);
	struct bar_result res;

	bar_vm_slot(&bv, slot->window, 0, slot->hva, 0);
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);
	res = bar_vm_do(&bv, BAR_READ32, slot->gpa, 0);
	ok &= bar_vm_expect(t->name, &res, BAR_MMIO);
	/* Again at the same place. */
	bar_vm_slot(&bv, slot->window, 0, slot->hva, slot->size);
	return ok & touch_bar(t, slot);
}

static bool test_slot_move(const struct test_case *t, struct bar_slot *slot)
{
	uint64_t to = slot->gpa + SZ_1G;
	bool ok = touch_bar(t, slot);
	struct bar_result res;

	TEST_ASSERT(!bar_vm_try_slot_at(&bv, slot->window, 0, to, slot->hva,
					slot->size),
		    "moving a memslot: %s", strerror(errno));
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);
	res = bar_vm_do(&bv, BAR_READ32, slot->gpa, 0);
	ok &= bar_vm_expect(t->name, &res, BAR_MMIO);
	ok &= touch(t, to, vfio_type, true, slot->pa);
	TEST_ASSERT(!bar_vm_try_slot_at(&bv, slot->window, 0, slot->gpa,
					slot->hva, slot->size),
		    "moving a memslot back: %s", strerror(errno));
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, to);
	return ok & touch_bar(t, slot);
}

static bool test_slot_readd_sysfs(const struct test_case *t,
				  struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);
	void *p;

	p = vfio_pci_sysfs_mmap(main_dev, main_bar, false, NULL, RW, 0,
				slot->size);
	if (!p) {
		snprintf(skip, sizeof(skip), "%s", vfio_bar_why());
		return ok;
	}
	bar_vm_slot(&bv, slot->window, 0, slot->hva, 0);
	TEST_ASSERT(!bar_vm_try_slot_at(&bv, slot->window, 0, slot->gpa, p,
					slot->size),
		    "adding a memslot: %s", strerror(errno));
	ok &= touch(t, slot->gpa, MEMATTR_DEVICE_nGnRE, true, slot->pa);
	bar_vm_slot(&bv, slot->window, 0, slot->hva, 0);
	munmap(p, slot->size);
	bar_vm_slot(&bv, slot->window, 0, slot->hva, slot->size);
	return ok & touch_bar(t, slot);
}

/* The device is closed with the VM alive. */

static bool test_close(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);
	struct bar_slot again;

	/* The mapping holds the device open: nothing changes yet. */
	vfio_pci_close(main_dev);
	ok &= gone_or_right(t, slot);
	ok &= touch_bar(t, slot);
	/* Its end is the end of the last reference to the device. */
	munmap(slot->hva, slot->size);
	ok &= gone(t, slot->gpa);
	bar_vm_slot(&bv, slot->window, 0, slot->hva, 0);
	slot->hva = NULL;
	if (vfio_pci_open(main_dev, VFIO_PCI_ANY)) {
		ksft_print_msg("%s: %s\n", t->name, vfio_bar_why());
		return false;
	}
	if (!add_bar(&again, main_dev, main_bar))
		return false;
	ok &= touch_bar(t, &again);
	bar_vm_remove(&bv, &again);
	return ok;
}

#define CASE(_name, _run) { .name = _name, .run = _run }

static const struct test_case cases[] = {
	/* This one decides what "as before" is for the others. */
	CASE("first touch: Normal-NC", test_first_touch),

	/* Gone while decode is off, and accesses fail; as before when it is on. */
	CASE("memory decode off and on", test_decode),
	/* Unmapped at stage 2 before the command register is written. */
	{ "memory decode off: unmapped before the configuration write",
	  test_decode_order, .probe = "pci_user_write_config_word" },
	/* Unmapped at stage 2 before the reset starts; as before after it. */
	{ "VFIO_DEVICE_RESET by FLR: unmapped before it", test_reset,
	  .reset_method = "flr", .probe = "pci_try_reset_function" },
	{ "VFIO_DEVICE_RESET by bus reset: unmapped before it", test_reset,
	  .reset_method = "bus", .probe = "pci_try_reset_function" },
	{ "VFIO_DEVICE_PCI_HOT_RESET: unmapped before it", test_reset,
	  .reset_method = "bus", .probe = "pci_reset_bus" },

	/* Gone with the VMA; as before with the new one. */
	CASE("munmap and mmap", test_munmap),
	/* The other VMA's type, Device-nGnRE or Normal-WB; then as before. */
	CASE("MAP_FIXED over it: sysfs, and back", test_over_sysfs),
	CASE("MAP_FIXED over it: RAM, and back", test_over_ram),
	/* No stores while read-only; as before when writable. */
	CASE("mprotect read-only and back", test_mprotect),
	/* Gone while there is no access; as before when there is. */
	CASE("mprotect none and back", test_prot_none),
	/* Gone at the old address; as before at the new one. */
	CASE("mremap to another address", test_mremap),
	/* Gone behind the new end; as before below it. */
	CASE("mremap to half the size", test_mremap_shrink),
	/* Nothing changes for the parent, with the child alive or gone. */
	CASE("fork", test_fork),

	/* Gone, accesses are MMIO; then as before. */
	CASE("memslot deleted and added again", test_slot_delete),
	/* Gone at the old address; as before at the new one. */
	CASE("memslot moved and moved back", test_slot_move),
	/* The type follows what the memslot is backed by. */
	CASE("memslot added again with sysfs, and back", test_slot_readd_sysfs),

	/* As before until the mapping is gone, too. */
	CASE("device closed and opened with the VM alive", test_close),
};

static void run(const struct test_case *t)
{
	struct bar_slot slot;
	bool ok;

	skip[0] = 0;
	if (!add_bar(&slot, main_dev, main_bar)) {
		ksft_test_result_fail("%s\n", t->name);
		return;
	}
	ok = t->run(t, &slot);
	bar_vm_remove(&bv, &slot);
	if (ok && skip[0])
		memattr_skip(t->name, "%s", skip);
	else
		ksft_test_result(ok, "%s\n", t->name);
}

int main(int argc, char *argv[])
{
	int i;

	setbuf(stdout, NULL);
	ksft_print_header();
	memattr_require(&machine);
	main_dev = vfio_bar_require(devs, NR_MAX_DEVS, &nr_devs, &main_bar);
	bar_vm_create(&bv);
	bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);

	atexit(trace_stop);
	signal(SIGINT, trace_signal);
	signal(SIGTERM, trace_signal);

	ksft_set_plan(ARRAY_SIZE(cases));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		run(&cases[i]);

	bar_vm_free(&bv);
	for (i = 0; i < nr_devs; i++)
		vfio_pci_close(&devs[i]);
	memattr_finish();
}
