# SPDX-License-Identifier: MIT
"""One machine with many users: what others see of a mount without and with allow_other, and a mount for
each user instead. Ann and Bob are ordinary users."""

import os
import signal
import subprocess

import pytest

from harness import TOKEN, until
from machine import USERS
from test_start import jwt

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to be two ordinary users")

# PATH AGENT: prints the ways in that are not refused with EACCES.
INTRUDER = """
import os, sys
path, agent = sys.argv[1:]
ways = {"stat": lambda: os.stat(path), "list": lambda: os.listdir(path),
        "inside": lambda: os.chdir(path), "agents": lambda: os.listdir(f"{path}/agents"),
        "value": lambda: open(f"{path}/agents/{agent}/status").read(),
        "view": lambda: os.listdir(f"{path}/by-status"),
        "link": lambda: os.readlink(f"{path}/by-status/idle/{agent}"),
        "table": lambda: open(f"{path}/fleet/agents.tsv").read(),
        "log": lambda: open(f"{path}/fleet/events.log").read(),
        "itself": lambda: open(f"{path}/.fleetfs/health").read()}
for name, way in ways.items():
    try:
        way()
        print(name)
    except PermissionError:
        pass
"""
EVERYTHING = ["stat", "list", "inside", "agents", "value", "view", "link", "table", "log", "itself"]

# PATH AGENT: prints what changes something, or fails with anything but EROFS.
VANDAL = """
import errno, os, sys
path, agent = sys.argv[1:]
os.chdir(path)
status = f"agents/{agent}/status"
ways = {"write": lambda: open(status, "a"), "truncate": lambda: os.truncate(status, 0),
        "create": lambda: open("agents/new", "x"), "mkdir": lambda: os.mkdir("new"),
        "unlink": lambda: os.unlink(status), "rename": lambda: os.rename(status, "other"),
        "link": lambda: os.link(status, "other"), "symlink": lambda: os.symlink("a", "new"),
        "chmod": lambda: os.chmod(status, 0o666), "chown": lambda: os.chown(status, 1, 1),
        "utime": lambda: os.utime(status), "log": lambda: open("fleet/events.log", "a")}
for name, way in ways.items():
    try:
        way()
        print(name, "worked")
    except OSError as fault:
        if fault.errno != errno.EROFS:
            print(name, fault)
"""

# PID FILE: prints what of the process is open to who runs this, and whether the file is.
SPY = """
import ctypes, os, sys
pid, file = sys.argv[1:]
ways = {name: lambda name=name: open(f"/proc/{pid}/{name}", "rb").read(1)
        for name in ("environ", "mem", "maps", "auxv", "stack", "syscall", "io")}
ways.update({name: lambda name=name: os.readlink(f"/proc/{pid}/{name}")
             for name in ("cwd", "root", "exe")})
ways["fd"] = lambda: os.listdir(f"/proc/{pid}/fd")
ways["token"] = lambda: open(file).read()
ways["kill"] = lambda: os.kill(int(pid), 0)
for name, way in ways.items():
    try:
        way()
        print(name)
    except PermissionError:
        pass
if ctypes.CDLL(None).ptrace(16, int(pid), 0, 0) == 0:  # PTRACE_ATTACH
    print("ptrace")
"""


def python(machine, user, code, *words):
    return machine.check("/usr/bin/python3", "-c", code, *words, user=user).split()


def give(user, path, text=None):
    """Makes a directory, or with a text a file, that only this user can access."""
    if text is None:
        path.mkdir(mode=0o700)
    else:
        path.touch(mode=0o600)
        path.write_text(text)
    os.chown(path, USERS[user], USERS[user])
    return path


