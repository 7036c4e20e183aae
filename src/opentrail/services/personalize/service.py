"""Personalize's doors: the control plane, and the runtime and events services that sign with the same name."""

from __future__ import annotations

from collections.abc import Callable

from opentrail.calls.call import Call
from opentrail.calls.naming import by_word
from opentrail.calls.operation import Apply, ConditionKeys, Input, Operation, Prepare, Read, Rights, Service, plan_is_input, right
from opentrail.calls.tagging import making, of_keys
from opentrail.services.common import tags
from opentrail.services.personalize import (
    batch_jobs,
    builtins,
    campaigns,
    dataset_groups,
    datasets,
    deletion_jobs,
    event_trackers,
    events,
    export_jobs,
    filters,
    import_jobs,
    metric_attributions,
    recommenders,
    resources,
    runtime,
    schemas,
    solution_versions,
    solutions,
    tagging,
)
from opentrail.services.personalize.audit import AUDIT, EVENTS_AUDIT, RUNTIME_AUDIT


def _on(name: str, member: str, keys: Callable[[Input], ConditionKeys] | None = None) -> Rights:
    """The right to do `name` on the resource whose ARN is in a member."""
    return right(f"personalize:{name}", lambda call, input: str(getattr(input, member)), keys)


def _reads(name: str, read: Read, member: str | None = None) -> Operation:
    return Operation(name, right(f"personalize:{name}") if member is None else _on(name, member), read=read, point=True)


def _writes(name: str, apply: Apply, member: str, prepare: Prepare = plan_is_input) -> Operation:
    return Operation(name, _on(name, member), prepare=prepare, apply=apply)


def _makes(name: str, prepare: Prepare, apply: Apply, arn: Callable[[Call, Input], str]) -> Operation:
    return Operation(name, right(f"personalize:{name}", arn), prepare=prepare, apply=apply)


def _makes_tagged(name: str, prepare: Prepare, apply: Apply, arn: Callable[[Call, Input], str]) -> Operation:
    """Makes what may be given tags at once."""
    return Operation(name, making(f"personalize:{name}", arn, "personalize:TagResource", tagging.keys), prepare=prepare, apply=apply)


def _named(kind: str) -> Callable[[Call, Input], str]:
    return lambda call, input: resources.arn_of(call, kind, input.name)


def _job(kind: str) -> Callable[[Call, Input], str]:
    return lambda call, input: resources.arn_of(call, kind, input.jobName)


