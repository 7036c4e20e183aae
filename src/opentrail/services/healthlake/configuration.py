"""What a data store can be set to besides its name: the members of Create- and UpdateFHIRDatastore, and which values are offered.

A value that would promise what is not done is refused by name; the value that says it is off is taken and shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from opentrail.calls.operation import Input
from opentrail.kernel.errors import ServiceError
from opentrail.services.healthlake import notes, providers

Json = dict[str, Any]
Settings = dict[str, Json | None]


def _off(what: str) -> Callable[[Json], str]:
    return lambda given: "" if given.get("Status") == "DISABLED" else f"{what}; only the status DISABLED is supported"


CHECKS: dict[str, Callable[[Json], str]] = {
    "AnalyticsConfiguration": lambda given: "a data store has no tables for analytics; leave it out",
    "NlpConfiguration": notes.unsupported,
    "ProfileConfiguration": lambda given: (
        "profiles are loaded for the whole installation, by opentrail profiles" if given.get("DefaultProfiles") else ""
    ),
    "BackupConfiguration": _off("data stores are backed up with the server's data folder or database"),
}
"""Member -> why its value is not supported; empty when it is."""


def checked(input: Input, issuers: Collection[str]) -> Settings:
    """The given settings, by member; None for one that goes back to what a data store has without it. `issuers` are the origins of
    the token issuers that the operator trusts. Raises ServiceError (ValidationException) for a value that is not supported."""
    found: Settings = {}
    for member, check in CHECKS.items():
        if (value := getattr(input, member)) is None:
            continue
        given = {key: one for key, one in msgspec.to_builtins(value).items() if one is not None}
        if why := check(given):
            raise ServiceError("ValidationException", "{member}: {why}.", member=member, why=why)
        found[member] = given
    if (identity := input.IdentityProviderConfiguration) is not None:
        found["IdentityProviderConfiguration"] = providers.checked(identity, issuers)
    return found


def merged(before: Json, changed: Settings) -> Json:
    """The settings after a change."""
    return {key: value for key, value in {**before, **changed}.items() if value is not None}


def shown(configuration: Json) -> Json:
    """The settings as DatastoreProperties has them, the identity provider left out."""
    kept = {key: value for key, value in configuration.items() if key in CHECKS and key != "BackupConfiguration"}
    if "PreloadDataConfig" in configuration:
        kept["PreloadDataConfig"] = configuration["PreloadDataConfig"]
    if "BackupConfiguration" in configuration:
        kept["BackupStatusInfo"] = {"Configuration": configuration["BackupConfiguration"]}
    return {"SseConfiguration": {"KmsEncryptionConfig": {"CmkType": "AWS_OWNED_KMS_KEY"}}, **kept}
