#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""rows.py O: write expect/rows anew, from the results in O/cell

What no cell of a base has run stays as it was; a test that is no more goes.
"""
import glob
import os
import sys

import results


def found(o):
    """(test, base) -> of each cell the rows, and how many have no name; [] if it was
    skipped as a whole everywhere"""
    cells = {}
    for directory in sorted(glob.glob(os.path.join(o, "cell", "*"))):
        result = results.load(directory)
        if not result or result["verdict"] == "skip" or result["boot"].get("test") != "*":
            continue
        for test in result["tests"]:
            # One that has not ended has lost rows.
            if not any((r["name"], r["status"]) == ("(the program)", "fail") for r in test["rows"]):
                rows = results.rows_of(test)
                cells.setdefault((test["name"], result["source"]["base"]), []).extend(
                    [rows] if any(rows) else [])
    return cells


def main(args):
    if len(args) != 1:
        raise results.Error("usage: rows.py O")
    path = os.path.join(results.EXPECT, "rows")
    cells, old = found(args[0]), results.known_rows(results.EXPECT)
    if not cells:
        raise results.Error(f"no cell in {args[0]} has run: run \"make check\" first")
    bases = {base for _, base in cells}
    known = {key: rows for key, rows in old.items()
             if cells.get(key) == [] or key[1] not in bases}
    for key, rows in cells.items():
        for name in dict.fromkeys(name for named, _ in rows for name in named):
            known.setdefault(key, {})[name] = all(unnamed or name in named
                                                  for named, unnamed in rows)
    # Bases with the same rows have them once.
    sections = {}
    for (test, base), rows in sorted(known.items()):
        sections.setdefault((test, tuple(rows.items())), []).append(base)
    lines = [line for line in results.read(path) if line.startswith("#")]
    for (test, rows), of in sorted(sections.items(), key=lambda item: (item[0][0], item[1])):
        lines += ["", f"[{test} {' '.join(of)}]"]
        lines += [name if always else "? " + name for name, always in rows]
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        f.writelines(line + "\n" for line in lines)
    os.rename(path + ".tmp", path)


if __name__ == "__main__":
    results.run(main, sys.argv[1:])
