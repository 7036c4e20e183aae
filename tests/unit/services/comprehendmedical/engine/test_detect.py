"""Golden examples: every entity type, attribute, trait and relation that the service answers with, in texts of our own."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from opentrail.services.comprehendmedical.engine import detect, snomed
from opentrail.services.comprehendmedical.engine.library import Library
from opentrail.services.comprehendmedical.vocabularies import Held
from tests.unit.services.comprehendmedical.engine.test_phi import CASES as PROTECTED

ENTITIES = [
    ("She was given metformin yesterday.", "metformin", "MEDICATION", "GENERIC_NAME"),
    ("He takes Lipitor 40 mg daily.", "Lipitor", "MEDICATION", "BRAND_NAME"),
    ("The patient has pneumonia.", "pneumonia", "MEDICAL_CONDITION", "DX_NAME"),
    ("A chest x-ray was obtained.", "chest x-ray", "TEST_TREATMENT_PROCEDURE", "TEST_NAME"),
    ("He underwent appendectomy in 2015.", "appendectomy", "TEST_TREATMENT_PROCEDURE", "PROCEDURE_NAME"),
    ("She was treated with radiation therapy.", "radiation therapy", "TEST_TREATMENT_PROCEDURE", "TREATMENT_NAME"),
    ("A mass was found in the right lung.", "lung", "ANATOMY", "SYSTEM_ORGAN_SITE"),
    ("He smokes 1 pack per day.", "smokes", "BEHAVIORAL_ENVIRONMENTAL_SOCIAL", "TOBACCO_USE"),
    ("She drinks 2 beers a week.", "drinks", "BEHAVIORAL_ENVIRONMENTAL_SOCIAL", "ALCOHOL_CONSUMPTION"),
    ("Denies illicit drug use.", "illicit drug use", "BEHAVIORAL_ENVIRONMENTAL_SOCIAL", "REC_DRUG_USE"),
    ("He is allergic to penicillin.", "allergic to", "BEHAVIORAL_ENVIRONMENTAL_SOCIAL", "ALLERGIES"),
    ("A 50-year-old woman came in.", "woman", "BEHAVIORAL_ENVIRONMENTAL_SOCIAL", "GENDER"),
    ("A Hispanic man came in.", "Hispanic", "BEHAVIORAL_ENVIRONMENTAL_SOCIAL", "RACE_ETHNICITY"),
    ("He took aspirin two days ago.", "two days ago", "TIME_EXPRESSION", "TIME_TO_MEDICATION_NAME"),
    ("Headache began three weeks ago.", "three weeks ago", "TIME_EXPRESSION", "TIME_TO_DX_NAME"),
    ("An MRI was done yesterday.", "yesterday", "TIME_EXPRESSION", "TIME_TO_TEST_NAME"),
    ("He underwent appendectomy last year.", "last year", "TIME_EXPRESSION", "TIME_TO_PROCEDURE_NAME"),
    ("Radiation therapy ended last month.", "last month", "TIME_EXPRESSION", "TIME_TO_TREATMENT_NAME"),
    ("A 67-year-old man.", "67", "PROTECTED_HEALTH_INFORMATION", "AGE"),
    ("Mr. Robert Miller was admitted.", "Robert Miller", "PROTECTED_HEALTH_INFORMATION", "NAME"),
]
ATTRIBUTES = [
    ("Take metformin 500 mg tablet by mouth.", "metformin", "STRENGTH", "500 mg"),
    ("Take metformin 500 mg tablet by mouth.", "metformin", "FORM", "tablet"),
    ("Take metformin 500 mg by mouth.", "metformin", "ROUTE_OR_MODE", "by mouth"),
    ("Take 2 tablets of metformin daily.", "metformin", "DOSAGE", "2 tablets"),
    ("Take metformin twice a day.", "metformin", "FREQUENCY", "twice a day"),
    ("Take amoxicillin for 10 days.", "amoxicillin", "DURATION", "for 10 days"),
    ("Heparin at 18 units/kg/hr.", "Heparin", "RATE", "18 units/kg/hr"),
    ("She has severe headache.", "headache", "ACUITY", "severe"),
    ("She has dull headache.", "headache", "QUALITY", "dull"),
    ("There is swelling of the left knee.", "swelling", "SYSTEM_ORGAN_SITE", "knee"),
    ("There is swelling of the left knee.", "knee", "DIRECTION", "left"),
    ("Blood pressure was 120/80 mmHg.", "Blood pressure", "TEST_VALUE", "120/80"),
    ("Blood pressure was 120/80 mmHg.", "Blood pressure", "TEST_UNIT", "mmHg"),
    ("He smokes 1 pack per day.", "smokes", "AMOUNT", "1 pack"),
    ("He smokes 1 pack daily.", "smokes", "FREQUENCY", "daily"),
]
TRAITS = [
    ("He denies chest pain.", "chest pain", "NEGATION"),
    ("Mother had asthma.", "asthma", "PERTAINS_TO_FAMILY"),
    ("If fever develops, call us.", "fever", "HYPOTHETICAL"),
    ("Possible pneumonia.", "pneumonia", "LOW_CONFIDENCE"),
    ("History of asthma.", "asthma", "PAST_HISTORY"),
    ("Colonoscopy is scheduled.", "Colonoscopy", "FUTURE"),
    ("The patient has hypertension.", "hypertension", "DIAGNOSIS"),
    ("He complains of cough.", "cough", "SYMPTOM"),
    ("Physical exam: wheezing is heard.", "wheezing", "SIGN"),
    ("She stopped metformin; no metformin now.", "metformin", "NEGATION"),
]


def entities(loaded: Library, source: str) -> list[dict[str, Any]]:
    told: Any = detect.detect_entities(source, loaded)["Entities"]
    return list(told)


def one(loaded: Library, source: str, words: str) -> dict[str, Any]:
    found = [entity for entity in entities(loaded, source) if entity["Text"] == words]
    assert found, [entity["Text"] for entity in entities(loaded, source)]
    return found[-1]


@pytest.mark.parametrize(("source", "words", "category", "kind"), ENTITIES)
def test_entity_types(loaded: Library, source: str, words: str, category: str, kind: str) -> None:
    entity = one(loaded, source, words)
    assert (entity["Category"], entity["Type"]) == (category, kind)


@pytest.mark.parametrize(("source", "words", "kind", "part"), ATTRIBUTES)
def test_attributes_and_their_relations(loaded: Library, source: str, words: str, kind: str, part: str) -> None:
    attributes = one(loaded, source, words).get("Attributes", [])
    assert (kind, kind, part) in [(each["Type"], each["RelationshipType"], each["Text"]) for each in attributes]


@pytest.mark.parametrize(("source", "words", "trait"), TRAITS)
def test_traits(loaded: Library, source: str, words: str, trait: str) -> None:
    assert trait in [each["Name"] for each in one(loaded, source, words)["Traits"]]


V1 = {"TEST_UNITS", "CONTACT_POINT", "IDENTIFIER"}
"""Names of the first version that AWS's guide no longer shows."""
NEVER = V1 | {"QUANTITY", "TIME_EXPRESSION", "EVERY", "WITH_DOSAGE", "ADMINISTERED_VIA", "FOR", "NEGATIVE", "USAGE"}
"""Values of the model that are never answered; the service's README says so."""


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ("EntitySubType", {case[3] for case in ENTITIES} | {case[2] for case in ATTRIBUTES} | {case[2] for case in PROTECTED}),
        ("RelationshipType", {case[2] for case in ATTRIBUTES} | {"OVERLAP"}),
        ("AttributeName", {case[2] for case in TRAITS}),
        ("EntityType", {case[2] for case in ENTITIES}),
    ],
)
def test_every_value_of_the_model_has_a_golden_example_or_is_never_answered(shape: str, told: set[str]) -> None:
    model = botocore.session.get_session().get_service_model("comprehendmedical")
    assert set(model.shape_for(shape).enum) - NEVER == told - NEVER


