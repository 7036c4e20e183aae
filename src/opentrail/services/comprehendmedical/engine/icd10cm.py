"""ICD-10-CM: from the words of a condition to codes.

A code system is compiled once from its terms, (code, kind, text) rows, kind being `t` (title), `i` (inclusion term), `n` (a note
elsewhere that points to the code) or `s` (synonym), into arrays that `load` reads in an instant. A look-up weighs the codes whose
terms, category or likeness to other terms speak for them (`seen`) by a small network that was trained on inclusion terms
(data/icd10cm_ranker.npz).

An *analogy* is how the classification is read by people: "burn of breast" is listed under "burn of chest wall", so "corrosion of
breast" is looked for as "corrosion of chest wall".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.comprehendmedical.engine import stored
from opentrail.services.comprehendmedical.engine.decode import Floats, Numbers
from opentrail.services.comprehendmedical.engine.stored import Arrays
from opentrail.services.comprehendmedical.engine.terms import Bridge, Lexicon, Postings, Strings, Table, joined, tabulated, words_of

FORM = "icd10cm 1"
Row = tuple[str, str, str]
KINDS = "tins"
MOST = 5
CANDIDATES = 200
"""Codes that are weighed for a phrase."""
NEIGHBOURS, NEAR = 6, 0.3
"""Terms whose analogies are tried, and the least cosine of such a term."""
DETAILED = 0.6
"""What the words of attributes count beside the mention alone."""
GROUPS = (3, 5, 6)
"""Characters of a code that make its category, subcategory and finer group."""
RANKER = Path(__file__).parent / "data" / "icd10cm_ranker.npz"
UNKNOWN = frozenset(
    [
        "unspecified",
        "not",
        "otherwise",
        "specified",
        "organism",
        "without",
        "complication",
        "complications",
        "uncomplicated",
        "site",
        "part",
        "type",
        "cause",
    ]
)
BRACKETS = re.compile(r"\([^()]{0,80}\)")
VAGUE = re.compile(r"unspecified|uncomplicated|without complication", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ranker:
    """The network that scores a candidate's features: one hidden layer beside a straight way. `bridge` is for look-ups."""

    hidden: Floats
    shift: Floats
    out: Floats
    straight: Floats
    bridge: Bridge

    def __call__(self, columns: Floats) -> Floats:
        """The scores of candidates, one row of features each."""
        scored: Floats = np.maximum(columns @ self.hidden + self.shift, 0) @ self.out + columns @ self.straight
        return scored


