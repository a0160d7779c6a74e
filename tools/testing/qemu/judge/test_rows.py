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

    def test_the_least_of_all_cells_that_have_run_it(self):
        one, two, none = ("one", "pass"), ("two", "skip", "why"), ("(all)", "skip", "why")
        self.left("v", a=[one, two], b=[one], c=[none])
        self.left("w", a=[one], b=[none])
        self.left("x", a=[("(the program)", "fail", "it did not run")])
        self.left("y", "6.12", a=[one, two, ("three", "fail")])
        self.left("z", verdict="skip")
        self.assertEqual(self.write(), "# head\na 6.1 1\na 6.12 3\nb 6.1 1\n")

    def test_what_has_not_run_stays_and_what_is_no_more_goes(self):
        self.left("x", a=[("one", "pass")], c=[("(all)", "skip", "why")])
        self.assertEqual(self.write("a 6.1 9\nc 6.1 4\ngone 6.1 2\ngone 7.3 2\n"),
                         "# head\na 6.1 1\nc 6.1 4\ngone 7.3 2\n")

    def test_without_results(self):
        with self.assertRaisesRegex(results.Error, "has run: run \"make check\" first"):
            self.write()


if __name__ == "__main__":
    unittest.main()
