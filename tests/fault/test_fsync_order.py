"""No byte of an answer leaves before the sync that covers its record: seen from below, at the C library's door."""

from __future__ import annotations

from pathlib import Path

from benchmarks.servers import serving

from tests.fault.load import Client, Told, cloudtrail, put_object, user
from tests.fault.shim import Event, Shim
from tests.threads import together

CLIENTS, CALLS = 6, 60


def test_every_answer_leaves_after_the_sync_of_its_record(tmp_path: Path, shim: Shim) -> None:
    with serving(tmp_path / "data", environment=shim.environment) as server:
        server.client("s3").create_bucket(Bucket="bucket")
        credentials = server.credentials

        def calls(number: int) -> list[Told]:
            client = Client(server.url, credentials)
            told = []
            for n in range(CALLS):
                agent = f"order-{number:02}{n:03}."
                asked = (cloudtrail("DescribeTrails", {}), user(f"u{number}-{n}"), cloudtrail("GetTrailStatus", {"Name": "none"}),
                         put_object("bucket", f"o{number}-{n}", b"x"))[n % 4]  # fmt: skip
                told.append(client.call(agent, "", asked))
            client.close()
            return told

        told = [one for answers in together(CLIENTS, calls) for one in answers]
        assert server.stop() == 0
    assert {one.status for one in told} == {200, 404} or {one.status for one in told} == {200, 400}
    events = shim.events()
    places = {one.agent: place_of(events, one.agent[:12]) for one in told}
    late = {agent: place for agent, place in places.items() if not place}
    assert not late, f"{len(late)} of {len(told)} answers left before their record was synced, or without one: {sorted(late)[:5]}"


def place_of(events: list[Event], mark: str) -> bool:
    """Whether the call's record was written, then a sync began and ended well, and only then its connection sent anything."""
    arrived = next(i for i, event in enumerate(events) if event.what == "arrived" and event.text == mark)
    web, connection = events[arrived].process, events[arrived].fd
    written = began = synced = False
    for event in events[arrived + 1 :]:
        if event.process != web:
            continue
        if event.what == "sent" and event.fd == connection:
            return synced
        if event.what == "written" and event.text == mark:
            written = True
        elif event.what == "sync-begins":
            began = written
        elif event.what == "sync-ends":
            synced = synced or began
    return False
