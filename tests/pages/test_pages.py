"""The pages in a browser: nothing is loaded, nothing overflows, and everything can be read by everybody."""

from __future__ import annotations

import functools
import gzip
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import pytest

from pipeprof.cli.main import invoke
from tests.pages.browser import Browser
from tests.unit.cli.test_html import DOCUMENTS, known, page_of, with_stages

ROOT = Path(__file__).parents[2]
AXE = ROOT / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = ROOT / "docs" / "pages"
TRACE = ROOT / "tests" / "recorded" / "traces" / "h200_jax_loop.xplane.pb.gz"
"""Of a loop in JAX on a GPU that waits for its batches."""
KINDS = ("proven", "fix", "gate", "gaps", "raised", "four", "script-fit", "step-none")
Frame = tuple[int, str]
FRAMES: list[Frame] = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
HEIGHTS = {1280: 1000, 390: 844}
SHOWN = {"run": "proven", "gaps": "gaps"}
"""What the documentation shows of each kind, in every frame."""
VERDICT = (".verdict h1", ".factor b", ".factor span")
FIRST = {
    "proven": ("#finding-1-diff", "#before-and-after .chart", "#steps-over-time .chart", "#pipeline tr.end"),
    "fix": ("#diff", "#before-and-after .chart", "#steps-over-time .chart", "#pipeline tr.end"),
}
"""What the first screen of a page shows without scrolling, beside the verdict: the graph down to the step."""
MOST_BYTES = 150_000
BROWSERS = 2
ALIKE = ".numbers tr:nth-child(n+4)"
"""Rows of tables of numbers whose contrast is not looked at, as it is that of the third one: `Visit.unlike`."""


