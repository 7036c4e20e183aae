"""How an import is done: list the files; per file, read, check in worker processes, store in slices of the write turn, write what
became of each line; at last the manifest.

    checkpoint = the file, and its last line that is stored, in the transaction that stored it

After a crash the present file is read again from its start, with the storing left out up to the checkpoint's line: so the files of
SUCCESS and FAILURE, the counts and the ids already seen are made anew, equal to what they were, and nothing of them needs to survive.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
from msgspec.structs import replace

from opentrail.kernel.errors import ServiceError
from opentrail.services.common.buckets import Buckets, Place, Stored
from opentrail.services.healthlake import bulk, bulk_store, import_lines, job_store, notes, store
from opentrail.services.healthlake.bulk import JobFailed, Wanted, turn
from opentrail.services.healthlake.engine import bulk_layout, ndjson
from opentrail.services.healthlake.engine.bulk_layout import FAILURE, FLAGGED, SUCCESS, Counts
from opentrail.services.healthlake.import_lines import Ready, Refused
from opentrail.services.healthlake.job_records import Tell
from opentrail.store.sql import Tx
from opentrail.work.jobs import Run

MOST_FILES = 10_000
"""Files of one job (AWS's quota)."""
MOST_BYTES = 5 * 1024**3
"""Bytes of one file; only a few MB are held at a time."""
TOLD = 2_000
"""Resources of one record of what was imported, at most so many and a slice more."""
FEWEST, MOST = 16, 512
"""Resources of a slice."""
ROWS = 8_000
"""Index rows of a slice at most; one resource may have more."""
_SHARE = 0.8
"""Of the turn's time that a slice is to use."""
_FOLDERS = (SUCCESS, FAILURE, FLAGGED)

Steps = Generator[None, None, None]


class File(msgspec.Struct, array_like=True):
    """An input file as it was listed. `name` is its key below the input's prefix."""

    name: str
    key: str
    size: int
    etag: str


class Checkpoint(msgspec.Struct, omit_defaults=True):
    """How far an import has come: files before `file` are done; of it, lines up to `line` are stored, and those up to `told` are in
    the trail. `before` counts what the done files gave, `here` what the present one has so far; `began` is when the job did."""

    began: float
    file: int = 0
    line: int = 0
    told: int = 0
    before: Counts = msgspec.field(default_factory=Counts)
    here: Counts = msgspec.field(default_factory=Counts)


class Job(NamedTuple):
    """What the files of a job have in common."""

    id: str
    found: store.Datastore
    wanted: Wanted
    reach: Buckets
    source: Place
    target: Place
    reads_notes: bool
    data: Path


class Import:
    """The kind of job; see work.jobs.Kind. `tell` records what was imported, in pieces; `data` is the data folder, which holds the
    loaded profiles."""

    def __init__(self, tell: Tell, data: Path) -> None:
        self._tell, self._data = tell, data

    def work(self, run: Run) -> Iterator[None]:
        """Does the job, from its checkpoint on."""
        job, listed = _job(run, self._data)
        try:
            if listed is None:
                listed = _begin(run, job.reach, job.source)
                yield
            files = msgspec.msgpack.decode(listed, type=list[File])
            state = msgspec.json.decode(run.job.checkpoint, type=Checkpoint)
            for number in range(state.file, len(files)):
                one = OneFile(run, job, self._tell, files[number], state, self._data)
                yield from one.work()
                state = Checkpoint(state.began, number + 1, before=state.before.plus(one.counts))
                one.done(state)
            counts = state.before
            wanted, place = job.wanted, str(job.target)
            manifest = bulk_layout.import_manifest(wanted.input, wanted.output, wanted.kms_key, place, counts)
            job.reach.put(job.target.below(bulk_layout.MANIFEST), manifest, "application/json")
        except ServiceError as error:
            raise bulk.job_error(error, job.wanted.role) from error
        now = run.clock.now()
        report = msgspec.json.encode(bulk_layout.progress(counts, now - state.began)).decode()
        status = "COMPLETED_WITH_ERRORS" if counts.refused or counts.files_with_errors else "COMPLETED"

        def end(tx: Tx) -> None:
            job_store.end(tx, run.job.id, status, now, report, None)
            run.end(tx)

        turn(run, end)

    def failed(self, tx: Tx, run: Run, reason: ServiceError) -> None:
        """The job ends as FAILED, with the counts of its checkpoint."""
        _end(tx, run, "FAILED", reason.for_caller()[: bulk.MESSAGE])

    def stopped(self, tx: Tx, run: Run) -> None:
        """The job ends because its data store was deleted: HealthLake has no call that cancels an import."""
        _end(tx, run, "CANCEL_COMPLETED", "The data store was deleted.")


def _job(run: Run, data: Path) -> tuple[Job, bytes | None]:
    """The job, and its files once they are listed."""
    with run.read() as snapshot:
        row = job_store.job_by_id(snapshot, run.job.id)
        assert row is not None, "submitted with the job's row"
        found = store.datastore(snapshot, row.datastore)
        assert found is not None, "a data store's row stays"
        listed = job_store.files(snapshot, row.id)
    wanted = bulk.wanted_of(row)
    reach = bulk.buckets(run.calls, found, wanted.role)
    source, target = bulk.at(wanted.input, "S3Uri"), bulk.result_place(wanted, found.id, job_store.IMPORT, row.id)
    return Job(row.id, found, wanted, reach, source, target, notes.enabled(found), data), listed


def _end(tx: Tx, run: Run, status: str, message: str) -> None:
    report, now = "{}", run.clock.now()
    if run.job.checkpoint:
        state = msgspec.json.decode(run.job.checkpoint, type=Checkpoint)
        report = msgspec.json.encode(bulk_layout.progress(state.before.plus(state.here), now - state.began)).decode()
    job_store.end(tx, run.job.id, status, now, report, message)


def _begin(run: Run, reach: Buckets, source: Place) -> bytes:
    """Lists the input and keeps the list: what comes into the bucket later is no part of the job."""
    files: list[File] = []
    for one in reach.listed(source):
        name = bulk_layout.relative(source.key, one.key)
        if name is None:
            continue
        if len(files) == MOST_FILES:
            raise JobFailed("{place} holds more than {most} files.", place=str(source), most=MOST_FILES)
        files.append(File(name, one.key, one.size, one.etag))
    if not files:
        raise JobFailed("There is no file at {place}.", place=str(source))
    listed = msgspec.msgpack.encode(files)
    at = msgspec.json.encode(Checkpoint(run.clock.now()))

    def begin(tx: Tx) -> None:
        job_store.keep_files(tx, run.job.id, listed)
        job_store.move(tx, run.job.id, "IN_PROGRESS")
        run.keep(tx, at)

    turn(run, begin)
    return listed


def _within(pending: Iterable[Ready]) -> list[Ready]:
    """As many as have the index rows that a slice may write, at least one."""
    slice: list[Ready] = []
    room = ROWS
    for one in pending:
        room -= sum(map(len, one.rows))
        if slice and room < 0:
            break
        slice.append(one)
    return slice


class Pace:
    """How many resources a slice holds: as many as the turn has time for, judged by the slices before. Never fewer than a few: a
    machine that is slow for another reason would end with one durable commit a resource."""

    def __init__(self) -> None:
        self.size = FEWEST

    def took(self, count: int, share: float) -> None:
        """Learns from a slice: what its statements took of the turn's time, without the commit, which takes its time for one resource
        as for many."""
        fitting = int(count * _SHARE / max(share, 1e-4))
        self.size = max(FEWEST, min(fitting, 2 * self.size, MOST))


class Seen:
    """The ids of one file, on disk: a file may hold more than memory should."""

    def __init__(self, file: Path) -> None:
        file.unlink(missing_ok=True)
        self._database = sqlite3.connect(file, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-8192"):
            self._database.execute(f"PRAGMA {pragma}").fetchall()
        self._database.execute("CREATE TABLE seen (name TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")

    def again(self, ready: Iterable[Ready]) -> dict[int, int]:
        """Line -> the earlier line with the same type and id, for those that have one."""
        rows = [(f"{one.type}/{one.id}", one.line) for one in ready]
        if not rows:
            return {}
        values = ",".join(["(?,?)"] * len(rows))
        flat = [value for row in rows for value in row]
        text = f"INSERT OR IGNORE INTO seen VALUES {values} RETURNING line"
        new = {line for (line,) in self._database.execute(text, flat).fetchall()}
        find = "SELECT line FROM seen WHERE name = ?"
        return {line: self._database.execute(find, (name,)).fetchone()[0] for name, line in rows if line not in new}

    def close(self) -> None:
        self._database.close()


class OneFile:
    """One file of an import. `counts` are complete when `work` has ended; `done` ends it."""

    def __init__(self, run: Run, job: Job, tell: Tell, file: File, state: Checkpoint, data: Path | None = None) -> None:
        self._data = data
        self._run, self._job, self._tell, self._file, self._state = run, job, tell, file, state
        self.counts = Counts(files=1, bytes=file.size)
        self._pending: deque[Ready] = deque()
        self._untold: deque[Ready] = deque()
        self._pace = Pace()
        self._out: dict[str, BinaryIO] = {}

    def work(self) -> Steps:
        """Reads the file and stores what is new of it, then writes what became of its lines."""
        run, unread = self._run, self._unreadable()
        with ExitStack() as opened:
            for number, folder in enumerate(_FOLDERS):
                self._out[folder] = opened.enter_context((run.scratch / f"out{number}").open("wb"))
            if unread is None:
                yield from self._read(opened)
            else:
                self._refuse(unread)
        self.counts.files_with_errors = int(bool(self.counts.refused) or unread is not None)
        self.counts.files_imported = int(unread is None and (self.counts.imported > 0 or not self.counts.refused))
        for number, folder in enumerate(_FOLDERS):
            written = run.scratch / f"out{number}"
            if written.stat().st_size:
                self._job.reach.put_file(self._job.target.below(folder + self._file.name), written, "application/x-ndjson")
                yield

    def done(self, state: Checkpoint) -> None:
        """Moves the checkpoint behind the file, and tells what is not told yet."""
        self._keep(state, list(self._untold))

    def _unreadable(self) -> Refused | None:
        if not self._file.name.lower().endswith(".ndjson"):
            return import_lines.refused(
                0, 415, "not-supported", "{} is not read: only files whose names end in .ndjson are.", self._file.name
            )
        if self._file.size > MOST_BYTES:
            return import_lines.refused(0, 413, "too-long", "{} is not read: a file has at most {} bytes.", self._file.name, MOST_BYTES)
        return None

    def _read(self, opened: ExitStack) -> Steps:
        seen = opened.enter_context(closing(Seen(self._run.scratch / "seen.db")))
        job, file = self._job, self._file
        pieces = job.reach.pieces(job.source._replace(key=file.key), Stored(file.key, file.size, file.etag))
        tasks = ((job.wanted.level, job.data, job.found.own, part) for part in ndjson.parts(pieces))
        results = self._run.executor.map(import_lines.read, tasks)
        opened.callback(lambda: getattr(results, "close", lambda: None)())
        for found in results:
            self._take(found, seen)
            yield from self._store(whole=True)
            yield
        yield from self._store(whole=False)

    def _take(self, found: list[Ready | Refused], seen: Seen) -> None:
        """Counts and notes what became of the lines of a part, and queues what is to be stored."""
        again = seen.again(one for one in found if isinstance(one, Ready))
        success, flagged = self._out[SUCCESS], self._out[FLAGGED]
        for one in found:
            self.counts.scanned += 1
            if isinstance(one, Refused):
                self._refuse(one)
                self.counts.refused += 1
            elif one.line in again:
                text = "The id is that of line {} of this file."
                self._refuse(import_lines.refused(one.line, 400, "duplicate", text, again[one.line]))
                self.counts.refused += 1
            else:
                blob = {"resourceType": one.type, "id": one.id}
                (flagged if one.flagged else success).write(bulk_layout.result_line(one.line, 200, blob))
                self.counts.imported += 1
                self.counts.flagged += one.flagged
                self.counts.bytes_imported += one.size
                if one.line > self._state.line:
                    self._pending.append(one)
                elif one.line > self._state.told:
                    self._untold.append(one)

    def _refuse(self, one: Refused) -> None:
        self._out[FAILURE].write(bulk_layout.result_line(one.line, one.status, one.outcome))

    def _store(self, whole: bool) -> Steps:
        """Stores what waits in slices of the turn; only `whole` ones while more is to come."""
        while len(self._pending) >= (self._pace.size if whole else 1):
            slice = _within(islice(self._pending, self._pace.size))
            self._state = replace(self._state, line=slice[-1].line, here=self.counts)
            at = msgspec.json.encode(self._state)
            self._pace.took(len(slice), turn(self._run, partial(self._write, slice, at), durable=False))
            for _ in slice:
                self._untold.append(self._pending.popleft())
            if len(self._untold) >= TOLD:
                self._state = replace(self._state, told=self._untold[-1].line)
                self._keep(self._state, list(self._untold))
                self._untold.clear()
            yield

    def _write(self, slice: list[Ready], at: bytes, tx: Tx) -> None:
        bulk.still_active(tx, self._job.found.id)
        found, now = self._job.found, self._run.clock.now()
        stored = bulk_store.store(tx, found, int(now * 1000), slice)
        if self._job.reads_notes:
            for one, version, body in stored:
                if one.type == notes.TYPE:
                    notes.ask_for(tx, found, one.id, version, body, now)
        self._run.keep(tx, at)

    def _keep(self, state: Checkpoint, told: list[Ready]) -> None:
        """A checkpoint alone, with the record of what was stored up to it."""
        at, job = msgspec.json.encode(state), self._job
        names = [f"{one.type}/{one.id}" for one in told]
        patients = list(dict.fromkeys(patient for one in told for patient in one.patients))

        def keep(tx: Tx) -> None:
            self._run.keep(tx, at)
            if names:
                self._tell(tx, job.wanted.by, job.found, job_store.IMPORT, job.id, names, patients)

        turn(self._run, keep)


__all__ = ["Checkpoint", "Import"]
