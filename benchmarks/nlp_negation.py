"""The gold of negation in trial criteria (Chia): what its annotators say is denied, read as clinicians mean it.

A condition, drug, procedure or measurement is denied when it is linked to a negation word, or when another member of the same
alternative ("A, B or C") is: Chia links one member and lists the alternative. Words that say what the criterion leaves out ("other
than", "except", "allowed") deny nothing; what is linked to them is left out of the count. The annotators link few of the denials that a
reader sees ("no evidence of ..."), so precision on this gold is a lower bound; the texts of our own in the tests are the measure of F1.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tools.nlp_corpora import Brat, chia_documents
from tools.nlp_folds import fold_of
from tools.train_nlp import DATA

from opentrail.services.comprehendmedical.engine import context, text

MENTIONS = frozenset({"Condition", "Drug", "Procedure", "Measurement"})
LEAVES_OUT = re.compile(
    r"other|except|unless|exclud|allow|eligib|besides|addition|accept|permit|unrelated|apply|preclud|prohibit|prevent|refrain|unwilling|must"
    r"|contraind|restrict|appropriate",
    re.IGNORECASE,
)


@cache
def _notes(shared: Path) -> dict[str, tuple[str, ...]]:
    """The annotation lines of each document."""
    with zipfile.ZipFile(shared / "data/nlp/chia/chia_without_scope.zip") as archive:
        return {Path(name).stem: tuple(archive.read(name).decode().splitlines()) for name in archive.namelist() if name.endswith(".ann")}


def denied(document: Brat, notes: Sequence[str]) -> tuple[set[str], set[str]]:
    """Names of the annotations that are denied, and of those that are linked to words which leave something out."""
    words = {line.split("\t")[0]: line.split("\t")[2] for line in notes if line.startswith("T")}
    alternatives = [set(line.split("\t")[1].split(" ")[1:]) for line in notes if line.startswith("*")]
    alternatives += [{first, second} for kind, first, second in document.relations if kind == "OR"]
    linked: tuple[set[str], set[str]] = (set(), set())
    for kind, first, second in document.relations:
        if kind == "Has_negation":
            linked[bool(LEAVES_OUT.search(words.get(second, "")))].add(first)
    for names in linked:
        size = -1
        while len(names) > size:
            size = len(names)
            names.update(*(group for group in alternatives if group & names))
    return linked


def counts(shared: Path, fold: int) -> list[int]:
    """Mentions of a fold: rightly told to be denied, wrongly, missed, rightly told to be affirmed."""
    cues, row = context.load(DATA / "context.tsv"), [0, 0, 0, 0]
    for document in chia_documents(shared):
        if fold_of("chia")[document.name.split("_")[0]] != fold:
            continue
        truth, left = denied(document, _notes(shared)[document.name])
        cut = text.read(document.text, {})
        spans = sorted((span for span in document.spans if span.type in MENTIONS and span.name not in left), key=lambda span: span.begin)
        places = [(sum(t.end <= span.begin for t in cut.tokens), sum(t.begin < span.end for t in cut.tokens)) for span in spans]
        for span, traits in zip(spans, context.traits(cut, cues, places), strict=True):
            said, wanted = "NEGATION" in traits, span.name in truth
            row[0 if said and wanted else 1 if said else 2 if wanted else 3] += 1
    return row
