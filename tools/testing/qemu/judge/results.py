#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Judge what ran against what should have run.

results.py cell CELL DIR LIST       what boot/run left of a cell in DIR, whose
                                    initramfs has the tests of LIST
results.py tap NAME DIR FILE        the TAP that a program left in FILE
results.py compare NAME DIR PRISTINE PATCHED LIST
                                    the base's own selftests, in the cells that ran
                                    in PRISTINE and PATCHED; what differs is run
                                    again by itself. LIST says which were left out

Prints what failed and one line; the exit status is the verdict. A flaky row is a
failure, unless the environment has FLAKY=ok. For report.py it leaves DIR/result.json:

  name      of the cell or step
  kind      "cell", "tap" or "compare"
  verdict   "pass" or "fail"; "skip": this emulator cannot run the cell; "ran": the
            rows of the base's own selftests are for "compare" to judge
  problems  what failed beside rows, as a list of lines
  control   true if rows have to fail here
  tests     a list, in the order they had to run in, of
            name
            rows    a list of
                    name
                    status  "pass", "fail", "skip"; "xfail": it failed as it has to;
                            "flaky": it passed when it was run again
                    why     reason of a skip, cause of a failure, or what was observed
                    by      of a "skip" and an "xfail": the line of expect/, as "skips:12"
  boot      what boot/run wrote to DIR/boot: facts, qemu, version, status, hung, suite ...
  source    what is tested, from DIR/source: base, version, series, edited ...
  guest     what the guest said of itself: kernel, debian, tainted, complete

