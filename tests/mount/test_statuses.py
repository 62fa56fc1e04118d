# SPDX-License-Identifier: MIT
"""The statuses that the API documents always exist, in the same order, with or without agents; others
follow, sorted."""

import os
import re

import pytest

from expected import STATUSES
from harness import code_of, until
from scripted import ask_again

LONG = 600


def statuses_in_summary(fleet):
    """{status: agents} in the order of the lines."""
    return {key.removeprefix("agents_"): int(value)
            for key, value in fleet.values("fleet/summary").items() if key.startswith("agents_")}


def statuses_in_metrics(fleet):
    found = re.findall(r'^fleet_agents\{status="(.*)"\} (\d+)$', fleet.text("fleet/metrics.prom"), re.M)
    return {status: int(count) for status, count in found}


def put(api, *statuses):
    api.put_agents([{"agent_id": f"n{i}", **({"agent_status": status} if status else {})}
                    for i, status in enumerate(statuses)])


def test_no_status_forges_the_key_of_another_line(sim, mount):
    """For a parser that splits a line at its first colon, or at spaces."""
    api = sim(agents=1)
    odd = {"idle: 99": "agents_idle%3A%2099", "idle 99": "agents_idle%2099", "idle%3A 99": "agents_idle%253A%2099",
           "idle:": "agents_idle%3A", "": None, "x\nagents_idle: 99": "agents_x%0Aagents_idle%3A%2099"}
    put(api, "idle", *odd)
    lines = mount(api, ttl=LONG).text("fleet/summary").splitlines()
    assert all(re.fullmatch(r"[^ :]+: \d+", line) for line in lines)
    values = dict(line.split(": ") for line in lines)
    assert len(values) == len(lines)
    assert values["agents_idle"] == "1" and values["agents"] == str(len(odd) + 1)
    assert {values[key] for key in odd.values() if key} == {"1"}


def test_gpus_are_available_on_agents_that_are_idle_or_busy(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": status, "agent_status": status, "gpu_capacity": 8, "running_count": at}
                    for at, status in enumerate([*STATUSES, "odd"])] +
                   [{"agent_id": "none", "gpu_capacity": 8, "running_count": 0}])
    fleet = mount(api, ttl=LONG)
    values = fleet.values("fleet/summary")
    assert values["gpu_free"] == str(8 + 7 + 6 + 5 + 4 + 3 + 8) and values["gpu_available"] == str(8 + 7)
    assert re.search(r"^fleet_gpu_available 15$", fleet.text("fleet/metrics.prom"), re.M)


def test_the_order_of_the_summary_is_fixed(sim, mount):
    api = sim(agents=1)
    put(api, "odd", "busy")
    wanted = ["agents", *(f"agents_{status}" for status in (*STATUSES, "odd")), "gpu_capacity",
              "gpu_running", "gpu_free", "gpu_available", "vram_total", "vram_free", "vram_used",
              "tasks_running", "tasks_completed"]
    assert list(mount(api, ttl=LONG).values("fleet/summary")) == wanted
    assert list(mount(api, ttl=LONG, name="eu").values("fleet/summary").items())[0] == ("name", "eu")
    assert list(mount(api, ttl=LONG, name="eu").values("fleet/summary")) == ["name", *wanted]


@pytest.mark.parametrize("met", [["zoo", "busy", "odd", "idle", "odd"],
                                 ["odd", "odd", "idle", "busy", "zoo"]])
def test_the_order_of_statuses_is_fixed_and_has_no_gaps(sim, mount, met):
    api = sim(agents=1)
    put(api, *met)
    fleet = mount(api, ttl=LONG)
    wanted = {"idle": 1, "busy": 1, "syncing": 0, "tunnel": 0, "unhealthy": 0, "odd": 2, "zoo": 1}
    assert list(statuses_in_summary(fleet).items()) == list(wanted.items())
    assert list(statuses_in_metrics(fleet).items()) == list(wanted.items())
    assert os.listdir(fleet / "by-status")[:5] == list(STATUSES)
    assert sorted(os.listdir(fleet / "by-status")[5:]) == ["odd", "zoo"]


def test_an_empty_fleet_has_every_documented_status(sim, mount):
    api = sim(agents=1)
    api.put_agents([])
    fleet = mount(api, ttl=LONG)
    zeroes = [(status, 0) for status in STATUSES]
    assert list(statuses_in_summary(fleet).items()) == zeroes
    assert list(statuses_in_metrics(fleet).items()) == zeroes
    assert os.listdir(fleet / "by-status") == list(STATUSES)
    for status in STATUSES:
        assert os.listdir(fleet / "by-status" / status) == []


def test_agents_without_a_status_are_counted_last_in_the_metrics(sim, mount):
    api = sim(agents=1)
    put(api, None, "odd", None)
    assert list(statuses_in_metrics(mount(api, ttl=LONG)).items())[-2:] == [("odd", 1), ("", 2)]


def test_a_documented_status_is_a_directory_without_a_request(sim, mount):
    api = sim(agents=250)
    fleet = mount(api, ttl=0.2)
    ask_again(fleet)
    api.reset()
    api.fail(503)
    for status in STATUSES:
        assert (fleet / "by-status" / status).is_dir()
        os.close(os.open(fleet / "by-status" / status, os.O_RDONLY))
    assert api.requests() == 0
    assert code_of(lambda: os.stat(fleet / "by-status/odd")) is not None
    assert api.requests() > 0


def test_an_empty_group_fills_and_empties(sim, mount):
    api = sim(agents=1)
    put(api, "idle", "idle")
    fleet = mount(api, ttl=0.2)
    inside = os.open(fleet / "by-status/unhealthy", os.O_RDONLY)
    try:
        assert os.listdir(inside) == []
        for members in (["n1"], []):
            put(api, "idle", "unhealthy" if members else "idle")
            until(lambda: os.listdir(fleet / "by-status/unhealthy") == members)
            until(lambda: os.listdir(inside) == members)
    finally:
        os.close(inside)
