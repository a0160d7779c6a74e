// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a guest's view of BARs and memory stay right when everything happens at
 * once?
 *
 * The vCPUs of several VMs, each VM a process, read and write the pages of three
 * memslots without end: a BAR that vfio-pci maps, one that sysfs maps, and RAM.
 * Each VMM meanwhile unmaps, maps other things in their place, moves, protects,
 * forks, and changes its memslots; the device stops decoding and is reset; VMMs
 * are killed. At any time:
 *
 *  - a stage-2 leaf is that of what the VMM has mapped there: the address, the
 *    type, no more permissions; and there is none where nothing is mapped,
 *  - there is no leaf that leads to a device that does not decode,
 *  - what a guest reads is what has been mapped there; from the return of the
 *    system call that took a mapping away, not one access is made by it. One may
 *    be counted late, as the guest counts after it has read.
 *
 * None of it depends on how fast anything is. "-sSECONDS" is how long to do it.
 *
 * mprotect(PROT_NONE) is left out. vfio's fault handler has no part in it: what
 * the guest then finds differs between kernels, and with a block a vCPU takes
 * the same fault for ever.
 */
#define _GNU_SOURCE

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "memattr/bar_vm.h"

#define NR_VMS		4
#define MAX_PAGES	32
/* Of a memslot, the pages of which are this far apart at most */
#define MAX_STRIDE	(SZ_4M / MAX_PAGES)
/* Of the pages of a memslot, one in so many is looked at each time. */
#define SAMPLE		4
/* Below this a machine has to take its time. */
#define MIN_ROUNDS	10

/* What a page of a memslot can be; and what is counted, reads and stores */
enum kind {
	VFIO,
	SYSFS,
	RAM,
	NR_KINDS,
	NOTHING = NR_KINDS,
	STORED = NR_KINDS,
	NR_COUNTS,
};

/* A memslot is named after what it has first. SYSFS is not anywhere else. */
#define NR_SLOTS	NR_KINDS

/* The first word of each page of a kind, and what an access finds that fails */
#define WORD(kind, page)	(0x5a000000u | (kind) << 20 | (page))
#define NO_WORD			0x0ff00ff0u
/* From here on each vCPU has a word in each page to store to. */
#define SCRATCH			64

/* Shared by all processes, written to by the guests */
struct counts {
	u64 n[NR_SLOTS][MAX_PAGES][NR_COUNTS];
	u64 wrong;	/* what was read that must not be there, and bit 32 */
};

static union {
	struct counts c;
	char page[SZ_64K];
} *counts;

#define COUNTS_GPA	(2ULL << 30)

/* Shared by all processes, written to by one each */
static struct shared {
	int vm_fd;
	u64 gpa[NR_SLOTS];
	u64 events, refused, leaves;
} *shared;

/* In guest memory */
static struct view {
	u64 base[NR_SLOTS];
	u64 pages, stride;
	u64 id, first;
} view;

static u32 load32(u64 addr)
{
	u32 val = NO_WORD;

	asm volatile("ldr %w0, [%1]" : "+&r" (val) : "r" (addr) : "memory");
	return val;
}

static u64 load64(u64 addr)
{
	u64 val = 0;

	asm volatile("ldr %0, [%1]" : "+&r" (val) : "r" (addr) : "memory");
	return val;
}

static void store64(u64 addr, u64 val)
{
	asm volatile("str %0, [%1]" : : "r" (val), "r" (addr) : "memory");
}

/* An access that fails is stepped over. */
static void guest_code(u64 cpu, struct counts *c)
{
	u64 scratch = SCRATCH + (view.id + cpu) * sizeof(u64);
	u64 x = view.first + cpu, stored = view.first, addr;
	int slot, page, what;
	u32 val;

	for (;;) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		slot = (x >> 32) % NR_SLOTS;
		page = (x >> 40) % view.pages;
		addr = view.base[slot] + page * view.stride;
		if (slot != SYSFS && x >> 62 == 0) {
			store64(addr + scratch, ++stored);
			if (load64(addr + scratch) != stored)
				continue;
			what = STORED;
		} else {
			val = load32(addr);
			if (val == NO_WORD)
				continue;
			if (val == WORD(VFIO, page * view.stride / SZ_4K))
				what = VFIO;
			else if (val == WORD(RAM, page * view.stride / SZ_4K))
				what = RAM;
			else
				what = SYSFS;
			if (what == SYSFS && slot != SYSFS)
				WRITE_ONCE(c->wrong, val | 1ULL << 32);
		}
		WRITE_ONCE(c->n[slot][page][what], c->n[slot][page][what] + 1);
	}
}

