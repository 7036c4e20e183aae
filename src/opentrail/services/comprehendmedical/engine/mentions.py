"""What a text speaks of: conditions, medications, tests, procedures, anatomy, habits, and the parts that qualify them.

Several sources propose (the clinical model, the literature model, dictionaries, rules); where they overlap the more
telling one wins. The result is mentions in text order; which part belongs to which mention is decided in `attach`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from opentrail.services.comprehendmedical.engine.grammar import Found, Grammar
from opentrail.services.comprehendmedical.engine.model import Span
from opentrail.services.comprehendmedical.engine.tagger import Tagged
from opentrail.services.comprehendmedical.engine.text import Document


@dataclass(frozen=True, slots=True)
class Mention:
    """A mention: kind (MED, DX, TEST, PROC, ANAT, HABIT, TIME or an attribute type), offsets, token numbers, score."""

    kind: str
    begin: int
    end: int
    first: int
    last: int
    score: float
    type: str = ""


HEADS = ("DX", "MED", "TEST", "PROC", "ANAT")
ATTRIBUTES = {"DOSAGE": "DOSAGE", "DURATION": "DURATION", "FREQ": "FREQUENCY", "ROUTE": "ROUTE_OR_MODE", "ACUITY": "ACUITY"}
"""Labels of the clinical model that are attributes, and their types."""
HABITS = (
    (
        "TOBACCO_USE",
        r"(?:non-?\s?|ex-?\s?)?smok(?:es|ed|er|ers|ing|e)|tobacco(?:\suse)?|cigarettes?|cigars?|vap(?:es|ing)|nicotine|chewing\stobacco|pack[-\s]years?",
    ),
    (
        "ALCOHOL_CONSUMPTION",
        r"alcohol(?:\suse|\sconsumption|\sabuse)?|etoh|drinks|drinking|beers?|wine|liquor|vodka|whiske?y|alcoholic\sbeverages?",
    ),
    (
        "REC_DRUG_USE",
        r"(?:illicit|recreational|street|illegal|iv|intravenous)\sdrugs?(?:\suse|\sabuse)?|drug\s(?:use|abuse)|marijuana|cannabis|cocaine|heroin|methamphetamines?|ivdu|lsd|ecstasy",
    ),
    ("ALLERGIES", r"allerg(?:y|ies|ic)(?:\sto)?|nkda|nka"),
    ("GENDER", r"males?|females?|m[ae]n|wom[ae]n|boy|girl|gentleman|lady"),
    (
        "RACE_ETHNICITY",
        r"caucasian|african[-\s]american|hispanic|latin[oax]|asian|native\samerican|pacific\sislander|(?:black|white)(?=\s(?:male|female|man|woman|gentleman|lady|boy|girl|american))",
    ),
)
HABIT_RULES = tuple((kind, re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE)) for kind, pattern in HABITS)
AMOUNT = re.compile(
    r"(?<![\w.])(?:(?:\d{1,3}(?:\.\d)?|one|two|three|four|five|six|half|a)\s?(?:-|–|to|or|and)?\s?(?:\d{1,2}|a|half|two|three)?\s?"
    r"(?:packs?|ppd|pack[-\s]years?|beers?|glass(?:es)?|drinks?|bottles?|cans?|shots?|joints?|cigarettes|pints?))(?!\w)",
    re.IGNORECASE,
)
TREATMENT = re.compile(
    r"therapy|treatment|radiation|chemo|dialysis|oxygen|ventilat|transfusion|rehab|antibiotic|resuscitat|support|care\b|anticoagul|vaccin|immuni[sz]"
    r"|cpap|bipap|diet|exercise|counsel|hydration|fluids?\b|irrigation|monitoring|management|compression|prophyla|sedation|plasmapheresis",
    re.IGNORECASE,
)
PICTURE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]")
"""Control characters, arrows, signs, emoji and what joins them: no part of a name."""


class Places:
    """Token numbers of offsets in one document."""

    def __init__(self, document: Document) -> None:
        self._begins = [token.begin for token in document.tokens]
        self._ends = [token.end for token in document.tokens]

    def mention(self, kind: str, begin: int, end: int, score: float, of_type: str = "") -> Mention:
        """A mention between two offsets, with its token numbers."""
        return Mention(kind, begin, end, bisect_right(self._ends, begin), bisect_left(self._begins, end), score, of_type)


class Claims:
    """Text that is spoken for: proposals are taken in the order of their weight."""

    def __init__(self, size: int) -> None:
        self._taken = bytearray(size)
        self.kept: list[Mention] = []

    def offer(self, mention: Mention) -> bool:
        """Keep the mention unless it is empty or overlaps one that was kept before."""
        if mention.end <= mention.begin or any(self._taken[mention.begin : mention.end]):
            return False
        self._taken[mention.begin : mention.end] = b"\1" * (mention.end - mention.begin)
        self.kept.append(mention)
        return True


def spoken_of(document: Document, tagged: Tagged, grammar: Grammar, values: re.Pattern[str]) -> list[Mention]:
    """All mentions and parts of a document, in text order, without overlaps."""
    places = Places(document)
    claims = Claims(len(document.text))
    found = grammar.find(document.text)
    for mention in _habits(document, places):
        claims.offer(mention)
    for begin, _, end in document.sections:
        claims.offer(places.mention("HEADER", begin, end, 1.0))
    for mention in _grown(document, tagged):
        claims.offer(mention)
    _offer_spans(document, claims, tagged.spans["clinical"], HEADS, 0.0)
    _offer_spans(document, claims, [_renamed(span) for span in tagged.spans["bc5cdr"]], HEADS, 0.5)
    for mention in _listed(document, tagged):
        claims.offer(mention)
    whole = [_trimmed(document, mention, tagged, found, places) for mention in claims.kept]
    kept = [piece for mention in whole if mention.end > mention.begin for piece in _without_direction(document, mention, found, places)]
    return _with_parts(document, kept, tagged.spans["clinical"], found, values, places)


def _with_parts(
    document: Document, kept: Sequence[Mention], spans: Sequence[Span], found: Sequence[Found], values: re.Pattern[str], places: Places
) -> list[Mention]:
    """The mentions and what qualifies them: values next to tests first, then what the rules found, then the model's parts."""
    claims = Claims(len(document.text))
    for mention in kept:
        claims.offer(mention)
    timed = bytearray(len(document.text))
    for one in found:
        if one.kind in ("AGO", "DATE", "DURATION", "FREQUENCY", "RATE"):
            timed[one.begin : one.end] = b"\1" * (one.end - one.begin)
    _offer_values(document, claims, spans, values, places, timed)
    for one in found:
        claims.offer(places.mention("TIME" if one.kind in ("AGO", "DATE") else one.kind, one.begin, one.end, 0.9))
    _offer_parts(document, claims, spans)
    return sorted((mention for mention in claims.kept if mention.kind != "HEADER"), key=lambda mention: mention.begin)


