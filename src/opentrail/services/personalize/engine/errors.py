"""How the engine refuses: InvalidInputException of the Personalize models, with user content marked as content."""

from __future__ import annotations

from opentrail.kernel.errors import ServiceError


class InvalidInput(ServiceError):
    """Input breaks a documented rule. `template` names field and rule; values that users sent are `Content` arguments."""

    def __init__(self, template: str, /, **arguments: object) -> None:
        super().__init__("InvalidInputException", template, status=400, **arguments)
