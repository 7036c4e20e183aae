"""What verifying a signature costs, against botocore signing the same requests in the same run; and what a decision costs.

python benchmarks/sigv4.py
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from unittest import mock
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from opentrail.calls.call import Request
from opentrail.identity.context import request_keys
from opentrail.identity.credentials import root
from opentrail.identity.decide import Grants, decide
from opentrail.identity.policy import compiled
from opentrail.identity.sigv4 import read_claim, verify
from opentrail.kernel.principal import Principal

KEY, SECRET, NOW, COUNT = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 1_790_000_000.0, 3000
MOMENT = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
POLICY = """{"Version": "2012-10-17", "Statement": [
 {"Effect": "Allow", "Action": ["cloudtrail:LookupEvents", "cloudtrail:Describe*", "cloudtrail:Get*"], "Resource": "*"},
 {"Effect": "Allow", "Action": "healthlake:*", "Resource": "arn:aws:healthlake:*:123456789012:datastore/*",
  "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
 {"Effect": "Deny", "Action": "healthlake:DeleteResource", "Resource": "*",
  "Condition": {"StringNotLike": {"aws:PrincipalTag/team": "ward-*"}}}]}"""


def prepared() -> list[AWSRequest]:
    headers = {"X-Amz-Target": "CloudTrail_20131101.LookupEvents", "Content-Type": "application/x-amz-json-1.1", "User-Agent": "Boto3"}
    return [
        AWSRequest("POST", "http://127.0.0.1:4580/", headers=dict(headers), data=b'{"MaxResults": %d}' % number) for number in range(COUNT)
    ]


def received(aws: AWSRequest) -> Request:
    headers = {name.lower(): str(value) for name, value in aws.headers.items()} | {"host": urlsplit(aws.url).netloc}
    return Request("POST", "/", "", headers, aws.data, "127.0.0.1", NOW)


def micros(work: Callable[[], object]) -> float:
    """The best of three runs, in microseconds of CPU per request."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best / COUNT * 1e6


def main() -> None:
    signer = SigV4Auth(Credentials(KEY, SECRET), "cloudtrail", "us-east-1")
    requests = prepared()

    def sign() -> None:
        for aws in requests:
            signer.add_auth(aws)

    with mock.patch("botocore.auth.get_current_datetime", return_value=MOMENT):
        signing = micros(sign)
    arrived = [received(aws) for aws in requests]

    def check() -> None:
        for request in arrived:
            verify(read_claim(request, NOW), request, SECRET)

    verifying = micros(check)
    print(f"botocore signs      {signing:7.1f} us a request")
    print(f"opentrail verifies  {verifying:7.1f} us a request, {signing / verifying:.1f} times as fast (goal: under 40 us)")

    user = Principal("IAMUser", "123456789012", "AIDA", "arn:aws:iam::123456789012:user/nurse", KEY, "nurse")
    grants = Grants((compiled(POLICY),))
    store = "arn:aws:healthlake:us-east-1:123456789012:datastore/0123"
    keys = request_keys(arrived[0], user, {"team": "ward-3"}, "us-east-1", "10.1.2.3")
    assert decide(user, grants, "healthlake:ReadResource", store, keys).allowed
    assert not decide(user, grants, "s3:GetObject", store, keys).allowed

    def judge() -> None:
        for request in arrived:
            found = request_keys(request, user, {"team": "ward-3"}, "us-east-1", "10.1.2.3")
            decide(user, grants, "healthlake:ReadResource", store, found)

    def judge_root() -> None:
        for _ in arrived:
            decide(root_user, root_grants, "healthlake:ReadResource", store, keys)

    root_user, root_grants = root("123456789012", KEY), Grants(everything=True)
    print(f"opentrail decides   {micros(judge):7.1f} us a right (3 statements, keys built), {micros(judge_root):.1f} us for a root user")


if __name__ == "__main__":
    main()
