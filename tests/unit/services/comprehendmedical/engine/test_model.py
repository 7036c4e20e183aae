"""Inference adds up the very features that training names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from opentrail.services.comprehendmedical.engine import model
from opentrail.services.comprehendmedical.engine.decode import batch_of
from opentrail.services.comprehendmedical.engine.features import sentence_features, shape

CLUSTERS = {"fever": ("1", "2", "3"), "cough": ("1", "4", "5")}
LABELS = ("O", "B-X", "I-X")


def made(path: Path, names: list[str], seed: int = 1) -> tuple[model.Model, dict[str, dict[str, float]]]:
    """A model with chance weights for the named features, written and read again."""
    chance = np.random.default_rng(seed)
    weights = {name: {label: float(np.float16(chance.normal())) for label in LABELS} for name in names}
    model.save(path, {"x": (LABELS, np.zeros((3, 3), np.float32), weights)})
    return model.load(path, CLUSTERS), weights


def test_scores_are_the_sums_of_the_named_features(tmp_path: Path) -> None:
    sentences = [["No", "high", "Fever", "."], ["Cough", "-", "free"]]
    tags = [["", "", "BS", ""], ["BS", "", ""]]
    stacked = [["", "B-DX", "I-DX+", "o"], ["o", "", ""]]
    features = [sentence_features(words, [tags[at]], CLUSTERS, [stacked[at]]) for at, words in enumerate(sentences)]
    loaded, weights = made(tmp_path / "m.npz", sorted({name for rows in features for row in rows for name in row}))
    batch = batch_of([(0, 4), (4, 7)])
    scores = loaded.scores(batch, [*sentences[0], *sentences[1]], [[*tags[0], *tags[1]]])
    loaded.add_tags(scores, batch, "k0", [*stacked[0], *stacked[1]])
    wanted = [[sum(weights[name][label] for name in row) for label in LABELS] for rows in features for row in rows]
    np.testing.assert_allclose(scores[batch.rows], np.array(wanted), atol=1e-3)


def test_unknown_words_score_nothing_and_memory_is_bounded(tmp_path: Path) -> None:
    loaded, _ = made(tmp_path / "m.npz", ["0w=known"])
    for start in range(0, model.REMEMBERED + 3000, 1000):
        words = [f"w{number}q" for number in range(start, start + 1000)]
        assert not loaded.scores(batch_of([(0, 1000)]), words, []).any()
    assert len(loaded._rows["word"].numbers) <= model.REMEMBERED + 1000


def test_spans_are_runs_within_a_sentence() -> None:
    labels = ["B-A", "I-A", "B-A", "I-B", "O", "I-A"]
    spans = model.spans_of(labels, [1.0, 0.5, 1.0, 1.0, 1.0, 0.2], [(0, 2), (2, 6)])
    assert [(span.first, span.last, span.label, span.score) for span in spans] == [
        (0, 2, "A", 0.75),
        (2, 3, "A", 1.0),
        (3, 4, "B", 1.0),
        (5, 6, "A", 0.2),
    ]


def test_shapes() -> None:
    assert [shape(word) for word in ("Fever", "COPD", "B12", "pH", "α1")] == ["Xxx", "XX", "Xdd", "xX", "xd"]


def test_labels_with_ends_are_told_without(tmp_path: Path) -> None:
    labels, words = ["O", "B-X", "E-X", "S-Y"], ["this", "chest", "pain", "today"]
    weights = {f"0w={word}": {label: 9.0} for word, label in zip(words, labels, strict=True)}
    model.save(tmp_path / "m.npz", {"x": (labels, np.zeros((4, 4), np.float32), weights)})
    loaded, batch = model.load(tmp_path / "m.npz", {}), batch_of([(0, 4)])
    told, _ = loaded.label("x", loaded.scores(batch, words, []), batch)
    assert told == ["O", "B-X", "I-X", "B-Y"]
