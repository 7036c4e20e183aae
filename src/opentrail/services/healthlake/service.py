"""HealthLake's door: what it offers, under which rights."""

from __future__ import annotations

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Service, right
from opentrail.services.healthlake import datastores, interactions
from opentrail.services.healthlake.audit import AUDIT


def _store(call: Call, input: Input) -> str:
    return datastores.arn_of_id(call, input.DatastoreId)


def _fhir_store(call: Call, input: Input) -> str:
    return datastores.arn_of_id(call, input.datastoreId)


def _tagged(call: Call, input: Input) -> str:
    return str(input.ResourceARN)


OPERATIONS = (
    Operation(
        "CreateFHIRDatastore",
        right("healthlake:CreateFHIRDatastore"),
        prepare=datastores.prepare_create,
        apply=datastores.create,
    ),
    Operation("DescribeFHIRDatastore", right("healthlake:DescribeFHIRDatastore", _store), read=datastores.describe, point=True),
    Operation("ListFHIRDatastores", right("healthlake:ListFHIRDatastores"), read=datastores.list_all, point=True),
    Operation("DeleteFHIRDatastore", right("healthlake:DeleteFHIRDatastore", _store), apply=datastores.delete),
    Operation("TagResource", right("healthlake:TagResource", _tagged), apply=datastores.tag),
    Operation("UntagResource", right("healthlake:UntagResource", _tagged), apply=datastores.untag),
    Operation("ListTagsForResource", right("healthlake:ListTagsForResource", _tagged), read=datastores.list_tags, point=True),
    Operation(
        "CreateResource",
        right("healthlake:CreateResource", _fhir_store),
        prepare=interactions.prepare_write,
        apply=interactions.write,
    ),
    Operation("ReadResource", right("healthlake:ReadResource", _fhir_store), read=interactions.read, point=True),
    Operation("VersionReadResource", right("healthlake:VersionReadResource", _fhir_store), read=interactions.vread, point=True),
    Operation(
        "UpdateResource",
        right("healthlake:UpdateResource", _fhir_store),
        prepare=interactions.prepare_write,
        apply=interactions.write,
    ),
    Operation("DeleteResource", right("healthlake:DeleteResource", _fhir_store), apply=interactions.delete),
    Operation("GetCapabilities", right("healthlake:GetCapabilities", _fhir_store), read=interactions.capabilities),
)

SERVICE = Service(
    name="healthlake",
    operations={operation.name: operation for operation in OPERATIONS},
    audit=AUDIT,
    event_source="healthlake.amazonaws.com",
    signing_names=("healthlake",),
    action_prefix="healthlake",
    fhir=True,
)
