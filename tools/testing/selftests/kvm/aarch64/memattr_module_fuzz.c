// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the kvm_memattr module survive what user space can throw at it?
 *
 * The other tests take its word for what KVM does, and it runs with the guest's
 * translation regime loaded, so it has to be beyond doubt: every argument that
 * makes no sense is refused with the errno that its header promises, and the
 * answers stay the same under load. First the boundaries, one case for each
 * promise; then random calls from several threads, while a vCPU runs, its
 * memory comes and goes, and other VMs are created and closed under the
 * module. The kernel log has to stay clean; lockdep and KASAN are welcome.
 *
 * Each random call has a set of results that it may have. Nothing in here
 * reads the module's answer to find out what to expect of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/compiler.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "kvm_util.h"
#include "memattr.h"
#include "processor.h"
#include "test_util.h"

#define DEFAULT_CALLS	100000
#define NR_THREADS	4

/* A page of the guest, aligned for any page size of guest and host */
#define GUEST_BASE	0x10000000ULL
#define GUEST_SIZE	0x20000ULL
#define GUEST_SLOT	1

/* Mapped by the guest, but without a memslot: a store ends KVM_RUN */
#define GUEST_EXIT	(GUEST_BASE + GUEST_SIZE)

/* A file descriptor that is never open, but is within any limit */
#define CLOSED_FD	1000

#define POISON		0xa5

union arg {
	struct kvm_memattr_info info;
	struct kvm_memattr_leaf leaf;
	struct kvm_memattr_translate tr;
	struct kvm_memattr_calibrate cal;
	struct kvm_memattr_host_pte pte;
	uint8_t raw[256];
};

/* The results that a call may have: bits of an errno set */
#define RES_OK		0x01
#define RES_EINVAL	0x02
#define RES_EBADF	0x04
#define RES_ENOENT	0x08
#define RES_EOPNOTSUPP	0x10
#define RES_EFAULT	0x20
#define RES_ENOTTY	0x40
#define RES_OTHER	0x80

static struct memattr_machine machine;
static struct kvm_vm *vm;
static struct kvm_vcpu *vcpu;
static int dead_vm = -1;
static int other_fds[4];
static struct kvm_memattr_translate guest_regs;

/* The IPA space ends at ipa_limit; in protected mode no later than at ipa_end */
static uint64_t ipa_limit, ipa_end;
static uint8_t guest_attr;

/* What CALIBRATE says of these, before and after the storm */
static const uint8_t sample_mair[] = {
	0x00, 0x04, 0x08, 0x0c, 0x44, 0xbb, 0xff, 0x4f, 0xf4, 0xee,
};

static uint64_t sample_par[2][16][ARRAY_SIZE(sample_mair)];

static bool has(uint32_t flag)
{
	return machine.info.flags & flag;
}

static unsigned int result_of(int ret)
{
	if (!ret)
		return RES_OK;

	switch (errno) {
	case EINVAL:
		return RES_EINVAL;
	case EBADF:
		return RES_EBADF;
	case ENOENT:
		return RES_ENOENT;
	case EOPNOTSUPP:
		return RES_EOPNOTSUPP;
	case EFAULT:
		return RES_EFAULT;
	case ENOTTY:
		return RES_ENOTTY;
	default:
		return RES_OTHER;
	}
}

static unsigned int call(unsigned long cmd, void *arg)
{
	return result_of(ioctl(machine.fd, cmd, arg));
}

/*
 * The guest touches the pages of its slot for as long as it is run, so that
 * there are stage-2 mappings to look at and to take away.
 */
static void guest_code(void)
{
	uint64_t i;

	for (;;) {
		for (i = 0; i < GUEST_SIZE; i += 0x1000)
			READ_ONCE(*(uint64_t *)(GUEST_BASE + i));
		WRITE_ONCE(*(uint64_t *)GUEST_EXIT, 0);
	}
}

static bool guest_run(void)
{
	vcpu_run(vcpu);

	return vcpu->run->exit_reason == KVM_EXIT_MMIO;
}

static uint64_t get_sysreg(uint64_t id)
{
	uint64_t val = 0;

	TEST_ASSERT(!__vcpu_get_reg(vcpu, id, &val), "No register 0x%lx", id);

	return val;
}

