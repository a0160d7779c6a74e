// SPDX-License-Identifier: GPL-2.0-only
/*
 * What people can see of the memory type of a BAR, and who withholds the choice
 * of it: smaps, the stage-2 dump, the trace event kvm_stage2_map, vfio-pci-core's
 * parameter any_uncached, and its table of platforms with an erratum.
 */
#define _GNU_SOURCE /* mremap() */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_util.h"

#include "memattr/bar_vm.h"

#define TRACE		"/sys/kernel/tracing/"
#define EVENT		TRACE "events/kvm/kvm_stage2_map/enable"
/* A store there ends KVM_RUN. */
#define NO_SLOT		(2ULL << 30)
#define NO_EVENT	"this kernel has no kvm_stage2_map: use one with the series, and tracefs"
#define NO_GMEM		"no guest_memfd for such a VM: it takes Linux 6.18, and tests of that"

static struct bar_vm bv;

/*
 * The first line with @what after the one about an address: smaps and dumps of page
 * tables have a line "START-END ..." for each range.
 */
static bool read_after(const char *path, u64 address, const char *what, char *line, size_t size)
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

/* How the stage-2 dump and the trace event end for a leaf */
static const char *type_word(const struct kvm_memattr_leaf *leaf)
{
	if (leaf->memattr == memattr_s2_encode(MEMATTR_NORMAL_WB, leaf->fwb))
		return "MEM/NORMAL\n";
	if (leaf->memattr == memattr_s2_encode(MEMATTR_NORMAL_NC, leaf->fwb))
		return "MEM/NORMAL-NC\n";
	return "DEVICE/nGnRE\n";
}

/* Does smaps show the flag for a mapping of this process? */
static void check_smaps(const void *hva, bool want)
{
	char line[512];

	if (!read_after("/proc/self/smaps", (uintptr_t)hva, "VmFlags:", line, sizeof(line)))
		bar_fail("smaps has no VmFlags of %p", hva);
	printf("# smaps: %s", line);
	if (!!strstr(line, " au ") != want || strstr(line, "??"))
		bar_fail("VmFlags %s au", want ? "lacks" : "has");
}

static struct bar_slot map_bar(int window)
{
	struct bar_slot slot = { .window = window, };

	bar_vm_add_bar(&bv, &slot, &bar_dev, BAR_RW);
	return slot;
}

static struct bar_slot map_other(enum bar_source source)
{
	struct vfio_bar plain;
	struct bar_slot slot = { .window = source, };

	if (!vfio_bar_open_plain(&plain, &bar_dev, source, 0))
		bar_skip("%s", vfio_bar_why());
	bar_vm_add_bar(&bv, &slot, &plain, BAR_RW);
	return slot;
}

static struct bar_slot map_ram(void)
{
	struct bar_slot slot = { .window = 4, .size = getpagesize(), };

	slot.hva = mmap(NULL, slot.size, BAR_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(slot.hva != MAP_FAILED, "mmap: %s", strerror(errno));
	memset(slot.hva, 1, slot.size);
	bar_vm_add(&bv, &slot);
	return slot;
}

static void test_smaps_vfio(void)
{
	struct bar_slot slot = map_bar(0);
	void *moved;
	int status;

	check_smaps(slot.hva, true);
	moved = mremap(slot.hva, slot.size, slot.size, MREMAP_MAYMOVE | MREMAP_FIXED,
		       vfio_bar_pick_address(&bar_dev, 0, slot.size));
	TEST_ASSERT(moved != MAP_FAILED, "mremap: %s", strerror(errno));
	check_smaps(moved, true);
	if (!fork()) {
		check_smaps(moved, true);
		_exit(0);
	}
	wait(&status);
	if (status)
		bar_fail("not so in a child of fork()");
}

static void test_smaps_sysfs(void)
{
	check_smaps(map_other(BAR_SYSFS).hva, false);
}

static void test_smaps_dev_mem(void)
{
	check_smaps(map_other(BAR_DEV_MEM).hva, false);
}

static void test_smaps_ram(void)
{
	check_smaps(map_ram().hva, false);
}

/* One VMA of each kind */
static void touch_all(void (*check)(u64 gpa, const struct kvm_memattr_leaf *leaf))
{
	struct bar_slot slots[] = {
		map_bar(0), map_other(BAR_SYSFS), map_ram(),
	};
	static const u8 types[] = {
		MEMATTR_NORMAL_NC, MEMATTR_DEVICE_nGnRE, MEMATTR_NORMAL_WB,
	};
	/* The address of a fault is known by 4K, also of a larger page. */
	u64 off = SZ_4K % getpagesize();
	struct kvm_memattr_leaf leaf;
	int i;

	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		bar_vm_touch(&bv, slots[i].gpa + off, types[i], true,
			     slots[i].pa ? slots[i].pa + off : 0);
		if (memattr_leaf(&bar_machine, bv.vm->fd, slots[i].gpa, &leaf))
			bar_fail("no leaf for 0x%lx", slots[i].gpa);
		check(slots[i].gpa, &leaf);
	}
}

