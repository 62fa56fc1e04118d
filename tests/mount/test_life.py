# SPDX-License-Identifier: MIT
"""The life of a mount: signals, unmounting, crashes, waiting readers, the background."""

import contextlib
import errno
import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import TOKEN, counted, counts, mounts, suspicious, until

STATUS_FILES = ("README", "version", "config", "health", "stats", "metrics.prom", "last_error")


@pytest.fixture
def clean_s(instrumented):
    """The limit for "within 2 s"; the search for leaks takes time, too."""
    return 6 if instrumented else 2


def stalled(sim, mount, blocked, reader=True, **options):
    """A mount with page 2 in the cache and page 1 under way, and a reader that waits for it."""
    api = sim(agents=200)
    ids = [agent["agent_id"] for agent in api.agents()]
    fleet = mount(api, **{"ttl": 600, "timeout": 60, "delay_connect": True, **options})
    api.hold(page=1)
    cat = blocked("cat", fleet / "agents" / ids[0] / "status")
    until(lambda: api.held() >= 1)
    return api, ids, fleet, cat


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_unmounts_while_a_fetch_is_in_flight(sim, mount, blocked, clean_s, number):
    _, _, fleet, cat = stalled(sim, mount, blocked)
    began = time.monotonic()
    fleet.signal(number)
    fleet.wait_ended()
    assert time.monotonic() - began < clean_s
    status, _, errors = cat.result()
    assert status == 1 and b"cat: " in errors


@pytest.mark.alone
def test_signal_unmounts_with_open_files_and_a_shell_inside(sim, mount, blocked, clean_s):
    api = sim(agents=5)
    fleet = mount(api, ttl=600)
    where = fleet / "agents" / api.agents()[0]["agent_id"]
    inside = blocked("bash", "-c", 'cd "$0"; exec 3<status; echo in; exec sleep 60', where)
    assert inside.process.stdout.readline() == b"in\n"
    began = time.monotonic()
    fleet.signal(signal.SIGTERM)
    fleet.wait_ended()
    assert time.monotonic() - began < clean_s


@pytest.mark.alone
@pytest.mark.parametrize("command", [["fusermount3", "-u"], ["umount"], ["umount", "-l"],
                                     ["fusermount3", "-uz"]])
def test_unmounting_ends_fleetfs_while_a_fetch_is_in_flight(sim, mount, blocked, clean_s, command):
    _, _, fleet, cat = stalled(sim, mount, blocked)
    cat.end(signal.SIGINT)
    began = time.monotonic()
    subprocess.run([*command, fleet.path], check=True)
    fleet.wait_ended()
    assert time.monotonic() - began < clean_s


def test_a_lazy_unmount_lets_the_readers_finish(sim, mount, blocked):
    api, ids, fleet, cat = stalled(sim, mount, blocked)
    subprocess.run(["umount", "-l", fleet.path], check=True)
    assert not fleet.mounted() and fleet.process.poll() is None
    api.release()
    status, output, errors = cat.result()
    assert status == 0, errors
    assert output.decode().strip() == api.agents()[0]["agent_status"]
    fleet.wait_ended()


def test_busy_mount_is_not_unmounted_and_continues(sim, mount):
    fleet = mount(sim(agents=5), ttl=600)
    with open(fleet / ".fleetfs/version"):
        done = subprocess.run(["fusermount3", "-u", fleet.path], capture_output=True, check=False)
        assert done.returncode != 0
    assert len(fleet.agents()) == 5
    fleet.unmount()


def test_sighup_makes_the_next_access_fetch_afresh(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a", "agent_status": "old"}])
    fleet = mount(api, ttl=600)
    assert fleet.text("agents/a/status") == "old\n"
    assert fleet.agents() == ["a"]
    # What is in use the kernel does not let go of: a file, and a working folder.
    held = os.open(fleet / "agents/a/status", os.O_RDONLY)
    inside = os.open(fleet / "agents/a", os.O_RDONLY)
    api.put_agents([{"agent_id": "a", "agent_status": "new"}, {"agent_id": "b"}])
    api.reset()
    fleet.signal(signal.SIGHUP)
    until(lambda: fleet.text("agents/a/status") == "new\n", seconds=5)
    assert sorted(fleet.agents()) == ["a", "b"]
    assert api.requests() == 1
    assert os.read(held, 100) == b"old\n"
    assert "status" in os.listdir(inside)
    os.close(held)
    os.close(inside)


def test_sighup_reads_the_token_again(sim, mount, folder):
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN + "\n")
    api = sim(agents=3)
    fleet = mount(api, ttl=0.2, token=None, token_file=token)
    assert len(fleet.agents()) == 3
    token.write_text("sk-rotated\n")
    api.token("sk-rotated")
    fleet.signal(signal.SIGHUP)
    time.sleep(0.3)
    api.reset()
    assert len(fleet.agents()) == 3
    assert api.stats()["status"].get("401", 0) == 0


