# SPDX-License-Identifier: MIT
"""Questions as paths: what a path below where/ answers, in which order, how fresh, and what it costs."""

import errno
import os
import random
import re
import signal
import subprocess
import time

import pytest

import expected
from harness import AGENTS, LONG, code_of, counted, opened, run, until
from scripted import ask_again, own, took

GIB = 1 << 30


@pytest.fixture
def of(sim, mount):
    """of(agents, ttl=LONG): a mount of these agents."""
    def start(agents, **options):
        api = sim(agents=1)
        api.put_agents(agents)
        mounted = mount(api, **{"ttl": LONG, **options})
        mounted.api = api
        return mounted
    return start


def gpus(agent):
    return agent.get("system_stats", {}).get("gpu_devices", [])


def ids(agents, holds):
    return [agent["agent_id"] for agent in agents if holds(agent)]


def answer(fleet, question):
    """The agents that a question's links name, in the order of the listing, with each link looked at."""
    levels = "../" * (question.count("/") + 2)
    found = []
    for name in os.listdir(fleet / "where" / question):
        path = fleet / "where" / question / name
        target = os.readlink(path)
        agent = target.removeprefix(f"{levels}agents/")
        assert target == f"{levels}agents/{agent}"
        assert os.path.samefile(path, fleet / "agents" / agent)
        found.append(agent)
    return found


def ranked(fleet, question):
    """The agents of an order, by their numbers."""
    names = os.listdir(fleet / "where" / question)
    assert names == [str(i + 1) for i in range(len(names))]
    return [os.path.basename(os.readlink(fleet / "where" / question / name)) for name in names]


# What a question is

def test_a_question_is_a_directory_of_links_to_the_agents_for_which_all_conditions_hold(fleet):
    agents = fleet.api.agents()
    wanted = ids(agents, lambda a: a["agent_status"] == "idle" and "a100" in a["agent_labels"])
    assert 0 < len(wanted) < AGENTS
    assert answer(fleet, "status=idle/label=a100") == wanted
    assert answer(fleet, "label=a100/status=idle") == wanted
    assert run("ls", "where/status=idle/label=a100", cwd=fleet.path).split() == sorted(wanted)
    lines = run("ls", "-l", "where/status=idle/label=a100", cwd=fleet.path).splitlines()[1:]
    assert len(lines) == len(wanted) and all(line.startswith("lrwxrwxrwx 1 ") for line in lines)
    assert fleet.api.pages() == {1: 1, 2: 1, 3: 1}


def test_files_are_read_through_a_question(fleet):
    wanted = [gpu["vram_free"] for agent in fleet.api.agents() if agent["agent_status"] == "idle"
              for gpu in gpus(agent)[:1] if "4090" in gpu["device_name"]]
    found = run("bash", "-c", "cat where/status=idle/'gpu=*4090*'/*/gpus/0/vram_free", cwd=fleet.path)
    assert wanted and sorted(map(int, found.split())) == sorted(wanted)


