# SPDX-License-Identifier: MIT
"""fleet/events.log: every change between two looks, once, in order, for whoever follows it; and nothing
fetched for those who do not."""

import contextlib
import functools
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter

import pytest

import expected
from harness import code_of, until
from scripted import page, took

LOG = "fleet/events.log"
TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


def lines(data):
    """(agent, field, old, new) of each line."""
    assert data.endswith(b"\n") or not data
    found = []
    for line in data.split(b"\n")[:-1]:
        at, *rest = line.split(b"\t")
        assert TIME.match(at) and len(rest) == 4, line
        found.append(tuple(rest))
    return found


def agent_name(agent):
    return expected.name(agent["agent_id"])


def on_a_line(content):
    return content.removesuffix(b"\n").replace(b"\n", b",") or b"-"


# Measurements, and what is derived from other values.
NOT_RECORDED = re.compile(r"last_heartbeat|sync_percent|gpu_free|gpus/\d+/vram_(free|used)")


def changes(before, after):
    """The events between two states of the API's list, in any order within an agent."""
    before = {agent_name(agent): expected.files(agent) for agent in before}
    after = {agent_name(agent): expected.files(agent) for agent in after}
    found = [(name, b"agent", b"-", b"joined") for name in after if name not in before]
    found += [(name, b"agent", b"left", b"-") for name in before if name not in after]
    for name, files in after.items():
        old_files = before.get(name, files)
        for file in {**old_files, **files}:
            old, new = old_files.get(file, b""), files.get(file, b"")
            if old != new and not NOT_RECORDED.fullmatch(file):
                found.append((name, os.fsencode(file), on_a_line(old), on_a_line(new)))
    return found


def look_again(fleet, ttl):
    """The log after the ttl."""
    time.sleep(ttl + 0.05)
    return fleet.read(LOG)


def test_each_change_between_two_reads_is_logged_once(sim, mount):
    ttl = 0.5
    api = sim(agents=250)
    fleet = mount(api, ttl=ttl)
    log, told = fleet.read(LOG), Counter()
    assert log == b""
    for _ in range(6):
        before = api.agents()
        api.step(20)
        after = api.agents()
        more = look_again(fleet, ttl)
        assert more.startswith(log)
        assert Counter(lines(more[len(log):])) == Counter(changes(before, after))
        told.update(field for _, field, _, _ in lines(more[len(log):]))
        log = more
    assert {b"agent", b"status", b"running_count", b"running_tasks"} <= set(told)
    assert not any(NOT_RECORDED.fullmatch(os.fsdecode(field)) for field in told)


