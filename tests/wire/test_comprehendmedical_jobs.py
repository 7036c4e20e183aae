"""Comprehend Medical's batch jobs by boto3, in JSON and in CBOR: states, layout in the bucket, stops, refusals, records."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from benchmarks.servers import ACCOUNT
from botocore import xform_name
from botocore.exceptions import ClientError

from opentrail.services.comprehendmedical import vocabularies
from tests.wire.covers import covers
from tests.wire.story import REGION, Like, Story, policy

NOTE = "Mr Canaryberg, 54, takes aspirin 100 mg daily for chest pain. He denies fever."
JOB_ID = Like("[0-9a-f]{32}")
_numbers = itertools.count(1)
ENDED = ("COMPLETED", "PARTIAL_SUCCESS", "FAILED", "STOPPED")
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "comprehendmedical.amazonaws.com"}, "Action": "sts:AssumeRole",
                       "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT},
                                     "ArnLike": {"aws:SourceArn": f"arn:aws:comprehendmedical:{REGION}:{ACCOUNT}:*"}}}],
    }
)  # fmt: skip


class Ward:
    """A bucket with notes, and a role in which they may be read and answers written."""

    def __init__(self, story: Story, trust: str = TRUST) -> None:
        self.story, self.s3 = story, story.client("s3")
        number = next(_numbers)
        self.bucket, name = story.name(f"notes{number}"), story.name(f"reader{number}")
        self.token = story.name(f"token{number}")
        self.s3.create_bucket(Bucket=self.bucket)
        iam = story.client("iam")
        self.role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        place = f"arn:aws:s3:::{self.bucket}"
        allowed = policy(("s3:GetObject", f"{place}/in/*"), ("s3:ListBucket", place), ("s3:PutObject", f"{place}/out/*"))
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=allowed)

    def put(self, key: str, text: str | bytes = NOTE) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text if isinstance(text, bytes) else text.encode())

    def input(self, **more: Any) -> dict[str, Any]:
        """What starts a job, as a user writes it."""
        return {
            "InputDataConfig": {"S3Bucket": self.bucket, "S3Key": "in/"}, "OutputDataConfig": {"S3Bucket": self.bucket, "S3Key": "out"},
            "DataAccessRoleArn": self.role, "LanguageCode": "en", "JobName": "ward 5", "ClientRequestToken": self.token, **more,
        }  # fmt: skip

    def found(self) -> list[str]:
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def read(self, key: str) -> Any:
        return json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())


def ended(story: Story, word: str, id: str) -> dict[str, Any]:
    """The job, once it has ended."""
    describe = getattr(story.client("comprehendmedical"), xform_name(f"Describe{word}Job"))
    until = time.monotonic() + 180
    while (found := describe(JobId=id)["ComprehendMedicalAsyncJobProperties"])["JobStatus"] not in ENDED:
        assert time.monotonic() < until, found
        time.sleep(0.1)
    properties: dict[str, Any] = found
    return properties


def whole(story: Story, word: str, folder: str) -> None:
    """A job of one kind from its start to its list."""
    ward = Ward(story)
    ward.put("in/", "")
    ward.put("in/a.txt")
    ward.put("in/2024/b.txt", NOTE + " Grüße 🙂")
    id = story.call("comprehendmedical", f"Start{word}Job", ward.input(), response={"jobId": JOB_ID})["JobId"]
    found = ended(story, word, id)
    place = f"out/{ACCOUNT}-{folder}-{id}/"
    assert (found["JobStatus"], found["JobName"], found["ManifestFilePath"]) == ("COMPLETED", "ward 5", f"{place}Manifest")
    assert found["OutputDataConfig"] == {"S3Bucket": ward.bucket, "S3Key": place}
    assert found["SubmitTime"] <= found["EndTime"] < found["ExpirationTime"]
    assert [key.removeprefix(place) for key in ward.found() if key.startswith("out/")] == [
        "2024/b.txt.out", "Manifest", "a.txt.out", "success", "unprocessed",
    ]  # fmt: skip
    answer = ward.read(f"{place}a.txt.out")
    assert (bool(answer["Entities"]), answer["ModelVersion"]) == (True, found["ModelVersion"])
    assert ward.read(f"{place}unprocessed") == {"Files": []}
    assert [(one["Input"], one["Output"]) for one in ward.read(f"{place}success")["Files"]] == [
        ("in/2024/b.txt", f"{place}2024/b.txt.out"), ("in/a.txt", f"{place}a.txt.out"),
    ]  # fmt: skip
    summary = ward.read(f"{place}Manifest")["Summary"]
    assert (summary["Status"], summary["JobType"], summary["InputFileCount"], summary["SuccessFilesCount"]) == ("COMPLETED", folder, 2, 2)
    assert summary["TotalMeteredCharacters"] == 2 * len(NOTE) + len(" Grüße 🙂")
    described = story.call("comprehendmedical", f"Describe{word}Job", {"JobId": id})
    assert described["ComprehendMedicalAsyncJobProperties"] == found
    listed = story.call("comprehendmedical", f"List{word}Jobs", {"Filter": {"JobName": "ward 5"}, "MaxResults": 1})
    assert [one["JobId"] for one in listed["ComprehendMedicalAsyncJobPropertiesList"]] == [id]


def stopped(story: Story, word: str) -> None:
    """A job that is stopped before or while it works."""
    ward = Ward(story)
    for number in range(20):
        ward.put(f"in/{number:03}", NOTE * 8)
    id = story.call("comprehendmedical", f"Start{word}Job", ward.input(), response={"jobId": JOB_ID})["JobId"]
    story.call("comprehendmedical", f"Stop{word}Job", {"JobId": id}, response={"jobId": id})
    assert ended(story, word, id)["JobStatus"] == "STOPPED"
    story.call("comprehendmedical", f"Stop{word}Job", {"JobId": id}, response={"jobId": id})


@covers(
    "comprehendmedical",
    "StartEntitiesDetectionV2Job",
    "DescribeEntitiesDetectionV2Job",
    "ListEntitiesDetectionV2Jobs",
    "StopEntitiesDetectionV2Job",
)
def test_entities_jobs(story: Story) -> None:
    whole(story, "EntitiesDetectionV2", "EntitiesDetection")
    stopped(story, "EntitiesDetectionV2")


@covers("comprehendmedical", "StartPHIDetectionJob", "DescribePHIDetectionJob", "ListPHIDetectionJobs", "StopPHIDetectionJob")
def test_phi_jobs(story: Story) -> None:
    whole(story, "PHIDetection", "PHIDetection")
    stopped(story, "PHIDetection")


@covers(
    "comprehendmedical",
    "StartICD10CMInferenceJob",
    "DescribeICD10CMInferenceJob",
    "ListICD10CMInferenceJobs",
    "StopICD10CMInferenceJob",
)
def test_icd10cm_jobs(story: Story) -> None:
    whole(story, "ICD10CMInference", "ICD10CMInference")
    stopped(story, "ICD10CMInference")


@covers(
    "comprehendmedical",
    "StartRxNormInferenceJob",
    "DescribeRxNormInferenceJob",
    "ListRxNormInferenceJobs",
    "StopRxNormInferenceJob",
)
def test_rxnorm_jobs(story: Story) -> None:
    whole(story, "RxNormInference", "RxNormInference")
    stopped(story, "RxNormInference")


@pytest.fixture
def release(story: Story, tmp_path: Path) -> Iterator[None]:
    """A made-up SNOMED CT release, loaded."""
    names = ["Chest pain", *(f"Coloured rash {number}" for number in range(12))]
    lines = [f"{1000 + at}\t1\t{name} (finding)\t{name}" for at, name in enumerate(names)]
    (tmp_path / "gps").write_text("\n".join(["conceptId\tactive\tFSN\tPT", *lines]))
    data = Path(story.live.server.settings.data_dir)
    vocabularies.load("snomed", tmp_path / "gps", "2025-03-01", data)
    yield
    (vocabularies.folder(data) / "snomed.npz").unlink()


@covers(
    "comprehendmedical",
    "StartSNOMEDCTInferenceJob",
    "DescribeSNOMEDCTInferenceJob",
    "ListSNOMEDCTInferenceJobs",
    "StopSNOMEDCTInferenceJob",
)
def test_snomedct_jobs(story: Story, release: None) -> None:
    whole(story, "SNOMEDCTInference", "SNOMEDCTInference")
    stopped(story, "SNOMEDCTInference")


def test_snomedct_jobs_without_a_release_name_the_command(story: Story) -> None:
    data = Path(story.live.server.settings.data_dir)
    (vocabularies.folder(data) / "snomed.npz").unlink(missing_ok=True)
    refused = story.call("comprehendmedical", "StartSNOMEDCTInferenceJob", Ward(story).input(), error="InvalidRequestException")
    assert "opentrail vocab load snomed" in refused["Error"]["Message"]


def test_every_file_that_cannot_be_read_is_listed_with_its_reason(story: Story) -> None:
    ward = Ward(story)
    for key, text in (
        ("in/good", NOTE), ("in/empty", ""), ("in/huge", "a" * 40_961), ("in/latin", "Gr\xfc\xdfe".encode("latin-1")), ("in//slashes", NOTE),
        ("in/full", "aspirin " * 5_120), ("in/zeros", b"\0" * 1000),
    ):  # fmt: skip
        ward.put(key, text)
    id = story.client("comprehendmedical").start_phi_detection_job(**ward.input())["JobId"]
    assert ended(story, "PHIDetection", id)["JobStatus"] == "PARTIAL_SUCCESS"
    place = f"out/{ACCOUNT}-PHIDetection-{id}/"
    assert {one["Input"]: one["ErrorCode"] for one in ward.read(f"{place}unprocessed")["Files"]} == {
        "in//slashes": "InvalidRequestException", "in/empty": "InvalidRequestException", "in/huge": "TextSizeLimitExceededException",
        "in/latin": "InvalidEncodingException",
    }  # fmt: skip
    assert [one["Input"] for one in ward.read(f"{place}success")["Files"]] == ["in/full", "in/good", "in/zeros"]
    summary = ward.read(f"{place}Manifest")["Summary"]
    assert (summary["InputFileCount"], summary["SuccessFilesCount"], summary["UnprocessedFilesCount"]) == (7, 3, 4)


def test_the_role_is_assumed_and_its_calls_are_in_the_trail(story: Story) -> None:
    ward = Ward(story)
    ward.put("in/a.txt")
    start = story.client("comprehendmedical").start_phi_detection_job(**ward.input())
    assert ended(story, "PHIDetection", start["JobId"])["JobStatus"] == "COMPLETED"
    assumed = story.client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "AssumeRole"}])
    records = [json.loads(one["CloudTrailEvent"]) for one in assumed["Events"]]
    mine = [one for one in records if (one.get("requestParameters") or {}).get("roleArn") == ward.role]
    assert [one["userIdentity"]["invokedBy"] for one in mine] == ["comprehendmedical.amazonaws.com"]


@pytest.mark.parametrize(
    ("trust", "denied"),
    [(TRUST.replace("comprehendmedical.amazonaws.com", "healthlake.amazonaws.com"), ""), (TRUST, "s3:ListBucket"), (TRUST, "s3:PutObject")],
)
def test_a_job_without_rights_fails_and_says_which(story: Story, trust: str, denied: str) -> None:
    ward = Ward(story, trust)
    ward.put("in/a.txt")
    if denied:
        deny = policy((denied, "*")).replace('"Allow"', '"Deny"')
        story.client("iam").put_role_policy(RoleName=ward.role.rpartition("/")[2], PolicyName="deny", PolicyDocument=deny)
    id = story.client("comprehendmedical").start_phi_detection_job(**ward.input())["JobId"]
    found = ended(story, "PHIDetection", id)
    wanted = "NO_WRITE_ACCESS_TO_OUTPUT" if denied == "s3:PutObject" else "NO_READ_ACCESS_TO_INPUT"
    assert (found["JobStatus"], found["Message"].partition(":")[0]) == ("FAILED", wanted)


def test_a_place_without_files_fails(story: Story) -> None:
    ward = Ward(story)
    id = story.client("comprehendmedical").start_phi_detection_job(**ward.input())["JobId"]
    assert (found := ended(story, "PHIDetection", id))["JobStatus"] == "FAILED"
    assert found["Message"] == "There are no files at the input location."
    assert ward.read(found["ManifestFilePath"])["Summary"]["FailedJobErrorMessage"] == found["Message"]


def test_starts_are_idempotent_and_refused_clearly(story: Story) -> None:
    ward, client = Ward(story), story.client("comprehendmedical")
    ward.put("in/a.txt")
    first = client.start_phi_detection_job(**ward.input())["JobId"]
    assert client.start_phi_detection_job(**ward.input())["JobId"] == first
    other = {**ward.input(), "JobName": "another"}
    story.call("comprehendmedical", "StartPHIDetectionJob", other, error="InvalidRequestException")
    assert client.start_icd10_cm_inference_job(**ward.input())["JobId"] != first
    fresh = ward.input(ClientRequestToken=story.name("other"))
    for spoiled in (
        {**fresh, "KMSKey": "alias/mine"},
        {**fresh, "DataAccessRoleArn": "arn:aws:iam::210987654321:role/theirs"},
    ):
        story.call("comprehendmedical", "StartPHIDetectionJob", spoiled, error="InvalidRequestException")
    unknown = {**fresh, "LanguageCode": "de"}
    story.call("comprehendmedical", "StartPHIDetectionJob", unknown, request=None, error="InvalidRequestException")
    story.call("comprehendmedical", "DescribeRxNormInferenceJob", {"JobId": first}, error="ResourceNotFoundException")
    ended(story, "PHIDetection", first)
    story.call("comprehendmedical", "StopPHIDetectionJob", {"JobId": first}, error="InvalidRequestException")


def test_who_starts_a_job_must_be_allowed_to_pass_the_role(story: Story) -> None:
    ward = Ward(story)
    ward.put("in/a.txt")
    start = ("comprehendmedical:StartPHIDetectionJob", "*")
    nurse = story.user(start)
    aimed = [("AWS::IAM::Role", ward.role)]
    story.call(
        "comprehendmedical",
        "StartPHIDetectionJob",
        ward.input(),
        caller=nurse,
        error="AccessDeniedException",
        request=None,
        resources=aimed,
    )
    doctor = story.user(start, ("iam:PassRole", ward.role))
    story.call("comprehendmedical", "StartPHIDetectionJob", ward.input(), caller=doctor, response={"jobId": JOB_ID})


def test_lists_are_filtered_ordered_and_paged(story: Story) -> None:
    ward, client = Ward(story), story.client("comprehendmedical", region="eu-west-1")
    name = story.name("series")
    ids = [
        client.start_rx_norm_inference_job(**ward.input(JobName=name, ClientRequestToken=story.name(f"t{number}")))["JobId"]
        for number in range(5)
    ]

    def listed(size: int, **filter: Any) -> list[str]:
        found, more = [], {}
        while True:
            page = client.list_rx_norm_inference_jobs(Filter=filter, MaxResults=size, **more)
            found += [one["JobId"] for one in page["ComprehendMedicalAsyncJobPropertiesList"] if one["JobName"] == name]
            if "NextToken" not in page:
                return found
            more = {"NextToken": page["NextToken"]}

    assert listed(2, JobName=name) == ids[::-1]
    assert listed(500, JobName="nothing") == []
    middle = client.describe_rx_norm_inference_job(JobId=ids[2])["ComprehendMedicalAsyncJobProperties"]["SubmitTime"]
    hour = timedelta(hours=1)
    assert listed(3, SubmitTimeBefore=middle + hour) == ids
    assert listed(1, SubmitTimeAfter=middle - hour) == ids[::-1]
    assert listed(1, SubmitTimeAfter=middle + hour) == listed(1, SubmitTimeBefore=middle - hour) == []
    for filter in ({"JobName": name, "JobStatus": "FAILED"}, {"SubmitTimeBefore": middle, "SubmitTimeAfter": middle}):
        with pytest.raises(ClientError, match="ValidationException"):
            client.list_rx_norm_inference_jobs(Filter=filter)
    with pytest.raises(ClientError, match="InvalidRequestException"):
        client.list_rx_norm_inference_jobs(NextToken="bad")


@pytest.fixture
def cbor(story: Story) -> Iterator[Story]:
    """The story told in CBOR: the same model, without JSON among its protocols."""
    session = boto3.Session()
    loader = session._session.get_component("data_loader")
    loader.load_service_model("comprehendmedical", "service-2")["metadata"]["protocols"] = ["smithy-rpc-v2-cbor"]
    kept, story.live._session = story.live._session, session
    held = {place: story.live._clients.pop(place) for place in list(story.live._clients) if place[0] == "comprehendmedical"}
    yield story
    story.live._session = kept
    for place in [place for place in story.live._clients if place[0] == "comprehendmedical"]:
        del story.live._clients[place]
    story.live._clients |= held


def test_all_of_it_in_cbor(cbor: Story) -> None:
    assert cbor.client("comprehendmedical").meta.service_model.resolved_protocol == "smithy-rpc-v2-cbor"
    for operation in ("DetectEntities", "DetectEntitiesV2", "DetectPHI", "InferICD10CM", "InferRxNorm"):
        assert cbor.call("comprehendmedical", operation, {"Text": NOTE}, request=None)["Entities"]
    cbor.call("comprehendmedical", "DetectPHI", {"Text": "a" * 20_001}, request=None, error="TextSizeLimitExceededException")
    whole(cbor, "RxNormInference", "RxNormInference")
    stopped(cbor, "PHIDetection")
    cbor.call("comprehendmedical", "DescribePHIDetectionJob", {"JobId": "nothing"}, error="ResourceNotFoundException")
