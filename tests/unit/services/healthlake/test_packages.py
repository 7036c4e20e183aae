"""Packages of an installation: loaded whole or not at all, noticed without a restart, refused when they mean harm."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from opentrail.services.healthlake import import_lines, packages
from opentrail.services.healthlake.engine import ndjson
from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.engine.validation import validate
from opentrail.services.healthlake.engine.validation.profiles import Profiles, load_package
from opentrail.services.healthlake.import_lines import Ready, Refused
from opentrail.services.healthlake.packages import BadPackage, Held, Shelf
from tests.unit.services.healthlake.engine.validation.test_profiles import FILES, GOOD, URL, package


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A package in a file, outside the data folder."""
    found = tmp_path / "given.tgz"
    found.write_bytes(package(FILES))
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def named(name: str, version: str, **files: Any) -> bytes:
    return package({**FILES, "package.json": {"name": name, "version": version}, **files})


def test_a_package_is_loaded_listed_and_removed(data: Path, file: Path) -> None:
    assert packages.held(data) == []
    assert packages.load(data, file) == Held("x.org", "1.0.0", 3, 1)
    assert packages.held(data) == [Held("x.org", "1.0.0", 3, 1)]
    assert [one.name for one in packages.folder(data).iterdir()] == ["x.org#1.0.0.tgz"]
    assert (packages.folder(data) / "x.org#1.0.0.tgz").stat().st_mode & 0o777 == 0o600
    packages.load(data, file)
    packages.remove(data, "x.org", "1.0.0")
    assert packages.held(data) == []
    with pytest.raises(BadPackage, match="not loaded"):
        packages.remove(data, "x.org", "1.0.0")


def test_a_process_notices_what_changed(data: Path, file: Path) -> None:
    shelf = Shelf(data)
    assert shelf.profiles().find(URL) is None
    packages.load(data, file)
    first = shelf.profiles()
    assert first.find(URL) is not None
    assert shelf.profiles() is first, "nothing is read again while nothing changes"
    packages.load(data, file)
    assert shelf.profiles() is not first
    packages.remove(data, "x.org", "1.0.0")
    assert shelf.profiles().find(URL) is None
    assert packages.profiles(data) is packages.profiles(data)


