# SPDX-License-Identifier: MIT
"""Which requests the shared cache of contrib/cache sends to the API, and which callers get a response."""

import hashlib
import json
import re
import subprocess
import threading

import pytest

pytestmark = pytest.mark.once  # about the configuration, not the daemon's C

PAGE = "/api/v1/agents?current_page=1&per_page=100"
HEAD = "Host: cache\r\nAuthorization: Bearer sk-sim\r\nCache-Control: max-age=10\r\n"
SECOND = f"GET /api/v1/agents?current_page=66 HTTP/1.1\r\n{HEAD}\r\n"
CHUNKED = f"{len(SECOND):x}\r\n{SECOND}\r\n0\r\n\r\n"


def request(*headers, line=f"GET {PAGE} HTTP/1.1", body="", head=HEAD):
    return (f"{line}\r\n{head}" + "".join(f"{header}\r\n" for header in headers) + f"\r\n{body}").encode()


def statuses(received):
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", received)]


AMBIGUOUS = {
    "length": request("Content-Length: 5", body="hello"),
    "length 0": request("Content-Length: 0"),
    "length twice": request("Content-Length: 0", "Content-Length: 5", body="hello"),
    "length list": request("Content-Length: 5, 5", body="hello"),
    "length with sign": request("Content-Length: +5", body="hello"),
    "length folded": request("Content-Length:\r\n 5", body="hello"),
    "second request in the body": request(f"Content-Length: {len(SECOND)}", body=SECOND),
    "second request behind length 0": request("Content-Length: 0", body=SECOND),
    "chunked": request("Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n"),
    "second request in a chunk": request("Transfer-Encoding: chunked", body=CHUNKED),
    "chunked and length": request(
        "Transfer-Encoding: chunked", "Content-Length: 4", body=CHUNKED),
    "length and chunked": request(
        "Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n" + SECOND),
    "chunked in capitals": request("TRANSFER-ENCODING: CHUNKED", body=CHUNKED),
    "chunked after a tab": request("Transfer-Encoding:\tchunked", body=CHUNKED),
    "chunked before a blank": request("Transfer-Encoding: chunked ", body=CHUNKED),
    "blank before the colon": request("Transfer-Encoding : chunked", body=CHUNKED),
    "chunked folded": request("Transfer-Encoding:\r\n chunked", body=CHUNKED),
    "chunked in a folded header": request("X: y\r\n Transfer-Encoding: chunked", "Content-Length: 4",
                                          body=CHUNKED),
    "chunked behind a bare CR": request("X: y\rTransfer-Encoding: chunked", body=CHUNKED),
    "header behind a bare LF": request("X: y\nContent-Length: 5", body="hello"),
    "chunked behind vertical tab": request("Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "identity": request("Transfer-Encoding: identity", "Content-Length: 5", body="hello"),
    "unknown coding": request("Transfer-Encoding: xchunked", body=CHUNKED),
    "chunked twice": request("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=CHUNKED),
    "chunked, identity": request("Transfer-Encoding: chunked, identity", body=CHUNKED),
    "trailer": request("Transfer-Encoding: chunked", "Trailer: X-Team-ID",
                       body="0\r\nX-Team-ID: theirs\r\n\r\n"),
    "chunked in HTTP/1.0": request("Transfer-Encoding: chunked", body=CHUNKED,
                                   line=f"GET {PAGE} HTTP/1.0"),
    "expect": request("Expect: 100-continue"),
    "websocket": request("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    "h2c": request("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    "te": request("Connection: TE", "TE: trailers"),
    "two tokens": request("authorization: Bearer sk-other"),
    "one token twice": request("Authorization: Bearer sk-sim"),
    "two tokens in one header": request(head="Authorization: Bearer sk-sim, Bearer sk-other\r\n"),
    "folded token": request(head="Authorization: Bearer sk-sim\r\n sk-other\r\n"),
    "no scheme": request(head="Authorization: sk-sim\r\n"),
    "two teams": request("X-Team-ID: ours", "x-team-id: theirs"),
    "two teams in one header": request("X-Team-ID: ours, theirs"),
    "team and no team": request("X-Team-ID: ours", "X-Team-ID:"),
    "no team": request("X-Team-ID:"),
    "folded team": request("X-Team-ID: ours\r\n theirs"),
    "team with NUL": request("X-Team-ID: ours\0"),
    "team with percent": request("X-Team-ID: ou%72s"),
    "blank in a header's name": request("X-Team ID: ours"),
    "long token": request(head=f"Authorization: Bearer {'x' * 20000}\r\n"),
    "long header": request(f"If-None-Match: \"{'x' * 20000}\""),
    "many headers": request(*[f"X{i}: y" for i in range(200)]),
    "long path": request(line=f"GET /{'x' * 300}/agents HTTP/1.1"),
    "method in small letters": request(line=f"get {PAGE} HTTP/1.1"),
    "method of one's own": request(line=f"GETS {PAGE} HTTP/1.1"),
    "CONNECT": request(line="CONNECT evil.example:443 HTTP/1.1"),
    "TRACE": request(line=f"TRACE {PAGE} HTTP/1.1"),
    "PURGE": request(line=f"PURGE {PAGE} HTTP/1.1"),
    "absolute form": request(line=f"GET https://evil.example{PAGE} HTTP/1.1"),
    "absolute form of http": request(line=f"GET http://cache{PAGE} HTTP/1.1"),
    "absolute form, own scheme": request(line=f"GET x:{PAGE} HTTP/1.1"),
    "asterisk": request(line="GET * HTTP/1.1"),
    "no slash": request(line="GET api/v1/agents HTTP/1.1"),
    "blank in the path": request(line="GET /api/v1/agents /agents HTTP/1.1"),
    "HTTP/0.9": f"GET {PAGE}\r\n\r\n".encode(),
    "fragment": request(line=f"GET {PAGE}#x HTTP/1.1"),
    "backslash": request(line="GET /api\\..\\v1/agents HTTP/1.1"),
    **{path: request(line=f"GET {path} HTTP/1.1") for path in (
        "//api/v1/agents", "/api//v1/agents", "/api/v1/./agents", "/api/v1/x/../agents", "/..;/agents",
        "/api/v1;x/agents", "/api/v1/agents;x", "/api/v1/agents/", "/api/%2e%2e/agents",
        "/api/v1/%61gents", "/api/v1/agents%3fq", "/api/v1/agents%00", "/api/v1/AGENTS", "/agents/tasks",
        "/api/v1/agents?", "/api/v1/agents?&", "/api/v1/agents?current_page=1&current_page=2",
        "/api/v1/agents?current_page=1&per_page=5&per_page=6", "/api/v1/agents?current_page=",
        "/api/v1/agents?current_page=-1", "/api/v1/agents?current_page=1;per_page=5",
        "/api/v1/agents?current_page=%31", "/api/v1/agents?Current_page=1",
        "/api/v1/agents?current_page=1&x=y", "/api/v1/agents?current_page=1?per_page=5")},
}


def test_ambiguous_request_is_rejected_and_never_reaches_the_api(scripted, origin, cache):
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    reached = []
    received = {}
    for name, data in AMBIGUOUS.items():
        received[name] = shared.send(data.replace(b"Host: cache", b"Connection: close\r\nHost: cache"),
                                     timeout=3)
        if server.heads:
            reached.append(name)
            server.heads.clear()
    assert not reached
    for name, data in received.items():
        assert not [status for status in statuses(data) if status < 400], (name, data)
    assert json.loads(shared.get()[2])["agent_list"] == [{"agent_id": "a"}]


def test_http2_request_with_a_body_is_rejected(scripted, origin, cache, folder):
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    (folder / "second").write_text(SECOND)
    for options in (("-X", "GET", "-d", "hello"), ("-X", "GET", "-T", folder / "second"),
                    ("-X", "GET", "-H", "Content-Length:", "--data-binary", f"@{folder / 'second'}"),
                    ("-H", "TE: trailers"), ("-H", "Expect: 100-continue"),
                    ("-H", "Authorization: Bearer sk-other"),
                    ("-H", "X-Team-ID: ours", "-H", "X-Team-ID: theirs"),
                    ("--request-target", f"//evil.example{PAGE}"),
                    ("--request-target", "api/v1/agents")):
        status, _ = shared.curl(*options)
        assert status == 0 or status >= 400, options
        assert not server.heads, (options, server.heads)
    assert shared.curl()[0] == 200
    assert len(server.heads) == 1


def test_host_of_an_absolute_http2_target_never_reaches_the_api(scripted, origin, cache):
    """curl 7.88 sends the target as it is, and haproxy rejects it. curl 8.14 sends the host separately."""
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    for scheme in "https", "http":
        assert shared.curl("--request-target", f"{scheme}://evil.example{PAGE}")[0] in (0, 200, 400)
    assert shared.curl()[0] == 200
    assert [head.split(b"\r\n")[0] for head in server.heads] == [f"GET {PAGE} HTTP/1.1".encode()]
    assert b"evil.example" not in server.heads[0]


def test_upgrade_without_connection_is_rejected_or_ignored(scripted, origin, cache):
    """haproxy 2.6 passes the header to the rules. haproxy 3.0 drops it before them."""
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    assert statuses(shared.send(request("Upgrade: h2c", "Connection: close"))) in ([200], [400])
    assert b"upgrade" not in b"".join(server.heads).lower()


def test_http2_request_whose_body_follows_later_is_rejected(scripted, origin, cache):
    """It needs no header that announces the body."""
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    with subprocess.Popen(["sh", "-c", "sleep 0.5; echo hello"], stdout=subprocess.PIPE) as later:
        status, body = shared.curl("-X", "GET", "-T", "-", stdin=later.stdout)
    assert status == 400 and "body" in body
    assert not server.heads


HOP_BY_HOP = ["X-Team-ID", "x-team-id, Authorization", "close, X-TEAM-ID", "keep-alive\r\nConnection: X-Team-ID",
              "Cache-Control, X-Max-Age, X-Stale, Host, If-None-Match, Accept-Encoding"]


@pytest.mark.parametrize("connection", HOP_BY_HOP)
def test_connection_header_cannot_remove_the_team(scripted, origin, cache, connection):
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    data = request(f"Connection: {connection}", "X-Team-ID: ours", "Connection: close")
    assert statuses(shared.send(data)) == [200]
    head = server.heads[0].decode().lower().split("\r\n")
    assert "x-team-id: ours" in head and "authorization: bearer sk-sim" in head
    assert "cache-control: max-age=10" in head


def test_api_sees_only_what_the_cache_composed(scripted, origin, cache):
    server = scripted(agents=["a"])
    shared = cache(origin(server))
    data = request(
        "User-Agent: mine", "Accept: text/html", "Cookie: a=b", "X-Forwarded-For: 10.0.0.1",
        "Forwarded: for=10.0.0.1", "X-HTTP-Method-Override: DELETE", "X-Original-URL: /api/v1/tasks",
        "Range: bytes=0-3", "If-Range: x", "If-Match: *", "If-None-Match: \"mine\"", "Pragma: no-cache",
        "X-Max-Age: 999", "X-Stale: 999", "X-Failed: 404", "X-Retry-After: 9", "X_Team_ID: theirs",
        "X-Team-ID: ours", "Keep-Alive: timeout=5", "Proxy-Authorization: Basic eDp5", "Via: 1.1 mine",
        "Content-Type: text/plain", "Content-Encoding: gzip", "Max-Forwards: 0", "Connection: close")
    received = shared.send(data)
    assert statuses(received) == [200] and b"agent_list" in received
    line, *headers = server.heads[0].decode().split("\r\n")
    assert line == f"GET {PAGE} HTTP/1.1"
    assert sorted(header.lower() for header in headers) == [
        "accept-encoding: gzip", "accept: application/json", "authorization: bearer sk-sim",
        "cache-control: max-age=10", "host: localhost", "user-agent: fleetfs-cache", "x-team-id: ours"]


def identity(head):
    """An agent's id that names the token, the team and the target of a request."""
    def value(name):
        found = re.search(rf"(?im)^{name}: (.*?)\r?$", head)
        return found[1] if found else None
    parts = head.split()[1], value("authorization"), value("x-team-id")
    return hashlib.sha256(repr(parts).encode()).hexdigest()


TOKENS = ["sk-a", "sk-A", "sk-a#", "sk-a#t", "sk-a#t#", "sk-a=", "sk-a=t", "sk-a?", "sk-a&team=t", "sk-a\\n"]
TEAMS = [None, "t", "T", "t0", "10", "0"]
TARGETS = [PAGE, PAGE.replace("v1", "v1/r"), PAGE.replace("page=1&", "page=2&"), PAGE.replace("100", "10")]


@pytest.mark.parametrize("answer_headers", [
    [], ["Vary: *"], ["Vary: X-Team-ID, Authorization"], ["Connection: X-Team-ID, Content-Type"],
    ["Cache-Control: public, max-age=9999", "X-Born: 9999999999", "Set-Cookie: team=x"]])
def test_callers_with_different_keys_never_share(scripted, origin, cache, answer_headers):
    server = scripted()

    def answer(wire):
        body = json.dumps({"agent_list": [{"agent_id": identity(wire.head.decode())}]})
        wire.reply(body.encode(), headers=answer_headers)
    server.answer = answer
    shared = cache(origin(server))
    wrong = []

    def ask(token, team, target, spelling):
        head = f"GET {target} HTTP/1.1\r\nHost: x\r\n{spelling('Authorization')}: Bearer {token}\r\n"
        head += f"{spelling('X-Team-ID')}: {team}\r\n" if team else ""
        expected = identity(f"GET {target} HTTP/1.1\r\nauthorization: Bearer {token}\r\n"
                            + (f"x-team-id: {team}\r\n" if team else ""))
        received = shared.send(f"{head}Connection: close\r\n\r\n".encode())
        if expected.encode() not in received:
            wrong.append((token, team, target, received))

    def ask_all(spelling):
        for token in TOKENS:
            for team in TEAMS:
                ask(token, team, TARGETS[len(wrong) % len(TARGETS)], spelling)
        for target in TARGETS:
            ask("sk-a", "t", target, spelling)
    threads = [threading.Thread(target=ask_all, args=(spelling,))
               for spelling in (str, str.lower, str.upper, str.swapcase)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong, wrong[:3]
    different = len(TOKENS) * len(TEAMS) + len(TARGETS) - 1
    assert server.requests == different  # each was requested once
