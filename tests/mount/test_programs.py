# SPDX-License-Identifier: MIT
"""Common programs work on the mount: copies are equal, nothing hangs, nothing can be changed."""

import errno
import fcntl
import mmap
import os
import pwd
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

import expected
from harness import Mount, copy_program, mounts, run, until

AGENTS = 130


@pytest.fixture
def fleet(sim, mount):
    api = sim(agents=AGENTS)
    mounted = mount(api, ttl=600)
    mounted.api = api
    return mounted


def one_sweep(fleet):
    assert fleet.api.pages() == {1: 1, 2: 1}


def agent(fleet):
    return fleet.api.agents()[-1]


def test_tar_packs_a_copy_that_diff_finds_equal(fleet, folder):
    copy = folder / "copy"
    copy.mkdir()
    run("tar", "-C", fleet.path, "-cf", folder / "fleet.tar", "agents")
    run("tar", "-C", copy, "-xf", folder / "fleet.tar")
    assert run("diff", "-r", fleet / "agents", copy / "agents") == ""
    assert expected.walk(copy / "agents") == expected.walk(fleet / "agents")
    one_sweep(fleet)


def test_rsync_copies_and_then_has_nothing_to_do(fleet, folder):
    run("rsync", "-a", f"{fleet.path}/agents", folder / "copy")
    assert run("diff", "-r", fleet / "agents", folder / "copy/agents") == ""
    assert run("rsync", "-ai", f"{fleet.path}/agents", folder / "copy") == ""
    assert run("rsync", "-aic", f"{fleet.path}/agents", folder / "copy") == ""
    one_sweep(fleet)


def test_cp_copies_the_directory(fleet, folder):
    run("cp", "-r", fleet / "agents", folder / "copy")
    assert run("diff", "-r", fleet / "agents", folder / "copy") == ""
    one_sweep(fleet)


def test_whole_mount_can_be_copied_with_its_status_files(fleet, folder):
    run("cp", "-a", fleet.path, folder / "by-cp")
    run("rsync", "-a", f"{fleet.path}/", folder / "by-rsync")
    run("tar", "-C", fleet.path, "-cf", folder / "by-tar", ".")
    run("rg", "-c", "--hidden", ".", fleet.path)
    one_sweep(fleet)


def test_find_counts_what_is_there(fleet):
    assert len(run("find", fleet / "agents", "-mindepth", "1", "-maxdepth", "1").split()) == AGENTS
    assert len(run("find", fleet / "agents", "-name", "status", "-type", "f").split()) == AGENTS
    files = run("find", fleet / "agents", "-type", "f", "-size", "+0").split()
    assert len(files) == sum(bool(content) for content in expected.walk(fleet / "agents").values())
    run("find", fleet.path, "-type", "f", "-exec", "cat", "{}", "+")
    one_sweep(fleet)


@pytest.mark.parametrize("command", [["grep", "-rl"], ["rg", "-l", "--hidden", "--no-ignore"]])
def test_grep_and_rg_find_each_busy_agent_once(fleet, command):
    statuses = {a["agent_id"]: a["agent_status"] for a in fleet.api.agents()}
    hits = run(*command, "-x", "-g" if command[0] == "rg" else "--include", "status", "busy",
               fleet.path).split()
    assert sorted(hits) == sorted(f"{fleet.path}/agents/{name}/status"
                                  for name, status in statuses.items() if status == "busy")
    everywhere = run(*command, "NVIDIA", fleet.path).split()
    assert len(everywhere) == len(set(everywhere)) > AGENTS
    one_sweep(fleet)


def test_du_and_wc_and_head_agree_on_sizes(fleet):
    contents = expected.walk(fleet / "agents")
    apparent = int(run("du", "-s", "--apparent-size", "-B1", fleet / "agents").split()[0])
    assert apparent == sum(map(len, contents.values()))
    assert int(run("du", "-s", "-B1", fleet / "agents").split()[0]) >= apparent
    for path in list(contents)[:200:7]:
        content, file = contents[path], fleet / "agents" / path
        assert int(run("wc", "-c", file).split()[0]) == len(content)
        assert run("head", "-c", "3", file) == content[:3].decode()
        assert run("tail", "-c", "3", file) == content[-3:].decode()
        assert run("dd", f"if={file}", "bs=1", "status=none") == content.decode()
    one_sweep(fleet)


