"""Stand-ins for protected information: the same for the same words, the form kept, nothing left."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.comprehendmedical.engine.redact import Surrogates, replaced, tag

ONE, OTHER = Surrogates(b"k" * 16), Surrogates(b"q" * 16)
KINDS = ["AGE", "DATE", "NAME", "PHONE_OR_FAX", "EMAIL", "ID", "URL", "ADDRESS", "PROFESSION"]


def test_pieces_are_replaced_where_they_stand() -> None:
    source = "😀 Mr. Miller, 54, on 2024-01-05."
    found = [(6, 12, "NAME"), (14, 16, "AGE"), (21, 31, "DATE")]
    assert [source[begin:end] for begin, end, _ in found] == ["Miller", "54", "2024-01-05"]
    assert replaced(source, found, tag) == "😀 Mr. [NAME], [AGE], on [DATE]."


def test_a_name_has_one_stand_in_in_any_case_and_in_parts() -> None:
    whole = ONE("Robert Miller", "NAME").split()
    assert len(whole) == 2
    assert ONE("MILLER", "NAME") == whole[1].upper()
    assert ONE("Miller's", "NAME") == whole[1] + "'s"
    assert ONE("Miller", "ADDRESS") == whole[1]
    assert ONE("Robert Miller", "NAME") != OTHER("Robert Miller", "NAME")
    assert ONE("Miller", "NAME") != ONE("Muller", "NAME")


@pytest.mark.parametrize(
    ("words", "kind", "form"),
    [
        ("(415) 555-0134", "PHONE_OR_FAX", r"\(\d{3}\) \d{3}-\d{4}"),
        ("MRN-48213x", "ID", r"[A-Z]{3}-\d{5}[a-z]"),
        ("12 Oak Street", "ADDRESS", r"\d\d [A-Z][a-z]+ Street"),
        ("Mercy Hospital", "ADDRESS", r"[A-Z][a-z]+ Hospital"),
        ("J. Miller", "NAME", r"[A-Z]\. [A-Z][a-z]+"),
        ("a.b@clinic.org", "EMAIL", r"[a-z]+@example\.com"),
        ("www.clinic.org", "URL", r"https://example\.com/[a-z]+"),
        ("carpenter", "PROFESSION", r"[a-z]+"),
        ("2024-01-05", "DATE", r"202[45]-\d\d-\d\d"),
        ("01/05/24", "DATE", r"\d\d/\d\d/2[45]"),
        ("1/5/2024", "DATE", r"\d{1,2}/\d{1,2}/202[45]"),
        ("25.12.2024", "DATE", r"\d\d\.\d\d\.202[45]"),
        ("March 3, 2023", "DATE", r"[A-Z][a-z]+ \d{1,2}, 202[34]"),
        ("3 March 2023", "DATE", r"\d{1,2} [A-Z][a-z]+ 202[34]"),
        ("March 2023", "DATE", r"[A-Z][a-z]+ 202[34]"),
        ("Christmas", "DATE", r"\[DATE\]"),
        ("99/99/2024", "DATE", r"\[DATE\]"),
    ],
)
def test_the_form_is_kept(words: str, kind: str, form: str) -> None:
    told = ONE(words, kind)
    assert re.fullmatch(form, told), told
    assert told != words


def test_dates_keep_their_distance_in_whatever_form() -> None:
    first, second = (date.fromisoformat(ONE(words, "DATE")) for words in ("2023-03-05", "2023-03-25"))
    assert second - first == timedelta(days=20)
    assert timedelta(days=31) <= first - date(2023, 3, 5) <= timedelta(days=366)
    assert ONE("March 5, 2023", "DATE") == f"{first:%B} {first.day}, {first.year}"


def test_great_ages_are_told_as_ninety() -> None:
    assert [ONE(words, "AGE") for words in ("7", "89", "90", "104", "ninety", "²")] == ["7", "89", "90", "90", "[AGE]", "[AGE]"]


@given(st.text(min_size=1, max_size=40), st.sampled_from(KINDS))
def test_any_words_have_a_stand_in_that_stays(words: str, kind: str) -> None:
    assert ONE(words, kind) == ONE(words, kind)
