# SPDX-License-Identifier: MIT
"""Connections that fail while new ones work: they go silent without an error, because a NAT or a
failover forgot them or the server never answers on them, or every stream on them is reset (row 47 of
docs/faults.md)."""

import contextlib
import os
import socket
import time

import pytest

from harness import at_once, code_of, until
from scripted import Wire, own, took
from test_fault_network import HOST, Network
from test_fault_tls import Http2, frame, http2_server

TIMEOUT = 3
OPTIONS = {"ttl": 0.3, "stale": 0, "timeout": TIMEOUT, "connect_timeout": 1, "allow_http": True}
AGENTS = [f"n{i}" for i in range(600)]
PAGES = [f"agents/n{i}/id" for i in range(50, 600, 100)]  # an agent of each page


class Pages(Http2):
    """Answers the pages in the order of the requests, then `number`."""

    def __init__(self):
        super().__init__(refuse=0)
        self.pages = []
        self.number = 1
        self.silent = lambda wire: None

    def answer(self, wire, stream):
        self.requests += 1
        self.silent(wire)
        body = wire.server.page(self.pages.pop(0) if self.pages else self.number)
        wire.send(frame(1, 4, stream, b"\x88") + frame(0, 1, stream, body))


def server_of_pages(scripted, certificates, agents, **options):
    spoken = Pages()
    return http2_server(scripted, certificates, spoken, agents, **options), spoken


def read_all(fleet, paths):
    """Reads the files at the same time; returns the errno of each, or None."""
    codes = at_once([lambda path=path: code_of(lambda: fleet.read(path)) for path in paths])
    return dict(zip(paths, codes))


def warm(fleet, server):
    """Lists the fleet on several connections, which stay open; returns the client's ports."""
    assert len(fleet.agents()) == len(server.agents)
    if not server.context:
        time.sleep(OPTIONS["ttl"])
        read_all(fleet, PAGES)
    with server.lock:
        return {wire.getpeername()[1] for wire in server.sockets if wire.fileno() >= 0}


@pytest.fixture
def network(stopping):
    if os.getuid() != 0:
        pytest.skip("needs root to make a network")
    made = Network()
    stopping.append(made)
    made.ip("addr", "add", f"{HOST}/32", "dev", "lo")
    return made


def forget(network, ports):
    """From now on packets of these connections are dropped without an error."""
    network.ip("rule", "add", "pref", "1", "lookup", "local")
    network.ip("rule", "del", "pref", "0")
    for port in ports:
        for end in ("sport", "dport"):
            network.ip("rule", "add", "pref", "0", "ipproto", "tcp", end, str(port), "blackhole")


@pytest.mark.alone
@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_connections_that_a_nat_forgot_are_replaced_within_the_operation(scripted, mount, certificates,
                                                                         network, http2):
    listener = network.socket(socket.SOCK_STREAM, ("127.0.0.1" if http2 else HOST, 443))
    listener.listen(64)
    options = {**OPTIONS, "timeout": 5}
    if http2:
        server, spoken = server_of_pages(scripted, certificates, AGENTS[:200], listener=listener)
        spoken.pages = [1, 2]
        options["cacert"] = certificates / "ca.pem"
    else:
        server = scripted(AGENTS, listener=listener)
        server.answer = lambda wire: (time.sleep(0.1), wire.good())
    fleet = mount(server, prefix=network.prefix, **options)
    ports = warm(fleet, server)
    assert len(ports) == 1 if http2 else len(ports) >= 4
    if http2:
        spoken.number = 1
    time.sleep(2 * OPTIONS["ttl"])

    forget(network, ports)
    code, seconds = took(lambda: code_of(lambda: fleet.read(PAGES[0])))
    assert code is None and seconds < 4
    # Only one operation had to find out.
    server.answer = Wire.good
    if http2:
        spoken.pages = [1, 2]
    results = [took(lambda path=path: code_of(lambda: fleet.read(path)))
               for path in ([] if http2 else PAGES)]
    assert all(code is None and seconds < 0.9 for code, seconds in results), results


