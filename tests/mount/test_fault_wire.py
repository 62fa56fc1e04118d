# SPDX-License-Identifier: MIT
"""Faults that a server can cause, by row of docs/faults.md: the effect on a reader, and what the server
receives."""

import concurrent.futures
import email.utils
import gzip
import itertools
import json
import os
import socket
import threading
import time
import zlib

import pytest

import harness
from harness import code_of, until
from scripted import Wire, ask_again, own, page, peak_mib, took

COLD = {"ttl": 600, "retries": 0, "timeout": 2, "delay_connect": True}
WARM = {"ttl": 0.3, "retries": 0}
MOST_MIB = 256
OLD = [{"agent_id": "a", "agent_status": "old"}, {"agent_id": "b", "agent_status": "old"}]


def error_of(fleet):
    return own(fleet, "last_error")


def keeps_its_data(server, fleet):
    """Checks that a mount that has read its fleet serves stale data during a fault, and reports it."""
    if "reason" not in own(fleet, "health"):  # nothing has failed yet
        time.sleep(WARM["ttl"] + 0.1)
    ask_again(fleet)
    before = server.requests
    assert fleet.text("agents/a/status") == "old\n"
    assert sorted(fleet.agents()) == ["a", "b"]
    assert server.requests > before, "did not ask"
    until(lambda: "reason" in fleet.health())
    health = fleet.health()
    assert health["state"] == "stale"
    assert float(health["list_age"]) > 0 and float(health["next_try"]) >= 0


def recovers(server, fleet):
    """Checks that the mount recovers without help when the fault ends."""
    server.answer = Wire.good
    server.agents = [{"agent_id": "a", "agent_status": "new"}, {"agent_id": "c"}]
    until(lambda: code_of(fleet.agents) is None and sorted(fleet.agents()) == ["a", "c"])
    assert fleet.text("agents/a/status") == "new\n"
    assert own(fleet, "health")["state"] == "ok"


def at_once(check, *prepared):
    """Runs check(fault, …) for all faults at the same time, each with a server and mounts of its own: it
    mostly waits."""
    with concurrent.futures.ThreadPoolExecutor(len(prepared)) as pool:
        for those, done in [(those, pool.submit(check, *those)) for those in prepared]:
            try:
                done.result()
            except AssertionError as wrong:
                raise AssertionError(those[0].__name__) from wrong


# Row 1

def test_delay_connect_mounts_without_an_api_and_recovers(scripted, mount):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    fleet = mount(f"http://127.0.0.1:{port}/api/v1", **COLD)
    assert code_of(fleet.agents) == "EHOSTUNREACH"
    assert code_of(lambda: os.stat(fleet / "agents/a")) == "EHOSTUNREACH"
    assert own(fleet, "health")["state"] == "failing"
    assert "refused" in error_of(fleet)["message"]
    recovers(scripted(port=port), fleet)


# Row 2

def reset_at_once(wire):
    wire.reset()


def reset_in_the_headers(wire):
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: app")
    wire.reset()


def reset_in_the_body(wire):
    body = wire.server.page(wire.number)
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:-1])
    time.sleep(0.05)  # what has arrived is read, rather than lost with the connection
    wire.reset()


def test_reset_connection_costs_no_data(scripted, mount):
    servers = [scripted(OLD) for _ in range(3)]
    at_once(is_reset, *[
        (fault, codes, server, mount(server, **WARM), mount(server, **COLD))
        for server, (fault, codes) in zip(servers, [
            (reset_at_once, ["EHOSTUNREACH"]),
            (reset_in_the_headers, ["EHOSTUNREACH", "EREMOTEIO"]),
            (reset_in_the_body, ["EREMOTEIO"])])])


def is_reset(fault, codes, server, warm, cold):
    assert sorted(warm.agents()) == ["a", "b"]
    server.answer = fault
    assert code_of(cold.agents) in codes
    assert own(cold, "health")["state"] == "failing" and error_of(cold)["message"]
    keeps_its_data(server, warm)
    recovers(server, warm)
    recovers(server, cold)


