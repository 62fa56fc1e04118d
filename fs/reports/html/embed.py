#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes fleet.html without its data as a C header: embed.py PAGE.HTML PAGE.CSS PART.JS... > PAGE.H

Style and script replace @STYLE@ and @SCRIPT@ in the page. The script is one function, which contains all
the parts in their sequence.
The policy in the page's head contains their hashes, so a browser executes nothing else in the page.
page_begin ends before @DATA@, and page_end begins after it."""

import base64
import hashlib
import sys
from pathlib import Path


def csp_hash(text):
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def literal(text):
    """ASCII text as a C string literal for each line."""
    lines = (line.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?").replace("\t", "\\t")
             for line in text.split("\n"))
    return '"' + '\\n"\n\t"'.join(lines) + '"'


def embed(page, style, *parts):
    """The page before its data, and after it."""
    page, style, *parts = (Path(path).read_text(encoding="ascii") for path in (page, style, *parts))
    script = '\n"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
    assert "</" not in style and "</" not in script and "<!--" not in script
    for word, text in ("@STYLE-SOURCE@", csp_hash(style)), ("@SCRIPT-SOURCE@", csp_hash(script)), \
                      ("@STYLE@", style), ("@SCRIPT@", script):
        assert page.count(word) == 1, word
        page = page.replace(word, text)
    return page.split("@DATA@")


def main(*paths):
    begin, end = embed(*paths)
    print(f"/* Generated from fs/reports/html/ by embed.py. */\n"
          f"static const char page_begin[] =\n\t{literal(begin)};\n"
          f"static const char page_end[] =\n\t{literal(end)};")


if __name__ == "__main__":
    main(*sys.argv[1:])
