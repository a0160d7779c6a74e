// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a guest that is running lose a BAR at once?
 *
 * Four vCPUs of two VMs read the same BAR without end, and never invalidate their
 * TLBs. Meanwhile the BAR is taken away, or something else is put in its place. From
 * the return of the system call that does it, no access may reach the BAR by the old
 * mapping: KVM has to have invalidated every TLB entry (kvm_tlb_flush_vmid_ipa()), and
 * dropped every fault that was under way (mmu_invalidate_retry()). One access may be
 * counted late, as the guest counts after it has read. Each leaf is of what is mapped.
 *
 * Most rounds go on as soon as any vCPU has noticed, so that the event meets faults in
 * all their stages; every 64th waits for all of them.
 *
 * In the last row the events meet each other, too: each VM is a process that changes
 * its mappings and memslots at random, while another one has the device stop decoding.
 * "-sSECONDS" says for how long.
 */
#define _GNU_SOURCE

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/futex.h>

#include "memattr/bar_vm.h"

#define NR_VMS		2
#define NR_POLLERS	(NR_VMS * BAR_VM_VCPUS)
#define MAX_PAGES	8
/* What the last row maps: blocks, if the pages are small */
#define RANDOM_SIZE	SZ_4M

/* A row has so many rounds, if that takes a slow machine longer. */
#define MIN_ROUNDS	50
/* For what ought to take microseconds, and for a row */
#define PATIENCE_MS	10000

/* What the guests find */
enum kind {
	NOTHING,	/* KVM_RUN fails, or asks for MMIO */
	RAM,		/* what is in the BAR's place */
	BAR,
	NR_KINDS,
};

/* The first word of each page; and what an access finds that fails */
#define WORD(kind, page)	(0x5a000000u | (kind) << 20 | (u32)(page))
#define NO_WORD			0x0ff00ff0u

/* In guest memory, written by one side each */
static struct guest_view {
	u64 base, pages, stride;
	/* The first word of each page of the BAR is its WORD(), else unknown */
	u64 known;
} view;

static struct guest_count {
	u64 found[NR_KINDS];	/* reads */
	u64 wrong;		/* what one found that found neither, and bit 32 */
} __aligned(256) counts[BAR_VM_VCPUS];

/* An access that fails is answered with NO_WORD, or stepped over. */
static void guest_code(u64 cpu)
{
	struct guest_count *c = &counts[cpu];
	u64 i, addr;
	u32 val;

	for (i = 0;; i = (i + 1) % view.pages) {
		addr = view.base + i * view.stride;
		val = NO_WORD;
		asm volatile("ldr %w0, [%1]" : "+&r" (val) : "r" (addr) : "memory");
		if (val == NO_WORD)
			continue;
		if (val == WORD(RAM, i))
			WRITE_ONCE(c->found[RAM], c->found[RAM] + 1);
		else if (val == WORD(BAR, i) || !view.known)
			WRITE_ONCE(c->found[BAR], c->found[BAR] + 1);
		else
			WRITE_ONCE(c->wrong, val | 1ULL << 32);
	}
}

static struct bar_vm vms[NR_VMS];
static struct bar_slot slots[NR_VMS];
static struct vfio_bar plain = { .fd = -1 };
static void *ram;
/* Which BAR is mapped; and the type at stage 2 of what vfio-pci maps */
static const struct vfio_bar *mapped = &bar_dev;
static u8 vfio_type;

static struct poller {
	struct kvm_vcpu *vcpu;
	struct guest_count *count;
	/* The phase in which KVM_RUN was last refused */
	unsigned int refused;
} pollers[NR_POLLERS];
#define finds(i, kind)	READ_ONCE(pollers[i].count->found[kind])

/* The VMs of this process */
static int nr_vms = NR_VMS;
/* The last row, and how long it lasts; the others last a sixth of that */
static bool at_random;
static int seconds = 6;

/* A VM of another process; in the last row it goes on until there is no descriptor */
static struct shared {
	int fd;
	u64 gpa, rounds;
} *shared;

/* Odd while the BAR is away */
static unsigned int phase;

