#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What a cell is, and which cells there are

cells.py cell CELL [VERSION]    what its name means, as assignments for the shell; of QEMU
                                VERSION, why it cannot run it
cells.py list [-b BASE] [-s N/M] NAME...
                                cells and steps of those names, or sets, one a line; cells
                                of one base, or the Nth of M parts of all

A cell is BASE[-FLAVOUR]-GRANULE-CPU[+OPTION...]-MODE, as in 6.1-4k-max-vhe. What it can be
made of is in ./hosts, the sets are in ./sets, the bases in bases and series-BASE.
"""
import fnmatch
import functools
import os
import re
import shlex
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "../../../.."))
GRANULES = ("4k", "16k", "64k")
CELL = re.compile(r"([^-/]*)(?:-(base|clang|deb|debug|stock))?-([^-/]*)-([^/]*)-([^-/]*)")


class Error(Exception):
    """Bad input: one line for the user"""


def run(main):
    """A command: what is wrong is said in one line"""
    try:
        main(sys.argv[1:])
    except Error as error:
        sys.exit(f"error: {error}")


def lines(path):
    """The lines of a file that are no comments"""
    with open(path, encoding="utf-8") as f:
        return [line.strip() for line in f if line.strip() and not line.startswith("#")]


def hosts(kind):
    """Its lines of ./hosts: name, and the rest"""
    return {words[1]: words[2:] for line in lines(os.path.join(HERE, "hosts"))
            for words in [line.split()] if words[0] == kind}


CPUS, MODES, FLAVOURS, OPTIONS, EMULATORS = (
    hosts(k) for k in ("cpu", "mode", "flavour", "option", "emulator"))
BASES = {words[0]: words[1:] for words in map(str.split, lines(os.path.join(ROOT, "bases")))}


def stocks(base):
    """The distribution's own kernels of a base: granule and package"""
    return dict(w.split("=") for w in BASES[base][4:] if w[0].isdigit())


def words_of(mode):
    """The bases that have it, if not all do; the option that it is run with; its facts"""
    words = MODES[mode]
    option = "".join(w for w in words if w[0] == "+")
    bases = [w for w in words if w in BASES]
    return bases, option, [w for w in words if w not in bases and w != option]


def listed(words):
    return " ".join(words)


