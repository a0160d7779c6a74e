# SPDX-License-Identifier: GPL-2.0-only
"""The mutants, and what their heads say (mutants/run explains it)"""
import fnmatch
import functools
import glob
import os
import re

from cells import HERE


@functools.lru_cache(None)
def heads():
    """Name -> path, and the fields of the head"""
    found = {}
    for path in sorted(glob.glob(os.path.join(HERE, "../mutants/*/*.patch"))):
        with open(path, encoding="utf-8") as f:
            head = re.split(r"^---$", f.read(), maxsplit=1, flags=re.M)[0]
        name = os.path.basename(path)[:-len(".patch")]
        found[name] = path, dict(re.findall(r"^(\w+): (.*(?:\n .*)*)", head, re.M))
    return found


def named(pattern, base):
    """Those of a base, or of all: the excused ones are of none"""
    return [name for name, (_, head) in heads().items() if fnmatch.fnmatchcase(name, pattern) and (
        not base or "Excused" in head or head.get("Cell", "").startswith(base + "-"))]


def cells_of(names):
    """The cells that they are run in"""
    return sorted({heads()[name][1]["Cell"] for name in names
                   if "Cell" in heads().get(name, ("", {}))[1]})
