"""Personalize by boto3: schemas and dataset groups."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest
from botocore.exceptions import ClientError

from opentrail.kernel.errors import HIDDEN
from opentrail.store.sql import Sql
from tests.wire.covers import covers
from tests.wire.story import UUID, Like, Story


def avro(record: str, *fields: tuple[str, Any, dict[str, Any]]) -> str:
    """An Avro schema of Personalize."""
    listed = [{"name": name, "type": kind, **more} for name, kind, more in fields]
    return json.dumps(
        {"type": "record", "name": record, "namespace": "com.amazonaws.personalize.schema", "version": "1.0", "fields": listed}
    )


WHO = (("USER_ID", "string", {}), ("ITEM_ID", "string", {}), ("TIMESTAMP", "long", {}))
SCHEMA = avro("Interactions", *WHO)
ITEMS = avro("Items", ("ITEM_ID", "string", {}), ("GENRE", ["null", "string"], {"categorical": True}))
TAGS = [{"tagKey": "ward", "tagValue": "east"}]


@covers("personalize", "CreateSchema", "DescribeSchema", "ListSchemas", "DeleteSchema")
def test_schemas(story: Story) -> None:
    name = story.name("visits")
    arn = f"arn:aws:personalize:us-east-1:123456789012:schema/{name}"
    touched = [("AWS::Personalize::Schema", arn)]
    story.call("personalize", "CreateSchema", {"name": name, "schema": SCHEMA}, response={"schemaArn": arn}, resources=touched)
    assert story.call("personalize", "DescribeSchema", {"schemaArn": arn}, resources=touched)["schema"]["schema"] == SCHEMA
    listed = story.call("personalize", "ListSchemas", {"maxResults": 100})["schemas"]
    assert arn in [one["schemaArn"] for one in listed]
    story.call("personalize", "DeleteSchema", {"schemaArn": arn}, resources=touched)
    story.call("personalize", "DescribeSchema", {"schemaArn": arn}, error="ResourceNotFoundException")


@covers("personalize", "CreateDatasetGroup", "DescribeDatasetGroup", "ListDatasetGroups", "DeleteDatasetGroup")
def test_dataset_groups(story: Story) -> None:
    name, region = story.name("shop"), "eu-west-1"
    arn = f"arn:aws:personalize:{region}:123456789012:dataset-group/{name}"
    touched = [("AWS::Personalize::DatasetGroup", arn)]
    input = {"name": name, "domain": "ECOMMERCE", "tags": [{"tagKey": "ward", "tagValue": "east"}]}
    story.call(
        "personalize", "CreateDatasetGroup", input, region=region, request={"name": name, "domain": "ECOMMERCE", "tags": HIDDEN},
        response={"datasetGroupArn": arn, "domain": "ECOMMERCE"}, resources=touched,
    )  # fmt: skip
    found = story.call("personalize", "DescribeDatasetGroup", {"datasetGroupArn": arn}, region=region, resources=touched)
    assert found["datasetGroup"]["status"] == "ACTIVE"
    assert arn in [one["datasetGroupArn"] for one in story.call("personalize", "ListDatasetGroups", region=region)["datasetGroups"]]
    story.call("personalize", "DeleteDatasetGroup", {"datasetGroupArn": arn}, region=region, resources=touched)


def test_listings_page(story: Story) -> None:
    client = story.client("personalize", region="eu-north-1")
    made = {client.create_schema(name=story.name(f"s{number}"), schema=SCHEMA)["schemaArn"] for number in range(3)}
    pages = list(client.get_paginator("list_schemas").paginate(PaginationConfig={"PageSize": 1}))
    assert made <= {one["schemaArn"] for page in pages for one in page["schemas"]}
    assert {len(page["schemas"]) for page in pages} == {1}


def test_what_breaks_a_rule_is_refused_by_personalizes_code(story: Story) -> None:
    bad = story.call("personalize", "CreateSchema", {"name": "-", "schema": SCHEMA}, request=None, error="InvalidInputException")
    assert "'name' failed to satisfy constraint" in bad["Error"]["Message"]
    broken = {"name": story.name("x"), "schema": '{"type":"record"}'}
    story.call("personalize", "CreateSchema", broken, error="InvalidInputException", request=ANY)


class Shop:
    """A dataset group with schemas and datasets, in a region of its own: five groups are allowed in each."""

    def __init__(self, story: Story, region: str, domain: str | None = None) -> None:
        self.story, self.region = story, region
        self.client = story.client("personalize", region=region)
        self.domain = {"domain": domain} if domain else {}
        self.group = self.client.create_dataset_group(name=story.name("shop"), **self.domain)["datasetGroupArn"]

    def schema(self, stem: str, text: str) -> str:
        return str(self.client.create_schema(name=self.story.name(stem), schema=text, **self.domain)["schemaArn"])

    def dataset(self, kind: str, text: str) -> str:
        name = self.story.name(kind.lower())
        schema = self.schema(kind.lower(), text)
        made = self.client.create_dataset(name=name, schemaArn=schema, datasetGroupArn=self.group, datasetType=kind)
        return str(made["datasetArn"])

    def call(self, operation: str, input: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        return self.story.call("personalize", operation, input, region=self.region, **more)


@covers("personalize", "CreateDataset", "DescribeDataset", "ListDatasets", "UpdateDataset", "DeleteDataset")
def test_datasets(story: Story) -> None:
    shop = Shop(story, "ap-south-1")
    schema, name = shop.schema("visits", SCHEMA), story.name("visits")
    arn = shop.group.replace(":dataset-group/", ":dataset/") + "/INTERACTIONS"
    touched = [("AWS::Personalize::Dataset", arn)]
    input = {"name": name, "schemaArn": schema, "datasetGroupArn": shop.group, "datasetType": "Interactions"}
    around = [("AWS::Personalize::DatasetGroup", shop.group), ("AWS::Personalize::Schema", schema)]
    shop.call(
        "CreateDataset",
        {**input, "tags": TAGS},
        request={**input, "tags": HIDDEN},
        response={"datasetArn": arn},
        resources=[*around, *touched],
    )
    again = {**input, "name": story.name("again")}
    shop.call("CreateDataset", again, error="ResourceAlreadyExistsException", resources=[*around, *touched])
    shop.call("CreateDataset", {**input, "datasetType": "ITEMS"}, error="InvalidInputException", resources=around)
    found = shop.call("DescribeDataset", {"datasetArn": arn}, resources=touched)["dataset"]
    assert (found["datasetType"], found["schemaArn"], found["datasetGroupArn"], found["status"]) == (
        "INTERACTIONS",
        schema,
        shop.group,
        "ACTIVE",
    )
    assert [one["datasetArn"] for one in shop.call("ListDatasets", {"datasetGroupArn": shop.group})["datasets"]] == [arn]
    wider = shop.schema("wider", avro("Interactions", *WHO, ("DEVICE", ["null", "string"], {"categorical": True})))
    narrower = shop.schema("other", avro("Interactions", *WHO, ("DEVICE", "string", {"categorical": True})))
    both = [*touched, ("AWS::Personalize::Schema", narrower)]
    shop.call("UpdateDataset", {"datasetArn": arn, "schemaArn": narrower}, error="InvalidInputException", resources=both)
    both = [*touched, ("AWS::Personalize::Schema", wider)]
    shop.call("UpdateDataset", {"datasetArn": arn, "schemaArn": wider}, response={"datasetArn": arn}, resources=both)
    assert shop.client.describe_dataset(datasetArn=arn)["dataset"]["latestDatasetUpdate"]["schemaArn"] == wider
    for operation, held in (("DeleteSchema", {"schemaArn": wider}), ("DeleteDatasetGroup", {"datasetGroupArn": shop.group})):
        kind = "Schema" if operation == "DeleteSchema" else "DatasetGroup"
        shop.call(operation, held, error="ResourceInUseException", resources=[(f"AWS::Personalize::{kind}", *held.values())])
    shop.call("DeleteSchema", {"schemaArn": schema}, resources=[("AWS::Personalize::Schema", schema)])
    shop.call("DeleteDataset", {"datasetArn": arn}, resources=touched)
    shop.call("DeleteDatasetGroup", {"datasetGroupArn": shop.group}, resources=around[:1])


def put_csv(story: Story, region: str, files: dict[str, str], stem: str = "data") -> str:
    """A bucket with these objects."""
    s3, bucket = story.client("s3", region=region), story.name(stem)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    for key, text in files.items():
        s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    return bucket


def role(story: Story, *actions: str, stem: str = "role") -> str:
    """A role that trusts Personalize and may do this with every bucket."""
    iam, name = story.client("iam"), story.name(stem)
    trust = [{"Effect": "Allow", "Principal": {"Service": "personalize.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}))["Role"]["Arn"]
    allow = [{"Effect": "Allow", "Action": list(actions or ("s3:GetObject", "s3:ListBucket", "s3:PutObject")), "Resource": "*"}]
    document = json.dumps({"Version": "2012-10-17", "Statement": allow})
    iam.put_role_policy(RoleName=name, PolicyName="data", PolicyDocument=document)
    return str(arn)


def settled(describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a resource is like once its job is done."""
    until = time.monotonic() + 60
    while (found := describe())["status"].endswith(("PENDING", "IN_PROGRESS", "STOPPING")):
        assert time.monotonic() < until, found
        time.sleep(0.1)
    return found


