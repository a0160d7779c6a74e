// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative controls: what must not get the memory type of a vfio-pci BAR.
 *
 * Only a VMA that says so may be mapped Normal-NC at stage 2.  The same BAR
 * mapped by anyone else, the GICv2 virtual CPU interface, and RAM of any kind
 * keep the types they always had: Device-nGnRE and Normal Write-Back.  That
 * includes neighbours of such a VMA in one and the same memslot.
 *
 * All cases pass on any kernel, but those of a vfio-pci BAR next to something
 * else that end in "Normal-NC": these need VM_ALLOW_ANY_UNCACHED.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/sizes.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#include "bar_vm.h"
#include "memattr.h"
#include "vfio_bar.h"

#define NR_MAX_DEVS	8
#define RW		(PROT_READ | PROT_WRITE)

/* More than this is too much to ask of a small machine for a huge page. */
#define MAX_HUGE	SZ_64M

/* Guest physical addresses of the GICv2, below all windows. */
#define GICD_GPA	0x30000000ULL
#define GICV_GPA	0x30100000ULL

static struct memattr_machine machine;
static struct vfio_pci_dev devs[NR_MAX_DEVS];
static int nr_devs;
static struct vfio_pci_dev *main_dev;
static int main_bar;
static struct bar_vm bv;

static char why[512], no_bar[512];

enum memory {
	SYSFS,
	SYSFS_WC,
	DEV_MEM,
	ANON,
	HUGETLB,
	THP,
	NR_MEMORY,
};

enum part { FLAGGED, UNFLAGGED, RAM, NR_PARTS };

struct test_case {
	const char *name;
	void (*run)(const struct test_case *t);
	enum memory memory;
	uint8_t s1;
	enum part part;
	enum part order[NR_PARTS];
};

/* What each kind of memory is at stage 2, on any kernel. */
static const struct {
	const char *vma;
	uint8_t type;
	bool ram;
} memory[NR_MEMORY] = {
	[SYSFS]    = { "sysfs",    MEMATTR_DEVICE_nGnRE },
	[SYSFS_WC] = { "sysfs-wc", MEMATTR_DEVICE_nGnRE },
	[DEV_MEM]  = { "devmem",   MEMATTR_DEVICE_nGnRE },
	[ANON]     = { "anon",     MEMATTR_NORMAL_WB, true },
	[HUGETLB]  = { "hugetlb",  MEMATTR_NORMAL_WB, true },
	[THP]      = { "thp",      MEMATTR_NORMAL_WB, true },
};

static unsigned long read_number(const char *path, const char *key)
{
	unsigned long val = 0;
	char line[256];
	FILE *f;

	f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		val = strtoul(line + strlen(key), NULL, 0);
		break;
	}
	fclose(f);
	return val;
}

static bool write_number(const char *path, unsigned long val)
{
	FILE *f = fopen(path, "w");
	bool ok;

	if (!f)
		return false;
	ok = fprintf(f, "%lu\n", val) > 0;
	return !fclose(f) && ok;
}

