"""SMART on FHIR: tokens of a local identity provider against live data stores, by those who may and those who should not."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError
from joserfc.jwk import RSAKey

from tests.wire.covers import covers
from tests.wire.fhir_data import TYPE, facts, observation, send, touched
from tests.wire.issuer import Issuer, sign
from tests.wire.story import Story, host

SECRET = "Zweiter"
"""Stands in everything of patient p2, and in nothing else."""
JSON_PATCH = "application/json-patch+json"


def person(id: str, family: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id, "name": [{"family": family}], **more}


def noted(id: str, patient: str, text: str, category: str = "laboratory", **more: Any) -> dict[str, Any]:
    coded = [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category}]}]
    return {**observation(id, patient), "category": coded, "note": [{"text": text}], **more}


EVERYBODY = (
    person("p1", "Erste", generalPractitioner=[{"reference": "Practitioner/d1"}]),
    person("p2", SECRET, link=[{"other": {"reference": "Patient/p1"}, "type": "seealso"}]),
    person("p3", "Dritte", generalPractitioner=[{"reference": "Practitioner/d1"}]),
    noted("o1", "p1", "fine"),
    noted("o2", "p1", "fine", "vital-signs", hasMember=[{"reference": "Observation/o3"}]),
    noted("o3", "p2", SECRET),
    noted("o5", "p3", "fine"),
    {"resourceType": "Practitioner", "id": "d1", "name": [{"family": "Arzt"}]},
    {
        "resourceType": "Group", "id": "g1", "type": "person", "actual": True, "name": SECRET,
        "member": [{"entity": {"reference": f"Patient/{one}"}} for one in ("p1", "p2")],
    },
)  # fmt: skip


class Ward:
    """A SMART data store with three patients, and what reaches it with a token."""

    def __init__(self, story: Story, issuer: Issuer, strategy: str = "SMART_ON_FHIR", fine: bool = False) -> None:
        self.story, self.issuer = story, issuer
        made = story.client("healthlake").create_fhir_datastore(
            DatastoreTypeVersion="R4",
            DatastoreName=story.name("smart"),
            IdentityProviderConfiguration=configuration(issuer, strategy, fine),
        )
        self.id, self.endpoint = made["DatastoreId"], made["DatastoreEndpoint"]
        for one in EVERYBODY:
            assert send(story, self.id, "PUT", f"{one['resourceType']}/{one['id']}", one).status == 201

    def token(self, scope: Any, patient: str = "", **claims: Any) -> str:
        return self.issuer.token(claims.pop("aud", self.endpoint), scope, patient, **claims)

    def ask(
        self, token: str, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, scheme: str = "Bearer"
    ) -> urllib3.BaseHTTPResponse:
        sent = b"" if body is None else json.dumps(body).encode()
        kind = {"content-type": "application/fhir+json"} if sent else {}
        named = {"host": host(self.story.live), "authorization": f"{scheme} {token}", **kind, **(headers or {})}
        path = path if path.startswith("/datastore") else f"/datastore/{self.id}/r4/{path}"
        return self.story.live.send(method, path, named, sent)

    def close(self) -> None:
        self.story.client("healthlake").delete_fhir_datastore(DatastoreId=self.id)


def configuration(provider: Issuer, strategy: str = "SMART_ON_FHIR", fine: bool = False, **metadata: Any) -> dict[str, Any]:
    said = json.dumps(provider.metadata(**metadata))
    return {"AuthorizationStrategy": strategy, "FineGrainedAuthorizationEnabled": fine, "Metadata": said}


@pytest.fixture
def ward(story: Story, issuer: Issuer) -> Iterator[Ward]:
    made = Ward(story, issuer)
    yield made
    made.close()


_still: dict[str, Ward] = {}


@pytest.fixture
def still(story: Story, issuer: Issuer) -> Ward:
    """A data store that several tests share because they change nothing in it."""
    return _still.get(story.live.server.url) or _still.setdefault(story.live.server.url, Ward(story, issuer))


@pytest.fixture
def fine(story: Story, issuer: Issuer) -> Iterator[Ward]:
    made = Ward(story, issuer, fine=True)
    yield made
    made.close()


def record_of(ward: Ward, answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    (record,) = ward.story.live.journal(answer.headers["x-amzn-requestid"])
    return record


def recorded_refusal(ward: Ward, token: str) -> tuple[urllib3.BaseHTTPResponse, dict[str, Any]]:
    """A refused read and its record; asked again while the record is left out because many were refused within a second."""
    for _ in range(50):
        answer = ward.ask(token, "GET", "Patient/p1")
        assert answer.status == 401, answer.data
        if found := ward.story.live.journal(answer.headers["x-amzn-requestid"]):
            return answer, found[0]
        time.sleep(0.1)
    raise AssertionError("no refusal was recorded")


def outcome(answer: urllib3.BaseHTTPResponse) -> str:
    found = json.loads(answer.data)
    assert found["resourceType"] == "OperationOutcome", found
    text: str = found["issue"][0]["diagnostics"]
    return text


def shown(answer: urllib3.BaseHTTPResponse) -> list[str]:
    """Type/id of everything in a searchset or history."""
    assert answer.status == 200, answer.data
    rows = [one.get("resource", {}) for one in json.loads(answer.data).get("entry", ())]
    return sorted(f"{one['resourceType']}/{one['id']}" for one in rows if one.get("resourceType") != "OperationOutcome")


# discovery


@covers("healthlake", "GetSmartConfiguration")
def test_discovery_needs_no_credentials(story: Story, ward: Ward) -> None:
    path = f"/datastore/{ward.id}/r4/.well-known/smart-configuration"
    answer = story.live.send("GET", path, {"host": host(story.live)})
    assert (answer.status, json.loads(answer.data)) == (200, ward.issuer.metadata())
    assert story.live.journal(answer.headers["x-amzn-requestid"]) == []
    found, _ = story.fhir("GetSmartConfiguration", "GET", path[10:], request={"datastoreId": ward.id}, resources=touched(ward.id))
    assert found == ward.issuer.metadata()
    assert record_of(ward, ward.ask(ward.token(""), "GET", path))["eventName"] == "GetSmartConfiguration"
    statement = json.loads(ward.ask(ward.token(""), "GET", "metadata").data)
    assert statement["rest"][0]["security"]["extension"][0]["extension"][0]["valueUri"] == ward.issuer.origin + "/authorize"
    described = story.client("healthlake").describe_fhir_datastore(DatastoreId=ward.id)["DatastoreProperties"]
    said = described["IdentityProviderConfiguration"]
    assert {**said, "Metadata": json.loads(said["Metadata"])} == {**configuration(ward.issuer), "Metadata": ward.issuer.metadata()}


def test_a_plain_data_store_takes_no_token_and_has_no_discovery(story: Story, issuer: Issuer, ward: Ward) -> None:
    made = story.client("healthlake").create_fhir_datastore(DatastoreTypeVersion="R4")
    for store in (made["DatastoreId"], "0" * 32):
        token = issuer.token(f"{story.live.server.url}/datastore/{store}/r4/", "system/*.*")
        refused = ward.ask(token, "GET", f"/datastore/{store}/r4/Patient/p1")
        assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
        assert story.live.journal(refused.headers["x-amzn-requestid"]) == []
        assert ward.ask("", "GET", f"/datastore/{store}/r4/.well-known/smart-configuration", scheme="").status == 404
    assert json.loads(send(story, made["DatastoreId"], "GET", "metadata").data)["rest"][0]["security"] == {
        "service": [{"text": "AWS Signature Version 4"}]
    }
    story.client("healthlake").delete_fhir_datastore(DatastoreId=made["DatastoreId"])


def test_a_token_opens_no_other_api(story: Story, still: Ward) -> None:
    headers = {
        "host": host(story.live), "authorization": f"Bearer {still.token('system/*.*')}", "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "HealthLake.DescribeFHIRDatastore",
    }  # fmt: skip
    assert story.live.send("POST", "/", headers, json.dumps({"DatastoreId": still.id}).encode()).status == 400


def test_signed_calls_are_judged_by_policies_as_before(story: Story, still: Ward) -> None:
    assert send(story, still.id, "GET", "Patient/p2").status == 200
    refused = story.live.submit(story.live.signed(story.user(), "healthlake", "GET", f"/datastore/{still.id}/r4/Patient/p2"))
    assert refused.status == 403


# tokens


@pytest.mark.parametrize("alg", ["RS256", "RS384", "ES384"])
def test_who_holds_a_token_is_named_in_the_record(still: Ward, alg: str) -> None:
    key = still.issuer.ec if alg == "ES384" else still.issuer.rsa
    token = still.token(
        "launch/patient openid patient/*.read", "p1", alg=alg, key=key, header={"kid": key.kid}, fhirUser=f"{still.endpoint}Patient/p1"
    )
    answer = still.ask(token, "GET", "Patient/p1")
    assert answer.status == 200, answer.data
    record = record_of(still, answer)
    named = {"client_id": "growth-chart", "sub": "nurse-7", "patient": "p1", "fhirUser": "Patient/p1"}
    identity, origin = record["userIdentity"], still.issuer.origin
    assert list(identity) == ["type", "principalId", "userName", "identityProvider", "sessionContext"]
    assert (identity["type"], identity["principalId"]) == ("WebIdentityUser", f"{origin}:growth-chart:nurse-7")
    assert (identity["userName"], identity["identityProvider"]) == ("nurse-7", origin)
    assert identity["sessionContext"]["webIdFederationData"] == {"federatedProvider": origin, "attributes": named}
    assert (record["eventName"], record["awsRegion"], record["recipientAccountId"]) == ("ReadResource", "us-east-1", "123456789012")
    assert [(one["type"], one["ARN"]) for one in record["resources"]] == touched(still.id, "Patient/p1")
    assert token not in json.dumps(record)
    assert token.rpartition(".")[2] not in json.dumps(record)
    events = still.story.client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "Username", "AttributeValue": "nurse-7"}])
    assert record["requestID"] in json.dumps([one["CloudTrailEvent"] for one in events["Events"]])


def altered(token: str) -> str:
    head, body, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**said, "patient": "p2"}).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


def unsigned(ward: Ward) -> str:
    _, body, _ = ward.token("system/*.*").split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{none}.{body}."


def shared_secret(ward: Ward) -> str:
    """The classic: the issuer's public key used as a shared secret."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa-1"}').rstrip(b"=").decode()
    said = f"{head}.{ward.token('system/*.*').split('.')[1]}"
    signature = hmac.digest(ward.issuer.rsa.as_pem(private=False), said.encode(), "sha256")
    return f"{said}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


