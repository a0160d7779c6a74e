// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a guest that is running lose a BAR at once?
 *
 * Four vCPUs of two VMs read the same BAR without end, and never invalidate
 * their TLBs.  Meanwhile the BAR is taken away, or something else is put in its
 * place.  From the return of the system call that does it, no access may reach
 * the BAR by the old mapping: KVM has to have invalidated every TLB entry
 * (kvm_tlb_flush_vmid_ipa()), and dropped every fault that was under way
 * (mmu_invalidate_retry()).  One access may be counted late, as the guest
 * counts after it has read.
 *
 * Most rounds go on as soon as any vCPU has noticed, so that the event meets
 * faults in all their stages; every 64th waits for all of them.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/futex.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#include "bar_vm.h"
#include "memattr.h"
#include "vfio_bar.h"

#define NR_MAX_DEVS	8
#define NR_VMS		2
#define NR_POLLERS	(NR_VMS * BAR_VM_VCPUS)
#define MAX_PAGES	8
#define RW		(PROT_READ | PROT_WRITE)

/* A case lasts this long, unless the machine is too slow for so many rounds */
#define MIN_MS		1000
#define MIN_ROUNDS	50
/* For what ought to take microseconds, and for a case */
#define PATIENCE_MS	10000

static struct memattr_machine machine;
static struct vfio_pci_dev devs[NR_MAX_DEVS];
static int nr_devs;
static struct vfio_pci_dev *main_dev;
static int main_bar, main_pages;

/* In guest memory, written by one side each. */
static struct guest_view {
	uint64_t base;
	uint64_t pages, stride;
	/* The first word of each page of the BAR is BAR_WORD(page), else unknown */
	uint64_t known;
	uint64_t stop;
} view;

static struct guest_count {
	uint64_t bar;		/* reads that found the BAR */
	uint64_t other;		/* reads that found OTHER */
	uint64_t wrong;		/* what one found that found neither, and bit 32 */
} __aligned(256) counts[BAR_VM_VCPUS];

#define BAR_WORD(page)	(0x0ba40000u + (page))

/*
 * The first word of each page of the RAM that takes the BAR's place; also what
 * an MMIO exit is answered with
 */
#define OTHER		0x07e40007u

static void guest_code(uint64_t cpu)
{
	struct guest_count *c = &counts[cpu];
	uint64_t i;

	while (!READ_ONCE(view.stop)) {
		for (i = 0; i < view.pages; i++) {
			uint32_t val = READ_ONCE(*(uint32_t *)(view.base +
							       i * view.stride));

			if (val == OTHER)
				WRITE_ONCE(c->other, c->other + 1);
			else if (val == BAR_WORD(i) || !view.known)
				WRITE_ONCE(c->bar, c->bar + 1);
			else
				WRITE_ONCE(c->wrong, val | 1ULL << 32);
		}
	}
	WRITE_ONCE(*(uint32_t *)BAR_VM_REPORT, 0);
	for (;;)
		;
}

static struct bar_vm vms[NR_VMS];
static struct bar_slot slots[NR_VMS];

static struct poller {
	struct kvm_vcpu *vcpu;
	struct guest_count *count;
	pthread_t thread;
	/* The round in which KVM_RUN was last refused */
	unsigned int refused;
	bool unexpected;
} pollers[NR_POLLERS];

/* Odd while the BAR is away */
static unsigned int phase;
static bool quit;

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

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Run a vCPU; when it is refused, wait until things have changed. */
static void *poller_thread(void *arg)
{
	struct poller *p = arg;
	struct kvm_run *run = p->vcpu->run;

	for (;;) {
		unsigned int before = __atomic_load_n(&phase, __ATOMIC_SEQ_CST);
		uint32_t other = OTHER;

		if (__vcpu_run(p->vcpu)) {
			if (errno == EINTR)
				continue;
			/* Refused is refused: vfio_bar_revoke wants -EFAULT. */
			if (errno != EFAULT)
				printf("# KVM_RUN: %s\n", strerror(errno));
		} else {
			if (run->exit_reason != KVM_EXIT_MMIO)
				break;
			if (run->mmio.phys_addr == BAR_VM_REPORT)
				return NULL;
			if (run->mmio.is_write || run->mmio.len != sizeof(other))
				break;
			memcpy(run->mmio.data, &other, sizeof(other));
		}
		__atomic_store_n(&p->refused, before, __ATOMIC_SEQ_CST);
		if (READ_ONCE(quit))
			return NULL;
		syscall(SYS_futex, &phase, FUTEX_WAIT, before, NULL, NULL, 0);
	}
	/* Printed by itself: a round that fails by this may not get to the rest. */
	printf("# a vCPU ended: exit reason %u, %s of %u bytes at 0x%llx\n",
	       run->exit_reason, run->mmio.is_write ? "write" : "read",
	       run->mmio.len, run->mmio.phys_addr);
	WRITE_ONCE(p->unexpected, true);
	return NULL;
}

