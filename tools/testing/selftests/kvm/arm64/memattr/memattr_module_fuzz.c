// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the kvm_memattr module survive what user space can throw at it?
 *
 * The other tests take its word for what KVM does. So arguments that make no
 * sense have to be refused with the errno that its header promises, and its
 * answers have to stay the same while a vCPU runs and its memory comes and
 * goes. The kernel log has to stay clean; lockdep and KASAN are welcome.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/compiler.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "kvm_util.h"
#include "memattr/memattr.h"
#include "processor.h"
#include "test_util.h"

#define GUEST_BASE	0x10000000ULL
#define GUEST_SIZE	0x20000ULL
/* Mapped by the guest, but without a memslot: a store ends KVM_RUN */
#define GUEST_EXIT	(GUEST_BASE + GUEST_SIZE)
/* Larger than any argument */
#define ARG_SIZE	256

static struct memattr_machine machine;
static struct kvm_vm *vm;
static struct kvm_vcpu *vcpu, *idle;
static int vm_stats, vcpu_stats, null_fd;
static char *readonly;
static bool stop;
static unsigned int wrong;

static void guest_code(void)
{
	for (;;) {
		READ_ONCE(*(u64 *)GUEST_BASE);
		WRITE_ONCE(*(u64 *)GUEST_EXIT, 0);
	}
}

/* EOPNOTSUPP where pKVM has the stage-2 tables */
static int no_leaf;

/* A host without AT says so once the rest of the call makes sense */
static bool supported(unsigned int cmd)
{
	return (cmd != KVM_MEMATTR_TRANSLATE ||
		machine.info.flags & KVM_MEMATTR_INFO_TRANSLATE) &&
	       (cmd != KVM_MEMATTR_STAGE2_LEAF || !no_leaf) &&
	       (cmd != KVM_MEMATTR_CALIBRATE ||
		machine.info.flags & KVM_MEMATTR_INFO_CALIBRATE);
}

/* The errno of a call has to be this one */
static void expect_call(int line, unsigned int cmd, void *arg, int want)
{
	int err = ioctl(machine.fd, cmd, arg) ? errno : 0;

	if ((!want || want == ENOEXEC) && !supported(cmd))
		want = EOPNOTSUPP;
	if (err == want)
		return;
	ksft_print_msg("line %d: command 0x%x: %s, not %s\n", line, cmd,
		       strerror(err), strerror(want));
	wrong++;
}

