// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rows, and a VM that makes single memory accesses on demand: see bar_vm.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "test_util.h"

#include "memattr/bar_vm.h"

#define FIRST_GPA	(4ULL * SZ_1G)
#define FIRST_SLOT	16

/* The stage-1 attribute index that every page of bar_vm_map() uses */
#define ATTRIDX		7

/* A row that hangs is ended, on the slowest of machines, too. */
#define ROW_SECONDS	90

struct memattr_machine bar_machine;
/* The device that is open while rows run */
struct vfio_bar bar_dev = { .fd = -1, .group = -1, .iommu = -1, };
/* Of the row that runs */
const char *bar_name;

struct bar_left *bar_left;

/**
 * bar_shared() - memory that all rows see
 * @size: bytes
 *
 * Return: zeroed memory
 */
void *bar_shared(size_t size)
{
	void *p = mmap(NULL, size, BAR_RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	TEST_ASSERT(p != MAP_FAILED, "mmap: %s", strerror(errno));
	return p;
}

/**
 * bar_fail() - end the row as failed
 * @fmt: what is wrong, without a newline
 */
void bar_fail(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("# %s: %s\n", bar_name, text);
	exit(KSFT_FAIL);
}

/**
 * bar_skip() - end the row as skipped
 * @fmt: the reason and the remedy, without a newline
 */
void bar_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(bar_left->why, sizeof(bar_left->why), fmt, ap);
	va_end(ap);
	exit(KSFT_SKIP);
}

/**
 * bar_write() - write to a file of sysfs or tracefs
 * @path: the file
 * @text: what
 *
 * Return: true, or false with errno set
 */
bool bar_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return ok;
}

/**
 * bar_now_ms() - the time
 *
 * Return: milliseconds since some moment of the past
 */
long bar_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/**
 * bar_report() - end the row with an observation for memattr_report()
 * @row: the observation
 */
void bar_report(const struct memattr_row *row)
{
	bar_left->row = *row;
	exit(BAR_JUDGE);
}

static bool open_device(const struct vfio_bar_want *want)
{
	static const struct vfio_bar_want *open;

	if (bar_dev.fd >= 0 && want == open)
		return true;
	vfio_bar_close(&bar_dev);
	open = want;
	if (!want)
		return true;
	if (!vfio_bar_open(&bar_dev, want))
		return false;
	printf("# %s BAR %d: 0x%zx bytes at 0x%lx, by %s\n", bar_dev.bdf,
	       bar_dev.index, bar_dev.size, bar_dev.pa,
	       bar_dev.group < 0 ? "cdev" : "group");
	return true;
}

/**
 * bar_pkvm() - does pKVM keep the stage-2 tables to itself?
 *
 * It maps no MMIO then, either. Asked of a VM that is never run, and once: a vCPU
 * is slow to make there.
 */
bool bar_pkvm(void)
{
	static enum { UNKNOWN, NO, YES } pkvm;
	struct kvm_memattr_leaf leaf;
	struct kvm_vm *vm;

	if (pkvm == UNKNOWN) {
		vm = vm_create_barebones();
		pkvm = memattr_leaf(&bar_machine, vm->fd, 0, &leaf) == -EOPNOTSUPP ?
		       YES : NO;
		kvm_vm_free(vm);
	}
	return pkvm == YES;
}

/* Run a row, for bar_row(). */
int bar_fork(const char *name, const struct vfio_bar_want *want,
	     void (*run)(const void *arg), const void *arg)
{
	int status;
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!open_device(want)) {
		strcpy(bar_left->why, vfio_bar_why());
		return KSFT_SKIP;
	}
	/* Here, so that what it finds is known to the processes of all rows. */
	bar_pkvm();
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		bar_name = name;
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(ROW_SECONDS);
		run(arg);
		exit(KSFT_PASS);
	}
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid: %s",
		    strerror(errno));
	/* What it has started must not keep the device in use. */
	kill(-pid, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	if (WIFSIGNALED(status))
		printf("# %s: killed by signal %d\n", name, WTERMSIG(status));
	status = WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
	/* A row that failed may have left the device in any state. */
	if (status != KSFT_PASS && status != KSFT_SKIP && status != BAR_JUDGE)
		vfio_bar_close(&bar_dev);
	return status;
}

