/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of what a guest can do with the BAR of a vfio-pci device: which BAR
 * that is, a place for it in the guest, and single tries whose end is known.
 */
#ifndef SELFTEST_KVM_ARM64_ASSIGNED_BAR_H
#define SELFTEST_KVM_ARM64_ASSIGNED_BAR_H

#include <libvfio.h>

#include "kvm_util.h"
#include "processor.h"

/* How a try of the guest's ended */
enum guest_end {
	GUEST_DID_IT,		/* nothing stopped it; see guest_value */
	GUEST_ALIGNMENT_FAULT,	/* its EL1, or EL2, took the fault */
	L1_ALIGNMENT_FAULT,	/* nested: L1 took the fault of its guest */
	GUEST_FETCH_ABORT,	/* it took an external abort on an instruction */
	GUEST_OTHER_FAULT,	/* guest_value is the syndrome */
	KVM_RUN_EFAULT,
	KVM_RUN_EINVAL,
	KVM_RUN_OTHER,		/* guest_value is the errno, or the exit reason */
	KVM_RUN_MMIO,		/* the VMM is asked to emulate the access */
};

extern u64 guest_value;

const char *guest_end_name(enum guest_end end);

/* In the guest, from any exception level: the try is over. */
void guest_done(u64 value);

/* A VM for guest_try(), with @nr vCPUs */
struct kvm_vm *guest_vm_create(int nr, struct kvm_vcpu *vcpus[]);

/* Run @code from its start, on an empty stack: guest_start() has that in x2 and x3. */
void guest_start(void);
enum guest_end guest_try(struct kvm_vcpu *vcpu, void *code, u64 arg0, u64 arg1);

/* Report the faults that the guest takes from its own guest, too. */
void guest_vm_report_l2_faults(struct kvm_vm *vm);

/* A place for a memslot.  What is a block at @hva can be one in the guest. */
gpa_t bar_gpa(struct kvm_vm *vm, void *hva, size_t size);
gpa_t bar_slot_add(struct kvm_vm *vm, u32 slot, u32 flags, void *hva, size_t size);

/*
 * The device: "-d BDF" has to come first.  VFIO_SELFTESTS_BDF is set for tests
 * that do not do what these do.
 */
const char *bar_device(int *argc, char **argv[], const char *what);

/* By a VMA that is not vfio-pci's; NULL if CONFIG_IO_STRICT_DEVMEM forbids it */
void *bar_map_sysfs(const char *bdf, int bar, size_t size);

/*
 * Does vfio-pci keep the device's BARs Device, like other MMIO?  The
 * administrator can have it so, and on Ampere Altra it is always so, as combined
 * writes may go to a wrong address there (erratum 82288).
 */
bool bar_is_withheld(const char *bdf);

/* pKVM lets guests have memory only, and does not split blocks for the VMM. */
static inline bool kvm_is_protected(void)
{
	return !kvm_check_cap(KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES);
}

/* The largest BAR with @flags (PCI_BASE_ADDRESS_*) that can be mapped, or -1 */
static inline int bar_find(struct vfio_pci_device *device, u32 flags)
{
	u64 size = 0;
	int i, bar = -1;
	u32 val;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		val = vfio_pci_config_readl(device, PCI_BASE_ADDRESS_0 + i * sizeof(val));
		if (device->bars[i].vaddr && (val & flags) == flags &&
		    device->bars[i].info.size > size) {
			size = device->bars[i].info.size;
			bar = i;
		}
	}
	return bar;
}

#endif /* SELFTEST_KVM_ARM64_ASSIGNED_BAR_H */