HOUR = 3600
UNPROVEN = {
    "altered": lambda ward: altered(ward.token("patient/*.*", "p1")),
    "cut": lambda ward: ward.token("system/*.*")[:-9],
    "no signature": unsigned,
    "shared secret": shared_secret,
    "another key under the kid": lambda ward: ward.token("system/*.*", key=RSAKey.generate_key(2048)),
    "an unknown kid": lambda ward: ward.token("system/*.*", header={"kid": "other"}),
    "no kid among two keys": lambda ward: ward.token("system/*.*", header={"kid": None}, key=RSAKey.generate_key(2048)),
    "a kid of the wrong kind": lambda ward: ward.token("system/*.*", header={"kid": "ec-1"}),
    "its own key": lambda ward: ward.token(
        "system/*.*", key=(own := RSAKey.generate_key(2048)), header={"kid": None, "jwk": own.as_dict(private=False)}
    ),
    "a critical header": lambda ward: ward.token("system/*.*", header={"crit": ["exp"], "exp": 1}),
    "no token": lambda ward: "",
    "text": lambda ward: "a.b.c",
    "a list as header": lambda ward: base64.urlsafe_b64encode(b'["alg"]').decode() + ".e30.e30",
    "deep": lambda ward: base64.urlsafe_b64encode(b"[" * 3000).decode() + ".e30.e30",
    "long": lambda ward: "a" * 17000 + ".e30.e30",
    "not a claims object": lambda ward: sign({"alg": "RS256", "kid": "rsa-1"}, "[]", ward.issuer.rsa, "RS256"),
}  # fmt: skip
PROVEN = {
    "another issuer": {"iss": "https://evil.example.org"},
    "another audience": {"aud": "https://other.example.org/r4/"},
    "another data store": {"aud": "{other}"},
    "the client as audience": {"aud": "growth-chart"},
    "no audience": {"aud": None},
    "expired": {"exp": int(time.time()) - HOUR},
    "no end": {"exp": None},
    "an end that is no time": {"exp": "tomorrow"},
    "not yet": {"nbf": int(time.time()) + HOUR},
    "from the future": {"iat": int(time.time()) + HOUR},
    "nobody": {"sub": None},
    "no id as patient": {"patient": "../p2"},
    "a list as scope": {"scope": [1]},
}


