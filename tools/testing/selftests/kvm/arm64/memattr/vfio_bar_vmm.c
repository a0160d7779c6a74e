// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does a Linux guest under a VMM that people use get the memory type that its driver
 * asks for? QEMU, with devices bound to vfio-pci, and a kernel that knows nothing of
 * this.
 *
 * For each way to map a BAR, what the VM asked for is compared with the stage-2 leaf
 * and, where AT can tell, with the type under the stage 1 that the VM has at that
 * moment. What the VM writes, the host reads back by the device's file, and the other
 * way round. Then come the events in the life of a VM.
 *
 * The VM's console is a shell that takes commands. VM, vCPU and devices are QEMU's own,
 * by pidfd_getfd(). A VM that has died is started again for the next row.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "test_util.h"

#include "memattr/bar_vm.h"
#include "../../test_modules/guest_bar.h"

/* The emulator, and its VM's kernel and initramfs */
#define VMM		"/vmm/"
#define FILES		"/tmp/vmm"
#define PCI		"/sys/bus/pci/devices/"
/* What QEMU has open */
#define KVM_VM		"anon_inode:kvm-vm"
#define KVM_VCPU	"anon_inode:kvm-vcpu:"
#define VFIO_DEVICE	"anon_inode:[vfio-device]"
/* In seconds: a VM on the slowest of hosts answers in less. */
#define PATIENCE	60

/* What the VM has of host functions, by what they are for; and where it has them */
enum { MEM, EDU, FLR, FB, NR_FUNCTIONS };
#define MEM_AT		"0000:00:02.0"
#define EDU_AT		"0000:00:03.0"
#define FLR_AT		"0000:00:04.0"
#define FB_AT		"0000:00:05.0"
#define PLUGGED_AT	"0000:01:00.0"

static char functions[NR_FUNCTIONS][16];
/* One with plain memory that it has not: for a second VM, and to be plugged in */
static char spare[16];

/**
 * struct vm - a VM, in memory that all rows share
 * @pid: QEMU's, 0 without one
 * @serial: FIFOs to the VM's console, and from there
 * @qmp: FIFOs to QEMU's monitor, and from there
 * @seq: number of the last command
 */
static struct vm {
	pid_t pid;
	int serial[2];
	int qmp[2];
	unsigned int seq;
} *vms;

/* Has an unaligned access to Device memory been refused? */
static bool *enforced;
/* The row wants the VM to die. */
static bool dying;

static bool vm_alive(const struct vm *vm)
{
	return vm->pid && !kill(vm->pid, 0);
}

static void vm_kill(struct vm *vm)
{
	struct pollfd fd = { .events = POLLIN };

	if (vm_alive(vm)) {
		fd.fd = syscall(SYS_pidfd_open, vm->pid, 0);
		kill(vm->pid, SIGKILL);
		poll(&fd, 1, PATIENCE * 1000);
		close(fd.fd);
	}
	vm->pid = 0;
}

/* What QEMU has said last, or before registers that it shows for an error */
static const char *qemu_says(const struct vm *vm)
{
	static char last[256];
	char path[64], line[256];
	FILE *f;

	strcpy(last, "nothing");
	snprintf(path, sizeof(path), FILES "%td.log", vm - vms);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f) && !strstr(last, "error:"))
		strcpy(last, line);
	if (f)
		fclose(f);
	last[strcspn(last, "\n")] = 0;
	return last;
}

/* The row ends. */
static void vm_died(struct vm *vm)
{
	vm_kill(vm);
	if (dying) {
		printf("# %s: the VM died: %s\n", bar_name, qemu_says(vm));
		exit(KSFT_PASS);
	}
	bar_fail("the VM died: %s", qemu_says(vm));
}

/* The next line there, without its end; an empty one if none comes within a second */
static void read_line(int fd, char *line, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;
	char c = 0;

	while (n < size - 1 && poll(&p, 1, 1000) > 0 && read(fd, &c, 1) == 1 && c != '\n') {
		if (c != '\r')
			line[n++] = c;
	}
	line[n] = 0;
}

static void write_line(int fd, const char *line)
{
	TEST_ASSERT(write(fd, line, strlen(line)) == (ssize_t)strlen(line) &&
		    write(fd, "\n", 1) == 1, "a FIFO: %s", strerror(errno));
}

