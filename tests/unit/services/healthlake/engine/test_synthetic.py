"""The invented patients: as the tool makes them, of every promised type, valid, complete in themselves."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import msgspec
from tools import build_synthetic_patients

from opentrail.services.healthlake.engine import synthetic
from opentrail.services.healthlake.engine.validation import validate

TYPES = (
    "AllergyIntolerance CarePlan CareTeam Claim Condition Device DiagnosticReport Encounter ExplanationOfBenefit ImagingStudy Immunization "
    "Location MedicationAdministration MedicationRequest Observation Organization Patient Practitioner PractitionerRole Procedure Provenance"
)
RESOURCES = [msgspec.json.decode(line) for line in synthetic.lines()]


def references(value: Any) -> Iterator[str]:
    """Every reference in a resource."""
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(child, dict | list):
            yield from references(child)
        elif key == "reference":
            yield child


def test_the_file_is_what_the_tool_makes() -> None:
    made = b"".join(msgspec.json.encode(one) + b"\n" for one in build_synthetic_patients.resources())
    assert gzip.decompress(synthetic.FILE.read_bytes()) == made


def test_every_type_of_healthlakes_preload_is_there_and_valid() -> None:
    assert {one["resourceType"] for one in RESOURCES} == set(TYPES.split())
    assert [(one["id"], issue) for one in RESOURCES for issue in validate(one)] == []


def test_what_is_pointed_to_came_before() -> None:
    seen: set[str] = set()
    for one in RESOURCES:
        assert set(references(one)) <= seen, one["id"]
        seen.add(f"{one['resourceType']}/{one['id']}")
    assert len(seen) == len(RESOURCES)
