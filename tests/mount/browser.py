# SPDX-License-Identifier: MIT
"""A headless Chromium that opens fleet/fleet.html, for tests and for pictures of it."""

import shutil

from harness import until

try:
    from selenium import webdriver
except ImportError:
    webdriver = None
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = [name for name, found in (("python3-selenium", webdriver), ("chromium", CHROMIUM),
                                    ("chromium-driver", DRIVER)) if not found]
PAGE = "fleet/fleet.html"
SIZES = {"desktop": (1280, 900), "wide": (2560, 1300), "tablet": (800, 1100), "phone": (390, 844)}


class Browser:
    """Chromium without a window, and the page in it."""

    def __init__(self, folder):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--force-color-profile=srgb", f"--user-data-dir={folder}"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.chrome.service.Service(DRIVER)
        self.driver = webdriver.Chrome(service=service, options=options)

    def open(self, fleet, state="", size="desktop", page=PAGE):
        width, height = SIZES[size]
        self.driver.get("about:blank")
        self.media()
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=size == "phone")
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=size == "phone")
        self.driver.get(f"file://{fleet / page}{state}")
        return self

    def js(self, script, *arguments):
        return self.driver.execute_script(f"return {script}", *arguments)

    def cdp(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def media(self, scheme="light", kind="screen", forced="none"):
        self.cdp("Emulation.setEmulatedMedia", media=kind,
                 features=[{"name": "prefers-color-scheme", "value": scheme},
                           {"name": "forced-colors", "value": forced}])

    def names(self):
        """Of the agents that are shown, in their order."""
        return self.js("[...document.querySelectorAll('.pick')].map(made => made.agent)")

    def statuses(self):
        return self.js("Object.fromEntries([...document.querySelectorAll('.tile')]"
                       ".map(tile => [tile.agent, tile.dataset.status]))")

    def groups(self):
        return self.js("[...document.querySelectorAll('#fleet h2:not([hidden])')]"
                       ".map(h => h.textContent)")

    def text(self, selector):
        return self.js("document.querySelector(arguments[0]).textContent", selector)

    def time(self):
        """Of the data that is shown."""
        return self.js("document.getElementById('age').dataset.time")

    def click(self, selector):
        self.driver.find_element("css selector", selector).click()

    def choose(self, select, option):
        """In the way of a keyboard user, who gets no popup that a driver cannot reach."""
        self.js("(element => { element.value = arguments[1]; element.dispatchEvent("
                "new Event('change', {bubbles: true})); })(document.getElementById(arguments[0]))",
                select, option)
        assert self.js("document.getElementById(arguments[0]).value", select) == option

    def hover(self, selector):
        element = self.driver.find_element("css selector", selector)
        webdriver.ActionChains(self.driver).move_to_element(element).perform()

    def tap(self, selector):
        x, y = self.js("(box => [box.x + box.width / 2, box.y + box.height / 2])"
                       "(document.querySelector(arguments[0]).getBoundingClientRect())", selector)
        self.cdp("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.cdp("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def texts(self, selector):
        """Of the elements that can be seen."""
        return self.js("[...document.querySelectorAll(arguments[0])].filter(e => "
                       "e.checkVisibility()).map(e => e.textContent)", selector)

    def type(self, words, selector="#filter"):
        self.driver.find_element("css selector", selector).send_keys(words)

    def keys(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    def console(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def await_newer(self, seconds=20):
        before = self.time()
        until(lambda: self.time() != before, seconds, 0.05)