static struct guest_count *guest_count(struct bar_vm *bv, int cpu)
{
	return addr_gva2hva(bv->vm, (uintptr_t)&counts[cpu]);
}

static void start(void)
{
	int i, cpu, page;

	for (i = 0; i < NR_VMS; i++) {
		size_t size = main_pages * getpagesize();
		void *hva = vfio_pci_bar_mmap(main_dev, main_bar, NULL, RW, 0,
					      size);

		if (!hva)
			ksft_exit_fail_msg("%s\n", vfio_bar_why());
		bar_vm_create_with(&vms[i], guest_code);
		bar_vm_set_type(&vms[i], MEMATTR_NORMAL_NC);
		bar_vm_add_mem(&vms[i], &slots[i], 0, 0, hva, size);
		view.base = slots[i].gpa;
		view.stride = getpagesize();
		view.pages = main_pages;
		view.known = main_dev->may_write;
		for (page = 0; page < main_pages; page++) {
			uint64_t offset = page * view.stride;

			bar_vm_map(&vms[i], slots[i].gpa + offset);
			if (main_dev->may_write)
				WRITE_ONCE(*(uint32_t *)(slots[i].hva + offset),
					   BAR_WORD(page));
		}
		sync_global_to_guest(vms[i].vm, view);
		for (cpu = 0; cpu < BAR_VM_VCPUS; cpu++) {
			struct poller *p = &pollers[i * BAR_VM_VCPUS + cpu];

			vcpu_args_set(vms[i].vcpus[cpu], 1, (uint64_t)cpu);
			p->vcpu = vms[i].vcpus[cpu];
			p->count = guest_count(&vms[i], cpu);
			p->refused = -1;
			TEST_ASSERT(!pthread_create(&p->thread, NULL,
						    poller_thread, p),
				    "pthread_create");
		}
	}
}

static void stop(void)
{
	int i;

	for (i = 0; i < NR_VMS; i++) {
		view.stop = 1;
		view.base = slots[i].gpa;
		sync_global_to_guest(vms[i].vm, view);
	}
	WRITE_ONCE(quit, true);
	next_phase();
	next_phase();
	for (i = 0; i < NR_POLLERS; i++)
		pthread_join(pollers[i].thread, NULL);
	for (i = 0; i < NR_VMS; i++) {
		bar_vm_remove(&vms[i], &slots[i]);
		bar_vm_free(&vms[i]);
	}
	quit = false;
	view.stop = 0;
	memset(pollers, 0, sizeof(pollers));
}

/* The events, for each VM's mapping */

/**
 * enum after - what the guests find from the return of away() on
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
	bool disturbs;
	bool (*away)(void);
	bool (*back)(void);
};

static bool each(void *(*map)(const struct bar_slot *slot))
{
	int i;

	for (i = 0; i < NR_VMS; i++) {
		if (!map(&slots[i])) {
			ksft_print_msg("%s\n", vfio_bar_why());
			return false;
		}
	}
	return true;
}

static void *map_bar(const struct bar_slot *slot)
{
	return vfio_pci_bar_mmap(main_dev, main_bar, slot->hva, RW, 0,
				 slot->size);
}

static void *map_sysfs(const struct bar_slot *slot)
{
	return vfio_pci_sysfs_mmap(main_dev, main_bar, false, slot->hva, RW, 0,
				   slot->size);
}

static void *ram;

/* The same pages for all, so that there is nothing to fill in */
static void *map_ram(const struct bar_slot *slot)
{
	void *p = mremap(ram, 0, slot->size, MREMAP_MAYMOVE | MREMAP_FIXED,
			 slot->hva);

	TEST_ASSERT(p == slot->hva, "mremap: %s", strerror(errno));
	return p;
}

