"""The work of a solution version or a recommender's training: a group's data to a model, its metrics, and what each user did until then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from opentrail.calls.tools import Snapshots
from opentrail.services.personalize import campaigns, data, history, importing, recommenders, resources, store, subjects
from opentrail.services.personalize.engine.interactions import EventRule, select_events
from opentrail.services.personalize.engine.models import load_model, save_model
from opentrail.services.personalize.engine.recipes import Recipe, default_ranges, find_recipe, read_settings
from opentrail.services.personalize.engine.training import Aim, Dataset, DeepFit, Trained, train, tune, update
from opentrail.services.personalize.folders import Folders, make_durable
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

SEED = 20190610
"""One seed for all trainings: equal data and settings give an equal model."""

EVALUATION = "evaluation"
"""Beside a model: its metrics, those of baselines, and the held-out users with their lists, from which all can be computed again."""


def task(
    read: Snapshots, version: Resource, job: store.Job, fetch: importing.Fetch, folders: Folders, scratch: Path
) -> dict[str, Any]:
    """What the process of a training has to do. Raises ServiceError when what it would train is gone."""
    with read() as snapshot:
        subject = store.one(snapshot, version.parent or "")
        group = store.one(snapshot, subject.parent or "") if subject is not None else None
        if subject is None or group is None:
            raise resources.missing(version.parent or "")
        named = data.sources(snapshot, group.arn, folders, scratch)
        base = _base(snapshot, version, job)
    folder = subjects.folder_name(version) + (f"-{int(job.created * 1000)}" if job.work == store.UPDATE else "")
    return {
        "work": "train",
        "recipe": subjects.recipe_of(subject).name,
        "data": named,
        "base": str(folders.models / subjects.model_folder(base) / msgspec.json.decode(base.body)["model"]) if base else None,
        "folder": str(folders.models / folder),
        **subjects.settings_of(subject),
    }


def _base(snapshot: Snapshot, version: Resource, job: store.Job) -> Resource | None:
    if job.work == store.UPDATE:
        return version
    named = msgspec.json.decode(version.body).get("base")
    return store.one(snapshot, named) if named else None


def work(task: Mapping[str, Any]) -> dict[str, Any]:
    """Trains and saves: where the model lies, and its metrics beside those of simple baselines. Raises ServiceError."""
    folder = Path(task["folder"])
    shutil.rmtree(folder, ignore_errors=True)
    recipe = find_recipe(task["recipe"])
    base = load_model(Path(task["base"])) if task["base"] else None
    events, items, users = data.merged(data.open_sources(task["data"]), recipe, base.items if base is not None else ())
    taught = Dataset(*data.without_columns(events, items, users, task["columns"]))
    rules = [EventRule(*one) for one in task["rules"]] or [EventRule(kind) for kind in recipe.events]
    if base is not None:
        taught = Dataset(select_events(taught.interactions, rules), taught.items, taught.users)
        model = update(recipe, base, taught)
        result: dict[str, Any] = {}
    else:
        trained = _trained(recipe, taught, task, rules)
        model = trained.model
        result = {"metrics": dict(trained.metrics), "baselines": {name: dict(one) for name, one in trained.baselines.items()}}
        if task["hpo"] is not None:
            result["tuned"] = {name: str(value) for name, value in trained.settings.items()}
        _save_evaluation(trained, folder / EVALUATION)
    saved = save_model(model, folder)
    history.save(events, folder / history.NAME)
    make_durable(folder)
    return {"model": saved.name, "folder": folder.name, **result}


def _trained(recipe: Recipe, taught: Dataset, task: Mapping[str, Any], rules: list[EventRule]) -> Trained:
    settings = read_settings(recipe, task["hyperparameters"])
    aims = [Aim(*one) for one in task["aims"]]
    if task["hpo"] is None:
        return train(recipe, taught, settings, SEED, rules, deep_fit(), aims)
    ranges = subjects.ranges_of(task["hpo"])
    if not (ranges.integer or ranges.continuous or ranges.categorical):
        ranges = default_ranges(recipe)
    return tune(recipe, taught, settings, ranges, subjects.trials_of(task["hpo"]), SEED, rules, deep_fit(), aims)[0]


def deep_fit() -> DeepFit | None:
    """The training of sequence models where PyTorch is installed (the extra `deep`)."""
    if find_spec("torch") is None:
        return None
    from opentrail.services.personalize.engine.deep import fit_sequence  # PyTorch takes seconds and hundreds of megabytes

    return fit_sequence


def _save_evaluation(trained: Trained, folder: Path) -> None:
    folder.mkdir(parents=True)
    card = {"metrics": dict(trained.metrics), "baselines": {name: dict(one) for name, one in trained.baselines.items()}}
    (folder / "metrics.json").write_text(json.dumps({**card, "items": len(trained.model.items)}, indent=1, sort_keys=True), "utf-8")
    with (folder / "lists.jsonl").open("wb") as out:
        for one in trained.evaluation:
            row = {"user": one.user, "history": one.history, "relevant": one.relevant, "recommended": one.recommended}
            out.write(msgspec.json.encode(row) + b"\n")


def done(tx: Tx, version: Resource, result: Mapping[str, Any], job: store.Job, now: float) -> dict[str, Any]:
    """What the result adds to the version's body; and who serves the version now."""
    more: dict[str, Any] = {**result, "modelled": now}
    if job.work == store.UPDATE:
        return more
    if "metrics" not in result:
        base = store.one(tx, msgspec.json.decode(version.body)["base"])
        found = msgspec.json.decode(base.body) if base is not None else {}
        more |= {name: found[name] for name in ("metrics", "baselines") if name in found}
    if version.kind == recommenders.VERSION:
        recommenders.trained(tx, version, now)
    else:
        campaigns.follow(tx, version, now)
    return {**more, "trainingHours": max(0.0, now - job.created) / 3600}


def failed(tx: Tx, version: Resource, job: store.Job, reason: str, now: float) -> None:
    """What else a training that failed changes."""
    if version.kind == recommenders.VERSION and job.work == store.MAKE:
        recommenders.failed(tx, version, reason, now)


def models(snapshot: Snapshot) -> set[str]:
    """The folder of the model of every version that there is."""
    return {subjects.model_folder(one) for kind in subjects.VERSIONS.values() for one in store.of_kind(snapshot, kind)}
