"""The parts of a canonical request: path, query and header values as Signature Version 4 encodes them.

Source: IAM User Guide, "Create a signed AWS API request"; S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from opentrail.identity.refusals import Rejected

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_.~/-]*")
_PLAIN_QUERY = re.compile(r"[A-Za-z0-9_.~&=-]*")
_CROOKED = re.compile(r"//|/\.\.?(?:/|\Z)")
_SAFE = "-_.~"


def canonical_path(path: str, once: bool) -> str:
    """The path for the canonical request: with `once` every octet percent-encoded once, else the sent text encoded again.

    Raises Rejected for a path in the second form that normalising would change: what is signed is what is served.
    """
    if once:
        return path if _PLAIN_PATH.fullmatch(path) else quote(unquote_to_bytes(path or "/"), safe="/" + _SAFE)
    if _CROOKED.search(path):
        raise Rejected("malformed", "The path has empty or dot segments, which the signature does not cover.")
    return path if _PLAIN_PATH.fullmatch(path) else quote(path or "/", safe="/~")


def canonical_query(query: str) -> str:
    """The query's pairs but for X-Amz-Signature, each octet percent-encoded once, in order of name and value."""
    if not query:
        return ""
    pairs = _pairs(query)
    if not _PLAIN_QUERY.fullmatch(query):
        pairs = [(_encoded(name), _encoded(value)) for name, value in pairs]
    return _joined(pairs)


def literal_query(query: str) -> str:
    """The query's pairs but for X-Amz-Signature as they were sent, in order of name and value."""
    return _joined(_pairs(query)) if query else ""


def _pairs(query: str) -> list[tuple[str, str]]:
    found = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if pair and name != "X-Amz-Signature":
            found.append((name, value))
    return found


def _joined(pairs: list[tuple[str, str]]) -> str:
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe=_SAFE)


def canonical_value(value: str) -> str:
    """A header's value without outer blanks and with inner runs of blanks as one space."""
    return " ".join(value.split())
