#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What faults and BARs cost on several kernels, side by side

bench.py OUT DIR...: from the ktap of each DIR, a cell, lines "bench: WHAT = NUMBER".
OUT gets table.txt, which is printed, too, and plot.svg. A figure is the median of its
runs. Where a cell's pristine counterpart is among the others, there is a column of
ratios: of the medians, and in parentheses the least and the most that any run of the
one is to any run of the other.
"""

import os
import re
import statistics
import sys
from html import escape

import results

COLOURS = ["#999999", "#3366cc", "#dc9912", "#109618"]


def figures(directory):
    """WHAT -> the figures of its runs"""
    found = {}
    path = os.path.join(directory, "ktap")
    for line in results.read(path) or []:
        match = re.search(r"# bench: (.*) = (\d+)$", line)
        if match:
            found.setdefault(match[1], []).append(int(match[2]))
    if not found:
        raise results.Error(f"{path} has no figures: it is to be of vfio_bar_bench")
    return found


def ratio(of, to):
    if not of or not to or not min(to):
        return "-"
    text = f"{statistics.median(of) / statistics.median(to):.3f}"
    if len(of) == 1 and len(to) == 1:
        return text
    return f"{text} ({min(of) / max(to):.3f} to {max(of) / min(to):.3f})"


def columns(kernels):
    """Of each column the heading, and a function from WHAT to the cell's text"""
    for name, found in kernels.items():
        yield name, lambda what, f=found: \
            f"{statistics.median(f[what]):.0f}" if what in f else "-"
        pristine = kernels.get(f"{name}-base")
        if pristine:
            yield f"{name} : {name}-base", lambda what, f=found, p=pristine: \
                ratio(f.get(what), p.get(what))


def table(kernels, whats):
    rows = [["median"] + [head for head, _ in columns(kernels)]]
    rows += [[what] + [text(what) for _, text in columns(kernels)] for what in whats]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "".join("  ".join(c.rjust(w) if i else c.ljust(w)
                             for i, (c, w) in enumerate(zip(row, widths))).rstrip() + "\n"
                   for row in rows)


def plot(kernels, whats):
    """Bars, for each figure relative to the largest of it"""
    high, left, wide = 14, 330, 520
    out, y = [], 10

    def text(x, y, words):
        out.append(f'<text x="{x}" y="{y}">{escape(words)}</text>')

    def bar(y, width, colour):
        out.append(f'<rect x="{left}" y="{y}" width="{width:.1f}" height="{high - 2}" '
                   f'fill="{colour}"/>')

    for (name, _), colour in zip(kernels.items(), COLOURS):
        bar(y, high, colour)
        text(left + high + 6, y + high - 3, name)
        y += high
    for what in whats:
        y += high
        text(10, y + high - 3, what)
        most = max(statistics.median(f[what]) for f in kernels.values() if what in f)
        for found, colour in zip(kernels.values(), COLOURS):
            if what in found:
                value = statistics.median(found[what])
                width = wide * value / (most or 1)
                bar(y, width, colour)
                text(left + width + 4, y + high - 3, f"{value:.0f}")
            y += high
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + wide + 120}" '
            f'height="{y + 10}" font-family="sans-serif" font-size="11">\n' +
            "\n".join(out) + "\n</svg>\n")


def main(args):
    if len(args) < 2:
        raise results.Error("usage: bench.py OUT DIR...")
    # 6.1-base-4k-max+icount-vhe is 6.1-base.
    kernels = {re.sub("-[0-9]+k-.*", "", os.path.basename(d)): figures(d) for d in args[1:]}
    whats = list(dict.fromkeys(what for found in kernels.values() for what in found))
    text = table(kernels, whats)
    for name, content in ("table.txt", text), ("plot.svg", plot(kernels, whats)):
        with open(os.path.join(args[0], name), "w", encoding="utf-8") as f:
            f.write(content)
    print(text, end="")


if __name__ == "__main__":
    results.run(main, sys.argv[1:])
