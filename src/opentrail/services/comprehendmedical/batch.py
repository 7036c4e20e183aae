"""How a batch job is done, in the work role: count the files, read them in worker processes, tell what became of each.

    count     the files at the input place, within the quotas
    read      part after part: get -> worker -> put NAME.out -> one transaction with the rows of the part and the last key
    tell      the lists and the manifest
    clear     the rows of the files, then the end

Everything is done in the user's role. A crash loses at most the parts under way, which are read again: an answer is put under the
same name with the same bytes, a row is written once. Texts are in memory and in the user's buckets alone.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.kernel.principal import service_principal
from opentrail.services.common.buckets import Buckets, Place, Stored
from opentrail.services.comprehendmedical import outputs, store
from opentrail.services.comprehendmedical.documents import INTERNAL, NOT_READ, Part, Read, read_all
from opentrail.services.comprehendmedical.jobs import PRINCIPAL, job_arn
from opentrail.services.comprehendmedical.kinds import KINDS
from opentrail.services.comprehendmedical.store import File, Job
from opentrail.services.comprehendmedical.vocabularies import folder
from opentrail.store.sql import Tx
from opentrail.work.executor import Running, WorkerDied
from opentrail.work.jobs import Run

log = logging.getLogger("opentrail.comprehendmedical")

MOST_FILES, FILE_BYTES = 5_000_000, 40 * 1024
"""Comprehend Medical's quotas: files of a job, bytes of a file."""

PART_FILES, PART_BYTES = 16, 32 * 1024
"""What one worker gets at once: about a second of work."""

AHEAD = 3
"""Parts of a job that are under way at once."""

PATIENCE = 120.0
"""Seconds that a part may take; AWS gives up documents, too."""

KEY_BYTES = 1024
"""The longest key of an object."""

_CLEARED = 200
NO_INPUT = "NO_READ_ACCESS_TO_INPUT: The provided data access role does not have proper access to the input data."
NO_OUTPUT = "NO_WRITE_ACCESS_TO_OUTPUT: The provided data access role does not have proper access to the output location."


class State(msgspec.Struct):
    """The checkpoint: the phase, when the work began, the number of input files, the last key that is done, the failure if any."""

    phase: str
    began: float
    count: int = 0
    size: int = 0
    after: str = ""
    failure: str = ""


class Going(NamedTuple):
    """A part under way: its files, and the bytes of those that a worker reads (the others have their error already)."""

    files: list[File]
    texts: list[bytes]
    running: Running[list[Read]] | None


class Batch:
    """Jobs of every kind (work.jobs.Kind). `data` is the data folder."""

    def __init__(self, data: Path) -> None:
        self._loaded = folder(data)

    def work(self, run: Run) -> Iterator[None]:
        """See work.jobs.Kind."""
        job = self._begun(run)
        if job is None:
            return
        yield from Doing(run, job, self._loaded).all()

    def _begun(self, run: Run) -> Job | None:
        """The job, which is now IN_PROGRESS. None: it was stopped before."""
        with run.write() as tx:
            store.move(tx, _id(run), store.SUBMITTED, store.IN_PROGRESS)
            if not run.job.checkpoint:
                run.keep(tx, msgspec.json.encode(State("count", run.clock.now())))
            found = store.job(tx, _id(run))
        return found if found is not None and found.status in (store.IN_PROGRESS, store.STOP_REQUESTED) else None

    def failed(self, tx: Tx, run: Run, reason: ServiceError) -> None:
        """See work.jobs.Kind."""
        store.end(tx, _id(run), store.FAILED, run.clock.now(), reason.for_record())

    def stopped(self, tx: Tx, run: Run) -> None:
        """See work.jobs.Kind. Stops are seen by the work itself, which tells what was done until then."""
        store.end(tx, _id(run), store.STOPPED, run.clock.now())


def _id(run: Run) -> str:
    return run.job.id.rpartition("/")[2]


