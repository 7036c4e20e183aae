"""GetRecommendations over HTTP, signed and recorded, at a fixed rate: latency from when a call was due, against what it cannot go below.

    python -m benchmarks.personalize_http [ITEMS] [CALLS A SECOND] [SECONDS]

Goals on two idle cores: p99 25 ms at 500 calls/s for 100,000 items; p99 50 ms with a filter for 750,000 items. The floor, measured in the
same run, is one recommendation of the same model in process and one bare durable commit, which the record of a call waits for. One call
in twenty is a PutEvents of a user whose next recommendation must have changed.
"""

from __future__ import annotations

import io
import json
import os
import select
import socket
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from benchmarks import load, servers
from benchmarks.fhir_http import commits
from opentrail.services.personalize import history
from opentrail.services.personalize.engine.models import load_model
from opentrail.services.personalize.engine.recipes import find_recipe
from opentrail.services.personalize.engine.serving import Ask, Campaign, recommend

USERS, EVENTS = 20_000, 400_000
GOALS = {100_000: 0.025, 750_000: 0.050}


Field = tuple[str, Any, dict[str, Any]]
"""Name, type and further members of a field."""


def avro(record: str, *fields: Field) -> str:
    listed = [{"name": name, "type": kind, **more} for name, kind, more in fields]
    return json.dumps(
        {"type": "record", "name": record, "namespace": "com.amazonaws.personalize.schema", "version": "1.0", "fields": listed}
    )


def catalogue(items: int) -> str:
    rng = np.random.default_rng(1)
    price, genre = rng.integers(1, 1_000, items).tolist(), rng.integers(0, 50, items).tolist()
    return "ITEM_ID,GENRE,PRICE\n" + "".join(f"i{n},g{genre[n]}|g{n % 7},{price[n]}\n" for n in range(items))


def visits(items: int) -> str:
    """Users walk along neighbouring items and now and then jump: long-tailed, with structure."""
    rng = np.random.default_rng(2)
    start = (items * rng.random(EVENTS) ** 3).astype(np.int64)
    step = rng.integers(0, 20, EVENTS)
    out = io.StringIO()
    out.write("USER_ID,ITEM_ID,TIMESTAMP\n")
    for n in range(EVENTS):
        out.write(f"u{n % USERS},i{(int(start[n % USERS]) + 3 * (n // USERS) + int(step[n])) % items},{1_600_000_000 + n}\n")
    return out.getvalue()


@dataclass(frozen=True)
class Shop:
    """A dataset group on a running server, and the role in which its jobs read buckets."""

    server: servers.Server

    def client(self, service: str) -> Any:
        return self.server.client(service)

    def prepare(self) -> tuple[str, str]:
        """Makes the bucket, the role and the group: the ARNs of the last two."""
        self.client("s3").create_bucket(Bucket="data")
        trust = {"Effect": "Allow", "Principal": {"Service": "personalize.amazonaws.com"}, "Action": "sts:AssumeRole"}
        allow = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
        trusting, allowing = (json.dumps({"Version": "2012-10-17", "Statement": [one]}) for one in (trust, allow))
        iam = self.client("iam")
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trusting)["Role"]["Arn"]
        iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=allowing)
        return role, self.client("personalize").create_dataset_group(name="shop")["datasetGroupArn"]

    def imported(self, role: str, group: str, kind: str, schema: str, rows: str) -> None:
        personalize = self.client("personalize")
        made = personalize.create_schema(name=kind, schema=schema)["schemaArn"]
        dataset = personalize.create_dataset(name=kind, schemaArn=made, datasetGroupArn=group, datasetType=kind)["datasetArn"]
        self.client("s3").put_object(Bucket="data", Key=kind, Body=rows.encode())
        source = {"dataLocation": f"s3://data/{kind}"}
        job = personalize.create_dataset_import_job(jobName=kind, datasetArn=dataset, dataSource=source, roleArn=role)
        named = {"datasetImportJobArn": job["datasetImportJobArn"]}
        until(lambda: personalize.describe_dataset_import_job(**named)["datasetImportJob"], f"import {kind}")

    def deployed(self, group: str, recipe: str) -> str:
        """Trains and deploys a recipe: the ARN of the campaign."""
        personalize, arn = self.client("personalize"), f"arn:aws:personalize:::recipe/{recipe}"
        solution = personalize.create_solution(name=recipe, recipeArn=arn, datasetGroupArn=group)["solutionArn"]
        version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
        until(lambda: personalize.describe_solution_version(solutionVersionArn=version)["solutionVersion"], f"training {recipe}")
        return str(personalize.create_campaign(name=recipe, solutionVersionArn=version)["campaignArn"])


