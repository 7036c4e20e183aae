"""Memory and time of `opentrail vocab load snomed` on a made-up RF2 release of full size.

    python -m benchmarks.snomed_load [CONCEPTS]

The release (360,000 concepts when no number is given) holds about 4.5 descriptions to a concept, in the tables and the order of an
International Edition, with made-up names: nothing in it is of SNOMED CT. Beside the figures stands what reading the same zip line by line
costs, doing nothing else, in the same run.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

TAGS = ("disorder", "finding", "body structure", "procedure", "observable entity", "organism", "substance", "qualifier value", "product")
SHARES = (23, 10, 11, 17, 3, 10, 8, 3, 15)
FSN, SYNONYM, MODULE = "900000000000003001", "900000000000013009", "900000000000207008"
PREFERRED, ACCEPTABLE = "900000000000548007", "900000000000549004"
US_ENGLISH, GB_ENGLISH = "900000000000509007", "900000000000508004"
DESCRIPTIONS = ("id", "effectiveTime", "active", "moduleId", "conceptId", "languageCode", "typeId", "term", "caseSignificanceId")
TABLES = ("der2_cRefset_LanguageSnapshot-en_INT", "sct2_Concept_Snapshot_INT", "sct2_Description_Snapshot-en_INT")
LANGUAGE = ("id", "effectiveTime", "active", "moduleId", "refsetId", "referencedComponentId", "acceptabilityId")
CONCEPTS = ("id", "effectiveTime", "active", "moduleId", "definitionStatusId")
PARTS = (
    "ar",
    "bel",
    "cor",
    "dys",
    "emi",
    "fas",
    "gal",
    "hyp",
    "itis",
    "jun",
    "kar",
    "lum",
    "mor",
    "nef",
    "osis",
    "pat",
    "ren",
    "sep",
    "vas",
)
LOAD = (
    "import json,resource,sys;from pathlib import Path;from opentrail.services.comprehendmedical import vocabularies;"
    "told=vocabularies.load('snomed',Path(sys.argv[1]),'',Path(sys.argv[2]));"
)
READ = (
    "import io,json,resource,sys,zipfile;archive=zipfile.ZipFile(sys.argv[1]);"
    "[sum(1 for line in archive.open(name)) for name in archive.namelist()];"
)
TELL = "used=resource.getrusage(resource.RUSAGE_SELF);print(json.dumps([used.ru_utime+used.ru_stime,used.ru_maxrss/1024]))"


def words(chance: random.Random, count: int) -> list[str]:
    """Made-up words."""
    return ["".join(chance.choices(PARTS, k=chance.randint(2, 4))) for _ in range(count)]


def descriptions(chance: random.Random, concepts: int) -> Iterator[tuple[str, str, str, str, bool]]:
    """(description, concept, type, term, whether it is preferred): a full name and three or four synonyms of each concept."""
    known, number = words(chance, 60_000), 0
    for concept in range(concepts):
        code, tag = str(100_000_000 + 1009 * concept), chance.choices(TAGS, SHARES)[0]
        for place in range(chance.choice((4, 5))):
            term, number = " ".join(chance.choices(known, k=chance.randint(2, 6))), number + 1
            kind = SYNONYM if place else FSN
            yield str(2_000_000_000 + number), code, kind, term if place else f"{term} ({tag})", place < 2


def made(folder: Path, concepts: int) -> tuple[Path, int]:
    """The release as a zip, and how many descriptions it holds."""
    chance, rest, seen = random.Random(7), "20260101\t1\t" + MODULE, 0
    names = {
        name: folder / name
        for name in ("der2_cRefset_LanguageSnapshot-en_INT", "sct2_Concept_Snapshot_INT", "sct2_Description_Snapshot-en_INT")
    }
    language, listed, described = (path.open("w", encoding="utf-8") for path in names.values())
    with language, listed, described:
        for stream, header in ((language, LANGUAGE), (listed, CONCEPTS), (described, DESCRIPTIONS)):
            stream.write("\t".join(header) + "\n")
        before = ""
        for name, code, kind, term, liked in descriptions(chance, concepts):
            seen += 1
            described.write(f"{name}\t{rest}\t{code}\ten\t{kind}\t{term}\t900000000000448009\n")
            for refset in (US_ENGLISH, GB_ENGLISH):
                language.write(f"{name}-{refset}\t{rest}\t{refset}\t{name}\t{PREFERRED if liked else ACCEPTABLE}\n")
            if code != before:
                listed.write(f"{code}\t{rest}\t900000000000074008\n")
            before = code
    path = folder / "SnomedCT_MadeUp_20260101T120000Z.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, source in names.items():
            archive.write(source, f"Snapshot/{'Refset/Language' if name[0] == 'd' else 'Terminology'}/{name}_20260101.txt")
            source.unlink()
    return path, seen


def told(code: str, *arguments: str) -> tuple[float, float]:
    """CPU seconds and largest memory in MB of a fresh Python that runs `code`."""
    done = subprocess.run([sys.executable, "-c", code + TELL, *arguments], check=True, stdout=subprocess.PIPE)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def main() -> None:
    """Make the release, load it, print the figures."""
    concepts = int(sys.argv[1]) if len(sys.argv) > 1 else 360_000
    with tempfile.TemporaryDirectory() as folder:
        path, seen = made(Path(folder), concepts)
        base, _ = told(READ, str(path))
        seconds, megabytes = told(LOAD, str(path), folder)
        size = (Path(folder) / "vocabularies/snomed.npz").stat().st_size / 2**20
        print(
            f"{concepts} concepts, {seen} descriptions, zip of {path.stat().st_size / 2**20:.0f} MB: loaded in {seconds:.1f} s of CPU"
            f" with {megabytes:.0f} MB at most, into {size:.0f} MB; reading the lines alone takes {base:.1f} s, ratio {seconds / base:.1f}"
        )


if __name__ == "__main__":
    main()
