"""GetRecommendations and GetPersonalizedRanking: a campaign, what is known of the user now, and the rules of the call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import campaigns, datasets, events, filters, resources, store, streams
from opentrail.services.personalize.deployed import CACHE, Deployed, of_type, source_of
from opentrail.services.personalize.engine.filter_language import Filter, check_filter, parse_filter
from opentrail.services.personalize.engine.filter_plan import Attributes, Event, bind
from opentrail.services.personalize.engine.serving import DEFAULT_RESULTS, Ask, Promotion, Recommended, rank, recommend
from opentrail.services.personalize.folders import Folders
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot

NEWEST = 400
"""Streamed events of a user that one call looks at."""


class Asked(NamedTuple):
    """A campaign as one call finds it."""

    deployed: Deployed
    campaign: Resource
    group: Resource
    held: list[Resource]


def get_recommendations(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """GetRecommendations."""
    if input.recommenderArn is not None:
        raise resources.invalid("recommenderArn is not supported: recommenders are not offered.")
    if input.campaignArn is None:
        raise resources.invalid("campaignArn is required.")
    asked = _asked(snapshot, call, input)
    recipe = asked.deployed.campaign.recipe
    if recipe.type == "PERSONALIZED_RANKING":
        raise resources.invalid("Recipe {name} ranks: call GetPersonalizedRanking.", name=recipe.name)
    if recipe.type == "USER_PERSONALIZATION" and input.userId is None:
        raise resources.invalid("userId is required by recipe {name}.", name=recipe.name)
    ask = Ask(
        **_common(snapshot, call, input, asked),
        k=input.numResults or DEFAULT_RESULTS,
        item=input.itemId,
        promotion=_promotion(snapshot, call, input, asked),
    )
    return _answer(call, "itemList", recommend(asked.deployed.campaign, ask))


def get_personalized_ranking(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """GetPersonalizedRanking."""
    asked = _asked(snapshot, call, input)
    recipe = asked.deployed.campaign.recipe
    if recipe.type != "PERSONALIZED_RANKING":
        raise resources.invalid("Recipe {name} recommends: call GetRecommendations.", name=recipe.name)
    ranked = rank(asked.deployed.campaign, Ask(**_common(snapshot, call, input, asked)), input.inputList)
    return _answer(call, "personalizedRanking", ranked)


def _asked(snapshot: Snapshot, call: Call, input: Input) -> Asked:
    campaign = resources.find(snapshot, call, campaigns.KIND, input.campaignArn)
    version, solution = store.one(snapshot, campaign.uses or ""), store.one(snapshot, campaign.parent or "")
    assert version is not None, "a version that a campaign serves is not deleted"
    assert solution is not None, "a solution with campaigns is not deleted"
    group = store.one(snapshot, solution.parent or "")
    assert group is not None, "a group with solutions is not deleted"
    held = store.children(snapshot, group.arn, datasets.KIND)
    source = source_of(snapshot, campaign, version, held)
    return Asked(CACHE.get(snapshot, Folders(call.tools.settings.folder), campaign.arn, source, solution), campaign, group, held)


def _common(snapshot: Snapshot, call: Call, input: Input, asked: Asked) -> dict[str, Any]:
    return {
        "events": _events(snapshot, asked, input.userId),
        "rules": _rules(snapshot, call, asked, input.filterArn, input.filterValues),
        "user": _user(snapshot, asked, input.userId),
        "context": input.context or {},
        "columns": _columns(asked, input.metadataColumns),
        "now": int(call.now),
        "seed": int(call.id.replace("-", "")[:8], 16),
    }


def _events(snapshot: Snapshot, asked: Asked, user: str | None) -> list[Event]:
    if user is None:
        return []
    model = asked.deployed.campaign.model
    found = list(asked.deployed.history.of(user))
    seen = {(event.item, event.time, event.columns.get("EVENT_TYPE")) for event in found}
    for body in streams.newest(snapshot, asked.group.arn, user, NEWEST):
        row = msgspec.json.decode(body)
        event = Event(model.index(row["ITEM_ID"]), row["TIMESTAMP"], row)
        if (event.item, event.time, row.get("EVENT_TYPE")) not in seen:
            found.append(event)
    return found


def _rules(snapshot: Snapshot, call: Call, asked: Asked, arn: str | None, values: Mapping[str, str] | None) -> Filter:
    if arn is None:
        if values:
            raise resources.invalid("filterValues need a filterArn.")
        return ()
    found = resources.find(snapshot, call, filters.KIND, arn)
    if found.parent != asked.group.arn:
        raise resources.invalid("The filter {arn} belongs to another dataset group.", arn=arn)
    return bind(check_filter(parse_filter(found.body), filters.schemas_of(snapshot, asked.group)), values or {})


def _promotion(snapshot: Snapshot, call: Call, input: Input, asked: Asked) -> Promotion | None:
    if not input.promotions:
        return None
    given = input.promotions[0]
    if given.name is None or given.percentPromotedItems is None or given.filterArn is None:
        raise resources.invalid("A promotion must have name, percentPromotedItems and filterArn.")
    return Promotion(given.name, given.percentPromotedItems, _rules(snapshot, call, asked, given.filterArn, given.filterValues))


def _user(snapshot: Snapshot, asked: Asked, user: str | None) -> Attributes | None:
    dataset = of_type(asked.held, "USERS")
    if user is None or dataset is None:
        return None
    own = events.own_row(snapshot, dataset, user)
    at = asked.deployed.places.get(user)
    return own if own is not None or at is None else asked.deployed.users.row(at)


def _columns(asked: Asked, given: Mapping[str, list[str]] | None) -> list[str]:
    if not given:
        return []
    if not msgspec.json.decode(asked.campaign.body).get("campaignConfig", {}).get("enableMetadataWithRecommendations"):
        raise resources.invalid("The campaign does not have metadata in recommendations enabled.")
    if set(given) != {"ITEMS"}:
        raise resources.invalid("metadataColumns may name columns of ITEMS only.")
    return given["ITEMS"]


def _answer(call: Call, member: str, found: list[Recommended]) -> Output:
    listed = [
        resources.present(
            itemId=one.item,
            score=one.score,
            promotionName=one.promotion,
            metadata=dict(one.metadata) or None,
            reason=list(one.reason) or None,
        )
        for one in found
    ]
    return {member: listed, "recommendationId": f"RID-{call.id}"}