ROWS = "USER_ID,ITEM_ID,TIMESTAMP\n" + "".join(f"u{n % 60},i{n * n % 37 + n % 5},{1_600_000_000 + n}\n" for n in range(1_500))


@covers("personalize", "CreateDatasetImportJob", "DescribeDatasetImportJob", "ListDatasetImportJobs")
def test_imports(story: Story) -> None:
    shop = Shop(story, "eu-central-1")
    dataset = shop.dataset("INTERACTIONS", SCHEMA)
    bucket = put_csv(
        story, shop.region, {"in/a.csv": ROWS, "in/b.csv": ROWS, "bad.csv": "USER_ID,ITEM_ID\n1,2\n", "worse.csv": ROWS + "a,b,-1\n"}
    )
    reader, stranger = role(story), role(Story(story.live), "s3:ListAllMyBuckets")
    outcomes = []
    for number, (place, mode) in enumerate(
        ((f"{bucket}/in", "FULL"), (f"{bucket}/in/a.csv", "INCREMENTAL"), (f"{bucket}/bad.csv", "FULL"), (f"{bucket}/worse.csv", "FULL"),
         (f"{bucket}/in/a.csv", "FULL"), (f"{bucket}/nothing", "FULL"))
    ):  # fmt: skip
        name = story.name(f"import{number}")
        arn = f"arn:aws:personalize:{shop.region}:123456789012:dataset-import-job/{name}"
        input = {
            "jobName": name,
            "datasetArn": dataset,
            "dataSource": {"dataLocation": f"s3://{place}"},
            "roleArn": stranger if number == 4 else reader,
            "importMode": mode,
        }
        touched = [("AWS::Personalize::Dataset", dataset), ("AWS::Personalize::DatasetImportJob", arn)]
        shop.call("CreateDatasetImportJob", input, response={"datasetImportJobArn": arn}, resources=touched)
        describe = {"datasetImportJobArn": arn}
        found = settled(lambda: shop.client.describe_dataset_import_job(**describe)["datasetImportJob"])  # noqa: B023
        shop.call("DescribeDatasetImportJob", describe, resources=touched[1:])
        outcomes.append((found["status"], found.get("failureReason", "")))
    assert [status for status, _ in outcomes] == ["ACTIVE", "ACTIVE", *["CREATE FAILED"] * 4]
    reasons = [reason for _, reason in outcomes[2:]]
    assert reasons[0] == "Input CSV is missing the following columns:[TIMESTAMP]."
    assert "worse.csv, line 1502, column TIMESTAMP" in reasons[1]
    assert reasons[2].startswith("Insufficient privileges for accessing data in S3.")
    assert "no objects" in reasons[3]
    assert len(shop.call("ListDatasetImportJobs", {"datasetArn": dataset})["datasetImportJobs"]) == 6
    shop.client.delete_dataset(datasetArn=dataset)
    shop.call("DescribeDatasetImportJob", describe, error="ResourceNotFoundException")


