"""JSON Schema of a FHIR type, built from its element table.

One schema validates one resource type; resources inside it (contained, Bundle entries) are only objects here and get their
own validation. Keywords that begin with `x-` carry what an error means: `x-rule` (key, sentence), `x-min` (element name) and
`x-at` (the property that a rule on its parent is about).
Patterns are linear-time (no look-around), so no text can make them slow.
"""

from functools import cache
from typing import Any

from opentrail.services.healthlake.engine import definitions
from opentrail.services.healthlake.engine.definitions import Element
from opentrail.services.healthlake.engine.validation import rules
from opentrail.services.healthlake.engine.validation.written import missing

Schema = dict[str, Any]
_ZONE = r"(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_PARTIAL = {"pattern": r"^\d{4}(?:-(?:0[1-9]|1[0-2]))?$", "not": {"pattern": "^0000"}}
_DAY = {"format": "date", "not": {"pattern": "^0000"}}
_INSTANT = {"pattern": rf"^\d{{4}}-\d\d-\d\dT{_CLOCK}{_ZONE}$", "format": "date-time", "not": {"pattern": "^0000"}}
_CONTENT = "All FHIR elements must have a @value or children"
_NARRATIVE = "The narrative SHALL be well-formed XHTML with content, of basic formatting elements and attributes, without scripts"
_TEXT: Schema = {
    "type": "string",
    "minLength": 1,
    "pattern": r"^[^\x00-\x08\x0B\x0C\x0E-\x1F]*[^\s\x00-\x1F][^\x00-\x08\x0B\x0C\x0E-\x1F]*$",
}
_SIMPLE: Schema = {**missing("comparator"), "x-rule": ["sqty-1", "The comparator is not used on a SimpleQuantity"]}
_URI: Schema = {"type": "string", "pattern": r"^\S+$"}
WHOLE = "urn:json/whole"
"""The definition of a number that is written as an integer. `1.0` and `1e3` are none in FHIR; drafts behind 04 take them for one."""
_DRAFT_04: Schema = {"$schema": "http://json-schema.org/draft-04/schema#", "id": WHOLE, "type": "integer"}
_WHOLE: Schema = {"$ref": WHOLE}
PRIMITIVES: dict[str, Schema] = {
    "base64Binary": {
        "type": "string",
        "pattern": r"^(?:\s*[0-9a-zA-Z+/=]\s*[0-9a-zA-Z+/=]\s*[0-9a-zA-Z+/=]\s*[0-9a-zA-Z+/=]\s*)+$",
    },
    "boolean": {"type": "boolean"},
    "canonical": _URI,
    "code": {"type": "string", "pattern": r"^[^\s]+(?:\s[^\s]+)*$"},
    "date": {"type": "string", "anyOf": [_DAY, _PARTIAL]},
    "dateTime": {"type": "string", "anyOf": [_INSTANT, _DAY, _PARTIAL]},
    "decimal": {"type": "number"},
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
    "instant": {"type": "string", **_INSTANT},
    "integer": {**_WHOLE, "minimum": -(2**31), "maximum": 2**31 - 1},
    "markdown": _TEXT,
    "oid": {"type": "string", "pattern": r"^urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+$"},
    "positiveInt": {**_WHOLE, "minimum": 1, "maximum": 2**31 - 1},
    "string": _TEXT,
    "time": {"type": "string", "pattern": rf"^{_CLOCK}$"},
    "unsignedInt": {**_WHOLE, "minimum": 0, "maximum": 2**31 - 1},
    "uri": _URI,
    "url": _URI,
    "uuid": {"type": "string", "pattern": r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    "xhtml": {"type": "string", "allOf": [{"x-check": "txt-1", "x-rule": ["txt-1 and txt-2", _NARRATIVE]}]},
}
RESOURCE: Schema = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"type": "string"}}}
LOCAL = r"#\S*|"
REFERENCE_SHAPE = r"urn:\S+|https?://\S+|[A-Z][A-Za-z]+\?\S*|[^/\s#][^/\s]*"
ID_PART = r"[A-Za-z0-9\-.]{1,64}"


