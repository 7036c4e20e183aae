"""The first start makes accounts once, and writes a file that botocore reads and nobody else may."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from opentrail.identity.bootstrap import WrongMasterKey, ensure_accounts, profiles, write_private
from opentrail.identity.credentials import load_credentials
from opentrail.identity.refusals import Rejected
from opentrail.kernel.ambient import SystemIds
from opentrail.kernel.sealing import Sealer
from tests.databases import Database

ACCOUNTS = ("111111111111", "222222222222")


def test_accounts_are_made_once_and_their_keys_work(main_database: Database, tmp_path: Path) -> None:
    sealer, file = Sealer(bytes(32)), tmp_path / "data" / "credentials"
    for expected in (list(ACCOUNTS), []):
        with main_database.write() as tx:
            assert ensure_accounts(tx, sealer, SystemIds(), 1.0, ACCOUNTS) == expected
        with main_database.read() as snapshot:
            text = profiles(snapshot, sealer, ACCOUNTS)
        assert write_private(file, text) is bool(expected)
    assert file.stat().st_mode & 0o777 == 0o600
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.read_string(file.read_text())
    assert parsed.sections() == ["default", "222222222222"]
    with main_database.read() as snapshot:
        for section, account in zip(parsed.sections(), ACCOUNTS, strict=True):
            found = load_credentials(snapshot, sealer, parsed[section]["aws_access_key_id"])
            assert found.secret == parsed[section]["aws_secret_access_key"]
            assert (found.principal.kind, found.principal.account) == ("Root", account)
            assert found.secret not in repr(found)
        with pytest.raises(WrongMasterKey, match="111111111111"):
            profiles(snapshot, Sealer(b"x" * 32), ACCOUNTS)
        with pytest.raises(Rejected, match="unknown-key"):
            load_credentials(snapshot, sealer, "AKIANOTTHERE00000000")


def test_a_file_that_others_may_read_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("x")
    file.chmod(0o644)
    assert write_private(file, "x")
    assert file.stat().st_mode & 0o777 == 0o600
