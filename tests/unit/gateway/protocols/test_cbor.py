"""RPC-v2-CBOR: botocore is the oracle, for the models of all services that speak in calls and not in resources; then bytes by hand."""

from __future__ import annotations

import random
from typing import Any

import cbor2
import msgspec
import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.calls.call import Request
from opentrail.contract import operation
from opentrail.contract.models import front, model
from opentrail.gateway.protocols import cbor
from opentrail.kernel.errors import Content, ServiceError
from opentrail.work.runner import attempt
from tests.unit.contract import samples
from tests.unit.gateway.protocols.test_round_trips import plain, present, same

SPEAKING = [name for name in samples.SERVICES if "targetPrefix" in front(name)["metadata"]]
LIST = operation("comprehendmedical", "ListPHIDetectionJobs", "InvalidRequestException")
ALL_TAGS = [0, 1, 2, 3, 4, 5, 21, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799, 999_999]


def posted(body: bytes, **headers: str) -> Request:
    found = {"content-type": "application/cbor", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request("POST", "/service/a/operation/b", "", found, body, "127.0.0.1", 1.7e9)


def read(body: bytes, **headers: str) -> Any:
    return present(plain(cbor.decode(posted(body, **headers), LIST, {})))


def refused(body: bytes, **headers: str) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        read(body, **headers)
    return caught.value


@pytest.mark.parametrize("service", SPEAKING)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_botocore_writes_is_read_and_the_other_way_round(service: str, seed: int) -> None:
    chance = random.Random(seed)
    for name in model(service).operation_names:
        contract = operation(service, name)
        if contract.event_stream:
            continue
        shape, out = contract.model.input_shape, contract.model.output_shape
        sent = samples.value(shape, chance) if shape is not None else {}
        written = create_serializer("smithy-rpc-v2-cbor", include_validation=False).serialize_to_request(sent, contract.model)
        request = samples.request(contract.model, written, samples.SERVICES[service])
        assert request.header("smithy-protocol") == cbor.PROTOCOL
        assert present(plain(cbor.decode(request, contract, {}))) == present(sent), name
        if out is None:
            assert cbor.encode(contract, {}, "req-1").body == b""
            continue
        output = samples.value(out, chance)
        answer = cbor.encode(contract, output, "req-1")
        parsed = create_parser("smithy-rpc-v2-cbor").parse(
            {"status_code": 200, "headers": HeadersDict(dict(answer.headers)), "body": answer.body}, out
        )
        assert parsed.pop("ResponseMetadata")["RequestId"] == "req-1"
        assert same(parsed, output, out), name


def test_botocore_reads_errors() -> None:
    error = ServiceError("InvalidRequestException", "{what} is wrong.", what=Content("it"))
    answer = cbor.encode_error(LIST, error, "req-1")
    parsed = create_parser("smithy-rpc-v2-cbor").parse(
        {"status_code": answer.status, "headers": HeadersDict(dict(answer.headers)), "body": answer.body}, LIST.model.output_shape
    )
    assert parsed["Error"] == {"Code": "InvalidRequestException", "Message": "it is wrong."}
    assert cbor2.loads(cbor.encode_error(None, ServiceError("A", "b\ud800"), "r").body) == {"__type": "A", "message": "b?"}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"", {}),
        (b"\xa0", {}),
        (b"\xbf\xff", {}),
        (b"\xa1\x6aMaxResults\x05", {"MaxResults": 5}),
        (b"\xa1\x6aMaxResults\x1b\x00\x00\x00\x00\x00\x00\x00\x05", {"MaxResults": 5}),
        (b"\xbf\x7f\x63Max\x67Results\xff\x05\xff", {"MaxResults": 5}),
        (b"\xa1\x6aMaxResults\xf6", {}),
        (b"\xa1\x6aMaxResults\xf7", {}),
        (b"\xa1\x65Other\x81\xf9\x7e\x00", {}),
    ],
)
def test_every_way_to_write_a_value_is_read(body: bytes, wanted: dict[str, Any]) -> None:
    assert read(body) == wanted


@pytest.mark.parametrize("time", [5, 5.5, -1])
def test_times_come_under_their_tag_as_whole_or_broken_seconds(time: float) -> None:
    body = cbor2.dumps({"Filter": {"SubmitTimeBefore": cbor2.CBORTag(1, time)}})
    assert read(body) == {"Filter": {"SubmitTimeBefore": time}}


@pytest.mark.parametrize("tag", [tag for tag in ALL_TAGS if tag != 1])
def test_no_other_tag_is_read(tag: int) -> None:
    for held in (1, "a", b"a", [1, 2], {"a": 1}):
        assert refused(cbor2.dumps({"NextToken": cbor2.CBORTag(tag, held)})).code == "SerializationException"


@pytest.mark.parametrize(
    "body",
    [
        b"\x81" * 70 + b"\x01",
        b"\x9f" * 900_000,
        b"\xc1" * 900_000,
        b"\xa1\x61a" * 300_000,
        b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xd8\x1c\x82\xd8\x1d\x00\xd8\x1d\x00",
        b"\xa2\x61a\x01\x61a\x02",
        b"\xa1\x01\x02",
        b"\xa1\x41a\x02",
        b"\xa0\xa0",
        b"\xff",
        b"\x61\xff",
        b"\xa1\x61a\x61\xff",
        b"\xa1",
        b"\x1c",
        b"\x80",
        b"\xf6",
        b"{}",
        b"\xa1\x6aMaxResults\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00",
        b"\xa1\x6aMaxResults\xe0",
        b"\xa1\x66Filter\x81\x01",
        b"\xa1\x66Filter\xa1\x70SubmitTimeBefore\xc1\x61a",
        b"\xa1\x66Filter\xa1\x70SubmitTimeBefore\xc1\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    ],
    ids=lambda body: body[:12].hex(),
)
def test_bombs_and_broken_bodies_are_refused(body: bytes) -> None:
    error = refused(body)
    assert (error.code, error.status) == ("SerializationException", 400)


def test_violations_are_named_as_in_json() -> None:
    error = refused(cbor2.dumps({"MaxResults": 0, "NextToken": ""}))
    assert error.code == "InvalidRequestException"
    assert error.for_caller().startswith("2 validation errors detected: ")


def test_what_is_no_call_of_this_protocol_is_refused() -> None:
    assert refused(b"\xa0", content_type="application/json").status == 415
    assert refused(b"\xa0", x_amz_target="A.b").status == 400
    with pytest.raises(ServiceError):
        cbor.decode(msgspec.structs.replace(posted(b"\xa0"), method="GET"), LIST, {})


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_mutation_raises_anything_but_a_refusal(data: st.DataObject) -> None:
    whole = cbor2.dumps({"Filter": {"JobName": "a", "SubmitTimeBefore": cbor2.CBORTag(1, 1.5)}, "MaxResults": 5, "NextToken": "é" * 30})
    body = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(1, len(body)))]
    failure = attempt(lambda: cbor.decode(posted(bytes(body)), LIST, {}))
    assert failure is None or (isinstance(failure, ServiceError) and 400 <= failure.status < 500), failure
