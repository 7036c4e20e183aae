"""Accuracy of Comprehend Medical's engine on the development data, in five folds (benchmarks/nlp_folds.tsv).

    python -m benchmarks.nlp_accuracy [bc5cdr ncbi clinical phi icd10cm relations negation] [--folds=0,1] [--save]

Each part trains on four folds and is measured on the fifth. `strict` wants offsets and label right, `overlap` any common word and the
same label. AWS's stored DetectPHI answers are counted on the same texts in the same way. `--save` writes benchmarks/nlp_scores.json
fold by fold (counts, from which the scores follow, and a digest of the data, features and options that were measured) and, for
`clinical`, the calibration of the engine's scores. The data folder is OPENTRAIL_SHARED. One process; a part takes one to ten minutes.
"""

from __future__ import annotations

import ast
import hashlib
import json
import random
import sys
import tempfile
import time
import tokenize
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from tools import nlp_attach, nlp_corpora
from tools.nlp_corpora import FOLDS, mended
from tools.nlp_folds import shared_folder
from tools.train_nlp import DATA, ENDED, OPTIONS, ROOT, SECOND, dictionaries, featured, sentences, stacked, train_head, train_network

from benchmarks import nlp_measure as measure
from benchmarks.nlp_measure import Counts, Point
from opentrail.services.comprehendmedical.engine import icd10cm as conditions
from opentrail.services.comprehendmedical.engine import model, phi, stored, text
from opentrail.services.comprehendmedical.engine.decode import batch_of
from opentrail.services.comprehendmedical.engine.model import Span, spans_of
from opentrail.services.comprehendmedical.engine.network import Network, load_vectors
from opentrail.services.comprehendmedical.engine.tagger import ADVISED, STACKED, stack_tags

SCORES = Path(__file__).parent / "nlp_scores.json"
ENGINE = "src/opentrail/services/comprehendmedical/engine"
MADE_OF = {
    "bc5cdr": ("features.py", "data/phrases.npz", "data/clusters.npz"),
    "ncbi": ("features.py", "data/phrases.npz", "data/clusters.npz"),
    "clinical": ("features.py", "network.py", "text.py", "data/phrases.npz", "data/clusters.npz", "data/vectors.npz"),
    "phi": ("features.py", "phi.py", "text.py", "data/phrases.npz", "data/clusters.npz"),
    "icd10cm": ("icd10cm.py", "terms.py"),
    "relations": ("attach.py",),
    "negation": ("context.py", "data/context.tsv"),
}
"""What a part's scores depend on, beside its folds and options: scores of other files than these are stale."""
TRAINED_BY = {"clinical": ("tools/nlp_network.py",)}
"""What trains beside the options, for parts where that is code."""
TARGETS = {
    "bc5cdr": {"strict": 0.86},
    "ncbi": {"strict": 0.81},
    "clinical": {"overlap": 0.80, "precision at score .9": 0.9},
    "phi": {"recall": 0.9915, "precision": 0.9697, "precision at score .9": 0.9},
    "icd10cm": {"exact@5": 0.70},
    "negation": {"accuracy": 0.93},
}
"""What is wanted on the development data."""
FLOORS = TARGETS
"""What a test holds the stored scores to: all targets are reached."""
Result = dict[str, Any]


def digest(part: str) -> str:
    """A digest of what a part's scores were measured on and with; comments do not count."""
    made = hashlib.sha256((ROOT / "benchmarks/nlp_folds.tsv").read_bytes() + repr(OPTIONS.get(part)).encode() + b"ends" * (part in ENDED))
    for name in MADE_OF[part]:
        content = (ROOT / ENGINE / name).read_bytes()
        made.update(_bare(content).encode() if name.endswith(".py") else content)
    for name in TRAINED_BY.get(part, ()):
        made.update(_bare((ROOT / name).read_bytes()).encode())
    return made.hexdigest()[:16]


