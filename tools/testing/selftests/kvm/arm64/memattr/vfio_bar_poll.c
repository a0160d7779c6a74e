// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a guest that is running lose a BAR at once?
 *
 * Four vCPUs of two VMs read the same BAR without end, and never invalidate
 * their TLBs. Meanwhile the BAR is taken away, or something else is put in its
 * place. From the return of the system call that does it, no access may reach
 * the BAR by the old mapping: KVM has to have invalidated every TLB entry
 * (kvm_tlb_flush_vmid_ipa()), and dropped every fault that was under way
 * (mmu_invalidate_retry()). One access may be counted late, as the guest counts
 * after it has read.
 *
 * Most rounds go on as soon as any vCPU has noticed, so that the event meets
 * faults in all their stages; every 64th waits for all of them.
 */
#define _GNU_SOURCE

#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/futex.h>

#include "memattr/bar_vm.h"

#define NR_VMS		2
#define NR_POLLERS	(NR_VMS * BAR_VM_VCPUS)
#define MAX_PAGES	8

/* A row lasts this long, unless the machine is too slow for so many rounds. */
#define MIN_MS		1000
#define MIN_ROUNDS	50
/* For what ought to take microseconds, and for a row */
#define PATIENCE_MS	10000

static size_t nr_pages;

/* In guest memory, written by one side each */
static struct guest_view {
	u64 base;
	u64 pages, stride;
	/* The first word of each page of the BAR is BAR_WORD(page), else unknown */
	u64 known;
} view;

static struct guest_count {
	u64 bar;		/* reads that found the BAR */
	u64 other;		/* reads that found OTHER */
	u64 wrong;		/* what one found that found neither, and bit 32 */
} __aligned(256) counts[BAR_VM_VCPUS];

#define BAR_WORD(page)	(0x0ba40000u + (page))

/*
 * The first word of each page of the RAM that takes the BAR's place; also what
 * an MMIO exit is answered with
 */
#define OTHER		0x07e40007u

static void guest_code(u64 cpu)
{
	struct guest_count *c = &counts[cpu];
	u32 val;
	u64 i;

	for (i = 0;; i = (i + 1) % view.pages) {
		val = READ_ONCE(*(u32 *)(view.base + i * view.stride));
		if (val == OTHER)
			WRITE_ONCE(c->other, c->other + 1);
		else if (val == BAR_WORD(i) || !view.known)
			WRITE_ONCE(c->bar, c->bar + 1);
		else
			WRITE_ONCE(c->wrong, val | 1ULL << 32);
	}
}

static struct bar_vm vms[NR_VMS];
static struct bar_slot slots[NR_VMS];
static struct vfio_bar plain = { .fd = -1 };
static void *ram;
/* Stage-2 type of vfio-pci's mappings on this kernel */
static u8 vfio_type;

static struct poller {
	struct kvm_vcpu *vcpu;
	struct guest_count *count;
	/* The phase in which KVM_RUN was last refused */
	unsigned int refused;
	bool unexpected;
} pollers[NR_POLLERS];

/* Odd while the BAR is away */
static unsigned int phase;

static void next_phase(void)
{
	__atomic_fetch_add(&phase, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &phase, FUTEX_WAKE, NR_POLLERS, NULL, NULL, 0);
}

/* Not too short: what wakes this thread interrupts a guest. */
static void relax(void)
{
	usleep(200);
}

/* Run a vCPU; when it is refused, wait until things have changed. */
static void *poller_thread(void *arg)
{
	struct poller *p = arg;
	struct kvm_run *run = p->vcpu->run;

	for (;;) {
		unsigned int before = __atomic_load_n(&phase, __ATOMIC_SEQ_CST);
		u32 other = OTHER;

		if (__vcpu_run(p->vcpu)) {
			if (errno == EINTR)
				continue;
			/* Refused is refused: vfio_bar_guest wants -EFAULT. */
			if (errno != EFAULT)
				printf("# KVM_RUN: %s\n", strerror(errno));
		} else {
			if (run->exit_reason != KVM_EXIT_MMIO ||
			    run->mmio.is_write || run->mmio.len != sizeof(other))
				break;
			memcpy(run->mmio.data, &other, sizeof(other));
		}
		__atomic_store_n(&p->refused, before, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &phase, FUTEX_WAIT, before, NULL, NULL, 0);
	}
	printf("# a vCPU ended: exit reason %u, %s of %u bytes at 0x%llx\n",
	       run->exit_reason, run->mmio.is_write ? "write" : "read",
	       run->mmio.len, run->mmio.phys_addr);
	WRITE_ONCE(p->unexpected, true);
	return NULL;
}

