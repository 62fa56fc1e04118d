# SPDX-License-Identifier: MIT
"""A listing contains every agent that stays exactly once, whatever moves meanwhile."""

import os
import signal
import subprocess
import time
from collections import Counter

import pytest

from harness import until


def doubled(names):
    return [name for name, count in Counter(names).items() if count > 1]


def plain(count, prefix="n"):
    return [{"agent_id": f"{prefix}{i}"} for i in range(count)]


def test_empty_fleet_is_an_empty_directory(sim, mount):
    api = sim(agents=0)
    fleet = mount(api, ttl=600)
    assert fleet.agents() == []
    assert os.stat(fleet / "agents").st_nlink == 1
    assert api.requests() == 1


@pytest.mark.parametrize("count", [1, 99, 100, 101, 200])
def test_the_last_page_may_be_full_or_not(sim, mount, count):
    api = sim(agents=count)
    fleet = mount(api, ttl=600)
    assert sorted(fleet.agents()) == sorted(agent["agent_id"] for agent in api.agents())
    assert api.requests() == (count + 99) // 100


@pytest.mark.parametrize("churn_ms", [5, 25])
def test_agents_that_stay_are_listed_once_under_churn(sim, mount, churn_ms, instrumented):
    """Agents come and go at random places, so the pages shift under every sweep."""
    api = sim(agents=400)
    permanent = set(api.permanent())
    assert len(permanent) == 200
    fleet = mount(api, ttl=0.1, per_page=20)
    assert permanent <= set(fleet.agents())
    api.churn(churn_ms)
    listings, end = [], time.monotonic() + (3 if instrumented else 8)
    while time.monotonic() < end or len(listings) <= 20:
        names = fleet.agents()
        assert not doubled(names)
        assert permanent <= set(names), sorted(permanent - set(names))
        listings.append(frozenset(names))
    assert len(set(listings)) > 5


def test_known_agents_are_listed_although_the_order_changes_at_every_sweep(sim, mount):
    api = sim(agents=300)
    everybody = {agent["agent_id"] for agent in api.agents()}
    fleet = mount(api, ttl=0.1, per_page=20)
    assert set(fleet.agents()) == everybody
    api.shuffle()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        names = fleet.agents()
        assert not doubled(names)
        assert set(names) == everybody


def test_agents_that_stay_are_listed_although_the_count_agrees(sim, mount):
    """Between any two pages the first agent leaves and one joins at the end: the agent at the head of
    each page moves to the page before it, which was already read."""
    api = sim(agents=1)
    agents = plain(200)
    api.put_agents(agents)
    fleet = mount(api, ttl=0.1, per_page=10, max_connections=1)
    assert len(fleet.agents()) == 200
    stays = {f"n{i}" for i in range(60, 200)}
    for turn in range(50):
        api.remove_agent(0)
        api.add_agent({"agent_id": f"new{turn}"})
        names = fleet.agents()
        assert not doubled(names)
        assert stays <= set(names), sorted(stays - set(names))


def test_page_that_shifts_during_a_sweep_hides_no_agent(sim, mount, blocked):
    """The sweep is held between two pages while the fleet shifts by one agent."""
    api = sim(agents=1)
    agents = plain(60)
    api.put_agents(agents)
    fleet = mount(api, ttl=0.3, per_page=10, max_connections=1)
    assert len(fleet.agents()) == 60
    time.sleep(0.4)
    api.hold(page=4)
    listing = blocked("ls", "-f", fleet / "agents")
    until(lambda: api.held() == 1)
    api.put_agents([*agents[1:], {"agent_id": "newcomer"}])
    api.release()
    status, output, errors = listing.result()
    assert status == 0, errors
    names = set(output.decode().split())
    assert {f"n{i}" for i in range(1, 60)} <= names


def test_departures_and_arrivals_are_seen_after_the_ttl(sim, mount):
    api = sim(agents=1)
    api.put_agents(plain(150))
    fleet = mount(api, ttl=0.5)
    assert len(fleet.agents()) == 150
    left = fleet / "agents/n7"
    assert left.is_dir()
    api.put_agents([*plain(150)[:7], *plain(150)[8:], {"agent_id": "new"}])
    time.sleep(0.6)
    names = fleet.agents()
    assert "n7" not in names and "new" in names and len(names) == 150
    assert not left.exists()
    with pytest.raises(FileNotFoundError):
        (left / "status").read_bytes()
    assert fleet.text("agents/new/id") == "new\n"
    assert fleet.health()["verified"] == "yes"


