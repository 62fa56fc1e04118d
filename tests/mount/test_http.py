# SPDX-License-Identifier: MIT
"""HTTP caches between the API and the mount, and how HTTP saves transfers: ages, conditions, compression
and connections. The server checks each request."""

import gzip
import os
import re

import pytest

from expected import STATUSES
from harness import code_of, run, until
from scripted import Wire, ask_again, own

LONG = 600  # a ttl that no test sees the end of
COLD = {"ttl": LONG, "stale": LONG, "retries": 0, "delay_connect": True}


def aged(age, *more):
    """Answers like a cache that has stored the response."""
    return lambda wire: wire.good(headers=[f"Age: {age}", *more])


def headers_of(head, name):
    """All values of a header in a request."""
    return re.findall(rf"^{name}: (.*?)\r?$", head.decode(), re.M | re.I)


def set_status(server, status):
    server.agents = [{"agent_id": "a", "agent_status": status}]


# Age

def test_a_value_is_as_old_as_the_cache_says(scripted, mount):
    """A response with an age is served for the rest of the ttl, one without for all of it."""
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


def test_requests_after_sighup_bypass_all_caches(scripted, mount):
    server = scripted()
    fleet = mount(server, ttl=LONG)
    fleet.text("agents/a/id")
    ask_again(fleet)
    fleet.text("agents/a/id")
    fleet.agents()
    cache_control = [headers_of(head, "Cache-Control") for head in server.heads]
    assert cache_control == [[f"max-age={LONG}, stale-if-error=300"], ["no-cache"]]


def test_only_an_old_page_is_requested_again(scripted, mount):
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


@pytest.mark.parametrize("where", ["agents", "by-status"])
def test_a_listing_is_kept_for_as_long_as_its_oldest_page(scripted, mount, where):
    server = scripted([{"agent_id": name, "agent_status": name} for name in "abc"], per_page=2)
    server.answer = lambda wire: aged(f"{LONG - 2}.0" if wire.number == 2 else 0)(wire)
    fleet = mount(server, ttl=LONG, per_page=2)
    assert set("abc") <= set(os.listdir(fleet / where)) <= set("abc") | set(STATUSES)
    server.agents.append({"agent_id": "d", "agent_status": "d"})
    until(lambda: set("abcd") <= set(os.listdir(fleet / where)))
    assert server.requests == 3


def test_request_states_the_accepted_age(scripted, mount):
    server = scripted()
    for options, line in (({}, "max-age=10, stale-if-error=300"),
                          ({"ttl": 2.9, "stale": 7.5}, "max-age=2, stale-if-error=7"),
                          ({"ttl": 0.5, "stale": 0}, "max-age=0")):
        mount(server, **options)
        assert headers_of(server.heads[-1], "Cache-Control") == [line]


def test_old_response_is_stale_data_and_not_requested_again_at_once(scripted, mount):
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


def test_response_older_than_stale_is_requested_bypassing_the_caches(scripted, mount):
    server = scripted()
    fleet = mount(server, **COLD)
    server.answer = aged(2 * LONG)
    assert code_of(fleet.agents) == "EREMOTEIO"
    # Each page is requested once, and once more past the caches. Page 2 shows whether page 1 alone is bad.
    asked = [(re.search(rb"current_page=(\d+)", head)[1], headers_of(head, "Cache-Control") == ["no-cache"])
             for head in server.heads]
    assert asked == [(b"1", False), (b"1", True), (b"2", False), (b"2", True)]
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
    ("0\r\nAge: 99999999999999999999", "old"), ("0, 99999999999999999999", "old"),
    ("0\r\n \r\nAge: 99999999999999999999", "old"), ("7" * 4000, None),
    ("x\r\nDate: Thu, 01 Jan 1970 00:00:01 GMT", "old"),
    ("x\r\nDate: Fri, 31 Dec 9999 23:59:59 GMT", None)])
def test_no_age_header_makes_data_fresh_for_longer(scripted, mount, age, kind):
    server = scripted()
    server.answer = aged(age)
    fleet = mount(server, **COLD)
    assert code_of(fleet.agents) == ("EREMOTEIO" if kind else None)
    assert own(fleet, "last_error").get("kind") == kind
    server.answer = aged("0")
    ask_again(fleet)
    assert sorted(fleet.agents()) == ["a", "b", "c"]


def test_date_without_age_is_ignored(scripted, mount):
    """The clock of the server or of this machine may be wrong."""
    server = scripted()
    server.answer = lambda wire: wire.good(headers=["Date: Thu, 01 Jan 1970 00:00:01 GMT",
                                                    "Via: 1.1 gateway"])
    fleet = mount(server, ttl=LONG)
    for _ in range(10):
        fleet.agents()
    assert server.requests == 1


# Conditions

def statuses(api):
    return {int(status): count for status, count in api.stats()["status"].items()}


def everything(fleet):
    """All lines that grep finds in the agents."""
    return run("grep", "-r", ".", fleet / "agents", fleet / "fleet/agents.tsv")