What is allowed to be skipped, has to fail, and has to be there, is in expect/.
"""
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECT = os.path.join(HERE, "expect")
# Bits of /proc/sys/kernel/tainted that a module from elsewhere sets, and a test in the
# kernel: O, E, N
TAINT_ALLOWED = 1 << 12 | 1 << 13 | 1 << 18
TAINT = "PFSRMBUDAWCIOELKXTN"
RERUNS = 4
STATUS = {"pass": "passed", "fail": "failed", "skip": "skipped",
          "xfail": "failed as they have to", "flaky": "flaky"}
SIDES = ("pristine", "patched")
SHOWN = 25


class Error(Exception):
    """Bad input: one line for the user"""


def run(main, *args):
    """Run a program: what it returns is the exit status, what is wrong is said in one line"""
    try:
        sys.exit(main(*args))
    except Error as e:
        sys.exit(f"error: {e}")


def read(path):
    """The lines of a file, or None; a console may have any bytes"""
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as f:
            return [line.rstrip("\r") for line in f.read().split("\n")]
    except FileNotFoundError:
        return None


def pairs(path):
    """The key=value lines of a file, or None"""
    lines = read(path)
    return lines and dict(line.split("=", 1) for line in lines if "=" in line)


def row(name, status, why=""):
    return {"name": name, "status": status, "why": why}


def same_reason(why):
    """A reason without what differs from row to row: addresses, and names of devices"""
    return re.sub(r"\b0x[0-9a-f]{8,}\b|\b[0-9a-f]{4}(:[0-9a-f]{2}){2}\.\d", "...", why)


def count(tests, status):
    return sum(r["status"] == status for t in tests for r in t["rows"])


# Reading TAP

ROW = re.compile(r"(not )?ok (\d+)\b *(?:- )?(.*)")
DIRECTIVE = re.compile(r"(.*?) *(?<!\\)#\s*(skip|todo|xfail)\b:? *(.*)", re.I)


def parse_row(line):
    """The number and the row of a line of TAP, or None. Only a skip is a skip: what a
    test calls its expected failure is a skip with a reason that nobody allows."""
    match = ROW.fullmatch(line)
    if not match:
        return None
    bad, number, name = match.groups()
    directive = DIRECTIVE.fullmatch(name)
    if not directive:
        return int(number), row(name or "row " + number, "fail" if bad else "pass")
    name, word, why = directive.groups()
    if word.upper() != "SKIP":
        why = word.upper() + " " + why
    return int(number), row(name or "row " + number, "fail" if bad else "skip",
                            why or "no reason given")


def misplaced(numbered):
    """What is wrong with the numbers and names of rows, or None: one that is printed
    twice would stand for one that is missing."""
    names = set()
    for place, (number, r) in enumerate(numbered, 1):
        if number != place or r["name"] in names:
            return f"row {place} is \"{number} {r['name']}\": out of order, or there twice"
        names.add(r["name"])
    return None


class Program:
    """A test program in the output of kselftest's runner"""

    def __init__(self, name):
        self.name, self.numbered, self.said, self.plan, self.result = name, [], [], None, None
        self.rows, self.left = [], None

    def line(self, line):
        """A line of the program's own"""
        plan = re.fullmatch(r"1\.\.(\d+)(?: *# *skip *(.*))?", line, re.I)
        numbered = parse_row(line)
        if plan:
            self.plan, self.left = int(plan[1]), plan[2]
        elif numbered:
            # The runner's libraries print what they have to say of a row before it.
            if numbered[1]["status"] == "fail":
                numbered[1]["why"] = "\n".join(self.said)
            self.numbered.append(numbered)
            self.said = []
        elif not line.startswith("TAP version "):
            # An assertion of the library's prints lines that are not TAP, a shell does, too.
            self.said.append(line.removeprefix("# "))

    def finish(self, vacuous):
        """Add rows for what is wrong with the program as a whole; vacuous: it may
        have none of its own."""
        rows = self.rows = [r for _, r in self.numbered]
        last, wrong = rows[-1:], misplaced(self.numbered)
        skipped = self.result is not None and re.search("# *skip", self.result, re.I)
        if self.result is None:
            rows.append(row("(the program)", "fail", "it began and did not end"))
        elif skipped and not rows:
            rows.append(row("(all)", "skip", self.left or "no reason given"))
        elif skipped and last[0]["name"] == "row %d" % len(rows):
            last[0]["name"] = "(the rest)"
        elif self.result.startswith("not ") and not (
                self.result.endswith("# exit=1") and any(r["status"] == "fail" for r in rows)):
            rows.append(row("(the program)", "fail", self.result.partition("# ")[2]))
        elif not rows and not self.plan and vacuous:
            rows.append(row("(the program)", "pass"))
        elif self.plan is None:
            rows.append(row("(the program)", "fail", "it has no plan (1..N)"))
        elif self.plan != len(rows) or not rows:
            rows.append(row("(the program)", "fail",
                            f"ran {len(rows)} rows of {self.plan}"))
        if wrong and not vacuous:
            rows.append(row("(the program)", "fail", wrong))


RESULT = re.compile(r"((?:not )?ok) \d+ selftests: \S+: (\S+)(.*)")


def parse_kselftest(lines, vacuous=False):
    """What kselftest's runner printed: programs, the sum of its plans, and what the
    guest said of itself"""
    programs, planned, guest = [], 0, {}
    for line in lines:
        start = re.fullmatch(r"# selftests: \S+: (\S+)", line)
        result = RESULT.fullmatch(line)
        said = re.fullmatch(r"# guest: (\w+) ?(.*)", line)
        running = programs and programs[-1].result is None
        plan = re.fullmatch(r"1\.\.(\d+)", line)
        if start:
            programs.append(Program(start[1]))
        elif result:
            if not programs or programs[-1].name != result[2] or programs[-1].result:
                programs.append(Program(result[2]))
            programs[-1].result = result[1] + result[3]
        elif plan:
            planned += int(plan[1])
        elif running and line.startswith("# "):
            programs[-1].line(line[2:])
        elif said:
            guest[said[1]] = said[2]
    for program in programs:
        program.finish(vacuous)
    return programs, planned, guest


