"""Solutions: CreateSolution, DescribeSolution, ListSolutions, DeleteSolution. What to train, on which group, how."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import builtins, dataset_groups, resources, store
from opentrail.services.personalize.engine.recipes import Recipe, find_recipe, read_settings
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = "solution"
VERSION = "solution-version"
OFFERED = ("USER_PERSONALIZATION", "PERSONALIZED_RANKING", "POPULAR_ITEMS", "RELATED_ITEMS")
"""Types of recipes that campaigns here can serve."""
_NOT_OFFERED = ("performHPO", "performAutoML", "performAutoTraining", "performIncrementalUpdate")
_CONFIG = ("eventValueThreshold", "algorithmHyperParameters", "eventsConfig", "optimizationObjective")

Plan = tuple[Input, list[tuple[str, str]], str]


def prepare_create(call: Call, input: Input) -> Plan:
    """CreateSolution, first half: the recipe, its hyperparameters, and nothing that is not offered."""
    tags = resources.checked_tags(input.tags)
    for name in _NOT_OFFERED:
        if getattr(input, name):
            raise resources.invalid("{name} is not supported: solutions are trained when a solution version is created.", name=name)
    if input.recipeArn is None:
        raise resources.invalid("recipeArn is required.")
    recipe = find_recipe(builtins.find("recipe", input.recipeArn).name)
    if recipe.domain is not None or recipe.type not in OFFERED:
        raise resources.invalid("Recipe {name} is not supported for solutions.", name=recipe.name)
    config: dict[str, Any] = plain(input.solutionConfig) or {}
    for name in config:
        if name not in _CONFIG:
            raise resources.invalid("solutionConfig.{name} is not supported.", name=name)
    _check(recipe, config)
    body = resources.present(
        recipeArn=input.recipeArn, performHPO=False, performAutoML=False, performAutoTraining=False, eventType=input.eventType,
        solutionConfig=config or None,
    )  # fmt: skip
    return input, tags, msgspec.json.encode(body).decode()


def _check(recipe: Recipe, config: dict[str, Any]) -> None:
    read_settings(recipe, config.get("algorithmHyperParameters", {}))
    threshold = config.get("eventValueThreshold")
    try:
        float(threshold or 0)
    except ValueError:
        raise resources.invalid("solutionConfig.eventValueThreshold must be a number.") from None
    if any("eventType" not in one for one in config.get("eventsConfig", {}).get("eventParametersList", ())):
        raise resources.invalid("solutionConfig.eventsConfig: every entry must name its eventType.")


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
    return {"solutionArn": resources.create(tx, call, resources.new(call, KIND, input.name, body, parent=group.arn), tags).arn}


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


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteSolution, with its versions; not while a campaign serves one or one is being trained."""
    resources.delete(tx, call, KIND, input.solutionArn)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A solution as lists show it."""
    return {**resources.common(found), "solutionArn": found.arn, "recipeArn": msgspec.json.decode(found.body)["recipeArn"]}


def version_summary(found: Resource) -> dict[str, Any]:
    """A solution version as lists show it."""
    shown = resources.common(found)
    del shown["name"]
    reason = resources.present(failureReason=msgspec.json.decode(found.body).get("failureReason"))
    return {"solutionVersionArn": found.arn, "trainingMode": "FULL", "trainingType": "MANUAL", **shown, **reason}
