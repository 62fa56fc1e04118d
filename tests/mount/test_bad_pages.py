# SPDX-License-Identifier: MIT
"""A page that stays bad costs its own agents only: the others are listed and read, no name gets ENOENT,
and no change is reported."""

import errno
import json
import os
import re
import signal
import time

import pytest

from harness import code_of, until
from scripted import Wire, ask_again, own, page, took

FAULTS = {
    "garbage": lambda api, page: api.body("<html>not an answer</html>", page=page),
    "500": lambda api, page: api.fail(500, page=page),
    "404": lambda api, page: api.fail(404, page=page),
    "403": lambda api, page: api.fail(403, page=page),
    "302": lambda api, page: api.fail(302, page=page),
    "closed": lambda api, page: api.fail(0, page=page),
    "cut": lambda api, page: api.fail(200, '{"agent_list":[' + "1," * 9000, page=page, cut=9000),
}
CODES = {"404": "EINVAL", "403": "EACCES", "closed": "EHOSTUNREACH"}


def entries(path):
    """The entries of a directory up to the end of its listing, and the errno with which it ends."""
    names, code = [], None
    try:
        with os.scandir(path) as listing:
            for entry in listing:
                names.append(entry.name)
    except OSError as fault:
        code = errno.errorcode[fault.errno]
    return names, code


def names_of(api, *pages):
    agents = [agent["agent_id"] for agent in api.agents()]
    return [name for page in pages for name in agents[100 * (page - 1):100 * page]]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_agents_of_the_other_pages_are_listed_and_read(sim, mount, fault):
    api = sim(agents=300)
    code = CODES.get(fault, "EREMOTEIO")
    FAULTS[fault](api, 2)
    fleet = mount(api, ttl=600, retries=0)
    listed, error = entries(fleet / "agents")
    assert sorted(listed) == sorted(names_of(api, 1, 3))
    assert error == code
    for name in (names_of(api, 1)[50], names_of(api, 3)[50]):
        assert fleet.text(f"agents/{name}/id") == f"{name}\n"
    for name in (names_of(api, 2)[50], "nobody"):
        assert code_of(lambda: os.stat(fleet / "agents" / name)) == code
    health = fleet.health()
    assert health["verified"] == "no" and health["state"] != "ok"
    assert "current_page=2" in fleet.values(".fleetfs/last_error")["url"]


def test_group_and_task_are_not_denied_while_a_page_is_bad(sim, mount):
    api = sim(agents=300)
    FAULTS["garbage"](api, 2)
    fleet = mount(api, ttl=600, retries=0)
    by_status = {agent["agent_status"] for agent in api.agents()[:100]}
    listed, error = entries(fleet / "by-status")
    assert by_status <= set(listed) and error == "EREMOTEIO"
    status = api.agents()[250]["agent_status"]
    members, error = entries(fleet / "by-status" / status)
    assert names_of(api, 3)[50] in members and error == "EREMOTEIO"
    for path in ("by-status/nothing", "by-label/nothing", "tasks/nothing",
                 f"by-status/{status}/nobody"):
        assert code_of(lambda path=path: os.lstat(fleet / path)) == "EREMOTEIO", path
    for report in ("summary", "agents.tsv", "gpus.tsv", "agents.json", "agents.jsonl",
                   "metrics.prom"):
        assert code_of(lambda report=report: fleet.read(f"fleet/{report}")) == "EREMOTEIO", report


def test_a_page_that_goes_bad_is_stale_while_the_others_are_fresh(sim, mount):
    api = sim(agents=300)
    fleet = mount(api, ttl=0.3, retries=0)
    first, second, third = (names_of(api, page)[50] for page in (1, 2, 3))
    assert len(fleet.agents()) == 300
    assert fleet.text("fleet/events.log") == ""
    old = fleet.text(f"agents/{second}/status")
    FAULTS["garbage"](api, 2)
    for index in (50, 150, 250):
        api.change(index, agent_status="changed")
    until(lambda: fleet.text(f"agents/{third}/status") == "changed\n")
    until(lambda: fleet.text(f"agents/{first}/status") == "changed\n")
    assert fleet.text(f"agents/{second}/status") == old
    assert len(fleet.agents()) == 300
    assert fleet.values("fleet/summary")["agents"] == "300"
    assert fleet.health()["state"] == "stale"
    api.ok()
    until(lambda: fleet.text(f"agents/{second}/status") == "changed\n")
    until(lambda: fleet.health()["state"] == "ok" and len(fleet.agents()) == 300)
    lines = [line.split("\t")[1:] for line in fleet.text("fleet/events.log").splitlines()]
    assert {line[0] for line in lines} == {first, second, third}
    assert not [line for line in lines if "left" in line or "joined" in line]


