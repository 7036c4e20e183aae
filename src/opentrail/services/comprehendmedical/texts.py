"""The operations on one text: DetectEntities, DetectEntitiesV2, DetectPHI, InferICD10CM, InferRxNorm, InferSNOMEDCT.

Clinical text goes to the engine's processes and back; it reaches no database, log or record.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output, Right, Rights
from opentrail.kernel.errors import ServiceError, Unavailable
from opentrail.services.comprehendmedical import computing
from opentrail.services.comprehendmedical.engine.snomed import MISSING
from opentrail.services.comprehendmedical.engine.stored import BadFile
from opentrail.services.comprehendmedical.vocabularies import folder

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
    return _linked(computing.icd10cm, call, input)


def infer_rxnorm(call: Call, input: Input) -> Output:
    """InferRxNorm."""
    return _linked(computing.rxnorm, call, input)


def infer_snomedct(call: Call, input: Input) -> Output:
    """InferSNOMEDCT, with the release that the user loaded."""
    return _linked(computing.snomedct, call, input)


def _linked(compute: Callable[[str, Path | None], dict[str, Any] | None], call: Call, input: Input) -> Output:
    text = checked(input, INFER_BYTES)
    try:
        answer = call.tools.engines.run(compute, text, folder(call.tools.settings.folder))
    except BadFile as error:
        raise Unavailable("A loaded code system cannot be read: load it again with `opentrail vocab load`.") from error
    if answer is None:
        raise ServiceError("InvalidRequestException", MISSING)
    return answer
