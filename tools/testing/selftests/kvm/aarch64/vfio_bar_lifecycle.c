// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a BAR's stage-2 mapping when the VMM changes its backing?
 *
 * Whatever happens to the VMA, the memslot or the VMM, afterwards the stage-2
 * leaf is gone, or it is right: for the page the VMA now maps, and of the type
 * that VMA asks for.  What vfio-pci does to a mapping is in vfio_bar_revoke.
 *
 * "As before" below is the type found on the first touch, so that only the
 * case that asks for Normal-NC depends on VM_ALLOW_ANY_UNCACHED.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

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
};

/* Set by a case that turns out to have nothing to run on. */
static char skip[512];

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
	return bar_vm_check_touch(&machine, &bv, t->name, gpa,
				  &(struct bar_leaf_want){
		.type = type,
		.read = true,
		.write = writable,
		.any_exec = type == MEMATTR_NORMAL_WB,
		.oa = oa,
	});
}

/* As before: what vfio-pci's VMA gave on the first touch. */
static bool touch_bar(const struct test_case *t, const struct bar_slot *slot)
{
	return touch(t, slot->gpa, vfio_type, true, slot->pa);
}

/* The device is opened anew after it was closed, and its BAR is as before. */
static bool back_again(const struct test_case *t, struct bar_slot *slot)
{
	if (vfio_pci_open(main_dev, VFIO_PCI_ANY)) {
		ksft_print_msg("%s: %s\n", t->name, vfio_bar_why());
		return false;
	}
	return add_bar(slot, main_dev, main_bar) && touch_bar(t, slot);
}

