// SPDX-License-Identifier: GPL-2.0-only
/*
 * What memory type does a guest get from a PCI BAR that vfio-pci maps, and what
 * does it get from everything else?
 *
 * For each type that the guest can ask for at stage 1, the combined type is
 * observed (AT S12E1R) and compared with the combination of that type and
 * Normal-NC at stage 2; on a host that is not VHE, there is only the stage-2
 * leaf to look at. Only a VMA that says so may be mapped Normal-NC: a BAR that
 * anyone else maps and the GICv2 virtual CPU interface are Device-nGnRE, RAM is
 * Normal Write-Back, in one memslot with vfio-pci's mapping, too. And the VMM's
 * own mapping of the BAR stays Device-nGnRnE: no alias that can be read
 * speculatively.
 *
 * A kernel without VM_ALLOW_ANY_UNCACHED fails the rows that ask for Normal-NC,
 * and the stage-1 types that Device-nGnRE at stage 2 strengthens.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/bits.h>

#include "memattr/bar_vm.h"

/* More than this is too much to ask of a small machine for a huge page. */
#define MAX_HUGE	SZ_64M

/* Guest physical addresses of the GICv2, below all windows */
#define GICD_GPA	0x30000000ULL
#define GICV_GPA	0x30100000ULL

#define PTE_UXN		BIT_ULL(54)

enum backing {
	VFIO = BAR_VFIO,
	SYSFS = BAR_SYSFS,
	SYSFS_WC = BAR_SYSFS_WC,
	DEV_MEM = BAR_DEV_MEM,
	ANON,
	THP,
	GICV,
};

/* What each is at stage 2, and what in the VMM's own page table */
static const struct {
	const char *vma;
	u8 s2;
	u8 vmm;
} backings[] = {
	[VFIO]     = { "vfio-pci", MEMATTR_NORMAL_NC,    MEMATTR_DEVICE_nGnRnE },
	[SYSFS]    = { "sysfs",    MEMATTR_DEVICE_nGnRE, MEMATTR_DEVICE_nGnRE },
	[SYSFS_WC] = { "sysfs-wc", MEMATTR_DEVICE_nGnRE, MEMATTR_NORMAL_NC },
	[DEV_MEM]  = { "devmem",   MEMATTR_DEVICE_nGnRE, MEMATTR_DEVICE_nGnRnE },
	[ANON]     = { "anon",     MEMATTR_NORMAL_WB,    MEMATTR_NORMAL_WB },
	[THP]      = { "thp",      MEMATTR_NORMAL_WB,    MEMATTR_NORMAL_WB },
	[GICV]     = { "gicv",     MEMATTR_DEVICE_nGnRE },
};

struct test_case {
	const char *name;
	void (*run)(const struct test_case *t);
	const struct vfio_bar_want *want;
	enum backing backing;
};

static const struct vfio_bar_want sub_page = {
	.what = "a BAR smaller than a page", .sub_page = true,
};

static const struct vfio_bar_want registers = {
	.what = "a 32-bit BAR that is not prefetchable, of 64K or more",
	.clear = VFIO_BAR_F_PREFETCH | VFIO_BAR_F_MEM_64, .min_size = SZ_64K,
};

static const struct vfio_bar_want large = {
	.what = "a prefetchable BAR of 4M or more",
	.set = VFIO_BAR_F_PREFETCH, .min_size = SZ_4M,
};

static const struct vfio_bar_want vf = {
	.what = "a BAR of an SR-IOV VF", .vf = 1,
};

/* What the rows of test_type() ask for */
static const u8 types[] = {
	MEMATTR_DEVICE_nGnRnE, MEMATTR_DEVICE_nGnRE, MEMATTR_DEVICE_nGRE,
	MEMATTR_DEVICE_GRE, MEMATTR_NORMAL_NC, MEMATTR_NORMAL_WT,
	MEMATTR_NORMAL_WB,
};

static struct bar_vm bv;
static u8 s1;

