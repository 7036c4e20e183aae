"""The input of FHIR operations: what a request of FHIR's REST protocol says, taken apart by the gateway."""

from __future__ import annotations

from typing import Any

import msgspec


class FhirInput(msgspec.Struct, kw_only=True):
    """A FHIR request taken apart. Names and ids are still unchecked; `body` is the resource or form as it came."""

    datastoreId: str
    resourceType: str | None = None
    resourceId: str | None = None
    versionId: str | None = None
    operation: str | None = None
    """The name of a $operation, without the dollar sign."""
    file: str | None = None
    """A file of an export: `Type/name`."""
    compartmentType: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    base: str = ""
    """The address of the data store as the client wrote it, without a trailing slash."""
    if_match: str = ""
    if_none_match: str = ""
    if_none_exist: str = ""
    if_modified_since: str = ""
    prefer: str = ""
    content_type: str = ""
    idempotency_key: str = ""
    validation_level: str = ""
    parsed: Any = None
    """What the service read in the body when the rights were judged: what is carried out is this, never another reading of it."""