/* /dev/mem, which is noncached because the physical address is not RAM. */
static void *map_dev_mem(size_t size)
{
	void *p;
	int fd;

	fd = open("/dev/mem", O_RDWR | O_SYNC);
	if (fd < 0) {
		snprintf(why, sizeof(why),
			 "/dev/mem: %s: needs root and CONFIG_DEVMEM",
			 strerror(errno));
		return NULL;
	}
	p = mmap(NULL, size, RW, MAP_SHARED, fd, main_dev->bar[main_bar].start);
	if (p == MAP_FAILED)
		snprintf(why, sizeof(why),
			 "mmap of /dev/mem: %s: needs CONFIG_IO_STRICT_DEVMEM off, or iomem=relaxed, and no lockdown",
			 strerror(errno));
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static void *map_hugetlb(size_t *size)
{
	unsigned long old;
	char nr[128];
	void *p;

	*size = read_number("/proc/meminfo", "Hugepagesize:") * 1024;
	if (!*size || *size > MAX_HUGE) {
		snprintf(why, sizeof(why),
			 "the default huge page has %zu bytes: use CONFIG_HUGETLBFS and default_hugepagesz= of at most 64M",
			 *size);
		return NULL;
	}
	snprintf(nr, sizeof(nr),
		 "/sys/kernel/mm/hugepages/hugepages-%zukB/nr_hugepages",
		 *size / 1024);
	old = read_number(nr, "");
	p = mmap(NULL, *size, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
		 -1, 0);
	if (p == MAP_FAILED && write_number(nr, old + 1)) {
		p = mmap(NULL, *size, RW,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
		/* It goes when the mapping does: until then it is surplus. */
		write_number(nr, old);
	}
	if (p == MAP_FAILED) {
		snprintf(why, sizeof(why),
			 "no huge page to be had: write a number to %s", nr);
		return NULL;
	}
	return p;
}

static void *map_thp(size_t *size)
{
	uintptr_t addr;
	void *p;

	*size = read_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
			    "");
	if (!*size || *size > MAX_HUGE) {
		snprintf(why, sizeof(why),
			 "a transparent huge page has %zu bytes: use CONFIG_TRANSPARENT_HUGEPAGE and a granule of 4K or 16K",
			 *size);
		return NULL;
	}
	p = mmap(NULL, 2 * *size, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(p != MAP_FAILED, "mmap: %s", strerror(errno));
	addr = ((uintptr_t)p + *size - 1) & ~(*size - 1);
	munmap(p, 2 * *size);
	p = mmap((void *)addr, *size, RW,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	TEST_ASSERT(p == (void *)addr, "mmap: %s", strerror(errno));
	if (madvise(p, *size, MADV_HUGEPAGE)) {
		snprintf(why, sizeof(why),
			 "MADV_HUGEPAGE: %s: set transparent_hugepage/enabled to madvise",
			 strerror(errno));
		munmap(p, *size);
		return NULL;
	}
	memset(p, 0, *size);
	if (!read_number("/proc/self/smaps_rollup", "AnonHugePages:")) {
		snprintf(why, sizeof(why),
			 "the kernel gave no transparent huge page: set transparent_hugepage/enabled to madvise, free memory");
		munmap(p, *size);
		return NULL;
	}
	return p;
}

/* Make one kind of memory a memslot; false with the reason in why[]. */
static bool add_memory(struct bar_slot *slot, enum memory kind)
{
	size_t size = 16 * getpagesize();
	void *hva = NULL;

	memset(slot, 0, sizeof(*slot));
	if (!memory[kind].ram && !main_dev) {
		snprintf(why, sizeof(why), "%s", no_bar);
		return false;
	}
	switch (kind) {
	case SYSFS:
	case SYSFS_WC:
		if (bar_vm_add_bar(&bv, slot, 0, kind == SYSFS ? BAR_SYSFS :
				   BAR_SYSFS_WC, main_dev, main_bar, RW, 0))
			return true;
		snprintf(why, sizeof(why), "%s", vfio_bar_why());
		return false;
	case DEV_MEM:
		size = vfio_pci_bar_map_size(main_dev, main_bar);
		if (size > BAR_VM_MAX_MAP)
			size = BAR_VM_MAX_MAP;
		hva = map_dev_mem(size);
		break;
	case ANON:
		hva = mmap(NULL, size, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		TEST_ASSERT(hva != MAP_FAILED, "mmap: %s", strerror(errno));
		madvise(hva, size, MADV_NOHUGEPAGE);
		break;
	case HUGETLB:
		hva = map_hugetlb(&size);
		break;
	case THP:
		hva = map_thp(&size);
		break;
	default:
		break;
	}
	if (!hva)
		return false;
	/* Or else a read fault would map the zero page, read-only. */
	if (memory[kind].ram)
		memset(hva, 0, size);
	bar_vm_add_mem(&bv, slot, 0, 0, hva, size);
	if (kind == DEV_MEM)
		slot->pa = main_dev->bar[main_bar].start;
	return true;
}

/* The leaf: type, R/W, and for memory that is not RAM, not executable. */
static void test_leaf(const struct test_case *t)
{
	struct bar_leaf_want want = {
		.type = memory[t->memory].type,
		.read = true,
		.write = true,
		.any_exec = memory[t->memory].ram,
	};
	struct kvm_memattr_leaf leaf;
	struct bar_result res;
	struct bar_slot slot;
	bool ok;

	if (!add_memory(&slot, t->memory)) {
		memattr_skip(t->name, "%s", why);
		return;
	}
	want.oa = slot.pa;
	bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);
	res = bar_vm_do(&bv, BAR_READ32, slot.gpa, 0);
	ok = bar_vm_expect(t->name, &res, BAR_OK);
	ok &= bar_vm_check_leaf(&machine, &bv, t->name, slot.gpa, &want);

	/* Huge pages are mapped by blocks of their size, or of a fraction. */
	if ((t->memory == HUGETLB || t->memory == THP) && ok &&
	    !memattr_leaf(&machine, bv.vm->fd, slot.gpa, &leaf) &&
	    leaf.size <= getpagesize()) {
		ksft_print_msg("%s: %zu bytes are mapped by pages\n", t->name,
			       slot.size);
		ok = false;
	}
	bar_vm_remove(&bv, &slot);
	ksft_test_result(ok, "%s\n", t->name);
}

/* Touch an address with a stage-1 type and report the combination. */
static void check_type(const char *name, struct bar_vm *vm, const char *vma,
		       uint64_t gpa, uint8_t s1, uint8_t want)
{
	struct memattr_row row = { .vma = vma, .s1 = s1, .want = want };
	struct bar_result res;
	char full[128];

	snprintf(full, sizeof(full), "%s: stage 1 %s (0x%02x)", name,
		 memattr_name(s1), s1);
	bar_vm_set_type(vm, s1);
	res = bar_vm_do(vm, BAR_READ32, gpa, 0);
	if (!bar_vm_expect(full, &res, BAR_OK)) {
		ksft_test_result_fail("%s\n", full);
		return;
	}
	if (memattr_observe(&machine, vm->vm, vm->vcpu, gpa, gpa, &row)) {
		ksft_print_msg("%s: cannot observe it: %s\n", full,
			       strerror(errno));
		ksft_test_result_fail("%s\n", full);
		return;
	}
	memattr_report(&machine, &row, full);
}

static void test_type(const struct test_case *t)
{
	struct bar_slot slot;
	char full[128];

	if (!add_memory(&slot, t->memory)) {
		snprintf(full, sizeof(full), "%s: stage 1 %s (0x%02x)", t->name,
			 memattr_name(t->s1), t->s1);
		memattr_skip(full, "%s", why);
		return;
	}
	check_type(t->name, &bv, memory[t->memory].vma, slot.gpa, t->s1,
		   memory[t->memory].type);
	bar_vm_remove(&bv, &slot);
}

/*
 * One memslot of three VMAs in a given order: vfio-pci's and sysfs' view of
 * the same BAR, and RAM.  Every page next to a boundary has the type of its
 * own VMA, whatever was touched before it.
 */
static void test_side_by_side(const struct test_case *t)
{
	static const uint8_t type[NR_PARTS] = {
		[FLAGGED] = MEMATTR_NORMAL_NC,
		[UNFLAGGED] = MEMATTR_DEVICE_nGnRE,
		[RAM] = MEMATTR_NORMAL_WB,
	};
	size_t page = getpagesize(), size, len, i, j;
	struct bar_slot slot;
	bool ok = true;
	uint8_t *base;
	void *p;

	if (!main_dev) {
		memattr_skip(t->name, "%s", no_bar);
		return;
	}

	/* Big enough for a block, if the BAR is, and aligned for one. */
	size = vfio_pci_bar_map_size(main_dev, main_bar);
	if (size > SZ_2M)
		size = SZ_2M;
	len = NR_PARTS * size + SZ_2M;
	p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(p != MAP_FAILED, "mmap: %s", strerror(errno));
	base = (uint8_t *)(((uintptr_t)p + SZ_2M - 1) & ~(uintptr_t)(SZ_2M - 1));

	for (i = 0; i < NR_PARTS; i++) {
		void *addr = base + i * size, *q;

		if (t->order[i] == RAM) {
			q = mmap(addr, size, RW,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			TEST_ASSERT(q == addr, "mmap: %s", strerror(errno));
			memset(q, 0, size);
			continue;
		}
		q = t->order[i] == FLAGGED ?
		    vfio_pci_bar_mmap(main_dev, main_bar, addr, RW, 0, size) :
		    vfio_pci_sysfs_mmap(main_dev, main_bar, false, addr, RW, 0,
					size);
		if (!q) {
			memattr_skip(t->name, "%s", vfio_bar_why());
			munmap(p, len);
			return;
		}
	}

	bar_vm_add_mem(&bv, &slot, 0, 0, base, NR_PARTS * size);
	bar_vm_set_type(&bv, MEMATTR_NORMAL_NC);
	for (i = 0; i < NR_PARTS; i++) {
		for (j = 0; j < 2; j++) {
			uint64_t gpa = slot.gpa + i * size +
				       (j ? size - page : 0);
			struct bar_result res;

			bar_vm_map(&bv, gpa);
			res = bar_vm_do(&bv, BAR_READ32, gpa, 0);
			ok &= bar_vm_expect(t->name, &res, BAR_OK);
		}
	}
	/* All are mapped by now: look at the part this case is about. */
	for (i = 0; i < NR_PARTS; i++) {
		if (t->order[i] != t->part)
			continue;
		for (j = 0; j < 2; j++) {
			uint64_t off = j ? size - page : 0;
			struct bar_leaf_want want = {
				.type = type[t->part],
				.read = true,
				.write = true,
				.any_exec = t->part == RAM,
				.oa = t->part == RAM ? 0 :
				      main_dev->bar[main_bar].start + off,
			};

			ok &= bar_vm_check_leaf(&machine, &bv, t->name,
						slot.gpa + i * size + off,
						&want);
		}
	}
	bar_vm_remove(&bv, &slot);
	munmap(p, len);
	ksft_test_result(ok, "%s\n", t->name);
}

/*
 * The GICv2 virtual CPU interface is mapped by kvm_phys_addr_ioremap(), not by
 * a memslot.  Through it, a guest acknowledges interrupts: reordered or merged
 * accesses would hurt more than this guest, so it has to stay Device.
 */
static bool create_gicv2(struct bar_vm *vm)
{
	uint64_t dist = GICD_GPA, cpu = GICV_GPA;
	int fd;

	bar_vm_create(vm);
	fd = __kvm_create_device(vm->vm, KVM_DEV_TYPE_ARM_VGIC_V2);
	if (fd < 0) {
		snprintf(why, sizeof(why),
			 "this host cannot virtualise a GICv2 (%s): use one with a GICv2, or a GICv3 with GICV (QEMU: gic-version=2)",
			 strerror(errno));
		bar_vm_free(vm);
		return false;
	}
	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
			    KVM_VGIC_V2_ADDR_TYPE_DIST, &dist);
	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
			    KVM_VGIC_V2_ADDR_TYPE_CPU, &cpu);
	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
			    KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	close(fd);
	bar_vm_map(vm, GICV_GPA);
	return true;
}

static void test_gicv(const struct test_case *t)
{
	static const struct bar_leaf_want want = {
		.type = MEMATTR_DEVICE_nGnRE,
		.read = true,
		.write = true,
	};
	struct kvm_memattr_leaf leaf;
	struct bar_result res;
	struct bar_vm vm;
	bool ok;

	if (!create_gicv2(&vm)) {
		memattr_skip(t->name, "%s", why);
		return;
	}
	bar_vm_set_type(&vm, MEMATTR_NORMAL_NC);
	res = bar_vm_do(&vm, BAR_READ32, GICV_GPA, 0);
	ok = bar_vm_expect(t->name, &res, BAR_OK);
	if (ok && memattr_leaf(&machine, vm.vm->fd, GICV_GPA, &leaf) &&
	    errno == ENOENT) {
		memattr_skip(t->name,
			     "KVM traps accesses to GICV on this host: use one whose GICV is page aligned");
	} else {
		ok &= bar_vm_check_leaf(&machine, &vm, t->name, GICV_GPA, &want);
		ksft_test_result(ok, "%s\n", t->name);
	}
	bar_vm_free(&vm);
}

static void test_gicv_type(const struct test_case *t)
{
	struct kvm_memattr_leaf leaf;
	struct bar_vm vm;
	char full[128];

	snprintf(full, sizeof(full), "%s: stage 1 %s (0x%02x)", t->name,
		 memattr_name(t->s1), t->s1);
	if (!create_gicv2(&vm)) {
		memattr_skip(full, "%s", why);
		return;
	}
	bar_vm_do(&vm, BAR_READ32, GICV_GPA, 0);
	if (memattr_leaf(&machine, vm.vm->fd, GICV_GPA, &leaf) &&
	    errno == ENOENT)
		memattr_skip(full,
			     "KVM traps accesses to GICV on this host: use one whose GICV is page aligned");
	else
		check_type(t->name, &vm, "gicv", GICV_GPA, t->s1,
			   MEMATTR_DEVICE_nGnRE);
	bar_vm_free(&vm);
}

#define LEAF(_memory, _name) \
	{ .name = _name, .run = test_leaf, .memory = _memory }
#define TYPE(_memory, _name, _s1) \
	{ .name = _name, .run = test_type, .memory = _memory, .s1 = _s1 }
#define SIDE(_part, _name, ...) \
	{ .name = _name, .run = test_side_by_side, .part = _part, \
	  .order = { __VA_ARGS__ } }
#define GICV(_s1) \
	{ .name = "GICV", .run = test_gicv_type, .s1 = _s1 }

static const struct test_case cases[] = {
	/* The BAR, but not through vfio-pci: Device-nGnRE, R/W, XN. */
	LEAF(SYSFS,    "sysfs resourceN: Device-nGnRE"),
	LEAF(SYSFS_WC, "sysfs resourceN_wc: Device-nGnRE"),
	LEAF(DEV_MEM,  "/dev/mem: Device-nGnRE"),
	/* A guest that asks for less than Device does not get it. */
	TYPE(SYSFS_WC, "sysfs resourceN_wc", MEMATTR_NORMAL_NC),
	TYPE(SYSFS_WC, "sysfs resourceN_wc", MEMATTR_NORMAL_WB),
	TYPE(DEV_MEM,  "/dev/mem", MEMATTR_NORMAL_NC),
	TYPE(DEV_MEM,  "/dev/mem", MEMATTR_NORMAL_WB),

	/* RAM: Normal Write-Back, R/W; huge pages by blocks. */
	LEAF(ANON,     "anonymous memory: Normal-WB"),
	LEAF(HUGETLB,  "hugetlb page: Normal-WB"),
	LEAF(THP,      "transparent huge page: Normal-WB"),
	/* A guest gets what Write-Back at stage 2 makes of its type. */
	TYPE(ANON, "anonymous memory", MEMATTR_DEVICE_nGnRnE),
	TYPE(ANON, "anonymous memory", MEMATTR_DEVICE_nGnRE),
	TYPE(ANON, "anonymous memory", MEMATTR_DEVICE_nGRE),
	TYPE(ANON, "anonymous memory", MEMATTR_DEVICE_GRE),
	TYPE(ANON, "anonymous memory", MEMATTR_NORMAL_NC),
	TYPE(ANON, "anonymous memory", MEMATTR_NORMAL_WT),
	TYPE(ANON, "anonymous memory", MEMATTR_NORMAL_WB),

	/* Three VMAs in one memslot: each page has the type of its own. */
	SIDE(FLAGGED,   "vfio, sysfs, RAM: vfio part: Normal-NC",
	     FLAGGED, UNFLAGGED, RAM),
	SIDE(UNFLAGGED, "vfio, sysfs, RAM: sysfs part: Device-nGnRE",
	     FLAGGED, UNFLAGGED, RAM),
	SIDE(RAM,       "vfio, sysfs, RAM: RAM part: Normal-WB",
	     FLAGGED, UNFLAGGED, RAM),
	SIDE(FLAGGED,   "RAM, sysfs, vfio: vfio part: Normal-NC",
	     RAM, UNFLAGGED, FLAGGED),
	SIDE(UNFLAGGED, "RAM, sysfs, vfio: sysfs part: Device-nGnRE",
	     RAM, UNFLAGGED, FLAGGED),
	SIDE(RAM,       "sysfs, vfio, RAM: RAM part: Normal-WB",
	     UNFLAGGED, FLAGGED, RAM),

	/* GICV: Device-nGnRE, R/W, XN, whatever the guest asks for. */
	{ .name = "GICV: Device-nGnRE", .run = test_gicv },
	GICV(MEMATTR_DEVICE_nGnRnE),
	GICV(MEMATTR_DEVICE_GRE),
	GICV(MEMATTR_NORMAL_NC),
	GICV(MEMATTR_NORMAL_WB),
};

int main(int argc, char *argv[])
{
	int i;

	setbuf(stdout, NULL);
	ksft_print_header();
	memattr_require(&machine);
	main_dev = vfio_bar_setup(devs, NR_MAX_DEVS, &nr_devs, &main_bar);
	if (!main_dev)
		snprintf(no_bar, sizeof(no_bar), "%s", vfio_bar_why());
	bar_vm_create(&bv);

	ksft_set_plan(ARRAY_SIZE(cases));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		cases[i].run(&cases[i]);

	bar_vm_free(&bv);
	for (i = 0; i < nr_devs; i++)
		vfio_pci_close(&devs[i]);
	memattr_finish();
}
