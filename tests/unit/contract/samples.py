"""Random values that the models allow, for round trips against botocore's own serializers and parsers."""

from __future__ import annotations

import random
import re
import string
from typing import Any
from urllib.parse import urlencode

from botocore.model import OperationModel, Shape

from opentrail.calls.call import Request
from opentrail.contract.patterns import translate

SERVICES = {
    "cloudtrail": "cloudtrail",
    "cloudtrail-data": "cloudtrail-data",
    "healthlake": "healthlake",
    "comprehendmedical": "comprehendmedical",
    "personalize": "personalize",
    "personalize-runtime": "personalize",
    "personalize-events": "personalize",
    "sts": "sts",
    "iam": "iam",
    "sns": "sns",
    "s3": "s3",
}
"""Model names to signing names."""

_TEMPLATES = (
    "a", "1", "123456789012", "aZ9", "/", "/a/", "12:30", "s3://bucket-a/key", "v1", "rate(1 day)", "rate(12 days)", "o-a1b2c3d4e5",
    "p-a1b2c3d4e5", "o-a1b2c3d4e5/r-abcd/", "http://host/a", "https://host/a?b=c#d", "name.amazonaws.com", "arn:aws:x",
    "arn:aws:iam::123456789012:role/worker", "arn:aws:personalize:us-east-1:123456789012:dataset/a",
    "arn:aws:kms:us-east-1:123456789012:key/abc", "arn:aws:lambda:us-east-1:123456789012:function:work",
    "arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/" + "a" * 32, "arn:aws:s3:::a",
    "arn:aws:healthlake:us-east-1:123456789012:datastore/a",
    "a" * 32, "+12345678901", "ab", "abc", "bucket/key", "alias/abc",
)  # fmt: skip
_ALPHABETS = (string.ascii_lowercase, string.digits, string.ascii_uppercase + string.digits, string.ascii_letters + string.digits + "-_.")
_FREE = string.ascii_letters + string.digits + " <>&\"'%+/=?#,;:é漢🙂"


def text(shape: Shape, chance: random.Random, plain: bool = False) -> str:
    """A string that the shape allows."""
    if getattr(shape, "enum", None):
        return chance.choice(shape.enum)
    low, high = int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", 120))
    pattern = shape.metadata.get("pattern")
    length = chance.randint(max(low, 1), max(min(high, low + 20), 1))
    if pattern is None:
        alphabet = string.ascii_letters + string.digits if plain else _FREE
        return "".join(chance.choice(alphabet) for _ in range(length))
    allowed = re.compile(translate(pattern))
    tried = ["".join(chance.choice(letters) for _ in range(length)) for letters in _ALPHABETS]
    tried += chance.sample(_TEMPLATES, len(_TEMPLATES))
    for candidate in tried:
        if low <= len(candidate) <= high and allowed.match(candidate):
            return candidate
    raise AssertionError(f"no sample for {shape.name}: {pattern}")


def value(shape: Shape, chance: random.Random, some: float = 0.5, plain: bool = False) -> Any:
    """A value of the shape; optional members are there with the chance `some`."""
    kind = shape.type_name
    if kind == "structure":
        names = list(shape.members)
        if shape.is_tagged_union:
            names = [chance.choice(names)]
        else:
            names = [name for name in names if name in shape.required_members or chance.random() < some]
        # A form cannot carry a structure without members.
        names = names or [*shape.members][:1]
        return {name: value(shape.members[name], chance, some, plain) for name in names}
    if kind in ("list", "map"):
        low, high = int(shape.metadata.get("min", 1)), int(shape.metadata.get("max", 3))
        count = chance.randint(max(low, 1), max(min(high, low + 2), 1))
        if kind == "list":
            return [value(shape.member, chance, some, plain) for _ in range(count)]
        return {text(shape.key, chance, True): value(shape.value, chance, some, plain) for _ in range(count)}
    if kind == "string":
        return text(shape, chance, plain)
    if kind == "blob":
        return chance.randbytes(max(1, int(shape.metadata.get("min", 4))))
    if kind == "boolean":
        return chance.random() < 0.5
    if kind == "timestamp":
        return chance.randint(0, 2_000_000_000)
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 1_000_000)
    if kind in ("integer", "long"):
        return chance.randint(int(low), int(min(high, 2**31 - 1)))
    return round(chance.uniform(low, high), 3)


def located(shape: Shape, chance: random.Random, some: float = 0.5) -> dict[str, Any]:
    """An input or output whose members in headers, paths and queries are plain text."""
    names = [name for name in shape.members if name in shape.required_members or chance.random() < some]
    if shape.is_tagged_union:
        names = names[:1] or [next(iter(shape.members))]
    return {name: value(shape.members[name], chance, some, "location" in shape.members[name].serialization) for name in names}


def request(model: OperationModel, serialized: dict[str, Any], signing: str) -> Request:
    """What botocore's serializer made, as the gateway gets it."""
    path, _, query = serialized["url_path"].partition("?")
    asked = urlencode(serialized.get("query_string") or {}, doseq=True)
    body = serialized.get("body", b"")
    if isinstance(body, dict):
        body = urlencode(body).encode()
    elif isinstance(body, str):
        body = body.encode()
    headers = {str(k).lower(): str(v) for k, v in serialized.get("headers", {}).items()}
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261121/us-east-1/{signing}/aws4_request, SignedHeaders=host, Signature=00"
    )
    headers.setdefault("host", "127.0.0.1:4580")
    return Request(serialized["method"], path, "&".join(part for part in (query, asked) if part), headers, body, "127.0.0.1", 1.7e9)
