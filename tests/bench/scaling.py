#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What many mounts of one API cost it, with and without the shared cache of contrib/cache.

    scaling.py [--smoke] [--write] [--build FOLDER]

Starts the simulator, the cache and all mounts itself. --write makes docs/scaling.md and its plot; every
figure in their text comes from here. --smoke only shows that it works: its figures mean nothing.
"""

import dataclasses
import gzip
import http.client
import math
import os
import ssl
import statistics
import textwrap
import threading
import time
from pathlib import Path

import rig
from harness import TOKEN, Mount
from shared import Cache, Origin
from tls import make_certificates

DOCS = rig.HERE.parent.parent / "docs"
PER_PAGE = 100
STAMP_S = 0.1


@dataclasses.dataclass
class Size:
    mounts: list
    agents: int  # of the fleet that they share
    ttl: int
    ttls: int    # for how many of them it is watched
    real: int    # agents of the fleet whose pages and sweep are measured
    requests: int  # to the cache, when its own cost is measured


SIZES = {"smoke": Size([1, 3], 200, ttl=1, ttls=2, real=300, requests=50),
         "full": Size([1, 5, 20, 50, 100], 200, ttl=5, ttls=6, real=20_000, requests=5000)}

# On paper
MOUNTS, AGENTS = 10_000, 1_000_000
TTLS = [10, 60, 300]


class Stamps:
    """The first agent of each page has a number as its version, which goes up every STAMP_S."""

    def __init__(self, api, agents):
        self.api, self.positions = api.another(), range(0, agents, PER_PAGE)
        self.times, self.over = [], threading.Event()  # when each number was there for sure
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.wait(STAMP_S):
            for i in self.positions:
                self.api.put_agent(i, f'{{"agent_id":"a{i}","agent_version":"{len(self.times)}"}}')
            self.times.append(time.monotonic())

    def age(self, fleet, i):
        """For how long what a mount shows had been untrue when it was asked."""
        asked = time.monotonic()
        following = int(fleet.read(f"agents/a{i}/version")) + 1
        return max(0, asked - self.times[following]) if following < len(self.times) else 0

    def stop(self):
        self.over.set()
        self.thread.join()


class Scaling(rig.Rig):
    def __init__(self, size, build, work, stack):
        super().__init__(build, work, stack)
        self.size = size
        self.certificates = work / "certificates"
        self.certificates.mkdir()
        make_certificates(self.certificates)

    def cache(self, api, **variables):
        origin = Origin(self.work, self.certificates / "localhost.both", api)
        self.stack.callback(origin.stop)
        shared = Cache(self.work, self.certificates, origin, **variables)
        self.stack.callback(shared.stop)
        return shared

    def fleet(self, count, source):
        fleet = []
        for _ in range(count):
            fleet.append(Mount(self.build / "fleetfs", self.work, source.url, ttl=self.size.ttl,
                               cacert=self.certificates / "ca.pem"))
            self.stack.callback(fleet[-1].clear)
        return fleet

    def watched(self, count, shared):
        """(Requests to the API per ttl, median and maximum of the age in s) of as many mounts, in each
        of which somebody looks at every page, several times a ttl."""
        api = self.sim(0)
        api.put_agents([f'{{"agent_id":"a{i}","agent_version":"0"}}' for i in range(self.size.agents)])
        source = self.cache(api) if shared else api
        fleet = self.fleet(count, source)
        stamps, ages = Stamps(api, self.size.agents), []
        try:
            rig.until(lambda: stamps.times)
            self.look(fleet, stamps, self.size.ttl)
            api.reset()
            began = time.monotonic()
            ages = self.look(fleet, stamps, self.size.ttl * self.size.ttls)
            requests = api.requests() / ((time.monotonic() - began) / self.size.ttl)
        finally:
            stamps.stop()
        for one in fleet:
            one.stop()
        if shared:
            source.stop()
        api.stop()
        return requests, statistics.median(ages), max(ages)

    def look(self, fleet, stamps, seconds):
        ages, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            round_began = time.monotonic()
            for one in fleet:
                ages += [stamps.age(one, i) for i in stamps.positions]
            time.sleep(max(0, round_began + self.size.ttl / 8 - time.monotonic()))
        return ages

    def real(self):
        """Of generated agents, as large as real ones: bytes per page (plain, compressed), of the cache's
        memory per page, CPU ms of the cache per request that it has the answer to, and a mount's seconds
        and bytes per agent for the whole list."""
        api = self.sim(self.size.real)
        shared = self.cache(api, MEMORY="1g")
        pages = self.size.real // PER_PAGE
        ask = Asking(shared)
        body = ask.page(1)
        plain = [len(gzip.decompress(ask.page(1 + i))) for i in range(pages)]
        memory = shared.counter("SMA.s0.g_bytes") / pages
        spent_ms = cpu_ms([shared.process.pid])
        for i in range(self.size.requests):
            ask.page(1 + i % pages)
        spent_ms = (cpu_ms([shared.process.pid]) - spent_ms) / self.size.requests
        ask.close()
        fleet = self.mount(api)
        resident = rig.resident_bytes(fleet.pid)
        took = self.shell("ls -f agents", fleet.path)
        resident = (rig.resident_bytes(fleet.pid) - resident) / self.size.real
        fleet.stop()
        shared.stop()
        api.stop()
        return (statistics.mean(plain), len(body), memory, spent_ms, took / self.size.real, resident)


class Asking:
    """One connection to the cache, as a mount's."""

    def __init__(self, shared):
        context = ssl.create_default_context(cafile=shared.certificates / "ca.pem")
        self.connection = http.client.HTTPSConnection("127.0.0.1", shared.port, context=context)

    def page(self, number):
        """Its body, compressed."""
        self.connection.request(
            "GET", f"/api/v1/agents?current_page={number}&per_page={PER_PAGE}",
            headers={"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "gzip",
                     "Cache-Control": "max-age=3600"})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200
        return body

    def close(self):
        self.connection.close()


