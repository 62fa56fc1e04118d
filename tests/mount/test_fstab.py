# SPDX-License-Identifier: MIT
"""mount(8), umount(8) and /etc/fstab, as root and as an ordinary user."""

import os

import pytest

from harness import TOKEN, until
from machine import USERS

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to have an /etc/fstab of its own")
USER = "nobody"


def prepare(machine, user):
    """A mount point and a token that belong to this user."""
    path, token = machine.folder / "mnt", machine.folder / "token"
    path.mkdir()
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    for file in (path, token):
        os.chown(file, USERS[user], -1)
    return path, token


def shown(machine, path, user):
    source, kind, options = machine.check("findmnt", "-no", "SOURCE,FSTYPE,OPTIONS", path).split()
    owner = f"user_id={USERS[user]}"
    assert {"ro", "nosuid", "nodev", "noexec", owner} <= set(options.split(",")), options
    return source, kind


@pytest.mark.parametrize("user", ["root", USER])
def test_fstab_line_mounts(sim, machine, user):
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
def test_fleetfs_mounts_and_fusermount_unmounts(sim, machine, user):
    api = sim(agents=3)
    path, token = prepare(machine, user)
    machine.check("fleetfs", f"--token_file={token}", api.url, path, user=user)
    assert shown(machine, path, user) == (api.url, "fuse.fleetfs")
    machine.check("fusermount3", "-u", path, user=user)
    until(lambda: not machine.running())


def test_mount_with_type_and_options_mounts(sim, machine):
    api = sim(agents=3)
    path, token = prepare(machine, "root")
    machine.check("mount", "-t", "fuse.fleetfs", api.url, path, "-o",
                  f"token_file={token},ttl=600,allow_other")
    assert shown(machine, path, "root") == (api.url, "fuse.fleetfs")
    assert len(machine.check("ls", path / "agents", user=USER).split()) == 3
    machine.check("umount", path)
    until(lambda: not machine.running())


@pytest.mark.parametrize("user", ["root", USER])
def test_mount_all_mounts_and_only_the_owner_unmounts(sim, machine, user):
    """`mount -a` mounts lines without noauto; another user cannot unmount."""
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
def test_wrong_fstab_line_is_rejected_with_the_reason(sim, machine, user, option, words):
    path, token = prepare(machine, user)
    machine.fstab.write_text(f"{sim().url} {path} fuse.fleetfs user,noauto,token_file={token},"
                             f"{option} 0 0\n")
    done = machine.run("mount", path, user=user)
    assert done.returncode != 0 and words in done.stderr, done
    assert machine.run("mountpoint", "-q", path).returncode != 0
