# SPDX-License-Identifier: GPL-2.0-only
#
# For the Makefile of the KVM selftests: the tests here, their library and their module. A
# file that is added is built; what measures, *_bench, is run only if it is asked for, and
# *_leaf by vfio_bar_vmm, a script.

ifeq ($(ARCH),arm64)

memattr := $(patsubst %.c,%,$(sort $(wildcard arm64/memattr/*.c)))

# The Makefile has either
TEST_GEN_PROGS_aarch64 += $(filter-out %_bench %_leaf,$(memattr))
TEST_GEN_PROGS_arm64 += $(filter-out %_bench %_leaf,$(memattr))
TEST_GEN_PROGS_EXTENDED += $(filter %_bench %_leaf,$(memattr))
TEST_PROGS += arm64/memattr/vfio_bar_vmm
LIBKVM += $(sort $(wildcard lib/arm64/memattr/*.c))

# The sources of the modules, which are built for the kernel they run on
TEST_FILES += test_modules

endif