class Cell:
    """What the name of a cell means"""

    def __init__(self, name):
        self.name = name
        match = CELL.fullmatch(name)
        if not match:
            self.bad("it has too few words")
        self.base, flavour, self.granule, cpu, self.mode = match.groups()
        self.flavour = flavour or "series"
        options = dict(GIC="3", EMULATOR="", ICOUNT="", BAR="64M")
        self.cpu, *names = cpu.split("+")
        if self.base not in BASES:
            self.bad(f"no base {self.base}, ./bases knows: {listed(BASES)}")
        if self.granule not in GRANULES:
            self.bad(f"no granule {self.granule}, there are: {listed(GRANULES)}")
        if self.flavour == "stock" and self.granule not in stocks(self.base):
            self.bad(f"no stock kernel {self.base}-{self.granule}, ./bases knows: " + listed(
                f"{b}-{g}" for b in BASES for g in stocks(b)))
        if self.granule not in FLAVOURS[self.flavour]:
            self.bad(f"the {self.flavour} kernels have no granule of {self.granule}")
        if self.cpu not in CPUS:
            self.bad(f"no CPU {self.cpu}, there are: {listed(CPUS)}")
        # The last line of ./hosts wins, whatever the order in the name.
        for _, values in sorted(self.option("+" + name) for name in names):
            options.update(values)
        self.qemu_cpu, *has = CPUS[self.cpu]
        if self.granule not in has:
            self.bad(f"a {self.cpu} has no granule of {self.granule}")
        if self.mode not in MODES:
            self.bad(f"no mode {self.mode}, there are: {listed(MODES)}")
        if self.mode not in has:
            self.bad(f"a {self.cpu} has no {self.mode.upper()}, there are: " + listed(
                m for m in MODES if m in has))
        only, _, of_mode = words_of(self.mode)
        if only and self.base not in only:
            self.bad(f"no {self.mode} mode in {self.base}, only in: {listed(only)}")
        self.options = options
        self.emulator = options["EMULATOR"]
        self.kernel = "-".join([self.base] + [flavour] * bool(flavour) + [self.granule])
        self.pristine = f"{self.base}-base-{self.granule}-{cpu}-{self.mode}"
        self.facts = [self.base, self.granule, self.flavour, self.mode, self.cpu,
                      "gicv" + options["GIC"]]
        self.facts += [w for w in has + FLAVOURS[self.flavour][1:]
                       if w not in MODES and w not in GRANULES]
        self.facts += of_mode + ["feature"] * self.has_feature() + names

    def bad(self, why):
        raise Error(f"unknown CELL {self.name}: {why} (a cell is BASE[-base|-clang|-deb|-debug|-stock]"
                    "-GRANULE-CPU-MODE, as in 6.1-4k-max-vhe)")

    def option(self, name):
        """The number of its line in ./hosts, and the assignments of +OPTION"""
        for line, (pattern, values) in enumerate(OPTIONS.items()):
            match = re.fullmatch(re.escape(pattern).replace(r"\*", r"([1-9]\d?)"), name)
            if match:
                number = match[1] if match.groups() else ""
                return line, [v.replace("*", number).split("=") for v in values]
        self.bad(f"no CPU {self.cpu}{name}, there are: {listed(CPUS)}, with {listed(OPTIONS)}")

    def has_feature(self):
        """Has the kernel that boots it? A base whose series has a part of that name has not
        by itself."""
        return self.flavour not in ("base", "stock") or "feature" not in parts(self.base)

    def unable(self, version):
        """Why this QEMU cannot run it, or nothing"""
        for line in lines(os.path.join(HERE, "hosts")):
            if line.startswith("cannot "):
                what, why = line.split(" : ", 1)
                _, pattern, *words = what.split()
                if fnmatch.fnmatchcase(version, pattern) and all(
                        set(w.split(",")) & set(self.facts) for w in words):
                    return why
        return ""


# The sets

@functools.lru_cache(None)
def parts(base):
    """The parts of its series"""
    with open(os.path.join(ROOT, "series-" + base), encoding="utf-8") as f:
        return re.findall(r"^# \[([\w-]+)", f.read(), re.M)


def sets():
    """The lines of each set, with those of the sets that it has, too"""
    found, heads = {}, {}
    for line in lines(os.path.join(HERE, "sets")):
        if line.startswith("["):
            name, *heads[name] = line[1:-1].split()
            found[name] = []
        else:
            found[name].append(line)
    for name, others in heads.items():
        found[name][:0] = [line for other in others for line in found[other]]
    return found


SETS = sets()
# What is no cell, by name, with its arguments
STEPS = {words[0]: words[1:] for words in map(str.split, SETS["wide"])
         if not CELL.fullmatch(words[0])}
FULL = {words[0] for s in SETS.values() for words in map(str.split, s) if words[1:] == ["full"]}


def every():
    """Each CPU and mode with each kernel of the series, and with the controls; a GICv2 with
    4K alone, and the debug kernels on max alone."""
    for base in BASES:
        for kernel in ("4k", "16k", "64k", "base-4k", "stock-4k", "stock-16k", "debug-4k"):
            for cpu in CPUS:
                for gic in ("", "+gicv2")[:2 if kernel == "4k" else 1]:
                    for mode in MODES:
                        _, option, _ = words_of(mode)
                        if option and gic or kernel == "debug-4k" and cpu != "max":
                            continue
                        name = f"{base}-{kernel}-{cpu}{gic}{option}-{mode}"
                        try:
                            yield Cell(name).name
                        except Error:
                            pass


