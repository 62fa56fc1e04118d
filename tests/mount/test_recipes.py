# SPDX-License-Identifier: MIT
"""Each recipe of docs/usage.md is run as it is written there, and its output is compared with the API. A
recipe without a test, or a test without a recipe, fails."""

import os
import re
import signal
import subprocess
import time
import urllib.request

import pytest

import expected
from harness import HERE, code_of, run, unpacked, until

pytestmark = pytest.mark.once

USAGE = HERE.parent.parent / "docs/usage.md"
TESTED = set()


def recipes():
    """{text before the block: the block}, without those that the text declares as not run."""
    found, said = {}, None
    for paragraph in USAGE.read_text().strip().split("\n\n"):
        if paragraph.startswith("    ") and "Not run by a test, since" not in said:
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
def mounted(sim, mount, folder):
    """mounted(ttl=1): a mount at ~/fleet."""
    def start(**options):
        api = sim(agents=60)
        (folder / "fleet").mkdir()
        fleet = mount(api, path=folder / "fleet", **options)
        fleet.api = api
        return fleet
    return start


@pytest.fixture
def fleet(mounted):
    return mounted(ttl=0.5)


def variables_of(fleet, **more):
    return {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(fleet.folder), **more}


def bash(fleet, command, status=0, **variables):
    return run("bash", "-c", command, cwd=fleet.path, status=status,
               env=variables_of(fleet, **variables)).splitlines()


def position(agents, **fields):
    """Of an agent that has these."""
    return next(at for at, agent in enumerate(agents)
                if all(agent.get(key) == value for key, value in fields.items()))


def free_vram(agent):
    return sum(gpu["vram_free"] for gpu in agent["system_stats"]["gpu_devices"])


def free_gpus(agent):
    return max(0, agent["gpu_capacity"] - agent["running_count"]) if "running_count" in agent else 0


def largest_free_vram(agent):
    """On one GPU."""
    return max(gpu["vram_free"] for gpu in agent["system_stats"]["gpu_devices"])


def best_idle(agents):
    """The idle agent with the label a100 that has the most free VRAM on one GPU."""
    best = max((agent for agent in agents
                if "a100" in agent["agent_labels"] and agent["agent_status"] == "idle"),
               key=largest_free_vram)
    return best["agent_id"]


def test_every_recipe_is_tested():
    assert TESTED == set(recipes())


@recipe("The idle agent with the most free VRAM in total")
def test_most_free_vram(fleet, command):
    best = max((agent for agent in fleet.api.agents() if agent["agent_status"] == "idle"), key=free_vram)
    assert bash(fleet, command) == [best["agent_id"]]
    fleet.api.change(position(fleet.api.agents(), agent_id=best["agent_id"]), agent_status="busy")
    until(lambda: bash(fleet, command) not in ([], [best["agent_id"]]))


@recipe("The five best")
def test_five_best(fleet, command):
    idle = [agent for agent in fleet.api.agents() if agent["agent_status"] == "idle"]
    best = sorted(idle, key=largest_free_vram, reverse=True)[:5]
    assert bash(fleet, command) == [agent["agent_id"] for agent in best]


@recipe("Agents that have a label and are idle")
def test_label_and_idle(fleet, command):
    wanted = [agent["agent_id"] for agent in fleet.api.agents()
              if "a100" in agent["agent_labels"] and agent["agent_status"] == "idle"]
    assert bash(fleet, command) == sorted(wanted) != []


@recipe("The best agent for a job")
def test_best_of_label_and_idle(fleet, command):
    assert bash(fleet, command) == [best_idle(fleet.api.agents())]


@recipe("Available GPUs by the model")
def test_available_by_model(fleet, command):
    free = {}
    for agent in fleet.api.agents():
        model = agent["system_stats"]["gpu_devices"][0]["device_name"]
        free.setdefault(model, 0)
        if agent["agent_status"] in ("idle", "busy"):
            free[model] += free_gpus(agent)
    assert len(free) == 4 and any(free.values())
    assert bash(fleet, command) == [f"{model}\t{count}" for model, count in sorted(free.items())]


@recipe("Free VRAM by status")
def test_sql(fleet, command):
    unpacked("sqlite3")
    fleet.api.change(0, agent_status='"quoted" it')
    until(lambda: fleet.text(f"agents/{fleet.api.agents()[0]['agent_id']}/status") == '"quoted" it\n')
    found = {}
    for agent in fleet.api.agents():
        count, free = found.get(agent["agent_status"], (0, 0))
        found[agent["agent_status"]] = count + 1, free + free_vram(agent)
    assert bash(fleet, command) == [f"{status}\t{count}\t{free >> 30}"
                                    for status, (count, free) in sorted(found.items())]


