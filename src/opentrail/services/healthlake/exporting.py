"""How an export is done: type by type, in files of bounded size, each built from pages of the state at one moment and put whole.

    checkpoint = the file that comes next, in the transaction that tells the trail what the last one showed

The moment is the number of the newest change when the export was started (`tables.change`): a resource that was changed later is
written as it was then. So a file that is built again after a crash is the same file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from opentrail.kernel.errors import ServiceError
from opentrail.services.healthlake import bulk, bulk_store, job_store, kept_files, store
from opentrail.services.healthlake.bulk import Wanted, turn
from opentrail.services.healthlake.engine import bulk_layout, export
from opentrail.services.healthlake.job_records import Tell
from opentrail.store.sql import Tx
from opentrail.work.jobs import Run

PER_FILE = 5_000
"""Resources of one file (HealthLake's number); its last page may go a little beyond."""
FILE_BYTES = 256 * 1024 * 1024
PAGE = 200
_DONE = -1
"""As `after`: the type has no more."""


class Checkpoint(msgspec.Struct, omit_defaults=True):
    """How far an export has come: the resources of each file by type, the type and pk after which the next one begins, and the
    newest file that was told, `Type/number`."""

    began: float
    files: dict[str, list[int]] = msgspec.field(default_factory=dict)
    type: str = ""
    after: int = 0
    told: str = ""

    @property
    def resources(self) -> int:
        """How many were written."""
        return sum(map(sum, self.files.values()))


class _Job(NamedTuple):
    id: str
    found: store.Datastore
    wanted: Wanted
    put: Callable[[str, Path, Sequence[str], Sequence[str]], None]
    """Puts a finished file of the job's under its name, given what it shows."""
    members: frozenset[str]


class Export:
    """The kind of job; see work.jobs.Kind. `tell` records what each file shows that is written to a bucket; files that are kept below
    the data folder `data` show nothing before they are fetched."""

    def __init__(self, tell: Tell, data: Path) -> None:
        self._tell, self._data = tell, data

    def work(self, run: Run) -> Iterator[None]:
        """Does the job, from its checkpoint on."""
        with run.read() as snapshot:
            row = job_store.job_by_id(snapshot, run.job.id)
            assert row is not None, "submitted with the job's row"
            found = store.datastore(snapshot, row.datastore)
            assert found is not None, "a data store's row stays"
            wanted = bulk.wanted_of(row)
            there = bulk_store.types(snapshot, found.key)
            group = bulk_store.one_as_of(snapshot, found.key, "Group", wanted.asked.group, wanted.change) if wanted.asked.group else None
        members = export.members(msgspec.json.decode(group), found.own) if group else frozenset()
        job = _Job(row.id, found, wanted, self._putting(run, row, found, wanted), members)
        if not run.job.checkpoint:
            turn(run, lambda tx: _begin(tx, run))
        state = msgspec.json.decode(run.job.checkpoint, type=Checkpoint)
        try:
            for type in export.types_of(wanted.asked, there):
                if type >= state.type:
                    yield from self._of_type(run, job, type, state)
        except ServiceError as error:
            raise bulk.job_error(error, wanted.role) from error
        now = run.clock.now()
        report = msgspec.json.encode(state.files).decode()

        def end(tx: Tx) -> None:
            job_store.end(tx, run.job.id, "COMPLETED", now, report, None)
            run.end(tx)

        turn(run, end)

    def _putting(
        self, run: Run, row: job_store.JobRow, found: store.Datastore, wanted: Wanted
    ) -> Callable[[str, Path, Sequence[str], Sequence[str]], None]:
        if not wanted.output:
            return lambda name, part, resources, patients: kept_files.put(
                kept_files.place(self._data, row.id, name), part, resources, patients
            )
        reach, target = bulk.buckets(run.calls, found, wanted.role), bulk.result_place(wanted, found.id, job_store.EXPORT, row.id)
        return lambda name, part, resources, patients: reach.put_file(target.below(name), part, "application/fhir+ndjson")

    def _of_type(self, run: Run, job: _Job, type: str, state: Checkpoint) -> Iterator[None]:
        after: int | None = state.after if state.type == type else 0
        after = None if after == _DONE else after
        while after is not None:
            names: list[str] = []
            patients: dict[str, None] = {}
            part = run.scratch / "part.ndjson"
            size = 0
            with part.open("wb") as out:
                while after is not None and len(names) < PER_FILE and size < FILE_BYTES:
                    with run.read() as snapshot:
                        page, after = bulk_store.page(snapshot, job.found, type, job.wanted.change, after, PAGE)
                    for one in page:
                        if export.is_part(job.wanted.asked, one.updated, one.body, one.patients, job.members):
                            size += out.write(export.ndjson_line(one.body))
                            names.append(f"{type}/{one.id}")
                            patients.update(dict.fromkeys(one.patients))
                    yield
            if names:
                number = len(state.files.get(type, ())) + 1
                if job.wanted.output and state.told != (mark := f"{type}/{number}"):  # told before it leaves, so that nothing leaves untold
                    state.told = mark
                    self._keep(run, job, state, names, list(patients))
                job.put(bulk_layout.export_name(type, job.id, number), part, names, list(patients))
                state.files.setdefault(type, []).append(len(names))
            state.type, state.after = type, _DONE if after is None else after
            self._keep(run, job, state, [], [])
            yield

    def _keep(self, run: Run, job: _Job, state: Checkpoint, names: list[str], patients: list[str]) -> None:
        at = msgspec.json.encode(state)

        def keep(tx: Tx) -> None:
            bulk.still_active(tx, job.found.id)
            run.keep(tx, at)
            if names:
                self._tell(tx, job.wanted.by, job.found, job_store.EXPORT, job.id, names, patients)

        turn(run, keep)

    def failed(self, tx: Tx, run: Run, reason: ServiceError) -> None:
        """The job ends as FAILED; the files that it wrote stay in the bucket."""
        _end(tx, run, "FAILED", reason.for_caller()[: bulk.MESSAGE])

    def stopped(self, tx: Tx, run: Run) -> None:
        """The job ends because it was cancelled."""
        _end(tx, run, "CANCEL_COMPLETED", None)


def _begin(tx: Tx, run: Run) -> None:
    job_store.move(tx, run.job.id, "IN_PROGRESS")
    run.keep(tx, msgspec.json.encode(Checkpoint(run.clock.now())))


def _end(tx: Tx, run: Run, status: str, message: str | None) -> None:
    held = msgspec.json.decode(run.job.checkpoint, type=Checkpoint).files if run.job.checkpoint else {}
    job_store.end(tx, run.job.id, status, run.clock.now(), msgspec.json.encode(held).decode(), message)


__all__ = ["Checkpoint", "Export"]
