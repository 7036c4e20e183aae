"""Exit statuses of the commands that call the server: 1 is a verdict or a failure, 2 says that there was nothing to work with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from benchmarks.servers import PROGRAM, Server, free_port, program

from tests.wire.story import Live, Story

ARN = "arn:aws:cloudtrail:us-east-1:123456789012:trail/none"
COMMANDS = {
    "verify": ("verify", "--trail-arn", ARN),
    "lookup": ("lookup",),
    "report": ("report", "patient", "Patient/1"),
    "demo": ("demo",),
}
CREDENTIALS = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = secret\n"


def run(live: Live, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with the server."""
    place = ("--data-dir", live.server.settings.data_dir, "--listen", live.server.settings.listen)
    return program(*arguments, *place, environment=environment)


@pytest.mark.parametrize("name", COMMANDS)
def test_without_a_server_there_is_nothing_to_work_with(tmp_path: Path, name: str) -> None:
    (tmp_path / "credentials").write_text(CREDENTIALS)
    done = program(*COMMANDS[name], "--data-dir", str(tmp_path), "--listen", f"127.0.0.1:{free_port()}")
    assert (done.returncode, done.stdout if name != "demo" else "") == (2, ""), done.stderr
    assert done.stderr.startswith("opentrail: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["verify", "lookup", "report"])
def test_a_profile_that_is_not_there_and_strangers_keys_are_no_verdict(live: Live, tmp_path: Path, name: str) -> None:
    done = run(live, *COMMANDS[name], "--profile", "nope")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    (tmp_path / "credentials").write_text(CREDENTIALS)
    done = program(*COMMANDS[name], "--data-dir", str(tmp_path), "--listen", live.server.settings.listen)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


@pytest.mark.parametrize("name", ["verify", "lookup", "report"])
def test_a_caller_without_the_right_is_no_verdict(story: Story, tmp_path: Path, name: str) -> None:
    iam, user = story.client("iam"), story.name("nobody")
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    (tmp_path / "credentials").write_text(
        f"[default]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
    )
    done = program(*COMMANDS[name], "--data-dir", str(tmp_path), "--listen", story.live.server.settings.listen)
    assert (done.returncode, "AccessDenied" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--read-only", "maybe"),
        ("--since", "1h", "--until", "2h"),
        ("--output", "xml"),
        ("--since", "x"),
        ("--event-name", ""),
        ("--until", ""),
    ],
)
def test_what_cannot_be_understood_ends_with_2(live: Live, options: tuple[str, ...]) -> None:
    done = run(live, "lookup", *options)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr


@pytest.mark.parametrize("command", [("lookup", "-o", "json"), ("lookup",), ("report", "patient", "Patient/1")])
def test_output_that_cannot_be_written_is_one_sentence(live: Live, command: tuple[str, ...]) -> None:
    place = ("--data-dir", live.server.settings.data_dir, "--listen", live.server.settings.listen)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*PROGRAM, *command, *place], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, "opentrail: standard output: No space left on device\n")


def test_a_bucket_is_found_by_its_name_alone(story: Story) -> None:
    bucket = story.name("raw-b")
    story.client("s3").create_bucket(Bucket=bucket)
    done = run(story.live, "lookup", "--arn", bucket, "--read-only", "false", "-o", "json")
    assert [bucket in line for line in done.stdout.splitlines()] == [True], done.stderr


def test_verify_says_when_it_could_not_see_the_servers_own_rows(story: Story, tmp_path: Path) -> None:
    bucket = story.name("far")
    story.client("s3").create_bucket(Bucket=bucket)
    allowed = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": ["s3:GetBucketAcl", "s3:PutObject"]}
    policy = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]}
    story.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    arn = story.client("cloudtrail").create_trail(Name=bucket, S3BucketName=bucket)["TrailARN"]
    (tmp_path / "credentials").write_bytes((story.live.server.folder / "credentials").read_bytes())
    done = program("verify", "--trail-arn", arn, "--data-dir", str(tmp_path), "--listen", story.live.server.settings.listen)
    assert (done.returncode, done.stdout.count("were not looked at")) == (0, 1), (done.stdout, done.stderr)
    story.client("cloudtrail").delete_trail(Name=bucket)


def test_a_role_that_is_none_is_refused(tmp_path: Path) -> None:
    done = program("serve", "--role", "foo", "--data-dir", str(tmp_path / "data"))
    assert (done.returncode, "'foo'" in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "data").exists()


def test_one_role_alone_needs_postgresql(tmp_path: Path) -> None:
    done = program("serve", "--role", "web", "--data-dir", str(tmp_path / "data"))
    assert (done.returncode, "--role: one role alone needs PostgreSQL" in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "data").exists()


def test_a_server_starts_without_the_default_profile(tmp_path: Path) -> None:
    """Who has put the root user's key away may remove it from the file."""
    server = Server(tmp_path / "data")
    try:
        server.start()
        assert server.stop() == 0
        (server.folder / "credentials").write_text("[else]\naws_access_key_id = A\naws_secret_access_key = B\n")
        server.start()
        assert server.stop() == 0
    finally:
        server.end()
