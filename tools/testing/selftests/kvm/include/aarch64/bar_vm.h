/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM that makes single memory accesses on demand and tells how each of them
 * ended, with PCI BARs and other memory as its memslots.
 *
 * The guest invalidates its TLB only where it has to, because its own MAIR_EL1
 * has changed, or where a test asks for it.  Else a stage-2 entry that KVM did
 * not invalidate would go unseen.
 */
#ifndef SELFTEST_KVM_BAR_VM_H
#define SELFTEST_KVM_BAR_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "kvm_util.h"
#include "memattr.h"
#include "processor.h"
#include "vfio_bar.h"

/* ESR_EL1 fields, DDI 0487 D24.2.40: both kernels' headers name other subsets */
#define BAR_ESR_EC(esr)		(((esr) >> 26) & 0x3f)
#define BAR_ESR_FSC(esr)	((esr) & 0x3f)
#define BAR_EC_IABT		0x21	/* instruction abort, same EL */
#define BAR_EC_DABT		0x25	/* data abort, same EL */
#define BAR_FSC_ALIGN		0x21	/* alignment fault */
#define BAR_FSC_EXCL		0x35	/* unsupported exclusive or atomic */

/**
 * enum bar_op - what the guest does with an address
 * @BAR_NOP: nothing
 * @BAR_READ8: 8-bit load
 * @BAR_READ16: 16-bit load
 * @BAR_READ32: 32-bit load
 * @BAR_READ64: 64-bit load
 * @BAR_LDP: load pair of 64-bit registers; the result is their exclusive or
 * @BAR_WRITE8: 8-bit store
 * @BAR_WRITE16: 16-bit store
 * @BAR_WRITE32: 32-bit store
 * @BAR_WRITE64: 64-bit store
 * @BAR_STP: store pair of 64-bit registers, the value and its complement
 * @BAR_ZVA: DC ZVA
 * @BAR_EXCLUSIVE: 64-bit LDXR, then STXR of the same value; the result is 0 if
 *		   the store succeeded, 1 if not
 * @BAR_EXEC: branch there with link
 */
enum bar_op {
	BAR_NOP,
	BAR_READ8,
	BAR_READ16,
	BAR_READ32,
	BAR_READ64,
	BAR_LDP,
	BAR_WRITE8,
	BAR_WRITE16,
	BAR_WRITE32,
	BAR_WRITE64,
	BAR_STP,
	BAR_ZVA,
	BAR_EXCLUSIVE,
	BAR_EXEC,
};

/**
 * enum bar_outcome - how an access ended
 * @BAR_OK: it was carried out
 * @BAR_GUEST_FAULT: the guest took an exception
 * @BAR_RUN_FAILED: KVM_RUN failed with an error
 * @BAR_MMIO: KVM_RUN asked user space to emulate it
 * @BAR_INTERRUPTED: it did not end before a signal came
 */
enum bar_outcome {
	BAR_OK,
	BAR_GUEST_FAULT,
	BAR_RUN_FAILED,
	BAR_MMIO,
	BAR_INTERRUPTED,
};

/**
 * struct bar_result - how an access ended, in detail
 * @outcome: see enum bar_outcome
 * @val: what was loaded, for BAR_OK
 * @esr: the guest's ESR_EL1 for BAR_GUEST_FAULT
 * @far: the guest's FAR_EL1 for BAR_GUEST_FAULT
 * @vector: VECTOR_* through which the guest took the exception
 * @err: errno of KVM_RUN for BAR_RUN_FAILED
 * @gpa: guest physical address of the access for BAR_MMIO
 * @is_write: direction of the access for BAR_MMIO
 */
struct bar_result {
	enum bar_outcome outcome;
	uint64_t val;
	uint64_t esr;
	uint64_t far;
	int vector;
	int err;
	uint64_t gpa;
	bool is_write;
};

/* The stage-1 attribute index that every page of bar_vm_map() uses. */
#define BAR_VM_ATTRIDX		7

/* No test needs more of a BAR than this. */
#define BAR_VM_MAX_MAP		0x800000

/*
 * The guest reports with a store to this page, which no memslot backs.  A
 * ucall would do the same, but its setup differs between kernel versions.
 */
#define BAR_VM_REPORT		(3ULL << 30)

/* Number of windows a VM has, each for one memslot of up to 1G. */
#define BAR_VM_WINDOWS		8

#define BAR_VM_VCPUS		2

/**
 * struct bar_vm - the VM
 * @vm: of the KVM selftest library
 * @vcpus: its vCPUs
 * @vcpu: the one that bar_vm_do() uses, the first unless a test sets it
 * @mair: MAIR_EL1 of the vCPUs
 * @flush: the guest has to invalidate its TLB before its next access
 * @interruptible: a signal ends bar_vm_do()
 */
