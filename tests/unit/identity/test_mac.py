"""HMAC-SHA-256 is the library's."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from opentrail.identity.mac import hmac_sha256


@given(key=st.binary(max_size=64), message=st.binary(max_size=300))
def test_the_code_is_the_librarys(key: bytes, message: bytes) -> None:
    assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256").hex()
