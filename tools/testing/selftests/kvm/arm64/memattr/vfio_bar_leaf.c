// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KVM has for an IPA of the VM of another process: of QEMU, for vfio_bar_vmm
 *
 *   vfio_bar_leaf BDF			can this host do it, with this function?
 *   vfio_bar_leaf none PID IPA		there has to be no stage-2 leaf
 *   vfio_bar_leaf BDF PID IPA		it has to be that of a BAR, and to lead to BDF's
 *   vfio_bar_leaf BDF PID IPA VA S1 HOW ROW
 *	and what VA is under the VM's tables has to be what the rules say for S1, its type
 *	there; HOW and ROW are for the report
 *
 * The exit status is KSFT_*, or AGAIN while the process that has mapped VA does not run.
 * VM and vCPU are those that the process has open, by pidfd_getfd().
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memattr/bar_vm.h"

#define AGAIN	5

static void check_host(const char *bdf)
{
	struct kvm_create_device v2 = {
		.type = KVM_DEV_TYPE_ARM_VGIC_V2, .flags = KVM_CREATE_DEVICE_TEST,
	};
	struct kvm_create_device v3 = {
		.type = KVM_DEV_TYPE_ARM_VGIC_V3, .flags = KVM_CREATE_DEVICE_TEST,
	};
	int vm = ioctl(open("/dev/kvm", O_RDWR), KVM_CREATE_VM, 0);

	if (bar_pkvm())
		ksft_exit_skip(BAR_PKVM "\n");
	if (ioctl(vm, KVM_CREATE_DEVICE, &v3) && ioctl(vm, KVM_CREATE_DEVICE, &v2))
		ksft_exit_skip("this host cannot virtualise a GIC: boot with kvm-arm.mode=nvhe\n");
	if (!vfio_bar_find(&bar_dev, bdf) || bar_dev.size < 7 * SZ_4K)
		ksft_exit_skip("%s has no BAR of 28K: name another first in KVM_VFIO_BAR_WRITE\n",
			       bdf);
	if (bar_dev.broken)
		ksft_exit_skip(VFIO_BAR_BROKEN "\n", bdf);
}

/* The first that it has open by that name */
static int open_in(int pid, const char *name)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), fd;
	char path[64], link[64];
	ssize_t n;

	for (fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = 0;
		if (!strncmp(link, name, strlen(name)))
			return syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	}
	return -1;
}

static int wrong(const char *what)
{
	fprintf(stderr, "%s\n", what);
	return KSFT_FAIL;
}

int main(int argc, char *argv[])
{
	struct memattr_row row = { .want = MEMATTR_NORMAL_NC };
	struct kvm_memattr_leaf leaf;
	const char *why;
	int pid, vm, ret;
	u64 ipa;

	memattr_require(&bar_machine);
	if (argc == 2) {
		check_host(argv[1]);
		return KSFT_PASS;
	}
	if (argc != 4 && argc != 8)
		return wrong("usage: vfio_bar_leaf BDF|none [PID IPA [VA S1 HOW ROW]]");
	pid = atoi(argv[2]);
	ipa = strtoull(argv[3], NULL, 0);
	vm = open_in(pid, "anon_inode:kvm-vm");
	ret = memattr_leaf(&bar_machine, vm, ipa, &leaf);
	if (!strcmp(argv[1], "none"))
		return ret == -ENOENT ? KSFT_PASS : wrong(ret ? strerror(-ret) :
							  "it is still mapped at stage 2");
	if (ret)
		return wrong(ret == -ENOENT ? "it is not mapped at stage 2" : strerror(-ret));
	why = memattr_check_leaf(&leaf, MEMATTR_NORMAL_NC, true);
	if (!why && (!vfio_bar_find(&bar_dev, argv[1]) ||
		     leaf.oa + (ipa - leaf.base) != bar_dev.pa))
		return wrong("it leads to another function");
	if (argc == 4)
		return why ? wrong(why) : KSFT_PASS;
	row.s1 = strtoul(argv[5], NULL, 0);
	row.vma = argv[6];
	ret = memattr_observe(&bar_machine, vm, open_in(pid, "anon_inode:kvm-vcpu:"),
			      strtoull(argv[4], NULL, 0), ipa, &row);
	if (ret)
		return wrong(strerror(-ret));
	if (row.at && row.par & MEMATTR_PAR_F)
		return AGAIN;
	memattr_report(&bar_machine, &row, argv[7]);
	return ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS;
}
