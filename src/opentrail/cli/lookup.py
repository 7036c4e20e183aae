"""`opentrail lookup`: Event history from the command line."""

from __future__ import annotations

import json
import time
from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from opentrail.cli.failures import failures
from opentrail.cli.options import Config, DataDir, Listen, Profile, Region, fail, given, load
from opentrail.client import lookup as history
from opentrail.client.session import client, open_session


class ReadOnly(Enum):
    """Whether calls read only."""

    true = "true"
    false = "false"


def lookup(
    event_name: Annotated[str | None, typer.Option(help="Operation, as CreateTrail.", callback=given)] = None,
    event_source: Annotated[str | None, typer.Option(help="Service, as s3.amazonaws.com.", callback=given)] = None,
    event_id: Annotated[str | None, typer.Option(help="eventID of one record.", callback=given)] = None,
    user: Annotated[str | None, typer.Option(help="User or session name.", callback=given)] = None,
    access_key: Annotated[str | None, typer.Option(help="Access key id.", callback=given)] = None,
    resource: Annotated[str | None, typer.Option(help="Resource name or ARN, as Patient/123.", callback=given)] = None,
    resource_type: Annotated[str | None, typer.Option(help="Resource type, as AWS::S3::Bucket.", callback=given)] = None,
    read_only: Annotated[ReadOnly | None, typer.Option(help="true or false.")] = None,
    error: Annotated[str | None, typer.Option(help="Error code, or `any`.", callback=given)] = None,
    source_ip: Annotated[str | None, typer.Option(help="Source address.", callback=given)] = None,
    arn: Annotated[str | None, typer.Option(help="ARN (or its last parts) among the record's resources.", callback=given)] = None,
    since: Annotated[str | None, typer.Option(help="2h, 3d, or a UTC time.", callback=given)] = None,
    until: Annotated[str | None, typer.Option(help="2h, 3d, or a UTC time.", callback=given)] = None,
    limit: Annotated[int, typer.Option(min=1, max=history.MOST, help="Most events to print.")] = 100,
    output: Annotated[str, typer.Option("--output", "-o", help="table, json (one record a line) or csv.")] = "table",
    data_dir: DataDir = None,
    listen: Listen = None,
    region: Region = None,
    profile: Profile = "default",
    config: Config = None,
) -> None:
    """Search Event history; every condition given must hold. Newest first, times in UTC."""
    settings = load(config, data_dir=data_dir, listen=listen, region=region)
    attributes = {
        "EventName": event_name, "EventSource": event_source, "EventId": event_id, "Username": user, "AccessKeyId": access_key,
        "ResourceName": resource, "ResourceType": resource_type, "ReadOnly": read_only.value if read_only else None,
    }  # fmt: skip
    if output not in PRINTERS:
        fail("--output: must be table, json or csv", 2)
    try:
        begin, end = history.period(since or "", until or "", time.time())
    except history.BadCondition as reason:
        fail(str(reason), 2)
    asked = {key: value for key, value in attributes.items() if value}
    wanted = history.Wanted(asked, begin, end, error or "", source_ip or "", arn or "", limit)
    with failures():
        PRINTERS[output](history.search(client(open_session(settings, profile), "cloudtrail", settings), wanted))


def _json(found: history.Found) -> None:
    for record in found:
        typer.echo(json.dumps(record, separators=(",", ":")))


def _csv(found: history.Found) -> None:
    typer.echo(history.csv_line(history.COLUMNS), nl=False)
    for record in found:
        typer.echo(history.csv_line(history.row(record)), nl=False)


def _table(found: history.Found) -> None:
    table = Table(*history.COLUMNS, box=None, header_style="bold")
    for record in found:
        table.add_row(*(history.printable(cell) for cell in history.row(record)))
    Console(markup=False, soft_wrap=True, width=None if Console().is_terminal else 400).print(table)


PRINTERS = {"table": _table, "json": _json, "csv": _csv}
