#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""rows.py O: write expect/rows anew, from the results in O/cell

For each test and base, the least rows that it has in any cell. What no cell of a base
has run stays as it was; a test that is no more goes.
"""
import glob
import os
import sys

import results


def found(o):
    """(test, base) -> its least rows, 0 if it was skipped as a whole everywhere"""
    counts = {}
    for directory in glob.glob(os.path.join(o, "cell", "*")):
        result = results.load(directory)
        if not result or result["verdict"] == "skip" or result["boot"].get("test") != "*":
            continue
        for test in result["tests"]:
            # One that has not ended has lost rows.
            if not any((r["name"], r["status"]) == ("(the program)", "fail") for r in test["rows"]):
                key = test["name"], result["source"]["base"]
                counts.setdefault(key, set()).add(results.rows_of(test))
    return {key: min(rows - {0}, default=0) for key, rows in counts.items()}


def main(args):
    if len(args) != 1:
        raise results.Error("usage: rows.py O")
    path = os.path.join(results.EXPECT, "rows")
    least, old = found(args[0]), results.least_rows(results.EXPECT)
    if not least:
        raise results.Error(f"no cell in {args[0]} has run: run \"make check\" first")
    bases = {base for _, base in least}
    for key, number in old.items():
        if least.get(key) == 0 or key[1] not in bases:
            least[key] = number
    head = [line for line in results.read(path) if line.startswith("#")]
    lines = [f"{test} {base} {n}" for (test, base), n in sorted(least.items()) if n]
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in head + lines)
    os.rename(path + ".tmp", path)


if __name__ == "__main__":
    results.run(main, sys.argv[1:])