def _bare(source: bytes) -> str:
    """What code does, without its texts: its lines less comments, blank lines and strings that stand alone. The same in every release of
    Python, unlike a dump of the syntax tree."""
    lines = source.decode().splitlines()
    for token in tokenize.tokenize(BytesIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            for row in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                lines[row - 1] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def chosen_folds() -> list[int]:
    """The folds to measure: all, or those of `--folds=0,1`."""
    for one in sys.argv:
        if one.startswith("--folds="):
            return [int(number) for number in one.removeprefix("--folds=").split(",")]
    return list(range(FOLDS))


class Bench:
    """A head's data and features, made once for all folds."""

    def __init__(self, head: str) -> None:
        self.head = head
        self.dictionary, self.clusters = dictionaries()
        self.found = sentences(head, shared_folder())
        self.lower = model.load(DATA / "model.npz", self.clusters) if head in SECOND else None
        self.features = featured(head, self.found, self.lower, self.dictionary, self.clusters)
        self.bold: dict[str, float] = json.loads((DATA / "calibration.json").read_text())["eager"]

    def network(self, fold: int) -> Network | None:
        """The network beside the head that has not seen the fold either; none beside other heads than the clinical one."""
        if self.head != ADVISED or self.lower is None:
            return None
        kept = [one for one in self.found if one.fold != fold]
        below = stacked(self.lower, kept, self.dictionary)
        tags = [[*self.dictionary.tags(one.words), *rows] for one, rows in zip(kept, below, strict=True)]
        return Network(train_network(kept, tags, self.clusters), load_vectors(DATA / "vectors.npz", self.clusters))

    def trained(self, fold: int) -> model.Model:
        """A model of the head that has not seen the fold."""
        kept = [number for number, one in enumerate(self.found) if one.fold != fold]
        weights = train_head(self.head, [self.found[number] for number in kept], [self.features[number] for number in kept])
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "fold.npz", {self.head: weights})
            return model.load(Path(folder) / "fold.npz", self.clusters)

    def spans(self, own: model.Model, words: tuple[str, ...], network: Network | None = None) -> list[Span]:
        """What a model tells of a sentence."""
        batch, tags = batch_of([(0, len(words))]), self.dictionary.tags(words)
        told = own.scores(batch, words, tags)
        rows = []
        if self.lower is not None:
            below = self.lower.scores(batch, words, tags)
            rows = [stack_tags(*self.lower.label(name, below, batch)) for name in STACKED]
            for channel, row in enumerate(rows):
                own.add_tags(told, batch, f"k{channel}", row)
        beside = (network.scores(batch, words, [*tags, *rows]), network.transitions) if network else None
        labels, sure = own.label(self.head, told, batch, self.bold.get(self.head, 0.0), beside)
        return spans_of(labels, sure.tolist(), [(0, len(words))])


def entities(head: str) -> Callable[[int], Result]:
    """Counts of a head by fold; for the clinical one also the points of its calibration."""
    bench = Bench(head)

    def one(fold: int) -> Result:
        own, network = bench.trained(fold), bench.network(fold)
        counts: Counts = {}
        points: list[Point] = []
        for sentence in bench.found:
            if sentence.fold == fold:
                marks, told = mended(sentence.labels), bench.spans(own, sentence.words, network)
                truth = measure.keys(spans_of(marks, [1.0] * len(marks), [(0, len(marks))]))
                measure.count(counts, truth, measure.keys(told))
                points += [(span.label, span.score, measure.meets((span.first, span.last, span.label), truth)) for span in told]
        return {"counts": counts} | ({"points": points} if head == "clinical" else {})

    return one


def protected() -> Callable[[int], Result]:
    """Counts of DetectPHI on the queries, and of AWS's stored answers on the same."""
    bench = Bench("phi")

    def one(fold: int) -> Result:
        own = bench.trained(fold)
        queries = [query for query in nlp_corpora.queries(shared_folder()) if query.fold == fold]
        ours = []
        for query in queries:
            document = text.read(query.text, {})
            spans = bench.spans(own, tuple(token.text for token in document.tokens))
            ours.append([(one.begin, one.end, one.type, one.score) for one in phi.protected(document, spans)])
        theirs = [[(*one, 0.0) for one in query.theirs] for query in queries]
        return {"counts": measure.protected_counts(queries, ours), "theirs": measure.protected_counts(queries, theirs)}

    return one


def icd10cm() -> Callable[[int], Result]:
    """Inclusion terms left out of the index: asked, exact@1, exact@5, category@5. Bridge and network are learned without them.

    Synonyms of the codes asked for are left out too: some were found by way of the inclusion term.
    """
    from tools.nlp_codes import bridge
    from tools.nlp_rank import learn

    rows = conditions.rows_of(stored.load(DATA / "icd10cm.npz", conditions.FORM))
    included = [row for row in rows if row[1] == "i"]
    random.Random(1).shuffle(included)

    def one(fold: int) -> Result:
        asked = included[fold::FOLDS]
        words, left = {(code, name.lower()) for code, _, name in asked}, {code for code, _, _ in asked}
        kept = [row for row in rows if row[1] == "t" or not ((row[0], row[2].lower()) in words or (row[1] == "s" and row[0] in left))]
        known = bridge(kept)
        codes = conditions.Icd10Cm(conditions.compiled(kept), known, conditions.Ranker(*learn(kept, bridge), known))
        row = [len(asked), 0, 0, 0]
        for code, _, name in asked:
            told = [hit[0] for hit in codes.search(name)]
            right = (told[:1] == [code], code in told, code[:3] in [one[:3] for one in told])
            row[1:] = [total + more for total, more in zip(row[1:], right, strict=True)]
        return {"counts": {"ICD": row}}

    return one


