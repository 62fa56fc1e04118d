# SPDX-License-Identifier: MIT
"""The files of fleet/ show what the API returned, in the formats of the programs that read them."""

import collections
import contextlib
import json
import os
import re
import subprocess
import threading
import time
import urllib.request
from datetime import datetime

import pytest

import expected
from harness import AGENTS, LONG, TOKEN, die_with_parent, run, unpacked, until
from test_hostile import IDS, RAW_IDS

COLUMNS = ["id", "status", "running_count", "gpu_capacity", "gpu_free", "vram_free", "vram_total",
           "tool", "tool_version", "version", "platform_arch", "last_heartbeat", "current_task_id",
           "labels"]


def hostile_agents():
    """Every troublesome string, in every place that can have a string."""
    texts = IDS + [text.decode("utf-8", "surrogateescape") for text in RAW_IDS]
    return [json.dumps({"agent_id": text, "agent_status": text, "agent_labels": [text],
                        "tool": text, "tool_version": text, "agent_version": text,
                        "platform_arch": text, "current_task_id": text, "last_heartbeat": text,
                        "system_stats": {"gpu_devices": [{"device_name": text, "vram_total": 5,
                                                          "vram_free": 2}]}},
                       ensure_ascii=False).encode("utf-8", "surrogateescape") for text in texts]


def total(agents, field):
    """The sum of a number of all agents, or of all their GPUs."""
    if field.startswith("vram"):
        return sum(gpu[field] for agent in agents for gpu in agent["system_stats"]["gpu_devices"])
    return sum(agent.get(field, 0) for agent in agents)


def free_of(agent):
    if "gpu_capacity" in agent and "running_count" in agent:
        return max(0, agent["gpu_capacity"] - agent["running_count"])
    return None


# summary

def test_the_summary_adds_up(fleet):
    agents = fleet.api.agents()
    values = fleet.values("fleet/summary")
    wanted = {
        "agents": AGENTS, "gpu_capacity": total(agents, "gpu_capacity"),
        "gpu_running": total(agents, "running_count"),
        "gpu_free": sum(free_of(agent) or 0 for agent in agents),
        "gpu_available": sum(free_of(agent) or 0 for agent in agents
                             if agent["agent_status"] in ("idle", "busy")),
        "vram_total": total(agents, "vram_total"), "vram_free": total(agents, "vram_free"),
        "vram_used": total(agents, "vram_total") - total(agents, "vram_free"),
        "tasks_running": total(agents, "running_count"),
        "tasks_completed": total(agents, "tasks_completed"),
    }
    for status, members in expected.groups(agents, "by-status").items():
        wanted[f"agents_{status}"] = len(members)
    assert {key: int(value) for key, value in values.items()} == wanted
    assert wanted["gpu_free"] > 0


# agents.tsv

def test_table_has_the_values_and_order_of_the_api(fleet):
    header, *lines = fleet.text("fleet/agents.tsv").splitlines()
    assert header.split("\t") == COLUMNS
    agents = fleet.api.agents()
    assert len(lines) == AGENTS
    for line, agent in zip(lines, agents):
        free = free_of(agent)
        assert line.split("\t") == [
            agent["agent_id"], agent["agent_status"], str(agent.get("running_count", "")),
            str(agent["gpu_capacity"]), "" if free is None else str(free),
            str(total([agent], "vram_free")), str(total([agent], "vram_total")), agent["tool"],
            agent["tool_version"], agent["agent_version"], agent["platform_arch"],
            agent["last_heartbeat"], agent.get("current_task_id", ""),
            ",".join(agent["agent_labels"])]
    assert len({"\t" * 2 in line for line in lines}) == 2  # some have it all, some have not


def test_awk_sort_and_column_work_on_the_table(fleet):
    agents = fleet.api.agents()
    output = run("bash", "-c", r"""
        awk -F '\t' 'NR > 1 && $2 == "idle" { sum += $6 } END { printf "%.0f\n", sum }' agents.tsv
        tail -n +2 agents.tsv | sort -t $'\t' -k 6nr,6 | head -n 1 | cut -f 6
        column -t -s $'\t' agents.tsv | wc -l
        column -t -s $'\t' agents.tsv | head -n 1 | tr -s ' '""", cwd=fleet / "fleet")
    free = [total([agent], "vram_free") for agent in agents]
    assert output.splitlines() == [
        str(total([a for a in agents if a["agent_status"] == "idle"], "vram_free")),
        str(max(free)), str(AGENTS + 1), " ".join(COLUMNS)]