@recipe("The agent that runs a task")
def test_where_a_task_runs(fleet, command):
    busy = [agent for agent in fleet.api.agents() if agent["agent_status"] == "busy"]
    for agent in busy[:3]:
        for task in agent["running_tasks"]:
            assert bash(fleet, command, task=task) == [agent["agent_id"]]
    assert bash(fleet, command, status=1, task="none") == []


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


@recipe("Wait until an agent is idle")
def test_until_idle_ends_when_the_agent_leaves(fleet, command, blocked):
    agents = fleet.api.agents()
    at = position(agents, agent_status="busy")
    waiting = blocked("env", "-C", fleet.path, f"agent={agents[at]['agent_id']}", "bash", "-c", command)
    fleet.api.remove_agent(at)
    status, output, message = waiting.result()
    assert (status, output) == (1, b"") and message.endswith(b"No such file or directory\n")


@recipe("Agents that do not run the newest version")
def test_old_versions(fleet, command):
    agents = fleet.api.agents()
    agents[5]["agent_version"] = "0.1.10"
    fleet.api.put_agents(agents)
    until(lambda: (fleet / "by-version/0.1.10").exists())
    versions = expected.groups(agents, "by-version")
    assert sorted(versions) == ["0.1.10", "0.1.2", "0.1.3", "0.1.4"]
    assert bash(fleet, command) == sorted(name for version in ("0.1.2", "0.1.3", "0.1.4")
                                          for name in versions[version])


def waits_for_an_idle_a100(fleet, blocked, interpreter, command):
    """The command ends, and prints the id, when the first such agent is idle."""
    agents = fleet.api.agents()
    for agent in agents:
        if "a100" in agent["agent_labels"]:
            agent["agent_status"] = "busy"
    fleet.api.put_agents(agents)
    until(lambda: os.listdir(fleet / "where/status=idle/label=a100") == [])
    waiting = blocked("env", "-C", fleet.path, interpreter, "-c", command)
    time.sleep(1)  # for what must not happen
    assert waiting.running()
    at = next(at for at, agent in enumerate(agents) if "a100" in agent["agent_labels"])
    fleet.api.change(at, agent_status="idle")
    assert waiting.result() == (0, f"{agents[at]['agent_id']}\n".encode(), b"")


@recipe("Wait until a question has an answer")
def test_until_an_answer(fleet, command, blocked):
    waits_for_an_idle_a100(fleet, blocked, "bash", command)


@recipe("Wait until a question has an answer")
@pytest.mark.parametrize("right,wrong", [("label=", "labels="), ("-vram_free", "-vramfree")])
def test_until_an_answer_ends_if_the_question_is_wrong(fleet, command, blocked, right, wrong):
    waiting = blocked("env", "-C", fleet.path, "LC_ALL=C", "bash", "-c", command.replace(right, wrong))
    status, output, message = waiting.result()
    assert status == 2 and output == b"" and message.startswith(b"ls: ") and message.endswith(b"Invalid argument\n")


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


@recipe("All agents")
def test_table(fleet, command):
    header, *lines = bash(fleet, command)
    assert header.split()[:3] == ["id", "status", "running_count"]
    assert [line.split()[:2] for line in lines] == [
        [agent["agent_id"], agent["agent_status"]] for agent in fleet.api.agents()]
    starts = {line.index(agent["agent_status"], len(agent["agent_id"]))
              for line, agent in zip(lines, fleet.api.agents())}
    assert starts == {header.index("status")}


@recipe("Agents whose status changed")
def test_changed_status(fleet, command):
    assert len(fleet.agents()) == 60
    # Everything is younger than five minutes here.
    since_the_mount = command.replace("-mmin -5", "-newer README")
    assert bash(fleet, since_the_mount) == []
    name = fleet.api.agents()[3]["agent_id"]
    fleet.api.change(3, agent_status="changed")
    until(lambda: bash(fleet, since_the_mount) == [f"agents/{name}"])
    assert f"agents/{name}" in bash(fleet, command)


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
    until(lambda: bash(fleet, command) == [unhealthy, *quiet])
    for at in (13, 11, 7):
        fleet.api.remove_agent(at)
    until(lambda: len(fleet.agents()) == 57)
    until(lambda: bash(fleet, command) == [])
    make_trouble(fleet.api)
    until(lambda: len(bash(fleet, command)) == 3)
    fleet.api.fail(503)
    until(lambda: fleet.text("fleet/summary") and fleet.health()["state"] == "stale")
    assert len(bash(fleet, command)) == 1


@recipe("The same as a line of a crontab")
def test_crontab(fleet, command):
    """As cron does: an unescaped % would end the command."""
    unhealthy, quiet = make_trouble(fleet.api)
    line = command.split(maxsplit=5)[5]
    assert not re.search(r"(?<!\\)%", line)
    until(lambda: bash(fleet, line.replace("\\%", "%")) == [unhealthy, *quiet])


