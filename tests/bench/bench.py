#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How fast fleetfs is, compared with the same files on tmpfs and with the usual alternatives.

    bench.py [--full | --smoke] [--write] [--build FOLDER]

Starts the simulator and mounts everything itself, below one folder in /tmp, as root. What is
compared is measured in one run, in turns; a figure is the median. --smoke only shows that it works:
its figures mean nothing. A bar that is missed is a result as any other: the exit status is 0.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import random
import subprocess
import time

import far
import rig
from rig import HERE, alternate, table
from harness import counted, environment

PER_PAGE = 100
LARGE = 256  # AGENT_MAX_LABELS, AGENT_MAX_GPUS
PAGE = HERE.parent.parent / "docs/performance.md"
FIGURES = "## Figures"  # the heading in it, below which they are written


@dataclasses.dataclass
class Size:
    agents: int  # of the tree that is read
    fleets: list  # of agents: fleets that are read as a whole; the first is the others' measure
    large: int  # agents of the fleet that is listed only, with single operations meanwhile
    rounds: int
    warm: int  # warm runs in a round
    peer_rounds: int
    ttl: float
    idle_s: int
    probe_ms: int
    readers: int
    far: list  # of agents: fleets that are listed from far away


SIZES = {
    "smoke": Size(40, [100, 300], 300, rounds=1, warm=1, peer_rounds=0, ttl=1, idle_s=1,
                  probe_ms=50, readers=2, far=[300]),
    "quick": Size(2000, [1000, 10_000], 100_000, rounds=3, warm=3, peer_rounds=1, ttl=5, idle_s=10,
                  probe_ms=500, readers=20, far=[100, 1000, 10_000]),
    "full": Size(2000, [1000, 10_000, 100_000], 100_000, rounds=7, warm=3, peer_rounds=2, ttl=5,
                 idle_s=60, probe_ms=2000, readers=20, far=[100, 1000, 10_000]),
}

# What is run in each tree, and whether the quick form has the peers do it.
COMMANDS = {
    "grep -r": ("grep -r NVIDIA agents", True),
    "rg": ("rg --no-ignore --hidden NVIDIA agents", False),
    "find": ("find agents", False),
    "ls -lR": ("ls -lR agents", False),
    "cat */status": ("cat agents/*/status", False),
}

# What else could show the same files.
PEERS = {
    "squashfuse_ll": "squashfuse_ll -f {image} {path}",
    "bindfs": "bindfs -f -r {tree} {path}",
    "rclone": "rclone mount --read-only {tree} {path}",
}

# The answer from the files, and what jq has to select for the same one.
QUESTIONS = {
    "which agents are idle": (
        "ls by-status/idle",
        '.agent_status == "idle"'),
    "who has 20 GB of VRAM free": (
        "awk -F'\\t' 'NR > 1 && $6 > 2e10 { print $1 }' fleet/agents.tsv",
        "[.system_stats.gpu_devices[].vram_free] | add > 2e10"),
    "where does task X run": (
        "readlink tasks/TASK | cut -d/ -f3",
        '.running_tasks // [] | any(. == "TASK")'),
}

OF_STATUS, QUESTION = "ls by-status/idle", "ls where/status=idle/'gpu=*4090*'/'vram_free>=4G'"
VIEWS = ["ls by-status", "ls by-label", "ls tasks", OF_STATUS, QUESTION,
         "readlink where/status=idle/sort=-vram_free/1", "cat fleet/summary",
         "cat fleet/agents.tsv", "cat fleet/agents.json", "cat fleet/metrics.prom"]
# What bench-probe does, and says three figures of each: p50, p99, the slowest.
OPERATIONS = ["stat", "open+read+close", "statfs, which fleetfs always answers itself"]
STATFS = 3 * 2
OWN = ".fleetfs/version"  # needs no agent
GROWING = ["listing per agent", "first grep -r per agent", "warm grep -r per agent",
           "look-up of a name"]
ON_TMPFS = "warm grep -r per agent on tmpfs"
COPY_BYTES = 200_000  # of memory, more than an agent takes on tmpfs
EXPIRED, CHANGED = "after the ttl, nothing changed", "after the ttl, a third changed"

