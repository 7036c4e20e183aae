"""The Infer operations: findings with the concepts of a code system, in the shape of the API's answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opentrail.services.comprehendmedical.engine.entities import Entity, Findings, entity_shape, rounded
from opentrail.services.comprehendmedical.engine.icd10cm import Icd10Cm
from opentrail.services.comprehendmedical.engine.library import MODEL_VERSION
from opentrail.services.comprehendmedical.engine.rxnorm import RxNorm
from opentrail.services.comprehendmedical.engine.snomed import Snomed

Shape = dict[str, object]
MOST = 5
ICD_TRAITS = frozenset({"NEGATION", "DIAGNOSIS", "SIGN", "SYMPTOM", "PERTAINS_TO_FAMILY", "HYPOTHETICAL", "LOW_CONFIDENCE"})
RX_TRAITS = frozenset({"NEGATION", "PAST_HISTORY"})
ICD_RELATIONS = frozenset({"OVERLAP", "SYSTEM_ORGAN_SITE", "QUALITY"})
GROUPS = {"MEDICAL_CONDITION": "condition", "ANATOMY": "anatomy", "TEST_TREATMENT_PROCEDURE": "procedure"}
PART_GROUPS = {"SYSTEM_ORGAN_SITE": "anatomy", "DIRECTION": "quality", "ACUITY": "quality", "QUALITY": "quality"}


def concept(code: str, description: str, score: float) -> Shape:
    """One concept of an answer."""
    return {"Description": description, "Code": code, "Score": rounded(score)}


def icd10cm(source: str, findings: Findings, codes: Icd10Cm) -> Shape:
    """Conditions, each with ICD10CMConcepts: acuity, site, side and quality in the text steer to the code."""
    entities = []
    for entity in findings.entities:
        if entity.category == "MEDICAL_CONDITION":
            shape = _with_times(source, entity, findings, "TIME_TO_DX_NAME", ICD_TRAITS)
            details = " ".join(_words(source, entity, ("ACUITY", "SYSTEM_ORGAN_SITE", "DIRECTION", "QUALITY")))
            hits = codes.search(source[entity.mention.begin : entity.mention.end], details)
            shape["ICD10CMConcepts"] = [concept(code, title, score) for code, title, score in hits]
            entities.append(shape)
    return {"Entities": entities, "ModelVersion": MODEL_VERSION}


def rxnorm(source: str, findings: Findings, codes: RxNorm) -> Shape:
    """Medications, each with RxNormConcepts: strength, form, route and brand in the text steer to the concept."""
    entities = []
    for entity in findings.entities:
        if entity.category == "MEDICATION":
            shape = _rx_attributes(_allowed(entity_shape(source, entity), RX_TRAITS))
            details = " ".join(_words(source, entity, ("STRENGTH", "DOSAGE", "FORM", "ROUTE_OR_MODE")))
            hits = codes.search(source[entity.mention.begin : entity.mention.end], details)
            shape["RxNormConcepts"] = [concept(found.code, found.name, score) for found, score in hits]
            entities.append(shape)
    return {"Entities": entities, "ModelVersion": MODEL_VERSION}


def snomedct(source: str, findings: Findings, codes: Snomed) -> Shape:
    """Conditions, anatomy, tests, treatments, procedures and their attributes with SNOMEDCTConcepts."""

    def concepts(phrase: str, group: str) -> list[Shape]:
        return [concept(code, name, score) for code, name, score in codes.search(phrase, group, MOST)]

    entities = []
    for entity in findings.entities:
        group = GROUPS.get(entity.category)
        if group is not None:
            shape = entity_shape(source, entity)
            shape["SNOMEDCTConcepts"] = concepts(source[entity.mention.begin : entity.mention.end], group)
            _link_attributes(shape, concepts)
            entities.append(shape)
    details = {"Edition": "US", "Language": "en", "VersionDate": codes.version}
    return {
        "Entities": entities,
        "ModelVersion": MODEL_VERSION,
        "SNOMEDCTDetails": details,
        "Characters": {"OriginalTextCharacters": len(source)},
    }


def _link_attributes(shape: Shape, concepts: Callable[[str, str], list[Shape]]) -> None:
    attributes = shape.get("Attributes")
    for part in attributes if isinstance(attributes, list) else ():
        group = PART_GROUPS.get(str(part["Type"]))
        part["SNOMEDCTConcepts"] = concepts(str(part["Text"]), group) if group else []


def _words(source: str, entity: Entity, kinds: Sequence[str]) -> list[str]:
    return [source[part.begin : part.end] for _, part, kind, _ in entity.parts if kind in kinds]


def _allowed(shape: Shape, traits: frozenset[str]) -> Shape:
    listed = shape["Traits"]
    if isinstance(listed, list):
        shape["Traits"] = [trait for trait in listed if trait["Name"] in traits]
    return shape


def _icd_attributes(shape: Shape) -> Shape:
    """Attributes as InferICD10CM has them: category DX_NAME, and a relation only where its list names one."""
    attributes = shape.get("Attributes")
    for part in attributes if isinstance(attributes, list) else ():
        part["Category"] = "DX_NAME"
        if part["RelationshipType"] not in ICD_RELATIONS:
            del part["RelationshipType"]
    return shape


def _rx_attributes(shape: Shape) -> Shape:
    """Attributes as InferRxNorm has them: without category and relation type."""
    attributes = shape.get("Attributes")
    for part in attributes if isinstance(attributes, list) else ():
        del part["Category"], part["RelationshipType"]
    return shape


def _with_times(source: str, entity: Entity, findings: Findings, kind: str, traits: frozenset[str]) -> Shape:
    """An entity with its time expressions as attributes of it (InferICD10CM tells them this way)."""
    shape = _icd_attributes(_allowed(entity_shape(source, entity), traits))
    for number, part, owner, chance in findings.times:
        if owner is entity:
            told: Shape = {"Type": kind, "Score": rounded(part.score), "RelationshipScore": rounded(chance), "RelationshipType": "OVERLAP"}
            told |= {"Id": number, "BeginOffset": part.begin, "EndOffset": part.end, "Text": source[part.begin : part.end]}
            told |= {"Traits": [], "Category": "TIME_EXPRESSION"}
            attributes = shape.setdefault("Attributes", [])
            if isinstance(attributes, list):
                attributes.append(told)
    return shape
