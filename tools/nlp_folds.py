"""The five folds of the development data: which document is measured when, as a committed list.

    python -m tools.nlp_folds        writes benchmarks/nlp_folds.tsv

A line is "corpus TAB fold TAB ids"; ids are separated by blanks: PubMed ids (ncbi, maccrobat), trial numbers (chia), line numbers
from 0 (asq), and for bc5cdr, whose file does not tell documents apart, runs of sentences "part:first-last". Documents are dealt out
in turn in the order of the files; sentences of one document (of one trial, of one query) never lie in two folds, but for the
documents at the seams of bc5cdr's runs.
"""

from __future__ import annotations

import json
import os
import zipfile
from functools import cache
from pathlib import Path

FOLDS = 5
LIST = Path(__file__).resolve().parent.parent / "benchmarks/nlp_folds.tsv"


def shared_folder() -> Path:
    """Where the development data lies."""
    return Path(os.environ.get("OPENTRAIL_SHARED", str(Path(__file__).resolve().parents[2] / "shared")))


@cache
def fold_of(corpus: str) -> dict[str, int]:
    """The fold of each document id (or run) of a corpus."""
    rows = (line.split("\t") for line in LIST.read_text(encoding="utf-8").splitlines())
    return {name: int(fold) for one, fold, names in rows if one == corpus for name in names.split()}


@cache
def runs_of(part: str) -> tuple[tuple[int, int, int], ...]:
    """For bc5cdr: (first sentence, last sentence, fold) of a part's runs."""
    found = []
    for name, fold in fold_of("bc5cdr").items():
        own, _, bounds = name.partition(":")
        if own == part:
            first, _, last = bounds.partition("-")
            found.append((int(first), int(last), fold))
    return tuple(sorted(found))


def abstracts(path: Path) -> dict[str, str]:
    """The abstracts of the NCBI corpus by id, without blanks."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split("|", 2)
        if len(parts) == 3 and parts[1] in ("t", "a"):
            found[parts[0]] = found.get(parts[0], "") + "".join(parts[2].split())
    return found


def listed(shared: Path) -> dict[str, list[list[str]]]:
    """The ids of each corpus by fold."""
    data = shared / "data/nlp"
    ids = {"maccrobat": sorted(path.stem for path in (data / "maccrobat2020").glob("*.txt") if path.with_suffix(".ann").exists())}
    ids["ncbi"] = [name for part in ("train", "devel") for name in sorted(abstracts(data / f"ncbi_disease/NCBI{part}set_corpus.txt"))]
    with zipfile.ZipFile(data / "chia/chia_without_scope.zip") as archive:
        ids["chia"] = sorted({Path(name).stem.split("_")[0] for name in archive.namelist() if name.endswith(".txt")})
    ids["asq"] = [str(number) for number, _ in enumerate((data / "asq_phi/dev.jsonl").read_text(encoding="utf-8").splitlines())]
    folds = {name: [list(dict.fromkeys(names[fold::FOLDS])) for fold in range(FOLDS)] for name, names in ids.items()}
    folds["bc5cdr"] = [[] for _ in range(FOLDS)]
    for part in ("train", "devel"):
        count = sum(1 for block in (data / f"bc5cdr_iob/BC5CDR-IOB.{part}.tsv").read_text(encoding="utf-8").split("\n\n") if block.strip())
        size = -(-count // FOLDS)
        for fold in range(FOLDS):
            folds["bc5cdr"][fold].append(f"{part}:{fold * size}-{min(count, (fold + 1) * size) - 1}")
    return folds


def main() -> None:
    """Write the list."""
    rows = [f"{corpus}\t{fold}\t{' '.join(ids)}\n" for corpus, folds in listed(shared_folder()).items() for fold, ids in enumerate(folds)]
    LIST.write_text("".join(rows), encoding="utf-8")
    print(json.dumps({row.split("\t")[0]: len(row.split()) for row in rows}))  # noqa: T201


if __name__ == "__main__":
    main()
