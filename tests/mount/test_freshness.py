# SPDX-License-Identifier: MIT
"""Nothing is fetched before it is read or twice within the ttl, and nothing is served beyond the ttl.
The simulator counts the requests, including that for page 1 at the start."""

import os
import subprocess
import sys
import time

import pytest

from harness import until

LONG = 600  # a ttl that no test sees the end of


def first_entries(folder):
    """One getdents(2): the cost of the first step of a lazy listing."""
    return os.scandir(folder)


def id_of(api, position):
    return api.agents()[position]["agent_id"]


def test_mounting_costs_one_request_and_ls_of_the_root_none(sim, mount):
    api = sim(agents=1042)
    fleet = mount(api, ttl=LONG)
    for command in (["ls", "--color=always"], ["ls", "-la"], ["stat"], ["ls", "-d"]):
        subprocess.run([*command, fleet.path], check=True, stdout=subprocess.DEVNULL)
    assert api.pages() == {1: 1}


def test_the_first_getdents_costs_page_1_alone(sim, mount):
    api = sim(agents=1042)
    fleet = mount(api, ttl=LONG)
    with first_entries(fleet / "agents") as entries:
        assert next(entries).name
        time.sleep(0.5)  # for what must not happen
        assert api.requests() == 1


def test_the_first_getdents_of_a_cold_cache_costs_page_1_alone(sim, mount):
    api = sim(agents=1042)
    fleet = mount(api, ttl=LONG, delay_connect=True)
    assert api.requests() == 0
    with first_entries(fleet / "agents") as entries:
        assert next(entries).name
        time.sleep(0.5)
        assert api.pages() == {1: 1}


def test_the_whole_listing_costs_each_page_once(sim, mount):
    api = sim(agents=1042)
    fleet = mount(api, ttl=LONG)
    assert sorted(fleet.agents()) == sorted(agent["agent_id"] for agent in api.agents())
    assert api.pages() == {page: 1 for page in range(1, 12)}
    fleet.agents()
    subprocess.run(["ls", "-l", fleet / "agents"], check=True, stdout=subprocess.DEVNULL)
    assert api.requests() == 11


def test_further_pages_are_fetched_on_at_most_max_connections(sim, mount):
    for most in (6, 2):
        api = sim(agents=2000)
        api.delay(150)
        fleet = mount(api, ttl=LONG, max_connections=most)
        api.reset()
        assert len(fleet.agents()) == 2000
        assert api.stats()["max_parallel"] == most
        assert api.requests() == 19


def test_cached_cat_costs_no_request(sim, mount):
    api = sim(agents=1042)
    fleet = mount(api, ttl=LONG)
    fleet.agents()
    api.reset()
    for position in (0, 99, 100, 555, 1041):
        where = f"agents/{id_of(api, position)}"
        assert fleet.text(f"{where}/id") == id_of(api, position) + "\n"
        fleet.read(f"{where}/agent.json")
        os.listdir(fleet / where)
    assert api.requests() == 0


def test_one_agent_after_the_ttl_costs_its_page(sim, mount):
    ttl = 3
    api = sim(agents=1042)
    fleet = mount(api, ttl=ttl)
    fleet.agents()
    name = id_of(api, 655)
    fleet.read(f"agents/{name}/status")
    time.sleep(ttl + 0.2)
    api.reset()
    fleet.read(f"agents/{name}/status")
    assert api.pages() == {7: 1}
    for file in ("id", "status", "agent.json", "gpus/0/name"):
        fleet.read(f"agents/{name}/{file}")
    fleet.read(f"agents/{id_of(api, 600)}/status")
    assert api.pages() == {7: 1}


