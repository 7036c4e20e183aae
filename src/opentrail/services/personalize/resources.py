"""What the resources of Personalize's control plane share: ARNs, lookups, creation, paging, and AWS's error wording."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.kernel import arn, paging
from opentrail.kernel.errors import Content, ServiceError
from opentrail.services.common import tags
from opentrail.services.personalize import queue, store
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx


class Kind(NamedTuple):
    """A kind of resource: its type in records, how many one account and region (`most`) or one parent (`most_below`) may have,
    and how many may wait for their job or be worked on. `word` is what its ARN says where that is not the kind."""

    type: str
    most: int = 0
    most_below: int = 0
    most_under_way: int = 0
    word: str = ""


KINDS = {
    "schema": Kind("AWS::Personalize::Schema", most=500),
    "dataset-group": Kind("AWS::Personalize::DatasetGroup", most=5),
    "dataset": Kind("AWS::Personalize::Dataset"),
    "solution": Kind("AWS::Personalize::Solution", most=10),
    "solution-version": Kind("AWS::Personalize::SolutionVersion", most_under_way=20, word="solution"),
    "campaign": Kind("AWS::Personalize::Campaign", most=5),
    "recommender": Kind("AWS::Personalize::Recommender", most_below=5),
    "recommender-version": Kind("AWS::Personalize::Recommender", word="recommender"),
    "dataset-import-job": Kind("AWS::Personalize::DatasetImportJob", most_under_way=5),
    "dataset-export-job": Kind("AWS::Personalize::DatasetExportJob", most_under_way=5),
    "data-deletion-job": Kind("AWS::Personalize::DataDeletionJob", most_under_way=5),
    "batch-inference-job": Kind("AWS::Personalize::BatchInferenceJob", most_under_way=5),
    "batch-segment-job": Kind("AWS::Personalize::BatchSegmentJob", most_under_way=5),
    "metric-attribution": Kind("AWS::Personalize::MetricAttribution", most_below=1),
    "event-tracker": Kind("AWS::Personalize::EventTracker", most_below=1),
    "filter": Kind("AWS::Personalize::Filter", most_below=10),
}
"""By the word in the ARN; limits are AWS's quotas, 0 means none."""

PENDING, IN_PROGRESS, STOPPING, ACTIVE = "CREATE PENDING", "CREATE IN_PROGRESS", "CREATE STOPPING", "ACTIVE"
FAILED, STOPPED = "CREATE FAILED", "CREATE STOPPED"
WAITING, WORKED_ON, COMPLETED, FAILED_ONCE = "PENDING", "IN_PROGRESS", "COMPLETED", "FAILED"
"""The same for data deletion jobs."""
UNDER_WAY = (PENDING, IN_PROGRESS, STOPPING, WAITING, WORKED_ON)
INACTIVE = "INACTIVE"
RESULTS = (
    "dataset-import-job", "solution-version", "recommender-version", "dataset-export-job", "data-deletion-job", "batch-inference-job",
    "batch-segment-job",
)  # fmt: skip
"""Kinds that cannot be deleted by themselves: they go with what they belong to."""
INTERNAL = ("recommender-version",)
"""Kinds that no caller sees: the trainings of recommenders."""


def invalid(template: str, **arguments: Any) -> ServiceError:
    """A request that breaks a rule."""
    return ServiceError("InvalidInputException", template, **arguments)


def arn_of(call: Call, kind: str, name: str) -> str:
    """The ARN of the caller's resource of that kind and name."""
    word = KINDS[kind].word or kind
    return arn.build("personalize", call.region, call.account, f"{word}/{name}")


def find(snapshot: Snapshot, call: Call, kind: str, wanted: str) -> Resource:
    """The caller's resource. Raises ServiceError when the ARN is of another kind, or nothing is there."""
    parts = arn.parse(wanted)
    if parts is None or parts.service != "personalize" or parts.resource.partition("/")[0] != (KINDS[kind].word or kind):
        raise invalid("The ARN {arn} is not that of a {kind}.", arn=Content(wanted), kind=kind)
    found = any_of(snapshot, call, wanted)
    if found is None or found.kind != kind:
        raise missing(wanted)
    call.touch(KINDS[kind].type, wanted)
    return found


def any_of(snapshot: Snapshot, call: Call, wanted: str) -> Resource | None:
    """The caller's resource of whatever kind, or None."""
    found = store.one(snapshot, wanted)
    if found is None or found.kind in INTERNAL or (found.account, found.region) != (call.account, call.region):
        return None
    return found


def missing(wanted: str) -> ServiceError:
    """Nothing is there."""
    return ServiceError("ResourceNotFoundException", "Could not find resource {arn}", arn=wanted)


