/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arm memory attributes: names, the rules by which the two stages of
 * translation combine, and what a test can observe of them through the
 * kvm_memattr test module.
 *
 * A memory type is written as in MAIR_EL1 and PAR_EL1.ATTR (one byte), a
 * stage-2 attribute as the descriptor's MemAttr[3:0] together with the value
 * of HCR_EL2.FWB, which selects between its two encodings.
 */
#ifndef SELFTEST_KVM_MEMATTR_H
#define SELFTEST_KVM_MEMATTR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "kselftest.h"
#include "kvm_util.h"
#include "processor.h"
#include "../../../test_modules/kvm_memattr_uapi.h"

/* MAIR_EL1.Attr<n> */
#define MEMATTR_DEVICE_nGnRnE	0x00
#define MEMATTR_DEVICE_nGnRE	0x04
#define MEMATTR_DEVICE_nGRE	0x08
#define MEMATTR_DEVICE_GRE	0x0c
#define MEMATTR_NORMAL_NC	0x44
#define MEMATTR_NORMAL_WT	0xbb
#define MEMATTR_NORMAL_WB	0xff

/* Stage-2 MemAttr[3:0] that the two values of HCR_EL2.FWB have in common */
#define MEMATTR_S2_NC		0x5
/* Normal Write-Back, without and with FWB */
#define MEMATTR_S2_WB		0xf
#define MEMATTR_S2_FWB_WB	0x6

/* Descriptor and PAR_EL1 SH[1:0] */
#define MEMATTR_SH_NON		0
#define MEMATTR_SH_OUTER	2
#define MEMATTR_SH_INNER	3

/* PAR_EL1 */
#define MEMATTR_PAR_F		0x1ULL
#define MEMATTR_PAR_ATTR(par)	((u8)((par) >> 56))
#define MEMATTR_PAR_SH(par)	((u8)(((par) >> 7) & 3))
#define MEMATTR_PAR_PA(par)	((par) & 0xffffffffff000ULL)

/* The rules by which a combined type comes about: memattr_rule_name() has words */
enum memattr_rule {
	MEMATTR_RULE_RESERVED,		/* nothing can be said of the result */
	MEMATTR_RULE_DEVICE_DEVICE,
	MEMATTR_RULE_S1_DEVICE,
	MEMATTR_RULE_S2_DEVICE,
	MEMATTR_RULE_NORMAL,
	MEMATTR_RULE_FWB_DEVICE_DEVICE,
	MEMATTR_RULE_FWB_S2_DEVICE,
	MEMATTR_RULE_FWB_NC_DEVICE,
	MEMATTR_RULE_FWB_NC_NORMAL,
	MEMATTR_RULE_FWB_WB,
	MEMATTR_RULE_FWB_S1,
	MEMATTR_NR_RULES
};

/**
 * struct memattr_combined - a pair of attributes, combined by the rules
 * @rule: the rule that decided
 * @attr: the type, as memattr_type() writes it; meaningless with
 *	MEMATTR_RULE_RESERVED
 */
struct memattr_combined {
	enum memattr_rule rule;
	u8 attr;
};

/**
 * struct memattr_machine - the open test module and what it says of the host
 * @fd: /dev/kvm_memattr
 * @cpu: the CPU that @info is of, and that answers all questions
 * @tcg: it is emulated by QEMU, whose mistakes are known
 * @name: of the machine that a deviation belongs to
 * @info: answer of KVM_MEMATTR_INFO
 */
struct memattr_machine {
	int fd;
	int cpu;
	bool tcg;
	char name[128];
	struct kvm_memattr_info info;
};

/**
 * enum memattr_verdict - what one observed combination means
 * @MEMATTR_PASS: KVM did its part, and the result is what the architecture says
 * @MEMATTR_FAIL: anything that is not one of the others
 * @MEMATTR_DEVIATION: KVM did its part; the machine deviates in a way that is
 *	known of it by name, without KVM too
 */
enum memattr_verdict {
	MEMATTR_PASS,
	MEMATTR_FAIL,
	MEMATTR_DEVIATION,
};

/**
 * struct memattr_row - one combination of a guest's type with KVM's
 * @vma: in: which VMA backs the memslot, for the report ("vfio-pci")
 * @s1: in: MAIR byte the guest maps the page with
 * @want: in: type that stage 2 must have, in MAIR encoding; it must be writable
 * @leaf: in: stage-2 leaf found in KVM's tables
 * @at: in: @par and @hcr were observed; otherwise the result is computed
 * @par: in: PAR_EL1 of the translation
 * @hcr: in: HCR_EL2 that KVM runs the vCPU with
 * @expected: out: combination of @s1 and @want by the rules
 * @observed: out: type the guest gets
 * @calibrated: out: what the machine makes of @s1 and @leaf without KVM, or -1
 *	where it was not asked
 * @verdict: out: the verdict
 * @reason: out: why it is not a pass
 */
struct memattr_row {
	const char *vma;
	u8 s1;
	u8 want;
	struct kvm_memattr_leaf leaf;
	bool at;
	u64 par;
	u64 hcr;

	struct memattr_combined expected;
	u8 observed;
	int calibrated;
	enum memattr_verdict verdict;
	char reason[384];
};

