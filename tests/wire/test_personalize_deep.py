"""With the extra `deep`: a training over the wire makes a sequence model, and a campaign answers with it. Without PyTorch nothing is collected."""

from __future__ import annotations

from opentrail.services.personalize.engine.models import load_model
from tests.wire.story import Story
from tests.wire.test_personalize import SCHEMA, Shop, imported, settled
from tests.wire.test_personalize_jobs import trained

ITEMS, USERS, LENGTH = 30, 60, 20
ROWS = "USER_ID,ITEM_ID,TIMESTAMP\n" + "".join(
    f"u{user},i{(user * 7 + step * 3) % ITEMS},{1_600_000_000 + step}\n" for user in range(USERS) for step in range(LENGTH)
)
"""Everybody takes every third item: what comes next follows from the last event alone."""


def test_a_sequence_model_from_import_to_recommendation(story: Story) -> None:
    shop = Shop(story, "ap-south-1")
    imported(shop, shop.dataset("INTERACTIONS", SCHEMA), ROWS)
    version = trained(shop, "deep", "aws-user-personalization-v2")
    metrics = shop.client.get_solution_metrics(solutionVersionArn=version)["metrics"]
    assert metrics["normalized_discounted_cumulative_gain_at_5"] > 0.5
    models = [path.parent for path in (story.live.server.folder / "personalize" / "models").glob("*ap-south-1*/*/card.json")]
    assert {load_model(folder).card["kind"] for folder in models} & {"sequence", "blend"}
    quiet = {"itemExplorationConfig": {"exploration_weight": "0"}}
    campaign = shop.client.create_campaign(name=story.name("deep"), solutionVersionArn=version, campaignConfig=quiet)["campaignArn"]
    settled(lambda: shop.client.describe_campaign(campaignArn=campaign)["campaign"])
    runtime, events = (story.client(name, region=shop.region) for name in ("personalize-runtime", "personalize-events"))
    tracking = shop.client.create_event_tracker(name=story.name("track"), datasetGroupArn=shop.group)["trackingId"]
    for item in (4, 11):
        event = {"eventType": "view", "itemId": f"i{item}", "sentAt": 1_700_000_000 + item}
        events.put_events(trackingId=tracking, userId="fresh", sessionId="s", eventList=[event])
        answer = runtime.get_recommendations(campaignArn=campaign, userId="fresh", numResults=3)["itemList"]
        assert f"i{(item + 3) % ITEMS}" in [one["itemId"] for one in answer]
