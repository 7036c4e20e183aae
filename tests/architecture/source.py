"""The source files that the rules of the house are checked on, parsed once."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "opentrail"


@dataclass(frozen=True)
class Module:
    """One file of the package. `path` is relative to the package, with slashes."""

    path: str
    tree: ast.Module
    lines: int

    @property
    def layer(self) -> str:
        """The top-level package or module it lies in."""
        return self.path.partition("/")[0].removesuffix(".py")

    @property
    def service(self) -> str:
        """The service it belongs to; empty outside services and for what services share."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == "services" and len(parts) > 2 and parts[1] != "common" else ""

    def imports(self) -> Iterator[str]:
        """Every module it imports, by full name; `from a import b` also gives a.b."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.module, f"{self.path}: relative import"
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def modules() -> tuple[Module, ...]:
    """Every Python file of the package, generated migrations left out."""
    files = sorted(file for file in SOURCE.rglob("*.py") if "migrations" not in file.parts)
    assert len(files) > 100, "the package was not found"
    return tuple(module(file.relative_to(SOURCE).as_posix(), file.read_text("utf-8")) for file in files)


def module(path: str, text: str) -> Module:
    """A module from its text."""
    return Module(path, ast.parse(text), text.count("\n"))


@cache
def services() -> tuple[str, ...]:
    """The names of the service packages."""
    return tuple(sorted(door.parent.name for door in (SOURCE / "services").glob("*/service.py")))


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that is or would be committed."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(file for line in listed.splitlines() if (file := ROOT / line).is_file())
