"""Settings: one struct, filled from flags, then environment variables (OPENTRAIL_*), then a TOML file, then defaults."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

Doc = msgspec.Meta

ACCOUNT = r"\A[0-9]{12}\Z"
REGION = r"\A[a-z]{2}(-[a-z]+)+-[0-9]\Z"


_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class BadSetting(Exception):
    """A setting has a value that cannot be used. The message names the setting and the rule."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting with its default. Durations are in seconds; texts such as `90s`, `5m`, `2h` are understood."""

    data_dir: Annotated[
        str, Doc(description="Folder of everything that is kept: databases, objects, credentials, the lock.", min_length=1)
    ] = "data"
    listen: Annotated[str, Doc(description="Address and port to serve on.")] = "127.0.0.1:4580"
    account: Annotated[
        tuple[str, ...], Doc(description="Twelve-digit account ids; the first is the main account. Several are separated by commas.")
    ] = ("000000000000",)
    region: Annotated[str, Doc(description="Region in the printed environment; the server itself serves every region.")] = "us-east-1"
    database: Annotated[
        str, Doc(description="PostgreSQL address (postgresql://user:password@host:port/name); empty for SQLite in the data folder.")
    ] = ""
    master_key_file: Annotated[
        str, Doc(description="File with the key that seals secrets; made at first start. Empty: `master.key` in the data folder.")
    ] = ""
    flush_interval: Annotated[
        float, Doc(description="How long records wait at most before a log file is put into the bucket; a day at most.", gt=0, le=86400)
    ] = 60.0
    digest_interval: Annotated[
        float, Doc(description="Length of the interval that a digest covers; from a second to a day.", ge=1, le=86400)
    ] = 3600.0
    journal_days: Annotated[int, Doc(description="Days that the journal and Event history reach back.", ge=1)] = 90
    max_body: Annotated[int, Doc(description="Largest request body in bytes that is held in memory.", ge=1024)] = 4 * 1024 * 1024
    max_object: Annotated[int, Doc(description="Largest object in bytes that one upload may carry.", ge=1024)] = 5 * 1024**3
    readers: Annotated[int, Doc(description="Reader threads, each with a database connection.", ge=1, le=32)] = 4
    engine_workers: Annotated[
        int, Doc(description="Processes that compute for engines such as clinical language; started with their first use.", ge=1, le=64)
    ] = 2
    external_url: Annotated[
        str, Doc(description="Address under which clients reach this server, for endpoints in answers. Empty: http://LISTEN.")
    ] = ""
    tls_certificate: Annotated[str, Doc(description="PEM file with the certificate chain.")] = ""
    tls_key: Annotated[str, Doc(description="PEM file with the certificate's key.")] = ""
    insecure: Annotated[bool, Doc(description="Allow listening beyond loopback without TLS.")] = False
    trusted_proxies: Annotated[tuple[str, ...], Doc(description="Addresses of proxies whose X-Forwarded-For is believed.")] = ()
    token_issuers: Annotated[
        tuple[str, ...],
        Doc(description="Origins (https://idp.example.org) of identity providers whose bearer tokens data stores may take. Empty: none."),
    ] = ()
    min_free_mb: Annotated[
        int, Doc(description="Free disk space in MB below which calls that change state are refused; below half of it all calls.", ge=2)
    ] = 256
    hash_resource_ids: Annotated[
        bool, Doc(description="Put keyed hashes in the place of the ids of FHIR resources in all records, for ids that carry meaning.")
    ] = False
    fhir_data_events: Annotated[
        bool,
        Doc(
            description="Make reads and searches of FHIR resources data events (AWS::HealthLake::FHIRDatastore): not in Event"
            " history, and in the log files of trails whose advanced selectors select them."
        ),
    ] = False
    log_level: Annotated[str, Doc(description="debug, info, warning or error.", pattern="^(debug|info|warning|error)$")] = "info"
    log_format: Annotated[str, Doc(description="text or json.", pattern="^(text|json)$")] = "text"

    @property
    def folder(self) -> Path:
        return Path(self.data_dir).resolve()

    @property
    def master_key(self) -> Path:
        return Path(self.master_key_file) if self.master_key_file else self.folder / "master.key"

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def url(self) -> str:
        """The address clients use, without a trailing slash."""
        return self.external_url.rstrip("/") or f"{'https' if self.tls_certificate else 'http'}://{self.listen}"


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float:
    """The seconds in `250ms`, `2s`, `5m`, `1h`, `90d`, or a bare number. Raises ValueError."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)?", text.strip())
    if not match:
        raise ValueError("a duration is a number followed by ms, s, m, h or d")
    return float(match.group(1)) * _UNITS[match.group(2) or "s"]


def load(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None) -> Settings:
    """The settings from their sources; flags win over the environment, the environment over the file.

    Flags that are None count as absent. Raises BadSetting.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values.update(tomllib.loads(file.read_text("utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadSetting(f"{file}: {error}") from error
    values.update({name: environment[key] for name in Settings.__struct_fields__ if (key := "OPENTRAIL_" + name.upper()) in environment})
    values.update({name: value for name, value in flags.items() if value is not None})
    for name in ("flush_interval", "digest_interval"):
        if isinstance(values.get(name), str):
            try:
                values[name] = seconds(values[name])
            except ValueError as error:
                raise BadSetting(f"{name}: {error}") from error
    for name in ("account", "trusted_proxies", "token_issuers"):
        if isinstance(values.get(name), str):
            values[name] = [part.strip() for part in values[name].split(",") if part.strip()]
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise BadSetting(_named(str(error))) from error
    check(settings)
    return settings


def _named(reason: str) -> str:
    """msgspec's reason, with the setting in front: `flush_interval: expected `float` <= 86400.0`."""
    found = re.fullmatch(r"(.*) - at `\$\.(\w+)(.*)`", reason)
    return f"{found[2]}{found[3]}: {found[1][:1].lower()}{found[1][1:]}" if found else reason


def check(settings: Settings) -> None:
    """The rules that span settings. Raises BadSetting."""
    for account in settings.account:
        if not re.match(ACCOUNT, account):
            raise BadSetting("account: an account id has twelve digits")
    if not settings.account or len(set(settings.account)) != len(settings.account):
        raise BadSetting("account: name at least one account, each once")
    if not re.match(REGION, settings.region):
        raise BadSetting("region: must look like us-east-1")
    host, _, port = settings.listen.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadSetting("listen: must be ADDRESS:PORT")
    if settings.database and not settings.database.startswith(("postgresql://", "postgres://")):
        raise BadSetting("database: must look like postgresql://user:password@host:port/name")
    if settings.external_url and not _is_origin(settings.external_url):
        raise BadSetting("external_url: must look like https://trail.example.org:4580")
    if not all(map(_is_address, settings.trusted_proxies)):
        raise BadSetting("trusted_proxies: each must be an IP address in its shortest form")
    if not all(map(_is_issuer, settings.token_issuers)):
        raise BadSetting("token_issuers: each must look like https://idp.example.org; http is taken from this machine alone")
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise BadSetting("tls_certificate and tls_key: set both or neither")
    if settings.host not in _LOOPBACK and not settings.tls_certificate and not settings.insecure:
        raise BadSetting("listen: beyond loopback needs tls_certificate and tls_key, or insecure = true if something else encrypts")


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and text.rstrip("/") == f"{parts.scheme}://{parts.netloc}"


def _is_issuer(text: str) -> bool:
    return _is_origin(text) and (text.startswith("https:") or urlsplit(text).hostname in _LOOPBACK)


def _is_address(text: str) -> bool:
    try:
        return str(ip_address(text)) == text
    except ValueError:
        return False


def environment_file(environment: Mapping[str, str]) -> Path | None:
    """The settings file that the environment names (OPENTRAIL_CONFIG), if any."""
    named = environment.get("OPENTRAIL_CONFIG")
    return Path(named) if named else None


def from_process(flags: Mapping[str, Any], file: Path | None = None) -> Settings:
    """The settings of this process: flags, its environment, the named or environment's file. Raises BadSetting."""
    return load(flags, os.environ, file or environment_file(os.environ))
