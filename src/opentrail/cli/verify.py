"""`opentrail verify`: names what is wrong with a trail's files, and with the journal."""

from __future__ import annotations

from typing import Annotated

import typer

from opentrail.cli.failures import failures
from opentrail.cli.options import Config, DataDir, Listen, Profile, Region, fail, load
from opentrail.client.session import open_session
from opentrail.client.verify import NoTrail, verify_own_journal, verify_trail


def verify(
    trail_arn: Annotated[str, typer.Option(help="The trail whose log files and digests are verified.")],
    data_dir: DataDir = None,
    listen: Listen = None,
    region: Region = None,
    profile: Profile = "default",
    config: Config = None,
) -> None:
    """Verify digests, log files and the journal.

    Status 0: all is in order; 1: something was changed, removed, reordered or added; 2: it could not look.
    """
    settings = load(config, data_dir=data_dir, listen=listen, region=region)
    try:
        with failures(2):
            report = verify_trail(open_session(settings, profile), settings, trail_arn)
            journal = verify_own_journal(settings)
            for finding in report.findings:
                found = f"{finding.what}: s3://{finding.bucket}/{finding.key}: {finding.why}"
                typer.echo(f"{'WRONG' if finding.wrong else 'note '} {found}")
            typer.echo(f"{report.digests} digests, {report.logs} log files, {report.records} records looked at")
            if journal is None:
                typer.echo("note  the journal and the delivery's own rows were not looked at: they are not in this data folder")
            else:
                verdict = f"WRONG at position {journal.bad}: {journal.why}" if journal.why else "intact"
                typer.echo(f"journal: {journal.records} records, {verdict}")
    except NoTrail as reason:
        fail(str(reason), 2)
    raise typer.Exit(1 if any(finding.wrong for finding in report.findings) or (journal is not None and journal.why) else 0)
