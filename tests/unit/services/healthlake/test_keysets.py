"""Key sets: which keys are usable, when they are asked for, and what a server that means harm can do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from opentrail.services.healthlake import keysets
from opentrail.services.healthlake.keysets import FRESH, RETRY, STALE, KeySets, NotFetched, fetch, parse
from tests.wire.issuer import Issuer

RSA, OTHER = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
EC, EC_SMALL = ECKey.generate_key("P-384"), ECKey.generate_key("P-256")
WEAK = RSAKey.generate_key(1024)


def row(key: Any, **more: Any) -> dict[str, Any]:
    return {name: value for name, value in {**key.as_dict(private=False), **more}.items() if value is not None}


def body(*rows: Any) -> bytes:
    return json.dumps({"keys": rows}).encode()


def test_keys_are_found_by_id_and_algorithm() -> None:
    found = parse(body(row(RSA, kid="a"), row(EC, kid="b"), row(EC_SMALL, kid="c", use="sig"), row(OTHER, kid="d", alg="RS384")))
    assert [found.find(*asked) is not None for asked in (("a", "RS256"), ("a", "RS384"), ("b", "ES384"), ("c", "ES256"))] == [True] * 4
    assert [found.find(*asked) for asked in (("a", "ES256"), ("b", "ES256"), ("c", "ES384"), ("d", "RS256"), ("e", "RS256"))] == [None] * 5
    assert found.find("", "ES384") is not None, "only one fits"
    assert found.find("", "RS384") is None, "two fit"


@pytest.mark.parametrize(
    "bad",
    [
        row(RSA, kid="a", use="enc"),
        row(RSA, kid="a", alg="RS512"),
        row(RSA, kid="a", alg="PS256"),
        row(WEAK, kid="a"),
        row(RSA, kid="a", n=None),
        row(RSA, kid="a", n="!"),
        row(RSA, kid="a", kty="oct", k="AAAA"),
        row(EC, kid="a", crv="P-521"),
        row(EC, kid="a", crv="secp256k1"),
        row(EC, kid="a", y=row(EC_SMALL)["y"]),
        OctKey.generate_key(256).as_dict(private=True) | {"kid": "a"},
        {"kty": "RSA", "kid": ["a"]},
        "key",
        None,
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_used_is_left_out(bad: Any) -> None:
    found = parse(body(bad, row(OTHER, kid="good")))
    assert [kid for kid, _, _ in found.keys] == ["good"]


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b"{}", b'{"keys":{}}', b"\xff", b"[" * 5000])
def test_what_is_no_key_set(bad: bytes) -> None:
    with pytest.raises(NotFetched):
        parse(bad)


def test_of_very_many_keys_some_are_read() -> None:
    assert len(parse(body(*[row(EC, kid=str(n)) for n in range(1000)])).keys) == keysets.MOST_KEYS


class Server:
    """Counts questions; answers what it is told, or not at all."""

    def __init__(self) -> None:
        self.asked, self.answer = 0, body(row(RSA, kid="a"))

    def fetch(self, address: str) -> bytes:
        self.asked += 1
        if not self.answer:
            raise NotFetched("status 500")
        return self.answer


def test_when_keys_are_asked_for() -> None:
    server = Server()
    sets = KeySets(server.fetch)
    assert sets.get("x", 0.0) is None
    assert sets.should_ask("x", 0.0, missing=True)
    sets.ask("x", 0.0)
    assert sets.get("x", 1.0) is not None
    asks = [(now, missing) for now in (1.0, RETRY - 1, RETRY, FRESH - 1, FRESH) for missing in (False, True)]
    assert [one for one in asks if sets.should_ask("x", *one)] == [(RETRY, True), (FRESH - 1, True), (FRESH, False), (FRESH, True)]
    server.answer = b""
    sets.ask("x", FRESH)
    assert not sets.should_ask("x", FRESH + RETRY - 1, missing=True)
    assert sets.should_ask("x", FRESH + RETRY, missing=False)
    assert sets.get("x", STALE - 1) is not None, "what was known is used while the issuer is away"
    assert sets.get("x", STALE) is None, "but not for ever"
    server.answer = body(row(EC, kid="b"))
    sets.ask("x", STALE)
    known = sets.get("x", STALE)
    assert known is not None
    assert [kid for kid, _, _ in known.keys] == ["b"], "a key that was taken back is gone"


def test_an_issuer_that_never_answered_is_asked_again_later() -> None:
    server = Server()
    server.answer = b""
    sets = KeySets(server.fetch)
    sets.ask("x", 0.0)
    assert [sets.should_ask("x", now, missing=True) for now in (0.0, RETRY - 1, RETRY)] == [False, False, True]
    assert sets.get("x", 0.0) is None


# over the network


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def test_a_key_set_is_fetched(issuer: Issuer) -> None:
    assert {kid for kid, _, _ in parse(fetch(issuer.origin + "/keys?a=b")).keys} == {"rsa-1", "ec-1"}


def redirected(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("location", "/elsewhere")
    handler.end_headers()


def too_long(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b" " * (keysets.MOST_BYTES + 1))


def broken(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"nonsense\r\n\r\n")


def missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(404)
    handler.end_headers()


@pytest.mark.parametrize("answer", [redirected, too_long, broken, missing])
def test_other_answers_are_no_key_set(issuer: Issuer, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
    issuer.answer = answer
    with pytest.raises(NotFetched):
        fetch(issuer.origin + "/keys")
    assert issuer.asked == 1, "a redirect is not followed"


def test_an_answer_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keysets, "LIMIT", 0.3)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                try:
                    while not ended.wait(0.05):
                        connection.sendall(b" ")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(NotFetched):
            fetch(f"http://127.0.0.1:{server.getsockname()[1]}/keys")
        ended.set()
        thread.join()


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1:1/keys", "https://127.0.0.1:1/keys"])
def test_what_is_not_asked_or_not_there(address: str) -> None:
    with pytest.raises(NotFetched):
        fetch(address)
