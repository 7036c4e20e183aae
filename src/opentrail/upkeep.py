"""What the web process does besides serving, because it alone writes the main database: gives up calls that waited too long,
prunes the journal, sweeps blobs that nothing refers to. Every write borrows the lane's turn for a few milliseconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError

from opentrail.gateway.state import Gateway
from opentrail.journal.prune import prune
from opentrail.kernel.errors import Unavailable
from opentrail.services.s3 import blobs
from opentrail.store.database import Again, Broken, Full, LaneTx, Slow
from opentrail.store.lane import Lane, Ticket
from opentrail.store.sql import Tx

log = logging.getLogger("opentrail.upkeep")

PATIENCE = 30.0
"""Seconds that a call waits for the lane at most."""

PRUNE_EVERY = 60.0
SWEEP_EVERY = 600.0
_BETWEEN_SLICES = 0.05
_DAY = 86_400
_FAILURES = (Unavailable, Broken, Full, Again, Slow, OSError, CancelledError)


async def run(gateway: Gateway, prunable: Callable[[], int]) -> None:
    """Does all of it until cancelled. `prunable` asks, in a reader thread, up to which position nobody needs the journal."""
    await asyncio.gather(
        expire(gateway),
        _repeat(PRUNE_EVERY, lambda: prune_journal(gateway, prunable)),
        _repeat(SWEEP_EVERY, lambda: sweep(gateway)),
    )


async def expire(gateway: Gateway) -> None:
    """Gives up calls that wait too long for the lane, once a second."""
    while True:
        await asyncio.sleep(1.0)
        gateway.lane.expire(gateway.tools.clock.monotonic() - PATIENCE)


async def _repeat(every: float, work: Callable[[], Awaitable[int]]) -> None:
    while True:
        await asyncio.sleep(every)
        try:
            await work()
        except _FAILURES as error:
            log.warning("%s: %s", type(error).__name__, error if isinstance(error, Broken | Full | Again | Slow) else "tried again later")


async def borrow(lane: Lane, work: Callable[[Tx], object]) -> None:
    """Runs `work` in the lane's transaction and returns when it is durable. Statements only; they MUST NOT fail by themselves."""

    def perform(tx: LaneTx) -> tuple[()]:
        work(tx)
        return ()

    await lane.submit(Ticket(perform, (), 0, float("inf")))


async def prune_journal(gateway: Gateway, prunable: Callable[[], int]) -> int:
    """Removes records older than the setting says that every follower has taken, in slices. Returns how many."""
    settings, clock = gateway.tools.settings, gateway.tools.clock
    upto = await gateway.run(prunable)
    removed = 0
    while True:
        before = int(clock.now()) - settings.journal_days * _DAY
        gone: list[int] = []
        await borrow(gateway.lane, lambda tx, gone=gone, before=before: gone.append(prune(tx, upto, before)))  # type: ignore[misc]
        if not gone[-1]:
            return removed
        removed += gone[-1]
        await asyncio.sleep(_BETWEEN_SLICES)


async def sweep(gateway: Gateway) -> int:
    """Unlinks blobs that nothing has referred to for long enough, and bodies that ended processes left. Returns how many."""
    tools = gateway.tools

    def turn(work: Callable[[Tx], None]) -> None:
        asyncio.run_coroutine_threadsafe(borrow(gateway.lane, work), gateway.loop).result(PATIENCE)

    swept = await asyncio.to_thread(blobs.sweep, tools.blobs, tools.read, turn, tools.clock.now())
    return sum(swept) + await asyncio.to_thread(gateway.spool.clear)
