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

/*
 * The guest reports with a store to this page, which no memslot backs. A ucall
 * would do the same, but its setup differs between kernel versions.
 */
#define REPORT		(3ULL << 30)

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
 * bar_read_after() - find a line about an address
 * @path: a file with a line "START-END ..." for each range of addresses, which others
 *	  may follow: smaps, or a dump of page tables
 * @address: the address
 * @what: what the line has to have; the first of the address if it is ""
 * @line: filled in with the line
 * @size: of @line
 *
 * Return: has it been found?
 */
bool bar_read_after(const char *path, u64 address, const char *what, char *line,
		    size_t size)
{
	FILE *f = fopen(path, "r");
	u64 start, end;
	bool here = false, found = false;

	TEST_ASSERT(f, "%s: %s", path, strerror(errno));
	while (!found && fgets(line, size, f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = address >= start && address < end;
		found = here && strstr(line, what);
	}
	fclose(f);
	return found;
}

/**
 * bar_type_word() - what the stage-2 dump and the trace event call a leaf's type
 * @leaf: the leaf
 *
 * Return: the end of their line, "" for a type that KVM does not use
 */
const char *bar_type_word(const struct kvm_memattr_leaf *leaf)
{
	if (leaf->memattr == memattr_s2_encode(MEMATTR_NORMAL_WB, leaf->fwb))
		return "MEM/NORMAL\n";
	if (leaf->memattr == memattr_s2_encode(MEMATTR_NORMAL_NC, leaf->fwb))
		return "MEM/NORMAL-NC\n";
	if (leaf->memattr == memattr_s2_encode(MEMATTR_DEVICE_nGnRE, leaf->fwb))
		return "DEVICE/nGnRE\n";
	return "";
}

/**
 * bar_check_dump() - the stage-2 dump has to say what a leaf is, or the row fails
 * @dump: its file
 * @ipa: an address of the leaf
 * @leaf: the leaf
 */
void bar_check_dump(const char *dump, u64 ipa, const struct kvm_memattr_leaf *leaf)
{
	char line[256];

	if (!bar_read_after(dump, ipa, "", line, sizeof(line)))
		bar_fail("the dump has no line for 0x%lx", ipa);
	printf("# dump: %s", line);
	if (!strstr(line, bar_type_word(leaf)))
		bar_fail("the dump says %s, the leaf is %s", line,
			 memattr_s2_name(leaf->memattr, leaf->fwb));
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

/* What the host asks of the guest and what the guest found, in guest memory */
static struct guest_box {
	u64 op;
	u64 flush;
	u64 gva;
	u64 val;
	u64 outcome;
	u64 esr;
	u64 far;
} box;

static void guest_sync(struct ex_regs *regs)
{
	box.outcome = BAR_GUEST_FAULT;
	box.esr = read_sysreg(esr_el1);
	box.far = read_sysreg(far_el1);
	regs->pc = box.op == BAR_EXEC ? regs->regs[30] : regs->pc + 4;
}

static void guest_serror(struct ex_regs *regs)
{
	box.outcome = BAR_SERROR;
}

/* One instruction each, so that a handler can step over it */
static void guest_access(u64 op, u64 gva, u64 val)
{
	if (op == BAR_READ32)
		asm volatile("ldr %w0, [%1]" : "=&r" (val) : "r" (gva) : "memory");
	else if (op == BAR_WRITE32)
		asm volatile("str %w0, [%1]" : : "r" (val), "r" (gva) : "memory");
	else
		asm volatile("blr %0" : : "r" (gva) : "x30", "memory");
}

static void guest_code(void)
{
	for (;;) {
		if (box.flush)
			asm volatile("tlbi vmalle1is");
		/* Also for a descriptor that the host has made valid */
		asm volatile("dsb ish\n\tisb" : : : "memory");
		guest_access(box.op, box.gva, box.val);
		/* An asynchronous error must belong to the access it follows. */
		asm volatile("dsb sy\n\tisb" : : : "memory");
		asm volatile("str wzr, [%0]" : : "r" (REPORT) : "memory");
	}
}

/**
 * bar_vm_create() - create the VM
 * @bv: filled in
 * @guest: what its vCPUs run, or NULL; bar_vm_do() is not for a guest of the
 *	   test's own
 */
void bar_vm_create(struct bar_vm *bv, void *guest)
{
	int i, ec;

	bar_skip_if(bar_pkvm(), BAR_PKVM);
	memset(bv, 0, sizeof(*bv));
	bv->vm = vm_create_with_vcpus(BAR_VM_VCPUS, guest ?: guest_code, bv->vcpus);
	bv->vcpu = bv->vcpus[0];
	bv->end = FIRST_GPA;
	vm_init_descriptor_tables(bv->vm);
	for (i = 0; i < BAR_VM_VCPUS; i++)
		vcpu_init_descriptor_tables(bv->vcpus[i]);
	virt_pg_map(bv->vm, REPORT, REPORT);
	bv->mair = -1;
	bar_vm_set_type(bv, MEMATTR_NORMAL_NC);
	if (guest)
		return;
	for (ec = 0; ec <= BAR_ESR_EC(~0UL); ec++)
		vm_install_sync_handler(bv->vm, VECTOR_SYNC_CURRENT, ec,
					guest_sync);
	vm_install_exception_handler(bv->vm, VECTOR_ERROR_CURRENT,
				     guest_serror);
}

/**
 * bar_vm_try_slot() - give the VM a memslot, or change it
 * @bv: the VM
 * @slot: its window and memory
 * @flags: KVM_MEM_*
 * @gpa: guest physical address
 * @size: bytes; 0 deletes the memslot
 *
 * Return: 0, or a negative errno
 */
int bar_vm_try_slot(struct bar_vm *bv, const struct bar_slot *slot, u32 flags,
		    u64 gpa, size_t size)
{
	return __vm_set_user_memory_region(bv->vm, FIRST_SLOT + slot->window,
					   flags, gpa, size, slot->hva) ?
	       -errno : 0;
}

/**
 * bar_vm_slot() - add a memslot without flags, or delete it
 * @bv: the VM
 * @slot: its window, memory and place
 * @size: bytes; 0 deletes the memslot
 */
void bar_vm_slot(struct bar_vm *bv, const struct bar_slot *slot, size_t size)
{
	int ret = bar_vm_try_slot(bv, slot, 0, slot->gpa, size);

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
	ret = bar_vm_try_slot(bv, slot, flags, slot->gpa, slot->size);
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

/* KVM_RUN left the guest at an instruction it cannot complete: step over it. */
static void step_over(struct bar_vm *bv, enum bar_op op)
{
	u64 pc;

	if (op == BAR_EXEC)
		pc = memattr_vcpu_reg(bv->vcpu, ARM64_CORE_REG(regs.regs[30]));
	else
		pc = memattr_vcpu_reg(bv->vcpu, ARM64_CORE_REG(regs.pc)) + 4;
	vcpu_set_reg(bv->vcpu, ARM64_CORE_REG(regs.pc), pc);
}

/**
 * bar_vm_do() - let the guest do one thing
 * @bv: the VM
 * @op: what
 * @gva: where
 * @val: value to store
 *
 * The guest goes on with the next instruction after whatever happened, so a
 * VM can be used again after each outcome.
 *
 * Return: how it ended
 */
struct bar_result bar_vm_do(struct bar_vm *bv, enum bar_op op, u64 gva,
			    u64 val)
{
	struct bar_result res = { .outcome = BAR_OK };
	struct kvm_run *run = bv->vcpu->run;

	box = (struct guest_box) {
		.op = op, .flush = bv->flush, .gva = gva, .val = val,
	};
	sync_global_to_guest(bv->vm, box);
	bv->flush = false;

	for (;;) {
		if (__vcpu_run(bv->vcpu)) {
			if (errno == EINTR)
				continue;
			if (res.outcome != BAR_OK)
				bar_fail("KVM_RUN keeps failing: %s",
					 strerror(errno));
			res.outcome = BAR_RUN_FAILED;
			res.err = errno;
			step_over(bv, op);
			continue;
		}
		if (run->exit_reason != KVM_EXIT_MMIO)
			bar_fail("unexpected exit of the guest, reason %u",
				 run->exit_reason);
		if (run->mmio.phys_addr == REPORT)
			break;
		res.outcome = BAR_MMIO;
		res.gpa = run->mmio.phys_addr;
		res.is_write = run->mmio.is_write;
		memset(run->mmio.data, 0, sizeof(run->mmio.data));
	}

	sync_global_from_guest(bv->vm, box);
	if (box.outcome)
		res.outcome = box.outcome;
	res.esr = box.esr;
	res.far = box.far;
	return res;
}

/**
 * bar_result_str() - an outcome in words
 * @res: the outcome
 *
 * Return: text, valid until the next call
 */
const char *bar_result_str(const struct bar_result *res)
{
	static const char * const text[] = {
		[BAR_OK] = "done",
		[BAR_GUEST_FAULT] = "exception in the guest",
		[BAR_SERROR] = "SError in the guest",
		[BAR_RUN_FAILED] = "KVM_RUN",
		[BAR_MMIO] = "KVM_EXIT_MMIO",
	};
	static char buf[128];

	if (res->outcome == BAR_GUEST_FAULT && res->esr)
		snprintf(buf, sizeof(buf), "%s, EC 0x%lx, FSC 0x%lx at 0x%lx",
			 text[res->outcome], BAR_ESR_EC(res->esr),
			 BAR_ESR_FSC(res->esr), res->far);
	else if (res->outcome == BAR_RUN_FAILED)
		snprintf(buf, sizeof(buf), "%s: %s", text[res->outcome],
			 strerror(res->err));
	else
		snprintf(buf, sizeof(buf), "%s", text[res->outcome]);
	return buf;
}

/**
 * bar_vm_expect() - an access that has to end in one way, or the row fails
 * @bv: the VM
 * @op: the access, a store of a pattern if it is one
 * @gva: where
 * @outcome: how it has to end; BAR_RUN_FAILED is -EFAULT, BAR_MMIO is there
 */
void bar_vm_expect(struct bar_vm *bv, enum bar_op op, u64 gva,
		   enum bar_outcome outcome)
{
	struct bar_result res = bar_vm_do(bv, op, gva, 0x5a5a0000);
	struct bar_result want = { .outcome = outcome, .err = EFAULT };
	bool ok = res.outcome == outcome;

	if (ok && outcome == BAR_RUN_FAILED)
		ok = res.err == EFAULT;
	if (ok && outcome == BAR_MMIO)
		ok = res.gpa == gva && res.is_write == (op == BAR_WRITE32);
	if (ok)
		return;
	printf("# %s: access to 0x%lx ended as: %s\n", bar_name, gva,
	       bar_result_str(&res));
	bar_fail("expected: %s", bar_result_str(&want));
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
	bar_vm_expect(bv, BAR_READ32, gpa, BAR_OK);
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
	bar_vm_expect(bv, BAR_READ32, gpa, BAR_RUN_FAILED);
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

	bar_vm_expect(bv, BAR_READ32, gpa, BAR_OK);
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
