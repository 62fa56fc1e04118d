# SPDX-License-Identifier: MIT
"""The shared cache of contrib/cache, the real one: what it lets through, to whom it gives what, and what
50 mounts behind it cost the API. The simulator behind it has TLS put in front."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

import harness
from harness import at_once, until
from shared import CONTRIB, Several

pytestmark = pytest.mark.once  # about the configuration, not the daemon's C

MOUNTS = 50
JWT = "eyJzaW0.sim.sim"
PAGE = "/api/v1/agents?current_page=1&per_page=100"


def ids(body):
    return [agent["agent_id"] for agent in json.loads(body)["agent_list"]]


# What it lets through

def test_nothing_but_get_agents_reaches_the_api(sim, origin, cache):
    api = sim(agents=3)
    shared = cache(origin(api))
    for method in "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH":
        status, headers, _ = shared.get(method=method)
        assert status == 405 and headers["Allow"] == "GET", method
    for path in ("/", "/api/v1/tasks", "/api/v1/agents/", "/api/v1/agents/x", "/api/v1/agentsx",
                 "/api/v1/../agents", "/api//agents", "/api/%2e/agents", "//evil.example/agents", "/_sim/stats"):
        assert shared.get(path)[0] == 404, path
    for query in ("", "?", "?q=1", "?current_page=1", "?per_page=100", "?current_page=0&per_page=100",
                  "?current_page=1&per_page=0", "?current_page=1&per_page=101", "?current_page=01&per_page=100",
                  "?current_page=1&per_page=099", "?current_page=00&per_page=100", "?current_page=+1&per_page=100",
                  "?current_page=-1&per_page=100", "?current_page=1.0&per_page=100", "?current_page=1e2&per_page=100",
                  "?current_page=%31&per_page=100", "?current_page=1&per_page=1%30", "?current_page=x&per_page=100",
                  "?current_page=10000000&per_page=100", "?current_page=18446744073709551617&per_page=100",
                  "?per_page=100&current_page=1", "?current_page=&per_page=100", "?current_page=1&per_page=",
                  "?current_page=1&current_page=2", "?current_page=1&per_page=100&per_page=1",
                  "?current_page=1&per_page=100&current_page=2", "?current_page=1&per_page=100&", "?&current_page=1",
                  "?current_page=1&per_page=100&q=1", "?current_page=1&per_page=100%26q", "?current_page=1&per_page=100#x",
                  "?current_page=1;per_page=100", "?Current_page=1&per_page=100", "?current%5Fpage=1&per_page=100",
                  "?current_page[]=1&per_page=100", "?current_page=1?per_page=100", "?current_page=1,2&per_page=100"):
        status, _, body = shared.get(f"/api/v1/agents{query}")
        assert status == 400, (query, status, body)
    assert shared.get(token="")[0] == 401
    assert shared.get(headers=[("Authorization", "Bearer sk-sim")])[0] == 400
    assert shared.get(headers=[("X-Team-ID", "a"), ("X-Team-ID", "b")])[0] == 400
    assert api.requests() == 0
    for path in ("/api/v1/r/agents?current_page=1&per_page=1", PAGE, "/api/v1/agents?current_page=9999999&per_page=99",
                 "/api/v1/agents?current_page=20000&per_page=100"):
        assert shared.get(path)[0] == 200, path
    assert api.requests() == 4


def test_cached_response_is_that_of_the_api_with_its_age(sim, origin, cache):
    api = sim(agents=3)
    shared = cache(origin(api))
    status, headers, body = shared.get()
    assert status == 200 and ids(body) == [agent["agent_id"] for agent in api.agents()]
    assert float(headers["Age"]) < 5 and "." in headers["Age"]  # a whole one counts as one more
    until(lambda: float(shared.get()[1]["Age"]) > 1)
    assert float(shared.get(headers=[("Accept-Encoding", "gzip")])[1]["Age"]) > 1
    assert shared.get(headers=[("Accept-Encoding", "gzip")])[1]["Content-Encoding"] == "gzip"
    assert api.requests() == 1


def test_age_of_a_response_from_the_apis_own_cache_is_rounded_up(scripted, origin, cache):
    server = scripted(agents=["a"])
    server.answer = lambda wire: wire.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nAge: 3\r\n"
        b"Content-Length: 17\r\n\r\n{\"agent_list\":[]}")
    shared = cache(origin(server))
    for _ in range(2):
        assert 3.5 < float(shared.get(max_age=60)[1]["Age"]) < 30
    assert len(server.heads) == 1


def test_stored_responses_have_a_limit_at_any_ttl(sim, origin, cache):
    shared = cache(origin(sim(agents=3)))
    assert shared.get(max_age=2, stale=0)[0] == 200
    assert shared.counter("SMA.s0.g_bytes") > 0


@pytest.mark.alone
def test_callers_that_accept_other_ages_share_no_response(sim, origin, cache):
    api = sim(agents=3)
    shared = cache(origin(api))
    shared.get(max_age=60)
    until(lambda: float(shared.get(max_age=60)[1]["Age"]) > 1)
    assert float(shared.get(max_age=1)[1]["Age"]) < 1
    assert api.requests() == 2
    for _ in range(2):  # nobody else's will do
        assert float(shared.get(max_age=0)[1]["Age"]) < 1
        shared.get(max_age=60, headers=[("Cache-Control", "no-cache")])
    assert api.requests() == 6


def test_responses_are_shared_by_the_same_token_and_team_only(sim, origin, cache):
    ours, theirs, others = sim(agents=3, seed=1, jwt=JWT, team="ours"), \
        sim(agents=4, seed=2, jwt=JWT, team="theirs"), sim(agents=5, seed=3, token="sk-other")
    shared = cache(origin(ours, {"{ req.hdr(x-team-id) theirs }": theirs,
                                 "{ req.hdr(authorization) 'Bearer sk-other' }": others}))
    for _ in range(2):
        assert len(ids(shared.get()[2])) == 3
        assert len(ids(shared.get(token=JWT, headers=[("X-Team-ID", "ours")])[2])) == 3
        assert len(ids(shared.get(token=JWT, headers=[("X-Team-ID", "theirs")])[2])) == 4
        assert len(ids(shared.get(token="sk-other")[2])) == 5
        assert shared.get(token=JWT)[0] == 400
        assert shared.get(token="sk-sim#")[0] == 401
    assert others.stats()["status"]["200"] == 1 and theirs.stats()["status"]["200"] == 1
    assert ours.stats()["status"]["200"] == 2


@pytest.mark.parametrize("limit", [
    {"max_age": 1}, {"max_age": 0}, {"headers": [("Cache-Control", "no-cache")]},
], ids=["max-age=1", "max-age=0", "no-cache"])
def test_all_that_wait_for_a_page_share_one_request_also_when_it_has_expired(
        sim, origin, cache, limit):
    api = sim(agents=3)
    shared = cache(origin(api))
    for _ in range(2):
        api.hold()
        answers = []
        waiting = threading.Thread(target=lambda: answers.extend(
            at_once([lambda: shared.get(**limit)[0]] * MOUNTS)))
        waiting.start()
        until(lambda: api.held() == 1)
        time.sleep(1.2)  # nobody else comes
        assert api.held() == 1
        api.release()
        waiting.join(60)
        assert answers == [200] * MOUNTS
        time.sleep(1.2)  # it expires
    assert api.stats()["max_parallel"] == 1 and api.requests() == 2


# What it does not keep

@pytest.mark.parametrize("status", [401, 403, 404, 429, 301])
def test_refusal_is_shared_for_a_second_and_not_longer(sim, origin, cache, status):
    api = sim(agents=3)
    shared = cache(origin(api))
    api.fail(status, "no")
    api.delay(300)
    began = time.monotonic()
    assert at_once([lambda: shared.get(stale=300)[0]] * MOUNTS) == [status] * MOUNTS
    assert time.monotonic() - began < MOUNTS * 0.3 / 2
    assert api.requests() <= time.monotonic() - began + 1
    api.ok()
    until(lambda: shared.get()[0] == 200, seconds=2)
    api.fail(status, "no")
    assert shared.get()[0] == 200  # it has not expired


@pytest.mark.parametrize("status", [401, 403])
def test_revoked_token_gets_no_stale_answer_later(sim, origin, cache, status):
    api = sim(agents=3)
    shared = cache(origin(api))
    assert shared.get(max_age=1)[0] == 200
    api.fail(503)
    until(lambda: float(shared.get(max_age=1)[1]["Age"]) > 1.2)
    api.fail(status)
    until(lambda: shared.get(max_age=1)[0] == status)
    api.fail(503)
    seen = []
    until(lambda: seen.append(shared.get(max_age=1)[0]) or seen[-1] == 503)
    assert set(seen) <= {status, 503}
    for _ in range(5):
        assert shared.get(max_age=1)[0] == 503


@pytest.mark.parametrize("fault", [500, 502, 503, 504, 0])
def test_a_stale_answer_comes_within_what_is_accepted_and_tells_its_age(sim, origin, cache, fault):
    api = sim(agents=3)
    shared = cache(origin(api))
    began = time.monotonic()
    assert shared.get(max_age=1, stale=4)[0] == 200
    fetched = time.monotonic()
    assert shared.get(max_age=1, stale=0)[0] == 200
    both = time.monotonic()
    api.fail(fault, **({"retry_after": 7} if fault else {}))
    told = []
    while True:
        asked = time.monotonic()
        status, headers, _ = shared.get(max_age=1, stale=4)
        if status != 200:
            break
        told.append(float(headers["Age"]))
        assert asked - fetched - 0.1 < told[-1] <= 5 and told[-1] <= time.monotonic() - began
        if asked - both > 1.1:
            assert shared.get(max_age=1, stale=0)[0] == (fault or 502)
        time.sleep(0.1)
    assert asked - began >= 4 and status == (fault or 502) and told == sorted(told)
    assert not fault or headers["Retry-After"] == "7"
    api.ok()
    until(lambda: shared.get(max_age=1, stale=4)[0] == 200)


def test_copy_of_a_stale_response_has_the_same_limit_of_age(sim, origin, cache):
    api = sim(agents=3)
    shared = cache(origin(api))
    shared.get(max_age=1, stale=7)
    began = time.monotonic()
    api.fail(503)
    until(lambda: float(shared.get(max_age=1, stale=7)[1]["Age"]) > 1.1)
    time.sleep(max(0, began + 8.1 - time.monotonic()))
    assert shared.get(max_age=1, stale=7)[0] == 503


def test_failing_api_is_requested_once_a_second_for_all_callers(sim, origin, cache):
    api = sim(agents=3)
    shared = cache(origin(api))
    shared.get(max_age=1)
    api.fail(503)
    until(lambda: float(shared.get(max_age=1)[1]["Age"]) > 1.2)
    api.reset()
    began = time.monotonic()
    while time.monotonic() - began < 3:
        assert set(at_once([lambda: shared.get(max_age=1)[0]] * 10)) == {200}
    assert 1 <= api.requests() <= time.monotonic() - began + 1


# The way to the API

def test_headers_that_the_other_side_does_not_need_are_removed(scripted, origin, cache):
    server = scripted(agents=["a"])
    server.answer = lambda wire: wire.good(headers=["Set-Cookie: a=b", "Vary: Cookie"])
    shared = cache(origin(server))
    for cookie in "c", "d":
        status, headers, _ = shared.get(headers=[
            ("Cookie", cookie), ("Accept-Language", cookie), ("X-Max-Age", "9s"), ("X-Own", cookie),
            ("X-Forwarded-For", "10.0.0.1"), ("Connection", "X-Team-ID"), ("User-Agent", "it")])
        assert status == 200 and "Set-Cookie" not in headers and "X-Born" not in headers
    assert len(server.heads) == 1
    names = {line.split(b":")[0].lower().decode() for line in server.heads[0].split(b"\r\n")[1:]}
    assert names == {"accept", "accept-encoding", "authorization", "cache-control", "host",
                     "user-agent"}


def test_conditions_are_answered_and_sent(scripted, origin, cache):
    server = scripted(agents=["a"])
    server.answer = lambda wire: wire.send(
        b'HTTP/1.1 304 Not Modified\r\nETag: "e"\r\n\r\n') if b"f-None-Match" in wire.head \
        or b"f-none-match" in wire.head else wire.good(headers=['ETag: "e"'])
    shared = cache(origin(server))
    tag = shared.get(max_age=1)[1]["ETag"]
    assert shared.get(max_age=1, headers=[("If-None-Match", tag)])[0] == 304
    assert len(server.heads) == 1
    time.sleep(1.1)  # it expires
    status, headers, body = shared.get(max_age=1)
    assert status == 200 and ids(body) == ["a"] and float(headers["Age"]) < 1
    assert len(server.heads) == 2 and b"none-match" in server.heads[1].lower()
    status, headers, _ = shared.get(max_age=1, headers=[("If-None-Match", tag)])
    assert status == 304 and float(headers["Age"]) < 1 and len(server.heads) == 2


def test_the_origin_is_asked_by_its_name(sim, origin, cache):
    way = origin(sim(agents=3))
    shared = cache(way)
    assert shared.get()[0] == 200
    assert way.seen() == [("localhost", "localhost")]


@pytest.mark.long
def test_an_origin_that_dns_does_not_know_keeps_its_address(sim, origin, cache):
    """As localhost here: haproxy asks again by itself, and by default gives up after 30 s."""
    shared = cache(origin(sim(agents=3)))
    end = time.monotonic() + 40
    while time.monotonic() < end:
        status, headers, _ = shared.get(max_age=1)
        assert status == 200 and float(headers["Age"]) < 3
        time.sleep(0.5)


@pytest.mark.parametrize("certificate,trusted", [
    ("elsewhere", "ca.pem"), ("expired", "ca.pem"), ("localhost", "self-signed.pem")])
def test_unverified_origin_gets_no_byte_of_the_token(sim, origin, cache, certificates, certificate, trusted):
    api = sim(agents=3)
    shared = cache(origin(api, certificate=certificate), ORIGIN_CA=str(certificates / trusted))
    assert shared.get()[0] == 503
    assert api.requests() == 0


def test_token_is_in_no_output_of_the_cache(sim, origin, cache, folder):
    api = sim(agents=3, token="sk-secret-secret")
    shared = cache(origin(api))
    assert shared.get(token="sk-secret-secret")[0] == 200
    assert shared.get(token="sk-secret-secret", max_age=0)[0] == 200
    assert shared.get(token="sk-secret-secret", path="/secret")[0] == 404
    written = [path for path in shared.folder.rglob("*") if path.is_file()]
    assert any(path.stat().st_size > 1 << 20 for path in written)  # Varnish's log is among it
    for path in written:
        assert b"sk-secret" not in path.read_bytes(), path
    assert "sk-secret" not in shared.log.read_text()
    assert shared.folder.stat().st_mode & 0o777 == 0o700
    shared.stop()
    assert not shared.folder.exists()


# Several of them, and as a service

def test_several_caches_share_pages_and_replace_a_dead_one(sim, origin, cache, folder, certificates,
                                                           stopping):
    api = sim(agents=1900)
    way = origin(api)
    caches = [cache(way) for _ in range(2)]
    front = Several(folder, certificates, caches)
    stopping.append(front)

    def all_pages():
        return {front.get(PAGE.replace("=1&", f"={page}&"), max_age=600)[0] for page in range(1, 20)}
    for _ in range(3):
        assert all_pages() == {200}
    assert api.requests() == 19 and set(api.pages().values()) == {1}
    assert all(one.counter("MAIN.backend_req") > 1 for one in caches)
    caches[0].kill()
    until(lambda: all_pages() == {200})
    assert 19 < api.requests() < 38


def test_installed_unit_runs_the_installed_files(programs, folder):
    subprocess.run(["meson", "install", "-C", programs["fleetfs"].parent, "--no-rebuild", "--quiet",
                    "--destdir", folder / "root"], check=True, stdout=subprocess.DEVNULL)
    unit, = (folder / "root").rglob("fleetfs-cache.service")
    program = re.search("(?m)^ExecStart=(.*)", unit.read_text())[1]
    assert not program.startswith(str(CONTRIB))
    installed = folder / f"root{program}"
    for source in CONTRIB.iterdir():
        if source.suffix != ".in":
            copy = installed.parent / source.name
            assert copy.read_bytes() == source.read_bytes()
            assert copy.stat().st_mode & 0o777 == (0o755 if copy == installed else 0o644)
    # systemd-analyze fails if there is no program at the path that the unit names.
    unit.write_text(unit.read_text().replace(program, str(installed)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                          text=True, check=False)
    assert "fleetfs" not in done.stdout + done.stderr


# With mounts

@contextlib.contextmanager
def stamping(api, positions):
    """The agents at these positions have a number as their version, which goes up ten times a second.
    [time when it was there for sure, by number]."""
    agents, twin, times, over = api.agents(), api.another(), [], threading.Event()

    def stamp():
        while not over.wait(0.1):
            for i in positions:
                twin.put_agent(i, {**agents[i], "agent_version": str(len(times))})
            times.append(time.monotonic())

    def begun():
        return times
    thread = threading.Thread(target=stamp)
    thread.start()
    try:
        until(begun)
        yield times
    finally:
        over.set()
        thread.join()
        twin.connection.close()


def age_at_least(times, began, number):
    """For how long a number that was read then had been another already."""
    return began - times[int(number) + 1] if int(number) + 1 < len(times) else 0


class Reader:
    """A program that reads in a mount, again and again; it may never fail. It is nice, so that the cache
    can start beside fifty of them. It stays in this session, since niceness does not count between sessions."""

    def __init__(self, mounted, *command):
        self.process = subprocess.Popen(
            ["nice", "-n", "19", *command], cwd=mounted.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, process_group=0, env={**os.environ, "TERM": "dumb"})

    def stop(self):
        ended = self.process.poll()
        if ended is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        errors = self.process.communicate()[1]
        assert ended is None, errors


def fleet_of(count, mount, shared, certificates, **options):
    return [mount(shared, cacert=certificates / "ca.pem", **options) for _ in range(count)]


TTL = 4
TTLS = 15  # a minute
PER_PAGE, AGENTS = 20, 40  # as 100 and 200 would, but that 50 times grep leave room for the rest


@pytest.mark.alone
def test_fifty_mounts_cost_the_api_as_much_as_one(sim, origin, cache, mount, certificates, stopping):
    """Each with grep -r and watch; then the cache dies, and a token is revoked."""
    signal.alarm(300)  # instead of the limit of a test
    api = sim(agents=0, jwt=JWT)
    api.put_agents([{"agent_id": f"a{i}", "agent_version": "0"} for i in range(AGENTS)])
    way = origin(api)
    shared = cache(way)
    revoked = mount(shared, cacert=certificates / "ca.pem", ttl=TTL, stale=0)
    fleet = fleet_of(MOUNTS, mount, shared, certificates, ttl=TTL, per_page=PER_PAGE, token=JWT,
                     team="team_sim")
    pages = AGENTS // PER_PAGE
    with stamping(api, range(0, AGENTS, PER_PAGE)) as times:
        for one in fleet:
            stopping.append(Reader(one, "sh", "-c", "while grep -r . agents; do sleep 1; done"))
            stopping.append(Reader(one, "watch", "-e", "-n", "1", "cat agents/a0/version"))

        def look():
            """How old what each mount shows is at least, and that it shows all."""
            for one in fleet:
                assert len(one.agents()) == AGENTS
                for i in range(0, AGENTS, PER_PAGE):
                    began = time.monotonic()
                    yield age_at_least(times, began, one.read(f"agents/a{i}/version"))
        ages = list(look())
        api.reset()
        began = time.monotonic()
        while time.monotonic() - began < TTLS * TTL:
            ages += look()
        stats, took = api.stats(), time.monotonic() - began
        assert stats["requests"] <= 1.1 * pages * (took / TTL + 1)
        assert stats["requests"] >= pages * (took / TTL - 1) / 2  # they do look
        assert set(stats["status"]) == {"200"} and stats["max_parallel"] <= pages
        assert max(ages) <= TTL + 1, sorted(ages)[-10:]

        shared.kill()
        assert max(look()) < TTL + 300
        time.sleep(TTL)  # all of it has expired
        list(look())
        stopping.append(shared.again())
        until(lambda: max(look()) <= TTL + 1, seconds=30)
        until(lambda: all(one.health()["state"] == "ok" for one in fleet), seconds=45)

        assert revoked.read("agents/a0/version")
        api.token("sk-another")
        began = time.monotonic()
        until(lambda: harness.code_of(lambda: revoked.read("agents/a0/version")) == "EACCES")
        assert time.monotonic() - began <= TTL + 1.5
        assert max(look()) <= TTL + 1
        assert all(one.health()["state"] == "ok" for one in fleet)


def test_mount_gets_no_old_response_from_a_cache_that_works(sim, origin, cache, mount, certificates):
    """One alone, whose pages expire when the cache's do."""
    shared = cache(origin(sim(agents=3)))
    fleet = mount(shared, cacert=certificates / "ca.pem", ttl=1)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        fleet.agents()
        time.sleep(0.01)
    stats = fleet.values(".fleetfs/stats")
    assert stats["failed_old"] == "0" and int(stats["requests"]) >= 8


