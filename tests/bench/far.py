# SPDX-License-Identifier: MIT
"""A scene of the benchmark: an API that is far away. The first listing of a fleet is compared with curl,
which fetches the same pages with as many requests at once, and keeps nothing."""

import subprocess
import time
from urllib.parse import urlsplit

from rig import alternate, table  # first: it knows where the others are
import shared
import tls
from harness import environment

ROUND_TRIP_MS = 100
PER_PAGE = 100
AT_ONCE = [6, 24]  # requests; 6 is the default of max_connections
HTTP1, HTTP2 = "HTTP/1.1", "HTTP/2"
LISTING = "far away: first listing over HTTP/1.1"  # a figure of a bar


def curl_command(url, agents, at_once, ca):
    pages = -(-agents // PER_PAGE)
    return ["curl", "-sfZ", "--no-progress-meter", "--parallel-max", str(at_once), "--cacert", str(ca),
            "-H", "Authorization: Bearer sk-sim", "-o", "/dev/null",
            f"{url}/agents?per_page={PER_PAGE}&current_page=[1-{pages}]"]


def measure(bench):
    """Of each fleet of bench.size.far. The start of fleetfs fetches the first page, over the first
    connection; curl does both within its time."""
    tls.make_certificates(bench.work)
    ca, rows = bench.work / "ca.pem", []

    def curl(url, agents, at_once):
        began = time.monotonic()
        subprocess.run(curl_command(url, agents, at_once, ca), check=True, stderr=subprocess.DEVNULL)
        return time.monotonic() - began

    def fleetfs(url, agents, at_once):
        path = bench.work / "far"
        path.mkdir(exist_ok=True)
        began = time.monotonic()
        subprocess.run([bench.build / "fleetfs", f"--max_connections={at_once}", f"--cacert={ca}",
                        "--timeout=120", url, path], check=True, env=environment(bench.work))
        started = time.monotonic()
        names = subprocess.run(["ls", "-f", path / "agents"], check=True, capture_output=True).stdout
        listed = time.monotonic()
        subprocess.run(["fusermount3", "-u", path], check=True)
        assert names.count(b"\n") == agents + 2
        return started - began, listed - started

    for agents in bench.size.far:
        api = bench.sim(agents)
        terminator = shared.Origin(bench.work, bench.work / "right.both", api)
        bench.stack.callback(terminator.stop)
        steps = []
        for protocol, scheme, port in ((HTTP1, "http", urlsplit(api.url).port),
                                       (HTTP2, "https", terminator.port)):
            url = f"{scheme}://127.0.0.1:{bench.far(port, ROUND_TRIP_MS)}/api/v1"
            steps += [((protocol, at_once, run.__name__),
                       lambda run=run, url=url, at_once=at_once: run(url, agents, at_once))
                      for at_once in AT_ONCE for run in (curl, fleetfs)]
        took = alternate(bench.size.rounds, steps)
        terminator.stop()
        api.stop()
        for protocol, at_once in sorted({key[:2] for key in took}):
            base = took[protocol, at_once, "curl"]
            start, listing = took[protocol, at_once, "fleetfs"]
            rows.append([f"{agents:,} agents, {protocol}, {at_once} at once", base, start, listing,
                         listing / base])
            if (protocol, at_once) == (HTTP1, AT_ONCE[0]):
                bench.got[LISTING] = listing / base
    return table(
        "An API that is far away", f"A relay delays each byte, so that a round trip takes {ROUND_TRIP_MS} "
        "ms. curl --parallel fetches all pages; the start of fleetfs fetches the first one, and then ls -f "
        "lists the agents. At once: requests in flight, max_connections of fleetfs. HTTP/2 is over TLS. "
        "The ratio is that of ls to curl.", ["", "curl s", "start s", "ls s", "ratio"], rows)