static void setup_vm(void)
{
	uint64_t npages;
	int ipa_bits;

	vm = vm_create_with_one_vcpu(&vcpu, guest_code);
	npages = GUEST_SIZE / vm->page_size;
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, GUEST_BASE,
				    GUEST_SLOT, npages, 0);
	virt_map(vm, GUEST_BASE, GUEST_BASE, npages);
	virt_map(vm, GUEST_EXIT, GUEST_EXIT, 1);
	memset(addr_gpa2hva(vm, GUEST_BASE), 0, GUEST_SIZE);
	TEST_ASSERT(guest_run(), "The guest does not run");

	guest_regs.vm_fd = vm->fd;
	guest_regs.va = GUEST_BASE;
	guest_regs.ttbr0_el1 = get_sysreg(KVM_ARM64_SYS_REG(SYS_TTBR0_EL1));
	guest_regs.ttbr1_el1 = get_sysreg(KVM_ARM64_SYS_REG(SYS_TTBR1_EL1));
	guest_regs.tcr_el1 = get_sysreg(KVM_ARM64_SYS_REG(SYS_TCR_EL1));
	guest_regs.mair_el1 = get_sysreg(KVM_ARM64_SYS_REG(SYS_MAIR_EL1));
	guest_regs.sctlr_el1 = get_sysreg(KVM_ARM64_SYS_REG(SYS_SCTLR_EL1));

	/* The VM's type has its IPA size, 0 being 40 bits */
	ipa_bits = vm->type & 0xff;
	ipa_limit = 1ULL << (ipa_bits ? ipa_bits : 40);
	ipa_end = ipa_limit;
	/* pKVM may give all VMs the largest size, whatever they asked for */
	if (has(KVM_MEMATTR_INFO_PROTECTED))
		ipa_end = 1ULL << kvm_check_cap(KVM_CAP_ARM_VM_IPA_SIZE);
}

static int create_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), fd;

	if (kvm < 0)
		return -1;
	fd = ioctl(kvm, KVM_CREATE_VM, 0);
	close(kvm);

	return fd;
}

/*
 * A VM whose process is gone, and with it the VM's stage-2 tables. The child's
 * file descriptor is taken over; AF_UNIX may not be there to pass it on.
 */
static int create_dead_vm(void)
{
	int result[2], hold[2], fd = -1, pidfd;
	pid_t pid;

	if (pipe(result) || pipe(hold))
		return -1;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(hold[1]);
		fd = create_vm();
		if (write(result[1], &fd, sizeof(fd)) != sizeof(fd))
			_exit(1);
		/* Until the parent is done */
		_exit(read(hold[0], &fd, 1));
	}

	pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (read(result[0], &fd, sizeof(fd)) != sizeof(fd))
		fd = -1;
	if (fd >= 0)
		fd = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	close(result[0]);
	close(result[1]);
	close(hold[0]);
	close(hold[1]);
	close(pidfd);
	waitpid(pid, NULL, 0);

	return fd;
}

/* Boundary cases */

static bool case_capability(void)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		/* Still root and owner of the device, but not capable */
		if (syscall(SYS_capget, &hdr, data))
			_exit(2);
		data[0].effective &= ~(1U << CAP_SYS_ADMIN);
		if (syscall(SYS_capset, &hdr, data))
			_exit(2);
		_exit(open(KVM_MEMATTR_DEVICE, O_RDWR) >= 0 || errno != EPERM);
	}

	return waitpid(pid, &status, 0) == pid && !status;
}

static const unsigned long commands[] = {
	KVM_MEMATTR_INFO, KVM_MEMATTR_STAGE2_LEAF, KVM_MEMATTR_TRANSLATE,
	KVM_MEMATTR_CALIBRATE, KVM_MEMATTR_HOST_PTE,
};

static bool is_command(unsigned int cmd)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (cmd == commands[i])
			return true;

	return false;
}

/* Every number, direction and size but the right ones */
static bool case_commands(void)
{
	static union arg arg;
	int dir, nr, size;

	for (nr = 0x9c; nr < 0xac; nr++)
		for (dir = 0; dir < 4; dir++)
			for (size = 0; size <= sizeof(arg); size += 4) {
				unsigned int cmd = _IOC(dir, KVM_MEMATTR_IOC, nr, size);

				if (!is_command(cmd) && call(cmd, &arg) != RES_ENOTTY)
					return false;
			}

	return true;
}

/* A valid argument, so that nothing but the pointer is wrong */
static void valid_arg(unsigned long cmd, union arg *arg)
{
	memset(arg, 0, sizeof(*arg));
	switch (cmd) {
	case KVM_MEMATTR_STAGE2_LEAF:
		arg->leaf.vm_fd = vm->fd;
		arg->leaf.ipa = GUEST_BASE;
		break;
	case KVM_MEMATTR_TRANSLATE:
		arg->tr = guest_regs;
		break;
	case KVM_MEMATTR_CALIBRATE:
		arg->cal.mair = MEMATTR_NORMAL_WB;
		arg->cal.memattr = MEMATTR_S2_WB;
		break;
	case KVM_MEMATTR_HOST_PTE:
		arg->pte.va = (uintptr_t)arg;
		break;
	}
}

/* Two pages: the second one is not there, or both can only be read */
static char *hole, *readonly;

