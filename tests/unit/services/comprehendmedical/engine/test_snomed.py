"""Loading a user's SNOMED CT: made-up concepts with made-up codes, in the forms of the releases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opentrail.services.comprehendmedical.engine import detect, snomed, stored
from opentrail.services.comprehendmedical.engine.library import Library
from opentrail.services.comprehendmedical.engine.release_files import BadRelease
from tests.unit.services.comprehendmedical.releases import NAMES, patient_set, rf2


@pytest.mark.parametrize(("make", "name", "date"), [(patient_set, "Purple fever", ""), (rf2, "Big Purple fever", "2025-03-01")])
def test_both_forms_of_release_are_read(tmp_path: Path, make: Callable[[Path], Path], name: str, date: str) -> None:
    rows, told = snomed.read_release(make(tmp_path / "release"))
    assert len(rows) == len(NAMES) - 1
    assert (rows[0].code, rows[0].group, rows[0].name, told) == ("1000", "condition", name, date)
    assert "Purple fever" in rows[0].terms
    assert not any("dead" in term or "Retired" in term for row in rows for term in row.terms)


def test_rows_without_a_code_are_left_out(tmp_path: Path) -> None:
    path = patient_set(tmp_path / "gps.tsv")
    whole, _ = snomed.read_release(path)
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    bad = [row.replace(row.split("\t")[0], code, 1) for row in rows[:1] for code in ("9" * 19, "x1", "0", "-5", "٣٤")]
    path.write_text("\n".join([header, *bad, *rows]) + "\n", encoding="utf-8")
    assert snomed.read_release(path)[0] == whole


def test_other_files_are_refused_without_telling_their_content(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("secret name\nJohn", encoding="utf-8")
    for path in (tmp_path / "x", tmp_path / "none", tmp_path):
        with pytest.raises(BadRelease) as told:
            snomed.read_release(path)
        assert "secret" not in str(told.value)
        assert "John" not in str(told.value)


def test_inference_with_a_loaded_release(tmp_path: Path, loaded: Library) -> None:
    rows, _ = snomed.read_release(patient_set(tmp_path / "gps.tsv"))
    (tmp_path / "s.npz").write_bytes(stored.packed(snomed.compiled(rows, "2025-03-01"), snomed.FORM))
    codes = snomed.load(tmp_path / "s.npz")
    assert len(codes) == len(NAMES) - 1
    answer: dict[str, Any] = detect.infer_snomedct("She has acute chest pain.", loaded, codes)
    assert answer["SNOMEDCTDetails"] == {"Edition": "US", "Language": "en", "VersionDate": "2025-03-01"}
    assert answer["Characters"] == {"OriginalTextCharacters": 25}
    first = answer["Entities"][0]
    assert (first["Text"], first["SNOMEDCTConcepts"][0]["Code"]) == ("chest pain", "1009")
    assert first["Attributes"][0]["SNOMEDCTConcepts"][0]["Description"] == "Acute"


def test_a_group_is_searched_alone(tmp_path: Path) -> None:
    rows, _ = snomed.read_release(patient_set(tmp_path / "gps.tsv"))
    codes = snomed.Snomed(snomed.compiled(rows, "1"))
    assert [hit[0] for hit in codes.search("elbow", "anatomy")] == ["1004", "1003"]
    assert codes.search("elbow", "procedure")[0][:2] == ("1005", "Elbow scan")
    assert codes.search("", "anatomy") == codes.search("zzzz", "anatomy") == []
