// SPDX-License-Identifier: GPL-2.0-only
/*
 * What does a stage-2 fault cost, to map and revoke a whole BAR, and a BAR that is
 * larger than memory, of which the VMM touches little?
 *
 * Time is the counter's, CNTVCT_EL0. Where it counts instructions, as it does
 * under QEMU's -icount, the figures can be compared from kernel to kernel; only
 * there is anything measured. Each figure is a line "bench: WHAT = NUMBER", once
 * for each run. A row fails if what was measured is not what was to be measured.
 */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "memattr/bar_vm.h"

#define RUNS		5
#define NR_PAGES	256
/* What a guest has mapped at a time: it has no memory for more tables. */
#define MAX_WINDOW	SZ_64M
/* No memslot is there: a store ends KVM_RUN. */
#define DONE		(2ULL << 30)

/* What the guest is to touch; and how long it took, in ticks */
static struct work {
	u64 base, stride, nr, store;
	u64 ticks;
} work;

static u64 now(void)
{
	u64 t;

	asm volatile("isb\n\tmrs %0, cntvct_el0" : "=r" (t) : : "memory");
	return t;
}

static void guest_code(void)
{
	u64 i, began;

	for (;;) {
		asm volatile("tlbi vmalle1is\n\tdsb ish\n\tisb" : : : "memory");
		began = now();
		for (i = 0; i < work.nr; i++) {
			u64 addr = work.base + i * work.stride;

			if (work.store)
				asm volatile("str wzr, [%0]" : : "r" (addr) : "memory");
			else
				asm volatile("ldr wzr, [%0]" : : "r" (addr) : "memory");
		}
		asm volatile("dsb sy" : : : "memory");
		work.ticks = now() - began;
		asm volatile("str wzr, [%0]" : : "r" (DONE) : "memory");
	}
}

static struct bar_vm bv;
static struct bar_slot slot;
/* Nanoseconds a tick; an instruction takes one of them. */
static double tick;

static u64 guest_touch(u64 base, u64 stride, u64 nr, bool store)
{
	struct kvm_run *run = bv.vcpu->run;

	work = (struct work) { base, stride, nr, store, };
	sync_global_to_guest(bv.vm, work);
	while (__vcpu_run(bv.vcpu))
		if (errno != EINTR)
			bar_fail("KVM_RUN: %s", strerror(errno));
	if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.phys_addr != DONE)
		bar_fail("unexpected exit of the guest, reason %u", run->exit_reason);
	sync_global_from_guest(bv.vm, work);
	return work.ticks * tick;
}

#define put(n, what, ...)						\
	printf("# bench: " what " = %lu\n", ##__VA_ARGS__, n)

/* Instructions of a loop of which the number is known */
static double ns_of_an_instruction(void)
{
	u64 began = now(), n = 1000000;

	asm volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r" (n) : : "cc");
	return (now() - began) * tick / 2000000;
}

static void start(void)
{
	double ns, least = 2;
	u64 freq;
	int i;

	asm volatile("mrs %0, cntfrq_el0" : "=r" (freq));
	tick = 1e9 / freq;
	/* The kernel may have something else to do meanwhile. */
	for (i = 0; i < 10; i++) {
		ns = ns_of_an_instruction();
		least = ns < least ? ns : least;
	}
	bar_skip_if(least < 0.99 || least > 1.02,
		    "the counter does not count instructions: boot QEMU with -icount shift=0 (make bench)");
	bar_vm_create(&bv, guest_code);
	virt_pg_map(bv.vm, DONE, DONE);
}

/* The part of a memslot that the guest sees, always at the same address */
static void look_at(u64 offset, size_t size)
{
	u64 page = getpagesize(), mask = GENMASK_ULL(47, 16) | (SZ_64K - page), i;

	for (i = 0; i < size; i += page) {
		u64 *pte;

		bar_vm_map(&bv, slot.gpa + i);
		pte = virt_get_pte_hva(bv.vm, slot.gpa + i);
		*pte = (*pte & ~mask) | (slot.gpa + offset + i);
	}
}

/* All pages of a memslot */
static u64 touch_all(bool store)
{
	size_t window = slot.size < MAX_WINDOW ? slot.size : MAX_WINDOW;
	u64 offset, ns = 0;

	for (offset = 0; offset < slot.size; offset += window) {
		look_at(offset, window);
		ns += guest_touch(slot.gpa, getpagesize(), window / getpagesize(),
				  store);
	}
	return ns;
}

#define COUNTER		"/sys/kernel/tracing/instances/vfio_bar_bench"

static void count_stop(void)
{
	rmdir(COUNTER);
}

/* Count kvm_guest_fault until the row ends */
static void count_start(void)
{
	rmdir(COUNTER);
	mkdir(COUNTER, 0700);
	atexit(count_stop);
	bar_write(COUNTER "/events/kvm/kvm_guest_fault/enable", "1");
}

static u64 count(void)
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
	return total;
}

/* Of so many guest_touch(): what each ends with is one, too. */
static u64 faults(int touches)
{
	return count() - touches;
}

/* Faults on memory that the VMM has touched, each on its own */
static void measure_faults(const char *name, bool store)
{
	u64 stride = getpagesize(), nr = slot.size / stride, i;
	int run;

	for (i = 0; i < nr; i++) {
		READ_ONCE(*(u32 *)(slot.hva + i * stride));
		bar_vm_map(&bv, slot.gpa + i * stride);
	}
	/* The first time there are no tables. */
	for (run = 0; run <= RUNS; run++) {
		bar_vm_slot(&bv, &slot, slot.size);
		i = guest_touch(slot.gpa, stride, nr, store);
		if (run)
			put(i / nr, "%s: instructions a fault", name);
		bar_vm_slot(&bv, &slot, 0);
	}
	bar_vm_slot(&bv, &slot, slot.size);
	count_start();
	guest_touch(slot.gpa, stride, nr, store);
	if (faults(1) != nr)
		bar_fail("%lu faults, not %lu", faults(1), nr);
}

