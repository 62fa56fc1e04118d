# SPDX-License-Identifier: MIT
"""Paths that lead into the mount itself: fleetfs must not wait for itself."""

import os
import signal
import socket
import subprocess

import pytest

from harness import TOKEN, run, until
from test_users import give

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def serves(blocked, fleet):
    """Whether another process can list the agents within seconds."""
    status, output, _ = blocked("ls", fleet / "agents").result(10)
    return status == 0 and len(output.split()) == 3


@pytest.mark.parametrize("part", [".", "agents"])
def test_log_directory_covered_by_the_mount_blocks_nothing(sim, mount, blocked, folder, part):
    logs = folder / "logs"
    logs.mkdir()
    fleet = mount(sim(agents=3), ttl=600, log_file=logs / "fleetfs.log")
    until(lambda: (logs / "fleetfs.log").read_text())
    held = open(logs / "fleetfs.log", encoding="utf-8")
    run("mount", "--bind", fleet / part, logs)
    try:
        fleet.signal(signal.SIGHUP)
        until(lambda: "cannot open" in held.read())
        assert serves(blocked, fleet)
    finally:
        run("umount", "-l", logs)
        held.close()
    fleet.signal(signal.SIGHUP)
    until(lambda: "SIGHUP" in (logs / "fleetfs.log").read_text())
    fleet.signal(signal.SIGTERM)
    fleet.wait_ended()


@pytest.mark.parametrize("part", [".", "agents"])
def test_token_directory_covered_by_the_mount_delays_no_end(sim, mount, folder, part):
    secrets = folder / "secrets"
    secrets.mkdir()
    token = give("root", secrets / "token", TOKEN)
    api = sim(agents=3)
    fleet = mount(api, ttl=0.1, stale=0, timeout=1, token=None, token_file=token)
    run("mount", "--bind", fleet / part, secrets)
    try:
        api.token("sk-rotated")
        fleet.signal(signal.SIGHUP)
        with pytest.raises(OSError):
            until(lambda: not fleet.agents())
        subprocess.run(["cat", fleet / ".fleetfs/health"], check=True, timeout=10,
                       stdout=subprocess.DEVNULL)
        fleet.signal(signal.SIGTERM)
        assert fleet.process.wait(10) == 0
    finally:
        run("umount", "-l", secrets)


def test_a_service_managers_socket_below_the_mount_point_is_used(sim, mount, blocked, folder):
    path = folder / "mnt"
    path.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path / "manager"))
        manager.settimeout(10)
        fleet = mount(sim(agents=3), path=path, variables={"NOTIFY_SOCKET": str(path / "manager")})
        assert manager.recv(100).startswith(b"READY=1\n")
        assert serves(blocked, fleet)
        fleet.unmount()
        assert manager.recv(100).startswith(b"STOPPING=1\n")


class Syslog:
    """A machine's /dev/log that leads to a socket of the test."""

    def __init__(self, machine, directory):
        self.path = directory / "log"
        dev = machine.folder / "dev-with-log"
        dev.mkdir()
        machine.check("mount", "-t", "tmpfs", "-o", "dev", "dev", dev)
        for name, minor in ("null", 3), ("random", 8), ("urandom", 9):
            machine.check("mknod", "-m", "666", dev / name, "c", "1", minor)
        machine.check("mknod", "-m", "666", dev / "fuse", "c", "10", "229")
        machine.check("ln", "-s", self.path, dev / "log")
        machine.check("mount", "--bind", dev, "/dev")
        self.socket = None
        self.restart()

    def restart(self):
        self.close()
        self.path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.path.chmod(0o666)
        self.socket.settimeout(10)

    def wait_for(self, words):
        line = b""
        while words not in line:
            line = self.socket.recv(4096)

    def close(self):
        if self.socket:
            self.socket.close()


def listed(machine, path):
    done = machine.run("timeout", "-s", "KILL", "10", "ls", path / "agents", user="ann")
    return len(done.stdout.split())


@pytest.mark.parametrize("where", ["below", "beside"])
def test_syslog_below_the_mount_point_blocks_nothing(sim, machine, where):
    path = give("ann", machine.folder / "mnt")
    beside = machine.folder / "beside"
    beside.mkdir()
    log = Syslog(machine, path if where == "below" else beside)
    token = give("ann", machine.folder / "token", TOKEN)
    machine.check("fleetfs", "--ttl=600", f"--token_file={token}", sim(agents=3).url, path, user="ann")
    try:
        log.wait_for(b"mounted")
        assert listed(machine, path) == 3
        log.close()
        pid = machine.check("pgrep", "-x", "fleetfs").strip()
        machine.check("kill", "-HUP", pid)
        assert listed(machine, path) == 3
        if where == "beside":  # a syslog daemon that was restarted is found again
            log.restart()
            machine.check("kill", "-HUP", pid)
            log.wait_for(b"SIGHUP")
    finally:
        machine.check("fusermount3", "-u", path, user="ann")
        until(lambda: not machine.running())
        log.close()


def test_a_stopped_reader_while_the_mount_covers_proc_blocks_nothing(sim, machine):
    api, path = sim(agents=3), machine.folder / "mnt"
    path.mkdir()
    api.hold(page=1)
    machine.check("fleetfs", "--delay_connect", "--timeout=600", api.url, path,
                  variables={"FLEETFS_TOKEN": TOKEN})
    command = machine.command("sh", "-c", f"echo $$; exec ls {path}/agents")
    with subprocess.Popen(**command, stdout=subprocess.PIPE) as reader:
        pid = int(reader.stdout.readline())
        until(lambda: api.held() >= 1)
        machine.check("mount", "--bind", path, "/proc")
        try:
            machine.check("kill", "-STOP", pid)
            machine.check("timeout", "-s", "KILL", "5", "cat", path / ".fleetfs/health")
            machine.check("kill", "-CONT", pid)
            api.release()
            assert len(reader.communicate(timeout=10)[0].split()) == 3
        finally:
            machine.run("kill", "-KILL", pid)
            # umount(8) needs /proc.
            machine.check("/usr/bin/python3", "-c",
                          "import ctypes; ctypes.CDLL(None).umount2(b'/proc', 2)")
            machine.check("umount", "-l", path)
    until(lambda: not machine.running())


@pytest.mark.parametrize("path", ["/proc", "/dev", "/etc", "/"])
def test_a_mount_point_that_hides_what_fleetfs_needs_is_refused(sim, machine, path):
    done = machine.run("fleetfs", "--delay_connect", sim(agents=3).url, path,
                       variables={"FLEETFS_TOKEN": TOKEN})
    assert done.returncode == 1 and path in done.stderr and "below" in done.stderr
    assert len(done.stderr.splitlines()) == 1