@dataclass
class Visit:
    """What a browser saw of a page that was loaded once.

    Attributes:
        scroll: Pixels that the page is wide, folded and with all open.
        faults: What axe-core finds.
        unlike: Cells of tables of numbers that do not look like those of the third row.
        bottoms: Where an element that can be seen ends, in pixels from the top; by its selector.
        charts: How many are shown, and how many there are of the kind for this width, and in all.
    """

    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    address: str = ""
    scroll: dict[Frame, list[int]] = field(default_factory=dict)
    faults: dict[Frame, str] = field(default_factory=dict)
    unlike: dict[Frame, int] = field(default_factory=dict)
    bottoms: dict[int, dict[str, float]] = field(default_factory=dict)
    charts: dict[int, list[int]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def browsers() -> Iterator[SimpleQueue[Browser]]:
    """Those that nobody uses at the moment."""
    with ExitStack() as stack:
        free: SimpleQueue[Browser] = SimpleQueue()
        for _ in range(BROWSERS):
            free.put(stack.enter_context(Browser()))
        yield free


@pytest.fixture
def browser(browsers: SimpleQueue[Browser]) -> Iterator[Browser]:
    found = browsers.get()
    yield found
    browsers.put(found)


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of a known document, made once."""
    folder = tmp_path_factory.mktemp("pages")

    @functools.cache
    def made(name: str) -> Path:
        page = folder / f"{name}.html"
        if name == "gaps":
            trace = folder / "loop.xplane.pb"
            trace.write_bytes(gzip.decompress(TRACE.read_bytes()))
            assert invoke(["gaps", str(trace), "--out", str(page)]) == 0
        else:
            source = page_of(with_stages(500)).source if name == "many" else known(name).source
            page.write_text(source, encoding="utf-8")
        return page

    return made


@pytest.fixture(scope="module")
def visit(
    request: pytest.FixtureRequest, browsers: SimpleQueue[Browser], file_of: Callable[[str], Path]
) -> Iterator[Callable[[str], Visit]]:
    """What was seen of a page: each one that a test asks for is loaded once, by the browser that is free."""

    def look(page: Path, name: str) -> Visit:
        browser = browsers.get()
        try:
            return look_at(browser, page, (*VERDICT, *FIRST.get(name, ())))
        finally:
            browsers.put(browser)

    wanted = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    with ThreadPoolExecutor(BROWSERS) as threads:
        visits = {name: threads.submit(look, file_of(name), name) for name in KINDS if name in wanted}
        yield lambda name: visits[name].result()


def opened(browser: Browser, is_open: bool) -> None:
    browser.evaluate(f"for (const one of document.querySelectorAll('details')) one.open = {str(is_open).lower()}")


def look_at(browser: Browser, page: Path, selectors: tuple[str, ...]) -> Visit:
    """Load a page once and look at it in every frame."""
    found = Visit(address=page.resolve().as_uri())
    browser.frame(*FRAMES[0], HEIGHTS[FRAMES[0][0]])
    browser.show(page)
    browser.evaluate(AXE.read_text(encoding="utf-8"))
    for frame in FRAMES:
        width, _ = frame
        browser.frame(*frame, HEIGHTS[width])
        opened(browser, False)
        if width not in found.bottoms:
            found.bottoms[width] = bottoms(browser, selectors)
            found.charts[width] = charts(browser, "wide" if width == 1280 else "narrow")
        found.scroll[frame] = []
        for is_open in (False, True):
            opened(browser, is_open)
            found.scroll[frame].append(browser.evaluate("document.documentElement.scrollWidth"))
        found.faults[frame] = faults_of(browser)
        found.unlike[frame] = unlike(browser)
    found.messages, found.requests = [*browser.messages], [*browser.requests]
    return found


def faults_of(browser: Browser) -> str:
    """What axe-core finds on the page that is open."""
    runs = (
        ("document", {"rules": {"color-contrast": {"enabled": False}}}),
        (json.dumps({"exclude": [ALIKE]}), {"runOnly": {"type": "rule", "values": ["color-contrast"]}}),
    )
    violations = []
    for context, options in runs:
        given = json.dumps({"resultTypes": ["violations"], **options})
        found = browser.evaluate(f"axe.run({context}, {given}).then(found => JSON.stringify(found.violations))")
        violations += [
            (one["id"], one["help"], [node["html"][:160] for node in one["nodes"][:3]]) for one in json.loads(found)
        ]
    return json.dumps(violations, indent=1) if violations else ""


def unlike(browser: Browser) -> int:
    return browser.evaluate(
        """(() => {
          const look = cell => {
            const [style, row] = [getComputedStyle(cell), getComputedStyle(cell.parentElement)];
            return [style.color, style.backgroundColor, row.backgroundColor, style.font, style.opacity,
                    row.opacity, cell.childElementCount].join();
          };
          return [...document.querySelectorAll('ALIKE > *')].filter(
            cell => look(cell) !== look(cell.closest('table').rows[2].cells[cell.cellIndex])).length;
        })()""".replace("ALIKE", ALIKE)
    )


def bottoms(browser: Browser, selectors: tuple[str, ...]) -> dict[str, float]:
    script = """(selectors => selectors.map(one => {
      const shown = [...document.querySelectorAll(one)].find(found => found.checkVisibility());
      return [one, shown ? shown.getBoundingClientRect().bottom : null];
    }))"""
    found = browser.evaluate(f"{script}({json.dumps(selectors)})")
    return {selector: bottom for selector, bottom in found if bottom is not None}


def charts(browser: Browser, kind: str) -> list[int]:
    count = "[...document.querySelectorAll('.chart{}')].filter(one => one.checkVisibility()).length"
    return [browser.evaluate(count.format(f".{kind}")), browser.evaluate(count.format(""))]


@pytest.mark.parametrize("name", KINDS)
def test_a_page_is_quiet_and_loads_nothing(visit: Callable[[str], Visit], name: str) -> None:
    assert visit(name).messages == []
    assert visit(name).requests == [visit(name).address]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("name", KINDS)
def test_a_page_fits_and_is_accessible(visit: Callable[[str], Visit], name: str, frame: Frame) -> None:
    assert max(visit(name).scroll[frame]) <= frame[0]
    assert visit(name).faults[frame] == ""
    assert visit(name).unlike[frame] == 0


@pytest.mark.parametrize("name", ["proven", "fix", "gate", "gaps"])
def test_a_telephone_shows_verdict_factor_and_interval_without_scrolling(
    visit: Callable[[str], Visit], name: str
) -> None:
    bottom = visit(name).bottoms[390]
    assert {part: bottom[part] for part in VERDICT if bottom[part] > 600} == {}


def test_each_line_of_a_diff_is_a_line(browser: Browser, file_of: Callable[[str], Path]) -> None:
    browser.frame(1280, "light")
    browser.show(file_of("proven"))
    assert browser.evaluate("[...document.querySelectorAll('pre span')].map(one => getComputedStyle(one).display)") == (
        ["inline"] * 5
    )


@pytest.mark.parametrize("name", FIRST)
def test_the_first_screen_shows_the_change_the_steps_and_every_stage(visit: Callable[[str], Visit], name: str) -> None:
    bottom = visit(name).bottoms[1280]
    assert {part: bottom[part] for part in (*VERDICT, *FIRST[name]) if bottom[part] > HEIGHTS[1280]} == {}


def test_one_of_the_two_drawings_of_a_chart_is_shown(visit: Callable[[str], Visit]) -> None:
    for width in (1280, 390):
        of_width, all_shown = visit("proven").charts[width]
        assert of_width == all_shown > 5


def test_five_hundred_stages_fit(browser: Browser, file_of: Callable[[str], Path]) -> None:
    browser.show(file_of("many"))
    for width in (1280, 390):
        browser.frame(width, "light")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_long_names_leave_room_for_the_numbers(browser: Browser, file_of: Callable[[str], Path]) -> None:
    browser.frame(1280, "light")
    browser.show(file_of("proven"))
    browser.evaluate(
        "for (const one of document.querySelectorAll('.stages .name')) one.textContent = 'a_long_name_'.repeat(20)"
    )
    assert browser.evaluate("(one => one.scrollWidth - one.clientWidth)(document.querySelector('.graph'))") <= 0


def test_copy_takes_the_whole_text(browser: Browser, file_of: Callable[[str], Path]) -> None:
    browser.frame(1280, "light")
    browser.show(file_of("fix"))
    browser.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: text => { window.copied = text; }}})"
    )
    browser.evaluate("document.querySelector('.bar button').click()")
    assert "+stages: [{prefetch: {buffer_size: 2}}]" in browser.evaluate("window.copied")
    assert browser.evaluate("document.querySelector('.bar button').textContent") == "Copied"


def test_a_link_opens_what_it_leads_to(browser: Browser, file_of: Callable[[str], Path]) -> None:
    browser.frame(1280, "light")
    browser.show(file_of("proven"))
    browser.evaluate("location.hash = '#finding-2'")
    assert browser.evaluate(
        "new Promise(done => setTimeout(() => done(document.getElementById('finding-2').open), 100))"
    )


@pytest.mark.parametrize("kind", SHOWN)
def test_the_documentation_has_its_pictures(
    request: pytest.FixtureRequest, file_of: Callable[[str], Path], kind: str
) -> None:
    picture = PICTURES / f"{kind}.webp"
    if os.environ.get("SCREENSHOTS"):
        browser: Browser = request.getfixturevalue("browser")
        browser.frame(*FRAMES[0], HEIGHTS[FRAMES[0][0]])
        browser.show(file_of(SHOWN[kind]))
        browser.picture(picture, quality=80)
    assert picture.is_file(), "SCREENSHOTS=1 make test-pages writes it"
    assert picture.stat().st_size <= MOST_BYTES


def test_the_documents_of_the_pages_exist() -> None:
    assert set(KINDS) <= {*DOCUMENTS, "gaps"}
