"""What is imported is declared, with one exact version."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.architecture.source import ROOT, SOURCE

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PEERS = {"implicit", "scipy", "msgpack", "rectools", "pandas"}
"""What a benchmark compares with when it is installed, and what a data builder says that it needs."""
LOCAL = {"opentrail", "tests", "benchmarks", "tools"} | {file.stem for file in (ROOT / "tests").rglob("*.py")}


def declared(requirements: list[str]) -> set[str]:
    """The names of pinned requirements."""
    pins = [re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[\w,]+\])?==[\w.+]+(?: *;.*)?", line) for line in requirements]
    assert all(pins), f"every requirement has one exact version: {requirements}"
    return {normal(pin.group(1)) for pin in pins if pin}


def normal(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folder: Path) -> dict[str, str]:
    """Top-level packages that are imported from elsewhere, each with one file that does."""
    found: dict[str, str] = {}
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found.update({name.partition(".")[0]: str(file.relative_to(ROOT)) for name in names})
    return {name: file for name, file in found.items() if name not in sys.stdlib_module_names | LOCAL}


def missing(folder: Path, allowed: set[str]) -> dict[str, str]:
    """Imports that no declared distribution brings."""
    brought = packages_distributions()
    return {
        name: file
        for name, file in imported(folder).items()
        if not {normal(distribution) for distribution in brought.get(name, [name])} & allowed
    }


def test_the_package_imports_what_it_declares() -> None:
    extras = [line for name, lines in PROJECT["optional-dependencies"].items() if name != "test" for line in lines]
    assert missing(SOURCE, declared(PROJECT["dependencies"] + extras)) == {}


def test_tests_and_benchmarks_import_what_is_declared() -> None:
    everything = declared(PROJECT["dependencies"] + [line for lines in PROJECT["optional-dependencies"].values() for line in lines])
    for folder in ("tests", "benchmarks", "tools"):
        assert missing(ROOT / folder, everything).keys() <= PEERS


def locked(name: str) -> set[str]:
    """The pins of a lock file, as name==version."""
    text = (ROOT / "requirements" / name).read_text("utf-8")
    return {f"{normal(pin.group(1))}=={pin.group(2)}" for pin in re.finditer(r"(?m)^([\w.-]+)(?:\[[^\]]*\])?==([^ \\;\n]+)", text)}


def pins(requirements: list[str]) -> set[str]:
    """The declared pins, as name==version."""
    parts = [re.sub(r"\[.*\]", "", line.partition(";")[0]).strip().partition("==") for line in requirements]
    return {f"{normal(name)}=={version}" for name, _, version in parts}


def test_locks_hold_every_pin() -> None:
    assert pins(PROJECT["dependencies"]) - locked("base.txt") == set(), "run make lock"
    assert pins(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]) - locked("test.txt") == set(), "run make lock"
