// SPDX-License-Identifier: GPL-2.0-only
/*
 * Are the rules right by which the tests combine memory attributes of stage 1
 * and stage 2, and does the machine follow them?
 *
 * First the rules are compared with results worked out by hand. Then all 256
 * MAIR bytes by all 16 MemAttr values by HCR_EL2.FWB, as AT S12E1R reports them
 * for tables of the kvm_memattr module's own. KVM has no part in this: what
 * fails here is the machine, or our idea of the rules. The tests of KVM lean on
 * both.
 *
 * A point that differs is a failure, unless it is one that a known deviation
 * explains down to the value: then the case is a skip, as a machine that does
 * not follow a rule cannot prove it. Types are compared: allocation hints, XS
 * and Tagged are the implementation's to report.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kselftest.h"
#include "memattr/memattr.h"
#include "test_util.h"

#define NR_MAIR		256
#define NR_MEMATTR	16
#define NR_SHOWN	8

/* No result: stage 2 is reserved. No type has this value */
#define XX		0x02

static struct memattr_machine machine;

/*
 * Stage 1 by MemAttr without FWB, and by the lower half of MemAttr with FWB. Written
 * out by the manual: Device by R_TNHFM and R_GSDKZ, Normal by R_GQFSF, and
 * the three encodings that only FWB has (0b101, 0b110, 0b111) by R_RHWZM.
 */
static const struct {
	u8 s1, plain[NR_MEMATTR], fwb[NR_MEMATTR / 2];
} golden[] = {
	{ 0x00, { 0x00, 0x00, 0x00, 0x00, XX, 0x00, 0x00, 0x00,
		  XX, 0x00, 0x00, 0x00, XX, 0x00, 0x00, 0x00 },
		{ 0x00, 0x00, 0x00, 0x00, XX, 0x00, 0xff, 0x00 } },
	{ 0x04, { 0x00, 0x04, 0x04, 0x04, XX, 0x04, 0x04, 0x04,
		  XX, 0x04, 0x04, 0x04, XX, 0x04, 0x04, 0x04 },
		{ 0x00, 0x04, 0x04, 0x04, XX, 0x04, 0xff, 0x04 } },
	{ 0x08, { 0x00, 0x04, 0x08, 0x08, XX, 0x08, 0x08, 0x08,
		  XX, 0x08, 0x08, 0x08, XX, 0x08, 0x08, 0x08 },
		{ 0x00, 0x04, 0x08, 0x08, XX, 0x08, 0xff, 0x08 } },
	{ 0x0c, { 0x00, 0x04, 0x08, 0x0c, XX, 0x0c, 0x0c, 0x0c,
		  XX, 0x0c, 0x0c, 0x0c, XX, 0x0c, 0x0c, 0x0c },
		{ 0x00, 0x04, 0x08, 0x0c, XX, 0x0c, 0xff, 0x0c } },
	{ 0x44, { 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0x44, 0x44,
		  XX, 0x44, 0x44, 0x44, XX, 0x44, 0x44, 0x44 },
		{ 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0xff, 0x44 } },
	{ 0xaa, { 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0x4b, 0x4b,
		  XX, 0xb4, 0xbb, 0xbb, XX, 0xb4, 0xbb, 0xbb },
		{ 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0xff, 0xbb } },
	{ 0xff, { 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0x4b, 0x4f,
		  XX, 0xb4, 0xbb, 0xbf, XX, 0xf4, 0xfb, 0xff },
		{ 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0xff, 0xff } },
	/* Outer NC, inner WB; outer transient WB, inner NC */
	{ 0x4e, { 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0x4b, 0x4f,
		  XX, 0x44, 0x4b, 0x4f, XX, 0x44, 0x4b, 0x4f },
		{ 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0xff, 0x4f } },
	{ 0x74, { 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0x44, 0x44,
		  XX, 0xb4, 0xb4, 0xb4, XX, 0xf4, 0xf4, 0xf4 },
		{ 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0xff, 0xf4 } },
	/* Outer transient WT, inner WB; outer WB, inner WT */
	{ 0x3f, { 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0x4b, 0x4f,
		  XX, 0xb4, 0xbb, 0xbf, XX, 0xb4, 0xbb, 0xbf },
		{ 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0xff, 0xbf } },
	{ 0xf8, { 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0x4b, 0x4b,
		  XX, 0xb4, 0xbb, 0xbb, XX, 0xf4, 0xfb, 0xfb },
		{ 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0xff, 0xfb } },
	/* FEAT_XS: as 0x04 and 0xaa; FEAT_MTE2: as 0xff */
	{ 0x05, { 0x00, 0x04, 0x04, 0x04, XX, 0x04, 0x04, 0x04,
		  XX, 0x04, 0x04, 0x04, XX, 0x04, 0x04, 0x04 },
		{ 0x00, 0x04, 0x04, 0x04, XX, 0x04, 0xff, 0x04 } },
	{ 0xa0, { 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0x4b, 0x4b,
		  XX, 0xb4, 0xbb, 0xbb, XX, 0xb4, 0xbb, 0xbb },
		{ 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0xff, 0xbb } },
	{ 0xf0, { 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0x4b, 0x4f,
		  XX, 0xb4, 0xbb, 0xbf, XX, 0xf4, 0xfb, 0xff },
		{ 0x00, 0x04, 0x08, 0x0c, XX, 0x44, 0xff, 0xff } },
};

