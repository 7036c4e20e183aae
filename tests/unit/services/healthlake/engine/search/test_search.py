"""Searches over a small store: each parameter type, modifier and result parameter with the answer written out."""

import pytest

from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.engine.search import offered
from opentrail.services.healthlake.engine.search.parse import MODIFIERS, parse_search
from opentrail.services.healthlake.engine.search.sql import compile_ids, compile_total
from tests.unit.services.healthlake.engine.support import STORE, Json, Store

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def observation(identity: str, code: str, patient: str, when: str, value: float | None = None, **more: object) -> Json:
    found: Json = {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code, "display": "Name of " + code}]},
        "subject": {"reference": patient},
        "effectiveDateTime": when,
    }
    if value is not None:
        found["valueQuantity"] = {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}
    return {**found, **more}


MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
RESOURCES: list[Json] = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "name": [{"family": "Müller", "given": ["Anna", "Maria"]}],
        "gender": "female",
        "birthDate": "1980-05-01",
        "identifier": [{"system": "urn:mrn", "value": "77", "type": MR}],
        "generalPractitioner": [{"reference": "Practitioner/d1"}],
        "meta": {"tag": [{"system": "urn:t", "code": "x"}], "profile": ["http://p.org/a/b"], "security": [{"code": "R"}]},
    },
    {
        "resourceType": "Patient",
        "id": "p2",
        "name": [{"family": "Smith", "given": ["John"]}],
        "gender": "male",
        "birthDate": "1990",
        "deceasedBoolean": True,
        "identifier": [{"system": "urn:mrn", "value": "78"}, {"system": "urn:other", "value": "77"}],
        "managingOrganization": {"reference": "Organization/o1"},
    },
    {"resourceType": "Patient", "id": "p3", "name": [{"family": "smithson"}], "gender": "other"},
    {"resourceType": "Practitioner", "id": "d1", "name": [{"family": "House"}]},
    {"resourceType": "Organization", "id": "o1", "name": "West", "partOf": {"reference": "Organization/o2"}},
    {"resourceType": "Organization", "id": "o2", "name": "East"},
    observation("a", "1", "Patient/p1", "2020-01-15T10:00:00Z", 120),
    observation("b", "1", "Patient/p1", "2020-02", 130.5, category=[{"text": "vital"}]),
    observation("c", "2", "Patient/p2", "2021", 5.4, encounter={"identifier": {"system": "urn:v", "value": "9"}}),
    observation(
        "d",
        "2",
        "http://other.org/fhir/Patient/p2",
        "2020-01-15",
        None,
        component=[
            {
                "code": {"coding": [{"system": LOINC, "code": "8"}]},
                "valueQuantity": {"value": 80, "system": UCUM, "code": "mm[Hg]"},
            },
            {
                "code": {"coding": [{"system": LOINC, "code": "9"}]},
                "valueQuantity": {"value": 120, "system": UCUM, "code": "mm[Hg]"},
            },
        ],
    ),
    {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": "Patient/p1"},
        "period": {"start": "2020-01-01", "end": "2020-01-31"},
    },
    {
        "resourceType": "Encounter",
        "id": "e2",
        "status": "planned",
        "class": {"code": "x"},
        "subject": {"reference": "Patient/p2"},
        "period": {"start": "2021-06-01"},
    },
    {"resourceType": "ValueSet", "id": "v1", "status": "draft", "url": "http://a.org/x/y"},
    {
        "resourceType": "RiskAssessment",
        "id": "r1",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "prediction": [{"probabilityDecimal": 0.25}],
    },
]
ANSWERS = {
    # string
    "Patient?name=smith": "p2 p3",
    "Patient?name=MULLER": "p1",
    "Patient?family=mith": "",
    "Patient?family:contains=mith": "p2 p3",
    "Patient?family:exact=Smith": "p2",
    "Patient?family:exact=smith": "",
    "Patient?given=ann,john": "p1 p2",
    "Patient?name=anna&name=maria": "p1",
    "Patient?family:contains=%": "",
    # token
    "Patient?gender=male,other": "p2 p3",
    "Patient?gender=http://hl7.org/fhir/administrative-gender|male": "p2",
    "Patient?gender=urn:x|male": "",
    "Patient?gender:not=male": "p1 p3",
    "Patient?identifier=77": "p1 p2",
    "Patient?identifier=urn:mrn|77": "p1",
    "Patient?identifier=urn:mrn|": "p1 p2",
    "Patient?identifier=|77": "",
    "Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|77": "p1",
    "Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|78": "",
    "Patient?deceased=true": "p2",
    "Patient?_tag=urn:t|x": "p1",
    "Patient?_security=R": "p1",
    "Patient?_profile=http://p.org/a/b": "p1",
    "Observation?code:text=name of 2": "c d",
    "Observation?category:text=vit": "b",
    "Observation?code=1&code=2": "",
    "Encounter?class:in=http://terminology.hl7.org/ValueSet/v3-ActEncounterCode": "e1",
    "Encounter?class:not-in=http://terminology.hl7.org/ValueSet/v3-ActEncounterCode": "e2",
    "Encounter?class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode|_ActEncounterCode": "e1",
    "Encounter?class:above=http://terminology.hl7.org/CodeSystem/v3-ActCode|ACUTE": "e1",
    # reference
    "Observation?subject=Patient/p1": "a b",
    "Observation?subject=p1": "a b",
    "Observation?patient=p2": "c",
    "Observation?subject:Patient=p1": "a b",
    "Observation?subject=Device/p1": "",
    "Observation?subject=http://other.org/fhir/Patient/p2": "d",
    "Observation?subject=http://me/r4/Patient/p1": "a b",
    "Observation?encounter:identifier=urn:v|9": "c",
    # date
    "Observation?date=2020-01-15": "a d",
    "Observation?date=2020": "a b d",
    "Observation?date=ne2020": "c",
    "Observation?date=gt2020-02": "c",
    "Observation?date=ge2020-02": "b c",
    "Observation?date=lt2020-02": "a d",
    "Observation?date=le2020-02": "a b d",
    "Observation?date=sa2020-01-15": "b c",
    "Observation?date=eb2020-02": "a d",
    "Encounter?date=2020-01-10": "",
    "Encounter?date=gt2022": "e2",
    "Encounter?date=lt2020-01-10": "e1",
    "Encounter?date=ap2020-01-10": "e1",
    "Patient?birthdate=1980-05": "p1",
    # number and quantity
    "RiskAssessment?probability=0.25": "r1",
    "RiskAssessment?probability=gt0.2": "r1",
    "RiskAssessment?probability=0.3": "r1",
    "RiskAssessment?probability=0.30": "",
    "Observation?value-quantity=120": "a",
    "Observation?value-quantity=5.4||mmHg": "c",
    "Observation?value-quantity=5.4|http://unitsofmeasure.org|mm[Hg]": "c",
    "Observation?value-quantity=5.4||kg": "",
    "Observation?value-quantity=gt100": "a b",
    "Observation?value-quantity=ge120&value-quantity=lt130": "a",
    "Observation?value-quantity=1e2": "a b",
    "Observation?value-quantity=ap125": "a b",
    "Observation?value-quantity=ne120": "b c",
    "Observation?value-quantity=lt120": "c",
    "Observation?value-quantity=le120": "a c",
    "Observation?value-quantity=gt130.5": "",
    "Observation?value-quantity=ge130.5": "b",
    "Observation?value-quantity=sa120": "b",
    "Observation?value-quantity=sa130.5": "",
    "Observation?value-quantity=eb120": "c",
    "Observation?value-quantity=eb5.4": "",
    # uri
    "ValueSet?url=http://a.org/x/y": "v1",
    "ValueSet?url:below=http://a.org/x": "v1",
    "ValueSet?url:below=http://a.org/x/yz": "",
    "ValueSet?url:above=http://a.org/x/y/z": "v1",
    # composite
    "Observation?code-value-quantity=1$gt125": "b",
    "Observation?component-code-value-quantity=http://loinc.org|8$80": "d",
    "Observation?component-code-value-quantity=8$120": "",
    "Observation?combo-code-value-quantity=9$ge100,1$gt125": "b d",
    "Observation?combo-code=9": "d",
    # missing, _id, _lastUpdated
    "Patient?birthdate:missing=true": "p3",
    "Patient?birthdate:missing=false": "p1 p2",
    "Observation?value-quantity:missing=true": "d",
    "Patient?_profile:missing=true": "p2 p3",
    "Patient?_id=p1,p3,nobody": "p1 p3",
    "Patient?_lastUpdated=gt2020": "",
    "Patient?_lastUpdated=ge2020&gender=male": "p2",
    # chains
    "Observation?subject:Patient.name=mull": "a b",
    "Observation?patient.identifier=urn:mrn|78": "c",
    "Observation?subject.name=smith": "c",
    "Observation?patient.organization.name=west": "c",
    "Observation?patient.organization.partof.name=east": "c",
    "Patient?_has:Observation:patient:code=1": "p1",
    "Patient?_has:Observation:patient:code=2": "p2",
    "Patient?_has:Observation:patient:value-quantity=gt100&gender=female": "p1",
    "Practitioner?_has:Patient:general-practitioner:_has:Encounter:patient:status=finished": "d1",
    "Observation?patient._has:Encounter:patient:status=planned": "c",
    "Observation?subject._has:Encounter:patient:status=planned": "c",
    "Encounter?subject.general-practitioner:Practitioner=d1": "e1",
}


