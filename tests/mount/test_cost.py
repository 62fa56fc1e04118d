# SPDX-License-Identifier: MIT
"""The cost of a fixed script of operations, in units that do not depend on the load of the machine:
requests to the API and from the kernel, and system calls. cost.txt has the expected costs."""

import collections
import os
import re
import time

import pytest

import harness
from harness import counted, run, until

RECORDED = harness.HERE / "cost.txt"
RECORD = "FLEETFS_RECORD=1 ./run test cost"
ROW = re.compile(r"^(\w.*?)(  +[\d.]+)  +([\d.]+)  ", re.MULTILINE)

AGENTS = 200
SCRIPT = {
    "ls": "ls agents",
    "cat": "cat agents/*/status",
    "cold grep": "grep -r NVIDIA agents",
    "warm grep": "grep -r NVIDIA agents",
    "statfs": "stat -f agents",
    "expired grep": "grep -r NVIDIA agents",
}
TTLS = [6, 30]  # seconds; on a machine that is too slow for the first, the second

pytestmark = [pytest.mark.once,   # any other build costs something else
              pytest.mark.xdist_group("cost")]  # one after the other: they record into one file


def recorded():
    """{figure: (recorded, allowed deviation)}"""
    return {figure: (float(value), float(tolerance))
            for figure, value, tolerance in ROW.findall(RECORDED.read_text())}


def record(found):
    def line(row):
        value = found.get(row[1])
        text = row[2] if value is None else str(round(value, 2) if value < 100 else round(value))
        return row[0].replace(row[2], text.rjust(len(row[2])), 1)
    RECORDED.write_text(ROW.sub(line, RECORDED.read_text()))


def judge(found):
    """Fails if a figure differs from the recorded one, is missing, or is new."""
    found = {**dict.fromkeys(recorded(), 0), **found}
    if os.environ.get("FLEETFS_RECORD"):
        record(found)
    expected = recorded()
    wrong = [f"{figure}: {value:.7g}, recorded {was:.7g} ±{tolerance:g}"
             for figure, value in found.items()
             for was, tolerance in [expected.get(figure, (0, 0))] if abs(value - was) > tolerance]
    if wrong:
        pytest.fail("\n".join([f"it costs something else than {RECORDED.name} says:", *wrong,
                               f"If it is meant to: {RECORD}"]), pytrace=False)


def perform(fleet, began, ttl):
    """Runs the script; returns {(step, counter of .fleetfs/stats): increase}, or None if data expired
    too early. Nothing was fetched before."""
    costs, listed = {}, began
    for step, command in SCRIPT.items():
        if step == "expired grep":
            if time.monotonic() > began + ttl:
                return None
            time.sleep(max(0, listed + ttl + 0.1 - time.monotonic()))
            began = time.monotonic()
        # Not to /dev/null: grep would stop at the first match in each file.
        _, more = counted(fleet, lambda command=command: run("sh", "-c", command, cwd=fleet.path))
        if step == "ls":
            listed = time.monotonic()
        costs.update({(step, what): count for what, count in more.items()})
    return costs if time.monotonic() < began + ttl else None


@pytest.fixture
def cost(sim, mount):
    """cost(*prefix): runs the script on a fleetfs under this prefix. Returns ({(step, counter):
    increase}, {counter: total}, the mount, which has ended)."""
    api = sim(agents=AGENTS)

    def measure(*prefix):
        for ttl in TTLS:
            began = time.monotonic()
            fleet = mount(api, prefix=prefix, ttl=ttl, timeout=60)
            costs, total = perform(fleet, began, ttl), harness.counts(fleet)
            fleet.stop()
            if costs:
                return costs, total, fleet
        raise AssertionError(f"half of the script takes longer than {TTLS[-1]} s")
    return measure


def fuse_requests(total):
    return sum(count for what, count in total.items() if what.startswith("fuse_"))


def system_calls(trace, pid):
    """{whether the thread is that of FUSE: number of system calls}. A read that finds nothing and the
    poll after it, with which the thread goes to sleep, do not count: their number depends on the
    load."""
    calls, last = collections.Counter(), {}
    for thread, name, error in re.findall(
            r"^(\d+) +(?:<\.\.\. )?(\w+)\b.* = \S+ ?(\w*)", trace, re.MULTILINE):
        if (name, error) == ("read", "EAGAIN") or (name, last.get(thread)) == ("poll", "EAGAIN"):
            last[thread] = error
            continue
        last[thread] = error
        calls[int(thread) == pid] += 1
    return calls


@pytest.mark.skipif(os.geteuid() != 0, reason="strace takes its rights from fusermount3")
def test_requests_and_system_calls_are_as_recorded(cost, folder):
    trace = folder / "trace"
    costs, total, fleet = cost("strace", "-D", "-f", "-s0", "-o", trace)
    until(lambda: re.search(f"^{fleet.pid} .*exited with 0", trace.read_text(), re.MULTILINE))
    calls = system_calls(trace.read_text(), fleet.pid)
    found = {f"{step}: {what.replace('fuse_', '')}": count
             for (step, what), count in costs.items()
             if count and (what == "requests" or what.startswith("fuse_"))
             and what != "fuse_forget"}  # which the kernel sends when it likes to
    found["system calls per request"] = calls[True] / fuse_requests(total)
    found["system calls per page fetched"] = calls[False] / total["pages_arrived"]
    judge(found)
