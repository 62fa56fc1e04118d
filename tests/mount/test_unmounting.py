# SPDX-License-Identifier: MIT
"""Which mount is unmounted at the end, and which is mounted at the start, beside other mounts, as root
and as an ordinary user."""

import ctypes
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import TOKEN, at_once, environment, is_dead, mounts, run, unpacked, until
from test_users import give

UMOUNT2 = {"x86_64": "166 ", "aarch64": "39 "}.get(os.uname().machine, "?")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def start_all(start, count):
    """Starts several at once; returns their exit statuses and messages."""
    results = at_once([start] * count)
    return sorted(done.returncode for done in results), [done.stderr for done in results]


def ended_with_mount_left(fleet):
    """Ends a mount that cannot be unmounted: its exit status and its messages."""
    fleet.signal(signal.SIGTERM)
    fleet.ended = True
    return fleet.process.wait(15), fleet.output()


@pytest.mark.alone  # beside other tests the kernel gives the ID to a mount of theirs
def test_a_new_mount_in_the_same_place_outlives_the_one_that_was_unmounted(sim, mount):
    """The kernel gives the new mount the ID and the device number of the one that is gone."""
    api = sim(agents=3)
    before = mount(api, ttl=600)
    before.signal(signal.SIGSTOP)
    # umount(8) would ask the stopped process first.
    assert ctypes.CDLL(None).umount2(os.fsencode(before.path), 0) == 0
    after = mount(api, ttl=600, path=before.path)
    before.signal(signal.SIGCONT)
    before.ended = True
    assert before.process.wait(15) == 0
    assert len(after.agents()) == 3


@pytest.mark.alone  # beside other tests the kernel gives the numbers to mounts of theirs
@pytest.mark.parametrize("bound", [False, True])
def test_a_new_mount_with_its_device_number_is_not_reported(sim, mount, folder, bound):
    """With bound, the new mount also has the ID of the one that is gone, and a bind mount."""
    fleet = mount(sim(agents=3), ttl=600)
    new, bind = folder / "new", folder / "bind"
    new.mkdir()
    bind.mkdir()
    fleet.signal(signal.SIGSTOP)
    assert ctypes.CDLL(None).umount2(os.fsencode(fleet.path), 0) == 0
    if not bound:
        run("mount", "--bind", folder, bind)
    run("mount", "-t", "tmpfs", "none", new)
    if bound:
        run("mount", "--bind", new, bind)
    try:
        fleet.signal(signal.SIGCONT)
        fleet.wait_ended()
        assert "left at" not in fleet.output()
    finally:
        run("umount", bind)
        run("umount", new)


@pytest.mark.parametrize("count", [1, 2])
def test_bind_mounts_keep_it_serving_until_the_last_is_unmounted(sim, mount, folder, count):
    fleet = mount(sim(agents=3), ttl=600)
    others = [folder / f"other-{number}" for number in range(count)]
    for other in others:
        other.mkdir()
        run("mount", "--bind", fleet.path, other)
    run("umount", fleet.path)
    for other in others:
        assert len(os.listdir(other / "agents")) == 3
        run("umount", other)
    fleet.wait_ended()


def test_a_bind_mount_that_is_left_is_reported(sim, mount, folder):
    fleet = mount(sim(agents=3), ttl=600)
    other = folder / "other"
    other.mkdir()
    run("mount", "--bind", fleet / "agents", other)
    fleet.signal(signal.SIGTERM)
    fleet.wait_ended()
    assert f"left at {other}" in fleet.output()
    run("umount", other)


def test_a_copy_that_the_kernel_unmounts_with_it_is_not_reported(programs, sim, mount, folder):
    """A shared bind mount of the parent directory has a copy of every mount below it."""
    room, copy = folder / "room", folder / "copy"
    room.mkdir()
    copy.mkdir()
    run("mount", "-t", "tmpfs", "none", room)
    run("mount", "--make-shared", room)
    try:
        run("mount", "--bind", room, copy)
        (room / "mnt").mkdir()
        fleet = mount(sim(agents=3), ttl=600, path=room / "mnt")
        assert len(os.listdir(copy / "mnt/agents")) == 3
        fleet.signal(signal.SIGTERM)
        fleet.wait_ended()
        assert sorted(mounts(folder)) == [str(copy), str(room)]
        assert "left at" not in fleet.output()
    finally:
        run("umount", "-l", copy)
        run("umount", "-l", room)


