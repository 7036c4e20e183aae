"""Where a web process gathers request bodies. They may be patients' text, so that what a killed process left goes soon.

Every process has a folder of its own below `objects/spool` (on the file system of the blobs, which bodies become by rename) and
holds a lock on it while it lives. A folder that nobody holds is a leftover: the next process to start removes it, and so does
every process that shares the data folder, every ten minutes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from opentrail.kernel.ambient import Ids

_DIGITS = 32


class Spool:
    """This process's folder. `close` removes it with all that is in it; kill -9 leaves it to the next."""

    def __init__(self, parent: Path, ids: Ids) -> None:
        self._parent, self._ids = parent, ids
        parent.mkdir(parents=True, exist_ok=True)
        self.clear()
        self._folder, self._held = _own(parent, ids)

    def file(self) -> Path:
        """The name of a new file, which is not made yet."""
        return self._folder / self._ids.hex(_DIGITS)

    def clear(self) -> int:
        """Removes what processes that ended have left. Returns how many leftovers there were."""
        return sum(_remove_if_left(path) for path in self._parent.iterdir())

    def close(self) -> None:
        """Removes the folder and gives it up."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._held)


def _own(parent: Path, ids: Ids) -> tuple[Path, int]:
    """A new folder and the handle that holds it."""
    while True:
        folder = parent / ids.hex(_DIGITS)
        folder.mkdir(mode=0o700)
        held = _hold(folder)
        if held is None:
            continue
        if folder.exists():
            return folder, held
        os.close(held)  # another process took it for a leftover before it was held


def _remove_if_left(path: Path) -> bool:
    if not path.is_dir():
        path.unlink(missing_ok=True)  # nobody gathers a body here
        return True
    held = _hold(path)
    if held is None:
        return False
    shutil.rmtree(path, ignore_errors=True)
    os.close(held)
    return True


def _hold(folder: Path) -> int | None:
    """A handle that locks the folder until it is closed or the process ends; None when another holds it, or it is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
