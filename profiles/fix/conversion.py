"""Files that a conversion has written, as what a search tries and as what its result says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.profiles.convert.convert import Conversion, ConversionPlan, convert
from pipeprof.profiles.convert.folder import ConvertTarget
from pipeprof.profiles.convert.replacement import edits_for
from pipeprof.profiles.convert.writing import InterruptedConversionError, NotConvertedError, WriterProcess
from pipeprof.profiles.document.findings import Converted, Fix
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.verify.file_points import choose_point

RULE = "converted"
"""Stands for the rule of what a conversion proposes."""
Proposals = Callable[["Profile"], Sequence[Proposal]]
"""Further changes to try on a pipeline as it is now."""


def convert_for(
    result: Fix,
    profile: Profile,
    target: ConvertTarget,
    job: Job,
    *,
    loaded: LoadedSpec | None,
    progress: RunProgress,
    signals: Signals,
    end_at: float | None = None,
) -> Proposals:
    """Write what a part of the pipeline gives into files, and write into the result what came of it.

    Returns:
        What to try: nothing where no part of the pipeline can be kept in files.

    Raises:
        InterruptedVerificationError: The user wants an end.
        PipeprofError: The folder cannot be used, or the disk is too small.
    """
    result.converted = Converted(folder=str(target.folder))
    point = choose_point(profile)
    try:
        if isinstance(point, str):
            raise NotConvertedError(point)
        made = convert(
            ConversionPlan(profile, point, target, job, loaded),
            lambda changed: WriterProcess(changed, signals),
            progress=progress,
            interrupted=lambda: signals.asked is not None,
            end_at=end_at,
        )
    except InterruptedConversionError:
        result.converted.reason = "interrupted: nothing of it was kept"
        raise InterruptedVerificationError from None
    except NotConvertedError as error:
        result.converted.reason = str(error)
        progress.note(f"not converted: {error}")
        return lambda _: ()
    except PipeprofError as error:
        result.converted.reason = str(error)
        raise
    result.converted = describe(made, target)
    near = loaded.base_dir if loaded is not None else None
    return lambda now: proposals(made, now, near)


def describe(made: Conversion, target: ConvertTarget) -> Converted:
    """A conversion as the profile has it."""
    files, written = made.files, made.written
    return Converted(
        folder=str(target.folder),
        stage=files.point.stages[-1],
        name=files.point.name,
        replaces=list(files.point.stages),
        form=files.form,
        path=files.path,
        elements=written.elements,
        bytes=written.bytes,
        seconds=round(written.seconds, 2),
        compared=written.compared,
    )


def proposals(made: Conversion, profile: Profile, near: Path | None) -> list[Proposal]:
    """The files as a change of a pipeline; nothing where earlier changes have taken the stages that they replace."""
    edits = edits_for(made.files, profile, near)
    if edits is None:
        return []
    name = made.files.point.name
    return [
        Proposal(
            title=f"Read {name}'s output from files",
            change=f"stages up to {name} → files in {made.files.path}",
            edits=edits,
            family="memory" if made.files.point.for_memory else "speed",
            rule=RULE,
            stage=made.files.point.stages[-1],
        )
    ]


def mark_use(result: Fix) -> None:
    """Write into the result whether its best pipeline reads the files."""
    if result.converted is None or result.converted.path is None:
        return
    taken = any(step.rule == RULE and step.result == "taken" for step in result.steps)
    result.converted.used = taken and result.status in {"fixed", "interrupted"}
