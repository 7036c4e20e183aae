"""A small recurrent network that reads a document's sentences in both directions, beside the linear-chain models.

It is trained by `tools/nlp_network.py` (PyTorch) and answers here with numpy alone. A word's input (its vector, its form, its
n-grams, its pattern) depends on the word alone and is remembered; dictionary tags and labels of earlier heads are added to it.
All sentences are read side by side, both directions in one multiplication a step.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opentrail.services.comprehendmedical.engine import stored
from opentrail.services.comprehendmedical.engine.decode import Batch, Floats
from opentrail.services.comprehendmedical.engine.features import fold, shape
from opentrail.services.comprehendmedical.engine.stored import Arrays
from opentrail.services.comprehendmedical.engine.terms import Strings

FORM = "network 1"
VECTORS = "vectors 1"
REMEMBERED = 12_000
"""Words whose inputs are kept; beyond it all are forgotten (this bounds memory, it changes no result)."""
GRAMS = (2, 3, 4, 5)
"""Lengths of the runs of characters that speak for a word."""
MOST = 60
"""Runs of a word that are looked at."""
UNKNOWN = 1
"""The number of a form or pattern that training did not keep; tags that it did not see say nothing (number 0)."""


def grams(word: str, buckets: int) -> list[int]:
    """The numbers of a word's runs of characters, its ends marked: hashed into `buckets`, from 0."""
    marked = f"<{fold(word)}>"
    runs = [marked[at : at + size] for size in GRAMS for at in range(len(marked) - size + 1)]
    return [zlib.crc32(run.encode()) % buckets for run in runs[:MOST]]


@dataclass(frozen=True, slots=True)
class Vectors:
    """Word vectors: the row of a lower-case word, and the rows as small whole numbers with a scale each."""

    rows: Mapping[str, int]
    table: NDArray[np.int8]
    scales: Floats

    def of(self, words: Sequence[str]) -> Floats:
        """One row for each word, without case, digits as 0 where the word itself is not known; unknown words are all zero."""
        found = np.zeros((len(words), self.table.shape[1]), np.float32)
        known = [(at, row) for at, word in enumerate(words) if (row := self._row(word)) is not None]
        if known:
            places, rows = np.array(known, np.intp).T
            found[places] = self.table[rows] * self.scales[rows, None]
        return found

    def _row(self, word: str) -> int | None:
        row = self.rows.get(word.lower())
        return self.rows.get(fold(word)) if row is None else row


def load_vectors(path: Path, words: Iterable[str]) -> Vectors:
    """Read vectors whose words are those of the clusters, in their order."""
    arrays = stored.load(path, VECTORS)
    return Vectors(dict(zip(words, arrays["rows"].tolist(), strict=True)), arrays["table"], arrays["scales"].astype(np.float32))


