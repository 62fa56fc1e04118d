#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what `fleetfs --help` prints with the manual and with what the completions of bash, zsh
and fish offer: options_check.py SOURCE FLEETFS

tests/unit/test_manual.c checks that the manual has the settings that --help does not show.

Exit status 77 (skipped) if all checks passed but a shell is not installed; with FLEETFS_NO_SKIP=1 a
missing shell is a failure."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
LIMIT_S = 60


def rows_of_help(text):
    """Returns [(group, letter, name, placeholder of the value, default)] of --help."""
    rows, group = [], None
    for line in text.splitlines():
        if re.fullmatch(r"\w.*:", line):
            group = line[:-1]
        row = re.match(r"  (?:-(.), )?--(\w+)=?([A-Z]*) .*?(?:\[([0-9.]+)\])?$", line)
        if row:
            rows.append((group, row[1] or "", row[2], row[3].lower(), row[4]))
    return rows


def rows_of_manual(text):
    """Returns {(group, letter, name, placeholder of the value): paragraph} of the manual."""
    rows = {}
    group = row = None
    for line in text[text.index("\n.Sh OPTIONS"):text.index("\n.Sh TOKEN")].splitlines():
        item = re.match(r"\.It (?:Fl (.) , )?Fl -(\w+)(?: Ns = Ns Ar (\w+))?$", line)
        if line.startswith(".Ss "):
            group = line[4:]
        if item:
            row = (group, item[1] or "", item[2], item[3] or "")
            rows[row] = ""
        elif line.startswith(".El"):
            row = None
        elif row:
            rows[row] += line + "\n"
    return rows


def differences(what, found, wanted):
    """Returns messages about the rows that are missing, unknown or in another order."""
    if list(found) == list(wanted):
        return []
    return [f"{what}: {', '.join(map(str, wrong))} {verb}" for verb, wrong in
            (("is missing", [row for row in wanted if row not in found]),
             ("is not in --help", [row for row in found if row not in wanted])) if wrong] or \
        [f"{what}: the order is not that of --help"]


def check_manual(source, fleetfs, rows):
    manual = (source / "docs/fleetfs.8").read_text()
    paragraphs = rows_of_manual(manual)
    wrong = differences("the manual", paragraphs, [row[:4] for row in rows])
    for group, letter, name, value, default in rows:
        if default:
            # The error message names the range.
            done = subprocess.run([fleetfs, f"--{name}=x", "."], capture_output=True, text=True)
            wanted = f"From {re.search('from (.*)', done.stderr)[1]}; default {default}."
            if wanted not in paragraphs.get((group, letter, name, value), wanted):
                wrong.append(f"the manual: {name} is not described as '{wanted}'")
    return wrong


def bash_offers(source, fleetfs, words):
    """Returns the completions of the last word in bash. words: split as bash does it."""
    script = """. "$1"; . "$2"; compopt() { :; }; shift 2
        COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=("${@:3}") COMP_CWORD=$(($# - 3))
        _fleetfs "$2"; printf '%s\\n' "${COMPREPLY[@]}" """
    line = re.sub(r" = ", "=", " ".join(words))
    done = subprocess.run(["bash", "-c", script, "-", BASH_COMPLETION,
                           source / "completions/fleetfs.bash", line, fleetfs, *words],
                          capture_output=True, text=True, timeout=LIMIT_S)
    assert not done.stderr, done.stderr
    return done.stdout.split()


def check_bash(source, fleetfs, rows):
    def offers(*words):
        return bash_offers(source, fleetfs, ["fleetfs", *words])
    names = [name + ("=" if value else "") for _, _, name, value, _ in rows]
    dashed = ["-o"] + [word for row, name in zip(rows, names)
                       for word in ([f"-{row[1]}"] if row[1] else []) + [f"--{name}"]]
    listed = [name for row, name in zip(rows, names) if not row[0].startswith("Instead")]
    wrong = differences("bash, dashes", offers("-"), dashed)
    wrong += differences("bash, -o", offers("-o", ""), listed)
    wrong += differences("bash, in a list", offers("-o", "ttl", "=", "5,st"), ["5,stale="])
    here = os.path.relpath(source / "completions", os.getcwd())
    wrong += differences("bash, a file", offers("--token-file", f"{here}/_fl"),
                         [f"{here}/_fleetfs"])
    wrong += differences("bash, a number", offers("--ttl", ""), [])
    wrong += differences("bash, a mount point", offers(here), [here])
    return wrong


