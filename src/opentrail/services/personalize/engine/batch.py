"""Batch jobs over JSON lines: recommendations per user or item, rankings, and user segments; generators, one line out per line in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from opentrail.kernel.errors import ServiceError
from opentrail.services.personalize.engine.errors import InvalidInput
from opentrail.services.personalize.engine.filter_language import Filter, check_filter, parse_filter
from opentrail.services.personalize.engine.filter_plan import Attributes, Event, FilterTable, allowed, bind
from opentrail.services.personalize.engine.schemas import Schema
from opentrail.services.personalize.engine.serving import Ask, Campaign, Recommended, rank, recommend
from opentrail.services.personalize.engine.topk import top_k


@dataclass(frozen=True, slots=True)
class Person:
    """What a batch job looks up of a user: events and attributes."""

    events: Sequence[Event] = ()
    attributes: Attributes | None = None


def infer(lines: Iterable[str], campaign: Campaign, person: Callable[[str], Person], ask: Ask, rules: Filter = ()) -> Iterator[str]:
    """Batch inference: each input line ({"userId"}, {"itemId"}, {"userId", "itemList"}; "filterValues" allowed) to one output line.

    A line that cannot be answered carries its error; the job goes on. Every line gets the same answer whatever the others are.
    """

    def answer(entry: Mapping[str, Any]) -> dict[str, Any]:
        who = person(_text(entry, "userId")) if "userId" in entry else Person()
        bound = bind(rules, _texts(entry, "filterValues"))
        one = replace(ask, events=who.events, user=who.attributes, rules=bound, item=_text(entry, "itemId") if "itemId" in entry else None)
        if campaign.recipe.type == "PERSONALIZED_RANKING":
            names = entry.get("itemList")
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise InvalidInput("itemList must be a list of item ids.")
            return _output(rank(campaign, one, names))
        if campaign.recipe.type == "USER_PERSONALIZATION" and "userId" not in entry:
            raise InvalidInput("userId is required.")
        return _output(recommend(campaign, one))

    return _each(lines, answer)


def segment(
    lines: Iterable[str],
    campaign: Campaign,
    users: Sequence[str],
    k: int,
    schema: Schema | None = None,
    rules: Filter = (),
    people: FilterTable | None = None,
) -> Iterator[str]:
    """Batch segments: {"itemId"} or {"itemAttributes": 'ITEMS.genres = "Comedy" AND ...'} to the `k` users with most affinity.

    `users` is in the order of the model's user vectors, `schema` that of the Items dataset; `rules` is a UserID filter over `people`, the
    users' attributes in the same order. Output as in "Batch segment job output format examples".
    """
    model = campaign.model
    if rules and people is None:
        raise InvalidInput("A filter of users needs a Users dataset.")

    def answer(entry: Mapping[str, Any]) -> dict[str, Any]:
        if "itemAttributes" in entry:
            parsed = check_filter(_attributes(_text(entry, "itemAttributes")), {"Items": schema} if schema else {})
            mask = allowed(parsed, campaign.table)
            wanted = np.flatnonzero(mask) if mask is not None else np.zeros(0, np.int64)
        else:
            at = model.index(_text(entry, "itemId"))
            wanted = np.array([at] if at >= 0 else [], np.int64)
        if not len(wanted):
            raise InvalidInput("No item of the model fits the query.")
        taste = np.asarray(model.arrays["vectors"][wanted], np.float32).mean(axis=0)
        scores = np.asarray(model.arrays["users"] @ taste, np.float32)
        among = allowed(bind(rules, _texts(entry, "filterValues")), people) if people is not None else None
        return {"recommendedUsers": [users[at] for at in top_k(scores, k, among).tolist()]}

    for line in _each(lines, answer):
        whole = json.loads(line)
        given = whole.pop("input")
        if whole["error"] is None:
            del whole["error"]
        named = isinstance(given, dict) and "itemAttributes" in given
        yield json.dumps({**(given if named else {"input": given}), **whole}, ensure_ascii=False)


def _attributes(text: str) -> Filter:
    return parse_filter(f"INCLUDE ItemID WHERE {text}")


def _each(lines: Iterable[str], answer: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Iterator[str]:
    for line in lines:
        if not line.strip():
            continue
        given: Any = None
        result: dict[str, Any]
        try:
            given = json.loads(line)
            if not isinstance(given, dict):
                raise InvalidInput("The line is not a JSON object.")
            result = {"input": given, "output": answer(given), "error": None}
        except (json.JSONDecodeError, RecursionError):
            result = {"input": None, "output": None, "error": "The line is not JSON."}
        except ServiceError as error:
            result = {"input": given, "output": None, "error": error.for_caller()}
        yield json.dumps(result, ensure_ascii=False)


def _output(found: Sequence[Recommended]) -> dict[str, Any]:
    output: dict[str, Any] = {"recommendedItems": [one.item for one in found]}
    if any(one.score is not None for one in found):
        output["scores"] = [one.score for one in found]
    return output


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput("{name} must be a text that is not empty.", name=name)
    return value


def _texts(entry: Mapping[str, Any], name: str) -> dict[str, str]:
    value = entry.get(name, {})
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise InvalidInput("{name} must map names to texts.", name=name)
    return value
