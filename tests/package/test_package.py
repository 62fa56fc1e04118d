# SPDX-License-Identifier: MIT
"""The package, as an administrator uses it: installed, mounted by fstab and by a unit of systemd,
removed. Runs as root in a machine that is thrown away (tests/package/run.sh), in this order."""

import os
import pwd
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from documents import commands_of

DEB = os.environ["FLEETFS_DEB"]
DEB_BEFORE = os.environ["FLEETFS_DEB_BEFORE"]
URL = os.environ["FLEETFS_URL"]
DOCUMENTED_URL = "https://core.example.com/api/v1/r"
MOUNTPOINT = Path("/run/fleetfs/prod")
UNIT = "fleetfs@prod"
DROP_INS = Path("/run/systemd/system/fleetfs@prod.service.d")
USER = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def run(*command, text=""):
    """text: what it reads from stdin."""
    return subprocess.run([str(word) for word in command], text=True, capture_output=True,
                          timeout=300, input=text)


def check(*command, text=""):
    done = run(*command, text=text)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {seconds} s: {journal()}"
        time.sleep(0.05)


def journal():
    return run("journalctl", "--no-pager", "-o", "cat", "-n", "40", "-u", UNIT).stdout


def state():
    return run("systemctl", "is-active", UNIT).stdout.strip()


def mounted(path=MOUNTPOINT):
    return run("findmnt", "-no", "FSTYPE", path).stdout.strip() == "fuse.fleetfs"


def write(path, text, mode=0o644):
    path = Path(path)
    path.touch()
    path.chmod(mode)
    path.write_text(text)


def become_user(name):
    """Makes a user who has a systemd of their own. Returns what runs a command as this user, and
    $XDG_RUNTIME_DIR."""
    check("useradd", "-m", name)
    check("loginctl", "enable-linger", name)
    runtime = f"/run/user/{pwd.getpwnam(name).pw_uid}"
    until(lambda: os.path.exists(f"{runtime}/systemd/private"))
    return ["runuser", "-u", name, "--", "env", f"HOME=/home/{name}", f"XDG_RUNTIME_DIR={runtime}"], runtime


@pytest.fixture
def commands(request):
    """The blocks of commands in the documents that a test runs."""
    return commands_of(request.function.__name__, ["README.md", "operations.md"])


def check_as_documented(script, become=(), text="y\n"):
    """Runs commands of a document, for the simulator instead of the API. Everybody here may do what needs
    sudo. text: what they read from stdin."""
    script = script.replace(DOCUMENTED_URL, URL)
    return check(*become, "bash", "-ec", f'sudo() {{ "$@"; }}\n{script}', text=text)


def is_installed(package):
    return run("dpkg-query", "-W", "-f", "${db:Status-Status}", package).stdout == "installed"


@pytest.fixture
def unit():
    """Configured, and stopped in the end."""
    write("/etc/fleetfs/prod.token", "sk-sim\n", 0o600)
    write("/etc/fleetfs/prod.conf", f"SOURCE={URL}\nOPTIONS=allow_other,ttl=600\n")
    yield
    run("systemctl", "stop", UNIT)
    run("systemctl", "reset-failed", UNIT)
    assert not mounted() and os.listdir(MOUNTPOINT) == []


def test_installing_it_brings_what_it_needs(commands):
    needed = check("dpkg-deb", "-f", DEB, "Depends")
    libraries = re.findall(r"fuse3|libfuse3-\w+|libcjson\w+", needed)
    assert len(libraries) == 3, needed
    check("apt-get", "-q", "purge", "-y", *libraries)
    assert not any(map(is_installed, libraries))
    build, install = commands[0].splitlines()
    assert build == "./run package"
    os.makedirs("build-package")
    os.link(DEB, f"build-package/{os.path.basename(DEB)}")
    check_as_documented(install)
    assert all(map(is_installed, libraries))
    assert check("fleetfs", "--version").startswith("fleetfs ")
    assert check("dpkg", "--verify", "fleetfs") == ""


def test_it_holds_what_it_should():
    # Debian 12 has the units of packages in /lib, later releases in /usr/lib, which is the same.
    files = [re.sub("^/lib/", "/usr/lib/", file) for file in check("dpkg", "-L", "fleetfs").split()]
    for file in ("/usr/bin/fleetfs", "/usr/lib/systemd/system/fleetfs@.service",
                 "/usr/lib/systemd/user/fleetfs@.service", "/etc/fleetfs",
                 "/usr/share/doc/fleetfs/copyright", "/usr/share/doc/fleetfs/README.md",
                 "/usr/share/doc/fleetfs/SECURITY.md", "/usr/share/doc/fleetfs/changelog.gz",
                 "/usr/share/doc/fleetfs/docs/usage.md", "/usr/share/doc/fleetfs/docs/operations.md",
                 "/usr/share/doc/fleetfs/docs/comparison.md", "/usr/share/doc/fleetfs/docs/fleet.png",
                 "/usr/share/man/man8/fleetfs.8.gz",
                 "/usr/share/bash-completion/completions/fleetfs",
                 "/usr/share/zsh/vendor-completions/_fleetfs",
                 "/usr/share/fish/vendor_completions.d/fleetfs.fish", "/etc/fleetfs-cache",
                 "/usr/lib/systemd/system/fleetfs-cache.service",
                 "/usr/share/fleetfs/cache/fleetfs-cache",
                 "/usr/share/fleetfs/cache/check.lua", "/usr/share/fleetfs/cache/fleetfs.vcl",
                 "/usr/share/fleetfs/cache/haproxy.cfg", "/usr/share/fleetfs/cache/README.md",
                 "/usr/share/fleetfs/prometheus/README.md", "/usr/share/fleetfs/prometheus/alerts.yml",
                 "/usr/share/fleetfs/prometheus/dashboard.json"):
        assert file in files
    assert run("systemctl", "is-enabled", "fleetfs-cache").stdout == "disabled\n"
    assert run("systemctl", "is-active", "fleetfs-cache").stdout == "inactive\n"