def new(
    call: Call, kind: str, name: str, body: str, *, domain: str | None = None, parent: str | None = None, uses: str | None = None,
    path: str | None = None,
) -> Resource:  # fmt: skip
    """An active resource that is not written yet. `path` is what follows the kind in its ARN where that is not the name."""
    made = arn_of(call, kind, path or name)
    return Resource(made, kind, call.account, call.region, name, domain, "ACTIVE", call.now, call.now, body, parent, uses)


def create(tx: Tx, call: Call, made: Resource, given: list[tuple[str, str]] | None = None) -> Resource:
    """Adds a resource with its tags. Raises ServiceError when the name is taken or a limit is reached."""
    kind = KINDS[made.kind]
    call.touch(kind.type, made.arn)
    if store.one(tx, made.arn) is not None:
        raise ServiceError("ResourceAlreadyExistsException", "Another resource with Arn {arn} already exists.", arn=made.arn)
    if kind.most and store.count(tx, call.account, call.region, made.kind) >= kind.most:
        raise too_many(kind.most)
    if kind.most_below and made.parent and len(store.children(tx, made.parent, made.kind)) >= kind.most_below:
        raise too_many(kind.most_below)
    if kind.most_under_way and store.under_way(tx, call.account, call.region, made.kind) >= kind.most_under_way:
        raise ServiceError(
            "LimitExceededException", "More than {most} resources with PENDING or IN_PROGRESS status.", most=kind.most_under_way
        )
    store.insert(tx, made)
    tags.put(tx, made.arn, given or [])
    return made


def too_many(most: int) -> ServiceError:
    """A quota is used up, in AWS's words."""
    return ServiceError(
        "LimitExceededException", "More than {most} resources in ACTIVE state. Please delete some and try again.", most=most
    )


def delete(tx: Tx, call: Call, kind: str, wanted: str) -> None:
    """Removes the caller's resource and its tags. Raises ServiceError while another resource belongs to it or needs it."""
    found = find(tx, call, kind, wanted)
    below = [inner for one in store.children(tx, found.arn) for inner in (one, *store.children(tx, one.arn))]
    holder = next((one for one in below if one.kind not in RESULTS or one.status in UNDER_WAY), None) or store.user(tx, found.arn)
    if holder is not None:
        raise in_use(found, holder)
    for one in (*below, found):
        store.delete(tx, one.arn)
        queue.forget(tx, one.arn)
        tags.clear(tx, one.arn)


def busy(template: str, **arguments: Any) -> ServiceError:
    """A resource is in a state in which it cannot be changed."""
    return ServiceError("ResourceInUseException", template, **arguments)


def in_use(found: Resource, holder: Resource) -> ServiceError:
    """Something else needs it."""
    return busy(
        "The {kind} {arn} cannot be deleted: {holder} depends on it.",
        kind=found.kind,
        arn=found.arn,
        holder=holder.arn,
    )


def listed(
    snapshot: Snapshot, call: Call, input: Input, kind: str, member: str, summary: Callable[[Resource], dict[str, Any]],
    parent: str | None = None,
) -> Output:  # fmt: skip
    """One page of the caller's resources of a kind (below a parent, when one is given), oldest first."""
    bound = (call.account, call.region, parent)
    place = place_of(call, input, bound, (0.0, ""))
    most = input.maxResults or 100
    found = store.page(snapshot, call.account, call.region, kind, parent, place, most + 1)
    output: dict[str, Any] = {member: [summary(one) for one in found[:most]]}
    if len(found) > most:
        last = found[most - 1]
        output["nextToken"] = paging.issue(call.tools.sealer, call.target.name, bound, (last.created, last.arn))
    return output


def place_of(call: Call, input: Input, bound: object, start: tuple[float, str]) -> tuple[float, str]:
    """Where the asked page begins. Raises ServiceError for a token of another listing."""
    if not input.nextToken:
        return start
    try:
        return paging.redeem(call.tools.sealer, call.target.name, bound, input.nextToken, tuple[float, str])
    except paging.BadToken as error:
        raise ServiceError("InvalidNextTokenException", "The token is not valid for this request.") from error


def checked_tags(given: Any) -> list[tuple[str, str]]:
    """The tags of a creation. Raises ServiceError."""
    try:
        return tags.check((tag.tagKey, tag.tagValue) for tag in given or ())
    except tags.BadTags as error:
        raise bad_tags(error) from error


def bad_tags(error: tags.BadTags) -> ServiceError:
    """Tags that break a rule, by the code for that rule."""
    return ServiceError("TooManyTagsException" if "at most" in str(error) else "InvalidInputException", "{rule}", rule=error)


def present(**members: Any) -> dict[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def job(found: Resource) -> dict[str, Any]:
    """The members that every job shows."""
    shown = common(found)
    return {"jobName": shown.pop("name"), **shown}


def common(found: Resource) -> dict[str, Any]:
    """The members that every resource shows."""
    return {"name": found.name, "status": found.status, "creationDateTime": found.created, "lastUpdatedDateTime": found.updated}