@pytest.mark.alone
@pytest.mark.parametrize("stall", ["silent", "midway"])
@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_after_a_timeout_no_older_connection_is_used_again(scripted, mount, certificates, http2, stall):
    options = dict(OPTIONS)
    if http2:
        server, spoken = server_of_pages(scripted, certificates, AGENTS[:200])
        spoken.pages = [1, 2]
        options["cacert"] = certificates / "ca.pem"
    else:
        server = scripted(AGENTS)
        server.answer = lambda wire: (time.sleep(0.1), wire.good())
    fleet = mount(server, **options)
    old = warm(fleet, server)
    paths = PAGES[:2] if http2 else PAGES

    def peer(wire):
        with contextlib.suppress(OSError):
            return wire.socket.getpeername()[1]

    def answer(wire):
        if peer(wire) in old:
            if stall == "midway":
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{")
            wire.stall()
        wire.good()

    def silent(wire):
        if peer(wire) in old:
            if stall == "midway":
                wire.send(frame(1, 4, 2 * spoken.requests - 1, b"\x88"))
            wire.stall()
    if http2:
        spoken.silent = silent
    server.answer = answer
    time.sleep(2 * OPTIONS["ttl"])
    codes, seconds = took(lambda: read_all(fleet, paths))
    # Over HTTP/1.1 a request may have had a new connection. Over HTTP/2 one waits until the first shows
    # whether its connection works.
    assert {"ETIMEDOUT"} <= set(codes.values()) <= {"ETIMEDOUT", *([] if http2 else [None])}
    assert seconds < TIMEOUT + 1
    connections = server.connections

    def again():
        for path in paths:
            if http2:
                spoken.number = 1 + paths.index(path)
            if code_of(lambda path=path: fleet.read(path)):
                return False
        return True
    _, seconds = took(lambda: until(again))
    assert seconds < 2.5  # the hold after a failure is a second
    assert server.connections > connections
    assert own(fleet, "health")["state"] == "ok"


@pytest.mark.parametrize("fault", [1, 2, 5, 8, 11, 12, "midway", "status"])
def test_connection_that_resets_its_streams_is_replaced(scripted, mount, certificates, fault):
    """RST_STREAM with this code: at once, within a body of status 200, or within that of an error."""
    class Old(Http2):
        def __init__(self):
            super().__init__(refuse=0)
            self.broken = set()

        def answer(self, wire, stream):
            if wire not in self.broken:
                super().answer(wire, stream)
                return
            if fault == "midway":
                wire.send(frame(1, 4, stream, b"\x88") + frame(0, 0, stream, b"{"))
            if fault == "status":  # 500
                wire.send(frame(1, 4, stream, b"\x8e") + frame(0, 0, stream, b"{"))
            code = fault if isinstance(fault, int) else 2
            wire.send(frame(3, 0, stream, code.to_bytes(4, "big")))
    spoken, wires = Old(), []
    server = http2_server(scripted, certificates, spoken, ["a", "b"])
    shake_hands = server.shake_hands
    server.shake_hands = lambda wire: (wires.append(wire), shake_hands(wire))[1]
    fleet = mount(server, cacert=certificates / "ca.pem", **{**OPTIONS, "retries": 0})
    assert sorted(fleet.agents()) == ["a", "b"]
    spoken.broken = set(wires)
    connections = server.connections
    until(lambda: code_of(fleet.agents) == "EREMOTEIO", seconds=3)
    until(lambda: code_of(fleet.agents) is None, seconds=5)
    assert server.connections == connections + 1


def test_connection_that_starts_no_stream_is_replaced(scripted, mount, certificates):
    """The first connection gets through TLS and no further."""
    server, spoken = server_of_pages(scripted, certificates, ["a", "b"])
    fresh = Pages.__call__

    def talk(self, wire):
        if wire.server.connections == 1:
            wire.stall()
        fresh(self, wire)
    spoken.__class__ = type("Late", (Pages,), {"__call__": talk})
    fleet = mount(server, cacert=certificates / "ca.pem",
                  **{**OPTIONS, "timeout": 1.5, "delay_connect": True})
    assert code_of(fleet.agents) == "ETIMEDOUT"
    _, seconds = took(lambda: until(lambda: code_of(fleet.agents) is None))
    assert seconds < 2.5
    assert sorted(fleet.agents()) == ["a", "b"]


def test_a_request_on_a_healthy_connection_survives_the_timeout_of_another(scripted, mount):
    """Its response arrives although another request times out meanwhile."""
    server = scripted(AGENTS[:300])
    server.answer = lambda wire: (time.sleep(0.1), wire.good())
    fleet = mount(server, **{**OPTIONS, "ttl": 600, "timeout": 2, "delay_connect": True})
    seen = []

    def answer(wire):
        seen.append(wire.number)
        if wire.number == 2 and seen.count(2) == 1:
            wire.stall()
        if wire.number == 3 and seen.count(3) == 1:
            body = wire.server.page(3)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            wire.send(body[:10])
            time.sleep(1.6)
            wire.send(body[10:])
        else:
            wire.good()
    server.answer = answer
    code_of(fleet.agents)
    until(lambda: code_of(fleet.agents) is None)
    assert len(fleet.agents()) == 300
    assert seen.count(3) == 1, seen