def test_no_value_forges_a_line_or_a_column(sim, mount):
    api = sim(agents=1)
    agents = hostile_agents()
    api.put_agents(agents)
    fleet = mount(api, ttl=LONG)
    lines = fleet.read("fleet/agents.tsv").decode("utf-8").split("\n")
    assert len(lines) == len(agents) + 2 and lines[-1] == ""
    for line, agent in zip(lines[1:], api.agents()):
        cells = line.split("\t")
        assert len(cells) == len(COLUMNS)
        assert not any(expected.is_unsafe(ord(c)) for cell in cells for c in cell)
        shown = expected.escape(agent["agent_id"]).decode()
        assert [cells[COLUMNS.index(name)] for name in ("id", "status", "labels")] == [shown] * 3
    header, *gpus = fleet.read("fleet/gpus.tsv").decode("utf-8").split("\n")[:-1]
    assert len(gpus) == len(agents)
    for line, agent in zip(gpus, api.agents()):
        cells = line.split("\t")
        assert len(cells) == len(header.split("\t"))
        assert not any(expected.is_unsafe(ord(c)) for cell in cells for c in cell)
        assert os.path.isdir(fleet / "agents" / cells[0] / "gpus" / cells[1])
        shown = expected.escape(agent["agent_id"]).decode()
        assert cells[2] == shown
        if len(os.fsencode(agent["agent_id"])) <= 255:
            assert cells[7] == cells[9] == shown
    for line in fleet.read("fleet/summary").decode("utf-8").splitlines():
        assert re.fullmatch(r"\w+(.*): \d+", line) and not any(expected.is_unsafe(ord(c))
                                                                for c in line)


# gpus.tsv

def test_the_table_of_gpus_is_as_the_api_says_and_in_its_order(fleet):
    header, *lines = fleet.text("fleet/gpus.tsv").splitlines()
    assert header.split("\t") == ["agent", "gpu", "name", "type", "vram_free", "vram_used",
                                  "vram_total", "status", "gpu_free", "labels"]
    wanted = [[agent["agent_id"], str(at), gpu["device_name"], gpu["device_type"],
               str(gpu["vram_free"]), str(gpu["vram_total"] - gpu["vram_free"]),
               str(gpu["vram_total"]), agent["agent_status"],
               "" if free_of(agent) is None else str(free_of(agent)),
               ",".join(agent["agent_labels"])]
              for agent in fleet.api.agents()
              for at, gpu in enumerate(agent["system_stats"]["gpu_devices"])]
    assert [line.split("\t") for line in lines] == wanted
    assert len(wanted) > AGENTS


def test_a_table_of_gpus_without_values_has_empty_columns(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "none"}, {"agent_id": "-x/y", "system_stats": {"gpu_devices": [
        {}, {"vram_total": 7, "vram_free": "odd"}]}}])
    lines = mount(api, ttl=LONG).text("fleet/gpus.tsv").splitlines()
    assert lines[1:] == ["%2Dx%2Fy\t0" + "\t" * 8, "%2Dx%2Fy\t1" + "\t" * 5 + "7" + "\t" * 3]


def test_an_agent_with_long_values_and_many_gpus_takes_little_of_the_table(sim, mount):
    """Its labels are repeated for each GPU."""
    api = sim(agents=1)
    api.put_agents([{"agent_id": "odd", "agent_status": "s" * 5000, "agent_labels": ["x" * 900_000, "y"],
                     "system_stats": {"gpu_devices": [{"device_name": f"g{i}"} for i in range(256)]}},
                    {"agent_id": "next", "system_stats": {"gpu_devices": [{}]}}])
    fleet = mount(api, ttl=LONG)
    assert os.stat(fleet / "fleet/gpus.tsv").st_size < 256 * 600
    lines = [line.split("\t") for line in fleet.text("fleet/gpus.tsv").splitlines()[1:]]
    assert [line[2] for line in lines[:-1]] == [f"g{i}" for i in range(256)] and lines[-1][0] == "next"
    label = next(name for name in os.listdir(fleet / "by-label") if name != "y")
    status = next(name for name in os.listdir(fleet / "by-status") if name.startswith("ss"))
    assert {(line[7], line[9]) for line in lines[:-1]} == {(status, f"{label},y")}


