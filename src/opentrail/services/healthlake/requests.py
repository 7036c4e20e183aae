"""What FHIR requests have in common: bodies, types, ids, conditions, preferences. All refusals are FhirErrors."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.fhir import FhirInput
from opentrail.contract.compiled import too_deep
from opentrail.kernel.repeated import repeated_key
from opentrail.services.healthlake import datastores, packages, store
from opentrail.services.healthlake.engine import definitions, exact, values
from opentrail.services.healthlake.engine.issues import content, name, refuse
from opentrail.services.healthlake.engine.search.blank import blank
from opentrail.services.healthlake.engine.search.parse import Handling, parse_search
from opentrail.services.healthlake.engine.search.query import Search
from opentrail.services.healthlake.engine.validation import LEVELS, Level, Profiles
from opentrail.store.sql import Snapshot

Json = dict[str, Any]
Pairs = tuple[tuple[str, str], ...]
MOST_BYTES = 4 * 1024 * 1024
MOST_PARAMETERS = 512
LAST_VERSION = 999_999_999
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,9})"')
_RETURN = re.compile(r"\breturn=(minimal|representation|OperationOutcome)\b")
_ASYNC = re.compile(r"\brespond-async\b")
_BYTE = re.compile(r"\(byte ([0-9]+)\)")
JSON_MEDIA = ("application/fhir+json", "application/json", "text/json")
_HANDLING = re.compile(r"\bhandling=(strict|lenient)\b")


def active(snapshot: Snapshot, call: Call, id: str) -> store.Datastore:
    """The caller's active data store, named in the record. Refused with 404 (the control plane's own answer is a 400)."""
    found = store.datastore(snapshot, id)
    if found is None or (found.account, found.region, found.status) != (call.account, call.region, "ACTIVE"):
        raise refuse(404, "not-found", "FHIR Data Store with id {} not found.", name(id))
    call.touch(datastores.TYPE, datastores.store_arn(found))
    return found


def milliseconds(call: Call) -> int:
    """When the call came."""
    return int(call.now * 1000)


def parse(body: bytes) -> Json:
    """The JSON object in a body. Refused: 400 for anything else and for an object with a key twice, 413 over the limit."""
    if not body:
        raise refuse(400, "required", "The request has no body; a resource as JSON is needed.")
    if len(body) > MOST_BYTES:
        raise refuse(413, "too-long", "A resource has at most {} bytes.", name(MOST_BYTES))
    too_deep(body, "ValidationException")
    try:
        found = msgspec.json.decode(body)
        repeated = repeated_key(body, found)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        place = _BYTE.search(str(error))
        where = f"it breaks off or errs at byte {place[1]}" if place else "it cannot be decoded"
        raise refuse(400, "structure", "The body is not JSON: {}.", name(where)) from None
    if not isinstance(found, dict):
        raise refuse(400, "structure", "The body must be a JSON object.")
    if repeated is not None:
        raise refuse(400, "structure", "The key {} stands twice in one object.", content(repeated))
    return found


def exactly(body: bytes) -> Json:
    """As `parse`, with `exact` numbers: for what becomes part of a resource without being read like one."""
    parse(body)
    found: Json = exact.decode(body)
    return found


def patch_document(body: bytes) -> Any:
    """The operations of a JSON Patch, which is no object, with `exact` numbers. Refused as by `parse`."""
    found = exactly(b'{"patch":' + body + b"}") if body else parse(body)
    if len(found) != 1:
        raise refuse(400, "structure", "The body is not JSON: {}.", name("something follows its value"))
    return found["patch"]


def resource(input: FhirInput) -> Json:
    """The JSON object in the body of a request. Refused as by `parse`, and with 415 for a body of another media type."""
    media = input.content_type.partition(";")[0].strip().lower()
    if media and media not in JSON_MEDIA:
        raise refuse(415, "not-supported", "A resource is sent as {}.", name(JSON_MEDIA[0]))
    return parse(input.body)


def raw_members(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level members of a body that `parse` accepts, undecoded: numbers keep their digits when they are stored."""
    return msgspec.json.decode(body, type=dict[str, msgspec.Raw])


def check_type(type: str | None) -> str:
    """The type. Refused with 404 when it is no R4 resource type."""
    if not type or not definitions.is_resource_type(type):
        raise refuse(404, "not-supported", "{} is not a resource type of FHIR R4.", content(type))
    return type


