"""RxNorm, ICD-10-CM and the index of terms."""

from __future__ import annotations

import pytest

from opentrail.services.comprehendmedical.engine import icd10cm, rxnorm, terms
from opentrail.services.comprehendmedical.vocabularies import Held

ROWS = [
    ("1", "IN", "glucoform", "glucoform"),
    ("2", "SCD", "glucoform 500 MG Oral Tablet", "glucoform"),
    ("3", "SCD", "glucoform 1000 MG Oral Tablet", "glucoform"),
    ("4", "SBD", "glucoform 500 MG Oral Tablet [Sugaless]", "glucoform|sugaless"),
    ("5", "BN", "Sugaless", "sugaless"),
    ("6", "SCD", "glucoform 100 MG/ML Oral Solution", "glucoform"),
    ("7", "SCD", "fluor 0.011 MG/MG Oral Gel", "fluor"),
    ("8", "SCD", "fluor 0.05 MG/MG Oral Gel", "fluor"),
]
SMALL = rxnorm.build(ROWS)


@pytest.mark.parametrize(
    ("mention", "details", "code"),
    [
        ("Glucoform", "", "1"),
        ("glucoform", "500 mg tablet", "2"),
        ("glucoform", "1 g tab po", "3"),
        ("Sugaless", "", "5"),
        ("Sugaless", "500 mg", "4"),
        ("glucoform", "100 mg/ml solution", "6"),
        ("glucofrom", "500 mg", "2"),
        ("fluor", "1.1 % gel", "7"),
    ],
)
def test_strength_form_and_brand_steer(mention: str, details: str, code: str) -> None:
    assert SMALL.search(mention, details)[0][0].code == code


def test_what_is_not_listed_has_no_concept() -> None:
    assert SMALL.search("zzzz", "") == []
    assert rxnorm.build([]).search("aspirin", "81 mg") == []


def test_the_common_ingredients_with_a_are_linked_and_the_rest_is_known_to_be_missing(vocabularies: Held) -> None:
    codes = {
        "acetaminophen": "161",
        "aspirin": "1191",
        "amlodipine": "17767",
        "atorvastatin": "83367",
        "amoxicillin": "723",
        "albuterol": "435",
        "allopurinol": "519",
        "alprazolam": "596",
        "azithromycin": "18631",
        "apixaban": "1364430",
    }
    packaged = vocabularies.get("rxnorm", None)
    assert {name: packaged.search(name, "")[0][0].code for name in codes} == codes


def test_units_are_made_alike() -> None:
    assert rxnorm.strengths("1 g") == rxnorm.strengths("1,000 mg") == {(1000.0, "mg")}
    assert rxnorm.strengths("0.011 MG/MG") == rxnorm.strengths("1.1 %")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("essential hypertension", "I10"),
        ("type 2 diabetes mellitus", "E11.9"),
        ("asthma", "J45.909"),
        ("pneumonia", "J18.9"),
        ("headache", "R51.9"),
        ("acute appendicitis", "K35.80"),
        ("chest pain", "R07.9"),
        ("heart failure", "I50.9"),
    ],
)
def test_common_conditions_find_their_code(vocabularies: Held, words: str, code: str) -> None:
    assert vocabularies.get("icd10cm", None).search(words)[0][0] == code


@pytest.mark.parametrize(
    ("mention", "details", "code"),
    [
        ("knee pain", "left", "M25.562"),
        ("pneumonia", "right upper lobe", "J18.9"),
        ("fracture of femur", "right", "S72"),
        ("HTN", "", "I10"),
        ("COPD", "", "J44.9"),
    ],
)
def test_words_around_a_condition_and_short_forms_are_understood(vocabularies: Held, mention: str, details: str, code: str) -> None:
    told = [hit[0] for hit in vocabularies.get("icd10cm", None).search(mention, details)]
    assert any(one.startswith(code) for one in told), told


def test_an_analogy_finds_what_no_term_names() -> None:
    rows = [
        ("A01.1", "t", "Burn of chest wall"),
        ("A01.1", "i", "Burn of breast"),
        ("A01.2", "t", "Burn of forearm"),
        ("A02.1", "t", "Corrosion of chest wall"),
        ("A02.2", "t", "Corrosion of forearm"),
    ]
    codes = icd10cm.Icd10Cm(icd10cm.compiled(rows), {}, icd10cm.ranker())
    top, columns = codes.seen(terms.words_of("corrosion of breast"))
    alike = {codes.codes[number]: row[icd10cm.ALIKE] for number, row in zip(top.tolist(), columns, strict=True)}
    assert max(alike, key=alike.__getitem__) == "A02.1"


def test_the_index_finds_misspelt_and_inflected_words() -> None:
    index = terms.Index.of(["acute bronchitis", "chronic sinusitis", "fracture of femur"])
    assert [index.search(words, 1)[0].number for words in ("brochitis acute", "sinus, chronic", "femoral fractures")] == [0, 1, 2]
    assert index.search("zzzz qqqq", 3) == []
    assert terms.Index.of([]).search("fever", 3) == []
