"""Sequence models: the numpy encoder equals the network, training learns order, the same seed gives the same arrays."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from opentrail.services.personalize.engine import sequence
from opentrail.services.personalize.engine.aims import Dataset
from opentrail.services.personalize.engine.deep import fit_sequence
from opentrail.services.personalize.engine.deep.network import Network, export
from opentrail.services.personalize.engine.deep.training import Plan, cut_windows
from opentrail.services.personalize.engine.recipes import find_recipe, read_settings
from opentrail.services.personalize.engine.training import train

from ..generated import walks

SMALL = Plan(size=32, length=10, places=200_000, negatives=32)


def test_numpy_equals_the_network() -> None:
    torch.manual_seed(0)
    network = Network(30, 16, 10, 2, 2, 0.1).eval()
    card = {"size": 16, "length": 10, "blocks": 2, "heads": 2}
    for history in ([3], [1, 2, 3, 4], list(range(25))):
        with torch.inference_mode():
            expected = network(torch.tensor([[item + 1 for item in history[-10:]]]))[0, -1].numpy()
        np.testing.assert_allclose(sequence.encode(export(network), card, np.array(history)), expected, atol=1e-5)


def test_windows_cover_long_histories() -> None:
    data = walks(users=2, length=23)
    windows = cut_windows(data, 10)
    assert windows.shape == (6, 11)
    assert (windows[0] == data.history(0)[-11:] + 1).all()


def test_the_network_learns_the_order() -> None:
    data = walks(users=200)
    recipe = find_recipe("aws-user-personalization-v2")
    found = train(recipe, Dataset(data), read_settings(recipe, {}), 0, deep=partial(fit_sequence, plan=SMALL))
    name = "normalized_discounted_cumulative_gain_at_10"
    assert found.metrics[name] > 1.5 * found.baselines["popularity"][name]


def test_the_same_seed_gives_the_same_arrays() -> None:
    data = walks(users=40)
    plan = Plan(size=16, length=10, places=4_000, negatives=32)
    first, second = (fit_sequence(data, {}, 3, plan)[1] for _ in range(2))
    assert first.keys() == second.keys()
    for key, values in first.items():
        np.testing.assert_array_equal(values, second[key])
