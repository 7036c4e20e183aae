"""From a document to labelled spans: dictionary, first models, and the models that also see the first ones' labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opentrail.services.comprehendmedical.engine.decode import Floats, batch_of
from opentrail.services.comprehendmedical.engine.gazetteer import Gazetteer
from opentrail.services.comprehendmedical.engine.model import Model, Span, spans_of
from opentrail.services.comprehendmedical.engine.network import Network
from opentrail.services.comprehendmedical.engine.text import Document

STACKED = ("bc5cdr", "chia")
"""Heads whose labels the later heads see, in the order of their channels."""
LATER = frozenset({"ncbi", "clinical"})
ADVISED = "clinical"
"""The head that the network has half a say in."""
SURE = 0.8


@dataclass(frozen=True, slots=True)
class Tagged:
    """A document's dictionary tags (one list for each group) and the spans of each head."""

    tags: Sequence[Sequence[str]]
    spans: dict[str, list[Span]]


def stack_tags(labels: Sequence[str], sure: Iterable[float]) -> list[str]:
    """Labels for later heads: "+" marks sure ones, "o" an unsure "outside", "" a sure one."""
    out = []
    for label, score in zip(labels, sure, strict=True):
        if label == "O":
            out.append("" if score >= SURE else "o")
        else:
            out.append(label + "+" if score >= SURE else label)
    return out


def tag(
    document: Document, gazetteer: Gazetteer, model: Model, network: Network, heads: Iterable[str], eager: dict[str, float] | None = None
) -> Tagged:
    """Run the named heads; `eager` makes a head bolder (see `Model.label`). The document must hold a token."""
    words = [token.text for token in document.tokens]
    batch = batch_of(document.sentences)
    tags = gazetteer.tags(words)
    scores = model.scores(batch, words, tags)
    wanted, bold = list(heads), eager or {}
    spans: dict[str, list[Span]] = {}
    stacked: list[list[str]] = []
    told: dict[str, tuple[list[str], Floats]] = {}
    if LATER.intersection(wanted):
        for number, name in enumerate(STACKED):
            told[name] = model.label(name, scores, batch)
            stacked.append(stack_tags(*told[name]))
            model.add_tags(scores, batch, f"k{number}", stacked[number])
    for name in wanted:
        if name not in told or bold.get(name):
            beside = (network.scores(batch, words, [*tags, *stacked]), network.transitions) if name == ADVISED else None
            told[name] = model.label(name, scores, batch, bold.get(name, 0.0), beside)
        labels, sure = told[name]
        spans[name] = spans_of(labels, sure.tolist(), document.sentences)
    return Tagged(tags, spans)
