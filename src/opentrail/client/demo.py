"""The whole story against a running server, as any client would do it: calls, history, log files, digests, validation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.exceptions import ClientError

from opentrail.client.fhir import fhir
from opentrail.client.session import client, credentials_file, open_session
from opentrail.kernel.settings import Settings
from opentrail.kernel.trust import own_issuer

Say = Callable[[str], None]

SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
    ],
    "version": "1.0",
}


class DemoFailed(Exception):
    """A step did not do what it should; the message says which and how."""


@dataclass(slots=True)
class Story:
    """What the demo made, by name. `tag` sets this run's names apart."""

    settings: Settings
    say: Say
    tag: str
    account: str = ""
    bucket: str = ""
    trail_arn: str = ""
    started: float = 0.0
    expected: list[tuple[str, str]] = field(default_factory=list)
    """Event names and error codes that must show in history."""

    @property
    def root(self) -> botocore.session.Session:
        return open_session(self.settings)


def run(settings: Settings, say: Say, tag: str) -> Story:
    """Tells the story. Raises DemoFailed at the first step that goes wrong."""
    story = Story(settings, say, tag)
    look_back(story)
    make_trail(story)
    as_root(story)
    as_user_and_role(story)
    look_up(story)
    find_files(story)
    return story


def look_back(story: Story) -> None:
    """Event history works before any trail exists."""
    story.account = client(story.root, "sts", story.settings).get_caller_identity()["Account"]
    events = client(story.root, "cloudtrail", story.settings).lookup_events(MaxResults=5)["Events"]
    story.say(f"Account {story.account}: Event history answers before any trail exists ({len(events)} of the newest events read).")


def make_trail(story: Story) -> None:
    """A bucket, its policy, a trail that logs with validation."""
    s3, cloudtrail = client(story.root, "s3", story.settings), client(story.root, "cloudtrail", story.settings)
    story.bucket, name = f"demo-trail-{story.tag}", f"demo-{story.tag}"
    story.trail_arn = f"arn:aws:cloudtrail:{story.settings.region}:{story.account}:trail/{name}"
    place = {} if story.settings.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": story.settings.region}}
    s3.create_bucket(Bucket=story.bucket, **place)
    s3.put_bucket_policy(Bucket=story.bucket, Policy=json.dumps(bucket_policy(story)))
    made = cloudtrail.create_trail(Name=name, S3BucketName=story.bucket, IsMultiRegionTrail=True, EnableLogFileValidation=True)
    check(made["TrailARN"] == story.trail_arn, "CreateTrail", "answers the ARN that the bucket's policy names")
    cloudtrail.start_logging(Name=name)
    story.started = time.time()
    story.say(f"Trail {name} logs into s3://{story.bucket}.")


def bucket_policy(story: Story) -> dict[str, Any]:
    """The policy that CloudTrail's documentation asks for."""
    service, source = {"Service": "cloudtrail.amazonaws.com"}, {"aws:SourceArn": story.trail_arn}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AWSCloudTrailAclCheck20150319",
                "Effect": "Allow",
                "Principal": service,
                "Action": "s3:GetBucketAcl",
                "Resource": f"arn:aws:s3:::{story.bucket}",
                "Condition": {"StringEquals": source},
            },
            {
                "Sid": "AWSCloudTrailWrite20150319",
                "Effect": "Allow",
                "Principal": service,
                "Action": "s3:PutObject",
                "Resource": f"arn:aws:s3:::{story.bucket}/AWSLogs/{story.account}/*",
                "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", **source}},
            },
        ],
    }


def as_root(story: Story) -> None:
    """A data store with a patient, a schema and a dataset group, by the root user."""
    healthlake, personalize = client(story.root, "healthlake", story.settings), client(story.root, "personalize", story.settings)
    store = healthlake.create_fhir_datastore(DatastoreName=f"demo-{story.tag}", DatastoreTypeVersion="R4")
    healthlake.get_waiter("fhir_datastore_active").wait(DatastoreId=store["DatastoreId"])
    patient = {"resourceType": "Patient", "id": f"demo-{story.tag}", "name": [{"family": "Example", "given": ["Ada"]}], "gender": "female"}
    address = f"{store['DatastoreEndpoint']}Patient/{patient['id']}"
    root = story.root.get_credentials()
    for method, resource, status in (("PUT", patient, 201), ("GET", None, 200)):
        got, answer = fhir(root, story.settings.region, method, address, resource, own_issuer(story.settings))
        check(got == status, f"{method} Patient", f"answers {status}, not {got}: {answer}")
    schema = personalize.create_schema(name=f"demo-{story.tag}", schema=json.dumps(SCHEMA))["schemaArn"]
    group = personalize.create_dataset_group(name=f"demo-{story.tag}")["datasetGroupArn"]
    story.expected += [(name, "") for name in ("CreateTrail", "StartLogging", "CreateFHIRDatastore", "UpdateResource")]
    story.expected += [("CreateSchema", ""), ("CreateDatasetGroup", "")]
    if not story.settings.fhir_data_events:  # as data events they are in log files, not in Event history
        story.expected.append(("ReadResource", ""))
    story.say(f"As root: data store {store['DatastoreId']} with Patient/{patient['id']}; {schema}; {group}.")


