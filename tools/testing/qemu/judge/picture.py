# SPDX-License-Identifier: GPL-2.0-only
"""What guests got from BARs, for the page: by the type in their own tables and by kind of
host, on kernels as they are and with the series"""
import html
import os
import re

import demo
import demo_vm
import results

MODES = {"vhe": "VHE", "nvhe": "nVHE", "protected": "pKVM"}
# Mappings that are none of vfio-pci's; what a VM's driver has is one.
OTHERS = ("sysfs", "sysfs-wc", "devmem", "anon", "thp", "gicv")
OTHER = "On all of them, any other MMIO: a BAR that sysfs maps"
STYLE = """:root { --m00: #ee9f80; --m04: #f6bfa6; --m08: #fad8a8; --m0c: #fcebc2;
 --m44: #a3dfab; --mbb: #b5d4f5; --mff: #b5d4f5 }
@media (prefers-color-scheme: dark) { :root { --m00: #8f3316; --m04: #703620; --m08: #665020;
 --m0c: #4d4326; --m44: #1f6b38; --mbb: #24507f; --mff: #24507f } }
.got td { text-align: center }
.got td:first-child { text-align: left }
.got tbody th { padding-top: .8em; font-weight: bold; border: 0 }
.got sup { line-height: 0 }
.wrong { outline: 3px solid var(--bad); outline-offset: -3px }
@media (max-width: 900px) { .got { font-size: 11px } }"""


def facts(cell):
    return cell["boot"]["facts"].split()


def base(cell):
    return "real machines" if "machine" in facts(cell) else facts(cell)[0]


def patched(cell):
    return not {"stock", "pristine"} & set(facts(cell))


def kernel(cell):
    if "machine" in facts(cell):
        return f"A real machine: {cell['name']}"
    if patched(cell):
        return f"Linux {facts(cell)[0]} with the series"
    has = "which has the feature" if "feature" in facts(cell) else "without the feature"
    return f"Linux {facts(cell)[0]} as it is, {has}"


def kind(cell):
    """Its mode, and whether it has FWB, as they are to be sorted"""
    return next(n for n, mode in enumerate(MODES) if mode in facts(cell)), "fwb" not in facts(cell)


def as_elsewhere(said, seen):
    """What has failed for its stage 2 may deviate as well, as another mapping of it does"""
    other = seen.get(("sysfs", said["s1"]), {})
    same = all(other.get(key) == said.get(key) for key in ("s2", "result"))
    return dict(said, why=said["why"] or other["why"]) if same else said


class Picture:
    def __init__(self, cells):
        cells = [cell for cell in cells if set(MODES) & set(facts(cell))]
        bases = list(dict.fromkeys(base(cell) for cell in cells))
        cells = sorted(cells, key=lambda cell: (bases.index(base(cell)), patched(cell)))
        tables = [(cell, demo.Table(results.read(os.path.join(cell["dir"], "ktap")) or []))
                  for cell in cells]
        self.names = dict(demo_vm.NAMES)
        for _, table in tables:
            self.names.update(table.names)
        # kernel -> host -> stage-1 type -> (cell, observation)
        self.kernels, self.notes = {}, []
        for cell, table in tables:
            self.add(kernel(cell), cell, (as_elsewhere(s, table.seen) for (vma, _), s
                                          in table.seen.items() if vma not in OTHERS))
        for cell, table in tables:
            if "machine" not in facts(cell):
                self.add(OTHER, cell, (s for (vma, _), s in table.seen.items() if vma == "sysfs"))

    def add(self, what, cell, seen):
        for said in seen:
            hosts = self.kernels.setdefault(what, {})
            hosts.setdefault(kind(cell), {}).setdefault(said["s1"], []).append((cell, said))

    def name(self, attr):
        return html.escape(self.names.get(attr, attr)).replace("-", "-<wbr>")

    def note(self, why):
        """Its number; what the machine is called is of no interest here"""
        why = re.sub(r".*, on MIDR_EL1 [^:]*: ", "", why)
        if why not in self.notes:
            self.notes.append(why)
        return self.notes.index(why) + 1

    def entry(self, seen):
        """One that all agree on, or each that there is"""
        if not seen:
            return "<td>"
        wrong = any(said["verdict"] == "fail" and "feature" in facts(cell) for cell, said in seen)
        got = {}
        for _, said in seen:
            got.setdefault(said["result"], set()).add(said["why"])
        types = [self.name(attr) + "".join(f"<sup>{n}</sup>" for n in sorted(
            {self.note(why) for why in whys - {""}})) for attr, whys in got.items()]
        return (f'<td style="background: var(--m{min(got)[2:]})"{" class=wrong" * wrong}>'
                + " or ".join(types))

    def host(self, host, types):
        """The line of a host"""
        mode, plain = host
        cells = sorted({cell["name"] for seen in types.values() for cell, _ in seen})
        yield (f'<tr><td title="{html.escape(", ".join(cells))}">{list(MODES.values())[mode]}, '
               f'{"no " * plain}FEAT_S2FWB <small>{len(cells)}</small>')
        yield from (self.entry(types.get(s1)) for s1 in demo.ORDER)

    def lines(self):
        if not self.kernels:
            return
        yield "<h2>What a guest gets</h2><p>Across: the type of a BAR of vfio-pci in the guest's "
        yield "own tables (stage 1). Down: the host. In the table: what the guest gets.</p>"
        yield '<div class="wide"><table class="got"><thead><tr><th>the guest asks for'
        yield from (f'<th style="background: var(--m{s1[2:]})">{self.name(s1)}'
                    for s1 in demo.ORDER)
        yield "</thead>"
        for what, hosts in self.kernels.items():
            yield f'<tbody><tr><th colspan="{len(demo.ORDER) + 1}">{html.escape(what)}'
            for host, types in sorted(hosts.items()):
                yield from self.host(host, types)
            yield "</tbody>"
        yield "</table></div><p><small>The number is that of cells. Empty: a kernel at EL1 cannot "
        yield "ask the CPU, so there is only what a Linux guest's driver maps.</small></p>"
        yield from (f"<p><small>{n}: the machine deviates: {html.escape(why)}</small></p>"
                    for n, why in enumerate(self.notes, 1))