@pytest.mark.parametrize("where", [".", ".."])
def test_a_file_system_on_top_is_named_and_kept(sim, mount, folder, where):
    """On the mount point, or on its parent directory."""
    path = folder / "parent" / "mnt"
    path.mkdir(parents=True)
    fleet = mount(sim(agents=3), ttl=600, path=path)
    top = path if where == "." else path.parent
    run("mount", "-t", "tmpfs", "precious", top)
    try:
        (top / "kept").write_text("x")
        status, output = ended_with_mount_left(fleet)
        assert status == 1
        assert f"cannot unmount {path}: a file system of type tmpfs (precious) is mounted over it at {top};" \
            in output
        assert "unmount that file system first" in output
        assert (top / "kept").read_text() == "x"
    finally:
        run("umount", top)
    assert is_dead(path)
    run("fusermount3", "-uz", path)
    assert not mounts(path)


@pytest.mark.unwrapped
def test_a_file_system_that_is_mounted_on_top_during_the_start_is_kept(programs, sim, folder, path, instrumented):
    if instrumented:
        pytest.skip("the sanitizers do not work under strace")
    log = folder / "log"
    with open(log, "wb") as stderr:
        process = subprocess.Popen([unpacked("strace"), "-D", "-f", "-qq", "-o", folder / "trace",
                                    "-e", "trace=mount", "-e", "inject=mount:delay_exit=500000:when=1",
                                    programs["fleetfs"], "-f", sim(agents=3).url, path],
                                   env=environment(folder), stderr=stderr)
    until(lambda: mounts(path))
    # mount(8) would wait for the file system below, which does not answer yet.
    assert ctypes.CDLL(None).mount(b"precious", os.fsencode(path), b"tmpfs", 0, None) == 0
    (path / "kept").write_text("x")
    until(lambda: "fleetfs: mounted" in log.read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 1
    assert "(precious) is mounted over it" in log.read_text()
    assert (path / "kept").read_text() == "x"
    run("umount", path)
    run("fusermount3", "-uz", path)


@pytest.mark.parametrize("count", [1, 3])
def test_bind_mounts_of_it_on_top_are_unmounted_with_it(sim, mount, count):
    fleet = mount(sim(agents=3), ttl=600)
    for _ in range(count):
        run("mount", "--bind", fleet.path, fleet.path)
    fleet.signal(signal.SIGTERM)
    fleet.wait_ended()
    assert "another file system" not in fleet.output() and "left at" not in fleet.output()


@pytest.mark.parametrize("count", [1, 2])
def test_bind_mounts_that_replaced_it_are_unmounted(sim, mount, folder, count):
    """The mount was unmounted while a bind mount of it existed elsewhere, and came back from there."""
    fleet = mount(sim(agents=3), ttl=600)
    other = folder / "other"
    other.mkdir()
    run("mount", "--bind", fleet.path, other)
    run("umount", fleet.path)
    for _ in range(count):
        run("mount", "--bind", other, fleet.path)
    run("umount", other)
    assert len(fleet.agents()) == 3
    fleet.signal(signal.SIGTERM)
    fleet.wait_ended()
    assert "left at" not in fleet.output()


@pytest.mark.parametrize("count", [1, 2])
def test_a_bind_mount_that_is_left_is_reported_although_others_replaced_it(sim, mount, folder, count):
    """One of those in its place existed before it was unmounted, so the kernel has not given it the same ID."""
    room = folder / "room"
    path, other, moved = room / "mnt", room / "other", room / "moved"
    room.mkdir()
    run("mount", "-t", "tmpfs", "none", room)
    run("mount", "--make-private", room)  # else nothing can be moved
    try:
        for directory in path, other, moved:
            directory.mkdir()
        fleet = mount(sim(agents=3), ttl=600, path=path)
        run("mount", "--bind", path, other)
        run("mount", "--bind", path, moved)
        run("umount", path)
        run("mount", "--move", moved, path)
        for _ in range(count - 1):
            run("mount", "--bind", other, path)
        fleet.signal(signal.SIGTERM)
        fleet.wait_ended()
        assert sorted(mounts(folder)) == [str(room), str(other)]
        assert f"left at {other}" in fleet.output()
    finally:
        run("umount", "-l", room)


@pytest.mark.parametrize("part", [".", "agents"])
def test_bind_mounts_on_top_of_an_ordinary_users_mount_are_unmounted_with_it(machine, sim, part):
    path, token = give("ann", machine.folder / "mnt"), give("ann", machine.folder / "token", TOKEN)
    machine.fuse_conf.write_text("user_allow_other\n")
    machine.check("fleetfs", "--allow_other", f"--token_file={token}", sim(agents=3).url, path, user="ann")
    for _ in range(2):
        machine.check("mount", "--bind", path / part, path)
        part = "."
    machine.check("pkill", "-TERM", "-x", "fleetfs", user="ann")
    until(lambda: not machine.running())
    assert str(path) not in machine.check("cat", "/proc/self/mountinfo")


@pytest.mark.parametrize("part", ["agents/{agent}", "agents/{agent}/status", "fleet"])
def test_a_file_system_inside_is_named_and_kept(sim, mount, folder, part):
    fleet = mount(sim(agents=3), ttl=600)
    inside = fleet / part.format(agent=fleet.agents()[0])
    if inside.is_dir():
        run("mount", "-t", "tmpfs", "precious", inside)
        kept = inside / "kept"
        kept.write_text("x")
    else:
        (folder / "file").write_text("x")
        run("mount", "--bind", folder / "file", inside)
        kept = inside
    try:
        status, output = ended_with_mount_left(fleet)
        assert status == 1
        assert f"is mounted inside it at {inside} and would be lost" in output
        assert kept.read_text() == "x"
        run("umount", inside)
    finally:
        run("fusermount3", "-uz", fleet.path)
    assert not mounts(fleet.path)


def test_file_systems_inside_outlive_the_freeing_of_reports(sim, mount):
    """The kernel detaches what is mounted below an entry that is invalidated."""
    fleet = mount(sim(agents=50), ttl=1)
    inside = [fleet / "where", fleet / "fleet"]
    for directory in inside:
        run("mount", "-t", "tmpfs", "precious", directory)
        (directory / "kept").write_text("x")

    def nodes():
        return int(fleet.values(".fleetfs/stats")["nodes"])

    try:
        for _ in range(2):  # the first invalidation has ended when the second begins
            run("ls", "-lR", fleet / "by-status")
            until(lambda: nodes() > 50)
            until(lambda: nodes() < 25)
        for directory in inside:
            assert (directory / "kept").read_text() == "x"
    finally:
        for directory in inside:
            subprocess.run(["umount", directory], check=False)


def test_a_file_system_inside_a_bind_mount_on_top_is_kept(sim, mount):
    fleet = mount(sim(agents=3), ttl=600)
    run("mount", "--bind", fleet.path, fleet.path)
    run("mount", "-t", "tmpfs", "precious", fleet / "fleet")
    run("mount", "-t", "tmpfs", "second", fleet / "tasks")
    try:
        (fleet / "fleet/kept").write_text("x")
        status, output = ended_with_mount_left(fleet)
        assert status == 1 and "(precious) is mounted inside it" in output and "and 1 more" in output
        assert (fleet / "fleet/kept").read_text() == "x"
    finally:
        while mounts(fleet.path):
            run("umount", "-l", fleet.path)


@pytest.mark.unwrapped
def test_it_unmounts_without_a_free_descriptor(sim, mount, instrumented):
    if instrumented:
        pytest.skip("the sanitizers open files at the end")
    fleet = mount(sim(agents=3), ttl=600)
    assert len(fleet.agents()) == 3
    resource.prlimit(fleet.pid, resource.RLIMIT_NOFILE, (3, 3))
    fleet.signal(signal.SIGTERM)
    fleet.wait_ended()
    assert f"unmounted {fleet.path}" in fleet.output()


def test_an_ordinary_users_mount_is_unmounted_when_all_descriptors_are_in_use(machine, sim):
    """The limit is the number of descriptors in use. fusermount3 gets few of them."""
    path, token = give("ann", machine.folder / "mnt"), give("ann", machine.folder / "token", TOKEN)
    machine.check("fleetfs", f"--token_file={token}", sim(agents=3).url, path, user="ann")
    pid = machine.check("pgrep", "-x", "fleetfs").strip()
    used = max(map(int, machine.check("ls", f"/proc/{pid}/fd").split())) + 1
    machine.check("prlimit", f"--pid={pid}", f"--nofile={used}:{used}", user="ann")
    machine.check("kill", pid, user="ann")
    until(lambda: not machine.running())
    assert str(path) not in machine.check("cat", "/proc/self/mountinfo")


def test_an_ordinary_users_busy_mount_point_is_refused_from_the_directory_below_it(machine, sim):
    api = sim(agents=3)
    path, token = give("ann", machine.folder / "mnt"), give("ann", machine.folder / "token", TOKEN)
    script = ('cd "$2" && fleetfs --token_file="$0" "$1" "$2" && '
              'for path in . ./ /proc/self/cwd; do fleetfs --token_file="$0" "$1" $path && exit 1; done; :')
    done = machine.run("sh", "-c", script, token, api.url, path, user="ann")
    assert done.returncode == 0 and done.stderr.count("is busy") == 3, done.stderr
    done = machine.run("fleetfs", api.url, path, variables={"FLEETFS_TOKEN": TOKEN})
    assert done.returncode == 1 and "is busy" in done.stderr, done.stderr  # root may not read it
    machine.check("fusermount3", "-u", path, user="ann")
    until(lambda: not machine.running())


def test_of_many_starts_at_once_on_a_dead_mount_point_exactly_one_mounts(fleetfs, sim, mount):
    api = sim(agents=3)
    for _ in range(3):
        fleet = mount(api, ttl=600)
        fleet.kill()
        assert is_dead(fleet.path)
        statuses, messages = start_all(lambda: fleetfs(api.url, fleet.path), 8)
        assert statuses == [0] + [1] * 7, messages
        assert len(os.listdir(fleet / "agents")) == 3
        run("fusermount3", "-u", fleet.path)


def test_a_start_through_another_path_of_a_busy_mount_point_is_refused(refused, fleetfs, sim, mount, folder):
    """The kernel would copy its mount below the first one."""
    room, copy, private = folder / "room", folder / "with space", folder / "private"
    for directory in room, copy, private:
        directory.mkdir()
    run("mount", "-t", "tmpfs", "none", room)
    run("mount", "--make-shared", room)
    try:
        (room / "in" / "mnt").mkdir(parents=True)
        api = sim(agents=3)
        fleet = mount(api, ttl=600, path=room / "in" / "mnt")
        run("mount", "--bind", room / "in", copy)  # not recursive
        run("mount", "--bind", room, private)
        run("mount", "--make-private", private)
        line = refused(api.url, copy / "mnt")
        assert f"mount point {copy}/mnt is busy" in line and f"fusermount3 -u {fleet.path}" in line
        assert fleetfs(api.url, private / "in/mnt").returncode == 0  # nothing is copied from there
        run("fusermount3", "-u", private / "in/mnt")
        assert len(fleet.agents()) == 3
        fleet.unmount()
        assert fleetfs(api.url, copy / "mnt").returncode == 0
        assert len(os.listdir(fleet / "agents")) == 3
        run("fusermount3", "-u", copy / "mnt")
    finally:
        for directory in copy, private, room:
            run("umount", "-l", directory)


@pytest.mark.unwrapped
def test_a_start_that_is_slow_to_detach_a_dead_mount_leaves_the_new_one_alone(fleetfs, programs, sim,
                                                                              mount, instrumented):
    if instrumented:
        pytest.skip("the sanitizers do not work under strace")
    strace = unpacked("strace")
    api = sim(agents=3)
    fleet = mount(api, ttl=600)
    fleet.kill()
    slow = subprocess.Popen([strace, "-D", "-f", "-qq", "-o", fleet.folder / "trace",
                             "-e", "trace=umount2", "-e", "inject=umount2:delay_enter=500000:when=1",
                             programs["fleetfs"], api.url, fleet.path],
                            env=environment(fleet.folder), stderr=subprocess.DEVNULL)
    until(lambda: any((thread / "syscall").read_text().startswith(UMOUNT2)
                      for thread in Path("/proc", str(slow.pid), "task").iterdir()))
    other = fleetfs(api.url, fleet.path)
    assert sorted([other.returncode, slow.wait(20)]) == [0, 1]
    assert len(os.listdir(fleet / "agents")) == 3
    run("fusermount3", "-u", fleet.path)
    assert not mounts(fleet.path)


def test_an_ordinary_users_starts_at_once_on_a_dead_mount_point(machine, sim):
    api = sim(agents=3)
    path, token = give("ann", machine.folder / "mnt"), give("ann", machine.folder / "token", TOKEN)

    def start():
        return machine.run("fleetfs", f"--token_file={token}", api.url, path, user="ann")
    assert start().returncode == 0
    for _ in range(3):
        machine.check("pkill", "-KILL", "-x", "fleetfs")
        until(lambda: not machine.running())
        statuses, messages = start_all(start, 8)
        assert statuses == [0] + [1] * 7, messages
        assert len(machine.check("ls", path / "agents", user="ann").split()) == 3
    machine.check("fusermount3", "-u", path, user="ann")
    until(lambda: not machine.running())


def test_an_ordinary_users_dead_mount_is_detached_although_sigchld_is_ignored(machine, sim):
    path, token = give("ann", machine.folder / "mnt"), give("ann", machine.folder / "token", TOKEN)
    start = ["sh", "-c", 'trap "" CHLD; exec fleetfs "$@"', "sh", f"--token_file={token}", sim(agents=3).url, path]
    machine.check(*start, user="ann")
    machine.check("pkill", "-KILL", "-x", "fleetfs")
    until(lambda: not machine.running())
    machine.check(*start, user="ann")
    assert len(machine.check("ls", path / "agents", user="ann").split()) == 3
    machine.check("fusermount3", "-u", path, user="ann")
    until(lambda: not machine.running())


def test_an_ordinary_users_mount_does_not_take_the_next_one_away(machine, sim):
    api = sim(agents=3)
    path, token = give("ann", machine.folder / "mnt"), give("ann", machine.folder / "token", TOKEN)
    start = ["fleetfs", f"--token_file={token}", api.url, path]
    machine.check(*start, user="ann")
    first = machine.check("pgrep", "-x", "fleetfs").strip()
    inside = subprocess.Popen(**machine.command("env", "-C", path / "agents", "sleep", "60", user="ann"))
    until(lambda: machine.run("pgrep", "-x", "sleep", user="ann").returncode == 0)
    machine.check("fusermount3", "-uz", path, user="ann")
    machine.check(*start, user="ann")
    machine.check("kill", first, user="ann")
    until(lambda: machine.run("sh", "-c", 'case $(ps -o stat= "$0") in [!Z]*) exit 1; esac',
                              first).returncode == 0)
    assert len(machine.check("ls", path / "agents", user="ann").split()) == 3
    inside.kill()
    inside.wait()
    machine.check("fusermount3", "-u", path, user="ann")
    until(lambda: not machine.running())


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize("umount", ["exit 1", "exec sleep 60"])
def test_a_fusermount_that_hangs_delays_no_end(machine, sim, umount):
    path, token = give("ann", machine.folder / "mnt"), give("ann", machine.folder / "token", TOKEN)
    log = give("ann", machine.folder / "log", "")
    machine.check("fleetfs", f"--token_file={token}", f"--log_file={log}", sim(agents=3).url, path, user="ann")
    program(machine.folder / "bin/fusermount3", "#!/bin/sh\nexec sleep 60\n")
    program(machine.folder / "bin/umount", f"#!/bin/sh\n{umount}\n")
    began = time.monotonic()
    machine.check("pkill", "-TERM", "-x", "fleetfs", user="ann")
    until(lambda: not machine.running())
    assert time.monotonic() - began < 10  # fusermount3 would end after 60 s
    assert f"cannot unmount {path}: fusermount3 or umount did not end within 2 s" in log.read_text()
    assert "sleep 60" not in machine.check("ps", "-u", "ann", "-o", "args=")  # a zombie has no arguments
    # The next start says the same, and works as soon as fusermount3 does.
    done = machine.run("fleetfs", f"--token_file={token}", sim(agents=3).url, path, user="ann")
    assert done.returncode == 1 and "did not end within 2 s" in done.stderr
    (machine.folder / "bin/fusermount3").unlink()
    machine.check("fleetfs", f"--token_file={token}", sim(agents=3).url, path, user="ann")
    machine.check("fusermount3", "-u", path, user="ann")
    until(lambda: not machine.running())


@pytest.mark.parametrize("text,words", [
    ("#!/bin/sh\nexec sleep 60\n", "no response within 5 s from fusermount3"),
    ("#!/bin/sh\nexit 0\n", "start with -d"),
    ("#!/bin/sh\nexit 7\n", "start with -d"),
    ("#!/bin/sh\nprintf 'fusermount3: odd\\n\\n\\n' >&2\nexit 1\n", "odd"),
    ("#!/bin/sh\nprintf '\\033[31m\\377: %2000d' 1 >&2\nkill -9 $$\n", "cannot mount on"),
    ("#!/bin/sh\nyes fusermount3: no >&2\n", "cannot mount on"),
    ("#!/bin/sh\necho 'fusermount3: mount failed: Permission denied' >&2\nexit 1\n", "AppArmor"),
    ("#!/bin/sh\necho 'fusermount3: mount failed: Operation not permitted' >&2\nexit 1\n", "setuid root"),
    ("#!/nonexistent\n", "the package fuse3"),
    ("", "the package fuse3"),
])
def test_an_odd_fusermount_is_a_failed_start(machine, sim, text, words):
    path, token = give("ann", machine.folder / "mnt"), give("ann", machine.folder / "token", TOKEN)
    machine.own("/usr/bin/fusermount3", text).chmod(0o755 if text else 0o644)
    for foreground in ["-f"], []:
        done = machine.run("timeout", "20", "fleetfs", *foreground, f"--token_file={token}", sim(agents=3).url, path,
                           user="ann")
        assert done.returncode == 1 and words in done.stderr, done
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("fleetfs: ") and "\x1b" not in lines[0], lines
        assert str(path) not in machine.check("cat", "/proc/self/mountinfo")
        assert not machine.running()


def test_an_ordinary_users_mount_whose_parent_was_renamed_is_unmounted(machine, sim):
    parent, token = give("ann", machine.folder / "before"), give("ann", machine.folder / "token", TOKEN)
    path = give("ann", parent / "mnt")
    machine.check("fleetfs", f"--token_file={token}", sim(agents=3).url, path, user="ann")
    parent.rename(machine.folder / "after")
    machine.check("pkill", "-TERM", "-x", "fleetfs", user="ann")
    until(lambda: not machine.running())
    assert str(machine.folder / "after") not in machine.check("cat", "/proc/self/mountinfo")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_start_that_is_interrupted_mounts_nothing(programs, sim, folder, path, number):
    """In the background: the signal ends the process that the user started."""
    api = sim(agents=3)
    api.hold()
    process = subprocess.Popen([programs["fleetfs"], "--timeout=60", api.url, path],
                               env=environment(folder), stderr=subprocess.DEVNULL)
    until(lambda: api.held() == 1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(number)
    assert process.wait(10) == -number
    until(lambda: not any(Path("/proc", child).exists() for child in children), seconds=5)
    assert not mounts(path)