@pytest.fixture(scope="module")
def store() -> Store:
    found = Store(RESOURCES)
    other = {**RESOURCES[0], "id": "p9"}
    found.add(other, store=STORE + 1)
    return found


@pytest.mark.parametrize("query", ANSWERS)
def test_answers(store: Store, query: str) -> None:
    assert sorted(store.ids(query, service="http://me/r4", now=1_600_000_000_000)) == ANSWERS[query].split()


@pytest.mark.parametrize("query", ANSWERS)
def test_the_total_is_the_number_of_matches(store: Store, query: str) -> None:
    total = store.search(query + "&_total=accurate&_count=1", service="http://me/r4", now=1_600_000_000_000).total
    assert total == len(ANSWERS[query].split())


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("Observation?_sort=date", "d a b c"),
        ("Observation?_sort=-date", "c b d a"),
        ("Observation?_sort=value-quantity", "c a b d"),
        ("Observation?_sort=-value-quantity", "b a c d"),
        ("Patient?_sort=family", "p1 p2 p3"),
        ("Patient?_sort=-_id", "p3 p2 p1"),
        ("Patient?_sort=gender,-birthdate", "p1 p2 p3"),
        ("Patient?_sort=birthdate", "p1 p2 p3"),
        ("Patient?_sort=-birthdate", "p2 p1 p3"),
        ("Observation?code=1&_sort=-date", "b a"),
        ("Observation?status=final&_sort=-date", "c b d a"),
        ("Encounter?_sort=date", "e1 e2"),
        ("Encounter?_sort=-date", "e2 e1"),
        ("Patient?gender:not=male&_sort=-birthdate", "p1 p3"),
        ("Patient?_sort=-family", "p3 p2 p1"),
        ("Patient?_sort=-given", "p1 p2 p3"),
        ("Patient?_sort=given", "p1 p2 p3"),
        ("Patient?_sort=-_lastUpdated", "p1 p2 p3"),
        ("Organization?_sort=address", "o1 o2"),
    ],
)
@pytest.mark.parametrize("count", ["1", "2", "100"])
def test_sorted_on_pages_of_every_size(store: Store, query: str, ids: str, count: str) -> None:
    assert store.ids(f"{query}&_count={count}") == ids.split()