def imported(shop: Shop, dataset: str, text: str) -> None:
    """Imports a CSV file into a dataset and waits for it."""
    stem = dataset.rpartition("/")[2].lower().replace("_", "-")
    bucket = put_csv(shop.story, shop.region, {"a.csv": text}, f"data-{stem}")
    source, name = {"dataLocation": f"s3://{bucket}/a.csv"}, shop.story.name(f"import-{stem}")
    job = shop.client.create_dataset_import_job(
        jobName=name, datasetArn=dataset, dataSource=source, roleArn=role(shop.story, stem=f"role-{stem}")
    )
    found = settled(
        lambda: shop.client.describe_dataset_import_job(**{"datasetImportJobArn": job["datasetImportJobArn"]})["datasetImportJob"]
    )
    assert found["status"] == "ACTIVE", found


RECIPE = "arn:aws:personalize:::recipe/aws-user-personalization-v2"


@covers("personalize", "CreateSolution", "DescribeSolution", "ListSolutions", "UpdateSolution", "DeleteSolution", "CreateSolutionVersion")
@covers("personalize", "DescribeSolutionVersion", "ListSolutionVersions", "StopSolutionVersionCreation", "GetSolutionMetrics")
@covers("personalize", "CreateCampaign", "DescribeCampaign", "ListCampaigns", "UpdateCampaign", "DeleteCampaign")
def test_solutions_and_campaigns(story: Story) -> None:
    shop = Shop(story, "eu-north-1")
    dataset, name = shop.dataset("INTERACTIONS", SCHEMA), story.name("picks")
    prefix = f"arn:aws:personalize:{shop.region}:123456789012"
    solution, group = f"{prefix}:solution/{name}", ("AWS::Personalize::DatasetGroup", shop.group)
    made = ("AWS::Personalize::Solution", solution)
    input = {"name": name, "recipeArn": RECIPE, "datasetGroupArn": shop.group}
    shop.call("CreateSolution", input, response={"solutionArn": solution}, resources=[group, made])
    for wrong in (
        {"performHPO": True},
        {"recipeArn": "arn:aws:personalize:::recipe/aws-hrnn"},
        {"solutionConfig": {"algorithmHyperParameters": {"x": "1"}}},
    ):
        shop.call("CreateSolution", {**input, **wrong}, error="InvalidInputException")
    assert "import some first" in refused(lambda: shop.client.create_solution_version(solutionArn=solution), "InvalidInputException")
    imported(shop, dataset, ROWS)
    drawn = Like(rf"{solution}/[0-9a-f]{{8}}".replace("$", ""))
    shop.call(
        "CreateSolutionVersion", {"solutionArn": solution}, response={"solutionVersionArn": drawn},
        resources=[made, ("AWS::Personalize::SolutionVersion", drawn)],
    )  # fmt: skip
    versions = shop.call("ListSolutionVersions", {"solutionArn": solution}, resources=[made])["solutionVersions"]
    version, named = versions[0]["solutionVersionArn"], {"solutionVersionArn": versions[0]["solutionVersionArn"]}
    touched = [("AWS::Personalize::SolutionVersion", version)]
    found = settled(lambda: shop.client.describe_solution_version(**named)["solutionVersion"])
    assert found["status"] == "ACTIVE", found
    shop.call("DescribeSolutionVersion", named, resources=touched)
    metrics = shop.call("GetSolutionMetrics", named, resources=touched)["metrics"]
    assert {"coverage", "mean_reciprocal_rank_at_25", "precision_at_5"} <= set(metrics)
    shown = shop.call("DescribeSolution", {"solutionArn": solution}, resources=[made])["solution"]
    assert (shown["recipeArn"], shown["latestSolutionVersion"]["solutionVersionArn"]) == (RECIPE, version)
    assert [one["name"] for one in shop.call("ListSolutions", {"datasetGroupArn": shop.group})["solutions"]] == [name]

    change = {
        "solutionArn": solution,
        "performAutoTraining": True,
        "solutionUpdateConfig": {"autoTrainingConfig": {"schedulingExpression": "rate(3 days)"}},
    }
    shop.call("UpdateSolution", change, response={"solutionArn": solution}, resources=[made])
    wrong = {"solutionArn": solution, "solutionUpdateConfig": {"autoTrainingConfig": {"schedulingExpression": "rate(31 days)"}}}
    shop.call("UpdateSolution", wrong, error="InvalidInputException")
    shown = shop.client.describe_solution(solutionArn=solution)["solution"]
    assert shown["solutionConfig"]["autoTrainingConfig"] == {"schedulingExpression": "rate(3 days)"}
    assert (shown["latestSolutionUpdate"]["status"], shown["performAutoTraining"]) == ("ACTIVE", True)

    stopped = shop.client.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    shop.call("StopSolutionVersionCreation", {"solutionVersionArn": stopped}, resources=[("AWS::Personalize::SolutionVersion", stopped)])
    ended = settled(lambda: shop.client.describe_solution_version(solutionVersionArn=stopped)["solutionVersion"])
    assert ended["status"] == "CREATE STOPPED"
    campaign = f"{prefix}:campaign/{name}"
    held = ("AWS::Personalize::Campaign", campaign)
    create = {"name": name, **named, "campaignConfig": {"itemExplorationConfig": {"exploration_weight": "0.1"}}}
    shop.call(
        "CreateCampaign", {**create, "solutionVersionArn": stopped}, error="InvalidInputException", resources=[(touched[0][0], stopped)]
    )
    shop.call("CreateCampaign", create, response={"campaignArn": campaign}, resources=[*touched, held])
    assert shop.call("DescribeCampaign", {"campaignArn": campaign}, resources=[held])["campaign"]["status"] == "ACTIVE"
    assert len(shop.call("ListCampaigns", {"solutionArn": solution})["campaigns"]) == 1
    change = {"campaignArn": campaign, "minProvisionedTPS": 2}
    shop.call("UpdateCampaign", change, response={"campaignArn": campaign}, resources=[held, *touched])
    assert shop.client.describe_campaign(campaignArn=campaign)["campaign"]["latestCampaignUpdate"]["minProvisionedTPS"] == 2
    shop.call("DeleteSolution", {"solutionArn": solution}, error="ResourceInUseException", resources=[made])
    shop.call("DeleteCampaign", {"campaignArn": campaign}, resources=[held])
    shop.call("DeleteSolution", {"solutionArn": solution}, resources=[made])
    shop.call("DescribeSolutionVersion", named, error="ResourceNotFoundException")


