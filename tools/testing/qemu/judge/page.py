# SPDX-License-Identifier: GPL-2.0-only
"""The report of a check as a page for people: nothing in it is from elsewhere"""
import html
import os
import re
import time

import picture
import results
import why
from check import MARKS

TITLE = "Memory types of vfio-pci BARs under KVM/arm64"
# Class of a sign
CLASSES = {"": "none", "ok": "pass", "~": "some", "-": "skip", "x": "xfail", "f": "flaky"}
ORDER = ("fail", "flaky", "xfail", "skip", "pass")
LEFT = ("ktap", "console.log", "qemu-cmd", "config", "tree.patch", "log", "tap", "machine",
        "cpuinfo", "lspci", "dmesg", "build.log", "result.json")
STYLE = """:root { color-scheme: light dark;
 --pass: #bfe8c5; --some: #dff2e0; --skip: #e4e4e8; --xfail: #d9cdf5; --flaky: #ffd98a;
 --bad: #d92d20; --line: #c4c4cc; --link: #0550ae; --text: #1c1c22; --page: #fff }
@media (prefers-color-scheme: dark) { :root {
 --pass: #1f5c33; --some: #1b3a26; --skip: #34343c; --xfail: #4c3b7d; --flaky: #7a5500;
 --bad: #c93c37; --line: #4a4a55; --link: #7fb5ff; --text: #e6e6ea; --page: #17171c } }
body { font: 14px/1.4 sans-serif; margin: 1.5em auto; max-width: 1340px; padding: 0 1em;
 color: var(--text); background: var(--page) }
a { color: var(--link) } h1 { font-size: 1.5em } h2 { margin-top: 2em; font-size: 1.2em }
table { border-collapse: collapse } .wide { overflow-x: auto }
td, th { border: 1px solid var(--line); padding: .2em .5em; text-align: left;
 font-weight: normal; vertical-align: top }
li { overflow-wrap: anywhere } small { opacity: .8 }
.pass { background: var(--pass) } .some { background: var(--some) }
.skip { background: var(--skip) } .xfail { background: var(--xfail) }
.flaky { background: var(--flaky) }
.fail { background: var(--bad); color: #fff; font-weight: bold }
.verdict, .legend span { display: inline-block; padding: .1em .6em; border-radius: .3em;
 margin: 0 .3em .3em 0 }
.verdict { font-weight: bold }
.grid { font-size: 12px; min-width: 640px }
.grid summary, .head { display: grid; gap: 1px; list-style: none;
 grid-template-columns: var(--name) repeat(var(--columns), minmax(1.7em, 1fr)) }
.grid summary { cursor: pointer; margin-bottom: 1px }
.grid summary > * { text-align: center; padding: .15em 0; overflow: hidden }
.grid summary > :first-child { text-align: left; padding-left: .4em; white-space: nowrap }
.grid summary > :first-child::before { content: "\\25b8\\a0" }
.grid [open] > summary > :first-child::before { content: "\\25be\\a0" }
.head span { writing-mode: vertical-rl; transform: rotate(180deg); padding: .3em 0;
 justify-self: center }
.rows { border-left: 3px solid var(--line); margin: .3em 0 1.5em .3em; padding-left: 1em }
.rows td { overflow-wrap: anywhere; min-width: 6em }
.rows th { border: 0; padding-top: 1em; font-weight: bold }
.bad { color: var(--bad); font-weight: bold }
"""
esc = html.escape


def entry(check, test):
    """Class, number and words for what came of a test in a cell"""
    sign = check.mark(test)
    if not test:
        return "none", "", "no such test here"
    said = re.sub(r", 0 \w+", "", results.summary({"tests": [test], "problems": []}))
    shown = {"XX": "fail", "x": "xfail", "f": "flaky", "-": "skip"}.get(sign, "pass")
    return CLASSES.get(sign, "fail"), results.count([test], shown) or "?", said


def links(check, result):
    directory = os.path.relpath(result["dir"], check.o + "/results")
    return " ".join(f'<a href="{esc(os.path.join(directory, name))}">{name}</a>' for name in LEFT
                    if os.path.exists(os.path.join(result["dir"], name)))


