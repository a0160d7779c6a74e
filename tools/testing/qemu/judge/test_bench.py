# SPDX-License-Identifier: GPL-2.0-only
"""The table of what things cost"""

import os
import tempfile
import unittest

import bench
import results


class Bench(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory()
        self.addCleanup(tmp.cleanup)
        self.dir = tmp.name

    def cell(self, name, text):
        path = os.path.join(self.dir, name)
        os.mkdir(path)
        with open(os.path.join(path, "ktap"), "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def test_ratio_of_medians_and_its_spread(self):
        self.assertEqual(bench.ratio([110, 120, 130], [100, 100, 100]), "1.200 (1.100 to 1.300)")
        self.assertEqual(bench.ratio([120], [100]), "1.200")
        self.assertEqual(bench.ratio(None, [100]), "-")

    def test_cells_side_by_side(self):
        dirs = [self.cell("6.1-base-4k-max+icount-vhe", "# # bench: a fault = 100\n"),
                self.cell("6.1-4k-max+icount-vhe", "# # bench: a fault = 150\n# # bench: b = 1\n")]
        kernels = {"6.1-base": bench.figures(dirs[0]), "6.1": bench.figures(dirs[1])}
        self.assertEqual([line.split() for line in bench.table(kernels, ["a fault", "b"]).split("\n")],
                         [["median", "6.1-base", "6.1", "6.1", ":", "6.1-base"],
                          ["a", "fault", "100", "150", "1.500"], ["b", "-", "1", "-"], []])
        self.assertIn("a fault", bench.plot(kernels, ["a fault", "b"]))

    def test_no_figures(self):
        for path in self.cell("x", "ok 1\n"), os.path.join(self.dir, "none"):
            with self.assertRaisesRegex(results.Error, "^/.*/ktap has no figures"):
                bench.figures(path)