@pytest.mark.parametrize("name", UNPROVEN)
def test_a_token_that_proves_nobody_is_refused_and_its_claims_are_not_recorded(still: Ward, name: str) -> None:
    answer, record = recorded_refusal(still, UNPROVEN[name](still))
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert "token is not accepted" in outcome(answer)
    assert record["errorCode"] == "UnauthorizedException"
    assert record["userIdentity"]["identityProvider"] == still.issuer.origin
    assert "nurse-7" not in json.dumps(record)


@pytest.mark.parametrize("name", PROVEN)
def test_a_token_of_the_issuer_that_does_not_hold_is_refused_in_its_holders_name(still: Ward, name: str) -> None:
    other = still.endpoint.replace(still.id, "f" * 32)
    claims = {key: other if value == "{other}" else value for key, value in PROVEN[name].items()}
    _, record = recorded_refusal(still, still.token(claims.pop("scope", "system/*.*"), **claims))
    assert record["errorCode"] == "UnauthorizedException"
    assert record["userIdentity"].get("userName") == (None if name == "nobody" else "nurse-7")


def test_the_refused_are_summed_up(still: Ward) -> None:
    answers = [still.ask(unsigned(still), "GET", "Patient/p1") for _ in range(60)]
    assert {one.status for one in answers} == {401}
    recorded = [one for one in answers if still.story.live.journal(one.headers["x-amzn-requestid"])]
    assert 0 < len(recorded) < 60


def test_a_token_in_the_address_or_of_another_scheme_is_none(still: Ward) -> None:
    token = still.token("system/*.*")
    plain = {"host": host(still.story.live)}
    assert still.story.live.send("GET", f"/datastore/{still.id}/r4/Patient/p1?access_token={token}", plain).status == 401
    assert still.ask(token, "GET", "Patient/p1", scheme="Basic").status >= 400
    assert still.ask(token, "GET", "Patient/p1", scheme="bearer").status == 200


def test_a_deleted_data_store_takes_tokens_no_more(story: Story, issuer: Issuer) -> None:
    ward = Ward(story, issuer)
    token = ward.token("system/*.*")
    assert ward.ask(token, "GET", "Patient/p1").status == 200
    ward.close()
    assert ward.ask(token, "GET", "Patient/p1").status == 401


def test_another_identity_provider_counts_from_the_next_call(story: Story, issuer: Issuer, ward: Ward) -> None:
    client, token = story.client("healthlake"), ward.token("user/*.rs patient/Patient.rs?_id=p1", "p1")
    assert shown(ward.ask(token, "GET", "Patient")) == ["Patient/p1", "Patient/p2", "Patient/p3"]
    client.update_fhir_datastore(DatastoreId=ward.id, IdentityProviderConfiguration=configuration(issuer, fine=True))
    assert ward.ask(token, "GET", "Patient").status == 403
    client.update_fhir_datastore(DatastoreId=ward.id, IdentityProviderConfiguration={"AuthorizationStrategy": "AWS_AUTH"})
    assert ward.ask(token, "GET", "Patient").status == 401
    with pytest.raises(ClientError, match="token_issuers"):
        client.update_fhir_datastore(
            DatastoreId=ward.id, IdentityProviderConfiguration=configuration(issuer, jwks_uri="https://evil.example.org/keys")
        )
    assert ward.ask(token, "GET", "Patient").status == 401


# a patient's own token


