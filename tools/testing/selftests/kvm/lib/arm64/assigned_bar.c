// SPDX-License-Identifier: GPL-2.0-only
/* What a guest can do with the BAR of a vfio-pci device: see assigned_bar.h */
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "assigned_bar.h"

#define FIRST_GPA	(4UL * SZ_1G)

/*
 * The guest says how a try ended by a store to this page, which no memslot
 * backs: the offset is an enum guest_end.  A ucall would not do, as nothing
 * returns to free what it takes from the pool.
 */
#define REPORT		(3UL * SZ_1G)

#define FSC_EXTABT	0x10
#define FSC_ALIGNMENT	0x21

u64 guest_value;

static u8 guest_stack[SZ_16K] __aligned(16);

asm("	.pushsection	.text\n"
	"guest_start:\n"
	"	mov	sp, x2\n"
	"	br	x3\n"
	"	.popsection\n");

static void guest_report(enum guest_end end, u64 value)
{
	asm volatile("dsb sy; str %0, [%1]"
		     : : "r" (value), "r" (REPORT + end * sizeof(u64)) : "memory");
}

void guest_done(u64 value)
{
	guest_report(GUEST_DID_IT, value);
}

static void guest_fault(struct ex_regs *regs)
{
	u64 esr, ec, fsc;

	/* EL2 with VHE has the name of EL1 for its own. */
	esr = read_sysreg(esr_el1);
	ec = esr >> 26 & 0x3f;
	fsc = esr & 0x3f;
	if (fsc == FSC_ALIGNMENT && ec == 0x25)
		guest_report(GUEST_ALIGNMENT_FAULT, esr);
	else if (fsc == FSC_ALIGNMENT && ec == 0x24)
		guest_report(L1_ALIGNMENT_FAULT, esr);
	else if (fsc == FSC_EXTABT && ec == 0x21)
		guest_report(GUEST_FETCH_ABORT, esr);
	else
		guest_report(GUEST_OTHER_FAULT, esr);
}

const char *guest_end_name(enum guest_end end)
{
	static const char * const names[] = {
		[GUEST_DID_IT]			= "done",
		[GUEST_ALIGNMENT_FAULT]		= "alignment fault in the guest",
		[L1_ALIGNMENT_FAULT]	= "alignment fault of L2 in L1",
		[GUEST_FETCH_ABORT]		= "instruction abort in the guest",
		[GUEST_OTHER_FAULT]		= "another fault in the guest",
		[KVM_RUN_EFAULT]		= "KVM_RUN: EFAULT",
		[KVM_RUN_EINVAL]		= "KVM_RUN: EINVAL",
		[KVM_RUN_OTHER]			= "KVM_RUN: another error or exit",
		[KVM_RUN_MMIO]			= "KVM_EXIT_MMIO",
	};

	return names[end];
}

static void report_faults(struct kvm_vm *vm, int vector)
{
	int ec;

	for (ec = 0; ec < 64; ec++)
		vm_install_sync_handler(vm, vector, ec, guest_fault);
}

struct kvm_vm *guest_vm_create(int nr, struct kvm_vcpu *vcpus[])
{
	struct kvm_vm *vm = vm_create_with_vcpus(nr, NULL, vcpus);

	vm_init_descriptor_tables(vm);
	while (nr--)
		vcpu_init_descriptor_tables(vcpus[nr]);
	report_faults(vm, VECTOR_SYNC_CURRENT);
	virt_pg_map(vm, REPORT, REPORT);
	return vm;
}

void guest_vm_report_l2_faults(struct kvm_vm *vm)
{
	report_faults(vm, VECTOR_SYNC_LOWER_64);
}

enum guest_end guest_try(struct kvm_vcpu *vcpu, void *code, u64 arg0, u64 arg1)
{
	struct kvm_run *run = vcpu->run;
	enum guest_end end;

	vcpu_set_reg(vcpu, ARM64_CORE_REG(regs.pc), (u64)guest_start);
	vcpu_args_set(vcpu, 4, arg0, arg1, guest_stack + sizeof(guest_stack), code);
	if (__vcpu_run(vcpu)) {
		guest_value = errno;
		return errno == EFAULT ? KVM_RUN_EFAULT :
		       errno == EINVAL ? KVM_RUN_EINVAL : KVM_RUN_OTHER;
	}

	if (run->exit_reason != KVM_EXIT_MMIO) {
		guest_value = run->exit_reason;
		return KVM_RUN_OTHER;
	}
	memcpy(&guest_value, run->mmio.data, sizeof(guest_value));
	end = (run->mmio.phys_addr - REPORT) / sizeof(u64);
	if (run->mmio.phys_addr < REPORT || end > GUEST_OTHER_FAULT)
		end = KVM_RUN_MMIO;
	/* Or the vCPU would step over the first instruction of the next try. */
	vcpu_run_complete_io(vcpu);
	return end;
}

gpa_t bar_gpa(struct kvm_vm *vm, void *hva, size_t size)
{
	static gpa_t end = FIRST_GPA;
	gpa_t gpa = align_up(end, SZ_1G) + ((uintptr_t)hva & (SZ_1G - 1));

	end = gpa + size;
	TEST_ASSERT((end - 1) >> vm->page_shift <= vm->max_gfn,
		    "0x%lx bytes of BARs are too many for %u bits of address",
		    size, vm->pa_bits);
	return gpa;
}

gpa_t bar_slot_add(struct kvm_vm *vm, u32 slot, u32 flags, void *hva, size_t size)
{
	gpa_t gpa = bar_gpa(vm, hva, size);

	vm_set_user_memory_region(vm, slot, flags, gpa, align_up(size, getpagesize()), hva);
	return gpa;
}

const char *bar_device(int *argc, char **argv[], const char *what)
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

void *bar_map_sysfs(const char *bdf, int bar, size_t size)
{
	char path[64];
	void *hva;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource%d", bdf, bar);
	fd = open(path, O_RDWR | O_SYNC);
	if (fd < 0)
		return NULL;
	hva = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return hva == MAP_FAILED ? NULL : hva;
}

bool bar_is_withheld(const char *bdf)
{
	char link[64], path[PATH_MAX];
	unsigned int vendor, id;
	bool withheld = false;
	glob_t g = {};
	FILE *file;
	size_t i;

	file = fopen("/sys/module/vfio_pci_core/parameters/any_uncached", "r");
	if (file) {
		withheld = fgetc(file) == 'N';
		fclose(file);
	}

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