static char dump[128];

static void check_dump(u64 gpa, const struct kvm_memattr_leaf *leaf)
{
	char line[256];

	if (!read_after(dump, gpa, "", line, sizeof(line)))
		bar_fail("the dump has no line for 0x%lx", gpa);
	printf("# dump: %s", line);
	if (!strstr(line, type_word(leaf)))
		bar_fail("the dump says %s, the leaf is %s", line,
			 memattr_s2_name(leaf->memattr, leaf->fwb));
}

static void test_dump(void)
{
	struct kvm_vm *vm = bar_pkvm() ? vm_create_barebones() : bv.vm;

	snprintf(dump, sizeof(dump), "/sys/kernel/debug/kvm/%d-%d/stage2_page_tables",
		 getpid(), vm->fd);
	if (bar_pkvm()) {
		/* What KVM has there is no page table. */
		if (!access(dump, F_OK))
			bar_fail("there is a dump under pKVM");
		return;
	}
	bar_skip_if(access(dump, R_OK),
		    "no stage-2 dump: it takes Linux 6.12, CONFIG_PTDUMP_STAGE2_DEBUGFS and debugfs");
	touch_all(check_dump);
}

static void trace_start(void)
{
	bar_skip_if(!bar_write(EVENT, "1"), NO_EVENT);
	close(open(TRACE "trace", O_WRONLY | O_TRUNC));
}

/* The first event with @want has to have @type, too. */
static void check_event(const char *want, const char *type)
{
	char line[512], *at = NULL;
	FILE *f = fopen(TRACE "trace", "r");

	TEST_ASSERT(f, "%strace: %s", TRACE, strerror(errno));
	while (!at && fgets(line, sizeof(line), f))
		at = strstr(line, want);
	fclose(f);
	if (!at)
		bar_fail("no event with %s", want);
	printf("# trace: %s", line);
	if (!strstr(at, type))
		bar_fail("the leaf is %s", type);
}

/* What prot's bits mean differs from kernel to kernel, but for the type's word. */
static void check_trace(u64 gpa, const struct kvm_memattr_leaf *leaf)
{
	char want[128];

	snprintf(want, sizeof(want), "kvm_stage2_map: ipa 0x%llx, size 0x%llx, pfn 0x%llx, prot ",
		 leaf->base, leaf->size, leaf->oa / getpagesize());
	check_event(want, type_word(leaf));
}

static void test_trace(void)
{
	trace_start();
	touch_all(check_trace);
	bar_write(EVENT, "0");
}

static void guest_store(u64 ipa)
{
	asm volatile("str wzr, [%0]" : : "r" (ipa) : "memory");
	asm volatile("str wzr, [%0]" : : "r" (NO_SLOT) : "memory");
}

/* What is mapped of memory that @vcpu, which is in guest_store(), has as @ipa */
static void check_trace_ram(struct kvm_vcpu *vcpu, u64 ipa)
{
	char want[128];

	trace_start();
	virt_pg_map(vcpu->vm, NO_SLOT, NO_SLOT);
	vcpu_run(vcpu);
	bar_write(EVENT, "0");
	snprintf(want, sizeof(want), "kvm_stage2_map: ipa 0x%lx, size",
		 ipa & ~(getpagesize() - 1UL));
	check_event(want, "type MEM/NORMAL\n");
}

/* Also where nobody can read the page table: pKVM has a fault handler of its own. */
static void test_trace_ram(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_store);

	vcpu_args_set(vcpu, 1, NO_SLOT);
	check_trace_ram(vcpu, addr_gva2gpa(vm, (uintptr_t)guest_store));
}

/* guest_memfd has a fault handler of its own, too. */
static void test_trace_gmem(void)
{
#ifdef GUEST_MEMFD_FLAG_MMAP
	u64 flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;
	u64 gpa = NO_SLOT - getpagesize();
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_store);

	bar_skip_if(~vm_check_cap(vm, KVM_CAP_GUEST_MEMFD_FLAGS) & flags, NO_GMEM);
	vm_set_user_memory_region2(vm, 1, KVM_MEM_GUEST_MEMFD, gpa, getpagesize(), NULL,
				   vm_create_guest_memfd(vm, getpagesize(), flags), 0);
	virt_map(vm, gpa, gpa, getpagesize() / vm->page_size);
	vcpu_args_set(vcpu, 1, gpa);
	check_trace_ram(vcpu, gpa);
#else
	bar_skip(NO_GMEM);
#endif
}

static const char *text_of(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	TEST_ASSERT(n >= 0, "%s: %s", path, strerror(errno));
	close(fd);
	text[n] = '\0';
	return text;
}

static void check_switch(bool on)
{
	if (strcmp(text_of(VFIO_BAR_SWITCH), on ? "Y\n" : "N\n"))
		bar_fail("%s reads %s", VFIO_BAR_SWITCH, text_of(VFIO_BAR_SWITCH));
}

