"""The lane: the one thread that writes. Many calls, one transaction, one fsync; only then are the answers released.

    BEGIN; for each waiting call: SAVEPOINT, perform, RELEASE; append the records; COMMIT; release the answers

A ticket may be given up while it waits in the queue; once a batch has taken it, it is waited for. Any error from COMMIT closes
the lane until restart: whether the batch is on disk is then unknown, and only reading the file again can tell.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import Any, Protocol

import msgspec

from opentrail.kernel.errors import Unavailable
from opentrail.store.database import Again, Away, Broken, Full, LaneTx, Slow, Writer
from opentrail.store.sql import Sql, Tx, Value

BATCH_CALLS = 256
BATCH_BYTES = 8 * 1024 * 1024
QUEUE_CALLS = 1024
GATHER = 0.005
"""Seconds for which a batch may gather calls, while the event loop is busy with more of them: every batch costs the same to
commit, and the lane and the loop share the interpreter."""

MORE_TRIES = 6
"""How often calls of a batch that lost are tried again after the first time alone, all together: each waits for locks for the quarter of
a second that the database allows, so that the lane stands still for about two seconds at most."""

TURN_LIMIT = 5.0
"""Seconds after which a turn that was not given back is no longer waited for."""

RARELY, UP, DOWN = 0.4, 1 / 4, 1 / 16
"""A turn may be a long one while calls wait in less than this share of the turns, by an average that a turn in which one waited moves up
by a quarter of the way, and one in which none did down by a sixteenth: two that wait end long turns, fifteen turns without any bring
them."""

Records = Sequence[Any]
Later = Sequence[tuple[Sql, dict[str, Value]]]


class Append(Protocol):
    """Appends the batch's records to the journal; see journal.append.Appender."""

    def __call__(self, tx: Tx, calls: Iterable[tuple[Records, Later]], /) -> int: ...


class Ticket(msgspec.Struct, eq=False):
    """One call's place in the lane.

    `perform` carries the call's change out, builds its answer and returns its records; it runs in the lane thread, may be
    run again, and answers every failure of the call itself (after `tx.undo()`), so that it raises only when the database
    does. Tickets of read-only calls have their `records` from the start and no `perform`. `size` estimates the record
    bytes, `since` is the monotonic time at which the call began to wait.
    """

    perform: Callable[[LaneTx], Records] | None
    records: Records
    size: int
    since: float = 0.0
    done: asyncio.Future[None] | None = None


class Turn:
    """The write turn, lent to another process of this installation. `grant` tells it, and whether it may be a long one."""

    __slots__ = ("_done", "_same", "grant")

    def __init__(self, grant: Callable[[bool], object]) -> None:
        self.grant = grant
        self._done = threading.Event()
        self._same = False

    def give_back(self, changed: bool) -> None:
        """Ends the turn; only the first word counts. `changed` when settled rows may be others now."""
        if not self._done.is_set():
            self._same = not changed
            self._done.set()

    def wait(self, timeout: float) -> bool:
        """Waits for the end. Whether settled rows may be others now."""
        self._done.wait(timeout)
        return not self._same


