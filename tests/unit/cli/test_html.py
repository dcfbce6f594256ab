"""The page: one file, without a network, readable without its script, with every text as a text."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeprof.cli.comparing.report import build_result, next_command
from pipeprof.cli.html.blocks import markup_of
from pipeprof.cli.html.fix import ladder
from pipeprof.cli.html.memory import memory_over_time, tuned
from pipeprof.cli.html.page import render_page, unbroken
from pipeprof.cli.html.parts import Card, Idents, StageGraph, figures_of
from pipeprof.cli.html.result import result_page
from pipeprof.cli.html.run import run_page
from pipeprof.cli.html.stages import stage_graph
from pipeprof.cli.report.steps import rate_over_time
from pipeprof.cli.text.blocks import (
    Alternatives,
    Code,
    Column,
    Command,
    Heading,
    Items,
    KeyValue,
    Legend,
    Prose,
    Table,
    TextSpan,
)
from pipeprof.profiles.document.findings import FixStep, Kept, LeftOut
from pipeprof.profiles.document.memory import MemorySeries
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import StepCourse
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.store import load_profile
from pipeprof.profiles.judge.result import Result
from pipeprof.profiles.wording import size
from tests.unit.cli.test_fix import FASTER, TEXT, unified
from tests.unit.cli.test_fix import result as fixed
from tests.unit.judge.test_reports import STAGES, of_four
from tests.unit.judge.test_reports import result as compared

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"
SPEC = Path(__file__).parents[3] / "examples" / "jpeg_folder" / "spec.yaml"
VOID = {"meta"}
MOST = 1_500_000
"""Bytes of a page."""


class Page(HTMLParser):
    """A parsed page: tags with their attributes, and all texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.text += data

    def idents(self) -> list[str]:
        return [str(given["id"]) for _, given in self.tags if "id" in given]

    def drawings(self) -> list[str]:
        return re.findall(r"<svg\b.*?</svg>", self.source, re.DOTALL)


def page_of(document: Profile | Result) -> Page:
    saved = "pipeprof-out/saved.json"
    if not isinstance(document, Profile):
        blocks = list(build_result(document, saved, verbose=True))
        return Page(render_page(result_page(document, saved, blocks, next_command(document))))
    return Page(render_page(run_page(document, saved)))


def recorded(name: str) -> Profile:
    return load_profile(RECORDED / f"{name}.json")


def searched() -> Profile:
    """A profile with a search that proved something."""
    profile = recorded("jpeg-folder")
    fix = fixed(text=FASTER, diff=unified(TEXT, FASTER, "spec.yaml"))
    cache = FixStep(round=2, title="Cache", result="taken", reason="1.30×", speedup=1.3, low=1.2, high=1.4)
    fix.steps.append(cache)
    fix.left_out = [LeftOut(title="Shuffle", semantics="order", speedup=2.0, allow="--allow order")]
    profile.fix = fix
    profile.exit_code = 0
    return profile


def proven() -> Profile:
    """A profile with a change that was measured to help."""
    profile = recorded("jpeg-folder")
    first = (profile.findings or [])[0]
    first.status = "kept"
    first.measured = {"speedup": 1.8, "low": 1.7, "high": 1.9, "pairs": [1.7, 1.8, 1.9] * 4}
    text, one, eight = SPEC.read_text(encoding="utf-8"), "num_parallel_calls: 1\n", "num_parallel_calls: 8\n"
    first.patch = unified(text, text.replace(one, eight), "examples/jpeg_folder/spec.yaml")
    return profile


DOCUMENTS: dict[str, Callable[[], Profile | Result]] = {
    **{path.stem: functools.partial(recorded, path.stem) for path in sorted(RECORDED.glob("*.json"))},
    "fix": searched,
    "proven": proven,
    "gate": lambda: compared("gate", stages=STAGES),
    "passed": lambda: compared("gate", factor=1.0),
    "compare": lambda: compared(stages=STAGES),
    "four": of_four,
}


