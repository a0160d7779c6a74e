// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM that makes single memory accesses on demand: see bar_vm.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/sizes.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#include "bar_vm.h"
#include "memattr.h"

/* Windows start at 4G, and are 2G apart for memory with a 1G offset. */
#define WINDOW_BASE	(4ULL * SZ_1G)
#define WINDOW_STRIDE	(2ULL * SZ_1G)
#define FIRST_SLOT	16

/* What the host asks of the guest and what the guest found, in guest memory. */
static struct guest_box {
	uint64_t op;
	uint64_t flush;
	uint64_t gva;
	uint64_t val;
	uint64_t faults;
	uint64_t vector;
	uint64_t esr;
	uint64_t far;
} box;

static void guest_fault(struct ex_regs *regs, int vector)
{
	uint64_t esr = 0, far = 0;

	if (VECTOR_IS_SYNC(vector)) {
		esr = read_sysreg(esr_el1);
		far = read_sysreg(far_el1);
	}
	/* Of the two halves of an exclusive, the first fault counts. */
	if (!box.faults++) {
		box.vector = vector;
		box.esr = esr;
		box.far = far;
	}
	if (!VECTOR_IS_SYNC(vector))
		return;
	if (box.op == BAR_EXEC)
		regs->pc = regs->regs[30];
	else
		regs->pc += 4;
}

static void guest_sync(struct ex_regs *regs)
{
	guest_fault(regs, VECTOR_SYNC_CURRENT);
}

static void guest_serror(struct ex_regs *regs)
{
	guest_fault(regs, VECTOR_ERROR_CURRENT);
}

static uint64_t guest_access(uint64_t op, uint64_t gva, uint64_t val)
{
	uint64_t a = 0, b = 0;

	/* One instruction each, so that a handler can step over it. */
	switch (op) {
	case BAR_READ8:
		asm volatile("ldrb %w0, [%1]" : "+r" (a) : "r" (gva) : "memory");
		break;
	case BAR_READ16:
		asm volatile("ldrh %w0, [%1]" : "+r" (a) : "r" (gva) : "memory");
		break;
	case BAR_READ32:
		asm volatile("ldr %w0, [%1]" : "+r" (a) : "r" (gva) : "memory");
		break;
	case BAR_READ64:
		asm volatile("ldr %0, [%1]" : "+r" (a) : "r" (gva) : "memory");
		break;
	case BAR_WRITE8:
		asm volatile("strb %w0, [%1]" : : "r" (val), "r" (gva) : "memory");
		break;
	case BAR_WRITE16:
		asm volatile("strh %w0, [%1]" : : "r" (val), "r" (gva) : "memory");
		break;
	case BAR_WRITE32:
		asm volatile("str %w0, [%1]" : : "r" (val), "r" (gva) : "memory");
		break;
	case BAR_WRITE64:
		asm volatile("str %0, [%1]" : : "r" (val), "r" (gva) : "memory");
		break;
	case BAR_LDP:
		asm volatile("ldp %0, %1, [%2]"
			     : "+&r" (a), "+&r" (b) : "r" (gva) : "memory");
		a ^= b;
		break;
	case BAR_STP:
		asm volatile("stp %0, %1, [%2]"
			     : : "r" (val), "r" (~val), "r" (gva) : "memory");
		break;
	case BAR_ZVA:
		asm volatile("dc zva, %0" : : "r" (gva) : "memory");
		break;
	case BAR_EXCLUSIVE:
		a = 1;
		asm volatile("ldxr %1, [%2]\n\tstxr %w0, %1, [%2]"
			     : "+&r" (a), "+&r" (b) : "r" (gva) : "memory");
		break;
	case BAR_EXEC:
		asm volatile("blr %0" : : "r" (gva) : "x30", "memory", "cc");
		break;
	}
	return a;
}

static void guest_code(void)
{
	for (;;) {
		if (box.flush)
			asm volatile("tlbi vmalle1is");
		/* Also for a descriptor that the host has made valid */
		asm volatile("dsb ish\n\tisb" : : : "memory");
		box.val = guest_access(box.op, box.gva, box.val);
		/* An asynchronous error must belong to the access it follows. */
		asm volatile("dsb sy\n\tisb" : : : "memory");
		asm volatile("str wzr, [%0]" : : "r" (BAR_VM_REPORT) : "memory");
	}
}

