# SPDX-License-Identifier: MIT
"""What the shared cache of contrib/cache does when the API sends no usable response: stale answers, few
requests, bounded waiting and bounded memory."""

import contextlib
import fcntl
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness import at_once, opened, run, unpacked, until
from scripted import page
from shared import CONTRIB

pytestmark = pytest.mark.once  # about the configuration, not the daemon's C

PAGE = "/api/v1/agents?current_page=1&per_page=100"
GOOD = page(["a"])


def reply(body, *headers, status="200 OK", kind="application/json", length=None):
    """An action of the scripted server."""
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}",
            f"Content-Length: {len(body) if length is None else length}", *headers]
    return lambda wire: wire.send("\r\n".join(head).encode() + b"\r\n\r\n" + body)


def raw(data, close=True):
    def action(wire):
        wire.send(data)
        if close:
            wire.close()
    return action


JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def trickle(wire):
    wire.send(JSON + b"Content-Length: 1000000\r\n\r\n")
    wire.trickle(b" " * 1000000, 0.2)


BROKEN = {
    "short body": raw(JSON + b"Content-Length: 900\r\n\r\n" + GOOD),
    "short body that is a list": reply(GOOD, length=len(GOOD) + 1),
    "chunks without an end": raw(JSON + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"age\r\n"),
    "chunk without a size": raw(JSON + b"Transfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n"),
    "reset in the body": lambda wire: (wire.send(JSON + b"Content-Length: 900\r\n\r\n{"), wire.reset()),
    "no response": lambda wire: wire.close(),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "text sent as gzip": reply(GOOD, "Content-Encoding: gzip"),
    "gzip that breaks off": reply(gzip.compress(GOOD)[:-9], "Content-Encoding: gzip"),
    "gzip with a wrong checksum": reply(
        gzip.compress(GOOD)[:-8] + b"\0" * 8, "Content-Encoding: gzip"),
    "gzip not declared": reply(gzip.compress(GOOD)),
    "gzip twice": reply(gzip.compress(gzip.compress(GOOD)), "Content-Encoding: gzip, gzip"),
    "brotli": reply(b"\x0b\x02\x80{}\x03", "Content-Encoding: br"),
    "304 without a condition": raw(b"HTTP/1.1 304 Not Modified\r\n\r\n", close=False),
    "304 with a tag": raw(b'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\n\r\n', close=False),
    "interim response alone": raw(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"),
    "status 99": reply(GOOD, status="099 Odd"),
    "status 700": reply(GOOD, status="700 Odd"),
    **{f"status {status}": reply(b"{}", status=f"{status} Failed")
       for status in (500, 501, 503, 505, 507, 511, 520, 599, 429, 408)},
    "206": reply(GOOD[:9], "Content-Range: bytes 0-8/99", status="206 Partial Content"),
    "203": reply(GOOD, status="203 Transformed"),
    "empty body": reply(b""),
    "HTML": reply(b"<html>", kind="text/html"),
    "HTML as JSON": reply(b"<html>"),
    "list sent as HTML": reply(GOOD, kind="text/html"),
    "an error": reply(b'{"error": "no"}'),
    "null": reply(b"null"),
    "list without its object": reply(b'[{"agent_id": "a"}]'),
    "no list": reply(b'{"agent_list": null}'),
    "object as list": reply(b'{"agent_list": {}}'),
    "list deeper": reply(b'{"data": {"agent_list": []}}'),
    "list in a string": reply(b'{"x": "\\"agent_list\\": []"}'),
    "list in an element": reply(b'{"agent_lists": [{"agent_list": []}]}'),
    "JSON that breaks off": reply(GOOD[:-1]),
    "JSON that breaks off in a string": reply(b'{"agent_list": ["a'),
    "JSON that breaks off in an escape": reply(b'{"agent_list": ["a\\'),
    "JSON that goes on": reply(GOOD + b"x"),
    "two objects": reply(GOOD + GOOD),
    "comma at the end": reply(b'{"agent_list": [1,]}'),
    "no comma": reply(b'{"agent_list": [1 2]}'),
    "no colon": reply(b'{"agent_list" []}'),
    "key without quotes": reply(b'{agent_list: []}'),
    "wrong bracket": reply(b'{"agent_list": [}}'),
    "wrong bracket inside": reply(b'{"agent_list": [[1}, {"a": 1]]}'),
    "bracket too much": reply(b'{"agent_list": []]}'),
    "comma alone": reply(b'{"agent_list": [,]}'),
    "comma in front": reply(b'{"agent_list": [,1]}'),
    "comma at the end of an object": reply(b'{"agent_list": [],}'),
    "key without a value": reply(b'{"agent_list": [], "x"}'),
    "value without a key": reply(b'{"agent_list": [], 1}'),
    "element with a key": reply(b'{"agent_list": ["a": 1]}'),
    "brackets left open": reply(b'{"agent_list": [[[[1]]'),
    "wrong number": reply(b'{"agent_list": [01]}'),
    "wrong word": reply(b'{"agent_list": [nul]}'),
    "line feed in a string": reply(b'{"agent_list": ["\n"]}'),
    "unknown escape": reply(b'{"agent_list": ["\\q"]}'),
    "NUL behind it": reply(GOOD + b"\0"),
    "byte order mark": reply(b"\xef\xbb\xbf" + GOOD),
    "deep and wrong": reply(b'{"agent_list": ' + b"[" * 5000 + b"]" * 4999 + b"}}"),
    "headers too long": reply(GOOD, *[f"X{i}: {'y' * 2000}" for i in range(40)]),
}

WELL = [
    GOOD, b'{"agent_list":[]}', b' \r\n\t{ "agent_list" : [ ] } \n', b'{"agent_list":[{}],"page_meta":null}',
    b'{"page_meta":{"total_count":0},"agent_list":[]}', '{"agent_list":["\\u00e9é\\"\\\\\\/"]}'.encode(),
    b'{"agent_list":[0,-0,1.5,-1e9,1E+2,2e-3,true,false,null,"",[[]],{"":{}}]}',
    b'{"agent_list":["\x7f"]}', b'{"a\\"b":1,"agent_list":[]}', page([f"a{i}" for i in range(100)]),
    json.dumps({"agent_list": ["x" * 100] * 40000}).encode(),
    b'{"agent_list":[{"x":[[],{},[ ] ,{ }]},{"a":{"b":[{"c":1},2]}}],"x":{"agent_list":0}}',
    # fleetfs drops an element that is nested this deep, and shows the others.
    *[b'{"agent_list":[{"agent_id":"a"},{"x":%s%s},{"agent_id":"b"}]}' % (b"[" * depth, b"]" * depth)
      for depth in (40, 5000, 90000)],
    b'{"agent_list":[%s1%s]}' % (b'{"x":[' * 20000, b"]}" * 20000),
    b'{"agent_list": [{"x": ' + b'[{"y": ' * 5000 + b"[]" + b"}]" * 5000 + b"}]}",
    b'{"agent_list": [' + b"[" * 200000 + b"]" * 200000 + b"]}",
]


def test_unusual_responses_that_are_valid_are_stored(scripted, origin, cache):
    kinds = {
        "x-gzip": reply(gzip.compress(GOOD), "Content-Encoding: x-gzip"),
        "gzip in capitals": reply(gzip.compress(GOOD), "Content-Encoding: GZIP"),
        "90 headers": reply(GOOD, *[f"X-Header-{i}: {i}" for i in range(87)]),
    }
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    for number, (kind, answer) in enumerate(kinds.items(), 1):
        server.answer = answer
        status, _, body = shared.get(PAGE.replace("=1&", f"={number}&"))
        assert (status, body) == (200, GOOD), kind


@pytest.mark.parametrize("part", range(4))
def test_stale_answer_covers_every_unusable_response(scripted, origin, cache, part):
    """All kinds at the same time, each on a page of its own; ten callers for each page."""
    kinds = list(BROKEN)[part::4]
    server = scripted(agents=["a"])
    shared = cache(origin(server))

    def get(number):
        return shared.get(PAGE.replace("=1&", f"={number}&"), max_age=1)

    def answer(wire):
        kind = BROKEN[kinds[wire.number - 1]]
        return server.broken and kind(wire) or (None if server.broken else wire.reply(GOOD))
    server.broken = False
    server.answer = answer
    pages = range(1, len(kinds) + 1)
    assert [get(number)[0] for number in pages] == [200] * len(kinds)
    time.sleep(1.1)  # all of them expire
    server.broken = True
    server.heads.clear()
    began = time.monotonic()
    wrong = {}
    while time.monotonic() - began < 2.5:
        for number in pages:
            for status, headers, body in at_once([lambda n=number: get(n)] * 4):
                if status != 200 or body != GOOD or float(headers["Age"]) < 1:
                    wrong[kinds[number - 1]] = status, body[:200]
    took = time.monotonic() - began
    assert not wrong
    for number, kind in enumerate(kinds, 1):
        asked = [head for head in server.heads if f"current_page={number}&".encode() in head]
        assert 1 <= len(asked) <= took + 2, kind
    server.broken = False
    for number in pages:
        until(lambda n=number: float(get(n)[1].get("Age", 9)) < 1, seconds=3)


def test_unusable_response_is_requested_once_a_second_when_nothing_is_stale(scripted, origin, cache):
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    for kind in "status 503", "status 520", "short body", "an error", "text sent as gzip", "list sent as HTML":
        server.answer = BROKEN[kind]
        server.heads.clear()
        began = time.monotonic()
        while time.monotonic() - began < 2:
            results = at_once([shared.get] * 30)
            assert all(status >= 500 for status, _, _ in results), (kind, results[0])
            assert all(b"the shared cache" in body for _, _, body in results), (kind, results[0])
        assert 1 <= server.requests <= time.monotonic() - began + 1, kind
    assert all(b"Content-Type" in body for _, _, body in results), results[0]
    server.answer = lambda wire: wire.reply(GOOD)
    until(lambda: shared.get()[0] == 200, seconds=3)


def test_callers_without_limits_of_age_share_failures_and_responses_in_the_future(scripted, origin, cache):
    """Callers that send no-cache, and an API whose responses are too old for every caller."""
    server = scripted(agents=["a"])
    shared = cache(origin(server))

    def slowly(wire):
        time.sleep(0.5)
        reply(GOOD, "Age: 100")(wire)
    server.answer = slowly
    for max_age in 0, 10:
        server.heads.clear()
        results = at_once([lambda n=max_age: shared.get(max_age=n)] * 50)
        assert {status for status, _, _ in results} == {200}
        assert all(float(headers["Age"]) >= 100 for _, headers, _ in results)
        assert server.requests <= 3


def test_valid_list_is_kept_as_it_is(scripted, origin, cache):
    server = scripted()
    shared = cache(origin(server))
    server.answer = lambda wire: reply(WELL[wire.number - 1])(wire) if b"gzip" not in wire.head.split()[1] \
        else reply(gzip.compress(WELL[wire.number - 1]), "Content-Encoding: gzip")(wire)
    for number, body in enumerate(WELL, 1):
        for prefix in "/api", "/gzip":
            for _ in range(2):
                status, _, got = shared.get(f"{prefix}/agents?current_page={number}&per_page=100")
                assert (status, got) == (200, body), body[:100]
    assert server.requests == 2 * len(WELL)


@pytest.mark.parametrize("framing, whale", [
    ("length", "x" * (12 << 20)), ("chunks", "x" * (12 << 20)), ("gzip", "x" * (12 << 20)),
    ("length", [0] * 1_000_000)], ids=["length", "chunks", "gzip", "values"])
def test_page_that_is_too_large_is_read_in_parts(scripted, origin, cache, mount, certificates, framing,
                                                 whale):
    agents = [{"agent_id": f"agent-{i}"} for i in range(100)]
    agents[40:50] = [{"agent_id": f"heavy-{i}", "padding": "x" * 900_000} for i in range(10)]
    agents[70] = {"agent_id": "whale", "padding": whale}
    server = scripted()

    def answer(wire):
        body = page(agents, wire.number, int(re.search(rb"per_page=(\d+)", wire.head)[1]))
        if framing == "length":
            wire.reply(body)
        elif framing == "chunks":
            wire.send(JSON + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body
                      + b"\r\n0\r\n\r\n")
        else:
            wire.reply(gzip.compress(body, 1), headers=["Content-Encoding: gzip"])

    server.answer = answer
    shared = cache(origin(server))
    fleet = mount(shared, ttl=600, timeout=60, cacert=certificates / "ca.pem", delay_connect=True)
    assert set(os.listdir(fleet / "agents")) == {a["agent_id"] for a in agents} - {"whale"}
    assert fleet.health()["verified"] == "yes"
    assert int(fleet.values(".fleetfs/stats")["malformed"]) == 1


def test_page_that_became_too_large_is_not_covered_by_a_stale_answer(scripted, origin, cache):
    """A stale answer would keep the mounts from requesting smaller parts."""
    server = scripted(["a"])
    shared = cache(origin(server))
    assert shared.get(max_age=1)[0] == 200
    server.answer = reply(b'{"agent_list": ["' + b"x" * (9 << 20) + b'"]}')
    until(lambda: shared.get(max_age=1)[0] == 413)


def test_interim_responses_never_mix_up_the_callers(scripted, origin, cache):
    server = scripted()

    def answer(wire):
        token = re.search(rb"(?i)authorization: Bearer (\S+)", wire.head)[1].decode()
        wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
        time.sleep(0.01)
        wire.reply(page([token]))
    server.answer = answer
    shared = cache(origin(server))
    seen = []

    def ask(token):
        for _ in range(30):
            status, _, body = shared.get(token=token, max_age=0)
            seen.append(status)
            assert status >= 500 or json.loads(body)["agent_list"] == [{"agent_id": token}]
    faults = []
    threads = [threading.Thread(target=lambda n=i: ask(f"sk-{n}")) for i in range(8)]
    threading.excepthook, before = lambda told: faults.append(told), threading.excepthook
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    threading.excepthook = before
    assert not faults and len(seen) == 240


@pytest.mark.alone
def test_trickled_body_holds_callers_for_eight_seconds_at_most(scripted, origin, cache):
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    assert shared.get(max_age=1)[0] == 200
    time.sleep(1.1)
    server.answer = trickle
    began = time.monotonic()
    results = at_once([lambda: shared.get(max_age=1)] * 20)
    cold = []
    thread = threading.Thread(target=lambda: cold.append(shared.get(token="sk-2")))
    thread.start()
    assert 7 < time.monotonic() - began < 9.5
    assert {status for status, _, _ in results} == {200}
    thread.join(30)
    assert cold[0][0] == 504
    assert server.requests <= 3
    until(lambda: connections_in_use(shared) == 0, seconds=20)  # nothing goes on behind the callers


def connections_in_use(shared):
    return int(run(unpacked("varnishstat"), "-n", shared.folder / "varnish", "-1", "-f",
                   "VBE.*.api.conn").split()[1])


@pytest.mark.parametrize("status", ["404 No", "500 No", "401 No", "200 OK"])
@pytest.mark.parametrize("size", [60 << 10, 4 << 20])
def test_bodies_of_failures_take_bounded_memory(scripted, origin, cache, status, size):
    server = scripted()
    server.answer = reply(b"x" * size, status=status)
    shared = cache(origin(server), MEMORY="16m")
    before, most = shared.memory_mib(), 0
    for i in range(8):
        at_once([lambda n=i: [shared.get(f"/api/{n}x{j}/agents")[0] for j in range(8)]] * 25)
        most = max(most, shared.memory_mib())
    assert most - before < 300
    assert shared.counter("SMA.Transient.g_bytes") <= 64 << 20
    assert shared.counter("SMA.Transient.g_space") > 0  # it has a limit


def test_gzip_bomb_takes_bounded_memory(scripted, origin, cache):
    bomb = gzip.compress(b'{"agent_list": ["' + b"x" * (256 << 20) + b'"]}', 6)
    server = scripted()
    server.answer = reply(bomb, "Content-Encoding: gzip")
    shared = cache(origin(server), MEMORY="16m")
    before = shared.memory_mib()
    over, most = threading.Event(), [0]

    def watch():
        while not over.wait(0.05):
            most[0] = max(most[0], shared.memory_mib())
    watcher = threading.Thread(target=watch)
    watcher.start()
    results = at_once([lambda: shared.get()[0]] * 10)
    over.set()
    watcher.join()
    assert all(status >= 500 for status in results)
    assert most[0] - before < 450
    server.answer = lambda wire: wire.reply(GOOD)
    until(lambda: shared.get()[0] == 200)


# The directory and the metrics

@pytest.mark.alone  # another cache that starts would remove the directory, too
def test_directory_of_a_killed_cache_is_removed_by_the_next(scripted, origin, cache):
    way = origin(scripted(agents=["a"]))
    living = cache(way)
    killed = cache(way)
    killed.kill()
    assert killed.folder.exists()
    assert living.metrics()["fetches_total"] == 0
    until(lambda: not [pid for pid in Path("/proc").glob("[0-9]*/cmdline")
                       if str(killed.folder).encode() in contents(pid)])
    another = cache(way)
    until(lambda: not killed.folder.exists())  # a cache of another test may be removing it
    assert living.folder.exists() and another.folder.exists()
    assert living.get()[0] == another.get()[0] == 200


def contents(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_leftovers_of_others_and_links_are_left_alone(scripted, origin, cache, folder):
    (folder / "precious").mkdir()
    link = Path("/dev/shm/fleetfs-cache-link00")
    foreign = Path("/dev/shm/fleetfs-cache-other0")
    try:
        link.symlink_to(folder / "precious")
        foreign.mkdir()
        os.chown(foreign, 65534, 65534)
        cache(origin(scripted(agents=["a"])))
        assert (folder / "precious").exists() and link.is_symlink() and foreign.exists()
    finally:
        link.unlink(missing_ok=True)
        foreign.rmdir()


def test_metrics_count_requests_and_failures(scripted, origin, cache, folder):
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    for _ in range(3):
        shared.get()
    until(lambda: shared.metrics()["hits_total"] >= 2)  # Varnish counts with a delay
    metrics = shared.metrics()
    assert metrics["fetches_total"] == 1 and metrics["failures_total"] == 0
    assert metrics["memory_bytes"] > 0 and metrics["evictions_total"] == 0
    server.answer = BROKEN["an error"]
    shared.get(token="sk-2")
    until(lambda: shared.metrics()["failures_total"] == 1)
    text = run(CONTRIB / "fleetfs-cache", "metrics", env=shared.environment)
    done = subprocess.run([unpacked("promtool"), "check", "metrics"], input=text, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_metrics_count_a_killed_varnish(scripted, origin, cache):
    shared = cache(origin(scripted(agents=["a"])))
    manager = next(pid for pid, command in shared.children().items() if "varnishd" in command)
    os.kill(int(Path(f"/proc/{manager}/task/{manager}/children").read_text().split()[0]), signal.SIGKILL)
    until(lambda: shared.metrics().get("crashes_total") == 1)
    until(lambda: shared.get()[0] == 200)


@contextlib.contextmanager
def cache_directory_of(user, listen):
    """The directory of a cache that this user pretends to run: listen is a shell command that makes the file with this
    name."""
    directory = Path(f"/dev/shm/fleetfs-cache-{os.urandom(3).hex()}")
    directory.mkdir()
    try:
        os.chown(directory, user, user)
        run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "sh", "-c", listen, cwd=directory)
        with opened(directory) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    finally:
        shutil.rmtree(directory)


@pytest.mark.alone  # the caches of other tests have counters, too
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("user", [20001, 61999])  # an ordinary user, and one of DynamicUser=
def test_metrics_are_safe_from_directories_of_other_users(folder, user):
    """With a varnishstat that any directory satisfies."""
    secret = folder / "secret"
    secret.write_text("secret of root\n")
    secret.chmod(0o600)
    (folder / "varnishstat").write_text("#!/bin/sh\necho 'MAIN.cache_hit 7 0.00 Hits'\n")
    (folder / "varnishstat").chmod(0o755)
    folder.chmod(0o755)
    variables = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}

    def metrics(listen):
        with cache_directory_of(user, listen):
            return subprocess.run([CONTRIB / "fleetfs-cache", "metrics"], env=variables, text=True,
                                  capture_output=True, timeout=30, check=False).stdout
    assert "secret" not in metrics(f"ln -s {secret} listen")
    assert "hits_total{" not in metrics("mkfifo listen")
    assert "evil 1" not in metrics("printf 'x\"} 7\\nevil 1\\n' >listen")
    assert ('{listen=":443"} 7' in metrics("echo :443 >listen")) == (user > 60000)


def test_a_second_cache_on_a_port_fails(scripted, origin, cache):
    shared = cache(origin(scripted(agents=["a"])))
    second = subprocess.run([CONTRIB / "fleetfs-cache"], env=shared.environment, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode != 0 and f"127.0.0.1:{shared.port}" in second.stderr
    assert shared.get()[0] == 200
