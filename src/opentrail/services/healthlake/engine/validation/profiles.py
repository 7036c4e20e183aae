"""Profiles: StructureDefinitions loaded from FHIR packages (npm .tgz), turned into JSON Schema constraints on top of base R4.

Checked: cardinality, prohibited and narrowed types, fixed and pattern values, required bindings whose codes are known,
reference targets, and slices told apart by value, pattern or extension url, with what a closed slicing leaves out. Not checked: slices
told apart by profile, type or existence, the order of slices, profile invariants (FHIRPath), bindings to systems whose codes are not held.
"""

import io
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.issues import name, refuse
from opentrail.services.healthlake.engine.validation import schema
from opentrail.services.healthlake.engine.validation.profile_schema import BASE, Node, Sources, constraint, tree

MAX_PACKED = 64 * 2**20
MAX_UNPACKED = 512 * 2**20
MAX_MEMBER = 16 * 2**20
MAX_MEMBERS = 20_000
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Profile:
    """One loaded StructureDefinition."""

    url: str
    version: str
    type: str
    base: str
    root: Node


@dataclass(frozen=True, slots=True)
class Package:
    """The profiles and value sets of one FHIR package."""

    name: str
    version: str
    profiles: dict[str, Profile]
    codes: dict[str, list[list[str]]]


class Profiles:
    """The profiles of a data store: a lookup by canonical url, and their compiled validators."""

    def __init__(self, packages: Iterable[Package] = ()) -> None:
        self.by_url: dict[str, Profile] = {}
        self.codes: dict[str, list[list[str]]] = {}
        self._compiled: dict[str, tuple[Json, Any]] = {}
        for package in packages:
            for profile in package.profiles.values():
                self.by_url[f"{profile.url}|{profile.version}"] = profile
                self.by_url[profile.url] = profile
            self.codes.update(package.codes)

    def find(self, canonical: str) -> Profile | None:
        """The profile of `url` or `url|version`; without version the last one loaded."""
        return self.by_url.get(canonical)

    def compiled(self, profile: Profile, compile_schema: Callable[[Json], Any]) -> tuple[Json, Any]:
        """(schema, validator) of a profile, built on first use; unsnapshotted profiles carry their base's constraints too."""
        key = f"{profile.url}|{profile.version}"
        if key not in self._compiled:
            document = schema.closure({"allOf": [constraint(p.root, p.type, self.sources()) for p in self._line(profile)]})
            self._compiled[key] = (document, compile_schema(document))
        return self._compiled[key]

    def sources(self) -> Sources:
        """What a profile's schema may draw on."""
        types = {url: p.type for url, p in self.by_url.items()}
        return Sources(types, self.codes, {url: p.root for url, p in self.by_url.items() if p.type == "Extension"})

    def _line(self, profile: Profile) -> list[Profile]:
        line = [profile]
        while (above := self.by_url.get(line[-1].base)) and above not in line:
            line.append(above)
        return line


NO_PROFILES = Profiles()


@dataclass(slots=True)
class _Bounded(io.RawIOBase):
    """The unpacked bytes of a gzip stream; refuses to give more than MAX_UNPACKED."""

    packed: bytes
    at: int = 0
    given: int = 0
    unpacker: Any = field(default_factory=lambda: zlib.decompressobj(31))

    def read(self, size: int = -1) -> bytes:
        size = size if size >= 0 else MAX_MEMBER
        out = b""
        while len(out) < size and not self.unpacker.eof:
            fresh = self.unpacker.unconsumed_tail or self.packed[self.at : self.at + 65536]
            if not self.unpacker.unconsumed_tail:
                self.at += 65536
            if not fresh:
                break
            out += self.unpacker.decompress(fresh, size - len(out))
        self.given += len(out)
        if self.given > MAX_UNPACKED:
            raise refuse(400, "too-costly", "The package unpacks to more than {} bytes.", name(MAX_UNPACKED))
        return out


def _members(packed: bytes) -> Iterable[Any]:
    with tarfile.open(fileobj=_Bounded(packed), mode="r|") as archive:
        for count, member in enumerate(archive):
            if count >= MAX_MEMBERS:
                raise refuse(400, "too-costly", "The package has more than {} files.", name(MAX_MEMBERS))
            parts = member.name.split("/")
            wanted = member.isfile() and len(parts) == 2 and parts[0] == "package" and parts[1].endswith(".json")
            if not wanted:
                continue
            if member.size > MAX_MEMBER:
                raise refuse(400, "too-costly", "A file of the package is larger than {} bytes.", name(MAX_MEMBER))
            stream = archive.extractfile(member)
            yield parts[1], msgspec.json.decode(stream.read() if stream else b"null")


def _profile(resource: Json) -> Profile | None:
    elements = (resource.get("snapshot") or resource.get("differential") or {}).get("element", [])
    kind = resource.get("type", "")
    if resource.get("derivation") != "constraint" or not elements or kind not in definitions.types():
        return None
    base = "" if "snapshot" in resource else resource.get("baseDefinition", "")
    root = tree(elements, whole=base in ("", BASE + kind))
    return Profile(resource.get("url", ""), resource.get("version", ""), kind, base, root)


def _codes(value_sets: dict[str, Json], systems: dict[str, Json]) -> dict[str, list[list[str]]]:
    """The codes of the value sets that list theirs or take whole systems of the package."""
    found: dict[str, list[list[str]]] = {}
    for url, resource in value_sets.items():
        compose = resource.get("compose", {})
        pairs: list[list[str]] | None = []
        for row in compose.get("include", [{}]):
            system = row.get("system", "")
            listed = row.get("concept") or (systems.get(system, {}).get("concept") if "filter" not in row else None)
            pairs = None if pairs is None or listed is None or "valueSet" in row else pairs + [[system, c["code"]] for c in listed]
        if pairs and "exclude" not in compose:
            found[url] = pairs
    return found


def load_package(packed: bytes) -> Package:
    """Read a FHIR package. Nothing is written to disk. Refused with 400: not a package, too large, too many files."""
    if len(packed) > MAX_PACKED:
        raise refuse(400, "too-costly", "The package is larger than {} bytes.", name(MAX_PACKED))
    by_kind: dict[str, dict[str, Json]] = {"StructureDefinition": {}, "ValueSet": {}, "CodeSystem": {}}
    about: Json = {}
    try:
        for file, value in _members(packed):
            if file == "package.json" and isinstance(value, dict):
                about = value
            elif isinstance(value, dict) and value.get("resourceType") in by_kind and isinstance(value.get("url"), str):
                by_kind[value["resourceType"]][value["url"]] = value
        profiles = {url: p for url, sd in by_kind["StructureDefinition"].items() if (p := _profile(sd))}
        codes = _codes(by_kind["ValueSet"], by_kind["CodeSystem"])
    except (tarfile.TarError, zlib.error, msgspec.DecodeError, RecursionError, KeyError, TypeError, AttributeError, ValueError):
        raise refuse(400, "structure", "This is not a readable FHIR package.") from None
    if not about.get("name"):
        raise refuse(400, "structure", "The package has no package/package.json with a name.")
    return Package(str(about["name"]), str(about.get("version", "")), profiles, codes)
