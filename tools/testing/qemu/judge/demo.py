#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""demo.py DIR...: what cells found, as tables for people

For each stage-1 type, what a guest gets from a BAR through an ordinary VMA, and
through vfio-pci's. The exit status says whether all is as it should be. Types have
the names that the tests give them.
"""
import os
import re
import sys
import textwrap

import results

# Those of Linux, in the order of their encodings
ORDER = ("0x00", "0x04", "0x08", "0x0c", "0x44", "0xbb", "0xff")
VMAS = {"sysfs": "ordinary VMA (sysfs)", "vfio-pci": "vfio-pci VMA"}


def observed(line):
    """The KEY=VALUE words of what a test observed, or None for another line"""
    if line.startswith("# # memattr: "):
        return dict(word.split("=", 1) for word in line.split() if "=" in word)
    return None


class Table:
    """One cell's"""

    def __init__(self, lines):
        self.names, self.seen, self.notes, self.bad = {}, {}, [], False
        said = None
        for line in lines:
            row = re.match(r"# (?:not )?ok \d+ (.*)", line)
            said = observed(line) or said
            if row:
                name = re.search(r"stage 1 (\S+) \((0x[0-9a-f]{2})\)", row[1])
                if name:
                    self.names.setdefault(name[2], name[1])
                # The first row of a kind is the plain access.
                if said and (not name or said["s1"] == name[2]):
                    why = row[1].partition("platform deviation: ")[2]
                    self.seen.setdefault((said["vma"], said["s1"]), dict(said, why=why))
                said = None

    def type(self, attr):
        return self.names.get(attr, attr)

    def entry(self, vma, s1):
        """What a cell of the table shows, with a mark for what wants an explanation"""
        row = self.seen.get((vma, s1))
        if row is None:
            self.bad = True
            return "not tested"
        if row["verdict"] == "deviation" and row["why"]:
            self.notes.append(row["why"])
            return f"{self.type(row['result'])} ({len(self.notes)})"
        if row["verdict"] != "pass":
            self.bad = True
            return self.type(row["result"]) + " WRONG"
        return self.type(row["result"])

    def lines(self, cell):
        first = next(iter(self.seen.values()), {"fwb": "?", "oracle": "?"})
        fwb = {"1": "FEAT_S2FWB", "0": "no FEAT_S2FWB"}.get(first["fwb"], "?")
        oracle = {"at": "as the CPU computes it (AT S12E1R)",
                  "rules": "by the rules, from the stage-2 descriptor"}.get(first["oracle"], "?")
        yield ""
        yield f"{cell} ({fwb}): the type a guest gets, {oracle}"
        yield ""
        widths = "  {:16} {:22} {:22} {}"
        yield widths.format("guest's stage 1", *VMAS.values(), "architecture, vfio-pci")
        for s1 in ORDER:
            rule = self.seen.get(("vfio-pci", s1), {"rule": "?"})["rule"]
            yield widths.format(self.type(s1), *(self.entry(vma, s1) for vma in VMAS),
                                self.type(rule))
        for number, why in enumerate(self.notes, 1):
            yield textwrap.fill(f"({number}) the machine deviates: {why}", 95,
                                initial_indent="  ", subsequent_indent="      ")


def main(dirs):
    if not dirs:
        raise results.Error("usage: demo.py DIR...")
    bad = False
    for directory in dirs:
        table = Table(results.read(os.path.join(directory, "ktap")) or [])
        print(*table.lines(os.path.basename(directory)), sep="\n")
        bad |= table.bad
    print()
    if bad:
        raise results.Error(f"a row is wrong or missing; console and KTAP are in {' '.join(dirs)}")
    print("A vfio-pci BAR is what the guest maps it; any other MMIO is Device.")


if __name__ == "__main__":
    results.run(main, sys.argv[1:])
