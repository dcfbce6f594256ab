"""All options of ``pipeprof compare`` and ``pipeprof gate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli import completion
from pipeprof.cli.formats.registry import extensions_of, names_of
from pipeprof.cli.options import (
    Arg,
    Color,
    Dispatch,
    Env,
    Force,
    Json,
    MaxTime,
    NoLock,
    NoPython,
    Overlay,
    Quiet,
    Seed,
    Set,
    Step,
    Target,
    Timeout,
    Verbose,
)
from pipeprof.pipelines.errors import UsageError

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.budgets import Budget


@dataclass(frozen=True)
class CompareOptions:
    """All options of ``pipeprof compare``, as typed."""

    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="spec.yaml, file.py:function, git:REF[:PATH] or a saved profile.",
            autocompletion=completion.targets,
        ),
    ]
    b: Annotated[
        str | None,
        typer.Argument(
            metavar="[B]", help="What A is compared with; git:REF is the other target at that ref.", show_default=False
        ),
    ] = None
    pairs: Annotated[
        str | None, typer.Option("--pairs", metavar="N", help="Pairs of fresh processes.  [default: 5]")
    ] = None
    b_sets: Annotated[
        list[str] | None,
        typer.Option("--b-set", metavar="PATH=VALUE", help="As --set, on B alone; without B, on A's spec. Repeatable."),
    ] = None
    why: Annotated[
        bool,
        typer.Option("--why", help="Also measure each difference of A and B alone, and name those that count."),
    ] = False
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse saved profiles of other hosts or versions (exit code 6).")
    ] = False
    sets: Set = None
    overlays: Overlay = None
    env: Env = False
    args: Arg = None
    no_python: NoPython = False
    step: Step = None
    dispatch: Dispatch = None
    seed: Seed = None
    timeout: Timeout = None
    max_time: MaxTime = None
    memory_limit: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory of all processes together, e.g. 8GiB.  [default: all available]"),
    ] = None
    out: Annotated[
        list[str] | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=f"Also write the report to a file ({' or '.join(extensions_of('compare'))}). Repeatable.",
        ),
    ] = None
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(names_of("compare")),
            help="Output format on stdout.  [default: text]",
            autocompletion=completion.one_of(*names_of("compare")),
        ),
    ] = None
    json: Json = False
    force: Force = False
    color: Color = "auto"
    no_lock: NoLock = False
    quiet: Quiet = False
    verbose: Verbose = False


@dataclass(frozen=True)
class GateOptions:
    """All options of ``pipeprof gate``, as typed."""

    target: Target
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
            "--self-test", help="Try the gate: it must pass the target, and fail it with a stall and more memory."
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
    max_disk_bytes_per_element: Annotated[
        str | None, typer.Option(metavar="BUDGET", help="Bytes read from the disk per element.")
    ] = None
    sets: Set = None
    overlays: Overlay = None
    env: Env = False
    args: Arg = None
    no_python: NoPython = False
    step: Step = None
    dispatch: Dispatch = None
    seed: Seed = None
    timeout: Timeout = None
    max_time: MaxTime = None
    memory_limit: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory of all processes together, e.g. 8GiB.  [default: all available]"),
    ] = None
    out: Annotated[
        list[str] | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=f"Also write the report to a file ({' or '.join(extensions_of('gate'))}). Repeatable.",
        ),
    ] = None
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="|".join(names_of("gate")),
            help="Output format on stdout.  [default: text]",
            autocompletion=completion.one_of(*names_of("gate")),
        ),
    ] = None
    json: Json = False
    force: Force = False
    color: Color = "auto"
    no_lock: NoLock = False
    quiet: Quiet = False
    verbose: Verbose = False


def budgets(given: GateOptions) -> dict[str, Budget | None]:
    """Parse the values of ``--max-METRIC``.

    Raises:
        UsageError: One is no budget of its metric.
    """
    from pipeprof.pipelines.spec.budgets import UNITS, parse_budget

    found: dict[str, Budget | None] = {}
    for name, unit in UNITS.items():
        text = getattr(given, f"max_{name}", None)
        if text is None:
            continue
        try:
            found[name] = parse_budget(text, unit)
        except ValueError as error:
            msg = f"--max-{name.replace('_', '-')}: {error}"
            raise UsageError(msg) from None
    return found
