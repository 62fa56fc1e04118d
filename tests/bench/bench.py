#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How fast fleetfs is, against the same files on tmpfs and against what people would use instead.

    bench.py [--full | --smoke] [--write] [--build FOLDER]

Starts the simulator and mounts everything itself, below one folder in /tmp, as root. What is compared
is measured in one run, in turns; a figure is the median. --smoke only shows that it works: its figures
mean nothing. A bar that is missed is a result like any other: the exit status is 0.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mount"))
from harness import Mount, Sim, environment, mounts, until  # noqa: E402

PER_PAGE = 100
FOREVER = 86400  # a ttl
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.environ["PATH"]}


@dataclasses.dataclass
class Size:
    agents: int  # of the tree that is read
    fleets: list  # agents of the fleets whose costs are compared, all read; the first is the measure
    large: int  # agents of the fleet that is only listed, with single operations meanwhile
    rounds: int
    warm: int  # warm runs in a round
    ttl: float
    idle_s: int
    probe_ms: int
    peer_rounds: int


SIZES = {
    "smoke": Size(40, [100, 300], 300, rounds=1, warm=1, ttl=1, idle_s=1, probe_ms=50,
                  peer_rounds=0),
    "quick": Size(2000, [1000, 10_000], 100_000, rounds=3, warm=3, ttl=5, idle_s=10, probe_ms=500,
                  peer_rounds=1),
    "full": Size(2000, [1000, 10_000, 100_000], 100_000, rounds=7, warm=3, ttl=5, idle_s=60,
                 probe_ms=2000, peer_rounds=3),
}

# What is run in each tree, with its output into a file; and whether the quick form has the peers do it.
COMMANDS = {
    "grep -r": ("grep -r NVIDIA agents", True),
    "rg": ("rg --no-ignore --hidden NVIDIA agents", False),
    "find": ("find agents", True),
    "ls -lR": ("ls -lR agents", False),
    "cat */status": ("cat agents/*/status", True),
}

# What else could hold the same files, in the foreground.
PEERS = {
    "squashfuse_ll": "squashfuse_ll -f {work}/image {at}",
    "bindfs": "bindfs -f -r {tree} {at}",
    "rclone mount": "rclone mount --read-only {tree} {at}",
}

# Question, its answer from the files, and the same by jq from all pages.
QUESTIONS = {
    "which agents are idle": (
        "grep -lx idle agents/*/status | cut -d/ -f2",
        'select(.agent_status == "idle")'),
    "who has 20 GB of VRAM free": (
        "awk '$1 > 2e10 { print FILENAME }' agents/*/gpus/*/vram_free | cut -d/ -f2 | uniq",
        "select(any(.system_stats.gpu_devices[]; .vram_free > 2e10))"),
    "where does task X run": (
        "grep -l '{task}' agents/*/running_tasks | cut -d/ -f2",
        'select(.running_tasks // [] | any(. == "{task}"))'),
}

FIRST_READING = "first grep -r per agent"
WARM_READING = "warm grep -r per agent"
LOOK_UP = "look-up of one name"
LISTING = "listing per agent"

# What was promised: figure, relation, limit, unit. The figures are found by these names.
BARS = [
    ("grep -r, warm", "≤", 1.10, "× tmpfs"),
    ("find, warm", "≤", 1.05, "× tmpfs"),
    ("ls -lR, warm", "≤", 1.0, "× tmpfs"),
    ("open+read+close of a cached file", "≤", 1.3, "× tmpfs"),
    ("grep -r, cold", "≤", 3.0, "× tmpfs"),
    ("grep -r, after the ttl, nothing changed", "≤", 2.0, "× tmpfs"),
    ("open+read+close during a sweep, p99", "≤", 1000, "µs"),
    *((question, "≥", 5, "× as fast as curl and jq") for question in QUESTIONS),
    ("listing the largest fleet", "≤", 1.5, "× the bare loop"),
    ("HTTP requests beyond one a page", "=", 0, ""),
    ("memory after the listing", "≤", 2048, "bytes per agent"),
    ("memory after everything was read", "≤", 4096, "bytes per agent"),
    *((name, "≤", 1.2, "× the smallest fleet's")
      for name in (LISTING, FIRST_READING, WARM_READING, LOOK_UP)),
    ("ls of the largest fleet, warm", "≤", 1.0, "s"),
    ("wake-ups of an idle mount", "=", 0, ""),
]