static u8 vfio_type;
/* Mappings that were made without a fault are revoked. */
static bool moves;
static struct vfio_bar plain;
static void *ram;
static int seconds = 6;

static struct counts *counts_of(int vm, int cpu)
{
	return &counts[vm * BAR_VM_VCPUS + cpu].c;
}

/* Nothing that these guests do may be counted more than once from now on. */
struct watch {
	int vm, slot, first, nr;
	unsigned int kinds;
	u64 seen[BAR_VM_VCPUS];
};

static u64 sum(const struct watch *w, int cpu)
{
	struct counts *c = counts_of(w->vm, cpu);
	u64 n = 0;
	int page, k;

	for (page = w->first; page < w->first + w->nr; page++)
		for (k = 0; k < NR_COUNTS; k++)
			if (w->kinds & 1 << k)
				n += READ_ONCE(c->n[w->slot][page][k]);
	return n;
}

static void watch(struct watch *w)
{
	int cpu;

	for (cpu = 0; cpu < BAR_VM_VCPUS; cpu++)
		w->seen[cpu] = sum(w, cpu);
}

static void check_watch(const struct watch *w, const char *what)
{
	u64 late, wrong;
	int cpu;

	for (cpu = 0; cpu < BAR_VM_VCPUS; cpu++) {
		late = sum(w, cpu) - w->seen[cpu];
		wrong = READ_ONCE(counts_of(w->vm, cpu)->wrong);
		if (late > 1)
			bar_fail("VM %d, vCPU %d: %lu accesses to memslot %d since %s",
				 w->vm, cpu, late, w->slot, what);
		if (wrong)
			bar_fail("VM %d, vCPU %d has read 0x%x", w->vm, cpu,
				 (u32)wrong);
	}
}

/* A VM: its process, and what that has mapped */

static int me;
static struct bar_vm bv;
static struct bar_slot slots[NR_SLOTS];
static struct page {
	enum kind kind;
	bool writable;
} pages[NR_SLOTS][MAX_PAGES];
/* An address to move things to */
static void *aside;

static void *hva_of(int slot, int page)
{
	return slots[slot].hva + page * view.stride;
}

static void set_pages(int slot, int first, int nr, enum kind kind)
{
	while (nr--)
		pages[slot][first++] = (struct page) { kind, kind != NOTHING };
}

static void map(int slot, int first, int nr, enum kind kind)
{
	size_t offset = first * view.stride, size = nr * view.stride;
	void *hva = hva_of(slot, first), *p = hva;

	switch (kind) {
	case VFIO:
		p = vfio_bar_mmap(&bar_dev, hva, BAR_RW, offset, size);
		break;
	case SYSFS:
		p = vfio_bar_mmap(&plain, hva, BAR_RW, offset, size);
		break;
	case RAM:
		p = mremap(ram + offset, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, hva);
		break;
	default:
		munmap(hva, size);
	}
	if (p != hva)
		bar_fail("mapping: %s", strerror(errno));
	set_pages(slot, first, nr, kind);
}

static void check_page(int slot, int page, u64 gpa)
{
	static const char * const name[] = { "vfio-pci", "sysfs", "RAM", "nothing", };
	static const u8 type[] = {
		[SYSFS] = MEMATTR_DEVICE_nGnRE, [RAM] = MEMATTR_NORMAL_WB,
	};
	const struct page *p = &pages[slot][page];
	struct kvm_memattr_leaf leaf;
	const char *why;
	u64 pa;

	shared[me].leaves++;
	if (memattr_leaf(&bar_machine, bv.vm->fd, gpa + page * view.stride, &leaf))
		return;
	if (p->kind == NOTHING)
		bar_fail("a leaf where nothing is mapped, descriptor 0x%llx",
			 leaf.desc);
	/* Fewer permissions are fine, the next store asks for more. */
	why = memattr_check_leaf(&leaf, p->kind == VFIO ? vfio_type : type[p->kind],
				 p->writable && leaf.s2ap & 2);
	if (why)
		bar_fail("%s: %s", name[p->kind], why);
	pa = (p->kind == VFIO ? bar_dev.pa : plain.pa) + page * view.stride;
	if (p->kind != RAM && leaf.oa + (leaf.ipa - leaf.base) != pa)
		bar_fail("%s: the leaf leads to 0x%llx, not to 0x%lx",
			 name[p->kind], leaf.oa + (leaf.ipa - leaf.base), pa);
}

