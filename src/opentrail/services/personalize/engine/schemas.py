"""Avro schemas of datasets: read, checked against Personalize's documented rules, and turned into plain field lists.

The rules per domain and dataset (required and reserved fields, types, how many metadata fields) are the table
`schema_rules.json`, taken from "Custom datasets and schemas", "ECOMMERCE ..." and "VIDEO_ON_DEMAND datasets and schemas" of
the Personalize developer guide. This module needs fastavro only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import fastavro
from fastavro.schema import SchemaParseException

from opentrail.kernel.errors import Content
from opentrail.services.personalize.engine.errors import InvalidInput

Kind = Literal["string", "int", "long", "float", "double", "boolean"]
KINDS: tuple[Kind, ...] = ("string", "int", "long", "float", "double", "boolean")
NAMESPACE = "com.amazonaws.personalize.schema"
VERSION = "1.0"
MOST_CHARACTERS = 20_000
DATASET_TYPES = {
    "INTERACTIONS": "Interactions",
    "ITEMS": "Items",
    "USERS": "Users",
    "ACTIONS": "Actions",
    "ACTION_INTERACTIONS": "ActionInteractions",
}
"""datasetType of the API to the record name its schema must carry."""

_NAME = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")
_ATTRIBUTES = ("categorical", "textual", "itemName")


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its Avro type without null, whether null is allowed, and the attributes that recipes read."""

    name: str
    kind: Kind
    nullable: bool = False
    categorical: bool = False
    textual: bool = False
    metadata: bool = False

    @property
    def numeric(self) -> bool:
        """Whether values compare as numbers."""
        return self.kind in ("int", "long", "float", "double")


@dataclass(frozen=True, slots=True)
class Schema:
    """A checked schema. `name` is the record name (Interactions, Items, ...), `domain` None for custom dataset groups."""

    name: str
    domain: str | None
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """The field called `name`, or None."""
        return next((one for one in self.fields if one.name == name), None)

    @property
    def metadata(self) -> tuple[Field, ...]:
        """The fields that describe (neither required identifiers nor keywords of the dataset)."""
        return tuple(one for one in self.fields if one.metadata)


@cache
def rules() -> Mapping[str, Mapping[str, Any]]:
    """The table of rules: domain (CUSTOM, ECOMMERCE, VIDEO_ON_DEMAND) to record name to its rules."""
    table: Mapping[str, Mapping[str, Any]] = json.loads(files(__package__).joinpath("schema_rules.json").read_text("utf-8"))
    return table


def read_schema(text: str, domain: str | None = None) -> Schema:
    """Check the Avro JSON `text` of a schema for `domain` (None: custom); raise InvalidInput naming field and rule."""
    record = _read_record(text)
    offered = rules().get(domain or "CUSTOM")
    if offered is None:
        raise InvalidInput("Domain {domain} is not offered: use ECOMMERCE or VIDEO_ON_DEMAND.", domain=Content(domain))
    rule = offered.get(record["name"])
    if rule is None:
        raise InvalidInput(
            "The schema's name must be one of {names} in a {domain} dataset group; it is {name}.",
            names=", ".join(offered),
            domain=domain or "custom",
            name=Content(record["name"]),
        )
    fields = tuple(_read_field(one, rule) for one in record["fields"])
    _check_unique(fields)
    _check_required(fields, record["name"], rule)
    _check_metadata(fields, record["name"], rule)
    return Schema(record["name"], domain, fields)


def check_dataset_type(schema: Schema, dataset_type: str) -> None:
    """Refuse a schema whose record name does not fit `dataset_type` (INTERACTIONS, ITEMS, ..., any case)."""
    expected = DATASET_TYPES.get(dataset_type.upper())
    if expected is None:
        raise InvalidInput(
            "The dataset type must be one of {types}; it is {given}.", types=", ".join(DATASET_TYPES), given=Content(dataset_type)
        )
    if schema.name != expected:
        raise InvalidInput(
            "The schema's name must be {expected} for a dataset of type {type}; it is {name}.",
            expected=expected,
            type=dataset_type.upper(),
            name=schema.name,
        )


