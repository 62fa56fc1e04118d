# SPDX-License-Identifier: MIT
"""A name that no directory can have costs no request and no wait: shell prompts, editors and search
programs look up .git, .ignore and the like in every directory."""

import os

import pytest

from harness import code_of, opened
from scripted import ask_again

IMPOSSIBLE = [b".git", b"..git", b"-x", b"a%", b"a%zz", b"%2e", b"%2Egit%2", b"%41", b"a%20b", b"a%2E",
              b"a ", b" a", b"a\nb", b"\x7f", b"a\xe2\x80\xaeb", b"\xff", b"\xe2\x82", b"%25%",
              b"%~" + b"0" * 32, b"a" * 200 + b"%~" + b"0" * 31, b"a" * 200 + b"%~" + b"0" * 31 + b"A",
              b"a" * 100 + b"%~" + b"0" * 32, b"a" * 256]
TTL = 0.2


def names_in(directory):
    """The names that are tried in a directory of the mount."""
    fixed = [b"nosuchfile", b"HEAD", b"id.swp", b"README~"]
    if directory == "agents/a/gpus":
        return IMPOSSIBLE + fixed + [b"01", b"256", b"-1", b"1.0", b"99999999999999999999", b"0x0"]
    if directory == "where/sort=id":
        return IMPOSSIBLE + fixed + [b"0", b"01", b"-1", b"1.0", b"99999999999999999999"]
    if directory in ("agents", "agents/a/labels", "tasks", "where/status=idle") or \
            directory.startswith("by-"):
        return IMPOSSIBLE
    return IMPOSSIBLE + fixed


DIRECTORIES = ["agents", "agents/a", "agents/a/labels", "agents/a/gpus", "agents/a/gpus/0",
               "agents/a/system_stats", "by-status", "by-status/idle", "by-label", "by-label/x",
               "by-gpu/G", "by-tool", "by-version", "tasks", "where", "where/status=idle", "where/sort=id",
               "fleet", "."]


@pytest.fixture
def fleet(sim, mount):
    api = sim(agents=1)
    api.put_agents([{"agent_id": "a", "agent_status": "idle", "agent_labels": ["x"],
                     "tool": "t", "agent_version": "1", "running_tasks": ["k"],
                     "system_stats": {"gpu_devices": [{"device_name": "G"}]}}])
    mounted = mount(api, ttl=TTL)
    mounted.api = api
    return mounted


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_an_impossible_name_costs_no_request(fleet, directory):
    with opened(fleet / directory) as inside:
        assert os.listdir(inside)
        ask_again(fleet)  # all that was read has expired
        fleet.api.reset()
        for name in names_in(directory):
            assert code_of(lambda: os.stat(name, dir_fd=inside)) == "ENOENT", name
        assert fleet.api.requests() == 0
        for name in names_in(directory)[:3]:
            assert code_of(lambda: os.stat(name, dir_fd=inside)) == "ENOENT", name
        assert fleet.api.requests() == 0


def test_an_impossible_name_is_answered_while_the_api_hangs(fleet):
    with opened(fleet / "agents/a") as inside:
        ask_again(fleet)
        fleet.api.reset()
        fleet.api.hold()
        assert code_of(lambda: os.stat(".git", dir_fd=inside)) == "ENOENT"
        assert code_of(lambda: os.stat(fleet / "agents/.git")) == "ENOENT"
        assert code_of(lambda: os.stat(fleet / "by-status/.git")) == "ENOENT"
        assert fleet.api.requests() == 0
        fleet.api.release()


def test_a_prompt_in_an_agents_directory_costs_no_request(fleet):
    """What git, mercurial, direnv and zsh's vcs_info look for, from the agent's directory upwards."""
    with opened(fleet / "agents/a") as inside:
        ask_again(fleet)
        fleet.api.reset()
        for name in (".git", ".hg", ".svn", ".envrc", "HEAD", "../.git", "../../.git"):
            assert code_of(lambda: os.stat(name, dir_fd=inside)) == "ENOENT"
        assert fleet.api.requests() == 0


def test_unusual_names_that_exist_are_found(sim, mount):
    ids = ["a b", ".a", "-a", "%", "a/b", "a\u202eb", "é", "x" * 300, "", "\x1b", "%41"]
    api = sim(agents=1)
    api.put_agents([{"agent_id": text, "agent_labels": [text, "y"]} for text in ids])
    fleet = mount(api, ttl=600)
    names = fleet.agents()
    assert len(names) == len(ids)
    for name in names:
        label = next(n for n in os.listdir(fleet / "agents" / name / "labels") if n != "y")
        assert os.lstat(fleet / "by-label" / label / name)
        assert os.stat(fleet / "agents" / name / "id")
