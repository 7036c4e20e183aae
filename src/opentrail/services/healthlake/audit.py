"""What records keep of HealthLake's calls: names, ids and settings; never resources, search values or tag values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from opentrail.calls.operation import NOTHING, Audit
from opentrail.kernel.errors import HIDDEN

_MADE = ("DatastoreId", "DatastoreArn", "DatastoreStatus", "DatastoreEndpoint")
_SET = (
    "AnalyticsConfiguration.*", "NlpConfiguration.*", "ProfileConfiguration.DefaultProfiles[]", "BackupConfiguration.*",
    "IdentityProviderConfiguration.AuthorizationStrategy", "IdentityProviderConfiguration.FineGrainedAuthorizationEnabled",
)  # fmt: skip
_UNSET = ("IdentityProviderConfiguration.Metadata", "IdentityProviderConfiguration.IdpLambdaArn")


def hash_id(kept: dict[str, Any], hashed: Callable[[str], str]) -> None:
    """Replaces the id of the resource in the path; that of a job, which is ours, stays."""
    id = kept.get("resourceId", HIDDEN)
    if id != HIDDEN and ("resourceType" in kept or "compartmentType" in kept or not _JOB_ID.fullmatch(id)):
        kept["resourceId"] = hashed(id)


_JOB_ID = re.compile("[0-9a-f]{32}")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_NAME = re.compile(r"[A-Za-z-]{1,64}")
_FHIR = Audit(
    keep=("datastoreId", "compartmentType", "resourceType", "resourceId", "versionId", "operation", "file"),
    shapes={
        "datastoreId": _ID, "compartmentType": _NAME, "resourceType": _NAME, "resourceId": _ID, "versionId": re.compile("[0-9]{1,10}"),
        "operation": _NAME, "file": re.compile(r"([A-Za-z]{1,64})/\1-[0-9a-f]{32}-[0-9]{1,9}\.ndjson"),
    },
    hash_ids=hash_id,
)  # fmt: skip

FHIR_OPERATIONS = (
    "CreateResource", "ReadResource", "VersionReadResource", "UpdateResource", "DeleteResource", "GetCapabilities",
    "PatchResource", "SearchWithGet", "SearchWithPost", "SearchEverything", "GetHistoryByResourceId",
    "GetHistoryByResourceType", "GetFullHistory", "ProcessBundle", "ValidateResource", "GetSmartConfiguration",
    "ExpandValueSetWithGet", "ExpandValueSetWithPost", "LookupCodeSystemWithGet", "LookupCodeSystemWithPost",
    "TranslateConceptMapWithGet", "TranslateConceptMapWithPost", "StartFHIRExportJobWithGet", "StartFHIRExportJobWithPost",
    "DescribeFHIRExportJobWithGet", "CancelFHIRExportJobWithDelete", "GetExportedFile", "DescribeTransaction", "FHIROperation",
)  # fmt: skip
"""The operations of the FHIR protocol, which stand in no model."""

NOT_OFFERED = (
    "CreateDataTransformationProfile", "DeleteDataTransformationProfile", "DescribeDataTransformationJob",
    "GetDataTransformationProfile", "ListDataTransformationJobs", "ListDataTransformationProfileVersions",
    "ListDataTransformationProfiles", "PublishDataTransformationProfile", "RestoreFHIRDatastore", "StartDataTransformationJob",
    "UpdateDataTransformationProfile", "UpdateProfileWithAgent",
)  # fmt: skip

_JOB = ("JobId", "JobStatus", "DatastoreId")
_LISTED = Audit(
    keep=("DatastoreId", "MaxResults", "JobName", "JobStatus", "SubmittedBefore", "SubmittedAfter"),
    times=("SubmittedBefore", "SubmittedAfter"),
    drop=("NextToken",),
)

AUDIT: dict[str, Audit] = {
    **dict.fromkeys(NOT_OFFERED, NOTHING),
    **dict.fromkeys(FHIR_OPERATIONS, _FHIR),
    "CreateFHIRDatastore": Audit(
        keep=("DatastoreName", "DatastoreTypeVersion", "ClientToken", "SseConfiguration.*", "PreloadDataConfig.*", "Tags[].Key", *_SET),
        hide=("Tags[].Value",),
        drop=_UNSET,
        keep_output=_MADE,
    ),
    "UpdateFHIRDatastore": Audit(
        keep=("DatastoreId", "DatastoreName", *_SET), drop=_UNSET, drop_output=("DatastoreProperties",)
    ),
    "DescribeFHIRDatastore": Audit(keep=("DatastoreId",), drop_output=("DatastoreProperties",)),
    "ListFHIRDatastores": Audit(
        keep=("Filter.DatastoreName", "Filter.DatastoreStatus", "Filter.CreatedBefore", "Filter.CreatedAfter", "MaxResults"),
        times=("Filter.CreatedBefore", "Filter.CreatedAfter"),
        drop=("NextToken",),
        drop_output=("DatastorePropertiesList", "NextToken"),
    ),
    "DeleteFHIRDatastore": Audit(keep=("DatastoreId",), keep_output=_MADE),
    "StartFHIRImportJob": Audit(
        keep=(
            "JobName", "InputDataConfig.S3Uri", "JobOutputDataConfig.S3Configuration.S3Uri",
            "JobOutputDataConfig.S3Configuration.KmsKeyId", "DatastoreId", "DataAccessRoleArn", "ClientToken", "ValidationLevel",
        ),
        drop=("ProfileId", "InputFormat", "DriftDetectionEnabled", "ProvenanceEnabled"),
        keep_output=_JOB,
    ),
    "DescribeFHIRImportJob": Audit(keep=("DatastoreId", "JobId"), drop_output=("ImportJobProperties",)),
    "ListFHIRImportJobs": replace(_LISTED, drop_output=("ImportJobPropertiesList", "NextToken")),
    "StartFHIRExportJob": Audit(
        keep=(
            "JobName", "OutputDataConfig.S3Configuration.S3Uri", "OutputDataConfig.S3Configuration.KmsKeyId", "DatastoreId",
            "DataAccessRoleArn", "ClientToken",
        ),
        keep_output=_JOB,
    ),
    "DescribeFHIRExportJob": Audit(keep=("DatastoreId", "JobId"), drop_output=("ExportJobProperties",)),
    "ListFHIRExportJobs": replace(_LISTED, drop_output=("ExportJobPropertiesList", "NextToken")),
    "TagResource": Audit(keep=("ResourceARN", "Tags[].Key"), hide=("Tags[].Value",)),
    "UntagResource": Audit(keep=("ResourceARN", "TagKeys[]")),
    "ListTagsForResource": Audit(keep=("ResourceARN",), drop_output=("Tags",)),
}  # fmt: skip
