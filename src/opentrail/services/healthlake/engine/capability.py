"""The CapabilityStatement of a data store, made from what the engine offers."""

from typing import Any

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.search.offered import offered
from opentrail.services.healthlake.engine.search.parse import MODIFIERS
from opentrail.services.healthlake.engine.search.paths import Parameter

Json = dict[str, Any]
INTERACTIONS = ("create", "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "search-type")
DEFINITION = "http://hl7.org/fhir/OperationDefinition/"
BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
OPERATIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "": (("export", BULK + "export"),),
    "Patient": (("everything", DEFINITION + "Patient-everything"), ("export", BULK + "patient-export")),
    "Group": (("export", BULK + "group-export"),),
    "*": (("validate", DEFINITION + "Resource-validate"),),
    "ValueSet": (("expand", DEFINITION + "ValueSet-expand"),),
    "CodeSystem": (("lookup", DEFINITION + "CodeSystem-lookup"),),
    "ConceptMap": (("translate", DEFINITION + "ConceptMap-translate"),),
}
OWN = (("_id", "token"), ("_lastUpdated", "date"), ("createdAt", "date"))


def _documentation(parameter: Parameter) -> str:
    return "Modifiers: " + ", ".join(":" + one for one in ("missing", *MODIFIERS.get(parameter.kind, ())))


def _resource(kind: str, operations: tuple[tuple[str, str], ...]) -> Json:
    found = offered(kind)
    references = sorted(code for code, p in found.items() if p.kind == "reference")
    searches = [{"name": code, "type": sort} for code, sort in OWN]
    searches += [{"name": code, "type": p.kind, "documentation": _documentation(p)} for code, p in sorted(found.items())]
    named = [{"name": code, "definition": url} for code, url in operations]
    row: Json = {
        "type": kind,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{kind}",
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple",
        "referencePolicy": ["literal", "logical", "local"],
        "searchParam": searches,
    }
    if references:
        row["searchInclude"] = [f"{kind}:{code}" for code in references]
    return {**row, "operation": named} if named else row


def smart_security(authorize: str, token: str) -> Json:
    """The security section of a store that takes SMART on FHIR tokens. Source: SMART App Launch, the oauth-uris extension."""
    uris = [{"url": "authorize", "valueUri": authorize}, {"url": "token", "valueUri": token}]
    coding = {"system": "http://terminology.hl7.org/CodeSystem/restful-security-service", "code": "SMART-on-FHIR"}
    return {
        "extension": [{"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": uris}],
        "service": [{"coding": [coding], "text": "OAuth2 with SMART on FHIR, or AWS Signature Version 4"}],
    }


SIGNED: Json = {"service": [{"text": "AWS Signature Version 4"}]}
"""The security section of a store that takes signed requests alone."""


def capability_statement(
    url: str, version: str, date: str, operations: dict[str, tuple[tuple[str, str], ...]] = OPERATIONS, security: Json = SIGNED
) -> Json:
    """The CapabilityStatement of the store at `url`, for software of a version, stated at an instant.

    `operations` names, by resource type, "*" for all types and "" for the whole system, what is offered besides the interactions.
    """
    system = [{"name": code, "definition": definition} for code, definition in operations.get("", ())]
    rest: Json = {
        "mode": "server",
        "security": security,
        "resource": [_resource(kind, (*operations.get("*", ()), *operations.get(kind, ()))) for kind in definitions.resource_types()],
        "interaction": [{"code": code} for code in ("transaction", "batch", "search-system", "history-system")],
        "compartment": [f"http://hl7.org/fhir/CompartmentDefinition/{kind.lower()}" for kind in sorted(definitions.compartments())],
    }
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "OpenTrail", **({"version": version} if version else {})},
        "implementation": {"description": "OpenTrail HealthLake", "url": url},
        "fhirVersion": definitions.FHIR_VERSION,
        "format": ["application/fhir+json", "json"],
        "patchFormat": ["application/json-patch+json", "application/fhir+json"],
        "rest": [{**rest, "operation": system} if system else rest],
    }
