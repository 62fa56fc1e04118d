# SPDX-License-Identifier: MIT
"""TLS without a valid certificate, or that does not work: no part of the token may arrive (rows 14 and
16 of docs/faults.md). The certificates are made by the tests."""

import ssl

import pytest

from harness import TOKEN, code_of
from scripted import ask_again, own, took
from tls import context

COLD = {"ttl": 600, "retries": 0, "timeout": 3, "connect_timeout": 1, "delay_connect": True}


def test_certificate_of_the_cacert_is_accepted(scripted, mount, certificates):
    server = scripted(context=context(certificates, "right"))
    fleet = mount(server, cacert=certificates / "ca.pem", ttl=600)
    assert sorted(fleet.agents()) == ["a", "b", "c"]
    assert server.handshakes == [None]
    assert f"Bearer {TOKEN}".encode() in server.heads[0]


@pytest.mark.unwrapped
@pytest.mark.parametrize("name,named", [
    ("self-signed", False), ("self-signed", True), ("right", False), ("elsewhere", True),
    ("expired", True), ("not yet valid", True)])
def test_server_with_an_invalid_certificate_gets_no_byte_of_the_token(scripted, mount, certificates, name,
                                                                      named):
    server = scripted(context=context(certificates, name))
    options = {"cacert": certificates / "ca.pem"} if named else {}
    fleet = mount(server, **{**COLD, **options, "retries": 2})
    assert code_of(fleet.agents) == "EHOSTUNREACH"
    error = own(fleet, "last_error")
    assert error["kind"] == "unreachable" and error["http_status"] == "-"
    assert "certificate" in error["message"] or "SSL" in error["message"]
    # TLS itself has no objection to a certificate for another host; curl has, before it speaks.
    assert server.handshakes and (name == "elsewhere" or None not in server.handshakes)
    assert not server.received and not server.heads


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_older_than_1_2_is_rejected(scripted, mount, certificates):
    old = context(certificates, "right")
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    server = scripted(context=old)
    fleet = mount(server, cacert=certificates / "ca.pem", **COLD)
    assert code_of(fleet.agents) == "EHOSTUNREACH"
    assert None not in server.handshakes and not server.received
    new = context(certificates, "right", maximum_version=ssl.TLSVersion.TLSv1_2)
    server.context = new
    ask_again(fleet)
    assert sorted(fleet.agents()) == ["a", "b", "c"]


@pytest.mark.alone
def test_stalled_tls_handshake_times_out(scripted, mount, certificates):
    server = scripted()
    fleet = mount(f"https://127.0.0.1:{server.port}/api/v1", cacert=certificates / "ca.pem", **COLD)
    code, seconds = took(lambda: code_of(fleet.agents))
    assert code == "EHOSTUNREACH" and seconds < 2.5
    assert server.received[:1] == b"\x16"  # a ClientHello, and no more
    assert TOKEN.encode() not in server.received and not server.heads


def test_server_without_tls_gets_no_byte_of_the_token(scripted, mount, certificates):
    server = scripted()
    server.greet = lambda wire: wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    fleet = mount(f"https://127.0.0.1:{server.port}/api/v1", cacert=certificates / "ca.pem", **COLD)
    assert code_of(fleet.agents) == "EHOSTUNREACH"
    assert TOKEN.encode() not in server.received and not server.heads


# HTTP/2

def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") \
        + payload


class Http2:
    """The part of HTTP/2 that is needed to answer a request or to send GOAWAY."""

    def __init__(self, refuse):
        self.refuse = refuse  # how many connections get a GOAWAY for their first request
        self.requests = 0

    def __call__(self, wire):
        wire.send(frame(4))  # SETTINGS
        data = b""
        while len(data) < 24:  # the preface
            data += self.more(wire)
        data = data[24:]
        while True:
            while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
                data += self.more(wire)
            size, kind, flags = int.from_bytes(data[:3], "big"), data[3], data[4]
            stream, data = int.from_bytes(data[5:9], "big"), data[9 + size:]
            if kind == 4 and not flags & 1:
                wire.send(frame(4, 1))
            elif kind == 1:
                self.answer(wire, stream)

    def more(self, wire):
        got = wire.socket.recv(65536)
        if not got:
            wire.close()
        return got

    def answer(self, wire, stream):
        self.requests += 1
        if self.refuse > 0:
            self.refuse -= 1
            # Last stream processed: none.
            wire.send(frame(7, payload=bytes(8)))
            wire.close()
        wire.send(frame(1, 4, stream, b"\x88") + frame(0, 1, stream, wire.server.page(1)))


def http2_server(scripted, certificates, spoken, *agents, **options):
    """A scripted server that speaks HTTP/2 through `spoken`, an Http2."""
    made = context(certificates, "right")
    made.set_alpn_protocols(["h2"])
    server = scripted(*agents, context=made, **options)
    shake_hands = server.shake_hands

    def talk(wire):
        if shake_hands(wire):
            spoken(wire)
        return False
    server.shake_hands = talk
    return server


@pytest.mark.parametrize("refuse", [0, 1])
def test_goaway_of_http_2_is_not_noticed_by_readers(scripted, mount, certificates, refuse):
    spoken = Http2(refuse)
    server = http2_server(scripted, certificates, spoken)
    fleet = mount(server, cacert=certificates / "ca.pem", **{**COLD, "retries": 2})
    assert sorted(fleet.agents()) == ["a", "b", "c"]
    assert spoken.requests == 1 + refuse
    assert own(fleet, "health")["state"] == "ok"
