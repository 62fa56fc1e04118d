# SPDX-License-Identifier: MIT
"""Agents that come and go leave nothing behind in the daemon (row 37 of docs/faults.md)."""

import os
import re
from pathlib import Path

import pytest

from harness import until
from scripted import page

AGENTS = 1_000_000
AT_ONCE = 5000


def resident_kib(fleet):
    status = Path(f"/proc/{fleet.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])


def serve(server, names):
    pages = [page(names[at:at + 100], total=AT_ONCE) for at in range(0, AT_ONCE, 100)]
    server.answer = lambda wire: wire.reply(
        pages[wire.number - 1] if wire.number <= len(pages) else page([], total=AT_ONCE))


def turn_over(server, fleet, turn):
    """Replaces all agents by new ones, lists all and reads some."""
    names = [f"t{turn}-{i}" for i in range(AT_ONCE)]
    serve(server, names)
    until(lambda: set(fleet.agents()) == set(names))
    for name in names[::20]:
        assert name in fleet.text(f"agents/{name}/agent.json")


@pytest.mark.long
@pytest.mark.once  # a sanitizer keeps what was freed
def test_memory_does_not_grow_while_a_million_agents_come_and_go(scripted, mount):
    turns = AGENTS // AT_ONCE
    server = scripted()
    fleet = mount(server, ttl=0.1, timeout=60)
    sizes = []
    for turn in range(turns):
        turn_over(server, fleet, turn)
        sizes.append(resident_kib(fleet))
    assert max(sizes[-turns // 10:]) <= 1.1 * max(sizes[:turns // 10]), sizes
    assert int(fleet.values(".fleetfs/stats")["nodes"]) < 4 * AT_ONCE


def test_working_directory_in_the_mount_survives_an_invalidation(scripted, mount):
    """The invalidation also removes the name of the directory for a moment."""
    server = scripted()
    fleet = mount(server, ttl=0.1, timeout=60)
    turn_over(server, fleet, 0)
    inside = os.open(fleet / "agents", os.O_RDONLY)
    shown = f"/proc/self/fd/{inside}"
    where = os.readlink(shown)
    for turn in range(1, 8):
        serve(server, [f"t{turn}-{i}" for i in range(AT_ONCE)])
        until(lambda: f"t{turn}-0" in os.listdir(inside))
        until(lambda: os.readlink(shown) == where)
    os.close(inside)
    assert int(fleet.values(".fleetfs/stats")["fuse_forget"]) > AT_ONCE  # so it was told to