static void next_phase(void)
{
	__atomic_fetch_add(&phase, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &phase, FUTEX_WAKE, NR_POLLERS, NULL, NULL, 0);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Not too short: what wakes this thread interrupts a guest. */
#define relax()		usleep(200)

/* Run a vCPU; when it is refused, wait until things have changed, or step over it. */
static void *poller_thread(void *arg)
{
	struct poller *p = arg;
	struct kvm_run *run = p->vcpu->run;
	const u64 pc = ARM64_CORE_REG(regs.pc);
	const u32 no_word = NO_WORD;

	/* What a VMM does comes first, also in the middle of a fault. */
	nice(at_random ? 19 : 0);
	for (;;) {
		unsigned int before = __atomic_load_n(&phase, __ATOMIC_SEQ_CST);

		if (__vcpu_run(p->vcpu)) {
			if (errno == EINTR)
				continue;
			/* Refused is refused: vfio_bar_guest wants -EFAULT. */
			if (errno != EFAULT)
				printf("# KVM_RUN: %s\n", strerror(errno));
			if (at_random)
				vcpu_set_reg(p->vcpu, pc, memattr_vcpu_reg(p->vcpu, pc) + 4);
		} else if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.is_write) {
			bar_fail("a vCPU ended: exit reason %u", run->exit_reason);
		}
		memcpy(run->mmio.data, &no_word, sizeof(no_word));
		if (at_random)
			continue;
		__atomic_store_n(&p->refused, before, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &phase, FUTEX_WAIT, before, NULL, NULL, 0);
	}
	return NULL;
}

static void start_vm(int i)
{
	struct bar_vm *bv = &vms[i];
	int cpu, page;
	pthread_t thread;

	bar_vm_create(bv, guest_code);
	slots[i].size = at_random ? RANDOM_SIZE : 0;
	bar_vm_add_bar(bv, &slots[i], &bar_dev, BAR_RW);
	view.base = slots[i].gpa;
	/* What sysfs maps may be another BAR. */
	view.known = bar_dev.may_write && plain.fd < 0;
	for (page = 0; page < view.pages; page++) {
		bar_vm_map(bv, view.base + page * view.stride);
		if (view.known)
			WRITE_ONCE(*(u32 *)(slots[i].hva + page * view.stride),
				   WORD(BAR, page));
	}
	sync_global_to_guest(bv->vm, view);
	for (cpu = 0; cpu < BAR_VM_VCPUS; cpu++) {
		struct poller *p = &pollers[i * BAR_VM_VCPUS + cpu];

		vcpu_args_set(bv->vcpus[cpu], 1, (u64)cpu);
		p->vcpu = bv->vcpus[cpu];
		p->count = addr_gva2hva(bv->vm, (uintptr_t)&counts[cpu]);
		p->refused = -1;
		TEST_ASSERT(!pthread_create(&thread, NULL, poller_thread, p), "pthread_create");
	}
}

struct test_case {
	const char *name;
	enum kind after;	/* what the guests find from then on */
	const struct vfio_bar_want *want;
	void (*set)(int vm, bool away);
};

/* The events, for each VM's mapping */
static void map(int vm, const struct vfio_bar *b)
{
	mapped = b;
	if (!b)
		munmap(slots[vm].hva, view.pages * view.stride);
	else if (!vfio_bar_mmap(b, slots[vm].hva, BAR_RW, 0, view.pages * view.stride))
		bar_fail("%s", vfio_bar_why());
}

static void over_sysfs(int vm, bool away)
{
	map(vm, away ? &plain : &bar_dev);
}

static void over_ram(int vm, bool away)
{
	/* The same pages for all, so that there is nothing to fill in */
	if (!away)
		map(vm, &bar_dev);
	else if (mremap(ram, 0, view.pages * view.stride, MREMAP_MAYMOVE | MREMAP_FIXED,
			slots[vm].hva) != slots[vm].hva)
		bar_fail("mremap: %s", strerror(errno));
}

static void unmap(int vm, bool away)
{
	map(vm, away ? NULL : &bar_dev);
}

static void delete_slot(int vm, bool away)
{
	bar_vm_slot(&vms[vm], &slots[vm], away ? 0 : slots[vm].size);
}

static void decode(int vm, bool away)
{
	vfio_bar_set_decode(&bar_dev, !away);
}

static void reset(int vm, bool away)
{
	if (away && !vm && ioctl(bar_dev.fd, VFIO_DEVICE_RESET))
		bar_fail("VFIO_DEVICE_RESET: %s", strerror(errno));
}

/* Another process has the mapping, too, and ends. */
static void fork_and_exit(int vm, bool away)
{
	if (!away)
		wait(NULL);
	else if (!fork())
		_exit(0);
}

/* Wait until @nr pollers find what they should: each page once or more. */
static void wait_for(enum kind kind, int nr)
{
	long end = now_ms() + PATIENCE_MS;
	u64 from[NR_POLLERS];
	int i, found;

	for (i = 0; i < nr_vms * BAR_VM_VCPUS; i++)
		from[i] = finds(i, kind);
	do {
		relax();
		found = 0;
		for (i = 0; i < nr_vms * BAR_VM_VCPUS; i++) {
			if (kind != NOTHING)
				found += finds(i, kind) - from[i] > view.pages;
			else
				found += __atomic_load_n(&pollers[i].refused,
							 __ATOMIC_SEQ_CST) == phase;
		}
		if (now_ms() >= end)
			bar_fail("the guests do not find what they should (%d)", kind);
	} while (found < nr);
}

