"""How FHIR values become comparable index values: dates as intervals, folded strings, references, hashed systems.

All are total functions of their input. Sources: R4 search, sections 3.1.1.4.5 (number) to 3.1.1.4.12 (quantity).
"""

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

FOREVER = 9_000_000_000_000_000
"""Milliseconds since 1970 that no date reaches; open ends of periods are this or its negative."""
MAX_TEXT = 250
"""Characters of a string that are indexed; longer ones keep a hash for whole-value equality."""
DAY = 86_400_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_REFERENCE = re.compile(r"(?:((?i:https?)://.+)/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII)
_STORE = re.compile(r"/datastore/[^/?#]+/r4\Z")
_SLASHES = re.compile("/+")
_UNUSUAL = re.compile(r"%|/\.|[^:]//|/\Z")

Interval = tuple[int, int]


@lru_cache(maxsize=8192)
def date_interval(text: str) -> Interval | None:
    """[first, last] millisecond that a date, dateTime or instant covers; None when it is not one.

    A time without zone counts as UTC, a leap second as the last millisecond of its minute.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        return _time_interval(match) if match[4] else _day_interval(match)
    except (ValueError, OverflowError):
        return None


def _day_interval(match: re.Match[str]) -> Interval:
    year, month, day = int(match[1]), match[2], match[3]
    first = date(year, int(month or 1), int(day or 1)).toordinal()
    if day:
        after = first + 1
    elif month:
        after = first + (date(year + int(month) // 12, int(month) % 12 + 1, 1).toordinal() - first if (year, month) != (9999, "12") else 31)
    else:
        after = first + (366 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 365)
    return (first - _EPOCH_DAY) * DAY, (after - _EPOCH_DAY) * DAY - 1


def _time_interval(match: re.Match[str]) -> Interval:
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    clock = min(int(second or 0), 59)
    moment = datetime(int(year), int(month), int(day), int(hour), int(minute), clock, tzinfo=UTC)
    start = (moment.toordinal() - _EPOCH_DAY) * DAY + (moment.hour * 3600 + moment.minute * 60 + clock) * 1000
    if zone and zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[4:])
        if hours > 14 or minutes > 59:
            raise ValueError(zone[0])
        start -= (1 if zone[0] == "+" else -1) * (hours * 60 + minutes) * 60_000
    if second is None:
        return start, start + 59_999
    if fraction is None:
        return start, start + 999
    digits = fraction[:3]
    width = 10 ** (3 - len(digits))
    return start + int(digits) * width, start + int(digits) * width + width - 1


def period_interval(start: object, end: object) -> Interval | None:
    """The interval of a Period; None when both ends are absent or unreadable."""
    first = date_interval(start) if isinstance(start, str) else None
    last = date_interval(end) if isinstance(end, str) else None
    if first is None and last is None:
        return None
    return (first[0] if first else -FOREVER, last[1] if last else FOREVER)


@lru_cache(maxsize=1024)
def moment(milliseconds: int) -> str:
    """The FHIR instant of milliseconds since 1970."""
    value = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """Case-folded, accents dropped, white space runs made one blank: what strings are compared by. At most MAX_TEXT long."""
    text = text[: 4 * MAX_TEXT]
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(text.replace("\x00", "").casefold().split())[:MAX_TEXT]


def capped(text: str) -> str:
    """The text itself, or its start and a hash of the whole when longer than MAX_TEXT: equal texts stay equal."""
    text = text.replace("\x00", "")
    if len(text) <= MAX_TEXT:
        return text
    return text[: MAX_TEXT - 33] + "#" + blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


@lru_cache(maxsize=4096)
def system_number(system: str) -> int:
    """A signed 64-bit number that stands for a code system or server address; 0 for none.

    A hash and not a table: importers in several processes need no agreement, and two of n systems collide with n*n/2**65.
    """
    return int.from_bytes(blake2b(system.encode(errors="replace"), digest_size=8).digest(), "big", signed=True) if system else 0


def own_part(address: str) -> str:
    """What of a data store's address stays the same by whatever scheme, host and port it is reached: `/datastore/{id}/r4`.

    An address that is no data store's is given back whole.
    """
    address = address.rstrip("/")
    match = _STORE.search(address)
    return match[0] if match else address


def reference_parts(reference: str, own: str = "") -> tuple[str, str, str]:
    """(base address, type, id) of a literal reference; ("", "", url) for canonicals and URNs; type "" and id "" for `#x`.

    `own` is the `own_part` of a data store's address: what lies at an address that ends with it is the data store's own, and its base
    is empty like that of a relative reference. Any spelling counts that leads a client there: percent signs, dots, a query or fragment.
    """
    if not reference or reference[0] == "#":
        return "", "", ""
    match = _REFERENCE.fullmatch(reference)
    if match is not None and not match[1]:
        return "", match[2], match[3]
    base = match[1] if match else ""
    unusual = _UNUSUAL.search(base) if match else not reference.startswith("urn:")
    if own and unusual and (read := _resolved(reference, own)):
        return "", read[2], read[3]
    if match is None:
        return "", "", reference
    return "" if own and base.endswith(own) else base, match[2], match[3]


def _resolved(reference: str, own: str) -> re.Match[str] | None:
    """The parts of an unusual spelling of something at an own address, read as clients do (RFC 3986, 5.2); None for all else."""
    try:
        address = urlsplit(urljoin(f"http://own{own}/", unquote(reference)))
        plain = urljoin(f"{address.scheme}://{address.netloc}", _SLASHES.sub("/", address.path))
    except ValueError:
        return None
    match = _REFERENCE.fullmatch(plain.rstrip("/"))
    return match if match and (match[1] or "").endswith(own) else None


def number(text: str) -> Decimal | None:
    """A finite decimal, or None."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def half_step(value: Decimal) -> Decimal:
    """Half a unit of the last digit given: 100 -> 0.5, 1.50 -> 0.005, 1e2 -> 50."""
    exponent = value.as_tuple().exponent
    return Decimal(5).scaleb(int(exponent) - 1)


_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


def is_id(text: str) -> bool:
    """Whether a text is a legal FHIR id."""
    return _ID.fullmatch(text) is not None


def copied(value: Any) -> Any:
    """A deep copy of a decoded JSON object or array, several times faster than copy.deepcopy."""
    if isinstance(value, dict):
        return {k: copied(v) if isinstance(v, dict | list) else v for k, v in value.items()}
    return [copied(v) if isinstance(v, dict | list) else v for v in value]


DEPTH = 64
"""Levels of objects and arrays that a resource may have: as many as the body of a request."""


def levels(value: Any) -> int:
    """How many levels of objects and arrays a decoded JSON value has; 0 for a plain value."""
    found, here = 0, [value] if type(value) in _CONTAINERS else []
    while here:
        found += 1
        here = [one for each in here for one in (each.values() if type(each) is dict else each) if type(one) in _CONTAINERS]
    return found


_CONTAINERS = frozenset({dict, list})
