// SPDX-License-Identifier: GPL-2.0-only
/*
 * What people can see of the memory type of a BAR, and how an administrator
 * withholds the choice of it: smaps, the stage-2 dump, the trace event
 * kvm_stage2_map, and vfio-pci-core's parameter deny_any_uncached.
 */
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

static struct bar_vm bv;

/* Does smaps show the flag for a mapping of this process? */
static void check_smaps(const void *hva, bool want)
{
	char line[512];

	if (!bar_read_after("/proc/self/smaps", (uintptr_t)hva, "VmFlags:", line,
			    sizeof(line)))
		bar_fail("smaps has no VmFlags of %p", hva);
	printf("# smaps: %s", line);
	if (!!strstr(line, " au ") != want || strstr(line, "??"))
		bar_fail("au is %swanted", want ? "" : "not ");
}

static struct bar_slot map_bar(int window)
{
	struct bar_slot slot = { .window = window, };

	bar_vm_add_bar(&bv, &slot, &bar_dev, BAR_RW, 0);
	return slot;
}

static struct bar_slot map_other(enum bar_source source)
{
	struct vfio_bar plain;
	struct bar_slot slot = { .window = source, };

	if (!vfio_bar_open_plain(&plain, &bar_dev, source, 0))
		bar_skip("%s", vfio_bar_why());
	bar_vm_add_bar(&bv, &slot, &plain, BAR_RW, 0);
	return slot;
}

static struct bar_slot map_ram(void)
{
	struct bar_slot slot = { .window = 4, .size = getpagesize(), };

	slot.hva = mmap(NULL, slot.size, BAR_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(slot.hva != MAP_FAILED, "mmap: %s", strerror(errno));
	memset(slot.hva, 1, slot.size);
	bar_vm_add(&bv, &slot, 0);
	return slot;
}

static void test_smaps_vfio(void)
{
	struct bar_slot slot = map_bar(0);
	void *moved;
	int status;

	check_smaps(slot.hva, true);
	moved = vfio_bar_move(&bar_dev, slot.hva, slot.size);
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
	struct kvm_memattr_leaf leaf;
	int i;

	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		bar_vm_touch(&bv, slots[i].gpa, types[i], true, slots[i].pa);
		if (memattr_leaf(&bar_machine, bv.vm->fd, slots[i].gpa, &leaf))
			bar_fail("no leaf for 0x%lx", slots[i].gpa);
		check(slots[i].gpa, &leaf);
	}
}

static char dump[128];

static void check_dump(u64 gpa, const struct kvm_memattr_leaf *leaf)
{
	bar_check_dump(dump, gpa, leaf);
}

static void test_dump(void)
{
	snprintf(dump, sizeof(dump), "/sys/kernel/debug/kvm/%d-%d/stage2_page_tables",
		 getpid(), bv.vm->fd);
	bar_skip_if(access(dump, R_OK),
		    "no stage-2 dump: it takes Linux 6.12, CONFIG_PTDUMP_STAGE2_DEBUGFS and debugfs");
	touch_all(check_dump);
}

static void check_trace(u64 gpa, const struct kvm_memattr_leaf *leaf)
{
	char want[64], line[512];
	bool found = false;
	FILE *f = fopen(TRACE "trace", "r");

	TEST_ASSERT(f, "%strace: %s", TRACE, strerror(errno));
	snprintf(want, sizeof(want), "kvm_stage2_map: IPA: %llx, size: %llx, type: %s",
		 leaf->base, leaf->size, bar_type_word(leaf));
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, want);
	fclose(f);
	if (!found)
		bar_fail("no event with %s", want);
	printf("# trace: %s", line);
}

static void test_trace(void)
{
	bar_skip_if(!bar_write(EVENT, "1"),
		    "this kernel has no kvm_stage2_map: use one with the series, and tracefs");
	close(open(TRACE "trace", O_WRONLY | O_TRUNC));
	touch_all(check_trace);
	bar_write(EVENT, "0");
}

