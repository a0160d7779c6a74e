// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the kvm_memattr module refuse what makes no sense, with the errno that its header
 * promises? The other tests take its word for what KVM does.
 */
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/compiler.h>
#include <linux/sizes.h>

#include "memattr/memattr.h"
#include "test_util.h"

#define GUEST_BASE	0x10000000ULL
#define GUEST_SIZE	SZ_128K
/* Mapped by the guest, but without a memslot: a store ends KVM_RUN */
#define GUEST_EXIT	(GUEST_BASE + GUEST_SIZE)

static struct memattr_machine machine;
static struct kvm_vm *vm;
static struct kvm_vcpu *vcpu, *idle;
static int vm_stats, vcpu_stats, null_fd;
/* What a call that makes sense says: 0, or EOPNOTSUPP on a host that has no answer */
static int no_leaf, no_translate, no_calibrate;
static bool stop;
static int wrong;

static void guest_code(void)
{
	for (;;) {
		READ_ONCE(*(u64 *)GUEST_BASE);
		WRITE_ONCE(*(u64 *)GUEST_EXIT, 0);
	}
}

#define expect(_line, _want, _cmd, _arg) do {					\
	int __want = (_want), __err = ioctl(machine.fd, _cmd, _arg) ? errno : 0;	\
										\
	if (__err != __want) {							\
		ksft_print_msg("line %d: %s, not %s\n", _line, strerror(__err),	\
			       strerror(__want));				\
		wrong++;							\
	}									\
} while (0)

#define leaf(_want, _fd, _ipa, _flags)						\
	expect(__LINE__, (_want), KVM_MEMATTR_STAGE2_LEAF,			\
	       (&(struct kvm_memattr_leaf){ .vm_fd = (_fd), .ipa = (_ipa), .flags = (_flags) }))
#define translate(_want, _fd, _va, _flags)					\
	expect(__LINE__, (_want), KVM_MEMATTR_TRANSLATE,			\
	       (&(struct kvm_memattr_translate){ .vcpu_fd = (_fd), .va = (_va),	\
						 .flags = (_flags) }))
#define calibrate(_want, ...)							\
	expect(__LINE__, (_want), KVM_MEMATTR_CALIBRATE,			\
	       (&(struct kvm_memattr_calibrate){ __VA_ARGS__ }))
#define host_pte(_want, ...)							\
	expect(__LINE__, (_want), KVM_MEMATTR_HOST_PTE,				\
	       (&(struct kvm_memattr_host_pte){ __VA_ARGS__ }))

static void test_arguments(void)
{
	const int others[] = { null_fd, vm_stats, vcpu_stats };
	int i;

	expect(__LINE__, ENOTTY, KVM_MEMATTR_INFO ^ 0x80, &i);
	expect(__LINE__, EFAULT, KVM_MEMATTR_INFO, NULL);
	leaf(no_leaf, vm->fd, GUEST_BASE, 0);
	leaf(EBADF, -1, GUEST_BASE, 0);
	leaf(EINVAL, vcpu->fd, GUEST_BASE, 0);
	leaf(no_leaf ?: ENOENT, vm->fd, GUEST_EXIT, 0);
	leaf(no_leaf ?: EINVAL, vm->fd, 1ULL << 52, 0);
	translate(no_translate, vcpu->fd, GUEST_BASE, 0);
	translate(no_translate, vcpu->fd, GUEST_BASE, KVM_MEMATTR_TRANSLATE_WRITE);
	/* A fault is an answer. */
	translate(no_translate, vcpu->fd, 0x123456789ULL << 12, 0);
	translate(no_translate ?: ENOEXEC, idle->fd, GUEST_BASE, 0);
	translate(EBADF, -1, GUEST_BASE, 0);
	translate(EINVAL, vm->fd, GUEST_BASE, 0);
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		leaf(EINVAL, others[i], GUEST_BASE, 0);
		translate(EINVAL, others[i], GUEST_BASE, 0);
	}
	host_pte(0, .va = (uintptr_t)&i);
	host_pte(ENOENT, .va = 0);
	host_pte(EINVAL, .va = 1ULL << 52);
	for (i = 1; i < 32; i++) {
		leaf(EINVAL, vm->fd, GUEST_BASE, 1U << i);
		translate(EINVAL, vcpu->fd, GUEST_BASE, 1U << i);
		calibrate(EINVAL, .flags = 1U << i);
		host_pte(EINVAL, .va = (uintptr_t)&i, .flags = 1U << i);
	}
	calibrate(machine.info.flags & KVM_MEMATTR_INFO_FWB ? no_calibrate : EOPNOTSUPP,
		  .flags = KVM_MEMATTR_CALIBRATE_FWB);
	for (i = 0; i < 256; i++) {
		bool sh = i <= 3 && i != 1;

		calibrate(i < 16 ? no_calibrate : EINVAL, .memattr = i);
		calibrate(sh ? no_calibrate : EINVAL, .s1_sh = i);
		calibrate(sh ? no_calibrate : EINVAL, .s2_sh = i);
	}
}

static void *run_vcpu(void *arg)
{
	while (!READ_ONCE(stop))
		vcpu_run(vcpu);
	return NULL;
}

/* It runs most of the time. */
static bool is_busy(void)
{
	struct kvm_memattr_translate tr = { .vcpu_fd = vcpu->fd, };
	int tries = 100000;
	pthread_t thread;
	bool busy = false;

	TEST_ASSERT(!pthread_create(&thread, NULL, run_vcpu, NULL), "pthread_create");
	while (!busy && --tries)
		busy = ioctl(machine.fd, KVM_MEMATTR_TRANSLATE, &tr) &&
		       errno == (no_translate ?: EBUSY);
	WRITE_ONCE(stop, true);
	pthread_join(thread, NULL);
	return busy;
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpus[2];
	int npages;

	ksft_print_header();
	memattr_require(&machine);
	ksft_set_plan(2);

	vm = vm_create_with_vcpus(2, guest_code, vcpus);
	vcpu = vcpus[0];
	idle = vcpus[1];
	npages = GUEST_SIZE / vm->page_size;
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, GUEST_BASE, 1, npages, 0);
	virt_map(vm, GUEST_BASE, GUEST_BASE, npages);
	virt_map(vm, GUEST_EXIT, GUEST_EXIT, 1);
	/* Where pKVM has the stage-2 tables */
	if (memattr_leaf(&machine, vm->fd, 0, &(struct kvm_memattr_leaf) {}) == -EOPNOTSUPP)
		no_leaf = EOPNOTSUPP;
	if (!(machine.info.flags & KVM_MEMATTR_INFO_TRANSLATE))
		no_translate = EOPNOTSUPP;
	if (!(machine.info.flags & KVM_MEMATTR_INFO_CALIBRATE))
		no_calibrate = EOPNOTSUPP;
	vm_stats = ioctl(vm->fd, KVM_GET_STATS_FD, NULL);
	vcpu_stats = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	null_fd = open("/dev/null", O_RDWR);

	vcpu_run(vcpu);
	test_arguments();
	ksft_test_result(!wrong, "arguments are checked\n");
	ksft_test_result(is_busy(), "a vCPU that runs is not looked at\n");
	memattr_finish();
}
