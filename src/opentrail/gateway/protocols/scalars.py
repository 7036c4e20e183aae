"""Scalars as text: how XML, forms, headers and query strings write numbers, booleans, times and bytes."""

from __future__ import annotations

import base64
import binascii
import calendar
import math
import re
import time
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import Any

from botocore.model import Shape

from opentrail.kernel.errors import ServiceError

_ISO = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[Tt ](\d\d):?(\d\d):?(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:?\d\d)?\Z", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)\Z", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{0,40})?([eE][+-]?\d{1,3})?\Z", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,20}\Z", re.ASCII)

LATEST = 253402300799
"""The last second of the year 9999."""


def read(shape: Shape, text: str, name: str, code: str) -> Any:
    """The value of `text` for a scalar shape. Raises ServiceError(code) that names the member."""
    kind = shape.type_name
    value: Any = None
    if kind in ("string", "character"):
        return text
    if kind == "blob":
        value = _bytes(text)
    elif kind == "boolean":
        value = {"true": True, "false": False}.get(text.strip().lower())
    elif kind == "timestamp":
        value = read_time(text.strip())
    elif kind in ("integer", "long"):
        value = int(text) if _WHOLE.match(text.strip()) else None
        value = None if value is not None and not -(2**63) <= value < 2**63 else value
    elif kind in ("float", "double") and _NUMBER.match(text.strip()):
        value = float(text)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise ServiceError(code, "The value of {name} must be {kind}.", name=name, kind=f"of type {kind}")
    return value


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def read_time(text: str) -> float | None:
    """Epoch seconds of an ISO 8601, RFC 822 or numeric time, None when it is neither."""
    if match := _ISO.match(text) or _DATE.match(text):
        parts = [*match.groups(), *([None] * 5)][:8]
        try:
            whole = datetime(*(int(part or 0) for part in parts[:6]), tzinfo=UTC)  # type: ignore[arg-type, misc]
        except ValueError:
            return None
        zone = parts[7] or "Z"
        shift = 0 if zone in "Zz" else (1 if zone[0] == "+" else -1) * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
        return calendar.timegm(whole.timetuple()) - shift + float(parts[6] or 0)
    if _NUMBER.match(text):
        number = float(text)
        return number if -LATEST < number <= LATEST else None
    try:
        return float(calendar.timegm(parsedate_to_datetime(text).utctimetuple()))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def write(shape: Shape, value: Any, time_format: str = "iso8601") -> str:
    """The text of a scalar value. `time_format` counts where the shape names none: iso8601, rfc822, unixTimestamp, or
    millis (ISO 8601 with milliseconds)."""
    kind = shape.type_name
    if kind == "timestamp":
        return write_time(float(value), shape.serialization.get("timestampFormat", time_format))
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "blob":
        return base64.b64encode(value).decode()
    return str(value)


def write_time(seconds: float, time_format: str) -> str:
    """Epoch seconds as text; fractions are kept to milliseconds where there are any (always by `millis`)."""
    if time_format == "rfc822":
        return formatdate(math.floor(seconds), usegmt=True)
    millis = round(seconds * 1000)
    whole, rest = divmod(millis, 1000)
    if time_format == "unixTimestamp":
        return str(whole) if not rest else f"{millis / 1000:.3f}"
    moment = time.gmtime(whole)
    fraction = f".{rest:03d}" if rest or time_format == "millis" else ""
    return f"{moment.tm_year:04d}" + time.strftime("-%m-%dT%H:%M:%S", moment) + fraction + "Z"
