"""RxNorm: from a medication with its strength and form to concepts.

A concept is a row: RXCUI, term type, name, and the ingredient (and brand) names under which it is looked up, joined by "|". Term
types: IN, PIN, MIN, BN, SCDC, SCD, SBD.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from opentrail.services.comprehendmedical.engine import stored
from opentrail.services.comprehendmedical.engine.stored import Arrays
from opentrail.services.comprehendmedical.engine.terms import Strings, grams, joined

FORM = "rxnorm 1"

STRENGTH = re.compile(
    r"(\d+(?:,\d{3})*(?:\.\d+)?)\s?(mg/ml|mcg/ml|units?/ml|unt/ml|mg/mg|meq/ml|mcg/actuat|mg/actuat|mg|mcg|µg|μg|ug|gm?s?|grams?|units?|unt|iu|meq|ml|%|cells)",
    re.IGNORECASE,
)
UNITS = {
    "mcg": ("mg", 0.001),
    "µg": ("mg", 0.001),
    "μg": ("mg", 0.001),
    "ug": ("mg", 0.001),
    "g": ("mg", 1000.0),
    "gm": ("mg", 1000.0),
    "gms": ("mg", 1000.0),
    "gs": ("mg", 1000.0),
    "gram": ("mg", 1000.0),
    "grams": ("mg", 1000.0),
    "unit": ("unt", 1.0),
    "units": ("unt", 1.0),
    "iu": ("unt", 1.0),
    "mcg/ml": ("mg/ml", 0.001),
    "mg/mg": ("%", 100.0),
    "units/ml": ("unt/ml", 1.0),
    "unit/ml": ("unt/ml", 1.0),
    "mcg/actuat": ("mg/actuat", 0.001),
}
FORMS = (
    ("tablet", r"tab(?:let)?s?|caplets?|pills?"),
    ("capsule", r"cap(?:sule)?s?|softgels?"),
    ("solution", r"solution|liquid|syrup|elixir|drops"),
    ("suspension", "suspension"),
    ("cream", "cream"),
    ("ointment", "ointment"),
    ("gel", "gel"),
    ("lotion", "lotion"),
    ("patch", r"patch(?:es)?|system"),
    ("inhal", r"inhalers?|puffs?|inhalations?|hfa|neb\w{0,8}"),
    ("spray", r"sprays?"),
    ("inject", r"injections?|injectable|vials?|pen|syringe|iv|intravenous\w{0,2}|im|subq|subcutaneous\w{0,2}|sq|sc"),
    ("suppositor", r"suppositor(?:y|ies)|rectal"),
    ("chewable", "chewable"),
    ("extended release", r"extended[ -]release|er|xr|xl|sr|cr|la"),
    ("delayed release", r"delayed[ -]release|dr|ec|enteric[ -]coated"),
    ("topical", r"topical(?:ly)?"),
    ("ophthalmic", r"ophthalmic|eye"),
    ("otic", r"otic|ear"),
    ("nasal", r"nasal|intranasal(?:ly)?"),
    ("sublingual", r"sublingual(?:ly)?|sl"),
    ("oral", r"oral(?:ly)?|po|p\.o\.?|by mouth"),
    ("foam", "foam"),
    ("shampoo", "shampoo"),
    ("powder", "powder"),
)
FORM_RULES = tuple((name, re.compile(rf"(?<![\w])(?:{pattern})(?!\w)", re.IGNORECASE)) for name, pattern in FORMS)
BASE = {"IN": 0.75, "BN": 0.75, "PIN": 0.62, "MIN": 0.66, "SCDC": 0.4, "SCD": 0.45, "SBD": 0.4}
"""What a concept of each term type starts from when its name fits and nothing more is known."""
MOST = 5
FUZZY = 0.55
"""Least likeness of a misspelt name."""
BRANDS_OF_A = {
    "tylenol": "acetaminophen",
    "lipitor": "atorvastatin",
    "norvasc": "amlodipine",
    "eliquis": "apixaban",
    "xanax": "alprazolam",
    "zithromax": "azithromycin",
    "zyloprim": "allopurinol",
    "amoxil": "amoxicillin",
    "ventolin": "albuterol",
    "proventil": "albuterol",
    "proair": "albuterol",
    "ecotrin": "aspirin",
}
"""Brands of ingredients that begin with A, which the packaged extract lacks."""
OTHER_NAMES = {
    **BRANDS_OF_A,
    "paracetamol": "acetaminophen",
    "asa": "aspirin",
    "acetylsalicylic acid": "aspirin",
    "salbutamol": "albuterol",
    "hctz": "hydrochlorothiazide",
    "adrenaline": "epinephrine",
    "lasix": "furosemide",
    "frusemide": "furosemide",
    "nitro": "nitroglycerin",
    "ntg": "nitroglycerin",
    "mmf": "mycophenolate mofetil",
    "apap": "acetaminophen",
    "vitamin c": "ascorbic acid",
    "vitamin b12": "vitamin b12",
    "coumadin": "warfarin",
    "pcn": "penicillin g",
}


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept: code, term type, name, and the strengths and forms that its name tells."""

    code: str
    type: str
    name: str


