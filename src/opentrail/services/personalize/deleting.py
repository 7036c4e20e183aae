"""The work of a data deletion job: users whom a CSV file names vanish from the datasets and models of a group.

Segments and models are written anew without them and take the place of the old ones in one transaction; what was streamed is deleted
before, in small pieces. Files that are named no more go with the next sweep.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from opentrail.kernel.errors import Content
from opentrail.services.personalize import data, datasets, history, importing, resources, store, streams, subjects, training
from opentrail.services.personalize.engine.columns import open_table
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.models import Model, load_model, save_model
from opentrail.services.personalize.engine.segments import without
from opentrail.services.personalize.folders import make_durable
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.work import Desk, Result, States, Task, Work, fetched, location
from opentrail.store.sql import Snapshot, Tx

KEY = "USER_ID"
AT_ONCE = 50
"""Users whose streamed rows one transaction deletes."""
_WITH_USERS = ("INTERACTIONS", "USERS", "ACTION_INTERACTIONS")


def prepare(desk: Desk) -> Generator[None, None, Task]:
    """What the process has to do."""
    files = yield from fetched(desk, location(desk.body["dataSource"]["dataLocation"], "dataSource.dataLocation"))
    with desk.run.read() as snapshot:
        held = [one for one in store.children(snapshot, desk.made.parent or "", datasets.KIND) if _has_users(one)]
        versions = list(_versions(snapshot, desk.made.parent or ""))
    name = importing.segment_name(desk.made)
    return {
        "files": files,
        "ids": str(desk.run.scratch / "ids.txt"),
        "segments": {
            one.arn: [
                [old, str(desk.folders.segments / old), str(desk.folders.segments / f"{name}-{_kind(one)}-{at}")]
                for at, old in enumerate(data.segment_names(one))
            ]
            for one in held
        },
        "models": {
            one.arn: [
                str(desk.folders.models / subjects.model_folder(one)),
                msgspec.json.decode(one.body)["model"],
                str(desk.folders.models / f"{subjects.folder_name(one)}-{name}"),
            ]
            for one in versions
        },
    }


def _has_users(dataset: Resource) -> bool:
    return _kind(dataset) in _WITH_USERS


def _kind(dataset: Resource) -> str:
    return dataset.arn.rpartition("/")[2]


def _versions(snapshot: Snapshot, group: str) -> Iterator[Resource]:
    for subject in store.children(snapshot, group):
        if subject.kind in subjects.VERSIONS:
            found = store.children(snapshot, subject.arn, subjects.VERSIONS[subject.kind])
            yield from (one for one in found if one.status == resources.ACTIVE)


def compute(task: Task) -> Result:
    """Writes segments and models without the users: what takes whose place, and how many rows are gone. Raises ServiceError."""
    ids = frozenset(id for name, file in task["files"] for id in _ids(name, Path(file)))
    Path(task["ids"]).write_text("\n".join(sorted(ids)), "utf-8")
    segments: dict[str, dict[str, str]] = {}
    gone = 0
    for arn, listed in task["segments"].items():
        for name, old, new in listed:
            table = open_table(Path(old))
            if ids.isdisjoint(table.columns[KEY].vocabulary):
                continue
            shutil.rmtree(new, ignore_errors=True)
            gone += table.rows - without(table, KEY, ids, Path(new))
            make_durable(Path(new))
            segments.setdefault(arn, {})[name] = Path(new).name
    models = {arn: _forgetful(Path(old), model, Path(new), ids) for arn, (old, model, new) in task["models"].items()}
    return {"segments": segments, "models": {arn: one for arn, one in models.items() if one}, "rows": gone}


def _ids(name: str, file: Path) -> Iterator[str]:
    """The users of one CSV file."""
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        try:
            header = [one.strip() for one in next(reader, [])]
            if KEY not in header:
                raise InvalidInput("Input CSV is missing the following columns:[{key}].", key=KEY)
            at = header.index(KEY)
            for row in reader:
                if row and (len(row) <= at or not row[at] or "\n" in row[at]):
                    where = {"file": Content(name), "line": reader.line_num, "key": KEY}
                    raise InvalidInput("File {file}, line {line}, column {key}: the value is missing.", **where)
                if row:
                    yield row[at].encode("utf-8", "replace").decode()
        except csv.Error:
            where = {"file": Content(name), "line": reader.line_num}
            raise InvalidInput("File {file}, line {line}: the line is not readable as CSV.", **where) from None


def _forgetful(old: Path, model: str, new: Path, ids: frozenset[str]) -> dict[str, str] | None:
    """A copy of a model's folder without the users; None when it knows none of them. Its files are shared where they stay the same."""
    known = history.History(old / history.NAME).users()
    if ids.isdisjoint(known):
        return None
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    kept = history.without(old / history.NAME, ids, new / history.NAME)
    loaded = load_model(old / model)
    if "users" in loaded.arrays:
        model = save_model(Model(loaded.card, {**loaded.arrays, "users": loaded.arrays["users"][kept]}, loaded.items), new).name
    else:
        shutil.copytree(old / model, new / model, copy_function=os.link)
    _copy_evaluation(old / training.EVALUATION, new / training.EVALUATION, ids)
    make_durable(new)
    return {"was": old.name, "folder": new.name, "model": model}


