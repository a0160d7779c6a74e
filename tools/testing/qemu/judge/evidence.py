#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the cells that ran say of a series, for its cover letter

evidence.py O CONTENT    O has the cells; CONTENT is that of the series (tree_content)

Only whole runs of exactly this series count. Without any there is nothing to say.
"""
import glob
import os
import sys
import textwrap

import results


def of_series(o, content):
    """The results that are of this series"""
    for directory in sorted(glob.glob(os.path.join(o, "cell", "*"))):
        result = results.load(directory)
        source = (result or {}).get("source") or {}
        if (source.get("content") == content and source.get("edited") == "no" and
                result["kind"] == "cell" and result["verdict"] in ("pass", "fail") and
                (result["boot"].get("suite"), result["boot"].get("test")) == ("series", "*")):
            yield result


def main(args):
    if len(args) != 2:
        raise results.Error("usage: evidence.py O CONTENT")
    hosts = {}
    cells = list(of_series(*args))
    for result in cells:
        guest = result.get("guest") or {}
        what = guest.get("kernel", "(did not boot)")
        what += f" (Debian {guest['debian']})" if "debian" in guest else ""
        hosts.setdefault(f"Linux {what}, QEMU {result['boot'].get('version')}", []).append(result)
    if not cells:
        return
    print("\nThe tests of all parts of the series, where they ran last. A cell is")
    print("BASE[-FLAVOUR]-GRANULE-CPU-MODE; \"stock\" is a kernel without the series.")
    for what, those in hosts.items():
        print(f"\n  {what}:")
        for result in those:
            print(textwrap.fill(f"{result['name']}: {results.summary(result)}", 72,
                                initial_indent="    ", subsequent_indent="      ",
                                break_on_hyphens=False))
    bad = sum(result["verdict"] == "fail" for result in cells)
    print(f"\n{len(cells) - bad} of {len(cells)} cells passed.")


if __name__ == "__main__":
    results.run(main, sys.argv[1:])