SHOP_ROWS = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n" + "".join(
    f"u{n % 60},i{n * n % 37 + n % 5},{1_600_000_000 + n},{'Purchase' if n // 60 % 3 == 0 else 'View'}\n" for n in range(3_600)
)


@covers("personalize", "CreateRecommender", "DescribeRecommender", "ListRecommenders", "UpdateRecommender", "StartRecommender")
@covers("personalize", "StopRecommender", "DeleteRecommender")
@covers("personalize-runtime", "GetRecommendations")
def test_recommenders(story: Story) -> None:
    shop = Shop(story, "ca-central-1", "ECOMMERCE")
    prefix = f"arn:aws:personalize:{shop.region}:123456789012"
    dataset = shop.dataset("INTERACTIONS", avro("Interactions", *WHO, ("EVENT_TYPE", "string", {})))
    name, runtime = story.name("for-you"), story.client("personalize-runtime", region=shop.region)
    arn = f"{prefix}:recommender/{name}"
    input = {"name": name, "datasetGroupArn": shop.group, "recipeArn": "arn:aws:personalize:::recipe/aws-ecomm-recommended-for-you"}
    touched, group = [("AWS::Personalize::Recommender", arn)], [("AWS::Personalize::DatasetGroup", shop.group)]
    assert "import some first" in refused(lambda: shop.client.create_recommender(**input), "InvalidInputException")
    imported(shop, dataset, SHOP_ROWS)
    for wrong in ("aws-vod-top-picks", "aws-sims"):
        given = {**input, "recipeArn": f"arn:aws:personalize:::recipe/{wrong}"}
        refused(lambda given=given: shop.client.create_recommender(**given), "InvalidInputException")  # type: ignore[misc]
    shop.call("CreateRecommender", input, response={"recommenderArn": arn}, resources=[*group, *touched])
    described = {"recommenderArn": arn}
    found = settled(lambda: shop.client.describe_recommender(**described)["recommender"])
    assert found["status"] == "ACTIVE", found
    assert found["modelMetrics"]["coverage"] > 0
    shop.call("DescribeRecommender", described, resources=touched)
    assert [one["name"] for one in shop.call("ListRecommenders", {"datasetGroupArn": shop.group})["recommenders"]] == [name]

    ask = {"recommenderArn": arn, "userId": "u1", "numResults": 5}
    request = hidden(ask, "recommenderArn", "numResults")
    listed = story.call("personalize-runtime", "GetRecommendations", ask, region=shop.region, request=request, resources=touched)[
        "itemList"
    ]
    bought = {row.split(",")[1] for row in SHOP_ROWS.splitlines() if row.startswith("u1,") and row.endswith("Purchase")}
    assert listed
    assert not bought & {one["itemId"] for one in listed}
    refused(lambda: runtime.get_recommendations(recommenderArn=arn), "InvalidInputException")

    shop.call("StopRecommender", described, response=described, resources=touched)
    assert "INACTIVE" in refused(lambda: runtime.get_recommendations(**ask), "InvalidInputException")
    shop.call("StopRecommender", described, error="ResourceInUseException", resources=touched)
    shop.call("StartRecommender", described, response=described, resources=touched)
    config = {"minRecommendationRequestsPerSecond": 3, "trainingDataConfig": {"excludedDatasetColumns": {"INTERACTIONS": ["EVENT_TYPE"]}}}
    change = {**described, "recommenderConfig": config}
    shop.call("UpdateRecommender", change, response=described, resources=touched)
    updated = settled(lambda: shop.client.describe_recommender(**described)["recommender"]["latestRecommenderUpdate"])
    assert updated["status"] == "ACTIVE", updated
    assert updated["recommenderConfig"] == config
    assert runtime.get_recommendations(**ask)["itemList"]
    refused(lambda: shop.client.delete_dataset_group(datasetGroupArn=shop.group), "ResourceInUseException")
    shop.call("DeleteRecommender", described, resources=touched)
    shop.call("DescribeRecommender", described, error="ResourceNotFoundException")

    few = shop.client.create_recommender(
        name=story.name("few"), datasetGroupArn=shop.group, recipeArn="arn:aws:personalize:::recipe/aws-ecomm-frequently-bought-together"
    )["recommenderArn"]
    assert settled(lambda: shop.client.describe_recommender(recommenderArn=few)["recommender"])["status"] == "ACTIVE"
    beside = runtime.get_recommendations(recommenderArn=few, itemId="i1", numResults=3)["itemList"]
    assert "i1" not in {one["itemId"] for one in beside}
    shop.client.delete_recommender(recommenderArn=few)


