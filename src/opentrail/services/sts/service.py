"""The door of STS: what it offers, in every region. Calls are recorded in the region that is called."""

from __future__ import annotations

from opentrail.calls.operation import Service
from opentrail.services.sts import caller, roles, tokens
from opentrail.services.sts.audit import AUDIT

SERVICE = Service(
    name="sts",
    operations={operation.name: operation for operation in (*caller.OPERATIONS, *roles.OPERATIONS, *tokens.OPERATIONS)},
    audit=AUDIT,
    event_source="sts.amazonaws.com",
    signing_names=("sts",),
    action_prefix="sts",
    resource_policy=roles.trust_policy,
    denied_code="AccessDenied",
)
