"""HealthLake's door: what it offers, under which rights."""

from __future__ import annotations

from dataclasses import replace

from opentrail.calls.bearer import Bearers
from opentrail.calls.call import Call
from opentrail.calls.naming import by_word
from opentrail.calls.operation import Apply, Input, Operation, Prepare, Read, Service, right
from opentrail.calls.tagging import making, of_keys
from opentrail.services.common import tags
from opentrail.services.healthlake import (
    bundle_entries,
    capabilities,
    changes,
    datastores,
    deletions,
    discovery,
    export_jobs,
    import_jobs,
    interactions,
    naming,
    operations,
    reads,
    searches,
    tokens,
    transactions,
)
from opentrail.services.healthlake.audit import AUDIT
from opentrail.services.healthlake.outcomes import answered, prepared


def _store(call: Call, input: Input) -> str:
    return datastores.arn_of_id(call, input.DatastoreId)


def _fhir_store(call: Call, input: Input) -> str:
    return datastores.arn_of_id(call, input.datastoreId)


def _tagged(call: Call, input: Input) -> str:
    return str(input.ResourceARN)


def _any_store(call: Call, input: Input) -> str:
    """In the place of an ARN whose id is not drawn yet."""
    return datastores.arn_of_id(call, "*")


def _reads(name: str, read: Read, point: bool = False) -> Operation:
    """A FHIR interaction that only reads, under the action of its name."""
    return Operation(name, right(f"healthlake:{name}", _fhir_store), read=answered(read), point=point)


def _changes(name: str, prepare: Prepare, apply: Apply = changes.change) -> Operation:
    """A FHIR interaction that changes resources."""
    return Operation(name, right(f"healthlake:{name}", _fhir_store), prepare=prepared(prepare), apply=answered(apply))


OPERATIONS = (
    Operation(
        "CreateFHIRDatastore",
        making("healthlake:CreateFHIRDatastore", lambda call, input: "*", "healthlake:TagResource", datastores.tag_keys, _any_store),
        prepare=datastores.prepare_create,
        apply=datastores.create,
    ),
    Operation("DescribeFHIRDatastore", right("healthlake:DescribeFHIRDatastore", _store), read=datastores.describe, point=True),
    Operation("ListFHIRDatastores", right("healthlake:ListFHIRDatastores"), read=datastores.list_all, point=True),
    Operation(
        "UpdateFHIRDatastore",
        right("healthlake:UpdateFHIRDatastore", _store),
        prepare=datastores.prepare_update,
        apply=datastores.update,
    ),
    Operation("DeleteFHIRDatastore", right("healthlake:DeleteFHIRDatastore", _store), apply=datastores.delete),
    Operation("TagResource", right("healthlake:TagResource", _tagged, datastores.tag_keys), apply=datastores.tag),
    Operation(
        "UntagResource",
        right("healthlake:UntagResource", _tagged, lambda input: of_keys(input.TagKeys)),
        apply=datastores.untag,
    ),
    Operation("ListTagsForResource", right("healthlake:ListTagsForResource", _tagged), read=datastores.list_tags, point=True),
    Operation("CreateResource", changes.creating_rights, prepare=prepared(changes.prepare_create), apply=answered(changes.change)),
    _changes("UpdateResource", changes.prepare_update),
    _changes("PatchResource", changes.prepare_patch),
    _changes("DeleteResource", deletions.prepare, deletions.delete),
    _reads("ReadResource", reads.read, point=True),
    _reads("VersionReadResource", reads.vread, point=True),
    _reads("GetHistoryByResourceId", reads.history_of_one),
    _reads("GetHistoryByResourceType", reads.history_of_type),
    _reads("GetFullHistory", reads.history_of_all),
    _reads("SearchWithGet", searches.search_get),
    _reads("SearchWithPost", searches.search_post),
    Operation(
        "ProcessBundle",
        prepared(bundle_entries.rights),
        prepare=prepared(transactions.prepare),
        apply=answered(transactions.process),
        rights_in_body=True,
    ),
    Operation("DescribeTransaction", right("healthlake:ProcessBundle", _fhir_store), read=answered(transactions.describe)),
    Operation("ValidateResource", operations.validation_rights, read=answered(operations.validate)),
    _reads("SearchEverything", operations.everything),
    *(_reads(f"ExpandValueSetWith{verb}", operations.expand) for verb in ("Get", "Post")),
    *(_reads(f"LookupCodeSystemWith{verb}", operations.lookup) for verb in ("Get", "Post")),
    *(_reads(f"TranslateConceptMapWith{verb}", operations.translate) for verb in ("Get", "Post")),
    _reads("GetCapabilities", capabilities.capabilities),
    Operation("GetSmartConfiguration", lambda call, input: (), read=answered(discovery.smart_configuration), public=True, point=True),
    Operation("StartFHIRImportJob", import_jobs.rights, prepare=import_jobs.prepare_start, apply=import_jobs.start),
    Operation("DescribeFHIRImportJob", right("healthlake:DescribeFHIRImportJob", _store), read=import_jobs.describe),
    Operation("ListFHIRImportJobs", right("healthlake:ListFHIRImportJobs", _store), read=import_jobs.list_all),
    Operation("StartFHIRExportJob", export_jobs.rights, prepare=export_jobs.prepare_start, apply=export_jobs.start),
    Operation("DescribeFHIRExportJob", right("healthlake:DescribeFHIRExportJob", _store), read=export_jobs.describe),
    Operation("ListFHIRExportJobs", right("healthlake:ListFHIRExportJobs", _store), read=export_jobs.list_all),
    Operation(
        "StartFHIRExportJobWithPost",
        prepared(export_jobs.fhir_rights),
        prepare=prepared(export_jobs.prepare_fhir),
        apply=answered(export_jobs.start_fhir),
    ),
    Operation(
        "StartFHIRExportJobWithGet",
        right("healthlake:StartFHIRExportJobWithGet", _fhir_store),
        prepare=prepared(export_jobs.prepare_fhir_kept),
        apply=answered(export_jobs.start_fhir),
    ),
    _reads("DescribeFHIRExportJobWithGet", export_jobs.describe_fhir),
    _reads("GetExportedFile", export_jobs.fetch),
    Operation(
        "CancelFHIRExportJobWithDelete",
        right("healthlake:CancelFHIRExportJobWithDelete", _fhir_store),
        apply=answered(export_jobs.cancel_fhir),
    ),
)

SERVICE = Service(
    name="healthlake",
    operations={operation.name: operation for operation in OPERATIONS},
    audit=AUDIT,
    event_source="healthlake.amazonaws.com",
    signing_names=("healthlake",),
    action_prefix="healthlake",
    resource_tags=tags.of_account,
    fhir=True,
    aim=naming.aim,
    named=by_word({"datastore": datastores.TYPE}),
    bearers=Bearers(tokens.place, tokens.issuer, tokens.admit, interactions.allow),
)

SHOWS = frozenset(
    {
        *("ReadResource", "VersionReadResource", "GetHistoryByResourceId", "GetHistoryByResourceType", "GetFullHistory"),
        *("SearchWithGet", "SearchWithPost", "SearchEverything", "GetExportedFile", "DescribeTransaction"),
    }
)
"""The reads and searches that show resources."""


def with_data_events(service: Service) -> Service:
    """The service whose reads and searches of resources are data events of the data store, not management events."""
    of_type = {name: replace(one, data_type=datastores.TYPE) if name in SHOWS else one for name, one in service.operations.items()}
    return replace(service, operations=of_type)