VISITS = avro("Interactions", ("USER_ID", "string", {}), ("ITEM_ID", "string", {}), ("TIMESTAMP", "long", {}))


def made(server: servers.Server, items: int) -> tuple[str, str, str]:
    """Imports, trains and deploys: the ARNs of the campaign and of a filter, and a tracking id."""
    shop = Shop(server)
    role, group = shop.prepare()
    plain: tuple[Field, ...] = (
        ("ITEM_ID", "string", {}),
        ("GENRE", ["null", "string"], {"categorical": True}),
        ("PRICE", "float", {}),
    )
    shop.imported(role, group, "INTERACTIONS", VISITS, visits(items))
    shop.imported(role, group, "ITEMS", avro("Items", *plain), catalogue(items))
    campaign, personalize = shop.deployed(group, "aws-user-personalization-v2"), shop.client("personalize")
    expression = 'INCLUDE ItemID WHERE Items.GENRE IN ("g1", "g2", "g3") AND Items.PRICE < 900 | EXCLUDE ItemID WHERE Items.PRICE < 10'
    chosen = personalize.create_filter(name="some", datasetGroupArn=group, filterExpression=expression)["filterArn"]
    tracking = personalize.create_event_tracker(name="t", datasetGroupArn=group)["trackingId"]
    runtime = shop.client("personalize-runtime")
    began = time.perf_counter()
    runtime.get_recommendations(campaignArn=campaign, userId="u1", filterArn=chosen)
    print(f"first recommendation (loads the model): {time.perf_counter() - began:.2f} s")
    check_fresh(runtime, shop.client("personalize-events"), campaign, tracking)
    return campaign, chosen, tracking


def check_fresh(runtime: Any, events: Any, campaign: str, tracking: str) -> None:
    """An event that was put must count in the very next call."""
    before = [one["itemId"] for one in runtime.get_recommendations(campaignArn=campaign, userId="fresh")["itemList"]]
    event = {"eventType": "v", "itemId": "i9", "sentAt": 1_700_000_000}
    events.put_events(trackingId=tracking, userId="fresh", sessionId="s", eventList=[event])
    after = [one["itemId"] for one in runtime.get_recommendations(campaignArn=campaign, userId="fresh")["itemList"]]
    assert before != after, "an event did not count in the next recommendation"


def until(describe: Callable[[], dict[str, Any]], what: str) -> None:
    began = time.perf_counter()
    while (found := describe())["status"] not in ("ACTIVE", "CREATE FAILED"):
        time.sleep(0.1)
    assert found["status"] == "ACTIVE", found
    print(f"{what}: {time.perf_counter() - began:.1f} s", flush=True)