def parse_tap(lines):
    """The rows of TAP, and what is wrong with it"""
    numbered, plans, problems = [], [], []
    for line in lines:
        plan = re.match(r"1\.\.(\d+)", line)
        r = parse_row(line)
        if plan:
            plans.append(int(plan[1]))
        elif r:
            numbered.append(r)
        elif line.startswith("Bail out!"):
            problems.append(line)
        elif line.startswith("# ") and numbered and numbered[-1][1]["status"] == "fail":
            numbered[-1][1]["why"] += "\n" * bool(numbered[-1][1]["why"]) + line[2:]
    if len(plans) != 1:
        problems.append(f"{len(plans)} plans (1..N): it did not run, or did not end")
    elif plans[0] != len(numbered) or not numbered:
        problems.append(f"ran {len(numbered)} rows of {plans[0]}")
    wrong = misplaced(numbered)
    return [r for _, r in numbered], problems + [wrong] * bool(wrong)


# What is expected

class Line:
    """A line of expect/: [?] TEST | REGEX [| REGEX]"""

    def __init__(self, where, heading, text):
        self.where, self.heading, self.text, self.met = where, heading, text, False
        self.optional = text.startswith("? ")
        fields = text[2 * self.optional:].split(" | ")
        try:
            self.test, self.what = fields[0].strip(), re.compile(fields[1].strip())
            self.seen = re.compile(fields[2].strip()) if fields[2:] else None
        except (IndexError, re.error) as e:
            raise Error(f"{where}: {e}: a line is TEST | REGEX [| REGEX]") from e

    def matches(self, test, text):
        return fnmatch.fnmatchcase(test, self.test) and self.what.search(text)


def applies(heading, tags):
    """Do all words of a heading hold? A word is one or more patterns of a tag, with
    commas between, of which one has to match; !WORD is the opposite."""
    return all(any(fnmatch.fnmatchcase(tag, pattern) for tag in tags
                   for pattern in word.lstrip("!").split(",")) != word.startswith("!")
               for word in heading.split())


def expect_lines(path):
    """The lines of a file of expect/"""
    text = read(path)
    if text is None:
        raise Error(f"{path} is missing")
    lines, heading = [], ""
    for number, line in enumerate(text, 1):
        if line.startswith("["):
            if not line.endswith("]"):
                raise Error(f"{path}:{number}: a heading is [WORD...]")
            heading = line[1:-1]
        elif line and not line.startswith("#"):
            lines.append(Line(f"{os.path.basename(path)}:{number}", heading, line))
    return lines


def all_lines(directory=EXPECT):
    """Each line of expect/ by what a row's "by" says"""
    return {line.where: line for name in ("skips", "fails")
            for line in expect_lines(os.path.join(directory, name))}


class Expectations:
    """The lines of a directory that apply to a cell

    skips has the reasons for which a row may be skipped, fails the rows that have
    to fail, and what has to be observed. Both have sections: "[WORD...]", with the
    words that have to match the tags: a cell's facts and qemu-VERSION, or a step's name.
    """

    def __init__(self, directory, tags):
        self.skips, self.fails = (
            [line for line in expect_lines(os.path.join(directory, name))
             if applies(line.heading, tags)] for name in ("skips", "fails"))

    def allows(self, test, why):
        """The line that allows a skip, or None"""
        return next((line for line in self.skips if line.matches(test, why)), None)

    def judge(self, test, r):
        """Turn what a row says into what it means here."""
        status = r["status"]
        for line in self.fails:
            # Nothing explains what went wrong with a program as a whole.
            if r["name"].startswith("(") or not line.matches(test, r["name"]):
                continue
            if status == "pass":
                r.update(status="fail", why="it has to fail here, and passed")
            elif status == "skip" and not line.optional:
                r.update(status="fail", why="it has to fail here, and was skipped: " + r["why"])
            elif status == "fail" and line.seen and not line.seen.search(r["why"]):
                r["why"] = f"it has to fail with /{line.seen.pattern}/, not so:\n{r['why']}"
            elif status == "fail":
                r.update(status="xfail", by=line.where)
                line.met = True
            break
        if r["status"] == "skip":
            line = self.allows(test, r["why"])
            if line:
                r["by"] = line.where
            else:
                r.update(status="fail", why="skipped, for a reason that expect/skips does not "
                         "allow here: " + r["why"])

    def unmet(self, pattern):
        """The lines for which no row has failed, of tests that were asked for"""
        return [f"expect/{line.where}: {line.test}: no row failed that has to: /"
                f"{line.what.pattern}/" for line in self.fails
                if not line.met and not line.optional and fnmatch.fnmatchcase(line.test, pattern)]