def test_several_threads_read_a_change_once(data: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages.load(data, file)
    shelf, read, found = Shelf(data), [], []
    loaded = Shelf._loaded
    monkeypatch.setattr(Shelf, "_loaded", lambda self: (read.append(1), loaded(self))[1])
    threads = [threading.Thread(target=lambda: found.append(shelf.profiles())) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(read), len({id(one) for one in found})) == (1, 1)


def test_without_a_version_the_highest_counts(data: Path, tmp_path: Path) -> None:
    for version in ("9.0.0", "10.0.0-ballot", "10.0.0", "2.0.0"):
        (tmp_path / "one.tgz").write_bytes(named("x.org", version, **{"a.json": {**FILES["a.json"], "version": version}}))
        packages.load(data, tmp_path / "one.tgz")
    found = Shelf(data).profiles()
    assert [found.find(f"{URL}|{version}") is not None for version in ("2.0.0", "9.0.0", "10.0.0-ballot", "11")] == [
        True,
        True,
        True,
        False,
    ]
    highest = found.find(URL)
    assert highest is not None
    assert highest.version == "10.0.0"


def test_what_is_claimed_is_checked(data: Path, file: Path) -> None:
    packages.load(data, file)
    profiles = Shelf(data).profiles()
    claimed = {**GOOD, "meta": {"profile": [URL]}}
    assert validate(claimed, "strict", profiles) == []
    bad = {key: value for key, value in claimed.items() if key != "name"} | {"name": [{"given": ["x"]}]}
    assert any(one.is_error for one in validate(bad, "strict", profiles))
    assert not any(one.is_error for one in validate(bad, "structure-only", profiles))
    assert [one.severity for one in validate(bad, "strict", Profiles())] == ["warning"]


def unsafe(member: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A package with one more member that tries to leave its folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        one = tarfile.TarInfo(member)
        one.type, one.linkname = kind, link
        archive.addfile(one, io.BytesIO())
    return packed.getvalue()


def test_imports_check_what_is_claimed_too(data: Path, file: Path) -> None:
    lines = b"".join(
        json.dumps({**GOOD, "id": id, "meta": {"profile": [URL]}, "language": language}).encode() + b"\n"
        for id, language in (("a", "en"), ("b", "de"))
    )
    part = ndjson.Part(1, lines)
    assert [type(one) for one in import_lines.read(("strict", data, "", part))] == [Ready, Ready]
    packages.load(data, file)
    assert [type(one) for one in import_lines.read(("strict", data, "", part))] == [Ready, Refused]
    assert [type(one) for one in import_lines.read(("structure-only", data, "", part))] == [Ready, Ready]


BAD = {
    "no package": (b"", "readable FHIR package"),
    "a name that leaves the folder": (named("../../etc/x", "1"), "name or version"),
    "a scoped name": (named("@org/x", "1"), "name or version"),
    "a version that leaves the folder": (named("x.org", "../1"), "name or version"),
    "no version": (package({**FILES, "package.json": {"name": "x.org"}}), "name or version"),
    "nothing in it": (package({"package.json": {"name": "x.org", "version": "1"}}), "neither"),
    "a path upwards": (unsafe("../../evil.json"), "no package"),
    "a link": (unsafe("package/package.json", tarfile.SYMTYPE, "/etc/passwd"), "no package"),
    "a device": (unsafe("package/package.json", tarfile.CHRTYPE), "no package"),
    "a profile that means nothing": (
        named("x.org", "1", **{"a.json": {**FILES["a.json"], "snapshot": {"element": [{"id": "Patient.name", "path": "Patient.name", "type": 7}]}}}),
        "cannot be understood",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_package_changes_nothing(data: Path, file: Path, name: str) -> None:
    packed, said = BAD[name]
    packages.load(data, file)
    before = sorted(packages.folder(data).iterdir())
    other = file.with_name("bad.tgz")
    other.write_bytes(packed)
    with pytest.raises(BadPackage, match=said):
        packages.load(data, other)
    assert sorted(packages.folder(data).iterdir()) == before
    assert not list(file.parent.parent.glob("evil*"))


def test_limits(data: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadPackage, match="cannot be read"):
        packages.load(data, file.with_name("missing.tgz"))
    monkeypatch.setattr(packages, "MOST", 1)
    packages.load(data, file)
    packages.load(data, file)
    file.write_bytes(named("y.org", "1"))
    with pytest.raises(BadPackage, match="at most 1"):
        packages.load(data, file)
    monkeypatch.setattr(packages, "MAX_PACKED", 10)
    with pytest.raises(BadPackage, match="larger than 10"):
        packages.load(data, file)


def test_a_file_that_was_spoiled_in_place_is_left_out_and_named(data: Path, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    packages.load(data, file)
    (packages.folder(data) / "y.org#1.tgz").write_bytes(b"spoiled")
    os.symlink("/etc/passwd", packages.folder(data) / "notes.txt")
    assert Shelf(data).profiles().find(URL) is not None
    assert "y.org#1.tgz" in caplog.text


@pytest.mark.parametrize("key", ["type", "min", "max", "binding", "slicing", "fixedString", "patternCode", "id", "path"])
@pytest.mark.parametrize("value", [7, "x", [], {}, None, [7], {"a": [[]]}])
def test_a_profile_of_any_form_is_taken_or_refused_and_never_breaks_a_validation(data: Path, file: Path, key: str, value: Any) -> None:
    element = {"id": "Patient.name", "path": "Patient.name", "type": [{"code": "HumanName"}], key: value}
    file.write_bytes(named("x.org", "1", **{"a.json": {**FILES["a.json"], "snapshot": {"element": [element]}}}))
    try:
        packages.load(data, file)
    except BadPackage:
        assert packages.held(data) == []
        return
    validate({**GOOD, "meta": {"profile": [URL]}}, "strict", Profiles([load_package(file.read_bytes())]))


def test_a_package_that_is_none_is_refused_by_the_engine_too() -> None:
    with pytest.raises(FhirError):
        load_package(unsafe("package/package.json", tarfile.LNKTYPE, "x"))
