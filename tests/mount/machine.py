# SPDX-License-Identifier: MIT
"""A machine for tests that need root and ordinary users: a mount namespace with an /etc/fstab, an
/etc/fuse.conf, an /etc/passwd, a /dev/fuse and a /usr/local/bin of its own. The real machine is not
changed."""

import os
import subprocess
from pathlib import Path

from harness import copy_program, die_with_parent, environment, suspicious, until

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USERS = {"root": 0, "nobody": 65534, "ann": 20001, "bob": 20002}


class Machine:
    """It also has a PID namespace, so no process in it outlives it."""

    def __init__(self, fleetfs, folder):
        self.folder = folder
        (folder / "bin").mkdir()
        copy_program(fleetfs, folder / "bin")
        (folder / "dev").mkdir()
        self.holder = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child",
                                        "--mount-proc", "sleep", "600"],
                                       preexec_fn=die_with_parent)
        self.enter = ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt",
                      f"--pid=/proc/{self.holder.pid}/ns/pid_for_children",
                      # Or it would be that of the namespace, though the tests run in a chroot.
                      f"--root=/proc/{self.holder.pid}/root", "--wdns=/"]
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
        self.fstab = self.own("/etc/fstab", "")
        self.fuse_conf = self.own("/etc/fuse.conf", "")
        self.own("/etc/passwd", "".join(f"{user}:x:{uid}:{uid}::/nonexistent:/bin/sh\n"
                                        for user, uid in USERS.items()))

    def own(self, path, text):
        """Replaces a file, for this machine only."""
        file = self.folder / Path(path).name
        file.write_text(text)
        self.check("mount", "--bind", file, path)
        return file

    def command(self, *command, user="root", variables=None):
        """The arguments of subprocess.run() that run a command on this machine."""
        uid = USERS[user]
        become = ["setpriv", "--pdeathsig=KILL", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        return {"args": [*self.enter, *become, *map(str, command)], "text": True,
                "stdin": subprocess.DEVNULL,
                "env": environment(self.folder, token=None, PATH=PATH, **(variables or {}))}

    def run(self, *command, **options):
        return subprocess.run(**self.command(*command, **options), capture_output=True, timeout=60)

    def check(self, *command, **options):
        done = self.run(*command, **options)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def running(self):
        """Whether fleetfs is running. Zombies do not count: the first process of this namespace waits
        for none."""
        lines = self.check("ps", "-e", "-o", "args").splitlines()
        return any("fleetfs" in line and "<defunct>" not in line for line in lines)

    def stop(self):
        running = self.running()
        self.holder.kill()
        self.holder.wait()
        reports = suspicious(self.folder)
        assert not running, "left in the background"
        assert not reports, reports
