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
#include "../../test_modules/kvm_memattr_uapi.h"

/* MAIR_EL1.Attr<n>, DDI 0487 D24.2, MAIR_EL1 */
#define MEMATTR_DEVICE_nGnRnE	0x00
#define MEMATTR_DEVICE_nGnRE	0x04
#define MEMATTR_DEVICE_nGRE	0x08
#define MEMATTR_DEVICE_GRE	0x0c
#define MEMATTR_NORMAL_NC	0x44
#define MEMATTR_NORMAL_WT	0xbb
#define MEMATTR_NORMAL_WB	0xff
#define MEMATTR_NORMAL_TAGGED	0xf0

/* Stage-2 MemAttr[3:0] with HCR_EL2.FWB == 0, D8.6.5 */
#define MEMATTR_S2_DEVICE_nGnRnE	0x0
#define MEMATTR_S2_DEVICE_nGnRE		0x1
#define MEMATTR_S2_DEVICE_nGRE		0x2
#define MEMATTR_S2_DEVICE_GRE		0x3
#define MEMATTR_S2_NC			0x5
#define MEMATTR_S2_WT			0xa
#define MEMATTR_S2_WB			0xf

/* Stage-2 MemAttr[3:0] with HCR_EL2.FWB == 1, D8.6.6; Device as above */
#define MEMATTR_S2_FWB_NC		0x5
#define MEMATTR_S2_FWB_WB		0x6
#define MEMATTR_S2_FWB_S1		0x7

/* Descriptor and PAR_EL1 SH[1:0] */
#define MEMATTR_SH_NON			0
#define MEMATTR_SH_OUTER		2
#define MEMATTR_SH_INNER		3

/* PAR_EL1 */
#define MEMATTR_PAR_F			0x1ULL
#define MEMATTR_PAR_ATTR(par)		((uint8_t)((par) >> 56))
#define MEMATTR_PAR_SH(par)		((uint8_t)(((par) >> 7) & 3))
#define MEMATTR_PAR_FST(par)		((uint8_t)(((par) >> 1) & 0x3f))

/**
 * enum memattr_rule - the rules by which a combined type comes about
 * @MEMATTR_RULE_RESERVED: one of the two attributes has no architected meaning
 *	on this machine; nothing can be said of the result
 * @MEMATTR_RULE_DEVICE_DEVICE: both Device: the stronger one
 * @MEMATTR_RULE_S1_DEVICE: stage 1 Device, stage 2 Normal: stage 1
 * @MEMATTR_RULE_S2_DEVICE: stage 1 Normal, stage 2 Device: stage 2
 * @MEMATTR_RULE_NORMAL: both Normal: the weaker cacheability of each, inner
 *	and outer
 * @MEMATTR_RULE_FWB_DEVICE_DEVICE: FWB, both Device: the stronger one, as
 *	without FWB
 * @MEMATTR_RULE_FWB_S2_DEVICE: FWB, stage 1 Normal, stage 2 Device: stage 2
 * @MEMATTR_RULE_FWB_NC_DEVICE: FWB, stage 2 0b101, stage 1 Device: stage 1
 * @MEMATTR_RULE_FWB_NC_NORMAL: FWB, stage 2 0b101, stage 1 Normal: Normal-NC
 * @MEMATTR_RULE_FWB_WB: FWB, stage 2 0b110: Normal WB
 * @MEMATTR_RULE_FWB_S1: FWB, stage 2 0b111: stage 1
 * @MEMATTR_NR_RULES: their number
 */
