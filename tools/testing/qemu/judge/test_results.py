# SPDX-License-Identifier: GPL-2.0-only
"""Each rule of the verdict, on input that breaks it"""
import contextlib
import io
import os
import re
import tempfile
import unittest
from unittest import mock

import results

# A cell in which all is well: three tests, one of which is skipped
BOOT = {"cell": "6.1-4k-max-vhe", "facts": "6.1 4k series feature vhe max fwb mte gicv3",
        "qemu": "qemu", "version": "7.2.22", "suite": "series", "test": "*", "limit": "240",
        "kernel": "k", "initramfs": "i", "list": "l", "status": "0", "hung": "no"}
KTAP = """\
# guest: kernel 6.1.192
TAP version 13
1..3
# selftests: kvm: a
# TAP version 13
# 1..3
# # a: what it saw
# ok 1 one
# ok 2 - two # not a directive
# ok 3 three # SKIP no such CPU
ok 1 selftests: kvm: a
# selftests: kvm: b
# 1..1
# ok 1 one
ok 2 selftests: kvm: b
# selftests: kvm: c
# 1..0 # SKIP no such CPU
ok 3 selftests: kvm: c # SKIP
# guest: tainted 12288
# guest: complete
"""
SKIPS = "[6.1]\n* | ^no such CPU$\n"
ROWS = "[a 6.1]\n? one\n[b 6.1]\n? one\n"
THREE = "[a 6.1]\none\ntwo\nthree\n[b 6.1]\none\n"
# What a kernel without the feature says
CONTROL = KTAP.replace("# # a: what it saw\n# ok 1 one", "# # a: one: it is Device\n# not ok 1 one") \
    .replace("ok 1 selftests: kvm: a", "not ok 1 selftests: kvm: a # exit=1")