/* Part of what guest_access() is told */
#define FLUSH		0x100

static void guest_access(u64 gva, u64 how)
{
	if (how & FLUSH)
		asm volatile("tlbi vmalle1is");
	/* Also for a descriptor that the host has made valid */
	asm volatile("dsb ish\n\tisb" : : : "memory");
	switch (how & ~FLUSH) {
	case BAR_READ32:
		asm volatile("ldr wzr, [%0]" : : "r" (gva) : "memory");
		break;
	case BAR_WRITE32:
		asm volatile("str %w1, [%0]" : : "r" (gva), "r" (0x5a5a0000) : "memory");
		break;
	default:
		asm volatile("blr %0" : : "r" (gva) : "x30", "memory");
	}
	guest_done(0);
}

/**
 * bar_vm_create() - create the VM
 * @bv: filled in
 * @guest: what its vCPUs run, or NULL; bar_vm_do() is not for a guest of the
 *	   test's own
 */
void bar_vm_create(struct bar_vm *bv, void *guest)
{
	int i;

	bar_skip_if(bar_pkvm(), BAR_PKVM);
	memset(bv, 0, sizeof(*bv));
	bv->vm = guest_vm_create(BAR_VM_VCPUS, bv->vcpus);
	bv->vcpu = bv->vcpus[0];
	bv->end = FIRST_GPA;
	bv->mair = -1;
	bar_vm_set_type(bv, MEMATTR_NORMAL_NC);
	for (i = 0; guest && i < BAR_VM_VCPUS; i++)
		vcpu_set_reg(bv->vcpus[i], ARM64_CORE_REG(regs.pc), (uintptr_t)guest);
}

static int try_slot(struct bar_vm *bv, const struct bar_slot *slot, u32 flags, size_t size)
{
	return __vm_set_user_memory_region(bv->vm, FIRST_SLOT + slot->window, flags,
					   slot->gpa, size, slot->hva) ? -errno : 0;
}

/**
 * bar_vm_slot() - add a memslot without flags, or delete it
 * @bv: the VM
 * @slot: its window, memory and place
 * @size: bytes; 0 deletes the memslot
 */
void bar_vm_slot(struct bar_vm *bv, const struct bar_slot *slot, size_t size)
{
	int ret = try_slot(bv, slot, 0, size);

	TEST_ASSERT(!ret, "memslot of 0x%zx bytes at 0x%lx: %s", size, slot->gpa,
		    strerror(-ret));
}

/**
 * bar_vm_map() - map a guest page at the guest virtual address @gpa
 * @bv: the VM
 * @gpa: any address in the page; mapping it twice is fine
 */
void bar_vm_map(struct bar_vm *bv, u64 gpa)
{
	gpa &= ~(u64)(bv->vm->page_size - 1);
	virt_pg_map(bv->vm, gpa, gpa);
	memattr_set_s1(bv->vm, gpa, ATTRIDX);
}

/**
 * bar_vm_add() - make memory a memslot and map its first page
 * @bv: the VM
 * @slot: window, hva and size are set; gpa is set here, unless it is already. It
 *	  agrees with @slot->hva modulo 1G, so that stage 2 may use any block
 *	  size that the backing allows.
 * @flags: KVM_MEM_*
 */
void bar_vm_add(struct bar_vm *bv, struct bar_slot *slot, u32 flags)
{
	int ret;

	if (!slot->gpa) {
		slot->gpa = align_up(bv->end, SZ_1G) +
			    ((uintptr_t)slot->hva & (SZ_1G - 1));
		bv->end = slot->gpa + slot->size;
	}
	ret = try_slot(bv, slot, flags, slot->size);
	TEST_ASSERT(!ret, "memslot of 0x%zx bytes at 0x%lx, flags 0x%x: %s",
		    slot->size, slot->gpa, flags, strerror(-ret));
	bar_vm_map(bv, slot->gpa);
}

