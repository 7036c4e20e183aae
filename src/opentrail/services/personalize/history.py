"""What each user did until a training, beside the model: mapped arrays in which one user's events are found at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import Texts
from opentrail.services.personalize.engine.filter_plan import Event
from opentrail.services.personalize.engine.interactions import Interactions

NAME = "history"
LONGEST = 200
"""Newest events of a user that serving looks at."""

_COMBINATIONS = 4_096
"""Combinations of column values that are kept: most events share theirs with many."""

_KIND = "EVENT_TYPE"


def save(data: Interactions, folder: Path) -> None:
    """Writes the events of all users into a new folder."""
    folder.mkdir()
    Texts.of(list(data.users)).save(folder / "users")
    coded = {_KIND: (data.kind, data.kinds), **data.context}
    for name, values in (("starts", data.starts), ("item", data.item), ("time", data.time)):
        np.save(folder / f"{name}.npy", values)
    for name, (codes, _) in coded.items():
        np.save(folder / f"column.{name}.npy", codes)
    (folder / "words.json").write_text(json.dumps({name: list(words) for name, (_, words) in coded.items()}), "utf-8")


class History:
    """A saved history."""

    def __init__(self, folder: Path) -> None:
        self._users = Texts.load(folder / "users").index_of()
        words: dict[str, list[str]] = json.loads((folder / "words.json").read_text("utf-8"))
        # The code of null, -1, is the last.
        self._words: dict[str, list[str | None]] = {name: [*values, None] for name, values in words.items()}
        self._columns = {name: _load(folder / f"column.{name}.npy") for name in self._words}
        self._named = lru_cache(_COMBINATIONS)(self._name)
        self._starts, self._item, self._time = (_load(folder / f"{name}.npy") for name in ("starts", "item", "time"))

    def users(self) -> list[str]:
        """The users, in the order of the training."""
        return list(self._users)

    def of(self, user: str) -> Sequence[Event]:
        """The newest events of a user, oldest first; none of one who is not known."""
        at = self._users.get(user)
        if at is None:
            return ()
        start, end = self._starts[at : at + 2].tolist()
        rows = slice(max(start, end - LONGEST), end)
        codes = zip(*(column[rows].tolist() for column in self._columns.values()), strict=True)
        return list(map(Event, self._item[rows].tolist(), self._time[rows].tolist(), starmap(self._named, codes)))

    def _name(self, *codes: int) -> Mapping[str, str | None]:
        """The columns of every event with these codes."""
        return {name: words[code] for (name, words), code in zip(self._words.items(), codes, strict=True)}


def merged(trained: Sequence[Event], fresh: Sequence[Event]) -> list[Event]:
    """The events of a training and those that were streamed, of which it may have seen some."""
    found = list(trained)
    if not fresh:
        return found
    seen = {(event.item, event.time, event.columns.get(_KIND)) for event in found}
    return found + [event for event in fresh if (event.item, event.time, event.columns.get(_KIND)) not in seen]


def without(folder: Path, users: Set[str], into: Path) -> NDArray[np.int64]:
    """Writes a history without some users into a new folder: the places of those who are left."""
    into.mkdir()
    names = Texts.load(folder / "users")
    kept = np.array([at for at, name in enumerate(names) if name not in users], np.int64)
    Texts.of([names[at] for at in kept.tolist()]).save(into / "users")
    starts = _load(folder / "starts.npy")
    counts = np.diff(starts)
    stays = np.zeros(len(counts), np.bool_)
    stays[kept] = True
    rows = np.repeat(stays, counts)
    np.save(into / "starts.npy", np.concatenate(([0], np.cumsum(counts[kept]))).astype(np.int64))
    for path in folder.glob("*.npy"):
        if path.name != "starts.npy" and not path.name.startswith("users."):
            np.save(into / path.name, _load(path)[rows])
    shutil.copy(folder / "words.json", into / "words.json")
    return kept


def _load(path: Path) -> NDArray[Any]:
    return np.asarray(np.load(path, mmap_mode="r" if path.stat().st_size > 128 else None, allow_pickle=False))
