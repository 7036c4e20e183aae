"""Solution versions: CreateSolutionVersion, DescribeSolutionVersion, ListSolutionVersions, StopSolutionVersionCreation,
GetSolutionMetrics. The work is in `training`."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import datasets, resources, solutions, store
from opentrail.services.personalize.engine.recipes import Recipe, find_recipe
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = solutions.VERSION

Plan = tuple[Input, list[tuple[str, str]], str]


def prepare_create(call: Call, input: Input) -> Plan:
    """CreateSolutionVersion, first half: draws its id."""
    if input.trainingMode not in (None, "FULL"):
        raise resources.invalid("trainingMode {mode} is not supported: use FULL.", mode=input.trainingMode)
    return input, resources.checked_tags(input.tags), call.tools.ids.hex(8)


def create(tx: Tx, call: Call, plan: Plan) -> Output:
    """CreateSolutionVersion. The group must have data of the kind that the recipe reads."""
    input, tags, drawn = plan
    solution = resources.find(tx, call, solutions.KIND, input.solutionArn)
    recipe = recipe_of(solution)
    wanted = "INTERACTIONS" if recipe.interactions else "ITEMS"
    held = [one for one in store.children(tx, solution.parent or "", datasets.KIND) if one.arn.endswith(f"/{wanted}")]
    if not any(msgspec.json.decode(one.body).get("segments") for one in held):
        raise resources.invalid("The dataset group {group} has no {kind} data: import some first.", group=solution.parent, kind=wanted)
    made = resources.new(call, KIND, input.name or drawn, "{}", parent=solution.arn, path=f"{solution.name}/{drawn}")
    resources.create(tx, call, made._replace(status=resources.PENDING), tags)
    store.add_job(tx, made.arn, call.now)
    return {"solutionVersionArn": made.arn}


def recipe_of(solution: Resource) -> Recipe:
    """The recipe of a solution."""
    return find_recipe(msgspec.json.decode(solution.body)["recipeArn"].rpartition("/")[2])


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeSolutionVersion."""
    found = resources.find(snapshot, call, KIND, input.solutionVersionArn)
    solution = store.one(snapshot, found.parent or "")
    assert solution is not None, "versions go with their solution"
    shown = {**solutions.version_summary(found), **msgspec.json.decode(solution.body)}
    shown.pop("performAutoTraining", None)
    more = {"name": found.name, "solutionArn": solution.arn, "datasetGroupArn": solution.parent}
    hours = msgspec.json.decode(found.body).get("trainingHours")
    return {"solutionVersion": {**shown, **more, **resources.present(trainingHours=hours)}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListSolutionVersions."""
    if input.solutionArn is not None:
        resources.find(snapshot, call, solutions.KIND, input.solutionArn)
    return resources.listed(snapshot, call, input, KIND, "solutionVersions", solutions.version_summary, input.solutionArn)


def stop(tx: Tx, call: Call, input: Input) -> Output:
    """StopSolutionVersionCreation."""
    found = resources.find(tx, call, KIND, input.solutionVersionArn)
    if found.status not in (resources.PENDING, resources.IN_PROGRESS):
        raise resources.invalid("The solution version {arn} is {state}: there is nothing to stop.", arn=found.arn, state=found.status)
    store.stop_job(tx, found.arn)
    store.update(tx, found._replace(status=resources.STOPPING, updated=call.now))
    return {}


def metrics(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """GetSolutionMetrics."""
    found = active(snapshot, call, input.solutionVersionArn)
    return {"solutionVersionArn": found.arn, "metrics": msgspec.json.decode(found.body)["metrics"]}


def active(snapshot: Snapshot, call: Call, arn: str) -> Resource:
    """A version that is trained. Raises ServiceError."""
    found = resources.find(snapshot, call, KIND, arn)
    if found.status != resources.ACTIVE:
        raise resources.invalid("The solution version {arn} is {state}: it must be ACTIVE.", arn=found.arn, state=found.status)
    return found


def folder_name(version: Resource) -> str:
    """The folder of a version's model, of its own."""
    return "-".join((version.account, version.region, *version.arn.split("/")[1:]))


def settings_of(solution: Resource) -> dict[str, Any]:
    """What a solution says of its training: hyperparameters, event rules (type, threshold, weight) and aims, as JSON values."""
    body = msgspec.json.decode(solution.body)
    config = body.get("solutionConfig", {})
    listed = config.get("eventsConfig", {}).get("eventParametersList", [])
    rules = [[one["eventType"], one.get("eventValueThreshold"), one.get("weight", 1.0)] for one in listed]
    if not rules and body.get("eventType"):
        threshold = config.get("eventValueThreshold")
        rules = [[body["eventType"], float(threshold) if threshold else None, 1.0]]
    aim = config.get("optimizationObjective", {})
    aims = [[aim["itemAttribute"], aim.get("objectiveSensitivity", "MEDIUM")]] if aim.get("itemAttribute") else []
    return {"hyperparameters": config.get("algorithmHyperParameters", {}), "rules": rules, "aims": aims}
