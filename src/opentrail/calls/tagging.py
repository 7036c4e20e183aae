"""Tags in rights: the condition keys that they make, and what creating something with tags needs.

Condition keys are lower case, tags' keys are not: of tags whose keys differ in case alone the condition key has every value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from opentrail.calls.call import Call
from opentrail.calls.operation import ConditionKeys, Input, Right, Rights

Tag = tuple[str, str]


def of_request(tags: Iterable[Tag]) -> ConditionKeys:
    """aws:RequestTag/... and aws:TagKeys of a request that gives tags; nothing when it gives none."""
    given = list(tags)
    return {**_named("aws:requesttag/", given), **of_keys(key for key, _ in given)}


def of_keys(keys: Iterable[str]) -> ConditionKeys:
    """aws:TagKeys of a request that names tags by their keys; nothing when it names none."""
    named = list(keys)
    return {"aws:tagkeys": named} if named else {}


def of_resource(service: str, tags: Sequence[Tag]) -> ConditionKeys:
    """aws:ResourceTag/... of a resource with these tags, and the service's own name of the same: iam:ResourceTag/..."""
    return {**_named("aws:resourcetag/", tags), **_named(f"{service}:resourcetag/", tags)}


def _named(family: str, tags: Iterable[Tag]) -> dict[str, str | Sequence[str]]:
    values: dict[str, list[str]] = {}
    for key, value in tags:
        values.setdefault(family + key.lower(), []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def making(
    action: str, resource: Callable[[Call, Input], str], tag_action: str, given: Callable[[Input], ConditionKeys],
    tagged: Callable[[Call, Input], str] | None = None,
) -> Rights:  # fmt: skip
    """The right to make a resource, and with tags also the right to tag it (under `tagged` where its own ARN is not known yet)."""

    def rights(call: Call, input: Input) -> Sequence[Right]:
        keys, place = given(input), resource(call, input)
        if not keys:
            return (Right(action, place),)
        return Right(action, place, keys), Right(tag_action, place if tagged is None else tagged(call, input), keys)

    return rights
