// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KVM and the machine make of memory attributes, by the kvm_memattr test module, and
 * the verdict on it by the rules in rules.c. What is known of a machine that deviates from
 * them is here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm_util.h"
#include "memattr/memattr.h"
#include "processor.h"
#include "test_util.h"

#define HCR_FWB_BIT	BIT_ULL(46)

static u8 lower(u8 a, u8 b)
{
	return a < b ? a : b;
}

static bool same_type(u8 a, u8 b)
{
	return memattr_type(a) == memattr_type(b);
}

/*
 * Known deviations. gives() returns the wrong type that such a machine
 * computes, or -1 where it is right. Only exactly that is excused.
 */

/* Device wins over Normal by the lower nibble alone, and by 0 < 4 < 8 < others */
static u8 device_nibble(u8 attr)
{
	u8 nibble = attr & 0xf;

	return nibble & 3 ? MEMATTR_DEVICE_GRE : nibble;
}

static int qemu_nibbles(u8 s1, u8 s2)
{
	u8 gives = lower(device_nibble(s1), device_nibble(s2));
	u8 right = memattr_is_device(s2) ? s2 : MEMATTR_DEVICE_GRE;

	if (memattr_is_device(s1))
		right = lower(right, memattr_type(s1));
	else if (!memattr_is_device(s2))
		return -1;

	return gives == right ? -1 : gives;
}

static int qemu_fwb_device(u8 s1, u8 s2)
{
	return memattr_type(s1) < s2 ? s2 : -1;
}

/* The lower nibble 0 is taken as it is, and with an outer 4 gives 0x40 */
static int qemu_xs(u8 s1, u8 s2)
{
	return s1 == 0xa0 && s2 >> 4 == 4 ? MEMATTR_NORMAL_NC : -1;
}

static const struct deviation {
	const char *what;
	u32 rules;
	int (*gives)(u8 s1, u8 s2);
} tcg_deviations[] = {
	{
		"QEMU: with FWB a stage-2 Device type replaces a stronger stage-1 Device type",
		1 << MEMATTR_RULE_FWB_DEVICE_DEVICE, qemu_fwb_device,
	}, {
		"QEMU: without FWB the lower nibbles are compared as if both types were Device and old",
		1 << MEMATTR_RULE_DEVICE_DEVICE | 1 << MEMATTR_RULE_S1_DEVICE |
		1 << MEMATTR_RULE_S2_DEVICE, qemu_nibbles,
	}, {
		"QEMU: without FWB the inner cacheability of 0xa0 is combined as if it was old",
		1 << MEMATTR_RULE_NORMAL, qemu_xs,
	},
};

/*
 * A machine may treat a type as a weaker Normal or as a stronger Device type,
 * if it always does: many cores cache only what is Write-Back in both domains.
 */
static bool permitted(const struct memattr_machine *m, u8 want, u8 seen)
{
	bool weaker = memattr_is_device(want) ?
		      memattr_is_device(seen) && seen < want :
		      memattr_type(seen) == MEMATTR_NORMAL_NC;
	u64 par;

	return weaker &&
	       !memattr_calibrate(m, want, MEMATTR_S2_WB, false, &par) &&
	       !(par & MEMATTR_PAR_F) && same_type(MEMATTR_PAR_ATTR(par), seen);
}

/**
 * memattr_deviation() - is this known of the machine?
 * @m: the machine
 * @mair: stage-1 type
 * @memattr: stage-2 MemAttr[3:0]
 * @fwb: HCR_EL2.FWB
 * @seen: the type that the machine combines them to, which the rules do not
 *
 * Return: the name of the deviation that gives just this, or NULL
 */
const char *memattr_deviation(const struct memattr_machine *m, u8 mair,
			      u8 memattr, bool fwb, u8 seen)
{
	struct memattr_combined c = memattr_combine(m, mair, memattr, fwb);
	int i;

	for (i = 0; m->tcg && i < ARRAY_SIZE(tcg_deviations); i++) {
		const struct deviation *d = &tcg_deviations[i];

		if (d->rules & 1 << c.rule &&
		    d->gives(mair, memattr_s2_type(memattr, fwb)) == memattr_type(seen))
			return d->what;
	}
	if (permitted(m, c.attr, seen))
		return "permitted by the architecture: the type is always treated as this one";

	return NULL;
}

/* On the CPU that INFO is of: another one may be of another type */
static int call_on_cpu(const struct memattr_machine *m, unsigned long cmd,
		       void *arg)
{
	cpu_set_t old, one;
	int ret;

	CPU_ZERO(&one);
	CPU_SET(m->cpu, &one);
	if (sched_getaffinity(0, sizeof(old), &old) ||
	    sched_setaffinity(0, sizeof(one), &one))
		return -errno;
	ret = ioctl(m->fd, cmd, arg) ? -errno : 0;
	sched_setaffinity(0, sizeof(old), &old);

	return ret;
}

