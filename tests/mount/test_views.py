# SPDX-License-Identifier: MIT
"""The views over the whole fleet are symlinks to its agents: each agent once in each of its groups,
without requests beyond those for the list."""

import os
import signal
import time

import pytest

import expected
import harness
from harness import AGENTS, LONG, code_of, opened, run, until
from scripted import Wire, ask_again, own
from test_churn import resident_kib
from test_hostile import IDS

GROUPS = [view for view in expected.VIEWS if view != "tasks"]


def one_sweep(fleet):
    assert fleet.api.pages() == {1: 1, 2: 1, 3: 1}


def shown(fleet, view):
    """{group: [agents]} of a view, read from its symlinks, which are checked."""
    found = {}
    for group in os.listdir(fleet / view):
        paths = [fleet / view / group]
        if view != "tasks":
            paths = [paths[0] / agent for agent in os.listdir(paths[0])]
        for path in paths:
            target, up = os.readlink(path), "../" * (1 if view == "tasks" else 2)
            agent = target.removeprefix(f"{up}agents/")
            assert target == f"{up}agents/{agent}" and view == "tasks" or agent == path.name
            assert os.path.samefile(path, fleet / "agents" / agent)
            found.setdefault(group, []).append(agent)
    return found


@pytest.mark.parametrize("view", expected.VIEWS)
def test_view_shows_each_agent_in_the_groups_of_its_values(fleet, view):
    assert shown(fleet, view) == expected.groups(fleet.api.agents(), view)
    assert sorted(shown(fleet, view)) == sorted(run("ls", fleet / view).splitlines())
    one_sweep(fleet)


def test_ls_of_a_label(fleet):
    wanted = [agent["agent_id"] for agent in fleet.api.agents() if "a100" in agent["agent_labels"]]
    assert run("ls", "by-label/a100", cwd=fleet.path).split() == sorted(wanted)
    lines = run("ls", "-l", "by-label/a100", cwd=fleet.path).splitlines()[1:]
    assert len(lines) == len(wanted) and all(line.startswith("lrwxrwxrwx 1 ") for line in lines)
    one_sweep(fleet)


def test_readlink_of_a_task_names_its_agent(fleet):
    running = {task: agent["agent_id"] for agent in fleet.api.agents()
               for task in agent.get("running_tasks", [])}
    assert len(running) > 50
    paths = run("bash", "-c", "readlink -f tasks/*", cwd=fleet.path).splitlines()
    assert paths == [f"{fleet.path}/agents/{running[task]}" for task in sorted(running)]
    task = min(running)
    assert fleet.text(f"tasks/{task}/id") == running[task] + "\n"
    assert task in fleet.text(f"tasks/{task}/running_tasks").split()
    one_sweep(fleet)


def test_find_through_the_links(fleet):
    wanted = [gpu["vram_free"] for agent in fleet.api.agents() if agent["agent_status"] == "idle"
              for gpu in agent["system_stats"]["gpu_devices"]]
    found = run("bash", "-c", "find -L by-status/idle -name vram_free | xargs cat", cwd=fleet.path)
    assert sorted(map(int, found.split())) == sorted(wanted)
    one_sweep(fleet)


def test_grep_of_the_whole_mount_finds_each_agent_once(fleet):
    """grep does not follow the symlinks, and ends."""
    for agent in fleet.api.agents()[::40]:
        hits = run("grep", "-rlx", agent["agent_id"], ".", cwd=fleet.path).splitlines()
        assert hits == [f"./agents/{agent['agent_id']}/id"]
        hits = run("grep", "-rlw", agent["agent_id"], ".", cwd=fleet.path).splitlines()
        assert sorted(hits) == [
            f"./agents/{agent['agent_id']}/agent.json", f"./agents/{agent['agent_id']}/id",
            "./fleet/agents.json", "./fleet/agents.jsonl", "./fleet/agents.tsv", "./fleet/fleet.html",
            "./fleet/gpus.tsv", "./fleet/metrics.prom"]
    everywhere = run("grep", "-rc", "--include=id", ".", ".", cwd=fleet.path).splitlines()
    assert sorted(everywhere) == sorted(f"./agents/{agent['agent_id']}/id:1"
                                        for agent in fleet.api.agents())
    one_sweep(fleet)