/* Shareability of a combined type, by that of both stages */
static const struct {
	u8 attr, s1, s2, want;
} golden_sh[] = {
	/* Neither Device nor Normal-NC has one of its own [R_PYFVQ, R_YHCTP]. */
	{ 0x00, MEMATTR_SH_NON, MEMATTR_SH_NON, MEMATTR_SH_OUTER },
	{ 0x04, MEMATTR_SH_INNER, MEMATTR_SH_NON, MEMATTR_SH_OUTER },
	{ 0x0c, MEMATTR_SH_INNER, MEMATTR_SH_INNER, MEMATTR_SH_OUTER },
	{ 0x44, MEMATTR_SH_NON, MEMATTR_SH_NON, MEMATTR_SH_OUTER },
	{ 0x44, MEMATTR_SH_NON, MEMATTR_SH_INNER, MEMATTR_SH_OUTER },
	/* The wider of the two, also where it is cacheable in one domain only */
	{ 0xff, MEMATTR_SH_NON, MEMATTR_SH_NON, MEMATTR_SH_NON },
	{ 0xff, MEMATTR_SH_NON, MEMATTR_SH_INNER, MEMATTR_SH_INNER },
	{ 0xff, MEMATTR_SH_INNER, MEMATTR_SH_NON, MEMATTR_SH_INNER },
	{ 0xff, MEMATTR_SH_INNER, MEMATTR_SH_INNER, MEMATTR_SH_INNER },
	{ 0xff, MEMATTR_SH_NON, MEMATTR_SH_OUTER, MEMATTR_SH_OUTER },
	{ 0xff, MEMATTR_SH_OUTER, MEMATTR_SH_INNER, MEMATTR_SH_OUTER },
	{ 0xbb, MEMATTR_SH_INNER, MEMATTR_SH_OUTER, MEMATTR_SH_OUTER },
	{ 0x4f, MEMATTR_SH_NON, MEMATTR_SH_NON, MEMATTR_SH_NON },
	{ 0xf4, MEMATTR_SH_NON, MEMATTR_SH_INNER, MEMATTR_SH_INNER },
};

static void check_golden_sh(void)
{
	int i, bad = 0;
	u8 sh;

	for (i = 0; i < ARRAY_SIZE(golden_sh); i++) {
		sh = memattr_combine_sh(golden_sh[i].attr, golden_sh[i].s1, golden_sh[i].s2);
		if (sh == golden_sh[i].want)
			continue;
		bad++;
		ksft_print_msg("%s, %s with %s: %s\n", memattr_name(golden_sh[i].attr),
			       memattr_sh_name(golden_sh[i].s1),
			       memattr_sh_name(golden_sh[i].s2), memattr_sh_name(sh));
	}
	ksft_test_result(!bad, "shareability: the rules are those of the manual\n");
}

/* The rules are what the manual says, whatever the machine does */
static void check_golden(bool fwb)
{
	const struct memattr_machine all = {
		.info.flags = KVM_MEMATTR_INFO_XS | KVM_MEMATTR_INFO_MTE2,
	};
	int i, memattr, bad = 0, reserved = 0;
	char name[64];

	for (i = 0; i < ARRAY_SIZE(golden); i++) {
		for (memattr = 0; memattr < NR_MEMATTR; memattr++) {
			struct memattr_combined c;
			u8 want = !fwb ? golden[i].plain[memattr] :
				  memattr < 8 ? golden[i].fwb[memattr] : XX;

			c = memattr_combine(&all, golden[i].s1, memattr, fwb);
			if (c.rule == MEMATTR_RULE_RESERVED ? want == XX :
							      want == c.attr)
				continue;
			if (bad++ < NR_SHOWN)
				ksft_print_msg("0x%02x with 0x%x: 0x%02x, not 0x%02x\n",
					       golden[i].s1, memattr, c.attr, want);
		}
	}
	for (i = 0; i < NR_MAIR; i++)
		reserved += memattr_reserved(&all, i);
	snprintf(name, sizeof(name), "FWB=%d the rules are those of the manual", fwb);
	ksft_test_result(!bad && reserved == 20, "%s\n", name);
}

/* Why the machine cannot be asked, or NULL */
static const char *no_machine(bool fwb)
{
	if (machine.info.flags & KVM_MEMATTR_INFO_NESTED)
		return "the host is a guest of KVM, whose AT is not the CPU's: use bare metal";
	if (!(machine.info.flags & KVM_MEMATTR_INFO_CALIBRATE))
		return "a kernel at EL1 has no AT S12E1R: boot it with VHE";
	if (fwb && !(machine.info.flags & KVM_MEMATTR_INFO_FWB))
		return "the CPU has no FEAT_S2FWB: run on one that has";

	return NULL;
}

