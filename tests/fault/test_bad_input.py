"""Bad input gets a clear 4xx in the caller's protocol and at most one record; never a 500, a traceback or silence.

Every offered operation is called with 200 mutations of a valid request, most of them signed again so that they get past
authentication, by a user who may do everything. What is offered is what the services say, so that what comes later is mutated too. The
run prints a table of operations and statuses.
"""

from __future__ import annotations

import random
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import ParseError

import msgspec
import pytest
from benchmarks.servers import Server
from botocore.credentials import Credentials
from defusedxml import ElementTree

from opentrail.gateway.resolve import protocol_of
from opentrail.identity.refusals import Rejected
from tests.fault import live, mutations
from tests.fault.live import Got, Sent

MUTATIONS = 200
NO_BODY = {204, 304}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with live.server(tmp_path_factory.mktemp("bad"), "--flush-interval", "1h") as running:
        yield running


@pytest.fixture(scope="module")
def known(server: Server) -> dict[str, Any]:
    return live.prepare(server)


def error_of(got: Got, protocol: str) -> str:
    """The error code of an answer in this protocol's shape. Raises when it has another."""
    assert got.request_id, got
    if protocol == "fhir":
        outcome = msgspec.json.decode(got.body)
        assert outcome["resourceType"] == "OperationOutcome"
        assert all(issue["severity"] == "error" for issue in outcome["issue"])
        assert all(issue["diagnostics"] for issue in outcome["issue"])
        return got.headers["x-amzn-errortype"]
    if protocol in ("json", "rest_json"):
        body = msgspec.json.decode(got.body)
        code = got.headers["x-amzn-errortype"]
        assert body.get("message") or body.get("Message"), body
        assert protocol != "json" or body["__type"] == code
        return code
    root = ElementTree.fromstring(got.body)
    error = root if protocol == "rest_xml" else next(node for node in root if node.tag.endswith("Error"))
    assert root.tag.rpartition("}")[2] == ("Error" if protocol == "rest_xml" else "ErrorResponse")
    texts = {node.tag.rpartition("}")[2]: node.text for node in error}
    assert texts["Message"]
    assert texts["Code"]
    return texts["Code"]


def error_in_any(got: Got) -> str:
    """The error code of an answer in the shape of one of the protocols."""
    for protocol in ("fhir", "json", "rest_json", "rest_xml", "query"):
        try:
            return error_of(got, protocol)
        except (AssertionError, KeyError, StopIteration, msgspec.DecodeError, ParseError):
            continue
    raise AssertionError(f"no protocol's error: {got}")


def check(got: Got, sent: Sent, protocol: str) -> str:
    """What is wrong with an answer, or nothing. `protocol` is empty when the request no longer says which one it speaks."""
    if not 200 <= got.status < 500 and not (got.status == 501 and (b"not " in got.body or sent.method == "HEAD")):
        return f"status {got.status}: {got.body[:300]!r}"
    if b"Traceback" in got.body or b'File "' in got.body:
        return "a traceback"
    if got.status >= 400 and sent.method != "HEAD":
        try:
            error_of(got, protocol) if protocol else error_in_any(got)
        except (AssertionError, KeyError, StopIteration, msgspec.DecodeError, ParseError) as error:
            return f"not an error of {protocol or 'any protocol'}: {error!r}"
    return ""


def mutated(service: str, operation: str, known: dict[str, Any], server: Server, caller: Credentials) -> list[tuple[Sent, bool, bool]]:
    """Requests, whether only the body differs, whether the signature holds."""
    chance = random.Random(f"{service}.{operation}")
    found = []
    while len(found) < MUTATIONS:
        sent = live.valid(service, operation, known, server.port, chance)
        first = live.signed(sent, caller)
        sent, body_only = mutations.mutate(sent, chance)
        if chance.random() < 0.1:
            sent, _ = mutations.mutate(first, chance)
            found.append((sent, False, False))
            continue
        try:
            found.append((live.signed(sent, caller), body_only, True))
        except Rejected:
            found.append((replace(sent, headers=first.headers), False, False))
    return found


