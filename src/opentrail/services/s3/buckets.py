"""Buckets: CreateBucket, HeadBucket, DeleteBucket, ListBuckets, GetBucketLocation, GetBucketAcl, bucket tags."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import ConditionKeys, Input, Operation, Output, Right, right
from opentrail.calls.tagging import of_request
from opentrail.kernel import paging
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.settings import REGION
from opentrail.services.s3 import checksums, errors, members, names, store
from opentrail.store.sql import Conflict, Snapshot, Tx

CREATE = members.COMMON | {"ACL", "CreateBucketConfiguration", "ObjectOwnership", "BucketNamespace", "ObjectLockEnabledForBucket"}
LIST = frozenset({"MaxBuckets", "ContinuationToken", "Prefix", "BucketRegion"})
PUT_TAGS = members.COMMON | {"Tagging", "ContentMD5", "ChecksumAlgorithm"}
MOST_BUCKETS = 10_000
MOST_TAGS = 50


def create_rights(call: Call, input: Input) -> Sequence[Right]:
    """s3:CreateBucket with the headers that policies compare."""
    asked = {"s3:x-amz-acl": input.ACL, "s3:locationconstraint": _constraint(input) or None}
    keys = {name: value for name, value in asked.items() if value is not None}
    return (Right("s3:CreateBucket", names.arn_of_bucket(call, input), keys, new=True),)


def prepare_create(call: Call, input: Input) -> Input:
    """Creates a bucket whose name no account uses yet (CreateBucket)."""
    members.only(input, CREATE)
    names.check_bucket_name(input.Bucket)
    _check_offered(input)
    _check_location(_constraint(input), call.region)
    return input


def apply_create(tx: Tx, call: Call, input: Input) -> Output:
    """CreateBucket's second half: the name is judged against what is there now."""
    standing = store.find_bucket(tx, input.Bucket)
    if standing is None or standing.account == call.account:  # the name of another's is not to be the caller's in the record
        names.touch(call, names.BUCKET_TYPE, names.bucket_arn(input.Bucket), call.account)
    if standing is None:
        values = {"name": input.Bucket, "account": call.account, "location": _constraint(input), "created": int(call.now)}
        try:
            tx.run(store.NEW_BUCKET, **values)
        except Conflict:
            raise errors.operation_aborted() from None
        return {"Location": f"/{input.Bucket}", "BucketArn": names.bucket_arn(input.Bucket)}
    if standing.account == call.account:
        text = "Your previous request to create the named bucket succeeded and you already own it."
        raise _named(ServiceError("BucketAlreadyOwnedByYou", text, status=409), input.Bucket)
    text = (
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system."
        " Please select a different name and try again."
    )
    raise _named(ServiceError("BucketAlreadyExists", text, status=409), input.Bucket)


