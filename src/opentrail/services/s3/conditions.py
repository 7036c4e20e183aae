"""Ranges, and the conditions of reads and writes.

Source: RFC 9110 sections 13 and 14, as GetObject and PutObject of the S3 API reference narrow them.
"""

from __future__ import annotations

import re

from opentrail.services.s3 import errors
from opentrail.services.s3.store import Object

_RANGE = re.compile(r"\Abytes=([0-9]*)-([0-9]*)\Z", re.ASCII)
_DIGITS = 18


def span(asked: str | None, size: int) -> tuple[int, int] | None:
    """First byte and count of the one range asked for; None for the whole object, which is also what a header that is no
    single byte range means. Raises InvalidRange when it touches nothing."""
    match = _RANGE.match(asked or "")
    if asked is None or not match or match.group(1) == match.group(2) == "":
        return None
    first, last = (int(text[:_DIGITS]) if text else None for text in match.groups())
    if first is None:
        assert last is not None, "one of the two is given"
        first, last = max(0, size - last), size - 1 if last else -1
    elif last is None or last >= size:
        last = size - 1
    elif last < first:
        return None
    if first >= size or last < first:
        raise errors.invalid_range(asked, size)
    return first, last - first + 1


def check_read(
    found: Object,
    if_match: str | None,
    if_none_match: str | None,
    if_modified_since: float | None,
    if_unmodified_since: float | None,
) -> None:
    """Raises PreconditionFailed or NotModified as the conditions of a read say."""
    if if_match is not None:
        if not names(if_match, found.etag):
            raise errors.precondition_failed("If-Match")
    elif if_unmodified_since is not None and found.modified > if_unmodified_since:
        raise errors.precondition_failed("If-Unmodified-Since")
    if if_none_match is not None:
        if names(if_none_match, found.etag):
            raise errors.not_modified(found.etag)
    elif if_modified_since is not None and found.modified <= if_modified_since:
        raise errors.not_modified(found.etag)


def check_copy(
    found: Object,
    if_match: str | None,
    if_none_match: str | None,
    if_modified_since: float | None,
    if_unmodified_since: float | None,
) -> None:
    """As `check_read` for the source of a copy, where everything that fails is PreconditionFailed."""
    if if_match is not None:
        if not names(if_match, found.etag):
            raise errors.precondition_failed("x-amz-copy-source-If-Match")
    elif if_unmodified_since is not None and found.modified > if_unmodified_since:
        raise errors.precondition_failed("x-amz-copy-source-If-Unmodified-Since")
    if if_none_match is not None:
        if names(if_none_match, found.etag):
            raise errors.precondition_failed("x-amz-copy-source-If-None-Match")
    elif if_modified_since is not None and found.modified <= if_modified_since:
        raise errors.precondition_failed("x-amz-copy-source-If-Modified-Since")


def check_write(found: Object | None, key: str, if_match: str | None, if_none_match: str | None) -> None:
    """Raises PreconditionFailed, or NoSuchKey for If-Match on nothing, as the conditions of a write say."""
    if if_none_match is not None:
        if if_none_match != "*":
            raise errors.not_implemented("IfNoneMatch")
        if found is not None:
            raise errors.precondition_failed("If-None-Match")
    if if_match is not None:
        if found is None:
            raise errors.no_such_key(key)
        if not names(if_match, found.etag):
            raise errors.precondition_failed("If-Match")


def names(header: str, etag: str) -> bool:
    """Whether a list of entity tags, quoted or not, or `*`, names this one."""
    tags = (tag.strip().removeprefix("W/").strip('"') for tag in header.split(","))
    return any(tag in ("*", etag) for tag in tags)
