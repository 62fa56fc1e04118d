# SPDX-License-Identifier: MIT
"""What fleetfs takes from its environment: variables, the home directory, CA bundles, and secrets of a
container (rows 70 to 73 of docs/faults.md)."""

import os
import subprocess

import pytest

from harness import TOKEN, code_of, run, until
from machine import USERS
from test_start import token_file
from tls import context

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")


def config(fleet):
    return fleet.values(".fleetfs/config")


def give_token(directory, text=TOKEN, owner=None):
    """A token file in directory/fleetfs, as a user has it in ~/.config."""
    directory.joinpath("fleetfs").mkdir(parents=True)
    file = directory / "fleetfs/token"
    file.touch(mode=0o600)
    file.write_text(text)
    if owner is not None:
        os.chown(file, owner, owner)
    return file


# Empty variables

@pytest.mark.parametrize("name", ["CREDENTIALS_DIRECTORY", "FLEETFS_TOKEN"])
def test_an_empty_variable_does_not_block_the_next_token_source(sim, mount, name):
    fleet = mount(sim(), token=None, variables={name: "", "CYBERUN_KEY": TOKEN})
    assert config(fleet)["token"].endswith("from $CYBERUN_KEY")


def test_empty_variables_do_not_block_the_token_in_the_home_directory(sim, mount, folder):
    file = give_token(folder / ".config")
    fleet = mount(sim(), token=None, variables=dict.fromkeys(
        ("CREDENTIALS_DIRECTORY", "FLEETFS_TOKEN", "CYBERUN_KEY", "XDG_CONFIG_HOME",
         "CYBERUN_TEAM_ID", "SSL_CERT_FILE", "SSL_CERT_DIR", "NOTIFY_SOCKET", "HTTPS_PROXY"), ""))
    assert config(fleet)["token"].endswith(f"from {file}")
    assert config(fleet)["team"] == "-"


def test_empty_variables_alone_are_no_token(sim, refused, path, folder):
    line = refused(sim().url, path, token=None, variables={"FLEETFS_TOKEN": "", "CYBERUN_KEY": ""})
    assert "no token" in line and f"{folder}/.config/fleetfs/token" in line


# The home directory

@needs_root
@pytest.mark.parametrize("home", [None, ""])
def test_without_home_the_password_database_names_the_home_directory(sim, machine, home):
    ann = machine.folder / "ann"
    file = give_token(ann / ".config", owner=USERS["ann"])
    machine.own("/etc/passwd", f"ann:x:{USERS['ann']}:{USERS['ann']}::{ann}:/bin/sh\n")
    done = machine.check("fleetfs", "--check", sim().url, user="ann", variables={"HOME": home})
    assert f"from {file}\n" in done


@needs_root
@pytest.mark.parametrize("home", ["/dev/null", "/nonexistent"])
def test_a_home_that_is_no_directory_is_a_home_without_a_token(sim, refused, path, home):
    line = refused(sim().url, path, token=None, variables={"HOME": home})
    assert "no token" in line and f"{home}/.config/fleetfs/token" in line