@pytest.mark.parametrize("looked", [False, True])
def test_dead_mount_of_a_crash_is_replaced(sim, mount, looked):
    api = sim(agents=5)
    fleet = mount(api, ttl=600)
    fleet.agents()
    if looked:  # then the kernel remembers what it looked like
        os.stat(fleet.path)
    fleet.kill()
    with pytest.raises(OSError) as caught:
        os.listdir(fleet.path)
    assert caught.value.errno == errno.ENOTCONN
    again = mount(api, path=fleet.path, ttl=600)
    assert len(again.agents()) == 5
    again.unmount()
    assert os.listdir(fleet.path) == []


@pytest.mark.parametrize("command", [["true"], ["ls"], ["cat", "README"]])
def test_auto_unmount_removes_the_mount_of_a_crash(sim, mount, command):
    """Whatever the kernel has cached of the tree."""
    fleet = mount(sim(agents=5), ttl=600, auto_unmount=True)
    subprocess.run(command, cwd=fleet.path, check=True, stdout=subprocess.DEVNULL)
    os.listdir(fleet / "agents")
    fleet.kill()
    until(lambda: not fleet.mounted())
    assert os.listdir(fleet.path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_auto_unmount_removes_the_mount_of_a_process_that_ends_slowly(sim, mount):
    """fusermount3 looks once, when its socket to the process closes. The connection must have ended by then."""
    fleet = mount(sim(agents=5), ttl=600, auto_unmount=True)
    os.listdir(fleet / "agents")
    helper = int(Path(f"/proc/{fleet.pid}/task/{fleet.pid}/children").read_text())
    processor = {min(os.sched_getaffinity(0))}
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as busy:
        for pid in busy.pid, helper, *map(int, os.listdir(f"/proc/{fleet.pid}/task")):
            os.sched_setaffinity(pid, processor)
        for thread in os.listdir(f"/proc/{fleet.pid}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_IDLE, os.sched_param(0))
        os.sched_setscheduler(helper, os.SCHED_FIFO, os.sched_param(1))
        fleet.signal(signal.SIGKILL)
        until(lambda: not Path(f"/proc/{helper}").exists())
        busy.kill()
    fleet.kill()
    assert not fleet.mounted()


# Readers that wait

@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_waiting_reader_is_killed_at_once(sim, mount, blocked, number):
    api, _, fleet, cat = stalled(sim, mount, blocked)
    took, status = cat.end(number)
    assert status == -number and took < 0.1, took
    assert api.held() == 1  # what it waited for goes on
    assert int(fleet.values(".fleetfs/stats")["interrupts"]) >= 1


@pytest.mark.alone
@pytest.mark.parametrize("path", ["agents", "agents/nobody", "agents/nobody/status"])
def test_reader_that_waits_in_any_operation_is_killed_at_once(sim, mount, blocked, path):
    api = sim(agents=200)
    fleet = mount(api, ttl=600, timeout=60, delay_connect=True)
    api.hold()
    for command in ("ls", "stat", "cat", "find"):
        reader = blocked(command, fleet / path)
        until(lambda: api.held() == 1)
        time.sleep(0.1)  # so that it is in there; if it is not yet, it still has to die
        if command == "stat" and path == "agents":
            reader.result()  # needs no page
            continue
        if command == "cat" and path == "agents":
            reader.result()
            continue
        took, status = reader.end(signal.SIGKILL)
        assert status == -signal.SIGKILL and took < 0.1, (command, took)


@pytest.mark.alone
def test_interrupted_reader_does_not_cancel_the_page_for_others(sim, mount, blocked):
    api, ids, fleet, cat = stalled(sim, mount, blocked)
    # Each another name: the kernel asks once for one name, and lets nobody else who waits for it go.
    others = [blocked("cat", fleet / "agents" / name / "id") for name in ids[1:6]]
    time.sleep(0.2)
    assert cat.end(signal.SIGKILL)[0] < 0.1
    assert others[0].end(signal.SIGINT)[0] < 0.1
    api.release()
    for name, other in zip(ids[2:6], others[1:]):
        assert other.result()[:2] == (0, name.encode() + b"\n")
    assert api.pages()[1] == 1


@pytest.mark.alone
def test_stalled_page_does_not_delay_cached_reads(sim, mount, blocked):
    api = sim(agents=300)
    ids = [agent["agent_id"] for agent in api.agents()]
    fleet = mount(api, ttl=600, timeout=60)
    assert fleet.text(f"agents/{ids[0]}/id") == ids[0] + "\n"
    api.hold()
    readers = [blocked("cat", fleet / "agents" / ids[position] / "id") for position in (150, 250)]
    readers.append(blocked("ls", fleet / "agents"))
    until(lambda: api.held() >= 1)
    for name in ids[:100]:
        began = time.monotonic()
        assert fleet.text(f"agents/{name}/id") == name + "\n"
        os.listdir(fleet / "agents" / name / "gpus")
        assert time.monotonic() - began < 0.1
    assert all(reader.running() for reader in readers)
    api.release()
    assert all(reader.result()[0] == 0 for reader in readers)


@pytest.mark.alone
def test_df_and_status_files_never_wait(sim, mount, blocked):
    api = sim(agents=300)
    fleet = mount(api, ttl=600, timeout=60, delay_connect=True)
    api.hold()
    reader = blocked("ls", fleet / "agents")
    until(lambda: api.held() >= 1)
    began = time.monotonic()
    for _ in range(20):
        assert {".fleetfs", "agents", "fleet", "tasks"} <= set(os.listdir(fleet.path))
        assert os.statvfs(fleet.path).f_blocks == 0
        fleet.read("README")
        for name in STATUS_FILES:
            fleet.read(f".fleetfs/{name}")
    assert time.monotonic() - began < 1
    subprocess.run(["df", fleet.path], check=True, stdout=subprocess.DEVNULL, timeout=2)
    subprocess.run(["mountpoint", "-q", fleet.path], check=True, timeout=2)
    assert reader.running()


# About itself

def test_the_readme_shows_the_tree_in_a_screenful(sim, mount):
    fleet = mount(sim(agents=3, churn=0), ttl=600)
    lines = fleet.text("README").splitlines()
    assert len(lines) <= 36 and max(map(len, lines)) < 80
    words = set(re.split(r"[^\w.<>-]+", fleet.text("README")))
    agent = fleet.path / "agents" / fleet.agents()[0]
    for folder in (fleet.path, fleet / "fleet", agent, agent / "gpus/0", fleet / ".fleetfs"):
        assert set(os.listdir(folder)) <= words, folder
    assert "where/status=idle/label=a100" in fleet.text("README")
    assert fleet.read("README") == fleet.read(".fleetfs/README")


def test_status_files_have_their_contents(sim, mount):
    api = sim(agents=250)
    fleet = mount(api, ttl=7.5, per_page=50)
    assert len(fleet.agents()) == 250
    assert sorted(os.listdir(fleet / ".fleetfs")) == sorted(STATUS_FILES)
    version = fleet.text(".fleetfs/version")
    assert all(word in version for word in ("fleetfs 0.", "libfuse 3.", "libcurl", "cJSON"))
    config = fleet.values(".fleetfs/config")
    assert config["source"] == api.url and config["ttl"] == "7.5" and config["per_page"] == "50"
    health = fleet.health()
    assert health["state"] == "ok" and health["agents"] == "250" and health["verified"] == "yes"
    assert list(health) == ["state", "agents", "pages", "list_age", "last_success", "last_sweep",
                            "verified", "token_expiry", "next_refresh"]
    stats = fleet.values(".fleetfs/stats")
    assert {"bytes", "pages_arrived", "agents", "hits", "coalesced", "duplicates",
            "failed_server"} <= set(stats)
    assert int(stats["requests"]) == api.requests() == 5
    assert fleet.read(".fleetfs/last_error") == b""
    for name in os.listdir(fleet / ".fleetfs"):
        assert os.stat(fleet / ".fleetfs" / name).st_size == len(fleet.read(f".fleetfs/{name}"))


def test_stats_count_what_happened(sim, mount, blocked):
    api = sim(agents=250)
    fleet = mount(api, ttl=600, retries=0)
    api.hold(2)
    readers = [blocked("ls", fleet / path) for path in ("by-status", "by-label", "tasks")]
    until(lambda: api.held() == 1)
    until(lambda: counts(fleet)["coalesced"] == 2)
    api.release(2)
    assert all(reader.result()[0] == 0 for reader in readers)
    stats = counts(fleet)
    assert stats["agents"] == 250 and stats["pages_arrived"] == 3
    assert stats["requests"] == api.requests()
    assert 0 < stats["bytes"] - api.stats()["bytes"] < 3000  # those of the headers
    _, cost = counted(fleet, lambda: fleet.text("fleet/agents.tsv"))
    assert cost["hits"] > 0 and cost["requests"] == 0
    fleet.signal(signal.SIGHUP)
    until(lambda: "SIGHUP" in fleet.output())
    api.fail(503, times=1)
    with contextlib.suppress(OSError):
        fleet.text("fleet/summary")
    assert counts(fleet)["failed_server"] == stats["failed_server"] + 1


def test_token_is_in_no_file_log_or_argument(sim, mount, programs, folder):
    token = "sk-n0b0dy-should-ever-see-this"
    api = sim(agents=20)
    api.token(token)
    file = folder / "token"
    file.touch(mode=0o600)
    file.write_text(token)
    log = folder / "fleetfs-token.log"
    mounts_of = [mount(api, token=token, ttl=0.2, log_file=log),
                 mount(api, token=None, token_file=file, ttl=0.2)]
    for fleet in mounts_of:
        fleet.agents()
        api.token("another")  # so that errors speak of credentials, too
        time.sleep(0.3)
        for _ in range(3):
            try:
                fleet.agents()
            except OSError:
                pass
        for where, _, names in os.walk(fleet.path):
            for name in names:
                try:
                    content = open(os.path.join(where, name), "rb").read()
                except OSError:
                    continue
                assert token.encode() not in content, name
        assert token.encode() not in open(f"/proc/{fleet.pid}/cmdline", "rb").read()
        assert "401" in fleet.text(".fleetfs/last_error")
        assert token not in fleet.output()
        api.token(token)
    assert token not in log.read_text()


# In the background

def in_background(path):
    """The PID of the fleetfs that serves this mount point."""
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
            names = [os.path.basename(word) for word in words]
            if b"fleetfs" in names and os.fsencode(path) in words:
                return int(entry)
    return None


@pytest.fixture
def daemon(fleetfs, folder, started):
    """daemon(url, …): mounts in the background."""
    path = folder / "mnt"
    path.mkdir()

    def start(*arguments, **options):
        done = fleetfs(*arguments, path, **options)
        assert done.returncode == 0 and not done.stderr and not done.stdout, done.stderr
        assert mounts().get(str(path)) == "fuse.fleetfs", "not mounted when the parent ended"
        return path, in_background(path)
    yield start
    if str(path) in mounts():
        subprocess.run(["umount", "-l", path], check=False)
    pid = in_background(path)
    if pid:
        os.kill(pid, signal.SIGKILL)
    assert not pid, "left in the background"
    reports = suspicious(folder)
    assert not reports, reports


def end(path, pid):
    watch = os.pidfd_open(pid)
    subprocess.run(["fusermount3", "-u", path], check=True)
    assert select.select([watch], [], [], 10)[0], "still running"
    os.close(watch)


def test_background_start_returns_once_mounted(sim, daemon):
    api = sim(agents=250)
    api.delay(300)
    began = time.monotonic()
    path, pid = daemon(api.url, "--ttl=600")
    assert time.monotonic() - began >= 0.3  # page 1 came first
    api.delay(0)
    assert len(os.listdir(path / "agents")) == 250
    assert os.getsid(pid) == pid
    if os.geteuid() == 0:  # its owner may not look into the process
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
    end(path, pid)


def test_relative_paths_of_a_background_start_are_those_of_the_shell(sim, daemon, folder):
    here = folder / "here"
    here.mkdir()
    (here / "token").touch(mode=0o600)
    (here / "token").write_text(TOKEN)
    api = sim(agents=3)
    path, pid = daemon("--token_file=token", "--log_file", "fleetfs.log", "-o", "ttl=0.1", api.url,
                       token=None, cwd=here)
    assert len(os.listdir(path / "agents")) == 3
    (here / "token").write_text("sk-rotated")
    api.token("sk-rotated")
    time.sleep(0.2)
    assert len(os.listdir(path / "agents")) == 3
    end(path, pid)
    log = (here / "fleetfs.log").read_text().splitlines()
    assert log and all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \w+: ", line)
                       for line in log), log
    assert oct(os.stat(here / "fleetfs.log").st_mode & 0o777) == "0o600"


def test_the_log_is_opened_again_after_it_was_rotated(sim, mount, folder):
    log = folder / "fleetfs-rotating.log"
    fleet = mount(sim(agents=3), ttl=600, log_file=log)
    until(lambda: log.exists() and log.read_text())
    log.rename(folder / "rotated")
    fleet.signal(signal.SIGHUP)
    until(log.exists)