static void check_slot(int slot, u64 gpa)
{
	int page;

	for (page = rand() % SAMPLE; page < view.pages; page += SAMPLE)
		check_page(slot, page, gpa);
}

/* Some time for the guests: none, or as much as it takes them to come back */
static void dwell(void)
{
	if (rand() % 4)
		usleep(rand() % 1000);
}

/* Something else in its place, or nothing */
static void replace(int slot, int first, int nr)
{
	static const enum kind others[] = { VFIO, RAM, NOTHING, };
	enum kind kind = others[rand() % ARRAY_SIZE(others)];
	struct watch w = {
		me, slot, first, nr, ((1 << NR_KINDS) - 1) & ~(1 << kind),
	};

	map(slot, first, nr, kind);
	watch(&w);
	check_slot(slot, slots[slot].gpa);
	dwell();
	check_slot(slot, slots[slot].gpa);
	check_watch(&w, "something else was mapped");
	/* Back to where a vCPU finds all of it, half of the time */
	if (rand() % 2)
		map(slot, 0, view.pages, slot);
}

static void protect(int slot, int first, int nr)
{
	struct watch w = { me, slot, first, nr, 1 << STORED, };
	int i;

	map(slot, first, nr, slot);
	dwell();
	if (mprotect(hva_of(slot, first), nr * view.stride, PROT_READ))
		bar_fail("mprotect: %s", strerror(errno));
	watch(&w);
	for (i = first; i < first + nr; i++)
		pages[slot][i].writable = false;
	check_slot(slot, slots[slot].gpa);
	dwell();
	check_slot(slot, slots[slot].gpa);
	check_watch(&w, "it is read-only");
	if (mprotect(hva_of(slot, first), nr * view.stride, BAR_RW))
		bar_fail("mprotect: %s", strerror(errno));
	set_pages(slot, first, nr, slot);
}

/* Away, and back: no page table entry comes by a fault. */
static void move(int slot, int first, int nr)
{
	struct watch w = { me, slot, first, nr, -1, };
	size_t size = nr * view.stride;
	void *hva = hva_of(slot, first);

	map(slot, first, nr, slot);
	dwell();
	if (mremap(hva, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, aside) != aside)
		bar_fail("mremap: %s", strerror(errno));
	watch(&w);
	set_pages(slot, first, nr, NOTHING);
	check_slot(slot, slots[slot].gpa);
	dwell();
	check_slot(slot, slots[slot].gpa);
	check_watch(&w, "it was moved");
	if (mremap(aside, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, hva) != hva)
		bar_fail("mremap: %s", strerror(errno));
	set_pages(slot, first, nr, slot);
}

/* The memslot is deleted, or is at another address for some time. */
static void change_memslot(int slot, int first, int nr)
{
	struct watch w = { me, slot, 0, view.pages, -1, };
	struct bar_slot *s = &slots[slot];
	struct page was[MAX_PAGES];
	u64 gpa = s->gpa;

	if (first % 2) {
		bar_vm_slot(&bv, s, 0);
	} else {
		s->gpa += SZ_1G;
		bar_vm_slot(&bv, s, s->size);
		check_slot(slot, s->gpa);
	}
	watch(&w);
	memcpy(was, pages[slot], sizeof(was));
	set_pages(slot, 0, view.pages, NOTHING);
	check_slot(slot, gpa);
	dwell();
	check_slot(slot, gpa);
	check_watch(&w, "the memslot was taken away");
	memcpy(pages[slot], was, sizeof(was));
	s->gpa = gpa;
	bar_vm_slot(&bv, s, s->size);
}

/* Memory goes and comes back, all of it at once. */
static void discard(int slot, int first, int nr)
{
	int i;

	map(RAM, 0, view.pages, RAM);
	for (i = 0; i < 4; i++) {
		check_slot(RAM, slots[RAM].gpa);
		dwell();
		madvise(slots[RAM].hva, view.pages * view.stride, MADV_DONTNEED);
		dwell();
	}
}

static void fork_and_exit(int slot, int first, int nr)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	dwell();
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		bar_fail("fork: %s", strerror(errno));
}

