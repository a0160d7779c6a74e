// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arm memory attributes: the rules of the Arm ARM (DDI 0487, "Combining stage 1
 * and stage 2 memory type attributes").
 *
 * They come from the architecture alone. They are what the machine is compared
 * with, so they must not be adapted to any machine.
 */
#include "memattr/memattr.h"

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

/**
 * memattr_s2_type() - the type that a MemAttr stands for
 * @memattr: MemAttr[3:0]
 * @fwb: HCR_EL2.FWB
 *
 * Return: the type, as memattr_type() writes it; 0 where it is reserved, or as stage 1
 */
u8 memattr_s2_type(u8 memattr, bool fwb)
{
	return s2_attrs[fwb][memattr & 0xf].attr;
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
