"""The filter language: the guide's examples, every refusal, and masks equal to a row-by-row evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.kernel.errors import ServiceError
from opentrail.services.personalize.engine.columns import NULL_LONG, Column
from opentrail.services.personalize.engine.entities import Entities
from opentrail.services.personalize.engine.filter_language import (
    Comparison,
    Expression,
    Filter,
    Parameter,
    check_filter,
    fields_of,
    parameters_of,
    parse_filter,
    parse_values,
)
from opentrail.services.personalize.engine.filter_plan import Attributes, Event, FilterTable, allowed, bind
from opentrail.services.personalize.engine.schemas import Field, Schema

GENRES = Field("GENRES", "string", nullable=True, categorical=True, metadata=True)
PRICE = Field("PRICE", "float", nullable=True, metadata=True)
YEAR = Field("YEAR", "long", nullable=True, metadata=True)
SCHEMAS = {
    "Items": Schema(
        "Items", None, (Field("ITEM_ID", "string"), GENRES, PRICE, YEAR, Field("ADULT", "boolean"), Field("ABOUT", "string", textual=True))
    ),
    "Interactions": Schema("Interactions", None, (Field("EVENT_TYPE", "string"), Field("DEVICE", "string", categorical=True))),
    "Users": Schema("Users", None, (Field("USER_ID", "string"), Field("AGE", "int"), Field("PLAN", "string", categorical=True))),
}
ITEMS = Entities(
    list("abcde"),
    {
        "GENRES": Column(GENRES, codes=np.array([0, 1, 2, -1, 0], np.int32), vocabulary=["drama", "war", "drama|war"]),
        "PRICE": Column(PRICE, numbers=np.array([1.0, 2.0, 3.0, np.nan, 5.0])),
        "YEAR": Column(YEAR, numbers=np.array([1990, 2000, NULL_LONG, 2010, 2020])),
    },
)


def passing(text: str, events: Sequence[Event] = (), user: Attributes | None = None, values: Mapping[str, str] | None = None) -> str:
    bound = bind(check_filter(parse_filter(text), SCHEMAS), values or {})
    mask = allowed(bound, FilterTable(ITEMS), events, user)
    return "all" if mask is None else "".join(np.array(ITEMS.ids)[mask])


def refusal(text: str) -> str:
    with pytest.raises(ServiceError) as caught:
        check_filter(parse_filter(text), SCHEMAS)
    return caught.value.for_caller()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('INCLUDE ItemID WHERE Items.GENRES IN ("drama")', "ace"),
        ('include itemid where items.genres in ("drama")', "ace"),
        ('INCLUDE ItemID WHERE Items.GENRES IN ("DRAMA")', ""),
        ('INCLUDE ItemID WHERE Items.GENRES = "war"', "bc"),
        ('EXCLUDE ItemID WHERE Items.GENRES IN ("drama", "war")', "d"),
        ('INCLUDE ItemID WHERE Items.GENRES NOT IN ("drama")', "bd"),
        ("INCLUDE ItemID WHERE Items.PRICE <= 2", "ab"),
        ("INCLUDE ItemID WHERE Items.PRICE > 2.5", "ce"),
        ("INCLUDE ItemID WHERE Items.YEAR < 2005", "ab"),
        ("INCLUDE ItemID WHERE Items.YEAR = 2010", "d"),
        ('INCLUDE ItemID WHERE Items.GENRES IN ("drama") AND Items.PRICE < 3 OR Items.YEAR >= 2010', "ade"),
        ('INCLUDE ItemID WHERE Items.GENRES IN ("war") | INCLUDE ItemID WHERE Items.PRICE = 5', "bce"),
        ('EXCLUDE ItemID WHERE Items.PRICE = 3 | INCLUDE ItemID WHERE Items.GENRES IN ("war")', "b"),
        ("EXCLUDE ItemID WHERE Items.PRICE = 3 | EXCLUDE ItemID WHERE Items.PRICE = 1", "bde"),
    ],
)
def test_attribute_conditions(text: str, expected: str) -> None:
    assert passing(text) == expected


def test_conditions_on_events() -> None:
    events = [
        Event(0, 1, {"EVENT_TYPE": "Click", "DEVICE": "phone"}),
        Event(1, 2, {"EVENT_TYPE": "buy", "DEVICE": "desk"}),
        Event(-1, 3, {"EVENT_TYPE": "click"}),
    ]
    assert passing('EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("CLICK")', events) == "bcde"
    assert passing('INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")', events) == "ab"
    assert passing("INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN (*)", events) == "ab"
    assert passing('INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("click") AND Interactions.DEVICE IN ("desk")', events) == ""
    assert passing('INCLUDE ItemID WHERE Interactions.EVENT_TYPE NOT IN ("click")', events) == "b"


def test_the_latest_hundred_events_of_each_type_count() -> None:
    events = [Event(0, 0, {"EVENT_TYPE": "view"}), Event(1, 0, {"EVENT_TYPE": "buy"})]
    events += [Event(2, time, {"EVENT_TYPE": "VIEW"}) for time in range(1, 101)]
    assert passing('INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")', events) == "bc"


def test_if_asks_the_current_user_once() -> None:
    text = "EXCLUDE ItemID WHERE Items.PRICE < 3 IF CurrentUser.AGE > 18 AND CurrentUser.AGE < 30"
    assert passing(text, user={"AGE": 20}) == "cde"
    assert passing(text, user={"AGE": 30}) == "all"
    assert passing(text, user={"AGE": None}) == "all"
    assert passing(text) == "all"
    assert passing('INCLUDE ItemID WHERE Items.PRICE < 3 IF CurrentUser.PLAN IN ("gold")', user={"PLAN": "gold|new"}) == "ab"


def test_parameters() -> None:
    text = "INCLUDE ItemID WHERE Items.GENRES IN ($GENRE) | EXCLUDE ItemID WHERE Items.YEAR = $YEAR"
    assert parameters_of(parse_filter(text)) == (frozenset({"GENRE"}), frozenset({"GENRE", "YEAR"}))
    assert passing(text, values={"GENRE": '"drama","war"', "YEAR": "1990"}) == "bce"
    assert passing(text, values={"GENRE": '"drama"', "YEAR": '"1990"'}) == "ce"
    assert passing(text, values={"GENRE": '"drama"'}) == "ace"
    bad: list[dict[str, str]] = [
        {},
        {"GENRE": "drama"},
        {"GENRE": '"a" "b"'},
        {"GENRE": '"a"', "OTHER": '"b"'},
        {"GENRE": '"a"', "YEAR": '"old"'},
    ]
    for values in bad:
        with pytest.raises(ServiceError, match="InvalidInputException"):
            passing(text, values=values)
    assert parse_values('"a,b", "say \\"hi\\""') == ("a,b", 'say "hi"')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must have 1 to 2500 characters"),
        ("INCLUDE", "position 8: expected ItemID or UserID or ActionID, found the end"),
        ("INCLUDE ItemID WHERE Items.PRICE < $P", "Placeholders can only be used with IN or EQ operator"),
        ("INCLUDE ItemID WHERE Items.PRICE < 1 ; DROP", "Invalid input symbol at position 37"),
        ('INCLUDE ItemID WHERE Items.GENRES IN "a"', "expected (, found"),
        ("INCLUDE ItemID WHERE Items.GENRES IN (a)", "expected a quoted string, a number or $NAME, found a"),
        ("INCLUDE ItemID WHERE Items.GENRES NOT = 3", "expected IN, NOT IN"),
        ('INCLUDE ItemID WHERE Items.GENRES IN ("a") EXTRA', "expected AND, OR, IF or |"),
        ('INCLUDE ItemID WHERE Items.GENRES IN ("a") AND Interactions.EVENT_TYPE IN ("b")', "Interactions and Items cannot be chained"),
        ("INCLUDE ItemID WHERE CurrentUser.AGE > 1", "CurrentUser can only be used after IF"),
        ("INCLUDE ItemID WHERE Items.PRICE > 1 IF Items.PRICE > 2", "IF can only check CurrentUser"),
        ("INCLUDE ItemID WHERE Users.AGE > 1", "ItemID cannot be filtered by Users"),
        ('INCLUDE ItemID WHERE Items.GENRES IN ("*")', "* can only be used alone and for EVENT_TYPE"),
        ('INCLUDE ItemID WHERE Items.COLOUR IN ("a")', "Items has no field COLOUR"),
        ("INCLUDE ActionID WHERE Actions.COST > 1", "Actions has no field COST"),
        ("INCLUDE ItemID WHERE Items.ADULT = 1", "field ADULT is of type boolean"),
        ('INCLUDE ItemID WHERE Items.ABOUT IN ("a")', "field ABOUT is textual"),
        ('INCLUDE ItemID WHERE Items.PRICE IN ("a")', "field PRICE is a number"),
        ('INCLUDE ItemID WHERE Items.PRICE = "a"', "field PRICE is a number"),
        ("INCLUDE ItemID WHERE Items.GENRES > 3", "field GENRES is a string"),
        ("INCLUDE ItemID WHERE Items.GENRES = 3", "field GENRES is a string"),
        ("INCLUDE UserID WHERE Users.AGE > 1 | INCLUDE ItemID WHERE Items.PRICE = 1", "must name the same ID"),
    ],
)
def test_refusals(text: str, said: str) -> None:
    assert said in refusal(text)


def test_distinct_fields_are_counted() -> None:
    assert fields_of(parse_filter('INCLUDE ItemID WHERE Items.A IN ("x") AND Items.A IN ("y") IF CurrentUser.B = 1')) == {
        ("Items", "A"),
        ("Users", "B"),
    }
    wide = Schema("Items", None, tuple(Field(f"F{n}", "long") for n in range(6)))
    text = "INCLUDE ItemID WHERE " + " AND ".join(f"Items.F{n} = 1" for n in range(6))
    with pytest.raises(ServiceError) as caught:
        check_filter(parse_filter(text), {"Items": wide})
    assert "6 distinct fields; at most 5" in caught.value.for_caller()


comparisons = st.one_of(
    st.builds(
        lambda op, values: Comparison("Items", "GENRES", op, tuple(values)),
        st.sampled_from(["IN", "NOT IN"]),
        st.lists(st.sampled_from(["drama", "war", "x"]), min_size=1, max_size=3),
    ),
    st.builds(
        lambda name, op, value: Comparison("Items", name, op, (float(value),)),
        st.sampled_from(["PRICE", "YEAR"]),
        st.sampled_from(["=", "<", "<=", ">", ">="]),
        st.sampled_from([0, 1, 2, 3, 5, 1990, 2000, 2020]),
    ),
)
groups = st.lists(st.lists(comparisons, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)
ages = st.sampled_from([(), (Comparison("CurrentUser", "AGE", ">", (18.0,)),)])
filters = st.lists(st.builds(Expression, st.booleans(), st.just("ItemID"), groups, ages), min_size=1, max_size=3).map(tuple)


def spoken(parsed: Filter) -> str:
    def comparison(one: Comparison) -> str:
        def value(each: object) -> str:
            return f"${each.name}" if isinstance(each, Parameter) else f'"{each}"' if isinstance(each, str) else f"{each:f}"

        values = ", ".join(map(value, one.values))
        return f"{one.dataset}.{one.field} {one.operator} " + (f"({values})" if "IN" in one.operator else values)

    def expression(one: Expression) -> str:
        where = " OR ".join(" AND ".join(map(comparison, group)) for group in one.where)
        when = " IF " + " AND ".join(map(comparison, one.when)) if one.when else ""
        return f"{'INCLUDE' if one.include else 'EXCLUDE'} {one.target} WHERE {where}{when}"

    return " | ".join(map(expression, parsed))


def slow(parsed: Filter, age: int) -> set[str]:
    def test(one: Comparison, row: int) -> bool:
        value = ITEMS.columns[one.field].value(row)
        if isinstance(value, str) or one.field == "GENRES":
            inside = bool(set(str(value).split("|")) & set(one.values)) if value is not None else False
            return inside == (one.operator == "IN")
        if value is None:
            return False
        number = one.values[0]
        assert isinstance(number, float)
        return {"=": value == number, "<": value < number, "<=": value <= number, ">": value > number, ">=": value >= number}[one.operator]

    counted = [one for one in parsed if not one.when or age > 18]
    hits = [{name for row, name in enumerate(ITEMS.ids) if any(all(test(c, row) for c in g) for g in one.where)} for one in counted]
    includes = [hit for hit, one in zip(hits, counted, strict=True) if one.include]
    keep = set().union(*includes) if includes else set(ITEMS.ids)
    return keep.difference(*(hit for hit, one in zip(hits, counted, strict=True) if not one.include))


@settings(deadline=None)
@given(filters, st.sampled_from([10, 40]))
def test_masks_equal_a_row_by_row_evaluation(parsed: Filter, age: int) -> None:
    text = spoken(parsed)
    assert parse_filter(text) == parsed
    mask = allowed(parsed, FilterTable(ITEMS), [], {"AGE": age})
    assert ({*ITEMS.ids} if mask is None else {name for name, ok in zip(ITEMS.ids, mask, strict=True) if ok}) == slow(parsed, age)


words = st.sampled_from(["INCLUDE", "ItemID", "WHERE", "Items", ".", "GENRES", "IN", "(", ")", '"', "$", "|", "1", "IF"])


@settings(deadline=None)
@given(st.text(max_size=60) | st.lists(words).map(" ".join))
def test_any_text_is_a_filter_or_a_refusal(text: str) -> None:
    with suppress(ServiceError):
        parse_filter(text)
