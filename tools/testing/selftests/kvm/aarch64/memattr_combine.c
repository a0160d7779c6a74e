// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the machine combine memory attributes of stage 1 and stage 2 as the
 * architecture says?
 *
 * All 256 MAIR bytes by all 16 MemAttr values by HCR_EL2.FWB off and on, as
 * AT S12E1R reports them for tables of the kvm_memattr module's own. KVM has
 * no part in this: what fails here is the machine, or our idea of the rules.
 * The tests of KVM lean on both, so they have to be proved first.
 *
 * Each rule is one case. A point that differs is a failure, unless it is one
 * that a known deviation explains down to the value: then the case is a skip,
 * as a machine that does not follow a rule cannot prove it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kselftest.h"
#include "memattr.h"
#include "test_util.h"

#define NR_MAIR		256
#define NR_MEMATTR	16
#define NAME_LEN	128

static struct memattr_machine machine;

/* PAR_EL1 of every point, SH as KVM has it */
static uint64_t par[2][NR_MEMATTR][NR_MAIR];

/**
 * struct deviation - a way in which machines are known to differ
 * @what: description
 * @rule: the rule it breaks; MEMATTR_NR_RULES for any
 * @present: can this machine have it?
 * @match: is this point one of it? It must know both the value that the rules
 *	give and the one that the machine gives, else it would excuse a mistake
 *	in the rules, too.
 */
struct deviation {
	const char *what;
	enum memattr_rule rule;
	bool (*present)(void);
	bool (*match)(uint8_t s1, uint8_t memattr, uint8_t rule, uint8_t seen);
};

static bool on_qemu(void)
{
	const char *platform = memattr_platform(&machine);

	return strstr(platform, "QEMU") || strstr(platform, "linux,dummy-virt") ||
	       strstr(platform, "KVM Virtual Machine");
}

static uint8_t s2_device(uint8_t memattr)
{
	return memattr << 2;
}

static bool fwb_replaces_device(uint8_t s1, uint8_t memattr, uint8_t rule,
				uint8_t seen)
{
	return s1 < s2_device(memattr) && rule == s1 &&
	       seen == s2_device(memattr);
}

/* The inner nibble of NC reads as nGnRE */
static bool inner_of_s2_is_device(uint8_t s1, uint8_t memattr, uint8_t rule,
				  uint8_t seen)
{
	return (memattr & 3) == 1 && s1 > MEMATTR_DEVICE_nGnRE && rule == s1 &&
	       seen == MEMATTR_DEVICE_nGnRE;
}

/* So does that of stage 1, and WT without allocation hints reads as nGRE */
static bool inner_of_s1_is_device(uint8_t s1, uint8_t memattr, uint8_t rule,
				  uint8_t seen)
{
	uint8_t inner = s1 & 0xf;

	return (inner == 4 || inner == 8) && inner < s2_device(memattr) &&
	       rule == s2_device(memattr) && seen == inner;
}

/*
 * Many cores cache only what is Write-Back in both domains. They show it when
 * stage 2 leaves the cacheability of stage 1 alone, too.
 */
static bool only_wb_is_cached(void)
{
	return MEMATTR_PAR_ATTR(par[0][MEMATTR_S2_WB][MEMATTR_NORMAL_WT]) ==
	       MEMATTR_NORMAL_NC;
}

static bool not_wb_is_nc(uint8_t s1, uint8_t memattr, uint8_t rule, uint8_t seen)
{
	return !memattr_is_device(rule) &&
	       memattr_type(rule) != MEMATTR_NORMAL_WB &&
	       seen == MEMATTR_NORMAL_NC;
}

static const struct deviation deviations[] = {
	{
		"QEMU: with FWB a stage-2 Device type replaces a stronger stage-1 Device type",
		MEMATTR_RULE_FWB_DEVICE_DEVICE, on_qemu, fwb_replaces_device,
	}, {
		"QEMU: without FWB the inner cacheability of a Normal stage 2 is compared as if it was a Device type",
		MEMATTR_RULE_S1_DEVICE, on_qemu, inner_of_s2_is_device,
	}, {
		"QEMU: without FWB the inner cacheability of a Normal stage 1 is compared as if it was a Device type",
		MEMATTR_RULE_S2_DEVICE, on_qemu, inner_of_s1_is_device,
	}, {
		"permitted by the architecture: Normal that is not Write-Back both inner and outer is treated as Non-cacheable",
		MEMATTR_NR_RULES, only_wb_is_cached, not_wb_is_nc,
	},
};

