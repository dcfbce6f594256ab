"""The page: one file that loads nothing, with every text as a text and a real element for every kind of block."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeprof.cli.render.html import render_page
from pipeprof.cli.report import blocks, charts
from pipeprof.cli.report.blocks import Bar, Card, Chart, Code, Column, Heading, Interval, Layer, Span, Table, Text
from pipeprof.cli.report.report import build_page
from pipeprof.cli.streams import visible
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import StepCourse
from tests.unit.cli.reports import Golden, Recorded, fix, measured

DIFF = (
    "--- a/spec.yaml\n+++ b/spec.yaml\n@@ -1,2 +1,2 @@\n map: {}\n-  num_parallel_calls: 1\n+  num_parallel_calls: 8\n"
)


class _Reader(HTMLParser):
    """Makes a tree of a page, of which every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._builder, self._open = ET.TreeBuilder(), list[str]()
        self.feed(text)
        self.close()
        assert self._open == []
        self.tree = self._builder.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs))
        self._builder.start(tag, {name: value or "" for name, value in attrs})
        self._open.append(tag)
        if tag == "meta":
            self.handle_endtag(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self._builder.end(tag)

    def handle_data(self, data: str) -> None:
        if self._open:
            self._builder.data(data)


def page_of(*shown: Any, title: str = "a run") -> ET.Element:
    return _Reader(render_page(shown, title)).tree


def find(tree: ET.Element, path: str) -> ET.Element:
    found = tree.find(path)
    assert found is not None, path
    return found


def text_of(element: ET.Element) -> str:
    return "".join(element.itertext()).strip()


def every_kind(text: str) -> list[Any]:
    """A block of each kind, with a text of any origin wherever one may stand."""
    table = Table([Column(text, [text], right=False), Column("ms", [text]), Column("in it", [text], wrap=True)])
    layers = [Layer(text, [1.0, 2.0], "main", text), Layer("rest", [1.0, 0.0], "rest")]
    return [
        Text((Span(text, "bold red"), Span(text))),
        Heading(text, text),
        blocks.Pairs([(text, text)]),
        Code(text, label=text, note=text),
        table,
        Card(text, text, [Text(text), Code(DIFF), table], 1, "kept"),
        Chart("time", text, text, edges=[0, 1, 2], layers=layers, marks=[(0.0, text)], levels=[(2.0, text)]),
        Chart("bars", text, text, rows=[Bar(text, [(text, 1.0, "main")], text)]),
        Chart("intervals", text, text, rows=[Interval(text, 2.0, 1.5, 2.5, text, [2.0])], ends=(text, text)),
    ]


def kinds(text: str) -> set[tuple[str, frozenset[str]]]:
    """The kinds of elements on a page with a text everywhere; charts cut a long one."""
    return {(element.tag, frozenset(element.attrib)) for element in page_of(*every_kind(text), title=text).iter()}


FOREIGN = st.text(st.characters() | st.sampled_from("<>&\"'/\n\t\x00\x1b\u202e{}%#"), max_size=40)


@given(FOREIGN)
@example("<script>alert(1)</script>")
@example("</style></pre></main>")
@example('" onload="alert(1)')
@example("]]><!-- &lt;")
@example("{{ 7 * 7 }}{% set x = 1 %}")
@example("a\x1b[31mb\u202ec\ud800")
def test_foreign_text_stays_text_in_every_kind_of_block(text: str) -> None:
    text = "x" + text.replace("`", "'")
    tree = page_of(*every_kind(text), title=text)
    assert kinds(text) <= kinds("x --option") | kinds(40 * "x")
    assert len(list(tree.iter("script"))) == len(list(tree.iter("style"))) == 1
    shown = text_of(find(tree, ".//dd")).replace("\u00a0", " ")
    assert shown == visible(text).replace("\u00a0", " ").strip()
    assert {letter for letter in text_of(tree) if visible(letter) != letter} <= {"\n", "\t"}


def with_course(profile: Profile) -> Profile:
    """A profile with its steps over time, and with two changes that were measured in many rounds."""
    ends = [0.05 * (number + 1) for number in range(240)]
    course = {"interval_ms": [50.0] * 240, "wait_ms": [30.0] * 240, "busy_ms": [20.0] * 240}
    profile.series.steps = StepCourse(seconds=ends, **course)
    for finding in profile.findings or ():
        finding.status, finding.patch, finding.reason = "kept", DIFF, None
        finding.measured = {"speedup": 1.8, "low": 1.7, "high": 1.9, "pairs": [1.7, 1.8, 1.9] * 50}
    return profile


def test_golden(golden: Golden) -> None:
    layers = [Layer("the step", [20.0, 20.0, 20.0]), Layer("waits", [30.0, 0.0, 10.0], "wait", "30 ms")]
    columns = [Column("stage", ["map", "batch"], right=False), Column("ms", ["1", "2"]), Column("", ["", ""])]
    bars = [Bar("decode", [("core", 30.0, "main"), ("waits", 10.0, "wait")], "40 ms"), Bar("batch", [], "0 ms")]
    rows = [Interval("twice", 2.0, 1.0, 4.0, "2×", [1.0, 2.0, 4.0])]
    several = [
        Text((Span("Slow: ", "bold red"), Span("add `repeat()` after 20 ms, or --budget 50"))),
        Heading("Memory", "972 MiB"), blocks.Pairs([("limit", "2.6×")]), Heading("Memory"), Text("small", style="dim"),
        Card("Cache", "2×", [Text("why"), Code(DIFF, label="The change")], 1, "kept"),
        Card("Cheaper", "", [], 2, "ceiling"),
        Table(columns), Table([]), Code("if x:\n\treturn 1", cut=True), Code("pipeprof show -v"),
        Chart("time", "Steps", "In words.", edges=[0, 1, 2, 4], layers=[*layers, Layer("none", [0.0] * 3, "rest")]),
        Chart("bars", "Stages", "", rows=bars),
        Chart("intervals", "Changes", "", rows=rows, floor=(0.97, 1.03), ends=("slower", "faster")),
        # Charts without data are left out.
        Chart("time", "T", ""), Chart("time", "T", "", edges=[3], layers=[Layer("a", [])]), Chart("bars", "B", ""),
        Chart("time", "T", "", edges=[3, 3], layers=[Layer("a", [1.0])]), Chart("intervals", "I", ""),
        Chart("time", "One", "", edges=[0, 1], layers=[Layer("a", [1.0])]),
    ]  # fmt: skip
    main = render_page(several, "a run").partition("<main")[2].partition("</main>")[0]
    golden("formats/blocks.html.txt", re.sub(r"(?<=>)\s*(?=<)", "\n", main))


def test_a_page_loads_nothing_and_its_policy_names_its_style_and_its_script(profile: Profile) -> None:
    source = render_page(build_page(profile), "jpeg-folder")
    tree = _Reader(source).tree
    # By these words `cli.output` knows a report that the next one may replace.
    assert '<meta name="generator" content="pipeprof ' in source[:2000]
    assert {element.tag for element in tree.iter()}.isdisjoint({"img", "link", "iframe", "object", "form", "base"})
    names = {name for element in tree.iter() for name in element.attrib}
    assert names.isdisjoint({"src", "srcset", "style", "action", "background"})
    assert not [name for name in names if name.startswith("on")]
    idents = {f"#{element.attrib['id']}" for element in tree.iter() if "id" in element.attrib}
    assert {element.attrib["href"] for element in tree.iter() if "href" in element.attrib} <= idents
    policy = find(tree, ".//meta[@http-equiv]").attrib["content"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag, kind in (("style", "style-src"), ("script", "script-src")):
        (element,) = tree.iter(tag)
        digest = base64.b64encode(hashlib.sha256((element.text or "").encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
        assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttp|import\(", element.text or "")


def test_a_page_is_small_however_much_was_measured(profile: Profile) -> None:
    series, stages, findings = profile.series, profile.stages or [], profile.findings or []
    series.seconds = [0.05 * number for number in range(20_000)]
    series.rss_bytes = [600_000_000 + 1000 * (number % 7919) for number in range(20_000)]
    series.phase = ["measure"] * 20_000
    series.fetch_histogram_ms = [(1.122**number, number + 1) for number in range(80)]
    profile.stages = [stages[2].model_copy(update={"id": f"stages.{number}"}) for number in range(500)]
    profile.findings = [findings[number % 2] for number in range(12)]
    source = render_page(build_page(profile), "much")
    assert len(source.encode()) < 150_000
    tree = _Reader(source).tree
    assert len(tree.findall(".//figure")) == 5
    assert max(len(table.findall("tbody/tr")) for table in tree.iter("table")) == 60
    assert "440 more rows" in text_of(tree)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300, 5e-324])
def test_odd_numbers_are_drawn_nowhere(value: float) -> None:
    found = [
        Chart("time", "T", "", "bytes", edges=[0, 1, 2], layers=[Layer("a", [value, 1.0])], levels=[(1.0, "limit")]),
        Chart("bars", "B", "", rows=[Bar("a", [("p", value, "main")], "?"), Bar("b", [("p", 1.0, "main")], "1")]),
        Chart("intervals", "I", "", rows=[Interval("a", value, value, 2.0, "?", [value, 1.0])]),
    ]
    for chart in found:
        for element in find(page_of(chart), ".//figure/div/svg").iter():
            for name in {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height"} & set(element.attrib):
                number = float(element.attrib[name].rstrip("%"))
                assert -100 < number <= 1000
            assert not re.search("nan|inf", element.get("d", ""))


ALL = (charts.steps_over_time, charts.stage_times, charts.memory_over_time, charts.memory_by_owner, charts.changes)


@pytest.fixture
def profile(recorded: Recorded) -> Profile:
    return with_course(recorded("jpeg-folder"))


def described(chart: Chart) -> Iterator[str]:
    """The chart in some lines: of each layer and bar what it is in all, of each interval all but its dots."""
    yield f"{chart.title}: {chart.text}"
    for layer in chart.layers:
        values = [round(value, 3) for value in layer.values]
        yield f"  {layer.name} ({layer.text}): {len(values)} from {values[0]} to {max(values)}"
    for row in chart.rows:
        if isinstance(row, Bar):
            yield f"  {row.name} ({row.text}): {[(name, round(value, 3)) for name, value, _ in row.parts]}"
        else:
            yield f"  {row.name} ({row.text}): {row.value} in {row.low} to {row.high}, {len(row.dots)} rounds"
    yield f"  marks {[name for _, name in chart.marks]}, levels {[name for _, name in chart.levels]}"


def test_golden_of_charts(profile: Profile, golden: Golden) -> None:
    profile.host.memory_limit_bytes = round(1.2 * (profile.memory.peak_bytes or 0))
    found = [chart for build in ALL for chart in build(profile)]
    profile.fix, stages = fix(measured=measured(2.2)), profile.stages or []
    stages[2].blocked_ms_per_batch = 10.0
    profile.stages = [stages[2].model_copy(update={"id": f"stages.{number}", "location": None}) for number in range(40)]
    found += [*charts.changes(profile), *charts.stage_times(profile)]
    golden("sections/charts.txt", "\n".join(line for chart in found for line in described(chart)) + "\n")
    profile.fix, findings = None, profile.findings or []
    profile.findings = [one.model_copy(update={"status": "ceiling"}) for one in findings]
    assert findings
    assert not list(charts.changes(profile)), "an upper bound is no change that was measured"
    empty = Profile(tool=profile.tool, target=profile.target, host=profile.host)
    assert [list(build(empty)) for build in ALL] == [[]] * len(ALL)


def test_what_is_over_time_has_at_most_150_stretches_and_keeps_its_peak(profile: Profile) -> None:
    series, peak = profile.series, profile.memory.peak_bytes or 0
    profile.host.memory_limit_bytes = 20 * peak
    series.rss_bytes[100] = 2 * peak
    (chart,) = charts.memory_over_time(profile)
    totals = [sum(values) for values in zip(*(layer.values for layer in chart.layers), strict=True)]
    assert (len(totals), max(totals)) == (len(chart.edges) - 1, 2 * peak)
    assert (len(totals) <= 150, chart.levels) == (True, []), "a limit that is far away is not drawn"
    assert max(chart.layers[0].values) == profile.memory.baseline_bytes
    (chart,) = charts.steps_over_time(profile)
    assert {len(layer.values) for layer in chart.layers} == {120}
