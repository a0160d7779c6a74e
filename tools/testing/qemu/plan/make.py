#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What make has to know of cells, kernels and files

make.py KEY=VALUE... [GOAL...]    the KEYs are knobs of the Makefile, "?" the name of one
                                  that somebody has set

Prints lines of make, each as a word with "^" for a space: lists of cells; what else files
are made of than by the Makefile's patterns; and facts of bases, kernels and cells, as
tree.6.1-4k.
"""
import fnmatch
import functools
import glob
import os
import re
import subprocess

import mutants
import verbs
from cells import BASES, EMULATORS, FLAVOURS, FULL, ROOT, Cell, Error, cells_of, lines, listed, \
    part, run, shard_of, steps_of, stocks

QEMU = "tools/testing/qemu"
SELFTESTS = "tools/testing/selftests"
KVM = f"{SELFTESTS}/kvm"
KNOBS = ("APPEND ARCHIVE ASSISTED_BY AUTHOR BASE CELL CELLS CHANGELOG DURATION FLAKY FORCE GRANULE KSRC "
         "LIMIT LLVM MUTANT O PART PREV QEMU REROLL ROW SHARD SIGNOFF SUITE TEST V").split()
# By which clang the cells of that name are, as LLVM= has it
LLVM = next(w for w in FLAVOURS["clang"] if w.startswith("llvm-")).removeprefix("llvm")
# The kernel of vfio_bar_vmm's VM
VM_KERNEL = "6.1-stock-4k"
# The tests of verbs
TESTS = {"demo": "vfio_bar_memattr", "demo-vm-runs": "vfio_bar_vmm", "stress": "vfio_bar_race",
         "bench": "vfio_bar_[bv][em]*"}


@functools.lru_cache(None)
def claims():
    """Of each base the files of its series, and the patches that lend a message"""
    found = {}
    for line in shell('for base in $1; do echo "$base" $(series_entries $base); '
                      'echo "$base" $(series_messages $base); done', listed(BASES)).splitlines():
        base, *files = line.split()
        found.setdefault(base, []).append(files)
    return found


def shell(script, *args):
    """What a script with the functions of tools/series prints"""
    said = subprocess.run(["sh", "-c", ". tools/series/lib.sh; " + script, "sh", *args], cwd=ROOT,
                          env=dict(os.environ, root="."), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if said.returncode:
        raise Error(said.stdout.strip().removeprefix("error: "))
    return said.stdout.strip()


class Plan:
    """What the Makefile is to do for some goals, in lines of make"""

    def __init__(self, knobs, goals):
        self.knobs, self.goals, self.out = knobs, goals, []
        self.o = knobs["O"]
        self.claims = claims()
        self.gone = [os.path.basename(f)[:-len(".tar.xz.gone")] for f in glob.glob(
            os.path.join(self.o, "source", "*.gone"))]

    def say(self, line):
        self.out.append(line.replace(" ", "^"))

    def needs(self, targets, *prerequisites):
        """Name them, too: what only patterns name, make removes in the end"""
        self.say(f"{targets}: {listed(p for p in prerequisites if p)}")

    def set(self, name, value):
        self.say(f"{name} := {value}")

    # Which cells

    def decide(self):
        """BASE, CELL, and the cells of the verbs"""
        k, goals = self.knobs, self.goals
        for name in k["?"]:
            if name not in KNOBS:
                raise Error(f"unknown variable {name}, there are: {listed(KNOBS)}")
        if re.search("[ :]", k["O"] + k["CURDIR"]):
            raise Error(f"neither O={k['O']} nor the path {k['CURDIR']} may have a space or a "
                        "colon in it: the kernel does not build there")
        self.ksrc = k["KSRC"] and shell('kernel_base "$1"', k["KSRC"])
        base = k["BASE"] or self.ksrc
        cell = Cell(k["CELL"] or f"{base or '6.1'}-{k['GRANULE'] or '4k'}-max-vhe")
        if self.ksrc and cell.base != self.ksrc:
            raise Error(f"KSRC={k['KSRC']} is {self.ksrc}.y, CELL={cell.name} is of {cell.base}:"
                        " name no other base")
        self.base, self.cell = cell.base, cell
        k["TEST"] = listed(TESTS[g] for g in goals if g in TESTS) or k["TEST"]
        if k["SUITE"] not in ("series", "own", "own-all"):
            raise Error(f"unknown SUITE {k['SUITE']}, there are: series own own-all")
        if not re.fullmatch("1?|-[0-9]+|/.*/", k["LLVM"]):
            raise Error(f"LLVM={k['LLVM']} is neither 1, nor a version as in LLVM=-19, nor the "
                        "directory of a clang as in LLVM=/opt/llvm/bin/")
        if k["LLVM"] and {"deb", "regression"} & set(goals):
            raise Error("deb and regression are of what gcc has built: leave LLVM= out")
        if "stress" in goals and not re.fullmatch("[1-9][0-9]*", k["DURATION"]):
            raise Error(f"DURATION={k['DURATION']} is no number of seconds, as in DURATION=600")
        self.verbs = {verb: cells_of([verb], self.ksrc or None) for verb in ("demo", "bench")
                      if verb in goals}
        if {"demo-vm", "demo-vm-runs"} & set(goals):
            self.verbs["demo-vm"] = cells_of(["demo-vm"])
        if "deb" in goals:
            self.verbs["deb"] = [f"{self.base}-deb-4k-max-vhe"]
        self.check, self.steps = [], {}
        if {"check", "sources", "results", "report"} & set(goals):
            names = k["CELLS"].split()
            self.check, self.steps = cells_of(names, self.ksrc or None), steps_of(names)
            if self.ksrc:
                # The harness's own tests are not about this tree, nor are others' mutants.
                own = set(mutants.named("*", self.ksrc))
                self.steps["mutants"] = [m for m in self.steps.get("mutants", []) if m in own]
                self.steps = {s: args for s, args in self.steps.items()
                              if s == "lint-fast" or args}
            if k["SHARD"]:
                self.check, self.steps = part(self.check, self.steps, *shard_of(k["SHARD"]))
        self.compared = [cell.name] if "regression" in goals else [
            c for c in self.check if c in [f"{b}-4k-max-vhe" for b in self.floors()]
        ] if "all" in k["CELLS"].split() else []
        self.mutants = self.steps.get("mutants", [])
        if "mutants" in goals:
            self.mutants = mutants.named(k["MUTANT"], k["BASE"] or self.ksrc)

    def uses(self):
        """What it takes of this machine, see verbs"""
        found = verbs.uses(self.goals)
        cells = listed([self.cell.name] + self.check) + "-clang-" * bool(self.knobs["LLVM"])
        return found + [use for use in ("clang", "deb") if f"-{use}-" in cells
                        and "build" in found] + ["x86"] * ("x86" in self.steps) + [
                            "lint", "docs"] * any(f"lint-{base}" in self.steps for base in BASES)

    @staticmethod
    def floors():
        return [line.split()[0] for line in lines(os.path.join(ROOT, QEMU, "judge/expect/floors"))]

    # What they take

    @staticmethod
    def edited(files):
        """What the patches among them edit; a new one is written by "make refresh" """
        paths = [os.path.join(ROOT, f) for f in files if f.endswith(".patch")]
        return [line.split()[1][2:] for path in paths if os.path.exists(path)
                for line in lines(path) if line.startswith("+++ b/")]

    def sources(self, base):
        o, tree = f"{self.o}/{base}", f"{self.o}/{base}/tree"
        whence = "FORCE" if base == self.ksrc else f"{self.o}/source/{base}.tar.xz.package"
        files, messages = self.claims[base]
        if base == self.ksrc:
            self.set(f"ksrc.{base}", self.knobs["KSRC"])
        self.needs(f"{tree}/.git/source {tree}-base/.git/source", f"{self.o}/source/{base}.id",
                   whence)
        self.needs(f"{tree}/.git/replayed", f"{o}/series.id", *files, *messages)
        uuid = f"{self.o}/uuid-arm64" if any(
            os.path.basename(f) == f"link-libvfio-{base}.patch" for f in files) else ""
        tests = [f[len(SELFTESTS) + 1:-2].removeprefix("kvm/") for f in [*files, *self.edited(files)]
                 if re.fullmatch(f"{SELFTESTS}/(kvm/arm64/.*(?<!_leaf)|vfio/[^/]*_test)[.]c", f)]
        self.set(f"tests.{base}", listed(tests))
        self.set(f"uuid.{base}", uuid)
        for d in ("selftests", "selftests-clang"):
            self.needs(f"{o}/{d}/.installed", f"{o}/series.id", uuid,
                       f"{o}/headers/.done", f"{o}/selftests/.source", f"{o}/{d}/.llvm")
        self.watch(f"{base}/headers/", f"{tree}/include/uapi {tree}/arch/arm64/include/uapi")
        self.watch(f"{base}/selftests/", f"{tree}/{KVM} {tree}/{SELFTESTS} -maxdepth 5")
        self.watch(f"{base}/deb/", self.kernel_in(tree))
        self.needs(listed(f"{o}/{d}/.source" for d in ("headers", "selftests", "deb")),
                   f"{tree}/.git/replayed")
        self.needs(f"{o}/headers/.done", f"{o}/headers/.source")
        self.needs(f"{o}/base-selftests/.installed", f"{QEMU}/judge/expect/base-selftests-{base}")

    def watch(self, what, where):
        """Of what the time of WHAT.source is: what find has to look at"""
        self.set("watch." + what, where.replace("(", "\\(").replace(")", "\\)"))

    @staticmethod
    def kernel_in(tree):
        """What of a tree a kernel is made of"""
        skipped = (".git", "Documentation", "tools/testing")
        return listed([tree] + [f"-path '{tree}/{d}' -prune -o" for d in skipped])

    def kernel(self, cell):
        """A kernel, its test module, and what boots in it"""
        k, base, build = cell.kernel, cell.base, FLAVOURS[cell.flavour][0]
        o, tree, headers, config = f"{self.o}/kernel/{k}", f"{self.o}/{base}/{build}", [], ""
        patched = f"{self.o}/{base}/tree"
        self.set(f"base.{k}", base)
        self.set(f"build.{k}", build)
        self.set(f"selftests.{k}", self.selftests(cell))
        self.set(f"modules.{k}", o + ("/drivers" if build.startswith("tree") else "/boot-modules"))
        if build.startswith("tree"):
            fragments = [f"{QEMU}/build/config/{name}" for name in (
                "all", "arm64", base, cell.granule, cell.flavour, "kunit")]
            kunit = build == "tree" and any(f.endswith("_kunit.c") for f in self.claims[base][0])
            fragments = [f for f in fragments[:5] if os.path.exists(os.path.join(ROOT, f))
                         ] + fragments[5:] * kunit
            self.set(f"tree.{k}", tree)
            self.watch(f"kernel/{k}/", self.kernel_in(tree))
            self.set(f"fragments.{k}", listed(fragments))
            ready = "source" if build == "tree-base" else "replayed"
            self.needs(f"{o}/.config", f"{o}/.llvm", *fragments, f"{patched}/.git/replayed",
                       f"{tree}/.git/{ready}")
            self.needs(f"{o}/.source", f"{tree}/.git/{ready}")
            self.needs(f"{o}/.built", f"{o}/.config", f"{o}/.source")
            headers = [f"{tree}/include {tree}/arch/arm64 ( -name '*.h' -o -path '*/test_modules/*' )"]
            config = f"{o}/.config"
        elif build == "debian":
            self.set(f"stock.{k}", f"{BASES[base][0]} {stocks(base)[cell.granule]}")
            self.needs(f"{o}/.built", f"{QEMU}/build/fetch-stock-kernel",
                       f"{QEMU}/build/debian-unpack", f"{QEMU}/build/modules")
        else:
            self.needs(f"{o}/.built", f"{QEMU}/build/deb-kernel", f"{QEMU}/build/modules",
                       f"{self.o}/{base}/deb/.built")
        self.needs(f"{o}/.headers.source", f"{patched}/.git/replayed", f"| {o}/.built")
        self.watch(f"kernel/{k}/.headers", listed([f"{patched}/{KVM}/test_modules"] + headers))
        self.needs(f"{o}/test_modules/kvm_memattr.ko", f"{o}/.headers.source", config)
        self.needs(f"{o}/initramfs.cpio", f"{self.selftests(cell)}/.installed")
        if cell.flavour == "clang":
            self.set(f"llvm.kernel/{k}", LLVM)
            self.set(f"llvm.{base}/selftests-clang", LLVM)

    def selftests(self, cell):
        """Where those are that run on a kernel: built by the same compiler"""
        return f"{self.o}/{cell.base}/selftests" + "-clang" * (cell.flavour == "clang")

    def emulator(self, cell):
        """What a cell takes: the newer one for those that ask for it, but QEMU= wins"""
        newer = cell.emulator and not self.knobs["QEMU"]
        return [f"{self.o}/{cell.emulator}/qemu-system-aarch64" if newer else f"{self.o}/.qemu"]

    def boots(self, cell, runs):
        """A cell: its boot, that of "run", and of the base's own selftests"""
        c, k, o = cell.name, f"{self.o}/kernel/{cell.kernel}", self.o
        pattern = self.knobs["TEST"] or "*"
        needs = [f"{k}/.built"] + self.emulator(cell)
        self.set(f"kernel.{c}", cell.kernel)
        self.set(f"base.{c}", cell.base)
        self.set(f"selftests.{c}", self.selftests(cell))
        self.set(f"trees.{c}", listed(dict.fromkeys([f"{o}/{cell.base}/tree"] + (
            [f"{o}/{cell.base}/tree-base"] if cell.flavour == "base" else []))))
        self.set(f"emulator.{c}", self.knobs["QEMU"] or (needs[1] if cell.emulator else
                                                         "qemu-system-aarch64"))
        if cell.flavour == "debug" or cell.mode == "nested":
            self.set(f"limit.{c}", "4800")
        if c not in FULL:
            self.set(f"short.{c}", "y")
        # A VM within a VM takes minutes on a debug kernel, and no new path of it.
        whole, run = (f"{k}/initramfs{'-vmm' * vmm}.cpio" for vmm in (
            cell.flavour != "debug", fnmatch.fnmatchcase("vfio_bar_vmm", pattern)))
        self.set(f"whole.{c}", whole)
        self.set(f"initramfs.{c}", run)
        self.needs(f"{o}/cell/{c}/booted", whole, *needs)
        own = self.knobs["SUITE"].startswith("own")
        self.needs(f"run-{c}", *needs, f"{o}/{cell.base}/base-selftests.cpio" if own
                   else run)
        if c in runs:
            self.needs(f"{o}/base-selftests/{c}/ran", *needs,
                       f"{o}/{cell.base}/base-selftests.cpio")

    def results(self, pristine):
        """What a check has to reach: the sources first, as one may not be there any more;
        kernels, the longest, next"""
        o = self.o
        lost = [c for c in self.check if Cell(c).base in self.gone and Cell(c).base != self.ksrc]
        here = [c for c in self.check if c not in lost]
        self.set("sources", listed(f"{o}/{b}/tree/.git/replayed" for b in dict.fromkeys(
            Cell(c).base for c in self.check) if b != self.ksrc))
        done = {c: f"{o}/cell/{c}/pass" for c in here}
        done.update({s: f"{o}/results/{s}/pass" for s in list(self.steps) + [
            f"base-selftests-{c}" for c in pristine] if s.removeprefix("lint-") not in self.gone})
        for name, target in done.items():
            self.needs(f"reached-{name}", target)
        self.needs("results", *dict.fromkeys(f"{o}/kernel/{Cell(c).kernel}/.built" for c in here),
                   *(f"reached-{name}" for name in done))
        for c, p in pristine.items():
            self.needs(f"{o}/base-selftests/{c}/ran", f"| {o}/base-selftests/{p}/ran")
            self.needs(f"{o}/results/base-selftests-{c}/pass", f"{o}/base-selftests/{c}/ran",
                       f"{o}/base-selftests/{p}/ran", f"{QEMU}/judge/expect/base-selftests-{Cell(c).base}")
            self.set(f"pristine.{c}", p)

    def lines(self):
        self.decide()
        k, o, goals = self.knobs, self.o, self.goals
        pristine = {c: Cell(c).pristine for c in self.compared}
        takes = mutants.cells_of(self.mutants)
        named = [m[1] for g in goals for m in [re.match(
            r"(?:run-|.*/cell/)([^/]*?)(?:/pass|/booted)?$", g)] if m and m[1].count("-") > 2]
        cells = [Cell(c) for c in dict.fromkeys(
            [self.cell.name] + self.check + takes + named + [c for v in self.verbs.values()
             for c in v] + self.compared + list(pristine.values()))]
        kernels = {c.kernel: c for c in [Cell(n + "-max-vhe") for n in (
            VM_KERNEL, *(b + "-4k" for b in BASES))] + cells}
        for name, value in (
                ("override BASE", self.base), ("override CELL", self.cell.name),
                ("override TEST", k["TEST"]),
                ("bases", listed(BASES)), ("check", listed(self.check)),
                ("mutants", listed(self.mutants)),
                ("full", int({"wide", "all"} & set(k["CELLS"].split()) != set() and not k["SHARD"]
                             and not self.ksrc)),
                ("vm-kernel", VM_KERNEL), ("llvm", LLVM), ("uses", listed(self.uses())),
                ("steps", listed(list(self.steps) + [f"base-selftests-{c}" for c in pristine]))):
            self.set(name, value)
        for verb, those in self.verbs.items():
            self.set(verb + "-cells", listed(those))
        self.needs("tree", f"{o}/{self.base}/" + (
            "tree-base/.git/source" if self.cell.flavour == "base" else "tree/.git/replayed"))
        self.needs("kernel", f"{o}/kernel/{self.cell.kernel}/.built")
        self.needs("image boot", f"{o}/kernel/{self.cell.kernel}/initramfs.cpio")
        self.needs("boot", *self.emulator(self.cell))
        for name, (major, suite) in EMULATORS.items():
            self.set("emulator." + name, f"{major} {suite}")
            self.needs(f"{o}/{name}/qemu-system-aarch64", f"{QEMU}/build/emulator")
        for base in BASES:
            self.sources(base)
        for cell in kernels.values():
            self.kernel(cell)
        for cell in cells:
            self.boots(cell, list(pristine) + list(pristine.values()))
        self.results(pristine)
        takes = [w for c in map(Cell, takes) for w in (
            f"{o}/kernel/{c.kernel}/.built", f"{o}/kernel/{c.kernel}/initramfs.cpio",
            *self.emulator(c))]
        self.needs(f"{o}/results/mutants/pass mutants", *dict.fromkeys(takes))
        self.needs(f"{o}/results/harness/pass", f"{o}/kernel/6.1-4k/initramfs.cpio", *(
            f"{o}/{b}/tree/.git/replayed" for b in BASES if b not in self.gone))
        self.needs(f"{o}/vmm.cpio", f"{o}/kernel/{VM_KERNEL}/.built",
                   f"{o}/kernel/{VM_KERNEL}/test_modules/kvm_memattr.ko")
        return self.out


def main(args):
    knobs, goals = {"?": []}, []
    for arg in args:
        key, is_knob, value = arg.partition("=")
        if key == "?":
            knobs["?"].append(value)
        elif is_knob:
            knobs[key] = value
        else:
            goals.append(arg)
    print(*Plan(knobs, goals).lines(), sep="\n")


if __name__ == "__main__":
    run(main)
