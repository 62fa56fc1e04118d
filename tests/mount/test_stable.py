# SPDX-License-Identifier: MIT
"""What scripts may rely on is what stable.txt says: options, exit statuses, errnos, the tree, and the
fields of each format. A test that fails here asks for a version number, see the top of stable.txt."""

import difflib
import json
import os
import re
import signal
import socket
import stat

import pytest

from expected import NUMBERS, STRINGS
from harness import HERE, code_of, run, until

pytestmark = [pytest.mark.once, pytest.mark.xdist_group("stable")]  # they record into one file

RECORDED = HERE / "stable.txt"
RECORD = "FLEETFS_RECORD=1 ./run test stable"
LONG = 600


def compare(title, lines):
    """Compares a part of stable.txt with what is so."""
    found = f"\n== {title}\n\n" + "".join(f"{line}\n" for line in lines)
    part = re.compile(rf"\n== {re.escape(title)}\n.*?(?=\n== |\Z)", re.S)
    recorded = RECORDED.read_text()
    if os.environ.get("FLEETFS_RECORD"):
        recorded = part.sub(lambda _: found, recorded) if part.search(recorded) else recorded + found
        RECORDED.write_text(recorded)
    was = part.search(recorded)
    wrong = list(difflib.unified_diff(was[0].splitlines() if was else [], found.splitlines(),
                                      RECORDED.name, "now", lineterm="", n=0))
    if wrong:
        pytest.fail("\n".join([*wrong, f"If it is meant to: {RECORD}, and read the top of {RECORDED.name}"]),
                    pytrace=False)


def agent(name):
    """An agent that has everything."""
    strings = {key: f"{file}-value" for file, key in STRINGS.items()}
    return {**strings, **dict.fromkeys(NUMBERS.values(), 1), "agent_id": name, "agent_status": "idle",
            "last_heartbeat": "2025-02-10T14:30:00Z", "connected_at": "2025-02-10T14:00:00Z",
            "agent_labels": ["LABEL"], "running_tasks": ["TASK"], "current_task_id": "TASK",
            "system_stats": {"comfyui_version": "1", "pytorch_version": "2", "os_type": "posix",
                             "gpu_devices": [{"device_name": "MODEL", "device_type": "cuda",
                                              "vram_total": 2, "vram_free": 1}]}}


@pytest.fixture
def api(sim):
    found = sim(agents=1)
    found.put_agents([agent("AGENT")])
    return found


@pytest.fixture
def fleet(api, mount):
    return mount(api, ttl=LONG, name="NAME")


def test_options(programs):
    """Name, whether it takes a value, and the default."""
    lines = run(programs["fleetfs"], "--help").splitlines()
    rows = (re.match(r"  (?:-(.), )?--(\w+)(=[A-Z]+)? .*?(\[.*\])?$", line) for line in lines)
    compare("options", [" ".join(filter(None, (f"-{row[1]}" if row[1] else "", f"--{row[2]}{row[3] or ''}",
                                               row[4]))) for row in rows if row])


