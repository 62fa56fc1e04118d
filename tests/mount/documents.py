# SPDX-License-Identifier: MIT
"""The commands in README.md and docs/operations.md, and what runs them.

The comment before a block of commands is one of

    <!-- run by FILE::FUNCTION -->    this test gets the blocks as its argument `commands`, and runs them
    <!-- not run: REASON -->

tests/package/test_package.py uses this file, too, in another directory."""

import re
from pathlib import Path

DOCUMENTS = [Path(__file__).resolve().parent.parent.parent / name
             for name in ("README.md", "docs/operations.md")]
MARK = re.compile(r"<!-- (?:run by (\S+)::(\w+)|not run: \w.*) -->")


def blocks(document):
    """Yields (mark, text) for each block of commands; the mark is a match of MARK, or None."""
    before = ""
    for paragraph in re.split(r"\n(?:\s*\n)+", Path(document).read_text()):
        if paragraph.startswith("    "):
            yield MARK.fullmatch(before), re.sub("^    ", "", paragraph, flags=re.M).rstrip() + "\n"
        before = paragraph.strip()


def commands_of(function, paths):
    """The blocks that this test runs, in their order."""
    found = [text for path in paths for mark, text in blocks(path)
             if mark and mark[2] == function]
    assert found, f"no document names {function}"
    return found
