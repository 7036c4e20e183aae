"""A role's process: `python -m opentrail.roles web|work`, started by the supervisor with its settings in the environment."""

from __future__ import annotations

import os
import sys
import threading

import msgspec

from opentrail.kernel.settings import Settings
from opentrail.kernel.telemetry import set_up_logging


def main() -> int:
    """Runs the named role until SIGTERM, or until the supervisor is gone."""
    settings = msgspec.json.decode(os.environ.pop("OPENTRAIL_ROLE_SETTINGS"), type=Settings)
    set_up_logging(settings.log_level, settings.log_format)
    _end_with_supervisor(int(os.environ.pop("OPENTRAIL_ROLE_PIPE")))
    from opentrail import app

    return {"web": app.serve_web, "work": app.serve_work}[sys.argv[1]](settings)


def _end_with_supervisor(pipe: int) -> None:
    def watch() -> None:
        os.read(pipe, 1)  # returns only when every writing end is closed: the supervisor has ended
        os._exit(1)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
