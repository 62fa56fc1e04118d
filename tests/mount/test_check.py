# SPDX-License-Identifier: MIT
"""`--check`: each step of the connection to the fleet; the step that fails has the reason and the
remedy."""

import os
import pty
import re
import socket
import subprocess
import time

import pytest

from harness import environment, mounts
from test_start import jwt
from tls import context


@pytest.fixture
def check(fleetfs, folder):
    """check(url, …): runs it; returns {step: text} and the line on stderr."""
    before = mounts(folder)

    def run(*arguments, fails=False, **options):
        done = fleetfs("--check", *arguments, **options)
        lines = done.stderr.splitlines()
        assert done.returncode == int(fails) and len(lines) == int(fails), done
        assert "delay_connect" not in done.stderr
        assert not re.search(r"[^\x20-\x7e\n]", done.stdout), "only lines where there is no terminal"
        assert mounts(folder) == before
        return dict(line.split(": ", 1) for line in done.stdout.splitlines()), "".join(lines)
    return run


def failed(steps, name):
    """Whether this step is the last one and the only one that failed."""
    return (list(steps)[-1] == name and re.fullmatch(r"failed after \d+\.\d{3} s", steps[name])
            and not any(told.startswith("failed") for step, told in steps.items() if step != name))


def test_each_step_is_printed_with_its_time(sim, check):
    api = sim(agents=1234)
    api.delay(50)
    steps, _ = check(api.url)
    assert list(steps) == ["token", "resolve", "connect", "authenticate", "list"]
    assert steps["token"] == "integration key (sk-) from $FLEETFS_TOKEN"
    assert re.fullmatch(r"\d+\.\d{3} s", steps["resolve"])
    assert re.fullmatch(r"\d+\.\d{3} s, 127\.0\.0\.1 port \d+", steps["connect"])
    assert re.fullmatch(r"0\.(0[5-9]|[1-9])\d+ s, HTTP/1\.1", steps["authenticate"])
    told = re.fullmatch(r"(\d+\.\d{3}) s, 1234 agents on 13 pages, as many as the API counts",
                        steps["list"])
    assert told and float(told[1]) >= 0.1  # page 1, then the others
    assert api.requests() == 13


def test_list_that_differs_from_its_count_is_reported(sim, check):
    api = sim(agents=1)
    api.total("7")
    assert "1 agent on 2 pages, not as many as the API counts" in check(api.url)[0]["list"]


def test_tls_version_and_expiry_of_the_certificate_are_printed(scripted, check, certificates):
    server = scripted(context=context(certificates, "right"))
    steps, _ = check("--cacert", certificates / "ca.pem", server.url)
    assert list(steps) == ["token", "ca", "resolve", "connect", "tls", "authenticate", "list"]
    assert re.fullmatch(r"\d+\.\d{3} s, TLSv1\.3, certificate until 2099-01-01T00:00:00\.000Z, "
                        r"in \d+ days", steps["tls"])


@pytest.mark.parametrize("name,problem,remedy", [
    ("self-signed", "self-signed certificate", "cacert"), ("expired", "has expired", "renew"),
    ("not yet valid", "not yet valid", "clock"), ("elsewhere", "127.0.0.1", "another host")])
def test_problem_of_a_certificate_is_named(scripted, check, certificates, name, problem, remedy):
    server = scripted(context=context(certificates, name))
    steps, line = check("--cacert", certificates / "ca.pem", "--retries=0", server.url, fails=True)
    assert failed(steps, "tls") and "port" in steps["connect"]
    assert problem in line and remedy in line


def test_tls_failure_names_the_ca_or_the_scheme(scripted, check, certificates, folder):
    server = scripted(context=context(certificates, "right"))
    steps, line = check("--retries=0", server.url, fails=True)
    assert failed(steps, "tls") and "issuer" in line and "cacert" in line
    (folder / "empty.pem").touch()
    steps, line = check("--retries=0", "--cacert", folder / "empty.pem", server.url, fails=True)
    assert failed(steps, "tls") and "PEM" in line
    plain = scripted()
    steps, line = check("--retries=0", "--connect_timeout=0.5",
                        f"https://127.0.0.1:{plain.port}/api/v1", fails=True)
    assert failed(steps, "tls") and "https" in line
    plain.greet = lambda wire: wire.close()
    steps, line = check("--retries=0", plain.url, fails=True)
    assert failed(steps, "authenticate") and "https" in line


def test_unresolvable_name_fails_the_resolve_step(check):
    steps, line = check("--retries=0", "https://nowhere.invalid/api/v1", fails=True)
    assert failed(steps, "resolve") and "nowhere.invalid" in line and "name servers" in line


def test_refused_connection_fails_the_connect_step(check):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{unused.getsockname()[1]}/api/v1"
        steps, line = check("--retries=1", url, fails=True)
    assert failed(steps, "connect") and "refused" in line and "port" in line


def test_refusing_proxy_is_named(scripted, check):
    proxy = scripted()
    proxy.answer = lambda wire: wire.reply(b"no", status="403 Forbidden")
    steps, line = check("--retries=0", "https://nowhere.invalid/api/v1", fails=True,
                        variables={"https_proxy": proxy.url, "no_proxy": ""})
    assert failed(steps, "tls") and "403" in line and "proxy" in line


