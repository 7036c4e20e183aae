"""The interpreter's memory."""

from __future__ import annotations

import gc


def settle() -> None:
    """Tells the collector that what was loaded at start stays, and to look less often: calls and jobs make garbage without cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
