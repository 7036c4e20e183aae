"""Tokens: what admits them, for how long, and when an issuer is asked for its keys."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from opentrail.calls.bearer import Admitted, Outside, TokenRefused
from opentrail.kernel.sealing import Sealer
from opentrail.kernel.settings import Settings
from opentrail.services.healthlake import tokens
from opentrail.services.healthlake.engine.smart.claims import SKEW
from opentrail.services.healthlake.engine.smart.reach import Grant
from opentrail.services.healthlake.engine.smart.scopes import parse
from opentrail.services.healthlake.keysets import FRESH, RETRY, KeySets
from opentrail.services.healthlake.providers import Provider
from opentrail.services.healthlake.tokens import Proven
from tests.wire.issuer import Issuer

STORE = "a" * 32
HERE = f"https://x.org/datastore/{STORE}/r4/"


class World:
    """An issuer whose keys are had without a network, and a clock."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer, self.asked = issuer, 0
        self.now, self.monotonic = time.time(), 0.0
        self.sets, self.proven = KeySets(self.fetch), Proven()
        self.settings = Settings(external_url="https://x.org")
        self.provider = Provider(STORE, "123456789012", "eu-west-2", issuer.origin, issuer.origin + "/keys", True, False)

    def fetch(self, address: str) -> bytes:
        self.asked += 1
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.issuer.keys]}).encode()

    def admit(self, token: str, provider: Provider | None = None) -> Admitted:
        """As the gateway does it: once, and once more after asking."""
        tools = SimpleNamespace(clock=SimpleNamespace(monotonic=lambda: self.monotonic), settings=self.settings, sealer=Sealer(bytes(32)))
        call: Any = SimpleNamespace(now=self.now, tools=tools)
        try:
            return tokens.admit(call, provider or self.provider, token, self.sets, self.proven)
        except Outside as outside:
            outside.ask()
            return tokens.admit(call, provider or self.provider, token, self.sets, self.proven)


@pytest.fixture(scope="module")
def running() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def world(running: Issuer) -> World:
    running.keys = [running.rsa, running.ec]
    return World(running)


def test_who_is_admitted(world: World) -> None:
    found = world.admit(
        world.issuer.token(HERE, "patient/*.rs", "p1", header={"nonce": "x", "x5t": "y", "jku": "https://evil.example.org"})
    )
    assert (found.region, found.principal.account, found.principal.user_name) == ("eu-west-2", "123456789012", "nurse-7")
    assert found.grant == Grant(parse("patient/*.rs", True, False), "p1")
    assert world.asked == 1


@pytest.mark.parametrize("hashed", [False, True])
def test_the_launch_patient_is_named_as_ids_are(world: World, hashed: bool) -> None:
    world.settings = Settings(external_url="https://x.org", hash_resource_ids=hashed)
    found = world.admit(world.issuer.token(HERE, "patient/*.rs", "p1"))
    assert found.principal.web_identity is not None
    assert dict(found.principal.web_identity.attributes)["patient"] == (Sealer(bytes(32)).pseudonym("p1") if hashed else "p1")
    assert found.grant.patient == "p1"


def test_a_token_is_judged_at_every_call_though_its_signature_is_proven_once(world: World) -> None:
    token = world.issuer.token(HERE, "patient/*.rs", "p1", exp=int(world.now) + 100)
    world.admit(token)
    world.now += 100 + SKEW - 2
    world.admit(token)
    world.now += 2
    with pytest.raises(TokenRefused, match=r"^UnauthorizedException$") as refused:
        world.admit(token)
    assert "expired" in refused.value.for_record()
    other = Provider("b" * 32, "123456789012", "eu-west-2", world.issuer.origin, world.provider.keys, True, False)
    world.now -= 200
    with pytest.raises(TokenRefused) as refused:
        world.admit(token, other)
    assert "aud" in refused.value.for_record()


def test_a_key_that_its_issuer_took_back_proves_nothing_any_more(world: World) -> None:
    token = world.issuer.token(HERE, "patient/*.rs", "p1")
    world.admit(token)
    world.issuer.keys = [world.issuer.ec]
    world.admit(token)
    world.monotonic = FRESH
    with pytest.raises(TokenRefused):
        world.admit(token)
    assert world.asked == 2


def test_a_new_key_is_learned_but_not_more_often_than_every_half_minute(world: World) -> None:
    world.admit(world.issuer.token(HERE, "patient/*.rs", "p1"))
    fresh = RSAKey.generate_key(2048, {"kid": "rsa-2", "use": "sig"})
    world.issuer.keys = [fresh]
    token = world.issuer.token(HERE, "patient/*.rs", "p1", key=fresh, header={"kid": "rsa-2"})
    for world.monotonic in (1.0, RETRY - 1):
        with pytest.raises(TokenRefused):
            world.admit(token)
    assert world.asked == 1
    world.monotonic = RETRY
    assert world.admit(token).principal.user_name == "nurse-7"
    assert world.asked == 2


def test_what_is_remembered_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_PROVEN", 3)
    for number in range(10):
        world.admit(world.issuer.token(HERE, "patient/*.rs", f"p{number}"))
    assert len(world.proven._held) <= 3
    assert "nurse-7" not in repr(list(world.proven._held))