AFTER = "after the ttl, nothing changed"
CHANGED = "after the ttl, a third changed"


def alternate(rounds, steps, fewer=None):
    """Runs the steps, (key, function that returns a figure or several), one after the other, round
    by round; those with a key in fewer for so many rounds only. {key: median of what was returned}."""
    found = {}
    for i in range(rounds):
        for key, run in steps:
            if not fewer or i < fewer.get(key, rounds):
                found.setdefault(key, []).append(run())
    return {key: middle(values) for key, values in found.items()}


def middle(values):
    """The median; of tuples, that of each column."""
    if isinstance(values[0], tuple):
        return tuple(statistics.median(column) for column in zip(*values))
    return statistics.median(values)


def shell(command, at, output):
    """Runs it in this folder; the seconds it took."""
    with open(output, "wb") as out:
        began = time.monotonic()
        status = subprocess.run(["sh", "-c", command], cwd=at, stdout=out, env=ENVIRONMENT,
                                check=False).returncode
        took = time.monotonic() - began
    if status:
        raise SystemExit(f"bench: {command}, in {at}: exit status {status}")
    return took


def figure(value):
    """With three digits that count, or as many as it has."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(title, note, head, rows):
    """As Markdown, aligned for the terminal."""
    cells = [head, *([figure(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["| " + " | ".join(cell.rjust(width) if i else cell.ljust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))) + " |"
             for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + (":" if i else "-")
                                   for i, width in enumerate(widths)) + "|")
    return "\n".join([f"## {title}", "", textwrap.fill(note, 100), "", *lines, ""])


class Peer:
    """Another file system, mounted."""

    def __init__(self, command, at):
        self.at = at
        at.mkdir(exist_ok=True)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

        def is_mounted():
            assert self.process.poll() is None, f"{' '.join(command)}: ended"
            return str(at) in mounts()
        until(is_mounted)

    def stop(self):
        subprocess.run(["fusermount3", "-u", str(self.at)], check=True)
        self.process.wait(20)


def counts(mount):
    """What .fleetfs/stats counted so far. It is written anew for who looks 0.1 s after another."""
    time.sleep(0.15)
    return {key: int(value) for key, value in mount.values(".fleetfs/stats").items()
            if value.isdigit()}


def counted(mount, run):
    """What run returns, and what it made fleetfs count, less what the looking itself does."""
    first, second = counts(mount), counts(mount)
    result = run()
    third = counts(mount)
    return result, {key: third[key] - 2 * second[key] + first[key] for key in third}


def memory_of(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"bench: process {pid} has ended")


def kernel_memory():
    """Bytes in slabs, and in the page cache but for tmpfs; of the whole machine."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    kib = {key: int(fields[key].split()[0]) for key in ("Slab", "Cached", "Shmem")}
    return kib["Slab"] * 1024, (kib["Cached"] - kib["Shmem"]) * 1024


