"""What records keep of Comprehend Medical's calls. Clinical text is never kept."""

from __future__ import annotations

from opentrail.calls.operation import NOTHING, Audit

AUDIT: dict[str, Audit] = dict.fromkeys(
    (
        "DescribeEntitiesDetectionV2Job",
        "DescribeICD10CMInferenceJob",
        "DescribePHIDetectionJob",
        "DescribeRxNormInferenceJob",
        "DescribeSNOMEDCTInferenceJob",
        "DetectEntities",
        "DetectEntitiesV2",
        "DetectPHI",
        "InferICD10CM",
        "InferRxNorm",
        "InferSNOMEDCT",
        "ListEntitiesDetectionV2Jobs",
        "ListICD10CMInferenceJobs",
        "ListPHIDetectionJobs",
        "ListRxNormInferenceJobs",
        "ListSNOMEDCTInferenceJobs",
        "StartEntitiesDetectionV2Job",
        "StartICD10CMInferenceJob",
        "StartPHIDetectionJob",
        "StartRxNormInferenceJob",
        "StartSNOMEDCTInferenceJob",
        "StopEntitiesDetectionV2Job",
        "StopICD10CMInferenceJob",
        "StopPHIDetectionJob",
        "StopRxNormInferenceJob",
        "StopSNOMEDCTInferenceJob",
    ),
    NOTHING,
)
