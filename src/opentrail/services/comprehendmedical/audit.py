"""What records keep of Comprehend Medical's calls: names, places and roles of jobs. Clinical text is never kept."""

from __future__ import annotations

from opentrail.calls.operation import NOTHING, Audit

_PLACES = ("InputDataConfig.S3Bucket", "InputDataConfig.S3Key", "OutputDataConfig.S3Bucket", "OutputDataConfig.S3Key")
_FILTER = ("Filter.JobName", "Filter.JobStatus", "Filter.SubmitTimeBefore", "Filter.SubmitTimeAfter")
_TIMES = ("Filter.SubmitTimeBefore", "Filter.SubmitTimeAfter")

START = Audit(
    keep=(*_PLACES, "DataAccessRoleArn", "JobName", "ClientRequestToken", "KMSKey", "LanguageCode"),
    keep_output=("JobId",),
)
DESCRIBE = Audit(keep=("JobId",), drop_output=("ComprehendMedicalAsyncJobProperties",))
LIST = Audit(
    keep=(*_FILTER, "MaxResults"), drop=("NextToken",), times=_TIMES,
    drop_output=("ComprehendMedicalAsyncJobPropertiesList", "NextToken"),
)  # fmt: skip
STOP = Audit(keep=("JobId",), keep_output=("JobId",))

WORDS = ("EntitiesDetectionV2", "ICD10CMInference", "PHIDetection", "RxNormInference", "SNOMEDCTInference")
TEXTS = ("DetectEntities", "DetectEntitiesV2", "DetectPHI", "InferICD10CM", "InferRxNorm", "InferSNOMEDCT")

AUDIT: dict[str, Audit] = {
    **dict.fromkeys(TEXTS, NOTHING),
    **{f"Start{word}Job": START for word in WORDS},
    **{f"Describe{word}Job": DESCRIBE for word in WORDS},
    **{f"List{word}Jobs": LIST for word in WORDS},
    **{f"Stop{word}Job": STOP for word in WORDS},
}
