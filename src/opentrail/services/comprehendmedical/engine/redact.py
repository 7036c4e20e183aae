"""Take protected information out of a text: a tag in its place, or a made-up stand-in that stays the same."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from opentrail.services.comprehendmedical.engine.detect import find_phi
from opentrail.services.comprehendmedical.engine.library import Library
from opentrail.services.comprehendmedical.engine.phi import Protected


def redact(source: str, library: Library, key: bytes | None = None, floor: float = 0.0) -> str:
    """`source` without its protected information.

    Without a key every piece becomes its type in brackets: "[NAME]". With a key it becomes a stand-in that is the same
    for the same words (whatever their case) under that key and cannot be turned back without it: "[NAME-3f9a1c20]".
    """
    found = [one for one in find_phi(source, library) if one.score >= floor]
    return replaced(source, found, key)


def replaced(source: str, found: Sequence[Protected], key: bytes | None = None) -> str:
    """`source` with the given pieces (in order, apart from each other) replaced."""
    out, at = [], 0
    for one in found:
        out += [source[at : one.begin], stand_in(source[one.begin : one.end], one.type, key)]
        at = one.end
    return "".join([*out, source[at:]])


def stand_in(words: str, kind: str, key: bytes | None) -> str:
    """What stands for a piece of protected text."""
    if key is None:
        return f"[{kind}]"
    same = " ".join(words.lower().split())
    return f"[{kind}-{hmac.new(key, f'{kind}:{same}'.encode(), hashlib.sha256).hexdigest()[:8]}]"
