# SPDX-License-Identifier: MIT
"""A saved list is mounted like the API that it came from: offline, without a token, and the file is
checked once per ttl."""

import ctypes
import http.client
import json
import os
import signal
import subprocess
import threading
import time

import pytest

import expected
from harness import DATA, TOKEN, code_of, copy_program, environment, until

EXAMPLE = DATA / "example-response.json"
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def as_list(parts, total=None, per_page=None):
    """The text of a list (bytes) of agents, which are JSON texts or objects."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in parts]
    total = len(parts) if total is None else total
    meta = {"current_page": 1, "per_page": per_page or total, "total_count": total}
    return b'{"agent_list":[%s],"page_meta":%s}\n' % (b",".join(parts), json.dumps(meta).encode())


def agents_of(count, status="idle"):
    return [{"agent_id": f"a{i:04}", "agent_status": status, "gpu_capacity": i}
            for i in range(count)]


@pytest.fixture
def save(folder):
    """save(text): replaces the file as mv does, and returns its path."""
    def write(text, name="fleet.json"):
        new = folder / f"{name}.new"
        new.write_bytes(text)
        return new.rename(folder / name)
    return write


@pytest.fixture
def refused(refused, path):
    """refused(source): mounts it without a token, which must fail with one line. Returns the line."""
    def check(source, *options, status=1):
        return refused(*options, source, path, token=None, status=status)
    return check


def device_of(fleet):
    lines = [line.split(" - ") for line in open("/proc/self/mountinfo", encoding="utf-8")]
    return [after.split()[1] for before, after in lines
            if before.split()[4] == str(fleet.path)][0]


def test_saved_response_is_mounted(mount):
    """It is page 1 of 42 agents, and contains one of them."""
    fleet = mount(EXAMPLE, token=None, ttl=600)
    assert fleet.agents() == ["gpu-node-01"]
    found = expected.walk(fleet / "agents/gpu-node-01")
    text = found.pop("agent.json")
    agent = json.loads(EXAMPLE.read_text())["agent_list"][0]
    assert found == expected.files(agent)
    assert json.loads(text) == agent
    health = fleet.health()
    assert health["state"] == "ok" and health["agents"] == "1" and health["verified"] == "no"
    assert fleet.text(".fleetfs/last_error") == ""
    assert fleet.values(".fleetfs/stats")["requests"] == "0"
    fleet.stop()
    assert "the file has 1 agents, but its total_count is 42" in fleet.output()


def test_mount_and_its_replay_are_equal(sim, mount, save):
    api = sim(agents=1042)
    live = mount(api, ttl=600)
    replay = mount(save(as_list(api.raw_agents())), token=None, ttl=600)
    assert os.listdir(replay / "agents") == os.listdir(live / "agents")
    done = subprocess.run(["diff", "-r", live / "agents", replay / "agents"], capture_output=True)
    assert done.returncode == 0 and not done.stdout + done.stderr
    health = replay.health()
    assert health["agents"] == "1042" and health["pages"] == "11" and health["verified"] == "yes"


def test_a_mount_is_saved_as_the_readme_says(sim, mount, folder):
    live = mount(sim(agents=250), ttl=600)
    file = folder / "fleet.json"
    subprocess.run(["cp", live / "fleet/agents.json", file], check=True)
    replay = mount(file, token=None, ttl=600)
    subprocess.run(["diff", "-r", replay / "agents", live / "agents"], check=True)
    assert replay.health()["verified"] == "yes"
    assert replay.read("fleet/agents.json") == file.read_bytes()


def test_agents_json_of_a_mount_can_be_mounted(sim, mount):
    """Directly, without a copy."""
    api = sim(agents=250)
    live = mount(api, ttl=0.2)
    replay = mount(live / "fleet/agents.json", token=None, ttl=0.2)
    assert sorted(replay.agents()) == sorted(live.agents())
    api.change(7, agent_status="changed")
    name = api.agents()[7]["agent_id"]
    until(lambda: replay.text(f"agents/{name}/status") == "changed\n")


def test_saved_response_keeps_names_and_numbers(sim, mount, save):
    """The response as curl saves it, with unusual names and numbers."""
    api = sim(agents=1)
    api.put_agents(['{"agent_id":"a/b", "x" : [1.50e+3, 9007199254740993]}',
                    '{"agent_id":"\\u202e","agent_status":"\\n","gpu_capacity":1e400}',
                    '{"agent_id":"../..","zz":"é","gpu_capacity":9007199254740992}', "7"])
    connection = http.client.HTTPConnection(api.host, timeout=30)
    connection.request("GET", "/api/v1/agents", headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse().read()
    connection.close()
    live = mount(api, ttl=600)
    replay = mount(save(answer), token=None, ttl=600)
    held = expected.walk(live / "agents")
    assert len([name for name in held if name.endswith("/agent.json")]) == 3
    assert expected.walk(replay / "agents") == held


def test_reader_of_one_agent_requests_one_page_of_a_file(mount, save):
    fleet = mount(save(as_list(agents_of(1042))), token=None, ttl=600)
    assert fleet.text("agents/a0007/gpu_capacity") == "7\n"
    assert int(fleet.values(".fleetfs/stats")["pages_asked"]) == 1
    assert fleet.text("agents/a1041/gpu_capacity") == "1041\n"
    assert code_of(lambda: os.stat(fleet / "agents/a1042")) == "ENOENT"
    assert len(fleet.agents()) == 1042
    until(lambda: int(fleet.values(".fleetfs/stats")["pages_asked"]) > 1)
    assert int(fleet.values(".fleetfs/stats")["pages_asked"]) == 11


def test_file_without_agents_is_an_empty_fleet(mount, save):
    fleet = mount(save(as_list([])), token=None, ttl=600)
    assert fleet.agents() == []
    assert fleet.health()["verified"] == "yes"


@pytest.mark.parametrize("total", [0, 7, 2 ** 53, -1])
def test_a_wrong_count_costs_no_agent(mount, save, total):
    fleet = mount(save(as_list(agents_of(250), total=total)), token=None, ttl=600)
    assert len(set(fleet.agents())) == 250
    assert fleet.health()["verified"] == "no"
    assert int(fleet.values(".fleetfs/stats")["pages_asked"]) <= 4


@pytest.mark.parametrize("given", ["fleet.json", "./fleet.json", "file://{}", "FILE:{}",
                                   "file://localhost{}"])
def test_file_is_named_by_path_or_url(fleetfs, folder, save, path, given):
    """fleetfs runs in the background, in another working directory."""
    file = save(as_list(agents_of(3)))
    done = fleetfs(given.format(file), path, cwd=folder, token=None)
    assert done.returncode == 0 and not done.stderr, done
    try:
        assert sorted(os.listdir(path / "agents")) == ["a0000", "a0001", "a0002"]
        config = (path / ".fleetfs/config").read_text()
        assert f"source: {folder}/" in config and "token: -\n" in config
        df = subprocess.run(["df", "--output=source", path], capture_output=True, text=True)
        device = df.stdout.splitlines()[1]
        assert os.path.isabs(device) and os.path.normpath(device) == str(file)
    finally:
        subprocess.run(["fusermount3", "-u", path], check=True)


def test_file_name_with_commas_and_spaces_is_the_device(mount, save):
    file = save(as_list(agents_of(1)), "a, b\\c=%20?#.json")
    fleet = mount(file, token=None, ttl=600)
    assert fleet.agents() == ["a0000"]
    assert device_of(fleet).encode().decode("unicode_escape") == str(file)


def test_no_token_is_read(mount, save, folder):
    """A token that would be rejected is ignored."""
    fleet = mount(save(as_list(agents_of(1))), token="ak-123", token_file=folder / "none", ttl=600)
    assert fleet.agents() == ["a0000"]
    assert fleet.health()["token_expiry"] == "-"


NO_LISTS = {
    "empty": (b"", "empty"),
    "a web page": (b"<html>\n", "line 1, column 1"),
    "random bytes": (bytes(range(255, 0, -1)), "line 1, column 1"),
    "NULs": (bytes(4096), "line 1, column 1"),
    "an error of the API": (b'{"message":"no"}', "agent_list"),
    "only the agents": (b'[{"agent_id":"a"}]', "agent_list"),
    "no array": (b'{"agent_list":{"a":1}}', "agent_list"),
    "null": (b'{"agent_list":null}', "agent_list"),
    "two lists": (as_list([]) + as_list([]), "line 2, column 1"),
    "a missing comma": (b'{"agent_list":[\n {"agent_id":"\xc3\xa9" "x"}]}', "line 2, column 18"),
    "a bad number": (b'{"agent_list":[{"agent_id":"a","n":01}]}', "line 1, column 36"),
    "deep nesting": (b'{"agent_list":' + b"[" * 1000, "line 1, column 1015"),
    "a huge number": (b'{"agent_list":[' + b"9" * 100000 + b"]", "it ends early"),
}


@pytest.mark.parametrize("what", NO_LISTS)
def test_invalid_file_is_rejected_with_line_and_column(refused, save, what):
    text, place = NO_LISTS[what]
    file = save(text)
    line = refused(file)
    assert str(file) in line and place in line, line


def test_cut_file_is_rejected_with_the_place_of_its_end(refused, save):
    text = as_list(agents_of(1042)).replace(b"},{", b"},\n{")
    for end in (1, 14, 15, 40, 5000, len(text) // 2, len(text) - 3):
        line = refused(save(text[:end]))
        row, column = text[:end].count(b"\n") + 1, end - text[:end].rfind(b"\n")
        assert f"line {row}, column {column}: it ends early" in line, (end, line)


def test_source_that_is_no_file_is_rejected(refused, folder, path):
    os.mkfifo(folder / "pipe")
    assert "pipe" in refused(folder / "pipe")
    assert "directory" in refused(folder)
    assert "device" in refused("/dev/zero")
    assert "No such file" in refused(folder / "none.json")
    assert "https://" in refused("core.example.com/api/v1")
    (folder / "loop").symlink_to(folder / "loop")
    assert "symbolic" in refused(folder / "loop")
    assert "not an http" in refused("ftp://host/fleet.json", status=2)
    assert "PATH" in refused("file://host/fleet.json", status=2)
    with open(folder / "large.json", "wb") as large:
        large.truncate((512 << 20) + 1)
    assert "512 MiB" in refused(folder / "large.json")
    hidden = path / "fleet.json"
    hidden.write_bytes(as_list([]))
    assert "hide" in refused(hidden)


@root
def test_unreadable_file_is_rejected(programs, folder, save, path):
    file = save(as_list([]))
    file.chmod(0o600)
    os.chown(path, 65533, 65533)
    done = subprocess.run(["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups",
                           copy_program(programs["fleetfs"], folder), "-f", file, path],
                          env=environment(folder, None), stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr == f"fleetfs: {file}: Permission denied: let this user read it\n"


def test_check_prints_the_contents_of_a_file(fleetfs, save):
    done = fleetfs("--check", save(as_list(agents_of(1042))), token=None)
    assert done.returncode == 0 and "1042 agents" in done.stdout and "not as many" not in done.stdout
    assert "token" not in done.stdout and not done.stderr
    done = fleetfs("--check", EXAMPLE, token=None)
    assert done.returncode == 0 and "the file has 1 agents, but its total_count is 42" in done.stdout
    done = fleetfs("--check", save(b'{"agent_list":[}'), token=None)
    assert done.returncode == 1 and "line 1, column 16" in done.stderr and not done.stdout


def test_replaced_file_is_noticed_after_the_ttl(mount, save):
    """All pages have the age of the last check of the file, whenever they are read."""
    fleet = mount(save(as_list(agents_of(250, "old"))), token=None, ttl=4)
    looked = time.monotonic()
    assert fleet.text("agents/a0000/status") == "old\n"
    mtime = os.stat(fleet / "agents/a0000/gpu_capacity").st_mtime_ns
    save(as_list([*agents_of(240, "new"), {"agent_id": "joined", "agent_status": "new"}]))
    time.sleep(2)
    assert fleet.text("agents/a0200/status") == "old\n"
    time.sleep(looked + 4.1 - time.monotonic())
    assert fleet.text("agents/a0200/status") == "new\n"
    assert fleet.text("agents/joined/status") == "new\n"
    assert len(fleet.agents()) == 241
    assert code_of(lambda: os.stat(fleet / "agents/a0245")) == "ENOENT"
    assert os.stat(fleet / "agents/a0000/gpu_capacity").st_mtime_ns == mtime
    assert fleet.health()["verified"] == "yes"


def test_unchanged_file_is_read_once(mount, save):
    """It is only checked again."""
    file = save(as_list(agents_of(250)))
    time.sleep(3.1)  # until its times can be trusted
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert libc.inotify_add_watch(watch, bytes(file), 0x20) > 0  # IN_OPEN
    try:
        fleet = mount(file, token=None, ttl=0.1)
        for _ in range(5):
            assert len(fleet.agents()) == 250
            time.sleep(0.15)
        assert int(fleet.values(".fleetfs/stats")["pages_arrived"]) >= 15
        assert len(os.read(watch, 4096)) == 16  # one event
    finally:
        os.close(watch)


def test_sighup_checks_the_file_at_once(mount, save):
    fleet = mount(save(as_list(agents_of(3, "old"))), token=None, ttl=86400)
    assert fleet.text("agents/a0002/status") == "old\n"
    save(as_list(agents_of(3, "new")))
    fleet.signal(signal.SIGHUP)
    until(lambda: fleet.text("agents/a0002/status") == "new\n")


def test_file_replaced_during_reads_is_the_old_or_the_new_list(mount, save):
    """Two fields of each agent name its list, and the values differ in length."""
    def text(word):
        return as_list([{**agent, "sync_detail": word * 40}
                        for agent in agents_of(450, word)])
    texts = [text("even"), text("odd")]
    fleet = mount(save(texts[0]), token=None, ttl=0.1)
    stop = threading.Event()

    def replace():
        turn = 0
        while not stop.is_set():
            turn += 1
            save(texts[turn % 2])

    thread = threading.Thread(target=replace)
    thread.start()
    seen = set()
    try:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert len(set(fleet.agents())) == 450
            for name in ("a0000", "a0123", "a0449"):
                agent = json.loads(fleet.read(f"agents/{name}/agent.json"))
                assert agent["sync_detail"] == agent["agent_status"] * 40
                assert fleet.text(f"agents/{name}/sync_detail").strip() in ("even" * 40, "odd" * 40)
                seen.add(agent["agent_status"])
    finally:
        stop.set()
        thread.join()
    assert seen == {"even", "odd"}
    assert fleet.health()["state"] == "ok"
    assert fleet.text(".fleetfs/last_error") == ""


def gone(file):
    file.unlink()


def nonsense(file):
    new = file.with_suffix(".new")
    new.write_bytes(b'{"agent_list":[\n oops]}')
    new.rename(file)


def folder_instead(file):
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("spoil,code,reason", [
    (gone, "EHOSTUNREACH", "No such file"), (nonsense, "EREMOTEIO", "line 2, column 2"),
    (folder_instead, "EREMOTEIO", "directory")])
def test_invalid_file_is_treated_like_a_failing_api(mount, save, spoil, code, reason):
    file = save(as_list(agents_of(250)))
    patient, strict = (mount(file, token=None, ttl=0.2, stale=stale) for stale in (600, 0))
    for fleet in (patient, strict):
        assert len(fleet.agents()) == 250
        assert fleet.text("agents/a0200/status") == "idle\n"
    spoil(file)
    until(lambda: code_of(lambda: strict.text("agents/a0200/status")) == code)
    until(lambda: code_of(strict.agents) == code)
    assert strict.health()["state"] == "failing"
    until(lambda: patient.text("agents/a0200/status") and patient.health()["state"] == "stale")
    assert len(patient.agents()) == 250
    for fleet in (patient, strict):
        error = fleet.values(".fleetfs/last_error")
        assert error["url"] == str(file) and error["http_status"] == "-"
        assert str(file) in error["message"] and reason in error["message"]
        assert reason in fleet.health()["reason"]
        assert "the file cannot be used" in fleet.output()
    if file.is_dir():
        file.rmdir()
    save(as_list(agents_of(250, "busy")))
    for fleet in (patient, strict):
        until(lambda: code_of(lambda: fleet.text("agents/a0200/status")) is None
              and fleet.text("agents/a0200/status") == "busy\n", seconds=40)
        until(lambda: len(fleet.agents()) == 250 and fleet.health()["state"] == "ok", seconds=40)


def test_delay_connect_waits_for_a_missing_file(mount, save, folder):
    fleet = mount(folder / "fleet.json", token=None, ttl=0.2, delay_connect=True)
    assert code_of(fleet.agents) == "EHOSTUNREACH"
    save(as_list(agents_of(3)))
    until(lambda: code_of(fleet.agents) is None, seconds=40)
    assert len(fleet.agents()) == 3


def test_symlinked_file_is_followed_to_its_present_target(mount, save, folder):
    for word in ("old", "new"):
        save(as_list(agents_of(3, word)), f"{word}.json")
    link = folder / "latest.json"
    link.symlink_to("old.json")
    fleet = mount(link, token=None, ttl=0.2)
    assert fleet.text("agents/a0000/status") == "old\n"
    (folder / "next").symlink_to("new.json")
    (folder / "next").rename(link)
    until(lambda: fleet.text("agents/a0000/status") == "new\n")
    assert device_of(fleet) == str(link)


def test_file_may_be_larger_than_a_response(mount, save):
    """In bytes, and in agents."""
    agents = [{**agent, "sync_detail": "x" * 800} for agent in agents_of(10500)]
    text = as_list(agents)
    assert len(text) > 8 << 20
    fleet = mount(save(text), token=None, ttl=600, timeout=60)
    assert len(set(fleet.agents())) == 10500
    assert fleet.text("agents/a10499/gpu_capacity") == "10499\n"
    assert fleet.health()["verified"] == "yes"


@pytest.mark.unwrapped  # valgrind does not know that stat(2) may take its time
def test_slow_file_delays_only_readers_that_need_it(sim, mount, blocked, folder):
    """It is on another mount, whose API does not answer."""
    api = sim(agents=1)
    below = mount(api, delay_connect=True, timeout=20)
    api.hold()
    link = folder / "fleet.json"
    fleet = mount(link, token=None, delay_connect=True, timeout=30)
    link.symlink_to(below / "agents/none")
    reader = blocked("ls", fleet / "agents")
    until(lambda: api.held() == 1)
    for _ in range(10):
        assert fleet.health()["state"] == "ok"
    assert reader.running()
    api.release()
    status, _, errors = reader.result()
    assert status != 0 and b"No route to host" in errors
    assert "No such file" in fleet.text(".fleetfs/last_error")
