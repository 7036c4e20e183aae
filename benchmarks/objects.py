"""Hosted buckets against the machine of the same run: putting small objects against bare durable files, joining parts against a
plain copy, listing against the bare query.

    python -m benchmarks.objects [OBJECTS]
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from opentrail.kernel.ambient import SystemIds
from opentrail.services.s3 import blobs, listing, store, tables
from opentrail.services.s3.store import Object
from opentrail.store.migrate import engine
from opentrail.store.sqlite import SqliteDatabase
from opentrail.store.tables import MAIN

ROUNDS = 200
PART = 8 * 1024 * 1024


def both(bare: Callable[[], object], ours: Callable[[], object], rounds: int) -> tuple[float, float]:
    """The medians of two kinds of work done in turn, so that both meet the same disk."""
    times = [(seconds(bare, 1), seconds(ours, 1)) for _ in range(rounds)]
    return median(first for first, _ in times), median(second for _, second in times)


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median of so many runs."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times)


def durable(file: Path) -> None:
    """One small file, fsynced, as the spool leaves it."""
    with file.open("xb") as out:
        out.write(b"x" * 1000)
        os.fsync(out.fileno())


def main(count: int) -> None:
    """Prints one line a measurement, each with its ratio."""
    ids = SystemIds()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        for fan in blobs._FANS:
            (folder / fan).mkdir()

        def bare() -> None:
            file = folder / ids.hex(32)
            durable(file)
            os.rename(file, folder / ids.hex(32))
            blobs._sync(folder)

        def adopt() -> None:
            file = folder / ids.hex(32)
            durable(file)
            blobs.adopt(folder, ids.hex(32), file)

        floor, ours = both(bare, adopt, ROUNDS)
        print(f"blob of 1 KB: {ours * 1e6:.0f} us, bare durable file {floor * 1e6:.0f} us: {ours / floor:.2f} x")

        part = ids.hex(32)
        (folder / "part").write_bytes(os.urandom(PART))
        blobs.adopt(folder, part, folder / "part")
        pieces = [(part, 0, PART)] * 4

        def copied() -> None:
            with (folder / ids.hex(32)).open("wb") as out:
                for _ in pieces:
                    with blobs.path(folder, part).open("rb") as source:
                        shutil.copyfileobj(source, out, 1 << 20)
                out.flush()
                os.fsync(out.fileno())

        floor, ours = both(copied, lambda: blobs.join(folder, ids.hex(32), pieces), 7)
        print(f"4 parts of 8 MB joined: {ours * 1e3:.0f} ms, plain copy and fsync {floor * 1e3:.0f} ms: {ours / floor:.2f} x")
        list_objects(folder, count)


def list_objects(folder: Path, count: int) -> None:
    """Pages of 1,000 keys, and 1,000 folders, out of `count`."""
    database = SqliteDatabase(folder / "main.db")
    database.writer()
    MAIN.create_all(engine(database), tables=[tables.bucket, tables.object_])
    with sqlite3.connect(folder / "main.db") as rows:
        rows.execute("INSERT INTO s3_bucket (name, account, location, created) VALUES ('box', '1', '', 0)")
        rows.executemany(
            "INSERT INTO s3_object (bucket, key, blob, size, etag, modified, headers, checksum) VALUES ('box', ?, ?, 1, ?, 0, '{}', '')",
            ((f"{i // 100:06}/{i:08}".encode(), f"{i:032x}", "0" * 32) for i in range(count)),
        )
    assert Object._fields[0] == "blob", "rows are written as the store reads them"
    with database.read() as view:
        fetch = listing._objects(view, "box")
        middle = f"{count // 200:06}".encode()
        bare = seconds(lambda: view.all(store.OBJECTS, bucket="box", low=middle, high=store.LAST, count=1001), 20)
        page = seconds(lambda: listing.walk(fetch, b"", b"", (middle, ""), 1000), 20)
        folders = seconds(lambda: listing.walk(fetch, b"", b"/", (b"", ""), 1000), 20)
    print(f"1,000 of {count:,} keys: {page * 1e3:.2f} ms, bare query {bare * 1e3:.2f} ms: {page / bare:.2f} x")
    print(f"1,000 common prefixes of 100 keys each: {folders * 1e3:.1f} ms, bare query of 1,001 keys: {folders / bare:.1f} x")
    database.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
