# SPDX-License-Identifier: MIT
"""Which errno, message and remedy a failure has (row 50 of docs/faults.md)."""

import contextlib
import gzip
import socket
import ssl
import threading
import time

import pytest

from harness import code_of, until
from scripted import own
from test_fault_tls import Http2, frame, http2_server
from test_start import jwt
from tls import context

OPTIONS = {"ttl": 0.3, "stale": 0, "retries": 0, "timeout": 3, "delay_connect": True}


def literal(name, value):
    """A header field of HPACK, neither indexed nor compressed."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


HTTP2 = {
    "no status": ([frame(1, 4, 1, literal(b"x-a", b"b"))], "EREMOTEIO"),
    "upper case": ([frame(1, 4, 1, b"\x88" + literal(b"X-A", b"b"))], "EREMOTEIO"),
    "a connection header": ([frame(1, 5, 1, b"\x88" + literal(b"connection", b"close"))],
                            "EREMOTEIO"),
    # curl 8.14 may notice one of these three, and then wait until the timeout.
    "a bad header block": ([frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")],
                           "EREMOTEIO or ETIMEDOUT"),
    "data before headers": ([frame(0, 1, 1, b"{}")], "EREMOTEIO or ETIMEDOUT"),
    "a frame that is too large": ([b"\xff\xff\xff\0\1" + (1).to_bytes(4, "big")],
                                  "EREMOTEIO or ETIMEDOUT"),
    "Content-Length too large": ([frame(1, 4, 1, b"\x88" + literal(b"content-length", b"9")),
                                  frame(0, 1, 1, b"{}")], "EREMOTEIO"),
    "Content-Length too small": ([frame(1, 4, 1, b"\x88" + literal(b"content-length", b"1")),
                                  frame(0, 1, 1, b"{}")], "EREMOTEIO"),
    "Content-Length that is none": ([frame(1, 4, 1, b"\x88" + literal(b"content-length", b"x"))],
                                    "EREMOTEIO"),
    "headers without end": ([frame(1, 0, 1, b"\x88" + 120 * literal(b"x-a", 120 * b"b")),
                             *10 * [frame(9, 0, 1, 120 * literal(b"x-a", 120 * b"b"))]], "EREMOTEIO"),
    "empty CONTINUATION frames": ([frame(1, 0, 1, b"\x88"), *1000 * [frame(9, 0, 1)]],
                                  "EREMOTEIO"),
    "a reset": ([frame(3, 0, 1, (2).to_bytes(4, "big"))], "EREMOTEIO"),
    "a reset midway": ([frame(1, 4, 1, b"\x88"), frame(3, 0, 1, (2).to_bytes(4, "big"))],
                       "EREMOTEIO"),
    "HTTP/1.1": ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"], "EREMOTEIO"),
    "an end": ([], "EHOSTUNREACH"),
}


@pytest.mark.parametrize("name", HTTP2)
def test_faulty_http2_response_is_eremoteio(scripted, mount, certificates, name):
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
    assert code in errno.split(" or "), own(fleet, "last_error")


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip", "deflate", "aws-chunked"])
def test_body_that_cannot_be_decompressed_is_eremoteio(scripted, mount, encoding):
    server = scripted()
    server.answer = lambda wire: wire.reply(b"\xff\xff\xff\xff\xff\xffnothing", headers=[
        f"Content-Encoding: {encoding}"])
    fleet = mount(server, **OPTIONS)
    assert code_of(fleet.agents) == "EREMOTEIO"
    assert "compression" in own(fleet, "last_error")["remedy"]


@pytest.mark.parametrize("encoding,body", [
    ("gzip", gzip.compress(b'{"agent_list":[' + b'"abcdefgh",' * 999)[:-20]),
    ("gzip", gzip.compress(b"{}")[:10]), ("br", b"x"), ("zstd", b"\x28\xb5\x2f\xfd\x04\x58")],
    ids=["gzip, within its end", "gzip, within its header", "br", "zstd"])
def test_a_compressed_body_that_breaks_off_is_truncated(scripted, mount, encoding, body):
    server = scripted()
    server.answer = lambda wire: wire.reply(body, headers=[f"Content-Encoding: {encoding}"])
    fleet = mount(server, **OPTIONS)
    assert code_of(fleet.agents) == "EREMOTEIO"
    error = own(fleet, "last_error")
    assert error["kind"] == "truncated" and "compress" in error["message"]
    assert "try again" in error["remedy"] and "URL" not in error["remedy"]


@pytest.mark.parametrize("where", ["header", "trailer"])
def test_a_header_line_that_is_none_is_eremoteio(scripted, mount, where):
    """curl calls it a bad argument, which is no lack of memory. curl 8.14 accepts the header, and then the
    body is no list."""
    server = scripted(["a"])
    head, tail = (b" X-A: b\r\n", b"") if where == "header" else (b"", b"no colon\r\n")
    server.answer = lambda wire: wire.send(
        b"HTTP/1.1 200 OK\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
        + tail + b"\r\n")
    fleet = mount(server, **OPTIONS)
    assert code_of(fleet.agents) == "EREMOTEIO"
    remedy = own(fleet, "last_error")["remedy"]
    assert "HTTP is faulty" in remedy or (where == "header" and "check the URL" in remedy)


@pytest.mark.parametrize("status", ["200 OK", "304 Not Modified"])
def test_headers_that_break_off_are_truncated(scripted, mount, status):
    server = scripted(["a"])
    server.answer = lambda wire: wire.good(headers=['ETag: "1"'])
    fleet = mount(server, **OPTIONS)
    assert fleet.agents() == ["a"]
    server.answer = lambda wire: (wire.send(f"HTTP/1.1 {status}\r\nConte".encode()), wire.close())
    until(lambda: code_of(fleet.agents) == "EREMOTEIO", seconds=3)
    error = own(fleet, "last_error")
    assert error["kind"] == "truncated" and "headers" in error["message"]
    assert error["remedy"] == "try again"


@pytest.mark.parametrize("reset", [False, True])
def test_remedy_for_a_lost_https_connection_does_not_mention_http(scripted, mount, certificates, reset):
    server = scripted(context=context(certificates, "right"))
    server.answer = lambda wire: wire.reset() if reset else wire.close()
    fleet = mount(server, cacert=certificates / "ca.pem", **OPTIONS)
    assert code_of(fleet.agents) == "EHOSTUNREACH"
    remedy = own(fleet, "last_error")["remedy"]
    assert "try again" in remedy and "http" not in remedy


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_required_client_certificate_is_named(scripted, mount, certificates, version):
    strict = context(certificates, "right", verify_mode=ssl.CERT_REQUIRED, maximum_version=version)
    strict.load_verify_locations(certificates / "ca.pem")
    server = scripted(context=strict)
    fleet = mount(server, cacert=certificates / "ca.pem", **OPTIONS)
    assert code_of(fleet.agents) == "EHOSTUNREACH"
    assert "client certificate" in own(fleet, "last_error")["remedy"]


@pytest.mark.parametrize("token,options,remedy", [
    ("sk-sim", {}, "add /r to the source"), ("dk-abc123", {}, "use one that may"),
    (jwt(exp=4099999999), {"team": "t1"}, "check team")], ids=["sk", "dk", "jwt"])
def test_the_remedy_for_403_fits_the_token(scripted, mount, token, options, remedy):
    server = scripted()
    server.answer = lambda wire: wire.reply(b'{"message":"forbidden"}', status="403 No")
    fleet = mount(server, token=token, **OPTIONS, **options)
    assert code_of(fleet.agents) == "EACCES"
    told = own(fleet, "last_error")["remedy"]
    assert remedy in told and ("sk-" in told) == token.startswith("sk-")


@pytest.mark.parametrize("status,message,remedy", [
    ("400 Bad", "X-Team-ID required", "X-Team-ID is not sent"), ("402 Pay", "", "account"),
    ("400 Bad", "per_page is too large", "per_page")])
def test_the_remedy_for_a_bad_request_fits_the_message(scripted, mount, status, message, remedy):
    server = scripted()
    server.answer = lambda wire: wire.reply(b'{"message":"%s"}' % message.encode(), status=status)
    fleet = mount(server, token="dk-abc123", **OPTIONS)
    assert code_of(fleet.agents) == "EINVAL"
    assert remedy in own(fleet, "last_error")["remedy"]


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "302 Found"])
def test_the_remedy_for_one_page_does_not_blame_the_settings(scripted, mount, status):
    server = scripted([f"n{number:03}" for number in range(250)])
    server.answer = lambda wire: wire.reply(b"<html>", status=status) if wire.number == 2 else wire.good()
    fleet = mount(server, **OPTIONS)
    assert code_of(lambda: fleet.read("agents/n150/id"))
    assert own(fleet, "last_error")["remedy"].startswith("if other pages can be read, ask")


def proxied(url):
    return {"https_proxy": url, "http_proxy": url, "no_proxy": ""}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_absent_proxy_is_named(fleetfs, scheme):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = fleetfs("--check", "--retries=0", "--allow_http", f"{scheme}://api.invalid/v1",
                       variables=proxied(url))
    assert done.returncode == 1
    assert f"(proxy {url})" in done.stderr and f"{scheme}_proxy" in done.stderr
    assert f"proxy: {url}\n" in done.stdout or f"proxy: {url}, " in done.stdout


def test_a_proxy_whose_name_does_not_resolve_is_named(fleetfs):
    done = fleetfs("--check", "--retries=0", "https://api.invalid/v1",
                   variables=proxied("http://proxy.invalid:3128"))
    assert done.returncode == 1
    assert "(proxy http://proxy.invalid:3128)" in done.stderr and "https_proxy" in done.stderr


def test_password_that_a_proxy_requires_is_named(scripted, fleetfs):
    proxy = scripted()
    proxy.answer = lambda wire: wire.reply(b"", status="407 Who are you")
    for scheme in ("http", "https"):
        done = fleetfs("--check", "--retries=0", "--allow_http", f"{scheme}://api.invalid/v1",
                       variables=proxied(proxy.url.removesuffix("/api/v1")))
        assert done.returncode == 1 and "407" in done.stderr and f"{scheme}_proxy" in done.stderr


@contextlib.contextmanager
def proxy_that(answer):
    """The address of a proxy whose connections answer(socket) serves, after their first bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            answer(connection)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def endless_headers(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: y\r\n" * 1000)


@pytest.mark.parametrize("proxy,scheme,answer", [
    ("socks5h", "https", lambda connection: time.sleep(5)),
    ("socks5h", "http", lambda connection: time.sleep(5)),
    ("socks5h", "https", lambda connection: None),
    ("http", "https", lambda connection: time.sleep(5)),
    ("http", "https", endless_headers),
    ("http", "https", lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nConte")),
    ("http", "http", lambda connection: connection.sendall(b"SSH-2.0-x\r\n")),
    ("http", "http", lambda connection: None),
], ids=["a SOCKS proxy hangs", "a SOCKS proxy hangs, http", "a SOCKS proxy closes", "CONNECT hangs",
        "headers of CONNECT without end", "headers of CONNECT break off", "garbage", "closes"])
def test_a_faulty_proxy_is_named(fleetfs, proxy, scheme, answer):
    with proxy_that(answer) as address:
        done = fleetfs("--check", "--retries=0", "--timeout=8", "--connect_timeout=2", "--allow_http",
                       f"{scheme}://api.invalid/v1", variables=proxied(f"{proxy}://{address}"))
    assert done.returncode == 1
    assert f"(proxy {proxy}://{address})" in done.stderr and f"{scheme}_proxy" in done.stderr


def test_a_proxy_with_an_untrusted_certificate_is_named(scripted, fleetfs, certificates):
    """cacert is for the API; the proxy's CA must be one of the system's."""
    proxy = scripted(context=context(certificates, "right"))
    done = fleetfs("--check", "--retries=0", f"--cacert={certificates / 'ca.pem'}",
                   "https://api.invalid/v1", variables=proxied(f"https://127.0.0.1:{proxy.port}"))
    assert done.returncode == 1
    assert f"(proxy https://127.0.0.1:{proxy.port}): check the proxy's certificate" in done.stderr
    assert "a CA that the system trusts" in done.stderr


def test_the_headers_of_a_tunnel_are_not_those_of_the_response(scripted, mount, certificates):
    """A proxy's response to CONNECT is neither a response of the API nor counted as one."""
    server = scripted(["a"], context=context(certificates, "elsewhere"))

    def tunnel(connection):
        with socket.create_connection(("127.0.0.1", server.port)) as other:
            connection.sendall(b"HTTP/1.1 200 OK\r\nAge: 999999\r\nContent-Encoding: gzip\r\n"
                               + 15 * (b"X: " + b"y" * 4000 + b"\r\n") + b"\r\n")

            def copy(source, target):
                with contextlib.suppress(OSError):
                    while data := source.recv(65536):
                        target.sendall(data)
                    target.shutdown(socket.SHUT_WR)
            back = threading.Thread(target=copy, args=(other, connection), daemon=True)
            back.start()
            copy(connection, other)
            back.join(10)
    with proxy_that(tunnel) as address:
        fleet = mount("https://elsewhere.example/api/v1", cacert=certificates / "ca.pem", **OPTIONS,
                      variables=proxied(f"http://{address}"))
        assert code_of(fleet.agents) is None, own(fleet, "last_error")
        assert fleet.agents() == ["a"] and own(fleet, "health")["state"] == "ok"


def test_proxy_that_can_read_the_token_is_logged(scripted, fleetfs, mount):
    proxy = scripted()
    url = proxy.url.removesuffix("/api/v1")
    done = fleetfs("--check", "--allow_http", "http://api.invalid/v1", variables=proxied(url))
    assert done.returncode == 0 and f"proxy: {url}, which can read the token\n" in done.stdout
    fleet = mount("http://api.invalid/v1", variables=proxied(url), allow_http=True, ttl=0.3)
    until(lambda: fleet.agents())
    assert fleet.output().count("can read the token") == 1


def test_remedy_for_403_with_a_team_is_to_check_team(scripted, fleetfs):
    server = scripted()
    server.answer = lambda wire: wire.reply(b'{"message":"not a member of this team"}',
                                            status="403 Forbidden")
    done = fleetfs("--check", "--retries=0", "--team=other", server.url, token="opaque")
    assert done.returncode == 1 and "check team" in done.stderr and "sk-" not in done.stderr


@pytest.mark.parametrize("token", ['"sk-sim"', "'sk-sim'", '"opaque"'])
def test_quotation_marks_around_the_token_are_named(scripted, fleetfs, token):
    server = scripted()
    done = fleetfs("--check", "--retries=0", server.url, token=token)
    assert done.returncode == 1 and "quotation marks" in done.stderr
    assert not server.heads, "the token is not sent"


def test_retry_after_of_30_digits_is_the_longest_pause(scripted, mount):
    server = scripted()
    server.answer = lambda wire: wire.reply(b"", status="429 Busy",
                                            headers=["Retry-After: " + 30 * "9"])
    fleet = mount(server, **OPTIONS)
    assert code_of(fleet.agents) == "EBUSY"
    assert float(own(fleet, "health")["next_try"]) > 290
