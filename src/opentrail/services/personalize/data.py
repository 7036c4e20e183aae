"""What the datasets of a group hold, as a process reads it: files that a task names, opened there as tables by record name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from opentrail.services.personalize import datasets, store, streams
from opentrail.services.personalize.engine.columns import Table, open_table
from opentrail.services.personalize.engine.csv_import import write_rows
from opentrail.services.personalize.engine.entities import Entities, merge_entities
from opentrail.services.personalize.engine.interactions import Interactions, merge_interactions
from opentrail.services.personalize.engine.recipes import Recipe
from opentrail.services.personalize.engine.schemas import DATASET_TYPES, Schema, read_schema
from opentrail.services.personalize.folders import Folders
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot

Sources = dict[str, Any]
"""By record name (Interactions ...): `segments`, their folders, and `put`, the file, schema and domain of what was streamed."""

Tables = dict[str, list[Table]]


def sources(snapshot: Snapshot, group: str, folders: Folders, scratch: Path) -> Sources:
    """Names all data of a group. What was streamed is written to files in `scratch`."""
    return {record(one): source(snapshot, one, folders, scratch) for one in store.children(snapshot, group, datasets.KIND)}


def source(snapshot: Snapshot, dataset: Resource, folders: Folders, scratch: Path) -> dict[str, Any]:
    """Names the data of one dataset."""
    segments = [str(folders.segments / name) for name in segment_names(dataset)]
    return {"segments": segments, "put": _put_rows(snapshot, dataset, scratch)}


def record(dataset: Resource) -> str:
    """The record name of a dataset's schema."""
    return DATASET_TYPES[dataset.arn.rpartition("/")[2]]


def segment_names(dataset: Resource) -> list[str]:
    """The segments of a dataset, oldest first."""
    names: list[str] = msgspec.json.decode(dataset.body).get("segments", [])
    return names


def scope(dataset: Resource) -> str:
    """Under what the events of a dataset are kept: its group for interactions with items, itself for those with actions."""
    return dataset.arn if dataset.arn.endswith("/ACTION_INTERACTIONS") else dataset.parent or ""


def _put_rows(snapshot: Snapshot, dataset: Resource, scratch: Path) -> list[Any]:
    file = scratch / f"{record(dataset)}.put"
    with file.open("wb") as out:
        if record(dataset) in ("Interactions", "ActionInteractions"):
            for user, body in streams.known(snapshot, scope(dataset)):
                out.write(msgspec.json.encode({**msgspec.json.decode(body), "USER_ID": user}) + b"\n")
        else:
            for body in streams.entities(snapshot, dataset.arn):
                out.write(body.encode() + b"\n")
    schema = store.one(snapshot, dataset.uses or "")
    assert schema is not None, "a schema in use is not deleted"
    return [str(file), schema.body, schema.domain]


def open_sources(named: Mapping[str, Any]) -> Tables:
    """The tables of every dataset: segments oldest first, then what was streamed."""
    return {name: open_source(one) for name, one in named.items()}


def open_source(named: Mapping[str, Any]) -> list[Table]:
    """The tables of one dataset."""
    return [*bulk_tables(named), *put_tables(named)]


def bulk_tables(named: Mapping[str, Any]) -> list[Table]:
    """What was imported into a dataset."""
    return [open_table(Path(path)) for path in named["segments"]]


def put_tables(named: Mapping[str, Any]) -> list[Table]:
    """What was streamed into a dataset; no table when nothing was."""
    path, schema, domain = named["put"]
    rows = [msgspec.json.decode(line) for line in Path(path).read_bytes().splitlines()]
    if not rows:
        return []
    folder = Path(f"{path}.segment")
    write_rows(rows, schema_of(schema, domain), folder)
    return [open_table(folder)]


def schema_of(text: str, domain: str | None) -> Schema:
    """A schema by its text."""
    return read_schema(text, domain)


def merged(tables: Tables, recipe: Recipe, first: Sequence[str] = ()) -> tuple[Interactions, Entities | None, Entities | None]:
    """What a recipe reads: interactions, and the attributes of what is recommended and of the users. `first` are items whose places
    stay as they are; those of the catalogue follow, then those that only interactions name."""
    actions = recipe.engine == "actions"
    what, done, key = ("Actions", "ActionInteractions", "ACTION_ID") if actions else ("Items", "Interactions", "ITEM_ID")
    listed = merge_entities(tables[what], first).ids if tables.get(what) else first
    events = merge_interactions(tables.get(done, []), listed, key)
    items = merge_entities(tables[what], events.items) if tables.get(what) else None
    users = merge_entities(tables["Users"], events.users) if tables.get("Users") else None
    return events, items, users


def without_columns(
    events: Interactions, items: Entities | None, users: Entities | None, config: Mapping[str, Mapping[str, Sequence[str]]]
) -> tuple[Interactions, Entities | None, Entities | None]:
    """The same without the columns that trainingDataConfig leaves out."""
    context = {name: one for name, one in events.context.items() if _trains("INTERACTIONS", name, config)}

    def cut(entities: Entities | None, kind: str) -> Entities | None:
        if entities is None:
            return None
        return Entities(entities.ids, {name: one for name, one in entities.columns.items() if _trains(kind, name, config)})

    return replace(events, context=context), cut(items, "ITEMS"), cut(users, "USERS")


def _trains(kind: str, name: str, config: Mapping[str, Mapping[str, Sequence[str]]]) -> bool:
    included, excluded = (
        {key.upper(): names for key, names in config.get(f"{way}DatasetColumns", {}).items()} for way in ("included", "excluded")
    )
    return name in included[kind] if kind in included else name not in excluded.get(kind, ())
