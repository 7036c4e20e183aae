"""The work of a training: metrics that anyone can compute again, tuning, updates of a model that serves, columns that are left out."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opentrail.kernel.errors import ServiceError
from opentrail.services.personalize import deleting, history, training
from opentrail.services.personalize.engine.csv_import import import_csv
from opentrail.services.personalize.engine.models import load_model
from opentrail.services.personalize.engine.schemas import read_schema


def avro(record: str, *fields: tuple[str, Any]) -> str:
    listed = [{"name": name, "type": kind, **({"categorical": True} if name == "GENRE" else {})} for name, kind in fields]
    return json.dumps(
        {"type": "record", "name": record, "namespace": "com.amazonaws.personalize.schema", "version": "1.0", "fields": listed}
    )


VISITS = avro("Interactions", ("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long"))
ITEMS = avro("Items", ("ITEM_ID", "string"), ("GENRE", ["null", "string"]), ("PRICE", "float"))
ROWS = [f"u{n % 80},i{(n % 80 * 7 + n // 80 * (1 + n % 3)) % 60},{1_600_000_000 + n * 60}" for n in range(2_400)]


class Group:
    """A dataset group's files, and tasks over them."""

    def __init__(self, folder: Path, rows: list[str], items: int = 60) -> None:
        self.folder, self.count = folder, 0
        self.data: dict[str, Any] = {}
        self.dataset("Interactions", VISITS, "USER_ID,ITEM_ID,TIMESTAMP", rows)
        listed = [f"i{n},{'drama' if n % 2 else 'war'},{n}" for n in range(items)]
        self.dataset("Items", ITEMS, "ITEM_ID,GENRE,PRICE", listed)

    def dataset(self, record: str, schema: str, header: str, rows: list[str]) -> None:
        text = "\n".join([header, *rows]) + "\n"
        segment = self.folder / f"segment-{record}-{len(rows)}"
        import_csv([("a.csv", io.BytesIO(text.encode()))], read_schema(schema), segment)
        put = self.folder / f"{record}.put"
        put.write_bytes(b"")
        self.data[record] = {"segments": [str(segment)], "put": [str(put), schema, None]}

    def put(self, record: str, *rows: dict[str, Any]) -> None:
        Path(self.data[record]["put"][0]).write_text("".join(json.dumps(row) + "\n" for row in rows))

    def compute(self, recipe: str, **more: Any) -> dict[str, Any]:
        self.count += 1
        self.made = self.folder / f"model{self.count}"
        task = {
            "recipe": recipe, "data": self.data, "base": None, "folder": str(self.made), "hyperparameters": {}, "rules": [], "aims": [],
            "columns": {}, "hpo": None, **more,
        }  # fmt: skip
        return dict(training.compute(task))


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return Group(tmp_path, ROWS)


def gain(recommended: list[str], relevant: set[str], cut: int) -> float:
    found = sum(1 / math.log2(place + 2) for place, item in enumerate(recommended[:cut]) if item in relevant)
    return found / sum(1 / math.log2(place + 2) for place in range(min(cut, len(relevant))))


@pytest.mark.parametrize("recipe", ["aws-user-personalization-v2", "aws-sims", "aws-popularity-count", "aws-similar-items"])
def test_metrics_can_be_computed_again_from_what_is_exported(group: Group, recipe: str) -> None:
    result = group.compute(recipe)
    folder = group.made / training.EVALUATION
    lists = [json.loads(line) for line in (folder / "lists.jsonl").read_text().splitlines()]
    card = json.loads((folder / "metrics.json").read_text())
    assert len(lists) == 8
    again = {"coverage": len({item for one in lists for item in one["recommended"]}) / card["items"]}
    ranks = [next((place for place, item in enumerate(one["recommended"]) if item in one["relevant"]), None) for one in lists]
    again["mean_reciprocal_rank_at_25"] = sum(0 if rank is None else 1 / (rank + 1) for rank in ranks) / len(lists)
    for cut in (5, 10, 25):
        hits = [len(set(one["recommended"][:cut]) & set(one["relevant"])) for one in lists]
        again[f"precision_at_{cut}"] = sum(hits) / cut / len(lists)
        gains = [gain(one["recommended"], set(one["relevant"]), cut) for one in lists]
        again[f"normalized_discounted_cumulative_gain_at_{cut}"] = sum(gains) / len(lists)
    assert again.keys() == result["metrics"].keys() == card["metrics"].keys()
    for name, value in again.items():
        assert abs(result["metrics"][name] - value) < 1e-6, name
    assert set(card["baselines"]) == {"popularity", "item-neighbours"}
    # The held-out part is each user's newest tenth.
    for one in lists:
        own = [row.split(",")[1] for row in ROWS if row.startswith(one["user"] + ",")]
        assert one["history"] == own[: int(0.9 * len(own))]
        assert set(one["relevant"]) == set(own[int(0.9 * len(own)) :])


def test_tuning_is_bounded_and_says_what_it_chose(group: Group) -> None:
    ranges = {"integerHyperParameterRanges": [{"name": "min_cointeraction_count", "minValue": 1, "maxValue": 4}]}
    hpo = {"hpoResourceConfig": {"maxNumberOfTrainingJobs": "3"}, "algorithmHyperParameterRanges": ranges}
    tuned = group.compute("aws-sims", hpo=hpo)["tuned"]
    assert 1 <= int(tuned["min_cointeraction_count"]) <= 4
    assert tuned["popularity_discount_factor"] == "0.5"
    assert group.compute("aws-sims", hpo=hpo)["tuned"] == tuned


