"""The jobs that resources wait for, among the house's: by the ARN of what they make."""

from __future__ import annotations

from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx
from opentrail.work import jobs

SERVICE = "personalize"
UPDATES = "#update"
"""What follows the ARN in the id of a job that brings a resource up to date."""


def submit(tx: Tx, made: Resource, now: float, update: bool = False) -> None:
    """Asks for the work that makes a resource, or brings an active one up to date."""
    jobs.submit(tx, SERVICE, made.kind, made.arn + UPDATES if update else made.arn, now)


def forget(tx: Tx, arn: str) -> None:
    """A resource is deleted: nothing is worked on for it any more."""
    jobs.forget(tx, arn)
    jobs.forget(tx, arn + UPDATES)


def updating(snapshot: Snapshot, arn: str) -> jobs.Job | None:
    """The job that brings a resource up to date, while there is one."""
    return jobs.under_way(snapshot, arn + UPDATES)
