"""Reading RxNorm and ICD-10-CM releases: small ones made here."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from opentrail.services.comprehendmedical.engine import library, releases, rxnorm
from opentrail.services.comprehendmedical.engine.library import Vocabularies
from opentrail.services.comprehendmedical.engine.snomed import BadRelease


def rrf(code: int, kind: str, name: str, source: str = "RXNORM", suppressed: str = "N") -> str:
    cells = [str(code), "ENG", "", "", "", "", "", "", "", "", "", source, kind, str(code), name, "", suppressed, "4096", ""]
    return "|".join(cells)


def test_rxnorm_is_read_from_its_zip(tmp_path: Path) -> None:
    lines = [rrf(number, "IN", f"drug{number}") for number in range(releases.LEAST)]
    lines += [
        rrf(9001, "SBD", "drug1 5 MG / drug2 10 MG Oral Tablet [Both]"),
        rrf(9002, "IN", "gone", suppressed="O"),
        rrf(9003, "IN", "other", source="MTHSPL"),
    ]
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr("rrf/RXNCONSO.RRF", "\n".join(lines))
    rows = releases.rxnorm_rows(tmp_path / "r.zip")
    assert len(rows) == releases.LEAST + 1
    assert rows[-1] == ("9001", "SBD", "drug1 5 MG / drug2 10 MG Oral Tablet [Both]", "drug1|drug2|both")
    (tmp_path / "rxnorm.tsv.gz").write_bytes(releases.packed(rows))
    assert rxnorm.load(tmp_path / "rxnorm.tsv.gz").search("Both", "5 mg")[0][0].code == "9001"


def test_icd10cm_is_read_from_its_xml(tmp_path: Path) -> None:
    inner = "".join(f"<diag><name>A{number}</name><desc>Disease {number}</desc></diag>" for number in range(releases.LEAST))
    inner += "<diag><name>B1</name><desc>Cough</desc><inclusionTerm><note>Hacking</note></inclusionTerm>"
    inner += "<excludes1><note>croup (J05.0)</note></excludes1></diag>"
    (tmp_path / "icd10cm-tabular.xml").write_text(f"<x>{inner}</x>", encoding="utf-8")
    rows = releases.icd10cm_rows(tmp_path)
    assert rows[-3:] == [("B1", "t", "Cough"), ("B1", "i", "Hacking"), ("J05.0", "n", "croup")]


@pytest.mark.parametrize("reader", [releases.rxnorm_rows, releases.icd10cm_rows])
@pytest.mark.parametrize("content", [b"", b"patient name", b"<x><diag/></x>", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_release_is_refused(tmp_path: Path, reader: object, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    for path in (tmp_path / "f", tmp_path / "none", tmp_path):
        with pytest.raises(BadRelease) as told:
            reader(path)  # type: ignore[operator]
        assert "patient" not in str(told.value)


def test_hostile_xml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.xml").write_text('<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>', encoding="utf-8")
    with pytest.raises(BadRelease):
        releases.icd10cm_rows(tmp_path / "t.xml")


def test_status_says_what_is_missing(vocabularies: Vocabularies) -> None:
    told = library.status(vocabularies)
    assert "begin with A" in str(told["rxnorm"]["missing"])
    assert "opentrail vocab load snomed FILE" in str(told["snomed"]["missing"])
    assert told["icd10cm"]["missing"] == ""
