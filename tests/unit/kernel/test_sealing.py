"""Sealed values open with their key and purpose only; page tokens with their operation and parameters only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.kernel import paging
from opentrail.kernel.sealing import BadSeal, Sealer, load_master_key, parse_master_key

SEALER = Sealer(bytes(32))


@given(st.binary(), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens(secret: bytes, purpose: str) -> None:
    assert SEALER.open(purpose, SEALER.seal(purpose, secret)) == secret
    assert SEALER.open_text(purpose, SEALER.seal_text(purpose, secret)) == secret


def test_nothing_else_opens() -> None:
    sealed = SEALER.seal("a", b"secret")
    assert b"secret" not in sealed
    assert sealed != SEALER.seal("a", b"secret")
    for sealer, purpose, value in (
        (SEALER, "b", sealed), (Sealer(b"\1" * 32), "a", sealed), (SEALER, "a", sealed[:-1]), (SEALER, "a", b""), (SEALER, "a", sealed[:12]),
        *((SEALER, "a", sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :]) for n in range(len(sealed))),
    ):  # fmt: skip
        with pytest.raises(BadSeal):
            sealer.open(purpose, value)


@given(st.text())
def test_no_other_token_opens(token: str) -> None:
    with pytest.raises(BadSeal):
        SEALER.open_text("a", token)


def test_keys_for_purposes_differ_and_stay() -> None:
    assert SEALER.derive("a") == Sealer(bytes(32)).derive("a")
    assert len({SEALER.derive("a"), SEALER.derive("b"), Sealer(b"\1" * 32).derive("a")}) == 3


def test_the_master_keys_file(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "key"
    made = load_master_key(file, create=True)
    assert load_master_key(file) == load_master_key(file, create=True) == made
    assert file.stat().st_mode & 0o777 == 0o600
    os.chmod(file, 0o640)
    with pytest.raises(PermissionError):
        load_master_key(file)
    with pytest.raises(FileNotFoundError):
        load_master_key(tmp_path / "other")


@pytest.mark.parametrize("text", ["", "secretsecret", "00" * 31, "00" * 33, "zz" * 32])
def test_texts_that_are_no_key_are_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a master key is 64 hexadecimal digits$"):
        parse_master_key(text)
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"short")


def test_page_tokens_hold_for_their_own_request_alone() -> None:
    bound = ("123456789012", {"b": 1, "a": 2})
    token = paging.issue(SEALER, "List", bound, (5, "place"))
    assert paging.redeem(SEALER, "List", ("123456789012", {"a": 2, "b": 1}), token, tuple[int, str]) == (5, "place")
    for operation, bound_to, given_token, kind in (
        ("Other", bound, token, tuple[int, str]), ("List", ("210987654321", {}), token, tuple[int, str]), ("List", bound, token, dict[str, int]),
        ("List", bound, token[:-2], tuple[int, str]), ("List", bound, "", tuple[int, str]), ("List", bound, "é", tuple[int, str]),
    ):  # fmt: skip
        with pytest.raises(paging.BadToken):
            paging.redeem(SEALER, operation, bound_to, given_token, kind)
    assert "place" not in token
