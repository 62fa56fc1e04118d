# SPDX-License-Identifier: MIT
"""One odd agent never hides another: a fault in an element costs at most that element."""

import json
import os
import re

import pytest

import expected
from harness import DATA, code_of, until

VALID = '{"agent_id": "%s", "agent_status": "idle"}'
SUITE = json.loads((DATA / "json_suite.json").read_text())  # nst/JSONTestSuite, by way of npm


def body(elements, number, per_page):
    """A page of elements that are given as JSON text, or as bytes that are not UTF-8."""
    part = [element if isinstance(element, bytes) else element.encode("utf-8", "surrogatepass")
            for element in elements[(number - 1) * per_page:number * per_page]]
    meta = {"current_page": number, "per_page": per_page, "total_count": len(elements)}
    return b'{"agent_list": [%s], "page_meta": %s}' % (b",".join(part), json.dumps(meta).encode())


def serve(scripted, elements):
    def answer(wire):
        per_page = int(re.search(rb"per_page=(\d+)", wire.head)[1])
        wire.reply(body(elements, wire.number, per_page))

    server = scripted()
    server.answer = answer
    return server


def document(row):
    return row["input"] if "input" in row else row["repeat"] * row["count"]


# The copy of the suite in json_suite.json has U+FFFD in place of bytes that are not UTF-8. These documents
# have such bytes again, of the kind that the name says; whether they are the suite's own was not checked.
NOT_UTF8 = {
    "i_string_UTF-16LE_with_BOM": b'\xff\xfe[\0"\0\xe9\0"\0]\0',
    "i_string_UTF-8_invalid_sequence": b'["\xe6\x97\xa5\xd1\x88\xfa"]',
    "i_string_UTF8_surrogate_U+D800": b'["\xed\xa0\x80"]',
    "i_string_invalid_utf-8": b'["\xff"]',
    "i_string_iso_latin_1": b'["\xe9"]',
    "i_string_lone_utf8_continuation_byte": b'["\x81"]',
    "i_string_not_in_unicode_range": b'["\xf4\xbf\xbf\xbf"]',
    "i_string_overlong_sequence_2_bytes": b'["\xc0\xaf"]',
    "i_string_overlong_sequence_6_bytes": b'["\xfc\x83\xbf\xbf\xbf\xbf"]',
    "i_string_overlong_sequence_6_bytes_null": b'["\xfc\x80\x80\x80\x80\x80"]',
    "i_string_truncated-utf-8": b'["\xe0\xff"]',
    "i_string_utf16BE_no_BOM": b'\0[\0"\0\xe9\0"\0]',
    "i_string_utf16LE_no_BOM": b'[\0"\0\xe9\0"\0]\0',
}


def deep(levels):
    return "[" * levels + "]" * levels


DEEP = '{"agent_id": "%s", "x": %s}'


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


def list_between_good_agents(scripted, mount, rows):
    """Mounts a fleet of one agent per page: an agent with each document as the value of a field, and good
    agents between them. Returns the mount, the names that are listed and the errno of the listing."""
    elements = []
    for number, row in enumerate(rows):
        text = NOT_UTF8.get(row["name"]) or document(row).encode("utf-8", "surrogatepass")
        elements += [b'{"agent_id": "%s", "x": %s}' % (row["name"].encode(), text),
                     VALID % f"good-{number}"]
    fleet = mount(serve(scripted, elements), ttl=600, per_page=1, retries=0,
                  timeout=60, delay_connect=True)
    names = set()
    with os.scandir(fleet / "agents") as listing:
        code = code_of(lambda: names.update(entry.name for entry in listing))
    return fleet, names, code


def test_every_invalid_document_of_the_conformance_suite_costs_its_own_page_only(scripted, mount):
    rows = [row for row in SUITE if row["name"].startswith("n_")]
    _, names, code = list_between_good_agents(scripted, mount, rows)
    assert code == "EREMOTEIO"
    assert names == {f"good-{number}" for number in range(len(rows))} and len(rows) == 188


