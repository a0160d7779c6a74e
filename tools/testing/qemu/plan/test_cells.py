#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of cells.py"""
import itertools
import unittest

import cells

# Hosts whose kernel takes longer to build than they would tell
UNTOLD = {("6.12", "64k"), ("6.1", "16k"), ("7.3", "16k")}
# Nor do their nested guests, as the tests of them take pages of 4K
NESTED = ((1, "64k"), (4, "nested"))


class Names(unittest.TestCase):
    def test_a_name_is_taken_apart(self):
        cell = cells.Cell("6.12-stock-16k-max+gicv2+bar8g+qemu11-protected")
        self.assertEqual(("6.12", "stock", "16k", "max", "protected"),
                         (cell.base, cell.flavour, cell.granule, cell.cpu, cell.mode))
        self.assertEqual({"GIC": "2", "EMULATOR": "qemu11", "ICOUNT": "", "BAR": "8G"},
                         cell.options)
        self.assertEqual("6.12-stock-16k", cell.kernel)
        self.assertEqual("6.12-base-16k-max+gicv2+bar8g+qemu11-protected", cell.pristine)
        self.assertEqual("32G", cells.Cell("6.1-4k-max+icount-vhe").options["BAR"])
        for name in ("6.1-4k-max+icount+bar8g-vhe", "6.1-4k-max+bar8g+icount-vhe"):
            self.assertEqual("8G", cells.Cell(name).options["BAR"])
        self.assertEqual("6.1-4k", cells.Cell("6.1-4k-max-vhe").kernel)

    def test_what_is_wrong_with_a_name_is_said(self):
        for name, why in (("9.9-4k-max-vhe", "no base 9.9, ./bases knows: 6.1 6.12"),
                          ("6.1-4k-z80-vhe", "no CPU z80, there are: max neoverse-n1"),
                          ("6.1-4k-max+wings-vhe", "no CPU max+wings"),
                          ("6.1-4k-max+bar0g-vhe", "no CPU max+bar0g"),
                          ("6.1-5k-max-vhe", "no granule 5k, there are: 4k 16k 64k"),
                          ("6.1-4k-max-hv", "no mode hv, there are: vhe nvhe protected nested"),
                          ("6.1-4k-max-nested", "no nested mode in 6.1, only in: 7.3"),
                          ("7.3-4k-neoverse-n1-nested", "a neoverse-n1 has no NESTED"),
                          ("6.1-4k-cortex-a57-vhe", "has no VHE, there are: nvhe protected"),
                          ("6.1-16k-cortex-a57-nvhe", "a cortex-a57 has no granule of 16k"),
                          ("6.1-stock-64k-max-vhe", "no stock kernel 6.1-64k, ./bases knows"),
                          ("7.3-stock-4k-max-vhe", "no stock kernel 7.3-4k"),
                          ("6.1-deb-64k-max-vhe", "the deb kernels have no granule of 64k"),
                          ("nonsense", "too few words")):
            with self.assertRaisesRegex(cells.Error, "unknown CELL .*" + why.replace("+", r"\+")):
                cells.Cell(name)

    def test_facts_are_what_the_host_has(self):
        for name, has, lacks in (
                ("6.1-4k-max-vhe", "6.1 4k series vhe max fwb mte gicv3 feature", "pristine 16k"),
                ("6.1-base-64k-neoverse-n1+gicv2-nvhe", "pristine gicv2 nvhe 64k", "fwb feature"),
                ("6.1-stock-4k-max-vhe", "stock", "feature pristine series"),
                ("6.12-stock-4k-max-vhe", "stock feature", "series"),
                ("6.12-base-4k-max-vhe", "pristine feature", "series"),
                ("7.3-clang-4k-max-vhe", "clang llvm-19 feature fwb", "series"),
                ("7.3-4k-max+qemu11-nested", "nested vhe qemu11", "nvhe 7.2"),
                ("7.3-debug-4k-max-vhe", "debug feature", "series")):
            facts = set(cells.Cell(name).facts)
            self.assertLessEqual(set(has.split()), facts, name)
            self.assertFalse(set(lacks.split()) & facts, name)

    def test_an_emulator_cannot_run_everything(self):
        for name, version, cannot in (("6.12-16k-max-protected", "7.2.22", True),
                                      ("7.3-4k-max-nested", "7.2.22", True),
                                      ("7.3-4k-max-nested", "11.1.3", False),
                                      ("6.12-stock-64k-max-protected", "7.2.1", None),
                                      ("6.12-64k-max+gicv2-protected", "7.2.1", True),
                                      ("6.12-16k-max-protected", "10.0.2", False),
                                      ("6.12-16k-max-nvhe", "7.2.22", False),
                                      ("6.12-4k-max-protected", "7.2.22", False),
                                      ("6.1-16k-max-protected", "7.2.22", False)):
            if cannot is not None:
                self.assertEqual(cannot, bool(cells.Cell(name).unable(version)), name)