def as_user_and_role(story: Story) -> None:
    """The same services as an IAM user and as an assumed role, with calls that are allowed and calls that are not."""
    iam = client(story.root, "iam", story.settings)
    name, region = f"demo-{story.tag}", story.settings.region
    user_arn = iam.create_user(UserName=name)["User"]["Arn"]
    role_arn = f"arn:aws:iam::{story.account}:role/{name}"
    iam.put_user_policy(UserName=name, PolicyName="demo", PolicyDocument=policy(["personalize:List*"], "*", (["sts:AssumeRole"], role_arn)))
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": user_arn}, "Action": "sts:AssumeRole"}]}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=name, PolicyName="demo", PolicyDocument=policy(["healthlake:List*", "personalize:CreateSchema"], "*"))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    user = session_of(key["AccessKeyId"], key["SecretAccessKey"])
    client(user, "personalize", story.settings).list_dataset_groups()
    refused(
        story, lambda: client(user, "healthlake", story.settings).create_fhir_datastore(DatastoreTypeVersion="R4"), "CreateFHIRDatastore"
    )
    assumed = client(user, "sts", story.settings).assume_role(RoleArn=role_arn, RoleSessionName="demo-session")["Credentials"]
    role = session_of(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
    client(role, "healthlake", story.settings).list_fhir_datastores()
    client(role, "personalize", story.settings).create_schema(name=f"demo-role-{story.tag}", schema=json.dumps(SCHEMA))
    refused(story, lambda: client(role, "personalize", story.settings).list_schemas(), "ListSchemas")
    story.expected += [(event, "") for event in ("ListDatasetGroups", "AssumeRole", "ListFHIRDatastores")]
    story.say(f"As user {name} and as its role in {region}: allowed calls answered, the others were refused.")


def policy(actions: list[str], resource: str, *more: tuple[list[str], str]) -> str:
    """An identity policy that allows actions on resources."""
    statements = [{"Effect": "Allow", "Action": a, "Resource": r} for a, r in ((actions, resource), *more)]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def session_of(key: str, secret: str, token: str | None = None) -> botocore.session.Session:
    """A session with these credentials."""
    session = botocore.session.Session()
    session.set_credentials(key, secret, token)
    return session


def refused(story: Story, call: Callable[[], Any], event: str) -> None:
    """Makes a call that must be denied."""
    try:
        call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        check(code == "AccessDeniedException", event, f"is refused with AccessDeniedException, not {code}")
        story.expected.append((event, code))
        return
    raise DemoFailed(f"{event}: must be refused and was answered")


def look_up(story: Story) -> None:
    """Every call of the story is in Event history now, the refused ones with their code."""
    found: dict[tuple[str, str], int] = {}
    since = int(story.started) - 60
    regions = {story.settings.region, "us-east-1"}
    for region in regions:
        pages = client(story.root, "cloudtrail", story.settings, region).get_paginator("lookup_events").paginate(StartTime=since)
        for page in pages:
            for event in page["Events"]:
                record = json.loads(event["CloudTrailEvent"])
                key = (record["eventName"], record.get("errorCode", ""))
                found[key] = found.get(key, 0) + 1
    missing = [one for one in story.expected if one not in found]
    check(not missing, "lookup-events", f"shows every call at once; missing: {missing}")
    failed = sum(count for (_, error), count in found.items() if error)
    story.say(f"Event history shows all of it at once: {sum(found.values())} events, {failed} of them refused.")


def find_files(story: Story) -> None:
    """Log files within the flush interval, digests after theirs, and AWS's own validation of all of them."""
    settings = story.settings
    s3 = client(story.root, "s3", settings)
    logs = await_keys(s3, story.bucket, f"AWSLogs/{story.account}/CloudTrail/", settings.flush_interval * 2 + 20)
    check(bool(logs), "delivery", "puts log files into the bucket within the flush interval")
    story.say(f"{len(logs)} log file(s) in the bucket {time.time() - story.started:.1f} s after StartLogging.")
    if settings.digest_interval > 600:
        story.say("Digests follow once an interval is over; run `aws cloudtrail validate-logs` then.")
        return
    digests = await_digested(story, s3)
    story.say(f"{len(digests)} digest(s) cover them. aws cloudtrail validate-logs says:")
    story.say(validate(story))


def await_keys(s3: Any, bucket: str, prefix: str, patience: float) -> list[str]:
    """The keys under a prefix that are more than markers, as soon as there are some."""
    until = time.monotonic() + patience
    while True:
        keys = [key for key in list_keys(s3, bucket, prefix) if key.endswith(".json.gz")]
        if keys or time.monotonic() > until:
            return keys
        time.sleep(0.2)


def list_keys(s3: Any, bucket: str, prefix: str) -> list[str]:
    """Every key under a prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [one["Key"] for page in pages for one in page.get("Contents", ())]


def await_digested(story: Story, s3: Any) -> list[str]:
    """The digests, once two intervals that began after the story's last call are over."""
    time.sleep(story.settings.digest_interval * 2)
    digests = await_keys(s3, story.bucket, f"AWSLogs/{story.account}/CloudTrail-Digest/", story.settings.digest_interval * 2 + 30)
    check(bool(digests), "digests", "are put after their interval")
    return digests


def validate(story: Story) -> str:
    """AWS's own command on the trail, when the AWS CLI is installed."""
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": story.settings.url,
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials_file(story.settings)),
        "AWS_DEFAULT_REGION": story.settings.region,
    }
    if issuer := own_issuer(story.settings):
        environment["AWS_CA_BUNDLE"] = issuer
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(story.started - 3600))
    command = ["cloudtrail", "validate-logs", "--trail-arn", story.trail_arn, "--start-time", start]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [sys.executable, "-m", "awscli", *command], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DemoFailed("validate-logs: did not end in 300 s") from error
    if "No module named" in done.stderr:
        return f"(the AWS CLI is not installed here; run: aws {' '.join(command)})"
    check(done.returncode == 0, "validate-logs", f"finds everything valid:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def check(holds: bool, step: str, rule: str) -> None:
    """Raises DemoFailed when a step did not do what it should."""
    if not holds:
        raise DemoFailed(f"{step}: {rule}")