def python(fleet, command, **variables):
    return run("/usr/bin/python3", "-c", command, cwd=fleet.path,
               env=variables_of(fleet, **variables)).splitlines()


@recipe("The free VRAM of each GPU")
def test_table_in_python(fleet, command):
    agents = fleet.api.agents()
    agents[0].update(agent_id="x/y%", agent_status='"quoted')
    agents[1]["system_stats"]["gpu_devices"][0]["vram_free"] = None
    fleet.api.put_agents(agents)
    until(lambda: (fleet / "agents/x%2Fy%25").exists())
    found = [f"{agent['agent_id']} {n} {gpu['vram_free']}" for agent in agents
             for n, gpu in enumerate(agent["system_stats"]["gpu_devices"]) if gpu["vram_free"] is not None]
    assert python(fleet, command) == found


@recipe("GPUs of a model")
def test_gpus_of_a_model(fleet, command):
    agents = fleet.api.agents()
    two = agents[0]["system_stats"]["gpu_devices"]
    two[:] = [{**two[0], "device_name": "RTX 4090", "vram_free": 1 << 30},
              {**two[0], "device_name": "A100", "vram_free": 60 << 30}]
    agents[1]["system_stats"]["gpu_devices"][0].update(device_name="RTX 4090", vram_free=20 << 30)
    fleet.api.put_agents(agents)
    until(lambda: fleet.text(f"agents/{agents[1]['agent_id']}/gpus/0/vram_free") == f"{20 << 30}\n")
    wanted = [f"{agent['agent_id']} {n}" for agent in agents
              for n, gpu in enumerate(agent["system_stats"]["gpu_devices"])
              if "4090" in gpu["device_name"] and (gpu["vram_free"] or 0) >= 20 << 30]
    assert f"{agents[1]['agent_id']} 0" in wanted and f"{agents[0]['agent_id']} 0" not in wanted
    assert bash(fleet, command) == wanted


@recipe("The id of the best agent")
def test_best_in_python(fleet, command, blocked):
    waits_for_an_idle_a100(fleet, blocked, "/usr/bin/python3", command)
    wrong = blocked("env", "-C", fleet.path, "/usr/bin/python3", "-c", command.replace("label=", "labels="))
    status, output, message = wrong.result()
    assert status == 1 and output == b"" and b"Invalid argument" in message


@recipe("An agent's directory by its id")
def test_directory_by_id_in_python(fleet, command):
    agents = fleet.api.agents()
    agents[0]["agent_id"] = odd = "we/ird=na,me%.*\n"
    fleet.api.put_agents(agents)
    directory = fleet / "agents/we%2Fird=na,me%25.*%0A"
    until(directory.exists)
    assert python(fleet, command, id=odd) == [str(directory)]


@recipe("When the API fails,")
def test_glob_in_python(fleet, command):
    wanted = [agent["agent_id"] for agent in fleet.api.agents() if agent["agent_status"] == "idle" and
              any("4090" in gpu["device_name"] for gpu in agent["system_stats"]["gpu_devices"])]
    assert sorted(python(fleet, command)) == sorted(wanted) != []


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


def available(fleet):
    return sum(free_gpus(agent) for agent in fleet.api.agents() if agent["agent_status"] in ("idle", "busy"))


@recipe("The number of available GPUs in the prompt")
def test_prompt(mounted, command):
    fleet = mounted(ttl=60)
    prompts = f"PS1='> '\n{command}\nfor i in {{1..5}}; do echo \"${{PS1@P}}\"; done"
    assert bash(fleet, "cat fleet/summary >/dev/null") == []
    # On a loaded machine sed alone can take the 0.2 s.
    until(lambda: bash(fleet, prompts) == [f"{available(fleet)} GPUs > "] * 5, seconds=60)
    assert fleet.api.pages() == {1: 1}


@recipe("The number of available GPUs in the prompt")
def test_prompt_does_not_wait_for_a_slow_api(fleet, command):
    fleet.api.hold()
    try:
        until(lambda: bash(fleet, f"PS1='> '\n{command}\necho \"${{PS1@P}}\"") == [" GPUs > "])
        assert fleet.api.held() > 0
    finally:
        fleet.api.release()


@recipe("The same in the status line of tmux")
def test_tmux(fleet, command):
    tmux = f"{unpacked('tmux')} -S {fleet.folder}/tmux -f {fleet.folder}/tmux.conf"
    (fleet.folder / "tmux.conf").write_text(command)
    screen = fleet.folder / "screen"
    variables = variables_of(fleet, TERM="xterm", SHELL="/bin/bash")
    terminal = subprocess.Popen(["script", "-qfc", f"{tmux} new-session 'sleep 100'", screen],
                                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=variables)
    try:
        until(lambda: screen.exists() and f"{available(fleet)} GPUs" in screen.read_text(errors="replace"))
    finally:
        run(*tmux.split(), "kill-server", env=variables)
        terminal.communicate()


