"""The data folder: one owner, a local disk, room to write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from opentrail.store import folder
from opentrail.store.folder import FolderRefused, Space, claim, file_system


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    lock = claim(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    program = f"from pathlib import Path; from opentrail.store.folder import claim; claim(Path({str(tmp_path / 'data')!r}))"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "in use by another OpenTrail server" in other.stderr
    lock.close()
    claim(tmp_path / "data").close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderRefused, match="cannot be made"):
        claim(tmp_path / "file" / "data")


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_network_file_systems_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(folder, "file_system", lambda path: kind)
    with pytest.raises(FolderRefused, match=kind):
        claim(tmp_path / "data")
    assert not (tmp_path / "data" / "lock").exists()


def test_the_innermost_mount_counts(tmp_path: Path) -> None:
    assert file_system(Path("/proc")) == "proc"
    assert file_system(tmp_path) != "proc"


def test_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Below the least, changes are refused; below half of it, everything. Asked once a second."""
    free, asked = [100], []

    def statvfs(path: object) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(f_bavail=free[0], f_blocks=1000, f_frsize=1024 * 1024)

    monkeypatch.setattr(os, "statvfs", statvfs)
    space = Space(tmp_path, 100)
    assert (space.refuses(True, 10.0), space.refuses(False, 10.0)) == ("", "")
    free[0] = 99
    assert space.refuses(True, 10.5) == ""
    assert space.refuses(True, 11.1)
    assert not space.refuses(False, 11.2)
    free[0] = 49
    assert space.refuses(False, 12.3)
    free[0] = 500
    assert space.refuses(True, 13.4) == ""
    assert len(asked) == 4
