"""Recommenders of domain dataset groups: CreateRecommender, DescribeRecommender, ListRecommenders, UpdateRecommender, StartRecommender,
StopRecommender, DeleteRecommender. A recommender trains by itself; its trainings are versions that no caller sees."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import builtins, campaigns, dataset_groups, queue, resources, solutions, store, subjects
from opentrail.services.personalize.engine.recipes import Recipe, find_recipe
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = subjects.RECOMMENDER
VERSION = subjects.VERSIONS[KIND]

Plan = tuple[Input, list[tuple[str, str]], Recipe, dict[str, Any], str]


def prepare_create(call: Call, input: Input) -> Plan:
    """CreateRecommender, first half."""
    recipe = find_recipe(builtins.find("recipe", input.recipeArn).name)
    if recipe.domain is None:
        raise resources.invalid("Recipe {name} is for solutions: call CreateSolution.", name=recipe.name)
    return input, resources.checked_tags(input.tags), recipe, _config(recipe, input), call.tools.ids.hex(8)


def _config(recipe: Recipe, input: Input) -> dict[str, Any]:
    config: dict[str, Any] = solutions.plain(input.recommenderConfig) or {}
    subjects.check_exploration(config.get("itemExplorationConfig", {}), "recommenderConfig")
    campaigns.check_recipe(recipe, config)
    subjects.check_config(recipe, config)
    return config


def create(tx: Tx, call: Call, plan: Plan) -> Output:
    """CreateRecommender: it serves once its first training is done."""
    input, tags, recipe, config, drawn = plan
    group = resources.find(tx, call, dataset_groups.KIND, input.datasetGroupArn)
    if group.domain != recipe.domain:
        raise resources.invalid(
            "Recipe {name} is one of domain {domain}; the dataset group {group} is not.",
            name=recipe.name,
            domain=recipe.domain,
            group=group.arn,
        )
    subjects.check_columns(tx, group.arn, config)
    subjects.check_data(tx, group.arn, recipe)
    body = msgspec.json.encode({"recipeArn": input.recipeArn, "recommenderConfig": config}).decode()
    made = resources.new(call, KIND, input.name, body, domain=group.domain, parent=group.arn)
    made = resources.create(tx, call, made._replace(status=resources.PENDING), tags)
    train(tx, made, drawn, call.now)
    return {"recommenderArn": made.arn}


def train(tx: Tx, recommender: Resource, drawn: str, now: float) -> None:
    """Asks for a training of a recommender."""
    version = recommender._replace(
        arn=f"{recommender.arn}/{drawn}", kind=VERSION, name=drawn, status=resources.PENDING, created=now, updated=now, body="{}",
        parent=recommender.arn, uses=None,
    )  # fmt: skip
    store.insert(tx, version)
    queue.submit(tx, version, now)


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeRecommender."""
    found = resources.find(snapshot, call, KIND, input.recommenderArn)
    body = msgspec.json.decode(found.body)
    more = {name: body[name] for name in ("failureReason", "latestRecommenderUpdate") if name in body}
    version = store.one(snapshot, found.uses or "")
    metrics = msgspec.json.decode(version.body).get("metrics") if version is not None else None
    return {"recommender": {**summary(found), "status": _status(snapshot, found), **more, **resources.present(modelMetrics=metrics)}}


