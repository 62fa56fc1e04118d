# SPDX-License-Identifier: MIT
"""Each recipe of the README is run as it is written there, and its output is compared with the API. A
recipe without a test, or a test without a recipe, fails."""

import os
import re
import signal
import subprocess
import time

import pytest

import expected
from harness import HERE, run, until

pytestmark = pytest.mark.once

README = HERE.parent.parent / "README.md"
TESTED = set()


def recipes():
    """{what is said before it: command}"""
    section = README.read_text().split("\n## Recipes\n")[1].split("\n## ")[0]
    found, said = {}, None
    for paragraph in section.strip().split("\n\n"):
        if paragraph.startswith("    "):
            assert said.endswith(":"), said
            found[said] = re.sub("^    ", "", paragraph, flags=re.M) + "\n"
        said = " ".join(paragraph.split())
    return found


def recipe(beginning):
    """Marks the test of the recipe whose text begins with these words; the test gets the command."""
    (said, command), = [item for item in recipes().items() if item[0].startswith(beginning)]

    def mark(function):
        TESTED.add(said)
        return pytest.mark.parametrize("command", [command], ids=[""])(function)
    return mark


@pytest.fixture
def fleet(sim, mount):
    api = sim(agents=60)
    mounted = mount(api, ttl=0.5)
    mounted.api = api
    return mounted


def bash(fleet, command, **variables):
    return run("bash", "-c", command, cwd=fleet.path,
               env={**os.environ, "LC_ALL": "C.UTF-8", **variables}).splitlines()


def position(agents, **fields):
    """Of an agent that has these."""
    return next(at for at, agent in enumerate(agents)
                if all(agent.get(key) == value for key, value in fields.items()))


def free_vram(agent):
    return sum(gpu["vram_free"] for gpu in agent["system_stats"]["gpu_devices"])


def test_every_recipe_is_tested():
    assert TESTED == set(recipes())


@recipe("The agent with the most free VRAM")
def test_most_free_vram(fleet, command):
    best = max(fleet.api.agents(), key=free_vram)
    assert bash(fleet, command) == [best["agent_id"]]


@recipe("Agents that have a label and are idle")
def test_label_and_idle(fleet, command):
    wanted = [agent["agent_id"] for agent in fleet.api.agents()
              if "a100" in agent["agent_labels"] and agent["agent_status"] == "idle"]
    assert bash(fleet, command) == sorted(wanted) != []


@recipe("The idle agent with a label that has the most free VRAM on one GPU")
def test_best_of_label_and_idle(fleet, command):
    best = max((agent for agent in fleet.api.agents()
                if "a100" in agent["agent_labels"] and agent["agent_status"] == "idle"),
               key=lambda agent: max(gpu["vram_free"] for gpu in agent["system_stats"]["gpu_devices"]))
    assert bash(fleet, command) == [best["agent_id"]]


@recipe("Free GPUs of each model")
def test_free_by_model(fleet, command):
    free = {}
    for agent in fleet.api.agents():
        model = agent["system_stats"]["gpu_devices"][0]["device_name"]
        free[model] = free.get(model, 0) + (
            agent["gpu_capacity"] - agent["running_count"] if "running_count" in agent else 0)
    assert len(free) == 4 and all(free.values())
    assert bash(fleet, command) == [f"{model}\t{count}" for model, count in sorted(free.items())]


@recipe("The agent that runs a task")
def test_where_a_task_runs(fleet, command):
    busy = [agent for agent in fleet.api.agents() if agent["agent_status"] == "busy"]
    for agent in busy[:3]:
        for task in agent["running_tasks"]:
            assert bash(fleet, command, task=task) == [agent["agent_id"]]


@recipe("Wait until an agent is idle")
def test_until_idle(fleet, command, blocked):
    agents = fleet.api.agents()
    at = position(agents, agent_status="busy")
    waiting = blocked("env", "-C", fleet.path, f"agent={agents[at]['agent_id']}", "bash", "-c",
                      command)
    time.sleep(1)  # for what must not happen
    assert waiting.running()
    fleet.api.change(at, agent_status="idle")
    assert waiting.result() == (0, b"", b"")


@recipe("Agents that do not run the newest version")
def test_old_versions(fleet, command):
    agents = fleet.api.agents()
    agents[5]["agent_version"] = "0.1.10"
    fleet.api.put_agents(agents)
    until(lambda: (fleet / "by-version/0.1.10").exists())
    versions = expected.groups(agents, "by-version")
    assert sorted(versions) == ["0.1.10", "0.1.2", "0.1.3", "0.1.4"]
    assert bash(fleet, command) == [name for version in ("0.1.2", "0.1.3", "0.1.4")
                                    for name in sorted(versions[version])]


