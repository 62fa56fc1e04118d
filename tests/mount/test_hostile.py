# SPDX-License-Identifier: MIT
"""Names that were chosen to do harm, and an API whose answers contradict each other."""

import errno
import os
import subprocess
import time

import pytest

import expected
from harness import code_of, until

IDS = [
    "../../etc/passwd", ".", "..", "", "a/b", "/", "/etc/passwd", "-rf", "--help", ".hidden", "%41",
    "%", "%%", "A", "%~", "A\nB", "\n", "\x1b]0;x\x07", "\u202eexe.txt", "\u009b31m", "\u200f",
    " lead", "trail ", " ", "in the middle", "tab\there", "\x7f", "*", "?", "[a-z]", "$(id)", "`id`",
    ";", "'", '"', "\\", "\\x41", "ünï", "漢字", "🙂", "~", "CON", "agent.json", "agents", "#x",
    "x" * 255, "x" * 256, "x" * 5000, "y" * 256, "ä" * 127, "ä" * 128, "é/" * 100, "%" * 85,
    "%" * 86, "/" * 300, "🙂" * 70, "x" * 254 + " ",
    "\0", "a\0b", "\0" * 86, "\u2028", "a\u2029b", "\u00c0\u0080",
]
RAW_IDS = [b"\xff", b"\xffa", b"\xc3(", b"\xed\xa0\x80", b"\xc0\xaf", b"\xfe" * 85, b"\xfe" * 86,
           b"\xc0\x80", b"\xc0\x81", b"\xc0", b"\xc0" * 86]


def test_every_id_is_listed_once_is_safe_distinct_and_readable_by_the_name_listed(sim, mount):
    raw = [b'{"agent_id":"' + text + b'","tool":"t"}' for text in RAW_IDS]
    ids = IDS + [text.decode("utf-8", "surrogateescape") for text in RAW_IDS]
    api = sim(agents=1)
    api.put_agents([{"agent_id": text, "tool": "t"} for text in IDS] + raw)
    fleet = mount(api, ttl=600)
    folder = os.fsencode(fleet / "agents")
    names = os.listdir(folder)
    assert len(names) == len(set(names)) == len(ids)
    held = {}
    for name in names:
        assert len(name) <= 255
        shown = name.decode("utf-8")  # so it is UTF-8
        assert not any(expected.is_unsafe(ord(c)) or c == "/" for c in shown)
        assert not shown.startswith((".", "-", " ")) and not shown.endswith(" ")
        with open(os.path.join(folder, name, b"id"), "rb") as opened:
            held[name] = opened.read()
        assert os.path.isdir(os.path.join(folder, name, b"labels"))
    for text in ids:
        wanted = expected.name(text)
        if isinstance(wanted, bytes):
            assert held[wanted] == expected.line(text), text
        else:
            found = [name for name in names
                     if wanted.match(name) and held[name] == expected.line(text)]
            assert len(found) == 1, text
    assert api.requests() == 1


