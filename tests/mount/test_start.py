# SPDX-License-Identifier: MIT
"""A start that cannot work prints one line with the reason and the remedy, and mounts nothing."""

import base64
import json
import os
import socket
import subprocess
import time

import pytest

from harness import TOKEN, environment, mounts, until


def token_file(folder, text, mode=0o600):
    file = folder / "token"
    file.touch(mode=0o600)
    file.write_text(text)
    file.chmod(mode)
    return file


def jwt(**claims):
    def part(content):
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
    return f"{part({'alg': 'HS256'})}.{part(claims)}.c2lnbmF0dXJl"


@pytest.mark.parametrize("foreground", [["-f"], []])
def test_token_that_the_api_rejects_is_a_failed_start(sim, refused, path, foreground):
    line = refused(*foreground, sim().url, path, token="sk-wrong")
    assert "401" in line and "token" in line and "sk-wrong" not in line


@pytest.mark.parametrize("foreground", [["-f"], []])
def test_unreachable_api_is_a_failed_start(refused, path, foreground):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/api/v1"
        line = refused(*foreground, "--retries=0", url, path)
        assert url in line and "delay_connect" in line


@pytest.mark.alone
@pytest.mark.unwrapped
def test_silent_api_is_a_failed_start(sim, refused, path):
    api = sim()
    api.hold()
    began = time.monotonic()
    assert "delay_connect" in refused("--timeout=1", "--retries=0", api.url, path)
    assert 0.9 < time.monotonic() - began < 4


@pytest.mark.parametrize("status,body", [(500, "broken"), (404, "not here"), (200, "<html>login")])
def test_response_that_is_no_list_is_a_failed_start(sim, refused, path, status, body):
    api = sim()
    if status == 200:
        api.body(body)
    else:
        api.fail(status, body)
    line = refused("--retries=0", "--timeout=5", api.url, path)
    assert api.url in line
    assert status == 200 or str(status) in line


def test_a_message_of_the_api_cannot_forge_a_line(sim, refused, path):
    api = sim()
    api.fail(403, json.dumps({"message": "no\nfleetfs: \x1b[31mhacked\x07"}))
    line = refused("--retries=0", api.url, path)
    assert "\x1b" not in line and "\x07" not in line and "403" in line


@pytest.mark.parametrize("option", ["token_file", "cacert", "log_file"])
def test_token_given_as_another_value_is_not_shown(sim, refused, path, folder, option):
    key = "sk-a8b7c6d5e4f3"
    line = refused(f"--{option}={folder}/none/{key}", sim().url, path)
    assert key not in line and "sk-***" in line


def test_start_without_a_token_is_refused(sim, refused, path):
    line = refused(sim().url, path, token=None)
    assert "token_file" in line and "FLEETFS_TOKEN" in line


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o700 | 0o011])
def test_token_file_that_others_may_read_is_rejected(sim, refused, path, folder, mode):
    file = token_file(folder, TOKEN, mode)
    line = refused("--token_file", file, sim().url, path, token=None)
    assert str(file) in line and "chmod" in line


@pytest.mark.parametrize("text", ["", "\n", "sk-a b", "sk-a\nsk-b\n", "sk-ä", "sk-a\r\nX: y",
                                  pytest.param("x" * (1 << 20), id="a mebibyte")])
def test_token_file_without_a_token_is_rejected(sim, refused, path, folder, text):
    file = token_file(folder, text)
    line = refused("--token_file", file, sim().url, path, token=None)
    assert str(file) in line


def test_token_file_that_is_no_regular_file_is_rejected(sim, refused, path, folder):
    url = sim().url
    assert str(folder) in refused("--token_file", folder, url, path, token=None)
    assert "No such file" in refused("--token_file", folder / "none", url, path, token=None)
    os.mkfifo(folder / "pipe", 0o600)
    assert "pipe" in refused("--token_file", folder / "pipe", url, path, token=None)


def test_symlink_to_a_token_file_is_checked_by_its_target(sim, mount, refused, path, folder):
    file = token_file(folder, TOKEN + "\n")
    (folder / "link").symlink_to(file)
    api = sim()
    mount(api, token=None, token_file=folder / "link").unmount()
    file.chmod(0o644)
    refused("--token_file", folder / "link", api.url, path, token=None)


