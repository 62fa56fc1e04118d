#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Adds up the results of the tests: count.py FILE…

Each file is a testlog.json of meson, a JUnit report (.xml), or the output (.txt) of a script whose last
line is already such a sum. Prints `N passed, N failed`. Ends with 1 if a test failed, if no test ran, or
if a file is missing, because the program that writes it did not get so far. A test program that prints
TAP counts for as many tests as it has, and the messages of those that failed are printed. So are the reasons
of tests that were skipped.
"""

import json
import os
import re
import sys
import xml.etree.ElementTree


def meson(path):
    """One JSON object a line for each test program."""
    passed = failed = 0
    for line in open(path, encoding="utf-8"):
        run = json.loads(line)
        if run["result"] == "SKIP":
            print(f"{run['name']}: skipped: {', '.join(run.get('stderr', '').splitlines())}")
            continue
        output = run.get("stdout", "")
        good = len(re.findall(r"^ok \d+(?!.* # SKIP)", output, re.M))
        bad = len(re.findall(r"^not ok \d+", output, re.M))
        # meson itself shows only the names of failed tests.
        for message in re.findall(r"^not ok \d+.*\n(?:#.*\n)*", output, re.M):
            print(f"{run['name']}: {message}", end="")
        if run["result"] != "OK":
            bad = bad or 1  # it crashed, or a sanitizer failed it at its end
        elif good + bad == 0:
            good = 1  # a script
        passed += good
        failed += bad
    if not passed + failed:
        raise ValueError("no test ran")
    return passed, failed


def junit(path):
    """A test that also fails in its teardown has two elements and counts once."""
    cases = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = (case.get("classname"), case.get("name"))
        bad = case.find("failure") is not None or case.find("error") is not None
        if case.find("skipped") is None or bad:
            cases[name] = cases.get(name, False) or bad
    return len(cases) - sum(cases.values()), sum(cases.values())


def text(path):
    """The last line is the sum; without it the script did not reach its end."""
    lines = open(path, encoding="utf-8", errors="replace").read().splitlines()
    count = re.fullmatch(r"(\d+) passed, (\d+) failed", lines[-1] if lines else "")
    if not count:
        raise ValueError("ends without a count")
    return int(count[1]), int(count[2])


KINDS = {".json": meson, ".xml": junit, ".txt": text}


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
