"""Bad input gets a clear 4xx in the caller's protocol and at most one record; never a 500, a traceback or silence.

Every offered operation is called with 200 mutations of a valid request, most of them signed again so that they get past
authentication. The run prints a table of operations and statuses.
"""

from __future__ import annotations

import random
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from opentrail.gateway.resolve import protocol_of
from opentrail.identity.refusals import Rejected
from tests.fault import live, mutations
from tests.fault.live import Got, Sent

MUTATIONS = 200
NO_BODY = {204, 304}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Server]:
    with live.server(tmp_path_factory.mktemp("bad"), "--flush-interval", "1h") as running:
        yield running


@pytest.fixture(scope="module")
def known(server: live.Server) -> dict[str, Any]:
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
        except (AssertionError, KeyError, StopIteration, msgspec.DecodeError, ElementTree.ParseError):
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
        except (AssertionError, KeyError, StopIteration, msgspec.DecodeError, ElementTree.ParseError) as error:
            return f"not an error of {protocol or 'any protocol'}: {error!r}"
    return ""


def mutated(service: str, operation: str, known: dict[str, Any], server: live.Server) -> list[tuple[Sent, bool, bool]]:
    """Requests, whether only the body differs, whether the signature holds."""
    chance = random.Random(f"{service}.{operation}")
    found = []
    while len(found) < MUTATIONS:
        sent = live.valid(service, operation, known, server.port, chance)
        first = live.signed(sent, server.credentials)
        sent, body_only = mutations.mutate(sent, chance)
        if chance.random() < 0.1:
            sent, _ = mutations.mutate(first, chance)
            found.append((sent, False, False))
            continue
        try:
            found.append((live.signed(sent, server.credentials), body_only, True))
        except Rejected:
            found.append((replace(sent, headers=first.headers), False, False))
    return found


def settled(name: tuple[str, str]) -> tuple[bool, tuple[str, str]]:
    """Operations that take things away come last."""
    return name[1].startswith(("Delete", "Abort", "Complete", "Remove", "Untag")), name


def test_mutations_of_every_offered_operation(server: live.Server, known: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    operations = sorted(live.offered(), key=settled)
    sent = [(service, name, *one) for service, name in operations for one in mutated(service, name, known, server)]
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


def assert_quiet(server: live.Server) -> None:
    """The server logged no fault of its own, and is still well."""
    faults = [line for line in server.log.read_text().splitlines() if '"level":"error"' in line or "Traceback" in line]
    assert not faults, faults[:10]
    [health] = live.send_all(server.port, [b"GET /_opentrail/health HTTP/1.1\r\nhost: a\r\n\r\n"], 1)
    assert health.status == 200, health.body
