// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arm memory attributes: the rules of the Arm ARM (DDI 0487, D8.6) by which
 * stage 1 and stage 2 combine, and the kvm_memattr test module, which tells
 * what KVM and the machine make of them.
 *
 * The rules in here come from the architecture alone. They are what the
 * machine is compared with, so they must not be adapted to any machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm_util.h"
#include "memattr.h"
#include "processor.h"
#include "test_util.h"

/* Cacheability of one nibble of a Normal type, weakest first */
enum policy {
	NC,
	WT,
	WB,
};

/* What a stage-2 MemAttr does to the stage-1 type */
enum s2_kind {
	S2_RESERVED,
	S2_DEVICE,
	S2_NORMAL,
	S2_FWB_DEVICE,
	S2_FWB_NC,
	S2_FWB_WB,
	S2_FWB_S1,
	S2_NR_KINDS
};

struct s2_attr {
	enum s2_kind kind;
	uint8_t attr;
	const char *name;
};

/*
 * MemAttr[3:0] by HCR_EL2.FWB. Without FWB, D8.6.5: [3:2] == 0 is Device of
 * the type in [1:0], else [3:2] is the outer and [1:0] the inner cacheability,
 * where 0 is reserved. (With FEAT_MTE_PERM 0b0100 is Normal WB NoTagAccess.
 * KVM does not use it, so it counts as reserved here.)
 * With FWB, D8.6.6: [2] == 0 is Device of the type in [1:0]; [3] is RES0. (As
 * above for NoTagAccess, 0b1110 and 0b1111.)
 */
static const struct s2_attr s2_attrs[2][16] = {
	{
		[0x0] = { S2_DEVICE, MEMATTR_DEVICE_nGnRnE, "Device-nGnRnE" },
		[0x1] = { S2_DEVICE, MEMATTR_DEVICE_nGnRE, "Device-nGnRE" },
		[0x2] = { S2_DEVICE, MEMATTR_DEVICE_nGRE, "Device-nGRE" },
		[0x3] = { S2_DEVICE, MEMATTR_DEVICE_GRE, "Device-GRE" },
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
		[0x0] = { S2_FWB_DEVICE, MEMATTR_DEVICE_nGnRnE, "Device-nGnRnE" },
		[0x1] = { S2_FWB_DEVICE, MEMATTR_DEVICE_nGnRE, "Device-nGnRE" },
		[0x2] = { S2_FWB_DEVICE, MEMATTR_DEVICE_nGRE, "Device-nGRE" },
		[0x3] = { S2_FWB_DEVICE, MEMATTR_DEVICE_GRE, "Device-GRE" },
		[0x5] = { S2_FWB_NC, MEMATTR_NORMAL_NC, "Normal-NC unless Device" },
		[0x6] = { S2_FWB_WB, MEMATTR_NORMAL_WB, "Normal-WB always" },
		[0x7] = { S2_FWB_S1, 0, "as stage 1" },
	}
};

/* How a rule makes the result */
enum op {
	OP_NONE,
	OP_S1,			/* stage 1 */
	OP_S2,			/* stage 2 */
	OP_STRONGER_DEVICE,	/* of two Device types, the lower encoding */
	OP_WEAKER_CACHE,	/* of two Normal types, by nibble */
	OP_WB,			/* Normal WB, hints of stage 1 */
};