def test_bad_page_beyond_stale_is_an_error_without_departures(sim, mount):
    api = sim(agents=300)
    fleet = mount(api, ttl=0.2, stale=0.3, retries=0)
    second = names_of(api, 2)[50]
    assert len(fleet.agents()) == 300
    assert fleet.text("fleet/events.log") == ""
    FAULTS["garbage"](api, 2)
    until(lambda: code_of(lambda: fleet.read(f"agents/{second}/status")) == "EREMOTEIO")
    listed, error = entries(fleet / "agents")
    assert sorted(listed) == sorted(names_of(api, 1, 3)) and error == "EREMOTEIO"
    assert code_of(lambda: fleet.read("fleet/summary")) == "EREMOTEIO"
    assert fleet.text("fleet/events.log") == ""
    api.ok()
    until(lambda: code_of(lambda: os.listdir(fleet / "agents")) is None)
    assert len(fleet.agents()) == 300
    assert fleet.text("fleet/events.log") == ""


def test_check_reports_a_bad_page(sim, fleetfs):
    api = sim(agents=300)
    FAULTS["garbage"](api, 2)
    done = fleetfs("--check", "--retries=0", api.url)
    assert done.returncode == 1
    assert "list: failed" in done.stdout
    assert api.pages() == {1: 1, 2: 1, 3: 1}


def test_expired_data_is_stale_while_the_api_is_stopped(sim, mount):
    api = sim(agents=150)
    fleet = mount(api, ttl=0.5, timeout=10)
    name = names_of(api, 1)[0]
    assert len(fleet.agents()) == 150
    assert fleet.health()["state"] == "ok"
    api.hold()
    until(lambda: float(fleet.health()["list_age"]) > 0.5)
    assert fleet.health()["state"] == "ok"
    began = time.monotonic()
    assert fleet.text(f"agents/{name}/id") == f"{name}\n"
    assert 1 < time.monotonic() - began < 4
    assert fleet.health()["state"] == "stale"
    api.release()
    until(lambda: fleet.health()["state"] == "ok")


def test_an_agent_on_two_pages_does_not_flap(sim, mount):
    api = sim(agents=250)
    agents = api.agents()
    agents.insert(5, {"agent_id": "dup", "agent_status": "idle"})
    agents.insert(240, {"agent_id": "dup", "agent_status": "busy"})
    api.put_agents(agents)
    fleet = mount(api, ttl=0.2)
    assert len(fleet.agents()) == 251
    assert fleet.text("fleet/events.log") == ""
    for _ in range(6):
        before = api.pages()[3]
        until(lambda: fleet.text(f"agents/{agents[230]['agent_id']}/id") and api.pages()[3] > before)
        assert fleet.text("agents/dup/status") == "idle\n"
    assert len(fleet.agents()) == 251
    assert fleet.text("fleet/events.log") == ""
    assert int(fleet.values(".fleetfs/stats")["duplicates"]) >= 6
    assert fleet.output().count("dup") == 1


def test_name_that_the_last_list_lacked_gets_enoent_after_two_seconds(sim, mount):
    api = sim(agents=250)
    fleet = mount(api, ttl=0.3, timeout=10)
    agents, seconds = took(fleet.agents)
    assert len(agents) == 250
    until(lambda: float(fleet.health()["list_age"]) > 0.3 + seconds)  # the latest page has expired, too
    api.hold(page=2)
    began = time.monotonic()
    assert code_of(lambda: os.stat(fleet / "agents/nobody")) == "ENOENT"
    assert 1 < time.monotonic() - began < 4


