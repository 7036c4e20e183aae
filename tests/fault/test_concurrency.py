"""Many at once, and clients that go away: one winner each time, dense versions, rights that end at once, no byte read for nobody."""

from __future__ import annotations

import configparser
import json
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from benchmarks import load as bench
from benchmarks.servers import ACCOUNT, OTHER, REGION, Server, serving
from botocore.credentials import Credentials

from tests.fault.judge import World
from tests.fault.load import CLOUDTRAIL, Asked, Client, Told, cloudtrail, patient, signed, user
from tests.fault.uploads import MB, half_sent, head, spooled
from tests.threads import together

PAIRS = 1_000
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The hash of no bytes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("concurrency") / "data", "--account", f"{ACCOUNT},{OTHER}") as running:
        yield running


@pytest.fixture(scope="module")
def datastore(server: Server) -> str:
    return str(server.client("healthlake").create_fhir_datastore(DatastoreTypeVersion="R4")["DatastoreId"])


def pairs(server: Server, tag: str, asked: list[Asked], other: Credentials | None = None) -> list[list[Told]]:
    """Every request twice, at the same time, on two kept-open connections (one of them `other`'s): the answers of each pair."""
    clients = [Client(server.url, who) for who in (server.credentials, other or server.credentials)]
    found = []
    with ThreadPoolExecutor(2) as pool:
        for n, one in enumerate(asked):
            futures = [pool.submit(client.call, f"{tag}-{n}-{side}", "", one) for side, client in enumerate(clients)]
            found.append([future.result() for future in futures])
    for client in clients:
        client.close()
    return found


def assert_one_winner(told: list[list[Told]], code: bytes) -> None:
    """Of each pair one is answered with success, the other with the error."""
    for pair in told:
        won = [one for one in pair if one.done]
        lost = [one for one in pair if not one.done]
        assert len(won) == 1, [(one.status, one.body[:200]) for one in pair]
        assert code in lost[0].body


def test_one_of_two_users(server: Server) -> None:
    assert_one_winner(pairs(server, "user", [user(f"same-{n}") for n in range(PAIRS)]), b"EntityAlreadyExists")


def test_one_of_two_buckets(server: Server) -> None:
    """Of two accounts: names are everybody's."""
    named = [Asked("PUT", f"/same-bucket-{n}", "s3", b"", {"x-amz-content-sha256": EMPTY}) for n in range(PAIRS)]
    assert_one_winner(pairs(server, "bucket", named, root_of(server, OTHER)), b"<Code>BucketAlreadyExists</Code>")


def root_of(server: Server, account: str) -> Credentials:
    """The root user's credentials of a further account."""
    profiles = configparser.ConfigParser()
    profiles.read(server.folder / "credentials")
    return Credentials(profiles[account]["aws_access_key_id"], profiles[account]["aws_secret_access_key"])


