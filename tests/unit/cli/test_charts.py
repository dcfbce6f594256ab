"""The charts of a run: the numbers of the profile, and nothing where it has none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.cli.report import charts
from pipeprof.cli.report.blocks import Bar, Chart, Interval
from pipeprof.profiles.document.findings import Fix, FixStep
from pipeprof.profiles.document.profile import Profile
from tests.unit.cli.test_html import with_course

ALL = (charts.steps_over_time, charts.stage_times, charts.memory_over_time, charts.memory_by_owner, charts.changes)


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    return with_course(recorded("jpeg-folder"))


def layers_of(chart: Chart) -> dict[str, list[float]]:
    return {layer.name: list(layer.values) for layer in chart.layers}


def bars_of(chart: Chart) -> dict[str, dict[str, float]]:
    rows = [row for row in chart.rows if isinstance(row, Bar)]
    assert len(rows) == len(chart.rows)
    return {row.name: {name: value for name, value, _ in row.parts} for row in rows}


def test_a_profile_without_data_has_no_charts(profile: Profile) -> None:
    empty = Profile(tool=profile.tool, target=profile.target, host=profile.host)
    assert [list(build(empty)) for build in ALL] == [[]] * len(ALL)


def test_the_steps_are_drawn_in_at_most_150_stretches(profile: Profile) -> None:
    (chart,) = charts.steps_over_time(profile)
    assert chart.edges[:3] == pytest.approx([0.0, 0.1, 0.2])
    assert {name: len(values) for name, values in layers_of(chart).items()} == {"the step": 120, "waits for data": 120}
    assert layers_of(chart)["waits for data"][0] == 30.0


def test_the_step_and_its_wait_are_no_longer_than_the_interval(profile: Profile) -> None:
    course = profile.series.steps
    assert course is not None
    course.busy_ms, course.wait_ms = [45.0] * 240, [30.0] * 240
    (chart,) = charts.steps_over_time(profile)
    assert [values[0] for values in layers_of(chart).values()] == [20.0, 30.0]
    course.busy_ms = [5.0] * 240
    (chart,) = charts.steps_over_time(profile)
    assert [values[0] for values in layers_of(chart).values()] == [5.0, 15.0, 30.0]


def test_batches_without_a_step_are_one_layer(profile: Profile) -> None:
    course = profile.series.steps
    assert course is not None
    course.busy_ms = course.wait_ms = None
    (chart,) = charts.steps_over_time(profile)
    assert [set(values) for values in layers_of(chart).values()] == [{50.0}]


def test_the_stages_have_their_time_on_a_core_and_blocked(profile: Profile) -> None:
    slow = (profile.stages or [])[2]
    slow.cpu_ms_per_batch, slow.blocked_ms_per_batch = 30.0, 10.0
    (chart,) = charts.stage_times(profile)
    rows = bars_of(chart)
    assert list(next(parts for parts in rows.values() if len(parts) == 2).values()) == [30.0, 10.0]
    profile.stages = [slow.model_copy(update={"id": f"stages.{number}", "location": None}) for number in range(40)]
    (chart,) = charts.stage_times(profile)
    assert len(chart.rows) == 12
    assert "28 stages" in chart.text


def test_memory_over_time_keeps_its_peak_and_is_whole(profile: Profile) -> None:
    series, peak = profile.series, profile.memory.peak_bytes or 0
    series.rss_bytes[100] = 2 * peak
    (chart,) = charts.memory_over_time(profile)
    totals = [sum(values) for values in zip(*layers_of(chart).values(), strict=True)]
    assert len(totals) == len(chart.edges) - 1 <= 150
    assert max(totals) == 2 * peak
    assert next(iter(layers_of(chart))) == "TensorFlow itself"
    assert max(layers_of(chart)["TensorFlow itself"]) == profile.memory.baseline_bytes
    assert [name for _, name in chart.marks][-2:] == ["measure", "trace"]


@pytest.mark.parametrize(("times", "drawn"), [(1.2, True), (20.0, False)])
def test_a_limit_is_drawn_where_it_is_near(profile: Profile, times: float, drawn: bool) -> None:
    limit = round(times * (profile.memory.peak_bytes or 0))
    profile.host.memory_limit_bytes = limit
    (chart,) = charts.memory_over_time(profile)
    assert [value for value, _ in chart.levels] == [limit] * drawn


def test_the_owners_of_memory_are_the_whole_peak(profile: Profile) -> None:
    (chart,) = charts.memory_by_owner(profile)
    rows = bars_of(chart)
    assert sum(value for parts in rows.values() for value in parts.values()) == pytest.approx(
        profile.memory.peak_bytes, rel=0.01
    )
    assert "TensorFlow itself" in rows


def test_what_was_measured_of_a_change_has_its_interval_and_its_rounds(profile: Profile) -> None:
    findings = profile.findings or []
    findings[1].measured = None
    (chart,) = charts.changes(profile)
    (row,) = chart.rows
    assert isinstance(row, Interval)
    assert (row.name, row.value, row.low, row.high) == (findings[0].title, 1.8, 1.7, 1.9)
    assert list(row.dots) == [1.7, 1.8, 1.9] * 50


def test_a_search_has_its_proof_and_what_it_tried(profile: Profile) -> None:
    steps = [FixStep(round=1, title="Cache", result="taken", reason="", speedup=2.0, low=1.9, high=2.1, ratios=[2.0])]
    steps.append(FixStep(round=1, title="Prefetch", result="not-tried", reason=""))
    profile.fix = Fix.model_construct(steps=steps, measured={"speedup": 2.2, "low": 2.1, "high": 2.3})
    (chart,) = charts.changes(profile)
    assert [(row.name, row.value) for row in chart.rows if isinstance(row, Interval)] == [
        ("All changes together", 2.2),
        ("Cache", 2.0),
    ]
