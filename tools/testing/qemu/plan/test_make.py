#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests of make.py and verbs.py"""
import os
import tempfile
import unittest

import cells
import make
import verbs


def listed_names(lines):
    """The variables that lines set"""
    return [line.split()[0] for line in lines if " := " in line]


class Make(unittest.TestCase):
    knobs = {"O": "build", "CURDIR": "/src", "BASE": "", "CELL": "", "GRANULE": "",
             "CELLS": "core", "DURATION": "60", "KSRC": "", "LLVM": "", "MUTANT": "*", "QEMU": "",
             "SHARD": "", "SUITE": "series", "TEST": "", "?": []}

    def lines(self, *goals, **knobs):
        return [line.replace("^", " ") for line in
                make.Plan(dict(self.knobs, **knobs), goals).lines()]

    def test_every_cell_of_a_check_has_its_kernel_and_its_result(self):
        lines = self.lines("results", CELLS="wide")
        results = next(line for line in lines if line.startswith("results: "))
        for name in cells.cells_of(["wide"]):
            self.assertIn(f"reached-{name}", results)
            self.assertIn(f"build/kernel/{cells.Cell(name).kernel}/.built", results)
            self.assertIn(f"reached-{name}: build/cell/{name}/pass", lines)

    def test_what_patterns_alone_would_name_is_named(self):
        lines = self.lines("results", CELLS="wide")
        for target in ("6.12/headers/.done", "kernel/6.12-stock-16k/test_modules/kvm_memattr.ko",
                       "kernel/7.3-64k/test_modules/kvm_memattr.ko"):
            self.assertTrue(any(line.startswith(f"build/{target}: ") for line in lines), target)

    def test_the_tests_are_those_that_a_series_adds_or_edits(self):
        tests = next(line for line in self.lines("selftests", BASE="7.3") if "tests.7.3" in line)
        for test in ("arm64/at", "arm64/vfio_bar_guest", "arm64/memattr/vfio_bar_memattr",
                     "vfio/vfio_pci_bar_revoke_test"):
            self.assertIn(test, tests.split())
        self.assertNotIn("_leaf", tests)

    def test_what_is_wrong_with_a_knob_is_said(self):
        for knobs, why in (({"?": ["CEL"]}, "unknown variable CEL, there are: "),
                           ({"SUITE": "mine"}, "unknown SUITE mine"),
                           ({"DURATION": "1m"}, "DURATION=1m is no number of seconds"),
                           ({"O": "a b"}, "may have a space or a colon"),
                           ({"CURDIR": "/a:b"}, "may have a space or a colon"),
                           ({"LLVM": "yes"}, "LLVM=yes is neither 1, nor "),
                           ({"GRANULE": "5k"}, "no granule 5k"), ({"BASE": "9.9"}, "no base 9.9"),
                           ({"KSRC": "/none"}, "is not a kernel tree")):
            with self.assertRaisesRegex(cells.Error, why):
                self.lines("stress", **knobs)

    def test_a_tree_of_the_users_own_decides_on_the_base(self):
        with tempfile.TemporaryDirectory() as ksrc:
            with open(os.path.join(ksrc, "Makefile"), "w", encoding="utf-8") as f:
                f.write("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 999\n")
            lines = self.lines("check", KSRC=ksrc, CELLS="wide")
            self.assertIn("override BASE := 6.12", lines)
            self.assertNotIn(" 6.1-", next(x for x in lines if x.startswith("check := ")))
            self.assertIn("build/6.12/tree/.git/source build/6.12/tree-base/.git/source: "
                          "build/source/6.12.id FORCE", lines)
            with self.assertRaisesRegex(cells.Error, "is 6.12.y, CELL=6.1-4k-max-vhe is of 6.1"):
                self.lines("run", KSRC=ksrc, CELL="6.1-4k-max-vhe")

    def test_cells_of_a_base_that_is_gone_are_left_out(self):
        with tempfile.TemporaryDirectory() as o:
            os.mkdir(os.path.join(o, "source"))
            with open(os.path.join(o, "source", "7.3.tar.xz.gone"), "w", encoding="utf-8") as f:
                f.write("Debian's suite has no linux-source-7.3 any more\n")
            results = next(x for x in self.lines("results", O=o, CELLS="core lint")
                           if x.startswith("results: "))
            self.assertNotIn("7.3", results.replace(o, ""))
            self.assertIn("6.1-4k-max-vhe", results)

    def test_the_newer_emulator_is_needed_where_it_is_asked_for(self):
        name = "6.1-4k-max+qemu11-vhe"
        self.assertIn(f"run-{name}: build/kernel/6.1-4k/.built build/qemu11/qemu-system-aarch64 "
                      "build/kernel/6.1-4k/initramfs-vmm.cpio", self.lines("run", CELL=name))
        self.assertIn(f"emulator.{name} := /opt/q", self.lines("run", CELL=name, QEMU="/opt/q"))

    def test_a_clang_cell_has_a_kernel_and_tests_by_clang(self):
        lines = self.lines("run", CELL="7.3-clang-4k-max-vhe")
        self.assertIn("llvm.kernel/7.3-clang-4k := -19", lines)
        self.assertIn("llvm.7.3/selftests-clang := -19", lines)
        self.assertIn("build/kernel/7.3-clang-4k/initramfs.cpio: "
                      "build/7.3/selftests-clang/.installed", lines)
        for name, tests in (("7.3-clang-4k", "-clang"), ("7.3-clang-4k-max-vhe", "-clang"),
                            ("7.3-4k", "")):
            self.assertIn(f"selftests.{name} := build/7.3/selftests{tests}", lines)
        self.assertNotIn("llvm.kernel/7.3-4k", listed_names(lines))

    def test_another_compiler_is_another_kernel_and_other_tests(self):
        for target, name in (("kernel/6.1-4k/.config", "kernel/6.1-4k"),
                             ("6.1/selftests/.installed", "6.1/selftests")):
            line = next(x for x in self.lines("run") if x.startswith(f"build/{target}: "))
            self.assertIn(f"build/{name}/.llvm", line.split())

    def test_clang_is_installed_for_what_takes_it(self):
        for goals, knobs, takes in ((["check"], {"CELLS": "7.3-clang-4k-max-vhe"}, True),
                                    (["check"], {}, False), (["kernel"], {}, False),
                                    (["kernel"], {"LLVM": "1"}, True),
                                    (["why"], {"CELL": "7.3-clang-4k-max-vhe"}, False),
                                    (["run"], {"CELL": "7.3-clang-4k-max-vhe"}, True)):
            line = next(x for x in self.lines(*goals, **knobs) if x.startswith("uses := "))
            self.assertEqual(takes, "clang" in line.split(), (goals, knobs))
        with self.assertRaisesRegex(cells.Error, "deb and regression are of what gcc has built"):
            self.lines("deb", LLVM="1")

    def test_a_shard_runs_but_its_own(self):
        found = []
        for n in "1234":
            lines = self.lines("check", CELLS="all", SHARD=n + "/4")
            uses = next(x for x in lines if x.startswith("uses := ")).split()
            steps = next(x for x in lines if x.startswith("steps := ")).split()[2:]
            self.assertEqual(any(s[5:] in cells.BASES for s in steps), "docs" in uses, n)
            self.assertEqual("x86" in steps, "x86" in uses, n)
            found += steps
        lines = self.lines("check", CELLS="all")
        self.assertEqual(sorted(next(x for x in lines if x.startswith("steps := ")).split()[2:]),
                         sorted(found))

    def test_a_vmm_is_there_if_its_test_may_run(self):
        for test, has in (("", True), ("vfio_bar_*", True), ("vfio_bar_vmm", True),
                          ("vfio_bar_[bv][em]*", True), ("vfio_bar_memattr", False)):
            line = [x for x in self.lines("run", TEST=test) if x.startswith("initramfs.6.1-4k-")]
            self.assertEqual(has, line[0].endswith("-vmm.cpio"), test)


class Verbs(unittest.TestCase):
    def test_help_has_each_verb_and_no_long_line(self):
        text = list(verbs.help_text())
        self.assertLessEqual(max(map(len, text)), 95)
        for verb in ("demo", "check", "why", "mutants", "clean"):
            self.assertTrue(any(line.startswith("make " + verb) for line in text), verb)

    def test_what_a_verb_takes(self):
        self.assertEqual(["source"], verbs.uses(["series"]))
        self.assertEqual(["boot", "build", "source"], verbs.uses(["build/cell/X/pass"]))
        self.assertEqual([], verbs.uses(["clean"]))
        self.assertIn("test", verbs.uses(["demo", "check"]))


if __name__ == "__main__":
    unittest.main()
