"""Loading a user's SNOMED CT: made-up concepts with made-up codes, in the forms of the releases."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from opentrail.services.comprehendmedical.engine import detect, snomed
from opentrail.services.comprehendmedical.engine.library import Library, snomed_from

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


def gps(path: Path) -> Path:
    lines = ["conceptId\tactive\tFSN\tPT"] + [f"{1000 + at}\t1\t{name} ({tag})\t{name}" for at, (name, tag) in enumerate(NAMES)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def rf2(path: Path) -> Path:
    lines = ["id\teffectiveTime\tactive\tmoduleId\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId"]
    for at, (name, tag) in enumerate(NAMES):
        for kind, term, active in ((snomed.FSN, f"{name} ({tag})", 1), (snomed.SYNONYM, name, 1), (snomed.SYNONYM, "dead " + name, 0)):
            lines.append(f"{at}\t20250101\t{active}\t1\t{1000 + at}\ten\t{kind}\t{term}\t1")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Release/Snapshot/Terminology/sct2_Description_Snapshot-en_US1000124_20250301.txt", "\r\n".join(lines))
    return path


@pytest.mark.parametrize("make", [gps, rf2])
def test_both_forms_of_release_are_read(tmp_path: Path, make: object) -> None:
    rows = snomed.read_release(make(tmp_path / "release"))  # type: ignore[operator]
    assert len(rows) == len(NAMES) - 1
    assert [(row.code, row.group, row.terms) for row in rows][:1] == [("1000", "condition", ("Purple fever",))]


def test_other_files_are_refused_without_telling_their_content(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("secret name\nJohn", encoding="utf-8")
    with pytest.raises(snomed.BadRelease) as told:
        snomed.read_release(tmp_path / "x")
    assert "secret" not in str(told.value)
    assert "John" not in str(told.value)
    with pytest.raises(snomed.BadRelease):
        snomed.read_release(tmp_path / "none")


def test_nothing_is_loaded_until_a_user_loads_it(tmp_path: Path) -> None:
    assert snomed_from(None) is None
    assert snomed_from(tmp_path) is None
    assert "opentrail vocab load snomed FILE" in snomed.MISSING


def test_inference_with_a_loaded_release(tmp_path: Path, loaded: Library) -> None:
    rows = snomed.read_release(gps(tmp_path / "gps.tsv"))
    (tmp_path / f"snomed{snomed.SUFFIX}").write_bytes(snomed.packed(rows, "20250301"))
    codes = snomed_from(tmp_path)
    assert codes is not None
    answer = detect.infer_snomedct("She has acute chest pain.", loaded, codes)
    assert answer["SNOMEDCTDetails"] == {"Edition": "US", "Language": "en", "VersionDate": "20250301"}
    assert answer["Characters"] == {"OriginalTextCharacters": 25}
    first = answer["Entities"][0]  # type: ignore[index]
    assert (first["Text"], first["SNOMEDCTConcepts"][0]["Code"]) == ("chest pain", "1009")
    assert first["Attributes"][0]["SNOMEDCTConcepts"][0]["Description"] == "Acute"
