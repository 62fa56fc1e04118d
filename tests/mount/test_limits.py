# SPDX-License-Identifier: MIT
"""Tests of each limit that the manual states in LIMITS."""

import ctypes
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import Mount, code_of, die_with_parent, run, until

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")

IN_ALL_CHANGES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
TTL = 0.2


@pytest.fixture
def libc():
    return ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def fleet(sim, mount):
    api = sim(agents=3)
    mounted = mount(api, ttl=TTL)
    mounted.api = api
    mounted.first, mounted.second = (agent["agent_id"] for agent in api.agents()[:2])
    return mounted


def change_status(fleet, status):
    """Changes the status of the first agent, and waits until the mount shows it."""
    fleet.api.change(0, agent_status=status)
    until(lambda: fleet.text(f"agents/{fleet.first}/status") == f"{status}\n")


def other_status(fleet):
    """A status that the first agent does not have."""
    return "idle" if fleet.text(f"agents/{fleet.first}/status") == "busy\n" else "busy"


# Following changes

def test_inotify_reports_no_change(fleet, libc):
    watches = ["agents", f"agents/{fleet.first}", f"agents/{fleet.first}/status", "by-status", "fleet",
               "fleet/events.log"]
    queue = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fleet.read("fleet/events.log")
        fleet.agents()
        for watch in watches:
            assert libc.inotify_add_watch(queue, str(fleet / watch).encode(), IN_ALL_CHANGES) > 0
        change_status(fleet, other_status(fleet))
        fleet.api.remove_agent(2)
        until(lambda: len(fleet.agents()) == 2)
        until(lambda: b"\tleft\t" in fleet.read("fleet/events.log"))
        with pytest.raises(BlockingIOError):
            os.read(queue, 4096)
    finally:
        os.close(queue)


def test_tail_f_keeps_the_old_value_and_tail_F_follows(fleet, stopping):
    path = str(fleet / f"agents/{fleet.first}/status")
    before, after = fleet.text(f"agents/{fleet.first}/status"), other_status(fleet)
    polling = ("-n", "1", "-s", "0.1", "--max-unchanged-stats=1")
    followers = [subprocess.Popen(["tail", *polling, how, path], stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
                 for how in ("-f", "-F")]
    try:
        for follower in followers:
            assert follower.stdout.readline() == before
        change_status(fleet, after)
        assert followers[1].stdout.readline() == f"{after}\n"
    finally:
        for follower in followers:
            follower.kill()
        rest = followers[0].communicate()[0]
        followers[1].communicate()
    assert rest == ""


# Identity of files

def test_equal_files_share_an_inode_number_but_are_no_hard_links(sim, mount, folder):
    api = sim(agents=3)
    fleet = mount(api, ttl=600)  # tar fails if the time of the directory moves, as it does after a ttl
    paths = [fleet / f"agents/{agent['agent_id']}/tool" for agent in api.agents()[:2]]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    first, second = map(os.stat, paths)
    assert first.st_ino == second.st_ino and first.st_nlink == second.st_nlink == 1
    for number, copy in enumerate((["cp", "-a"], ["rsync", "-aH"])):
        made = folder / f"copy-{number}"
        run(*copy, f"{fleet.path}/agents", made)
        tools = list(made.rglob("tool"))
        assert len({os.stat(tool).st_ino for tool in tools}) == len(tools) == 3
    archive = subprocess.run(["tar", "-C", fleet.path, "-cf", "-", "agents"],
                             check=True, capture_output=True).stdout
    listed = subprocess.run(["tar", "-tvf", "-"], input=archive, check=True, capture_output=True)
    assert b"link to" not in listed.stdout


def test_an_agent_that_leaves_during_a_copy_is_missing_and_the_list_as_a_file_is_whole(fleet):
    """cp and tar read the names of a directory first, and then what is in it."""
    names = fleet.agents()
    with open(fleet / "fleet/agents.json", encoding="utf-8") as whole:
        fleet.api.remove_agent(2)
        until(lambda: len(fleet.agents()) == 2)
        left, = set(names) - set(fleet.agents())
        assert code_of(lambda: fleet.read(f"agents/{left}/status")) == "ENOENT"
        listed = {agent["agent_id"] for agent in json.load(whole)["agent_list"]}
        assert listed == set(names), "an open file stays as it was"


class FileHandle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("handle", ctypes.c_ubyte * 128)]