def test_links_can_be_copied_with_the_agents_they_point_to(fleet, folder):
    run("cp", "-a", fleet.path, folder / "copy")
    assert run("readlink", "-e", *(folder / "copy/tasks").iterdir())
    assert run("diff", "-r", fleet / "by-label/a100", folder / "copy/by-label/a100") == ""
    run("tar", "-C", fleet.path, "-cf", folder / "views.tar", *expected.VIEWS)
    one_sweep(fleet)


def test_an_agent_is_under_each_label_and_gpu_model_once(sim, mount):
    api = sim(agents=1)
    api.put_agents([
        {"agent_id": "a", "agent_labels": ["x", "y", "x"], "current_task_id": "t1",
         "running_tasks": ["t1", "t2", "t1"], "system_stats": {"gpu_devices": [
             {"device_name": "G"}, {"device_name": "H"}, {"device_name": "G"}, {}]}},
        {"agent_id": "b", "agent_labels": ["y"], "current_task_id": "t2",
         "system_stats": {"gpu_devices": [{"device_name": "G"}]}},
        {"agent_id": "c", "current_task_id": "t3"}])
    fleet = mount(api, ttl=LONG)
    assert shown(fleet, "by-label") == {"x": ["a"], "y": ["a", "b"]}
    assert shown(fleet, "by-gpu") == {"G": ["a", "b"], "H": ["a"]}
    assert shown(fleet, "tasks") == {"t1": ["a"], "t2": ["a"], "t3": ["c"]}


@pytest.mark.parametrize("blank", [{}, {
    "agent_status": "", "agent_labels": [], "tool": "", "agent_version": "", "running_tasks": [],
    "current_task_id": "", "system_stats": {"gpu_devices": [{"device_name": ""}]}}, {
    "agent_status": None, "agent_labels": None, "tool": 5, "agent_version": [], "running_tasks": 7,
    "current_task_id": {}, "system_stats": {"gpu_devices": [{"device_name": 1}]}}])
def test_an_agent_without_the_value_is_in_none(sim, mount, blank):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "blank", **blank}])
    fleet = mount(api, ttl=LONG)
    for view in expected.VIEWS:
        always = list(expected.STATUSES) if view == "by-status" else []
        assert os.listdir(fleet / view) == always, view
        assert shown(fleet, view) == {}
    assert fleet.agents() == ["blank"]


def test_hostile_values_are_safe_names_that_lead_back_to_their_agents(sim, mount):
    ids = [text for text in IDS if isinstance(expected.name(text), bytes) and text]
    agents = [{"agent_id": text, "agent_status": text, "agent_labels": [text, "all"], "tool": text,
               "agent_version": text, "running_tasks": [text],
               "system_stats": {"gpu_devices": [{"device_name": text}]}} for text in ids]
    api = sim(agents=1)
    api.put_agents(agents)
    fleet = mount(api, ttl=LONG)
    for view in expected.VIEWS:
        assert shown(fleet, view) == expected.groups(agents, view), view
    assert len(shown(fleet, "by-label")["all"]) == len(ids)


def test_values_too_long_for_a_name_stay_different(sim, mount):
    texts = ["x" * 256, "x" * 257, "x" * 255, "%" * 86, "/" * 300]
    api = sim(agents=1)
    api.put_agents([{"agent_id": f"n{i}", "agent_status": text} for i, text in enumerate(texts)])
    fleet = mount(api, ttl=LONG)
    found = shown(fleet, "by-status")
    assert sorted(found.values()) == [[f"n{i}"] for i in range(len(texts))]
    for group, (agent,) in found.items():
        wanted = expected.name(texts[int(agent[1:])])
        assert group == os.fsdecode(wanted) if isinstance(wanted, bytes) else \
            wanted.match(os.fsencode(group))


