"""SNS's door. Its operations are known and recorded; none is offered yet."""

from __future__ import annotations

from opentrail.calls.operation import Service
from opentrail.services.sns.audit import AUDIT

SERVICE = Service(
    name="sns",
    operations={},
    audit=AUDIT,
    event_source="sns.amazonaws.com",
    signing_names=("sns",),
    action_prefix="sns",
)
