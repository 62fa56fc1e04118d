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
