#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""machine.py O ARCHIVE: what the tests said on a real machine, for the page

ARCHIVE is what server/run-on-this-machine has left there. It goes to O/machine/NAME, with
a result.json as cells have (results.py), of the kind "machine". Rows that have to fail on
a kernel without the feature, or without the series, have to here, too. A row may be
skipped for any reason. The page and the table show it, and a check neither counts it nor
fails of it: what it is a result of may be long ago.
"""
import json
import os
import re
import shutil
import sys
import tarfile
import zlib

import results

FILES = ("machine", "ktap", "cpuinfo", "dmesg", "config", "lspci", "build.log", "source")
NEEDED = ("machine", "ktap", "source")
LARGEST = 64 << 20
# Bits of a taint that are about what has happened: B, D, W, L
TAINT_BAD = (5, 7, 9, 14)


def unpack(path):
    """Its name, and the bytes of its files; nothing else may be in it"""
    name, files = None, {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                match = re.fullmatch(r"results-([\w.+~-]+)(?:/([\w.]+))?", member.name)
                name = name or match and match[1]
                file = match and match[2]
                if not match or match[1] != name or member.size > LARGEST or not (
                        file in FILES and member.isfile() if file else member.isdir()):
                    raise results.Error(f"{path}: it has {member.name}, which no archive of "
                                        "run-on-this-machine has")
                if file:
                    files[file] = tar.extractfile(member).read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as e:
        raise results.Error(f"ARCHIVE={path}: {getattr(e, 'strerror', None) or e}: name what run-on-this-machine has left, "
                            "results-*.tar.gz") from e
    lost = [f for f in NEEDED if f not in files]
    if lost:
        raise results.Error(f"{path}: it has no {' '.join(lost)}: run-on-this-machine did not "
                            "get to its end, run it again")
    return name, files


def facts_of(machine):
    """What a cell's facts are; None for what it did not say"""
    version = re.match(r"\d+\.\d+", machine["kernel"])[0]
    series = machine["series"] == "yes"
    newer = tuple(map(int, version.split("."))) >= (6, 9)
    facts = [version, {"4096": "4k", "16384": "16k", "65536": "64k"}[machine["pagesize"]]]
    facts += ["series"] if series else ["stock", "pristine"]
    return facts + [machine["mode"], "machine"] + ["feature"] * (series or newer) + \
        ["fwb"] * (machine["fwb"] == "yes")


def judge(name, directory, expect=results.EXPECT):
    machine = results.pairs(os.path.join(directory, "machine"))
    source = results.pairs(os.path.join(directory, "source"))
    try:
        facts = facts_of(machine)
        ended, planned = machine["tests"].split(" of ")
    except (AttributeError, KeyError, TypeError, ValueError) as e:
        raise results.Error(f"{name}: its file machine lacks what it has to say ({e!r}): is "
                            "it of another version of run-on-this-machine?") from e
    problems = []
    if ended != planned:
        problems.append(f"of {planned} tests {ended} ended")
    if machine.get("given_back") != "yes":
        problems.append("the device was not given back as it was")
    tainted = int(machine.get("tainted") or 0)
    bits = [results.TAINT[bit] for bit in TAINT_BAD if tainted & 1 << bit]
    if bits:
        problems.append(f"it tainted the kernel: {' '.join(bits)}")
    programs, _, _ = results.parse_kselftest(results.read(os.path.join(directory, "ktap")) or [])
    expected = results.Expectations(expect, facts)
    tests = [{"name": p.name, "rows": p.rows} for p in programs]
    for test in tests:
        for r in test["rows"]:
            # Where a machine does not enforce alignment, what may be skipped may pass.
            may = any(line.optional and line.matches(test["name"], r["name"])
                      for line in expected.fails)
            if r["status"] == "fail" or r["status"] == "pass" and not may:
                expected.judge(test["name"], r)
    if not results.count(tests, "pass"):
        problems.append("nothing was checked: no row has passed")
    return {"name": name, "kind": "machine", "problems": problems, "control": False,
            "tests": tests, "boot": {"facts": " ".join(facts)}, "source": source,
            "guest": {"kernel": machine["kernel"]}, "machine": machine,
            "verdict": "fail" if problems or results.count(tests, "fail") else "pass"}


def main(args):
    if len(args) != 2 or not args[1]:
        raise results.Error("which archive? make import ARCHIVE=results-....tar.gz")
    o, archive = args
    name, files = unpack(archive)
    directory = os.path.join(o, "machine", name)
    tmp = directory + ".tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    os.makedirs(tmp)
    try:
        for file, data in files.items():
            with open(os.path.join(tmp, file), "wb") as f:
                f.write(data)
        result = judge(name, tmp)
        with open(os.path.join(tmp, "result.json"), "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
        shutil.rmtree(directory, ignore_errors=True)
        os.rename(tmp, directory)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    for line in results.failures(result)[:results.SHOWN]:
        print(f"failed: {line}")
    print(f"{name}: {results.summary(result)}; {directory}, and on the page of \"make report\"")
    return 0


if __name__ == "__main__":
    results.run(main, sys.argv[1:])
