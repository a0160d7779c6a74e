// SPDX-License-Identifier: GPL-2.0-only
/*
 * What if the kernel runs out of memory in a fault on a BAR?
 *
 * Fault injection lets one allocation of this task fail: the first that an
 * operation makes, then the second, until it needs no more. Each time the
 * operation has to work nevertheless, or to end with a plain error; the next
 * attempt has to work, and the leaf has to be right. It takes a kernel with
 * CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC and CONFIG_FAULT_INJECTION_DEBUG_FS;
 * lockdep and KASAN are welcome.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memattr/bar_vm.h"

/* More than any of the operations makes */
#define MAX_NTH		100
/* More than KVM's cache has pages for tables */
#define MAX_WINDOWS	100

static struct bar_vm bv;
static struct bar_slot slot;
static u8 vfio_type;
static int failed;

/* Open throughout: to open it would need memory. */
static int fail_fd;

static void fail_nth(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	if (pwrite(fail_fd, text, len, 0) != len)
		bar_fail("fail-nth: %s", strerror(errno));
}

/* Has the allocation failed? No other will. */
static bool has_failed(void)
{
	char text[16] = "";
	bool ret;

	if (pread(fail_fd, text, sizeof(text) - 1, 0) <= 0)
		bar_fail("fail-nth: %s", strerror(errno));
	fail_nth(0);
	ret = !atoi(text);
	failed += ret;
	return ret;
}

/* A load of which the nth allocation fails, then another one */
static bool touch(int n)
{
	enum guest_end end;
	bool ret;

	bar_vm_map(&bv, slot.gpa);
	fail_nth(n);
	end = bar_vm_do(&bv, BAR_READ32, slot.gpa);
	ret = has_failed();
	if (end != GUEST_DID_IT &&
	    (!ret || (end != KVM_RUN_EFAULT && (end != KVM_RUN_OTHER || guest_value != ENOMEM))))
		bar_fail("allocation %d: %s (0x%lx)", n, guest_end_name(end), guest_value);
	bar_vm_touch(&bv, slot.gpa, vfio_type, true, slot.pa);
	return ret;
}

/* An address space that is new to stage 2, until KVM has no pages for tables */
static void test_stage2(void)
{
	while (!failed && slot.window < MAX_WINDOWS) {
		slot.window++;
		slot.gpa = 0;
		bar_vm_add(&bv, &slot, 0);
		touch(1);
	}
}

/* An address that is new to the VMM */
static void test_host(void)
{
	int n = 0;

	do {
		bar_vm_slot(&bv, &slot, 0);
		munmap(slot.hva, slot.size);
		if (!vfio_bar_mmap(&bar_dev, slot.hva, BAR_RW, 0, slot.size))
			bar_fail("%s", vfio_bar_why());
		bar_vm_slot(&bv, &slot, slot.size);
	} while (touch(++n) && n < MAX_NTH);
}

static const struct test_case {
	const char *name;
	void (*run)(void);
} cases[] = {
	/* -ENOMEM or -EFAULT, then as before. */
	{ "KVM_RUN: a fault that needs tables at stage 2", test_stage2 },
	{ "KVM_RUN: a fault that needs the VMM's tables", test_host },
};

static void run(const void *arg)
{
	static const char * const off[] = {
		"failslab/ignore-gfp-wait", "fail_page_alloc/ignore-gfp-wait",
		"failslab/verbose", "fail_page_alloc/verbose",
		"fail_page_alloc/min-order",
	};
	const struct test_case *t = arg;
	char path[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(off); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", off[i]);
		bar_skip_if(!bar_write(path, "0"),
			    "this kernel cannot make allocations fail: use one with CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC and CONFIG_FAULT_INJECTION_DEBUG_FS");
	}
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	TEST_ASSERT(fail_fd >= 0, "fail-nth: %s", strerror(errno));
	bar_vm_create(&bv, NULL);
	bar_vm_add_bar(&bv, &slot, &bar_dev, BAR_RW, 0);
	vfio_type = bar_vm_mmio_type(&bv, slot.gpa);
	t->run();
	if (!failed)
		bar_fail("no allocation has failed");
	printf("# %s: %d allocations failed\n", t->name, failed);
}

int main(int argc, char *argv[])
{
	const struct test_case *t;

	bar_start(ARRAY_SIZE(cases));
	for (t = cases; t < cases + ARRAY_SIZE(cases); t++)
		bar_row(t->name, &vfio_bar_any, run, t);
	memattr_finish();
}
