"""The first lines of a report whose verdict is about the conditions: goldens of a recorded profile with others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.cli.report.problems import select_warnings
from pipeprof.cli.report.report import Selection, build_report
from pipeprof.cli.report.time import describe_limits
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Contention
from pipeprof.profiles.time.ceiling import find_ceiling
from pipeprof.profiles.time.limits.disturbance import find_disturbance
from pipeprof.profiles.time.verdict import conclude

Recorded = Callable[[str], Profile]


def disturbed(profile: Profile) -> None:
    """Two busy processes beside it."""
    profile.contention = Contention(worker_cores=0.6, others_cores=1.4, runnable_wait_share=0.55)
    found = find_disturbance(profile.contention, profile.host)
    assert found is not None
    profile.warnings.append(found.message())


def cpu_bound(profile: Profile) -> None:
    """Four calls at a time fill both cores."""
    assert profile.causes is not None
    profile.causes.worker_cores = 1.92
    assert profile.cpu is not None
    profile.cpu.total_ms = 88.1
    decode = profile.stages[2] if profile.stages else None
    assert decode is not None
    decode.cpu_ms_per_batch, decode.time_ms_per_batch, decode.parallelism = 80.0, 92.0, 4.0
    decode.ceiling_batches_per_second, decode.ceiling_resource = 25.0, "cores"
    profile.ceiling = find_ceiling(profile.stages or [], profile.cpu, profile.steps, profile.host.cores)


def serial_chain(profile: Profile) -> None:
    """Decoding and batching take turns on one thread."""
    assert profile.stages is not None
    decode, _, batch = profile.stages[2:5]
    decode.time_ms_per_batch, decode.tf_op, decode.parallelism = 30.0, "MapDataset", None
    batch.time_ms_per_batch = 15.6
    profile.ceiling = find_ceiling(profile.stages, profile.cpu, profile.steps, profile.host.cores)


def restarts(profile: Profile) -> None:
    """Epochs of four batches."""
    assert profile.steps is not None
    profile.steps.epochs, profile.steps.restart_share = 28, 0.31


@pytest.mark.parametrize("change", [disturbed, cpu_bound, serial_chain, restarts], ids=lambda change: change.__name__)
def test_golden(change: Callable[[Profile], None], recorded: Recorded, golden: Callable[[str, str], None]) -> None:
    profile = recorded("jpeg-folder")
    profile.findings = []
    change(profile)
    profile.verdict = conclude(profile)
    text = paint(build_report(profile, None, Selection(sections=("verdict", "warnings"))), Style(width=100))
    golden(f"verdict/{change.__name__.replace('_', '-')}.txt", f"{text}\nlimits: {describe_limits(profile)}\n")


def test_what_the_verdict_has_said_of_others_is_no_further_warning(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    disturbed(profile)
    assert "disturbed" not in [warning.code for warning in select_warnings(profile)]
    assert "disturbed" in [warning.code for warning in profile.warnings]


def test_a_limit_names_one_of_the_stages_of_the_same_name(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    assert profile.stages is not None
    decode = next(stage for stage in profile.stages if stage.name == "decode")
    profile.stages.append(decode.model_copy(update={"id": "stages.7"}))
    assert describe_limits(profile).startswith("25.0 batches/s with one call at a time (decode 1) · ")
    profile.stages[-1] = decode.model_copy(update={"id": "stages.7.inputs.1.stages.0", "name": "other"})
    assert describe_limits(profile).startswith("25.0 batches/s with one call at a time (decode) · ")
