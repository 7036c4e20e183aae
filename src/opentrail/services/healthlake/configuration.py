"""What a data store can be set to besides its name: the members of Create- and UpdateFHIRDatastore, and which values are offered.

A value that would promise what is not done is refused by name; the value that says it is off is taken and shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from opentrail.calls.operation import Input
from opentrail.kernel.errors import ServiceError

Json = dict[str, Any]


def _identity(given: Json) -> str:
    if given["AuthorizationStrategy"] != "AWS_AUTH":
        return "only AWS_AUTH is supported"
    fine = given.get("FineGrainedAuthorizationEnabled")
    return "FineGrainedAuthorizationEnabled needs SMART on FHIR, which is not supported" if fine else ""


def _off(what: str) -> Callable[[Json], str]:
    return lambda given: "" if given.get("Status") == "DISABLED" else f"{what}; only the status DISABLED is supported"


CHECKS: dict[str, Callable[[Json], str]] = {
    "IdentityProviderConfiguration": _identity,
    "AnalyticsConfiguration": lambda given: "a data store has no tables for analytics; leave it out",
    "NlpConfiguration": _off("notes are not read by natural-language processing"),
    "ProfileConfiguration": lambda given: "profiles cannot be loaded into a data store" if given.get("DefaultProfiles") else "",
    "BackupConfiguration": _off("data stores are backed up with the server's data folder or database"),
}
"""Member -> why its value is not supported; empty when it is."""


def checked(input: Input) -> Json:
    """The given settings, by member. Raises ServiceError (ValidationException) for one that is not supported."""
    found: Json = {}
    for member, check in CHECKS.items():
        if (value := getattr(input, member)) is None:
            continue
        given = {key: one for key, one in msgspec.to_builtins(value).items() if one is not None}
        if why := check(given):
            raise ServiceError("ValidationException", "{member}: {why}.", member=member, why=why)
        found[member] = given
    return found


def shown(configuration: Json) -> Json:
    """The settings as DatastoreProperties has them."""
    kept = {key: value for key, value in configuration.items() if key in CHECKS and key != "BackupConfiguration"}
    if "PreloadDataConfig" in configuration:
        kept["PreloadDataConfig"] = configuration["PreloadDataConfig"]
    if "BackupConfiguration" in configuration:
        kept["BackupStatusInfo"] = {"Configuration": configuration["BackupConfiguration"]}
    return {"SseConfiguration": {"KmsEncryptionConfig": {"CmkType": "AWS_OWNED_KMS_KEY"}}, **kept}
