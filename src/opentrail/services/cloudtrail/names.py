"""What a trail, its bucket and its key prefix may be called, and how a call names a trail: by name or by ARN."""

from __future__ import annotations

import re

from opentrail.calls.call import Call
from opentrail.calls.operation import Rights, right
from opentrail.kernel import arn
from opentrail.kernel.errors import ServiceError

TYPE = "AWS::CloudTrail::Trail"

_ALLOWED = re.compile(r"[A-Za-z0-9._-]*")
_ADJACENT = re.compile(r"[._-]{2}")
_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = 200


def trail_arn(region: str, account: str, name: str) -> str:
    """The ARN of a trail."""
    return arn.build("cloudtrail", region, account, f"trail/{name}")


def check_name(name: str) -> None:
    """The rules for trail names (CreateTrail, `Name`). Raises InvalidTrailNameException."""
    if fault := _name_fault(name):
        raise ServiceError("InvalidTrailNameException", fault, length=len(name))


def _name_fault(name: str) -> str:
    if len(name) < 3:
        return "Trail name too short. Minimum allowed length: 3 characters. Specified name length: {length} characters."
    if len(name) > 128:
        return "Trail name too long. Maximum allowed length: 128 characters. Specified name length: {length} characters."
    if not _ALLOWED.fullmatch(name):
        return (
            "Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-),"
            " and underscores (_)."
        )
    if not name[0].isalnum():
        return "Trail name must starts with a letter or number."
    if not name[-1].isalnum():
        return "Trail name must ends with a letter or number."
    if _ADJACENT.search(name):
        return "Trail name cannot have adjacent periods (.), hyphens (-), or underscores (_)."
    if _ADDRESS.fullmatch(name):
        return "Trail name cannot be in IP address format."
    return ""


def check_bucket(name: str) -> None:
    """The rules for bucket names. Raises InvalidS3BucketNameException."""
    if not _BUCKET.fullmatch(name) or ".." in name or _ADDRESS.fullmatch(name):
        raise ServiceError(
            "InvalidS3BucketNameException",
            "Bucket name {name} is not valid: 3 to 63 lowercase letters, numbers, periods (.), and hyphens (-), beginning and ending with"
            " a letter or number, without adjacent periods, and not in IP address format.",
            name=name,
        )


def check_prefix(prefix: str) -> None:
    """The rules for key prefixes. Raises InvalidS3PrefixException."""
    if len(prefix) > _PREFIX:
        raise ServiceError("InvalidS3PrefixException", "S3 key prefix too long. Maximum allowed length: 200 characters.")
    if not prefix.isprintable():
        raise ServiceError("InvalidS3PrefixException", "S3 key prefix cannot contain control characters.")


def resolve(call: Call, given: str) -> str:
    """The ARN of the trail that a call names, by ARN or by the name of a trail of the called region.

    Raises CloudTrailARNInvalidException, InvalidTrailNameException, and TrailNotFoundException for another account's.
    """
    if not given.startswith("arn:"):
        check_name(given)
        return trail_arn(call.region, call.account, given)
    parts = arn.parse(given)
    if parts is None or parts.service != "cloudtrail" or not parts.region or not parts.resource.startswith("trail/"):
        raise ServiceError(
            "CloudTrailARNInvalidException",
            "The ARN {arn} is not valid. A trail's has the form arn:aws:cloudtrail:us-east-2:123456789012:trail/MyTrail.",
            arn=given,
        )
    check_name(parts.resource.removeprefix("trail/"))
    if parts.account != call.account:
        raise unknown(call, given)
    return given


def unknown(call: Call, given: str) -> ServiceError:
    """The answer for a trail that does not exist."""
    return ServiceError("TrailNotFoundException", "Unknown trail: {name} for the user: {account}", name=given, account=call.account)


def on_trail(action: str, member: str = "Name") -> Rights:
    """The right to an action on the trail that the input names in `member`."""

    return right(action, lambda call, input: named(call, getattr(input, member)))


def named(call: Call, given: str) -> str:
    """The ARN that a call means by it, good or not: rights are judged before names are."""
    return given if given.startswith("arn:") else trail_arn(call.region, call.account, given)
