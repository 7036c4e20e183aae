"""The work of a dataset import job: objects to files, CSV to a segment, the segment into its dataset."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from opentrail.services.personalize import data, datasets, import_jobs, metric_attributions, resources, store
from opentrail.services.personalize.engine.attribution import read_metric, report
from opentrail.services.personalize.engine.columns import open_table
from opentrail.services.personalize.engine.csv_import import import_csv
from opentrail.services.personalize.engine.entities import merge_entities
from opentrail.services.personalize.engine.schemas import read_schema
from opentrail.services.personalize.folders import make_durable
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.work import Desk, Result, Task, Work, delivered, fetched, location
from opentrail.store.sql import Snapshot, Tx


def prepare(desk: Desk) -> Generator[None, None, Task]:
    """What the process of an import job has to do."""
    with desk.run.read() as snapshot:
        dataset = store.one(snapshot, desk.made.parent or "")
        schema = store.one(snapshot, dataset.uses or "") if dataset is not None else None
        if dataset is None or schema is None:
            raise resources.missing(desk.made.parent or "")
        wanted = _wanted_report(snapshot, desk, dataset.parent or "") if desk.body.get("publishAttributionMetricsToS3") else None
    files = yield from fetched(desk, location(desk.body["dataSource"]["dataLocation"], "dataSource.dataLocation"))
    segment = desk.folders.segments / segment_name(desk.made)
    return {"files": files, "schema": schema.body, "domain": schema.domain, "segment": str(segment), "report": wanted}


def _wanted_report(snapshot: Snapshot, desk: Desk, group: str) -> Task | None:
    """What a report needs to know; None when the metric attribution is gone by now."""
    attribution, items = metric_attributions.of_group(snapshot, group), datasets.of_group(snapshot, group, "ITEMS")
    if attribution is None:
        return None
    named = data.source(snapshot, items, desk.folders, desk.run.scratch) if items is not None else None
    return {"metrics": msgspec.json.decode(attribution.body)["metrics"], "items": named, "file": str(_report_file(desk))}


def _report_file(desk: Desk) -> Path:
    return desk.run.scratch / "report.csv"


def segment_name(job: Resource) -> str:
    """A folder name of the job's own."""
    return f"{job.account}-{job.region}-{job.name}-{int(job.created * 1000)}"


def compute(task: Task) -> Result:
    """Reads the files of a task into its segment: how many rows there are. Raises ServiceError."""
    segment = Path(task["segment"])
    shutil.rmtree(segment, ignore_errors=True)
    with ExitStack() as opened:
        sources = [(name, opened.enter_context(Path(file).open("rb"))) for name, file in task["files"]]
        rows = import_csv(sources, read_schema(task["schema"], task["domain"]), segment)
    make_durable(segment)
    if task["report"] is not None:
        _report(segment, task["report"])
    return {"rows": rows}


def _report(segment: Path, wanted: Task) -> None:
    items = merge_entities(data.open_source(wanted["items"])) if wanted["items"] is not None else None
    metrics = [read_metric(one["metricName"], one["eventType"], one["expression"]) for one in wanted["metrics"]]
    with Path(wanted["file"]).open("w", encoding="utf-8", newline="") as out:
        report(open_table(segment), items, metrics, out)


def deliver(desk: Desk, result: Result) -> Iterator[None]:
    """The report of a metric attribution, where one is asked for."""
    with desk.run.read() as snapshot:
        dataset = store.one(snapshot, desk.made.parent or "")
        found = metric_attributions.of_group(snapshot, dataset.parent or "") if dataset is not None else None
    if found is None or not _report_file(desk).exists():
        return
    config = msgspec.json.decode(found.body)["metricsOutputConfig"]
    if "s3DataDestination" in config:
        name = f"AggregatedAttributionMetrics - {desk.body['importMode']} - {int(desk.made.created)}.csv"
        where = location(config["s3DataDestination"]["path"], "metricsOutputConfig").below(name)
        yield from delivered(desk, desk.buckets(config["roleArn"]), where, _report_file(desk), "text/csv")


def waits(desk: Desk) -> bool:
    """Whether an earlier import into the same dataset is under way: they count in the order in which they were asked for."""
    with desk.run.read() as snapshot:
        beside = store.children(snapshot, desk.made.parent or "", import_jobs.KIND)
    return any(one.status in resources.UNDER_WAY and (one.created, one.arn) < (desk.made.created, desk.made.arn) for one in beside)


def done(tx: Tx, desk: Desk, result: Result, now: float) -> dict[str, Any]:
    """Adds the segment to its dataset, or puts it in the place of all that were imported before."""
    dataset = store.one(tx, desk.made.parent or "")
    assert dataset is not None, "a dataset with an import under way is not deleted"
    body = msgspec.json.decode(dataset.body)
    before = body.get("segments", []) if desk.body["importMode"] == "INCREMENTAL" else []
    body["segments"] = [*before, segment_name(desk.made)]
    store.update(tx, dataset._replace(updated=now, body=msgspec.json.encode(body).decode()))
    return {}


def segments(snapshot: Snapshot) -> set[str]:
    """Every segment that a dataset has."""
    return {name for one in store.of_kind(snapshot, datasets.KIND) for name in msgspec.json.decode(one.body).get("segments", ())}


WORK = Work(prepare, compute, done, deliver, waits=waits)
