"""Data stores: Create-, Describe-, Update-, DeleteFHIRDatastore, ListFHIRDatastores, and their tags.

A store is active when its creation is answered, and gone when its deletion is: the waiters succeed at their first poll. One
that is created with data is CREATING until its job has loaded it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import ConditionKeys, Input, Output
from opentrail.calls.tagging import of_request
from opentrail.kernel import arn, paging
from opentrail.kernel.errors import Content, ServiceError
from opentrail.services.common import tags
from opentrail.services.healthlake import configuration, data_queue, providers, store
from opentrail.store.sql import Snapshot, Tx

MOST = 10
"""Data stores of one account and region (AWS's quota)."""

TYPE = "AWS::HealthLake::FHIRDatastore"
LISTED = 100
"""Data stores on a page of a list that asks for no number."""


class Plan(msgspec.Struct):
    """A checked creation."""

    id: str
    name: str | None
    status: str
    token: str | None
    token_input: str
    configuration: str
    tags: list[tuple[str, str]]


class Change(msgspec.Struct):
    """A checked update: the new name, if any, and the settings that it replaces."""

    id: str
    name: str | None
    settings: dict[str, Any]


def not_found(id: str) -> ServiceError:
    """HealthLake's answer for a data store that is not there, or is another account's."""
    return ServiceError("ResourceNotFoundException", "FHIR Data Store with id {id} not found.", id=id)


def invalid(template: str, **arguments: Any) -> ServiceError:
    """A request that breaks a rule."""
    return ServiceError("ValidationException", template, **arguments)


@lru_cache(maxsize=256)
def store_arn(found: store.Datastore) -> str:
    """The ARN of a data store."""
    return arn.build("healthlake", found.region, found.account, f"datastore/fhir/{found.id}")


def arn_of_id(call: Call, id: str) -> str:
    """The ARN that an id of the caller's account and region has, whether or not the store exists."""
    return arn.build("healthlake", call.region, call.account, f"datastore/fhir/{id}")


def endpoint(call: Call, id: str) -> str:
    """The address of the store's FHIR interface, with a trailing slash."""
    return f"{call.tools.settings.url}{store.own(id)}/"


def own(snapshot: Snapshot, call: Call, id: str) -> store.Datastore:
    """The caller's data store in the called region. Raises ServiceError."""
    found = store.datastore(snapshot, id)
    if found is None or found.account != call.account or found.region != call.region:
        raise not_found(id)
    return found


def prepare_create(call: Call, input: Input) -> Plan:
    """CreateFHIRDatastore, first half: everything that needs no look at what is there."""
    if (encryption := input.SseConfiguration) is not None and encryption.KmsEncryptionConfig.CmkType != "AWS_OWNED_KMS_KEY":
        raise invalid("SseConfiguration: only AWS_OWNED_KMS_KEY is supported.")
    issuers = call.tools.settings.token_issuers
    settings = configuration.merged({"DatastoreTypeVersion": input.DatastoreTypeVersion}, configuration.checked(input, issuers))
    if (preload := input.PreloadDataConfig) is not None:
        settings["PreloadDataConfig"] = {"PreloadDataType": preload.PreloadDataType}
    try:
        given = tags.check((tag.Key, tag.Value) for tag in input.Tags or ())
    except tags.BadTags as error:
        raise invalid("Tags: {rule}.", rule=error) from error
    return Plan(
        id=call.tools.ids.hex(32),
        name=input.DatastoreName,
        status="ACTIVE" if preload is None else "CREATING",
        token=input.ClientToken,
        token_input=hashlib.sha256(msgspec.json.encode((input.DatastoreName, settings, given), order="deterministic")).hexdigest(),
        configuration=msgspec.json.encode(settings).decode(),
        tags=given,
    )


def create(tx: Tx, call: Call, plan: Plan) -> Output:
    """CreateFHIRDatastore: the same client token and input give the same store again."""
    if plan.token and (earlier := store.datastore_by_token(tx, call.account, call.region, plan.token)):
        found, token_input = earlier
        if token_input != plan.token_input:
            raise invalid("ClientToken was used before with other parameters.")
        return _made(call, found)
    if store.datastore_count(tx, call.account, call.region) >= MOST:
        raise invalid("The account has {most} data stores in this region, which is the limit.", most=MOST)
    store.insert_datastore(
        tx, plan.id, call.account, call.region, plan.name, plan.status, call.now, plan.token, plan.token_input, plan.configuration
    )
    made = store.datastore(tx, plan.id)
    assert made is not None
    tags.put(tx, store_arn(made), plan.tags)
    if plan.status == "CREATING":
        data_queue.preload(tx, plan.id, call.now)
    return _made(call, made)


def _made(call: Call, found: store.Datastore) -> Output:
    call.touch(TYPE, store_arn(found))
    return {
        "DatastoreId": found.id,
        "DatastoreArn": store_arn(found),
        "DatastoreStatus": found.status,
        "DatastoreEndpoint": endpoint(call, found.id),
    }


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeFHIRDatastore, also of deleted stores."""
    found = own(snapshot, call, input.DatastoreId)
    call.touch(TYPE, store_arn(found))
    return {"DatastoreProperties": _properties(call, found)}


def _properties(call: Call, found: store.Datastore) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "DatastoreId": found.id,
        "DatastoreArn": store_arn(found),
        "DatastoreStatus": found.status,
        "CreatedAt": found.created,
        "DatastoreTypeVersion": "R4",
        "DatastoreEndpoint": endpoint(call, found.id),
        **configuration.shown(msgspec.json.decode(found.configuration)),
        "IdentityProviderConfiguration": providers.described(found),
    }
    if found.name is not None:
        properties["DatastoreName"] = found.name
    return properties


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListFHIRDatastores: those that pass the filter, deleted ones too, oldest first, paged by creation."""
    wanted, size = input.Filter, input.MaxResults or LISTED
    bound = (call.account, call.region, msgspec.to_builtins(wanted))
    place = (-1.0, "")
    if input.NextToken:
        try:
            place = paging.redeem(call.tools.sealer, "ListFHIRDatastores", bound, input.NextToken, tuple[float, str])
        except paging.BadToken as error:
            raise invalid("NextToken is not valid for this request.") from error
    found = [
        one
        for one in store.datastores(snapshot, call.account, call.region, place)
        if wanted is None
        or (
            (wanted.DatastoreName is None or wanted.DatastoreName == one.name)
            and (wanted.DatastoreStatus is None or wanted.DatastoreStatus == one.status)
            and (wanted.CreatedBefore is None or one.created < wanted.CreatedBefore)
            and (wanted.CreatedAfter is None or one.created > wanted.CreatedAfter)
        )
    ]
    output: dict[str, Any] = {"DatastorePropertiesList": [_properties(call, one) for one in found[:size]]}
    if len(found) > size:
        last = found[size - 1]
        output["NextToken"] = paging.issue(call.tools.sealer, "ListFHIRDatastores", bound, (last.created, last.id))
    return output


def prepare_update(call: Call, input: Input) -> Change:
    """UpdateFHIRDatastore, first half. Raises ServiceError when nothing is to change."""
    settings = configuration.checked(input, call.tools.settings.token_issuers)
    if input.DatastoreName is None and not settings:
        raise invalid("UpdateFHIRDatastore needs a member to change.")
    return Change(input.DatastoreId, input.DatastoreName, settings)


def update(tx: Tx, call: Call, change: Change) -> Output:
    """UpdateFHIRDatastore: done when it is answered; members that are not given stay as they are."""
    found = own(tx, call, change.id)
    call.touch(TYPE, store_arn(found))
    _active(found)
    settings = msgspec.json.encode(configuration.merged(msgspec.json.decode(found.configuration), change.settings)).decode()
    now = found._replace(name=change.name if change.name is not None else found.name, configuration=settings)
    store.update_datastore(tx, now)
    return {"DatastoreProperties": _properties(call, now)}


def _active(found: store.Datastore) -> None:
    if found.status != "ACTIVE":
        raise ServiceError("ConflictException", "The data store is {state}.", state=found.status)


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteFHIRDatastore: the store answers nothing any more, and a job removes its rows; its description stays as DELETED."""
    found = own(tx, call, input.DatastoreId)
    call.touch(TYPE, store_arn(found))
    _active(found)
    store.set_status(tx, found.id, "DELETED")
    tags.clear(tx, store_arn(found))
    data_queue.erasure(tx, found.id, call.now)
    return _made(call, found._replace(status="DELETED"))


def tagged(snapshot: Snapshot, call: Call, resource_arn: str) -> str:
    """The ARN of the caller's data store that a tag operation names. Raises ServiceError."""
    parts = arn.parse(resource_arn)
    kind, _, id = parts.resource.rpartition("/") if parts else ("", "", "")
    if parts is None or parts.service != "healthlake" or kind != "datastore/fhir":
        raise invalid("ResourceARN {arn} is not the ARN of a data store.", arn=Content(resource_arn))
    found = own(snapshot, call, id)
    if store_arn(found) != resource_arn or found.status == "DELETED":
        raise not_found(id)
    call.touch(TYPE, resource_arn)
    return resource_arn


def tag_keys(input: Input) -> ConditionKeys:
    """The condition keys of the tags in an input."""
    return of_request((one.Key, one.Value) for one in input.Tags or ())


def tag(tx: Tx, call: Call, input: Input) -> Output:
    """TagResource."""
    target = tagged(tx, call, input.ResourceARN)
    try:
        tags.put(tx, target, tags.check((one.Key, one.Value) for one in input.Tags))
    except tags.BadTags as error:
        raise invalid("Tags: {rule}.", rule=error) from error
    return {}


def untag(tx: Tx, call: Call, input: Input) -> Output:
    """UntagResource."""
    tags.remove(tx, tagged(tx, call, input.ResourceARN), input.TagKeys)
    return {}


def list_tags(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListTagsForResource."""
    target = tagged(snapshot, call, input.ResourceARN)
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.tags_of(snapshot, target)]}