def test_the_labels_in_a_row_of_the_table_of_gpus_have_a_limit(sim, mount):
    labels = [f"{at:03d}" + "x" * 247 for at in range(256)]
    api = sim(agents=1)
    api.put_agents([{"agent_id": "odd", "agent_labels": labels,
                     "system_stats": {"gpu_devices": [{} for _ in range(256)]}},
                    {"agent_id": "usual", "agent_labels": labels[:16], "system_stats": {"gpu_devices": [{}]}}])
    fleet = mount(api, ttl=LONG)
    cells = [line.split("\t")[9] for line in fleet.text("fleet/gpus.tsv").splitlines()[1:]]
    assert cells[:256] == [",".join([*labels[:17], "%~"])] * 256
    assert cells[256:] == [",".join(labels[:16])]
    assert ",".join(labels) in fleet.text("fleet/agents.tsv")


# agents.jsonl

def test_each_line_is_the_object_of_an_agent(fleet):
    lines = fleet.read("fleet/agents.jsonl").splitlines(keepends=True)
    assert b"".join(lines) == b"".join(
        fleet.read(f"agents/{agent['agent_id']}/agent.json") for agent in fleet.api.agents())
    assert list(map(expected.pairs, lines)) == list(map(expected.pairs, fleet.api.raw_agents()))


# agents.json