def _status(snapshot: Snapshot, found: Resource) -> str:
    """The status, with what its first training is at."""
    training = store.children(snapshot, found.arn, VERSION)
    return training[-1].status if found.status == resources.PENDING and training else found.status


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListRecommenders."""
    return resources.listed(snapshot, call, input, KIND, "recommenders", summary, input.datasetGroupArn)


def prepare_update(call: Call, input: Input) -> tuple[Input, str]:
    """UpdateRecommender, first half: draws the id of a training that may be needed."""
    return input, call.tools.ids.hex(8)


def update(tx: Tx, call: Call, plan: tuple[Input, str]) -> Output:
    """UpdateRecommender. Other training columns need a training: the update is then active when that is done, all else is at once."""
    input, drawn = plan
    found = resources.find(tx, call, KIND, input.recommenderArn)
    _must_be(found, resources.ACTIVE, resources.INACTIVE)
    config = _config(subjects.recipe_of(found), input)
    subjects.check_columns(tx, found.parent or "", config)
    body = msgspec.json.decode(found.body)
    retrain = config.get("trainingDataConfig") != body["recommenderConfig"].get("trainingDataConfig")
    body["recommenderConfig"] = config
    status = resources.PENDING if retrain else resources.ACTIVE
    times = {"creationDateTime": call.now, "lastUpdatedDateTime": call.now}
    body["latestRecommenderUpdate"] = {"recommenderConfig": config, "status": status, **times}
    if retrain:
        _check_idle(tx, found)
        train(tx, found, drawn, call.now)
    store.update(tx, found._replace(updated=call.now, body=msgspec.json.encode(body).decode()))
    return {"recommenderArn": found.arn}


def _check_idle(snapshot: Snapshot, found: Resource) -> None:
    if any(one.status in resources.UNDER_WAY for one in store.children(snapshot, found.arn, VERSION)):
        raise _in_use(found, "is being trained")


def _in_use(found: Resource, why: str) -> Exception:
    return resources.busy("The recommender {arn} {why}: try again later.", arn=found.arn, why=why)


def _must_be(found: Resource, *statuses: str) -> None:
    if found.status not in statuses:
        raise _in_use(found, f"is {found.status}")


def start(tx: Tx, call: Call, input: Input) -> Output:
    """StartRecommender: it serves again what it served before; its schedule of trainings goes on."""
    return _turn(tx, call, input, resources.INACTIVE, resources.ACTIVE)


def stop(tx: Tx, call: Call, input: Input) -> Output:
    """StopRecommender: it answers no more and trains no more."""
    return _turn(tx, call, input, resources.ACTIVE, resources.INACTIVE)


def _turn(tx: Tx, call: Call, input: Input, before: str, after: str) -> Output:
    found = resources.find(tx, call, KIND, input.recommenderArn)
    _must_be(found, before)
    store.update(tx, found._replace(status=after, updated=call.now))
    return {"recommenderArn": found.arn}


def trained(tx: Tx, version: Resource, now: float) -> None:
    """A training of a recommender is done: it serves that one from now on, and the ones before go."""
    found = store.one(tx, version.parent or "")
    assert found is not None, "a recommender that is being trained is not deleted"
    for one in store.children(tx, found.arn, VERSION):
        if one.arn != version.arn and one.status not in resources.UNDER_WAY:
            store.delete(tx, one.arn)
            queue.forget(tx, one.arn)
    status = resources.ACTIVE if found.status == resources.PENDING else found.status
    _settle(tx, found._replace(status=status, uses=version.arn), {"status": resources.ACTIVE}, now)


def failed(tx: Tx, version: Resource, reason: str, now: float) -> None:
    """A training of a recommender failed: the recommender with it when it was the first, else it serves on."""
    found = store.one(tx, version.parent or "")
    if found is None:
        return
    outcome = {"status": resources.FAILED, "failureReason": reason}
    if found.status == resources.PENDING:
        body = msgspec.json.encode({**msgspec.json.decode(found.body), "failureReason": reason}).decode()
        store.update(tx, found._replace(status=resources.FAILED, updated=now, body=body))
    else:
        _settle(tx, found, outcome, now)


def _settle(tx: Tx, found: Resource, outcome: dict[str, Any], now: float) -> None:
    body = msgspec.json.decode(found.body)
    latest = body.get("latestRecommenderUpdate")
    if latest is not None and latest["status"] == resources.PENDING:
        body["latestRecommenderUpdate"] = {**latest, **outcome, "lastUpdatedDateTime": now}
    store.update(tx, found._replace(updated=now, body=msgspec.json.encode(body).decode()))


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteRecommender; not while it is being trained."""
    resources.delete(tx, call, KIND, input.recommenderArn)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A recommender as lists show it."""
    body = msgspec.json.decode(found.body)
    more = resources.present(recommenderConfig=body.get("recommenderConfig") or None)
    return {**resources.common(found), "recommenderArn": found.arn, "datasetGroupArn": found.parent, "recipeArn": body["recipeArn"], **more}
