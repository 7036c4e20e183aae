"""Readers of the training corpora: every one becomes sentences of (words, labels) with the fold it belongs to.

Folds group what belongs together (an abstract, a case report, a trial); the list is benchmarks/nlp_folds.tsv (see `nlp_folds`).
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opentrail.services.comprehendmedical.engine.text import Token, split_sentences, tokenize
from tools.nlp_folds import FOLDS as FOLDS
from tools.nlp_folds import abstracts, fold_of, runs_of

MACCROBAT = {
    "Sign_symptom": "DX",
    "Disease_disorder": "DX",
    "Medication": "MED",
    "Diagnostic_procedure": "TEST",
    "Therapeutic_procedure": "PROC",
    "Biological_structure": "ANAT",
    "Lab_value": "VALUE",
    "Dosage": "DOSAGE",
    "Duration": "DURATION",
    "Frequency": "FREQ",
    "Administration": "ROUTE",
    "Date": "TIME",
    "Time": "TIME",
    "Age": "AGE",
    "Severity": "ACUITY",
}
CHIA = {
    "Condition": "DX",
    "Drug": "MED",
    "Measurement": "TEST",
    "Procedure": "PROC",
    "Value": "VALUE",
    "Temporal": "TIME",
    "Qualifier": "QUAL",
    "Observation": "OBS",
}
NUMBER = re.compile(r"\d+(?:[.,]\d+)*$")


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words with their labels (B-, I- and O) and the fold that the sentence belongs to."""

    words: tuple[str, ...]
    labels: tuple[str, ...]
    fold: int


@dataclass(frozen=True, slots=True)
class Span:
    """An annotation: name, offsets, type."""

    name: str
    begin: int
    end: int
    type: str


@dataclass(frozen=True, slots=True)
class Brat:
    """One brat document: text, unbroken spans, relations (type, from, to)."""

    name: str
    text: str
    spans: tuple[Span, ...]
    relations: tuple[tuple[str, str, str], ...]


def columns(path: Path) -> list[tuple[list[str], list[str]]]:
    """A two-column file: word TAB label, a blank line after each sentence; labels mended to B-, I-."""
    found = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        rows = [line.split("\t") for line in block.splitlines() if line.strip()]
        if rows:
            found.append(merge_numbers([row[0] for row in rows], mended([row[1] for row in rows])))
    return found


def mended(labels: Sequence[str]) -> list[str]:
    """An I- that continues nothing becomes B-."""
    out: list[str] = []
    for label in labels:
        if label.startswith("I-") and (not out or out[-1][2:] != label[2:]):
            label = "B-" + label[2:]
        out.append(label)
    return out


def with_ends(labels: Sequence[str]) -> list[str]:
    """Mended labels with the last word of a mention marked E- and an only word S-."""
    followed = [after.startswith("I-") for after in [*labels[1:], "O"]]
    ends = {"B": "S", "I": "E"}
    return [label if more or label == "O" else ends[label[0]] + label[1:] for label, more in zip(labels, followed, strict=True)]


def merge_numbers(words: list[str], labels: list[str]) -> tuple[list[str], list[str]]:
    """Put "0", ".", "5" together again, as the engine's tokens have them."""
    out: list[str] = []
    kept: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        begun = at
        while NUMBER.match(word) and at + 2 < len(words) and words[at + 1] in ".," and words[at + 2].isdigit():
            word += words[at + 1] + words[at + 2]
            at += 2
        out.append(word)
        kept.append(labels[begun])
        at += 1
    return out, kept


def bc5cdr(shared: Path) -> list[Sentence]:
    """Chemicals and diseases in abstracts (train and development parts)."""
    found = []
    for part in ("train", "devel"):
        rows = columns(shared / f"data/nlp/bc5cdr_iob/BC5CDR-IOB.{part}.tsv")
        for first, last, fold in runs_of(part):
            found += [Sentence(tuple(words), tuple(labels), fold) for words, labels in rows[first : last + 1]]
    return found


def ncbi(shared: Path) -> list[Sentence]:
    """Diseases in abstracts (train and development parts)."""
    folder, folds = shared / "data/nlp/ncbi_disease", fold_of("ncbi")
    found = []
    for part in ("train", "devel"):
        texts, name = abstracts(folder / f"NCBI{part}set_corpus.txt"), ""
        for words, labels in columns(folder / f"{part}.tsv"):
            bare = "".join(words)
            if bare not in texts.get(name, ""):
                name = next(one for one, text in texts.items() if bare in text)
            found.append(Sentence(tuple(words), tuple(labels), folds[name]))
    return found


