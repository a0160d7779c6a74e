# SPDX-License-Identifier: GPL-2.0-only
"""The report of a check, and the table of the demo"""
import contextlib
import html
import io
import json
import os
import re
import tempfile
import unittest
from unittest import mock

import demo
import report
import results

CELL = {"kind": "cell", "verdict": "pass", "problems": [], "control": False, "guest": {"kernel": "6.1.192"},
        "boot": {"version": "7.2.22", "suite": "series", "test": "*",
                 "facts": "6.1 4k series feature vhe max fwb mte gicv3"},
        "source": {"base": "6.1", "version": "6.1.192", "series": "v1-2-gabc", "edited": "no",
                   "package": "linux-source-6.1 6.1.192-1"}}


def tests(**marks):
    """Tests with rows of these statuses"""
    return [{"name": name, "rows": [results.row(f"row {i}", status, "no <such> CPU"
             if status in ("skip", "fail") else "") for i, status in enumerate(statuses.split())]}
            for name, statuses in marks.items()]


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.o, self.known = directory.name, {}
        patch = mock.patch.object(results, "known_rows", lambda: self.known)
        patch.start()
        self.addCleanup(patch.stop)

    def cell(self, name="6.1-4k-max-vhe", marks=None, where="cell", **fields):
        path = os.path.join(self.o, where, name)
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "result.json"), "w", encoding="utf-8") as f:
            json.dump({**CELL, "name": name, "tests": tests(**(marks or {"a": "pass pass"})),
                       **fields}, f)
        return path

    def step(self, name, marks=None, **fields):
        self.cell(name, marks or {name: "pass"}, "results", kind="tap", **fields)

    def report(self, *names, **environ):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = report.main([self.o, *names], environ)
        with open(os.path.join(self.o, "results/index.html"), encoding="utf-8") as f:
            self.page = f.read()
        with open(os.path.join(self.o, "results/check.tap"), encoding="utf-8") as f:
            self.tap = f.read().splitlines()
        self.text = out.getvalue()
        self.last = self.text.splitlines()[-1]
        self.assertLessEqual(max(map(len, self.text.splitlines())), report.WIDTH)
        self.text = re.sub("\n    (?=\\S)", " ", self.text)
        # All three have to agree.
        self.assertEqual(status, int(", 0 failed," not in self.last))
        self.assertEqual(status, int("<h2>Failed</h2>" in self.page))
        bad = [line for line in self.tap if line.startswith("not ok") and "# TODO" not in line]
        self.assertEqual(status, int(bool(bad)))
        self.assertEqual(self.tap[1], f"1..{len(self.tap) - 2}")
        return status

    def red(self, line, *names, **how):
        self.assertEqual(self.report(*names, **how), 1)
        self.assertIn(line, self.text)
        self.assertIn(html.escape(line), self.page)