def cpu_ms(pids):
    """Of these processes and their children."""
    total = 0
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(stat[11]) + int(stat[12])) * 1000 / os.sysconf("SC_CLK_TCK")
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        total += cpu_ms(below)
    return total


# The plot

STYLE = """
  text { fill: #2b2b28; } .axis { stroke: #8a8678; } .grid { stroke: #8a8678; stroke-opacity: .25; }
  .with { stroke: #0b5c8a; fill: #0b5c8a; } .without { stroke: #b3541e; fill: #b3541e; }
  polyline { fill: none !important; stroke-width: 2; } .most { stroke-dasharray: 5 4; }
  text.with, text.without { stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #d6d3cb; } .with { stroke: #7cc4ee; fill: #7cc4ee; }
    .without { stroke: #f0a070; fill: #f0a070; }
  }
"""
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 440, 300, 56, 34, 110, 44


def steps(most):
    """Round numbers from 0 to at least this one."""
    size = 10 ** math.floor(math.log10(most))
    step = next(size * part for part in (0.2, 0.5, 1, 2) if most / (size * part) <= 5)
    return [step * i for i in range(math.ceil(most / step - 1e-9) + 1)]


def panel(title, unit, lines):
    """An SVG group; lines are (class, label, [(mounts, value)])."""
    ticks = {"x": steps(max(x for *_, points in lines for x, _ in points)),
             "y": steps(max(y for *_, points in lines for _, y in points))}

    def at(x, y):
        return (LEFT + x / ticks["x"][-1] * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - y / ticks["y"][-1] * (HEIGHT - TOP - BOTTOM))
    parts = [f'<text x="{LEFT}" y="18" font-weight="600">{title}</text>']
    for y in ticks["y"]:
        (left, height), (right, _) = at(0, y), at(ticks["x"][-1], y)
        parts += [f'<line class="grid" x1="{left:.1f}" x2="{right:.1f}" y1="{height:.1f}" '
                  f'y2="{height:.1f}"/>', f'<text x="{left - 6:.1f}" y="{height + 4:.1f}" '
                  f'text-anchor="end">{y:g}</text>']
    for x in ticks["x"]:
        parts.append(f'<text x="{at(x, 0)[0]:.1f}" y="{HEIGHT - BOTTOM + 16}" '
                     f'text-anchor="middle">{x:g}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 8}">mounts; {unit}</text>')
    lowest = HEIGHT
    for kind, label, points in sorted(lines, key=lambda line: line[2][-1][1]):
        places = [at(*point) for point in points]
        parts.append(f'<polyline class="{kind}" points="'
                     + " ".join(f"{x:.1f},{y:.1f}" for x, y in places) + '"/>')
        lowest = min(places[-1][1] + 4, lowest - 13)  # no label on another
        parts.append(f'<text class="{kind.split()[0]}" x="{places[-1][0] + 5:.1f}" '
                     f'y="{lowest:.1f}">{label}</text>')
    return "\n".join(parts)


