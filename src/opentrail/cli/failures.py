"""How a command ends when it cannot do what was asked: one sentence on standard error, and the exit status that the docs promise."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from opentrail.cli.options import fail
from opentrail.client.session import NoServer
from opentrail.store.database import Broken, Slow

_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Codes of the errors that the caller's credentials or rights cause."""


@contextmanager
def failures(failed: int = 1) -> Iterator[None]:
    """Runs what calls the server and prints. When that fails the command ends: with status 2 when there is no server, no credentials
    or no right to work with, otherwise with `failed`."""
    try:
        yield
    except (NoServer, ClientError, BotoCoreError, Broken, Slow) as reason:
        fail(str(reason), status(reason, failed))
    except OSError as reason:
        if reason.errno == errno.EPIPE:
            raise  # a reader that has seen enough: typer ends the command without a word
        # What Python still holds for standard output would fail again at exit, with another status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        fail(f"{reason.filename or 'standard output'}: {reason.strerror}", failed)


def status(reason: Exception, failed: int = 1) -> int:
    """The exit status for what calling the server raised."""
    if isinstance(reason, ClientError):
        return 2 if reason.response["Error"]["Code"] in _REFUSED else failed
    return 2 if isinstance(reason, (NoServer, BotoCoreError)) else failed
