"""What runs in the engine's processes: models are loaded once a process, vocabularies when their file changes; then texts are answered."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from opentrail.services.comprehendmedical.engine import detect, library
from opentrail.services.comprehendmedical.engine.library import Library
from opentrail.services.comprehendmedical.vocabularies import Held

_HELD = Held()


@cache
def _library() -> Library:
    return library.load()


def entities(text: str) -> dict[str, Any]:
    """The answer of DetectEntitiesV2."""
    return detect.detect_entities(text, _library())


def phi(text: str) -> dict[str, Any]:
    """The answer of DetectPHI."""
    return detect.detect_phi(text, _library())


def icd10cm(text: str, loaded: Path | None) -> dict[str, Any]:
    """The answer of InferICD10CM. `loaded` is the folder of what a user loaded."""
    return detect.infer_icd10cm(text, _library(), _HELD.get("icd10cm", loaded))


def rxnorm(text: str, loaded: Path | None) -> dict[str, Any]:
    """The answer of InferRxNorm."""
    return detect.infer_rxnorm(text, _library(), _HELD.get("rxnorm", loaded))


def snomedct(text: str, loaded: Path | None) -> dict[str, Any] | None:
    """The answer of InferSNOMEDCT; None when no release is loaded."""
    codes = _HELD.get("snomed", loaded)
    return None if codes is None else detect.infer_snomedct(text, _library(), codes)