@functools.cache
def known(name: str) -> Page:
    return page_of(DOCUMENTS[name]())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_page_is_well_formed_and_its_names_are_unique(name: str) -> None:
    made = known(name)
    idents = made.idents()
    assert len(idents) == len(set(idents))
    targets = {str(given["href"])[1:] for tag, given in made.tags if tag == "a" and str(given["href"]).startswith("#")}
    assert targets
    assert targets <= set(idents)
    assert len(made.source.encode()) <= MOST


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_chart_is_xml_with_a_name_and_a_description(name: str) -> None:
    made = known(name)
    idents = made.idents()
    for drawing in made.drawings():
        tree = ET.fromstring(drawing)
        if tree.get("aria-hidden") == "true":
            continue
        assert tree.get("role") == "img"
        title, description = tree[0], tree[1]
        assert (title.tag, description.tag) == ("title", "desc")
        assert title.text
        assert description.text
        assert tree.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert {title.get("id"), description.get("id")} <= set(idents)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_page_loads_nothing(name: str) -> None:
    made = known(name)
    assert {tag for tag, _ in made.tags}.isdisjoint({"img", "link", "iframe", "object", "embed", "form", "base"})
    attributes = {key for _, given in made.tags for key in given}
    assert attributes.isdisjoint({"src", "srcset", "style", "action", "xlink:href", "background"})
    assert not [key for key in attributes if key.startswith("on")]
    links = [str(given["href"]) for _, given in made.tags if "href" in given]
    assert [link for link in links if not link.startswith(("#", "data:text/plain;base64,"))] == []
    style = made.source[made.source.index("<style>") : made.source.index("</style>")]
    script = made.source[made.source.rindex("<script>") : made.source.rindex("</script>")]
    for word in ("url(", "@import", "http:", "https:", "fetch(", "XMLHttp", "import("):
        assert word not in style + script


