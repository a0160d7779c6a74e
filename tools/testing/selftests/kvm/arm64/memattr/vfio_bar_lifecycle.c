// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a BAR's stage-2 mapping when the VMM changes its backing?
 *
 * Whatever happens to the VMA, the memslot or the VMM, afterwards the stage-2
 * leaf is gone, or it is right: for the page the VMA now maps, and of the type
 * that VMA asks for. What vfio-pci does to a mapping is in vfio_bar_revoke.
 *
 * "As before" below is the type found on the first touch: all rows pass on a
 * kernel without VM_ALLOW_ANY_UNCACHED, too.
 */
#define _GNU_SOURCE

#include <fcntl.h>
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

static void bar_back(void)
{
	if (!vfio_bar_mmap(&bar_dev, slot.hva, BAR_RW, 0, slot.size))
		bar_fail("%s", vfio_bar_why());
}

/* Half of it, and all of it */
static void test_munmap(void)
{
	size_t half = slot.size / 2 & ~(size_t)(getpagesize() - 1);

	if (half) {
		bar_vm_touch(&bv, slot.gpa + half, vfio_type, true,
			     slot.pa + half);
		munmap(slot.hva + half, slot.size - half);
		bar_vm_check_gone(&bv, slot.gpa + half);
		touch();
	}
	munmap(slot.hva, slot.size);
	bar_vm_check_gone(&bv, slot.gpa);
	bar_back();
	touch();
}

/* Another VMA in its place, and back */
static void check_over(void *p, u8 type, u64 pa)
{
	TEST_ASSERT(p == slot.hva, "mmap: %s", strerror(errno));
	bar_vm_check_no_leaf(&bv, slot.gpa);
	bar_vm_touch(&bv, slot.gpa, type, true, pa);
	bar_back();
	bar_vm_check_no_leaf(&bv, slot.gpa);
	touch();
}

static void test_over_sysfs(void)
{
	struct vfio_bar plain;

	if (!vfio_bar_open_plain(&plain, &bar_dev, BAR_SYSFS, 0))
		bar_skip("%s", vfio_bar_why());
	check_over(vfio_bar_mmap(&plain, slot.hva, BAR_RW, 0, getpagesize()),
		   MEMATTR_DEVICE_nGnRE, plain.pa);
}

static void test_over_ram(void)
{
	void *p = mmap(slot.hva, slot.size, BAR_RW, MAP_PRIVATE | MAP_FIXED |
		       MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	check_over(p, MEMATTR_NORMAL_WB, 0);
}

static void protect(int prot)
{
	TEST_ASSERT(!mprotect(slot.hva, slot.size, prot), "mprotect: %s",
		    strerror(errno));
}

static void test_read_only(void)
{
	struct kvm_memattr_leaf leaf;

	protect(PROT_READ);
	/* A leaf that still allowed stores would be the end of mprotect(). */
	if (!memattr_leaf(&bar_machine, bv.vm->fd, slot.gpa, &leaf))
		bar_vm_check_leaf(&bv, slot.gpa, vfio_type, false, slot.pa);
	bar_vm_touch(&bv, slot.gpa, vfio_type, false, slot.pa);
	if (!bar_dev.may_write)
		return;
	bar_vm_expect(&bv, BAR_WRITE32, slot.gpa, BAR_RUN_FAILED);
	bar_vm_check_leaf(&bv, slot.gpa, vfio_type, false, slot.pa);
	protect(BAR_RW);
	bar_vm_expect(&bv, BAR_WRITE32, slot.gpa, BAR_OK);
	touch();
}

static void test_mremap(void)
{
	struct bar_slot moved = { .window = 1, .size = slot.size };

	moved.hva = vfio_bar_move(&bar_dev, slot.hva, slot.size);
	bar_vm_check_gone(&bv, slot.gpa);
	bar_vm_add(&bv, &moved, 0);
	bar_vm_touch(&bv, moved.gpa, vfio_type, true, slot.pa);
}

static void test_slot_delete(void)
{
	bar_vm_slot(&bv, &slot, 0);
	bar_vm_check_no_leaf(&bv, slot.gpa);
	bar_vm_expect(&bv, BAR_READ32, slot.gpa, BAR_MMIO);
	bar_vm_slot(&bv, &slot, slot.size);
	touch();
}

static void test_slot_move(void)
{
	u64 from = slot.gpa;

	slot.gpa += SZ_1G;
	bar_vm_slot(&bv, &slot, slot.size);
	bar_vm_check_no_leaf(&bv, from);
	bar_vm_expect(&bv, BAR_READ32, from, BAR_MMIO);
	touch();
}

/* KVM refuses, and that leaves the slot as it is. */
static void refused(u32 flags)
{
	int ret = bar_vm_try_slot(&bv, &slot, flags, slot.gpa, slot.size);

	if (ret != -EINVAL)
		bar_fail("it is %s", ret ? strerror(-ret) : "accepted");
	touch();
}

static void test_no_dirty_log(void)
{
	refused(KVM_MEM_LOG_DIRTY_PAGES);
}

static void test_no_readonly(void)
{
	refused(KVM_MEM_READONLY);
}

/* KVM takes no shared mapping, as a BAR's is, for a VM with MTE. */
static void test_no_mte(void)
{
	bar_skip_if(!kvm_has_cap(KVM_CAP_ARM_MTE),
		    "no KVM_CAP_ARM_MTE: it needs a CPU with FEAT_MTE2 and CONFIG_ARM64_MTE");
	bv.vm = vm_create_barebones();
	vm_enable_cap(bv.vm, KVM_CAP_ARM_MTE, 0);
	if (bar_vm_try_slot(&bv, &slot, 0, slot.gpa, slot.size) != -EINVAL)
		bar_fail("it is accepted");
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
			bar_vm_do(&bv, BAR_READ32, slot.gpa, 0);
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
	struct vfio_bar_want same = {
		.what = "the BAR from before", .named = file,
	};
	char path[128], bdf[16];
	int status = 0;
	pid_t pid = 0;

	if (!vfio_bar_open(&bar_dev, &same))
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
	if (!vfio_bar_open(&bar_dev, &same) || strcmp(bdf, bar_dev.bdf))
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
	/* Gone with the VMA; as before with the new one. */
	{ "munmap and mmap", test_munmap },
	/* The other VMA's type, Device-nGnRE or Normal-WB; then as before. */
	{ "MAP_FIXED over it: sysfs, and back", test_over_sysfs },
	{ "MAP_FIXED over it: RAM, and back", test_over_ram },
	/* No stores while read-only; as before when writable. */
	{ "mprotect read-only and back", test_read_only },
	/* Gone at the old address; as before at the new one. */
	{ "mremap to another address", test_mremap },

	/* Gone, accesses are MMIO; then as before. */
	{ "memslot deleted and added again", test_slot_delete },
	/* Gone at the old address; as before at the new one. */
	{ "memslot moved", test_slot_move },
	/* -EINVAL, and as before. */
	{ "dirty logging refused", test_no_dirty_log },
	{ "read-only toggled: refused", test_no_readonly },
	{ "memslot of a VM with MTE: refused", test_no_mte },

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
