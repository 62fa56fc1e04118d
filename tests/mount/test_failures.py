# SPDX-License-Identifier: MIT
"""When the API fails: stale data while there is some, otherwise the right errno; a rotated token is read
again once; few requests; recovery without help."""

import os
import signal
import socket
import time

import pytest

from harness import TOKEN, code_of, until
from scripted import peak_mib


def cold(sim, mount, **options):
    """A mount that has fetched nothing yet."""
    api = sim(agents=150)
    return api, mount(api, **{"ttl": 600, "retries": 0, "delay_connect": True, **options})


def fails_everywhere(api, fleet, code):
    """The listing, an agent and an unknown name all fail with this errno; .fleetfs does not."""
    name = api.agents()[0]["agent_id"]
    assert code_of(fleet.agents) == code
    assert code_of(lambda: fleet.read(f"agents/{name}/status")) == code
    assert code_of(lambda: os.stat(fleet / "agents/nobody")) == code
    assert fleet.health()["state"] == "failing"
    return fleet.values(".fleetfs/last_error")


@pytest.mark.parametrize("status,code", [
    (401, "EACCES"), (403, "EACCES"), (400, "EINVAL"), (404, "EINVAL"), (418, "EINVAL"),
    (429, "EBUSY"), (500, "EREMOTEIO"), (502, "EREMOTEIO"), (503, "EREMOTEIO"),
    (504, "EREMOTEIO")])
def test_a_status_of_the_api_becomes_its_errno(sim, mount, status, code):
    api, fleet = cold(sim, mount)
    api.fail(status, '{"message":"the API\'s own words"}')
    error = fails_everywhere(api, fleet, code)
    assert error["http_status"] == str(status)
    assert "the API's own words" in error["message"]
    assert error["url"].startswith(api.url + "/agents")


@pytest.mark.parametrize("body", ["<html>Log in</html>", "", "{}", "[]", "null", '{"agent_list":{}}',
                                  '{"agent_list":null}', '{"agent_list":[]} trailing',
                                  '{"agent_list":[{"agent_id":"a"}'])
def test_body_that_is_no_list_is_eremoteio(sim, mount, body):
    api, fleet = cold(sim, mount)
    api.body(body)
    assert fails_everywhere(api, fleet, "EREMOTEIO")["http_status"] == "200"


@pytest.mark.parametrize("cut", [1, 1000, 20000])
def test_a_body_cut_short_is_eremoteio(sim, mount, cut):
    api, fleet = cold(sim, mount)
    # Sent with an answer of its own, so that there is a whole one to be cut.
    api.fail(200, '{"agent_list":[' + '{"agent_id":"a"},' * 5000, cut=cut)
    fails_everywhere(api, fleet, "EREMOTEIO")


def test_a_redirect_is_not_followed(sim, mount):
    other = sim(agents=3)
    other.reset()
    for location in (f"{other.url}/agents", "file:///etc/passwd", "//127.0.0.1/"):
        api, fleet = cold(sim, mount)
        api.fail(302, location=location)
        assert fails_everywhere(api, fleet, "EREMOTEIO")["http_status"] == "302"
    assert other.requests() == 0


def test_a_connection_that_is_lost_or_refused_is_ehostunreach(sim, mount):
    api, fleet = cold(sim, mount)
    api.fail(0)
    fails_everywhere(api, fleet, "EHOSTUNREACH")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/api/v1"
        fleet = mount(url, retries=0, delay_connect=True)
        assert code_of(fleet.agents) == "EHOSTUNREACH"
    fleet = mount("http://nowhere.invalid/api/v1", retries=0, delay_connect=True, allow_http=True)
    assert code_of(fleet.agents) == "EHOSTUNREACH"


@pytest.mark.alone
def test_an_api_that_never_answers_is_etimedout_in_time(sim, mount):
    api, fleet = cold(sim, mount, timeout=1)
    api.hold()
    began = time.monotonic()
    assert code_of(fleet.agents) == "ETIMEDOUT"
    assert 0.8 < time.monotonic() - began < 2
    began = time.monotonic()
    assert code_of(lambda: os.stat(fleet / "agents/nobody")) == "ETIMEDOUT"
    assert time.monotonic() - began < 2