def reference_pattern(targets: tuple[str, ...]) -> str:
    """What Reference.reference may look like when it may point to these types (any when empty or `Resource`)."""
    names = [] if "Resource" in targets else [t for t in targets if definitions.is_resource_type(t)]
    kinds = "|".join(names or definitions.resource_types())
    return rf"^(?:{LOCAL}{REFERENCE_SHAPE}|(?:{kinds})/{ID_PART}(?:/_history/{ID_PART})?)$"


def any_of(schemas: list[Schema]) -> Schema:
    """One of the schemas holds."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def has(names: list[str]) -> Schema:
    """One of the properties is there."""
    return any_of([{"required": [n]} for n in names])


def bound(schema: Schema, kind: str, value_set: str) -> Schema:
    """The schema of a coded type with its required binding; unchanged when the codes cannot be listed."""
    pairs = definitions.bindings().get(value_set)
    if not pairs:
        return schema
    if kind == "code":
        return {"enum": sorted({code for _, code in pairs})}
    systems = sorted({system for system, _ in pairs})
    by_system = [
        {
            "properties": {"system": {"const": s}, "code": {"enum": sorted(c for t, c in pairs if t == s)}},
            "required": ["system", "code"],
        }
        for s in systems
    ]
    return (
        {**schema, "required": ["coding"], "properties": {"coding": {"contains": any_of(by_system)}}}
        if kind == "CodeableConcept"
        else schema
    )


def of_type(kind: str, element: Element) -> Schema:
    """The schema of one value of an element."""
    if kind == "Resource":
        return RESOURCE
    if element.path.endswith(".id") and definitions.is_resource_type(element.path[:-3]):
        return {"$ref": "#/$defs/id"}
    if definitions.is_primitive(kind):
        return bound({"$ref": f"#/$defs/{kind}"}, kind, element.bound)
    if kind == "Reference" and element.targets:
        return {"$ref": "#/$defs/Reference", "properties": {"reference": {"pattern": reference_pattern(element.targets)}}}
    if kind == "Quantity" and element.path in definitions.simple_quantities():
        return {"allOf": [{"$ref": "#/$defs/Quantity"}, _SIMPLE]}
    return bound({"$ref": f"#/$defs/{kind}"}, kind, element.bound)


def property_schemas(prop: str, element: Element, kind: str, extra: list[Schema]) -> dict[str, Schema]:
    """The property of an element, and its `_` twin when it is primitive."""
    value = of_type(kind, element)
    value = {"allOf": [value, *extra]} if extra else value
    primitive = definitions.is_primitive(kind)
    if not element.many:
        return {prop: value, **({"_" + prop: {"$ref": "#/$defs/Element"}} if primitive else {})}
    limit = {"maxItems": element.max} if element.max else {}
    if not primitive:
        return {prop: {"type": "array", "minItems": 1, **limit, "items": value}}
    either = {"anyOf": [value, {"type": "null"}]}
    twin = {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Element"}]}
    return {
        prop: {"type": "array", "minItems": 1, **limit, "items": either},
        "_" + prop: {"type": "array", "minItems": 1, "items": twin},
    }


def alternatives(path: str, name: str) -> list[list[str]]:
    """The properties that may hold the element, each with its `_` twin if primitive."""
    found = [(p, k) for p, (e, k) in definitions.properties(path).items() if e.name == name]
    return [[p, "_" + p] if definitions.is_primitive(k) else [p] for p, k in found]


def presence(path: str, element: Element) -> list[Schema]:
    """Cardinality and choice constraints of one element on its parent."""
    options = alternatives(path, element.name)
    flat = [p for option in options for p in option]
    found: list[Schema] = []
    if element.min:
        found.append({**has(flat), "x-min": element.name})
    if len(options) > 1:
        one = {"oneOf": [has(option) for option in options]}
        free = {"not": {"anyOf": [{"required": [p]} for p in flat]}}
        found.append({"anyOf": [free, one], "x-rule": ["choice", f"{element.name}[x] may have only one value"]})
    if element.many and len(options) == 1 and len(options[0]) == 2:
        prop = options[0][0]
        holes = [{"required": [p], "properties": {p: {"contains": {"type": "null"}}}} for p in options[0]]
        text = f"where {prop} or _{prop} has a null, the other needs an entry"
        found.append({"if": any_of(holes), "then": {"x-check": f"filled:{prop}"}, "x-rule": ["null", text]})
    return found


def object_schema(path: str) -> Schema:
    """The schema of a type or backbone path."""
    props: dict[str, Schema] = {}
    constraints: list[Schema] = []
    for prop, (element, kind) in definitions.properties(path).items():
        extra = [{**s, "x-rule": [key, human]} for key, human, s in rules.by_path().get(element.path, ()) if kind != element.path]
        props.update(property_schemas(prop, element, kind, extra))
    for element in definitions.children(path).values():
        constraints += presence(path, element)
    constraints += [{**s, "x-rule": [key, human]} for key, human, s in rules.by_path().get(path, ())]
    if path == "Extension":
        constraints = _extension_constraints()
    if path == "Reference":
        props["reference"] = {"type": "string", "pattern": reference_pattern(())}
    if path == "Period":
        constraints.append({"x-check": "per-1", "x-rule": ["per-1", "If present, start SHALL have a lower value than end"]})
    schema: Schema = {"type": "object", "properties": props, "additionalProperties": False}
    if definitions.types().get(path, {}).get("kind") == "resource":
        props["resourceType"] = {"const": path}
    else:
        schema["minProperties"] = 1
    twins = {"_" + p: _valued(p) for p, (_, kind) in definitions.properties(path).items() if definitions.is_primitive(kind)}
    alone = {} if path == "Element" or "resourceType" in props else {"id": {"minProperties": 2, "x-rule": ["ele-1", _CONTENT]}}
    if twins or alone:
        schema["dependentSchemas"] = {**twins, **alone}
    return {**schema, "allOf": constraints} if constraints else schema


def _valued(prop: str) -> Schema:
    return {"x-check": f"valued:{prop}", "x-rule": ["ele-1", _CONTENT], "x-at": prop}


def _extension_constraints() -> list[Schema]:
    """ext-1 in one look for the common shape of two properties, and in full for the others."""
    options = [p for option in alternatives("Extension", "value") for p in option]
    value = {
        "anyOf": [{"oneOf": [has(option) for option in alternatives("Extension", "value")]}],
        "not": {"required": ["extension"]},
    }
    nested = {"required": ["extension"], "not": has(options)}
    plain = {"maxProperties": 2, "minProperties": 2, "not": {"required": ["id"]}}
    rule = ["ext-1", "Must have either extensions or value[x], not both"]
    return [{"required": ["url"], "x-min": "url"}, {"anyOf": [plain, value, nested], "x-rule": rule}]


def _referenced(schema: object, found: set[str]) -> None:
    if isinstance(schema, dict):
        target = schema.get("$ref")
        if isinstance(target, str):
            found.add(target.removeprefix("#/$defs/"))
        for value in schema.values():
            _referenced(value, found)
    elif isinstance(schema, list):
        for value in schema:
            _referenced(value, found)


@cache
def definition(name: str) -> Schema:
    """The definition of a type, backbone path or primitive."""
    if name == WHOLE:
        return _DRAFT_04
    return PRIMITIVES[name] if name in PRIMITIVES else object_schema(name)


def closure(root: Schema) -> Schema:
    """A schema with all definitions that it refers to."""
    needed: set[str] = set()
    waiting: list[object] = [root]
    while waiting:
        found: set[str] = set()
        _referenced(waiting.pop(), found)
        for name in found - needed:
            needed.add(name)
            waiting.append(definition(name))
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**head, **root, "$defs": {name: definition(name) for name in sorted(needed)}}


def resource_schema(resource_type: str) -> Schema:
    """The complete schema of a resource type."""
    return closure({"$ref": f"#/$defs/{resource_type}"})


def common_shape(value: object) -> Any:
    """The same schema for resources of the common shape, which need fewer looks: no contained resources, no references to them (`#x`), no
    ids of elements. It accepts nothing that the whole schema refuses."""
    if isinstance(value, dict):
        kept = {k: common_shape(v) for k, v in value.items() if k not in ("contained", "dependentSchemas")}
        if "minProperties" in value and "properties" in value:
            del kept["properties"]["id"]
        return kept
    if isinstance(value, list):
        return [common_shape(v) for v in value]
    return value.replace(LOCAL, "") if isinstance(value, str) and value.startswith(f"^(?:{LOCAL}") else value
