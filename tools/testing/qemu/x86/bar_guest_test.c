// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a KVM guest on x86-64 gets of a vfio-pci BAR: its data, nothing while it is away, and
 * from the hypervisor's table the type that arch/x86/kvm says
 *
 * The type is looked up in the trace event kvm_mmu_set_spte. What a CPU makes of it and of the
 * guest's own PAT cannot be seen here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include <linux/compiler.h>
#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <linux/types.h>

#include <libvfio.h>

#include "kselftest_harness.h"

#define CODE_GPA	0x1000u
#define BAR_GPA		0x10000000u
#define TRACING		"/sys/kernel/tracing/"

static const char *device_bdf;

/* Load the BAR's first word, say it, store it to the second, and halt. 32-bit, not paged */
static const unsigned char guest_code[] = {
	0xa1, 0x00, 0x00, 0x00, 0x10,	/* mov 0x10000000, %eax */
	0xe7, 0x10,			/* out %eax, $0x10 */
	0xa3, 0x04, 0x00, 0x00, 0x10,	/* mov %eax, 0x10000004 */
	0xf4,				/* hlt */
};

FIXTURE(bar_guest_test) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	u32 *bar;
	int kvm, vm, vcpu;
	struct kvm_run *run;
};

static void add_slot(int vm, u32 slot, u64 gpa, void *addr, u64 size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)addr,
	};

	ioctl_assert(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

FIXTURE_SETUP(bar_guest_test)
{
	void *code = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u64 size = 0;

	self->kvm = open("/dev/kvm", O_RDWR);
	if (self->kvm < 0)
		SKIP(return, "no KVM: this CPU has neither VMX nor SVM");
	self->iommu = iommu_init(MODE_VFIO_TYPE1V2_IOMMU);
	self->device = vfio_pci_device_init(device_bdf, self->iommu);
	vfio_pci_config_writew(self->device, PCI_COMMAND, PCI_COMMAND_MEMORY);
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct vfio_pci_bar *bar = &self->device->bars[i];

		if (bar->vaddr && vfio_pci_config_readl(self->device, PCI_BASE_ADDRESS_0 + 4 * i) &
				  PCI_BASE_ADDRESS_MEM_PREFETCH) {
			self->bar = bar->vaddr;
			size = bar->info.size;
		}
	}
	ASSERT_NE(NULL, self->bar);

	self->vm = ioctl(self->kvm, KVM_CREATE_VM, 0);
	ASSERT_LE(0, self->vm);
	ASSERT_NE(MAP_FAILED, code);
	memcpy(code, guest_code, sizeof(guest_code));
	add_slot(self->vm, 0, CODE_GPA, code, getpagesize());
	add_slot(self->vm, 1, BAR_GPA, self->bar, size);
	self->vcpu = ioctl(self->vm, KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, self->vcpu);
	self->run = mmap(NULL, ioctl(self->kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
			 PROT_READ | PROT_WRITE, MAP_SHARED, self->vcpu, 0);
	ASSERT_NE(MAP_FAILED, self->run);
}

FIXTURE_TEARDOWN(bar_guest_test)
{
	if (self->kvm < 0)
		return;
	close(self->vcpu);
	close(self->vm);
	close(self->kvm);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/* Run the guest from its start, and return what it has said, or a negative errno. */
static s64 run_guest(FIXTURE_DATA(bar_guest_test) *self)
{
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2 };
	struct kvm_segment flat = {
		.limit = 0xffffffff, .selector = 8, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1,
	};
	struct kvm_sregs sregs;
	s64 said = -EIO;

	ioctl_assert(self->vcpu, KVM_GET_SREGS, &sregs);
	sregs.ds = sregs.es = sregs.ss = sregs.cs = flat;
	sregs.cs.type = 11;
	sregs.cr0 |= 1;
	ioctl_assert(self->vcpu, KVM_SET_SREGS, &sregs);
	ioctl_assert(self->vcpu, KVM_SET_REGS, &regs);
	for (;;) {
		if (ioctl(self->vcpu, KVM_RUN, NULL))
			return -errno;
		if (self->run->exit_reason != KVM_EXIT_IO)
			break;
		said = *(u32 *)((char *)self->run + self->run->io.data_offset);
	}
	VFIO_ASSERT_EQ(self->run->exit_reason, KVM_EXIT_HLT);
	return said;
}

TEST_F(bar_guest_test, reads_and_writes)
{
	WRITE_ONCE(self->bar[0], 0x12345678);
	WRITE_ONCE(self->bar[1], 0);
	EXPECT_EQ(0x12345678, run_guest(self));
	EXPECT_EQ(0x12345678, READ_ONCE(self->bar[1]));
}

TEST_F(bar_guest_test, decoding_off)
{
	WRITE_ONCE(self->bar[0], 1);
	EXPECT_EQ(1, run_guest(self));
	vfio_pci_config_writew(self->device, PCI_COMMAND, 0);
	EXPECT_EQ(-EFAULT, run_guest(self));
	vfio_pci_config_writew(self->device, PCI_COMMAND, PCI_COMMAND_MEMORY);
	EXPECT_EQ(1, run_guest(self));
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	VFIO_ASSERT_GE(fd, 0, "%s\n", path);
	VFIO_ASSERT_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text), "%s\n", path);
	close(fd);
}

/* The last entry that KVM has made for the BAR's first page, and its level, 0 if there is none */
static int traced_entry(unsigned long long *entry)
{
	FILE *file = fopen(TRACING "trace", "r");
	unsigned long long gfn, spte;
	int level, found = 0;
	char line[256], *event;

	VFIO_ASSERT_NE(file, NULL);
	while (fgets(line, sizeof(line), file)) {
		event = strstr(line, "kvm_mmu_set_spte: ");
		if (!event || sscanf(event, "kvm_mmu_set_spte: gfn %llx spte %llx (%*[^)]) level %d",
				     &gfn, &spte, &level) != 3 || gfn != BAR_GPA >> 12)
			continue;
		*entry = spte;
		found = level;
	}
	fclose(file);
	return found;
}

/*
 * EPT has the type, and whether the guest's PAT is ignored: UC, not ignored. The entries of
 * NPT are as those of any table of x86, and name an entry of the host's PAT: the first, WB.
 */
TEST_F(bar_guest_test, type)
{
	bool ept = !access("/sys/module/kvm_intel/parameters/ept", F_OK) &&
		   access("/sys/module/kvm_amd/parameters/npt", F_OK);
	unsigned long long entry = 0;
	int level;

	mount("none", TRACING, "tracefs", 0, NULL);
	if (access(TRACING "events/kvmmmu", F_OK))
		SKIP(return, "no trace events of KVM's");
	write_file(TRACING "trace", "");
	write_file(TRACING "events/kvmmmu/kvm_mmu_set_spte/enable", "1");
	run_guest(self);
	write_file(TRACING "events/kvmmmu/kvm_mmu_set_spte/enable", "0");
	level = traced_entry(&entry);
	ksft_print_msg("%s: level %d, 0x%llx\n", ept ? "EPT" : "NPT", level, entry);
	ASSERT_LT(0, level);
	/* PWT, PCD, and PAT, which is elsewhere in the entry of a large page */
	EXPECT_EQ(0, entry & (ept ? 0x78 : level == 1 ? 0x98 : 0x1018));
}

int main(int argc, char *argv[])
{
	device_bdf = vfio_selftests_get_bdf(&argc, argv);
	return test_harness_run(argc, argv);
}
