"""Negation, family, history, hypothesis, future, doubt."""

from __future__ import annotations

import pytest

from opentrail.services.comprehendmedical.engine import context, text
from opentrail.services.comprehendmedical.engine.library import Library

CASES = [
    ("She denies chest pain.", "chest pain", "NEGATION"),
    ("No fever, chills or cough.", "cough", "NEGATION"),
    ("Negative for pneumonia.", "pneumonia", "NEGATION"),
    ("Pneumonia was ruled out.", "Pneumonia", "NEGATION"),
    ("There is no evidence of stroke.", "stroke", "NEGATION"),
    ("He never had asthma.", "asthma", "NEGATION"),
    ("CT was negative for embolism.", "embolism", "NEGATION"),
    ("Mother had breast cancer.", "breast cancer", "PERTAINS_TO_FAMILY"),
    ("Family history of diabetes.", "diabetes", "PERTAINS_TO_FAMILY"),
    ("If fever develops, call.", "fever", "HYPOTHETICAL"),
    ("Return for worsening pain.", "pain", "HYPOTHETICAL"),
    ("Possible pneumonia.", "pneumonia", "LOW_CONFIDENCE"),
    ("Findings suspicious for sepsis.", "sepsis", "LOW_CONFIDENCE"),
    ("History of asthma.", "asthma", "PAST_HISTORY"),
    ("S/p appendectomy.", "appendectomy", "PAST_HISTORY"),
    ("Will schedule colonoscopy.", "colonoscopy", "FUTURE"),
    ("MRI is scheduled tomorrow.", "MRI", "FUTURE"),
    ("Past Medical History: gout", "gout", "PAST_HISTORY"),
    ("Family History: gout", "gout", "PERTAINS_TO_FAMILY"),
]
NOT = [
    ("She denies pain but reports cough.", "cough", "NEGATION"),
    ("No fever. Cough present.", "Cough", "NEGATION"),
    ("She has diabetes.", "diabetes", "NEGATION"),
    ("Mother is well; he has gout.", "gout", "NEGATION"),
    ("No chest pain; however, dyspnea is severe.", "dyspnea", "NEGATION"),
]


def told(loaded: Library, source: str, words: str) -> dict[str, float]:
    document = text.read(source, loaded.headers)
    begin, end = source.index(words), source.index(words) + len(words)
    place = (sum(token.end <= begin for token in document.tokens), sum(token.begin < end for token in document.tokens))
    return context.traits(document, loaded.cues, [place])[0]


@pytest.mark.parametrize(("source", "words", "trait"), CASES)
def test_a_cue_reaches_its_mention(loaded: Library, source: str, words: str, trait: str) -> None:
    assert trait in told(loaded, source, words)


@pytest.mark.parametrize(("source", "words", "trait"), NOT)
def test_a_cue_stops(loaded: Library, source: str, words: str, trait: str) -> None:
    assert trait not in told(loaded, source, words)
