"""Stock AWS clients that talk to an OpenTrail server."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import botocore.configloader
import botocore.session
from botocore.config import Config

from opentrail.kernel.settings import Settings
from opentrail.kernel.trust import own_issuer

_CONFIG = Config(
    s3={"addressing_style": "path"},
    retries={"mode": "standard", "max_attempts": 3},
    connect_timeout=5,
    read_timeout=60,
)


class NoServer(Exception):
    """The server or its credentials cannot be reached; the message says what to do."""


def credentials_file(settings: Settings) -> Path:
    """Where the first start wrote the root users' access keys."""
    return settings.folder / "credentials"


def open_session(settings: Settings, profile: str = "default") -> botocore.session.Session:
    """A session with the credentials of the data folder, or with the environment's when the folder has none."""
    session = botocore.session.Session()
    file = credentials_file(settings)
    if file.exists():
        session.set_config_variable("credentials_file", str(file))
        session.set_config_variable("profile", None if profile == "default" else profile)
        session.set_config_variable("config_file", "/dev/null")
    if session.get_credentials() is None:
        raise NoServer(f"no credentials: {file} is not there and the environment has none (AWS_ACCESS_KEY_ID ...)")
    return session


def client(session: botocore.session.Session, service: str, settings: Settings, region: str = "") -> Any:
    """A stock client of one service at the server's address."""
    verify = own_issuer(settings) or None
    return session.create_client(service, region_name=region or settings.region, endpoint_url=settings.url, verify=verify, config=_CONFIG)


def exports(settings: Settings, profile: str = "default") -> str:
    """The shell lines that make stock clients use the server as the root user of an account. Raises NoServer for a profile that
    the credentials file does not have; the file may lie on another machine."""
    lines = {
        "AWS_ENDPOINT_URL": settings.url,
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials_file(settings)),
        "AWS_DEFAULT_REGION": settings.region,
    }
    if profile != "default":
        file = credentials_file(settings)
        if file.exists() and profile not in botocore.configloader.raw_config_parse(str(file)):
            raise NoServer(f"--profile: {file} has no profile {profile}")
        lines["AWS_PROFILE"] = profile
    if issuer := own_issuer(settings):
        lines["AWS_CA_BUNDLE"] = issuer
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in lines.items())
