"""All options of ``pipeprof compare`` and ``pipeprof gate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli import completion
from pipeprof.cli.options import RerunOptions, format_of, out_of
from pipeprof.pipelines.errors import UsageError

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.budgets import Budget


@dataclass(frozen=True, kw_only=True)
class CompareOptions(RerunOptions):
    """All options of ``pipeprof compare``, as typed."""

    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="spec.yaml, file.py:function, script.py, git:REF[:PATH] or a saved profile.",
            autocompletion=completion.targets,
        ),
    ]
    others: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="B",
            help="What A is compared with, one or more; git:REF is the other target at that ref.",
            show_default=False,
        ),
    ] = None
    pairs: Annotated[
        str | None, typer.Option("--pairs", metavar="N", help="Pairs of fresh processes.  [default: 5]")
    ] = None
    b_sets: Annotated[
        list[str] | None,
        typer.Option("--b-set", metavar="PATH=VALUE", help="As --set, on B alone; without B, on A's spec. Repeatable."),
    ] = None
    scan: Annotated[
        str | None,
        typer.Option(
            "--scan", metavar="PATH=V,V", help="Compare A's spec with these values of a parameter, in one table."
        ),
    ] = None
    why: Annotated[
        bool, typer.Option("--why", help="Also measure each difference of A and B alone, and name those that count.")
    ] = False
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse saved profiles of other hosts or versions (exit code 6).")
    ] = False
    out: Annotated[list[str] | None, out_of("compare")] = None
    form: Annotated[str | None, format_of("compare")] = None


@dataclass(frozen=True, kw_only=True)
class GateOptions(RerunOptions):
    """All options of ``pipeprof gate``, as typed."""

    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="spec.yaml, file.py:function, package.module:function, or script.py with --rerun.",
            autocompletion=completion.targets,
        ),
    ]
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="OTHER",
            help="What TARGET must not be worse than: git:REF (the same target at that ref), git:REF:PATH, a target.",
        ),
    ] = None
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="FILE", help="A stored baseline, where both sides cannot be measured: second best."
        ),
    ] = None
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Measure the target and write --baseline; nothing is judged.")
    ] = False
    self_test: Annotated[
        bool,
        typer.Option(
            "--self-test", help="Try the gate: it must pass the target, and fail it with longer steps and more memory."
        ),
    ] = False
    max_pairs: Annotated[
        str | None, typer.Option("--max-pairs", metavar="N", help="Pairs after which it gives up.  [default: 15]")
    ] = None
    max_step_ms: Annotated[
        str | None, typer.Option(metavar="BUDGET", help="Step interval: 5%, 20ms, warn or off.  [default: 3%]")
    ] = None
    max_peak_bytes: Annotated[
        str | None, typer.Option(metavar="BUDGET", help="Peak memory: 5%, 2GiB, warn or off.  [default: 3%]")
    ] = None
    max_wait_ms: Annotated[str | None, typer.Option(metavar="BUDGET", help="Wait per step, e.g. 2ms.")] = None
    max_idle_share: Annotated[str | None, typer.Option(metavar="BUDGET", help="Idle share, e.g. 10%.")] = None
    max_cpu_ms_per_element: Annotated[
        str | None, typer.Option(metavar="BUDGET", help="CPU time per element, e.g. 5%.")
    ] = None
    max_first_batch_s: Annotated[
        str | None, typer.Option(metavar="BUDGET", help="Time until the first batch, e.g. 20% or 5s.")
    ] = None
    max_stage_ms: Annotated[
        list[str] | None,
        typer.Option(
            "--max-stage-ms", metavar="STAGE=BUDGET", help="Time in a stage per batch, e.g. decode=10%. Repeatable."
        ),
    ] = None
    max_disk_bytes_per_element: Annotated[
        str | None, typer.Option(metavar="BUDGET", help="Bytes read from the disk per element.")
    ] = None
    out: Annotated[list[str] | None, out_of("gate")] = None
    form: Annotated[str | None, format_of("gate")] = None


def budgets(given: GateOptions) -> dict[str, Budget | None]:
    """Parse the values of ``--max-METRIC``.

    Raises:
        UsageError: One is no budget of its metric.
    """
    from pipeprof.pipelines.spec.budgets import MAY_BE_ZERO, STAGE_UNITS, UNITS, stage_metric

    found: dict[str, Budget | None] = {}
    for name, unit in UNITS.items():
        text = getattr(given, f"max_{name}", None)
        if text is not None:
            found[name] = _budget(f"--max-{name.replace('_', '-')}", text, unit, zero=name in MAY_BE_ZERO)
    for one in given.max_stage_ms or ():
        stage, equals, text = one.rpartition("=")
        if not (equals and stage and text):
            raise UsageError(f"--max-stage-ms: got {one!r}, expected a stage and its budget such as decode=10%")
        found[stage_metric(stage)] = _budget("--max-stage-ms", text, STAGE_UNITS["time_ms"])
    return found


def _budget(flag: str, text: str, unit: str, *, zero: bool = False) -> Budget:
    from pipeprof.pipelines.spec.budgets import parse_budget

    try:
        return parse_budget(text, unit, zero=zero)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None
