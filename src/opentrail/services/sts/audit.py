"""What records keep of STS's calls: who got which credentials, never a secret key, token or assertion.

AWS records the answers of these read-only calls, the session token among them; here the token is dropped.
"""

from __future__ import annotations

from opentrail.calls.operation import NOTHING, Audit

_KEPT = ("Credentials.AccessKeyId", "Credentials.Expiration")
_NEVER = ("Credentials.SecretAccessKey", "Credentials.SessionToken")
_TIMES = ("Credentials.Expiration",)
_SIZES = ("SessionTokenUtilization", "SessionTokenSize")
_TAGS = ("Tags[].Key", "Tags[].Value")

_OFFERED = {
    "GetCallerIdentity": Audit(drop_output=("*",)),
    "AssumeRole": Audit(
        ("RoleArn", "RoleSessionName", "Policy", "DurationSeconds", *_TAGS, "ExternalId", "SourceIdentity", "SerialNumber"),
        (
            "PolicyArns[].arn",
            "TransitiveTagKeys[]",
            "TokenCode",
            "ProvidedContexts[].ProviderArn",
            "ProvidedContexts[].ContextAssertion",
            "MinimumSessionTokenSize",
        ),
        (*_KEPT, "AssumedRoleUser.AssumedRoleId", "AssumedRoleUser.Arn", "PackedPolicySize", "SourceIdentity"),
        (*_NEVER, *_SIZES),
        times=_TIMES,
    ),
    "GetSessionToken": Audit(
        ("DurationSeconds", "SerialNumber"),
        ("TokenCode", "MinimumSessionTokenSize"),
        _KEPT,
        (*_NEVER, *_SIZES),
        times=_TIMES,
    ),
    "GetFederationToken": Audit(
        ("Name", "Policy", "DurationSeconds", *_TAGS),
        ("PolicyArns[].arn", "MinimumSessionTokenSize"),
        (*_KEPT, "FederatedUser.FederatedUserId", "FederatedUser.Arn", "PackedPolicySize"),
        (*_NEVER, *_SIZES),
        times=_TIMES,
    ),
}

NOT_OFFERED = (
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "AssumeRoot",
    "DecodeAuthorizationMessage",
    "GetAccessKeyInfo",
    "GetDelegatedAccessToken",
    "GetWebIdentityToken",
)
"""Operations of the model that are refused; their records keep nothing."""

AUDIT = {**dict.fromkeys(NOT_OFFERED, NOTHING), **_OFFERED}
