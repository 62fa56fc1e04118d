# SPDX-License-Identifier: MIT
"""Caches between the API and the mount, and what HTTP has against asking for too much: ages, conditions,
compression, connections. What is asked is seen at the server, request by request."""

import gzip
import re
import time

import pytest

from harness import code_of, until
from scripted import ask_again, own

LONG = 600  # a ttl that no test sees the end of
COLD = {"ttl": LONG, "stale": LONG, "retries": 0, "delay_connect": True}


def aged(age, *more):
    """Answers as a cache does that has kept what it sends."""
    return lambda wire: wire.good(headers=[f"Age: {age}", *more])


def headers_of(head, name):
    """All values of a header in a request."""
    return re.findall(rf"^{name}: (.*?)\r?$", head.decode(), re.M | re.I)


def set_status(server, status):
    server.agents = [{"agent_id": "a", "agent_status": status}]


# Age

def test_a_value_is_as_old_as_the_cache_says(scripted, mount):
    """It is served for what is left of the ttl; one from no cache for all of it."""
    cached, direct = scripted(), scripted()
    cached.answer = aged(f"{LONG - 4}.5")
    fleets = []
    for server in (cached, direct):
        set_status(server, "old")
        fleets.append(mount(server, ttl=LONG))
        assert fleets[-1].text("agents/a/status") == "old\n"
        set_status(server, "new")
    assert fleets[0].text("agents/a/status") == "old\n"
    assert (cached.requests, direct.requests) == (1, 1)
    until(lambda: fleets[0].text("agents/a/status") == "new\n")
    assert cached.requests == 2
    assert fleets[1].text("agents/a/status") == "old\n"
    assert direct.requests == 1


def test_only_the_page_that_is_old_is_asked_for_again(scripted, mount):
    server = scripted([f"a{n}" for n in range(30)], per_page=10)
    server.answer = lambda wire: aged(f"{LONG - 4}.5" if wire.number == 2 else 0)(wire)
    fleet = mount(server, ttl=LONG, per_page=10)
    assert len(fleet.agents()) == 30
    assert server.requests == 3
    server.agents[15] = {"agent_id": "a15", "agent_status": "new"}
    until(lambda: fleet.text("agents/a15/status") == "new\n")
    assert len(fleet.agents()) == 30
    assert server.requests == 4
    assert b"current_page=2" in server.heads[-1]


def test_a_cache_is_told_what_is_accepted(scripted, mount):
    server = scripted()
    for options, line in (({}, "max-age=10, stale-if-error=300"),
                          ({"ttl": 2.9, "stale": 7.5}, "max-age=2, stale-if-error=7"),
                          ({"ttl": 0.5, "stale": 0}, "max-age=0")):
        mount(server, **options)
        assert headers_of(server.heads[-1], "Cache-Control") == [line]


def test_an_old_answer_is_stale_data_and_not_asked_for_again_at_once(scripted, mount):
    server = scripted()
    server.answer = aged(LONG + 50)
    set_status(server, "kept")
    fleet = mount(server, **COLD)
    for _ in range(50):
        assert fleet.text("agents/a/status") == "kept\n"
        assert fleet.agents() == ["a"]
    assert server.requests <= 3  # held for a second, then for two; a busy machine sees both
    health = own(fleet, "health")
    assert health["state"] == "stale"
    assert float(health["list_age"]) >= LONG + 50
    assert f"{LONG + 50} s old" in health["reason"]
    error = own(fleet, "last_error")
    assert (error["kind"], error["http_status"]) == ("old", "200")
    assert "cache" in error["remedy"]
    assert headers_of(server.heads[-1], "Cache-Control") == [f"max-age={LONG}, stale-if-error={LONG}"]
    # It recovers by itself.
    server.answer = aged(0)
    set_status(server, "new")
    until(lambda: fleet.text("agents/a/status") == "new\n")
    assert own(fleet, "health")["state"] == "ok"


def test_an_answer_beyond_all_use_is_asked_for_past_the_caches(scripted, mount):
    server = scripted()
    fleet = mount(server, **COLD)
    server.answer = aged(2 * LONG)
    assert code_of(fleet.agents) == "EREMOTEIO"
    assert server.requests == 2
    assert headers_of(server.heads[1], "Cache-Control") == ["no-cache"]
    assert own(fleet, "last_error")["kind"] == "old"
    assert own(fleet, "health")["state"] == "failing"

    def heeds(wire):
        past = b"no-cache" in wire.head
        wire.good() if past else aged(2 * LONG)(wire)
    server.answer = heeds
    until(lambda: code_of(fleet.agents) is None)
    assert sorted(fleet.agents()) == ["a", "b", "c"]
    assert own(fleet, "health")["state"] == "ok"


@pytest.mark.parametrize("age, kind", [
    ("-1", None), ("", None), ("x", None), ("1e9", None), ("0x7fffffff", None),
    ("99999999999999999999", "old"), ("99999999999999999999.5", "old"),
    ("0\r\nAge: 99999999999999999999", "old"), ("7" * 4000, None),
    ("x\r\nDate: Thu, 01 Jan 1970 00:00:01 GMT", "old"),
    ("x\r\nDate: Fri, 31 Dec 9999 23:59:59 GMT", None)])
def test_whatever_an_age_says_nothing_is_served_for_longer(scripted, mount, age, kind):
    server = scripted()
    server.answer = aged(age)
    fleet = mount(server, **COLD)
    assert code_of(fleet.agents) == ("EREMOTEIO" if kind else None)
    assert own(fleet, "last_error").get("kind") == kind
    server.answer = aged("0")
    ask_again(fleet)
    assert sorted(fleet.agents()) == ["a", "b", "c"]


def test_the_date_of_an_answer_from_no_cache_says_nothing(scripted, mount):
    """The clock at the other end may be wrong, or ours."""
    server = scripted()
    server.answer = lambda wire: wire.good(headers=["Date: Thu, 01 Jan 1970 00:00:01 GMT",
                                                    "Via: 1.1 gateway"])
    fleet = mount(server, ttl=LONG)
    for _ in range(10):
        fleet.agents()
    assert server.requests == 1


# The rest of it

def test_one_connection_one_name_and_compression(scripted, mount, fleetfs):
    server = scripted([f"a{n}" for n in range(50)], per_page=10)
    packed = []

    def answer(wire):
        assert headers_of(wire.head, "Accept-Encoding") == ["gzip"]
        body = gzip.compress(server.page(wire.number))
        packed.append(len(body))
        wire.reply(body, headers=["Content-Encoding: gzip"])
    server.answer = answer
    fleet = mount(server, ttl=LONG, per_page=10, max_connections=1)
    assert len(fleet.agents()) == 50
    assert server.requests == 5
    assert server.connections == 1
    version = fleetfs("--version").stdout.split()[1]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert {tuple(headers_of(head, "User-Agent")) for head in server.heads} == {(f"fleetfs/{version}",)}
    assert sum(packed) < int(own(fleet, "stats")["bytes"]) < sum(packed) + 5 * 300
