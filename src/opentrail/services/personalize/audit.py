"""What records keep of Personalize's calls: names, ARNs and settings; never schemas' texts, data, or users' and items' ids."""

from __future__ import annotations

from opentrail.calls.operation import Audit


def _made(arn: str, *kept: str) -> Audit:
    """A creation that answers with the ARN; its tags are hidden."""
    return Audit(keep=("name", *kept), hide=("tags",), keep_output=(arn,))


def _described(member: str) -> Audit:
    """A description by the ARN, of which the answer is not kept."""
    return Audit(keep=(f"{member}Arn",), drop_output=(member,))


def _listed(member: str, *kept: str) -> Audit:
    """A page of a listing, of which the answer is not kept."""
    return Audit(keep=("maxResults", *kept), drop=("nextToken",), drop_output=(member, "nextToken"))


def _columns(config: str) -> tuple[str, str]:
    """The columns that a training reads, by dataset type."""
    return (f"{config}.trainingDataConfig.excludedDatasetColumns{{}}[]", f"{config}.trainingDataConfig.includedDatasetColumns{{}}[]")


_SOLUTION = (
    "solutionConfig.eventValueThreshold", "solutionConfig.hpoConfig.*", "solutionConfig.algorithmHyperParameters{}",
    "solutionConfig.featureTransformationParameters{}", "solutionConfig.autoMLConfig.*", "solutionConfig.eventsConfig.*",
    "solutionConfig.optimizationObjective.*", "solutionConfig.autoTrainingConfig.*", *_columns("solutionConfig"),
)  # fmt: skip
_CAMPAIGN = (
    "campaignConfig.itemExplorationConfig{}", "campaignConfig.enableMetadataWithRecommendations",
    "campaignConfig.syncWithLatestSolutionVersion", "campaignConfig.rankingInfluence{}",
)  # fmt: skip
_RECOMMENDER = (
    "recommenderConfig.itemExplorationConfig{}", "recommenderConfig.minRecommendationRequestsPerSecond",
    "recommenderConfig.enableMetadataWithRecommendations", *_columns("recommenderConfig"),
)  # fmt: skip
_BATCH = ("jobName", "solutionVersionArn", "filterArn", "numResults", "jobInput.*", "jobOutput.*", "roleArn")

