"""Where Personalize keeps its files: columnar segments of datasets, and trained models."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

PATIENCE = 60.0
"""Seconds that files which no row names any more stay for those who read them."""


class Folders:
    """The folders below the data folder. Whatever no row names is an unfinished or a forgotten file, and `sweep` removes it."""

    def __init__(self, data: Path) -> None:
        self.segments = data / "personalize" / "segments"
        self.models = data / "personalize" / "models"
        self._unnamed: dict[Path, float] = {}

    def sweep(self, segments: Collection[str], models: Collection[str], now: float) -> None:
        """Removes every segment and model that no sweep of the last `PATIENCE` seconds found named: who still reads one has time."""
        unnamed = {
            folder
            for parent, kept in ((self.segments, segments), (self.models, models))
            for folder in (parent.iterdir() if parent.exists() else ())
            if folder.name not in kept
        }
        self._unnamed = {folder: self._unnamed.get(folder, now) for folder in unnamed}
        for folder, since in self._unnamed.items():
            if now - since >= PATIENCE:
                shutil.rmtree(folder, ignore_errors=True)


def make_durable(folder: Path) -> None:
    """Waits until a finished folder is on the disk with its name: a row may name it then."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