def test_the_policy_names_the_style_and_the_script_of_the_page() -> None:
    made = known("jpeg-folder")
    policy = next(str(given["content"]) for _, given in made.tags if given.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ")
    for tag, kind in (("style", "style-src"), ("script", "script-src")):
        start = made.source.index(f"<{tag}>") + len(tag) + 2
        text = made.source[start : made.source.index(f"</{tag}>", start)]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert made.source.count("<script>") == made.source.count("<style>") == 1


def test_the_page_of_a_run_has_the_pictures_of_what_was_measured() -> None:
    made = known("proven")
    for ident in (
        *("verdict", "fix", "finding-1", "finding-2", "steps-over-time", "before-and-after", "pipeline", "stage-1"),
        *("memory-over-time", "memory-owners", "step-times", "gaps", "buffers", "finding-1-pairs", "json"),
    ):
        assert ident in made.idents()
    assert "1.80×" in made.text
    assert "\n+      num_parallel_calls: 8\n" in made.text
    assert any(given.get("download") == "change-1.patch" for _, given in made.tags)
    document = made.text[made.text.index("{\n") : made.text.rindex("}") + 1]
    assert json.loads(document)["tool"]["name"] == "pipeprof"


def test_warnings_of_a_run_that_went_well_are_called_warnings_and_show_no_marks_of_code() -> None:
    profile = recorded("input-bound")
    text = "The data set is short: add `repeat()` before `batch`."
    profile.warnings = [Message(code=code, message=text) for code in ("repeated", "no-trace")]
    made = page_of(profile)
    assert made.text.count("add repeat() before batch") == 3
    assert "What went wrong" not in made.text
    profile.exit_code = 5
    assert "What went wrong" in page_of(profile).text


def test_the_legend_of_the_memory_over_time_is_of_what_the_peak_is_of() -> None:
    profile = recorded("jpeg-folder")
    series, peak = profile.series, profile.memory.peak_bytes or 0
    series.seconds, series.phase = [0.0, 1.0, 2.0, 3.0], ["import", "measure", "trace", "trace"]
    series.rss_bytes = [peak, peak, 2 * peak, 2 * peak]
    next(phase for phase in profile.phases if phase.name == "trace").peak_rss_bytes = round(1.02 * peak)
    (figure,) = memory_over_time(profile)
    whole = sum(float(value.split()[2]) for _, _, value in figure.legend)
    assert whole == pytest.approx(peak / 2**20, abs=len(figure.legend))
    assert f"highest, before the trace, {size(peak)}" in figure.description
    assert "The memory of the trace is not part of the peak." in figure.caption


@pytest.mark.parametrize("made", [proven, searched])
def test_the_change_stands_beside_the_steps_and_the_stages(made: Callable[[], Profile]) -> None:
    page = run_page(made(), None)
    assert [[section.ident for section in column] for column in page.columns] == [["fix"], ["steps", "pipeline"]]
    assert page.first == []
    assert all(figure.half for column in page.columns for section in column for figure in figures_of(section.parts))
    assert ("search" in [section.ident for section in page.sections]) == (made is searched)


def test_the_steps_stand_below_where_nothing_is_proposed() -> None:
    page = run_page(recorded("step-none"), None)
    assert [[section.ident for section in column] for column in page.columns] == [["fix", "steps"], ["pipeline"]]


def test_what_a_change_brings_is_drawn_below_it_before_the_next_one() -> None:
    (fix,) = run_page(proven(), None).columns[0]
    first, drawn, second, *_ = fix.parts
    assert [getattr(part, "ident", None) for part in (first, drawn, second)] == [
        "finding-1",
        "before-and-after",
        "finding-2",
    ]


def test_the_first_proven_change_is_open_and_has_its_effect_below() -> None:
    profile = proven()
    findings = profile.findings or []
    profile.findings = [findings[1].model_copy(update={"status": "ceiling"}), *findings]
    (fix,) = run_page(profile, None).columns[0]
    assert [part.folded for part in fix.parts if isinstance(part, Card)][:3] == [False, False, True]
    names = [getattr(part, "ident", None) for part in fix.parts[:4]]
    assert names == ["finding-1", "finding-2", "before-and-after", "finding-3"]


def test_the_change_of_a_function_is_shown_as_its_diff() -> None:
    profile = proven()
    first = (profile.findings or [])[0]
    before, after = "ds = ds.map(load)\n", "ds = ds.map(load, num_parallel_calls=8)\n"
    profile.target.kind, first.patch, first.python = "function", "- map: {}", "ds = ds.map(…)"
    first.diff = unified(before, after, "train.py")
    made = page_of(profile)
    assert "-ds = ds.map(load)\n+ds = ds.map(load, num_parallel_calls=8)\n" in made.text
    assert "- map: {}" not in made.text[: made.text.index("Step time before")]


def test_what_is_copied_can_be_pasted() -> None:
    profile = proven()
    [finding, *_] = profile.findings or []
    finding.diff, finding.patch, finding.change = None, None, "num_parallel_calls: not set → 8"
    finding.python = "files.map(load, num_parallel_calls=8)"
    shown = render_page(run_page(profile, None))
    bars = re.findall(r'<p class="bar( read)?">.*?<pre[^>]*>(.*?)</pre>', shown, re.DOTALL)
    copied = {re.sub(r"<[^>]*>", "", text): not mark for mark, text in bars}
    assert copied["- num_parallel_calls: not set\n+ num_parallel_calls: 8"] is False
    assert copied["files.map(load, num_parallel_calls=8)"] is True
    assert 'querySelectorAll(".bar:not(.read)")' in shown


def test_what_went_wrong_stands_before_all_else() -> None:
    profile = proven()
    profile.errors = recorded("raised").errors
    page = run_page(profile, None)
    assert [section.ident for section in page.first] == ["errors"]
    assert page.all_sections[0].ident == "errors"


def test_the_graph_has_columns_for_what_is_known() -> None:
    profile = proven()
    (graph,) = run_page(profile, None).columns[1][1].parts
    assert isinstance(graph, StageGraph)
    assert [title for title, _ in graph.columns] == ["calls", "holds"]
    for stage in profile.stages or ():
        stage.parallelism = stage.buffered_bytes = None
    (graph,) = run_page(profile, None).columns[1][1].parts
    assert isinstance(graph, StageGraph)
    assert graph.columns == []
    made = page_of(profile)
    assert "TensorFlow: buffer tuned to 2" in made.text
    rows = re.findall(r"<tr.*?</tr>", made.source.partition('class="stages"')[2].partition("</table>")[0], re.DOTALL)
    whole = [row for row in rows[:-1] if 'class="below' not in row]
    assert len(whole) == len(rows) - 3
    assert {len(re.findall(r"<t[dh]", row)) for row in whole} == {4}
    assert all('colspan="3"' in row for row in rows if row not in whole)


def test_the_page_has_what_autotune_chose_over_time() -> None:
    profile = recorded("jpeg-folder")
    first, second, *_ = [stage.id for stage in profile.stages or ()]
    profile.memory.series = MemorySeries(
        seconds=[0.5, 1.0, 1.5],
        epoch=[0, 0, 0],
        live_bytes=[None] * 3,
        stages={},
        tuned={first: [None, None, None], second: [1.0, 4.0, 2.0]},
    )
    made = page_of(profile)
    assert "autotune-over-time" in made.idents()
    (stage,) = [stage for stage in profile.stages or () if stage.id == second]
    assert f"{stage.name or stage.op}: 1 → 4 → 2 calls at a time." in made.text
    profile.memory.series.tuned = {}
    assert "autotune-over-time" not in page_of(profile).idents()


def test_the_rate_has_its_spread_over_time_and_says_what_it_is() -> None:
    profile = with_course(240)
    course = profile.series.steps
    assert course is not None
    # One of twenty parts is twice as slow, one half as slow again: most of the time lies between the others.
    course.interval_ms[24:36], course.interval_ms[60:72] = [100.0] * 12, [75.0] * 12
    assert rate_over_time(profile) == " (13.3–20.0 over time)"
    assert rate_over_time(profile, explained=True) == " (13.3–20.0 in 18 of 20 parts of the time, 0.600 s each)"
    assert "(13.3–20.0 over time)" in page_of(profile).text
    assert rate_over_time(with_course(19)) == ""
    profile.series.steps = None
    assert rate_over_time(profile) == ""


def test_a_cache_gives_the_page_its_factor_only_where_nothing_else_is_proven() -> None:
    profile = proven()
    other, *_ = findings = profile.findings or []
    cache = other.model_copy(
        update={
            "title": "Cache it",
            "cache": Kept(sample_bytes=2**20),
            "measured": {**(other.measured or {}), "speedup": 9},
        }
    )
    profile.findings = [*findings, cache]
    made = page_of(profile)
    before, _, card = made.text.partition("Cache it")
    assert "9.00×" not in before
    assert "from the second epoch on" in card
    assert "keeps 1.00 MiB in memory" in card
    profile.findings = [cache]
    assert "change 1 from the second epoch on" in page_of(profile).text


def test_the_page_holds_what_it_would_send_the_reader_to_show_for() -> None:
    for name in DOCUMENTS:
        made = known(name)
        assert "pipeprof show" not in made.text.partition("Made by")[0].partition("{\n")[0], name


def test_raw_keys_never_reach_a_reader() -> None:
    before_json = known("jpeg-folder").text.partition("{\n")[0]
    assert re.findall(r"\b[a-z]+_(?:bytes|ms|share|seconds)\b [\d.,]+", before_json) == []
    assert "stage 39.5 ms per batch" in before_json


def test_the_page_of_a_search_begins_with_the_diff_and_has_the_ladder() -> None:
    made = known("fix")
    assert made.text.index("The change as a diff") < made.text.index("The ladder of changes")
    assert "+stages: [{prefetch: {buffer_size: 2}}]" in made.text
    assert any(given.get("download") == "fast.patch" for _, given in made.tags)
    assert "PROVEN" in made.text
    assert "1.79×" in made.text


def test_a_rung_stands_on_the_changes_of_the_races_before_its_own() -> None:
    facts: list[tuple[int, str, Any, float]] = [
        (1, "Parallel", "taken", 8.0),
        (1, "AUTOTUNE", "behind", 2.0),
        (2, "Prefetch", "behind", 1.5),
        (2, "Cache", "taken", 2.0),
    ]
    steps = [
        FixStep(round=number, title=title, result=how, reason="", speedup=gain) for number, title, how, gain in facts
    ]
    (figure,) = ladder(fixed(steps=steps, measured=None), Idents())
    assert figure.table is not None
    assert [row[2] for row in figure.table.rows] == ["8.00×", "2.00×", "1.50× on 8.00×", "2.00× on 8.00×"]
    assert isinstance(figure.draw, functools.partial)
    assert [strip.value for strip in figure.draw.keywords["rows"]] == [8.0, 2.0, 12.0, 16.0]


def test_the_page_of_a_gate_says_failed_and_what_differs_before_anything_else() -> None:
    made = known("gate")
    assert made.text.index("Failed:") < made.text.index("decode takes 4.00 → 6.00 ms") < made.text.index("Metrics")
    assert "FAILED" in made.text
    assert "passed" in known("passed").text


def test_both_themes_have_the_same_colours() -> None:
    source = known("input-bound").source
    light, dark = re.findall(r":root \{(.*?)\}", source[: source.index("@media print")], re.DOTALL)
    names = [set(re.findall(r"--([\w-]+):", part)) for part in (light, dark)]
    assert names[0] == names[1]
    assert "prefers-color-scheme: dark" in source
    assert "@media print" in source
    assert 'content="width=device-width, initial-scale=1"' in source


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("waits 56 % of the time (26 of every 46 ms)", ["56 %", "46 ms"]),
        ("measured: 1.70–1.90, 12 pairs", ["1.70–1.90", "12 pairs"]),
        ("left: --allow order, a--b, −1.5 MiB", ["--allow", "1.5 MiB"]),
        ("12 places, 3 side by side", []),
        ("--" + 40 * "a" + " 9" + 40 * "9" + " %", ["--" + 21 * "a", 14 * "9" + " %"]),
    ],
)
def test_lines_of_a_headline_break_at_words(text: str, whole: list[str]) -> None:
    made = Page(str(unbroken(text)))
    assert made.text == text
    assert re.findall(r'<span class="whole">(.*?)</span>', made.source) == whole


