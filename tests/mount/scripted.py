# SPDX-License-Identifier: MIT
"""A server that a test controls byte by byte, for responses that no correct HTTP server sends.

`server.answer(wire)` answers each request; the test may replace it at any time. By default it is an API
that works. The server keeps everything that arrives. It uses threads and plain sockets on 127.0.0.1, or
a listening socket that the test made.
"""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import struct
import threading
import time
from pathlib import Path

from harness import until


def page(agents, number=1, per_page=100, total=None):
    """The body of a page. An agent is an ID or a whole object."""
    agents = [{"agent_id": agent} if isinstance(agent, str) else agent for agent in agents]
    return json.dumps({
        "agent_list": agents[(number - 1) * per_page:number * per_page],
        "page_meta": {"current_page": number, "per_page": per_page,
                      "total_count": len(agents) if total is None else total}}).encode()


class Gone(Exception):
    """The connection has ended, from either side."""


class Wire:
    """One connection, from the side of the server."""

    def __init__(self, server, connection):
        self.server = server
        self.socket = connection
        self.head = b""  # of the request at hand
        self.number = 0  # of the page that it asks for
        self.count = 0   # requests on this connection so far
        self.left = b""

    def read_head(self):
        """Returns the next request. Raises Gone when the client has closed the connection."""
        data = self.left
        while b"\r\n\r\n" not in data:
            try:
                more = self.socket.recv(65536)
            except OSError as fault:
                raise Gone from fault
            if not more:
                raise Gone
            self.server.received.extend(more)
            data += more
        self.head, self.left = data.split(b"\r\n\r\n", 1)
        asked = re.search(rb"current_page=(\d+)", self.head)
        self.number = int(asked[1]) if asked else 0
        self.count += 1

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as fault:
            raise Gone from fault

    def reply(self, body, status="200 OK", headers=(), length=None, version="HTTP/1.1"):
        """Sends a response; `length` is the Content-Length that it claims."""
        lines = [f"{version} {status}", "Content-Type: application/json",
                 f"Content-Length: {len(body) if length is None else length}", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def good(self, **how):
        """Sends the response of a working API."""
        self.reply(self.server.page(self.number), **how)

    def trickle(self, data, every):
        """Sends one byte at a time."""
        for at in range(len(data)):
            self.send(data[at:at + 1])
            if self.server.over.wait(every):
                raise Gone

    def flood(self, chunk, most=2 << 30):
        """Sends the bytes again and again until the client closes the connection. Notes how many were
        sent."""
        sent = 0
        while sent < most and not self.server.over.is_set():
            try:
                sent += self.socket.send(chunk)
            except OSError:
                break
        self.server.flooded.append(sent)
        raise Gone

    def stall(self):
        """Sends nothing more until the client closes the connection."""
        with contextlib.suppress(OSError):
            while self.socket.recv(65536):
                pass
        if not self.server.over.is_set():
            self.server.given_up += 1
        raise Gone

    def close(self):
        raise Gone

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone


class Server:
    """As above. `context` makes it a TLS server; `listener` is a socket that already listens."""

    def __init__(self, agents=("a", "b", "c"), context=None, listener=None, port=0, per_page=100):
        self.agents = list(agents)
        self.per_page = per_page
        self.context = context
        self.answer = Wire.good
        self.greet = None           # greet(wire), in place of all the rest
        self.heads = []             # of every request, in the order of arrival
        self.received = bytearray() # every byte (within TLS)
        self.connections = 0
        self.handshakes = []        # None for each that succeeded, the reason for each that failed
        self.given_up = 0           # stalls that the client ended
        self.flooded = []
        self.faults = []            # of a script: a mistake in the test
        self.over = threading.Event()
        self.sockets = set()
        self.threads = []
        self.lock = threading.Lock()
        self.listener = listener or socket.create_server(("127.0.0.1", port))
        self.host, self.port = self.listener.getsockname()[:2]
        self.url = f"http{'s' if context else ''}://{self.host}:{self.port}/api/v1"
        self.run(self.accept)

    def page(self, number):
        return page(self.agents, number, self.per_page)

    @property
    def requests(self):
        return len(self.heads)

    def run(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while not self.over.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.sockets.add(connection)
            self.run(self.serve, connection)

    def serve(self, connection):
        wire = Wire(self, connection)
        try:
            if self.greet:
                self.greet(wire)
            if self.context and not self.shake_hands(wire):
                return
            while True:
                wire.read_head()
                with self.lock:
                    self.heads.append(wire.head)
                self.answer(wire)
        except Gone:
            pass
        except Exception as fault:  # told at the end
            self.faults.append(repr(fault))
        finally:
            with self.lock:
                self.sockets.discard(connection)
                wire.socket.close()

    def shake_hands(self, wire):
        try:
            wire.socket.settimeout(10)
            wire.socket = self.context.wrap_socket(wire.socket, server_side=True)
            wire.socket.settimeout(None)
        except (ssl.SSLError, OSError) as fault:
            self.handshakes.append(str(fault) or "closed")
            return False
        with self.lock:
            self.sockets.add(wire.socket)
        self.handshakes.append(None)
        return True

    def close_connections(self):
        with self.lock:
            for connection in self.sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.over.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.close_connections()
        for thread in self.threads:
            thread.join(10)
        assert not self.faults, self.faults


# What the tests of faults share

def ask_again(fleet):
    """Makes the next access request data, however fresh the data or the failure is. The kernel forgets
    the directories of the root one after the other; each then has another inode."""
    def folders():
        return {entry.name: os.stat(entry.path).st_ino for entry in os.scandir(fleet.path)
                if entry.is_dir()}
    before, heard = folders(), fleet.output().count("SIGHUP")
    fleet.signal(signal.SIGHUP)
    until(lambda: fleet.output().count("SIGHUP") > heard)
    until(lambda: not any(before[name] == number for name, number in folders().items()))


def own(fleet, path):
    """The values of a file of .fleetfs/, which the kernel caches for a moment."""
    time.sleep(0.15)
    return fleet.values(f".fleetfs/{path}")


def took(action):
    """Returns the result, and how long it took."""
    began = time.monotonic()
    result = action()
    return result, time.monotonic() - began


def peak_mib(fleet):
    """The peak memory of the daemon."""
    status = Path(f"/proc/{fleet.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
