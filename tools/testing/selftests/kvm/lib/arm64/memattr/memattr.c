// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arm memory attributes: the rules of the Arm ARM (DDI 0487, "Combining stage 1
 * and stage 2 memory type attributes"), and the kvm_memattr test module, which
 * tells what KVM and the machine make of them.
 *
 * The rules in here come from the architecture alone. They are what the
 * machine is compared with, so they must not be adapted to any machine.
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

/* What a stage-2 MemAttr does to the stage-1 type */
enum s2_kind {
	S2_RESERVED,
	S2_DEVICE,
	S2_NORMAL,
	S2_FWB_NC,
	S2_FWB_WB,
	S2_FWB_S1,
	S2_NR_KINDS
};

/*
 * MemAttr[3:0] by HCR_EL2.FWB. Without FWB: [3:2] == 0 is Device of the type in
 * [1:0], else [3:2] is the outer and [1:0] the inner cacheability, where 0 is
 * reserved. With FWB: [2] == 0 is Device of the type in [1:0]; [3] is RES0.
 * (With FEAT_MTE_PERM 0b0100, and with FWB 0b1110 and 0b1111, are Normal WB
 * NoTagAccess. KVM does not use them, so they count as reserved here.)
 */
static const struct s2_attr {
	enum s2_kind kind;
	u8 attr;
	const char *name;
} s2_attrs[2][16] = {
	{
		[0x0] = { S2_DEVICE, 0x00, "Device-nGnRnE" },
		[0x1] = { S2_DEVICE, 0x04, "Device-nGnRE" },
		[0x2] = { S2_DEVICE, 0x08, "Device-nGRE" },
		[0x3] = { S2_DEVICE, 0x0c, "Device-GRE" },
		[0x5] = { S2_NORMAL, 0x44, "Normal-NC" },
		[0x6] = { S2_NORMAL, 0x4b, "Normal-iWT-oNC" },
		[0x7] = { S2_NORMAL, 0x4f, "Normal-iWB-oNC" },
		[0x9] = { S2_NORMAL, 0xb4, "Normal-iNC-oWT" },
		[0xa] = { S2_NORMAL, 0xbb, "Normal-WT" },
		[0xb] = { S2_NORMAL, 0xbf, "Normal-iWB-oWT" },
		[0xd] = { S2_NORMAL, 0xf4, "Normal-iNC-oWB" },
		[0xe] = { S2_NORMAL, 0xfb, "Normal-iWT-oWB" },
		[0xf] = { S2_NORMAL, 0xff, "Normal-WB" },
	}, {
		[0x0] = { S2_DEVICE, 0x00, "Device-nGnRnE" },
		[0x1] = { S2_DEVICE, 0x04, "Device-nGnRE" },
		[0x2] = { S2_DEVICE, 0x08, "Device-nGRE" },
		[0x3] = { S2_DEVICE, 0x0c, "Device-GRE" },
		[0x5] = { S2_FWB_NC, 0x44, "Normal-NC unless Device" },
		[0x6] = { S2_FWB_WB, 0xff, "Normal-WB always" },
		[0x7] = { S2_FWB_S1, 0, "as stage 1" },
	}
};

/* How a rule makes the result */
enum op {
	OP_NONE,
	OP_S1,			/* stage 1 */
	OP_S2,			/* stage 2 */
	OP_STRONGER_DEVICE,	/* of two Device types, the lower encoding */
	OP_WEAKER_CACHE,	/* of two Normal types, the lower of each nibble */
};

static const struct {
	enum op op;
	const char *name;
} rules[MEMATTR_NR_RULES] = {
	[MEMATTR_RULE_RESERVED] = { OP_NONE,
		"reserved encoding" },
	[MEMATTR_RULE_DEVICE_DEVICE] = { OP_STRONGER_DEVICE,
		"FWB=0 Device with Device gives the stronger [R_TNHFM]" },
	[MEMATTR_RULE_S1_DEVICE] = { OP_S1,
		"FWB=0 stage-1 Device with Normal gives stage 1 [R_TNHFM]" },
	[MEMATTR_RULE_S2_DEVICE] = { OP_S2,
		"FWB=0 Normal with stage-2 Device gives stage 2 [R_TNHFM]" },
	[MEMATTR_RULE_NORMAL] = { OP_WEAKER_CACHE,
		"FWB=0 Normal with Normal gives the weaker cacheability [R_GQFSF]" },
	[MEMATTR_RULE_FWB_DEVICE_DEVICE] = { OP_STRONGER_DEVICE,
		"FWB=1 Device with Device gives the stronger [R_GSDKZ]" },
	[MEMATTR_RULE_FWB_S2_DEVICE] = { OP_S2,
		"FWB=1 Normal with stage-2 Device gives stage 2 [R_GSDKZ]" },
	[MEMATTR_RULE_FWB_NC_DEVICE] = { OP_S1,
		"FWB=1 stage-2 Normal-NC leaves Device alone [R_RHWZM]" },
	[MEMATTR_RULE_FWB_NC_NORMAL] = { OP_S2,
		"FWB=1 stage-2 Normal-NC makes Normal NC [R_RHWZM]" },
	[MEMATTR_RULE_FWB_WB] = { OP_S2,
		"FWB=1 stage-2 Normal-WB wins [R_RHWZM]" },
	[MEMATTR_RULE_FWB_S1] = { OP_S1,
		"FWB=1 stage-2 as-stage-1 gives stage 1 [R_RHWZM]" },
};