def test_a_line_of_fstab():
    os.makedirs("/srv/fleet")
    write("/root/token", "sk-sim\n", 0o600)
    with open("/etc/fstab", "a") as fstab:
        fstab.write(f"{URL} /srv/fleet fuse.fleetfs "
                    "noauto,user,_netdev,allow_other,token_file=/root/token 0 0\n")
    check("mount", "/srv/fleet")
    assert mounted("/srv/fleet")
    assert len(check(*USER, "ls", "/srv/fleet/agents").split()) == 42
    check("umount", "/srv/fleet")
    assert not mounted("/srv/fleet")


def test_systemd_mounts_a_line_of_fstab():
    """As it does at boot, or when somebody comes by (x-systemd.automount)."""
    check("systemctl", "daemon-reload")
    check("systemctl", "start", "srv-fleet.mount")
    assert mounted("/srv/fleet") and len(os.listdir("/srv/fleet/agents")) == 42
    check("systemctl", "stop", "srv-fleet.mount")
    assert not mounted("/srv/fleet")


def test_the_unit_is_ready_when_the_mount_is_there(unit):
    check("systemctl", "start", UNIT)
    assert state() == "active" and mounted()
    # Others see it: it is in no namespace of the unit's own.
    assert len(check(*USER, "ls", MOUNTPOINT / "agents").split()) == 42
    assert "token: integration key (sk-) from /run/credentials/fleetfs@prod.service/fleetfs.token\n" \
        in (MOUNTPOINT / ".fleetfs/config").read_text()
    check("systemctl", "stop", UNIT)
    assert state() == "inactive" and not mounted()


def test_the_unit_as_documented(commands, unit):
    token, settings, start, log, restart = commands
    check_as_documented(token, text="sk-sim\n")
    assert os.stat("/etc/fleetfs/prod.token").st_mode & 0o777 == 0o600
    write("/etc/fleetfs/prod.conf", settings.replace(DOCUMENTED_URL, URL))
    check_as_documented(start)
    fleet = Path("/srv/fleet")
    assert mounted(fleet) and len(check(*USER, "ls", fleet / "agents").split()) == 42
    assert "ttl: 30\n" in (fleet / ".fleetfs/config").read_text()
    assert "mounted" in check_as_documented(log)
    check_as_documented(restart)
    assert mounted(fleet)
    check("systemctl", "disable", "--now", UNIT)
    assert not mounted(fleet)


def test_the_unit_of_a_user_as_documented(commands):
    token, start = commands
    become, runtime = become_user("cleo")
    check_as_documented(token, become, text="sk-sim\n")
    check_as_documented(start, become)
    assert len(check(*become, "ls", f"{runtime}/fleetfs/prod/agents").split()) == 42
    check(*become, "systemctl", "--user", "disable", "--now", UNIT)
    check("loginctl", "disable-linger", "cleo")


def test_the_unit_fetches_anew_after_a_reload_and_takes_another_token_after_a_restart(unit):
    check("systemctl", "start", UNIT)
    os.listdir(MOUNTPOINT / "agents")
    check("systemctl", "reload", UNIT)
    until(lambda: "SIGHUP" in journal())
    assert state() == "active" and len(os.listdir(MOUNTPOINT / "agents")) == 42
    write("/etc/fleetfs/prod.token", "sk-wrong\n", 0o600)
    assert run("systemctl", "restart", UNIT).returncode != 0
    assert "401" in journal() and not mounted()
    write("/etc/fleetfs/prod.token", "sk-sim\n", 0o600)
    check("systemctl", "restart", UNIT)
    assert mounted()


def test_the_unit_stops_with_readers_inside(unit):
    check("systemctl", "start", UNIT)
    reader = subprocess.Popen(["sleep", "60"], cwd=MOUNTPOINT / "agents")
    began = time.monotonic()
    check("systemctl", "stop", UNIT)
    assert time.monotonic() - began < 5 and not mounted()
    assert run("systemctl", "show", "-P", "Result", UNIT).stdout.strip() == "success"
    reader.kill()
    reader.wait()


