"""Files of exports that clients fetch from the server: the answer to a GET of $export. They lie in `exports/JOB/` of the data folder.

Beside each file lies what it shows, so that who fetches it is on record with the resources and patients. After KEPT seconds, or when
its data store is deleted, an export's folder is removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from opentrail.calls.tools import Snapshots
from opentrail.kernel.ambient import Clock
from opentrail.services.healthlake import job_store, store
from opentrail.store.sql import Snapshot
from opentrail.work.lease import Lease

KEPT = 48 * 3600.0
"""Seconds after an export's end for which its files can be fetched (HealthLake's number)."""
_LATE = 60.0
"""Seconds more for which they lie there: who began to fetch one goes on."""
_SHOWN = ".shown"


class Shown(msgspec.Struct):
    """The resources (`Type/id`) and patients (ids) that a file shows."""

    resources: list[str]
    patients: list[str]


def place(data: Path, job: str, name: str) -> Path:
    """A file of a job. `name` is one that the job gave, never a client's."""
    return data / "exports" / job / name


def put(target: Path, part: Path, resources: Sequence[str], patients: Sequence[str]) -> None:
    """Moves a finished file to its place, with what it shows, and waits until both are on the disk."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shown = part.with_suffix(_SHOWN)
    shown.write_bytes(msgspec.json.encode(Shown(list(resources), list(patients))))
    for file, name in ((shown, target.with_suffix(_SHOWN)), (part, target)):
        _wait_for(file)
        os.replace(file, name)
    for folder in (target.parent, target.parent.parent, target.parent.parent.parent):
        _wait_for(folder)


def _wait_for(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def shown(file: Path) -> Shown:
    """What a file shows."""
    return msgspec.json.decode(file.with_suffix(_SHOWN).read_bytes(), type=Shown)


class Sweep:
    """A task of the work role: removes the folders of exports whose time is over."""

    name = "healthlake export files"
    every = 60.0

    def __init__(self, read: Snapshots, clock: Clock, data: Path) -> None:
        self._read, self._clock, self._folder = read, clock, data / "exports"

    def step(self, lease: Lease) -> bool:
        """One look."""
        for folder in self._folder.iterdir() if self._folder.exists() else ():
            with self._read() as snapshot:
                over = _over(snapshot, folder.name, self._clock.now())
            if over:
                shutil.rmtree(folder, ignore_errors=True)
        return False


def _over(snapshot: Snapshot, job: str, now: float) -> bool:
    """Whether nobody may fetch the files of a job any more: its time is over, it came to nothing, or its data store is gone."""
    row = job_store.job_by_id(snapshot, job)
    if row is None or row.status in ("FAILED", "CANCEL_COMPLETED"):
        return True
    found = store.datastore(snapshot, row.datastore)
    return found is None or found.status != "ACTIVE" or (row.ended is not None and row.ended + KEPT + _LATE < now)
