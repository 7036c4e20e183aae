"""CreateTrail, UpdateTrail, DeleteTrail, GetTrail, DescribeTrails, ListTrails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Output
from opentrail.kernel import arn as arns
from opentrail.kernel import paging
from opentrail.kernel.errors import ServiceError
from opentrail.services.cloudtrail import admission, keys, names, store, trail_tags
from opentrail.services.cloudtrail.versions import TrailConfiguration
from opentrail.store.sql import Snapshot, Tx

QUOTA = 5
"""Trails a region may have, those of other regions that cover it included (CloudTrail quotas)."""

PAGE = 1000
"""Trails in one page of ListTrails."""

_NOT_OFFERED = ("SnsTopicName", "CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn", "KmsKeyId", "IsOrganizationTrail", "RecursiveLogging")
_SETTINGS = {
    "S3BucketName": "bucket",
    "S3KeyPrefix": "prefix",
    "IncludeGlobalServiceEvents": "global_events",
    "IsMultiRegionTrail": "multi_region",
    "EnableLogFileValidation": "log_file_validation",
}


@dataclass(frozen=True, slots=True)
class Creation:
    """A trail to be made, its tags, and the signing key it needs if there is no good one yet."""

    trail: TrailConfiguration
    tags: list[tuple[str, str]]
    key: keys.SigningKey | None


@dataclass(frozen=True, slots=True)
class Update:
    """Settings to be changed, and the trail they were checked with."""

    arn: str
    settings: dict[str, Any]
    checked: TrailConfiguration


def prepare_create(call: Call, input: Any) -> Creation:
    """CreateTrail: checks names and combinations, then the bucket's policy; makes the signing key of account and region."""
    names.check_name(input.Name)
    arn = names.trail_arn(call.region, call.account, input.Name)
    call.touch(names.TYPE, arn)
    settings = _settings(input)
    tagged = trail_tags.checked(input.TagsList)
    trail = TrailConfiguration(
        name=input.Name, arn=arn, account=call.account, home_region=call.region, created=call.now, **{"bucket": "", **settings}
    )
    _check(trail)
    with call.tools.read() as snapshot:
        _check_room(store.of_account(snapshot, call.account), trail)
    admission.check_bucket_policy(call, arn, trail.bucket, trail.prefix, trail.log_file_validation)
    return Creation(trail, tagged, keys.prepare(call, call.region))


def apply_create(tx: Tx, call: Call, plan: Creation) -> Output:
    """CreateTrail."""
    store.take_turn(tx, call.account)
    _check_room(store.of_account(tx, call.account), plan.trail)
    store.put(tx, plan.trail)
    trail_tags.put(tx, plan.trail.arn, plan.tags)
    if plan.key is not None:
        keys.keep(tx, plan.key, call.now)
    return shown(plan.trail)


def prepare_update(call: Call, input: Any) -> Update:
    """UpdateTrail: checks the changed trail as CreateTrail would; an empty key prefix removes the prefix."""
    settings = _settings(input)
    with call.tools.read() as snapshot:
        trail = at_home(snapshot, call, input.Name)
    call.touch(names.TYPE, trail.arn)
    changed = msgspec.structs.replace(trail, **settings)
    _check(changed)
    admission.check_bucket_policy(call, trail.arn, changed.bucket, changed.prefix, changed.log_file_validation)
    return Update(trail.arn, settings, changed)


def apply_update(tx: Tx, call: Call, plan: Update) -> Output:
    """UpdateTrail. ConflictException when the trail changed since its bucket was checked."""
    store.take_turn(tx, call.account)
    changed = msgspec.structs.replace(at_home(tx, call, plan.arn), **plan.settings)
    if _destination(changed) != _destination(plan.checked):
        raise ServiceError("ConflictException", "The trail {arn} was changed by another call meanwhile; try again.", arn=plan.arn)
    _check(changed)
    _check_room([trail for trail in store.of_account(tx, call.account) if trail.arn != plan.arn], changed)
    store.put(tx, changed)
    return shown(changed)


def prepare_delete(call: Call, input: Any) -> str:
    """DeleteTrail: the trail ends; what it has delivered stays in the bucket."""
    call.touch(names.TYPE, names.resolve(call, input.Name))
    return str(input.Name)


def apply_delete(tx: Tx, call: Call, given: str) -> Output:
    """DeleteTrail."""
    store.take_turn(tx, call.account)
    store.delete(tx, msgspec.structs.replace(at_home(tx, call, given), logging=False))
    return {}


def get_trail(snapshot: Snapshot, call: Call, input: Any) -> Output:
    """GetTrail: the settings of one trail."""
    return {"Trail": described(existing(snapshot, call, input.Name))}


def describe_trails(snapshot: Snapshot, call: Call, input: Any) -> Output:
    """DescribeTrails: the trails of this region, and unless told otherwise the multi-region trails of others.

    Trails may be named: by name those of this region only, by ARN those of others too; what does not exist is left out.
    """
    shadows = input.includeShadowTrails is not False
    wanted = {names.resolve(call, given) for given in input.trailNameList or () if not _foreign(call, given)}
    found = [
        trail
        for trail in store.of_account(snapshot, call.account)
        if (shadows or trail.home_region == call.region)
        and (trail.arn in wanted if input.trailNameList else trail.home_region == call.region or trail.multi_region)
    ]
    return {"trailList": [described(trail) for trail in found]}


