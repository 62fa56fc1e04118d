# SPDX-License-Identifier: MIT
"""The files of an agent contain its values, complete and exact, also while they change."""

import json
import mmap
import os
import subprocess
import sys
import threading
import time

import pytest

import expected
from harness import DATA, until

EXAMPLE = {
    "id": "gpu-node-01\n",
    "status": "idle\n",
    "version": "0.1.3\n",
    "last_heartbeat": "2025-02-10T14:30:00Z\n",
    "connected_at": "2025-02-10T14:00:00Z\n",
    "platform_arch": "linux/amd64\n",
    "tool": "comfyui\n",
    "tool_version": "0.3.13\n",
    "comfyui_version": "0.3.13\n",
    "gpu_capacity": "8\n",
    "gpu_free": "5\n",
    "running_count": "3\n",
    "running_tasks": "019abc12-9012-7890-abcd-ef1234567896\n019abc12-9012-7890-abcd-ef1234567897\n",
    "current_task_id": "019abc12-9012-7890-abcd-ef1234567896\n",
    "tasks_completed": "42\n",
    "sync_phase": "downloading\n",
    "sync_detail": "Downloading model flux1-dev-fp8 (2.1 GB)\n",
    "sync_percent": "45\n",
    "labels/gpu": "gpu\n",
    "labels/a100": "a100\n",
    "labels/comfyui": "comfyui\n",
    "system_stats/comfyui_version": "0.3.10\n",
    "system_stats/pytorch_version": "2.5.1+cu124\n",
    "system_stats/os_type": "posix\n",
    "gpus/0/name": "NVIDIA GeForce RTX 4090\n",
    "gpus/0/type": "cuda\n",
    "gpus/0/vram_total": "25769803776\n",
    "gpus/0/vram_free": "22548578304\n",
    "gpus/0/vram_used": "3221225472\n",
}


def test_example_response_is_read_back_file_by_file(sim, mount):
    example = DATA / "example-response.json"
    fleet = mount(sim(file=example), ttl=600)
    assert sorted(os.listdir(fleet.path)) == [
        ".fleetfs", "README", "agents", "by-gpu", "by-label", "by-status", "by-tool", "by-version",
        "fleet", "tasks", "where"]
    assert fleet.agents() == ["gpu-node-01"]
    found = expected.walk(fleet / "agents/gpu-node-01")
    text = found.pop("agent.json")
    assert {path: content.decode() for path, content in found.items()} == EXAMPLE
    served = json.loads(example.read_text(), object_pairs_hook=tuple)
    assert json.loads(text, object_pairs_hook=tuple) == dict(served)["agent_list"][0]
    assert text.count(b"\n") == 1 and text.endswith(b"}\n")


def test_250_agents_are_there_byte_for_byte(sim, mount):
    api = sim(agents=250)
    fleet = mount(api, ttl=600)
    wanted = {}
    for raw in api.raw_agents():
        agent = json.loads(raw)
        where = os.fsdecode(expected.name(agent["agent_id"]))
        for path, content in expected.files(agent).items():
            wanted[f"{where}/{path}"] = content
        wanted[f"{where}/agent.json"] = raw + b"\n"
    found = expected.walk(fleet / "agents")
    assert len(wanted) > 250 * 25
    assert set(found) == set(wanted)
    wrong = {path: (found[path], wanted[path]) for path in found if found[path] != wanted[path]}
    assert not wrong
    assert api.requests() == 3


def test_every_file_and_directory_has_the_attributes_of_its_kind(sim, mount):
    fleet = mount(sim(agents=30), ttl=600)
    count = 0
    for where, folders, files in os.walk(fleet.path, onerror=expected.raise_it):
        for entry in [".", *files]:
            status = os.lstat(os.path.join(where, entry))
            folder = entry == "."
            assert oct(status.st_mode) == ("0o40555" if folder else "0o100444")
            assert (status.st_uid, status.st_gid, status.st_nlink) == (os.getuid(), os.getgid(), 1)
            assert status.st_blocks * 512 >= status.st_size
            count += 1
        assert all(name not in files for name in folders)
    assert count > 30 * 25
    line = next(line for line in open("/proc/self/mountinfo") if f" {fleet.path} " in line)
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(line.split()[5].split(","))
    assert " - fuse.fleetfs http://127.0.0.1:" in line


# A value says by itself which one it is, so any mixture of two of them shows.
LENGTHS = [1, 2, 7, 8, 100, 101, 999, 4094, 4095, 4096, 4097, 5000, *range(13, 4900, 397)]