static unsigned long read_number(const char *path, const char *key)
{
	unsigned long val = 0;
	char line[256];
	FILE *f;

	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, strlen(key)))
			val = strtoul(line + strlen(key), NULL, 0);
	}
	if (f)
		fclose(f);
	return val;
}

static void *map_anon(size_t size)
{
	return mmap(NULL, size, BAR_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void *map_thp(size_t size)
{
	void *p;

	bar_skip_if(!size || size > MAX_HUGE,
		    "a transparent huge page has %zu bytes: use CONFIG_TRANSPARENT_HUGEPAGE and a granule of 4K or 16K",
		    size);
	p = map_anon(2 * size);
	p = (void *)(((uintptr_t)p + size - 1) & ~(size - 1));
	madvise(p, size, MADV_HUGEPAGE);
	memset(p, 0, size);
	bar_skip_if(!read_number("/proc/self/smaps_rollup", "AnonHugePages:"),
		    "the kernel gave no transparent huge page: set transparent_hugepage/enabled to madvise, free memory");
	return p;
}

/*
 * kvm_phys_addr_ioremap() maps this, no memslot does. Through it, a guest
 * acknowledges interrupts: reordered or merged accesses would hurt more than
 * this guest.
 */
static void map_gicv(void)
{
	u64 dist = GICD_GPA, cpu = GICV_GPA;
	int fd;

	fd = __kvm_create_device(bv.vm, KVM_DEV_TYPE_ARM_VGIC_V2);
	bar_skip_if(fd < 0,
		    "this host cannot virtualise a GICv2 (%s): use one with a GICv2, or a GICv3 with GICV (QEMU: gic-version=2)",
		    strerror(errno));
	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
			    KVM_VGIC_V2_ADDR_TYPE_DIST, &dist);
	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR,
			    KVM_VGIC_V2_ADDR_TYPE_CPU, &cpu);
	kvm_device_attr_set(fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
			    KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	bar_vm_map(&bv, GICV_GPA);
}

/* Give the VM one kind of memory, or skip the row. */
static void add_backing(struct bar_slot *slot, enum backing backing)
{
	struct vfio_bar plain = bar_dev;

	if (backing <= DEV_MEM) {
		if (backing != VFIO &&
		    !vfio_bar_open_plain(&plain, &bar_dev,
					 (enum bar_source)backing, 0))
			bar_skip("%s", vfio_bar_why());
		bar_vm_add_bar(&bv, slot, &plain, BAR_RW);
		return;
	}
	slot->size = 16 * getpagesize();
	switch (backing) {
	default:
		slot->hva = map_anon(slot->size);
		madvise(slot->hva, slot->size, MADV_NOHUGEPAGE);
		break;
	case THP:
		slot->size = read_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
					 "");
		slot->hva = map_thp(slot->size);
		break;
	case GICV:
		map_gicv();
		slot->gpa = GICV_GPA;
		return;
	}
	/* Or else a read fault would map the zero page, read-only. */
	memset(slot->hva, 0, slot->size);
	bar_vm_add(&bv, slot);
}

/*
 * The VMM's own mapping leads to the right page and has the right type, whoever
 * touches it first.
 */
static void check_vmm(const struct bar_slot *slot, enum backing backing)
{
	struct kvm_memattr_host_pte pte;
	u8 want = backings[backing].vmm;
	int ret;

	/* GICV is not mapped. */
	if (!slot->hva)
		return;
	ret = memattr_host_pte(&bar_machine, slot->hva, &pte);
	if (ret)
		bar_fail("no descriptor for %p: %s", slot->hva, strerror(-ret));
	if (pte.attr != want || !(pte.desc & PTE_UXN))
		bar_fail("the VMM's mapping is %s (0x%02x), not %s, or executable: 0x%llx",
			 memattr_name(pte.attr), pte.attr, memattr_name(want),
			 pte.desc);
	if (slot->pa && pte.oa + ((uintptr_t)slot->hva - pte.base) != slot->pa)
		bar_fail("the VMM's mapping leads to 0x%llx, not 0x%lx", pte.oa,
			 slot->pa);
}

