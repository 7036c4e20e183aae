"""A small shop in Personalize: data, a trained solution, a campaign, so that valid requests reach what stands behind them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.servers import ACCOUNT, Server

VISITS = "USER_ID,ITEM_ID,TIMESTAMP\n" + "".join(f"u{n % 60},i{n * n % 37 + n % 5},{1_600_000_000 + n}\n" for n in range(1_500))
GOODS = (
    '{"type":"record","name":"Items","namespace":"com.amazonaws.personalize.schema","fields":[{"name":"ITEM_ID","type":"string"},'
    '{"name":"GENRE","type":["null","string"],"categorical":true}],"version":"1.0"}'
)
RECIPE = "arn:aws:personalize:::recipe/"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker"


def opened(server: Server, group: str, schema: str) -> dict[str, Any]:
    """Opens it in a dataset group, with data from the bucket `box`; what things are called, by member name."""
    personalize = server.client("personalize")
    server.client("s3").put_object(Bucket="box", Key="visits.csv", Body=VISITS.encode())
    source = {"dataLocation": "s3://box/visits.csv"}
    dataset = personalize.create_dataset(name="visits", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions")["datasetArn"]
    job = personalize.create_dataset_import_job(jobName="first", datasetArn=dataset, dataSource=source, roleArn=ROLE)["datasetImportJobArn"]
    done(lambda: personalize.describe_dataset_import_job(datasetImportJobArn=job)["datasetImportJob"])
    served = campaign(server, group, "aws-sims")
    version = personalize.describe_campaign(campaignArn=served)["campaign"]["solutionVersionArn"]
    goods = personalize.create_schema(name="goods", schema=GOODS)["schemaArn"]
    personalize.create_dataset(name="goods", schemaArn=goods, datasetGroupArn=group, datasetType="Items")
    expression = "INCLUDE ItemID WHERE Items.GENRE IN ($GENRE)"
    tracker = personalize.create_event_tracker(name="live", datasetGroupArn=group)
    kept = personalize.create_filter(name="some", datasetGroupArn=group, filterExpression=expression)["filterArn"]
    return {
        "datasetArn": dataset, "datasetType": "Interactions", "dataSource": source, "datasetImportJobArn": job, "recipeArn": f"{RECIPE}aws-sims",
        "solutionArn": version.rpartition("/")[0], "solutionVersionArn": version, "campaignArn": served, "filterArn": kept, "filterExpression": expression,
        "eventTrackerArn": tracker["eventTrackerArn"], "trackingId": tracker["trackingId"], "resourceArn": group, "roleArn": ROLE,
        "algorithmArn": "arn:aws:personalize:::algorithm/aws-sims", "itemId": "i1", "filterValues": {"GENRE": '"a"'}, "metadataColumns": {"ITEMS": ["GENRE"]},
        "featureTransformationArn": "arn:aws:personalize:::feature-transformation/JSON-percentile-filtering",
    }  # fmt: skip


def campaign(server: Server, group: str, recipe: str) -> str:
    """A campaign of a solution that was trained by a recipe."""
    version = solution_version(server, group, recipe)
    made = server.client("personalize").create_campaign(name=recipe, solutionVersionArn=version, minProvisionedTPS=1)
    return str(made["campaignArn"])


def solution_version(server: Server, group: str, recipe: str) -> str:
    """A solution that was trained by a recipe."""
    personalize = server.client("personalize")
    solution = personalize.create_solution(name=recipe, recipeArn=RECIPE + recipe, datasetGroupArn=group)["solutionArn"]
    version = str(personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"])
    done(lambda: personalize.describe_solution_version(solutionVersionArn=version)["solutionVersion"])
    return version


def done(described: Callable[[], dict[str, Any]]) -> None:
    """Waits until a job has ended well."""
    until = time.monotonic() + 120
    while (status := described()["status"]) != "ACTIVE":
        assert not status.endswith("FAILED"), described()
        assert time.monotonic() < until, status
        time.sleep(0.05)
