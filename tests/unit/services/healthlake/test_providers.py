"""Addresses of identity providers: which are taken, and that none can pass for another."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake import store
from opentrail.services.healthlake.providers import origin, provider


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("https://idp.example.org/realms/ward", "https://idp.example.org"),
        ("https://IDP.Example.org:443/", "https://idp.example.org"),
        ("https://idp.example.org:8443/keys?x=1", "https://idp.example.org:8443"),
        ("http://127.0.0.1:9000/keys", "http://127.0.0.1:9000"),
        ("http://localhost/keys", "http://localhost"),
        ("http://[::1]:9000/keys", "http://[::1]:9000"),
        ("http://127.8.8.8/keys", "http://127.8.8.8"),
        ("http://idp.example.org/keys", ""),
        ("http://localhost.example.org/", ""),
        ("http://127.0.0.1.example.org/", ""),
        ("http://0.0.0.0/", ""),
        ("http://2130706433/", ""),
        ("http://169.254.169.254/latest", ""),
        ("file:///etc/passwd", ""),
        ("//idp.example.org/keys", ""),
        ("https:///keys", ""),
        ("https://good.example.org@evil.example.org/keys", ""),
        ("https://good.example.org\\@evil.example.org/keys", ""),
        ("https://evil.example.org#good", ""),
        ("https://idp.example.org:port/", ""),
        ("https://idp.example.org:70000/", ""),
        ("https://idp.ex\u0430mple.org/", ""),
        ("https://idp.example.org/\r\nhost: evil", ""),
        ("https://idp.example.org/a b", ""),
        ("", ""),
    ],
)
def test_origins(address: str, wanted: str) -> None:
    assert origin(address) == wanted


@given(st.text(alphabet="htps:/@#?\\.[]0127alocie \t", max_size=40).map(lambda rest: "https://" + rest))
def test_an_origin_is_that_of_the_host_that_would_be_asked(address: str) -> None:
    found = origin(address)
    if found:
        asked = urlsplit(address).hostname
        assert urlsplit(found).hostname == asked
        assert urlsplit(found).path == ""


def row(configuration: str, status: str = "ACTIVE") -> store.Datastore:
    return store.Datastore("a" * 32, 1, "123456789012", "us-east-1", None, status, 0.0, configuration)


KEPT = (
    '{"IdentityProviderConfiguration":{"AuthorizationStrategy":"SMART_ON_FHIR","FineGrainedAuthorizationEnabled":true,'
    '"Metadata":{"issuer":"https://a.example.org","jwks_uri":"https://b.example.org/keys"}}}'
)


def test_tokens_are_taken_while_store_and_operator_say_so() -> None:
    both = ("https://a.example.org", "https://b.example.org")
    found = provider(row(KEPT), both)
    assert found is not None
    assert (found.issuer, found.keys, found.second, found.fine) == ("https://a.example.org", "https://b.example.org/keys", True, True)
    assert provider(row(KEPT), both[:1]) is None
    assert provider(row(KEPT), both[1:]) is None
    assert provider(row(KEPT, "DELETED"), both) is None
    assert provider(row("{}"), both) is None
    assert provider(None, both) is None