def read_strictly(text):
    """The value of a JSON text, which must be UTF-8 and contain valid numbers only."""
    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")
    return json.loads(text.decode("utf-8"), parse_constant=refuse)


def test_a_document_that_the_conformance_suite_leaves_open_costs_its_own_page_at_most(scripted, mount):
    rows = [row for row in SUITE if row["name"].startswith("i_")]
    assert len(rows) == 35 and set(NOT_UTF8) < {row["name"] for row in rows}
    fleet, names, code = list_between_good_agents(scripted, mount, rows)
    good = {f"good-{number}" for number in range(len(rows))}
    names_of_rows = {os.fsdecode(expected.name(row["name"])): row for row in rows}
    accepted = names - good
    assert good <= names and accepted <= set(names_of_rows)
    assert code is None or (code == "EREMOTEIO" and accepted < set(names_of_rows))
    for name in accepted:
        shown = read_strictly(fleet.read(f"agents/{name}/agent.json"))
        assert shown["agent_id"] == names_of_rows[name]["name"]
        assert isinstance(shown["x"], (list, dict))
    for number in range(len(rows)):
        assert fleet.text(f"agents/good-{number}/status") == "idle\n"


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


@pytest.mark.parametrize("odd", [row[1] for row in ODD if not row[2]],
                         ids=[row[0] for row in ODD if not row[2]])
def test_an_odd_element_of_a_file_costs_itself_alone(fleetfs, mount, folder, odd):
    saved = folder / "fleet.json"
    saved.write_bytes(body([VALID % "a", odd, VALID % "b"], 1, 3))
    fleet = mount(str(saved), ttl=600)
    assert sorted(fleet.agents()) == ["a", "b"]
    fleet.stop()
    told = fleetfs("--check", saved, token=None)
    assert told.returncode == 0 and "element 2" in told.stdout and "is dropped: it " in told.stdout


def test_check_prints_a_dropped_element_beside_another_note(fleetfs, folder):
    saved = folder / "fleet.json"
    saved.write_text('{"agent_list": [%s, %s]}' % (VALID % "a", DEEP % ("deep", deep(40))))
    lines = fleetfs("--check", saved, token=None).stdout.splitlines()
    assert any("no total_count to compare with" in line for line in lines), lines
    assert any("agent deep (element 2) is dropped: it is nested" in line for line in lines), lines


def test_a_dropped_element_is_logged_once_and_named(sim, mount):
    api = sim(agents=1)
    api.put_agents(['{"agent_status":"idle"}', '{"agent_id":"a"}', DEEP % ("deep", deep(40)), "7", "8"])
    fleet = mount(api, ttl=0.1)
    for _ in range(3):
        before = api.requests()
        until(lambda: fleet.agents() == ["a"] and api.requests() > before)
    api.put_agents(["7", '{"agent_id":"a"}', DEEP % ("deep", deep(40)), '{"agent_status":"idle"}', DEEP % ("deeper", deep(50))])
    until(lambda: fleet.agents() == ["a"] and "agent deeper" in fleet.output())
    fleet.stop()
    told = [line for line in fleet.output().splitlines() if "dropped" in line]
    assert len(told) == 4, told
    assert sum("agent deep (element 3 of page 1) is dropped: it is nested deeper than 32" in line
               for line in told) == 1
    assert sum("element 1 of page 1 is dropped: it has no agent_id that is a string" in line
               for line in told) == 1
    assert sum("it is not an object" in line for line in told) == 1
    assert sum("agent deeper (element 5" in line for line in told) == 1


def test_an_element_dropped_at_the_start_is_logged_although_its_page_never_changes(sim, mount):
    api = sim(agents=1)
    api.put_agents(['{"agent_id":"a"}', "7"])
    api.validators(etag=True)
    fleet = mount(api, ttl=600)
    until(lambda: "element 2 of page 1 is dropped: it is not an object" in fleet.output())


