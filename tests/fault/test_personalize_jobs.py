"""kill -9 of the work role in every kind of job: the next one begins the job again, and it ends well, with nothing twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.servers import Server, serving

ROWS = "USER_ID,ITEM_ID,TIMESTAMP\n" + "".join(f"u{n % 3_001},i{n * n % 1_999},{1_600_000_000 + n}\n" for n in range(150_000))
SCHEMA = {
    "type": "record", "name": "Interactions", "namespace": "com.amazonaws.personalize.schema", "version": "1.0",
    "fields": [{"name": name, "type": kind} for name, kind in (("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long"))],
}  # fmt: skip


def allowing(action: str | list[str], **more: object) -> str:
    """A policy of one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **more}]})


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
        iam = server.client("iam")
        trust = allowing("sts:AssumeRole", Principal={"Service": "personalize.amazonaws.com"})
        role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        policy = allowing(["s3:GetObject", "s3:ListBucket", "s3:PutObject"], Resource="*")
        iam.put_role_policy(RoleName="reader", PolicyName="data", PolicyDocument=policy)
        s3.put_object(Bucket="data", Key="a.csv", Body=ROWS.encode())
        schema = personalize.create_schema(name="visits", schema=json.dumps(SCHEMA))["schemaArn"]
        group = personalize.create_dataset_group(name="shop")["datasetGroupArn"]
        dataset = personalize.create_dataset(name="visits", schemaArn=schema, datasetGroupArn=group, datasetType="Interactions")[
            "datasetArn"
        ]
        folder = tmp_path / "data" / "personalize"

        def working(file: str) -> bool:
            return any((tmp_path / "data" / "jobs").glob(f"personalize/*/{file}"))

        job = personalize.create_dataset_import_job(
            jobName="first", datasetArn=dataset, dataSource={"dataLocation": "s3://data/a.csv"}, roleArn=role
        )["datasetImportJobArn"]
        described = lambda: personalize.describe_dataset_import_job(datasetImportJobArn=job)["datasetImportJob"]["status"]  # noqa: E731
        killed_at_work(server, described, lambda: working("object0"))
        recipe = "arn:aws:personalize:::recipe/aws-sims"
        solution = personalize.create_solution(name="like-this", recipeArn=recipe, datasetGroupArn=group)["solutionArn"]
        version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
        trained = lambda: personalize.describe_solution_version(solutionVersionArn=version)["solutionVersion"]["status"]  # noqa: E731
        killed_at_work(server, trained, lambda: working("Interactions.put"))
        assert personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]["coverage"] > 0
        assert len(list((folder / "segments").iterdir())) == 1

        asked = [json.dumps({"itemId": f"i{n % 1_999}"}) for n in range(3_000)]
        s3.put_object(Bucket="data", Key="asked.json", Body="\n".join(asked).encode())
        target = {"s3DataDestination": {"path": "s3://data/out"}}
        batch = personalize.create_batch_inference_job(
            jobName="batch", solutionVersionArn=version, roleArn=role, numResults=3, jobOutput=target,
            jobInput={"s3DataSource": {"path": "s3://data/asked.json"}},
        )["batchInferenceJobArn"]  # fmt: skip
        inferred = lambda: personalize.describe_batch_inference_job(batchInferenceJobArn=batch)["batchInferenceJob"]["status"]  # noqa: E731
        killed_at_work(server, inferred, lambda: working("answers0.partial"))
        answers = s3.get_object(Bucket="data", Key="out/asked.json.out")["Body"].read().splitlines()
        assert [json.loads(line)["input"] for line in answers] == [json.loads(line) for line in asked]

        export = personalize.create_dataset_export_job(
            jobName="all", datasetArn=dataset, ingestionMode="BULK", roleArn=role, jobOutput=target
        )["datasetExportJobArn"]
        exported = lambda: personalize.describe_dataset_export_job(datasetExportJobArn=export)["datasetExportJob"]["status"]  # noqa: E731
        killed_at_work(server, exported, lambda: working("export.csv"))
        assert sorted(s3.get_object(Bucket="data", Key="out/all.csv")["Body"].read().decode().splitlines()) == sorted(ROWS.splitlines())

        gone = {f"u{n}" for n in range(0, 3_001, 2)}
        s3.put_object(Bucket="data", Key="gone.csv", Body="\n".join(["USER_ID", *gone]).encode())
        deletion = personalize.create_data_deletion_job(
            jobName="forget", datasetGroupArn=group, dataSource={"dataLocation": "s3://data/gone.csv"}, roleArn=role
        )["dataDeletionJobArn"]
        described = lambda: personalize.describe_data_deletion_job(dataDeletionJobArn=deletion)["dataDeletionJob"]  # noqa: E731
        until(lambda: "now" if working("ids.txt") else described()["status"], "now")
        server.kill("work")
        assert described()["status"] == "IN_PROGRESS"
        assert until(lambda: described()["status"], "COMPLETED", "FAILED") == "COMPLETED"
        assert described()["numDeleted"] == sum(row.split(",")[0] in gone for row in ROWS.splitlines())
        assert server.stop() == 0
