"""The engine's data, loaded once for all tests."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from opentrail.services.comprehendmedical.engine import library
from opentrail.services.comprehendmedical.engine.library import Library
from opentrail.services.comprehendmedical.vocabularies import Held

collect_ignore = [] if find_spec("torch") else ["test_network_training.py"]
"""Training needs the extra `deep`."""


@pytest.fixture(scope="session")
def loaded() -> Library:
    """Dictionaries, rules and models."""
    return library.load()


@pytest.fixture(scope="session")
def vocabularies() -> Held:
    """ICD-10-CM and RxNorm as packaged."""
    return Held()
