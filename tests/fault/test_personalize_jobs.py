"""kill -9 of the work role while it imports and while it trains: the next one begins the job again, and it ends well."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.servers import REGION, Server, serving

ROWS = "USER_ID,ITEM_ID,TIMESTAMP\n" + "".join(f"u{n % 3_001},i{n * n % 1_999},{1_600_000_000 + n}\n" for n in range(150_000))
SCHEMA = {
    "type": "record", "name": "Interactions", "namespace": "com.amazonaws.personalize.schema", "version": "1.0",
    "fields": [{"name": name, "type": kind} for name, kind in (("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long"))],
}  # fmt: skip
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow", "Principal": {"Service": "personalize.amazonaws.com"}, "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
        }
    ],
}  # fmt: skip


def until(status: Callable[[], str], *wanted: str) -> str:
    """Waits for one of these statuses."""
    end = time.monotonic() + 120
    while (found := status()) not in wanted:
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def killed_at_work(server: Server, status: Callable[[], str], process: Callable[[], bool]) -> None:
    """Kills the work role while the job's process runs, and waits for the job to be done all the same."""
    until(lambda: "now" if process() else status(), "now")
    server.kill("work")
    assert status() == "CREATE IN_PROGRESS"
    assert until(status, "ACTIVE", "CREATE FAILED") == "ACTIVE"


def test_jobs_survive_the_end_of_the_work_role(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        personalize, s3 = server.client("personalize"), server.client("s3")
        s3.create_bucket(Bucket="data")
        s3.put_bucket_policy(Bucket="data", Policy=json.dumps(POLICY))
        s3.put_object(Bucket="data", Key="a.csv", Body=ROWS.encode())
        schema = personalize.create_schema(name="visits", schema=json.dumps(SCHEMA))["schemaArn"]
        group = personalize.create_dataset_group(name="shop")["datasetGroupArn"]
        dataset = personalize.create_dataset(name="visits", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions")[
            "datasetArn"
        ]
        folder = tmp_path / "data" / "personalize"

        def working(kind: str) -> bool:
            task = folder / "scratch" / "task.json"
            try:
                text: dict[str, Any] = json.loads(task.read_text())
            except (FileNotFoundError, ValueError):
                return False
            return text["work"] == kind and not (folder / "scratch" / "result.json").exists()

        role = f"arn:aws:iam::123456789012:role/{REGION}"
        job = personalize.create_dataset_import_job(
            jobName="first", datasetArn=dataset, dataSource={"dataLocation": "s3://data/a.csv"}, roleArn=role
        )["datasetImportJobArn"]
        described = lambda: personalize.describe_dataset_import_job(datasetImportJobArn=job)["datasetImportJob"]["status"]  # noqa: E731
        killed_at_work(server, described, lambda: working("import"))
        recipe = "arn:aws:personalize:::recipe/aws-sims"
        solution = personalize.create_solution(name="like-this", recipeArn=recipe, datasetGroupArn=group)["solutionArn"]
        version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
        trained = lambda: personalize.describe_solution_version(solutionVersionArn=version)["solutionVersion"]["status"]  # noqa: E731
        killed_at_work(server, trained, lambda: working("train"))
        assert personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]["coverage"] > 0
        assert len(list((folder / "segments").iterdir())) == 1
        assert server.stop() == 0