/**
 * bar_vm_add_bar() - make the start of a BAR a memslot
 * @bv: the VM
 * @slot: the window is set; and the size, or it is BAR_VM_MAX_MAP at most
 * @b: the BAR, open
 * @prot: PROT_* of the mapping
 * @flags: KVM_MEM_*
 */
void bar_vm_add_bar(struct bar_vm *bv, struct bar_slot *slot,
		    const struct vfio_bar *b, int prot, u32 flags)
{
	if (!slot->size)
		slot->size = b->size < BAR_VM_MAX_MAP ? b->size : BAR_VM_MAX_MAP;
	slot->hva = vfio_bar_mmap(b, NULL, prot, 0, slot->size);
	slot->pa = b->pa;
	if (!slot->hva)
		bar_fail("%s", vfio_bar_why());
	bar_vm_add(bv, slot, flags);
}

/**
 * bar_vm_set_type() - choose the stage-1 memory type of all bar_vm_map() pages
 * @bv: the VM
 * @mair: attribute byte in MAIR_EL1 encoding
 */
void bar_vm_set_type(struct bar_vm *bv, u8 mair)
{
	int i;

	if (bv->mair == mair)
		return;
	for (i = 0; i < BAR_VM_VCPUS; i++)
		memattr_set_mair(bv->vcpus[i], ATTRIDX, mair);
	bv->mair = mair;
	bv->flush = true;
}

/**
 * bar_vm_do() - let the guest do one thing
 * @bv: the VM
 * @op: what; a store is of a pattern
 * @gva: where
 *
 * A VM can be used again after each outcome.
 *
 * Return: how it ended, and guest_value
 */
enum guest_end bar_vm_do(struct bar_vm *bv, enum bar_op op, u64 gva)
{
	u64 how = op | (bv->flush ? FLUSH : 0);
	enum guest_end end;

	do {
		end = guest_try(bv->vcpu, guest_access, gva, how);
	} while (end == KVM_RUN_OTHER && guest_value == EINTR);
	bv->flush = false;
	return end;
}

/**
 * bar_vm_expect() - an access that has to end in one way, or the row fails
 * @bv: the VM
 * @op: the access
 * @gva: where
 * @want: how it has to end; KVM_RUN_MMIO is this access
 */
void bar_vm_expect(struct bar_vm *bv, enum bar_op op, u64 gva, enum guest_end want)
{
	enum guest_end end = bar_vm_do(bv, op, gva);
	struct kvm_run *run = bv->vcpu->run;
	bool store = op == BAR_WRITE32;

	if (end != want)
		bar_fail("access to 0x%lx: %s (0x%lx), not %s", gva, guest_end_name(end),
			 guest_value, guest_end_name(want));
	if (end == KVM_RUN_MMIO && (run->mmio.phys_addr != gva || run->mmio.is_write != store))
		bar_fail("MMIO of another access: at 0x%llx", run->mmio.phys_addr);
}

/**
 * bar_vm_check_leaf() - memattr_check_leaf() of an address, or the row fails
 * @bv: the VM
 * @gpa: the address
 * @type: its type in MAIR encoding
 * @write: writable
 * @oa: output address for @gpa itself, 0 for any
 */
void bar_vm_check_leaf(struct bar_vm *bv, u64 gpa, u8 type, bool write, u64 oa)
{
	struct kvm_memattr_leaf leaf;
	int ret = memattr_leaf(&bar_machine, bv->vm->fd, gpa, &leaf);
	const char *why;

	if (ret)
		bar_fail("no stage-2 leaf for 0x%lx: %s", gpa, strerror(-ret));
	why = memattr_check_leaf(&leaf, type, write);
	if (why)
		bar_fail("%s", why);
	if (oa && leaf.oa + (gpa - leaf.base) != oa)
		bar_fail("the leaf of 0x%lx leads to 0x%llx, not to 0x%lx", gpa,
			 leaf.oa + (gpa - leaf.base), oa);
}

