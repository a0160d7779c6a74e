# SPDX-License-Identifier: GPL-2.0-only
"""expect/rows, written anew"""
import json
import os
import tempfile
import unittest
from unittest import mock

import results
import rows


class Rows(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.o = directory.name

    def left(self, cell, base="6.1", verdict="fail", **tests):
        path = os.path.join(self.o, "cell", cell)
        os.makedirs(path)
        with open(os.path.join(path, "result.json"), "w", encoding="utf-8") as f:
            json.dump({"verdict": verdict, "boot": {"test": "*"}, "source": {"base": base},
                       "tests": [{"name": name, "rows": [results.row(*words) for words in said]}
                                 for name, said in tests.items()]}, f)

    def write(self, before=""):
        path = os.path.join(self.o, "rows")
        with open(path, "w", encoding="utf-8") as f:
            f.write("# head\n" + before)
        with mock.patch.object(results, "EXPECT", self.o):
            rows.main([self.o])
        return "\n".join(results.read(path))

    def test_a_row_that_not_each_cell_has_is_marked(self):
        one, two, none = ("one", "pass"), ("two", "skip", "why"), ("(all)", "skip", "why")
        self.left("v", a=[one, two], b=[one], c=[none])
        self.left("w", a=[one], b=[none])
        self.left("x", a=[("(the program)", "fail", "it did not run")])
        self.left("y", "6.12", a=[one, two, ("three", "fail")])
        self.left("z", verdict="skip")
        self.assertEqual(self.write(), "# head\n\n[a 6.1]\none\n? two\n\n"
                         "[a 6.12]\none\ntwo\nthree\n\n[b 6.1]\none\n")

    def test_a_row_without_a_name_may_be_any(self):
        self.left("v", a=[("one", "pass"), ("row 2", "skip", "why")])
        self.left("w", a=[("row 1", "skip", "why"), ("two", "pass")])
        self.assertEqual(self.write(), "# head\n\n[a 6.1]\none\ntwo\n")

    def test_bases_with_the_same_rows_have_them_once(self):
        self.left("v", a=[("one", "pass")])
        self.left("w", "7.3", a=[("one", "skip", "why")])
        self.assertEqual(self.write(), "# head\n\n[a 6.1 7.3]\none\n")

    def test_what_has_not_run_stays_and_what_is_no_more_goes(self):
        self.left("x", a=[("one", "pass")], c=[("(all)", "skip", "why")])
        self.assertEqual(self.write("[a 6.1]\ntwo\n[c 6.1]\n? three\n[gone 6.1 7.3]\nfour\n"),
                         "# head\n\n[a 6.1]\none\n\n[c 6.1]\n? three\n\n[gone 7.3]\nfour\n")

    def test_without_results(self):
        with self.assertRaisesRegex(results.Error, "has run: run \"make check\" first"):
            self.write()


if __name__ == "__main__":
    unittest.main()
