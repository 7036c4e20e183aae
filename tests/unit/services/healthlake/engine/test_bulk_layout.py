"""Names and contents of what bulk jobs write."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import bulk_layout
from opentrail.services.healthlake.engine.bulk_layout import Counts

COUNTS = st.builds(Counts, **{name: st.integers(0, 10**12) for name in Counts.__struct_fields__})


@pytest.mark.parametrize(
    ("prefix", "key", "name"),
    [
        ("in/", "in/a.ndjson", "a.ndjson"), ("in/", "in/b/a.ndjson", "b/a.ndjson"), ("in", "in/a.ndjson", "a.ndjson"),
        ("in", "input/a.ndjson", None), ("in/a.ndjson", "in/a.ndjson", "a.ndjson"), ("", "a.ndjson", "a.ndjson"),
        ("in/", "in/", None), ("in/", "in/b/", None), ("in/a", "in/a.ndjson", None),
    ],
)  # fmt: skip
def test_input_files_are_named_below_their_prefix(prefix: str, key: str, name: str | None) -> None:
    assert bulk_layout.relative(prefix, key) == name


def test_folders_and_files() -> None:
    assert bulk_layout.folder("d", "import", "j") == "d-FHIR_IMPORT-j/"
    assert bulk_layout.folder("d", "export", "j") == "d-FHIR_EXPORT-j/"
    assert bulk_layout.export_name("Patient", "j", 2) == "Patient/Patient-j-2.ndjson"


@given(COUNTS, COUNTS, COUNTS)
def test_counts_add_up_in_any_order(a: Counts, b: Counts, c: Counts) -> None:
    assert a.plus(b).plus(c) == c.plus(a.plus(b))
    assert a.plus(Counts()) == a


@given(COUNTS)
def test_the_manifest_and_the_report_tell_the_same(counts: Counts) -> None:
    manifest = json.loads(bulk_layout.import_manifest("s3://a/in/", "s3://a/out", "key", "s3://a/out/f/", counts))
    report = bulk_layout.progress(counts, 2.0)
    assert manifest["numberOfResourcesScanned"] == report["TotalNumberOfResourcesScanned"] == counts.scanned
    assert manifest["numberOfResourcesImportedSuccessfully"] == report["TotalNumberOfResourcesImported"] == counts.imported
    assert manifest["sizeOfScannedFilesInMB"] == report["TotalSizeOfScannedFilesInMB"] == 2 * report["Throughput"]
    assert manifest["successOutput"] == {"successOutputS3Uri": "s3://a/out/f/SUCCESS/"}
    assert bulk_layout.progress(counts, 0.0)["Throughput"] == 0


def test_lines_are_one_json_object_each() -> None:
    line = bulk_layout.result_line(3, 400, {"resourceType": "OperationOutcome", "text": "a\nb"})
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "lineId": 3, "UpdateResourceResponse": {"jsonBlob": {"resourceType": "OperationOutcome", "text": "a\nb"}, "statusCode": 400},
    }  # fmt: skip


def test_exports_list_each_file_with_its_count() -> None:
    found = bulk_layout.export_outputs("s3://b/f/", "j", {"Patient": [5, 2], "Group": []})
    assert found == [
        {"type": "Patient", "url": "s3://b/f/Patient/Patient-j-1.ndjson", "count": 5},
        {"type": "Patient", "url": "s3://b/f/Patient/Patient-j-2.ndjson", "count": 2},
    ]