def test_labels_are_names_too(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a", "agent_labels": [*IDS, "A", ".", ""]}])
    fleet = mount(api, ttl=600)
    folder = os.fsencode(fleet / "agents/a/labels")
    names = os.listdir(folder)
    assert len(names) == len(set(names)) == len(IDS)
    held = {name: open(os.path.join(folder, name), "rb").read() for name in names}
    for text in IDS:
        wanted = expected.name(text)
        if isinstance(wanted, bytes):
            assert held[wanted] == expected.line(text)
    assert sorted(held.values()) == sorted(expected.line(text) for text in IDS)


def test_shell_globs_and_programs_take_the_names_as_they_are(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": text} for text in IDS])
    fleet = mount(api, ttl=600)
    cat = subprocess.run("cat */id | wc -l; ls -d * | wc -l; ls | wc -l", shell=True,
                         cwd=fleet / "agents", capture_output=True, text=True)
    assert not cat.stderr
    assert cat.stdout.split() == [str(len(IDS) - 1), str(len(IDS)), str(len(IDS))]


def test_ids_that_differ_in_case_or_normal_form_are_different_agents(sim, mount):
    ids = ["gpu", "GPU", "Gpu", "é", "e\u0301"]
    api = sim(agents=1)
    api.put_agents([{"agent_id": text} for text in ids])
    fleet = mount(api, ttl=600)
    assert sorted(fleet.agents()) == sorted(ids)
    for text in ids:
        assert fleet.text(f"agents/{text}/id") == text + "\n"


def test_duplicate_id_is_dropped_counted_and_logged_once(sim, mount):
    """A duplicate on the same page is logged. On another page it may be one agent whose page shifted, so
    it is only counted."""
    api = sim(agents=1)
    agents = [{"agent_id": f"n{i}", "tool": "first"} for i in range(40)]
    agents.insert(7, {"agent_id": "n3", "tool": "second"})
    agents.append({"agent_id": "n5", "tool": "third"})
    api.put_agents(agents)
    fleet = mount(api, ttl=0.3, per_page=10)
    for _ in range(3):
        assert sorted(fleet.agents()) == sorted(f"n{i}" for i in range(40))
        assert fleet.text("agents/n3/tool") == fleet.text("agents/n5/tool") == "first\n"
        time.sleep(0.4)
    assert int(fleet.values(".fleetfs/stats")["duplicates"]) >= 2
    fleet.stop()
    told = [line for line in fleet.output().splitlines() if "n3" in line]
    assert len(told) == 1, fleet.output()


def test_element_that_is_no_agent_hides_no_other(sim, mount):
    api = sim(agents=1)
    api.put_agents(['{"agent_id":"a"}', "null", "7", '"text"', "[]", "{}", '{"agent_id":5}',
                    '{"agent_id":null}', '{"agent_id":"b"}', '{"id":"c"}'])
    fleet = mount(api, ttl=600)
    assert sorted(fleet.agents()) == ["a", "b"]
    assert fleet.text("agents/b/id") == "b\n"


def test_a_page_with_a_raw_nul_is_refused(sim, mount):
    api = sim(agents=1)
    fleet = mount(api, ttl=600, delay_connect=True, retries=0)
    text = ('{"agent_list":[{"agent_id":"a%sb"}],"page_meta":{"current_page":1,"per_page":100,'
            '"total_count":1}}')
    api.body(text % "\0")
    assert code_of(fleet.agents) == "EREMOTEIO"
    api.body(text % "x")  # nothing else is wrong with the page
    until(lambda: code_of(fleet.agents) is None)
    assert fleet.agents() == ["axb"]


@pytest.mark.parametrize("total", ["0", "-1", "9223372036854775808", "7", "1000000", '"42"', "null",
                                   "1e3"])
def test_wrong_total_count_costs_no_agent_and_few_requests(sim, mount, total):
    api = sim(agents=250)
    everybody = sorted(agent["agent_id"] for agent in api.agents())
    api.total(total)
    fleet = mount(api, ttl=600)
    assert sorted(fleet.agents()) == everybody
    assert api.requests() <= 30
    assert fleet.health()["verified"] == "no"


def test_repeating_page_ends_the_listing(sim, mount):
    api = sim(agents=1)
    members = ",".join(f'{{"agent_id":"n{i}"}}' for i in range(100))
    api.body(f'{{"agent_list":[{members}],"page_meta":{{"current_page":1,"per_page":100,'
             '"total_count":100000}}')
    fleet = mount(api, ttl=600)
    assert len(fleet.agents()) == 100
    assert api.requests() <= 50
    assert fleet.health()["verified"] == "no"


def test_pages_smaller_than_requested_are_understood(sim, mount):
    """An API that returns 20 agents at a time, whatever is requested."""
    api = sim(agents=1)
    for page in range(1, 6):
        members = ",".join(f'{{"agent_id":"n{i}"}}' for i in range(20 * page - 20, 20 * page))
        api.body(f'{{"agent_list":[{members if page < 5 else ""}],"page_meta":{{"current_page":'
                 f'{page},"per_page":20,"total_count":80}}}}', page=page)
    fleet = mount(api, ttl=600)
    assert len(fleet.agents()) == 80
    assert fleet.health()["verified"] == "yes"


def test_empty_page_in_the_middle_costs_no_agent_for_long(sim, mount):
    api = sim(agents=500)
    everybody = sorted(agent["agent_id"] for agent in api.agents())
    fleet = mount(api, ttl=0.3)
    assert sorted(fleet.agents()) == everybody
    api.body('{"agent_list":[],"page_meta":{"current_page":3,"per_page":100,"total_count":500}}',
             page=3)
    api.reset()
    fleet.agents()
    assert api.requests() <= 30
    api.ok()
    until(lambda: sorted(fleet.agents()) == everybody)


def test_page_that_stays_empty_hides_no_other_page(sim, mount):
    api = sim(agents=500)
    names = [agent["agent_id"] for agent in api.agents()]
    api.body('{"agent_list":[],"page_meta":{"current_page":3,"per_page":100,"total_count":500}}',
             page=3)
    fleet = mount(api, ttl=1)
    listed = []
    with pytest.raises(OSError) as fault, os.scandir(fleet / "agents") as listing:
        listed.extend(entry.name for entry in listing)
    assert fault.value.errno == errno.EREMOTEIO
    assert listed == names[:200] + names[300:]
    assert fleet.text(f"agents/{names[450]}/id") == f"{names[450]}\n"
    assert code_of(lambda: fleet.read("agents/no-such-agent/id")) == "EREMOTEIO"
    assert fleet.health()["state"] != "ok" and fleet.health()["verified"] == "no"
    assert "page 3 is empty" in fleet.values(".fleetfs/last_error")["message"]
    api.ok()
    until(lambda: code_of(fleet.agents) is None and sorted(fleet.agents()) == sorted(names))
    assert fleet.health()["state"] == "ok" and fleet.health()["verified"] == "yes"