def _foreign(call: Call, given: str) -> bool:
    parts = arns.parse(given)
    return parts is not None and parts.account != call.account


def list_trails(snapshot: Snapshot, call: Call, input: Any) -> Output:
    """ListTrails: names, ARNs and home regions of every trail of the account, whatever the region."""
    place = ("", "")
    if input.NextToken:
        try:
            place = paging.redeem(call.tools.sealer, "ListTrails", call.account, input.NextToken, tuple[str, str])
        except paging.BadToken:
            raise ServiceError("InvalidNextTokenException", "The token is not valid.") from None
    rest = [trail for trail in store.of_account(snapshot, call.account) if (trail.name, trail.home_region) > place]
    page = rest[:PAGE]
    output: dict[str, Any] = {"Trails": [{"TrailARN": trail.arn, "Name": trail.name, "HomeRegion": trail.home_region} for trail in page]}
    if len(rest) > PAGE:
        last = (page[-1].name, page[-1].home_region)
        output["NextToken"] = paging.issue(call.tools.sealer, "ListTrails", call.account, last)
    return output


def existing(snapshot: Snapshot, call: Call, given: str) -> TrailConfiguration:
    """The trail that a call names, for reading. Raises what `names.resolve` raises, and TrailNotFoundException."""
    arn = names.resolve(call, given)
    call.touch(names.TYPE, arn)
    trail = store.find(snapshot, arn)
    if trail is None:
        raise names.unknown(call, given)
    return trail


def at_home(snapshot: Snapshot, call: Call, given: str) -> TrailConfiguration:
    """The trail that a call names, for changing it: only in its home region. Raises also InvalidHomeRegionException."""
    arn = names.resolve(call, given)
    trail = store.find(snapshot, arn)
    if trail is None and not given.startswith("arn:"):
        trail = next((t for t in store.of_account(snapshot, call.account) if t.name == given and t.multi_region), None)
    if trail is None:
        raise names.unknown(call, given)
    if trail.home_region != call.region:
        raise ServiceError(
            "InvalidHomeRegionException",
            "Trail {arn} can be changed in its home region {home} only; this call was made in {region}.",
            arn=trail.arn,
            home=trail.home_region,
            region=call.region,
        )
    return trail


def shown(trail: TrailConfiguration) -> dict[str, Any]:
    """The trail as CreateTrail and UpdateTrail answer it."""
    output: dict[str, Any] = {
        "Name": trail.name,
        "S3BucketName": trail.bucket,
        "IncludeGlobalServiceEvents": trail.global_events,
        "IsMultiRegionTrail": trail.multi_region,
        "TrailARN": trail.arn,
        "LogFileValidationEnabled": trail.log_file_validation,
        "IsOrganizationTrail": False,
        "RecursiveLogging": False,
    }
    if trail.prefix:
        output["S3KeyPrefix"] = trail.prefix
    return output


def described(trail: TrailConfiguration) -> dict[str, Any]:
    """The trail as GetTrail and DescribeTrails answer it."""
    return shown(trail) | {
        "HomeRegion": trail.home_region,
        "HasCustomEventSelectors": trail.custom_selectors,
        "HasInsightSelectors": False,
    }


def _settings(input: Any) -> dict[str, Any]:
    """The settings that an input gives, by their names in TrailConfiguration. Refuses what is not offered."""
    for member in _NOT_OFFERED:
        if getattr(input, member):
            raise ServiceError("UnsupportedOperationException", "{member} is not offered by this server.", member=member)
    return {name: value for member, name in _SETTINGS.items() if (value := getattr(input, member)) is not None}


def _check(trail: TrailConfiguration) -> None:
    names.check_bucket(trail.bucket)
    names.check_prefix(trail.prefix)
    if trail.multi_region and not trail.global_events:
        raise ServiceError("InvalidParameterCombinationException", "Multi-Region trail must include global service events.")


def _check_room(others: list[TrailConfiguration], trail: TrailConfiguration) -> None:
    """Whether the name is free and the quota kept in every region that the trail covers."""
    if any(
        other.name == trail.name and (other.home_region == trail.home_region or other.multi_region or trail.multi_region)
        for other in others
    ):
        raise ServiceError(
            "TrailAlreadyExistsException", "Trail {name} already exists for customer: {account}", name=trail.name, account=trail.account
        )
    regions = {trail.home_region} | ({other.home_region for other in others} if trail.multi_region else set())
    for region in sorted(regions):
        if sum(other.home_region == region or other.multi_region for other in others) >= QUOTA:
            raise ServiceError(
                "MaximumNumberOfTrailsExceededException",
                "User: {account} already has {quota} trails in {region}.",
                account=trail.account,
                quota=QUOTA,
                region=region,
            )


def _destination(trail: TrailConfiguration) -> tuple[str, str, bool]:
    return trail.bucket, trail.prefix, trail.log_file_validation
