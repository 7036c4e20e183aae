"""Errors as the caller sees them, and as the trail may keep them.

An error text is a template and its arguments. An argument that carries what a user sent (a search value, a line of a
file, a patient's name) is wrapped in `Content`: the caller reads it, records and logs show `HIDDEN` in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""AWS's token for a value that is kept out of the trail (CloudTrail record contents)."""

SHOWN = 256
"""Characters of one argument that an error text shows at most."""


@dataclass(frozen=True, slots=True)
class Content:
    """A value that belongs to the caller: shown in the answer, hidden in records and logs."""

    value: object


class ServiceError(Exception):
    """An answer other than success, in the terms of the called service.

    `code` is the name in the service's model (or a common AWS code), `status` the HTTP status, `template` a
    `str.format` text over `arguments`. `members` are further members of the modelled error shape, set by who has any.
    """

    members: Mapping[str, object] = {}

    def __init__(self, code: str, template: str, /, *, status: int = 400, **arguments: Any) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.template = template
        self.arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.__dict__)

    def for_caller(self) -> str:
        """The text with every argument, each cut to `SHOWN` characters."""
        return self._render(lambda content: str(content.value)[:SHOWN])

    def for_record(self) -> str:
        """The text that may leave the call: content arguments are hidden."""
        return self._render(lambda content: HIDDEN)

    def _render(self, show: Callable[[Content], str]) -> str:
        if not self.arguments:
            return self.template
        shown = {name: show(value) if isinstance(value, Content) else str(value)[: 4 * SHOWN] for name, value in self.arguments.items()}
        return self.template.format_map(shown)


def _restored(kind: type[ServiceError], state: Mapping[str, Any]) -> ServiceError:
    """An error that came from another process."""
    error = kind.__new__(kind, state["code"])
    error.__dict__.update(state)
    return error


class Unavailable(ServiceError):
    """The call cannot be served now, and nothing of it happened (or its outcome is unknown, which the text then says)."""

    def __init__(self, template: str, /, **arguments: object) -> None:
        super().__init__("ServiceUnavailable", template, status=503, **arguments)
