"""Accuracy of Comprehend Medical's engine on the development data: five folds, grouped, fixed by tools/nlp_corpora.

    python -m benchmarks.nlp_accuracy [bc5cdr ncbi clinical phi negation relations icd10cm] [--folds=0,1] [--save]

Each part trains on four folds and is measured on the fifth. `strict` wants offsets and type right, `overlap` any
common word and the same type. AWS's stored DetectPHI answers are measured on the same texts in the same way. `--save` writes
benchmarks/nlp_scores.json and, for `clinical`, the calibration of the engine's scores. The data folder is OPENTRAIL_SHARED.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tools import nlp_attach, nlp_corpora
from tools.nlp_corpora import FOLDS, Brat, Query, Sentence, mended
from tools.train_nlp import DATA, SECOND, dictionaries, sentences, shared_folder, train_head

from opentrail.services.comprehendmedical.engine import context, library, model, phi, text
from opentrail.services.comprehendmedical.engine.decode import batch_of
from opentrail.services.comprehendmedical.engine.icd10cm import Icd10Cm
from opentrail.services.comprehendmedical.engine.model import Span, spans_of
from opentrail.services.comprehendmedical.engine.tagger import stack_tags

SCORES = Path(__file__).parent / "nlp_scores.json"
FLOORS = {
    "bc5cdr": ("strict", 0.86),
    "ncbi": ("strict", 0.81),
    "clinical": ("overlap", 0.80),
    "phi": ("recall", 0.9915),
    "negation": ("accuracy", 0.93),
    "icd10cm": ("exact@5", 0.70),
}
EAGER = {"bc5cdr": 0.3, "ncbi": 0.1, "clinical": 0.6, "phi": 0.5}
Key = tuple[int, int, str]


def f1(precision: float, recall: float) -> float:
    """Their harmonic mean."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def meets(one: Key, others: Iterable[Key]) -> bool:
    """Whether a span overlaps one of the same type."""
    return any(one[0] < last and first < one[1] and kind == one[2] for first, last, kind in others)


def keys(spans: Iterable[Span]) -> set[Key]:
    """Spans without their scores."""
    return {(span.first, span.last, span.label) for span in spans}


class Counts:
    """Right, told and wanted spans, strictly and by overlap."""

    def __init__(self) -> None:
        self.right = self.told = self.wanted = self.told_meets = self.wanted_meets = 0

    def add(self, gold: set[Key], found: set[Key]) -> None:
        """Count one sentence."""
        self.right += len(gold & found)
        self.told += len(found)
        self.wanted += len(gold)
        self.told_meets += sum(meets(one, gold) for one in found)
        self.wanted_meets += sum(meets(one, found) for one in gold)

    def scores(self) -> dict[str, float]:
        """Strict and overlap F1, with precision and recall."""
        told, wanted = self.told or 1, self.wanted or 1
        strict, loose = (self.right / told, self.right / wanted), (self.told_meets / told, self.wanted_meets / wanted)
        names = ("strict", "strict_precision", "strict_recall", "overlap", "overlap_precision", "overlap_recall")
        return {name: round(value, 4) for name, value in zip(names, (f1(*strict), *strict, f1(*loose), *loose), strict=True)}


def one_fold(head: str, fold: int) -> tuple[list[tuple[int, list[Span]]], float]:
    """Train without a fold and label it: (sentence number, spans) and the seconds it took."""
    began = time.monotonic()
    dictionary, clusters = dictionaries()
    found = sentences(head, shared_folder())
    lower = model.load(DATA / "model.npz", clusters) if head in SECOND else None
    weights = train_head(head, [one for one in found if one.fold != fold], lower, dictionary, clusters)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "fold.npz", {head: weights})
        own = model.load(Path(folder) / "fold.npz", clusters)
    wanted = [(number, one) for number, one in enumerate(found) if one.fold == fold]
    if head == "phi":
        wanted = [(number, one) for number, one in enumerate(queries_as_sentences()) if one.fold == fold]
    labelled = []
    for number, one in wanted:
        batch = batch_of([(0, len(one.words))])
        tags = dictionary.tags(one.words)
        scores = own.scores(batch, one.words, tags)
        if lower is not None:
            below = lower.scores(batch, one.words, tags)
            for channel, name in enumerate(("bc5cdr", "chia")):
                own.add_tags(scores, batch, f"k{channel}", stack_tags(*lower.label(name, below, batch)))
        labels, sure = own.label(head, scores, batch, EAGER[head])
        labelled.append((number, spans_of(labels, sure.tolist(), [(0, len(one.words))])))
    return labelled, time.monotonic() - began


def queries_as_sentences() -> list[Sentence]:
    """The annotated queries, one "sentence" each, whatever the sentence splitter says."""
    return [
        Sentence(tuple(token.text for token in text.tokenize(query.text)), (), query.fold) for query in nlp_corpora.queries(shared_folder())
    ]