@pytest.mark.alone
def test_a_host_that_drops_packets_is_given_up_in_time(mount):
    """A listener with a full queue answers no further SYN."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fill = [socket.socket() for _ in range(4)]
        for client in fill:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        fleet = mount(f"http://127.0.0.1:{port}/api/v1", retries=0, timeout=3, connect_timeout=1,
                      delay_connect=True)
        began = time.monotonic()
        assert code_of(fleet.agents) in ("EHOSTUNREACH", "ETIMEDOUT")
        assert time.monotonic() - began < 3.5
        for client in fill:
            client.close()


def test_mount_made_before_the_api_recovers_without_help(sim, mount):
    api, fleet = cold(sim, mount)
    api.fail(503)
    assert code_of(fleet.agents) == "EREMOTEIO"
    api.ok()
    assert len(until(lambda: code_of(fleet.agents) is None and fleet.agents())) == 150
    assert fleet.health()["state"] == "ok"


def test_short_failure_is_retried_and_not_noticed(sim, mount):
    api, fleet = cold(sim, mount, retries=2)
    for status in (500, 0, 503):
        api.fail(status, times=1, page=1)
        assert len(fleet.agents()) == 150
        fleet.unmount()
        fleet = mount(api, ttl=600, retries=2, delay_connect=True)


# Stale data

def warm(sim, mount, **options):
    api = sim(agents=1)
    api.put_agents([{"agent_id": f"n{i}", "agent_status": "old"} for i in range(150)])
    fleet = mount(api, **{"ttl": 0.5, "retries": 0, **options})
    assert len(fleet.agents()) == 150
    assert fleet.text("agents/n120/status") == "old\n"
    return api, fleet


@pytest.mark.parametrize("fault", ["500", "close", "html", "401"])
def test_stale_data_is_served_while_the_api_fails_and_health_says_so(sim, mount, fault):
    api, fleet = warm(sim, mount)
    if fault == "html":
        api.body("<html>")
    else:
        api.fail(0 if fault == "close" else int(fault))
    time.sleep(0.7)
    for _ in range(3):
        assert fleet.text("agents/n120/status") == fleet.text("agents/n3/status") == "old\n"
        assert len(fleet.agents()) == 150
    health = fleet.health()
    assert health["state"] == "stale"
    assert float(health["list_age"]) >= 0.5
    assert health["reason"] and fleet.values(".fleetfs/last_error")["message"]
    time.sleep(0.6)
    assert float(fleet.health()["list_age"]) >= 1.1
    api.ok()
    api.put_agents([{"agent_id": f"n{i}", "agent_status": "new"} for i in range(150)])
    until(lambda: fleet.text("agents/n120/status") == "new\n", seconds=40)
    until(lambda: fleet.agents() and fleet.health()["state"] == "ok")


def test_without_stale_the_failure_shows_after_the_ttl(sim, mount):
    api, fleet = warm(sim, mount, stale=0)
    api.fail(500)
    time.sleep(0.7)
    assert code_of(lambda: fleet.read("agents/n120/status")) == "EREMOTEIO"
    assert code_of(fleet.agents) == "EREMOTEIO"


def test_stale_data_is_served_until_stale_has_passed(sim, mount):
    api, fleet = warm(sim, mount, stale=1.5)
    api.fail(500)
    time.sleep(0.7)
    assert fleet.text("agents/n120/status") == "old\n"
    until(lambda: code_of(lambda: fleet.read("agents/n120/status")) == "EREMOTEIO", seconds=5)
    assert fleet.health()["state"] == "failing"


@pytest.mark.alone
def test_slow_api_delays_stale_data_by_two_seconds(sim, mount):
    api, fleet = warm(sim, mount)
    time.sleep(0.7)
    api.hold()
    began = time.monotonic()
    assert fleet.text("agents/n120/status") == "old\n"
    assert 1.5 < time.monotonic() - began < 3.5
    api.put_agents([{"agent_id": f"n{i}", "agent_status": "new"} for i in range(150)])
    api.release()  # the fetch went on, and brings the news
    until(lambda: fleet.text("agents/n120/status") == "new\n", seconds=10)


def test_each_cause_of_an_outage_is_logged_once(sim, mount):
    api = sim(agents=3)
    fleet = mount(api, ttl=0.1, retries=0)
    assert len(fleet.agents()) == 3

    def is_logged(text):
        fleet.agents()
        return text in fleet.output()
    for status in (503, 401, 503):
        api.ok()
        api.fail(status)
        until(lambda: is_logged(f"the API fails: {status}") and
              f"http_status: {status}" in fleet.text(".fleetfs/last_error"))
    # After SIGHUP, perhaps with another token, each cause is new.
    fleet.signal(signal.SIGHUP)
    until(lambda: is_logged("the API fails") and fleet.output().count("fails: 503") == 2)
    api.ok()
    until(lambda: is_logged("the API responds again"))
    api.fail(503)
    until(lambda: is_logged("the API fails") and fleet.output().count("fails: 503") == 3)
    assert fleet.output().count("fails: 401") == 1
    assert "fleetfs --check names its source; an sk- key needs a URL that ends in /r" in fleet.output()


def test_failing_api_is_requested_with_backoff(sim, mount):
    api, fleet = warm(sim, mount)
    time.sleep(0.7)
    api.fail(503)
    api.reset()
    began = time.monotonic()
    while time.monotonic() - began < 6:
        for i in (1, 50, 120):
            assert fleet.text(f"agents/n{i}/status") == "old\n"
        fleet.agents()
        time.sleep(0.01)
    assert 1 <= api.requests() <= 8


def test_retry_after_is_a_minimum(sim, mount):
    api, fleet = cold(sim, mount, retries=2)
    api.fail(429, retry_after=3, times=1)
    assert code_of(fleet.agents) == "EBUSY"
    began = time.monotonic()
    assert float(fleet.values(".fleetfs/last_error")["retry_after"]) >= 1
    while api.requests() == 1:
        assert time.monotonic() - began < 15
        assert code_of(fleet.agents) in ("EBUSY", None)
        time.sleep(0.02)
    assert time.monotonic() - began > 2.8
    until(lambda: code_of(fleet.agents) is None)


# Tokens

def test_rotated_token_is_read_again_without_a_failure(sim, mount, folder):
    file = folder / "token"
    file.touch(mode=0o600)
    file.write_text(TOKEN + "\n")
    api = sim(agents=30)
    fleet = mount(api, ttl=0.2, token=None, token_file=file)
    for turn in range(3):
        api.token(f"sk-rotated-{turn}")
        # As a careful tool does it: another file in its place.
        new = folder / "token.new"
        new.touch(mode=0o600)
        new.write_text(f"sk-rotated-{turn}\n")
        new.rename(file)
        time.sleep(0.3)
        assert len(fleet.agents()) == 30
        assert fleet.health()["state"] == "ok"


def test_rejected_token_is_sent_a_few_times(sim, mount, folder):
    file = folder / "token"
    file.touch(mode=0o600)
    file.write_text(TOKEN)
    api = sim(agents=30)
    fleet = mount(api, ttl=0.2, stale=0, token=None, token_file=file, retries=2)
    api.token("sk-other")
    time.sleep(0.3)
    api.reset()
    assert code_of(fleet.agents) == "EACCES"
    assert api.requests() <= 2
    file.write_text("sk-other")
    until(lambda: code_of(fleet.agents) is None)


# Of fleetfs itself

@pytest.mark.once  # 1 GiB is as much in any other build
@pytest.mark.parametrize("saved", [False, True])
def test_page_beyond_the_memory_limit_is_rejected(sim, mount, folder, saved):
    """Each agent takes 11 KiB, mostly for GPUs without values."""
    gpus = ",".join(["{}"] * 256)
    agents = [f'{{"agent_id":"n{i}","system_stats":{{"gpu_devices":[{gpus}]}}}}'
              for i in range(100000)]
    if saved:
        source = folder / "list.json"
        source.write_text(f'{{"agent_list":[{",".join(agents)}]}}')
    else:
        source = sim(agents=1)
        source.put_agents(agents)
    fleet = mount(source, ttl=600, timeout=60)
    assert code_of(lambda: fleet.read("fleet/summary")) == "EREMOTEIO"
    assert code_of(fleet.agents) == "EREMOTEIO"
    assert code_of(lambda: os.stat(fleet / "agents/nobody")) == "EREMOTEIO"
    assert fleet.text("agents/n90000/id") == "n90000\n"
    health, error = fleet.health(), fleet.values(".fleetfs/last_error")
    assert 90000 < int(health["agents"]) < 100000 and health["state"] == "stale"
    assert health["reason"] == error["message"]
    assert (error["kind"], error["http_status"]) == ("oversized", "-" if saved else "200")
    if saved:
        assert error["url"] == str(source)
    else:
        page, number = error["url"].split("?current_page=")
        assert page == f"{source.url}/agents" and 900 < int(number.split("&")[0]) <= 1000
    assert "more agents than fleetfs keeps" in error["message"]
    assert ("token" in error["remedy"]) != saved
    assert f"{error['message']}: {error['remedy']}\n" in fleet.output()
    assert peak_mib(fleet) < 1300
