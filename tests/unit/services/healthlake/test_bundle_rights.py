"""A bundle is judged by what is carried out, whatever is sent."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from opentrail.calls.fhir import FhirInput
from opentrail.calls.operation import Right
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal
from opentrail.services.healthlake import bundle_plans, interactions
from opentrail.services.healthlake.engine import bundle as engine
from opentrail.services.healthlake.service import SERVICE

CALL: Any = SimpleNamespace(region="eu-west-2", account="123456789012", caller=Principal("IAMUser", "123456789012"))
STRANGE = st.sampled_from([b"5", b"null", b"[]", b"{}", b'"x"', b"true", b"[5]", b'{"method":5}'])


def objects(**members: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """JSON objects whose members come in any order, any number of times, and now and then with a strange value or an escaped name."""
    member = st.one_of(
        *(st.tuples(st.sampled_from([key, f"\\u{ord(key[0]):04x}{key[1:]}"]), value | STRANGE) for key, value in members.items())
    )
    return st.lists(member, max_size=8).map(
        lambda pairs: b"{" + b",".join(b'"' + key.encode() + b'":' + value for key, value in pairs) + b"}"
    )


def text(*values: str) -> st.SearchStrategy[bytes]:
    return st.sampled_from([msgspec.json.encode(value) for value in values])


URLS = text(
    "Patient/1", "Patient", "Patient?name=x", "Patient/1/_history/1", "Patient/1/_history", "Patient/_search", "Foo/1", "Patient/$validate"
)
REQUEST = objects(method=text("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"), url=URLS)
WHOLE_REQUEST = st.builds(lambda url, method: b'{"url":' + url + b',"method":' + method + b"}", URLS, text("GET", "POST", "PUT", "DELETE"))
RESOURCE = objects(resourceType=text("Patient"), id=text("1"), name=STRANGE)
WHOLE_RESOURCE = st.builds(lambda name: b'{"resourceType":"Patient","name":' + name + b',"id":"1"}', STRANGE)
ENTRY = objects(request=REQUEST | WHOLE_REQUEST, resource=RESOURCE) | st.builds(
    lambda before, request, resource: before[:-1] + (b"," if len(before) > 2 else b"") + b'"request":' + request + b',"resource":' + resource + b"}",
    objects(request=REQUEST, resource=RESOURCE), WHOLE_REQUEST, WHOLE_RESOURCE,
)  # fmt: skip
ENTRIES = st.lists(ENTRY | STRANGE, max_size=4).map(lambda rows: b"[" + b",".join(rows) + b"]")
BUNDLES = st.builds(
    lambda kind, more: b'{"resourceType":"Bundle","type":' + kind + b"," + more[1:] if len(more) > 2 else more,
    text("batch", "transaction"),
    objects(entry=ENTRIES) | st.builds(lambda strange, rows: b'{"entry":' + strange + b',"entry":' + rows + b"}", STRANGE, ENTRIES),
)


def rights(operation: str, asked: FhirInput) -> Sequence[Right] | None:
    """The rights that a call needs; None when it is refused with 400."""
    status, found = 200, None
    try:
        found = SERVICE.operations[operation].rights(CALL, asked)
    except ServiceError as refused:
        status = refused.status
    assert status == (400 if found is None else 200)
    return found


@given(BUNDLES)
def test_the_rights_are_those_of_what_is_carried_out(body: bytes) -> None:
    asked = FhirInput(datastoreId="d" * 32, body=body)
    found = rights("ProcessBundle", asked)
    if found is None:
        return
    names = {one.action.removeprefix("healthlake:") for one in found}
    assert names == {"ProcessBundle", *(interactions.of_entry(entry) for entry in asked.parsed.entries)} - {""}
    sent = msgspec.json.decode(body)
    assert asked.parsed.entries == engine.parse_bundle(sent).entries
    raw = bundle_plans.raw_of(body, asked.parsed)
    for entry in asked.parsed.entries:
        if entry.action in engine.WRITES:
            assert {key: msgspec.json.decode(value) for key, value in raw[entry.place].items()} == sent["entry"][entry.place]["resource"]


ROLE = text("arn:aws:iam::123456789012:role/bulk", "arn:aws:iam::123456789012:role/other", "")
OUTPUT = st.just(b'{"S3Configuration":{"S3Uri":"s3://bucket/out","KmsKeyId":"arn:aws:kms:eu-west-2:123456789012:key/k"}}')


@given(
    st.builds(
        lambda one, more: one[:-1] + (b"," if len(one) > 2 and len(more) > 2 else b"") + more[1:],
        objects(OutputDataConfig=OUTPUT),
        objects(DataAccessRoleArn=ROLE),
    )
)
def test_the_role_that_is_judged_is_the_role_that_is_assumed(body: bytes) -> None:
    asked = FhirInput(datastoreId="d" * 32, body=body)
    found = rights("StartFHIRExportJobWithPost", asked)
    if found is None:
        return
    (passed,) = [one.resource for one in found if one.action == "iam:PassRole"]
    assert passed == asked.parsed.DataAccessRoleArn == msgspec.json.decode(body)["DataAccessRoleArn"]
    assert passed.startswith("arn:aws:iam::123456789012:role/")