def test_tuning_and_updates(story: Story) -> None:
    shop = Shop(story, "eu-south-1")
    client, imports = shop.client, shop.dataset("INTERACTIONS", SCHEMA)
    imported(shop, imports, ROWS)

    def version(stem: str, recipe: str, mode: str = "FULL", **more: Any) -> dict[str, Any]:
        solution = f"arn:aws:personalize:{shop.region}:123456789012:solution/{story.name(stem)}"
        if mode == "FULL":
            arn = f"arn:aws:personalize:::recipe/{recipe}"
            client.create_solution(name=story.name(stem), recipeArn=arn, datasetGroupArn=shop.group, **more)
        made = client.create_solution_version(solutionArn=solution, trainingMode=mode)["solutionVersionArn"]
        return settled(lambda: client.describe_solution_version(solutionVersionArn=made)["solutionVersion"])

    ranges = {"integerHyperParameterRanges": [{"name": "min_cointeraction_count", "minValue": 1, "maxValue": 2}]}
    hpo = {"hpoResourceConfig": {"maxNumberOfTrainingJobs": "2"}, "algorithmHyperParameterRanges": ranges}
    tuned = version("tuned", "aws-sims", performHPO=True, solutionConfig={"hpoConfig": hpo})
    assert tuned["status"] == "ACTIVE", tuned
    assert int(tuned["tunedHPOParams"]["algorithmHyperParameters"]["min_cointeraction_count"]) in (1, 2, 3)
    sims, base = "arn:aws:personalize:::recipe/aws-sims", {"name": story.name("bad"), "datasetGroupArn": shop.group}
    for wrong in (
        {"hpoConfig": {**hpo, "hpoResourceConfig": {"maxNumberOfTrainingJobs": "41"}}},
        {"hpoConfig": {"hpoObjective": {"metricName": "coverage"}}},
        {"hpoConfig": {"algorithmHyperParameterRanges": {"integerHyperParameterRanges": [{"name": "x", "minValue": 1, "maxValue": 2}]}}},
        {"trainingDataConfig": {"excludedDatasetColumns": {"INTERACTIONS": ["NOPE"]}}},
        {"autoTrainingConfig": {"schedulingExpression": "rate(0 days)"}},
        {"algorithmHyperParameters": {"min_cointeraction_count": "11"}},
    ):
        refused(
            lambda wrong=wrong: client.create_solution(recipeArn=sims, performHPO=True, solutionConfig=wrong, **base),  # type: ignore[misc]
            "InvalidInputException",
        )

    recipe = "aws-user-personalization"
    first = version("updated", recipe, performAutoTraining=False)
    refused(lambda: client.create_solution_version(solutionArn=tuned["solutionArn"], trainingMode="UPDATE"), "InvalidInputException")
    tracking = client.create_event_tracker(name=story.name("clicks"), datasetGroupArn=shop.group)["trackingId"]
    clicked = [{"eventType": "click", "itemId": "brand-new", "sentAt": 1_700_000_000}]
    stream = story.client("personalize-events", region=shop.region)
    for user in ("u1", "u2", "u3"):
        stream.put_events(trackingId=tracking, userId=user, sessionId=user, eventList=clicked)
    second = version("updated", recipe, "UPDATE")
    assert (first["trainingMode"], second["trainingMode"], second["status"]) == ("FULL", "UPDATE", "ACTIVE"), second
    metrics = [client.get_solution_metrics(solutionVersionArn=one["solutionVersionArn"])["metrics"] for one in (first, second)]
    assert metrics[0] == metrics[1]
    latest = f"{first['solutionArn']}/$LATEST"
    refused(lambda: client.create_campaign(name=story.name("c"), solutionVersionArn=latest), "InvalidInputException")
    campaign = client.create_campaign(
        name=story.name("c"), solutionVersionArn=latest, campaignConfig={"syncWithLatestSolutionVersion": True}
    )["campaignArn"]
    assert client.describe_campaign(campaignArn=campaign)["campaign"]["solutionVersionArn"] == second["solutionVersionArn"]
    runtime = story.client("personalize-runtime", region=shop.region)
    found = runtime.get_recommendations(campaignArn=campaign, userId="nobody", numResults=500)["itemList"]
    assert "brand-new" in {one["itemId"] for one in found}
    third = version("updated", recipe, "UPDATE")["solutionVersionArn"]
    assert client.describe_campaign(campaignArn=campaign)["campaign"]["solutionVersionArn"] == third


def test_data_that_cannot_be_used_say_why(story: Story) -> None:
    shop = Shop(story, "me-south-1")
    client, dataset = shop.client, shop.dataset("INTERACTIONS", SCHEMA)
    solution = client.create_solution(name=story.name("s"), recipeArn=RECIPE, datasetGroupArn=shop.group)["solutionArn"]
    assert "no INTERACTIONS data" in refused(lambda: client.create_solution_version(solutionArn=solution), "InvalidInputException")
    head, reader = "USER_ID,ITEM_ID,TIMESTAMP\n", role(story)
    hostile = {
        "empty": ("", "Input CSV is missing the following columns:[USER_ID, ITEM_ID, TIMESTAMP]."),
        "quote": (head + 'a,"b,1\n' * 3, "line"),
        "short": (head + "a,b,1\na,b\n", "short.csv, line 3: the row has 2 values"),
        "number": (head + "a,b,1\na,b,1e400\n", "number.csv, line 3, column TIMESTAMP: the value is not a long."),
        "hole": (head + ",b,1\n", "hole.csv, line 2, column USER_ID: the value is missing"),
        "nul": (head + "a\0b,b,99999999999999999999\n", "nul.csv, line 2, column TIMESTAMP"),
        "twice": ("USER_ID,ITEM_ID,TIMESTAMP,USER_ID\na,b,1,c\n", "twice.csv: column USER_ID appears twice"),
    }
    bucket = put_csv(story, shop.region, {f"{name}.csv": text or "\n" for name, (text, _) in hostile.items()})
    for name, (_, reason) in hostile.items():
        source = {"dataLocation": f"s3://{bucket}/{name}.csv"}
        job = client.create_dataset_import_job(jobName=story.name(name), datasetArn=dataset, dataSource=source, roleArn=reader)
        named = {"datasetImportJobArn": job["datasetImportJobArn"]}
        found = settled(lambda: client.describe_dataset_import_job(**named)["datasetImportJob"])  # noqa: B023
        assert (found["status"], reason in found["failureReason"]) == ("CREATE FAILED", True), found
    imported(shop, dataset, head + "".join(f"u{n % 3},i{n},{n}\n" for n in range(5)))
    version = client.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    found = settled(lambda: client.describe_solution_version(solutionVersionArn=version)["solutionVersion"])
    assert (found["status"], found["failureReason"]) == ("CREATE FAILED", "Dataset has fewer than 1000 interactions.")