def read_prompt(fd):
    text, end = "", time.monotonic() + LIMIT_S
    while "READY>" not in text:
        assert time.monotonic() < end, f"zsh: {text}"
        if select.select([fd], [], [], 1)[0]:
            text += os.read(fd, 65536).decode(errors="replace")
    return text


def zsh_offers(source, fleetfs, line):
    """Returns the text that zsh prints at Ctrl-D after a line, up to its next prompt."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(source)
        os.environ.update(TERM="dumb", COMPLETIONS=str(source / "completions"),
                          PATH=f"{fleetfs.parent}:{os.environ['PATH']}")
        os.execvp("zsh", ["zsh", "-f", "-i"])
    try:
        # Short lines, since zsh breaks them at the width of the terminal.
        os.write(fd, b"PS1=READY'>'; fpath=($COMPLETIONS $fpath)\n")
        read_prompt(fd)
        os.write(fd, b"autoload -Uz compinit; compinit -u -D; LISTMAX=1000\n")
        read_prompt(fd)
        os.write(fd, b"stty rows 200 columns 200\n")
        read_prompt(fd)
        os.write(fd, f"{line}\x04".encode())
        return read_prompt(fd)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)


def check_zsh(source, fleetfs, rows):
    def offers(line):
        return sorted(word for row in zsh_offers(source, fleetfs, line).splitlines()
                      if " -- " in row for word in row.split(" -- ")[0].split())
    dashed = ["-o"] + [f"--{row[2]}" for row in rows] + [f"-{row[1]}" for row in rows if row[1]]
    listed = [row[2] for row in rows if not row[0].startswith("Instead")]
    wrong = differences("zsh, dashes", offers("fleetfs -"), sorted(dashed))
    wrong += differences("zsh, -o", offers("fleetfs -o "), sorted(listed))
    wrong += differences("zsh, in a list", offers("fleetfs -o ttl=5,s"), ["stale", "subtype"])
    if "fleetfs.bash" not in zsh_offers(source, fleetfs,
                                        "fleetfs --token_file=completions/"):
        wrong.append("zsh, a file: is missing")
    return wrong


def check_fish(source, fleetfs, rows):
    def offers(line):
        done = subprocess.run(["fish", "--no-config", "--private", "-c",
                               "source completions/fleetfs.fish; complete -C $argv[1]", line],
                              cwd=source, capture_output=True, text=True, timeout=LIMIT_S,
                              env={**os.environ, "PATH": f"{fleetfs.parent}:{os.environ['PATH']}"})
        assert not done.stderr, done.stderr
        return sorted(offer.split("\t")[0] for offer in done.stdout.splitlines())
    dashed = ["-o"] + [f"--{row[2]}" for row in rows] + [f"-{row[1]}" for row in rows if row[1]]
    listed = [row[2] + ("=" if row[3] else "") for row in rows if not row[0].startswith("Instead")]
    wrong = differences("fish, dashes", offers("fleetfs -"), sorted(dashed))
    wrong += differences("fish, -o", offers("fleetfs -o "), sorted(listed))
    wrong += differences("fish, in a list", offers("fleetfs -o ttl=5,st"), ["ttl=5,stale="])
    wrong += differences("fish, a file", offers("fleetfs --token_file completions/_fl"),
                         ["completions/_fleetfs"])
    wrong += differences("fish, a number", offers("fleetfs --ttl "), [])
    wrong += differences("fish, a mount point", offers("fleetfs completio"), ["completions/"])
    return wrong


def main(source, fleetfs):
    shown = subprocess.run([fleetfs, "--help"], capture_output=True, text=True, check=True).stdout
    rows = rows_of_help(shown)
    assert len(rows) > 20, shown
    wrong, skipped = check_manual(source, fleetfs, rows), []
    if BASH_COMPLETION.exists():
        wrong += check_bash(source, fleetfs, rows)
    else:
        skipped.append("bash-completion is not installed")
    if shutil.which("zsh"):
        wrong += check_zsh(source, fleetfs, rows)
    else:
        skipped.append("zsh is not installed")
    if shutil.which("fish"):
        wrong += check_fish(source, fleetfs, rows)
    else:
        skipped.append("fish is not installed")
    for reason in wrong + skipped:
        print(reason, file=sys.stderr)
    if skipped and os.environ.get("FLEETFS_NO_SKIP"):
        return 1
    return 1 if wrong else 77 if skipped else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))
