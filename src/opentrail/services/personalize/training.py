"""The work of a solution version or a recommender's training: a group's data to a model, its metrics, and what each user did until then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from opentrail.services.personalize import campaigns, data, history, queue, recommenders, resources, store, subjects
from opentrail.services.personalize.engine.aims import Aim, Dataset
from opentrail.services.personalize.engine.exploration import count_impressions
from opentrail.services.personalize.engine.interactions import EventRule, select_events
from opentrail.services.personalize.engine.models import load_model, save_model
from opentrail.services.personalize.engine.recipes import Recipe, default_ranges, find_recipe, read_settings
from opentrail.services.personalize.engine.training import DeepFit, Trained, train, tune, update
from opentrail.services.personalize.folders import make_durable
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.work import Desk, Result, Task, Work
from opentrail.store.sql import Snapshot, Tx
from opentrail.work import jobs

SEED = 20190610
"""One seed for all trainings: equal data and settings give an equal model."""

EVALUATION = "evaluation"
"""Beside a model: its metrics, those of baselines, and the held-out users with their lists, from which all can be computed again."""


def prepare(desk: Desk) -> Generator[None, None, Task]:
    """What the process of a training has to do."""
    with desk.run.read() as snapshot:
        subject = store.one(snapshot, desk.made.parent or "")
        group = store.one(snapshot, subject.parent or "") if subject is not None else None
        if subject is None or group is None:
            raise resources.missing(desk.made.parent or "")
        named = data.sources(snapshot, group.arn, desk.folders, desk.run.scratch)
        base = _base(snapshot, desk)
    yield
    return {
        "recipe": subjects.recipe_of(subject).name,
        "data": named,
        "base": str(desk.folders.models / subjects.model_folder(base) / msgspec.json.decode(base.body)["model"]) if base else None,
        "folder": str(desk.folders.models / _new_folder(desk.made, desk.run.job)),
        **subjects.settings_of(subject),
    }


def _base(snapshot: Snapshot, desk: Desk) -> Resource | None:
    if desk.updates:
        return desk.made
    named = desk.body.get("base")
    return store.one(snapshot, named) if named else None


def _new_folder(version: Resource, job: jobs.Job) -> str:
    """The folder of the model that a job makes: an update leaves alone the one that serves."""
    return subjects.folder_name(version) + (f"-{int(job.created * 1000)}" if job.id.endswith(queue.UPDATES) else "")


def compute(task: Task) -> Result:
    """Trains and saves: where the model lies, and its metrics beside those of simple baselines. Raises ServiceError."""
    folder = Path(task["folder"])
    shutil.rmtree(folder, ignore_errors=True)
    recipe = find_recipe(task["recipe"])
    base = load_model(Path(task["base"])) if task["base"] else None
    tables = data.open_sources(task["data"])
    events, items, users = data.merged(tables, recipe, base.items if base is not None else ())
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
    if recipe.explores:
        places = {name: at for at, name in enumerate(model.items)}
        model = replace(model, arrays={**model.arrays, **count_impressions(tables.get("Interactions", []), places)})
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


def done(tx: Tx, desk: Desk, result: Result, now: float) -> dict[str, Any]:
    """What the result adds to the version's body; and who serves the version now."""
    more: dict[str, Any] = {**result, "modelled": now}
    if desk.updates:
        return more
    if "metrics" not in result:
        base = store.one(tx, desk.body["base"])
        found = msgspec.json.decode(base.body) if base is not None else {}
        more |= {name: found[name] for name in ("metrics", "baselines") if name in found}
    if desk.made.kind == recommenders.VERSION:
        recommenders.trained(tx, desk.made, now)
    else:
        campaigns.follow(tx, desk.made, now)
    return {**more, "trainingHours": max(0.0, now - desk.run.job.created) / 3600}


def failed(tx: Tx, desk: Desk, reason: str, now: float) -> None:
    """What else a training that failed changes."""
    if desk.made.kind == recommenders.VERSION and not desk.updates:
        recommenders.failed(tx, desk.made, reason, now)


def models(snapshot: Snapshot) -> set[str]:
    """The folder of the model of every version that there is."""
    return {subjects.model_folder(one) for kind in subjects.VERSIONS.values() for one in store.of_kind(snapshot, kind)}


WORK = Work(prepare, compute, done, failed=failed)
