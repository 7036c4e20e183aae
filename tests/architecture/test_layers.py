"""Imports point one way; services and engines know nothing beside them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.architecture.source import Module, module, modules

ORDER = (
    ("kernel",),
    ("contract",),
    ("store",),
    ("record",),
    ("journal",),
    ("calls",),
    ("identity",),
    ("work",),
    ("services",),
    ("gateway",),
    ("upkeep",),
    ("app",),
    ("roles", "supervisor", "client"),
    ("start",),
    ("cli", "console"),
)
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}
BARRED = {"client": {"gateway", "app"}, "console": {"gateway", "app", "services", "journal", "store", "identity", "work"}}
"""What a client of the API does without, though it lies below."""
ENGINES_USE = ("opentrail.kernel",)


def faults(one: Module) -> Iterator[str]:
    """What a module imports and should not."""
    for name in one.imports():
        if not name.startswith("opentrail."):
            continue
        layer = name.split(".")[1]
        if layer not in LEVEL:
            continue  # opentrail.__version__
        if layer != one.layer and (LEVEL[layer] >= LEVEL[one.layer] or layer in BARRED.get(one.layer, ())):
            yield f"{one.path} imports {name}"
        parts = name.split(".")
        if one.service and layer == "services" and len(parts) > 2 and parts[2] not in (one.service, "common"):
            yield f"{one.path} imports its sibling {name}"
        if one.path.startswith("services/common/") and layer == "services" and len(parts) > 2 and parts[2] != "common":
            yield f"{one.path} imports {name}"
        folder = f"opentrail.services.{one.service}"
        if one.service and "/engine/" in one.path and not name.startswith((f"{folder}.engine", *ENGINES_USE)) and name != folder:
            yield f"{one.path}: an engine imports {name}"


def test_every_package_has_a_place() -> None:
    unknown = {one.layer for one in modules()} - set(LEVEL) - {"__init__"}
    assert not unknown


def test_imports_point_one_way() -> None:
    assert [fault for one in modules() for fault in faults(one)] == []


def test_the_rule_finds_offenders() -> None:
    offenders = {
        "kernel/x.py": "from opentrail.store import sql",
        "gateway/x.py": "import opentrail.app",
        "services/s3/x.py": "from opentrail.services import iam",
        "services/s3/engine/x.py": "from opentrail.store.sql import Sql",
        "services/common/x.py": "from opentrail.services.s3 import store",
        "client/x.py": "from opentrail import gateway",
    }
    assert all(list(faults(module(path, text))) for path, text in offenders.items())
