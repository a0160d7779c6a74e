#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""report.py O NAME...: what came of everything that had to run

NAMEs are cells, whose results are in O/cell/NAME, and other steps, in O/results/NAME
(see results.py). One without a result has failed. Prints a table, and leaves the same
as a page for people, O/results/index.html, and all rows for programs, as TAP, in
O/results/check.tap. The last line is "N passed, N failed, N skipped"; the exit status
is the verdict. From the environment:

  MADE   the exit status of the make that ran the steps: if it is not 0, something has
         failed, whatever the results say
  FLAKY  "ok" if a row that passed only when it was run again is no failure
  FULL   "1" if the cells are at least those of core: then the lines of expect/skips
         that allowed nothing are named, as they may be there for nothing
"""
import html
import os
import sys
import time
from collections import Counter

import results

MARKS = {"ok": "passed", "~": "passed, some rows skipped", "-": "all skipped",
         "x": "rows failed as they have to", "f": "flaky", "XX": "failed", "?": "no result"}
SHOWN = 50


class Check:
    """The results of a check"""

    def __init__(self, o, names, environ):
        self.o, self.environ, self.cells, self.steps, self.failed = o, environ, [], [], []
        if not names:
            self.failed.append("no cells, and no other steps: nothing had to run")
        for name in names:
            self.add(name)
        self.results = self.cells + self.steps
        made = int(environ.get("MADE") or 0)
        if made and not self.failed:
            self.failed.append(f"make: exit status {made}: a step failed that left no result "
                               "of its own, and what depends on it may be of an earlier run")
        self.columns = list(dict.fromkeys(
            t["name"] for r in self.cells if not r["boot"].get("skip") for t in r["tests"]))

    def add(self, name):
        for kind in ("cell", "results"):
            directory = os.path.join(self.o, kind, name)
            try:
                result = results.load(directory)
            except results.Error as e:
                self.failed.append(f"{name}: {e}")
                return
            if result:
                break
        else:
            self.failed.append(f"{name}: no result: it did not get to run")
            return
        result["dir"] = directory
        (self.cells if result["kind"] == "cell" else self.steps).append(result)
        if result["name"] != name:
            result["problems"].append("this is the result of " + result["name"])
        if (result.get("boot") or {}).get("test", "*") != "*":
            result["problems"].append(f"it ran but TEST={result['boot']['test']}")
        if result["verdict"] == "ran":
            result["problems"].append("nobody has judged its rows")
        failed = results.failures(result, self.environ)
        if result["verdict"] == "fail" and not failed:
            failed.append("it failed, and does not say why")
        self.failed += [f"{name}: {line}" for line in failed]

    def count(self, status):
        return sum(results.count(r["tests"], status) for r in self.results)

    def reasons(self):
        """The reasons of skips, and how many rows each has"""
        return Counter(results.same_reason(r["why"]) for _, _, r in self.rows("skip")).most_common()

    def rows(self, status):
        return [(result, test["name"], r) for result in self.results for test in result["tests"]
                for r in test["rows"] if r["status"] == status]

    def useless(self):
        """The lines of expect/skips that allowed nothing"""
        used = {r.get("by") for _, _, r in self.rows("skip")}
        return [f"{where}: [{line.heading}] {line.text}" for where, line in
                results.all_lines().items() if where.startswith("skips:") and where not in used]

    def controls(self):
        """What the controls tell from a kernel with the feature, and what they do not"""
        cells = [r for r in self.cells if r["control"]]
        told = {test: len({r["name"] for result, name, r in self.rows("xfail") if name == test})
                for test in self.columns}
        lines = []
        if cells and any(told.values()):
            lines.append("rows that fail without the feature, as they have to: " + ", ".join(
                f"{n} of {test}" for test, n in told.items() if n))
        same = [test for test in self.columns if not told[test]]
        if same:
            lines.append(("the controls do not tell a kernel without the feature by: " if cells
                          else "no control has run, so nothing shows that a kernel without the "
                          "feature fails: ") + ", ".join(same))
        return lines

    def tested(self):
        """What has been tested, and where it is not what its name says"""
        lines = {}
        for result in self.cells:
            s = result.get("source") or {}
            guest = result.get("guest") or {}
            kernel = guest.get("kernel", "(did not boot)")
            what = f"Linux {kernel}" + (f" (Debian {guest['debian']})" if "debian" in guest else "")
            what += "" if kernel == s.get("version") else f", the tests from {s.get('version')}"
            what += f" ({s['package']})" if s.get("package") else ""
            what += f", series {s['series']}" if s.get("series") else ""
            what += "".join(", " + line for line in results.strange(result))
            what += f", under QEMU {result['boot'].get('version')}"
            lines.setdefault(what, []).append(result["name"])
        return [f"{what}: {', '.join(names)}" for what, names in lines.items()]

    def sections(self):
        """All there is to say beside the table: titles, and lines"""
        flaky = [f"{result['name']}: {r['name']}: {r['why']}"
                 for result, _, r in self.rows("flaky")]
        skips = [f"{n:5}  {why}" for why, n in self.reasons()]
        all_of_them = (("Tested", self.tested()), ("Controls", self.controls()),
                       ("Skipped, by reason", skips),
                       ("Lines of expect/ that allowed nothing",
                        self.useless() if self.environ.get("FULL") == "1" else []),
                       ("Flaky", flaky), ("Failed", self.failed))
        return [(title, lines) for title, lines in all_of_them if lines]


def mark(test):
    """What came of a test in a cell: nothing, where the base has no such test"""
    if not test:
        return ""
    has = {r["status"] for r in test["rows"]}
    for status, sign in (("fail", "XX"), ("xfail", "x"), ("flaky", "f")):
        if status in has:
            return sign
    return "?" if not has else "-" if has == {"skip"} else "~" if "skip" in has else "ok"


def tests_of(result):
    """A cell's tests by name; of one that the emulator cannot run, any is skipped"""
    if result["boot"].get("skip"):
        return lambda name: result["tests"][0]
    return {t["name"]: t for t in result["tests"]}.get


