"""`opentrail serve`: the server, with everything it needs."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from opentrail.cli.options import Config, DataDir, Listen, Region, fail, load
from opentrail.kernel.settings import BadSetting
from opentrail.kernel.telemetry import set_up_logging


class Role(Enum):
    """What this server does."""

    all = "all"
    web = "web"
    work = "work"


def serve(
    data_dir: DataDir = None,
    listen: Listen = None,
    account: Annotated[str | None, typer.Option(help="Account ids, separated by commas; the first is the main one.")] = None,
    region: Region = None,
    database: Annotated[str | None, typer.Option(help="PostgreSQL address; SQLite in the data folder without it.")] = None,
    flush_interval: Annotated[str | None, typer.Option(help="Longest wait of a record for its log file, as 60s.")] = None,
    digest_interval: Annotated[str | None, typer.Option(help="Interval that a digest covers, as 1h.")] = None,
    role: Annotated[Role, typer.Option(help="all, web or work; one role alone needs PostgreSQL.")] = Role.all,
    insecure: Annotated[bool | None, typer.Option("--insecure", help="Allow listening beyond loopback without TLS.")] = None,
    hash_resource_ids: Annotated[
        bool | None, typer.Option("--hash-resource-ids", help="Record keyed hashes in place of the ids of FHIR resources.")
    ] = None,
    fhir_data_events: Annotated[
        bool | None, typer.Option("--fhir-data-events", help="Record reads and searches of FHIR resources as data events.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json.")] = None,
    config: Config = None,
) -> None:
    """Serve the AWS APIs, record every call, deliver and sign the log files. Stops on SIGTERM or Ctrl-C."""
    from opentrail import start

    settings = load(
        config, data_dir=data_dir, listen=listen, account=account, region=region, database=database, insecure=insecure,
        flush_interval=flush_interval, digest_interval=digest_interval, hash_resource_ids=hash_resource_ids,
        fhir_data_events=fhir_data_events, log_level=log_level, log_format=log_format,
    )  # fmt: skip
    set_up_logging(settings.log_level, settings.log_format)
    try:
        status = start.start(settings, role.value, typer.echo)
    except BadSetting as error:
        fail(str(error), 2)
    except start.Refused as error:
        fail(str(error))
    raise typer.Exit(status)
