"""What an operation may use besides its transaction, handed in by app.py and carried by every call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from opentrail.kernel.ambient import Clock, Ids
from opentrail.kernel.principal import Principal
from opentrail.kernel.sealing import Sealer
from opentrail.kernel.settings import Settings
from opentrail.store.sql import Snapshot

T = TypeVar("T")


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


class Engines(Protocol):
    """Computes in other processes what would hold up calls here."""

    def run(self, function: Callable[..., T], /, *arguments: Any) -> T:
        """Runs a function of a module's top level with arguments that can be sent, and returns its result. Raises what the
        function raises, and Unavailable when it takes too long or its process ends."""


class NoEngines:
    """Where nothing computes."""

    def run(self, function: Callable[..., T], /, *arguments: Any) -> T:
        """See Engines."""
        raise RuntimeError("no engines were handed in")


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
    engines: Engines = field(default_factory=NoEngines)
