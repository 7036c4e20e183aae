"""`opentrail demo`: the whole story against a running server."""

from __future__ import annotations

import secrets

import typer

from opentrail.cli.failures import failures
from opentrail.cli.options import Config, DataDir, Listen, Region, fail, load
from opentrail.client import demo as story


def demo(
    data_dir: DataDir = None,
    listen: Listen = None,
    region: Region = None,
    flush_interval: str | None = typer.Option(None, help="The server's flush interval, as 60s."),
    digest_interval: str | None = typer.Option(None, help="The server's digest interval, as 1h."),
    fhir_data_events: bool | None = typer.Option(None, "--fhir-data-events", help="The server has this option, too."),
    config: Config = None,
) -> None:
    """Make a trail, use the services as root, user and role, and find every call again."""
    settings = load(
        config, data_dir=data_dir, listen=listen, region=region, flush_interval=flush_interval, digest_interval=digest_interval,
        fhir_data_events=fhir_data_events,
    )  # fmt: skip
    try:
        with failures():
            story.run(settings, typer.echo, secrets.token_hex(4))
    except story.DemoFailed as reason:
        fail(str(reason))
