"""A service-made call inside `apply` would wait for the lane in which it stands: it is refused at once, and the lane goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from opentrail.gateway.inner import InnerCalls
from opentrail.journal.append import Appender, Fresh
from opentrail.journal.read import after
from opentrail.kernel.principal import Principal
from opentrail.store.database import LaneTx
from opentrail.store.lane import Lane, Ticket
from tests.databases import Database


async def test_a_nested_call_is_refused_while_its_apply_holds_the_lane(main_database: Database) -> None:
    lane, calls, refused = Lane(main_database.writer(), Appender().append), InnerCalls(), []
    gateway: Any = SimpleNamespace(lane=lane, thread=threading.get_ident(), loop=asyncio.get_running_loop())
    calls.gateway = gateway

    def nested(tx: LaneTx) -> Sequence[Fresh]:
        with pytest.raises(RuntimeError, match="would wait") as error:
            calls.make(
                Principal("AWSService", "", service="cloudtrail.amazonaws.com"), "us-east-1", "s3", "GetBucketAcl", {"Bucket": "box"}
            )
        refused.append(error)
        return [Fresh(1_700_000_000, "123456789012", "us-east-1", 0, b"first")]

    later = Ticket(None, [Fresh(1_700_000_000, "123456789012", "us-east-1", 0, b"second")], 100)
    await asyncio.wait_for(asyncio.gather(lane.submit(Ticket(nested, (), 100)), lane.submit(later)), 10)
    lane.stop()
    assert len(refused) == 1
    with main_database.read() as view:
        assert [entry.record for entry in after(view, 0, 10)] == [b"first", b"second"]
