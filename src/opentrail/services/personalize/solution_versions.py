"""Solution versions: CreateSolutionVersion, DescribeSolutionVersion, ListSolutionVersions, StopSolutionVersionCreation,
GetSolutionMetrics. The work is in `training`."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import queue, resources, solutions, store, subjects
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx
from opentrail.work import jobs

KIND = solutions.VERSION
LATEST = "$LATEST"
"""In the place of a version's id: the newest one that is trained."""

Plan = tuple[Input, list[tuple[str, str]], str]


def prepare_create(call: Call, input: Input) -> Plan:
    """CreateSolutionVersion, first half: draws its id."""
    if input.trainingMode not in (None, "FULL", "UPDATE"):
        raise resources.invalid("trainingMode {mode} is not supported: use FULL or UPDATE.", mode=input.trainingMode)
    return input, resources.checked_tags(input.tags), call.tools.ids.hex(8)


def create(tx: Tx, call: Call, plan: Plan) -> Output:
    """CreateSolutionVersion. The group must have data of the kind that the recipe reads."""
    input, tags, drawn = plan
    solution = resources.find(tx, call, solutions.KIND, input.solutionArn)
    subjects.check_data(tx, solution.parent or "", subjects.recipe_of(solution))
    mode: dict[str, Any] = {"trainingMode": "UPDATE", "base": _base(tx, solution)} if input.trainingMode == "UPDATE" else {}
    body = msgspec.json.encode(mode).decode()
    made = resources.new(call, KIND, input.name or drawn, body, parent=solution.arn, path=f"{solution.name}/{drawn}")
    resources.create(tx, call, made._replace(status=resources.PENDING), tags)
    queue.submit(tx, made, call.now)
    return {"solutionVersionArn": made.arn}


def _base(tx: Tx, solution: Resource) -> str:
    recipe = subjects.recipe_of(solution)
    if recipe.engine != "personal" or not recipe.updates:
        raise resources.invalid("Recipe {name} cannot be updated: use trainingMode FULL.", name=recipe.name)
    full = [one for one in store.children(tx, solution.arn, KIND) if "base" not in msgspec.json.decode(one.body)]
    found = subjects.newest(full, resources.ACTIVE)
    if found is None:
        raise resources.invalid("trainingMode UPDATE needs an ACTIVE solution version that was trained with FULL.")
    return found.arn


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeSolutionVersion."""
    found = resources.find(snapshot, call, KIND, input.solutionVersionArn)
    solution = store.one(snapshot, found.parent or "")
    assert solution is not None, "versions go with their solution"
    body, trained = msgspec.json.decode(solution.body), msgspec.json.decode(found.body)
    names = ("performHPO", "performAutoML", "performIncrementalUpdate", "recipeArn", "eventType", "solutionConfig")
    shown = {**solutions.version_summary(found), **{name: body[name] for name in names if name in body}}
    more = {"name": found.name, "solutionArn": solution.arn, "datasetGroupArn": solution.parent}
    tuned = {"algorithmHyperParameters": trained["tuned"]} if trained.get("tuned") else None
    return {"solutionVersion": {**shown, **more, **resources.present(trainingHours=trained.get("trainingHours"), tunedHPOParams=tuned)}}


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
    jobs.stop(tx, found.arn)
    store.update(tx, found._replace(status=resources.STOPPING, updated=call.now))
    return {}


def metrics(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """GetSolutionMetrics."""
    found = active(snapshot, call, input.solutionVersionArn)
    return {"solutionVersionArn": found.arn, "metrics": msgspec.json.decode(found.body)["metrics"]}


def active(snapshot: Snapshot, call: Call, arn: str) -> Resource:
    """A version that is trained; `.../$LATEST` is the newest such of the solution. Raises ServiceError."""
    if arn.endswith(f"/{LATEST}"):
        solution = resources.find(snapshot, call, solutions.KIND, arn.removesuffix(f"/{LATEST}"))
        newest = subjects.newest(store.children(snapshot, solution.arn, KIND), resources.ACTIVE)
        if newest is None:
            raise resources.invalid("The solution {arn} has no ACTIVE solution version.", arn=solution.arn)
        arn = newest.arn
    found = resources.find(snapshot, call, KIND, arn)
    if found.status != resources.ACTIVE:
        raise resources.invalid("The solution version {arn} is {state}: it must be ACTIVE.", arn=found.arn, state=found.status)
    return found
