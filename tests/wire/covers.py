"""The marker by which a wire test claims operations. `tools.coverage` collects the claims from the source, the story checks them."""

from __future__ import annotations

import pytest


def covers(service: str, *operations: str) -> pytest.MarkDecorator:
    """The test calls these operations with success and asserts their records. Arguments are literals."""
    return pytest.mark.covers(service, *operations)
