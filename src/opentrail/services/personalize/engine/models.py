"""A model is a folder of .npy arrays and one `card.json`, named by the hash of both; loading maps the arrays and runs no code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.columns import Texts
from opentrail.services.personalize.engine.errors import InvalidInput

T = TypeVar("T")
Arrays = Mapping[str, NDArray[Any]]
Card = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """A trained model. `card["kind"]` says how `arrays` score; `items` are the ids behind the indexes."""

    card: Card
    arrays: Arrays
    items: Sequence[str]
    _indexes: dict[str, int] = field(default_factory=dict, repr=False)
    _kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def kept(self, name: str, make: Callable[[], T]) -> T:
        """What follows from the arrays alone and is needed by every call: made once. Two threads may make it both; they make the same."""
        if name not in self._kept:
            self._kept[name] = make()
        found: T = self._kept[name]
        return found

    def names(self, places: NDArray[np.int64]) -> list[str]:
        """The ids of some items."""
        every = self._names()
        return [every[place] for place in places.tolist()]

    def _names(self) -> list[str]:
        return self.kept("names", lambda: list(self.items))

    def index(self, item: str) -> int:
        """The index of an item id, -1 when the model does not know it. The first call builds the table."""
        if not self._indexes and self.items:
            self._indexes.update(zip(self._names(), range(len(self.items)), strict=True))
        return self._indexes.get(item, -1)


def save_model(model: Model, parent: Path) -> Path:
    """Write `model` under `parent` in a folder named by its content; an equal model that is there already is kept."""
    packed = model.items if isinstance(model.items, Texts) else Texts.of(list(model.items))
    partial = parent / f".partial-{model.card.get('recipe', 'model')}-{os.getpid()}"
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    for name, values in model.arrays.items():
        np.save(partial / f"{name}.npy", values, allow_pickle=False)
    packed.save(partial / "items")
    sums = {path.name: _file_hash(path) for path in sorted(partial.iterdir())}
    card = json.dumps({**model.card, "files": sums}, indent=1, sort_keys=True, allow_nan=False)
    (partial / "card.json").write_text(card, "utf-8")
    folder = parent / hashlib.sha256(card.encode()).hexdigest()[:32]
    if folder.exists():
        shutil.rmtree(partial)
    else:
        partial.rename(folder)
    return folder


def load_model(folder: Path, verify: bool = False) -> Model:
    """Map the model in `folder`; with `verify` also compare every file with the hash in the card."""
    card = json.loads((folder / "card.json").read_text("utf-8"))
    files = card.pop("files")
    arrays: dict[str, NDArray[Any]] = {}
    for name, expected in files.items():
        path = folder / name
        if verify and _file_hash(path) != expected:
            raise InvalidInput("The model's file {name} differs from its card.", name=name)
        if not name.startswith("items."):
            mapped = np.load(path, mmap_mode="r" if path.stat().st_size > 128 else None, allow_pickle=False)
            # As a plain array: numpy's own class for mapped ones makes every slice ten times as dear.
            arrays[name.removesuffix(".npy")] = np.asarray(mapped)
    return Model(card, arrays, Texts.load(folder / "items"))


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
