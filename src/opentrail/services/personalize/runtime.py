"""GetRecommendations, GetPersonalizedRanking, GetActionRecommendations: a campaign or recommender, what is known of the user now,
and the rules of the call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Long, Output
from opentrail.services.personalize import campaigns, data, datasets, events, filters, recommenders, resources, store, streams
from opentrail.services.personalize.deployed import CACHE, Deployed, Description, described, of_type, with_puts
from opentrail.services.personalize.engine.filter_language import Filter, check_filter, parse_filter
from opentrail.services.personalize.engine.filter_plan import Attributes, Event, bind
from opentrail.services.personalize.engine.recipes import Recipe
from opentrail.services.personalize.engine.serving import (
    DEFAULT_RESULTS,
    Ask,
    Promotion,
    Recommended,
    is_brief,
    rank,
    recommend,
    recommend_actions,
)
from opentrail.services.personalize.history import merged
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot

NEWEST = 400
"""Streamed events of a user that one call looks at."""
DEFAULT_ACTIONS, MOST_ACTIONS = 5, 100


class Asked(NamedTuple):
    """A campaign or recommender (`target`) as one call finds it."""

    deployed: Deployed
    target: Resource
    group: Resource
    held: tuple[Resource, ...]
    config: Mapping[str, Any]

    @property
    def recipe(self) -> Recipe:
        """Its recipe."""
        return self.deployed.campaign.recipe


def get_recommendations_briefly(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """GetRecommendations where the model is loaded and nothing goes through a whole catalogue. Raises Long elsewhere."""
    return get_recommendations(snapshot, call, input, brief=True)


def get_recommendations(snapshot: Snapshot, call: Call, input: Input, brief: bool = False) -> Output:
    """GetRecommendations."""
    asked = _either(snapshot, call, input, brief)
    recipe = asked.recipe
    if recipe.type == "PERSONALIZED_RANKING":
        raise resources.invalid("Recipe {name} ranks: call GetPersonalizedRanking.", name=recipe.name)
    if recipe.type == "PERSONALIZED_ACTIONS":
        raise resources.invalid("Recipe {name} recommends actions: call GetActionRecommendations.", name=recipe.name)
    if (recipe.type == "USER_PERSONALIZATION" or recipe.needs_user) and input.userId is None:
        raise resources.invalid("userId is required by recipe {name}.", name=recipe.name)
    ask = Ask(
        **_common(snapshot, call, input, asked),
        **_wishes(asked, input),
        k=input.numResults or DEFAULT_RESULTS,
        item=input.itemId,
        promotion=_promotion(snapshot, call, input, asked),
    )
    if brief and not is_brief(asked.deployed.campaign, ask):
        raise Long
    return _answer(call, "itemList", recommend(asked.deployed.campaign, ask))


def get_personalized_ranking(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """GetPersonalizedRanking."""
    asked = _asked(snapshot, call, campaigns.KIND, input.campaignArn)
    if asked.recipe.type != "PERSONALIZED_RANKING":
        raise resources.invalid("Recipe {name} does not rank: call GetRecommendations.", name=asked.recipe.name)
    ask = Ask(**_common(snapshot, call, input, asked), **_wishes(asked, input))
    return _answer(call, "personalizedRanking", rank(asked.deployed.campaign, ask, input.inputList))


def get_action_recommendations(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """GetActionRecommendations."""
    if input.campaignArn is None:
        raise resources.invalid("campaignArn is required.")
    if input.userId is None:
        raise resources.invalid("userId is required.")
    wanted = input.numResults or DEFAULT_ACTIONS
    if not 1 <= wanted <= MOST_ACTIONS:
        raise resources.invalid("numResults must lie between 1 and {most}.", most=MOST_ACTIONS)
    asked = _asked(snapshot, call, campaigns.KIND, input.campaignArn)
    if asked.recipe.type != "PERSONALIZED_ACTIONS":
        raise resources.invalid("Recipe {name} recommends no actions: call GetRecommendations.", name=asked.recipe.name)
    found = recommend_actions(asked.deployed.campaign, Ask(**_common(snapshot, call, input, asked), k=wanted))
    listed = [resources.present(actionId=one.item, score=one.score) for one in found]
    return {"actionList": listed, "recommendationId": f"RID-{call.id}"}


def _either(snapshot: Snapshot, call: Call, input: Input, brief: bool) -> Asked:
    if (input.campaignArn is None) == (input.recommenderArn is None):
        raise resources.invalid("Either campaignArn or recommenderArn is required.")
    if input.campaignArn is not None:
        return _asked(snapshot, call, campaigns.KIND, input.campaignArn, brief)
    return _asked(snapshot, call, recommenders.KIND, input.recommenderArn, brief)


def _asked(snapshot: Snapshot, call: Call, kind: str, arn: str, brief: bool = False) -> Asked:
    target = resources.find(snapshot, call, kind, arn)
    if target.status != resources.ACTIVE:
        raise resources.invalid("The {kind} {arn} is {state}: it must be ACTIVE.", kind=kind, arn=arn, state=target.status)
    group, held, told = snapshot.settled((_behind, arn), lambda view: _behind(view, arn))
    deployed = CACHE.get(snapshot, call.tools.settings, arn, with_puts(snapshot, told.source), told.recipe, brief)
    return Asked(deployed, target, group, held, told.config)


def _behind(snapshot: Snapshot, arn: str) -> tuple[Resource, tuple[Resource, ...], Description]:
    """The dataset group of a campaign or recommender, the group's datasets, and what it is made of. Reads the campaign itself too: one
    read before may be older than the rest. Raises ServiceError when it was deleted meanwhile."""
    target = store.one(snapshot, arn)
    if target is None:
        raise resources.missing(arn)
    subject = target if target.kind == recommenders.KIND else store.one(snapshot, target.parent or "")
    version = store.one(snapshot, target.uses or "")
    assert version is not None, "a version that serves is not deleted"
    assert subject is not None, "a solution with campaigns is not deleted"
    group = store.one(snapshot, subject.parent or "")
    assert group is not None, "a group with solutions or recommenders is not deleted"
    held = tuple(store.children(snapshot, group.arn, datasets.KIND))
    return group, held, described(target, subject, version, held)


def _common(snapshot: Snapshot, call: Call, input: Input, asked: Asked) -> dict[str, Any]:
    return {
        "events": _events(snapshot, asked, input.userId),
        "rules": _rules(snapshot, call, asked, input.filterArn, input.filterValues),
        "user": _user(snapshot, asked, input.userId),
        "now": int(call.now),
        "seed": int(call.id.replace("-", "")[:8], 16),
    }


def _wishes(asked: Asked, input: Input) -> dict[str, Any]:
    return {"context": input.context or {}, "columns": _columns(asked, input.metadataColumns)}


def _events(snapshot: Snapshot, asked: Asked, user: str | None) -> list[Event]:
    if user is None:
        return []
    model = asked.deployed.campaign.model
    key, kind = ("ACTION_ID", "ACTION_INTERACTIONS") if asked.recipe.engine == "actions" else ("ITEM_ID", "INTERACTIONS")
    trained, dataset, fresh = asked.deployed.history.of(user), of_type(asked.held, kind), []
    if dataset is None:
        return list(trained)
    for body in streams.newest(snapshot, data.scope(dataset), user, NEWEST):
        row = msgspec.json.decode(body)
        fresh.append(Event(model.index(row[key]), row["TIMESTAMP"], row))
    return merged(trained, fresh)


def _rules(snapshot: Snapshot, call: Call, asked: Asked, arn: str | None, values: Mapping[str, str] | None) -> Filter:
    if arn is None:
        if values:
            raise resources.invalid("filterValues need a filterArn.")
        return ()
    found = resources.find(snapshot, call, filters.KIND, arn)
    if found.parent != asked.group.arn:
        raise resources.invalid("The filter {arn} belongs to another dataset group.", arn=arn)
    parsed = _checked(found.body, tuple((one.uses or "", one.updated) for one in asked.held), snapshot, asked.group)
    wanted = "ActionID" if asked.recipe.engine == "actions" else "ItemID"
    if parsed[0].target != wanted:
        raise resources.invalid("The filter {arn} must be one of {wanted}.", arn=arn, wanted=wanted)
    return bind(parsed, values or {})


_FILTERS: OrderedDict[tuple[str, tuple[tuple[str, float], ...]], Filter] = OrderedDict()
_MOST_FILTERS = 1_000


def _checked(text: str, schemas: tuple[tuple[str, float], ...], snapshot: Snapshot, group: Resource) -> Filter:
    """A filter with the names of the group's fields. `schemas` says which ones the datasets have now, and since when."""
    known = _FILTERS.get((text, schemas))
    if known is None:
        known = _FILTERS[text, schemas] = check_filter(parse_filter(text), filters.schemas_of(snapshot, group))
        while len(_FILTERS) > _MOST_FILTERS:
            _FILTERS.popitem(last=False)
    return known


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
    if not asked.config.get("enableMetadataWithRecommendations"):
        raise resources.invalid("The campaign or recommender does not have metadata in recommendations enabled.")
    if set(given) != {"ITEMS"}:
        raise resources.invalid("metadataColumns may name columns of ITEMS only.")
    return given["ITEMS"]


def _answer(call: Call, member: str, found: list[Recommended]) -> Output:
    return {member: [_listed(one) for one in found], "recommendationId": f"RID-{call.id}"}


def _listed(one: Recommended) -> dict[str, Any]:
    listed: dict[str, Any] = {"itemId": one.item}
    if one.score is not None:
        listed["score"] = one.score
    if one.promotion is not None:
        listed["promotionName"] = one.promotion
    if one.metadata:
        listed["metadata"] = dict(one.metadata)
    if one.reason:
        listed["reason"] = list(one.reason)
    return listed
