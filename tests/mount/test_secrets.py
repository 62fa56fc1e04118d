# SPDX-License-Identifier: MIT
"""A server that echoes the token, or a proxy's password: no output of fleetfs contains it (row 49 of
docs/faults.md). Values of agents are data, and are shown as the API sends them."""

import base64
import json
import socket
import urllib.parse

import pytest

from harness import code_of, until
from scripted import ask_again, page

TOKEN = "sk-9f8e7d6c5b/4a39+2817"
OPTIONS = {"ttl": 0.3, "stale": 0, "retries": 0, "timeout": 3, "delay_connect": True}

ECHOES = {
    "as sent": TOKEN,
    "url": urllib.parse.quote(TOKEN, safe=""),
    "url, lower case": urllib.parse.quote(TOKEN, safe="").lower(),
    "json": json.dumps(TOKEN).replace("/", "\\/"),
    "unicode escapes": "".join(f"\\u{ord(c):04x}" for c in TOKEN),
    "html": "".join(f"&#x{ord(c):x};" for c in TOKEN),
    "base64": base64.b64encode(f"Bearer {TOKEN}".encode()).decode(),
}


RARE_ECHOES = {
    "hex": TOKEN.encode().hex(),
    "hex, upper case": TOKEN.encode().hex().upper(),
    "octal": "".join(f"\\{ord(c):03o}" for c in TOKEN),
    "html without semicolons": "".join(f"&#{ord(c)}" for c in TOKEN),
    "html, hex without semicolons": " ".join(f"&#x{ord(c):x}" for c in TOKEN).replace(" ", ""),
    "escapes of 8 digits": "".join(f"\\U{ord(c):08x}" for c in TOKEN),
    "escapes in braces": "".join(f"\\u{{{ord(c):x}}}" for c in TOKEN),
    "percent u": "".join(f"%u{ord(c):04x}" for c in TOKEN),
}


def outputs(fleet):
    """The log, and the files of .fleetfs/."""
    names = ("health", "last_error", "stats", "config")
    return fleet.output() + "".join(fleet.text(f".fleetfs/{name}") for name in names)


def parts(secret):
    return [secret[at:at + 8] for at in range(len(secret) - 7)]


def bodies():
    for name, echo in ECHOES.items():
        yield f"{name}, error page", f"<p>invalid credential: {echo}</p>"
        yield f"{name}, message", json.dumps({"message": f"invalid credential: {echo}"})
        for before in (370, 384, 386, 390):
            yield f"{name}, cut after {before}", "x" * before + echo


@pytest.mark.parametrize("status", ["401 No", "500 Oops"])
def test_echoed_token_is_not_shown(scripted, mount, status):
    server = scripted()
    fleet = mount(server, token=TOKEN, variables={"CYBERUN_KEY": "sk-of-another-variable"}, **OPTIONS,
                  debug=True)
    for name, body in bodies():
        server.answer = lambda wire, body=body: wire.reply(body.encode(), status=status)
        ask_again(fleet)
        assert code_of(fleet.agents) in ("EACCES", "EREMOTEIO")
        said = outputs(fleet)
        for form in (TOKEN, ECHOES["url"], ECHOES["unicode escapes"], ECHOES["html"],
                     ECHOES["base64"].rstrip("=")[12:]):
            assert form[:-2] not in said and form[2:] not in said, name
        assert not any(part in said for part in parts(TOKEN)), name
    server.answer = lambda wire: wire.reply(b"sk-of-another-variable?", status=status)
    ask_again(fleet)
    assert code_of(fleet.agents) in ("EACCES", "EREMOTEIO")
    assert "another-variable" not in outputs(fleet) and "[secret]" in outputs(fleet)


def test_target_of_a_redirect_is_shown_without_its_query(scripted, mount):
    server = scripted()
    server.answer = lambda wire: wire.reply(b"", status="302 Found", headers=[
        f"Location: https://login.example/{TOKEN}/in?token={TOKEN}&code=oauth-4711#more"])
    fleet = mount(server, token=TOKEN, **OPTIONS)
    assert code_of(fleet.agents) == "EREMOTEIO"
    said = outputs(fleet)
    assert "https://login.example/[secret]/in?..." in said and "oauth" not in said


