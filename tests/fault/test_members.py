"""Every member of every offered operation is acted on or refused by name: none is taken and ignored.

Each operation is called with the least that it takes, and again with one optional member more at a time, however deep it lies. A
member that is not refused by name must have been read by the service's code: reads are noted in the server (`reads/`). The operations
and members come from the services and models themselves, so what is offered later is covered without a word here, unless its least
input needs one in LEAST.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from benchmarks.servers import Server

from opentrail.contract.models import model
from tests.fault import live, stock
from tests.unit.contract import samples

WITHOUT_EFFECT = {
    ("cloudtrail", "ListPublicKeys", "NextToken"): "there is one page; AWS takes any value too",
    ("s3", "*", "RequestPayer"): "says that the caller accepts charges; nobody is charged",
    ("s3", "*", "ContentLength"): "HTTP's own, which the body must agree with before it comes here",
    ("s3", "*", "ContentMD5"): "compared with the body, from the header as it came",
    ("s3", "*", "ChecksumAlgorithm"): "names the header whose value is compared with the body",
    ("s3", "PutBucketPolicy", "ConfirmRemoveSelfBucketAccess"): "no policy is refused for shutting its author out",
}
"""Members that are taken though no service reads them, with the reason."""

LEAST: dict[tuple[str, str], dict[str, Any]] = {
    ("s3", "CopyObject"): {"MetadataDirective": "REPLACE", "Key": "copy"},
    ("personalize", "CreateSolution"): {"recipeArn": "arn:aws:personalize:::recipe/aws-user-personalization"},
    ("personalize-events", "PutEvents"): {"eventList": [{"eventType": "view", "sentAt": 1_700_000_000, "itemId": "i1"}]},
}
"""What operations need beyond what their model requires."""

FRESH = {
    ("iam", "CreateUser"): "UserName", ("iam", "CreateRole"): "RoleName", ("s3", "CreateBucket"): "Bucket", ("cloudtrail", "CreateTrail"): "Name",
}  # fmt: skip
"""Names that must be free."""

Place = tuple[str, ...]


def inside(shape: Any) -> Any:
    """What a list or map holds, however deep; the shape itself when it is neither."""
    while shape.type_name in ("list", "map"):
        shape = shape.member if shape.type_name == "list" else shape.value
    return shape


def wrapped(shape: Any, value: Any) -> Any:
    """The value as the shape has it: in lists and maps."""
    if shape.type_name == "list":
        return [wrapped(shape.member, value)]
    if shape.type_name == "map":
        return {"a": wrapped(shape.value, value)}
    return value


def variants(shape: Any, least: dict[str, Any], known: dict[str, Any], chance: random.Random) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Values of a structure with one optional member more than the least, at any depth, and the member's place."""
    for name, member in shape.members.items():
        plain = "location" in member.serialization
        fits = name in known and isinstance(known[name], str) == (member.type_name == "string")
        held = known[name] if fits else samples.value(member, chance, 0.0, plain)
        if name not in least:
            yield (name,), {**least, name: held}
        inner = inside(member)
        if inner.type_name == "structure" and shape.name != inner.name:
            below = least.get(name)
            while isinstance(below, list):
                below = below[0]
            if below is None:
                below = {one: samples.value(inner.members[one], chance, 0.0, plain) for one in inner.required_members}
            for place, value in variants(inner, below, known, chance):
                yield (name, *place), {**least, name: wrapped(member, value)}


def places(shape: Any, above: Place = ()) -> Iterator[tuple[Place, str, str]]:
    """Every member at any depth: its place, the structure it stands in, its name."""
    for name, member in shape.members.items():
        yield (*above, name), shape.name, name
        inner = inside(member)
        if inner.type_name == "structure" and shape.name != inner.name:
            yield from places(inner, (*above, name))


