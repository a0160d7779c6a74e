#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""why.py O CELL [ROW]: why rows of a cell were skipped, or failed as they have to

ROW is a regular expression for "TEST: ROW"; without it, all. For each reason: what the
test said, the line of expect/ that it was right by, with its heading, and the rows.
CELL may be another step of the check.
"""
import os
import re
import sys
import textwrap

import results

SAID = {"skip": "skipped", "xfail": "failed, as it has to"}


def newest(o, name):
    """The directory of its last result"""
    paths = [path for kind in ("cell", "run", "results")
             for path in [os.path.join(o, kind, name)]
             if os.path.exists(os.path.join(path, "result.json"))]
    if not paths:
        raise results.Error(f"{name} has no result in {o}: is there such a cell? "
                            f"\"make check CELLS={name}\" boots it")
    return max(paths, key=lambda path: os.path.getmtime(os.path.join(path, "result.json")))


def reason(r, lines):
    """What the test said, without what the row's name or another line says"""
    said, line = r["why"].split("\n"), lines.get(r.get("by"))
    if line and line.seen:
        said = [text for text in said if line.seen.search(text)][-1:] or said
    return results.same_reason(" / ".join(said[-6:]).replace(r["name"] + ": ", ""))


def by_reason(rows, lines):
    """(status, reason, line of expect/) -> those of the rows, the most first; rows are
    pairs of a name and a row"""
    found = {}
    for name, r in rows:
        key = r["status"], reason(r, lines), r.get("by", "")
        found.setdefault(key, []).append((name, r))
    return sorted(found.items(), key=lambda item: -len(item[1]))


def allowed(by, lines, rows):
    """The line of expect/, as it is now"""
    line = lines.get(by)
    if not by:
        return
    yield f"  expect/{by}"
    what = "name" if by.startswith("fails") else "why"
    if line and all(line.what.search(r[what]) for _, r in rows):
        yield f"    [{line.heading}]"
        yield f"    {line.text}"
    else:
        yield "    which has changed since: judge it again"


def main(args):
    if len(args) not in (2, 3):
        raise results.Error("usage: why.py O CELL [ROW]")
    try:
        wanted = re.compile(args[2] if args[2:] else "")
    except re.error as e:
        raise results.Error(f"ROW={args[2]}: {e}: it is a regular expression") from e
    directory = newest(*args[:2])
    result = results.load(directory)
    lines = results.all_lines()
    rows = [(f"{test['name']}: {r['name']}", r) for test in result["tests"] for r in test["rows"]]
    rows = [(name, r) for name, r in rows if r["status"] in SAID and wanted.search(name)]
    if not rows:
        raise results.Error(f"no row of {args[1]} was skipped, or had to fail" + (
            f", that matches ROW={args[2]}" if args[2:] else ""))
    print(f"{args[1]}: {results.summary(result)}; {directory}")
    for (status, said, by), those in by_reason(rows, lines):
        print("", textwrap.fill(f"{SAID[status]}: {said}", 98, subsequent_indent="  ",
                                break_long_words=False, break_on_hyphens=False),
              *allowed(by, lines, those), *("  " + name for name, _ in those), sep="\n")


if __name__ == "__main__":
    results.run(main, sys.argv[1:])
