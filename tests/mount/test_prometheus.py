# SPDX-License-Identifier: MIT
"""contrib/prometheus, .fleetfs/metrics.prom, and several fleets at one node_exporter."""

import contextlib
import json
import os
import re
import subprocess
import time

import pytest

from harness import HERE, run, unpacked, until
from test_recipes import make_trouble
from test_reports import node_exporter, of, samples_of

CONTRIB = HERE.parent.parent / "contrib/prometheus"
LONG = 600


def check_metrics(text):
    done = subprocess.run([unpacked("promtool"), "check", "metrics"], capture_output=True, text=True,
                          input=text, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# The figures of fleetfs itself

def test_the_metrics_of_a_mount_are_those_of_stats_and_health(sim, mount):
    api = sim(agents=250, churn=0)
    fleet = mount(api, ttl=LONG, refresh=60)
    fleet.agents()
    stats, health = fleet.values(".fleetfs/stats"), fleet.health()
    text = fleet.text(".fleetfs/metrics.prom")
    check_metrics(text)
    samples = samples_of(text)
    for name, key in {
            "fleetfs_requests_total": "requests", "fleetfs_received_bytes_total": "bytes",
            "fleetfs_pages_requested_total": "pages_asked",
            "fleetfs_pages_received_total": "pages_arrived",
            "fleetfs_pages_unchanged_total": "pages_unchanged", "fleetfs_sweeps_total": "sweeps",
            "fleetfs_passes_total": "passes", "fleetfs_agents": "agents",
            "fleetfs_duplicates_total": "duplicates", "fleetfs_malformed_total": "malformed",
            "fleetfs_timeouts_total": "timeouts", "fleetfs_interrupts_total": "interrupts"}.items():
        assert samples[name, ()] == int(stats[key]), name
    assert samples["fleetfs_agents", ()] == 250
    assert of(samples, "fleetfs_state", "state") == {"ok": 1, "stale": 0, "failing": 0}
    assert samples["fleetfs_list_verified", ()] == 1
    assert 0 <= samples["fleetfs_list_age_seconds", ()] - float(health["list_age"]) < 10
    assert 0 < samples["fleetfs_next_refresh_seconds", ()] <= 60
    operations = of(samples, "fleetfs_operations_total", "operation")
    assert set(operations) == {key[5:] for key in stats if key.startswith("fuse_")}
    errors = of(samples, "fleetfs_errors_total", "cause")
    assert errors == {key[7:]: int(value) for key, value in stats.items() if key.startswith("failed_")}


def test_the_metrics_of_a_mount_can_be_read_while_the_api_fails(sim, mount):
    api = sim(agents=3)
    api.fail(503)
    fleet = mount(api, ttl=0.2, retries=0, delay_connect=True, name="eu")
    with contextlib.suppress(OSError):
        fleet.agents()

    def samples():
        return samples_of(fleet.text(".fleetfs/metrics.prom"))
    until(lambda: of(samples(), "fleetfs_state", "state") == {"ok": 0, "stale": 0, "failing": 1})
    assert of(samples(), "fleetfs_errors_total", "cause")["server"] > 0
    assert not any(name in ("fleetfs_list_age_seconds", "fleetfs_list_verified")
                   for name, _ in samples())
    check_metrics(fleet.text(".fleetfs/metrics.prom"))


# Several fleets

@pytest.mark.parametrize("fleet_name", ["eu", 'Köln "1"\\ {x}'])
def test_every_sample_has_the_name_of_the_fleet(sim, mount, fleet_name):
    fleet = mount(sim(agents=42), ttl=LONG, name=fleet_name)
    for path in ("fleet/metrics.prom", ".fleetfs/metrics.prom"):
        check_metrics(fleet.text(path))
        samples = samples_of(fleet.text(path))
        assert len(samples) > 20
        assert {dict(labels).get("fleet") for _, labels in samples} == {fleet_name}
    assert f"name: {fleet_name}" == fleet.text("fleet/summary").splitlines()[0]
    assert json.dumps(fleet_name, ensure_ascii=False)[1:3] in fleet.text("fleet/fleet.html")


@pytest.fixture
def fleets(sim, mount, folder):
    """{name: mount} of two fleets that have agents of the same names."""
    found = {}
    for name in ("eu", "us"):
        (folder / "fleets" / name).mkdir(parents=True)
        found[name] = mount(sim(agents=42, churn=0), ttl=LONG, name=name, path=folder / "fleets" / name)
    return found


def assert_scraped(scraped, fleets):
    assert scraped["node_textfile_scrape_error", ()] == 0
    for name, fleet in fleets.items():
        own = samples_of(fleet.text("fleet/metrics.prom"))
        assert {key: value for key, value in scraped.items()
                if key[0].startswith("fleet_") and dict(key[1]).get("fleet") == name} == own
        states = {key: value for key, value in scraped.items() if key[0] == "fleetfs_state"
                  and dict(key[1])["fleet"] == name}
        assert len(states) == 3


def test_one_node_exporter_reads_two_mounts_in_place(fleets, folder):
    assert "--collector.textfile.directory='/fleets/*/*fleet*'" in (CONTRIB / "README.md").read_text()
    with node_exporter(folder / "fleets/*/*fleet*", folder) as scrape:
        assert_scraped(scrape(), fleets)


def copy_metrics(folder, before=""):
    """Runs the script of the README after another. Returns the directory of the copies."""
    script = re.search(r"\n    for fleet in .*?\n    done\n", (CONTRIB / "README.md").read_text(),
                       re.DOTALL)[0]
    copies = folder / "copies"
    copies.mkdir(exist_ok=True)
    run("bash", "-c", before + script.replace("/fleets/", f"{folder}/fleets/").replace(
        "/var/lib/prometheus/node-exporter", str(copies)))
    return copies


def test_one_node_exporter_reads_copies_of_two_mounts(fleets, folder):
    copies = copy_metrics(folder)
    assert len(list(copies.iterdir())) == 4
    with node_exporter(copies, folder) as scrape:
        assert_scraped(scrape(), fleets)


def test_the_copy_of_the_state_is_current_while_the_list_cannot_be_read(folder):
    mount = folder / "fleets/eu"
    for part in ("fleet", ".fleetfs"):
        (mount / part).mkdir(parents=True)
        (mount / part / "metrics.prom").write_text("old\n")
    copies = copy_metrics(folder)
    (mount / "fleet/metrics.prom").unlink()
    (mount / ".fleetfs/metrics.prom").write_text("new\n")
    copy_metrics(folder, "exec 2>/dev/null")
    assert {path.name: path.read_text() for path in copies.glob("*.prom")} == {
        "fleet-eu-fleet.prom": "old\n", "fleet-eu-fleetfs.prom": "new\n"}


# Rules and dashboard

def test_the_alerting_rules_are_valid_and_their_tests_pass():
    run(unpacked("promtool"), "check", "rules", CONTRIB / "alerts.yml")
    run(unpacked("promtool"), "test", "rules", "alerts.test.yml", cwd=CONTRIB)


def test_each_alert_has_a_test_and_waits():
    rules, tests = (CONTRIB / "alerts.yml").read_text(), (CONTRIB / "alerts.test.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) == len(re.findall(r"^    for: \d+m$", rules, re.M)) >= 8
    for alert in alerts:
        assert re.search(rf"- alertname: {alert}\n", tests), alert


def series(samples, now, minutes):
    """Samples as `promtool test rules` wants them, for so many minutes of a time in which the tenth minute
    is now."""
    for line in samples:
        if line.startswith("#"):
            continue
        name, value = line.rsplit(" ", 1)
        if "_timestamp_seconds" in name:
            value = str(float(value) - now + 600)
        yield f"  - series: '{name}'\n    values: '{value}x{minutes}'\n"


def alerts(rule, minute, agents):
    shown = "".join(f"    - exp_labels: {json.dumps({**labels, 'severity': 'warning'})}\n"
                    for labels in agents)
    return f"  - alertname: {rule}\n    eval_time: {minute}m\n    exp_alerts:\n{shown}"


def test_the_rules_find_the_agents_of_a_mount_that_are_in_trouble(sim, mount, folder):
    api = sim(agents=60, churn=0)
    fleet = mount(api, ttl=0.5, name="eu")
    unhealthy, quiet = make_trouble(api)
    until(lambda: os.listdir(fleet / "by-status/unhealthy") == [unhealthy])
    lines = fleet.text("fleet/metrics.prom").splitlines()
    info = {labels["agent"]: labels for line in lines if line.startswith("fleet_agent_info{")
            for labels in [dict(re.findall(r'(\w+)="([^"]*)"', line))]}
    (folder / "rules.yml").write_text(re.sub(r" +annotations:\n +summary:.*\n", "",
                                             (CONTRIB / "alerts.yml").read_text()))
    (folder / "test.yml").write_text(
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n"
        "  input_series:\n" + "".join(series(lines, time.time(), 20)) + "  alert_rule_test:\n"
        + alerts("FleetAgentUnhealthy", 11, [info[unhealthy]])
        + alerts("FleetAgentQuiet", 11, [{"fleet": "eu", "agent": agent} for agent in quiet])
        + alerts("FleetAgentGone", 20, []) + alerts("FleetAgentSyncStuck", 20, []))
    run(unpacked("promtool"), "test", "rules", folder / "test.yml")


def metrics_in(text):
    return set(re.findall(r"\b(?:fleet|fleetfs|node)_\w+", text))


def expressions(value):
    """All `expr` and `query` of a dashboard."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("expr", "query") and isinstance(inner, str):
                yield inner
            else:
                yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)


def test_rules_and_dashboard_use_only_metrics_that_exist(sim, mount):
    api = sim(agents=100)
    token = "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.x"  # a JWT, for its expiry
    api.token(token)
    fleet = mount(api, ttl=LONG, refresh=60, token=token, team="team_sim")
    fleet.read("fleet/metrics.prom")
    exist = {"node_textfile_scrape_error"} | {
        name for path in ("fleet/metrics.prom", ".fleetfs/metrics.prom")
        for name, _ in samples_of(fleet.text(path))}
    rules = re.sub(r"#.*|summary:.*", "", (CONTRIB / "alerts.yml").read_text())
    dashboard = json.loads((CONTRIB / "dashboard.json").read_text())
    queries = list(expressions(dashboard))
    readme = (CONTRIB / "README.md").read_text()
    assert len(queries) > 15
    for used in (metrics_in(rules), metrics_in("\n".join(queries)),
                 metrics_in(readme.split("## Queries")[1])):
        assert len(used) > 2 and used <= exist, used - exist


def test_each_query_of_the_dashboard_is_valid(folder):
    dashboard = json.loads((CONTRIB / "dashboard.json").read_text())
    queries = list(expressions(dashboard["panels"]))
    rules = {"groups": [{"name": "dashboard", "rules": [
        {"record": f"query{i}", "expr": query.replace("$fleet", ".*")}
        for i, query in enumerate(queries)]}]}
    (folder / "rules.yml").write_text(json.dumps(rules))
    run(unpacked("promtool"), "check", "rules", folder / "rules.yml")


def test_each_panel_of_the_dashboard_has_its_place():
    panels = json.loads((CONTRIB / "dashboard.json").read_text())["panels"]
    cells = [(x, y) for panel in panels for place in [panel["gridPos"]]
             for x in range(place["x"], place["x"] + place["w"])
             for y in range(place["y"], place["y"] + place["h"])]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in panels}) == len(panels)
