"""Values that say nothing: a conditional request that has one would change what it does not name."""

from opentrail.services.healthlake.engine import values
from opentrail.services.healthlake.engine.search.query import Chain, CompositeValue, Filter, Has, Match, TextValue, TokenValue, Value


def blank(one: Filter) -> bool:
    """Whether a value of the filter selects whatever has the parameter: a text of which nothing is compared, a token of neither system
    nor code."""
    if isinstance(one, Match):
        return any(_empty(value, one) for value in one.values)
    if isinstance(one, Chain):
        return any(blank(inner) for _, inner in one.targets)
    return isinstance(one, Has) and blank(one.filter)


def _empty(value: Value, match: Match) -> bool:
    if isinstance(value, CompositeValue):
        return any(_empty(part, match) for part in value.parts)
    if isinstance(value, TokenValue):
        return value.code is None and not value.system
    if not isinstance(value, TextValue) or match.modifier == "exact":
        return False
    return not (value.text.strip() if match.parameter.kind == "uri" else values.fold(value.text))