def test_key_of_an_agent_is_rejected(sim, refused, path):
    line = refused(sim().url, path, token="ak-123")
    assert "ak-" in line and "ak-123" not in line


def test_a_jwt_needs_its_team(sim, refused, mount, path):
    token = jwt(exp=4102444800)
    api = sim(jwt=token, team="team_01HX")
    line = refused(api.url, path, token=token)
    assert "team" in line and token not in line
    refused("--team=team_other", api.url, path, token=token)
    fleet = mount(api, token=token, team="team_01HX", ttl=600)
    assert len(fleet.agents()) == 42
    assert fleet.health()["token_expiry"].startswith("2100-01-01T00:00:00")
    mount(api, token=token, variables={"CYBERUN_TEAM_ID": "team_01HX"}).unmount()


@pytest.mark.unwrapped
def test_the_log_warns_of_a_token_that_ends_a_day_and_an_hour_before(sim, mount, folder):
    token = jwt(exp=int(time.time()) + 86400 + 15)
    api = sim(jwt=token, team="t")
    fleet = mount(api, token=token, team="t", ttl=0.1)
    file = token_file(folder, token)
    other = mount(api, token=None, token_file=file, team="t", ttl=0.1)
    for each in (fleet, other):
        assert "expires" not in each.output()
        until(lambda: each.agents() and "expires" in each.output(), 40)
    lines = [line for line in fleet.output().splitlines() if "expires" in line]
    assert len(lines) == 1 and ("in 23 hours" in lines[0] or "in 24 hours" in lines[0]), lines
    assert "$FLEETFS_TOKEN" in lines[0] and "mount again" in lines[0] and token not in lines[0]
    # Another token is another matter, and one that is read too late is told of at once.
    token = jwt(exp=int(time.time()) + 3600)
    file.write_text(token)
    until(lambda: other.agents() and other.output().count("expires") == 2)
    lines = [line for line in other.output().splitlines() if "expires" in line]
    assert len(lines) == 2 and " minutes" in lines[1] and str(file) in lines[1], lines
    assert len([line for line in fleet.output().splitlines() if "expires" in line]) == 1


def test_expiry_beyond_all_clocks_is_ignored(sim, mount):
    token = jwt(exp=2**53 - 1)
    fleet = mount(sim(jwt=token, team="t"), token=token, team="t")
    assert fleet.health()["token_expiry"] == "-"


def test_service_manager_is_notified(sim, mount, fleetfs, folder, path):
    for name in (str(folder / "manager"), f"\0{folder}/abstract"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(name)
            manager.settimeout(20)
            variables = {"NOTIFY_SOCKET": name.replace("\0", "@")}
            api = sim()
            fleet = mount(api, variables=variables)
            assert manager.recv(100) == f"READY=1\nMAINPID={fleet.pid}".encode()
            fleet.unmount()
            assert manager.recv(100) == f"STOPPING=1\nMAINPID={fleet.pid}".encode()
            # One that fails tells nothing, and ends.
            assert fleetfs(api.url, path, token="sk-wrong", variables=variables).returncode == 1
            manager.setblocking(False)
            with pytest.raises(BlockingIOError):
                manager.recv(100)


def test_absent_service_manager_stops_nothing(sim, mount, folder):
    fleet = mount(sim(), variables={"NOTIFY_SOCKET": str(folder / "none")})
    assert len(fleet.agents()) == 42
    assert "service manager" in fleet.output()


def test_token_sources_have_their_order(sim, mount, refused, path, folder):
    """Each source is used only if the sources before it are absent."""
    api = sim()
    home = folder / "home"
    config = home / ".config/fleetfs"
    config.mkdir(parents=True)
    file = token_file(config, TOKEN)
    variables = {"HOME": str(home)}
    mount(api, token=None, variables=variables).unmount()
    variables["CYBERUN_KEY"] = "sk-wrong"
    refused("--retries=0", api.url, path, token=None, variables=variables)
    mount(api, token=TOKEN, variables=variables).unmount()
    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / "fleetfs.token").write_text("sk-wrong too")
    (credentials / "fleetfs.token").chmod(0o440)
    variables["CREDENTIALS_DIRECTORY"] = str(credentials)
    refused("--retries=0", api.url, path, variables=variables)
    (credentials / "fleetfs.token").write_text(TOKEN)
    mount(api, token="sk-wrong", variables=variables).unmount()
    (credentials / "fleetfs.token").write_text("sk-wrong")
    mount(api, token="sk-wrong", token_file=file, variables=variables).unmount()