class Doing:
    """One job at work."""

    def __init__(self, run: Run, job: Job, loaded: Path) -> None:
        self._run, self._job, self._loaded = run, job, loaded
        self._places = job.places
        self._state = msgspec.json.decode(run.job.checkpoint, type=State)
        principal = service_principal(PRINCIPAL, job.account, job_arn(job), self._places.role)
        self._buckets = Buckets(run.calls, principal, job.region)
        self._going: deque[Going] = deque()

    def all(self) -> Iterator[None]:
        """The work from the checkpoint on."""
        with closing(self):
            if self._state.phase == "count":
                yield from self._count()
            if self._state.phase == "read":
                yield from self._read()
            if self._state.phase == "tell":
                yield from self._tell()
            while self._clear():
                yield
            self._end()

    def close(self) -> None:
        """Stops what is under way."""
        for going in self._going:
            if going.running is not None:
                going.running.stop()

    # count

    def _count(self) -> Iterator[None]:
        count = size = 0
        for stored in self._inputs(""):
            count, size = count + 1, size + stored.size
            if count > MOST_FILES or size > KINDS[self._job.kind].most_bytes:
                self._fail("The input has more files or bytes than a job may have.")
                return
            if count % 1000 == 0:
                yield
        self._state.count, self._state.size = count, size
        if count:
            self._to("read")
        else:
            self._fail("There are no files at the input location.")

    def _inputs(self, after: str) -> Iterator[Stored]:
        """The documents at the input place: neither folders' marks nor what this job itself has written."""
        own = self._places.output_key if self._places.input_bucket == self._places.output_bucket else None
        listing = self._buckets.listed(Place(self._places.input_bucket, self._places.input_key), after)
        while True:
            try:
                stored = next(listing)
            except StopIteration:
                return
            except Unavailable:
                raise
            except ServiceError as error:
                raise _refused(error, NO_INPUT) from error
            if not (stored.key.endswith("/") and stored.size == 0) and not (own and stored.key.startswith(own)):
                yield stored

    # read

    def _read(self) -> Iterator[None]:
        files: list[File] = []
        texts: list[bytes] = []
        for stored in self._inputs(self._state.after):
            error = self._unfit(stored) or self._got(stored, texts)
            files.append(File(stored.key, stored.size, 0, *error) if error else File(stored.key, stored.size))
            if len(files) >= PART_FILES or sum(map(len, texts)) >= PART_BYTES:
                self._start(files, texts)
                files, texts = [], []
                yield
                if self._stopping():
                    break
                if len(self._going) >= AHEAD:
                    yield from self._settle()
        if files:
            self._start(files, texts)
        while self._going and not self._stopping():
            yield from self._settle()
        self._to("tell")

    def _unfit(self, stored: Stored) -> tuple[str, str] | None:
        """Why a file is not even read, as (code, message)."""
        if stored.modified > self._job.submitted:
            return "InvalidRequestException", "The file was added or changed after the job was started."
        if stored.size == 0:
            return "InvalidRequestException", "The file is empty."
        if stored.size > FILE_BYTES:
            return "TextSizeLimitExceededException", f"The file has more than {FILE_BYTES} bytes."
        if "//" in stored.key:
            return "InvalidRequestException", "The file's key has two slashes in a row."
        if len(outputs.output_key(self._places, stored.key).encode()) > KEY_BYTES:
            return "InvalidRequestException", "The key of the output file would be too long."
        return None

    def _got(self, stored: Stored, texts: list[bytes]) -> tuple[str, str] | None:
        """Reads a file into `texts`, or says why it cannot be read."""
        try:
            texts.append(b"".join(self._buckets.pieces(Place(self._places.input_bucket, stored.key), stored)))
        except Unavailable:
            raise
        except ServiceError as error:
            if error.status >= 500:
                raise
            changed = error.status in (404, 412)
            return error.code, "The file was changed while the job ran." if changed else "The file could not be read in the given role."
        return None

    def _start(self, files: list[File], texts: list[bytes]) -> None:
        part = Part(self._job.kind, self._loaded, tuple(texts))
        self._going.append(Going(files, texts, self._run.executor.start(read_all, part) if texts else None))

    def _settle(self) -> Generator[None, None, None]:
        """Waits for the oldest part, writes its answers, then what became of its files."""
        going = self._going[0]
        read = iter((yield from self._patient(going.running)) or (yield from self._singly(going.texts)))
        told = [one if one.code else self._put(one, next(read)) for one in going.files]
        self._going.popleft()
        self._state.after = told[-1].key
        with self._run.write() as tx:
            store.add_files(tx, self._job.id, told)
            self._run.keep(tx, msgspec.json.encode(self._state))

    def _patient(self, running: Running[list[Read]] | None) -> Generator[None, None, list[Read] | None]:
        """What a worker gave, or None: its process ended, or was too slow and was ended."""
        if running is None:
            return []
        until = self._run.clock.monotonic() + PATIENCE
        waiting = self._run.wait(running)
        try:
            while self._run.clock.monotonic() < until:
                try:
                    next(waiting)
                except StopIteration as done:
                    return list(done.value)
                yield
        except WorkerDied:
            log.warning("a worker ended while it read documents")
        finally:
            waiting.close()
        return None

    def _singly(self, texts: list[bytes]) -> Generator[None, None, list[Read]]:
        """Each document by itself, so that one that ends its worker spoils no other."""
        found = []
        for text in texts:
            running = self._run.executor.start(read_all, Part(self._job.kind, self._loaded, (text,)))
            found += (yield from self._patient(running)) or [Read(code=INTERNAL, message=NOT_READ, fault="WorkerDied")]
        return found

    def _put(self, file: File, read: Read) -> File:
        """Writes the answer to a document, and says what became of it."""
        if read.fault:
            log.error("a document of a batch job could not be read: %s", read.fault)
        if read.code:
            return file._replace(code=read.code, message=read.message)
        self._written(outputs.output_key(self._places, file.key), read.answer)
        return file._replace(characters=read.characters)

    # tell

    def _tell(self) -> Iterator[None]:
        for name, good in ((outputs.SUCCESS, True), (outputs.UNPROCESSED, False)):
            target = self._run.scratch / name
            yield from outputs.write_list(target, self._places, outputs.rows(self._run.read, self._job.id, good))
            self._written(self._places.output_key + name, target)
        with self._run.read() as view:
            sums = store.sums(view, self._job.id)
        status = self._status(sums)
        if status == store.FAILED and not self._state.failure:
            self._state.failure = "None of the files could be processed. See the list of unprocessed files."
        seconds = self._run.clock.now() - self._state.began
        body = outputs.manifest(self._job, status, self._state.count, sums, seconds, self._state.failure)
        self._written(self._places.output_key + outputs.MANIFEST, body)
        self._to(status)

    def _status(self, sums: store.Sums) -> str:
        if self._state.failure:
            return store.FAILED
        if sums.good + sums.bad < self._state.count and self._stopping():
            return store.STOPPED
        if not sums.bad:
            return store.COMPLETED
        return store.PARTIAL_SUCCESS if sums.good else store.FAILED

    def _written(self, key: str, body: bytes | Path) -> None:
        place = Place(self._places.output_bucket, key)
        try:
            if isinstance(body, Path):
                self._buckets.put_file(place, body, "application/json")
            else:
                self._buckets.put(place, body, "application/json")
        except Unavailable:
            raise
        except ServiceError as error:
            raise _refused(error, NO_OUTPUT) from error

    # clear

    def _clear(self) -> bool:
        with self._run.write() as tx:
            return store.drop_files(tx, self._job.id, _CLEARED)

    def _end(self) -> None:
        """Writes the end. The phase is then the status."""
        message = self._state.failure or None
        with self._run.write() as tx:
            manifest = self._places.output_key + outputs.MANIFEST
            store.end(tx, self._job.id, self._state.phase, self._run.clock.now(), message, manifest)
            self._run.end(tx)

    # all

    def _to(self, phase: str) -> None:
        self._state.phase = phase
        with self._run.write() as tx:
            self._run.keep(tx, msgspec.json.encode(self._state))

    def _fail(self, text: str) -> None:
        self._state.failure = text
        self._to("tell")

    def _stopping(self) -> bool:
        with self._run.read() as view:
            found = store.job(view, self._job.id)
        return found is not None and found.status == store.STOP_REQUESTED


def _refused(error: ServiceError, text: str) -> ServiceError:
    """The job's failure for a refusal of S3 or STS, without S3's own words; an outage stays one."""
    return error if error.status >= 500 else ServiceError("InvalidRequestException", text)