# What was promised: figure (Bench.got has it by this name), relation, limit, unit.
BARS = [
    ("grep -r, warm", "≤", 1.25, "× tmpfs"),
    ("find, warm", "≤", 1.0, "× tmpfs"),
    ("ls -lR, warm", "≤", 1.0, "× tmpfs"),
    ("open+read+close, cached", "≤", 1.3, "× tmpfs"),
    ("grep -r, cold", "≤", 3.0, "× tmpfs"),
    (f"grep -r, {EXPIRED}", "≤", 2.4, "× tmpfs"),
    ("open+read+close, cached, p99 during a sweep", "≤", 1000, "µs"),
    *((question, "≥", 5, "× as fast as curl, jq") for question in QUESTIONS),
    ("listing of the largest fleet", "≤", 1.5, "× the bare loop"),
    (far.LISTING, "≤", 1.0, "× curl --parallel"),
    ("HTTP requests beyond one a page", "=", 0, ""),
    ("memory after the listing", "≤", 2048, "bytes per agent"),
    ("memory after everything was read", "≤", 4096, "bytes per agent"),
    *((name, "≤", 1.2, "× the smallest fleet's") for name in GROWING),
    ("ls of the largest fleet, warm", "≤", 1.0, "s"),
    ("the slowest view", "≤", 2.0, "s"),
    ("three conditions on the largest fleet, first ls", "≤", 1.5, "× ls by-status/idle"),
    ("statfs, p99 while views are made", "≤", 1, "ms"),
    ("statfs, slowest while a large page arrives", "≤", 10, "ms"),
    ("wake-ups of an idle mount", "=", 0, ""),
]


def large_agent(number, turn):
    """With as many labels and GPUs as fleetfs takes, none of them as in another turn."""
    return json.dumps({
        "agent_id": f"a{number}", "agent_status": "idle",
        "agent_labels": [f"{turn}-{i}" for i in range(LARGE)],
        "system_stats": {"gpu_devices": [
            {"device_name": f"NVIDIA {turn}-{i}", "device_type": "cuda", "vram_total": 1 << 34,
             "vram_free": turn} for i in range(LARGE)]}})


