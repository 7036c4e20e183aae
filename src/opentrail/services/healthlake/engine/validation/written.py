"""Invariants that the subset of `rules` does not reach, written by hand: by element path and rule key, the schema that must hold.

Most say what breaks the rule and negate it. An element that has extensions only exists, but has no value to compare.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
UCUM = "http://unitsofmeasure.org"


def there(*names: str) -> Schema:
    """One of the properties is there, or its `_` twin."""
    return {"anyOf": [{"required": [one]} for name in names for one in (name, "_" + name)]}


def missing(*names: str) -> Schema:
    """None of the properties is there, nor a twin."""
    return {"not": there(*names)}


def where(**held: Schema) -> Schema:
    """An object in which the properties are there and fit."""
    return {"type": "object", "required": list(held), "properties": held}


def other(value: object) -> Schema:
    """Another value than this."""
    return {"not": {"const": value}}


def both(*schemas: Schema) -> Schema:
    """All of the schemas hold."""
    return {"allOf": list(schemas)}


def never(*schemas: Schema) -> Schema:
    """None of the schemas holds."""
    return {"not": {"anyOf": list(schemas)}}


def unlike(pattern: str) -> Schema:
    """A text that does not match."""
    return {"type": "string", "not": {"pattern": pattern}}


def number(**limit: object) -> Schema:
    """A number within a limit; texts are the type's business."""
    return {"type": "number", **limit}


def distinct(path: str) -> Schema:
    """`list.name`: no two entries of the list have one value of this name."""
    return {"x-check": f"distinct:{path}"}


_VALUE_WITHOUT_CODE = both(there("value"), missing("code"))
_NOT_UCUM = where(system=other(UCUM))
_NO_PERCENT = {"not": where(code={"const": "%"}, system={"const": UCUM})}
_AFTER_MEALS = {"enum": ["C", "CM", "CD", "CV"]}

WRITTEN: dict[tuple[str, str], Schema] = {
    ("Age", "age-1"): never(_VALUE_WITHOUT_CODE, _NOT_UCUM, where(value=number(maximum=0))),
    ("CapabilityStatement", "cpb-2"): there("description", "software", "implementation"),
    ("CapabilityStatement.rest", "cpb-9"): distinct("resource.type"),
    ("CapabilityStatement.rest.resource", "cpb-12"): distinct("searchParam.name"),
    ("Count", "cnt-3"): never(
        _VALUE_WITHOUT_CODE, _NOT_UCUM, where(code=other("1")), where(value={"type": "number", "not": {"type": "integer"}})
    ),
    ("Distance", "dis-1"): never(_VALUE_WITHOUT_CODE, _NOT_UCUM),
    ("Duration", "drt-1"): {"anyOf": [missing("code"), both(where(system={"const": UCUM}), there("value"))]},
    ("ElementDefinition", "eld-13"): distinct("type.code"),
    ("ElementDefinition", "eld-14"): distinct("constraint.key"),
    ("ElementDefinition", "eld-16"): never(where(sliceName=unlike(r"^[a-zA-Z0-9/\-_\[\]@]+$"))),
    ("ElementDefinition", "eld-18"): never(both(where(isModifier={"const": True}), missing("isModifierReason"))),
    ("ElementDefinition.binding", "eld-12"): never(where(valueSet=unlike("^(?:http:|https|urn:)"))),
    ("ElementDefinition.max", "eld-3"): never(unlike(r"^(?:\*|\+?\d+)$")),
    ("MolecularSequence", "msq-3"): {"not": where(coordinateSystem={"not": {"enum": [0, 1]}})},
    ("Questionnaire.item.enableWhen", "que-7"): never(both(where(operator={"const": "exists"}), missing("answerBoolean"))),
    ("Range", "rng-2"): {"if": {"required": ["low", "high"]}, "then": {"x-check": "rng-2"}},
    ("RiskAssessment.prediction", "ras-2"): never(where(probabilityDecimal=number(exclusiveMinimum=100))),
    ("RiskAssessment.prediction.probability[x]", "ras-1"): never(where(low=_NO_PERCENT), where(high=_NO_PERCENT)),
    ("TerminologyCapabilities", "tcp-2"): there("description", "software", "implementation"),
    ("TerminologyCapabilities.codeSystem", "tcp-1"): never(where(version={"minItems": 2, "contains": missing("code")})),
    ("Timing.repeat", "tim-4"): never(where(duration=number(exclusiveMaximum=0))),
    ("Timing.repeat", "tim-5"): never(where(period=number(exclusiveMaximum=0))),
    ("Timing.repeat", "tim-9"): never(both(there("offset"), {"anyOf": [missing("when"), where(when={"contains": _AFTER_MEALS})]})),
    ("TriggerDefinition", "trd-3"): never(
        both(where(type={"const": "named-event"}), missing("name")),
        both(where(type={"const": "periodic"}), missing("timingTiming", "timingReference", "timingDate", "timingDateTime")),
        both(where(type={"type": "string", "pattern": "^data-"}), missing("data")),
    ),
}
