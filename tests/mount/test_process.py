# SPDX-License-Identifier: MIT
"""What the process inherits, what signals do to it, and which mount it unmounts."""

import contextlib
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import at_once, environment, mounts, opened, unpacked, until

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def mountinfo(path):
    """The lines of mountinfo for a mount point."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if line.split()[4] == str(path)]


def status_of(pid):
    """The letter of a process's state: S, D, T, Z."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def has_ended(pid):
    return not Path("/proc", str(pid)).exists()


def daemons(path):
    """The PIDs of the background processes that serve a mount point."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().split(b"\0")
                if str(path).encode() in line and b"fleetfs" in line[0]:
                    found.append(int(entry.name))
    return found


# Standard descriptors

@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_start_with_standard_descriptors_closed_serves_and_ends(programs, sim, folder, path, closed):
    done = subprocess.run(["bash", "-c", f'exec "$0" "$1" "$2" {closed}', programs["fleetfs"],
                           sim(agents=3).url, path], env=environment(folder), timeout=30)
    assert done.returncode == 0
    (pid,) = daemons(path)
    assert len(os.listdir(path / "agents")) == 3
    for number in range(3 if os.geteuid() == 0 else 0):  # its owner may not look into the process
        assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"
    os.kill(pid, signal.SIGTERM)
    until(lambda: has_ended(pid))
    assert not mountinfo(path)


# In a mount namespace with a /dev of its own. $1: a command that fills /dev; $2, $3...: fleetfs.
OWN_DEV = """
mount -t tmpfs -o dev dev /dev && eval "$1" || exit 99
shift
"$@"
status=$?
[ $status != 0 ] || ls "$(eval echo '$'$#)/agents"
exit $status
"""
FUSE = "mknod /dev/fuse c 10 229"
NULL = "mknod /dev/null c 1 3"


@pytest.fixture
def with_dev(programs, sim, folder, path):
    """with_dev(command, "-f"…, closed=True): runs fleetfs in the background with a /dev that the command fills, and
    lists the agents; with standard descriptors closed. Returns the finished process."""
    def start(command, *options, closed=False):
        closing = "exec \"$@\"" + (" <&- >&- 2>&-" if closed else "")
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", OWN_DEV, "sh", command,
             "sh", "-c", closing, "sh", programs["fleetfs"], *options, sim(agents=3).url, path],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
            env=environment(folder))
    return start


@root
def test_a_start_with_descriptors_closed_fails_without_dev_null(with_dev):
    done = with_dev(f"{FUSE}; {NULL}", closed=True)
    assert (done.returncode, len(done.stdout.split())) == (0, 3), done
    done = with_dev(FUSE, closed=True)
    assert (done.returncode, done.stdout) == (1, ""), done


@root
@pytest.mark.parametrize("device,reason", [
    ("true", "/dev/fuse: No such file or directory (an ordinary user needs it to be mode 0666)"),
    ("mknod /dev/fuse c 10 99", "device"),  # nor is there a module; the words are libfuse's
    ("cp /dev/null /dev/fuse", "mount failed: Invalid argument"),
    (f"{FUSE}; mount -o remount,nodev /dev", "failed to open /dev/fuse: Permission denied: this machine or container "
     "must allow access to the device"),
])
def test_a_start_without_the_device_gives_the_reason(with_dev, path, device, reason):
    # /dev/null is a regular file: nodev applies to it, too.
    done = with_dev(f"touch /dev/null; {device}")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done
    assert done.stderr.startswith(f"fleetfs: cannot mount on {path}: {reason}"), done
    done = with_dev(f"touch /dev/null; {device}", "-d")
    assert done.returncode == 1 and "start with -d" not in done.stderr, done
    assert reason.split(": this")[0] in done.stderr, done


# Paths below the mount point

def test_a_log_below_the_mount_point_is_refused(fleetfs, sim, folder, path):
    api = sim(agents=3)
    (folder / "link").symlink_to(path)
    (folder / "x.log").symlink_to("link/x.log")  # leads to a file that does not exist yet
    for log in (path / "x.log", folder / "link" / "x.log", folder / "mnt" / ".." / "mnt" / "x.log",
                folder / "x.log"):
        done = fleetfs(f"--log_file={log}", api.url, path)
        assert done.returncode == 1 and "log_file" in done.stderr and "below" in done.stderr
    done = fleetfs("--log_file=x.log", api.url, ".", cwd=path)
    assert done.returncode == 1 and "below" in done.stderr
    assert not mountinfo(path)


@root
def test_a_log_below_a_bind_mount_of_the_mount_point_is_refused(fleetfs, sim, folder):
    api, path, other = sim(agents=3), folder / "room" / "mnt", folder / "other"
    path.mkdir(parents=True)
    other.mkdir()
    subprocess.run(["mount", "--bind", folder / "room", other], check=True)
    try:
        done = fleetfs(f"--log_file={other / 'mnt' / 'x.log'}", api.url, path)
        assert done.returncode == 1 and "log_file" in done.stderr and "below" in done.stderr
        assert not mountinfo(path)
    finally:
        subprocess.run(["umount", "-l", other], check=True)


@pytest.mark.parametrize("way", ["mnt/link", "mnt/directory/file", "mnt/../file", "mnt/sub/../../file", "twice",
                                 "mnt/relative"])
def test_a_file_elsewhere_whose_path_leads_through_the_mount_point_is_refused(fleetfs, sim, folder, path, way):
    """While fleetfs is mounted, the path would lead nowhere, so a new token would not be found."""
    api = sim(agents=3)
    file = folder / "file"
    file.write_text("sk-sim\n")
    file.chmod(0o600)
    (path / "sub").mkdir()
    (path / "link").symlink_to(file)
    (path / "relative").symlink_to("../file")
    (path / "directory").symlink_to(folder)
    (folder / "twice").symlink_to(path / "link")
    for option in "token_file", "log_file":
        done = fleetfs(f"--{option}={folder}/{way}", api.url, path)
        assert done.returncode == 1 and f"{option} {folder}/{way} is below" in done.stderr, done.stderr
    # A symlink beside the mount point may have any name and target.
    (folder / "mnt2").symlink_to(f"{folder}/./{'.' * 3}/..//../{folder.name}")
    (folder / "...").mkdir()
    done = fleetfs(f"--token_file={folder}/mnt2/file", f"--log_file={folder}/mnt2/log", api.url, path)
    assert done.returncode == 0, done.stderr
    subprocess.run(["fusermount3", "-u", path], check=True)


@pytest.mark.parametrize("setting", ["cacert", "token_file"])
def test_a_file_below_the_mount_point_is_refused(fleetfs, sim, path, setting):
    api = sim(agents=3)
    file = path / "file"
    file.write_text("sk-x\n")
    file.chmod(0o600)
    done = fleetfs(f"--{setting}={file}", api.url, path)
    assert done.returncode == 1 and setting in done.stderr and "below" in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1


@root
def test_fusermount_inherits_no_connection(sim, mount):
    """With auto_unmount fusermount3 lives as long as the mount."""
    fleet = mount(sim(agents=3), auto_unmount=True)
    assert len(fleet.agents()) == 3
    command = subprocess.run(["pgrep", "-f", f"fusermount3.*{fleet.path}"], capture_output=True,
                             text=True)
    helper = int(command.stdout.split()[0])
    targets = [os.readlink(fd) for fd in Path(f"/proc/{helper}/fd").iterdir()]
    assert sum(target.startswith("socket:") for target in targets) <= 1, targets  # libfuse's own
    assert not [target for target in targets if "signalfd" in target or "eventfd" in target], targets


# Signals

@pytest.mark.parametrize("ending", [signal.SIGQUIT, signal.SIGXCPU])
def test_quit_and_the_cpu_limit_unmount_and_other_signals_are_ignored(sim, mount, ending):
    api = sim(agents=3)
    fleet = mount(api, ttl=600)
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF,
                   signal.SIGPOLL, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGRTMIN,
                   signal.SIGRTMAX):
        fleet.signal(number)
    assert len(fleet.agents()) == 3
    fleet.signal(ending)
    fleet.wait_ended()
    assert not mountinfo(fleet.path)


def test_a_log_at_its_size_limit_stops_nothing(fleetfs, sim, folder, path):
    api = sim(agents=3)
    done = fleetfs(f"--log_file={folder / 'log'}", "--ttl=0.1", api.url, path,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)))
    assert done.returncode == 0, done.stderr
    (pid,) = daemons(path)
    os.kill(pid, signal.SIGHUP)
    assert len(os.listdir(path / "agents")) == 3
    os.kill(pid, signal.SIGTERM)
    until(lambda: not mountinfo(path))
    assert (folder / "log").stat().st_size <= 10


def test_signals_that_the_parent_blocked_or_ignored_work(fleetfs, sim, path):
    api = sim(agents=3)

    def inherit():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))

    assert fleetfs(api.url, path, preexec_fn=inherit).returncode == 0
    (pid,) = daemons(path)
    os.kill(pid, signal.SIGUSR1)
    assert len(os.listdir(path / "agents")) == 3
    os.kill(pid, signal.SIGTERM)
    until(lambda: not mountinfo(path))


def ignore_sigchld():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def test_a_failed_start_gives_one_reason_although_sigchld_is_ignored(refused, path):
    assert "refused" in refused("http://127.0.0.1:9", path, preexec_fn=ignore_sigchld)


def test_a_hangup_during_the_start_does_not_end_it(programs, sim, folder, path):
    api = sim(agents=3)
    api.hold(page=1)
    process = subprocess.Popen([programs["fleetfs"], "-f", api.url, path],
                               env=environment(folder), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until(lambda: api.held() >= 1)
        process.send_signal(signal.SIGHUP)
        api.release()
        until(lambda: mountinfo(path))
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.stderr.close()


@pytest.mark.parametrize("keep", [False, True])
def test_a_foreground_mount_ends_with_its_terminal_unless_nohup(programs, sim, folder, path, keep):
    api = sim(agents=3)
    pid, master = pty.fork()
    if pid == 0:
        if keep:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execve(programs["fleetfs"], ["fleetfs", "-f", api.url, str(path)],
                  environment(folder))
    try:
        until(lambda: mountinfo(path))
        os.kill(pid, signal.SIGHUP)  # from elsewhere: it goes on
        assert len(os.listdir(path / "agents")) == 3
        os.close(master)
        if keep:
            time.sleep(0.2)  # in which it must not end
            assert len(os.listdir(path / "agents")) == 3
            os.kill(pid, signal.SIGTERM)
        until(lambda: status_of(pid) == "Z")
        assert not mountinfo(path)
    finally:
        os.kill(pid, signal.SIGKILL)
        ended = os.waitpid(pid, 0)[1]
        subprocess.run(["umount", "-l", path], stderr=subprocess.DEVNULL)
    assert os.waitstatus_to_exitcode(ended) == 0


@root
def test_a_hangup_while_the_mount_covers_dev_blocks_nothing(programs, sim, folder):
    api, path = sim(agents=3), folder / "mnt"
    path.mkdir()
    pid, master = pty.fork()
    if pid == 0:
        os.execve("/usr/bin/unshare", ["unshare", "--mount", programs["fleetfs"], "-f", api.url, str(path)],
                  environment(folder))
    inside = ["timeout", "-s", "KILL", "5", "nsenter", "-m", "-r", "-t", str(pid)]
    try:
        until(lambda: subprocess.run([*inside, "mountpoint", "-q", path], check=False).returncode == 0)
        subprocess.run([*inside, "mount", "--bind", path, "/dev"], check=True)
        os.kill(pid, signal.SIGHUP)
        subprocess.run([*inside, "ls", path / "agents"], check=True, stdout=subprocess.DEVNULL)
        os.close(master)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    except subprocess.CalledProcessError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


# Limits

def test_a_small_stack_limit_is_raised_or_refused(fleetfs, sim, path, instrumented):
    if instrumented:
        pytest.skip("the sanitizers need a larger stack")
    api = sim(agents=3)
    small = 64 << 10
    done = fleetfs(api.url, path, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_STACK, (small, resource.RLIM_INFINITY)))
    assert done.returncode == 0, done.stderr
    assert len(os.listdir(path / "agents")) == 3
    subprocess.run(["umount", path], check=True)
    done = fleetfs(api.url, path,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, (small, small)))
    assert done.returncode == 1 and "stack" in done.stderr, done
    assert len(done.stderr.splitlines()) == 1


def test_a_small_descriptor_limit_is_raised_or_refused(fleetfs, sim, folder):
    api, path = sim(agents=3), folder / "mnt"
    path.mkdir()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = fleetfs(api.url, path,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (8, hard)))
    assert done.returncode == 0, done.stderr
    assert len(os.listdir(path / "agents")) == 3
    subprocess.run(["umount", path], check=True)
    done = fleetfs(api.url, path,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8)))
    assert done.returncode == 1 and "ulimit -n" in done.stderr, done
    assert len(done.stderr.splitlines()) == 1


@root
@pytest.mark.alone
@pytest.mark.parametrize("name", ["max_request_timeout", "default_request_timeout"])
def test_the_kernels_own_limit_bounds_the_timeout(sim, mount, folder, name):
    sysctl = Path("/proc/sys/fs/fuse", name)
    if not sysctl.exists():
        pytest.skip("this kernel has no limit of its own")
    before = sysctl.read_text()
    sysctl.write_text("40\n")
    try:
        log = folder / "log"
        fleet = mount(sim(agents=3), timeout=60, log_file=log)
        assert "timeout is 39 s instead of 60 s" in log.read_text()
        assert f"fs.fuse.{name}" in log.read_text()
        assert "timeout: 39\n" in (fleet / ".fleetfs" / "config").read_text()
    finally:
        sysctl.write_text(before)


# Whose mount is unmounted

@root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_lazily_detached_mount_does_not_take_the_next_one_away(sim, mount, folder, number):
    fleet = mount(sim(agents=3))
    with opened(fleet / "agents"):
        subprocess.run(["fusermount3", "-uz", fleet.path], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", fleet.path], check=True)
        try:
            Path(fleet.path, "kept").write_text("x")
            fleet.signal(number)
            assert fleet.process.wait(15) == 0
            assert Path(fleet.path, "kept").read_text() == "x"
        finally:
            subprocess.run(["umount", "-l", fleet.path], check=True)


@root
def test_a_mount_that_was_moved_is_unmounted_where_it_is(fleetfs, sim, folder):
    api = sim(agents=3)
    room = folder / "room"
    path, other = room / "mnt", room / "moved to here"
    room.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", room], check=True)
    subprocess.run(["mount", "--make-private", room], check=True)
    try:
        path.mkdir()
        other.mkdir()
        assert fleetfs(api.url, path).returncode == 0
        (pid,) = daemons(path)
        subprocess.run(["mount", "--move", path, other], check=True)
        os.kill(pid, signal.SIGTERM)
        until(lambda: has_ended(pid))
        assert list(mounts(room)) == [str(room)]
    finally:
        subprocess.run(["umount", "-l", room], check=True)


@root
def test_a_mount_whose_parent_was_renamed_is_unmounted(fleetfs, sim, folder):
    api = sim(agents=3)
    parent, later = folder / "before", folder / "after"
    (parent / "mnt").mkdir(parents=True)
    assert fleetfs(api.url, parent / "mnt").returncode == 0
    (pid,) = daemons(parent / "mnt")
    parent.rename(later)
    os.kill(pid, signal.SIGTERM)
    until(lambda: has_ended(pid))
    assert not mounts(later)


@root
def test_a_mount_that_is_covered_is_left_and_reported(programs, sim, folder, path):
    log = folder / "log"
    process = subprocess.Popen([programs["fleetfs"], "-f", f"--log_file={log}", sim(agents=3).url,
                                path], env=environment(folder),
                               stdin=subprocess.DEVNULL)
    try:
        until(lambda: mountinfo(path))
        until(lambda: log.read_text())
        subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)
        (path / "kept").write_text("x")
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 1
        assert (path / "kept").read_text() == "x"
        assert "cannot unmount" in log.read_text()
        assert ": unmounted" not in log.read_text()
    finally:
        process.kill()
        while mountinfo(path):
            subprocess.run(["umount", "-l", path], check=True)


@root
def test_an_aborted_mount_is_unmounted(sim, mount):
    fleet = mount(sim(agents=3))
    (line,) = mountinfo(fleet.path)
    minor = line.split()[2].split(":")[1]
    control = Path("/sys/fs/fuse/connections")
    mounted_here = False
    if not list(control.iterdir()):
        subprocess.run(["mount", "-t", "fusectl", "none", control], check=True)
        mounted_here = True
    try:
        (control / minor / "abort").write_text("1")
    finally:
        if mounted_here:
            subprocess.run(["umount", "-l", control], check=True)
    fleet.process.wait(15)
    assert not mountinfo(fleet.path)


@pytest.mark.parametrize("writable", [True, False])
def test_of_many_starts_at_once_exactly_one_mounts(fleetfs, sim, folder, path, writable):
    api = sim(agents=3)
    (folder / "link").symlink_to(path)
    if not writable:
        path.chmod(0o555)
    results = at_once([lambda where=where: fleetfs(api.url, where)
                       for where in [path, folder / "link"] * 5])
    try:
        assert sorted(done.returncode for done in results) == [0] + [1] * 9, results
        assert all("busy" in done.stderr for done in results if done.returncode)
        assert len(mountinfo(path)) == 1
    finally:
        subprocess.run(["fusermount3", "-u", path], check=False)


# Readers that are stopped

@pytest.fixture
def waiting(sim, mount, blocked):
    """A reader that waits for a page: the simulator, the mount and the reader."""
    api = sim(agents=3)
    fleet = mount(api, ttl=600, timeout=30, delay_connect=True)
    api.hold(page=1)
    cat = blocked("cat", fleet / "agents" / api.agents()[0]["agent_id"] / "status")
    until(lambda: api.held() >= 1 and status_of(cat.process.pid) == "S")
    return api, fleet, cat


def wait_until_interrupted(fleet, cat):
    """Waits until fleetfs has handled the interrupt that the kernel reports when a signal is pending."""
    until(lambda: status_of(cat.process.pid) != "S")  # after it, the reader waits uninterruptibly
    os.statvfs(fleet.path)  # fleetfs reads this request after the interrupt


def ends_well(api, cat):
    api.release()
    status, output, errors = cat.result()
    assert status == 0 and output, errors


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP])
def test_a_reader_that_is_stopped_and_continued_goes_on_waiting(waiting, number):
    api, fleet, cat = waiting
    os.kill(cat.process.pid, number)
    wait_until_interrupted(fleet, cat)
    os.kill(cat.process.pid, signal.SIGCONT)
    time.sleep(0.2)  # fleetfs checks the reader every 50 ms, and nothing shows that it did
    assert cat.running()
    ends_well(api, cat)


CATCHER = """
import os, signal, sys
signal.signal(int(sys.argv[2]), lambda number, frame: None)
signal.siginterrupt(int(sys.argv[2]), False)
print("ready", flush=True)
names = os.listdir(sys.argv[1])
print(len(names))
"""

RAISER = """
import os, signal, sys
def interrupt(number, frame):
    raise InterruptedError
