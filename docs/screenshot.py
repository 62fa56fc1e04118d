#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes the README's picture of fleet/fleet.html, docs/fleet.png: a simulated fleet, mounted by the
build in build/, in a Chromium without a window, after it has changed for a while."""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/mount"))

import harness  # noqa: E402
import test_html  # noqa: E402

CHANGES = 6


def main(build):
    with tempfile.TemporaryDirectory(prefix="fleetfs-picture-") as folder:
        folder = Path(folder)
        api = harness.Sim(build / "tests/fleetfs-sim", folder, "--agents", 42, "--seed", 7)
        fleet = harness.Mount(build / "fleetfs", folder, api.url, ttl=1)
        browser = test_html.Browser(folder / "chromium")
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