def campaign_of(shop: Shop, stem: str, recipe: str, **config: Any) -> str:
    """A campaign of a solution trained on the group's data."""
    client, name = shop.client, shop.story.name(stem)
    arn = f"arn:aws:personalize:::recipe/{recipe}"
    solution = client.create_solution(name=name, recipeArn=arn, datasetGroupArn=shop.group)["solutionArn"]
    version = client.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    found = settled(lambda: client.describe_solution_version(solutionVersionArn=version)["solutionVersion"])
    assert found["status"] == "ACTIVE", found
    made = client.create_campaign(name=name, solutionVersionArn=version, **({"campaignConfig": config} if config else {}))
    return str(made["campaignArn"])


def hidden(input: dict[str, Any], *kept: str) -> dict[str, Any]:
    """An input as records show it: only these members in clear."""
    return {name: value if name in kept else HIDDEN for name, value in input.items()}


@covers("personalize-runtime", "GetRecommendations", "GetPersonalizedRanking")
@covers("personalize-events", "PutEvents", "PutItems", "PutUsers")
def test_recommendations_and_events(story: Story) -> None:
    shop = Shop(story, "eu-west-2")
    region, client = shop.region, shop.client
    visits = shop.dataset("INTERACTIONS", SCHEMA)
    items, users = shop.dataset("ITEMS", ITEMS), shop.dataset("USERS", avro("Users", ("USER_ID", "string", {}), ("AGE", "int", {})))
    imported(shop, visits, ROWS)
    tracking = client.create_event_tracker(name=story.name("clicks"), datasetGroupArn=shop.group)
    campaign = campaign_of(shop, "picks", "aws-user-personalization-v2", enableMetadataWithRecommendations=True)
    touched = [("AWS::Personalize::Campaign", campaign)]

    def recommended(**more: Any) -> list[dict[str, Any]]:
        input = {"campaignArn": campaign, "userId": "u1", "numResults": 10, **more}
        filtered = [("AWS::Personalize::Filter", more["filterArn"])] if "filterArn" in more else []
        request = hidden(input, "campaignArn", "numResults", "filterArn")
        answer = story.call(
            "personalize-runtime", "GetRecommendations", input, region=region, request=request, resources=touched + filtered
        )
        assert answer["recommendationId"]
        return list(answer["itemList"])

    first = recommended()
    assert len(first) == 10
    assert all(0 < one["score"] <= 1 for one in first)
    assert [one["score"] for one in first] == sorted((one["score"] for one in first), reverse=True)

    # An event that was put counts in the very next recommendation: of a stranger, of a session, and of the user it turns out to be.
    stranger, session = story.name("stranger"), story.name("session")
    before = recommended(userId=session)
    event = {"trackingId": tracking["trackingId"], "sessionId": session}
    clicked = [{"eventType": "click", "itemId": item, "sentAt": 1_700_000_000 + n} for n, item in enumerate(("i3", "i7", "i3"))]
    request = hidden({**event, "eventList": clicked}, "trackingId")
    tracker = [("AWS::Personalize::EventTracker", tracking["eventTrackerArn"])]
    story.call("personalize-events", "PutEvents", {**event, "eventList": clicked}, region=region, request=request, resources=tracker)
    after = recommended(userId=session)
    assert [one["itemId"] for one in after] != [one["itemId"] for one in before]
    story.client("personalize-events", region=region).put_events(**event, userId=stranger, eventList=clicked[:1])
    assert [one["itemId"] for one in recommended(userId=stranger)] != [one["itemId"] for one in before]

    # An event id names one event of the group: what comes again under it is not a second event.
    same = {**event, "sessionId": story.name("same"), "userId": stranger, "eventList": [{**clicked[0], "eventId": story.name("event")}]}
    for _ in range(2):
        story.client("personalize-events", region=region).put_events(**same)
    with story.live.server.snapshot() as view:
        counted = view.one(Sql("SELECT count(*) FROM personalize_event WHERE session_id = :session"), session=same["sessionId"])
    assert counted == (1,)

    # The attributes of an item count at once, too.
    drama = client.create_filter(
        name=story.name("drama"), datasetGroupArn=shop.group, filterExpression="INCLUDE ItemID WHERE Items.GENRE IN ($GENRE)"
    )["filterArn"]
    by_genre = {"filterArn": drama, "filterValues": {"GENRE": '"drama"'}}
    assert recommended(**by_genre) == []
    put = {"datasetArn": items, "items": [{"itemId": name, "properties": '{"genre": "drama"}'} for name in ("i1", "i2")]}
    where = [("AWS::Personalize::Dataset", items)]
    story.call("personalize-events", "PutItems", put, region=region, request=hidden(put, "datasetArn"), resources=where)
    found = recommended(**by_genre, metadataColumns={"ITEMS": ["GENRE"]})
    assert {one["itemId"] for one in found} == {"i1", "i2"}
    assert {one["metadata"]["genre" if "genre" in one["metadata"] else "GENRE"] for one in found} == {"drama"}

    put = {"datasetArn": users, "users": [{"userId": stranger, "properties": '{"AGE": 40}'}]}
    where = [("AWS::Personalize::Dataset", users)]
    story.call("personalize-events", "PutUsers", put, region=region, request=hidden(put, "datasetArn"), resources=where)
    young = client.create_filter(
        name=story.name("young"),
        datasetGroupArn=shop.group,
        filterExpression='EXCLUDE ItemID WHERE Items.GENRE IN ("drama") IF CurrentUser.AGE > 30',
    )["filterArn"]
    assert not {"i1", "i2"} & {one["itemId"] for one in recommended(userId=stranger, filterArn=young, numResults=100)}
    assert {"i1", "i2"} & {one["itemId"] for one in recommended(filterArn=young, numResults=100)}

    runtime = story.client("personalize-runtime", region=region)
    for wrong in (
        {"userId": ""},
        {"filterArn": drama},
        {"numResults": 501},
        {"metadataColumns": {"ITEMS": ["NOPE"]}},
        {"recommenderArn": campaign},
    ):
        given = {name: value for name, value in {"campaignArn": campaign, "userId": "u1", **wrong}.items() if value}
        refused(lambda given=given: runtime.get_recommendations(**given), "InvalidInputException")  # type: ignore[misc]
    stream = story.client("personalize-events", region=region)
    refused(lambda: stream.put_events(trackingId="nope", sessionId="s", eventList=clicked), "InvalidInputException")
    bad = {"datasetArn": items, "items": [{"itemId": "i1", "properties": '{"nope": 1}'}]}
    refused(lambda: stream.put_items(**bad), "InvalidInputException")

    ranking = campaign_of(shop, "ranks", "aws-personalized-ranking-v2")
    ask = {"campaignArn": ranking, "userId": "u1", "inputList": ["i5", "unknown", "i9", "i1"]}
    resources = [("AWS::Personalize::Campaign", ranking)]
    answer = story.call(
        "personalize-runtime", "GetPersonalizedRanking", ask, region=region, request=hidden(ask, "campaignArn"), resources=resources
    )
    ranked = answer["personalizedRanking"]
    assert sorted(one["itemId"] for one in ranked) == sorted(ask["inputList"])
    assert sum(one["score"] for one in ranked) == pytest.approx(1.0)


