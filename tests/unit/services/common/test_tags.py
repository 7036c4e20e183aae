"""Tags by ARN: rules of their keys, and who may know them."""

from __future__ import annotations

import pytest
from tests.databases import Database

from opentrail.services.common import tags

ACCOUNT, OTHER = "111111111111", "222222222222"
ARN = f"arn:aws:healthlake:us-east-1:{ACCOUNT}:datastore/fhir/{'a' * 32}"


@pytest.mark.parametrize("keys", [("a", "a"), ("Class", "class"), ("aws:a",), ("AWS:a",), [f"k{n}" for n in range(51)]])
def test_keys_that_break_a_rule_are_refused(keys: list[str]) -> None:
    with pytest.raises(tags.BadTags):
        tags.check((key, "v") for key in keys)


def test_a_tag_is_not_hidden_behind_one_whose_key_differs_in_case(main_database: Database) -> None:
    with main_database.write() as tx:
        tags.put(tx, ARN, [("Class", "open")])
        tags.put(tx, ARN, [("Class", "secret")])
        with pytest.raises(tags.BadTags, match="in case alone"):
            tags.put(tx, ARN, [("class", "open")])


def test_callers_of_other_accounts_know_no_tags(main_database: Database) -> None:
    with main_database.write() as tx:
        tags.put(tx, ARN, [("Class", "secret")])
        assert tags.of_account(tx, ARN, ACCOUNT) == [("Class", "secret")]
        assert tags.of_account(tx, ARN, OTHER) == []
        assert tags.of_account(tx, "arn:aws:healthlake", ACCOUNT) == []
