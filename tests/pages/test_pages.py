"""The pages in a browser: nothing is loaded, nothing overflows, and everything can be read by everybody."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeprof.cli.main import invoke
from tests.pages.browser import Browser
from tests.unit.cli.test_html import DOCUMENTS, known, with_stages

ROOT = Path(__file__).parents[2]
AXE = ROOT / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = ROOT / "docs" / "pages"
TRACE = ROOT / "tests" / "recorded" / "traces" / "h200_jax_loop.xplane.pb.gz"
"""Of a loop in JAX on a GPU that waits for its batches."""
KINDS = ("proven", "fix", "gate", "why", "gaps", "raised", "four", "script-fit", "step-none")
FRAMES = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
SHOWN = {"run": "proven", "fix": "fix", "gate": "gate", "compare": "why", "gaps": "gaps"}
"""What the documentation shows of each kind, in every frame."""
HEIGHTS = {1280: 1000, 390: 844}
MOST_BYTES = 150_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as opened:
        yield opened


def file_of(name: str, folder: Path) -> Path:
    page = folder / f"{name}.html"
    if name == "gaps":
        trace = folder / "loop.xplane.pb"
        trace.write_bytes(gzip.decompress(TRACE.read_bytes()))
        assert invoke(["gaps", str(trace), "--out", str(page)]) == 0
    else:
        page.write_text(known(name).source, encoding="utf-8")
    return page


def fault_of(browser: Browser) -> str | None:
    """What axe-core finds on the page that is open."""
    browser.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    browser.evaluate(AXE.read_text(encoding="utf-8"))
    found = browser.evaluate("axe.run({resultTypes: ['violations']}).then(found => JSON.stringify(found.violations))")
    violations = [
        (one["id"], one["help"], [node["html"][:160] for node in one["nodes"][:3]]) for one in json.loads(found)
    ]
    return json.dumps(violations, indent=1) if violations else None


@pytest.mark.parametrize(("width", "theme"), FRAMES)
@pytest.mark.parametrize("name", KINDS)
def test_a_page_is_quiet_fits_and_is_accessible(
    browser: Browser, tmp_path: Path, name: str, width: int, theme: str
) -> None:
    page = file_of(name, tmp_path)
    browser.show(page, width, theme)
    assert browser.messages == []
    assert browser.requests == [page.resolve().as_uri()]
    for opened in (False, True):
        browser.evaluate(f"for (const one of document.querySelectorAll('details')) one.open = {str(opened).lower()}")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert fault_of(browser) is None


@pytest.mark.parametrize("name", ["proven", "fix", "gate", "why", "gaps"])
def test_a_telephone_shows_verdict_factor_and_interval_without_scrolling(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    browser.show(file_of(name, tmp_path), 390, "light", 844)
    for part in (".verdict h1", ".factor b", ".factor span"):
        assert browser.evaluate(f"document.querySelector('{part}').getBoundingClientRect().bottom") <= 600


def test_one_of_the_two_drawings_of_a_chart_is_shown(browser: Browser, tmp_path: Path) -> None:
    page = file_of("proven", tmp_path)
    for width, shown in ((1280, "wide"), (390, "narrow")):
        browser.show(page, width, "light")
        count = "[...document.querySelectorAll('.chart{}')].filter(one => one.checkVisibility()).length"
        assert browser.evaluate(count.format(f".{shown}")) == browser.evaluate(count.format("")) > 5


def test_copy_takes_the_whole_text(browser: Browser, tmp_path: Path) -> None:
    browser.show(file_of("fix", tmp_path), 1280, "light")
    browser.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: text => { window.copied = text; }}})"
    )
    browser.evaluate("document.querySelector('button[data-copy]').click()")
    assert "+stages: [{prefetch: {buffer_size: 2}}]" in browser.evaluate("window.copied")
    assert browser.evaluate("document.querySelector('button[data-copy]').textContent") == "Copied"


def test_a_link_opens_what_it_leads_to(browser: Browser, tmp_path: Path) -> None:
    browser.show(file_of("proven", tmp_path), 1280, "light")
    browser.evaluate("location.hash = '#finding-2'")
    assert browser.evaluate(
        "new Promise(done => setTimeout(() => done(document.getElementById('finding-2').open), 100))"
    )


def test_five_hundred_stages_fit(browser: Browser, tmp_path: Path) -> None:
    from tests.unit.cli.test_html import page_of

    page = tmp_path / "many.html"
    page.write_text(page_of(with_stages(500)).source, encoding="utf-8")
    for width in (1280, 390):
        browser.show(page, width, "light")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width


def picture_of(kind: str, width: int, theme: str) -> Path:
    """The file of a picture: ``run.webp``, ``run-dark.webp``, ``run-phone.webp``, ``run-phone-dark.webp``."""
    parts = [kind, *(["phone"] if width < 600 else []), *(["dark"] if theme == "dark" else [])]
    return PICTURES / f"{'-'.join(parts)}.webp"


@pytest.mark.parametrize(("width", "theme"), FRAMES)
@pytest.mark.parametrize("kind", SHOWN)
def test_the_documentation_has_a_picture_of_each_kind(
    browser: Browser, tmp_path: Path, kind: str, width: int, theme: str
) -> None:
    picture = picture_of(kind, width, theme)
    if os.environ.get("SCREENSHOTS"):
        browser.show(file_of(SHOWN[kind], tmp_path), width, theme, HEIGHTS[width])
        browser.picture(picture, quality=80)
    assert picture.is_file(), "SCREENSHOTS=1 make test-pages writes it"
    assert picture.stat().st_size <= MOST_BYTES
    assert f"pages/{picture.name}" in (ROOT / "docs" / "page.md").read_text(encoding="utf-8")


def test_the_documents_of_the_pages_exist() -> None:
    assert set(KINDS) <= {*DOCUMENTS, "gaps"}
