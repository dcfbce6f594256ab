"""The documentation as a site: links between the repository's files, and what a built page would load."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


hooks, runs = _load("site_hooks"), _load("run_commands")
PAGES = {
    "compare.md",
    "how-to/ci.md",
    "pages/run.webp",
    "SECURITY.md",
    "examples/README.md",
    "examples/array/README.md",
}


@pytest.mark.parametrize(
    ("here", "target", "page"),
    [
        ("compare.md", "how-to/ci.md", "how-to/ci.md"),
        ("how-to/ci.md", "../compare.md", "compare.md"),
        ("how-to/ci.md", "../../SECURITY.md", "SECURITY.md"),
        ("SECURITY.md", "docs/how-to/ci.md", "how-to/ci.md"),
        ("examples/README.md", "array", "examples/array/README.md"),
        ("compare.md", "../examples/array/", "examples/array/README.md"),
        ("compare.md", "../benchmarks/results/gate.json", None),
    ],
)
def test_a_link_of_the_repository_is_one_of_the_site(here: str, target: str, page: str | None) -> None:
    assert hooks.linked_page(here, target, PAGES) == page


def test_every_page_is_in_the_navigation_or_belongs_to_one_that_is() -> None:
    text = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"^ +- (?:[\w ]+: )?([\w/-]+\.md)$", text.partition("\nnav:\n")[2], re.MULTILINE))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert pages - named == set()
    assert {name for name in hooks.outside() if not name.startswith("examples/")} <= named


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://a.example/x.js"></script>',
        '<img src="//a.example/x.png">',
        '<img srcset="x.png 1x, https://a.example/x.png 2x">',
        '<link rel="preconnect" href="https://a.example">',
        '<div style="background: url(https://a.example/x.png)"></div>',
        "<style>@import 'https://a.example/x.css';</style>",
        '<pre class="mermaid">graph</pre>',
    ],
)
def test_what_a_page_loads_from_elsewhere_is_found(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.html").write_text(text)
    assert len(list(hooks.remote(tmp_path))) == 1


def test_what_asks_no_other_host_is_not(tmp_path: Path) -> None:
    (tmp_path / "x.html").write_text('<a href="https://a.example">a</a><img src="x.png"><script src="y.js"></script>')
    (tmp_path / "x.css").write_text("a { background: url(data:image/png;base64,AA) } b { background: url(x.png) }")
    assert list(hooks.remote(tmp_path)) == []
    (tmp_path / "x.css").write_text("a { background: url('https://a.example/x.png') }")
    assert list(hooks.remote(tmp_path)) == ["x.css: https://a.example/x.png"]


def test_every_documented_command_was_run() -> None:
    """`make docs-run` runs them; the record has the commit, the seconds and how each one ended."""
    kept, shown = runs.read(), runs.commands()
    assert len(shown) > 80
    assert list(kept) == shown, "make docs-run"
    assert None not in kept.values(), "make docs-run"
    assert {command: one["code"] for command, one in kept.items() if one["code"] not in runs.EXPECTED} == {}
    assert all(re.fullmatch(r"[0-9a-f]{12}", one["commit"]) for one in kept.values())


def test_commands_are_those_that_a_reader_can_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("```\n$ pipeprof run a.yaml   # a remark\nmake run\n```\n```yaml\npipeprof: x\n```\npipeprof is\n")
    monkeypatch.setattr(runs, "PAGES", (page, page))
    assert runs.commands() == ["pipeprof run a.yaml"]