static bool gone(const struct test_case *t, uint64_t gpa)
{
	return bar_vm_check_gone(&machine, &bv, t->name, gpa);
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

static bool test_first_touch(const struct test_case *t, struct bar_slot *slot)
{
	vfio_type = MEMATTR_NORMAL_NC;
	if (touch_bar(t, slot))
		return true;
	/* The other cases then compare with what the kernel does instead. */
	vfio_type = MEMATTR_DEVICE_nGnRE;
	return false;
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

static void no_op(int sig)
{
}

/*
 * PROT_NONE takes the BAR from the VMM, but not from its guest.  KVM looks at
 * the host's page table entry, which is still there.  6.1 takes it as it is,
 * and the guest's access is carried out.  Later kernels want to fault it in
 * first, which does not help, and KVM_RUN retries until a signal comes.
 */
static bool test_prot_none(const struct test_case *t, struct bar_slot *slot)
{
	struct itimerval ms100 = { .it_value.tv_usec = 100000 };
	struct sigaction sa = { .sa_handler = no_op };
	bool ok = touch_bar(t, slot);
	struct bar_result res;

	TEST_ASSERT(!mprotect(slot->hva, slot->size, PROT_NONE), "mprotect: %s",
		    strerror(errno));
	ok &= bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &ms100, NULL);
	bv.interruptible = true;
	res = bar_vm_do(&bv, BAR_READ32, slot->gpa, 0);
	bv.interruptible = false;
	setitimer(ITIMER_REAL, &(struct itimerval){}, NULL);
	ksft_print_msg("%s: the guest's load: %s\n", t->name,
		       bar_result_str(&res));
	if (res.outcome == BAR_OK)
		ok &= gone_or_right(t, slot);
	else
		ok &= bar_vm_expect(t->name, &res, BAR_INTERRUPTED) &
		      bar_vm_check_no_leaf(&machine, &bv, t->name, slot->gpa);

	TEST_ASSERT(!mprotect(slot->hva, slot->size, RW), "mprotect: %s",
		    strerror(errno));
	ok &= gone_or_right(t, slot);
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

/* What KVM refuses to do with a BAR's memslot leaves the slot as it is. */

static bool refused(const struct test_case *t, const struct bar_slot *slot,
		    uint32_t flags)
{
	bool ok = touch_bar(t, slot);
	int ret;

	ret = bar_vm_try_slot_at(&bv, slot->window, flags, slot->gpa, slot->hva,
				 slot->size);
	if (ret == -1 && errno == EINVAL)
		return ok & touch_bar(t, slot);
	ksft_print_msg("%s: it is %s\n", t->name,
		       ret ? strerror(errno) : "accepted");
	return false;
}

static bool test_no_dirty_log(const struct test_case *t, struct bar_slot *slot)
{
	return refused(t, slot, KVM_MEM_LOG_DIRTY_PAGES);
}

static bool test_no_readonly(const struct test_case *t, struct bar_slot *slot)
{
	return refused(t, slot, KVM_MEM_READONLY);
}

/* KVM takes no shared mapping, as a BAR's is, for a VM with MTE. */
static bool test_no_mte(const struct test_case *t, struct bar_slot *slot)
{
	struct kvm_vm *vm;
	bool ok;

	if (!kvm_has_cap(KVM_CAP_ARM_MTE)) {
		snprintf(skip, sizeof(skip),
			 "no KVM_CAP_ARM_MTE: it needs a CPU with FEAT_MTE2 and CONFIG_ARM64_MTE");
		return true;
	}
	vm = vm_create_barebones();
	vm_enable_cap(vm, KVM_CAP_ARM_MTE, 0);
	ok = __vm_set_user_memory_region(vm, 0, 0, slot->gpa, slot->size,
					 slot->hva) == -1 && errno == EINVAL;
	if (!ok)
		ksft_print_msg("%s: it is accepted\n", t->name);
	kvm_vm_free(vm);
	return ok;
}

/* The VMM or the device goes away with the VM alive. */

/* The VMM unmaps the BAR for good: the leaf is gone with that. */
static bool let_go(const struct test_case *t, struct bar_slot *slot)
{
	bool ok;

	munmap(slot->hva, slot->size);
	ok = gone(t, slot->gpa);
	bar_vm_slot(&bv, slot->window, 0, slot->hva, 0);
	slot->hva = NULL;
	return ok;
}

static bool test_close(const struct test_case *t, struct bar_slot *slot)
{
	bool ok = touch_bar(t, slot);

	/* The mapping holds the device open: nothing changes yet. */
	vfio_pci_close(main_dev);
	ok &= gone_or_right(t, slot);
	ok &= touch_bar(t, slot);
	/* Its end is the end of the last reference to the device. */
	ok &= let_go(t, slot);
	return ok & back_again(t, slot);
}

static bool test_kill(const struct test_case *t, struct bar_slot *slot)
{
	int to_parent[2], pidfd, vm_fd, status;
	struct kvm_memattr_leaf leaf;
	bool ok = true;
	pid_t pid;

	TEST_ASSERT(!pipe(to_parent), "pipe: %s", strerror(errno));
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		struct bar_slot inherited;

		bar_vm_create(&bv);
		bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);
		bar_vm_add_mem(&bv, &inherited, 0, 0, slot->hva, slot->size);
		inherited.pa = slot->pa;
		ok = touch_bar(t, &inherited) &&
		     write(to_parent[1], &bv.vm->fd, sizeof(int)) == sizeof(int);
		while (ok)
			bar_vm_do(&bv, BAR_READ32, inherited.gpa, 0);
		_exit(1);
	}
	close(to_parent[1]);
	if (read(to_parent[0], &vm_fd, sizeof(vm_fd)) != sizeof(vm_fd)) {
		ksft_print_msg("%s: the child found no mapping\n", t->name);
		ok = false;
	}
	close(to_parent[0]);
	pidfd = syscall(__NR_pidfd_open, pid, 0);
	vm_fd = ok ? syscall(__NR_pidfd_getfd, pidfd, vm_fd, 0) : -1;
	/* The VM outlives its VMM by this descriptor, and its leaf does not. */
	ok = ok && !memattr_leaf(&machine, vm_fd, slot->gpa, &leaf);
	kill(pid, SIGKILL);
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid: %s",
		    strerror(errno));
	ok &= WIFSIGNALED(status);
	if (!ok || !memattr_leaf(&machine, vm_fd, slot->gpa, &leaf)) {
		ksft_print_msg("%s: no leaf before it, or still one after it\n",
			       t->name);
		ok = false;
	}
	close(vm_fd);
	close(pidfd);
	return ok & touch_bar(t, slot);
}

