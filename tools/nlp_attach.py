"""Learn from annotated case reports which attribute belongs to what, and which words name signs rather than diagnoses.

python -m tools.nlp_attach        writes data/attach.json and data/signs.tsv
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from opentrail.services.comprehendmedical.engine import attach
from opentrail.services.comprehendmedical.engine.attach import Place
from opentrail.services.comprehendmedical.engine.text import split_sentences, tokenize
from tools.nlp_corpora import FOLDS, Brat, maccrobat_documents
from tools.nlp_folds import fold_of, shared_folder
from tools.train_nlp import DATA

HEADS = {
    "Sign_symptom": "DX",
    "Disease_disorder": "DX",
    "Medication": "MED",
    "Diagnostic_procedure": "TEST",
    "Therapeutic_procedure": "PROC",
    "Biological_structure": "ANAT",
}
PARTS = {
    "Dosage": ("DOSAGE", "STRENGTH", "RATE", "FORM"),
    "Frequency": ("FREQUENCY",),
    "Duration": ("DURATION", "TIME"),
    "Administration": ("ROUTE_OR_MODE",),
    "Severity": ("ACUITY",),
    "Detailed_description": ("QUALITY",),
    "Lab_value": ("TEST_VALUE", "TEST_UNIT"),
    "Biological_structure": ("SYSTEM_ORGAN_SITE",),
    "Date": ("TIME",),
    "Time": ("TIME",),
    "Distance": ("DIRECTION",),
}
Example = tuple[list[str], bool, int]


def examples(documents: Sequence[Brat], folds: frozenset[int]) -> Iterator[Example]:
    """For each attribute and each head it might belong to in its sentence: features, whether it does, which attribute."""
    group = 0
    for document in documents:
        if fold_of("maccrobat")[document.name] not in folds:
            continue
        tokens = tokenize(document.text)
        words = [token.text for token in tokens]
        linked = {pair for _, first, second in document.relations for pair in ((first, second), (second, first))}
        for first, last in split_sentences(document.text, tokens):
            begin, end = tokens[first].begin, tokens[last - 1].end
            inside = [span for span in document.spans if begin <= span.begin and span.end <= end]
            placed = [(span, sum(t.end <= span.begin for t in tokens), sum(t.begin < span.end for t in tokens)) for span in inside]
            heads = [(span.name, Place(HEADS[span.type], a, b)) for span, a, b in placed if span.type in HEADS]
            for span, a, b in placed:
                for kind in PARTS.get(span.type, ()):
                    rivals = [(name, place) for name, place in heads if place.kind in attach.HEADS[kind] and name != span.name]
                    if not any((span.name, name) in linked for name, _ in rivals) and kind not in ("SYSTEM_ORGAN_SITE", "TIME"):
                        continue
                    group += 1
                    for name, place in rivals:
                        seen = attach.features(Place(kind, a, b), place, words, [place for _, place in heads])
                        yield seen, (span.name, name) in linked, group


def learn(found: Sequence[Example], rounds: int = 300, rate: float = 2.0, decay: float = 2e-5) -> dict[str, float]:
    """Logistic regression by full-batch gradient descent with momentum."""
    names = {name: number for number, name in enumerate(sorted({name for seen, _, _ in found for name in seen}))}
    rows = np.concatenate([np.full(len(seen), number) for number, (seen, _, _) in enumerate(found)])
    columns = np.array([names[name] for seen, _, _ in found for name in seen])
    truth = np.array([label for _, label, _ in found], np.float64)
    weights, speed = np.zeros(len(names) + 1), np.zeros(len(names) + 1)
    for _ in range(rounds):
        total = np.bincount(rows, weights[columns], len(found)) + weights[-1]
        error = truth - 1 / (1 + np.exp(-total))
        slope = np.append(np.bincount(columns, error[rows], len(names)), error.sum()) / len(found)
        speed = 0.9 * speed + rate * (slope - decay * weights)
        weights += speed
    return {"bias": round(float(weights[-1]), 4)} | {name: round(float(weights[at]), 4) for name, at in names.items()}


def rightly_attached(found: Sequence[Example], weights: dict[str, float]) -> tuple[int, int, int]:
    """Attributes attached rightly, attached at all, and those that belong somewhere."""
    groups: dict[int, list[tuple[float, bool]]] = {}
    for seen, label, group in found:
        groups.setdefault(group, []).append((attach.probability(seen, weights), label))
    best = [max(pairs) for pairs in groups.values()]
    told = [label for chance, label in best if chance >= attach.LIKELY]
    return sum(told), len(told), sum(any(label for _, label in pairs) for pairs in groups.values())


def signs(documents: Sequence[Brat]) -> dict[str, float]:
    """For each word of a condition's name, and "~" with each ending: the log odds of a sign against a disease."""
    counts: dict[str, Counter[str]] = {"Sign_symptom": Counter(), "Disease_disorder": Counter()}
    totals: Counter[str] = Counter()
    for document in documents:
        for span in document.spans:
            if span.type in counts:
                totals[span.type] += 1
                for word in {token.text.lower() for token in tokenize(document.text[span.begin : span.end])}:
                    counts[span.type][word] += 1
                    counts[span.type]["~" + word[-4:]] += 1
    sign, disease = counts["Sign_symptom"], counts["Disease_disorder"]
    prior = math.log(totals["Sign_symptom"] / totals["Disease_disorder"])
    odds = {"": 0.3}
    for word in sorted(set(sign) | set(disease)):
        if sign[word] + disease[word] >= 2:
            odds[word] = round(math.log((sign[word] + 0.5) / (disease[word] + 0.5)) - prior, 3)
    return odds


def main() -> None:
    """Write the weights learned from all case reports."""
    documents = maccrobat_documents(shared_folder())
    weights = learn(list(examples(documents, frozenset(range(FOLDS)))))
    Path(DATA / "attach.json").write_text(json.dumps(weights, indent=0, sort_keys=True) + "\n")
    lines = [f"{word}\t{odds}\n" for word, odds in signs(documents).items()]
    Path(DATA / "signs.tsv").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