def _grown(document: Document, tagged: Tagged) -> list[Mention]:
    """Conditions and tests that end a listed name: the whole name is meant ("chest pain", not "pain")."""
    found = []
    for span in tagged.spans["clinical"]:
        tags = tagged.tags[2 if span.label == "TEST" else 1]
        if span.label in ("DX", "TEST") and tags[span.first][:1] == "I" and (span.label == "DX" or "T" in tags[span.first]):
            first = span.first
            while tags[first][:1] == "I":
                first -= 1
            if span.last == len(tags) or tags[span.last][:1] != "I":
                begin, end = document.tokens[first].begin, document.tokens[span.last - 1].end
                found.append(Mention(span.label, begin, end, first, span.last, span.score))
    return found


def _trimmed(document: Document, mention: Mention, tagged: Tagged, found: Sequence[Found], places: Places) -> Mention:
    """A mention without the time or dose at its end, and a condition without the acuity before a name that is not listed so; a form alone
    is no medication (the mention becomes empty), and a therapy is a treatment."""
    begin, end = mention.begin, mention.end
    if mention.kind == "MED" and document.text[begin:end].lower().endswith("therapy"):
        return replace(mention, kind="PROC")
    listed = mention.kind == "DX" and tagged.tags[1][mention.first][:1] == "B"
    for one in found:
        if one.kind in ("AGO", "DATE", "DURATION", "FREQUENCY", "STRENGTH") and begin < one.begin and one.end >= end > one.begin:
            end = one.begin
        elif one.kind in ("ACUITY", "QUALITY") and mention.kind == "DX" and one.begin == begin and one.end < end and not listed:
            begin = one.end
        elif one.kind == "FORM" and mention.kind == "MED" and one.begin == begin and end <= one.end:
            end = begin
    while begin < end and document.text[begin].isspace():
        begin += 1
    while end > begin and document.text[end - 1].isspace():
        end -= 1
    if (begin, end) == (mention.begin, mention.end):
        return mention
    if begin >= end:
        return mention if mention.kind != "MED" else replace(mention, end=mention.begin)
    return places.mention(mention.kind, begin, end, mention.score, mention.type)


def _apart(document: Document, span: Span) -> Iterator[Span]:
    """A span cut at pictures (emoji and the like), which are no part of a name."""
    first = span.first
    for number in range(span.first, span.last + 1):
        if number == span.last or PICTURE.match(document.tokens[number].text):
            if number > first:
                yield replace(span, first=first, last=number)
            first = number + 1


def _renamed(span: Span) -> Span:
    return replace(span, label={"Chemical": "MED", "Disease": "DX"}[span.label])


