# SPDX-License-Identifier: MIT
"""The base of the mount tests: the simulator, a mount, and waiting for conditions.

A test uses the mount as any program does, through paths, and the simulator through its control
interface. It does not look at the state inside fleetfs.
"""

import concurrent.futures
import contextlib
import ctypes
import errno
import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import time
import urllib.parse
from pathlib import Path

TOKEN = "sk-sim"
HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "data"
UNPACKED = HERE.parent.parent / "build-unpacked"
SUSPICIOUS = ("AddressSanitizer", "LeakSanitizer", "UndefinedBehaviorSanitizer", "runtime error",
              "ThreadSanitizer", "Assertion", "double free", "corrupted", "Segmentation fault")

AGENTS = 230  # of a fleet of three pages
LONG = 600  # a ttl that does not end during a test
PATIENCE = 1  # times what each deadline allows; a wrapper takes its time


def until(condition, seconds=15, every=0.01):
    """Waits for a condition that no event reports; returns its result."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not so within {seconds} s: {condition.__name__}")
        time.sleep(every)


def run(*command, status=0, **options):
    """Runs a program, which must succeed and print nothing on stderr; returns its output."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=60, **options)
    assert done.returncode == status, done.stderr
    assert status or not done.stderr, done.stderr
    return done.stdout


def unpacked(program):
    """The path of a program, installed or below build-unpacked/. Skips the test without it."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:{UNPACKED}/usr/bin:{UNPACKED}/usr/sbin")
    if not path:
        import pytest  # the benchmarks use this module, too, and run without it
        pytest.skip(f"{program} is not installed")
    return path


def code_of(action):
    """The errno that an action fails with, or None."""
    try:
        action()
    except OSError as fault:
        return errno.errorcode[fault.errno]
    return None


def at_once(actions):
    """Runs the actions at the same time, each in a thread; returns their results in the same order."""
    with concurrent.futures.ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(lambda action: action(), actions))


@contextlib.contextmanager
def opened(path):
    """A descriptor of a file or a directory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def mounts(below="/"):
    """{mount point: file system type} of the present mounts below a directory."""
    table = {}
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        before, after = line.split(" - ", 1)
        where = before.split()[4].encode("latin-1", "surrogateescape").decode("unicode_escape")
        if where.startswith(str(below)):
            table[where] = after.split()[0]
    return table


def is_dead(path):
    """Whether a crash left a mount there. stat(2) alone may be answered from the kernel's cache."""
    try:
        os.statvfs(path)
    except OSError as fault:
        return fault.errno == errno.ENOTCONN
    return False


