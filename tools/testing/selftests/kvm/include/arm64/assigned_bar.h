/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of what a guest gets of the BAR of a vfio-pci device */
#ifndef SELFTEST_KVM_ARM64_ASSIGNED_BAR_H
#define SELFTEST_KVM_ARM64_ASSIGNED_BAR_H

#include <linux/sizes.h>
#include <sys/mman.h>

#include <libvfio.h>

#include "kvm_util.h"
#include "processor.h"

/* What guest_try() says */
#define GUEST_ENDED		"done"
#define KVM_EFAULT		"KVM_RUN: Bad address"
#define KVM_EINVAL		"KVM_RUN: Invalid argument"
#define EXIT_MMIO		"exit: MMIO"

/* The largest BAR that can be mapped, or -1 */
static inline int bar_find(struct vfio_pci_device *device)
{
	u64 size = 0;
	int i, bar = -1;

	for (i = 0; i < PCI_STD_NUM_BARS; i++) {
		if (device->bars[i].vaddr && device->bars[i].info.size > size) {
			size = device->bars[i].info.size;
			bar = i;
		}
	}
	return bar;
}

/* By a VMA that is not vfio-pci's; NULL if CONFIG_IO_STRICT_DEVMEM forbids it */
static inline void *bar_map_sysfs(struct vfio_pci_device *device, int bar, size_t size)
{
	char path[64];
	void *hva;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d", device->bdf, bar);
	fd = open(path, O_RDWR | O_SYNC);
	if (fd < 0)
		return NULL;
	hva = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return hva == MAP_FAILED ? NULL : hva;
}

#define BAR_SLOT_GPA	(4UL * SZ_1G)

/* Slots are far apart. What is a block at @hva can be one in the guest. */
static inline gpa_t bar_slot_add(struct kvm_vm *vm, u32 slot, u32 flags, void *hva, size_t size)
{
	gpa_t gpa = slot * BAR_SLOT_GPA + ((uintptr_t)hva & (SZ_1G - 1));

	vm_set_user_memory_region(vm, slot, flags, gpa, align_up(size, getpagesize()), hva);
	return gpa;
}

/* pKVM lets guests have memory only, and does not split blocks for the VMM. */
static inline bool kvm_is_protected(void)
{
	return !kvm_check_cap(KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES);
}

static inline void guest_report_fault(struct ex_regs *regs)
{
	GUEST_SYNC(read_sysreg(esr_el1));
}

static inline struct kvm_vm *bar_vm_create(struct kvm_vcpu **vcpu)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, NULL);
	int ec;

	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(*vcpu);
	for (ec = 0; ec <= ESR_ELx_EC_MAX; ec++)
		vm_install_sync_handler(vm, VECTOR_SYNC_CURRENT, ec, guest_report_fault);
	return vm;
}

/* Run @code, which is to end with GUEST_DONE(), from its start. */
static inline const char *guest_try(struct kvm_vcpu *vcpu, void *code, u64 arg0, u64 arg1)
{
	static char seen[64];
	struct ucall uc;

	vcpu_arch_set_entry_point(vcpu, code);
	vcpu_args_set(vcpu, 2, arg0, arg1);
	if (__vcpu_run(vcpu)) {
		snprintf(seen, sizeof(seen), "KVM_RUN: %s", strerror(errno));
		return seen;
	}

	switch (get_ucall(vcpu, &uc)) {
	case UCALL_DONE:
		return GUEST_ENDED;
	case UCALL_SYNC:
		snprintf(seen, sizeof(seen), "guest fault: EC 0x%02lx, FSC 0x%02lx",
			 ESR_ELx_EC(uc.args[1]), uc.args[1] & ESR_ELx_FSC);
		return seen;
	default:
		snprintf(seen, sizeof(seen), "exit: %s", exit_reason_str(vcpu->run->exit_reason));
		/* Or the vCPU would step over the first instruction of the next try. */
		vcpu_run_complete_io(vcpu);
		return seen;
	}
}

#endif /* SELFTEST_KVM_ARM64_ASSIGNED_BAR_H */
