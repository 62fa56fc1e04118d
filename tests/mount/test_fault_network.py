# SPDX-License-Identifier: MIT
"""A network that drops packets, and names that do not resolve (rows 3 and 15 of docs/faults.md). fleetfs
and the server run in a network namespace."""

import ctypes
import os
import re
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from scripted import ask_again, own, took
from harness import code_of, until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to make a network")
CLONE_NEWNET = 0x40000000
HOST = "10.9.9.2"
COLD = {"ttl": 600, "retries": 0, "timeout": 2, "connect_timeout": 1, "delay_connect": True,
        "allow_http": True}


class Network:
    """A network namespace with `lo`, and an interface that drops all packets."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        self.path = f"/proc/{self.holder.pid}/ns/net"
        mine = os.readlink("/proc/self/ns/net")
        until(lambda: os.readlink(self.path) != mine)
        self.prefix = ["nsenter", f"--net={self.path}"]
        self.ip("link", "set", "lo", "up")
        self.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
        self.ip("addr", "add", "10.9.9.1/24", "dev", "v0")
        for name in ("v0", "v1"):
            self.ip("link", "set", name, "up")
        self.ip("neigh", "add", HOST, "lladdr", "02:00:00:00:00:01", "dev", "v0", "nud", "permanent")

    def ip(self, *arguments):
        subprocess.run([*self.prefix, "ip", *arguments], check=True)

    def socket(self, kind, address):
        """A socket in the namespace: it stays in the namespace of the thread that made it."""
        made = []

        def make():
            with open(self.path) as where:
                assert ctypes.CDLL(None).setns(where.fileno(), CLONE_NEWNET) == 0
            made.append(socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
                                      kind))
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        made[0].bind(address)
        return made[0]

    def stop(self):
        self.holder.kill()
        self.holder.wait()


@pytest.fixture
def network(stopping):
    made = Network()
    stopping.append(made)
    return made


@pytest.mark.alone
@pytest.mark.unwrapped
def test_dropped_packets_end_in_a_timeout_and_cached_data_is_served(scripted, mount, network):
    network.ip("addr", "add", f"{HOST}/32", "dev", "lo")
    listener = network.socket(socket.SOCK_STREAM, (HOST, 80))
    listener.listen()
    server = scripted([f"n{i}" for i in range(200)], listener=listener)
    url = f"http://{HOST}/api/v1"
    cold = mount(url, prefix=network.prefix, **COLD)
    warm = mount(url, prefix=network.prefix, **COLD)
    expired = mount(url, prefix=network.prefix, **{**COLD, "ttl": 0.3})
    assert len(expired.agents()) == 200
    assert warm.text("agents/n5/id") == expired.text("agents/n5/id") == "n5\n"
    network.ip("addr", "del", f"{HOST}/32", "dev", "lo")  # now it is beyond the wire
    time.sleep(0.4)

    code, seconds = took(lambda: code_of(cold.agents))
    assert code in ("EHOSTUNREACH", "ETIMEDOUT") and seconds < 2.5
    results = []
    readers = [threading.Thread(target=lambda path=path: results.append(
        took(lambda: code_of(lambda: warm.read(path))))) for path in ("agents/n150/id", "agents/x/id")]
    for reader in readers:
        reader.start()
    text, seconds = took(lambda: [warm.text(f"agents/n{i}/id") for i in range(100)])
    assert text == [f"n{i}\n" for i in range(100)] and seconds < 1
    for reader in readers:
        reader.join()
    assert all(code in ("EHOSTUNREACH", "ETIMEDOUT") for code, _ in results), results
    assert all(seconds < 4 for _, seconds in results)
    text, seconds = took(lambda: expired.text("agents/n5/id"))
    assert text == "n5\n" and seconds < 2.5
    until(lambda: expired.health()["state"] == "stale", seconds=5)

    network.ip("addr", "add", f"{HOST}/32", "dev", "lo")
    until(lambda: code_of(lambda: cold.read("agents/n7/id")) is None)
    until(lambda: len(expired.agents()) == 200 and expired.health()["state"] == "ok")
    assert server.requests >= 3


class Resolver:
    """A name server that never answers, or always answers that the name does not exist."""

    def __init__(self, network, answers):
        words = re.findall(r"^nameserver\s+(\S+)", Path("/etc/resolv.conf").read_text(), re.M)
        address = words[0] if words else "127.0.0.1"
        if not address.startswith("127."):
            network.ip("addr", "add", address + ("/128" if ":" in address else "/32"), "dev", "lo")
        for other in words[1:]:
            if not other.startswith("127."):
                network.ip("addr", "add", other + ("/128" if ":" in other else "/32"), "dev", "lo")
        self.answers = answers
        self.asked = 0
        self.socket = network.socket(socket.SOCK_DGRAM, (address, 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                query, sender = self.socket.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            self.asked += 1
            if self.answers:
                number, flags = struct.unpack("!HH", query[:4])
                flags = 0x8180 | flags & 0x0100 | 3
                self.socket.sendto(struct.pack("!HHHHHH", number, flags, 1, 0, 0, 0)
                                   + query[12:query.index(b"\0", 12) + 5], sender)

    def stop(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(5)
        self.socket.close()


@pytest.mark.alone
@pytest.mark.parametrize("answers", [False, True])
def test_unresolvable_host_delays_no_reader_of_cached_data(mount, network, stopping, answers):
    resolver = Resolver(network, answers)
    stopping.append(resolver)
    fleet = mount("http://fleet.example/api/v1", prefix=network.prefix, **COLD)
    code, seconds = took(lambda: code_of(fleet.agents))
    assert code == "EHOSTUNREACH"
    assert seconds < 2.5
    assert resolver.asked >= 1
    assert own(fleet, "last_error")["kind"] == "unreachable"
    ask_again(fleet)
    reader = threading.Thread(target=lambda: code_of(lambda: fleet.read("agents/a/id")))
    reader.start()
    _, seconds = took(lambda: [os.statvfs(fleet.path), fleet.read(".fleetfs/README"),
                               os.listdir(fleet.path)])
    assert seconds < 1
    reader.join()
    _, seconds = took(fleet.stop)
    assert seconds < 8  # a look-up that is still under way does not keep it