def test_five_trails_and_no_more(server: Server) -> None:
    """A thousand CreateTrail from ten clients, names of which two always meet: five trails, the rest refused by name or limit."""
    s3 = server.client("s3")
    s3.create_bucket(Bucket="trails")
    service = {"Service": "cloudtrail.amazonaws.com"}
    statements = [
        {"Effect": "Allow", "Principal": service, "Action": "s3:GetBucketAcl", "Resource": "arn:aws:s3:::trails"},
        {"Effect": "Allow", "Principal": service, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::trails/*"},
    ]
    s3.put_bucket_policy(Bucket="trails", Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    credentials = server.credentials

    def calls(number: int) -> list[Told]:
        client = Client(server.url, credentials)
        asked = [cloudtrail("CreateTrail", {"Name": f"trail-{(number + n) // 2}", "S3BucketName": "trails"}) for n in range(PAIRS // 10)]
        told = [client.call(f"trail-{number}-{n}", "", one) for n, one in enumerate(asked)]
        client.close()
        return told

    told = [one for answers in together(10, calls) for one in answers]
    assert sum(one.done for one in told) == 5
    codes = Counter(json.loads(one.body)["__type"].rpartition("#")[2] for one in told if not one.done)
    assert set(codes) <= {"MaximumNumberOfTrailsExceededException", "TrailAlreadyExistsException"}
    trails = server.client("cloudtrail").describe_trails()["trailList"]
    assert len(trails) == len({trail["Name"] for trail in trails}) == 5


def test_one_data_store_for_one_token(server: Server) -> None:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "HealthLake.CreateFHIRDatastore"}
    asked = [
        Asked("POST", "/", "healthlake", json.dumps({"DatastoreTypeVersion": "R4", "ClientToken": f"token-{n}"}).encode(), headers)
        for n in range(8)
    ]
    made = set()
    for pair in pairs(server, "token", asked):
        assert [one.status for one in pair] == [200, 200], [one.body for one in pair]
        ids = {json.loads(one.body)["DatastoreId"] for one in pair}
        assert len(ids) == 1
        made |= ids
    assert len(made) == 8
    for id in made:
        server.client("healthlake").delete_fhir_datastore(DatastoreId=id)


def test_versions_of_one_patient_are_dense(server: Server, datastore: str) -> None:
    credentials = server.credentials

    def puts(number: int) -> list[int]:
        client = Client(server.url, credentials)
        told = [client.call(f"put-{number}-{n}", "", patient(datastore, "PUT", "shared", f"F{number}-{n}")) for n in range(50)]
        client.close()
        assert all(one.done for one in told)
        return [int(json.loads(one.body)["meta"]["versionId"]) for one in told]

    found = together(8, puts)
    assert sorted(version for versions in found for version in versions) == list(range(1, 401))
    assert all(versions == sorted(versions) for versions in found), "a client saw versions go back"


def test_a_revoked_key_fails_in_the_next_call(server: Server) -> None:
    revoke_then_call(server, 20)


def revoke_then_call(server: Server, rounds: int, other: Server | None = None) -> None:
    """Deletes a key by one server, and calls with it in the next request, of that server or another."""
    iam = server.client("iam")
    iam.create_user(UserName="revoked")
    for number in range(rounds):
        key = iam.create_access_key(UserName="revoked")["AccessKey"]
        client = Client((other or server).url, Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
        form = {"content-type": "application/x-www-form-urlencoded"}
        identity = Asked("POST", "/", "sts", b"Action=GetCallerIdentity&Version=2011-06-15", form)
        assert client.call(f"held-{number}", "", identity).status == 200
        assert client.call(f"held-again-{number}", "", identity).status == 200
        iam.delete_access_key(UserName="revoked", AccessKeyId=key["AccessKeyId"])
        assert client.call(f"revoked-{number}", "", identity).status == 403
        client.close()
    iam.delete_user(UserName="revoked")


def read_bytes(server: Server) -> int:
    """Bytes that the web process has read, from files and sockets."""
    web = server.await_role("web")
    lines = Path(f"/proc/{web}/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("rchar")))


def test_nothing_is_read_for_a_client_that_hung_up(server: Server) -> None:
    size = 256 * MB
    s3 = server.client("s3")
    s3.create_bucket(Bucket="large")
    with (server.folder.parent / "large").open("wb") as file:
        file.truncate(size)
    s3.upload_file(str(server.folder.parent / "large"), "large", "large")
    broken = server.metric("opentrail_downloads_broken_total")
    before = read_bytes(server)
    request = signed(Asked("GET", "/large/large", "s3", b"", {"x-amz-content-sha256": EMPTY}), "hangs-up", server.url, server.credentials)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head(server, "GET", "/large/large", dict(request.headers.items())))
        got = 0
        while got < size // 100:
            got += len(connection.recv(65536))
    until = time.monotonic() + 30
    while server.metric("opentrail_downloads_broken_total") == broken:
        assert time.monotonic() < until, "the server never noticed"
        time.sleep(0.1)
    assert read_bytes(server) - before < 16 * MB


def test_nothing_is_kept_of_an_upload_that_hung_up(server: Server) -> None:
    body = bytes(4 * MB)
    server.client("s3").create_bucket(Bucket="uploads")
    with half_sent(server, "uploads", "half", body):
        pass
    until = time.monotonic() + 30
    while spooled(server):
        assert time.monotonic() < until, "the spooled half stays"
        time.sleep(0.05)
    assert "Contents" not in server.client("s3").list_objects_v2(Bucket="uploads")


def test_a_slow_reader_holds_nobody_up(server: Server) -> None:
    """A thousand calls sent at once by a client that reads nothing for a while; the others are served, then its answers come."""
    bodies = [b"{}"] * 1_000
    requests = bench.signed(server.credentials, REGION, "cloudtrail", server.url, f"{CLOUDTRAIL}.DescribeTrails", "1.1", bodies)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(60)
        sent, data = 0, b"".join(requests)
        connection.setblocking(False)
        while sent < len(data):
            try:
                sent += connection.send(data[sent : sent + 65536])
            except BlockingIOError:
                break  # the server does not take more than it answers
        client = Client(server.url, server.credentials)
        assert client.call("beside", "", cloudtrail("DescribeTrails", {})).status == 200
        client.close()
        connection.setblocking(True)
        connection.settimeout(60)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 1_000:
            if sent < len(data):
                connection.settimeout(0.01)
                with suppress(TimeoutError):
                    sent += connection.send(data[sent : sent + 65536])
                connection.settimeout(60)
            answers += connection.recv(1 << 20)
    assert answers.count(b"HTTP/1.1 ") == 1_000


def test_the_journal_is_whole_after_all_this(server: Server) -> None:
    world = World(server)
    records = world.records(0)
    assert [record.position for record in records] == list(range(1, len(records) + 1))
    assert len({record.json["eventID"] for record in records}) == len(records)
