#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that each row of docs/faults.md names tests that exist: faults_check.py [SOURCE]"""

import re
import sys
from pathlib import Path


def main(source):
    wrong, seen = [], []
    for line in (source / "docs/faults.md").read_text().splitlines():
        row = re.match(r"\| (\d+) \|", line)
        if not row:
            continue
        seen.append(int(row[1]))
        named = re.findall(r"`(test_\w+\.(?:py|c))::(\w+)`", line)
        if not named:
            wrong.append(f"row {row[1]} names no test")
        for file, function in named:
            path = source / "tests" / ("unit" if file.endswith(".c") else "mount") / file
            pattern = rf"^(?:def|static void) {function}\("
            if not path.exists() or not re.search(pattern, path.read_text(), re.M):
                wrong.append(f"row {row[1]}: {file}::{function} is not there")
    for number in {number for number in seen if seen.count(number) > 1}:
        wrong.append(f"two rows have the number {number}")
    for reason in wrong:
        print(f"docs/faults.md: {reason}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent)))