class Network:
    """Scores of labels (`labels`, `transitions` as a head of `model` has them) from words and their tags."""

    def __init__(self, arrays: Arrays, vectors: Vectors) -> None:
        told = json.loads(arrays["labels"].tobytes())
        self.labels: tuple[str, ...] = tuple(told)
        self.transitions = _floats(arrays, "transitions")
        self._vectors = vectors
        self._forms = _numbers(arrays, "forms")
        self._shapes = _numbers(arrays, "shapes")
        self._tags = [_numbers(arrays, f"tags{channel}") for channel in range(int(arrays["channels"]))]
        self._tag_tables = [_floats(arrays, f"tag_table{channel}") for channel in range(len(self._tags))]
        self._form_table, self._shape_table, self._gram_table = (_floats(arrays, f"{name}_table") for name in ("form", "shape", "gram"))
        self._mix, self._bias = _floats(arrays, "word"), _floats(arrays, "word_bias")
        self._first, self._first_bias, self._again = _floats(arrays, "first"), _floats(arrays, "first_bias"), _floats(arrays, "again")
        self._out, self._out_bias = _floats(arrays, "out"), _floats(arrays, "out_bias")
        self._known: dict[str, int] = {}
        self._table = np.zeros((0, len(self._bias)), np.float32)
        self._turn = threading.Lock()

    def scores(self, batch: Batch, words: Sequence[str], tags: Sequence[Sequence[str]]) -> Floats:
        """Scores of the labels for each row of the batch; `tags` are the dictionary's lists and then those of the earlier heads."""
        given = self._words(words)
        for numbers, table, row in zip(self._tags, self._tag_tables, tags, strict=True):
            given += table[[numbers.get(tag, 0) for tag in row]]
        scores = np.zeros((batch.size, len(self.labels)), np.float32)
        scores[batch.rows] = self._read(batch, given) @ self._out + self._out_bias
        return scores

    def _words(self, words: Sequence[str]) -> Floats:
        with self._turn:
            if len(self._known) > REMEMBERED:
                self._known, self._table = {}, self._table[:0]
            new = [word for word in dict.fromkeys(words) if word not in self._known]
            if new:
                first = len(self._known)
                if first + len(new) > len(self._table):
                    grown = np.zeros((max(1024, 2 * len(self._table), first + len(new)), len(self._bias)), np.float32)
                    grown[:first] = self._table[:first]
                    self._table = grown
                self._table[first : first + len(new)] = self._inputs(new)
                self._known.update(zip(new, range(first, first + len(new)), strict=True))
            return self._table[[self._known[word] for word in words]]

    def _inputs(self, words: Sequence[str]) -> Floats:
        """What each word by itself gives to the reading."""
        runs = [grams(word, len(self._gram_table)) for word in words]
        sizes = np.array([len(run) for run in runs])
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        spelt = np.add.reduceat(self._gram_table[np.concatenate([np.array(run, np.intp) for run in runs])], starts) / sizes[:, None]
        parts = [
            self._vectors.of(words),
            self._form_table[[self._forms.get(fold(word), UNKNOWN) for word in words]],
            spelt.astype(np.float32),
            self._shape_table[[self._shapes.get(shape(word), UNKNOWN) for word in words]],
        ]
        inputs: Floats = np.concatenate(parts, axis=1) @ self._mix + self._bias
        return inputs

    def _read(self, batch: Batch, given: Floats) -> Floats:
        """What both directions know at each token: a long short-term memory, all sentences side by side, the longest first.

        The stored weights of the three gates are halved, so that one tanh serves gates and candidates alike."""
        size = self._again.shape[1]
        place = np.zeros(batch.size, np.intp)
        place[batch.rows] = np.arange(len(batch.rows))
        starts, lengths = place[batch.starts], batch.lengths
        ahead = (given @ self._first + self._first_bias).reshape(len(given), 2, 4 * size)
        known = np.zeros((2, len(given), size), np.float32)
        hidden, cell = np.zeros((2, len(starts), size), np.float32), np.zeros((2, len(starts), size), np.float32)
        for step, (_, count) in enumerate(batch.steps):
            forth, back = starts[:count] + step, starts[:count] + lengths[:count] - 1 - step
            gates = np.matmul(hidden[:, :count], self._again)
            gates[0] += ahead[forth, 0]
            gates[1] += ahead[back, 1]
            np.tanh(gates, out=gates)
            gates[:, :, : 3 * size] *= 0.5
            gates[:, :, : 3 * size] += 0.5
            enter, forget, out, new = (gates[:, :, at * size : (at + 1) * size] for at in range(4))
            cell = cell[:, :count]
            cell *= forget
            cell += enter * new
            hidden = np.tanh(cell)
            hidden *= out
            known[0, forth], known[1, back] = hidden[0], hidden[1]
        return np.concatenate([known[0], known[1]], axis=1)


def _floats(arrays: Arrays, name: str) -> Floats:
    return arrays[name].astype(np.float32)


def _numbers(arrays: Arrays, name: str) -> dict[str, int]:
    """Texts by number: the first two numbers stand for nothing and for what is unknown."""
    return {text: number for number, text in enumerate(Strings.of(arrays[name]).all(), UNKNOWN + 1)}


def load(path: Path, vectors: Vectors) -> Network:
    """Read a file that `tools/nlp_network.py` wrote."""
    return Network(stored.load(path, FORM), vectors)
