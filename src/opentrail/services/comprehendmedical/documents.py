"""The documents of a batch job, in a worker process: bytes of a file -> the answer of the operation on one text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from opentrail.kernel.errors import ServiceError
from opentrail.services.comprehendmedical.engine.snomed import MISSING
from opentrail.services.comprehendmedical.kinds import KINDS
from opentrail.work.runner import attempt

INTERNAL = "InternalServerException"
NOT_READ = "An internal error occurred while the document was read. Start a job for it again."


class Part(NamedTuple):
    """A few documents of one job: the job's kind, the folder of loaded code systems, the bytes of each file."""

    kind: str
    loaded: Path | None
    texts: tuple[bytes, ...]


class Read(NamedTuple):
    """What became of a document: the answer as JSON and the characters read, or an error's code and message. `fault` names
    the kind of an error of ours, for the log."""

    answer: bytes = b""
    characters: int = 0
    code: str = ""
    message: str = ""
    fault: str = ""


def read_all(part: Part) -> list[Read]:
    """What becomes of each document; one that fails does not stop the others. Nothing of a text is in an error."""
    return [_read(part, text) for text in part.texts]


def _read(part: Part, raw: bytes) -> Read:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return Read(code="InvalidEncodingException", message="The document is not UTF-8.")
    answers: list[dict[str, Any] | None] = []
    failure = attempt(lambda: answers.append(KINDS[part.kind].compute(text, part.loaded)))
    if failure is None and answers[0] is not None:
        return Read(msgspec.json.encode(answers[0]), len(text))
    if failure is None:
        return Read(code="InvalidRequestException", message=MISSING)
    if isinstance(failure, ServiceError):
        return Read(code=failure.code, message=failure.for_record())
    return Read(code=INTERNAL, message=NOT_READ, fault=type(failure).__name__)