void bar_vm_create_with(struct bar_vm *bv, void *guest)
{
	int i;

	memset(bv, 0, sizeof(*bv));
	bv->vm = __vm_create_with_one_vcpu(&bv->vcpus[0], 1024, guest);
	for (i = 1; i < BAR_VM_VCPUS; i++)
		bv->vcpus[i] = vm_vcpu_add(bv->vm, i, guest);
	bv->vcpu = bv->vcpus[0];
	vm_init_descriptor_tables(bv->vm);
	for (i = 0; i < BAR_VM_VCPUS; i++)
		vcpu_init_descriptor_tables(bv->vcpus[i]);
	virt_pg_map(bv->vm, BAR_VM_REPORT, BAR_VM_REPORT);
	vcpu_get_reg(bv->vcpu, KVM_ARM64_SYS_REG(SYS_MAIR_EL1), &bv->mair);
}

void bar_vm_create(struct bar_vm *bv)
{
	int ec;

	bar_vm_create_with(bv, guest_code);
	for (ec = 0; ec < ESR_EC_NUM; ec++)
		vm_install_sync_handler(bv->vm, VECTOR_SYNC_CURRENT, ec,
					guest_sync);
	vm_install_exception_handler(bv->vm, VECTOR_ERROR_CURRENT,
				     guest_serror);
}

void bar_vm_free(struct bar_vm *bv)
{
	kvm_vm_free(bv->vm);
	memset(bv, 0, sizeof(*bv));
}

uint64_t bar_vm_gpa(int window, const void *hva)
{
	return WINDOW_BASE + window * WINDOW_STRIDE +
	       ((uintptr_t)hva & (SZ_1G - 1));
}

int bar_vm_try_slot_at(struct bar_vm *bv, int window, uint32_t flags,
		       uint64_t gpa, void *hva, uint64_t size)
{
	return __vm_set_user_memory_region(bv->vm, FIRST_SLOT + window, flags,
					   gpa, size, hva);
}

uint64_t bar_vm_slot(struct bar_vm *bv, int window, uint32_t flags, void *hva,
		     uint64_t size)
{
	uint64_t gpa = bar_vm_gpa(window, hva);

	TEST_ASSERT(!bar_vm_try_slot_at(bv, window, flags, gpa, hva, size),
		    "memslot of 0x%lx bytes at 0x%lx, flags 0x%x: %s",
		    (unsigned long)size, (unsigned long)gpa, flags,
		    strerror(errno));
	return gpa;
}

void bar_vm_map(struct bar_vm *bv, uint64_t gpa)
{
	gpa &= ~(uint64_t)(bv->vm->page_size - 1);
	/* The library would not mind: it writes the same descriptor again. */
	virt_pg_map(bv->vm, gpa, gpa);
	memattr_set_s1(bv->vm, gpa, BAR_VM_ATTRIDX);
}

void bar_vm_add_mem(struct bar_vm *bv, struct bar_slot *slot, int window,
		    uint32_t slot_flags, void *hva, size_t size)
{
	memset(slot, 0, sizeof(*slot));
	slot->window = window;
	slot->hva = hva;
	slot->size = size;
	slot->gpa = bar_vm_slot(bv, window, slot_flags, hva, size);
	bar_vm_map(bv, slot->gpa);
}

bool bar_vm_add_bar(struct bar_vm *bv, struct bar_slot *slot, int window,
		    enum bar_source source, const struct vfio_pci_dev *dev,
		    int bar, int prot, uint32_t slot_flags)
{
	size_t size = vfio_pci_bar_map_size(dev, bar);
	void *hva;

	memset(slot, 0, sizeof(*slot));
	if (size > BAR_VM_MAX_MAP)
		size = BAR_VM_MAX_MAP;
	if (source == BAR_VFIO)
		hva = vfio_pci_bar_mmap(dev, bar, NULL, prot, 0, size);
	else
		hva = vfio_pci_sysfs_mmap(dev, bar, source == BAR_SYSFS_WC,
					  NULL, prot, 0, size);
	if (!hva)
		return false;
	bar_vm_add_mem(bv, slot, window, slot_flags, hva, size);
	slot->pa = dev->bar[bar].start;
	return true;
}

void bar_vm_remove(struct bar_vm *bv, struct bar_slot *slot)
{
	if (!slot->hva)
		return;
	bar_vm_slot(bv, slot->window, 0, slot->hva, 0);
	munmap(slot->hva, slot->size);
	slot->hva = NULL;
}