static const struct deviation *known(enum memattr_rule rule, uint8_t s1,
				     uint8_t memattr, uint8_t want, uint8_t seen)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(deviations); i++) {
		const struct deviation *d = &deviations[i];

		if ((d->rule == rule || d->rule == MEMATTR_NR_RULES) &&
		    d->present() && d->match(s1, memattr, want, seen))
			return d;
	}

	return NULL;
}

static bool have_fwb(void)
{
	return machine.info.flags & KVM_MEMATTR_INFO_FWB;
}

static bool skip_fwb(const char *name, bool fwb)
{
	if (!fwb || have_fwb())
		return false;

	memattr_skip(name, "the CPU has no FEAT_S2FWB: run on one that has");

	return true;
}

static bool sample(void)
{
	int fwb, memattr, mair, ret;

	for (fwb = 0; fwb <= have_fwb(); fwb++)
		for (memattr = 0; memattr < NR_MEMATTR; memattr++)
			for (mair = 0; mair < NR_MAIR; mair++) {
				ret = memattr_calibrate(&machine, mair, memattr, fwb,
							&par[fwb][memattr][mair]);
				if (!ret)
					continue;
				ksft_print_msg("calibrate 0x%02x 0x%x FWB=%d: error %d\n",
					       mair, memattr, fwb, ret);
				return false;
			}

	return true;
}

/**
 * struct difference - points that differ from a rule in the same way
 * @known: the deviation that explains them, or NULL
 * @s1: stage-1 type of the first one
 * @memattr: its stage-2 MemAttr
 * @want: its type by the rules
 * @par: its PAR_EL1
 * @points: their number
 *
 * Explained ones are one entry for each deviation, others one for each pair of
 * types and result.
 */
struct difference {
	const struct deviation *known;
	uint8_t s1, memattr, want;
	uint64_t par;
	int points;
};

static bool same_difference(const struct difference *a,
			    const struct difference *b)
{
	if (a->known || b->known)
		return a->known == b->known;

	return a->memattr == b->memattr && a->want == b->want &&
	       a->par == b->par && memattr_type(a->s1) == memattr_type(b->s1);
}

static void print_difference(const struct difference *d,
			     const char *name, bool fwb)
{
	char seen[48];

	if (d->par & MEMATTR_PAR_F)
		snprintf(seen, sizeof(seen), "a fault, PAR_EL1 0x%llx",
			 (unsigned long long)d->par);
	else
		snprintf(seen, sizeof(seen), "%s (0x%02x)",
			 memattr_name(MEMATTR_PAR_ATTR(d->par)),
			 MEMATTR_PAR_ATTR(d->par));
	ksft_print_msg("deviation: %s on %s: %s: %d points\n",
		       name, memattr_platform(&machine),
		       d->known ? d->known->what : "not a known deviation",
		       d->points);
	ksft_print_msg("deviation: the first is stage 1 %s (0x%02x) with stage 2 %s (0x%x)\n",
		       memattr_name(d->s1), d->s1,
		       memattr_s2_name(d->memattr, fwb), d->memattr);
	ksft_print_msg("deviation: which gives %s instead of %s\n", seen,
		       memattr_name(d->want));
}

/* The rule holds at each of its points */
static void check_rule(enum memattr_rule rule, bool fwb)
{
	static struct difference diffs[NR_MAIR * NR_MEMATTR];
	int memattr, mair, i, nr = 0, points = 0, bad = 0, unknown = 0;
	char name[NAME_LEN];

	snprintf(name, sizeof(name), "FWB=%d %s [%s]", fwb,
		 memattr_rule_name(rule), memattr_rule_ref(rule));
	if (skip_fwb(name, fwb))
		return;

	for (memattr = 0; memattr < NR_MEMATTR; memattr++) {
		for (mair = 0; mair < NR_MAIR; mair++) {
			struct memattr_combined c;
			struct difference d;
			uint8_t seen;

			c = memattr_combine(&machine, mair, memattr, fwb);
			if (c.rule != rule)
				continue;

			points++;
			d.par = par[fwb][memattr][mair];
			seen = MEMATTR_PAR_ATTR(d.par);
			if (!(d.par & MEMATTR_PAR_F) &&
			    memattr_type(seen) == memattr_type(c.attr))
				continue;

			bad++;
			d.s1 = mair;
			d.memattr = memattr;
			d.want = memattr_type(c.attr);
			d.points = 0;
			d.known = d.par & MEMATTR_PAR_F ? NULL :
				  known(rule, mair, memattr, d.want, seen);
			if (!d.known)
				unknown++;

			for (i = 0; i < nr; i++)
				if (same_difference(&diffs[i], &d))
					break;
			if (i == nr)
				diffs[nr++] = d;
			diffs[i].points++;
		}
	}

	for (i = 0; i < nr; i++)
		print_difference(&diffs[i], name, fwb);
	ksft_print_msg("%s: %d points, %d differ, %d of them unexplained\n",
		       name, points, bad, unknown);

	if (!points || unknown)
		ksft_test_result_fail("%s\n", name);
	else if (bad)
		memattr_skip(name, "platform deviation at %d of %d points: %s",
			     bad, points, diffs[0].known->what);
	else
		ksft_test_result_pass("%s\n", name);
}

