"""botocore is the oracle: what its serializers write is read, what is written its parsers read, for every operation."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.contract import operation
from opentrail.contract.models import model
from opentrail.gateway import resolve as resolving
from opentrail.gateway.protocols import json, query, rest_json, rest_xml
from tests.outputs import check_output
from tests.unit.contract import samples

MODULES = {"json": json, "query": query, "rest_json": rest_json, "rest_xml": rest_xml}
WIRE = {"json": "json", "query": "query", "rest_json": "rest-json", "rest_xml": "rest-xml"}


@dataclass(frozen=True)
class Door:
    name: str
    signing_names: tuple[str, ...]


ROUTES = resolving.Routes([Door(name, (signed,)) for name, signed in samples.SERVICES.items()], fhir="healthlake")
OPERATIONS = [(service, name) for service in samples.SERVICES for name in model(service).operation_names]
# Two names for one address: the model keeps the old ones, the wire cannot tell them apart.
ALIASES = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "ListDirectoryBuckets": "ListBuckets",
}


def plain(held: Any) -> Any:
    return msgspec.to_builtins(held, builtin_types=(bytes,)) if isinstance(held, msgspec.Struct) else held


def present(held: Any) -> Any:
    """Without absent members."""
    if isinstance(held, dict):
        return {k: present(v) for k, v in held.items() if v is not None}
    return [present(v) for v in held] if isinstance(held, list) else held


def test_every_operation_is_known() -> None:
    assert len(OPERATIONS) == 541


@pytest.mark.parametrize("service", samples.SERVICES)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_botocore_writes_is_resolved_and_read(service: str, seed: int) -> None:
    chance = random.Random(seed)
    for name in model(service).operation_names:
        contract = operation(service, name)
        if contract.event_stream or name in ALIASES:
            continue
        protocol = resolving.protocol_of(service)
        shape = contract.model.input_shape
        sent = samples.located(shape, chance) if shape is not None else {}
        if contract.streamed:
            sent.pop(contract.streamed, None)
        serializer = create_serializer(WIRE[protocol], include_validation=False)
        request = samples.request(contract.model, serializer.serialize_to_request(sent, contract.model), samples.SERVICES[service])
        found = resolving.resolve(request, ROUTES)
        assert (found.service, found.operation, found.protocol) == (service, ALIASES.get(name, name), protocol)
        read = plain(MODULES[protocol].decode(request, contract, found.labels))
        assert present(read) == expected(sent, shape), name


def expected(sent: Any, shape: Any) -> Any:
    """What an input must read as: header maps have lower-case names, and an absent map of headers is an empty one."""
    wanted = dict(sent)
    for member, inner in shape.members.items() if shape is not None else ():
        if inner.serialization.get("location") == "headers":
            wanted[member] = {k.lower(): v for k, v in sent.get(member, {}).items()}
        if inner.serialization.get("location") == "header" and inner.type_name == "list" and sent.get(member) == []:
            wanted.pop(member, None)
    return wanted


@pytest.mark.parametrize("service", samples.SERVICES)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_is_written_botocore_reads(service: str, seed: int) -> None:
    chance = random.Random(seed)
    for name in model(service).operation_names:
        contract = operation(service, name)
        shape = contract.model.output_shape
        if contract.event_stream or shape is None or name in ALIASES:
            continue
        protocol = resolving.protocol_of(service)
        output = samples.located(shape, chance)
        if contract.streamed_out:
            output.pop(contract.streamed_out, None)
        assert check_output(contract, output) == []
        answer = MODULES[protocol].encode(contract, output, "req-1")
        headers = HeadersDict(dict(answer.headers))
        parsed = create_parser(WIRE[protocol]).parse({"status_code": 200, "headers": headers, "body": answer.body}, shape)
        metadata = parsed.pop("ResponseMetadata")
        assert metadata["RequestId"] == "req-1"
        if name == "GetBucketLocation":
            assert f">{output.get('LocationConstraint', '')}</LocationConstraint>".encode() in answer.body
            continue
        assert same(parsed, output, shape), (name, parsed, output)


def same(read: Any, written: Any, shape: Any) -> bool:
    kind = shape.type_name
    if kind == "structure":
        keys = {k for k, v in read.items() if v not in ({}, [], "", b"")} | {k for k, v in written.items() if v not in ({}, [], "", b"")}
        return all(same(read.get(k), written.get(k), shape.members[k]) for k in keys)
    if read is None or written is None:
        return False
    if kind == "list":
        return len(read) == len(written) and all(same(r, w, shape.member) for r, w in zip(read, written, strict=True))
    if kind == "map":
        return read.keys() == written.keys() and all(same(read[k], written[k], shape.value) for k in read)
    if kind == "timestamp":
        return read.timestamp() == written
    if kind == "string" and isinstance(read, (dict, list, int, float)):
        return True
    return read == written
