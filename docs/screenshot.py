#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures of fleet/fleet.html: a simulated fleet, mounted by the build in build/, in a headless Chromium.

    docs/screenshot.py             docs/fleet.png, the picture in the README
    docs/screenshot.py DIRECTORY   fleets of 42 to 5,000 agents in each window, light and dark, in
                                   print, with forced colours and as a table, to be looked at after a
                                   change of the page"""

import contextlib
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/mount"))

import browser as browsers  # noqa: E402
import harness  # noqa: E402

BUILD = HERE.parent / "build"
CHANGES = 6
SIZES = "desktop", "wide", "phone"


@contextlib.contextmanager
def fleet_of(count, directory, ttl=600, **options):
    """The mount and the simulator of a fleet of so many agents."""
    directory = directory / str(count)
    directory.mkdir()
    api = harness.Sim(BUILD / "tests/fleetfs-sim", directory, "--agents", count, "--seed", 7)
    fleet = harness.Mount(BUILD / "fleetfs", directory, api.url, ttl=ttl, timeout=60, **options)
    try:
        yield fleet, api
    finally:
        fleet.stop()
        api.stop()


def change(browser, api):
    for _ in range(CHANGES):
        api.step()
        browser.await_newer()


def shoot(browser, path):
    browser.driver.save_screenshot(str(path))
    print(path)


def shoot_readme(browser, directory):
    with fleet_of(42, directory, ttl=2, name="Fleet") as (fleet, api):
        browser.open(fleet, "#group=GPU+model")
        change(browser, api)
        shoot(browser, HERE / "fleet.png")


def shoot_all(browser, directory, to):
    to.mkdir(parents=True, exist_ok=True)
    for count in 42, 300, 1000, 5000:
        with fleet_of(count, directory) as (fleet, _):
            for size in SIZES:
                for scheme in "light", "dark":
                    browser.open(fleet, size=size)
                    browser.media(scheme)
                    shoot(browser, to / f"{count}-{size}-{scheme}.png")
            browser.open(fleet, "#status=busy&status=unhealthy")
            browser.media(kind="print")
            shoot(browser, to / f"{count}-print.png")
            browser.media(forced="active")
            shoot(browser, to / f"{count}-forced-colours.png")
            browser.open(fleet, "#view=table&sort=free+VRAM")
            shoot(browser, to / f"{count}-table.png")


def main(to=None):
    with tempfile.TemporaryDirectory(prefix="fleetfs-picture-") as directory:
        directory = Path(directory)
        browser = browsers.Browser(directory / "chromium")
        try:
            if to:
                shoot_all(browser, directory, Path(to))
            else:
                shoot_readme(browser, directory)
        finally:
            browser.driver.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