def draw(*panels):
    width = WIDTH * len(panels)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" '
        f'height="{HEIGHT}" font-family="system-ui, sans-serif" font-size="12">',
        "<title>What many mounts cost the API</title>", f"<style>{STYLE}</style>",
        *(f'<g transform="translate({i * WIDTH} 0)">\n{one}\n</g>' for i, one in enumerate(panels)),
        "</svg>", ""])


# The text

def text(*paragraphs):
    return "\n\n".join(textwrap.fill(" ".join(one.split()), 100) for one in paragraphs) + "\n"


def bytes_of(number):
    for unit in "B", "kB", "MB", "GB", "TB":
        if number < 1000 or unit == "TB":
            return f"{number:.{0 if number >= 10 or unit == 'B' else 1}f} {unit}"
        number /= 1000


def measured(size, points):
    rows = [[count, *points[count, False], *points[count, True]] for count in size.mounts]
    pages = size.agents // PER_PAGE
    return text(f"""A fleet of {size.agents} agents, which are {pages} pages, and a ttl of {size.ttl} s. Both
        pages are read in each mount eight times per ttl, for {size.ttls} ttls. One agent of each page has a
        number that increases every {STAMP_S} s. The age of a number is how long it had been outdated when it
        was read. No agent joins, leaves or moves.""") + "\n" + rig.table(
        "Measured", "Requests that reached the API, per ttl; ages in seconds.",
        ["mounts", "without: requests", "age, median", "age, max", "with the cache: requests",
         "age, median", "age, max"], rows)


