"""What a record keeps of each operation of CloudTrail.

CloudTrail's parameters are names, ARNs, settings and times: identifiers, all kept, as AWS keeps them. Page tokens are not;
answers of read-only operations are not, by CloudTrail's own rule. Operations that are not offered keep nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from opentrail.calls.operation import NOTHING, Audit

_TRAIL = (
    "Name",
    "S3BucketName",
    "S3KeyPrefix",
    "SnsTopicName",
    "IncludeGlobalServiceEvents",
    "IsMultiRegionTrail",
    "EnableLogFileValidation",
    "CloudWatchLogsLogGroupArn",
    "CloudWatchLogsRoleArn",
    "KmsKeyId",
    "IsOrganizationTrail",
    "RecursiveLogging",
)
_TRAIL_ANSWER = (
    "Name",
    "S3BucketName",
    "S3KeyPrefix",
    "SnsTopicName",
    "SnsTopicARN",
    "IncludeGlobalServiceEvents",
    "IsMultiRegionTrail",
    "TrailARN",
    "LogFileValidationEnabled",
    "CloudWatchLogsLogGroupArn",
    "CloudWatchLogsRoleArn",
    "KmsKeyId",
    "IsOrganizationTrail",
    "RecursiveLogging",
)
_TAGS = ("TagsList[].Key", "TagsList[].Value")
_OPERATORS = ("Equals", "StartsWith", "EndsWith", "NotEquals", "NotStartsWith", "NotEndsWith")
_SELECTORS = (
    "EventSelectors[].ReadWriteType",
    "EventSelectors[].IncludeManagementEvents",
    "EventSelectors[].DataResources[].Type",
    "EventSelectors[].DataResources[].Values[]",
    "EventSelectors[].ExcludeManagementEventSources[]",
    "AdvancedEventSelectors[].Name",
    "AdvancedEventSelectors[].FieldSelectors[].Field",
    *(f"AdvancedEventSelectors[].FieldSelectors[].{operator}[]" for operator in _OPERATORS),
)


_NO_RESOURCE = ("EventId", "EventName", "ReadOnly", "Username", "ResourceType", "EventSource", "AccessKeyId")


def hash_asked(kept: dict[str, Any], hashed: Callable[[str], str]) -> None:
    """Replaces the names of resources that are looked up, under whatever key."""
    for one in kept.get("lookupAttributes", ()):
        if one.get("attributeKey") not in _NO_RESOURCE and "attributeValue" in one:
            one["attributeValue"] = hashed(one["attributeValue"])


def _reads(*keep: str, drop: tuple[str, ...] = ()) -> Audit:
    return Audit(keep=keep, drop=drop, drop_output=("*",), times=tuple(member for member in keep if member.endswith("Time")))


OFFERED = {
    "CreateTrail": Audit(keep=(*_TRAIL, *_TAGS), keep_output=_TRAIL_ANSWER),
    "UpdateTrail": Audit(keep=_TRAIL, keep_output=_TRAIL_ANSWER),
    "DeleteTrail": Audit(keep=("Name",)),
    "GetTrail": _reads("Name"),
    "DescribeTrails": _reads("trailNameList[]", "includeShadowTrails"),
    "ListTrails": _reads(drop=("NextToken",)),
    "GetTrailStatus": _reads("Name"),
    "StartLogging": Audit(keep=("Name",)),
    "StopLogging": Audit(keep=("Name",)),
    "ListPublicKeys": _reads("StartTime", "EndTime", drop=("NextToken",)),
    "GetEventSelectors": _reads("TrailName"),
    "PutEventSelectors": Audit(keep=("TrailName", *_SELECTORS), keep_output=("TrailARN", *_SELECTORS)),
    "LookupEvents": replace(
        _reads(
            "LookupAttributes[].AttributeKey",
            "LookupAttributes[].AttributeValue",
            "StartTime",
            "EndTime",
            "EventCategory",
            "MaxResults",
            drop=("NextToken",),
        ),
        hash_ids=hash_asked,
    ),
    "AddTags": Audit(keep=("ResourceId", *_TAGS)),
    "RemoveTags": Audit(keep=("ResourceId", *_TAGS)),
    "ListTags": _reads("ResourceIdList[]", drop=("NextToken",)),
}

NOT_OFFERED = (
    "CancelQuery",
    "CreateChannel",
    "CreateDashboard",
    "CreateEventDataStore",
    "DeleteChannel",
    "DeleteDashboard",
    "DeleteEventDataStore",
    "DeleteResourcePolicy",
    "DeregisterOrganizationDelegatedAdmin",
    "DescribeQuery",
    "DisableFederation",
    "EnableFederation",
    "GenerateQuery",
    "GetChannel",
    "GetDashboard",
    "GetEventConfiguration",
    "GetEventDataStore",
    "GetImport",
    "GetInsightSelectors",
    "GetQueryResults",
    "GetResourcePolicy",
    "ListChannels",
    "ListDashboards",
    "ListEventDataStores",
    "ListImportFailures",
    "ListImports",
    "ListInsightsData",
    "ListInsightsMetricData",
    "ListQueries",
    "PutEventConfiguration",
    "PutInsightSelectors",
    "PutResourcePolicy",
    "RegisterOrganizationDelegatedAdmin",
    "RestoreEventDataStore",
    "SearchSampleQueries",
    "StartDashboardRefresh",
    "StartEventDataStoreIngestion",
    "StartImport",
    "StartQuery",
    "StopEventDataStoreIngestion",
    "StopImport",
    "UpdateChannel",
    "UpdateDashboard",
    "UpdateEventDataStore",
)

AUDIT = OFFERED | dict.fromkeys(NOT_OFFERED, NOTHING)
"""cloudtrail: one entry for each operation of the model."""

DATA_AUDIT = {"PutAuditEvents": NOTHING}
"""cloudtrail-data."""
