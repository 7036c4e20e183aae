"""Train the network that stands beside a linear-chain model (`engine.network`): words in, scores of labels out.

A word is its vector (vectors.npz, fixed), its form, the mean of its runs of characters, its pattern of capitals; dictionary tags and the
labels of earlier heads are added. A long short-term memory reads each sentence in both directions; transitions of labels are learned with
it. Needs PyTorch (the extra `deep`), one thread of it; the same seed gives the same network on the same machine.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from opentrail.services.comprehendmedical.engine.features import fold, shape
from opentrail.services.comprehendmedical.engine.network import UNKNOWN, Vectors, grams
from opentrail.services.comprehendmedical.engine.stored import Arrays
from opentrail.services.comprehendmedical.engine.terms import joined

Numbers = NDArray[np.intp]
ALIKE = 20
"""Batches whose sentences are sorted by length together."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and constants of a training; the shares are those of inputs that are left out by chance."""

    form: int = 50
    gram: int = 64
    buckets: int = 8192
    shape: int = 16
    width: int = 160
    size: int = 128
    unknown: float = 0.2
    untagged: float = 0.1
    drop_word: float = 0.3
    drop_input: float = 0.3
    drop_output: float = 0.4
    rounds: int = 14
    batch: int = 32
    rate: float = 2e-3
    decay: float = 1e-2
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """A training sentence: its words, their tags by channel, their labels."""

    words: Sequence[str]
    tags: Sequence[Sequence[str]]
    labels: Sequence[str]


@dataclass(slots=True)
class Vocabulary:
    """The forms, patterns and tags that a training keeps, by number from `UNKNOWN` + 1."""

    forms: dict[str, int]
    shapes: dict[str, int]
    tags: list[dict[str, int]]


@dataclass(slots=True)
class Words:
    """The distinct words of a training, and a row for each in `vectors`, `forms`, `shapes`, `grams`; row 0 is padding."""

    numbers: dict[str, int] = field(default_factory=dict)
    vectors: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    forms: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    shapes: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    grams: torch.Tensor = field(default_factory=lambda: torch.zeros(0))


def vocabulary(found: Sequence[Seen]) -> Vocabulary:
    """Forms and patterns that occur twice, and all tags."""

    def numbered(texts: Iterator[str], least: int) -> dict[str, int]:
        kept = sorted(text for text, times in Counter(texts).items() if times >= least and text)
        return {text: number for number, text in enumerate(kept, UNKNOWN + 1)}

    return Vocabulary(
        numbered((fold(word) for one in found for word in one.words), 2),
        numbered((shape(word) for one in found for word in one.words), 2),
        [numbered((tag for one in found for tag in one.tags[channel]), 1) for channel in range(len(found[0].tags))],
    )


def words_of(found: Sequence[Seen], known: Vocabulary, vectors: Vectors, buckets: int) -> Words:
    """The rows of the distinct words."""
    distinct = list(dict.fromkeys(word for one in found for word in one.words))
    runs = [[buckets], *(grams(word, buckets) for word in distinct)]
    table = np.full((len(runs), max(map(len, runs))), buckets)
    for row, run in zip(table, runs, strict=True):
        row[: len(run)] = run
    given = vectors.of(distinct)
    return Words(
        {word: number for number, word in enumerate(distinct, 1)},
        torch.from_numpy(np.concatenate([np.zeros_like(given[:1]), given])),
        torch.tensor([0, *(known.forms.get(fold(word), UNKNOWN) for word in distinct)]),
        torch.tensor([0, *(known.shapes.get(shape(word), UNKNOWN) for word in distinct)]),
        torch.from_numpy(table),
    )


class Reader(nn.Module):
    """The network: a word's parts, mixed; tags added; both directions read; scores of labels."""

    def __init__(self, plan: Plan, known: Vocabulary, vectors: int, labels: int) -> None:
        super().__init__()
        self.plan = plan
        self.form = nn.Embedding(len(known.forms) + UNKNOWN + 1, plan.form)
        self.shape = nn.Embedding(len(known.shapes) + UNKNOWN + 1, plan.shape)
        self.gram = nn.EmbeddingBag(plan.buckets + 1, plan.gram, mode="mean", padding_idx=plan.buckets)
        self.tags = nn.ModuleList(nn.Embedding(len(tags) + UNKNOWN + 1, plan.width, padding_idx=0) for tags in known.tags)
        self.word = nn.Linear(vectors + plan.form + plan.gram + plan.shape, plan.width)
        self.both = nn.LSTM(plan.width, plan.size, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * plan.size, labels)
        self.transitions = nn.Parameter(torch.zeros(labels, labels))
        with torch.no_grad():
            self.gram.weight.normal_(std=0.5)
            for table in self.tags:
                table.weight.normal_(std=0.3)
                table.weight[: UNKNOWN + 1] = 0

    def forward(self, words: Words, numbers: torch.Tensor, tags: Sequence[torch.Tensor]) -> torch.Tensor:
        """Word numbers (sentence, place) -> scores (sentence, place, label); number 0 is padding at the end."""
        plan, forms = self.plan, words.forms[numbers]
        if self.training:
            forms = torch.where(torch.rand(forms.shape) < plan.unknown, torch.full_like(forms, UNKNOWN), forms)
        distinct, places = torch.unique(numbers, return_inverse=True)
        spelt = self.gram(words.grams[distinct])[places]
        parts = [words.vectors[numbers], self.form(forms), spelt, self.shape(words.shapes[numbers])]
        given = self.word(functional.dropout(torch.cat(parts, 2), plan.drop_word, self.training))
        for table, row in zip(self.tags, tags, strict=True):
            given = given + table(row)
        given = functional.dropout(given, plan.drop_input, self.training)
        packed = pack_padded_sequence(given, (numbers > 0).sum(1), batch_first=True, enforce_sorted=False)
        read, _ = pad_packed_sequence(self.both(packed)[0], batch_first=True)
        scores: torch.Tensor = self.out(functional.dropout(read, plan.drop_output, self.training))
        return scores