def test_events_have_the_order_of_the_list_and_the_time_of_their_page(sim, mount):
    ttl = 0.5
    api = sim(agents=42)
    fleet = mount(api, ttl=ttl)
    fleet.read(LOG)
    api.step(20)
    began = time.time()
    log = look_again(fleet, ttl)
    order = list(dict.fromkeys(name for name, field, old, _ in lines(log) if old != b"left"))
    assert order == [name for name in map(agent_name, api.agents()) if name in order]
    assert len(order) > 20
    name, field, *_ = map(os.fsdecode, lines(log)[0])
    changed = os.stat(fleet / "agents" / name / field).st_mtime
    for line in log.splitlines():
        if b"\tleft\t" in line:  # that takes a second look
            continue
        at = line.split(b"\t")[0].decode().replace("Z", "+00:00")
        seconds = time.mktime(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        assert abs(seconds + float(at[19:23]) - changed) < 0.002
    assert began - 1 < changed < time.time() + 1


def recorded(files):
    """The files of an agent whose changes are events; an empty file is none."""
    return {file: text for file, text in files.items() if text and not NOT_RECORDED.fullmatch(file)}


def test_under_churn_the_events_lead_from_one_state_to_the_other(sim, mount):
    api = sim(agents=450)
    fleet = mount(api, ttl=0.3)
    state = {agent_name(agent): expected.files(agent) for agent in api.agents()}
    permanent = {expected.name(name) for name in api.permanent()}
    fleet.read(LOG)
    api.churn(20)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        fleet.read(LOG)
        os.listdir(fleet / "agents")
        time.sleep(0.05)
    api.churn(0)
    log = lines(look_again(fleet, 0.3))
    for name, field, old, new in log:
        if field == b"agent":
            assert name not in permanent
            assert (name in state) == (old == b"left")
            if old == b"left":
                del state[name]
            else:
                state[name] = None  # as it was when it came is not told
            continue
        files, file = state[name], os.fsdecode(field)
        if files is not None:
            assert on_a_line(files.get(file, b"")) == old
            files[file] = b"" if new == b"-" else new.replace(b",", b"\n") + b"\n"
    now = {agent_name(agent): expected.files(agent) for agent in api.agents()}
    assert set(state) == set(now)
    for name, files in state.items():
        if files is not None:
            assert recorded(files) == recorded(now[name])
    assert sum(field == b"agent" for _, field, _, _ in log) > 10 and len(log) > 1000


def test_log_begins_at_its_first_read_and_fetches_nothing_unread(sim, mount):
    ttl = 0.3
    api = sim(agents=250, churn=50)
    fleet = mount(api, ttl=ttl)
    for _ in range(3):
        fleet.agents()
        time.sleep(ttl)
    subprocess.run(["ls", "--color=never", fleet / "fleet"], check=True, stdout=subprocess.DEVNULL)
    api.reset()
    time.sleep(3 * ttl)
    assert api.requests() == 0
    api.churn(0)
    assert fleet.read(LOG) == b""
    api.churn(50)
    api.reset()
    time.sleep(3 * ttl)
    assert api.requests() == 0
    # What somebody else's reading brings is told all the same.
    until(lambda: fleet.agents() and os.stat(fleet / "fleet/events.log.1") and len(lines(
        fleet.read(LOG))))


def sweeps(fleet):
    return int(fleet.values(".fleetfs/stats")["sweeps"])


def by_stat(file):
    return os.fstat(file.fileno()).st_size


def by_read(file):
    return len(file.read())


class Poller:
    """Of a mount of its own, asked again and again in one of these ways."""

    def __init__(self, poll, api, fleet):
        self.poll, self.api, self.fleet, self.grown = poll, api, fleet, 0
        self.file = open(fleet / LOG, "rb", buffering=0)
        self.began = time.monotonic()
        api.reset()
        self.swept = -sweeps(fleet)

    def ask(self):
        self.grown += self.poll(self.file)

    def end(self):
        self.pages = self.api.pages()
        self.swept += sweeps(self.fleet)
        self.seconds = time.monotonic() - self.began
        self.file.close()


def test_a_reader_that_polls_costs_one_sweep_per_ttl(sim, mount):
    ttl, seconds = 2, 7
    pollers = []
    for poll in by_stat, by_read:
        api = sim(agents=250, churn=100)
        pollers.append(Poller(poll, api, mount(api, ttl=ttl)))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for poller in pollers:
            poller.ask()
        time.sleep(0.1)
    for poller in pollers:
        poller.end()
        # However often a sweep reads a page again for those who were missed.
        assert seconds // ttl - 1 <= min(poller.pages.values()), poller.poll
        # Two at most: where pages came at two times, the list expires with each of them.
        assert seconds // ttl - 1 <= poller.swept <= 2 * poller.seconds / ttl + 1, poller.poll
        assert poller.grown > 0, poller.poll


class Follower:
    """Holds on to each file that is ever the log, and asks for news all the time."""

    def __init__(self, path):
        self.path = path
        self.files = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        last = None
        while not self.over.wait(0.1):
            number = os.stat(self.path).st_ino
            if number != last:
                self.files.append(open(self.path, "rb"))
                last = os.fstat(self.files[-1].fileno()).st_ino

    def stop(self):
        self.over.set()
        self.thread.join(20)

    def contents(self):
        return [os.pread(file.fileno(), 1 << 30, 0) for file in self.files]


@pytest.mark.long
@pytest.mark.once  # of tail(1); tests/unit/test_events.c rotates, too
def test_tail_follows_through_three_rotations(scripted, mount, folder):
    """Each line once and in order, while names are dropped; and who holds an old one, has it whole."""
    server, turn = scripted(), [0]

    def another(wire):
        turn[0] += 1
        wire.reply(page([{"agent_id": f"a{i}", "sync_detail": f"{turn[0]} " + "x" * 12_000}
                         for i in range(16)]))

    server.answer = another
    fleet = mount(server, ttl=0.3)
    output = folder / "tail"
    with open(output, "wb") as out:
        tail = subprocess.Popen(["tail", "-n", "+1", "-F", fleet / LOG], stdout=out,
                                stderr=subprocess.PIPE, text=True)
    follower = Follower(fleet / LOG)
    try:
        while len(follower.files) < 4:
            os.listdir(fleet / "by-status")  # a view, whose name is dropped when it is idle
            count = len(follower.files)
            until(lambda: len(follower.files) > count, seconds=30, every=0.1)
        # No more changes; tail looks for another file after five looks in vain.
        until(lambda: len(follower.files[3].read(1)) == 1)
        server.answer = lambda wire, last=[]: wire.reply(last[0]) if last else last.append(
            page([{"agent_id": f"a{i}"} for i in range(16)])) or wire.reply(last[0])
        until(lambda: b"\tsync_detail\t" in follower.contents()[3][-20_000 * 16:] and
              follower.contents()[3].endswith(b"\t-\n"))
        follower.stop()
        files = follower.contents()
        assert len(files) == 4
        until(lambda: output.stat().st_size >= sum(map(len, files)), seconds=30, every=0.2)
    finally:
        follower.over.set()
        tail.terminate()
        errors = tail.communicate(timeout=20)[1]
    assert output.read_bytes() == b"".join(files)
    assert errors.count("has been replaced") == 3, errors
    for data in files[:3]:
        assert len(data) >= 4 << 20
    assert fleet.read(f"{LOG}.1") == files[2]
    assert fleet.read(LOG) == files[3]
    told = lines(b"".join(files))
    for i in range(16):
        mine = [(old.split()[0], new.split()[0]) for name, _, old, new in told
                if name == b"a%d" % i]
        assert all(old == before for (_, before), (old, _) in zip(mine, mine[1:]))
        assert [old for old, _ in mine] == [b"%d" % (int(mine[0][0]) + n) for n in range(len(mine))]
    for file in follower.files:
        file.close()


def test_log_is_readable_while_the_api_fails_and_continues(sim, mount):
    api = sim(agents=42)
    fleet = mount(api, ttl=0.3, stale=0)
    fleet.read(LOG)
    api.step(3)
    log = look_again(fleet, 0.3)
    assert log
    with open(fleet / LOG, "rb") as file:
        api.fail(503)
        time.sleep(0.4)
        assert code_of(lambda: fleet.agents()) == "EREMOTEIO"
        for _ in range(3):
            assert fleet.read(LOG) == log
            assert os.fstat(file.fileno()).st_size == len(log)
        before = api.agents()
        api.step(5)
        api.ok()
        # The failure is held against everybody for a while.
        until(lambda: len(fleet.read(LOG)) > len(log))
        assert Counter(lines(fleet.read(LOG)[len(log):])) == Counter(changes(before, api.agents()))


@pytest.mark.alone
def test_reader_of_the_log_waits_two_seconds_for_a_slow_api(sim, mount):
    api = sim(agents=42)
    fleet = mount(api, ttl=0.3)
    fleet.read(LOG)
    api.hold()
    api.step(3)
    time.sleep(0.4)
    log, seconds = took(lambda: fleet.read(LOG))
    assert log == b"" and seconds < 4
    api.release()
    until(lambda: fleet.read(LOG))


def test_log_before_the_first_list_fails_with_the_reason(sim, mount):
    api = sim(agents=42)
    api.fail(503)
    fleet = mount(api, ttl=0.3, retries=0, delay_connect=True)
    assert code_of(lambda: fleet.read(LOG)) == "EREMOTEIO"
    api.ok()
    until(lambda: code_of(lambda: fleet.read(LOG)) is None)
    assert fleet.read(LOG) == fleet.read(f"{LOG}.1") == b""


def test_no_value_forges_a_line(sim, mount):
    ttl = 0.3
    hostile = ["a\n2026-01-01T00:00:00.000Z\tgpu\tstatus\tidle\tunhealthy\n", "a\tb", "\x1b[2J\r\x01",
               "\u202e\u0085\u2066", "a\udcffb", "x,y", "-", "", "\\x0a"]
    api = sim(agents=3)
    fleet = mount(api, ttl=ttl)
    raw = functools.partial(json.dumps, ensure_ascii=False)
    api.put_agents(raw({"agent_id": f"{i}\t\n{text}", "agent_status": "idle",
                        "agent_labels": ["one"]}) for i, text in enumerate(hostile))
    time.sleep(ttl)
    log = fleet.read(LOG)
    assert log == b""
    before = api.agents()
    after = [{**agent, "agent_status": text, "agent_labels": [text], "running_tasks": [text or "t", text + "2"],
              "sync_detail": text * 3, "system_stats": {"gpu_devices": [{"device_name": text}]}}
             for agent, text in zip(before, hostile)]
    api.put_agents(map(raw, after))
    log = look_again(fleet, ttl)
    assert Counter(lines(log)) == Counter(changes(before, api.agents()))


@pytest.mark.long
@pytest.mark.once  # a matter of when the list is read, as in tests/unit/test_events.c
def test_programs_that_read_the_whole_log_end(sim, mount, folder):
    """A fleet that changes faster than its list can be read."""
    api = sim(agents=450, churn=10)
    fleet = mount(api, ttl=0.1)
    fleet.read(LOG)
    api.delay(150)
    time.sleep(0.2)  # the list has expired
    for command in (["cat", fleet / LOG], ["grep", "-r", "gpu", fleet / "fleet"],
                    ["cp", fleet / LOG, folder / "copy"], ["tail", "-n", "3", fleet / LOG],
                    ["dd", f"if={fleet / LOG}", "bs=4k", "status=none"]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=30)
    # It says so (1) when a file grew meanwhile, as it does of any log.
    done = subprocess.run(["tar", "-cf", folder / "tar", "-C", fleet / "fleet", "."],
                          stderr=subprocess.DEVNULL, timeout=30, check=False)
    assert done.returncode in (0, 1)
    assert lines(fleet.read(LOG))


def test_a_script_can_watch_the_fleet(sim, mount):
    """The example of the manual."""
    api = sim(agents=42)
    fleet = mount(api, ttl=0.5)
    victim = api.agents()[7]
    api.put_agent(7, {**victim, "agent_status": "idle"})
    script = ("tail -n 0 -F events.log | while IFS=$'\\t' read -r time agent field old new; do "
              """[ "$field $new" = 'status unhealthy' ] && echo "$time $agent was $old"; done""")
    watching = subprocess.Popen(["bash", "-c", script], cwd=fleet / "fleet", text=True,
                                stdout=subprocess.PIPE, start_new_session=True)
    try:
        before = fleet.values(".fleetfs/stats")["sweeps"]
        until(lambda: fleet.values(".fleetfs/stats")["sweeps"] != before, every=0.2)
        api.put_agent(7, {**victim, "agent_status": "unhealthy"})
        assert watching.stdout.readline().split(" ", 1)[1] == f"{victim['agent_id']} was idle\n"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(watching.pid, signal.SIGTERM)
        watching.communicate(timeout=20)
