"""What trains by itself: automatic trainings of solutions and recommenders, and updates of models that serve.

Nothing is remembered but what rows say anyway: when the newest training began and when a model was made. So a schedule survives
every crash, and an hour of standstill is made up for by one training, not by many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from opentrail.services.personalize import campaigns, queue, recommenders, resources, solutions, store, subjects
from opentrail.services.personalize.engine.recipes import read_settings
from opentrail.services.personalize.engine.training import SECONDS
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

DAY = 86_400.0
FIRST = 3_600.0
"""Seconds from a solution's creation to its first automatic training, if nobody made a version before (AWS: within an hour)."""


class Due(NamedTuple):
    """A training of a subject, or an update of a version that serves, that is due since `at`."""

    resource: Resource
    at: float


def due(snapshot: Snapshot, now: float) -> list[Due]:
    """Everything that is due."""
    found = {one.resource.arn: one for one in (*_trainings(snapshot), *_updates(snapshot)) if one.at <= now}
    return list(found.values())


def plan(tx: Tx, now: float) -> int:
    """Asks for what is due, in the transaction that sees that it is: how many jobs."""
    found = due(tx, now)
    for one in found:
        if one.resource.kind in subjects.VERSIONS.values():
            queue.submit(tx, one.resource, now, update=True)
        elif one.resource.kind == recommenders.KIND:
            recommenders.train(tx, one.resource, _drawn(one), now)
        else:
            _train(tx, one, now)
    return len(found)


def _drawn(one: Due) -> str:
    """The id of an automatic version, which only its subject and time decide."""
    return hashlib.sha256(f"{one.resource.arn} {one.at}".encode()).hexdigest()[:8]


def _train(tx: Tx, one: Due, now: float) -> None:
    solution, drawn = one.resource, _drawn(one)
    body = msgspec.json.encode({"trainingType": "AUTOMATIC"}).decode()
    version = Resource(
        f"{solution.arn}/{drawn}", solutions.VERSION, solution.account, solution.region, drawn, None, resources.PENDING, now, now, body,
        solution.arn,
    )  # fmt: skip
    store.insert(tx, version)
    queue.submit(tx, version, now)


def _trainings(snapshot: Snapshot) -> Iterator[Due]:
    for one in (*store.of_kind(snapshot, solutions.KIND), *store.of_kind(snapshot, recommenders.KIND)):
        body = msgspec.json.decode(one.body)
        wanted = body["performAutoTraining"] if one.kind == solutions.KIND else one.status == resources.ACTIVE
        if not wanted or not subjects.has_data(snapshot, one.parent or "", subjects.recipe_of(one)):
            continue
        versions = store.children(snapshot, one.arn, subjects.VERSIONS[one.kind])
        if not any(version.status in resources.UNDER_WAY for version in versions):
            yield Due(one, _next(one, body, versions))


def _next(subject: Resource, body: dict[str, Any], versions: list[Resource]) -> float:
    since = body.get("autoTrainingSince", subject.created)
    if not versions:
        return float(since + FIRST)
    rate = subjects.rate_of(subjects.config_of(subject)) * DAY
    return float(max(versions[-1].created + rate, since))


def _updates(snapshot: Snapshot) -> Iterator[Due]:
    """Models that serve and whose recipe keeps them up to date."""
    for one in (*store.of_kind(snapshot, campaigns.KIND), *store.of_kind(snapshot, recommenders.KIND)):
        if one.status != resources.ACTIVE or one.uses is None or queue.updating(snapshot, one.uses) is not None:
            continue
        version = store.one(snapshot, one.uses)
        subject = store.one(snapshot, one.parent or "") if one.kind == campaigns.KIND else one
        if version is None or subject is None:
            continue
        seconds = _update_seconds(subject)
        if seconds:
            yield Due(version, msgspec.json.decode(version.body).get("modelled", version.updated) + seconds)


def _update_seconds(subject: Resource) -> int:
    recipe = subjects.recipe_of(subject)
    if recipe.engine == "semantic" and not msgspec.json.decode(subject.body).get("performIncrementalUpdate"):
        return 0
    settings = read_settings(recipe, subjects.config_of(subject).get("algorithmHyperParameters", {}))
    return SECONDS.get(str(settings.get("trend_discovery_frequency")), recipe.updates)
