"""An identity provider on loopback: serves its public keys, signs tokens, and can misbehave on demand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.util import urlsafe_b64encode


class Issuer(AbstractContextManager["Issuer"]):
    """`keys` are those it publishes; `asked` counts how often; `answer` replaces what it answers for the key set."""

    def __init__(self) -> None:
        self.rsa = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})
        self.ec = ECKey.generate_key("P-384", {"kid": "ec-1", "use": "sig"})
        self.keys: list[Key] = [self.rsa, self.ec]
        self.asked = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def metadata(self, **changes: Any) -> dict[str, Any]:
        """What a data store's Metadata says of it."""
        return {
            "issuer": self.origin, "jwks_uri": self.origin + "/keys", "authorization_endpoint": self.origin + "/authorize",
            "token_endpoint": self.origin + "/token", "grant_types_supported": ["authorization_code"],
            "capabilities": ["launch-standalone", "permission-v2"], "code_challenge_methods_supported": ["S256"], **changes,
        }  # fmt: skip

    def token(self, audience: str, scope: Any, patient: str = "", key: Key | None = None, alg: str = "RS256", **claims: Any) -> str:
        """A signed access token; claims that are None are left out, `header` replaces the header's members."""
        now = int(time.time())
        said = {
            "iss": self.origin, "aud": audience, "sub": "nurse-7", "client_id": "growth-chart", "iat": now, "exp": now + 300,
            "scope": scope, **({"patient": patient} if patient else {}), **claims,
        }  # fmt: skip
        header = {"alg": alg, "kid": "rsa-1", "typ": "at+jwt", **said.pop("header", {})}
        payload = json.dumps({name: value for name, value in said.items() if value is not None})
        return sign(header, payload, key or self.rsa, alg)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                if issuer.answer is not None:
                    issuer.answer(self)
                    return
                body = json.dumps({"keys": [{**key.as_dict(private=False)} for key in issuer.keys]}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler


def sign(header: Mapping[str, Any], payload: str, key: Key, alg: str) -> str:
    """A compact JWS, whatever its header says."""
    said = json.dumps({name: value for name, value in header.items() if value is not None})
    signed = urlsafe_b64encode(said.encode()) + b"." + urlsafe_b64encode(payload.encode())
    return (signed + b"." + urlsafe_b64encode(jws.JWSRegistry.algorithms[alg].sign(signed, key))).decode()
