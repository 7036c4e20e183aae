"""Rules of the house that a parser can check: names, broad excepts, time and chance, docstrings, length, what is committed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import ROOT, Module, module, modules, services, tracked

NAMES_ALLOWED = {
    ("identity/sigv4.py", "s3"): "object stores sign paths and payloads in a way of their own (OBJECT_SIGNING)",
    ("services/common/buckets.py", "s3"): "the service whose objects it reads and writes",
    ("work/remote_calls.py", "sts"): "the service that gives a role's credentials",
    ("gateway/inner.py", "sts"): "the service that gives a role's credentials",
}
CLIENTS = ("client", "cli", "console", "start")
"""Callers of the API: they name what they call."""

BROAD = {"gateway/recording.py", "work/runner.py", "work/executor.py"}

CHANCE = re.compile(
    r"time\.(time|time_ns|monotonic|monotonic_ns|perf_counter)|(datetime|date)\.(now|utcnow|today)|uuid\.uuid[14]|os\.urandom"
    r"|random\.\w+|secrets\.\w+"
)
AMBIENT = {
    "kernel/ambient.py": "the one place",
    "kernel/sealing.py": "a nonce must never repeat, whoever seals",
    "app.py": "hands chance to the runner",
    "store/folder.py": "waits a moment for the lock of a server that is ending",
    "store/sqlite.py": "measures how long a statement runs, to end one that takes too long",
    "supervisor.py": "waits for processes",
    "client/demo.py": "a program of its own: waits for deliveries",
    "client/verify.py": "a program of its own: asks for keys up to now",
    "cli/lookup.py": "the edge: hands the time in",
    "cli/report.py": "the edge: hands the time in",
    "cli/demo.py": "the edge: hands the tag in",
}
LONGEST = 400


def names(one: Module) -> Iterator[str]:
    """Texts in which a module outside a service names it."""
    if one.layer in (*CLIENTS, "app"):
        return
    documented = {id(node.value) for node in ast.walk(one.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(one.tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in documented:
            continue
        for service in services():
            named = node.value == service or node.value.startswith((f"{service}.", f"{service}:"))
            address = node.value.startswith("s3://") and one.path == "services/common/buckets.py"
            if named and not address and service != one.service and not one.service and (one.path, node.value) not in NAMES_ALLOWED:
                yield f"{one.path}:{node.lineno}: {node.value!r}"


def broad(one: Module) -> Iterator[str]:
    """Handlers that take every exception and do not raise it again."""
    for node in ast.walk(one.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else {"Exception"}
            again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if caught & {"Exception", "BaseException"} and not again and one.path not in BROAD:
                yield f"{one.path}:{node.lineno}"


def chance(one: Module) -> Iterator[str]:
    """Calls of the clock or of randomness."""
    for node in ast.walk(one.tree):
        if isinstance(node, ast.Attribute) and CHANCE.fullmatch(ast.unparse(node)) and one.path not in AMBIENT:
            yield f"{one.path}:{node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.ImportFrom) and node.module in ("random", "secrets", "uuid", "time") and one.path not in AMBIENT:
            yield f"{one.path}:{node.lineno}: from {node.module} import"


def undocumented(one: Module) -> Iterator[str]:
    """The module, public functions and public classes without a docstring."""
    if one.tree.body and not ast.get_docstring(one.tree):
        yield one.path
    for node in one.tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            overload = any(ast.unparse(mark).endswith("overload") for mark in node.decorator_list)
            if not overload and not ast.get_docstring(node):
                yield f"{one.path}:{node.lineno} {node.name}"


def test_no_service_is_named_outside_its_folder() -> None:
    assert len(services()) >= 7
    assert [fault for one in modules() for fault in names(one)] == []


def test_broad_excepts_are_in_two_files() -> None:
    assert [fault for one in modules() for fault in broad(one)] == []


def test_time_and_chance_are_handed_in() -> None:
    assert [fault for one in modules() for fault in chance(one)] == []


def test_what_is_public_says_what_it_promises() -> None:
    assert [fault for one in modules() for fault in undocumented(one)] == []


def test_files_are_short() -> None:
    assert {one.path: one.lines for one in modules() if one.lines > LONGEST} == {}


def test_the_rules_find_offenders() -> None:
    text = "import time\ndef f():\n    try:\n        return time.time()\n    except Exception:\n        return 's3'\n"
    offender = module("gateway/x.py", text)
    assert all(list(rule(offender)) for rule in (names, broad, chance, undocumented))


def test_exceptions_are_still_needed() -> None:
    paths = {one.path for one in modules()}
    assert BROAD | AMBIENT.keys() | {path for path, _ in NAMES_ALLOWED} <= paths


MACHINE = re.compile(rb"(?<![\w.\-/])/(?:work|root|home/\w+)/|https?://[^\s\"')>]*(?:hosted\.org|/simple\b|artifactory|nexus)")


def test_nothing_committed_names_a_machine_or_an_index() -> None:
    found = [str(file.relative_to(ROOT)) for file in tracked() if MACHINE.search(file.read_bytes())]
    assert found == []
    assert MACHINE.search(b"in /" + b"work/x") is not None