@needs_root
def test_a_user_without_any_home_directory_is_told_to_name_a_file(sim, machine):
    machine.own("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    done = machine.run("fleetfs", "--check", sim().url, user="ann", variables={"HOME": None})
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "no token" in done.stderr and "token_file" in done.stderr and "~" not in done.stderr


def test_the_token_is_looked_for_in_xdg_config_home(sim, mount, refused, path, folder):
    give_token(folder / ".config", "sk-wrong")
    file = give_token(folder / "xdg")
    fleet = mount(sim(), token=None, variables={"XDG_CONFIG_HOME": f"{folder}/xdg"})
    assert config(fleet)["token"].endswith(f"from {file}")
    fleet.unmount()
    file.unlink()
    line = refused(sim().url, path, token=None, variables={"XDG_CONFIG_HOME": f"{folder}/xdg"})
    assert str(file) in line and ".config" not in line


def test_a_relative_xdg_config_home_is_ignored(sim, fleetfs, folder):
    file = give_token(folder / ".config")
    give_token(folder / "xdg", "sk-wrong")
    done = fleetfs("--check", sim().url, token=None, cwd=folder,
                   variables={"XDG_CONFIG_HOME": "xdg"})
    assert done.returncode == 0 and f"from {file}\n" in done.stdout


@pytest.mark.parametrize("variable,below", [("HOME", ".config/fleetfs/token"),
                                            ("CREDENTIALS_DIRECTORY", "fleetfs.token")])
def test_a_relative_directory_is_found_again_from_the_background(sim, fleetfs, path, folder, variable,
                                                                 below):
    """The daemon works in `/`. The token file is read again from there when it changes."""
    file = folder / "here" / below
    file.parent.mkdir(parents=True)
    file.touch(mode=0o600)
    file.write_text(TOKEN)
    api = sim()
    done = fleetfs("--ttl=0.1", api.url, path, token=None, cwd=folder, variables={variable: "here"})
    assert done.returncode == 0, done.stderr
    try:
        assert f"from {file}\n" in (path / ".fleetfs/config").read_text()
        api.token("sk-other")
        file.write_text("sk-other")
        assert len(os.listdir(path / "agents")) == 42
        assert "401" not in (path / ".fleetfs/last_error").read_text()
    finally:
        run("fusermount3", "-u", path)


# Paths

@pytest.mark.parametrize("option", ["token_file", "cacert", "log_file"])
@pytest.mark.parametrize("value", ["~/file", "~ann/file", "~"])
def test_a_tilde_that_no_shell_expanded_is_rejected(sim, refused, path, folder, option, value):
    line = refused(f"--{option}={value}", sim().url, path, status=2, cwd=folder)
    assert option in line and value in line and "not expanded" in line


def test_a_tilde_in_source_or_mount_point_is_rejected(refused, path):
    assert "not expanded" in refused("~/fleet.json", path, status=2)
    assert "not expanded" in refused("file.json", "~/fleet", status=2)


def test_a_file_whose_name_begins_with_a_tilde_can_be_given(sim, mount, folder, monkeypatch):
    file = token_file(folder, TOKEN).rename(folder / "~token")
    monkeypatch.chdir(folder)
    for name in ("~token", "./~token"):
        fleet = mount(sim(), token=None, token_file=name)
        assert os.path.samefile(config(fleet)["token"].split(" from ")[1], file)


# The content of a token file

@pytest.mark.parametrize("text,reason", [
    (f"{TOKEN}\r\n", "CRLF"), (f"\ufeff{TOKEN}\n", "byte order mark"),
    (f'"{TOKEN}"\n', "quotation marks"), (f"'{TOKEN}'", "quotation marks"), (f"{TOKEN} \n", "space"),
    (f" {TOKEN}", "space"), (f"Bearer {TOKEN}", "space"), (f"{TOKEN}\t", "space"),
    (f"FLEETFS_TOKEN={TOKEN}\n", "FLEETFS_TOKEN="), (f"CYBERUN_KEY={TOKEN}\n", "CYBERUN_KEY=")])
def test_what_an_editor_puts_around_a_token_is_named(sim, refused, path, folder, text, reason):
    api = sim()
    file = token_file(folder, "")
    file.write_bytes(text.encode())
    line = refused("--token_file", file, api.url, path, token=None)
    assert str(file) in line and reason in line and TOKEN not in line
    assert api.requests() == 0, "nothing was sent"


def test_a_utf_16_token_file_is_named(sim, refused, path, folder):
    file = token_file(folder, "")
    file.write_bytes(TOKEN.encode("utf-16"))
    assert "byte order mark" in refused("--token_file", file, sim().url, path, token=None)


def test_quotes_around_a_token_in_a_variable_are_named(sim, refused, path):
    line = refused(sim().url, path, token=f'"{TOKEN}"')
    assert "$FLEETFS_TOKEN" in line and "quotation marks" in line and TOKEN not in line


# The secrets of a container

@pytest.fixture
def read_only(folder):
    """read_only(mode, owner): a secret on a read-only file system of its own."""
    where = folder / "secrets"
    where.mkdir()

    def make(mode, owner=0):
        run("mount", "-t", "tmpfs", "secrets", where)
        file = where / "fleet"
        file.write_text(TOKEN)
        os.chown(file, owner, owner)
        file.chmod(mode)
        run("mount", "-o", "remount,bind,ro", where)
        return file
    return make


@needs_root
@pytest.mark.parametrize("mode", [0o444, 0o644, 0o440, 0o400])
def test_a_secret_of_root_on_a_read_only_file_system_is_accepted(sim, mount, read_only, mode):
    file = read_only(mode)
    fleet = mount(sim(), token=None, token_file=file)
    assert config(fleet)["token"].endswith(f"from {file}")


def put_secret(machine, *owner_or_mode):
    """A secret on a file system of its own: the program and the value that give it its owner or mode."""
    directory = machine.folder / "secrets"
    directory.mkdir()
    machine.check("mount", "-t", "tmpfs", "secrets", directory)
    machine.check("sh", "-c", f"echo {TOKEN} >{directory}/fleet")
    machine.check(*owner_or_mode, directory / "fleet")
    return directory / "fleet"


def make_read_only(machine, file):
    machine.check("mount", "-o", "remount,ro", file.parent)


@needs_root
def test_an_ordinary_user_may_use_such_a_secret(sim, machine):
    file = put_secret(machine, "chmod", "444")
    check = ("fleetfs", "--check", f"--token_file={file}", sim().url)
    done = machine.run(*check, user="ann")
    assert done.returncode == 1 and "mode 0444" in done.stderr
    make_read_only(machine, file)
    assert f"from {file}\n" in machine.check(*check, user="ann")


@needs_root
def test_a_secret_of_another_user_is_rejected_on_a_read_only_file_system_too(sim, fleetfs, read_only):
    file = read_only(0o444, owner=12345)
    done = fleetfs("--check", f"--token_file={file}", sim().url, token=None)
    assert done.returncode == 1 and "uid 12345" in done.stderr


@needs_root
def test_an_ordinary_users_own_open_file_is_rejected_on_a_read_only_file_system(sim, machine):
    file = put_secret(machine, "chown", str(USERS["ann"]))
    make_read_only(machine, file)
    done = machine.run("fleetfs", "--check", f"--token_file={file}", sim().url, user="ann")
    assert done.returncode == 1 and "accessible to other users" in done.stderr


@needs_root
def test_a_secret_that_is_replaced_by_its_symlink_is_read_again(sim, mount, folder):
    """Kubernetes replaces a secret by pointing the symlink of its directory elsewhere."""
    for name, text in (("one", TOKEN), ("two", "sk-other")):
        (folder / name).mkdir()
        token_file(folder / name, text)
    (folder / "data").symlink_to("one")
    (folder / "secret").symlink_to("data/token")
    api = sim()
    fleet = mount(api, token=None, token_file=folder / "secret", ttl=0.1)
    assert len(fleet.agents()) == 42
    (folder / "new").symlink_to("two")
    (folder / "new").rename(folder / "data")
    api.token("sk-other")
    assert len(fleet.agents()) == 42


# CA bundles

@pytest.fixture
def ca_directory(certificates, folder):
    """A directory of CAs in the layout of OpenSSL."""
    where = folder / "cas"
    where.mkdir()
    where.joinpath("ca.pem").write_bytes((certificates / "ca.pem").read_bytes())
    subprocess.run(["openssl", "rehash", where], check=True)
    return where


@pytest.fixture
def https(scripted, certificates):
    return scripted(context=context(certificates, "right"))


def check_ca(fleetfs, *arguments, status=0, **variables):
    done = fleetfs("--check", "--retries=0", *arguments, variables=variables)
    assert done.returncode == status, done
    found = [line for line in done.stdout.splitlines() if line.startswith("ca: ")]
    return found[0][4:] if found else None, done.stderr


def test_ssl_cert_file_is_trusted(https, mount, certificates, fleetfs):
    bundle = certificates / "ca.pem"
    fleet = mount(https, variables={"SSL_CERT_FILE": str(bundle)})
    assert sorted(fleet.agents()) == ["a", "b", "c"]
    assert config(fleet)["ca"].startswith(f"{bundle} from $SSL_CERT_FILE")
    assert check_ca(fleetfs, https.url, SSL_CERT_FILE=str(bundle))[0] == config(fleet)["ca"]


def test_ssl_cert_dir_is_trusted(https, fleetfs, mount, ca_directory, folder):
    dirs = f"{folder}/none::{ca_directory}"
    fleet = mount(https, variables={"SSL_CERT_DIR": dirs})
    assert sorted(fleet.agents()) == ["a", "b", "c"]
    assert f"{folder}/none:{ca_directory} from $SSL_CERT_DIR" in config(fleet)["ca"]
    assert check_ca(fleetfs, https.url, SSL_CERT_DIR=dirs)[0] == config(fleet)["ca"]


def test_without_a_bundle_of_its_own_the_one_of_the_system_is_shown(https, fleetfs):
    told, error = check_ca(fleetfs, https.url, status=1, SSL_CERT_FILE="", SSL_CERT_DIR="")
    assert told.startswith("/") and "from the system" in told and "certificate" in error


def test_cacert_is_trusted_instead_of_both_variables(https, fleetfs, certificates, ca_directory):
    bundle, other = certificates / "ca.pem", certificates / "self-signed.pem"
    told, _ = check_ca(fleetfs, f"--cacert={bundle}", https.url, SSL_CERT_FILE="/nonexistent",
                       SSL_CERT_DIR="/nonexistent")
    assert told == f"{bundle} from cacert"
    told, error = check_ca(fleetfs, f"--cacert={other}", https.url, status=1,
                           SSL_CERT_FILE=str(bundle), SSL_CERT_DIR=str(ca_directory))
    assert told == f"{other} from cacert" and "certificate" in error


def test_relative_paths_to_cas_are_those_of_the_start(https, fleetfs, path, certificates):
    done = fleetfs(https.url, path, cwd=certificates,
                   variables={"SSL_CERT_FILE": "ca.pem", "SSL_CERT_DIR": "a:b"})
    assert done.returncode == 0, done.stderr
    try:
        told = dict(line.split(": ", 1) for line in
                    (path / ".fleetfs/config").read_text().splitlines())["ca"]
        assert told == (f"{certificates}/ca.pem from $SSL_CERT_FILE, {certificates}/a:"
                        f"{certificates}/b from $SSL_CERT_DIR")
        assert sorted(os.listdir(path / "agents")) == ["a", "b", "c"]
    finally:
        run("fusermount3", "-u", path)


@pytest.mark.parametrize("extra", [[], ["--delay_connect"]])
def test_a_ca_bundle_that_cannot_be_read_is_a_failed_start(https, refused, path, folder, extra):
    for missing, reason in ((folder / "none.pem", "No such file"), (folder, "Is a directory")):
        line = refused(*extra, f"--cacert={missing}", https.url, path)
        assert "cacert" in line and str(missing) in line and reason in line
        line = refused(*extra, https.url, path, variables={"SSL_CERT_FILE": str(missing)})
        assert "SSL_CERT_FILE" in line and str(missing) in line and reason in line
    assert not https.handshakes


def test_without_tls_the_ca_variables_are_not_used(sim, mount):
    fleet = mount(sim(), variables={"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent"})
    assert config(fleet)["ca"] == "-" and config(fleet)["cacert"] == "-"


@pytest.mark.parametrize("variable,below", [("SSL_CERT_FILE", "ca.pem"), ("SSL_CERT_DIR", "cas")])
def test_cas_below_the_mount_point_are_a_failed_start(https, refused, path, certificates, variable,
                                                      below):
    (path / "cas").mkdir()
    (path / "ca.pem").write_bytes((certificates / "ca.pem").read_bytes())
    value = f"/nonexistent:{path}/cas" if variable == "SSL_CERT_DIR" else f"{path}/{below}"
    line = refused(https.url, path, variables={variable: value})
    assert f"${variable} {path}/{below}" in line and "below the mount point" in line


def test_a_replaced_ssl_cert_file_is_read_for_the_next_connection(https, mount, certificates, folder):
    bundle = folder / "bundle.pem"
    bundle.write_bytes((certificates / "self-signed.pem").read_bytes())
    fleet = mount(https, ttl=0.1, retries=0, delay_connect=True,
                  variables={"SSL_CERT_FILE": str(bundle), "SSL_CERT_DIR": "/nonexistent"})
    with pytest.raises(OSError):
        fleet.agents()
    bundle.write_bytes((certificates / "ca.pem").read_bytes())
    until(lambda: code_of(fleet.agents) is None)