AUDIT: dict[str, Audit] = {
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
    "CreateDataset": _made("datasetArn", "schemaArn", "datasetGroupArn", "datasetType"),
    "DescribeDataset": _described("dataset"),
    "ListDatasets": _listed("datasets", "datasetGroupArn"),
    "UpdateDataset": Audit(keep=("datasetArn", "schemaArn"), keep_output=("datasetArn",)),
    "DeleteDataset": Audit(keep=("datasetArn",)),
    "CreateDatasetImportJob": Audit(
        keep=("jobName", "datasetArn", "dataSource.dataLocation", "roleArn", "importMode", "publishAttributionMetricsToS3"),
        hide=("tags",),
        keep_output=("datasetImportJobArn",),
    ),
    "DescribeDatasetImportJob": _described("datasetImportJob"),
    "ListDatasetImportJobs": _listed("datasetImportJobs", "datasetArn"),
    "CreateDatasetExportJob": Audit(
        keep=("jobName", "datasetArn", "ingestionMode", "roleArn", "jobOutput.*"), hide=("tags",), keep_output=("datasetExportJobArn",)
    ),
    "DescribeDatasetExportJob": _described("datasetExportJob"),
    "ListDatasetExportJobs": _listed("datasetExportJobs", "datasetArn"),
    "CreateDataDeletionJob": Audit(
        keep=("jobName", "datasetGroupArn", "dataSource.dataLocation", "roleArn"), hide=("tags",), keep_output=("dataDeletionJobArn",)
    ),
    "DescribeDataDeletionJob": _described("dataDeletionJob"),
    "ListDataDeletionJobs": _listed("dataDeletionJobs", "datasetGroupArn"),
    "CreateBatchInferenceJob": Audit(
        keep=(
            *_BATCH,
            "batchInferenceJobConfig.itemExplorationConfig{}",
            "batchInferenceJobConfig.rankingInfluence{}",
            "batchInferenceJobMode",
            "themeGenerationConfig.*",
        ),
        hide=("tags",),
        keep_output=("batchInferenceJobArn",),
    ),
    "DescribeBatchInferenceJob": _described("batchInferenceJob"),
    "ListBatchInferenceJobs": _listed("batchInferenceJobs", "solutionVersionArn"),
    "CreateBatchSegmentJob": Audit(keep=_BATCH, hide=("tags",), keep_output=("batchSegmentJobArn",)),
    "DescribeBatchSegmentJob": _described("batchSegmentJob"),
    "ListBatchSegmentJobs": _listed("batchSegmentJobs", "solutionVersionArn"),
    "CreateMetricAttribution": Audit(
        keep=("name", "datasetGroupArn", "metrics[].*", "metricsOutputConfig.*"), keep_output=("metricAttributionArn",)
    ),
    "DescribeMetricAttribution": _described("metricAttribution"),
    "ListMetricAttributions": _listed("metricAttributions", "datasetGroupArn"),
    "ListMetricAttributionMetrics": _listed("metrics", "metricAttributionArn"),
    "UpdateMetricAttribution": Audit(
        keep=("metricAttributionArn", "addMetrics[].*", "removeMetrics[]", "metricsOutputConfig.*"),
        keep_output=("metricAttributionArn",),
    ),
    "DeleteMetricAttribution": Audit(keep=("metricAttributionArn",)),
    "CreateSolution": Audit(
        keep=(
            "name",
            "performHPO",
            "performAutoML",
            "performAutoTraining",
            "performIncrementalUpdate",
            "recipeArn",
            "datasetGroupArn",
            "eventType",
            *_SOLUTION,
        ),
        hide=("tags",),
        keep_output=("solutionArn",),
    ),
    "DescribeSolution": _described("solution"),
    "ListSolutions": _listed("solutions", "datasetGroupArn"),
    "UpdateSolution": Audit(
        keep=("solutionArn", "performAutoTraining", "performIncrementalUpdate", "solutionUpdateConfig.*"), keep_output=("solutionArn",)
    ),
    "CreateRecommender": Audit(
        keep=("name", "datasetGroupArn", "recipeArn", *_RECOMMENDER), hide=("tags",), keep_output=("recommenderArn",)
    ),
    "DescribeRecommender": _described("recommender"),
    "ListRecommenders": _listed("recommenders", "datasetGroupArn"),
    "UpdateRecommender": Audit(keep=("recommenderArn", *_RECOMMENDER), keep_output=("recommenderArn",)),
    "StartRecommender": Audit(keep=("recommenderArn",), keep_output=("recommenderArn",)),
    "StopRecommender": Audit(keep=("recommenderArn",), keep_output=("recommenderArn",)),
    "DeleteRecommender": Audit(keep=("recommenderArn",)),
    "DeleteSolution": Audit(keep=("solutionArn",)),
    "CreateSolutionVersion": Audit(keep=("name", "solutionArn", "trainingMode"), hide=("tags",), keep_output=("solutionVersionArn",)),
    "DescribeSolutionVersion": _described("solutionVersion"),
    "ListSolutionVersions": _listed("solutionVersions", "solutionArn"),
    "StopSolutionVersionCreation": Audit(keep=("solutionVersionArn",)),
    "GetSolutionMetrics": Audit(keep=("solutionVersionArn",), drop_output=("solutionVersionArn", "metrics")),
    "CreateCampaign": Audit(
        keep=("name", "solutionVersionArn", "minProvisionedTPS", *_CAMPAIGN), hide=("tags",), keep_output=("campaignArn",)
    ),
    "DescribeCampaign": _described("campaign"),
    "ListCampaigns": _listed("campaigns", "solutionArn"),
    "UpdateCampaign": Audit(keep=("campaignArn", "solutionVersionArn", "minProvisionedTPS", *_CAMPAIGN), keep_output=("campaignArn",)),
    "DeleteCampaign": Audit(keep=("campaignArn",)),
    "CreateEventTracker": Audit(keep=("name", "datasetGroupArn"), hide=("tags",), keep_output=("eventTrackerArn", "trackingId")),
    "DescribeEventTracker": _described("eventTracker"),
    "ListEventTrackers": _listed("eventTrackers", "datasetGroupArn"),
    "DeleteEventTracker": Audit(keep=("eventTrackerArn",)),
    "CreateFilter": Audit(keep=("name", "datasetGroupArn"), hide=("filterExpression", "tags"), keep_output=("filterArn",)),
    "DescribeFilter": _described("filter"),
    "ListFilters": _listed("Filters", "datasetGroupArn"),
    "DeleteFilter": Audit(keep=("filterArn",)),
    "ListRecipes": _listed("recipes", "recipeProvider", "domain"),
    "DescribeRecipe": _described("recipe"),
    "DescribeAlgorithm": _described("algorithm"),
    "DescribeFeatureTransformation": _described("featureTransformation"),
    "TagResource": Audit(keep=("resourceArn",), hide=("tags",)),
    "UntagResource": Audit(keep=("resourceArn",), hide=("tagKeys",)),
    "ListTagsForResource": Audit(keep=("resourceArn",), drop_output=("tags",)),
}

RUNTIME_AUDIT: dict[str, Audit] = {
    "GetActionRecommendations": Audit(
        keep=("campaignArn", "numResults", "filterArn"),
        hide=("userId", "filterValues"),
        drop_output=("actionList", "recommendationId"),
    ),
    "GetPersonalizedRanking": Audit(
        keep=("campaignArn", "filterArn"),
        hide=("inputList", "userId", "context", "filterValues", "metadataColumns"),
        drop_output=("personalizedRanking", "recommendationId"),
    ),
    "GetRecommendations": Audit(
        keep=("campaignArn", "recommenderArn", "numResults", "filterArn"),
        hide=("itemId", "userId", "context", "filterValues", "promotions", "metadataColumns"),
        drop_output=("itemList", "recommendationId"),
    ),
}

EVENTS_AUDIT: dict[str, Audit] = {
    "PutActionInteractions": Audit(keep=("trackingId",), hide=("actionInteractions",)),
    "PutActions": Audit(keep=("datasetArn",), hide=("actions",)),
    "PutEvents": Audit(keep=("trackingId",), hide=("userId", "sessionId", "eventList")),
    "PutItems": Audit(keep=("datasetArn",), hide=("items",)),
    "PutUsers": Audit(keep=("datasetArn",), hide=("users",)),
}
