"""The recipes: what each trains on, how it is served, and its hyperparameters with defaults and ranges (`recipes.json`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from opentrail.kernel.errors import Content
from opentrail.services.personalize.engine.errors import InvalidInput

Settings = dict[str, int | float | str]


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One hyperparameter: `kind` integer, continuous or categorical; `low`..`high` or `values`; whether HPO may vary it."""

    name: str
    kind: str
    default: int | float | str
    tunable: bool
    low: float = 0.0
    high: float = 0.0
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe. `events` are the event types it trains on (all when empty), `drops` the one whose items it leaves out, `updates` the
    seconds after which a model that serves is brought up to date (0: never)."""

    name: str
    type: str
    engine: str
    domain: str | None = None
    events: tuple[str, ...] = ()
    drops: str | None = None
    basket: int | None = None
    explores: bool = False
    needs_items: bool = False
    needs_user: bool = False
    interactions: bool = True
    withdrawn: bool = False
    updates: int = 0
    hyperparameters: Mapping[str, Hyperparameter] = field(default_factory=dict)


@cache
def recipes() -> Mapping[str, Recipe]:
    """All recipes by name."""
    table: dict[str, dict[str, Any]] = json.loads(files(__package__).joinpath("recipes.json").read_text("utf-8"))
    return {name: _recipe(name, dict(entry)) for name, entry in table.items()}


def _recipe(name: str, entry: dict[str, Any]) -> Recipe:
    parameters = {one: _parameter(one, how) for one, how in entry.pop("hyperparameters").items()}
    entry["events"] = tuple(entry.get("events", ()))
    entry.setdefault("engine", "none")
    return Recipe(name=name, hyperparameters=parameters, **entry)


def _parameter(name: str, how: Mapping[str, Any]) -> Hyperparameter:
    low, high = how.get("range", (0.0, 0.0))
    kind = how.get("kind", "categorical")
    return Hyperparameter(name, kind, how["default"], how["tunable"], low, high, tuple(how.get("values", ())))


def find_recipe(name: str) -> Recipe:
    """The recipe called `name` (the last part of its ARN), fit for training; withdrawn ones refuse."""
    recipe = recipes().get(name)
    if recipe is None:
        raise InvalidInput("Recipe {name} does not exist.", name=Content(name))
    if recipe.withdrawn:
        raise InvalidInput("Recipe {name} is withdrawn by AWS; use aws-user-personalization-v2.", name=name)
    return recipe


def read_settings(recipe: Recipe, given: Mapping[str, str]) -> Settings:
    """The hyperparameters of a solution: texts of the call over the defaults, each checked against its documented range."""
    settings: Settings = {name: one.default for name, one in recipe.hyperparameters.items()}
    for name, text in given.items():
        parameter = recipe.hyperparameters.get(name)
        if parameter is None:
            raise InvalidInput("Recipe {recipe} has no hyperparameter {name}.", recipe=recipe.name, name=Content(name))
        settings[name] = _read(parameter, text)
    return settings


def _read(parameter: Hyperparameter, text: str) -> int | float | str:
    if parameter.kind == "categorical":
        if text.lower() not in parameter.values:
            raise InvalidInput("Hyperparameter {name} must be one of {values}.", name=parameter.name, values=", ".join(parameter.values))
        return text.lower()
    try:
        value = int(text) if parameter.kind == "integer" else float(text)
    except ValueError:
        raise InvalidInput("Hyperparameter {name} must be a {kind} value.", name=parameter.name, kind=parameter.kind) from None
    if not parameter.low <= value <= parameter.high:
        raise InvalidInput(
            "Hyperparameter {name} must lie between {low} and {high}.", name=parameter.name, low=parameter.low, high=parameter.high
        )
    return value


@dataclass(frozen=True, slots=True)
class Ranges:
    """What HPO may vary: name to (low, high) or to the values to choose from."""

    integer: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    continuous: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    categorical: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def default_ranges(recipe: Recipe) -> Ranges:
    """The ranges HPO uses when the solution gives none: each tunable hyperparameter's whole range."""
    tunable = [one for one in recipe.hyperparameters.values() if one.tunable]
    return Ranges(
        {one.name: (int(one.low), int(one.high)) for one in tunable if one.kind == "integer"},
        {one.name: (one.low, one.high) for one in tunable if one.kind == "continuous"},
        {one.name: one.values for one in tunable if one.kind == "categorical"},
    )


def check_ranges(recipe: Recipe, ranges: Ranges) -> Ranges:
    """Refuse ranges of unknown or fixed hyperparameters, and ones outside what is documented."""
    tables: tuple[tuple[str, Mapping[str, tuple[Any, ...]]], ...] = (
        ("integer", ranges.integer),
        ("continuous", ranges.continuous),
        ("categorical", ranges.categorical),
    )
    for kind, table in tables:
        for name, span in table.items():
            parameter = recipe.hyperparameters.get(name)
            if parameter is None or parameter.kind != kind or not parameter.tunable:
                raise InvalidInput(
                    "Recipe {recipe} has no {kind} hyperparameter {name} to tune.", recipe=recipe.name, kind=kind, name=Content(name)
                )
            for value in span:
                _read(parameter, str(value))
            if kind != "categorical" and span[0] > span[1]:
                raise InvalidInput("Hyperparameter {name}: the range's minimum exceeds its maximum.", name=name)
    return ranges


def draw_settings(recipe: Recipe, settings: Settings, ranges: Ranges, trial: int, seed: int) -> Settings:
    """The settings of HPO trial `trial` (0 keeps the given ones): uniform draws from the ranges, the same for the same seed."""
    if trial == 0:
        return dict(settings)
    rng = np.random.default_rng((seed, trial))
    drawn = dict(settings)
    for name, (low, high) in sorted(ranges.integer.items()):
        drawn[name] = int(rng.integers(low, high + 1))
    for name, (least, most) in sorted(ranges.continuous.items()):
        drawn[name] = float(rng.uniform(least, most))
    for name, values in sorted(ranges.categorical.items()):
        drawn[name] = values[int(rng.integers(len(values)))]
    return drawn