ACTIONS = avro("Actions", ("ACTION_ID", "string", {}), ("KIND", ["null", "string"], {"categorical": True}), ("VALUE", ["null", "long"], {}))
ACTION_ROWS = "ACTION_ID,KIND,VALUE\n" + "".join(f"a{n},{'call' if n % 2 else 'mail'},{n}\n" for n in range(6))
DEEDS = avro("ActionInteractions", *(WHO[0], ("ACTION_ID", "string", {}), WHO[2], ("EVENT_TYPE", "string", {})))
DEED_ROWS = "USER_ID,ACTION_ID,TIMESTAMP,EVENT_TYPE\n" + "".join(
    f"u{n % 60},a{n // 60 % 5},{1_600_000_000 + n},{'Taken' if n // 60 % 5 < n % 7 else 'Not Taken'}\n" for n in range(1_800)
)


@covers("personalize-runtime", "GetActionRecommendations")
@covers("personalize-events", "PutActions", "PutActionInteractions")
def test_actions(story: Story) -> None:
    shop = Shop(story, "sa-east-1")
    region, client = shop.region, shop.client
    actions, deeds = shop.dataset("ACTIONS", ACTIONS), shop.dataset("ACTION_INTERACTIONS", DEEDS)
    imported(shop, actions, ACTION_ROWS)
    imported(shop, deeds, DEED_ROWS)
    tracking = client.create_event_tracker(name=story.name("deeds"), datasetGroupArn=shop.group)
    campaign = campaign_of(shop, "next", "aws-next-best-action")
    touched = [("AWS::Personalize::Campaign", campaign)]

    def recommended(**more: Any) -> list[dict[str, Any]]:
        ask = {"campaignArn": campaign, "userId": "u1", "numResults": 6, **more}
        filtered = [("AWS::Personalize::Filter", more["filterArn"])] if "filterArn" in more else []
        request = hidden(ask, "campaignArn", "numResults", "filterArn")
        found = story.call(
            "personalize-runtime", "GetActionRecommendations", ask, region=region, request=request, resources=touched + filtered
        )
        assert found["recommendationId"]
        return list(found["actionList"])

    first = recommended()
    scores = [one["score"] for one in first if "score" in one]
    assert (len(first), scores) == (6, sorted(scores, reverse=True))
    assert len(scores) == 5

    # What a user did with an action counts in the very next call, and what an action is like, too.
    deed = {"actionId": first[0]["actionId"], "userId": "u1", "sessionId": "s1", "timestamp": 1_700_000_000, "eventType": "Not Taken"}
    put = {"trackingId": tracking["trackingId"], "actionInteractions": [deed] * 5}
    tracker = [("AWS::Personalize::EventTracker", tracking["eventTrackerArn"])]
    story.call("personalize-events", "PutActionInteractions", put, region=region, request=hidden(put, "trackingId"), resources=tracker)
    again = {one["actionId"]: one.get("score", 0.0) for one in recommended()}
    assert again[first[0]["actionId"]] != first[0]["score"]

    letters = client.create_filter(
        name=story.name("letters"), datasetGroupArn=shop.group, filterExpression='INCLUDE ActionID WHERE Actions.KIND IN ("letter")'
    )["filterArn"]
    assert recommended(filterArn=letters) == []
    put = {"datasetArn": actions, "actions": [{"actionId": "a3", "properties": '{"kind": "letter"}'}]}
    where = [("AWS::Personalize::Dataset", actions)]
    story.call("personalize-events", "PutActions", put, region=region, request=hidden(put, "datasetArn"), resources=where)
    assert [one["actionId"] for one in recommended(filterArn=letters)] == ["a3"]

    runtime, stream = story.client("personalize-runtime", region=region), story.client("personalize-events", region=region)
    refused(lambda: runtime.get_recommendations(campaignArn=campaign, userId="u1"), "InvalidInputException")
    refused(lambda: runtime.get_action_recommendations(campaignArn=campaign), "InvalidInputException")
    refused(lambda: runtime.get_action_recommendations(campaignArn=campaign, userId="u1", numResults=101), "InvalidInputException")
    refused(lambda: stream.put_actions(datasetArn=deeds, actions=put["actions"]), "InvalidInputException")
    refused(lambda: stream.put_events(trackingId=tracking["trackingId"], sessionId="s", eventList=[
        {"eventType": "click", "itemId": "i1", "sentAt": 1_700_000_000}
    ]), "InvalidInputException")  # fmt: skip