def brat(name: str, text: str, lines: Iterator[str] | Sequence[str]) -> Brat:
    """Read one brat annotation; broken spans are left out, events stand for their trigger."""
    spans, relations, events = [], [], {}
    for line in lines:
        parts = line.rstrip("\n").split("\t")
        if line.startswith("T") and ";" not in parts[1]:
            kind, begin, end = parts[1].split(" ")
            spans.append(Span(parts[0], int(begin), int(end), kind))
        elif line.startswith("E"):
            events[parts[0]] = parts[1].split(" ")[0].split(":")[1]
        elif line.startswith("R"):
            kind, first, second = parts[1].split(" ")[:3]
            relations.append((kind, first.split(":")[1], second.split(":")[1]))
    seen = tuple((kind, events.get(first, first), events.get(second, second)) for kind, first, second in relations)
    return Brat(name, text, tuple(spans), seen)


def maccrobat_documents(shared: Path) -> list[Brat]:
    """The case reports."""
    folder = shared / "data/nlp/maccrobat2020"
    paths = sorted(path for path in folder.glob("*.txt") if path.with_suffix(".ann").exists())
    return [
        brat(path.stem, path.read_bytes().decode(), path.with_suffix(".ann").read_text(encoding="utf-8").splitlines()) for path in paths
    ]


def chia_documents(shared: Path) -> list[Brat]:
    """Eligibility criteria, one document for inclusion and one for exclusion of each trial."""
    found = []
    with zipfile.ZipFile(shared / "data/nlp/chia/chia_without_scope.zip") as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".txt"):
                notes = archive.read(name[:-4] + ".ann").decode().splitlines()
                found.append(brat(Path(name).stem, archive.read(name).decode(), notes))
    return found


def labelled(document: Brat, types: Mapping[str, str], fold: int) -> list[Sentence]:
    """A brat document as sentences; where spans overlap the longest wins."""
    tokens = tokenize(document.text)
    labels = ["O"] * len(tokens)
    for span in sorted(document.spans, key=lambda span: span.begin - span.end):
        inside = [number for number, token in enumerate(tokens) if token.begin < span.end and token.end > span.begin]
        if span.type in types and inside and all(labels[number] == "O" for number in inside):
            labels[inside[0]] = "B-" + types[span.type]
            for number in inside[1:]:
                labels[number] = "I-" + types[span.type]
    return cut(document.text, tokens, labels, fold)


def cut(text: str, tokens: tuple[Token, ...], labels: Sequence[str], fold: int) -> list[Sentence]:
    """The engine's sentences, labelled."""
    bounds = split_sentences(text, tokens) if tokens else ()
    words = [token.text for token in tokens]
    return [Sentence(tuple(words[first:last]), tuple(labels[first:last]), fold) for first, last in bounds]


def maccrobat(shared: Path) -> list[Sentence]:
    """Case reports with the types that the service answers with."""
    return [one for document in maccrobat_documents(shared) for one in labelled(document, MACCROBAT, fold_of("maccrobat")[document.name])]


def chia(shared: Path) -> list[Sentence]:
    """Eligibility criteria; both documents of a trial share a fold."""
    folds = fold_of("chia")
    return [one for document in chia_documents(shared) for one in labelled(document, CHIA, folds[document.name.split("_")[0]])]


@dataclass(frozen=True, slots=True)
class Query:
    """A text with the protected information in it, and what AWS answered: (begin, end, type) each."""

    text: str
    gold: tuple[tuple[int, int, str], ...]
    theirs: tuple[tuple[int, int, str], ...]
    fold: int


def queries(shared: Path) -> list[Query]:
    """The development part of ASQ-PHI; a value that occurs several times is protected at every place."""
    found = []
    lines = (shared / "data/nlp/asq_phi/dev.jsonl").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        row = json.loads(line)
        gold = [(*place, one["identifier_type"]) for one in row["phi"] for place in places(row["text"], one["value"])]
        theirs = [(one["begin_offset"], one["end_offset"], one["aws_type"]) for one in row["aws_detect_phi"]]
        found.append(Query(row["text"], tuple(gold), tuple(theirs), fold_of("asq")[str(number)]))
    return found


def places(text: str, value: str) -> list[tuple[int, int]]:
    """The first place of `value` in `text`, in any case."""
    at = text.find(value)
    if at < 0:
        at = text.lower().find(value.lower())
    return [(at, at + len(value))] if at >= 0 else []
