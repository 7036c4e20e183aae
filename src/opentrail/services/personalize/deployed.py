"""Models at work in the web role: mapped once, kept while they are asked, made anew when the items' data change."""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from opentrail.calls.operation import Long
from opentrail.kernel.settings import Settings
from opentrail.services.personalize import data, datasets, history, store, streams, subjects
from opentrail.services.personalize.engine.aims import influence
from opentrail.services.personalize.engine.columns import open_table
from opentrail.services.personalize.engine.csv_import import write_rows
from opentrail.services.personalize.engine.entities import Entities, amended, head, merge_entities
from opentrail.services.personalize.engine.exploration import Exploration
from opentrail.services.personalize.engine.models import Model, load_model
from opentrail.services.personalize.engine.recipes import Recipe
from opentrail.services.personalize.engine.schemas import Schema
from opentrail.services.personalize.engine.serving import Campaign, warm
from opentrail.services.personalize.folders import Folders
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot

MOST = 16
"""Campaigns kept: the one that was asked longest ago goes first."""


class Source(NamedTuple):
    """What a campaign or a recommender is made of: two equal sources make equal ones."""

    folder: str
    model: str
    exploration: Exploration | None
    influence: tuple[tuple[str, float], ...]
    items: tuple[str, tuple[str, ...], float]
    users: tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Deployed:
    """A campaign ready to be asked; `users` are the imported attributes of users, `places` where each is."""

    campaign: Campaign
    history: history.History
    users: Entities
    places: dict[str, int]


class Cache:
    """What is deployed, by ARN. Loading one keeps nobody else waiting but those who ask for one that is not there."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Source, Deployed]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, snapshot: Snapshot, settings: Settings, arn: str, source: Source, recipe: Recipe, brief: bool) -> Deployed:
        """The campaign made of this source. With `brief` raises Long when it has to be loaded."""
        kept = self._kept.get(arn)
        if kept is not None and kept[0] == source:
            return kept[1]
        if brief:
            raise Long
        with self._guard:
            kept = self._kept.pop(arn, None)
            if kept is None or kept[0] != source:
                kept = source, _load(snapshot, Folders(settings.folder), source, recipe, kept)
            self._kept[arn] = kept
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return kept[1]


CACHE = Cache()
"""One a process."""


class Description(NamedTuple):
    """What the rows behind a campaign or a recommender say of it. `source` lacks only when items were put last."""

    recipe: Recipe
    config: Mapping[str, Any]
    source: Source


@lru_cache(maxsize=256)
def described(target: Resource, subject: Resource, version: Resource, held: tuple[Resource, ...]) -> Description:
    """Reads those rows: `subject` is the solution (or the recommender itself), `held` are the datasets of its group."""
    recipe, config = subjects.recipe_of(subject), config_of(target)
    return Description(recipe, config, _source(config, version, recipe, held))


def config_of(target: Resource) -> dict[str, Any]:
    """campaignConfig or recommenderConfig."""
    body = msgspec.json.decode(target.body)
    config: dict[str, Any] = body.get("campaignConfig") or body.get("recommenderConfig") or {}
    return config


def with_puts(snapshot: Snapshot, source: Source) -> Source:
    """The source with the time of the newest item that was put."""
    arn, segments, _ = source.items
    return source._replace(items=(arn, segments, streams.updated(snapshot, arn))) if arn else source


def _source(config: Mapping[str, Any], version: Resource, recipe: Recipe, held: Sequence[Resource]) -> Source:
    model = msgspec.json.decode(version.body)["model"]
    items, users = of_type(held, "ACTIONS" if recipe.engine == "actions" else "ITEMS"), of_type(held, "USERS")
    return Source(
        subjects.model_folder(version),
        model,
        Exploration.read(dict(config.get("itemExplorationConfig", {}))) if recipe.explores else None,
        tuple(sorted(config.get("rankingInfluence", {}).items())),
        (items.arn, tuple(data.segment_names(items)), 0.0) if items else ("", (), 0.0),
        (users.arn, tuple(data.segment_names(users))) if users else ("", ()),
    )


def of_type(held: Sequence[Resource], kind: str) -> Resource | None:
    """The dataset of a type."""
    return next((one for one in held if one.arn.endswith(f"/{kind}")), None)


def _load(snapshot: Snapshot, folders: Folders, source: Source, recipe: Recipe, before: tuple[Source, Deployed] | None) -> Deployed:
    """Loads what changed since `before`, which is what the same campaign was made of until now."""
    folder = folders.models / source.folder
    if before is not None and before[0]._replace(items=source.items) == source:
        kept = before[1]
        attributes = _amended(snapshot, before[0], source, kept.campaign) or _attributes(
            snapshot, folders, source, kept.campaign.model.items
        )
        return replace(kept, campaign=replace(kept.campaign, attributes=attributes))  # the model keeps what `warm` made
    model = influenced(load_model(folder / source.model), dict(source.influence))
    campaign = Campaign(model, recipe, _attributes(snapshot, folders, source, model.items), source.exploration)
    warm(campaign)
    users = _merged(folders, source.users[1], [], None, (), folder)
    return Deployed(campaign, history.History(folder / history.NAME), users, {name: at for at, name in enumerate(users.ids)})


def _amended(snapshot: Snapshot, before: Source, source: Source, campaign: Campaign) -> Entities | None:
    """The attributes with what was put since, where nothing else changed: much cheaper than to read all again."""
    if before.items[:2] != source.items[:2] or campaign.attributes is None:
        return None
    key = "ACTION_ID" if campaign.recipe.engine == "actions" else "ITEM_ID"
    rows = [msgspec.json.decode(body) for body in streams.entities_since(snapshot, source.items[0], before.items[2])]
    known = set(campaign.attributes.columns) | {key}
    if any(row.keys() - known for row in rows):
        return None
    places = {campaign.model.index(row[key]): row for row in rows}
    return amended(campaign.attributes, {at: row for at, row in places.items() if at >= 0})


def influenced(model: Model, weights: Mapping[str, float]) -> Model:
    """The model with what rankingInfluence adds to its scores."""
    return replace(model, arrays={**model.arrays, "boost": influence(model.arrays, weights)}) if weights else model


def _attributes(snapshot: Snapshot, folders: Folders, source: Source, items: Sequence[str]) -> Entities | None:
    arn, segments, _ = source.items
    if not arn:
        return None
    dataset = store.one(snapshot, arn)
    assert dataset is not None, "it was read in this snapshot"
    with tempfile.TemporaryDirectory() as scratch:
        rows = [msgspec.json.decode(body) for body in streams.entities(snapshot, arn)]
        return _merged(folders, segments, rows, datasets.schema_of(snapshot, dataset), items, Path(scratch) / "put")


def _merged(
    folders: Folders, segments: Sequence[str], rows: list[dict[str, object]], schema: Schema | None, order: Sequence[str], put: Path
) -> Entities:
    tables = [open_table(folders.segments / name) for name in segments]
    if schema is not None and rows:
        write_rows(rows, schema, put)  # type: ignore[arg-type]
        tables.append(open_table(put))
    found = merge_entities(tables, list(order))
    return head(found, len(order)) if len(order) else found
