"""CloudTrail's door: the operations of `cloudtrail`, and `cloudtrail-data`, of which none is offered yet."""

from __future__ import annotations

from opentrail.calls.naming import by_word
from opentrail.calls.operation import Operation, Service, right
from opentrail.calls.tagging import making
from opentrail.services.cloudtrail import event_selectors, lookup, public_keys, trail_logging, trail_status, trail_tags, trails
from opentrail.services.cloudtrail.audit import AUDIT, DATA_AUDIT
from opentrail.services.cloudtrail.names import TYPE, named, on_trail
from opentrail.services.common import tags

_OPERATIONS = (
    Operation(
        "CreateTrail",
        rights=making("cloudtrail:CreateTrail", lambda call, input: named(call, input.Name), "cloudtrail:AddTags", trail_tags.keys),
        prepare=trails.prepare_create,
        apply=trails.apply_create,
    ),
    Operation(
        "UpdateTrail",
        rights=on_trail("cloudtrail:UpdateTrail"),
        prepare=trails.prepare_update,
        apply=trails.apply_update,
    ),
    Operation(
        "DeleteTrail",
        rights=on_trail("cloudtrail:DeleteTrail"),
        prepare=trails.prepare_delete,
        apply=trails.apply_delete,
    ),
    Operation("GetTrail", rights=on_trail("cloudtrail:GetTrail"), read=trails.get_trail),
    Operation("DescribeTrails", rights=right("cloudtrail:DescribeTrails"), read=trails.describe_trails, point=True),
    Operation("ListTrails", rights=right("cloudtrail:ListTrails"), read=trails.list_trails),
    Operation("GetTrailStatus", rights=on_trail("cloudtrail:GetTrailStatus"), read=trail_status.get_trail_status),
    Operation(
        "StartLogging",
        rights=on_trail("cloudtrail:StartLogging"),
        prepare=trail_logging.prepare_start,
        apply=trail_logging.apply_start,
    ),
    Operation(
        "StopLogging",
        rights=on_trail("cloudtrail:StopLogging"),
        prepare=trail_logging.prepare_stop,
        apply=trail_logging.apply_stop,
    ),
    Operation(
        "PutEventSelectors",
        rights=on_trail("cloudtrail:PutEventSelectors", "TrailName"),
        prepare=event_selectors.prepare_put,
        apply=event_selectors.apply_put,
        unchecked=("EventSelectors",),
    ),
    Operation(
        "GetEventSelectors",
        rights=on_trail("cloudtrail:GetEventSelectors", "TrailName"),
        read=event_selectors.get_event_selectors,
    ),
    Operation("ListPublicKeys", rights=right("cloudtrail:ListPublicKeys"), read=public_keys.list_public_keys),
    Operation(
        "LookupEvents",
        rights=right("cloudtrail:LookupEvents"),
        read=lookup.lookup_events,
        unchecked=("LookupAttributes", "MaxResults", "EventCategory"),
    ),
    Operation("AddTags", rights=trail_tags.on_resource("cloudtrail:AddTags"), prepare=trail_tags.prepare_add, apply=trail_tags.apply_add),
    Operation(
        "RemoveTags",
        rights=trail_tags.on_resource("cloudtrail:RemoveTags"),
        prepare=trail_tags.prepare_remove,
        apply=trail_tags.apply_remove,
    ),
    Operation("ListTags", rights=trail_tags.rights_to_list, read=trail_tags.list_tags),
)

SERVICE = Service(
    name="cloudtrail",
    operations={operation.name: operation for operation in _OPERATIONS},
    audit=AUDIT,
    event_source="cloudtrail.amazonaws.com",
    signing_names=("cloudtrail",),
    action_prefix="cloudtrail",
    named=by_word({"trail": TYPE}),
    resource_tags=tags.of_account,
)

DATA_SERVICE = Service(
    name="cloudtrail-data",
    operations={},
    audit=DATA_AUDIT,
    event_source="cloudtrail-data.amazonaws.com",
    signing_names=("cloudtrail-data",),
    action_prefix="cloudtrail-data",
)

SERVICES = (SERVICE, DATA_SERVICE)