static void start_vm(int i)
{
	struct bar_vm *bv = &vms[i];
	int cpu, page, ret;
	pthread_t thread;

	bar_vm_create(bv, guest_code);
	bar_vm_add_bar(bv, &slots[i], &bar_dev, BAR_RW, 0);
	view.base = slots[i].gpa;
	view.stride = getpagesize();
	view.pages = nr_pages;
	/* What sysfs maps may be another BAR. */
	view.known = bar_dev.may_write && plain.fd < 0;
	for (page = 0; page < nr_pages; page++) {
		bar_vm_map(bv, view.base + page * view.stride);
		if (view.known)
			WRITE_ONCE(*(u32 *)(slots[i].hva + page * view.stride),
				   BAR_WORD(page));
	}
	sync_global_to_guest(bv->vm, view);
	for (cpu = 0; cpu < BAR_VM_VCPUS; cpu++) {
		struct poller *p = &pollers[i * BAR_VM_VCPUS + cpu];

		vcpu_args_set(bv->vcpus[cpu], 1, (u64)cpu);
		p->vcpu = bv->vcpus[cpu];
		p->count = addr_gva2hva(bv->vm, (uintptr_t)&counts[cpu]);
		p->refused = -1;
		ret = pthread_create(&thread, NULL, poller_thread, p);
		TEST_ASSERT(!ret, "pthread_create: %s", strerror(ret));
	}
}

/**
 * enum after - what the guests find from then on
 * @REFUSED: nothing: KVM_RUN fails, or asks for MMIO
 * @RAM: what is in the BAR's place
 * @BAR: the BAR, by a leaf of the type of the mapping that is there now
 */
enum after {
	REFUSED,
	RAM,
	BAR,
};

struct test_case {
	const char *name;
	enum after after;
	const struct vfio_bar_want *want;
	void (*set)(int vm, bool away);
};

/* The events, for each VM's mapping */

static void map(int vm, const struct vfio_bar *b)
{
	if (!vfio_bar_mmap(b, slots[vm].hva, BAR_RW, 0, nr_pages * getpagesize()))
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
	else if (mremap(ram, 0, nr_pages * getpagesize(),
			MREMAP_MAYMOVE | MREMAP_FIXED,
			slots[vm].hva) != slots[vm].hva)
		bar_fail("mremap: %s", strerror(errno));
}

