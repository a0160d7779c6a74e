// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a BAR's stage-2 mapping when its VMM or its driver goes?
 *
 * The leaf goes with the VMM's mapping, neither later nor before. What else a VMM
 * can do to that is in vfio_bar_guest, and what vfio-pci does in
 * vfio_pci_bar_revoke_test.
 *
 * "As before" below is the type found on the first touch: all rows pass on a
 * kernel without VM_ALLOW_ANY_UNCACHED, too.
 */
#define _GNU_SOURCE

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "memattr/bar_vm.h"

static struct bar_vm bv;
/* The BAR, mapped and touched, and its type at stage 2 on this kernel */
static struct bar_slot slot;
static u8 vfio_type;

static void start(void)
{
	bar_vm_create(&bv, NULL);
	bar_vm_add_bar(&bv, &slot, &bar_dev, BAR_RW, 0);
	vfio_type = bar_vm_mmio_type(&bv, slot.gpa);
}

/* As before */
static void touch(void)
{
	bar_vm_touch(&bv, slot.gpa, vfio_type, true, slot.pa);
}

/* The VM outlives its VMM by the descriptor that this process has, too. */
static void test_kill(void)
{
	int *vm_fd = bar_shared(sizeof(*vm_fd)), status;
	struct kvm_memattr_leaf leaf;
	pid_t pid;

	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	TEST_ASSERT(pid >= 0, "clone: %s", strerror(errno));
	if (!pid) {
		bar_vm_create(&bv, NULL);
		bar_vm_add(&bv, &slot, 0);
		touch();
		WRITE_ONCE(*vm_fd, bv.vm->fd);
		for (;;)
			bar_vm_do(&bv, BAR_READ32, slot.gpa);
	}
	while (!READ_ONCE(*vm_fd))
		if (waitpid(pid, &status, WNOHANG))
			bar_fail("the VMM ended by itself");
	if (memattr_leaf(&bar_machine, *vm_fd, slot.gpa, &leaf))
		bar_fail("no leaf before it");
	kill(pid, SIGKILL);
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid: %s",
		    strerror(errno));
	if (!memattr_leaf(&bar_machine, *vm_fd, slot.gpa, &leaf))
		bar_fail("still a leaf after it");
	touch();
}

static void sysfs_write(const char *file, const char *text)
{
	/* What comes of it is looked at afterwards. */
	if (!bar_write(file, text))
		printf("# %s: %s\n", file, strerror(errno));
}

/*
 * The VMM closes the device, and unmaps the BAR; with @file, somebody else
 * unbinds the driver or removes the device, which waits for that.
 */
static void let_go(const char *file)
{
	char path[128], bdf[16];
	int status = 0;
	pid_t pid = 0;

	if (!vfio_bar_open(&bar_dev, &vfio_bar_any))
		bar_skip("%s", vfio_bar_why());
	start();
	strcpy(bdf, bar_dev.bdf);
	if (file) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf,
			 file);
		pid = fork();
		TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	}
	if (file && !pid) {
		/* What it has inherited would keep the device in use. */
		munmap(slot.hva, slot.size);
		vfio_bar_close(&bar_dev);
		sysfs_write(path, strcmp(file, "remove") ? bdf : "1");
		_exit(0);
	}
	usleep(file ? 200000 : 0);
	if (file && waitpid(pid, &status, WNOHANG))
		bar_fail("it did not wait for the VMM");
	touch();
	vfio_bar_close(&bar_dev);
	touch();
	munmap(slot.hva, slot.size);
	bar_vm_check_gone(&bv, slot.gpa);
	bar_vm_slot(&bv, &slot, 0);
	if (file) {
		TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid: %s",
			    strerror(errno));
		if (!access(path, F_OK))
			bar_fail("it has no effect");
		snprintf(path, sizeof(path),
			 "/sys/bus/pci/devices/%s/driver_override", bdf);
		if (access(path, F_OK))
			sysfs_write("/sys/bus/pci/rescan", "1");
		sysfs_write(path, "vfio-pci");
		sysfs_write("/sys/bus/pci/drivers_probe", bdf);
	}
	if (!vfio_bar_open(&bar_dev, &vfio_bar_any) || strcmp(bdf, bar_dev.bdf))
		bar_fail("%s is not back: %s", bdf, vfio_bar_why());
	slot.gpa = 0;
	bar_vm_add_bar(&bv, &slot, &bar_dev, BAR_RW, 0);
	touch();
}

static void test_close(void)
{
	let_go(NULL);
}

static void test_unbind(void)
{
	let_go("driver/unbind");
}

static void test_remove(void)
{
	let_go("remove");
}

static const struct test_case {
	const char *name;
	void (*run)(void);
	bool opens;
} cases[] = {
	/* Gone with its VMM; as before for the next one. */
	{ "SIGKILL of the VMM", test_kill },
	/* As before until the mapping is gone, too, and not over before that. */
	{ "device closed and opened with the VM alive", test_close, true },
	{ "driver unbound with the VM alive", test_unbind, true },
	{ "device removed with the VM alive", test_remove, true },
};

static void run(const void *arg)
{
	const struct test_case *t = arg;

	if (!t->opens)
		start();
	t->run();
}

int main(int argc, char *argv[])
{
	const struct test_case *t;

	bar_start(ARRAY_SIZE(cases));
	for (t = cases; t < cases + ARRAY_SIZE(cases); t++)
		bar_row(t->name, t->opens ? NULL : &vfio_bar_any, run, t);
	memattr_finish();
}
