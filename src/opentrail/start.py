"""From settings to a running server: folder, key, schemas, first credentials, then the processes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable

from opentrail import supervisor
from opentrail.client.session import exports
from opentrail.identity.bootstrap import WrongMasterKey, ensure_accounts, profiles, write_private
from opentrail.identity.store import any_account
from opentrail.kernel.ambient import SystemClock, SystemIds
from opentrail.kernel.sealing import Sealer, load_master_key
from opentrail.kernel.settings import BadSetting, Settings
from opentrail.store.database import Broken, Database, Full
from opentrail.store.databases import NAMES, open_database
from opentrail.store.folder import FolderRefused, Space, claim
from opentrail.store.revision import is_current
from opentrail.store.sqlite import FIXED, SqliteDatabase

ROLES = {"all": ("web", "work"), "web": ("web",), "work": ("work",)}


class Refused(Exception):
    """The server does not start; the message says why and what to do."""


def start(settings: Settings, role: str, say: Callable[[str], None]) -> int:
    """Runs the server in a role of ROLES until it is stopped. Returns the exit status. Raises Refused, BadSetting."""
    if role != "all" and not settings.database:
        raise BadSetting("--role: one role alone needs PostgreSQL; on SQLite one server does everything")
    os.umask(0o077)  # whatever is made from here on, by every process, is its user's alone: the folder may be others' to read
    try:
        lock = claim(settings.folder, shared=bool(settings.database))
        if "web" in ROLES[role] and supervisor.answers(settings):
            raise Refused(f"something already serves on {settings.listen}")
        prepare(settings, say)
        say(f"OpenTrail starts on {settings.url} ...")
        return supervisor.run(settings, ROLES[role], lambda: say(welcome(settings)), lock.fileno())
    except (FolderRefused, supervisor.StartFailed, Broken, Full, WrongMasterKey, OSError, ValueError) as error:
        raise Refused(_why(settings, error)) from error
    finally:
        if "lock" in locals():
            lock.close()


def _why(settings: Settings, error: Exception) -> str:
    """Why the server does not start. Without room every part fails in a way of its own: then that is said first."""
    try:
        full = Space(settings.folder, settings.min_free_mb).refuses(False, SystemClock().monotonic())
    except OSError:
        full = ""
    return f"{full} where {settings.folder} lies; make room and start again: {error}" if full else str(error)


def prepare(settings: Settings, say: Callable[[str], None]) -> None:
    """Brings the databases in the data folder, which is there, to this release and makes accounts and first credentials. Repeating it
    changes nothing."""
    if not settings.database:
        warn_of_old_sqlite(say)
    for name in NAMES:
        database = open_database(settings, name, writable=True)
        if isinstance(database, SqliteDatabase):
            database.writer()
        if not is_current(database, name):
            from opentrail.store.migrate import migrate

            migrate(database, name)
        if name == "main":
            _ensure_credentials(settings, database)
        database.close()


def _ensure_credentials(settings: Settings, database: Database) -> None:
    """A master key is made for a database without accounts alone: it could not open the secrets of others."""
    with database.read() as snapshot:
        first = not any_account(snapshot)
    if not first and not settings.master_key.exists():
        raise WrongMasterKey(f"{settings.master_key} is missing, the master key with which the secrets of the accounts were sealed")
    sealer = Sealer(load_master_key(settings.master_key, create=first))
    with database.write() as tx:
        ensure_accounts(tx, sealer, SystemIds(), SystemClock().now(), settings.account)
        text = profiles(tx, sealer, settings.account)
    write_private(settings.folder / "credentials", text)


def warn_of_old_sqlite(say: Callable[[str], None]) -> None:
    """Names SQLite's WAL reset bug where it is present; one writing connection a file keeps clear of it."""
    if sqlite3.sqlite_version_info < FIXED:
        say(f"note: SQLite {sqlite3.sqlite_version} has the WAL reset bug (fixed in 3.51.3); one writer per file keeps clear of it")


def welcome(settings: Settings) -> str:
    """What is printed when the server answers."""
    return (
        f"OpenTrail serves on {settings.url}\n"
        f"Root credentials: {settings.folder / 'credentials'}\n\n"
        "Point any AWS client at it:\n\n"
        f"{exports(settings)}\n\n"
        "Then, for instance: aws cloudtrail lookup-events --max-items 5     (or: opentrail demo)\n"
    )
