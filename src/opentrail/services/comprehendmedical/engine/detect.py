"""The engine's door: one function for each text operation, answering in the shape of the API.

Offsets are code points (Python string indices). Texts of any size, language or content are answered; the size limits
of the API are the caller's to check. Nothing here remembers a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opentrail.services.comprehendmedical.engine import entities, link, mentions, phi, tagger, text
from opentrail.services.comprehendmedical.engine.entities import Findings
from opentrail.services.comprehendmedical.engine.icd10cm import Icd10Cm
from opentrail.services.comprehendmedical.engine.library import MODEL_VERSION, Library
from opentrail.services.comprehendmedical.engine.mentions import Mention
from opentrail.services.comprehendmedical.engine.phi import Protected
from opentrail.services.comprehendmedical.engine.rxnorm import RxNorm
from opentrail.services.comprehendmedical.engine.snomed import Snomed
from opentrail.services.comprehendmedical.engine.text import Document

Answer = dict[str, object]
CLINICAL = ("bc5cdr", "clinical")
NUMBERS = frozenset({"ID", "PHONE_OR_FAX", "EMAIL", "URL", "ADDRESS"})
"""Protected information whose words say nothing clinical."""


def detect_entities(source: str, library: Library) -> Answer:
    """DetectEntitiesV2: Entities (protected information among them), UnmappedAttributes, ModelVersion."""
    document = text.read(source, library.headers)
    found, private = _read(document, library, (*CLINICAL, "phi"))
    shapes = [entities.entity_shape(source, entity) for entity in found.entities]
    shapes += [entities.time_shape(source, *time) for time in found.times]
    first = 1 + max((entity.id for entity in found.entities), default=-1) + len(found.unmapped) + len(found.times)
    first += sum(len(entity.parts) for entity in found.entities)
    shapes += [entities.protected_shape(source, first + number, one) for number, one in enumerate(private)]
    shapes.sort(key=_offset)
    unmapped = [entities.unmapped_shape(source, *one) for one in found.unmapped]
    return {"Entities": shapes, "UnmappedAttributes": unmapped, "ModelVersion": MODEL_VERSION}


def detect_phi(source: str, library: Library) -> Answer:
    """DetectPHI: Entities of the category PROTECTED_HEALTH_INFORMATION, ModelVersion."""
    shapes = [entities.protected_shape(source, number, one) for number, one in enumerate(find_phi(source, library))]
    return {"Entities": shapes, "ModelVersion": MODEL_VERSION}


def find_phi(source: str, library: Library) -> list[Protected]:
    """Protected information in text order, without overlaps."""
    document = text.read(source, library.headers)
    return _read(document, library, ("phi",))[1]


def infer_icd10cm(source: str, library: Library, codes: Icd10Cm) -> Answer:
    """InferICD10CM: medical conditions with up to five ICD-10-CM concepts each."""
    return link.icd10cm(source, _findings(source, library), codes)


def infer_rxnorm(source: str, library: Library, codes: RxNorm) -> Answer:
    """InferRxNorm: medications with up to five RxNorm concepts each."""
    return link.rxnorm(source, _findings(source, library), codes)


def infer_snomedct(source: str, library: Library, codes: Snomed) -> Answer:
    """InferSNOMEDCT: conditions, anatomy, tests, treatments and procedures with up to five concepts each."""
    return link.snomedct(source, _findings(source, library), codes)


def _findings(source: str, library: Library) -> Findings:
    return _read(text.read(source, library.headers), library, CLINICAL)[0]


def _offset(shape: Answer) -> tuple[int, int]:
    return int(str(shape["BeginOffset"])), int(str(shape["Id"]))


def _read(document: Document, library: Library, heads: tuple[str, ...]) -> tuple[Findings, list[Protected]]:
    if not document.tokens:
        return Findings([], [], []), []
    tagged = tagger.tag(document, library.gazetteer, library.model, library.network, heads, library.eager)
    private = phi.protected(document, tagged.spans["phi"]) if "phi" in heads else []
    if "clinical" not in heads:
        return Findings([], [], []), private
    spoken = _beside(private, mentions.spoken_of(document, tagged, library.grammar, library.values))
    spoken = [replace(mention, score=library.calibration(mention.kind, mention.score)) for mention in spoken]
    found = entities.findings(document, spoken, tagged, library.cues, library.relations, library.signs)
    return found, private


def _beside(private: Sequence[Protected], spoken: Sequence[Mention]) -> list[Mention]:
    """Mentions that are no part of a number, an address or the like: "MRN 123" is no drug and "12 Oak Street" no value."""
    taken = [(one.begin, one.end) for one in private if one.type in NUMBERS]
    return [mention for mention in spoken if not any(begin < mention.end and mention.begin < end for begin, end in taken)]
