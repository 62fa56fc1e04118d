# SPDX-License-Identifier: MIT
"""Files of unusual values: exact or empty, one line, never wrong."""

import json
import os
from decimal import MAX_EMAX, MIN_EMIN, Decimal, localcontext

import pytest

import expected

FIELDS = [*expected.STRINGS.values(), *expected.NUMBERS.values(), "agent_labels", "running_tasks",
          "system_stats"]
WRONG = [None, True, False, 7, "text", [], {}, [1], {"a": "b"}, ["x", 1, None], 1.5, ""]
ALWAYS = {path for path in expected.files({}) if "/" not in path or path.startswith("system_stats")}


def full(name):
    return {
        "agent_id": name, "agent_status": "idle", "agent_labels": ["gpu"],
        "last_heartbeat": "2025-02-10T14:30:00Z", "agent_version": "1", "tool": "comfyui",
        "tool_version": "2", "comfyui_version": "3", "gpu_capacity": 8, "running_count": 3,
        "running_tasks": ["t1", "t2"], "platform_arch": "linux/amd64", "sync_phase": "idle",
        "sync_detail": "none", "sync_percent": 45, "connected_at": "2025-02-10T14:00:00Z",
        "tasks_completed": 42, "current_task_id": "t1",
        "system_stats": {
            "comfyui_version": "4", "pytorch_version": "5", "os_type": "posix",
            "gpu_devices": [{"device_name": "G", "device_type": "cuda", "vram_total": 10,
                             "vram_free": 4}]}}


def tree(fleet, name):
    found = expected.walk(fleet / "agents" / name)
    found.pop("agent.json")
    return found


def test_a_field_of_the_wrong_type_is_empty_and_the_rest_intact(sim, mount):
    agents = []
    for field in FIELDS:
        if field == "agent_id":
            continue
        for number, value in enumerate(WRONG):
            agents.append({**full(f"{field}-{number}"), field: value})
        agents.append({k: v for k, v in full(f"{field}-absent").items() if k != field})
    api = sim(agents=1)
    api.put_agents(agents)
    fleet = mount(api, ttl=600)
    for agent in agents:
        wanted = expected.files(agent)
        found = tree(fleet, agent["agent_id"])
        if agent["agent_labels"] == ["x", 1, None] if "agent_labels" in agent else False:
            assert found["labels/x"] == b"x\n"
        assert found == wanted, agent
        assert ALWAYS <= set(found)


def test_a_device_with_fields_of_the_wrong_type_keeps_its_number(sim, mount):
    devices = [{}, {"device_name": 5, "device_type": None, "vram_total": "10", "vram_free": [1]},
               {"device_name": "G", "device_type": "cuda", "vram_total": 10, "vram_free": 4}]
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a", "system_stats": {"gpu_devices": devices}}])
    found = tree(mount(api, ttl=600), "a")
    assert found == expected.files({"agent_id": "a", "system_stats": {"gpu_devices": devices}})
    assert {path.split("/")[1] for path in found if path.startswith("gpus/")} == {"0", "1", "2"}