def status_of(turn):
    which = turn % len(LENGTHS)
    return chr(ord("A") + which) * LENGTHS[which]


READER = """
import os, sys, time
path, how, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
lengths = {lengths}
valid = {{(chr(65 + i) * n + "\\n").encode() for i, n in enumerate(lengths)}}
seen, reads, end = set(), 0, time.monotonic() + seconds
while time.monotonic() < end:
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size
    if how == "whole":
        content = os.read(fd, 1 << 16)
    elif how == "pieces":
        content = b""
        while piece := os.read(fd, 7 if size < 200 else 1013):
            content += piece
            time.sleep(0.002)
    elif how == "late":
        time.sleep(0.12)
        content = os.read(fd, 1 << 16)
    else:
        content = b"".join(os.pread(fd, 700, at) for at in reversed(range(0, 5600, 700)))
        content = b"".join(os.pread(fd, 700, at) for at in range(0, 5600, 700))
    assert content in valid, (how, "torn", size, len(content), content[:1], content[-2:])
    assert size == len(content) == os.fstat(fd).st_size, (how, "size", size, len(content))
    os.close(fd)
    seen.add(content)
    reads += 1
print(reads, len(seen))
"""


@pytest.mark.once  # what the kernel makes of the answers, which are the same in every build
def test_reads_during_changes_are_never_torn(sim, mount, blocked):
    api = sim(agents=1)
    agent = {"agent_id": "flips", "agent_status": status_of(0)}
    api.put_agents([agent])
    fleet = mount(api, ttl=0.1)
    code = READER.format(lengths=LENGTHS)
    readers = [blocked(sys.executable, "-c", code, fleet / "agents/flips/status", how, 10)
               for how in ("whole", "pieces", "late", "backwards")]
    turn = 0
    while any(reader.running() for reader in readers):
        turn += 1
        api.put_agent(0, {**agent, "agent_status": status_of(turn)})
        time.sleep(0.05)
    assert turn > 100
    for reader in readers:
        status, output, errors = reader.result()
        assert status == 0, errors.decode()
        reads, seen = map(int, output.split())
        assert reads > 30 and seen > len(LENGTHS) // 2, (reads, seen)


def test_open_file_is_read_to_its_end_unchanged(sim, mount):
    """The file is larger than any readahead, so the rest is requested long after the change."""
    api = sim(agents=1)
    old, new = "old " * 200_000, "new " * 100_000
    api.put_agents([{"agent_id": "a", "sync_detail": old}])
    fleet = mount(api, ttl=0.2)
    path = fleet / "agents/a/sync_detail"
    with open(path, "rb", buffering=0) as opened:
        assert opened.read(9) == b"old old o"
        api.put_agents([{"agent_id": "a", "sync_detail": new}])
        until(lambda: path.read_bytes() == new.encode() + b"\n")
        assert opened.read(1) == b"l"
        with mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert mapped[:] == old.encode() + b"\n"
        assert os.fstat(opened.fileno()).st_size == len(old) + 1
        api.put_agents([])
        until(lambda: not fleet.agents())
        assert opened.read() == old[10:].encode() + b"\n"


def test_tail_follows_a_value_by_its_name(sim, mount, blocked):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a", "agent_status": "idle"}])
    fleet = mount(api, ttl=0.2)
    tail = blocked("tail", "-n", "+1", "-s", "0.1", "-F", fleet / "agents/a/status").process
    assert tail.stdout.readline() == b"idle\n"
    watchdog = threading.Timer(20, tail.kill)
    watchdog.start()
    for status in ("busy", "syncing", "idle"):
        api.put_agents([{"agent_id": "a", "agent_status": status}])
        assert tail.stdout.readline() == status.encode() + b"\n"
    watchdog.cancel()


def test_a_value_that_did_not_change_stays_the_same_file(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a", "agent_status": "idle", "tool": "comfyui"}])
    fleet = mount(api, ttl=0.2)
    tool, status = fleet / "agents/a/tool", fleet / "agents/a/status"
    before, changing = os.stat(tool), os.stat(status)
    api.put_agents([{"agent_id": "a", "agent_status": "busy", "tool": "comfyui"}])
    until(lambda: status.read_text() == "busy\n")
    after = os.stat(tool)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.stat(status).st_ino != changing.st_ino


def test_pipe_may_be_closed_before_the_end_of_a_file(sim, mount):
    fleet = mount(sim(agents=20), ttl=600)
    command = f"cat {fleet.path}/agents/*/agent.json | head -c 10"
    assert subprocess.run(["bash", "-c", command], capture_output=True).stdout == b'{"agent_id'
