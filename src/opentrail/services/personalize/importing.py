"""The work of a dataset import job: objects to files, CSV to a segment, the segment into its dataset."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from opentrail.calls.tools import Calls, Snapshots
from opentrail.kernel.errors import Content, ServiceError, Unavailable
from opentrail.kernel.principal import Principal, service_principal
from opentrail.services.personalize import datasets, store
from opentrail.services.personalize.engine.csv_import import import_csv
from opentrail.services.personalize.engine.schemas import read_schema
from opentrail.services.personalize.folders import Folders, make_durable
from opentrail.services.personalize.import_jobs import LOCATION
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

SERVICE = "personalize.amazonaws.com"
PIECE = 8 * 1024 * 1024
"""Bytes asked for at once: an object of any size passes through bounded memory."""


class Fetch:
    """Reads what a location names from S3, as the service working for the job. `beat` is called between two requests."""

    def __init__(self, calls: Calls, job: Resource, beat: Callable[[], None]) -> None:
        self._calls, self._job, self._beat = calls, job, beat
        self._principal: Principal = service_principal(SERVICE, job.account, job.arn)

    def files(self, location: str, folder: Path) -> list[tuple[str, str]]:
        """Copies the object, or every object of the folder, that the location names: their keys, and the files with their bytes."""
        parts = LOCATION.fullmatch(location)
        assert parts is not None, "creation checks it"
        bucket, path = parts.groups()
        found = [one for one in self._listed(bucket, path) if one[1] and _named(one[0], path)]
        if not found:
            raise ServiceError("InvalidInputException", "There are no objects at {location}.", location=Content(location))
        return [(key, str(self._copied(bucket, key, size, folder / str(number)))) for number, (key, size) in enumerate(found)]

    def _listed(self, bucket: str, prefix: str) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        more: dict[str, Any] = {}
        while True:
            page = self._make(bucket, "ListObjectsV2", {"Bucket": bucket, "Prefix": prefix, **more})
            found += [(one["Key"], one["Size"]) for one in page.get("Contents", ())]
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _copied(self, bucket: str, key: str, size: int, file: Path) -> Path:
        with file.open("wb") as out:
            for start in range(0, size, PIECE):
                span = f"bytes={start}-{min(size, start + PIECE) - 1}"
                out.write(self._make(bucket, "GetObject", {"Bucket": bucket, "Key": key, "Range": span})["Body"])
        return file

    def _make(self, bucket: str, operation: str, input: Mapping[str, Any]) -> Mapping[str, Any]:
        self._beat()
        try:
            return self._calls.make(self._principal, self._job.region, "s3", operation, input)
        except Unavailable:
            raise
        except ServiceError as error:
            if error.status >= 500:
                raise
            if error.status == 403:
                raise ServiceError(
                    "InvalidInputException",
                    "Insufficient privileges for accessing data in S3. The policy of the bucket {bucket} must allow the principal "
                    "{service} to s3:GetObject and s3:ListBucket.",
                    bucket=bucket,
                    service=SERVICE,
                ) from error
            raise ServiceError("InvalidInputException", "{code} from the bucket {bucket}.", code=error.code, bucket=bucket) from error


def _named(key: str, path: str) -> bool:
    return key == path or not path or key.startswith(path.rstrip("/") + "/")


def task(read: Snapshots, job: Resource, row: store.Job, fetch: Fetch, folders: Folders, scratch: Path) -> dict[str, Any]:
    """What the process of an import job has to do."""
    with read() as snapshot:
        dataset = store.one(snapshot, job.parent or "")
        assert dataset is not None, "a dataset with an import under way is not deleted"
        schema = store.one(snapshot, dataset.uses or "")
        assert schema is not None, "a schema in use is not deleted"
    files = fetch.files(msgspec.json.decode(job.body)["dataSource"]["dataLocation"], scratch)
    segment = folders.segments / job_name(job)
    return {"work": "import", "files": files, "schema": schema.body, "domain": schema.domain, "segment": str(segment)}


def job_name(job: Resource) -> str:
    """A folder name of the job's own."""
    return f"{job.account}-{job.region}-{job.name}-{int(job.created * 1000)}"


def work(task: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the files of a task into its segment: how many rows there are. Raises ServiceError."""
    segment = Path(task["segment"])
    shutil.rmtree(segment, ignore_errors=True)
    with ExitStack() as opened:
        sources = [(name, opened.enter_context(Path(file).open("rb"))) for name, file in task["files"]]
        rows = import_csv(sources, read_schema(task["schema"], task["domain"]), segment)
    make_durable(segment)
    return {"rows": rows}


def done(tx: Tx, job: Resource, result: Mapping[str, Any], row: store.Job, now: float) -> dict[str, Any]:
    """Adds the segment to its dataset, or puts it in the place of all that were imported before. What to add to the job's body."""
    dataset = store.one(tx, job.parent or "")
    assert dataset is not None, "a dataset with an import under way is not deleted"
    body = msgspec.json.decode(dataset.body)
    before = body.get("segments", []) if msgspec.json.decode(job.body)["importMode"] == "INCREMENTAL" else []
    body["segments"] = [*before, job_name(job)]
    store.update(tx, dataset._replace(updated=now, body=msgspec.json.encode(body).decode()))
    return {}


def segments(snapshot: Snapshot) -> set[str]:
    """Every segment that a dataset has."""
    return {name for one in store.of_kind(snapshot, datasets.KIND) for name in msgspec.json.decode(one.body).get("segments", ())}