def test_an_unchanged_fleet_costs_no_body(sim, mount):
    api = sim(agents=1042)
    api.validators()
    fleet = mount(api, ttl=LONG)
    before = everything(fleet)
    name = api.agents()[500]["agent_id"]
    seen = os.stat(fleet / f"agents/{name}/status")
    assert (api.requests(), api.stats()["conditional"]) == (11, 0)
    for round_ in (1, 2):
        api.reset()
        ask_again(fleet)
        assert everything(fleet) == before
        stats = api.stats()
        assert (stats["requests"], stats["conditional"], stats["bytes"]) == (11, 11, 0)
        assert statuses(api) == {304: 11}
        assert own(fleet, "stats")["pages_unchanged"] == str(11 * round_)
    assert os.stat(fleet / f"agents/{name}/status").st_mtime_ns == seen.st_mtime_ns
    health = own(fleet, "health")
    assert (health["state"], health["verified"], health["agents"]) == ("ok", "yes", "1042")
    # What has changed comes, and nothing else.
    api.change(500, agent_status="quite another")
    api.reset()
    ask_again(fleet)
    assert everything(fleet) != before
    assert fleet.text(f"agents/{name}/status") == "quite another\n"
    assert statuses(api) == {200: 1, 304: 10}


def test_without_validators_no_condition_is_sent(sim, mount):
    api = sim(agents=250)
    fleet = mount(api, ttl=LONG)
    fleet.agents()
    ask_again(fleet)
    fleet.agents()
    assert (api.requests(), api.stats()["conditional"]) == (6, 0)


def test_last_modified_is_used_as_a_validator(sim, mount):
    """Only if it is a second older than the response: within one second the list may change twice."""
    api = sim(agents=50)
    api.validators(etag=False, last_modified=True)
    fleet = mount(api, ttl=LONG)

    def look():
        ask_again(fleet)
        fleet.agents()
        return 304 in statuses(api)
    until(look)
    for position in (3, 4):
        name = api.agents()[position]["agent_id"]
        api.change(position, agent_status="another")
        ask_again(fleet)
        assert fleet.text(f"agents/{name}/status") == "another\n"


def test_validators_hide_and_double_no_agent_under_churn(sim, mount):
    api = sim(agents=600, churn=200)
    api.validators()
    fleet = mount(api, ttl=0.2)
    permanent = {agent for agent in api.permanent()}

    def met_enough():
        listed = fleet.agents()
        assert len(set(listed)) == len(listed)
        assert permanent <= set(listed)
        return statuses(api).get(304, 0) >= 20 and statuses(api).get(200, 0) >= 20
    until(met_enough, 60)
    api.churn(0)

    def agrees():
        now = {agent["agent_id"]: agent["agent_status"] for agent in api.agents()}
        return sorted(fleet.agents()) == sorted(now) and all(  # else who has left may be listed still
            fleet.text(f"agents/{name}/status").strip() == status for name, status in now.items())
    until(agrees)


def test_unsolicited_304_is_a_failure(scripted, mount):
    server = scripted()
    fleet = mount(server, **COLD)
    server.answer = lambda wire: wire.send(b"HTTP/1.1 304 Not Modified\r\n\r\n")
    assert code_of(fleet.agents) == "EREMOTEIO"
    error = own(fleet, "last_error")
    assert (error["kind"], error["http_status"]) == ("malformed", "304")
    server.answer = Wire.good
    until(lambda: code_of(fleet.agents) is None)


@pytest.mark.parametrize("line", [
    "ETag: x", "ETag: \"a b\"", "ETag: \"a\"\r\nETag: \"b\"", "ETag: \"é\"", "ETag: \"a\x01\"",
    "ETag: \"" + "x" * 255 + "\"", "ETag: \"" + "x" * 60000 + "\"", "ETag: *",
    "Last-Modified: yesterday", "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",
    "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT"])
def test_invalid_validator_is_not_sent_back(scripted, mount, line):
    server = scripted()
    server.answer = lambda wire: wire.good(headers=[line])
    fleet = mount(server, **COLD)
    for _ in range(2):
        assert sorted(fleet.agents()) == ["a", "b", "c"]
        ask_again(fleet)
    assert server.requests == 2
    assert not re.search(rb"^If-", server.heads[-1], re.M)


def test_body_after_a_304_costs_no_data(scripted, mount):
    """The next response begins right after a 304, whatever length that claims."""
    server = scripted()

    def answer(wire):
        if headers_of(wire.head, "If-None-Match") == ['"tag"']:
            wire.reply(b'{"agent_list":[{"agent_id":"forged"}]}', status="304 Not Modified")
        else:
            wire.good(headers=['ETag: "tag"'])
    server.answer = answer
    fleet = mount(server, **COLD)
    for _ in range(4):
        assert sorted(fleet.agents()) == ["a", "b", "c"]
        assert own(fleet, "health")["state"] == "ok"
        ask_again(fleet)
    assert own(fleet, "stats")["pages_unchanged"] == "3"


# The rest of it

def test_requests_share_a_connection_and_accept_gzip(scripted, mount, fleetfs):
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
