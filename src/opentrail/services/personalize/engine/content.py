"""Item vectors from what items are (categories, words, numbers) and from who took them: truncated SVD of sparse matrices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.entities import Entities
from opentrail.services.personalize.engine.interactions import Interactions

Vectors = NDArray[np.float32]
_WORD = re.compile(r"\w{2,}")
_CELLS_AT_ONCE = 200_000
MOST_WORDS = 50_000


@dataclass(frozen=True, slots=True)
class Sparse:
    """A matrix of `rows` x `columns` as coordinate lists."""

    rows: int
    columns: int
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[np.float32]

    def turned(self) -> Sparse:
        """The transpose."""
        return Sparse(self.columns, self.rows, self.column, self.row, self.value)

    def times(self, dense: Vectors) -> Vectors:
        """The product with a dense matrix of `columns` rows."""
        order = np.argsort(self.row, kind="stable")
        result = np.zeros((self.rows, dense.shape[1]), np.float32)
        for start in range(0, len(order), _CELLS_AT_ONCE):
            part = order[start : start + _CELLS_AT_ONCE]
            rows = self.row[part]
            first = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
            result[rows[first]] += np.add.reduceat(dense[self.column[part]] * self.value[part][:, None], first, axis=0)
        return result


def decompose(matrix: Sparse, size: int, seed: int) -> tuple[Vectors, Vectors]:
    """Truncated SVD by a randomised range finder: (U * sqrt(S), V * sqrt(S)), `size` columns at most, zero where there is no rank."""
    size = min(size, matrix.rows, matrix.columns)
    across = matrix.turned()
    basis = np.random.default_rng(seed).standard_normal((matrix.columns, size + 10)).astype(np.float32)
    for _ in range(3):
        left, _ = np.linalg.qr(matrix.times(basis))
        basis = across.times(left)
    inner, strength, outer = np.linalg.svd(basis.T, full_matrices=False)
    root = np.sqrt(strength[:size])
    return ((left @ inner)[:, :size] * root).astype(np.float32), (outer[:size].T * root).astype(np.float32)


def interaction_matrix(data: Interactions) -> Sparse:
    """Users x items: each pair once, damped by the item's popularity, the user's row of length one."""
    pairs = np.unique(data.user.astype(np.int64) * len(data.items) + data.item)
    user, item = pairs // max(len(data.items), 1), pairs % max(len(data.items), 1)
    value = np.bincount(item, minlength=len(data.items))[item] ** -0.25
    length = np.sqrt(np.bincount(user, value**2, minlength=len(data.users)))
    return Sparse(len(data.users), len(data.items), user, item, (value / length[user]).astype(np.float32))


def content_matrix(items: Entities) -> Sparse:
    """Items x terms: categories, words of texts (TF-IDF) and numbers cut into tenths, each item's row of length one."""
    terms: dict[str, int] = {}
    row: list[int] = []
    column: list[int] = []
    for name, item_column in items.columns.items():
        for at, term in _terms(name, items, item_column.field.textual):
            row.append(at)
            column.append(terms.setdefault(term, len(terms)))
    rows, columns = np.array(row, np.int64), np.array(column, np.int64)
    pairs, count = np.unique(rows * max(len(terms), 1) + columns, return_counts=True)
    rows, columns = pairs // max(len(terms), 1), pairs % max(len(terms), 1)
    seen = np.bincount(columns, minlength=len(terms))
    keep = np.zeros(len(terms), np.bool_)
    keep[np.argsort(-seen, kind="stable")[:MOST_WORDS]] = True
    keep &= seen > 1
    rows, columns, count = rows[keep[columns]], columns[keep[columns]], count[keep[columns]]
    value = (1 + np.log(count)) * np.log((1 + len(items)) / (1 + seen[columns]))
    length = np.sqrt(np.bincount(rows, value**2, minlength=len(items)))
    return Sparse(len(items), max(len(terms), 1), rows, columns, (value / np.maximum(length[rows], 1e-9)).astype(np.float32))


def _terms(name: str, items: Entities, textual: bool) -> Iterator[tuple[int, str]]:
    column = items.columns[name]
    if column.numbers is not None:
        known = np.flatnonzero(~column.nulls())
        cuts = np.unique(np.quantile(column.numbers[known], np.linspace(0.1, 0.9, 9))) if len(known) else np.zeros(0)
        for at, tenth in zip(known.tolist(), np.searchsorted(cuts, column.numbers[known]).tolist(), strict=True):
            yield at, f"{name}#{tenth}"
    elif textual and column.texts is not None:
        for at, text in enumerate(column.texts):
            for word in _WORD.findall(text.lower()):
                yield at, f"{name} {word}"
    elif column.codes is not None and column.field.categorical:
        words = [list(dict.fromkeys(word.split("|"))) for word in column.vocabulary]
        for at, code in enumerate(column.codes.tolist()):
            for word in words[code] if code >= 0 else ():
                yield at, f"{name}={word}"


def unit(vectors: Vectors) -> Vectors:
    """Each row scaled to length one (zero rows stay)."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-9), np.float32)
