"""What is trained: a solution or a recommender. Its recipe, what it says of its training, and which data that needs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from opentrail.services.personalize import datasets, resources, store
from opentrail.services.personalize.engine.recipes import Ranges, Recipe, check_ranges, find_recipe, read_settings
from opentrail.services.personalize.engine.schemas import DATASET_TYPES
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot

SOLUTION, RECOMMENDER = "solution", "recommender"
VERSIONS = {SOLUTION: "solution-version", RECOMMENDER: "recommender-version"}
"""The kind of the trainings of a subject."""
EXPLORATION = {"exploration_weight": 1.0, "exploration_item_age_cut_off": 10_000.0}
"""Settings of itemExplorationConfig and the greatest value of each."""
MOST_TRIALS = 40
USUAL_TRIALS = 8
"""Trainings that tuning makes at most, and when the solution names no number."""
USUAL_RATE = 7
_RATE = re.compile(r"rate\((\d+) days?\)", re.ASCII)


def recipe_of(subject: Resource) -> Recipe:
    """The recipe of a solution or a recommender."""
    return find_recipe(msgspec.json.decode(subject.body)["recipeArn"].rpartition("/")[2])


def config_of(subject: Resource) -> dict[str, Any]:
    """solutionConfig or recommenderConfig; empty when there is none."""
    body = msgspec.json.decode(subject.body)
    config: dict[str, Any] = body.get("solutionConfig") or body.get("recommenderConfig") or {}
    return config


def settings_of(subject: Resource) -> dict[str, Any]:
    """What a subject says of its training, as JSON values: hyperparameters, event rules (type, threshold, weight), aims, the columns
    that it reads, and how to tune."""
    body, config = msgspec.json.decode(subject.body), config_of(subject)
    listed = config.get("eventsConfig", {}).get("eventParametersList", [])
    rules = [[one["eventType"], one.get("eventValueThreshold"), one.get("weight", 1.0)] for one in listed]
    if not rules and body.get("eventType"):
        threshold = config.get("eventValueThreshold")
        rules = [[body["eventType"], float(threshold) if threshold else None, 1.0]]
    aim = config.get("optimizationObjective", {})
    aims = [[aim["itemAttribute"], aim.get("objectiveSensitivity", "MEDIUM")]] if aim.get("itemAttribute") else []
    return {
        "hyperparameters": config.get("algorithmHyperParameters", {}),
        "rules": rules,
        "aims": aims,
        "columns": config.get("trainingDataConfig", {}),
        "hpo": config.get("hpoConfig", {}) if body.get("performHPO") else None,
    }


def ranges_of(hpo: Mapping[str, Any]) -> Ranges:
    """What hpoConfig lets vary; nothing when it names nothing."""
    given = hpo.get("algorithmHyperParameterRanges", {})
    spans = {
        kind: {one["name"]: (one["minValue"], one["maxValue"]) for one in given.get(f"{kind}HyperParameterRanges", ())}
        for kind in ("integer", "continuous")
    }
    words = {one["name"]: tuple(one["values"]) for one in given.get("categoricalHyperParameterRanges", ())}
    return Ranges(spans["integer"], spans["continuous"], words)


def trials_of(hpo: Mapping[str, Any]) -> int:
    """How many trainings hpoConfig asks for. Raises ServiceError."""
    text = hpo.get("hpoResourceConfig", {}).get("maxNumberOfTrainingJobs")
    if text is None:
        return USUAL_TRIALS
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_TRIALS:
        raise resources.invalid("hpoResourceConfig.maxNumberOfTrainingJobs must be a number from 1 to {most}.", most=MOST_TRIALS)
    return int(text)


def check_tuning(recipe: Recipe, hpo: Mapping[str, Any]) -> None:
    """Refuses what cannot be tuned: recipes without tunable hyperparameters, unknown or too wide ranges, an own objective."""
    if not any(one.tunable for one in recipe.hyperparameters.values()):
        raise resources.invalid("Recipe {name} has no hyperparameter to tune: leave performHPO out.", name=recipe.name)
    if hpo.get("hpoObjective"):
        raise resources.invalid("hpoConfig.hpoObjective cannot be configured.")
    for kind in ("integer", "continuous"):
        for one in hpo.get("algorithmHyperParameterRanges", {}).get(f"{kind}HyperParameterRanges", ()):
            if not {"name", "minValue", "maxValue"} <= set(one):
                raise resources.invalid("A range of {kind} hyperparameters must have name, minValue and maxValue.", kind=kind)
    for one in hpo.get("algorithmHyperParameterRanges", {}).get("categoricalHyperParameterRanges", ()):
        if not one.get("name") or not one.get("values"):
            raise resources.invalid("A range of categorical hyperparameters must have name and values.")
    trials_of(hpo)
    check_ranges(recipe, ranges_of(hpo))


def check_config(recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Refuses hyperparameters, thresholds, event rules and columns that break a rule of their own."""
    read_settings(recipe, config.get("algorithmHyperParameters", {}))
    threshold = config.get("eventValueThreshold")
    try:
        float(threshold or 0)
    except ValueError:
        raise resources.invalid("solutionConfig.eventValueThreshold must be a number.") from None
    check_events(config.get("eventsConfig", {}))
    rate_of(config)
    given = config.get("trainingDataConfig", {})
    for kind in (*given.get("includedDatasetColumns", ()), *given.get("excludedDatasetColumns", ())):
        if kind.upper() not in DATASET_TYPES:
            raise resources.invalid("trainingDataConfig may name columns of {types}.", types=", ".join(DATASET_TYPES))
    if set(given.get("includedDatasetColumns", ())) & set(given.get("excludedDatasetColumns", ())):
        raise resources.invalid("trainingDataConfig may include or exclude columns of a dataset, not both.")


