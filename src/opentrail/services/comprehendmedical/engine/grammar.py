"""The closed classes: doses, strengths, forms, routes, frequencies, durations, rates, values, units, times, directions.

Each rule is one regular expression over the text, built from the word lists in data/grammar.json. Every repetition is
bounded or runs over one class of characters, so matching is linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,3}|\d{1,9})(?:\.\d{1,6})?|\.\d{1,6}"
COUNT = rf"(?:{NUMBER}|one|two|three|four|five|six|seven|eight|nine|ten|twelve|half|a)"
RANGE = rf"(?:{NUMBER})(?:\s?(?:-|–|to)\s?(?:{NUMBER}))?"
TALLY = rf"{COUNT}(?:\s?(?:-|–|to|or|and)\s?(?:{NUMBER}|one|two|three|four|half))?(?:/\d)?"
PERIOD = r"(?:second|sec|minute|min|hour|hr|day|night|week|wk|month|mo|year|yr|decade)s?"
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)\.?"
)
DATE = (
    rf"\b{MONTH}\s{{1,2}}\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s{{1,2}}(?:19|20)\d\d)?(?![\w.]\d)\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)?\s{{1,2}}(?:of\s)?{MONTH}(?:,?\s{{1,2}}(?:19|20)\d\d)?\b"
    rf"|\b{MONTH},?\s{{1,2}}(?:of\s)?(?:19|20)\d\d\b"
    r"|(?<![\w/.-])(?:\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})|\d{1,2}-\d{1,2}-\d{4}|\d{4}-\d{2}-\d{2}|\d{4}/\d{1,2}/\d{1,2}|\d{1,2}\.\d{1,2}\.\d{4})(?![\w/-])"
    r"|(?<![\w/.-])(?:0?[1-9]|1[0-2])/(?:19|20)\d\d(?![\w/-])"
)


@dataclass(frozen=True, slots=True)
class Found:
    """A match of the rule `kind` between two offsets."""

    begin: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """Compiled rules in the order in which they claim text: an earlier rule's match is not given to a later one. They are of small
    letters and see the text in small letters, which takes half the time of patterns that ignore case."""

    rules: tuple[tuple[str, re.Pattern[str]], ...]

    def find(self, text: str, wanted: Iterable[str] | None = None) -> list[Found]:
        """All matches in the order of the text; matches of one call never overlap."""
        kinds = None if wanted is None else frozenset(wanted)
        low, taken = lowered(text), bytearray(len(text))
        found = []
        for kind, pattern in self.rules:
            if kinds is not None and kind not in kinds:
                continue
            for match in pattern.finditer(low):
                begin, end = match.span(1 if pattern.groups else 0)
                if end > begin and not any(taken[begin:end]):
                    taken[begin:end] = b"\1" * (end - begin)
                    found.append(Found(begin, end, kind))
        return sorted(found, key=lambda one: one.begin)


def lowered(text: str) -> str:
    """The text in small letters, character by character: the few letters whose small form is longer stay as they are."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(small if len(small := one.lower()) == 1 else one for one in text)


def either(words: Sequence[str]) -> str:
    """An alternation of literal phrases, the longest first; a space matches any one or two blanks."""
    parts = (re.escape(word).replace(r"\ ", r"\s{1,2}") for word in sorted(words, key=len, reverse=True))
    return "(?:" + "|".join(parts) + ")"


def compile_rules(lists: Mapping[str, Sequence[str]]) -> Grammar:
    """The rules over the given word lists (those of data/grammar.json)."""
    word = {name: either(words) for name, words in lists.items()}
    mass, forms, per = word["mass"], word["forms"], r"(?:/|\s?per\s)"
    end = r"(?![\w/])"
    often = r"(?:\s(?:a|per|each|every)\s(?:day|night|week|month|hour)|\s(?:daily|weekly|monthly|nightly))?"
    times = rf"(?:once|twice|thrice|{COUNT}\s?(?:x|times)){often}"
    spell = r"(?:h|hrs?|hours?|d|days?|wk|weeks?|months?|mornings?|evenings?|nights?|afternoons?|am|pm)"
    every = rf"(?:every|each|q\.?)\s?(?:other\s)?(?:(?:{RANGE})\s?[-]?\s?)?{spell}\b\.?"
    rules = [
        (
            "RATE",
            rf"(?<![\w.])((?:{RANGE})\s?(?:{mass}|l|liters?|litres?|drops|gtt)(?:/kg|/m2)?{per}(?:h|hr|hour|min|minute|sec|s|day)(?:/kg)?){end}",
        ),
        ("FREQUENCY", rf"(?<![\w])({times}\s?(?:as needed|prn)?|{every}(?:\s?(?:as needed|prn))?|{word['frequency']}){end}"),
        (
            "AGO",
            rf"\b({COUNT}(?:\s?(?:-|to|or)\s?{COUNT})?\s?-?{PERIOD}\s(?:ago|prior|earlier|later|before|after)|{word['when']}|(?:last|next|this)\s(?:week|month|year|night|spring|summer|fall|winter|monday|tuesday|wednesday|thursday|friday|saturday|sunday)){end}",
        ),
        (
            "DURATION",
            rf"\b((?:for|over|x|during|within)\s?(?:the\s)?(?:(?:past|last|next|about|approximately|another)\s){{0,2}}{TALLY}\s?-?(?:more\s)?{PERIOD}|{COUNT}\s?-\s?{PERIOD}(?=\s(?:course|history|period))|(?:past|last|next)\s{COUNT}\s{PERIOD}){end}",
        ),
        ("DATE", rf"({DATE})"),
        (
            "STRENGTH",
            rf"(?<![\w.])((?:{RANGE})(?:\s?/\s?(?:{NUMBER}))?\s?-?\s?(?:{mass}|%)(?:\s?/\s?(?:{NUMBER})?\s?(?:ml|mls|l|g|actuation|spray|puff|dose|hr|day|kg))?){end}",
        ),
        ("DOSAGE", rf"(?<![\w.])({TALLY}\s?-?\s?(?:\(\d\)\s?)?{word['counted']}){end}"),
        ("ROUTE_OR_MODE", rf"(?<![\w.-])({word['routes']}){end}"),
        ("FORM", rf"\b({word['release']}\s{forms}|{forms}|{word['release']}){end}"),
        ("DIRECTION", rf"\b({word['directions']}){end}"),
        ("ACUITY", rf"\b({word['acuity']}){end}"),
        ("QUALITY", rf"\b({word['quality']}){end}"),
    ]
    return Grammar(tuple((kind, re.compile(pattern)) for kind, pattern in rules))


def compile_values(lists: Mapping[str, Sequence[str]]) -> re.Pattern[str]:
    """A measured value with its unit: groups `value`, `unit` (either may be missing), `words` for "positive" and its like."""
    unit = either([*lists["units"]])
    value = rf"(?:[<>≤≥=~]\s?)?(?:{NUMBER})(?:\s?(?:/|-|–|to)\s?(?:{NUMBER}))?(?:\s?[x×]\s?10\^?\d{{1,2}})?"
    words = either(lists["findings"])
    return re.compile(rf"(?<![\w.])(?:(?P<value>{value})(?:\s?(?P<unit>{unit})(?![\w]))?|(?P<words>{words})(?!\w))", re.IGNORECASE)


def load(path: Path) -> tuple[Grammar, re.Pattern[str]]:
    """The rules, and the pattern of measured values, from a file of word lists."""
    lists: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return compile_rules(lists), compile_values(lists)
