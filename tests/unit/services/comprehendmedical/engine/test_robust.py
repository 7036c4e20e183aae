"""Any text is answered: empty, huge, foreign, broken, hostile."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.services.comprehendmedical.engine import detect, phi, text
from opentrail.services.comprehendmedical.engine.library import Library
from opentrail.services.comprehendmedical.vocabularies import Held

TEXTS = [
    "",
    " ",
    "\n\r\n\t",
    ".",
    "😀" * 50,
    "El paciente tiene fiebre y tos.",
    "患者发烧三天，服用阿司匹林。",
    "Пациент жалуется на боль",
    "مريض يعاني من حمى",
    "a\x00b\x01 fever",
    "e\u0301 cough \u200b\u200d",
    "BP:\r\n120/80\r\nTemp: 98.6 F\r\n",
    "((((((",
    "mg mg mg mg",
    "No no no no fever",
]
HOSTILE = [
    "1",
    "1,",
    "1.1",
    "a ",
    "A. ",
    "A-",
    "Dr. ",
    "St. ",
    "x@",
    "a.",
    "http://",
    "1/",
    "- ",
    " \t",
    "\n",
    "every ",
    "5 mg ",
    "of the ",
    "(",
    "Aa ",
    "no ",
    ":",
    "1-1 ",
    "#1",
]


def offsets_hold(source: str, answer: dict[str, Any]) -> None:
    for one in answer["Entities"]:
        assert source[one["BeginOffset"] : one["EndOffset"]] == one["Text"] != ""
        assert 0 <= one["Score"] <= 1


@pytest.mark.parametrize("source", TEXTS)
def test_odd_texts(loaded: Library, vocabularies: Held, source: str) -> None:
    offsets_hold(source, detect.detect_entities(source, loaded))
    offsets_hold(source, detect.detect_phi(source, loaded))
    offsets_hold(source, detect.infer_icd10cm(source, loaded, vocabularies.get("icd10cm", None)))
    offsets_hold(source, detect.infer_rxnorm(source, loaded, vocabularies.get("rxnorm", None)))


WORDS = st.sampled_from(
    [
        "fever",
        "denies",
        "mg",
        "500",
        "aspirin",
        "Dr.",
        "Smith",
        "left",
        "knee",
        "no",
        "CT",
        "was",
        "12/1/2020",
        "per day",
        "\n",
        "Plan:",
        "😀",
        "٣",
        "ß",
        ",",
        ".",
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(WORDS, st.text(max_size=6)), max_size=40).map(" ".join))
def test_any_text_is_answered_with_true_offsets(loaded: Library, source: str) -> None:
    offsets_hold(source, detect.detect_entities(source, loaded))
    offsets_hold(source, detect.detect_phi(source, loaded))


def test_a_huge_text_is_answered_whole(loaded: Library) -> None:
    source = "He denies fever.\n" * 3000
    found: Any = detect.detect_entities(source, loaded)["Entities"]
    fevers = [one for one in found if one["Text"] == "fever"]
    assert len(fevers) == 3000
    assert all("NEGATION" in [trait["Name"] for trait in one["Traits"]] for one in fevers)


@pytest.mark.parametrize("source", ["😀😀 fever 👩‍⚕️\r\ncough", "fever → cough", "\u200bfever\ufeff ❤️ cough 😀"])
def test_pictures_are_no_part_of_a_name(loaded: Library, source: str) -> None:
    found: Any = detect.detect_entities(source, loaded)["Entities"]
    assert [one["Text"] for one in found] == ["fever", "cough"]


def test_line_ends_do_not_move_what_is_found(loaded: Library) -> None:
    unix = "He has fever.\nShe took aspirin 81 mg daily.\n"
    found: list[Any] = [detect.detect_entities(source, loaded)["Entities"] for source in (unix, unix.replace("\n", "\r\n"))]
    assert [one["Text"] for one in found[0]] == [one["Text"] for one in found[1]]


@pytest.mark.parametrize("piece", HOSTILE)
def test_rules_are_linear(loaded: Library, piece: str) -> None:
    """Eight times the text takes not much more than eight times the work (CPU time, wide margin, the better of two)."""

    def cost(size: int) -> float:
        source = (piece * size)[: 2 * size]
        best = 1e9
        for _ in range(2):
            began = time.process_time()
            document = text.read(source, loaded.headers)
            loaded.grammar.find(source)
            list(loaded.values.finditer(source))
            phi.protected(document, [])
            best = min(best, time.process_time() - began)
        return best

    assert cost(4000) < 30 * max(cost(500), 0.002)
