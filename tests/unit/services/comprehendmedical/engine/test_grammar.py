"""The closed classes."""

from __future__ import annotations

import pytest

from opentrail.services.comprehendmedical.engine.library import Library

CASES = [
    ("metformin 500 mg", "500 mg", "STRENGTH"),
    ("fluoride 1.1 % topical gel", "1.1 %", "STRENGTH"),
    ("1.1 % gel", "gel", "FORM"),
    ("insulin 10 units", "10 units", "STRENGTH"),
    ("take 2 tablets", "2 tablets", "DOSAGE"),
    ("one puff", "one puff", "DOSAGE"),
    ("1-2 caps", "1-2 caps", "DOSAGE"),
    ("given by mouth", "by mouth", "ROUTE_OR_MODE"),
    ("given IV", "IV", "ROUTE_OR_MODE"),
    ("taken p.o.", "p.o.", "ROUTE_OR_MODE"),
    ("twice a day", "twice a day", "FREQUENCY"),
    ("take q6h", "q6h", "FREQUENCY"),
    ("every 8 hours", "every 8 hours", "FREQUENCY"),
    ("take b.i.d.", "b.i.d.", "FREQUENCY"),
    ("use prn", "prn", "FREQUENCY"),
    ("3 times a day", "3 times a day", "FREQUENCY"),
    ("for 10 days", "for 10 days", "DURATION"),
    ("x 2 weeks", "x 2 weeks", "DURATION"),
    ("at 5 mcg/kg/min", "5 mcg/kg/min", "RATE"),
    ("runs 125 ml/hr", "125 ml/hr", "RATE"),
    ("two weeks ago", "two weeks ago", "AGO"),
    ("on March 5, 2021", "March 5, 2021", "DATE"),
    ("on 3/5/21", "3/5/21", "DATE"),
    ("on 2021-03-05", "2021-03-05", "DATE"),
    ("the left arm", "left", "DIRECTION"),
    ("severe pain", "severe", "ACUITY"),
    ("sharp pain", "sharp", "QUALITY"),
]


@pytest.mark.parametrize(("source", "words", "kind"), CASES)
def test_a_rule_finds_its_words(loaded: Library, source: str, words: str, kind: str) -> None:
    assert (words, kind) in [(source[one.begin : one.end], one.kind) for one in loaded.grammar.find(source)]


@pytest.mark.parametrize("before", ["", "İ", "ŒİẞK", "\U0001f600İ"])
def test_capitals_are_read_alike_and_letters_that_grow_in_small_move_nothing(loaded: Library, before: str) -> None:
    source = f"{before} TAKE 20 MG By Mouth twice Daily"
    found = [(source[one.begin : one.end], one.kind) for one in loaded.grammar.find(source)]
    assert found == [("20 MG", "STRENGTH"), ("By Mouth", "ROUTE_OR_MODE"), ("twice Daily", "FREQUENCY")]


@pytest.mark.parametrize("source", ["mg", "the", "p o", "500", "he may", "March", "tabby"])
def test_plain_words_are_left_alone(loaded: Library, source: str) -> None:
    assert loaded.grammar.find(source) == []


@pytest.mark.parametrize(
    ("source", "value", "unit"),
    [
        ("120/80 mmHg", "120/80", "mmHg"),
        ("98.6 F", "98.6", "F"),
        ("7.2%", "7.2", "%"),
        ("negative", "negative", None),
        ("<0.01 ng/mL", "<0.01", "ng/mL"),
    ],
)
def test_values_are_cut_from_their_units(loaded: Library, source: str, value: str, unit: str | None) -> None:
    match = loaded.values.match(source)
    assert match is not None
    assert (match.group("value") or match.group("words"), match.group("unit")) == (value, unit)