def test_mutations_of_every_offered_operation(server: Server, known: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    operations, caller = sorted(live.offered(), key=live.settled), live.chief(server)
    sent = [(service, name, *one) for service, name in operations for one in mutated(service, name, known, server, caller)]
    answers = live.send_all(server.port, [live.raw(one[2]) for one in sent])
    wrong, table = [], {name: Counter[int]() for name in operations}
    recorded = Counter(record["requestID"] for record in live.journal(server.folder))
    for (service, name, request, body_only, proven), got in zip(sent, answers, strict=True):
        table[service, name][got.status] += 1
        protocol = protocol_of(service) if name not in live.FHIR or service != "healthlake" else "fhir"
        trouble = check(got, request, protocol if body_only else "")
        count = recorded[got.request_id]
        if not trouble and (count > 1 or (count == 0 and got.status < 400)):
            trouble = f"{count} records"
        # With a form the operation itself stands in the body.
        if not trouble and body_only and proven and protocol != "query" and count != 1:
            trouble = f"{count} records of a call with a known operation and a good signature"
        if trouble:
            wrong.append(f"{service}.{name}: {trouble}\n    {live.raw(request)[:1200]!r}")
    with capsys.disabled():
        print("\n" + listing(table))
    assert not wrong, f"{len(wrong)} of {len(sent)}:\n" + "\n".join(wrong[:25])
    assert_quiet(server)


def listing(table: dict[tuple[str, str], Counter[int]]) -> str:
    """Operation x status, as text."""
    statuses = sorted({status for counts in table.values() for status in counts})
    lines = [f"{'operation':44}" + "".join(f"{status:>6}" for status in statuses)]
    for (service, name), counts in sorted(table.items()):
        lines.append(f"{service + '.' + name:44}" + "".join(f"{counts[status] or '.':>6}" for status in statuses))
    return "\n".join(lines)


def assert_quiet(server: Server) -> None:
    """The server logged no fault of its own, and is still well."""
    faults = [line for line in server.log.read_text().splitlines() if '"level":"error"' in line or "Traceback" in line]
    assert not faults, faults[:10]
    [health] = live.send_all(server.port, [b"GET /_opentrail/health HTTP/1.1\r\nhost: a\r\n\r\n"], 1)
    assert health.status == 200, health.body


def post(server: Server, body: bytes, service: str = "cloudtrail", **headers: str) -> Sent:
    lines = {"host": f"127.0.0.1:{server.port}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Sent("POST", "/", "", tuple(lines.items()), body, service)


def one(server: Server, sent: Sent, payload: str = "") -> Got:
    [got] = live.send_all(server.port, [live.raw(live.signed(sent, server.credentials, payload))], 1)
    return got


TARGET = "CloudTrail_20131101.LookupEvents"
JSON = {"x_amz_target": TARGET, "content_type": "application/x-amz-json-1.1"}


@pytest.mark.parametrize("target", ["", ".", "Nope.LookupEvents", "CloudTrail_20131101.Nope", "CloudTrail_20131101", "x" * 9000, "\xe9"])
def test_unknown_targets(server: Server, target: str) -> None:
    got = one(server, post(server, b"{}", x_amz_target=target, content_type="application/x-amz-json-1.1"))
    assert got.status in (400, 404)
    assert error_of(got, "json") == "UnknownOperationException"


@pytest.mark.parametrize(
    ("signing", "method", "path", "body", "code"),
    [
        ("nope", "POST", "/", b"", "UnknownOperationException"),
        ("iam", "POST", "/", b"Action=Nope&Version=2010-05-08", "InvalidAction"),
        ("iam", "POST", "/", b"", "MissingAction"),
        ("sts", "GET", "/x/y", b"", "UnknownOperationException"),
        ("s3", "PATCH", "/box/key", b"", "MethodNotAllowed"),
        ("personalize", "POST", "/nope", b"{}", "UnknownOperationException"),
        ("healthlake", "PATCH", "/datastore/x/r4/metadata/a", b"", "not-supported"),
        ("healthlake", "GET", "/datastore/x", b"", "UnknownOperationException"),
    ],
)
def test_calls_of_nothing_known(server: Server, signing: str, method: str, path: str, body: bytes, code: str) -> None:
    got = one(server, replace(post(server, body, signing), method=method, path=path))
    assert 400 <= got.status < 500
    assert error_in_any(got) == code


@pytest.mark.parametrize(
    "body", [*mutations.RAW_JSON, b"[]", b'"a"', b"1", b"[" * 500_000, b'{"a":' * 300_000], ids=lambda body: repr(body[:12])
)
def test_json_that_is_none(server: Server, body: bytes) -> None:
    got = one(server, post(server, body, **JSON))
    assert (got.status, error_of(got, "json")) == (400, "SerializationException")


@pytest.mark.parametrize("body", [body for body in mutations.RAW_XML if body not in (b"{}",)], ids=lambda body: repr(body[:20]))
def test_xml_that_is_none_or_another(server: Server, known: dict[str, Any], body: bytes) -> None:
    got = one(server, replace(post(server, body, "s3"), path="/box", query="delete"))
    assert got.status in (200, 400)
    assert got.status == 200 or error_of(got, "rest_xml") in ("MalformedXML", "InvalidArgument", "InvalidRequest", "UserKeyMustBeSpecified")


def test_a_billion_laughs(server: Server) -> None:
    entities = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    body = b'<!DOCTYPE l [<!ENTITY l0 "lol">' + entities + b"]><Delete><Object><Key>&l9;</Key></Object></Delete>"
    got = one(server, replace(post(server, body, "s3"), path="/box", query="delete"))
    assert (got.status, error_of(got, "rest_xml")) == (400, "MalformedXML")


@pytest.mark.parametrize("body", [*mutations.RAW_JSON, b"[]", b"null", b'{"resourceType":"Patient","a":' + b"[" * 700 + b"]" * 700 + b"}"],
                         ids=lambda body: repr(body[:12]))  # fmt: skip
def test_fhir_that_is_none(server: Server, known: dict[str, Any], body: bytes) -> None:
    got = one(server, replace(live.fhir("CreateResource", known, server.port), body=body))
    assert (got.status, error_of(got, "fhir")) in ((400, "ValidationException"), (404, "ResourceNotFoundException"))


def test_bodies_over_the_limit(server: Server, known: dict[str, Any]) -> None:
    """More than 4 MiB, announced or in chunks: refused before it is held in memory."""
    big = b'{"a":"' + b"x" * (5 * 1024 * 1024) + b'"}'
    for sent, protocol in (
        (post(server, big, **JSON), "json"),
        (post(server, b"Action=ListUsers&a=" + big, "iam", content_type="application/x-www-form-urlencoded"), "query"),
        (replace(post(server, big, "s3"), path="/box", query="delete"), "rest_xml"),
        (replace(live.fhir("CreateResource", known, server.port), body=big), "fhir"),
    ):
        got = one(server, sent)
        assert (got.status, error_of(got, protocol)) == (413, "RequestEntityTooLarge")
    chunk = b"%x\r\n%s\r\n" % (len(big), big)
    request = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nx-amz-target: a.b\r\n\r\n" + chunk + b"0\r\n\r\n"
    [got] = live.send_all(server.port, [request], 1)
    assert (got.status, error_of(got, "json")) == (413, "RequestEntityTooLarge")


def test_headers_beyond_reason_and_twice(server: Server) -> None:
    plain = post(server, b"{}", **JSON)
    wide = replace(plain, headers=(*plain.headers, *((f"x-{n}", "v") for n in range(60))))
    assert one(server, wide).status == 200
    twice = replace(plain, headers=(*plain.headers, ("x-amz-target", TARGET)))
    assert error_of(one(server, twice), "json") == "UnknownOperationException"
    unfolded = live.signed(plain, server.credentials)
    proof = dict(unfolded.headers)["authorization"]
    for headers in (
        (*unfolded.headers, ("authorization", proof)),
        (*unfolded.headers, ("x-amz-security-token", "a")),
        tuple((name, value + "0" if name == "authorization" else value) for name, value in unfolded.headers),
        tuple(
            (name, value.replace("Signature=", "Signature=\xe9") if name == "authorization" else value) for name, value in unfolded.headers
        ),
    ):
        [got] = live.send_all(server.port, [live.raw(replace(unfolded, headers=headers))], 1)
        assert 400 <= got.status < 404
        assert error_of(got, "json")
    enormous = replace(plain, headers=(*plain.headers, ("x-a", "v" * 300_000)))
    assert one(server, enormous).status in (0, 400, 431)


CHUNKED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@pytest.mark.parametrize("payload", [CHUNKED, UNSIGNED_CHUNKS])
@pytest.mark.parametrize(
    "body",
    [b"", b"garbage", b"zz\r\n", b"5\r\nab", b"5\r\nabcdefgh\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"0\r\n", b"x" * 20_000, b"\r\n\r\n",
     b"5;chunk-signature=" + b"0" * 64 + b"\r\nabcde\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n", b"0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_chunks_that_are_none(server: Server, known: dict[str, Any], payload: str, body: bytes) -> None:
    put = Sent("PUT", "/box/chunked", "", (("host", f"127.0.0.1:{server.port}"), ("x-amz-decoded-content-length", "5")), body, "s3")
    got = one(server, put, payload)
    assert 400 <= got.status < 404, got
    assert error_of(got, "rest_xml")
    assert not list((server.folder / "objects" / "spool").glob("*/*"))


def test_bodies_cut_short(server: Server, known: dict[str, Any]) -> None:
    """A client that promises more than it sends and goes away leaves no record, no spool file and a server that is well."""
    before = len(live.journal(server.folder))
    put = Sent("PUT", "/box/short", "", (("host", f"127.0.0.1:{server.port}"),), b"only this", "s3", length="100000")
    for sent in (put, replace(post(server, b'{"a"', **JSON), length="50")):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(live.raw(live.signed(sent, server.credentials)))
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(10)
            while connection.recv(65536):
                continue
    assert_quiet(server)
    assert [record["eventName"] for record in live.journal(server.folder)[before:] if "errorCode" not in record] == []
    assert not list((server.folder / "objects" / "spool").glob("*/*"))


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"NOPE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", b"POST /\xff HTTP/1.1\r\nhost: a\r\n\r\n", b"GET / HTTP/1.1\r\na\0b: c\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", b"POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    ],
    ids=lambda request: repr(request[:24]),
)  # fmt: skip
def test_what_is_not_even_http(server: Server, request_bytes: bytes) -> None:
    """Answered with a 4xx or hung up on; the next client is served."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request_bytes)
        with suppress(OSError):  # the server may have hung up already
            connection.shutdown(socket.SHUT_WR)
        first = connection.recv(65536)
    assert not first or first.split(b" ")[1].startswith(b"4"), first
    assert_quiet(server)


def test_presigned_garbage(server: Server) -> None:
    for query in (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Signature=a&X-Amz-Credential=a/b/c/d/e", "X-Amz-Algorithm=a&X-Amz-Signature=%ff",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request&X-Amz-Date=20269999T999999Z"
        "&X-Amz-Expires=99999999999&X-Amz-SignedHeaders=host&X-Amz-Signature=" + "0" * 64,
    ):  # fmt: skip
        [got] = live.send_all(server.port, [live.raw(Sent("GET", "/box/key", query, (("host", "a"),), b"", "s3"))], 1)
        assert 400 <= got.status < 405, (query, got)
        assert error_in_any(got)