def descendants():
    """{pid: command line} of every descendant of this process."""
    children = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = Path("/proc", entry, "stat").read_text(errors="replace")
            parent = int(stat.rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found, wave = {}, children.get(os.getpid(), [])
    while wave:
        for pid in wave:
            with contextlib.suppress(OSError):
                line = Path("/proc", str(pid), "cmdline").read_bytes()
                found[pid] = line.replace(b"\0", b" ").decode(errors="replace").strip()
        wave = [child for pid in wave for child in children.get(pid, [])]
    return found


def die_with_parent():
    """For preexec_fn: the program ends when the tests end for any reason."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Sim:
    """A running simulator."""

    def __init__(self, program, folder, *arguments):
        self.log = folder / f"sim-{len(list(folder.glob('sim-*')))}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [program, "--with-parent", "--token", TOKEN, *map(str, arguments)],
                stdout=subprocess.PIPE, stderr=log, text=True)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://"), self.log.read_text()
        self.host = urllib.parse.urlsplit(self.url).netloc
        self.connection = http.client.HTTPConnection(self.host, timeout=30)

    def call(self, method, path, body=None, **query):
        if isinstance(body, str):
            body = body.encode("utf-8", "surrogateescape")
        target = f"/_sim/{path}" + ("?" + urllib.parse.urlencode(query) if query else "")
        self.connection.request(method, target, body)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, f"{method} {target}: {answer.status} {text!r}"
        return text

    def another(self):
        """A second connection to the same simulator, for use by another thread."""
        twin = object.__new__(Sim)
        twin.__dict__.update(self.__dict__)
        twin.connection = http.client.HTTPConnection(self.host, timeout=30)
        return twin

    def stats(self):
        return json.loads(self.call("GET", "stats"))

    def requests(self):
        return self.stats()["requests"]

    def pages(self):
        """{page: requests}."""
        return {int(page): count for page, count in self.stats()["pages"].items()}

    def reset(self):
        self.call("POST", "reset")

    def agents(self):
        return json.loads(self.call("GET", "agents").decode("utf-8", "surrogateescape"))

    def raw_agents(self):
        """The JSON text of each agent as it is served, for lists without unusual white space."""
        text = self.call("GET", "agents").decode("utf-8", "surrogateescape")
        decoder, at, found = json.JSONDecoder(), 1, []
        while text[at] != "]":
            _, end = decoder.raw_decode(text, at)
            found.append(text[at:end].encode("utf-8", "surrogateescape"))
            at = end + (text[end] == ",")
        return found

    def permanent(self):
        return json.loads(self.call("GET", "permanent"))

    def put_agents(self, agents):
        """agents: objects, or JSON texts that are served byte for byte."""
        parts = [a if isinstance(a, (str, bytes)) else json.dumps(a) for a in agents]
        parts = [p.encode("utf-8", "surrogateescape") if isinstance(p, str) else p for p in parts]
        self.call("PUT", "agents", b"[" + b",".join(parts) + b"]")

    def put_agent(self, index, agent):
        self.call("PUT", f"agents/{index}", agent if isinstance(agent, str) else json.dumps(agent))

    def change(self, index, **fields):
        """Changes fields of the agent at this position."""
        self.put_agent(index, {**self.agents()[index], **fields})

    def add_agent(self, agent, at=None):
        self.call("POST", "agents", json.dumps(agent), **({} if at is None else {"at": at}))

    def remove_agent(self, index):
        self.call("DELETE", f"agents/{index}")

    def step(self, count=1):
        self.call("POST", "step", n=count)

    def churn(self, ms):
        self.call("POST", "churn", ms=ms)

    def shuffle(self, on=True):
        self.call("POST", "order", shuffle=int(on))

    def hold(self, page=0):
        self.call("POST", "hold", page=page)

    def release(self, page=0):
        self.call("POST", "release", page=page)

    def held(self):
        return int(self.call("GET", "held"))

    def delay(self, ms):
        self.call("POST", "delay", ms=ms)

    def fail(self, status, body=None, **query):
        self.call("POST", "fail", body, status=status, **query)

    def body(self, text, page=0):
        self.call("POST", "body", text, page=page)

    def token(self, token):
        self.call("POST", "token", token)

    def total(self, text):
        self.call("POST", "meta", total=text)

    def validators(self, etag=True, last_modified=False):
        """From now on responses have validators, and unchanged pages are answered with 304."""
        self.call("POST", "validators", etag=int(etag), last_modified=int(last_modified))

    def ok(self):
        self.call("POST", "ok")

    def stop(self):
        self.connection.close()
        self.process.terminate()
        status = self.process.wait(20)
        self.process.stdout.close()
        output = self.log.read_text(errors="replace")
        assert status == 0 and not output, f"the simulator ended with {status}:\n{output}"


def environment(folder, token=TOKEN, **more):
    """The environment of fleetfs: no token but the given one, no team and no CA bundle. Sanitizers write
    into the directory, since a program in the background has no stderr. A variable whose value is None
    is unset."""
    variables = {name: value for name, value in os.environ.items()
                 if name not in ("CYBERUN_KEY", "CYBERUN_TEAM_ID", "CREDENTIALS_DIRECTORY",
                                 "FLEETFS_TOKEN", "XDG_CONFIG_HOME", "SSL_CERT_FILE",
                                 "SSL_CERT_DIR")}
    variables["HOME"] = str(folder)
    variables["ASAN_OPTIONS"] = f"log_path={folder}/sanitizer:exitcode=99:detect_leaks=1"
    variables["UBSAN_OPTIONS"] = f"log_path={folder}/sanitizer:print_stacktrace=1"
    variables["LSAN_OPTIONS"] = "print_suppressions=0"
    variables["TSAN_OPTIONS"] = f"log_path={folder}/sanitizer:exitcode=99"
    variables["REPORTS"] = str(folder)  # for a wrapper's
    if token:
        variables["FLEETFS_TOKEN"] = token
    variables.update(more)
    return {name: value for name, value in variables.items() if value is not None}


def arguments_of(options):
    """ttl=1, delay_connect=True → --ttl=1 --delay_connect"""
    return [f"--{name}" if value is True else f"--{name}={value}"
            for name, value in options.items()]


def suspicious(folder):
    """The reports of sanitizers, and logs with a suspicious word."""
    reports = [report.read_text(errors="replace") for report in folder.glob("sanitizer*")]
    found = [report for report in reports if report]
    for log in folder.glob("fleetfs*.log"):
        text = log.read_text(errors="replace")
        if any(word in text for word in SUSPICIOUS):
            found.append(text)
    return "\n".join(found)


class Mount:
    """A mounted fleetfs in the foreground."""

    def __init__(self, program, folder, source, path=None, token=TOKEN, variables=None, prefix=(),
                 **options):
        self.folder = folder
        self.path = path
        if not path:
            self.path = folder / f"mnt-{len(list(folder.glob('mnt-*')))}"
            self.path.mkdir()
        self.prefix = list(prefix)
        self.log = folder / f"fleetfs-{len(list(folder.glob('fleetfs-*')))}.log"
        self.ended = False
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*prefix, program, "-f", *arguments_of(options), source, str(self.path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment(folder, token, **(variables or {})), preexec_fn=die_with_parent)
        self.pid = self.process.pid
        self.wait_mounted()

    def __truediv__(self, path):
        return self.path / path

    def wait_mounted(self, seconds=60):
        """Waits until the kernel's mount table has the mount, or the process has ended."""
        end = time.monotonic() + seconds * PATIENCE
        table = os.open("/proc/self/mountinfo", os.O_RDONLY)
        process = os.pidfd_open(self.pid)
        events = select.poll()
        events.register(table, select.POLLPRI)
        events.register(process, select.POLLIN)
        try:
            while mounts().get(str(self.path)) != "fuse.fleetfs" or is_dead(self.path):
                left = end - time.monotonic()
                if self.process.poll() is not None or left <= 0:
                    self.kill()
                    raise AssertionError(f"not mounted: {self.process.returncode}\n{self.output()}")
                events.poll(left * 1000)
                os.lseek(table, 0, os.SEEK_SET)
        finally:
            os.close(table)
            os.close(process)

    def output(self):
        return self.log.read_text(errors="replace")

    def mounted(self):
        return str(self.path) in mounts()

    def read(self, path):
        return (self.path / path).read_bytes()

    def text(self, path):
        return (self.path / path).read_text(errors="surrogateescape")

    def values(self, path):
        """The `key: value` lines of a file."""
        return dict(line.split(": ", 1) for line in self.text(path).splitlines())

    def health(self):
        return self.values(".fleetfs/health")

    def agents(self):
        return os.listdir(self.path / "agents")

    def unmount(self):
        subprocess.run([*self.prefix, "fusermount3", "-u", str(self.path)], check=True)
        self.wait_ended()

    def signal(self, number):
        self.process.send_signal(number)

    def wait_ended(self, seconds=20):
        """Waits for the process, which must end without a failure and leave no mount."""
        self.ended = True
        try:
            status = self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {seconds} s\n{self.output()}") from None
        reports = suspicious(self.folder)
        assert not reports, reports
        assert status == 0, f"exit status {status}\n{self.output()}"
        assert not self.mounted(), "the mount is left"

    def kill(self):
        """Ends the process as a crash would."""
        self.ended = True
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.ended:
            return
        self.signal(signal.SIGTERM)
        self.wait_ended()

    def clear(self):
        """Cleans up after a test that failed."""
        if self.process.poll() is None:
            self.kill()
        if self.mounted():
            subprocess.run(["umount", "-l", str(self.path)], check=False)


def counts(mount):
    """The counters of .fleetfs/stats, which is rendered again 0.1 s after it was last read."""
    time.sleep(0.15)
    return {key: int(value) for key, value in mount.values(".fleetfs/stats").items()
            if value.isdigit()}


def counted(mount, run):
    """Returns the result of run(), and by how much it increased each counter, without the cost of
    reading them."""
    first, second = counts(mount), counts(mount)
    result = run()
    third = counts(mount)
    return result, {key: third[key] - 2 * second[key] + first[key] for key in third}


class Blocked:
    """A program that reads a path of the mount and waits there."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def running(self):
        return self.process.poll() is None

    def end(self, number):
        """Sends a signal; returns how long the program took to end, and its exit status."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.communicate(timeout=20)
        return time.monotonic() - began, self.process.returncode

    def result(self, seconds=30):
        output, errors = self.process.communicate(timeout=seconds * PATIENCE)
        return self.process.returncode, output, errors

    def clear(self):
        if self.running():
            self.process.kill()
        self.process.communicate()


def copy_program(program, folder):
    """Copies the program to a place where an ordinary user may execute it."""
    copy = folder / "fleetfs"
    shutil.copy(program, copy)
    copy.chmod(0o755)
    return copy
