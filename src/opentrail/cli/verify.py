"""`opentrail verify`: names what is wrong with a trail's files, and with the journal."""

from __future__ import annotations

from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from opentrail.cli.options import Config, DataDir, Listen, Profile, Region, fail, load
from opentrail.client.session import NoServer, open_session
from opentrail.client.verify import NoTrail, verify_own_journal, verify_trail


def verify(
    trail_arn: Annotated[str, typer.Option(help="The trail whose log files and digests are verified.")],
    data_dir: DataDir = None,
    listen: Listen = None,
    region: Region = None,
    profile: Profile = "default",
    config: Config = None,
) -> None:
    """Verify digests, log files and the journal. Exit status 1 when anything was changed, removed, reordered or added."""
    settings = load(config, data_dir=data_dir, listen=listen, region=region)
    try:
        report = verify_trail(open_session(settings, profile), settings, trail_arn)
        journal = verify_own_journal(settings)
    except (NoTrail, NoServer) as reason:
        fail(str(reason), 2)
    except (ClientError, BotoCoreError) as reason:
        fail(str(reason))
    for finding in report.findings:
        typer.echo(f"{'WRONG' if finding.wrong else 'note '} {finding.what}: s3://{finding.bucket}/{finding.key}: {finding.why}")
    typer.echo(f"{report.digests} digests, {report.logs} log files, {report.records} records looked at")
    if journal is not None:
        typer.echo(
            f"journal: {journal.records} records, " + (f"WRONG at position {journal.bad}: {journal.why}" if journal.why else "intact")
        )
    raise typer.Exit(1 if any(finding.wrong for finding in report.findings) or (journal is not None and journal.why) else 0)