def test_mmap_and_sendfile_show_the_same_as_read(fleet, folder):
    where = f"agents/{agent(fleet)['agent_id']}/agent.json"
    with open(fleet / where, "rb") as opened:
        with mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert mapped[:] == fleet.read(where)
        with open(folder / "out", "wb") as out:
            size = os.fstat(opened.fileno()).st_size
            assert os.sendfile(out.fileno(), opened.fileno(), 0, size) == size
    assert (folder / "out").read_bytes() == fleet.read(where)


def test_shell_script_works_on_the_fleet(fleet):
    free = run("bash", "-c", "total=0; for f in agents/*/gpu_free; do read -r n <$f && "
                             "((total += n)); done; echo $total", cwd=fleet.path)
    wanted = sum(max(0, a["gpu_capacity"] - a["running_count"]) for a in fleet.api.agents()
                 if "gpu_capacity" in a and "running_count" in a)
    assert int(free) == wanted
    table = run("bash", "-c", "paste -d' ' agents/*/status | tr ' ' '\\n' | sort | uniq -c",
                cwd=fleet.path)
    assert sum(int(line.split()[0]) for line in table.splitlines()) == AGENTS
    one_sweep(fleet)


def test_nothing_can_be_written(fleet):
    where = fleet / "agents" / agent(fleet)["agent_id"]
    attempts = {
        "write": lambda: open(where / "status", "w"),
        "append": lambda: open(where / "status", "ab"),
        "create": lambda: open(where / "new", "x"),
        "mkdir": lambda: os.mkdir(fleet / "agents/new"),
        "unlink": lambda: os.unlink(where / "status"),
        "rmdir": lambda: os.rmdir(where / "labels"),
        "rename": lambda: os.rename(where / "status", where / "id"),
        "chmod": lambda: os.chmod(where / "status", 0o600),
        "chown": lambda: os.chown(where / "status", 1, 1),
        "utime": lambda: os.utime(where / "status"),
        "truncate": lambda: os.truncate(where / "status", 0),
        "symlink": lambda: os.symlink("x", fleet / "link"),
        "link": lambda: os.link(where / "status", where / "link"),
    }
    for name, attempt in attempts.items():
        with pytest.raises(OSError) as caught:
            attempt()
        assert caught.value.errno == errno.EROFS, name
    assert not os.access(where / "status", os.W_OK)
    with pytest.raises(OSError) as caught:
        os.setxattr(where / "status", "user.x", b"y")
    assert caught.value.errno in (errno.EROFS, errno.ENOTSUP)


def test_nothing_can_be_executed(fleet):
    where = fleet / "agents" / agent(fleet)["agent_id"] / "status"
    with pytest.raises(PermissionError):
        subprocess.run([where], check=False)
    assert not os.access(where, os.X_OK)


def test_ls_causes_no_xattr_requests(fleet):
    listing = run("ls", "-laZ", "--color=always", fleet / "agents")
    assert len(listing.splitlines()) == AGENTS + 3
    with pytest.raises(OSError) as caught:
        os.listxattr(fleet / "agents")
    assert caught.value.errno == errno.ENOTSUP
    run("stat", "-f", fleet.path)
    assert run("df", "--output=size,used,avail", fleet.path).split()[-3:] == ["0", "0", "0"]


def test_directory_can_be_the_working_directory(fleet):
    name = agent(fleet)["agent_id"]
    assert run("bash", "-c", f"cd agents/{name} && cat ../{name}/id ../../agents/{name}/id; pwd -P",
               cwd=fleet.path) == f"{name}\n{name}\n{fleet.path}/agents/{name}\n"


