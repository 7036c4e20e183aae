"""S3's errors, with the statuses and wording of its error table.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. Bucket names and keys are identifiers, not content.
"""

from __future__ import annotations

from opentrail.kernel.errors import ServiceError


def _error(code: str, status: int, text: str, /, **members: object) -> ServiceError:
    """An error whose further members also stand in S3's error document."""
    error = ServiceError(code, text, status=status)
    error.members = members
    return error


def no_such_bucket(name: str) -> ServiceError:
    """NoSuchBucket, 404."""
    return _error("NoSuchBucket", 404, "The specified bucket does not exist", BucketName=name)


def no_such_key(key: str) -> ServiceError:
    """NoSuchKey, 404."""
    return _error("NoSuchKey", 404, "The specified key does not exist.", Key=key)


def no_such_version() -> ServiceError:
    """NoSuchVersion, 404."""
    return _error("NoSuchVersion", 404, "The specified version does not exist.")


def no_such_upload(id: str) -> ServiceError:
    """NoSuchUpload, 404."""
    text = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    return _error("NoSuchUpload", 404, text, UploadId=id)


def access_denied() -> ServiceError:
    """AccessDenied, 403."""
    return _error("AccessDenied", 403, "Access Denied")


def not_the_owner() -> ServiceError:
    """MethodNotAllowed, 405: what only the owner's account may do, whoever else is allowed to."""
    return _error("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")


def precondition_failed(condition: str) -> ServiceError:
    """PreconditionFailed, 412."""
    return _error("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold", Condition=condition)


def not_modified(etag: str) -> ServiceError:
    """The answer to a conditional read of something unchanged; it has no body."""
    return _error("NotModified", 304, "Not Modified", ETag=f'"{etag}"')


def invalid_range(asked: str, size: int) -> ServiceError:
    """InvalidRange, 416."""
    return _error("InvalidRange", 416, "The requested range is not satisfiable", RangeRequested=asked, ActualObjectSize=size)


def invalid_argument(rule: str, name: str) -> ServiceError:
    """InvalidArgument, 400, naming the argument."""
    error = ServiceError("InvalidArgument", rule)
    error.members = {"ArgumentName": name}
    return error


def invalid_request(text: str) -> ServiceError:
    """InvalidRequest, 400, with the rule that is broken."""
    return ServiceError("InvalidRequest", text)


def malformed_xml() -> ServiceError:
    """MalformedXML, 400."""
    return ServiceError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")


def not_implemented(member: str) -> ServiceError:
    """A member that is not offered: refused by name, never stored and ignored."""
    text = "A header you provided implies functionality that is not implemented: {member}"
    return ServiceError("NotImplemented", text, status=501, member=member)


def too_large(limit: int) -> ServiceError:
    """EntityTooLarge, 400."""
    return _error("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size", MaxSizeAllowed=limit)


def operation_aborted() -> ServiceError:
    """OperationAborted, 409."""
    text = "A conflicting conditional operation is currently in progress against this resource. Please try again."
    return _error("OperationAborted", 409, text)
