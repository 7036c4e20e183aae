"""The memory of a process: the interpreter's collector, and the C library's allocator."""

from __future__ import annotations

import gc

ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": "67108864", "MALLOC_TOP_PAD_": "1048576", "MALLOC_MMAP_THRESHOLD_": "4194304"}
"""Environment of new processes: glibc keeps up to 64 MB that were freed, grows by 1 MB, and maps blocks from 4 MB on by themselves.
By itself it gives back what is above 128 KB: SQLite empties its cache of pages whenever another process has written, and each page
after that was a fault (decision 0040). Other C libraries ignore it."""


def settle() -> None:
    """Tells the collector that what was loaded at start stays, and to look less often: calls and jobs make garbage without cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