# Freshness

def test_views_cost_one_list_and_the_root_none(sim, mount):
    api = sim(agents=AGENTS)
    fleet = mount(api, ttl=LONG)
    for command in (["ls", "--color=always", "-la"], ["ls", "fleet"], ["find", "-maxdepth", "1"]):
        run(*command, cwd=fleet.path)
    assert api.pages() == {1: 1}
    run("ls", "by-status", cwd=fleet.path)
    assert api.pages() == {1: 1, 2: 1, 3: 1}
    for _ in range(2):
        run("find", "-L", *expected.VIEWS, "-maxdepth", "2", cwd=fleet.path)
        run("bash", "-c", "cat fleet/*", cwd=fleet.path)
        run("ls", "-lR", cwd=fleet.path)
    assert api.pages() == {1: 1, 2: 1, 3: 1}


@pytest.mark.parametrize("commands", [
    ("ls -R by-label by-status/idle tasks", "cat fleet/summary fleet/metrics.prom"),
    ("ls -R where/status=idle where/label=a100/sort=-vram_free",)])
def test_views_cost_one_sweep_per_ttl(sim, mount, commands):
    ttl = 2
    api = sim(agents=AGENTS)
    fleet = mount(api, ttl=ttl)
    looks, began = 0, time.monotonic()
    while time.monotonic() < began + 2.5 * ttl:
        for command in commands:
            run(*command.split(), cwd=fleet.path)
        looks += 1
    assert looks > 5
    for page, count in api.pages().items():
        assert 2 <= count <= (time.monotonic() - began) / ttl + 1, page


def test_a_view_follows_the_fleet_and_the_time_of_a_link_is_that_of_its_value(sim, mount):
    agents = [{"agent_id": f"n{i}", "agent_status": "idle"} for i in range(120)]
    api = sim(agents=1)
    api.put_agents(agents)
    fleet = mount(api, ttl=0.3)
    assert len(os.listdir(fleet / "by-status/idle")) == 120
    before = os.lstat(fleet / "by-status/idle/n7")
    changed = time.time()
    agents[70]["agent_status"] = "busy"
    del agents[3]
    api.put_agents(agents)
    until(lambda: (fleet / "by-status/busy").exists())
    until(lambda: len(os.listdir(fleet / "by-status/idle")) == 118)
    assert os.listdir(fleet / "by-status/busy") == ["n70"]
    assert not os.path.lexists(fleet / "by-status/idle/n70")
    assert not os.path.lexists(fleet / "by-status/idle/n3")
    assert os.lstat(fleet / "by-status/busy/n70").st_mtime >= changed
    after = os.lstat(fleet / "by-status/idle/n7")
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    for agent in agents:
        agent["agent_status"] = "busy"
    api.put_agents(agents)
    until(lambda: os.listdir(fleet / "by-status/idle") == [])
    assert len(os.listdir(fleet / "by-status/busy")) == 119


