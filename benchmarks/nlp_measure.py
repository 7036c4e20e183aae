"""Counting right answers: spans by label, strictly and by overlap; protected information; calibration of scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tools.nlp_corpora import Query

from opentrail.services.comprehendmedical.engine.library import Calibration
from opentrail.services.comprehendmedical.engine.model import Span

Key = tuple[int, int, str]
Counts = dict[str, list[int]]
"""For each label: spans that are right, told, wanted, told that meet a wanted one, wanted that meet a told one."""
Point = tuple[str, float, bool]
"""A told span: its label, its raw score, whether it meets a wanted one."""


def f1(precision: float, recall: float) -> float:
    """Their harmonic mean."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def meets(one: Key, others: Iterable[Key]) -> bool:
    """Whether a span overlaps one of the same label."""
    return any(one[0] < last and first < one[1] and kind == one[2] for first, last, kind in others)


def keys(spans: Iterable[Span]) -> set[Key]:
    """Spans without their scores."""
    return {(span.first, span.last, span.label) for span in spans}


def count(counts: Counts, gold: set[Key], found: set[Key]) -> None:
    """Count one sentence."""
    for label in {key[2] for key in gold | found}:
        wanted, told = {key for key in gold if key[2] == label}, {key for key in found if key[2] == label}
        row = counts.setdefault(label, [0] * 5)
        met = (sum(meets(one, wanted) for one in told), sum(meets(one, told) for one in wanted))
        for at, more in enumerate((len(wanted & told), len(told), len(wanted), *met)):
            row[at] += more


def scores(folds: Iterable[Counts]) -> dict[str, float]:
    """Strict and overlap F1 over all folds, with precision and recall, and both F1 for each label."""
    sums: Counts = {}
    for counts in folds:
        for label, row in counts.items():
            sums[label] = [a + b for a, b in zip(sums.get(label, [0] * 5), row, strict=True)]
    report = _figures([sum(row[at] for row in sums.values()) for at in range(5)])
    for label, row in sorted(sums.items()):
        figures = _figures(row)
        report |= {f"strict {label}": figures["strict"], f"overlap {label}": figures["overlap"]}
    return report


def _figures(row: Sequence[int]) -> dict[str, float]:
    told, wanted = row[1] or 1, row[2] or 1
    strict, loose = (row[0] / told, row[0] / wanted), (row[3] / told, row[4] / wanted)
    names = ("strict", "strict_precision", "strict_recall", "overlap", "overlap_precision", "overlap_recall")
    return {name: round(value, 4) for name, value in zip(names, (f1(*strict), *strict, f1(*loose), *loose), strict=True)}


def calibration(points: Iterable[Point], most: int = 12) -> dict[str, list[list[float]]]:
    """For each label, (raw score, share of right spans) points: pool adjacent violators over bins of equal size."""
    listed = list(points)
    curves = {}
    for kind in sorted({kind for kind, _, _ in listed}):
        mine = sorted((score, right) for label, score, right in listed if label == kind)
        size = max(20, len(mine) // most)
        pools: list[list[float]] = []
        for part in (mine[at : at + size] for at in range(0, len(mine), size)):
            pools.append([sum(right for _, right in part), len(part), sum(score for score, _ in part)])
            while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
                last = pools.pop()
                pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
        curves[kind] = [[round(total / number, 4), round(right / number, 4)] for right, number, total in pools]
    return curves


def sure(points: Mapping[int, Sequence[Point]], least: float = 0.9) -> dict[str, float]:
    """Precision of what is told with a calibrated score of at least `least`, and how much that is, over all and for each label that ever
    scores so high; each fold is judged by a curve that was fitted to the other folds."""
    rows: dict[str, list[int]] = {}
    for fold, mine in points.items():
        curves = calibration([point for other, theirs in points.items() if other != fold for point in theirs])
        curve = Calibration({kind: tuple((a, b) for a, b in listed) for kind, listed in curves.items()})
        for kind, score, hit in mine:
            told = curve(kind, score) >= least
            for name in ("", f" {kind}"):
                row = rows.setdefault(name, [0, 0, 0])
                row[:] = [row[0] + (told and hit), row[1] + told, row[2] + 1]
    figures = {f"precision at score .9{name}": right / told for name, (right, told, _) in rows.items() if told}
    figures |= {f"share at score .9{name}": told / total for name, (_, told, total) in rows.items()}
    return {name: round(value, 4) for name, value in figures.items()}


PROTECTED = ("wanted", "hit", "told", "right", "whole", "texts", "sure", "sure right")


def protected_counts(queries: Sequence[Query], told: Sequence[Sequence[tuple[int, int, str, float]]]) -> Counts:
    """Protected information by overlap whatever the type; AGE and PROFESSION, which are no gold types, left out; "sure" is what is told
    with a score of at least .9."""
    row = dict.fromkeys(PROTECTED, 0)
    for query, answers in zip(queries, told, strict=True):
        kept = [(a, b, score) for a, b, kind, score in answers if kind not in ("AGE", "PROFESSION")]
        hits = [any(a < end and begin < b for a, b, _ in kept) for begin, end, _ in query.gold]
        rights = [any(a < end and begin < b for begin, end, _ in query.gold) for a, b, _ in kept]
        inside = {at for begin, end, _ in query.gold for at in range(begin, end) if query.text[at].isalnum()}
        whole = inside <= {at for a, b, _, _ in answers for at in range(a, b)}
        firm = [right for right, (_, _, score) in zip(rights, kept, strict=True) if score >= 0.9]
        for name, more in zip(PROTECTED, (len(hits), sum(hits), len(kept), sum(rights), whole, 1, len(firm), sum(firm)), strict=True):
            row[name] += more
    return {"PHI": [row[name] for name in PROTECTED]}


def protected_scores(folds: Iterable[Counts]) -> dict[str, float]:
    """Recall, precision, texts wholly masked, precision at a score of .9."""
    wanted, hit, told, right, whole, texts, firm, firm_right = (
        sum(column) for column in zip(*(fold["PHI"] for fold in folds), strict=True)
    )
    figures = {"recall": hit / wanted, "precision": right / told, "fully masked": whole / texts}
    figures["precision at score .9"] = firm_right / (firm or 1)
    return {name: round(value, 4) for name, value in figures.items()}
