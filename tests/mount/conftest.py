# SPDX-License-Identifier: MIT
"""Fixtures. `sim` and `mount` start any number of simulators and mounts, and check that each ends well:
exit status 0, no report of a sanitizer, no mount and no process left."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import browser as browsers
import documents
import harness
import machine as machines
import scripted as scripts
import shared
import tls

PREFIX = f"fleetfs-test-{os.getpid()}-"
LIMIT_S = 180  # for one test, on a machine that has other work; usually nothing takes a minute


def pytest_addoption(parser):
    parser.addoption("--build", default=str(harness.HERE.parent.parent / "build"),
                     help="the build folder that holds fleetfs and tests/fleetfs-sim")
    parser.addoption("--wrapper", default="",
                     help="what fleetfs is to run under, as shell text; it may write what it finds "
                          "to \"$REPORTS\"/sanitizer-…, and leaves an empty file if that is nothing")


def pytest_configure(config):
    """A shell starts background programs with SIGINT ignored, and every reader would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--wrapper"):
        harness.PATIENCE = 6


def is_instrumented(config):
    """Whether this is a build with sanitizers, or runs under a wrapper: both are much slower."""
    program = Path(config.getoption("--build"), "fleetfs")
    words = program.read_bytes() if program.exists() else b""
    return bool(config.getoption("--wrapper")) or any(
        word in words for word in (b"__asan_init", b"__tsan_init"))