def test_a_time_holds_its_entity_and_they_share_an_id(loaded: Library) -> None:
    source = "Headache began three weeks ago."
    time, headache = one(loaded, source, "three weeks ago"), one(loaded, source, "Headache")
    part = time["Attributes"][0]
    assert (part["Type"], part["RelationshipType"], part["Id"], part["Text"]) == ("DX_NAME", "OVERLAP", headache["Id"], "Headache")


def test_an_attribute_without_a_head_is_unmapped(loaded: Library) -> None:
    answer: Any = detect.detect_entities("Take 500 mg twice a day.", loaded)
    kinds = {(one["Type"], one["Attribute"]["Type"], one["Attribute"]["Text"]) for one in answer["UnmappedAttributes"]}
    assert kinds == {("MEDICATION", "STRENGTH", "500 mg"), ("MEDICATION", "FREQUENCY", "twice a day")}
    assert all("RelationshipScore" not in one["Attribute"] for one in answer["UnmappedAttributes"])


def test_infer_icd10cm(loaded: Library, vocabularies: Held) -> None:
    answer: Any = detect.infer_icd10cm(
        "He has essential hypertension and denies asthma since last year.", loaded, vocabularies.get("icd10cm", None)
    )
    first = answer["Entities"][0]
    assert "I10" in [each["Code"] for each in first["ICD10CMConcepts"]]
    assert len(first["ICD10CMConcepts"]) == 5
    scores = [each["Score"] for each in first["ICD10CMConcepts"]]
    assert scores == sorted(scores, reverse=True)
    assert {entity["Category"] for entity in answer["Entities"]} == {"MEDICAL_CONDITION"}


