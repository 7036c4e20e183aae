"""botocore's service models, loaded on first use and without their prose.

Only the parts that decide what goes over the wire are decoded: documentation, which is four fifths of the files, never
becomes an object.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources
from typing import Any, TypedDict

import msgspec
from botocore.model import ServiceModel


class _Ref(TypedDict, total=False):
    shape: str
    location: str
    locationName: str
    queryName: str
    flattened: bool
    timestampFormat: str
    xmlAttribute: bool
    xmlNamespace: Any
    streaming: bool
    jsonvalue: bool
    idempotencyToken: bool
    eventpayload: bool
    eventheader: bool


class _Shape(_Ref, total=False):
    type: str
    members: dict[str, _Ref]
    member: _Ref
    key: _Ref
    value: _Ref
    required: list[str]
    enum: list[str]
    min: float
    max: float
    pattern: str
    sensitive: bool
    union: bool
    document: bool
    payload: str
    exception: bool
    fault: bool
    error: dict[str, Any]
    eventstream: bool
    event: bool


class _Operation(TypedDict, total=False):
    name: str
    http: dict[str, Any]
    input: dict[str, Any]
    output: dict[str, Any]
    errors: list[dict[str, Any]]
    deprecated: bool
    authtype: str


class _Model(TypedDict):
    metadata: dict[str, Any]
    operations: dict[str, _Operation]
    shapes: dict[str, _Shape]


class _Front(TypedDict):
    metadata: dict[str, Any]
    operations: dict[str, _Operation]


def _raw(service: str) -> bytes:
    """The newest model file of a service. Raises LookupError when botocore has none of that name."""
    folder = resources.files("botocore").joinpath("data", service)
    if not service or not folder.is_dir():
        raise LookupError(f"botocore has no model named {service}")
    versions = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    return gzip.decompress(folder.joinpath(versions[-1], "service-2.json.gz").read_bytes())


@cache
def front(service: str) -> _Front:
    """Metadata and operations of a service without its shapes: enough to tell what is called."""
    return msgspec.json.decode(_raw(service), type=_Front)


@cache
def model(service: str) -> ServiceModel:
    """The service's model, every shape included. About 15 ms for the largest, once."""
    return ServiceModel(msgspec.json.decode(_raw(service), type=_Model), service)