/* QEMU writes the hints of a combined WT without the transient one */
static bool nibble_lost_transient(uint8_t want, uint8_t seen)
{
	return seen == want || (want < 4 && seen == (want | 8));
}

static bool qemu_lost_transient(uint8_t want, uint8_t seen)
{
	return on_qemu() && nibble_lost_transient(want >> 4, seen >> 4) &&
	       nibble_lost_transient(want & 0xf, seen & 0xf);
}

/*
 * Cache allocation hints are those of stage 1. A machine need not report any,
 * but what it reports may not depend on stage 2: it is compared with what the
 * same machine says where stage 2 leaves the type alone.
 */
static void check_hints(bool fwb)
{
	uint8_t transparent = fwb ? MEMATTR_S2_FWB_S1 : MEMATTR_S2_WB;
	int memattr, mair, points = 0, unreported = 0, lost = 0, bad = 0;
	char name[NAME_LEN];

	snprintf(name, sizeof(name), "FWB=%d allocation hints are those of stage 1 [%s]",
		 fwb, fwb ? "D8.6.6" : "D8.6.5");
	if (skip_fwb(name, fwb))
		return;

	for (memattr = 0; memattr < NR_MEMATTR; memattr++) {
		for (mair = 0; mair < NR_MAIR; mair++) {
			uint64_t p = par[fwb][memattr][mair];
			uint8_t seen = MEMATTR_PAR_ATTR(p), alone;
			struct memattr_combined c;

			c = memattr_combine(&machine, mair, memattr, fwb);
			if (c.rule == MEMATTR_RULE_RESERVED ||
			    memattr_is_device(mair) ||
			    memattr_is_device(c.attr) || p & MEMATTR_PAR_F ||
			    memattr_type(seen) != memattr_type(c.attr))
				continue;

			points++;
			/* Tagged and XS == 0 are written in their own way */
			if (seen == c.attr || seen == mair)
				continue;

			alone = MEMATTR_PAR_ATTR(par[fwb][transparent][mair]);
			if (alone != mair) {
				unreported++;
				continue;
			}
			if (qemu_lost_transient(c.attr, seen)) {
				lost++;
				continue;
			}
			if (!bad++)
				ksft_print_msg("s1 0x%02x, s2 %s (0x%x): 0x%02x, not 0x%02x\n",
					       mair, memattr_s2_name(memattr, fwb),
					       memattr, seen, c.attr);
		}
	}

	ksft_print_msg("%s: %d points, %d differ, %d not transient, %d not reported\n",
		       name, points, bad, lost, unreported);
	if (!points || bad)
		ksft_test_result_fail("%s\n", name);
	else if (lost)
		memattr_skip(name,
			     "platform deviation at %d of %d points: QEMU: a combined Write-Through loses the transient hint",
			     lost, points);
	else if (unreported)
		memattr_skip(name,
			     "permitted by the architecture: the machine does not report the hints of %d of %d points",
			     unreported, points);
	else
		ksft_test_result_pass("%s\n", name);
}

