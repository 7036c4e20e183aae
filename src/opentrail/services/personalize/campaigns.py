"""Campaigns: CreateCampaign, DescribeCampaign, ListCampaigns, UpdateCampaign, DeleteCampaign. They serve at once."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import resources, solution_versions, solutions, store
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = "campaign"
EXPLORATION = {"exploration_weight": 1.0, "exploration_item_age_cut_off": 10_000.0}
"""Settings of itemExplorationConfig and the greatest value of each."""


def prepare_create(call: Call, input: Input) -> tuple[Input, list[tuple[str, str]], dict[str, Any]]:
    """CreateCampaign, first half."""
    return input, resources.checked_tags(input.tags), _config(input)


def create(tx: Tx, call: Call, plan: tuple[Input, list[tuple[str, str]], dict[str, Any]]) -> Output:
    """CreateCampaign."""
    input, tags, config = plan
    version = solution_versions.active(tx, call, input.solutionVersionArn)
    _check_recipe(tx, version, config)
    body = msgspec.json.encode({"minProvisionedTPS": input.minProvisionedTPS or 1, **config}).decode()
    made = resources.new(call, KIND, input.name, body, parent=version.parent, uses=version.arn)
    return {"campaignArn": resources.create(tx, call, made, tags).arn}


def _config(input: Input) -> dict[str, Any]:
    config: dict[str, Any] | None = solutions.plain(input.campaignConfig)
    if config is None:
        return {}
    for name in ("syncWithLatestSolutionVersion", "rankingInfluence"):
        if config.get(name):
            raise resources.invalid("campaignConfig.{name} is not supported.", name=name)
    for name, text in config.get("itemExplorationConfig", {}).items():
        if name not in EXPLORATION:
            raise resources.invalid("campaignConfig.itemExplorationConfig may hold {names}.", names=" and ".join(EXPLORATION))
        try:
            fits = 0 <= float(text) <= EXPLORATION[name]
        except ValueError:
            fits = False
        if not fits:
            raise resources.invalid("{name} must be a number between 0 and {most}.", name=name, most=EXPLORATION[name])
    return {"campaignConfig": config}


def _check_recipe(snapshot: Snapshot, version: Resource, config: dict[str, Any]) -> None:
    solution = store.one(snapshot, version.parent or "")
    assert solution is not None, "versions go with their solution"
    recipe = solution_versions.recipe_of(solution)
    if config.get("campaignConfig", {}).get("itemExplorationConfig") and not recipe.explores:
        raise resources.invalid("Recipe {name} does not explore: leave itemExplorationConfig out.", name=recipe.name)


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
    _check_recipe(tx, version, config)
    body = msgspec.json.decode(found.body)
    body |= {**resources.present(minProvisionedTPS=input.minProvisionedTPS), **config}
    shown = {name: body[name] for name in ("minProvisionedTPS", "campaignConfig") if name in body}
    times = {"status": resources.ACTIVE, "creationDateTime": call.now, "lastUpdatedDateTime": call.now}
    body["latestCampaignUpdate"] = {"solutionVersionArn": version.arn, **shown, **times}
    store.update(tx, found._replace(updated=call.now, uses=version.arn, body=msgspec.json.encode(body).decode()))
    return {"campaignArn": found.arn}


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteCampaign."""
    resources.delete(tx, call, KIND, input.campaignArn)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A campaign as lists show it."""
    return {**resources.common(found), "campaignArn": found.arn}
