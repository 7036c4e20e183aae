"""By what type and ARN a record names what a call was refused: the services' side of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from opentrail.kernel import arn

Named = Callable[[str, bool], Sequence[tuple[str, str]]]
"""Types and ARNs for the ARN of a right that a call lacked; the second says whether the call is a data event. None for what does not
look like a name: a client may have written anything there."""

_NAME = re.compile(r"[\w+=,.@/-]{1,512}", re.ASCII)


def by_word(types: Mapping[str, str]) -> Named:
    """For a service whose ARNs say what they name by their first word: `role/admin`."""

    def named(text: str, data: bool) -> Sequence[tuple[str, str]]:
        found = arn.parse(text)
        if found is None or not _NAME.fullmatch(found.resource):
            return ()
        word, slash, _ = found.resource.partition("/")
        return ((types[word], text),) if slash and word in types else ()

    return named


def nothing(text: str, data: bool) -> Sequence[tuple[str, str]]:
    """For a service whose rights name no resources."""
    return ()
