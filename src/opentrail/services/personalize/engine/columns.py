"""Columns on disk: a segment is a folder of plain .npy files and one `table.json`, read back memory-mapped.

Why no Arrow: the engine computes on numpy arrays only, and three array shapes carry every Avro type that Personalize allows,
so 45 MB of pyarrow would buy nothing here. Strings that repeat (ids, categories, event types) are codes into a vocabulary;
strings that do not (texts, impressions) are bytes and ends per row; numbers are int64 or float64.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from opentrail.services.personalize.engine.schemas import Field, Kind, Schema

Codes = NDArray[np.int32]
Numbers = NDArray[Any]
"""int64 or float64, as `number_type` says."""
Mask = NDArray[np.bool_]
NULL_CODE = -1
NULL_LONG = np.iinfo(np.int64).min
"""The int64 that stands for null; a nullable long can therefore not hold it."""

_PLAIN = frozenset({"IMPRESSION", "RECOMMENDATION_ID"})


class Texts(Sequence[str]):
    """A read-only list of strings over one byte array and the end of each string in it."""

    def __init__(self, data: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self._data = data
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        end = int(self._ends[index])
        position = index if index >= 0 else index + len(self)
        start = int(self._ends[position - 1]) if position else 0
        return self._data[start:end].tobytes().decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        start = 0
        for stop in range(0, len(self), 65_536):
            ends = self._ends[stop : stop + 65_536].tolist()
            block = self._data[start : ends[-1]].tobytes()
            text, base = block.decode("utf-8"), start
            starts = [start, *ends[:-1]]
            if len(text) == len(block):
                yield from [text[first - base : end - base] for first, end in zip(starts, ends, strict=True)]
            else:
                yield from [str(block[first - base : end - base], "utf-8") for first, end in zip(starts, ends, strict=True)]
            start = ends[-1]

    def index_of(self) -> dict[str, int]:
        """The position of each string (the last of equal ones)."""
        return dict(zip(self, range(len(self)), strict=True))

    @staticmethod
    def of(values: Sequence[str]) -> Texts:
        """Pack `values`."""
        packed = [value.encode("utf-8") for value in values]
        ends = np.cumsum(np.fromiter(map(len, packed), np.int64, len(packed)))
        return Texts(np.frombuffer(b"".join(packed), np.uint8), ends)

    def save(self, stem: Path) -> None:
        """Write `stem`.text.npy and `stem`.ends.npy."""
        np.save(stem.with_name(stem.name + ".text.npy"), self._data)
        np.save(stem.with_name(stem.name + ".ends.npy"), self._ends)

    @staticmethod
    def load(stem: Path) -> Texts:
        """Map what `save` wrote."""
        return Texts(_map(stem.with_name(stem.name + ".text.npy")), _map(stem.with_name(stem.name + ".ends.npy")))


class Amended(Texts):
    """Such a list with some strings replaced."""

    def __init__(self, before: Texts, changes: Mapping[int, str]) -> None:
        known: Mapping[int, str] = before._changes if isinstance(before, Amended) else {}
        super().__init__(before._data, before._ends)
        self._changes: dict[int, str] = {**known, **changes}

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        return self._changes[index] if index in self._changes else super().__getitem__(index)

    def __iter__(self) -> Iterator[str]:
        return (self._changes.get(at, value) for at, value in enumerate(super().__iter__()))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. Coded: `codes` into `vocabulary`, -1 null. Plain text: `texts`, empty null. Else `numbers`."""

    field: Field
    codes: Codes | None = None
    vocabulary: Sequence[str] = ()
    texts: Texts | None = None
    numbers: Numbers | None = None

    def nulls(self) -> Mask:
        """Where the value is null."""
        if self.codes is not None:
            return np.equal(self.codes, NULL_CODE)
        if self.texts is not None:
            return np.fromiter((not text for text in self.texts), np.bool_, len(self.texts))
        assert self.numbers is not None
        missing: Mask = np.isnan(self.numbers) if self.numbers.dtype == np.float64 else self.numbers == NULL_LONG
        return missing

    def value(self, row: int) -> str | int | float | None:
        """The value of one row."""
        if self.codes is not None:
            code = int(self.codes[row])
            return None if code == NULL_CODE else self.vocabulary[code]
        if self.texts is not None:
            return self.texts[row] or None
        assert self.numbers is not None
        number = self.numbers[row].item()
        return None if number == NULL_LONG or number != number else number


@dataclass(frozen=True, slots=True)
class Table:
    """A segment read back: `rows` rows of the columns of `schema`, in file order."""

    schema: Schema
    rows: int
    columns: Mapping[str, Column]


def is_coded(field: Field) -> bool:
    """Whether a field's strings are kept as codes into a vocabulary."""
    return field.kind == "string" and not field.textual and field.name not in _PLAIN


def is_text(field: Field) -> bool:
    """Whether a field's strings are kept as they are, row by row."""
    return field.kind == "string" and not is_coded(field)


