"""Profiles from packages: what they constrain, and packages that mean harm."""

import copy
import gzip
import io
import json
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.engine.validation import Profiles, validate
from opentrail.services.healthlake.engine.validation.profiles import load_package

Json = dict[str, Any]
URL, RACE, CODES = (
    "http://x.org/StructureDefinition/patient",
    "http://x.org/StructureDefinition/race",
    "http://x.org/ValueSet/codes",
)
ELEMENTS: list[Json] = [
    {"id": "Patient", "path": "Patient"},
    {
        "id": "Patient.extension",
        "path": "Patient.extension",
        "slicing": {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"},
    },
    {
        "id": "Patient.extension:race",
        "path": "Patient.extension",
        "min": 1,
        "max": "1",
        "type": [{"code": "Extension", "profile": [RACE]}],
    },
    {
        "id": "Patient.identifier",
        "path": "Patient.identifier",
        "min": 1,
        "slicing": {"discriminator": [{"type": "value", "path": "system"}]},
    },
    {"id": "Patient.identifier:mrn", "path": "Patient.identifier", "min": 1, "max": "1"},
    {"id": "Patient.identifier:mrn.system", "path": "Patient.identifier.system", "min": 1, "fixedUri": "urn:mrn"},
    {"id": "Patient.identifier:mrn.value", "path": "Patient.identifier.value", "min": 1},
    {"id": "Patient.name.family", "path": "Patient.name.family", "min": 1},
    {"id": "Patient.deceased[x]", "path": "Patient.deceased[x]", "type": [{"code": "boolean"}]},
    {"id": "Patient.photo", "path": "Patient.photo", "max": "0"},
    {
        "id": "Patient.maritalStatus",
        "path": "Patient.maritalStatus",
        "binding": {"strength": "required", "valueSet": CODES},
        "type": [{"code": "CodeableConcept"}],
    },
    {"id": "Patient.language", "path": "Patient.language", "patternCode": "en"},
]
RACE_ELEMENTS: list[Json] = [
    {"id": "Extension.url", "path": "Extension.url", "min": 1, "fixedUri": RACE},
    {"id": "Extension.value[x]", "path": "Extension.value[x]", "min": 1, "type": [{"code": "string"}]},
]
FILES: dict[str, Json] = {
    "package.json": {"name": "x.org", "version": "1.0.0"},
    "a.json": {
        "resourceType": "StructureDefinition",
        "url": URL,
        "version": "1",
        "type": "Patient",
        "derivation": "constraint",
        "snapshot": {"element": ELEMENTS},
    },
    "b.json": {
        "resourceType": "StructureDefinition",
        "url": RACE,
        "type": "Extension",
        "derivation": "constraint",
        "differential": {"element": RACE_ELEMENTS},
    },
    "c.json": {
        "resourceType": "ValueSet",
        "url": CODES,
        "compose": {"include": [{"system": "urn:c", "concept": [{"code": "M"}]}]},
    },
    "d.json": {
        "resourceType": "StructureDefinition",
        "url": URL + "-child",
        "type": "Patient",
        "derivation": "constraint",
        "baseDefinition": URL,
        "differential": {"element": [{"id": "Patient.gender", "path": "Patient.gender", "min": 1}]},
    },
}
GOOD: Json = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:other"}, {"system": "urn:mrn", "value": "1"}],
    "name": [{"family": "x"}],
    "gender": "male",
    "extension": [{"url": RACE, "valueString": "x"}, {"url": "http://y", "valueString": "x"}],
    "maritalStatus": {"coding": [{"system": "urn:c", "code": "M"}]},
    "language": "en",
}


def package(files: dict[str, Json], folder: str = "package/") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, value in files.items():
            data = json.dumps(value).encode()
            member = tarfile.TarInfo(folder + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return Profiles([load_package(package(FILES))])


def test_what_fits_is_accepted(profiles: Profiles) -> None:
    assert validate(GOOD, "strict", profiles, (URL, f"{URL}|1")) == []
    assert validate({**GOOD, "meta": {"profile": [URL]}}, "strict", profiles) == []


BAD: list[tuple[Json, str]] = [
    ({"identifier": [{"system": "urn:other"}]}, "/Patient"),
    ({"identifier": [{"system": "urn:mrn", "value": "1"}, {"system": "urn:mrn", "value": "2"}]}, "/Patient/identifier"),
    ({"identifier": [{"system": "urn:mrn"}]}, "/Patient/identifier[0]/value"),
    ({"extension": [{"url": "http://y", "valueString": "x"}]}, "/Patient"),
    ({"extension": [{"url": RACE, "valueCode": "x"}]}, "/Patient/extension[0]"),
    ({"name": [{"given": ["x"]}]}, "/Patient/name[0]/family"),
    ({"deceasedDateTime": "2020"}, "/Patient"),
    ({"photo": [{"url": "http://x"}]}, "/Patient"),
    ({"maritalStatus": {"coding": [{"system": "urn:c", "code": "X"}]}}, "/Patient/maritalStatus"),
    ({"language": "de"}, "/Patient/language"),
]


@pytest.mark.parametrize(("change", "place"), BAD)
def test_what_does_not_fit_is_refused_at_its_place(profiles: Profiles, change: Json, place: str) -> None:
    found = validate({**GOOD, **change}, "strict", profiles, (URL,))
    assert found
    assert all(issue.is_error for issue in found)
    assert any(issue.location.startswith(place) for issue in found), found


def test_a_differential_adds_to_its_base(profiles: Profiles) -> None:
    without = {k: v for k, v in GOOD.items() if k != "gender"}
    assert validate(without, "strict", profiles, (URL,)) == []
    assert [i.location for i in validate(without, "strict", profiles, (URL + "-child",))] == ["/Patient/gender"]
    assert validate({**GOOD, "photo": [{"url": "http://x"}]}, "strict", profiles, (URL + "-child",))


def test_a_profile_of_another_type_is_an_error(profiles: Profiles) -> None:
    assert validate({"resourceType": "Basic", "code": {"text": "x"}}, "strict", profiles, (URL,))[0].is_error


def told(label: str, **held: object) -> list[Json]:
    """A slice of Observation.category that is told by the system of its coding."""
    name = f"Observation.category:{label}"
    return [
        {"id": name, "path": "Observation.category", "max": "1"},
        {"id": f"{name}.coding.system", "path": "Observation.category.coding.system", "min": 1, **held},
    ]


def sliced(rules: str, slices: list[Json], base: Json | None = None, by: str = "coding.system") -> Profiles:
    """A profile whose categories are sliced, over another one or over R4's Observation."""
    slicing = {"discriminator": [{"type": "value", "path": by}], "rules": rules}
    elements = [{"id": "Observation.category", "path": "Observation.category", "slicing": slicing}, *slices]
    about = {"resourceType": "StructureDefinition", "type": "Observation", "derivation": "constraint"}
    own = {**about, "url": CLOSED, "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation"}
    files: dict[str, Json] = {"package.json": FILES["package.json"], "a.json": {**own, "differential": {"element": elements}}}
    if base is not None:
        files["a.json"]["baseDefinition"] = URL
        files["b.json"] = {**about, "url": URL, **base}
    return Profiles([load_package(package(files))])


CLOSED = "http://x.org/StructureDefinition/closed"
TWO = [*told("a", fixedUri="urn:a"), *told("b", patternUri="urn:b")]


def observation(*systems: str) -> Json:
    categories = [{"coding": [{"system": system, "code": "x"}]} for system in systems]
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "category": categories}


