#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks docs/faults.md: faults_check.py [SOURCE]. Each fault has a number and names tests that exist, and
the constants that the ceilings name exist."""

import re
import sys
from pathlib import Path


def rows_of_table(text, head):
    """The lines of the table whose head begins with these words, below that head."""
    rows, inside = [], False
    for line in text.splitlines():
        if inside and line.startswith("|"):
            rows.append(line)
        inside = line.startswith(head) or (inside and line.startswith("|"))
    return [row for row in rows if not row.startswith("|---")]


def missing_constants(source, text):
    """The constants that the ceilings name and no #define of the source makes."""
    code = "".join(path.read_text() for room in ("api", "cache", "fs")
                   for path in sorted((source / room).rglob("*.[ch]")))
    named = re.findall(r"`([A-Z][A-Z0-9_]+)`", "".join(rows_of_table(text, "| what |")))
    return [name for name in named if not re.search(rf"^#define {name}\b", code, re.M)]


def main(source):
    text = (source / "docs/faults.md").read_text()
    wrong = [f"{name} is not defined" for name in missing_constants(source, text)]
    seen = []
    for line in rows_of_table(text, "| # |"):
        row = re.match(r"\| (\d+) \|", line)
        if not row:
            wrong.append(f"this row has no number: {line}")
            continue
        seen.append(int(row[1]))
        named = [re.fullmatch(r"(test_\w+\.(?:py|c))::(\w+)", name) or name
                 for name in re.findall(r"`([^`]*::[^`]*)`", line)]
        if not named:
            wrong.append(f"row {row[1]} names no test")
        for match in named:
            if isinstance(match, str):
                wrong.append(f"row {row[1]}: {match} is not FILE::FUNCTION of a test")
                continue
            file, function = match.groups()
            path = source / "tests" / ("unit" if file.endswith(".c") else "mount") / file
            pattern = rf"^(?:def|static void) {function}\("
            if not path.exists() or not re.search(pattern, path.read_text(), re.M):
                wrong.append(f"row {row[1]}: {file}::{function} is not there")
    if not seen:
        wrong.append("there are no rows")
    for number in {number for number in seen if seen.count(number) > 1}:
        wrong.append(f"two rows have the number {number}")
    for reason in wrong:
        print(f"docs/faults.md: {reason}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent)))