def cells_of(names, base=None):
    """The cells of these names, each once"""
    found = []
    if not names:
        raise Error("no cells to run: CELLS= is empty, leave it out, or name cells, or "
                    + ", or ".join(("core", "wide", "all")))
    for name in names:
        if name == "all":
            found += [line.split()[0] for line in SETS["wide"]] + list(every())
        elif name in SETS:
            found += [line.split()[0].replace("BASE", base or "6.1") for line in SETS[name]]
        elif name in STEPS:
            pass
        elif "-" in name:
            found.append(Cell(name).name)
        else:
            raise Error(f"no cells named {name}, there are: {listed(SETS)} all {listed(STEPS)}")
    found = [name for name in dict.fromkeys(found) if name not in STEPS]
    found = [name for name in found if not base or name.startswith(base + "-")]
    if base and not found:
        raise Error(f"no cell of base {base} is among: {listed(names)}")
    return found


def steps_of(names):
    """What else is run: each step, and its arguments"""
    lines = [line.split()[0] for name in names
             for line in SETS.get("wide" if name == "all" else name, [name])]
    return {step: args for step, args in STEPS.items() if step in lines}


def part(names, steps, number, of):
    """The cells and steps of one shard: those of a kernel stay together, as to build that is
    what takes long, and the shards take as much CPU time as has been recorded in ./costs"""
    costs = {words[0]: int(words[1]) for words in map(str.split, lines(
        os.path.join(HERE, "costs")))}
    groups, shards = {}, [[0, []] for _ in range(of)]
    for name in names:
        groups.setdefault(Cell(name).kernel, []).append(name)
    built = {Cell(name).kernel for name in names
             if FLAVOURS[Cell(name).flavour][0].startswith("tree")}
    ours = next((kernel for kernel in groups if re.fullmatch("[^-]+-4k", kernel)), "")
    for step in steps:
        groups.setdefault(ours if step in ("harness", "mutants") else step, []).append(step)
    sums = {group: (costs.get(group, costs["kernel"]) if group in built else 0)
            + sum(costs.get(name, costs["cell"]) for name in has) for group, has in groups.items()}
    for group in sorted(groups, key=lambda g: (-sums[g], g)):
        shard = min(shards, key=lambda s: s[0])
        shard[0] += sums[group]
        shard[1] += groups[group]
    mine = shards[number - 1][1]
    return [name for name in names if name in mine], {
        step: args for step, args in steps.items() if step in mine}


def shard_of(text):
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", text)
    if not match or int(match[1]) > int(match[2]):
        raise Error(f"SHARD={text} is no part, as in SHARD=2/5")
    return int(match[1]), int(match[2])


def main(args):
    if args[:1] == ["cell"] and 1 < len(args) < 4:
        cell = Cell(args[1])
        found = dict(BASE=cell.base, FLAVOUR=cell.flavour, GRANULE=cell.granule,
                     KERNEL=cell.kernel, QEMU_CPU=cell.qemu_cpu, MODE=cell.mode,
                     FACTS=listed(cell.facts), CANNOT=cell.unable((args + [""])[2]))
        found.update(cell.options)
        print(*(f"{key}={shlex.quote(value)}" for key, value in found.items()), sep="\n")
    elif args[:1] == ["list"]:
        base, shard = None, None
        while args[1:2] in (["-b"], ["-s"]) and args[2:]:
            option, value = args[1:3]
            base, shard = (value, shard) if option == "-b" else (base, shard_of(value))
            del args[1:3]
        found = cells_of(args[1:], base), steps_of(args[1:])
        found, steps = part(*found, *shard) if shard else found
        print(*found, *steps, sep="\n")
    else:
        raise Error("usage: cells.py cell CELL [VERSION] | list [-b BASE] [-s N/M] NAME...")


if __name__ == "__main__":
    run(main)