def test_case_sensitive_strings(store: Store) -> None:
    assert store.ids("Patient?family=smith", case_sensitive=True) == ["p3"]
    assert store.ids("Patient?family:contains=mith", case_sensitive=True) == ["p2", "p3"]
    assert store.ids("Patient?family:contains=Smi", case_sensitive=True) == ["p2"]


@pytest.mark.parametrize(
    ("query", "included"),
    [
        ("Observation?_id=a&_include=Observation:subject", "p1"),
        ("Observation?_id=a&_include=Observation:subject:Device", ""),
        ("Observation?_id=a&_include=Observation:subject&_include:iterate=Patient:general-practitioner", "p1 d1"),
        ("Patient?_id=p2&_include=Patient:organization&_include:iterate=Organization:partof", "o1 o2"),
        ("Patient?_id=p1&_revinclude=Encounter:patient", "e1"),
        ("Patient?_id=p1&_revinclude=Observation:*", "a b"),
        ("Patient?_id=p1&_revinclude=Observation:*:Patient", "a b"),
        ("Patient?_id=p1&_revinclude=Observation:*:Encounter", ""),
        ("Patient?_id=p1&_revinclude=Binary:*", ""),
        ("Patient?_id=p1&_revinclude=Observation:subject&_revinclude=Encounter:patient", "a b e1"),
        ("Observation?_id=a&_include=*", "p1"),
        ("Observation?_id=d&_include=Observation:subject", ""),
    ],
)
def test_included(store: Store, query: str, included: str) -> None:
    assert [row.id for row in store.search(query).included] == included.split()


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("value-string=never", "s t"),
        ("value-date=2018-05-02", ""),
        ("value-date=2018", "w"),
        ("code-value-date=2$2018", "w"),
        ("code-value-date=1$2018", ""),
        ("code-value-string=3$never", "s"),
    ],
)
def test_results_that_are_texts_or_dates(query: str, ids: str) -> None:
    """R4 writes the ways to them as `(Observation.value as CodeableConcept).text` and as `value.as(DateTime)`."""
    found = Store(
        [
            observation("t", "1", "Patient/p", "2019", valueCodeableConcept={"text": "Never smoked"}),
            observation("w", "2", "Patient/p", "2019", valueDateTime="2018-05"),
            observation("s", "3", "Patient/p", "2019", valueString="Never mind"),
        ]
    )
    assert sorted(found.ids("Observation?" + query)) == ids.split()