static void (*const events[])(int slot, int first, int nr) = {
	replace, replace, protect, change_memslot, discard, discard,
	/* From here on with @moves */
	move, fork_and_exit,
};

static void *vcpu_thread(void *arg)
{
	struct kvm_vcpu *vcpu = arg;
	struct kvm_run *run = vcpu->run;
	const u32 no_word[] = { NO_WORD, NO_WORD, };
	u64 pc;
	int i;

	for (;;) {
		if (__vcpu_run(vcpu)) {
			if (errno == EINTR)
				continue;
			if (errno != EFAULT)
				bar_fail("KVM_RUN: %s", strerror(errno));
			pc = memattr_vcpu_reg(vcpu, ARM64_CORE_REG(regs.pc));
			vcpu_set_reg(vcpu, ARM64_CORE_REG(regs.pc), pc + 4);
			shared[me].refused++;
			continue;
		}
		for (i = 0; i < NR_SLOTS; i++)
			if (run->mmio.phys_addr - view.base[i] < slots[i].size)
				break;
		if (run->exit_reason != KVM_EXIT_MMIO || i == NR_SLOTS)
			bar_fail("a vCPU ended: exit reason %u, 0x%llx",
				 run->exit_reason, run->mmio.phys_addr);
		memcpy(run->mmio.data, no_word, sizeof(no_word));
	}
	return NULL;
}

static void vmm(u64 generation)
{
	u64 size = view.pages * view.stride, gpa;
	struct bar_slot c = { .window = NR_SLOTS, .gpa = COUNTS_GPA, };
	int slot, cpu, page;
	pthread_t thread;

	bar_vm_create(&bv, guest_code);
	aside = mmap(NULL, size, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (slot = 0; slot < NR_SLOTS; slot++) {
		slots[slot].window = slot;
		slots[slot].size = size;
		slots[slot].hva = vfio_bar_pick_address(&bar_dev, 0, size);
		map(slot, 0, view.pages, slot);
		bar_vm_add(&bv, &slots[slot], 0);
		view.base[slot] = slots[slot].gpa;
		shared[me].gpa[slot] = slots[slot].gpa;
		for (page = 0; page < view.pages; page++)
			bar_vm_map(&bv, slots[slot].gpa + page * view.stride);
	}
	c.hva = counts_of(me, 0);
	c.size = BAR_VM_VCPUS * sizeof(*counts);
	bar_vm_slot(&bv, &c, c.size);
	for (gpa = c.gpa; gpa < c.gpa + c.size; gpa += bv.vm->page_size)
		virt_pg_map(bv.vm, gpa, gpa);

	view.id = me * BAR_VM_VCPUS;
	/* No stored value comes twice. */
	view.first = generation << 32;
	sync_global_to_guest(bv.vm, view);
	srand(generation);
	for (cpu = 0; cpu < BAR_VM_VCPUS; cpu++) {
		vcpu_args_set(bv.vcpus[cpu], 2, (u64)cpu,
			      COUNTS_GPA + cpu * sizeof(*counts));
		if (pthread_create(&thread, NULL, vcpu_thread, bv.vcpus[cpu]))
			bar_fail("pthread_create");
	}
	WRITE_ONCE(shared[me].vm_fd, bv.vm->fd);
	for (;;) {
		int first = rand() % view.pages;
		int nr = 1 + rand() % (view.pages - first);

		slot = rand() % NR_SLOTS;
		events[rand() % (ARRAY_SIZE(events) - (moves ? 0 : 2))](slot, first,
									  nr);
		check_slot(slot, slots[slot].gpa);
		shared[me].events++;
	}
}

/* What is above all VMs */

static pid_t pids[NR_VMS];
/* Each VM, by a descriptor that outlives its VMM */
static int vm_fds[NR_VMS];
static u64 pages_of[NR_VMS], strides[NR_VMS];

static void check_alive(void)
{
	int status;

	if (waitpid(-1, &status, WNOHANG))
		bar_fail("a VMM has ended, status 0x%x", status);
}

static void start(int vm)
{
	static u64 generation;
	int pidfd;

	generation++;
	shared[vm].vm_fd = -1;
	memset(counts_of(vm, 0), 0, BAR_VM_VCPUS * sizeof(*counts));
	pids[vm] = fork();
	TEST_ASSERT(pids[vm] >= 0, "fork: %s", strerror(errno));
	if (!pids[vm]) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		me = vm;
		view.pages = pages_of[vm];
		view.stride = strides[vm];
		vmm(generation);
	}
	while (READ_ONCE(shared[vm].vm_fd) < 0) {
		check_alive();
		usleep(1000);
	}
	pidfd = syscall(SYS_pidfd_open, pids[vm], 0);
	vm_fds[vm] = syscall(SYS_pidfd_getfd, pidfd, shared[vm].vm_fd, 0);
	TEST_ASSERT(vm_fds[vm] >= 0, "pidfd_getfd: %s", strerror(errno));
	close(pidfd);
}

