#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The verbs of the Makefile, by ./verbs

verbs.py help               what "make help" says
verbs.py uses GOAL...       what they take of this machine (uses in host/packages); a goal
                            that is no verb is a file
"""
import os
import re
import textwrap

from cells import HERE, Error, lines, run


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
    yield "and KSRC= (a kernel tree of your own) are the knobs most people meet."


def uses(goals):
    takes = {verb: use for names, use, _ in verbs()
             for verb in re.sub(r" .*", "", names.replace(", ", ",")).split(",")}
    return sorted({w for g in goals for w in takes.get(g, "source build boot").split()})


def main(args):
    if args == ["help"]:
        print(*help_text(), sep="\n")
    elif args[:1] == ["uses"]:
        print(*uses(args[1:]))
    else:
        raise Error("usage: verbs.py help | uses GOAL...")


if __name__ == "__main__":
    run(main)
