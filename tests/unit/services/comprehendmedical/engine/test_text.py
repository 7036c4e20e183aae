"""Tokens, sentences, sections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.comprehendmedical.engine import text

HEADERS = {"past medical history": "history", "plan": "plan"}


def sentences(source: str) -> list[str]:
    document = text.read(source, HEADERS)
    return [source[document.tokens[first].begin : document.tokens[last - 1].end] for first, last in document.sentences]


def test_numbers_keep_their_decimals_and_signs_stand_alone() -> None:
    assert [token.text for token in text.tokenize("K+ 3.5, BP 120/80; 10mg")] == [
        "K",
        "+",
        "3.5",
        ",",
        "BP",
        "120",
        "/",
        "80",
        ";",
        "10",
        "mg",
    ]


def test_offsets_are_code_points() -> None:
    source = "😀 fièvre 😀 cough"
    assert [source[token.begin : token.end] for token in text.tokenize(source)] == ["😀", "fièvre", "😀", "cough"]


def test_sentences_end_at_stops_but_not_at_abbreviations() -> None:
    assert sentences("Seen by Dr. Smith today. No fever.") == ["Seen by Dr. Smith today.", "No fever."]
    assert sentences("Take 2.5 mg p.o. daily. Return in 2 weeks") == ["Take 2.5 mg p.o. daily.", "Return in 2 weeks"]


def test_lines_end_sentences_unless_they_run_on() -> None:
    assert sentences("Pain in the\nleft arm\n\nCough") == ["Pain in the\nleft arm", "Cough"]
    assert sentences("- fever\r\n- cough") == ["- fever", "- cough"]


def test_sections_reach_to_the_next_header() -> None:
    source = "Past Medical History: asthma\nPlan:\nrest"
    document = text.read(source, HEADERS)
    assert document.section_at(source.index("asthma")) == "history"
    assert document.section_at(source.index("rest")) == "plan"
    assert document.section_at(0) == "history"


@given(st.text())
def test_tokens_are_the_text_and_sentences_cover_all_tokens(source: str) -> None:
    document = text.read(source, HEADERS)
    assert all(source[token.begin : token.end] == token.text for token in document.tokens)
    assert [number for first, last in document.sentences for number in range(first, last)] == list(range(len(document.tokens)))
    assert all(last - first <= text.LONGEST for first, last in document.sentences)
