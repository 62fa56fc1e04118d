# SPDX-License-Identifier: MIT
"""Faults of the machine: clocks that jump, no free descriptors or threads, a log that blocks, programs
that read everything (rows 24, 30, 31, 33 and 34 of docs/faults.md)."""

import itertools
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness import TOKEN, code_of, copy_program, environment, until
from scripted import ask_again, own, took

root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")

# Row 24

CLOCKS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Adds to the clocks what a file says: two numbers, for the wall clock and for time suspended. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	char text[64] = "";
	char *end;
	long wall, suspended;
	int fd = open(getenv("CLOCKS"), O_RDONLY | O_CLOEXEC);

	if (!real)
		real = dlsym(RTLD_NEXT, "clock_gettime");
	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = 0;
		close(fd);
	}
	wall = strtol(text, &end, 10);
	suspended = strtol(end, NULL, 10);
	if (real(clock, now) != 0)
		return -1;
	if (clock == CLOCK_REALTIME)
		now->tv_sec += wall + suspended;
	if (clock == CLOCK_BOOTTIME)
		now->tv_sec += suspended;
	return 0;
}
"""


@pytest.mark.alone
@pytest.mark.parametrize("years", [10, -10])
def test_clock_jump_expires_nothing_and_suspend_does(scripted, mount, folder, years, instrumented):
    if instrumented or not shutil.which("cc"):
        pytest.skip("needs a program that takes another library before it, and a compiler")
    (folder / "clocks.c").write_text(CLOCKS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "clocks.so", folder / "clocks.c"],
                   check=True)
    clocks = folder / "clocks"

    def jump(wall, suspended):
        (folder / "clocks.new").write_text(f"{wall} {suspended}")
        (folder / "clocks.new").rename(clocks)
    jump(0, 0)
    server = scripted([{"agent_id": "a", "agent_status": "old"}])
    variables = {"LD_PRELOAD": str(folder / "clocks.so"), "CLOCKS": str(clocks)}
    fleet = mount(server, ttl=3, retries=0, variables=variables)
    assert fleet.text("agents/a/status") == "old\n"
    server.agents = [{"agent_id": "a", "agent_status": "new"}]
    began = time.monotonic()
    jump(years * 31556952, 0)
    while time.monotonic() - began < 2:
        assert fleet.text("agents/a/status") == "old\n"
        fleet.agents()
        time.sleep(0.05)
    assert server.requests == 1
    until(lambda: fleet.text("agents/a/status") == "new\n", seconds=3)
    assert server.requests == 2
    # The time of a value is that of the wall, as it is now.
    assert abs(os.stat(fleet / "agents/a/status").st_mtime - time.time() - years * 31556952) < 60
    jump(years * 31556952, 100000)
    before = server.requests
    until(lambda: fleet.agents() == ["a"] and server.requests > before)  # names outlast it a moment
    assert own(fleet, "health")["state"] == "ok"


# Row 30

def limit_files(pid, soft):
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def leave_no_file(pid):
    """Lowers the limit of descriptors to those in use. Waits until none is open for a moment only, since
    its number would be free again."""
    def first_free():
        held = set(map(int, os.listdir(f"/proc/{pid}/fd")))
        return next(number for number in itertools.count() if number not in held)

    def is_settled():
        number = first_free()
        limit_files(pid, number)
        time.sleep(0.2)
        return first_free() == number

    until(is_settled)


@pytest.mark.alone
@pytest.mark.unwrapped
@root
def test_read_without_free_descriptors_fails_and_recovers(scripted, mount):
    server = scripted()
    fleet = mount(server, ttl=600, retries=0, timeout=2, delay_connect=True)
    usual, _ = resource.prlimit(fleet.pid, resource.RLIMIT_NOFILE)
    leave_no_file(fleet.pid)
    for _ in range(3):
        ask_again(fleet)
        code, seconds = took(lambda: code_of(fleet.agents))
        assert code in ("EHOSTUNREACH", "ETIMEDOUT", "ENOMEM", "EREMOTEIO") and seconds < 4
        assert own(fleet, "last_error")["message"]
    assert server.requests == 0
    limit_files(fleet.pid, usual)
    until(lambda: code_of(fleet.agents) is None)
    assert sorted(fleet.agents()) == ["a", "b", "c"]


def test_start_with_too_few_descriptors_gives_the_reason(programs, scripted, folder, instrumented):
    if instrumented:
        pytest.skip("the sanitizers need descriptors of their own")
    server, path = scripted(), folder / "mnt"
    path.mkdir()
    statuses = set()
    for most in range(3, 14):
        done = subprocess.run(
            ["prlimit", f"--nofile={most}:{most}", programs["fleetfs"], server.url, path],
            env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=30)
        statuses.add(done.returncode)
        if done.returncode == 0:
            subprocess.run(["fusermount3", "-u", path], check=True)
            break
        assert done.returncode in (1, 127), (most, done)  # 127: not even its libraries
        assert done.stderr, most
    assert 1 in statuses


@root
def test_start_without_a_second_thread_fails_with_the_reason(programs, scripted, folder, instrumented):
    if instrumented:
        pytest.skip("the sanitizers need threads of their own")
    server, path = scripted(), folder / "theirs"
    path.mkdir()
    os.chown(path, 65533, 65533)
    done = subprocess.run(
        ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", "prlimit", "--nproc=1:1",
         copy_program(programs["fleetfs"], folder), "-f", server.url, path],
        env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("fleetfs: "), done.stderr
    assert "ulimit -u" in done.stderr
    assert server.requests == 0


# Row 31

def noisy(server, fleet, times):
    """Makes fleetfs write to its log repeatedly."""
    for _ in range(times):
        fleet.signal(signal.SIGHUP)
        os.statvfs(fleet.path)
        assert len(fleet.agents()) == 3


def test_full_pipe_as_log_blocks_nothing(programs, scripted, folder, started, stopping):
    """stderr is a pipe that is full."""
    server, path = scripted(), folder / "mnt"
    path.mkdir()
    read_end, write_end = os.pipe()
    process = subprocess.Popen([programs["fleetfs"], "-f", "--ttl=0.1", server.url, path],
                               env=environment(folder), stdin=subprocess.DEVNULL, stderr=write_end)
    try:
        until(lambda: os.path.exists(path / "agents"))
        os.set_blocking(write_end, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(write_end, b"x" * 4096)
        os.set_blocking(write_end, True)

        def read():
            for _ in range(200):
                process.send_signal(signal.SIGHUP)
                assert sorted(os.listdir(path / "agents")) == ["a", "b", "c"]
        _, seconds = took(read)
        assert seconds < 20
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
            subprocess.run(["umount", "-l", path], check=False)
        os.close(read_end)
        os.close(write_end)


@root
def test_log_on_a_full_disk_blocks_nothing(scripted, mount, folder):
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", disk], check=True)
    try:
        log = disk / "fleetfs.log"
        server = scripted()
        fleet = mount(server, ttl=0.1, log_file=log)
        until(lambda: log.exists() and log.read_bytes())
        with open(disk / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
            while True:
                filler.write(b"x" * 4096)

        def is_full():  # signals may come late, and together
            noisy(server, fleet, 20)
            return log.stat().st_size == 4096
        until(is_full)
        noisy(server, fleet, 20)
        ask = log.stat().st_size
        (disk / "filler").unlink()

        def told():
            noisy(server, fleet, 3)
            return log.stat().st_size > ask and b"lines dropped" in log.read_bytes()
        until(told)
        fleet.stop()
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


# Row 33


@pytest.mark.unwrapped
@root
def test_token_is_neither_in_proc_nor_in_status_files_nor_in_a_core_dump(scripted, mount, instrumented):
    server = scripted()
    fleet = mount(server, ttl=0.1, prefix=["prlimit", "--core=unlimited"])
    fleet.agents()
    for name in ("cmdline", "environ"):
        assert TOKEN.encode() not in Path(f"/proc/{fleet.pid}/{name}").read_bytes(), name
    for name in os.listdir(fleet / ".fleetfs"):
        assert TOKEN.encode() not in fleet.read(f".fleetfs/{name}"), name
    assert TOKEN not in fleet.output()
    assert all(b"Authorization: Bearer " + TOKEN.encode() in head for head in server.heads)
    if instrumented:
        return
    # What is not dumpable belongs to root in /proc, and leaves no core.
    fleet.ended = True
    fleet.signal(signal.SIGABRT)
    _, status = os.waitpid(fleet.pid, 0)
    fleet.process.returncode = -signal.SIGABRT
    assert os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)
    subprocess.run(["umount", "-l", fleet.path], check=True)


# Row 34

def test_programs_that_read_everything_cost_one_sweep(sim, mount):
    api = sim(agents=420)
    fleet = mount(api, ttl=600)
    for command in (["rg", "--hidden", "--no-messages", "NVIDIA", "."], ["grep", "-r", "busy", "."],
                    ["du", "-s", "."], ["find", ".", "-type", "f"], ["ls", "-lR", "."],
                    ["find", ".", "-xdev", "-printf", "%p %T@\n"],  # as updatedb walks
                    ["tar", "-cf", "/dev/null", "agents"]):
        if shutil.which(command[0]):
            done = subprocess.run(command, cwd=fleet.path, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, timeout=60)
            assert done.returncode == 0, (command, done.stderr)
    assert api.requests() == 5
    assert api.pages() == {number: 1 for number in range(1, 6)}
