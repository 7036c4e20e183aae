"""Values: intervals of dates, folded text, references and numbers."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.healthlake.engine import values

MOMENTS = st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year < 9999)


@given(MOMENTS)
def test_the_interval_of_a_second(moment: datetime) -> None:
    first, last = values.date_interval(moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%SZ")) or (0, 0)
    whole = moment.replace(microsecond=0)
    assert (
        first
        == (whole - datetime(1970, 1, 1, tzinfo=UTC)).days * 86_400_000 + (whole.hour * 3600 + whole.minute * 60 + whole.second) * 1000
    )
    assert last - first == 999


@given(st.dates(min_value=date(1, 1, 1), max_value=date(9999, 12, 31)))
def test_a_day_lies_in_its_month_and_year(day: date) -> None:
    text = day.isoformat()
    found = [values.date_interval(part) or (0, 0) for part in (text[:4], text[:7], text)]
    assert found[0][0] <= found[1][0] <= found[2][0] < found[2][1] <= found[1][1] <= found[0][1]
    assert found[2][1] - found[2][0] == values.DAY - 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20",
        "2023-00",
        "2023-02-29",
        "2023-04-31",
        "2023-1-1",
        "2023-01-01T24:00:00Z",
        "2023-01-01T10:00:00+15:00",
        "x",
        "2023-01-01 10:00",
        "٢٠٢٣",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert values.date_interval(text) is None


def test_zones_fractions_and_leap_seconds() -> None:
    assert values.date_interval("1970-01-01T01:00:00+01:00") == (0, 999)
    assert values.date_interval("1970-01-01T00:00:00.5Z") == (500, 599)
    assert values.date_interval("1970-01-01T00:00:00.123456Z") == (123, 123)
    assert values.date_interval("1970-01-01T00:00Z") == (0, 59_999)
    assert values.date_interval("1970-01-01T00:00:60Z") == (59_000, 59_999)


@given(st.integers(min_value=-62_000_000_000_000, max_value=253_000_000_000_000))
def test_a_moment_reads_back(milliseconds: int) -> None:
    text = values.moment(milliseconds)
    if len(text) == 24:
        assert values.date_interval(text) == (milliseconds, milliseconds)


@given(st.text(max_size=600))
def test_folding_is_idempotent_and_bounded(text: str) -> None:
    folded = values.fold(text)
    assert len(folded) <= values.MAX_TEXT
    assert "\x00" not in folded


@pytest.mark.parametrize(
    ("text", "folded"),
    [("Müller", "muller"), ("STRASSE", "strasse"), ("Straße", "strasse"), (" a  b\n", "a b"), ("Ångström", "angstrom")],
)
def test_folded(text: str, folded: str) -> None:
    assert values.fold(text) == folded


@given(st.text(max_size=600), st.text(max_size=600))
def test_capped_texts_are_equal_when_the_texts_are(left: str, right: str) -> None:
    assert len(values.capped(left)) <= values.MAX_TEXT
    if "\x00" not in left + right:
        assert (values.capped(left) == values.capped(right)) == (left == right)


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("Patient/1", ("", "Patient", "1")),
        ("Patient/1/_history/2", ("", "Patient", "1")),
        ("http://a.org/fhir/Patient/1", ("http://a.org/fhir", "Patient", "1")),
        ("urn:uuid:1", ("", "", "urn:uuid:1")),
        ("#a", ("", "", "")),
        ("", ("", "", "")),
    ],
)
def test_reference_parts(reference: str, parts: tuple[str, str, str]) -> None:
    assert values.reference_parts(reference) == parts
    assert values.reference_parts(reference, OWN) == parts


OWN = "/datastore/0123456789abcdef0123456789abcdef/r4"
SPELLINGS = [
    "{}/Patient/1", "{}/Patient/1/_history/3", "{}//Patient/1", "{}/Patient//1", "{}/Patient/%31", "{}/%50atient/1", "{}/./Patient/1",
    "{}/Group/../Patient/1", "{}/Patient/1?_summary=true", "{}/Patient/1#name", "{}/Patient/1/",
]  # fmt: skip
HOSTS = ["http://127.0.0.1:8080", "https://health.example", "HTTPS://Health.Example:443", "http://[::1]:8080", "https://h/proxied"]


@given(st.sampled_from(HOSTS), st.sampled_from(SPELLINGS))
def test_what_lies_at_an_own_address_is_local_however_it_is_spelled(host: str, spelling: str) -> None:
    assert values.reference_parts(spelling.format(host + OWN), OWN) == ("", "Patient", "1")


@pytest.mark.parametrize("reference", ["./Patient/1", "../r4/Patient/1", "Patient/%31", f"{OWN}/Patient/1", f"//h{OWN}/Patient/1"])
def test_relative_references_are_followed_as_clients_follow_them(reference: str) -> None:
    assert values.reference_parts(reference, OWN) == ("", "Patient", "1")


@pytest.mark.parametrize(
    "address",
    [
        f"http://a.org{OWN[:-4]}0/r4",
        f"http://a.org{OWN}/more",
        "http://a.org/r4",
        "http://a.org/datastore/r4",
        f"http://a.org{OWN.upper()}",
    ],
)
def test_other_addresses_keep_their_base(address: str) -> None:
    assert values.reference_parts(f"{address}/Patient/1", OWN) == (address, "Patient", "1")


@given(st.text(max_size=80) | st.text("/.:%?#[]Patien1hs-", max_size=40).map(lambda text: f"http://h{OWN}/{text}"))
def test_every_text_is_some_reference(text: str) -> None:
    base, kind, identity = values.reference_parts(text, OWN)
    assert (kind == "") or values.is_id(identity)
    assert not base or text.startswith(base)


@pytest.mark.parametrize("host", HOSTS)
def test_the_own_part_of_an_address(host: str) -> None:
    assert values.own_part(host + OWN) == values.own_part(host + OWN + "/") == OWN
    assert values.own_part(host + "/fhir/") == host + "/fhir"


@pytest.mark.parametrize(("text", "half"), [("100", "0.5"), ("100.00", "0.005"), ("1e2", "50"), ("0.30", "0.005"), ("-3", "0.5")])
def test_half_a_step(text: str, half: str) -> None:
    number = values.number(text)
    assert number is not None
    assert values.half_step(number) == Decimal(half)


@pytest.mark.parametrize("text", ["", "x", "1,5", "NaN", "Infinity", "1e9999", "1_0", "--1", "9" * 50])
def test_what_is_no_number(text: str) -> None:
    assert values.number(text) is None