/* The rule holds at each of its points */
static void check_rule(enum memattr_rule rule)
{
	int i, points = 0, deviant = 0, bad = 0;
	bool fwb = rule >= MEMATTR_RULE_FWB_DEVICE_DEVICE;
	const char *why = no_machine(fwb), *first = NULL;
	const char *name = memattr_rule_name(rule);

	if (why) {
		memattr_skip(name, "%s", why);
		return;
	}

	for (i = 0; i < NR_MAIR * NR_MEMATTR; i++) {
		u8 s1 = i / NR_MEMATTR, memattr = i % NR_MEMATTR;
		u64 par = MEMATTR_PAR_F;
		struct memattr_combined c;
		const char *known = NULL;

		c = memattr_combine(&machine, s1, memattr, fwb);
		if (c.rule != rule)
			continue;

		points++;
		memattr_calibrate(&machine, s1, memattr, fwb, &par);
		if (!(par & MEMATTR_PAR_F)) {
			u8 seen = MEMATTR_PAR_ATTR(par);

			if (memattr_type(seen) == c.attr)
				continue;
			known = memattr_deviation(&machine, s1, memattr, fwb, seen);
		}
		if (!first)
			first = known;
		if (known)
			deviant++;
		else
			bad++;
		if (known ? deviant == 1 : bad <= NR_SHOWN)
			ksft_print_msg("0x%02x with %s (0x%x): PAR_EL1 0x%llx, not %s: %s\n",
				       s1, memattr_s2_name(memattr, fwb), memattr,
				       (unsigned long long)par, memattr_name(c.attr),
				       known ? known : "not a known deviation");
	}

	ksft_print_msg("%s: %d points, %d differ, %d of them unexplained\n",
		       name, points, bad + deviant, bad);
	if (!points || bad)
		ksft_test_result_fail("%s\n", name);
	else if (deviant)
		memattr_skip(name, "platform deviation at %d of %d points: %s",
			     deviant, points, first);
	else
		ksft_test_result_pass("%s\n", name);
}

/*
 * What is not cacheable is Outer Shareable, the rest has the wider of the two
 * stages. What stage 1 hands on is either its SH field or what that amounts to
 * for its type (R_NSCNC): as the machine likes, but everywhere alike.
 */
static void check_shareability(void)
{
	static const char name[] = "shareability [R_PYFVQ, R_YHCTP]";
	static const u8 sh[] = {
		MEMATTR_SH_NON, MEMATTR_SH_OUTER, MEMATTR_SH_INNER,
	};
	/* How many points contradict each reading, and both */
	int points = 0, field = 0, effective = 0, bad = 0, i, fwb, memattr;

	if (no_machine(false)) {
		memattr_skip(name, "%s", no_machine(false));
		return;
	}
	for (i = 0; i < ARRAY_SIZE(golden) * 18; i++) {
		u8 s1 = golden[i / 18].s1, s1_sh = sh[i / 6 % 3], s2_sh = sh[i / 2 % 3];

		fwb = i % 2;
		for (memattr = 0; memattr < NR_MEMATTR && !no_machine(fwb); memattr++) {
			bool by_field, by_effect;
			u64 par = MEMATTR_PAR_F;
			u8 attr, seen;

			if (!memattr_combine(&machine, s1, memattr, fwb).rule)
				continue;
			points++;
			memattr_calibrate_sh(&machine, s1, memattr, fwb, s1_sh,
					     s2_sh, &par);
			/* Of the type as it is, right or not */
			attr = MEMATTR_PAR_ATTR(par);
			seen = par & MEMATTR_PAR_F ? 1 : MEMATTR_PAR_SH(par);
			by_field = seen == memattr_combine_sh(attr, s1_sh, s2_sh);
			by_effect = seen == memattr_combine_sh(attr,
							       memattr_combine_sh(s1, s1_sh, s1_sh),
							       s2_sh);
			field += !by_field;
			effective += !by_effect;
			if (by_field || by_effect || bad++ >= NR_SHOWN)
				continue;
			ksft_print_msg("FWB=%d 0x%02x %s, %s %s: PAR_EL1 0x%llx\n",
				       fwb, s1, memattr_sh_name(s1_sh),
				       memattr_s2_name(memattr, fwb),
				       memattr_sh_name(s2_sh), (unsigned long long)par);
		}
	}
	ksft_print_msg("%s: %d points, %d differ by the field, %d by its effect\n",
		       name, points, field, effective);
	ksft_test_result(points && (!field || !effective), "%s\n", name);
}

int main(void)
{
	enum memattr_rule rule;

	ksft_print_header();
	memattr_require(&machine);
	ksft_print_msg("platform: %s\n", machine.name);

	/* Each rule but "reserved", then the other four */
	ksft_set_plan(MEMATTR_NR_RULES - 1 + 4);
	check_golden(false);
	check_golden(true);
	check_golden_sh();
	for (rule = MEMATTR_RULE_RESERVED + 1; rule < MEMATTR_NR_RULES; rule++)
		check_rule(rule);
	check_shareability();

	memattr_finish();
}
