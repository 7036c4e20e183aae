"""Linear-chain models: loading, and labelling a whole document at once.

A model holds several *heads* (one for each label group) over one shared list of features. A feature's weights are a
sparse row over the labels of all heads. What a word, a dictionary tag or a pair of words adds to its neighbours depends
on that key alone, so those sums are remembered; a document then costs a few array additions and one decoding per head.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opentrail.services.comprehendmedical.engine.decode import Batch, Floats, decode
from opentrail.services.comprehendmedical.engine.features import REACH, Clusters, fold, tag_features, word_features

REMEMBERED = 12_000
"""Keys whose rows are kept in one channel; beyond it all are forgotten (this bounds memory, it changes no result)."""
_folded = lru_cache(maxsize=1 << 15)(fold)
PLAIN = {"E": "I", "S": "B"}
"""The marks of heads that tell a mention's last word (E) and only word (S) apart from others (I, B), as callers see them."""


@dataclass(frozen=True, slots=True)
class Head:
    """One model: its name, its labels, where they stand among all labels, and its transition weights.

    `plain` are the labels as callers see them: O, B- and I-.
    """

    name: str
    labels: tuple[str, ...]
    first: int
    transitions: Floats
    plain: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", tuple(PLAIN.get(label[0], label[0]) + label[1:] for label in self.labels))

    @property
    def columns(self) -> slice:
        """The head's part of a row of weights."""
        return slice(self.first, self.first + len(self.labels))


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled run of tokens (first, past last) and the model's own probability for it."""

    first: int
    last: int
    label: str
    score: float


@dataclass(slots=True)
class _Rows:
    """One channel's remembered rows: key -> row number in `table`, which holds an array (distance, label) for each."""

    width: int
    numbers: dict[str, int] = field(default_factory=dict)
    table: Floats = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))

    def number_of(self, key: str, make: Callable[[str], Floats]) -> int:
        """The row of `key`, made by `make` when it is new."""
        number = self.numbers.get(key)
        if number is None:
            number = len(self.numbers)
            if number >= len(self.table):
                grown = np.zeros((max(256, 2 * len(self.table)), len(REACH), self.width), np.float32)
                grown[:number] = self.table[:number] if number else 0
                self.table = grown
            self.table[number] = make(key)
            self.numbers[key] = number
        return number


class Model:
    """Heads over shared features: `features` gives a feature's row in the sparse matrix (starts, columns, weights)."""

    def __init__(
        self,
        features: Mapping[str, int],
        starts: NDArray[np.int32],
        columns: NDArray[np.uint8],
        weights: Floats,
        heads: Sequence[Head],
        clusters: Clusters,
    ) -> None:
        self.heads = {head.name: head for head in heads}
        self.width = sum(len(head.labels) for head in heads)
        self._features = features
        self._starts: list[int] = starts.tolist()
        self._columns = columns.astype(np.intp)
        self._weights = weights
        self._clusters = clusters
        self._rows: dict[str, _Rows] = {}
        self._turn = threading.Lock()

    def scores(self, batch: Batch, words: Sequence[str], tags: Sequence[Sequence[str]]) -> Floats:
        """What words, dictionary tags and pairs of words say of each token, over the labels of all heads."""
        scores = np.zeros((batch.size, self.width), np.float32)
        self._add(scores, batch, "word", words, lambda word: word_features(word, self._clusters))
        for number, row in enumerate(tags):
            self.add_tags(scores, batch, f"g{number}", row)
        self._add_pairs(scores, batch, words)
        scores[batch.starts] += self._row(["first"])
        scores[batch.starts + batch.lengths - 1] += self._row(["last"])
        return scores

    def add_tags(self, scores: Floats, batch: Batch, channel: str, tags: Sequence[str]) -> None:
        """Let a row of tags (a dictionary's, or the labels of an earlier head) speak, as features of `channel`."""
        self._add(scores, batch, channel, tags, lambda tag: tag_features(channel, tag))

    def label(
        self, head: str, scores: Floats, batch: Batch, eager: float = 0.0, beside: tuple[Floats, Floats] | None = None
    ) -> tuple[list[str], Floats]:
        """The label (O, B- or I-) of each token by one head, and its probability; `eager` is taken from the score of "outside".

        `beside` are the scores and transitions of another judge over the head's labels: both then have half a say each.
        """
        chosen = self.heads[head]
        own, transitions = scores[:, chosen.columns], chosen.transitions
        if beside is not None:
            half = np.float32(0.5)
            own, transitions = (own + beside[0]) * half, (transitions + beside[1]) * half
        if eager and "O" in chosen.labels:
            own = own.copy()
            own[:, chosen.labels.index("O")] -= eager
        best, sure = decode(own, transitions, batch)
        return [chosen.plain[number] for number in best.tolist()], sure

    def _row(self, features: Sequence[str]) -> Floats:
        row = np.zeros(self.width, np.float32)
        for feature in features:
            number = self._features.get(feature)
            if number is not None:
                part = slice(self._starts[number], self._starts[number + 1])
                row[self._columns[part]] += self._weights[part]
        return row

    def _add(self, scores: Floats, batch: Batch, channel: str, keys: Sequence[str], make: Callable[[str], Mapping[int, list[str]]]) -> None:
        with self._turn:
            rows = self._rows.get(channel)
            if rows is None or len(rows.numbers) > REMEMBERED:
                rows = self._rows[channel] = _Rows(self.width)
            numbers = np.array([rows.number_of(key, lambda key: self._block(make(key))) for key in keys], np.intp)
            table = rows.table
        for index, distance in enumerate(REACH):
            scores[batch.rows - distance] += table[numbers, index]

    def _block(self, given: Mapping[int, list[str]]) -> Floats:
        return np.stack([self._row(given[distance]) for distance in REACH])

    def _add_pairs(self, scores: Floats, batch: Batch, words: Sequence[str]) -> None:
        rows, folded = batch.rows.tolist(), [_folded(word) for word in words]
        for number in range(1, len(words)):
            if rows[number] != rows[number - 1] + 1:
                continue
            key = f"{folded[number - 1]}|{folded[number]}"  # as `pair_key` has it, each word folded once
            for feature, at in (("b" + key, rows[number]), ("n" + key, rows[number - 1])):
                row = self._features.get(feature)
                if row is not None:
                    part = slice(self._starts[row], self._starts[row + 1])
                    scores[at, self._columns[part]] += self._weights[part]


