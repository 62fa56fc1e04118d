# SPDX-License-Identifier: MIT
"""A CA bundle or directory that changes while fleetfs runs (row 48 of docs/faults.md)."""

import os
import shutil
import subprocess

import pytest

from harness import code_of, until
from scripted import ask_again, own
from tls import context

OPTIONS = {"ttl": 0.3, "stale": 0, "timeout": 3, "retries": 0}


@pytest.fixture
def bundle(folder, certificates):
    """A bundle that trusts the server; bundle.replace("self-signed") makes it trust another CA."""
    path = folder / "bundle.pem"

    class Bundle:
        def replace(self, name):
            new = folder / "new.pem"
            shutil.copy(certificates / f"{name}.pem", new)
            new.rename(path)
    made = Bundle()
    made.path = path
    made.replace("ca")
    return made


def test_next_connection_uses_a_replaced_ca_bundle(scripted, mount, certificates, bundle):
    server = scripted(context=context(certificates, "right"))
    fleet = mount(server, cacert=bundle.path, **OPTIONS)
    assert sorted(fleet.agents()) == ["a", "b", "c"]
    bundle.replace("self-signed")
    server.close_connections()
    until(lambda: code_of(fleet.agents) == "EHOSTUNREACH", seconds=3)
    assert "certificate" in own(fleet, "last_error")["message"]
    bundle.replace("ca")
    until(lambda: code_of(fleet.agents) is None, seconds=5)


def test_removed_ca_is_not_trusted_after_sighup(scripted, mount, certificates, bundle):
    """The connection that was verified with it is still open, and must not be used."""
    server = scripted(context=context(certificates, "right"))
    fleet = mount(server, cacert=bundle.path, **{**OPTIONS, "ttl": 600})
    assert sorted(fleet.agents()) == ["a", "b", "c"]
    requests = server.requests
    bundle.replace("self-signed")
    ask_again(fleet)
    code_of(fleet.agents)  # or what is younger than the ttl is served
    assert own(fleet, "health")["state"] == "stale"
    assert "certificate" in own(fleet, "last_error")["message"]
    assert server.requests == requests
    bundle.replace("ca")
    ask_again(fleet)
    until(lambda: code_of(fleet.agents) is None and own(fleet, "health")["state"] == "ok")
    assert server.requests > requests


def test_new_connection_resumes_no_tls_session(scripted, mount, certificates, bundle):
    """Resuming a session would skip the verification of the certificate."""
    server = scripted(context=context(certificates, "right"))
    resumed = []
    shake_hands = server.shake_hands

    def shake(wire):
        done = shake_hands(wire)
        if done:
            resumed.append(wire.socket.session_reused)
        return done
    server.shake_hands = shake
    fleet = mount(server, cacert=bundle.path, **OPTIONS)
    assert sorted(fleet.agents()) == ["a", "b", "c"]
    server.close_connections()
    until(lambda: code_of(fleet.agents) is None and len(resumed) > 1)
    assert not any(resumed)


def test_ca_bundle_that_can_be_read_only_once_is_rejected(fleetfs, folder):
    """A FIFO, or the pipe of a shell's `<(command)`: each connection reads the bundle."""
    fifo = folder / "ca.pem"
    os.mkfifo(fifo)
    done = fleetfs("--check", f"--cacert={fifo}", "https://127.0.0.1:1/x")
    assert done.returncode == 1 and "not a regular file" in done.stderr and str(fifo) in done.stderr
    done = fleetfs("--check", "https://127.0.0.1:1/x", variables={"SSL_CERT_FILE": str(fifo)})
    assert done.returncode == 1 and "$SSL_CERT_FILE" in done.stderr and "regular" in done.stderr


def test_a_bundle_replaced_by_a_fifo_blocks_nothing(scripted, mount, certificates, bundle, folder):
    """No process writes to the FIFO, so opening it would block for ever."""
    server = scripted(context=context(certificates, "right"))
    fleet = mount(server, cacert=bundle.path, **OPTIONS)
    assert sorted(fleet.agents()) == ["a", "b", "c"]
    os.mkfifo(folder / "fifo")
    (folder / "fifo").rename(bundle.path)
    server.close_connections()
    until(lambda: code_of(fleet.agents) == "EHOSTUNREACH", seconds=3)
    last = own(fleet, "last_error")
    assert str(bundle.path) in last["message"] and "regular file" in last["message"]
    assert "cacert" in last["remedy"]
    bundle.replace("ca")
    until(lambda: code_of(fleet.agents) is None, seconds=5)


@pytest.mark.parametrize("blocks", ["a FIFO", "a link to a FIFO"])
def test_a_fifo_in_a_directory_of_cas_blocks_nothing(scripted, mount, certificates, folder, blocks):
    """The FIFO has the name of the issuer's certificate, the only one that OpenSSL opens."""
    directory = folder / "certs"
    directory.mkdir()
    shutil.copy(certificates / "ca.pem", directory)
    subprocess.run(["openssl", "rehash", directory], check=True)
    os.mkfifo(directory / "other")
    server = scripted(context=context(certificates, "right"))
    fleet = mount(server, **OPTIONS,
                  variables={"SSL_CERT_DIR": f"{folder}/none:{directory}",
                             "SSL_CERT_FILE": str(certificates / "self-signed.pem")})
    assert sorted(fleet.agents()) == ["a", "b", "c"]
    link = next(path for path in directory.iterdir() if path.is_symlink())
    link.unlink()
    if blocks == "a FIFO":
        os.mkfifo(link)
    else:
        link.symlink_to("other")
    server.close_connections()
    until(lambda: code_of(fleet.agents) == "EHOSTUNREACH", seconds=3)
    last = own(fleet, "last_error")
    assert str(link) in last["message"] and "regular file" in last["message"]
    assert "directory" in last["remedy"]
    link.unlink()
    link.symlink_to("ca.pem")
    until(lambda: code_of(fleet.agents) is None, seconds=5)