def head(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Says whether a bucket exists and where (HeadBucket)."""
    members.only(input, members.COMMON)
    bucket = names.known_bucket(snapshot, call, input)
    return {
        "BucketArn": names.bucket_arn(bucket.name),
        "BucketRegion": names.region_of(bucket.location),
        "AccessPointAlias": False,
    }


def prepare_on_bucket(call: Call, input: Input) -> Input:
    """The first half of what has nothing to prepare but the record's resource."""
    members.only(input, members.COMMON)
    with call.tools.read() as snapshot:
        names.known_bucket(snapshot, call, input)
    return input


def apply_delete(tx: Tx, call: Call, input: Input) -> Output:
    """Removes an empty bucket (DeleteBucket); uploads in progress end with it."""
    bucket = names.known_bucket(tx, call, input)
    if tx.one(store.ANY_OBJECT, bucket=bucket.name):
        raise _named(ServiceError("BucketNotEmpty", "The bucket you tried to delete is not empty", status=409), bucket.name)
    store.drop_uploads(tx, bucket.name, int(call.now))
    tx.run(store.DROP_BUCKET, name=bucket.name)
    return {}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Lists the account's buckets by name (ListBuckets)."""
    members.only(input, LIST)
    prefix, region = input.Prefix or "", input.BucketRegion or ""
    if not (prefix + region).isascii() or "\0" in prefix + region:
        return {"Buckets": [], "Owner": names.owner(call.account)}
    most = members.count(input.MaxBuckets, "max-buckets", MOST_BUCKETS)
    bound = (call.account, prefix, region)
    begin = _redeem(call, bound, input.ContinuationToken)
    location = "" if region == "us-east-1" else region
    rows = snapshot.all(
        store.BUCKETS,
        account=call.account,
        after=begin,
        low=prefix,
        high=prefix + "~",
        region=location if region else "*",
        alias="EU" if region == "eu-west-1" else location,
        count=most + 1,
    )
    output: dict[str, Any] = {"Buckets": [_entry(store.Bucket(*row)) for row in rows[:most]], "Owner": names.owner(call.account)}
    if len(rows) > most > 0:
        output["ContinuationToken"] = paging.issue(call.tools.sealer, "ListBuckets", bound, rows[most - 1][0])
    if input.Prefix is not None:
        output["Prefix"] = input.Prefix
    return output


def location(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Gives a bucket's location constraint, which is empty for us-east-1 (GetBucketLocation)."""
    members.only(input, members.COMMON)
    return {"LocationConstraint": names.known_bucket(snapshot, call, input).location}


def acl(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Gives a bucket's grants: full control for its owner and nobody else (GetBucketAcl)."""
    members.only(input, members.COMMON)
    owner = names.owner(names.known_bucket(snapshot, call, input).account)
    return {"Owner": owner, "Grants": [{"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}


def get_tags(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Gives a bucket's tags (GetBucketTagging)."""
    members.only(input, members.COMMON)
    bucket = names.known_bucket(snapshot, call, input)
    if bucket.tags is None:
        raise _named(ServiceError("NoSuchTagSet", "The TagSet does not exist", status=404), bucket.name)
    return {"TagSet": [{"Key": key, "Value": value} for key, value in json.loads(bucket.tags)]}


def tags_of(snapshot: Snapshot, resource: str, account: str) -> Sequence[tuple[str, str]]:
    """The tags of the bucket that an ARN of a bucket or an object names, whoever owns it. See Service.resource_tags."""
    bucket = store.find_bucket(snapshot, resource.partition(":::")[2].partition("/")[0])
    return [(key, value) for key, value in json.loads(bucket.tags)] if bucket is not None and bucket.tags is not None else ()


def _tag_keys(input: Input) -> ConditionKeys:
    return of_request((tag.Key, tag.Value) for tag in input.Tagging.TagSet)


def prepare_put_tags(call: Call, input: Input) -> Input:
    """Replaces a bucket's tags (PutBucketTagging)."""
    members.only(input, PUT_TAGS)
    checksums.check_whole(call)
    _check_tags([(tag.Key, tag.Value) for tag in input.Tagging.TagSet])
    with call.tools.read() as snapshot:
        names.known_bucket(snapshot, call, input)
    return input


def apply_put_tags(tx: Tx, call: Call, input: Input) -> Output:
    """PutBucketTagging's second half."""
    bucket = names.known_bucket(tx, call, input)
    tags = [(tag.Key, tag.Value) for tag in input.Tagging.TagSet]
    tx.run(store.SET_TAGS, name=bucket.name, tags=json.dumps(tags))
    return {}


def apply_delete_tags(tx: Tx, call: Call, input: Input) -> Output:
    """Removes a bucket's tags (DeleteBucketTagging)."""
    bucket = names.known_bucket(tx, call, input)
    tx.run(store.SET_TAGS, name=bucket.name, tags=None)
    return {}


def _constraint(input: Input) -> str:
    configuration = input.CreateBucketConfiguration
    return (configuration.LocationConstraint if configuration else None) or ""


def _check_offered(input: Input) -> None:
    if input.CreateBucketConfiguration is not None:
        members.only(input.CreateBucketConfiguration, frozenset({"LocationConstraint"}))
    if input.ACL not in (None, "private"):
        text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        raise ServiceError("InvalidBucketAclWithObjectOwnership", text)
    if input.ObjectOwnership not in (None, "BucketOwnerEnforced"):
        raise errors.not_implemented("ObjectOwnership")
    if input.BucketNamespace not in (None, "global"):
        raise errors.not_implemented("BucketNamespace")
    if input.ObjectLockEnabledForBucket:
        raise errors.not_implemented("ObjectLockEnabledForBucket")


def _check_location(constraint: str, region: str) -> None:
    """Source: CreateBucket; at the endpoint of us-east-1 any constraint goes, elsewhere only the endpoint's own region."""
    if constraint == "us-east-1" or (constraint not in ("", "EU") and not re.match(REGION, constraint)):
        raise ServiceError("InvalidLocationConstraint", "The specified location-constraint is not valid")
    if region != "us-east-1" and names.region_of(constraint) != region:
        raise ServiceError(
            "IllegalLocationConstraintException",
            "The {asked} location constraint is incompatible for the region specific endpoint this request was sent to.",
            asked=constraint or "unspecified",
        )


def _check_tags(tags: Sequence[tuple[str, str]]) -> None:
    if len(tags) > MOST_TAGS:
        raise ServiceError("BadRequest", "Bucket tag count cannot be greater than 50")
    if len({key.lower() for key, _ in tags}) != len(tags):  # policies could not tell apart those that differ in case alone
        raise ServiceError("InvalidTag", "Cannot provide multiple Tags with the same key")
    for key, value in tags:
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise ServiceError("InvalidTag", "A TagKey has 1 to 128 characters and a TagValue at most 256")
        if key.lower().startswith("aws:"):
            raise ServiceError("InvalidTag", "System tags cannot be added/updated by requester")
        if "\0" in key + value:
            raise ServiceError("InvalidTag", "A tag holds a character that is not allowed")


def _redeem(call: Call, bound: object, token: str | None) -> str:
    if token is None:
        return ""
    try:
        return paging.redeem(call.tools.sealer, "ListBuckets", bound, token, str)
    except paging.BadToken:
        raise errors.invalid_argument("The continuation token provided is incorrect", "continuation-token") from None


def _entry(bucket: store.Bucket) -> dict[str, Any]:
    return {"Name": bucket.name, "CreationDate": bucket.created, "BucketRegion": names.region_of(bucket.location)}


def _named(error: ServiceError, bucket: str) -> ServiceError:
    error.members = {"BucketName": bucket}
    return error


OPERATIONS = (
    Operation("CreateBucket", create_rights, prepare=prepare_create, apply=apply_create),
    Operation("HeadBucket", right("s3:ListBucket", names.arn_of_bucket), read=head, point=True),
    Operation("DeleteBucket", right("s3:DeleteBucket", names.arn_of_bucket), prepare=prepare_on_bucket, apply=apply_delete),
    Operation("ListBuckets", right("s3:ListAllMyBuckets"), read=list_all),
    Operation("GetBucketLocation", right("s3:GetBucketLocation", names.arn_of_bucket), read=location, point=True),
    Operation("GetBucketAcl", right("s3:GetBucketAcl", names.arn_of_bucket), read=acl, point=True),
    Operation("GetBucketTagging", right("s3:GetBucketTagging", names.arn_of_bucket), read=get_tags, point=True),
    Operation(
        "PutBucketTagging",
        right("s3:PutBucketTagging", names.arn_of_bucket, _tag_keys),
        prepare=prepare_put_tags,
        apply=apply_put_tags,
    ),
    Operation("DeleteBucketTagging", right("s3:PutBucketTagging", names.arn_of_bucket), prepare=prepare_on_bucket, apply=apply_delete_tags),
)
