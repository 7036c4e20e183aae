"""Real data goes in and comes back as it was: HL7's official examples and Synthea's patients where they are at hand, ours in any case.

    OPENTRAIL_FHIR_EVERY=1 python -m pytest tests/acceptance/test_fhir_data.py

loads every one of Synthea's resources (92,114); without it every hundredth. OPENTRAIL_FHIR_FIRST says where it begins: 0, 1 and 2 with every
third load all of them in three runs.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from benchmarks.servers import REGION, Server, serving

from opentrail.client.fhir import fhir
from opentrail.services.healthlake.engine import synthetic

FOLDER = Path(os.environ.get("OPENTRAIL_SHARED", "../shared")) / "data" / "fhir"
EVERY = int(os.environ.get("OPENTRAIL_FHIR_EVERY", "100"))
FIRST = int(os.environ.get("OPENTRAIL_FHIR_FIRST", "0"))
Json = dict[str, Any]


def lines(*names: str) -> Iterator[bytes]:
    """The lines of gzipped files below FOLDER that are there."""
    for name in names:
        for file in sorted(FOLDER.glob(name)):
            with gzip.open(file) as found:
                yield from found


def sources() -> Iterator[tuple[str, Iterator[bytes]]]:
    """What is loaded, by name."""
    yield "ours", iter(synthetic.lines())
    yield "official examples", lines("r4_examples/clinical.ndjson.gz")
    yield "Synthea", islice(lines("synthea_ndjson/*.ndjson.gz"), FIRST, None, EVERY)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("real") / "data") as running:
        yield running


class Ward:
    """A data store of the server."""

    def __init__(self, server: Server) -> None:
        self.credentials = server.credentials
        self.endpoint = server.client("healthlake").create_fhir_datastore(DatastoreTypeVersion="R4")["DatastoreEndpoint"]

    def batch(self, entries: list[Json]) -> list[Json]:
        """The entries of the answer to a batch."""
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
        status, answer = fhir(self.credentials, REGION, "POST", self.endpoint, bundle)
        assert status == 200, answer
        return answer["entry"]  # type: ignore[no-any-return]


def without_version(resource: Json) -> Json:
    """The resource without what the server writes into it."""
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    rest = {key: value for key, value in resource.items() if key != "meta"}
    return {**rest, "meta": meta} if meta else rest


def distinct(found: Iterator[bytes]) -> Iterator[Json]:
    """The resources, each Type/id once: examples share some. One without id gets one."""
    seen = set()
    for number, line in enumerate(found):
        resource = {"id": f"example-{number}", **json.loads(line)}
        if (name := f"{resource['resourceType']}/{resource['id']}") not in seen:
            seen.add(name)
            yield resource


def parts(found: Iterator[Json], most: int, size: int = 500_000) -> Iterator[list[Json]]:
    """The resources in lists, each of so many and about so many bytes at most: what one bundle may cost."""
    part: list[Json] = []
    room = size
    for one in found:
        part.append(one)
        room -= len(json.dumps(one))
        if len(part) == most or room < 0:
            yield part
            part, room = [], size
    if part:
        yield part


@pytest.mark.timeout(1800)
def test_real_data_comes_back_equal(server: Server) -> None:
    counts = {}
    for name, found in sources():
        ward, counts[name] = Ward(server), 0
        for part in parts(distinct(found), 100):
            urls = [f"{one['resourceType']}/{one['id']}" for one in part]
            put = [{"request": {"method": "PUT", "url": url}, "resource": one} for url, one in zip(urls, part, strict=True)]
            for one, answer in zip(part, ward.batch(put), strict=True):
                assert answer["response"]["status"] == "201", (one["resourceType"], one["id"], answer["response"])
            for one, answer in zip(part, ward.batch([{"request": {"method": "GET", "url": url}} for url in urls]), strict=True):
                assert without_version(answer["resource"]) == without_version(one)
            counts[name] += len(part)
    assert counts["ours"] == len(synthetic.lines())
    assert counts["official examples"] > 450 or not FOLDER.exists()
    assert counts["Synthea"] > 900 // max(1, EVERY // 100) or not FOLDER.exists()
