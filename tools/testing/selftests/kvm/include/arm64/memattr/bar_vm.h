/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of BARs have in common: rows, each a process of its own, and a
 * VM that loads from an address on demand, with PCI BARs and other memory as its
 * memslots.
 *
 * A row ends with the first thing that is not as it has to be: by bar_fail(), or
 * by a failed TEST_ASSERT(), which costs that row only. What a row opens, maps
 * and creates goes with its process.
 *
 * The guest invalidates its TLB only where it has to, because its own MAIR_EL1
 * has changed. Else a stage-2 entry that KVM did not invalidate would go unseen.
 */
#ifndef SELFTEST_KVM_BAR_VM_H
#define SELFTEST_KVM_BAR_VM_H

#include <stdbool.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "assigned_bar.h"
#include "kvm_util.h"
#include "memattr/memattr.h"
#include "processor.h"
#include "memattr/vfio_bar.h"

#define BAR_RW			(PROT_READ | PROT_WRITE)

/* What bar_vm_add_bar() maps of a BAR, unless a test asks for another size */
#define BAR_VM_MAX_MAP		0x800000ul

#define BAR_VM_VCPUS		2

/**
 * struct bar_vm - the VM
 * @vm: of the KVM selftest library
 * @vcpus: its vCPUs
 * @vcpu: the one that bar_vm_load() uses, the first unless a test sets it
 * @end: where bar_vm_add() can put the next memslot
 * @mair: the type that all pages of bar_vm_map() have
 * @flush: the guest has to invalidate its TLB before its next load
 */
struct bar_vm {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpus[BAR_VM_VCPUS];
	struct kvm_vcpu *vcpu;
	u64 end;
	int mair;
	bool flush;
};

/**
 * struct bar_slot - memory that is a memslot
 * @window: decides the memslot's id
 * @hva: where the test has it mapped
 * @size: bytes
 * @pa: physical address, if it is a BAR
 * @gpa: where the guest has it, as physical and as virtual address
 */
struct bar_slot {
	int window;
	void *hva;
	size_t size;
	u64 pa;
	u64 gpa;
};

extern struct memattr_machine bar_machine;
extern struct vfio_bar bar_dev;
extern const char *bar_name;

void __printf(1, 2) bar_fail(const char *fmt, ...);
void __printf(1, 2) bar_skip(const char *fmt, ...);
#define bar_skip_if(cond, ...) do {					\
	if (cond)							\
		bar_skip(__VA_ARGS__);					\
} while (0)
void *bar_shared(size_t size);
bool bar_write(const char *path, const char *text);

void bar_vm_create(struct bar_vm *bv, void *guest_code);
void bar_vm_slot(struct bar_vm *bv, const struct bar_slot *slot, size_t size);
void bar_vm_map(struct bar_vm *bv, u64 gpa);
void bar_vm_add(struct bar_vm *bv, struct bar_slot *slot);
void bar_vm_add_bar(struct bar_vm *bv, struct bar_slot *slot,
		    const struct vfio_bar *b, int prot);
void bar_vm_set_type(struct bar_vm *bv, u8 mair);

void bar_vm_load(struct bar_vm *bv, u64 gva);
void bar_vm_check_leaf(struct bar_vm *bv, u64 gpa, u8 type, bool write, u64 oa);
void bar_vm_touch(struct bar_vm *bv, u64 gpa, u8 type, bool write, u64 oa);

/* The exit status of a row that has left an observation to judge */
#define BAR_JUDGE	16

/* What a row leaves for the program */
extern struct bar_left {
	char why[512];
	struct memattr_row row;
} *bar_left;

/* Why the rows that look at stage 2 are skipped, if bar_pkvm() says so */
#define BAR_PKVM	"pKVM has the stage-2 tables: boot with kvm-arm.mode=nvhe"

bool bar_pkvm(void);
int bar_fork(const char *name, const struct vfio_bar_want *want,
	     void (*run)(const void *arg), const void *arg);
void bar_report(const struct memattr_row *row);

/*
 * kselftest.h keeps its counters in static variables, one set in each object
 * that includes it: what counts a result is inline for that reason.
 */

/**
 * bar_start() - begin the program, or skip all of it without the test module
 * @rows: their number
 */
static inline void bar_start(unsigned int rows)
{
	setbuf(stdout, NULL);
	ksft_print_header();
	memattr_require(&bar_machine);
	ksft_set_plan(rows);
	bar_left = bar_shared(sizeof(*bar_left));
}

/**
 * bar_row() - run one row in a process of its own, and report it
 * @name: of the row
 * @want: the BAR that bar_dev has to be, if it is not that already; NULL: it has
 *	  to be closed
 * @run: the row
 * @arg: its argument
 */
static inline void bar_row(const char *name, const struct vfio_bar_want *want,
			   void (*run)(const void *arg), const void *arg)
{
	int ret = bar_fork(name, want, run, arg);

	if (ret == BAR_JUDGE)
		memattr_report(&bar_machine, &bar_left->row, name);
	else if (ret == KSFT_SKIP)
		memattr_skip(name, "%s", bar_left->why);
	else
		ksft_test_result(!ret, "%s\n", name);
}

#endif /* SELFTEST_KVM_BAR_VM_H */
