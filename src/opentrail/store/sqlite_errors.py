"""SQLite's errors as the store's own."""

from __future__ import annotations

import sqlite3

from opentrail.store.database import Broken, Full, Slow
from opentrail.store.sql import Conflict


def reason(error: sqlite3.Error) -> str:
    """The error's name, such as SQLITE_IOERR_FSYNC: says enough and quotes nothing."""
    return str(getattr(error, "sqlite_errorname", type(error).__name__))


def translated(error: sqlite3.Error) -> Exception:
    """The store's own exception for a driver's."""
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(str(error))
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return Full(reason(error))
    if code == sqlite3.SQLITE_INTERRUPT:
        return Slow(reason(error))
    if code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_READONLY) or isinstance(
        error, sqlite3.ProgrammingError
    ):
        return RuntimeError(f"wrong statement: {error}")
    return Broken(reason(error))
