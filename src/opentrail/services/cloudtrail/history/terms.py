"""The eight attributes of Event history: what a record has of each, and the 48-bit terms under which the index finds it.

A resource is found by its ARN, by the ARN's last two parts and by its last part: a patient by
`arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/0a1b/r4/Patient/7`, by `Patient/7` and by `7`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from opentrail.services.cloudtrail.history.facts import Facts

Pairs = tuple[tuple[str, str], ...]
"""Attributes with the values asked for; all must match."""

ATTRIBUTES: dict[str, Callable[[Facts], Iterable[str]]] = {
    "EventId": lambda facts: (facts.eventID,),
    "EventName": lambda facts: (facts.eventName,),
    "ReadOnly": lambda facts: ("true" if facts.readOnly else "false",),
    "Username": lambda facts: (facts.user_name,),
    "ResourceType": lambda facts: [resource.type for resource in facts.resources],
    "ResourceName": lambda facts: [name for resource in facts.resources for name in resource_names(resource.ARN)],
    "EventSource": lambda facts: (facts.eventSource,),
    "AccessKeyId": lambda facts: (facts.userIdentity.accessKeyId,),
}


def resource_names(arn: str) -> tuple[str, ...]:
    """Every name under which a resource is found, each once."""
    if not arn.startswith("arn:"):
        return (arn,)
    parts = [part for part in arn.split(":", 5)[-1].replace(":", "/").split("/") if part]
    return tuple(dict.fromkeys((arn, "/".join(parts[-2:]), *parts[-1:])))


def matches(facts: Facts, pairs: Pairs, names: Callable[[str], bool]) -> bool:
    """Whether the record has every one of the attributes' values; `names` says whether a list beside it names a resource."""
    return all(value in ATTRIBUTES[attribute](facts) or (attribute == "ResourceName" and names(value)) for attribute, value in pairs)


def term(account: str, region: str, attribute: str = "", value: str = "") -> int:
    """The term of an attribute's value in one account's history of one region; without attribute, of every record there.

    Two values may share a term, once in 2**48: who searches checks the records found.
    """
    hashed = _begun(account, region, attribute).copy()
    hashed.update(value.encode("utf-8", "surrogatepass"))
    return int.from_bytes(hashed.digest(), "little")


@lru_cache(1024)
def _begun(account: str, region: str, attribute: str) -> Any:
    return blake2b(f"{account} {region} {attribute} ".encode(), digest_size=6)


def terms(account: str, region: str, facts: Facts) -> list[int]:
    """Every term of a record; some may come twice."""
    identity = facts.userIdentity
    shared = _shared(account, region, facts.eventName, facts.eventSource, facts.readOnly, facts.user_name, identity.accessKeyId)
    found = [term(account, region, "EventId", facts.eventID), *shared]
    for resource in facts.resources:
        found += _of_resource(account, region, resource.type, resource.ARN)
    return found


@lru_cache(16_384)
def _shared(account: str, region: str, name: str, source: str, read_only: bool, user: str, key: str) -> tuple[int, ...]:
    """The terms that one caller's records of one operation share."""
    pairs = [("EventName", name), ("EventSource", source), ("ReadOnly", "true" if read_only else "false")]
    pairs += [(attribute, value) for attribute, value in (("Username", user), ("AccessKeyId", key)) if value]
    return (term(account, region), *(term(account, region, *pair) for pair in pairs))


def disclosed_terms(account: str, region: str, under: str, names: Iterable[str]) -> Iterator[int]:
    """The terms of the resources `<under>/<name>` that a list beside a record names. Not cached: a list may have thousands."""
    begun, short = _begun(account, region, "ResourceName"), under.rpartition("/")[2]
    for name in names:
        for text in (f"{under}/{name}", f"{short}/{name}", name):
            hashed = begun.copy()
            hashed.update(text.encode("utf-8", "surrogatepass"))
            yield int.from_bytes(hashed.digest(), "little")


@lru_cache(16_384)
def _of_resource(account: str, region: str, type: str, arn: str) -> tuple[int, ...]:
    """The terms of one resource."""
    found = [term(account, region, "ResourceName", name) for name in resource_names(arn) if name]
    return (*found, term(account, region, "ResourceType", type)) if type else tuple(found)