def context_switches(pid):
    """How often the threads of the process have slept, in total."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        for line in open(f"/proc/{pid}/task/{thread}/status"):
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


@pytest.mark.alone
def test_an_idle_mount_neither_fetches_nor_wakes(sim, mount):
    api = sim(agents=1042, churn=100)
    fleet = mount(api, ttl=0.5)
    fleet.agents()
    time.sleep(1.5)  # what was under way ends
    api.reset()
    before = context_switches(fleet.pid)
    time.sleep(5)
    assert api.requests() == 0
    assert context_switches(fleet.pid) == before


def test_data_is_served_for_the_ttl_and_not_longer(sim, mount):
    """In a loop that reads all the time, a new value appears one ttl after the old one at the latest.
    The ttl begins when the page arrives, a little after it was written."""
    ttl, under_way = 1.0, 0.3
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a", "agent_status": "0"}])
    fleet = mount(api, ttl=ttl)
    path = fleet / "agents/a/status"
    api.reset()
    began = time.monotonic()
    for turn in range(1, 5):
        api.put_agents([{"agent_id": "a", "agent_status": str(turn)}])
        changed = time.monotonic()
        while True:
            before = time.monotonic()
            value = int(path.read_text())
            assert value in (turn - 1, turn)
            if value == turn:
                break
            assert before - changed < ttl + under_way, "older than the ttl"
            time.sleep(0.01)
    assert api.requests() <= (time.monotonic() - began) / ttl + 1


def test_old_value_is_served_within_the_ttl(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a", "agent_status": "old"}])
    fleet = mount(api, ttl=LONG)
    fleet.agents()
    api.put_agents([{"agent_id": "a", "agent_status": "new"}, {"agent_id": "b"}])
    assert fleet.text("agents/a/status") == "old\n"
    assert fleet.agents() == ["a"]
    assert not (fleet / "agents/b").exists()
    assert api.requests() == 1


def test_unknown_name_costs_one_sweep_per_ttl(sim, mount):
    api = sim(agents=1042)
    fleet = mount(api, ttl=LONG)
    assert fleet.text(f"agents/{id_of(api, 250)}/id") == id_of(api, 250) + "\n"
    assert api.requests() <= 11
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            fleet.read("agents/nobody/status")
    with pytest.raises(FileNotFoundError):
        os.stat(fleet / "agents/nobody-else")
    assert api.pages() == {page: 1 for page in range(1, 12)}


def test_names_outside_the_tree_cost_no_request(sim, mount):
    api = sim(agents=1042)
    fleet = mount(api, ttl=LONG)
    for name in ("agent", "lost+found", ".git", "agents.txt", ".fleetfs/nothing"):
        assert not os.path.lexists(fleet / name)
    assert api.requests() == 1


def test_200_cold_readers_make_one_sweep(sim, mount):
    """All start at once, on a listing and on agents of every page."""
    api = sim(agents=1042)
    ids = [agent["agent_id"] for agent in api.agents()]
    fleet = mount(api, ttl=LONG)
    api.hold()
    code = """
import os, sys, threading
folder, ids = sys.argv[1], sys.argv[2:]
failed = []
def read(number):
    try:
        if number % 2:
            assert len(os.listdir(folder)) == 1042
        else:
            name = ids[number * 5]
            assert open(f"{folder}/{name}/id").read() == name + "\\n"
    except BaseException as fault:
        failed.append(repr(fault))
