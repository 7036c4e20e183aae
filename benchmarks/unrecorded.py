"""A server without a journal, or without record and journal, as the peers of `benchmarks.recording`. Nothing else puts one together.

python -m benchmarks.unrecorded null|nothing FOLDER PORT
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from benchmarks.servers import ACCOUNT
from opentrail import app, start
from opentrail.gateway import recording
from opentrail.gateway.protocols import encode, encode_error
from opentrail.kernel.settings import Settings


def unrecorded(gateway: Any, call: Any, outcome: Any) -> list[Any]:
    """Encodes the answer, and that is all."""
    outcome.answer = encode_error(call, outcome.error) if outcome.error is not None else encode(call, outcome.output or {})
    return []


class NullJournal:
    """Takes every record and writes none."""

    def append(self, tx: Any, calls: Iterable[Any]) -> int:
        return 0


def main(peer: str, folder: str, port: str) -> int:
    """Serves until SIGTERM. `null`: records are made, and no journal and no follower has them; `nothing`: none is made."""
    settings = Settings(data_dir=folder, listen=f"127.0.0.1:{port}", account=(ACCOUNT,))
    settings.folder.mkdir(parents=True, exist_ok=True)
    start.prepare(settings, lambda text: None)
    with patch.object(app, "Appender", NullJournal) if peer == "null" else patch.object(recording, "conclude", unrecorded):
        return app.serve_web(settings)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