OPERATIONS = (
    _makes("CreateSchema", schemas.prepare_create, schemas.create, _named(schemas.KIND)),
    _reads("DescribeSchema", schemas.describe, "schemaArn"),
    _reads("ListSchemas", schemas.list_all),
    _writes("DeleteSchema", schemas.delete, "schemaArn"),
    _makes_tagged("CreateDatasetGroup", dataset_groups.prepare_create, dataset_groups.create, _named(dataset_groups.KIND)),
    _reads("DescribeDatasetGroup", dataset_groups.describe, "datasetGroupArn"),
    _reads("ListDatasetGroups", dataset_groups.list_all),
    _writes("DeleteDatasetGroup", dataset_groups.delete, "datasetGroupArn"),
    _makes_tagged("CreateDataset", datasets.prepare_create, datasets.create, lambda call, input: datasets.arn_from(input, call)),
    _reads("DescribeDataset", datasets.describe, "datasetArn"),
    _reads("ListDatasets", datasets.list_all),
    _writes("UpdateDataset", datasets.update, "datasetArn"),
    _writes("DeleteDataset", datasets.delete, "datasetArn"),
    _makes_tagged(
        "CreateEventTracker", event_trackers.prepare_create, event_trackers.create,
        lambda call, input: resources.arn_of(call, event_trackers.KIND, "*"),
    ),
    _reads("DescribeEventTracker", event_trackers.describe, "eventTrackerArn"),
    _reads("ListEventTrackers", event_trackers.list_all),
    _writes("DeleteEventTracker", event_trackers.delete, "eventTrackerArn"),
    _makes_tagged("CreateFilter", filters.prepare_create, filters.create, _named(filters.KIND)),
    _reads("DescribeFilter", filters.describe, "filterArn"),
    _reads("ListFilters", filters.list_all),
    _writes("DeleteFilter", filters.delete, "filterArn"),
    _makes_tagged("CreateDatasetImportJob", import_jobs.prepare_create, import_jobs.create, _job(import_jobs.KIND)),
    _reads("DescribeDatasetImportJob", import_jobs.describe, "datasetImportJobArn"),
    _reads("ListDatasetImportJobs", import_jobs.list_all),
    _makes_tagged("CreateDatasetExportJob", export_jobs.prepare_create, export_jobs.create, _job(export_jobs.KIND)),
    _reads("DescribeDatasetExportJob", export_jobs.describe, "datasetExportJobArn"),
    _reads("ListDatasetExportJobs", export_jobs.list_all),
    _makes_tagged("CreateDataDeletionJob", deletion_jobs.prepare_create, deletion_jobs.create, _job(deletion_jobs.KIND)),
    _reads("DescribeDataDeletionJob", deletion_jobs.describe, "dataDeletionJobArn"),
    _reads("ListDataDeletionJobs", deletion_jobs.list_all),
    _makes_tagged("CreateBatchInferenceJob", batch_jobs.prepare_inference, batch_jobs.create_inference, _job(batch_jobs.INFERENCE)),
    _reads("DescribeBatchInferenceJob", batch_jobs.describe_inference, "batchInferenceJobArn"),
    _reads("ListBatchInferenceJobs", batch_jobs.list_inference),
    _makes_tagged("CreateBatchSegmentJob", batch_jobs.prepare_segment, batch_jobs.create_segment, _job(batch_jobs.SEGMENT)),
    _reads("DescribeBatchSegmentJob", batch_jobs.describe_segment, "batchSegmentJobArn"),
    _reads("ListBatchSegmentJobs", batch_jobs.list_segment),
    _makes(
        "CreateMetricAttribution", metric_attributions.prepare_create, metric_attributions.create, _named(metric_attributions.KIND)
    ),
    _reads("DescribeMetricAttribution", metric_attributions.describe, "metricAttributionArn"),
    _reads("ListMetricAttributions", metric_attributions.list_all),
    _makes(
        "UpdateMetricAttribution", metric_attributions.prepare_update, metric_attributions.update,
        lambda call, input: input.metricAttributionArn or "*",
    ),
    _writes("DeleteMetricAttribution", metric_attributions.delete, "metricAttributionArn"),
    Operation(
        "ListMetricAttributionMetrics",
        right("personalize:ListMetricAttributionMetrics", lambda call, input: input.metricAttributionArn or "*"),
        read=metric_attributions.list_metrics,
        point=True,
    ),
    _makes_tagged("CreateSolution", solutions.prepare_create, solutions.create, _named(solutions.KIND)),
    _reads("DescribeSolution", solutions.describe, "solutionArn"),
    _reads("ListSolutions", solutions.list_all),
    _writes("UpdateSolution", solutions.update, "solutionArn", solutions.prepare_update),
    _writes("DeleteSolution", solutions.delete, "solutionArn"),
    _makes_tagged(
        "CreateSolutionVersion", solution_versions.prepare_create, solution_versions.create,
        lambda call, input: str(input.solutionArn),
    ),
    _reads("DescribeSolutionVersion", solution_versions.describe, "solutionVersionArn"),
    _reads("ListSolutionVersions", solution_versions.list_all),
    _writes("StopSolutionVersionCreation", solution_versions.stop, "solutionVersionArn"),
    _reads("GetSolutionMetrics", solution_versions.metrics, "solutionVersionArn"),
    _makes_tagged("CreateCampaign", campaigns.prepare_create, campaigns.create, _named(campaigns.KIND)),
    _reads("DescribeCampaign", campaigns.describe, "campaignArn"),
    _reads("ListCampaigns", campaigns.list_all),
    _writes("UpdateCampaign", campaigns.update, "campaignArn", campaigns.prepare_update),
    _writes("DeleteCampaign", campaigns.delete, "campaignArn"),
    _makes_tagged("CreateRecommender", recommenders.prepare_create, recommenders.create, _named(recommenders.KIND)),
    _reads("DescribeRecommender", recommenders.describe, "recommenderArn"),
    _reads("ListRecommenders", recommenders.list_all),
    _writes("UpdateRecommender", recommenders.update, "recommenderArn", recommenders.prepare_update),
    _writes("StartRecommender", recommenders.start, "recommenderArn"),
    _writes("StopRecommender", recommenders.stop, "recommenderArn"),
    _writes("DeleteRecommender", recommenders.delete, "recommenderArn"),
    _reads("ListRecipes", builtins.list_recipes),
    _reads("DescribeRecipe", builtins.describe_recipe, "recipeArn"),
    _reads("DescribeAlgorithm", builtins.describe_algorithm, "algorithmArn"),
    _reads("DescribeFeatureTransformation", builtins.describe_transformation, "featureTransformationArn"),
    Operation("TagResource", _on("TagResource", "resourceArn", tagging.keys), prepare=tagging.prepare_tag, apply=tagging.tag),
    Operation("UntagResource", _on("UntagResource", "resourceArn", lambda input: of_keys(input.tagKeys)), apply=tagging.untag),
    _reads("ListTagsForResource", tagging.list_tags, "resourceArn"),
)  # fmt: skip

