"""Batch jobs: Create, Describe and List of BatchInferenceJob and of BatchSegmentJob. The work is in `batch_work`."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import campaigns, filters, queue, resources, solution_versions, solutions, store, subjects
from opentrail.services.personalize.engine.filter_language import parse_filter
from opentrail.services.personalize.engine.recipes import Recipe
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.work import location, no_key
from opentrail.store.sql import Snapshot, Tx

INFERENCE, SEGMENT = "batch-inference-job", "batch-segment-job"
USUAL_RESULTS = 25
MOST_ITEMS, MOST_USERS = 500, 5_000_000

Plan = tuple[Input, list[tuple[str, str]], dict[str, Any]]


def prepare_inference(call: Call, input: Input) -> Plan:
    """CreateBatchInferenceJob, first half."""
    if input.batchInferenceJobMode == "THEME_GENERATION":
        raise resources.invalid(
            "batchInferenceJobMode THEME_GENERATION is not supported: it needs a language model, and there is none here."
        )
    if input.themeGenerationConfig is not None:
        raise resources.invalid("themeGenerationConfig belongs to batchInferenceJobMode THEME_GENERATION, which is not supported.")
    config: dict[str, Any] = solutions.plain(input.batchInferenceJobConfig) or {}
    subjects.check_exploration(config.get("itemExplorationConfig", {}), "batchInferenceJobConfig")
    body = _body(input, MOST_ITEMS) | {"batchInferenceJobMode": "BATCH_INFERENCE"}
    return input, resources.checked_tags(input.tags), body | ({"batchInferenceJobConfig": config} if config else {})


def prepare_segment(call: Call, input: Input) -> Plan:
    """CreateBatchSegmentJob, first half."""
    return input, resources.checked_tags(input.tags), _body(input, MOST_USERS)


def _body(input: Input, most: int) -> dict[str, Any]:
    source, target = input.jobInput.s3DataSource, input.jobOutput.s3DataDestination
    for one, member in ((source, "jobInput.s3DataSource"), (target, "jobOutput.s3DataDestination")):
        location(one.path, f"{member}.path")
        no_key(one, member)
    results = USUAL_RESULTS if input.numResults is None else input.numResults
    if not 1 <= results <= most:
        raise resources.invalid("numResults must lie between 1 and {most}.", most=most)
    return {
        "jobInput": {"s3DataSource": {"path": source.path}},
        "jobOutput": {"s3DataDestination": {"path": target.path}},
        "roleArn": input.roleArn,
        "numResults": results,
        **resources.present(filterArn=input.filterArn),
    }


def create_inference(tx: Tx, call: Call, plan: Plan) -> Output:
    """CreateBatchInferenceJob."""
    return {"batchInferenceJobArn": _create(tx, call, plan, INFERENCE, "ItemID").arn}


def create_segment(tx: Tx, call: Call, plan: Plan) -> Output:
    """CreateBatchSegmentJob."""
    return {"batchSegmentJobArn": _create(tx, call, plan, SEGMENT, "UserID").arn}


def _create(tx: Tx, call: Call, plan: Plan, kind: str, target: str) -> Resource:
    input, tags, body = plan
    version = solution_versions.active(tx, call, input.solutionVersionArn)
    solution = store.one(tx, version.parent or "")
    assert solution is not None, "versions go with their solution"
    _check_recipe(subjects.recipe_of(solution), kind, body.get("batchInferenceJobConfig", {}))
    if input.filterArn is not None:
        found = resources.find(tx, call, filters.KIND, input.filterArn)
        if found.parent != solution.parent:
            raise resources.invalid("The filter {arn} belongs to another dataset group.", arn=found.arn)
        if parse_filter(found.body)[0].target != target:
            raise resources.invalid("The filter {arn} must be one of {target}.", arn=found.arn, target=target)
    made = resources.new(call, kind, input.jobName, msgspec.json.encode(body).decode(), parent=version.arn)
    made = resources.create(tx, call, made._replace(status=resources.PENDING), tags)
    queue.submit(tx, made, call.now)
    return made


def _check_recipe(recipe: Recipe, kind: str, config: dict[str, Any]) -> None:
    segments = recipe.type == "USER_SEGMENTATION"
    if segments != (kind == SEGMENT) or recipe.engine == "actions":
        raise resources.invalid("Recipe {name} cannot be used for a {kind}.", name=recipe.name, kind=kind)
    campaigns.check_recipe(recipe, config)


def describe_inference(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeBatchInferenceJob."""
    return {"batchInferenceJob": _described(resources.find(snapshot, call, INFERENCE, input.batchInferenceJobArn))}


def describe_segment(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeBatchSegmentJob."""
    return {"batchSegmentJob": _described(resources.find(snapshot, call, SEGMENT, input.batchSegmentJobArn))}


def _described(found: Resource) -> dict[str, Any]:
    names = ("jobInput", "jobOutput", "roleArn", "numResults", "filterArn", "batchInferenceJobConfig")
    body = msgspec.json.decode(found.body)
    return {**summary(found), **{name: body[name] for name in names if name in body}}


def list_inference(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListBatchInferenceJobs."""
    return resources.listed(snapshot, call, input, INFERENCE, "batchInferenceJobs", summary, input.solutionVersionArn)


def list_segment(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListBatchSegmentJobs."""
    return resources.listed(snapshot, call, input, SEGMENT, "batchSegmentJobs", summary, input.solutionVersionArn)


def summary(found: Resource) -> dict[str, Any]:
    """A batch job as lists show it."""
    body, member = msgspec.json.decode(found.body), "batchInferenceJobArn" if found.kind == INFERENCE else "batchSegmentJobArn"
    more = {name: body[name] for name in ("failureReason", "batchInferenceJobMode") if name in body}
    return {member: found.arn, "solutionVersionArn": found.parent, **resources.job(found), **more}
