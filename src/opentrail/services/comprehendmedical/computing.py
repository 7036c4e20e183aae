"""What runs in the engine's processes: the models and vocabularies are loaded once a process, then texts are answered."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from opentrail.kernel.errors import ServiceError
from opentrail.services.comprehendmedical.engine import detect, library, snomed
from opentrail.services.comprehendmedical.engine.library import Library, Vocabularies


@cache
def _library() -> Library:
    return library.load()


@cache
def _vocabularies(loaded: Path | None) -> Vocabularies:
    return library.load_vocabularies(loaded=loaded)


def entities(text: str) -> dict[str, Any]:
    """The answer of DetectEntitiesV2."""
    return detect.detect_entities(text, _library())


def phi(text: str) -> dict[str, Any]:
    """The answer of DetectPHI."""
    return detect.detect_phi(text, _library())


def icd10cm(text: str, loaded: Path | None) -> dict[str, Any]:
    """The answer of InferICD10CM."""
    return detect.infer_icd10cm(text, _library(), _vocabularies(loaded).icd10cm)


def rxnorm(text: str, loaded: Path | None) -> dict[str, Any]:
    """The answer of InferRxNorm."""
    return detect.infer_rxnorm(text, _library(), _vocabularies(loaded).rxnorm)


def snomedct(text: str, loaded: Path | None) -> dict[str, Any]:
    """The answer of InferSNOMEDCT. Raises ServiceError while no release is loaded."""
    codes = _vocabularies(loaded).snomed
    if codes is None:
        raise ServiceError("InvalidRequestException", snomed.MISSING)
    return detect.infer_snomedct(text, _library(), codes)
