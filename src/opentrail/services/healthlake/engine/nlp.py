"""What natural-language processing adds to a note: two extensions on the DocumentReference, resources made of entities, a Linkage.

    texts(document)                           the attachments to be read
    decorated(document, status, ...)          the document with its extensions, earlier ones replaced
    generated(document, key, answers)         the resources, under ids that stay the same from version to version

Addresses of extensions: HealthLake Developer Guide, "Integrated natural language processing". The guide shows those of ICD-10-CM
alone in full; those of RxNorm are formed alike, and of DetectEntitiesV2 the answer is kept whole.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

ROOT = "http://healthlake.amazonaws.com/"
CM, GENERATED = f"{ROOT}aws-cm/", f"{ROOT}system-generated-resources/"
TAG = {"display": "SYSTEM_GENERATED"}

MOST_CHARACTERS, MOST_BYTES = 10_000, 10_000
"""What a text may have: HealthLake's limit, and that of InferICD10CM and InferRxNorm."""

MOST_OBJECTS = 10_000
"""Nested objects that a document may have with its extensions (HealthLake's limit)."""

SUCCESS, VALIDATION_ERROR, INTERNAL_ERROR = "SUCCESS", "VALIDATION_ERROR", "INTERNAL_ERROR"

_IDS = uuid.uuid5(uuid.NAMESPACE_URL, ROOT)
_LINKED = {"SIGN": "Observation", "SYMPTOM": "Observation", "DIAGNOSIS": "Condition"}
_OTHERS = {"PERTAINS_TO_FAMILY", "HYPOTHETICAL"}
"""Traits of what the patient does not have."""


class Unreadable(Exception):
    """A note that cannot be read; the text says why, without content."""


def texts(document: Json) -> Iterator[int]:
    """The places in `content` of attachments that hold plain text."""
    for place, content in enumerate(document.get("content") or ()):
        attachment = content.get("attachment") or {}
        kind = str(attachment.get("contentType", "")).partition(";")[0].strip().lower()
        if kind == "text/plain" and attachment.get("data"):
            yield place


def text_at(document: Json, place: int) -> str:
    """The text of an attachment. Raises Unreadable."""
    where = f"DocumentReference.content[{place}].attachment.data"
    try:
        raw = base64.b64decode(document["content"][place]["attachment"]["data"], validate=False)
        text = raw.decode()
    except (binascii.Error, ValueError):
        raise Unreadable(f"{where} is not UTF-8 text in base64.") from None
    if not text:
        raise Unreadable(f"{where} is empty.")
    if len(text) > MOST_CHARACTERS or len(raw) > MOST_BYTES:
        raise Unreadable(f"{where} has more than {MOST_CHARACTERS} characters or {MOST_BYTES} bytes.")
    return text


class Answers:
    """What the three operations said of one text."""

    def __init__(self, detected: Mapping[str, Any], icd10: Mapping[str, Any], rxnorm: Mapping[str, Any]) -> None:
        self.detected, self.icd10, self.rxnorm = detected, icd10, rxnorm

    def extensions(self) -> list[Json]:
        """The three groups below `aws-cm/`."""
        return [
            _group("detect-entities", self.detected),
            _group("infer-icd10", self.icd10, "aws-cm-icd10-entity", "ICD10CMConcepts"),
            _group("infer-rxnorm", self.rxnorm, "aws-cm-rxnorm-entity", "RxNormConcepts"),
        ]


def _group(name: str, answer: Mapping[str, Any], word: str = "", concepts: str = "") -> Json:
    url = f"{CM}{name}/"
    raw = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    below = [_held(f"{url}raw-response", String=raw), _held(f"{url}model-version", String=answer["ModelVersion"])]
    if word:
        below += [_entity(f"{url}{word}", entity, entity.get(concepts) or ()) for entity in answer["Entities"]]
    return {"url": url, "extension": below}


def _entity(url: str, entity: Mapping[str, Any], concepts: Sequence[Mapping[str, Any]]) -> Json:
    listed = [
        {
            "url": f"{url}-Concept",
            "extension": [
                _held(f"{url}-Concept-Code", String=one["Code"]),
                _held(f"{url}-Concept-Description", String=one["Description"]),
                _held(f"{url}-Concept-Score", Decimal=one["Score"]),
            ],
        }
        for one in concepts
    ]
    below: list[Json] = [
        _held(f"{url}-id", Integer=entity["Id"]),
        _held(f"{url}-text", String=entity["Text"]),
        _held(f"{url}-begin-offset", Integer=entity["BeginOffset"]),
        _held(f"{url}-end-offset", Integer=entity["EndOffset"]),
        _held(f"{url}-score", Decimal=entity["Score"]),
    ]
    return {"url": url, "extension": below + ([{"url": f"{url}-ConceptList", "extension": listed}] if listed else [])}


def _held(url: str, **value: Any) -> Json:
    (kind, held), = value.items()  # fmt: skip
    return {"url": url, f"value{kind}": held}


