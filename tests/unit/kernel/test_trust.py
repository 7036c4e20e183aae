"""Which certificates the server's own clients trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from opentrail.kernel.settings import Settings
from opentrail.kernel.trust import own_issuer
from tests.certificates import issued, written


def settings(certificate: Path, key: Path) -> Settings:
    return Settings(tls_certificate=str(certificate), tls_key=str(key))


def test_a_self_signed_certificate_is_trusted_and_one_of_a_known_issuer_left_to_the_system(tmp_path: Path) -> None:
    root = issued("root")
    leaf = issued("leaf", root)
    assert own_issuer(settings(*written(tmp_path, root))) == str(tmp_path / "chain.pem")
    assert own_issuer(settings(*written(tmp_path, leaf, root))) == str(tmp_path / "chain.pem")
    assert own_issuer(settings(*written(tmp_path, leaf))) == ""
    assert own_issuer(Settings()) == ""


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    certificate, key = written(tmp_path, issued("root"))
    certificate.write_text("nothing")
    with pytest.raises(ValueError, match="PEM"):
        own_issuer(settings(certificate, key))
