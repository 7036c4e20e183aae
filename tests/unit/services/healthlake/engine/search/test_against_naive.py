"""SQL searches against a matcher that was written apart from the engine: it reads resources, not index rows."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.services.healthlake.engine.support import Json, Store

SYSTEMS = ("http://a.org", "http://b.org")
CODES = ("1", "2", "final")
NAMES = ("Ann", "anna", "ANNE", "Bob", "Böb", "bo b", "O'Neil", "50%", "x_y")
DATES = (
    "2019",
    "2020",
    "2020-02",
    "2020-02-29",
    "2020-02-29T10:00:00Z",
    "2020-02-29T23:30:00-02:00",
    "2020-03-01T00:00:00.5Z",
    "2020-12-31T00:00:00.000Z",
    "2021-01-31T23:59:59.999Z",
    "2020-12-31",
    "2021-01",
)
NUMBERS = ("0", "1", "1.0", "1.5", "2", "10", "99.5", "100", "100.4", "-3")

codings = st.builds(
    lambda s, c: {k: v for k, v in (("system", s), ("code", c)) if v}, st.sampled_from((*SYSTEMS, "")), st.sampled_from(CODES)
)
concepts = st.builds(lambda c: {"coding": c}, st.lists(codings, min_size=1, max_size=3))
quantities = st.builds(
    lambda v, u: {"value": float(v), "code": u, "system": SYSTEMS[0]}, st.sampled_from(NUMBERS), st.sampled_from(("kg", "g"))
)


@st.composite
def observations(draw: st.DrawFn) -> Json:
    found: Json = {"resourceType": "Observation", "status": draw(st.sampled_from(("final", "amended"))), "code": draw(concepts)}
    if draw(st.booleans()):
        found["subject"] = {"reference": f"Patient/{draw(st.integers(0, 3))}"}
    kind = draw(st.sampled_from(("date", "period", "none")))
    if kind == "date":
        found["effectiveDateTime"] = draw(st.sampled_from(DATES))
    if kind == "period":
        ends = {"start": draw(st.sampled_from((*DATES, ""))), "end": draw(st.sampled_from((*DATES, "")))}
        found["effectivePeriod"] = {k: v for k, v in ends.items() if v} or {"start": "2020"}
    if draw(st.booleans()):
        found["valueQuantity"] = draw(quantities)
    return found


names = st.builds(lambda f, g: {"family": f, "given": g}, st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=2))
patients = st.builds(
    lambda n, g: {"resourceType": "Patient", **({"name": n} if n else {}), "gender": g},
    st.lists(names, max_size=2),
    st.sampled_from(("male", "female")),
)
stores = st.tuples(st.lists(observations(), max_size=8), st.lists(patients, max_size=4))


def span(text: str) -> tuple[datetime, datetime]:
    """First moment of a date, and the first after it."""
    if "T" in text:
        start = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
        digits = len(text.partition(".")[2].rstrip("Z"))
        return start, start + timedelta(milliseconds=10 ** (3 - digits))
    parts = [int(p) for p in text.split("-")]
    if len(parts) == 1:
        return datetime(parts[0], 1, 1, tzinfo=UTC), datetime(parts[0] + 1, 1, 1, tzinfo=UTC)
    start = datetime(parts[0], parts[1], parts[2] if len(parts) == 3 else 1, tzinfo=UTC)
    return start, start + timedelta(days=1 if len(parts) == 3 else monthrange(parts[0], parts[1])[1])


PAST, FUTURE = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def date_matches(resource: Json, prefix: str, text: str) -> bool:
    if "effectiveDateTime" in resource:
        start, end = span(resource["effectiveDateTime"])
    elif "effectivePeriod" in resource:
        period = resource["effectivePeriod"]
        start = span(period["start"])[0] if "start" in period else PAST
        end = span(period["end"])[1] if "end" in period else FUTURE
    else:
        return False
    first, after = span(text)
    inside = first <= start < after and end <= after
    answers = {
        "eq": inside,
        "ne": not (first <= start and end <= after),
        "gt": end > after,
        "lt": start < first,
        "sa": start >= after,
        "eb": end <= first,
    }
    if prefix == "ge":
        return end > first and (end > after or start >= first)
    if prefix == "le":
        return start < after and (start < first or end <= after)
    return answers[prefix]


def number_matches(resource: Json, prefix: str, text: str, unit: str) -> bool:
    if "valueQuantity" not in resource or (unit and resource["valueQuantity"]["code"] != unit):
        return False
    value, wanted = Decimal(str(resource["valueQuantity"]["value"])), Decimal(text)
    half = Decimal(1).scaleb(int(wanted.as_tuple().exponent)) / 2
    equal = wanted - half <= value < wanted + half
    order = {
        "gt": value > wanted,
        "lt": value < wanted,
        "ge": value >= wanted,
        "le": value <= wanted,
        "sa": value > wanted,
        "eb": value < wanted,
    }
    return equal if prefix == "eq" else not equal if prefix == "ne" else order[prefix]


def code_matches(resource: Json, text: str) -> bool:
    system, bar, code = text.partition("|")
    for coding in resource["code"]["coding"]:
        own = coding.get("system", "")
        if not bar and coding.get("code", "") == text:
            return True
        if bar and own == system and code in ("", coding.get("code", "")):
            return True
    return False


def plainer(text: str) -> str:
    return text.lower().replace("ö", "o")


def name_matches(resource: Json, modifier: str, text: str) -> bool:
    values = [v for n in resource.get("name", []) for v in [n["family"], *n["given"]]]
    if modifier == "exact":
        return text in values
    if modifier == "contains":
        return any(plainer(text) in plainer(v) for v in values)
    return any(plainer(v).startswith(plainer(text)) for v in values)


prefixes = st.sampled_from(("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"))
tokens = st.one_of(
    st.sampled_from(CODES),
    st.builds(lambda s, c: f"{s}|{c}", st.sampled_from((*SYSTEMS, "")), st.sampled_from(CODES)),
    st.just("http://a.org|"),
)
observation_criteria = st.one_of(
    st.builds(lambda p, d: (f"date={p}{d}", lambda r: date_matches(r, p, d)), prefixes, st.sampled_from(DATES)),
    st.builds(lambda p, n: (f"value-quantity={p}{n}", lambda r: number_matches(r, p, n, "")), prefixes, st.sampled_from(NUMBERS)),
    st.builds(lambda p, n: (f"value-quantity={p}{n}||kg", lambda r: number_matches(r, p, n, "kg")), prefixes, st.sampled_from(NUMBERS)),
    st.builds(lambda t: (f"code={t}", lambda r: code_matches(r, t)), tokens),
    st.builds(lambda t, u: (f"code={t},{u}", lambda r: code_matches(r, t) or code_matches(r, u)), tokens, tokens),
    st.builds(lambda t: (f"code:not={t}", lambda r: not code_matches(r, t)), tokens),
    st.builds(lambda s: (f"status={s}", lambda r: r["status"] == s), st.sampled_from(("final", "amended", "entered"))),
    st.builds(lambda i: (f"patient={i}", lambda r: r.get("subject", {}).get("reference") == f"Patient/{i}"), st.integers(0, 4)),
    st.builds(lambda b: (f"subject:missing={str(b).lower()}", lambda r: ("subject" in r) != b), st.booleans()),
)


def saved(found: tuple[list[Json], list[Json]]) -> tuple[Store, list[Json], list[Json]]:
    observed = [{**r, "id": f"o{i}"} for i, r in enumerate(found[0])]
    people = [{**r, "id": str(i)} for i, r in enumerate(found[1])]
    return Store([*people, *observed]), observed, people


@settings(max_examples=300, deadline=None)
@given(
    stores,
    st.lists(observation_criteria, min_size=1, max_size=3),
    st.sampled_from(("", "&_sort=-date", "&_sort=value-quantity,date")),
    st.sampled_from((1, 3, 100)),
)
def test_observations(found: Any, criteria: list[Any], sort: str, count: int) -> None:
    store, observed, _ = saved(found)
    query = "Observation?" + "&".join(text for text, _ in criteria) + sort + f"&_count={count}"
    expected = sorted(r["id"] for r in observed if all(test(r) for _, test in criteria))
    ids = store.ids(query)
    assert sorted(ids) == expected
    assert store.search(query + "&_total=accurate").total == len(expected)


@settings(max_examples=150, deadline=None)
@given(stores, st.sampled_from(("", "exact", "contains")), st.sampled_from((*NAMES, "an", "o", "%", "_")))
def test_names_and_chains(found: Any, modifier: str, text: str) -> None:
    store, observed, people = saved(found)
    named = "name" + (":" + modifier if modifier else "")
    expected = {r["id"] for r in people if name_matches(r, modifier, text)}
    assert set(store.ids(f"Patient?{named}={text}")) == expected
    chained = {r["id"] for r in observed if r.get("subject", {}).get("reference", "").removeprefix("Patient/") in expected}
    assert set(store.ids(f"Observation?subject:Patient.{named}={text}")) == chained


@settings(max_examples=150, deadline=None)
@given(stores, observation_criteria)
def test_reverse_chains(found: Any, criterion: Any) -> None:
    store, observed, people = saved(found)
    text, test = criterion
    pointed = {r["subject"]["reference"] for r in observed if "subject" in r and test(r)}
    name, _, value = text.partition("=")
    expected = {r["id"] for r in people if f"Patient/{r['id']}" in pointed}
    assert set(store.ids(f"Patient?_has:Observation:patient:{name}={value}")) == expected


@settings(max_examples=200, deadline=None)
@given(stores, st.sampled_from(("date", "-date", "value-quantity", "-value-quantity")), st.sampled_from((1, 2, 100)))
def test_sorted_by_index_or_not_is_the_same(found: Any, key: str, count: int) -> None:
    store, observed, _ = saved(found)
    alone = store.ids(f"Observation?_sort={key}&_count={count}")
    beside = store.ids(f"Observation?_sort={key}&_count={count}&_id={','.join(r['id'] for r in observed) or 'none'}")
    assert alone == beside
    assert len(alone) == len(observed)