def relations() -> Callable[[int], Result]:
    """Attributes of case reports: attached rightly, attached at all, and those that belong somewhere."""
    documents = nlp_corpora.maccrobat_documents(shared_folder())

    def one(fold: int) -> Result:
        weights = nlp_attach.learn(list(nlp_attach.examples(documents, frozenset(range(FOLDS)) - {fold})))
        return {"counts": {"ATTRIBUTE": nlp_attach.rightly_attached(list(nlp_attach.examples(documents, frozenset({fold}))), weights)}}

    return one


def negation() -> Callable[[int], Result]:
    """The NEGATION decision for what the trial criteria mention: right, wrong, missed, told rightly to be affirmed."""
    from benchmarks.nlp_negation import counts

    return lambda fold: {"counts": {"NEGATION": counts(shared_folder(), fold)}}


PARTS: dict[str, Callable[[], Callable[[int], Result]]] = {
    "relations": relations,
    "negation": negation,
    "ncbi": lambda: entities("ncbi"),
    "icd10cm": icd10cm,
    "clinical": lambda: entities("clinical"),
    "phi": protected,
    "bc5cdr": lambda: entities("bc5cdr"),
}


def scores(part: str, folds: Mapping[str, Result]) -> dict[str, float]:
    """The scores that follow from the counts of folds."""
    counts = [fold["counts"] for fold in folds.values()]
    if part in ("bc5cdr", "ncbi", "clinical"):
        return measure.scores(counts)
    if part == "phi":
        theirs = measure.protected_scores(fold["theirs"] for fold in folds.values())
        return measure.protected_scores(counts) | {
            f"AWS {name}": value for name, value in theirs.items() if name != "precision at score .9"
        }
    sums = [sum(column) for column in zip(*(next(iter(one.values())) for one in counts), strict=True)]
    if part == "icd10cm":
        return {name: round(total / sums[0], 4) for name, total in zip(("exact@1", "exact@5", "category@5"), sums[1:], strict=True)}
    if part == "relations":
        precision, recall = sums[0] / sums[1], sums[0] / sums[2]
        return {"f1": round(measure.f1(precision, recall), 4), "precision": round(precision, 4), "recall": round(recall, 4)}
    right, wrong, missed, affirmed = sums
    precision, recall = right / (right + wrong), right / (right + missed)
    accuracy = (right + affirmed) / sum(sums)
    values = {"accuracy": accuracy, "f1": measure.f1(precision, recall), "precision": precision, "recall": recall}
    return {name: round(value, 4) for name, value in values.items()}


def stored_folds(part: str) -> dict[str, Result]:
    """The folds of a part that were measured and saved with what is there now."""
    known = json.loads(SCORES.read_text()) if SCORES.exists() else {}
    report = known.get(part, {})
    return dict(report["folds"]) if report.get("made_of") == digest(part) else {}


def save(part: str, report: Result) -> None:
    """Put a part's report among the stored ones."""
    known = json.loads(SCORES.read_text()) if SCORES.exists() else {}
    SCORES.write_text(json.dumps(known | {part: report}, indent=1, sort_keys=True) + "\n")


def measured(part: str) -> Result:
    """A part's chosen folds, one after the other; each is saved (`--save`) beside those that were saved before it."""
    saving = "--save" in sys.argv
    began, one = time.process_time(), PARTS[part]()
    folds, points, report = stored_folds(part) if saving else {}, {}, Result()
    for fold in chosen_folds():
        result = one(fold)
        points[fold] = result.pop("points", [])
        folds[str(fold)] = result
        report = {"made_of": digest(part), "folds": folds, "scores": scores(part, folds)}
        print(f"{part}: fold {fold} done, {time.process_time() - began:.0f} s of CPU so far", flush=True)
        if saving and part != "clinical":
            save(part, report)
    if part == "clinical":
        report["scores"] |= measure.sure(points)
        if saving and len(points) == FOLDS:
            save(part, report)
            kept = json.loads((DATA / "calibration.json").read_text())
            curves = measure.calibration([point for listed in points.values() for point in listed])
            (DATA / "calibration.json").write_text(json.dumps(kept | {"points": curves}, indent=1) + "\n")
    return report


def main() -> None:
    """Measure the named parts (all when none is named) and print each figure beside its target."""
    for name in [one for one in sys.argv[1:] if not one.startswith("-")] or list(PARTS):
        report = measured(name)
        print(name, json.dumps(report["scores"]), flush=True)
        for figure, target in TARGETS.get(name, {}).items():
            print(f"{name} {figure} / target = {report['scores'][figure] / target:.3f}", flush=True)


if __name__ == "__main__":
    main()
