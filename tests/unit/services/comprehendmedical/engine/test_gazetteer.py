"""Dictionary matching."""

from __future__ import annotations

from opentrail.services.comprehendmedical.engine import gazetteer
from opentrail.services.comprehendmedical.engine.library import Library

SMALL = gazetteer.of(gazetteer.compiled({"lung cancer": "D", "small cell lung cancer": "D", "lung": "A", "aspirin": "CR", "may": "FL"}))


def test_the_longest_phrase_wins_and_groups_are_apart() -> None:
    drug, disease, body, name = SMALL.tags(["Small", "-", "cell", "lung", "cancer", "in", "May"])
    assert disease == ["BD", "ID", "ID", "ID", "ID", "", ""]
    assert body == ["", "", "", "BA", "", "", ""]
    assert name == ["", "", "", "", "", "", "BFL"]
    assert drug == [""] * 7


def test_keys_leave_out_case_and_hyphens() -> None:
    assert gazetteer.phrase_key("Beta-Blocker 5.5") == "beta blocker 5.5"


def test_the_common_drugs_that_begin_with_a_are_listed(loaded: Library) -> None:
    names = [
        "acetaminophen",
        "aspirin",
        "amlodipine",
        "atorvastatin",
        "amoxicillin",
        "albuterol",
        "allopurinol",
        "alprazolam",
        "azithromycin",
        "apixaban",
    ]
    assert [name for name in names if not set("CR") & set(loaded.gazetteer.kinds.get(name, ""))] == []
