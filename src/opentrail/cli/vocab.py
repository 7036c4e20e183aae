"""`opentrail vocab`: the code systems that Comprehend Medical links to."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from opentrail.cli.options import Config, DataDir, fail
from opentrail.cli.options import load as load_settings

app = typer.Typer(help="Code systems that clinical texts are linked to: RxNorm, ICD-10-CM, SNOMED CT.", no_args_is_help=True)


class System(StrEnum):
    """A code system."""

    RXNORM = "rxnorm"
    ICD10CM = "icd10cm"
    SNOMED = "snomed"


@app.command()
def load(
    system: Annotated[System, typer.Argument(help="rxnorm, icd10cm or snomed.")],
    file: Annotated[Path, typer.Argument(help="The publisher's release: its zip, the folder that it unpacks to, or the table itself.")],
    version: Annotated[str, typer.Option(help="What the release is called, when its files do not tell.")] = "",
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Load a release into the data folder, in one step; a running server uses it from the next text on.

    rxnorm: NLM's prescribable or full release (RXNCONSO.RRF). icd10cm: the tabular XML of NCHS. snomed: an RF2 release or the Global
    Patient Set, under your own licence.
    """
    from opentrail.services.comprehendmedical import vocabularies
    from opentrail.services.comprehendmedical.engine.release_files import BadRelease

    settings = load_settings(config, data_dir=data_dir)
    if len(version) > 40 or not version.isprintable():
        fail("--version: at most 40 printable characters", 2)
    try:
        told = vocabularies.load(system.value, file, version, settings.folder)
    except (BadRelease, vocabularies.NoDate) as reason:
        fail(f"{file}: {reason}")
    except OSError as reason:
        fail(f"{settings.folder}: {reason.strerror}")
    typer.echo(f"{told.name}: {told.concepts} codes, version {told.version or 'unknown'}")
    if told.missing:
        typer.echo(f"  {told.missing}")


@app.command()
def status(data_dir: DataDir = None, config: Config = None) -> None:
    """Say which code systems are there, of which version, and what is missing."""
    from opentrail.services.comprehendmedical import vocabularies
    from opentrail.services.comprehendmedical.engine.stored import BadFile

    settings = load_settings(config, data_dir=data_dir)
    bad = False
    for name in vocabularies.NAMES:
        try:
            told = vocabularies.known(name, settings.folder)
        except BadFile:
            bad = True
            typer.echo(f"{name}: the loaded file cannot be read; load the release again")
            continue
        where = "loaded" if told.loaded else "packaged" if told.concepts else "nothing"
        typer.echo(f"{name}: {where}" + (f", {told.concepts} codes, version {told.version or 'unknown'}" if told.concepts else ""))
        if told.missing:
            typer.echo(f"  {told.missing}")
    raise typer.Exit(1 if bad else 0)