def test_reset_connection_is_retried_without_a_failure(scripted, mount):
    server = scripted(OLD)
    faults = iter([reset_at_once, reset_in_the_body])
    server.answer = lambda wire: next(faults, Wire.good)(wire)
    fleet = mount(server, ttl=600, retries=2, delay_connect=True)
    assert sorted(fleet.agents()) == ["a", "b"]
    assert server.requests == 3 and fleet.health()["state"] == "ok"


# Row 4

def trickled_headers(wire):
    wire.trickle(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000, every=0.1)


def trickled_body(wire):
    body = wire.server.page(wire.number)
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
    wire.trickle(body, every=0.1)


def stalled_answer(wire):
    wire.stall()


def stalled_headers(wire):
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Len")
    wire.stall()


def stalled_body(wire):
    body = wire.server.page(wire.number)
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:-1])
    wire.stall()


SLOW = [trickled_headers, trickled_body, stalled_answer, stalled_headers, stalled_body]


@pytest.mark.alone
def test_slow_or_stalled_response_ends_in_a_timeout(scripted, mount):
    servers = [scripted(OLD) for _ in SLOW]
    at_once(is_given_up, *[(fault, server, mount(server, **WARM, timeout=1),
                            mount(server, **{**COLD, "timeout": 1}))
                           for fault, server in zip(SLOW, servers)])


def is_given_up(fault, server, warm, cold):
    assert sorted(warm.agents()) == ["a", "b"]
    server.answer = fault
    code, seconds = took(lambda: code_of(cold.agents))
    assert code == "ETIMEDOUT" and seconds < 2.5
    ask_again(warm)
    text, seconds = took(lambda: warm.text("agents/a/status"))
    assert text == "old\n" and seconds < 2.5
    keeps_its_data(server, warm)
    assert "within 1 s" in error_of(warm)["message"]
    if fault in (stalled_answer, stalled_headers, stalled_body):
        until(lambda: server.given_up >= 2)  # the connections are closed, too
    recovers(server, warm)


@pytest.mark.alone
def test_waiting_reader_times_out_and_cached_reads_are_not_delayed(scripted, mount):
    servers = [scripted([f"n{i}" for i in range(200)]) for _ in SLOW]
    at_once(waits_for_nothing, *[(fault, server, mount(server, **COLD))
                                 for fault, server in zip(SLOW, servers)])


def waits_for_nothing(fault, server, fleet):
    server.answer = lambda wire: Wire.good(wire) if wire.number == 1 else fault(wire)
    assert fleet.text("agents/n5/id") == "n5\n"
    results = []

    def read(path):
        results.append(took(lambda: code_of(lambda: fleet.read(path))))
    readers = [threading.Thread(target=read, args=(path,))
               for path in ("agents/n150/id", "agents/n151/agent.json", "agents/nobody/id")]
    for reader in readers:
        reader.start()
    until(lambda: server.requests >= 2)
    assert not results
    text, seconds = took(lambda: [fleet.text(f"agents/n{i}/id") for i in range(100)])
    assert text == [f"n{i}\n" for i in range(100)]
    assert seconds < harness.PATIENCE
    assert took(lambda: os.statvfs(fleet.path))[1] < harness.PATIENCE
    assert took(lambda: fleet.health())[1] < 1
    assert not results, "over before what is cached was read: the test is too slow"
    for reader in readers:
        reader.join()
    assert [code for code, _ in results] == ["ETIMEDOUT"] * 3
    assert all(seconds < 4 for _, seconds in results)


# Row 5

def test_response_cut_at_any_byte_is_rejected(scripted, mount):
    server = scripted(OLD)
    warm = mount(server, **WARM)
    cold = mount(server, **COLD)
    assert sorted(warm.agents()) == ["a", "b"]
    body = page(["x", {"agent_id": "y", "agent_labels": ["z"]}])
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    whole, cut = head + body, 0

    def answer(wire):
        wire.send(whole[:cut])
        wire.close()
    server.answer = answer
    for cut in range(len(whole)):
        before = server.requests
        ask_again(cold)
        code = code_of(cold.agents)
        assert code == "EREMOTEIO" or cut < len(head) and code == "EHOSTUNREACH", (cut, code)
        assert server.requests > before, cut
        if cut % 10 == 0:
            keeps_its_data(server, warm)
    cut = len(whole)
    ask_again(cold)
    assert sorted(cold.agents()) == ["x", "y"]


