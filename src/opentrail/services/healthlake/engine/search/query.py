"""A parsed search: what `parse` makes and `sql` compiles."""

from dataclasses import dataclass, field
from decimal import Decimal

from opentrail.services.healthlake.engine.issues import Issue
from opentrail.services.healthlake.engine.search.paths import Parameter


@dataclass(frozen=True, slots=True)
class TokenValue:
    """`code`, `system|code`, `|code` (system "") or `system|`; None = not asked."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """`id`, `Type/id`, or an address: `base` is the address of another server, `url` the text of any other address."""

    type: str
    id: str
    base: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class TextValue:
    """The text of a string or uri."""

    text: str


@dataclass(frozen=True, slots=True)
class DateValue:
    """A prefix and the milliseconds that the date covers; for `ap` already widened."""

    prefix: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class QuantityValue:
    """A prefix, a number, half a unit of its last digit, and the unit's system and code (None = any)."""

    prefix: str
    value: Decimal
    half: Decimal
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class CompositeValue:
    """One value per component."""

    parts: tuple["Value", ...]


Value = TokenValue | ReferenceValue | TextValue | DateValue | QuantityValue | CompositeValue


@dataclass(frozen=True, slots=True)
class Match:
    """The parameter has one of the values; `modifier` without colon, "" for none, a resource type for `:Patient`."""

    parameter: Parameter
    modifier: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """The parameter has no value (or has one)."""

    parameter: Parameter
    missing: bool


@dataclass(frozen=True, slots=True)
class HasId:
    """The resource has one of these ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Updated:
    """The resource was last updated at one of these times."""

    values: tuple[DateValue, ...]


@dataclass(frozen=True, slots=True)
class Created:
    """The first version of the resource was written at one of these times."""

    values: tuple[DateValue, ...]


@dataclass(frozen=True, slots=True)
class InCompartment:
    """The resource is in the compartment of a resource: `Patient`, `123`."""

    compartment: str
    id: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A reference points to a resource that passes the filter made for its type."""

    parameter: Parameter
    targets: tuple[tuple[str, "Filter"], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """A resource of type `source` that passes the filter points here by `parameter`."""

    source: str
    parameter: Parameter
    filter: "Filter"


@dataclass(frozen=True, slots=True)
class Either:
    """The resource passes every filter of one of the options; each has at least one."""

    options: tuple[tuple["Filter", ...], ...]


Filter = Match | Missing | HasId | Updated | Created | InCompartment | Chain | Has | Either


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` (parameter of a match) or `_revinclude` (parameter of the resource to add); no parameter = all."""

    source: str
    parameter: Parameter | None
    target: str
    reverse: bool
    iterate: bool


@dataclass(frozen=True, slots=True)
class SortKey:
    """Sort by a parameter, or by `_id` or `_lastUpdated` (no parameter)."""

    code: str
    parameter: Parameter | None
    descending: bool


@dataclass(frozen=True, slots=True)
class Search:
    """A search of one resource type."""

    resource_type: str
    filters: tuple[Filter, ...] = ()
    includes: tuple[Include, ...] = ()
    sort: tuple[SortKey, ...] = ()
    count: int = 100
    total: bool = False
    summary: str = "false"
    elements: tuple[str, ...] = ()
    case_sensitive: bool = False
    warnings: tuple[Issue, ...] = ()
    names: tuple[str, ...] = field(default=())
    """The parameter names that were used, as written and known: for the record; never values."""
