"""Everything that detecting reads from files, loaded once and handed around: the dictionaries, rules and models."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from opentrail.services.comprehendmedical.engine import attach, clusters, context, gazetteer, grammar, model, network
from opentrail.services.comprehendmedical.engine.context import Cues
from opentrail.services.comprehendmedical.engine.gazetteer import Gazetteer
from opentrail.services.comprehendmedical.engine.grammar import Grammar
from opentrail.services.comprehendmedical.engine.model import Model
from opentrail.services.comprehendmedical.engine.network import Network

DATA = Path(__file__).parent / "data"
"""Where the package's own data lies."""
MODEL_VERSION = "1.1.0"
"""The ModelVersion of every answer: moves when models, rules or dictionaries change."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """For each kind of mention, rising (raw score, precision) points: what a model's own probability is worth."""

    points: Mapping[str, tuple[tuple[float, float], ...]]

    def __call__(self, kind: str, raw: float) -> float:
        """The share of right mentions among those with this raw score, by straight lines between the points."""
        points = self.points.get(kind)
        if not points:
            return raw
        left = points[0]
        if raw <= left[0]:
            return left[1]
        for right in points[1:]:
            if raw <= right[0]:
                return left[1] + (right[1] - left[1]) * (raw - left[0]) / (right[0] - left[0])
            left = right
        return left[1]


@dataclass(frozen=True, slots=True)
class Library:
    """What the detecting functions need. Nothing in it changes after loading but remembered look-ups."""

    headers: dict[str, str]
    gazetteer: Gazetteer
    model: Model
    network: Network
    grammar: Grammar
    values: re.Pattern[str]
    cues: Cues
    relations: Mapping[str, float]
    signs: Mapping[str, float]
    calibration: Calibration
    eager: dict[str, float]


def load(folder: Path = DATA) -> Library:
    """Load the detecting part from a folder with the files of the package's own `data`; the process then multiplies with one thread."""
    threadpool_limits(1, user_api="blas")  # the network's multiplications are small: OpenBLAS would let every core spin for the next
    rules, values = grammar.load(folder / "grammar.json")
    settings = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
    points = {kind: tuple((float(raw), float(right)) for raw, right in listed) for kind, listed in settings["points"].items()}
    groups = clusters.load(folder / "clusters.npz")
    return Library(
        headers=_pairs(folder / "sections.tsv"),
        gazetteer=gazetteer.load(folder / "phrases.npz"),
        model=model.load(folder / "model.npz", groups),
        network=network.load(folder / "network.npz", network.load_vectors(folder / "vectors.npz", groups)),
        grammar=rules,
        values=values,
        cues=context.load(folder / "context.tsv"),
        relations=attach.load(folder / "attach.json"),
        signs={word: float(odds) for word, odds in _pairs(folder / "signs.tsv").items()},
        calibration=Calibration(points),
        eager=settings["eager"],
    )


def _pairs(path: Path) -> dict[str, str]:
    lines = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line)
    return dict(lines)
