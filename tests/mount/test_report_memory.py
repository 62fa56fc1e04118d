# SPDX-License-Identifier: MIT
"""The files of fleet/ take no more memory than their agents, however long their text is, and their
memory is freed when they are replaced."""

import json
import os

import pytest

from harness import until
from test_churn import resident_kib

LONG = 600
AGENTS = 20


def as_file(path, agents):
    """Replaces a saved response at once. agents: objects or bytes."""
    parts = [agent if isinstance(agent, bytes) else json.dumps(agent).encode() for agent in agents]
    path.with_suffix(".new").write_bytes(
        b'{"agent_list":[' + b",".join(parts) + b'],"page_meta":{"current_page":1,"per_page":%d,'
        b'"total_count":%d}}' % (len(agents), len(agents)))
    os.rename(path.with_suffix(".new"), path)


def size_and_peak(fleet, name):
    """Reads a file of fleet/ to its end; returns its size, and the peak memory of the daemon in KiB."""
    size = peak = 0
    with open(fleet / "fleet" / name, "rb", buffering=0) as file:
        while part := file.read(1 << 20):
            size += len(part)
            peak = max(peak, resident_kib(fleet))
        assert size == os.fstat(file.fileno()).st_size
    return size, peak


def long_agents(key, value):
    """Agents of nearly 1 MiB, almost all of it in one value."""
    return [b'{"agent_id":"a%d","agent_status":"idle","%s":"%s"}' % (i, key, value)
            for i in range(AGENTS)]


@pytest.mark.unwrapped  # as to memory
@pytest.mark.parametrize("name,key,times", [
    ("fleet.html", b"sync_detail", 9), ("agents.tsv", b"tool", 4), ("metrics.prom", b"tool", 5),
    ("agents.json", b"sync_detail", 1)])
def test_report_longer_than_its_agents_takes_no_more_memory(mount, folder, instrumented, name, key, times):
    as_file(folder / "fleet.json", long_agents(key, b"\xff" * 1_000_000))
    fleet = mount(folder / "fleet.json", ttl=LONG, timeout=60, token=None)
    assert len(fleet.agents()) == AGENTS
    before = resident_kib(fleet)
    size, peak = size_and_peak(fleet, name)
    assert size >= AGENTS * times * 1_000_000
    if not instrumented:  # a sanitizer keeps what was freed
        assert peak - before < 40 << 10, (before, peak)  # a row or two, of 9 MB and doubled
    assert resident_kib(fleet) - before < 40 << 10 or instrumented


def test_long_and_short_rows_are_in_order(mount, folder):
    texts = ["short", "x" * 20_000, "\x1b" * 100_000, "", "y" * 900_000, "short"]
    as_file(folder / "fleet.json", [{"agent_id": f"n{i}", "agent_status": "idle", "tool": text}
                                    for i, text in enumerate(texts)])
    fleet = mount(folder / "fleet.json", ttl=LONG, timeout=60, token=None)
    shown = [text.replace("\x1b", "\\x1b") for text in texts]
    rows = [line.split("\t") for line in fleet.text("fleet/agents.tsv").splitlines()[1:]]
    assert [(row[0], row[7]) for row in rows] == [(f"n{i}", text) for i, text in enumerate(shown)]
    listed = json.loads(fleet.text("fleet/agents.json"))["agent_list"]
    assert [agent["tool"] for agent in listed] == texts
    whole = fleet.read("fleet/metrics.prom")
    with open(fleet / "fleet/metrics.prom", "rb", buffering=0) as file:
        for offset in range(len(whole) - 1, 0, -77_777):  # backwards
            assert os.pread(file.fileno(), 5000, offset) == whole[offset:offset + 5000]
    assert whole.count(b"fleet_agent_info{") == len(texts)


def test_long_status_is_shortened_in_the_summary(mount, folder):
    as_file(folder / "fleet.json", [{"agent_id": "a", "agent_status": "\x1b" * 100_000},
                                    {"agent_id": "b", "agent_status": "odd\n"}])
    fleet = mount(folder / "fleet.json", ttl=LONG, timeout=60, token=None)
    long_name = next(name for name in os.listdir(fleet / "by-status") if len(name) > 200)
    values = fleet.values("fleet/summary")
    assert values[f"agents_{long_name}"] == values["agents_odd%0A"] == "1"


@pytest.mark.unwrapped  # as to memory
def test_memory_of_a_replaced_report_is_freed(mount, folder, instrumented):
    def put(turn):
        as_file(folder / "fleet.json", [{"agent_id": f"n{i}", "tool": str(turn), "more": "x" * 5000}
                                        for i in range(4000)])
    put(0)
    fleet = mount(folder / "fleet.json", ttl=0.1, timeout=60, token=None)
    kib = []
    for turn in range(1, 13):
        put(turn)
        until(lambda: fleet.text("agents/n0/tool") == f"{turn}\n")
        for name in ("agents.json", "agents.jsonl", "agents.tsv", "gpus.tsv", "metrics.prom",
                     "fleet.html"):
            assert fleet.read(f"fleet/{name}")
        kib.append(resident_kib(fleet))
    # There may be two lists for a while, of 20 MB each. A leak would keep all eight.
    assert instrumented or min(kib[-4:]) < 2 * kib[3], kib
