#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws docs/session.svg, the picture of the demo, from the output of `./run demo --once`."""

import html
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
COLUMNS, CHARACTER, LINE, MARGIN = 86, 8.43, 19, 18
STYLE = """
  .back { fill: #fbfaf7; stroke: #d9d5c9; } text { fill: #2b2b28; }
  .prompt { fill: #8a8678; } .command { fill: #0b5c8a; font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    .back { fill: #1d1f21; stroke: #3a3d40; } text { fill: #d6d3cb; }
    .prompt { fill: #8b8f94; } .command { fill: #7cc4ee; }
  }
"""


def session():
    """Yields (class of CSS, text) for each line between the start messages and the hints at the end."""
    done = subprocess.run([HERE.parent / "run", "demo", "--once"], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    lines = done.stdout.split("\n$ cd ", 1)[1].split("\n\n", 1)[1]
    for line in lines.split("\n\nWhat next:")[0].splitlines():
        command = re.match(r"\$ (.*)", line)
        if command:
            yield "command", command[1]
        else:
            yield "prompt" if line.startswith("# ") else "", line


def draw(lines):
    width = 2 * MARGIN + COLUMNS * CHARACTER
    height = 2 * MARGIN + len(lines) * LINE
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
             f'width="{width:.0f}" height="{height}" font-family="ui-monospace, Menlo, Consolas, '
             f'DejaVu Sans Mono, monospace" font-size="14">',
             "<title>A session in a mounted fleet</title>", f"<style>{STYLE}</style>",
             f'<rect class="back" x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1}" '
             'rx="8"/>']
    for at, (kind, text) in enumerate(lines):
        y = MARGIN + at * LINE + 14
        shown = html.escape(text.expandtabs())
        if kind:
            shown = f'<tspan class="{kind}">{shown}</tspan>'
        if kind == "command":
            shown = f'<tspan class="prompt">$ </tspan>{shown}'
        parts.append(f'<text x="{MARGIN}" y="{y}" xml:space="preserve">{shown}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    (HERE / "session.svg").write_text(draw(list(session())))