/* The first string of a file, or "" */
static void read_string(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n = 0;

	if (f) {
		n = fread(buf, 1, size - 1, f);
		fclose(f);
	}
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
}

/*
 * QEMU's virt board is that of TCG, of KVM and of others. Its DMI, which comes
 * with UEFI, tells KVM, else KVM tells its guests; and TCG has no CPUs but its
 * own "max" (implementer 0), Arm's and Fujitsu's.
 */
static void identify(struct memattr_machine *m)
{
	u8 implementer = m->info.midr >> 24;
	char board[64], fw_cfg[64];

	read_string("/sys/firmware/devicetree/base/fw-cfg@9020000/compatible",
		    fw_cfg, sizeof(fw_cfg));
	read_string("/sys/class/dmi/id/product_name", board, sizeof(board));
	m->tcg = !(m->info.flags & KVM_MEMATTR_INFO_NESTED) &&
		 (implementer == 0 || implementer == 0x41 || implementer == 0x46) &&
		 !(board[0] ? strcmp(board, "QEMU Virtual Machine") :
			      strcmp(fw_cfg, "qemu,fw-cfg-mmio"));
	if (!board[0])
		read_string("/sys/firmware/devicetree/base/compatible", board,
			    sizeof(board));
	snprintf(m->name, sizeof(m->name), "MIDR_EL1 0x%08llx on %s%s",
		 (unsigned long long)m->info.midr,
		 board[0] ? board : "an unnamed board", m->tcg ? ", TCG" : "");
}

/**
 * memattr_open() - open the test module
 * @m: filled in
 *
 * Return: NULL, or why not and what to do about it
 */
const char *memattr_open(struct memattr_machine *m)
{
	memset(m, 0, sizeof(*m));
	m->fd = open(KVM_MEMATTR_DEVICE, O_RDWR | O_CLOEXEC);
	if (m->fd < 0 && (errno == EPERM || errno == EACCES))
		return KVM_MEMATTR_DEVICE " needs CAP_SYS_ADMIN: run as root";
	if (m->fd < 0)
		return "cannot open " KVM_MEMATTR_DEVICE
		       ": make -C test_modules; insmod test_modules/kvm_memattr.ko";

	m->cpu = sched_getcpu();
	if (call_on_cpu(m, KVM_MEMATTR_INFO, &m->info) ||
	    m->info.version != KVM_MEMATTR_VERSION) {
		close(m->fd);
		m->fd = -1;
		return "kvm_memattr.ko is not that of these tests: rebuild and reload it";
	}
	identify(m);

	return NULL;
}

/**
 * memattr_prove() - can the module and the machine be relied upon?
 * @m: the machine
 *
 * Three pairs that each machine is known to combine right. What is excused by
 * what the machine does without KVM depends on it.
 *
 * Return: NULL, or what is wrong
 */
const char *memattr_prove(const struct memattr_machine *m)
{
	bool fwb = m->info.flags & KVM_MEMATTR_INFO_FWB;
	const struct {
		u8 s1, memattr, want;
	} points[] = {
		{ MEMATTR_NORMAL_NC, MEMATTR_S2_NC, MEMATTR_NORMAL_NC },
		{ MEMATTR_NORMAL_WB, fwb ? MEMATTR_S2_FWB_WB : MEMATTR_S2_WB,
		  MEMATTR_NORMAL_WB },
		{ MEMATTR_DEVICE_nGnRE, MEMATTR_S2_NC, MEMATTR_DEVICE_nGnRE },
	};
	static char why[128];
	u64 par;
	int i;

	if (!(m->info.flags & KVM_MEMATTR_INFO_CALIBRATE))
		return NULL;
	for (i = 0; i < ARRAY_SIZE(points); i++) {
		par = MEMATTR_PAR_F;
		if (!memattr_calibrate(m, points[i].s1, points[i].memattr, fwb,
				       &par) &&
		    !(par & MEMATTR_PAR_F) &&
		    same_type(MEMATTR_PAR_ATTR(par), points[i].want))
			continue;
		snprintf(why, sizeof(why),
			 "AT cannot be relied upon: %s with stage 2 %s gives PAR_EL1 0x%llx",
			 memattr_name(points[i].s1),
			 memattr_s2_name(points[i].memattr, fwb),
			 (unsigned long long)par);
		return why;
	}

	return NULL;
}

/**
 * memattr_leaf() - the stage-2 leaf for an IPA
 * @m: the machine
 * @vm_fd: the VM's file descriptor, vm->fd
 * @ipa: the IPA
 * @leaf: filled in
 *
 * Return: 0, or the negative errno of KVM_MEMATTR_STAGE2_LEAF; -ENOENT is
 * "nothing mapped there"
 */
