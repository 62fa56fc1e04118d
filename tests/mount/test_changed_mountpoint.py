# SPDX-License-Identifier: MIT
"""A mount point that is removed, replaced or mounted on while fleetfs waits for the API at the start
(row 63 of docs/faults.md)."""

import os
import subprocess

import pytest

from harness import environment, mounts, until


def remove(path):
    path.rmdir()


def replace_with_directory(path):
    path.rename(path.with_name("aside"))
    path.mkdir()


def replace_with_symlink(path):
    path.rmdir()
    path.with_name("other").mkdir()
    path.symlink_to("other")


def replace_with_file(path):
    path.rmdir()
    path.write_text("x")


def rename_parent(path):
    path.parent.rename(path.parent.with_name("renamed"))


def mount_over(path):
    subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("change, reason", [
    (remove, "No such file or directory"), (rename_parent, "No such file or directory"),
    (replace_with_directory, "changed during the start"),
    (replace_with_symlink, "changed during the start"),
    (replace_with_file, "changed during the start"), (mount_over, "changed during the start")])
def test_a_mount_point_that_changes_during_the_start_is_refused(programs, sim, folder, change, reason):
    api, path = sim(agents=3), folder / "parent" / "mnt"
    path.mkdir(parents=True)
    api.hold(page=1)
    process = subprocess.Popen([programs["fleetfs"], "-f", api.url, path], env=environment(folder),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: api.held() >= 1)
        before = set(mounts(folder)) | ({str(path)} if change is mount_over else set())
        change(path)
        api.release()
        _, errors = process.communicate(timeout=15)
        assert process.returncode == 1
        assert len(errors.splitlines()) == 1 and reason in errors and str(path) in errors, errors
        assert set(mounts(folder)) == before
    finally:
        process.kill()
        process.wait()
