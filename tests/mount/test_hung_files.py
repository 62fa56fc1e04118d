# SPDX-License-Identifier: MIT
"""A token or a source on a file system that hangs, as a network file system without its server does
(row 69 of docs/faults.md)."""

import contextlib
import os
import shutil
import signal
import subprocess

import pytest

from harness import DATA, TOKEN, mounts, until
from scripted import took

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@contextlib.contextmanager
def hung(other, directory):
    """Covers a directory with a file system that answers no request."""
    subprocess.run(["mount", "--bind", other / "agents", directory], check=True)
    other.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        other.signal(signal.SIGCONT)
        subprocess.run(["umount", "-l", directory], check=True)


@pytest.fixture
def hanging(sim, mount, folder):
    """A directory on a file system that does not respond. Its files existed before."""
    other, directory = mount(sim(agents=3)), folder / "files"
    directory.mkdir()
    with hung(other, directory):
        yield directory


@pytest.mark.parametrize("option", ["--token_file={}/token", "--log_file={}/log", "--cacert={}/ca.pem"])
def test_a_start_with_a_file_on_a_hanging_file_system_fails(hanging, sim, refused, path, option):
    line = refused(option.format(hanging), sim(agents=3).url, path)
    assert f"{hanging}/" in line and "no response within 5 s" in line


@pytest.mark.parametrize("foreground", [["-f"], []])
def test_a_start_with_a_source_on_a_hanging_file_system_fails(hanging, refused, path, foreground):
    assert f"{hanging}/fleet.json: no response" in refused(*foreground, hanging / "fleet.json", path)


def test_a_check_of_a_source_on_a_hanging_file_system_fails(hanging, fleetfs):
    done = fleetfs("--check", "--timeout=1", hanging / "fleet.json")
    assert done.returncode == 1 and f"no response from {hanging}/fleet.json" in done.stderr


def test_a_start_with_a_home_directory_that_hangs_fails(hanging, sim, refused, path):
    line = refused(sim(agents=3).url, path, token=None, variables={"HOME": str(hanging)})
    assert "token file" in line and "no response" in line


def test_a_start_with_a_ca_bundle_of_the_environment_that_hangs_fails(hanging, refused, path):
    line = refused("https://127.0.0.1:1/api/v1", path, variables={"SSL_CERT_FILE": f"{hanging}/ca.pem"})
    assert f"{hanging}/ca.pem" in line and "no response within 5 s" in line


def test_a_start_with_a_time_zone_that_hangs_fails(hanging, sim, refused, path):
    """It is read for the lines of syslog."""
    line = refused(sim(agents=3).url, path, variables={"TZ": f":{hanging}/zone"})
    assert "$TZ" in line and "no response within 5 s" in line


@pytest.mark.parametrize("foreground", [["-f"], []])
@pytest.mark.parametrize("name", [".", "agents", "mnt"])
def test_a_start_on_a_mount_point_that_hangs_fails(hanging, sim, refused, foreground, name):
    """On it, in it, or on a name that has to be looked up."""
    line = refused(*foreground, sim(agents=3).url, hanging / name)
    assert f"mount point {hanging}" in line and "no response within 5 s" in line and "fusermount3 -uz" in line


@pytest.mark.parametrize("kind", ["token_file", "source"])
def test_token_or_source_on_a_hanging_file_system_delays_no_end(sim, mount, blocked, folder, kind):
    other, directory = mount(sim(agents=3)), folder / "files"
    directory.mkdir()
    if kind == "source":
        shutil.copy(DATA / "example-response.json", directory / "fleet.json")
        source, options = directory / "fleet.json", {}
    else:
        (directory / "token").write_text(TOKEN)
        (directory / "token").chmod(0o600)
        source, options = sim(agents=3), {"token_file": directory / "token"}
    fleet = mount(source, token=None, ttl=0.1, timeout=1, **options)
    assert fleet.agents()
    with hung(other, directory):
        fleet.signal(signal.SIGHUP)
        until(lambda: "SIGHUP" in fleet.output())
        status, _, _ = blocked("ls", fleet / "agents").result(10)  # makes it look at the file
        assert status in (0, 2)
        fleet.signal(signal.SIGTERM)
        _, seconds = took(lambda: fleet.process.wait(10))
        assert seconds < 2
        assert fleet.process.returncode == 0
        assert str(fleet.path) not in mounts()


def test_a_hanging_file_system_over_the_mount_delays_no_end(sim, mount):
    """At SIGHUP a thread looks up the mount's paths, which lead into the other file system."""
    other, fleet = mount(sim(agents=3)), mount(sim(agents=3))
    with hung(other, fleet.path):
        fleet.signal(signal.SIGHUP)
        until(lambda: "SIGHUP" in fleet.output())
        fleet.signal(signal.SIGTERM)
        fleet.ended = True  # with status 1
        assert fleet.process.wait(10) == 1
        assert "is mounted over it" in fleet.output()
    subprocess.run(["umount", "-l", fleet.path], check=True)
