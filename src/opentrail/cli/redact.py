"""`opentrail redact`: texts without their protected health information."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from opentrail.cli.failures import status
from opentrail.cli.options import Config, DataDir, Listen, Profile, Region, fail, load
from opentrail.client import redact as work
from opentrail.client.session import NoServer, client, open_session
from opentrail.kernel.ambient import SystemIds
from opentrail.services.comprehendmedical.engine.redact import StandIn, Surrogates, tag

LEAST_KEY = 16


def redact(
    files: Annotated[list[Path] | None, typer.Argument(help="Files to redact; standard input without any.", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File for the result of one text; it must not exist.")] = None,
    output_dir: Annotated[Path | None, typer.Option(help="Folder for the results, under the files' names; none may exist.")] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace each file by its result.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Let --output and --output-dir replace files (never the input).")] = False,
    surrogates: Annotated[bool, typer.Option("--surrogates", help="Consistent stand-ins instead of [TYPE] tags.")] = False,
    key_file: Annotated[
        Path | None, typer.Option(help="Secret of at least 16 bytes: the same stand-ins in every run. Without it, in this run alone.")
    ] = None,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Leave alone what is told with a lower score.")] = 0.0,
    encoding: Annotated[str, typer.Option(help="Encoding of the texts.")] = "utf-8",
    data_dir: DataDir = None,
    listen: Listen = None,
    region: Region = None,
    profile: Profile = "default",
    config: Config = None,
) -> None:
    """Take protected health information out of texts, by DetectPHI calls to the server, each of them recorded.

    Status 0: all done; 1: a text could not be redacted (nothing of it is left half done in a file); 2: a wrong option, or no server.
    A person must check the result: no detection is complete.
    """
    settings = load(config, data_dir=data_dir, listen=listen, region=region)
    targets = _targets(files or [], output, output_dir, in_place, force)
    stand_in = _stand_in(surrogates, key_file)
    try:
        detect = work.detector(client(open_session(settings, profile), "comprehendmedical", settings), min_score)
        for source, target in targets:
            with _reading(source) as stream, _writing(target, force or in_place) as out:
                texts = work.redacted(work.decoded(stream, encoding), detect, stand_in)
                out.writelines(work.encoded(texts, encoding))
    except LookupError:
        fail("--encoding: not a known encoding", 2)
    except work.NotText as reason:
        fail(f"{source or 'standard input'}: {reason}; name its encoding with --encoding")
    except NoServer as reason:
        fail(str(reason), status(reason))
    except (ClientError, BotoCoreError, OSError) as reason:
        fail(f"{source or 'standard input'}: {reason}", status(reason))


def _targets(
    files: list[Path], output: Path | None, folder: Path | None, in_place: bool, force: bool
) -> list[tuple[Path | None, Path | None]]:
    """Each text's source and target; None is standard input or output. Ends the command with status 2 when they do not fit."""
    if sum((output is not None, folder is not None, in_place)) > 1:
        fail("give one of --output, --output-dir and --in-place", 2)
    if (in_place or folder is not None) and not files:
        fail("--in-place and --output-dir need files", 2)
    if output is not None and len(files) > 1:
        fail("--output takes one text; use --output-dir", 2)
    if folder is not None and len({path.name for path in files}) < len(files):
        fail("--output-dir: two files have the same name", 2)
    pairs: list[tuple[Path | None, Path | None]] = []
    sources: list[Path | None] = [*files] or [None]
    for path in sources:
        target = path if in_place else folder / path.name if folder is not None and path is not None else output
        if target is not None and not in_place:
            if target.exists() and any(target.samefile(one) for one in files if one.exists()):
                fail(f"{target}: is an input; use --in-place to replace it", 2)
            if target.exists() and not force:
                fail(f"{target}: exists; use --force to replace it", 2)
        pairs.append((path, target))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return pairs


def _stand_in(surrogates: bool, key_file: Path | None) -> StandIn:
    if key_file is not None and not surrogates:
        fail("--key-file: only with --surrogates", 2)
    if not surrogates:
        return tag
    try:
        key = key_file.read_bytes().strip() if key_file is not None else SystemIds().secret(32)
    except OSError as error:
        fail(f"--key-file: {error}", 2)
    if len(key) < LEAST_KEY:
        fail(f"--key-file: must hold at least {LEAST_KEY} bytes", 2)
    return Surrogates(key)


@contextmanager
def _reading(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdin.buffer
    else:
        with path.open("rb") as stream:
            yield stream


@contextmanager
def _writing(path: Path | None, replace: bool) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.exists() and not replace:
        fail(f"{path}: exists; use --force to replace it", 2)
    else:
        with work.replacing(path) as out:
            yield out