static const struct {
	const char *name;
	const char *ref;
	enum op op;
} rules[MEMATTR_NR_RULES] = {
	[MEMATTR_RULE_RESERVED] = {
		"reserved encoding", "MAIR_EL1, D8.6", OP_NONE },
	[MEMATTR_RULE_DEVICE_DEVICE] = {
		"Device with Device gives the stronger",
		"D8.6.5", OP_STRONGER_DEVICE },
	[MEMATTR_RULE_S1_DEVICE] = {
		"stage-1 Device with Normal gives stage 1",
		"D8.6.5", OP_S1 },
	[MEMATTR_RULE_S2_DEVICE] = {
		"Normal with stage-2 Device gives stage 2",
		"D8.6.5", OP_S2 },
	[MEMATTR_RULE_NORMAL] = {
		"Normal with Normal gives the weaker cacheability",
		"D8.6.5", OP_WEAKER_CACHE },
	[MEMATTR_RULE_FWB_DEVICE_DEVICE] = {
		"Device with Device gives the stronger",
		"D8.6.6, R_GSDKZ", OP_STRONGER_DEVICE },
	[MEMATTR_RULE_FWB_S2_DEVICE] = {
		"Normal with stage-2 Device gives stage 2",
		"D8.6.6, R_GSDKZ", OP_S2 },
	[MEMATTR_RULE_FWB_NC_DEVICE] = {
		"stage-2 Normal-NC leaves Device alone",
		"D8.6.6", OP_S1 },
	[MEMATTR_RULE_FWB_NC_NORMAL] = {
		"stage-2 Normal-NC makes Normal NC",
		"D8.6.6", OP_S2 },
	[MEMATTR_RULE_FWB_WB] = {
		"stage-2 Normal-WB wins", "D8.6.6", OP_WB },
	[MEMATTR_RULE_FWB_S1] = {
		"stage-2 as-stage-1 gives stage 1", "D8.6.6", OP_S1 },
};

/*
 * Which rule it is: by stage 2, and by stage 1 being Normal or Device. D8.6.5 is R_HMNDG,
 * R_TNHFM and R_GQFSF, D8.6.6 is R_VRJSW, R_RHWZM and R_GSDKZ.
 */
static const enum memattr_rule rule_of[S2_NR_KINDS][2] = {
	[S2_RESERVED]	= { MEMATTR_RULE_RESERVED, MEMATTR_RULE_RESERVED },
	[S2_DEVICE]	= { MEMATTR_RULE_S2_DEVICE, MEMATTR_RULE_DEVICE_DEVICE },
	[S2_NORMAL]	= { MEMATTR_RULE_NORMAL, MEMATTR_RULE_S1_DEVICE },
	[S2_FWB_DEVICE]	= { MEMATTR_RULE_FWB_S2_DEVICE,
			    MEMATTR_RULE_FWB_DEVICE_DEVICE },
	[S2_FWB_NC]	= { MEMATTR_RULE_FWB_NC_NORMAL,
			    MEMATTR_RULE_FWB_NC_DEVICE },
	[S2_FWB_WB]	= { MEMATTR_RULE_FWB_WB, MEMATTR_RULE_FWB_WB },
	[S2_FWB_S1]	= { MEMATTR_RULE_FWB_S1, MEMATTR_RULE_FWB_S1 },
};

/**
 * memattr_rule_name() - a rule in words
 * @rule: the rule
 *
 * Return: a constant string
 */
const char *memattr_rule_name(enum memattr_rule rule)
{
	return rules[rule].name;
}

/**
 * memattr_rule_ref() - where the Arm ARM has a rule
 * @rule: the rule
 *
 * Return: a constant string
 */
const char *memattr_rule_ref(enum memattr_rule rule)
{
	return rules[rule].ref;
}

/*
 * The encodings that FEAT_XS and FEAT_MTE2 added are variants of older types.
 * They combine like these, so give the older one.
 */
static uint8_t plain(uint8_t mair)
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
	case MEMATTR_NORMAL_TAGGED:
		return MEMATTR_NORMAL_WB;
	default:
		return mair;
	}
}

/* Reserved with and without any extension */
static bool undefined(uint8_t mair)
{
	uint8_t attr = plain(mair);

	return attr & 0xf0 ? !(attr & 0x0f) : attr & 3;
}

static enum policy nibble_policy(uint8_t nibble)
{
	if (nibble == 4)
		return NC;

	return nibble & 4 ? WB : WT;
}

static uint8_t nibble_type(uint8_t nibble)
{
	static const uint8_t type[] = { [NC] = 0x4, [WT] = 0xb, [WB] = 0xf };

	return type[nibble_policy(nibble)];
}

