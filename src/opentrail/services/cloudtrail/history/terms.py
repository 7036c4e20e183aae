"""The eight attributes of Event history: what a record has of each, and the 48-bit terms under which the index finds it.

A resource is found by its ARN, by the ARN's last two parts and by its last part: a patient by
`arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/0a1b/r4/Patient/7`, by `Patient/7` and by `7`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b

from opentrail.record.schema import View

_PARTS = re.compile(r"[/:]")

Pairs = tuple[tuple[str, str], ...]
"""Attributes with the values asked for; all must match."""

ATTRIBUTES: dict[str, Callable[[View], Iterable[str]]] = {
    "EventId": lambda view: (view.eventID,),
    "EventName": lambda view: (view.eventName,),
    "ReadOnly": lambda view: ("true" if view.readOnly else "false",),
    "Username": lambda view: (view.user_name,),
    "ResourceType": lambda view: [resource.type for resource in view.resources],
    "ResourceName": lambda view: [name for resource in view.resources for name in resource_names(resource.ARN)],
    "EventSource": lambda view: (view.eventSource,),
    "AccessKeyId": lambda view: (view.userIdentity.accessKeyId,),
}


def resource_names(arn: str) -> tuple[str, ...]:
    """Every name under which a resource is found, each once."""
    if not arn.startswith("arn:"):
        return (arn,)
    parts = [part for part in _PARTS.split(arn.split(":", 5)[-1]) if part]
    return tuple(dict.fromkeys((arn, "/".join(parts[-2:]), *parts[-1:])))


def matches(view: View, pairs: Pairs) -> bool:
    """Whether the record has every one of the attributes' values."""
    return all(value in ATTRIBUTES[attribute](view) for attribute, value in pairs)


def term(account: str, region: str, attribute: str = "", value: str = "") -> int:
    """The term of an attribute's value in one account's history of one region; without attribute, of every record there.

    Two values may share a term, once in 2**48: who searches checks the records found.
    """
    text = f"{account} {region} {attribute} {value}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=6).digest(), "little")


def terms(account: str, region: str, view: View) -> set[int]:
    """Every term of a record."""
    key = view.userIdentity.accessKeyId
    found = {term(account, region, "EventId", view.eventID)}
    found |= _of_call(account, region, view.eventName, view.eventSource, view.readOnly, view.user_name, key)
    for resource in view.resources:
        found |= _of_resource(account, region, resource.type, resource.ARN)
    return found


@lru_cache(16_384)
def _of_call(account: str, region: str, name: str, source: str, read_only: bool, user: str, key: str) -> frozenset[int]:
    """The terms that many records share."""
    pairs = [("EventName", name), ("EventSource", source), ("ReadOnly", "true" if read_only else "false")]
    pairs += [(attribute, value) for attribute, value in (("Username", user), ("AccessKeyId", key)) if value]
    return frozenset({term(account, region), *(term(account, region, *pair) for pair in pairs)})


@lru_cache(16_384)
def _of_resource(account: str, region: str, type: str, arn: str) -> frozenset[int]:
    """The terms of one resource."""
    found = {term(account, region, "ResourceName", name) for name in resource_names(arn) if name}
    return frozenset(found | {term(account, region, "ResourceType", type)} if type else found)