def test_every_block_is_shown() -> None:
    inner = Prose("inside")
    made = Page(
        markup_of(
            (
                Heading("Steps", "in short"),
                Prose((TextSpan("Slow: ", "bold red"), TextSpan("very"))),
                Items(["one <b>", "two"]),
                KeyValue("key", "value"),
                Command("Next", "pipeprof run", note="again"),
                Code("line 1\nline 2", label="YAML"),
                Table([Column("name", ["a", "b"], right=False), Column("ms", ["1", "2"])], below={0: [inner]}),
                Legend([("", "a note")]),
                Alternatives([[Prose("first")], [Prose("narrower")]]),
            ),
            Idents(),
        )
    )
    for text in ("Steps", "in short", "Slow: ", "very", "value", "pipeprof run", "again", "line 1\nline 2", "YAML"):
        assert text in made.text
    for text in ("name", "inside", "a note", "first"):
        assert text in made.text
    assert "narrower" not in made.text
    assert "<ul><li>one &lt;b&gt;</li><li>two</li></ul>" in made.source
    assert ("strong", {"class": "red"}) in made.tags
    assert ("h3", {"id": "steps"}) in made.tags
    assert ("td", {"class": "below", "colspan": "2"}) in made.tags


FOREIGN = st.text(st.characters() | st.sampled_from("<>&\"'/\n\x00\x1b\u202e"), min_size=1, max_size=40)


