"""What takes time, by kind of resource, and the task that asks for what is due and removes files that no row names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from opentrail.calls.tools import Snapshots
from opentrail.kernel.ambient import Clock
from opentrail.services.personalize import (
    batch_jobs,
    batch_work,
    deleting,
    deletion_jobs,
    export_jobs,
    exporting,
    import_jobs,
    importing,
    queue,
    recommenders,
    schedules,
    solution_versions,
    training,
)
from opentrail.services.personalize.folders import Folders
from opentrail.services.personalize.work import Made, Work
from opentrail.store.sql import Tx
from opentrail.work import jobs
from opentrail.work.lease import Lease

SERVICE = queue.SERVICE
WORK: Mapping[str, Work] = {
    import_jobs.KIND: importing.WORK,
    solution_versions.KIND: training.WORK,
    recommenders.VERSION: training.WORK,
    export_jobs.KIND: exporting.WORK,
    deletion_jobs.KIND: deleting.WORK,
    batch_jobs.INFERENCE: batch_work.WORK,
    batch_jobs.SEGMENT: batch_work.WORK,
}
"""By the kind of resource that is made."""


def kinds(data: Path) -> dict[str, jobs.Kind]:
    """Every kind of job, with its files below the data folder."""
    folders = Folders(data)
    return {kind: Made(work, folders) for kind, work in WORK.items()}


class Upkeep:
    """A task of the work role: asks for the trainings and updates that are due, and sweeps when nothing is worked on."""

    name = "personalize upkeep"
    every = 5.0

    def __init__(self, read: Snapshots, write: Callable[[], AbstractContextManager[Tx]], clock: Clock, data: Path) -> None:
        self._read, self._write, self._clock = read, write, clock
        self._folders = Folders(data)

    def step(self, lease: Lease) -> bool:
        """One look."""
        now = self._clock.now()
        with self._read() as snapshot:
            due = schedules.due(snapshot, now)
            idle = not any(jobs.waiting(snapshot, SERVICE, kind) for kind in WORK)
            segments, models = importing.segments(snapshot), training.models(snapshot)
        if due:
            with self._write() as tx:
                schedules.plan(tx, now)
        elif idle:
            self._folders.sweep(segments, models, self._clock.monotonic())
        return False
