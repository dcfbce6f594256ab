"""The registry of formats: what `--format` and `--out` know follows from the modules in `cli/formats`."""

from __future__ import annotations

import doctest
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeprof.cli import formats, options, output
from pipeprof.cli.formats import registry

Pipeprof = Callable[..., Any]
RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"


@pytest.fixture
def shout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more module in the package of formats."""
    lines = (
        "from pipeprof.cli.formats.registry import Format",
        "from pipeprof.cli.text.blocks import Heading",
        "def shout(output):",
        "    titles = [block.title for block in output.blocks() if isinstance(block, Heading)]",
        "    return f'{output.profile.target.text}: {titles}'.upper()",
        "FORMAT = Format('shout', ('.shout',), frozenset({'run', 'show'}), shout)",
    )
    (tmp_path / "shouting.py").write_text("\n".join(lines))
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    registry.all_formats.cache_clear()
    yield
    registry.all_formats.cache_clear()
    sys.modules.pop("pipeprof.cli.formats.shouting", None)


@pytest.mark.usefixtures("shout")
def test_a_format_is_one_module(pipeprof: Pipeprof, tmp_path: Path) -> None:
    assert options.report_format("shout", json=False) == "shout"
    assert output.format_of("a.shout") == "shout"
    result = pipeprof("show", RECORDED / "input-bound.json", "--format", "shout", "--out", tmp_path / "a.shout")
    assert result.code == 0
    assert result.out.startswith("SPEC.YAML: ['STEPS'")
    assert (tmp_path / "a.shout").read_text() == result.out
    assert (
        "expected text, json, github, md, html, sarif, shout or patch"
        in pipeprof("show", "x.json", "--format", "pdf").err
    )


def test_no_format_is_left_of_the_test_before() -> None:
    assert registry.names_of("run") == ("text", "json", "github", "md", "html", "sarif")
    assert registry.names_of("check") == ("text", "json", "github", "sarif")


@pytest.mark.parametrize("module", [registry])
def test_examples_in_the_docstrings(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
