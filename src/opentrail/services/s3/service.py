"""The door of S3: the hosted buckets' operations, in the order in which a reader would look for them."""

from __future__ import annotations

from opentrail.calls.operation import Service
from opentrail.services.s3 import bucket_policies, buckets, completion, copies, listing, names, objects, uploads
from opentrail.services.s3.audit import AUDIT


def service(check_policy: bucket_policies.CheckPolicy) -> Service:
    """The service; `check_policy` raises ServiceError for a policy document that the evaluation would not understand."""
    offered = (
        *buckets.OPERATIONS,
        *bucket_policies.operations(check_policy),
        *objects.OPERATIONS,
        *copies.OPERATIONS,
        *listing.OPERATIONS,
        *uploads.OPERATIONS,
        *completion.OPERATIONS,
    )
    return Service(
        name="s3",
        operations={operation.name: operation for operation in offered},
        audit=AUDIT,
        event_source="s3.amazonaws.com",
        signing_names=("s3",),
        action_prefix="s3",
        resource_policy=bucket_policies.find,
        policy_holder=bucket_policies.holder,
        named=names.named,
        resource_tags=buckets.tags_of,
        invalid_code="InvalidArgument",
        denied_code="AccessDenied",
    )