static void setup_pages(void)
{
	long page = getpagesize();

	hole = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	readonly = mmap(NULL, page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(hole != MAP_FAILED && readonly != MAP_FAILED, "mmap");
	memset(hole, 0, page);
	memset(readonly, 0, page);
	mprotect(hole + page, page, PROT_NONE);
	hole += page;
}

static bool supported(unsigned long cmd)
{
	if (cmd == KVM_MEMATTR_TRANSLATE)
		return has(KVM_MEMATTR_INFO_TRANSLATE);
	if (cmd == KVM_MEMATTR_CALIBRATE)
		return has(KVM_MEMATTR_INFO_CALIBRATE);
	if (cmd == KVM_MEMATTR_STAGE2_LEAF)
		return has(KVM_MEMATTR_INFO_LEAF);

	return true;
}

static bool case_pointers(void)
{
	union arg arg;
	int i;

	/* A fork() since the last run has taken the guest's pages away */
	if (!guest_run())
		return false;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		unsigned long cmd = commands[i];
		size_t size = _IOC_SIZE(cmd);

		if (call(cmd, NULL) != RES_EFAULT ||
		    call(cmd, (void *)-1UL) != RES_EFAULT ||
		    call(cmd, (void *)(1UL << 63)) != RES_EFAULT ||
		    call(cmd, hole) != RES_EFAULT ||
		    call(cmd, hole - 1) != RES_EFAULT ||
		    call(cmd, hole - size + 1) != RES_EFAULT)
			return false;

		/* It may end where the hole begins */
		valid_arg(cmd, &arg);
		memcpy(hole - size, &arg, size);
		if (call(cmd, hole - size) != (supported(cmd) ? RES_OK : RES_EOPNOTSUPP))
			return false;
	}

	return true;
}

/* The input can be read, the output not written */
static bool case_readonly(void)
{
	union arg arg;
	int i;

	if (!guest_run())
		return false;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		mprotect(readonly, getpagesize(), PROT_READ | PROT_WRITE);
		valid_arg(commands[i], &arg);
		memcpy(readonly, &arg, sizeof(arg));
		mprotect(readonly, getpagesize(), PROT_READ);
		if (call(commands[i], readonly) !=
		    (supported(commands[i]) ? RES_EFAULT : RES_EOPNOTSUPP))
			return false;
	}

	return true;
}

static bool case_flags(void)
{
	union arg arg;
	int bit;

	for (bit = 0; bit < 32; bit++) {
		uint32_t flag = 1U << bit;

		valid_arg(KVM_MEMATTR_STAGE2_LEAF, &arg);
		arg.leaf.flags = flag;
		if (call(KVM_MEMATTR_STAGE2_LEAF, &arg) != RES_EINVAL)
			return false;

		valid_arg(KVM_MEMATTR_HOST_PTE, &arg);
		arg.pte.flags = flag;
		if (call(KVM_MEMATTR_HOST_PTE, &arg) != RES_EINVAL)
			return false;

		valid_arg(KVM_MEMATTR_TRANSLATE, &arg);
		arg.tr.flags = flag;
		if (flag != KVM_MEMATTR_TRANSLATE_WRITE &&
		    call(KVM_MEMATTR_TRANSLATE, &arg) != RES_EINVAL)
			return false;

		valid_arg(KVM_MEMATTR_CALIBRATE, &arg);
		arg.cal.flags = flag;
		if (flag != KVM_MEMATTR_CALIBRATE_FWB &&
		    call(KVM_MEMATTR_CALIBRATE, &arg) != RES_EINVAL)
			return false;
	}

	return true;
}

static bool case_ranges(void)
{
	union arg arg;
	int val;

	for (val = 0; val < 256; val++) {
		unsigned int bad_sh, ok = has(KVM_MEMATTR_INFO_CALIBRATE) ?
					  RES_OK : RES_EOPNOTSUPP;

		valid_arg(KVM_MEMATTR_CALIBRATE, &arg);
		arg.cal.memattr = val;
		if (call(KVM_MEMATTR_CALIBRATE, &arg) != (val < 16 ? ok : RES_EINVAL))
			return false;

		bad_sh = val == 0 || val == 2 || val == 3 ? ok : RES_EINVAL;
		valid_arg(KVM_MEMATTR_CALIBRATE, &arg);
		arg.cal.s1_sh = val;
		if (call(KVM_MEMATTR_CALIBRATE, &arg) != bad_sh)
			return false;

		valid_arg(KVM_MEMATTR_CALIBRATE, &arg);
		arg.cal.s2_sh = val;
		if (call(KVM_MEMATTR_CALIBRATE, &arg) != bad_sh)
			return false;
	}

	return true;
}

/* A walk that writes access flags or dirty state to the guest is refused */
static bool case_tcr(void)
{
	union arg arg;
	int bit;

	for (bit = 39; bit <= 40; bit++) {
		valid_arg(KVM_MEMATTR_TRANSLATE, &arg);
		arg.tr.tcr_el1 |= 1ULL << bit;
		if (call(KVM_MEMATTR_TRANSLATE, &arg) != RES_EINVAL)
			return false;
	}

	return true;
}

