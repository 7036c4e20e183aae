"""Reading a search request.

    parse_search(resource_type, pairs, handling) -> Search

`pairs` are the decoded (name, value) pairs of the query. With `handling` strict an unknown or unsupported parameter is refused
with 400; with lenient it is left out and named in the warnings. A wrong value of a known parameter is always refused.
"""

from collections.abc import Iterable
from typing import Literal

from opentrail.services.healthlake.engine import definitions, terminology, values
from opentrail.services.healthlake.engine.issues import FhirError, Issue, content, name, refuse
from opentrail.services.healthlake.engine.search import parse_values as read
from opentrail.services.healthlake.engine.search.offered import MODIFIERS_NOT_OFFERED, reason
from opentrail.services.healthlake.engine.search.offered import offered as parameters
from opentrail.services.healthlake.engine.search.paths import Parameter
from opentrail.services.healthlake.engine.search.query import (
    Chain,
    Created,
    Filter,
    Has,
    HasId,
    Include,
    InCompartment,
    Match,
    Missing,
    Search,
    SortKey,
    TextValue,
    TokenValue,
    Updated,
    Value,
)

Handling = Literal["strict", "lenient"]
MAX_CHAIN = 4
MAX_COUNT = 100
MAX_SORT = 5
MAX_FILTERS = 50
MODIFIERS: dict[str, tuple[str, ...]] = {
    "string": ("exact", "contains"),
    "token": ("not", "text", "in", "not-in", "above", "below", "of-type"),
    "reference": ("identifier",),
    "uri": ("above", "below"),
}
SUMMARIES = ("true", "false", "text", "data", "count")
IGNORED = ("_format", "_pretty")
ANY = "Binary"
"""A type that has no parameters but those of every type."""
OWN = ("_id", "_lastUpdated", "createdAt")
SORTABLE = ("string", "date", "number", "quantity", "token", "uri", "reference")


class _Unknown(Exception):
    """A parameter or modifier that is not offered; `issue` says which and why."""

    def __init__(self, issue: Issue) -> None:
        super().__init__()
        self.issue = issue


class _Unfit(FhirError):
    """What is asked cannot be asked of this type. In a chain over several types, the others may answer."""


def _unfit(template: str, *arguments: str) -> _Unfit:
    return _Unfit(400, Issue("error", "value", template, tuple(map(name, arguments))))


def _unknown(resource_type: str, code: str) -> _Unknown:
    why = reason(resource_type, code)
    if why:
        text = "The search parameter {} of {} is not offered: {}."
        return _Unknown(Issue("error", "not-supported", text, (name(code), name(resource_type), name(why))))
    return _Unknown(Issue("error", "not-supported", "The search parameter {} is not known for {}.", (content(code), name(resource_type))))


def _modifier_unknown(parameter: Parameter, modifier: str) -> FhirError:
    if why := MODIFIERS_NOT_OFFERED.get((parameter.kind, modifier)):
        text = "The modifier :{} is not offered for the search parameter {}: {}."
        return refuse(400, "not-supported", text, name(modifier), name(parameter.code), name(why))
    return refuse(
        400,
        "not-supported",
        "The modifier :{} is not offered for the search parameter {}.",
        content(modifier),
        name(parameter.code),
    )


