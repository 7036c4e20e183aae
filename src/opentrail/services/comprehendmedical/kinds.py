"""The five kinds of batch jobs: how AWS names them, and what computes their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from opentrail.services.comprehendmedical import computing

GB = 1024**3

Compute = Callable[[str, Path | None], dict[str, Any] | None]
"""A text and the folder of loaded code systems -> the answer of the operation on one text; None when the code system is not there."""


class JobKind(NamedTuple):
    """One kind. `word` is its part of operation names (Start...Job), `folder` that of output folders and manifests, `arn` the word in
    the ARN that roles' trust policies see; `most_bytes` all files of a job may have together."""

    word: str
    folder: str
    arn: str
    most_bytes: int
    compute: Compute


def _without_codes(compute: Callable[[str], dict[str, Any]]) -> Compute:
    return lambda text, loaded: compute(text)


SNOMEDCT = "SNOMEDCTInference"

KINDS = {
    kind.word: kind
    for kind in (
        JobKind("EntitiesDetectionV2", "EntitiesDetection", "entities-detection-v2-job", 10 * GB, _without_codes(computing.entities)),
        JobKind("PHIDetection", "PHIDetection", "phi-detection-job", 10 * GB, _without_codes(computing.phi)),
        JobKind("ICD10CMInference", "ICD10CMInference", "icd10cm-inference-job", 5 * GB, computing.icd10cm),
        JobKind("RxNormInference", "RxNormInference", "rxnorm-inference-job", 5 * GB, computing.rxnorm),
        JobKind(SNOMEDCT, "SNOMEDCTInference", "snomedct-inference-job", 5 * GB, computing.snomedct),
    )
}
"""By word. Sizes: Comprehend Medical's quotas of asynchronous operations."""