def number_type(kind: Kind) -> type[np.int64] | type[np.float64]:
    """How a number of Avro type `kind` is kept (booleans as 0 and 1)."""
    return np.float64 if kind in ("float", "double") else np.int64


class SegmentWriter:
    """Appends chunks of columns to a new segment folder; memory grows with distinct coded strings only, not with rows."""

    def __init__(self, folder: Path, schema: Schema) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._schema = schema
        self._rows = 0
        self._vocabularies: dict[str, dict[str, int]] = {field.name: {} for field in schema.fields if is_coded(field)}
        self._files: dict[str, BinaryIO] = {}
        self._end: dict[str, int] = {}

    def append(self, columns: Mapping[str, Sequence[str | None] | Numbers], rows: int) -> None:
        """Add `rows` rows: lists of strings (None: null) for string fields, arrays for numbers."""
        for field in self._schema.fields:
            values = columns[field.name]
            if isinstance(values, np.ndarray):
                self._write(f"{field.name}.npy", values)
            elif is_coded(field):
                self._write(f"{field.name}.codes.npy", self._encode(field.name, values))
            else:
                packed = [(value or "").encode("utf-8") for value in values]
                ends = np.cumsum(np.fromiter(map(len, packed), np.int64, len(packed))) + self._end.get(field.name, 0)
                self._end[field.name] = int(ends[-1])
                self._write(f"{field.name}.text.npy", np.frombuffer(b"".join(packed), np.uint8))
                self._write(f"{field.name}.ends.npy", ends)
        self._rows += rows

    def close(self) -> Path:
        """Finish the segment and return its folder; `table.json` is written last, so a segment without it is unfinished."""
        for name, file in self._files.items():
            file.close()
            _add_header(self._folder / name)
        for name, vocabulary in self._vocabularies.items():
            Texts.of(list(vocabulary)).save(self._folder / f"{name}.words")
        card = {
            "rows": self._rows,
            "record": self._schema.name,
            "domain": self._schema.domain,
            "fields": [_plain(f) for f in self._schema.fields],
        }
        (self._folder / "table.json").write_text(json.dumps(card, indent=1), "utf-8")
        return self._folder

    def abandon(self) -> None:
        """Close the open files of a segment that will not be finished."""
        for file in self._files.values():
            file.close()

    def _encode(self, name: str, values: Sequence[str | None]) -> Codes:
        known = self._vocabularies[name]
        return np.fromiter((NULL_CODE if v is None else known.setdefault(v, len(known)) for v in values), np.int32, len(values))

    def _write(self, name: str, values: NDArray[np.generic]) -> None:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = (self._folder / name).open("wb")
            file.write(_header(values.dtype, 0))
        values.tofile(file)


def open_table(folder: Path) -> Table:
    """Map the finished segment in `folder`."""
    card = json.loads((folder / "table.json").read_text("utf-8"))
    fields = tuple(Field(**one) for one in card["fields"])
    return Table(Schema(card["record"], card["domain"], fields), card["rows"], {f.name: _open(folder, f, card["rows"]) for f in fields})


def _open(folder: Path, field: Field, rows: int) -> Column:
    if not rows:
        return _empty(field)
    if is_coded(field):
        return Column(field, codes=_map(folder / f"{field.name}.codes.npy"), vocabulary=Texts.load(folder / f"{field.name}.words"))
    if is_text(field):
        return Column(field, texts=Texts.load(folder / field.name))
    return Column(field, numbers=_map(folder / f"{field.name}.npy"))


def _empty(field: Field) -> Column:
    if is_coded(field):
        return Column(field, codes=np.zeros(0, np.int32))
    if is_text(field):
        return Column(field, texts=Texts(np.zeros(0, np.uint8), np.zeros(0, np.int64)))
    return Column(field, numbers=np.zeros(0, number_type(field.kind)))


def _map(path: Path) -> NDArray[Any]:
    # An empty array cannot be mapped.
    mapped = np.load(path, allow_pickle=False, mmap_mode="r" if path.stat().st_size > _HEADER else None)
    return np.asarray(mapped)


def _plain(field: Field) -> dict[str, object]:
    return {name: getattr(field, name) for name in Field.__slots__}


_HEADER = 128
"""Bytes kept free for a .npy header; its row count is written when the file is complete."""


def _header(dtype: np.dtype[np.generic], rows: int) -> bytes:
    text = repr({"descr": dtype.str, "fortran_order": False, "shape": (rows,)}).encode("latin-1")
    body = text.ljust(_HEADER - 11, b" ") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def _add_header(path: Path) -> None:
    with path.open("r+b") as file:
        version = np.lib.format.read_magic(file)
        assert version == (1, 0)
        _, _, dtype = np.lib.format.read_array_header_1_0(file)
        rows = (path.stat().st_size - _HEADER) // dtype.itemsize
        file.seek(0)
        file.write(_header(dtype, rows))
