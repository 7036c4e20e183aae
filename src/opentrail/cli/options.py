"""Options that several commands share, and the settings they give."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from opentrail.kernel import settings as kernel_settings
from opentrail.kernel.settings import BadSetting, Settings

DataDir = Annotated[str | None, typer.Option("--data-dir", help="Folder of everything that is kept.", envvar="OPENTRAIL_DATA_DIR")]
Config = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.", envvar="OPENTRAIL_CONFIG")]
Listen = Annotated[str | None, typer.Option("--listen", help="ADDRESS:PORT of the server.", envvar="OPENTRAIL_LISTEN")]
Region = Annotated[str | None, typer.Option("--region", help="Region to call.", envvar="OPENTRAIL_REGION")]
Profile = Annotated[str, typer.Option("--profile", help="Profile of the credentials file: default, or an account id.")]


def given(value: str | None) -> str | None:
    """The value of a condition. An empty one, such as an unset shell variable, is refused: it would select everything."""
    if value == "":
        raise typer.BadParameter("must not be empty; leave the option out for any value")
    return value


def load(config: Path | None, **flags: Any) -> Settings:
    """The settings of a command; ends it with status 2 and the reason when they are wrong."""
    try:
        return kernel_settings.from_process(flags, config)
    except BadSetting as error:
        fail(str(error), status=2)


def fail(reason: str, status: int = 1) -> NoReturn:
    """Ends the command with a reason on standard error."""
    typer.echo(f"opentrail: {reason}", err=True)
    raise typer.Exit(status)