static void unmap(int vm, bool away)
{
	if (away)
		munmap(slots[vm].hva, nr_pages * getpagesize());
	else
		map(vm, &bar_dev);
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

/* How often a poller has found what it should */
static u64 finds(const struct poller *p, enum after after)
{
	return after == RAM ? READ_ONCE(p->count->other) :
			      READ_ONCE(p->count->bar);
}

/* Wait until @nr pollers find what they should: each page once or more. */
static void wait_for(enum after after, int nr)
{
	long end = bar_now_ms() + PATIENCE_MS;
	u64 from[NR_POLLERS];
	int i, found;

	for (i = 0; i < NR_POLLERS; i++)
		from[i] = finds(&pollers[i], after);
	do {
		relax();
		for (i = found = 0; i < NR_POLLERS; i++) {
			struct poller *p = &pollers[i];

			if (after != REFUSED)
				found += finds(p, after) - from[i] > nr_pages;
			else
				found += __atomic_load_n(&p->refused,
							 __ATOMIC_SEQ_CST) == phase;
			if (READ_ONCE(p->unexpected))
				bar_fail("vCPU %d ended", i);
		}
		if (bar_now_ms() >= end)
			bar_fail("the guests do not find %s",
				 after == BAR ? "the BAR" : "what they should");
	} while (found < nr);
}

/* Each leaf there is has the type of what is mapped now. */
static void check_leaves(u8 type)
{
	struct kvm_memattr_leaf leaf;
	const char *why;
	int i, page;

	for (i = 0; i < NR_VMS; i++) {
		for (page = 0; page < nr_pages; page++) {
			if (memattr_leaf(&bar_machine, vms[i].vm->fd,
					 slots[i].gpa + page * getpagesize(),
					 &leaf))
				continue;
			why = memattr_check_leaf(&leaf, type, true);
			if (why)
				bar_fail("%s", why);
		}
	}
}

static void one_round(const struct test_case *t, unsigned int round)
{
	int i, all = !(round % 64);
	u64 bar[NR_POLLERS];

	if (round % 2)
		relax();
	else
		wait_for(BAR, all ? NR_POLLERS : NR_POLLERS / 2);

	for (i = 0; i < NR_VMS; i++)
		t->set(i, true);
	for (i = 0; i < NR_POLLERS; i++)
		bar[i] = finds(&pollers[i], BAR);
	next_phase();

	wait_for(t->after, all ? NR_POLLERS : 1);
	if (t->after == BAR)
		check_leaves(t->set == over_sysfs ? MEMATTR_DEVICE_nGnRE :
						     vfio_type);
	for (i = 0; i < NR_POLLERS; i++) {
		u64 late = finds(&pollers[i], BAR) - bar[i];
		u64 wrong = READ_ONCE(pollers[i].count->wrong);

		if (t->after != BAR && late > 1)
			bar_fail("vCPU %d has read the BAR %lu times since, in round %u",
				 i, late, round);
		if (wrong)
			bar_fail("vCPU %d has read 0x%x", i, (u32)wrong);
	}
	for (i = 0; i < NR_VMS; i++)
		t->set(i, false);
	next_phase();
}

static void run(const void *arg)
{
	const struct test_case *t = arg;
	unsigned int round = 0;
	struct bar_vm probe;
	struct bar_slot slot = {};
	long began, ms = 0;
	int i;

	nr_pages = bar_dev.size / getpagesize();
	nr_pages = nr_pages < MAX_PAGES ? nr_pages : MAX_PAGES;
	ram = bar_shared(nr_pages * getpagesize());
	for (i = 0; i < nr_pages; i++)
		*(u32 *)(ram + i * getpagesize()) = OTHER;

	bar_vm_create(&probe, NULL);
	bar_vm_add_bar(&probe, &slot, &bar_dev, BAR_RW, 0);
	vfio_type = bar_vm_mmio_type(&probe, slot.gpa);
	if (t->set == over_sysfs &&
	    !vfio_bar_open_plain(&plain, &bar_dev, BAR_SYSFS,
				 nr_pages * getpagesize()))
		bar_skip("%s", vfio_bar_why());
	for (i = 0; i < NR_VMS; i++)
		start_vm(i);
	began = bar_now_ms();
	while (ms < PATIENCE_MS && (ms < MIN_MS || round < MIN_ROUNDS)) {
		one_round(t, round++);
		ms = bar_now_ms() - began;
	}
	printf("# %s: %u rounds in %ld ms\n", t->name, round, ms);
}

static const struct vfio_bar_want named = { .what = "a BAR", .named = true, };
static const struct vfio_bar_want resettable = {
	.what = "a BAR, and a reset", .named = true, .reset = "",
};

static const struct test_case cases[] = {
	/* Not one read more. */
	{ "munmap", REFUSED, &vfio_bar_any, unmap },
	{ "memslot deleted", REFUSED, &vfio_bar_any, delete_slot },
	{ "memory decode off", REFUSED, &named, decode },
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

	bar_start(ARRAY_SIZE(cases));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		bar_row(cases[i].name, cases[i].want, run, &cases[i]);
	memattr_finish();
}
