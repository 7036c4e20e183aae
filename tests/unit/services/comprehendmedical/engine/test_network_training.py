"""The network answers with numpy what PyTorch taught it, and the same seed teaches the same. Without PyTorch nothing is collected."""

from __future__ import annotations

import numpy as np
import torch
from tools.nlp_network import Plan, Reader, Seen, export, train, vocabulary, words_of

from opentrail.services.comprehendmedical.engine.network import Network
from tests.unit.services.comprehendmedical.engine.test_network import BATCH, LABELS, SENTENCES, TAGS, VECTORS, WORDS


def test_training_and_answering_read_alike() -> None:
    seen, at = [], 0
    for words in SENTENCES:
        rows = [row[at : at + len(words)] for row in TAGS]
        seen.append(Seen(words, rows, ["B-X" if word == "Fever" else "O" for word in words]))
        at += len(words)
    plan = Plan(form=4, gram=5, buckets=16, shape=3, width=6, size=5, rounds=3)
    torch.manual_seed(1)
    known = vocabulary(seen)
    words = words_of(seen, known, VECTORS, plan.buckets)
    net = Reader(plan, known, 6, len(LABELS)).eval()
    told = Network(export(net, known, LABELS), VECTORS).scores(BATCH, WORDS, TAGS)[BATCH.rows]
    at = 0
    for one in seen:
        numbers = torch.tensor([[words.numbers[word] for word in one.words]])
        tags = [torch.tensor([[known_tags.get(tag, 0) for tag in row]]) for known_tags, row in zip(known.tags, one.tags, strict=True)]
        with torch.no_grad():
            np.testing.assert_allclose(told[at : at + len(one.words)], net(words, numbers, tags)[0].numpy(), atol=1e-2)
        at += len(one.words)
    first, again = train(seen, LABELS, VECTORS, plan), train(seen, LABELS, VECTORS, plan)
    assert all(np.array_equal(first[name], again[name]) for name in first)