@pytest.mark.parametrize("status", ["500 Oops", "200 OK"])
def test_slow_failures_delay_an_operation_by_two_seconds(scripted, mount, status):
    """Each request fails after 1.5 s, by its status or by its body, and is retried."""
    server = scripted([f"n{number}" for number in range(300)])
    fleet = mount(server, ttl=1, stale=300, timeout=9, retries=2)

    def fail_late(wire):
        if wire.server.over.wait(1.5):
            wire.close()
        wire.reply(b"x", status=status)
    for path, code in (("agents/nobody", "ENOENT"), ("by-label/nothing", "ENOENT"),
                       ("tasks/nothing", "ENOENT"), ("agents/n250/id", None)):
        server.answer = Wire.good
        ask_again(fleet)

        def is_listed():
            return (len(fleet.agents()) == 300 and fleet.read("fleet/summary") and
                    float(fleet.health()["list_age"]) < 1)
        _, seconds = took(lambda: until(is_listed))
        until(lambda: float(fleet.health()["list_age"]) > 1 + seconds)  # every page has expired
        server.answer = fail_late
        result, seconds = took(lambda path=path: code_of(lambda: (fleet / path).read_bytes()))
        assert result == code, path
        assert 1 < seconds < 3.5, path
        assert own(fleet, "health")["state"] == "stale", path


@pytest.mark.parametrize("status, code, agents", [
    ("429 Wait", "EBUSY", 200), ("401 No", "EACCES", 900), ("403 No", "EACCES", 900),
    ("302 Found", "EREMOTEIO", 900)])
def test_a_rejected_page_shows_in_health_while_others_arrive(scripted, mount, status, code, agents):
    """The other pages were requested with it, and arrive later."""
    def answer(wire):
        if wire.number == 3:
            wire.reply(b"no", status=status, headers=["Location: /notice"])
        else:
            time.sleep(0.05 * (wire.number > 3))
            wire.good()
    server = scripted([f"n{number:03}" for number in range(1000)])
    server.answer = answer
    fleet = mount(server, ttl=30, stale=300, retries=0)
    listed, error = entries(fleet / "agents")
    assert len(listed) == agents and error == code
    time.sleep(0.5)
    health = own(fleet, "health")
    assert health["state"] == "stale" and status[:3] in health["reason"]
    if agents == 900:
        assert health["pages"] == "10"
        assert fleet.text("agents/n900/id") == "n900\n"
        assert code_of(lambda: fleet.read("agents/n250/id")) == code
    server.answer = Wire.good
    until(lambda: len(entries(fleet / "agents")[0]) == 1000)
    assert own(fleet, "health")["state"] == "ok"


def heavy(name, size):
    return {"agent_id": name, "agent_status": "idle", "padding": "x" * size}


def test_a_page_that_is_too_large_as_a_whole_is_read_in_parts(sim, mount):
    api = sim(agents=300)
    agents = api.agents()
    agents[120:130] = [heavy(f"heavy-{i}", 1_000_000) for i in range(10)]
    api.put_agents(agents)
    fleet = mount(api, ttl=600, timeout=60)
    api.reset()
    assert len(fleet.agents()) == 300
    assert fleet.text("agents/heavy-7/status") == "idle\n"
    assert fleet.health()["state"] == "ok" and fleet.health()["verified"] == "yes"
    assert api.requests() <= 2 + 1 + 10 + 10


def test_one_agent_that_is_too_large_costs_only_itself(sim, mount):
    api = sim(agents=300)
    agents = api.agents()
    agents[145] = heavy("whale", 9_000_000)
    api.put_agents(agents)
    fleet = mount(api, ttl=600, timeout=60)
    api.reset()
    assert sorted(fleet.agents()) == sorted(a["agent_id"] for a in agents if a is not agents[145])
    assert int(fleet.values(".fleetfs/stats")["malformed"]) == 1
    assert fleet.health()["verified"] == "yes"
    assert api.requests() <= 2 + 1 + 10 + 10