def _copy_evaluation(old: Path, new: Path, ids: frozenset[str]) -> None:
    if not old.exists():
        return
    new.mkdir()
    shutil.copy(old / "metrics.json", new / "metrics.json")
    with (old / "lists.jsonl").open(encoding="utf-8") as lines, (new / "lists.jsonl").open("w", encoding="utf-8") as out:
        out.writelines(line for line in lines if json.loads(line)["user"] not in ids)


def deliver(desk: Desk, result: Result) -> Iterator[None]:
    """Deletes what was streamed, some users at a time; the count of the rows is the job's checkpoint."""
    ids = (desk.run.scratch / "ids.txt").read_text("utf-8").splitlines()
    with desk.run.read() as snapshot:
        held = [one for one in store.children(snapshot, desk.made.parent or "", datasets.KIND) if _has_users(one)]
    for start in range(0, len(ids), AT_ONCE):
        with desk.run.write() as tx:
            count = sum(_forget(tx, one, id) for one in held for id in ids[start : start + AT_ONCE])
            desk.run.keep(tx, b"%d" % (_streamed(desk) + count))
        yield


def _forget(tx: Tx, dataset: Resource, id: str) -> int:
    if _kind(dataset) == "USERS":
        return streams.forget_entity(tx, dataset.arn, id)
    return streams.forget_user(tx, data.scope(dataset), id)


def _streamed(desk: Desk) -> int:
    return int(desk.run.job.checkpoint or b"0")


def done(tx: Tx, desk: Desk, result: Result, now: float) -> dict[str, Any]:
    """Puts what was written in the place of what was there, unless something newer is there by now."""
    for arn, names in result["segments"].items():
        dataset = store.one(tx, arn)
        if dataset is not None:
            segments = [names.get(one, one) for one in data.segment_names(dataset)]
            _write(tx, dataset, {"segments": segments}, now)
    for arn, model in result["models"].items():
        version = store.one(tx, arn)
        if version is not None and subjects.model_folder(version) == model["was"]:
            _write(tx, version, {"folder": model["folder"], "model": model["model"]}, now)
    return {"numDeleted": result["rows"] + _streamed(desk)}


def _write(tx: Tx, found: Resource, changes: Mapping[str, Any], now: float) -> None:
    body = {**msgspec.json.decode(found.body), **changes}
    store.update(tx, found._replace(updated=now, body=msgspec.json.encode(body).decode()))


STATES = States(resources.WAITING, resources.WORKED_ON, resources.COMPLETED, resources.FAILED_ONCE, resources.FAILED_ONCE)
WORK = Work(prepare, compute, done, deliver, states=STATES)
