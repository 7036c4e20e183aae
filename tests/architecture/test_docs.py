"""Documentation that is wrong fails: generated pages, links, names of settings, metrics and commands, and the README's tour."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from benchmarks import servers
from tools import fhir_search_page, reference

from opentrail.kernel import telemetry
from opentrail.kernel.settings import Settings
from tests.architecture.source import ROOT, SOURCE

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *SOURCE.rglob("*.md")])
ELSEWHERE = {"operations.md", "fhir-search.md"}
"""Pages of docs/reference that another tool writes."""


def blocks(page: Path, kind: str) -> list[str]:
    """The fenced code blocks of one language."""
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```", page.read_text("utf-8"))


def commands(page: Path) -> Iterator[list[str]]:
    """Every command line in a page's shell blocks, here-documents and comments left out."""
    for block in blocks(page, "sh"):
        text = re.sub(r"(?ms)<<'(\w+)'\n.*?^\1$", "", block)
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def test_the_page_of_search_parameters_is_up_to_date() -> None:
    assert fhir_search_page.main(["--check"]) == 0, "run python -m tools.fhir_search_page"


@pytest.mark.parametrize("name", reference.PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    written = (reference.FOLDER / name).read_text("utf-8")
    assert written == reference.rendered(name), "run python -m tools.reference"


def test_everything_is_documented() -> None:
    settings, cli, metrics = (reference.rendered(name) for name in ("settings.md", "cli.md", "metrics.md"))
    assert all(f"`{field.name}`" in settings for field in msgspec.structs.fields(Settings))
    assert "|  |\n" not in settings + cli + metrics, "a setting, option or metric has no meaning"
    assert all(f"## opentrail {name}\n" in cli for name in reference.commands())
    assert all(metric.name in metrics and metric.documentation for metric in telemetry.registry.collect())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("#"):
            continue
        file = (page.parent / target.partition("#")[0]).resolve()
        assert file.exists() or (file.parent == reference.FOLDER and file.name in ELSEWHERE), f"{target} is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_and_metrics_that_are_named_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    variables = {f"OPENTRAIL_{field.name.upper()}" for field in msgspec.structs.fields(Settings)} | {"OPENTRAIL_CONFIG"}
    assert set(re.findall(r"\bOPENTRAIL_[A-Z_]*[A-Z]\b", text)) <= variables
    metrics = reference.rendered("metrics.md")
    assert all(name in metrics for name in re.findall(r"\bopentrail_(?!main|history|delivery)[a-z_]+[a-z]\b", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text("utf-8")))
    for words in commands(page):
        if words[0] == "make":
            assert set(words[1:]) <= targets, words
        if Path(words[0]).name == "opentrail":
            named = reference.commands()
            command = named.get(" ".join(words[1:3])) or named[words[1]]
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words[2:] if word.startswith("-")} <= known, words


def test_the_tour_of_the_readme_runs() -> None:
    """The tour's own lines, in a shell, against a live server; the demo has an acceptance test of its own."""
    tour = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines() if line.startswith(("opentrail", "aws"))]
    lines = [line for line in tour if not line.startswith("opentrail demo")]
    assert len(lines) >= 3
    with servers.opentrail() as server:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "OPENTRAIL_DATA_DIR": str(server.folder),
            "OPENTRAIL_LISTEN": f"127.0.0.1:{server.port}",
        }
        script = "\n".join(["set -e", 'eval "$(opentrail env)"', "aws sts get-caller-identity", "aws iam list-groups && exit 9", *lines])
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "501" in done.stderr or "NotImplemented" in done.stderr
    assert "ListGroups,root,iam.amazonaws.com,NotImplemented" in done.stdout
    assert '"Events"' in done.stdout
