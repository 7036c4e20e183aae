"""What a batch job leaves in its output folder: NAME.out for each file, then `success`, `unprocessed` and `Manifest`.

Source: Comprehend Medical Developer Guide, "Text analysis batch APIs" and "Ontology linking batch analysis".
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from opentrail.calls.tools import Snapshots
from opentrail.services.comprehendmedical import store
from opentrail.services.comprehendmedical.kinds import KINDS
from opentrail.services.comprehendmedical.store import File, Job, Settings, Sums

MANIFEST, SUCCESS, UNPROCESSED = "Manifest", "success", "unprocessed"

DONE = "The status of the job is completed"
"""FailedJobErrorMessage of a job that did not fail (the guide's words)."""

_ROWS = 500


def output_key(places: Settings, key: str) -> str:
    """Where the answer for an input key lies: its name below the input folder, below the job's folder."""
    return f"{places.output_key}{key[places.input_key.rfind('/') + 1 :]}.out"


def rows(read: Snapshots, job: str, good: bool) -> Iterator[File]:
    """The processed, or the unprocessed, files of a job by key; each page of them in a view of its own."""
    after = ""
    while True:
        with read() as snapshot:
            page = store.files(snapshot, job, good, after, _ROWS)
        if not page:
            return
        yield from page
        after = page[-1].key


def write_list(target: Path, places: Settings, found: Iterable[File]) -> Generator[None, None, None]:
    """Writes a list of files, as they lie in the bucket, with pauses."""
    with target.open("wb") as file:
        file.write(b'{"Files":[')
        for number, one in enumerate(found):
            file.write((b"," if number else b"") + msgspec.json.encode(_listed(places, one)))
            if number % _ROWS == _ROWS - 1:
                yield
        file.write(b"]}")


def _listed(places: Settings, one: File) -> dict[str, Any]:
    if one.code:
        return {"Input": one.key, "ErrorCode": one.code, "ErrorMessage": one.message}
    return {"Input": one.key, "Output": output_key(places, one.key), "InputSize": one.size}


def manifest(job: Job, status: str, count: int, sums: Sums, seconds: float, failure: str) -> bytes:
    """The summary of a job. `count` is the number of input files, `failure` empty when the job did not fail."""
    places = job.places
    summary = {
        "Status": status,
        "JobType": KINDS[job.kind].folder,
        "InputDataConfiguration": {"Bucket": places.input_bucket, "Path": places.input_key},
        "OutputDataConfiguration": {"Bucket": places.output_bucket, "Path": places.output_key},
        "InputFileCount": count,
        "TotalMeteredCharacters": sums.characters,
        "UnprocessedFilesCount": sums.bad,
        "SuccessFilesCount": sums.good,
        "TotalDurationSeconds": round(seconds),
        "SuccessfulFilesListLocation": places.output_key + SUCCESS,
        "UnprocessedFilesListLocation": places.output_key + UNPROCESSED,
        "FailedJobErrorMessage": failure or DONE,
    }
    return msgspec.json.format(msgspec.json.encode({"Summary": summary}), indent=2)
