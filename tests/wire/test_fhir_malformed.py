"""Every interaction of FHIR with malformed input: always a 4xx with an OperationOutcome that says what is wrong, never a fault.

Resources that are spoilt at one random place are accepted or refused with that place's path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import synthetic, terminology
from tests.wire.fhir_data import send
from tests.wire.story import Story

FORM = {"content-type": "application/x-www-form-urlencoded"}
PATCH = {"content-type": "application/json-patch+json"}
CODES = {one.code for one in terminology.members("http://hl7.org/fhir/ValueSet/issue-type")}
DEEP = b"[" * 500 + b"]" * 500


def outcome(answer: Any) -> dict[str, Any]:
    """The OperationOutcome of a refusal, checked for its form."""
    found: dict[str, Any] = json.loads(answer.data)
    assert found["resourceType"] == "OperationOutcome"
    for issue in found["issue"]:
        assert issue["severity"] in ("error", "fatal", "warning")
        assert issue["code"] in CODES
        assert issue["diagnostics"]
    return found


BODIES = {
    "nothing": b"",
    "broken off": b'{"resourceType":"Patient"',
    "an array": b"[]",
    "null": b"null",
    "a text": b'"Patient"',
    "no UTF-8": b'{"resourceType":"Patient","id":"\xff\xfe"}',
    "another type": b'{"resourceType":"Nobody"}',
    "a type that is no text": b'{"resourceType":1}',
    "a lone surrogate": b'{"resourceType":"Patient","id":"a","language":"\\ud800"}',
    "a NUL": b'{"resourceType":"Patient","id":"a","name":[{"family":"a\\u0000b"}]}',
    "too deep": b'{"resourceType":"Patient","id":"a","extension":' + DEEP + b"}",
    "no number": b'{"resourceType":"Patient","id":"a","multipleBirthInteger":NaN}',
    "an element of a wrong kind": b'{"resourceType":"Patient","id":"a","name":"x"}',
    "an unknown element": b'{"resourceType":"Patient","id":"a","nmae":[]}',
    "an impossible date": b'{"resourceType":"Patient","id":"a","birthDate":"2020-02-31"}',
    "a code outside its binding": b'{"resourceType":"Patient","id":"a","gender":"M"}',
    "a key twice": b'{"resourceType":"Patient","id":"a","gender":"male","gender":"female"}',
    "a key twice far inside": b'{"resourceType":"Patient","id":"a","link":[{"other":{"reference":"Patient/p1","\\u0072eference":"Patient/p2"}}]}',
    "trailing text": b'{"resourceType":"Patient","id":"a"} x',
}


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "Patient", {}),
        ("PUT", "Patient/a", {}),
        ("PUT", "Patient?_id=a", {}),
        ("POST", "", {}),
        ("POST", "", {"prefer": "respond-async"}),
        ("PATCH", "Patient/p1", PATCH),
        ("PATCH", "Patient/p1", {}),
        ("POST", "ValueSet/$expand", {}),
        ("POST", "CodeSystem/$lookup", {}),
        ("POST", "ConceptMap/$translate", {}),
    ],
)
def test_malformed_bodies(story: Story, ward: str, method: str, path: str, headers: dict[str, str]) -> None:
    for what, body in BODIES.items():
        if headers == PATCH and what == "an array":
            continue  # a patch of no steps
        answer = send(story, ward, method, path, body, headers)
        assert 400 <= answer.status < 500, (what, answer.status, answer.data)
        outcome(answer)


def test_a_key_that_stands_twice_is_named_to_the_caller(story: Story, ward: str) -> None:
    found = outcome(send(story, ward, "POST", "Patient", BODIES["a key twice far inside"]))
    assert found["issue"][0]["diagnostics"] == "The key reference stands twice in one object."


@pytest.mark.parametrize("what", [what for what in BODIES if what.startswith(("an element", "an unknown", "an impossible", "a code"))])
@pytest.mark.parametrize("inside", ["", "transaction", "batch"])
def test_a_bad_resource_is_refused_with_its_path(story: Story, ward: str, what: str, inside: str) -> None:
    element = {"an element": "name", "an unknown": "nmae", "an impossible": "birthDate", "a code": "gender"}[" ".join(what.split()[:2])]
    if not inside:
        found = outcome(send(story, ward, "POST", "Patient", BODIES[what]))
        assert found["issue"][0]["location"][0].startswith(f"/Patient/{element}")
        return
    entry = {"request": {"method": "POST", "url": "Patient"}, "resource": json.loads(BODIES[what])}
    answer = send(story, ward, "POST", "", {"resourceType": "Bundle", "type": inside, "entry": [entry]})
    found = outcome(answer) if inside == "transaction" else json.loads(answer.data)["entry"][0]["response"]["outcome"]
    prefix = "/Bundle/entry[0]" if inside == "transaction" else ""
    assert found["issue"][0]["location"][0].startswith(f"{prefix}/Patient/{element}")


PATHS = ("a_b", "%00", "%ff", "a%2Fb", "x" * 65, "..%2F..", "%20", "{}", "a?b=%zz", "_history/x/y", "$nothing", "💥".encode().hex() + "_")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "POST"])
def test_malformed_addresses(story: Story, ward: str, method: str) -> None:
    for path in PATHS:
        for type in ("Patient", "Nobody", "patient"):
            body = {"resourceType": type, "id": "a"} if method in ("PUT", "POST") else [] if method == "PATCH" else None
            answer = send(story, ward, method, f"{type}/{path}", body, PATCH if method == "PATCH" else {})
            assert 400 <= answer.status < 500 or answer.status == 501, (path, answer.status)
            outcome(answer)


QUERIES = {
    "Patient?": ("birthdate=soon", "birthdate=2020-13", "birthdate=zz2020", "gender:x=male", "name:below=a", "_sort=nothing", "_sort=,",
                 "_count=1e3", "_count=-1", "_total=estimate", "_summary=all", "_elements=x", "_include=x", "_include=Patient:x",
                 "_revinclude=*", "_has:x=1", "_has:Observation:patient=1", "_has:Nobody:patient:code=1", "general-practitioner.x=1",
                 "general-practitioner:Nobody.name=1", "name.x=1", "name:missing=maybe", "identifier:of-type=x", "gender:in=http://no",
                 "a.b.c.d.e.f.g=1", "page=x", "_lastUpdated=x", "_id:exact=1", "name=" + "a" * 3000, "name=" + ",".join("a" * 201),
                 "&".join(f"name=a{n}" for n in range(51)), "name=%ff", "link:Nobody=1", "_type=Patient", "_text=x", "_content=x"),
    "Observation?": ("value-quantity=x", "value-quantity=1|2", "value-quantity=gt", "code-value-quantity=1", "code-value-quantity=a$b",
                     "code:above=1", "code:below=http://no|1", "date=2020-01-01T25:00:00Z", "subject:Practitioner=1", "combo-code:missing=2",
                     "component-code-value-quantity:missing=yes", "value-quantity=1e9999", "value-quantity=NaN"),
    "RiskAssessment?": ("probability=x", "probability=1|a|b", "probability=gtlt1"),
    "Location?": ("near=1|2|3|km",),
    "Nobody?": ("_id=1",),
}  # fmt: skip


@pytest.mark.parametrize("stem", QUERIES)
def test_malformed_searches(story: Story, ward: str, stem: str) -> None:
    for query in QUERIES[stem]:
        for answer in (
            send(story, ward, "GET", stem + query),
            send(story, ward, "POST", stem[:-1] + "/_search", query.encode(), FORM),
            send(story, ward, "DELETE", stem + query)
            if not query.startswith(("_count", "_sort", "_total", "_summ", "_elem", "page"))
            else None,
        ):
            if answer is not None:
                assert 400 <= answer.status < 500, (query, answer.status, answer.data[:200])
                outcome(answer)


HEADERS = [
    ("PUT", "Patient/p1", {"if-match": "1"}),
    ("PUT", "Patient/p1", {"if-match": 'W/"x"'}),
    ("PUT", "Patient/p1", {"if-match": 'W/"99999999999999999999"'}),
    ("PUT", "Patient/p1", {"if-none-match": 'W/"1"'}),
    ("POST", "Patient", {"if-none-exist": "_count=1"}),
    ("POST", "Patient", {"if-none-exist": "nothing=1"}),
    ("POST", "Patient", {"if-none-exist": "%ff"}),
    ("POST", "Patient", {"x-amz-fhir-idempotency-key": "1"}),
    ("POST", "Patient", {"x-amzn-healthlake-fhir-validation-level": "lax"}),
    ("POST", "Patient", {"content-type": "text/xml"}),
    ("GET", "Patient/p1", {"accept": "application/fhir+xml"}),
    ("GET", "Patient/p1/_history?_since=x", {}),
    ("GET", "Patient/p1/_history?_at=x", {}),
    ("GET", "Patient/p1/_history?_count=0", {}),
    ("GET", "Patient/p1/_history/0", {}),
    ("GET", "Patient/p1/_history/9", {}),
    ("GET", "Patient/p1/_history/x", {}),
    ("GET", "Patient/p1/$everything?start=x", {}),
    ("GET", "Patient/p1?_summary=x", {}),
]


@pytest.mark.parametrize(("method", "path", "headers"), HEADERS)
def test_malformed_headers_and_parameters(story: Story, ward: str, method: str, path: str, headers: dict[str, str]) -> None:
    body = {"resourceType": "Patient", "id": "p1"} if method != "GET" else None
    answer = send(story, ward, method, path, body, headers)
    assert 400 <= answer.status < 500, answer.data
    outcome(answer)


ENTRIES: list[Any] = [
    1, {}, {"request": 1}, {"request": {}}, {"request": {"method": "GET"}}, {"request": {"method": "BREW", "url": "Patient/1"}},
    {"request": {"method": "GET", "url": 1}}, {"request": {"method": "GET", "url": "http://elsewhere/Patient/1"}},
    {"request": {"method": "GET", "url": "Nobody/1"}}, {"request": {"method": "GET", "url": "Patient/a_b"}},
    {"request": {"method": "PUT", "url": "Patient/1"}}, {"request": {"method": "PUT", "url": "Patient/1"}, "resource": {"resourceType": "Patient"}},
    {"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Observation"}},
    {"request": {"method": "POST", "url": "Patient"}, "resource": []}, {"request": {"method": "DELETE", "url": "Patient"}},
    {"request": {"method": "GET", "url": "Patient/1", "ifMatch": 1}}, {"request": {"method": "GET", "url": "Patient/1"}, "fullUrl": 1},
    {"request": {"method": "GET", "url": ""}}, {"request": {"method": "POST", "url": "$validate"}}, None, [],
]  # fmt: skip


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_malformed_entries_are_named_by_their_place(story: Story, ward: str, kind: str) -> None:
    good = {"request": {"method": "GET", "url": "Patient/p1"}}
    for entry in ENTRIES:
        answer = send(story, ward, "POST", "", {"resourceType": "Bundle", "type": kind, "entry": [good, entry]})
        if answer.status == 200:
            (response,) = [one["response"] for one in json.loads(answer.data)["entry"][1:]]
            assert (kind, response["status"][0]) == ("batch", "4"), entry
            continue
        assert 400 <= answer.status < 500, (entry, answer.data)
        assert "[1]" in outcome(answer)["issue"][0]["location"][0]


RESOURCES = [msgspec.json.decode(line) for line in synthetic.lines()]
KINDS = {resource["resourceType"]: resource for resource in RESOURCES}
VALUES = st.sampled_from(
    (None, True, 0, -1, 1.5, 10**30, "", " ", "x", "2020-02-30", "\u0000", "a" * 300, [], {}, [None], [[]], {"x": 1}, ["x"], [{}])
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything inside a value."""
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from places(child, (*path, key))


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """A resource with another value at one place, and the place."""
    resource = msgspec.json.decode(msgspec.json.encode(draw(st.sampled_from(list(KINDS.values())))))
    path = draw(st.sampled_from([path for path in places(resource) if path != ("resourceType",)]))
    holder = resource
    for key in path[:-1]:
        holder = holder[key]
    if draw(st.booleans()) and isinstance(holder, dict):
        holder["unknownElement"] = holder.pop(path[-1])
    else:
        holder[path[-1]] = draw(VALUES)
    return resource, path


def test_a_resource_that_is_spoilt_at_one_place(story: Story, ward: str) -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=quiet)
    @given(spoilt())
    def check(found: tuple[dict[str, Any], tuple[Any, ...]]) -> None:
        resource, _ = found
        kind = resource["resourceType"]
        answer = send(story, ward, "POST", kind, resource)
        assert answer.status in (201, 400, 422), answer.data
        if answer.status == 201:
            assert send(story, ward, "GET", answer.headers["location"].partition("/r4/")[2]).status == 200
        else:
            assert outcome(answer)["issue"][0].get("location", [f"/{kind}"])[0].startswith(f"/{kind}")

    check()