/* Which rule it is: by stage 2, and by stage 1 being Normal or Device */
static const enum memattr_rule rule_of[2][S2_NR_KINDS][2] = {
	{
		[S2_DEVICE] = { MEMATTR_RULE_S2_DEVICE, MEMATTR_RULE_DEVICE_DEVICE },
		[S2_NORMAL] = { MEMATTR_RULE_NORMAL, MEMATTR_RULE_S1_DEVICE },
	}, {
		[S2_DEVICE] = { MEMATTR_RULE_FWB_S2_DEVICE,
				MEMATTR_RULE_FWB_DEVICE_DEVICE },
		[S2_FWB_NC] = { MEMATTR_RULE_FWB_NC_NORMAL,
				MEMATTR_RULE_FWB_NC_DEVICE },
		[S2_FWB_WB] = { MEMATTR_RULE_FWB_WB, MEMATTR_RULE_FWB_WB },
		[S2_FWB_S1] = { MEMATTR_RULE_FWB_S1, MEMATTR_RULE_FWB_S1 },
	}
};

/**
 * memattr_rule_name() - a rule in words, with the Arm ARM's name for it
 * @rule: the rule
 */
const char *memattr_rule_name(enum memattr_rule rule)
{
	return rules[rule].name;
}

/*
 * The encodings that FEAT_XS and FEAT_MTE2 added are variants of older types.
 * They combine like these, so give the older one.
 */
static u8 plain(u8 mair)
{
	switch (mair) {
	case 0x01:
	case 0x05:
	case 0x09:
	case 0x0d:
		return mair & ~1;
	case 0x40:
		return MEMATTR_NORMAL_NC;
	case 0xa0:
		return 0xaa;
	case 0xf0:
		return MEMATTR_NORMAL_WB;
	default:
		return mair;
	}
}

/* Reserved with and without any extension */
static bool undefined(u8 mair)
{
	u8 attr = plain(mair);

	return attr & 0xf0 ? !(attr & 0x0f) : attr & 3;
}

/**
 * memattr_is_device() - is it a Device type?
 * @mair: type in MAIR encoding
 */
bool memattr_is_device(u8 mair)
{
	return !(mair & 0xf0);
}

/**
 * memattr_reserved() - has a type no architected meaning on this machine?
 * @m: the machine; NULL for one without extensions
 * @mair: type in MAIR encoding
 *
 * Return: true when nothing can be said of what the value does
 */
bool memattr_reserved(const struct memattr_machine *m, u8 mair)
{
	u32 needs = mair == 0xf0 ? KVM_MEMATTR_INFO_MTE2 :
		    plain(mair) != mair ? KVM_MEMATTR_INFO_XS : 0;

	return undefined(mair) || (needs && !(m && m->info.flags & needs));
}

static u8 nibble_type(u8 nibble)
{
	if (nibble == 4)
		return 0x4;	/* Non-cacheable */

	return nibble & 4 ? 0xf : 0xb;	/* Write-Back, Write-Through */
}

/**
 * memattr_type() - a type without what the implementation is free to report
 * @mair: type in MAIR encoding
 *
 * Return: the same Device type, or Normal with each nibble 4 (NC), 0xb (WT) or
 * 0xf (WB); without allocation hints, XS and Tagged. An undefined byte is
 * returned as it is.
 */
u8 memattr_type(u8 mair)
{
	u8 attr = plain(mair);

	if (undefined(attr) || memattr_is_device(attr))
		return attr;

	return nibble_type(attr >> 4) << 4 | nibble_type(attr & 0xf);
}

static bool same_type(u8 a, u8 b)
{
	return memattr_type(a) == memattr_type(b);
}

/**
 * memattr_name() - a type's name
 * @mair: type in MAIR encoding
 */
const char *memattr_name(u8 mair)
{
	u8 type = memattr_type(mair);
	int i;

	/* The names are those of stage 2, which without FWB has all types */
	for (i = 0; i < 16; i++)
		if (s2_attrs[0][i].name && s2_attrs[0][i].attr == type)
			return s2_attrs[0][i].name;

	return "reserved";
}

/**
 * memattr_s2_name() - a stage-2 attribute's name
 * @memattr: MemAttr[3:0]
 * @fwb: HCR_EL2.FWB
 */
