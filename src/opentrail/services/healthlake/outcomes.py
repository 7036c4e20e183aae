"""Refusals of the FHIR engine as answers: an OperationOutcome for the caller, a text without content for the record."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from opentrail.kernel.errors import ServiceError
from opentrail.services.healthlake.engine.issues import FhirError, operation_outcome

T = TypeVar("T")
CODES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    409: "ConflictException",
    410: "ResourceGoneException",
    412: "PreconditionFailedException",
    422: "UnprocessableEntityException",
}
"""The record's errorCode by HTTP status; FHIR itself has only the status and the issue's code."""


def refusal(error: FhirError, location: str = "") -> ServiceError:
    """The answer to a refused request; `location` becomes its Location header."""
    text = "; ".join(issue.log_text() for issue in error.issues)
    made = ServiceError(CODES.get(error.status, "FHIRException"), "{text}", status=error.status, text=text)
    issues = operation_outcome(error.issues)["issue"]
    made.members = {"issues": issues, "location": location} if location else {"issues": issues}
    return made


def answered(function: Callable[[Any, Any, Any], T]) -> Callable[[Any, Any, Any], T]:
    """A read or apply whose FhirErrors leave as ServiceErrors."""

    @wraps(function)
    def guarded(first: Any, second: Any, third: Any) -> T:
        try:
            return function(first, second, third)
        except FhirError as error:
            raise refusal(error) from error

    return guarded


def prepared(function: Callable[[Any, Any], T]) -> Callable[[Any, Any], T]:
    """A prepare, or the rights, whose FhirErrors leave as ServiceErrors."""

    @wraps(function)
    def guarded(first: Any, second: Any) -> T:
        try:
            return function(first, second)
        except FhirError as error:
            raise refusal(error) from error

    return guarded