def _read_record(text: str) -> dict[str, Any]:
    if len(text) > MOST_CHARACTERS:
        raise InvalidInput("The schema has {n} characters; at most {most} are allowed.", n=len(text), most=MOST_CHARACTERS)
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput("The schema is not JSON: line {line}, column {column}.", line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise InvalidInput("The schema is nested too deeply; Personalize schemas are flat.") from None
    if not isinstance(record, dict) or record.get("type") != "record":
        raise InvalidInput('The schema must be an Avro record: a JSON object with "type": "record".')
    if record.get("namespace") != NAMESPACE:
        raise InvalidInput("The schema's namespace must be {namespace}.", namespace=NAMESPACE)
    if record.get("version", VERSION) != VERSION:
        raise InvalidInput('The schema\'s version must be "{version}".', version=VERSION)
    if not isinstance(record.get("name"), str):
        raise InvalidInput("The schema must have a name that matches the dataset type.")
    if not isinstance(record.get("fields"), list) or not all(isinstance(one, dict) for one in record["fields"]):
        raise InvalidInput("The schema must have a list of fields, each a JSON object.")
    for one in record["fields"]:
        _check_shape(one)
    try:
        fastavro.parse_schema(record, _force=True)
    except (SchemaParseException, ValueError, TypeError, KeyError):
        raise InvalidInput("The schema is not a valid Avro schema.") from None
    return record


def _check_shape(field: Mapping[str, Any]) -> None:
    name = field.get("name")
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidInput(
            "Field {name}: a field name consists of letters, digits and underscores and starts with no digit.", name=Content(name)
        )
    kinds = field.get("type")
    listed = kinds if isinstance(kinds, list) else [kinds]
    plain = [one for one in listed if one != "null"]
    if any(not isinstance(one, str) or one not in KINDS for one in plain):
        raise InvalidInput(
            "Field {name}: its type must be one of {kinds}, alone or in a union with null; "
            "arrays, maps, records and other complex types are not supported.",
            name=name,
            kinds=", ".join(KINDS),
        )
    if len(plain) != 1 or len(listed) > 2:
        raise InvalidInput("Field {name}: its type must be one type, or a union of one type and null.", name=name)
    for attribute in _ATTRIBUTES:
        if not isinstance(field.get(attribute, False), bool):
            raise InvalidInput("Field {name}: {attribute} must be true or false.", name=name, attribute=attribute)
        if field.get(attribute) and plain[0] != "string":
            raise InvalidInput("Field {name}: only a string field can be {attribute}.", name=name, attribute=attribute)
    if field.get("categorical") and field.get("textual"):
        raise InvalidInput("Field {name}: a field cannot be both categorical and textual.", name=name)


def _read_field(raw: Mapping[str, Any], rule: Mapping[str, Any]) -> Field:
    kinds = raw["type"] if isinstance(raw["type"], list) else [raw["type"]]
    known = rule["required"].get(raw["name"]) or rule["reserved"].get(raw["name"])
    field = Field(
        name=raw["name"],
        kind=next(one for one in kinds if one != "null"),
        nullable="null" in kinds,
        categorical=raw.get("categorical", False),
        textual=raw.get("textual", False),
        metadata=known is None or bool(known.get("metadata") or known.get("categorical")),
    )
    if known is not None:
        _check_known(field, known)
    return field


def _check_known(field: Field, known: Mapping[str, Any]) -> None:
    if field.kind != known["type"]:
        raise InvalidInput("Field {name}: its type must be {kind}.", name=field.name, kind=known["type"])
    if field.nullable and not known.get("nullable"):
        raise InvalidInput("Field {name}: its type must be {kind} without null.", name=field.name, kind=known["type"])
    for attribute in ("categorical", "textual"):
        wanted = bool(known.get(attribute))
        if getattr(field, attribute) != wanted:
            raise InvalidInput(
                "Field {name}: it must {be} {attribute}.", name=field.name, be="be" if wanted else "not be", attribute=attribute
            )


def _check_unique(fields: tuple[Field, ...]) -> None:
    seen: dict[str, str] = {}
    for field in fields:
        key = field.name.replace("_", "").upper()
        if key in seen:
            raise InvalidInput(
                "Fields {first} and {second}: field names must differ by more than underscores and case.",
                first=seen[key],
                second=field.name,
            )
        seen[key] = field.name


def _check_required(fields: tuple[Field, ...], name: str, rule: Mapping[str, Any]) -> None:
    missing = [one for one in rule["required"] if one not in {field.name for field in fields}]
    if missing:
        raise InvalidInput(
            "The {name} schema is missing the following required fields: [{missing}].", name=name, missing=", ".join(missing)
        )


def _check_metadata(fields: tuple[Field, ...], name: str, rule: Mapping[str, Any]) -> None:
    described = [field for field in fields if field.metadata]
    textual = [field.name for field in fields if field.textual]
    own = [field for field in described if field.name not in rule["required"] and field.name not in rule["reserved"]]
    if len(described) < rule["least_metadata"]:
        raise InvalidInput("The {name} schema must have at least one metadata field.", name=name)
    if len(own) > rule["most_metadata"]:
        raise InvalidInput(
            "The {name} schema has {n} metadata fields; at most {most} are allowed.",
            name=name,
            n=len(own),
            most=rule["most_metadata"],
        )
    if len(textual) > rule.get("most_textual", 0):
        raise InvalidInput(
            "Field {field}: an {name} schema may have at most {most} textual fields.",
            field=textual[-1],
            name=name,
            most=rule.get("most_textual", 0),
        )