static void *unmap(const struct bar_slot *slot)
{
	munmap(slot->hva, slot->size);
	return slot->hva;
}

static void *slot_away(const struct bar_slot *slot)
{
	bar_vm_slot(&vms[slot - slots], 0, 0, slot->hva, 0);
	return slot->hva;
}

static void *slot_back(const struct bar_slot *slot)
{
	bar_vm_slot(&vms[slot - slots], 0, 0, slot->hva, slot->size);
	return slot->hva;
}

static bool bar_back(void) { return each(map_bar); }
static bool munmap_away(void) { return each(unmap); }
static bool slots_away(void) { return each(slot_away); }
static bool slots_back(void) { return each(slot_back); }
static bool ram_over(void) { return each(map_ram); }
static bool sysfs_over(void) { return each(map_sysfs); }

static bool decode_off(void)
{
	vfio_pci_set_memory_decode(main_dev, false);
	return true;
}

static bool decode_on(void)
{
	vfio_pci_set_memory_decode(main_dev, true);
	return true;
}

static bool reset(void)
{
	if (!vfio_pci_reset(main_dev))
		return true;
	ksft_print_msg("%s\n", vfio_bar_why());
	return false;
}

static bool nothing(void) { return true; }

/* Wait until @nr pollers find what they should: each page once or more. */
static bool wait_for(enum after after, int nr)
{
	struct guest_count from[NR_POLLERS];
	long end = now_ms() + PATIENCE_MS;
	int i, found;

	for (i = 0; i < NR_POLLERS; i++) {
		from[i].bar = READ_ONCE(pollers[i].count->bar);
		from[i].other = READ_ONCE(pollers[i].count->other);
	}
	for (;;) {
		for (i = found = 0; i < NR_POLLERS; i++) {
			struct guest_count *c = pollers[i].count;

			if (after == REFUSED)
				found += __atomic_load_n(&pollers[i].refused,
							 __ATOMIC_SEQ_CST) == phase;
			else if (after == RAM)
				found += READ_ONCE(c->other) - from[i].other >
					 main_pages;
			else
				found += READ_ONCE(c->bar) - from[i].bar >
					 main_pages;
			if (READ_ONCE(pollers[i].unexpected))
				return false;
		}
		if (found >= nr)
			return true;
		if (now_ms() >= end)
			return false;
		relax();
	}
}

/* Stage-2 type of vfio-pci's mappings on this kernel */
static uint8_t vfio_type;

/* Each leaf there is has the type of what is mapped now. */
static bool check_leaves(const struct test_case *t)
{
	uint8_t type = t->away == sysfs_over ? MEMATTR_DEVICE_nGnRE : vfio_type;
	struct kvm_memattr_leaf leaf;
	int i, page;

	for (i = 0; i < NR_VMS; i++) {
		for (page = 0; page < main_pages; page++) {
			if (memattr_leaf(&machine, vms[i].vm->fd, slots[i].gpa +
					 page * getpagesize(), &leaf))
				continue;
			if (leaf.memattr == memattr_s2_encode(type, leaf.fwb))
				continue;
			ksft_print_msg("%s: stage-2 type is %s, not %s\n", t->name,
				       memattr_s2_name(leaf.memattr, leaf.fwb),
				       memattr_name(type));
			return false;
		}
	}
	return true;
}

static bool one_round(const struct test_case *t, unsigned int round)
{
	int i, nr = round % 64 ? 1 : NR_POLLERS;
	uint64_t bar[NR_POLLERS];
	bool ok;

	if (round % 2) {
		relax();
	} else if (!wait_for(BAR, round % 64 ? NR_POLLERS / 2 : NR_POLLERS)) {
		ksft_print_msg("%s: the guests do not find the BAR\n", t->name);
		return false;
	}

	if (!round)
		vfio_type = bar_vm_mmio_type(&machine, &vms[0], slots[0].gpa);
	if (!t->away())
		return false;
	for (i = 0; i < NR_POLLERS; i++)
		bar[i] = READ_ONCE(pollers[i].count->bar);
	next_phase();

	ok = wait_for(t->after, nr);
	if (!ok)
		ksft_print_msg("%s: the guests do not find what they should\n",
			       t->name);
	if (t->after == BAR)
		ok &= check_leaves(t);
	for (i = 0; i < NR_POLLERS; i++) {
		uint64_t late = READ_ONCE(pollers[i].count->bar) - bar[i];
		uint64_t wrong = READ_ONCE(pollers[i].count->wrong);

		if (t->after != BAR && late > 1) {
			ksft_print_msg("%s: vCPU %d has read the BAR %lu times since\n",
				       t->name, i, (unsigned long)late);
			ok = false;
		}
		if (wrong) {
			ksft_print_msg("%s: vCPU %d has read 0x%x\n", t->name, i,
				       (uint32_t)wrong);
			ok = false;
		}
		ok &= !READ_ONCE(pollers[i].unexpected);
	}
	ok &= t->back();
	next_phase();
	return ok;
}