class Theirs:
    """A mount of this user in the background."""

    def __init__(self, machine, api, user, *options, at=None, **variables):
        self.machine, self.user = machine, user
        if at:
            at.mkdir()
        self.path = give(user, (at or machine.folder) / f"of-{user}")
        self.token = give(user, machine.folder / f"token-{user}", TOKEN)
        how = [] if variables else [f"--token_file={self.token}"]
        machine.check("fleetfs", *how, *options, api.url, self.path, user=user, variables=variables)
        self.agent = next(a["agent_id"] for a in api.agents() if a["agent_status"] == "idle")

    def read(self, user, path):
        return self.machine.check("cat", self.path / path, user=user)

    def pid(self):
        return self.machine.check("pgrep", "-x", "fleetfs", "-U", USERS[self.user]).strip()

    def is_mounted(self):
        return self.machine.run("mountpoint", "-q", self.path, user=self.user).returncode == 0

    def end(self):
        if self.is_mounted():
            self.machine.check("fusermount3", "-u", self.path, user=self.user)


@pytest.fixture
def theirs(machine):
    made = []

    def start(*arguments, **how):
        made.append(Theirs(machine, *arguments, **how))
        return made[-1]
    yield start
    for each in made:
        each.end()
    until(lambda: not machine.running())


@pytest.fixture
def shared(machine, theirs):
    """shared(api, "ann"): a mount with allow_other."""
    machine.fuse_conf.write_text("user_allow_other\n")
    return lambda api, user, *options, **variables: theirs(api, user, "-o", "allow_other", *options,
                                                           **variables)


