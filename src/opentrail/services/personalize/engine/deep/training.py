"""Training of the sequence network (shared sampled negatives), and its blend with item neighbours by validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from opentrail.services.personalize.engine.deep.network import Network, export
from opentrail.services.personalize.engine.interactions import Interactions
from opentrail.services.personalize.engine.models import Card, Model
from opentrail.services.personalize.engine.personal import (
    VALIDATION_USERS,
    choose,
    fit_personal,
    fit_temperature,
    popular_share,
    repeats_allowed,
    validate,
)
from opentrail.services.personalize.engine.recipes import Settings
from opentrail.services.personalize.engine.splits import leave_last_out
from opentrail.services.personalize.engine.training import INDEX_FROM, Arrays, with_index

BLENDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""How much the neighbours' scores, in units of their softmax, may weigh beside the network's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Constants of a training. `places` is the number of predicted places after which it stops."""

    size: int = 64
    length: int = 50
    blocks: int = 2
    heads: int = 2
    dropout: float = 0.2
    negatives: int = 256
    batch: int = 128
    rate: float = 1e-3
    places: int = 2_000_000
    most_epochs: int = 60


def fit_sequence(data: Interactions, settings: Settings, seed: int, plan: Plan | None = None) -> tuple[Card, Arrays]:
    """Train on `data` and return card and arrays of kind "sequence", or "blend" where neighbours help in validation.

    The network does without the newest event of the validation users, so that one training serves both; neighbours are fitted again on all.
    """
    plan = plan or read_plan(settings)
    train, queries = leave_last_out(data, VALIDATION_USERS, seed)
    card: Card = _card(data, plan)
    arrays = {**export(train_network(train, plan, seed)), "popular": popular_share(data)}
    if queries:
        card["temperature"] = fit_temperature(Model(card, arrays, data.items), queries)
    if not queries or len(data.items) >= INDEX_FROM:
        # A blend has no vectors to index; at this size the network answers alone.
        return with_index(card, arrays, seed)
    return _blend(card, arrays, data, settings, seed)


def _blend(card: Card, arrays: Arrays, data: Interactions, settings: Settings, seed: int) -> tuple[Card, Arrays]:
    train, queries = leave_last_out(data, VALIDATION_USERS, seed)
    recency = settings.get("apply_recency_bias", settings.get("recency_mask", "true")) == "true"
    choice = choose(train, card["length"], recency, seed)
    near_card, near = fit_personal(train, choice)
    cards = []
    for blend in BLENDS:
        weight = blend * card["temperature"] / choice.temperature
        cards.append({**near_card, **card, "kind": "blend", "near_kind": choice.kind, "near_weight": weight})
    scores = [validate(Model(one, {**near, **arrays}, data.items), queries) for one in cards]
    best = int(np.argmax(scores))
    if BLENDS[best] == 0.0:
        return card, arrays
    cards[best]["temperature"] = fit_temperature(Model(cards[best], {**near, **arrays}, data.items), queries)
    return cards[best], {**fit_personal(data, choice)[1], **arrays}


def read_plan(settings: Settings) -> Plan:
    """The plan that a recipe's hyperparameters ask for."""
    size = int(settings.get("hidden_dimension", 64))
    return Plan(size=size, length=int(settings.get("bptt", 50)), heads=2 if size % 2 == 0 else 1)


def train_network(data: Interactions, plan: Plan, seed: int) -> Network:
    """Train a network on windows of the users' sequences; the same data, plan and seed give the same network on one kind of machine."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    windows = torch.from_numpy(cut_windows(data, plan.length)).to(device)
    items = len(data.items)
    network: Network = Network(items, plan.size, plan.length, plan.blocks, plan.heads, plan.dropout).to(device)
    network.eval()
    if not len(windows):
        return network
    places = int((windows[:, 1:] > 0).sum())
    epochs = int(np.clip(round(plan.places / max(places, 1)), 2, plan.most_epochs))
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=0.01)
    steps = epochs * -(-len(windows) // plan.batch)
    # A tenth of the steps warms up, then the rate falls along a cosine.
    pace = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, 10 * (step + 1) / steps) * 0.5 * (1 + np.cos(np.pi * min(step / steps, 1.0)))
    )
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(windows))
        for start in range(0, len(windows), plan.batch):
            loss = _loss(network, windows[order[start : start + plan.batch]], items, plan.negatives)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            pace.step()
    network.eval()
    return network


def cut_windows(data: Interactions, length: int) -> NDArray[np.int64]:
    """Windows of `length` + 1 item ids + 1, right-aligned with 0 before; long histories are cut from their end on."""
    rows = []
    for user in range(len(data.users)):
        history = data.history(user)
        for end in range(len(history), 1, -length):
            window = np.zeros(length + 1, np.int64)
            part = history[max(0, end - length - 1) : end]
            window[len(window) - len(part) :] = part + 1
            rows.append(window)
    return np.stack(rows) if rows else np.zeros((0, length + 1), np.int64)


def _loss(network: Network, batch: torch.Tensor, items: int, negatives: int) -> torch.Tensor:
    state, wanted = network(batch[:, :-1]), batch[:, 1:]
    state, wanted = state[wanted > 0], wanted[wanted > 0]
    if items <= 2 * negatives:
        return functional.cross_entropy(state @ network.item.weight[1:].T, wanted - 1)
    drawn = torch.randint(1, items + 1, (negatives,), device=batch.device)
    right = (state * network.item(wanted)).sum(1, keepdim=True)
    # The log term makes `negatives` uniform draws stand for all items.
    wrong = (state @ network.item(drawn).T).masked_fill(drawn[None] == wanted[:, None], -1e4) + float(np.log(items / negatives))
    return functional.cross_entropy(torch.cat([right, wrong], 1), torch.zeros(len(wanted), dtype=torch.long, device=batch.device))


def _card(data: Interactions, plan: Plan) -> Card:
    return {
        "kind": "sequence",
        "size": plan.size,
        "length": plan.length,
        "blocks": plan.blocks,
        "heads": plan.heads,
        "repeats": repeats_allowed(data),
        "temperature": 1.0,
    }
