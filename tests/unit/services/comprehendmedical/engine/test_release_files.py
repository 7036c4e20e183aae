"""What a user hands over is opened within bounds: hostile zips, folders and lines are refused."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from pathlib import Path

import pytest

from opentrail.services.comprehendmedical.engine import release_files
from opentrail.services.comprehendmedical.engine.release_files import BadRelease, date_in, each_opened, lines, opened

WANTED = re.compile(r"(?:^|/)table\.txt$")


def zipped(path: Path, *parts: tuple[str, bytes], attributes: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = attributes, zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def read(path: Path, most: int = 1 << 20) -> bytes:
    with opened(path, WANTED, most) as (_, stream):
        return stream.read()


def test_a_table_is_read_from_a_file_a_folder_and_a_zip(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/table.txt").write_bytes(b"rows")
    archive = zipped(tmp_path / "a.zip", ("x/other.txt", b"no"), ("x/table.txt", b"rows"))
    assert [read(path) for path in (tmp_path / "deep/table.txt", tmp_path, archive)] == [b"rows"] * 3


@pytest.mark.parametrize("name", ["../table.txt", "/table.txt", "x/../../table.txt", "..\\table.txt"])
def test_a_zip_that_names_a_path_outside_itself_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRelease, match="outside"):
        read(zipped(tmp_path / "a.zip", (name, b"rows")))


def test_a_zip_bomb_is_refused_by_its_size_and_by_its_ratio(tmp_path: Path) -> None:
    with pytest.raises(BadRelease, match="larger"):
        read(zipped(tmp_path / "a.zip", ("table.txt", b"0" * (2 << 20))))
    with pytest.raises(BadRelease, match="tightly"):
        read(zipped(tmp_path / "b.zip", ("table.txt", b"0" * (8 << 20))), most=1 << 30)


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("table.txt", bytes(range(256)) * 8192))
    content = path.read_bytes()
    for size in (b"\x00\x00\x20\x00",):
        content = content.replace(size, b"\x10\x00\x00\x00")
    path.write_bytes(content)
    with pytest.raises(BadRelease):
        read(path, most=1 << 20)


def test_a_plain_file_that_is_too_large_is_refused_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "table.txt").write_bytes(b"x" * 5000)
    with pytest.raises(BadRelease, match="larger"):
        read(tmp_path / "table.txt", most=4096)


def test_links_and_encrypted_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRelease, match="linked"):
        read(zipped(tmp_path / "a.zip", ("table.txt", b"/etc/passwd"), attributes=(stat.S_IFLNK | 0o777) << 16))
    (tmp_path / "in").mkdir()
    (tmp_path / "out.txt").write_text("secret")
    (tmp_path / "in/table.txt").symlink_to(tmp_path / "out.txt")
    with pytest.raises(BadRelease, match="outside"):
        read(tmp_path / "in")


def test_too_many_parts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_files, "MOST_PARTS", 2)
    with pytest.raises(BadRelease, match="more than 2"):
        read(zipped(tmp_path / "a.zip", ("1", b""), ("2", b""), ("table.txt", b"")))


def test_damaged_zips_and_missing_tables_are_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("table.txt", bytes(range(256)) * 64))
    content = bytearray(archive.read_bytes())
    content[60:90] = b"\xff" * 30
    (tmp_path / "b.zip").write_bytes(content)
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "b.zip", tmp_path / "none", tmp_path / "empty", zipped(tmp_path / "c.zip", ("x", b""))):
        with pytest.raises(BadRelease):
            read(path)


def test_long_and_foreign_lines_are_refused() -> None:
    assert list(lines(io.BytesIO(b"\xef\xbb\xbfa\r\nb"))) == ["a", "b"]
    for content in (b"x" * (release_files.LONGEST_LINE + 1), b"ok\n\xff\xfe\n"):
        with pytest.raises(BadRelease):
            list(lines(io.BytesIO(content)))


def test_every_wanted_table_is_given(tmp_path: Path) -> None:
    with each_opened(zipped(tmp_path / "a.zip", ("b/table.txt", b"2"), ("a/table.txt", b"1")), WANTED, 10) as tables:
        assert [(name, stream.read()) for name, stream in tables] == [("a/table.txt", b"1"), ("b/table.txt", b"2")]


def test_dates_in_names() -> None:
    assert [date_in(name) for name in ("RF2_20250301T120000Z", "RxNorm_full_prescribe_10062025.zip", "x", "99999999")] == [
        "2025-03-01",
        "2025-10-06",
        "",
        "",
    ]
