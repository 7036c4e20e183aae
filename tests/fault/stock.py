"""The rest of the shop, for operations whose least input needs more than one of everything: a domain's recommender, people and actions,
a metric attribution, a user segmentation, a bucket's places for jobs, a release of SNOMED CT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.servers import Server

from opentrail.services.comprehendmedical import vocabularies
from tests.fault import shop
from tests.unit.services.comprehendmedical.releases import patient_set

Least = dict[tuple[str, str], dict[str, Any]]
ROWS = range(1_800)
WHO = {"name": "USER_ID", "type": "string"}
WHEN = {"name": "TIMESTAMP", "type": "long"}
KIND = {"name": "EVENT_TYPE", "type": "string"}
METRIC = {"eventType": "view", "metricName": "views", "expression": "SAMPLECOUNT()"}
REPORTS = {"s3DataDestination": {"path": "s3://box/reports"}, "roleArn": shop.ROLE}
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def filled(server: Server, known: dict[str, Any], data: Path) -> Least:
    """Fills the shop that `known` names further; what to add to the least input of operations. `data` is the server's data folder."""
    group = known["datasetGroupArn"]
    vocabularies.load("snomed", patient_set(data.parent / "snomed.tsv"), "2025-03-01", data)
    spare = {"datasetGroupArn": server.client("personalize").create_dataset_group(name="spare")["datasetGroupArn"]}
    return {
        **_odds(server, known["ResourceId"]),
        ("personalize", "CreateDataset"): spare,
        ("personalize", "CreateEventTracker"): spare,
        **_domain(server),
        **_people(server, group),
        **_actions(server, group, known["trackingId"]),
        **_attribution(server, group, known["datasetArn"]),
        **_jobs(server, group),
    }


