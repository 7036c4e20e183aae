"""The process of a job: reads what to do from `task.json` in a folder, leaves `result.json` there. Started by `jobs`.

It is a process of its own so that it can be stopped, and so that what it takes (memory, a crash) concerns nobody else. It ends
with its parent: whose end closes standard input.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from opentrail.kernel.errors import ServiceError
from opentrail.services.personalize import importing, training

WORK: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"import": importing.work, "train": training.work}
"""What a task may ask for: a function from its fields to the result's."""


def main(folder: Path) -> int:
    """Does the task of a folder; a refusal is a result, too."""
    task = msgspec.json.decode((folder / "task.json").read_bytes())
    try:
        result = WORK[task["work"]](task)
    except ServiceError as error:
        result = {"failure": error.for_caller()}
    partial = folder / "result.partial"
    partial.write_bytes(msgspec.json.encode(result))
    partial.rename(folder / "result.json")
    return 0


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os._exit(main(Path(sys.argv[1])))
