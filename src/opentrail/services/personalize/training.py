"""The work of a solution version: a group's segments to a model, its metrics, and what each user did until then."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from opentrail.calls.tools import Snapshots
from opentrail.services.personalize import datasets, history, importing, solution_versions, store, streams
from opentrail.services.personalize.engine.columns import Table, open_table
from opentrail.services.personalize.engine.csv_import import write_rows
from opentrail.services.personalize.engine.entities import merge_entities
from opentrail.services.personalize.engine.interactions import EventRule, merge_interactions
from opentrail.services.personalize.engine.models import save_model
from opentrail.services.personalize.engine.recipes import find_recipe, read_settings
from opentrail.services.personalize.engine.schemas import DATASET_TYPES, Schema, read_schema
from opentrail.services.personalize.engine.training import Aim, Dataset, train
from opentrail.services.personalize.folders import Folders, make_durable
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

SEED = 20190610
"""One seed for all trainings: equal data and settings give an equal model."""


def task(read: Snapshots, job: Resource, fetch: importing.Fetch, folders: Folders, scratch: Path) -> dict[str, Any]:
    """What the process of a training has to do."""
    with read() as snapshot:
        solution = store.one(snapshot, job.parent or "")
        assert solution is not None, "versions go with their solution"
        held = store.children(snapshot, solution.parent or "", datasets.KIND)
        segments = {_record(one): [str(folders.segments / name) for name in segment_names(one)] for one in held}
        put = {_record(one): _put_rows(snapshot, one, scratch) for one in held}
    recipe = solution_versions.recipe_of(solution).name
    model = folders.models / solution_versions.folder_name(job)
    return {
        "work": "train",
        "recipe": recipe,
        "segments": segments,
        "put": put,
        "folder": str(model),
        **solution_versions.settings_of(solution),
    }


def _record(dataset: Resource) -> str:
    return DATASET_TYPES[dataset.arn.rpartition("/")[2]]


def _put_rows(snapshot: Snapshot, dataset: Resource, scratch: Path) -> list[Any]:
    """Writes what was put into a dataset as lines of JSON: file, schema and domain."""
    file = scratch / f"{_record(dataset)}.put"
    with file.open("wb") as out:
        if _record(dataset) == "Interactions":
            for user, body in streams.known(snapshot, dataset.parent or ""):
                out.write(msgspec.json.encode({**msgspec.json.decode(body), "USER_ID": user}) + b"\n")
        else:
            for body in streams.entities(snapshot, dataset.arn):
                out.write(body.encode() + b"\n")
    schema = store.one(snapshot, dataset.uses or "")
    assert schema is not None, "a schema in use is not deleted"
    return [str(file), schema.body, schema.domain]


def _table_of(file: Path, schema: Schema, folder: Path) -> Table | None:
    """The rows of such a file as a segment, or None when there are none."""
    rows = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
    if not rows:
        return None
    write_rows(rows, schema, folder)
    return open_table(folder)


def segment_names(dataset: Resource) -> list[str]:
    """The segments of a dataset, oldest first."""
    names: list[str] = msgspec.json.decode(dataset.body).get("segments", [])
    return names


def work(task: Mapping[str, Any]) -> dict[str, Any]:
    """Trains and saves: where the model lies, and its metrics beside those of simple baselines. Raises ServiceError."""
    folder = Path(task["folder"])
    shutil.rmtree(folder, ignore_errors=True)
    tables = {name: [open_table(Path(path)) for path in paths] for name, paths in task["segments"].items()}
    for name, (path, schema, domain) in task["put"].items():
        table = _table_of(Path(path), read_schema(schema, domain), Path(f"{path}.segment"))
        tables[name] += [table] if table is not None else []
    listed = merge_entities(tables["Items"]).ids if tables.get("Items") else ()
    events = merge_interactions(tables.get("Interactions", []), listed)
    items = merge_entities(tables["Items"], events.items) if tables.get("Items") else None
    users = merge_entities(tables["Users"], events.users) if tables.get("Users") else None
    recipe = find_recipe(task["recipe"])
    rules = [EventRule(*one) for one in task["rules"]]
    aims = [Aim(*one) for one in task["aims"]]
    settings = read_settings(recipe, task["hyperparameters"])
    trained = train(recipe, Dataset(events, items, users), settings, SEED, rules, aims=aims)
    saved = save_model(trained.model, folder)
    history.save(events, folder / history.NAME)
    make_durable(folder)
    return {
        "model": saved.name,
        "metrics": dict(trained.metrics),
        "baselines": {name: dict(one) for name, one in trained.baselines.items()},
    }


def done(tx: Tx, job: Resource, result: Mapping[str, Any], now: float) -> dict[str, Any]:
    """What the result adds to the version's body."""
    return {**result, "trainingHours": max(0.0, now - job.created) / 3600}


def models(snapshot: Snapshot) -> set[str]:
    """The folder of every version that there is."""
    return {solution_versions.folder_name(one) for one in store.of_kind(snapshot, solution_versions.KIND)}
