"""Personalize's jobs on buckets by boto3: batch inference, user segments, exports, deletions, and reports of metric attributions."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from opentrail.kernel.errors import HIDDEN
from tests.wire.covers import covers
from tests.wire.story import Story
from tests.wire.test_personalize import (
    ITEMS,
    ROWS,
    SCHEMA,
    TAGS,
    WHO,
    Shop,
    avro,
    campaign_of,
    imported,
    put_csv,
    refused,
    role,
    settled,
)

USERS = avro("Users", ("USER_ID", "string", {}), ("AGE", "int", {}))
USER_ROWS = "USER_ID,AGE\n" + "".join(f"u{n},{20 + n}\n" for n in range(60))
ITEM_ROWS = "ITEM_ID,GENRE\n" + "".join(f"i{n},{'drama' if n % 2 else 'war'}\n" for n in range(45))


def trained(shop: Shop, stem: str, recipe: str) -> str:
    """A trained solution version."""
    name = shop.story.name(stem)
    solution = shop.client.create_solution(
        name=name, recipeArn=f"arn:aws:personalize:::recipe/{recipe}", datasetGroupArn=shop.group, performAutoTraining=False
    )["solutionArn"]
    version = str(shop.client.create_solution_version(solutionArn=solution)["solutionVersionArn"])
    found = settled(lambda: shop.client.describe_solution_version(solutionVersionArn=version)["solutionVersion"])
    assert found["status"] == "ACTIVE", found
    return version


def lines(story: Story, region: str, bucket: str, key: str) -> list[dict[str, Any]]:
    """An object of JSON lines."""
    body = story.client("s3", region=region).get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    return [json.loads(line) for line in body.splitlines()]


@covers("personalize", "CreateBatchInferenceJob", "DescribeBatchInferenceJob", "ListBatchInferenceJobs")
def test_batch_inference(story: Story) -> None:
    shop = Shop(story, "us-west-1")
    imported(shop, shop.dataset("INTERACTIONS", SCHEMA), ROWS)
    imported(shop, shop.dataset("ITEMS", ITEMS), ITEM_ROWS)
    version = trained(shop, "picks", "aws-user-personalization-v2")
    asked = ['{"userId": "u1"}', '{"userId": "nobody"}', "not json", '{"userId": "u2", "filterValues": {"GENRE": "\\"drama\\""}}']
    bucket = put_csv(story, shop.region, {"in/people.json": "\n".join(asked)})
    drama = shop.client.create_filter(
        name=story.name("drama"), datasetGroupArn=shop.group, filterExpression="EXCLUDE ItemID WHERE Items.GENRE IN ($GENRE)"
    )["filterArn"]
    name = story.name("batch")
    arn = f"arn:aws:personalize:{shop.region}:123456789012:batch-inference-job/{name}"
    input = {
        "jobName": name,
        "solutionVersionArn": version,
        "filterArn": drama,
        "numResults": 5,
        "jobInput": {"s3DataSource": {"path": f"s3://{bucket}/in/people.json"}},
        "jobOutput": {"s3DataDestination": {"path": f"s3://{bucket}/out/"}},
        "roleArn": role(story),
    }
    themes = {**input, "batchInferenceJobMode": "THEME_GENERATION"}
    assert "language model" in refused(lambda: shop.client.create_batch_inference_job(**themes), "InvalidInputException")
    made = ("AWS::Personalize::BatchInferenceJob", arn)
    around = [("AWS::Personalize::SolutionVersion", version), ("AWS::Personalize::Filter", drama)]
    request = {**input, "tags": HIDDEN}
    shop.call(
        "CreateBatchInferenceJob",
        {**input, "tags": TAGS},
        request=request,
        response={"batchInferenceJobArn": arn},
        resources=[*around, made],
    )
    describe = {"batchInferenceJobArn": arn}
    found = settled(lambda: shop.client.describe_batch_inference_job(**describe)["batchInferenceJob"])
    assert found["status"] == "ACTIVE", found
    shop.call("DescribeBatchInferenceJob", describe, resources=[made])
    listed = shop.call("ListBatchInferenceJobs", {"solutionVersionArn": version})["batchInferenceJobs"]
    assert [(one["jobName"], one["batchInferenceJobMode"]) for one in listed] == [(name, "BATCH_INFERENCE")]
    answers = lines(story, shop.region, bucket, "out/people.json.out")
    assert [one["error"] is None for one in answers] == [True, True, False, True]
    assert answers[0]["input"] == {"userId": "u1"}
    assert [len(one["output"]["recommendedItems"]) for one in answers if one["output"]] == [5, 5, 5]
    assert all(int(item[1:]) % 2 == 0 for item in answers[3]["output"]["recommendedItems"])
    # The same as the campaign answers for the same user.
    campaign = shop.client.create_campaign(
        name=name, solutionVersionArn=version, campaignConfig={"itemExplorationConfig": {"exploration_weight": "0"}}
    )["campaignArn"]
    live = story.client("personalize-runtime", region=shop.region).get_recommendations(campaignArn=campaign, userId="u1", numResults=5)
    assert [one["itemId"] for one in live["itemList"]] == answers[0]["output"]["recommendedItems"]

    for wrong, reason in (
        ({"jobInput": {"s3DataSource": {"path": f"s3://{bucket}/nothing"}}}, "no objects"),
        ({"roleArn": role(Story(story.live), "s3:GetObject", "s3:ListBucket")}, "Insufficient privileges"),
    ):
        job = shop.client.create_batch_inference_job(**{**input, "jobName": story.name(reason.replace(" ", "-")), **wrong})
        describe = {"batchInferenceJobArn": job["batchInferenceJobArn"]}
        ended = settled(lambda: shop.client.describe_batch_inference_job(**describe)["batchInferenceJob"])  # noqa: B023
        assert ended["status"] == "CREATE FAILED"
        assert reason in ended["failureReason"]


@covers("personalize", "CreateBatchSegmentJob", "DescribeBatchSegmentJob", "ListBatchSegmentJobs")
def test_batch_segments(story: Story) -> None:
    shop = Shop(story, "us-west-2")
    imported(shop, shop.dataset("INTERACTIONS", SCHEMA), ROWS)
    imported(shop, shop.dataset("ITEMS", ITEMS), ITEM_ROWS)
    imported(shop, shop.dataset("USERS", USERS), USER_ROWS)
    version = trained(shop, "segments", "aws-item-attribute-affinity")
    asked = ['{"itemAttributes": "ITEMS.genre = \\"drama\\""}', '{"itemId": "i3"}', '{"itemId": "nothing"}']
    bucket = put_csv(story, shop.region, {"queries.json": "\n".join(asked)})
    grown = shop.client.create_filter(
        name=story.name("grown"), datasetGroupArn=shop.group, filterExpression="INCLUDE UserID WHERE Users.AGE > 50"
    )["filterArn"]
    name = story.name("segment")
    arn = f"arn:aws:personalize:{shop.region}:123456789012:batch-segment-job/{name}"
    input = {
        "jobName": name,
        "solutionVersionArn": version,
        "filterArn": grown,
        "numResults": 4,
        "jobInput": {"s3DataSource": {"path": f"s3://{bucket}/queries.json"}},
        "jobOutput": {"s3DataDestination": {"path": f"s3://{bucket}/out"}},
        "roleArn": role(story),
    }
    made = ("AWS::Personalize::BatchSegmentJob", arn)
    around = [("AWS::Personalize::SolutionVersion", version), ("AWS::Personalize::Filter", grown)]
    shop.call("CreateBatchSegmentJob", input, response={"batchSegmentJobArn": arn}, resources=[*around, made])
    describe = {"batchSegmentJobArn": arn}
    found = settled(lambda: shop.client.describe_batch_segment_job(**describe)["batchSegmentJob"])
    assert found["status"] == "ACTIVE", found
    shop.call("DescribeBatchSegmentJob", describe, resources=[made])
    assert len(shop.call("ListBatchSegmentJobs", {"solutionVersionArn": version})["batchSegmentJobs"]) == 1
    answers = lines(story, shop.region, bucket, "out/queries.json.out")
    assert [len(one["output"]["recommendedUsers"]) if one["output"] else 0 for one in answers] == [4, 4, 0]
    assert all(int(user[1:]) > 30 for one in answers[:2] for user in one["output"]["recommendedUsers"])
    assert answers[2]["error"]
    wrong = {**input, "jobName": story.name("wrong")}
    refused(lambda: shop.client.create_batch_inference_job(**{**wrong, "filterArn": ""}), "InvalidInputException")
    refused(lambda: shop.client.create_campaign(name=name, solutionVersionArn=version), "InvalidInputException")
    solution = version.rpartition("/")[0]
    shop.client.delete_solution(solutionArn=solution)
    shop.call("DescribeBatchSegmentJob", describe, error="ResourceNotFoundException")


def exported(shop: Shop, dataset: str, mode: str, bucket: str) -> list[list[str]]:
    """The rows of an export of a dataset, with their header."""
    name = shop.story.name(f"export-{mode.lower()}-{dataset.rpartition('/')[2].lower().replace('_', '-')}")
    job = shop.client.create_dataset_export_job(
        jobName=name, datasetArn=dataset, ingestionMode=mode, roleArn=role(shop.story, stem=f"role-{name[:40]}"),
        jobOutput={"s3DataDestination": {"path": f"s3://{bucket}/exports"}},
    )["datasetExportJobArn"]  # fmt: skip
    found = settled(lambda: shop.client.describe_dataset_export_job(datasetExportJobArn=job)["datasetExportJob"])
    assert found["status"] == "ACTIVE", found
    body = shop.story.client("s3", region=shop.region).get_object(Bucket=bucket, Key=f"exports/{name}.csv")["Body"].read().decode()
    return list(csv.reader(io.StringIO(body)))


@covers("personalize", "CreateDatasetExportJob", "DescribeDatasetExportJob", "ListDatasetExportJobs")
@covers("personalize", "CreateDataDeletionJob", "DescribeDataDeletionJob", "ListDataDeletionJobs")
def test_exports_and_deletions(story: Story) -> None:
    shop = Shop(story, "ap-southeast-1")
    client, region = shop.client, shop.region
    visits, users = shop.dataset("INTERACTIONS", SCHEMA), shop.dataset("USERS", USERS)
    imported(shop, visits, ROWS)
    imported(shop, users, USER_ROWS)
    tracking = client.create_event_tracker(name=story.name("clicks"), datasetGroupArn=shop.group)["trackingId"]
    stream = story.client("personalize-events", region=region)
    for user in ("u1", "fresh"):
        clicked = [{"eventType": "click", "itemId": f"i{n}", "sentAt": 1_700_000_000 + n} for n in range(3)]
        stream.put_events(trackingId=tracking, userId=user, sessionId=f"s-{user}", eventList=clicked)
    stream.put_users(datasetArn=users, users=[{"userId": "fresh", "properties": '{"age": 33}'}])
    campaign = campaign_of(shop, "picks", "aws-user-personalization-v2")
    bucket = put_csv(story, region, {"gone.csv": "USER_ID\nu1\nfresh\nunknown\n", "bad.csv": "ITEM_ID\n1\n"})

    name = story.name("export")
    arn = f"arn:aws:personalize:{region}:123456789012:dataset-export-job/{name}"
    reader = role(story)
    input = {
        "jobName": name, "datasetArn": visits, "ingestionMode": "ALL", "roleArn": reader,
        "jobOutput": {"s3DataDestination": {"path": f"s3://{bucket}/exports"}},
    }  # fmt: skip
    made = ("AWS::Personalize::DatasetExportJob", arn)
    around = [("AWS::Personalize::Dataset", visits)]
    shop.call("CreateDatasetExportJob", input, response={"datasetExportJobArn": arn}, resources=[*around, made])
    describe = {"datasetExportJobArn": arn}
    assert settled(lambda: client.describe_dataset_export_job(**describe)["datasetExportJob"])["status"] == "ACTIVE"
    shop.call("DescribeDatasetExportJob", describe, resources=[made])
    assert len(shop.call("ListDatasetExportJobs", {"datasetArn": visits})["datasetExportJobs"]) == 1
    body = story.client("s3", region=region).get_object(Bucket=bucket, Key=f"exports/{name}.csv")["Body"].read().decode()
    assert sorted(body.splitlines()[1 : len(ROWS.splitlines())]) == sorted(ROWS.splitlines()[1:])
    assert len(body.splitlines()) == len(ROWS.splitlines()) + 6
    assert len(exported(shop, visits, "PUT", bucket)) == 7
    assert exported(shop, users, "PUT", bucket) == [["USER_ID", "AGE"], ["fresh", "33"]]
    assert len(exported(shop, users, "BULK", bucket)) == 61

    name = story.name("forget")
    arn = f"arn:aws:personalize:{region}:123456789012:data-deletion-job/{name}"
    input = {
        "jobName": name, "datasetGroupArn": shop.group, "dataSource": {"dataLocation": f"s3://{bucket}/gone.csv"}, "roleArn": reader,
    }  # fmt: skip
    made, around = ("AWS::Personalize::DataDeletionJob", arn), [("AWS::Personalize::DatasetGroup", shop.group)]
    shop.call("CreateDataDeletionJob", input, response={"dataDeletionJobArn": arn}, resources=[*around, made])
    describe = {"dataDeletionJobArn": arn}
    found = settled(lambda: client.describe_data_deletion_job(**describe)["dataDeletionJob"])
    shop.call("DescribeDataDeletionJob", describe, resources=[made])
    assert (found["status"], found["numDeleted"]) == ("COMPLETED", 25 + 1 + 6 + 1), found
    assert len(shop.call("ListDataDeletionJobs", {"datasetGroupArn": shop.group})["dataDeletionJobs"]) == 1
    left = exported(shop, visits, "ALL", bucket)
    assert {"u1", "fresh"} & {row[0] for row in left} == set()
    assert len(left) == len(ROWS.splitlines()) - 25
    assert [row[0] for row in exported(shop, users, "ALL", bucket) if row[0] in ("u1", "fresh")] == []
    # The campaign knows the user no more: both get what strangers get.
    runtime = story.client("personalize-runtime", region=region)
    first, second = (
        runtime.get_recommendations(campaignArn=campaign, userId=user, numResults=5)["itemList"] for user in ("u1", "stranger")
    )
    assert [one["itemId"] for one in first] == [one["itemId"] for one in second]
    bad = client.create_data_deletion_job(
        **{**input, "jobName": story.name("bad"), "dataSource": {"dataLocation": f"s3://{bucket}/bad.csv"}}
    )["dataDeletionJobArn"]
    ended = settled(lambda: client.describe_data_deletion_job(dataDeletionJobArn=bad)["dataDeletionJob"])
    assert (ended["status"], ended["failureReason"]) == ("FAILED", "Input CSV is missing the following columns:[USER_ID].")


SOURCED = avro(
    "Interactions", *WHO, ("EVENT_TYPE", "string", {}), ("EVENT_VALUE", ["null", "float"], {}),
    ("EVENT_ATTRIBUTION_SOURCE", ["null", "string"], {}),
)  # fmt: skip
SOURCED_ROWS = """USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,EVENT_ATTRIBUTION_SOURCE
u1,i1,900,Watch,1.5,mail
u2,i2,1799,watch,2.5,mail
u2,i2,1800,watch,4,mail
u3,i3,901,watch,8,
u3,i3,901,click,16,mail
"""


@covers("personalize", "CreateMetricAttribution", "DescribeMetricAttribution", "ListMetricAttributions", "ListMetricAttributionMetrics")
@covers("personalize", "UpdateMetricAttribution", "DeleteMetricAttribution")
def test_metric_attributions(story: Story) -> None:
    shop = Shop(story, "ap-southeast-2")
    client, region = shop.client, shop.region
    visits = shop.dataset("INTERACTIONS", SOURCED)
    bucket = put_csv(story, region, {"a.csv": SOURCED_ROWS})
    name, writer = story.name("impact"), role(story)
    arn = f"arn:aws:personalize:{region}:123456789012:metric-attribution/{name}"
    metrics = [
        {"eventType": "watch", "metricName": "watches", "expression": "SAMPLECOUNT()"},
        {"eventType": "watch", "metricName": "worth", "expression": "SUM(Interactions.EVENT_VALUE)"},
    ]
    output = {"s3DataDestination": {"path": f"s3://{bucket}/reports"}, "roleArn": writer}
    input = {"name": name, "datasetGroupArn": shop.group, "metrics": metrics, "metricsOutputConfig": output}
    made, group = ("AWS::Personalize::MetricAttribution", arn), ("AWS::Personalize::DatasetGroup", shop.group)
    job = {
        "jobName": story.name("import"), "datasetArn": visits, "dataSource": {"dataLocation": f"s3://{bucket}/a.csv"}, "roleArn": writer,
        "publishAttributionMetricsToS3": True,
    }  # fmt: skip
    refused(lambda: client.create_dataset_import_job(**job), "InvalidInputException")
    for wrong in ("MAX(Interactions.EVENT_VALUE)", "SUM(Items.PRICE)", "SUM(Interactions.EVENT_TYPE)"):
        bad = {**input, "metrics": [{**metrics[0], "expression": wrong}]}
        refused(lambda bad=bad: client.create_metric_attribution(**bad), "InvalidInputException")  # type: ignore[misc]
    shop.call("CreateMetricAttribution", input, response={"metricAttributionArn": arn}, resources=[group, made])
    found = shop.call("DescribeMetricAttribution", {"metricAttributionArn": arn}, resources=[made])["metricAttribution"]
    assert (found["status"], found["metricsOutputConfig"]) == ("ACTIVE", output)
    assert len(shop.call("ListMetricAttributions", {"datasetGroupArn": shop.group})["metricAttributions"]) == 1
    listed = shop.call("ListMetricAttributionMetrics", {"metricAttributionArn": arn, "maxResults": 1}, resources=[made])
    assert listed["metrics"] == metrics[:1]
    again = client.list_metric_attribution_metrics(metricAttributionArn=arn, nextToken=listed["nextToken"])
    assert (again["metrics"], "nextToken" in again) == (metrics[1:], False)

    importing = client.create_dataset_import_job(**job)["datasetImportJobArn"]
    assert settled(lambda: client.describe_dataset_import_job(datasetImportJobArn=importing)["datasetImportJob"])["status"] == "ACTIVE"
    s3 = story.client("s3", region=region)
    (key,) = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="reports/")["Contents"]]
    assert key.startswith("reports/AggregatedAttributionMetrics - FULL - ")
    report = list(csv.reader(io.StringIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())))
    assert report[0] == ["METRIC_NAME", "EVENT_TYPE", "VALUE", "MATH_FUNCTION", "EVENT_ATTRIBUTION_SOURCE", "TIMESTAMP"]
    assert report[1:] == [
        ["watches", "watch", "2.0", "samplecount", "mail", "900"],
        ["watches", "watch", "1.0", "samplecount", "SOURCE_NAME_UNDEFINED", "900"],
        ["watches", "watch", "1.0", "samplecount", "mail", "1800"],
        ["worth", "watch", "4.0", "sum", "mail", "900"],
        ["worth", "watch", "8.0", "sum", "SOURCE_NAME_UNDEFINED", "900"],
        ["worth", "watch", "4.0", "sum", "mail", "1800"],
    ]

    clicks = {"eventType": "click", "metricName": "clicks", "expression": "SAMPLECOUNT()"}
    change = {"metricAttributionArn": arn, "removeMetrics": ["worth"], "addMetrics": [clicks]}
    shop.call("UpdateMetricAttribution", change, response={"metricAttributionArn": arn}, resources=[made])
    assert client.list_metric_attribution_metrics(metricAttributionArn=arn)["metrics"] == [metrics[0], clicks]
    refused(lambda: client.update_metric_attribution(**change), "InvalidInputException")
    shop.call("DeleteMetricAttribution", {"metricAttributionArn": arn}, resources=[made])
    shop.call("DescribeMetricAttribution", {"metricAttributionArn": arn}, error="ResourceNotFoundException")