def decorated(document: Json, status: str, message: str, read: Sequence[Answers] = (), linked: Sequence[Json] = ()) -> Json:
    """The document with its two extensions; `linked` are the Linkage and the resources that it links, Linkage first."""
    kept = [one for one in document.get("extension") or () if one.get("url") not in (CM, GENERATED)]
    groups = [group for answers in read for group in answers.extensions()]
    groups += [_held(f"{CM}status/", String=status), _held(f"{CM}message/", String=message)]
    added: list[Json] = [{"url": CM, "extension": groups}]
    if linked:
        first, *others = (_reference(one) for one in linked)
        below = [_held(f"{ROOT}linkage", Reference=first), *(_held(f"{ROOT}nlp-entity", Reference=one) for one in others)]
        added.insert(0, {"url": GENERATED, "extension": below})
    return {**document, "extension": [*kept, *added]}


def objects(value: Any) -> int:
    """How many objects a JSON value holds."""
    if isinstance(value, dict):
        return 1 + sum(map(objects, value.values()))
    return sum(map(objects, value)) if isinstance(value, list) else 0


def linkage_id(key: str) -> str:
    """The id of a document's Linkage. `key` names the document among all data stores."""
    return str(uuid.uuid5(_IDS, f"{key}/Linkage"))


def generated(document: Json, key: str, read: Sequence[Answers]) -> list[Json]:
    """The Linkage and the resources that the answers make: one for each concept of a sign, symptom, diagnosis or medication of the
    patient. Empty when there are none, or when the document names no subject, whom they would have to concern."""
    subject = document.get("subject")
    if not subject:
        return []
    source, linkage = _reference(document), {"reference": f"Linkage/{linkage_id(key)}"}
    links = [_held(f"{ROOT}system-generated-linkage", Reference=linkage), _held(f"{ROOT}source-document-reference", Reference=source)]
    made: list[Json] = []
    for answers in read:
        made += (one for entity in answers.icd10["Entities"] for one in _conditions(entity))
        made += (one for entity in answers.rxnorm["Entities"] for one in _medications(entity))
    counts: dict[str, int] = {}
    for one in made:
        number = counts[one["resourceType"]] = counts.get(one["resourceType"], 0) + 1
        one["id"] = str(uuid.uuid5(_IDS, f"{key}/{one['resourceType']}/{number}"))
        one["meta"], one["subject"] = {"tag": [TAG]}, subject
        one["modifierExtension"] = [*one.get("modifierExtension", ()), *links]
    return [_linkage(key, document, made), *made] if made else []


def _linkage(key: str, document: Json, made: Sequence[Json]) -> Json:
    items = [{"type": "alternate", "resource": {**_reference(one), "type": one["resourceType"]}} for one in made]
    items.append({"type": "source", "resource": {**_reference(document), "type": document["resourceType"]}})
    return {"resourceType": "Linkage", "id": linkage_id(key), "meta": {"tag": [TAG]}, "active": True, "item": items}


def _reference(resource: Json) -> Json:
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def _conditions(entity: Mapping[str, Any]) -> Iterator[Json]:
    """An Observation or Condition for each concept. What the note denies is said to be absent."""
    traits = {trait["Name"] for trait in entity.get("Traits") or ()}
    kind = _LINKED["DIAGNOSIS"] if "DIAGNOSIS" in traits else next((_LINKED[one] for one in ("SIGN", "SYMPTOM") if one in traits), "")
    if not kind or traits & _OTHERS:
        return
    url = f"{CM}infer-icd10/"
    for concept in entity.get("ICD10CMConcepts") or ():
        coding = {"system": url, "code": concept["Code"], "display": concept["Description"]}
        scores = [
            _held(f"{url}aws-cm-icd10-entity-score", Decimal=entity["Score"]),
            _held(f"{url}aws-cm-icd10-entity-Concept-Score", Decimal=concept["Score"]),
        ]
        made: Json = {"resourceType": kind, "code": {"coding": [coding], "text": concept["Description"]}, "modifierExtension": scores}
        if kind == "Observation":
            made["status"] = "unknown"
        if "NEGATION" in traits:
            made |= _ABSENT[kind]
        yield made


_ABSENT: dict[str, Json] = {
    "Observation": {"valueBoolean": False},
    "Condition": {
        "verificationStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "refuted"}]}
    },
}


def _medications(entity: Mapping[str, Any]) -> Iterator[Json]:
    """A MedicationStatement for each concept."""
    denied = any(trait["Name"] == "NEGATION" for trait in entity.get("Traits") or ())
    for concept in entity.get("RxNormConcepts") or ():
        coding = {"system": f"{CM}infer-rxnorm/", "code": concept["Code"], "display": concept["Description"]}
        status = "not-taken" if denied else "unknown"
        yield {"resourceType": "MedicationStatement", "status": status, "medicationCodeableConcept": {"coding": [coding]}}
