"""Protected health information: what has a form (dates, numbers, addresses) by rules, names and places by the model.

Types are those of DetectPHI: AGE DATE NAME PHONE_OR_FAX EMAIL ID URL ADDRESS PROFESSION. As there, an age is its number
alone and a name stands without its title. Patterns are linear: bounded repetitions over single classes of characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from opentrail.services.comprehendmedical.engine.grammar import DATE
from opentrail.services.comprehendmedical.engine.model import Span
from opentrail.services.comprehendmedical.engine.text import Document


@dataclass(frozen=True, slots=True)
class Protected:
    """Protected text between two offsets, its type, and how sure we are."""

    begin: int
    end: int
    type: str
    score: float


ID_WORDS = (
    r"(?:MRN|medical\s(?:record|insurance\spolicy)|SSN|social\ssecurity|record|account|acct|policy|member(?:ship)?|beneficiary|subscriber|insurance|health\splan"
    r"|plan|patient|pt|chart|case|license|certificate|accession|claim|group|DEA|NPI|serial|device|HPBN?|site|study)"
)
RULES: tuple[tuple[str, float, str], ...] = (
    ("EMAIL", 0.99, r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}"),
    ("URL", 0.98, r"\bhttps?://[^\s<>\"')\]]{1,300}|\bwww\.[^\s<>\"')\]]{1,300}"),
    ("ID", 0.97, r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"),
    ("DATE", 0.98, DATE),
    (
        "DATE",
        0.9,
        r"\b(?:19|20)\d\d(?=-\d\d-\d\dT)|(?<=\bin\s)(?:19[3-9]\d|20[0-3]\d)\b(?!\s?(?:mg|ml|mcg|units|patients))|(?<=\bsince\s)(?:19[3-9]\d|20[0-3]\d)\b",
    ),
    ("PHONE_OR_FAX", 0.97, r"(?<![\w.-])(?:\+?1[-. ]?)?(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-. ]\d{4}(?:\s?(?:x|ext\.?)\s?\d{1,5})?(?![\w-])"),
    (
        "ID",
        0.95,
        rf"\b(?i:{ID_WORDS})(?i:\s(?:ID|number|no\.?|num))?(?i:\s(?:number|no\.?|is|was|of))?\s?[:#]{{0,2}}\s?(#?(?=[A-Za-z-]{{0,8}}\d)[A-Za-z0-9]{{1,16}}(?:-[A-Za-z0-9]{{1,12}}){{0,4}})(?![\w-])",
    ),
    ("ID", 0.95, r"\bID[:#\s]{1,3}(#?(?=[A-Za-z-]{0,8}\d)[A-Za-z0-9]{2,16}(?:-[A-Za-z0-9]{1,12}){0,4})(?![\w-])"),
    (
        "ID",
        0.9,
        r"(?<![\w-])#?[A-Z]{1,5}-?\d{5,12}(?![\w-])|(?<![\w-])#?[A-Z]{2,4}-\d{4,12}(?:-\d{1,8}){0,2}(?![\w-])|(?<![\w-])\d{3,5}-\d{2,5}-\d{3,6}(?![\w-])",
    ),
    ("ID", 0.85, r"(?<![\w.,$/-])#?\d{7,12}(?![\w%/-]|[.,]\d)"),
    (
        "AGE",
        0.98,
        r"(?<![\w.])(\d{1,3})(?=\s?-?\s?(?:years?|yrs?|months?|weeks?|days?)\s?-?\s?old\b|\s?-?y/?o\b|\s?y\.o\.|\s?-?yr?s?/?o\b|\s?yo[mf]\b)",
    ),
    ("AGE", 0.93, r"(?i)\b(?:age|aged|ages|age\sof|age:)\s{0,2}(\d{1,3})\b(?!\s?(?:mg|%))"),
    ("AGE", 0.9, r"\b[A-Z][\w'’-]{1,25}\s[A-Z][\w'’-]{1,25},\s(\d{1,3})(?=,\s[a-z])"),
    ("AGE", 0.85, r"(?<![\w.-])\d{1,3}(?=\s?[MF]\b(?!\.))|(?<=\bover\s)\d{2}(?=[,.?]|\swith\b|\syears\b)"),
    (
        "ADDRESS",
        0.95,
        r"\b\d{1,5}\s(?:[NSEW]\.?\s)?(?:[A-Z][a-z]{1,15}\s){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Pl|Highway|Hwy)\b\.?(?:,?\s(?:Apt|Suite|Unit|#)\.?\s?\w{1,5})?",
    ),
    ("ADDRESS", 0.9, r"\b(?:[A-Z][a-z]{1,15}\s){1,2}[A-Z]{2}\s\d{5}(?:-\d{4})?\b|(?<=\b[A-Z]{2}\s)\d{5}(?:-\d{4})?\b"),
)
COMPILED = tuple((kind, score, re.compile(pattern)) for kind, score, pattern in RULES)
TITLE = re.compile(r"(?:(?:Dr|Mr|Mrs|Ms|Miss|Prof|Doctor|Pt)\b\.?\s{1,2})")
TITLED = re.compile(
    r"\b(?:Dr|Mr|Mrs|Ms|Miss|Prof|Doctor)\b\.?\s{1,2}((?:[A-Z]\.\s?)?[A-Z][\w'’-]{1,25}(?:\s[A-Z]\.)?(?:\s[A-Z][\w'’-]{1,25})?(?:\s[A-Z](?:\.|\b))?)"
)
PLACE = re.compile(
    r"\b((?:(?:St|Mt|Ft)\.\s|(?:[A-Z][\w'’.&-]{1,25}|of|the|and)\s){0,5}(?:[A-Z][\w'’.-]{1,25})\s"
    r"(?:Hospitals?|Hosp\.?|Medical\s(?:Center|Ctr|Group)|Clinics?|Health(?:care)?(?:\s(?:System|Center))?|Infirmary|Hospice|Nursing\sHome|Rehab(?:ilitation)?\sCenter))(?!\w)"
)
MODEL_SCORE = 0.5
MODEL_TYPES = frozenset({"NAME", "ADDRESS", "ID", "DATE", "PHONE_OR_FAX", "PROFESSION"})
EDGES = " \t\r\n,;:()[]\"'"


def protected(document: Document, spans: Sequence[Span], floor: float = MODEL_SCORE) -> list[Protected]:
    """Everything protected in the text, in order, without overlaps; `spans` are those of the model's head `phi`."""
    text = document.text
    found: list[Protected] = []
    taken = bytearray(len(text))
    for kind, score, pattern in COMPILED:
        for match in pattern.finditer(text):
            _claim(found, taken, text, _group(match), kind, score)
    for span in sorted(spans, key=lambda span: -span.score):
        if span.score >= floor and span.label in MODEL_TYPES:
            place = (document.tokens[span.first].begin, document.tokens[span.last - 1].end)
            _claim(found, taken, text, place, span.label, span.score)
    for pattern, kind, score in ((TITLED, "NAME", 0.9), (PLACE, "ADDRESS", 0.8)):
        for match in pattern.finditer(text):
            _claim(found, taken, text, match.span(1), kind, score)
    return sorted(found, key=lambda one: one.begin)


def _group(match: re.Match[str]) -> tuple[int, int]:
    number = match.lastindex
    return match.span(number) if number else match.span()


def _claim(found: list[Protected], taken: bytearray, text: str, place: tuple[int, int], kind: str, score: float) -> None:
    begin, end = place
    title = TITLE.match(text, begin, end) if kind == "NAME" else None
    begin = title.end() if title else begin
    while begin < end and text[begin] in EDGES and not (text[begin] == "(" and ")" in text[begin:end]):
        begin += 1
    while end > begin and text[end - 1] in EDGES:
        end -= 1
    if end - begin > (0 if kind == "AGE" else 1) and not any(taken[begin:end]):
        taken[begin:end] = b"\1" * (end - begin)
        found.append(Protected(begin, end, kind, round(score, 6)))
