"""Tags of resources: one table for every service that tags by ARN, and AWS's rules for keys and values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opentrail.kernel import arn as arns
from opentrail.store.sql import Snapshot, Sql, Tx

MOST = 50
"""Tags that one resource may carry (AWS's limit)."""

_OF = Sql("SELECT tag_key, tag_value FROM tag WHERE arn = :arn ORDER BY tag_key", settled=True)
_PUT = Sql(
    "INSERT INTO tag (arn, tag_key, tag_value) VALUES (:arn, :key, :value)"
    " ON CONFLICT (arn, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
    settled=True,
)
_DROP = Sql("DELETE FROM tag WHERE arn = :arn AND tag_key = :key", settled=True)
_CLEAR = Sql("DELETE FROM tag WHERE arn = :arn", settled=True)


class BadTags(Exception):
    """The tags break a rule, which the message names without quoting values."""


def check(tags: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The tags as a list. Raises BadTags for a key that comes twice, in any case, or begins with `aws:`."""
    found = list(tags)
    keys = [key for key, _ in found]
    if len(set(keys)) != len(keys):
        raise BadTags("a tag key is given more than once")
    _distinct(keys)
    if any(key.lower().startswith("aws:") for key in keys):
        raise BadTags("tag keys that begin with aws: are reserved")
    if len(found) > MOST:
        raise BadTags(f"a resource has at most {MOST} tags")
    return found


def _distinct(keys: Sequence[str]) -> None:
    """Policies could not tell apart the tags of such keys, and one would hide the other from them."""
    if len({key.lower() for key in keys}) != len(keys):
        raise BadTags("tag keys that differ in case alone cannot be used together")


def tags_of(snapshot: Snapshot, arn: str) -> list[tuple[str, str]]:
    """The resource's tags by key."""
    return [(str(key), str(value)) for key, value in snapshot.all(_OF, arn=arn)]


def of_account(snapshot: Snapshot, arn: str, account: str) -> list[tuple[str, str]]:
    """The tags of a resource that only calls of its own account reach; see Service.resource_tags."""
    parts = arns.parse(arn)
    return tags_of(snapshot, arn) if parts is not None and parts.account == account else []


def put(tx: Tx, arn: str, tags: Sequence[tuple[str, str]]) -> None:
    """Adds or replaces tags. Raises BadTags when the resource would have too many, or two whose keys differ in case alone."""
    if not tags:
        return
    for key, value in tags:
        tx.run(_PUT, arn=arn, key=key, value=value)
    present = tags_of(tx, arn)
    _distinct([key for key, _ in present])
    if len(present) > MOST:
        raise BadTags(f"a resource has at most {MOST} tags")


def remove(tx: Tx, arn: str, keys: Iterable[str]) -> None:
    """Removes tags; keys that are not there do not matter."""
    for key in keys:
        tx.run(_DROP, arn=arn, key=key)


def clear(tx: Tx, arn: str) -> None:
    """Removes all tags of a resource that is deleted."""
    tx.run(_CLEAR, arn=arn)
