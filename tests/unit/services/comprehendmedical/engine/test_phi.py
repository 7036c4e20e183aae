"""Protected health information and its removal."""

from __future__ import annotations

import pytest

from opentrail.services.comprehendmedical.engine import detect
from opentrail.services.comprehendmedical.engine.library import Library

CASES = [
    ("The patient is a 67-year-old man.", "67", "AGE"),
    ("Age: 45, male", "45", "AGE"),
    ("Seen on 03/04/2021.", "03/04/2021", "DATE"),
    ("Admitted January 5th, 2022 for pain.", "January 5th, 2022", "DATE"),
    ("Mr. Robert Miller was seen.", "Robert Miller", "NAME"),
    ("Seen by Dr. Patel in clinic.", "Patel", "NAME"),
    ("Call (555) 234-5678 with questions.", "(555) 234-5678", "PHONE_OR_FAX"),
    ("Mail jane.roe@clinic.example today.", "jane.roe@clinic.example", "EMAIL"),
    ("MRN: AB-123456.", "AB-123456", "ID"),
    ("SSN 123-45-6789 on file.", "123-45-6789", "ID"),
    ("See https://portal.example/x for results.", "https://portal.example/x", "URL"),
    ("Lives at 42 Maple Street with family.", "42 Maple Street", "ADDRESS"),
    ("Treated at Lakeview General Hospital last year.", "Lakeview General Hospital", "ADDRESS"),
    ("He is a retired truck driver from Ohio.", "truck driver", "PROFESSION"),
]


def told(loaded: Library, source: str) -> list[tuple[str, str]]:
    return [(source[one.begin : one.end], one.type) for one in detect.find_phi(source, loaded)]


@pytest.mark.parametrize(("source", "words", "kind"), CASES)
def test_each_type_is_found(loaded: Library, source: str, words: str, kind: str) -> None:
    assert (words, kind) in told(loaded, source)


@pytest.mark.parametrize(
    "source", ["Parkinson's disease worsens with levodopa.", "Give 500 mg every 8 hours.", "White blood count was 11.2.", ""]
)
def test_clinical_words_are_not_protected(loaded: Library, source: str) -> None:
    assert told(loaded, source) == []


def test_the_answer_has_the_shape_of_the_api(loaded: Library) -> None:
    answer = detect.detect_phi("Mrs. Ada Byron, MRN 1234567.", loaded)
    assert set(answer) == {"Entities", "ModelVersion"}
    entities = answer["Entities"]
    assert isinstance(entities, list)
    assert [set(one) for one in entities] == [{"Id", "BeginOffset", "EndOffset", "Score", "Text", "Category", "Type", "Traits"}] * 2
    assert {one["Category"] for one in entities} == {"PROTECTED_HEALTH_INFORMATION"}