def test_a_saved_copy_of_one_moment_compares_with_a_later_one(sim, mount, folder):
    api = sim(agents=1)
    agents = [{"agent_id": f"n{i}", "agent_status": "idle"} for i in range(5)]
    api.put_agents(agents)
    fleet = mount(api, ttl=0.3)
    run("cp", "-r", fleet / "agents", folder / "before")
    agents[2]["agent_status"] = "busy"
    api.put_agents(agents)
    until(lambda: fleet.text("agents/n2/status") == "busy\n")
    differences = run("diff", "-rq", folder / "before", fleet / "agents", status=1)
    assert sorted(line.split()[1].rsplit("before/", 1)[1] for line in differences.splitlines()) == [
        "n2/agent.json", "n2/status"]


# As an ordinary user

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.fixture
def device():
    """/dev/fuse of this test alone, since its mode affects all users."""
    with open(Path(tempfile.gettempdir(), "fleetfs-test-device.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield "/dev/fuse"


@pytest.fixture
def open_device(device):
    """The mode that udev sets; on a bare machine only root may open it."""
    mode = os.stat(device).st_mode & 0o7777
    os.chmod(device, 0o666)
    yield
    os.chmod(device, mode)


@pytest.mark.skipif(os.getuid() != 0, reason="these tests run as an ordinary user already")
def test_an_ordinary_user_mounts_reads_and_unmounts(programs, folder, sim, stopping, open_device):
    path = folder / "theirs"
    path.mkdir()
    os.chown(path, 65534, 65534)
    os.chmod(folder, 0o777)  # the sanitizers' reports
    api = sim(agents=130)
    mounted = Mount(copy_program(programs["fleetfs"], folder), folder, api.url, path=path,
                    prefix=NOBODY, ttl=600)
    stopping.append(mounted)
    assert os.stat(f"/proc/{mounted.pid}").st_uid == 65534
    names = run(*NOBODY, "ls", path / "agents").split()
    assert sorted(names) == sorted(a["agent_id"] for a in api.agents())
    run(*NOBODY, "tar", "-C", path, "-cf", folder / "theirs.tar", ".")
    assert run(*NOBODY, "cat", path / "agents" / names[0] / "id") == names[0] + "\n"
    owners = set(run(*NOBODY, "find", path, "-printf", "%u:%g %M\n").splitlines())
    name = pwd.getpwuid(65534).pw_name
    assert owners == {f"{name}:nogroup {mode}"
                      for mode in ("dr-xr-xr-x", "-r--r--r--", "lrwxrwxrwx")}
    with pytest.raises(PermissionError):  # even root, as FUSE has it without allow_other
        os.listdir(path)
    run(*NOBODY, "fusermount3", "-u", path)
    mounted.wait_ended()
    assert str(path) not in mounts()


@pytest.mark.skipif(os.getuid() != 0, reason="these tests run as an ordinary user already")
def test_ordinary_user_unmounts_with_a_signal(programs, folder, sim, stopping, open_device):
    path = folder / "theirs"
    path.mkdir()
    os.chown(path, 65534, 65534)
    os.chmod(folder, 0o777)
    mounted = Mount(copy_program(programs["fleetfs"], folder), folder, sim(agents=3).url, path=path,
                    prefix=NOBODY, ttl=600)
    stopping.append(mounted)
    mounted.signal(signal.SIGINT)
    mounted.wait_ended()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to be somebody else")
def test_ordinary_user_without_the_device_gets_the_reason(programs, folder, sim, device):
    if os.stat(device).st_mode & 0o006 == 0o006:
        pytest.skip("/dev/fuse is for everybody here")
    path = folder / "theirs"
    path.mkdir()
    os.chown(path, 65534, 65534)
    done = subprocess.run([*NOBODY, copy_program(programs["fleetfs"], folder), sim(agents=3).url,
                           path], env={"FLEETFS_TOKEN": "sk-sim", "PATH": os.environ["PATH"]},
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "/dev/fuse" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
