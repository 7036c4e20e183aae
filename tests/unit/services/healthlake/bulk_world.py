"""A main database with a data store, a bucket in memory, and the two queues of bulk jobs, run step by step in this process."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal
from opentrail.services.healthlake import bulk_store, fhir_store, job_store, store
from opentrail.services.healthlake.bulk import QUEUES, Wanted
from opentrail.services.healthlake.engine.export import Asked
from opentrail.services.healthlake.exporting import Export
from opentrail.services.healthlake.importing import Import
from opentrail.services.healthlake.job_store import EXPORT, IMPORT, JobRow
from opentrail.store.sql import Sql, Tx
from opentrail.work import jobs
from opentrail.work.executor import Running
from opentrail.work.jobs import Jobs
from tests.databases import Database
from tests.unit.services.cloudtrail.deliveries import HandClock

ACCOUNT, STORE = "123456789012", "d" * 32
ROLE = "arn:aws:iam::123456789012:role/bulk"
VERSIONS = Sql("SELECT type, id, version, method FROM fhir_history ORDER BY type, id, version")

A = TypeVar("A")
B = TypeVar("B")


class Dies(BaseException):
    """The process ends here: nothing that catches errors goes on."""


class Shelf:
    """The bucket `bulk` in memory; `die_at` counts down the calls until the process dies in one, 0 for never."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.die_at = 0
        self.refuse = ""

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        assert (principal.service, principal.role, input["Bucket"]) == ("healthlake.amazonaws.com", ROLE, "bulk")
        if operation == self.refuse:
            raise ServiceError("AccessDenied", "No.", status=403)
        self.die_at -= 1
        if self.die_at == 0:
            raise Dies
        if operation == "ListObjectsV2":
            keys = sorted(key for key in self.objects if key.startswith(input["Prefix"]))
            return {"Contents": [{"Key": key, "Size": len(self.objects[key]), "ETag": tag(self.objects[key])} for key in keys]}
        if operation == "GetObject":
            found = self.objects[input["Key"]]
            if tag(found) != input["IfMatch"]:
                raise ServiceError("PreconditionFailed", "Changed.", status=412)
            first, last = map(int, input["Range"].removeprefix("bytes=").split("-"))
            return {"Body": found[first : last + 1]}
        self.objects[input["Key"]] = body
        return {}


def tag(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Here:
    """An executor that computes in this process."""

    def start(self, function: Callable[[A], B], part: A, /) -> Running[B]:
        raise NotImplementedError

    def map(self, function: Callable[[A], B], parts: Iterable[A], /) -> Iterator[B]:
        return (function(part) for part in parts)


class World:
    """See the module. `crash_at` counts down the turns until the process dies before one is committed, 0 for never."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder, self.shelf = database, folder, Shelf()
        self.told: Counter[str] = Counter()
        self._telling: list[str] = []
        self.crash_at = 0
        with database.write() as tx:
            store.insert_datastore(tx, STORE, ACCOUNT, "us-east-1", None, "ACTIVE", 1.0, None, "", "{}")
        self.restart()

    def restart(self) -> None:
        """A new work role."""
        kinds = {IMPORT: Import(self.tell, self.folder), EXPORT: Export(self.tell, self.folder)}
        make: Any = self.shelf
        self.tasks = [
            Jobs(QUEUES[name], {name: kind}, self.database.read, self._turn, make, Here(), HandClock(), self.folder)
            for name, kind in kinds.items()
        ]

    def _turn(self, durable: bool = True) -> Any:
        return _Turn(self)

    def tell(
        self, tx: Tx, by: Principal, found: store.Datastore, kind: str, job: str, resources: Sequence[str], patients: Sequence[str], /
    ) -> None:
        """What the trail is told, if the transaction commits."""
        assert by.account == ACCOUNT
        self._telling += resources

    def submit(self, kind: str, id: str = "j", output: str = "s3://bulk/out", **wanted: Any) -> None:
        """Starts a job."""
        with self.database.write() as tx:
            change = bulk_store.newest_change(tx)
            asked = Wanted(Principal("Root", ACCOUNT), ROLE, output, "k", input="s3://bulk/in/", change=change, **wanted)
            job_store.add(tx, id, STORE, kind, None, "SUBMITTED", 1.0, msgspec.json.encode(asked).decode(), id, "")
            jobs.submit(tx, QUEUES[kind], kind, id, 1.0)

    def step(self) -> bool:
        """One step of both queues; after a death, of the next work role."""
        nothing: Any = None
        try:
            more = [task.step(nothing) for task in self.tasks]
        except Dies:
            self.restart()
            return True
        return any(more)

    def run(self, id: str = "j") -> JobRow:
        """Steps until nothing is left to do; the job as it ended."""
        for _ in range(10_000):
            if not self.step():
                break
        with self.database.read() as view:
            found = job_store.job_by_id(view, id)
        assert found is not None
        assert found.ended is not None, "the job ends"
        return found

    def versions(self) -> list[tuple[str, str, int, str]]:
        """Every version of every resource."""
        with self.database.read() as view:
            return [(str(a), str(b), int(c), str(d)) for a, b, c, d in view.all(VERSIONS)]

    def body(self, type: str, id: str) -> dict[str, Any]:
        """A resource as it is now."""
        with self.database.read() as view:
            found = fhir_store.current(view, 1, type, id)
        assert found is not None
        assert found.body is not None
        return json.loads(found.body)  # type: ignore[no-any-return]

    def written(self, kind: str, id: str = "j") -> dict[str, list[dict[str, Any]]]:
        """The NDJSON objects of a job."""
        prefix = f"out/{STORE}-FHIR_{kind.upper()}-{id}/"
        return {
            key.removeprefix(prefix): [json.loads(line) for line in body.splitlines()]
            for key, body in self.shelf.objects.items()
            if key.startswith(prefix) and key.endswith("ndjson")
        }

    def exports(self, id: str = "e", **asked: Any) -> list[str]:
        """What an export of the present state holds."""
        self.submit(EXPORT, id, asked=Asked(**asked))
        assert self.run(id).status == "COMPLETED"
        return self.names(id)

    def names(self, id: str) -> list[str]:
        """`Type/id/version` of what an export wrote, sorted."""
        rows = [one for file in self.written(EXPORT, id).values() for one in file]
        return sorted(f"{one['resourceType']}/{one['id']}/{one['meta']['versionId']}" for one in rows)


class _Turn:
    """A write transaction; dies at its end when its time has come."""

    def __init__(self, world: World) -> None:
        self._world, self._open = world, world.database.write()

    def __enter__(self) -> Tx:
        self._world._telling = []
        return self._open.__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        world = self._world
        world.crash_at -= 1
        if error[0] is None and world.crash_at == 0:
            self._open.__exit__(Dies, Dies(), None)
            raise Dies
        result = self._open.__exit__(*error)
        if error[0] is None:
            world.told.update(world._telling)
        return result
