# SPDX-License-Identifier: MIT
"""The commands of README.md and docs/operations.md, run as they are written there: only the host of the
API and directories outside of the home directory differ. The others are run by
tests/package/test_package.py. A block of commands that no test runs must say why."""

import ast
import os
import re
import subprocess

import pytest

from documents import DOCUMENTS, blocks
from harness import HERE, TOKEN, environment, mounts, run, until
from machine import USERS
from tls import context

pytestmark = pytest.mark.once

SOURCE = HERE.parent.parent
MANUAL = SOURCE / "docs/fleetfs.8"
URL = "https://core.example.com/api/v1/r"
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root to have an /etc of its own")


@pytest.fixture
def home(programs, folder):
    """A user's home directory, and fleetfs in the PATH. Runs a script in it, which may read stdin."""
    (folder / "bin").mkdir()
    (folder / "bin/fleetfs").symlink_to(programs["fleetfs"])
    variables = environment(folder, token=None, LC_ALL="C.UTF-8",
                            PATH=f"{folder}/bin:{os.environ['PATH']}")

    def run_script(script, status=0, **options):
        done = subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=variables, text=True,
                              capture_output=True, timeout=60, **options)
        assert done.returncode == status, (script, done.stdout, done.stderr)
        return done.stdout + done.stderr
    yield run_script
    for where in mounts(folder):
        run("fusermount3", "-u", where)


