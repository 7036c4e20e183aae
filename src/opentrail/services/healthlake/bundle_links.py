"""What the entries of a transaction select and point to: their conditions, their conditional references, and what each becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from opentrail.calls.call import Call
from opentrail.services.healthlake import fhir_store, interactions, requests, store
from opentrail.services.healthlake.engine import bundle as engine
from opentrail.services.healthlake.engine.bundle import Entry
from opentrail.services.healthlake.engine.issues import FhirError, refuse
from opentrail.services.healthlake.engine.search.query import Search
from opentrail.store.sql import Snapshot


@dataclass(frozen=True, slots=True)
class Links:
    """The match of each conditional entry (by place; empty for none), which resource each fullUrl is, and which resource each
    conditional reference selects: `Type/id`."""

    matches: Mapping[int, str] = field(default_factory=dict)
    identities: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)

    @property
    def mapping(self) -> dict[str, str]:
        """What references become."""
        return {**self.identities, **self.references}


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of a bundle as searches, each parsed once: asked when it is taken apart and again in the write transaction."""

    base: str
    now: int
    parsed: dict[tuple[str, requests.Pairs], Search] = field(default_factory=dict)


def placed(error: FhirError, place: int) -> FhirError:
    """The refusal with the entry in its locations."""
    return FhirError(error.status, *(replace(one, location=f"/Bundle/entry[{place}]{one.location}") for one in error.issues))


def condition(entry: Entry) -> requests.Pairs:
    """What an entry is conditional on; empty when on nothing."""
    if entry.action in ("conditional-update", "conditional-patch", "conditional-delete"):
        return entry.criteria
    return requests.query(entry.if_none_exist) if entry.action == "create" and entry.if_none_exist else ()


def selected(
    snapshot: Snapshot, found: store.Datastore, call: Call, known: Conditions, type: str, pairs: requests.Pairs, place: int
) -> list[str]:
    """The ids that a condition selects, two at most."""
    interactions.allow_condition(call, type)
    try:
        if (type, pairs) not in known.parsed:
            known.parsed[type, pairs] = requests.criteria(type, pairs, known.base, known.now)
        return fhir_store.first_ids(snapshot, found.key, known.parsed[type, pairs])
    except FhirError as error:
        raise placed(error, place) from error


def expected(
    snapshot: Snapshot,
    found: store.Datastore,
    call: Call,
    known: Conditions,
    entries: Sequence[Entry],
    links: Links,
    texts: Mapping[str, int],
) -> Links:
    """What the conditions and the conditional references (text -> place of an entry that has it) will most likely select: what they
    select now, but for what the entries delete. Nothing is refused for it: the write transaction asks again, each in its turn."""
    matches: dict[int, str] = {}
    gone = {f"{entry.type}/{entry.id}" for entry in entries if entry.action == "delete"}
    for entry in sorted(entries, key=lambda one: one.method != "DELETE"):
        if pairs := condition(entry):
            matches[entry.place] = _one_but(selected(snapshot, found, call, known, entry.type, pairs, entry.place), entry.type, gone)
            if matches[entry.place] and entry.action == "conditional-delete":
                gone.add(f"{entry.type}/{matches[entry.place]}")
    references: dict[str, str] = {}
    for text, place in texts.items():
        type, _, query = text.partition("?")
        if id := _one_but(selected(snapshot, found, call, known, type, requests.query(query), place), type, gone):
            references[text] = f"{type}/{id}"
    return Links(matches, identified(links.identities, entries, matches), references)


def _one_but(ids: list[str], type: str, gone: Iterable[str]) -> str:
    left = [id for id in ids if f"{type}/{id}" not in gone]
    return left[0] if len(left) == 1 else ""


def identified(given: Mapping[str, str], entries: Iterable[Entry], matches: Mapping[int, str]) -> dict[str, str]:
    """Which resource each fullUrl is, given what the conditions select."""
    found = dict(given)
    for entry in entries:
        if entry.full_url and (match := matches.get(entry.place)):
            found[entry.full_url] = f"{entry.type}/{match}"
    return found


def match(snapshot: Snapshot, found: store.Datastore, call: Call, known: Conditions, entry: Entry) -> str:
    """The id of the one resource that an entry's condition selects, empty for none. Refused with 412 when it selects more."""
    ids = selected(snapshot, found, call, known, entry.type, condition(entry), entry.place)
    if len(ids) > 1:
        raise placed(refuse(412, "multiple-matches", "The condition selects more than one resource."), entry.place)
    return ids[0] if ids else ""


def referred(snapshot: Snapshot, found: store.Datastore, call: Call, known: Conditions, texts: Mapping[str, int]) -> dict[str, str]:
    """Which resource each conditional reference selects. Refused with 412 unless each selects one."""
    references: dict[str, str] = {}
    for text, place in texts.items():
        type, _, query = text.partition("?")
        ids = selected(snapshot, found, call, known, type, requests.query(query), place)
        if not ids:
            raise placed(refuse(412, "not-found", "A conditional reference selects no resource."), place)
        if len(ids) > 1:
            raise placed(refuse(412, "multiple-matches", "A conditional reference selects more than one resource."), place)
        references[text] = f"{type}/{ids[0]}"
    return references


class Identities:
    """Which entry changes which resource. To R4 no two entries of a transaction may change one, however they name it."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self.own: dict[int, str] = {}
        """The id of what each entry that changes something changes."""

    def claim(self, entry: Entry, id: str) -> None:
        """Refused with 400 when another entry changes it."""
        if self._places.setdefault(f"{entry.type}/{id}", entry.place) != entry.place:
            raise engine.overlapping(entry.place)
        self.own[entry.place] = id
