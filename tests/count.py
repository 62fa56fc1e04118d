#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Adds up what the test programs reported: count.py FILE…, each a meson testlog.json, a JUnit XML, or
the output (.txt) of what ends with such a line itself.

Says `N passed, N failed` and ends with 1 if any failed, or if a file is not there: then what should
have written it could not run. A unit test program counts for as many tests as cmocka found in it.
"""

import json
import os
import re
import sys
import xml.etree.ElementTree


def unit(path):
    """A line of JSON for each program."""
    passed = failed = 0
    for line in open(path, encoding="utf-8"):
        run = json.loads(line)
        output = run.get("stdout", "") + run.get("stderr", "")
        good = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", output, re.M)))
        bad = sum(map(int, re.findall(r"^\[  FAILED  \] +(\d+) test", output, re.M)))
        if run["result"] == "SKIP":
            continue
        if run["result"] != "OK":
            bad = bad or 1  # it crashed, or a sanitizer had the last word
        elif good + bad == 0:
            good = 1
        passed += good
        failed += bad
    return passed, failed


def junit(path):
    """A test that fails at its end too counts once."""
    cases = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = (case.get("classname"), case.get("name"))
        bad = case.find("failure") is not None or case.find("error") is not None
        if case.find("skipped") is None or bad:
            cases[name] = cases.get(name, False) or bad
    return len(cases) - sum(cases.values()), sum(cases.values())


def text(path):
    """It did not come to its end if the last line is not the count."""
    lines = open(path, encoding="utf-8", errors="replace").read().splitlines()
    count = re.fullmatch(r"(\d+) passed, (\d+) failed", lines[-1] if lines else "")
    if not count:
        raise ValueError("ends without a count")
    return int(count[1]), int(count[2])


KINDS = {".json": unit, ".xml": junit, ".txt": text}


def main(paths):
    passed = failed = 0
    for path in paths:
        try:
            good, bad = KINDS[os.path.splitext(path)[1]](path)
        except (OSError, ValueError, xml.etree.ElementTree.ParseError) as fault:
            print(f"{path}: {fault}", file=sys.stderr)
            good, bad = 0, 1
        passed += good
        failed += bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
