# SPDX-License-Identifier: MIT
""".fleetfs/config shows the settings in force: absolute paths, the options of FUSE, and no secret."""

import os
import re
import subprocess

import pytest

from harness import TOKEN


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for allow_other")
def test_every_path_in_the_config_is_absolute_and_fuse_options_are_shown(sim, fleetfs, folder):
    """fleetfs runs in the background, in another working directory."""
    (folder / "mnt").mkdir()
    token = folder / "secret"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-subj", "/CN=x", "-keyout", folder / "ca.key", "-out", folder / "ca.pem"],
                   check=True, capture_output=True)
    done = fleetfs("--token_file=secret", "--cacert", "ca.pem", "-o",
                   "log_file=fleet.log,allow_other,fsname=a\\,b", sim().url, "mnt", cwd=folder, token=None)
    assert done.returncode == 0, done.stderr
    try:
        text = (folder / "mnt/.fleetfs/config").read_text()
        config = dict(line.split(": ", 1) for line in text.splitlines())
        assert config["mountpoint"] == str(folder / "mnt")
        assert config["token_file"] == str(token)
        assert config["cacert"] == str(folder / "ca.pem")
        assert config["log_file"] == str(folder / "fleet.log")
        assert config["token"].endswith(f" from {token}") and TOKEN not in text
        assert config["mount_options"] == "ro,nosuid,nodev,noexec,allow_other,fsname=a\\,b"
    finally:
        subprocess.run(["fusermount3", "-u", folder / "mnt"], check=True)


def test_every_setting_is_shown_with_the_value_in_force(sim, mount, fleetfs, folder):
    given = {"ttl": "7.5", "stale": "20", "refresh": "60", "timeout": "9", "connect_timeout": "2.5",
             "retries": "1", "per_page": "50", "max_connections": "3", "name": "eu", "team": "red",
             "log_file": str(folder / "fleet.log"), "delay_connect": True, "allow_http": True}
    settings = fleetfs("--help").stdout.split("FUSE's own:")[0]
    offered = set(re.findall(r"^ +--(\w+)", settings, re.M))
    assert offered >= set(given)
    config = mount(sim(), **given).values(".fleetfs/config")
    assert offered <= set(config)
    for name, value in given.items():
        assert config[name] == ("yes" if value is True else value), name
    defaults = mount(sim()).values(".fleetfs/config")
    assert (defaults["ttl"], defaults["stale"], defaults["allow_http"], defaults["name"]) == (
        "10", "300", "no", "-")


def test_a_mount_without_fuse_options_shows_those_of_every_mount(sim, mount):
    fleet = mount(sim())
    assert fleet.values(".fleetfs/config")["mount_options"] == "ro,nosuid,nodev,noexec"
    assert fleet.values(".fleetfs/config")["mountpoint"] == str(fleet.path)