/* The device and the BAR for a case, or false with vfio_bar_why() set */
static bool choose_device(const struct test_case *t)
{
	struct vfio_bar_want want = {
		.dev_flags = t->away == reset ? VFIO_DEVICE_FLAGS_RESET : 0,
		.set = VFIO_BAR_F_PREFETCH,
		.what = "a BAR of a device that can be reset",
	};
	size_t size;

	main_dev = vfio_pci_find_bar(devs, nr_devs, &want, 0, &main_bar);
	if (!main_dev) {
		want.set = 0;
		main_dev = vfio_pci_find_bar(devs, nr_devs, &want, 0, &main_bar);
	}
	if (!main_dev || (t->disturbs && !vfio_pci_named(main_dev)))
		return false;
	size = vfio_pci_bar_map_size(main_dev, main_bar);
	main_pages = size / getpagesize() < MAX_PAGES ? size / getpagesize() :
							MAX_PAGES;
	if (t->away == sysfs_over) {
		void *p = vfio_pci_sysfs_mmap(main_dev, main_bar, false, NULL,
					      RW, 0, getpagesize());

		if (!p)
			return false;
		munmap(p, getpagesize());
	}
	return true;
}

static void run(const struct test_case *t)
{
	unsigned int round = 0, bad = 0;
	long began, ms = 0;

	if (!choose_device(t)) {
		memattr_skip(t->name, "%s", vfio_bar_why());
		return;
	}
	start();
	began = now_ms();
	while (bad < 3 && ms < PATIENCE_MS &&
	       (ms < MIN_MS || round < MIN_ROUNDS)) {
		bad += !one_round(t, round++);
		ms = now_ms() - began;
	}
	stop();
	ksft_print_msg("%s: %u rounds, %u of them bad, in %ld ms\n", t->name, round,
		       bad, ms);
	ksft_test_result(!bad, "%s\n", t->name);
}

static const struct test_case cases[] = {
	/* Not one read more. */
	{ "munmap", REFUSED, .away = munmap_away, .back = bar_back },
	{ "memslot deleted", REFUSED, .away = slots_away, .back = slots_back },
	{ "memory decode off", REFUSED, .disturbs = true, .away = decode_off,
	  .back = decode_on },
	/* Not one read more, and RAM is there at once. */
	{ "MAP_FIXED over it: RAM", RAM, .away = ram_over, .back = bar_back },
	/* Not one leaf of the type that vfio-pci's mapping had. */
	{ "MAP_FIXED over it: sysfs", BAR, .away = sysfs_over,
	  .back = bar_back },
	/* Not one read of a device in reset, which would not find the word. */
	{ "VFIO_DEVICE_RESET", BAR, .disturbs = true, .away = reset,
	  .back = nothing },
};

int main(int argc, char *argv[])
{
	int i, page;

	setbuf(stdout, NULL);
	ksft_print_header();
	memattr_require(&machine);
	vfio_bar_require(devs, NR_MAX_DEVS, &nr_devs, &main_bar);
	ram = mmap(NULL, BAR_VM_MAX_MAP, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(ram != MAP_FAILED, "mmap: %s", strerror(errno));
	for (page = 0; page < MAX_PAGES; page++)
		*(uint32_t *)(ram + page * getpagesize()) = OTHER;

	ksft_set_plan(ARRAY_SIZE(cases));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		run(&cases[i]);

	for (i = 0; i < nr_devs; i++)
		vfio_pci_close(&devs[i]);
	memattr_finish();
}