def test_cut_body_without_content_length_is_rejected(scripted, mount):
    server = scripted()
    fleet = mount(server, **COLD)
    body, cut = page(["x", "y"]), 0

    def answer(wire):
        wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body[:cut])
        wire.close()
    server.answer = answer
    for cut in range(0, len(body), 3):
        ask_again(fleet)
        assert code_of(fleet.agents) == "EREMOTEIO", cut
        error = error_of(fleet)
        assert cut == 0 or (error["kind"], error["remedy"]) == ("truncated", "try again"), error
    cut = len(body)
    ask_again(fleet)
    assert sorted(fleet.agents()) == ["x", "y"]


def wrong_length(more, close=True):
    def answer(wire):
        body = wire.server.page(wire.number)
        wire.reply(body, length=len(body) + more)
        if close:
            wire.close()
    return answer


def two_lengths(wire):
    body = wire.server.page(wire.number)
    wire.reply(body, headers=["Content-Length: 5"])
    wire.close()


@pytest.mark.parametrize("fault", [
    pytest.param(wrong_length(1), id="one too many"),
    pytest.param(wrong_length(1 << 40), id="a tebibyte"),
    pytest.param(wrong_length(-1), id="one too few"),
    pytest.param(wrong_length(-1, close=False), id="one too few, connection kept"),
    pytest.param(lambda wire: (wire.reply(b"{}", length="-5"), wire.close()), id="negative"),
    pytest.param(lambda wire: (wire.reply(b"{}", length="9" * 30), wire.close()), id="huge"),
    pytest.param(two_lengths, id="two lengths")])
def test_wrong_content_length_is_rejected(scripted, mount, fault):
    server = scripted(OLD)
    warm = mount(server, **WARM)
    cold = mount(server, **{**COLD, "timeout": 1})
    assert sorted(warm.agents()) == ["a", "b"]
    server.answer = fault
    assert code_of(cold.agents) in ("EREMOTEIO", "ETIMEDOUT")
    keeps_its_data(server, warm)
    server.answer = Wire.good
    for fleet in (warm, cold):
        ask_again(fleet)
        assert sorted(fleet.agents()) == ["a", "b"]
        assert own(fleet, "health")["state"] == "ok"


# Row 6

CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"


def endless_chunks(wire):
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    wire.flood(CHUNK * 16)


def a_gibibyte(wire):
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    wire.flood(b" " * (1 << 20))


def bomb(layers):
    def answer(wire):
        deflate = zlib.compressobj(1, wbits=31)
        packed = [deflate.compress(b" " * (1 << 22)) for _ in range(64)]
        body = b"".join(packed) + deflate.flush()
        names = ["gzip"]
        for _ in range(layers - 1):
            body, names = gzip.compress(body, 1), names + ["gzip"]
        wire.reply(body, headers=["Content-Encoding: " + ", ".join(names)])
    return answer


def endless_headers(wire):
    wire.send(b"HTTP/1.1 200 OK\r\n")
    wire.flood(b"X-More: and more and more and more\r\n" * 1000)


def an_endless_header(wire):
    wire.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    wire.flood(b"and more" * 10000)


def endless_interim(wire):
    wire.flood(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def endless_hints(wire):
    wire.flood(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000)


def endless_trailers(wire):
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-More\r\n\r\n"
              b"2\r\n{}\r\n0\r\n")
    wire.flood(b"X-More: and more and more and more\r\n" * 1000)


def an_endless_error(wire):
    wire.send(b"HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n")
    wire.flood(b"<p>sorry</p>" * 10000)


def an_endless_chunk_size(wire):
    wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    wire.flood(b"0" * 65536)


@pytest.mark.alone
def test_endless_responses_are_cut_off_and_memory_is_bounded(scripted, mount, instrumented):
    server = scripted(OLD)
    warm = mount(server, **WARM)
    cold = mount(server, **{**COLD, "timeout": 10})
    assert sorted(warm.agents()) == ["a", "b"]
    for fault in (endless_chunks, a_gibibyte, bomb(1), bomb(2), endless_headers, an_endless_header,
                  endless_interim, endless_hints, endless_trailers, an_endless_error,
                  an_endless_chunk_size):
        server.answer = fault
        server.flooded.clear()
        ask_again(cold)
        code, seconds = took(lambda: code_of(cold.agents))
        assert code == "EREMOTEIO", (fault, code, error_of(cold))
        assert seconds < 8, (fault, seconds)
        keeps_its_data(server, warm)
        assert all(sent < 64 << 20 for sent in server.flooded), (fault, server.flooded)
    if not instrumented:
        assert peak_mib(cold) < MOST_MIB and peak_mib(warm) < MOST_MIB
    server.answer = Wire.good
    ask_again(cold)
    assert sorted(cold.agents()) == ["a", "b"]