def test_agent_with_only_an_id_has_all_files(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a"}])
    fleet = mount(api, ttl=600)
    found = tree(fleet, "a")
    assert found.pop("id") == b"a\n"
    assert set(found) == ALWAYS - {"id"} and set(found.values()) == {b""}
    assert os.listdir(fleet / "agents/a/labels") == os.listdir(fleet / "agents/a/gpus") == []
    assert fleet.read("agents/a/agent.json") == b'{"agent_id":"a"}\n'


@pytest.mark.parametrize("text", [
    "0", "-1", "7", "2147483648", "-2147483649", "9007199254740991", "9007199254740992",
    "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551616",
    "1.5", "1e400", "1e3", "-0", "1.0", "0.1e1", "-9007199254740992", "-9007199254740993",
    "8e0", "1e2", "10e-1", "0.0", "-0.0e9", "9e15", "9.007199254740992E+15", "0.1", "1e16",
    "9007199254740992.0", "9007199254740993.0", "9007199254740992.5", "1e999999999", "1e-999999999",
    "1." + "0" * 500, "0." + "0" * 500 + "1e501", "1" + "0" * 500 + "e-500"])
def test_a_number_is_exact_or_absent(sim, mount, text):
    api = sim(agents=1)
    api.put_agents([f'{{"agent_id":"a","tasks_completed":{text},"system_stats":{{"gpu_devices":'
                    f'[{{"vram_total":{text},"vram_free":0}}]}}}}'])
    fleet = mount(api, ttl=600)
    value = Decimal(text)
    with localcontext(prec=2000, Emax=MAX_EMAX, Emin=MIN_EMIN):
        exact = abs(value) <= 2 ** 53 and value == value.to_integral_value()
    wanted = f"{int(value)}\n" if exact else ""
    for file in ("tasks_completed", "gpus/0/vram_total"):
        assert fleet.text(f"agents/a/{file}") == wanted
    assert f'"tasks_completed":{text},' in fleet.text("agents/a/agent.json")


def test_derived_values_are_right_or_absent(sim, mount):
    cases = {"plain": (8, 3, "5\n"), "none": (4, 4, "0\n"), "over": (1, 3, "0\n"),
             "no-capacity": (None, 3, ""), "no-running": (8, None, "")}
    api = sim(agents=1)
    api.put_agents([{"agent_id": name, "gpu_capacity": capacity, "running_count": running}
                    for name, (capacity, running, _) in cases.items()]
                   + [{"agent_id": "big", "system_stats": {"gpu_devices": [
                       {"vram_total": 9007199254740992, "vram_free": 1}, {"vram_total": 5},
                       {"vram_free": 5}, {"vram_total": 5, "vram_free": 5}]}}])
    fleet = mount(api, ttl=600)
    for name, (_, _, free) in cases.items():
        assert fleet.text(f"agents/{name}/gpu_free") == free, name
    used = [fleet.text(f"agents/big/gpus/{n}/vram_used") for n in range(4)]
    assert used == ["9007199254740991\n", "", "", "0\n"]


def test_value_is_one_line_and_cannot_control_a_terminal(sim, mount):
    odd = "a\nb\rc\td\x1b]0;x\x07 \x7f \u0085 \u009b \u061c\u200e\u202e\u2066 \\x41 äöü 漢字 🙂"
    api = sim(agents=1)
    agent = {"agent_id": "a", "sync_detail": odd, "running_tasks": ["x\ny", "z"], "tool": "\n"}
    api.put_agents([agent])
    fleet = mount(api, ttl=600)
    text = fleet.read("agents/a/sync_detail")
    assert text == (b"a\\x0ab\\x0dc\\x09d\\x1b]0;x\\x07 \\x7f \\xc2\\x85 \\xc2\\x9b \\xd8\\x9c"
                    b"\\xe2\\x80\\x8e\\xe2\\x80\\xae\\xe2\\x81\\xa6 \\x41 "
                    + "äöü 漢字 🙂\n".encode())
    assert text == expected.files(agent)["sync_detail"]
    assert fleet.read("agents/a/running_tasks") == b"x\\x0ay\nz\n"
    assert fleet.read("agents/a/tool") == b"\\x0a\n"
    raw = fleet.read("agents/a/agent.json")
    assert json.loads(raw)["sync_detail"] == odd
    assert all(not expected.is_unsafe(ord(c)) for c in raw.decode()[:-1])
    assert b"\\u202e" in raw and b"\\u009b" in raw and b"\\u007f" in raw


def test_bytes_that_are_not_utf8_are_shown_byte_by_byte(sim, mount):
    api = sim(agents=1)
    api.put_agents([b'{"agent_id":"a","sync_detail":"x\xff\xc3(\xed\xa0\x80\xc0\xafy"}'])
    fleet = mount(api, ttl=600)
    assert fleet.read("agents/a/sync_detail") == (
        b"x\\xff\\xc3(\\xed\\xa0\\x80\\xc0\\xafy\n")
    fleet.read("agents/a/agent.json").decode()  # it is UTF-8, whatever became of those


def test_agent_json_keeps_unknown_fields_their_order_and_numbers_as_they_came(sim, mount):
    texts = [
        '{"zeta":1,"agent_id":"a","alpha":[1,2.50,1E+2,-0,{"b":null,"a":true}],"":""}',
        '{"agent_id":"b","n":12345678901234567890123,"f":0.10000000000000000001,"e":1e400}',
        '{ "agent_id" : "c" ,\n "x" : [ ] , "y" : { } , "s" : "\\u00e9\\/\\"\\\\ \\ud83d\\ude42" }',
        '{"agent_id":"d","same":1,"same":2}',
    ]
    api = sim(agents=1)
    api.put_agents(texts)
    fleet = mount(api, ttl=600)
    for name, text in zip("abcd", texts):
        raw = fleet.text(f"agents/{name}/agent.json")
        assert expected.pairs(raw) == expected.pairs(text)
        assert raw.count("\n") == 1 and raw.endswith("}\n")


def test_large_agent_is_complete(sim, mount):
    agent = {"agent_id": "a", "sync_detail": "d" * 300_000,
             "agent_labels": [f"label-{n:03}" for n in range(200)],
             "running_tasks": [f"task-{n:04}" for n in range(2000)],
             "system_stats": {"gpu_devices": [{"device_name": f"G{n}", "vram_total": n,
                                               "vram_free": 0} for n in range(64)]}}
    api = sim(agents=1)
    api.put_agents([agent])
    fleet = mount(api, ttl=600)
    found = expected.walk(fleet / "agents/a")
    assert json.loads(found.pop("agent.json")) == agent
    assert found == expected.files(agent)