OWN = "patient/*.cruds"


def test_a_launch_patient_sees_and_changes_what_is_theirs(ward: Ward) -> None:
    mine = ward.token(f"launch {OWN}", "p1")
    assert ward.ask(mine, "GET", "Observation/o1").status == 200
    assert ward.ask(mine, "GET", "Observation/o1/_history/1").status == 200
    assert shown(ward.ask(mine, "GET", "Observation/o1/_history")) == ["Observation/o1"]
    assert shown(ward.ask(mine, "GET", "Observation")) == ["Observation/o1", "Observation/o2"]
    assert shown(ward.ask(mine, "GET", "Patient")) == ["Patient/p1"]
    assert shown(ward.ask(mine, "GET", "Patient/p1/$everything")) == ["Observation/o1", "Observation/o2", "Patient/p1"]
    assert json.loads(ward.ask(mine, "GET", "Patient/p1/$everything").data)["total"] == 3
    form = {"content-type": "application/x-www-form-urlencoded"}
    path = f"/datastore/{ward.id}/r4/Observation/_search"
    sent = {"host": host(ward.story.live), "authorization": f"Bearer {mine}", **form}
    assert shown(ward.story.live.send("POST", path, sent, b"category=laboratory")) == ["Observation/o1"]
    made = ward.ask(mine, "POST", "Observation", noted("x", "p1", "new"))
    assert made.status == 201, made.data
    own = f"Observation/{json.loads(made.data)['id']}"
    assert ward.ask(mine, "PUT", own, {**json.loads(made.data), "status": "amended"}).status == 200
    patch = [{"op": "replace", "path": "/status", "value": "corrected"}]
    assert ward.ask(mine, "PATCH", own, patch, {"content-type": JSON_PATCH}).status == 200
    assert ward.ask(mine, "DELETE", own).status == 204
    assert ward.ask(mine, "GET", own).status == 404
    assert ward.ask(mine, "PUT", "Patient/p1", {**EVERYBODY[0], "active": True}).status == 200


def bundle(kind: str, *entries: tuple[str, str, Any]) -> dict[str, Any]:
    rows = [{"request": {"method": method, "url": url}, **({"resource": body} if body else {})} for method, url, body in entries]
    return {"resourceType": "Bundle", "type": kind, "entry": rows}


TEST = [{"op": "test", "path": "/name/0/family", "value": SECRET}]
STOLEN = {**noted("o3", "p1", "mine now")}
ATTACKS: list[tuple[str, str, Any, int]] = [
    ("GET", "Patient/p2", None, 404),
    ("GET", "Patient/p3", None, 404),
    ("GET", "Patient/p2/_history/1", None, 404),
    ("GET", "Patient/p2/_history", None, 404),
    ("GET", "Observation/o3", None, 404),
    ("GET", "Observation/o3/_history/1", None, 404),
    ("GET", "Group/g1", None, 403),
    ("GET", "Group", None, 403),
    ("GET", "Practitioner/d1", None, 403),
    ("GET", "Practitioner", None, 403),
    ("GET", "_history", None, 403),
    ("GET", "Patient/_history", None, 403),
    ("GET", "Observation/_history", None, 403),
    ("GET", "", None, 403),
    ("GET", "?_type=Patient", None, 403),
    ("GET", "Patient/p2/$everything", None, 404),
    ("GET", "Patient?_id=p2", None, 200),
    ("GET", "Patient?_id=p1,p2", None, 200),
    ("GET", "Patient?family=Zweiter&_total=accurate", None, 200),
    ("GET", "Observation?patient=p2", None, 200),
    ("GET", "Observation?_id=o3", None, 200),
    ("GET", "Observation?patient=p2&_summary=count", None, 200),
    ("GET", "Patient?_revinclude=Observation:subject&_revinclude=Patient:link", None, 200),
    ("GET", "Observation?_include=*&_include:iterate=*", None, 200),
    ("GET", "Observation?_include=Observation:has-member&_include:iterate=Observation:subject", None, 200),
    ("GET", "Patient?_include=Patient:general-practitioner&_revinclude=Group:member", None, 200),
    ("GET", "Patient/p1/Observation?_total=accurate", None, 200),
    ("GET", "Patient/p2/Observation?_total=accurate", None, 200),
    ("GET", "Patient/p2/Group", None, 403),
    ("GET", "Practitioner/d1/Patient?_total=accurate", None, 200),
    ("GET", "Patient/p1/*", None, 403),
    ("GET", "Patient/p2/*", None, 403),
    ("GET", "?_type=Observation", None, 403),
    ("POST", "Transaction/0123", None, 403),
    ("GET", "Transaction/0123", None, 403),
    ("GET", "Observation/o3?_elements=note", None, 404),
    ("GET", "Observation/_history?_at=2020", None, 403),
    ("DELETE", "Observation?_count=10&status=final", None, 403),
    ("PATCH", "Observation?_id=o3", [], 403),
    ("POST", "", bundle("batch", ("GET", "Observation/o3/_history", None)), 403),
    ("POST", "", bundle("transaction", ("PATCH", "Observation?_id=o3", {"resourceType": "Binary"})), 403),
    ("GET", "Patient?_has:Group:member:type=person", None, 403),
    ("GET", "Patient?_has:Patient:link:family=Zweiter", None, 403),
    ("GET", "Observation?has-member.subject:Patient.family=Zweiter", None, 403),
    ("GET", "Observation?subject:Patient.family=Zweiter", None, 403),
    ("GET", "Patient?general-practitioner.family=Arzt", None, 403),
    ("PUT", "Patient/p2", person("p2", "taken"), 404),
    ("PUT", "Observation/o3", STOLEN, 404),
    ("PUT", "Observation/new", noted("new", "p1", "by id"), 404),
    ("PUT", "Observation/o1", noted("o1", "p2", "given away"), 403),
    ("PUT", "Observation/o1", noted("o1", "p1", "x", performer=[{"reference": "Patient/p2"}]), 403),
    ("PUT", "Patient/p1", person("p1", "Erste", link=[{"other": {"reference": "Patient/p2"}, "type": "seealso"}]), 403),
    ("PUT", "Observation?_id=o3", STOLEN, 403),
    ("POST", "Observation", noted("x", "p2", "planted"), 403),
    ("POST", "Observation", noted("x", "p2", "planted", performer=[{"reference": "Patient/p1"}]), 403),
    ("POST", "Observation", {**noted("x", "p1", "nobody's"), "subject": {"display": "?"}}, 403),
    ("POST", "Patient", person("x", "new"), 403),
    ("POST", "Practitioner", {"resourceType": "Practitioner"}, 403),
    ("DELETE", "Observation/o3", None, 404),
    ("DELETE", "Patient/p2", None, 404),
    ("DELETE", "Observation?_id=o3", None, 403),
    ("DELETE", "Observation?subject:Patient.family=Zweiter", None, 403),
    ("POST", "", bundle("batch", ("GET", "Patient/p2", None), ("GET", "Observation?patient=p2", None)), 200),
    ("POST", "", bundle("transaction", ("GET", "Patient/p2", None)), 404),
    ("POST", "", bundle("transaction", ("PUT", "Observation/o3", STOLEN)), 404),
    ("POST", "", bundle("batch", ("DELETE", "Observation/o3", None)), 200),
    ("POST", "", bundle("batch", ("GET", "Group/g1", None)), 403),
    ("POST", "", bundle("batch", ("DELETE", "Observation?_id=o3", None)), 403),
    ("POST", "", bundle("transaction", ("POST", "Observation", noted("x", "p2", "planted"))), 403),
    ("POST", "", bundle("transaction", ("POST", "Observation", {**noted("x", "p1", "?"), "focus": [{"reference": f"Patient?family={SECRET}"}]})), 403),
    ("GET", "export/1", None, 403),
    ("DELETE", "export/1", None, 403),
    ("GET", "Patient/$export", None, 403),
    ("GET", "Patient/p2/$member-match", None, 403),
]  # fmt: skip
NOT_OFFERED = ("export", "$export", "$member-match")