def check_id(id: str | None) -> str:
    """The id. Refused with 400 when it is none."""
    if not id or not values.is_id(id):
        raise refuse(400, "invalid", "A resource id has 1 to 64 of A-Z, a-z, 0-9, - and .")
    return id


def level(text: str) -> Level:
    """The validation level that the header asks for; strict when it asks for none."""
    if text and text not in LEVELS:
        raise refuse(400, "value", "x-amzn-healthlake-fhir-validation-level must be one of {}.", name(", ".join(LEVELS)))
    return text or "strict"


def profiles(call: Call) -> Profiles:
    """The profiles that are loaded now. Not for the lane, which takes what was there when the call was prepared."""
    return packages.profiles(call.tools.settings.folder)


def criteria(type: str, pairs: Pairs, base: str, now: int) -> Search:
    """The search of a conditional request. Refused with 400 when it would select everything, or more than its values say."""
    for key, text in pairs:
        if not text:
            raise refuse(400, "value", "The parameter {} of the condition has no value.", content(key))
    found = parse_search(type, pairs, "strict", now=now, service=base)
    if any(map(blank, found.filters)):
        raise refuse(400, "value", "A value of the condition says nothing, and would select whatever has the parameter.")
    if not found.filters:
        raise refuse(400, "required", "A conditional request needs a search parameter that selects.")
    return found


def query(text: str) -> Pairs:
    """The decoded pairs of a query or form. Refused with 400 when it cannot be read."""
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS))
    except (UnicodeDecodeError, ValueError):
        raise refuse(400, "structure", "A query or form is not percent-encoded UTF-8, or has too many parameters.") from None


def form(input: FhirInput) -> Pairs:
    """The pairs of a search by POST: of its query and of its form."""
    if not input.body:
        return input.parameters
    if input.content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise refuse(415, "not-supported", "A search by POST is a form: application/x-www-form-urlencoded.")
    try:
        text = input.body.decode("ascii")
    except UnicodeDecodeError:
        raise refuse(400, "structure", "The form is not percent-encoded.") from None
    return input.parameters + query(text)


def version_number(text: str) -> int:
    """The version that a path names; 0, which no resource has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def matched_versions(text: str) -> frozenset[int] | None:
    """The versions that an If-Match names, with `W/` or without; None for `*`, which any version matches. Refused with 400 when it has
    another form."""
    if text.strip() == "*":
        return None
    found = [_ETAG.fullmatch(one.strip()) for one in text.split(",")]
    if not all(found):
        raise refuse(400, "invalid", 'If-Match must be * or of the form W/"1", or a list of these.')
    return frozenset(int(match[1]) for match in found if match)


def wants_back(prefer: str) -> str:
    """What `Prefer: return=` asks for: minimal, representation (also without the header) or OperationOutcome."""
    match = _RETURN.search(prefer)
    return match[1] if match else "representation"


def wants_async(prefer: str) -> bool:
    """Whether `Prefer: respond-async` is asked for."""
    return _ASYNC.search(prefer) is not None


def handling(prefer: str) -> Handling:
    """What `Prefer: handling=` asks for; strict when nothing."""
    match = _HANDLING.search(prefer)
    return "lenient" if match and match[1] == "lenient" else "strict"


def unknown(type: str, id: str) -> Exception:
    """The refusal for a resource that never was."""
    return refuse(404, "not-found", "{}/{} is not known.", name(type), content(id))


def gone(updated: int) -> Exception:
    """The refusal for a deleted resource."""
    return refuse(410, "deleted", "The resource was deleted at {}.", name(values.moment(updated)))


def page_size(pairs: Pairs, most: int) -> int:
    """`_count`, or the most. Refused with 400 outside 1 to `most`."""
    text = dict(pairs).get("_count", str(most))
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 1 <= int(text) <= most:
        raise refuse(400, "value", "_count must be a number from 1 to {}.", name(most))
    return int(text)


def only(pairs: Pairs, *known: str) -> dict[str, str]:
    """The pairs as a mapping. Refused with 400 when a parameter is none of `known`."""
    for key, _ in pairs:
        if key not in known:
            raise refuse(400, "not-supported", "The parameter {} is not offered here.", content(key))
    return dict(pairs)
