"""Access keys: CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey. Without a user name they mean the caller's."""

from __future__ import annotations

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output
from opentrail.identity import store
from opentrail.identity.credentials import new_access_key
from opentrail.services.iam import common
from opentrail.store.sql import Snapshot, Tx

MOST = 2
_STATUS = {"Active": True, "Inactive": False}


def _owner(snapshot: Snapshot, call: Call, input: Input) -> tuple[str, dict[str, str]]:
    """The id of the keys' holder, and its name as answers show it; the root user has none."""
    name = input.UserName or common.own_name(call)
    if not name:
        return call.account, {}
    user = common.user(snapshot, call, name)
    return user.id, {"UserName": user.name}


def create_access_key(tx: Tx, call: Call, input: Input) -> Output:
    """Makes a key; only this answer ever shows its secret."""
    owner, named = _owner(tx, call, input)
    if len(store.access_keys(tx, owner)) >= MOST:
        raise common.limit("Cannot exceed quota for AccessKeysPerUser: {most}", most=MOST)
    id, secret = new_access_key(tx, call.tools.sealer, call.tools.ids, call.account, owner, call.now)
    call.touch(common.ACCESS_KEY, id)
    return {"AccessKey": {**named, "AccessKeyId": id, "Status": "Active", "SecretAccessKey": secret, "CreateDate": call.now}}


def list_access_keys(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Lists keys without their secrets."""
    owner, named = _owner(snapshot, call, input)
    keys = sorted(store.access_keys(snapshot, owner), key=lambda key: key.id)
    rows, more = common.listed(call, "ListAccessKeys", input, owner, keys, lambda key: str(key.id))
    shown = [{**named, "AccessKeyId": key.id, "Status": "Active" if key.active else "Inactive", "CreateDate": key.created} for key in rows]
    return {"AccessKeyMetadata": shown, **more}


def _key(tx: Tx, call: Call, input: Input) -> store.AccessKey:
    owner, _ = _owner(tx, call, input)
    key = store.access_key(tx, input.AccessKeyId)
    if key is None or key.owner != owner:
        raise common.no_such("Access Key", input.AccessKeyId)
    return key


def update_access_key(tx: Tx, call: Call, input: Input) -> Output:
    """Switches a key on or off; one that is off fails in the very next call."""
    if input.Status not in _STATUS:
        raise common.invalid("Status must be Active or Inactive.")
    store.switch_access_key(tx, _key(tx, call, input).id, _STATUS[input.Status])
    return {}


def delete_access_key(tx: Tx, call: Call, input: Input) -> Output:
    """Deletes a key."""
    store.drop_access_key(tx, _key(tx, call, input).id)
    return {}


_R = common.REGION
OPERATIONS = (
    Operation("CreateAccessKey", common.right_on_user("iam:CreateAccessKey"), apply=create_access_key, global_region=_R),
    Operation("ListAccessKeys", common.right_on_user("iam:ListAccessKeys"), read=list_access_keys, global_region=_R),
    Operation("UpdateAccessKey", common.right_on_user("iam:UpdateAccessKey"), apply=update_access_key, global_region=_R),
    Operation("DeleteAccessKey", common.right_on_user("iam:DeleteAccessKey"), apply=delete_access_key, global_region=_R),
)