def test_a_start_needs_one_page_even_if_it_has_no_valid_agent(sim, mount):
    api = sim(agents=1)
    api.put_agents([DEEP % (f"odd-{at}", deep(40)) for at in range(20)] + ['{"agent_id":"a"}'])
    fleet = mount(api, ttl=600, per_page=5)
    assert api.requests() == 1
    assert fleet.agents() == ["a"]
    fleet.stop()
    assert fleet.output().count("is dropped") == 20


def test_more_odd_elements_than_are_remembered_do_not_flood_the_log(sim, mount):
    api = sim(agents=1)
    api.put_agents([DEEP % (f"odd-{at}", deep(40)) for at in range(300)] + ['{"agent_id":"a"}'])
    fleet = mount(api, ttl=0.1, per_page=5)
    for _ in range(2):
        before = api.requests()
        until(lambda: fleet.agents() == ["a"] and api.requests() > before)
    fleet.stop()
    told = fleet.output()
    assert told.count("is dropped") == 256
    assert told.count("further malformed and duplicate elements are only counted, in .fleetfs/stats") == 1


def test_duplicates_with_new_ids_at_each_refresh_do_not_flood_the_log(scripted, mount):
    server = scripted()

    def answer(wire):
        twins = [VALID % f"twin-{server.requests}-{at}" for at in range(40)]
        wire.reply(body([VALID % "a", *twins, *twins], wire.number, 100))

    server.answer = answer
    fleet = mount(server, ttl=0.1)
    until(lambda: "a" in fleet.agents() and server.requests > 12)
    fleet.stop()
    assert fleet.output().count("is listed twice") == 256
    assert fleet.output().count("elements are only counted, in .fleetfs/stats") == 1


def test_a_duplicate_on_the_first_page_is_logged_in_the_log_file(sim, mount, folder):
    api = sim(agents=1)
    api.put_agents(['{"agent_id":"a"}', '{"agent_id":"a"}'])
    log = folder / "file.log"
    fleet = mount(api, ttl=600, log_file=log)
    until(lambda: "agent a is listed twice: the second is dropped" in log.read_text())
    fleet.stop()
    assert log.read_text().count("is listed twice") == 1
    assert "is listed twice" not in fleet.output()


def test_check_prints_a_duplicate_beside_the_other_notes(fleetfs, folder):
    saved = folder / "fleet.json"
    saved.write_text('{"agent_list": [%s, %s]}' % (VALID % "a", VALID % "a"))
    done = fleetfs("--check", saved, token=None)
    assert "agent a is listed twice: the second is dropped" in done.stdout.splitlines()
    assert "is listed twice" not in done.stderr


@pytest.mark.parametrize("large", [3 << 20, 10 << 20], ids=["large together", "large alone"])
def test_an_element_that_is_dropped_from_a_page_read_in_parts_is_logged(sim, mount, large):
    """Two agents that are too large make their page too large, so it is read in smaller parts."""
    api = sim(agents=1)
    size = large // 2 if large > 8 << 20 else large
    agents = ['{"agent_id":"n%d"}' % at for at in range(20)]
    agents[13:13] = ['{"agent_id":"l%d","x":"%s"}' % (at, "x" * size) for at in range(3)]
    if large > 8 << 20:
        agents[13] = '{"agent_id":"l0","x":"%s"}' % ("x" * large)
    api.put_agents(agents)
    fleet = mount(api, ttl=600, per_page=10)
    assert sorted(fleet.agents()) == sorted(f"n{at}" for at in range(20))
    assert fleet.values(".fleetfs/stats")["malformed"] == "3"
    fleet.stop()
    told = [line for line in fleet.output().splitlines() if "dropped" in line]
    assert len(told) == 3, told
    assert any("agent l2 (element 6 of page 2) is dropped: it is larger than 1 MiB" in line
               for line in told)
    if large > 8 << 20:
        assert any("element 4 of page 2 is dropped: it is larger than a response may be"
                   in line for line in told)


