"""How many threads numpy multiplies with."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

NAMES = tuple(f"{first}openblas_set_num_threads{last}" for first in ("scipy_", "") for last in ("64_", "64", ""))
"""What OpenBLAS calls the setting, by how it was built; numpy's own wheels have the first."""


def one() -> bool:
    """Let this process multiply with one thread from now on, and say whether that could be set: it can with OpenBLAS.

    The network's multiplications are many and small. OpenBLAS would give each to all cores and let those wait for the next one by
    spinning: ten times the time for a note, and the cores of other workers taken.
    """
    found = find_spec("numpy._core._multiarray_umath")
    if found is None or found.origin is None:
        return False
    library = ctypes.CDLL(found.origin)
    for name in NAMES:
        if hasattr(library, name):
            getattr(library, name)(1)
            return True
    return False
