"""How long to wait after a failure: exponential with full jitter, so that many who failed together do not return together."""

from __future__ import annotations

from collections.abc import Callable

Chance = Callable[[], float]
"""Draws from [0, 1)."""

_LARGEST = 32


class Backoff:
    """Waiting times `first * 2^n` up to `most` seconds, each drawn between its half and its whole."""

    def __init__(self, chance: Chance, first: float = 0.5, most: float = 60.0) -> None:
        self._chance = chance
        self._first = first
        self._most = most
        self.failures = 0

    def next(self) -> float:
        """Counts a failure; the seconds to wait."""
        full = min(self._most, self._first * 2.0 ** min(self.failures, _LARGEST))
        self.failures += 1
        return full / 2 + full / 2 * self._chance()

    def reset(self) -> None:
        """Counts a success."""
        self.failures = 0
