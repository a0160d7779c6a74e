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

/*
 * The guest reports with a store to this page, which no memslot backs.  A
 * ucall would do the same, but its setup differs between kernel versions.
 */
#define REPORT_GPA	(3ULL * SZ_1G)

/* Windows start at 4G, and are 2G apart for memory with a 1G offset. */
#define WINDOW_BASE	(4ULL * SZ_1G)
#define WINDOW_STRIDE	(2ULL * SZ_1G)
#define FIRST_SLOT	16

/* What the host asks of the guest and what the guest found, in guest memory. */
static struct guest_box {
	uint64_t op;
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
	case BAR_READ32:
		asm volatile("ldr %w0, [%1]" : "+r" (a) : "r" (gva) : "memory");
		break;
	case BAR_READ64:
		asm volatile("ldr %0, [%1]" : "+r" (a) : "r" (gva) : "memory");
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
		/* The host may have edited MAIR_EL1 or a stage-1 descriptor. */
		asm volatile("dsb ishst\n\ttlbi vmalle1\n\tdsb ish\n\tisb"
			     : : : "memory");
		box.val = guest_access(box.op, box.gva, box.val);
		/* An asynchronous error must belong to the access it follows. */
		asm volatile("dsb sy\n\tisb" : : : "memory");
		asm volatile("str wzr, [%0]" : : "r" (REPORT_GPA) : "memory");
	}
}

void bar_vm_create(struct bar_vm *bv)
{
	int ec;

	bv->vm = __vm_create_with_one_vcpu(&bv->vcpu, 1024, guest_code);
	vm_init_descriptor_tables(bv->vm);
	vcpu_init_descriptor_tables(bv->vcpu);
	for (ec = 0; ec < ESR_EC_NUM; ec++)
		vm_install_sync_handler(bv->vm, VECTOR_SYNC_CURRENT, ec,
					guest_sync);
	vm_install_exception_handler(bv->vm, VECTOR_ERROR_CURRENT,
				     guest_serror);
	virt_pg_map(bv->vm, REPORT_GPA, REPORT_GPA);
	vcpu_get_reg(bv->vcpu, KVM_ARM64_SYS_REG(SYS_MAIR_EL1), &bv->mair);
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
	bv->mair &= ~(0xffULL << (8 * BAR_VM_ATTRIDX));
	bv->mair |= (uint64_t)mair << (8 * BAR_VM_ATTRIDX);
	vcpu_set_reg(bv->vcpu, KVM_ARM64_SYS_REG(SYS_MAIR_EL1), bv->mair);
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
	box.gva = gva;
	box.val = val;
	sync_global_to_guest(bv->vm, box);

	for (;;) {
		if (__vcpu_run(bv->vcpu)) {
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
		if (run->mmio.phys_addr == REPORT_GPA)
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
	};

	if (res->outcome == outcome)
		return true;
	printf("# %s: access ended as: %s; expected: %s\n", name,
	       bar_result_str(res), text[outcome]);
	return false;
}