def test_an_unchanged_page_has_no_body_on_either_side(sim, origin, cache, mount, certificates):
    api = sim(agents=100)
    api.validators()
    shared = cache(origin(api))
    fleet = fleet_of(3, mount, shared, certificates, ttl=1)

    def unchanged():
        return [int(one.values(".fleetfs/stats")["pages_unchanged"]) for one in fleet
                if len(one.agents()) == 100]
    until(lambda: min(unchanged()) >= 2)
    assert api.stats()["status"]["200"] == 1 and api.stats()["status"]["304"] >= 2
    api.change(0, agent_version="new")
    name = fleet[0].agents()[0]
    until(lambda: all(one.read(f"agents/{name}/version") == b"new\n" for one in fleet))


def test_two_teams_never_see_each_others_agents(sim, origin, cache, mount, certificates):
    ours, theirs = sim(agents=0, jwt=JWT, team="ours"), sim(agents=0, jwt=JWT, team="theirs")
    for api, name in (ours, "o"), (theirs, "t"):
        api.put_agents([{"agent_id": f"{name}{i}"} for i in range(150)])
    shared = cache(origin(ours, {"{ req.hdr(x-team-id) theirs }": theirs}))
    fleet = {team: fleet_of(3, mount, shared, certificates, ttl=1, token=JWT, team=team)
             for team in ("ours", "theirs")}
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for team, mounted in fleet.items():
            for one in mounted:
                assert {name[0] for name in one.agents()} == {team[0]}
                assert len(one.agents()) == 150


def test_agents_that_stay_are_listed_although_cached_pages_differ_in_age(sim, origin, cache, mount,
                                                                         certificates):
    api = sim(agents=0)
    api.put_agents([{"agent_id": f"a{i}"} for i in range(300)])
    shared = cache(origin(api))
    one, another = fleet_of(2, mount, shared, certificates, ttl=4)
    assert len(one.agents()) == 300
    until(lambda: float(shared.get(max_age=4)[1]["Age"]) > 3.5)
    until(lambda: float(shared.get(max_age=4)[1]["Age"]) < 3.5)  # page 1 alone was fetched again
    assert another.read("agents/a0/id") == b"a0\n"
    time.sleep(0.5)  # the others have expired by now
    api.remove_agent(0)
    assert "a100" in one.agents()