def pytest_collection_modifyitems(config, items):
    if config.getoption("--wrapper"):
        for item in items:
            if item.get_closest_marker("unwrapped"):
                item.add_marker(pytest.mark.skip(reason="means nothing under a wrapper"))
    if is_instrumented(config):  # not skipped: they ran, elsewhere
        left = [item for item in items if item.get_closest_marker("once")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    items.sort(key=lambda item: not item.get_closest_marker("long"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """With FLEETFS_NO_SKIP=1 a test that would be skipped because a program is not installed fails."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("FLEETFS_NO_SKIP") and \
            "is not installed" in str(report.longrepr):
        report.outcome, report.longrepr = "failed", str(report.longrepr)


@pytest.fixture(scope="session")
def programs(request, tmp_path_factory):
    build = Path(request.config.getoption("--build")).resolve()
    found = {"fleetfs": build / "fleetfs", "sim": build / "tests" / "fleetfs-sim"}
    for program in found.values():
        assert os.access(program, os.X_OK), f"{program} is not there: ninja -C {build}"
    wrapper = request.config.getoption("--wrapper")
    if wrapper:
        found["fleetfs"] = tmp_path_factory.mktemp("wrapper") / "fleetfs"
        found["fleetfs"].write_text(f'#!/bin/sh\nexec {wrapper} {build / "fleetfs"} "$@"\n')
        found["fleetfs"].chmod(0o755)
    return found


@pytest.fixture(scope="session")
def instrumented(request):
    return is_instrumented(request.config)


@pytest.fixture(scope="session", autouse=True)
def nothing_left(request):
    """Fails if a mount or a process outlives the tests. Those of tests that run at the same time are
    ignored."""
    yield
    left = [where for where, kind in harness.mounts().items()
            if kind == "fuse.fleetfs" and where.startswith(f"{tempfile.gettempdir()}/{PREFIX}")]
    for where in left:
        subprocess.run(["umount", "-l", where], check=False)
    assert not left, f"mounts left: {left}"
    running = {pid: line for pid, line in harness.descendants().items() if "fleetfs" in line}
    assert not running, f"processes left: {running}"


@pytest.fixture
def folder(request):
    """A directory for this test alone, which an ordinary user can enter."""
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    path.chmod(0o1777 if request.config.getoption("--wrapper") else 0o755)
    yield path
    for where in harness.mounts():
        if where.startswith(str(path) + "/"):
            subprocess.run(["umount", "-l", where], check=False)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def started():
    """Everything that a test started; stopped in reverse order."""
    return []


@pytest.fixture(autouse=True)
def limit(started, request):
    """Ends a test that hangs: kills its mounts, which releases all readers."""
    def ring(_number, _frame):
        for thing in started:
            if isinstance(thing, harness.Mount):
                thing.process.kill()
        raise AssertionError(f"took longer than {LIMIT_S * harness.PATIENCE} s")
    previous = signal.signal(signal.SIGALRM, ring)
    signal.alarm(LIMIT_S * harness.PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def stopping(started, folder, limit):
    yield started
    faults = []
    for thing in reversed(started):
        if isinstance(thing, harness.Blocked):
            thing.clear()
            continue
        try:
            thing.stop()
        except AssertionError as fault:
            faults.append(str(fault))
        finally:
            if isinstance(thing, harness.Mount):
                thing.clear()
    reports = harness.suspicious(folder)
    if reports and reports not in faults:
        faults.append(reports)
    assert not faults, "\n".join(faults)


@pytest.fixture
def sim(programs, folder, stopping):
    """sim(agents=250, churn=20): a simulator."""
    def start(**options):
        arguments = [word for name, value in options.items()
                     for word in (f"--{name.replace('_', '-')}", value)]
        stopping.append(harness.Sim(programs["sim"], folder, *arguments))
        return stopping[-1]
    return start


@pytest.fixture
def scripted(stopping):
    """scripted(agents=["a"]): a server that does what a test tells it."""
    def start(*arguments, **options):
        stopping.append(scripts.Server(*arguments, **options))
        return stopping[-1]
    return start


@pytest.fixture
def machine(programs, folder, stopping):
    """A machine with users and /etc files of its own (machine.py)."""
    folder.chmod(0o1777)  # for what a sanitizer has to say of an ordinary user's
    stopping.append(machines.Machine(programs["fleetfs"], folder))
    return stopping[-1]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """The directory of the test certificates."""
    folder = tmp_path_factory.mktemp("certificates")
    tls.make_certificates(folder)
    return folder


@pytest.fixture
def origin(folder, certificates, stopping):
    """origin(sim): TLS in front of it; origin(sim, {condition of haproxy: another sim})."""
    def start(*sims, certificate="localhost"):
        stopping.append(shared.Origin(folder, certificates / f"{certificate}.both", *sims))
        return stopping[-1]
    return start


@pytest.fixture
def cache(folder, certificates, stopping):
    """cache(origin): the shared cache of contrib/cache, in front of it."""
    def start(origin, **variables):
        stopping.append(shared.Cache(folder, certificates, origin, **variables))
        return stopping[-1]
    return start


@pytest.fixture
def mount(programs, folder, stopping):
    """mount(sim, ttl=1): fleetfs on this simulator, or on a URL or a file."""
    def start(source, **options):
        url = str(getattr(source, "url", source))
        program = options.pop("program", programs["fleetfs"])
        stopping.append(harness.Mount(program, folder, url, **options))
        return stopping[-1]
    return start


@pytest.fixture
def fleet(sim, mount):
    """A mount of three pages of agents that do not expire."""
    api = sim(agents=harness.AGENTS)
    mounted = mount(api, ttl=harness.LONG)
    mounted.api = api
    return mounted


@pytest.fixture
def blocked(stopping):
    """blocked("cat", path): a program in the background."""
    def start(*command):
        stopping.append(harness.Blocked(*map(str, command)))
        return stopping[-1]
    return start


@pytest.fixture
def fleetfs(programs, folder, stopping):
    """fleetfs("--ttl=1", url, path): runs it as a user would, until it exits or is in the background.
    Other options are those of subprocess.run()."""
    def run(*arguments, token=harness.TOKEN, variables=None, timeout=30, **options):
        return subprocess.run([programs["fleetfs"], *map(str, arguments)], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=timeout * harness.PATIENCE, errors="replace",
                              env=harness.environment(folder, token, **(variables or {})), **options)
    return run


@pytest.fixture
def refused(fleetfs, folder):
    """refused(…): runs fleetfs, which must fail with one line and mount nothing. Returns the line."""
    def check(*arguments, status=1, **options):
        before = harness.mounts(folder)
        began = time.monotonic()
        done = fleetfs(*arguments, **options)
        assert done.returncode == status, (done.returncode, done.stderr)
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("fleetfs: "), done.stderr
        assert harness.mounts(folder) == before
        assert time.monotonic() - began < 15 * harness.PATIENCE
        return lines[0]
    return check


@pytest.fixture
def commands(request):
    """The blocks of commands in the documents that this test runs (documents.py)."""
    return documents.commands_of(request.function.__name__, documents.DOCUMENTS)


@pytest.fixture
def path(folder):
    """An empty directory to mount on."""
    where = folder / "mnt"
    where.mkdir()
    return where


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    started = browsers.Browser(tmp_path_factory.mktemp("chromium"))
    yield started
    started.driver.quit()


@pytest.fixture
def browser(chromium):
    """Its console is empty, unless a test reads what it has."""
    yield chromium
    chromium.driver.get("about:blank")
    assert chromium.console() == []
