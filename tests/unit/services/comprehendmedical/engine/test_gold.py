"""Accuracy floors of the packaged models on texts of our own, and of the stored scores on the development data."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from benchmarks import nlp_accuracy

from opentrail.services.comprehendmedical.engine import context, detect, text
from opentrail.services.comprehendmedical.engine.library import DATA, Library
from tests.unit.services.comprehendmedical.engine.gold_texts import f1, read

TRAITS = {"NEGATION": "N", "PERTAINS_TO_FAMILY": "F", "HYPOTHETICAL": "H", "PAST_HISTORY": "P", "LOW_CONFIDENCE": "U", "FUTURE": "T"}
GROUPS = {
    "condition": ("DX_NAME",),
    "medication": ("GENERIC_NAME", "BRAND_NAME"),
    "medication attributes": ("STRENGTH", "DOSAGE", "FREQUENCY", "ROUTE_OR_MODE", "FORM", "DURATION", "RATE"),
    "test": ("TEST_NAME",),
    "test attributes": ("TEST_VALUE", "TEST_UNIT"),
    "procedure and treatment": ("PROCEDURE_NAME", "TREATMENT_NAME"),
    "anatomy": ("SYSTEM_ORGAN_SITE", "DIRECTION"),
    "protected": ("NAME", "AGE", "DATE", "ID", "ADDRESS", "PHONE_OR_FAX", "EMAIL", "URL", "PROFESSION"),
}
FLOORS = {
    "condition": 0.90,
    "medication": 0.95,
    "medication attributes": 0.90,
    "test": 0.85,
    "test attributes": 0.85,
    "procedure and treatment": 0.80,
    "anatomy": 0.85,
    "protected": 0.95,
}
"""Least F1 by overlap and type."""


def told_in(source: str, loaded: Library) -> set[tuple[int, int, str]]:
    """Everything that an answer names: entities, their attributes, unmapped attributes."""
    answer: dict[str, list[dict[str, object]]] = detect.detect_entities(source, loaded)  # type: ignore[assignment]
    listed = [*answer["Entities"], *(one["Attribute"] for one in answer["UnmappedAttributes"])]
    listed += [part for one in answer["Entities"] if one["Category"] != "TIME_EXPRESSION" for part in one.get("Attributes", [])]  # type: ignore[attr-defined]
    return {(int(str(one["BeginOffset"])), int(str(one["EndOffset"])), str(one["Type"])) for one in listed}  # type: ignore[index, call-overload]


def agreement(loaded: Library) -> dict[str, float]:
    """F1 of each group on the marked notes."""
    counts: dict[str, Counter[str]] = {group: Counter() for group in GROUPS}
    for source, marks in read("notes.txt"):
        told = told_in(source, loaded)
        for group, kinds in GROUPS.items():
            mine = {one for one in told if one[2] in kinds}
            wanted = [mark for mark in marks if mark[2] in kinds]
            met = [
                any(a < end and begin < b and (kind == other or group in ("medication", "procedure and treatment")) for a, b, other in mine)
                for begin, end, kind in wanted
            ]
            counts[group] += Counter(right=sum(met), told=len(mine), wanted=len(wanted))
    return {group: f1(count["right"], count["told"], count["wanted"]) for group, count in counts.items()}


def test_the_packaged_models_agree_with_marked_notes(loaded: Library) -> None:
    scores = agreement(loaded)
    assert {group: score for group, score in scores.items() if score < FLOORS[group]} == {}


def context_f1(name: str, loaded: Library) -> dict[str, float]:
    """F1 of each trait on the mentions of a marked file, whatever detects them."""
    counts: dict[str, Counter[str]] = {trait: Counter() for trait in TRAITS}
    for source, marks in read(name):
        document = text.read(source, loaded.headers)
        places = [
            (sum(token.end <= begin for token in document.tokens), sum(token.begin < end for token in document.tokens))
            for begin, end, _ in marks
        ]
        for told, (_, _, wanted) in zip(context.traits(document, loaded.cues, places), marks, strict=True):
            for trait, letter in TRAITS.items():
                counts[trait] += Counter(right=trait in told and letter in wanted, told=trait in told, wanted=letter in wanted)
    return {trait: f1(count["right"], count["told"], count["wanted"]) for trait, count in counts.items()}


def test_traits_agree_with_marked_sentences(loaded: Library) -> None:
    scores = context_f1("context.txt", loaded)
    assert scores["NEGATION"] >= 0.95
    assert scores["HYPOTHETICAL"] >= 0.85
    assert min(scores.values()) >= 0.85


def test_negation_agrees_with_sentences_that_no_cue_was_written_for(loaded: Library) -> None:
    assert context_f1("context_held.txt", loaded)["NEGATION"] >= 0.93


STORED = json.loads(Path(nlp_accuracy.SCORES).read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", sorted(nlp_accuracy.PARTS))
def test_stored_scores_follow_from_their_counts_and_are_of_this_code(part: str) -> None:
    report = STORED[part]
    again = nlp_accuracy.scores(part, report["folds"])
    assert again == {name: value for name, value in report["scores"].items() if name in again}
    assert report["made_of"] == nlp_accuracy.digest(part), f"measure again: python -m benchmarks.nlp_accuracy {part} --save"


@pytest.mark.parametrize("part", sorted(nlp_accuracy.FLOORS))
def test_stored_scores_reach_their_floors(part: str) -> None:
    scores = STORED[part]["scores"]
    assert {name: scores[name] for name, floor in nlp_accuracy.FLOORS[part].items() if scores[name] < floor} == {}


def test_the_packaged_data_stays_small() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 12 * 2**20
