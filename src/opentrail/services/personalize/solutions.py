"""Solutions: CreateSolution, DescribeSolution, ListSolutions, UpdateSolution, DeleteSolution. What to train, on which group, how."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import builtins, dataset_groups, resources, store, subjects
from opentrail.services.personalize.engine.recipes import Recipe, find_recipe
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = subjects.SOLUTION
VERSION = subjects.VERSIONS[KIND]
_CONFIG = (
    "eventValueThreshold", "algorithmHyperParameters", "eventsConfig", "optimizationObjective", "hpoConfig", "trainingDataConfig",
    "autoTrainingConfig",
)  # fmt: skip
_INCREMENTAL = "aws-semantic-similarity"
"""The recipe that performIncrementalUpdate is for (AWS's rule)."""

Plan = tuple[Input, list[tuple[str, str]], str]


def prepare_create(call: Call, input: Input) -> Plan:
    """CreateSolution, first half: the recipe, its hyperparameters, and nothing that is not offered."""
    tags = resources.checked_tags(input.tags)
    if input.performAutoML:
        raise resources.invalid("performAutoML is not supported: name the recipe.")
    if input.recipeArn is None:
        raise resources.invalid("recipeArn is required.")
    recipe = find_recipe(builtins.find("recipe", input.recipeArn).name)
    if recipe.domain is not None:
        raise resources.invalid("Recipe {name} is for recommenders: call CreateRecommender.", name=recipe.name)
    config: dict[str, Any] = plain(input.solutionConfig) or {}
    for name in config:
        if name not in _CONFIG:
            raise resources.invalid("solutionConfig.{name} is not supported.", name=name)
    subjects.check_config(recipe, config)
    if input.performHPO:
        subjects.check_tuning(recipe, config.get("hpoConfig", {}))
    check_incremental(recipe, input.performIncrementalUpdate)
    body = resources.present(
        recipeArn=input.recipeArn,
        performHPO=bool(input.performHPO),
        performAutoML=False,
        # AWS's default, too.
        performAutoTraining=input.performAutoTraining is not False,
        performIncrementalUpdate=input.performIncrementalUpdate,
        eventType=input.eventType,
        solutionConfig=config or None,
    )
    return input, tags, msgspec.json.encode(body).decode()


def check_incremental(recipe: Recipe, wanted: bool | None) -> None:
    """Refuses incremental updates of a recipe that has none."""
    if wanted and recipe.name != _INCREMENTAL:
        raise resources.invalid("performIncrementalUpdate is supported by {name} only.", name=_INCREMENTAL)


def plain(value: Any) -> Any:
    """An input's structures as mappings without absent members."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(inner) for name, inner in msgspec.structs.asdict(value).items() if inner is not None}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def create(tx: Tx, call: Call, plan: Plan) -> Output:
    """CreateSolution."""
    input, tags, body = plan
    group = resources.find(tx, call, dataset_groups.KIND, input.datasetGroupArn)
    made = resources.new(call, KIND, input.name, body, parent=group.arn)
    subjects.check_columns(tx, group.arn, subjects.config_of(made))
    return {"solutionArn": resources.create(tx, call, made, tags).arn}


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeSolution."""
    found = resources.find(snapshot, call, KIND, input.solutionArn)
    shown = {**summary(found), **msgspec.json.decode(found.body), "datasetGroupArn": found.parent}
    versions = store.children(snapshot, found.arn, VERSION)
    if versions:
        shown["latestSolutionVersion"] = version_summary(versions[-1])
    return {"solution": shown}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListSolutions."""
    return resources.listed(snapshot, call, input, KIND, "solutions", summary, input.datasetGroupArn)


def prepare_update(call: Call, input: Input) -> tuple[Input, dict[str, Any]]:
    """UpdateSolution, first half."""
    config: dict[str, Any] = plain(input.solutionUpdateConfig) or {}
    subjects.rate_of(config)
    subjects.check_events(config.get("eventsConfig", {}))
    return input, config


def update(tx: Tx, call: Call, plan: tuple[Input, dict[str, Any]]) -> Output:
    """UpdateSolution: its schedule and its event rules, from the next training on."""
    input, config = plan
    found = resources.find(tx, call, KIND, input.solutionArn)
    check_incremental(subjects.recipe_of(found), input.performIncrementalUpdate)
    changed = resources.present(performAutoTraining=input.performAutoTraining, performIncrementalUpdate=input.performIncrementalUpdate)
    body = msgspec.json.decode(found.body)
    if changed.get("performAutoTraining") and not body["performAutoTraining"]:
        # From now on the schedule is kept: what fell due while it was off is not made up for.
        body["autoTrainingSince"] = call.now
    body |= changed
    if config:
        body["solutionConfig"] = {**body.get("solutionConfig", {}), **config}
    times = {"status": resources.ACTIVE, "creationDateTime": call.now, "lastUpdatedDateTime": call.now}
    body["latestSolutionUpdate"] = {**resources.present(solutionUpdateConfig=config or None), **changed, **times}
    store.update(tx, found._replace(updated=call.now, body=msgspec.json.encode(body).decode()))
    return {"solutionArn": found.arn}


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteSolution, with its versions; not while a campaign serves one or one is being trained."""
    resources.delete(tx, call, KIND, input.solutionArn)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A solution as lists show it."""
    return {**resources.common(found), "solutionArn": found.arn, "recipeArn": msgspec.json.decode(found.body)["recipeArn"]}


def version_summary(found: Resource) -> dict[str, Any]:
    """A solution version as lists show it."""
    shown, body = resources.common(found), msgspec.json.decode(found.body)
    del shown["name"]
    mode = {"trainingMode": body.get("trainingMode", "FULL"), "trainingType": body.get("trainingType", "MANUAL")}
    return {"solutionVersionArn": found.arn, **mode, **shown, **resources.present(failureReason=body.get("failureReason"))}
