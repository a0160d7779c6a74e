# SPDX-License-Identifier: GPL-2.0-only
"""The page for people, and its picture of what guests got"""
import os
import re
import unittest

import results
import test_report

NAMES = test_report.Demo.NAMES
FACTS = {"6.1-4k-max-vhe": "6.1 4k series feature vhe max fwb mte gicv3",
         "6.1-4k-max-nvhe": "6.1 4k series feature nvhe max fwb mte gicv3",
         "6.1-stock-4k-max-vhe": "6.1 4k stock vhe max fwb mte gicv3",
         "6.12-4k-neoverse-n1-vhe": "6.12 4k series feature vhe neoverse-n1 gicv3"}


def saw(s1, result, vma="vfio-pci", verdict="pass", name=None, end=""):
    name = name or f"{vma}: stage 1 {NAMES[s1]} ({s1})"
    return [f"# # memattr: vma={vma} s1={s1} result={result} rule={result} verdict={verdict}",
            f"# ok 1 {name}{end}"]


class Page(test_report.Case):
    def cell(self, name="6.1-4k-max-vhe", ktap=(), **fields):
        boot = dict(test_report.CELL["boot"], facts=FACTS[name])
        path = super().cell(name, boot=boot, **fields)
        with open(os.path.join(path, "ktap"), "w", encoding="utf-8") as f:
            f.writelines(line + "\n" for line in ktap)
        return path

    def line(self, of, after="<h2>What a guest gets"):
        """The types in the line of a host, each with its colour, from stronger to weaker"""
        text = self.page[self.page.index(after):].replace("<wbr>", "")
        text = re.search(rf">{of} <small>.*?(?=<tr>|</tbody>)", text, re.S)[0]
        return re.findall(r"<td(?: style=.background: var\(--m(..)\).)?( class=wrong)?>(.*)", text)

    def test_nothing_is_from_elsewhere(self):
        self.cell(ktap=saw("0x44", "0x44"))
        self.report("6.1-4k-max-vhe")
        self.assertFalse(re.search(r"<script|://|src=|url\(|@import", self.page))

    def test_it_links_to_what_is_there(self):
        self.cell()
        self.report("6.1-4k-max-vhe")
        self.assertIn('href="../cell/6.1-4k-max-vhe/ktap"', self.page)
        self.assertNotIn("console.log", self.page)

    def test_a_cell_opens_to_its_rows_with_reasons(self):
        rows = [dict(results.row("one", "skip", "no <such> CPU"), by="skips:9999"),
                dict(results.row("two", "skip", "no <such> CPU"), by="skips:9999"),
                results.row("three", "pass"), results.row("four", "fail", "it is not so")]
        self.cell(tests=[{"name": "a", "rows": rows}], verdict="fail", problems=["hung in <b>"])
        self.report("6.1-4k-max-vhe")
        opened = self.page[self.page.index("<details "):self.page.index("</details>")]
        self.assertIn('<p class="bad">hung in &lt;b&gt;</p>', opened)
        self.assertRegex(opened.replace("\n", ""), "fail.>1 failed<td>it is not so<td>four.*skip.>"
                         "2 skipped<td>no &lt;such&gt; CPU<br><small>expect/skips:9999</small><td>"
                         "one; two.*pass.>1 passed<td colspan=.2.>three")

    def test_each_mark_has_a_colour(self):
        for status, kind, number in (("pass pass", "pass", 2), ("pass skip", "some", 1),
                                     ("skip skip", "skip", 2), ("pass xfail", "xfail", 1),
                                     ("fail pass pass", "fail", 1), ("", "fail", r"\?")):
            self.cell(marks={"a": status})
            self.report("6.1-4k-max-vhe")
            self.assertRegex(self.page, f'<span class="{kind}" title="a: [^"]*">{number}</span>')
            self.assertIn(f" .{kind} {{", self.page.replace("\n", " "))

    def test_bases_can_be_chosen(self):
        self.cell()
        self.cell("6.12-4k-neoverse-n1-vhe")
        self.report("6.1-4k-max-vhe", "6.12-4k-neoverse-n1-vhe")
        self.assertIn('#base2:checked ~ .wide [data-base]:not([data-base="6.12"])', self.page)
        self.assertIn('<label for="base2">6.12</label>', self.page)

    def test_what_guests_got_on_stock_and_with_the_series(self):
        self.cell(ktap=saw("0x0c", "0x0c") + saw("0x44", "0x44") + saw("0xff", "0x44"))
        self.cell("6.1-stock-4k-max-vhe", control=True, ktap=saw("0x44", "0x04", verdict="fail"))
        self.report("6.1-4k-max-vhe", "6.1-stock-4k-max-vhe")
        none, nc = ("", "", ""), ("44", "", "Normal-NC")
        self.assertEqual(self.line("VHE, FEAT_S2FWB", "Linux 6.1 as it is, without the feature"),
                         [none] * 4 + [("04", "", "Device-nGnRE")] + [none] * 2)
        self.assertEqual(self.line("VHE, FEAT_S2FWB", "Linux 6.1 with the series"),
                         [none] * 3 + [("0c", "", "Device-GRE"), nc, none, nc])
        self.assertLess(self.page.index("6.1 as it is"), self.page.index("6.1 with the series"))

    def test_other_mappings_have_a_line_of_their_own(self):
        self.cell(ktap=saw("0x44", "0x44") + saw("0x44", "0x04", "sysfs"))
        self.report("6.1-4k-max-vhe")
        self.assertEqual(self.line("VHE, FEAT_S2FWB")[4], ("44", "", "Normal-NC"))
        self.assertEqual(self.line("VHE, FEAT_S2FWB", "any other MMIO")[4][0], "04")

    def test_where_the_cpu_cannot_be_asked_a_driver_says_it(self):
        self.cell("6.1-4k-max-nvhe", ktap=saw("0x44", "0x44", "ioremap_wc", name="any: type"))
        self.report("6.1-4k-max-nvhe")
        self.assertEqual(self.line("nVHE, FEAT_S2FWB")[4], ("44", "", "Normal-NC"))

    def test_what_is_wrong_what_deviates_and_what_differs(self):
        self.cell(ktap=saw("0x44", "0x04", verdict="fail"))
        self.cell("6.12-4k-neoverse-n1-vhe", ktap=saw(
            "0x0c", "0x04", verdict="deviation", end=" # SKIP platform deviation: it is, without "
            "KVM too, on MIDR_EL1 0x414fd0c1 on a machine, TCG: QEMU: <known>")
            + saw("0x44", "0x44") + saw("0x44", "0xff", "ioremap_wc", name="ioremap_wc: type"))
        self.report("6.1-4k-max-vhe", "6.12-4k-neoverse-n1-vhe")
        self.assertEqual(self.line("VHE, FEAT_S2FWB")[4][:2], ("04", " class=wrong"))
        line = self.line("VHE, no FEAT_S2FWB")
        self.assertEqual(line[3], ("04", "", "Device-nGnRE<sup>1</sup>"))
        self.assertEqual(line[4], ("44", "", "Normal-NC or 0xff"))
        self.assertIn("1: the machine deviates: QEMU: &lt;known&gt;<", self.page)

    def test_without_the_feature_a_deviation_is_that_of_other_mappings(self):
        self.cell("6.1-stock-4k-max-vhe", control=True, ktap=saw("0x00", "0x04", verdict="fail")
                  + saw("0x00", "0x04", "sysfs", "deviation", end=" # SKIP platform deviation: x"))
        self.report("6.1-stock-4k-max-vhe")
        self.assertEqual(self.line("VHE, FEAT_S2FWB", "as it is")[0],
                         ("04", "", "Device-nGnRE<sup>1</sup>"))

    def test_without_observations_there_is_no_picture(self):
        self.cell()
        self.report("6.1-4k-max-vhe")
        self.assertNotIn("What a guest gets", self.page)


if __name__ == "__main__":
    unittest.main()
