# SPDX-License-Identifier: MIT
"""mount(8), umount(8) and /etc/fstab, as root and as an ordinary user: in a mount namespace with an
/etc/fstab, a /dev/fuse and a /usr/local/bin of its own, so that nothing of the machine is touched."""

import os
import pwd
import subprocess

import pytest

from harness import TOKEN, copy_program, environment, suspicious, until

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to have an /etc/fstab of its own")
USER = "nobody"


class Machine:
    """Such a namespace; of processes it has one, too, so that nothing in it outlives it."""

    def __init__(self, fleetfs, folder):
        self.folder = folder
        self.fstab = folder / "fstab"
        self.fstab.touch()
        (folder / "bin").mkdir()
        copy_program(fleetfs, folder / "bin")
        (folder / "dev").mkdir()
        self.holder = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child",
                                        "--mount-proc", "sleep", "600"])
        self.spaces = [f"--mount=/proc/{self.holder.pid}/ns/mnt",
                       f"--pid=/proc/{self.holder.pid}/ns/pid_for_children"]
        mine = os.readlink("/proc/self/ns/mnt")
        until(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/mnt") != mine)
        until(lambda: self.run("test", "-e", "/proc/1/exe").returncode == 0)
        # Copies of others' mounts would keep them alive after their end.
        self.run("sh", "-c", "awk '/ - fuse/ { print $5 }' /proc/self/mountinfo | "
                             "xargs -r -n 1 umount -l -c")
        # As udev makes it, whatever this machine has.
        self.check("mount", "-t", "tmpfs", "-o", "dev", "dev", folder / "dev")
        self.check("mknod", "-m", "666", folder / "dev/fuse", "c", "10", "229")
        self.check("mount", "--bind", folder / "dev/fuse", "/dev/fuse")
        self.check("mount", "--bind", folder / "bin", "/usr/local/bin")
        self.check("mount", "--bind", self.fstab, "/etc/fstab")

    def run(self, *command, user=None):
        drop = []
        if user:
            entry = pwd.getpwnam(user)
            drop = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}",
                    "--clear-groups"]
        return subprocess.run(["nsenter", *self.spaces, *drop, *map(str, command)], text=True,
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
                              env=environment(self.folder, token=None))

    def check(self, *command, **options):
        done = self.run(*command, **options)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def running(self):
        """What ended is still there, since the first process of this space waits for nobody."""
        lines = self.check("ps", "-e", "-o", "args").splitlines()
        return any("fleetfs" in line and "<defunct>" not in line for line in lines)

    def stop(self):
        running = self.running()
        self.holder.kill()
        self.holder.wait()
        reports = suspicious(self.folder)
        assert not running, "left in the background"
        assert not reports, reports


@pytest.fixture
def machine(programs, folder, stopping):
    folder.chmod(0o1777)  # for what a sanitizer has to say of an ordinary user's
    made = Machine(programs["fleetfs"], folder)
    stopping.append(made)
    return made


def prepare(machine, user):
    """A mount point and a token of this user's."""
    path, token = machine.folder / "mnt", machine.folder / "token"
    path.mkdir()
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    for file in (path, token):
        os.chown(file, pwd.getpwnam(user).pw_uid, -1)
    return path, token


def shown(machine, path, user):
    source, kind, options = machine.check("findmnt", "-no", "SOURCE,FSTYPE,OPTIONS", path).split()
    owner = f"user_id={pwd.getpwnam(user).pw_uid}"
    assert {"ro", "nosuid", "nodev", "noexec", owner} <= set(options.split(",")), options
    return source, kind


@pytest.mark.parametrize("user", ["root", USER])
def test_a_line_of_fstab(sim, machine, user):
    api = sim(agents=3)
    path, token = prepare(machine, user)
    machine.fstab.write_text(f"{api.url} {path} fuse.fleetfs "
                             f"noauto,user,_netdev,nofail,x-systemd.automount,ttl=600,"
                             f"token_file={token} 0 0\n")
    machine.check("mount", path, user=user)
    assert shown(machine, path, user) == (api.url, "fuse.fleetfs")
    assert len(machine.check("ls", path / "agents", user=user).split()) == 3
    assert "ttl: 600\n" in machine.check("cat", path / ".fleetfs/config", user=user)
    assert machine.check("stat", "-c", "%U", path / "agents", user=user) == f"{user}\n"
    again = machine.run("mount", path, user=user)
    assert again.returncode != 0 and len(again.stderr.splitlines()) >= 1
    machine.check("umount", path, user=user)
    until(lambda: not machine.running())
    assert machine.check("ls", "-A", path, user=user) == ""
    assert token.exists()


@pytest.mark.parametrize("user", ["root", USER])
def test_fleetfs_itself_and_fusermount(sim, machine, user):
    api = sim(agents=3)
    path, token = prepare(machine, user)
    machine.check("fleetfs", f"--token_file={token}", api.url, path, user=user)
    assert shown(machine, path, user) == (api.url, "fuse.fleetfs")
    machine.check("fusermount3", "-u", path, user=user)
    until(lambda: not machine.running())


def test_mount_with_a_type_and_options(sim, machine):
    api = sim(agents=3)
    path, token = prepare(machine, "root")
    machine.check("mount", "-t", "fuse.fleetfs", api.url, path, "-o",
                  f"token_file={token},ttl=600,allow_other")
    assert shown(machine, path, "root") == (api.url, "fuse.fleetfs")
    assert len(machine.check("ls", path / "agents", user=USER).split()) == 3
    machine.check("umount", path)
    until(lambda: not machine.running())


@pytest.mark.parametrize("user", ["root", USER])
def test_all_of_fstab_and_whose_a_mount_is(sim, machine, user):
    """`mount -a` takes what is not noauto; another user unmounts nothing."""
    api = sim(agents=3)
    path, token = prepare(machine, "root")
    machine.fstab.write_text(f"{api.url} {path} fuse.fleetfs token_file={token} 0 0\n")
    if user != "root":
        refused = machine.run("mount", path, user=user)
        assert refused.returncode != 0 and not machine.running()
    machine.check("mount", "-a")
    if user != "root":
        assert machine.run("umount", path, user=user).returncode != 0
        assert machine.running()
    machine.check("umount", path)
    until(lambda: not machine.running())


@pytest.mark.parametrize("user", ["root", USER])
@pytest.mark.parametrize("option,words", [("tttl=1", "did you mean 'ttl'"), ("ttl=x", "ttl"),
                                          ("token_file=/none", "/none")])
def test_a_line_of_fstab_that_is_wrong_says_so(sim, machine, user, option, words):
    path, token = prepare(machine, user)
    machine.fstab.write_text(f"{sim().url} {path} fuse.fleetfs user,noauto,token_file={token},"
                             f"{option} 0 0\n")
    done = machine.run("mount", path, user=user)
    assert done.returncode != 0 and words in done.stderr, done
    assert machine.run("mountpoint", "-q", path).returncode != 0