@needs_root
@pytest.mark.once
@pytest.mark.alone  # drops the caches of the machine, which would disturb other tests
def test_a_file_handle_does_not_outlive_the_kernels_memory_of_the_file(fleet, libc):
    """An NFS server keeps such handles, and its clients get ESTALE."""
    handle, mount_id = FileHandle(128), ctypes.c_int()
    path = f"agents/{fleet.first}/status"
    fleet.read(path)
    assert libc.name_to_handle_at(-100, str(fleet / path).encode(), ctypes.byref(handle),
                                  ctypes.byref(mount_id), 0) == 0
    root = os.open(fleet.path, os.O_RDONLY)

    def is_stale():
        Path("/proc/sys/vm/drop_caches").write_text("2")
        opened = libc.open_by_handle_at(root, ctypes.byref(handle), os.O_RDONLY)
        if opened >= 0:
            os.close(opened)
        return opened < 0 and os.strerror(ctypes.get_errno()) == "Stale file handle"
    try:
        change_status(fleet, other_status(fleet))
        until(is_stale)
    finally:
        os.close(root)


@needs_root
def test_an_overlay_on_top_fails_as_soon_as_a_value_changes(fleet, folder):
    for name in ("lower", "overlay"):
        (folder / name).mkdir()
    path = f"agents/{fleet.first}/status"
    run("mount", "-t", "overlay", "-o", f"ro,lowerdir={fleet.path}:{folder}/lower", "overlay",
        folder / "overlay")
    try:
        assert (folder / "overlay" / path).read_text() == fleet.text(path)
        change_status(fleet, other_status(fleet))
        with pytest.raises(OSError, match="Stale file handle"):
            (folder / "overlay" / path).read_text()
    finally:
        run("umount", folder / "overlay")


# Containers

@needs_root
def test_a_bind_mount_of_the_parent_with_rslave_survives_a_restart(sim, programs, folder, stopping):
    """A bind mount of the mount point itself is dead after a restart."""
    host, inside = folder / "host", folder / "inside"
    for path in (host, inside):
        path.mkdir()
    run("mount", "-t", "tmpfs", "host", host)
    run("mount", "--make-shared", host)
    (host / "fleet").mkdir()
    (inside / "parent").mkdir()
    (inside / "itself").mkdir()
    api = sim()

    def start():
        stopping.append(Mount(programs["fleetfs"], folder, api.url, path=host / "fleet"))
        return stopping[-1]
    start()
    container = subprocess.Popen(
        ["unshare", "--mount", "--propagation=slave", "sh", "-c",
         f"mount --rbind {host} {inside}/parent && mount --make-rslave {inside}/parent && "
         f"mount --bind {host}/fleet {inside}/itself && mount --make-private {inside}/itself && "
         "echo ready && exec sleep 60"],
        stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    try:
        assert container.stdout.readline() == "ready\n"

        def enter(*command):
            return subprocess.run(["nsenter", f"--mount=/proc/{container.pid}/ns/mnt",
                                   f"--root=/proc/{container.pid}/root", *command],
                                  capture_output=True, text=True)
        for path in ("parent/fleet/agents", "itself/agents"):
            assert len(enter("ls", inside / path).stdout.split()) == 42
        stopping[-1].kill()
        start()
        assert len(enter("ls", inside / "parent/fleet/agents").stdout.split()) == 42
        # statfs, since the kernel may still list the dead mount from its own memory.
        assert "not connected" in enter("stat", "-f", inside / "itself").stderr
    finally:
        container.kill()
        container.communicate()


# Times, sizes, look-ups

def test_times_count_from_the_mount_for_what_the_first_sweep_found(fleet):
    def found(*conditions):
        return run("find", fleet / "agents", "-name", "status", *conditions).splitlines()
    assert len(found("-mmin", "-1")) == 3, "nothing changed, but the mount is young"
    assert found("-newer", fleet / ".fleetfs/README") == []
    change_status(fleet, other_status(fleet))
    assert found("-newer", fleet / ".fleetfs/README") == [
        str(fleet / f"agents/{fleet.first}/status")]


def test_df_shows_zeroes_for_the_mount(fleet):
    """Without operands df leaves out a file system without blocks. That is not tested, since df then
    queries every mount of the machine."""
    assert run("df", "-P", fleet.path).splitlines()[1].split()[1:4] == ["0", "0", "0"]
    assert os.statvfs(fleet.path).f_blocks == 0


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_the_git_command_of_a_shell_prompt_costs_no_request_within_the_ttl(sim, mount):
    api = sim(agents=3)
    fleet = mount(api, ttl=600)
    agent = fleet.agents()[0]
    before = api.requests()
    done = subprocess.run(["git", "-C", fleet / f"agents/{agent}", "status"],
                          capture_output=True, text=True)
    assert done.returncode == 128 and "not a git repository" in done.stderr
    assert api.requests() == before
