"""What a run could not test, said at its end. With OPENTRAIL_TESTS_COMPLETE=1 (CI) a gap is a failure."""

from __future__ import annotations

import os

COMPLETE = os.environ.get("OPENTRAIL_TESTS_COMPLETE") == "1"
found: dict[str, str] = {}


def note(what: str, why: str) -> None:
    """Remembers that `what` was not run."""
    found[what] = why