SERVICE = Service(
    name="personalize",
    operations={operation.name: operation for operation in OPERATIONS},
    audit=AUDIT,
    event_source="personalize.amazonaws.com",
    signing_names=("personalize",),
    action_prefix="personalize",
    named=by_word({word: kind.type for word, kind in resources.KINDS.items() if not kind.word}),
    resource_tags=tags.of_account,
    invalid_code="InvalidInputException",
)

RUNTIME_OPERATIONS = (
    Operation(
        "GetRecommendations",
        right("personalize:GetRecommendations", lambda call, input: input.campaignArn or input.recommenderArn or "*"),
        read=runtime.get_recommendations,
        brief=runtime.get_recommendations_briefly,
    ),
    Operation(
        "GetActionRecommendations",
        right("personalize:GetActionRecommendations", lambda call, input: input.campaignArn or "*"),
        read=runtime.get_action_recommendations,
    ),
    Operation("GetPersonalizedRanking", _on("GetPersonalizedRanking", "campaignArn"), read=runtime.get_personalized_ranking),
)

EVENTS_OPERATIONS = (
    Operation("PutEvents", right("personalize:PutEvents"), prepare=events.prepare_events, apply=events.put_events),
    Operation(
        "PutActionInteractions",
        right("personalize:PutActionInteractions"),
        prepare=events.prepare_action_interactions,
        apply=events.put_action_interactions,
    ),
    _writes("PutItems", events.put_items, "datasetArn", events.prepare_items),
    _writes("PutUsers", events.put_users, "datasetArn", events.prepare_users),
    _writes("PutActions", events.put_actions, "datasetArn", events.prepare_actions),
)

RUNTIME = Service(
    name="personalize-runtime",
    operations={operation.name: operation for operation in RUNTIME_OPERATIONS},
    audit=RUNTIME_AUDIT,
    event_source="personalize.amazonaws.com",
    signing_names=("personalize",),
    action_prefix="personalize",
    invalid_code="InvalidInputException",
)

EVENTS = Service(
    name="personalize-events",
    operations={operation.name: operation for operation in EVENTS_OPERATIONS},
    audit=EVENTS_AUDIT,
    event_source="personalize.amazonaws.com",
    signing_names=("personalize",),
    action_prefix="personalize",
    invalid_code="InvalidInputException",
)
