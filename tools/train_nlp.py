"""Train the engine's models from the data folder and write them into the package.

    python -m tools.train_nlp            all models on all development data (package data)
    python -m tools.train_nlp network    the network beside `clinical` alone, with the model.npz that is there

The data folder is OPENTRAIL_SHARED (default ../shared). Cascade: `bc5cdr`, `chia` and `phi` stand alone; `ncbi` and `clinical` also see the
labels of `bc5cdr` (channel k0) and `chia` (channel k1), and so does the network that has half a say in `clinical` (`nlp_network`; needs
PyTorch: `make deep`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from opentrail.services.comprehendmedical.engine import clusters, gazetteer, model, network, stored
from opentrail.services.comprehendmedical.engine.decode import batch_of
from opentrail.services.comprehendmedical.engine.features import Clusters, sentence_features
from opentrail.services.comprehendmedical.engine.gazetteer import Gazetteer
from opentrail.services.comprehendmedical.engine.model import Model
from opentrail.services.comprehendmedical.engine.stored import Arrays
from opentrail.services.comprehendmedical.engine.tagger import stack_tags
from tools import nlp_corpora, nlp_phi
from tools.nlp_corpora import Sentence, mended, with_ends
from tools.nlp_crf import Trained, in_order, train
from tools.nlp_folds import shared_folder

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src/opentrail/services/comprehendmedical/engine/data"
FINE = {"c1": 0.02, "c2": 0.03, "feature.minfreq": 1, "max_iterations": 110}
OPTIONS: dict[str, Mapping[str, object]] = {
    "bc5cdr": {"max_iterations": 90},
    "chia": {"max_iterations": 70},
    "phi": {"max_iterations": 70, "feature.minfreq": 3},
    "ncbi": FINE,
    "clinical": {"c1": 0.02, "c2": 0.1, "feature.minfreq": 1, "max_iterations": 110},
}
ENDED = frozenset({"bc5cdr", "ncbi"})
"""Heads that tell a mention's last word and only word apart: better bounds for more labels, so for those with few types."""
FIRST = ("bc5cdr", "chia", "phi")
SECOND = ("ncbi", "clinical")


def dictionaries() -> tuple[Gazetteer, Clusters]:
    """The compiled dictionaries that the features use."""
    return gazetteer.load(DATA / "phrases.npz"), clusters.load(DATA / "clusters.npz")


def sentences(head: str, shared: Path) -> list[Sentence]:
    """The training sentences of a head."""
    if head == "phi":
        return nlp_phi.training_texts(shared, dictionaries()[0].kinds)
    readers = {"bc5cdr": nlp_corpora.bc5cdr, "chia": nlp_corpora.chia, "ncbi": nlp_corpora.ncbi, "clinical": nlp_corpora.maccrobat}
    return readers[head](shared)


def stacked(lower: Model, found: Sequence[Sentence], dictionary: Gazetteer) -> list[list[list[str]]]:
    """For each sentence, the rows of labels that the lower heads give to the next ones."""
    rows = []
    for one in found:
        batch = batch_of([(0, len(one.words))])
        scores = lower.scores(batch, one.words, dictionary.tags(one.words))
        rows.append([stack_tags(*lower.label(name, scores, batch)) for name in ("bc5cdr", "chia")])
    return rows


def featured(head: str, found: Sequence[Sentence], lower: Model | None, dictionary: Gazetteer, groups: Clusters) -> list[list[list[str]]]:
    """The features of every sentence, as the head sees them."""
    rows = stacked(lower, found, dictionary) if lower and head in SECOND else [[] for _ in found]
    known: dict[str, Mapping[int, list[str]]] = {}
    return [sentence_features(one.words, dictionary.tags(one.words), groups, row, known) for one, row in zip(found, rows, strict=True)]


def train_head(head: str, found: Sequence[Sentence], features: Sequence[Sequence[Sequence[str]]]) -> Trained:
    """Train one head on sentences with their features."""
    marks = [with_ends(mended(one.labels)) if head in ENDED else mended(one.labels) for one in found]
    return train(features, marks, OPTIONS[head])


def train_from(head: str, shared: Path, lower: Path | None = None) -> Trained:
    """Train a head on all its data, in a process of its own."""
    dictionary, groups = dictionaries()
    below = model.load(lower, groups) if lower else None
    found = sentences(head, shared)
    return train_head(head, found, featured(head, found, below, dictionary, groups))


def train_network(found: Sequence[Sentence], tags: Sequence[Sequence[Sequence[str]]], groups: Clusters) -> Arrays:
    """The arrays of the network beside `clinical`: `tags` are each sentence's dictionary tags and then the labels of the lower heads."""
    from tools.nlp_network import Seen, train

    marks = [mended(one.labels) for one in found]
    seen = [Seen(one.words, rows, labels) for one, rows, labels in zip(found, tags, marks, strict=True)]
    listed = sorted({label for labels in marks for label in labels}, key=in_order)
    return train(seen, listed, network.load_vectors(DATA / "vectors.npz", groups))


def network_from(shared: Path) -> bytes:
    """The file of the network trained on all its data, in a process of its own; the lower heads are those of data/model.npz."""
    dictionary, groups = dictionaries()
    found = sentences("clinical", shared)
    below = stacked(model.load(DATA / "model.npz", groups), found, dictionary)
    tags = [[*dictionary.tags(one.words), *rows] for one, rows in zip(found, below, strict=True)]
    return stored.packed(train_network(found, tags, groups), network.FORM)


def main() -> None:
    """Train every head, two at a time, and write data/model.npz and data/network.npz."""
    began, shared = time.monotonic(), shared_folder()
    if sys.argv[1:] == ["network"]:
        (DATA / "network.npz").write_bytes(network_from(shared))
        return
    heads: dict[str, Trained] = {}
    with ProcessPoolExecutor(2) as workers:
        for names, lower in ((FIRST, None), (SECOND, DATA / "model.npz")):
            advice = workers.submit(network_from, shared) if lower else None
            running = {name: workers.submit(train_from, name, shared, lower) for name in names}
            for name, future in running.items():
                heads[name] = future.result()
                sys.stdout.write(f"{name}: {len(heads[name][2])} features, {time.monotonic() - began:.0f} s\n")
                sys.stdout.flush()
            model.save(DATA / "model.npz", heads)
            if advice:
                (DATA / "network.npz").write_bytes(advice.result())


if __name__ == "__main__":
    main()
