"""Batch and transaction Bundles: reading entries, their order, and rewriting of references. Source: R4 http, 3.1.0.11.

parse_bundle(bundle) -> Bundle      entries with their interaction, all checked; those of a batch that cannot be read apart
steps(entries)                      the order in which a transaction acts
mentioned(resource, fullUrl)        what it may point to, and the conditional_references among it
rewritten(resource, mapping)        the resource, or the patch, with references replaced
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote

from opentrail.services.healthlake.engine import definitions, values
from opentrail.services.healthlake.engine.issues import FhirError, name, refuse

Json = dict[str, Any]
MAX_TRANSACTION = 100
MAX_ASYNC = 500
MAX_BATCH = 500
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
WRITES = ("create", "update", "conditional-update")
PATCHES = ("patch", "conditional-patch")
Action = Literal[
    "create",
    "read",
    "vread",
    "history",
    "search",
    "update",
    "conditional-update",
    "patch",
    "conditional-patch",
    "delete",
    "conditional-delete",
    "operation",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: what is asked, of which resource. `criteria` are the decoded pairs of a search or condition."""

    place: int
    full_url: str
    method: str
    action: Action
    type: str
    id: str
    version: str = ""
    criteria: tuple[tuple[str, str], ...] = ()
    operation: str = ""
    resource: Json | None = None
    if_match: str = ""
    if_none_match: str = ""
    if_none_exist: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """An entry of a batch that cannot be carried out, and why; method and type as far as they are FHIR's."""

    place: int
    method: str
    type: str
    error: FhirError


@dataclass(frozen=True, slots=True)
class Bundle:
    """A batch or transaction. Every entry is in one of the two lists; a transaction with an unreadable one is none."""

    type: Literal["batch", "transaction"]
    entries: tuple[Entry, ...]
    unread: tuple[Unread, ...] = ()


def _bad(place: int, text: str, status: int = 400) -> FhirError:
    return refuse(status, "structure", "Entry {} of the bundle: {}.", name(place), name(text), location=f"/Bundle/entry[{place}]")


def pairs(query: str) -> tuple[tuple[str, str], ...]:
    """The decoded (name, value) pairs of a query."""
    return tuple(parse_qsl(query, keep_blank_values=True, max_num_fields=200))


def _target(url: str, place: int) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    path, _, query = url.partition("?")
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if "://" in url or not parts[0]:
        raise _bad(place, "request.url is not relative to the data store")
    if not parts[0].startswith("$") and not definitions.is_resource_type(parts[0]):
        raise _bad(place, "request.url begins with no R4 resource type")
    return parts, pairs(query)