@covers("personalize", "CreateEventTracker", "DescribeEventTracker", "ListEventTrackers", "DeleteEventTracker")
def test_event_trackers(story: Story) -> None:
    shop = Shop(story, "ap-northeast-1")
    client, input = shop.client, {"name": story.name("clicks"), "datasetGroupArn": shop.group}
    made = client.create_event_tracker(**input, tags=TAGS)
    touched = [("AWS::Personalize::EventTracker", made["eventTrackerArn"])]
    found = shop.call("DescribeEventTracker", {"eventTrackerArn": made["eventTrackerArn"]}, resources=touched)["eventTracker"]
    assert (found["trackingId"], found["datasetGroupArn"]) == (made["trackingId"], shop.group)
    listed = shop.call("ListEventTrackers", {"datasetGroupArn": shop.group})["eventTrackers"]
    assert [one["eventTrackerArn"] for one in listed] == [made["eventTrackerArn"]]
    assert "More than 1" in refused(lambda: client.create_event_tracker(**input), "LimitExceededException")
    shop.call("DeleteEventTracker", {"eventTrackerArn": made["eventTrackerArn"]}, resources=touched)
    drawn = {"eventTrackerArn": Like(r"arn:aws:personalize:.*:event-tracker/[0-9a-f]{8}"), "trackingId": UUID}
    group = ("AWS::Personalize::DatasetGroup", shop.group)
    shop.call("CreateEventTracker", input, response=drawn, resources=[group, ("AWS::Personalize::EventTracker", drawn["eventTrackerArn"])])


@covers("personalize", "CreateFilter", "DescribeFilter", "ListFilters", "DeleteFilter")
def test_filters(story: Story) -> None:
    shop = Shop(story, "ap-northeast-2")
    shop.dataset("ITEMS", ITEMS)
    expression = 'INCLUDE ItemID WHERE Items.GENRE IN ("drama")'
    input = {"name": story.name("drama"), "datasetGroupArn": shop.group, "filterExpression": expression}
    arn = f"arn:aws:personalize:{shop.region}:123456789012:filter/{input['name']}"
    touched, group = [("AWS::Personalize::Filter", arn)], [("AWS::Personalize::DatasetGroup", shop.group)]
    shop.call("CreateFilter", input, request={**input, "filterExpression": HIDDEN}, response={"filterArn": arn}, resources=group + touched)
    found = shop.call("DescribeFilter", {"filterArn": arn}, resources=touched)["filter"]
    assert (found["filterExpression"], found["status"]) == (expression, "ACTIVE")
    assert [one["filterArn"] for one in shop.call("ListFilters", {"datasetGroupArn": shop.group})["Filters"]] == [arn]
    for text, position in (("INCLUDE ItemID", "position"), ("INCLUDE ItemID WHERE Items.NOPE = 1", "no field NOPE")):
        bad = refused(lambda text=text: shop.client.create_filter(**{**input, "filterExpression": text}), "InvalidInputException")  # type: ignore[misc]
        assert position in bad
    for number in range(9):
        shop.client.create_filter(**{**input, "name": story.name(f"f{number}")})
    assert "More than 10" in refused(lambda: shop.client.create_filter(**{**input, "name": "one-more"}), "LimitExceededException")
    shop.call("DeleteFilter", {"filterArn": arn}, resources=touched)
    shop.call("DescribeFilter", {"filterArn": arn}, error="ResourceNotFoundException")


@covers("personalize", "ListRecipes", "DescribeRecipe", "DescribeAlgorithm", "DescribeFeatureTransformation")
def test_what_is_built_in(story: Story) -> None:
    listed = story.call("personalize", "ListRecipes", {"domain": "ECOMMERCE"})["recipes"]
    assert len(listed) == 5
    pages = list(story.client("personalize").get_paginator("list_recipes").paginate(PaginationConfig={"PageSize": 10}))
    names = [one["name"] for page in pages for one in page["recipes"]]
    assert "aws-sims" in names
    assert names == sorted(set(names))
    recipe = story.call("personalize", "DescribeRecipe", {"recipeArn": "arn:aws:personalize:::recipe/aws-sims"})["recipe"]
    assert recipe["recipeType"] == "RELATED_ITEMS"
    algorithm = story.call("personalize", "DescribeAlgorithm", {"algorithmArn": recipe["algorithmArn"]})["algorithm"]
    assert algorithm["defaultHyperParameters"]["min_cointeraction_count"] == "3"
    assert {"name": "min_cointeraction_count", "minValue": 0, "maxValue": 10, "isTunable": True} in algorithm[
        "defaultHyperParameterRanges"
    ]["integerHyperParameterRanges"]
    arn = recipe["featureTransformationArn"]
    assert story.call("personalize", "DescribeFeatureTransformation", {"featureTransformationArn": arn})["featureTransformation"]["name"]
    unknown = {"recipeArn": "arn:aws:personalize:::recipe/aws-nope"}
    story.call("personalize", "DescribeRecipe", unknown, error="ResourceNotFoundException")


@covers("personalize", "TagResource", "UntagResource", "ListTagsForResource")
def test_tags(story: Story) -> None:
    arn = story.client("personalize").create_schema(name=story.name("tagged"), schema=SCHEMA)["schemaArn"]
    touched = [("AWS::Personalize::Schema", arn)]
    story.call(
        "personalize", "TagResource", {"resourceArn": arn, "tags": TAGS}, request={"resourceArn": arn, "tags": HIDDEN}, resources=touched
    )
    assert story.call("personalize", "ListTagsForResource", {"resourceArn": arn}, resources=touched)["tags"] == TAGS
    gone = {"resourceArn": arn, "tagKeys": ["ward"]}
    story.call("personalize", "UntagResource", gone, request={"resourceArn": arn, "tagKeys": HIDDEN}, resources=touched)
    assert story.client("personalize").list_tags_for_resource(resourceArn=arn)["tags"] == []
    many = [{"tagKey": f"k{number}", "tagValue": ""} for number in range(51)]
    story.call(
        "personalize", "TagResource", {"resourceArn": arn, "tags": many}, request={"resourceArn": arn, "tags": HIDDEN},
        error="TooManyTagsException",
    )  # fmt: skip


def refused(call: Callable[[], Any], code: str) -> str:
    """The message of a call that must fail with this code."""
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value.response["Error"]["Message"])
