"""Train one linear-chain model with python-crfsuite and hand its weights to the engine."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pycrfsuite

from opentrail.services.comprehendmedical.engine.decode import Floats

Trained = tuple[tuple[str, ...], Floats, dict[str, dict[str, float]]]
SMALL = 0.005
"""Weights nearer to zero than this are left out of the exported model."""


def train(
    features: Sequence[Sequence[Sequence[str]]], labels: Sequence[Sequence[str]], options: Mapping[str, object] | None = None
) -> Trained:
    """Labels, transitions and weights of a model of the given sentences."""
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    for rows, marks in zip(features, labels, strict=True):
        trainer.append(pycrfsuite.ItemSequence(rows), marks)
    chosen = {"c1": 0.05, "c2": 0.02, "max_iterations": 90, "feature.possible_transitions": True, "feature.minfreq": 2}
    trainer.set_params({**chosen, **(options or {})})
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.crf")
        trainer.train(path)
        return exported(path)


def in_order(label: str) -> tuple[str, str]:
    """Where a label stands among those of its head: "outside" first, then by type."""
    return label[2:], label


def exported(path: str) -> Trained:
    """A crfsuite file as plain weights."""
    tagger = pycrfsuite.Tagger()
    tagger.open(path)
    told = tagger.info()
    names = tuple(sorted(tagger.labels(), key=in_order))
    place = {label: number for number, label in enumerate(names)}
    transitions = np.zeros((len(names), len(names)), np.float32)
    for (before, after), weight in told.transitions.items():
        transitions[place[before], place[after]] = weight
    weights: dict[str, dict[str, float]] = defaultdict(dict)
    for (feature, label), weight in told.state_features.items():
        if abs(weight) >= SMALL:
            weights[feature][label] = weight
    tagger.close()
    return names, transitions, dict(weights)
