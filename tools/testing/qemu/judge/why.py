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


def observed(r, line):
    """What the test said, without what another row says in other words"""
    if r["status"] == "skip":
        return results.same_reason(r["why"])
    said = [text for text in r["why"].split("\n")
            if not line or line.seen and line.seen.search(text)]
    return results.same_reason(said[-1].replace(r["name"] + ": ", "") if said else "")


def groups(result, wanted, lines):
    """(status, reason, name of a line) -> the rows"""
    found = {}
    for test in result["tests"]:
        for r in test["rows"]:
            name = f"{test['name']}: {r['name']}"
            if r["status"] in SAID and wanted.search(name):
                by = r.get("by", "")
                key = r["status"], observed(r, lines.get(by)), by
                found.setdefault(key, []).append((test["name"], r, name))
    return found


def allowed(by, lines, rows):
    """The line of expect/, as it is now"""
    line = lines.get(by)
    if not by:
        return
    yield f"  expect/{by}"
    stale = not line or any(not line.matches(test, r["name" if r["status"] == "xfail" else "why"])
                            for test, r, _ in rows)
    if stale:
        yield "    which has changed since: judge it again"
    else:
        yield f"    [{line.heading}]"
        yield f"    {line.text}"


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
    found = groups(result, wanted, lines)
    if not found:
        raise results.Error(f"no row of {args[1]} was skipped, or had to fail" + (
            f", that matches ROW={args[2]}" if args[2:] else ""))
    print(f"{args[1]}: {results.summary(result)}; {directory}")
    for (status, reason, by), rows in sorted(found.items(), key=lambda item: -len(item[1])):
        print("", textwrap.fill(f"{SAID[status]}: {reason}", 98, subsequent_indent="  ",
                                break_long_words=False, break_on_hyphens=False),
              *allowed(by, lines, rows), *("  " + name for _, _, name in rows), sep="\n")


if __name__ == "__main__":
    results.run(main, sys.argv[1:])
