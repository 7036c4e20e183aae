"""What a request calls: signing name first, then protocol and target headers, Host and path. Pure; tables come from the models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple, Protocol

from opentrail.calls.call import Request
from opentrail.contract import models
from opentrail.gateway.protocols import cbor, rest
from opentrail.gateway.protocols import query as forms
from opentrail.kernel.errors import Content, ServiceError

_SCOPE = re.compile(r"Credential=[^/,\s]+/\d{8}/[^/,\s]+/([^/,\s]+)/aws4_request")
_FHIR = re.compile(r"/datastore/([^/]+)/r4(?:/|\Z)")
_CBOR = re.compile(r"/service/([^/]+)/operation/([^/]+)\Z")
_LABEL = re.compile(r"\{(\w+)(\+?)\}")

_PROTOCOLS = {"json": "json", "query": "query", "rest-json": "rest_json", "rest-xml": "rest_xml"}


class Door(Protocol):
    """What resolving needs of a service: its botocore name and the names it is signed with."""

    @property
    def name(self) -> str: ...

    @property
    def signing_names(self) -> tuple[str, ...]: ...


class Resolved(NamedTuple):
    """`operation` is empty and `protocol` is `fhir` for FHIR requests, which the FHIR protocol names itself."""

    service: str
    operation: str
    protocol: str
    labels: Mapping[str, str]


class UnknownCall(ServiceError):
    """A request that calls nothing known; `protocol` is the one its caller speaks, `service` empty when that is unknown too."""

    def __init__(self, protocol: str, service: str, code: str, template: str, /, status: int = 400, **arguments: object) -> None:
        super().__init__(code, template, status=status, **arguments)
        self.protocol = protocol
        self.service = service


@dataclass(frozen=True, slots=True)
class _Route:
    """One operation's http trait. `fixed` are the sub-resources of its address, `query` and `headers` required members."""

    operation: str
    method: str
    address: str
    path: re.Pattern[str]
    fixed: Mapping[str, str]
    query: frozenset[str]
    headers: frozenset[str]
    rank: tuple[bool, int]
    """Literal paths go before labels, the newer of two alike before the deprecated."""


class Routes:
    """The services that are served, by every name under which a request may call them. Models load on first use.

    `fhir` names the service that owns /datastore/ID/r4 paths; empty when none does.
    """

    def __init__(self, services: Iterable[Door], fhir: str = "") -> None:
        self.fhir = fhir
        self.names: tuple[str, ...] = ()
        self.signed: dict[str, tuple[str, ...]] = {}
        for service in services:
            self.names += (service.name,)
            for name in service.signing_names:
                self.signed[name] = (*self.signed.get(name, ()), service.name)


def signing_name(request: Request) -> str:
    """The service part of the credential scope, from the Authorization header or a presigned query; empty when unsigned."""
    found = _SCOPE.search(request.header("authorization"))
    if found:
        return found.group(1)
    if "X-Amz-Credential=" in request.query:
        scope = rest.query(request.query).get("X-Amz-Credential", [""])[-1].split("/")
        return scope[-2] if len(scope) >= 5 else ""
    return ""


def resolve(request: Request, routes: Routes) -> Resolved:
    """The service, operation, protocol and decoded path labels of a request. Raises UnknownCall."""
    signed = signing_name(request)
    if signed and signed not in routes.signed:
        raise UnknownCall(
            _guess(request), "", "UnknownOperationException", "No service here is signed for as {name}.", 404, name=Content(signed)
        )
    candidates = routes.signed[signed] if signed else routes.names
    if routes.fhir in candidates and not request.header("x-amz-target") and _FHIR.match(request.path):
        return Resolved(routes.fhir, "", "fhir", {})
    if request.header("smithy-protocol") == cbor.PROTOCOL:
        return _by_address(request.path, candidates)
    if target := request.header("x-amz-target"):
        if request.method != "POST" or request.path not in ("", "/"):
            raise UnknownCall(
                "json", _only(candidates), "UnknownOperationException", "Calls with X-Amz-Target are POST requests to /.", 404
            )
        return _by_target(target, candidates)
    if not signed:
        candidates = _by_host(request.header("host"), candidates) or candidates
    return _by_form(request, candidates) or _by_path(request, candidates)