/* The weaker policy of two, with the transient and allocation bits of s1 */
static uint8_t nibble_combine(uint8_t s1, uint8_t s2)
{
	enum policy p1 = nibble_policy(s1), p2 = nibble_policy(s2);

	if (p1 <= p2)
		return s1;

	return p2 == NC ? 4 : s1 & ~4;
}

/* WB with these bits of s1, or with all of them when s1 has none to give */
static uint8_t nibble_force_wb(uint8_t s1)
{
	return nibble_policy(s1) == NC ? 0xf : s1 | 4;
}

/**
 * memattr_is_device() - is it a Device type?
 * @mair: type in MAIR encoding
 *
 * Return: true for Device, false for Normal
 */
bool memattr_is_device(uint8_t mair)
{
	return !(mair & 0xf0);
}

/**
 * memattr_reserved() - has a MAIR byte no architected meaning here?
 * @m: the machine; NULL for one without extensions
 * @mair: MAIR byte
 *
 * Return: true when nothing can be said of what the byte does
 */
bool memattr_reserved(const struct memattr_machine *m, uint8_t mair)
{
	uint32_t have = m ? m->info.flags : 0;

	if (undefined(mair))
		return true;
	if (mair == MEMATTR_NORMAL_TAGGED)
		return !(have & KVM_MEMATTR_INFO_MTE2);
	if (plain(mair) != mair)
		return !(have & KVM_MEMATTR_INFO_XS);

	return false;
}

/**
 * memattr_s2_reserved() - has a stage-2 MemAttr no architected meaning?
 * @memattr: MemAttr[3:0]
 * @fwb: HCR_EL2.FWB
 *
 * Return: true when nothing can be said of what the value does
 */
bool memattr_s2_reserved(uint8_t memattr, bool fwb)
{
	return s2_attrs[fwb][memattr & 0xf].kind == S2_RESERVED;
}

/**
 * memattr_type() - a type without its allocation hints
 * @mair: type in MAIR encoding
 *
 * Return: the same Device type, or Normal with each nibble 4 (NC), 0xb (WT) or
 * 0xf (WB). XS and Tagged are dropped too. An undefined byte is returned as is.
 */
uint8_t memattr_type(uint8_t mair)
{
	uint8_t attr = plain(mair);

	if (undefined(attr) || memattr_is_device(attr))
		return attr;

	return nibble_type(attr >> 4) << 4 | nibble_type(attr & 0xf);
}

/**
 * memattr_name() - a type's name
 * @mair: type in MAIR encoding
 *
 * Return: a constant string, "reserved" for what no extension defines
 */
const char *memattr_name(uint8_t mair)
{
	static const char * const device[] = {
		"Device-nGnRnE", "Device-nGnRE", "Device-nGRE", "Device-GRE",
	};
	static const char * const normal[3][3] = {	/* [outer][inner] */
		[NC] = { "Normal-NC", "Normal-iWT-oNC", "Normal-iWB-oNC" },
		[WT] = { "Normal-iNC-oWT", "Normal-WT", "Normal-iWB-oWT" },
		[WB] = { "Normal-iNC-oWB", "Normal-iWT-oWB", "Normal-WB" },
	};
	uint8_t type = memattr_type(mair);

	if (undefined(mair))
		return "reserved";
	if (memattr_is_device(type))
		return device[type >> 2];

	return normal[nibble_policy(type >> 4)][nibble_policy(type & 0xf)];
}

/**
 * memattr_s2_name() - a stage-2 attribute's name
 * @memattr: MemAttr[3:0]
 * @fwb: HCR_EL2.FWB
 *
 * Return: a constant string
 */
const char *memattr_s2_name(uint8_t memattr, bool fwb)
{
	const char *name = s2_attrs[fwb][memattr & 0xf].name;

	return name ? name : "reserved";
}

/**
 * memattr_sh_name() - a shareability's name
 * @sh: SH[1:0] of a descriptor or of PAR_EL1
 *
 * Return: a constant string
 */
