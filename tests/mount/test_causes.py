# SPDX-License-Identifier: MIT
"""Which errno, message and remedy a failure has (row 50 of docs/faults.md)."""

import socket

import pytest

from harness import code_of, until
from scripted import own
from test_fault_tls import Http2, frame, http2_server

OPTIONS = {"ttl": 0.3, "stale": 0, "retries": 0, "timeout": 3, "delay_connect": True}


def literal(name, value):
    """A header field of HPACK, neither indexed nor compressed."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


HTTP2 = {
    "no status": ([frame(1, 4, 1, literal(b"x-a", b"b"))], "EREMOTEIO"),
    "upper case": ([frame(1, 4, 1, b"\x88" + literal(b"X-A", b"b"))], "EREMOTEIO"),
    "a connection header": ([frame(1, 5, 1, b"\x88" + literal(b"connection", b"close"))],
                            "EREMOTEIO"),
    "a bad header block": ([frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")], "EREMOTEIO"),
    "Content-Length too large": ([frame(1, 4, 1, b"\x88" + literal(b"content-length", b"9")),
                                  frame(0, 1, 1, b"{}")], "EREMOTEIO"),
    "Content-Length too small": ([frame(1, 4, 1, b"\x88" + literal(b"content-length", b"1")),
                                  frame(0, 1, 1, b"{}")], "EREMOTEIO"),
    "Content-Length that is none": ([frame(1, 4, 1, b"\x88" + literal(b"content-length", b"x"))],
                                    "EREMOTEIO"),
    "data before headers": ([frame(0, 1, 1, b"{}")], "EREMOTEIO"),
    "a frame that is too large": ([b"\xff\xff\xff\0\1" + (1).to_bytes(4, "big")], "EREMOTEIO"),
    "a reset": ([frame(3, 0, 1, (2).to_bytes(4, "big"))], "EREMOTEIO"),
    "a reset midway": ([frame(1, 4, 1, b"\x88"), frame(3, 0, 1, (2).to_bytes(4, "big"))],
                       "EREMOTEIO"),
    "HTTP/1.1": ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"], "EREMOTEIO"),
    "an end": ([], "EHOSTUNREACH"),
}


@pytest.mark.parametrize("name", HTTP2)
def test_a_faulty_http2_response_is_the_servers_fault(scripted, mount, certificates, name):
    frames, errno = HTTP2[name]
    spoken = Http2(refuse=0)
    server = http2_server(scripted, certificates, spoken, ["a"])

    def answer(wire, stream):
        for one in frames:
            own_stream = one[5:9] == b"\0\0\0\1"
            wire.send(one[:5] + stream.to_bytes(4, "big") + one[9:] if own_stream else one)
        if not frames:
            wire.close()
    spoken.answer = answer
    fleet = mount(server, cacert=certificates / "ca.pem", **OPTIONS)
    code = code_of(fleet.agents)
    assert code == errno, own(fleet, "last_error")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip", "deflate", "aws-chunked"])
def test_a_body_that_cannot_be_decompressed(scripted, mount, encoding):
    server = scripted()
    server.answer = lambda wire: wire.reply(b"\xff\xff\xff\xff\xff\xffnothing", headers=[
        f"Content-Encoding: {encoding}"])
    fleet = mount(server, **OPTIONS)
    assert code_of(fleet.agents) == "EREMOTEIO"
    assert "compression" in own(fleet, "last_error")["remedy"]


def proxied(url):
    return {"https_proxy": url, "http_proxy": url, "no_proxy": ""}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named(fleetfs, scheme):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = fleetfs("--check", "--retries=0", "--allow_http", f"{scheme}://api.invalid/v1",
                       variables=proxied(url))
    assert done.returncode == 1
    assert f"the proxy {url}" in done.stderr and f"{scheme}_proxy" in done.stderr
    assert f"proxy: {url}\n" in done.stdout or f"proxy: {url}, " in done.stdout


def test_a_proxy_whose_name_does_not_resolve_is_named(fleetfs):
    done = fleetfs("--check", "--retries=0", "https://api.invalid/v1",
                   variables=proxied("http://proxy.invalid:3128"))
    assert done.returncode == 1
    assert "the proxy http://proxy.invalid:3128" in done.stderr and "https_proxy" in done.stderr


def test_a_proxy_that_wants_a_password(scripted, fleetfs):
    proxy = scripted()
    proxy.answer = lambda wire: wire.reply(b"", status="407 Who are you")
    for scheme in ("http", "https"):
        done = fleetfs("--check", "--retries=0", "--allow_http", f"{scheme}://api.invalid/v1",
                       variables=proxied(proxy.url.removesuffix("/api/v1")))
        assert done.returncode == 1 and "407" in done.stderr and f"{scheme}_proxy" in done.stderr


def test_a_proxy_that_can_read_the_token_is_told(scripted, fleetfs, mount):
    proxy = scripted()
    url = proxy.url.removesuffix("/api/v1")
    done = fleetfs("--check", "--allow_http", "http://api.invalid/v1", variables=proxied(url))
    assert done.returncode == 0 and f"proxy: {url}, which can read the token\n" in done.stdout
    fleet = mount("http://api.invalid/v1", variables=proxied(url), allow_http=True, ttl=0.3)
    until(lambda: fleet.agents())
    assert fleet.output().count("can read the token") == 1


def test_a_team_that_the_token_does_not_belong_to(scripted, fleetfs):
    server = scripted()
    server.answer = lambda wire: wire.reply(b'{"message":"not a member of this team"}',
                                            status="403 Forbidden")
    done = fleetfs("--check", "--retries=0", "--team=other", server.url, token="opaque")
    assert done.returncode == 1 and "check team" in done.stderr and "sk-" not in done.stderr


@pytest.mark.parametrize("token", ['"sk-sim"', "'sk-sim'", '"opaque"'])
def test_quotation_marks_around_the_token(scripted, fleetfs, token):
    server = scripted()
    done = fleetfs("--check", "--retries=0", server.url, token=token)
    assert done.returncode == 1 and "quotation marks" in done.stderr
    assert not server.heads, "the token is not sent"


def test_a_retry_after_of_30_digits_is_a_long_time(scripted, mount):
    server = scripted()
    server.answer = lambda wire: wire.reply(b"", status="429 Busy",
                                            headers=["Retry-After: " + 30 * "9"])
    fleet = mount(server, **OPTIONS)
    assert code_of(fleet.agents) == "EBUSY"
    assert float(own(fleet, "health")["next_try"]) > 290
