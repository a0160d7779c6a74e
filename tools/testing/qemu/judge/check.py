# SPDX-License-Identifier: GPL-2.0-only
"""The results of everything that had to run, and what there is to say of them"""
import glob
import os
from collections import Counter

import results

MARKS = {"ok": "passed", "~": "passed, some rows skipped", "-": "all skipped",
         "x": "rows failed as they have to", "f": "flaky", "XX": "failed", "?": "no result"}
# How many steps are listed that took long
LONGEST = 10


class Check:
    """The results of a check"""

    def __init__(self, o, names, environ):
        self.o, self.environ, self.cells, self.steps, self.failed = o, environ, [], [], []
        if not names:
            self.failed.append("no cells, and no other steps: nothing had to run")
        for name in names:
            self.add(name)
        self.results = self.cells + self.steps
        # By machine.py; neither counted nor judged here
        self.machines = [dict(results.load(directory), dir=directory) for directory in
                         sorted(glob.glob(self.path("machine", "*[0-9]", "")))]
        made = int(environ.get("MADE") or 0)
        if made and not self.failed:
            self.failed.append(f"make: exit status {made}: a step failed that left no result "
                               "of its own, and what depends on it may be of an earlier run")
        ran = [r for r in self.cells if not r["boot"].get("skip")]
        self.columns = list(dict.fromkeys(t["name"] for r in ran for t in r["tests"]))
        self.failed += self.gone([r for r in ran if r["boot"].get("test", "*") == "*"])

    @staticmethod
    def gone(ran):
        """The tests that no cell has, of those that a base had"""
        here = {(t["name"], (r["source"] or {}).get("base")) for r in ran for t in r["tests"]}
        return [f"{test}: it has a line for {base} in expect/rows, and no cell has the test: is it "
                "installed?" for test, base in results.known_rows()
                if (test, base) not in here and base in {b for _, b in here}]

    def path(self, *names):
        return os.path.join(self.o, *names)

    def is_of_now(self, path):
        """Has this check made that? All is, where none is on record."""
        started = self.path("results", ".started")
        return self.environ.get("ALL") == "1" or not os.path.exists(started) or (
            os.path.getmtime(path) >= os.path.getmtime(started))

    def find(self, name):
        """A result, and where it is; of what this check did not get to, there is none"""
        gone = results.read(self.path("source", name.split("-")[0] + ".tar.xz.gone"))
        if gone and name.count("-") > 2:
            boot = {"cell": name, "skip": gone[0], "facts": name.replace("-", " ")}
            return results.judge_left_out(name, boot, [name]), self.path("source")
        for kind in ("cell", "results"):
            directory = self.path(kind, name)
            result, path = results.load(directory), os.path.join(directory, "result.json")
            if result and (os.path.exists(self.path("results", ".reached", name)) or
                           self.is_of_now(path)):
                return result, directory
            if result:
                os.remove(path)
        steps = [f[:-len(".log")] for f in self.left(".failed")]
        raise results.Error("no result: it did not get to run" + (
            f"; what failed: {', '.join(steps)}" if steps else ""))

    def left(self, name):
        """What the steps of this check have left in a directory (host/step)"""
        directory = self.path(name)
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        return [n for n in names if self.is_of_now(os.path.join(directory, n))]

    def add(self, name):
        try:
            result, directory = self.find(name)
        except results.Error as e:
            self.failed.append(f"{name}: {e}")
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

    def real(self):
        """The real machines, and what came of them"""
        for result in self.machines:
            m, s = result["machine"], result["source"]
            yield f"{result['name']}: {m['board']}, {m['system']}, KVM's {m['mode']} mode, with " \
                f"{m['device']}; the tests from {s.get('version')}, series {s.get('series')}" + (
                    "" if m["module"] == "yes" else f", without the module ({m['module']})") + \
                f": {results.summary(result)}"

    @staticmethod
    def mark(test):
        """What came of a test in a cell: nothing, where the base has no such test"""
        if not test:
            return ""
        has = {r["status"] for r in test["rows"]}
        for status, sign in (("fail", "XX"), ("xfail", "x"), ("flaky", "f")):
            if status in has:
                return sign
        return "?" if not has else "-" if has == {"skip"} else "~" if "skip" in has else "ok"

    @staticmethod
    def test(result, name):
        """A cell's test, or None; of a cell that the emulator cannot run, any is skipped"""
        if result["boot"].get("skip"):
            return result["tests"][0]
        return next((test for test in result["tests"] if test["name"] == name), None)

    def times(self):
        """Where the time went: kinds of steps, and the steps, that took the most CPU time"""
        steps = {}
        for name in self.left(".times"):
            clock, cpu = results.read(self.path(".times", name))[0].split()
            steps[name[:-len(".log")]] = float(clock), int(cpu)
        kinds = Counter()
        for name, (_, cpu) in steps.items():
            kinds[name.split("-")[0]] += cpu
        if kinds:
            yield f"{sum(kinds.values())} s of CPU time: " + ", ".join(
                f"{kind} {cpu}" for kind, cpu in kinds.most_common() if cpu)
        for name in sorted(steps, key=lambda n: -steps[n][1])[:LONGEST]:
            yield f"{steps[name][1]:5} s of CPU time, {steps[name][0]:.0f} s by the clock: {name}"

    def closing(self):
        return f"{self.count('pass')} passed, {len(self.failed)} failed, " \
            f"{self.count('skip')} skipped"

    def sections(self):
        """All there is to say beside the table: titles, and lines"""
        flaky = [f"{result['name']}: {r['name']}: {r['why']}"
                 for result, _, r in self.rows("flaky")]
        skips = [f"{n:5}  {why}" for why, n in self.reasons()]
        all_of_them = (("Tested", self.tested()),
                       ("Real machines, which are no part of the verdict", list(self.real())),
                       ("Controls", self.controls()),
                       ("Skipped, by reason", skips),
                       ("Lines of expect/ that allowed nothing",
                        self.useless() if self.environ.get("FULL") == "1" else []),
                       ("Where the time went", list(self.times())),
                       ("Flaky", flaky), ("Failed", self.failed))
        return [(title, lines) for title, lines in all_of_them if lines]
