"""Train the network that ranks ICD-10-CM codes: terms are left out of the index and asked for; the right code should come first.

Asked are inclusion terms, titles of the finest codes, and such titles without the words that say "unspecified". A softmax over the
candidates of each question is fitted by Adam in mini-batches, from fixed seeds. What is left out for this never includes what is measured.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opentrail.services.comprehendmedical.engine import icd10cm, stored
from opentrail.services.comprehendmedical.engine.icd10cm import Icd10Cm, Row
from opentrail.services.comprehendmedical.engine.terms import Bridge, words_of

Numbers = NDArray[np.float32]
Bridging = Callable[[Sequence[Row]], Bridge]
Weights = tuple[Numbers, Numbers, Numbers, Numbers]
HIDDEN, ROUNDS, BATCH, RATE, DECAY = 24, 24, 32, 2e-3, 1e-4


def questions(terms: Sequence[Row], most: int, chance: random.Random) -> tuple[list[Row], set[Row]]:
    """What is asked, and what the index must not hold for it."""
    included = [term for term in terms if term[1] == "i"]
    codes = {term[0] for term in terms if term[1] == "t"}
    finer = {code[:size].rstrip(".") for code in codes for size in range(3, len(code))}
    titles = [term for term in terms if term[1] == "t" and term[0] not in finer]
    vague = [(code, "t", icd10cm.plain(text)) for code, _, text in titles if icd10cm.VAGUE.search(text) and code[0] < "S"]
    for listed in (included, titles, vague):
        chance.shuffle(listed)
    return included[:most] + vague[: most // 3] + titles[: most // 6], set(included[:most])


def examples(codes: Icd10Cm, asked: Sequence[Row]) -> list[tuple[Numbers, int]]:
    """For each question whose code is among the candidates: the candidates' features and the number of the right one."""
    found = []
    for code, _, text in asked:
        words = words_of(text)
        if words:
            top, columns = codes.seen(words)
            right = [at for at, number in enumerate(top.tolist()) if codes.codes[number] == code]
            if right:
                found.append((columns, right[0]))
    return found


def learn(terms: Sequence[Row], bridging: Bridging, most: int = 2500, seed: int = 5) -> Weights:
    """The network's weights, learned from these terms alone."""
    asked, left = questions(terms, most, random.Random(seed))  # noqa: S311 (training data, not secrets)
    kept = [term for term in terms if term not in left]
    found = examples(Icd10Cm(icd10cm.compiled(kept), bridging(kept)), asked)
    return fitted(np.stack([columns for columns, _ in found]), np.array([right for _, right in found]), seed)


def fitted(columns: Numbers, right: NDArray[np.intp], seed: int) -> Weights:
    """Fit the network on standardised features; the standardising is folded into the weights."""
    width = columns.shape[2]
    mean, spread = columns.mean(axis=(0, 1)), columns.std(axis=(0, 1)) + np.float32(1e-3)
    columns = (columns - mean) / spread
    chance = np.random.default_rng(seed)
    drawn = (chance.normal(0, width**-0.5, (width, HIDDEN)), np.zeros(HIDDEN), chance.normal(0, HIDDEN**-0.5, HIDDEN), np.zeros(width))
    weights = [one.astype(np.float32) for one in drawn]
    first, second, step = [0 * one for one in weights], [0 * one for one in weights], 0
    for round_ in range(ROUNDS):
        order = chance.permutation(len(columns))
        for at in range(0, len(order), BATCH):
            slopes = _slopes(weights, columns[order[at : at + BATCH]], right[order[at : at + BATCH]])
            step += 1
            for number, slope in enumerate(slopes):
                slope = slope + np.float32(DECAY) * weights[number]
                first[number] = 0.9 * first[number] + 0.1 * slope
                second[number] = 0.999 * second[number] + 0.001 * slope**2
                move = (first[number] / (1 - 0.9**step)) / (np.sqrt(second[number] / (1 - 0.999**step)) + 1e-8)
                weights[number] = (weights[number] - RATE * (1 - round_ / ROUNDS) * move).astype(np.float32)
    hidden, shift, out, straight = weights
    scaled = hidden / spread[:, None]
    return scaled, shift - mean @ scaled, out, straight / spread


def _slopes(weights: Sequence[Numbers], columns: Numbers, right: NDArray[np.intp]) -> list[Numbers]:
    """The gradient of the mean negative log probability of the right candidates."""
    hidden, shift, out, straight = weights
    inner = np.maximum(columns @ hidden + shift, 0)
    scores = inner @ out + columns @ straight
    error = np.exp(scores - scores.max(axis=1, keepdims=True))
    error /= error.sum(axis=1, keepdims=True)
    error[np.arange(len(right)), right] -= 1
    error /= len(right)
    back = (error[:, :, None] * out) * (inner > 0)
    flat = columns.reshape(-1, columns.shape[2])
    return [
        flat.T @ back.reshape(-1, back.shape[2]),
        back.sum(axis=(0, 1)),
        inner.reshape(-1, inner.shape[2]).T @ error.ravel(),
        flat.T @ error.ravel(),
    ]


def save(path: Path, weights: Weights, bridge: Bridge) -> None:
    """Write a file for `icd10cm.ranker`."""
    arrays = dict(zip(("hidden", "shift", "out", "straight"), weights, strict=True))
    told = np.frombuffer(json.dumps(bridge, sort_keys=True).encode(), np.uint8)
    path.write_bytes(stored.packed({**arrays, "bridge": told}, "icd10cm ranker 1"))