/* What the administrator denies holds for what is mapped from then on. */
static void check_denied(const char *list, bool denied)
{
	struct bar_slot old, new;
	u8 type = denied ? MEMATTR_DEVICE_nGnRE : MEMATTR_NORMAL_NC;

	bar_write(VFIO_BAR_DENY, "\n");
	old = map_bar(0);
	if (!bar_write(VFIO_BAR_DENY, list))
		bar_fail("%s: %s", list, strerror(errno));
	new = map_bar(1);
	check_smaps(old.hva, true);
	check_smaps(new.hva, !denied);
	bar_vm_touch(&bv, old.gpa, MEMATTR_NORMAL_NC, true, old.pa);
	bar_vm_touch(&bv, new.gpa, type, true, new.pa);
	bar_write(VFIO_BAR_DENY, "\n");
	new = map_bar(2);
	bar_vm_touch(&bv, new.gpa, MEMATTR_NORMAL_NC, true, new.pa);
}

static void test_deny_all(void)
{
	check_denied("all\n", true);
}

static void test_deny_address(void)
{
	char list[64];

	snprintf(list, sizeof(list), "1234:5678,%s", bar_dev.bdf);
	check_denied(list, true);
}

/* "vendor:device" of the device, from sysfs */
static void id_of(char *id, size_t size)
{
	unsigned int v[2];
	char path[64];
	FILE *f;
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s",
			 bar_dev.bdf, i ? "device" : "vendor");
		f = fopen(path, "r");
		TEST_ASSERT(f && fscanf(f, "%x", &v[i]) == 1, "%s", path);
		fclose(f);
	}
	snprintf(id, size, "%04x:%04x", v[0], v[1]);
}

static void test_deny_id(void)
{
	char list[64];

	id_of(list, sizeof(list));
	check_denied(list, true);
}

static void test_deny_others(void)
{
	char list[64];

	/* The same function of another domain; the same vendor's other device */
	id_of(list, sizeof(list));
	list[8] = list[8] == 'f' ? '0' : 'f';
	snprintf(list + 9, sizeof(list) - 9, ",ffff%s", strchr(bar_dev.bdf, ':'));
	check_denied(list, false);
}

static void test_deny_invalid(void)
{
	static const char * const invalid[] = {
		"al", "alll", "1234", "1234:", "1234:56789", "0000:00:01",
		"0000:00:20.0", "0000:00:01.8", ",all", "all all", "xyzw:1234",
	};
	struct bar_slot slot;
	int i;

	if (!bar_write(VFIO_BAR_DENY, "all\n"))
		bar_fail("%s: %s", VFIO_BAR_DENY, strerror(errno));
	for (i = 0; i < ARRAY_SIZE(invalid); i++) {
		if (bar_write(VFIO_BAR_DENY, invalid[i]) || errno != EINVAL)
			bar_fail("\"%s\" is not refused with EINVAL", invalid[i]);
	}
	slot = map_bar(0);
	bar_vm_touch(&bv, slot.gpa, MEMATTR_DEVICE_nGnRE, true, slot.pa);
	bar_write(VFIO_BAR_DENY, "\n");
}

static const struct test_case {
	const char *name;
	void (*run)(void);
	bool deny;
} cases[] = {
	/* Shown, also when moved and in a child; and for nothing else. */
	{ "smaps: vfio-pci", test_smaps_vfio },
	{ "smaps: sysfs", test_smaps_sysfs },
	{ "smaps: /dev/mem", test_smaps_dev_mem },
	{ "smaps: RAM", test_smaps_ram },
	/* Both say of each kind of VMA what the descriptor says. */
	{ "stage-2 dump agrees with the leaf", test_dump },
	{ "kvm_stage2_map agrees with the leaf", test_trace },
	/* What is denied is Device from the next mapping on; what is mapped stays. */
	{ "deny_any_uncached: all", test_deny_all, true },
	{ "deny_any_uncached: address", test_deny_address, true },
	{ "deny_any_uncached: vendor:device", test_deny_id, true },
	{ "deny_any_uncached: others", test_deny_others, true },
	/* Refused, and the list is as before. */
	{ "deny_any_uncached: invalid", test_deny_invalid, true },
};

static void run(const void *arg)
{
	const struct test_case *t = arg;

	bar_skip_if(t->deny && access(VFIO_BAR_DENY, F_OK),
		    "this kernel has no deny_any_uncached: use one with the series");
	bar_vm_create(&bv, NULL);
	t->run();
}

int main(int argc, char *argv[])
{
	const struct test_case *t;

	bar_start(ARRAY_SIZE(cases));
	for (t = cases; t < cases + ARRAY_SIZE(cases); t++)
		bar_row(t->name, &vfio_bar_any, run, t);
	if (!access(VFIO_BAR_DENY, F_OK))
		bar_write(VFIO_BAR_DENY, "\n");
	memattr_finish();
}
