"""A FHIR client that we did not write, fhirpy, against the live server: signed as AWS wants it, and with a bearer token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from benchmarks.servers import REGION
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.wire.issuer import Issuer
from tests.wire.story import Caller, Story


class Signing(requests.auth.AuthBase):
    """Signs the requests of `requests`."""

    def __init__(self, caller: Caller) -> None:
        self._auth = SigV4Auth(caller.credentials, "healthlake", REGION)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        signed = AWSRequest(request.method, request.url, data=request.body or b"", headers={"content-type": "application/json"})
        self._auth.add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


@pytest.fixture(params=["signature", "token"])
def client(request: pytest.FixtureRequest, story: Story, issuer: Issuer) -> Iterator[SyncFHIRClient]:
    """fhirpy on a data store of its own, by one of the two ways in."""
    healthlake = story.client("healthlake")
    provider = {"AuthorizationStrategy": "SMART_ON_FHIR", "Metadata": json.dumps(issuer.metadata())}
    made = healthlake.create_fhir_datastore(DatastoreTypeVersion="R4", IdentityProviderConfiguration=provider)
    if request.param == "token":
        token = issuer.token(made["DatastoreEndpoint"], "system/*.cruds")
        yield SyncFHIRClient(made["DatastoreEndpoint"], authorization=f"Bearer {token}")
    else:
        yield SyncFHIRClient(made["DatastoreEndpoint"], requests_config={"auth": Signing(story.root)})
    healthlake.delete_fhir_datastore(DatastoreId=made["DatastoreId"])


def test_a_client_of_others_works(client: SyncFHIRClient) -> None:
    ward = client.resource("Organization", name="Ward 7", active=False)
    ward.save()
    assert ward.meta.versionId == "1"
    ward["active"] = True
    ward.save()
    assert client.reference("Organization", ward.id).to_resource().meta.versionId == "2"

    entries = [
        {
            "request": {"method": "PUT", "url": f"Patient/p{n}"},
            "resource": client.resource(
                "Patient", id=f"p{n}", name=[{"family": f"Family{n % 2}"}], birthDate=f"19{50 + n}-01-01",
                managingOrganization=ward.to_reference().serialize(),
            ).serialize(),
        }
        for n in range(7)
    ]  # fmt: skip
    answered: Any = client.resource("Bundle", type="transaction", entry=entries)
    answered.save()
    assert [one["response"]["status"].partition(" ")[0] for one in answered["entry"]] == ["201"] * 7

    everybody = client.resources("Patient").sort("birthdate")
    assert [one.id for one in everybody.limit(3).fetch()] == ["p0", "p1", "p2"]
    assert [one.id for one in everybody.limit(2).fetch_all()] == [f"p{n}" for n in range(7)], "pages follow one another"
    assert everybody.search(name="family1", _count=0).fetch_raw()["total"] == 3
    born = client.resources("Patient").search(birthdate__gt="1953-06", birthdate__lt="1956")
    assert sorted(one.id for one in born.fetch()) == ["p4", "p5"]
    of_ward = client.resources("Patient").search(organization__Organization__name="Ward 7").include("Patient", "organization")
    found = of_ward.fetch_raw()
    assert {one.resource.resource_type for one in found.entry} == {"Patient", "Organization"}

    first = client.resources("Patient").search(_id="p3").first()
    assert first is not None
    first.delete()
    with pytest.raises(ResourceNotFound):
        client.get("Patient", "p3")
    with pytest.raises(OperationOutcome, match="birthdate"):
        client.resources("Patient").search(birthdate="yesterday").fetch()