/*
 * The driver is unbound, or the device removed, by somebody else.  That waits
 * until the VMM has let go of the device, which it may do at its leisure.
 */
static bool unplug(const struct test_case *t, struct bar_slot *slot,
		   const char *file, const char *text)
{
	bool ok = touch_bar(t, slot);
	char path[128];
	int i, status;
	pid_t pid;

	if (!vfio_pci_named(main_dev)) {
		snprintf(skip, sizeof(skip), "%s", vfio_bar_why());
		return ok;
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s",
		 main_dev->bdf, file);
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		int fd = open(path, O_WRONLY);

		/* What it has inherited would keep the device in use. */
		munmap(slot->hva, slot->size);
		for (i = 0; i < nr_devs; i++)
			vfio_pci_close(&devs[i]);
		_exit(write(fd, text, strlen(text)) < 0);
	}
	usleep(200000);
	if (waitpid(pid, &status, WNOHANG)) {
		ksft_print_msg("%s: it did not wait for the VMM\n", t->name);
		return false;
	}
	ok &= gone_or_right(t, slot);
	ok &= touch_bar(t, slot);

	ok &= let_go(t, slot);
	vfio_pci_close(main_dev);
	for (i = 0; i < 500 && !waitpid(pid, &status, WNOHANG); i++)
		usleep(10000);
	TEST_ASSERT(i < 500, "%s: %s still waits 5 s after the device was closed",
		    t->name, path);
	if (status) {
		ksft_print_msg("%s: %s: it failed\n", t->name, path);
		ok = false;
	}
	TEST_ASSERT(!vfio_pci_rebind(main_dev), "%s", vfio_bar_why());
	return ok & back_again(t, slot);
}

static bool test_unbind(const struct test_case *t, struct bar_slot *slot)
{
	return unplug(t, slot, "driver/unbind", main_dev->bdf);
}

static bool test_remove(const struct test_case *t, struct bar_slot *slot)
{
	return unplug(t, slot, "remove", "1");
}

#define CASE(_name, _run) { .name = _name, .run = _run }

static const struct test_case cases[] = {
	/* This one decides what "as before" is for the others. */
	CASE("first touch: Normal-NC", test_first_touch),

	/* Gone with the VMA; as before with the new one. */
	CASE("munmap and mmap", test_munmap),
	/* The other VMA's type, Device-nGnRE or Normal-WB; then as before. */
	CASE("MAP_FIXED over it: sysfs, and back", test_over_sysfs),
	CASE("MAP_FIXED over it: RAM, and back", test_over_ram),
	/* No stores while read-only; as before when writable. */
	CASE("mprotect read-only and back", test_mprotect),
	/* Gone; the guest's load is done or waits; as before in the end. */
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

	/* -EINVAL, and as before. */
	CASE("dirty logging refused", test_no_dirty_log),
	CASE("read-only toggled: refused", test_no_readonly),
	CASE("memslot of a VM with MTE: refused", test_no_mte),

	/* Gone with its VMM; as before for the next one. */
	CASE("SIGKILL of the VMM", test_kill),
	/* As before until the mapping is gone, too. */
	CASE("device closed and opened with the VM alive", test_close),
	/* As before until the VMM lets go, and not over before that. */
	CASE("driver unbound with the VM alive", test_unbind),
	CASE("device removed with the VM alive", test_remove),
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

	ksft_set_plan(ARRAY_SIZE(cases));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		run(&cases[i]);

	bar_vm_free(&bv);
	for (i = 0; i < nr_devs; i++)
		vfio_pci_close(&devs[i]);
	memattr_finish();
}