int memattr_leaf(const struct memattr_machine *m, int vm_fd, u64 ipa,
		 struct kvm_memattr_leaf *leaf)
{
	memset(leaf, 0, sizeof(*leaf));
	leaf->vm_fd = vm_fd;
	leaf->ipa = ipa;

	return ioctl(m->fd, KVM_MEMATTR_STAGE2_LEAF, leaf) ? -errno : 0;
}

/**
 * memattr_calibrate_sh() - let the machine combine two attributes
 * @m: the machine
 * @mair: stage-1 type
 * @memattr: stage-2 MemAttr[3:0]
 * @fwb: HCR_EL2.FWB
 * @s1_sh: SH[1:0] of stage 1
 * @s2_sh: SH[1:0] of stage 2
 * @par: PAR_EL1
 *
 * Return: 0, or the negative errno of KVM_MEMATTR_CALIBRATE
 */
int memattr_calibrate_sh(const struct memattr_machine *m, u8 mair, u8 memattr,
			 bool fwb, u8 s1_sh, u8 s2_sh, u64 *par)
{
	struct kvm_memattr_calibrate cal = {
		.flags = fwb ? KVM_MEMATTR_CALIBRATE_FWB : 0,
		.mair = mair,
		.memattr = memattr,
		.s1_sh = s1_sh,
		.s2_sh = s2_sh,
	};
	int ret = call_on_cpu(m, KVM_MEMATTR_CALIBRATE, &cal);

	*par = cal.par_el1;

	return ret;
}

/**
 * memattr_check_leaf() - is a stage-2 leaf what KVM should have installed?
 * @leaf: the leaf
 * @type: its type, in MAIR encoding
 * @write: it is writable; else it must not be
 *
 * It has to be readable, and Inner Shareable. Memory may be executable, as it is
 * on a CPU whose instruction caches are coherent, the rest must not be. Pages and
 * blocks of any size are accepted.
 *
 * Return: NULL, or what is wrong, valid until the next call
 */
const char *memattr_check_leaf(const struct kvm_memattr_leaf *leaf, u8 type,
			       bool write)
{
	int want = memattr_s2_encode(type, leaf->fwb);
	bool exec = type == MEMATTR_NORMAL_WB;
	static char why[192];

	if (leaf->memattr != want)
		snprintf(why, sizeof(why),
			 "stage 2 is %s (MemAttr 0x%x, FWB=%u), should be %s",
			 memattr_s2_name(leaf->memattr, leaf->fwb), leaf->memattr,
			 leaf->fwb, memattr_s2_name(want, leaf->fwb));
	else if (leaf->sh != MEMATTR_SH_INNER)
		snprintf(why, sizeof(why),
			 "stage 2 is %s, should be Inner Shareable",
			 memattr_sh_name(leaf->sh));
	else if (leaf->s2ap != (write ? 3 : 1) || !leaf->af ||
		 (leaf->xn != 2 && !(exec && !leaf->xn)))
		snprintf(why, sizeof(why),
			 "stage 2 has S2AP 0x%x, AF %u, XN 0x%x, should be %s and %s",
			 leaf->s2ap, leaf->af, leaf->xn,
			 write ? "writable" : "read-only",
			 exec ? "anything" : "not executable");
	else
		return NULL;

	return why;
}

/**
 * memattr_host_pte() - the test's own mapping of a page
 * @m: the machine
 * @va: address in the test; the page has been touched
 * @pte: filled in
 *
 * Return: 0, or the negative errno of KVM_MEMATTR_HOST_PTE
 */
int memattr_host_pte(const struct memattr_machine *m, const void *va,
		     struct kvm_memattr_host_pte *pte)
{
	memset(pte, 0, sizeof(*pte));
	pte->va = (uintptr_t)va;

	return ioctl(m->fd, KVM_MEMATTR_HOST_PTE, pte) ? -errno : 0;
}

/**
 * memattr_vcpu_reg() - read a register of a vCPU
 * @vcpu: the vCPU, which must not be running
 * @id: which, as KVM_GET_ONE_REG has it
 *
 * Return: its value
 */
u64 memattr_vcpu_reg(struct kvm_vcpu *vcpu, u64 id)
{
	u64 val;
	int ret = __vcpu_get_reg(vcpu, id, &val);

	TEST_ASSERT(!ret, "KVM_GET_ONE_REG 0x%lx: errno %d", id, errno);

	return val;
}

