"""Resources on their way into the store."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from opentrail.calls.fhir import FhirInput
from opentrail.services.healthlake import bundle_plans, fhir_store, import_lines, reads, requests, searches
from opentrail.services.healthlake.drafts import draft, rows_of, stored
from opentrail.services.healthlake.engine import compartments
from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.engine.search.query import Search
from opentrail.services.healthlake.engine.search.rows import IndexRows
from opentrail.services.healthlake.engine.search.run import Stored
from opentrail.services.healthlake.engine.validation import Level
from opentrail.services.healthlake.engine.validation.flags import URL
from opentrail.services.healthlake.engine.validation.profiles import NO_PROFILES
from opentrail.services.healthlake.writing import Patch, Want, patch_of
from tests.unit.services.healthlake.engine.test_exact import DECIMALS

OWN = "/datastore/0123456789abcdef0123456789abcdef/r4"

OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"versionId": "7", "tag": [{"code": "t"}]},
    "status": "final",
    "code": {"coding": [{"system": "http://codes", "code": "c"}]},
    "subject": {"reference": "Patient/p1"},
}


def test_the_server_writes_its_own_members_and_keeps_the_others() -> None:
    found = msgspec.json.decode(stored(draft(OBSERVATION, "strict", own=OWN), "o2", 3, 1_600_000_000_123))
    assert found == {
        **OBSERVATION,
        "id": "o2",
        "meta": {"versionId": "3", "lastUpdated": "2020-09-13T12:26:40.123Z", "tag": [{"code": "t"}]},
    }


@pytest.mark.parametrize("level", ["strict", "structure-only", "minimal"])
def test_the_rows_of_what_is_stored_are_those_that_were_drafted(level: Level) -> None:
    made = draft(OBSERVATION, level, own=OWN)
    assert rows_of(stored(made, "o1", 1, 0), OWN) == made.rows
    assert made.rows != IndexRows()


@pytest.mark.parametrize("level", ["strict", "minimal"])
@pytest.mark.parametrize("host", ["http://127.0.0.1:8080", "https://health.example"])
def test_a_reference_to_an_own_address_is_indexed_as_a_local_one(level: Level, host: str) -> None:
    made = draft({**OBSERVATION, "subject": {"reference": f"{host}{OWN}/Patient/p1"}}, level, own=OWN)
    assert made.rows == draft(OBSERVATION, level, own=OWN).rows
    assert rows_of(stored(made, "o1", 1, 0), OWN) == made.rows
    assert compartments.patients("Observation", "o1", made.rows) == ["p1"]
    other = draft({**OBSERVATION, "subject": {"reference": f"{host}{OWN}x/Patient/p1"}}, level, own=OWN)
    assert compartments.patients("Observation", "o1", other.rows) == []


def test_a_deletion_has_no_rows() -> None:
    assert rows_of(None, OWN) == IndexRows()


@pytest.mark.parametrize("bad", [{"status": "nonsense"}, {"unknown": 1}, {"meta": "text"}])
def test_what_is_wrong_is_refused_or_flagged(bad: dict[str, Any]) -> None:
    with pytest.raises(FhirError):
        draft({**OBSERVATION, **bad}, "strict", own=OWN)
    if "meta" not in bad:
        made = draft({**OBSERVATION, **bad}, "minimal", own=OWN)
        assert made.flagged
        assert made.members["extension"][-1]["url"] == URL


@st.composite
def observations(draw: st.DrawFn) -> bytes:
    """The text of an Observation with decimals in a value, in components, in an extension and in meta."""
    first, *more = draw(st.lists(DECIMALS, min_size=4, max_size=4))
    kept = {key: value for key, value in OBSERVATION.items() if key != "meta"}
    whole = {
        **kept,
        "meta": {"extension": [{"url": "urn:x", "valueDecimal": Raw(first.encode())}]},
        "extension": [{"url": "urn:y", "valueDecimal": Raw(more[0].encode())}],
        "component": [{"code": {"text": "a"}, "valueQuantity": {"value": Raw(one.encode())}} for one in more[1:]],
    }
    return msgspec.json.encode(whole)


def decimals(text: bytes) -> list[str]:
    """The numbers of a JSON text as they are written there, sorted."""
    found: list[str] = []
    json.loads(text, parse_float=found.append, parse_int=found.append)
    return sorted(found)


def made_of(text: bytes, level: Level) -> bytes:
    return stored(draft(requests.parse(text), level, requests.raw_members(text), own=OWN), "o1", 1, 0)


@given(observations())
def test_decimals_are_stored_as_they_were_sent(sent: bytes) -> None:
    assert decimals(made_of(sent, "strict")) == decimals(sent)
    assert decimals(made_of(sent.replace(b'"final"', b'"nonsense"'), "minimal")) == decimals(sent)
    imported = import_lines._line("minimal", NO_PROFILES, OWN, 1, sent.replace(b'"final"', b'"nonsense"'))
    assert isinstance(imported, import_lines.Ready)
    assert decimals(import_lines.body(imported, 1, "2020")) == decimals(sent)


FHIRPATH = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Observation.component[0].code.text"},
                {"name": "value", "valueString": "b"},
            ],
        }
    ],
}
JSON_PATCH: list[Any] = [{"op": "replace", "path": "/component/0/code/text", "value": "b"}]


@given(observations(), st.sampled_from([("application/json-patch+json", JSON_PATCH), ("application/fhir+json", FHIRPATH)]))
def test_decimals_are_patched_around(sent: bytes, patch: tuple[str, Any]) -> None:
    want = Want("patch", "Observation", "o1", patch=Patch(*patch, "strict"))
    made = patch_of(want, fhir_store.Current(1, 1, 0, made_of(sent, "strict")), OWN).made
    assert made is not None
    now = stored(made, "o1", 2, 0)
    assert decimals(now) == decimals(sent)
    assert json.loads(now)["component"][0]["code"] == {"text": "b"}
    assert rows_of(now, OWN) == made.rows


@given(DECIMALS)
def test_decimals_of_a_patch_are_stored_as_they_were_sent(sent: str) -> None:
    patch = b'{"patch":[{"op":"add","path":"/valueQuantity","value":{"value":%s}}]}' % sent.encode()
    want = Want("patch", "Observation", "o1", patch=Patch("application/json-patch+json", requests.exactly(patch)["patch"], "strict"))
    made = patch_of(want, fhir_store.Current(1, 1, 0, msgspec.json.encode(OBSERVATION)), OWN).made
    assert made is not None
    assert decimals(stored(made, "o1", 2, 0)) == [sent]


@given(observations())
def test_decimals_are_told_in_parts(sent: bytes) -> None:
    asked = FhirInput(datastoreId="d", parameters=(("_elements", "component,extension"),))
    assert decimals(reads._part("Observation", sent, asked)) == decimals(sent)
    wanted = Search("Observation", elements=("component", "extension"))
    assert decimals(msgspec.json.encode(searches._shown(Stored(1, "Observation", "o1", 1, 0, sent), wanted))) == decimals(sent)


@given(observations())
def test_decimals_stay_where_a_reference_is_rewritten(sent: bytes) -> None:
    told = sent.replace(b'"Patient/p1"', b'"urn:uuid:1"').replace(
        b'{"text":"a"}', b'{"text":"a","extension":[{"url":"urn:x","valueUri":"urn:uuid:1"}]}'
    )
    members = requests.raw_members(told)
    resource, raw = bundle_plans.linked(requests.parse(told), members, {"urn:uuid:1": "Patient/p1"})
    assert resource["subject"] == {"reference": "Patient/p1"}
    assert raw["extension"] is members["extension"]
    assert decimals(stored(draft(resource, "strict", raw, own=OWN), "o1", 1, 0)) == decimals(sent)
    assert json.loads(msgspec.json.encode(raw)) == json.loads(msgspec.json.encode(resource))
