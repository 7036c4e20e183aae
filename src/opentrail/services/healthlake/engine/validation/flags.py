"""What the `minimal` level leaves in a resource: the issues found, as HealthLake's validation-issue extension."""

from collections.abc import Iterable
from typing import Any

import msgspec

from opentrail.services.healthlake.engine.issues import Issue, operation_outcome

URL = "http://healthlake.amazonaws.com/fhir/StructureDefinition/validation-issue"
Json = dict[str, Any]


def flagged(resource: Json, issues: Iterable[Issue]) -> Json:
    """The resource with one extension that holds the issues as a serialised OperationOutcome; older ones are replaced.

    Without issues the resource comes back without the extension. An `extension` that is no array is left as it is.
    """
    held = resource.get("extension", [])
    if not isinstance(held, list):
        return resource
    others = [e for e in held if not (isinstance(e, dict) and e.get("url") == URL)]
    found = list(issues)
    if found:
        text = msgspec.json.encode(operation_outcome(found)).decode()
        return {**resource, "extension": [*others, {"url": URL, "valueString": text}]}
    bare = {k: v for k, v in resource.items() if k != "extension"}
    return {**bare, "extension": others} if others else bare