void bar_vm_set_type(struct bar_vm *bv, uint8_t mair)
{
	uint64_t old = bv->mair;
	int i;

	bv->mair &= ~(0xffULL << (8 * BAR_VM_ATTRIDX));
	bv->mair |= (uint64_t)mair << (8 * BAR_VM_ATTRIDX);
	if (bv->mair == old)
		return;
	for (i = 0; i < BAR_VM_VCPUS; i++)
		vcpu_set_reg(bv->vcpus[i], KVM_ARM64_SYS_REG(SYS_MAIR_EL1),
			     bv->mair);
	bar_vm_flush(bv);
}

void bar_vm_flush(struct bar_vm *bv)
{
	bv->flush = true;
}

/* KVM_RUN left the guest at an instruction it cannot complete: step over it. */
static void step_over(struct bar_vm *bv, enum bar_op op)
{
	uint64_t pc;

	if (op == BAR_EXEC) {
		vcpu_get_reg(bv->vcpu, ARM64_CORE_REG(regs.regs[30]), &pc);
	} else {
		vcpu_get_reg(bv->vcpu, ARM64_CORE_REG(regs.pc), &pc);
		pc += 4;
	}
	vcpu_set_reg(bv->vcpu, ARM64_CORE_REG(regs.pc), pc);
}

struct bar_result bar_vm_do(struct bar_vm *bv, enum bar_op op, uint64_t gva,
			    uint64_t val)
{
	struct bar_result res = { .outcome = BAR_OK };
	struct kvm_run *run = bv->vcpu->run;
	int failures = 0;

	memset(&box, 0, sizeof(box));
	box.op = op;
	box.flush = bv->flush;
	box.gva = gva;
	box.val = val;
	sync_global_to_guest(bv->vm, box);
	bv->flush = false;

	for (;;) {
		if (__vcpu_run(bv->vcpu)) {
			if (errno == EINTR && bv->interruptible) {
				res.outcome = BAR_INTERRUPTED;
				step_over(bv, op);
			}
			if (errno == EINTR)
				continue;
			if (!failures) {
				res.outcome = BAR_RUN_FAILED;
				res.err = errno;
			}
			/* Two for the halves of an exclusive, not for ever. */
			TEST_ASSERT(++failures <= 2, "KVM_RUN keeps failing: %s",
				    strerror(errno));
			step_over(bv, op);
			continue;
		}
		TEST_ASSERT(run->exit_reason == KVM_EXIT_MMIO,
			    "unexpected exit of the guest, reason %u",
			    run->exit_reason);
		if (run->mmio.phys_addr == BAR_VM_REPORT)
			break;
		res.outcome = BAR_MMIO;
		res.gpa = run->mmio.phys_addr;
		res.is_write = run->mmio.is_write;
		if (!run->mmio.is_write)
			memset(run->mmio.data, 0, sizeof(run->mmio.data));
	}

	sync_global_from_guest(bv->vm, box);
	if (box.faults) {
		res.outcome = BAR_GUEST_FAULT;
		res.esr = box.esr;
		res.far = box.far;
		res.vector = box.vector;
	}
	res.val = box.val;
	return res;
}

const char *bar_result_str(const struct bar_result *res)
{
	static char buf[128];

	switch (res->outcome) {
	case BAR_OK:
		return "done";
	case BAR_GUEST_FAULT:
		if (!VECTOR_IS_SYNC(res->vector))
			return "SError in the guest";
		snprintf(buf, sizeof(buf),
			 "exception in the guest, EC 0x%lx, FSC 0x%lx",
			 (unsigned long)BAR_ESR_EC(res->esr),
			 (unsigned long)BAR_ESR_FSC(res->esr));
		return buf;
	case BAR_RUN_FAILED:
		snprintf(buf, sizeof(buf), "KVM_RUN: %s", strerror(res->err));
		return buf;
	case BAR_MMIO:
		snprintf(buf, sizeof(buf), "KVM_EXIT_MMIO, %s of 0x%lx",
			 res->is_write ? "write" : "read",
			 (unsigned long)res->gpa);
		return buf;
	case BAR_INTERRUPTED:
		return "KVM_RUN has to be interrupted";
	}
	return "?";
}

static bool differs(const char *name, const char *what, unsigned long is,
		    unsigned long want)
{
	if (is == want)
		return false;
	printf("# %s: stage-2 leaf: %s is 0x%lx, not 0x%lx\n", name, what, is,
	       want);
	return true;
}

