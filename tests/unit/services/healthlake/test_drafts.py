"""Resources on their way into the store."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from opentrail.services.healthlake.drafts import draft, rows_of, stored, unchanged
from opentrail.services.healthlake.engine import compartments
from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.engine.search.rows import IndexRows
from opentrail.services.healthlake.engine.validation import Level
from opentrail.services.healthlake.engine.validation.flags import URL

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


def test_members_that_a_patch_left_alone_keep_their_text() -> None:
    raw = {"a": msgspec.Raw(b"1.50"), "b": msgspec.Raw(b"2.0")}
    found = unchanged(raw, {"a": 1.5, "b": 2.0}, {"a": 1.5, "b": 3.0, "c": 4})
    assert msgspec.json.encode(found) == b'{"a":1.50,"b":3.0,"c":4}'
