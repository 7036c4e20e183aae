"""The layout of what bulk jobs write: names of folders and objects, the import's manifest, its lines, the export's description.

Sources: HealthLake's guide for imports and exports, and what live services wrote (`Manifest.json` with a capital letter, though the
guide prints a small one). Paths are relative to the job's folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

PROBE = ".healthlake_write_access_check_file.temp"
MANIFEST = "Manifest.json"
SUCCESS, FAILURE, FLAGGED = "SUCCESS/", "FAILURE/", "SUCCESS_WITH_SEARCH_VALIDATION_FAILURES/"
_MB = 1024 * 1024


def folder(datastore: str, kind: str, job: str) -> str:
    """The folder of a job's output below the place that the user named; `kind` is import or export."""
    return f"{datastore}-FHIR_{kind.upper()}-{job}/"


def relative(prefix: str, key: str) -> str | None:
    """The name of an input file below the prefix that was given; None for a key that only begins alike, and for folder markers."""
    if key.endswith("/"):
        return None
    if key == prefix:
        return key.rpartition("/")[2]
    base = prefix if not prefix or prefix.endswith("/") else prefix + "/"
    return key[len(base) :] if key.startswith(base) else None


class Counts(msgspec.Struct, omit_defaults=True):
    """What an import has done. `bytes` are those of all files read, `bytes_imported` those of the lines that were stored."""

    files: int = 0
    files_imported: int = 0
    files_with_errors: int = 0
    bytes: int = 0
    bytes_imported: int = 0
    scanned: int = 0
    imported: int = 0
    refused: int = 0
    flagged: int = 0

    def plus(self, more: Counts) -> Counts:
        """The sum."""
        return Counts(*(getattr(self, name) + getattr(more, name) for name in self.__struct_fields__))


def progress(counts: Counts, seconds: float) -> dict[str, float]:
    """The JobProgressReport."""
    return {
        "TotalNumberOfScannedFiles": counts.files,
        "TotalSizeOfScannedFilesInMB": counts.bytes / _MB,
        "TotalNumberOfImportedFiles": counts.files_imported,
        "TotalNumberOfResourcesScanned": counts.scanned,
        "TotalNumberOfResourcesImported": counts.imported,
        "TotalNumberOfResourcesWithCustomerError": counts.refused,
        "TotalNumberOfFilesReadWithCustomerError": counts.files_with_errors,
        "Throughput": counts.bytes / _MB / seconds if seconds > 0 else 0.0,
    }


def import_manifest(input: str, output: str, kms_key: str, place: str, counts: Counts) -> bytes:
    """Manifest.json of an import. `place` is the address of the job's folder."""
    good = counts.files - counts.files_with_errors
    return _pretty(
        {
            "inputDataConfig": {"s3Uri": input},
            "outputDataConfig": {"s3Uri": output, "encryptionKeyID": kms_key},
            "successOutput": {"successOutputS3Uri": place + SUCCESS},
            "failureOutput": {"failureOutputS3Uri": place + FAILURE},
            "numberOfScannedFiles": counts.files,
            "numberOfFilesImported": counts.files_imported,
            "numberOfFilesReadWithSuccess": good,
            "numberOfFilesReadWithCustomerError": counts.files_with_errors,
            "numberOfFilesReadWithServerError": 0,
            "sizeOfScannedFilesInMB": counts.bytes / _MB,
            "sizeOfDataImportedSuccessfullyInMB": counts.bytes_imported / _MB,
            "numberOfResourcesScanned": counts.scanned,
            "numberOfResourcesImportedSuccessfully": counts.imported,
            "numberOfResourcesWithCustomerError": counts.refused,
            "numberOfResourcesWithServerError": 0,
        }
    )


def result_line(line: int, status: int, blob: Any) -> bytes:
    """A line of SUCCESS or FAILURE: what became of the input's line (counted from 1; 0 for the file as a whole)."""
    return msgspec.json.encode({"lineId": line, "UpdateResourceResponse": {"jsonBlob": blob, "statusCode": status}}) + b"\n"


def export_name(type: str, job: str, number: int) -> str:
    """The object of a type's resources; `number` counts them from 1."""
    return f"{type}/{type}-{job}-{number}.ndjson"


def export_names(job: str, files: Mapping[str, Iterable[int]]) -> list[str]:
    """The names of an export's files, from the counts of each type's."""
    return [export_name(type, job, number) for type, counts in files.items() for number, _ in enumerate(counts, 1)]


def export_outputs(place: str, job: str, files: Mapping[str, Iterable[int]]) -> list[dict[str, Any]]:
    """The `output` of an export's description: each file with its type, address and count."""
    return [
        {"type": type, "url": place + export_name(type, job, number), "count": count}
        for type, counts in files.items()
        for number, count in enumerate(counts, 1)
    ]


def export_manifest(transaction_time: str, request: str, output: list[dict[str, Any]], kept: bool) -> dict[str, Any]:
    """The manifest of FHIR's bulk data export. Files that are `kept` here are fetched as everything here is; no token opens a bucket."""
    return {"transactionTime": transaction_time, "request": request, "requiresAccessToken": kept, "output": output, "error": []}


def _pretty(value: Mapping[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
