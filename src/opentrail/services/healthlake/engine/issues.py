"""What is wrong with a request or resource: issues, and the refusal that carries them.

An issue's text is a template and arguments, each marked as a *name* (element names, rules, resource types: fit for records
and logs) or as *content* (anything that came out of a resource or a search value: only for the answer to the caller).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

HIDDEN = "(content)"
LIMIT = 256


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of an issue's template."""

    text: str
    content: bool


def name(value: object) -> Arg:
    """An argument that may be logged."""
    return Arg(str(value)[:LIMIT], content=False)


def content(value: object) -> Arg:
    """An argument that only the caller may see."""
    return Arg(str(value)[:LIMIT], content=True)


@dataclass(frozen=True, slots=True)
class Issue:
    """One line of an OperationOutcome. `severity` and `code` are FHIR's; `location` looks like `/Observation/status`."""

    severity: str
    code: str
    template: str
    args: tuple[Arg, ...] = ()
    location: str = ""

    def wire_text(self) -> str:
        """The text for the caller."""
        return self.template.format(*(a.text for a in self.args))

    def log_text(self) -> str:
        """The text for records and logs: content is hidden."""
        return self.template.format(*(HIDDEN if a.content else a.text for a in self.args))

    @property
    def is_error(self) -> bool:
        """Whether the issue stands against accepting the input."""
        return self.severity in ("fatal", "error")


def error(code: str, template: str, *args: Arg, location: str = "") -> Issue:
    """An issue of severity error."""
    return Issue("error", code, template, args, location)


class FhirError(Exception):
    """A refused request: the HTTP status and the issues. Its `str` hides content."""

    def __init__(self, status: int, *issues: Issue) -> None:
        super().__init__("; ".join(issue.log_text() for issue in issues))
        self.status = status
        self.issues = issues


def refuse(status: int, code: str, template: str, *args: Arg, location: str = "") -> FhirError:
    """A `FhirError` with one issue."""
    return FhirError(status, error(code, template, *args, location=location))


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The OperationOutcome resource of some issues; one that says so when there are none."""
    rows: list[dict[str, Any]] = []
    for issue in issues:
        row: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.wire_text()}
        rows.append({**row, "location": [issue.location]} if issue.location else row)
    fine = {"severity": "information", "code": "informational", "diagnostics": "No issues."}
    return {"resourceType": "OperationOutcome", "issue": rows or [fine]}
