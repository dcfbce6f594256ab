"""The document of a check: a profile as far as no run is needed; everything else is null."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipeprof import __version__
from pipeprof.cli.report.check import describe_growing, unknown_by_reason
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.target.target import SPEC_SUFFIXES
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.memory import LedgerEntry, Memory
from pipeprof.profiles.document.profile import Host, Message, Problem, Profile, Target, Tool, spec_target
from pipeprof.profiles.document.stages import Stage

if TYPE_CHECKING:
    from pipeprof.cli.targets.checked import Checked
    from pipeprof.pipelines.errors import PipeprofError
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.profiles.advise.advise import StaticAdvice
    from pipeprof.profiles.memory.predict import MemoryPrediction


def stages_of(loaded: LoadedSpec) -> list[Stage]:
    """The rows of a spec's source and stages, those of inner pipelines included, with their lines."""
    stages = []
    for placed in loaded.spec.placed():
        at = loaded.locate(placed.address)
        where = Location.model_construct(file=at.file, line=at.line, column=at.column) if at and at.line else None
        stages.append(
            # Of values that are checked: making what checks them would take longer than all else here.
            Stage.model_construct(
                id=placed.address,
                name=placed.name,
                origin="written",
                depth=placed.address.count("stages.") + placed.address.count("source") - 1,
                op=placed.op,
                location=where,
            )
        )
    return stages


def document_of(checked: Checked) -> Profile:
    """Exit code, errors, predicted memory and findings of a check."""
    loaded, advice, memory, limit = checked.loaded, checked.advice, checked.advice.memory, checked.limit
    return Profile(
        tool=Tool(version=__version__),
        command=["pipeprof", *sys.argv[1:]],
        target=spec_target(checked.target, loaded) if loaded else _target(checked),
        exit_code=checked.exit_code,
        host=Host(
            system=platform.system(),
            machine=platform.machine(),
            cores=checked.cores,
            memory_limit_bytes=limit.bytes if limit else None,
            memory_limit_source=limit.source if limit else None,
        ),
        memory=Memory(
            ledger=_predicted(memory) if memory is not None else None,
            predicted_bytes=memory.peak_bytes if memory is not None else None,
            what_ifs=advice.what_ifs or None,
        ),
        stages=list(advice.stages) or None,
        findings=advice.findings,
        errors=_problems(checked.error),
        warnings=[*advice.messages, *_not_predicted(advice), *_notes(loaded)],
    )


def _predicted(memory: MemoryPrediction) -> list[LedgerEntry]:
    return [LedgerEntry(owner=one.owner, stage=one.stage, bytes=one.bytes, how=one.how) for one in memory.held]


def _target(checked: Checked) -> Target:
    """The target where there is no spec, or it is wrong."""
    is_spec = isinstance(checked.error, SpecError) or checked.target.endswith(SPEC_SUFFIXES)
    return Target(
        kind="spec" if is_spec else "function",
        text=checked.target,
        arguments=None if is_spec else dict(checked.parsed.arguments) if checked.parsed is not None else {},
        overrides=list(checked.given.set or ()),
    )


def _not_predicted(advice: StaticAdvice) -> Iterator[Message]:
    """Owners without a predicted size as warnings, as the text report has them."""
    for reason, members in (unknown_by_reason(advice.memory) if advice.memory is not None else {}).items():
        owners = ", ".join(f"{size.owner} at {size.stage}" for size in members)
        yield Message(code="memory-not-known", message=f"{owners}: {reason}")
    for text in describe_growing(advice.memory, ()) if advice.memory is not None else ():
        yield Message(code="memory-not-predicted", message=f"Not predicted: {text}")


def _notes(loaded: LoadedSpec | None) -> Iterator[Message]:
    for note in loaded.notes if loaded is not None else ():
        yield Message(code=note.code, message=str(note))


def _problems(error: PipeprofError | None) -> Sequence[Problem]:
    if error is None:
        return []
    if not isinstance(error, SpecError):
        return [Problem(code="target", message=str(error))]
    return [
        Problem(
            file=one.file,
            line=one.line,
            column=one.column,
            length=one.length if one.column is not None else None,
            flag=one.flag,
            code=one.code,
            message=one.message + (f" — did you mean {one.suggestion}?" if one.suggestion else ""),
        )
        for one in error.diagnostics
    ]
