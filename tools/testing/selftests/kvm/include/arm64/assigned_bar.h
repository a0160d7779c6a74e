/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of what a guest gets of the BAR of a vfio-pci device */
#ifndef SELFTEST_KVM_ARM64_ASSIGNED_BAR_H
#define SELFTEST_KVM_ARM64_ASSIGNED_BAR_H

#include <glob.h>
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

/*
 * The device: "-d BDF" has to come first.  VFIO_SELFTESTS_BDF is set for tests
 * that do not do what these do.
 */
static inline const char *bar_device(int *argc, char **argv[], const char *what)
{
	const char *bdf;

	if (*argc < 3 || strcmp((*argv)[1], "-d")) {
		ksft_print_header();
		ksft_exit_skip("no device given: %s -d BDF (bound to vfio-pci; %s)\n",
			       (*argv)[0], what);
	}
	bdf = (*argv)[2];
	(*argv)[2] = (*argv)[0];
	*argv += 2;
	*argc -= 2;
	return bdf;
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

/*
 * Does vfio-pci keep the device's BARs Device, like other MMIO?  The
 * administrator can have it so, and on Ampere Altra it is always so, as combined
 * writes may go to a wrong address there (erratum 82288).
 */
static inline bool bar_is_withheld(const char *bdf)
{
	char link[64], path[PATH_MAX];
	unsigned int vendor, id;
	bool withheld = false;
	glob_t g = {};
	FILE *file;
	size_t i;

	if (!access("/sys/module/vfio_pci_core/parameters/any_uncached", F_OK))
		withheld = !kvm_get_module_param_bool("vfio_pci_core", "any_uncached");

	/* What is on the root bus of ".../pci000c:00/000c:00:01.0/000c:01:00.0" */
	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s", bdf);
	TEST_ASSERT(realpath(link, path), "%s: %s", link, strerror(errno));
	strcpy(strchr(strstr(path, "/pci") + 1, '/'), "/*/modalias");
	glob(path, 0, NULL, &g);
	for (i = 0; i < g.gl_pathc; i++) {
		file = fopen(g.gl_pathv[i], "r");
		withheld |= fscanf(file, "pci:v%8xd%8x", &vendor, &id) == 2 &&
			    vendor == 0x1def && id >= 0xe100 && id <= 0xe118;
		fclose(file);
	}
	globfree(&g);
	if (withheld)
		ksft_print_msg("vfio-pci withholds Normal-NC from %s\n", bdf);
	return withheld;
}

/* A place for a slot.  What is a block at @hva can be one in the guest. */
static inline gpa_t bar_gpa(struct kvm_vm *vm, void *hva, size_t size)
{
	static gpa_t end = 4UL * SZ_1G;
	gpa_t gpa = align_up(end, SZ_1G) + ((uintptr_t)hva & (SZ_1G - 1));

	end = gpa + size;
	TEST_ASSERT((end - 1) >> vm->page_shift <= vm->max_gfn,
		    "0x%lx bytes of BARs are too many for %u bits of address",
		    size, vm->pa_bits);
	return gpa;
}

static inline gpa_t bar_slot_add(struct kvm_vm *vm, u32 slot, u32 flags, void *hva, size_t size)
{
	gpa_t gpa = bar_gpa(vm, hva, size);

	vm_set_user_memory_region(vm, slot, flags, gpa, align_up(size, getpagesize()), hva);
	return gpa;
}

/* pKVM lets guests have memory only, and does not split blocks for the VMM. */
static inline bool kvm_is_protected(void)
{
	return !kvm_check_cap(KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES);
}

/*
 * How a try ends: a bare ucall, with a syndrome or GUEST_TRIED.  Nothing returns
 * to free what another ucall would take from the pool.
 */
#define GUEST_TRIED		1

static inline void guest_report_fault(struct ex_regs *regs)
{
	ucall_arch_do_ucall(read_sysreg(esr_el1));
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

/* Run @code, which is to end with GUEST_TRIED, from its start. */
static inline const char *guest_try(struct kvm_vcpu *vcpu, void *code, u64 arg0, u64 arg1)
{
	u64 sp_reg = ctxt_reg_alias(vcpu, SYS_SP_EL1);
	u64 end, sp = vcpu_get_reg(vcpu, sp_reg);
	static char seen[64];

	vcpu_arch_set_entry_point(vcpu, code);
	vcpu_args_set(vcpu, 2, arg0, arg1);
	if (__vcpu_run(vcpu)) {
		snprintf(seen, sizeof(seen), "KVM_RUN: %s", strerror(errno));
		vcpu_set_reg(vcpu, sp_reg, sp);
		return seen;
	}

	end = (u64)ucall_arch_get_ucall(vcpu);
	if (end == GUEST_TRIED)
		strcpy(seen, GUEST_ENDED);
	else if (end)
		snprintf(seen, sizeof(seen), "guest fault: EC 0x%02lx, FSC 0x%02lx",
			 ESR_ELx_EC(end), end & ESR_ELx_FSC);
	else
		snprintf(seen, sizeof(seen), "exit: %s", exit_reason_str(vcpu->run->exit_reason));
	/* Or the vCPU would step over the first instruction of the next try. */
	vcpu_run_complete_io(vcpu);
	vcpu_set_reg(vcpu, sp_reg, sp);
	return seen;
}

#endif /* SELFTEST_KVM_ARM64_ASSIGNED_BAR_H */
