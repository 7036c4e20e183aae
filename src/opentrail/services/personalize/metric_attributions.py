"""Metric attributions: CreateMetricAttribution, DescribeMetricAttribution, ListMetricAttributions, ListMetricAttributionMetrics,
UpdateMetricAttribution, DeleteMetricAttribution. Import jobs that are asked to publish write their reports."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.kernel import paging
from opentrail.services.personalize import dataset_groups, filters, resources, solutions, store
from opentrail.services.personalize.engine.attribution import Metric, check_metric, read_metric
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.work import location, no_key
from opentrail.store.sql import Snapshot, Tx

KIND = "metric-attribution"
MOST_METRICS = 10


def prepare_create(call: Call, input: Input) -> tuple[Input, list[dict[str, str]], dict[str, Any]]:
    """CreateMetricAttribution, first half."""
    return input, _metrics(input.metrics), _output(input.metricsOutputConfig)


def _metrics(given: Any) -> list[dict[str, str]]:
    listed = [{"eventType": one.eventType, "metricName": one.metricName, "expression": one.expression} for one in given or ()]
    for one in listed:
        _read(one)
    return listed


def _read(one: dict[str, str]) -> Metric:
    return read_metric(one["metricName"], one["eventType"], one["expression"])


def _output(given: Any) -> dict[str, Any]:
    if given.s3DataDestination is not None:
        location(given.s3DataDestination.path, "metricsOutputConfig.s3DataDestination.path")
        no_key(given.s3DataDestination, "metricsOutputConfig.s3DataDestination")
    config: dict[str, Any] = solutions.plain(given)
    return config


def create(tx: Tx, call: Call, plan: tuple[Input, list[dict[str, str]], dict[str, Any]]) -> Output:
    """CreateMetricAttribution: one in a group."""
    input, metrics, output = plan
    group = resources.find(tx, call, dataset_groups.KIND, input.datasetGroupArn)
    _check(tx, group, metrics)
    body = msgspec.json.encode({"metrics": metrics, "metricsOutputConfig": output}).decode()
    return {"metricAttributionArn": resources.create(tx, call, resources.new(call, KIND, input.name, body, parent=group.arn)).arn}


def _check(snapshot: Snapshot, group: Resource, metrics: list[dict[str, str]]) -> None:
    if not 1 <= len(metrics) <= MOST_METRICS:
        raise resources.invalid("A metric attribution must have 1 to {most} metrics.", most=MOST_METRICS)
    if len({one["metricName"] for one in metrics}) < len(metrics):
        raise resources.invalid("Two metrics of a metric attribution have the same name.")
    schemas = filters.schemas_of(snapshot, group)
    for one in metrics:
        check_metric(_read(one), schemas)


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeMetricAttribution."""
    found = resources.find(snapshot, call, KIND, input.metricAttributionArn)
    config = msgspec.json.decode(found.body)["metricsOutputConfig"]
    return {"metricAttribution": {**summary(found), "datasetGroupArn": found.parent, "metricsOutputConfig": config}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListMetricAttributions."""
    return resources.listed(snapshot, call, input, KIND, "metricAttributions", summary, input.datasetGroupArn)


def list_metrics(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListMetricAttributionMetrics, in the order in which they were added."""
    found = resources.find(snapshot, call, KIND, _required(input))
    metrics = msgspec.json.decode(found.body)["metrics"]
    start = int(resources.place_of(call, input, found.arn, (0.0, ""))[0])
    most = input.maxResults or 100
    output: dict[str, Any] = {"metrics": metrics[start : start + most]}
    if start + most < len(metrics):
        output["nextToken"] = paging.issue(call.tools.sealer, call.target.name, found.arn, (float(start + most), ""))
    return output


def _required(input: Input) -> str:
    if input.metricAttributionArn is None:
        raise resources.invalid("metricAttributionArn is required.")
    arn: str = input.metricAttributionArn
    return arn


def prepare_update(call: Call, input: Input) -> tuple[Input, list[dict[str, str]], dict[str, Any] | None]:
    """UpdateMetricAttribution, first half."""
    _required(input)
    return input, _metrics(input.addMetrics), _output(input.metricsOutputConfig) if input.metricsOutputConfig is not None else None


def update(tx: Tx, call: Call, plan: tuple[Input, list[dict[str, str]], dict[str, Any] | None]) -> Output:
    """UpdateMetricAttribution: metrics go, metrics come, reports go elsewhere."""
    input, added, output = plan
    found = resources.find(tx, call, KIND, input.metricAttributionArn)
    group = store.one(tx, found.parent or "")
    assert group is not None, "a group with a metric attribution is not deleted"
    body, gone = msgspec.json.decode(found.body), set(input.removeMetrics or ())
    if gone - {one["metricName"] for one in body["metrics"]}:
        raise resources.invalid("removeMetrics names a metric that the metric attribution does not have.")
    body["metrics"] = [*(one for one in body["metrics"] if one["metricName"] not in gone), *added]
    _check(tx, group, body["metrics"])
    if output is not None:
        body["metricsOutputConfig"] = output
    store.update(tx, found._replace(updated=call.now, body=msgspec.json.encode(body).decode()))
    return {"metricAttributionArn": found.arn}


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteMetricAttribution."""
    resources.delete(tx, call, KIND, input.metricAttributionArn)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A metric attribution as lists show it."""
    return {**resources.common(found), "metricAttributionArn": found.arn}


def of_group(snapshot: Snapshot, group: str) -> Resource | None:
    """The metric attribution of a group."""
    return next(iter(store.children(snapshot, group, KIND)), None)