def rows(test, lines):
    """The rows of a test in a cell, by reason"""
    yield f'<tr><th colspan="3">{esc(test["name"])}'
    found = why.by_reason([(r["name"], r) for r in test["rows"]], lines)
    for (status, said, by), those in sorted(found, key=lambda item: ORDER.index(item[0][0])):
        names = esc("; ".join(name for name, _ in those))
        yield f'<tr><td class="{status}">{len(those)} {results.STATUS[status]}'
        if said or by:
            heading = f" [{lines[by].heading}]" if by in lines else ""
            note = f"<br><small>expect/{esc(by + heading)}</small>" * bool(by)
            yield f"<td>{esc(said)}{note}<td>{names}"
        else:
            yield f'<td colspan="2">{names}'


def cells(check, lines):
    """A line for each cell, which opens to its rows"""
    those = check.cells + check.machines
    bases = list(dict.fromkeys(picture.base(r) for r in those))
    yield "<h2>Cells</h2><p>A cell is BASE[-FLAVOUR]-GRANULE-CPU-MODE. Open it to see its rows.</p>"
    if check.machines:
        yield "<p>Lines at the end are of real machines, and no part of the verdict.</p>"
    yield '<p class="legend">'
    yield from (f'<span class="{CLASSES.get(sign, "fail")}">{what}</span>'
                for sign, what in MARKS.items())
    yield "The number is that of the rows that the colour is about; none: no such test there.</p>"
    for n, base in enumerate(["all bases"] + bases):
        yield (f'<input type="radio" name="base" id="base{n}"{" checked" * (not n)}>'
               f'<label for="base{n}">{esc(base)}</label>')
    yield "<style>" + " ".join(
        f'#base{n}:checked ~ .wide [data-base]:not([data-base="{esc(base)}"]) {{ display: none }}'
        for n, base in enumerate(bases, 1)) + "</style>"
    name = max([len(r["name"]) for r in those], default=0) + 2
    yield (f'<div class="wide"><div class="grid" style="--columns: {len(check.columns)}; '
           f'--name: {name}ch">')
    yield '<div class="head"><span></span>'
    yield from (f"<span>{esc(column)}</span>" for column in check.columns)
    yield "</div>"
    for result in those:
        bad = {"fail": "fail", "skip": "skip"}.get(result["verdict"], "pass")
        yield (f'<details data-base="{esc(picture.base(result))}"><summary>'
               f'<span class="{bad}">{esc(result["name"])}</span>')
        for column in check.columns:
            kind, number, said = entry(check, check.test(result, column))
            yield f'<span class="{kind}" title="{esc(column)}: {said}">{number}</span>'
        yield f'</summary><div class="rows"><p>{links(check, result)}</p>'
        yield from (f'<p class="bad">{esc(line)}</p>' for line in result["problems"])
        yield "<table>"
        for test in result["tests"]:
            yield from rows(test, lines)
        yield "</table></div></details>"
    yield "</div></div>"


def page(check):
    """The lines of the page"""
    lines = results.all_lines()
    bad = "fail" if check.failed else "pass"
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    sections = dict(check.sections())

    def section(title, said):
        yield f"<h2>{title}</h2><ul>"
        yield from (f"<li>{esc(line)}" for line in said)
        yield "</ul>"

    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>{TITLE}: {check.closing()}</title>"
    yield f"<style>{STYLE}{picture.STYLE}</style></head><body>"
    yield f'<h1>{TITLE}</h1><p><span class="verdict {bad}">{check.closing()}</span> {date}</p>'
    if check.failed:
        yield from section("Failed", sections.pop("Failed"))
    yield from picture.Picture(check.cells + check.machines).lines()
    yield from cells(check, lines)
    yield "<h2>Other steps</h2><table><tr><th>step<th>left by it<th>rows"
    for result in check.steps:
        kind, _, said = entry(check, result["tests"][0])
        yield f'<tr><td>{esc(result["name"])}<td>{links(check, result)}<td class="{kind}">{said}'
    yield "</table>"
    for title, said in sections.items():
        yield from section(title, said)
    yield "</body></html>"
