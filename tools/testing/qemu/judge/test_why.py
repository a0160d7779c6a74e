# SPDX-License-Identifier: GPL-2.0-only
"""What is said of rows that were skipped, or failed as they have to"""
import contextlib
import io
import json
import os
import tempfile
import unittest
from unittest import mock

import results
import why

SKIPS = "# reasons\n[!fwb]\n* | ^the CPU has no FEAT_S2FWB:\n[*]\n* | ^no such device$\n"
FAILS = "[!feature]\na | ^one | is Device$\n"


def skip(name, reason, by):
    return dict(results.row(name, "skip", reason), by=by)


class Why(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.o = directory.name
        self.expect(SKIPS, FAILS)
        patch = mock.patch.object(results.all_lines, "__defaults__", (self.o,))
        patch.start()
        self.addCleanup(patch.stop)
        self.left("cell", [
            skip("two", "the CPU has no FEAT_S2FWB: run on one that has", "skips:3"),
            skip("three", "0000:02:00.0 is no such device", "skips:5"),
            skip("four", "0000:03:00.0 is no such device", "skips:5"),
            results.row("five", "pass"),
            dict(results.row("one", "xfail", "it began\none: it is Device"), by="fails:2")])

    def expect(self, skips, fails):
        for name, text in (("skips", skips), ("fails", fails)):
            with open(os.path.join(self.o, name), "w", encoding="utf-8") as f:
                f.write(text)

    def left(self, kind, rows, name="6.1-4k-max-vhe"):
        path = os.path.join(self.o, kind, name)
        os.makedirs(path)
        with open(os.path.join(path, "result.json"), "w", encoding="utf-8") as f:
            json.dump({"name": name, "verdict": "pass", "problems": [],
                       "tests": [{"name": "a", "rows": rows}]}, f)
        return path

    def why(self, *args):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            why.main([self.o, *(args or ("6.1-4k-max-vhe",))])
        return out.getvalue()

    def test_reasons_lines_and_rows(self):
        self.expect(SKIPS.replace("^no such", "no such"), FAILS)
        self.assertEqual(self.why(), "6.1-4k-max-vhe: 1 passed, 0 failed, 3 skipped, 1 failed as "
                         f"they have to; {self.o}/cell/6.1-4k-max-vhe" """

skipped: ... is no such device
  expect/skips:5
    [*]
    * | no such device$
  a: three
  a: four

skipped: the CPU has no FEAT_S2FWB: run on one that has
  expect/skips:3
    [!fwb]
    * | ^the CPU has no FEAT_S2FWB:
  a: two

failed, as it has to: it is Device
  expect/fails:2
    [!feature]
    a | ^one | is Device$
  a: one
""")

    def test_some_rows(self):
        said = self.why("6.1-4k-max-vhe", "^a: t[wh]")
        self.assertEqual([line for line in said.splitlines() if line.startswith("  a: ")],
                         ["  a: two", "  a: three"])

    def test_a_line_that_is_another_by_now(self):
        for skips in (SKIPS.replace("# reasons\n", ""), ""):
            self.expect(skips, FAILS)
            self.assertIn("  expect/skips:3\n    which has changed since: judge it again\n  a: two",
                          self.why())

    def test_the_newest_result(self):
        path = self.left("run", [skip("six", "no such device", "skips:5")])
        os.utime(os.path.join(path, "result.json"), (1, 1))
        self.assertIn("a: two", self.why())
        os.utime(os.path.join(path, "result.json"))
        self.assertNotIn("a: two", self.why())

    def test_what_there_is_nothing_to_say_of(self):
        self.left("results", [results.row("one", "pass")], "lint-fast")
        for args, said in ((("6.1-9k-max-vhe",), "6.1-9k-max-vhe has no result in .*: is there"),
                           (("lint-fast",), "no row of lint-fast was skipped, or had to fail$"),
                           (("6.1-4k-max-vhe", "seven"), ", that matches ROW=seven$"),
                           (("6.1-4k-max-vhe", "("), r"ROW=\(: .*: it is a regular expression"),
                           ((), "usage")):
            with self.assertRaisesRegex(results.Error, said):
                why.main([self.o, *args])


if __name__ == "__main__":
    unittest.main()
