"""A web process's pipeline without HTTP, for benchmarks of what a call costs inside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.servers import ACCOUNT, profiles
from opentrail import app, start
from opentrail.calls.call import Request
from opentrail.gateway import pipeline
from opentrail.gateway.body import Source
from opentrail.gateway.state import Gateway
from opentrail.kernel.settings import Settings

CONNECTIONS = 64
HOST = "127.0.0.1:4580"
TARGET = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.DescribeTrails"

Sent = tuple[Request, bytes]


@dataclass(frozen=True)
class Cost:
    """CPU seconds of the whole process and wall seconds, a call."""

    cpu: float
    wall: float


def prepared(folder: Path) -> tuple[app.Parts, Credentials]:
    """A data folder and the parts of its web role."""
    settings = Settings(data_dir=str(folder), account=(ACCOUNT,))
    settings.folder.mkdir(parents=True, exist_ok=True)
    start.prepare(settings, lambda text: None)
    return app.Parts(settings, web=True), profiles(folder / "credentials")["default"]


def requests(keys: Credentials, count: int) -> list[Sent]:
    """Signed reads, each different."""
    made = []
    for number in range(count):
        body = f'{{"trailNameList":["trail-{number}"]}}'.encode()
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": TARGET, "user-agent": "bench", "host": HOST}
        request = AWSRequest("POST", f"http://{HOST}/", data=body, headers=headers)
        SigV4Auth(keys, "cloudtrail", "us-east-1").add_auth(request)
        lower = {name.lower(): value for name, value in request.headers.items()}
        made.append((Request("POST", "/", "", lower, b"", "127.0.0.1", time.time()), body))
    return made


async def serve(gateway: Gateway, sent: Sequence[Sent]) -> Cost:
    """Serves all of them, as many at a time as a busy server has connections."""
    todo = iter(sent)

    async def connection() -> None:
        for request, body in todo:

            async def receive(body: bytes = body) -> tuple[bytes, bool]:
                return body, False

            answer = await pipeline.serve(gateway, request, Source(receive, request))
            assert answer.status == 200

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return Cost((time.process_time() - cpu) / len(sent), (time.perf_counter() - wall) / len(sent))