# Judging

def wanted_tests(path, suite, pattern):
    """The tests of LIST that the guest was asked for"""
    lines = read(path)
    if lines is None:
        raise Error(f"{path}: no such list of tests")
    long = suite != "own-all" and read(os.path.join(os.path.dirname(path), "long")) or []
    names = [line.partition(":")[2] for line in lines if line]
    return [name for name in names if fnmatch.fnmatchcase(name, pattern) and
            (name not in long or name == pattern)]


def console_problems(directory):
    lines = read(os.path.join(directory, "console.log"))
    if not any(lines or []):
        return ["the console is silent"]
    patterns = [p for p in read(os.path.join(HERE, "console-errors")) if p and p[0] != "#"]
    error = re.compile("|".join(f"(?:{p})" for p in patterns))
    bad = [line for line in lines if error.search(line)]
    more = f" (and {len(bad) - 1} lines more)" if bad[1:] else ""
    return [f"the console says: {bad[0]}{more}"] if bad else []


def guest_problems(guest, boot, source, programs, last_words):
    """How the boot ended, and what the guest ran on"""
    running = programs[-1].name if programs and programs[-1].result is None else None
    where = f" in {running}" if running else " after the last test" if programs else \
        " before the first test"
    problems = []
    if boot.get("hung") == "yes":
        problems.append(f"hung{where}, killed after {boot.get('limit')} s")
    elif boot.get("status") != "0":
        problems.append(f"QEMU died{where}, exit status {boot.get('status')}: {last_words}")
    elif "complete" not in guest:
        problems.append(f"the guest ended early,{where}")
    if "complete" in guest:
        taint = guest.get("tainted", "")
        if not taint.isdigit():
            problems.append("the guest did not say whether the kernel is tainted")
        elif int(taint) & ~TAINT_ALLOWED:
            bits = [TAINT[i:i + 1] or f"bit {i}" for i in range(int(taint).bit_length())
                    if int(taint) & ~TAINT_ALLOWED & 1 << i]
            problems.append(f"the kernel is tainted: {' '.join(bits)} ({taint})")
    if not source or "base" not in source:
        problems.append("nothing says what was tested: no file source, or no base in it")
    elif "kernel" in guest:
        # A tree of the user's own may be newer than all bases.
        line = ".".join(source["version"].split(".")[:2]) if source.get("ksrc") else source["base"]
        if not (guest["kernel"] + ".").startswith(line + "."):
            problems.append(f"Linux {guest['kernel']} has booted, not {line}")
    return problems


def rows_of(test):
    """The names of a test's rows, none if it was skipped as a whole; and how many have
    none, as 6.1's harness does not name those that it skips"""
    names = [r["name"] for r in test["rows"] if not r["name"].startswith("(")]
    named = [name for name in names if not re.fullmatch(r"row \d+", name)]
    return named, len(names) - len(named)


def known_rows(directory=EXPECT):
    """(test, base) -> the names of its rows, and whether each cell has it"""
    path = os.path.join(directory, "rows")
    lines = read(path)
    if lines is None:
        raise Error(f"{path} is missing")
    known, here = {}, None
    for number, line in enumerate(lines, 1):
        heading = re.fullmatch(r"\[(\S+)((?: \S+)+)\]", line)
        if heading:
            here = [known.setdefault((heading[1], base), {}) for base in heading[2].split()]
        elif line and line[0] != "#":
            if here is None or line[0] == "[":
                raise Error(f"{path}:{number}: it begins with [TEST BASE...]")
            for rows in here:
                rows[line.removeprefix("? ")] = line[:2] != "? "
    return known