class Lane:
    """Starts its thread at once. `submit` belongs to the event loop on which the lane was made; the rest to any thread."""

    def __init__(self, writer: Writer, append: Append, on_batch: Callable[[int], None] = lambda position: None) -> None:
        self._writer = writer
        self._append = append
        self._on_batch = on_batch
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Ticket] = deque()
        self._turns: deque[Turn] = deque()
        self._guard = threading.Lock()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._gathering = False
        self._seen = 0
        self._last = 0
        self._until = 0.0
        self._waited = 1.0
        self._stopping = False
        self.failure = ""
        """Why nothing is written any more; empty while all is well."""
        self.changes = 0
        """Moves with every commit that may have changed more than the journal, before its answers are released: a view opened before
        is no longer the newest."""
        self.epoch = 0
        """Moves with every commit that changed rights: what was cached before is no longer true."""
        self._thread = threading.Thread(target=self._run, name="lane", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._waiting)

    def inside(self) -> bool:
        """Whether the asking code runs in the lane's own thread."""
        return threading.current_thread() is self._thread

    def submit(self, ticket: Ticket) -> asyncio.Future[None]:
        """Queues a ticket. The future resolves when its records are durable, or raises Unavailable. Raises Unavailable at
        once when the lane is closed or its queue is full."""
        if len(self._waiting) >= QUEUE_CALLS:
            raise Unavailable("Too many calls wait to be recorded. Try again.")
        with self._guard:  # a lane that closes does so under it: nothing is queued behind the last batch
            if self.failure or self._stopping:
                raise Unavailable("The journal cannot be written, so no call is served: {reason}", reason=self.failure or "stopping")
            ticket.done = self._loop.create_future()
            self._waiting.append(ticket)
        if not self._gathering:
            self._gather()
        return ticket.done

    def _gather(self) -> None:
        """Lets the loop go on to what else is ready, and look again; see _gathered. A call that comes after a lone one is taken for
        alone, too: nothing is gathered before a second one waits."""
        self._gathering = True
        if self._last == len(self._waiting) == 1:
            self._wake.put(None)
            return
        self._seen, self._until = len(self._waiting), self._loop.time() + GATHER
        self._loop.call_soon(self._gathered)

    def _gathered(self) -> None:
        """Wakes the lane when no more calls came since the last look, as many wait as a batch takes, or the time is over."""
        count = len(self._waiting)
        if self._seen < count < BATCH_CALLS and self._loop.time() < self._until:
            self._seen = count
            self._loop.call_soon(self._gathered)
        else:
            self._wake.put(None)

    def lend(self, turn: Turn) -> None:
        """Queues for the write turn. It is granted between two batches; at most one between any two."""
        with self._guard:
            self._turns.append(turn)
        self._wake.put(None)

    def _lend_one(self) -> bool:
        """Lends the turn to who has waited longest. Whether anybody did."""
        with self._guard:
            turn = self._turns.popleft() if self._turns and not self.failure else None
        if turn is None:
            return False
        turn.grant(self._waited < RARELY)
        changed = turn.wait(TURN_LIMIT)
        self._waited += (1 - self._waited) * UP if self._waiting else -self._waited * DOWN
        self.changes += 1
        self.epoch += changed
        return True

    def stop(self) -> None:
        """Serves what waits, then ends the thread and closes the connection."""
        with self._guard:
            self._stopping = True
        self._wake.put(None)
        self._thread.join(timeout=30)

    def expire(self, older_than: float) -> int:
        """Withdraws the tickets queued before `older_than` (monotonic seconds) and refuses their calls. Returns how many."""
        with self._guard:
            expired = [ticket for ticket in self._waiting if ticket.since < older_than]
            for ticket in expired:
                self._waiting.remove(ticket)
        self._release(expired, dict.fromkeys(expired, Unavailable("The call waited too long to be recorded. Nothing of it happened.")))
        return len(expired)

    def _run(self) -> None:
        batch: list[Ticket] = []
        ended = False
        try:
            while not self.failure:
                self._wake.get()
                batch = self._take()
                if batch:
                    self._serve(batch)
                elif not self._stopping:  # what it was woken for was given up, or served before: the next is gathered anew
                    self._loop.call_soon_threadsafe(self._served, batch, {})
                self._rest(self._lend_one())
                if self._stopping:
                    if not self._waiting and not self._turns:
                        break
                    self._wake.put(None)
            ended = True
        finally:
            if not ended:  # a fault of our own: nobody may be left waiting
                self._fail("the lane ended unexpectedly")
                self._loop.call_soon_threadsafe(self._release, batch, dict.fromkeys(batch, self._unknown(self.failure)))
            self._writer.close()

    def _take(self) -> list[Ticket]:
        batch: list[Ticket] = []
        size = 0
        with self._guard:
            while self._waiting and len(batch) < BATCH_CALLS and size < BATCH_BYTES:
                ticket = self._waiting.popleft()
                size += ticket.size
                batch.append(ticket)
        self._last = len(batch)
        return batch

    def _rest(self, lent: bool) -> None:
        try:
            self._writer.idle(lent)
        except Broken as error:
            self._fail(str(error))

    def _serve(self, batch: list[Ticket]) -> None:
        refused: dict[Ticket, Unavailable] = {}
        try:
            self._commit(batch)
        except Again:
            refused = self._one_by_one(batch)
        except (Full, Slow, Away) as error:
            refused = dict.fromkeys(batch, self._given_up(error))
        except Broken as error:
            self._fail(str(error))
            refused = dict.fromkeys(batch, self._unknown(self.failure))
        self._loop.call_soon_threadsafe(self._served, batch, refused)

    def _served(self, batch: list[Ticket], refused: dict[Ticket, Unavailable]) -> None:
        self._release(batch, refused)
        self._gathering = False
        if self._waiting:
            self._gather()

    def _one_by_one(self, batch: list[Ticket]) -> dict[Ticket, Unavailable]:
        """Runs the calls of a batch that lost against another transaction again, each alone, and several times if it must: another
        process may hold for some time what a call needs."""
        refused: dict[Ticket, Unavailable] = {}
        more = MORE_TRIES
        self._writer.rollback()
        for number, ticket in enumerate(batch):
            try:
                more = self._tried(ticket, more)
            except (Again, Full, Slow) as error:
                self._writer.rollback()
                more = 0
                refused[ticket] = Unavailable("The call lost against others several times. Try again: {reason}", reason=error)
            except Away as error:
                refused |= dict.fromkeys(batch[number:], self._given_up(error))
                break
            except Broken as error:
                self._fail(str(error))
                refused |= dict.fromkeys(batch[number:], self._unknown(self.failure))
                break
        return refused

    def _tried(self, ticket: Ticket, more: int) -> int:
        """Commits one call; up to `more` times again when it loses. How many of these are left for the calls behind it."""
        while True:
            try:
                self._commit([ticket])
                return more
            except Again:
                if not more:
                    raise
                self._writer.rollback()
                more -= 1

    def _commit(self, batch: list[Ticket]) -> None:
        """One transaction: performs every call, appends every record, commits."""
        writer = self._writer
        writer.begin(writes=any(ticket.perform is not None for ticket in batch))
        calls: list[tuple[Records, Later]] = []
        epoch = self.epoch
        tx: LaneTx | None = None
        for ticket in batch:
            later: Later = ()
            records = ticket.records
            if ticket.perform is not None:
                tx = writer.enter()
                tx.epoch = epoch
                records = ticket.perform(tx)
                later = tx.later
                epoch += tx.changed
                writer.leave()
            calls.append((records, later))
        position = self._append(writer.tx, calls)
        writer.commit()
        self.changes += tx is not None
        self.epoch = epoch
        self._on_batch(position)

    def _given_up(self, error: Full | Slow | Away) -> Unavailable:
        """Rolls the batch back; what its calls are told."""
        self._writer.rollback()
        if isinstance(error, Away) and error.unsure:  # it may have happened: nothing that was read before is surely the newest
            self.changes += 1
            self.epoch += 1
            return self._unknown(error)
        return Unavailable("The journal could not take the call, and nothing of it happened: {reason}", reason=error)

    @staticmethod
    def _unknown(reason: object) -> Unavailable:
        return Unavailable("The outcome of this call is unknown: the journal failed while it was written ({reason}).", reason=reason)

    def _fail(self, reason: str) -> None:
        with self._guard:
            self.failure = reason
            left = list(self._waiting)
            self._waiting.clear()
        self._writer.rollback()
        self._loop.call_soon_threadsafe(
            self._release, left, dict.fromkeys(left, Unavailable("The journal cannot be written: {reason}", reason=reason))
        )

    @staticmethod
    def _release(batch: list[Ticket], refused: dict[Ticket, Unavailable]) -> None:
        for ticket in batch:
            done = ticket.done
            if done is None or done.done():
                continue
            if refused and ticket in refused:
                done.set_exception(refused[ticket])
            else:
                done.set_result(None)
