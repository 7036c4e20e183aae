"""What a start makes, and what it refuses without leaving anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from opentrail import start
from opentrail.identity.bootstrap import WrongMasterKey
from opentrail.kernel.settings import Settings


def prepare(folder: Path, key: str = "") -> None:
    start.prepare(Settings(data_dir=str(folder / "data"), master_key_file=key), lambda line: None)


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    prepare(tmp_path)
    made = {name: (tmp_path / "data" / name).read_bytes() for name in ("credentials", "master.key")}
    prepare(tmp_path)
    assert {name: (tmp_path / "data" / name).read_bytes() for name in made} == made


def test_no_key_is_made_where_secrets_were_sealed_with_another(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    prepare(tmp_path)
    with pytest.raises(WrongMasterKey, match=r"other/key is missing"):
        prepare(tmp_path, str(tmp_path / "other" / "key"))
    assert not (tmp_path / "other").exists()
    prepare(tmp_path)