def _odds(server: Server, trail: str) -> Least:
    s3, iam = server.client("s3"), server.client("iam")
    for bucket in ("tagged", "empty"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_tagging(Bucket="tagged", Tagging={"TagSet": [{"Key": "ward", "Value": "east"}]})
    for user in ("spare", "keyed"):
        iam.create_user(UserName=user)
    made = [iam.create_access_key(UserName="keyed")["AccessKey"]["AccessKeyId"] for _ in range(2)]
    return {
        ("cloudtrail", "ListTags"): {"ResourceIdList": [trail]},
        ("iam", "UpdateUser"): {"UserName": "spare"},
        ("iam", "UpdateAccessKey"): {"UserName": "keyed", "AccessKeyId": made[0]},
        ("iam", "DeleteAccessKey"): {"UserName": "keyed", "AccessKeyId": made[1]},
        ("s3", "GetBucketTagging"): {"Bucket": "tagged"},
        ("s3", "DeleteBucket"): {"Bucket": "empty"},
    }


def _avro(name: str, *fields: dict[str, Any]) -> str:
    return json.dumps({"type": "record", "name": name, "namespace": "com.amazonaws.personalize.schema", "fields": fields, "version": "1.0"})


def _dataset(server: Server, group: str, type: str, schema: str, rows: str = "", **domain: str) -> str:
    """A dataset with the rows of a CSV text."""
    personalize, name = server.client("personalize"), f"{type}-{'-'.join(domain.values())}".lower()
    form = personalize.create_schema(name=name, schema=schema, **domain)["schemaArn"]
    made = personalize.create_dataset(name=name, schemaArn=form, datasetGroupArn=group, datasetType=type)["datasetArn"]
    if rows:
        server.client("s3").put_object(Bucket="box", Key=f"{name}.csv", Body=rows.encode())
        source = {"dataLocation": f"s3://box/{name}.csv"}
        job = personalize.create_dataset_import_job(jobName=name, datasetArn=made, dataSource=source, roleArn=shop.ROLE)
        shop.done(lambda: personalize.describe_dataset_import_job(datasetImportJobArn=job["datasetImportJobArn"])["datasetImportJob"])
    return str(made)


def _domain(server: Server) -> Least:
    personalize, recipe = server.client("personalize"), f"{shop.RECIPE}aws-ecomm-recommended-for-you"
    group = personalize.create_dataset_group(name="market", domain="ECOMMERCE")["datasetGroupArn"]
    rows = "".join(f"u{n % 60},i{n * n % 37 + n % 5},{1_600_000_000 + n},{'View' if n % 3 else 'Purchase'}\n" for n in ROWS)
    schema = _avro("Interactions", WHO, {"name": "ITEM_ID", "type": "string"}, WHEN, KIND)
    _dataset(server, group, "Interactions", schema, "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n" + rows, domain="ECOMMERCE")
    made = personalize.create_recommender(name="first", datasetGroupArn=group, recipeArn=recipe)["recommenderArn"]
    shop.done(lambda: personalize.describe_recommender(recommenderArn=made)["recommender"])
    return {
        ("personalize", "CreateRecommender"): {"datasetGroupArn": group, "recipeArn": recipe},
        ("personalize", "UpdateRecommender"): {"recommenderArn": made, "recommenderConfig": {"minRecommendationRequestsPerSecond": 1}},
        ("personalize", "CreateMetricAttribution"): {"datasetGroupArn": group, "metrics": [METRIC], "metricsOutputConfig": REPORTS},
    }


def _people(server: Server, group: str) -> Least:
    users = _dataset(server, group, "Users", _avro("Users", WHO, {"name": "AGE", "type": ["null", "int"]}))
    goods = f"{users.rpartition('/')[0]}/ITEMS"
    return {
        ("personalize-events", "PutUsers"): {"datasetArn": users, "users": [{"userId": "u1"}]},
        ("personalize-events", "PutItems"): {"datasetArn": goods, "items": [{"itemId": "i1"}]},
    }


def _actions(server: Server, group: str, tracker: str) -> Least:
    id = {"name": "ACTION_ID", "type": "string"}
    form = {"name": "FORM", "type": ["null", "string"], "categorical": True}
    rows = "ACTION_ID,FORM\n" + "".join(f"a{n},call\n" for n in range(6))
    actions = _dataset(server, group, "Actions", _avro("Actions", id, form), rows)
    deeds = "".join(f"u{n % 60},a{n // 60 % 5},{1_600_000_000 + n},{'Taken' if n % 7 > 2 else 'Not Taken'}\n" for n in ROWS)
    _dataset(
        server, group, "Action_Interactions", _avro("ActionInteractions", WHO, id, WHEN, KIND),
        "USER_ID,ACTION_ID,TIMESTAMP,EVENT_TYPE\n" + deeds,
    )  # fmt: skip
    next_best = shop.campaign(server, group, "aws-next-best-action")
    deed = {"actionId": "a1", "userId": "u1", "sessionId": "s", "timestamp": 1_700_000_000, "eventType": "Taken"}
    return {
        ("personalize-runtime", "GetActionRecommendations"): {"campaignArn": next_best, "userId": "u1"},
        ("personalize-events", "PutActions"): {"datasetArn": actions, "actions": [{"actionId": "a1"}]},
        ("personalize-events", "PutActionInteractions"): {"trackingId": tracker, "actionInteractions": [deed]},
    }


def _attribution(server: Server, group: str, visits: str) -> Least:
    personalize = server.client("personalize")
    made = personalize.create_metric_attribution(name="impact", datasetGroupArn=group, metrics=[METRIC], metricsOutputConfig=REPORTS)
    arn = made["metricAttributionArn"]
    return {
        ("personalize", "UpdateMetricAttribution"): {"metricAttributionArn": arn, "removeMetrics": []},
        ("personalize", "ListMetricAttributionMetrics"): {"metricAttributionArn": arn},
        ("personalize", "CreateDatasetImportJob"): {"datasetArn": visits, "roleArn": shop.ROLE},
    }


def _jobs(server: Server, group: str) -> Least:
    server.client("s3").put_object(Bucket="box", Key="asked/people.json", Body=b'{"userId": "u1"}')
    server.client("s3").put_object(Bucket="box", Key="in/patients.ndjson", Body=b'{"resourceType":"Patient","id":"p9"}\n')
    paths = {
        "jobInput": {"s3DataSource": {"path": "s3://box/asked/people.json"}},
        "jobOutput": {"s3DataDestination": {"path": "s3://box/out/"}},
        "roleArn": shop.ROLE,
    }
    personalize = server.client("personalize")
    people = shop.solution_version(server, group, "aws-item-affinity")
    personal = shop.solution_version(server, group, "aws-user-personalization-v2")
    of_items = personalize.create_filter(name="items", datasetGroupArn=group, filterExpression='INCLUDE ItemID WHERE Items.GENRE IN ("a")')
    of_people = personalize.create_filter(name="people", datasetGroupArn=group, filterExpression="INCLUDE UserID WHERE Users.AGE > 5")
    put = {"S3Configuration": {"S3Uri": "s3://box/fhir", "KmsKeyId": KEY}}
    return {
        ("personalize", "CreateBatchInferenceJob"): {**paths, "solutionVersionArn": personal, "filterArn": of_items["filterArn"]},
        ("personalize", "CreateBatchSegmentJob"): {**paths, "solutionVersionArn": people, "filterArn": of_people["filterArn"]},
        ("personalize", "CreateDatasetExportJob"): {"jobOutput": paths["jobOutput"], "roleArn": shop.ROLE},
        ("healthlake", "StartFHIRExportJob"): {"OutputDataConfig": put, "DataAccessRoleArn": shop.ROLE},
        ("healthlake", "StartFHIRImportJob"): {
            "InputDataConfig": {"S3Uri": "s3://box/in/"}, "JobOutputDataConfig": put, "DataAccessRoleArn": shop.ROLE,
        },
    }  # fmt: skip
