# SPDX-License-Identifier: GPL-2.0-only
"""Rows that are named, and are not there"""
import unittest
from unittest import mock

import names

KNOWN = {("a", "6.1"): {"one: b": True}, ("c", "7.3"): {"two": False, "three": True}}


class Names(unittest.TestCase):
    def mutants(self, row, test="a", cell="6.1-4k-max-vhe"):
        found = {"m": (f"mutants/{test}/m.patch", {"Cell": cell, **row})}
        with mock.patch.object(names, "heads", lambda: found):
            return list(names.of_mutants(KNOWN))

    def test_mutants(self):
        self.assertEqual(self.mutants({"Row": "^one: "}), [])
        self.assertEqual(self.mutants({"Row": r"^\(the program\)$"}), [])
        self.assertEqual(self.mutants({"Excused": "why"}), [])
        self.assertEqual(self.mutants({"Row": "two"}), ["mutants: m: no row of 6.1 matches two"])
        self.assertEqual(len(self.mutants({"Pass": "one"}, cell="7.3-4k-max-vhe")), 1)

    def test_document(self):
        text = "x\n\n*Tests*: ``a: one: ...``, ``one:\nb``; ``c`` and ``two``, ``t...e``.\n\n``y``"
        self.assertEqual(list(names.of_document(KNOWN, text)), [])
        self.assertIn("'four'", "".join(names.of_document(KNOWN, "*Tests*: ``c: two``, ``four``\n")))
        self.assertEqual(len(list(names.of_document(KNOWN, "*Tests*: ``a: two``\n"))), 1)

    def test_fails(self):
        lines = [names.results.Line("fails:1", "", text) for text in ("* | ^two$", "a | two")]
        with mock.patch.object(names.results, "expect_lines", lambda _: lines):
            self.assertEqual(list(names.of_fails(KNOWN)), ["expect/fails: no row matches a | two"])
        lines = [names.results.Line("fails:1", "", "x86 | ^6.1-stock: one$")]
        known = {("vfio_pci_bar_revoke_test", "6.1"): {"one": True}}
        with mock.patch.object(names.results, "expect_lines", lambda _: lines):
            self.assertEqual(list(names.of_fails(known)), [])
            self.assertEqual(len(list(names.of_fails(KNOWN))), 1)


if __name__ == "__main__":
    unittest.main()