@pytest.mark.parametrize(("method", "path", "body", "status"), ATTACKS, ids=[f"{a[0]} {a[1]} {n}" for n, a in enumerate(ATTACKS)])
def test_a_patients_token_reaches_nobody_else(still: Ward, method: str, path: str, body: Any, status: int) -> None:
    before = {one: send(still.story, still.id, "GET", one).data for one in ("Patient/p2", "Observation/o3", "Observation/o1", "Patient/p1")}
    answer = still.ask(still.token(OWN, "p1"), method, path, body)
    assert SECRET.encode() not in answer.data.replace(path.encode(), b"")
    if any(path.startswith(one) or one in path for one in NOT_OFFERED) and answer.status == 501:
        return
    assert answer.status == status, answer.data
    found = json.loads(answer.data)
    if found.get("type") == "searchset":
        assert found.get("total", 0) <= (2 if "Observation?_total" in path and "p1" in path else 1)
        assert not {"Patient/p2", "Patient/p3", "Observation/o3", "Group/g1", "Practitioner/d1"} & set(shown(answer))
    after = {one: send(still.story, still.id, "GET", one).data for one in before}
    assert after == before


def test_whom_a_conditional_reference_selects_is_judged_when_it_is_resolved(ward: Ward) -> None:
    narrow = ward.token("launch patient/Observation.cruds system/Patient.crus", "p1")

    def noting(condition: str) -> dict[str, Any]:
        return {**noted("n1", "p1", "new"), "subject": {"reference": f"Patient?{condition}"}, "identifier": [{"value": "n1"}]}

    newcomer = {"resourceType": "Patient", "identifier": [{"value": "z"}]}
    for condition, status in (("_id=p2", 403), ("identifier=z", 403), ("_id=p1", 200)):
        sent = bundle("transaction", ("POST", "Observation", noting(condition)), ("POST", "Patient", newcomer))
        answer = ward.ask(narrow, "POST", "", sent)
        assert answer.status == status, answer.data
    assert len(shown(ward.ask(narrow, "GET", "Observation?patient=p1&identifier=n1"))) == 1
    assert len(shown(send(ward.story, ward.id, "GET", "Observation?identifier=n1"))) == 1


def test_how_a_patch_goes_tells_nothing(still: Ward) -> None:
    mine = still.token(OWN, "p1")
    answers = [
        still.ask(mine, "PATCH", path, [{**TEST[0], "value": value}], {"content-type": JSON_PATCH})
        for path in ("Patient/p2", "Patient/never")
        for value in (SECRET, "other")
    ]
    assert {(one.status, outcome(one).replace("never", "p2")) for one in answers} == {(404, outcome(answers[0]))}
    assert still.ask(still.token("user/Patient.u"), "PATCH", "Patient/p2", TEST, {"content-type": JSON_PATCH}).status == 403
    held = [still.ask(mine, "DELETE", f"Patient/{one}", headers={"if-match": 'W/"9"'}) for one in ("p2", "never")]
    assert [one.status for one in held] == [404, 404]


