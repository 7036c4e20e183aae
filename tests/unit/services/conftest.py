"""Fixtures of the services' tests."""

from __future__ import annotations

import pytest

from tests.databases import Database
from tests.unit.services.identity_world import World


@pytest.fixture
def world(main_database: Database) -> World:
    """Two accounts with their root users, on each kind of database."""
    return World(main_database)