class Probed:
    """What came of the probes: refusals by name, what was read, and the answers to the least inputs."""

    def __init__(self, folder: Path) -> None:
        reads = folder / "reads"
        reads.mkdir()
        self.refused: set[tuple[str, str, Place]] = set()
        self.unanswered: dict[str, str] = {}
        self._numbers = count(1)
        path = os.pathsep.join([str(Path(__file__).parent / "reads"), os.environ.get("PYTHONPATH", "")])
        with live.server(folder, "--flush-interval", "1h", PYTHONPATH=path, OPENTRAIL_TESTS_READS=str(reads)) as server:
            known, self._chief = live.prepare(server), live.chief(server)
            ranking = live.shop.campaign(server, known["datasetGroupArn"], "aws-personalized-ranking")
            LEAST["personalize-runtime", "GetPersonalizedRanking"] = {"campaignArn": ranking}
            personal = live.shop.campaign(server, known["datasetGroupArn"], "aws-user-personalization")
            promotion = {"name": "new", "percentPromotedItems": 10, "filterArn": known["filterArn"]}
            asked = {"campaignArn": personal, "userId": "u1", "promotions": [promotion]}
            LEAST["personalize-runtime", "GetRecommendations"] = asked
            LEAST.update(stock.filled(server, known, folder / "data"))
            for service, operation in modelled():
                self._probe(server, service, operation, known)
        self.read = {tuple(one) for file in reads.iterdir() for one in json.loads(file.read_text())}

    def _probe(self, server: Server, service: str, operation: str, known: dict[str, Any]) -> None:
        chance, shape = random.Random(operation), model(service).operation_model(operation).input_shape
        least = {**live.drawn(service, operation, known, chance, 0.0), **LEAST.get((service, operation), {})}
        plain = self._told(server, service, operation, least)
        told = [plain]
        for place, input in variants(shape, least, {**known, "Name": "x"} if service != "cloudtrail" else known, chance):
            told.append(self._told(server, service, operation, input))
            if told[-1] != plain and re.search(rf"\b{place[-1]}\b", told[-1]):
                self.refused.add((service, operation, place))
        if all(told) and len(told) > 1:
            self.unanswered[f"{service}.{operation}"] = plain

    def _told(self, server: Server, service: str, operation: str, input: dict[str, Any]) -> str:
        """The text of a refusal, or nothing."""
        if (service, operation) in FRESH:
            input = {**input, FRESH[service, operation]: f"fresh{next(self._numbers)}"}
        if operation == "CompleteMultipartUpload":
            input = {**input, "UploadId": live.upload(server)}
        got = live.call(server, service, operation, input, self._chief)
        return "" if got.status < 400 else got.body.decode("utf-8", "replace")

    def has_read(self, service: str, operation: str, structure: str, member: str) -> bool:
        """Whether code of the service read the member in this operation."""
        return (service.partition("-")[0], operation, structure, member) in self.read


def modelled() -> list[tuple[str, str]]:
    """The offered operations that a model describes and that take input, deletions last."""
    found = [(service, name) for service, name in live.offered() if name in model(service).operation_names]
    return sorted((one for one in found if model(one[0]).operation_model(one[1]).input_shape is not None), key=live.settled)


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Probed:
    return Probed(tmp_path_factory.mktemp("members"))


def test_no_member_is_ignored(probed: Probed) -> None:
    ignored = []
    for service, operation in modelled():
        shape = model(service).operation_model(operation).input_shape
        for place, structure, member in places(shape):
            if {(service, operation, place[0]), (service, "*", place[0])} & WITHOUT_EFFECT.keys():
                continue
            if any((service, operation, place[:n]) in probed.refused for n in range(1, len(place) + 1)):
                continue
            if not probed.has_read(service, operation, f"{operation}Input" if structure == shape.name else structure, member):
                ignored.append(f"{service}.{operation} {'.'.join(place)}")
    assert not ignored, "neither read nor refused by name:\n" + "\n".join(ignored)


def test_what_has_optional_members_is_answered(probed: Probed) -> None:
    """A member shows whether it is acted on only where the call would be answered without it."""
    assert not probed.unanswered


def test_what_is_listed_as_without_effect_is_so(probed: Probed) -> None:
    """A member that came to be read or refused leaves the list."""
    for service, operation, member in WITHOUT_EFFECT:
        if operation != "*":
            assert not probed.has_read(service, operation, f"{operation}Input", member)
            assert (service, operation, (member,)) not in probed.refused
