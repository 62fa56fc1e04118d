# SPDX-License-Identifier: MIT
"""What the benchmark stands on: what is compared, runs in turns, what the kernel knows, tables."""

import argparse
import contextlib
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mount"))
from harness import Mount, Sim, mounts, until  # noqa: E402

FOREVER = 86400  # a ttl
# How the processors of a virtual machine idle.
GOVERNOR = Path("/sys/devices/system/cpu/cpuidle/current_governor")
HALT_POLL = Path("/sys/module/haltpoll/parameters/guest_halt_poll_ns")
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.environ["PATH"]}


def alternate(rounds, steps, fewer=None):
    """Runs the steps, (key, function that returns a figure or several), one after the other, round
    by round; those with a key in fewer for so many rounds only. {key: median of what was returned}.
    """
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


def figure(value):
    """To two decimals, or as many as matter."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def table(title, note, head, rows):
    """As Markdown that is aligned for the terminal."""
    cells = [head, *([figure(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["| " + " | ".join(cell.rjust(width) if i else cell.ljust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))) + " |"
             for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + (":" if i else "-")
                                   for i, width in enumerate(widths)) + "|")
    return "\n".join([f"### {title}", "", textwrap.fill(note, 100), "", *lines, ""])


class Peer:
    """Another file system that shows the tree, in the foreground."""

    def __init__(self, command, path):
        self.path = path
        path.mkdir(exist_ok=True)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

        def is_mounted():
            assert self.process.poll() is None, f"{' '.join(command)}: ended"
            return str(path) in mounts()
        until(is_mounted)

    def stop(self):
        subprocess.run(["fusermount3", "-u", str(self.path)], check=True)
        self.process.wait(20)

    def clear(self):
        if self.process.poll() is None:
            self.process.kill()
            subprocess.run(["umount", "-l", str(self.path)], check=False)


class Rig:
    """Starts what is compared, below one folder; the stack ends what still runs at the end."""

    def __init__(self, build, work, stack):
        self.build, self.work, self.stack = build, work, stack
        self.output = work / "output"  # of the last command

    def sim(self, agents):
        api = Sim(self.build / "tests/fleetfs-sim", self.work, "--agents", agents)
        self.stack.callback(api.process.kill)
        return api

    def mount(self, api, ttl=FOREVER):
        mounted = Mount(self.build / "fleetfs", self.work, api.url, ttl=ttl, timeout=120)
        self.stack.callback(mounted.clear)
        return mounted

    def far(self, port, round_trip_ms):
        """The port of a relay to this one: tests/bench/relay.py."""
        relay = subprocess.Popen([sys.executable, HERE / "relay.py", str(round_trip_ms), str(port)],
                                 stdout=subprocess.PIPE, text=True)
        self.stack.callback(relay.kill)
        return int(relay.stdout.readline())

    def peer(self, command, path):
        peer = Peer(command, path)
        self.stack.callback(peer.clear)
        return peer

    def tmpfs(self, name="tmpfs"):
        path = self.work / name
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=95%,nr_inodes=0", "tmpfs", path],
                       check=True)
        self.stack.callback(subprocess.run, ["umount", "-lq", path], check=False)
        return path

    def shell(self, command, at):
        """Runs it in this folder, with its output into a file; the seconds it took."""
        with open(self.output, "wb") as out:
            began = time.monotonic()
            done = subprocess.run(["sh", "-c", command], cwd=at, stdout=out, env=ENVIRONMENT,
                                  check=False)
            took = time.monotonic() - began
        assert done.returncode == 0, f"{command}, in {at}: exit status {done.returncode}"
        return took

    def probe(self, *arguments):
        """bench-probe, to be read."""
        return subprocess.Popen([self.build / "tests/bench-probe", *map(str, arguments)],
                                stdout=subprocess.PIPE, text=True)

    @staticmethod
    def figures(probe):
        """The figures that bench-probe said, when it has ended."""
        said = probe.communicate()[0]
        assert probe.returncode == 0, probe.args
        return tuple(float(word) for word in said.split() if word[0].isdigit())

    def meanwhile(self, file, run):
        """What bench-probe says of operations on this file, every 0.1 ms, while something runs; and
        what that returned."""
        probe = self.probe("latency", file, 60_000, 100)
        probe.stdout.readline()  # ready
        returned = run()
        probe.terminate()
        return self.figures(probe), returned


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory_bytes(*names):
    """Of the whole machine, as the kernel names it."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return [int(fields[name].split()[0]) * 1024 for name in names]