@pytest.mark.parametrize("refusal, code", [("500", "EREMOTEIO"), ("403", "EACCES"), ("reset", "EHOSTUNREACH"),
                                           ("garbage", "EREMOTEIO")])
def test_a_refused_part_of_a_page_costs_the_agents_of_that_page(scripted, mount, refusal, code):
    """From the first request on, when no page has arrived yet."""
    server = scripted([heavy(f"agent-{at}", 100_000 if at < 100 else 10) for at in range(300)])
    bodies = {}

    def answer(wire):
        size = int(re.search(rb"per_page=(\d+)", wire.head)[1])
        body = bodies.setdefault((wire.number, size), page(server.agents, wire.number, size))
        if size == 100 or b'"agent-17"' not in body:
            wire.reply(body)
        elif refusal == "reset":
            wire.reset()
        else:
            wire.reply(b"<p>no", status="200 OK" if refusal == "garbage" else f"{refusal} No")

    server.answer = answer
    fleet = mount(server, ttl=600, timeout=60)
    assert entries(fleet / "agents") == ([f"agent-{at}" for at in range(100, 300)], code)
    assert fleet.text("agents/agent-250/id") == "agent-250\n"
    for name in ("agent-18", "no-such-agent"):
        assert code_of(lambda name=name: fleet.read(f"agents/{name}/id")) == code
    assert fleet.health()["state"] != "ok" and fleet.health()["verified"] == "no"


def test_api_that_ignores_the_page_size_is_not_asked_for_all_parts(scripted, mount):
    body = '{"agent_list":[' + ",".join(['{"agent_id":"a","padding":"' + "x" * 900_000 + '"}'] * 10)
    server = scripted(["a"])
    fleet = mount(server, ttl=600, timeout=60, delay_connect=True, retries=0)
    server.answer = lambda wire: wire.reply((body + "]}").encode())
    before = server.requests
    assert entries(fleet / "agents") == ([], "EREMOTEIO")
    assert server.requests - before <= 2 * (1 + 1 + 1)
    assert "larger than" in fleet.values(".fleetfs/last_error")["message"]


def test_an_api_that_caps_the_page_size_loses_only_the_page_that_is_too_large(scripted, mount):
    """Parts of another size than requested do not add up to the page."""
    agents = [f"a{i}" for i in range(12)]
    agents[7] = heavy("a7", 9_000_000)
    server = scripted(["a"])
    server.answer = lambda wire: wire.reply(page(agents, wire.number, 5))
    fleet = mount(server, ttl=600, timeout=60, retries=0)
    listed, error = entries(fleet / "agents")
    assert sorted(listed) == sorted(["a0", "a1", "a2", "a3", "a4", "a10", "a11"])
    assert error == "EREMOTEIO"
    assert code_of(lambda: os.stat(fleet / "agents/a6")) == "EREMOTEIO"
    assert "larger than" in fleet.values(".fleetfs/last_error")["message"]


def test_an_id_in_two_parts_of_a_page_is_the_first_of_them(sim, mount):
    api = sim(agents=250)
    agents = api.agents()
    agents[105:115] = [heavy(f"heavy-{i}", 1_000_000) for i in range(10)]
    agents[101] = {"agent_id": "dup", "agent_status": "idle"}
    agents[145] = agents[191] = {"agent_id": "dup", "agent_status": "busy"}
    api.put_agents(agents)
    fleet = mount(api, ttl=600, timeout=60)
    assert len(fleet.agents()) == 248
    assert fleet.text("agents/dup/status") == "idle\n"
    assert fleet.values(".fleetfs/stats")["duplicates"] == "2"
    assert fleet.output().count("dup") == 1


@pytest.mark.alone
@pytest.mark.parametrize("first, count", [(100, 3), (130, 17), (83, 34)],
                         ids=["at the beginning", "in the middle", "across pages"])
