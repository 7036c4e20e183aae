"""What a bearer token costs, against PyCA's bare signature check of the same tokens in the same run; and what its reach costs a search.

python -m benchmarks.bearer
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode
from tests.unit.services.healthlake.engine.support import STORE, Store

from opentrail.kernel.settings import Settings
from opentrail.services.healthlake import tokens
from opentrail.services.healthlake.engine.search.parse import parse_search
from opentrail.services.healthlake.engine.search.run import run_search
from opentrail.services.healthlake.engine.smart.reach import Grant, reach
from opentrail.services.healthlake.engine.smart.scopes import parse
from opentrail.services.healthlake.keysets import KeySets
from opentrail.services.healthlake.providers import Provider
from opentrail.services.healthlake.tokens import Proven

NOW, COUNT, PATIENTS, NOTES = 1_790_000_000.0, 400, 200, 50
ISSUER, ID = "https://idp.example.org", "a" * 32
SCOPES = "launch/patient openid fhirUser patient/Observation.rs patient/Condition.rs patient/Patient.rs"
CLAIMS = {"iss": ISSUER, "aud": f"https://x.org/datastore/{ID}/r4/", "sub": "s", "client_id": "c", "exp": NOW + 300,
          "scope": SCOPES, "patient": "p7"}  # fmt: skip
CALL: Any = SimpleNamespace(
    now=NOW, tools=SimpleNamespace(clock=SimpleNamespace(monotonic=lambda: 0.0), settings=Settings(external_url="https://x.org"))
)


def micros(work: Callable[[], object], count: int) -> float:
    """The best of three runs, in microseconds of CPU a time."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for _ in range(count):
            work()
        best = min(best, time.process_time() - start)
    return best / count * 1e6


def bare(token: str, key: RSAKey | ECKey) -> Callable[[], None]:
    """The signature check alone."""
    said, _, text = token.rpartition(".")
    signature = urlsafe_b64decode(text.encode())
    if isinstance(key, RSAKey):
        return lambda: key.public_key.verify(signature, said.encode(), padding.PKCS1v15(), hashes.SHA256())
    half = len(signature) // 2
    numbers = [int.from_bytes(part, "big") for part in (signature[:half], signature[half:])]
    encoded = encode_dss_signature(*numbers)
    return lambda: key.public_key.verify(encoded, said.encode(), ec.ECDSA(hashes.SHA256()))


def signed(alg: str, key: RSAKey | ECKey) -> str:
    head, body = json.dumps({"alg": alg, "kid": "k"}).encode(), json.dumps(CLAIMS).encode()
    said = urlsafe_b64encode(head) + b"." + urlsafe_b64encode(body)
    return (said + b"." + urlsafe_b64encode(jws.JWSRegistry.algorithms[alg].sign(said, key))).decode()


def main() -> None:
    provider = Provider(ID, "123456789012", "us-east-1", ISSUER, ISSUER + "/keys", True, False)
    for alg, key in (("RS256", RSAKey.generate_key(2048, {"kid": "k"})), ("ES256", ECKey.generate_key("P-256", {"kid": "k"}))):
        sets = KeySets(lambda address, key=key: json.dumps({"keys": [key.as_dict(private=False)]}).encode())  # type: ignore[misc]
        sets.ask(provider.keys, 0.0)
        token, known = signed(alg, key), Proven()
        floor = micros(bare(token, key), COUNT)
        first = micros(lambda token=token, sets=sets: tokens.admit(CALL, provider, token, sets, Proven()), COUNT)  # type: ignore[misc]
        again = micros(lambda token=token, sets=sets, known=known: tokens.admit(CALL, provider, token, sets, known), COUNT)  # type: ignore[misc]
        print(f"{alg}: bare check {floor:6.1f} us; a token's first call {first:6.1f} us ({first / floor:.1f} x); its next {again:5.1f} us")
    searches()


def searches() -> None:
    """One patient's observations: asked by a caller who names the patient, and by the patient's token that names nobody."""
    store = Store()
    for patient in range(PATIENTS):
        store.add({"resourceType": "Patient", "id": f"p{patient}"})
        for number in range(NOTES):
            code = {"coding": [{"system": "http://c", "code": f"c{number % 7}"}]}
            note = {"resourceType": "Observation", "id": f"o{patient}-{number}", "status": "final", "code": code}
            store.add({**note, "subject": {"reference": f"Patient/p{patient}"}})
    store.database.execute("ANALYZE")
    own = reach(Grant(parse("patient/*.rs", True, False), "p7"), "Observation", "s")

    def by_name() -> int:
        return len(run_search(store.read, parse_search("Observation", [("code", "c3"), ("patient", "p7")]), STORE).matches)

    def by_token() -> int:
        wanted = parse_search("Observation", [("code", "c3")])
        return len(run_search(store.read, replace(wanted, filters=(*wanted.filters, *own.filters())), STORE).matches)

    assert by_name() == by_token() > 0
    named, narrowed = micros(by_name, 200), micros(by_token, 200)
    print(f"search of {NOTES} in {PATIENTS * NOTES}: patient named {named:.0f} us, by token {narrowed:.0f} us ({narrowed / named:.2f} x)")


if __name__ == "__main__":
    main()
