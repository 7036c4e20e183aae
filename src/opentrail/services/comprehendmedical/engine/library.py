"""Everything the engine reads from files, loaded once and handed around: the dictionaries, rules, models and codes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opentrail.services.comprehendmedical.engine import attach, context, features, gazetteer, grammar, icd10cm, model, rxnorm, snomed
from opentrail.services.comprehendmedical.engine.context import Cues
from opentrail.services.comprehendmedical.engine.gazetteer import Gazetteer
from opentrail.services.comprehendmedical.engine.grammar import Grammar
from opentrail.services.comprehendmedical.engine.model import Model
from opentrail.services.comprehendmedical.engine.snomed import Snomed

DATA = Path(__file__).parent / "data"
"""Where the package's own data lies."""
MODEL_VERSION = "1.0.0"
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
    grammar: Grammar
    values: re.Pattern[str]
    cues: Cues
    relations: Mapping[str, float]
    signs: Mapping[str, float]
    calibration: Calibration
    eager: dict[str, float]


def load(folder: Path = DATA) -> Library:
    """Load the detecting part from a folder with the files of the package's own `data`."""
    rules, values = grammar.load(folder / "grammar.json")
    settings = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
    points = {kind: tuple((float(raw), float(right)) for raw, right in listed) for kind, listed in settings["points"].items()}
    return Library(
        headers=_pairs(folder / "sections.tsv"),
        gazetteer=gazetteer.load(folder / "phrases.tsv.gz"),
        model=model.load(folder / "model.npz", features.load_clusters(folder / "clusters.tsv.gz")),
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


@dataclass(frozen=True, slots=True)
class Vocabularies:
    """The code systems for linking; `snomed` is None until a user has loaded a licensed release."""

    icd10cm: icd10cm.Icd10Cm
    rxnorm: rxnorm.RxNorm
    snomed: Snomed | None = None


def load_vocabularies(folder: Path = DATA, loaded: Path | None = None) -> Vocabularies:
    """Load the code systems: those in `loaded` (what `vocab load` wrote) win over the package's own in `folder`."""
    return Vocabularies(
        icd10cm.load(_newest("icd10cm", folder, loaded)),
        rxnorm.load(_newest("rxnorm", folder, loaded)),
        snomed_from(loaded),
    )


LEAST_WITH_A = 100
"""RxNorm ingredients that begin with A in a whole release at least; the packaged extract has ten."""


def status(vocabularies: Vocabularies) -> dict[str, dict[str, object]]:
    """For each code system: how many concepts are loaded, and in words what is missing ("" when nothing is)."""
    with_a = vocabularies.rxnorm.ingredients("a")
    partial = (
        f"only {with_a} ingredients that begin with A are listed; load NLM's prescribable content with `opentrail vocab load rxnorm FILE`"
    )
    taken = vocabularies.snomed
    return {
        "icd10cm": {"concepts": len(vocabularies.icd10cm), "missing": ""},
        "rxnorm": {"concepts": len(vocabularies.rxnorm), "missing": partial if with_a < LEAST_WITH_A else ""},
        "snomed": {"concepts": len(taken.rows) if taken else 0, "missing": "" if taken else snomed.MISSING},
    }


def snomed_from(loaded: Path | None) -> Snomed | None:
    """The loaded SNOMED CT release, if there is one."""
    path = loaded / f"snomed{snomed.SUFFIX}" if loaded else None
    return snomed.load(path) if path is not None and path.exists() else None


def _newest(name: str, folder: Path, loaded: Path | None) -> Path:
    if loaded is not None and (loaded / f"{name}.tsv.gz").exists():
        return loaded / f"{name}.tsv.gz"
    return folder / f"{name}.tsv.gz"