def _offer_spans(document: Document, claims: Claims, spans: Iterable[Span], labels: Sequence[str], floor: float) -> None:
    for span in sorted(spans, key=lambda span: -span.score):
        if span.label in labels and span.score >= floor:
            for piece in _apart(document, span):
                claims.offer(_of_span(document, piece, span.label))


def _of_span(document: Document, span: Span, kind: str) -> Mention:
    begin, end = document.tokens[span.first].begin, document.tokens[span.last - 1].end
    return Mention(kind, begin, end, span.first, span.last, span.score)


def _habits(document: Document, places: Places) -> list[Mention]:
    return [
        places.mention("HABIT", match.start(), match.end(), 0.9, kind)
        for kind, pattern in HABIT_RULES
        for match in pattern.finditer(document.text)
    ] + [places.mention("AMOUNT", match.start(), match.end(), 0.9) for match in AMOUNT.finditer(document.text)]


LISTED = ((0, "MED", re.compile(r"M|(?=.*C)(?=.*R)|(?=.*B)(?=.*C)")), (1, "DX", re.compile(r"H|S")), (2, "TEST", re.compile("T$")))


def _listed(document: Document, tagged: Tagged) -> list[Mention]:
    """Words of the hand-made lists, and drugs known to two vocabularies, that no model saw."""
    found = []
    for group, kind, wanted in LISTED:
        tags = tagged.tags[group]
        at = 0
        while at < len(tags):
            begun, at = at, at + 1
            if tags[begun][:1] != "B":
                continue
            while at < len(tags) and tags[at][:1] == "I":
                at += 1
            begin, end = document.tokens[begun].begin, document.tokens[at - 1].end
            if wanted.search(tags[begun][1:]) and end - begin > 3:
                found.append(Mention(kind, begin, end, begun, at, 0.55))
    return found


def _without_direction(document: Document, mention: Mention, found: Sequence[Found], places: Places) -> list[Mention]:
    """A body part led by directions, cut in two: "left arm" is a direction and an arm."""
    if mention.kind != "ANAT":
        return [mention]
    inside = [one for one in found if one.kind == "DIRECTION" and mention.begin <= one.begin and one.end < mention.end]
    begin, pieces = mention.begin, []
    for one in inside:
        if document.text[begin : one.begin].strip() == "" and "quadrant" not in document.text[one.end : mention.end]:
            pieces.append(places.mention("DIRECTION", one.begin, one.end, mention.score))
            begin = one.end
    while begin < mention.end and document.text[begin].isspace():
        begin += 1
    return [*pieces, places.mention("ANAT", begin, mention.end, mention.score)] if begin < mention.end else [mention]


def _offer_parts(document: Document, claims: Claims, spans: Sequence[Span]) -> None:
    for span in spans:
        if span.label in ATTRIBUTES and span.score >= 0.5:
            claims.offer(_of_span(document, span, ATTRIBUTES[span.label]))
        elif span.label == "TIME" and span.score >= 0.5:
            claims.offer(_of_span(document, span, "TIME"))


def _offer_values(
    document: Document, claims: Claims, spans: Sequence[Span], values: re.Pattern[str], places: Places, timed: bytearray
) -> None:
    """Values: what the model labels, cut into value and unit; and measured values that follow a test before anything else."""
    heads = sorted(mention.begin for mention in claims.kept if mention.kind != "AMOUNT")
    zones = []
    for mention in claims.kept:
        if mention.kind == "TEST":
            following = heads[bisect_right(heads, mention.begin)] if heads[-1] > mention.begin else len(document.text)
            last = min(mention.last + 7, len(document.tokens)) - 1
            zones.append((mention.end, min(following, document.tokens[last].end), 0.85))
    for span in spans:
        if span.label == "VALUE":
            begin, end = document.tokens[span.first].begin, document.tokens[span.last - 1].end
            whole = span.score >= 0.5 and not all(timed[begin:end])
            if not _values_in(document, claims, values, places, timed, (begin, end, span.score)) and whole:
                claims.offer(places.mention("TEST_VALUE", begin, end, span.score))
    for zone in zones:
        _values_in(document, claims, values, places, timed, zone)


def _values_in(
    document: Document, claims: Claims, values: re.Pattern[str], places: Places, timed: bytearray, zone: tuple[int, int, float]
) -> bool:
    """Offer the first value of a zone with its unit; whether there was one."""
    begin, end, score = zone
    for match in values.finditer(document.text, begin, end):
        if any(timed[match.start() : match.end()]):
            continue
        claims.offer(places.mention("TEST_VALUE", *match.span("words" if match.group("words") else "value"), score))
        if match.group("unit"):
            claims.offer(places.mention("TEST_UNIT", *match.span("unit"), score))
        return True
    return False


def is_treatment(text: str) -> bool:
    """Whether a procedure's words speak of a treatment over time (TREATMENT_NAME) rather than of an act (PROCEDURE_NAME)."""
    return TREATMENT.search(text) is not None