def on_paper(size, real):
    plain, packed, memory, cpu, seconds, resident = real
    pages = AGENTS // PER_PAGE
    # Of those that MOUNTS pick by chance, one each.
    differing = pages * (1 - (1 - 1 / pages) ** MOUNTS)
    rows = []
    for use, each, shared in ("one agent", 1, differing), ("all of it", pages, pages):
        for ttl in TTLS:
            asked, passed = MOUNTS * each / ttl, shared / ttl
            rows.append([f"{use}, ttl {ttl} s", f"{asked:,.0f}", f"{passed:,.0f}",
                         bytes_of(asked * packed) + "/s", bytes_of(passed * packed) + "/s",
                         f"{asked * cpu / 1000:,.1f}"])
    table = rig.table(
        "On paper: 10,000 mounts and a million agents",
        "The columns: what each mount reads; the requests of all mounts per second, which without a "
        "cache all reach the API; those that reach the API with a cache; bytes per second that the "
        "cache sends and receives; the processors that the cache uses.",
        ["", "requests/s", "to the API", "cache sends", "cache receives", "processors"], rows)
    sweep_s, limit = AGENTS * seconds, 1 << 30
    asked = MOUNTS / TTLS[0]
    return table + "\n" + text(
        f"""Based on these figures, measured in the same run with {size.real:,} generated agents: a page of
        {PER_PAGE} agents has {bytes_of(plain)}, compressed {bytes_of(packed)}, and takes
        {bytes_of(memory)} of the cache's memory. A request that the cache answers from memory costs it
        {cpu:.2f} ms of processor time, including TLS. A mount reads a list in
        {seconds * 1e6:.0f} µs per agent, and stores {bytes_of(resident)} per agent. {MOUNTS:,} mounts that each
        pick one agent at random read {differing:,.0f} different pages of {pages:,}.""",
        f"""**The mount fails first.** A sweep of a million agents takes it
        {sweep_s:.0f} s, {f"longer than a ttl of {TTLS[0]} s" if sweep_s > TTLS[0] else "all of that busy"},
        and the list takes {bytes_of(AGENTS * resident)},
        {"more than" if AGENTS * resident > limit else "close to"} the 1 GiB at which fleetfs rejects more
        agents. At this size, most machines should read single agents, a page each, and only a few should sweep,
        with a ttl of minutes.""",
        f"""**The cache fails next.** Single agents at a ttl of {TTLS[0]} s are {asked:,.0f} requests, {asked * cpu / 1000:.1f}
        processors and {bytes_of(asked * packed)} a second: one machine is enough. If all mounts read everything,
        there are {asked * pages:,.0f} requests and {bytes_of(asked * pages * packed)} a second, too many even for ten
        machines. Several caches behind one name divide the work, and each costs the API a sweep of its own. Where
        that is too much, a haproxy in front of them sends each page to one of them, by consistent hashing
        (`contrib/cache/several.cfg`), and together they cost one sweep again. A longer ttl divides all figures.""",
        f"""**Cache memory** is no limit: the list takes {bytes_of(pages * memory)}, once for each token, team and
        `ttl` that its mounts use. Beyond `MEMORY` the cache drops what was not used for longest. That costs
        requests, and nothing else.""",
        f"""**The API fails last.** While no agent joins, leaves or moves, it is asked for each page once per ttl,
        however many mounts there are: {pages / TTLS[0]:,.0f} requests a second for all pages at {TTLS[0]} s, the cost of a
        single mount that reads everything. A mount that misses an agent reads pages again, past the cache. Of
        these requests at most one at a time for each page, token and team reaches the API. They are part of
        neither table (`contrib/cache/README.md`, "A fleet in motion").""",
        """**What the API could add**, ordered by what it would save: a list of the changes since a given time, so
        that a sweep is as large as the changes; one agent by its id, so that reading one agent is not a page of a
        hundred; `ETag`, so that an unchanged page has no body; more than a hundred agents on a page.""")


def main():
    parser = rig.options("./run bench --fleet-of-mounts", "docs/scaling.md and docs/scaling.svg", "full",
                         "smoke")
    arguments = parser.parse_args()
    size, points = SIZES[arguments.form], {}
    report = rig.Report("# Many mounts of one API", parser.prog)
    with rig.started(Scaling, size, arguments.build) as bench:
        report.machine(bench.build, "beside it")
        report.show("![Requests and ages against the number of mounts](scaling.svg)\n")
        for count in size.mounts:
            for shared in False, True:
                points[count, shared] = bench.watched(count, shared)
        report.show(measured(size, points))
        report.show(on_paper(size, bench.real()))
        report.end()

    def line(shared, column):
        return [(count, points[count, shared][column]) for count in size.mounts]
    plot = draw(
        panel("Requests to the API, per ttl", f"{size.agents // PER_PAGE} pages",
              [("without", "without", line(False, 0)), ("with", "cache", line(True, 0))]),
        panel("Age of what is read, in seconds", f"ttl {size.ttl} s",
              [(f"{kind}{' most' if column == 2 else ''}", f"{name}, {what}", line(shared, column))
               for shared, kind, name in ((False, "without", "without"), (True, "with", "cache"))
               for column, what in ((1, "median"), (2, "max"))]))
    if arguments.write:
        (DOCS / "scaling.md").write_text(report.text())
        (DOCS / "scaling.svg").write_text(plot)


if __name__ == "__main__":
    main()
