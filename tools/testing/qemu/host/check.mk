# SPDX-License-Identifier: GPL-2.0-only
#
# What "make check" runs, as a graph: the cells in CHECK, of the base's own selftests
# those of OWN_SUITE, both from the environment, and all that is no cell. Under
# make -j everything shares the cores: the kernels, which come first, and the boots.
#
# Each leaves rows (ktap.awk has their form) in a directory of $(O)/BASE/results or
# $(O)/results, for the summary to find; make -k goes on after one that fails.

O ?= build
make := $(MAKE) -f Makefile CELLS= TEST= SUITE=series
qemu := tools/testing/qemu

# The kernel of a cell is all but its CPU and its mode, as in 6.1-base-4k
word-of = $(word $(2),$(subst -, ,$(1)))
base-of = $(call word-of,$(1),1)
kernel-of = $(base-of)-$(call word-of,$(1),2)$(if \
	$(filter base debug stock,$(call word-of,$(1),2)),-$(call word-of,$(1),3))

# The base's own selftests are compared where the pristine kernel is there, and the
# series changes it.
changes-kernel = $(filter-out tools/% Documentation/%,$(filter %.patch, \
	$(shell sed 's/\#.*//' series-$(1))))
regressions := $(foreach base,$(patsubst %-base-4k-max-vhe,%, \
	$(filter %-base-4k-max-vhe,$(CHECK))),$(if $(call changes-kernel,$(base)),$(base)))
own := $(foreach base,$(regressions),$(base)-base-4k-max-vhe $(base)-4k-max-vhe)
# The tests of the harness boot 6.1-4k.
kernels := $(sort 6.1-4k $(foreach cell,$(CHECK) $(own),$(call kernel-of,$(cell))))
bases := $(sort $(foreach kernel,$(kernels),$(call base-of,$(kernel))))

.PHONY: all last announced lint-fast harness busybox $(CHECK) $(addsuffix -own,$(own)) \
	$(addprefix regression-,$(regressions)) $(addprefix selftests-,$(bases)) \
	$(addprefix kernel-,$(kernels)) $(addprefix image-own-,$(regressions))

# What has not got to run is missed by its directory.
announced:
	@mkdir -p $(O)/results/lint-fast $(O)/results/harness \
		$(foreach base,$(regressions),$(O)/$(base)/results/regression-$(base)-4k-max-vhe)

all: announced lint-fast $(addsuffix -own,$(own)) $(CHECK) harness

# Once all else has ended: what has to be run again, is to run by itself.
last: $(addprefix regression-,$(regressions))

lint-fast harness:
	+@exec $(qemu)/host/stage $(O)/logs/$@.log $@ $(qemu)/judge/rows $(O)/results/$@ $(make) $@

busybox:
	+@$(make) busybox

$(addprefix selftests-,$(bases)): selftests-%: busybox
	+@$(make) selftests BASE=$* >/dev/null

# Any CPU and mode will do.
$(addprefix kernel-,$(kernels)): kernel-%:
	+@$(make) kernel image CELL=$*-max-vhe

$(foreach kernel,$(kernels),$(eval kernel-$(kernel): selftests-$(call base-of,$(kernel))))

$(CHECK):
	+@$(make) judge CELL=$@

$(foreach cell,$(CHECK),$(eval $(cell): kernel-$(call kernel-of,$(cell))))

harness: kernel-6.1-4k

# After that kernel, as both take the pristine tree
$(addprefix image-own-,$(regressions)): image-own-%: busybox kernel-%-base-4k
	+@$(make) image SUITE=$(OWN_SUITE) BASE=$*

$(addsuffix -own,$(own)): %-own:
	+@$(make) rows SUITE=$(OWN_SUITE) ROWS_ONLY=1 CELL=$*

$(foreach cell,$(own),$(eval $(cell)-own: \
	kernel-$(call kernel-of,$(cell)) image-own-$(call base-of,$(cell))))
# One after the other: some of these tests keep two CPUs busy with waiting.
$(foreach base,$(regressions),$(eval \
	$(base)-4k-max-vhe-own: | $(base)-base-4k-max-vhe-own))

$(addprefix regression-,$(regressions)): regression-%:
	+@$(make) compare SUITE=$(OWN_SUITE) CELL=$*-4k-max-vhe
