"""What the statistical models see of a token. Training and inference call the same functions.

A token's features fall into channels; each depends on one key alone (the word, its dictionary tag, its neighbour),
so that inference adds up remembered rows of weights instead of building features (see `model`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

Clusters = Mapping[str, tuple[str, ...]]
REACH = (-2, -1, 0, 1, 2)
"""Distances from which a token is influenced."""
CUT = 40
"""Characters of a word that features look at."""


@lru_cache(maxsize=1 << 16)
def shape(word: str) -> str:
    """The word's pattern of capitals, small letters and digits, runs cut to two: "Xx", "XXd-"."""
    out: list[str] = []
    for letter in word[:CUT]:
        kind = "X" if letter.isupper() else "x" if letter.islower() else "d" if letter.isdigit() else letter
        if len(out) < 2 or out[-1] != kind or out[-2] != kind:
            out.append(kind)
    return "".join(out)


def fold(word: str) -> str:
    """Lower case, digits as 0, cut."""
    return "".join("0" if letter.isdigit() else letter for letter in word[:CUT].lower())


def word_features(word: str, clusters: Clusters) -> dict[int, list[str]]:
    """For each distance, the features that this word gives to the token at that distance before it."""
    low, form = fold(word), shape(word)
    groups = clusters.get(word.lower(), ())
    like = [f"c{number}={group}" for number, group in enumerate(groups)]
    here = [f"w={low}", f"s={form}"]
    here += [f"p{size}={low[:size]}" for size in range(1, 6) if len(low) >= size]
    here += [f"x{size}={low[-size:]}" for size in range(1, 7) if len(low) >= size]
    if len(low) > 4:
        here += [f"m={low[at : at + 4]}" for at in range(1, len(low) - 4)]
    near = [f"w={low}", f"s={form}", f"x3={low[-3:]}", f"p3={low[:3]}", *like]
    far = [f"w={low}", f"s={form}", f"x3={low[-3:]}", *like[:2]]
    here += like
    return {
        -2: [f"-2{name}" for name in far],
        -1: [f"-1{name}" for name in near],
        0: [f"0{name}" for name in here],
        1: [f"1{name}" for name in near],
        2: [f"2{name}" for name in far],
    }


def tag_features(channel: str, tag: str) -> dict[int, list[str]]:
    """The same for a dictionary tag or for another model's label; "" gives nothing."""
    return {distance: [f"{distance}{channel}={tag}"] if tag else [] for distance in REACH}


def pair_key(first: str, second: str) -> str:
    """The feature of two neighbouring words, seen from the second; with "n" in place of "b" from the first."""
    return f"{fold(first)}|{fold(second)}"


Known = dict[str, Mapping[int, list[str]]]
"""Features by channel and key, remembered over many sentences."""


def sentence_features(
    words: Sequence[str],
    tags: Sequence[Sequence[str]],
    clusters: Clusters,
    stacked: Sequence[Sequence[str]] = (),
    known: Known | None = None,
) -> list[list[str]]:
    """All features of each token, as text: for training, and to check that inference adds up the same.

    `tags` are the gazetteer's lists, `stacked` the labels that earlier models gave.
    """
    count, remembered = len(words), {} if known is None else known
    out: list[list[str]] = [[] for _ in range(count)]
    channels = [[_recalled(remembered, f"w {word}", word_features, word, clusters) for word in words]]
    for letter, rows in (("g", tags), ("k", stacked)):
        for number, row in enumerate(rows):
            channel = f"{letter}{number}"
            channels.append([_recalled(remembered, f"{channel} {tag}", tag_features, channel, tag) for tag in row])
    for given_by in channels:
        for place, given in enumerate(given_by):
            for distance in REACH:
                if 0 <= place - distance < count:
                    out[place - distance] += given[distance]
    for place in range(1, count):
        key = pair_key(words[place - 1], words[place])
        out[place].append("b" + key)
        out[place - 1].append("n" + key)
    out[0].append("first")
    out[-1].append("last")
    return out


def _recalled(known: Known, key: str, make: Callable[..., Mapping[int, list[str]]], *arguments: object) -> Mapping[int, list[str]]:
    found = known.get(key)
    if found is None:
        found = known[key] = make(*arguments)
    return found
