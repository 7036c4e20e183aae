"""The code systems: those of the package, and those that a user loads into the data folder (`opentrail vocab`).

A loaded system is one file, `vocabularies/NAME.npz`, put there in one step. Whoever computes looks at the file's stamp with every text
and reads a new file when it changed: a running server needs no restart. What is loaded wins over what is packaged.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opentrail.services.comprehendmedical.engine import icd10cm, releases, rxnorm, snomed, stored
from opentrail.services.comprehendmedical.engine.library import DATA
from opentrail.services.comprehendmedical.engine.stored import Arrays
from opentrail.services.comprehendmedical.engine.terms import Strings

FOLDER = "vocabularies"
FORMS = {"icd10cm": icd10cm.FORM, "rxnorm": rxnorm.FORM, "snomed": snomed.FORM}
NAMES = tuple(FORMS)
READERS: dict[str, Callable[[Path], Any]] = {"icd10cm": icd10cm.load, "rxnorm": rxnorm.load, "snomed": snomed.load}
LEAST_WITH_A = 100
"""RxNorm ingredients that begin with A in a whole release at least; the packaged extract has ten."""
PARTIAL = (
    "Ingredients that begin with A are incomplete ({count} listed): load NLM's prescribable content with "
    "`opentrail vocab load rxnorm FILE`."
)

Stamp = tuple[int, int, int]


class NoDate(Exception):
    """A release does not tell its date, which answers must name; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a code system: whether a user loaded it, its version, how many codes it holds, and what is missing, in words."""

    name: str
    loaded: bool
    version: str
    concepts: int
    missing: str


def folder(data: Path) -> Path:
    """Where the loaded code systems of a data folder lie."""
    return data / FOLDER


def stamp(path: Path) -> Stamp | None:
    """What changes when a file is replaced; None when there is none."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino


def chosen(name: str, loaded: Path | None) -> tuple[Path | None, Stamp | None]:
    """The file of a code system and its stamp: the loaded one, else the package's own, else (None, None)."""
    for place in (loaded, DATA):
        path = place / f"{name}.npz" if place is not None else None
        told = stamp(path) if path is not None else None
        if told is not None:
            return path, told
    return None, None


def load(name: str, release: Path, version: str, data: Path) -> Known:
    """Read a publisher's release, check it, and put it into the data folder in one step.

    `version` is what the user says it is; empty: what the release tells. Raises BadRelease, NoDate, and OSError when the folder cannot
    be written; the code system that was there before then stays.
    """
    arrays, told = _read(name, release)
    version = version or told
    if name == "snomed" and not version:
        raise NoDate("The release's files do not tell its date: give it with --version YYYY-MM-DD.")
    content = stored.packed({**arrays, "version": np.frombuffer(version.encode(), np.uint8)}, FORMS[name])
    _put(folder(data) / f"{name}.npz", content)
    return known(name, data)


def _read(name: str, release: Path) -> tuple[Arrays, str]:
    if name == "icd10cm":
        terms, version = releases.icd10cm_rows(release)
        return icd10cm.compiled(terms), version
    if name == "rxnorm":
        concepts, version = releases.rxnorm_rows(release)
        return rxnorm.compiled(concepts), version
    rows, version = snomed.read_release(release)
    return snomed.compiled(rows, version), version


def _put(path: Path, content: bytes) -> None:
    """Write a file beside its place, make it durable, and rename it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.rename(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def known(name: str, data: Path) -> Known:
    """What is known of a code system now. Raises BadFile when the loaded file is none."""
    path, _ = chosen(name, folder(data))
    if path is None:
        return Known(name, False, "", 0, snomed.MISSING if name == "snomed" else "Nothing is there.")
    arrays = stored.load(path, FORMS[name])
    version = arrays["version"].tobytes().decode() if "version" in arrays else ""
    return Known(name, path.parent != DATA, version, int(np.count_nonzero(arrays["codes"] == 10)), _missing(name, arrays))


def _missing(name: str, arrays: Arrays) -> str:
    if name != "rxnorm":
        return ""
    pairs = zip(Strings.of(arrays["types"]).all(), Strings.of(arrays["names"]).all(), strict=True)
    count = sum(kind == "IN" and title[:1] in "aA" for kind, title in pairs)
    return PARTIAL.format(count=count) if count < LEAST_WITH_A else ""


class Held:
    """The code systems of a process that computes: read when first wanted, and again when their file changed."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[tuple[Path | None, Stamp | None], Any]] = {}

    def get(self, name: str, loaded: Path | None) -> Any:
        """The code system, or None when there is none. Raises BadFile when the file cannot be read."""
        now = chosen(name, loaded)
        if now[0] is None:
            return None
        if name not in self._held or self._held[name][0] != now:
            self._held.pop(name, None)
            self._held[name] = (now, READERS[name](now[0]))
        return self._held[name][1]
