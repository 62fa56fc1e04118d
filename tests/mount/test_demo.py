# SPDX-License-Identifier: MIT
"""The demo, and the picture that is drawn from it."""

import os
import re
import signal
import subprocess

import pytest

from harness import HERE, mounts, until

pytestmark = pytest.mark.once

DEMO = HERE.parent / "demo.sh"
PICTURE = HERE.parent.parent / "docs/session.svg"


def shown(output):
    """{command: lines that it printed}; of a command that is shown twice the lines of both."""
    found = {}
    for part in re.split(r"\n\n", output):
        first, *lines = part.strip("\n").split("\n")
        if first.startswith("$ "):
            found.setdefault(first[2:], []).extend(lines)
    return found


@pytest.fixture
def build(programs):
    return programs["sim"].parent.parent


def test_demo_shows_what_the_mount_is_for(build):
    done = subprocess.run([DEMO, build, "--once"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert not set(done.stderr.splitlines()) - {line for line in done.stderr.splitlines()
                                               if line.startswith(("fleetfs: mounted ",
                                                                   "fleetfs: unmounted "))}
    found = shown(done.stdout)
    idle = found["ls -C where/status=idle/label=a100"][0].split()
    best, second = found["cat where/status=idle/label=a100/sort=-vram_free/1/id"]
    assert {best, second} < set(idle) and best != second
    assert found[f"cat agents/{best}/status"] == [
        f"cat: agents/{best}/status: No such file or directory"]
    events = [line.split("\t")[1:] for line in found["grep -wE 'agent|status' fleet/events.log"]]
    assert events[0] == [best, "agent", "left", "-"]
    assert [best, "agent", "-", "joined"] in events
    assert any(field == "status" for _, field, _, _ in events)
    assert "fleet.html" in " ".join(found["ls -C fleet"]).split()
    *_, title, first, second, third = done.stdout.rstrip().split("\n")
    assert title == "What next:" and all(line.startswith("  ") for line in (first, second, third))


def test_picture_shows_the_present_demo(build):
    done = subprocess.run([DEMO, build, "--once"], capture_output=True, text=True, timeout=100)
    drawn = re.findall(r'<tspan class="command">(.*?)</tspan>', PICTURE.read_text())
    commands = [command for command in re.findall(r"^\$ (.*)$", done.stdout, re.M)
                if not command.startswith(("FLEETFS_TOKEN", "cd "))]
    assert [text.replace("&#x27;", "'") for text in drawn] == commands, \
        "the picture is of another demo: docs/picture.py"


def test_demo_stays_until_ctrl_c(commands, build, folder):
    assert commands == ["./run demo\n"]
    demo = subprocess.Popen([DEMO, build, folder / "fleet"], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, start_new_session=True)
    try:
        lines = []
        while "where/README" not in (lines or [""])[-1]:
            lines.append(demo.stdout.readline())
            assert lines[-1], "ended: " + "".join(lines)
        log = folder / "fleet/fleet/events.log"
        size = os.stat(log).st_size
        until(lambda: os.stat(log).st_size > size)  # by itself
    finally:
        os.killpg(demo.pid, signal.SIGINT)
        demo.communicate(timeout=30)
    assert demo.returncode == 0
    assert not mounts(folder) and not (folder / "fleet").exists()
