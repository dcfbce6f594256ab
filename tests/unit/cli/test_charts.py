"""The charts of a run: the numbers of the profile, and nothing where it has none."""

from __future__ import annotations

import pytest

from pipeprof.cli.report import charts
from pipeprof.cli.report.blocks import Bar, Chart, Interval
from pipeprof.profiles.document.profile import Profile
from tests.unit.cli.reports import Recorded, fix, measured
from tests.unit.cli.test_html import with_course

ALL = (charts.steps_over_time, charts.stage_times, charts.memory_over_time, charts.memory_by_owner, charts.changes)


@pytest.fixture
def profile(recorded: Recorded) -> Profile:
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


def test_steps_have_at_most_150_stretches_of_which_the_step_and_its_wait_are_all(profile: Profile) -> None:
    course = profile.series.steps
    assert course is not None
    for busy, wait, first in (
        (20.0, 30.0, [20.0, 30.0]),
        # The step and its wait are no longer than the interval; what is neither is the rest.
        (45.0, 30.0, [20.0, 30.0]),
        (5.0, 30.0, [5.0, 15.0, 30.0]),
        (None, None, [50.0]),
    ):
        course.busy_ms = [busy] * 240 if busy is not None else None
        course.wait_ms = [wait] * 240 if wait is not None else None
        (chart,) = charts.steps_over_time(profile)
        assert [values[0] for values in layers_of(chart).values()] == first
        assert {len(values) for values in layers_of(chart).values()} == {120}
    assert chart.edges[:3] == pytest.approx([0.0, 0.1, 0.2])


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
    for times, drawn in ((1.2, True), (20.0, False)):
        profile.host.memory_limit_bytes = round(times * peak)
        (chart,) = charts.memory_over_time(profile)
        assert [value for value, _ in chart.levels] == [profile.host.memory_limit_bytes] * drawn, "a limit that is near"
    series.rss_bytes[100] = 2 * peak
    (chart,) = charts.memory_over_time(profile)
    totals = [sum(values) for values in zip(*layers_of(chart).values(), strict=True)]
    assert (len(totals), max(totals)) == (len(chart.edges) - 1, 2 * peak)
    assert len(totals) <= 150
    assert max(layers_of(chart)["TensorFlow itself"]) == profile.memory.baseline_bytes
    assert [name for _, name in chart.marks][-2:] == ["measure", "trace"]


def test_the_owners_of_memory_are_the_whole_peak(profile: Profile) -> None:
    (chart,) = charts.memory_by_owner(profile)
    rows = bars_of(chart)
    total = sum(value for parts in rows.values() for value in parts.values())
    assert total == pytest.approx(profile.memory.peak_bytes, rel=0.01)
    assert "TensorFlow itself" in rows


def test_what_was_measured_of_a_change_has_its_interval_and_its_rounds_and_a_search_its_proof(profile: Profile) -> None:
    findings = profile.findings or []
    findings[1].measured = None
    ((row,),) = (chart.rows for chart in charts.changes(profile))
    assert isinstance(row, Interval)
    assert (row.name, row.value, row.low, row.high) == (findings[0].title, 1.8, 1.7, 1.9)
    assert list(row.dots) == [1.7, 1.8, 1.9] * 50
    profile.fix = fix(measured=measured(2.2))
    (chart,) = charts.changes(profile)
    assert [row.name for row in chart.rows][:2] == ["All changes together", profile.fix.steps[0].title]
