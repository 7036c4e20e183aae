"""Whether a bucket lets CloudTrail deliver: asked before a trail is made or changed, as CloudTrail itself would deliver later.

Rules: CloudTrail user guide, "Amazon S3 bucket policy for CloudTrail". The caller learns that the policy is wrong, in AWS's
words; which check failed is in the server's log.
"""

from __future__ import annotations

import logging

from opentrail.calls.call import Call
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import service_principal

PRINCIPAL = "cloudtrail.amazonaws.com"
ACL = "bucket-owner-full-control"
"""The canned ACL of everything CloudTrail puts, which bucket policies demand by s3:x-amz-acl."""

_log = logging.getLogger(__name__)


def folder(prefix: str, account: str, family: str = "CloudTrail") -> str:
    """The beginning of every key of a trail's files, ending in a slash."""
    return f"{prefix}/AWSLogs/{account}/{family}/" if prefix else f"AWSLogs/{account}/{family}/"


def check_bucket_policy(call: Call, trail_arn: str, bucket: str, prefix: str, validation: bool) -> None:
    """Reads the bucket's ACL and puts the empty marker objects as CloudTrail, for the trail.

    Raises S3BucketDoesNotExistException and InsufficientS3BucketPolicyException. Never called inside `apply`.
    """
    _ask(call, trail_arn, bucket, "GetBucketAcl", {"Bucket": bucket})
    for family in ("CloudTrail", "CloudTrail-Digest") if validation else ("CloudTrail",):
        marker = {
            "Bucket": bucket,
            "Key": folder(prefix, call.account, family),
            "ACL": ACL,
            "ContentType": "application/json",
            "ContentEncoding": "gzip",
        }
        _ask(call, trail_arn, bucket, "PutObject", marker)


def _ask(call: Call, trail_arn: str, bucket: str, operation: str, input: dict[str, str]) -> None:
    principal = service_principal(PRINCIPAL, call.account, trail_arn)
    try:
        call.tools.calls.make(principal, call.region, "s3", operation, input)
    except ServiceError as error:
        if error.status >= 500:
            raise
        _log.warning(
            "trail %s: bucket %s: check s3:%s on %s failed with %s",
            trail_arn,
            bucket,
            operation,
            input.get("Key", "the bucket"),
            error.code,
        )
        if error.code == "NoSuchBucket":
            raise ServiceError("S3BucketDoesNotExistException", "S3 bucket {name} does not exist!", name=bucket) from error
        raise ServiceError(
            "InsufficientS3BucketPolicyException", "Incorrect S3 bucket policy is detected for bucket: {name}", name=bucket
        ) from error