@pytest.fixture
def beside(machine):
    """beside("cat", path, user="ann"): runs a program at the same time."""
    started = []

    def start(*command, **options):
        started.append(subprocess.Popen(**machine.command(*command, **options),
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        return started[-1]
    yield start
    for each in started:
        each.kill()
        each.communicate()


# Without allow_other

@pytest.mark.parametrize("owner", ["ann", "root"])
def test_no_other_user_has_access_not_even_root(sim, machine, theirs, owner):
    fleet = theirs(sim(agents=30), owner)
    assert python(machine, owner, INTRUDER, fleet.path, fleet.agent) == EVERYTHING
    # Now the kernel remembers all that.
    for other in {"ann", "bob", "root"} - {owner}:
        assert python(machine, other, INTRUDER, fleet.path, fleet.agent) == []


# With it

@pytest.mark.parametrize("owner,options", [("root", []), ("ann", []),
                                           ("ann", ["-o", "default_permissions"])])
def test_all_users_share_the_cache_and_none_can_write(sim, machine, shared, owner, options):
    api = sim(agents=30)
    fleet = shared(api, owner, "--ttl=600", *options)
    for user in "bob", "ann", "root":
        assert python(machine, user, INTRUDER, fleet.path, fleet.agent) == EVERYTHING
        assert python(machine, user, VANDAL, fleet.path, fleet.agent) == []
    copy = 'tar -cC "$0" agents by-gpu | sha256sum'
    assert len({machine.check("sh", "-c", copy, fleet.path, user=user)
                for user in ("ann", "bob", "root")}) == 1
    assert api.pages() == {1: 1}


def test_group_shares_a_mount_in_its_directory(sim, machine, theirs):
    api, group = sim(agents=30), machine.folder / "group"
    fleet = theirs(api, "root", "-o", "allow_other", at=group)
    assert python(machine, "bob", INTRUDER, fleet.path, fleet.agent) == EVERYTHING
    os.chown(group, 0, USERS["ann"])
    group.chmod(0o750)
    assert python(machine, "ann", INTRUDER, fleet.path, fleet.agent) == EVERYTHING
    assert python(machine, "bob", INTRUDER, fleet.path, fleet.agent) == []


def test_event_log_is_shared_and_begins_with_its_first_reader(sim, machine, shared):
    api = sim(agents=30)
    fleet = shared(api, "ann", "--ttl=0.3")
    assert fleet.read("bob", "fleet/events.log") == ""
    api.change(0, agent_status="odd")
    until(lambda: "\todd\n" in fleet.read("ann", "fleet/events.log"))
    seen = fleet.read("ann", "fleet/events.log")
    assert fleet.read("bob", "fleet/events.log").startswith(seen)


@pytest.mark.unwrapped
@pytest.mark.parametrize("way", ["file", "variable"])
def test_token_is_hidden_from_other_users(sim, machine, shared, instrumented, way):
    secret = {"FLEETFS_TOKEN": TOKEN} if way == "variable" else {}
    fleet = shared(sim(agents=30), "ann", **secret)
    pid = fleet.pid()
    spied = python(machine, "bob", SPY, pid, fleet.token)
    assert spied == []
    assert TOKEN not in machine.check("cat", f"/proc/{pid}/cmdline", user="bob")
    assert machine.run("grep", "-rF", TOKEN, fleet.path, user="bob").returncode == 1
    if not instrumented:  # a sanitizer has to look into its process
        assert python(machine, "ann", SPY, pid, fleet.token) == ["token", "kill"]


@pytest.mark.unwrapped
def test_only_the_owner_and_root_unmount(sim, machine, shared, beside):
    fleet = shared(sim(agents=30), "ann")
    for command in (["fusermount3", "-u", fleet.path], ["fusermount3", "-uz", fleet.path],
                    ["umount", fleet.path], ["umount", "-l", fleet.path]):
        assert machine.run(*command, user="bob").returncode != 0
    assert fleet.is_mounted() and fleet.read("bob", f"agents/{fleet.agent}/status") == "idle\n"
    # Others' being in there stops a plain unmount, as on any file system, but not the owner.
    inside = beside("env", "-C", fleet.path / "agents", "sh", "-c", "echo in; exec sleep 600", user="bob")
    assert inside.stdout.readline() == "in\n"
    assert "busy" in machine.run("fusermount3", "-u", fleet.path, user="ann").stderr.lower()
    machine.check("kill", fleet.pid(), user="ann")
    until(lambda: not fleet.is_mounted())


@pytest.mark.unwrapped
def test_a_mount_ends_with_its_process_on_a_machine_without_mtab(sim, machine, theirs):
    """Without it fusermount3 unmounts nothing. Debian's minimal system has none."""
    etc = machine.folder / "etc"
    etc.mkdir()
    machine.check("sh", "-c", f"mount -t tmpfs etc {etc} && cp -a /etc/passwd /etc/nsswitch.conf {etc} && "
                              f"mount --move {etc} /etc")
    fleet = theirs(sim(agents=30), "ann")
    assert machine.run("fusermount3", "-u", fleet.path, user="ann").returncode != 0
    machine.check("kill", fleet.pid(), user="ann")
    until(lambda: not machine.running())
    assert str(fleet.path) not in machine.check("cat", "/proc/self/mountinfo")


def test_waiting_reader_does_not_delay_other_users(sim, machine, shared, beside):
    """More readers wait than the kernel allows requests in its background queue."""
    api = sim(agents=250)
    fleet = shared(api, "ann", "--ttl=600", "--timeout=60")
    names = [agent["agent_id"] for agent in api.agents()]
    first = names[0]
    assert fleet.read("bob", f"agents/{first}/id") == f"{first}\n"
    api.hold(page=3)
    waiting = [beside("cat", fleet.path / f"agents/{name}/id", user="ann") for name in names[-20:]]
    waiting += [beside("cat", fleet.path / f"fleet/{name}", user="ann")
                for name in ("summary", "agents.tsv", "fleet.html")]
    bobs = beside("cat", fleet.path / f"agents/{names[-21]}/id", user="bob")
    until(lambda: api.held() >= 1)
    until(lambda: len(machine.check("pgrep", "-x", "cat").split()) == len(waiting) + 1)
    for path in f"agents/{first}/status", f"agents/{first}/agent.json", ".fleetfs/health":
        assert fleet.read("bob", path)
    # One who loses patience takes nobody's answer away.
    machine.check("pkill", "-INT", "-U", USERS["bob"], "-x", "cat")
    assert bobs.wait(20) == -signal.SIGINT
    assert all(each.poll() is None for each in waiting)
    api.release()
    for each in waiting:
        assert each.communicate(timeout=60)[0] and each.returncode == 0


def test_second_reader_of_a_name_waits_no_longer_than_the_first(sim, machine, shared, beside):
    """The kernel sends nothing for the second reader before the first has its reply."""
    api = sim(agents=250)
    fleet = shared(api, "ann", "--ttl=600", "--timeout=2")
    path = fleet.path / "agents" / api.agents()[-1]["agent_id"] / "id"
    api.hold(page=3)
    waiting = [beside("cat", path, user="ann")]
    until(lambda: api.held() == 1)
    waiting += [beside("cat", path, user="bob") for _ in range(5)]
    assert [each.communicate(timeout=30)[0].endswith("timed out\n") for each in waiting] == [True] * 6
    api.release()


# What is told to who may not

@pytest.mark.parametrize("foreground", [["-f"], []])
def test_allow_other_of_an_ordinary_user_needs_user_allow_other(sim, machine, foreground):
    path, token = give("ann", machine.folder / "mnt"), give("ann", machine.folder / "token", TOKEN)
    machine.fuse_conf.write_text("# user_allow_other\n")
    done = machine.run("fleetfs", *foreground, "-o", "allow_other", f"--token_file={token}",
                       sim().url, path, user="ann")
    assert done.returncode == 1 and not done.stdout
    line, = done.stderr.splitlines()
    assert line.startswith(f"fleetfs: cannot mount on {path}: ") and "user_allow_other" in line \
        and "/etc/fuse.conf" in line
    assert not machine.running()


def test_directory_of_another_user_cannot_be_mounted_on(sim, machine):
    path, token = give("ann", machine.folder / "mnt"), give("bob", machine.folder / "token", TOKEN)
    path.chmod(0o755)
    done = machine.run("fleetfs", f"--token_file={token}", sim().url, path, user="bob")
    assert done.returncode == 1
    line, = done.stderr.splitlines()
    assert line.startswith(f"fleetfs: cannot mount on {path}: ") and "no write access" in line


# A mount for each of them

def test_each_with_a_mount_of_their_own_sees_their_own_fleet(sim, machine):
    apis, paths, tokens = {}, {}, {}

    def listed(user):
        return machine.check("ls", paths[user] / "agents", user=user).split()
    for user in "ann", "bob":
        home, run = give(user, machine.folder / user), give(user, machine.folder / f"run-{user}")
        apis[user] = sim(agents=1, jwt=jwt(sub=user), team=f"team_{user}")
        apis[user].put_agents([{"agent_id": f"{user}s-{i}", "agent_status": "idle"}
                               for i in range(3)])
        paths[user] = give(user, run / "fleet")
        tokens[user] = give(user, home / "token", jwt(sub=user))
        machine.check("fleetfs", f"--token_file={tokens[user]}", f"--team=team_{user}",
                      apis[user].url, paths[user], user=user)
        run.chmod(0o755)  # so that it is the mount that keeps others out
    for user, other in ("ann", "bob"), ("bob", "ann"):
        assert listed(user) == [f"{user}s-{i}" for i in range(3)]
        assert machine.run("grep", "-rl", f"{other}s-", paths[user], user=user).stdout == ""
        for stranger in other, "root":
            assert python(machine, stranger, INTRUDER, paths[user], f"{user}s-0") == []
        # Nor with what the other has: that cannot be read, and one's own is for one's own team.
        for token, words in (tokens[other], "Permission denied"), (tokens[user], "401"):
            done = machine.run("fleetfs", "--check", f"--token_file={token}", f"--team=team_{other}",
                               apis[other].url, user=user)
            assert done.returncode == 1 and words in done.stdout + done.stderr
    machine.check("fusermount3", "-u", paths["bob"], user="bob")
    assert len(listed("ann")) == 3
    machine.check("fusermount3", "-u", paths["ann"], user="ann")
    until(lambda: not machine.running())
