#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""report.py O NAME...: what came of everything that had to run

NAMEs are cells, whose results are in O/cell/NAME, and other steps, in O/results/NAME
(see results.py). One without a result has failed. Prints a table, and leaves the same
as a page for people, O/results/index.html, and all rows for programs, as TAP, in
O/results/check.tap. The last line is "N passed, N failed, N skipped"; the exit status
is the verdict. From the environment:

  ALL    "1" if whatever there is counts; else what this check has not got to has no result
  MADE   the exit status of the make that ran the steps: if it is not 0, something has
         failed, whatever the results say
  FLAKY  "ok" if a row that passed only when it was run again is no failure
  FULL   "1" if the cells are at least those of a whole set: then the lines of
         expect/skips that allowed nothing are named, as they may be there for nothing
"""
import os
import sys
import textwrap
from collections import Counter

import page
import results
from check import MARKS, Check

SHOWN = 50
WIDTH = 100


def wrapped(line, indent="  "):
    """As many lines as it takes"""
    return textwrap.fill(line, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
                         break_on_hyphens=False)


def table(check):
    """Cells by tests. The line of a test's name ends above its column."""
    width = max([len(r["name"]) for r in check.results + check.machines], default=0) + 2
    wide = (WIDTH - width - 3) // 3
    for first in range(0, len(check.columns) or 1, wide):
        columns = check.columns[first:first + wide]
        yield ""
        for i, column in enumerate(columns):
            yield f"  {column + ' ':.<{width}}" + "|  " * i + "|"
        for result in check.cells + check.machines:
            line = "".join(f"{check.mark(check.test(result, c)):3}" for c in columns)
            yield f"  {result['name']:{width}}{line}".rstrip() + " !" * bool(result["problems"])


def text(check):
    yield from table(check)
    yield ""
    width = max([len(r["name"]) for r in check.results], default=0) + 2
    for result in check.steps:
        sign = "XX" if result["verdict"] == "fail" else check.mark(result["tests"][0])
        yield f"  {result['name']:{width}}{sign:3}({results.summary(result)})"
    yield ""
    yield wrapped("   ".join(f"{sign} {what}" for sign, what in MARKS.items()))
    yield "  ! the cell itself failed"
    for title, lines in check.sections():
        yield ""
        yield title + ":"
        yield from (wrapped(line) for line in lines[:SHOWN])
        if lines[SHOWN:]:
            yield f"  ... and {len(lines) - SHOWN} more, on the page"
    yield ""
    yield wrapped(f"the same as a page, with consoles and KTAP: {check.o}/results/index.html", "")
    for line, n in Counter(line for r in check.cells for line in results.strange(r)).items():
        yield wrapped(f"in {n} of {len(check.cells)} cells {line}", "")
    for status, what in (("xfail", "rows failed as they have to on kernels without the feature"),
                         ("flaky", "rows passed only when run again")):
        if check.count(status):
            yield f"{check.count(status)} {what}"


def tap(check):
    """Every row, in the form that prove and CI systems read"""
    points = []
    for result in check.results:
        for test in result["tests"]:
            for r in test["rows"]:
                name = ": ".join(dict.fromkeys((result["name"], test["name"], r["name"])))
                name = name.replace("#", "\\#")
                if r["status"] == "skip":
                    points.append(f"ok {{}} - {name} # SKIP {r['why']}")
                elif r["status"] == "xfail":
                    points.append(f"not ok {{}} - {name} # TODO has to fail without the feature")
                elif r["status"] != "fail":
                    points.append(f"ok {{}} - {name}")
    points += ["not ok {} - " + line.replace("#", "\\#") for line in check.failed]
    yield "TAP version 13"
    yield f"1..{len(points)}"
    for number, point in enumerate(points, 1):
        yield point.replace("{}", str(number), 1).replace("\n", " ")


def main(args, environ):
    if not args:
        raise results.Error("usage: report.py O NAME...")
    check = Check(args[0], args[1:], environ)
    os.makedirs(os.path.join(check.o, "results"), exist_ok=True)
    for name, lines in (("index.html", page.page(check)), ("check.tap", tap(check))):
        path = os.path.join(check.o, "results", name)
        with open(path + ".tmp", "w", encoding="utf-8") as f:
            f.writelines(line + "\n" for line in lines)
        os.rename(path + ".tmp", path)
    print(*text(check), check.closing(), sep="\n")
    return 1 if check.failed else 0


if __name__ == "__main__":
    results.run(main, sys.argv[1:], os.environ)
