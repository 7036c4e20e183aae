"""Automatic trainings and updates: what is due follows from rows alone, so nothing is lost, made up twice, or done beside itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from opentrail.services.personalize import queue, resources, schedules, store
from opentrail.services.personalize.schedules import DAY, FIRST
from opentrail.services.personalize.store import Resource
from tests.databases import Database

PREFIX = "arn:aws:personalize:us-east-1:123456789012:"
GROUP = f"{PREFIX}dataset-group/g"
START = 1_700_000_000.0


def add(database: Database, path: str, kind: str, body: dict[str, Any], parent: str = GROUP, status: str = "ACTIVE", **more: Any) -> str:
    times = {"created": START, "updated": START} | more.pop("times", {})
    row = {"account": "123456789012", "region": "us-east-1", "name": path.rpartition("/")[2], "domain": None, **times}
    made = Resource(arn=PREFIX + path, kind=kind, status=status, body=msgspec.json.encode(body).decode(), parent=parent, **row, **more)
    with database.write() as tx:
        store.insert(tx, made)
    return made.arn


def solution(database: Database, recipe: str = "aws-sims", **body: Any) -> str:
    wanted = {"recipeArn": f"arn:aws:personalize:::recipe/{recipe}", "performAutoTraining": True, **body}
    return add(database, f"solution/{recipe}", "solution", wanted)


@pytest.fixture
def database(main_database: Database) -> Database:
    add(main_database, "dataset-group/g", "dataset-group", {}, "")
    add(main_database, "dataset/g/INTERACTIONS", "dataset", {"segments": ["s"]})
    return main_database


def due(database: Database, now: float) -> list[str]:
    with database.read() as snapshot:
        return [one.resource.arn for one in schedules.due(snapshot, now)]


def plan(database: Database, now: float) -> int:
    with database.write() as tx:
        return schedules.plan(tx, now)


def versions(database: Database, subject: str) -> list[Resource]:
    with database.read() as snapshot:
        return store.children(snapshot, subject, "solution-version")


def test_the_first_training_comes_within_an_hour_and_the_next_by_the_schedule(database: Database) -> None:
    made = solution(database, solutionConfig={"autoTrainingConfig": {"schedulingExpression": "rate(3 days)"}})
    assert due(database, START + FIRST - 1) == []
    assert plan(database, START + FIRST) == 1
    (first,) = versions(database, made)
    assert (first.status, msgspec.json.decode(first.body)["trainingType"]) == (resources.PENDING, "AUTOMATIC")
    with database.read() as snapshot:
        assert queue.updating(snapshot, first.arn) is None
    # While one is under way nothing else is due, however long it takes.
    assert plan(database, START + 30 * DAY) == 0
    with database.write() as tx:
        store.update(tx, first._replace(status="ACTIVE"))
    assert due(database, first.created + 3 * DAY - 1) == []
    # Ten days of standstill are made up for by one training.
    assert plan(database, first.created + 10 * DAY) == 1
    assert plan(database, first.created + 10 * DAY) == 0
    assert len(versions(database, made)) == 2


def test_what_is_switched_off_or_has_no_data_waits(database: Database) -> None:
    solution(database, performAutoTraining=False)
    solution(database, "aws-next-best-action")
    assert due(database, START + 100 * DAY) == []


def test_a_schedule_that_is_switched_on_begins_then(database: Database) -> None:
    made = solution(database, autoTrainingSince=START + 50 * DAY)
    assert due(database, START + 50 * DAY + FIRST - 1) == []
    assert due(database, START + 50 * DAY + FIRST) == [made]


@pytest.mark.parametrize(
    ("recipe", "config", "seconds"),
    [
        ("aws-user-personalization", {}, 7_200),
        ("aws-trending-now", {"solutionConfig": {"algorithmHyperParameters": {"trend_discovery_frequency": "30 minutes"}}}, 1_800),
        ("aws-trending-now", {}, 10_800),
        ("aws-semantic-similarity", {"performIncrementalUpdate": True}, 1_800),
        ("aws-semantic-similarity", {}, 0),
        ("aws-sims", {}, 0),
    ],
)
def test_models_that_serve_are_brought_up_to_date(database: Database, recipe: str, config: dict[str, Any], seconds: int) -> None:
    made = solution(database, recipe, performAutoTraining=False, **config)
    version = add(database, "solution/v/1", "solution-version", {"model": "m", "modelled": START}, made)
    assert due(database, START + 99 * DAY) == []
    for name in ("a", "b"):
        add(database, f"campaign/{name}", "campaign", {}, made, uses=version)
    if not seconds:
        assert due(database, START + 99 * DAY) == []
        return
    assert due(database, START + seconds - 1) == []
    assert plan(database, START + seconds) == 1
    with database.read() as snapshot:
        assert queue.updating(snapshot, version) is not None
    assert plan(database, START + 99 * DAY) == 0


def test_recommenders_train_every_week_unless_they_are_stopped(database: Database) -> None:
    body = {"recipeArn": "arn:aws:personalize:::recipe/aws-ecomm-popular-items-by-views", "recommenderConfig": {}}
    made = add(database, "recommender/r", "recommender", body, uses=f"{PREFIX}recommender/r/1")
    add(database, "recommender/r/1", "recommender-version", {"model": "m"}, made)
    add(database, "recommender/off", "recommender", body, status=resources.INACTIVE)
    assert due(database, START + 7 * DAY - 1) == []
    assert due(database, START + 7 * DAY) == [made]
    assert plan(database, START + 7 * DAY) == 1