static unsigned int leaf_of(int fd, uint64_t ipa, struct kvm_memattr_leaf *leaf)
{
	memset(leaf, 0, sizeof(*leaf));
	leaf->vm_fd = fd;
	leaf->ipa = ipa;

	return call(KVM_MEMATTR_STAGE2_LEAF, leaf);
}

static unsigned int translate_in(int fd)
{
	struct kvm_memattr_translate tr = guest_regs;

	tr.vm_fd = fd;

	return call(KVM_MEMATTR_TRANSLATE, &tr);
}

static bool fd_gives(int fd, unsigned int result)
{
	unsigned int at = has(KVM_MEMATTR_INFO_TRANSLATE) ? result : RES_EOPNOTSUPP;
	struct kvm_memattr_leaf leaf;

	return leaf_of(fd, GUEST_BASE, &leaf) == result && translate_in(fd) == at;
}

static bool case_closed_fds(void)
{
	static const int fds[] = {
		-1, INT_MIN, INT_MAX, CLOSED_FD, -100 /* AT_FDCWD */,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(fds); i++)
		if (!fd_gives(fds[i], RES_EBADF))
			return false;

	return true;
}

static bool case_other_fds(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(other_fds); i++)
		if (other_fds[i] < 0 || !fd_gives(other_fds[i], RES_EINVAL))
			return false;

	return true;
}

static bool case_dead_vm(void)
{
	return fd_gives(dead_vm, RES_EOPNOTSUPP);
}

static bool case_empty_vm(void)
{
	unsigned int want = has(KVM_MEMATTR_INFO_LEAF) ? RES_ENOENT : RES_EOPNOTSUPP;
	struct kvm_memattr_leaf leaf;
	int fd = create_vm();
	bool ok;

	ok = fd >= 0 && leaf_of(fd, 0, &leaf) == want;
	close(fd);

	return ok;
}

static bool case_ipa(void)
{
	struct kvm_memattr_leaf leaf;

	if (!has(KVM_MEMATTR_INFO_LEAF))
		return true;

	return leaf_of(vm->fd, ipa_limit - 1, &leaf) == RES_ENOENT &&
	       leaf_of(vm->fd, ipa_end, &leaf) == RES_EINVAL &&
	       leaf_of(vm->fd, -1ULL, &leaf) == RES_EINVAL &&
	       leaf_of(vm->fd, 1ULL << 63, &leaf) == RES_EINVAL;
}

static bool case_host_va(void)
{
	static char data = 1;
	struct kvm_memattr_host_pte pte;

	if (memattr_host_pte(&machine, &data, &pte) ||
	    (uintptr_t)&data - pte.base >= pte.size ||
	    memattr_type(pte.attr) != MEMATTR_NORMAL_WB)
		return false;

	return memattr_host_pte(&machine, NULL, &pte) == -ENOENT &&
	       memattr_host_pte(&machine, hole, &pte) == -ENOENT &&
	       memattr_host_pte(&machine, (void *)-1UL, &pte) == -EINVAL &&
	       memattr_host_pte(&machine, (void *)(1UL << 63), &pte) == -EINVAL;
}

static bool case_no_vhe(void)
{
	union arg arg;

	valid_arg(KVM_MEMATTR_CALIBRATE, &arg);
	arg.cal.flags = KVM_MEMATTR_CALIBRATE_FWB;
	if (call(KVM_MEMATTR_CALIBRATE, &arg) !=
	    (has(KVM_MEMATTR_INFO_CALIBRATE) && has(KVM_MEMATTR_INFO_FWB) ?
	     RES_OK : RES_EOPNOTSUPP))
		return false;
	if (has(KVM_MEMATTR_INFO_VHE))
		return true;

	valid_arg(KVM_MEMATTR_TRANSLATE, &arg);
	if (call(KVM_MEMATTR_TRANSLATE, &arg) != RES_EOPNOTSUPP)
		return false;
	valid_arg(KVM_MEMATTR_CALIBRATE, &arg);

	return call(KVM_MEMATTR_CALIBRATE, &arg) == RES_EOPNOTSUPP;
}

/* What is refused leaves the argument as it was, down to the last byte */
static bool case_untouched(void)
{
	union arg arg, copy;
	int i;

	for (i = 1; i < ARRAY_SIZE(commands); i++) {
		memset(&arg, POISON, sizeof(arg));
		copy = arg;
		if (call(commands[i], &arg) != RES_EINVAL ||
		    memcmp(&arg, &copy, sizeof(arg)))
			return false;
	}

	return true;
}

/*
 * The guest's page and the machine's types, as they are known to be. Also what
 * has to be the same after the storm.
 */
