"""What is added to a note: extensions in the guide's form, resources that are valid FHIR, ids that stay."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import nlp
from opentrail.services.healthlake.engine.nlp import CM, GENERATED, Answers, Unreadable
from opentrail.services.healthlake.engine.validation import validate

SUBJECT = {"reference": "Patient/p1"}


def document(*texts: bytes, kind: str = "text/plain", **more: Any) -> dict[str, Any]:
    content = [{"attachment": {"contentType": kind, "data": base64.b64encode(text).decode()}} for text in texts]
    return {"resourceType": "DocumentReference", "id": "d1", "status": "current", "subject": SUBJECT, "content": content, **more}


def entity(text: str, concepts: str, *traits: str) -> dict[str, Any]:
    held = [{"Code": f"C{number}", "Description": f"{text} {number}", "Score": 0.5} for number in range(2)]
    return {
        "Id": 0, "Text": text, "BeginOffset": 1, "EndOffset": 4, "Score": 0.9, concepts: held,
        "Traits": [{"Name": trait, "Score": 0.8} for trait in traits],
    }  # fmt: skip


def answers(icd10: list[dict[str, Any]], rxnorm: list[dict[str, Any]]) -> Answers:
    version = {"ModelVersion": "1"}
    return Answers({"Entities": [], **version}, {"Entities": icd10, **version}, {"Entities": rxnorm, **version})


FULL = answers(
    [
        entity("pain", "ICD10CMConcepts", "SYMPTOM"), entity("rash", "ICD10CMConcepts", "SIGN", "NEGATION"),
        entity("diabetes", "ICD10CMConcepts", "DIAGNOSIS"), entity("asthma", "ICD10CMConcepts", "DIAGNOSIS", "NEGATION"),
        entity("stroke", "ICD10CMConcepts", "DIAGNOSIS", "PERTAINS_TO_FAMILY"), entity("flu", "ICD10CMConcepts", "SYMPTOM", "HYPOTHETICAL"),
        entity("leg", "ICD10CMConcepts"),
    ],
    [entity("aspirin", "RxNormConcepts"), entity("advil", "RxNormConcepts", "NEGATION")],
)  # fmt: skip


def test_resources_are_made_of_what_the_patient_has_or_takes() -> None:
    linkage, *made = nlp.generated(document(b"a"), "s/d1", [FULL])
    found = [(one["resourceType"], one.get("status"), one.get("valueBoolean"), "verificationStatus" in one) for one in made]
    assert found == [
        *[("Observation", "unknown", None, False)] * 2, *[("Observation", "unknown", False, False)] * 2,
        *[("Condition", None, None, False)] * 2, *[("Condition", None, None, True)] * 2,
        *[("MedicationStatement", "unknown", None, False)] * 2, *[("MedicationStatement", "not-taken", None, False)] * 2,
    ]  # fmt: skip
    assert [item["type"] for item in linkage["item"]] == ["alternate"] * len(made) + ["source"]
    assert made[4]["code"] == {"coding": [{"system": f"{CM}infer-icd10/", "code": "C0", "display": "diabetes 0"}], "text": "diabetes 0"}
    assert [one["url"].rpartition("/")[2] for one in made[4]["modifierExtension"]] == [
        "aws-cm-icd10-entity-score", "aws-cm-icd10-entity-Concept-Score", "system-generated-linkage", "source-document-reference",
    ]  # fmt: skip


def test_everything_made_is_valid_and_tagged() -> None:
    source = document(b"a")
    linked = nlp.generated(source, "s/d1", [FULL, FULL])
    for one in (*linked, nlp.decorated(source, nlp.SUCCESS, "Good.", [FULL, FULL], linked)):
        assert not [issue for issue in validate(one, "strict") if issue.is_error], one
    assert all(one["meta"]["tag"] == [{"display": "SYSTEM_GENERATED"}] for one in linked)


def test_ids_stay_from_version_to_version_and_differ_between_documents() -> None:
    first, again = nlp.generated(document(b"a"), "s/d1", [FULL]), nlp.generated(document(b"b"), "s/d1", [FULL])
    other = nlp.generated(document(b"a"), "s/d2", [FULL])
    assert [one["id"] for one in first] == [one["id"] for one in again]
    assert len({one["id"] for one in (*first, *other)}) == len(first) + len(other)


def test_extensions_replace_those_of_before_and_keep_others() -> None:
    own = {"url": "http://example.org/own", "valueString": "kept"}
    once = nlp.decorated(document(b"a", extension=[own]), nlp.SUCCESS, "Good.", [FULL], nlp.generated(document(b"a"), "s/d1", [FULL]))
    assert [one["url"] for one in once["extension"]] == [own["url"], GENERATED, CM]
    twice = nlp.decorated(once, nlp.VALIDATION_ERROR, "Bad.")
    assert twice["extension"] == [
        own,
        {
            "url": CM,
            "extension": [{"url": f"{CM}status/", "valueString": "VALIDATION_ERROR"}, {"url": f"{CM}message/", "valueString": "Bad."}],
        },
    ]


def test_entities_are_told_in_the_guides_form() -> None:
    group = FULL.extensions()[1]
    first = group["extension"][2]
    url = f"{CM}infer-icd10/aws-cm-icd10-entity"
    assert first["url"] == url
    assert [(one["url"].removeprefix(url), one.get("valueInteger", one.get("valueString"))) for one in first["extension"]] == [
        ("-id", 0), ("-text", "pain"), ("-begin-offset", 1), ("-end-offset", 4), ("-score", None), ("-ConceptList", None),
    ]  # fmt: skip


def test_nothing_is_made_without_a_subject_or_an_entity() -> None:
    bare = {name: value for name, value in document(b"a").items() if name != "subject"}
    assert nlp.generated(bare, "s/d1", [FULL]) == nlp.generated(document(b"a"), "s/d1", [answers([], [])]) == []


@pytest.mark.parametrize(
    ("text", "good"),
    [(b"a" * 10_000, True), (b"a" * 10_001, False), ("é".encode() * 5_000, True), ("é".encode() * 5_001, False), (b"\xff", False)],
)
def test_texts_are_read_within_limits(text: bytes, good: bool) -> None:
    held = document(text)
    if good:
        assert nlp.text_at(held, 0) == text.decode()
        return
    with pytest.raises(Unreadable):
        nlp.text_at(held, 0)


def test_only_plain_text_is_a_note() -> None:
    assert list(nlp.texts(document(b"a", b"b"))) == [0, 1]
    assert list(nlp.texts(document(b"a", kind="Text/Plain; charset=UTF-8"))) == [0]
    for other in (document(b"a", kind="application/pdf"), document(b""), {"content": [{}, {"attachment": {}}]}, {}):
        assert not list(nlp.texts(other))


JSON = st.recursive(st.none() | st.integers(), lambda below: st.lists(below) | st.dictionaries(st.text(), below), max_leaves=20)


@given(JSON)
def test_objects_are_counted(value: Any) -> None:
    def count(one: Any) -> int:
        below = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        return isinstance(one, dict) + sum(count(inner) for inner in below)

    assert nlp.objects(value) == count(value)
