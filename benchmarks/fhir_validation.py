"""Strict validation per resource type, against decoding the same bytes with msgspec, in one run on one core.

PYTHONPATH=src:. python -m benchmarks.fhir_validation [resources]
"""

import sys
import time
from collections import defaultdict

import msgspec

from benchmarks.fhir_data import resources
from opentrail.services.healthlake.engine.validation import validate


def main(count: int) -> None:
    """Print a line per type, and one for the whole mix."""
    lines: dict[str, list[bytes]] = defaultdict(list)
    for line in resources(count):
        lines[msgspec.json.decode(line)["resourceType"]].append(line)
    whole_decode = whole_validate = 0.0
    refused = 0
    for kind, found in sorted(lines.items()):
        validate(msgspec.json.decode(found[0]))
        start = time.process_time()
        decoded = [msgspec.json.decode(line) for line in found]
        middle = time.process_time()
        refused += sum(any(issue.is_error for issue in validate(resource)) for resource in decoded)
        end = time.process_time()
        whole_decode += middle - start
        whole_validate += end - middle
        rate, ratio = len(found) / max(end - middle, 1e-9), (end - middle) / max(middle - start, 1e-9)
        print(f"{kind:28} {len(found):6} resources {rate:10,.0f} validated/s = {ratio:4.1f} x the time to decode them")
    total = sum(len(found) for found in lines.values())
    rate = total / (whole_validate + whole_decode)
    print(f"{'mix':28} {total:6} resources {rate:10,.0f} decoded and validated/s; refused {refused}")
    print(f"ratio validate/decode = {whole_validate / whole_decode:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
