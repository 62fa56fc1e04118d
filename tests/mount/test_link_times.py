# SPDX-License-Identifier: MIT
"""The time of a symlink is when the value that makes it appeared, in every view."""

import os
import time

import pytest

from harness import run, until

AGENT = {"agent_id": "a", "agent_status": "idle", "tool": "t1", "agent_version": "1",
         "agent_labels": ["x", "y"], "running_tasks": ["k1", "k2"], "current_task_id": "k1",
         "system_stats": {"gpu_devices": [{"device_name": "G"}, {"device_name": "H"}]}}


def gpus(*names):
    return {"system_stats": {"gpu_devices": [{"device_name": name} for name in names]}}


# A change, the links that it makes, and those that are there before and after.
CHANGES = {
    "status": ({"agent_status": "busy"}, ["by-status/busy/a"], ["by-tool/t1/a", "tasks/k1"]),
    "tool": ({"tool": "t2"}, ["by-tool/t2/a"], ["by-version/1/a"]),
    "version": ({"agent_version": "2"}, ["by-version/2/a"], ["by-status/idle/a"]),
    "a label more": ({"agent_labels": ["z", "x", "y"]}, ["by-label/z/a"], ["by-label/x/a", "by-label/y/a"]),
    "a label less": ({"agent_labels": ["y"]}, [], ["by-label/y/a"]),
    "labels in another order": ({"agent_labels": ["y", "x", "n"]}, ["by-label/n/a"],
                                ["by-label/y/a", "by-label/x/a"]),
    "a GPU replaced": (gpus("N", "H"), ["by-gpu/N/a"], ["by-gpu/H/a"]),
    "a GPU more": (gpus("N", "G", "H"), ["by-gpu/N/a"], ["by-gpu/G/a", "by-gpu/H/a"]),
    "a GPU of a model that was there": (gpus("H", "H", "G"), [], ["by-gpu/G/a", "by-gpu/H/a"]),
    "a task more": ({"running_tasks": ["k0", "k1", "k2"]}, ["tasks/k0"], ["tasks/k1", "tasks/k2"]),
    "a task becomes the current one": ({"running_tasks": ["k1"], "current_task_id": "k2"}, [],
                                       ["tasks/k1", "tasks/k2"]),
    "the current task another": ({"current_task_id": "k9"}, ["tasks/k9"], ["tasks/k1", "tasks/k2"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_only_the_links_that_a_change_makes_are_new(sim, mount, change):
    fields, new, kept = CHANGES[change]
    api = sim(agents=1)
    api.put_agents([{**AGENT, "tasks_completed": 1}])
    fleet = mount(api, ttl=0.1)
    before = {path: os.lstat(fleet / path).st_mtime_ns for path in kept}
    assert set(before.values()) == {os.stat(fleet / ".fleetfs/README").st_mtime_ns}
    changed = time.time_ns()
    api.put_agents([{**AGENT, **fields, "tasks_completed": 2}])
    until(lambda: fleet.text("agents/a/tasks_completed") == "2\n")
    for path in new:
        until(lambda: os.path.islink(fleet / path))
        assert changed <= os.lstat(fleet / path).st_mtime_ns <= time.time_ns(), path
        entry = next(e for e in os.scandir((fleet / path).parent) if e.name == os.path.basename(path))
        assert entry.stat(follow_symlinks=False).st_mtime_ns == os.lstat(fleet / path).st_mtime_ns
    for path in kept:
        until(lambda: os.path.islink(fleet / path))
        assert os.lstat(fleet / path).st_mtime_ns == before[path], path


def test_a_value_that_comes_back_makes_a_new_link(sim, mount):
    api = sim(agents=1)
    api.put_agents([AGENT])
    fleet = mount(api, ttl=0.1)
    first = os.lstat(fleet / "by-gpu/G/a").st_mtime_ns
    api.put_agents([{**AGENT, **gpus("H")}])
    until(lambda: not os.path.lexists(fleet / "by-gpu/G/a"))
    back = time.time_ns()
    api.put_agents([AGENT])
    until(lambda: os.path.lexists(fleet / "by-gpu/G/a"))
    assert os.lstat(fleet / "by-gpu/G/a").st_mtime_ns >= back > first


def test_constant_files_have_the_time_of_the_first_values(sim, mount):
    """So `find agents -newer README` lists what changed since the mount, whenever README was first read."""
    api = sim(agents=1)
    api.put_agents([AGENT, {**AGENT, "agent_id": "b"}])
    fleet = mount(api, ttl=0.1)
    first = os.stat(fleet / "agents/a/status").st_mtime_ns
    api.change(1, agent_status="busy")
    until(lambda: fleet.text("agents/b/status") == "busy\n")
    for name in ("README", ".fleetfs/README", ".fleetfs/version"):
        assert os.stat(fleet / name).st_mtime_ns == first
    newer = run("find", fleet / "agents", "-name", "status", "-newer", fleet / "README")
    assert newer.split() == [f"{fleet.path}/agents/b/status"]