class Bench(rig.Rig):
    """Each part measures, leaves in got what the bars ask for, and returns its tables."""

    def __init__(self, size, build, work, stack):
        super().__init__(build, work, stack)
        self.size, self.got = size, {}
        self.api = self.sim(size.agents)
        self.tree = self.tmpfs()
        fleet = self.mount(self.api)
        subprocess.run(["cp", "-a", fleet / "agents", self.tree], check=True)
        subprocess.run(["diff", "-r", fleet / "agents", self.tree / "agents"], check=True)
        fleet.stop()
        if size.peer_rounds:
            subprocess.run(["mksquashfs", self.tree, work / "image", "-quiet", "-no-progress"],
                           check=True)

    # The tree of size.agents

    def trees(self):
        rows = []
        for name, (command, quick) in COMMANDS.items():
            peers = PEERS if self.size.peer_rounds > 1 or (self.size.peer_rounds and quick) else []
            rows += self.cold_and_warm(name, command, ["tmpfs", "fleetfs", *peers])
        return table(
            f"A tree of {self.size.agents:,} agents",
            "Seconds on tmpfs and fleetfs; the other columns are multiples of tmpfs. Cold: just "
            "mounted; for fleetfs this includes fetching all pages but the first. Warm: the same "
            "command again. tmpfs is always warm.", ["", "tmpfs s", "fleetfs s", "fleetfs", *PEERS], rows)

    def fresh(self, name):
        """The tree, mounted again so that the kernel knows nothing of it."""
        if name == "fleetfs":
            return self.mount(self.api)
        path = self.work / name
        return self.peer(PEERS[name].format(image=self.work / "image", tree=self.tree,
                                            path=path).split(), path)

    def cold_and_warm(self, name, command, subjects):
        mounted, bytes_said = {}, {}

        def cold(subject):
            if subject in mounted:
                mounted[subject].stop()
            if subject != "tmpfs":
                mounted[subject] = self.fresh(subject)
            return warm(subject)

        def warm(subject):
            took = self.shell(command, mounted[subject].path if subject in mounted else self.tree)
            bytes_said[subject] = self.output.stat().st_size
            return took

        steps = [((s, "cold"), lambda s=s: cold(s)) for s in subjects]
        steps += [((s, "warm"), lambda s=s: warm(s)) for s in subjects]
        steps += steps[len(subjects):][:2] * (self.size.warm - 1)
        took = alternate(self.size.rounds, steps,
                         {key: self.size.peer_rounds for key, _ in steps if key[0] in PEERS})
        for one in mounted.values():
            one.stop()
        # But for ls's totals of blocks, which are each file system's own.
        assert name == "ls -lR" or len(set(bytes_said.values())) == 1, f"{name}: {bytes_said}"
        rows = []
        for state in "cold", "warm":
            base, ours = took["tmpfs", state], took["fleetfs", state]
            self.got[f"{name}, {state}"] = ours / base
            rows.append([f"{name}, {state}", base, ours, ours / base,
                         *(took[s, state] / base if s in subjects else "" for s in PEERS)])
        return rows

    def change_a_third(self):
        agents = self.api.agents()
        beat = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for agent in agents[::3]:
            agent.update(last_heartbeat=beat, tasks_completed=agent["tasks_completed"] + 1)
            for gpu in agent["system_stats"]["gpu_devices"]:
                gpu["vram_free"] -= 1 << 20
        self.api.put_agents([json.dumps(agent, separators=(",", ":")) for agent in agents])
        return 0

    def expiry(self):
        """Each command has a mount of its own, so that all of them expire at the same time."""
        mounted, due, tally, steps = {}, {}, {}, []

        def run(name, state):
            if state in (EXPIRED, CHANGED):
                time.sleep(max(0, due[name] - time.monotonic()))
            took, tally[name, state] = counted(
                mounted[name], lambda: self.shell(COMMANDS[name][0], mounted[name].path))
            due[name] = time.monotonic() + self.size.ttl + 0.1
            return took

        for name, (command, _) in COMMANDS.items():
            mounted[name] = self.mount(self.api, ttl=self.size.ttl)
            run(name, "cold")
            run(name, "warm")
            steps += [((name, EXPIRED), lambda name=name: run(name, EXPIRED)),
                      (name, lambda command=command: self.shell(command, self.tree))]
        steps += [("", self.change_a_third)]
        steps += [((name, CHANGED), lambda name=name: run(name, CHANGED)) for name in COMMANDS]
        took = alternate(self.size.rounds, steps)
        for one in mounted.values():
            one.stop()
        rows = []
        for name in COMMANDS:
            for state in EXPIRED, CHANGED:
                ratio = self.got[f"{name}, {state}"] = took[name, state] / took[name]
                rows.append([f"{name}, {state}", took[name], took[name, state], ratio])
        kinds = ["requests", *("fuse_" + kind for kind in ("readdirplus", "lookup", "read",
                                                           "getattr", "statfs", "access", "other"))]
        return table(
            "Data that has expired", f"The same tree, mounted with a ttl of {self.size.ttl} s; "
            "fetching is included.", ["", "tmpfs s", "fleetfs s", "fleetfs"], rows) + "\n" + table(
            "Requests", "The requests of each command: of fleetfs to the API (the mount fetches "
            "page 1), and of the kernel to fleetfs.", ["", "HTTP", *(kind[5:] for kind in kinds[1:])],
            [[f"{name}, {state}", *(tally[name, state][kind] for kind in kinds)]
             for name in COMMANDS for state in ("cold", "warm", EXPIRED, CHANGED)])

    def questions(self):
        task = next(agent["running_tasks"][0] for agent in reversed(self.api.agents())
                    if agent.get("running_tasks"))
        fleet, answers, rows = self.mount(self.api), {}, []

        def ask(way, command):
            took = self.shell(command.replace("TASK", task), fleet.path)
            answers[way] = sorted(self.output.read_text().split())
            return took

        for question, (files, chosen) in QUESTIONS.items():
            jq = (f"curl -s -H 'Authorization: Bearer sk-sim' '{self.api.url}/agents"
                  f"?per_page={PER_PAGE}&current_page=[1-{-(-self.size.agents // PER_PAGE)}]' | "
                  f"jq -r '.agent_list[] | select({chosen}) | .agent_id'")
            ask("files", files)
            took = alternate(self.size.rounds, [
                ("files", lambda files=files: ask("files", files)),
                ("jq", lambda jq=jq: ask("jq", jq))])
            assert answers["files"] == answers["jq"], question
            ratio = self.got[question] = took["jq"] / took["files"]
            rows.append([question, len(answers["jq"]), took["jq"] * 1000, took["files"] * 1000,
                         ratio])
        fleet.stop()
        return table("Questions", f"About {self.size.agents:,} agents: files of a warm mount, compared "
                     "with one curl for all pages and jq.",
                     ["", "answers", "curl, jq ms", "fleetfs ms", "times as fast"], rows)

    # Single operations

    def operations(self):
        api = self.sim(self.size.large)
        file = f"agents/{api.permanent()[0]}/status"  # in both trees, which begin alike
        idle = self.mount(api)
        assert idle.read(file) == (self.tree / file).read_bytes()

        def still(where):
            return self.figures(self.probe("latency", where / file, self.size.probe_ms, 0))

        def sweeping(where):
            fleet = self.mount(api)
            fleet.read(file)
            figures, _ = self.meanwhile((where or fleet) / file,
                                        lambda: self.shell("ls -f agents", fleet.path))
            fleet.stop()
            return figures

        took = alternate(self.size.rounds, [
            ("tmpfs, idle", lambda: still(self.tree)), ("fleetfs, idle", lambda: still(idle)),
            ("tmpfs", lambda: sweeping(self.tree)), ("fleetfs", lambda: sweeping(None))])
        idle.stop()
        api.stop()
        rows = [[f"{operation}, {state or 'during a sweep'}",
                 *(took[subject + (state and f", {state}")][3 * i + p] / 1000
                   for subject in ("tmpfs", "fleetfs") for p in (0, 1))]
                for i, operation in enumerate(OPERATIONS) for state in ("idle", "")]
        self.got["open+read+close, cached"] = rows[2][3] / rows[2][1]
        self.got["open+read+close, cached, p99 during a sweep"] = rows[3][4]
        return table("Single operations",
                     "On one cached file, in µs. Idle: one after the other. During a sweep: every "
                     f"0.1 ms, while ls -f lists {self.size.large:,} agents for the first time. The "
                     "times of tmpfs then show the cost of sharing the processors with ls, fleetfs "
                     "and the simulator.",
                     ["", "tmpfs p50", "tmpfs p99", "fleetfs p50", "fleetfs p99"], rows)

    # Processors that sleep

    def processors(self):
        """What it costs to wake them for each request and each answer."""
        ways = {"as it is": contextlib.nullcontext, "on one processor": rig.one_processor}
        if self.size.rounds > 1 and os.access(rig.HALT_POLL, os.W_OK):
            ways[f"{rig.HALT_POLL.name} = 200000"] = lambda: rig.halt_poll("200000")

        def run(way):
            with way():
                fleet, command = self.mount(self.api, ttl=self.size.ttl), COMMANDS["grep -r"][0]
                figures = []
                for wait_s in 0, self.size.ttl + 0.1:
                    time.sleep(wait_s)
                    before = rig.activity(fleet.pid)[1]
                    figures += [self.shell(command, fleet.path),
                                (rig.activity(fleet.pid)[1] - before) / 1000]
                fleet.stop()
            return tuple(figures)

        took = alternate(self.size.rounds, [(name, lambda way=way: run(way))
                                            for name, way in ways.items()])
        return table("Processors that sleep", "grep -r again, and the CPU time of fleetfs "
                     "in it: with the machine as it is; with grep and fleetfs on one processor; and, "
                     "on a virtual machine that has the setting, with processors that poll for work "
                     "for this many ns before they halt.",
                     ["", "cold, s", "CPU s", f"{EXPIRED}, s", "CPU s"],
                     [[name, *figures] for name, figures in took.items()])

    # Readers at once

    def many_readers(self):
        """Programs that each read every file, at the same time, of a new mount for each round."""
        command = COMMANDS["grep -r"][0]
        counts = {1: command, self.size.readers:
                  f"for i in $(seq {self.size.readers}); do {command} >/dev/null & done; wait"}

        def cold(what):
            fleet = self.mount(self.api)
            took, tally = counted(fleet, lambda: self.shell(what, fleet.path))
            fleet.stop()
            return took, tally["requests"]

        steps = []
        for count, what in counts.items():
            steps += [(("tmpfs", count), lambda what=what: (self.shell(what, self.tree), 0)),
                      (("fleetfs", count), lambda what=what: cold(what))]
        took = alternate(self.size.rounds, steps)
        rows = []
        for count in counts:
            base, (ours, requests) = took["tmpfs", count][0], took["fleetfs", count]
            rows.append([f"{count} × grep -r, cold", base, ours, ours / base, int(requests)])
        return table("Readers at once", f"Each reads all files of {self.size.agents:,} agents; seconds "
                     "until the last has ended.",
                     ["", "tmpfs s", "fleetfs s", "fleetfs", "HTTP requests"], rows)

    # Views

    def views(self):
        """Each for the first time, of a list that was fetched; somebody else asks for statfs(2)
        meanwhile, which takes a request."""
        api = self.sim(self.size.large)

        def made():
            fleet = self.mount(api)
            self.shell("ls -f agents", fleet.path)
            figures, took = self.meanwhile(
                fleet / OWN, lambda: [self.shell(command, fleet.path) for command in VIEWS])
            fleet.stop()
            return *took, figures[STATFS + 1] / 1e6

        *took, p99_ms = alternate(self.size.rounds, [("views", made)])["views"]
        api.stop()
        self.got["the slowest view"] = max(took)
        self.got["three conditions on the largest fleet, first ls"] = (
            took[VIEWS.index(QUESTION)] / took[VIEWS.index(OF_STATUS)])
        self.got["statfs, p99 while views are made"] = p99_ms
        return table("Views", f"The first read, with {self.size.large:,} agents, in seconds; the list "
                     "has been fetched. Meanwhile statfs, which the kernel does not cache, is called "
                     f"every 0.1 ms; it takes {rig.figure(p99_ms)} ms at the 99th percentile.",
                     ["", "s"], [list(row) for row in zip(VIEWS, took)])

    # A large page

    def large_page(self):
        """It arrives again and again, while the log is kept of what changed; meanwhile somebody else
        asks for statfs(2)."""
        api, turns, ttl = self.sim(0), itertools.count(), 1
        fleet = self.mount(api, ttl=ttl)

        def expire():
            time.sleep(ttl + 0.1)

        def arrive():
            turn = next(turns)
            api.put_agents([large_agent(i, turn) for i in range(PER_PAGE)])
            expire()
            self.shell("ls agents", fleet.path)
            fleet.read(f"agents/a0/labels/{turn}-0")  # it was taken in

        def waits_ms(run):
            return tuple(ns / 1e6 for ns in self.meanwhile(fleet / OWN, run)[0][STATFS:STATFS + 3])

        arrive()
        fleet.read("fleet/events.log")  # begins it
        took = alternate(self.size.rounds, [("nothing", lambda: waits_ms(expire)),
                                            ("the page", lambda: waits_ms(arrive))])
        fleet.stop()
        size_mb = api.stats()["bytes"] / next(turns) / 1e6
        api.stop()
        self.got["statfs, slowest while a large page arrives"] = took["the page"][2]
        return table("A large page", f"{PER_PAGE} agents with {LARGE} labels and GPUs each, "
                     f"{rig.figure(size_mb)} MB, all changed. The times of statfs, which the kernel "
                     "does not cache, called every 0.1 ms by another process, in ms.",
                     ["what arrives", "p50", "p99", "slowest"],
                     [[name, *waits] for name, waits in took.items()])

    # Growth

    def growth(self):
        fetched, memory, costs = [], [], {}
        fleets = {agents: self.sim(agents)
                  for agents in sorted({*self.size.fleets, self.size.large})}
        # In turns, and often: a mount differs from the next by more than fleets do.
        look_ups = alternate(3 * self.size.rounds, [
            (agents, lambda api=api: self.look_up(api)) for agents, api in fleets.items()])
        for agents, api in fleets.items():
            steps = [(name, lambda part=part, api=api: part(api)) for name, part in (
                ("bare", self.bare), ("listing", self.listing))]
            if agents in self.size.fleets:
                steps.append(("reading", lambda api=api: self.reading(api)))
            took = alternate(self.size.rounds, steps, {"reading": 3} if agents > 10_000 else None)
            listed, again, requests, size = took["listing"]
            fetched.append([f"{agents:,} agents", took["bare"], listed, listed / took["bare"],
                            agents / listed, int(requests), size / 1e6])
            first, warm, *grown = took.get("reading", ("", ""))
            copied = grown and self.on_tmpfs(agents, api)
            costs[agents] = [*(s and s * 1e6 / agents for s in (listed, first, warm)),
                             look_ups[agents], copied and copied * 1e6 / agents, again]
            if grown:
                memory.append([f"{agents:,} agents", *(more / agents for more in grown)])
            api.stop()
            self.got["HTTP requests beyond one a page"] = requests - -(-agents // PER_PAGE)
        self.got["listing of the largest fleet"] = fetched[-1][3]
        self.got["ls of the largest fleet, warm"] = again
        self.got["memory after the listing"] = memory[-1][1]
        self.got["memory after everything was read"] = memory[-1][2]
        for i, name in enumerate(GROWING):
            column = [cost[i] for cost in costs.values() if cost[i]]
            self.got[name] = column[-1] / column[0]
        return "\n".join([
            table("Fetching", "The first read of the whole list, by ls -f of a fresh mount, compared "
                  "with a bare loop of libcurl and cJSON over the same pages, which keeps nothing.",
                  ["", "bare loop s", "fleetfs s", "ratio", "agents/s", "requests", "MB"], fetched),
            table("Memory", "Growth since the mount in bytes per agent: of fleetfs' resident set, and of "
                  "the whole machine's slabs and page cache, which the kernel can reclaim.",
                  ["", "after the listing", "after grep -r", "kernel slabs", "page cache"], memory),
            table("Growth", "In µs. The first grep -r follows the listing. The name that is looked up "
                  "is in the list, but new to the kernel.", ["", *GROWING, ON_TMPFS, "warm ls, s"],
                  [[f"{agents:,} agents", *cost] for agents, cost in costs.items()]),
            self.on_paper(fetched[-1], memory[-1], costs)])

    def on_paper(self, fetched, memory, costs):
        """From what each agent costs in the largest fleet that it was measured of."""
        large, read = max(costs), max(agents for agents, cost in costs.items() if cost[1])
        return table(
            "A million agents, on paper", f"Extrapolated from the cost of one of {large:,} agents"
            + (f"; where all files are read, of one of {read:,}." if read != large else "."), ["", ""], [
                ["HTTP requests", 10**6 // PER_PAGE],
                ["MB fetched", fetched[-1] * 10**6 / large],
                ["listing, s", costs[large][0]],
                ["ls, warm, s", costs[large][-1] * 10**6 / large],
                ["first grep -r, min", costs[read][1] / 60],
                ["warm grep -r, min", costs[read][2] / 60],
                *([f"{name}, GB", each / 1000] for name, each in zip(
                    ("memory after the listing", "memory after grep -r", "kernel slabs then",
                     "page cache then"), memory[1:]))])

    def bare(self, api):
        return self.figures(self.probe("sweep", api.url))[-1]

    def listing(self, api):
        """(Seconds of a mount's first listing, of ls after it, HTTP requests and bytes of both.)"""
        api.reset()
        fleet = self.mount(api)
        first, again = self.shell("ls -f agents", fleet.path), self.shell("ls agents", fleet.path)
        stats = api.stats()
        fleet.stop()
        return first, again, stats["requests"], stats["bytes"]

    def look_up(self, api):
        """Microseconds."""
        fleet = self.mount(api)
        assert not (fleet / "agents/nobody").exists()  # known once all is fetched
        names = random.Random(1).sample(api.permanent(), min(1000, self.size.fleets[0] // 2))
        took = []
        for path in [f"{fleet.path}/agents/{name}" for name in names]:
            began = time.monotonic()
            os.stat(path)
            took.append(time.monotonic() - began)
        fleet.stop()
        return rig.middle(took) * 1e6

    def reading(self, api):
        """(Seconds of the first and the second grep -r, and growth in bytes: resident set after the
        listing, and after all; slabs, page cache.)"""
        fleet = self.mount(api)
        kernel, resident = rig.kernel_bytes(), rig.resident_bytes(fleet.pid)
        self.shell("ls -f agents", fleet.path)
        listed = rig.resident_bytes(fleet.pid)
        first, warm = (self.shell(COMMANDS["grep -r"][0], fleet.path) for _ in range(2))
        slabs, cached = (after - before for before, after in zip(kernel, rig.kernel_bytes()))
        read = rig.resident_bytes(fleet.pid)
        fleet.stop()
        return first, warm, listed - resident, read - resident, slabs, cached

    def on_tmpfs(self, agents, api):
        """Seconds of a grep -r of the same files there, if that is wanted and there is the memory."""
        available, = rig.memory_bytes("MemAvailable")
        if self.size.peer_rounds < 2 or available < agents * COPY_BYTES:
            return ""
        fleet, copy = self.mount(api), self.tmpfs(f"copy-{agents}")
        subprocess.run(["cp", "-a", fleet / "agents", copy], check=True)
        fleet.stop()
        took = rig.middle([self.shell(COMMANDS["grep -r"][0], copy) for _ in range(self.size.warm)])
        subprocess.run(["umount", copy], check=True)
        return took

    # Life

    def life(self):
        def start():
            path = self.work / "start"
            path.mkdir(exist_ok=True)
            began = time.monotonic()
            subprocess.run([self.build / "fleetfs", self.api.url, path], check=True,
                           env=environment(self.work))
            took = time.monotonic() - began
            subprocess.run(["fusermount3", "-u", path], check=True)
            return took

        started = alternate(3 * self.size.rounds, [("", start)])[""]
        fleet = self.mount(self.api, ttl=self.size.ttl)
        self.shell(COMMANDS["grep -r"][0], fleet.path)
        time.sleep(self.size.ttl + 1)  # what was left to do after the last access is done
        before = rig.activity(fleet.pid)
        time.sleep(self.size.idle_s)
        wakeups, cpu_ms = (b - a for a, b in zip(before, rig.activity(fleet.pid)))
        fleet.stop()
        self.got["wake-ups of an idle mount"] = wakeups
        return table("Life", "Wake-ups: how often one of its threads ran.", ["", ""], [
            ["start to mounted, with page 1 fetched, ms", started * 1000],
            [f"wake-ups of an idle mount, in {self.size.idle_s} s", wakeups],
            ["its CPU time meanwhile, ms", cpu_ms]])

    def bars(self):
        rows = []
        for name, relation, limit, unit in BARS:
            value = self.got[name]
            met = {"≤": value <= limit, "≥": value >= limit, "=": value == limit}[relation]
            rows.append([name, f"{rig.figure(value)} {unit}", f"bar {relation} {rig.figure(limit)}",
                         "met" if met else "MISSED"])
        missed = sum(row[-1] == "MISSED" for row in rows)
        return table("Bars", f"{len(rows) - missed} met, {missed} missed. The smallest fleet has "
                     f"{self.size.fleets[0]:,} agents, the largest {self.size.large:,}; all files "
                     f"were read with {self.size.fleets[-1]:,}.",
                     ["", "measured", "promised", ""], rows)


def main():
    parser = rig.options("./run bench", "docs/performance.md", "quick", "full", "smoke")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("bench: it mounts a tmpfs; run it as root")

    report = rig.Report(FIGURES, parser.prog)
    with rig.started(Bench, SIZES[arguments.form], arguments.build) as bench:
        report.machine(bench.build)
        for part in (bench.trees, bench.expiry, bench.processors, bench.questions, bench.operations,
                     bench.many_readers, lambda: far.measure(bench), bench.views, bench.large_page, bench.growth, bench.life, bench.bars):
            report.show(part())
        report.end()
    if arguments.write:
        explained = PAGE.read_text().split(f"{FIGURES}\n")[0]
        PAGE.write_text(explained + report.text())


if __name__ == "__main__":
    main()