static void set_switch(const char *to, bool on)
{
	if (!bar_write(VFIO_BAR_SWITCH, to))
		bar_fail("%s: %s", VFIO_BAR_SWITCH, strerror(errno));
	check_switch(on);
}

static void check_bar(const struct bar_slot *slot, bool any)
{
	bar_vm_touch(&bv, slot->gpa, any ? MEMATTR_NORMAL_NC : MEMATTR_DEVICE_nGnRE,
		     true, slot->pa);
	check_smaps(slot->hva, any);
}

/* As the kernel's command line says, or on; a module has it from there, too. */
static void test_switch_boot(void)
{
	bool on = !strstr(text_of("/proc/cmdline"), "vfio_pci_core.any_uncached=0");
	struct bar_slot slot;

	check_switch(on);
	slot = map_bar(0);
	check_bar(&slot, on);
}

/* It holds for what is mapped from then on. */
static void test_switch(void)
{
	struct bar_slot old, new;

	set_switch("1", true);
	old = map_bar(0);
	set_switch("0", false);
	new = map_bar(1);
	check_bar(&old, true);
	check_bar(&new, false);
	set_switch("1", true);
	new = map_bar(2);
	check_bar(&new, true);
}

static void test_switch_invalid(void)
{
	struct bar_slot slot;

	set_switch("0", false);
	if (bar_write(VFIO_BAR_SWITCH, "all") || errno != EINVAL)
		bar_fail("\"all\" is not refused with EINVAL");
	check_switch(false);
	slot = map_bar(0);
	check_bar(&slot, false);
	set_switch("1", true);
}

/* Device if, and only if, a bridge above is in the table; the kernel says why. */
static void test_platform(void)
{
	struct bar_slot slot = map_bar(0);
	char line[512];
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	bool said = false;
	ssize_t n;

	check_bar(&slot, !bar_dev.broken);
	while ((n = read(fd, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		said |= strstr(line, bar_dev.bdf) && strstr(line, "with an erratum");
	}
	close(fd);
	if (said != bar_dev.broken)
		bar_fail("the kernel's log does %ssay why", said ? "" : "not ");
}

static const struct vfio_bar_want on_root_bus = {
	.what = "a BAR on a root bus", .above = 1,
};

static const struct vfio_bar_want below_port = {
	.what = "a BAR below a root port", .above = 2,
};

static const struct vfio_bar_want below_switch = {
	.what = "a BAR below a switch", .above = 3,
};

static const struct test_case {
	const char *name;
	void (*run)(void);
	const struct vfio_bar_want *want;
} cases[] = {
	/* First of all: the others turn the switch. */
	{ "any_uncached: as booted", test_switch_boot, &vfio_bar_any },
	/* Shown, also when moved and in a child; and for nothing else. */
	{ "smaps: vfio-pci", test_smaps_vfio, &vfio_bar_any },
	{ "smaps: sysfs", test_smaps_sysfs, &vfio_bar_any },
	{ "smaps: /dev/mem", test_smaps_dev_mem, &vfio_bar_any },
	{ "smaps: RAM", test_smaps_ram, &vfio_bar_any },
	/* Both say of each kind of VMA what the descriptor says. */
	{ "stage-2 dump agrees with the leaf", test_dump, &vfio_bar_any },
	{ "kvm_stage2_map agrees with the leaf", test_trace, &vfio_bar_any },
	{ "kvm_stage2_map: RAM", test_trace_ram },
	{ "kvm_stage2_map: guest_memfd", test_trace_gmem },
	/* Off means Device from the next mapping on; what is mapped stays. */
	{ "any_uncached: off and on", test_switch, &vfio_bar_any },
	/* Refused, and it is as before. */
	{ "any_uncached: invalid", test_switch_invalid, &vfio_bar_any },
	/* A platform with an erratum, at any distance from the device */
	{ "platform: on the root bus", test_platform, &on_root_bus },
	{ "platform: below a root port", test_platform, &below_port },
	{ "platform: below a switch", test_platform, &below_switch },
};

static void run(const void *arg)
{
	const struct test_case *t = arg;

	bar_skip_if((!strncmp(t->name, "any", 3) || t->run == test_platform) &&
		    access(VFIO_BAR_SWITCH, F_OK),
		    "this kernel has no any_uncached: use one with the series");
	if (t->want && !(t->run == test_dump && bar_pkvm()))
		bar_vm_create(&bv, NULL);
	t->run();
}

int main(int argc, char *argv[])
{
	const struct test_case *t;

	bar_start(ARRAY_SIZE(cases));
	for (t = cases; t < cases + ARRAY_SIZE(cases); t++)
		bar_row(t->name, t->want, run, t);
	if (!access(VFIO_BAR_SWITCH, F_OK))
		bar_write(VFIO_BAR_SWITCH, "1");
	memattr_finish();
}