def spans_of(labels: Sequence[str], sure: Sequence[float], bounds: Sequence[tuple[int, int]]) -> list[Span]:
    """Runs of B- and I- labels within each sentence; a run's score is the mean probability of its tokens."""
    found = []
    for first, last in bounds:
        at = first
        while at < last:
            label, begin = labels[at], at
            at += 1
            if label == "O":
                continue
            while at < last and labels[at] == "I-" + label[2:]:
                at += 1
            found.append(Span(begin, at, label[2:], float(sum(sure[begin:at])) / (at - begin)))
    return found


def save(path: Path, heads: Mapping[str, tuple[Sequence[str], Floats, Mapping[str, Mapping[str, float]]]]) -> None:
    """Write heads (labels, transitions, weights as {feature: {label: weight}}) into one file for `load`."""
    names = sorted({feature for _, _, weights in heads.values() for feature in weights})
    starts, columns, values, first, described = [0], [], [], 0, []
    for name, (labels, _, _) in heads.items():
        described.append({"name": name, "labels": list(labels), "first": first})
        first += len(labels)
    for feature in names:
        for head in described:
            labels, _, weights = heads[str(head["name"])]
            for label, weight in weights.get(feature, {}).items():
                columns.append(int(str(head["first"])) + list(labels).index(label))
                values.append(weight)
        starts.append(len(columns))
    arrays = {f"transitions_{name}": transitions for name, (_, transitions, _) in heads.items()}
    np.savez_compressed(
        path,
        names=np.frombuffer("\n".join(names).encode(), np.uint8),
        heads=np.frombuffer(json.dumps(described).encode(), np.uint8),
        starts=np.array(starts, np.int32),
        columns=np.array(columns, np.uint8),
        weights=np.array(values, np.float16),
        allow_pickle=False,
        **arrays,
    )


def load(path: Path, clusters: Clusters) -> Model:
    """Read a file that `save` wrote."""
    with np.load(path) as stored:
        names = stored["names"].tobytes().decode().split("\n")
        described = json.loads(stored["heads"].tobytes())
        heads = [
            Head(one["name"], tuple(one["labels"]), one["first"], stored[f"transitions_{one['name']}"].astype(np.float32))
            for one in described
        ]
        features = {name: number for number, name in enumerate(names)}
        return Model(features, stored["starts"], stored["columns"], stored["weights"].astype(np.float32), heads, clusters)
