"""DetectEntitiesV2: mentions, their attributes and traits, in the shape of the API's answer.

Ids count over entities and attributes in one space; an attribute that is an entity too (a body part, the condition of a
time expression) keeps one id. Time expressions are told only when they belong to something, as the service does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentrail.services.comprehendmedical.engine import attach, context
from opentrail.services.comprehendmedical.engine.mentions import Mention, is_treatment
from opentrail.services.comprehendmedical.engine.phi import Protected
from opentrail.services.comprehendmedical.engine.rxnorm import BRANDS_OF_A
from opentrail.services.comprehendmedical.engine.tagger import Tagged
from opentrail.services.comprehendmedical.engine.text import Document

CATEGORIES = {
    "DX": "MEDICAL_CONDITION",
    "MED": "MEDICATION",
    "TEST": "TEST_TREATMENT_PROCEDURE",
    "PROC": "TEST_TREATMENT_PROCEDURE",
    "ANAT": "ANATOMY",
    "HABIT": "BEHAVIORAL_ENVIRONMENTAL_SOCIAL",
}
TIMES = {"MED": "MEDICATION_NAME", "DX": "DX_NAME", "TEST": "TEST_NAME", "PROC": "PROCEDURE_NAME"}
PART_CATEGORIES = {
    "ACUITY": "MEDICAL_CONDITION",
    "QUALITY": "MEDICAL_CONDITION",
    "DIRECTION": "ANATOMY",
    "SYSTEM_ORGAN_SITE": "ANATOMY",
    "TEST_VALUE": "TEST_TREATMENT_PROCEDURE",
    "TEST_UNIT": "TEST_TREATMENT_PROCEDURE",
    "AMOUNT": "BEHAVIORAL_ENVIRONMENTAL_SOCIAL",
}
TRAITS = {
    "DX": frozenset({"NEGATION", "PERTAINS_TO_FAMILY", "HYPOTHETICAL", "LOW_CONFIDENCE", "PAST_HISTORY"}),
    "MED": frozenset({"NEGATION", "PAST_HISTORY"}),
    "TEST": frozenset({"NEGATION", "FUTURE", "HYPOTHETICAL", "PAST_HISTORY"}),
    "PROC": frozenset({"NEGATION", "FUTURE", "HYPOTHETICAL", "PAST_HISTORY"}),
    "HABIT": frozenset({"NEGATION", "PAST_HISTORY"}),
    "ANAT": frozenset[str](),
}
"""Context traits that are told of each kind of mention."""
UNMAPPED = frozenset(attach.HEADS) - {"TIME", "SYSTEM_ORGAN_SITE", "DIRECTION", "FORM"}
"""Attributes that are told even when they belong to nothing; the others are too common as plain words."""
HEAD_KINDS = frozenset(CATEGORIES)
ROUND = 6


@dataclass(slots=True)
class Entity:
    """A mention with what belongs to it."""

    id: int
    mention: Mention
    category: str
    type: str
    traits: list[tuple[str, float]] = field(default_factory=list)
    parts: list[tuple[int, Mention, str, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Findings:
    """Entities in text order, attributes without a head (id, mention), and times (id, mention, entity, probability)."""

    entities: list[Entity]
    unmapped: list[tuple[int, Mention]]
    times: list[tuple[int, Mention, Entity, float]]


def findings(
    document: Document,
    mentions: Sequence[Mention],
    tagged: Tagged,
    cues: context.Cues,
    weights: Mapping[str, float],
    signs: Mapping[str, float],
) -> Findings:
    """Give every mention its type, traits and attributes."""
    brand = tagged.tags[0]
    entities = []
    parts = []
    for number, mention in enumerate(mentions):
        if mention.kind in HEAD_KINDS:
            entities.append(Entity(number, mention, CATEGORIES[mention.kind], _type(document, mention, brand)))
            if mention.kind == "ANAT":
                parts.append((number, mention))
        else:
            parts.append((number, mention))
    _give_traits(document, entities, cues, signs, tagged.tags[1])
    unmapped, times = _give_parts(document, entities, parts, weights)
    return Findings(entities, unmapped, times)


def _type(document: Document, mention: Mention, brand: Sequence[str]) -> str:
    if mention.kind == "MED":
        kinds = brand[mention.first][1:] if mention.first < len(brand) else ""
        if document.text[mention.begin : mention.end].lower() in BRANDS_OF_A:
            return "BRAND_NAME"
        return "BRAND_NAME" if "B" in kinds and "R" not in kinds else "GENERIC_NAME"
    if mention.kind == "PROC":
        return "TREATMENT_NAME" if is_treatment(document.text[mention.begin : mention.end]) else "PROCEDURE_NAME"
    return {"DX": "DX_NAME", "TEST": "TEST_NAME", "ANAT": "SYSTEM_ORGAN_SITE", "HABIT": mention.type}[mention.kind]


def _give_traits(
    document: Document, entities: Sequence[Entity], cues: context.Cues, signs: Mapping[str, float], listed: Sequence[str]
) -> None:
    marked = context.traits(document, cues, [(entity.mention.first, entity.mention.last) for entity in entities])
    for entity, traits in zip(entities, marked, strict=True):
        if entity.type in ("GENDER", "RACE_ETHNICITY"):
            continue
        allowed = TRAITS[entity.mention.kind]
        entity.traits += sorted((name, score) for name, score in traits.items() if name in allowed)
        if entity.mention.kind == "DX":
            entity.traits.insert(0, _nature(document, entity.mention, signs, listed))
        elif entity.type == "ALLERGIES" and document.text[entity.mention.begin : entity.mention.end].lower() in ("nkda", "nka"):
            entity.traits.append(("NEGATION", 0.95))


def _nature(document: Document, mention: Mention, signs: Mapping[str, float], listed: Sequence[str]) -> tuple[str, float]:
    """Whether a condition is a diagnosis, or a symptom (told) or sign (seen)."""
    words = [token.text.lower() for token in document.tokens[mention.first : mention.last]]
    odds = signs.get("", 0.0) + sum(signs.get(word, signs.get("~" + word[-4:], 0.0)) for word in words)
    kinds = set("".join(tag[1:] for tag in listed[mention.first : mention.last]))
    odds += 1.5 if "S" in kinds else -2.0 if kinds & set("HID") else 0.0
    chance = attach.probability([], {"bias": odds})
    if chance < 0.5:
        return "DIAGNOSIS", round(1.0 - chance, ROUND)
    section = document.section_at(mention.begin)
    return ("SIGN" if section in ("exam", "results") else "SYMPTOM"), round(chance, ROUND)


def _give_parts(
    document: Document, entities: Sequence[Entity], parts: Sequence[tuple[int, Mention]], weights: Mapping[str, float]
) -> tuple[list[tuple[int, Mention]], list[tuple[int, Mention, Entity, float]]]:
    words = [token.text for token in document.tokens]
    unmapped: list[tuple[int, Mention]] = []
    times: list[tuple[int, Mention, Entity, float]] = []
    heads, at_part, at_entity = list(entities), 0, 0
    for _, last in document.sentences:
        here: list[Entity] = []
        while at_entity < len(heads) and heads[at_entity].mention.first < last:
            here.append(heads[at_entity])
            at_entity += 1
        places = [attach.Place(entity.mention.kind, entity.mention.first, entity.mention.last) for entity in here]
        while at_part < len(parts) and parts[at_part][1].first < last:
            number, part = parts[at_part]
            at_part += 1
            kind = "SYSTEM_ORGAN_SITE" if part.kind == "ANAT" else part.kind
            best = attach.best_head(attach.Place(kind, part.first, part.last), places, words, weights)
            if best is None and kind == "DURATION":
                kind = "TIME"
                best = attach.best_head(attach.Place(kind, part.first, part.last), places, words, weights)
            if best is not None and kind == "TIME":
                times.append((number, part, here[best[0]], best[1]))
            elif best is not None:
                here[best[0]].parts.append((number, part, kind, best[1]))
            elif part.kind in UNMAPPED:
                unmapped.append((number, part))
    return unmapped, times


def rounded(score: float) -> float:
    """A score as it is answered."""
    return round(min(max(score, 0.0), 1.0), ROUND)


def attribute(text: str, number: int, part: Mention, kind: str, head: str, chance: float | None) -> dict[str, object]:
    """One Attribute of the API; `chance` is None for an attribute that belongs to nothing."""
    shape: dict[str, object] = {"Type": kind, "Score": rounded(part.score)}
    if chance is not None:
        shape |= {"RelationshipScore": rounded(chance), "RelationshipType": kind}
    shape |= {"Id": number, "BeginOffset": part.begin, "EndOffset": part.end, "Text": text[part.begin : part.end]}
    return shape | {"Category": PART_CATEGORIES.get(kind, head), "Traits": []}


def entity_shape(text: str, entity: Entity) -> dict[str, object]:
    """One Entity of the API."""
    attributes = [attribute(text, number, part, kind, entity.category, chance) for number, part, kind, chance in entity.parts]
    return _shape(text, entity.id, entity.mention, entity.category, entity.type, entity.traits, attributes)


def _shape(
    text: str,
    number: int,
    mention: Mention,
    category: str,
    kind: str,
    traits: Sequence[tuple[str, float]],
    attributes: Sequence[dict[str, object]],
) -> dict[str, object]:
    shape: dict[str, object] = {
        "Id": number,
        "BeginOffset": mention.begin,
        "EndOffset": mention.end,
        "Score": rounded(mention.score),
        "Text": text[mention.begin : mention.end],
        "Category": category,
        "Type": kind,
        "Traits": [{"Name": name, "Score": rounded(score)} for name, score in traits],
    }
    return shape | {"Attributes": list(attributes)} if attributes else shape


def time_shape(text: str, number: int, part: Mention, entity: Entity, chance: float) -> dict[str, object]:
    """A time expression, with the entity it belongs to as its attribute."""
    name = "TREATMENT_NAME" if entity.type == "TREATMENT_NAME" else TIMES[entity.mention.kind]
    shown = attribute(text, entity.id, entity.mention, entity.type, entity.category, chance)
    shown |= {
        "RelationshipType": "OVERLAP",
        "Category": entity.category,
        "Traits": [{"Name": n, "Score": rounded(s)} for n, s in entity.traits],
    }
    return _shape(text, number, part, "TIME_EXPRESSION", f"TIME_TO_{name}", (), [shown])


def protected_shape(text: str, number: int, one: Protected) -> dict[str, object]:
    """Protected health information as an Entity."""
    mention = Mention("PHI", one.begin, one.end, 0, 0, one.score)
    return _shape(text, number, mention, "PROTECTED_HEALTH_INFORMATION", one.type, (), ())


def unmapped_shape(text: str, number: int, part: Mention) -> dict[str, object]:
    """An UnmappedAttribute: an attribute that belongs to no entity, under the category it would have."""
    category = PART_CATEGORIES.get(part.kind, "MEDICATION")
    return {"Type": category, "Attribute": attribute(text, number, part, part.kind, category, None)}