def check_events(config: Mapping[str, Any]) -> None:
    """Refuses event rules without a type."""
    if any("eventType" not in one for one in config.get("eventParametersList", ())):
        raise resources.invalid("eventsConfig: every entry must name its eventType.")


def check_exploration(given: Mapping[str, str], where: str) -> None:
    """Refuses settings of itemExplorationConfig that are unknown or out of range."""
    for name, text in given.items():
        if name not in EXPLORATION:
            raise resources.invalid("{where}.itemExplorationConfig may hold {names}.", where=where, names=" and ".join(EXPLORATION))
        try:
            fits = 0 <= float(text) <= EXPLORATION[name]
        except ValueError:
            fits = False
        if not fits:
            raise resources.invalid("{name} must be a number between 0 and {most}.", name=name, most=EXPLORATION[name])


def check_columns(snapshot: Snapshot, group: str, config: Mapping[str, Any]) -> None:
    """Refuses columns of trainingDataConfig that no dataset of the group has."""
    given = config.get("trainingDataConfig", {})
    held = {one.arn.rpartition("/")[2]: one for one in store.children(snapshot, group, datasets.KIND)}
    for listed in given.values():
        for kind, names in listed.items():
            schema = datasets.schema_of(snapshot, held[kind.upper()]) if kind.upper() in held else None
            if schema is None or any(schema.field(name) is None for name in names):
                raise resources.invalid("trainingDataConfig names a column of {kind} that no dataset of the group has.", kind=kind.upper())


def rate_of(config: Mapping[str, Any]) -> int:
    """Days between two automatic trainings. Raises ServiceError."""
    text = config.get("autoTrainingConfig", {}).get("schedulingExpression")
    if text is None:
        return USUAL_RATE
    found = _RATE.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= 30:
        raise resources.invalid("autoTrainingConfig.schedulingExpression must be rate(N days), N from 1 to 30.")
    return int(found[1])


def wanted_of(recipe: Recipe) -> str:
    """The type of the dataset without which a recipe cannot be trained."""
    if recipe.engine == "actions":
        return "ACTION_INTERACTIONS"
    return "INTERACTIONS" if recipe.interactions else "ITEMS"


def has_data(snapshot: Snapshot, group: str, recipe: Recipe) -> bool:
    """Whether something was imported into the dataset that the recipe needs."""
    held = [one for one in store.children(snapshot, group, datasets.KIND) if one.arn.endswith(f"/{wanted_of(recipe)}")]
    return any(msgspec.json.decode(one.body).get("segments") for one in held)


def check_data(snapshot: Snapshot, group: str, recipe: Recipe) -> None:
    """Refuses a training without data."""
    if not has_data(snapshot, group, recipe):
        raise resources.invalid("The dataset group {group} has no {kind} data: import some first.", group=group, kind=wanted_of(recipe))


def folder_name(version: Resource) -> str:
    """The folder of a version's first model, of its own."""
    return "-".join((version.account, version.region, *version.arn.split(":")[-1].split("/")))


def model_folder(version: Resource) -> str:
    """The folder of the model that a version has now: an update makes another one."""
    name: str = msgspec.json.decode(version.body).get("folder") or folder_name(version)
    return name


def newest(versions: Sequence[Resource], *statuses: str) -> Resource | None:
    """The newest version with one of these statuses."""
    return next((one for one in reversed(versions) if one.status in statuses), None)