@pytest.mark.parametrize("arguments", [
    ["--ttl=0"], ["--ttl=abc"], ["--ttl=-1"], ["--ttl", "1e3"], ["--per-page=101"], ["--per_page=0"],
    ["--retries=-1"], ["--nonsense"], ["-o", "nonsense"], ["-x"], ["--timeout="], ["--team=a b"],
    ["-o", "ttl=0.01"], ["--token=sk-sim"], ["--max_connections=0"], ["--allow_http=perhaps"]])
def test_bad_option_is_rejected_with_the_reason(sim, refused, path, arguments):
    line = refused(*arguments, sim().url, path, status=2)
    assert "sk-sim" not in line


def test_bad_operand_is_rejected_with_the_reason(sim, refused, path):
    url = sim().url
    refused(status=2)
    refused(url, path, "more", status=2)
    refused("ftp://example.org/", path, status=2)
    refused("http://user:secret@127.0.0.1/", path, status=2)
    refused(url + "/agents", path, status=2)


def test_plain_http_to_another_host_is_rejected(refused, path):
    line = refused("http://192.0.2.1/api/v1", path)
    assert "allow_http" in line


def test_missing_mount_point_is_rejected(sim, refused, folder):
    url = sim().url
    assert "missing" in refused(url, folder / "missing")
    assert refused(folder, url).endswith("No such file or directory (SOURCE comes before it)")
    (folder / "file").touch()
    assert "directory" in refused(url, folder / "file")


def test_a_long_path_hides_no_reason(sim, refused, folder):
    url, long = sim().url, folder / ("a" * 250) / ("b" * 250) / ("c" * 250)
    long.mkdir(parents=True)
    assert "missing: No such file" in refused(url, long / "missing")
    (long / "file").touch()
    assert refused(url, long / "file").endswith("file is not a directory")
    assert "choose another mount point" in refused("--log_file", long / "log", url, long)
    assert refused("--cacert", long / "none", "https://127.0.0.1/", folder).endswith("leave it out")


def test_a_long_url_hides_no_reason(refused, folder):
    url = f"http://127.0.0.1:1/{'a' * 990}"
    line = refused("--retries=0", url, folder)
    assert f"cannot list the agents at {url}: " in line and line.endswith("or mount with delay_connect")


def test_a_path_cannot_forge_a_line(sim, refused, folder):
    odd = folder / "odd\nfleetfs: \x1b[2J"
    line = refused(sim().url, odd)
    assert "odd\\x0afleetfs: \\x1b[2J" in line
    line = refused("--log_file", odd / "log", sim().url, folder)
    assert "odd\\x0afleetfs: \\x1b[2J" in line


def test_busy_mount_point_is_rejected(sim, mount, fleetfs):
    api = sim()
    fleet = mount(api)
    before = mounts(fleet.path)
    done = fleetfs(api.url, fleet.path)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "busy" in done.stderr and str(fleet.path) in done.stderr
    assert mounts(fleet.path) == before


