"""`opentrail profiles`: the FHIR packages whose profiles resources are validated against."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from opentrail.cli.options import Config, DataDir, fail, load
from opentrail.services.healthlake import packages


class Action(StrEnum):
    """What to do."""

    load = "load"
    list = "list"
    remove = "remove"


def profiles(
    action: Annotated[Action, typer.Argument(help="load a package file, list what is loaded, or remove a package.")],
    what: Annotated[str, typer.Argument(help="The .tgz file to load, or NAME#VERSION to remove.")] = "",
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Load, list and remove FHIR packages such as US Core. A running server uses the change with its next call."""
    folder = load(config, data_dir=data_dir).folder
    if (action is Action.list) is bool(what):
        fail("profiles list takes nothing; profiles load takes FILE.tgz; profiles remove takes NAME#VERSION", 2)
    try:
        if action is Action.load:
            one = packages.load(folder, Path(what))
            typer.echo(f"loaded {one.name}#{one.version}: {one.profiles} profiles, {one.value_sets} value sets")
        elif action is Action.remove:
            packages.remove(folder, what.partition("#")[0], what.partition("#")[2])
            typer.echo(f"removed {what}")
        else:
            for one in packages.held(folder):
                typer.echo(f"{one.name}#{one.version}: {one.profiles} profiles, {one.value_sets} value sets")
    except packages.BadPackage as reason:
        fail(str(reason))