class _Reader:
    """Reads the filters of one request; `now` is for `ap` on dates, `service` the data store's address, below which all is local."""

    def __init__(self, now: int | None, service: str) -> None:
        self.now, self.address = now, values.own_part(service)

    def filter(self, resource_type: str, key: str, text: str, depth: int = 0) -> Filter:
        """The filter of one (name, value) pair."""
        if depth > MAX_CHAIN:
            raise refuse(400, "too-costly", "A chain may have at most {} links.", name(MAX_CHAIN))
        if key.startswith("_has:"):
            return self.has(resource_type, key, text, depth)
        head, dot, rest = key.partition(".")
        if dot:
            return self.chain(resource_type, head, rest, text, depth)
        code, _, modifier = key.partition(":")
        if code in OWN:
            return self.own(code, modifier, text)
        parameter = parameters(resource_type).get(code)
        if parameter is None:
            raise _unknown(resource_type, code)
        if modifier == "missing":
            return self.missing(parameter, text)
        return self.match(parameter, modifier, text)

    def own(self, code: str, modifier: str, text: str) -> Filter:
        """`_id`, `_lastUpdated` and HealthLake's `createdAt`, which every resource has."""
        if modifier:
            raise refuse(400, "not-supported", "The search parameter {} takes no modifier.", name(code))
        parts = read.alternatives(code, text)
        if code != "_id":
            times = tuple(read.date(code, part, self.now) for part in parts)
            return Created(times) if code == "createdAt" else Updated(times)
        return HasId(tuple(read.plain(part) for part in parts))

    def missing(self, parameter: Parameter, text: str) -> Missing:
        if text not in ("true", "false"):
            raise read.bad(parameter.code, text, "true or false")
        return Missing(parameter, text == "true")

    def match(self, parameter: Parameter, modifier: str, text: str) -> Match:
        kind = parameter.kind
        if modifier and modifier not in MODIFIERS.get(kind, ()) and not (kind == "reference" and definitions.is_resource_type(modifier)):
            raise _modifier_unknown(parameter, modifier)
        if kind == "reference" and modifier and modifier != "identifier" and parameter.targets and modifier not in parameter.targets:
            raise _unfit("The search parameter {} does not point to {}.", parameter.code, modifier)
        parts = read.alternatives(parameter.code, text)
        return Match(parameter, modifier, tuple(v for part in parts for v in self.values(parameter, modifier, part)))

    def values(self, parameter: Parameter, modifier: str, text: str) -> list[Value]:
        """The values that one alternative stands for."""
        if modifier == "text":
            return [TextValue(read.plain(text))]
        if modifier in ("in", "not-in"):
            return [TokenValue(c.system, c.code) for c in terminology.members(read.plain(text))]
        if modifier in ("above", "below") and parameter.kind == "token":
            return self.hierarchy(parameter, modifier, text)
        if modifier == "of-type":
            return [self.of_type(parameter, text)]
        if modifier == "identifier":
            return [read.token(text)]
        return [read.one(parameter, text, self.now, self.address)]

    def hierarchy(self, parameter: Parameter, modifier: str, text: str) -> list[Value]:
        value = read.token(text)
        if not value.system or not value.code:
            raise read.bad(parameter.code, text, "system|code")
        find = terminology.ancestors if modifier == "above" else terminology.descendants
        codes = find(value.system, value.code)
        if codes is None:
            raise refuse(400, "not-supported", "The code hierarchy of {} is not held, or lacks this code.", content(value.system))
        return [TokenValue(value.system, code) for code in codes]

    def of_type(self, parameter: Parameter, text: str) -> TokenValue:
        parts = read.split(text, "|")
        if len(parts) != 3 or not parts[1] or not parts[2] or "Identifier" not in parameter.types:
            raise read.bad(parameter.code, text, "system|code|value of an identifier")
        return TokenValue(read.plain(parts[0]) or None, values.capped(f"{read.plain(parts[1])}|{read.plain(parts[2])}"))

    def chain(self, resource_type: str, head: str, rest: str, text: str, depth: int) -> Chain:
        """`subject:Patient.name` or `subject.name`."""
        code, _, wanted = head.partition(":")
        parameter = parameters(resource_type).get(code)
        if parameter is None:
            raise _unknown(resource_type, code)
        if parameter.kind != "reference":
            raise _unfit("The search parameter {} is no reference and cannot be chained.", code)
        if wanted and not definitions.is_resource_type(wanted):
            raise _modifier_unknown(parameter, wanted)
        if wanted and parameter.targets and wanted not in parameter.targets:
            raise _unfit("The search parameter {} does not point to {}.", code, wanted)
        kinds = (wanted,) if wanted else ((parameter.only_target,) if parameter.only_target else parameter.targets)
        found: list[tuple[str, Filter]] = []
        refused: _Unknown | _Unfit | None = None
        for kind in kinds:
            try:
                found.append((kind, self.filter(kind, rest, text, depth + 1)))
            except (_Unknown, _Unfit) as error:
                refused = error
        if not found:
            raise refused or _unknown(resource_type, code)
        return Chain(parameter, tuple(found))

    def has(self, resource_type: str, key: str, text: str, depth: int) -> Has:
        """`_has:Observation:patient:code`."""
        parts = key.split(":", 3)
        if len(parts) != 4 or not definitions.is_resource_type(parts[1]):
            raise refuse(400, "value", "A reverse chain looks like _has:Type:reference:parameter.")
        _, source, code, rest = parts
        parameter = parameters(source).get(code)
        if parameter is None:
            raise _unknown(source, code)
        if parameter.kind != "reference" or (parameter.targets and resource_type not in parameter.targets):
            raise _unfit("{}:{} does not point to {}.", source, code, resource_type)
        return Has(source, parameter, self.filter(source, rest, text, depth + 1))


def _include(key: str, text: str, resource_type: str) -> Include:
    word, _, modifier = key.partition(":")
    if modifier not in ("", "iterate"):
        raise refuse(400, "not-supported", "{} takes only the modifier :iterate.", name(word))
    reverse, iterate = word == "_revinclude", modifier == "iterate"
    source, _, rest = text.partition(":")
    if text == "*" and not reverse:
        return Include(resource_type, None, "", False, iterate)
    source = source or ("" if reverse else resource_type)
    code, _, target = rest.partition(":")
    if not definitions.is_resource_type(source):
        raise refuse(400, "value", "{} names no R4 resource type.", name(word))
    if target and not definitions.is_resource_type(target):
        raise refuse(400, "value", "The target of {} is no R4 resource type.", name(word))
    if code == "*":
        return Include(source, None, target, reverse, iterate)
    parameter = parameters(source).get(code)
    if parameter is None or parameter.kind != "reference":
        raise refuse(400, "value", "{} names no reference parameter of {}.", name(word), name(source))
    return Include(source, parameter, target, reverse, iterate)


