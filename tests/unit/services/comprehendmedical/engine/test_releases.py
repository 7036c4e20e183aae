"""Reading RxNorm and ICD-10-CM releases: small ones made here."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from opentrail.services.comprehendmedical.engine import releases, rxnorm
from opentrail.services.comprehendmedical.engine.release_files import BadRelease
from tests.unit.services.comprehendmedical.releases import icd_tabular, rrf


def test_rxnorm_is_read_from_its_zip(tmp_path: Path) -> None:
    rows = [rrf(number, "IN", f"drug{number}") for number in range(releases.LEAST)]
    rows += [
        rrf(9001, "SBD", "drug1 5 MG / drug2 10 MG Oral Tablet [Both]"),
        rrf(9002, "IN", "gone", suppressed="O"),
        rrf(9003, "IN", "other", source="MTHSPL"),
    ]
    path = tmp_path / "RxNorm_full_prescribe_10062025.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rrf/RXNCONSO.RRF", "\n".join(rows))
    found, version = releases.rxnorm_rows(path)
    assert (len(found), version) == (releases.LEAST + 1, "2025-10-06")
    assert found[-1] == ("9001", "SBD", "drug1 5 MG / drug2 10 MG Oral Tablet [Both]", "drug1|drug2|both")
    assert rxnorm.build(found).search("Both", "5 mg")[0][0].code == "9001"


def test_icd10cm_is_read_from_its_xml(tmp_path: Path) -> None:
    icd_tabular(tmp_path / "icd10cm-tabular.xml")
    rows, version = releases.icd10cm_rows(tmp_path)
    assert rows[-3:] == [("B11", "t", "Cough"), ("B11", "i", "Hacking"), ("J05.0", "n", "croup")]
    assert version == "2031"


@pytest.mark.parametrize("reader", [releases.rxnorm_rows, releases.icd10cm_rows])
@pytest.mark.parametrize("content", [b"", b"patient name", b"<x><diag/></x>", b"PK\x05\x06" + b"\0" * 18, b"\xff\xfe|" * 99])
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