def kernel_bytes():
    """In slabs, and in the page cache but for tmpfs."""
    slab, cached, shared = memory_bytes("Slab", "Cached", "Shmem")
    return slab, cached - shared


def activity(pid):
    """(How often a thread went off its processor, CPU ms). A system call that waits, and a thread
    that is woken to make one, count; so if neither figure moves, there was none."""
    switches = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                switches += int(line.split()[1])
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return switches, (int(stat[11]) + int(stat[12])) * 1000 / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def one_processor():
    """For this process and what it starts."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextlib.contextmanager
def halt_poll(ns):
    """For the whole machine."""
    was = HALT_POLL.read_text()
    try:
        HALT_POLL.write_text(ns)
        yield
    finally:
        HALT_POLL.write_text(was)


def options(program, page, *forms):
    """Those that each benchmark has; the first of its forms needs none."""
    parser = argparse.ArgumentParser(prog=program)
    parser.set_defaults(form=forms[0])
    group = parser.add_mutually_exclusive_group()
    for form in forms[1:]:
        group.add_argument(f"--{form}", action="store_const", const=form, dest="form")
    parser.add_argument("--write", action="store_true", help=f"into {page}, too")
    parser.add_argument("--build", type=Path, default=HERE.parent.parent / "build")
    return parser


@contextlib.contextmanager
def started(kind, size, build):
    """A benchmark of this kind, in a folder of its own."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave no mount
    with contextlib.ExitStack() as stack:
        work = Path(tempfile.mkdtemp(prefix="fleetfs-bench-"))
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        yield kind(size, build.resolve(), work, stack)


def machine(build):
    """What it runs on."""
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    version = subprocess.run([build / "fleetfs", "-V"], capture_output=True, text=True, check=True)
    packages = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${Version}, ", "squashfuse", "bindfs", "rclone", "grep",
         "ripgrep", "findutils", "coreutils", "curl", "jq"],
        capture_output=True, text=True, check=False)
    idle = [path.read_text().strip() for path in (GOVERNOR, HALT_POLL) if path.exists()]
    return {"processors": f"{os.cpu_count()} × {cpu}",
            "processors that idle": " with guest_halt_poll_ns = ".join(idle) or
            "halt at once (no cpuidle driver); the host of a virtual machine may poll for them",
            "memory": f"{memory:.1f} GiB",
            "kernel": platform.release(), "fleetfs": ", ".join(version.stdout.splitlines()),
            "beside it": packages.stdout.strip(", "),
            "load when it began": f"{os.getloadavg()[0]:.2f}",
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


class Report:
    """Markdown, said part by part as it comes, and kept."""

    def __init__(self, heading, program):
        self.began, self.parts = time.monotonic(), []
        self.show(f"{heading}\n\nWritten by `" + " ".join([program, *sys.argv[1:]]) + "`; "
                  f"`tests/bench/{Path(sys.argv[0]).name}` has the method of each figure.\n")

    def show(self, text):
        self.parts.append(text)
        print(text, flush=True)

    def machine(self, build, *but):
        for key, value in machine(build).items():
            if key not in but:
                self.show(textwrap.fill(f"- {key}: {value}", 100, subsequent_indent="  "))
        self.show("")

    def end(self):
        self.show(f"It took {time.monotonic() - self.began:.0f} s.")

    def text(self):
        return "\n".join(self.parts) + "\n"