def hostile(text: str) -> Profile:
    """A profile with a text of any origin wherever a user's file, a library or an exception may put one."""
    profile = proven()
    profile.target.text = profile.output = profile.tool.version = text
    profile.command = [text]
    for stage in profile.stages or ():
        stage.name = stage.executed = text
        if stage.location is not None:
            stage.location.file = text
    for finding in profile.findings or ():
        finding.title = finding.sentence = finding.recommendation = finding.reason = f"x{text}"
        finding.python, finding.evidence = f"x{text}", {"a": text}
        finding.change = None
    assert profile.verdict is not None
    profile.verdict.headline = f"x{text}"
    for detail in profile.verdict.details:
        detail.label = detail.text = f"x{text}"
    for warning in profile.warnings:
        warning.message = text
    return profile


@functools.cache
def usual() -> set[tuple[str, frozenset[str]]]:
    """Every kind of element of the known pages: its tag with the names of its attributes."""
    return {kind for name in DOCUMENTS for kind in kinds(known(name))}


def kinds(made: Page) -> set[tuple[str, frozenset[str]]]:
    return {(tag, frozenset(given)) for tag, given in made.tags}


# A page takes a fifth of a second.
@settings(max_examples=settings.default.max_examples // 2)
@given(FOREIGN)
@example("<script>alert(1)</script>")
@example("</style><b>")
@example("]]>")
@example("<!--")
@example("&lt;")
@example("</pre></main>")
@example("{{ 7 * 7 }}")
def test_foreign_text_stays_text(text: str) -> None:
    made = page_of(hostile(f"x{text}"))
    assert kinds(made) <= usual()
    assert [tag for tag, _ in made.tags].count("script") == 1
    assert "<script>alert" not in made.source
    assert ("{{ 7 * 7 }}" in made.text) == ("{{ 7 * 7 }}" in text)
    for drawing in made.drawings():
        ET.fromstring(drawing)


def with_stages(count: int) -> Profile:
    profile = recorded("jpeg-folder")
    model = (profile.stages or [])[2]
    update: dict[str, Any] = {"name": None, "location": None, "share": 1 / count, "buffer_fill": None}
    profile.stages = [
        *(profile.stages or [])[:1],
        *(model.model_copy(update={**update, "id": f"stages.{number}"}) for number in range(count)),
    ]
    return profile


def without_values() -> Profile:
    """A profile in which everything that may be unknown is."""
    profile = recorded("jpeg-folder")
    empty = Profile(tool=profile.tool, target=profile.target, host=profile.host)
    empty.stages = [Stage(id="source", origin="written", op="range")]
    return empty


def with_course(count: int) -> Profile:
    profile = recorded("jpeg-folder")
    ends = [0.05 * (number + 1) for number in range(count)]
    profile.series.steps = StepCourse(
        seconds=ends, interval_ms=[50.0] * count, wait_ms=[30.0] * count, busy_ms=[20.0] * count
    )
    return profile


def of_one_step() -> Profile:
    profile = with_course(1)
    assert profile.steps is not None
    profile.steps.count = 1
    profile.series.interval_histogram_ms = [(50.0, 1)]
    profile.series.seconds, profile.series.rss_bytes = [1.0], [600_000_000]
    profile.series.cpu_cores, profile.series.batches_per_second, profile.series.phase = [None], [None], ["measure"]
    return profile


def with_long_series(count: int) -> Profile:
    profile = recorded("jpeg-folder")
    series = profile.series
    series.seconds = [0.05 * number for number in range(count)]
    series.rss_bytes = [600_000_000 + number for number in range(count)]
    series.cpu_cores, series.batches_per_second = [1.0] * count, [20.0] * count
    series.phase = ["measure"] * count
    fill = [(0.05 * number, float(number % 9)) for number in range(count)]
    for stage in profile.stages or ():
        stage.buffer_fill = fill
    return profile


@pytest.mark.parametrize(
    "profile",
    [with_stages(500), without_values(), of_one_step(), with_course(240), with_long_series(20_000)],
    ids=["500 stages", "nothing known", "one step", "a course", "a long series"],
)
def test_odd_documents_have_readable_pages(profile: Profile) -> None:
    made = page_of(profile)
    assert len(made.source.encode()) <= MOST
    assert len(made.idents()) == len(set(made.idents()))
    for drawing in made.drawings():
        assert len(drawing) < 150_000
        ET.fromstring(drawing)
    assert "nan" not in made.source.lower().replace("nanosecond", "")


def with_findings(count: int) -> Profile:
    """A profile with so many changes, each measured in twelve pairs."""
    profile = proven()
    models = [finding.model_copy(deep=True) for finding in profile.findings or ()]
    for model, name in zip(models, ("parallel-calls", "cache"), strict=True):
        model.rule = name
        model.status, model.measured = "kept", {"speedup": 1.8, "low": 1.7, "high": 1.9, "pairs": [1.7, 1.8, 1.9] * 4}
    profile.findings = [models[number % len(models)].model_copy() for number in range(count)]
    return profile


def test_the_graph_of_a_run_that_failed_has_no_columns_for_times() -> None:
    profile = recorded("jpeg-folder")
    assert "share of work" in page_of(profile).text
    for one in profile.stages or ():
        for name in ("time_ms_per_batch", "cpu_ms_per_batch", "blocked_ms_per_batch", "calling_ms_per_batch", "share"):
            setattr(one, name, None)
    graph = stage_graph(profile, Idents())
    assert graph is not None
    assert not graph.is_timed
    assert "Times are" not in graph.caption
    made = page_of(profile)
    assert "share of work" not in made.text
    assert 'class="track"' not in made.source


def test_the_buffers_are_those_of_the_measured_time() -> None:
    profile = recorded("jpeg-folder")
    assert profile.steps is not None
    end = profile.steps.seconds
    one = next(stage for stage in profile.stages or () if stage.buffer_fill)
    one.buffer_fill = [(0.5, 1.0), (end, 3.0), (end + 1.5, 9.0)]
    figure = next(iter(tuned(profile)))
    assert isinstance(figure.draw, functools.partial)
    assert figure.draw.keywords["end"] == end
    assert any("at most 3 elements" in lane.note for lane in figure.draw.keywords["lanes"])


def test_of_many_changes_each_has_a_card_and_each_rule_one_text() -> None:
    source = render_page(run_page(with_findings(500), None))
    assert len(source.encode()) <= MOST
    assert re.findall(r'id="finding-(\d+)"', source) == [str(number) for number in range(1, 501)]
    assert re.findall(r'id="finding-(\d+)-rule"', source) == ["1", "2"]
    assert [source.count(f'<a href="#finding-{number}-rule">') for number in (1, 2)] == [249, 249]
    assert source.count("A map without num_parallel_calls runs one call at a time.") == 1
    # The pairs of the first ones are drawn, those of the others are in their facts.
    assert re.findall(r'id="finding-(\d+)-pairs"', source) == [str(number) for number in range(1, 11)]
    assert source.count("<dt>Rounds</dt><dd>1.70×, 1.80×, 1.90×, 1.70×") == 490


def test_of_many_stages_those_with_little_work_share_a_sentence() -> None:
    made = page_of(with_stages(500))
    assert len([ident for ident in made.idents() if ident.startswith("stage-")]) == 40
    assert "461 more stages" in made.text


def test_the_critical_path_goes_through_the_slowest_input() -> None:
    from pipeprof.cli.html.stages import critical_path

    profile = recorded("jpeg-folder")
    ids = ("source", "source.inputs.0.source", "source.inputs.0.stages.0", "source.inputs.1.source", "stages.0")
    model = (profile.stages or [])[2]
    profile.stages = [
        model.model_copy(update={"id": ident, "cpu_ms_per_batch": 9.0 if "inputs.0" in ident else 1.0}) for ident in ids
    ]
    path, branched = critical_path(profile)
    assert branched
    assert path == {"source", "source.inputs.0.source", "source.inputs.0.stages.0", "stages.0"}


def test_a_small_page_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    profile = recorded("raised")
    profile.series.seconds, profile.series.rss_bytes = [], []
    profile.series.cpu_cores, profile.series.batches_per_second, profile.series.phase = [], [], []
    source = page_of(profile).source
    for tag in ("style", "script"):
        source = re.sub(rf"<{tag}>.*?</{tag}>", f"<{tag}>…</{tag}>", source, flags=re.DOTALL)
    source = re.sub(r"(sha256)-[\w+/=]+", r"\1-…", source)
    golden("report/page.html", source.partition('<section id="numbers"')[0])