def test_directory_of_a_vanished_group_is_enoent_until_it_returns(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a", "agent_status": "odd"}])
    fleet = mount(api, ttl=0.2)
    with opened(fleet / "by-status/odd") as inside:
        assert os.listdir(inside) == ["a"]
        api.put_agents([{"agent_id": "a", "agent_status": "busy"}])
        until(lambda: code_of(lambda: os.listdir(inside)) == "ENOENT")
        api.put_agents([{"agent_id": "a", "agent_status": "odd"}])
        until(lambda: (fleet / "by-status/odd/a").exists())


def test_under_churn_views_tables_and_agents_of_one_ttl_agree(sim, mount):
    api = sim(agents=400)
    fleet = mount(api, ttl=LONG, per_page=50)
    api.churn(10)
    seen = set()
    for _ in range(12):
        ask_again(fleet)
        views = {view: shown(fleet, view) for view in expected.VIEWS}
        agents = [expected.json.loads(fleet.read(f"agents/{name}/agent.json"))
                  for name in fleet.agents()]
        for view, groups in views.items():
            wanted = expected.groups(agents, view)
            assert {name: sorted(members) for name, members in groups.items()} == \
                {name: sorted(members) for name, members in wanted.items()}, view
        table = [line.split("\t")[:2] for line in fleet.text("fleet/agents.tsv").splitlines()[1:]]
        assert sorted(table) == sorted([a["agent_id"], a["agent_status"]] for a in agents)
        seen.add(tuple(map(tuple, table)))
    assert len(seen) > 6


def test_agents_that_stay_are_in_each_listing_of_a_view_under_churn(sim, mount, blocked, instrumented):
    """An agent that keeps its label is in each listing once."""
    api = sim(agents=400, churn=20)
    stays = {agent["agent_id"] for agent in api.agents() if agent["agent_id"] in api.permanent()
             and "a100" in agent["agent_labels"]}
    fleet = mount(api, ttl=0.2 * harness.PATIENCE, per_page=50)
    reader = blocked("env", "-C", fleet.path, "bash", "-c",
                     "while ls -lR by-status tasks >/dev/null; do :; done")
    for _ in range(10 if instrumented else 60):
        names = os.listdir(fleet / "by-label/a100")
        assert len(names) == len(set(names)) and stays <= set(names)
    reader.end(signal.SIGKILL)


@pytest.mark.parametrize("view", ["tasks", "by-label", "by-label/all"])
def test_paused_listing_of_a_view_continues_after_other_lists(sim, mount, view):
    api = sim(agents=0)
    names = {f"a-name-that-takes-some-room-{i}" for i in range(1500)}
    api.put_agents([{"agent_id": name, "agent_labels": ["all", name], "current_task_id": name}
                    for name in names])
    fleet = mount(api, ttl=0.2)
    with os.scandir(fleet / view) as entries:
        found = [next(entries).name for _ in range(10)]
        sweeps = int(own(fleet, "stats")["sweeps"])

        def others():
            os.listdir(fleet / view)
            return int(own(fleet, "stats")["sweeps"]) >= sweeps + 3
        until(others)
        found += [entry.name for entry in entries]
    assert len(found) == len(set(found)) and set(found) - {"all"} == names


# Failure

@pytest.mark.parametrize("status,code", [(503, "EREMOTEIO"), (403, "EACCES"), (429, "EBUSY")])
def test_a_view_fails_as_the_list_does(sim, mount, status, code):
    api = sim(agents=AGENTS)
    fleet = mount(api, ttl=LONG, retries=0, delay_connect=True)
    api.fail(status)
    for view in expected.VIEWS:
        assert code_of(lambda: os.listdir(fleet / view)) == code, view
    assert code_of(lambda: os.listdir(fleet / "by-status/idle")) == code
    assert code_of(lambda: os.readlink(fleet / "tasks/x")) == code
    for name in set(os.listdir(fleet / "fleet")) - {"events.log.1"}:
        assert code_of(lambda: fleet.read(f"fleet/{name}")) == code, name
    api.ok()
    ask_again(fleet)
    assert shown(fleet, "by-status") == expected.groups(api.agents(), "by-status")


def test_a_stale_view_is_served_while_the_api_fails_and_no_longer_than_stale(sim, mount):
    api = sim(agents=30)
    fleet = mount(api, ttl=0.2, stale=6, retries=0)
    before = {view: shown(fleet, view) for view in expected.VIEWS}
    summary = fleet.text("fleet/summary")
    began = time.monotonic()
    api.fail(500)
    until(lambda: own(fleet, "health")["state"] == "stale" or not os.listdir(fleet / "by-tool"))
    assert {view: shown(fleet, view) for view in expected.VIEWS} == before
    assert fleet.text("fleet/summary") == summary
    assert time.monotonic() - began < 6, "too slow a machine for this test"
    until(lambda: code_of(lambda: os.listdir(fleet / "by-label/a100")) == "EREMOTEIO", 20)
    assert code_of(lambda: fleet.read("fleet/summary")) == "EREMOTEIO"
    assert time.monotonic() - began > 5.5
    api.ok()
    ask_again(fleet)
    assert fleet.text("fleet/summary") == summary


def test_view_contains_agents_found_since_an_unfinished_list(scripted, mount):
    """The list that found the agent began after an unfinished one, which could now be completed."""
    def page_2_lasts_a_moment(wire):
        wire.good(headers=[f"Age: {LONG - 2}.0"] if wire.number == 2 else [])

    server = scripted([{"agent_id": name, "agent_status": "idle"} for name in "abcd"], per_page=3)
    server.answer = page_2_lasts_a_moment
    fleet = mount(server, ttl=LONG, stale=LONG, retries=0, per_page=3)
    assert list(shown(fleet, "by-status")) == ["idle"]
    # A list is begun for him, and left when page 2 has him.
    server.agents.append({"agent_id": "e", "agent_status": "idle"})
    until(lambda: os.path.exists(fleet / "agents/e"))
    # Page 2 expires, and the next list lacks it.
    server.answer = lambda wire: wire.reply(b"", "503 Service Unavailable")
    until(lambda: fleet.text("agents/e/id") and own(fleet, "health")["state"] == "stale")
    assert list(shown(fleet, "by-status")) == ["idle"]
    assert "agents_busy: 0" in fleet.text("fleet/summary")
    # It is had again by who reads one of its agents.
    server.agents.append({"agent_id": "f", "agent_status": "busy"})
    server.answer = Wire.good
    until(lambda: fleet.text("agents/e/id") and own(fleet, "health")["state"] == "ok")
    asked = server.requests
    assert sorted(shown(fleet, "by-status")) == ["busy", "idle"]
    assert os.listdir(fleet / "by-status/busy") == ["f"]
    assert "agents_busy: 1" in fleet.text("fleet/summary")
    assert sorted(fleet.agents()) == list("abcdef")
    assert server.requests == asked


# Memory

def read_all_views(fleet):
    for view in expected.VIEWS:
        for _where, _folders, _files in os.walk(fleet / view):
            pass
    for name in ("summary", "agents.tsv", "gpus.tsv", "agents.json", "agents.jsonl", "metrics.prom"):
        assert fleet.read(f"fleet/{name}")


@pytest.mark.unwrapped  # as to memory
def test_memory_of_unused_views_is_freed(sim, mount, instrumented):
    agents = 2000 if instrumented else 4000
    api = sim(agents=agents)
    fleet = mount(api, ttl=3, timeout=60)  # none is given back before the last is read
    assert len(fleet.agents()) == agents
    nodes, afters = int(own(fleet, "stats")["nodes"]), []
    for _ in range(3):
        read_all_views(fleet)
        peak = resident_kib(fleet)
        written = sum(os.stat(fleet / "fleet" / name).st_size
                      for name in ("agents.tsv", "metrics.prom"))
        assert int(own(fleet, "stats")["nodes"]) > nodes + agents
        until(lambda: int(own(fleet, "stats")["nodes"]) < nodes + 100, 40)
        if not instrumented:  # a sanitizer keeps what was freed
            until(lambda: peak - resident_kib(fleet) > written / 1024 / 2, 40)
        afters.append(resident_kib(fleet))
    assert instrumented or afters[-1] < 1.25 * afters[0], afters  # what one round wrote is more
    assert len(os.listdir(fleet / "by-status")) == 5