enum memattr_rule {
	MEMATTR_RULE_RESERVED,
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
 * @attr: the type in MAIR encoding, allocation hints included; meaningless
 *	  with MEMATTR_RULE_RESERVED
 */
struct memattr_combined {
	enum memattr_rule rule;
	uint8_t attr;
};

/**
 * struct memattr_machine - the open test module and what it says of the host
 * @fd: /dev/kvm_memattr
 * @info: answer of KVM_MEMATTR_INFO
 */
struct memattr_machine {
	int fd;
	struct kvm_memattr_info info;
};

const char *memattr_rule_name(enum memattr_rule rule);
const char *memattr_rule_ref(enum memattr_rule rule);

const char *memattr_name(uint8_t mair);
const char *memattr_s2_name(uint8_t memattr, bool fwb);
const char *memattr_sh_name(uint8_t sh);
bool memattr_is_device(uint8_t mair);
bool memattr_reserved(const struct memattr_machine *m, uint8_t mair);
bool memattr_s2_reserved(uint8_t memattr, bool fwb);
uint8_t memattr_type(uint8_t mair);
int memattr_s2_encode(uint8_t type, bool fwb);
struct memattr_combined memattr_combine(const struct memattr_machine *m,
					uint8_t mair, uint8_t memattr,
					bool fwb);
uint8_t memattr_combine_sh(uint8_t attr, uint8_t s1_sh, uint8_t s2_sh);

const char *memattr_open(struct memattr_machine *m);
int memattr_leaf(const struct memattr_machine *m, int vm_fd, uint64_t ipa,
		 struct kvm_memattr_leaf *leaf);
int memattr_translate(const struct memattr_machine *m, struct kvm_vm *vm,
		      struct kvm_vcpu *vcpu, uint64_t gva, bool write,
		      uint64_t *par);
int memattr_calibrate(const struct memattr_machine *m, uint8_t mair,
		      uint8_t memattr, bool fwb, uint64_t *par);
int memattr_calibrate_sh(const struct memattr_machine *m, uint8_t mair,
			 uint8_t memattr, bool fwb, uint8_t s1_sh,
			 uint8_t s2_sh, uint64_t *par);
int memattr_host_pte(const struct memattr_machine *m, const void *va,
		     struct kvm_memattr_host_pte *pte);
const char *memattr_platform(const struct memattr_machine *m);

uint64_t *memattr_guest_pte(struct kvm_vm *vm, uint64_t gva);
void memattr_set_s1(struct kvm_vm *vm, uint64_t gva, unsigned int attridx);
void memattr_set_mair(struct kvm_vcpu *vcpu, unsigned int attridx,
		      uint8_t mair);

/**
 * memattr_guest_flush() - make the guest see a PTE edited by memattr_set_s1()
 * @gva: guest virtual address of the page
 *
 * Runs in the guest. KVM_RUN does not invalidate guest TLB entries, and a
 * type that changes without one is CONSTRAINED UNPREDICTABLE (D8.17.1).
 */
static inline void memattr_guest_flush(uint64_t gva)
{
	dsb(ishst);
	asm volatile("tlbi vaae1is, %0" : : "r" ((gva >> 12) & ((1ULL << 44) - 1))
		     : "memory");
	dsb(ish);
	isb();
}

/**
 * enum memattr_verdict - what one observed combination means
 * @MEMATTR_PASS: it is what the architecture says
 * @MEMATTR_FAIL: KVM installed a stage-2 type other than the wanted one, or
 *	the result is explained by nothing
 * @MEMATTR_DEVIATION: the stage-2 type has the effect that the architecture
 *	wants, but the machine combines it otherwise, with and without KVM
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
 * @want: in: type that stage 2 must have, in MAIR encoding
 * @leaf: in: stage-2 leaf found in KVM's tables
 * @par: in: PAR_EL1 of the translation, when @at is set
 * @at: in: @par was observed; otherwise the result is computed from @leaf
 * @expected: out: combination of @s1 and @want by the rules
 * @observed: out: type the guest gets
 * @calibrated: out: what the machine makes of @s1 and @leaf without KVM, or -1
 *	where it was not asked
 * @verdict: out: the verdict
 * @reason: out: why it is not a pass
 */
struct memattr_row {
	const char *vma;
	uint8_t s1;
	uint8_t want;
	struct kvm_memattr_leaf leaf;
	uint64_t par;
	bool at;

	struct memattr_combined expected;
	uint8_t observed;
	int calibrated;
	enum memattr_verdict verdict;
	char reason[384];
};

enum memattr_verdict memattr_judge(const struct memattr_machine *m,
				   struct memattr_row *row);
int memattr_observe(const struct memattr_machine *m, struct kvm_vm *vm,
		    struct kvm_vcpu *vcpu, uint64_t gva, uint64_t ipa,
		    struct memattr_row *row);

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
 * memattr_require() - open the module or skip the whole test
 * @m: filled in
 *
 * Call before ksft_set_plan().
 */
static inline void memattr_require(struct memattr_machine *m)
{
	const char *why = memattr_open(m);

	if (why)
		ksft_exit_skip("%s\n", why);
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