/* Each leaf there is has the type and the address of what is mapped now. */
static void check_leaves(int fd, u64 gpa, enum kind kind)
{
	u8 type = mapped == &bar_dev ? vfio_type : MEMATTR_DEVICE_nGnRE;
	struct kvm_memattr_leaf leaf;
	const char *why;
	u64 offset, pa;

	for (offset = 0; offset < view.pages * view.stride; offset += view.stride) {
		if (memattr_leaf(&bar_machine, fd, gpa + offset, &leaf))
			continue;
		pa = leaf.oa + (leaf.ipa - leaf.base);
		if (kind == NOTHING || (kind == BAR && pa != mapped->pa + offset))
			bar_fail("a leaf leads to 0x%lx, descriptor 0x%llx", pa, leaf.desc);
		/* RAM is writable when it has been written to. */
		why = memattr_check_leaf(&leaf, kind == BAR ? type : MEMATTR_NORMAL_WB,
					 kind == BAR || leaf.s2ap & 2);
		if (why)
			bar_fail("%s", why);
	}
}

/* Some time for the guests: none, or as much as it takes them to come back */
static void dwell(void)
{
	usleep(rand() % 4 ? rand() % 1000 : 0);
}

static void one_round(const struct test_case *t, unsigned int round)
{
	int i, all = !(round % 64);
	u64 bar[NR_POLLERS];

	if (at_random)
		dwell();
	else if (round % 2)
		relax();
	else
		wait_for(BAR, all ? NR_POLLERS : NR_POLLERS / 2);

	for (i = 0; i < nr_vms; i++)
		t->set(i, true);
	for (i = 0; i < nr_vms * BAR_VM_VCPUS; i++)
		bar[i] = finds(i, BAR);
	next_phase();

	if (at_random)
		dwell();
	else
		wait_for(t->after, all ? NR_POLLERS : 1);
	for (i = 0; i < nr_vms; i++)
		check_leaves(vms[i].vm->fd, slots[i].gpa, t->after);
	for (i = 0; i < nr_vms * BAR_VM_VCPUS; i++) {
		u64 late = finds(i, BAR) - bar[i];
		u64 wrong = READ_ONCE(pollers[i].count->wrong);

		if (t->after != BAR && late > 1)
			bar_fail("vCPU %d has read the BAR %lu times since, in round %u of %s",
				 i, late, round, t->name);
		if (wrong)
			bar_fail("vCPU %d has read 0x%x", i, (u32)wrong);
	}
	for (i = 0; i < nr_vms; i++)
		t->set(i, false);
	next_phase();
}

static void set_up(size_t pages, size_t stride)
{
	struct kvm_memattr_leaf leaf;
	struct bar_slot slot = {};
	struct bar_vm probe;
	int i;

	view.pages = pages;
	view.stride = stride;
	ram = bar_shared(pages * stride);
	for (i = 0; i < pages; i++)
		*(u32 *)(ram + i * stride) = WORD(RAM, i);
	bar_vm_create(&probe, NULL);
	bar_vm_add_bar(&probe, &slot, &bar_dev, BAR_RW);
	bar_vm_load(&probe, slot.gpa);
	if (memattr_leaf(&bar_machine, probe.vm->fd, slot.gpa, &leaf))
		bar_fail("no stage-2 leaf for 0x%lx", slot.gpa);
	vfio_type = leaf.memattr == memattr_s2_encode(MEMATTR_NORMAL_NC, leaf.fwb) ?
		    MEMATTR_NORMAL_NC : MEMATTR_DEVICE_nGnRE;
}

static void run(const void *arg)
{
	size_t pages = bar_dev.size / getpagesize();
	const struct test_case *t = arg;
	unsigned int round = 0;
	long began, ms = 0;
	int i;

	pages = pages < MAX_PAGES ? pages : MAX_PAGES;
	if (t->set == over_sysfs &&
	    !vfio_bar_open_plain(&plain, &bar_dev, BAR_SYSFS, pages * getpagesize()))
		bar_skip("%s", vfio_bar_why());
	set_up(pages, getpagesize());
	for (i = 0; i < nr_vms; i++)
		start_vm(i);
	began = now_ms();
	while (ms < PATIENCE_MS && (ms < seconds * 1000 / 6 || round < MIN_ROUNDS)) {
		one_round(t, round++);
		ms = now_ms() - began;
	}
	printf("# %s: %u rounds in %ld ms\n", t->name, round, ms);
}

static void vmm(struct shared *s)
{
	static const struct test_case events[] = {
		{ "munmap", NOTHING, .set = unmap },
		{ "memslot deleted", NOTHING, .set = delete_slot },
		{ "MAP_FIXED over it", RAM, .set = over_ram },
		{ "fork", BAR, .set = fork_and_exit },
	};

	while (READ_ONCE(s->fd) >= 0)
		one_round(&events[rand() % ARRAY_SIZE(events)], s->rounds++);
	/* Nothing has stayed in the way of faults. */
	wait_for(BAR, BAR_VM_VCPUS);
	exit(KSFT_PASS);
}