static bool case_answers(void)
{
	struct kvm_memattr_leaf leaf;
	uint64_t par;

	if (!guest_run())
		return false;

	if (has(KVM_MEMATTR_INFO_LEAF)) {
		uint8_t wb = has(KVM_MEMATTR_INFO_FWB) ? MEMATTR_S2_FWB_WB :
							 MEMATTR_S2_WB;

		if (leaf_of(vm->fd, GUEST_BASE, &leaf) != RES_OK ||
		    leaf.base > GUEST_BASE ||
		    leaf.base + leaf.size <= GUEST_BASE ||
		    leaf.memattr != wb ||
		    leaf.fwb != has(KVM_MEMATTR_INFO_FWB) || !(leaf.s2ap & 1))
			return false;
	}

	if (has(KVM_MEMATTR_INFO_TRANSLATE)) {
		if (memattr_translate(&machine, vm, vcpu, GUEST_BASE, false, &par) ||
		    par & MEMATTR_PAR_F ||
		    memattr_type(MEMATTR_PAR_ATTR(par)) != MEMATTR_NORMAL_WB)
			return false;
		guest_attr = MEMATTR_PAR_ATTR(par);
	}

	return true;
}

static bool case_calibration_stable(void)
{
	static bool sampled;
	int fwb, memattr, i;
	uint64_t par;

	if (!has(KVM_MEMATTR_INFO_CALIBRATE))
		return true;

	for (fwb = 0; fwb <= !!has(KVM_MEMATTR_INFO_FWB); fwb++)
		for (memattr = 0; memattr < 16; memattr++)
			for (i = 0; i < ARRAY_SIZE(sample_mair); i++) {
				uint64_t *old = &sample_par[fwb][memattr][i];

				if (memattr_calibrate(&machine, sample_mair[i],
						      memattr, fwb, &par))
					return false;
				if (sampled && par != *old)
					return false;
				*old = par;
			}
	sampled = true;

	return true;
}

/* The storm */

/**
 * struct thread - one source of random calls
 * @thread: its thread
 * @rng: state of its random numbers
 * @calls: how many to make
 * @ok: how many of them succeeded
 * @bad: how many had a result that they must not have
 * @what: the first of these
 */
struct thread {
	pthread_t thread;
	uint64_t rng;
	unsigned int calls, ok, bad;
	char what[160];
};

static bool stop;
static int churn_fd = -1;
static unsigned int guest_runs, vms;
static bool guest_died;

static uint64_t rnd(struct thread *t)
{
	t->rng ^= t->rng << 13;
	t->rng ^= t->rng >> 7;
	t->rng ^= t->rng << 17;

	return t->rng;
}

/* A number with a taste for the ends of things */
static uint64_t odd(struct thread *t)
{
	uint64_t r = rnd(t);

	switch (r & 7) {
	case 0:
		return (r >> 8) & 3;
	case 1:
		return 1ULL << ((r >> 8) & 63);
	case 2:
		return (1ULL << ((r >> 8) & 63)) - 1;
	case 3:
		return -(r >> 8 & 0xff);
	case 4:
		return r >> 8 & 0xfffff000;
	case 5:
		return ipa_limit + (r >> 8 & 0xffff) - 0x8000;
	case 6:
		return GUEST_BASE + (r >> 8) % (2 * GUEST_SIZE);
	default:
		return rnd(t);
	}
}

/* Any field, most of the time right */
static uint32_t flags(struct thread *t)
{
	return rnd(t) % 8 ? rnd(t) & 1 : odd(t);
}

/* @race: the VM may go away under the call */
static int pick_fd(struct thread *t, unsigned int *bad, bool *race)
{
	uint64_t r = rnd(t);

	*bad = 0;
	*race = false;
	switch (r % 16) {
	case 0:
		*bad = RES_EBADF;
		return CLOSED_FD;
	case 1:
		*bad = RES_EBADF;
		return -(int)(r >> 8 & 0x7fff) - 1;
	case 2:
		*bad = RES_EINVAL;
		return other_fds[(r >> 8) % ARRAY_SIZE(other_fds)];
	case 3:
		*bad = RES_EOPNOTSUPP;
		return dead_vm;
	case 4:
	case 5:
	case 6:
		*race = true;
		return READ_ONCE(churn_fd);
	default:
		return vm->fd;
	}
}

static unsigned int random_leaf(struct thread *t, union arg *arg)
{
	unsigned int bad;
	bool race;

	arg->leaf.vm_fd = pick_fd(t, &bad, &race);
	arg->leaf.flags = rnd(t) % 8 ? 0 : odd(t);
	arg->leaf.ipa = odd(t);

	if (arg->leaf.flags)
		return RES_EINVAL;
	if (bad)
		return bad;
	if (!has(KVM_MEMATTR_INFO_LEAF))
		return RES_EOPNOTSUPP | (race ? RES_EBADF : 0);
	if (race)
		return RES_ENOENT | RES_EINVAL | RES_EBADF | RES_EOPNOTSUPP;

	if (arg->leaf.ipa < ipa_limit)
		return RES_OK | RES_ENOENT;

	return arg->leaf.ipa < ipa_end ? RES_ENOENT | RES_EINVAL : RES_EINVAL;
}