QUESTIONS = {
    "id=gpu-node-00001": lambda a: a["agent_id"] == "gpu-node-00001",
    "status=idle": lambda a: a["agent_status"] == "idle",
    "status=idle,busy": lambda a: a["agent_status"] in ("idle", "busy"),
    "status!=idle": lambda a: a["agent_status"] != "idle",
    "status=[!i]*": lambda a: not a["agent_status"].startswith("i"),
    "gpu_capacity=4": lambda a: a.get("gpu_capacity") == 4,
    "gpu_capacity>=4": lambda a: a.get("gpu_capacity", -1) >= 4,
    "gpu_free>0/status=busy": lambda a: a["agent_status"] == "busy" and
    max(0, a["gpu_capacity"] - a["running_count"]) > 0,
    "label=a100": lambda a: "a100" in a["agent_labels"],
    "label!=a100": lambda a: "a100" not in a["agent_labels"],
    "gpu=*4090*": lambda a: any("4090" in gpu["device_name"] for gpu in gpus(a)),
    "vram_free>=20G": lambda a: any(gpu["vram_free"] >= 20 * GIB for gpu in gpus(a)),
    "vram_total<=24G": lambda a: any(gpu["vram_total"] <= 24 * GIB for gpu in gpus(a)),
    "vram_used>10G": lambda a: any(gpu["vram_total"] - gpu["vram_free"] > 10 * GIB for gpu in gpus(a)),
    "task!=": lambda a: bool(a.get("running_tasks") or a.get("current_task_id")),
    "task=": lambda a: not (a.get("running_tasks") or a.get("current_task_id")),
    "system_stats.pytorch_version=2.*": lambda a:
    a["system_stats"].get("pytorch_version", "").startswith("2."),
    "tool=comfyui": lambda a: a.get("tool") == "comfyui",
    "tool=": lambda a: not a.get("tool"),
    "sync_percent<50": lambda a: a.get("sync_percent", 100) < 50,
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_is_a_filter_over_the_list(fleet, question):
    assert answer(fleet, question) == ids(fleet.api.agents(), QUESTIONS[question])


def test_any_combination_is_a_filter_over_the_list(fleet):
    chance, agents = random.Random(5), fleet.api.agents()
    for _ in range(40):
        chosen = chance.sample(sorted(QUESTIONS), chance.randint(2, 4))
        wanted = ids(agents, lambda a: all(QUESTIONS[one](a) for one in chosen))
        if sum(one.count("/") + 1 for one in chosen) <= 8:
            assert answer(fleet, "/".join(chosen)) == wanted, chosen
    assert fleet.api.pages() == {1: 1, 2: 1, 3: 1}


def test_every_file_of_an_agent_can_be_asked_for(fleet):
    names = [path.replace("system_stats/", "system_stats.")
             for path in expected.files(fleet.api.agents()[0])
             if not path.startswith(("labels/", "gpus/"))]
    assert "status" in names and "system_stats.os_type" in names
    for name in [*names, "label", "gpu", "task", "vram_free", "vram_used", "vram_total"]:
        assert len(answer(fleet, f"{name}=")) + len(answer(fleet, f"{name}!=")) == AGENTS
        assert len(ranked(fleet, f"sort={name}")) == AGENTS


# Values

def test_multi_valued_fields_match_if_any_value_does(of):
    fleet = of([
        {"agent_id": "a", "agent_labels": ["x", "y"], "running_tasks": ["t1", "t2"],
         "current_task_id": "t3", "system_stats": {"gpu_devices": [
             {"device_name": "G", "vram_total": 8, "vram_free": 1},
             {"device_name": "H", "vram_total": 16, "vram_free": 16}]}},
        {"agent_id": "b", "agent_labels": ["y"], "system_stats": {"gpu_devices": [
            {"device_name": "G", "vram_total": 4, "vram_free": 4}]}},
        {"agent_id": "c"}])
    for question, wanted in {
            "label=x": "a", "label=y": "ab", "label=x,y": "ab", "label!=x": "bc", "label=": "c",
            "label!=": "ab", "gpu=G": "ab", "gpu=H": "a", "gpu!=H": "bc", "gpu!=G": "c",
            "task=t1": "a", "task=t3": "a", "running_tasks=t3": "", "task!=t1": "bc",
            "vram_free=1": "a", "vram_free>=4": "ab", "vram_free<4": "a", "vram_free!=4": "ac",
            "vram_used=0": "ab", "vram_used>0": "a", "vram_total=": "c"}.items():
        assert "".join(answer(fleet, question)) == wanted, question


def test_an_empty_value_means_absent(of):
    fleet = of([{"agent_id": "a", "tool": "t", "gpu_capacity": 0}, {"agent_id": "b", "tool": ""},
                {"agent_id": "c", "tool": None, "gpu_capacity": "4"}, {"agent_id": "d", "tool": 5}])
    assert answer(fleet, "tool=") == ["b", "c", "d"]
    assert answer(fleet, "tool!=") == ["a"]
    assert answer(fleet, "tool=*") == ["a"]
    assert answer(fleet, "tool!=*") == ["b", "c", "d"]
    assert answer(fleet, "gpu_capacity=") == ["b", "c", "d"]
    assert answer(fleet, "gpu_capacity=0") == ["a"]


def test_values_are_written_as_names_are(of):
    values = [text for text in ("a,b", "a/b", "100%", "*", "?", "[x]", "\u202eexe", "\x1b[31m", " ",
                                "-rf", ".x", "a=b", "a<b", "ünï", "漢字", "\0", "x" * 300, "x" * 299)]
    fleet = of([{"agent_id": f"n{i}", "agent_labels": [value]} for i, value in enumerate(values)])
    for i in range(len(values)):
        name, = os.listdir(fleet / f"agents/n{i}/labels")
        escaped = re.sub(r"[][*?,]", lambda found: f"%{ord(found[0]):02X}", name)
        assert answer(fleet, f"label={escaped}") == [f"n{i}"], name
    assert answer(fleet, "label=a?b") == ["n0", "n1", "n11", "n12"]
    assert answer(fleet, "label=??") == ["n10", "n14"]
    assert answer(fleet, "label=x*%~*") == ["n16", "n17"]
    assert len(answer(fleet, "label=*")) == len(values)


def test_ordering_operators_compare_integers_and_take_units(of):
    amounts = {"a": 1023, "b": 1024, "c": 1025, "d": 3 << 20, "e": 3 << 30, "f": 3 << 40, "g": -1,
               "h": None, "i": "text", "j": 2 ** 53, "k": 2 ** 53 + 2}
    fleet = of([{"agent_id": name, "tasks_completed": amount, "agent_version": str(amount)}
                for name, amount in amounts.items()])
    for question, wanted in {"<1K": "ag", "<=1K": "abg", ">1K": "cdefj", ">=1K": "bcdefj",
                             ">=3M": "defj", ">=3G": "efj", ">=3T": "fj", "<0": "g", ">=-1": "abcdefgj",
                             ">=9007199254740992": "j", ">=8192T": "j", "=1024": "b"}.items():
        assert "".join(answer(fleet, f"tasks_completed{question}")) == wanted, question
        # A text that is an integer counts as one; 2^53 + 2 is none.
        assert "".join(answer(fleet, f"version{question}")) == wanted, question


# Orders

def test_the_idle_a100_machine_with_the_most_free_vram(fleet):
    def free(agent):
        return max(gpu["vram_free"] for gpu in gpus(agent))
    wanted = [agent for agent in fleet.api.agents()
              if agent["agent_status"] == "idle" and "a100" in agent["agent_labels"]]
    best = max(wanted, key=free)
    target = run("readlink", "where/status=idle/label=a100/sort=-vram_free/1", cwd=fleet.path)
    assert target == f"../../../../agents/{best['agent_id']}\n"
    assert ranked(fleet, "status=idle/label=a100/sort=-vram_free") == [
        agent["agent_id"] for agent in sorted(wanted, key=lambda a: -free(a))]
    assert ranked(fleet, "status=idle/label=a100/sort=vram_free") == [
        agent["agent_id"] for agent in sorted(wanted, key=free)]


def test_integers_sort_by_value_other_texts_bytewise_and_absent_values_come_last(of):
    versions = {"a": "10", "b": "9", "c": None, "d": "v1", "e": "V2", "f": "9", "g": "ä", "h": "-3"}
    fleet = of([{"agent_id": name, "agent_version": version} for name, version in versions.items()])
    assert ranked(fleet, "sort=version") == list("hbfaedgc")
    assert ranked(fleet, "sort=-version") == list("gdeabfhc")


def test_of_several_values_the_largest_counts_and_ties_are_in_the_apis_order(of):
    fleet = of([{"agent_id": name, "agent_labels": labels} for name, labels in {
        "a": ["1", "9"], "b": ["10"], "c": [], "d": ["9"], "e": ["2", "3"]}.items()])
    assert ranked(fleet, "sort=label") == list("eadbc")
    assert ranked(fleet, "sort=-label") == list("badec")


def test_an_order_of_the_whole_fleet(fleet):
    names = sorted(agent["agent_id"] for agent in fleet.api.agents())
    assert ranked(fleet, "sort=id") == names
    assert ranked(fleet, "sort=-id") == names[::-1]


@pytest.mark.parametrize("name", ["0", "01", "-1", "+1", "1.0", "99999999999999999999", "x", "README",
                                  ".git"])
def test_an_order_has_numbers_only(fleet, name):
    assert os.path.islink(fleet / "where/sort=id/230")
    assert not os.path.lexists(fleet / "where/sort=id/231")
    fleet.api.reset()
    assert code_of(lambda: os.lstat(fleet / "where/sort=id" / name)) == "ENOENT"
    assert fleet.api.requests() == 0


# What is no question

WRONG = ["nosuch=1", "Status=idle", "status =idle", "status= idle", "status=idle ", "=", "=idle", "<", ">1",
         "!=x", "agent.json=x", "labels=x", "gpus=0", "name=G", "status=,", "status=idle,",
         "status=,idle", "status=a,,b", "status=[", "status=[z-a]", "status=[[:alpha:]]", "status=%4",
         "status=%zz", "status=a\x01", "gpu_free<", "gpu_free<x", "gpu_free<1.5", "gpu_free<1k",
         "gpu_free<>1", "gpu_free>=9007199254740993", "gpu_free>=" + "9" * 200, "gpu_free>=8193T",
         "sort=", "sort=-", "sort=nosuch", "sort=--id", "sort!=id", "sort<1", "sort=id,status",
         "status=" + "x" * 300]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_condition_is_einval_and_nothing_else_changes(fleet, name):
    fleet.api.reset()
    for below in ("", "status=idle", "label=a100/status=idle"):
        for action in (os.stat, os.listdir, lambda path: os.stat(f"{path}/x")):
            assert code_of(lambda: action(fleet / "where" / below / name)) == "EINVAL", below
    assert fleet.read(".fleetfs/last_error") == b""
    assert own(fleet, "health")["state"] == "ok"
    assert fleet.api.requests() == 0
    assert os.listdir(fleet / "where") == ["README"]


def test_bytes_that_are_no_utf_8_are_a_wrong_condition(fleet):
    path = os.fsencode(fleet / "where") + b"/status=\xff"
    assert code_of(lambda: os.stat(path)) == "EINVAL"
    assert os.listdir(path.replace(b"\xff", b"%FF")) == []


def test_at_most_eight_conditions(fleet):
    eight = "/".join(f"label!=x{i}" for i in range(8))
    assert len(answer(fleet, eight)) == AGENTS
    assert len(ranked(fleet, f"{eight}/sort=id")) == AGENTS
    assert code_of(lambda: os.stat(fleet / "where" / eight / "status=idle")) == "EINVAL"
    assert code_of(lambda: os.stat(fleet / "where" / eight / "status=idle/label=x")) == "EINVAL"


def test_an_order_is_the_last_component(fleet):
    for name in ("status=idle", "sort=id", "nosuch=1", "status"):
        wanted = "EINVAL" if "=" in name else "ENOENT"
        assert code_of(lambda: os.stat(fleet / "where/sort=id" / name)) == wanted


def test_empty_parts_and_dots_are_the_kernels(fleet):
    idle = answer(fleet, "status=idle")
    for path in ("where//status=idle", "where/./status=idle/", "where/status=busy/../status=idle",
                 "where/status=idle/label=a100/..", "by-status/../where/status=idle"):
        assert os.listdir(fleet / path) == idle, path
        assert os.path.samefile(fleet / path, fleet / "where/status=idle")


def test_names_without_an_operator_are_denied_without_a_request(fleet):
    fleet.api.reset()
    for name in ("status", "idle", ".git", "HEAD", "README~", "a!b", "%41", "x" * 300):
        assert code_of(lambda: os.stat(fleet / "where" / name)) == "ENOENT", name
    for name in (".git", "-x", "a%zz", "%41", "x" * 256):
        assert code_of(lambda: os.stat(fleet / "where/status=idle" / name)) == "ENOENT", name
    assert fleet.api.requests() == 0


# Listing

def test_where_lists_only_its_readme_so_find_and_grep_end(fleet):
    answer(fleet, "status=idle/label=a100")
    assert os.listdir(fleet / "where") == ["README"]
    fleet.api.reset()
    assert run("find", "where", cwd=fleet.path).split() == ["where", "where/README"]
    assert run("grep", "-rl", "gpu-node", "where", cwd=fleet.path, status=1) == ""
    assert fleet.api.requests() == 0
    found = run("find", "where/status=idle", cwd=fleet.path).splitlines()
    assert len(found) == len(answer(fleet, "status=idle")) + 1


def test_the_readme_explains_it_with_examples_that_work(fleet):
    text = fleet.text("where/README")
    examples = re.findall(r"^  ((?:ls|cat|readlink) where/.*?)(?:  |$)", text, re.MULTILINE)
    assert len(examples) > 6
    for example in examples:
        assert not example.startswith("ls where/status") or run("bash", "-c", example, cwd=fleet.path)
        subprocess.run(["bash", "-c", example], cwd=fleet.path, check=True, stdout=subprocess.DEVNULL)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert os.stat(fleet / "where/README").st_mtime_ns == os.stat(fleet / ".fleetfs/README").st_mtime_ns


def test_an_agent_whose_name_reads_as_a_condition_has_the_operator_escaped(of):
    names = {"status=idle": "status%3Didle", "a<b": "a%3Cb", "x>=1": "x%3E%3D1", "sort=id": "sort%3Did",
             "no!=field": "no!%3Dfield", "README": "README", "1": "1", "a b": "a b",
             "a%3Db": "a%253Db", "a!b": "a!b"}
    fleet = of([{"agent_id": name, "agent_status": "idle"} for name in names])
    assert os.listdir(fleet / "where/status=idle") == list(names.values())
    for name, shown in names.items():
        encoded = os.fsdecode(expected.name(name))
        assert encoded in fleet.agents()
        path = fleet / "where/status=idle" / shown
        assert os.readlink(path) == f"../../agents/{encoded}"
        assert (path / "id").read_text() == name + "\n"
    # Also without the listing, from which the kernel knows them.
    ask_again(fleet)
    for name, shown in names.items():
        assert fleet.text(f"where/status=idle/{shown}/id") == name + "\n"
    assert code_of(lambda: os.stat(fleet / "where/status=idle/a=b")) == "EINVAL"
    assert code_of(lambda: os.stat(fleet / "where/status=idle/x%3Db")) == "ENOENT"
    assert answer(fleet, "id=status=idle") == ["status=idle"]


def test_long_names_with_an_operator_are_distinct_and_found(of):
    ids_ = ["=" * 86, "=" * 255, "=" * 256, "x" * 254 + "=", "x" * 253 + "=y", "x" * 300 + "=", "x" * 255]
    fleet = of([{"agent_id": text, "agent_status": "idle"} for text in ids_])
    names = os.listdir(fleet / "where/status=idle")
    assert len(set(names)) == len(ids_) and all(len(name) <= 255 and "=" not in name for name in names)
    ask_again(fleet)
    for name, text in zip(names, ids_):
        assert fleet.text(f"where/status=idle/{name}/id") == text + "\n"
    unknown = "%3D" * 66 + "%~" + "0" * 32
    assert code_of(lambda: os.stat(fleet / "where/status=idle" / unknown)) == "ENOENT"


def test_any_answer_can_be_copied_and_archived(fleet, folder):
    run("cp", "-a", fleet / "where/status=idle", folder / "copy")
    assert sorted(os.listdir(folder / "copy")) == sorted(answer(fleet, "status=idle"))
    run("tar", "-C", fleet.path, "-cf", folder / "idle.tar", "where/status=idle", "where/README")


# Freshness and cost

def test_conditions_cost_no_request_and_an_answer_costs_one_list_per_ttl(sim, mount):
    api = sim(agents=AGENTS)
    fleet = mount(api, ttl=LONG)
    for path in ("where", "where/status=idle", "where/status=idle/label=a100/sort=-vram_free"):
        assert os.path.isdir(fleet / path)
    assert api.pages() == {1: 1}
    for _ in range(3):
        run("ls", "-l", "where/status=idle", "where/label=a100/sort=id", "by-status", "agents",
            cwd=fleet.path)
        run("bash", "-c", "cat where/status=busy/*/id", cwd=fleet.path)
    assert api.pages() == {1: 1, 2: 1, 3: 1}


def test_a_warm_answer_costs_no_request_to_fleetfs(fleet):
    os.listdir(fleet / "where/status=idle/label=a100")
    _, costs = counted(fleet, lambda: [os.listdir(fleet / "where/status=idle/label=a100")
                                       for _ in range(10)])
    assert costs.get("fuse_lookup", 0) == 0 and costs.get("fuse_readdirplus", 0) == 0


def test_an_answer_follows_the_fleet_and_a_link_is_as_old_as_its_value(of):
    agents = [{"agent_id": f"n{i}", "agent_status": "idle", "tasks_completed": i} for i in range(120)]
    fleet = of(agents, ttl=0.3)
    assert len(answer(fleet, "status=idle/tasks_completed>=0")) == 120
    assert ranked(fleet, "status=idle/sort=-tasks_completed")[0] == "n119"
    before = os.lstat(fleet / "where/status=idle/n7")
    assert before.st_mtime_ns == os.stat(fleet / ".fleetfs/README").st_mtime_ns
    changed = time.time()
    agents[119]["agent_status"] = "busy"
    del agents[3]
    fleet.api.put_agents(agents)
    until(lambda: len(os.listdir(fleet / "where/status=idle")) == 118)
    assert os.listdir(fleet / "where/status!=idle") == ["n119"]
    assert ranked(fleet, "status=idle/sort=-tasks_completed")[0] == "n118"
    assert len(os.listdir(fleet / "where/status=idle/sort=-tasks_completed")) == 118
    for gone in ("n119", "n3"):
        until(lambda: not os.path.lexists(fleet / "where/status=idle" / gone))
    for question in ("status=busy", "status!=idle", "status=busy/tasks_completed>5"):
        assert os.lstat(fleet / "where" / question / "n119").st_mtime >= changed
    after = os.lstat(fleet / "where/status=idle/n7")
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_the_directory_of_an_answer_changes_with_the_list_and_where_itself_does_not(of):
    fleet = of([{"agent_id": "a", "agent_status": "idle"}], ttl=0.3)
    where = os.stat(fleet / "where").st_mtime_ns
    os.listdir(fleet / "where/status=idle")
    before = os.stat(fleet / "where/status=idle").st_mtime_ns
    assert before == os.stat(fleet / "by-status/idle").st_mtime_ns
    fleet.api.put_agents([{"agent_id": "b", "agent_status": "idle"}])
    until(lambda: os.listdir(fleet / "where/status=idle") == ["b"])
    assert os.stat(fleet / "where/status=idle").st_mtime_ns > before
    assert os.stat(fleet / "where").st_mtime_ns == where
    info = os.stat(fleet / "where/status=idle")
    assert info.st_mode == 0o40555 and info.st_size == 0 and info.st_nlink == 1


def test_under_churn_questions_views_and_agents_of_one_ttl_agree(sim, mount):
    api = sim(agents=400)
    fleet = mount(api, ttl=LONG, per_page=50)
    api.churn(10)
    for _ in range(8):
        ask_again(fleet)
        found = {question: answer(fleet, question) for question in QUESTIONS}
        order = ranked(fleet, "status=idle/sort=-vram_free")
        agents = [expected.json.loads(fleet.read(f"agents/{name}/agent.json"))
                  for name in fleet.agents()]
        for question, names in found.items():
            assert names == ids(agents, QUESTIONS[question]), question
        assert sorted(order) == sorted(found["status=idle"])
        assert sorted(order) == sorted(os.listdir(fleet / "by-status/idle"))


def test_a_listing_of_an_answer_goes_on_after_other_lists(of):
    names = {f"a-name-that-takes-some-room-{i}" for i in range(1500)}
    fleet = of([{"agent_id": name, "agent_status": "idle"} for name in names], ttl=0.2)
    for question, wanted in (("status=idle", names),
                             ("status=idle/sort=id", {str(i + 1) for i in range(1500)})):
        with os.scandir(fleet / "where" / question) as entries:
            found = [next(entries).name for _ in range(10)]
            sweeps = int(own(fleet, "stats")["sweeps"])

            def others():
                os.listdir(fleet / "where" / question)
                return int(own(fleet, "stats")["sweeps"]) >= sweeps + 3
            until(others)
            found += [entry.name for entry in entries]
        assert len(found) == len(set(found)) and set(found) == wanted


# Failure

@pytest.mark.parametrize("status,code", [(503, "EREMOTEIO"), (403, "EACCES"), (429, "EBUSY")])
def test_a_question_fails_as_the_list_does(sim, mount, status, code):
    api = sim(agents=AGENTS)
    fleet = mount(api, ttl=LONG, retries=0, delay_connect=True)
    api.fail(status)
    for question in ("status=idle", "status=idle/label=a100", "sort=id"):
        assert os.path.isdir(fleet / "where" / question)
        assert code_of(lambda: os.listdir(fleet / "where" / question)) == code
    assert code_of(lambda: os.readlink(fleet / "where/sort=id/1")) == code
    assert code_of(lambda: os.readlink(fleet / "where/status=idle/x")) == code
    before = fleet.text(".fleetfs/last_error")
    assert before and code_of(lambda: os.stat(fleet / "where/nosuch=1")) == "EINVAL"
    assert fleet.text(".fleetfs/last_error") == before
    api.ok()
    ask_again(fleet)
    assert answer(fleet, "status=idle") == ids(api.agents(), QUESTIONS["status=idle"])


def test_a_stale_answer_is_served_while_the_api_fails_and_no_longer_than_stale(sim, mount):
    api = sim(agents=30)
    fleet = mount(api, ttl=0.2, stale=6, retries=0)
    before = answer(fleet, "status=idle"), ranked(fleet, "status=idle/sort=-vram_free")
    began = time.monotonic()
    api.fail(500)
    until(lambda: own(fleet, "health")["state"] == "stale" or not os.listdir(fleet / "where/status=idle"))
    assert (answer(fleet, "status=idle"), ranked(fleet, "status=idle/sort=-vram_free")) == before
    assert time.monotonic() - began < 6, "too slow a machine for this test"
    until(lambda: code_of(lambda: os.listdir(fleet / "where/status=idle")) == "EREMOTEIO", 20)
    assert code_of(lambda: os.listdir(fleet / "where/status=idle/sort=-vram_free")) == "EREMOTEIO"
    assert code_of(lambda: os.readlink(fleet / "where/status=idle/sort=-vram_free/1")) == "EREMOTEIO"
    assert time.monotonic() - began > 5.5


def test_a_bad_page_costs_its_own_agents_only(sim, mount):
    api = sim(agents=300)
    api.fail(500, page=2)
    fleet = mount(api, ttl=LONG, retries=0)
    agents = api.agents()
    wanted = ids(agents[:100] + agents[200:], QUESTIONS["status=idle"])
    for question in ("status=idle", "status=idle/sort=-id"):
        found, error = [], None
        try:
            with os.scandir(fleet / "where" / question) as entries:
                for entry in entries:
                    found.append(os.path.basename(os.readlink(entry.path)))
        except OSError as fault:
            error = errno.errorcode[fault.errno]
        assert sorted(found) == sorted(wanted) and error == "EREMOTEIO", question
    assert code_of(lambda: os.lstat(fleet / "where/status=idle/nobody")) == "EREMOTEIO"
    assert code_of(lambda: os.lstat(fleet / f"where/status=idle/sort=-id/{len(wanted) + 1}")) == \
        "EREMOTEIO"


def test_a_question_that_waits_can_be_interrupted_and_disturbs_nobody(sim, mount, blocked):
    api = sim(agents=AGENTS)
    fleet = mount(api, ttl=LONG, timeout=60)
    api.hold(2)
    reader = blocked("ls", fleet / "where/status=idle/sort=id")
    until(lambda: api.held() > 0)
    assert fleet.text("where/README") and os.path.isdir(fleet / "where/label=x")
    _, seconds = took(lambda: reader.end(signal.SIGINT))
    assert seconds < 2
    api.release(2)
    assert len(ranked(fleet, "sort=id")) == AGENTS


# Bounds

def test_a_pattern_that_backtracks_takes_bounded_time(of):
    value = "a" * 255
    fleet = of([{"agent_id": f"n{i}", "agent_labels": [value] * 1 + [value[:-j - 1] for j in range(20)]}
                for i in range(300)])
    for pattern in ("*a" * 100 + "*b", "*" + "a" * 120 + "b", "*?" * 100 + "b", "*[ab]" * 40 + "*c"):
        listed, seconds = took(lambda: os.listdir(fleet / f"where/label={pattern}"))
        assert listed == [] and seconds < 10
    assert len(os.listdir(fleet / ("where/label=" + "*a" * 100))) == 300


@pytest.mark.once
@pytest.mark.parametrize("order", ["", "/sort=id"])
def test_a_question_that_takes_long_is_answered_in_slices(of, blocked, order):
    """Meanwhile statfs(2), for which the kernel always asks, takes a small part of that time."""
    fleet = of([{"agent_id": f"n{i}", "agent_labels": ["a" * 250 + str(j) for j in range(60)]}
                for i in range(3000)], per_page=100)
    assert len(fleet.agents()) == 3000
    reader = blocked("ls", fleet / ("where/label=" + "*a" * 100 + "*b" + order))
    began, slowest = time.monotonic(), 0
    while reader.running():
        slowest = max(slowest, took(lambda: os.statvfs(fleet.path))[1])
    seconds = time.monotonic() - began
    assert reader.result() == (0, b"", b"") and seconds > 0.1
    assert slowest < seconds / 4


def test_the_same_question_is_the_same_directory(fleet):
    first = os.stat(fleet / "where/status=idle/label=a100").st_ino
    with opened(fleet / "where/status=idle/label=a100"):
        assert os.stat(fleet / "where/status=idle/label=a100").st_ino == first
        assert os.stat(fleet / "where/status=idle/../status=idle/label=a100").st_ino == first
        assert os.stat(fleet / "where/status=idle/label=b").st_ino != first


def test_equal_questions_do_not_move_the_directories_of_their_readers(fleet):
    """A directory has one name for the kernel, so each spelling has its own."""
    script = """cd where/status=idle/vram_free\\>=1K && ls >/dev/null
        ls ../vram_free\\>=1024 ../../vram_free\\>=1K/status=idle >/dev/null && /bin/pwd"""
    out = run("bash", "-c", script, cwd=fleet.path)
    assert out == f"{fleet.path}/where/status=idle/vram_free>=1K\n"


def test_what_nobody_asks_any_more_is_forgotten(sim, mount):
    """Both what was not used for a while, and of many questions the first."""
    fleet = mount(sim(agents=50), ttl=0.3)
    os.listdir(fleet / "agents")

    def nodes():
        return int(own(fleet, "stats")["nodes"])
    before = nodes()
    for i in range(200):
        os.listdir(fleet / f"where/status!=x{i}/sort=id")
    assert nodes() > before + 200
    until(lambda: nodes() <= before + 100)


def test_many_different_questions_in_a_row_take_bounded_memory(sim, mount):
    fleet = mount(sim(agents=5), ttl=LONG)
    highest = 0
    for i in range(5000):
        os.stat(fleet / f"where/status=x{i}")
        if i % 500 == 0:
            highest = max(highest, int(fleet.values(".fleetfs/stats")["nodes"]))
    until(lambda: int(own(fleet, "stats")["nodes"]) < 3000)
    assert highest < 3000


def test_who_does_not_ask_pays_nothing(sim, mount):
    """A walk over everything else sends the same requests, whether or not questions were asked."""
    costs = []
    for ask in (False, True):
        fleet = mount(sim(agents=50), ttl=LONG)
        os.listdir(fleet / "agents")
        if ask:
            os.listdir(fleet / "where/status=idle/sort=id")
        _, cost = counted(fleet, lambda: run("grep", "-rc", ".", "agents", cwd=fleet.path))
        costs.append({kind: cost.get(f"fuse_{kind}", 0) for kind in ("lookup", "read", "readdirplus")})
    for kind, count in costs[0].items():
        assert abs(count - costs[1][kind]) <= 5, costs
