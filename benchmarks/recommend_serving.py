"""Latency of one recommendation in process, one thread, against the bare product of the same vectors (the physical limit of exact scoring).

100,000 items by neighbours and by a sequence model; 750,000 items by an index, with a filter of three terms; recall@25 of the index against
exact scores. Vectors are clustered, as item vectors are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import Column
from opentrail.services.personalize.engine.entities import Entities
from opentrail.services.personalize.engine.filter_language import parse_filter
from opentrail.services.personalize.engine.filter_plan import Event
from opentrail.services.personalize.engine.models import Card, Model
from opentrail.services.personalize.engine.recipes import find_recipe
from opentrail.services.personalize.engine.schemas import Field
from opentrail.services.personalize.engine.serving import Ask, Campaign, recommend
from opentrail.services.personalize.engine.topk import build_index, search, top_k

SIZE = 64
CALLS = 300


def timed(name: str, call: Callable[[int], object], calls: int = CALLS) -> tuple[float, float]:
    """Run `call` with 0, 1, ...; print and return p50 and p99 in milliseconds."""
    took = []
    for n in range(calls):
        started = time.perf_counter()
        call(n)
        took.append(1e3 * (time.perf_counter() - started))
    p50, p99 = np.percentile(took, [50, 99])
    print(f"  {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms", flush=True)
    return float(p50), float(p99)


def vectors_of(items: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Clustered vectors: 2,000 centres and noise half as wide."""
    centres = rng.standard_normal((2_000, SIZE), dtype=np.float32)
    return centres[rng.integers(0, 2_000, items)] + np.float32(0.5) * rng.standard_normal((items, SIZE), dtype=np.float32)


def network(vectors: NDArray[np.float32], rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """The arrays of a two-block network with random weights."""
    arrays = {"vectors": vectors, "popular": rng.random(len(vectors), dtype=np.float32), "norm": np.ones((2, SIZE), np.float32)}
    arrays["place"] = rng.standard_normal((50, SIZE), dtype=np.float32)
    for block in range(2):
        name = f"block{block}_"
        arrays[name + "norm1"] = arrays[name + "norm2"] = np.ones((2, SIZE), np.float32)
        for part, rows, columns in (*((p, SIZE, SIZE) for p in ("query", "key", "value", "out")), ("up", SIZE, 256), ("down", 256, SIZE)):
            arrays[name + part] = rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(0.1)
            arrays[name + part + "_bias"] = np.zeros(columns, np.float32)
    return arrays


def attributes(items: int, ids: list[str], rng: np.random.Generator) -> Entities:
    """A category of 20 values (two per item), a price and a year."""
    words = [f"g{a}|g{b}" for a in range(20) for b in range(20) if a != b]
    return Entities(
        ids,
        {
            "GENRES": Column(Field("GENRES", "string"), codes=rng.integers(0, len(words), items).astype(np.int32), vocabulary=words),
            "PRICE": Column(Field("PRICE", "float"), numbers=rng.random(items)),
            "YEAR": Column(Field("YEAR", "long"), numbers=rng.integers(1950, 2026, items)),
        },
    )


def hundred_thousand(rng: np.random.Generator) -> None:
    """Neighbours and a sequence model over 100,000 items."""
    items = 100_000
    print(f"{items:,} items (goal p99 25 ms over HTTP):")
    ids = [str(n) for n in range(items)]
    histories = [[Event(int(at), n) for n, at in enumerate(rng.integers(0, items, 50))] for _ in range(CALLS)]
    near: dict[str, NDArray[Any]] = {
        "near_starts": np.arange(items + 1) * 200,
        "near_item": rng.integers(0, items, items * 200).astype(np.int32),
        "near_value": rng.random(items * 200, dtype=np.float32),
        "popular": rng.random(items, dtype=np.float32),
    }
    card: Card = {"kind": "neighbours", "decay": 0.8, "length": 50, "popular_weight": 1e-4, "repeats": False}
    recipe = find_recipe("aws-user-personalization-v2")
    table = attributes(items, ids, rng)
    by_neighbours = Campaign(Model(card, near, ids), recipe, table)
    timed("neighbours", lambda n: recommend(by_neighbours, Ask(histories[n])))
    arrays = network(vectors_of(items, rng), rng)
    card = {"kind": "sequence", "size": SIZE, "length": 50, "blocks": 2, "heads": 2, "repeats": False}
    by_sequence = Campaign(Model(card, arrays, ids), recipe, table)
    own, _ = timed("sequence model, exact", lambda n: recommend(by_sequence, Ask(histories[n])))
    query = arrays["vectors"][0].copy()
    limit, _ = timed("bare product of the vectors", lambda n: arrays["vectors"] @ query)
    print(f"  sequence model / bare product: {own / limit:.2f} x")


def three_quarters_of_a_million(rng: np.random.Generator) -> None:
    """An index over 750,000 items, with and without a filter."""
    items = 750_000
    print(f"{items:,} items (goal p99 50 ms with a filter over HTTP):")
    ids = [str(n) for n in range(items)]
    arrays = network(vectors_of(items, rng), rng)
    started = time.perf_counter()
    index, probes = build_index(arrays["vectors"], 0)
    print(f"  index built in {time.perf_counter() - started:.1f} s, {len(index['index_centres'])} groups, {probes} probed")
    queries = arrays["vectors"][rng.integers(0, items, 100)] + np.float32(0.5) * rng.standard_normal((100, SIZE), dtype=np.float32)
    same = [len(set(top_k(arrays["vectors"] @ q, 25).tolist()) & set(search(index, q, 25, probes)[0].tolist())) for q in queries]
    print(f"  recall@25 of the index against exact scores: {sum(same) / 2_500:.4f} (goal 0.99)")
    card = {"kind": "sequence", "size": SIZE, "length": 50, "blocks": 2, "heads": 2, "repeats": True, "probes": probes}
    campaign = Campaign(Model(card, {**arrays, **index}, ids), find_recipe("aws-user-personalization-v2"), attributes(items, ids, rng))
    histories = [[Event(int(at), n) for n, at in enumerate(rng.integers(0, items, 50))] for _ in range(CALLS)]
    text = 'INCLUDE ItemID WHERE Items.GENRES IN ("g{}") AND Items.PRICE <= {:.3f} AND Items.YEAR > 1980'
    cold = [parse_filter(text.format(n % 20, n / CALLS)) for n in range(CALLS)]
    timed("no filter", lambda n: recommend(campaign, Ask(histories[n])))
    recommend(campaign, Ask(histories[0], rules=cold[0]))
    own, _ = timed("filter of three terms, a new one each call", lambda n: recommend(campaign, Ask(histories[n], rules=cold[n])))
    timed("the same filter each call", lambda n: recommend(campaign, Ask(histories[n], rules=cold[150])))
    query = arrays["vectors"][0].copy()
    limit, _ = timed("bare product of the vectors", lambda n: arrays["vectors"] @ query, 40)
    print(f"  filtered / bare product: {own / limit:.2f} x")


if __name__ == "__main__":
    random = np.random.default_rng(0)
    hundred_thousand(random)
    three_quarters_of_a_million(random)