/**
 * bar_vm_touch() - map a page, load from it, and bar_vm_check_leaf()
 * @bv: the VM
 * @gpa: the address
 * @type: its type in MAIR encoding
 * @write: writable
 * @oa: output address for @gpa itself, 0 for any
 */
void bar_vm_touch(struct bar_vm *bv, u64 gpa, u8 type, bool write, u64 oa)
{
	bar_vm_map(bv, gpa);
	bar_vm_expect(bv, BAR_READ32, gpa, GUEST_DID_IT);
	bar_vm_check_leaf(bv, gpa, type, write, oa);
}

/**
 * bar_vm_check_no_leaf() - an address has not to be mapped at stage 2
 * @bv: the VM
 * @gpa: the address
 */
void bar_vm_check_no_leaf(struct bar_vm *bv, u64 gpa)
{
	struct kvm_memattr_leaf leaf;
	int ret = memattr_leaf(&bar_machine, bv->vm->fd, gpa, &leaf);

	if (!ret)
		bar_fail("0x%lx is still mapped at stage 2, descriptor 0x%llx",
			 gpa, leaf.desc);
	if (ret != -ENOENT)
		bar_fail("reading stage 2 of 0x%lx: %s", gpa, strerror(-ret));
}

/**
 * bar_vm_check_gone() - there has to be nothing behind an address any more
 * @bv: the VM
 * @gpa: the address
 *
 * It is not mapped at stage 2, a load ends KVM_RUN with -EFAULT, and it still
 * is not mapped then.
 */
void bar_vm_check_gone(struct bar_vm *bv, u64 gpa)
{
	bar_vm_check_no_leaf(bv, gpa);
	bar_vm_expect(bv, BAR_READ32, gpa, KVM_RUN_EFAULT);
	bar_vm_check_no_leaf(bv, gpa);
}

/**
 * bar_vm_mmio_type() - the stage-2 type that this kernel gives a BAR
 * @bv: the VM
 * @gpa: an address of vfio-pci's mapping
 *
 * For tests that want it to be the same before and after; vfio_bar_memattr
 * judges it.
 *
 * Return: MEMATTR_NORMAL_NC if it is that, else MEMATTR_DEVICE_nGnRE
 */
u8 bar_vm_mmio_type(struct bar_vm *bv, u64 gpa)
{
	struct kvm_memattr_leaf leaf;

	bar_vm_expect(bv, BAR_READ32, gpa, GUEST_DID_IT);
	if (memattr_leaf(&bar_machine, bv->vm->fd, gpa, &leaf))
		bar_fail("no stage-2 leaf for 0x%lx", gpa);
	return leaf.memattr == memattr_s2_encode(MEMATTR_NORMAL_NC, leaf.fwb) ?
	       MEMATTR_NORMAL_NC : MEMATTR_DEVICE_nGnRE;
}

#define TRACING		"/sys/kernel/tracing"
#define COUNTER		TRACING "/instances/bar_count"

static void count_stop(void)
{
	rmdir(COUNTER);
}

/**
 * bar_count_start() - count an event of the kernel, until the row ends
 * @event: its name in tracefs, "system/name"
 */
void bar_count_start(const char *event)
{
	char path[128];

	rmdir(COUNTER);
	mkdir(COUNTER, 0700);
	atexit(count_stop);
	snprintf(path, sizeof(path), COUNTER "/events/%s/enable", event);
	bar_write(path, "1");
}

/**
 * bar_count() - how often the event has happened
 *
 * Return: the number, or -1 where nothing counts (CONFIG_FTRACE, tracefs)
 */
long bar_count(void)
{
	unsigned long n, total = 0;
	char line[64];
	glob_t g = {};
	size_t i;
	FILE *f;

	glob(COUNTER "/per_cpu/cpu*/stats", 0, NULL, &g);
	for (i = 0; i < g.gl_pathc; i++) {
		f = fopen(g.gl_pathv[i], "r");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "entries: %lu", &n) == 1 ||
			    sscanf(line, "overrun: %lu", &n) == 1)
				total += n;
		if (f)
			fclose(f);
	}
	globfree(&g);
	return i ? total : -1;
}
