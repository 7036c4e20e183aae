"""Where Personalize keeps its files: columnar segments of datasets, trained models, and the scratch folder of the job at work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path


class Folders:
    """The folders below the data folder. Whatever no row names is an unfinished or a forgotten file, and `sweep` removes it."""

    def __init__(self, data: Path) -> None:
        self.segments = data / "personalize" / "segments"
        self.models = data / "personalize" / "models"
        self.scratch = data / "personalize" / "scratch"
        self._unnamed: set[Path] = set()

    def fresh_scratch(self) -> Path:
        """The scratch folder, empty."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        return self.scratch

    def sweep(self, segments: Collection[str], models: Collection[str]) -> None:
        """Removes every segment and model that is not named now and was not named by the sweep before: who still reads one has time."""
        unnamed = {
            folder
            for parent, kept in ((self.segments, segments), (self.models, models))
            for folder in (parent.iterdir() if parent.exists() else ())
            if folder.name not in kept
        }
        for folder in unnamed & self._unnamed:
            shutil.rmtree(folder, ignore_errors=True)
        self._unnamed = unnamed


def make_durable(folder: Path) -> None:
    """Waits until a finished folder is on the disk with its name: a row may name it then."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
