#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The verbs of the Makefile, by ./verbs: prints what "make help" says"""
import os
import re
import textwrap

from cells import HERE, lines


def verbs():
    """Name and knobs, uses, and what it does"""
    return [[w.strip() for w in line.split("|")] for line in lines(os.path.join(HERE, "verbs"))]


def help_text():
    for verb, _, what in verbs():
        head = f"make {verb:18} "
        yield from textwrap.wrap(what, 95, initial_indent=head + "  " * (len(head) > 24),
                                 subsequent_indent=" " * 24)
    yield ""
    yield "BASE, CELL (BASE[-FLAVOUR]-GRANULE-CPU-MODE), TEST, O= (build directory), V=1"
    yield "and KSRC= (a kernel tree of your own) are the knobs most people meet. LLVM=1 or LLVM=-19"
    yield "builds by clang, as the kernel's own make does."


def uses(goals):
    """What they take of this machine (uses in host/packages); a goal that is no verb is a file"""
    takes = {verb: use for names, use, _ in verbs()
             for verb in re.sub(r" .*", "", names.replace(", ", ",")).split(",")}
    return sorted({w for g in goals for w in takes.get(g, "source build boot").split()})


if __name__ == "__main__":
    print(*help_text(), sep="\n")
