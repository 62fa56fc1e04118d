# SPDX-License-Identifier: MIT
"""The benchmark comes to its end; what it measures is not judged here."""

import os
import re
import subprocess
import sys

import pytest

import harness


@pytest.mark.long
@pytest.mark.once  # a sanitizer's figures are of no use
@pytest.mark.skipif(os.geteuid() != 0, reason="the benchmark mounts a tmpfs")
def test_the_benchmark_compares_everything_with_its_bars(programs, folder):
    done = subprocess.run(
        [sys.executable, "-B", harness.HERE.parent / "bench/bench.py", "--smoke",
         f"--build={programs['fleetfs'].parent}"], capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(folder)})
    assert done.returncode == 0, done.stderr
    met, missed = map(int, re.search(r"(\d+) met, (\d+) missed", done.stdout).groups())
    assert met + missed == 23
    assert re.search(r"HTTP requests beyond one a page .* met", done.stdout)
    assert not list(folder.iterdir()), "something is left"


@pytest.mark.long
@pytest.mark.once
def test_many_mounts_are_measured_with_and_without_the_shared_cache(programs, folder):
    done = subprocess.run(
        [sys.executable, "-B", harness.HERE.parent / "bench/scaling.py", "--smoke",
         f"--build={programs['fleetfs'].parent}"], capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(folder)})
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^\| [13] ", done.stdout, re.M)) == 2
    assert "What breaks first" in done.stdout
    assert not list(folder.iterdir()), "something is left"