def lost_rows(tests, base, expect):
    """Which tests have lost rows, or may lose them unseen"""
    problems, known = [], known_rows(expect)
    for test in tests:
        name, (rows, unnamed) = test["name"], rows_of(test)
        if (rows or unnamed) and (name, base) not in known:
            problems.append(f"{name}: no rows of it and {base} in expect/rows: "
                            "judge/rows.py writes them")
        elif rows or unnamed:
            lost = [row for row, always in known[name, base].items() if always and row not in rows]
            if len(lost) > unnamed:
                problems += [f"{name}: \"{row}\" has to be there: expect/rows" for row in lost]
    return problems


def judge_cell(name, directory, path, expect=EXPECT):
    boot = pairs(os.path.join(directory, "boot"))
    if not boot:
        raise Error(f"{name}: {directory} has no file boot: has it been booted?")
    source = pairs(os.path.join(directory, "source"))
    suite = boot.get("suite", "series")
    result = {"name": name, "kind": "cell", "problems": [], "control": False, "tests": [],
              "boot": boot, "source": source, "guest": {}}
    facts = boot.get("facts", "").split()
    if not facts:
        raise Error(f"{name}: {directory}/boot has no line facts=: boot it again")
    facts.append("qemu-" + boot.get("version", ""))
    if boot.get("skip"):
        return judge_left_out(name, boot, facts, expect)
    expected = Expectations(expect, facts)

    pattern = boot.get("test", "*")
    wanted = wanted_tests(path, suite, pattern)
    programs, planned, result["guest"] = parse_kselftest(
        read(os.path.join(directory, "ktap")) or [], vacuous=suite != "series")
    problems = result["problems"]
    said = [line for line in read(os.path.join(directory, "qemu.log")) or [] if line]
    problems += guest_problems(result["guest"], boot, source, programs, "".join(said[-1:]))
    problems += console_problems(directory)
    ended = sum(p.result is not None for p in programs)
    if planned != ended or planned != len(wanted) or not wanted:
        problems.append(f"of {len(wanted)} tests the runner planned {planned}, and {ended} ended")
    ran = {}
    for program in programs:
        if program.name in ran or program.name not in wanted:
            problems.append(f"{program.name} ran, and should not have, or not twice")
        ran.setdefault(program.name, []).extend(program.rows)
    result["tests"] = [{"name": test, "rows": ran.get(test) or [row("(the program)", "fail",
                        "it did not run")]} for test in wanted]
    if suite == "series":
        result["control"] = bool(expected.fails)
        for test in result["tests"]:
            for r in test["rows"]:
                expected.judge(test["name"], r)
        problems += expected.unmet(pattern)
        if not count(result["tests"], "pass"):
            problems.append("nothing was checked: no row has passed")
        if pattern == "*":
            problems += lost_rows(result["tests"], (source or {}).get("base"), expect)
    bad = problems or suite == "series" and count(result["tests"], "fail")
    result["verdict"] = "fail" if bad else "pass" if suite == "series" else "ran"
    return result


def judge_left_out(name, boot, facts, expect=EXPECT):
    """A cell that cannot be booted, for the reason in boot["skip"]"""
    tests = [{"name": "(the cell)", "rows": [row("(all)", "skip", boot["skip"])]}]
    Expectations(expect, facts).judge("(the cell)", tests[0]["rows"][0])
    return {"name": name, "kind": "cell", "problems": [], "control": False, "tests": tests,
            "boot": boot, "source": {}, "guest": {},
            "verdict": "fail" if count(tests, "fail") else "skip"}


def judge_tap(name, path, expect=EXPECT):
    rows, problems = parse_tap(read(path) or [])
    expected = Expectations(expect, [name])
    for r in rows:
        expected.judge(name, r)
    problems += expected.unmet(name)
    tests = [{"name": name, "rows": rows}]
    return {"name": name, "kind": "tap", "problems": problems, "control": False, "tests": tests,
            "verdict": "fail" if problems or count(tests, "fail") else "pass"}


# Pristine against patched

