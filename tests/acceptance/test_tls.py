"""Over TLS with a certificate that nobody else knows: every command of the program, stock clients, and the followers' own calls."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from benchmarks.servers import Server, serving
from botocore.exceptions import SSLError

from tests.certificates import issued, written

INTERVALS = ("--flush-interval", "2s", "--digest-interval", "5s")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = written(folder, issued("localhost"))
    environment = {"OPENTRAIL_TLS_CERTIFICATE": str(certificate), "OPENTRAIL_TLS_KEY": str(key)}
    with serving(folder / "data", *INTERVALS, environment=environment) as running:
        yield running


def test_the_demo_passes_with_files_delivered_and_validated(server: Server) -> None:
    told = server.run("demo", *INTERVALS)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "log files valid" in told.stdout
    assert "INVALID" not in told.stdout


def test_boto3_trusts_the_certificate_that_env_names_and_no_other(server: Server) -> None:
    assert f"AWS_CA_BUNDLE={server.settings.tls_certificate}" in server.run("env").stdout
    client = server.client("cloudtrail", verify=server.settings.tls_certificate)
    event = json.loads(client.lookup_events(MaxResults=1)["Events"][0]["CloudTrailEvent"])
    assert client.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "LookupEvents"}])["Events"]
    assert event["tlsDetails"] == {"clientProvidedHostHeader": f"127.0.0.1:{server.port}"}
    with pytest.raises(SSLError):
        server.client("cloudtrail", verify=True).lookup_events()
