"""Reading code systems as their publishers give them out: RxNorm (RRF) and ICD-10-CM (tabular XML). For SNOMED CT see `snomed`.

Each reader takes a path (zip, folder or file), checks what it finds, and returns the rows of the engine's own vocabulary
files; `packed` turns rows into such a file. Writing it in one step (a new file, then a rename) is the caller's.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from opentrail.services.comprehendmedical.engine.snomed import BadRelease

TYPES = frozenset({"IN", "PIN", "MIN", "BN", "SCDC", "SCD", "SBD"})
NOTE = re.compile(r"^([^()]{1,200})\(([A-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?)[-,\s0-9A-Z.]{0,80}\)$")
INGREDIENT = re.compile(
    r"^(?:\d{1,4} (?:ACTUAT|HR|ML)\s)?([A-Za-z].{1,80}?)(?:\s(?:sodium|hydrochloride|sulfate|besylate|calcium))?\s[\d.]{1,12}\s[A-Z%[]"
)
BRAND = re.compile(r"\[([^\]]{1,80})\]")
OBSOLETE = frozenset("OYE")
"""Marks of names that are suppressed."""
COLUMNS = 18
LEAST = 1000
"""Concepts that a release holds at least."""


def rxnorm_rows(path: Path) -> list[tuple[str, str, str, str]]:
    """(code, term type, name, names to look it up by) of a release of RxNorm: its RXNCONSO.RRF. Raises BadRelease."""
    rows = []
    with _opened(path, re.compile(r"(?:^|/)rrf/RXNCONSO\.RRF$|(?:^|/)RXNCONSO\.RRF$")) as raw:
        for line in io.TextIOWrapper(raw, encoding="utf-8", errors="replace"):
            cells = line.rstrip("\r\n").split("|")
            if len(cells) >= COLUMNS and cells[11] == "RXNORM" and cells[12] in TYPES and cells[16] not in OBSOLETE:
                rows.append((cells[0], cells[12], cells[14], "|".join(names_of(cells[12], cells[14]))))
    if len(rows) < LEAST:
        raise BadRelease(f"The file holds fewer than {LEAST} current RxNorm concepts.")
    return rows


def names_of(kind: str, name: str) -> list[str]:
    """The lower-case ingredients and brands by which a concept is looked up."""
    if kind in ("IN", "PIN", "BN"):
        return [name.lower()]
    if kind == "MIN":
        return [part.strip().lower() for part in name.split(" / ")]
    found = [match.group(1).lower() for part in BRAND.sub("", name).split(" / ") if (match := INGREDIENT.match(part.strip()))]
    return list(dict.fromkeys(found + [brand.lower() for brand in BRAND.findall(name)])) or [name.lower()]


def icd10cm_rows(path: Path) -> list[tuple[str, str, str]]:
    """(code, kind, text) of a release of ICD-10-CM: its tabular XML; kinds as in `icd10cm`. Raises BadRelease."""
    with _opened(path, re.compile(r"tabular[^/]{0,80}\.xml$", re.IGNORECASE)) as raw:
        try:
            rows = tabular(ElementTree.parse(raw).iter())
        except (ParseError, DefusedXmlException) as error:
            raise BadRelease("The file is no readable XML.") from error
    if sum(kind == "t" for _, kind, _ in rows) < LEAST:
        raise BadRelease(f"The file holds fewer than {LEAST} codes.")
    return rows


def tabular(parts: Iterable[Element]) -> list[tuple[str, str, str]]:
    """Titles, inclusion terms, and the terms that notes (excludes, code first, use additional) give to other codes."""
    found: list[tuple[str, str, str]] = []
    notes: list[tuple[str, str, str]] = []
    for part in parts:
        if part.tag == "diag":
            code = part.findtext("name") or ""
            found.append((code, "t", part.findtext("desc") or ""))
            found += [(code, "i", note.text) for terms in part.findall("inclusionTerm") for note in terms.findall("note") if note.text]
        elif part.tag == "note" and part.text:
            match = NOTE.match(part.text.strip())
            if match:
                notes.append((match.group(2), "n", match.group(1).strip()))
    return found + list(dict.fromkeys(notes))


def packed(rows: Iterable[Sequence[str]]) -> bytes:
    """A vocabulary file."""
    lines = "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows)
    return gzip.compress(lines.encode(), 9, mtime=0)


@contextmanager
def _opened(path: Path, wanted: re.Pattern[str]) -> Iterator[IO[bytes]]:
    """The wanted file in a zip or folder, or the file itself."""
    if path.is_dir():
        inside = sorted(part for part in path.rglob("*") if wanted.search(part.as_posix()))
        if not inside:
            raise BadRelease("The folder does not hold the wanted table.")
        path = inside[0]
    if not path.is_file():
        raise BadRelease("There is no such file or folder.")
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            yield stream
        return
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if wanted.search(name))
        if not names:
            raise BadRelease("The zip does not hold the wanted table.")
        with archive.open(names[0]) as stream:
            yield stream