signal.signal(int(sys.argv[2]), interrupt)
print("ready", flush=True)
try:
    os.listdir(sys.argv[1])
except InterruptedError:
    print("interrupted")
"""


def catching(sim, mount, blocked, program, number):
    """A reader that handles a signal and waits for the first page."""
    api = sim(agents=30)
    fleet = mount(api, ttl=600, timeout=60, delay_connect=True)
    api.hold()
    reader = blocked(sys.executable, "-c", program, fleet / "agents", str(int(number)))
    assert reader.process.stdout.readline() == b"ready\n"
    until(lambda: api.held() >= 1)
    return api, fleet, reader


@pytest.mark.parametrize(
    "name", ["SIGCHLD", "SIGWINCH", "SIGURG", "SIGCONT", "SIGIO", "SIGTSTP", "SIGTTIN", "SIGTTOU"]
)
def test_a_reader_that_catches_a_harmless_signal_goes_on_waiting(sim, mount, blocked, name):
    number = getattr(signal, name)
    api, fleet, reader = catching(sim, mount, blocked, CATCHER, number)
    os.kill(reader.process.pid, number)
    wait_until_interrupted(fleet, reader)
    time.sleep(0.2)  # as above
    assert reader.running()
    api.release()
    status, output, errors = reader.result()
    assert (status, output) == (0, b"30\n"), errors


@pytest.mark.alone
@pytest.mark.parametrize("before", [None, "SIGWINCH"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1"])
def test_a_reader_that_catches_an_interruption_is_interrupted(sim, mount, blocked, name, before):
    number = getattr(signal, name)
    program = "import signal; signal.signal(signal.SIGWINCH, lambda *_: None)" + RAISER
    api, fleet, reader = catching(sim, mount, blocked, program, number)
    if before:
        os.kill(reader.process.pid, getattr(signal, before))
        wait_until_interrupted(fleet, reader)
    os.kill(reader.process.pid, number)
    status, output, errors = reader.result(2)
    assert (status, output) == (0, b"interrupted\n"), errors
    assert api.held() >= 1
    api.release()


def test_a_glob_is_complete_although_a_background_job_ends(sim, mount, blocked):
    api = sim(agents=30)
    fleet = mount(api, ttl=600, timeout=60, delay_connect=True)
    api.hold()
    shell = blocked("bash", "-c", 'sleep 0.3 & set -- "$0"/*; echo $#; wait', fleet / "agents")
    until(lambda: api.held() >= 1)
    time.sleep(0.6)
    api.release()
    status, output, errors = shell.result()
    assert (status, output) == (0, b"30\n"), errors


@root
@pytest.mark.parametrize("tracer", ["strace", "gdb"])
def test_a_reader_that_a_tracer_attaches_to_goes_on_waiting(waiting, blocked, folder, tracer):
    program = unpacked(tracer)
    api, fleet, cat = waiting
    options = {"strace": ["-o", folder / "trace"], "gdb": ["--batch", "-ex", "detach"]}
    blocked(program, *options[tracer], "-p", str(cat.process.pid))
    until(lambda: "TracerPid:\t0\n" not in Path(f"/proc/{cat.process.pid}/status").read_text())
    wait_until_interrupted(fleet, cat)
    time.sleep(0.2)  # as above
    assert cat.running()
    ends_well(api, cat)


@pytest.mark.alone
def test_a_reader_that_is_killed_after_a_stop_ends_at_once(waiting):
    api, fleet, cat = waiting
    os.kill(cat.process.pid, signal.SIGSTOP)
    wait_until_interrupted(fleet, cat)
    took, status = cat.end(signal.SIGKILL)
    assert status == -signal.SIGKILL and took < 0.1, took
    api.release()


IN_A_PID_NAMESPACE = """
fleetfs=$0 url=$1 path=$2 pid=$3
"$fleetfs" --ttl=600 --timeout=60 --delay_connect "$url" "$path" || exit
echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid
ls "$path/agents" &
test $! = "$pid" || exit
read -r line
kill -KILL $!
wait $!
echo ended
"""


@root
@pytest.mark.alone
def test_a_reader_is_killed_at_once_although_proc_is_of_another_pid_namespace(programs, sim, folder, path):
    """In that /proc another process, here of this test, has the ID of the reader."""
    api = sim(agents=3)
    api.hold()
    script = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", IN_A_PID_NAMESPACE,
                               programs["fleetfs"], api.url, path, str(os.getpid())], env=environment(folder),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        until(lambda: api.held() >= 1)
        began = time.monotonic()
        script.stdin.write(b"\n")
        script.stdin.close()
        assert script.stdout.readline() == b"ended\n"
        assert time.monotonic() - began < 2
    finally:
        subprocess.run(["umount", "-l", path], check=True)
        script.kill()
        script.wait()
        script.stdout.close()
