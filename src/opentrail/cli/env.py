"""`opentrail env`: the lines that point stock clients at the server."""

from __future__ import annotations

import typer

from opentrail.cli.failures import failures
from opentrail.cli.options import Config, DataDir, Listen, Profile, Region, load
from opentrail.client.session import exports


def env(
    data_dir: DataDir = None, listen: Listen = None, region: Region = None, profile: Profile = "default", config: Config = None
) -> None:
    """Print the export lines for the shell: eval "$(opentrail env)"."""
    with failures():
        typer.echo(exports(load(config, data_dir=data_dir, listen=listen, region=region), profile))