/* No leaf of a VM leads to the BAR of vfio-pci; or there is none at all. */
static void check_no_leaf(int vm, bool any, const char *when)
{
	struct kvm_memattr_leaf leaf;
	int slot, page;

	for (slot = 0; slot < NR_SLOTS; slot++) {
		for (page = rand() % SAMPLE; page < pages_of[vm]; page += SAMPLE) {
			shared[vm].leaves++;
			if (memattr_leaf(&bar_machine, vm_fds[vm],
					 shared[vm].gpa[slot] + page * strides[vm],
					 &leaf))
				continue;
			if (any || leaf.oa - bar_dev.pa < bar_dev.size)
				bar_fail("VM %d has a leaf %s, descriptor 0x%llx",
					 vm, when, leaf.desc);
		}
	}
}

static void stop(int vm)
{
	kill(pids[vm], SIGKILL);
	TEST_ASSERT(waitpid(pids[vm], NULL, 0) == pids[vm], "waitpid: %s",
		    strerror(errno));
	check_no_leaf(vm, true, "after its VMM was killed");
	close(vm_fds[vm]);
}

static void decode_off_and_on(void)
{
	struct watch w[NR_VMS][NR_SLOTS];
	int vm, slot;

	vfio_bar_set_decode(&bar_dev, false);
	for (vm = 0; vm < NR_VMS; vm++) {
		for (slot = 0; slot < NR_SLOTS; slot++) {
			w[vm][slot] = (struct watch) {
				vm, slot, 0, pages_of[vm], 1 << VFIO,
			};
			watch(&w[vm][slot]);
		}
	}
	for (vm = 0; vm < NR_VMS; vm++)
		check_no_leaf(vm, false, "to a BAR that is not decoded");
	dwell();
	for (vm = 0; vm < NR_VMS; vm++) {
		check_no_leaf(vm, false, "to a BAR that is not decoded");
		for (slot = 0; slot < NR_SLOTS; slot++)
			check_watch(&w[vm][slot], "it is not decoded");
	}
	vfio_bar_set_decode(&bar_dev, true);
}

/*
 * The type that this kernel gives the BAR; and does it revoke a mapping that was
 * moved? vfio_bar_memattr and vfio_bar_guest judge that.
 */
static void probe(void)
{
	struct kvm_memattr_leaf leaf;
	struct bar_slot slot = {};

	bar_vm_create(&bv, NULL);
	bar_vm_add_bar(&bv, &slot, &bar_dev, BAR_RW, 0);
	vfio_type = bar_vm_mmio_type(&bv, slot.gpa);
	bar_vm_slot(&bv, &slot, 0);
	slot.hva = vfio_bar_move(&bar_dev, slot.hva, slot.size);
	bar_vm_slot(&bv, &slot, slot.size);
	bar_vm_expect(&bv, BAR_READ32, slot.gpa, BAR_OK);
	vfio_bar_set_decode(&bar_dev, false);
	moves = memattr_leaf(&bar_machine, bv.vm->fd, slot.gpa, &leaf);
	vfio_bar_set_decode(&bar_dev, true);
	munmap(slot.hva, slot.size);
	kvm_vm_free(bv.vm);
	printf("# the BAR is %s at stage 2, and %srevoked after mremap() and fork()\n",
	       memattr_name(vfio_type), moves ? "" : "not ");
}

static void fill(void *p, enum kind kind, size_t size)
{
	size_t offset;

	for (offset = 0; offset < size; offset += getpagesize())
		WRITE_ONCE(*(u32 *)(p + offset), WORD(kind, offset / SZ_4K));
}