class Report(Case):
    def test_all_is_well(self):
        self.cell(marks={"a": "pass pass", "b": "pass skip", "c": "skip"})
        self.step("lint")
        self.assertEqual(self.report("6.1-4k-max-vhe", "lint"), 0)
        self.assertEqual(self.last, "4 passed, 0 failed, 2 skipped")
        self.assertRegex(self.text, r"6.1-4k-max-vhe +ok ~  -\n")
        self.assertIn("    2  no <such> CPU", self.text)
        self.assertIn("no &lt;such&gt; CPU", self.page)
        self.assertIn("ok 4 - 6.1-4k-max-vhe: b: row 1 # SKIP no <such> CPU", self.tap)

    def test_nothing_had_to_run(self):
        self.red("no cells, and no other steps: nothing had to run")
        self.assertEqual(self.last, "0 passed, 1 failed, 0 skipped")

    def test_a_cell_without_a_result(self):
        self.cell()
        self.red("6.1-16k-max-vhe: no result: it did not get to run", "6.1-4k-max-vhe", "6.1-16k-max-vhe")
        self.assertEqual(self.last, "2 passed, 1 failed, 0 skipped")

    def test_a_step_without_a_result(self):
        self.cell()
        self.red("lint: no result", "6.1-4k-max-vhe", "lint")

    def test_a_broken_result(self):
        with open(os.path.join(self.cell(), "result.json"), "w", encoding="utf-8") as f:
            f.write("{")
        self.red("6.1-4k-max-vhe: ", "6.1-4k-max-vhe")

    def test_a_row_and_a_cell_that_failed(self):
        self.cell(marks={"a": "pass fail"}, verdict="fail", problems=["hung in b"])
        self.red("6.1-4k-max-vhe: a: row 1: no <such> CPU", "6.1-4k-max-vhe")
        self.red("6.1-4k-max-vhe: hung in b", "6.1-4k-max-vhe")
        self.assertRegex(self.text, r"6.1-4k-max-vhe +XX !")
        self.assertEqual(self.last, "1 passed, 2 failed, 0 skipped")

    def test_a_step_that_failed(self):
        self.step("lint", verdict="fail", problems=["ran 1 rows of 2"])
        self.red("lint: ran 1 rows of 2", "lint")

    def test_many_failures_are_for_the_page(self):
        self.cell(marks={"a": "fail " * (report.SHOWN + 3)}, verdict="fail")
        self.red("6.1-4k-max-vhe: a: row 1: no <such> CPU", "6.1-4k-max-vhe")
        self.assertIn("  ... and 3 more, on the page", self.text)
        self.assertIn(f"a: row {report.SHOWN + 2}: ", self.page)

    def test_a_failure_without_a_cause(self):
        self.cell(verdict="fail")
        self.red("it failed, and does not say why", "6.1-4k-max-vhe")

    def test_a_test_that_one_cell_lacks(self):
        self.cell(marks={"a": "pass", "b": "pass"})
        self.cell("6.1-16k-max-vhe", verdict="fail", problems=["x"], marks={"a": "pass"})
        self.red("x", "6.1-4k-max-vhe", "6.1-16k-max-vhe")
        self.assertRegex(self.text, r"6.1-16k-max-vhe +ok +!\n")

    def test_a_test_that_is_gone(self):
        self.cell()
        self.known = {("a", "6.1"): 1, ("b", "6.1"): 1, ("c", "7.3"): 1}
        self.red("b: it has a line for 6.1 in expect/rows, and no cell has the test: is it "
                 "installed?", "6.1-4k-max-vhe")
        self.assertEqual(self.last, "2 passed, 1 failed, 0 skipped")

    def test_a_step_of_make_that_left_no_result(self):
        self.cell()
        self.red("make: exit status 2: a step failed that left no result", "6.1-4k-max-vhe", MADE="2")

    def test_a_result_of_another_cell(self):
        os.rename(self.cell(), os.path.join(self.o, "cell/6.1-16k-max-vhe"))
        self.red("this is the result of 6.1-4k-max-vhe", "6.1-16k-max-vhe")

    def test_a_result_of_one_test_only(self):
        self.cell(boot=dict(CELL["boot"], test="a"))
        self.red("it ran but TEST=a", "6.1-4k-max-vhe")

    def test_rows_that_nobody_judged(self):
        self.cell(verdict="ran")
        self.red("nobody has judged its rows", "6.1-4k-max-vhe")

    def test_what_fails_as_it_has_to_has_its_own_mark_and_sum(self):
        self.cell(marks={"a": "pass pass", "b": "pass"})
        self.cell("6.1-base-4k-max-vhe", control=True, marks={"a": "pass xfail", "b": "pass"})
        self.assertEqual(self.report("6.1-4k-max-vhe", "6.1-base-4k-max-vhe"), 0)
        self.assertEqual(self.last, "5 passed, 0 failed, 0 skipped")
        self.assertRegex(self.text, r"6.1-base-4k-max-vhe +x  ok\n")
        self.assertIn("1 rows failed as they have to", self.text)
        self.assertIn("not ok 5 - 6.1-base-4k-max-vhe: a: row 1 # TODO has to fail", "\n".join(self.tap))

    def test_lines_of_expect_that_allowed_nothing(self):
        rows = [dict(results.row("one", "skip", "no such CPU"), by="skips:2")]
        self.cell(tests=[{"name": "a", "rows": rows}, {"name": "b", "rows": tests(b="pass")[0]["rows"]}])
        path = os.path.join(self.o, "skips")
        with open(path, "w", encoding="utf-8") as f:
            f.write("[!fwb]\na | ^no such CPU$\n[*]\n* | ^no <such> device$\n")
        lines = {line.where: line for line in results.expect_lines(path)}
        lines["fails:7"] = results.Line("fails:7", "*", "a | b")
        with mock.patch.object(results, "all_lines", lambda: lines):
            self.assertEqual(self.report("6.1-4k-max-vhe", FULL="1"), 0)
            said = "Lines of expect/ that allowed nothing:\n  skips:4: [*] * | ^no <such> device$\n\n"
            self.assertIn(said, self.text)
            self.assertIn("<li>skips:4: [*] * | ^no &lt;such&gt; device$", self.page)
            self.report("6.1-4k-max-vhe")
            self.assertNotIn("allowed nothing", self.text + self.page)

    def test_what_no_control_tells_apart(self):
        self.cell("6.1-base-4k-max-vhe", control=True, marks={"a": "xfail pass", "b": "pass"})
        self.report("6.1-base-4k-max-vhe")
        for said in (self.text, self.page):
            self.assertIn("do not tell a kernel without the feature by: b", said)
        self.cell()
        self.report("6.1-4k-max-vhe")
        self.assertIn("no control has run", self.text)

    def test_a_flaky_row_is_no_pass(self):
        self.step("own", marks={"own": "pass flaky"})
        self.red("own: row 1: flaky, FLAKY=ok lets it pass", "own")
        self.assertEqual(self.last, "1 passed, 1 failed, 0 skipped")
        self.assertRegex(self.text, r"own +f ")
        self.assertEqual(self.report("own", FLAKY="ok"), 0)
        self.assertEqual(self.last, "1 passed, 0 failed, 0 skipped")
        self.assertIn("1 rows passed only when run again", self.text)

    def test_what_was_tested(self):
        self.cell()
        self.cell("6.1-16k-max-vhe", source=dict(CELL["source"], edited="yes", ksrc="/my/linux"))
        self.cell("6.1-stock-4k-max-vhe", guest={"kernel": "6.1.0-9-arm64", "debian": "6.1.192-2"})
        self.cell("6.1-stock-4k-max-nvhe", guest={"kernel": "6.1.0-8-arm64", "debian": "6.1.176-1"})
        self.report("6.1-4k-max-vhe", "6.1-16k-max-vhe", "6.1-stock-4k-max-vhe",
                    "6.1-stock-4k-max-nvhe")
        for said in (self.text, self.page):
            self.assertIn("Linux 6.1.0-9-arm64 (Debian 6.1.192-2), the tests from 6.1.192 (linux",
                          said)
            self.assertIn("Linux 6.1.192 (linux-source-6.1 6.1.192-1), series v1-2-gabc, under "
                          "QEMU 7.2.22: 6.1-4k-max-vhe", said)
            self.assertIn("tested is your own tree /my/linux, tested is an EDITED tree", said)
        self.assertIn("in 1 of 4 cells tested is an EDITED tree, see tree.patch", self.text)
        self.assertIn("in 1 of 4 cells Debian's own kernel is 6.1.176-1, not the base's 6.1.192\n",
                      self.text)

    def test_a_cell_that_this_emulator_cannot_run(self):
        self.cell()
        self.cell("6.12-16k-max-protected", verdict="skip", marks={"(the cell)": "skip"},
                  boot=dict(CELL["boot"], skip="cannot"))
        self.assertEqual(self.report("6.1-4k-max-vhe", "6.12-16k-max-protected"), 0)
        self.assertRegex(self.text, r"6.12-16k-max-protected +-\n")

    def old(self, *paths):
        """Make these older than the check"""
        started = os.path.join(self.o, "results", ".started")
        os.makedirs(os.path.dirname(started), exist_ok=True)
        with open(started, "w", encoding="utf-8"):
            pass
        os.utime(started, (2, 2))
        for path in paths:
            os.utime(path, (1, 1))

    def test_a_result_of_before_counts_if_make_has_reached_it(self):
        result = os.path.join(self.cell(), "result.json")
        self.old(result)
        self.assertEqual(0, self.report("6.1-4k-max-vhe", ALL="1"))
        self.report("6.1-4k-max-vhe")
        self.assertIn("6.1-4k-max-vhe: no result: it did not get to run", self.text)
        self.assertFalse(os.path.exists(result))
        self.old(os.path.join(self.cell(), "result.json"))
        reached = os.path.join(self.o, "results", ".reached")
        os.mkdir(reached)
        with open(os.path.join(reached, "6.1-4k-max-vhe"), "w", encoding="utf-8"):
            pass
        self.assertEqual(0, self.report("6.1-4k-max-vhe"))

    def left(self, directory, **files):
        path = os.path.join(self.o, directory)
        os.makedirs(path, exist_ok=True)
        for name, text in files.items():
            with open(os.path.join(path, name + ".log"), "w", encoding="utf-8") as f:
                f.write(text)
        return path

    def test_steps_that_failed_are_named(self):
        failed = self.left(".failed", kernel="", old="")
        self.old(os.path.join(failed, "old.log"))
        self.report("6.1-4k-max-vhe")
        self.assertIn("it did not get to run; what failed: kernel\n", self.text)

    def test_where_the_time_went(self):
        self.cell()
        times = self.left(".times", **{"boot-a": "9.5 12\n", "boot-b": "4.0 3\n",
                                       "kernel-6.1-4k": "99.9 180\n", "boot-old": "1.0 1000\n"})
        self.old(os.path.join(times, "boot-old.log"))
        self.report("6.1-4k-max-vhe")
        self.assertIn("  195 s of CPU time: kernel 180, boot 15 ", self.text)
        self.assertIn("180 s of CPU time, 100 s by the clock: kernel-6.1-4k\n", self.text)

    def test_a_base_whose_source_is_gone_is_skipped(self):
        self.cell()
        os.mkdir(os.path.join(self.o, "source"))
        with open(os.path.join(self.o, "source", "7.3.tar.xz.gone"), "w", encoding="utf-8") as f:
            f.write("Debian's trixie-backports has no linux-source-7.3 any more\n")
        self.assertEqual(0, self.report("6.1-4k-max-vhe", "7.3-4k-max-vhe"))
        self.assertIn("has no linux-source-7.3 any more", self.text)

    def test_usage(self):
        with self.assertRaisesRegex(results.Error, "usage"):
            report.main([], {})


