"""Pictures of a run: to be merged."""

from collections.abc import Iterator

from pipeprof.cli.report.blocks import Chart
from pipeprof.profiles.document.profile import Profile


def changes(profile: Profile) -> Iterator[Chart]:
    yield from ()


steps_over_time = step_times = stage_times = memory_over_time = memory_by_owner = changes
