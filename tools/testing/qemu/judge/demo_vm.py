#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""demo_vm.py DIR...: what VMs under QEMU got in cells, side by side, for people

For each way in which the guest maps a BAR: what it asks for, what it gets, and what
comes of an unaligned access; below it what the consoles say. A cell of a stock kernel
comes first. The exit status says whether all is as it should be: without the series the
VM dies where the guest asked for Normal memory.
"""
import os
import re
import sys

import results
from demo import observed

NAMES = {"0x00": "Device-nGnRnE", "0x04": "Device-nGnRE", "0x44": "Normal-NC"}


class Cell:
    """What a cell has left"""

    def __init__(self, directory):
        self.name = os.path.basename(directory)
        self.stock = "-stock-" in self.name or "-base-" in self.name
        self.asked, self.got, self.end, self.said = {}, {}, {}, []
        notes = []
        for line in results.read(os.path.join(directory, "ktap")) or []:
            row = re.match(r"# (not )?ok \d+ (\w+): (\w+)", line)
            said = observed(line)
            if said:
                self.asked[said["vma"]] = NAMES.get(said["s1"], said["s1"])
                self.got[said["vma"]] = NAMES.get(said["result"], said["result"])
            elif line.startswith("# # ") and "# bench: " not in line:
                notes.append(line[4:])
            elif row:
                bad, how, what = row.groups()
                text = " ".join(notes)
                if what == "unaligned":
                    self.end[how] = "the VM dies" if "the VM died" in text else \
                        "fails" if bad else "not known" if "# SKIP" in line else \
                        "works" if self.asked.get(how, "").startswith("Normal") else "faults"
                if what in ("data", "unaligned") and how == "ioremap_wc":
                    self.said += [note.partition(": ")[2] for note in notes]
                notes = []
        console = results.read(os.path.join(directory, "console.log")) or []
        self.kvm = [line for line in console if "Unsupported FSC" in line][:1]

    def entry(self, how):
        return self.got.get(how, "?"), self.end.get(how, "?")

    def right(self, how):
        """As it should be? The guest's own stage 1 makes an access to Device memory fault"""
        if not self.asked.get(how, "").startswith("Normal"):
            return self.entry(how) == (self.asked.get(how), "faults")
        return self.entry(how) == (("Device-nGnRE", "the VM dies") if self.stock
                                   else ("Normal-NC", "works"))


def lines(cells):
    hows = list(cells[-1].asked)
    yield ""
    yield "The same Linux guest under QEMU, with a BAR by -device vfio-pci: what it asks for,"
    yield "what it gets, and what an unaligned access does"
    yield ""
    form = "  {:14} {:14}" + " {:27}" * len(cells)
    yield form.format("", "", *(cell.name for cell in cells)).rstrip()
    yield form.format("maps it by", "asks for", *["gets          unaligned"] * len(cells)).rstrip()
    for how in hows:
        yield form.format(how, cells[-1].asked[how],
                          *("{:13} {}".format(*cell.entry(how)) for cell in cells)).rstrip()
    for cell in cells:
        yield ""
        yield f"{cell.name}, a driver in the guest with ioremap_wc():"
        yield from ("  host: " + line for line in cell.kvm)
        yield from ("  " + line for line in dict.fromkeys(cell.said))


def main(dirs):
    if not dirs:
        raise results.Error("usage: demo_vm.py DIR...")
    cells = [Cell(directory) for directory in dirs]
    print(*lines(cells), "", sep="\n")
    wrong = [f"{cell.name}: {how}" for cell in cells for how in cell.asked if not cell.right(how)]
    if wrong or not all(cell.asked for cell in cells):
        raise results.Error(f"not as it should be: {', '.join(wrong) or 'nothing was seen'}; "
                            f"console and KTAP are in {' '.join(dirs)}")
    print("The guest is the same. With the series it gets what it asks for.")


if __name__ == "__main__":
    results.run(main, sys.argv[1:])