struct bar_vm {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpus[BAR_VM_VCPUS];
	struct kvm_vcpu *vcpu;
	uint64_t mair;
	bool flush;
	bool interruptible;
};

/**
 * enum bar_source - what maps a BAR into the test's address space
 * @BAR_VFIO: vfio-pci, which allows all uncached types
 * @BAR_SYSFS: resourceN, an ordinary MMIO mapping
 * @BAR_SYSFS_WC: resourceN_wc, an ordinary write-combining mapping
 */
enum bar_source {
	BAR_VFIO,
	BAR_SYSFS,
	BAR_SYSFS_WC,
};

/**
 * struct bar_slot - memory that is a memslot
 * @window: the window it is in
 * @hva: where the test has it mapped; NULL: there is no such memory
 * @size: bytes
 * @pa: physical address, if it is a BAR
 * @gpa: where the guest has it, as physical and as virtual address
 */
struct bar_slot {
	int window;
	void *hva;
	size_t size;
	uint64_t pa;
	uint64_t gpa;
};

/**
 * bar_vm_create() - create the VM
 * @bv: filled in
 */
void bar_vm_create(struct bar_vm *bv);

/**
 * bar_vm_create_with() - create the VM, with a guest of the test's own
 * @bv: filled in
 * @guest_code: what its vCPUs run; bar_vm_do() is not for them
 *
 * A store to BAR_VM_REPORT is an exit that no memslot and no BAR can cause.
 * An exception in the guest ends KVM_RUN with an exit of another kind.
 */
void bar_vm_create_with(struct bar_vm *bv, void *guest_code);

/**
 * bar_vm_free() - destroy the VM and its memslots, not what backs them
 * @bv: the VM
 */
void bar_vm_free(struct bar_vm *bv);

/**
 * bar_vm_gpa() - where a window puts memory
 * @window: 0 to BAR_VM_WINDOWS - 1
 * @hva: the memory
 *
 * Return: a guest physical address that agrees with @hva modulo 1G, so that
 * stage 2 may use any block size the backing allows.  The guest maps it at
 * the same virtual address.
 */
uint64_t bar_vm_gpa(int window, const void *hva);

/**
 * bar_vm_slot() - give the VM a memslot
 * @bv: the VM
 * @window: number of the window
 * @flags: KVM_MEM_*
 * @hva: the memory
 * @size: bytes; 0 deletes the memslot
 *
 * Failure ends the test.
 *
 * Return: the guest physical address of the memslot.
 */
uint64_t bar_vm_slot(struct bar_vm *bv, int window, uint32_t flags, void *hva,
		     uint64_t size);

/**
 * bar_vm_try_slot_at() - give the VM a memslot at any address
 * @bv: the VM
 * @window: number of the window; decides the memslot's id only
 * @flags: KVM_MEM_*
 * @gpa: guest physical address
 * @hva: the memory
 * @size: bytes; 0 deletes the memslot
 *
 * Return: 0, or -1 with errno set.
 */
int bar_vm_try_slot_at(struct bar_vm *bv, int window, uint32_t flags,
		       uint64_t gpa, void *hva, uint64_t size);

/**
 * bar_vm_map() - map a guest page at the guest virtual address @gpa
 * @bv: the VM
 * @gpa: any address in the page
 *
 * The page uses attribute index BAR_VM_ATTRIDX; mapping it twice is fine.
 */
void bar_vm_map(struct bar_vm *bv, uint64_t gpa);

/**
 * bar_vm_add_mem() - make memory a memslot and map its first page
 * @bv: the VM
 * @slot: filled in
 * @window: number of the window
 * @slot_flags: KVM_MEM_*
 * @hva: the memory; bar_vm_remove() unmaps it
 * @size: bytes
 */
void bar_vm_add_mem(struct bar_vm *bv, struct bar_slot *slot, int window,
		    uint32_t slot_flags, void *hva, size_t size);

/**
 * bar_vm_add_bar() - make a BAR, or the start of it, a memslot
 * @bv: the VM
 * @slot: filled in
 * @window: number of the window
 * @source: what maps it
 * @dev: open device
 * @bar: number of the BAR
 * @prot: PROT_* of the mapping
 * @slot_flags: KVM_MEM_*
 *
 * No more than BAR_VM_MAX_MAP bytes of the BAR are mapped.
 *
 * Return: true, or false with vfio_bar_why() set.
 */
bool bar_vm_add_bar(struct bar_vm *bv, struct bar_slot *slot, int window,
		    enum bar_source source, const struct vfio_pci_dev *dev,
		    int bar, int prot, uint32_t slot_flags);

/**
 * bar_vm_remove() - delete a memslot and unmap what backs it
 * @bv: the VM
 * @slot: of bar_vm_add_mem() or bar_vm_add_bar(); can be empty
 */
