"""The first start: accounts with a root user and an access key, and the file from which clients read them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from opentrail.identity import store
from opentrail.identity.credentials import new_access_key, open_secret
from opentrail.identity.refusals import Rejected
from opentrail.kernel.ambient import Ids
from opentrail.kernel.sealing import Sealer
from opentrail.store.sql import Snapshot, Tx


class WrongMasterKey(Exception):
    """The stored secrets were sealed with another master key, or theirs is missing. The message names the account or the file."""


def ensure_accounts(tx: Tx, sealer: Sealer, ids: Ids, now: float, accounts: Iterable[str]) -> list[str]:
    """Makes the accounts that are missing, each with a key of its root user; returns which. Again at every start: changes nothing."""
    made = []
    for account in accounts:
        if store.account(tx, account) is None:
            store.add_account(tx, account, now)
            new_access_key(tx, sealer, ids, account, account, now)
            made.append(account)
    return made


def profiles(snapshot: Snapshot, sealer: Sealer, accounts: Sequence[str]) -> str:
    """The credentials in AWS's shared-credentials format: `default` for the first account, the account's id for each further one.

    The oldest active key of each root user is shown; an account without one is left out. Raises WrongMasterKey.
    """
    sections = []
    for place, account in enumerate(accounts):
        key = next((key for key in store.access_keys(snapshot, account) if key.active), None)
        if key is None:
            continue
        try:
            secret = open_secret(sealer, key)
        except Rejected as error:
            raise WrongMasterKey(f"the secrets of account {account} were sealed with another master key") from error
        name = account if place else "default"
        sections.append(f"[{name}]\naws_access_key_id = {key.id}\naws_secret_access_key = {secret}\n")
    return "\n".join(sections)


def write_private(file: Path, text: str) -> bool:
    """Puts `text` into `file` with mode 0600, whole or not at all; tells whether anything had to be done."""
    if file.exists() and file.read_text("utf-8") == text and file.stat().st_mode & 0o777 == 0o600:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(fresh, file)
    return True
