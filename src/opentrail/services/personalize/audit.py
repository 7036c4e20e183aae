"""What records keep of Personalize's calls: names, ARNs and settings; never schemas' texts, data, or users' and items' ids."""

from __future__ import annotations

from opentrail.calls.operation import NOTHING, Audit

NOT_OFFERED = (
    "CreateBatchInferenceJob", "CreateBatchSegmentJob", "CreateCampaign", "CreateDataDeletionJob", "CreateDataset",
    "CreateDatasetExportJob", "CreateDatasetImportJob", "CreateEventTracker", "CreateFilter", "CreateMetricAttribution",
    "CreateRecommender", "CreateSolution", "CreateSolutionVersion", "DeleteCampaign", "DeleteDataset", "DeleteEventTracker",
    "DeleteFilter", "DeleteMetricAttribution", "DeleteRecommender", "DeleteSolution", "DescribeAlgorithm",
    "DescribeBatchInferenceJob", "DescribeBatchSegmentJob", "DescribeCampaign", "DescribeDataDeletionJob", "DescribeDataset",
    "DescribeDatasetExportJob", "DescribeDatasetImportJob", "DescribeEventTracker", "DescribeFeatureTransformation",
    "DescribeFilter", "DescribeMetricAttribution", "DescribeRecipe", "DescribeRecommender", "DescribeSolution",
    "DescribeSolutionVersion", "GetSolutionMetrics", "ListBatchInferenceJobs", "ListBatchSegmentJobs", "ListCampaigns",
    "ListDataDeletionJobs", "ListDatasetExportJobs", "ListDatasetImportJobs", "ListDatasets", "ListEventTrackers",
    "ListFilters", "ListMetricAttributionMetrics", "ListMetricAttributions", "ListRecipes", "ListRecommenders",
    "ListSolutionVersions", "ListSolutions", "ListTagsForResource", "StartRecommender", "StopRecommender",
    "StopSolutionVersionCreation", "TagResource", "UntagResource", "UpdateCampaign", "UpdateDataset", "UpdateMetricAttribution",
    "UpdateRecommender", "UpdateSolution",
)  # fmt: skip

AUDIT: dict[str, Audit] = {
    **dict.fromkeys(NOT_OFFERED, NOTHING),
    "CreateSchema": Audit(keep=("name", "schema", "domain"), keep_output=("schemaArn",)),
    "DescribeSchema": Audit(keep=("schemaArn",), drop_output=("schema",)),
    "ListSchemas": Audit(keep=("maxResults",), drop=("nextToken",), drop_output=("schemas", "nextToken")),
    "DeleteSchema": Audit(keep=("schemaArn",)),
    "CreateDatasetGroup": Audit(
        keep=("name", "roleArn", "kmsKeyArn", "domain"),
        hide=("tags",),
        keep_output=("datasetGroupArn", "domain"),
    ),
    "DescribeDatasetGroup": Audit(keep=("datasetGroupArn",), drop_output=("datasetGroup",)),
    "ListDatasetGroups": Audit(keep=("maxResults",), drop=("nextToken",), drop_output=("datasetGroups", "nextToken")),
    "DeleteDatasetGroup": Audit(keep=("datasetGroupArn",)),
}

RUNTIME_AUDIT: dict[str, Audit] = dict.fromkeys(
    (
        "GetActionRecommendations",
        "GetPersonalizedRanking",
        "GetRecommendations",
    ),
    NOTHING,
)

EVENTS_AUDIT: dict[str, Audit] = dict.fromkeys(
    (
        "PutActionInteractions",
        "PutActions",
        "PutEvents",
        "PutItems",
        "PutUsers",
    ),
    NOTHING,
)