static void observe(struct memattr_row *row, u64 gpa)
{
	int ret;

	bar_vm_set_type(&bv, row->s1);
	bar_vm_load(&bv, gpa);
	ret = memattr_observe(&bar_machine, bv.vm->fd, bv.vcpu->fd, gpa, gpa, row);
	if (ret)
		bar_fail("stage 1 0x%02x: %s", row->s1,
			 strerror(-ret));
}

/* Without AT, the rules would be compared with themselves. */
static void require_at(void)
{
	bar_skip_if(!(bar_machine.info.flags & KVM_MEMATTR_INFO_TRANSLATE),
		    "PAR_EL1 needs a kernel at EL2: boot with VHE (kvm-arm.mode=vhe)");
}

static struct memattr_row row_of(enum backing backing, u8 type)
{
	return (struct memattr_row) {
		.vma = backings[backing].vma,
		.s1 = type,
		.want = backings[backing].s2,
	};
}

/* One stage-1 type: the combination with the stage-2 type of the backing */
static void test_type(const struct test_case *t)
{
	struct memattr_row row = row_of(t->backing, s1);
	struct bar_slot slot = {};

	require_at();
	add_backing(&slot, t->backing);
	observe(&row, slot.gpa);
	check_vmm(&slot, t->backing);
	bar_report(&row);
}

/* All stage-1 types there are, so that none is special by accident */
static void test_all_types(const struct test_case *t)
{
	struct bar_slot slot = {};
	struct memattr_row deviant = {};
	int i;

	require_at();
	add_backing(&slot, t->backing);
	for (i = 0; i < 256; i++) {
		struct memattr_row row = row_of(t->backing, i);

		if (memattr_reserved(&bar_machine, i))
			continue;
		observe(&row, slot.gpa);
		switch (memattr_judge(&bar_machine, &row)) {
		case MEMATTR_PASS:
			break;
		case MEMATTR_DEVIATION:
			deviant = row;
			break;
		default:
			bar_fail("0x%02x: %s", i, row.reason);
		}
	}
	if (deviant.reason[0])
		bar_skip("platform deviation: %s", deviant.reason);
}

/*
 * The leaf, and the VMM's mapping before the guest has used it and after it. A
 * guest that asks for Normal-NC does not get it from Device.
 */
static void test_leaf(const struct test_case *t)
{
	struct memattr_row row = row_of(t->backing, MEMATTR_NORMAL_NC);
	struct bar_slot slot = {};
	struct kvm_memattr_leaf leaf;

	add_backing(&slot, t->backing);
	if (slot.hva)
		READ_ONCE(*(u32 *)slot.hva);
	check_vmm(&slot, t->backing);
	bar_vm_load(&bv, slot.gpa);
	bar_skip_if(t->backing == GICV && memattr_leaf(&bar_machine, bv.vm->fd,
						       slot.gpa, &leaf) == -ENOENT,
		    "KVM traps accesses to GICV on this host: use one whose GICV is page aligned");
	bar_vm_check_leaf(&bv, slot.gpa, backings[t->backing].s2, true, slot.pa);
	check_vmm(&slot, t->backing);
	observe(&row, slot.gpa);
	if (memattr_judge(&bar_machine, &row) != MEMATTR_PASS)
		bar_fail("%s", row.reason);

	/* Huge pages are mapped by blocks of their size, or of a fraction. */
	if (t->backing == THP &&
	    (memattr_leaf(&bar_machine, bv.vm->fd, slot.gpa, &leaf) ||
	     leaf.size <= getpagesize()))
		bar_fail("0x%zx bytes are mapped by pages", slot.size);
}

