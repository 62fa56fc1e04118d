# SPDX-License-Identifier: MIT
"""One odd agent never hides another: what is wrong with an element costs that element at most."""

import json
import os
import re

import pytest

from harness import DATA, code_of

VALID = '{"agent_id": "%s", "agent_status": "idle"}'
SUITE = json.loads((DATA / "json_suite.json").read_text())  # nst/JSONTestSuite, by way of npm


def body(elements, number, per_page, total=None):
    """A page of elements that are given as JSON text."""
    part = elements[(number - 1) * per_page:number * per_page]
    return ('{"agent_list": [%s], "page_meta": {"current_page": %d, "per_page": %d, "total_count": %d}}'
            % (",".join(part), number, per_page, total or len(elements))).encode(
                "utf-8", "surrogatepass")


def serve(scripted, elements):
    def answer(wire):
        per_page = int(re.search(rb"per_page=(\d+)", wire.head)[1])
        wire.reply(body(elements, wire.number, per_page))

    server = scripted()
    server.answer = answer
    return server


def document(row):
    return row["input"] if "input" in row else row["repeat"] * row["count"]


def deep(levels):
    return "[" * levels + "]" * levels


# What is wrong with an element: name, JSON text, whether the agent is still there.
ODD = [
    ("nul in a label", '{"agent_id": "odd", "agent_labels": ["a\\u0000b"]}', True),
    ("nul in an unknown field", '{"agent_id": "odd", "x": "a\\u0000b"}', True),
    ("nul in a key", '{"agent_id": "odd", "a\\u0000b": 1}', True),
    ("nested 40 deep", '{"agent_id": "odd", "x": %s}' % deep(40), False),
    ("nested 100000 deep", '{"agent_id": "odd", "x": %s}' % deep(100000), False),
    ("many values", '{"agent_id": "odd", "x": [%s]}' % ",".join("0" * 500001), False),
    ("larger than 1 MiB", '{"agent_id": "odd", "x": "%s"}' % ("x" * (1 << 20)), False),
    ("half a surrogate pair", '{"agent_id": "odd", "tool": "\\ud800"}', True),
    ("an endless number", '{"agent_id": "odd", "gpu_capacity": 1%s}' % ("0" * 100000), True),
    ("a huge exponent", '{"agent_id": "odd", "gpu_capacity": 1e999999999}', True),
    ("duplicate keys", '{"agent_id": "no", "agent_id": "odd"}', True),
    ("no object", '"odd"', False),
    ("an ID that is no string", '{"agent_id": 7}', False),
]


@pytest.mark.parametrize("element, stays", [row[1:] for row in ODD], ids=[row[0] for row in ODD])
def test_an_odd_element_costs_itself_at_most(scripted, mount, folder, element, stays):
    elements = [VALID % f"agent-{number:03}" for number in range(300)]
    elements[150] = element
    log = folder / "log"
    fleet = mount(serve(scripted, elements), ttl=0.5, log_file=log)
    others = {f"agent-{number:03}" for number in range(300)} - {"agent-150"}
    for _ in range(2):
        names = set(fleet.agents())
        assert names - {"odd"} == others and ("odd" in names) == stays
        fleet.signal(1)
    assert fleet.read("agents/agent-299/status") == b"idle\n"
    lines = [line for line in log.read_text().splitlines() if "is dropped" in line]
    assert len(lines) == (0 if stays else 1), lines
    stats = dict(line.split(": ") for line in fleet.read(".fleetfs/stats").decode().splitlines())
    assert (int(stats["malformed"]) > 0) == (not stays)


def test_a_nul_is_shown_as_an_escape_and_passed_on(scripted, mount):
    fleet = mount(serve(scripted, [
        '{"agent_id": "a\\u0000b", "agent_labels": ["x\\u0000y"], "unknown": "p\\u0000q"}',
        '{"agent_id": "a"}', '{"agent_id": "a\\u0000"}']), ttl=600)
    assert sorted(fleet.agents()) == ["a", "a%00", "a%00b"]
    assert fleet.read("agents/a%00b/id") == b"a\\x00b\n"
    assert os.listdir(fleet / "agents" / "a%00b" / "labels") == ["x%00y"]
    assert fleet.read("agents/a%00b/labels/x%00y") == b"x\\x00y\n"
    assert json.loads(fleet.read("agents/a%00b/agent.json"))["unknown"] == "p\0q"
    assert os.listdir(fleet / "by-label") == ["x%00y"]


def test_every_valid_document_of_the_conformance_suite_costs_nothing(scripted, mount):
    rows = [row for row in SUITE if row["name"].startswith("y_")]
    elements = ['{"agent_id": "%s", "x": %s}' % (row["name"], document(row)) for row in rows]
    fleet = mount(serve(scripted, elements), ttl=600)
    assert set(fleet.agents()) == {row["name"] for row in rows} and len(rows) == 95
    for row in rows:
        shown = json.loads(fleet.read(f"agents/{row['name']}/agent.json"))
        assert json.dumps(shown["x"]) == json.dumps(json.loads(document(row)))


def test_every_invalid_document_of_the_conformance_suite_costs_its_own_page_only(scripted, mount):
    """Each is the value of a field of an agent that has a page of its own, between valid ones."""
    rows = [row for row in SUITE if row["name"].startswith("n_")]
    elements = []
    for number, row in enumerate(rows):
        elements += ['{"agent_id": "%s", "x": %s}' % (row["name"], document(row)),
                     VALID % f"good-{number}"]
    fleet = mount(serve(scripted, elements), ttl=600, per_page=1, retries=0,
                  timeout=60, delay_connect=True)
    names = set()
    with os.scandir(fleet / "agents") as listing:
        assert code_of(lambda: names.update(entry.name for entry in listing)) == "EREMOTEIO"
    assert names == {f"good-{number}" for number in range(len(rows))} and len(rows) == 188


@pytest.mark.parametrize("number, shown", [
    ("8.0", "8"), ("8e0", "8"), ("1e2", "100"), ("10e-1", "1"), ("-0", "0"), ("0.0e9", "0"),
    ("9007199254740992.0", "9007199254740992"), ("9007199254740993.0", ""), ("0.1", ""),
    ("1e400", ""), ("1e-400", "")])
def test_a_number_counts_if_its_value_is_an_integer(scripted, mount, number, shown):
    fleet = mount(serve(scripted, ['{"agent_id": "a", "gpu_capacity": %s}' % number]), ttl=600)
    assert fleet.read("agents/a/gpu_capacity").decode() == (shown + "\n" if shown else "")


def test_the_last_of_duplicate_keys_counts(scripted, mount):
    fleet = mount(serve(scripted, [
        '{"agent_id": "a", "agent_status": "idle", "agent_status": "busy",'
        ' "system_stats": {"os_type": "x"}, "system_stats": {"os_type": "y"}}']), ttl=600)
    assert fleet.read("agents/a/status") == b"busy\n"
    assert fleet.read("agents/a/system_stats/os_type") == b"y\n"
    assert json.loads(fleet.read("agents/a/agent.json"))["agent_status"] == "busy"


def test_line_separators_cannot_forge_a_line(scripted, mount):
    fleet = mount(serve(scripted, ['{"agent_id": "a\\u2028b", "tool": "x\\u2029y"}']), ttl=600)
    assert fleet.agents() == ["a%E2%80%A8b"]
    assert fleet.read("agents/a%E2%80%A8b/tool") == b"x\\xe2\\x80\\xa9y\n"