@pytest.fixture
def start_in(programs, folder):
    """start_in(directory, api, operand): prepares a start in this directory, which a mount may hide before
    the start; returns a function that starts."""
    prepared = []

    def prepare(directory, api, operand):
        process = subprocess.Popen(["sh", "-c", 'read -r line; exec "$0" "$@" </dev/null',
                                    programs["fleetfs"], api.url, operand],
                                   cwd=directory, env=environment(folder), stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        prepared.append(process)

        def start():
            _, errors = process.communicate("\n", timeout=60)
            return process.returncode, errors
        return start
    yield prepare
    for process in prepared:
        process.kill()
        process.wait()


@pytest.mark.parametrize("operand", [".", "./", "../mnt", "/proc/self/cwd"])
def test_a_busy_mount_point_is_refused_from_the_directory_below_it(sim, mount, path, start_in, operand):
    api = sim()
    start = start_in(path, api, operand)
    fleet = mount(api, path=path)
    status, errors = start()
    assert status == 1 and len(errors.splitlines()) == 1
    assert "busy" in errors and str(path) in errors
    fleet.unmount()
    assert not mounts(path)


@pytest.mark.parametrize("where", ["below", "inside"])
def test_a_dead_mount_is_detached_from_the_directory_below_or_inside_it(sim, mount, path, start_in, where):
    api = sim(agents=3)
    below = start_in(path, api, ".")
    fleet = mount(api, path=path)
    inside = start_in(path, api, ".")
    fleet.kill()
    status, errors = below() if where == "below" else inside()
    assert status == 0, errors
    assert len(os.listdir(path / "agents")) == 3
    subprocess.run(["fusermount3", "-u", path], check=True)
    assert not mounts(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_relative_mount_point_below_another_file_system_is_refused(sim, path, start_in):
    start = start_in(path, sim(), ".")
    subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)
    try:
        status, errors = start()
        assert status == 1 and len(errors.splitlines()) == 1
        assert f"is not the directory at {path}" in errors
        assert mounts(path) == {str(path): "tmpfs"}
    finally:
        subprocess.run(["umount", path], check=True)


def test_a_working_directory_that_was_removed_is_refused(sim, path, start_in):
    start = start_in(path, sim(), ".")
    path.rmdir()
    status, errors = start()
    assert status == 1 and "No such file" in errors


def test_log_that_cannot_be_written_is_a_failed_start(sim, refused, path, folder):
    line = refused("--log_file", folder / "none/log", sim().url, path)
    assert "log" in line


def test_help_and_version_need_nothing(fleetfs):
    done = fleetfs("--help", token=None)
    assert done.returncode == 0 and not done.stderr
    for name in ("ttl", "stale", "timeout", "connect_timeout", "retries", "per_page", "team",
                 "max_connections", "token_file", "cacert", "allow_http", "delay_connect",
                 "log_file"):
        assert f"--{name}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert fleetfs("-h", token=None).stdout == done.stdout
    done = fleetfs("-V", token=None)
    assert done.returncode == 0 and done.stdout.startswith("fleetfs 0.")
    assert all(word in done.stdout for word in ("libfuse", "libcurl", "cJSON"))


def test_options_may_be_spelt_in_three_ways(sim, mount, fleetfs, path, folder):
    fleet = mount(sim(), **{"connect-timeout": 2.5})
    assert fleet.values(".fleetfs/config")["connect_timeout"] == "2.5"
    fleet.unmount()
    fleet = mount(sim(), prefix=["bash", "-c", 'p=$1; shift; exec "$p" --per-page 7 -o '
                                 'max-connections=3,retries=1,ro,nofail,x-y=z "$@"', "-"])
    config = fleet.values(".fleetfs/config")
    assert (config["per_page"], config["max_connections"], config["retries"]) == ("7", "3", "1")


@pytest.mark.parametrize("option, full", [("--help", True), ("--version", True), ("--check", True),
                                          ("--check", False)])
def test_an_output_that_cannot_be_written_is_an_error_with_its_reason(programs, sim, folder, option, full):
    url = [sim(agents=3).url] if option == "--check" else []
    if full:
        output = os.open("/dev/full", os.O_WRONLY)
    else:
        reading, output = os.pipe()
        os.close(reading)
    try:
        done = subprocess.run([programs["fleetfs"], option, *url], stdin=subprocess.DEVNULL,
                              stdout=output, stderr=subprocess.PIPE, text=True, timeout=30,
                              env=environment(folder))
    finally:
        os.close(output)
    reason = "No space left on device" if full else "Broken pipe"
    assert done.returncode == 1
    assert done.stderr == f"fleetfs: cannot write to stdout: {reason}\n"