PROGRAMS = [
    '.agent_list[] | select(.agent_status == "idle") | .agent_id',
    '.agent_list[] | select(.agent_labels | index("a100")) | [.agent_id, .gpu_capacity] | @tsv',
    '.agent_list[] | .system_stats.gpu_devices[] | select(.vram_free > 40000000000) | .device_name',
    '.agent_list[]',
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_agents_json_has_the_agents_of_all_pages(fleet, folder, program):
    pages = []
    for number in (1, 2, 3):
        asked = urllib.request.Request(
            f"{fleet.api.url}/agents?current_page={number}&per_page=100",
            headers={"Authorization": f"Bearer {TOKEN}"})
        pages.append(folder / f"page-{number}.json")
        with urllib.request.urlopen(asked) as answer:
            pages[-1].write_bytes(answer.read())
    of_pages = run("jq", "-r", program, *pages)
    assert run("jq", "-r", program, fleet / "fleet/agents.json") == of_pages != ""


def test_agents_json_is_one_page_of_the_api(fleet):
    text = fleet.read("fleet/agents.json")
    answer = expected.pairs(text)
    assert [key for key, _ in answer] == ["agent_list", "page_meta"]
    assert list(answer[0][1]) == [expected.pairs(raw) for raw in fleet.api.raw_agents()]
    assert json.loads(text)["page_meta"] == {"current_page": 1, "per_page": AGENTS,
                                             "total_count": AGENTS}
    one_each = run("grep", "-c", "agent_id", fleet / "fleet/agents.json")
    assert int(one_each) == AGENTS


@pytest.mark.parametrize("agents", [[], [{"agent_id": "a"}]])
def test_reports_of_no_agent_and_one_agent_are_complete(sim, mount, agents):
    api = sim(agents=0)
    api.put_agents(agents)
    fleet = mount(api, ttl=LONG)
    assert json.loads(fleet.text("fleet/agents.json"))["agent_list"] == agents
    assert len(fleet.text("fleet/agents.tsv").splitlines()) == 1 + len(agents)
    assert fleet.values("fleet/summary")["agents"] == str(len(agents))
    assert check_metrics(fleet) == ""


def test_hostile_strings_are_json_that_jq_reads(sim, mount):
    api = sim(agents=1)
    api.put_agents([text for text in hostile_agents() if text.decode("utf-8", "ignore").encode()
                    == text])
    fleet = mount(api, ttl=LONG)
    ids = run("jq", "-c", ".agent_list[].agent_id", fleet / "fleet/agents.json").split("\n")[:-1]
    assert list(map(json.loads, ids)) == [agent["agent_id"] for agent in api.agents()]
    text = fleet.read("fleet/agents.json").decode("utf-8")
    assert not any(expected.is_unsafe(ord(c)) for c in text if c != "\n")


def test_slow_reader_reads_the_old_report_to_its_end(sim, mount):
    api = sim(agents=1)
    agents = [{"agent_id": f"n{i}", "agent_status": "old", "more": "x" * 2500} for i in range(2000)]
    api.put_agents(agents)
    fleet = mount(api, ttl=0.3)
    path = fleet / "fleet/agents.json"
    with open(path, "rb", buffering=0) as slow:
        size = os.fstat(slow.fileno()).st_size
        assert size > 4 << 20
        text = slow.read(1000)
        for turn in range(3):
            for agent in agents:
                agent["agent_status"] = f"new {turn}"
            api.put_agents(agents)
            until(lambda: b'"new %d"' % turn in path.read_bytes())
            text += slow.read(1 << 20)
        while more := slow.read(1 << 20):
            text += more
        assert len(text) == size == os.fstat(slow.fileno()).st_size
    assert [agent["agent_status"] for agent in json.loads(text)["agent_list"]] == ["old"] * 2000
    until(lambda: {agent["agent_status"] for agent in json.loads(path.read_bytes())["agent_list"]}
          == {"new 2"})


def test_unchanged_report_stays_the_same_file(sim, mount):
    api = sim(agents=AGENTS)
    fleet = mount(api, ttl=0.3)
    names = ("summary", "agents.tsv", "gpus.tsv", "agents.json", "agents.jsonl")
    before = {name: os.stat(fleet / "fleet" / name) for name in names}
    metrics = fleet.read("fleet/metrics.prom")
    until(lambda: fleet.read("fleet/metrics.prom") != metrics)  # another list
    for name in names:
        after = os.stat(fleet / "fleet" / name)
        assert (after.st_ino, after.st_mtime_ns) == (before[name].st_ino, before[name].st_mtime_ns)
    api.change(3, agent_status="lost")
    until(lambda: fleet.values("fleet/summary").get("agents_lost"))
    for name in names:
        after = os.stat(fleet / "fleet" / name)
        assert after.st_ino != before[name].st_ino
        assert after.st_mtime_ns > before[name].st_mtime_ns
    assert fleet.values("fleet/summary")["agents_lost"] == "1"


def test_many_readers_at_once_read_the_same(sim, mount):
    api = sim(agents=2000)
    fleet = mount(api, ttl=LONG)
    texts = []

    def read():
        texts.append(fleet.read("fleet/agents.json"))
    threads = [threading.Thread(target=read) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert list(collections.Counter(texts).values()) == [20]
    assert api.requests() == 20


# metrics.prom

def check_metrics(fleet):
    """Runs promtool on fleet/metrics.prom, which must accept it; returns its complaints."""
    done = subprocess.run([unpacked("promtool"), "check", "metrics"], capture_output=True,
                          input=fleet.read("fleet/metrics.prom"), timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).decode()


def samples_of(text):
    """{(name, ((label, value), …)): value}; fails if two are equal."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
        pairs = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or "")
        pairs = tuple((key, re.sub(r"\\(.)", r"\1", shown)) for key, shown in sorted(pairs))
        assert (name, pairs) not in found, line
        found[name, pairs] = float(value)
    return found


def of(samples, name, *labels):
    """{label: value} of a metric, by one or more of its labels."""
    return {tuple(dict(pairs)[label] for label in labels) if len(labels) > 1 else
            dict(pairs)[labels[0]]: value for (its, pairs), value in samples.items() if its == name}


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_promtool_has_no_complaint(fleet):
    assert check_metrics(fleet) == ""


def test_metrics_of_the_fleet_add_up(fleet):
    agents = fleet.api.agents()
    fleet.agents()
    time.sleep(1)  # so that when it was read is not when it was written
    samples = samples_of(fleet.text("fleet/metrics.prom"))
    assert of(samples, "fleet_agents", "status") == {
        status: len(members) for status, members in expected.groups(agents, "by-status").items()}
    summary = fleet.values("fleet/summary")
    for name, key in {
            "fleet_gpu_capacity": "gpu_capacity", "fleet_gpu_free": "gpu_free",
            "fleet_gpu_available": "gpu_available",
            "fleet_tasks_running": "tasks_running", "fleet_vram_total_bytes": "vram_total",
            "fleet_vram_free_bytes": "vram_free", "fleet_vram_used_bytes": "vram_used"}.items():
        assert samples[name, ()] == int(summary[key]), name
    assert samples["fleet_list_verified", ()] == 1
    success = seconds(fleet.health()["last_success"])
    assert success - 5 < samples["fleet_list_timestamp_seconds", ()] < success + 0.1


def test_metrics_of_the_agents_are_those_of_the_api(fleet):
    agents = {agent["agent_id"]: agent for agent in fleet.api.agents()}
    samples = samples_of(fleet.text("fleet/metrics.prom"))
    for name, wanted in {
            "fleet_agent_gpu_capacity": lambda a: a["gpu_capacity"],
            "fleet_agent_gpu_free": free_of,
            "fleet_agent_tasks_running": lambda a: a.get("running_count"),
            "fleet_agent_tasks_completed_total": lambda a: a["tasks_completed"],
            "fleet_agent_sync_ratio": lambda a: a["sync_percent"] / 100
            if "sync_percent" in a else None,
            "fleet_agent_last_heartbeat_timestamp_seconds": lambda a: seconds(a["last_heartbeat"]),
            "fleet_agent_connected_timestamp_seconds": lambda a: seconds(a["connected_at"]),
            "fleet_agent_info": lambda a: 1}.items():
        found = {agent: wanted(what) for agent, what in agents.items()}
        assert of(samples, name, "agent") == {agent: value for agent, value in found.items()
                                              if value is not None}, name
    for name, key in {"fleet_gpu_vram_total_bytes": "vram_total",
                      "fleet_gpu_vram_free_bytes": "vram_free"}.items():
        gpus = {k: v for k, v in samples.items() if k[1]}
        assert of(gpus, name, "agent", "gpu", "model") == {
            (agent, str(at), gpu["device_name"]): gpu[key] for agent, what in agents.items()
            for at, gpu in enumerate(what["system_stats"]["gpu_devices"])}
    labels = [(dict(pairs)["agent"], dict(pairs)["label"]) for name, pairs in samples
              if name == "fleet_agent_label"]
    assert sorted(labels) == sorted((name, label) for name, agent in agents.items()
                                    for label in agent["agent_labels"])
    assert {value for (name, _), value in samples.items() if name == "fleet_agent_label"} == {1}
    infos = [dict(pairs) for name, pairs in samples if name == "fleet_agent_info"]
    for info in infos:
        what = agents[info.pop("agent")]
        assert info == {"status": what["agent_status"], "tool": what["tool"],
                        "tool_version": what["tool_version"], "version": what["agent_version"],
                        "platform_arch": what["platform_arch"]}


def test_an_agent_without_a_value_has_no_sample(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "blank", "system_stats": {"gpu_devices": [{}, {"vram_free": 7}]}},
                    {"agent_id": "odd", "agent_status": "odd", "gpu_capacity": -3,
                     "running_count": 2 ** 53, "sync_percent": -5, "last_heartbeat": "yesterday"},
                    {"agent_id": "sync", "sync_percent": 100, "tasks_completed": 0,
                     "last_heartbeat": "2026-01-31T12:00:00.25+01:00"}])
    fleet = mount(api, ttl=LONG)
    assert check_metrics(fleet) == ""
    samples = samples_of(fleet.text("fleet/metrics.prom"))
    assert of(samples, "fleet_agents", "status") == {
        "": 2, "odd": 1, "idle": 0, "busy": 0, "syncing": 0, "tunnel": 0, "unhealthy": 0}
    told = {(name, dict(pairs).get("agent"), value) for (name, pairs), value in samples.items()
            if pairs and name not in ("fleet_agents", "fleet_agent_info")}
    assert told == {
        ("fleet_gpu_vram_free_bytes", "blank", 7), ("fleet_agent_gpu_capacity", "odd", -3),
        ("fleet_agent_tasks_running", "odd", 2 ** 53), ("fleet_agent_gpu_free", "odd", 0),
        ("fleet_agent_sync_ratio", "odd", -0.05), ("fleet_agent_sync_ratio", "sync", 1),
        ("fleet_agent_tasks_completed_total", "sync", 0),
        ("fleet_agent_last_heartbeat_timestamp_seconds", "sync", 1769857200.25)}


@contextlib.contextmanager
def node_exporter(directory, folder):
    """Runs node_exporter; calling the result scrapes it. directory: its setting, which may be a pattern."""
    log = folder / "node_exporter.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [unpacked("prometheus-node-exporter"), "--collector.disable-defaults",
             "--collector.textfile", f"--collector.textfile.directory={directory}",
             "--web.listen-address=127.0.0.1:0", "--web.disable-exporter-metrics"],
            stdout=output, stderr=output, preexec_fn=die_with_parent)

    def address():
        return re.search(r"msg=\"Listening on\" address=(\S+)", log.read_text())

    def scrape():
        with urllib.request.urlopen(f"http://{until(address)[1]}/metrics", timeout=30) as answer:
            return samples_of(answer.read().decode())
    try:
        yield scrape
    finally:
        process.terminate()
        process.wait(20)


def with_labels(samples):
    """To node_exporter a label without a value is no label."""
    return {(name, tuple(pair for pair in pairs if pair[1])): value
            for (name, pairs), value in samples.items()}


def test_node_exporter_exposes_them(fleet, folder):
    with node_exporter(fleet / "fleet", folder) as scrape:
        scraped = scrape()
    assert scraped.pop(("node_textfile_scrape_error", ())) == 0
    own = samples_of(fleet.text("fleet/metrics.prom"))
    assert {key: value for key, value in scraped.items() if key[0].startswith("fleet_")} == own
    where = f"{fleet.path}/fleet/metrics.prom"
    assert scraped["node_textfile_mtime_seconds", (("file", where),)] == \
        int(os.stat(where).st_mtime)


def test_node_exporter_reports_an_error_while_the_api_fails_beyond_stale(sim, mount, folder):
    api = sim(agents=3)
    fleet = mount(api, ttl=0.2, stale=0, retries=0)
    with node_exporter(fleet / "fleet", folder) as scrape:
        assert scrape()["node_textfile_scrape_error", ()] == 0
        api.fail(503)
        until(lambda: scrape()["node_textfile_scrape_error", ()] == 1, every=0.2)
        assert not any(name.startswith("fleet_") for name, _ in scrape())
        api.ok()
        until(lambda: scrape()["node_textfile_scrape_error", ()] == 0, every=0.2)
        assert any(name.startswith("fleet_agent_info") for name, _ in scrape())


def test_no_string_of_an_agent_spoils_the_metrics(sim, mount, folder):
    api = sim(agents=1)
    agents = hostile_agents() + [{"agent_id": text, "agent_status": text,
                                  "agent_labels": ["twin\x1b", "twin\\x1b", "twin%1B", ""]}
                                 for text in ("twin\x1b", "twin\\x1b", "twin\\\\x1b", "twin%1B")]
    api.put_agents(agents)
    fleet = mount(api, ttl=LONG)
    assert check_metrics(fleet) == ""
    text = fleet.read("fleet/metrics.prom").decode("utf-8")
    assert not any(expected.is_unsafe(ord(c)) for c in text if c != "\n")
    samples = samples_of(text)
    assert sorted(of(samples, "fleet_agent_info", "agent")) == sorted(fleet.agents())
    assert sum(of(samples, "fleet_agents", "status").values()) == len(agents)
    assert set(of(samples, "fleet_agents", "status")) - {""} == \
        set(os.listdir(fleet / "by-status")) | {"idle", "busy", "syncing", "tunnel", "unhealthy"}
    with node_exporter(fleet / "fleet", folder) as scrape:
        scraped = scrape()
    assert scraped["node_textfile_scrape_error", ()] == 0
    fleets = {key: value for key, value in scraped.items() if key[0].startswith("fleet_")}
    assert with_labels(fleets) == with_labels(samples)


def test_metrics_show_their_age_while_the_api_fails(sim, mount):
    api = sim(agents=3)
    fleet = mount(api, ttl=0.3, retries=0)
    first = samples_of(fleet.text("fleet/metrics.prom"))["fleet_list_timestamp_seconds", ()]

    def newer():
        samples = samples_of(fleet.text("fleet/metrics.prom"))
        return samples["fleet_list_timestamp_seconds", ()] - first
    until(lambda: newer() > 0.3)
    api.fail(503)
    until(lambda: fleet.health()["state"] == "stale" or newer() < 0)
    last = newer()
    until(lambda: float(fleet.health()["list_age"]) > 2)
    assert newer() == pytest.approx(last, abs=0.01)  # written anew, it may be off by a millisecond


def test_unverified_sweep_is_reported(sim, mount):
    api = sim(agents=3)
    api.total("7")
    fleet = mount(api, ttl=LONG)
    assert samples_of(fleet.text("fleet/metrics.prom"))["fleet_list_verified", ()] == 0


# The page; what a browser makes of it is in test_html.py and test_html_fleets.py

PAGE = "fleet/fleet.html"

# What none of them may do, in each place where a string of an agent is shown.
ATTACKS = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<!--<script>", "-->",
    "</script ", "</SCRIPT/", "<!--<script ",
    "</title></style></textarea></script><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>", "' onmouseover='alert(1)", "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}", "&lt;b&gt;&#x41;", "__proto__", "constructor",
    "toString", "\u2028alert(1)\u2029", "]};alert(1);//", "]]>", "\\\"</script>", "%3Cscript%3E", "",
    "x" * 5000, "<" * 300, "\u202egnp.exe", "\U0001f600 \u0301\u0301", "a\nb\tc", "idle busy", "red", "$(touch ran)", "`id`;",
]


def attacking_agents():
    return hostile_agents() + [json.dumps({
        "agent_id": text, "agent_status": text, "agent_labels": [text], "agent_version": text,
        "tool": text, "tool_version": text, "platform_arch": text, "last_heartbeat": text,
        "current_task_id": text, "running_tasks": [text], "sync_phase": text, "sync_detail": text,
        "sync_percent": 2 ** 53, "running_count": -5, "gpu_capacity": 2 ** 53,
        "system_stats": {"gpu_devices": [{"device_name": text, "vram_total": -1, "vram_free": 7}]}})
        for text in ATTACKS]


def embedded(text):
    """The data in the page."""
    data = json.loads(re.search(r'<script type="application/json" id="data">\n(.*?)</script>', text,
                                re.DOTALL)[1])
    return data, [dict(zip(data["fields"], row)) for row in data["agents"]]


def test_page_contains_the_fleet_and_loads_nothing(sim, mount):
    api = sim(agents=230)
    fleet = mount(api, ttl=LONG)
    text = fleet.text(PAGE)
    data, agents = embedded(text)
    assert data["ttl"] == LONG * 1000 and data["verified"] is True
    assert 0 <= time.time() * 1000 - data["time"] < 60000
    assert [agent["id"] for agent in agents] == [agent["agent_id"] for agent in api.agents()]
    for agent, wanted in zip(agents, api.agents()):
        assert agent["status"] == wanted["agent_status"]
        assert agent["labels"] == wanted["agent_labels"]
        assert agent["running_count"] == wanted.get("running_count")
        assert agent["gpus"] == [[gpu["device_name"], gpu["vram_total"], gpu["vram_free"]]
                                 for gpu in wanted["system_stats"]["gpu_devices"]]
        assert os.path.isdir(fleet / f"agents/{agent['name']}")
    assert not re.search(r"https?:|\bsrc=|\bhref=|@import|url\(|\son\w+=|\sstyle=", text)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-[\w+/]{43}='; "
                        r"script-src 'sha256-[\w+/]{43}='; frame-src 'self' file:; "
                        r"base-uri 'none'; form-action 'none'", policy)
    assert text.index(policy) < text.index("<style>")


@pytest.mark.parametrize("name", ["eu", "</script><b>", None])
def test_title_of_the_page_is_the_name_or_the_host(sim, mount, name):
    api = sim(agents=1)
    fleet = mount(api, ttl=LONG, **({"name": name} if name else {}))
    assert embedded(fleet.text(PAGE))[0]["title"] == name or api.host


def test_hostile_values_are_data_in_the_page(sim, mount):
    api = sim(agents=1)
    api.put_agents(attacking_agents())
    text = mount(api, ttl=LONG).text(PAGE)
    shown = embedded(text)[1]
    assert len(shown) == len({agent["name"] for agent in shown}) == \
        len({agent["agent_id"] for agent in api.agents()})
    assert {agent["id"] for agent in shown} >= set(ATTACKS) - {"\u202egnp.exe", "a\nb\tc", "\u2028alert(1)\u2029"}
    assert text.count("<script") == text.count("</script>") == 2