#define expect(cmd, arg, want)	expect_call(__LINE__, cmd, arg, want)
#define expect_arg(cmd, type, want, ...)				\
	expect(cmd, &((struct kvm_memattr_##type){ __VA_ARGS__ }), want)
#define expect_leaf(want, ...)						\
	expect_arg(KVM_MEMATTR_STAGE2_LEAF, leaf, want, .ipa = GUEST_BASE, __VA_ARGS__)
#define expect_tr(want, ...)						\
	expect_arg(KVM_MEMATTR_TRANSLATE, translate, want, .va = GUEST_BASE, __VA_ARGS__)
#define expect_cal(want, ...)						\
	expect_arg(KVM_MEMATTR_CALIBRATE, calibrate, want, __VA_ARGS__)
#define expect_pte(want, ...)						\
	expect_arg(KVM_MEMATTR_HOST_PTE, host_pte, want, __VA_ARGS__)

/* Root and owner of the device, but not capable */
static void case_capability(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	int status = 1;
	pid_t pid = fork();

	if (!pid) {
		if (syscall(SYS_capget, &hdr, data))
			_exit(2);
		data[0].effective &= ~(1U << CAP_SYS_ADMIN);
		if (syscall(SYS_capset, &hdr, data))
			_exit(2);
		_exit(open(KVM_MEMATTR_DEVICE, O_RDWR) >= 0 || errno != EPERM);
	}
	wrong += waitpid(pid, &status, 0) != pid || status;
}

static void case_commands(void)
{
	static const unsigned int cmds[] = {
		KVM_MEMATTR_INFO, KVM_MEMATTR_STAGE2_LEAF, KVM_MEMATTR_TRANSLATE,
		KVM_MEMATTR_CALIBRATE, KVM_MEMATTR_HOST_PTE,
	};
	char arg[ARG_SIZE] = { 0 };
	int i, size;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		for (size = 0; size <= ARG_SIZE; size++)
			if (size != _IOC_SIZE(cmds[i]))
				expect(_IOC(_IOC_DIR(cmds[i]), KVM_MEMATTR_IOC,
					    _IOC_NR(cmds[i]), size), arg, ENOTTY);
		expect(cmds[i] ^ 0x80, arg, ENOTTY);
		expect(cmds[i] ^ 0x8000, arg, ENOTTY);
		expect(cmds[i], NULL, EFAULT);
		expect(cmds[i], (void *)(1UL << 63), EFAULT);
	}
	expect(KVM_MEMATTR_INFO, readonly, EFAULT);
	expect(KVM_MEMATTR_HOST_PTE, readonly, ENOENT);
}

static void case_fds(void)
{
	expect_leaf(0, .vm_fd = vm->fd);
	expect_leaf(EBADF, .vm_fd = -1);
	expect_leaf(EINVAL, .vm_fd = null_fd);
	expect_leaf(EINVAL, .vm_fd = vcpu->fd);
	expect_leaf(EINVAL, .vm_fd = vm_stats);
	expect_tr(0, .vcpu_fd = vcpu->fd);
	expect_tr(EBADF, .vcpu_fd = -1);
	expect_tr(EINVAL, .vcpu_fd = null_fd);
	expect_tr(EINVAL, .vcpu_fd = vm->fd);
	expect_tr(EINVAL, .vcpu_fd = vcpu_stats);
	expect_tr(ENOEXEC, .vcpu_fd = idle->fd);
}

static void case_arguments(void)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		u32 flags = 1U << bit;

		expect_leaf(EINVAL, .vm_fd = vm->fd, .flags = flags);
		expect_pte(EINVAL, .va = (uintptr_t)&bit, .flags = flags);
		if (bit) {
			expect_tr(EINVAL, .vcpu_fd = vcpu->fd, .flags = flags);
			expect_cal(EINVAL, .flags = flags);
		}
	}
	for (bit = 0; bit < 256; bit++) {
		bool sh = bit <= 3 && bit != 1;

		expect_cal(bit < 16 ? 0 : EINVAL, .memattr = bit);
		expect_cal(sh ? 0 : EINVAL, .s1_sh = bit);
		expect_cal(sh ? 0 : EINVAL, .s2_sh = bit);
	}
	expect_cal(machine.info.flags & KVM_MEMATTR_INFO_FWB ? 0 : EOPNOTSUPP,
		   .flags = KVM_MEMATTR_CALIBRATE_FWB);
	expect_tr(0, .vcpu_fd = vcpu->fd, .flags = KVM_MEMATTR_TRANSLATE_WRITE);
	/* A fault is an answer */
	expect_tr(0, .vcpu_fd = vcpu->fd, .va = 0x123456789ULL << 12);
	expect_leaf(no_leaf ?: ENOENT, .vm_fd = vm->fd, .ipa = GUEST_EXIT);
	expect_leaf(no_leaf ?: EINVAL, .vm_fd = vm->fd, .ipa = 1ULL << 52);
	expect_leaf(no_leaf ?: EINVAL, .vm_fd = vm->fd, .ipa = ~0ULL);
	expect_pte(0, .va = (uintptr_t)&bit);
	expect_pte(ENOENT, .va = 0);
	expect_pte(EINVAL, .va = 1ULL << 52);
	expect_pte(EINVAL, .va = ~0ULL);
}

static void *run_vcpu(void *arg)
{
	while (!READ_ONCE(stop))
		vcpu_run(vcpu);

	return NULL;
}

/* A vCPU that runs is not to be looked at. It runs most of the time. */
static void expect_busy(void)
{
	struct kvm_memattr_translate tr = { .vcpu_fd = vcpu->fd, };
	int i;

	for (i = 0; i < 100000 && machine.info.flags & KVM_MEMATTR_INFO_TRANSLATE; i++) {
		if (ioctl(machine.fd, KVM_MEMATTR_TRANSLATE, &tr) && errno == EBUSY)
			return;
	}
	if (i) {
		ksft_print_msg("a vCPU that runs is never busy\n");
		wrong++;
	}
}