bool bar_vm_check_leaf(const struct memattr_machine *m, struct bar_vm *bv,
		       const char *name, uint64_t gpa,
		       const struct bar_leaf_want *want)
{
	struct kvm_memattr_leaf leaf;
	bool bad = false;
	int type;

	if (memattr_leaf(m, bv->vm->fd, gpa, &leaf)) {
		printf("# %s: no stage-2 leaf for 0x%lx: %s\n", name,
		       (unsigned long)gpa, strerror(errno));
		return false;
	}

	type = memattr_s2_encode(want->type, leaf.fwb);
	if (leaf.memattr != type) {
		printf("# %s: stage-2 type is %s (0x%x), not %s (0x%x)\n", name,
		       memattr_s2_name(leaf.memattr, leaf.fwb), leaf.memattr,
		       memattr_name(want->type), type);
		bad = true;
	}
	bad |= differs(name, "S2AP[0] (read)", leaf.s2ap & 1, want->read);
	bad |= differs(name, "S2AP[1] (write)", leaf.s2ap >> 1, want->write);
	/* XN[1:0]: 0b00 executable, 0b10 not, at either exception level */
	if (!want->any_exec)
		bad |= differs(name, "XN[1:0]", leaf.xn, want->exec ? 0 : 2);
	bad |= differs(name, "AF", leaf.af, 1);
	bad |= differs(name, "Contiguous", leaf.contig, 0);
	if (want->oa)
		bad |= differs(name, "output address",
			       leaf.oa + (gpa - leaf.base), want->oa);
	return !bad;
}

bool bar_vm_check_no_leaf(const struct memattr_machine *m, struct bar_vm *bv,
			  const char *name, uint64_t gpa)
{
	struct kvm_memattr_leaf leaf;

	if (memattr_leaf(m, bv->vm->fd, gpa, &leaf)) {
		if (errno == ENOENT)
			return true;
		printf("# %s: reading stage 2 of 0x%lx: %s\n", name,
		       (unsigned long)gpa, strerror(errno));
		return false;
	}
	printf("# %s: 0x%lx is still mapped at stage 2, descriptor 0x%llx\n",
	       name, (unsigned long)gpa, leaf.desc);
	return false;
}

bool bar_vm_expect(const char *name, const struct bar_result *res,
		   enum bar_outcome outcome)
{
	static const char * const text[] = {
		[BAR_OK] = "done",
		[BAR_GUEST_FAULT] = "exception in the guest",
		[BAR_RUN_FAILED] = "failing KVM_RUN",
		[BAR_MMIO] = "KVM_EXIT_MMIO",
		[BAR_INTERRUPTED] = "KVM_RUN has to be interrupted",
	};

	if (res->outcome == outcome)
		return true;
	printf("# %s: access ended as: %s; expected: %s\n", name,
	       bar_result_str(res), text[outcome]);
	return false;
}

uint8_t bar_vm_mmio_type(const struct memattr_machine *m, struct bar_vm *bv,
			 uint64_t gpa)
{
	struct kvm_memattr_leaf leaf;

	TEST_ASSERT(!memattr_leaf(m, bv->vm->fd, gpa, &leaf),
		    "no stage-2 leaf for 0x%lx: %s", (unsigned long)gpa,
		    strerror(errno));
	return leaf.memattr == memattr_s2_encode(MEMATTR_NORMAL_NC, leaf.fwb) ?
	       MEMATTR_NORMAL_NC : MEMATTR_DEVICE_nGnRE;
}

bool bar_vm_check_touch(const struct memattr_machine *m, struct bar_vm *bv,
			const char *name, uint64_t gpa,
			const struct bar_leaf_want *want)
{
	struct bar_result res;

	bar_vm_map(bv, gpa);
	res = bar_vm_do(bv, BAR_READ32, gpa, 0);
	return bar_vm_expect(name, &res, BAR_OK) &
	       bar_vm_check_leaf(m, bv, name, gpa, want);
}

bool bar_vm_check_gone(const struct memattr_machine *m, struct bar_vm *bv,
		       const char *name, uint64_t gpa)
{
	bool ok = bar_vm_check_no_leaf(m, bv, name, gpa);
	struct bar_result res;

	res = bar_vm_do(bv, BAR_READ32, gpa, 0);
	ok &= bar_vm_expect(name, &res, BAR_RUN_FAILED) && res.err == EFAULT;
	return ok & bar_vm_check_no_leaf(m, bv, name, gpa);
}