static void test_ram(void)
{
	start();
	slot.size = NR_PAGES * getpagesize();
	slot.hva = mmap(NULL, slot.size, BAR_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(slot.hva != MAP_FAILED, "mmap: %s", strerror(errno));
	madvise(slot.hva, slot.size, MADV_NOHUGEPAGE);
	memset(slot.hva, 0, slot.size);
	bar_vm_add(&bv, &slot);
	bar_vm_slot(&bv, &slot, 0);
	measure_faults("RAM 4K", true);
}

/* Too small for a block */
static void small_bar(const char *name, bool store)
{
	start();
	bar_skip_if(store && !bar_dev.may_write,
		    "%s may not be written to: name it in KVM_VFIO_BAR_WRITE if its BARs are plain memory",
		    bar_dev.bdf);
	slot.size = NR_PAGES * getpagesize();
	slot.hva = vfio_bar_mmap(&bar_dev, NULL, BAR_RW, 0, slot.size);
	TEST_ASSERT(slot.hva, "%s", vfio_bar_why());
	bar_vm_add(&bv, &slot);
	bar_vm_slot(&bv, &slot, 0);
	measure_faults(name, store);
}

static void test_bar_read(void)
{
	small_bar("BAR 4K, read", false);
}

static void test_bar_write(void)
{
	small_bar("BAR 4K, write", true);
}

static void map(void)
{
	slot.hva = vfio_bar_mmap(&bar_dev, slot.hva, BAR_RW, 0, slot.size);
	TEST_ASSERT(slot.hva, "%s", vfio_bar_why());
}

static u64 decode(bool on)
{
	u64 began = now();

	vfio_bar_set_decode(&bar_dev, on);
	return (now() - began) * tick;
}

/* All of it: touched, unmapped, touched, revoked, touched */
static void whole(const char *name, size_t size, int runs)
{
	static const char * const what[] = {
		"touch it", "munmap", "touch it again", "decode off",
		"touch it once more",
	};
	u64 began, took[ARRAY_SIZE(what)];
	int windows = (size + MAX_WINDOW - 1) / MAX_WINDOW, run, i;
	struct kvm_memattr_leaf leaf;

	start();
	slot.size = size;
	map();
	bar_vm_add(&bv, &slot);
	/* The first of several is not like the others: not all tables are there. */
	for (run = runs == 1; run <= runs; run++) {
		took[0] = touch_all(false);
		began = now();
		munmap(slot.hva, slot.size);
		took[1] = (now() - began) * tick;
		map();
		took[2] = touch_all(false);
		took[3] = decode(false);
		if (!memattr_leaf(&bar_machine, bv.vm->fd, slot.gpa, &leaf))
			bar_fail("a leaf is still there");
		decode(true);
		took[4] = touch_all(false);
		munmap(slot.hva, slot.size);
		map();
		for (i = 0; run && i < ARRAY_SIZE(what); i++)
			put(took[i], "BAR of %s: instructions, %s", name, what[i]);
	}
	count_start();
	touch_all(false);
	put(faults(windows), "BAR of %s: faults", name);
}

static void test_64m(void)
{
	whole("64 MiB", SZ_64M, RUNS);
}

static void test_1g(void)
{
	whole("1 GiB", SZ_1G, 1);
}

/* The VMM touches a page in 2M. To touch all would take as much memory. */
static void test_sparse(void)
{
	u64 offset, began, ns, longest, all;
	int run;

	start();
	slot.size = bar_dev.size;
	map();
	for (run = 0; run < RUNS; run++) {
		longest = 0;
		all = 0;
		for (offset = 0; offset < slot.size; offset += SZ_2M) {
			began = now();
			READ_ONCE(*(u32 *)(slot.hva + offset));
			ns = (now() - began) * tick;
			if (!offset)
				put(ns, "BAR of 32 GiB: instructions, first touch");
			longest = ns > longest ? ns : longest;
			all += ns;
		}
		put(longest, "BAR of 32 GiB: instructions, longest fault");
		put(all, "BAR of 32 GiB: instructions, touch each 2M");
		put(decode(false), "BAR of 32 GiB: instructions, decode off");
		put(decode(true), "BAR of 32 GiB: instructions, decode on");
	}
}

static const struct vfio_bar_want large = {
	.what = "a BAR of 64M", .min_size = SZ_64M,
};

static const struct vfio_bar_want giant = {
	.what = "a BAR of 1G", .min_size = SZ_1G,
};

static const struct vfio_bar_want sparse = {
	.what = "a BAR of 32G", .min_size = 32UL * SZ_1G,
};

static const struct test_case {
	const char *name;
	const struct vfio_bar_want *want;
	void (*run)(void);
} cases[] = {
	{ "faults on RAM, 4K", &large, test_ram },
	{ "faults on a BAR, read", &large, test_bar_read },
	{ "faults on a BAR, write", &large, test_bar_write },
	{ "a BAR of 64 MiB", &large, test_64m },
	{ "a BAR of 1 GiB", &giant, test_1g },
	{ "a BAR of 32 GiB", &sparse, test_sparse },
};

static void run(const void *arg)
{
	const struct test_case *t = arg;

	t->run();
}

int main(int argc, char *argv[])
{
	const struct test_case *t;

	bar_start(ARRAY_SIZE(cases));
	for (t = cases; t < cases + ARRAY_SIZE(cases); t++)
		bar_row(t->name, t->want, run, t);
	memattr_finish();
}