def test_previous_token_is_not_shown(scripted, mount, folder):
    token = folder / "token"

    def put(text):
        token.write_text(text)
        token.chmod(0o600)
    put(TOKEN)
    server = scripted()
    fleet = mount(server, token=None, token_file=token, **OPTIONS)
    assert fleet.agents()
    put("sk-the-new-one-00000000")
    server.answer = lambda wire: wire.reply(f"not {TOKEN}, nor {wire.head.decode()}".encode(),
                                            status="401 No")
    until(lambda: code_of(fleet.agents) == "EACCES")
    until(lambda: "the-new-one" in server.heads[-1].decode())
    ask_again(fleet)
    assert code_of(fleet.agents) == "EACCES"
    said = outputs(fleet)
    assert "[secret]" in said and "the-new-one" not in said
    assert not any(part in said for part in parts(TOKEN))


def test_check_shows_no_token(scripted, fleetfs):
    server = scripted()
    server.answer = lambda wire: wire.reply(f"no key {TOKEN}".encode(), status="403 No")
    done = fleetfs("--check", "--retries=0", server.url, token=TOKEN)
    assert done.returncode == 1 and "no key [secret]" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize("proxy", ["http://ann:swordfish-7@127.0.0.1:{port}",
                                   "http://ann:swordfish-7/@127.0.0.1:{port}",
                                   "nonsense://ann:swordfish-7@127.0.0.1:{port}"])
def test_a_proxys_password_is_not_shown(fleetfs, proxy):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = proxy.format(port=unused.getsockname()[1])
        done = fleetfs("--check", "--retries=0", "https://nowhere.invalid/api", token=TOKEN,
                       variables={"https_proxy": proxy, "no_proxy": ""})
    assert done.returncode == 1 and "https_proxy" in done.stderr
    assert "swordfish" not in done.stdout + done.stderr


def test_an_agents_values_are_data(scripted, mount):
    server = scripted()
    server.answer = lambda wire: wire.reply(page([{"agent_id": "a", "agent_labels": [TOKEN]}]))
    fleet = mount(server, token=TOKEN, **OPTIONS)
    assert TOKEN in fleet.text("agents/a/agent.json").replace("\\/", "/")


def test_a_token_as_an_agents_id_is_not_in_the_log(scripted, mount, fleetfs):
    """The log of dropped agents. The tree contains the ID, which is data."""
    token = "sk-9f8e7d6c5b4a392817"
    server = scripted()
    server.answer = lambda wire: wire.reply(page(
        [{"agent_id": "a"}, {"agent_id": token}, {"agent_id": token},
         {"agent_id": "x" + token, "deep": json.loads(40 * "[" + 40 * "]")}]))
    fleet = mount(server, token=token, **OPTIONS)
    assert token in fleet.agents()
    until(lambda: fleet.output().count("is dropped") == 2)
    done = fleetfs("--check", server.url, token=token)
    assert done.returncode == 0 and "is dropped" in done.stdout + done.stderr
    shown = outputs(fleet) + done.stdout + done.stderr
    assert shown.count("secret") >= 3
    assert not any(part in shown for part in parts(token))


@pytest.mark.parametrize("source", [
    "https://api.example/v1?token={}", "https://api.example/v1#{}", "http://api.example/v1?token={}",
    "htps://api.example/v1?token={}", "https://api.example:x/v1?token={}", "file:///fleet.json?{}",
    "file://host/fleet.json?token={}", "https:api.example?token={}"])
@pytest.mark.parametrize("check", [True, False])
def test_the_query_of_a_source_is_not_shown(fleetfs, folder, source, check):
    done = fleetfs(*(["--check"] if check else []), source.format("hunter2"),
                   *([] if check else [folder]))
    assert done.returncode != 0 and source[:10] in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", RARE_ECHOES)
def test_a_rarer_encoding_of_the_token_is_not_shown(scripted, mount, name):
    server = scripted()
    server.answer = lambda wire: wire.reply(f"bad key {RARE_ECHOES[name]} here".encode(), status="401 No")
    fleet = mount(server, token=TOKEN, **OPTIONS)
    ask_again(fleet)
    assert code_of(fleet.agents) == "EACCES"
    said = outputs(fleet)
    assert "bad key [secret]" in said, said
    assert RARE_ECHOES[name][8:40] not in said
