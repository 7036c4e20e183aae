"""The engine's data, loaded once for all tests."""

from __future__ import annotations

import pytest

from opentrail.services.comprehendmedical.engine import library
from opentrail.services.comprehendmedical.engine.library import Library
from opentrail.services.comprehendmedical.vocabularies import Held


@pytest.fixture(scope="session")
def loaded() -> Library:
    """Dictionaries, rules and models."""
    return library.load()


@pytest.fixture(scope="session")
def vocabularies() -> Held:
    """ICD-10-CM and RxNorm as packaged."""
    return Held()
