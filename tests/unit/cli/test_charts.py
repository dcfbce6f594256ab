"""The charts of a run: the numbers of the profile, and nothing where it has none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeprof.cli.report import charts
from pipeprof.cli.report.blocks import Bar, Chart
from pipeprof.profiles.document.profile import Profile
from tests.unit.cli.reports import Golden, Recorded, fix, measured
from tests.unit.cli.test_html import with_course

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


def test_golden(profile: Profile, golden: Golden) -> None:
    profile.host.memory_limit_bytes = round(1.2 * (profile.memory.peak_bytes or 0))
    found = [chart for build in ALL for chart in build(profile)]
    profile.fix, stages = fix(measured=measured(2.2)), profile.stages or []
    stages[2].blocked_ms_per_batch = 10.0
    profile.stages = [stages[2].model_copy(update={"id": f"stages.{number}", "location": None}) for number in range(40)]
    found += [*charts.changes(profile), *charts.stage_times(profile)]
    golden("sections/charts.txt", "\n".join(line for chart in found for line in described(chart)) + "\n")


def test_memory_over_time_keeps_its_peak_and_is_whole(profile: Profile) -> None:
    series, peak = profile.series, profile.memory.peak_bytes or 0
    profile.host.memory_limit_bytes = 20 * peak
    series.rss_bytes[100] = 2 * peak
    (chart,) = charts.memory_over_time(profile)
    totals = [sum(values) for values in zip(*(layer.values for layer in chart.layers), strict=True)]
    assert (len(totals), max(totals)) == (len(chart.edges) - 1, 2 * peak)
    assert (len(totals) <= 150, chart.levels) == (True, []), "a limit that is far away is not drawn"
    assert max(chart.layers[0].values) == profile.memory.baseline_bytes


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
        assert [layer.values[0] for layer in chart.layers] == first
        assert {len(layer.values) for layer in chart.layers} == {120}
    assert chart.edges[:3] == pytest.approx([0.0, 0.1, 0.2])