static unsigned int random_translate(struct thread *t, union arg *arg)
{
	unsigned int bad;
	bool race;

	arg->tr = guest_regs;
	arg->tr.vm_fd = pick_fd(t, &bad, &race);
	arg->tr.flags = flags(t);
	if (rnd(t) % 4)
		arg->tr.va = odd(t);
	/* The guest's own registers, or some of them replaced */
	if (rnd(t) % 2) {
		if (rnd(t) % 2)
			arg->tr.ttbr0_el1 = odd(t);
		if (rnd(t) % 2)
			arg->tr.ttbr1_el1 = odd(t);
		if (rnd(t) % 2)
			arg->tr.tcr_el1 = odd(t);
		if (rnd(t) % 2)
			arg->tr.mair_el1 = odd(t);
		if (rnd(t) % 2)
			arg->tr.sctlr_el1 = odd(t);
	}

	if (arg->tr.flags & ~KVM_MEMATTR_TRANSLATE_WRITE ||
	    arg->tr.tcr_el1 & (3ULL << 39))
		return RES_EINVAL;
	if (!has(KVM_MEMATTR_INFO_TRANSLATE))
		return RES_EOPNOTSUPP;
	if (bad)
		return bad;

	return race ? RES_OK | RES_EBADF | RES_EINVAL | RES_EOPNOTSUPP : RES_OK;
}

static unsigned int random_calibrate(struct thread *t, union arg *arg)
{
	struct kvm_memattr_calibrate *cal = &arg->cal;

	cal->flags = flags(t);
	cal->mair = rnd(t) % 2 ? rnd(t) :
		    sample_mair[rnd(t) % ARRAY_SIZE(sample_mair)];
	cal->memattr = rnd(t) % 8 ? rnd(t) % 16 : odd(t);
	cal->s1_sh = rnd(t) % 8 ? MEMATTR_SH_NON : odd(t);
	cal->s2_sh = rnd(t) % 8 ? MEMATTR_SH_INNER : odd(t);

	if (cal->flags & ~KVM_MEMATTR_CALIBRATE_FWB || cal->memattr > 15 ||
	    cal->s1_sh == 1 || cal->s1_sh > 3 || cal->s2_sh == 1 ||
	    cal->s2_sh > 3)
		return RES_EINVAL;
	if (!has(KVM_MEMATTR_INFO_CALIBRATE) ||
	    (cal->flags && !has(KVM_MEMATTR_INFO_FWB)))
		return RES_EOPNOTSUPP;

	return RES_OK;
}

static unsigned int random_host_pte(struct thread *t, union arg *arg)
{
	arg->pte.flags = rnd(t) % 8 ? 0 : odd(t);
	arg->pte.va = rnd(t) % 2 ? (uintptr_t)t + rnd(t) % sizeof(*t) : odd(t);

	if (arg->pte.flags)
		return RES_EINVAL;
	if (arg->pte.va - (uintptr_t)t < sizeof(*t))
		return RES_OK;

	return arg->pte.va >> 52 ? RES_EINVAL : RES_OK | RES_ENOENT | RES_EINVAL;
}

/* The answer of a call that succeeded */
static bool plausible(unsigned long cmd, const union arg *in,
		      const union arg *out)
{
	int i;

	switch (cmd) {
	case KVM_MEMATTR_STAGE2_LEAF:
		return out->leaf.ipa - out->leaf.base < out->leaf.size &&
		       out->leaf.level >= 0 && out->leaf.level <= 3 &&
		       out->leaf.memattr == (out->leaf.desc >> 2 & 0xf) &&
		       out->leaf.fwb == has(KVM_MEMATTR_INFO_FWB);
	case KVM_MEMATTR_TRANSLATE:
		/* With the guest's registers its page is WB, or taken away */
		if (memcmp(&in->tr.ttbr0_el1, &guest_regs.ttbr0_el1,
			   offsetof(struct kvm_memattr_translate, par_el1) -
			   offsetof(struct kvm_memattr_translate, ttbr0_el1)) ||
		    in->tr.vm_fd != vm->fd ||
		    in->tr.va - GUEST_BASE >= GUEST_SIZE)
			return true;
		return out->tr.par_el1 & MEMATTR_PAR_F ||
		       MEMATTR_PAR_ATTR(out->tr.par_el1) == guest_attr;
	case KVM_MEMATTR_CALIBRATE:
		if (in->cal.s1_sh != MEMATTR_SH_NON ||
		    in->cal.s2_sh != MEMATTR_SH_INNER)
			return true;
		for (i = 0; i < ARRAY_SIZE(sample_mair); i++)
			if (sample_mair[i] == in->cal.mair)
				return out->cal.par_el1 ==
				       sample_par[!!in->cal.flags][in->cal.memattr][i];
		return true;
	case KVM_MEMATTR_HOST_PTE:
		return out->pte.va - out->pte.base < out->pte.size &&
		       out->pte.level >= 0 && out->pte.level <= 3;
	default:
		return out->info.version == KVM_MEMATTR_VERSION;
	}
}

