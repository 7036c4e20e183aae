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
from opentrail.cli.options import Config, DataDir, Listen, Profile, Region, fail, load
from opentrail.client import lookup as history
from opentrail.client.session import client, open_session


class ReadOnly(Enum):
    """Whether calls read only."""

    true = "true"
    false = "false"


def lookup(
    event_name: Annotated[str, typer.Option(help="Operation, as CreateTrail.")] = "",
    event_source: Annotated[str, typer.Option(help="Service, as s3.amazonaws.com.")] = "",
    event_id: Annotated[str, typer.Option(help="eventID of one record.")] = "",
    user: Annotated[str, typer.Option(help="User or session name.")] = "",
    access_key: Annotated[str, typer.Option(help="Access key id.")] = "",
    resource: Annotated[str, typer.Option(help="Resource name or ARN, as Patient/123.")] = "",
    resource_type: Annotated[str, typer.Option(help="Resource type, as AWS::S3::Bucket.")] = "",
    read_only: Annotated[ReadOnly | None, typer.Option(help="true or false.")] = None,
    error: Annotated[str, typer.Option(help="Error code, or `any`.")] = "",
    source_ip: Annotated[str, typer.Option(help="Source address.")] = "",
    arn: Annotated[str, typer.Option(help="ARN (or its last parts) among the record's resources.")] = "",
    since: Annotated[str, typer.Option(help="2h, 3d, or a UTC time.")] = "",
    until: Annotated[str, typer.Option(help="2h, 3d, or a UTC time.")] = "",
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
        "ResourceName": resource, "ResourceType": resource_type, "ReadOnly": read_only.value if read_only else "",
    }  # fmt: skip
    if output not in PRINTERS:
        fail("--output: must be table, json or csv", 2)
    try:
        begin, end = history.period(since, until, time.time())
    except history.BadCondition as reason:
        fail(str(reason), 2)
    wanted = history.Wanted({key: value for key, value in attributes.items() if value}, begin, end, error, source_ip, arn, limit)
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