@lru_cache(maxsize=1 << 14)
def strengths(text: str) -> frozenset[tuple[float, str]]:
    """Amounts with their units, the units made alike ("1 g" is 1000 mg)."""
    found = set()
    for number, unit in STRENGTH.findall(text):
        name, factor = UNITS.get(unit.lower(), (unit.lower(), 1.0))
        found.add((round(float(number.replace(",", "")) * factor, 6), name))
    return frozenset(found)


@lru_cache(maxsize=1 << 14)
def forms(text: str) -> frozenset[str]:
    """Forms and ways of giving that a text names."""
    return frozenset(name for name, rule in FORM_RULES if rule.search(text))


class RxNorm:
    """A loaded vocabulary; `concepts` by name: lower-case ingredient or brand to concept numbers."""

    def __init__(self, concepts: Sequence[Concept], by_name: Mapping[str, Sequence[int]]) -> None:
        self.concepts = concepts
        self._by_name = by_name
        self._names = list(by_name)
        self._by_gram: dict[str, list[int]] | None = None

    def __len__(self) -> int:
        return len(self.concepts)

    def has(self, name: str) -> bool:
        """Whether an ingredient or brand of this name is listed."""
        return name.lower() in self._by_name

    def search(self, mention: str, details: str) -> list[tuple[Concept, float]]:
        """Up to five concepts for a medication's words and those of its attributes, best first, each with a score."""
        name, likeness = self._nearest(" ".join(mention.lower().split()))
        if not name:
            return []
        context = f"{mention} {details}"
        amounts, shapes = strengths(context), forms(context)
        scored = [(self._score(self.concepts[number], mention, name, amounts, shapes) * likeness, number) for number in self._by_name[name]]
        scored.sort(key=lambda pair: (-pair[0], len(self.concepts[pair[1]].name), pair[1]))
        return [(self.concepts[number], min(score, 1.0)) for score, number in scored[:MOST]]

    def _nearest(self, name: str) -> tuple[str, float]:
        for known in (name, OTHER_NAMES.get(name, "")):
            if known in self._by_name:
                return known, 1.0
        words = name.split()
        for size in range(len(words) - 1, 0, -1):
            for first in range(len(words) - size + 1):
                part = " ".join(words[first : first + size])
                if part in self._by_name and len(part) > 3:
                    return part, 0.9
        holding = [known for known in self._names if f" {name} " in f" {known} "] if len(name) > 3 else []
        if holding:
            return min(holding, key=lambda known: (len(known), known)), 0.9
        return self._spelt_like(name)

    def _spelt_like(self, name: str) -> tuple[str, float]:
        if len(name) < 5 or len(name) > 60:
            return "", 0.0
        if self._by_gram is None:
            self._by_gram = {}
            for number, listed in enumerate(self._names):
                for part in grams(listed):
                    self._by_gram.setdefault(part, []).append(number)
        counts: dict[int, int] = {}
        own = grams(name)
        for part in own:
            for number in self._by_gram.get(part, ()):
                counts[number] = counts.get(number, 0) + 1
        best = max(
            ((2 * shared / (len(own) + len(grams(self._names[number]))), -number) for number, shared in counts.items() if shared > 2),
            default=(0.0, 0),
        )
        return (self._names[-best[1]], best[0]) if best[0] >= FUZZY else ("", 0.0)

    def _score(self, concept: Concept, mention: str, name: str, amounts: frozenset[tuple[float, str]], shapes: frozenset[str]) -> float:
        score = BASE[concept.type]
        if concept.type == "BN":
            return score + (0.2 if concept.name.lower() == name else -0.2)
        if concept.type in ("IN", "PIN", "MIN"):
            exact = concept.name.lower() == name
            return score + (0.2 if exact else -0.15 if concept.type == "MIN" else 0.0) - (0.25 if amounts else 0.0)
        theirs = strengths(concept.name)
        if amounts:
            score += 0.4 if amounts & theirs else -0.3
            score -= 0.04 * max(0, len(theirs) - len(amounts & theirs))
        score -= 0.15 * concept.name.count(" / ")
        if shapes and concept.type != "SCDC":
            told = forms(concept.name)
            score += 0.06 * len(shapes & told) - 0.03 * len(told - shapes - {"oral"})
        elif concept.type != "SCDC" and "Oral Tablet" in concept.name:
            score += 0.02
        branded = "[" in concept.name
        is_brand = f"[{name}]" in concept.name.lower()
        return score + (0.15 if is_brand else -0.2 if branded else 0.0)


def load(path: Path) -> RxNorm:
    """Read a compiled file."""
    arrays = stored.load(path, FORM)
    columns = (Strings.of(arrays[name]).all() for name in ("codes", "types", "names", "keys"))
    return build(zip(*columns, strict=True))


def build(rows: Iterable[Sequence[str]]) -> RxNorm:
    """A vocabulary of (code, term type, name, names joined by "|") rows."""
    concepts: list[Concept] = []
    by_name: dict[str, list[int]] = {}
    for code, kind, name, names in rows:
        for known in names.split("|"):
            by_name.setdefault(known, []).append(len(concepts))
        concepts.append(Concept(code, kind, name))
    return RxNorm(concepts, by_name)


def compiled(rows: Iterable[Sequence[str]]) -> Arrays:
    """The arrays of a vocabulary, from such rows."""
    columns = list(zip(*([" ".join(cell.split()) for cell in row] for row in rows), strict=True))
    return {name: joined(column) for name, column in zip(("codes", "types", "names", "keys"), columns, strict=True)}
