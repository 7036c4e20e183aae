"""Operations and services: what the gateway needs to know of each, and nothing about how they work."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentrail.calls.bearer import Bearers
from opentrail.calls.call import Call
from opentrail.calls.naming import Named, nothing
from opentrail.store.sql import Snapshot, Tx

Input = Any
"""A msgspec struct compiled from the service's model: wire member names, absent members None, times as epoch seconds."""

Output = Mapping[str, Any]
"""Wire member names to values; times as epoch seconds, bytes as bytes, absent members left out."""

Read = Callable[[Snapshot, Call, Input], Output]
"""A read-only operation: one consistent view, no writing, may run anywhere. Raises ServiceError."""


class Long(Exception):
    """A brief read finds that this call is none: it needs a file, or much computing."""


Compute = Callable[[Call, Input], Output]
"""A read-only operation that asks no database but an engine: it may take long and waits in a thread of its own kind."""

Prepare = Callable[[Call, Input], Any]
"""First half of a state-changing operation: parses, validates, computes, makes service-made calls. Writes nothing in the
database and may be thrown away. Returns the plan for `apply`. Raises ServiceError."""

Apply = Callable[[Tx, Call, Any], Output]
"""Second half: runs in the write transaction, makes every read that decides a write, is short, may be run again."""


def plan_is_input(call: Call, input: Input) -> Input:
    """The `prepare` of operations that have nothing to prepare."""
    return input


ConditionKeys = Mapping[str, str | Sequence[str]]
"""Condition keys, lower case, with their value or values."""


@dataclass(frozen=True, slots=True)
class Right:
    """One right a call needs: an IAM action on a resource ARN (`*` where the action has no resource)."""

    action: str
    resource: str = "*"
    keys: ConditionKeys = field(default_factory=dict)
    """Further condition keys beside the global ones and the tags of the resource, such as s3:x-amz-acl."""
    new: bool = False
    """The resource is about to be made: if another's has the name, the operation says so, not that one's policy."""
    owner_root: bool = False
    """The root user of the resource's owner may do it whatever the resource's policy says, so that no policy locks its owner out."""


Rights = Callable[[Call, Input], Sequence[Right]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One API action that is offered: `read`, `compute`, or `apply` (with `prepare` when there is something to prepare)."""

    name: str
    rights: Rights
    """What the caller must be allowed to do. An empty sequence: open to every authenticated caller (as sts:GetCallerIdentity)."""
    read: Read | None = None
    compute: Compute | None = None
    prepare: Prepare = plan_is_input
    apply: Apply | None = None
    event_name: str = ""
    """The record's eventName where it differs from `name`."""
    data_type: str = ""
    """The `resources.type` of data events; empty for management events."""
    brief: Read | None = None
    """Answers most calls of `read` in some hundred microseconds and is run on the event loop on SQLite (measured: a thread that
    computes beside the loop costs more than the answer); raises Long for the others, which `read` answers then in a thread."""
    point: bool = False
    """A read of a few rows by key, run on the event loop on SQLite (measured: cheaper than a thread hop)."""
    rights_in_body: bool = False
    """What the call needs stands in its body: a long one is read in a thread, not on the event loop."""
    streams_in: bool = False
    """The request body is spooled to disk and handed to `prepare` as an Upload in the payload member."""
    unchecked: tuple[str, ...] = ()
    """Input members that the model does not check, because the service answers with an error of its own."""
    public: bool = False
    """A read-only operation that needs no credentials. Without them the call is counted and leaves no record, as in CloudTrail."""
    global_region: str = ""
    """The awsRegion of the record for global services (`us-east-1` for IAM); empty: the call's region."""

    @property
    def read_only(self) -> bool:
        return self.read is not None or self.compute is not None

    @property
    def prepares(self) -> bool:
        """Whether there is a first half to run."""
        return self.prepare is not plan_is_input


HashIds = Callable[[dict[str, Any], Callable[[str], str]], None]


@dataclass(frozen=True, slots=True)
class Audit:
    """What a record keeps of an operation. What is not listed is dropped.

    Paths are wire member names joined by dots, `[]` for list items and `{}` for map values: `TagsList[].Key`. A path
    that names a structure keeps nothing below it unless it ends in `.*`. Every leaf of the model's input and output is
    either kept or named in `drop`, so that a new member of the model fails a test instead of leaking or vanishing.
    """

    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep_output: tuple[str, ...] = ()
    drop_output: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    """Members whose presence is kept and whose value is replaced by HIDDEN_DUE_TO_SECURITY_REASONS."""
    times: tuple[str, ...] = ()
    """Kept members that hold seconds since 1970, which records write as `Jul 10, 2023 12:24:29 PM`."""
    shapes: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    """Kept members that are hidden unless they look like this: where a path has an id, a client may have written anything."""
    hash_ids: HashIds | None = None
    """With the setting `hash_resource_ids`: replaces, in the parameters that are kept, the ids of resources whose ids it hashes by
    what the given function makes of an id or name."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """Record names of top-level members where they are not the member's name with a small first letter."""


NOTHING = Audit(drop=("*",), drop_output=("*",))
"""Keeps no parameters and no response."""


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    """The policy attached to a resource, and who owns the resource."""

    owner: str
    document: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """One service's door."""

    name: str
    """botocore's name of the model."""
    operations: Mapping[str, Operation]
    audit: Mapping[str, Audit]
    """One entry for each operation of the model, offered or not."""
    event_source: str
    """`cloudtrail.amazonaws.com`"""
    signing_names: tuple[str, ...]
    action_prefix: str
    """The prefix of its IAM actions: `cloudtrail`."""
    resource_policy: Callable[[Snapshot, str], ResourcePolicy | None] | None = None
    """Finds the policy of a resource by its ARN; None when the service has no resource policies."""
    policy_holder: Callable[[str], str] = lambda arn: arn
    """The ARN of the resource that carries the policy for an ARN: a bucket for its objects."""
    aim: Callable[[Call, Input], None] | None = None
    """Names, for the record of a refused call, what its input alone says it was aimed at; it may not be there."""
    named: Named = nothing
    """By what type and ARN the record of a call that was denied names what an ARN of this service in the call's rights stands for."""
    resource_tags: Callable[[Snapshot, str, str], Sequence[tuple[str, str]]] | None = None
    """The tags of one of its resources by ARN, as far as a caller of the given account may know them: none of what is not there or
    is out of its reach. Reads settled rows alone. None when its resources have no tags."""
    bearers: Bearers | None = None
    """How the service takes bearer tokens in FHIR's protocol; None when it takes none."""
    fhir: bool = False
    """Whether the service answers FHIR's own REST protocol under /datastore/."""
    denied_code: str = "AccessDeniedException"
    """The service's code for a call that no policy allows."""
    invalid_code: str = ""
    """The service's code for an input that breaks the model, where it differs from its protocol's usual one. Operations
    that do not declare it keep the usual one."""


def right(
    action: str,
    resource: Callable[[Call, Input], str] | None = None,
    keys: Callable[[Input], ConditionKeys] | None = None,
    owner_root: bool = False,
) -> Rights:
    """The rights of an operation that needs one action, on one resource (with condition keys from its input) or on `*`; see Right for
    `owner_root`."""
    if resource is None:
        every = (Right(action),)
        return lambda call, input: every
    return lambda call, input: (Right(action, resource(call, input), keys(input) if keys else {}, owner_root=owner_root),)
