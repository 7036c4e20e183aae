"""What records keep of each operation: names, keys, and how a call was shaped; never bodies, metadata or secrets.

Record names are those of S3's own records: query parameters and headers as they travel.
"""

from __future__ import annotations

from collections.abc import Mapping

from opentrail.calls.operation import NOTHING, Audit

_NAMES = {
    "Bucket": "bucketName",
    "ACL": "x-amz-acl",
    "StorageClass": "x-amz-storage-class",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "GrantFullControl": "x-amz-grant-full-control",
    "GrantRead": "x-amz-grant-read",
    "GrantReadACP": "x-amz-grant-read-acp",
    "GrantWrite": "x-amz-grant-write",
    "GrantWriteACP": "x-amz-grant-write-acp",
    "ExpectedBucketOwner": "x-amz-expected-bucket-owner",
    "ExpectedSourceBucketOwner": "x-amz-source-expected-bucket-owner",
    "ObjectOwnership": "x-amz-object-ownership",
    "ObjectLockEnabledForBucket": "x-amz-bucket-object-lock-enabled",
    "CreateBucketConfiguration": "CreateBucketConfiguration",
    "Policy": "bucketPolicy",
    "CopySource": "x-amz-copy-source",
    "CopySourceRange": "x-amz-copy-source-range",
    "MetadataDirective": "x-amz-metadata-directive",
    "Range": "Range",
    "MaxKeys": "max-keys",
    "MaxParts": "max-parts",
    "MaxUploads": "max-uploads",
    "MaxBuckets": "max-buckets",
    "BucketRegion": "bucket-region",
    "EncodingType": "encoding-type",
    "StartAfter": "start-after",
    "ContinuationToken": "continuation-token",
    "FetchOwner": "fetch-owner",
    "KeyMarker": "key-marker",
    "UploadIdMarker": "upload-id-marker",
    "PartNumberMarker": "part-number-marker",
}

_BUCKET = ("Bucket", "ExpectedBucketOwner")
_OBJECT = (*_BUCKET, "Key")
_ON_UPLOAD = (*_OBJECT, "UploadId")
_GRANTS = ("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP")
_WRITTEN = (*_OBJECT, *_GRANTS, "StorageClass", "ServerSideEncryption", "SSEKMSKeyId")

_ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128")
_CHECKSUMS = tuple(f"Checksum{name}" for name in _ALGORITHMS)
_CHECKED_BODY = ("ContentMD5", "ChecksumAlgorithm")
_HEADERS = (
    *("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires", "Metadata{}"),
    *("WebsiteRedirectLocation", "Tagging"),
)
_CUSTOMER_KEY = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")
_SOURCE_KEY = tuple(f"CopySource{name}" for name in _CUSTOMER_KEY)
_KMS = ("SSEKMSEncryptionContext", "BucketKeyEnabled")
_LOCK = tuple(
    f"ObjectLock{name}"
    for name in ("Mode", "RetainUntilDate", "LegalHoldStatus", "EventHold", "EventHoldDurationDays", "EventHoldDurationYears")
)
_IF = ("IfMatch", "IfNoneMatch")
_IF_TIME = ("IfModifiedSince", "IfUnmodifiedSince")
_SOURCE_IF = tuple(f"CopySource{name}" for name in (*_IF, *_IF_TIME))
_WRITE_REST = (*_HEADERS, *_CUSTOMER_KEY, *_KMS, *_LOCK, "RequestPayer")
_READ_REST = (
    *(*_IF, *_IF_TIME, *_CUSTOMER_KEY, "RequestPayer", "ChecksumMode"),
    *(f"Response{name}" for name in ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")),
)
_LIST = (*_BUCKET, "Prefix", "Delimiter", "EncodingType")


def _audit(keep: tuple[str, ...], drop: tuple[str, ...] = ()) -> Audit:
    """Keeps those members, under S3's names, and no response: S3's records show headers of answers at most."""
    tops = {name.partition(".")[0] for name in keep}
    rename = {top: _NAMES[top] for top in sorted(tops) if top in _NAMES}
    return Audit(keep=keep, drop=drop, drop_output=("*",), rename=rename)


_OFFERED: Mapping[str, Audit] = {
    "CreateBucket": _audit(
        (
            *(*_BUCKET[:1], *_GRANTS, "GrantWrite", "ObjectOwnership", "ObjectLockEnabledForBucket", "BucketNamespace"),
            "CreateBucketConfiguration.LocationConstraint",
        ),
        tuple(
            f"CreateBucketConfiguration.{name}"
            for name in ("Location.Type", "Location.Name", "Bucket.DataRedundancy", "Bucket.Type", "Tags[].Key", "Tags[].Value")
        ),
    ),
    "HeadBucket": _audit(_BUCKET),
    "DeleteBucket": _audit(_BUCKET),
    "ListBuckets": _audit(("MaxBuckets", "Prefix", "BucketRegion"), ("ContinuationToken",)),
    "GetBucketLocation": _audit(_BUCKET),
    "GetBucketAcl": _audit(_BUCKET),
    "GetBucketTagging": _audit(_BUCKET),
    "PutBucketTagging": _audit((*_BUCKET, "Tagging.TagSet[].Key", "Tagging.TagSet[].Value"), _CHECKED_BODY),
    "DeleteBucketTagging": _audit(_BUCKET),
    "PutBucketPolicy": _audit((*_BUCKET, "Policy", "ConfirmRemoveSelfBucketAccess"), _CHECKED_BODY),
    "GetBucketPolicy": _audit(_BUCKET),
    "DeleteBucketPolicy": _audit(_BUCKET),
    "GetBucketPolicyStatus": _audit(_BUCKET),
    "PutObject": _audit(_WRITTEN, (*_WRITE_REST, *_CHECKSUMS, *_CHECKED_BODY, *_IF, "Body", "ContentLength", "WriteOffsetBytes")),
    "GetObject": _audit((*_OBJECT, "Range", "VersionId", "PartNumber"), _READ_REST),
    "HeadObject": _audit((*_OBJECT, "Range", "VersionId", "PartNumber"), _READ_REST),
    "DeleteObject": _audit(
        (*_OBJECT, "VersionId"),
        ("MFA", "RequestPayer", "BypassGovernanceRetention", "IfMatch", "IfMatchLastModifiedTime", "IfMatchSize"),
    ),
    "DeleteObjects": _audit(
        _BUCKET,
        (
            *("MFA", "RequestPayer", "BypassGovernanceRetention", "ChecksumAlgorithm", "Delete.Quiet"),
            *(f"Delete.Objects[].{name}" for name in ("Key", "VersionId", "ETag", "LastModifiedTime", "Size")),
        ),
    ),
    "CopyObject": _audit(
        (*_WRITTEN, "CopySource", "MetadataDirective", "ExpectedSourceBucketOwner"),
        (*_WRITE_REST, *_SOURCE_KEY, *_SOURCE_IF, *_IF, "TaggingDirective", "AnnotationDirective", "ChecksumAlgorithm"),
    ),
    "ListObjects": _audit((*_LIST, "Marker", "MaxKeys"), ("RequestPayer", "OptionalObjectAttributes[]")),
    "ListObjectsV2": _audit(
        (*_LIST, "StartAfter", "MaxKeys", "FetchOwner"), ("ContinuationToken", "RequestPayer", "OptionalObjectAttributes[]")
    ),
    "CreateMultipartUpload": _audit((*_WRITTEN, "ChecksumAlgorithm", "ChecksumType"), _WRITE_REST),
    "UploadPart": _audit(
        (*_ON_UPLOAD, "PartNumber"), ("Body", "ContentLength", "RequestPayer", *_CHECKSUMS, *_CHECKED_BODY, *_CUSTOMER_KEY)
    ),
    "UploadPartCopy": _audit(
        (*_ON_UPLOAD, "PartNumber", "CopySource", "CopySourceRange", "ExpectedSourceBucketOwner"),
        (*_SOURCE_IF, *_CUSTOMER_KEY, *_SOURCE_KEY, "RequestPayer"),
    ),
    "CompleteMultipartUpload": _audit(
        _ON_UPLOAD,
        (
            *(*_CHECKSUMS, "ChecksumType", "MpuObjectSize", "RequestPayer", *_IF, *_CUSTOMER_KEY),
            *(f"MultipartUpload.Parts[].{name}" for name in ("ETag", "PartNumber", *_CHECKSUMS)),
        ),
    ),
    "AbortMultipartUpload": _audit(_ON_UPLOAD, ("RequestPayer", "IfMatchInitiatedTime")),
    "ListParts": _audit((*_ON_UPLOAD, "MaxParts", "PartNumberMarker"), ("RequestPayer", *_CUSTOMER_KEY)),
    "ListMultipartUploads": _audit((*_LIST, "KeyMarker", "MaxUploads", "UploadIdMarker"), ("RequestPayer",)),
}

_NOT_OFFERED = (
    *("CreateBucketMetadataConfiguration", "CreateBucketMetadataTableConfiguration", "CreateSession"),
    *("DeleteBucketAnalyticsConfiguration", "DeleteBucketCors", "DeleteBucketEncryption"),
    *("DeleteBucketIntelligentTieringConfiguration", "DeleteBucketInventoryConfiguration", "DeleteBucketLifecycle"),
    *("DeleteBucketMetadataConfiguration", "DeleteBucketMetadataTableConfiguration", "DeleteBucketMetricsConfiguration"),
    *("DeleteBucketOwnershipControls", "DeleteBucketReplication", "DeleteBucketWebsite", "DeleteObjectAnnotation"),
    *("DeleteObjectTagging", "DeletePublicAccessBlock", "GetBucketAbac", "GetBucketAccelerateConfiguration"),
    *("GetBucketAnalyticsConfiguration", "GetBucketCors", "GetBucketEncryption", "GetBucketIntelligentTieringConfiguration"),
    *("GetBucketInventoryConfiguration", "GetBucketLifecycle", "GetBucketLifecycleConfiguration", "GetBucketLogging"),
    *("GetBucketMetadataConfiguration", "GetBucketMetadataTableConfiguration", "GetBucketMetricsConfiguration"),
    *("GetBucketNotification", "GetBucketNotificationConfiguration", "GetBucketOwnershipControls", "GetBucketReplication"),
    *("GetBucketRequestPayment", "GetBucketVersioning", "GetBucketWebsite", "GetObjectAcl", "GetObjectAnnotation"),
    *("GetObjectAttributes", "GetObjectLegalHold", "GetObjectLockConfiguration", "GetObjectRetention", "GetObjectTagging"),
    *("GetObjectTorrent", "GetPublicAccessBlock", "ListBucketAnalyticsConfigurations"),
    *("ListBucketIntelligentTieringConfigurations", "ListBucketInventoryConfigurations", "ListBucketMetricsConfigurations"),
    *("ListDirectoryBuckets", "ListObjectAnnotations", "ListObjectVersions", "PutBucketAbac"),
    *("PutBucketAccelerateConfiguration", "PutBucketAcl", "PutBucketAnalyticsConfiguration", "PutBucketCors"),
    *("PutBucketEncryption", "PutBucketIntelligentTieringConfiguration", "PutBucketInventoryConfiguration"),
    *("PutBucketLifecycle", "PutBucketLifecycleConfiguration", "PutBucketLogging", "PutBucketMetricsConfiguration"),
    *("PutBucketNotification", "PutBucketNotificationConfiguration", "PutBucketOwnershipControls", "PutBucketReplication"),
    *("PutBucketRequestPayment", "PutBucketVersioning", "PutBucketWebsite", "PutObjectAcl", "PutObjectAnnotation"),
    *("PutObjectLegalHold", "PutObjectLockConfiguration", "PutObjectRetention", "PutObjectTagging", "PutPublicAccessBlock"),
    *("RenameObject", "RestoreObject", "SelectObjectContent", "UpdateBucketMetadataAnnotationTableConfiguration"),
    *("UpdateBucketMetadataInventoryTableConfiguration", "UpdateBucketMetadataJournalTableConfiguration"),
    *("UpdateObjectEncryption", "WriteGetObjectResponse"),
)

AUDIT: Mapping[str, Audit] = {**_OFFERED, **dict.fromkeys(_NOT_OFFERED, NOTHING)}
"""An entry for each operation of the model, offered or not."""