def test_infer_rxnorm(loaded: Library, vocabularies: Held) -> None:
    answer: Any = detect.infer_rxnorm("Start metformin 500 mg tablet daily and aspirin.", loaded, vocabularies.get("rxnorm", None))
    metformin, aspirin = answer["Entities"]
    assert "500 MG" in metformin["RxNormConcepts"][0]["Description"]
    assert "Tablet" in metformin["RxNormConcepts"][0]["Description"]
    assert aspirin["RxNormConcepts"][0] | {"Score": 0} == {"Description": "aspirin", "Code": "1191", "Score": 0}


NOTE = (
    "Mr. Robert Miller, 58, has severe chest pain since 3 days ago. Takes metoprolol 25 mg tablet by mouth twice a day. BP 150/90 mmHg.\n"
    "Family History: mother had breast cancer. Swelling of the left knee. Take 5 mg. If fever develops, call. He smokes 1 pack per day."
)


@pytest.mark.parametrize("operation", ["DetectEntitiesV2", "DetectPHI", "InferICD10CM", "InferRxNorm"])
def test_answers_keep_to_the_service_model(loaded: Library, vocabularies: Held, operation: str) -> None:
    answer = {
        "DetectEntitiesV2": lambda: detect.detect_entities(NOTE, loaded),
        "DetectPHI": lambda: detect.detect_phi(NOTE, loaded),
        "InferICD10CM": lambda: detect.infer_icd10cm(NOTE, loaded, vocabularies.get("icd10cm", None)),
        "InferRxNorm": lambda: detect.infer_rxnorm(NOTE, loaded, vocabularies.get("rxnorm", None)),
    }[operation]()
    model = botocore.session.get_session().get_service_model("comprehendmedical")
    check(answer, model.operation_model(operation).output_shape, operation)