def test_pages_of_dropped_elements_do_not_end_the_listing(sim, mount):
    api = sim(agents=1)
    api.put_agents(["7"] * 5 + [VALID % "a"] + ["8"] * 3 + [VALID % "b", "9"])
    fleet = mount(api, ttl=600, per_page=1)
    assert sorted(fleet.agents()) == ["a", "b"]
    assert fleet.health()["verified"] == "yes"
    assert api.requests() <= 12


def test_unknown_members_beside_the_list_are_ignored(sim, mount):
    api = sim(agents=1)
    api.body('{"x":%s,"y":[%s],"\\u0000":"\\u0000","agent_list":[{"agent_id":"a"}],"page_meta":'
             '{"per_page":100,"total_count":1}}' % (deep(40), ",".join("0" * 500001)))
    fleet = mount(api, ttl=600)
    assert fleet.agents() == ["a"]
    assert fleet.health()["verified"] == "yes"


def test_the_last_of_duplicate_keys_counts_in_every_object(sim, mount):
    api = sim(agents=1)
    agent = ('{"agent_id":"no","tool":"first","tool":"second","gpu_capacity":1,"gpu_capacity":2.0,'
             '"agent_labels":["a"],"agent_labels":["b"],"system_stats":{"os_type":"no"},'
             '"system_stats":{"os_type":"1","os_type":"2","gpu_devices":[{"vram_free":1,'
             '"vram_free":2}]},"agent\\u005fid":"a"}')
    api.body('{"agent_list":[{"agent_id":"gone"}],"page_meta":{"total_count":500},"agent_list":['
             + agent + '],"page_meta":{"total_count":9,"total_count":1}}')
    fleet = mount(api, ttl=600)
    assert fleet.agents() == ["a"]
    assert fleet.health()["verified"] == "yes"
    found = {file: fleet.text(f"agents/a/{file}") for file in (
        "tool", "gpu_capacity", "system_stats/os_type", "gpus/0/vram_free")}
    assert list(found.values()) == ["second\n", "2\n", "2\n", "2\n"]
    assert os.listdir(fleet / "agents/a/labels") == ["b"]
    # Readers of agent.json take the last, too.
    assert json.loads(fleet.text("agents/a/agent.json"))["tool"] == "second"
    assert fleet.text("agents/a/agent.json") == agent + "\n"


def test_ids_that_are_not_text_are_different_agents(sim, mount):
    ids = [b"\\u0000", b"\xc0\x80", b"\xc0", b"\xc0\x81", b"\\u00c0\\u0080", b"\xc0\\u0000",
           b"\\ud800", b"\\ud801", b"\\udc00", b"\xff", b"\\ufffd"]
    api = sim(agents=1)
    api.put_agents([b'{"agent_id":"%s","tool":"%d"}' % (text, at) for at, text in enumerate(ids)])
    fleet = mount(api, ttl=600)
    tools = {name: fleet.text(f"agents/{name}/tool") for name in fleet.agents()}
    assert sorted(tools.values(), key=int) == [f"{at}\n" for at in range(len(ids))]
    assert tools["%00"] == "0\n" and tools["%C0%80"] == "1\n" and tools["%C0%00"] == "5\n"


def test_change_between_values_that_are_not_text_is_noticed(sim, mount):
    api = sim(agents=1)
    api.put_agents([b'{"agent_id":"a","tool":"\xff"}'])
    fleet = mount(api, ttl=0.1)
    assert fleet.text("agents/a/tool") == "\\xff\n"
    api.put_agents([b'{"agent_id":"a","tool":"\xfe"}'])
    until(lambda: fleet.text("agents/a/tool") == "\\xfe\n")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["without", "with"])
def test_a_byte_order_mark_in_front_of_a_file_is_ignored(mount, folder, mark):
    saved = folder / "fleet.json"
    saved.write_bytes(mark + body([VALID % "a"], 1, 1))
    assert mount(str(saved), ttl=600).agents() == ["a"]
