"""Campaigns: CreateCampaign, DescribeCampaign, ListCampaigns, UpdateCampaign, DeleteCampaign. They serve at once."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import resources, solution_versions, solutions, store, subjects
from opentrail.services.personalize.engine.recipes import Recipe
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = "campaign"
_INFLUENCED = "semantic"
"""The engine whose recipes rankingInfluence is for (AWS's rule)."""


def prepare_create(call: Call, input: Input) -> tuple[Input, list[tuple[str, str]], dict[str, Any]]:
    """CreateCampaign, first half."""
    return input, resources.checked_tags(input.tags), _config(input)


def create(tx: Tx, call: Call, plan: tuple[Input, list[tuple[str, str]], dict[str, Any]]) -> Output:
    """CreateCampaign."""
    input, tags, config = plan
    version = solution_versions.active(tx, call, input.solutionVersionArn)
    check_recipe(_recipe(tx, version), config.get("campaignConfig", {}))
    _check_sync(input.solutionVersionArn, config)
    body = msgspec.json.encode({"minProvisionedTPS": input.minProvisionedTPS or 1, **config}).decode()
    made = resources.new(call, KIND, input.name, body, parent=version.parent, uses=version.arn)
    return {"campaignArn": resources.create(tx, call, made, tags).arn}


def _config(input: Input) -> dict[str, Any]:
    config: dict[str, Any] | None = solutions.plain(input.campaignConfig)
    if config is None:
        return {}
    subjects.check_exploration(config.get("itemExplorationConfig", {}), "campaignConfig")
    return {"campaignConfig": config}


def _check_sync(arn: str, config: dict[str, Any]) -> None:
    if arn.endswith(f"/{solution_versions.LATEST}") and not config.get("campaignConfig", {}).get("syncWithLatestSolutionVersion"):
        raise resources.invalid("A solution version of $LATEST needs campaignConfig.syncWithLatestSolutionVersion.")


def _recipe(snapshot: Snapshot, version: Resource) -> Recipe:
    solution = store.one(snapshot, version.parent or "")
    assert solution is not None, "versions go with their solution"
    recipe = subjects.recipe_of(solution)
    if recipe.type == "USER_SEGMENTATION":
        raise resources.invalid("Recipe {name} makes user segments: call CreateBatchSegmentJob.", name=recipe.name)
    return recipe


def check_recipe(recipe: Recipe, config: dict[str, Any]) -> None:
    """Refuses settings that the recipe does not have."""
    if config.get("itemExplorationConfig") and not recipe.explores:
        raise resources.invalid("Recipe {name} does not explore: leave itemExplorationConfig out.", name=recipe.name)
    if config.get("rankingInfluence") and recipe.engine != _INFLUENCED:
        raise resources.invalid("Recipe {name} has no ranking influence: leave rankingInfluence out.", name=recipe.name)


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeCampaign."""
    found = resources.find(snapshot, call, KIND, input.campaignArn)
    return {"campaign": {**summary(found), "solutionVersionArn": found.uses, **msgspec.json.decode(found.body)}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListCampaigns."""
    return resources.listed(snapshot, call, input, KIND, "campaigns", summary, input.solutionArn)


def prepare_update(call: Call, input: Input) -> tuple[Input, dict[str, Any]]:
    """UpdateCampaign, first half."""
    return input, _config(input)


def update(tx: Tx, call: Call, plan: tuple[Input, dict[str, Any]]) -> Output:
    """UpdateCampaign: another version of the same solution, or other settings, from the next call on."""
    input, config = plan
    found = resources.find(tx, call, KIND, input.campaignArn)
    version = solution_versions.active(tx, call, input.solutionVersionArn or found.uses or "")
    if version.parent != found.parent:
        raise resources.invalid("The solution version {version} is not one of the campaign's solution.", version=version.arn)
    check_recipe(_recipe(tx, version), config.get("campaignConfig", {}))
    body = msgspec.json.decode(found.body)
    body |= {**resources.present(minProvisionedTPS=input.minProvisionedTPS), **config}
    _check_sync(input.solutionVersionArn or "", body)
    serve(tx, found, body, version, call.now)
    return {"campaignArn": found.arn}


def serve(tx: Tx, found: Resource, body: dict[str, Any], version: Resource, now: float) -> None:
    """Lets a campaign of this body serve a version."""
    shown = {name: body[name] for name in ("minProvisionedTPS", "campaignConfig") if name in body}
    times = {"status": resources.ACTIVE, "creationDateTime": now, "lastUpdatedDateTime": now}
    body = {**body, "latestCampaignUpdate": {"solutionVersionArn": version.arn, **shown, **times}}
    store.update(tx, found._replace(updated=now, uses=version.arn, body=msgspec.json.encode(body).decode()))


def follow(tx: Tx, version: Resource, now: float) -> None:
    """Lets every campaign that is kept in step with its solution serve the version that was just trained."""
    for one in store.children(tx, version.parent or "", KIND):
        body = msgspec.json.decode(one.body)
        if body.get("campaignConfig", {}).get("syncWithLatestSolutionVersion"):
            serve(tx, one, body, version, now)


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteCampaign."""
    resources.delete(tx, call, KIND, input.campaignArn)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A campaign as lists show it."""
    return {**resources.common(found), "campaignArn": found.arn}
