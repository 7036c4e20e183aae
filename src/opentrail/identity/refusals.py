"""Why a signature is not accepted, and what each family of protocols calls that.

Sources: IAM "Troubleshoot Signature Version 4 errors", the common errors of IAM and CloudTrail, and S3 "Error responses".
"""

from __future__ import annotations

from typing import Literal

from opentrail.kernel.errors import ServiceError

Reason = Literal[
    "missing", "unsupported", "malformed", "malformed-query", "scope", "stale", "expired-url", "unknown-key", "bad-token", "expired-token",
    "mismatch", "unsigned-headers", "no-payload-hash", "bad-payload-hash", "payload", "chunk", "body", "trailer", "inactive",
]  # fmt: skip
Family = Literal["json", "rest-json", "fhir", "query", "rest-xml"]


class Rejected(Exception):
    """A request that does not prove who sent it. `text` and `arguments` say what is wrong where AWS says so too."""

    def __init__(self, reason: Reason, text: str = "", /, **arguments: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = text
        self.arguments = arguments


_INVALID = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."
    " Consult the service documentation for details."
)
_S3_MISMATCH = "The request signature we calculated does not match the signature you provided. Check your key and signing method."
_SHA = "The provided 'x-amz-content-sha256' header does not match what was computed."
_NO_SHA = "Missing required header for this request: x-amz-content-sha256"
_MECHANISM = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
_STALE = "The difference between the request time and the current time is too large."
_TOKEN = "The provided token is malformed or otherwise invalid."  # noqa: S105

_Codes = dict[Reason, tuple[str, int, str]]


def _common(suffix: str, client: str, signature: str, denied: int, missing: int) -> _Codes:
    """The codes of every family but S3's: names end in `Exception` for JSON, not for Query."""
    incomplete = "IncompleteSignature" + suffix
    text = "The request signature does not conform to AWS standards."
    return {
        "missing": ("MissingAuthenticationToken" + suffix, missing, "Request is missing Authentication Token"),
        "unsupported": (incomplete, 400, _MECHANISM),
        "malformed": (incomplete, 400, text),
        "malformed-query": (incomplete, 400, text),
        "scope": (signature, denied, _MISMATCH),
        "stale": (signature, denied, _MISMATCH),
        "expired-url": (signature, denied, "Signature expired"),
        "unknown-key": (client, denied, _INVALID),
        "inactive": (client, denied, _INVALID),
        "bad-token": (client, denied, _INVALID),
        "expired-token": ("ExpiredToken" + suffix, denied, _EXPIRED),
        "mismatch": (signature, denied, _MISMATCH),
        "unsigned-headers": (signature, denied, "There were headers present in the request which were not signed: {names}"),
        "no-payload-hash": (incomplete, 400, _NO_SHA),
        "bad-payload-hash": (incomplete, 400, _SHA),
        "payload": (signature, denied, _SHA),
        "chunk": (signature, denied, _MISMATCH),
    }


_REST_JSON = _common("Exception", "UnrecognizedClientException", "InvalidSignatureException", 403, 403)
_CODES: dict[Family, _Codes] = {
    "json": _common("Exception", "UnrecognizedClientException", "InvalidSignatureException", 400, 400),
    "rest-json": _REST_JSON,
    "fhir": {**_REST_JSON, "missing": ("MissingAuthenticationTokenException", 401, "Missing Authentication Token")},
    "query": _common("", "InvalidClientTokenId", "SignatureDoesNotMatch", 403, 403),
    "rest-xml": {
        "missing": ("AccessDenied", 403, "Access Denied"),
        "unsupported": ("InvalidRequest", 400, _MECHANISM),
        "malformed": ("AuthorizationHeaderMalformed", 400, "The authorization header you provided is invalid."),
        "malformed-query": ("AuthorizationQueryParametersError", 400, "Query-string authentication parameters are invalid."),
        "scope": ("AuthorizationHeaderMalformed", 400, "The authorization header is malformed."),
        "stale": ("RequestTimeTooSkewed", 403, _STALE),
        "expired-url": ("AccessDenied", 403, "Request has expired"),
        "unknown-key": ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
        "inactive": ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
        "bad-token": ("InvalidToken", 400, _TOKEN),
        "expired-token": ("ExpiredToken", 400, "The provided token has expired."),
        "mismatch": ("SignatureDoesNotMatch", 403, _S3_MISMATCH),
        "unsigned-headers": ("AccessDenied", 403, "There were headers present in the request which were not signed"),
        "no-payload-hash": ("InvalidRequest", 400, _NO_SHA),
        "bad-payload-hash": (
            "InvalidArgument",
            400,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or a valid sha256 value.",
        ),
        "payload": ("XAmzContentSHA256Mismatch", 400, _SHA),
        "chunk": ("SignatureDoesNotMatch", 403, _S3_MISMATCH),
        "body": ("IncompleteBody", 400, "The request body terminated unexpectedly"),
        "trailer": ("MalformedTrailerError", 400, "The trailing headers are malformed."),
    },
}
_OWN_WORDS: frozenset[tuple[Family, Reason]] = frozenset({("rest-xml", "stale")})
"""Where the family's fixed text is used even when the rejection carries a more telling one."""


def refusal(rejected: Rejected, family: Family) -> ServiceError:
    """The rejection as the protocol family's error, with AWS's code, status and wording."""
    code, status, text = _CODES[family][rejected.reason]
    template = text if (family, rejected.reason) in _OWN_WORDS or not rejected.text else rejected.text
    return ServiceError(code, template, status=status, **rejected.arguments)
