"""The door of IAM: what it offers. It is global: it answers in every region, and its records carry us-east-1."""

from __future__ import annotations

from opentrail.calls.naming import by_word
from opentrail.calls.operation import Service
from opentrail.services.iam import access_keys, common, inline_policies, roles, tags, users
from opentrail.services.iam.audit import AUDIT

SERVICE = Service(
    name="iam",
    operations={
        operation.name: operation
        for operation in (
            *users.OPERATIONS,
            *access_keys.OPERATIONS,
            *roles.OPERATIONS,
            *inline_policies.OPERATIONS,
            *tags.OPERATIONS,
        )
    },
    audit=AUDIT,
    event_source="iam.amazonaws.com",
    signing_names=("iam",),
    named=by_word(common.TYPES),
    action_prefix="iam",
    resource_tags=tags.of_resource,
    denied_code="AccessDenied",
)
