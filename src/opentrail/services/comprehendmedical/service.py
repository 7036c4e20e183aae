"""Comprehend Medical's door: the operations on one text are offered; batch jobs are known and not offered yet."""

from __future__ import annotations

from opentrail.calls.operation import Operation, Service, right
from opentrail.services.comprehendmedical import texts
from opentrail.services.comprehendmedical.audit import AUDIT

OPERATIONS = (
    Operation("DetectEntities", right("comprehendmedical:DetectEntities"), compute=texts.detect_entities, unchecked=("Text",)),
    Operation("DetectEntitiesV2", right("comprehendmedical:DetectEntitiesV2"), compute=texts.detect_entities, unchecked=("Text",)),
    Operation("DetectPHI", right("comprehendmedical:DetectPHI"), compute=texts.detect_phi, unchecked=("Text",)),
    Operation("InferICD10CM", right("comprehendmedical:InferICD10CM"), compute=texts.infer_icd10cm, unchecked=("Text",)),
    Operation("InferSNOMEDCT", right("comprehendmedical:InferSNOMEDCT"), compute=texts.infer_snomedct, unchecked=("Text",)),
    Operation("InferRxNorm", right("comprehendmedical:InferRxNorm"), compute=texts.infer_rxnorm, unchecked=("Text",)),
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
