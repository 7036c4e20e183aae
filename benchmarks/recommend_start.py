"""From CSV to the first recommendation on MovieLens latest-small, and the import rate against Python's bare CSV reader in the same run."""

from __future__ import annotations

import csv
import io
import os
import resource
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from opentrail.services.personalize.engine.aims import Dataset
from opentrail.services.personalize.engine.columns import open_table
from opentrail.services.personalize.engine.csv_import import import_csv
from opentrail.services.personalize.engine.filter_plan import Event
from opentrail.services.personalize.engine.interactions import merge_interactions
from opentrail.services.personalize.engine.models import load_model, save_model
from opentrail.services.personalize.engine.recipes import find_recipe, read_settings
from opentrail.services.personalize.engine.schemas import Field, Schema
from opentrail.services.personalize.engine.serving import Ask, Campaign, recommend
from opentrail.services.personalize.engine.training import DeepFit, train

SCHEMA = Schema("Interactions", None, (Field("USER_ID", "string"), Field("ITEM_ID", "string"), Field("TIMESTAMP", "long")))


def first_recommendation(recipe_name: str, folder: Path, deep: DeepFit | None = None, goal: int = 20) -> None:
    """Print how long each step takes for one recipe."""
    shared = Path(os.environ.get("OPENTRAIL_SHARED", Path(__file__).parents[2] / "shared"))
    text = (shared / "data/recommend/ml-latest-small/ratings.csv").read_text("utf-8")
    text = text.replace("userId,movieId,rating,timestamp", "USER_ID,ITEM_ID,RATING,TIMESTAMP", 1)
    started = time.perf_counter()
    import_csv([("ratings.csv", io.BytesIO(text.encode()))], SCHEMA, folder / "segment")
    imported = time.perf_counter()
    data = merge_interactions([open_table(folder / "segment")])
    recipe = find_recipe(recipe_name)
    found = train(recipe, Dataset(data), read_settings(recipe, {}), 0, deep=deep)
    trained = time.perf_counter()
    model = load_model(save_model(found.model, folder))
    answer = recommend(Campaign(model, recipe), Ask([Event(model.index("1"), 1)], item="1"))
    ended = time.perf_counter()
    assert len(answer) == 25
    print(
        f"{recipe_name}: import {imported - started:.1f} s, train and measure {trained - imported:.1f} s, save, load and answer "
        f"{ended - trained:.2f} s, together {ended - started:.1f} s (goal {goal} s)"
    )


def import_rate(folder: Path, rows: int = 1_000_000) -> None:
    """Print the rate of the import, that of the bare reader, their ratio, and the memory the import took."""
    path = folder / "big.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("USER_ID,ITEM_ID,TIMESTAMP\n")
        file.writelines(f"user{n % 50_000},item{n * 7 % 20_000},{1_500_000_000 + n}\n" for n in range(rows))
    started = time.perf_counter()
    with path.open(encoding="utf-8", newline="") as file:
        assert sum(1 for _ in csv.reader(file)) == rows + 1
    bare = time.perf_counter() - started
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with path.open("rb") as binary:
        import_csv([("big.csv", binary)], SCHEMA, folder / "big")
    own = time.perf_counter() - started
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"import {rows / own:,.0f} rows/s, bare reader {rows / bare:,.0f} rows/s: {own / bare:.1f} x its time, {more:.0f} MB more memory")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        import_rate(Path(name))
    for recipe in ("aws-popularity-count", "aws-sims", "aws-user-personalization-v2"):
        with tempfile.TemporaryDirectory() as name:
            first_recommendation(recipe, Path(name))
    if find_spec("torch"):
        from opentrail.services.personalize.engine.deep import fit_sequence

        with tempfile.TemporaryDirectory() as name:
            first_recommendation("aws-user-personalization-v2", Path(name), fit_sequence, goal=300)