def check(value: Any, shape: Any, where: str) -> None:
    """Every member is in the model, every required one is there, types and enumerations fit."""
    if shape.type_name == "structure":
        assert set(value) <= set(shape.members), (where, set(value) - set(shape.members))
        assert set(shape.required_members) <= set(value), (where, shape.required_members)
        for name, inner in value.items():
            check(inner, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for inner in value:
            check(inner, shape.member, where)
    elif shape.type_name == "string":
        assert isinstance(value, str)
        assert not shape.enum or value in shape.enum, (where, value)
    elif shape.type_name == "integer":
        assert isinstance(value, int)
    elif shape.type_name == "float":
        assert isinstance(value, float)
        assert 0 <= value <= 1


def test_ids_are_unique_and_offsets_are_of_the_text(loaded: Library) -> None:
    found = entities(loaded, NOTE)
    assert len({each["Id"] for each in found}) == len(found)
    for each in found:
        assert NOTE[each["BeginOffset"] : each["EndOffset"]] == each["Text"]
        for part in each.get("Attributes", []):
            assert NOTE[part["BeginOffset"] : part["EndOffset"]] == part["Text"]


LINKED = [
    "She has severe sharp pain of the left knee since three weeks ago.",
    "He denies cough. Mother had asthma. If fever develops, call us. Possible pneumonia. The patient has hypertension. History of gout.",
    "Physical exam: wheezing is heard. He complains of cough.",
    "Take metformin 500 mg tablet by mouth twice a day for 10 days. Heparin at 18 units/kg/hr.",
    "She stopped metformin; no metformin now. History of penicillin use. He takes Lipitor. Take 2 tablets of metformin daily.",
    "He underwent appendectomy in 2015. She was treated with radiation therapy. She has left hydronephrosis.",
    "Blood pressure was 120/80 mmHg. Colonoscopy is scheduled. There is swelling of the left knee.",
]
"""Texts that hold everything which the linking operations may tell."""


def told_by_linking(loaded: Library, operation: str, held: Held) -> dict[str, set[str]]:
    """The types, traits, attribute types and relation types of an operation's answers to `LINKED`."""
    names = [("Chest pain", "condition"), ("Acute", "quality"), ("Left knee", "anatomy"), ("Colonoscopy", "procedure")]
    rows = [snomed.Row(str(1000 + number), group, name, (name,)) for number, (name, group) in enumerate(names)]
    codes = snomed.Snomed(snomed.compiled(rows, "2025-03-01"))
    infer: Any = {
        "ICD10CM": lambda text: detect.infer_icd10cm(text, loaded, held.get("icd10cm", None)),
        "RxNorm": lambda text: detect.infer_rxnorm(text, loaded, held.get("rxnorm", None)),
        "SNOMEDCT": lambda text: detect.infer_snomedct(text, loaded, codes),
    }[operation]
    found = [entity for text in LINKED for entity in infer(text)["Entities"]]
    parts = [part for entity in found for part in entity.get("Attributes", [])]
    return {
        "EntityType": {entity["Type"] for entity in found},
        "TraitName": {trait["Name"] for entity in found for trait in entity["Traits"]},
        "AttributeType": {part["Type"] for part in parts},
        "RelationshipType": {part["RelationshipType"] for part in parts if "RelationshipType" in part},
    }


@pytest.mark.parametrize("operation", ["ICD10CM", "RxNorm", "SNOMEDCT"])
def test_linking_tells_everything_that_its_model_names(loaded: Library, vocabularies: Held, operation: str) -> None:
    model = botocore.session.get_session().get_service_model("comprehendmedical")
    told = told_by_linking(loaded, operation, vocabularies)
    wanted = {name: set(model.shape_for(operation + name).enum) - NEVER for name in told if operation + name in model.shape_names}
    assert {name: values - told[name] for name, values in wanted.items() if values - told[name]} == {}
    assert {name: told[name] - values for name, values in wanted.items() if told[name] - values - {"SYSTEM_ORGAN_SITE"}} == {}