def test_a_page_token_of_somebody_else_widens_nothing(ward: Ward) -> None:
    for number in range(3):
        assert ward.ask(ward.token("system/*.*"), "PUT", f"Observation/z{number}", noted(f"z{number}", "p2", SECRET)).status == 201
    all_of_them = json.loads(ward.ask(ward.token("system/*.rs"), "GET", "Observation?_count=1").data)
    following = next(one["url"] for one in all_of_them["link"] if one["relation"] == "next").partition("/r4/")[2]
    assert shown(ward.ask(ward.token(OWN, "p1"), "GET", following)) == ["Observation/o2"]


def test_old_versions_of_another_patient_stay_hidden(ward: Ward) -> None:
    every = ward.token("system/*.*")
    assert ward.ask(every, "PUT", "Observation/o9", noted("o9", "p2", SECRET)).status == 201
    assert ward.ask(every, "PUT", "Observation/o9", noted("o9", "p1", "moved")).status == 200
    mine = ward.token(OWN, "p1")
    assert ward.ask(mine, "GET", "Observation/o9").status == 200
    assert ward.ask(mine, "GET", "Observation/o9/_history/1").status == 404
    history = ward.ask(mine, "GET", "Observation/o9/_history")
    assert (shown(history), SECRET.encode() in history.data) == (["Observation/o9"], False)
    assert ward.ask(every, "PUT", "Observation/o9", noted("o9", "p2", SECRET)).status == 200
    assert ward.ask(mine, "GET", "Observation/o9").status == 404
    assert ward.ask(mine, "GET", "Observation/o9/_history/2").status == 404


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("", "GET", "Patient/p1", 403),
        ("launch openid fhirUser offline_access", "GET", "Patient/p1", 403),
        ("patient/Patient.read", "GET", "Patient/p1", 200),
        ("patient/Patient.read", "GET", "Observation/o1", 403),
        ("patient/Patient.write", "GET", "Patient/p1", 403),
        ("patient/Patient.s", "GET", "Patient/p1", 403),
        ("patient/Patient.s", "GET", "Patient", 200),
        ("patient/Patient.r", "GET", "Patient", 403),
        ("patient/Patient.sr", "GET", "Patient", 403),
        ("patient/Patient.read?_id=p1", "GET", "Patient/p1", 403),
        ("patient/Patient.rs?_id=p1", "GET", "Patient/p1", 403),
        ("user/Patient.read", "GET", "Patient/p2", 200),
        ("user/Patient.read", "GET", "Patient?general-practitioner:Practitioner.family=Arzt", 403),
        ("user/Patient.read user/Practitioner.read", "GET", "Patient?general-practitioner:Practitioner.family=Arzt", 200),
        ("user/*.read", "GET", "_history", 200),
        ("user/Patient.read", "GET", "Patient/_history", 200),
        ("user/Patient.read", "GET", "_history", 403),
        ("system/Practitioner.read", "GET", "Practitioner", 200),
        ("system/*.read", "DELETE", "Patient/p2", 403),
        ("patient/ValueSet.read", "GET", "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender", 200),
        ("patient/Patient.read", "GET", "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender", 403),
        ("", "GET", "metadata", 200),
    ],
)
def test_scopes(still: Ward, scope: str, method: str, path: str, status: int) -> None:
    answer = still.ask(still.token(scope, "p1"), method, path)
    assert answer.status == status, answer.data
    if status == 403:
        assert outcome(answer)
        assert record_of(still, answer)["errorCode"] == "AccessDeniedException"


def test_patient_scopes_without_a_launch_patient_reach_nothing(still: Ward) -> None:
    assert still.ask(still.token("patient/*.*"), "GET", "Patient/p1").status == 403


def test_what_is_included_needs_a_scope_too(still: Ward) -> None:
    both = still.ask(still.token("user/Observation.rs"), "GET", "Observation?_id=o3&_include=Observation:subject")
    assert shown(both) == ["Observation/o3"]
    both = still.ask(still.token("user/Observation.rs user/Patient.rs"), "GET", "Observation?_id=o3&_include=Observation:subject")
    assert shown(both) == ["Observation/o3", "Patient/p2"]
    said = facts(still.story, both.headers)
    assert set(said["patients"]["items"]) == {"p1", "p2"}, "p2 links to p1"


def test_version_1_stores_know_no_letters(story: Story, issuer: Issuer) -> None:
    ward = Ward(story, issuer, "SMART_ON_FHIR_V1")
    assert ward.ask(ward.token("patient/*.rs", "p1"), "GET", "Patient/p1").status == 403
    assert ward.ask(ward.token("patient/*.read", "p1"), "GET", "Patient/p1").status == 200
    ward.close()


# fine-grained


