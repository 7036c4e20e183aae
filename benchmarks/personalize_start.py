"""From CreateDatasetImportJob to the first recommendation, by stock clients over HTTP, on MovieLens latest-small.

    python -m benchmarks.personalize_start

Goal on two idle cores: 20 s for popularity and neighbours. Beside the wall clock, the CPU seconds of the whole server, which say what an
idle machine would take; the limit is the same training in this process, without server, jobs and records.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks import load, servers
from benchmarks.personalize_http import VISITS, Shop
from benchmarks.recommend_start import first_recommendation

GOAL = 20.0
RECIPES = ("aws-popularity-count", "aws-sims", "aws-user-personalization-v2")


def rows() -> str:
    """The ratings as interactions."""
    shared = Path(os.environ.get("OPENTRAIL_SHARED", Path(__file__).parents[2] / "shared"))
    text = (shared / "data/recommend/ml-latest-small/ratings.csv").read_text("utf-8")
    return text.replace("userId,movieId,rating,timestamp", "USER_ID,ITEM_ID,RATING,TIMESTAMP", 1)


def main() -> None:
    for recipe in RECIPES:
        with servers.opentrail() as server, tempfile.TemporaryDirectory() as folder:
            shop = Shop(server)
            role, group = shop.prepare()
            began, before = time.perf_counter(), load.cpu(server.pid)
            shop.imported(role, group, "INTERACTIONS", VISITS, rows())
            campaign = shop.deployed(group, recipe)
            ask = {"itemId": "1"} if recipe == "aws-sims" else {"userId": "1"}
            answer = shop.client("personalize-runtime").get_recommendations(campaignArn=campaign, **ask)
            assert len(answer["itemList"]) == 25
            wall, used = time.perf_counter() - began, load.cpu(server.pid) - before
            print(f"{recipe}: {wall:.1f} s ({wall / GOAL:.2f} of the goal), {used:.1f} s CPU; load {os.getloadavg()[0]:.1f}", flush=True)
            first_recommendation(recipe, Path(folder))


if __name__ == "__main__":
    main()