readers = [threading.Thread(target=read, args=(number,)) for number in range(200)]
for reader in readers: reader.start()
print("going", flush=True)
for reader in readers: reader.join()
print(failed)
"""
    readers = subprocess.Popen([sys.executable, "-c", code, fleet / "agents", *ids],
                               stdout=subprocess.PIPE, text=True)
    assert readers.stdout.readline() == "going\n"
    until(lambda: api.held() > 0)
    time.sleep(0.3)  # for as many as can to stand in the queue
    api.release()
    output, _ = readers.communicate(timeout=60)
    assert output == "[]\n"
    assert api.pages() == {page: 1 for page in range(1, 12)}


# Modification times

def names_of(*command):
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return set(output.split())


def test_find_newer_names_exactly_the_agents_whose_status_changed(sim, mount, folder):
    api = sim(agents=1)
    agents = [{"agent_id": f"n{i}", "agent_status": "idle", "running_count": i} for i in range(150)]
    api.put_agents(agents)
    fleet = mount(api, ttl=0.5)
    names_of("find", fleet / "agents")
    mark = folder / "mark"
    time.sleep(0.05)
    mark.touch()
    for i in (3, 77, 140):
        agents[i] = {**agents[i], "agent_status": "busy"}
    agents[9]["running_count"] = 1000
    api.put_agents(agents)
    until(lambda: all(fleet.text(f"agents/n{i}/status") == "busy\n" for i in (3, 77, 140)))
    time.sleep(0.7)
    newer = names_of("find", fleet / "agents", "-name", "status", "-newer", mark)
    assert newer == {f"{fleet.path}/agents/n{i}/status" for i in (3, 77, 140)}
    newer = names_of("find", fleet / "agents", "-name", "running_count", "-newer", mark)
    assert newer == {f"{fleet.path}/agents/n9/running_count"}
    newer = names_of("find", fleet / "agents", "-name", "gpu_capacity", "-newer", mark)
    assert newer == set()


def test_first_values_have_the_time_of_the_mount_and_later_agents_their_own(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "early", "agent_status": "idle"}])
    began = time.time()
    fleet = mount(api, ttl=0.3)
    mounted = time.time()
    time.sleep(0.5)
    assert began <= os.stat(fleet / "agents/early/status").st_mtime <= mounted
    assert fleet.agents() == ["early"]
    joined = time.time()
    api.put_agents([{"agent_id": "early", "agent_status": "idle"},
                    {"agent_id": "late", "agent_status": "idle"}])
    until(lambda: len(fleet.agents()) == 2)
    seen = time.time()
    for file in ("status", "gpu_capacity", "agent.json"):
        assert joined <= os.stat(fleet / f"agents/late/{file}").st_mtime <= seen
        assert began <= os.stat(fleet / f"agents/early/{file}").st_mtime <= mounted
    assert joined <= os.stat(fleet / "agents/late").st_mtime <= seen  # it has no heartbeat


def test_time_of_an_agents_directory_is_its_last_heartbeat(sim, mount):
    now = int(time.time())
    beats = {"a": now - 10, "b": now - 600, "c": now - 30, "d": now - 301}
    shape = "%Y-%m-%dT%H:%M:%SZ"
    api = sim(agents=1)
    api.put_agents([{"agent_id": name, "last_heartbeat": time.strftime(shape, time.gmtime(beat))}
                    for name, beat in beats.items()]
                   + [{"agent_id": "e", "last_heartbeat": "2031-05-06T07:08:09.5+02:00"}])
    fleet = mount(api, ttl=600)
    for name, beat in beats.items():
        assert int(os.stat(fleet / f"agents/{name}").st_mtime) == beat
    assert os.stat(fleet / "agents/e").st_mtime == pytest.approx(1935810489.5, abs=1e-3)
    listed = subprocess.run(["ls", "-t", fleet / "agents"], capture_output=True, text=True)
    assert listed.stdout.split() == ["e", "a", "c", "d", "b"]
    quiet = names_of("find", fleet / "agents", "-mindepth", "1", "-maxdepth", "1", "-mmin", "+5")
    assert quiet == {f"{fleet.path}/agents/{name}" for name in "bd"}


def test_time_of_a_directory_moves_when_its_names_change(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a", "agent_labels": ["x"], "system_stats": {"gpu_devices": []}}])
    fleet = mount(api, ttl=0.3)
    folders = [fleet / "agents", fleet / "agents/a/labels", fleet / "agents/a/gpus"]
    fleet.agents()
    before = [os.stat(path).st_mtime for path in folders]
    api.put_agents([{"agent_id": "a", "agent_labels": ["x", "y"],
                     "system_stats": {"gpu_devices": [{}]}}, {"agent_id": "b"}])
    until(lambda: len(fleet.agents()) == 2)
    until(lambda: len(os.listdir(folders[1])) == 2)
    until(lambda: os.listdir(folders[2]) == ["0"])

    # The kernel may keep the attributes for two ticks of its clock longer than the names.
    def all_moved():
        return all(os.stat(path).st_mtime > old + 1e-3 for path, old in zip(folders, before))
    until(all_moved, seconds=2)
