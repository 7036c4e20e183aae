"""How Personalize's jobs are done: what a kind does for its resource, in the shape that the house's jobs have.

Most are alike: a task is made from rows and objects, a worker process turns it into a result and files, what was asked for is
delivered to a bucket, and one transaction names the files, sets the status and ends the job.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from opentrail.kernel.errors import Content, ServiceError, Unavailable
from opentrail.kernel.principal import service_principal
from opentrail.services.common.buckets import Buckets, Place, Stored, place
from opentrail.services.personalize import resources, store
from opentrail.services.personalize.folders import Folders
from opentrail.services.personalize.queue import UPDATES
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Tx
from opentrail.work.jobs import Run

T = TypeVar("T")
PRINCIPAL = "personalize.amazonaws.com"


class Desk(NamedTuple):
    """A job at work: its resource as it was when the work began, the buckets that it may use, and where files lie."""

    run: Run
    made: Resource
    folders: Folders

    @property
    def body(self) -> dict[str, Any]:
        """The resource's own members."""
        body: dict[str, Any] = msgspec.json.decode(self.made.body)
        return body

    @property
    def updates(self) -> bool:
        """Whether the resource is there already and is brought up to date."""
        return self.run.job.id.endswith(UPDATES)

    def buckets(self, role: str = "") -> Buckets:
        """The user's buckets, in the role that the user named for the job, or in another one."""
        caller = service_principal(PRINCIPAL, self.made.account, self.made.arn, role or self.body["roleArn"])
        return Buckets(self.run.calls, caller, self.made.region)


Task = dict[str, Any]
Result = Mapping[str, Any]


class States(NamedTuple):
    """The statuses through which a kind goes."""

    pending: str = resources.PENDING
    at_work: str = resources.IN_PROGRESS
    good: str = resources.ACTIVE
    failed: str = resources.FAILED
    stopped: str = resources.STOPPED


class Work(NamedTuple):
    """One kind. `prepare` makes the task, `compute` runs in a worker process, `deliver` writes what it left to buckets, `done` says what
    that adds to the resource's body, `failed` what a failure changes beside it."""

    prepare: Callable[[Desk], Generator[None, None, Task]]
    compute: Callable[[Task], Result]
    done: Callable[[Tx, Desk, Result, float], dict[str, Any]]
    deliver: Callable[[Desk, Result], Iterable[None]] = lambda desk, result: ()
    failed: Callable[[Tx, Desk, str, float], None] = lambda tx, desk, reason, now: None
    waits: Callable[[Desk], bool] = lambda desk: False
    """Whether an earlier job must end before the result may be written."""
    states: States = States()


class Made:
    """The house's kind of job for one kind of work here."""

    def __init__(self, work: Work, folders: Folders) -> None:
        self._work, self._folders = work, folders

    def work(self, run: Run) -> Iterator[None]:
        """See work.jobs.Kind."""
        desk = self._desk(run, begin=True)
        if desk is None:
            return
        task = yield from self._work.prepare(desk)
        yield
        result = yield from run.wait(run.executor.start(self._work.compute, task))
        for _ in self._work.deliver(desk, result):
            yield
        while self._work.waits(desk):
            yield
        now = run.clock.now()
        with run.write() as tx:
            made = store.one(tx, desk.made.arn)
            if made is not None:
                body = msgspec.json.decode(made.body) | self._work.done(tx, desk._replace(made=made), result, now)
                status = made.status if desk.updates else self._work.states.good
                store.update(tx, made._replace(status=status, updated=now, body=msgspec.json.encode(body).decode()))
            run.end(tx)

    def _desk(self, run: Run, begin: bool = False) -> Desk | None:
        arn = run.job.id.removesuffix(UPDATES)
        with run.write() as tx:
            made = store.one(tx, arn)
            if made is None:
                run.end(tx)
                return None
            if begin and made.status == self._work.states.pending:
                made = made._replace(status=self._work.states.at_work, updated=run.clock.now())
                store.update(tx, made)
        return Desk(run, made, self._folders)

    def failed(self, tx: Tx, run: Run, reason: ServiceError) -> None:
        """See work.jobs.Kind."""
        self._settle(tx, run, self._work.states.failed, reason.for_caller())

    def stopped(self, tx: Tx, run: Run) -> None:
        """See work.jobs.Kind."""
        self._settle(tx, run, self._work.states.stopped, "")

    def _settle(self, tx: Tx, run: Run, status: str, reason: str) -> None:
        """An end without a result. An update that fails leaves its resource as it was, and is tried again when it is due next."""
        made, now = store.one(tx, run.job.id.removesuffix(UPDATES)), run.clock.now()
        if made is None:
            return
        desk = Desk(run, made, self._folders)
        body = desk.body
        if desk.updates:
            body |= {"updateFailure": reason, "modelled": now}
            status = made.status
        elif reason:
            body["failureReason"] = reason
        store.update(tx, made._replace(status=status, updated=now, body=msgspec.json.encode(body).decode()))
        if reason:
            self._work.failed(tx, desk, reason, now)


def location(text: str | None, member: str) -> Place:
    """The place of an s3:// address that a creation names. Raises ServiceError."""
    found = place(text or "")
    if found is None:
        raise resources.invalid("{member} must be s3://BUCKET/PATH.", member=member)
    return found


def no_key(config: Any, member: str) -> None:
    """Refuses the customer key of an s3:// address."""
    if config.kmsKeyArn is not None:
        raise resources.invalid("{member}.kmsKeyArn is not supported: objects are not encrypted with customer keys.", member=member)


def delivered(desk: Desk, buckets: Buckets, where: Place, file: Path, content_type: str) -> Iterator[None]:
    """Writes a file into a bucket; once more after a crash, with the same bytes."""
    asked(lambda: buckets.put_file(where, file, content_type), where.bucket)
    yield


def fetched(desk: Desk, where: Place) -> Generator[None, None, list[tuple[str, str]]]:
    """Copies the object, or every object of the folder, that a place names into the scratch folder: keys, and files with their bytes."""
    buckets = desk.buckets()
    found = [one for one in asked(lambda: list(buckets.listed(where)), where.bucket) if one.size and _named(one.key, where.key)]
    yield
    if not found:
        raise ServiceError("InvalidInputException", "There are no objects at {location}.", location=Content(str(where)))
    files = []
    for number, one in enumerate(found):
        file = yield from _copied(desk, buckets, where, one, number)
        files.append((one.key, file))
    return files


def _copied(desk: Desk, buckets: Buckets, where: Place, stored: Stored, number: int) -> Generator[None, None, str]:
    file = desk.run.scratch / f"object{number}"
    pieces = buckets.pieces(where, stored)
    with file.open("wb") as out:
        while (piece := asked(lambda: next(pieces, None), where.bucket)) is not None:
            out.write(piece)
            yield
    return str(file)


def _named(key: str, path: str) -> bool:
    return key == path or not path or key.startswith(path.rstrip("/") + "/")


def asked(call: Callable[[], T], bucket: str) -> T:
    """What a call to S3 gives; its refusal in AWS's words for it."""
    try:
        return call()
    except Unavailable:
        raise
    except ServiceError as error:
        if error.status >= 500:
            raise
        if error.status == 403:
            raise ServiceError(
                "InvalidInputException",
                "Insufficient privileges for accessing data in S3. The role must trust {service} and, like the policy of the bucket "
                "{bucket} if it has one, allow what the job does with its objects.",
                bucket=bucket,
                service=PRINCIPAL,
            ) from error
        raise ServiceError("InvalidInputException", "{code} from the bucket {bucket}.", code=error.code, bucket=bucket) from error