@recipe("`fleet.html` for other machines")
def test_page_over_http(fleet, command):
    server = subprocess.Popen(["bash", "-c", f"exec {command.strip()} --bind 127.0.0.1 0"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env=variables_of(fleet, PYTHONUNBUFFERED="1"))
    try:
        port = re.search(r"port (\d+)", server.stdout.readline())[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/fleet.html") as page:
            assert page.headers["Content-Type"] == "text/html"
            text = page.read().decode()
        assert all(agent["agent_id"] in text for agent in fleet.api.agents())
    finally:
        server.terminate()
        server.communicate()


SFTP_SERVER = "/usr/lib/openssh/sftp-server"


@recipe("The mount of another machine")
def test_sshfs(fleet, folder, command):
    """With a program instead of ssh(1) that connects sshfs with a real sftp-server on this machine."""
    unpacked("sshfs")
    if not os.access(SFTP_SERVER, os.X_OK):
        pytest.skip("sftp-server is not installed")
    (folder / "bin").mkdir()
    (folder / "bin/ssh").write_text(f"#!/bin/sh\ncd {folder} && exec {SFTP_SERVER} -R\n")
    (folder / "bin/ssh").chmod(0o755)
    agents, there = fleet.api.agents(), folder / "there"
    assert bash(fleet, command, host="host", PATH=f"{folder}/bin:{os.environ['PATH']}") == [
        best_idle(agents)]
    try:
        assert sorted(os.listdir(there / "agents")) == sorted(a["agent_id"] for a in agents)
        assert sorted(os.listdir(there / "where/status=idle")) == sorted(
            a["agent_id"] for a in agents if a["agent_status"] == "idle")
        at = position(agents, agent_status="idle")
        status = there / "where/label!=none" / agents[at]["agent_id"] / "status"
        assert status.read_text() == "idle\n"
        fleet.api.change(at, agent_status="unhealthy")
        seen = []
        until(lambda: seen.append(status.read_text()) or seen[-1] != "idle\n", every=0.05)
        assert seen[-1] == "unhealthy\n"
        assert code_of((there / "agents/no-such-agent/status").read_text) == "ENOENT"
    finally:
        run("fusermount3", "-u", there)


@recipe("Save a fleet, mount it later")
def test_saved(fleet, programs, folder, command):
    (folder / "bin").mkdir()
    (folder / "bin/fleetfs").symlink_to(programs["fleetfs"])
    try:
        assert bash(fleet, command, PATH=f"{folder}/bin:{os.environ['PATH']}") == []
    finally:
        run("fusermount3", "-u", folder / "then")


@recipe("A check for Nagios and Icinga")
def test_check(fleet, command):
    agents = fleet.api.agents()
    for agent in agents:
        agent["agent_status"] = "idle" if agent["agent_status"] == "unhealthy" else agent["agent_status"]
    fleet.api.put_agents(agents)
    free, capacity = available(fleet), sum(agent["gpu_capacity"] for agent in agents)
    line = "FLEET {} - {} unhealthy, {} GPUs available, list {} |unhealthy={};;0;0;60 available={};1:;;0;{}"
    until(lambda: fleet.values("fleet/summary")["agents_unhealthy"] == "0")
    assert [found.replace("| ", "|") for found in bash(fleet, command)] == [
        line.format("OK", 0, free, "ok", 0, free, capacity)]

    fleet.api.fail(503)
    until(lambda: fleet.text("fleet/summary") and fleet.health()["state"] == "stale")
    found, = bash(fleet, command, status=1)
    assert found.startswith("FLEET WARNING - 0 unhealthy, ") and "list stale | " in found
    fleet.api.ok()

    for agent in agents:
        agent["running_count"] = agent["gpu_capacity"]
    fleet.api.put_agents(agents)
    until(lambda: fleet.values("fleet/summary")["gpu_available"] == "0")
    found, = bash(fleet, command, status=1)
    assert found.startswith("FLEET WARNING - 0 unhealthy, 0 GPUs available, list ok | ")

    fleet.api.change(3, agent_status="unhealthy")
    until(lambda: fleet.values("fleet/summary")["agents_unhealthy"] == "1")
    found, = bash(fleet, command, status=2)
    assert found.startswith("FLEET CRITICAL - 1 unhealthy, ")

    fleet.unmount()
    found, = bash(fleet, command, status=3)
    assert found.startswith("FLEET UNKNOWN - cat: ") and found.endswith("No such file or directory")