class Demo(unittest.TestCase):
    NAMES = {"0x00": "Device-nGnRnE", "0x04": "Device-nGnRE", "0x08": "Device-nGRE",
             "0x0c": "Device-GRE", "0x44": "Normal-NC", "0xbb": "Normal-WT", "0xff": "Normal-WB"}

    def setUp(self):
        self.lines = []
        for vma in ("vfio-pci", "sysfs"):
            for s1, name in self.NAMES.items():
                self.lines += [
                    f"# # memattr: vma={vma} s1={s1} s2=0x5 fwb=1 result={s1} rule={s1} "
                    "calibrated=0x00 verdict=pass oracle=at",
                    f"# ok 1 {vma}: stage 1 {name} ({s1})"]

    def table(self):
        table = demo.Table(self.lines)
        return "\n".join(table.lines("6.1-4k-max-vhe")), table.bad

    def change(self, old, new, at=8):
        self.assertIn(old, self.lines[at])
        self.lines[at] = self.lines[at].replace(old, new)

    def test_names_are_those_of_the_tests(self):
        said, bad = self.table()
        self.assertFalse(bad)
        self.assertRegex(said, r"Normal-WB +Normal-WB +Normal-WB +Normal-WB")

    def test_wrong(self):
        self.change("verdict=pass", "verdict=fail")
        said, bad = self.table()
        self.assertTrue(bad)
        self.assertIn("Normal-NC WRONG", said)

    def test_missing(self):
        del self.lines[8:10]
        said, bad = self.table()
        self.assertTrue(bad)
        self.assertIn("not tested", said)

    def test_a_row_without_an_end(self):
        del self.lines[-1]
        self.assertTrue(self.table()[1])

    def test_a_deviation_has_its_reason(self):
        self.change("verdict=pass", "verdict=deviation")
        self.assertTrue(self.table()[1])
        self.lines[9] += " # SKIP platform deviation: known"
        said, bad = self.table()
        self.assertFalse(bad)
        self.assertIn("(1) the machine deviates: known", said)

    def test_nothing(self):
        with self.assertRaisesRegex(results.Error, "a row is wrong or missing"):
            with contextlib.redirect_stdout(io.StringIO()):
                demo.main(["/nonexistent"])


if __name__ == "__main__":
    unittest.main()