def chosen_folds() -> list[int]:
    """The folds to measure: all, or those of `--folds=0,1` on a slow machine (the report then says so)."""
    for one in sys.argv:
        if one.startswith("--folds="):
            return [int(number) for number in one.removeprefix("--folds=").split(",")]
    return list(range(FOLDS))


def across_folds(head: str) -> tuple[dict[int, list[Span]], float]:
    """All folds, two at a time: the spans of every sentence, and the seconds of the slowest fold."""
    with ProcessPoolExecutor(2) as workers:
        done = list(workers.map(one_fold, [head] * len(chosen_folds()), chosen_folds()))
    return {number: spans for labelled, _ in done for number, spans in labelled}, max(seconds for _, seconds in done)


def entities(head: str) -> dict[str, float]:
    """F1 of a head, and per type for the clinical one."""
    found, seconds = across_folds(head)
    gold = sentences(head, shared_folder())
    counts = Counts()
    kinds: dict[str, Counts] = {}
    points: list[tuple[str, float, bool]] = []
    for number, spans in found.items():
        marks = mended(gold[number].labels)
        truth = keys(spans_of(marks, [1.0] * len(marks), [(0, len(marks))]))
        told = keys(spans)
        counts.add(truth, told)
        for kind in {key[2] for key in truth | told}:
            kinds.setdefault(kind, Counts()).add({key for key in truth if key[2] == kind}, {key for key in told if key[2] == kind})
        points += [(span.label, span.score, meets((span.first, span.last, span.label), truth)) for span in spans]
    report = counts.scores() | {"fold_seconds": round(seconds, 1)}
    if head == "clinical":
        for kind, part in sorted(kinds.items()):
            report[f"overlap {kind}"] = part.scores()["overlap"]
        curves = calibration(points)
        report |= calibrated_precision(points, curves)
        if "--save" in sys.argv:
            stored = json.loads((DATA / "calibration.json").read_text())
            (DATA / "calibration.json").write_text(json.dumps(stored | {"points": curves}, indent=1) + "\n")
    return report