def places(profiles: Profiles, resource: Json) -> list[str]:
    return [issue.location for issue in validate(resource, "strict", profiles, (CLOSED,))]


def test_a_closed_slicing_refuses_what_is_in_no_slice_at_its_place() -> None:
    profiles = sliced("closed", TWO)
    assert places(profiles, observation("urn:b", "urn:a")) == []
    assert places(profiles, observation("urn:a", "urn:x")) == ["/Observation/category[1]"]
    assert places(profiles, observation("urn:x", "urn:a", "urn:y")) == ["/Observation/category[0]", "/Observation/category[2]"]
    assert places(profiles, {**observation("urn:a"), "category": [{"text": "x"}]}) == ["/Observation/category[0]"]


@given(st.lists(st.sampled_from(["urn:a", "urn:b", "urn:x", "urn:y"]), min_size=1, max_size=4, unique=True))
def test_a_closed_slicing_refuses_exactly_the_others(systems: list[str]) -> None:
    outside = [f"/Observation/category[{i}]" for i, system in enumerate(systems) if system in ("urn:x", "urn:y")]
    assert places(TWO_CLOSED, observation(*systems)) == outside
    assert places(TWO_OPEN, observation(*systems)) == []


TWO_CLOSED, TWO_OPEN = sliced("closed", TWO), sliced("open", TWO)


def test_an_extension_outside_a_closed_slicing_is_refused() -> None:
    head, race = copy.deepcopy(ELEMENTS[1:3])
    head["slicing"]["rules"] = "closed"
    files = {**FILES, "a.json": {**FILES["a.json"], "snapshot": {"element": [head, race]}}}
    found = validate(GOOD, "strict", Profiles([load_package(package(files))]), (URL,))
    assert [issue.location for issue in found] == ["/Patient/extension[1]"]


@pytest.mark.parametrize(
    "profiles",
    [
        sliced("closed", [*TWO, *told("untold")]),
        sliced("closed", []),
        sliced("closed", TWO, by="resolve().code"),
        sliced("openAtEnd", TWO),
        sliced("closed", TWO, base={"snapshot": {"element": told("c", fixedUri="urn:x")}}),
    ],
    ids=["a slice that cannot be told", "no slices", "across a reference", "open at the end", "slices of the base"],
)
def test_what_may_be_in_a_slice_is_accepted(profiles: Profiles) -> None:
    assert places(profiles, observation("urn:x", "urn:a")) == []


def test_files_outside_the_package_folder_are_not_read() -> None:
    with pytest.raises(FhirError):
        load_package(package(FILES, "../"))
    with pytest.raises(FhirError):
        load_package(package(FILES, "/etc/package/"))


NO_PACKAGES = {
    "empty": b"",
    "text": b"nothing",
    "zipped text": gzip.compress(b"nothing"),
    "no name": package({"package.json": {}}),
    "cut": package(FILES)[:200],
}


@pytest.mark.parametrize("packed", NO_PACKAGES.values(), ids=NO_PACKAGES)
def test_what_is_no_package(packed: bytes) -> None:
    with pytest.raises(FhirError) as refused:
        load_package(packed)
    assert refused.value.status == 400


def test_a_bomb_is_refused() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/x.json")
        member.size = 17 * 2**20
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(FhirError) as refused:
        load_package(packed.getvalue())
    assert "larger" in str(refused.value)


def test_a_bomb_in_a_file_that_is_not_read_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opentrail.services.healthlake.engine.validation.profiles.MAX_UNPACKED", 2**20)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/x.bin")
        member.size = 2**22
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(FhirError) as refused:
        load_package(packed.getvalue())
    assert "unpacks" in str(refused.value)
