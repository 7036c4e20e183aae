"""Comprehend Medical's door: the operations on one text, and the batch jobs of the same names."""

from __future__ import annotations

from opentrail.calls.operation import Compute, Operation, Service
from opentrail.services.comprehendmedical import jobs, texts
from opentrail.services.comprehendmedical.audit import AUDIT


def _on_text(name: str, compute: Compute) -> Operation:
    return Operation(name, texts.rights(f"comprehendmedical:{name}"), compute=compute, unchecked=("Text",))


OPERATIONS = (
    _on_text("DetectEntities", texts.detect_entities),
    _on_text("DetectEntitiesV2", texts.detect_entities),
    _on_text("DetectPHI", texts.detect_phi),
    _on_text("InferICD10CM", texts.infer_icd10cm),
    _on_text("InferSNOMEDCT", texts.infer_snomedct),
    _on_text("InferRxNorm", texts.infer_rxnorm),
    *(operation for family in jobs.FAMILIES for operation in family.operations()),
)

SERVICE = Service(
    name="comprehendmedical",
    operations={operation.name: operation for operation in OPERATIONS},
    audit=AUDIT,
    event_source="comprehendmedical.amazonaws.com",
    signing_names=("comprehendmedical",),
    action_prefix="comprehendmedical",
    invalid_code="InvalidRequestException",
)