# Row 7

def listed(*agents):
    return b'{"agent_list":[' + b",".join(agents) + b'],"page_meta":{"current_page":1,' \
        b'"per_page":100,"total_count":%d}}' % len(agents)


TREES = {
    "nested 1000 deep": (listed(b'{"agent_id":"a","x":' + b"[" * 1000 + b"]" * 1000 + b"}"), set()),
    "nested, without an end": (b'{"agent_list":' + b"[" * (4 << 20), None),
    "objects 1000 deep": (listed(b'{"x":' * 1000 + b"1" + b"}" * 1000), set()),
    "[0,0,… of 8 MiB": (listed(b"[" + b"0," * (4 << 20) + b"0]"), None),
    "[0,0,… as the list": (listed(*[b"0"] * 400000), None),
    "as many tokens as there may be": (listed(b"[" + b"0," * 499900 + b"0]", b'{"agent_id":"a"}'),
                                       {"a"}),
    "10^5 keys in one agent": (listed(
        b'{"agent_id":"a",' + b",".join(b'"k%d":%d' % (i, i) for i in range(100000)) + b"}",
        b'{"agent_id":"b"}'), {"b"}),
    "as many keys as an agent may have": (listed(
        b'{"agent_id":"a",' + b",".join(b'"k%d":[]' % i for i in range(60000)) + b"}"), {"a"}),
    "8 MiB in one string": (listed(b'{"agent_id":"' + b"x" * (8 << 20) + b'"}'), None),
    "7 MiB in one agent": (listed(b'{"agent_id":"a","x":"' + b"x" * (7 << 20) + b'"}',
                                  b'{"agent_id":"b"}'), {"b"}),
    "10000 agents of all that fits": (listed(*[
        b'{"agent_id":"%d","agent_labels":[%s]}' % (i, b",".join(b'"%d"' % j for j in range(40)))
        for i in range(10000)]), 10000),
    "10001 agents": (listed(*[b'{"agent_id":"%d"}' % i for i in range(10001)]), None),
}


@pytest.mark.alone
def test_extreme_json_is_rejected_or_served_at_once(scripted, mount, instrumented):
    server = scripted()
    server.answer = lambda wire: wire.reply(body)
    fleet = mount(server, **{**COLD, "timeout": 20})
    for name, (body, wanted) in TREES.items():
        ask_again(fleet)
        if wanted is None:
            code, seconds = took(lambda: code_of(lambda: os.stat(fleet / f"agents/nobody-{len(name)}")))
            assert code == "EREMOTEIO", name
            assert error_of(fleet)["http_status"] == "200", name
        else:
            names, seconds = took(fleet.agents)
            assert wanted == len(names) or wanted == set(names), name
            assert own(fleet, "health")["state"] == "ok", name
        assert seconds < (8 if instrumented else 1), (name, seconds)
    if not instrumented:
        assert peak_mib(fleet) < MOST_MIB


# Row 8

def test_body_that_is_no_page_costs_no_data(scripted, mount):
    server = scripted(OLD)
    warm = mount(server, **WARM)
    cold = mount(server, **COLD)
    assert sorted(warm.agents()) == ["a", "b"]
    server.answer = lambda wire: wire.reply(body)
    good = page(["x"])
    for body in (b"<!DOCTYPE html><title>Log in</title>", b"", good + b"x",
                 good + good, b'{"page_meta":{}}', b'{"agent_list":null}',
                 b'{"agent_list":{"a":1}}', b'{"agent_list":"a"}', good.decode().encode("utf-16"),
                 b"\0" * 1000, bytes(range(256)), gzip.compress(good)):
        ask_again(cold)
        assert code_of(cold.agents) == "EREMOTEIO", body
        assert error_of(cold)["kind"] == "malformed", body
        keeps_its_data(server, warm)
    server.answer = Wire.good
    ask_again(cold)
    assert sorted(cold.agents()) == ["a", "b"]


