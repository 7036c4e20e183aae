"""One live server for each kind of database, and the story that a test tells on it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from importlib.util import find_spec
from pathlib import Path

import pg8000.native
import pytest
from benchmarks.servers import ACCOUNT, OTHER, serving

from opentrail.store.postgres import arguments
from tests.conftest import kinds
from tests.wire.fhir_data import filled
from tests.wire.issuer import Issuer
from tests.wire.story import Live, Story

collect_ignore = [] if find_spec("torch") else ["test_personalize_deep.py"]
"""What belongs to the extra `deep`: without PyTorch there is nothing to collect (`make deep` installs it)."""


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "covers(service, *operations): the test calls them with success and asserts their records")


class Lives:
    """The servers of one run, each started when it is first needed: changing between them stops none."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request, self._folder = request, folder
        self._running: dict[str, Live] = {}
        self.opened = ExitStack()
        self.issuer = self.opened.enter_context(Issuer())

    def of(self, kind: str) -> Live:
        """The server on that kind of database."""
        if kind not in self._running:
            address = self._database() if kind == "postgresql" else ""
            server = self.opened.enter_context(
                serving(
                    self._folder / kind,
                    "--account",
                    f"{ACCOUNT},{OTHER}",
                    "--database",
                    address,
                    "--flush-interval",
                    "2s",
                    environment={"OPENTRAIL_TOKEN_ISSUERS": self.issuer.origin},
                )
            )
            self._running[kind] = self.opened.enter_context(closing(Live(server)))
        return self._running[kind]

    def _database(self) -> str:
        address: str = self._request.getfixturevalue("postgres_server")
        admin = pg8000.native.Connection(**arguments(address.format("postgres")))
        admin.run("CREATE DATABASE wire")
        admin.close()
        return address.format("wire")


@pytest.fixture(scope="session")
def lives(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    """Stops every server at the end."""
    lives = Lives(request, tmp_path_factory.mktemp("live"))
    with lives.opened:
        yield lives


@pytest.fixture
def issuer(lives: Lives) -> Issuer:
    """The identity provider whose tokens the servers' data stores may take, as it was at first."""
    lives.issuer.keys, lives.issuer.answer = [lives.issuer.rsa, lives.issuer.ec], None
    return lives.issuer


@pytest.fixture(params=kinds())
def live(request: pytest.FixtureRequest, lives: Lives) -> Live:
    """A running server, on SQLite and on PostgreSQL."""
    return lives.of(request.param)


@pytest.fixture
def story(live: Live) -> Story:
    """A fresh story with names of its own."""
    return Story(live)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test that passed must have done what it claims."""
    result = yield
    judged(pyfuncitem)
    return result


def judged(pyfuncitem: pytest.Function) -> None:
    """Raises AssertionError when the test claims an operation of which its story compared no record of success."""
    claimed = {(mark.args[0], name) for mark in pyfuncitem.iter_markers("covers") for name in mark.args[1:]}
    story = pyfuncitem.funcargs.get("story")
    proven = story.proven if isinstance(story, Story) else set()
    assert claimed <= proven, f"claimed and not proven: {sorted(claimed - proven)}"


@pytest.fixture(scope="module")
def wards() -> dict[int, tuple[str, Iterator[str]]]:
    """The data stores of `ward` by server."""
    return {}


@pytest.fixture
def ward(story: Story, wards: dict[int, tuple[str, Iterator[str]]]) -> str:
    """A data store with two patients, which the tests of a module share."""
    if id(story.live) not in wards:
        made = filled(story)
        wards[id(story.live)] = next(made), made
    return wards[id(story.live)][0]