/* The result's shareability, for each pair of SH fields and kind of result */
static void check_shareability(bool fwb, bool cacheable)
{
	static const uint8_t sh[] = {
		MEMATTR_SH_NON, MEMATTR_SH_OUTER, MEMATTR_SH_INNER,
	};
	static const uint8_t types[] = {
		MEMATTR_DEVICE_nGnRnE, MEMATTR_DEVICE_nGnRE,
		MEMATTR_DEVICE_nGRE, MEMATTR_DEVICE_GRE, MEMATTR_NORMAL_NC,
		MEMATTR_NORMAL_WT, MEMATTR_NORMAL_WB, 0x4f, 0xb4,
	};
	int memattr, t, i, j, points = 0, bad = 0;
	char name[NAME_LEN];

	snprintf(name, sizeof(name), "FWB=%d %s [D8.6.7, R_PYFVQ, R_YHCTP]", fwb,
		 cacheable ? "cacheable takes the wider shareability" :
			     "not cacheable is Outer Shareable");
	if (skip_fwb(name, fwb))
		return;

	for (memattr = 0; memattr < NR_MEMATTR; memattr++) {
		if (memattr_s2_reserved(memattr, fwb))
			continue;
		for (t = 0; t < ARRAY_SIZE(types); t++)
			for (i = 0; i < ARRAY_SIZE(sh); i++)
				for (j = 0; j < ARRAY_SIZE(sh); j++) {
					uint8_t attr, want, seen;
					uint64_t p = MEMATTR_PAR_F;

					memattr_calibrate_sh(&machine, types[t],
							     memattr, fwb,
							     sh[i], sh[j], &p);
					/* Of the type as it is, right or not */
					attr = MEMATTR_PAR_ATTR(p);
					want = memattr_combine_sh(attr, sh[i], sh[j]);
					seen = MEMATTR_PAR_SH(p);
					if (cacheable == (memattr_is_device(attr) ||
							  memattr_type(attr) ==
							  MEMATTR_NORMAL_NC) &&
					    !(p & MEMATTR_PAR_F))
						continue;

					points++;
					if (seen == want && !(p & MEMATTR_PAR_F))
						continue;
					if (!bad++)
						ksft_print_msg("%s %s, %s %s: 0x%llx, %s, not %s\n",
							       memattr_name(types[t]),
							       memattr_sh_name(sh[i]),
							       memattr_s2_name(memattr, fwb),
							       memattr_sh_name(sh[j]),
							       (unsigned long long)p,
							       memattr_sh_name(seen),
							       memattr_sh_name(want));
				}
	}

	ksft_print_msg("%s: %d points, %d differ\n", name, points, bad);
	ksft_test_result(points && !bad, "%s\n", name);
}

/* Nothing can be said of these, but it has to be said which they are */
static void report_reserved(bool fwb)
{
	int i, nr = 0;
	char name[NAME_LEN];

	snprintf(name, sizeof(name), "FWB=%d reserved MAIR bytes", fwb);
	if (!skip_fwb(name, fwb)) {
		ksft_print_msg("%s:", name);
		for (i = 0; i < NR_MAIR; i++)
			if (memattr_reserved(&machine, i)) {
				printf(" %02x", i);
				nr++;
			}
		printf("\n");
		memattr_skip(name,
			     "the architecture defines no result for %d of 256 on this machine (XS %s, MTE2 %s)",
			     nr,
			     machine.info.flags & KVM_MEMATTR_INFO_XS ? "yes" : "no",
			     machine.info.flags & KVM_MEMATTR_INFO_MTE2 ? "yes" : "no");
	}

	snprintf(name, sizeof(name), "FWB=%d reserved MemAttr values", fwb);
	if (!skip_fwb(name, fwb)) {
		ksft_print_msg("%s:", name);
		for (i = 0, nr = 0; i < NR_MEMATTR; i++)
			if (memattr_s2_reserved(i, fwb)) {
				printf(" %x", i);
				nr++;
			}
		printf("\n");
		memattr_skip(name,
			     "the architecture defines no result for %d of 16 (without NoTagAccess)",
			     nr);
	}
}

int main(void)
{
	enum memattr_rule rule;
	int fwb;

	ksft_print_header();
	memattr_require(&machine);
	if (!(machine.info.flags & KVM_MEMATTR_INFO_CALIBRATE))
		ksft_exit_skip("%s\n",
			       "a kernel at EL1 has no AT S12E1R: boot a CPU with FEAT_VHE, without kvm-arm.mode");

	/* Each rule but "reserved", then hints, two of SH, two of reserved */
	ksft_set_plan(MEMATTR_NR_RULES - 1 + 2 * 5);
	ksft_print_msg("platform: %s\n", memattr_platform(&machine));
	if (!sample())
		ksft_exit_fail_msg("the module cannot calibrate\n");

	for (rule = MEMATTR_RULE_RESERVED + 1; rule < MEMATTR_NR_RULES; rule++)
		check_rule(rule, rule >= MEMATTR_RULE_FWB_DEVICE_DEVICE);
	for (fwb = 0; fwb <= 1; fwb++) {
		check_hints(fwb);
		check_shareability(fwb, false);
		check_shareability(fwb, true);
		report_reserved(fwb);
	}

	memattr_finish();
}