/* Wait for what QEMU says with @word in it. */
static void qmp_wait(struct vm *vm, const char *word)
{
	time_t deadline = time(NULL) + PATIENCE;
	char line[4096];

	while (time(NULL) < deadline) {
		read_line(vm->qmp[1], line, sizeof(line));
		if (strstr(line, word))
			return;
		if (strstr(line, "{\"error\""))
			bar_fail("QEMU: %s", line);
		if (!vm_alive(vm))
			vm_died(vm);
	}
	bar_fail("QEMU has not said %s for %d s", word, PATIENCE);
}

/* QEMU takes single quotes, too. */
static void qmp(struct vm *vm, const char *command, const char *arguments)
{
	char line[256];

	snprintf(line, sizeof(line), "{'execute': '%s', 'arguments': {%s}}", command, arguments);
	write_line(vm->qmp[0], line);
	qmp_wait(vm, "{\"return\"");
}

/* QEMU stops a VM when KVM_RUN fails, and lives on. */
static bool vm_stopped(struct vm *vm)
{
	struct pollfd p = { .fd = vm->qmp[1], .events = POLLIN };
	char line[4096];

	while (poll(&p, 1, 0) > 0) {
		read_line(vm->qmp[1], line, sizeof(line));
		if (strstr(line, "\"STOP\""))
			return true;
	}
	return false;
}

/* Wait for a line of the VM's that begins with @prefix; what comes after it */
static void vm_wait(struct vm *vm, const char *prefix, char *rest, size_t size)
{
	time_t deadline = time(NULL) + PATIENCE;
	size_t n = strlen(prefix);
	char line[1024];

	while (time(NULL) < deadline) {
		read_line(vm->serial[1], line, sizeof(line));
		if (!strncmp(line, prefix, n)) {
			snprintf(rest, size, "%s", line + n);
			return;
		}
		if (line[0])
			printf("# %s: VM: %s\n", bar_name, line);
		if (!strcmp(line, "@ready"))
			bar_fail("the VM has booted again");
		if (!line[0] && (!vm_alive(vm) || vm_stopped(vm)))
			vm_died(vm);
	}
	vm_kill(vm);
	bar_fail("the VM does not answer for %d s, QEMU says: %s", PATIENCE, qemu_says(vm));
}

/* The exit status of a command of the VM's; what it prints goes to @out. */
static int in_vm(struct vm *vm, const char *command, char *out, size_t size)
{
	char line[512], prefix[16];
	int status, n;

	snprintf(line, sizeof(line), "%u %s", ++vm->seq, command);
	write_line(vm->serial[0], line);
	snprintf(prefix, sizeof(prefix), "@%u ", vm->seq);
	vm_wait(vm, prefix, line, sizeof(line));
	if (sscanf(line, "%d %n", &status, &n) != 1)
		bar_fail("the VM answers: %s", line);
	snprintf(out, size, "%s", line + n);
	return status;
}

