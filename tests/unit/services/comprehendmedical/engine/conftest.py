"""The engine's data, loaded once for all tests."""

from __future__ import annotations

import pytest

from opentrail.services.comprehendmedical.engine import library
from opentrail.services.comprehendmedical.engine.library import Library, Vocabularies


@pytest.fixture(scope="session")
def loaded() -> Library:
    """Dictionaries, rules and models."""
    return library.load()


@pytest.fixture(scope="session")
def vocabularies() -> Vocabularies:
    """ICD-10-CM and RxNorm as packaged."""
    return library.load_vocabularies()
