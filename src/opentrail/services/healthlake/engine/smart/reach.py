"""Which resources a grant reaches, as filters of a search.

    reach(grant, resource_type, action) -> Reach

A scope reaches a *circle* of patients: the launch patient (`patient/`), all (`system/`, and `user/` without fine-grained
authorisation), or those whom the user of the token cares for. A resource is within a circle when its patient compartment holds one of
its patients. Two types of the compartment are left out of it, because they would show other patients: a Patient that links to
another, and a Group by its members. Types outside the compartment are reached by whole circles alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from opentrail.services.healthlake.engine import compartments, definitions
from opentrail.services.healthlake.engine.issues import FhirError
from opentrail.services.healthlake.engine.search.parse import parse_search
from opentrail.services.healthlake.engine.search.paths import Parameter, parameters
from opentrail.services.healthlake.engine.search.query import Chain, Either, Filter, Has, HasId, Match, ReferenceValue
from opentrail.services.healthlake.engine.search.rows import IndexRows
from opentrail.services.healthlake.engine.smart.scopes import Action, Scope

SHARED = ("Patient", "Group")
"""Types of the patient compartment that hold more than one patient's data by it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: its scopes, the id of the launch patient, the user as `Type/id`, and whether `user/` scopes reach no
    further than the user's own circle."""

    scopes: tuple[Scope, ...]
    patient: str = ""
    user: str = ""
    fine: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """The resources of one type that one action is allowed on: all of them, or those that pass every filter of one option.

    `circles` are filters on Patient: the circles of the options without further criteria, by which a resource is judged that is
    not stored.
    """

    whole: bool = False
    options: tuple[tuple[Filter, ...], ...] = ()
    circles: tuple[Filter, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether no resource of the type is reached."""
        return not self.whole and not self.options

    def filters(self) -> tuple[Filter, ...]:
        """What a search must add to its own filters. Only for a reach that is neither whole nor nothing."""
        shared = tuple(f for f in self.options[0] if all(f in option for option in self.options))
        rest = [tuple(f for f in option if f not in shared) for option in self.options]
        return shared if not all(rest) else (*shared, Either(tuple(rest)))


WHOLE = Reach(True)
NOTHING = Reach()


@lru_cache(maxsize=4096)
def reach(grant: Grant, resource_type: str, action: Action) -> Reach:
    """What the grant reaches of a type by an action."""
    options: dict[tuple[Filter, ...], None] = {}
    circles: dict[Filter, None] = {}
    for scope in grant.scopes:
        if not scope.speaks_of(resource_type, action):
            continue
        criteria = _criteria(scope, resource_type)
        circle = _circle(grant, scope)
        if criteria is None or circle is None:
            continue
        within = _within(resource_type, circle) if circle else ()
        if within is None:
            continue
        if not within and not criteria:
            return WHOLE
        options[(*within, *criteria)] = None
        if not criteria:
            circles[circle[0]] = None
    return Reach(False, tuple(options), tuple(circles)) if options else NOTHING


@lru_cache(maxsize=4096)
def exportable(grant: Grant) -> frozenset[str]:
    """The types that the grant may export: those of which `system/` scopes read and search everything."""
    own = Grant(tuple(scope for scope in grant.scopes if scope.level == "system"))
    return frozenset(kind for kind in definitions.resource_types() if reach(own, kind, "r").whole and reach(own, kind, "s").whole)


def _circle(grant: Grant, scope: Scope) -> tuple[Filter, ...] | None:
    """The filter on Patient that a scope's circle is; () for all patients, None for no circle at all."""
    if scope.level == "patient":
        return (HasId((grant.patient,)),) if grant.patient else None
    if scope.level == "system" or not grant.fine:
        return ()
    kind, _, id = grant.user.partition("/")
    if kind == "Patient" and id:
        return (HasId((id,)),)
    if kind == "Practitioner" and id:
        return (Match(parameters("Patient")["general-practitioner"], "", (ReferenceValue(kind, id),)),)
    return None


def _within(resource_type: str, circle: tuple[Filter, ...]) -> tuple[Filter, ...] | None:
    """The filters on a type that a circle of patients means; None when the type is not in the compartment."""
    if resource_type == "Patient":
        return circle
    place = _placing(resource_type)
    if place is None:
        return None
    (one,) = circle
    if isinstance(one, HasId):
        return (Match(place, "Patient", tuple(ReferenceValue("Patient", id) for id in one.ids)),)
    return (Chain(place, (("Patient", one),)),)


@cache
def _placing(resource_type: str) -> Parameter | None:
    """All references that place a type in a patient's compartment, as one parameter."""
    codes = () if resource_type in SHARED else definitions.compartments()["Patient"].get(resource_type, ())
    found = [p for code in codes if (p := parameters(resource_type).get(code)) is not None and p.kind == "reference"]
    paths = tuple(dict.fromkeys(path for p in found for path in p.paths))
    return Parameter(resource_type, "(compartment)", "reference", ("Patient",), paths) if paths else None


def _criteria(scope: Scope, resource_type: str) -> tuple[Filter, ...] | None:
    """The criteria of a scope as filters; None when they are not plain search parameters of the type."""
    try:
        found = parse_search(resource_type, scope.criteria).filters if scope.criteria else ()
    except FhirError:
        return None
    plain = all(isinstance(f, Match) for f in found)
    return found if plain and len(found) == len(scope.criteria) else None


def stepped(filters: tuple[Filter, ...], resource_type: str) -> Iterator[str]:
    """The types that the chains of a search look into."""
    for one in filters:
        if isinstance(one, Chain):
            for kind, inner in one.targets:
                yield kind
                yield from stepped((inner,), kind)
        if isinstance(one, Has):
            yield one.source
            yield from stepped((one.filter,), one.source)


def patients(resource_type: str, id: str, rows: IndexRows) -> list[str]:
    """The patients whose circle a resource is within: its compartment, but for the types of SHARED."""
    if resource_type in SHARED:
        return [id] if resource_type == "Patient" else []
    return compartments.patients(resource_type, id, rows)