const char *memattr_sh_name(uint8_t sh)
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
int memattr_s2_encode(uint8_t type, bool fwb)
{
	int i;

	type = memattr_type(type);
	for (i = 0; i < 16; i++) {
		const struct s2_attr *s2 = &s2_attrs[fwb][i];

		if (s2->kind != S2_RESERVED && s2->kind != S2_FWB_S1 &&
		    s2->attr == type)
			return i;
	}

	return -1;
}

/**
 * memattr_combine() - combine the two stages by the architecture's rules
 * @m: the machine, which decides what is reserved; NULL for one without
 *     extensions
 * @mair: stage-1 type
 * @memattr: stage-2 MemAttr[3:0]
 * @fwb: HCR_EL2.FWB
 *
 * Cache allocation hints are those of stage 1 (D8.6.5, D8.6.6). A Normal WB
 * that stage 2 forces upon a stage 1 without hints is Read- and
 * Write-Allocate, not transient.
 *
 * Return: the result and the rule that it comes from
 */
struct memattr_combined memattr_combine(const struct memattr_machine *m,
					uint8_t mair, uint8_t memattr, bool fwb)
{
	const struct s2_attr *s2 = &s2_attrs[fwb][memattr & 0xf];
	struct memattr_combined c = { .rule = MEMATTR_RULE_RESERVED };
	uint8_t s1 = plain(mair);

	if (memattr_reserved(m, mair))
		return c;

	c.rule = rule_of[s2->kind][memattr_is_device(s1)];
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
		c.attr = s1 < s2->attr ? s1 : s2->attr;
		break;
	case OP_WEAKER_CACHE:
		c.attr = nibble_combine(s1 >> 4, s2->attr >> 4) << 4 |
			 nibble_combine(s1 & 0xf, s2->attr & 0xf);
		break;
	case OP_WB:
		c.attr = memattr_is_device(s1) ? MEMATTR_NORMAL_WB :
			 nibble_force_wb(s1 >> 4) << 4 |
			 nibble_force_wb(s1 & 0xf);
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
 * (D8.6.7, R_PYFVQ and R_YHCTP); else the wider of the two.
 *
 * Return: SH[1:0] as PAR_EL1 has it
 */
uint8_t memattr_combine_sh(uint8_t attr, uint8_t s1_sh, uint8_t s2_sh)
{
	if (memattr_is_device(attr) || memattr_type(attr) == MEMATTR_NORMAL_NC)
		return MEMATTR_SH_OUTER;
	if (s1_sh == MEMATTR_SH_OUTER || s2_sh == MEMATTR_SH_OUTER)
		return MEMATTR_SH_OUTER;
	if (s1_sh == MEMATTR_SH_INNER || s2_sh == MEMATTR_SH_INNER)
		return MEMATTR_SH_INNER;

	return MEMATTR_SH_NON;
}

/**
 * memattr_open() - open the test module
 * @m: filled in
 *
 * Return: NULL, or why not and what to do about it
 */
const char *memattr_open(struct memattr_machine *m)
{
	m->fd = open(KVM_MEMATTR_DEVICE, O_RDWR | O_CLOEXEC);
	if (m->fd < 0) {
		switch (errno) {
		case EPERM:
		case EACCES:
			return KVM_MEMATTR_DEVICE " needs CAP_SYS_ADMIN: run as root";
		case ENOENT:
		case ENODEV:
		case ENXIO:
			return "no " KVM_MEMATTR_DEVICE
			       ": make -C test_modules; insmod test_modules/kvm_memattr.ko";
		default:
			return "cannot open " KVM_MEMATTR_DEVICE;
		}
	}

	if (ioctl(m->fd, KVM_MEMATTR_INFO, &m->info) ||
	    m->info.version != KVM_MEMATTR_VERSION) {
		close(m->fd);
		m->fd = -1;
		return "kvm_memattr.ko is not that of these tests: rebuild and reload it";
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
int memattr_leaf(const struct memattr_machine *m, int vm_fd, uint64_t ipa,
		 struct kvm_memattr_leaf *leaf)
{
	memset(leaf, 0, sizeof(*leaf));
	leaf->vm_fd = vm_fd;
	leaf->ipa = ipa;

	return ioctl(m->fd, KVM_MEMATTR_STAGE2_LEAF, leaf) ? -errno : 0;
}

static uint64_t vcpu_sysreg(struct kvm_vcpu *vcpu, uint64_t id)
{
	uint64_t val;
	int ret = __vcpu_get_reg(vcpu, id, &val);

	TEST_ASSERT(!ret, "KVM_GET_ONE_REG 0x%lx: errno %d", id, errno);

	return val;
}

/**
 * memattr_translate() - translate a guest VA through both stages
 * @m: the machine
 * @vm: the VM
 * @vcpu: vCPU whose stage-1 registers to use; it must not be running
 * @gva: guest virtual address
 * @write: as a write
 * @par: PAR_EL1
 *
 * The walk itself has to find its way through stage 2: let the guest touch the
 * page first.
 *
 * Return: 0 with @par filled in, F set in it or not, or the negative errno of
 * KVM_MEMATTR_TRANSLATE; -EOPNOTSUPP on a host without VHE
 */
int memattr_translate(const struct memattr_machine *m, struct kvm_vm *vm,
		      struct kvm_vcpu *vcpu, uint64_t gva, bool write,
		      uint64_t *par)
{
	struct kvm_memattr_translate tr = {
		.vm_fd = vm->fd,
		.flags = write ? KVM_MEMATTR_TRANSLATE_WRITE : 0,
		.va = gva,
		.ttbr0_el1 = vcpu_sysreg(vcpu, KVM_ARM64_SYS_REG(SYS_TTBR0_EL1)),
		.ttbr1_el1 = vcpu_sysreg(vcpu, KVM_ARM64_SYS_REG(SYS_TTBR1_EL1)),
		.tcr_el1 = vcpu_sysreg(vcpu, KVM_ARM64_SYS_REG(SYS_TCR_EL1)),
		.mair_el1 = vcpu_sysreg(vcpu, KVM_ARM64_SYS_REG(SYS_MAIR_EL1)),
		.sctlr_el1 = vcpu_sysreg(vcpu, KVM_ARM64_SYS_REG(SYS_SCTLR_EL1)),
	};

	if (ioctl(m->fd, KVM_MEMATTR_TRANSLATE, &tr))
		return -errno;
	*par = tr.par_el1;

	return 0;
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
int memattr_calibrate_sh(const struct memattr_machine *m, uint8_t mair,
			 uint8_t memattr, bool fwb, uint8_t s1_sh,
			 uint8_t s2_sh, uint64_t *par)
{
	struct kvm_memattr_calibrate cal = {
		.flags = fwb ? KVM_MEMATTR_CALIBRATE_FWB : 0,
		.mair = mair,
		.memattr = memattr,
		.s1_sh = s1_sh,
		.s2_sh = s2_sh,
	};

	if (ioctl(m->fd, KVM_MEMATTR_CALIBRATE, &cal))
		return -errno;
	*par = cal.par_el1;

	return 0;
}

/**
 * memattr_calibrate() - as memattr_calibrate_sh(), with KVM's shareability
 * @m: the machine
 * @mair: stage-1 type
 * @memattr: stage-2 MemAttr[3:0]
 * @fwb: HCR_EL2.FWB
 * @par: PAR_EL1
 *
 * Return: 0, or the negative errno of KVM_MEMATTR_CALIBRATE
 */
int memattr_calibrate(const struct memattr_machine *m, uint8_t mair,
		      uint8_t memattr, bool fwb, uint64_t *par)
{
	return memattr_calibrate_sh(m, mair, memattr, fwb, MEMATTR_SH_NON,
				    MEMATTR_SH_INNER, par);
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

/**
 * memattr_platform() - name the machine that a deviation belongs to
 * @m: the machine
 *
 * MIDR_EL1 alone does not tell a CPU from an emulation of it.
 *
 * Return: a string that the next call overwrites
 */
const char *memattr_platform(const struct memattr_machine *m)
{
	static char name[128];
	char board[64];

	read_string("/sys/class/dmi/id/product_name", board, sizeof(board));
	if (!board[0])
		read_string("/sys/firmware/devicetree/base/compatible", board,
			    sizeof(board));
	snprintf(name, sizeof(name), "MIDR_EL1 0x%08llx on %s",
		 (unsigned long long)m->info.midr,
		 board[0] ? board : "an unnamed board");

	return name;
}

/**
 * memattr_guest_pte() - find the guest's stage-1 page descriptor
 * @vm: the VM
 * @gva: guest virtual address, mapped with virt_pg_map() or virt_map()
 *
 * Return: its address in the test's memory
 */
uint64_t *memattr_guest_pte(struct kvm_vm *vm, uint64_t gva)
{
	unsigned int bits = vm->page_shift - 3;
	int level = vm->pgtable_levels - 1;
	uint64_t table = vm->pgd, index, desc;

	TEST_ASSERT(vm->pgd_created, "The VM has no stage-1 tables");
	index = (gva & ((1ULL << vm->va_bits) - 1)) >> (level * bits + vm->page_shift);

	for (;;) {
		uint64_t *ptep = (uint64_t *)addr_gpa2hva(vm, table) + index;

		desc = *ptep;
		TEST_ASSERT((desc & 3) == 3, "No page mapped at 0x%lx", gva);
		if (!level--)
			return ptep;

		/* All table pages of the library are low enough for this */
		table = desc & ((1ULL << 48) - 1) & ~((1ULL << vm->page_shift) - 1);
		index = (gva >> (level * bits + vm->page_shift)) & ((1ULL << bits) - 1);
	}
}

/**
 * memattr_set_s1() - map a guest page with another stage-1 type
 * @vm: the VM
 * @gva: guest virtual address, mapped with virt_pg_map() or virt_map()
 * @attridx: index of the type in the guest's MAIR_EL1, 0 to 7
 *
 * The guest has to call memattr_guest_flush() before it next uses the page.
 */
void memattr_set_s1(struct kvm_vm *vm, uint64_t gva, unsigned int attridx)
{
	uint64_t *ptep = memattr_guest_pte(vm, gva);

	TEST_ASSERT(attridx < 8, "No AttrIndx %u", attridx);
	*ptep = (*ptep & ~(7ULL << 2)) | (uint64_t)attridx << 2;
}

/**
 * memattr_set_mair() - put a type into a vCPU's MAIR_EL1
 * @vcpu: the vCPU
 * @attridx: which of the eight, 0 to 7; the library itself uses 0 to 5, 4 for
 *	     the guest's code, data and stack
 * @mair: the type
 */
void memattr_set_mair(struct kvm_vcpu *vcpu, unsigned int attridx, uint8_t mair)
{
	uint64_t val = vcpu_sysreg(vcpu, KVM_ARM64_SYS_REG(SYS_MAIR_EL1));
	unsigned int shift = attridx * 8;

	TEST_ASSERT(attridx < 8, "No AttrIndx %u", attridx);
	val = (val & ~(0xffULL << shift)) | (uint64_t)mair << shift;
	vcpu_set_reg(vcpu, KVM_ARM64_SYS_REG(SYS_MAIR_EL1), val);
}

/**
 * memattr_observe() - fill a row with what KVM and the machine say of a page
 * @m: the machine
 * @vm: the VM
 * @vcpu: a vCPU that has touched the page
 * @gva: guest virtual address of the page
 * @ipa: its IPA
 * @row: @row->vma, @row->s1 and @row->want are set, leaf, par and at are filled
 *	 in here
 *
 * Return: 0, or the negative errno of the call that failed
 */
int memattr_observe(const struct memattr_machine *m, struct kvm_vm *vm,
		    struct kvm_vcpu *vcpu, uint64_t gva, uint64_t ipa,
		    struct memattr_row *row)
{
	int ret = memattr_leaf(m, vm->fd, ipa, &row->leaf);

	row->at = m->info.flags & KVM_MEMATTR_INFO_TRANSLATE;
	if (!ret && row->at)
		ret = memattr_translate(m, vm, vcpu, gva, false, &row->par);

	return ret;
}

static bool same_type(uint8_t a, uint8_t b)
{
	return memattr_type(a) == memattr_type(b);
}

/**
 * memattr_judge() - compare an observation with the rules
 * @m: the machine
 * @row: the observation
 *
 * The wanted result is what the rules make of the guest's type and the stage-2
 * type that KVM should have installed. If the observed one differs, and the
 * installed type would give the wanted one too, the machine is asked for the
 * same pair without KVM: if it agrees with itself it is the machine that
 * deviates. Types are compared without allocation hints.
 *
 * Return: @row->verdict
 */
enum memattr_verdict memattr_judge(const struct memattr_machine *m,
				   struct memattr_row *row)
{
	bool fwb = row->leaf.fwb;
	int want = memattr_s2_encode(row->want, fwb);
	struct memattr_combined by_leaf;
	uint64_t par = 0;

	TEST_ASSERT(want >= 0, "Stage 2 cannot express type 0x%02x", row->want);
	row->expected = memattr_combine(m, row->s1, want, fwb);
	TEST_ASSERT(row->expected.rule != MEMATTR_RULE_RESERVED,
		    "MAIR byte 0x%02x is reserved", row->s1);
	by_leaf = memattr_combine(m, row->s1, row->leaf.memattr, fwb);

	row->observed = 0;
	row->calibrated = -1;
	row->reason[0] = 0;
	row->verdict = MEMATTR_FAIL;

	if (row->at && row->par & MEMATTR_PAR_F) {
		snprintf(row->reason, sizeof(row->reason),
			 "the translation faults, PAR_EL1 0x%llx",
			 (unsigned long long)row->par);
		return row->verdict;
	}
	if (by_leaf.rule == MEMATTR_RULE_RESERVED) {
		snprintf(row->reason, sizeof(row->reason),
			 "stage-2 MemAttr 0x%x is reserved with FWB=%u",
			 row->leaf.memattr, fwb);
		return row->verdict;
	}

	row->observed = row->at ? MEMATTR_PAR_ATTR(row->par) : by_leaf.attr;
	if (row->at && !memattr_calibrate(m, row->s1, row->leaf.memattr, fwb, &par) &&
	    !(par & MEMATTR_PAR_F))
		row->calibrated = MEMATTR_PAR_ATTR(par);

	if (same_type(row->observed, row->expected.attr)) {
		row->verdict = MEMATTR_PASS;
	} else if (!same_type(by_leaf.attr, row->expected.attr)) {
		snprintf(row->reason, sizeof(row->reason),
			 "stage 2 is %s (MemAttr 0x%x, FWB=%u), should be %s",
			 memattr_s2_name(row->leaf.memattr, fwb),
			 row->leaf.memattr, fwb, memattr_s2_name(want, fwb));
	} else if (row->calibrated >= 0 &&
		   same_type(row->observed, row->calibrated)) {
		row->verdict = MEMATTR_DEVIATION;
		snprintf(row->reason, sizeof(row->reason),
			 "FWB=%u %s [%s], but %s with stage 2 %s gives %s instead of %s, without KVM too, on %s",
			 fwb, memattr_rule_name(by_leaf.rule),
			 memattr_rule_ref(by_leaf.rule), memattr_name(row->s1),
			 memattr_s2_name(row->leaf.memattr, fwb),
			 memattr_name(row->observed),
			 memattr_name(row->expected.attr), memattr_platform(m));
	} else {
		snprintf(row->reason, sizeof(row->reason),
			 "the guest gets %s instead of %s from stage 2 %s, and without KVM the machine does not",
			 memattr_name(row->observed),
			 memattr_name(row->expected.attr),
			 memattr_s2_name(row->leaf.memattr, fwb));
	}

	return row->verdict;
}
