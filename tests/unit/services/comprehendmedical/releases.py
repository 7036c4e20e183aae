"""Releases of code systems in the forms of their publishers, small and made up."""

from __future__ import annotations

import zipfile
from pathlib import Path

from opentrail.services.comprehendmedical.engine import releases, snomed

NAMES = [
    ("Purple fever", "disorder"),
    ("Green cough", "finding"),
    ("Sore elbow", "finding"),
    ("Left elbow", "body structure"),
    ("Elbow", "body structure"),
    ("Elbow scan", "procedure"),
    ("Blood colour test", "procedure"),
    ("Acute", "qualifier value"),
    ("Blue rash", "disorder"),
    ("Chest pain", "finding"),
    ("Round headache", "finding"),
    ("Table", "physical object"),
]
"""Made-up concepts; their made-up codes count from 1000."""


def patient_set(path: Path) -> Path:
    """A Global Patient Set."""
    rows = ["conceptId\tactive\tFSN\tPT"] + [f"{1000 + at}\t1\t{name} ({tag})\t{name}" for at, (name, tag) in enumerate(NAMES)]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def rf2(path: Path) -> Path:
    """An RF2 release: descriptions, concepts (the last name's is retired) and a language reference set that prefers "big" names."""
    words = ["id\teffectiveTime\tactive\tmoduleId\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId"]
    concepts = ["id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId"]
    liked = ["id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\tacceptabilityId"]
    for at, (name, tag) in enumerate([*NAMES, ("Retired ache", "finding")]):
        code = 1000 + at
        concepts.append(f"{code}\t20250101\t{int(name != 'Retired ache')}\t1\t1")
        terms = [
            (snomed.FSN, f"{name} ({tag})", 1),
            (snomed.SYNONYM, name, 1),
            (snomed.SYNONYM, f"Big {name}", 1),
            (snomed.SYNONYM, f"dead {name}", 0),
        ]
        for number, (kind, term, active) in enumerate(terms):
            words.append(f"{code}{number}\t20250101\t{active}\t1\t{code}\ten\t{kind}\t{term}\t1")
        liked.append(f"u{at}\t20250101\t1\t1\t{snomed.US_ENGLISH}\t{code}2\t{snomed.PREFERRED}")
        liked.append(f"v{at}\t20250101\t1\t1\t999\t{code}1\t{snomed.PREFERRED}")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        folder = "Release/Snapshot"
        for name, rows in (
            ("Terminology/sct2_Description_Snapshot-en_US1000124_20250301", words),
            ("Terminology/sct2_Concept_Snapshot_US1000124_20250301", concepts),
            ("Refset/Language/der2_cRefset_LanguageSnapshot-en_US1000124_20250301", liked),
        ):
            archive.writestr(f"{folder}/{name}.txt", "\r\n".join(rows))
    return path


def rrf(code: int, kind: str, name: str, source: str = "RXNORM", suppressed: str = "N") -> str:
    """A row of RxNorm's RXNCONSO.RRF."""
    cells = [str(code), "ENG", "", "", "", "", "", "", "", "", "", source, kind, str(code), name, "", suppressed, "4096", ""]
    return "|".join(cells)


def rrf_file(path: Path, count: int) -> Path:
    """RXNCONSO.RRF with so many made-up ingredients, all beginning with A."""
    path.write_text("".join(rrf(number, "IN", f"adrug{number}") + "\n" for number in range(1, count + 1)), encoding="utf-8")
    return path


def icd_tabular(path: Path) -> Path:
    """A tabular XML of ICD-10-CM, with a made-up cough."""
    inner = "".join(
        f"<diag><name>{chr(67 + number // 100)}{number // 10 % 10}{number % 10}</name><desc>Disease {number}</desc></diag>"
        for number in range(releases.LEAST)
    )
    inner += "<diag><name>B11</name><desc>Cough</desc><inclusionTerm><note>Hacking</note></inclusionTerm>"
    inner += "<excludes1><note>croup (J05.0)</note></excludes1></diag>"
    path.write_text(f"<x><version>2031</version>{inner}</x>", encoding="utf-8")
    return path