def text(check):
    width = max([len(r["name"]) for r in check.results], default=0) + 2
    yield ""
    for i, column in enumerate(check.columns):
        yield f"  {'':{width}}" + "|  " * i + column
    for result in check.cells:
        test = tests_of(result)
        line = "".join(f"{mark(test(c)):3}" for c in check.columns)
        yield f"  {result['name']:{width}}{line}" + "!" * bool(result["problems"])
    yield ""
    for result in check.steps:
        sign = "XX" if result["verdict"] == "fail" else mark(result["tests"][0])
        yield f"  {result['name']:{width}}{sign:3}({results.summary(result)})"
    yield ""
    yield "  " + "   ".join(f"{sign} {what}" for sign, what in MARKS.items())
    yield "  ! the cell itself failed"
    for title, lines in check.sections():
        yield ""
        yield title + ":"
        yield from ("  " + line for line in lines[:SHOWN])
        if lines[SHOWN:]:
            yield f"  ... and {len(lines) - SHOWN} more, on the page"
    yield ""
    yield f"the same as a page, with consoles and KTAP: {check.o}/results/index.html"
    for line, n in Counter(line for r in check.cells for line in results.strange(r)).items():
        yield f"in {n} of {len(check.cells)} cells {line}"
    for status, what in (("xfail", "rows failed as they have to on kernels without the feature"),
                         ("flaky", "rows passed only when run again")):
        if check.count(status):
            yield f"{check.count(status)} {what}"


def closing(check):
    return f"{check.count('pass')} passed, {len(check.failed)} failed, " \
        f"{check.count('skip')} skipped"


CLASSES = {"": "", "ok": "pass", "~": "pass", "x": "pass", "-": "skip", "f": "flaky"}
STYLE = """body { font-family: sans-serif; margin: 2em }
table { border-collapse: collapse }
th, td { border: 1px solid #999; padding: .2em .6em; text-align: left; font-weight: normal }
.pass { background: #cfc } .fail { background: #f99; font-weight: bold }
.skip { background: #eee } .flaky { background: #fd8 }"""


def page(check):
    title = "Memory types of vfio-pci BARs under KVM/arm64"
    esc = html.escape

    def entry(test):
        sign = mark(test)
        counts = [(results.count([test], s), what) for s, what in (
            ("fail", " failed"), ("pass", ""), ("xfail", " failed as they have to"),
            ("flaky", " flaky"), ("skip", " skipped"))] if test else []
        said = ", ".join(f"{n}{what}" for n, what in counts if n) or "no result"
        return f'<td class="{CLASSES.get(sign, "fail")}">{said}'

    def links(result):
        return " ".join(
            f'<a href="{esc(os.path.relpath(path, check.o + "/results"))}">{esc(name)}</a>'
            for name in ("ktap", "console.log", "qemu-cmd", "config", "tree.patch", "log", "tap",
                         "result.json")
            for path in [os.path.join(result["dir"], name)] if os.path.exists(path))

    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield f"<title>{title}: {closing(check)}</title><style>{STYLE}</style></head><body>"
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    yield f"<h1>{title}</h1><p>{closing(check)}; {date}</p>"
    yield "<h2>Cells</h2><table><tr><th>cell<th>left by it"
    yield from (f"<th>{esc(c)}" for c in check.columns)
    for result in check.cells:
        bad = "fail" if result["verdict"] == "fail" else "pass"
        yield f'<tr><td class="{bad}">{esc(result["name"])}<td>{links(result)}'
        test = tests_of(result)
        yield from (entry(test(c)) for c in check.columns)
    yield "</table><p>The numbers are rows that passed, if nothing else is said.</p>"
    yield "<h2>Other steps</h2><table><tr><th>step<th>left by it<th>rows"
    for result in check.steps:
        yield f"<tr><td>{esc(result['name'])}<td>{links(result)}{entry(result['tests'][0])}"
    yield "</table>"
    for heading, lines in check.sections():
        yield f"<h2>{heading}</h2><ul>"
        yield from (f"<li>{esc(line)}" for line in lines)
        yield "</ul>"
    yield "</body></html>"


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
    for name, lines in (("index.html", page(check)), ("check.tap", tap(check))):
        path = os.path.join(check.o, "results", name)
        with open(path + ".tmp", "w", encoding="utf-8") as f:
            f.writelines(line + "\n" for line in lines)
        os.rename(path + ".tmp", path)
    print(*text(check), closing(check), sep="\n")
    return 1 if check.failed else 0


if __name__ == "__main__":
    results.run(main, sys.argv[1:], os.environ)