@lru_cache(maxsize=4096)
def _by_target(target: str, candidates: tuple[str, ...]) -> Resolved:
    prefix, _, operation = target.rpartition(".")
    for service in candidates:
        known = _target_prefix(service)
        # Old clients send the last word of a long prefix only: both are taken.
        if known and prefix in (known, known.rpartition(".")[2]):
            return Resolved(service, _known(service, operation, "json"), "json", {})
    raise UnknownCall("json", _only(candidates), "UnknownOperationException", "The target {target} is not known.", target=Content(target))


def _by_address(path: str, candidates: tuple[str, ...]) -> Resolved:
    """A call in RPC-v2-CBOR, which the header smithy-protocol announces: any service whose model lists the protocol."""
    found = _CBOR.match(path)
    for service in candidates if found else ():
        if found and found[1] == _target_prefix(service) and "smithy-rpc-v2-cbor" in _protocols(service):
            return Resolved(service, _known(service, found[2], "cbor"), "cbor", {})
    raise UnknownCall("cbor", _only(candidates), "UnknownOperationException", "The operation is not known.", 404)


def _by_host(host: str, candidates: tuple[str, ...]) -> tuple[str, ...]:
    label = host.partition(".")[0].lower()
    return tuple(service for service in candidates if models.front(service)["metadata"].get("endpointPrefix") == label)


def _by_form(request: Request, candidates: tuple[str, ...]) -> Resolved | None:
    """A Query call names its Action, and the Version of the API that it means, in a form at the root path."""
    spoken = [service for service in candidates if "query" in _protocols(service)]
    if not spoken or request.path not in ("", "/"):
        return None
    form = forms.fields(request)
    action, version = form.get("Action", ""), form.get("Version", "")
    if not action:
        if len(spoken) == len(candidates):
            raise UnknownCall("query", _only(candidates), "MissingAction", "The request must name an Action.")
        return None
    named = [service for service in spoken if models.front(service)["metadata"]["apiVersion"] == version]
    for service in named:
        if action in models.front(service)["operations"]:
            return Resolved(service, action, "query", {})
    raise UnknownCall(
        "query",
        _only(tuple(named)),
        "InvalidAction",
        "Could not find operation {action} for version {version}",
        action=Content(action),
        version=Content(version or "NO_VERSION_SPECIFIED"),
    )


