"""Our records beside AWS's published samples: the same call by the same kind of identity has the same fields, types and nulls.

`seeds.json` holds the samples' fields and types. What differs is listed, with its reason, in docs/reference/record.md, which is
read here: an unlisted difference fails, and so does a listed one that is gone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from benchmarks.servers import serving

from tests.wire.story import Caller, Live, Story

SAMPLES: dict[str, Any] = json.loads(Path(__file__).with_name("seeds.json").read_text("utf-8"))
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "record.md"
SEEDS = Path(os.environ.get("OPENTRAIL_SHARED", Path(__file__).parents[3] / "shared")) / "seeds"
_ROW = re.compile(r"\| `(\w+)` \| `([\w.]+)` \| (added|absent|other type) \| .+ \|")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A story on a fresh server."""
    with serving(tmp_path_factory.mktemp("seeds") / "data") as server:
        live = Live(server)
        yield Story(live)
        live.close()


def record_of(story: Story, answer: dict[str, Any]) -> dict[str, Any]:
    """The record of an answered call."""
    (record,) = story.live.journal(answer["ResponseMetadata"]["RequestId"])
    return record


def create_data_store(story: Story) -> dict[str, Any]:
    """CreateFHIRDatastore by a role's session."""
    user = story.user(("sts:AssumeRole", "*"))
    session = story.session(story.role(user.identity["arn"], ("healthlake:*", "*")), user)
    input = {"DatastoreName": "sample", "DatastoreTypeVersion": "R4"}
    return record_of(story, story.client("healthlake", session).create_fhir_datastore(**input))


def detect(operation: str, story: Story) -> dict[str, Any]:
    """An operation of Comprehend Medical by a user with a session token."""
    user = story.user(("*", "*"))
    given = story.client("sts", user).get_session_token()["Credentials"]
    session = Caller(user.account, given["AccessKeyId"], given["SecretAccessKey"], {}, given["SessionToken"])
    return record_of(story, getattr(story.client("comprehendmedical", session), operation)(Text="aspirin"))


def list_dataset_groups(story: Story) -> dict[str, Any]:
    """ListDatasetGroups by a user."""
    user = story.user(("personalize:*", "*"))
    return record_of(story, story.client("personalize", user).list_dataset_groups())


CALLS = {
    "CreateFHIRDatastore": create_data_store,
    "DetectEntities": partial(detect, "detect_entities"),
    "DetectEntitiesV2": partial(detect, "detect_entities_v2"),
    "ListDatasetGroups": list_dataset_groups,
}


@pytest.mark.parametrize("sample", sorted(SAMPLES))
def test_a_record_is_like_its_sample(story: Story, sample: str) -> None:
    record = CALLS[sample](story)
    assert record["eventName"] == sample
    ours, theirs = types(record), types_of_sample(SAMPLES[sample])
    found = dict.fromkeys(ours.keys() - theirs.keys(), "added")
    found |= dict.fromkeys(theirs.keys() - ours.keys(), "absent")
    found |= {path: "other type" for path in ours.keys() & theirs.keys() if ours[path] != theirs[path]}
    assert found == listed(sample)


def test_the_fields_are_those_of_the_published_samples() -> None:
    """Where AWS's pages lie beside the repository, what is kept of them here is compared with them."""
    for page in sorted(SEEDS.glob("*.txt")):
        text = page.read_text("utf-8")
        start = re.search(r'\{\s*"eventVersion"', text)
        assert start is not None, page
        published, _ = json.JSONDecoder().raw_decode(text, start.start())
        assert types(published) == types_of_sample(SAMPLES[published["eventName"]]), page


def test_every_listed_difference_is_of_a_sample() -> None:
    assert {match.group(1) for match in _ROW.finditer(PAGE.read_text("utf-8"))} <= set(SAMPLES)


def listed(sample: str) -> dict[str, str]:
    """The documented differences of a sample: field to kind."""
    rows = _ROW.finditer(PAGE.read_text("utf-8"))
    return {match.group(2): match.group(3) for match in rows if match.group(1) == sample}


def types(value: dict[str, Any], at: str = "") -> dict[str, str]:
    """Every field of a record by its path, with its JSON type."""
    names = {str: "string", bool: "boolean", type(None): "null", list: "array", dict: "object", int: "number", float: "number"}
    found: dict[str, str] = {}
    for name, held in value.items():
        found[at + name] = names[type(held)]
        if isinstance(held, dict):
            found |= types(held, f"{at}{name}.")
    return found


def types_of_sample(sample: dict[str, Any], at: str = "") -> dict[str, str]:
    """As `types`, of a sample in seeds.json, whose leaves are type names."""
    found: dict[str, str] = {}
    for name, held in sample.items():
        found[at + name] = held if isinstance(held, str) else "object"
        if isinstance(held, dict):
            found |= types_of_sample(held, f"{at}{name}.")
    return found
