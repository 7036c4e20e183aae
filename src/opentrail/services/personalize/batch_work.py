"""The work of batch jobs: lines of JSON in, lines of JSON out. A file that was answered is not answered again after a crash."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from opentrail.services.personalize import batch_jobs, data, history, resources, store, subjects
from opentrail.services.personalize.engine import batch
from opentrail.services.personalize.engine.aims import influence
from opentrail.services.personalize.engine.batch import Person
from opentrail.services.personalize.engine.entities import Entities, head, merge_entities
from opentrail.services.personalize.engine.exploration import Exploration
from opentrail.services.personalize.engine.filter_language import Filter, check_filter, parse_filter
from opentrail.services.personalize.engine.filter_plan import Event, FilterTable
from opentrail.services.personalize.engine.models import load_model
from opentrail.services.personalize.engine.recipes import find_recipe
from opentrail.services.personalize.engine.schemas import Schema
from opentrail.services.personalize.engine.serving import Ask, Campaign
from opentrail.services.personalize.work import Desk, Result, Task, Work, delivered, fetched, location
from opentrail.store.sql import Tx


def prepare(desk: Desk) -> Generator[None, None, Task]:
    """What the process has to do."""
    with desk.run.read() as snapshot:
        version = store.one(snapshot, desk.made.parent or "")
        solution = store.one(snapshot, version.parent or "") if version is not None else None
        if version is None or solution is None:
            raise resources.missing(desk.made.parent or "")
        found = store.one(snapshot, desk.body.get("filterArn", ""))
        named = data.sources(snapshot, solution.parent or "", desk.folders, desk.run.scratch)
    if found is None and "filterArn" in desk.body:
        raise resources.missing(desk.body["filterArn"])
    folder = desk.folders.models / subjects.model_folder(version)
    task = {
        "segments": desk.made.kind == batch_jobs.SEGMENT,
        "recipe": subjects.recipe_of(solution).name,
        "folder": str(folder),
        "model": str(folder / msgspec.json.decode(version.body)["model"]),
        "data": named,
        "filter": found.body if found is not None else None,
        "config": desk.body.get("batchInferenceJobConfig", {}),
        "k": desk.body["numResults"],
        "now": int(desk.made.created),
    }
    files = yield from fetched(desk, location(desk.body["jobInput"]["s3DataSource"]["path"], "jobInput"))
    return {**task, "files": [[key, path, str(desk.run.scratch / f"answers{number}")] for number, (key, path) in enumerate(files)]}


def compute(task: Task) -> Result:
    """Answers every line of every file. Raises ServiceError when nothing can be answered."""
    answer = _segmenting(task) if task["segments"] else _inferring(task)
    outputs = []
    for key, path, out in task["files"]:
        outputs.append([key.rpartition("/")[2], out])
        if not Path(out).exists():
            partial = Path(f"{out}.partial")
            with Path(path).open(encoding="utf-8", errors="replace") as lines, partial.open("w", encoding="utf-8") as answers:
                answers.writelines(f"{line}\n" for line in answer(lines))
            partial.rename(out)
    return {"outputs": outputs}


Answer = Callable[[Iterator[str]], Iterator[str]]


def _inferring(task: Task) -> Answer:
    recipe, model = find_recipe(task["recipe"]), load_model(Path(task["model"]))
    tables = data.open_sources(task["data"])
    if task["config"].get("rankingInfluence"):
        model = replace(model, arrays={**model.arrays, "boost": influence(model.arrays, task["config"]["rankingInfluence"])})
    exploration = Exploration.read(task["config"].get("itemExplorationConfig", {})) if recipe.explores else None
    items = _aligned(merge_entities(tables["Items"], model.items), len(model.items)) if tables.get("Items") else None
    campaign = Campaign(model, recipe, items, exploration)
    people = merge_entities(tables["Users"]) if tables.get("Users") else None
    places = {name: at for at, name in enumerate(people.ids)} if people is not None else {}
    trained, streamed = history.History(Path(task["folder"]) / history.NAME), _streamed(task)

    def person(user: str) -> Person:
        rows = streamed.get(user, ())
        fresh = [Event(model.index(str(row["ITEM_ID"])), int(row["TIMESTAMP"]), row) for row in rows]
        attributes = people.row(places[user]) if people is not None and user in places else None
        return Person(history.merged(trained.of(user), fresh), attributes)

    ask = Ask(k=task["k"], now=task["now"])
    return lambda lines: batch.infer(lines, campaign, person, ask, _rules(task))


def _streamed(task: Task) -> Mapping[str, Sequence[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    if "Interactions" in task["data"]:
        for line in Path(task["data"]["Interactions"]["put"][0]).read_bytes().splitlines():
            row = msgspec.json.decode(line)
            found.setdefault(row["USER_ID"], []).append(row)
    return found


def _segmenting(task: Task) -> Answer:
    recipe, model = find_recipe(task["recipe"]), load_model(Path(task["model"]))
    tables = data.open_sources(task["data"])
    items = _aligned(merge_entities(tables["Items"], model.items), len(model.items)) if tables.get("Items") else None
    users = history.History(Path(task["folder"]) / history.NAME).users()
    people = FilterTable(_aligned(merge_entities(tables["Users"], users), len(users))) if tables.get("Users") else None
    campaign = Campaign(model, recipe, items)
    return lambda lines: batch.segment(lines, campaign, users, task["k"], _schemas(task).get("Items"), _rules(task), people)


def _aligned(entities: Entities, rows: int) -> Entities:
    """The entities that a model knows: they come first."""
    return head(entities, rows) if len(entities) > rows else entities


def _schemas(task: Task) -> dict[str, Schema]:
    return {name: data.schema_of(text, domain) for name, (_, text, domain) in ((n, one["put"]) for n, one in task["data"].items())}


def _rules(task: Task) -> Filter:
    return check_filter(parse_filter(task["filter"]), _schemas(task)) if task["filter"] is not None else ()


def deliver(desk: Desk, result: Result) -> Iterator[None]:
    """The answers, each beside the others under the name of its input and `.out`."""
    where, buckets = location(desk.body["jobOutput"]["s3DataDestination"]["path"], "jobOutput"), desk.buckets()
    for name, file in result["outputs"]:
        yield from delivered(desk, buckets, where.below(f"{name}.out"), Path(file), "application/jsonlines")


def done(tx: Tx, desk: Desk, result: Result, now: float) -> dict[str, Any]:
    """Nothing but the status."""
    return {}


WORK = Work(prepare, compute, done, deliver)