def test_nothing_crosses_from_one_store_to_another(store: Store) -> None:
    assert "p9" not in store.ids("Patient?family=muller") + store.ids("Patient?gender=female") + store.ids("Patient?")


def test_what_is_deleted_is_not_found_by_what_still_points_to_it() -> None:
    patient = {"resourceType": "Patient", "id": "gone"}
    pointing = {"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/gone"}, "code": {"coding": [{"code": "1"}]}}
    store = Store([patient, pointing])
    assert store.ids("Patient?_has:Observation:patient:code=1") == ["gone"]
    store.run("UPDATE fhir_current SET deleted = 1, body = NULL WHERE id = :id", {"id": "gone"})
    assert store.ids("Patient?_has:Observation:patient:code=1") == []
    assert store.search("Observation?code=1&_include=Observation:patient").included == ()
    assert store.ids("Observation?patient._has:Observation:patient:code=1") == []


def test_summary_count_gives_the_total_alone(store: Store) -> None:
    page = store.search("Patient?_summary=count")
    assert (page.total, page.matches) == (3, ())


def test_ids_for_conditional_requests(store: Store) -> None:
    statement = compile_ids(parse_search("Patient", [("identifier", "urn:mrn|")]), STORE)
    assert [row[1] for row in store.read(statement.text, statement.values)] == ["p1", "p2"]


def test_values_are_never_part_of_the_text() -> None:
    search = parse_search(
        "Patient",
        [("name", "canary"), ("identifier", "canary|canary"), ("_id", "canary"), ("organization.name:contains", "canary")],
    )
    assert "canary" not in compile_total(search, STORE).text


REFUSED = [
    ("Patient?nothing=1", "nothing"),
    ("Patient?_text=x", "_text"),
    ("Patient?gender:exact=male", "gender"),
    ("Patient?birthdate=yesterday", "birthdate"),
    ("Patient?birthdate=2020-02-31", "birthdate"),
    ("Patient?_count=-1", "_count"),
    ("Patient?_count=101", "_count"),
    ("Patient?_total=estimate", "_total"),
    ("Patient?_sort=nothing", "_sort"),
    ("Patient?_sort=name,name,name,name,name,name", "_sort"),
    ("Patient?_summary=true&_elements=name", "_elements"),
    ("Patient?_include=Patient:name", "_include"),
    ("Patient?_summary=text&_include=Patient:organization", "_include"),
    ("Patient?name.given=x", "name"),
    ("Patient?_has:Observation:code:code=x", "Observation"),
    ("Patient?gender=" + ",".join(["male"] * 201), "gender"),
    ("Patient?gender=male,", "gender"),
    ("Patient?gender:in=http://nowhere.org/vs", "nowhere"),
    ("Observation?code:below=http://loinc.org|1", "hierarchy"),
    ("Observation?value-quantity=tall", "value-quantity"),
    ("Observation?value-quantity=5|mg", "value-quantity"),
    ("Observation?code-value-quantity=1", "code-value-quantity"),
    ("Observation?date=ap2020", "date"),
    ("Observation?subject:Practitioner=1", "subject"),
    ("Patient?birthdate:missing=maybe", "birthdate"),
    ("Patient?" + "link." * 6 + "name=x", "chain"),
]


@pytest.mark.parametrize(("query", "named"), REFUSED)
def test_refused_by_name(store: Store, query: str, named: str) -> None:
    with pytest.raises(FhirError) as refused:
        store.search(query)
    assert refused.value.status in (400, 404)
    assert any(named in issue.wire_text() for issue in refused.value.issues)


def test_a_count_of_nothing_is_the_total_alone() -> None:
    assert parse_search("Patient", [("_count", "0")]).summary == "count"
    assert parse_search("Patient", [("_count", "0"), ("_count", "5")]).summary == "false"


