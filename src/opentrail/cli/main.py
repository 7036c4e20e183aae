"""The list of commands."""

from __future__ import annotations

import typer

from opentrail.cli import demo, env, lookup, profiles, redact, report, serve, verify, vocab

app = typer.Typer(
    help="OpenTrail: the audit trail you own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    pretty_exceptions_enable=False,
)
for command in (serve.serve, env.env, lookup.lookup, report.report, verify.verify, profiles.profiles, redact.redact, demo.demo):
    app.command()(command)
app.add_typer(vocab.app, name="vocab")
