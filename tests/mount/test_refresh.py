# SPDX-License-Identifier: MIT
"""With `refresh` the list is read although nobody reads: events and times have no gaps."""

import json
import os
import time

import pytest

from expected import name
from harness import until
from test_events import LOG, lines

LONG = 600


def sweeps(fleet):
    return int(fleet.values(".fleetfs/stats")["sweeps"])


def await_sweeps(fleet, more):
    """Waits for whole lists without reading anything but the status directory."""
    wanted = sweeps(fleet) + more
    until(lambda: sweeps(fleet) >= wanted, every=0.05)


def agent(status):
    return {"agent_id": "a", "agent_status": status}


@pytest.mark.parametrize("ttl", [0.1, LONG])
def test_the_log_is_complete_from_the_mount_on_without_a_reader(sim, mount, ttl):
    api = sim(agents=1)
    api.put_agents([agent("idle"), {"agent_id": "b"}])
    fleet = mount(api, ttl=ttl, refresh=0.3)
    until(lambda: sweeps(fleet) >= 1, every=0.05)
    for status in ("busy", "unhealthy", "idle"):
        api.put_agents([agent(status), {"agent_id": "c"}])
        await_sweeps(fleet, 2)
    assert lines(fleet.read(LOG)) == [
        (b"a", b"status", b"idle", b"busy"), (b"c", b"agent", b"-", b"joined"),
        (b"b", b"agent", b"left", b"-"),
        (b"a", b"status", b"busy", b"unhealthy"), (b"a", b"status", b"unhealthy", b"idle")]


def test_the_time_of_a_value_is_when_it_changed_and_not_when_it_was_read(sim, mount):
    api = sim(agents=1)
    api.put_agents([agent("idle")])
    fleet = mount(api, ttl=LONG, refresh=0.3)
    await_sweeps(fleet, 1)
    api.put_agents([agent("busy")])
    changed = time.time()
    await_sweeps(fleet, 2)
    seen = time.time()
    time.sleep(1)
    assert changed - 0.01 < os.stat(fleet / "agents/a/status").st_mtime < seen + 0.01
    assert fleet.text("agents/a/status") == "busy\n"


def test_there_is_one_sweep_per_period_whoever_reads_beside(sim, mount):
    period, seconds = 1, 6
    api = sim(agents=250, churn=0)
    quiet, read = mount(api, ttl=LONG, refresh=period), mount(api, ttl=LONG, refresh=period)
    before = [sweeps(quiet), sweeps(read)]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        read.text("fleet/summary")
        read.agents()
        time.sleep(0.1)
    for fleet, count in zip((quiet, read), before):
        assert seconds / period - 2 <= sweeps(fleet) - count <= seconds / period + 1


def test_without_the_setting_nothing_is_fetched(sim, mount):
    api = sim(agents=250)
    fleet = mount(api, ttl=0.2)
    fleet.read(LOG)
    assert fleet.health()["next_refresh"] == "-"
    api.reset()
    time.sleep(1)
    assert api.requests() == 0


def test_health_says_when_the_next_one_is(sim, mount):
    api = sim(agents=3)
    fleet = mount(api, ttl=LONG, refresh=60)
    until(lambda: sweeps(fleet) == 1)
    assert 50 < float(fleet.health()["next_refresh"]) <= 60
    assert fleet.values(".fleetfs/config")["refresh"] == "60"


def test_a_failing_api_is_asked_less_and_less_and_read_again_when_it_works(sim, mount):
    api = sim(agents=250)
    fleet = mount(api, ttl=0.2, refresh=0.2, retries=0, stale=0)
    until(lambda: sweeps(fleet) >= 2)
    api.fail(503)
    until(lambda: fleet.health()["state"] == "failing")
    api.reset()
    time.sleep(4)
    assert 1 <= api.requests() <= 4
    api.ok()
    count = sweeps(fleet)
    until(lambda: sweeps(fleet) > count + 2, seconds=20, every=0.1)
    assert fleet.health()["state"] == "ok"


@pytest.mark.parametrize("ttl", [0.1, LONG])
def test_a_file_that_is_replaced_is_noticed_without_a_reader(mount, folder, ttl):
    file = folder / "fleet.json"

    def save(*agents):
        new = folder / "new"
        new.write_text(json.dumps({"agent_list": agents}))
        new.rename(file)
    save(agent("idle"))
    fleet = mount(file, token=None, ttl=ttl, refresh=0.3)
    until(lambda: sweeps(fleet) >= 1, every=0.05)
    save(agent("busy"))
    await_sweeps(fleet, 2)
    save(agent("idle"))
    await_sweeps(fleet, 2)
    assert lines(fleet.read(LOG)) == [(b"a", b"status", b"idle", b"busy"),
                                      (b"a", b"status", b"busy", b"idle")]


def test_the_first_list_is_no_event_although_the_api_was_down_at_the_mount(sim, mount):
    api = sim(agents=250, churn=0)
    api.fail(503)
    fleet = mount(api, ttl=0.2, refresh=0.2, retries=0, delay_connect=True)
    until(lambda: fleet.health()["state"] == "failing")
    api.ok()
    until(lambda: sweeps(fleet) >= 2, seconds=20, every=0.1)
    assert not [line for line in lines(fleet.read(LOG)) if line[1] == b"agent"]
    api.put_agents([*api.agents(), {"agent_id": "new"}])
    until(lambda: (name("new"), b"agent", b"-", b"joined") in lines(fleet.read(LOG)), every=0.1)