class Sets(unittest.TestCase):
    def test_all_names_mean_something(self):
        for lines in cells.SETS.values():
            for line in lines:
                if line.split()[0].count("-") > 2:
                    cells.Cell(line.split()[0].replace("BASE", "6.1"))

    def test_a_set_has_those_of_others(self):
        core, wide, every = (cells.cells_of([name]) for name in ("core", "wide", "all"))
        self.assertLess(set(core), set(wide))
        self.assertLess(set(wide), set(every))
        self.assertEqual(len(every), len(set(every)))
        self.assertEqual({"lint-fast"}, set(cells.steps_of(["core"])))
        self.assertEqual({"harness", "x86", "mutants", *cells.SETS["lint"]}, set(cells.steps_of(["all"])))
        self.assertIn("quirk-one-level", cells.steps_of(["wide"])["mutants"])
        self.assertEqual({"lint-fast", "harness"}, set(cells.steps_of(["core", "harness"])))
        self.assertEqual({f"lint-{b}" for b in ["fast", *cells.BASES]}, set(cells.steps_of(["lint"])))
        self.assertEqual({"lint-6.12"}, set(cells.steps_of(["lint-6.12"])))
        self.assertEqual(core, cells.cells_of(["core", "harness"]))
        self.assertEqual([], cells.cells_of(["harness"]))
        self.assertEqual({}, cells.steps_of(["6.1-4k-max-vhe"]))

    def test_names_bases_and_what_is_wrong_with_them(self):
        self.assertEqual(["6.1-4k-max-vhe"], cells.cells_of(["6.1-4k-max-vhe"] * 2))
        self.assertEqual({"6.12"}, {c.split("-")[0] for c in cells.cells_of(["wide"], "6.12")})
        self.assertEqual(["6.12-4k-max-vhe", "6.12-4k-neoverse-n1-vhe"],
                         cells.cells_of(["demo"], "6.12"))
        for names, base, why in (([], None, "CELLS= is empty"), (["most"], None, "named most"),
                                 (["6.1-4k-max-vhe"], "7.3", "no cell of base 7.3 is among"),
                                 (["6.1-4k-z80-vhe"], None, "no CPU z80")):
            with self.assertRaisesRegex(cells.Error, why):
                cells.cells_of(names, base)

    @staticmethod
    def factors(names):
        """Base, granule, CPU, GIC and mode. Stock kernels that have the feature are hosts
        like any other; other flavours are controls."""
        for cell in map(cells.Cell, names):
            if cell.flavour == "series" or cell.flavour == "stock" and "feature" in cell.facts:
                yield cell.base, cell.granule, cell.cpu, cell.options["GIC"], cell.mode

    def test_wide_covers_each_pair_of_values_that_there_is(self):
        def pairs(names):
            return {pair for host in self.factors(names) if host[:2] not in UNTOLD
                    for pair in itertools.combinations(enumerate(host), 2)}
        self.assertGreater(len(set(self.factors(cells.cells_of(["all"])))), 90)
        self.assertEqual({NESTED},
                         pairs(cells.cells_of(["all"])) - pairs(cells.cells_of(["wide"])))

    def test_each_kind_of_kernel_is_run_under_the_newer_emulator(self):
        newer = {cells.Cell(c).kernel for c in cells.cells_of(["wide"]) if cells.Cell(c).emulator}
        self.assertLessEqual({"6.1-4k", "6.1-stock-4k", "6.12-4k", "6.12-stock-16k", "7.3-4k"},
                             newer)

    def test_a_large_bar_where_the_feature_comes_from_and_goes_to(self):
        large = {cells.Cell(c).base for c in cells.cells_of(["wide"]) if "bar8g" in c}
        self.assertLessEqual({"6.1", "7.3"}, large)

    def test_a_cell_in_full_for_each_kernel_of_wide(self):
        full = {cells.Cell(c).kernel for c in cells.FULL}
        wide = {cells.Cell(c) for c in cells.cells_of(["wide"])}
        self.assertEqual(set(), {c.kernel for c in wide if c.flavour not in ("clang", "debug")} - full)


class Shards(unittest.TestCase):
    def test_all_is_in_one_and_kernels_stay_together(self):
        whole, steps = cells.cells_of(["wide"]), cells.steps_of(["wide"])
        parts, those = zip(*(cells.part(whole, steps, n, 3) for n in (1, 2, 3)))
        self.assertEqual(sorted(whole), sorted(sum(parts, [])))
        self.assertEqual(sorted(steps), sorted(sum(map(list, those), [])))
        kernels = [{cells.Cell(c).kernel for c in part} for part in parts]
        for one, other in itertools.combinations(kernels, 2):
            self.assertFalse(one & other)
        for has, also in zip(kernels, those):
            self.assertEqual("6.1-4k" in has, {"harness", "mutants"} <= set(also))
            self.assertEqual("6.1-4k" in has, bool({"harness", "mutants"} & set(also)))

    def test_a_part_that_is_none(self):
        for text in ("0/3", "4/3", "1", "a/b", "1/0"):
            with self.assertRaisesRegex(cells.Error, "SHARD=" + text):
                cells.shard_of(text)


if __name__ == "__main__":
    unittest.main()