/* What the VMM may only read */
static void test_read_only(const struct test_case *t)
{
	struct bar_slot slot = {};

	bar_vm_add_bar(&bv, &slot, &bar_dev, PROT_READ);
	bar_vm_touch(&bv, slot.gpa, MEMATTR_NORMAL_NC, false, slot.pa);
}

/* A BAR of some kind: first, middle and last page, and those around 2M */
static void test_kind(const struct test_case *t)
{
	struct bar_slot slot = { .size = bar_dev.size };
	size_t page = getpagesize(), last = slot.size - page;
	u64 off[] = { 0, SZ_2M - page, SZ_2M, last / 2 & ~(page - 1), last };
	int i;

	bar_vm_add_bar(&bv, &slot, &bar_dev, BAR_RW);
	for (i = 0; i < ARRAY_SIZE(off); i++) {
		if (off[i] < slot.size)
			bar_vm_touch(&bv, slot.gpa + off[i], MEMATTR_NORMAL_NC,
				     true, slot.pa + off[i]);
	}
}

/*
 * A part of the BAR, not from the start of the VMA, at any guest address, by the
 * second vCPU; and a second mapping of the BAR, by the first one
 */
static void test_part(const struct test_case *t)
{
	size_t page = getpagesize();
	struct bar_slot all = { .window = 1 }, part = {
		.size = 2 * page, .gpa = SZ_2G,
	};

	if (bar_dev.size < 4 * page)
		bar_skip("the BAR has less than four pages: use a larger one");
	part.hva = vfio_bar_mmap(&bar_dev, NULL, BAR_RW, page, 3 * page) + page;
	bar_vm_add(&bv, &part);
	add_backing(&all, VFIO);
	bv.vcpu = bv.vcpus[1];
	bar_vm_touch(&bv, part.gpa, MEMATTR_NORMAL_NC, true, all.pa + 2 * page);
	bar_vm_touch(&bv, part.gpa + page, MEMATTR_NORMAL_NC, true,
		     all.pa + 3 * page);
	bv.vcpu = bv.vcpus[0];
	bar_vm_touch(&bv, all.gpa, MEMATTR_NORMAL_NC, true, all.pa);
	bar_vm_check_leaf(&bv, part.gpa, MEMATTR_NORMAL_NC, true,
			  all.pa + 2 * page);
}

/*
 * One memslot of three VMAs: vfio-pci's mapping, an ordinary one, and RAM. Every
 * page next to a boundary has the type of its own VMA, whatever was touched
 * before it.
 */