FAILS = "[!feature]\na | ^one$ | is Device$\n"


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = directory.name
        self.put("list", "kvm:a\nkvm:b\nkvm:c\n")

    def put(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def evidence(self, ktap=KTAP, console="Linux version 6.1.192\n", boot=(),
                 source="base=6.1\n", skips=SKIPS, fails="", rows=ROWS):
        self.put("cell/ktap", ktap)
        self.put("cell/console.log", console)
        self.put("cell/source", source)
        self.put("cell/boot", "".join(f"{k}={v}\n" for k, v in {**BOOT, **dict(boot)}.items()))
        self.put("expect/skips", skips)
        self.put("expect/fails", fails)
        self.put("expect/rows", rows)

    def judge(self, name="6.1-4k-max-vhe", **evidence):
        self.evidence(**evidence)
        return results.judge_cell(name, os.path.join(self.dir, "cell"),
                                  os.path.join(self.dir, "list"), os.path.join(self.dir, "expect"))

    def red(self, text, result):
        """It has failed, and says so in a line that has text."""
        self.assertEqual(result["verdict"], "fail")
        self.assertRegex("\n".join(results.failures(result)), re.escape(text))

    def green(self, counts, result):
        self.assertEqual((result["verdict"], results.failures(result)), ("pass", []))
        self.assertEqual(results.summary(result), counts)

    def control(self, ktap=CONTROL, fails=FAILS, boot=(), **evidence):
        boot = {"facts": "6.1 4k pristine vhe max fwb mte gicv3", **dict(boot)}
        return self.judge(name="6.1-base-4k-max-vhe", ktap=ktap, fails=fails, boot=boot, **evidence)


class Plans(Case):
    """What should have run has run."""

    def test_all_is_well(self):
        self.green("3 passed, 0 failed, 2 skipped", self.judge())

    def test_no_test_ran(self):
        ktap = "# guest: kernel 6.1.192\n# guest: tainted 0\n# guest: complete\n"
        result = self.judge(ktap=ktap)
        self.red("of 3 tests the runner planned 0, and 0 ended", result)
        self.red("nothing was checked", result)
        self.red("a: (the program): it did not run", result)

    def test_one_of_three_ran(self):
        ktap = re.sub("(?s)# selftests: kvm: b.*(?=# guest: t)", "", KTAP)
        self.red("of 3 tests the runner planned 3, and 1 ended", self.judge(ktap=ktap))

    def test_a_listed_test_is_not_in_the_runners_plan(self):
        ktap = re.sub("(?s)# selftests: kvm: c.*(?=# guest: t)", "", KTAP).replace("1..3\n", "1..2\n", 1)
        self.red("c: (the program): it did not run", self.judge(ktap=ktap))

    def test_a_test_that_nobody_asked_for(self):
        self.put("list", "kvm:a\nkvm:b\n")
        self.red("c ran, and should not have", self.judge())

    def test_an_empty_list(self):
        self.put("list", "")
        self.red("of 0 tests the runner planned 3", self.judge())

    def test_a_program_runs_fewer_rows_than_it_planned(self):
        self.red("a: (the program): ran 2 rows of 3", self.judge(ktap=KTAP.replace("# ok 1 one\n", "", 1)))

    def test_a_program_without_a_plan(self):
        self.red("b: (the program): it has no plan", self.judge(ktap=KTAP.replace("# 1..1\n", "")))

    def test_a_program_that_says_nothing(self):
        ktap = KTAP.replace("# 1..1\n# ok 1 one\n", "")
        self.red("b: (the program): it has no plan", self.judge(ktap=ktap))

    def test_a_program_that_plans_nothing(self):
        ktap = KTAP.replace("# 1..1\n# ok 1 one\n", "# 1..0\n")
        self.red("b: (the program): ran 0 rows of 0", self.judge(ktap=ktap))

    def test_a_row_is_printed_twice(self):
        for rows in ("1 one\n# ok 2 one", "1 one\n# ok 1 two", "2 one\n# ok 1 two"):
            ktap = KTAP.replace("# 1..1\n# ok 1 one\nok 2", f"# 1..2\n# ok {rows}\nok 2")
            self.red("b: (the program): row ", self.judge(ktap=ktap))
            # The base's own are as they are.
            result = self.judge(ktap=ktap, boot={"suite": "own"})
            self.assertEqual(results.count(result["tests"], "fail"), 0)

    def test_a_row_fails(self):
        ktap = KTAP.replace("# ok 1 one\n", "# not ok 1 one\n", 1)
        self.red("a: one: a: what it saw", self.judge(ktap=ktap))
        ktap = ktap.replace("# # a: what it saw\n", "# # it began\n# ==== Test Assertion Failure ====\n")
        self.red("a: one: it began / ==== Test Assertion Failure ====", self.judge(ktap=ktap))

    def test_a_program_fails_beside_its_rows(self):
        for end in ("# exit=1", "# exit=139", "# TIMEOUT 45 seconds", ""):
            ktap = KTAP.replace("ok 2 selftests: kvm: b", f"not ok 2 selftests: kvm: b {end}")
            self.red("b: (the program)", self.judge(ktap=ktap))

    def test_skips_as_kselftest_h_prints_them(self):
        ktap = KTAP.replace("# ok 1 one\nok 2", "# ok 1 # SKIP no such CPU\nok 2")
        self.green("2 passed, 0 failed, 3 skipped", self.judge(ktap=ktap))

    def test_an_exit_that_skips_the_rest(self):
        ktap = KTAP.replace("# 1..1\n# ok 1 one\nok 2 selftests: kvm: b", "# 1..9\n# ok 1 one\n"
                            "# ok 2 # SKIP no such CPU\nok 2 selftests: kvm: b # SKIP")
        self.green("3 passed, 0 failed, 3 skipped", self.judge(ktap=ktap))

    def test_what_a_test_calls_expected_is_not(self):
        for word in ("TODO", "XFAIL"):
            ktap = KTAP.replace("# ok 1 one\nok 2", f"# ok 1 one # {word} no such CPU\nok 2")
            self.red("that expect/skips does not allow", self.judge(ktap=ktap))

    def test_those_that_take_minutes_are_left_out(self):
        self.put("long", "b\n")
        path = os.path.join(self.dir, "list")
        for suite in ("own", "series"):
            self.assertEqual(results.wanted_tests(path, suite, "*"), ["a", "c"])
            self.assertEqual(results.wanted_tests(path, suite, "b"), ["b"])
        self.assertEqual(results.wanted_tests(path, "own-all", "*"), ["a", "b", "c"])

    def test_a_pattern_leaves_tests_out(self):
        ktap = re.sub("(?s)# selftests: kvm: a.*(?=# selftests: kvm: b)", "", KTAP) \
            .replace("1..3\n", "1..2\n", 1)
        self.green("1 passed, 0 failed, 1 skipped",
                   self.judge(ktap=ktap, boot={"test": "[bc]"}))


class Skips(Case):
    def test_a_reason_that_is_not_allowed(self):
        result = self.judge(ktap=KTAP.replace("# SKIP no such CPU\nok 1", "# SKIP no device\nok 1"))
        self.red("three: skipped, for a reason that expect/skips does not allow here: no device", result)

    def test_the_line_that_allows_it_is_kept(self):
        tests = self.judge(skips="# x\n[!6.1]\n* | .\n\n[6.1]\nb | .\n* | ^no such CPU$\n")["tests"]
        self.assertEqual([r.get("by") for test in tests for r in test["rows"]],
                         [None, None, "skips:7", None, "skips:7"])

    def test_a_reason_that_another_host_is_allowed(self):
        for heading in ("6.12", "!6.1", "6.1 !max", "qemu-8.*", "6.1-4k-max-vhe"):
            self.red("that expect/skips does not allow",
                     self.judge(skips=f"[{heading}]\n* | ^no such CPU$\n"))

    def test_headings(self):
        tags = ["6.1", "4k", "series", "feature", "vhe", "max", "fwb", "gicv2", "qemu-7.2.22"]
        for heading in ("", "*", "6.1", "6.12,6.1", "!6.12", "max  gicv2", "qemu-7.* 6.1"):
            self.assertTrue(results.applies(heading, tags), heading)
        for heading in ("6.12", "!6.1", "6.1 !gicv2", "qemu-8.*,qemu-9.*", "!qemu-7.*", "!fwb,mte"):
            self.assertFalse(results.applies(heading, tags), heading)

    def test_a_cell_without_facts(self):
        with self.assertRaisesRegex(results.Error, "/boot has no line facts=: boot it again"):
            self.judge(boot={"facts": ""})

    def test_a_misspelt_fact_would_hold_nowhere_or_everywhere(self):
        known = ("6.1 6.12 7.3 4k 16k 64k series pristine debug deb stock feature vhe nvhe "
                 "protected nested max neoverse-n1 cortex-a57 fwb mte gicv2 gicv3 bar8g "
                 "harness x86 x86-7.3 *").split()
        for name in ("skips", "fails"):
            for line in results.read(os.path.join(results.EXPECT, name)):
                for word in re.split("[ ,!]+", line[1:-1]) if line.startswith("[") else ():
                    self.assertTrue(not word or word in known or word.startswith("qemu-"), line)

    def test_not_the_version_decides_what_a_cpu_combines_wrongly(self):
        for version in ("10.0.13", "11.1.0"):
            expected = results.Expectations(results.EXPECT, ["6.1", "vhe", "qemu-" + version])
            for points, allowed in (("45 of 900", True), ("51 of 912", True), ("51 of 900", False)):
                self.assertEqual(bool(expected.allows(
                    "memattr_combine", f"platform deviation at {points} points: QEMU: without FWB "
                    "the lower nibbles are compared as if both types were Device and old")), allowed)

    def test_a_cell_in_which_all_is_skipped(self):
        ktap = re.sub(r"(# ok \d \w+)\n", r"\1 # SKIP no such CPU\n", KTAP) \
            .replace("two # not a directive", "two # SKIP no such CPU")
        self.red("nothing was checked", self.judge(ktap=ktap))

    def test_a_cell_that_the_emulator_cannot_run(self):
        result = self.judge(boot={"skip": "no such CPU"})
        self.assertEqual(result["verdict"], "skip")
        self.red("does not allow here: it is late", self.judge(boot={"skip": "it is late"}))

    def test_a_line_that_is_none(self):
        for text in ("nonsense\n", "a | (\n", "[6.1\n"):
            with self.assertRaisesRegex(results.Error, "skips:1"):
                self.judge(skips=text)


class Rows(Case):
    """No row is lost"""

    FEWER = KTAP.replace("# ok 2 - two # not a directive\n# ok 3 three", "# ok 2 three") \
        .replace("# 1..3\n", "# 1..2\n")

    def test_a_row_less(self):
        self.red('a: "two" has to be there: expect/rows', self.judge(ktap=self.FEWER, rows=THREE))
        self.green("2 passed, 0 failed, 2 skipped",
                   self.judge(ktap=self.FEWER, rows=THREE.replace("\n", "\n? ", 3)))

    def test_a_row_that_is_skipped_without_a_name(self):
        self.green("3 passed, 0 failed, 2 skipped",
                   self.judge(ktap=KTAP.replace("3 three", "3"),
                              rows=THREE.replace("two\n", "")))

    def test_a_row_more(self):
        self.green("3 passed, 0 failed, 2 skipped", self.judge())

    def test_one_test_of_which_some_rows_were_asked_for(self):
        ktap = re.sub("(?s)# selftests: kvm: b.*(?=# guest: t)", "", self.FEWER)
        ktap = ktap.replace("1..3\n", "1..1\n", 1)
        self.green("1 passed, 0 failed, 1 skipped", self.judge(ktap=ktap, boot={"test": "a"}))

    def test_a_test_skipped_as_a_whole_needs_none(self):
        self.green("3 passed, 0 failed, 2 skipped", self.judge(rows=ROWS + "[c 6.1]\nnine\n"))

    def test_a_test_without_a_line(self):
        self.red("b: no rows of it and 6.1 in expect/rows: judge/rows.py writes them",
                 self.judge(rows=ROWS.replace("b 6.1", "b 6.12")))

    def test_a_line_that_is_none(self):
        with self.assertRaisesRegex(results.Error, "rows:2: it begins with "):
            self.judge(rows="# x\none\n")


class Controls(Case):
    """Kernels without the feature"""

    def test_rows_that_have_to_fail(self):
        self.green("2 passed, 0 failed, 2 skipped, 1 failed as they have to", self.control())
        self.assertTrue(self.control()["control"])
        self.assertEqual(self.control()["tests"][0]["rows"][0]["by"], "fails:2")

    def test_the_same_on_a_kernel_with_the_feature(self):
        self.red("a: one", self.judge(ktap=CONTROL, fails=FAILS))

    def test_one_passes(self):
        self.red("it has to fail here, and passed", self.control(ktap=KTAP))

    def test_one_is_skipped(self):
        ktap = KTAP.replace("# ok 1 one\n", "# ok 1 one # SKIP no such CPU\n", 1)
        self.red("it has to fail here, and was skipped: no such CPU", self.control(ktap=ktap))
        result = self.control(ktap=ktap, fails=FAILS.replace("a |", "? a |"))
        self.green("2 passed, 0 failed, 3 skipped", result)

    def test_one_fails_in_another_way(self):
        ktap = CONTROL.replace("it is Device", "it is Normal-WB")
        self.red("it has to fail with /is Device$/, not so: / a: one: it is Normal-WB",
                 self.control(ktap=ktap))

    def test_another_fails(self):
        ktap = CONTROL.replace("# ok 2 - two", "# not ok 2 - two")
        self.red("a: two", self.control(ktap=ktap))

    def test_a_crash_is_not_explained(self):
        for end in ("# exit=139", "# exit=254", "# TIMEOUT 45 seconds"):
            self.red("a: (the program)", self.control(ktap=CONTROL.replace("# exit=1", end)))

        ktap = CONTROL.replace("ok 2 selftests: kvm: b", "not ok 2 selftests: kvm: b # exit=139")
        self.red("b: (the program): exit=139", self.control(ktap=ktap, fails=FAILS + "? b | .\n"))

    def test_a_line_for_a_test_that_is_no_more(self):
        self.red("expect/fails:3: d: no row failed", self.control(fails=FAILS + "d | ^one$\n"))

    def test_a_line_that_no_row_meets(self):
        self.red("expect/fails:3: b: no row failed that has to: /^three$/",
                 self.control(fails=FAILS + "b | ^three$\n"))

    def test_a_line_for_a_test_that_was_not_asked_for(self):
        ktap = CONTROL.replace("1..3\n", "1..1\n", 1)
        ktap = re.sub("(?s)# selftests: kvm: b.*(?=# guest: t)", "", ktap)
        self.green("1 passed, 0 failed, 1 skipped, 1 failed as they have to", self.control(
            ktap=ktap, fails=FAILS + "b | ^three$\n", boot={"test": "a"}))


class Guest(Case):
    """How the boot went"""

    def test_a_hang_is_named_and_keeps_its_rows(self):
        ktap = re.sub("(?s)# 1..1.*", "", KTAP)
        result = self.judge(ktap=ktap, boot={"hung": "yes", "status": "124"})
        self.red("hung in b, killed after 240 s", result)
        self.assertEqual(results.count(result["tests"], "pass"), 2)
        self.red("hung before the first test", self.judge(ktap="", boot={"hung": "yes"}))

    def test_qemu_dies(self):
        self.put("cell/qemu.log", "assertion failed\n")
        self.red("QEMU died after the last test, exit status 134: assertion failed",
                 self.judge(boot={"status": "134"}))

    def test_where_all_else_has_passed(self):
        for boot, said in (({"hung": "yes", "status": "124"}, "hung after the last test, killed"),
                           ({"status": "137"}, "QEMU died after the last test, exit status 137"),
                           ({"status": "None"}, "exit status None")):
            result = self.judge(boot=boot)
            self.red(said, result)
            self.assertEqual(results.count(result["tests"], "fail"), 0)

    def test_the_guest_ends_early(self):
        self.red("the guest ended early", self.judge(ktap=KTAP.replace("# guest: complete\n", "")))

    def test_a_test_cannot_speak_for_the_guest(self):
        ktap = re.sub("(?s)# ok 1 one\nok 2.*", "# guest: tainted 0\n# guest: complete\n", KTAP)
        self.red("the guest ended early, in b", self.judge(ktap=ktap))

    def test_a_tainted_kernel(self):
        self.red("the kernel is tainted: W (12800)", self.judge(ktap=KTAP.replace("12288", "12800")))
        self.red("whether the kernel is tainted", self.judge(ktap=KTAP.replace("tainted 12288", "")))
        self.red("whether the kernel is tainted", self.judge(ktap=KTAP.replace("12288", "")))

    def test_another_kernel_than_the_cells(self):
        self.red("Linux 6.12.3 has booted, not 6.1", self.judge(ktap=KTAP.replace("6.1.192", "6.12.3")))

    def test_a_tree_of_the_users_own_may_be_newer(self):
        newer = dict(source="base=6.1\nversion=7.40.0-rc1\nksrc=/k\n",
                     ktap=KTAP.replace("6.1.192", "7.40.0-rc1"))
        self.assertEqual("pass", self.judge(**newer)["verdict"])
        self.red("Linux 6.1.192 has booted, not 7.40", self.judge(source=newer["source"]))

    def test_nothing_says_what_was_tested(self):
        self.red("nothing says what was tested", self.judge(source=""))
        self.red("nothing says what was tested", self.judge(source="version=6.1.192\n"))

    def test_not_booted(self):
        with self.assertRaisesRegex(results.Error, "has it been booted"):
            results.judge_cell("x", self.dir, os.path.join(self.dir, "list"))


class Console(Case):
    BAD = """\
Kernel panic - not syncing: VFS: Unable to mount root fs
kernel BUG at mm/memory.c:1!
BUG: sleeping function called from invalid context
WARNING: CPU: 0 PID: 1 at kernel/fork.c:1
Oops - Undefined instruction: 0000000002000000
Internal error: SP/PC alignment exception: 000000008a000000 [#1]
Call trace:
Unable to handle kernel NULL pointer dereference
Unhandled fault at 0xffff800008000000
systemd[1]: unhandled exception: ESR 0x2000000
SError Interrupt on CPU0, code 0x00000000bf000002 -- SError
Bad mode in Synchronous Abort handler detected on CPU0
kvm [1]: nVHE hyp panic at: [<ffff800008000000>] __kvm_nvhe_x+0x1/0x2!
kvm [1]: nVHE hyp BUG at: [<ffff800008000000>] __kvm_nvhe_x+0x1/0x2!
kvm [1]: HYP mode not available
kvm [1]: Error initializing Hyp mode
UBSAN: array-index-out-of-bounds in mm/memory.c:1:2
list_del corruption. prev->next should be ffff0000, but was 0
INFO: task x:1 blocked for more than 120 seconds.
rcu: INFO: rcu_sched self-detected stall on CPU
rcu: rcu_sched kthread starved for 2500 jiffies!
arm-smmu-v3 9050000.smmuv3: event 0x10 received:
vfio-pci 0000:02:00.0: not ready 1023ms after FLR; waiting
pcieport 0000:00:04.0: AER: Uncorrectable (Fatal) error received: 0000:00:04.0
insmod: can't insert '/lib/modules/101-kvm_memattr.ko': invalid module format
mount: mounting tracefs on /sys/kernel/tracing failed: No such file or directory
sh: write error: No such device
/etc/init.d/rcS: line 9: can't create /sys/x: nonexistent directory
rcS: error: 1 more of ivshmem (0x1af4:0x1110) should be bound to vfio-pci
"""
    GOOD = """\
Linux version 6.1.192 (user@host)
CPU features: detected: RAS Extension Support
arm-smmu-v3 9050000.smmuv3: allocated 131072 entries for evtq
pcieport 0000:00:04.0: AER: enabled with IRQ 27
kvm [1]: VHE mode initialized successfully
kvm_memattr: loading out-of-tree module taints kernel.
rcS: 0000:00:02.0 (ivshmem): vfio-pci
kvm [278]: Failed to find VMA for hva 0xffff94000000
reboot: Power down
"""

    def test_each_line_that_must_not_be_there(self):
        for line in self.BAD.splitlines():
            with self.subTest(line):
                self.red("the console says: " + line, self.judge(console=self.GOOD + line + "\r\n"))

    def test_lines_of_every_boot(self):
        self.green("3 passed, 0 failed, 2 skipped", self.judge(console=self.GOOD))

    def test_silence(self):
        self.red("the console is silent", self.judge(console=""))

    def test_each_pattern_is_needed(self):
        patterns = [p for p in results.read(os.path.join(results.HERE, "console-errors"))
                    if p and p[0] != "#"]
        for pattern in patterns:
            others = re.compile("|".join(p for p in patterns if p != pattern))
            self.assertTrue([line for line in self.BAD.splitlines()
                             if re.search(pattern, line) and not others.search(line)], pattern)


class Tap(Case):
    def judge(self, text, fails=""):
        self.put("expect/skips", "[bats]\nbats | ^no root$\n")
        self.put("expect/fails", fails)
        return results.judge_tap("bats", self.put("tap", text), os.path.join(self.dir, "expect"))

    def test_rows(self):
        self.green("1 passed, 0 failed, 1 skipped", self.judge("1..2\nok 1 one\nok 2 two # skip no root\n"))

    def test_a_row_fails(self):
        self.red("two: in test file x", self.judge("1..2\nok 1 one\nnot ok 2 two\n# in test file x\n"))

    def test_a_skip_that_is_not_allowed(self):
        self.red("does not allow here: no network", self.judge("1..1\nok 1 one # skip no network\n"))

    def test_a_row_that_has_to_fail(self):
        fails = "[bats]\nbats | ^stock: | mapped\n"
        self.assertEqual(self.judge("1..1\nnot ok 1 stock: one\n# mapped\n", fails)["verdict"], "pass")
        self.red("it has to fail here, and passed", self.judge("1..1\nok 1 stock: one\n", fails))
        self.red("not so", self.judge("1..1\nnot ok 1 stock: one\n# died\n", fails))
        self.red("no row failed that has to", self.judge("1..1\nok 1 one\n", fails))

    def test_a_program_that_dies_or_is_missing(self):
        for text in ("", "bats: not found\n", "1..2\nok 1 one\n", "1..0\n",
                     "1..1\nok 1 one\nBail out! x\n", "1..1\nok 1 one\n1..1\n", "ok 1 one\n",
                     "1..2\nok 1 one\nok 1 two\n", "1..2\nok 1 one\nok 2 one\n"):
            self.assertEqual(self.judge(text)["verdict"], "fail", text)
        path = os.path.join(self.dir, "none")
        self.assertEqual(results.judge_tap("bats", path)["verdict"], "fail")


class Compare(Case):
    """The base's own selftests, pristine against patched"""

    def side(self, **tests):
        rows = {"pass": [results.row("one", "pass")], "fail": [results.row("one", "fail", "why")],
                "skip": [results.row("(all)", "skip", "no such CPU")],
                "both": [results.row("one", "pass"), results.row("two", "pass")],
                "less": [results.row("one", "pass"), results.row("two", "skip", "no such CPU")]}
        return {"verdict": "ran", "problems": [], "boot": dict(BOOT, suite="own"), "source": {},
                "tests": [{"name": name, "rows": rows[what]} for name, what in tests.items()]}

    def compare(self, pristine, patched, again=(), floor=1, listed=()):
        again = {name: iter(what) for name, what in dict(again).items()}
        return results.judge_compare(
            "own", [pristine, patched], listed, floor,
            lambda side, test: self.again(side, test, next(again[test])))

    def again(self, side, test, what):
        """What a run of one test comes to; "panic": the kernel died"""
        if what == "panic":
            return dict(self.side(**{test: "fail"}), problems=["the console says: Kernel panic"])
        return self.side(**{test: what})

    def test_the_same(self):
        result = self.compare(self.side(a="pass", b="fail", c="skip"),
                              self.side(a="pass", b="fail", c="skip"), listed=["# x", "d long: slow"])
        self.green("1 passed, 0 failed, 3 skipped", result)
        self.assertIn("fails on the pristine kernel, too", result["tests"][0]["rows"][1]["why"])

    def test_a_floor_of_real_passes(self):
        same = self.side(a="pass", b="fail", c="skip")
        self.red("1 tests pass on both kernels, at least 2 have to", self.compare(same, same, floor=2))
        self.red("0 tests pass", self.compare(self.side(), self.side()))

    def test_the_patched_kernel_fails(self):
        self.red("b: pristine: 1 passed, patched: 0 passed; fail one why",
                 self.compare(self.side(a="pass", b="pass"), self.side(a="pass", b="fail"),
                              {"b": ["pass", "fail"] * results.RERUNS}))

    def test_the_patched_kernel_skips_more(self):
        self.red("b: pristine: 1 passed, patched: 1 passed; skip two no such CPU",
                 self.compare(self.side(a="pass", b="pass"), self.side(a="pass", b="less")))

    def test_the_patched_kernel_passes_fewer_rows(self):
        self.red("b: pristine: 2 passed, patched: 1 passed",
                 self.compare(self.side(b="both"), self.side(b="pass")))

    def test_a_test_that_ran_on_one_only(self):
        self.red("b: it ran on one of the two kernels only",
                 self.compare(self.side(a="pass", b="pass"), self.side(a="pass")))

    def test_a_retry_that_helped_is_flaky(self):
        result = self.compare(self.side(a="pass", b="pass"), self.side(a="pass", b="fail"),
                              {"b": ["fail", "fail", "pass", "pass"]})
        self.assertEqual(results.summary(result), "1 passed, 0 failed, 0 skipped, 1 flaky")
        self.assertEqual(results.failures(result, {"FLAKY": "ok"}), [])
        self.assertRegex(results.failures(result, {"FLAKY": "1"})[0], "b: .*: flaky, FLAKY=ok lets")
        self.assertEqual(result["tests"][0]["rows"][1]["why"], "failed in 1 of 3 runs on the pristine "
                         "kernel, in 2 of 3 on the patched one")

    def test_a_panic_when_run_again_is_red_whatever_comes_later(self):
        for runs, which in ((["pass", "panic", "pass", "pass"], "patched"),
                            (["panic", "fail", "pass", "pass"], "pristine")):
            self.red(f"b: run again on the {which} kernel: the console says: Kernel panic",
                     self.compare(self.side(a="pass", b="pass"), self.side(a="pass", b="fail"),
                                  {"b": runs}))

    def test_runs_that_are_none(self):
        side = self.side(a="pass")
        self.red("the patched kernel: did not run", self.compare(side, None))
        self.red("the pristine kernel: hung in a", self.compare(
            dict(side, verdict="fail", problems=["hung in a"]), side))
        self.red("these are no tests of the base", self.compare(side, dict(side, verdict="pass")))
        self.red("ran but TEST=a", self.compare(side, dict(side, boot=dict(BOOT, test="a"))))

    def test_a_base_without_a_floor(self):
        with self.assertRaisesRegex(results.Error, "no line for 9.9"):
            results.floor_of("9.9")

    def test_a_test_is_run_again_as_it_ran(self):
        self.put("boot/run", """#!/bin/sh
            echo "$SUITE $TEST $QEMU $LIMIT $*" >"$2/../asked"
            printf "facts=6.1\\nstatus=0\\nsuite=$SUITE\\ntest=$TEST\\n" >"$2/boot"
            printf '# guest: kernel 6.1\\n1..1\\nok 1 selftests: kvm: b\\n' >"$2/ktap"
            printf '# guest: tainted 0\\n# guest: complete\\n' >>"$2/ktap"
            echo Linux >"$2/console.log"
        """)
        os.chmod(os.path.join(self.dir, "boot/run"), 0o755)
        with open(os.path.join(results.HERE, "console-errors"), encoding="utf-8") as f:
            self.put("judge/console-errors", f.read())
        path = os.path.join(self.dir, "list")
        side = dict(self.side(b="fail"), source={"base": "6.1"}, boot=dict(BOOT, list=path))
        with mock.patch.object(results, "HERE", os.path.join(self.dir, "judge")), \
                contextlib.redirect_stdout(io.StringIO()):
            again = results.boot_again(side, "b", os.path.join(self.dir, "again"))
        self.assertEqual((again["problems"], results.outcome(again["tests"][0])[0]), ([], "pass"))
        self.assertEqual(results.read(os.path.join(self.dir, "asked"))[0], "own-all b qemu 240 "
                         f"6.1-4k-max-vhe {self.dir}/again k i {path}")

    def test_programs_without_rows_are_a_row(self):
        for said in ("", "# 1..0 # SKIP part of it\n"):
            ktap = KTAP.replace("# 1..1\n# ok 1 one\n", said)
            result = self.judge(ktap=ktap, boot={"suite": "own"})
            self.assertEqual(result["tests"][1]["rows"], [results.row("(the program)", "pass")])
            self.assertEqual(self.judge(ktap=ktap)["verdict"], "fail")
        for said, why in (("# ok 1 one\n", "it has no plan (1..N)"), ("# 1..3\n", "ran 0 rows of 3")):
            ktap = KTAP.replace("# 1..1\n# ok 1 one\n", said)
            result = self.judge(ktap=ktap, boot={"suite": "own"})
            self.assertEqual(result["tests"][1]["rows"][-1], results.row("(the program)", "fail", why))

    def test_failed_rows_of_the_base_are_not_judged_alone(self):
        ktap = KTAP.replace("# ok 1 one\n", "# not ok 1 one\n", 1)
        self.assertEqual(self.judge(ktap=ktap, boot={"suite": "own"})["verdict"], "ran")
        self.red("hung", self.judge(boot={"suite": "own", "hung": "yes"}))


class Command(Case):
    def run_it(self, *args):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = results.main(args)
        return status, out.getvalue()

    def test_the_exit_status_and_the_last_line_say_it(self):
        path = self.put("tap", "1..1\nnot ok 1 one\n")
        status, said = self.run_it("tap", "bats", self.dir, path)
        self.assertEqual(status, 1)
        self.assertEqual(said.splitlines()[-1], "error: bats: 0 passed, 1 failed, 0 skipped")
        self.put("tap", "1..1\nok 1 one\n")
        status, said = self.run_it("tap", "bats", self.dir, path)
        self.assertEqual((status, said), (0, "bats: 1 passed, 0 failed, 0 skipped\n"))
        self.assertEqual(results.load(self.dir)["verdict"], "pass")

    def test_what_is_flaky_is_a_failure_unless_that_is_allowed(self):
        result = {"name": "own", "kind": "compare", "verdict": "pass", "problems": [],
                  "tests": [{"name": "own", "rows": [results.row("b", "flaky", "1 of 2")]}]}
        last = "own: 0 passed, 0 failed, 0 skipped, 1 flaky"
        for environ, status in ({}, 1), ({"FLAKY": "ok"}, 0):
            with mock.patch.object(results, "judge_tap", lambda *_: result), \
                    mock.patch.dict(os.environ, environ, clear=True):
                was, said = self.run_it("tap", "own", self.dir, "tap")
            self.assertEqual((was, said.splitlines()[-1]), (status, "error: " * status + last))
            self.assertEqual(status, int("failed: b: 1 of 2: flaky, FLAKY=ok lets it pass\n" in said))

    def test_an_edited_tree_and_your_own_are_said(self):
        self.evidence(source="base=6.1\nversion=6.1.200\nedited=yes\nksrc=/my/linux\n", boot={"suite": "own"})
        status, said = self.run_it("cell", "6.1-4k-max-vhe", os.path.join(self.dir, "cell"),
                                   os.path.join(self.dir, "list"))
        self.assertEqual(status, 0)
        self.assertIn("; for a comparison to judge; tested is your own tree /my/linux; tested is "
                      "an EDITED tree, see tree.patch\n", said)

    def test_a_judge_that_dies_leaves_no_old_result(self):
        self.put("result.json", '{"verdict": "pass"}')
        with self.assertRaises(results.Error):
            self.run_it("cell", "x", self.dir, os.path.join(self.dir, "list"))
        self.assertIsNone(results.load(self.dir))

    def test_a_broken_result(self):
        self.put("result.json", "{")
        with self.assertRaisesRegex(results.Error, "remove it, and run it again"):
            results.load(self.dir)

    def test_usage(self):
        for args in ((), ("cell",), ("tap", "x"), ("compare", "x", "y", "z")):
            with self.assertRaisesRegex(results.Error, "usage"):
                self.run_it(*args)

    def test_the_files_of_expect_can_be_read(self):
        results.Expectations(results.EXPECT, BOOT["facts"].split())
        self.assertTrue(results.known_rows()["kunit", "6.1"])


if __name__ == "__main__":
    unittest.main()
