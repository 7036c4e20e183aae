"""Wildcards and variables of policies, compiled to small functions. Matching takes time linear in text times pattern.

`*` stands for any run of characters, `?` for one; `${key}` for the value of a condition key, always literally;
`${*}`, `${?}` and `${$}` for these characters. A variable without a single value matches nothing.
Source: IAM User Guide, "IAM JSON policy elements: Resource" and "Variables and tags".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

Keys = Mapping[str, str | Sequence[str]]
"""Condition keys of a request, lower case, to their value or values."""

Match = Callable[[str], bool]
Bound = Callable[[str, Keys], bool]
"""Whether a text matches, given the keys that variables stand for."""

_TOKENS = re.compile(r"\$\{([^{}]*)\}|([*?])|([^*?$]+|\$)")
_DEFAULT = re.compile(r"\s*'([^']*)'\s*")


class Token(NamedTuple):
    """A piece of a pattern: kind `text`, `star`, `any`, `key` (its text is lower case; it may have a default) or `value` (a filled key)."""

    kind: str
    text: str
    default: str | None = None


Tokens = tuple[Token, ...]
STAR, ANY = Token("star", "*"), Token("any", "?")


def tokens(pattern: str, with_variables: bool = True, wildcards: bool = True) -> Tokens:
    """The pattern's pieces."""
    found: list[Token] = []
    for variable, mark, text in _TOKENS.findall(pattern):
        if mark:
            found.append((STAR if mark == "*" else ANY) if wildcards else Token("text", mark))
        elif text:
            found.append(Token("text", text))
        elif not with_variables:
            found += tokens("$", False) + tokens("{" + variable + "}", False, wildcards)
        else:
            found.append(_variable(variable))
    return tuple(found)


def _variable(name: str) -> Token:
    if name in ("*", "?", "$"):
        return Token("text", name)
    key, _, default = name.partition(",")
    quoted = _DEFAULT.fullmatch(default)
    return Token("key", key.strip().lower(), quoted.group(1) if quoted else None)


def variables(pattern: str) -> list[str]:
    """The condition keys, lower case, that the pattern's variables stand for."""
    return [token.text for token in tokens(pattern) if token.kind == "key"]


def filled(pieces: Tokens, keys: Keys) -> Tokens | None:
    """The pieces with each variable's value as text; None when one has no single value."""
    found: list[Token] = []
    for token in pieces:
        if token.kind == "key":
            value = keys.get(token.text, token.default)
            if not isinstance(value, str):
                return None
            token = Token("value", value)
        found.append(token)
    return tuple(found)


def bound(pieces: Tokens, make: Callable[[Tokens], Match]) -> Bound:
    """The pattern as a function of text and keys; without variables it is compiled once."""
    if not any(token.kind == "key" for token in pieces):
        match = make(pieces)
        return lambda text, keys: match(text)

    def match_filled(text: str, keys: Keys) -> bool:
        full = filled(pieces, keys)
        return full is not None and make(full)(text)

    return match_filled


@lru_cache(maxsize=4096)
def glob(pieces: Tokens) -> Match:
    """Whether a whole text matches pieces without variables."""
    runs: list[list[Token]] = [[]]
    for token in pieces:
        if token.kind == "star":
            runs.append([])
        else:
            runs[-1].append(token)
    if len(runs) <= 2 and ANY not in pieces:
        return _plain(["".join(token.text for token in run) for run in runs])
    return _greedy([re.compile("".join(_regex(token) for token in run), re.DOTALL) for run in runs], [_length(run) for run in runs])


def _regex(token: Token) -> str:
    return "." if token.kind == "any" else re.escape(token.text)


def _length(run: list[Token]) -> int:
    return sum(len(token.text) for token in run)


def _plain(ends: list[str]) -> Match:
    start, end = ends[0], ends[-1]
    if len(ends) == 1:
        return lambda text: text == start
    if not end:
        return (lambda text: text.startswith(start)) if start else (lambda text: True)
    least = len(start) + len(end)
    return lambda text: len(text) >= least and text.startswith(start) and text.endswith(end)


def _greedy(runs: list[re.Pattern[str]], lengths: list[int]) -> Match:
    """Runs between stars: the first at the start, the last at the end, each other one where it is first found."""
    first, middle, last, tail = runs[0], runs[1:-1], runs[-1], lengths[-1]
    if len(runs) == 1:
        return lambda text: first.fullmatch(text) is not None

    def match(text: str) -> bool:
        found = first.match(text)
        for run in middle:
            if found is None:
                return False
            found = run.search(text, found.end())
        start = len(text) - tail
        return found is not None and found.end() <= start and last.fullmatch(text, start) is not None

    return match


@lru_cache(maxsize=4096)
def arn_glob(pieces: Tokens) -> Match:
    """Whether an ARN matches segment by segment: no wildcard and no variable crosses the first five colons."""
    if pieces == (STAR,):
        return lambda text: True
    segments = _segments(pieces)
    if all(token.kind == "text" for segment in segments[:5] for token in segment):
        return glob(pieces)
    matches = [glob(tuple(segment)) for segment in segments]

    def match(text: str) -> bool:
        parts = text.split(":", 5)
        return len(parts) == len(matches) and all(one(part) for one, part in zip(matches, parts, strict=True))

    return match


def _segments(pieces: Tokens) -> list[list[Token]]:
    segments: list[list[Token]] = [[]]
    for token in pieces:
        parts = token.text.split(":", 6 - len(segments)) if token.kind == "text" and len(segments) < 6 else [token.text]
        for i, part in enumerate(parts):
            if i:
                segments.append([])
            if part:
                segments[-1].append(Token(token.kind, part, token.default))
    return segments


def is_arn_pattern(pattern: str) -> bool:
    """Whether the pattern is `*` or has an ARN's six segments."""
    segments = _segments(tokens(pattern))
    return pattern == "*" or (len(segments) == 6 and segments[0] == [Token("text", "arn")] and all(segments[i] for i in (1, 2, 5)))
