"""Secrets at rest and tokens in the wild: AES-256-GCM under a master key that lies outside the database.

Every sealed value is bound to a purpose: what was sealed as one thing cannot be opened as another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class BadSeal(Exception):
    """The value was not sealed with this key for this purpose, or was altered."""


class Sealer:
    """Seals and opens byte strings. Thread safe."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != 32:
            raise ValueError("the master key has 32 bytes")
        self._key = master_key
        self._pseudonyms = self.derive("pseudonyms")
        self._cipher = AESGCM(hmac.digest(master_key, b"opentrail seal", hashlib.sha256))

    def seal(self, purpose: str, secret: bytes) -> bytes:
        """Nonce and ciphertext of `secret`, which opens only under the same purpose."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret, purpose.encode())

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """What was sealed. Raises BadSeal."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], purpose.encode())
        except (InvalidTag, ValueError) as error:
            raise BadSeal(purpose) from error

    def seal_text(self, purpose: str, secret: bytes) -> str:
        """`seal` as URL-safe base64 without padding, for tokens that travel."""
        return base64.urlsafe_b64encode(self.seal(purpose, secret)).rstrip(b"=").decode()

    def open_text(self, purpose: str, token: str) -> bytes:
        """What `seal_text` sealed. Raises BadSeal for anything else, however malformed."""
        try:
            sealed = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error) as error:
            raise BadSeal(purpose) from error
        return self.open(purpose, sealed)

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for `purpose` alone, the same at every start."""
        return hmac.digest(self._key, b"derive " + purpose.encode(), hashlib.sha256)

    def pseudonym(self, id: str) -> str:
        """What stands for an id where it must not: the same at every start, 33 letters and digits (HMAC-SHA-256, cut to 128 bits)."""
        return "h" + hmac.digest(self._pseudonyms, id.encode("utf-8", "surrogatepass"), hashlib.sha256)[:16].hex()

    def pseudonym_in(self, name: str) -> str:
        """A resource's name or ARN with the pseudonym of its last part, which is its id."""
        head, slash, id = name.rpartition("/")
        return head + slash + self.pseudonym(id)


def load_master_key(file: Path, create: bool = False) -> bytes:
    """The 32 bytes in `file` (64 hexadecimal digits, mode 0600). With `create`, a missing file is made first.

    Raises PermissionError when others may read the file, ValueError when its text is no key.
    """
    if create and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write(os.urandom(32).hex() + "\n")
            out.flush()
            os.fsync(out.fileno())
    if file.stat().st_mode & 0o077:
        raise PermissionError(f"{file}: the master key must be readable by its owner only (chmod 600)")
    return parse_master_key(file.read_text())


def parse_master_key(text: str) -> bytes:
    """The key from its 64 hexadecimal digits. Raises ValueError, without quoting the text."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("a master key is 64 hexadecimal digits")
    return key
