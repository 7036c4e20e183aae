"""What decoding and checking an input costs, against botocore parsing JSON and validating the same input in the same run.

botocore checks types, required members and lower bounds; the contract also upper bounds, patterns, enums and depth.

python benchmarks/contract_decode.py
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from botocore.validate import ParamValidator

from opentrail.contract import operation

COUNT = 2000
CASES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("cloudtrail", "LookupEvents", {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "Get"}], "MaxResults": 50}),
    ("cloudtrail", "CreateTrail", {"Name": "trail", "S3BucketName": "box", "TagsList": [{"Key": "team", "Value": "ward"}] * 10}),
    ("healthlake", "CreateFHIRDatastore", {"DatastoreTypeVersion": "R4", "DatastoreName": "store", "ClientToken": "a" * 32}),
    ("personalize", "CreateSchema", {"name": "schema", "schema": "{}" * 2000}),
)


def micros(work: Callable[[], object]) -> float:
    """The best of five runs, in microseconds of CPU per input."""
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(COUNT):
            work()
        best = min(best, time.process_time() - start)
    return best / COUNT * 1e6


def main() -> None:
    validator = ParamValidator()
    for service, name, value in CASES:
        contract, body = operation(service, name), json.dumps(value).encode()
        shape = contract.model.input_shape

        def theirs(body: bytes = body, shape: Any = shape) -> None:
            assert not validator.validate(json.loads(body), shape).has_errors()

        def ours(body: bytes = body, decode: Callable[[bytes], Any] = contract.from_json) -> None:
            decode(body)

        one, other = micros(ours), micros(theirs)
        print(f"{service + '.' + name:34} opentrail {one:6.2f} us, botocore {other:7.2f} us: {other / one:5.1f} times as fast")


if __name__ == "__main__":
    main()