def test_a_scope_with_criteria_reaches_what_fits_them(fine: Ward) -> None:
    labs = fine.token("patient/Observation.rs?category=laboratory patient/Patient.rs", "p1")
    assert shown(fine.ask(labs, "GET", "Observation")) == ["Observation/o1"]
    assert fine.ask(labs, "GET", "Observation/o1").status == 200
    assert fine.ask(labs, "GET", "Observation/o2").status == 404
    assert fine.ask(labs, "GET", "Observation/o3").status == 404
    assert shown(fine.ask(labs, "GET", "Patient?_revinclude=Observation:subject")) == ["Observation/o1", "Patient/p1"]
    assert shown(fine.ask(labs, "GET", "Patient/p1/$everything")) == ["Observation/o1", "Patient/p1"]
    both = fine.token("patient/Observation.rs?category=laboratory patient/Observation.rs?category=vital-signs&status=final", "p1")
    assert shown(fine.ask(both, "GET", "Observation")) == ["Observation/o1", "Observation/o2"]
    writes = fine.token("patient/Observation.cruds?category=laboratory", "p1")
    assert fine.ask(writes, "POST", "Observation", noted("x", "p1", "new")).status == 403
    wrong = fine.token("patient/Observation.rs?no-such=1 patient/Observation.rs?subject.name=x", "p1")
    assert fine.ask(wrong, "GET", "Observation/o1").status == 403


def test_the_users_own_circle(fine: Ward) -> None:
    doctor = fine.token("user/*.cruds", fhirUser="Practitioner/d1")
    assert shown(fine.ask(doctor, "GET", "Patient")) == ["Patient/p1", "Patient/p3"]
    assert shown(fine.ask(doctor, "GET", "Observation")) == ["Observation/o1", "Observation/o2", "Observation/o5"]
    assert fine.ask(doctor, "GET", "Observation/o3").status == 404
    assert fine.ask(doctor, "POST", "Observation", noted("x", "p3", "new")).status == 201
    assert fine.ask(doctor, "POST", "Observation", noted("x", "p2", "new")).status == 403
    assert fine.ask(doctor, "POST", "Observation", noted("x", "p3", "new", performer=[{"reference": "Patient/p2"}])).status == 403
    assert "p2" not in json.dumps(shown(fine.ask(doctor, "GET", "Patient/p1/$everything")))
    own = fine.token("user/*.rs", fhirUser=f"{fine.endpoint}Patient/p3")
    assert shown(fine.ask(own, "GET", "Observation?subject=p3")) == shown(fine.ask(own, "GET", "Observation"))
    for user in (None, "Practitioner/d2", "RelatedPerson/r1", "https://elsewhere.example.org/Practitioner/d1"):
        other = fine.ask(fine.token("user/*.rs", fhirUser=user), "GET", "Patient")
        assert other.status == 403 or shown(other) == []
    assert fine.ask(fine.token("system/*.rs"), "GET", "Patient/p2").status == 200


# the issuer


def test_the_issuers_new_key_is_learned_and_a_flood_of_unknown_ones_is_not_passed_on(story: Story, issuer: Issuer) -> None:
    first = Ward(story, issuer)
    assert first.ask(first.token("system/*.*"), "GET", "Patient/p1").status == 200
    asked = issuer.asked
    answers = [first.ask(first.token("system/*.*", header={"kid": f"k{number}"}), "GET", "Patient/p1") for number in range(30)]
    assert {one.status for one in answers} == {401}
    assert issuer.asked - asked <= 1
    assert first.ask(first.token("system/*.*"), "GET", "Patient/p1").status == 200
    first.close()


def test_of_many_calls_that_need_the_keys_one_asks_for_them(story: Story, issuer: Issuer) -> None:
    said = configuration(issuer, jwks_uri=f"{issuer.origin}/keys?{story.name('fresh')}")
    made = story.client("healthlake").create_fhir_datastore(DatastoreTypeVersion="R4", IdentityProviderConfiguration=said)
    token, asked = issuer.token(made["DatastoreEndpoint"], "system/*.read"), issuer.asked
    headers = {"host": host(story.live), "authorization": f"Bearer {token}"}
    with ThreadPoolExecutor(12) as many:
        path = f"/datastore/{made['DatastoreId']}/r4/Patient"
        answers = list(many.map(lambda _: urllib3.request("GET", story.live.server.url + path, headers=headers), range(36)))
    assert {one.status for one in answers} == {200}
    assert issuer.asked == asked + 1
    story.client("healthlake").delete_fhir_datastore(DatastoreId=made["DatastoreId"])