def test_the_unit_comes_back_after_a_crash(unit):
    DROP_INS.mkdir(exist_ok=True, parents=True)
    write(DROP_INS / "soon.conf", "[Service]\nRestartSec=1\n")
    check("systemctl", "daemon-reload")
    check("systemctl", "start", UNIT)
    pid = int(check("systemctl", "show", "-P", "MainPID", UNIT))
    os.kill(pid, signal.SIGKILL)
    until(lambda: check("systemctl", "show", "-P", "NRestarts", UNIT).strip() == "1"
          and state() == "active")
    assert mounted() and len(os.listdir(MOUNTPOINT / "agents")) == 42


def test_the_unit_waits_for_an_api_that_is_down_and_not_for_a_bad_option(unit):
    write("/etc/fleetfs/prod.conf", "SOURCE=http://127.0.0.1:1/api/v1\n")
    assert run("systemctl", "start", UNIT).returncode != 0
    assert state() == "activating"  # and tries again
    assert "refused" in journal()
    check("systemctl", "stop", UNIT)
    write("/etc/fleetfs/prod.conf", f"SOURCE={URL}\nOPTIONS=tttl=1\n")
    assert run("systemctl", "start", UNIT).returncode != 0
    assert state() == "failed" and "did you mean 'ttl'" in journal()


def test_the_unit_without_a_token(unit):
    os.unlink("/etc/fleetfs/prod.token")
    assert run("systemctl", "start", UNIT).returncode != 0
    assert run("systemctl", "show", "-P", "ExecMainStatus", UNIT).stdout.strip() == "243"


@pytest.mark.parametrize("setting", ["ProtectSystem=yes", "PrivateTmp=yes", "ProtectHome=yes",
                                     "ProtectKernelModules=yes", "PrivateDevices=yes"])
def test_what_the_unit_cannot_have_hides_the_mount(unit, setting):
    """What its comments say. A systemd that could do better would be welcome, and fail this."""
    DROP_INS.mkdir(exist_ok=True, parents=True)
    write(DROP_INS / "hide.conf", f"[Service]\n{setting}\n")
    check("systemctl", "daemon-reload")
    run("systemctl", "start", UNIT)
    assert not mounted()
    (DROP_INS / "hide.conf").unlink()
    check("systemctl", "stop", UNIT)
    check("systemctl", "daemon-reload")


def test_each_user_has_a_unit_of_their_own():
    """Beside each other; who is logged in, or lingers, has a systemd of their own."""
    users = {}
    for name in "ann", "bob":
        users[name] = become_user(name)
        settings = Path("/home", name, ".config/fleetfs")
        settings.mkdir(parents=True)
        write(settings / "prod.token", "sk-sim\n", 0o600)
        write(settings / "prod.conf", f"SOURCE={URL}\nOPTIONS=ttl=600\n")
        check("chown", "-R", name, f"/home/{name}")
    for become, home in users.values():
        done = run(*become, "systemctl", "--user", "start", UNIT)
        assert not done.returncode, run("journalctl", "--no-pager", "-o", "cat", "-n", "60").stdout
        assert len(check(*become, "ls", f"{home}/fleetfs/prod/agents").split()) == 42
        assert run("ls", f"{home}/fleetfs/prod").returncode != 0  # as root
    (ann, _), (bob, home) = users.values()
    assert run(*ann, "ls", f"{home}/fleetfs/prod").returncode != 0
    check(*bob, "systemctl", "--user", "reload", UNIT)
    assert "from /home/bob/.config/fleetfs/prod.token\n" in check(
        *bob, "cat", f"{home}/fleetfs/prod/.fleetfs/config")
    check("loginctl", "disable-linger", "bob")
    until(lambda: not mounted(f"{home}/fleetfs/prod"))
    check(*ann, "systemctl", "--user", "stop", UNIT)


def test_an_upgrade_leaves_running_mounts_and_the_next_mount_has_the_new_program(commands, unit):
    upgrade, restart = commands
    check("apt-get", "-q", "install", "-y", "--no-install-recommends", "--allow-downgrades", DEB_BEFORE)
    check("systemctl", "start", UNIT)
    pid = check("systemctl", "show", "-P", "MainPID", UNIT).strip()
    check_as_documented(upgrade)
    assert check("systemctl", "show", "-P", "MainPID", UNIT).strip() == pid
    assert not os.path.samefile(f"/proc/{pid}/exe", "/usr/bin/fleetfs")
    assert len(os.listdir(MOUNTPOINT / "agents")) == 42
    check_as_documented(restart)
    pid = check("systemctl", "show", "-P", "MainPID", UNIT).strip()
    assert os.path.samefile(f"/proc/{pid}/exe", "/usr/bin/fleetfs")
    assert len(os.listdir(MOUNTPOINT / "agents")) == 42


def test_removing_it_unmounts_and_leaves_the_settings(commands, unit):
    check("systemctl", "start", UNIT)
    check_as_documented(commands[0])
    assert not mounted() and not os.path.exists("/usr/bin/fleetfs")
    assert os.path.exists("/etc/fleetfs/prod.token")