def test_any_number_of_agents_that_are_too_large_cost_only_themselves(sim, mount, first, count):
    api = sim(agents=220)
    agents = api.agents()
    whale = json.dumps(heavy("%s", 8 << 20))
    api.put_agents([whale.replace("%s", f"whale-{at}") if first <= at < first + count else
                    json.dumps(agent) for at, agent in enumerate(agents)])
    fleet = mount(api, ttl=600, timeout=60, delay_connect=True)
    assert sorted(fleet.agents()) == sorted(agent["agent_id"] for at, agent in enumerate(agents)
                                            if not first <= at < first + count)
    assert int(fleet.values(".fleetfs/stats")["malformed"]) == count
    assert fleet.health()["verified"] == "yes"


def test_an_api_that_ignores_the_page_size_loses_no_agent_of_a_page(scripted, mount):
    """It answers with pages of 100 whatever is requested, so parts of the second are empty pages."""
    server = scripted([f"agent-{at}" for at in range(200)])
    fleet = mount(server, ttl=0.3, timeout=60, retries=0)
    assert len(fleet.agents()) == 200
    assert fleet.text("fleet/events.log") == ""
    server.agents[150:160] = [heavy(f"agent-{at}", 900_000) for at in range(150, 160)]
    until(lambda: "larger than" in fleet.text(".fleetfs/last_error") or not fleet.agents())
    for _ in range(3):
        assert len(fleet.agents()) == 200
        fleet.signal(signal.SIGHUP)
    assert fleet.text("fleet/events.log") == ""


@pytest.mark.parametrize("beginning", ["", '{"agent_list":['], ids=["garbage", "one agent"])
def test_endless_bodies_are_failures_without_departures(scripted, mount, beginning):
    server = scripted([f"agent-{at}" for at in range(10)])
    fleet = mount(server, ttl=0.3, per_page=10, timeout=60, retries=0)
    assert len(fleet.agents()) == 10
    assert fleet.text("fleet/events.log") == ""
    chunk = b"x" * (1 << 20) if not beginning else b'"' + b"x" * (1 << 20)

    def endless(wire):
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + beginning.encode())
        wire.send(chunk)
        wire.flood(b"x" * (1 << 20))

    server.answer = endless
    until(lambda: fleet.agents() and
          fleet.values(".fleetfs/last_error").get("kind") == "oversized")
    assert fleet.health()["state"] == "stale"
    assert len(fleet.agents()) == 10
    assert fleet.text("fleet/events.log") == ""


def test_a_token_that_is_replaced_while_a_page_is_read_in_parts_is_read_again(scripted, mount, folder):
    server = scripted([f"agent-{at}" for at in range(90)] +
                      [heavy(f"heavy-{at}", 900_000) for at in range(10)])
    token = folder / "token"
    token.write_text("sk-old")
    token.chmod(0o600)

    def answer(wire):
        size = int(re.search(rb"per_page=(\d+)", wire.head)[1])
        if size == 10 and wire.number == 5 and b"sk-old" in wire.head:
            token.write_text("sk-new")
            wire.reply(b"{}", status="401 Unauthorized")
        else:
            wire.reply(page(server.agents, wire.number, size))

    server.answer = answer
    fleet = mount(server, token=None, token_file=token, ttl=600, timeout=60, delay_connect=True)
    assert len(fleet.agents()) == 100
    assert fleet.text(".fleetfs/last_error") == ""


def test_a_page_that_was_read_in_parts_expires_with_its_first_part(scripted, mount):
    server = scripted([f"agent-{at}" for at in range(10)] +
                      [heavy(f"heavy-{at}", 900_000) for at in range(10)])
    first_part, whole = [], []

    def answer(wire):
        size = int(re.search(rb"per_page=(\d+)", wire.head)[1])
        if size == 20:
            whole.append(time.monotonic())
        else:
            time.sleep(0.2)
            first_part.append(time.monotonic())
        wire.reply(page(server.agents, wire.number, size))

    server.answer = answer
    fleet = mount(server, ttl=3, per_page=20, timeout=60, delay_connect=True)
    assert len(fleet.agents()) == 20
    took_s = time.monotonic() - first_part[0]
    assert took_s > 1.5, "the parts did not take long enough to tell"
    asked = len(whole)
    until(lambda: fleet.text("agents/agent-0/id") and len(whole) > asked)
    assert whole[asked] - first_part[0] < 3 + took_s / 2
