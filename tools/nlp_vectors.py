"""Word vectors for the network (`nlp_network`) as package data: the CC0 vectors of spaCy's en_core_web_md, fewer numbers of one byte each.

    python -m tools.nlp_vectors DOWNLOADS

DOWNLOADS is that of `nlp_clusters`; the words are those of clusters.npz, in its order. Vectors are brought to one length and turned so that
the first `SIZE` directions keep most of what tells words apart; no label of any corpus is looked at. Needs msgpack.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opentrail.services.comprehendmedical.engine import clusters, network, stored
from tools.nlp_clusters import DATA, read

SIZE = 128
LENGTH = 3.0
"""Mean length of a vector as the network sees it."""


def reduced(points: NDArray[np.float32], size: int = SIZE) -> NDArray[np.float32]:
    """Vectors of one length along their first principal directions."""
    points = points / (np.linalg.norm(points, axis=1, keepdims=True) + 1e-6)
    centred = points - points.mean(axis=0)
    values, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    turned = centred @ directions[:, np.argsort(-values)[:size]].astype(np.float32)
    return np.asarray(turned * (LENGTH / np.linalg.norm(turned, axis=1).mean()), np.float32)


def compiled(points: NDArray[np.float32], rows: NDArray[np.intp]) -> stored.Arrays:
    """The arrays of `network.load_vectors`: only rows that a word has, each as whole numbers up to 127 and a scale."""
    used, numbers = np.unique(rows, return_inverse=True)
    table = points[used]
    scales = np.abs(table).max(axis=1) / 127 + 1e-9
    return {
        "rows": numbers.astype(np.uint16),
        "table": np.round(table / scales[:, None]).astype(np.int8),
        "scales": scales.astype(np.float32),
    }


def main() -> None:
    """Write data/vectors.npz."""
    vectors, words = read(Path(sys.argv[1]))
    listed = np.array([words[word] for word in clusters.load(DATA / "clusters.npz")], np.intp)
    (DATA / "vectors.npz").write_bytes(stored.packed(compiled(reduced(vectors), listed), network.VECTORS))


if __name__ == "__main__":
    main()