def signed(server: servers.Server, path: str, value: dict[str, Any]) -> bytes:
    """A raw signed request of the runtime or the events service."""
    body = json.dumps(value).encode()
    request = AWSRequest("POST", server.url + path, data=body, headers={"content-type": "application/json"})
    SigV4Auth(server.credentials, "personalize", servers.REGION).add_auth(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    host = server.url.split("//")[1]
    return f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body


@dataclass
class Paced:
    """What a paced run measured: seconds from when each call was due until its answer was there."""

    latencies: list[float]
    bad: int
    cpu: float

    def percentile(self, share: float) -> float:
        return sorted(self.latencies)[int(len(self.latencies) * share)]


def paced(server: servers.Server, requests: Sequence[bytes], rate: float, connections: int = 64) -> Paced:
    """Sends the requests at a steady rate over kept-open connections, whatever the answers take."""
    poll = select.epoll()
    idle: deque[socket.socket] = deque()
    busy: dict[int, tuple[socket.socket, float, bytes]] = {}
    for _ in range(connections):
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        idle.append(sock)
    latencies: list[float] = []
    bad, number, before = 0, 0, load.cpu(server.pid)
    start = time.perf_counter()
    while number < len(requests) or busy:
        now = time.perf_counter()
        while number < len(requests) and idle and start + number / rate <= now:
            sock = idle.popleft()  # in turn: the server ends connections that stay silent
            busy[sock.fileno()] = (sock, start + number / rate, b"")
            poll.register(sock, select.EPOLLIN)
            sock.sendall(requests[number])
            number += 1
        wait = max(0.0, start + number / rate - time.perf_counter()) if number < len(requests) and idle else 1.0
        for descriptor, _ in poll.poll(wait):
            sock, due, held = busy[descriptor]
            piece = sock.recv(262_144)
            assert piece, f"the server closed a connection after {len(held)} bytes of an answer"
            held += piece
            head, found, body = held.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0) if found else 1
            if not found or len(body) < length:
                busy[descriptor] = (sock, due, held)
                continue
            latencies.append(time.perf_counter() - due)
            bad += not held.startswith(b"HTTP/1.1 200")
            poll.unregister(sock)
            del busy[descriptor]
            idle.append(sock)
    for sock in idle:
        sock.close()
    return Paced(latencies, bad, load.cpu(server.pid) - before)


def in_process(folder: Path) -> float:
    """Seconds of one recommendation of the same model in this process, at the median."""
    (home,) = (folder / "personalize" / "models").iterdir()
    (path,) = (one for one in home.iterdir() if (one / "card.json").exists())
    model, seen = load_model(path), history.History(home / history.NAME)
    campaign = Campaign(model, find_recipe("aws-user-personalization-v2"))
    took = []
    for n in range(300):
        began = time.perf_counter()
        recommend(campaign, Ask(events=seen.of(f"u{n * 7919 % USERS}")))
        took.append(time.perf_counter() - began)
    print(f"model: {model.card['kind']}")
    return float(np.median(took))


def main(items: int, rate: float, seconds: float) -> None:
    with servers.opentrail() as server:
        campaign, chosen, tracking = made(server, items)
        calls = int(rate * seconds)
        users = np.random.default_rng(3).integers(0, USERS, calls).tolist()

        def request(n: int, more: dict[str, Any]) -> bytes:
            if n % 20 == 19:
                event = {"eventType": "view", "itemId": f"i{users[n]}", "sentAt": 1_700_000_000 + n}
                return signed(server, "/events", {"trackingId": tracking, "userId": f"u{users[n]}", "sessionId": "s", "eventList": [event]})
            return signed(server, "/recommendations", {"campaignArn": campaign, "userId": f"u{users[n]}", **more})

        floor = in_process(server.folder) + commits(server.folder)[1_000]
        goal = GOALS.get(items)
        for name, more in (("without a filter", {}), ("with a filter", {"filterArn": chosen})):
            paced(server, [request(n, more) for n in range(int(rate))], rate)
            found = paced(server, [request(n, more) for n in range(calls)], rate)
            middle, slow = found.percentile(0.5), found.percentile(0.99)
            print(
                f"{items:,} items {name}, {rate:.0f} calls/s: p50 {1e3 * middle:.1f} ms, p99 {1e3 * slow:.1f} ms, "
                f"{1e3 * found.cpu / calls:.2f} ms CPU a call, {found.bad} bad; load {os.getloadavg()[0]:.1f}"
            )
            print(f"  p50 against the floor ({1e3 * floor:.2f} ms): {middle / floor:.1f}")
            if goal:
                print(f"  p99 against its goal ({1e3 * goal:.0f} ms): {slow / goal:.2f}")
        with sqlite3.connect(f"file:{server.folder / 'main.db'}?mode=ro", uri=True) as database:
            print(f"records: {database.execute('SELECT position FROM journal_head').fetchone()[0]:,}")


if __name__ == "__main__":
    given = [float(one) for one in sys.argv[1:]]
    main(int(given[0]) if given else 100_000, given[1] if len(given) > 1 else 500.0, given[2] if len(given) > 2 else 10.0)
