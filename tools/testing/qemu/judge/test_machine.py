# SPDX-License-Identifier: GPL-2.0-only
"""What a real machine has left: what is taken, how it is judged, where it is shown"""
import contextlib
import io
import os
import tarfile
import unittest

import machine
import results
import test_report

MACHINE = dict(verdict="pass", rows="2 passed, 0 failed, 1 skipped", tests="1 of 1",
               kernel="6.1.0-30-arm64", system="Debian 12", board="A server", mode="vhe",
               pagesize="4096", fwb="yes", series="yes", device="0x10de 0x1eb8 0x030200",
               module="yes", tainted="0", given_back="yes")
KTAP = """TAP version 13
1..1
# selftests: kvm: vfio_bar_memattr
# # memattr: vma=vfio-pci s1=0x44 result=0x44 rule=0x44 verdict=pass
# ok 1 vfio-pci: stage 1 Normal-NC (0x44)
# ok 2 another
# ok 3 a third # SKIP for a reason of its own
# 1..3
ok 1 selftests: kvm: vfio_bar_memattr
"""
RED = """# # stage 1 Normal-NC (0x44): stage 2 is Device-nGnRE (x), should be Normal-NC
# not ok 1 vfio-pci: stage 1 Normal-NC (0x44)
"""
NAME = "6.1.0-30-arm64-0000-01-00.0-20261130-1200"


class Machine(test_report.Case):
    def archive(self, ktap=KTAP, lacks=None, more=None, **said):
        path = os.path.join(self.o, "x.tar.gz")
        files = {"machine": "".join(f"{k}={v}\n" for k, v in {**MACHINE, **said}.items()),
                 "ktap": ktap, "source": "base=6.1\nversion=6.1.192\nseries=v1\n"}
        files = {f"results-{NAME}/{f}": text for f, text in files.items() if f != lacks}
        with tarfile.open(path, "w:gz") as tar:
            for name, text in {**files, **(more or {})}.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
        return path

    def take(self, *args, **said):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            machine.main([self.o, self.archive(*args, **said)])
        self.said = out.getvalue()
        return results.load(os.path.join(self.o, "machine", NAME))

    def refused(self, why, path):
        with self.assertRaisesRegex(results.Error, why):
            machine.main([self.o, path])
        self.assertFalse(os.path.exists(os.path.join(self.o, "machine", NAME)))

    def test_bad_archives_are_refused_in_one_line(self):
        self.refused("No such file", os.path.join(self.o, "none.tar.gz"))
        self.refused("which archive", "")
        path = self.archive()
        with open(path, "r+b") as f:
            f.truncate(120)
        self.refused("name what run-on-this-machine has left", path)
        with open(path, "w", encoding="utf-8") as f:
            f.write("no tar")
        self.refused("name what run-on-this-machine has left", path)
        self.refused("has no source", self.archive(lacks="source"))
        self.refused("lacks what it has to say", self.archive(mode="vhe", pagesize="0"))
        for name in (f"results-{NAME}/../../x", "/etc/passwd", f"results-{NAME}/other",
                     "results-of-another/ktap"):
            self.refused("which no archive of run-on-this-machine has",
                         self.archive(more={name: "x"}))
        self.assertEqual(os.listdir(os.path.join(self.o, "machine")), [])

    def test_any_skip_is_one_and_a_failure_is_one(self):
        self.assertEqual(self.take()["verdict"], "pass")
        self.assertIn("2 passed, 0 failed, 1 skipped", self.said)
        self.assertEqual(self.take(KTAP.replace("ok 2", "not ok 2"))["verdict"], "fail")
        self.assertIn("failed: vfio_bar_memattr: another", self.said)

    def test_without_the_feature_rows_fail_as_they_have_to(self):
        ktap = KTAP.replace("# ok 1 vfio-pci: stage 1 Normal-NC (0x44)\n", RED)
        self.assertEqual(self.take(ktap)["verdict"], "fail")
        result = self.take(ktap, series="no")
        self.assertEqual(result["tests"][0]["rows"][0]["status"], "xfail")
        self.assertEqual(result["verdict"], "pass")
        # What passes all the same shows that the row shows nothing.
        self.assertEqual(self.take(series="no")["verdict"], "fail")
        self.assertIn("it has to fail here, and passed", self.said)
        # Mainline's 6.9 has it.
        self.assertEqual(self.take(ktap, series="no", kernel="6.9.1")["verdict"], "fail")

    def test_what_may_be_skipped_without_the_feature_may_pass(self):
        ktap = KTAP.replace("vfio_bar_memattr", "vfio_bar_guest").replace("another", "bar.reset")
        self.assertEqual(self.take(ktap, series="no")["verdict"], "pass")

    def test_what_is_wrong_beside_rows(self):
        for said, problem in (({"given_back": "no"}, "not given back"),
                              ({"tests": "1 of 2"}, "of 2 tests 1 ended"),
                              ({"tainted": str(1 << 9 | 1 << 12)}, "tainted the kernel: W")):
            result = self.take(**said)
            self.assertEqual(result["verdict"], "fail")
            self.assertIn(problem, result["problems"][0])
        self.assertEqual(self.take("")["verdict"], "fail")

    def test_the_page_and_the_table_show_it_and_the_verdict_is_without_it(self):
        self.cell(marks={"vfio_bar_memattr": "pass pass"})
        self.take(KTAP.replace("ok 2", "not ok 2"))
        self.assertEqual(self.report("6.1-4k-max-vhe"), 0)
        self.assertEqual(self.last, "2 passed, 0 failed, 0 skipped")
        self.assertIn("Real machines, which are no part of the verdict:", self.text)
        self.assertIn("A server", self.text)
        self.assertRegex(self.text, f"\n  {NAME} +XX\n")
        self.assertIn("A real machine: " + NAME, self.page)
        self.assertIn(f'href="../machine/{NAME}/ktap"', self.page)
        self.assertIn(">real machines</label>", self.page)

    def test_one_whose_mode_is_unknown_is_not_in_the_picture(self):
        self.cell()
        self.take(mode="unknown")
        self.assertEqual(self.report("6.1-4k-max-vhe"), 0)
        self.assertNotIn("A real machine: ", self.page)


if __name__ == "__main__":
    unittest.main()