/* The same, but it has to succeed, and what it prints is a hexadecimal number, or not. */
static u64 __printf(2, 3) vm_do(struct vm *vm, const char *fmt, ...)
{
	char command[256], out[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (in_vm(vm, command, out, sizeof(out)))
		bar_fail("in the VM, %s: %s", command, out);
	return strtoull(out, NULL, 16);
}

static void vm_exec(struct vm *vm, char *args)
{
	char log[64], serial[64], qmp[64], *save, *word;
	char *argv[64] = {
		VMM "qemu-system-aarch64", "-M", "virt,gic-version=host", "-accel", "kvm",
		"-cpu", "host", "-smp", "1", "-m", "256M", "-nodefaults", "-display", "none",
		"-kernel", VMM "Image", "-initrd", VMM "initrd",
		/* 6.12's pKVM shows pointer authentication to a VM that has not got it. */
		"-append", "console=ttyAMA0 panic=-1 quiet arm64.nopauth",
		"-serial", serial, "-qmp", qmp,
	};
	int n = 0, fd;

	snprintf(log, sizeof(log), FILES "%td.log", vm - vms);
	snprintf(serial, sizeof(serial), "pipe:" FILES "%td.serial", vm - vms);
	snprintf(qmp, sizeof(qmp), "pipe:" FILES "%td.qmp", vm - vms);
	while (argv[n])
		n++;
	for (word = strtok_r(args, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	fd = open(log, O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close_range(3, ~0U, 0);
	setsid();
	execv(argv[0], argv);
	_exit(127);
}

static void drain(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[512];

	while (poll(&p, 1, 0) > 0 && read(fd, buf, sizeof(buf)) > 0)
		;
}

static void vm_start(struct vm *vm, char *args)
{
	long began = bar_now_ms();
	char rest[16];
	pid_t pid;
	int i;

	for (i = 0; i < 2; i++) {
		drain(vm->serial[i]);
		drain(vm->qmp[i]);
	}
	/* It outlives the row, so it is no child of it. */
	pid = fork();
	if (!pid) {
		pid = fork();
		if (!pid)
			vm_exec(vm, args);
		vm->pid = pid;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	vm_wait(vm, "@ready", rest, sizeof(rest));
	printf("# bench: VM boot: milliseconds = %ld\n", bar_now_ms() - began);
	qmp(vm, "qmp_capabilities", "");
}

/* The first that QEMU has open by that name, or -1 */
static int qemu_fd(struct vm *vm, const char *name)
{
	int pidfd = syscall(SYS_pidfd_open, vm->pid, 0), fd, ret = -1;
	char path[64], link[64];
	ssize_t n;

	for (fd = 0; ret < 0 && fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", vm->pid, fd);
		n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = 0;
		if (!strncmp(link, name, strlen(name)))
			ret = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	}
	close(pidfd);
	return ret;
}

/* Where the VM has a BAR, as an IPA: the first that is prefetchable, else the first */
static u64 vm_bar(struct vm *vm, const char *at)
{
	return vm_do(vm, "bar_address %s", at);
}

/* The VM with all functions but the spare one, and a port for that */
static struct vm *vm_get(void)
{
	char args[512];
	int i, n;

	if (vm_alive(&vms[0]))
		return &vms[0];
	n = sprintf(args, "-device pcie-root-port,id=plug,chassis=1,addr=8.0");
	for (i = 0; i < NR_FUNCTIONS; i++) {
		if (functions[i][0])
			n += sprintf(args + n, " -device vfio-pci,host=%s,addr=%d.0",
				     functions[i], 2 + i);
	}
	vm_start(&vms[0], args);
	return &vms[0];
}

static void check_leaf(struct vm *vm, u64 ipa, u8 type, u64 oa)
{
	struct kvm_vm kvm = { .fd = qemu_fd(vm, KVM_VM) };
	struct bar_vm bv = { .vm = &kvm };

	bar_vm_check_leaf(&bv, ipa, type, true, oa);
	close(kvm.fd);
}

static void check_no_leaf(struct vm *vm, u64 ipa)
{
	struct kvm_vm kvm = { .fd = qemu_fd(vm, KVM_VM) };
	struct bar_vm bv = { .vm = &kvm };

	bar_vm_check_no_leaf(&bv, ipa);
	close(kvm.fd);
}

/* The BAR of a host function that vm_bar() is about */
static struct vfio_bar host_bar(const char *bdf)
{
	struct vfio_bar b;

	TEST_ASSERT(vfio_bar_find(&b, bdf), "%s has no BAR", bdf);
	return b;
}

/* Ways for a kernel and for a program to map a BAR, and what asm/io.h makes of them */
static const struct how {
	const char *name;
	bool user;
	u8 type;
} hows[] = {
	{ "ioremap", false, MEMATTR_DEVICE_nGnRE },
	{ "ioremap_np", false, MEMATTR_DEVICE_nGnRnE },
	{ "ioremap_wc", false, MEMATTR_NORMAL_NC },
	{ "memremap_wc", false, MEMATTR_NORMAL_NC },
	{ "resource2", true, MEMATTR_DEVICE_nGnRE },
	{ "resource2_wc", true, MEMATTR_NORMAL_NC },
};

/* An access, by the program or by the driver; what it prints goes to @out. */
static int access_bar(struct vm *vm, const struct how *h, const char *op, char *out,
		      size_t size)
{
	char command[256];

	if (h->user)
		snprintf(command, sizeof(command), "/bar " PCI MEM_AT "/%s %s",
			 h->name, op);
	else
		snprintf(command, sizeof(command),
			 "bind " MEM_AT " %s && echo %s >" PCI MEM_AT "/op", h->name, op);
	return in_vm(vm, command, out, size);
}

/* Have the VM's driver map a BAR write-combining, and access it. */
static void use_wc(struct vm *vm, const char *at, const char *op)
{
	vm_do(vm, "bind %s ioremap_wc && echo %s >" PCI "%s/op", at, op, at);
}

/* Judge what a VM has of @ipa, under its own tables as they are now. */
static void report(struct vm *vm, const char *name, u64 va, u64 ipa, u8 s1)
{
	struct memattr_row row = { .vma = name, .s1 = s1, .want = MEMATTR_NORMAL_NC };
	struct kvm_vm kvm = { .fd = qemu_fd(vm, KVM_VM) };
	struct kvm_vcpu vcpu = { .vm = &kvm, .fd = qemu_fd(vm, KVM_VCPU) };
	int tries = 100, ret;

	/* A process that spins is not there for a moment now and then. */
	do {
		qmp(vm, "stop", "");
		ret = memattr_observe(&bar_machine, &vcpu, va, ipa, &row);
		qmp(vm, "cont", "");
	} while (!ret && row.at && row.par & MEMATTR_PAR_F && --tries);
	if (ret)
		bar_fail("no stage-2 leaf for 0x%lx, or no type: %s", ipa, strerror(-ret));
	bar_report(&row);
}

/* What the VM asks for is what it gets. */
static void test_type(const void *arg)
{
	const struct how *h = arg;
	struct vm *vm = vm_get();
	u64 va;

	if (h->user)
		va = vm_do(vm, "/bar " PCI MEM_AT "/%s spin", h->name);
	else
		va = vm_do(vm, "bind " MEM_AT " %s && echo touch >" PCI MEM_AT "/op; cat " PCI
			   MEM_AT "/va", h->name);
	report(vm, h->name, va, vm_bar(vm, MEM_AT), h->type);
}

/* Read or write what way @nr is for, by the device's file. */
static void host_page(int fd, const struct vfio_region_info *info, int nr, u8 *page, bool write)
{
	off_t at = info->offset + nr * GUEST_BAR_PAGE;
	ssize_t n = write ? pwrite(fd, page, GUEST_BAR_PAGE, at) :
			    pread(fd, page, GUEST_BAR_PAGE, at);

	TEST_ASSERT(n == GUEST_BAR_PAGE, "%s: %s", write ? "pwrite" : "pread", strerror(errno));
}

/* Each byte the VM writes is where it has to be, and none else, and so for the host. */
static void test_data(const void *arg)
{
	const struct how *h = arg;
	struct vm *vm = vm_get();
	struct vfio_region_info info = {
		.argsz = sizeof(info), .index = host_bar(functions[MEM]).index,
	};
	static u8 page[GUEST_BAR_PAGE];
	int fd = qemu_fd(vm, VFIO_DEVICE), way, i, bytes = 0;
	unsigned int forbidden = (h->user ? GUEST_BAR_KERNEL : 0) |
				 (memattr_is_device(h->type) ? GUEST_BAR_NORMAL : 0);
	char out[256];

	TEST_ASSERT(!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info), "region of QEMU's device");
	memset(page, GUEST_BAR_BACKGROUND, sizeof(page));
	for (way = 0; way < GUEST_BAR_WAYS; way++)
		host_page(fd, &info, way, page, true);
	if (access_bar(vm, h, "write 1", out, sizeof(out)))
		bar_fail("writing, the VM says: %s", out);
	for (way = 0; way < GUEST_BAR_WAYS; way++) {
		const struct guest_bar_op *op = &guest_bar_ops[way];
		bool done = !(op->flags & forbidden);

		host_page(fd, &info, way, page, false);
		for (i = 0; i < GUEST_BAR_PAGE; i++) {
			bool in = done && i >= op->offset && i < op->offset + op->size;
			u8 want = in ? guest_bar_byte(way, i - op->offset, 1) :
				  GUEST_BAR_BACKGROUND;

			if (page[i] != want)
				bar_fail("%s: byte %d is 0x%02x, should be 0x%02x", op->name, i,
					 page[i], want);
		}
		if (!done)
			continue;
		for (i = 0; i < op->size; i++)
			page[op->offset + i] = guest_bar_byte(way, i, 2);
		host_page(fd, &info, way, page, true);
		bytes += op->size;
	}
	if (access_bar(vm, h, "read 2", out, sizeof(out)))
		bar_fail("reading, the VM says: %s", out);
	printf("# %s: %d bytes in each direction, %zu around them\n", bar_name, bytes,
	       GUEST_BAR_WAYS * sizeof(page) - bytes);
}

/* The VM's own stage 1 forbids it on Device memory, and nobody on Normal memory. */
static void test_unaligned(const void *arg)
{
	const struct how *h = arg;
	bool device = memattr_is_device(h->type);
	char out[256];
	int status = access_bar(vm_get(), h, "unaligned", out, sizeof(out));

	if (status && !(device && strstr(out, h->user ? "Bus error" : "Bad address")))
		bar_fail("the VM says: %s", out);
	if (device && !status && *enforced)
		bar_fail("it is allowed on this Device memory, and not on other");
	*enforced |= status != 0;
	bar_skip_if(!*enforced,
		    "nothing shows that this machine enforces alignment at stage 1 (%s): use hardware, or QEMU 9.0 or later",
		    bar_machine.name);
}

/* Memory of the VM's is Normal Write-Back. */
static void test_ram(const void *arg)
{
	struct vm *vm = vm_get();

	check_leaf(vm, vm_do(vm, "sed -n 's/-.*: Kernel code$//p' /proc/iomem"),
		   MEMATTR_NORMAL_WB, 0);
}

/* The flag has its name on the BARs that QEMU has mapped, and on nothing else. */
static void test_smaps(const void *arg)
{
	char path[64], line[512], name[256] = "";
	int bars = 0, others = 0;
	bool bar = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", vm_get()->pid);
	f = fopen(path, "r");
	TEST_ASSERT(f, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*x-%*x %*s %*s %*s %*s %255[^\n]", name) == 1) {
			bar = strstr(name, "vfio");
		} else if (!strncmp(line, "VmFlags:", 8)) {
			bars += bar;
			others += !bar;
			if (!!strstr(line, " au ") != bar || strstr(line, "??"))
				bar_fail("%s %s au: %s", name, bar ? "lacks" : "has",
					 strtok(line, "\n"));
			name[0] = 0;
			bar = false;
		}
	}
	fclose(f);
	if (!bars)
		bar_fail("QEMU has no BAR mapped");
	printf("# %s: %d BARs have it, %d other mappings do not\n", bar_name, bars, others);
}

/* The stage-2 dump says what the leaf is. */
static void test_dump(const void *arg)
{
	struct vm *vm = vm_get();
	u64 ipa = vm_bar(vm, MEM_AT);
	struct kvm_memattr_leaf leaf;
	int fd = qemu_fd(vm, KVM_VM);
	char path[64];
	glob_t g;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-*/stage2_page_tables", vm->pid);
	bar_skip_if(glob(path, 0, NULL, &g),
		    "no stage-2 dump: it takes Linux 6.12, CONFIG_PTDUMP_STAGE2_DEBUGFS and debugfs");
	use_wc(vm, MEM_AT, "touch");
	if (memattr_leaf(&bar_machine, fd, ipa, &leaf))
		bar_fail("no leaf for 0x%lx", ipa);
	bar_check_dump(g.gl_pathv[0], ipa, &leaf);
}

/*
 * A driver that nobody told anything: bochs has its frame buffer mapped write-combining,
 * by TTM. That it has it as Device memory at another address does not matter.
 */
static void test_driver(const void *arg)
{
	struct vm *vm = vm_get();
	u64 ipa, va;

	bar_skip_if(!functions[FB][0], "no bochs-display (1234:1111) in KVM_VFIO_DEVICE");
	ipa = vm_bar(vm, FB_AT);
	vm_do(vm, "load_modules");
	va = vm_do(vm, "sed -n 's/-.* ttm_bo_vmap.* phys=0x0*%lx .*//p' /proc/vmallocinfo", ipa);
	if (!va)
		bar_fail("the VM's driver has not mapped 0x%lx", ipa);
	report(vm, "bochs", va, ipa, MEMATTR_NORMAL_NC);
}

/* An interrupt of a device, whose registers the VM has mapped, gets there. */
static void test_irq(const void *arg)
{
	char out[256];

	bar_skip_if(!functions[EDU][0], "no edu (1234:11e8) in KVM_VFIO_DEVICE");
	if (in_vm(vm_get(), "bind " EDU_AT " ioremap && echo irq >" PCI EDU_AT
		  "/op; dmesg | grep guest_bar | tail -n 1", out, sizeof(out)) ||
	    !strstr(out, "one came"))
		bar_fail("the VM says: %s", out);
	printf("# %s: %s\n", bar_name, out);
}

/* A function that the VM resets by FLR is not mapped before it is accessed again. */
static void test_flr(const void *arg)
{
	static const char touch[] = "/bar " PCI FLR_AT "/resource%lx touch";
	struct vm *vm = vm_get();
	u64 ipa, nr;

	bar_skip_if(!functions[FLR][0], "no function with FLR in KVM_VFIO_DEVICE");
	ipa = vm_bar(vm, FLR_AT);
	nr = vm_do(vm, "bar_number " FLR_AT);
	bar_skip_if(vm_do(vm, "bar_size " FLR_AT) < getpagesize(),
		    "the BAR is smaller than a page of the host: use one with smaller pages");
	vm_do(vm, touch, nr);
	check_leaf(vm, ipa, MEMATTR_NORMAL_NC, 0);
	vm_do(vm, "echo 1 >" PCI FLR_AT "/reset");
	check_no_leaf(vm, ipa);
	vm_do(vm, touch, nr);
	check_leaf(vm, ipa, MEMATTR_NORMAL_NC, 0);
}

/* A function comes and goes while the VM runs. */
static void test_plug(const void *arg)
{
	struct vm *vm = vm_get();
	char arguments[128];
	u64 ipa;

	bar_skip_if(!spare[0], "one function only in KVM_VFIO_BAR_WRITE: name two");
	snprintf(arguments, sizeof(arguments),
		 "'driver': 'vfio-pci', 'host': '%s', 'bus': 'plug', 'id': 'spare'", spare);
	qmp(vm, "device_add", arguments);
	vm_do(vm, "wait_until [ -e " PCI PLUGGED_AT "/resource ]");
	ipa = vm_bar(vm, PLUGGED_AT);
	use_wc(vm, PLUGGED_AT, "write 3");
	check_leaf(vm, ipa, MEMATTR_NORMAL_NC, host_bar(spare).pa);
	qmp(vm, "device_del", "'id': 'spare'");
	qmp_wait(vm, "\"DEVICE_DELETED\"");
	check_no_leaf(vm, ipa);
	vm_do(vm, "wait_until [ ! -e " PCI PLUGGED_AT " ]");
}

/* After a reboot nothing is mapped before it is accessed. */
static void test_reboot(const void *arg)
{
	struct vm *vm = vm_get();
	u64 ipa = vm_bar(vm, MEM_AT);
	char rest[16];

	use_wc(vm, MEM_AT, "write 4");
	check_leaf(vm, ipa, MEMATTR_NORMAL_NC, 0);
	write_line(vm->serial[0], "0 reboot -f");
	vm_wait(vm, "@ready", rest, sizeof(rest));
	check_no_leaf(vm, ipa);
	use_wc(vm, MEM_AT, "write 4");
	check_leaf(vm, ipa, MEMATTR_NORMAL_NC, 0);
}

/* Where a VM's BAR leads to: to the right function */
static void check_target(struct vm *vm, const char *bdf)
{
	use_wc(vm, MEM_AT, "write 5");
	check_leaf(vm, vm_bar(vm, MEM_AT), MEMATTR_NORMAL_NC, host_bar(bdf).pa);
}

/* Two VMs, each with a function of its own */
static void test_two(const void *arg)
{
	char args[64];

	bar_skip_if(!spare[0], "one function only in KVM_VFIO_BAR_WRITE: name two");
	check_target(vm_get(), functions[MEM]);
	snprintf(args, sizeof(args), "-device vfio-pci,host=%s,addr=2.0", spare);
	vm_start(&vms[1], args);
	check_target(&vms[1], spare);
	if (!vm_alive(&vms[0]))
		vm_died(&vms[0]);
	check_target(&vms[0], functions[MEM]);
	vm_kill(&vms[1]);
}

/* With QEMU go the leaves; the functions can be used again. */
static void test_kill(const void *arg)
{
	struct vm *vm = vm_get();
	u64 ipa = vm_bar(vm, MEM_AT);
	struct kvm_memattr_leaf leaf;
	int fd, ret;

	check_target(vm, functions[MEM]);
	/* KVM keeps a VM that somebody has open. */
	fd = qemu_fd(vm, KVM_VM);
	vm_kill(vm);
	ret = memattr_leaf(&bar_machine, fd, ipa, &leaf);
	close(fd);
	if (ret != -ENOENT && ret != -EOPNOTSUPP)
		bar_fail("a VM without memory has a leaf for 0x%lx: %d", ipa, ret);
	check_target(vm_get(), functions[MEM]);
}

static void allow(void)
{
	vm_kill(&vms[0]);
	bar_write(VFIO_BAR_SWITCH, "1");
}

/* Where the administrator withholds it, a VM fares as it does without the feature. */
static void test_off(const void *arg)
{
	struct vm *vm;
	char out[256];

	bar_skip_if(access(VFIO_BAR_SWITCH, W_OK),
		    "this kernel has no any_uncached: use one with the series");
	vm_kill(&vms[0]);
	atexit(allow);
	bar_write(VFIO_BAR_SWITCH, "0");
	vm = vm_get();
	use_wc(vm, MEM_AT, "touch");
	check_leaf(vm, vm_bar(vm, MEM_AT), MEMATTR_DEVICE_nGnRE, 0);
	dying = *enforced;
	access_bar(vm, &hows[2], "unaligned", out, sizeof(out));
	if (*enforced)
		bar_fail("the VM lives after an unaligned access");
}

struct row {
	const char *name;
	void (*run)(const void *arg);
};

/* Those that there are one of for each way to map a BAR */
static const struct row of_how[] = {
	{ "type", test_type },
	{ "data", test_data },
	{ "unaligned", test_unaligned },
};

static const struct row of_vm[] = {
	{ "RAM: Normal-WB", test_ram },
	{ "smaps: BARs", test_smaps },
	{ "stage-2 dump agrees with the leaf", test_dump },
	{ "driver of its own: bochs", test_driver },
	{ "interrupt", test_irq },
	{ "reset by FLR", test_flr },
	/* From here on, what takes one more boot of a VM, or as long */
	{ "plugged in and out", test_plug },
	{ "reboot", test_reboot },
	{ "two VMs", test_two },
	{ "QEMU killed", test_kill },
	{ "any_uncached: off", test_off },
};

#define NR_SHORT	6

static void run_row(const char *name, void (*run)(const void *arg), const void *arg)
{
	int status;
	pid_t pid = fork();

	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		bar_name = name;
		run(arg);
		exit(KSFT_PASS);
	}
	waitpid(pid, &status, 0);
	bar_result(name, WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL);
}

/* Which functions are for what */
static void find_functions(void)
{
	char *names = strdup(getenv("KVM_VFIO_DEVICE") ?: ""), *save, *bdf;
	const char *write = getenv("KVM_VFIO_BAR_WRITE") ?: "";

	for (bdf = strtok_r(names, " ", &save); bdf; bdf = strtok_r(NULL, " ", &save)) {
		char path[64], id[32] = "", reset[64] = "", *to = NULL;
		FILE *f;

		snprintf(path, sizeof(path), PCI "%.12s/modalias", bdf);
		f = fopen(path, "r");
		if (f && fgets(id, sizeof(id), f))
			fclose(f);
		snprintf(path, sizeof(path), PCI "%.12s/reset_method", bdf);
		f = fopen(path, "r");
		if (f && fgets(reset, sizeof(reset), f))
			fclose(f);
		if (strstr(write, bdf))
			to = !functions[MEM][0] ? functions[MEM] : !spare[0] ? spare : NULL;
		else if (!strncmp(id, "pci:v00001234d000011E8", 22))
			to = functions[EDU];
		else if (!strncmp(id, "pci:v00001234d00001111", 22))
			to = functions[FB];
		else if (strstr(reset, "flr"))
			to = functions[FLR];
		if (to)
			snprintf(to, sizeof(spare), "%s", bdf);
	}
	free(names);
}

static void open_fifos(int nr, const char *what, int *fds)
{
	static const char * const ends[] = { "in", "out" };
	char path[64];
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), FILES "%d.%s.%s", nr, what, ends[i]);
		unlink(path);
		mkfifo(path, 0600);
		fds[i] = open(path, O_RDWR);
		TEST_ASSERT(fds[i] >= 0, "%s: %s", path, strerror(errno));
	}
}

