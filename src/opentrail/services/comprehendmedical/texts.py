"""The operations on one text: DetectEntities, DetectEntitiesV2, DetectPHI, InferICD10CM, InferRxNorm.

Clinical text goes to the engine's processes and back; it reaches no database, log or record.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output, Right, Rights
from opentrail.kernel.errors import ServiceError
from opentrail.services.comprehendmedical import computing

DETECT_BYTES, INFER_BYTES = 20_000, 10_000
"""UTF-8 bytes that a text may have (Comprehend Medical's quotas)."""


def rights(action: str) -> Rights:
    """The right to have a text read. Services that have texts of an account read for it need none: nothing of anybody's is touched,
    and the user allowed it where the service was told to."""
    needed = (Right(action),)
    return lambda call, input: () if call.caller.kind == "AWSService" else needed


def checked(input: Input, most: int) -> str:
    """The text. Raises ServiceError when it is empty or too long."""
    text: str = input.Text
    if not text:
        raise ServiceError("InvalidRequestException", "Text must have at least one character.")
    if len(text.encode()) > most:
        raise ServiceError("TextSizeLimitExceededException", "Text must have at most {most} bytes of UTF-8.", most=most)
    return text


def vocabularies(call: Call) -> Path | None:
    """The folder of code systems that the user loaded, if there is one."""
    folder = call.tools.settings.folder / "vocabularies"
    return folder if folder.is_dir() else None


def detect_entities(call: Call, input: Input) -> Output:
    """DetectEntitiesV2, and DetectEntities, which AWS keeps for old clients and answers alike."""
    answer: dict[str, Any] = call.tools.engines.run(computing.entities, checked(input, DETECT_BYTES))
    return answer


def detect_phi(call: Call, input: Input) -> Output:
    """DetectPHI."""
    answer: dict[str, Any] = call.tools.engines.run(computing.phi, checked(input, DETECT_BYTES))
    return answer


def infer_icd10cm(call: Call, input: Input) -> Output:
    """InferICD10CM."""
    answer: dict[str, Any] = call.tools.engines.run(computing.icd10cm, checked(input, INFER_BYTES), vocabularies(call))
    return answer


def infer_rxnorm(call: Call, input: Input) -> Output:
    """InferRxNorm."""
    answer: dict[str, Any] = call.tools.engines.run(computing.rxnorm, checked(input, INFER_BYTES), vocabularies(call))
    return answer