def test_while_the_issuer_is_away_a_data_store_without_its_keys_refuses(story: Story, issuer: Issuer) -> None:
    said = configuration(issuer, jwks_uri=f"{issuer.origin}/keys?{story.name('away')}")
    made = story.client("healthlake").create_fhir_datastore(DatastoreTypeVersion="R4", IdentityProviderConfiguration=said)
    issuer.answer = lambda handler: handler.send_error(500)
    token = issuer.token(made["DatastoreEndpoint"], "system/*.read")
    headers = {"host": host(story.live), "authorization": f"Bearer {token}"}
    path = f"/datastore/{made['DatastoreId']}/r4/Patient"
    assert [story.live.send("GET", path, headers).status for _ in range(2)] == [401, 401]
    assert send(story, made["DatastoreId"], "GET", "Patient").status == 200
    story.client("healthlake").delete_fhir_datastore(DatastoreId=made["DatastoreId"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"IdpLambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:decode"}, "IdpLambdaArn"),
        ({"Metadata": None}, "Metadata is required"),
        ({"Metadata": "["}, "not JSON"),
        ({"Metadata": "[]"}, "not a JSON object"),
        ({"jwks_uri": "https://evil.example.org/keys"}, "token_issuers"),
        ({"issuer": "https://evil.example.org"}, "token_issuers"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        ({"jwks_uri": "http://169.254.169.254/keys"}, "jwks_uri"),
        ({"jwks_uri": "{origin}@evil.example.org/keys"}, "jwks_uri"),
        ({"jwks_uri": 7}, "jwks_uri"),
        ({"capabilities": []}, "capabilities"),
        ({"code_challenge_methods_supported": ["plain"]}, "S256"),
        ({"AuthorizationStrategy": "AWS_AUTH"}, "AWS_AUTH"),
    ],
)
def test_an_identity_provider_that_cannot_be_is_refused(story: Story, issuer: Issuer, change: dict[str, Any], said: str) -> None:
    own = {key: value for key, value in change.items() if key[0].isupper()}
    named = {key: value for key, value in change.items() if key not in own}
    named = {key: value.replace("{origin}", issuer.origin) if isinstance(value, str) else value for key, value in named.items()}
    wanted = {key: value for key, value in {**configuration(issuer, **named), **own}.items() if value is not None}
    with pytest.raises(ClientError, match=said) as refused:
        story.client("healthlake").create_fhir_datastore(DatastoreTypeVersion="R4", IdentityProviderConfiguration=wanted)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_the_creation_is_recorded_without_metadata(story: Story, issuer: Issuer) -> None:
    input = {"DatastoreTypeVersion": "R4", "IdentityProviderConfiguration": configuration(issuer), "ClientToken": story.name("t")}
    client = story.client("healthlake")
    made = client.create_fhir_datastore(**input)
    (record,) = story.live.journal(made["ResponseMetadata"]["RequestId"])
    kept = {"authorizationStrategy": "SMART_ON_FHIR", "fineGrainedAuthorizationEnabled": False}
    assert record["requestParameters"]["identityProviderConfiguration"] == kept
    assert [one["type"] for one in record["resources"]] == [TYPE]
    assert client.create_fhir_datastore(**input)["DatastoreId"] == made["DatastoreId"]
    client.delete_fhir_datastore(DatastoreId=made["DatastoreId"])


# exports


ASYNC = {"prefer": "respond-async"}


def exported(ward: Ward, token: str, path: str) -> tuple[str, dict[str, str]]:
    """The job of an export that was started with a token, and the addresses of its files by type."""
    started = ward.ask(token, "GET", path, headers=ASYNC)
    assert started.status == 202, started.data
    job = json.loads(started.data)["jobId"]
    until = time.monotonic() + 30
    while (answer := ward.ask(token, "GET", f"export/{job}")).status == 202:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert answer.status == 200, answer.data
    return job, {one["type"]: one["url"].partition("/r4/")[2] for one in json.loads(answer.data)["output"]}


def ids(answer: urllib3.BaseHTTPResponse) -> list[str]:
    assert answer.status == 200, answer.data
    return sorted(json.loads(line)["id"] for line in answer.data.splitlines())


def test_a_backend_service_exports_what_its_scopes_grant(ward: Ward) -> None:
    service = ward.token("system/Observation.read system/Patient.rs")
    job, files = exported(ward, service, "$export")
    assert sorted(files) == ["Observation", "Patient"]
    answer = ward.ask(service, "GET", files["Observation"])
    assert ids(answer) == ["o1", "o2", "o3", "o5"]
    record = record_of(ward, answer)
    assert (record["eventName"], record["userIdentity"]["userName"]) == ("GetExportedFile", "nurse-7")
    assert record["additionalEventData"]["returned"]["items"] == ["Observation/o1", "Observation/o2", "Observation/o3", "Observation/o5"]
    # Its files are its own, as far as its scopes reach today.
    assert ward.ask(ward.token("system/Observation.rs"), "GET", files["Patient"]).status == 403
    for other in ({"sub": "somebody"}, {"client_id": "another"}):
        token = ward.token("system/*.read", **other)
        for method, path in (("GET", f"export/{job}"), ("DELETE", f"export/{job}"), ("GET", files["Patient"])):
            assert ward.ask(token, method, path).status == 404, (method, path)
    assert ids(send(ward.story, ward.id, "GET", files["Patient"])) == ["p1", "p2", "p3"], "a signed caller is judged by policies"
    _, everything = exported(ward, ward.token("system/*.read"), "$export")
    assert sorted(everything) == ["Group", "Observation", "Patient", "Practitioner"]
    _, members = exported(ward, ward.token("system/*.rs"), "Group/g1/$export?_type=Observation")
    assert ids(ward.ask(ward.token("system/*.rs"), "GET", members["Observation"])) == ["o1", "o2", "o3"]
    cancelled = json.loads(ward.ask(service, "GET", "$export", headers=ASYNC).data)["jobId"]
    assert ward.ask(service, "DELETE", f"export/{cancelled}").status in (202, 409)


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ("patient/*.read", "$export"), ("patient/*.read", "Patient/$export"), ("user/*.read", "$export"), ("system/*.write", "$export"),
        ("system/*.r", "$export"), ("system/Patient.rs", "$export?_type=Patient,Observation"), ("system/Observation.rs", "Group/g1/$export"),
        ("system/Observation.rs?category=laboratory", "$export"), ("openid", "$export"),
    ],
)  # fmt: skip
def test_no_other_token_exports(still: Ward, scope: str, path: str) -> None:
    refused = still.ask(still.token(scope, "p1"), "GET", path, headers=ASYNC)
    assert refused.status == 403, refused.data
    assert record_of(still, refused)["errorCode"] == "AccessDeniedException"
    body = {"DataAccessRoleArn": "arn:aws:iam::123456789012:role/any"}
    assert still.ask(still.token("system/*.*"), "POST", "$export", body, ASYNC).status == 403, "a role is passed by signed callers alone"
