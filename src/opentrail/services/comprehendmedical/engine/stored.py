"""Files of arrays: how compiled vocabularies are kept. A file names its own form, so that another kind or age of file is refused."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


class BadFile(Exception):
    """The file was not written by `packed` in the wanted form; the text names the form, never what the file holds."""


def packed(arrays: Arrays, form: str) -> bytes:
    """The bytes of a file of arrays. Writing them in one step (a new file, then a rename) is the caller's."""
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, form=np.frombuffer(form.encode(), np.uint8), **arrays)
    return out.getvalue()


def load(path: Path, form: str) -> Arrays:
    """The arrays of a file, each read when it is first asked for. Raises BadFile."""
    try:
        arrays = np.load(path, allow_pickle=False)
        if arrays["form"].tobytes().decode() == form:
            return Lazy(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadFile(f"There is no readable vocabulary file of the form {form!r}.") from error
    raise BadFile(f"The vocabulary file is not of the form {form!r}: load the release again.")


class Lazy(Mapping[str, NDArray[Any]]):
    """An open file of arrays; an array is read when it is asked for, and not kept."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened

    def __getitem__(self, name: str) -> NDArray[Any]:
        found: NDArray[Any] = self._opened[name]
        return found

    def __iter__(self) -> Any:
        return iter(self._opened)

    def __len__(self) -> int:
        return len(self._opened)
