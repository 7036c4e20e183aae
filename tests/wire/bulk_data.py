"""What the tests of import and export jobs share: a data store, a bucket, a role that HealthLake may assume, and waiting."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.wire.story import Story, policy

_numbers = itertools.count(1)
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def trust(*services: str) -> str:
    """A trust policy for services."""
    named = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [named]})


@dataclass(frozen=True)
class Ward:
    """A data store, a bucket and the ARN of a role that may use the bucket."""

    story: Story
    store: str
    bucket: str
    role: str

    def role_for(self, *services: str, allowed: bool = True) -> str:
        """The ARN of another role: who may assume it, and whether it may use the bucket."""
        return made_role(self.story, self.bucket, services, allowed)

    def put(self, key: str, *lines: bytes | Mapping[str, Any], end: bytes = b"\n") -> None:
        """Writes an NDJSON object."""
        body = b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + end for line in lines)
        self.story.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def objects(self, prefix: str) -> dict[str, bytes]:
        """The objects below a prefix, by the rest of their keys."""
        s3 = self.story.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return {key.removeprefix(prefix): s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def import_input(self, prefix: str = "in/", **members: Any) -> dict[str, Any]:
        """The input of StartFHIRImportJob."""
        return {
            "DatastoreId": self.store, "InputDataConfig": {"S3Uri": f"s3://{self.bucket}/{prefix}"},
            "JobOutputDataConfig": {"S3Configuration": {"S3Uri": f"s3://{self.bucket}/out", "KmsKeyId": KEY}},
            "DataAccessRoleArn": self.role, "ClientToken": self.story.name("token"), **members,
        }  # fmt: skip

    def export_input(self, **members: Any) -> dict[str, Any]:
        """The input of StartFHIRExportJob."""
        return {
            "DatastoreId": self.store, "OutputDataConfig": {"S3Configuration": {"S3Uri": f"s3://{self.bucket}/out", "KmsKeyId": KEY}},
            "DataAccessRoleArn": self.role, "ClientToken": self.story.name("token"), **members,
        }  # fmt: skip

    def imported(self, job: str) -> dict[str, Any]:
        """The properties of an import job once it has ended."""
        client = self.story.client("healthlake")
        return ended(lambda: client.describe_fhir_import_job(DatastoreId=self.store, JobId=job)["ImportJobProperties"])

    def exported(self, job: str) -> dict[str, Any]:
        """The properties of an export job once it has ended."""
        client = self.story.client("healthlake")
        return ended(lambda: client.describe_fhir_export_job(DatastoreId=self.store, JobId=job)["ExportJobProperties"])


def ended(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Waits for a job's end."""
    until = time.monotonic() + 60
    while (found := describe())["JobStatus"] in ("SUBMITTED", "QUEUED", "IN_PROGRESS", "CANCEL_SUBMITTED"):
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found


def made_role(story: Story, bucket: str, services: tuple[str, ...], allowed: bool = True) -> str:
    """A role that services may assume, with or without rights to the bucket."""
    iam, name = story.client("iam"), story.name(f"bulk{next(_numbers)}")
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(*services))["Role"]["Arn"]
    if allowed:
        rights = policy((["s3:GetObject", "s3:PutObject", "s3:ListBucket"], [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]))
        iam.put_role_policy(RoleName=name, PolicyName="bucket", PolicyDocument=rights)
    return arn


@pytest.fixture
def ward(story: Story) -> Iterator[Ward]:
    """A ward of its own."""
    bucket = story.name("bulk")
    story.client("s3").create_bucket(Bucket=bucket)
    client = story.client("healthlake")
    store = client.create_fhir_datastore(DatastoreTypeVersion="R4")["DatastoreId"]
    yield Ward(story, store, bucket, made_role(story, bucket, ("healthlake.amazonaws.com",)))
    client.delete_fhir_datastore(DatastoreId=store)
