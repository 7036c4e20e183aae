"""The running server as a whole: roles restarted, a clean end, one owner, and service-made calls that never wait for themselves."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.servers import Server, free_port, serving

from tests.fault import live
from tests.fault.uploads import MB, half_sent, spooled


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with live.server(tmp_path_factory.mktemp("processes")) as running:
        yield running


def roles(folder: Path) -> dict[str, int]:
    """The role processes that serve this folder, by name."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            mine = any(str(folder) in os.readlink(descriptor) for descriptor in (process / "fd").iterdir())
        except OSError:
            continue
        if b"opentrail.roles" in command and mine:
            found[command[command.index(b"opentrail.roles") + 1].decode()] = int(process.name)
    return found


def test_a_work_role_that_dies_is_started_again(server: Server) -> None:
    until = time.monotonic() + 20
    while "work" not in roles(server.folder) and time.monotonic() < until:
        time.sleep(0.1)
    first = roles(server.folder)["work"]
    os.kill(first, signal.SIGKILL)
    while roles(server.folder).get("work") in (None, first) and time.monotonic() < until:
        time.sleep(0.1)
    assert roles(server.folder)["work"] != first
    assert live.call(server, "iam", "ListUsers", {}).status == 200
    assert "work ended with status -9" in server.log.read_text()


def test_a_second_server_on_the_same_folder_is_refused(server: Server) -> None:
    other = server.run("serve", "--listen", f"127.0.0.1:{free_port()}")
    assert other.returncode != 0
    assert "in use by another OpenTrail server" in other.stderr + other.stdout
    assert "Traceback" not in other.stderr


def test_what_lies_in_a_folder_that_others_may_read_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    with serving(folder) as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket="open")
        s3.put_object(Bucket="open", Key="k", Body=b"x" * MB)
        server.client("healthlake").create_fhir_datastore(DatastoreTypeVersion="R4")
        found = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert {"main.db", "main.db-wal", "history.db", "credentials"} <= {path.name for path in found}
    assert [path for path, mode in found.items() if mode & 0o077] == []


def test_half_a_body_goes_with_the_killed_server(tmp_path: Path) -> None:
    """Before a client can see that the server is back."""
    with serving(tmp_path / "data") as server:
        server.client("s3").create_bucket(Bucket="uploads")
        with half_sent(server, "uploads", "lost", bytes(4 * MB)):
            server.kill("all")
            server.wait()
        assert len(spooled(server)) == 1
        server.start()
        assert spooled(server) == []
        assert server.stop() == 0
    assert list((tmp_path / "data" / "objects" / "spool").iterdir()) == []


def test_many_calls_that_make_calls_do_not_use_up_the_threads(server: Server) -> None:
    """CreateTrail asks S3 for the bucket from a reader thread: more at once than there are threads must all be answered."""
    live.prepare(server)
    sent = [live.serialized("cloudtrail", "CreateTrail", {"Name": f"trail-{n}", "S3BucketName": "box"}, server.port) for n in range(60)]
    answers = live.send_all(server.port, [live.raw(live.signed(one, server.credentials)) for one in sent], 60)
    assert {answer.status for answer in answers} <= {200, 400}
    assert all(b"MaximumNumberOfTrailsExceeded" in answer.body for answer in answers if answer.status == 400)
    assert sum(answer.status == 200 for answer in answers) >= 4
    made = [record for record in live.journal(server.folder) if record["eventName"] == "CreateTrail" and "errorCode" not in record]
    assert len(made) == 1 + sum(answer.status == 200 for answer in answers)
