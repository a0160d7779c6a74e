/* SPDX-License-Identifier: GPL-2.0-only */
/* The harness of 6.1, for tests in the form they have for mainline */

/* The KVM selftests have one of their own in test_util.h. */
#undef ASSERT_EQ

#include "../../../kselftest_harness.h"

/* That of 6.1 runs a test that its FIXTURE_SETUP() has skipped. */
#undef SKIP
#define SKIP(_statement, ...) do {					\
	snprintf(_metadata->results->reason,				\
		 sizeof(_metadata->results->reason), __VA_ARGS__);	\
	_exit(255);							\
	_statement;							\
} while (0)
