"""SNOMED CT, loaded by a user who holds a licence: an index over the concepts of conditions, anatomy, tests, procedures.

Nothing of SNOMED CT is shipped. A release is read from RF2 (a folder or zip with a snapshot of the descriptions) or from
the Global Patient Set (tab-separated: id, fully specified name, preferred term), checked, and written as one file that
`load` reads: gzip, "code TAB group TAB preferred term TAB terms joined by |", after a header line.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from opentrail.services.comprehendmedical.engine.terms import Index

SUFFIX = ".tsv.gz"
MISSING = "No SNOMED CT release is loaded. SNOMED CT is licensed: load your own release with `opentrail vocab load snomed FILE`."
GROUPS = {
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
TAG = re.compile(r"\(([a-z/ ]{3,40})\)$")
DESCRIPTIONS = re.compile(r"(?:^|/)s?x?sct2_Description_(?:\w{0,20})Snapshot(?:-en)?_\w{1,30}\.txt$")
FSN, SYNONYM = "900000000000003001", "900000000000013009"
LEAST = 10
"""Concepts that a release holds at least: fewer means that the file is something else."""


class BadRelease(Exception):
    """The file is no SNOMED CT release that can be read; the text says what is wanted, never what the file holds."""


@dataclass(frozen=True, slots=True)
class Row:
    """A concept: code, group, preferred term, all its terms."""

    code: str
    group: str
    name: str
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snomed:
    """A loaded release: rows and, for each group, an index over its terms."""

    version: str
    rows: tuple[Row, ...]
    indexes: dict[str, tuple[Index, tuple[int, ...]]]

    def search(self, phrase: str, group: str, most: int = 5) -> list[tuple[Row, float]]:
        """The nearest concepts of a group, best first."""
        index, owners = self.indexes.get(group, (None, ()))
        best: dict[int, float] = {}
        if index is not None:
            for hit in index.search(phrase, 8 * most):
                row = owners[hit.number]
                best[row] = max(best.get(row, 0.0), hit.score)
        ranked = sorted(best.items(), key=lambda pair: (-pair[1], len(self.rows[pair[0]].name), self.rows[pair[0]].code))
        return [(self.rows[number], min(score, 1.0)) for number, score in ranked[:most]]


def read_release(path: Path) -> list[Row]:
    """The concepts of a release: a zip, a folder or a single file, RF2 or Global Patient Set. Raises BadRelease."""
    rows = list(_rows(path))
    if len(rows) < LEAST:
        raise BadRelease(f"The file holds fewer than {LEAST} active concepts of conditions, anatomy and procedures.")
    return rows


def _rows(path: Path) -> Iterator[Row]:
    names: dict[str, list[tuple[str, str]]] = {}
    for kind, lines in _tables(path):
        for code, term, role in _rf2(lines) if kind == "rf2" else _gps(lines):
            names.setdefault(code, []).append((role, term))
    for code, terms in names.items():
        full = next((term for role, term in terms if role == "fsn"), "")
        tag = TAG.search(full)
        group = GROUPS.get(tag.group(1)) if tag else None
        if group is not None and tag is not None:
            bare = full[: tag.start()].strip()
            others = [term for role, term in terms if role == "term"]
            yield Row(code, group, others[0] if others else bare, tuple(dict.fromkeys([bare, *others])))


def _tables(path: Path) -> Iterator[tuple[str, Iterable[str]]]:
    found = False
    for name, lines in _files(path):
        first = next(iter(lines), "").rstrip("\r\n").split("\t")
        kind = "rf2" if {"conceptId", "term", "typeId"} <= set(first) else "gps" if _is_gps(first) else ""
        if kind:
            found = True
            yield kind, _again("\t".join(first), lines)
        del name
    if not found:
        raise BadRelease("No description table was found: give an RF2 snapshot (zip or folder) or the Global Patient Set file.")


def _again(first: str, lines: Iterable[str]) -> Iterator[str]:
    yield first
    yield from lines


def _is_gps(first: list[str]) -> bool:
    low = [name.strip().lower().replace("_", " ") for name in first]
    return (
        len(low) >= 2
        and any("id" in name.split() or name in ("conceptid", "sctid", "code") for name in low)
        and any("fsn" in name or "fully specified" in name for name in low)
    )


def _files(path: Path) -> Iterator[tuple[str, Iterator[str]]]:
    if path.is_dir():
        for part in sorted(path.rglob("*.txt")):
            if DESCRIPTIONS.search(part.name):
                with part.open(encoding="utf-8", newline="") as stream:
                    yield part.name, iter(stream)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if DESCRIPTIONS.search(name) or (name.lower().endswith((".txt", ".tsv")) and "gps" in name.lower()):
                    with archive.open(name) as raw:
                        yield name, iter(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
    elif path.is_file():
        with path.open(encoding="utf-8", newline="") as stream:
            yield path.name, iter(stream)
    else:
        raise BadRelease("There is no such file or folder.")


def _rf2(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        if row.get("active") == "1" and row.get("typeId") in (FSN, SYNONYM):
            yield row["conceptId"], row["term"], "fsn" if row["typeId"] == FSN else "term"


def _gps(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    header = [name.strip().lower() for name in next(rows)]
    full = next(number for number, name in enumerate(header) if "fsn" in name or "fully specified" in name)
    term = next((number for number, name in enumerate(header) if "pt" in name.split() or "preferred" in name), -1)
    active = header.index("active") if "active" in header else -1
    for row in rows:
        if len(row) <= max(full, term) or (active >= 0 and row[active] != "1") or not row[0].isdigit():
            continue
        yield row[0], row[full], "fsn"
        if term >= 0:
            yield row[0], row[term], "term"


def packed(rows: Iterable[Row], version: str) -> bytes:
    """The file that `load` reads. Writing it in one step (a new file, then a rename) is the caller's."""
    lines = [f"#snomed\t{version}"] + ["\t".join((row.code, row.group, row.name, "|".join(row.terms))) for row in rows]
    return gzip.compress("\n".join(lines).encode(), 6, mtime=0)


def load(path: Path) -> Snomed:
    """Read a packed file and index it."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        version = next(lines).rstrip("\n").split("\t")[1]
        rows = tuple(
            Row(code, group, name, tuple(terms.split("|")))
            for code, group, name, terms in (line.rstrip("\n").split("\t") for line in lines)
        )
    return indexed(version, rows)


def indexed(version: str, rows: tuple[Row, ...]) -> Snomed:
    """A release with an index for each group."""
    indexes = {}
    for group in sorted({row.group for row in rows}):
        owned = [(term, number) for number, row in enumerate(rows) if row.group == group for term in row.terms]
        indexes[group] = (Index([term for term, _ in owned]), tuple(number for _, number in owned))
    return Snomed(version, rows, indexes)
