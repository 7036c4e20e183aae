"""Comprehend Medical's door. Its operations are known and recorded; none is offered yet."""

from __future__ import annotations

from opentrail.calls.operation import Service
from opentrail.services.comprehendmedical.audit import AUDIT

SERVICE = Service(
    name="comprehendmedical",
    operations={},
    audit=AUDIT,
    event_source="comprehendmedical.amazonaws.com",
    signing_names=("comprehendmedical",),
    action_prefix="comprehendmedical",
)