@recipe("The progress of a sync, while it runs")
def test_progress_of_a_sync(fleet, command, folder):
    agents = fleet.api.agents()
    at = position(agents, agent_status="syncing")
    shown = folder / "shown"
    with open(shown, "wb") as output:
        tail = subprocess.Popen(["bash", "-c", command], cwd=fleet.path, stdout=output,
                                env={**os.environ, "agent": agents[at]["agent_id"]},
                                start_new_session=True)
    try:
        seen = [str(agents[at]["sync_percent"])]
        until(lambda: shown.read_text().split() == seen)
        for percent in (98, 99):  # tail looks for a new file at every fifth second
            fleet.api.change(at, sync_percent=percent)
            seen.append(str(percent))
            until(lambda: shown.read_text().split() == seen)
    finally:
        os.killpg(tail.pid, signal.SIGTERM)
        tail.wait()


@recipe("The progress of all syncs")
def test_progress_of_all(fleet, command):
    syncing = [agent for agent in fleet.api.agents() if agent["agent_status"] == "syncing"]
    assert len(syncing) > 1
    assert bash(fleet, command) == [
        f"by-status/syncing/{agent['agent_id']}/sync_percent:{agent['sync_percent']}"
        for agent in sorted(syncing, key=lambda agent: agent["agent_id"])]


@recipe("A table of all agents")
def test_table(fleet, command):
    header, *lines = bash(fleet, command)
    assert header.split()[:3] == ["id", "status", "running_count"]
    assert [line.split()[:2] for line in lines] == [
        [agent["agent_id"], agent["agent_status"]] for agent in fleet.api.agents()]
    starts = {line.index(agent["agent_status"], len(agent["agent_id"]))
              for line, agent in zip(lines, fleet.api.agents())}
    assert starts == {header.index("status")}


@recipe("The input of a program that was written for the API")
def test_program_for_the_api(fleet, command):
    wanted = [agent["agent_id"] for agent in fleet.api.agents() if agent["gpu_capacity"] >= 4]
    assert bash(fleet, command) == wanted != []


def make_trouble(api):
    """Nobody is unhealthy but one, everybody has just been heard of but two: who they are."""
    agents = api.agents()
    for agent in agents:
        agent["last_heartbeat"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if agent["agent_status"] == "unhealthy":
            agent["agent_status"] = "idle"
    agents[7]["agent_status"] = "unhealthy"
    for at in (11, 13):
        agents[at]["last_heartbeat"] = time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                                     time.gmtime(time.time() - 400))
    api.put_agents(agents)
    return agents[7]["agent_id"], [agents[at]["agent_id"] for at in (11, 13)]


@recipe("Agents that are unhealthy, or have sent no heartbeat")
def test_who_is_in_trouble(fleet, command):
    unhealthy, quiet = make_trouble(fleet.api)
    until(lambda: os.listdir(fleet / "by-status/unhealthy") == [unhealthy])
    until(lambda: bash(fleet, command) == [unhealthy, *quiet])
    for at in (13, 11, 7):
        fleet.api.remove_agent(at)
    until(lambda: len(fleet.agents()) == 57)
    until(lambda: bash(fleet, command) == [])


@recipe("Each change, as input of a script")
def test_what_changes(fleet, folder, command):
    told = folder / "told"
    with open(told, "wb") as output:
        reader = subprocess.Popen(["bash", "-c", command], cwd=fleet.path, stdout=output,
                                  stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        # The second sweep is caused by the second look of tail, which ignores what the first one found.
        until(lambda: int(fleet.values(".fleetfs/stats")["sweeps"]) > 1)
        at = position(fleet.api.agents(), agent_status="busy")
        name = fleet.api.agents()[at]["agent_id"]
        fleet.api.change(at, agent_status="unhealthy")
        until(lambda: told.read_text().count("\n") == 1)
        assert re.fullmatch(rf"\S+Z {name} was busy\n", told.read_text())
    finally:
        os.killpg(reader.pid, signal.SIGTERM)
        reader.wait()


@recipe("Save a fleet, mount it later")
def test_saved(fleet, programs, folder, command):
    (folder / "then").mkdir()
    (folder / "bin").mkdir()
    (folder / "bin/fleetfs").symlink_to(programs["fleetfs"])
    variables = {"HOME": str(folder), "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    try:
        assert bash(fleet, command, **variables) == []
    finally:
        run("fusermount3", "-u", folder / "then")
