# SPDX-License-Identifier: MIT
"""Small, large and odd fleets on fleet/fleet.html: each agent can be told from the others, what needs
somebody and what is free can be found, and nothing is shown that the API did not report."""

import collections
import json
import re
import time
import uuid

import pytest

from browser import MISSING, PAGE
from harness import until
from test_html import CONTRASTS, LONG, ids
from test_reports import free_of

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} is not installed")]

GIB = 1 << 30
COLUMNS = ["name", "status", "available GPUs", "free GPUs", "tasks", "free VRAM", "heartbeat",
           "GPU model", "label", "version"]


def stamp(seconds=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def agent_of(name, *gpus, **fields):
    """An agent; gpus: (total, free) in GiB, None: absent."""
    devices = [{key: value * GIB for key, value in (("vram_total", total), ("vram_free", free))
                if value is not None} | {"device_name": "L40S"} for total, free in gpus]
    return {"agent_id": name, "agent_status": "idle", "agent_version": "1", "last_heartbeat": stamp(),
            "gpu_capacity": len(gpus), "running_count": 0,
            "system_stats": {"gpu_devices": devices}, **fields}


def served(sim, agents):
    api = sim(agents=1)
    api.put_agents(agents)
    return api


def tile_of(browser, name):
    return browser.js("[...document.querySelectorAll('.pick')].find(made => made.agent === arguments[0])"
                      ".innerText.replace(/\\s+/g, ' ')", name)


def spoken_of(browser, name):
    return browser.js("[...document.querySelectorAll('.pick')].find(made => made.agent === arguments[0])"
                      ".getAttribute('aria-label')", name)


# Names

CLIPPED = """[...document.querySelectorAll('.tile, .tile .name, h2, .status')].filter(e =>
    e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > innerWidth)
    .map(e => e.textContent)"""
USED = """(() => { const box = document.getElementById('fleet').getBoundingClientRect();
    return [...document.querySelectorAll('.tile')].reduce((most, tile) =>
        Math.max(most, tile.getBoundingClientRect().right), 0) / box.right; })()"""
FLEETS = {
    "sites": lambda i: f"{('gpu-node', 'ams1-gpu', 'fra2-gpu', 'sjc1-rig')[i % 4]}-{i:05}",
    "one prefix": lambda i: f"production-eu-west-gpu-node-{i:05}",
    "UUIDs": lambda i: str(uuid.uuid5(uuid.NAMESPACE_URL, str(i))),
    "differ in the middle": lambda i: f"{'a' * 60}-{i:05}-{'b' * 60}.example.com",
    "differ in two places": lambda i: f"{'a' * 30}{i // 30:03}{'b' * 30}{i % 30:03}{'c' * 30}",
    "spaces and invisible characters": lambda i: ("x" + " " * (i % 3) + "\u200b" * (i // 3 % 4) +
                                                  f"{i // 12}" + " " * (i % 2)),
}


@pytest.mark.parametrize("kind", FLEETS)
@pytest.mark.parametrize("count", [42, 300, 1000])
def test_each_agent_has_a_name_of_its_own_that_is_not_clipped(sim, mount, browser, count, kind):
    fleet = mount(served(sim, [agent_of(FLEETS[kind](i), (48, 24)) for i in range(count)]), ttl=LONG)
    for size in ("desktop", "phone", "wide") if kind == "sites" else ("desktop", "phone"):
        browser.open(fleet, size=size)
        texts = browser.texts(".tile .name")
        assert len(texts) == len(set(texts)) == count
        assert browser.js(CLIPPED) == []
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
        assert browser.js(USED) > 0.9


def test_the_common_prefix_is_left_out_once_tiles_are_small(sim, mount, browser):
    """Also if a few agents have other names."""
    names = [f"production-eu-west-gpu-node-{i:05}" for i in range(300)] + ["other", "00001"]
    fleet = mount(served(sim, [agent_of(name, (48, 24)) for name in names]), ttl=LONG)
    browser.open(fleet, "#group=none")
    texts = browser.texts(".tile .name")
    assert {"00007", "00299", "other"} <= set(texts)
    assert "00001" in texts and "production-eu-west-gpu-node-00001" in texts  # the same otherwise
    assert "production-eu-west-gpu-node-" in browser.text("#legend")
    browser.type("0000")
    assert "production-eu-west-gpu-node-00007" in browser.texts(".tile .name")  # there is room


# Large fleets

@pytest.fixture
def heat(sim, mount, browser):
    """Of 2,000 agents."""
    api = sim(agents=2000, threads=2)
    fleet = mount(api, ttl=LONG, timeout=60)
    fleet.api = api
    browser.open(fleet)
    assert browser.js("document.querySelectorAll('.heat .tile').length") == 2000
    return fleet


def test_a_heat_map_shows_what_is_unhealthy_and_what_is_free(heat, browser):
    order = [heading.split()[0] for heading in browser.groups()]
    assert order == ["unhealthy", "idle", "busy", "syncing", "tunnel"]
    agents = {agent["agent_id"]: agent for agent in heat.api.agents()}
    free = {name: free_of(agent) if agent["agent_status"] in ("idle", "busy") else 0
            for name, agent in agents.items()}
    shown = browser.js("[...document.querySelectorAll('.tile')].map(tile => [tile.agent, "
                       "tile.textContent, tile.classList.contains('loud')])")
    for name, text, loud in shown:
        status = agents[name]["agent_status"]
        letter = {"unhealthy": "!"}.get(status, status[0].upper())
        assert text == ("?" if free[name] is None else str(free[name]) if free[name] else letter)
        assert loud == (bool(free[name]) or status == "unhealthy")
    available = sum(filter(None, free.values()))
    assert f"GPUs available {available}" in browser.text("#totals")
    unknown = collections.Counter(agents[name]["agent_status"] for name in free if free[name] is None)
    assert browser.texts("#fleet > section > p")[0] == "0 GPUs available"
    assert browser.texts("#fleet > section > p")[1].endswith(
        f" GPUs available, unknown for {unknown['idle']} agents")


LOOK = """(style => [style.borderTopStyle, style.borderTopWidth, style.fontWeight].concat(
    arguments[1] ? [style.backgroundColor, style.color] : []).join())
    (getComputedStyle(document.querySelector(arguments[0])))"""


def test_legend_of_a_heat_map_has_the_looks_of_its_squares(heat, browser):
    """In forced colours the four looks differ without any colour of the page."""
    kinds = {"unhealthy": "[data-status=unhealthy]", "GPUs available": ".loud:not([data-status=unhealthy])",
             "unknown how many are free": ".unknown", "no GPU available; letter: status": ":not(.loud, .unknown)"}
    for words, kind in kinds.items():
        assert browser.js("document.querySelector(arguments[0]).parentNode.textContent",
                          f"#legend .square{kind}").endswith(f" {words}")
    for forced in False, True:
        browser.media(forced="active" if forced else "none")
        samples, squares = ([browser.js(LOOK, f"{where} .square{kind}", forced) for kind in kinds.values()]
                            for where in ("#legend", "#fleet"))
        assert samples == squares
        assert browser.js("""[...document.querySelectorAll('.square')].every(square => (square.dataset.status ===
            'unhealthy') === (getComputedStyle(square).borderRadius === '50%'))""")
        assert not forced or len(set(squares)) == 4
    browser.choose("sort", "free VRAM")
    assert len(browser.texts("#legend .square")) == 4


def test_ages_in_a_heat_map_have_units(sim, mount, browser):
    """In at most three characters. The patterns allow for a minute that the test may take."""
    ages = {"101 s": "[12]m", "30 min": "3[01]m", "110 min": "1h", "50 h": "50h", "5 d": "5d", "400 d": "57w"}
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    agents = [agent_of(age, last_heartbeat=stamp(-int(age.split()[0]) * units[age.split()[1]]))
              for age in ages]
    agents += [agent_of("ahead", last_heartbeat=stamp(300)), agent_of("silent", last_heartbeat=None)]
    agents += [agent_of(f"node-{i}") for i in range(1600)]
    fleet = mount(served(sim, agents), ttl=LONG, timeout=60)
    browser.open(fleet, "#group=none&sort=heartbeat")
    shown = browser.js("Object.fromEntries([...document.querySelectorAll('.heat .tile')].map(tile => "
                       "[tile.agent, tile.textContent]))")
    for name, pattern in (ages | {"ahead": "[+]", "silent": "[?]"}).items():
        assert re.fullmatch(pattern, shown[name]), name
    assert all(re.fullmatch(r"\d{1,2}s", text) for name, text in shown.items() if "node" in name)
    assert "+ ahead of this machine's clock" in browser.text("#legend")
    assert re.search("heartbeat [345] min ahead", spoken_of(browser, "ahead"))


def test_a_heat_map_uses_the_whole_width(heat, browser):
    for size in "phone", "desktop", "wide":
        browser.open(heat, size=size)
        assert browser.js(USED) > 0.99


def test_a_printed_heat_map_names_the_unhealthy_agents(heat, browser):
    assert browser.texts("#unhealthy-names li") == []
    assert "point at a square" in "".join(browser.texts("#legend li"))
    browser.media(kind="print")
    assert "point at a square" not in "".join(browser.texts("#legend li"))
    assert browser.texts("#unhealthy-names li") == ["Unhealthy:", *ids(
        agent for agent in heat.api.agents() if agent["agent_status"] == "unhealthy")]
    assert len(browser.texts("#nameless")) == 1 and '"Show all"' in browser.texts("#nameless")[0]
    browser.media()
    assert browser.texts("#nameless") == []
    browser.type("0001")
    browser.media(kind="print")  # large tiles have names themselves
    assert browser.texts("#unhealthy-names li, #nameless") == []


def test_many_unhealthy_agents_leave_room_for_the_printed_heat_map(sim, mount, browser):
    agents = [agent_of(f"node-{i:04}", agent_status="unhealthy") for i in range(1600)]
    browser.open(mount(served(sim, agents), ttl=LONG))
    browser.media(kind="print")
    names = browser.texts("#unhealthy-names li")
    assert len(names) == 302 and names[-1] == "and 1300 more"


def test_a_square_shows_its_name_to_the_pointer_the_keyboard_and_a_finger(heat, browser):
    tiles = browser.names()

    def line():
        return browser.texts("#readout")
    assert line() == []
    browser.hover(".tile:not(.loud)")
    until(lambda: line() and line()[0].split()[0][1:] in tiles, every=0.05)
    assert "VRAM free" in line()[0] and "heartbeat" in line()[0]
    browser.js("document.querySelector('.tile').focus()")
    until(lambda: tiles[0] in "".join(line()), every=0.05)
    browser.keys("\ue014")  # right
    assert tiles[1] in line()[0]
    browser.keys("\ue00c")  # Escape
    assert line() == []
    browser.open(heat, size="phone")
    browser.tap(".tile")
    until(lambda: tiles[0] in "".join(line()), every=0.05)
    assert not browser.js("document.getElementById('agent').open")
    browser.tap(".tile")  # the same one again
    until(lambda: browser.js("document.getElementById('agent').open"), every=0.05)
    assert browser.text("#agent-name") == tiles[0]


def test_a_long_table_begins_with_its_first_rows(heat, browser):
    for button in "#more", "#table .more":
        browser.open(heat, "#view=table")
        assert len(browser.names()) == 500
        assert browser.texts("#more") == ["Show all 2000 agents"]
        browser.click(button)
        assert browser.names() == ids(heat.api.agents())
        assert browser.texts(".more, caption") == []
        assert browser.js("[document.activeElement.agent, document.activeElement.className]") == \
            ([ids(heat.api.agents())[500], "pick link"] if button == "#more" else [None, "scroll"])


def test_a_long_table_says_above_it_how_much_it_shows(heat, browser):
    """Also to a screen reader, as the name of the table, and in print."""
    browser.open(heat, "#view=table")
    assert browser.js("document.querySelector('caption').getBoundingClientRect().bottom <= "
                      "document.querySelector('#table thead').getBoundingClientRect().top")
    names = [node["name"]["value"] for node in browser.cdp("Accessibility.getFullAXTree")["nodes"]
             if node.get("role", {}).get("value") == "table" and not node.get("ignored")]
    assert [name for name in names if name.startswith("The first 500 of 2000 agents.")]
    browser.media(kind="print")
    assert browser.texts("caption span") == ["The first 500 of 2000 agents."]
    assert browser.texts(".more") == []
    browser.media()
    browser.type("0001")
    assert browser.texts("caption") == []


# Filters, orders, the table

def test_statuses_are_filters(sim, mount, browser):
    api = sim(agents=60)
    fleet = mount(api, ttl=0.5)
    agents = api.agents()
    counts = collections.Counter(agent["agent_status"] for agent in agents)
    browser.open(fleet)

    def buttons():
        return browser.js("Object.fromEntries([...document.querySelectorAll('.status')].map(b => "
                          "[b.children[1].textContent.trim(), b.children[2].textContent]))")

    def press(status):
        browser.click(f"#statuses [data-status={status}]")

    def shown():
        return set(browser.statuses().values())
    assert buttons() == {status: str(counts[status]) for status in
                         ("unhealthy", "idle", "busy", "syncing", "tunnel")}
    press("busy")
    assert shown() == {"busy"} and len(browser.names()) == counts["busy"]
    assert browser.text("#found") == f"{counts['busy']} agents shown"
    assert f"Agents {counts['busy']} of 60" in browser.text("#totals")
    press("idle")
    assert shown() == {"busy", "idle"}
    assert buttons()["unhealthy"] == str(counts["unhealthy"])  # still to be seen
    browser.await_newer()
    assert browser.js("document.activeElement.dataset.status") == "idle"
    browser.driver.refresh()
    assert shown() == {"busy", "idle"}
    assert browser.js("[...document.querySelectorAll('[aria-pressed=true]')]"
                      ".map(b => b.dataset.status)") == ["idle", "busy"]
    press("busy")
    press("idle")
    assert len(browser.names()) == 60


@pytest.mark.parametrize("count", [42, 300])
def test_tiles_show_what_they_are_sorted_by(sim, mount, browser, count):
    api = sim(agents=count)
    fleet = mount(api, ttl=LONG)
    browser.open(fleet, "#group=none")

    def of(agent):
        gpus = agent["system_stats"]["gpu_devices"]
        free = "?" if free_of(agent) is None else free_of(agent)
        model = re.sub("NVIDIA (GeForce )?", "", gpus[0]["device_name"])
        gib = sum(gpu["vram_free"] for gpu in gpus) / GIB
        return {
            "free GPUs": f"{free}/{agent['gpu_capacity']}",
            "available GPUs": str(free if agent["agent_status"] in ("idle", "busy") else 0),
            "tasks": str(agent.get("running_count", "?")),
            "free VRAM": f"{gib:.1f}" if gib < 100 else f"{gib:.0f}" if gib < 1000 else "TiB",
            "heartbeat": " s", "GPU model": model, "label": agent["agent_labels"][0],
            "version": agent["agent_version"]}
    wanted = {agent["agent_id"]: of(agent) for agent in api.agents()}
    for column in COLUMNS[2:]:
        browser.choose("sort", column)
        tiles = browser.js("Object.fromEntries([...document.querySelectorAll('.tile')].map(tile => "
                           "[tile.agent, tile.innerText]))")
        for name, text in tiles.items():
            value = wanted[name][column]
            if column == "free VRAM" and value not in text:  # rounded otherwise
                value = str(float(value) + 0.1)[:5] if "." in value else str(int(value) + 1)
            assert value in text, (column, text)
        assert browser.js(CLIPPED) == []


def direction(browser):
    """Of the order: the arrow, and the words, which are shown and which a screen reader reads."""
    arrow = browser.js("getComputedStyle(document.getElementById('reverse'), '::after').content")
    words, = browser.texts("#" + browser.js("document.getElementById('reverse').getAttribute('aria-describedby')"))
    return arrow.split('"')[1].strip(), words


def test_an_order_can_be_reversed_and_unknown_values_stay_last(sim, mount, browser):
    fleet = mount(served(sim, [agent_of("a", (48, 10)), agent_of("b", (48, None)),
                               agent_of("c", (48, 40)), agent_of("d", (48, 20))]), ttl=LONG)
    browser.open(fleet, "#group=none&sort=free+VRAM")
    assert browser.names() == ["c", "d", "a", "b"]
    assert direction(browser) == ("\u25bc", "most free VRAM first")
    browser.click("#reverse")
    assert browser.names() == ["a", "d", "c", "b"]
    assert direction(browser) == ("\u25b2", "least free VRAM first")
    browser.driver.refresh()
    assert browser.names() == ["a", "d", "c", "b"]
    browser.choose("sort", "name")
    assert browser.names() == ["a", "b", "c", "d"]
    assert direction(browser) == ("\u25b2", "names A to Z")


def test_a_table_fits_or_shows_that_it_scrolls(sim, mount, browser):
    fleet = mount(sim(agents=42), ttl=LONG)
    browser.open(fleet, "#view=table")
    left = "(around => around.scrollWidth - around.clientWidth)(document.querySelector('.scroll'))"
    assert browser.js(left) == 0
    browser.open(fleet, "#view=table", size="phone")
    assert browser.js(left) > 0
    assert len(set(browser.js("[...document.querySelectorAll('#table tbody tr')].map(row => "
                              "Math.round(row.offsetHeight))"))) == 1  # what scrolls has no reason to wrap
    assert browser.js("getComputedStyle(document.querySelector('.scroll')).backgroundAttachment") == \
        "local, scroll"
    browser.media(forced="active")
    assert "gradient" in browser.js("getComputedStyle(document.querySelector('.scroll')).backgroundImage")


def test_a_table_is_sorted_by_its_headings(sim, mount, browser):
    api = sim(agents=42)
    fleet = mount(api, ttl=0.5)
    browser.open(fleet)
    browser.choose("view", "table")
    agents = {agent["agent_id"]: agent for agent in api.agents()}
    assert browser.names() == sorted(agents)
    assert browser.texts("#table thead th") == COLUMNS
    assert browser.js("document.querySelectorAll('.tile').length") == 0

    def press(column):
        browser.click(f"#table [data-sort='{column}']")
        values = [sum(gpu["vram_free"] for gpu in agents[name]["system_stats"]["gpu_devices"])
                  for name in browser.names()]
        return values, browser.js("[...document.querySelectorAll('#table [aria-sort]')].map(head => "
                                  "[head.innerText.split(' ').slice(0, 2).join(' '), "
                                  "head.getAttribute('aria-sort')])")
    values, marks = press("free VRAM")
    assert values == sorted(values, reverse=True) and marks == [["free VRAM", "descending"]]
    values, marks = press("free VRAM")
    assert values == sorted(values) and marks == [["free VRAM", "ascending"]]
    row = browser.js("[...document.querySelector('#table tbody tr').children].map(c => c.innerText)")
    first = agents[browser.names()[0]]
    assert row[0] == first["agent_id"] and row[1].endswith(first["agent_status"])
    assert row[8] == ", ".join(first["agent_labels"]) and row[9] == first["agent_version"]
    browser.js("document.querySelectorAll('.pick')[3].focus()")
    focused = browser.names()[3]
    browser.await_newer()
    assert browser.js("document.activeElement.agent") == focused
    browser.keys("\ue015")  # down
    assert browser.js("document.activeElement.agent") == browser.names()[4]
    browser.keys("\ue007")  # Enter
    assert browser.js("document.getElementById('agent').open")
    browser.keys("\ue00c")
    browser.choose("view", "tiles")
    assert len(browser.js("[...document.querySelectorAll('.tile')].map(t => t.agent)")) == 42


# Title, legend

def test_title_and_heading_are_the_name_of_the_fleet(sim, mount, browser, folder):
    page = mount(sim(agents=3), ttl=LONG).text(PAGE)
    (folder / "named").mkdir()
    for name, shown in ("Paris", "Paris"), ("<b>&", "<b>&"), ("x" * 200, None):
        text = page.replace('"verified":', f'"title":{json.dumps(name)},"verified":'
                            .replace("<", "\\u003c"), 1)
        (folder / "named/page.html").write_text(text)
        browser.open(folder / "named", page="page.html")
        shown = shown or browser.text("h1")
        assert len(shown) <= 40 and browser.text("h1") == shown
        assert browser.js("document.title").startswith(f"{shown}: 3 agents")
    browser.console()  # the copy cannot be read again from a directory of this name


def test_a_legend_explains_each_size_of_tile(sim, mount, browser):
    api = sim(agents=2000, threads=2)
    fleet = mount(api, ttl=LONG, timeout=60)
    some = ids(api.agents())
    for words, kind, explained in ((some[0], "full", "VRAM used of each GPU"),
                                   (some[0][:8], "compact", "VRAM used"), ("", "heat", "available")):
        browser.open(fleet, f"#q={words}")
        assert browser.js("document.querySelector('#fleet ul').className") == kind
        assert explained in browser.text("#legend"), kind
    browser.choose("view", "table")
    assert "? unknown" in browser.text("#legend")


def test_each_legend_defines_what_is_available(sim, mount, browser):
    api = sim(agents=2000, threads=2)
    fleet = mount(api, ttl=LONG, timeout=60)
    some = ids(api.agents())
    for state in f"q={some[0]}", f"q={some[0][:8]}", "", "sort=tasks", "view=table":
        browser.open(fleet, f"#{state}")
        assert "available: free GPUs of agents that are idle or busy" in browser.text("#legend"), state


def test_free_gpus_that_are_not_available_are_struck_through(sim, mount, browser):
    """Those of an agent that is neither idle nor busy."""
    statuses = "unhealthy", "idle", "busy", "syncing", "tunnel"
    agents = [agent_of(status, (48, 24), agent_status=status) for status in statuses] + \
        [agent_of("none free", (48, 24), agent_status="tunnel", running_count=1),
         agent_of("unknown", (48, 24), agent_status="tunnel", running_count=None)]
    few = mount(served(sim, agents), ttl=LONG)
    many = mount(served(sim, agents + [agent_of(f"node-{i}", (48, 24)) for i in range(200)]), ttl=LONG)
    for fleet, value in (few, ".free-GPUs"), (many, ".value"):
        browser.open(fleet)
        struck = browser.js("[...document.querySelectorAll(`.tile ${arguments[0]}`)].filter(e => "
                            "getComputedStyle(e).textDecorationLine === 'line-through')"
                            ".map(e => e.closest('.tile').agent)", value)
        assert sorted(struck) == ["syncing", "tunnel", "unhealthy"]
        assert "?/1" in tile_of(browser, "unknown")
        assert "free but not available" in "".join(browser.texts("#legend li"))
        assert browser.texts("#fleet > section > p")[0] == "0 GPUs available"
        assert "1/1 GPUs free but not available" in spoken_of(browser, "tunnel")
        assert "1/1 GPUs free," in spoken_of(browser, "idle")


# Odd agents

def test_one_odd_agent_does_not_push_the_others_away(sim, mount, browser):
    """In any window, whatever is long."""
    long = "long-" * 2000
    odd = agent_of("z" * 300, (48, 24), agent_status=long, agent_version=long, tool=long,
                   agent_labels=[long] * 20, sync_phase=long, sync_detail=long, sync_percent=2 ** 50,
                   current_task_id=long, running_tasks=[long] * 5, gpu_capacity=2 ** 50)
    odd["system_stats"]["gpu_devices"] = [{"device_name": long[:5000], "vram_total": GIB, "vram_free": 0}] * 99
    others = [agent_of(f"node-{i}", (48, 24)) for i in range(9)]
    fleet = mount(served(sim, [odd, *others]), ttl=LONG)
    for size in "desktop", "wide", "phone":
        for group in "status", "label", "GPU model", "version", "none":
            browser.open(fleet, f"#group={group.replace(' ', '+')}", size=size)
            assert browser.js("document.documentElement.scrollWidth <= innerWidth"), group
            # All ten are within two windows.
            assert browser.js("document.documentElement.scrollHeight < 2.3 * innerHeight"), group
            assert not [text for text in browser.texts("#totals, #statuses, h2, .tile")
                        if len(text) > 500]
    browser.choose("view", "table")
    assert len(browser.names()) == 10
    assert browser.js("[...document.querySelectorAll('#table td')].every(c => c.innerText.length < 60)")


def test_hundreds_of_statuses_and_labels_leave_the_documented_ones_in_sight(sim, mount, browser):
    agents = [agent_of(f"node-{i:03}", (48, 24), agent_status=f"odd {i}", agent_labels=[f"l{i}"])
              for i in range(200)]
    fleet = mount(served(sim, agents + [agent_of("good", (48, 24))]), ttl=LONG)
    browser.open(fleet)
    names = browser.js("[...document.querySelectorAll('.status .word')].map(w => w.textContent.trim())")
    assert names == ["unhealthy", "idle", "busy", "syncing", "tunnel",
                     *(f"odd {i}" for i in range(5)), "other statuses"]
    assert browser.texts(".status .letter") == [*"!IBST", *"*" * 6]  # "?" is an unknown number
    assert browser.groups()[0] == "idle (1)" and browser.groups()[-1] == "other statuses (162)"
    browser.click("#statuses li:last-child button")
    assert len(browser.names()) == 195 and "good" not in browser.names()
    browser.click("#statuses li:last-child button")
    browser.choose("group", "label")
    assert len(browser.groups()) == 40
    assert sorted(browser.names()) == ids(agents + [{"agent_id": "good"}])


def test_what_is_not_known_is_not_made_up(sim, mount, browser):
    fleet = mount(served(sim, [
        agent_of("ahead", (48, 24), last_heartbeat=stamp(400 * 86400)),
        agent_of("silent", last_heartbeat=None), agent_of("no free", (48, None)),
        agent_of("impossible", (40, 50)), agent_of("no vram", (None, None)),
        agent_of("half known", (48, 24), (48, None)), agent_of("no counts", gpu_capacity=None),
        agent_of("negative", (48, 24), running_count=-5), agent_of(""), agent_of("zero", (0, 0)),
        agent_of("no status", (48, 24), agent_status=""),
    ]), ttl=LONG)
    browser.open(fleet, "#group=none")
    assert "400 d ahead" in tile_of(browser, "ahead") or "399 d ahead" in tile_of(browser, "ahead")
    assert "unknown" in tile_of(browser, "silent") and "heartbeat unknown" in spoken_of(browser, "silent")
    bars = browser.js("Object.fromEntries([...document.querySelectorAll('.tile')].map(tile => "
                      "[tile.agent, [...tile.querySelectorAll('.bar')].map(bar => "
                      "bar.classList.contains('unknown') ? '?' : bar.firstChild.style.width)]))")
    assert bars["ahead"] == ["50%"] and bars["half known"] == ["50%", "?"]
    for name in "no free", "impossible", "no vram", "zero":
        assert bars[name] == ["?"]
        assert "VRAM unknown" in tile_of(browser, name)
        assert "VRAM free 1 GPU unknown" in spoken_of(browser, name)
    assert "?/?" in tile_of(browser, "no counts") and "?/1" in tile_of(browser, "negative")
    empty = tile_of(browser, "%")
    assert "(empty ID)" in empty and "idle" in empty
    assert "no status" in browser.texts(".tile .word")
    totals = browser.text("#totals")
    # "of": also the GPU of the agent whose tasks, and the VRAM of the GPUs whose free VRAM is unknown
    assert "GPUs available 7 unknown for 2 agents" in totals
    assert "GPUs free 8 of 9 unknown for 2 agents" in totals
    assert "VRAM free 96.0 of 288 GiB unknown for 5 GPUs" in totals
    assert "free GPUs unknown" in spoken_of(browser, "no counts")
    assert "?/4 free unknown how many are free" in browser.text("#legend")
    assert "-" not in totals
    browser.choose("view", "table")
    assert browser.js("[...document.querySelectorAll('#table td')].every(c => "
                      "!/-\\d|NaN|null|undefined|Infinity/.test(c.innerText))")
    details = {"impossible": "reported as 50.0 GiB of 40.0 GiB free, which is impossible",
               "no free": "48.0 GiB, free: unknown", "no vram": "unknown, free: unknown"}
    for name, words in details.items():
        browser.js("history.replaceState(null, '', '#agent=' + encodeURIComponent(arguments[0])), "
                   "dispatchEvent(new Event('hashchange'))", name)
        assert words in browser.text("#agent")
        browser.keys("\ue00c")


def models(browser):
    return browser.js("[...document.querySelectorAll('#models tbody tr')].map(row => "
                      "[...row.children].map(cell => cell.textContent).join())")


def of_model(model, name, *gpus, **fields):
    made = agent_of(name, *gpus, **fields)
    for gpu in made["system_stats"]["gpu_devices"]:
        gpu["device_name"] = model
    return made


def test_models_tell_what_is_unknown(sim, mount, browser):
    """No sum counts it as 0, and the words above the table are those of the totals."""
    fleet = mount(served(sim, [
        of_model("A", "a1", (48, 24)), of_model("A", "a2", (48, 24), running_count=None),
        of_model("B", "b1", (48, None), (48, 12)), of_model("C", "c1", (None, None), running_count=None),
    ]), ttl=LONG)
    browser.open(fleet)
    assert models(browser) == ["B,1,2,2,12.0 + ? of 96.0 GiB", "A,2,1 + ?,1 + ?,48.0 of 96.0 GiB",
                               "C,1,?,?,unknown"]
    assert browser.texts("#models-note") == [
        "Most free GPUs first. Unknown (?): free GPUs of 2 agents, VRAM of 2 GPUs."]
    browser.type("b1")
    assert browser.texts("#models-note") == ["Most free GPUs first. Unknown (?): VRAM of 1 GPU."]
    assert browser.js("document.querySelector('#models table').getAttribute('aria-describedby')") == "models-note"


def test_models_with_the_most_free_gpus_come_first(sim, mount, browser):
    """And the page says so."""
    fleet = mount(served(sim, [
        of_model("A", "a", (48, 24)), of_model("B", "b", *[(48, 24)] * 8), of_model("C", "c", *[(48, 24)] * 2),
        of_model("D", "d", (48, 48)), of_model("E", "e", (48, 48), running_count=None)]), ttl=LONG)
    browser.open(fleet)
    assert "".join(row[0] for row in models(browser)) == "BCDAE"
    assert browser.texts("#models-note")[0].startswith("Most free GPUs first.")
    assert browser.js("document.querySelector('#models [aria-sort=descending]').textContent") == "GPUs free"


# For everybody

def test_without_backgrounds_bars_statuses_and_choices_are_still_there(sim, mount, browser):
    """Print, and forced colours."""
    fleet = mount(sim(agents=42), ttl=LONG)
    widths = """[...document.querySelectorAll('.tile .bar span')].map(fill =>
        [parseFloat(getComputedStyle(fill).borderTopWidth), fill.offsetWidth])"""
    browser.open(fleet)
    browser.click("#statuses [data-status=busy]")
    for media in {"kind": "print"}, {"forced": "active"}:
        browser.media(**media)
        assert all(height >= 3 for height, _ in browser.js(widths))
        assert len({width for _, width in browser.js(widths)}) > 5
        assert browser.js("getComputedStyle(document.querySelector('.tile .bar')).borderTopWidth") == \
            "1px"
        pressed = browser.js("getComputedStyle(document.querySelector('[aria-pressed=true]'), "
                             "'::before').content")
        assert "\u2713" in pressed
        assert set(browser.texts(".tile .letter")) == {"B"}
    colour = "getComputedStyle(document.querySelector(arguments[0])).{}"
    browser.media(forced="active")
    badge, pressed = "#statuses [aria-pressed=true] .letter", "#statuses [aria-pressed=true]"
    assert browser.js(colour.format("backgroundColor"), badge) == browser.js(colour.format("color"), pressed)
    assert browser.js(colour.format("color"), badge) == browser.js(colour.format("backgroundColor"), pressed)
    browser.media(kind="print", scheme="dark")  # black on white
    assert browser.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.texts("#controls") == []


@pytest.mark.parametrize("count", [42, 300])
def test_unhealthy_tiles_stand_out_in_forced_colours(sim, mount, browser, count):
    browser.open(mount(sim(agents=count), ttl=LONG))
    browser.media(forced="active")
    width, letter = ({status: browser.js(f"getComputedStyle(document.querySelector('{what.format(status)}')).{name}")
                      for status in ("unhealthy", "busy")}
                     for what, name in (("#fleet .tile[data-status={}]", "borderTopWidth"),
                                        ("#fleet [data-status={}] .letter", "backgroundColor")))
    assert width == {"unhealthy": "3px", "busy": "1px"}
    assert letter["unhealthy"] != letter["busy"]


def test_print_tells_order_groups_and_filter(sim, mount, browser):
    fleet = mount(sim(agents=600), ttl=LONG)
    browser.open(fleet, "#sort=tasks&reverse&group=label&status=busy&status=idle&q=gpu")
    assert browser.texts("#order") == []
    browser.media(kind="print")
    assert browser.texts("#order") == ["Sorted: fewest tasks first. Grouped by label. "
                                       "Status: busy or idle. Filter: gpu."]


def test_each_order_is_told_in_words(sim, mount, browser):
    """Both directions of each column, and the words of no order are those of another."""
    browser.open(mount(sim(agents=3), ttl=LONG))
    words = []
    for column in COLUMNS:
        browser.choose("sort", column)
        words.append(direction(browser)[1])
        browser.click("#reverse")
        words.append(direction(browser)[1])
    assert len(set(words)) == 2 * len(COLUMNS)
    assert all(re.search(" (A to Z|Z to A|first|last)$", text) for text in words)


def test_print_has_the_time_of_the_data_instead_of_its_age(sim, mount, browser):
    browser.open(mount(sim(agents=3), ttl=LONG))
    seconds = int(browser.time()) / 1000

    def shown():
        return "".join(browser.texts("#age span"))
    assert re.fullmatch(r"Read \d+ s ago", shown())
    browser.media(kind="print")
    assert re.fullmatch(f"Read .*{time.strftime('%Y.*:%M:%S', time.localtime(seconds))}.*[A-Z]{{3}}.*", shown())
    assert " ago" not in shown()


def test_contrast_is_enough_in_the_heat_map_and_the_table(heat, browser):
    for scheme in "light", "dark":
        browser.media(scheme)
        browser.type("0001")
        browser.choose("view", "table")
        assert browser.js(CONTRASTS) == []
        browser.choose("view", "tiles")
        browser.js("filter.select()")
        browser.keys("\ue017")  # Delete: all again
        assert browser.js("document.querySelectorAll('.heat .tile').length") == 2000
        assert browser.js(CONTRASTS) == []


def test_it_requests_nothing_but_itself(sim, mount, browser):
    fleet = mount(sim(agents=42), ttl=0.5)
    browser.open(fleet)
    browser.await_newer()
    asked = browser.js("performance.getEntriesByType('resource').map(entry => entry.name.split('?')[0])")
    assert set(asked) <= {f"file://{fleet / PAGE}"}