def _sort(resource_type: str, text: str) -> tuple[SortKey, ...]:
    keys = []
    for part in text.split(","):
        code, descending = part.removeprefix("-"), part.startswith("-")
        parameter = parameters(resource_type).get(code)
        if code not in ("_id", "_lastUpdated") and (parameter is None or parameter.kind not in SORTABLE):
            raise refuse(400, "not-supported", "_sort names no sortable parameter of {}: {}.", name(resource_type), content(code))
        keys.append(SortKey(code, parameter, descending))
    if len(keys) > MAX_SORT:
        raise refuse(400, "too-costly", "_sort takes at most {} rules.", name(MAX_SORT))
    return tuple(keys)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 1 <= int(text) <= MAX_COUNT:
        raise refuse(400, "value", "_count must be a number from 0 to {}.", name(MAX_COUNT))
    return int(text)


def _choice(key: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        raise refuse(400, "value", "{} must be one of {}.", name(key), name(", ".join(allowed)))
    return text


def _elements(resource_type: str, text: str) -> tuple[str, ...]:
    wanted = tuple(part.removeprefix(resource_type + ".") for part in text.split(",") if part)
    known = definitions.children(resource_type)
    for part in wanted:
        if part.split(".")[0] not in known:
            raise refuse(400, "value", "_elements names no element of {}: {}.", name(resource_type), content(part))
    return tuple(part.split(".")[0] for part in wanted)


class _Controls:
    """The result parameters of one request."""

    def __init__(self, resource_type: str) -> None:
        self.resource_type = resource_type
        self.sort: tuple[SortKey, ...] = ()
        self.count, self.total, self.summary = MAX_COUNT, False, "false"
        self.counts_only = False
        self.elements: tuple[str, ...] = ()
        self.includes: list[Include] = []

    def take(self, key: str, text: str) -> bool:
        """Whether the pair was a result parameter."""
        if key.partition(":")[0] in ("_include", "_revinclude"):
            self.includes.append(_include(key, text, self.resource_type))
        elif key == "_sort":
            self.sort = _sort(self.resource_type, text)
        elif key == "_count":
            self.counts_only = text == "0"  # R4: the same as _summary=count
            self.count = MAX_COUNT if self.counts_only else _count(text)
        elif key == "_total":
            self.total = _choice(key, text, ("accurate", "none")) == "accurate"
        elif key == "_summary":
            self.summary = _choice(key, text, SUMMARIES)
        elif key == "_elements":
            self.elements = _elements(self.resource_type, text)
        else:
            return key in IGNORED
        return True

    def check(self) -> None:
        """Refuse what does not go together."""
        if self.elements and self.summary != "false":
            raise refuse(400, "value", "_elements and _summary cannot be used together.")
        if self.includes and self.summary == "text":
            raise refuse(400, "value", "_include and _revinclude cannot be used with _summary=text.")


def parse_search(
    resource_type: str,
    pairs: Iterable[tuple[str, str]],
    handling: Handling = "strict",
    *,
    now: int | None = None,
    service: str = "",
    case_sensitive: bool = False,
    inside: InCompartment | None = None,
) -> Search:
    """The search that a query asks for, `inside` a compartment if one is given. `now` (milliseconds) is needed for `ap` on dates only.
    See the module for refusals."""
    if not definitions.is_resource_type(resource_type):
        raise refuse(404, "not-supported", "{} is not an R4 resource type.", content(resource_type))
    reader, controls = _Reader(now, service), _Controls(resource_type)
    filters: list[Filter] = [inside] if inside else []
    warnings: list[Issue] = []
    names: list[str] = []
    for key, text in pairs:
        if not text:
            continue
        try:
            if not controls.take(key, text):
                filters.append(reader.filter(resource_type, key, text))
            names.append(key)
        except _Unknown as unknown:
            if handling == "strict":
                raise FhirError(400, unknown.issue) from None
            warnings.append(Issue("warning", unknown.issue.code, unknown.issue.template, unknown.issue.args))
    if len(filters) > MAX_FILTERS:
        raise refuse(400, "too-costly", "A search may have at most {} criteria.", name(MAX_FILTERS))
    controls.check()
    c = controls
    return Search(
        resource_type,
        tuple(filters),
        tuple(c.includes),
        c.sort,
        c.count,
        c.total,
        "count" if c.counts_only else c.summary,
        c.elements,
        case_sensitive,
        tuple(warnings),
        tuple(names),
    )


def parse_part(resource_type: str, pairs: Iterable[tuple[str, str]]) -> Search:
    """What a read asks to see of a resource: `_summary` or `_elements`. Refused with 400: anything else that would select."""
    controls = _Controls(resource_type)
    for key, text in pairs:
        if key not in ("_summary", "_elements", *IGNORED) or (key, text) == ("_summary", "count"):
            raise refuse(400, "not-supported", "A read takes no parameter {} with this value.", content(key))
        controls.take(key, text)
    controls.check()
    return Search(resource_type, summary=controls.summary, elements=controls.elements)
