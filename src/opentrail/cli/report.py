"""`opentrail report`: what an auditor asks, answered from Event history."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from opentrail.cli.failures import failures
from opentrail.cli.options import Config, DataDir, Listen, Profile, Region, fail, load
from opentrail.client import lookup as history
from opentrail.client import report as reports
from opentrail.client.session import client, open_session

COLUMNS = ("time", "who", "via", "what", "from", "others", "effect", "datastore", "eventID")


class About(Enum):
    """What a report is about."""

    patient = "patient"


class Format(Enum):
    """How it is printed."""

    table = "table"
    json = "json"
    csv = "csv"


def report(
    about: Annotated[About, typer.Argument(help="What the report is about: patient.")],
    name: Annotated[str, typer.Argument(help="The patient, as Patient/123.")],
    datastore: Annotated[str, typer.Option(help="Id of the data store; without it, patients of that id in every data store.")] = "",
    since: Annotated[str, typer.Option(help="2h, 3d, or a UTC time; without it, as far as the journal reaches.")] = "",
    until: Annotated[str, typer.Option(help="2h, 3d, or a UTC time.")] = "",
    format: Annotated[Format, typer.Option("--format", "-o", help="table, json or csv.")] = Format.table,
    limit: Annotated[int, typer.Option(min=1, max=history.MOST, help="Most calls to print.")] = history.MOST,
    data_dir: DataDir = None,
    listen: Listen = None,
    region: Region = None,
    profile: Profile = "default",
    config: Config = None,
) -> None:
    """Every call that returned or changed a patient's data: searches, bundles, $everything and exports too. Newest first, in UTC."""
    settings = load(config, data_dir=data_dir, listen=listen, region=region)
    now = time.time()
    try:
        begin, end = history.period(since, until, now)
        with failures():
            session = open_session(settings, profile)
            account = client(session, "sts", settings).get_caller_identity()["Account"] if datastore else ""
            wanted = reports.resource_name(account, settings.region, name, datastore)
            found = list(reports.report(client(session, "cloudtrail", settings), wanted, begin, end, limit))
            notes = [*reports.notes(settings, begin, now), *([f"Only the newest {limit} calls are shown."] if len(found) == limit else [])]
            PRINTERS[format](found, notes)
    except history.BadCondition as reason:
        fail(str(reason), 2)


Found = Sequence[reports.Seen]


def _json(found: Found, notes: Sequence[str]) -> None:
    calls = [dict(zip(COLUMNS, one, strict=True)) for one in found]
    typer.echo(json.dumps({"notes": notes, "calls": calls}, indent=1))


def _csv(found: Found, notes: Sequence[str]) -> None:
    typer.echo(history.csv_line(COLUMNS), nl=False)
    for one in found:
        typer.echo(history.csv_line(tuple(map(str, one))), nl=False)
    _say(notes)


def _table(found: Found, notes: Sequence[str]) -> None:
    table = Table(*COLUMNS, box=None, header_style="bold")
    for one in found:
        table.add_row(*(history.printable(str(cell)) for cell in one))
    Console(markup=False, soft_wrap=True, width=None if Console().is_terminal else 400).print(table)
    typer.echo(f"{len(found)} call{'' if len(found) == 1 else 's'}")
    _say(notes)


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {note}", err=True)


PRINTERS = {Format.table: _table, Format.json: _json, Format.csv: _csv}
