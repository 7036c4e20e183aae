"""SNOMED CT, loaded by a user who holds a licence: an index over the concepts of conditions, anatomy, tests, procedures.

Nothing of SNOMED CT is shipped. A release is read from RF2 (a folder or zip with snapshots of descriptions and, where they are there,
of concepts and of the language reference set) or from the Global Patient Set (tab-separated: id, fully specified name, preferred
term), checked, and compiled into arrays that `load` reads. All groups share one lexicon.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.comprehendmedical.engine import stored
from opentrail.services.comprehendmedical.engine.decode import Numbers
from opentrail.services.comprehendmedical.engine.release_files import BadRelease, date_in, each_opened, lines
from opentrail.services.comprehendmedical.engine.stored import Arrays
from opentrail.services.comprehendmedical.engine.terms import Lexicon, Postings, Strings, Table, joined, tabulated, words_of

FORM = "snomed 1"
MISSING = "No SNOMED CT release is loaded. SNOMED CT is licensed: load your own release with `opentrail vocab load snomed FILE`."
TAGS = {
    "disorder": "condition",
    "finding": "condition",
    "situation": "condition",
    "morphologic abnormality": "condition",
    "event": "condition",
    "body structure": "anatomy",
    "cell structure": "anatomy",
    "procedure": "procedure",
    "regime/therapy": "procedure",
    "observable entity": "procedure",
    "qualifier value": "quality",
}
"""Semantic tags that are linked to, and what they are linked from."""
GROUPS = ("condition", "anatomy", "procedure", "quality")
IDENTIFIER = re.compile(r"[1-9][0-9]{0,17}$", re.ASCII)
TAG = re.compile(r"\(([a-z/ ]{3,40})\)$")
TABLES = re.compile(
    r"(?:^|/)s?x?sct2_(?:Description_\w{0,20}Snapshot(?:-en)?_\w{1,30}|Concept_\w{0,20}Snapshot_\w{1,30})\.txt$"
    r"|(?:^|/)x?der2_cRefset_Language\w{0,20}Snapshot(?:-en)?_\w{1,30}\.txt$|(?:^|/)[^/]{0,80}gps[^/]{0,80}\.(?:txt|tsv)$",
    re.IGNORECASE,
)
FSN, SYNONYM = "900000000000003001", "900000000000013009"
PREFERRED, US_ENGLISH = "900000000000548007", "900000000000509007"
TABLE_BYTES = 4 * 2**30
LEAST = 10
"""Concepts that a release holds at least: fewer means that the file is something else."""


@dataclass(frozen=True, slots=True)
class Row:
    """A concept: code, group, preferred term, all its terms."""

    code: str
    group: str
    name: str
    terms: tuple[str, ...]


class _Names:
    """Names of concepts as columns, in a quarter of the memory of objects: concept, description, whether it is the full name, text."""

    def __init__(self) -> None:
        self._concepts, self._descriptions, self._full, self._ends = array("q"), array("q"), bytearray(), array("q", [0])
        self._text = bytearray()

    def add(self, concept: int, description: int, full: bool, term: str) -> None:
        """Keep a name."""
        self._concepts.append(concept)
        self._descriptions.append(description)
        self._full.append(full)
        self._text += term.encode()
        self._ends.append(len(self._text))

    def by_concept(self) -> Iterator[tuple[int, list[tuple[int, bool, str]]]]:
        """Each concept with its names (description, whether it is the full name, text), by number; names in the order they came."""
        order = np.argsort(np.frombuffer(self._concepts, np.int64), kind="stable").tolist()
        for concept, places in groupby(order, key=self._concepts.__getitem__):
            yield concept, [(self._descriptions[at], bool(self._full[at]), self._term(at)) for at in places]

    def _term(self, at: int) -> str:
        return self._text[self._ends[at] : self._ends[at + 1]].decode()


@dataclass(slots=True)
class _Release:
    """What the tables of a release tell: names, active concepts, preferred descriptions."""

    names: _Names = field(default_factory=_Names)
    active: array[int] = field(default_factory=lambda: array("q"))
    preferred: array[int] = field(default_factory=lambda: array("q"))
    found: bool = False
    date: str = ""


def read_release(path: Path) -> tuple[list[Row], str]:
    """The concepts of a release and its date: a zip, a folder or a single file, RF2 or Global Patient Set. Raises BadRelease."""
    release = _Release(date=date_in(path.name))
    with each_opened(path, TABLES, TABLE_BYTES) as tables:
        for name, stream in tables:
            release.date = release.date or date_in(name)
            _take(release, lines(stream))
    if not release.found:
        raise BadRelease("No description table was found: give an RF2 snapshot (zip or folder) or the Global Patient Set file.")
    rows = list(_rows(release))
    if len(rows) < LEAST:
        raise BadRelease(f"The file holds fewer than {LEAST} active concepts of conditions, anatomy and procedures.")
    return rows, release.date


def _take(release: _Release, table: Iterator[str]) -> None:
    """Read one table, whichever its header says it is."""
    header = [name.strip() for name in next(table, "").split("\t")]
    rows = (line.split("\t") for line in table)
    if {"conceptId", "term", "typeId"} <= set(header):
        release.found = True
        place = [header.index(name) for name in ("id", "conceptId", "typeId", "term", "active")]
        for row in _whole(rows, header):
            name, concept, kind, term, active = (row[at] for at in place)
            if active == "1" and kind in (FSN, SYNONYM) and _number(concept):
                release.names.add(_number(concept), _number(name), kind == FSN, term)
    elif {"refsetId", "referencedComponentId", "acceptabilityId"} <= set(header):
        place = [header.index(name) for name in ("active", "refsetId", "referencedComponentId", "acceptabilityId")]
        wanted = ("1", US_ENGLISH, PREFERRED)
        kept = (row[place[2]] for row in _whole(rows, header) if (row[place[0]], row[place[1]], row[place[3]]) == wanted)
        release.preferred.extend(map(_number, kept))
    elif {"id", "active", "definitionStatusId"} <= set(header):
        name_at, active_at = header.index("id"), header.index("active")
        release.active.extend(_number(row[name_at]) for row in _whole(rows, header) if row[active_at] == "1")
    else:
        _take_patient_set(release, [name.lower().replace("_", " ") for name in header], rows)


def _take_patient_set(release: _Release, header: Sequence[str], rows: Iterable[list[str]]) -> None:
    full = next((at for at, name in enumerate(header) if "fsn" in name or "fully specified" in name), None)
    code = next((at for at, name in enumerate(header) if "id" in name.split() or name in ("conceptid", "sctid", "code")), None)
    if full is None or code is None:
        return
    term = next((at for at, name in enumerate(header) if "pt" in name.split() or "preferred" in name), None)
    active = header.index("active") if "active" in header else None
    release.found = True
    for row in _whole(rows, header):
        if _number(row[code]) and (active is None or row[active] == "1"):
            release.names.add(_number(row[code]), 0, True, row[full])
            if term is not None:
                release.names.add(_number(row[code]), 0, False, row[term])


def _number(identifier: str) -> int:
    """An identifier of SNOMED CT (at most 18 digits, no leading zero) as a number; 0 for anything else."""
    return int(identifier) if IDENTIFIER.match(identifier) else 0


def _whole(rows: Iterable[list[str]], header: Sequence[str]) -> Iterator[list[str]]:
    """Rows that have every column."""
    return (row for row in rows if len(row) >= len(header))


def _rows(release: _Release) -> Iterator[Row]:
    active, preferred = (np.unique(np.frombuffer(numbers, np.int64)) for numbers in (release.active, release.preferred))
    for code, names in release.names.by_concept():
        if len(active) and not _among(active, code):
            continue
        full = next((term for _, is_full, term in names if is_full), "")
        tag = TAG.search(full)
        group = TAGS.get(tag.group(1)) if tag else None
        if group is not None and tag is not None:
            bare = full[: tag.start()].strip()
            terms = [term for _, is_full, term in names if not is_full]
            liked = [term for name, is_full, term in names if not is_full and _among(preferred, name)]
            yield Row(str(code), group, (liked or terms or [bare])[0], tuple(dict.fromkeys([bare, *terms])))


def _among(numbers: NDArray[np.int64], one: int) -> bool:
    """Whether sorted numbers hold one."""
    at = int(np.searchsorted(numbers, one))
    return at < len(numbers) and int(numbers[at]) == one


class Snomed:
    """A loaded release."""

    def __init__(self, arrays: Arrays) -> None:
        self.version = arrays["version"].tobytes().decode()
        self._codes, self._names = Strings.of(arrays["codes"]), Strings.of(arrays["names"])
        lexicon = Lexicon(Strings.of(arrays["words"]).all())
        self._groups: dict[str, tuple[Postings, Numbers]] = {}
        for group in GROUPS:
            table = Table(arrays[f"{group}_starts"], arrays[f"{group}_words"])
            self._groups[group] = (Postings(lexicon, table), arrays[f"{group}_owners"].astype(np.intp))

    def __len__(self) -> int:
        return len(self._codes)

    def search(self, phrase: str, group: str, most: int = 5) -> list[tuple[str, str, float]]:
        """The nearest concepts of a group, best first: (code, preferred term, score)."""
        postings, owners = self._groups[group]
        words = words_of(phrase)
        if not postings.count or not words:
            return []
        scores = postings.weights(words)
        size = min(8 * most, postings.count)
        best: dict[int, float] = {}
        for number in np.argpartition(-scores, size - 1)[:size].tolist():
            if scores[number] > 0:
                best[int(owners[number])] = max(best.get(int(owners[number]), 0.0), float(scores[number]))
        hits = [(self._codes[number], self._names[number], min(score, 1.0)) for number, score in best.items()]
        return sorted(hits, key=lambda hit: (-hit[2], len(hit[1]), hit[0]))[:most]


def compiled(rows: Sequence[Row], version: str) -> Arrays:
    """The arrays of a release."""
    owners = {group: array("i") for group in GROUPS}
    words, table = tabulated(_terms(rows, owners))
    arrays: dict[str, NDArray[Any]] = {
        "codes": joined(row.code for row in rows),
        "names": joined(" ".join(row.name.split()) for row in rows),
        "words": joined(words),
        "version": np.frombuffer(version.encode(), np.uint8),
    }
    first = 0
    for group in GROUPS:
        last = first + len(owners[group])
        arrays[f"{group}_owners"] = np.frombuffer(owners[group], np.int32)
        arrays[f"{group}_starts"] = table.starts[first : last + 1] - table.starts[first]
        arrays[f"{group}_words"] = table.words[table.starts[first] : table.starts[last]]
        first = last
    return arrays


def _terms(rows: Sequence[Row], owners: Mapping[str, array[int]]) -> Iterator[str]:
    """The terms of all rows, group by group; `owners` takes the number of each term's row."""
    for group in GROUPS:
        for number, row in enumerate(rows):
            if row.group == group:
                for term in row.terms:
                    owners[group].append(number)
                    yield term


def load(path: Path) -> Snomed:
    """Read a compiled file."""
    return Snomed(stored.load(path, FORM))