static int print_usage(const char *name)
{
	int i;

	fprintf(stderr, "usage: %s [-s] [HOW...]\n"
		" -s: leave out what takes longer than one boot of a VM\n"
		" HOW: nothing but the rows for this way to map a BAR:", name);
	for (i = 0; i < ARRAY_SIZE(hows); i++)
		fprintf(stderr, " %s", hows[i].name);
	fprintf(stderr, "\n");
	return 2;
}

int main(int argc, char *argv[])
{
	int nr = ARRAY_SIZE(of_vm), nr_hows = 0, i, j, opt, vm;
	struct kvm_create_device v2 = {
		.type = KVM_DEV_TYPE_ARM_VGIC_V2, .flags = KVM_CREATE_DEVICE_TEST,
	};
	struct kvm_create_device v3 = {
		.type = KVM_DEV_TYPE_ARM_VGIC_V3, .flags = KVM_CREATE_DEVICE_TEST,
	};
	const struct how *wanted[ARRAY_SIZE(hows)];
	char name[64];

	while ((opt = getopt(argc, argv, "s")) != -1) {
		if (opt != 's')
			return print_usage(argv[0]);
		nr = NR_SHORT;
	}
	for (i = 0; i < ARRAY_SIZE(hows); i++) {
		for (j = optind; j < argc && strcmp(argv[j], hows[i].name); j++)
			;
		if (optind == argc || j < argc)
			wanted[nr_hows++] = &hows[i];
	}
	if (optind < argc) {
		if (nr_hows != argc - optind)
			return print_usage(argv[0]);
		nr = 0;
	}
	setbuf(stdout, NULL);
	ksft_print_header();
	if (access(VMM "qemu-system-aarch64", X_OK))
		ksft_exit_skip("no VMM in " VMM ": tools/testing/qemu makes one\n");
	memattr_require(&bar_machine);
	if (bar_pkvm())
		ksft_exit_skip(BAR_PKVM "\n");
	vm = ioctl(open("/dev/kvm", O_RDWR), KVM_CREATE_VM, 0);
	if (ioctl(vm, KVM_CREATE_DEVICE, &v3) && ioctl(vm, KVM_CREATE_DEVICE, &v2))
		ksft_exit_skip("this host cannot virtualise a GIC: boot with kvm-arm.mode=nvhe\n");
	close(vm);
	find_functions();
	if (!functions[MEM][0])
		ksft_exit_skip("no BAR of plain memory: name a function in KVM_VFIO_BAR_WRITE\n");
	if (vfio_bar_find(&bar_dev, functions[MEM]) && bar_dev.broken)
		ksft_exit_skip(VFIO_BAR_BROKEN "\n", bar_dev.bdf);
	vms = bar_shared(2 * sizeof(*vms));
	enforced = bar_shared(sizeof(*enforced));
	bar_left = bar_shared(sizeof(*bar_left));
	for (i = 0; i < 2; i++) {
		open_fifos(i, "serial", vms[i].serial);
		open_fifos(i, "qmp", vms[i].qmp);
	}

	ksft_set_plan(nr_hows * ARRAY_SIZE(of_how) + nr);
	for (i = 0; i < nr_hows; i++) {
		for (j = 0; j < ARRAY_SIZE(of_how); j++) {
			snprintf(name, sizeof(name), "%s: %s", wanted[i]->name, of_how[j].name);
			run_row(name, of_how[j].run, wanted[i]);
		}
	}
	for (i = 0; i < nr; i++)
		run_row(of_vm[i].name, of_vm[i].run, NULL);
	for (i = 0; i < 2; i++)
		vm_kill(&vms[i]);
	memattr_finish();
}