void bar_vm_remove(struct bar_vm *bv, struct bar_slot *slot);

/**
 * bar_vm_set_type() - choose the stage-1 memory type of all bar_vm_map() pages
 * @bv: the VM
 * @mair: attribute byte in MAIR_EL1 encoding
 *
 * The guest invalidates its TLB before its next access.
 */
void bar_vm_set_type(struct bar_vm *bv, uint8_t mair);

/**
 * bar_vm_flush() - have the guest invalidate its TLB before its next access
 * @bv: the VM
 *
 * For accesses that are compared by their alignment: QEMU looks at it only when
 * it fills its TLB.
 */
void bar_vm_flush(struct bar_vm *bv);

/**
 * bar_vm_do() - let the guest do one thing
 * @bv: the VM
 * @op: what
 * @gva: where
 * @val: value to store
 *
 * The guest goes on with the next instruction after whatever happened, so a
 * VM can be used again after each outcome.
 *
 * Return: how it ended.
 */
struct bar_result bar_vm_do(struct bar_vm *bv, enum bar_op op, uint64_t gva,
			    uint64_t val);

/**
 * bar_result_str() - an outcome in words
 * @res: the outcome
 *
 * Return: static text, valid until the next call.
 */
const char *bar_result_str(const struct bar_result *res);

/**
 * struct bar_leaf_want - what the stage-2 leaf of an address must be
 * @type: stage-2 type in MAIR encoding (MEMATTR_*)
 * @read: S2AP[0]
 * @write: S2AP[1]
 * @exec: executable at EL1 and EL0; false: at neither
 * @any_exec: executability does not matter
 * @oa: output address for the address itself, 0 for any
 */
struct bar_leaf_want {
	uint8_t type;
	bool read;
	bool write;
	bool exec;
	bool any_exec;
	uint64_t oa;
};

/**
 * bar_vm_check_leaf() - compare a stage-2 leaf with what it must be
 * @m: the test module
 * @bv: the VM
 * @name: of the case, for diagnostic lines
 * @gpa: the address
 * @want: what is expected of its leaf
 *
 * Besides @want, the leaf must have its access flag set and must not be marked
 * contiguous: KVM does not maintain groups of contiguous entries.  Pages and
 * blocks of any size are accepted.
 *
 * Return: true if it is as wanted; else diagnostic lines say what is not.
 */
bool bar_vm_check_leaf(const struct memattr_machine *m, struct bar_vm *bv,
		       const char *name, uint64_t gpa,
		       const struct bar_leaf_want *want);

/**
 * bar_vm_check_no_leaf() - is an address not mapped at stage 2?
 * @m: the test module
 * @bv: the VM
 * @name: of the case, for diagnostic lines
 * @gpa: the address
 *
 * Return: true if it is not mapped; else a diagnostic line says how it is.
 */
bool bar_vm_check_no_leaf(const struct memattr_machine *m, struct bar_vm *bv,
			  const char *name, uint64_t gpa);

/**
 * bar_vm_mmio_type() - the stage-2 type of an address that is MMIO
 * @m: the test module
 * @bv: the VM
 * @gpa: the address, which the guest has touched
 *
 * For tests that want it to be the same before and after.
 *
 * Return: MEMATTR_NORMAL_NC if it is that, else MEMATTR_DEVICE_nGnRE.
 */
uint8_t bar_vm_mmio_type(const struct memattr_machine *m, struct bar_vm *bv,
			 uint64_t gpa);

/**
 * bar_vm_check_touch() - map a page, load from it, and compare its leaf
 * @m: the test module
 * @bv: the VM
 * @name: of the case, for diagnostic lines
 * @gpa: the address
 * @want: what is expected of its leaf
 *
 * Return: true if the load works and the leaf is as wanted.
 */
bool bar_vm_check_touch(const struct memattr_machine *m, struct bar_vm *bv,
			const char *name, uint64_t gpa,
			const struct bar_leaf_want *want);

/**
 * bar_vm_check_gone() - is there nothing behind an address any more?
 * @m: the test module
 * @bv: the VM
 * @name: of the case, for diagnostic lines
 * @gpa: the address
 *
 * Return: true if it is not mapped at stage 2, a load ends KVM_RUN with -EFAULT,
 * and it still is not mapped then.
 */
bool bar_vm_check_gone(const struct memattr_machine *m, struct bar_vm *bv,
		       const char *name, uint64_t gpa);

/**
 * bar_vm_expect() - compare how an access ended with what was expected
 * @name: of the case, for a diagnostic line
 * @res: how it ended
 * @outcome: what was expected
 *
 * Return: true if it is as expected.
 */
bool bar_vm_expect(const char *name, const struct bar_result *res,
		   enum bar_outcome outcome);

#endif /* SELFTEST_KVM_BAR_VM_H */