/**
 * memattr_observe() - fill a row with what KVM and the machine say of a page
 * @m: the machine
 * @vm_fd: the VM's file descriptor, vm->fd
 * @vcpu_fd: that of a vCPU that has touched the page, and does not run now
 * @gva: guest virtual address of the page
 * @ipa: its IPA
 * @row: leaf, at, par and hcr are filled in
 *
 * Return: 0, or the negative errno of the call that failed
 */
int memattr_observe(const struct memattr_machine *m, int vm_fd, int vcpu_fd,
		    u64 gva, u64 ipa, struct memattr_row *row)
{
	struct kvm_memattr_translate tr = { .vcpu_fd = vcpu_fd, .va = gva, };
	int ret = memattr_leaf(m, vm_fd, ipa, &row->leaf);

	row->at = m->info.flags & KVM_MEMATTR_INFO_TRANSLATE;
	if (!ret && row->at)
		ret = call_on_cpu(m, KVM_MEMATTR_TRANSLATE, &tr);
	row->par = tr.par_el1;
	row->hcr = tr.hcr_el2;

	return ret;
}

static bool __printf(2, 3) wrong(struct memattr_row *row, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(row->reason, sizeof(row->reason), fmt, args);
	va_end(args);

	return false;
}

/* Did KVM do what is its to do? */
static bool check_kvm(struct memattr_row *row)
{
	const struct kvm_memattr_leaf *leaf = &row->leaf;
	const char *why = memattr_check_leaf(leaf, row->want, true);
	u64 pa = leaf->oa + (leaf->ipa - leaf->base);

	if (why)
		return wrong(row, "%s", why);
	if (!row->at)
		return true;
	if (!!(row->hcr & HCR_FWB_BIT) != leaf->fwb)
		return wrong(row, "HCR_EL2.FWB of the vCPU is %d, its tables are written for %u",
			     !!(row->hcr & HCR_FWB_BIT), leaf->fwb);
	if (row->par & MEMATTR_PAR_F || MEMATTR_PAR_PA(row->par) != MEMATTR_PAR_PA(pa))
		return wrong(row, "the translation does not end at 0x%llx, PAR_EL1 0x%llx",
			     (unsigned long long)pa, (unsigned long long)row->par);

	return true;
}

/* Does the guest get what the rules say? */
static enum memattr_verdict check_type(const struct memattr_machine *m,
				       struct memattr_row *row)
{
	bool fwb = row->leaf.fwb;
	const char *known;
	u64 par = 0;

	if (!row->at)
		return MEMATTR_PASS;
	if (!memattr_calibrate(m, row->s1, row->leaf.memattr, fwb, &par) &&
	    !(par & MEMATTR_PAR_F))
		row->calibrated = MEMATTR_PAR_ATTR(par);

	if (same_type(row->observed, row->expected.attr))
		return MEMATTR_PASS;
	if (row->calibrated < 0 || !same_type(row->observed, row->calibrated)) {
		wrong(row, "the guest gets %s, not %s, but not without KVM",
		      memattr_name(row->observed), memattr_name(row->expected.attr));
		return MEMATTR_FAIL;
	}
	known = memattr_deviation(m, row->s1, row->leaf.memattr, fwb, row->observed);
	wrong(row, "%s, but %s with stage 2 %s gives %s, without KVM too, on %s: %s",
	      memattr_rule_name(row->expected.rule), memattr_name(row->s1),
	      memattr_s2_name(row->leaf.memattr, fwb), memattr_name(row->observed),
	      m->name, known ? known : "not a known deviation");

	return known ? MEMATTR_DEVIATION : MEMATTR_FAIL;
}

/**
 * memattr_judge() - compare an observation with the rules
 * @m: the machine
 * @row: the observation
 *
 * First the leaf and the vCPU, which are KVM's alone: nothing excuses a wrong
 * one. Then what both stages make of it. There a machine is excused that does
 * the same without KVM, if that is known of it.
 *
 * Return: @row->verdict
 */
enum memattr_verdict memattr_judge(const struct memattr_machine *m,
				   struct memattr_row *row)
{
	int want = memattr_s2_encode(row->want, row->leaf.fwb);

	TEST_ASSERT(want >= 0, "Stage 2 cannot express type 0x%02x", row->want);
	row->expected = memattr_combine(m, row->s1, want, row->leaf.fwb);
	TEST_ASSERT(row->expected.rule != MEMATTR_RULE_RESERVED,
		    "MAIR byte 0x%02x is reserved", row->s1);

	row->observed = row->at ? MEMATTR_PAR_ATTR(row->par) :
				  memattr_combine(m, row->s1, row->leaf.memattr,
						  row->leaf.fwb).attr;
	row->calibrated = -1;
	row->reason[0] = 0;
	row->verdict = check_kvm(row) ? check_type(m, row) : MEMATTR_FAIL;

	return row->verdict;
}