/* Any call, with values that are seldom far from making sense */
static void random_calls(unsigned int calls)
{
	const int fds[] = { vm->fd, vcpu->fd, idle->fd, vm_stats, vcpu_stats, null_fd, -1 };
	const u64 addrs[] = { GUEST_BASE, GUEST_EXIT, 0, ~0ULL, (uintptr_t)readonly };
	int err;

	while (calls--) {
		int fd = fds[rand() % ARRAY_SIZE(fds)];
		u64 addr = addrs[rand() % ARRAY_SIZE(addrs)] + (rand() & 0xffff);
		u32 flags = rand() % 8 ? 0 : 1U << rand() % 32;
		struct kvm_memattr_leaf leaf = { .vm_fd = fd, .flags = flags, .ipa = addr };
		struct kvm_memattr_translate tr = {
			.vcpu_fd = fd, .flags = flags, .va = addr,
		};
		struct kvm_memattr_calibrate cal = {
			.flags = flags, .mair = rand(), .memattr = rand() & 0x1f,
			.s1_sh = rand() & 3, .s2_sh = rand() & 3,
		};
		struct kvm_memattr_host_pte pte = { .va = addr, .flags = flags };
		struct {
			unsigned int cmd;
			void *arg;
		} call[] = {
			{ KVM_MEMATTR_STAGE2_LEAF, &leaf }, { KVM_MEMATTR_TRANSLATE, &tr },
			{ KVM_MEMATTR_CALIBRATE, &cal }, { KVM_MEMATTR_HOST_PTE, &pte },
		}, *c = &call[rand() % ARRAY_SIZE(call)];

		if (!(rand() % 64))
			madvise(addr_gpa2hva(vm, GUEST_BASE), GUEST_SIZE, MADV_DONTNEED);
		err = ioctl(machine.fd, c->cmd, c->arg) ? errno : 0;
		switch (err) {
		case EBUSY:
		case ENOEXEC:
			wrong += c->cmd != KVM_MEMATTR_TRANSLATE;
			break;
		case 0:
		case EBADF:
		case EINVAL:
		case ENOENT:
		case EOPNOTSUPP:
			break;
		default:
			ksft_print_msg("command 0x%x: %s\n", c->cmd, strerror(err));
			wrong++;
		}
	}
}

static void sample(u64 par[2][256])
{
	int fwb, mair;

	for (fwb = 0; fwb < 2; fwb++)
		for (mair = 0; mair < 256; mair++)
			memattr_calibrate(&machine, mair, MEMATTR_S2_NC, fwb, &par[fwb][mair]);
}

static unsigned int calls = 20000;

static void case_random(void)
{
	static u64 before[2][256], after[2][256];
	pthread_t thread;

	sample(before);
	TEST_ASSERT(!pthread_create(&thread, NULL, run_vcpu, NULL), "pthread_create");
	expect_busy();
	random_calls(calls);
	WRITE_ONCE(stop, true);
	pthread_join(thread, NULL);
	sample(after);
	wrong += !!memcmp(before, after, sizeof(before));
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "without CAP_SYS_ADMIN the device is closed", case_capability },
	{ "commands, sizes and pointers are checked", case_commands },
	{ "file descriptors are checked", case_fds },
	{ "arguments are checked", case_arguments },
	{ "random calls while a vCPU runs", case_random },
};

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpus[2];
	int i, npages;

	ksft_print_header();
	memattr_require(&machine);
	if (argc == 2 && !strncmp(argv[1], "-n", 2))
		calls = atoi(argv[1] + 2);

	vm = vm_create_with_vcpus(2, guest_code, vcpus);
	vcpu = vcpus[0];
	idle = vcpus[1];
	npages = GUEST_SIZE / vm->page_size;
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, GUEST_BASE, 1, npages, 0);
	virt_map(vm, GUEST_BASE, GUEST_BASE, npages);
	virt_map(vm, GUEST_EXIT, GUEST_EXIT, 1);
	if (memattr_leaf(&machine, vm->fd, 0, &(struct kvm_memattr_leaf) {}) == -EOPNOTSUPP)
		no_leaf = EOPNOTSUPP;
	vm_stats = ioctl(vm->fd, KVM_GET_STATS_FD, NULL);
	vcpu_stats = ioctl(vcpu->fd, KVM_GET_STATS_FD, NULL);
	null_fd = open("/dev/null", O_RDWR);
	readonly = mmap(NULL, getpagesize(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ksft_set_plan(ARRAY_SIZE(cases));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		wrong = 0;
		/* A fork() takes the guest's pages away */
		vcpu_run(vcpu);
		cases[i].run();
		ksft_test_result(!wrong, "%s\n", cases[i].name);
	}
	memattr_finish();
}
