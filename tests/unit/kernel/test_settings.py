"""Settings from flags, environment and file; what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opentrail.kernel.settings import BadSetting, Settings, load, seconds


def test_flags_win_over_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('listen = "127.0.0.1:1"\nregion = "eu-west-1"\nreaders = 7\n')
    found = load({"listen": "127.0.0.1:3", "region": None}, {"OPENTRAIL_LISTEN": "127.0.0.1:2", "OPENTRAIL_REGION": "eu-west-2"}, file)
    assert (found.listen, found.region, found.readers) == ("127.0.0.1:3", "eu-west-2", 7)


def test_texts_of_the_environment_become_values() -> None:
    found = load({}, {"OPENTRAIL_ACCOUNT": "123456789012, 210987654321", "OPENTRAIL_FLUSH_INTERVAL": "250ms", "OPENTRAIL_READERS": "3",
                      "OPENTRAIL_TRUSTED_PROXIES": "10.0.0.1", "OPENTRAIL_INSECURE": "true", "OPENTRAIL_OTHER": "x"}, None)  # fmt: skip
    assert (found.account, found.flush_interval, found.readers) == (("123456789012", "210987654321"), 0.25, 3)
    assert (found.trusted_proxies, found.insecure) == (("10.0.0.1",), True)


@pytest.mark.parametrize(
    ("text", "value"), [("2s", 2.0), ("1.5h", 5400.0), ("90d", 7776000.0), ("7", 7.0), (" 250ms ", 0.25), ("5 m", 300.0)]
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "-1s", "1w", "1e3", "1s2m", "nan", "٣s"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"account": "12"}, "account"), ({"account": ""}, "account"), ({"account": "123456789012,123456789012"}, "account"),
        ({"region": "mars"}, "region"), ({"listen": "127.0.0.1"}, "listen"), ({"listen": "127.0.0.1:0"}, "listen"),
        ({"listen": "127.0.0.1:99999"}, "listen"), ({"listen": ":80"}, "listen"), ({"listen": "0.0.0.0:80"}, "tls_certificate"),
        ({"tls_key": "a"}, "tls_certificate"), ({"flush_interval": "soon"}, "flush_interval"), ({"flush_interval": "0s"}, "flush_interval"),
        ({"readers": 0}, "readers"), ({"readers": "many"}, "readers"), ({"log_level": "loud"}, "log_level"), ({"min_free_mb": 1}, "min_free_mb"),
        ({"digest_interval": "1ms"}, "digest_interval"), ({"database": "mysql://x"}, "database"), ({"external_url": "foo"}, "external_url"),
        ({"external_url": "https://a/b"}, "external_url"), ({"external_url": "http://a:x"}, "external_url"),
        ({"external_url": "ftp://a"}, "external_url"), ({"external_url": "https://"}, "external_url"),
        ({"trusted_proxies": "foo"}, "trusted_proxies"), ({"trusted_proxies": "::1,10.0.0.0/8"}, "trusted_proxies"),
        ({"token_issuers": "http://idp.example.org"}, "token_issuers"), ({"token_issuers": "https://a.org,b"}, "token_issuers"),
        ({"trusted_proxies": "0:0::1"}, "trusted_proxies"), ({"data_dir": ""}, "^data_dir: "), ({"flush_interval": "2d"}, "^flush_interval: "),
        ({"digest_interval": "99999999999999999h"}, "^digest_interval: "), ({"account": [5]}, r"^account\[0\]: "),
    ],
)  # fmt: skip
def test_bad_settings_are_named(flags: dict[str, Any], named: str) -> None:
    with pytest.raises(BadSetting, match=named):
        load(flags, {}, None)


@pytest.mark.parametrize("text", ["listen = ", "\xff", "a = 1\na = 2"])
def test_files_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadSetting, match=r"a\.toml"):
        load({}, {}, file)
    with pytest.raises(BadSetting, match="missing"):
        load({}, {}, tmp_path / "missing.toml")


def test_a_setting_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('lisen = "127.0.0.1:1"\n')
    with pytest.raises(BadSetting, match="lisen"):
        load({}, {}, file)


def test_beyond_loopback_with_tls_or_by_decision() -> None:
    assert load({"listen": "0.0.0.0:80", "insecure": True}, {}, None).host == "0.0.0.0"  # noqa: S104 - compared, not listened on
    tls = load({"listen": "0.0.0.0:443", "tls_certificate": "c", "tls_key": "k"}, {}, None)
    assert tls.url == "https://0.0.0.0:443"
    assert (Settings(listen="[::1]:80").host, Settings(listen="[::1]:80").port) == ("::1", 80)
    assert Settings(external_url="https://trail.example/").url == "https://trail.example"