def loss_of(scores: torch.Tensor, transitions: torch.Tensor, labels: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Minus the log-probability of the labels as a linear chain, a token."""
    total = scores[:, 0]
    right = scores[:, 0].gather(1, labels[:, :1])[:, 0]
    for place in range(1, scores.shape[1]):
        here, kept = scores[:, place], real[:, place]
        total = torch.where(kept[:, None], torch.logsumexp(total[:, :, None] + transitions, 1) + here, total)
        more = here.gather(1, labels[:, place : place + 1])[:, 0] + transitions[labels[:, place - 1], labels[:, place]]
        right = right + torch.where(kept, more, torch.zeros_like(more))
    loss: torch.Tensor = (torch.logsumexp(total, 1) - right).sum() / real.sum()
    return loss


def batches(lengths: Sequence[int], size: int, chance: np.random.Generator) -> list[Numbers]:
    """All sentences once, by chance, those of like length together."""
    order, found = chance.permutation(len(lengths)), []
    for start in range(0, len(order), size * ALIKE):
        part = np.array(sorted(order[start : start + size * ALIKE], key=lengths.__getitem__), np.intp)
        found += [part[at : at + size] for at in range(0, len(part), size)]
    return [found[number] for number in chance.permutation(len(found))]


def _padded(rows: Sequence[Numbers]) -> torch.Tensor:
    out = np.zeros((len(rows), max(map(len, rows))), np.intp)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(out)


def train(
    found: Sequence[Seen], labels: Sequence[str], vectors: Vectors, plan: Plan | None = None, each_step: Callable[[], None] | None = None
) -> dict[str, NDArray[np.generic]]:
    """The arrays of a network (`export`) that has learned the sentences; `labels` in the order of the head beside it."""
    plan = plan or Plan()
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    chance, known = np.random.default_rng(plan.seed), vocabulary(found)
    words, place = words_of(found, known, vectors, plan.buckets), {label: number for number, label in enumerate(labels)}
    texts = [np.array([words.numbers[word] for word in one.words]) for one in found]
    marks = [np.array([place[label] for label in one.labels]) for one in found]
    tags = [[np.array([numbers.get(tag, 0) for tag in one.tags[channel]]) for one in found] for channel, numbers in enumerate(known.tags)]
    net = Reader(plan, known, vectors.table.shape[1], len(labels))
    steps = plan.rounds * math.ceil(len(found) / plan.batch)
    teacher = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=plan.decay, betas=(0.9, 0.99))
    pace = torch.optim.lr_scheduler.OneCycleLR(teacher, plan.rate, total_steps=steps + 1, pct_start=0.1)
    for _ in range(plan.rounds):
        for batch in batches([len(text) for text in texts], plan.batch, chance):
            numbers = _padded([texts[one] for one in batch])
            tagged = [_padded([row[one] for one in batch]) for row in tags]
            tagged = [torch.where(torch.rand(row.shape) < plan.untagged, torch.zeros_like(row), row) for row in tagged]
            scores = net(words, numbers, tagged)
            loss = loss_of(scores, net.transitions, _padded([marks[one] for one in batch]), numbers > 0)
            teacher.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            teacher.step()
            pace.step()
            if each_step:
                each_step()
    return export(net, known, labels)


def export(net: Reader, known: Vocabulary, labels: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """The arrays that `engine.network.Network` reads."""
    weights = {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}
    ahead, again, bias = (
        [_gates(weights[f"both.{name}_l0{way}"]) for way in ("", "_reverse")] for name in ("weight_ih", "weight_hh", "bias_ih")
    )
    bias = [one + _gates(weights[f"both.bias_hh_l0{way}"]) for one, way in zip(bias, ("", "_reverse"), strict=True)]
    tables = {
        "transitions": weights["transitions"],
        "form_table": weights["form.weight"],
        "shape_table": weights["shape.weight"],
        "gram_table": weights["gram.weight"][:-1],
        "word": weights["word.weight"].T,
        "word_bias": weights["word.bias"],
        "first": np.concatenate(ahead).T,
        "first_bias": np.concatenate(bias),
        "again": np.stack([one.T for one in again]),
        "out": weights["out.weight"].T,
        "out_bias": weights["out.bias"],
    } | {f"tag_table{channel}": weights[f"tags.{channel}.weight"] for channel in range(len(known.tags))}
    texts: Mapping[str, Mapping[str, int]] = {"forms": known.forms, "shapes": known.shapes} | {
        f"tags{channel}": tags for channel, tags in enumerate(known.tags)
    }
    arrays: Arrays = {name: table.astype(np.float16) for name, table in tables.items()} | {
        name: joined(numbers) for name, numbers in texts.items()
    }
    return {
        **arrays,
        "labels": np.frombuffer(json.dumps(list(labels)).encode(), np.uint8),
        "channels": np.array(len(known.tags)),
    }


def _gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """PyTorch's gates (in, forget, new, out) as the engine has them: the gates halved, then the new."""
    enter, forget, new, out = np.split(rows, 4)
    return np.concatenate([enter / 2, forget / 2, out / 2, new])