/* A VM in a process of its own, which then goes on with @then; its descriptor, for this one */
static int fork_vm(struct shared *s, pid_t *pid, void (*then)(struct shared *s))
{
	int fd;

	s->fd = -1;
	*pid = fork();
	TEST_ASSERT(*pid >= 0, "fork: %s", strerror(errno));
	if (!*pid) {
		nr_vms = 1;
		start_vm(0);
		s->gpa = slots[0].gpa;
		WRITE_ONCE(s->fd, vms[0].vm->fd);
		then(s);
	}
	while (READ_ONCE(s->fd) < 0)
		relax();
	fd = syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, *pid, 0), s->fd, 0);
	TEST_ASSERT(fd >= 0, "pidfd_getfd: %s", strerror(errno));
	return fd;
}

static void idle(struct shared *s)
{
	for (;;)
		pause();
}

/* The VM outlives its VMM, but not what the VMM has mapped. */
static void run_kill(const void *arg)
{
	struct kvm_memattr_leaf leaf;
	pid_t pid;
	int fd;

	shared = bar_shared(sizeof(*shared));
	set_up(1, getpagesize());
	fd = fork_vm(shared, &pid, idle);
	while (memattr_leaf(&bar_machine, fd, shared->gpa, &leaf))
		relax();
	kill(pid, SIGKILL);
	TEST_ASSERT(waitpid(pid, NULL, 0) == pid, "waitpid: %s", strerror(errno));
	check_leaves(fd, shared->gpa, NOTHING);
}

static void run_random(const void *arg)
{
	int vm, status, round, fds[NR_VMS];
	pid_t pid;
	long end;

	alarm(seconds + 60);
	at_random = true;
	shared = bar_shared(NR_VMS * sizeof(*shared));
	set_up(MAX_PAGES, RANDOM_SIZE / MAX_PAGES);
	for (vm = 0; vm < NR_VMS; vm++) {
		srand(vm);
		fds[vm] = fork_vm(&shared[vm], &pid, vmm);
	}
	end = now_ms() + seconds * 1000l;
	for (round = 0; now_ms() < end || round < MIN_ROUNDS; round++) {
		vfio_bar_set_decode(&bar_dev, false);
		/* No leaf leads to the BAR now, to RAM at most; nor is one made. */
		for (vm = 0; vm < NR_VMS; vm++)
			check_leaves(fds[vm], shared[vm].gpa, RAM);
		dwell();
		for (vm = 0; vm < NR_VMS; vm++)
			check_leaves(fds[vm], shared[vm].gpa, RAM);
		vfio_bar_set_decode(&bar_dev, true);
		dwell();
	}
	for (vm = 0; vm < NR_VMS; vm++) {
		WRITE_ONCE(shared[vm].fd, -1);
		if (wait(&status) < 0 || status)
			bar_fail("a VMM has ended, status 0x%x", status);
	}
	printf("# decode off %d times, %lu changes in a VMM\n", round, shared->rounds);
}

static const struct vfio_bar_want resettable = { .what = "a BAR, and a reset", .reset = "", };
static const struct vfio_bar_want large = { .what = "a BAR of 4M", .min_size = RANDOM_SIZE, };

static const struct test_case cases[] = {
	/* Not one read more. */
	{ "munmap", NOTHING, &vfio_bar_any, unmap },
	{ "memslot deleted", NOTHING, &vfio_bar_any, delete_slot },
	{ "memory decode off", NOTHING, &vfio_bar_any, decode },
	/* Not one read more, and RAM is there at once. */
	{ "MAP_FIXED over it: RAM", RAM, &vfio_bar_any, over_ram },
	/* Not one leaf of the type that vfio-pci's mapping had. */
	{ "MAP_FIXED over it: sysfs", BAR, &vfio_bar_any, over_sysfs },
	/* Not one read of a device in reset, which would not find the word. */
	{ "VFIO_DEVICE_RESET", BAR, &resettable, reset },
};

int main(int argc, char *argv[])
{
	int i;

	if (argc == 2 && !strncmp(argv[1], "-s", 2))
		seconds = atoi(argv[1] + 2);
	if (argc > 2 || seconds <= 0)
		ksft_exit_fail_msg("usage: %s [-sSECONDS]\n", argv[0]);
	bar_start(ARRAY_SIZE(cases) + 2);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		bar_row(cases[i].name, cases[i].want, run, &cases[i]);
	bar_row("SIGKILL of the VMM", &vfio_bar_any, run_kill, NULL);
	bar_row("all of it at random", &large, run_random, NULL);
	memattr_finish();
}
