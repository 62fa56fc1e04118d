# SPDX-License-Identifier: MIT
"""The shared cache of contrib/cache for tests: the real programs, between mounts and a simulator behind
TLS."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import urllib.parse
from pathlib import Path

from harness import HERE, UNPACKED, die_with_parent, run, until, unpacked

CONTRIB = HERE.parent.parent / "contrib/cache"

# The API as the world sees it: TLS, and of each token or team its own simulator.
ORIGIN = """
global
	maxconn 2000
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend api
	bind 127.0.0.1:{port} ssl crt {certificate} alpn h2,http/1.1
	capture request header host len 100
	log stdout format raw local0
	log-format "%[ssl_fc_sni] %[capture.req.hdr(0)]"
{rules}	default_backend sim0
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# Varnish compiles its configuration when it starts. With the optimization of its default command that takes more
# than a second of processor time.
COMPILE = "exec cc -O0 -pthread -fpic -shared -o %o %s"


def programs_of(folder):
    """A PATH that contains haproxy and varnishd, installed or unpacked."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("haproxy", "varnishd", "varnishstat"):
        path = unpacked(name)
        options = f"-p cc_command='{COMPILE}'" if name == "varnishd" else ""
        if str(UNPACKED) in path and name == "varnishd":
            options += f" -p vmod_path={next((UNPACKED / 'usr/lib').glob('*/varnish/vmods'))}"
        (programs / name).write_text(f'#!/bin/sh\nexec {path} {options} "$@"\n')
        (programs / name).chmod(0o755)
    return f"{programs}:{os.environ['PATH']}"


class Service:
    """A process in the foreground that listens on a port."""

    def __init__(self, folder, name, port, command, certificates=None, **variables):
        self.port, self.certificates = port, certificates
        self.log = folder / f"{name}-{len(list(folder.glob(f'{name}-*.log')))}.log"
        self.environment = {**os.environ, "PATH": programs_of(folder), **variables}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment, preexec_fn=die_with_parent)
        try:
            until(self.is_ready, seconds=60)
        except BaseException:
            self.process.terminate()
            self.process.wait()
            raise

    def is_ready(self):
        return self.listens()

    def listens(self):
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


class Origin(Service):
    """TLS in front of simulators. The first gets all requests that no rule, {condition of haproxy:
    another}, sends elsewhere."""

    def __init__(self, folder, certificate, sim, others=None):
        port, rules, backends = free_port(), "", ""
        for i, (condition, one) in enumerate([(None, sim), *(others or {}).items()]):
            rules += f"\tuse_backend sim{i} if {condition}\n" if condition else ""
            backends += f"backend sim{i}\n\tserver sim {urllib.parse.urlsplit(one.url).netloc}\n"
        config = folder / f"origin-{port}.cfg"
        config.write_text(ORIGIN.format(port=port, certificate=certificate, rules=rules) + backends)
        super().__init__(folder, "origin", port, [unpacked("haproxy"), "-db", "-f", config])

    def seen(self):
        """(Name in TLS, Host) of each request."""
        return [tuple(line.split()) for line in self.log.read_text().splitlines()
                if len(line.split()) == 2]


class Asked(Service):
    """A Service that is requested like the API."""

    def get(self, path="/api/v1/agents?current_page=1&per_page=100", method="GET", token="sk-sim",
            max_age=10, stale=300, headers=()):
        """(Status, headers, body)."""
        context = ssl.create_default_context(cafile=self.certificates / "ca.pem")
        one = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        one.putrequest(method, path, skip_accept_encoding=True)
        for name, value in [("Authorization", f"Bearer {token}"),
                            ("Cache-Control", f"max-age={max_age}, stale-if-error={stale}"),
                            *headers]:
            one.putheader(name, value)
        one.endheaders()
        answer = one.getresponse()
        body = answer.read()
        one.close()
        return answer.status, answer.headers, body


    def send(self, data, timeout=30):
        """Sends these bytes on a connection of HTTP/1.1, and returns everything that arrives until the
        cache closes it."""
        context = ssl.create_default_context(cafile=self.certificates / "ca.pem")
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as plain, \
                context.wrap_socket(plain, server_hostname="127.0.0.1") as one:
            one.sendall(data)
            with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError):
                while more := one.recv(65536):
                    received += more
        return received

    def curl(self, *options, stdin=subprocess.DEVNULL):
        """(Status, body) of a request over HTTP/2, for the usual page unless the options name
        another."""
        done = subprocess.run(
            ["curl", "-sS", "--http2", "--max-time", "20", "--cacert", self.certificates / "ca.pem",
             "-H", "Authorization: Bearer sk-sim", "-w", "\n%{http_code}", *options,
             f"https://127.0.0.1:{self.port}/api/v1/agents?current_page=1&per_page=100"],
            stdin=stdin, capture_output=True, text=True, check=False)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body


class Cache(Asked):
    """contrib/cache/fleetfs-cache, in front of an Origin."""

    def __init__(self, folder, certificates, origin, port=None, **variables):
        port = port or free_port()
        self.again = lambda: Cache(folder, certificates, origin, port, **variables)
        super().__init__(folder, "cache", port, [CONTRIB / "fleetfs-cache"], certificates, **{
            "ORIGIN": "localhost", "ORIGIN_PORT": str(origin.port),
            "ORIGIN_CA": str(certificates / "ca.pem"), "LISTEN": f"127.0.0.1:{port}",
            "CERTIFICATE": str(certificates / "localhost.both"), **variables})
        self.url = f"https://127.0.0.1:{port}/api/v1"
        self.folder = Path(re.search(r"/dev/shm/fleetfs-cache-\w+", str(self.children()))[0])

    def children(self):
        """{process: command line}; haproxy and varnishd."""
        pid, found = self.process.pid, {}
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                found[int(child)] = Path(f"/proc/{child}/cmdline").read_text()
        return found

    def counter(self, name):
        """The counter of varnishstat with this name."""
        line = run(unpacked("varnishstat"), "-n", self.folder / "varnish", "-1", "-f", name)
        return int(line.split()[1])

    def kill(self):
        """Ends the cache as a crash would."""
        killed = [*self.children(), self.process.pid]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        super().stop()
        if self.process.returncode == -signal.SIGKILL:  # the next cache that starts would do it
            shutil.rmtree(self.folder, ignore_errors=True)

    def memory_mib(self):
        """Resident memory of haproxy and Varnish, with the children of both."""
        pids, total = [*self.children()], 0
        while pids:
            pid = pids.pop()
            with contextlib.suppress(OSError):
                pids += Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                status = Path(f"/proc/{pid}/status").read_text()
                total += int(re.search(r"RssAnon:\s+(\d+) kB", status)[1])
        return total / 1024

    def metrics(self):
        """The output of `fleetfs-cache metrics` for this cache: {name: number}."""
        text = run(CONTRIB / "fleetfs-cache", "metrics", env=self.environment)
        listen = re.escape(f'{{listen="127.0.0.1:{self.port}"}}')
        return {name: float(value) for name, value in
                re.findall(rf"(?m)^fleetfs_cache_(\w+){listen} (\S+)$", text)}

    def is_ready(self):
        return self.listens() and self.get("/ready")[0] == 404


class Several(Asked):
    """contrib/cache/several.cfg in front of two caches."""

    def __init__(self, folder, certificates, caches):
        port, config = free_port(), (CONTRIB / "several.cfg").read_text()
        for name, one in zip("ab", caches):
            config = config.replace(f"{name}.cache.example.com:443", f"localhost:{one.port}")
            config = config.replace(f"{name}.cache.example.com", "localhost")
        (folder / "several.cfg").write_text(config)
        super().__init__(
            folder, "several", port, [unpacked("haproxy"), "-db", "-f", folder / "several.cfg"],
            certificates, LISTEN=f"127.0.0.1:{port}", CACHES_CA=str(certificates / "ca.pem"),
            CERTIFICATE=str(certificates / "localhost.both"))
