#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""names.py: does whatever names a row name one that there is?

expect/rows has the rows that there are. Named they are in the heads of mutants, in
expect/fails, and in the paragraphs "*Tests*:" of the documents. Prints those that are not.
"""
import fnmatch
import os
import re
import sys

import results

ROOT = os.path.join(results.EXPECT, "../../../../..")
sys.path.insert(0, os.path.join(ROOT, "tools/testing/qemu/plan"))
# They are beside this directory, not in Python's path.
from mutants import heads  # noqa: E402

DOCUMENTS = ["Documentation/virt/kvm/arm/mmio-memory-types.rst",
             "Documentation/virt/kvm/arm/mmio-memory-types-details.rst"]


def of_mutants(known):
    for name, (path, head) in heads().items():
        base = head.get("Cell", "").partition("-")[0]
        rows = known.get((os.path.basename(os.path.dirname(path)), base), [])
        row = head.get("Row", head.get("Pass"))
        # That is what a program has that does not get to its rows.
        if row and not any(re.search(row, r) for r in ["(the program)", *rows]):
            yield f"mutants: {name}: no row of {base} matches {row}"


def of_fails(known):
    # The step x86 has rows of a test, after the name of a kernel.
    known = {**known, ("x86", ""): ["6.1-stock: " + row for row in ["(the VM)", *known.get(
        ("vfio_pci_bar_revoke_test", "6.1"), [])]]}
    for line in results.expect_lines(os.path.join(results.EXPECT, "fails")):
        if not any(fnmatch.fnmatchcase(test, line.test) and line.what.search(row)
                   for (test, _), rows in known.items() for row in rows):
            yield f"expect/fails: no row matches {line.text}"


def of_document(known, text, document="the document"):
    tests = {}
    for (test, _), rows in known.items():
        tests.setdefault(test, set()).update(rows)
    for paragraph in re.findall(r"^\*Tests\*:.*?(?:\n\n|\Z)", text, re.M | re.S):
        here = []
        for name in re.findall(r"``(.*?)``", re.sub(r"\s+", " ", paragraph)):
            test, _, row = name.partition(": ")
            if test in tests:
                here = tests[test]
            else:
                row = name
            row = re.sub(r"(\\ )?\\\.\\\.\\\.", ".*", re.escape(row))
            if not any(re.search(row, r) for r in here):
                yield f"{document}: no row is named {name!r}"


def main(args):
    if args:
        raise results.Error("usage: names.py")
    known = results.known_rows()
    wrong = [*of_mutants(known), *of_fails(known)]
    for document in DOCUMENTS:
        text = "\n".join(results.read(os.path.join(ROOT, document)))
        wrong += of_document(known, text, document)
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    results.run(main, sys.argv[1:])
