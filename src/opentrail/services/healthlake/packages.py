"""The FHIR packages of an installation: US Core or any other implementation guide, whose profiles resources may claim.

They lie in the data folder as they came, `profiles/NAME#VERSION.tgz`, put there by `opentrail profiles load` and read by every
process when the folder has changed: nothing is restarted. A package is read and all its profiles are compiled before it is put in
place, in one step; nothing of it is ever unpacked to disk.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from pathlib import Path
from typing import NamedTuple

from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.engine.validation import compile_schema
from opentrail.services.healthlake.engine.validation.profiles import MAX_PACKED, NO_PROFILES, Package, Profiles, load_package

log = logging.getLogger("opentrail.healthlake")

MOST = 20
"""Packages of one installation."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}", re.ASCII)
_FILE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,127})#([A-Za-z0-9][A-Za-z0-9.+-]{0,63})\.tgz", re.ASCII)
_FAULTS = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, FhirError)


class BadPackage(Exception):
    """A package cannot be loaded or is not there. The message says why."""


class Held(NamedTuple):
    """One package that is loaded."""

    name: str
    version: str
    profiles: int
    value_sets: int


def folder(data: Path) -> Path:
    """Where the packages of a data folder lie."""
    return data / "profiles"


def load(data: Path, file: Path) -> Held:
    """Puts a package in place, instead of an earlier one of the same name and version. Raises BadPackage, and then nothing changed."""
    packed = _read(file)
    package = _understood(packed)
    place = folder(data)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = place / f"{package.name}#{package.version}.tgz"
    others = [one for one in _files(place) if one != target]
    if len(others) >= MOST:
        raise BadPackage(f"an installation holds at most {MOST} packages; remove one first")
    _compile(package, [_understood(_read(one)) for one in others])
    _put(target, packed)
    return _held(package)


def held(data: Path) -> list[Held]:
    """The packages that are loaded, by name and version. Raises BadPackage for one that cannot be read."""
    return [_held(_understood(_read(file))) for file in _files(folder(data))]


def remove(data: Path, name: str, version: str) -> None:
    """Takes a package away. Raises BadPackage when it is not there."""
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise BadPackage("a package is named NAME#VERSION, as `opentrail profiles list` shows it")
    place = folder(data)
    try:
        (place / f"{name}#{version}.tgz").unlink()
    except FileNotFoundError:
        raise BadPackage(f"{name}#{version} is not loaded") from None
    _sync(place)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            packed = opened.read(MAX_PACKED + 1)
    except OSError as error:
        raise BadPackage(f"{file} cannot be read: {error.strerror}") from None
    if len(packed) > MAX_PACKED:
        raise BadPackage(f"{file} is larger than {MAX_PACKED} bytes")
    return packed


def _understood(packed: bytes) -> Package:
    try:
        package = load_package(packed)
    except FhirError as error:
        raise BadPackage(str(error)) from None
    if not _NAME.fullmatch(package.name) or not _VERSION.fullmatch(package.version):
        raise BadPackage("the name or version in package.json is missing, or has characters that a package's name has not")
    if not package.profiles and not package.codes:
        raise BadPackage(f"{package.name} holds neither profiles nor value sets")
    return package


def _compile(package: Package, others: list[Package]) -> None:
    """Compiles every profile of the package, so that what cannot be used is refused now. Raises BadPackage."""
    every = Profiles([*others, package])
    for profile in package.profiles.values():
        try:
            every.compiled(profile, compile_schema)
        except _FAULTS:
            raise BadPackage(f"the profile {profile.url[:256]} cannot be understood") from None


def _held(package: Package) -> Held:
    return Held(package.name, package.version, len(package.profiles), len(package.codes))


def _put(target: Path, packed: bytes) -> None:
    """Writes the file in one step: readers see the whole of it or nothing."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(packed)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(target)
        _sync(target.parent)
    except OSError as error:
        raise BadPackage(f"{target.parent} cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


def _sync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(place: Path) -> list[Path]:
    """The package files, so that of one name the highest version comes last."""
    if not place.is_dir():
        return []
    found = [(match[1], _order(match[2]), one) for one in place.iterdir() if (match := _FILE.fullmatch(one.name))]
    return [one for _, _, one in sorted(found)]


def _order(version: str) -> tuple[tuple[int, str], ...]:
    """Versions by their numbers; a part that is none, as in `7.0.0-ballot`, comes before any number."""
    return (*((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[.+-]", version)), (0, ""))


class Shelf:
    """The profiles of a data folder as a process uses them: read anew when the folder has changed. May be used from any thread."""

    def __init__(self, data: Path) -> None:
        self._place = folder(data)
        self._guard = threading.Lock()
        self._seen: tuple[tuple[str, int, int], ...] = ()
        self._profiles = NO_PROFILES

    def profiles(self) -> Profiles:
        """What is loaded now. Reads files when something changed: belongs in a thread, not in the lane."""
        seen = self._look()
        if seen != self._seen:
            with self._guard:
                if seen != self._seen:
                    self._profiles, self._seen = self._loaded(), seen
        return self._profiles

    def _look(self) -> tuple[tuple[str, int, int], ...]:
        try:
            with os.scandir(self._place) as entries:
                found = [(one.name, one.stat().st_mtime_ns, one.stat().st_ino) for one in entries if _FILE.fullmatch(one.name)]
        except OSError:
            return ()
        return tuple(sorted(found))

    def _loaded(self) -> Profiles:
        packages = []
        for file in _files(self._place):
            try:
                packages.append(_understood(_read(file)))
            except BadPackage as reason:
                log.error("the package %s is left out: %s", file.name, reason)
        return Profiles(packages) if packages else NO_PROFILES


_shelves: dict[Path, Shelf] = {}


def profiles(data: Path) -> Profiles:
    """The profiles of a data folder, kept by this process while the folder stays as it is."""
    return _shelves.setdefault(data, Shelf(data)).profiles()