class Icd10Cm:
    """A loaded code system."""

    def __init__(self, arrays: Arrays, bridge: Bridge, ranker: Ranker | None = None) -> None:
        self.codes = Strings.of(arrays["codes"]).all()
        self.titles = Strings.of(arrays["titles"])
        self._ranker = ranker
        self._lexicon = Lexicon(Strings.of(arrays["words"]).all(), bridge)
        self._texts = Table(arrays["texts_starts"], arrays["texts_words"])
        self._terms = Postings(self._lexicon, self._texts)
        self._plain = Postings(self._lexicon, Table(arrays["plain_starts"], arrays["plain_words"]))
        self._owners: Numbers = arrays["owners"].astype(np.intp)
        ends = np.searchsorted(arrays["kinds"], np.arange(len(KINDS) + 1)).tolist()
        self._runs = list(pairwise(ends))
        self._groups = [
            (Postings(self._lexicon, Table(arrays[f"g{size}_starts"], arrays[f"g{size}_words"])), arrays[f"g{size}_of"].astype(np.intp))
            for size in GROUPS
        ]
        self._facts: Floats = arrays["facts"].astype(np.float32)

    def __len__(self) -> int:
        return len(self.codes)

    def search(self, mention: str, details: str = "") -> list[tuple[str, str, float]]:
        """Up to five (code, title, score), best first; `details` are the words of the mention's attributes."""
        words = words_of(mention)
        if not words or not self.codes:
            return []
        chances = self._chances(words)
        more = [word for word in words_of(details) if word not in words]
        if more:
            about = self._about(words)
            closer = {code: chance * float(about[code]) for code, chance in self._chances([*words, *more]).items()}
            codes = {*chances, *closer}
            chances = {code: (1 - DETAILED) * chances.get(code, 0.0) + DETAILED * closer.get(code, 0.0) for code in codes}
        ranked = sorted((-chance, self.codes[code], code) for code, chance in chances.items())
        return [(code, self.titles[number], -chance) for chance, code, number in ranked[:MOST]]

    def _chances(self, words: Sequence[str]) -> dict[int, float]:
        """The likeliest codes for these words by number, and how likely each is."""
        top, columns = self.seen(words)
        known = float(columns[:, PEAK].max())
        if known <= 0 or self._ranker is None:
            return {}
        totals = self._ranker(columns).astype(np.float64) + VERBATIM * (columns[:, TERM] > 0.995)
        chances = np.exp(totals - totals.max())
        shares = chances / chances.sum() * min(known, 1.0)
        best = np.argsort(-shares, kind="stable")[: 4 * MOST]
        return dict(zip(top[best].tolist(), shares[best].tolist(), strict=True))

    def _about(self, words: Sequence[str]) -> Floats:
        """How much every code's category speaks of these words: what the details alone would find is not what was meant."""
        postings, of_code = self._groups[0]
        shares: Floats = postings.both(words)[1][of_code]
        return np.minimum(shares, 1.0)

    def seen(self, words: Sequence[str]) -> tuple[Numbers, Floats]:
        """The candidates for a phrase's words (numbers of codes) and what is seen of each, one row of features each."""
        near, share = self._terms.both(words)
        best, shared = self._best(near), self._best(share)
        groups = [postings.both(words)[1][of_code] for postings, of_code in self._groups]
        alike, alike_near = self._analogies(words, near)
        term = np.maximum(best[1], best[3])
        peak = np.maximum(np.maximum(best[0], term), best[2])
        rough = peak + np.float32(0.6) * (groups[0] + alike) + np.float32(0.5) * groups[1]
        size = min(CANDIDATES, len(rough))
        top: Numbers = np.argpartition(-rough, size - 1)[:size]
        plain = self._plain.weights(words)[top]
        said = [best[0], term, best[2], peak, groups[0], groups[1], groups[2], shared.max(axis=0), shared[0], alike, alike_near]
        return top, self._columns(words, top, [one[top] for one in said], plain)

    def _best(self, values: Floats) -> Floats:
        """For each kind of term, every code's best value."""
        best = np.zeros((len(KINDS), len(self.codes)), np.float32)
        for row, (first, last) in zip(best, self._runs, strict=True):
            np.maximum.at(row, self._owners[first:last], values[first:last])
        return best

    def _analogies(self, words: Sequence[str], near: Floats) -> tuple[Floats, Floats]:
        """How near every title is to what the nearest inclusion terms make one expect; and the same for near terms only."""
        first, last = self._runs[1]
        told = np.zeros((2, len(self.codes)), np.float32)
        pool = near[first:last]
        size = min(NEIGHBOURS, len(pool))
        for number in np.argpartition(-pool, size - 1)[:size].tolist() if size else ():
            likeness = float(pool[number])
            expected = self._expected(words, first + number) if likeness >= NEAR else []
            if expected:
                value = self._terms.weights(expected)[: len(self.codes)]
                np.maximum(told[0], value * np.float32(likeness), out=told[0])
                if likeness > 0.5:
                    np.maximum(told[1], value, out=told[1])
        return told[0], told[1]

    def _expected(self, words: Sequence[str], term: int) -> list[str]:
        """The title of the term's code, less the words that only the term has, and with those that only the phrase has."""
        names = self._lexicon.names
        theirs = {names[word] for word in self._texts.row(term)}
        title = [names[word] for word in self._texts.row(int(self._owners[term]))]
        return [word for word in title if word in words or word not in theirs] + [word for word in words if word not in theirs]

    def _columns(self, words: Sequence[str], top: Numbers, said: Sequence[Floats], plain: Floats) -> Floats:
        """The features of candidates: what was `said` for each, how that compares with the others, and what its title is like."""
        count, facts = len(self.codes), self._facts[top]
        title, term, _, peak, category, subcategory, *_, alike, _ = said
        exact = np.zeros(count, np.float32)
        for word in dict.fromkeys(words):
            exact[self._titles_with(word)] += self._rarity(word)
        ends = [np.isin(top, self._titles_with(word)).astype(np.float32) for word in (words[0], words[-1])]
        asked = np.float32(sum(self._rarity(word) for word in set(words)))
        length, more = facts[:, 0], facts[:, 0] - np.float32(len(words))
        vague, other = facts[:, 1], facts[:, 2]
        relative = [one - one.max() for one in (title, term, category, subcategory, peak, alike, plain)]
        heads = self._groups[0][1][top]
        places = np.unique(heads, return_inverse=True)[1]
        leading = np.zeros(len(top), np.float32)
        np.maximum.at(leading, places, peak + alike)
        columns = [*said, plain, plain * vague, peak * category, other * category, other * subcategory, *relative, *ends]
        columns += [peak + alike - leading[places], np.log1p(np.bincount(places))[places].astype(np.float32)]
        columns += [(self._terms.sums[top] - exact[top]) / 30, (asked - exact[top]) / 30, (peak > 0.97).astype(np.float32)]
        columns += [np.maximum(0, more) / 10, np.maximum(0, -more) / 10, vague * np.float32("unspecified" in words), length / 10]
        columns += [np.full(len(top), one.max(), np.float32) for one in (peak, alike)]
        return np.concatenate([np.stack(columns, axis=1), facts[:, 1:]], axis=1).astype(np.float32)

    def _titles_with(self, word: str) -> NDArray[np.int32]:
        number = self._lexicon.numbers.get(word)
        holding = self._terms.holding(number) if number is not None else np.zeros(0, np.int32)
        return holding[: np.searchsorted(holding, len(self.codes))]

    def _rarity(self, word: str) -> float:
        number = self._lexicon.numbers.get(word)
        return float(self._terms.rare[number]) if number is not None else float(np.log(self._terms.count + 1))


