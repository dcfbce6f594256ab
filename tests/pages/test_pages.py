"""The page in a browser: nothing is loaded, nothing overflows, and everything can be read by everybody."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeprof.cli.main import invoke
from pipeprof.cli.render.html import render_page
from pipeprof.cli.report.comparison import build_result
from pipeprof.cli.report.report import build_page
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import load_profile
from tests.pages.browser import Browser
from tests.unit.cli.results import STAGES, result_of
from tests.unit.cli.test_html import DIFF, every_kind, with_course

ROOT = Path(__file__).parents[2]
AXE = ROOT / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
TRACE = ROOT / "tests" / "recorded" / "traces" / "h200_jax_loop.xplane.pb.gz"
"""Of a loop in JAX on a GPU that waits for its batches."""
PICTURES = ROOT / "docs" / "pages"
WIDTHS = (390, 600, 768, 1000, 1280, 1600)
KINDS = ("run", "failed", "compare", "gaps", "long")
MOST_BYTES = 150_000
UNFOCUSED = """[...document.querySelectorAll('*')].filter(one => one.scrollWidth > one.clientWidth + 1
  && one.tabIndex < 0 && ['auto', 'scroll'].includes(getComputedStyle(one).overflowX)).length"""
"""Elements that can be scrolled, yet not with a keyboard."""
OVERLAPS = """[...document.querySelectorAll('figure svg[role=img]')].flatMap(svg => {
  const texts = [...svg.querySelectorAll('text')].filter(one => one.checkVisibility());
  const boxes = texts.map(one => [one.textContent, one.getBoundingClientRect()]);
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom;
  return boxes.flatMap(([name, box], at) => [
    ...(box.left < 0 || box.right > innerWidth ? [`${name} is cut off`] : []),
    ...boxes.slice(at + 1).filter(([_, other]) => meet(box, other)).map(([other]) => `${name} over ${other}`)]);
})"""
"""Texts of charts that lie on each other, or outside of the screen."""


def recorded(name: str) -> Profile:
    return load_profile(ROOT / "tests" / "recorded" / "profiles" / f"{name}.json")


def source_of(kind: str) -> str:
    """The page of a run, of one that failed, of a gate, and of texts that are longer than any place for them."""
    if kind == "long":
        return render_page(every_kind("a_name_without_a_break_" * 8), "long")
    if kind == "compare":
        return render_page(list(build_result(result_of("gate", stages=STAGES), None, full=True)), kind)
    return render_page(build_page(with_course(recorded("jpeg-folder" if kind == "run" else "raised"))), kind)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("pages")

    def made(kind: str) -> Path:
        file = folder / f"{kind}.html"
        if kind == "gaps" and not file.exists():
            trace = folder / "loop.xplane.pb"
            trace.write_bytes(gzip.decompress(TRACE.read_bytes()))
            assert invoke(["gaps", str(trace), "--out", str(file)]) == 0
        elif not file.exists():
            file.write_text(source_of(kind), encoding="utf-8")
        return file

    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_quiet_and_loads_nothing(browser: Browser, page: Callable[[str], Path], kind: str) -> None:
    browser.frame(1280, "light")
    browser.show(page(kind))
    assert browser.messages == []
    assert browser.requests == [page(kind).resolve().as_uri()]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [min(WIDTHS), max(WIDTHS)])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_no_fault(browser: Browser, page: Callable[[str], Path], kind: str, width: int, theme: str) -> None:
    browser.frame(width, theme)
    browser.show(page(kind))
    browser.evaluate(AXE.read_text(encoding="utf-8"))
    found = json.loads(browser.evaluate("axe.run().then(found => JSON.stringify(found.violations))"))
    assert [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_fits_every_width(browser: Browser, page: Callable[[str], Path], kind: str) -> None:
    browser.show(page(kind))
    for width in WIDTHS:
        browser.frame(width, "light")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate(UNFOCUSED) == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_no_texts_of_a_chart_lie_on_each_other(browser: Browser, page: Callable[[str], Path], width: int) -> None:
    browser.frame(width, "light")
    for kind in ("run", "compare", "gaps", "long"):
        browser.show(page(kind))
        assert browser.evaluate(OVERLAPS) == []


def test_copy_takes_the_whole_text(browser: Browser, page: Callable[[str], Path]) -> None:
    browser.frame(1280, "light")
    browser.show(page("run"))
    browser.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: text => { window.copied = text; }}})"
    )
    diff = "[...document.querySelectorAll('.copy')].find(one => one.textContent.includes('@@'))"
    browser.evaluate(f"{diff}.querySelector('button').click()")
    assert browser.evaluate("window.copied") == DIFF.rstrip("\n")
    assert browser.evaluate(f"{diff}.querySelector('button').textContent") == "Copied"


@pytest.mark.parametrize("kind", ["run", "gaps"])
def test_the_documentation_has_its_pictures(kind: str, browser: Browser, page: Callable[[str], Path]) -> None:
    picture = PICTURES / f"{kind}.webp"
    if os.environ.get("SCREENSHOTS"):
        browser.frame(1280, "light", 1000)
        browser.show(page(kind))
        browser.picture(picture)
    assert picture.is_file(), "SCREENSHOTS=1 make test-pages writes it"
    assert picture.stat().st_size <= MOST_BYTES