def functions_of(file):
    """{name of a function: names of its arguments}"""
    return {node.name: [argument.arg for argument in node.args.args]
            for node in ast.parse((SOURCE / file).read_text()).body
            if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_of_commands_is_run_or_says_why_not(document):
    found = list(blocks(document))
    assert len(found) > 5
    for mark, text in found:
        assert mark, f"no test runs this, and no comment before it says why:\n{text}"
        if mark[1]:
            assert "commands" in functions_of(mark[1]).get(mark[2], []), mark[0]


def test_a_newcomer_can_read_the_readme():
    assert len(DOCUMENTS[0].read_text().splitlines()) <= 150


@pytest.mark.parametrize("document", [*SOURCE.glob("*.md"), *SOURCE.glob("docs/*.md"),
                                      *SOURCE.glob("contrib/*/*.md")],
                         ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_link_to_a_file_leads_somewhere(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if not re.match(r"https?:|#", link):
            assert (document.parent / link.split("#")[0]).exists(), link


def test_every_figure_of_the_readme_is_from_a_measurement():
    section = DOCUMENTS[0].read_text().split("\n## Why not")[1].split("\n## ")[0]
    performance = (SOURCE / "docs/performance.md").read_text()
    idle = re.search(r"which agents are idle +\| +\d+ \| +([\d.]+) \| +([\d.]+) ", performance)
    grep = re.search(r"grep -r, warm +\| +([\d.]+) \| +([\d.]+) ", performance)
    pages = re.search(r"grep -r, after the ttl, nothing changed +\| +(\d+) \|", performance)
    assert f"takes {idle[2]} ms, with `curl` and `jq` {idle[1]} ms" in section
    assert f"takes {grep[2]} s; it takes {grep[1]} s on tmpfs" in " ".join(section.split())
    assert f"and {pages[1]}, one for each page" in section
    drift = (SOURCE / "tests/bench/fleet_completeness.c").read_text()
    seeds, listings = map(int, re.search(r"(\d+) seeds, (\d+) listings each", drift).groups())
    first, later, doubled = re.search(r"one for one, 30 % +(\d+) +(\d+) +(\d+) ", drift).groups()
    assert (later, doubled) == ("0", "0") and "of 300 agents that stay" in drift
    worst = max(int(cold) for cold in re.findall(r"^ \*\t\S.{26}(?: *)(\d+) +0 +0 +0 ", drift, re.M))
    text = " ".join(section.split())
    assert f"{seeds} mounts list 300 permanent agents {listings} times each" in text
    assert f"Of the {seeds * listings * 300:,} entries {first} were missed" in text
    assert f"at most {worst} were missed" in text


def test_cost_of_a_fleet_in_motion_is_that_of_the_simulation():
    text = (SOURCE / "contrib/cache/README.md").read_text().split("### A fleet in motion")[1].split("\n## ")[0]
    drift = (SOURCE / "tests/bench/fleet_completeness.c").read_text()
    still, few, many = (round(float(re.search(rf"^ \*\t{kind} +(?:\d+ +){{6}}([\d.]+) ", drift, re.M)[1]))
                        for kind in ("none", "one for one, 5 %", "one for one, 30 %"))
    text = " ".join(text.split())
    assert f"needs {still} requests for a listing of {still} pages that do not change" in text
    assert f"before 5 % of the requests, it needs {few} on average; at 30 %, {many}." in text


def test_manual_and_readme_have_the_limits_of_the_fleet():
    ports = (SOURCE / "cache/ports.h").read_text()
    agents = int(re.search(r"#define FLEET_MAX_AGENTS +(\d+)", ports)[1])
    assert re.search(r"#define FLEET_MAX_BYTES +\(UINT64_C\(1\) << 30\)", ports)
    limits = MANUAL.read_text().split(".Sh LIMITS")[1].split(".Sh ")[0]
    assert "may take 1 GiB of memory" in limits and f"{agents:,} agents at most" in limits
    assert "may take 1 GiB of memory" in DOCUMENTS[0].read_text()


def test_each_unit_in_the_manual_sets_its_source():
    """Otherwise a copied example sends the token to the host that is the default of the unit."""
    examples = [block.split(".Ed")[0] for block in MANUAL.read_text().split(".Bd -literal")[1:]]
    units = [example for example in examples if "enable --now fleetfs@" in example]
    assert len(units) == 2
    for example in units:
        assert re.search(r"SOURCE=https://core\.example\.com/.*prod\.conf", example, re.S), example


def test_first_mount(commands, sim, home, folder):
    url = sim(agents=3).url
    prepare, mount, check, unmount = (text.replace(URL, url) for text in commands)
    home(prepare, input=f"{TOKEN}\n")
    assert (folder / ".config/fleetfs/token").stat().st_mode & 0o777 == 0o600
    shown = home(mount)
    assert "gpu-node" in shown and "where/status=idle" in shown
    shown = home(check)
    assert "list: " in shown and "state: ok" in shown
    home(unmount)
    assert not mounts(folder)


def test_questions(commands, sim, mount, folder):
    """Each command answers, and those that would never end are ended."""
    api = sim(agents=200)
    fleet = mount(api, path=made(folder / "fleet"), ttl=600)
    change, *lines = commands[0].splitlines()
    assert change == "cd ~/fleet" and 10 <= len(lines) <= 12
    os.listdir(fleet / "agents")
    for line in lines:
        if line.startswith("xdg-open "):
            assert fleet.read(line.split()[1]).startswith(b"<!DOCTYPE html>")
            continue
        done = subprocess.run(["timeout", "2", "bash", "-c", line], cwd=fleet.path, text=True,
                              capture_output=True, timeout=30)
        assert done.returncode in (0, 124) and not done.stderr, (line, done)
        never_ends = line.startswith("tail -F ")
        assert (done.returncode == 124) == never_ends, line
        if "-newer" not in line and not never_ends:
            assert done.stdout, line


def made(path):
    path.mkdir()
    return path


def test_unmounting_a_busy_mount(commands, sim, mount, folder):
    fleet = mount(sim(agents=3), path=made(folder / "fleet"), ttl=600)
    command, = commands
    with open(fleet / "README", encoding="utf-8") as file:
        busy = subprocess.run(["fusermount3", "-u", fleet.path], capture_output=True, check=False)
        assert busy.returncode == 1 and b"busy" in busy.stderr
        run("bash", "-c", command, env={**os.environ, "HOME": str(folder)})
        assert not fleet.mounted() and os.listdir(fleet.path) == []
        assert file.read().startswith("A fleet of GPU machines")
        assert fleet.process.poll() is None
    fleet.wait_ended()


@needs_root
def test_line_of_fstab(commands, sim, machine):
    """For the user whose home directory is in the line."""
    line, use = commands
    home = machine.folder / "ann"
    (home / ".config/fleetfs").mkdir(parents=True)
    (home / "fleet").mkdir()
    token = home / ".config/fleetfs/token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    for path in (home, home / "fleet", home / ".config", token):
        os.chown(path, USERS["ann"], -1)
    machine.fstab.write_text(line.replace(URL, sim(agents=3).url).replace("/home/ann", str(home)))
    mount, unmount = use.splitlines()
    for command, inside in ((mount, 3), (unmount, 0)):
        machine.check("bash", "-c", command, user="ann", variables={"HOME": str(home)})
        found = machine.run("ls", home / "fleet/agents", user="ann").stdout.split()
        assert len(found) == inside
    until(lambda: not machine.running())


@needs_root
def test_line_of_fstab_for_all_users(commands, sim, machine):
    path, token = made(machine.folder / "srv"), machine.folder / "prod.token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    machine.fstab.write_text(commands[0].replace(URL, sim(agents=3).url)
                             .replace("/srv/fleet", str(path))
                             .replace("/etc/fleetfs/prod.token", str(token)))
    machine.check("mount", "-a")
    assert len(machine.check("ls", path / "agents", user="bob").split()) == 3
    machine.check("umount", path)
    until(lambda: not machine.running())


def test_updatedb(commands, folder):
    settings = folder / "updatedb.conf"
    settings.write_text('PRUNE_BIND_MOUNTS="yes"\nPRUNEFS="NFS fuse.sshfs"\n')
    command = commands[0].removeprefix("sudo ").replace("/etc/updatedb.conf", str(settings))
    run("bash", "-c", command)
    assert settings.read_text() == 'PRUNE_BIND_MOUNTS="yes"\nPRUNEFS="NFS fuse.sshfs fuse.fleetfs"\n'


def test_check(commands, scripted, certificates, fleetfs):
    """It prints the steps that the document shows, with times and names of its own."""
    command, *wanted = commands[0].splitlines()
    assert command == f"$ fleetfs --check {URL}"
    api = scripted([f"n{i}" for i in range(250)], context=context(certificates, "right"))
    done = fleetfs("--check", f"--cacert={certificates}/ca.pem", api.url)
    assert done.returncode == 0, done.stderr
    found = done.stdout.splitlines()

    def step(line):
        return re.sub(r"[\d.]+", "N", line.split(",")[0])
    assert [line.split(": ")[0] for line in found] == [line.split(": ")[0] for line in wanted]
    assert [step(line) for line in found[2:]] == [step(line) for line in wanted[2:]]
    assert re.fullmatch(r"list: \S+ s, 250 agents on 3 pages, as many as the API counts", found[-1])
