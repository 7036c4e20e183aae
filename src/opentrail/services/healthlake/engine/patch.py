"""PATCH: which kind of patch a body is, and what no patch may change."""

from typing import Any

from opentrail.services.healthlake.engine import extent, fhirpath_patch, json_patch
from opentrail.services.healthlake.engine.issues import name, refuse

Json = dict[str, Any]
JSON_PATCH = "application/json-patch+json"
FHIR_JSON = ("application/fhir+json", "application/json")
MOST_BYTES = 4 * 1024 * 1024
"""What a resource has at most, however it comes about."""


def patched(resource: Json, media_type: str, body: Any) -> Json:
    """The resource after a patch of a media type. Refused: 415 another media type, 400 a patch that cannot be applied or changes
    the type or id or nests too deep, 413 one that leaves too large a resource, 422 one that leaves none or copies too much."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind == JSON_PATCH:
        found = json_patch.apply(resource, body)
    elif kind in FHIR_JSON and isinstance(body, dict):
        found = fhirpath_patch.apply(resource, body)
    else:
        raise refuse(415, "not-supported", "A patch is a JSON Patch ({}) or a Parameters resource.".replace("{}", JSON_PATCH))
    if not isinstance(found, dict):
        raise refuse(422, "structure", "The patch leaves no resource.")
    if found.get("resourceType") != resource["resourceType"] or found.get("id") != resource.get("id"):
        raise refuse(400, "value", "A patch may not change the resource type or id.")
    if extent.of(found).bytes > MOST_BYTES:
        raise refuse(413, "too-long", "A resource has at most {} bytes.", name(MOST_BYTES))
    return found
