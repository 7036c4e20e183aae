"""Loading code systems: in one step, checked, and seen by who holds them without a restart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opentrail.services.comprehendmedical import vocabularies
from opentrail.services.comprehendmedical.engine import snomed
from opentrail.services.comprehendmedical.engine.release_files import BadRelease
from opentrail.services.comprehendmedical.engine.stored import BadFile
from opentrail.services.comprehendmedical.vocabularies import Held, NoDate, folder, known, load
from tests.unit.services.comprehendmedical.releases import NAMES, icd_tabular, patient_set, rrf_file


def test_nothing_loaded_is_what_the_package_holds(tmp_path: Path) -> None:
    told = {name: known(name, tmp_path) for name in vocabularies.NAMES}
    assert not any(one.loaded for one in told.values())
    assert told["icd10cm"].concepts == 46_881
    assert told["icd10cm"].version.startswith("2026")
    assert "begin with A" in told["rxnorm"].missing
    assert told["snomed"].missing == snomed.MISSING
    assert Held().get("snomed", folder(tmp_path)) is None


def test_a_loaded_release_wins_and_a_newer_one_is_seen_at_once(tmp_path: Path) -> None:
    held = Held()
    packaged = len(held.get("rxnorm", folder(tmp_path)))
    for count in (1200, 1300):
        told = load("rxnorm", rrf_file(tmp_path / f"RxNorm_full_prescribe_1006{count}", count), "", tmp_path)
        assert (told.loaded, told.concepts, told.missing) == (True, count, "")
        assert len(held.get("rxnorm", folder(tmp_path))) == count != packaged
    assert held.get("rxnorm", folder(tmp_path)) is held.get("rxnorm", folder(tmp_path))
    os.unlink(folder(tmp_path) / "rxnorm.npz")
    assert len(held.get("rxnorm", folder(tmp_path))) == packaged


def test_conditions_can_be_refreshed(tmp_path: Path) -> None:
    told = load("icd10cm", icd_tabular(tmp_path / "tabular.xml"), "", tmp_path)
    assert (told.loaded, told.version, told.concepts) == (True, "2031", 1001)
    assert Held().get("icd10cm", folder(tmp_path)).search("hacking")[0][:2] == ("B11", "Cough")


def test_a_release_that_tells_no_date_wants_one(tmp_path: Path) -> None:
    release = patient_set(tmp_path / "gps.tsv")
    with pytest.raises(NoDate, match="--version"):
        load("snomed", release, "", tmp_path)
    assert load("snomed", release, "2025-03-01", tmp_path).version == "2025-03-01"
    assert known("snomed", tmp_path).concepts == len(NAMES) - 1


def test_a_bad_release_changes_nothing(tmp_path: Path) -> None:
    load("rxnorm", rrf_file(tmp_path / "r", 1200), "1", tmp_path)
    before = sorted((path.name, path.read_bytes()) for path in folder(tmp_path).iterdir())
    (tmp_path / "bad").write_bytes(b"patient Miller")
    for name in vocabularies.NAMES:
        with pytest.raises(BadRelease) as refused:
            load(name, tmp_path / "bad", "", tmp_path)
        assert "Miller" not in str(refused.value)
    assert sorted((path.name, path.read_bytes()) for path in folder(tmp_path).iterdir()) == before


def test_a_broken_or_foreign_file_in_the_folder_is_named(tmp_path: Path) -> None:
    load("rxnorm", rrf_file(tmp_path / "r", 1200), "1", tmp_path)
    content = (folder(tmp_path) / "rxnorm.npz").read_bytes()
    (folder(tmp_path) / "icd10cm.npz").write_bytes(content)
    (folder(tmp_path) / "snomed.npz").write_bytes(content[:100])
    for name in ("icd10cm", "snomed"):
        with pytest.raises(BadFile):
            known(name, tmp_path)
        with pytest.raises(BadFile):
            Held().get(name, folder(tmp_path))