static void random_call(struct thread *t)
{
	/* The two that switch regimes cost a hundred times what others do */
	static const unsigned long mix[] = {
		KVM_MEMATTR_INFO, KVM_MEMATTR_HOST_PTE, KVM_MEMATTR_HOST_PTE,
		KVM_MEMATTR_STAGE2_LEAF, KVM_MEMATTR_STAGE2_LEAF,
		KVM_MEMATTR_STAGE2_LEAF, KVM_MEMATTR_STAGE2_LEAF,
		KVM_MEMATTR_TRANSLATE, KVM_MEMATTR_TRANSLATE,
		KVM_MEMATTR_CALIBRATE,
	};
	union arg in, out;
	unsigned int allowed, result;
	unsigned long cmd;
	void *ptr = &out;

	memset(&in, POISON, sizeof(in));
	cmd = mix[rnd(t) % ARRAY_SIZE(mix)];
	switch (cmd) {
	case KVM_MEMATTR_STAGE2_LEAF:
		allowed = random_leaf(t, &in);
		break;
	case KVM_MEMATTR_TRANSLATE:
		allowed = random_translate(t, &in);
		break;
	case KVM_MEMATTR_CALIBRATE:
		allowed = random_calibrate(t, &in);
		break;
	case KVM_MEMATTR_HOST_PTE:
		allowed = random_host_pte(t, &in);
		break;
	default:
		allowed = RES_OK;
		break;
	}

	switch (rnd(t) % 32) {
	case 0:
		ptr = (void *)(uintptr_t)(rnd(t) | 1ULL << 63);
		allowed = RES_EFAULT;
		break;
	case 1:
		ptr = hole - rnd(t) % _IOC_SIZE(cmd);
		allowed = RES_EFAULT;
		break;
	case 2:
		cmd = _IOC(rnd(t) % 4, KVM_MEMATTR_IOC, rnd(t) % 256,
			   rnd(t) % (1 << _IOC_SIZEBITS));
		if (!is_command(cmd))
			allowed = RES_ENOTTY;
		else
			allowed = ~RES_OTHER;
		break;
	}

	out = in;
	result = call(cmd, ptr);
	if (result == RES_OK)
		t->ok++;

	if (result & allowed &&
	    (result == RES_OK ? plausible(cmd, &in, &out) :
			      !memcmp(&in, &out, sizeof(in))))
		return;

	if (!t->bad++)
		snprintf(t->what, sizeof(t->what),
			 "command 0x%lx, result 0x%x, allowed 0x%x, argument 0x%016llx 0x%016llx 0x%016llx",
			 cmd, result, allowed,
			 *(unsigned long long *)&in.raw[0],
			 *(unsigned long long *)&in.raw[8],
			 *(unsigned long long *)&in.raw[16]);
}

static void *storm_thread(void *arg)
{
	struct thread *t = arg;
	unsigned int i;

	for (i = 0; i < t->calls; i++)
		random_call(t);

	return NULL;
}

/* Run the guest and take its pages away again */
static void *guest_thread(void *arg)
{
	while (!READ_ONCE(stop)) {
		if (!guest_run())
			guest_died = true;
		madvise(addr_gpa2hva(vm, GUEST_BASE), GUEST_SIZE, MADV_DONTNEED);
		guest_runs++;
	}

	return NULL;
}

/* VMs that may be closed at any moment */
static void *churn_thread(void *arg)
{
	while (!READ_ONCE(stop)) {
		int fd = create_vm();

		WRITE_ONCE(churn_fd, fd);
		sched_yield();
		usleep(200);
		close(fd);
		if (fd >= 0)
			vms++;
	}

	return NULL;
}

static bool case_storm(unsigned int calls, uint64_t seed)
{
	static struct thread threads[NR_THREADS];
	unsigned int ok = 0, bad = 0, made = 0;
	struct timespec from, to;
	pthread_t guest, churn;
	int i;

	clock_gettime(CLOCK_MONOTONIC, &from);
	TEST_ASSERT(!pthread_create(&guest, NULL, guest_thread, NULL) &&
		    !pthread_create(&churn, NULL, churn_thread, NULL),
		    "pthread_create");
	for (i = 0; i < NR_THREADS; i++) {
		threads[i].rng = (seed + i) * 0x9e3779b97f4a7c15ULL | 1;
		threads[i].calls = (calls + NR_THREADS - 1) / NR_THREADS;
		TEST_ASSERT(!pthread_create(&threads[i].thread, NULL,
					    storm_thread, &threads[i]),
			    "pthread_create");
	}
	for (i = 0; i < NR_THREADS; i++) {
		pthread_join(threads[i].thread, NULL);
		made += threads[i].calls;
		ok += threads[i].ok;
		bad += threads[i].bad;
		if (threads[i].bad)
			ksft_print_msg("thread %d: %u wrong, the first: %s\n",
				       i, threads[i].bad, threads[i].what);
	}
	WRITE_ONCE(stop, true);
	pthread_join(guest, NULL);
	pthread_join(churn, NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);

	ksft_print_msg("%u calls, %u succeeded, %u wrong, %u guest runs, %u other VMs, %lld ms\n",
		       made, ok, bad, guest_runs, vms,
		       (long long)(to.tv_sec - from.tv_sec) * 1000 +
		       (to.tv_nsec - from.tv_nsec) / 1000000);
	/* A storm that everybody slept through proves nothing */
	if (!ok || !guest_runs || !vms)
		return false;

	return !bad && !guest_died;
}