static void test_mixed(const struct test_case *t)
{
	static const enum backing order[] = { SYSFS, VFIO, ANON };
	size_t page = getpagesize(), size, off;
	struct bar_slot slot = {};
	struct vfio_bar plain;
	void *addr, *p;
	int i;

	/* vfio's first: it takes the BAR away from others that have it. */
	if (!vfio_bar_mmap(&bar_dev, NULL, BAR_RW, 0, page) ||
	    !vfio_bar_open_plain(&plain, &bar_dev, BAR_SYSFS, 0))
		bar_skip("%s", vfio_bar_why());
	size = plain.size < bar_dev.size ? plain.size : bar_dev.size;
	/* Big enough for a block, if the BARs are, and aligned for one */
	size = size < SZ_2M ? size : SZ_2M;
	slot.size = 3 * size;
	slot.hva = vfio_bar_pick_address(&bar_dev, 0, slot.size);
	for (i = 0; i < 3; i++) {
		addr = slot.hva + i * size;
		if (order[i] == ANON)
			p = mmap(addr, size, BAR_RW,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		else
			p = vfio_bar_mmap(order[i] == VFIO ? &bar_dev : &plain,
					  addr, BAR_RW, 0, size);
		if (p != addr)
			bar_skip("%s", vfio_bar_why());
		if (order[i] == ANON)
			memset(p, 0, size);
	}
	bar_vm_add(&bv, &slot);
	for (i = 0; i < 6; i++) {
		off = i / 2 * size + (i % 2 ? size - page : 0);
		bar_vm_map(&bv, slot.gpa + off);
		bar_vm_load(&bv, slot.gpa + off);
	}
	for (i = 0; i < 6; i++) {
		enum backing b = order[i / 2];

		off = i % 2 ? size - page : 0;
		bar_vm_check_leaf(&bv, slot.gpa + i / 2 * size + off,
				  backings[b].s2, true, b == ANON ? 0 :
				  (b == VFIO ? bar_dev.pa : plain.pa) + off);
	}
}

static const struct test_case cases[] = {
	/* RAM is Normal Write-Back, R/W; huge pages by blocks. */
	{ "anonymous memory: Normal-WB", test_leaf, NULL, ANON },
	{ "transparent huge page: Normal-WB", test_leaf, NULL, THP },
	{ "anonymous memory: every type", test_all_types, NULL, ANON },
	/* GICV is Device-nGnRE, R/W, XN, whatever the guest asks for. */
	{ "GICV: Device-nGnRE", test_leaf, NULL, GICV },

	/*
	 * A BAR, but not through vfio-pci: Device-nGnRE at stage 2, R/W, XN. It
	 * comes first, as some kernels let nobody else have what vfio has mapped.
	 */
	{ "sysfs resourceN: Device-nGnRE", test_leaf, &vfio_bar_any, SYSFS },
	{ "sysfs resourceN_wc: Device-nGnRE", test_leaf, &vfio_bar_any, SYSFS_WC },
	{ "/dev/mem: Device-nGnRE", test_leaf, &vfio_bar_any, DEV_MEM },
	{ "sysfs", test_type, &vfio_bar_any, SYSFS },

	/* Device types stay what the guest chose, Normal ones are Normal-NC. */
	{ "vfio-pci", test_type, &vfio_bar_any, VFIO },
	{ "vfio-pci: every type", test_all_types, &vfio_bar_any, VFIO },

	/* The leaf is Normal-NC, R/W, XN; read-only, if the VMM's mapping is. */
	{ "read fault: Normal-NC", test_leaf, &vfio_bar_any, VFIO },
	{ "read-only mapping: Normal-NC", test_read_only, &vfio_bar_any },
	/* Nor does it depend on how much of it is mapped, how often, and where. */
	{ "a part of the BAR, mapped twice: Normal-NC", test_part, &vfio_bar_any },
	/* Three VMAs in one memslot: each page has the type of its own. */
	{ "sysfs, vfio, RAM in a memslot: Normal-NC", test_mixed, &vfio_bar_any },

	/* The type does not depend on what kind of BAR it is. */
	{ "sub-page BAR: Normal-NC", test_kind, &sub_page },
	{ "32-bit non-prefetchable BAR: Normal-NC", test_kind, &registers },
	{ "BAR larger than 2M: Normal-NC", test_kind, &large },
	{ "BAR of a VF: Normal-NC", test_kind, &vf },
};

static void run(const void *arg)
{
	const struct test_case *t = arg;

	bar_skip_if(bar_dev.fd >= 0 && bar_dev.broken && t->backing == VFIO,
		    VFIO_BAR_BROKEN, bar_dev.bdf);
	bar_vm_create(&bv, NULL);
	t->run(t);
}

int main(int argc, char *argv[])
{
	int i, n, rows = ARRAY_SIZE(cases);
	char name[128];

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].run == test_type)
			rows += ARRAY_SIZE(types) - 1;
	}
	bar_start(rows);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct test_case *t = &cases[i];

		if (t->run != test_type)
			bar_row(t->name, t->want, run, t);
		for (n = 0; t->run == test_type && n < ARRAY_SIZE(types); n++) {
			s1 = types[n];
			snprintf(name, sizeof(name), "%s: stage 1 %s (0x%02x)",
				 t->name, memattr_name(s1), s1);
			bar_row(name, t->want, run, t);
		}
	}
	memattr_finish();
}
