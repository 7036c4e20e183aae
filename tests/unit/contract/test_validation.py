"""Inputs that break the model: AWS's wording, content hidden from records, unreadable bodies refused."""

from __future__ import annotations

import re

import pytest

from opentrail.contract import operation
from opentrail.contract.models import model
from opentrail.contract.patterns import translate
from opentrail.kernel.errors import HIDDEN, ServiceError
from tests.unit.contract.samples import SERVICES

CREATE = operation("healthlake", "CreateFHIRDatastore")


def refused(body: bytes) -> ServiceError:
    with pytest.raises(ServiceError) as raised:
        CREATE.from_json(body)
    return raised.value


def test_all_violations_are_named_and_values_stay_out_of_the_record() -> None:
    error = refused(b'{"DatastoreName":"","DatastoreTypeVersion":"R5"}')
    assert error.code == "ValidationException"
    assert error.for_caller() == (
        "2 validation errors detected: Value '' at 'datastoreName' failed to satisfy constraint: Member must have length greater than "
        "or equal to 1; Value 'R5' at 'datastoreTypeVersion' failed to satisfy constraint: Member must satisfy enum value set: [R4]"
    )
    assert "R5" not in error.for_record()
    assert HIDDEN in error.for_record()


@pytest.mark.parametrize(
    "body", [b"[", b"[]", b'"\xff"', b'{"DatastoreName":"\\ud800"}', b"[" * 9999, b'{"a":' * 65 + b"1" + b"}" * 65, b"NaN"]
)
def test_unreadable_bodies(body: bytes) -> None:
    assert refused(body).code == "SerializationException"


MAY_HOLD_A_NEWLINE = re.compile(r"\\s|\(\?s\)|\\n|\\u000A|\\P\{M\}|\\p\{ASCII\}")
"""Patterns whose own classes hold a newline."""


def test_no_pattern_lets_a_final_newline_through() -> None:
    """`$` in Python does; the models mean the whole text."""
    seen = 0
    for service in SERVICES:
        for name in model(service).shape_names:
            pattern = model(service).shape_for(name).metadata.get("pattern")
            if pattern is None or MAY_HOLD_A_NEWLINE.search(pattern):
                continue
            allowed = re.compile(translate(pattern))
            for text in ("aa", "a", "1", "123456789012", "arn:aws:iam::123456789012:role/worker", "a" * 32, "box", "/a/"):
                if allowed.match(text):
                    seen += 1
                    assert not allowed.match(text + "\n"), (service, name)
    assert seen > 100
