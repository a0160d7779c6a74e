// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rows, and a VM that loads on demand: see bar_vm.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "test_util.h"

#include "memattr/bar_vm.h"

#define FIRST_GPA	(4ULL * SZ_1G)
#define FIRST_SLOT	16

/* The stage-1 attribute index that every page of bar_vm_map() uses, and its byte of MAIR */
#define ATTRIDX		7
#define MAIR_SHIFT	(8 * ATTRIDX)

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

static void guest_load(u64 gva, u64 flush)
{
	if (flush)
		asm volatile("tlbi vmalle1is");
	/* Also for a descriptor that the host has made valid */
	asm volatile("dsb ish\n\tisb\n\tldr wzr, [%0]" : : "r" (gva) : "memory");
	guest_done(0);
}

/**
 * bar_vm_create() - create the VM
 * @bv: filled in
 * @guest: what its vCPUs run, or NULL; bar_vm_load() is not for a guest of the
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

/**
 * bar_vm_slot() - add a memslot without flags, or delete it
 * @bv: the VM
 * @slot: its window, memory and place
 * @size: bytes; 0 deletes the memslot
 */
void bar_vm_slot(struct bar_vm *bv, const struct bar_slot *slot, size_t size)
{
	int ret = __vm_set_user_memory_region(bv->vm, FIRST_SLOT + slot->window, 0,
					      slot->gpa, size, slot->hva);

	TEST_ASSERT(!ret, "memslot of 0x%zx bytes at 0x%lx: %s", size, slot->gpa,
		    strerror(errno));
}

/**
 * bar_vm_map() - map a guest page at the guest virtual address @gpa
 * @bv: the VM
 * @gpa: any address in the page; mapping it twice is fine
 */
void bar_vm_map(struct bar_vm *bv, u64 gpa)
{
	u64 *pte;

	gpa &= ~(u64)(bv->vm->page_size - 1);
	virt_pg_map(bv->vm, gpa, gpa);
	pte = virt_get_pte_hva(bv->vm, gpa);
	*pte = (*pte & ~GENMASK_ULL(4, 2)) | ATTRIDX << 2;
}

/**
 * bar_vm_add() - make memory a memslot and map its first page
 * @bv: the VM
 * @slot: window, hva and size are set; gpa is set here, unless it is already. It
 *	  agrees with @slot->hva modulo 1G, so that stage 2 may use any block
 *	  size that the backing allows.
 */
void bar_vm_add(struct bar_vm *bv, struct bar_slot *slot)
{
	if (!slot->gpa) {
		slot->gpa = align_up(bv->end, SZ_1G) +
			    ((uintptr_t)slot->hva & (SZ_1G - 1));
		bv->end = slot->gpa + slot->size;
	}
	bar_vm_slot(bv, slot, slot->size);
	bar_vm_map(bv, slot->gpa);
}

/**
 * bar_vm_add_bar() - make the start of a BAR a memslot
 * @bv: the VM
 * @slot: the window is set; and the size, or it is BAR_VM_MAX_MAP at most
 * @b: the BAR, open
 * @prot: PROT_* of the mapping
 */
void bar_vm_add_bar(struct bar_vm *bv, struct bar_slot *slot,
		    const struct vfio_bar *b, int prot)
{
	if (!slot->size)
		slot->size = b->size < BAR_VM_MAX_MAP ? b->size : BAR_VM_MAX_MAP;
	slot->hva = vfio_bar_mmap(b, NULL, prot, 0, slot->size);
	slot->pa = b->pa;
	if (!slot->hva)
		bar_fail("%s", vfio_bar_why());
	bar_vm_add(bv, slot);
}

/* Newer libraries make guests that run at EL2, and have MAIR_EL2. */
static u64 mair_of(struct kvm_vcpu *vcpu)
{
#ifdef MAPPED_EL2_SYSREG
	return ctxt_reg_alias(vcpu, SYS_MAIR_EL1);
#else
	return KVM_ARM64_SYS_REG(SYS_MAIR_EL1);
#endif
}

/**
 * bar_vm_set_type() - choose the stage-1 memory type of all bar_vm_map() pages
 * @bv: the VM
 * @mair: attribute byte in MAIR_EL1 encoding
 */
void bar_vm_set_type(struct bar_vm *bv, u8 mair)
{
	u64 val;
	int i;

	if (bv->mair == mair)
		return;
	for (i = 0; i < BAR_VM_VCPUS; i++) {
		val = memattr_vcpu_reg(bv->vcpus[i], mair_of(bv->vcpus[i]));
		val = (val & ~(0xffULL << MAIR_SHIFT)) | (u64)mair << MAIR_SHIFT;
		vcpu_set_reg(bv->vcpus[i], mair_of(bv->vcpus[i]), val);
	}
	bv->mair = mair;
	bv->flush = true;
}

/**
 * bar_vm_load() - let the guest load from an address, or the row fails
 * @bv: the VM
 * @gva: where
 */
void bar_vm_load(struct bar_vm *bv, u64 gva)
{
	enum guest_end end;

	do {
		end = guest_try(bv->vcpu, guest_load, gva, bv->flush);
	} while (end == KVM_RUN_OTHER && guest_value == EINTR);
	bv->flush = false;
	if (end != GUEST_DID_IT)
		bar_fail("load from 0x%lx: %s (0x%lx)", gva, guest_end_name(end), guest_value);
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
	bar_vm_load(bv, gpa);
	bar_vm_check_leaf(bv, gpa, type, write, oa);
}