class Bench:
    def __init__(self, size, build, work, stack):
        self.size, self.build, self.work, self.stack = size, build, work, stack
        self.output = work / "output"
        self.got = {}  # what the bars ask for

    def sim(self, agents):
        api = Sim(self.build / "tests/fleetfs-sim", self.work, "--agents", agents)
        self.stack.callback(api.stop)
        return api

    def mount(self, api, ttl=FOREVER):
        mounted = Mount(self.build / "fleetfs", self.work, api.url, ttl=ttl, timeout=120)
        self.stack.callback(self.end, mounted)
        return mounted

    @staticmethod
    def end(mounted):
        """Even when the benchmark itself has failed, and others still use it."""
        try:
            mounted.stop()
        finally:
            mounted.clear()

    def probe(self, *arguments):
        """The lines of bench-probe, split."""
        done = subprocess.run([self.build / "tests/bench-probe", *map(str, arguments)],
                              stdout=subprocess.PIPE, text=True, check=True)
        return [line.split() for line in done.stdout.splitlines()]

    # The tree and what stands beside it

    def prepare(self):
        self.api = self.sim(self.size.agents)
        self.tree = self.work / "tmpfs"
        self.tree.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.tree], check=True)
        self.stack.callback(subprocess.run, ["umount", "-l", self.tree], check=True)
        self.fleet = self.mount(self.api)
        subprocess.run(["cp", "-a", self.fleet / "agents", self.tree], check=True)
        subprocess.run(["diff", "-r", self.fleet / "agents", self.tree / "agents"], check=True)
        if self.size.peer_rounds:
            subprocess.run(["mksquashfs", self.tree, self.work / "image", "-quiet", "-no-progress"],
                           check=True)

    def anew(self, name, current):
        """Mounts it again, so that the kernel knows nothing of it. Where its tree is now."""
        if name == "tmpfs":
            return self.tree
        if name in current:
            current.pop(name).stop()
        if name == "fleetfs":
            current[name] = self.mount(self.api)
            return current[name].path
        at = self.work / name.split()[0]
        current[name] = Peer(PEERS[name].format(work=self.work, tree=self.tree, at=at).split(), at)
        return at

    def trees(self):
        """Cold and warm."""
        rows = []
        for name, (command, quick) in COMMANDS.items():
            peers = PEERS if self.size.peer_rounds > 1 or self.size.peer_rounds and quick else []
            rows += self.cold_and_warm(name, command, ["tmpfs", "fleetfs", *peers])
        return table(
            f"A tree of {self.size.agents:,} agents",
            "Seconds on tmpfs and fleetfs; the rest is how many times tmpfs' that is. Cold: just "
            "mounted; for fleetfs with the fetching of it all, but for page 1. Warm: the same command "
            "again. tmpfs is always warm.", ["", "tmpfs s", "fleetfs s", "fleetfs", *PEERS], rows)

    def cold_and_warm(self, name, command, subjects):
        current, where, sizes = {}, {}, {}

        def cold(subject):
            where[subject] = self.anew(subject, current)
            return warm(subject)

        def warm(subject):
            took = shell(command, where[subject], self.output)
            sizes[subject] = self.output.stat().st_size
            return took
        steps = [((s, "cold"), lambda s=s: cold(s)) for s in subjects]
        steps += [((s, "warm"), lambda s=s: warm(s)) for s in subjects]
        steps += [((s, "warm"), lambda s=s: warm(s)) for s in subjects[:2]] * (self.size.warm - 1)
        try:
            took = alternate(self.size.rounds, steps,
                             {key: self.size.peer_rounds for key, _ in steps if key[0] in PEERS})
        finally:
            for mounted in current.values():
                mounted.stop()
        if name != "ls -lR":  # whose totals of blocks are each file system's own
            assert len(set(sizes.values())) == 1, f"{name} differs: {sizes}"
        rows = []
        for state in "cold", "warm":
            base = took["tmpfs", state]
            ratios = [took[s, state] / base if (s, state) in took else "" for s in PEERS]
            self.got[f"{name}, {state}"] = took["fleetfs", state] / base
            rows.append([f"{name}, {state}", base, took["fleetfs", state],
                         took["fleetfs", state] / base, *ratios])
        return rows

    def expiry(self):
        """After the ttl; each command has a mount of its own, so that all wait at the same time."""
        mounted = {name: self.mount(self.api, ttl=self.size.ttl) for name in COMMANDS}
        due, tally = {}, {}

        def run(name, state):
            until(lambda: time.monotonic() > due[name], 60)
            took, tally[name, state] = counted(
                mounted[name], lambda: shell(COMMANDS[name][0], mounted[name].path, self.output))
            due[name] = time.monotonic() + self.size.ttl + 0.1
            return took

        def change():
            agents = self.api.agents()
            beat = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            for agent in agents[::3]:
                done = agent["tasks_completed"] + 1
                agent.update(last_heartbeat=beat, tasks_completed=done)
                for gpu in agent["system_stats"]["gpu_devices"]:
                    gpu["vram_free"] -= 1 << 20
            self.api.put_agents([json.dumps(agent, separators=(",", ":")) for agent in agents])
            return 0.0

        due.update(dict.fromkeys(COMMANDS, 0))
        for name in COMMANDS:
            run(name, "cold")
            due[name] = 0
            run(name, "warm")
        took = alternate(
            self.size.rounds,
            [step for name in COMMANDS for step in (
                ((name, AFTER), lambda name=name: run(name, AFTER)),
                ((name, "tmpfs"), lambda name=name: shell(COMMANDS[name][0], self.tree, self.output)))] +
            [(("", "change"), change)] +
            [((name, CHANGED), lambda name=name: run(name, CHANGED)) for name in COMMANDS])
        for one in mounted.values():
            one.stop()
        rows = []
        for name in COMMANDS:
            base = took[name, "tmpfs"]
            rows += [[f"{name}, {state}", base, took[name, state], took[name, state] / base]
                     for state in (AFTER, CHANGED)]
            self.got[f"{name}, {AFTER}"] = took[name, AFTER] / base
        return table(
            "When the data has expired", f"The same tree, mounted with a ttl of {self.size.ttl} s; the "
            "fetching is included.", ["", "tmpfs s", "fleetfs s", "fleetfs"], rows) + "\n" + table(
            "Requests", "What a command makes the kernel ask of fleetfs, and fleetfs of the API, "
            "whose page 1 was fetched by the mount.",
            ["", "HTTP", "readdirplus", "lookup", "read", "getattr", "other"],
            [[f"{name}, {state}", t["requests"], t["fuse_readdirplus"], t["fuse_lookup"],
              t["fuse_read"], t["fuse_getattr"],
              t["fuse_statfs"] + t["fuse_access"] + t["fuse_other"]]
             for name in COMMANDS for state in ("cold", "warm", AFTER, CHANGED)
             for t in [tally[name, state]]])

    # Questions

    def questions(self):
        task = next(agent["running_tasks"][0] for agent in reversed(self.api.agents())
                    if agent.get("running_tasks"))
        pages = -(-self.size.agents // PER_PAGE)
        fetch = (f"curl -s -H 'Authorization: Bearer sk-sim' "
                 f"'{self.api.url}/agents?per_page={PER_PAGE}&current_page=[1-{pages}]' | jq -r ")
        fleet, rows = self.mount(self.api), []
        for question, (files, filter_) in QUESTIONS.items():
            files = files.replace("{task}", task)
            jq = fetch + "'.agent_list[] | " + filter_.replace("{task}", task) + " | .agent_id'"
            answers = {}

            def ask(key, command):
                took = shell(command, fleet.path, self.output)
                answers[key] = sorted(self.output.read_bytes().splitlines())
                return took
            ask("files", files)
            took = alternate(self.size.rounds, [("files", lambda: ask("files", files)), ("jq", lambda: ask("jq", jq))])
            assert answers["files"] == answers["jq"], question
            self.got[question] = took["jq"] / took["files"]
            rows.append([question, len(answers["jq"]), took["jq"] * 1000, took["files"] * 1000,
                         self.got[question]])
        fleet.stop()
        return table("Questions", f"Of {self.size.agents:,} agents, warm, against one curl over all pages and jq.",
                     ["", "answers", "curl, jq ms", "fleetfs ms", "times as fast"], rows)

    # Single operations

    def operations(self):
        """Idle, and while the large fleet is listed. A figure is of (p50, p99) in ns."""
        api = self.sim(self.size.large)
        file = f"agents/{api.permanent()[0]}/status"  # in both trees, which begin alike

        def latency(path, ms, pause):
            return tuple(float(n) for line in self.probe("latency", path, ms, pause) for n in line[1:3])

        def sweeping(on_tmpfs):
            mounted = self.mount(api)
            assert mounted.read(file) == (self.tree / file).read_bytes()
            with subprocess.Popen([self.build / "tests/bench-probe", "latency",
                                   (self.tree if on_tmpfs else mounted) / file, "60000", "100"],
                                  stdout=subprocess.PIPE, text=True) as probe:
                shell("ls -f agents", mounted.path, self.output)
                probe.terminate()
                lines = probe.communicate()[0].splitlines()
            mounted.stop()
            return tuple(float(n) for line in lines for n in line.split()[1:3])

        idle = self.mount(api)
        took = alternate(self.size.rounds, [
            (("idle", "tmpfs"), lambda: latency(self.tree / file, self.size.probe_ms, 0)),
            (("idle", "fleetfs"), lambda: latency(idle / file, self.size.probe_ms, 0))])
        idle.stop()
        took.update(alternate(self.size.rounds, [
            (("sweep", "tmpfs"), lambda: sweeping(True)),
            (("sweep", "fleetfs"), lambda: sweeping(False))]))
        api.stop()
        rows = []
        for i, operation in enumerate(("stat", "open+read+close", "statfs, always asked of fleetfs")):
            for state, text in ("idle", "idle"), ("sweep", f"during a sweep of {self.size.large:,}"):
                rows.append([f"{operation}, {text}"] + [
                    took[state, subject][2 * i + p] / 1000
                    for subject in ("tmpfs", "fleetfs") for p in (0, 1)])
        self.got["open+read+close of a cached file"] = rows[2][3] / rows[2][1]
        self.got["open+read+close during a sweep, p99"] = rows[3][4]
        return table("Single operations",
                     "Of one cached file, in µs. Idle: in a tight loop. During a sweep: every 0.1 ms, while "
                     "the simulator, fleetfs and ls share the processors; tmpfs' figures there are what this "
                     "alone costs.",
                     ["", "tmpfs p50", "tmpfs p99", "fleetfs p50", "fleetfs p99"], rows)

    # Growth

    def listing(self, api):
        """A list read for the first time, by ls -f; the mount stays: the next ends it."""
        if self.listed:
            self.listed.stop()
        self.listed = self.mount(api)
        return shell("ls -f agents", self.listed.path, self.output)

    def fetching(self, agents):
        """(seconds of ls -f, of the bare loop, requests, bytes) for a fleet of so many agents."""
        api = self.sim(agents)

        def bare():
            [[found, requests, size, seconds]] = self.probe("sweep", api.url)
            assert int(found) == agents and int(requests) == -(-agents // PER_PAGE), (found, requests)
            return float(seconds)
        self.listed = None
        took = alternate(self.size.rounds, [("bare", bare), ("fleetfs", lambda: self.listing(api))])
        api.reset()
        self.listing(api)
        stats = api.stats()
        assert len(self.listed.agents()) == agents
        return api, took["fleetfs"], took["bare"], stats["requests"], stats["bytes"]

    def look_up(self, api):
        """Microseconds for a name which the kernel has not heard yet, of a list that is known."""
        mounted = self.mount(api)
        assert not (mounted / "agents/nobody").exists()  # known only when all was fetched
        names = random.Random(1).sample(api.permanent(), min(1000, self.size.fleets[0] // 2))
        began = time.monotonic()
        for name in names:
            os.stat(mounted / "agents" / name)
        took = time.monotonic() - began
        mounted.stop()
        return took * 1e6 / len(names)

    def growth(self):
        fetched, memory, costs = [], [], {}
        for agents in sorted({*self.size.fleets, self.size.large}):
            api, took, bare, requests, size = self.fetching(agents)
            fetched.append([f"{agents:,} agents", bare, took, took / bare, agents / took, requests,
                            size / 1e6])
            cost = costs[agents] = {LISTING: took * 1e6 / agents}
            steps = [("ls", lambda: shell("ls agents", self.listed.path, self.output)),
                     (LOOK_UP, lambda: self.look_up(api))]
            if agents in self.size.fleets:
                steps.append(("grown", lambda: self.read_all(api)))
            took = alternate(self.size.rounds if agents <= 10_000 else 1, steps)
            cost[LOOK_UP], cost["ls"] = took[LOOK_UP], took["ls"]
            if "grown" in took:
                first, warm, *bytes_ = took["grown"]
                cost[FIRST_READING], cost[WARM_READING] = (s * 1e6 / agents for s in (first, warm))
                memory.append([f"{agents:,} agents", *(b / agents for b in bytes_)])
            self.listed.stop()
            api.stop()
        self.growth_bars(fetched, memory, costs)
        return table(
            "Fetching", "The whole list for the first time, by ls -f of a mount, against a bare loop "
            "of libcurl and cJSON over the same pages, which keeps nothing.",
            ["", "bare loop s", "fleetfs s", "ratio", "agents/s", "requests", "MB"], fetched) + "\n" + table(
            "Memory", "Bytes per agent that fleetfs' resident set grew by since the mount, and the machine's "
            "slabs and page cache, which are the kernel's to take back.",
            ["", "after the listing", "after grep -r", "kernel slabs", "page cache"],
            memory) + "\n" + table(
            "Growth", "µs per agent; the first grep -r follows on the listing.",
            ["", LISTING, FIRST_READING, WARM_READING, LOOK_UP, "warm ls, s"],
            [[f"{agents:,} agents", *(cost.get(name, "") for name in
                                      (LISTING, FIRST_READING, WARM_READING, LOOK_UP, "ls"))]
             for agents, cost in costs.items()])

    def growth_bars(self, fetched, memory, costs):
        smallest, largest, read = self.size.fleets[0], max(costs), self.size.fleets[-1]
        self.got["listing the largest fleet"] = fetched[-1][3]
        self.got["HTTP requests beyond one a page"] = sum(
            row[5] - -(-agents // PER_PAGE) for row, agents in zip(fetched, costs))
        self.got["memory after the listing"], self.got["memory after everything was read"] = memory[-1][1:3]
        for name, of in (LISTING, largest), (LOOK_UP, largest), (FIRST_READING, read), (WARM_READING, read):
            self.got[name] = costs[of][name] / costs[smallest][name]
        self.got["ls of the largest fleet, warm"] = costs[largest]["ls"]

    def read_all(self, api):
        """grep -r twice on a mount that is listed. (first s, second s, and bytes that grew: resident
        after the listing and after all, slabs, page cache)."""
        self.listed.stop()
        self.listed = self.mount(api)
        pid, (slab, cached) = self.listed.pid, kernel_memory()
        before = memory_of(pid)
        shell("ls -f agents", self.listed.path, self.output)
        listed = memory_of(pid)
        first = shell(COMMANDS["grep -r"][0], self.listed.path, self.output)
        slab_after, cached_after = kernel_memory()
        warm = shell(COMMANDS["grep -r"][0], self.listed.path, self.output)
        return (first, warm, listed - before, memory_of(pid) - before, slab_after - slab,
                cached_after - cached)

    # Life

    def life(self):
        def start():
            at = self.work / "start"
            at.mkdir(exist_ok=True)
            began = time.monotonic()
            subprocess.run([self.build / "fleetfs", self.api.url, at], check=True,
                           env=environment(self.work))
            took = time.monotonic() - began
            subprocess.run(["fusermount3", "-u", at], check=True)
            return took * 1000

        started = alternate(self.size.rounds, [("start", start)] * 3)["start"]
        mounted = self.mount(self.api, ttl=self.size.ttl)
        shell("grep -r NVIDIA agents", mounted.path, self.output)
        time.sleep(self.size.ttl + 1)  # what is due after the last access is done
        before = self.activity(mounted.pid)
        time.sleep(self.size.idle_s)
        wakeups, cpu = (b - a for a, b in zip(before, self.activity(mounted.pid)))
        mounted.stop()
        self.got["wake-ups of an idle mount"] = wakeups
        return table("Life", "", ["", ""], [
            ["start to mounted, page 1 fetched, ms", started],
            [f"wake-ups of an idle mount, all threads, in {self.size.idle_s} s", wakeups],
            ["its CPU time meanwhile, ms", cpu]])

    @staticmethod
    def activity(pid):
        """(Times that a thread was put on a processor again, CPU ms): who does not sleep in between
        made no system call."""
        switches = 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
            switches += int(fields["voluntary_ctxt_switches"])
            switches += int(fields["nonvoluntary_ctxt_switches"])
        stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return switches, (int(stat[11]) + int(stat[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def bars(self):
        rows = []
        for name, relation, limit, unit in BARS:
            value = self.got[name]
            met = {"≤": value <= limit, "≥": value >= limit, "=": value == limit}[relation]
            rows.append([name, value, f"bar {relation} {figure(limit)}", unit, "met" if met else "MISSED"])
        missed = sum(row[4] == "MISSED" for row in rows)
        return table("Bars", f"{len(rows) - missed} met, {missed} missed. The smallest, the largest fleet read and the largest: "
                     f"{self.size.fleets[0]:,}, {self.size.fleets[-1]:,} and {self.size.large:,} agents.",
                     ["", "measured", "", "", ""], rows)


def machine(build):
    """What it ran on."""
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                if line.startswith("model name")), platform.machine())
    ram = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    version = subprocess.run([build / "fleetfs", "-V"], capture_output=True, text=True, check=True)
    packages = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${Version}, ", "squashfuse", "bindfs", "rclone", "grep",
         "ripgrep", "findutils", "coreutils", "curl", "jq"],
        capture_output=True, text=True, check=False).stdout.strip(", ")
    return {"processors": f"{os.cpu_count()} × {cpu}", "memory": f"{ram:.1f} GiB",
            "kernel": platform.release(), "fleetfs": ", ".join(version.stdout.splitlines()),
            "beside it": packages, "load when it began": f"{os.getloadavg()[0]:.2f}",
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


def main():
    parser = argparse.ArgumentParser(prog="./run bench")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--full", action="store_const", const="full", dest="form", default="quick")
    form.add_argument("--smoke", action="store_const", const="smoke", dest="form")
    parser.add_argument("--write", action="store_true", help="docs/performance.md too")
    parser.add_argument("--build", type=Path, default=HERE.parent.parent / "build")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bench: it mounts a tmpfs: run it as root")

    began = time.time()
    build = arguments.build.resolve()
    work = Path(tempfile.mkdtemp(prefix="fleetfs-bench-"))
    parts = []

    def show(text):
        parts.append(text)
        print(text, flush=True)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        show("# Performance\n")
        show("Written by `./run bench " + " ".join(sys.argv[1:]) + "`, as it stands; how each figure is "
             "made\nis told in `tests/bench/bench.py`.\n")
        for key, value in machine(build).items():
            show(textwrap.fill(f"- {key}: {value}", 100, subsequent_indent="  "))
        show("")
        bench = Bench(SIZES[arguments.form], build, work, stack)
        bench.prepare()
        for part in (bench.trees, bench.expiry, bench.questions, bench.operations, bench.growth,
                     bench.life, bench.bars):
            show(part())
        show(f"It took {time.time() - began:.0f} s.")
    if arguments.write:
        (HERE.parent.parent / "docs/performance.md").write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