const char *memattr_s2_name(u8 memattr, bool fwb)
{
	const char *name = s2_attrs[fwb][memattr & 0xf].name;

	return name ? name : "reserved";
}

/**
 * memattr_sh_name() - a shareability's name
 * @sh: SH[1:0] of a descriptor or of PAR_EL1
 */
const char *memattr_sh_name(u8 sh)
{
	static const char * const name[] = {
		"Non-shareable", "reserved", "Outer Shareable", "Inner Shareable",
	};

	return name[sh & 3];
}

/**
 * memattr_s2_encode() - the MemAttr that gives a page a type at stage 2
 * @type: type in MAIR encoding; allocation hints do not count
 * @fwb: HCR_EL2.FWB
 *
 * Return: MemAttr[3:0], or -1 when stage 2 cannot express the type
 */
int memattr_s2_encode(u8 type, bool fwb)
{
	int i;

	for (i = 0; i < 16; i++) {
		const struct s2_attr *s2 = &s2_attrs[fwb][i];

		if (s2->kind != S2_RESERVED && s2->kind != S2_FWB_S1 &&
		    s2->attr == memattr_type(type))
			return i;
	}

	return -1;
}

static u8 lower(u8 a, u8 b)
{
	return a < b ? a : b;
}

/**
 * memattr_combine() - combine the two stages by the architecture's rules
 * @m: the machine, which decides what is reserved; NULL for one without
 *     extensions
 * @mair: stage-1 type
 * @memattr: stage-2 MemAttr[3:0]
 * @fwb: HCR_EL2.FWB
 *
 * Return: the result and the rule that it comes from
 */
struct memattr_combined memattr_combine(const struct memattr_machine *m,
					u8 mair, u8 memattr, bool fwb)
{
	const struct s2_attr *s2 = &s2_attrs[fwb][memattr & 0xf];
	struct memattr_combined c = { .rule = MEMATTR_RULE_RESERVED };
	u8 s1 = memattr_type(mair);

	if (memattr_reserved(m, mair))
		return c;

	c.rule = rule_of[fwb][s2->kind][memattr_is_device(s1)];
	switch (rules[c.rule].op) {
	case OP_NONE:
		break;
	case OP_S1:
		c.attr = s1;
		break;
	case OP_S2:
		c.attr = s2->attr;
		break;
	case OP_STRONGER_DEVICE:
		c.attr = lower(s1, s2->attr);
		break;
	case OP_WEAKER_CACHE:
		c.attr = lower(s1 & 0xf0, s2->attr & 0xf0) |
			 lower(s1 & 0xf, s2->attr & 0xf);
		break;
	}

	return c;
}

/**
 * memattr_combine_sh() - the shareability of a combined type
 * @attr: the combined type, in MAIR encoding
 * @s1_sh: SH[1:0] of stage 1
 * @s2_sh: SH[1:0] of stage 2
 *
 * What is not cacheable is Outer Shareable, whatever the descriptors say
 * (R_PYFVQ, R_YHCTP); else the wider of the two.
 *
 * Return: SH[1:0] as PAR_EL1 has it
 */
u8 memattr_combine_sh(u8 attr, u8 s1_sh, u8 s2_sh)
{
	if (memattr_is_device(attr) || memattr_type(attr) == MEMATTR_NORMAL_NC)
		return MEMATTR_SH_OUTER;
	if (s1_sh == MEMATTR_SH_OUTER || s2_sh == MEMATTR_SH_OUTER)
		return MEMATTR_SH_OUTER;
	if (s1_sh == MEMATTR_SH_INNER || s2_sh == MEMATTR_SH_INNER)
		return MEMATTR_SH_INNER;

	return MEMATTR_SH_NON;
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

static int qemu_nibbles(u8 s1, const struct s2_attr *s2)
{
	u8 gives = lower(device_nibble(s1), device_nibble(s2->attr));
	u8 right = s2->kind == S2_DEVICE ? s2->attr : MEMATTR_DEVICE_GRE;

	if (memattr_is_device(s1))
		right = lower(right, memattr_type(s1));
	else if (s2->kind != S2_DEVICE)
		return -1;

	return gives == right ? -1 : gives;
}

static int qemu_fwb_device(u8 s1, const struct s2_attr *s2)
{
	return memattr_type(s1) < s2->attr ? s2->attr : -1;
}

/* The lower nibble 0 is taken as it is, and with an outer 4 gives 0x40 */
static int qemu_xs(u8 s1, const struct s2_attr *s2)
{
	return s1 == 0xa0 && s2->attr >> 4 == 4 ? MEMATTR_NORMAL_NC : -1;
}

static const struct deviation {
	const char *what;
	u32 rules;
	int (*gives)(u8 s1, const struct s2_attr *s2);
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
		    d->gives(mair, &s2_attrs[fwb][memattr]) == memattr_type(seen))
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
