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


_remembered = lru_cache(16_384)(term)


def terms(account: str, region: str, view: View) -> set[int]:
    """Every term of a record."""
    found = {_remembered(account, region), term(account, region, "EventId", view.eventID)}
    for attribute, values in _REPEATED:
        found.update([_remembered(account, region, attribute, value) for value in values(view) if value])
    return found


_REPEATED = [(attribute, values) for attribute, values in ATTRIBUTES.items() if attribute != "EventId"]