def test_agent_that_returns_is_listed_again(sim, mount):
    api = sim(agents=1)
    fleet = mount(api, ttl=0.2)
    for turn in range(4):
        api.put_agents(plain(3) if turn % 2 else plain(2))
        until(lambda: len(fleet.agents()) == 2 + turn % 2)
        assert (fleet / "agents/n2").exists() == bool(turn % 2)


def test_a_listing_slower_than_its_ttl_ends(sim, mount):
    api = sim(agents=300)
    fleet = mount(api, ttl=0.1, per_page=10, max_connections=1)
    api.delay(20)
    api.reset()
    assert len(fleet.agents()) == 300
    assert api.requests() <= 70


def test_paused_listing_continues_without_duplicates(sim, mount):
    api = sim(agents=1042)
    everybody = sorted(agent["agent_id"] for agent in api.agents())
    fleet = mount(api, ttl=0.5)
    with os.scandir(fleet / "agents") as entries:
        names = [next(entries).name for _ in range(150)]
        time.sleep(1)
        assert sorted(fleet.agents()) == everybody
        names += [entry.name for entry in entries]
    assert sorted(names) == everybody


def test_a_partial_listing_does_not_spoil_the_next(sim, mount):
    """The kernel caches half a listing. A later listing that reaches its end must not continue it."""
    api = sim(agents=1042)
    fleet = mount(api, ttl=0.3)
    for _ in range(5):
        with os.scandir(fleet / "agents") as entries:
            for _ in range(130):
                next(entries)
        api.step()
        time.sleep(0.35)
        names = fleet.agents()
        assert not doubled(names)
        assert set(names) == {agent["agent_id"] for agent in api.agents()}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "command, path",
    [("ls", "agents"), ("ls", "by-status"), ("ls", "tasks"), ("stat", "agents/none")],
)
def test_a_listing_expires_after_its_reader_was_killed(sim, mount, blocked, command, path, known, number):
    """The kernel serves a complete listing without requests until the directory's mtime moves."""
    api = sim(agents=1)
    api.put_agents(plain(3))
    fleet = mount(api, ttl=0.3, timeout=60, delay_connect=True)
    if known:
        fleet.agents()
        time.sleep(0.35)
    api.hold()
    reader = blocked(command, fleet / path)
    until(lambda: api.held() >= 1)
    reader.end(number)
    api.release()
    time.sleep(0.35)
    for count in range(4, 8):
        assert len(fleet.agents()) == count - 1
        assert len(fleet.agents()) == count - 1
        api.put_agents(plain(count))
        time.sleep(0.35)


def test_rewinding_lists_again(sim, mount):
    fleet = mount(sim(agents=250), ttl=600)
    folder = os.open(fleet / "agents", os.O_RDONLY)
    try:
        assert sorted(os.listdir(folder)) == sorted(os.listdir(folder)) != []
    finally:
        os.close(folder)


def test_simultaneous_listings_are_complete_under_churn(sim, mount, blocked):
    api = sim(agents=300, churn=20)
    permanent = set(api.permanent())
    fleet = mount(api, ttl=0.2, per_page=25)
    loop = 'for i in $(seq 25); do ls -f "$0" | sort | uniq -d; ls -f "$0" | grep -c .; done'
    listers = [blocked("bash", "-c", loop, fleet / "agents") for _ in range(6)]
    for lister in listers:
        status, output, errors = lister.result(60)
        assert status == 0 and not errors, errors
        lines = output.decode().split()
        assert len(lines) == 25 and all(int(line) > len(permanent) for line in lines)


def test_ls_shows_every_agent_as_a_directory(sim, mount):
    api = sim(agents=120)
    fleet = mount(api, ttl=600)
    listing = subprocess.run(["ls", "-l", fleet / "agents"], capture_output=True, text=True)
    assert listing.returncode == 0 and not listing.stderr
    lines = listing.stdout.splitlines()[1:]
    assert len(lines) == 120 and all(line.startswith("dr-xr-xr-x 1 ") for line in lines)