# Row 9

def in_seconds(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.alone
@pytest.mark.parametrize("value,least,most", [
    (lambda: "5", 3.5, 5), (lambda: in_seconds(20), 15, 20), (lambda: in_seconds(-1000), 0, 1),
    (lambda: "1000000000", 298, 300), (lambda: "soon", 0, 1), (lambda: "-5", 0, 1),
    (lambda: "0", 0, 1), (lambda: "9" * 40, 0, 300)])
def test_retry_after_is_obeyed_up_to_five_minutes(scripted, mount, value, least, most):
    server = scripted()
    server.answer = lambda wire: wire.reply(b'{"message":"not so fast"}',
                                            "429 Too Many Requests", [f"Retry-After: {value()}"])
    fleet = mount(server, **{**COLD, "retries": 2})
    assert code_of(fleet.agents) == "EBUSY"
    assert least <= float(fleet.health()["next_try"]) <= most
    for _ in range(20):
        assert code_of(fleet.agents) == "EBUSY"
        assert code_of(lambda: fleet.read("agents/a/id")) == "EBUSY"
    assert server.requests == 1
    assert "not so fast" in error_of(fleet)["message"]


# Row 10

def test_failing_api_gets_at_most_one_request_a_second(scripted, mount):
    statuses = itertools.cycle(["500 Oops", "502 Bad", "503 Busy", "504 Late"])
    server = scripted()
    server.answer = lambda wire: wire.reply(b"{}", next(statuses))
    fleet = mount(server, **{**COLD, "retries": 2})
    end, seen, reads = time.monotonic() + 5, set(), [0]

    def hammer(path):
        while time.monotonic() < end:
            seen.add(code_of(lambda: fleet.read(path)))
            reads[0] += 1
    readers = [threading.Thread(target=hammer, args=(f"agents/n{i}/id",)) for i in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert seen == {"EREMOTEIO"} and reads[0] > 100
    assert 2 <= server.requests <= 6


# Row 11

def test_token_rotated_during_a_request_is_read_again_once(scripted, mount, folder):
    file = folder / "token"
    file.touch(mode=0o600)
    file.write_text("sk-first\n")
    right = b"sk-first"

    def answer(wire):
        if b"Authorization: Bearer " + right + b"\r\n" in wire.head + b"\r\n":
            wire.good()
        else:
            wire.reply(b'{"message":"expired"}', "401 Unauthorized")
    server = scripted(OLD)
    server.answer = answer
    fleet = mount(server, **WARM, token=None, token_file=file)
    assert sorted(fleet.agents()) == ["a", "b"]

    # Changed between a request and its answer.
    def rotate(wire):
        nonlocal right
        right = b"sk-second"
        file.write_text("sk-second\n")
        server.answer = answer
        answer(wire)
    server.answer = rotate
    server.heads.clear()
    time.sleep(WARM["ttl"] + 0.1)
    assert sorted(fleet.agents()) == ["a", "b"]
    assert own(fleet, "health")["state"] == "ok" and fleet.read(".fleetfs/last_error") == b""
    assert [b"sk-second" in head for head in server.heads] == [False, True]


# Row 12

@pytest.mark.parametrize("status,code,words", [
    ("401 Unauthorized", "EACCES", '{"message":"token revoked"}'),
    ("403 Forbidden", "EACCES", '{"error":{"message":"token revoked"}}'),
    ("400 Bad Request", "EINVAL", '{"detail":"X-Team-ID is missing: token revoked"}')])
def test_message_of_the_api_is_shown_escaped(scripted, mount, status, code, words):
    server = scripted()
    server.answer = lambda wire: wire.reply(words.encode(), status)
    fleet = mount(server, **{**COLD, "retries": 2})
    assert code_of(fleet.agents) == code
    assert server.requests <= 2
    assert error_of(fleet)["http_status"] == status[:3]
    assert "token revoked" in error_of(fleet)["message"]
    words = json.dumps({"message": "a\nstate: ok\x1b]0;x\x07\u202e" + "x" * 10000})
    ask_again(fleet)
    assert code_of(fleet.agents) == code
    text = fleet.read(".fleetfs/last_error") + fleet.read(".fleetfs/health")
    assert len(text) < 4000 and b"\x1b" not in text and b"\xe2\x80\xae" not in text
    assert error_of(fleet)["http_status"] == status[:3]
    assert own(fleet, "health")["state"] == "failing"


# Row 13

def test_redirect_is_not_followed_and_its_target_gets_no_byte(scripted, mount):
    other, server = scripted(), scripted()
    places = [f"http://127.0.0.1:{other.port}/api/v1/agents", f"//127.0.0.1:{other.port}/",
              f"https://127.0.0.1:{other.port}/", f"http://localhost:{other.port}/",
              f"http://user:pass@127.0.0.1:{other.port}/", "/elsewhere", "file:///etc/passwd",
              "gopher://127.0.0.1/", "http://[bad", ""]
    token, team = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "team_secret"
    fleet = mount(server, token=token, team=team, **COLD)
    asked = 0
    for status in (301, 302, 303, 305, 307, 308):
        for place in places:
            server.answer = lambda wire: wire.reply(b"", f"{status} Moved", [f"Location: {place}"])
            ask_again(fleet)
            assert code_of(fleet.agents) == "EREMOTEIO", (status, place)
            asked += 1
            assert server.requests == asked, (status, place)
    assert error_of(fleet)["http_status"] == "308"
    assert all(f"Bearer {token}".encode() in head and team.encode() in head
               for head in server.heads)
    assert other.connections == 0 and not other.received


# Row 16

def test_connection_closed_at_the_next_request_is_not_noticed_by_readers(scripted, mount):
    """The server promises keep-alive, and closes the connection when the next request arrives."""
    server = scripted(OLD)

    def answer(wire):
        if wire.count > 1:
            wire.close()
        wire.good()
    server.answer = answer
    fleet = mount(server, **WARM)
    for _ in range(4):
        time.sleep(WARM["ttl"] + 0.1)
        assert sorted(fleet.agents()) == ["a", "b"]
        assert fleet.text("agents/a/status") == "old\n"
        assert own(fleet, "health")["state"] == "ok"
    assert fleet.read(".fleetfs/last_error") == b""
    assert server.connections >= 4
    assert int(fleet.values(".fleetfs/stats")["requests"]) < server.requests


@pytest.mark.parametrize("how", ["close", "reset"])
def test_closed_idle_connection_is_not_noticed_by_readers(scripted, mount, how):
    server = scripted(OLD)

    def answer(wire):
        wire.good()
        if how == "reset":
            wire.reset()
        wire.close()
    server.answer = answer
    fleet = mount(server, **WARM)
    for _ in range(4):
        time.sleep(WARM["ttl"] + 0.1)
        assert sorted(fleet.agents()) == ["a", "b"]
    assert fleet.read(".fleetfs/last_error") == b""
    assert server.connections == server.requests


def test_http_1_0_is_understood(scripted, mount):
    agents = [f"n{i}" for i in range(250)]
    server = scripted(agents)

    def answer(wire):
        wire.send(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"
                  + server.page(wire.number))
        wire.close()
    server.answer = answer
    fleet = mount(server, ttl=600, retries=0)
    assert sorted(fleet.agents()) == sorted(agents)
    assert own(fleet, "health")["verified"] == "yes"
    assert server.requests == server.connections == 3


# Row 18

def test_endless_list_costs_a_bounded_number_of_requests(scripted, mount):
    """Every page is full of new agents, and the count grows with each page."""
    server = scripted()

    def answer(wire):
        agents = [{"agent_id": f"{wire.number}-{i}"} for i in range(100)]
        wire.reply(json.dumps({"agent_list": agents, "page_meta": {
            "current_page": wire.number, "per_page": 100,
            "total_count": 100 * wire.number + 1000}}).encode())
    server.answer = answer
    fleet = mount(server, **{**COLD, "timeout": 1})
    with os.scandir(fleet / "agents") as entries:
        seen = {entry.name for entry in itertools.islice(entries, 5000)}
    assert len(seen) == 5000
    assert server.requests <= 100
    until(lambda: fleet.text("agents/1-5/id") == "1-5\n")