def test_exit_statuses(api, fleetfs, path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    closed_port = f"http://127.0.0.1:{port}/api/v1"
    cases = {"--version": ["--version"], "--help": ["--help"], "--check": ["--check", api.url],
             "--check, the API fails": ["--check", "--retries=0", closed_port],
             "the API fails": ["--retries=0", closed_port, path],
             "an unknown option": ["--nonsense", api.url, path],
             "a wrong value": ["--ttl=x", api.url, path], "no mount point": [],
             "mounted in the background": [api.url, path]}
    try:
        compare("exit statuses", [f"{fleetfs(*arguments).returncode} {name}"
                                  for name, arguments in cases.items()])
    finally:
        run("fusermount3", "-u", path)


def test_errnos(api, mount, programs):
    def of(fail, **options):
        """The errno of a read after this has happened to the API."""
        fleet = mount(api, retries=0, delay_connect=True, **options)
        fail()
        try:
            return code_of(fleet.agents)
        finally:
            api.ok()
    rows = {f"HTTP {status}": of(lambda status=status: api.fail(status))
            for status in (302, 400, 401, 403, 404, 413, 429, 500, 503)}
    rows["a response that is no list"] = of(lambda: api.body("{}"))
    rows["no connection"] = code_of(mount("http://127.0.0.1:1/api/v1", retries=0, delay_connect=True).agents)
    rows["the timeout has passed"] = of(lambda: api.delay(3000), timeout=0.5)
    api.delay(0)
    fleet = mount(api, ttl=LONG)
    rows["no such agent"] = code_of(lambda: fleet.read("agents/no-such-agent/id"))
    rows["a wrong question"] = code_of(lambda: os.listdir(fleet / "where/nonsense=1"))
    rows["writing"] = code_of(lambda: (fleet / "agents/new").mkdir())
    compare("errnos", [f"{code} {cause}" for cause, code in rows.items()])


def test_tree(fleet):
    """Type, mode and path of everything, with the target of a symbolic link."""
    lines = []
    for where, folders, files in os.walk(fleet.path):
        for name in folders + files:
            path = os.path.join(where, name)
            shown = os.path.relpath(path, fleet.path)
            target = f" -> {os.readlink(path)}" if os.path.islink(path) else ""
            lines.append(f"{stat.filemode(os.lstat(path).st_mode)} {shown}{target}")
    question = "where/status=idle/sort=-vram_free"
    lines += [f"{stat.filemode(os.lstat(fleet / path).st_mode)} {path} -> {os.readlink(fleet / path)}"
              for path in ("where/status=idle/AGENT", f"{question}/1")]
    compare("tree", sorted(lines, key=lambda line: line.split(" ", 1)[1]))


def test_conditions(fleet):
    """The fields of a question, and its operators."""
    text = fleet.text("where/README")
    words = set(re.findall(r"[\w.]+", text)) | {"status", "sort"}
    fields = [word for word in sorted(words)
              if code_of(lambda word=word: os.listdir(fleet / f"where/{word}=x")) is None]
    operators = [operator for operator in ("=", "!=", "<", "<=", ">", ">=")
                 if code_of(lambda operator=operator: os.listdir(fleet / f"where/gpu_free{operator}1"))
                 is None]
    compare("conditions", [*fields, f"operators: {' '.join(operators)}"])


def keys(fleet, path):
    return [f"{path}: {line.split(':')[0]}" for line in fleet.text(path).splitlines()]


def metrics(fleet, path):
    """Each metric with its type and labels."""
    text = fleet.text(path)
    lines = []
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M):
        samples = " ".join(re.findall(rf"^{name}(\{{.*\}}) ", text, re.M))
        labels = sorted(set(re.findall(r'[{,](\w+)="', samples)))
        lines.append(f"{path}: {name} {kind} {','.join(labels)}")
    return lines


def test_fields(fleet, api):
    """The columns, keys and metrics of each file with several. What only a failure shows is read while
    the API fails."""
    lines = []
    for table in ("fleet/agents.tsv", "fleet/gpus.tsv"):
        lines.append(f"{table}: {' '.join(fleet.text(table).splitlines()[0].split(chr(9)))}")
    whole = json.loads(fleet.text("fleet/agents.json"))
    lines.append(f"fleet/agents.json: {' '.join(whole)}; page_meta: {' '.join(whole['page_meta'])}")
    assert json.loads(fleet.text("fleet/agents.jsonl")) == whole["agent_list"][0] == agent("AGENT")
    lines += keys(fleet, "fleet/summary") + metrics(fleet, "fleet/metrics.prom")
    api.fail(503)
    fleet.signal(signal.SIGHUP)

    def has_failed():
        fleet.agents()
        return fleet.health()["state"] == "stale" and fleet.text(".fleetfs/last_error")
    until(has_failed)
    for name in ("config", "health", "stats", "last_error"):
        lines += keys(fleet, f".fleetfs/{name}")
    lines += metrics(fleet, ".fleetfs/metrics.prom")
    compare("fields", lines)


def test_events(api, mount):
    """One line for each kind of change."""
    fleet = mount(api, ttl=0.2)
    fleet.text("fleet/events.log")
    api.add_agent(agent("NEW"))
    until(lambda: "joined" in fleet.text("fleet/events.log"))
    api.change(0, agent_status="busy", agent_labels=["LABEL", "OTHER"])
    until(lambda: "busy" in fleet.text("fleet/events.log"))
    api.remove_agent(1)
    until(lambda: "left" in fleet.text("fleet/events.log"))
    text = re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t", "TIME\t", fleet.text("fleet/events.log"),
                  flags=re.M)
    compare("events", [line.replace("\t", " <tab> ") for line in text.splitlines()])


def test_versions(programs, fleet):
    """The programs and libraries whose versions are shown."""
    shown = run(programs["fleetfs"], "--version")
    assert fleet.text(".fleetfs/version") == shown
    compare("version", re.findall(r"\b(fleetfs|libfuse|libcurl|cJSON)\b", shown))