def _by_path(request: Request, candidates: tuple[str, ...]) -> Resolved:
    """A REST call, by method, path and sub-resource. A service whose every path is literal goes before one of labels."""
    if not request.query and (known := _literal(candidates).get((request.method, request.path))):
        return known
    spoken = _spoken(candidates)
    for service in spoken:
        if found := _match(request, service):
            return found
    if not spoken:
        service = _only(candidates)
        raise UnknownCall(_guess(request), service, "UnknownOperationException", "The request names no operation.", 404)
    if _rest(spoken[-1]) == "rest_xml":
        raise UnknownCall("rest_xml", spoken[-1], "MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    raise UnknownCall("rest_json", _only(candidates), "UnknownOperationException", "No operation has this method and path.", 404)


@cache
def _spoken(candidates: tuple[str, ...]) -> Sequence[str]:
    """The services that speak REST, in the order in which they are asked."""
    return sorted((s for s in candidates if _rest(s)), key=lambda s: _rest(s) == "rest_xml")


@cache
def _literal(candidates: tuple[str, ...]) -> Mapping[tuple[str, str], Resolved]:
    """The operations that method and path alone name, where no other is at the same path."""
    found: dict[tuple[str, str], Resolved] = {}
    taken: set[tuple[str, str]] = set()
    for service in _spoken(candidates):
        every = [route for routes in _table(service)[0].values() for route in routes]
        if any(route.path.groups for route in every):
            break  # what follows would have to be weighed against its patterns
        places = [(route.method, route.address) for route in every]
        for route, place in zip(every, places, strict=True):
            if place not in taken and places.count(place) == 1 and not (route.fixed or route.query or route.headers):
                found[place] = Resolved(service, route.operation, _rest(service), {})
        taken.update(places)
    return found


def _match(request: Request, service: str) -> Resolved | None:
    methods, subresources = _table(service)
    fitting = [(route, match) for route in methods.get(request.method, ()) if (match := route.path.match(request.path or "/"))]
    if not fitting:
        return None
    asked = rest.query(request.query)
    named = subresources & asked.keys()
    # A sub-resource narrows the choice to its own operations: DELETE /bucket?analytics must never become DeleteBucket.
    fitting = [(r, m) for r, m in fitting if all(n in asked and (not v or v in asked[n]) for n, v in r.fixed.items())]
    if named:
        fitting = [(r, m) for r, m in fitting if named & r.fixed.keys()]
    if not fitting:
        return None
    whole = [(r, m) for r, m in fitting if r.query <= asked.keys() and r.headers <= request.headers.keys()]
    if whole:
        route, match = max(whole, key=lambda pair: (len(pair[0].fixed), len(pair[0].query), len(pair[0].headers), pair[0].rank))
    else:
        route, match = min(fitting, key=lambda pair: len(pair[0].query - asked.keys()) + len(pair[0].headers - request.headers.keys()))
    labels = {name: rest.unquote(text) for name, text in match.groupdict().items()}
    return Resolved(service, route.operation, _rest(service), labels)


@cache
def _table(service: str) -> tuple[Mapping[str, tuple[_Route, ...]], frozenset[str]]:
    """The routes of a REST service by method, and the names of its sub-resources."""
    model, methods, subresources = models.model(service), dict[str, tuple[_Route, ...]](), set[str]()
    for order, name in enumerate(model.operation_names):
        operation = model.operation_model(name)
        path, _, query = operation.http["requestUri"].partition("?")
        fixed = {part.partition("=")[0]: part.partition("=")[2] for part in query.split("&") if part}
        # The SDKs add x-id to tell operations apart in their own tests; servers do not look at it.
        fixed.pop("x-id", None)
        subresources.update(name for name, value in fixed.items() if not value)
        required: dict[str, set[str]] = {"querystring": set(), "header": set()}
        shape = operation.input_shape
        for member in shape.required_members if shape is not None else ():
            traits = shape.members[member].serialization
            if traits.get("location") in required:
                text = traits.get("name", member)
                required[traits["location"]].add(text.lower() if traits["location"] == "header" else text)
        deprecated = bool(operation.deprecated)
        rank = (not deprecated, -order)
        route = _Route(
            name, operation.http["method"], path, _pattern(path), fixed, frozenset(required["querystring"]), frozenset(required["header"]),
            rank,
        )  # fmt: skip
        methods[route.method] = (*methods.get(route.method, ()), route)
    # Literal paths first: /WriteGetObjectResponse is no bucket.
    literal = {m: tuple(r for r in routes if not r.path.groups) for m, routes in methods.items()}
    ordered = {m: literal[m] + tuple(r for r in routes if r.path.groups) for m, routes in methods.items()}
    return ordered, frozenset(subresources)


def _pattern(path: str) -> re.Pattern[str]:
    """The path's regular expression; a greedy label takes slashes, a trailing slash after a plain label is nothing."""
    text, at = "", 0
    for match in _LABEL.finditer(path):
        text += re.escape(path[at : match.start()])
        text += f"(?P<{match.group(1)}>{'.+' if match.group(2) else '[^/]+'})"
        at = match.end()
    tail = path[at:]
    return re.compile(text + re.escape(tail) + (r"/?\Z" if not tail and not path.endswith("+}") else r"\Z"), re.DOTALL)


def _known(service: str, operation: str, protocol: str) -> str:
    if operation not in models.front(service)["operations"]:
        raise UnknownCall(protocol, service, "UnknownOperationException", "The operation {name} is not known.", name=Content(operation))
    return operation


def _target_prefix(service: str) -> str:
    return str(models.front(service)["metadata"].get("targetPrefix", ""))


def _protocols(service: str) -> tuple[str, ...]:
    metadata = models.front(service)["metadata"]
    return tuple(metadata.get("protocols") or (metadata["protocol"],))


def _rest(service: str) -> str:
    """The REST protocol of a service, empty when it speaks none."""
    return next((_PROTOCOLS[name] for name in _protocols(service) if name.startswith("rest-")), "")


def _only(candidates: tuple[str, ...]) -> str:
    return candidates[0] if len(candidates) == 1 else ""


def _guess(request: Request) -> str:
    """The protocol that the caller of nothing known most likely speaks."""
    kind = request.header("content-type")
    if request.header("x-amz-target") or "x-amz-json" in kind:
        return "json"
    if "x-www-form-urlencoded" in kind:
        return "query"
    return "rest_json" if "json" in kind or not kind else "rest_xml"


def protocol_of(service: Any) -> str:
    """The protocol in which a service answers when a request does not tell."""
    name = next((name for name in _protocols(service) if name in _PROTOCOLS), "json")
    return _PROTOCOLS[name]
