"""The network reads sentences side by side as it would one word after the other, and as training reads them."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from opentrail.services.comprehendmedical.engine import network
from opentrail.services.comprehendmedical.engine.decode import batch_of
from opentrail.services.comprehendmedical.engine.library import Library, load
from opentrail.services.comprehendmedical.engine.network import Network, Vectors, grams
from opentrail.services.comprehendmedical.engine.terms import joined

Floats = NDArray[np.float32]
LABELS = ["O", "B-X", "I-X"]
SENTENCES = [["No", "high", "Fever", "."], ["Cough"], ["Fever", "of", "39.5", "C", "and", "qq"]]
TAGS = [["", "", "BS", "", "BS", "BS", "", "", "", "", "never-seen"], ["o", "", "B-DX+", "", "", "B-DX+", "", "", "", "", ""]]
WORDS = [word for words in SENTENCES for word in words]
BATCH = batch_of([(0, 4), (4, 5), (5, 11)])
VECTORS = Vectors({"fever": 0, "cough": 1, "no": 2}, np.arange(-9, 9, dtype=np.int8).reshape(3, 6), np.array([0.1, 0.2, 0.05], np.float32))


def arrays(size: int = 5, width: int = 7) -> dict[str, NDArray[np.generic]]:
    """A network with chance weights."""
    chance = np.random.default_rng(3)
    shapes = {
        "transitions": (3, 3),
        "form_table": (4, 3),
        "shape_table": (4, 2),
        "gram_table": (32, 4),
        "word": (6 + 3 + 4 + 2, width),
        "word_bias": (width,),
        "first": (width, 8 * size),
        "first_bias": (8 * size,),
        "again": (2, size, 4 * size),
        "out": (2 * size, 3),
        "out_bias": (3,),
        "tag_table0": (3, width),
        "tag_table1": (4, width),
    }
    made: dict[str, NDArray[np.generic]] = {name: chance.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}
    made["tag_table0"][:2] = made["tag_table1"][:2] = np.float16(0)
    texts = {"forms": ["cough", "fever"], "shapes": ["Xxx", "xx"], "tags0": ["BS"], "tags1": ["B-DX+", "o"]}
    made |= {name: joined(listed) for name, listed in texts.items()}
    return made | {"labels": np.frombuffer(json.dumps(LABELS).encode(), np.uint8), "channels": np.array(2)}


def given(made: dict[str, NDArray[np.generic]], place: int) -> Floats:
    """A word's input, written out."""
    word = WORDS[place]
    low, pattern = word.lower(), {"No": "Xx", "Cough": "Xxx", "Fever": "Xxx", "high": "xx", "of": "xx", "and": "xx", "qq": "xx"}.get(word)
    vector = VECTORS.table[VECTORS.rows[low]] * VECTORS.scales[VECTORS.rows[low]] if low in VECTORS.rows else np.zeros(6)
    form = made["form_table"][{"cough": 2, "fever": 3}.get(low, 1)]
    shape = made["shape_table"][{"Xxx": 2, "xx": 3}.get(str(pattern), 1)]
    spelt = made["gram_table"][grams(word, 32)].astype(np.float32).mean(axis=0)
    mixed: Floats = np.concatenate([vector, form, spelt, shape]) @ made["word"].astype(np.float32) + made["word_bias"]
    mixed += made["tag_table0"][{"BS": 2}.get(TAGS[0][place], 0)]
    mixed += made["tag_table1"][{"B-DX+": 2, "o": 3}.get(TAGS[1][place], 0)]
    return mixed


def read(made: dict[str, NDArray[np.generic]], inputs: list[Floats], way: int) -> list[Floats]:
    """One direction over one sentence, one word after the other."""
    size = 5
    columns = slice(way * 4 * size, (way + 1) * 4 * size)
    hidden, cell, known = np.zeros(size), np.zeros(size), []
    for one in inputs[::-1] if way else inputs:
        raw = (
            one @ made["first"][:, columns].astype(np.float32)
            + made["first_bias"][columns]
            + hidden @ made["again"][way].astype(np.float32)
        )
        enter, forget, out = (1 / (1 + np.exp(-2 * raw[at * size : (at + 1) * size])) for at in range(3))
        cell = forget * cell + enter * np.tanh(raw[3 * size :])
        hidden = out * np.tanh(cell)
        known.append(hidden)
    return known[::-1] if way else known


def test_sentences_side_by_side_are_read_as_each_alone() -> None:
    made = arrays()
    scores = Network(made, VECTORS).scores(BATCH, WORDS, TAGS)
    at = 0
    for words in SENTENCES:
        inputs = [given(made, at + number) for number in range(len(words))]
        both = np.concatenate([np.array(read(made, inputs, 0)), np.array(read(made, inputs, 1))], axis=1)
        wanted = both @ made["out"].astype(np.float32) + made["out_bias"]
        np.testing.assert_allclose(scores[BATCH.rows[at : at + len(words)]], wanted, atol=1e-4)
        at += len(words)


def test_memory_is_bounded_and_forgetting_changes_nothing() -> None:
    made = Network(arrays(), VECTORS)
    before = made.scores(BATCH, WORDS, TAGS)
    for start in range(0, network.REMEMBERED + 3000, 1000):
        made.scores(batch_of([(0, 1000)]), [f"w{number}q" for number in range(start, start + 1000)], [[""] * 1000] * 2)
    assert len(made._known) <= network.REMEMBERED + 1000
    np.testing.assert_array_equal(made.scores(BATCH, WORDS, TAGS), before)


def test_words_are_looked_up_without_case_and_digits_as_zero() -> None:
    vectors = Vectors({"fever": 0, "00": 1}, np.ones((2, 3), np.int8), np.array([2.0, 3.0], np.float32))
    assert vectors.of(["FEVER", "37", "other"]).tolist() == [[2.0] * 3, [3.0] * 3, [0.0] * 3]


def test_the_packaged_network_knows_the_labels_of_the_clinical_head(loaded: Library) -> None:
    assert loaded.network.labels == loaded.model.heads["clinical"].labels


def test_a_process_that_loads_the_engine_multiplies_with_one_thread() -> None:
    """The network's multiplications are small: with more threads every core would spin for the next one, at ten times the CPU."""
    threadpool_limits(2, user_api="blas")
    load()
    assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
