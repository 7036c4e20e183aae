"""The work of a dataset export job: a dataset to one CSV file, that file to a bucket."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from opentrail.services.personalize import data, datasets, resources, store
from opentrail.services.personalize.engine.columns import Table
from opentrail.services.personalize.engine.segments import export_csv
from opentrail.services.personalize.work import Desk, Result, Task, Work, delivered, location
from opentrail.store.sql import Tx


def prepare(desk: Desk) -> Generator[None, None, Task]:
    """What the process has to do."""
    with desk.run.read() as snapshot:
        dataset = store.one(snapshot, desk.made.parent or "")
        if dataset is None:
            raise resources.missing(desk.made.parent or "")
        named = data.source(snapshot, dataset, desk.folders, desk.run.scratch)
        datasets.schema_of(snapshot, dataset)
    yield
    return {"data": named, "mode": desk.body["ingestionMode"], "file": str(desk.run.scratch / "export.csv")}


def compute(task: Task) -> Result:
    """Writes the CSV file: how many rows it has."""
    tables: list[Table] = []
    if task["mode"] in ("BULK", "ALL"):
        tables += data.bulk_tables(task["data"])
    if task["mode"] in ("PUT", "ALL"):
        tables += data.put_tables(task["data"])
    _, text, domain = task["data"]["put"]
    with Path(task["file"]).open("w", encoding="utf-8", newline="") as out:
        return {"rows": export_csv(tables, data.schema_of(text, domain), out)}


def deliver(desk: Desk, result: Result) -> Iterator[None]:
    """The file, under the job's name."""
    where = location(desk.body["jobOutput"]["s3DataDestination"]["path"], "jobOutput").below(f"{desk.made.name}.csv")
    return delivered(desk, desk.buckets(), where, desk.run.scratch / "export.csv", "text/csv")


def done(tx: Tx, desk: Desk, result: Result, now: float) -> dict[str, Any]:
    """Nothing but the status."""
    return {}


WORK = Work(prepare, compute, done, deliver)