static void set_up(void)
{
	size_t size = bar_dev.size < SZ_4M ? bar_dev.size : SZ_4M;
	static const struct vfio_bar none = { .fd = -1, };
	void *p;
	int vm;

	bar_skip_if(!bar_dev.may_write,
		    "%s may not be written to: name it in KVM_VFIO_BAR_WRITE if its BARs are plain memory",
		    bar_dev.bdf);
	/* Another function's, whatever is allowed: this one stops decoding. */
	if (!vfio_bar_open_plain(&plain, &none, BAR_SYSFS, size))
		bar_skip("%s", vfio_bar_why());
	probe();
	p = vfio_bar_mmap(&bar_dev, NULL, BAR_RW, 0, size);
	TEST_ASSERT(p, "%s", vfio_bar_why());
	fill(p, VFIO, size);
	munmap(p, size);
	ram = bar_shared(size);
	fill(ram, RAM, size);
	shared = bar_shared(NR_VMS * sizeof(*shared));
	counts = bar_shared(NR_VMS * BAR_VM_VCPUS * sizeof(*counts));
	for (vm = 0; vm < NR_VMS; vm++) {
		/* Half of them with pages so far apart that there are blocks */
		strides[vm] = getpagesize();
		if (vm % 2 && size / MAX_PAGES > strides[vm])
			strides[vm] = size / MAX_PAGES;
		pages_of[vm] = size / strides[vm];
		pages_of[vm] = pages_of[vm] < MAX_PAGES ? pages_of[vm] : MAX_PAGES;
		start(vm);
	}
}

static u64 events_so_far(bool least)
{
	u64 n = least ? -1 : 0;
	int vm;

	for (vm = 0; vm < NR_VMS; vm++) {
		u64 e = READ_ONCE(shared[vm].events);

		n = !least ? n + e : e < n ? e : n;
	}
	return n;
}

struct test_case {
	const char *name;
	struct vfio_bar_want want;
};

static const struct test_case cases[] = {
	{ "a BAR of many pages",
	  { .what = "a BAR of 4M", .min_size = SZ_4M, .named = true, } },
	{ "a BAR, and resets",
	  { .what = "a BAR, and a reset", .reset = "", .named = true, } },
};

static void run(const void *arg)
{
	u64 rounds = 0, resets = 0, killed = 0, refused = 0, leaves = 0;
	const struct test_case *t = arg;
	long began, ms = 0, said = 0, length = seconds * 1000 / ARRAY_SIZE(cases);
	int vm;

	alarm(length / 1000 + 120);
	set_up();
	bar_count_start("kvm/kvm_guest_fault");
	began = bar_now_ms();
	while (ms < length || rounds < MIN_ROUNDS || !events_so_far(true)) {
		decode_off_and_on();
		dwell();
		if (t->want.reset && !(rounds % 8)) {
			if (ioctl(bar_dev.fd, VFIO_DEVICE_RESET))
				bar_fail("VFIO_DEVICE_RESET: %s", strerror(errno));
			resets++;
		}
		if (!(rounds++ % 128)) {
			vm = rounds / 128 % NR_VMS;
			stop(vm);
			start(vm);
			killed++;
		}
		check_alive();
		ms = bar_now_ms() - began;
		if (ms - said < 10000)
			continue;
		said = ms;
		printf("# %s: %ld s, %ld faults\n", t->name, ms / 1000, bar_count());
	}
	for (vm = 0; vm < NR_VMS; vm++) {
		refused += shared[vm].refused;
		leaves += shared[vm].leaves;
		stop(vm);
	}
	printf("# %s: %ld s: %ld faults (%ld a second), %lu accesses refused",
	       t->name, ms / 1000, bar_count(), bar_count() * 1000 / ms, refused);
	printf(", %lu changes of mappings and memslots, decode off %lu times",
	       events_so_far(false), rounds);
	printf(", %lu resets, %lu VMMs killed; %lu looks at leaves\n", resets,
	       killed, leaves);
}

int main(int argc, char *argv[])
{
	const struct test_case *t;

	if (argc == 2 && !strncmp(argv[1], "-s", 2))
		seconds = atoi(argv[1] + 2);
	if (argc > 2 || seconds <= 0)
		ksft_exit_fail_msg("usage: %s [-sSECONDS]\n", argv[0]);
	bar_start(ARRAY_SIZE(cases));
	for (t = cases; t < cases + ARRAY_SIZE(cases); t++)
		bar_row(t->name, &t->want, run, t);
	memattr_finish();
}
