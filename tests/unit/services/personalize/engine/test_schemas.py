"""Schemas: what Personalize documents is accepted, everything else is refused with field and rule."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentrail.kernel.errors import HIDDEN, ServiceError
from opentrail.services.personalize.engine.schemas import KINDS, MOST_CHARACTERS, check_dataset_type, read_schema, rules


def field(name: str, kind: Any = "string", **attributes: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **attributes}


INTERACTIONS = [field("USER_ID"), field("ITEM_ID"), field("TIMESTAMP", "long")]


def text(name: str, fields: list[dict[str, Any]], /, **more: Any) -> str:
    return json.dumps(
        {"type": "record", "name": name, "namespace": "com.amazonaws.personalize.schema", "fields": fields, "version": "1.0", **more}
    )


def refusal(source: str, domain: str | None = None) -> str:
    with pytest.raises(ServiceError) as caught:
        read_schema(source, domain)
    assert caught.value.code == "InvalidInputException"
    return caught.value.for_caller()


def test_a_custom_interactions_schema() -> None:
    schema = read_schema(
        text(
            "Interactions",
            [
                *INTERACTIONS,
                field("EVENT_TYPE"),
                field("EVENT_VALUE", ["float", "null"]),
                field("DEVICE", ["null", "string"], categorical=True),
            ],
        )
    )
    assert [one.name for one in schema.fields] == ["USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE", "DEVICE"]
    assert [one.name for one in schema.metadata] == ["DEVICE"]
    value = schema.field("EVENT_VALUE")
    assert value is not None
    assert value.nullable
    assert value.numeric
    assert schema.field("NOTHING") is None


def test_every_record_of_the_rules_is_accepted_with_all_its_known_fields() -> None:
    for domain, records in rules().items():
        for name, rule in records.items():
            known = {**rule["required"], **rule["reserved"]}
            fields = [
                field(
                    one,
                    [how["type"], "null"] if how.get("nullable") else how["type"],
                    categorical=bool(how.get("categorical")),
                    textual=bool(how.get("textual")),
                )
                for one, how in known.items()
            ]
            schema = read_schema(text(name, [*fields, field("RANK", "int")]), None if domain == "CUSTOM" else domain)
            assert schema.name == name


@pytest.mark.parametrize("missing", ["USER_ID", "ITEM_ID", "TIMESTAMP"])
def test_required_fields(missing: str) -> None:
    fields = [one for one in INTERACTIONS if one["name"] != missing]
    assert refusal(text("Interactions", fields)) == f"The Interactions schema is missing the following required fields: [{missing}]."


def test_domain_groups_require_their_fields() -> None:
    assert "[EVENT_TYPE]" in refusal(text("Interactions", INTERACTIONS), "ECOMMERCE")
    assert "[PRICE, CATEGORY_L1]" in refusal(text("Items", [field("ITEM_ID")]), "ECOMMERCE")
    assert "[GENRES, CREATION_TIMESTAMP]" in refusal(text("Items", [field("ITEM_ID")]), "VIDEO_ON_DEMAND")
    assert "is not offered" in refusal(text("Items", [field("ITEM_ID")]), "GROCERIES")
    assert "must be one of Interactions, Users, Items" in refusal(text("Actions", [field("ACTION_ID")]), "ECOMMERCE")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (field("TIMESTAMP", "int"), "Field TIMESTAMP: its type must be long."),
        (field("TIMESTAMP", ["long", "null"]), "Field TIMESTAMP: its type must be long without null."),
        (field("EVENT_TYPE", "string", categorical=True), "Field EVENT_TYPE: it must not be categorical."),
        (field("EVENT_VALUE", "long"), "Field EVENT_VALUE: its type must be float."),
        (field("A", {"type": "array", "items": "string"}), "Field A: its type must be one of"),
        (field("A", ["string", "long"]), "Field A: its type must be one type"),
        (field("A", []), "Field A: its type must be one type"),
        (field("A", "bytes"), "Field A: its type must be one of"),
        (field("A B"), "a field name consists of"),
        (field("A", "long", categorical=True), "Field A: only a string field can be categorical."),
        (field("A", categorical="yes"), "Field A: categorical must be true or false."),
        (field("A", textual=True), "Field A: an Interactions schema may have at most 0 textual fields."),
        (field("A", textual=True, categorical=True), "Field A: a field cannot be both"),
        (field("USERID"), "Fields USER_ID and USERID: field names must differ"),
    ],
)
def test_fields_out_of_the_rules(bad: dict[str, Any], said: str) -> None:
    fields = [one for one in INTERACTIONS if one["name"] != bad["name"]]
    assert said in refusal(text("Interactions", [*fields, bad]))


def test_metadata_counts() -> None:
    assert "at least one metadata field" in refusal(text("Users", [field("USER_ID")]))
    assert "at least one metadata field" in refusal(text("Items", [field("ITEM_ID"), field("CREATION_TIMESTAMP", "long")]))
    many = [field(f"M{n}", "long") for n in range(26)]
    assert "has 26 metadata fields; at most 25" in refusal(text("Users", [field("USER_ID"), *many]))
    two = [field("ITEM_ID"), field("A", textual=True), field("B", textual=True)]
    assert "Field B: an Items schema may have at most 1 textual" in refusal(text("Items", two))
    assert read_schema(text("Users", [field("USER_ID"), field("SUBSCRIPTION_MODEL", categorical=True)]), "VIDEO_ON_DEMAND").metadata


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{", "not JSON: line 1, column 2"),
        ("[" * 19_999, "nested too deeply"),
        ("[]", "must be an Avro record"),
        (" " * (MOST_CHARACTERS + 1), "at most 20000 are allowed"),
        (text("Interactions", INTERACTIONS, namespace="com.example"), "namespace must be com.amazonaws.personalize.schema"),
        (text("Interactions", INTERACTIONS, version="2.0"), 'version must be "1.0"'),
        (text("Interactions", INTERACTIONS, name=3), "must have a name"),
        (text("Clicks", INTERACTIONS), "must be one of Interactions, Users, Items, Actions, ActionInteractions"),
        (text("Interactions", INTERACTIONS, fields={}), "must have a list of fields"),
        (text("Interactions", ["USER_ID"]), "must have a list of fields"),  # type: ignore[list-item]
    ],
)
def test_records_out_of_the_rules(source: str, said: str) -> None:
    assert said in refusal(source)


def test_the_type_of_the_dataset() -> None:
    schema = read_schema(text("Interactions", INTERACTIONS))
    check_dataset_type(schema, "Interactions")
    with pytest.raises(ServiceError, match="InvalidInputException") as caught:
        check_dataset_type(schema, "USERS")
    assert caught.value.for_caller() == "The schema's name must be Users for a dataset of type USERS; it is Interactions."
    with pytest.raises(ServiceError):
        check_dataset_type(schema, "THINGS")


def test_values_of_the_user_stay_out_of_records() -> None:
    with pytest.raises(ServiceError) as caught:
        read_schema(text("Patient Jones", INTERACTIONS))
    assert "Jones" not in caught.value.for_record()
    assert HIDDEN in caught.value.for_record()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([*KINDS, "null", "record", "Items", "ITEM_ID"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "type", "fields", "categorical", "x"]), inner),
    max_leaves=12,
)


@settings(deadline=None)
@given(name=json_values, fields=json_values, kind=json_values)
def test_any_json_is_either_a_schema_or_a_refusal(name: Any, fields: Any, kind: Any) -> None:
    source = text("Items", [field("ITEM_ID"), {"name": "A", "type": kind}], **({"name": name} if name else {"fields": fields}))
    with suppress(ServiceError):
        assert {one.kind for one in read_schema(source).fields} <= set(KINDS)