const char *memattr_rule_name(enum memattr_rule rule);
const char *memattr_name(u8 mair);
const char *memattr_s2_name(u8 memattr, bool fwb);
const char *memattr_sh_name(u8 sh);

bool memattr_is_device(u8 mair);
bool memattr_reserved(const struct memattr_machine *m, u8 mair);
u8 memattr_type(u8 mair);
int memattr_s2_encode(u8 type, bool fwb);
u8 memattr_s2_type(u8 memattr, bool fwb);
struct memattr_combined memattr_combine(const struct memattr_machine *m,
					u8 mair, u8 memattr, bool fwb);
u8 memattr_combine_sh(u8 attr, u8 s1_sh, u8 s2_sh);

const char *memattr_deviation(const struct memattr_machine *m, u8 mair,
			      u8 memattr, bool fwb, u8 seen);
const char *memattr_open(struct memattr_machine *m);
const char *memattr_prove(const struct memattr_machine *m);
int memattr_leaf(const struct memattr_machine *m, int vm_fd, u64 ipa,
		 struct kvm_memattr_leaf *leaf);
const char *memattr_check_leaf(const struct kvm_memattr_leaf *leaf, u8 type,
			       bool write);
int memattr_calibrate_sh(const struct memattr_machine *m, u8 mair, u8 memattr,
			 bool fwb, u8 s1_sh, u8 s2_sh, u64 *par);
int memattr_host_pte(const struct memattr_machine *m, const void *va,
		     struct kvm_memattr_host_pte *pte);

u64 memattr_vcpu_reg(struct kvm_vcpu *vcpu, u64 id);

int memattr_observe(const struct memattr_machine *m, int vm_fd, int vcpu_fd,
		    u64 gva, u64 ipa, struct memattr_row *row);
enum memattr_verdict memattr_judge(const struct memattr_machine *m,
				   struct memattr_row *row);

/* As memattr_calibrate_sh(), with KVM's shareability */
static inline int memattr_calibrate(const struct memattr_machine *m, u8 mair,
				    u8 memattr, bool fwb, u64 *par)
{
	return memattr_calibrate_sh(m, mair, memattr, fwb, MEMATTR_SH_NON,
				    MEMATTR_SH_INNER, par);
}

/*
 * KTAP output. kselftest.h keeps its counters in static variables, one set in
 * each object that includes it, so everything that counts a result has to be
 * compiled into the test itself.
 */

/**
 * memattr_skip() - report a case as skipped, in the form KTAP specifies
 * @name: of the case, as in its pass and fail lines
 * @fmt: the reason and the remedy, without a newline
 */
#define memattr_skip(name, fmt, ...) do {				\
	ksft_inc_xskip_cnt();						\
	printf("ok %u %s # SKIP " fmt "\n", ksft_test_num(), name,	\
	       ##__VA_ARGS__);						\
} while (0)

/**
 * memattr_require() - open the module, or skip the whole test
 * @m: filled in
 *
 * A module that does not get right what every machine does fails the test. Call
 * before ksft_set_plan().
 */
static inline void memattr_require(struct memattr_machine *m)
{
	const char *why = memattr_open(m);

	if (why)
		ksft_exit_skip("%s\n", why);
	why = memattr_prove(m);
	if (why)
		ksft_exit_fail_msg("%s\n", why);
}

/**
 * memattr_report() - judge a row and report it
 * @m: the machine
 * @row: the observation
 * @name: of the case
 *
 * Prints one line for programs and one KTAP result.
 */
static inline void memattr_report(const struct memattr_machine *m,
				  struct memattr_row *row, const char *name)
{
	static const char * const verdict[] = { "pass", "fail", "deviation" };
	char cal[12] = "-", line[160];

	memattr_judge(m, row);
	if (row->calibrated >= 0)
		snprintf(cal, sizeof(cal), "0x%02x", row->calibrated);
	snprintf(line, sizeof(line),
		 "vma=%s s1=0x%02x s2=0x%x fwb=%u result=0x%02x rule=0x%02x calibrated=%s",
		 row->vma, row->s1, row->leaf.memattr, row->leaf.fwb,
		 row->observed, row->expected.attr, cal);
	ksft_print_msg("memattr: %s verdict=%s oracle=%s\n", line,
		       verdict[row->verdict], row->at ? "at" : "rules");

	switch (row->verdict) {
	case MEMATTR_PASS:
		ksft_test_result_pass("%s\n", name);
		break;
	case MEMATTR_DEVIATION:
		memattr_skip(name, "platform deviation: %s", row->reason);
		break;
	default:
		ksft_print_msg("%s: %s\n", name, row->reason);
		ksft_test_result_fail("%s\n", name);
		break;
	}
}

/**
 * memattr_finish() - exit with the verdict of the whole test
 *
 * As ksft_finished(), but a run in which nothing was checked is a skip.
 */
static inline void memattr_finish(void)
{
	if (ksft_plan == ksft_test_num() && ksft_get_xskip_cnt() &&
	    !ksft_get_pass_cnt() && !ksft_get_fail_cnt() &&
	    !ksft_get_error_cnt()) {
		ksft_print_cnts();
		exit(KSFT_SKIP);
	}
	ksft_finished();
}

#endif /* SELFTEST_KVM_MEMATTR_H */