def calibration(points: Sequence[tuple[str, float, bool]], most: int = 12) -> dict[str, list[list[float]]]:
    """For each kind, (raw score, share of right spans) points: pool adjacent violators over bins of equal size."""
    curves = {}
    for kind in sorted({kind for kind, _, _ in points}):
        mine = sorted((score, right) for label, score, right in points if label == kind)
        size = max(20, len(mine) // most)
        bins = [mine[at : at + size] for at in range(0, len(mine), size)]
        pools: list[list[float]] = []
        for part in bins:
            pools.append([sum(right for _, right in part), len(part), sum(score for score, _ in part)])
            while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
                last = pools.pop()
                pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
        curves[kind] = [[round(total / count, 4), round(right / count, 4)] for right, count, total in pools]
    return curves


def calibrated_precision(points: Sequence[tuple[str, float, bool]], curves: dict[str, list[list[float]]]) -> dict[str, float]:
    """Precision (overlap) of what is told with a score of at least .9, and how much that is, on the folds the curve is fitted to."""
    curve = library.Calibration({kind: tuple((a, b) for a, b in listed) for kind, listed in curves.items()})
    sure = [right for kind, score, right in points if curve(kind, score) >= 0.9]
    return {"precision at score .9": round(sum(sure) / (len(sure) or 1), 4), "share at score .9": round(len(sure) / len(points), 4)}


def protected() -> dict[str, float]:
    """DetectPHI on the queries, and AWS's stored answers on the same."""
    found, seconds = across_folds("phi")
    queries = nlp_corpora.queries(shared_folder())
    ours = []
    queries = [query for query in queries if query.fold in chosen_folds()]
    for number, query in zip(sorted(found), queries, strict=True):
        document = text.read(query.text, {})
        ours.append([(one.begin, one.end, one.type) for one in phi.protected(document, found[number])])
    mine, theirs = phi_scores(queries, ours), phi_scores(queries, [list(query.theirs) for query in queries])
    return mine | {f"AWS {name}": value for name, value in theirs.items()} | {"fold_seconds": round(seconds, 1)}


def phi_scores(queries: Sequence[Query], told: Sequence[Sequence[Key]]) -> dict[str, float]:
    """Entity recall and precision by overlap whatever the type; AGE and PROFESSION, which are no gold types, left out."""
    wanted = hit = said = right = whole = 0
    for query, answers in zip(queries, told, strict=True):
        kept = [one for one in answers if one[2] not in ("AGE", "PROFESSION")]
        hits = [any(a < end and begin < b for a, b, _ in answers if _ not in ("AGE", "PROFESSION")) for begin, end, _ in query.gold]
        wanted, hit = wanted + len(hits), hit + sum(hits)
        said, right = said + len(kept), right + sum(any(a < end and begin < b for begin, end, _ in query.gold) for a, b, _ in kept)
        inside = {at for begin, end, _ in query.gold for at in range(begin, end) if query.text[at].isalnum()}
        whole += inside <= {at for a, b, _ in answers for at in range(a, b)}
    return {"recall": round(hit / wanted, 4), "precision": round(right / said, 4), "fully masked": round(whole / len(queries), 4)}


def negation() -> dict[str, float]:
    """The NEGATION decision for the annotated conditions, drugs, procedures and measurements of the trial criteria."""
    cues = context.load(DATA / "context.tsv")
    right = total = tp = fp = fn = 0
    for document in nlp_corpora.chia_documents(shared_folder()):
        cut = text.read(document.text, {})
        spans = sorted((s for s in document.spans if s.type in ("Condition", "Drug", "Procedure", "Measurement")), key=lambda s: s.begin)
        denied = {first for kind, first, _ in document.relations if kind == "Has_negation"}
        places = [(sum(t.end <= s.begin for t in cut.tokens), sum(t.begin < s.end for t in cut.tokens)) for s in spans]
        for span, told in zip(spans, context.traits(cut, cues, places), strict=True):
            said, truth = "NEGATION" in told, span.name in denied
            total, right = total + 1, right + (said == truth)
            tp, fp, fn = tp + (said and truth), fp + (said and not truth), fn + (truth and not said)
    precision, recall = tp / (tp + fp or 1), tp / (tp + fn or 1)
    values = (("accuracy", right / total), ("f1", f1(precision, recall)), ("precision", precision), ("recall", recall))
    return {name: round(value, 4) for name, value in values}


def relations() -> dict[str, float]:
    """Attributes of case reports attached to the right head, of all that are attached and of all that belong somewhere."""
    documents: list[Brat] = nlp_corpora.maccrobat_documents(shared_folder())
    totals = [0, 0, 0]
    for fold in range(FOLDS):
        others = frozenset(range(FOLDS)) - {fold}
        weights = nlp_attach.learn(list(nlp_attach.examples(documents, others)))
        counts = nlp_attach.rightly_attached(list(nlp_attach.examples(documents, frozenset({fold}))), weights)
        totals = [a + b for a, b in zip(totals, counts, strict=True)]
    precision, recall = totals[0] / totals[1], totals[0] / totals[2]
    return {"f1": round(f1(precision, recall), 4), "precision": round(precision, 4), "recall": round(recall, 4)}


def icd_rows() -> list[tuple[str, str, str]]:
    """The package's own ICD-10-CM vocabulary."""
    import gzip

    with gzip.open(DATA / "icd10cm.tsv.gz", "rt", encoding="utf-8") as lines:
        return [(code, kind, name) for code, kind, name in (line.rstrip("\n").split("\t") for line in lines)]


def icd_fold(fold: int, most: int = 400) -> tuple[int, int, int, int]:
    """Inclusion terms left out of the index: (exact@1, exact@5, category@5, asked). Weights are learned without them."""
    from tools.nlp_codes import learn

    rows = icd_rows()
    included = [row for row in rows if row[1] == "i"]
    random.Random(1).shuffle(included)
    asked = included[fold::FOLDS]
    left = set(asked)
    words = {(code, " ".join(name.lower().split())) for code, _, name in asked}
    kept = [row for row in rows if row not in left and (row[0], " ".join(row[2].lower().split())) not in words]
    codes = Icd10Cm(kept, learn([row for row in kept if row[1] != "s"], [row for row in kept if row[1] == "s"], most=1500))
    first = five = category = 0
    for code, _, name in asked[:most]:
        told = [hit[0] for hit in codes.search(name)]
        first, five = first + (told[:1] == [code]), five + (code in told)
        category += code[:3] in [one[:3] for one in told]
    return first, five, category, min(most, len(asked))


def icd10cm() -> dict[str, float]:
    """Held-out inclusion terms, all folds."""
    with ProcessPoolExecutor(2) as workers:
        done = list(workers.map(icd_fold, chosen_folds()))
    first, five, category, asked = (sum(part) for part in zip(*done, strict=True))
    return {"exact@1": round(first / asked, 4), "exact@5": round(five / asked, 4), "category@5": round(category / asked, 4), "asked": asked}


def main() -> None:
    """Measure the named parts (all when none is named) and print each figure beside its floor."""
    parts = {
        "negation": negation,
        "relations": relations,
        "icd10cm": icd10cm,
        "phi": protected,
        "ncbi": lambda: entities("ncbi"),
        "bc5cdr": lambda: entities("bc5cdr"),
        "clinical": lambda: entities("clinical"),
    }
    stored = json.loads(SCORES.read_text()) if SCORES.exists() else {}
    for name in [one for one in sys.argv[1:] if not one.startswith("-")] or list(parts):
        stored[name] = parts[name]() | {"folds": len(chosen_folds())}
        measure, floor = FLOORS.get(name, ("", 0.0))
        ratio = f"  {measure} / target = {stored[name][measure] / floor:.3f}" if measure else ""
        print(name, json.dumps(stored[name]), ratio, flush=True)
        if "--save" in sys.argv:
            SCORES.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