def _action(method: str, parts: list[str], criteria: tuple[tuple[str, str], ...], place: int) -> tuple[Action, str]:
    """The action of a request, and the operation's name when it is one."""
    size = len(parts)
    if parts[-1].startswith("$"):
        return "operation", parts[-1]
    if size > 1 and not values.is_id(parts[1]) and parts[1] not in ("_search", "_history"):
        raise _bad(place, "request.url names no valid id")
    if method in ("GET", "HEAD"):
        if size == 1:
            return "search", ""
        if parts[-1] == "_history":
            return "history", ""
        found: dict[int, Action] = {2: "read", 4: "vread"}
        if size in found and (size == 2 or parts[2] == "_history"):
            return found[size], ""
    elif method == "POST" and size == 1:
        return "create", ""
    elif method == "POST" and parts[1:] == ["_search"]:
        return "search", ""
    elif method in ("PUT", "PATCH", "DELETE") and size == 1 and criteria:
        return {"PUT": "conditional-update", "PATCH": "conditional-patch", "DELETE": "conditional-delete"}[method], ""  # type: ignore[return-value]
    elif method in ("PUT", "PATCH", "DELETE") and size == 2:
        return {"PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method], ""  # type: ignore[return-value]
    raise _bad(place, "request.method and request.url fit no interaction")


def _entry(place: int, row: Any) -> Entry:
    request = row.get("request") if isinstance(row, dict) else None
    if not isinstance(request, dict):
        raise _bad(place, "request is missing")
    method, url = request.get("method"), request.get("url")
    if method not in METHODS or not isinstance(url, str):
        raise _bad(place, "request.method or request.url is missing or wrong")
    parts, criteria = _target(url, place)
    action, operation = _action(method, parts, criteria, place)
    resource = row.get("resource")
    if action in (*WRITES, *PATCHES):
        resource = _body(place, action, parts, resource)
    texts = {key: request.get(key, "") for key in ("ifMatch", "ifNoneMatch", "ifNoneExist")}
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(row.get("fullUrl", ""), str):
        raise _bad(place, "a condition or fullUrl is no text")
    return Entry(
        place,
        row.get("fullUrl", ""),
        method,
        action,
        parts[0] if not parts[0].startswith("$") else "",
        parts[1] if len(parts) > 1 and parts[1][0] not in "_$" else "",
        parts[3] if action == "vread" else "",
        criteria,
        operation,
        resource,
        texts["ifMatch"],
        texts["ifNoneMatch"],
        request.get("ifNoneExist"),
    )


def _body(place: int, action: str, parts: list[str], resource: Any) -> Json:
    if not isinstance(resource, dict):
        raise _bad(place, "resource is missing")
    if action not in PATCHES and resource.get("resourceType") != parts[0]:
        raise _bad(place, "resource is not of the type that request.url names")
    if action == "update" and resource.get("id") != parts[1]:
        raise _bad(place, "resource.id is not the id that request.url names")
    return resource


def parse_bundle(bundle: Json, limit: int = MAX_TRANSACTION) -> Bundle:
    """The entries of a batch or transaction. Refused: 400 an entry of a transaction that cannot be read, by its place; 422 too many of
    them (`limit`: of a transaction). The entries of a batch stand alone: one that cannot be read refuses itself alone."""
    kind, rows = bundle.get("type"), bundle.get("entry", [])
    if bundle.get("resourceType") != "Bundle" or kind not in ("batch", "transaction"):
        raise refuse(400, "value", "Only a Bundle of type batch or transaction can be processed.")
    if not isinstance(rows, list):
        raise refuse(400, "structure", "Bundle.entry is no array.")
    most = limit if kind == "transaction" else MAX_BATCH
    if len(rows) > most:
        raise refuse(422, "too-costly", "A {} may have at most {} entries.", name(kind), name(most))
    if kind == "transaction":
        entries = [_entry(place, row) for place, row in enumerate(rows)]
        _distinct(entries)
        return Bundle("transaction", tuple(entries))
    found = [_read_or_not(place, row) for place, row in enumerate(rows)]
    return Bundle("batch", tuple(one for one in found if isinstance(one, Entry)), tuple(one for one in found if isinstance(one, Unread)))


def _read_or_not(place: int, row: Any) -> Entry | Unread:
    try:
        return _entry(place, row)
    except FhirError as error:
        request = row.get("request") if isinstance(row, dict) else None
        method, url = (request.get("method"), request.get("url")) if isinstance(request, dict) else (None, None)
        type = url.partition("?")[0].strip("/").partition("/")[0] if isinstance(url, str) else ""
        return Unread(place, method if method in METHODS else "", type if definitions.is_resource_type(type) else "", error)


def overlapping(place: int) -> FhirError:
    """The refusal of a transaction that would change one resource by two entries, or make what another one's condition selects."""
    return _bad(place, "it names a resource that another entry names")


def _distinct(entries: Iterable[Entry]) -> None:
    """Refuse a transaction that changes a resource twice or uses a fullUrl twice."""
    seen: set[str] = set()
    for entry in entries:
        own = [f"{entry.type}/{entry.id}"] if entry.id and entry.method in ("PUT", "PATCH", "DELETE") else []
        for key in [*own, *([entry.full_url] if entry.full_url and entry.method != "GET" else [])]:
            if key in seen:
                raise overlapping(entry.place)
            if key not in own or key != entry.full_url:
                seen.add(key)


class Steps(NamedTuple):
    """What a transaction does, in this order; the entries of one step in the order given."""

    deletes: list[Entry]
    creates: list[Entry]
    updates: list[Entry]
    patches: list[Entry]
    reads: list[Entry]


_STEP = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 3, "GET": 4, "HEAD": 4}


def steps(entries: Iterable[Entry]) -> Steps:
    """DELETE, POST, PUT, PATCH, GET. To R4, PUT and PATCH are one step: a patch may point to what an update makes."""
    found = Steps([], [], [], [], [])
    for entry in entries:
        found[_STEP["GET" if entry.action == "search" else entry.method]].append(entry)
    return found