def test_a_proxy_that_is_not_used_is_not_named(check):
    """NO_PROXY names hosts, and a proxy from which it exempts the host is not used either. The host
    is not loopback, for which the variables have no effect."""
    none = dict.fromkeys(["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                          "no_proxy", "NO_PROXY"])
    for variables in ({"no_proxy": "127.0.0.1"}, {"NO_PROXY": "localhost,.corp.example"},
                      {"no_proxy": "*", "https_proxy": "http://127.0.0.1:1"},
                      {"no_proxy": "nowhere.invalid", "https_proxy": "http://127.0.0.1:1"}):
        steps, line = check("--retries=0", "https://nowhere.invalid/api/v1", fails=True,
                            variables={**none, **variables})
        assert "proxy" not in steps and "proxy" not in line and failed(steps, "resolve")


@pytest.mark.parametrize("status,remedy", [(401, "an sk- key needs a URL that ends in /r"), (403, "an sk- key reads the API there")])
def test_rejected_token_fails_the_authenticate_step(sim, check, status, remedy):
    api = sim()
    api.fail(status)
    steps, line = check("--retries=0", api.url, fails=True)
    assert failed(steps, "authenticate") and str(status) in line and line.endswith(remedy)


def test_missing_team_is_named(sim, check):
    api = sim()
    api.fail(400, '{"message": "X-Team-ID is missing"}')
    steps, line = check("--retries=0", api.url, token="opaque", fails=True)
    assert failed(steps, "authenticate") and "CYBERUN_TEAM_ID" in line
    for options in ({"token": "opaque", "variables": {"CYBERUN_TEAM_ID": "t"}}, {}):
        steps, line = check("--retries=0", api.url, fails=True, **options)
        assert failed(steps, "authenticate") and "CYBERUN_TEAM_ID" not in line


def test_expiry_of_a_jwt_is_printed(sim, check):
    token = jwt(exp=int(time.time()) + 7 * 86400 + 60)
    api = sim(jwt=token, team="t")
    steps, _ = check("--team=t", api.url, token=token)
    assert re.fullmatch(r"JWT from \$FLEETFS_TOKEN, expires [-\dT:]{19}\.000Z, in 7 days",
                        steps["token"])
    steps, line = check("--team=t", api.url, token=jwt(exp=int(time.time()) - 3 * 3600), fails=True)
    assert re.fullmatch(r"JWT from \$FLEETFS_TOKEN, expired [-\dT:]{19}\.000Z, 3 hours ago",
                        steps["token"])
    assert failed(steps, "authenticate") and "get a new one" in line


@pytest.mark.parametrize("status,body,remedy", [
    (404, "not here", "without /agents"), (302, "", "points to"), (500, "broken", "later"),
    (200, "<html>login", "without /agents"), (200, "{}", "without /agents"), (429, "", "later")])
def test_wrong_path_and_failing_api_have_different_remedies(sim, check, status, body, remedy):
    api = sim()
    if status == 200:
        api.body(body)
    else:
        api.fail(status, body, location="http://127.0.0.1/elsewhere")
    steps, line = check("--retries=0", "--timeout=3", api.url, fails=True)
    assert failed(steps, "list") and "authenticate" not in steps
    assert remedy in line and (status == 200 or str(status) in line)
    assert body != "{}" or "agent_list" in line


def test_failure_of_a_later_page_is_reported(sim, check):
    api = sim(agents=300)
    api.fail(500, page=2)
    steps, line = check("--retries=0", api.url, fails=True)
    assert failed(steps, "list") and "HTTP/1.1" in steps["authenticate"] and "500" in line


@pytest.mark.alone
def test_silent_api_ends_the_check_with_a_timeout(sim, check):
    api = sim()
    api.hold()
    steps, line = check("--timeout=1", "--retries=0", api.url, fails=True)
    assert failed(steps, "authenticate") and "timeout" in line
    assert 0.9 < float(steps["authenticate"].split()[2]) < 3


def test_message_of_the_api_cannot_control_the_terminal(sim, check):
    api = sim()
    api.fail(403, '{"message": "no\\nlist: 1 \\u001b[31m"}')
    steps, line = check("--retries=0", api.url, fails=True)
    assert failed(steps, "authenticate") and "\x1b" not in line


def test_progress_bar_is_shown_on_a_terminal_only(programs, sim, folder, stopping):
    api = sim(agents=1000)
    ours, theirs = pty.openpty()
    process = subprocess.Popen([programs["fleetfs"], "--check", api.url], stdin=subprocess.DEVNULL,
                               stdout=theirs, stderr=theirs, env=environment(folder))
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    assert process.wait(20) == 0
    bars = re.findall(rb"\rlist: \[(#*) *\] (\d+) of 1000 agents", shown)
    assert len(bars) >= 2 and bars[-1] == (b"#" * 30, b"1000")
    assert [int(count) for _, count in bars] == sorted(int(count) for _, count in bars)
    # It is gone in the end.
    assert re.search(rb"\r\x1b\[Klist: \d+\.\d{3} s, 1000 agents on 10 pages[^\r]*\r\n$", shown)


def test_check_that_cannot_print_fails(programs, sim, folder, stopping):
    api = sim()
    with open("/dev/full", "wb") as full:
        done = subprocess.run([programs["fleetfs"], "--check", api.url], stdout=full,
                              stderr=subprocess.PIPE, env=environment(folder), text=True, timeout=30)
    assert done.returncode == 1 and "stdout" in done.stderr


def test_check_needs_no_fuse(programs, sim, folder, stopping):
    """It works where nothing can be mounted, for example in a container."""
    if os.getuid() != 0:
        pytest.skip("needs root to hide /dev/fuse")
    api = sim(agents=3)
    done = subprocess.run(["unshare", "--mount", "sh", "-c",
                           'mount --bind /dev/null /dev/fuse && exec "$@"', "-",
                           programs["fleetfs"], "--check", api.url],
                          env=environment(folder), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "3 agents" in done.stdout, done
