"""What Personalize brings along: ListRecipes, DescribeRecipe, DescribeAlgorithm, DescribeFeatureTransformation."""

from __future__ import annotations

from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.kernel import paging
from opentrail.kernel.errors import Content
from opentrail.services.personalize import resources
from opentrail.services.personalize.engine.recipes import Hyperparameter, Recipe, recipes
from opentrail.store.sql import Snapshot

PREFIX = "arn:aws:personalize:::"
RELEASED = 1560124800.0
"""2019-06-10, which AWS shows as the creation of its recipes."""
TRANSFORMATION = "JSON-percentile-filtering"
_TIMES = {"creationDateTime": RELEASED, "lastUpdatedDateTime": RELEASED}


def recipe_arn(recipe: Recipe) -> str:
    """`arn:aws:personalize:::recipe/aws-...`"""
    return f"{PREFIX}recipe/{recipe.name}"


def find(kind: str, wanted: str) -> Recipe:
    """The recipe behind a built-in ARN (recipe or algorithm). Raises ServiceError."""
    if not wanted.startswith(f"{PREFIX}{kind}/"):
        raise resources.invalid("The ARN {arn} is not that of a {kind}.", arn=Content(wanted), kind=kind)
    found = recipes().get(wanted.removeprefix(f"{PREFIX}{kind}/"))
    if found is None:
        raise resources.missing(wanted)
    return found


def list_recipes(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListRecipes, by name; those of one domain when it is given."""
    bound = (input.domain, input.recipeProvider)
    after = resources.place_of(call, input, bound, (0.0, ""))[1]
    found = [one for name, one in sorted(recipes().items()) if name > after and input.domain in (None, one.domain)]
    most = input.maxResults or 100
    output: dict[str, Any] = {"recipes": [_summary(one) for one in found[:most]]}
    if len(found) > most:
        output["nextToken"] = paging.issue(call.tools.sealer, call.target.name, bound, (0.0, found[most - 1].name))
    return output


def describe_recipe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeRecipe."""
    found = find("recipe", input.recipeArn)
    shown = _summary(found)
    shown.pop("domain", None)
    more = {
        "algorithmArn": f"{PREFIX}algorithm/{found.name}",
        "featureTransformationArn": f"{PREFIX}feature-transformation/{TRANSFORMATION}",
        "recipeType": found.type,
    }
    return {"recipe": {**shown, **more}}


def describe_algorithm(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeAlgorithm: the defaults and ranges of the recipe's hyperparameters."""
    found = find("algorithm", input.algorithmArn)
    every = found.hyperparameters.values()
    ranges = {
        "integerHyperParameterRanges": [_range(one, int) for one in every if one.kind == "integer"],
        "continuousHyperParameterRanges": [_range(one, float) for one in every if one.kind == "continuous"],
        "categoricalHyperParameterRanges": [
            {"name": one.name, "values": list(one.values), "isTunable": one.tunable} for one in every if one.kind == "categorical"
        ],
    }
    shown = {
        "name": found.name,
        "algorithmArn": input.algorithmArn,
        "defaultHyperParameters": {one.name: str(one.default) for one in every},
        "defaultHyperParameterRanges": ranges,
    }
    return {"algorithm": {**shown, **_TIMES}}


def describe_transformation(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeFeatureTransformation."""
    if input.featureTransformationArn != f"{PREFIX}feature-transformation/{TRANSFORMATION}":
        raise resources.missing(input.featureTransformationArn)
    shown = {"name": TRANSFORMATION, "featureTransformationArn": input.featureTransformationArn, "status": "ACTIVE"}
    return {"featureTransformation": {**shown, **_TIMES}}


def _summary(one: Recipe) -> dict[str, Any]:
    return resources.present(name=one.name, recipeArn=recipe_arn(one), status="ACTIVE", domain=one.domain, **_TIMES)


def _range(one: Hyperparameter, number: type[int] | type[float]) -> dict[str, Any]:
    return {"name": one.name, "minValue": number(one.low), "maxValue": number(one.high), "isTunable": one.tunable}