def _reference_sites(value: Any, patch: bool) -> Iterator[tuple[Any, Any, str]]:
    """(holder, key, text) of every string that may be a reference: `reference` properties, and any that is a URN. In a patch also
    the texts that it sets `reference` properties to."""
    waiting = [value] if isinstance(value, dict | list) else []
    while waiting:
        node = waiting.pop()
        if patch and isinstance(node, dict):
            yield from _patched_sites(node)
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(child, dict | list):
                waiting.append(child)
            elif isinstance(child, str) and (key == "reference" or child.startswith("urn:")):
                yield node, key, child


def _patched_sites(node: Json) -> Iterator[tuple[Json, str, str]]:
    """Where an operation of a JSON Patch or FHIRPath Patch says what a `reference` becomes."""
    if isinstance(text := node.get("value"), str) and str(node.get("path", "")).endswith("/reference"):
        yield node, "value", text
    if node.get("name") == "reference" and isinstance(text := node.get("valueString"), str):
        yield node, "valueString", text
    rows = node.get("part")
    parts = {str(row.get("name")): row for row in rows if isinstance(row, dict)} if isinstance(rows, list) else {}
    aimed = {key: str(parts[key].get("valueString", "")) for key in ("path", "name") if key in parts}
    aims = aimed.get("path", "").endswith(".reference") or aimed.get("name") == "reference"
    if aims and "value" in parts and isinstance(text := parts["value"].get("valueString"), str):
        yield parts["value"], "valueString", text


def mentioned(value: Any, full_url: str, patch: bool = False) -> tuple[str, ...]:
    """What a resource, or with `patch` a patch document, may point to, each once: the keys by which `rewritten` looks into a mapping."""
    root = values.reference_parts(full_url)[0]
    found = [key for _, _, text in _reference_sites(value, patch) for key in _keys(text, root)]
    return tuple(dict.fromkeys([*found, *_LINKED.findall(_narrative(value))]))


def conditional_references(mentioned: Iterable[str]) -> list[str]:
    """Those of them that are conditional references: `Patient?identifier=x`."""
    return [text for text in mentioned if "?" in text and definitions.is_resource_type(text.partition("?")[0])]


_LINKED = re.compile(r'"(urn:[^"]*)"')


def _narrative(value: Any) -> str:
    text = value.get("text") if isinstance(value, dict) else None
    div = text.get("div") if isinstance(text, dict) else None
    return div if isinstance(div, str) else ""


def _keys(text: str, root: str) -> tuple[str, ...]:
    """What a reference may stand under in a mapping: as it is, without its fragment, and beside the fullUrl of who has it."""
    plain = text.partition("#")[0]
    relative = bool(root) and "://" not in plain and bool(values.reference_parts(plain)[1])
    return (text, plain, f"{root}/{plain}") if relative else (text, plain)


def rewritten(value: Any, mapping: Mapping[str, str], full_url: str = "", patch: bool = False) -> Any:
    """The resource, or with `patch` the patch document, with every reference that `mapping` (fullUrl or conditional reference ->
    Type/id) names replaced. A relative reference means what lies at the same server as `full_url`, the entry's own, when `mapping`
    names it there.

    Narrative links (`href="urn:uuid:..."`) are replaced too. What is given is left as it is.
    """
    if not isinstance(value, dict | list):
        return value
    found = values.copied(value)
    root = values.reference_parts(full_url)[0]
    for holder, key, text in list(_reference_sites(found, patch)):
        new = next((mapping[one] for one in _keys(text, root) if one in mapping), None)
        if new is not None:
            holder[key] = new if text in mapping else new + text[len(text.partition("#")[0]) :]
    if div := _narrative(found):
        found["text"]["div"] = _LINKED.sub(lambda link: f'"{mapping.get(link[1], link[1])}"', div)
    return found


def identities(entries: Iterable[Entry], new_ids: Iterator[str]) -> tuple[dict[int, str], dict[str, str]]:
    """(place -> id that each create gets, fullUrl -> Type/id of every entry that has both).

    Conditional creates and updates that match existing resources are the caller's to correct in both before rewriting.
    """
    given: dict[int, str] = {}
    mapping: dict[str, str] = {}
    for entry in entries:
        if entry.action in ("create", "conditional-update"):
            own = (entry.resource or {}).get("id") if entry.action == "conditional-update" else None
            given[entry.place] = own if isinstance(own, str) else next(new_ids)
        identity = entry.id or given.get(entry.place, "")
        if entry.full_url and identity and entry.type:
            mapping[entry.full_url] = f"{entry.type}/{identity}"
    return given, mapping