def load(directory):
    """The result in a directory, or None"""
    try:
        with open(os.path.join(directory, "result.json"), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as e:
        raise Error(f"{directory}/result.json: {e}: remove it, and run it again") from e


def outcome(test):
    """Passed, failed, or skipped; and what tells it from another run of the test"""
    status = [r["status"] for r in test["rows"]]
    rows = sorted((r["status"], r["name"]) for r in test["rows"] if r["status"] != "pass")
    return ("fail" if "fail" in status else "pass" if "pass" in status else "skip",
            status.count("pass"), rows)


def boot_again(result, test, directory):
    """Run one test of a cell by itself, as the cell ran."""
    boot = result["boot"]
    env = dict(os.environ, SUITE="own-all", TEST=test, QEMU=boot["qemu"], LIMIT=boot["limit"])
    os.makedirs(directory, exist_ok=True)
    cell = [boot["cell"], directory, boot["kernel"], boot["initramfs"], boot["list"]]
    print(f"again: {test} in {boot['cell']}", flush=True)
    subprocess.run([os.path.join(HERE, "../boot/run")] + cell, env=env, check=False,
                   stdout=subprocess.DEVNULL)
    with open(os.path.join(directory, "source"), "w", encoding="utf-8") as f:
        f.writelines(f"{key}={value}\n" for key, value in (result["source"] or {}).items())
    return judge_cell(boot["cell"], directory, boot["list"])


def compare_test(name, sides, rerun):
    """One test on the pristine and on the patched kernel, as a row"""
    if None in sides:
        return row(name, "fail", "it ran on one of the two kernels only")
    now, runs, bad = list(sides), [1, 1], [int(outcome(s)[0] == "fail") for s in sides]
    differ = outcome(now[0]) != outcome(now[1])
    unsteady = differ and any(outcome(side)[0] != "pass" for side in now)
    for _ in range(RERUNS if unsteady else 0):
        # Both as often: how often each has failed is to be compared.
        for side in (0, 1):
            result = rerun(side, name)
            # A kernel that dies of a test has not just failed it.
            if result["problems"]:
                return row(name, "fail", f"run again on the {SIDES[side]} kernel: "
                           + "; ".join(result["problems"]))
            again = result["tests"][0]
            runs[side] += 1
            if outcome(again)[0] == "fail":
                bad[side] += 1
            elif outcome(now[side])[0] != "pass":
                now[side] = again
        if outcome(now[0]) == outcome(now[1]):
            return row(name, "flaky", f"failed in {bad[0]} of {runs[0]} runs on the pristine "
                       f"kernel, in {bad[1]} of {runs[1]} on the patched one")
    why = ["; ".join(f"{r['status']} {r['name']} {r['why']}".strip() for r in side["rows"]
                     if r["status"] != "pass") for side in now]
    if differ:
        why = [f"{outcome(side)[1]} passed; {w}".strip("; ") for side, w in zip(now, why)]
        return row(name, "fail", f"pristine: {why[0]}, patched: {why[1]}")
    status = outcome(now[0])[0]
    if status == "fail":
        return row(name, "skip", "fails on the pristine kernel, too: " + why[0])
    return row(name, status, "" if status == "pass" else "on both kernels: " + why[0])


def judge_compare(name, results, listed, floor, rerun):
    problems = []
    for which, result in zip(SIDES, results):
        if not result or result["verdict"] != "ran":
            problems.append(f"the {which} kernel: " + ("did not run" if not result else
                            "; ".join(result["problems"]) or "these are no tests of the base"))
        elif result["boot"].get("test", "*") != "*":
            problems.append(f"the {which} kernel ran but TEST={result['boot']['test']}")
    rows = []
    if not problems:
        tests = [{t["name"]: t for t in result["tests"]} for result in results]
        for test in sorted(set(tests[0]) | set(tests[1])):
            rows.append(compare_test(test, [side.get(test) for side in tests], rerun))
        for line in listed:
            match = re.match(r"([^# ]\S*) (?:broken|long): (.*)", line)
            if match and match[1] not in tests[0]:
                rows.append(row(match[1], "skip", match[2]))
        passed = sum(r["status"] == "pass" for r in rows)
        if passed < floor:
            problems.append(f"{passed} tests pass on both kernels, at least {floor} have to")
    both = [{"name": name, "rows": rows}]
    return {"name": name, "kind": "compare", "problems": problems, "control": False,
            "tests": both, "source": results[1] and results[1]["source"],
            "boot": results[1] and results[1]["boot"],
            "verdict": "fail" if problems or count(both, "fail") else "pass"}


def floor_of(base, path=os.path.join(EXPECT, "floors")):
    for line in read(path) or []:
        if line.split()[:1] == [base]:
            return int(line.split()[1])
    raise Error(f"{path} has no line for {base}: how many of its tests have to pass?")


# The command

def summary(result):
    """One line"""
    counts = {status: count(result["tests"], status) for status in STATUS}
    counts["fail"] += len(result["problems"])
    return ", ".join(f"{n} {STATUS[s]}" for s, n in counts.items()
                     if n or s in ("pass", "fail", "skip"))


def strange(result):
    """Where what was tested is not what its name says, a line each"""
    source, lines = result.get("source") or {}, []
    if source.get("ksrc"):
        lines.append("tested is your own tree " + source["ksrc"])
    if source.get("edited") == "yes":
        lines.append("tested is an EDITED tree, see tree.patch")
    debian = (result.get("guest") or {}).get("debian")
    if debian and debian.split("-")[0] != source.get("version"):
        lines.append(f"Debian's own kernel is {debian}, not the base's {source.get('version')}")
    return lines


def failures(result, environ=os.environ):
    """What failed, a line each"""
    lines = list(result["problems"])
    for test in result["tests"]:
        for r in test["rows"]:
            flaky = r["status"] == "flaky" and environ.get("FLAKY") != "ok"
            if flaky or r["status"] == "fail" and result["verdict"] != "ran":
                what = "" if test["name"] == result["name"] else test["name"] + ": "
                why = " / ".join(r["why"].split("\n")[-6:])
                lines.append(what + r["name"] + (": " + why if why else "")
                             + ": flaky, FLAKY=ok lets it pass" * flaky)
    return lines


def main(args):
    if len(args) == 4 and args[0] == "cell":
        judge = lambda: judge_cell(args[1], args[2], args[3])
    elif len(args) == 4 and args[0] == "tap":
        judge = lambda: judge_tap(args[1], args[3])
    elif len(args) == 6 and args[0] == "compare":
        def judge():
            again = os.path.join(args[2], "again")
            shutil.rmtree(again, ignore_errors=True)
            results = [load(directory) for directory in args[3:5]]
            listed = read(args[5])
            if listed is None:
                raise Error(f"{args[5]}: no such list of tests")
            base = ((results[0] or {}).get("source") or {}).get("base")
            return judge_compare(args[1], results, listed, floor_of(base) if base else 0,
                                 lambda side, test: boot_again(results[side], test, again))
    else:
        raise Error("usage: results.py cell CELL DIR LIST | tap NAME DIR FILE | "
                    "compare NAME DIR PRISTINE PATCHED LIST")
    name, directory = args[1:3]
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "result.json")
    # An old result must not outlive a judge that dies.
    if os.path.exists(path):
        os.remove(path)
    result = judge()
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
    os.rename(path + ".tmp", path)
    failed = failures(result)
    console = read(os.path.join(directory, "console.log"))
    if result["problems"] and console:
        print(f"--- the last lines of {directory}/console.log:", *console[-16:], sep="\n")
    for line in failed[:SHOWN]:
        print(f"failed: {line}")
    if failed[SHOWN:]:
        print(f"... and {len(failed) - SHOWN} more, see {path}")
    if result["verdict"] == "fail" or failed:
        print(f"error: {name}: {failed[0] if result['problems'] else summary(result)}"
              + "".join("; " + line for line in strange(result)))
        return 1
    if result["verdict"] == "skip":
        print(f"notice: {name}: skipped, {result['boot']['skip']}")
    also = ["for a comparison to judge"] * (result["verdict"] == "ran") + strange(result)
    print("; ".join([f"{name}: {summary(result)}"] + also))
    return 0


if __name__ == "__main__":
    run(main, sys.argv[1:])
