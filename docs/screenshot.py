#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes docs/fleet.png, the screenshot of fleet/fleet.html in the README: a simulated fleet after some
changes, mounted by the build in build/, in a headless Chromium."""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/mount"))

import harness  # noqa: E402
import test_html  # noqa: E402

CHANGES = 6


def main(build):
    with tempfile.TemporaryDirectory(prefix="fleetfs-picture-") as directory:
        directory = Path(directory)
        api = harness.Sim(build / "tests/fleetfs-sim", directory, "--agents", 42, "--seed", 7)
        fleet = harness.Mount(build / "fleetfs", directory, api.url, ttl=1)
        browser = test_html.Browser(directory / "chromium")
        try:
            browser.open(fleet, "#group=GPU+model")
            for _ in range(CHANGES):
                api.step()
                browser.await_newer()
            browser.driver.save_screenshot(str(HERE / "fleet.png"))
        finally:
            browser.driver.quit()
            fleet.stop()
            api.stop()


if __name__ == "__main__":
    main(HERE.parent / "build")
