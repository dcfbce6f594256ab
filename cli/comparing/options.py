"""All options of ``pipeprof compare`` and ``pipeprof gate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli.options import SharedOptions, Text, Texts, flag, format_of, option, out_of
from pipeprof.pipelines.errors import UsageError

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.budgets import Budget


@dataclass(frozen=True, kw_only=True)
class CompareOptions(SharedOptions):
    """All options of ``pipeprof compare``, as typed."""

    a: Annotated[
        str, typer.Argument(metavar="A", help="spec.yaml, file.py:function, git:REF[:PATH] or a saved profile.")
    ]
    others: Annotated[
        Texts,
        typer.Argument(
            metavar="B",
            help="What A is compared with, one or more; git:REF is the other target at that ref.",
            show_default=False,
        ),
    ] = None
    pairs: Annotated[Text, option("--pairs", "N", "Pairs of fresh processes.  [default: 5]")] = None
    out: Annotated[Texts, out_of("compare")] = None
    form: Annotated[Text, format_of("compare")] = None


@dataclass(frozen=True, kw_only=True)
class GateOptions(SharedOptions):
    """All options of ``pipeprof gate``, as typed."""

    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="spec.yaml, file.py:function or package.module:function.")
    ]
    against: Annotated[
        Text,
        option(
            "--against",
            "OTHER",
            "What TARGET must not be worse than: git:REF (the same target at that ref), git:REF:PATH, a target.  "
            "[default: in a merge request, where its branch began]",
        ),
    ] = None
    self_test: Annotated[
        bool, flag("--self-test", "Test the gate: it must pass the unchanged pipeline and fail a slowed one.")
    ] = False
    measure: Annotated[
        bool, flag("--measure", "Measure even if both sides are the same pipeline; without it, that passes at once.")
    ] = False
    max_pairs: Annotated[Text, option("--max-pairs", "N", "Pairs after which it gives up.  [default: 15]")] = None
    max_step_ms: Annotated[Text, option("", "BUDGET", "Step interval: 5%, 20ms, warn or off.  [default: 3%]")] = None
    max_peak_bytes: Annotated[Text, option("", "BUDGET", "Peak memory: 5%, 2GiB, warn or off.  [default: 3%]")] = None
    max_stage_ms: Annotated[
        Texts, option("--max-stage-ms", "STAGE=BUDGET", "Time in a stage per batch, e.g. decode=10%. Repeatable.")
    ] = None
    out: Annotated[Texts, out_of("gate")] = None
    form: Annotated[Text, format_of("gate")] = None


def budgets(given: GateOptions) -> dict[str, Budget | None]:
    """Parse the values of ``--max-METRIC``.

    Raises:
        UsageError: One is no budget of its metric.
    """
    from pipeprof.pipelines.spec.budgets import STAGE_UNITS, UNITS, stage_metric

    found: dict[str, Budget | None] = {}
    for name, text in (("step_ms", given.max_step_ms), ("peak_bytes", given.max_peak_bytes)):
        if text is not None:
            found[name] = _budget(f"--max-{name.replace('_', '-')}", text, UNITS[name])
    for one in given.max_stage_ms or ():
        stage, equals, text = one.rpartition("=")
        if not (equals and stage and text):
            raise UsageError(f"--max-stage-ms: got {one!r}, expected a stage and its budget such as decode=10%")
        found[stage_metric(stage)] = _budget("--max-stage-ms", text, STAGE_UNITS["time_ms"])
    return found


def _budget(flag: str, text: str, unit: str) -> Budget:
    from pipeprof.pipelines.spec.budgets import parse_budget

    try:
        return parse_budget(text, unit)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None
