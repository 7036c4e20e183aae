"""Generated interactions with a known structure: items form chains, users walk along one, now and then jump to a popular item."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from opentrail.services.personalize.engine.columns import Column
from opentrail.services.personalize.engine.entities import Entities
from opentrail.services.personalize.engine.interactions import Interactions, from_arrays
from opentrail.services.personalize.engine.schemas import Field

CHAIN = 20


def walks(users: int = 120, chains: int = 5, length: int = 12, seed: int = 0) -> Interactions:
    """Users 0.. walk `length` steps along a chain of CHAIN items; one step in five goes to one of the first items of any chain."""
    rng = np.random.default_rng(seed)
    user, item, time = [], [], []
    for who in range(users):
        chain, place = int(rng.integers(chains)), int(rng.integers(CHAIN))
        for step in range(length):
            jump = rng.random() < 0.2
            place = place if jump else (place + 1) % CHAIN
            user.append(who)
            item.append(int(rng.integers(chains)) * CHAIN if jump else chain * CHAIN + place)
            time.append(1_000_000 + step * 3_600 + who)
    return from_arrays(user, item, time, users, chains * CHAIN)


def with_kinds(data: Interactions, kinds: list[str], seed: int = 0) -> Interactions:
    """The same interactions, each of one of `kinds` at random."""
    return replace(data, kinds=kinds, kind=np.random.default_rng(seed).integers(0, len(kinds), len(data)).astype(np.int32))


def chain_items(data: Interactions) -> Entities:
    """Attributes of the items of `walks`: the chain as GENRES, the place in it as PLACE, words as ABOUT."""
    size = len(data.items)
    genres = Field("GENRES", "string", nullable=True, categorical=True, metadata=True)
    place = Field("PLACE", "long", metadata=True)
    return Entities(
        list(data.items),
        {
            "GENRES": Column(
                genres, codes=(np.arange(size) // CHAIN).astype(np.int32), vocabulary=[f"chain{n}" for n in range(size // CHAIN)]
            ),
            "PLACE": Column(place, numbers=np.arange(size) % CHAIN),
        },
    )