/* The kernel's log since we began */

static int kmsg = -1;

static void open_log(void)
{
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
}

static bool case_log(void)
{
	static const char * const bad[] = {
		"WARNING:", "BUG:", "KASAN", "Oops", "INFO: possible",
		"suspicious RCU", "Unexpected kernel", "SError",
	};
	char line[8192];
	bool clean = true;
	ssize_t n;
	int i;

	for (;;) {
		n = read(kmsg, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)	/* overwritten: go on */
			continue;
		if (n <= 0)
			break;
		line[n] = 0;
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			if (strstr(line, bad[i])) {
				line[strcspn(line, "\n")] = 0;
				ksft_print_msg("kernel log: %s\n", line);
				clean = false;
				break;
			}
	}

	return clean;
}

static const struct {
	const char *name;
	bool (*run)(void);
} cases[] = {
	{ "open without CAP_SYS_ADMIN: EPERM", case_capability },
	{ "unknown commands and other sizes: ENOTTY", case_commands },
	{ "arguments that are not there: EFAULT", case_pointers },
	{ "arguments that cannot be written: EFAULT", case_readonly },
	{ "unknown flags: EINVAL", case_flags },
	{ "fields out of range: EINVAL", case_ranges },
	{ "TCR_EL1.HA and HD: EINVAL", case_tcr },
	{ "file descriptors that are not open: EBADF", case_closed_fds },
	{ "files that are not VMs: EINVAL", case_other_fds },
	{ "a VM without stage-2 tables: EOPNOTSUPP", case_dead_vm },
	{ "a VM that never ran: ENOENT", case_empty_vm },
	{ "IPAs at the end of the IPA space", case_ipa },
	{ "virtual addresses of the caller", case_host_va },
	{ "what the host cannot do: EOPNOTSUPP", case_no_vhe },
	{ "a refused argument is left alone", case_untouched },
	{ "what is known of the guest", case_answers },
	{ "what is known of the machine", case_calibration_stable },
};

static void help(const char *me)
{
	printf("usage: %s [-n calls] [-s seed]\n"
	       " -n: how many random calls to make (default %u)\n"
	       " -s: first random number, as a failed run printed it (default: the time)\n",
	       me, DEFAULT_CALLS);
}

int main(int argc, char **argv)
{
	unsigned int calls = DEFAULT_CALLS;
	struct timespec now;
	uint64_t seed;
	int i, opt;

	clock_gettime(CLOCK_MONOTONIC, &now);
	seed = now.tv_sec * 1000000000ULL + now.tv_nsec;
	while ((opt = getopt(argc, argv, "n:s:h")) != -1) {
		switch (opt) {
		case 'n':
			calls = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		default:
			help(argv[0]);
			return opt == 'h' ? 0 : KSFT_FAIL;
		}
	}

	ksft_print_header();
	memattr_require(&machine);
	if (access("/dev/kvm", R_OK | W_OK))
		ksft_exit_skip("no /dev/kvm: boot at EL2, with CONFIG_KVM\n");

	ksft_set_plan(ARRAY_SIZE(cases) + 4);
	ksft_print_msg("host: flags 0x%x, %u byte pages, seed %llu\n",
		       machine.info.flags, 1 << machine.info.page_shift,
		       (unsigned long long)seed);
	open_log();
	dead_vm = create_dead_vm();
	setup_vm();
	setup_pages();
	other_fds[0] = open("/dev/null", O_RDWR);
	other_fds[1] = open("/", O_RDONLY | O_DIRECTORY);
	other_fds[2] = machine.fd;
	other_fds[3] = vcpu->fd;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		ksft_test_result(cases[i].run(), "%s\n", cases[i].name);

	ksft_test_result(case_storm(calls, seed), "random calls from %d threads\n",
			 NR_THREADS);
	ksft_test_result(case_answers(), "the guest is as before\n");
	ksft_test_result(case_calibration_stable(), "the machine is as before\n");
	if (kmsg < 0)
		memattr_skip("the kernel log is clean",
			     "cannot open /dev/kmsg (%s): run as root, with CONFIG_PRINTK",
			     strerror(errno));
	else
		ksft_test_result(case_log(), "the kernel log is clean\n");

	memattr_finish();
}
