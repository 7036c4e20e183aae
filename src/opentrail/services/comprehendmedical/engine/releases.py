"""Reading code systems as their publishers give them out: RxNorm (RRF) and ICD-10-CM (tabular XML). For SNOMED CT see `snomed`.

Each reader takes a path (zip, folder or file), checks what it finds, and returns the rows of which the engine's own vocabulary is
compiled, with the version of the release. Raises BadRelease.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from opentrail.services.comprehendmedical.engine.release_files import BadRelease, date_in, lines, opened

TYPES = frozenset({"IN", "PIN", "MIN", "BN", "SCDC", "SCD", "SBD"})
NOTE = re.compile(r"^([^()]{1,200})\(([A-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?)[-,\s0-9A-Z.]{0,80}\)$")
INGREDIENT = re.compile(
    r"^(?:\d{1,4} (?:ACTUAT|HR|ML)\s)?([A-Za-z].{1,80}?)(?:\s(?:sodium|hydrochloride|sulfate|besylate|calcium))?\s[\d.]{1,12}\s[A-Z%[]"
)
CODE = re.compile(r"[A-Z][0-9A-Z][0-9A-Z](?:\.[0-9A-Z]{1,4})?$")
BRAND = re.compile(r"\[([^\]]{1,80})\]")
OBSOLETE = frozenset("OYE")
"""Marks of names that are suppressed."""
COLUMNS = 18
LEAST = 1000
"""Concepts that a release holds at least."""


RXNORM_BYTES, ICD_BYTES = 2 * 2**30, 256 * 2**20
"""Bytes of the tables that are read."""


def rxnorm_rows(path: Path) -> tuple[list[tuple[str, str, str, str]], str]:
    """(code, term type, name, names to look it up by joined by "|") of a release of RxNorm: its RXNCONSO.RRF."""
    rows = []
    with opened(path, re.compile(r"(?:^|/)RXNCONSO\.RRF$", re.IGNORECASE), RXNORM_BYTES) as (name, stream):
        for line in lines(stream):
            cells = line.split("|")
            if len(cells) >= COLUMNS and cells[11] == "RXNORM" and cells[12] in TYPES and cells[16] not in OBSOLETE:
                if not cells[0].isdigit():
                    raise BadRelease("A row of RXNCONSO.RRF does not begin with a concept's number.")
                rows.append((cells[0], cells[12], cells[14], "|".join(names_of(cells[12], cells[14]))))
    if len(rows) < LEAST:
        raise BadRelease(f"The file holds fewer than {LEAST} current RxNorm concepts.")
    return rows, date_in(path.name) or date_in(name)


def names_of(kind: str, name: str) -> list[str]:
    """The lower-case ingredients and brands by which a concept is looked up."""
    if kind in ("IN", "PIN", "BN"):
        return [name.lower()]
    if kind == "MIN":
        return [part.strip().lower() for part in name.split(" / ")]
    found = [match.group(1).lower() for part in BRAND.sub("", name).split(" / ") if (match := INGREDIENT.match(part.strip()))]
    return list(dict.fromkeys(found + [brand.lower() for brand in BRAND.findall(name)])) or [name.lower()]


def icd10cm_rows(path: Path) -> tuple[list[tuple[str, str, str]], str]:
    """(code, kind, text) of a release of ICD-10-CM: its tabular XML; kinds as in `icd10cm`."""
    with opened(path, re.compile(r"tabular[^/]{0,80}\.xml$", re.IGNORECASE), ICD_BYTES) as (_, stream):
        try:
            tree = ElementTree.parse(stream)
        except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
            raise BadRelease("The file is no readable XML.") from error
    rows = tabular(tree.iter())
    codes = [code for code, kind, _ in rows if kind == "t"]
    if len(codes) < LEAST or not all(CODE.match(code) for code in codes):
        raise BadRelease(f"The file holds fewer than {LEAST} codes of ICD-10-CM, or others.")
    return rows, (tree.findtext("version") or "").strip()[:40] or date_in(path.name)


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
