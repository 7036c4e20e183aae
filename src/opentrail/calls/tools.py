"""What an operation may use besides its transaction, handed in by app.py and carried by every call."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from opentrail.kernel.ambient import Clock, Ids
from opentrail.kernel.principal import Principal
from opentrail.kernel.sealing import Sealer
from opentrail.kernel.settings import Settings
from opentrail.store.sql import Snapshot


class Calls(Protocol):
    """Calls that services make themselves, through the same pipeline and into the same trail as everybody's."""

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        """Performs one operation as `principal` and returns its output (wire member names; a streamed body as bytes under
        its member). Raises ServiceError as the operation answers it. MUST NOT be called inside `apply`: it would wait for
        the lane in which it stands, and raises RuntimeError there."""


class Snapshots(Protocol):
    """Opens a consistent read view."""

    def __call__(self) -> AbstractContextManager[Snapshot]: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """`read` opens views of the main database; `history` and `delivery` of the followers' (which may lag)."""

    clock: Clock
    ids: Ids
    sealer: Sealer
    settings: Settings
    calls: Calls
    read: Snapshots
    history: Snapshots
    delivery: Snapshots
    blobs: Path
    """The folder of immutable object bytes."""