def test_an_update_learns_new_items_and_keeps_the_metrics(group: Group) -> None:
    first = group.compute("aws-user-personalization")
    base = group.made
    fresh = [{"USER_ID": f"u{n}", "ITEM_ID": "new", "TIMESTAMP": 1_700_000_000 + n} for n in range(60)]
    group.put("Interactions", *fresh)
    group.put("Items", {"ITEM_ID": "new", "GENRE": "war", "PRICE": 2.0})
    second = group.compute("aws-user-personalization", base=str(base / first["model"]))
    assert "metrics" not in second
    before, after = load_model(base / first["model"]), load_model(group.made / second["model"])
    assert (before.index("new"), after.index("new")) == (-1, len(before.items))
    assert list(after.items)[: len(before.items)] == list(before.items)
    assert after.card["metrics"] == before.card["metrics"]
    assert history.History(group.made / history.NAME).of("u1")[-1].item == after.index("new")


def test_impressions_are_counted(group: Group) -> None:
    shown = avro("Interactions", ("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long"), ("IMPRESSION", ["null", "string"]))
    old = group.data["Interactions"]["segments"]
    rows = [f"u{n},i1,{1_700_000_000 + n},{'i1|i2|gone' if n % 2 else 'i3'}" for n in range(10)]
    group.dataset("Interactions", shown, "USER_ID,ITEM_ID,TIMESTAMP,IMPRESSION", rows)
    group.data["Interactions"]["segments"] = [*old, *group.data["Interactions"]["segments"]]
    result = group.compute("aws-user-personalization")
    model = load_model(group.made / result["model"])
    counts = {
        name: (int(model.arrays["taken"][model.index(name)]), int(model.arrays["shown"][model.index(name)])) for name in ("i1", "i2", "i3")
    }
    assert counts == {"i1": (5, 5), "i2": (0, 5), "i3": (0, 5)}


def test_trends_follow_the_clock_of_the_data(group: Group) -> None:
    first = group.compute("aws-trending-now")
    base = group.made
    group.put("Interactions", *({"USER_ID": f"u{n}", "ITEM_ID": "i7", "TIMESTAMP": 1_600_200_000 + n} for n in range(50)))
    second = group.compute("aws-trending-now", base=str(base / first["model"]))
    model = load_model(group.made / second["model"])
    assert int(np.argmax(model.arrays["popular"])) == model.index("i7")


def test_columns_that_are_left_out_are_not_learnt_from(group: Group) -> None:
    def vectors(**config: Any) -> Any:
        result = group.compute("aws-similar-items", columns=config)
        return load_model(group.made / result["model"]).arrays["vectors"]

    whole, none = vectors(), vectors(includedDatasetColumns={"ITEMS": []})
    assert whole.shape != none.shape
    np.testing.assert_array_equal(vectors(excludedDatasetColumns={"ITEMS": ["GENRE", "PRICE"]}), none)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (ROWS[:900], "fewer than 1000 interactions"),
        ([f"u{n},i{n % 50},{n}" for n in range(1_200)], "fewer than 25 users with at least 2 interactions each"),
        ([], "fewer than 1000 interactions"),
    ],
)
def test_too_little_data_is_a_reason(tmp_path: Path, rows: list[str], reason: str) -> None:
    with pytest.raises(ServiceError) as caught:
        Group(tmp_path, rows).compute("aws-user-personalization-v2")
    assert reason in caught.value.for_caller()


def test_segments_of_an_older_schema_train_beside_new_ones(group: Group) -> None:
    wider = avro("Interactions", ("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long"), ("DEVICE", ["null", "string"]))
    old = group.data["Interactions"]["segments"]
    rows = [f"phone,{1_700_000_000 + n},i{n % 60},w{n % 30}" for n in range(300)]
    group.dataset("Interactions", wider, "DEVICE,TIMESTAMP,ITEM_ID,USER_ID", rows)
    group.data["Interactions"]["segments"] = [*old, *group.data["Interactions"]["segments"]]
    group.compute("aws-user-personalization-v2")
    known = history.History(group.made / history.NAME)
    assert known.of("u1")[0].columns["DEVICE"] is None
    assert known.of("w1")[0].columns["DEVICE"] == "phone"


def test_a_user_who_is_deleted_is_in_no_file_of_a_model(group: Group) -> None:
    for recipe in ("aws-user-personalization-v2", "aws-item-affinity"):
        result = group.compute(recipe)
        users = history.History(group.made / history.NAME).users()
        lists = (group.made / training.EVALUATION / "lists.jsonl").read_text().splitlines()
        gone = json.loads(lists[0])["user"] if lists else "u5"
        new = group.folder / f"forgetful-{recipe}"
        made = deleting._forgetful(group.made, result["model"], new, frozenset({gone, "nobody"}))
        assert made is not None
        left = history.History(new / history.NAME)
        assert left.users() == [one for one in users if one != gone]
        assert left.of(gone) == ()
        assert [event.item for event in left.of("u7")] == [event.item for event in history.History(group.made / history.NAME).of("u7")]
        model = load_model(new / made["model"], verify=True)
        if recipe == "aws-item-affinity":
            assert len(model.arrays["users"]) == len(users) - 1
        names = b"".join(
            path.read_bytes() for path in new.rglob("*") if path.suffix in (".jsonl", ".json") or path.name.startswith("users.")
        )
        assert f'"{gone}"'.encode() not in names
        assert deleting._forgetful(group.made, result["model"], new, frozenset({"nobody"})) is None