TERM, PEAK, ALIKE = 1, 3, 9
"""The columns of the best cosine of a code's inclusion terms and synonyms, of any of its terms, and of the likeness by analogy."""
VERBATIM = 2.0
"""What a code gains when one of its inclusion terms or synonyms is the phrase, word for word: the network only learned from terms that
it could not find."""


def plain(title: str) -> str:
    """A title without the words that say that nothing more is known, or nothing worse, and without what stands in brackets and may be
    left out: what a clinician would write for it."""
    bare = BRACKETS.sub(" ", title)
    if not VAGUE.search(bare):
        return " ".join(bare.split()) or title
    return " ".join(word for word in bare.lower().replace(",", " ").split() if word not in UNKNOWN) or title


def compiled(rows: Iterable[Row]) -> Arrays:
    """The arrays of a code system, from its terms."""
    listed = list(dict.fromkeys((code, kind, " ".join(text.split())) for code, kind, text in rows))
    titles = {code: text for code, kind, text in listed if kind == "t"}
    place = {code: number for number, code in enumerate(titles)}
    titled = [(code, "t", text) for code, text in titles.items()]
    others = sorted((row for row in listed if row[0] in place and row[1] != "t"), key=lambda row: (KINDS.index(row[1]), place[row[0]]))
    terms = [*titled, *others]
    owners = np.array([place[code] for code, _, _ in terms], np.intp)
    kinds = np.array([KINDS.index(kind) for _, kind, _ in terms], np.int8)
    words, both = tabulated([*(text for _, _, text in terms), *(plain(text) for text in titles.values())])
    texts = Table(both.starts[: len(terms) + 1], both.words[: both.starts[len(terms)]])
    bare = Table(both.starts[len(terms) :] - both.starts[len(terms)], both.words[both.starts[len(terms)] :])
    named = np.bincount(owners[kinds == 1], minlength=len(titles))
    arrays: dict[str, NDArray[Any]] = {
        "codes": joined(titles),
        "titles": joined(titles.values()),
        "words": joined(words),
        "terms": joined(map("\t".join, terms)),
    }
    arrays |= {"owners": owners.astype(np.int32), "kinds": kinds, "facts": _facts(titles, texts, named)}
    for size in GROUPS:
        heads = {head: number for number, head in enumerate(dict.fromkeys(code[:size] for code in titles))}
        of_code = np.array([heads[code[:size]] for code in titles], np.intp)
        arrays |= _table(f"g{size}", texts.grouped(of_code[owners], len(heads))) | {f"g{size}_of": of_code.astype(np.int32)}
    return arrays | _table("texts", texts) | _table("plain", bare)


def _table(name: str, table: Table) -> dict[str, NDArray[Any]]:
    return {f"{name}_starts": table.starts, f"{name}_words": table.words}


def _facts(titles: Mapping[str, str], texts: Table, named: NDArray[np.intp]) -> NDArray[np.float16]:
    """What is known of a code whatever is asked: words of its title; unspecified, other; depth, extension, chapter; inclusion terms;
    whether finer codes follow; how its code ends."""
    finer = {code[:size].rstrip(".") for code in titles for size in range(3, len(code))}
    sizes = np.diff(texts.starts)
    rows = [
        (
            sizes[number],
            "unspecified" in title.lower(),
            title.lower().startswith("other"),
            len(code) / 8,
            len(code) > 6,
            code[0] in "VWXYZ",
            np.log1p(named[number]),
            code in finer,
            len(code) == 3,
            *(code[-1] == digit for digit in "089"),
        )
        for number, (code, title) in enumerate(titles.items())
    ]
    return np.array(rows, np.float16).reshape(len(rows), -1)


def rows_of(arrays: Arrays) -> list[Row]:
    """The terms that a code system was compiled from."""
    rows = (line.split("\t") for line in Strings.of(arrays["terms"]).all())
    return [(code, kind, text) for code, kind, text in rows]


def ranker(path: Path = RANKER) -> Ranker:
    """The trained network and bridge."""
    arrays = stored.load(path, "icd10cm ranker 1")
    bridge = json.loads(arrays["bridge"].tobytes())
    return Ranker(arrays["hidden"], arrays["shift"], arrays["out"], arrays["straight"], bridge)


def load(path: Path) -> Icd10Cm:
    """Read a compiled file."""
    trained = ranker()
    return Icd10Cm(stored.load(path, FORM), trained.bridge, trained)