@pytest.mark.parametrize(("place", "why"), offered.NOT_OFFERED.items(), ids=lambda one: "-".join(one) if isinstance(one, tuple) else "")
def test_what_is_not_offered_is_refused_with_its_reason(place: tuple[str, str], why: str) -> None:
    kind, code = place
    kind = "Observation" if kind == "*" else kind
    with pytest.raises(FhirError) as refused:
        parse_search(kind, [(code, "x")])
    assert refused.value.status == 400
    assert [issue.code for issue in refused.value.issues] == ["not-supported"]
    assert f"{code} of {kind} is not offered: {why}" in refused.value.issues[0].wire_text()
    assert parse_search(kind, [(code, "x")], handling="lenient").filters == ()


@pytest.mark.parametrize(
    ("place", "why"), offered.MODIFIERS_NOT_OFFERED.items(), ids=lambda one: "-".join(one) if isinstance(one, tuple) else ""
)
def test_a_modifier_that_is_not_offered_is_refused_with_its_reason(place: tuple[str, str], why: str) -> None:
    code = next(one.code for one in offered.offered("Observation").values() if one.kind == place[0])
    with pytest.raises(FhirError) as refused:
        parse_search("Observation", [(f"{code}:{place[1]}", "x")])
    assert refused.value.status == 400
    assert f":{place[1]} is not offered for the search parameter {code}: {why}" in refused.value.issues[0].wire_text()


# The modifiers that R4 defines (search, "Modifiers"), by kind of parameter.
R4_MODIFIERS = {
    "string": ("missing", "exact", "contains"), "token": ("missing", "text", "in", "below", "above", "not-in", "not", "of-type"),
    "reference": ("missing", "identifier", "above", "below"), "uri": ("missing", "below", "above"), "date": ("missing",), "number": ("missing",),
    "quantity": ("missing",),
}  # fmt: skip


def test_every_modifier_of_r4_is_offered_or_has_a_reason() -> None:
    for kind, modifiers in R4_MODIFIERS.items():
        left = set(modifiers) - {"missing", *MODIFIERS.get(kind, ())}
        assert left == {modifier for of, modifier in offered.MODIFIERS_NOT_OFFERED if of == kind}, kind


def test_lenient_handling_leaves_out_what_is_unknown(store: Store) -> None:
    page = store.search("Patient?nothing=1&_text=y&gender=male", handling="lenient")
    assert [row.id for row in page.matches] == ["p2"]
    assert [issue.severity for issue in page.warnings] == ["warning", "warning"]


@pytest.mark.parametrize(("query", "named"), REFUSED)
def test_a_refusal_shows_no_value_in_logs(store: Store, query: str, named: str) -> None:
    with pytest.raises(FhirError) as refused:
        store.search(query)
    values = [pair.partition("=")[2] for pair in query.partition("?")[2].split("&")]
    assert not any(value in str(refused.value) for value in values if len(value) > 5)


def test_a_refusal_hides_the_value_from_logs(store: Store) -> None:
    with pytest.raises(FhirError) as refused:
        store.search("Patient?birthdate=Smith")
    assert "Smith" not in str(refused.value)
    assert "Smith" in refused.value.issues[0].wire_text()


@pytest.mark.parametrize(
    ("criterion", "matches"),
    [
        ("eb2020-12-31", False),
        ("lt2020-12-31", False),
        ("sa2020-12-30", True),
        ("gt2020-12-30", True),
        ("2020-12-31", True),
        ("ge2020-12-31", True),
        ("le2020-12-31", True),
        ("le2020-12-30", False),
        ("eb2021", True),
        ("sa2020-12-31", False),
        ("ne2020-12-31", False),
        ("2020-12-31T00:00:00Z", True),
    ],
)
def test_the_first_moment_of_a_day(criterion: str, matches: bool) -> None:
    store = Store([observation("o", "1", "Patient/p1", "2020-12-31T00:00:00.000Z")])
    assert (store.ids(f"Observation?date={criterion}") == ["o"]) == matches


@pytest.mark.parametrize(
    ("criterion", "matches"), [("sa2020-12-31", False), ("gt2020-12-31", False), ("sa2020-12-30", True), ("eb2021", True)]
)
def test_the_last_moment_of_a_day(criterion: str, matches: bool) -> None:
    store = Store([observation("o", "1", "Patient/p1", "2020-12-31T23:59:59.999Z")])
    assert (store.ids(f"Observation?date={criterion}") == ["o"]) == matches
