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
    b_sets: Annotated[
        Texts, option("--b-set", "PATH=VALUE", "As --set, on B alone; without B, on A's spec. Repeatable.")
    ] = None
    b_python: Annotated[
        Text,
        option(
            "--b-python",
            "PYTHON",
            "Measure B in another environment, e.g. OTHER/bin/python, with its TensorFlow; without B, A's target.",
        ),
    ] = None
    scan: Annotated[
        Text, option("--scan", "PATH=V,V", "Compare A's spec with these values of a parameter, in one table.")
    ] = None
    why: Annotated[
        bool, flag("--why", "Also measure each difference between A and B on its own, and name those that matter.")
    ] = False
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


MOST_ARMS = 8
"""Pipelines of one comparison: each is a process in every pair, and waits for the turns of all others."""
_OPEN, _CLOSE = "[{(", "]})"


@dataclass(frozen=True)
class GivenScan:
    """One parameter of a spec and the values that are compared: at least two, in YAML as typed."""

    path: str
    values: tuple[str, ...]

    def sets(self) -> list[str]:
        """The ``--set`` value of each pipeline."""
        return [f"{self.path}={value}" for value in self.values]


def parse_scan(text: str) -> GivenScan:
    """Parse the value of ``--scan``.

    Raises:
        UsageError: It has no path, fewer than two values, one of them twice, or too many.

    Example:
        >>> parse_scan("stages.decode.num_parallel_calls=1,2,4").values
        ('1', '2', '4')
        >>> parse_scan("stages.0.map={a: 1, b: 2},{a: 3}").values
        ('{a: 1, b: 2}', '{a: 3}')
    """
    path, equals, rest = text.partition("=")
    values = tuple(value.strip() for value in _split(rest))
    if not (path and equals and all(values)):
        raise UsageError(f"--scan: got {text!r}, expected PATH=VALUE,VALUE such as stages.0.num_parallel_calls=1,2,4")
    if len(values) < 2:
        raise UsageError(f"--scan {text}: one value; give at least two, separated by commas")
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise UsageError(f"--scan {text}: {twice} stands there twice; give each value once")
    check_number(len(values), "--scan: got {} values")
    return GivenScan(path, values)


def check_number(arms: int, what: str) -> None:
    """Refuse more pipelines than one comparison takes.

    Raises:
        UsageError: There are more.
    """
    if arms > MOST_ARMS:
        raise UsageError(f"{what.format(arms)}, at most {MOST_ARMS}: each is a process in every pair")


def _split(text: str) -> list[str]:
    """The parts between commas that are in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _OPEN:
            depth += 1
        elif letter in _CLOSE:
            depth -= 1
        elif letter == "," and not depth:
            parts.append("")
            continue
        parts[-1] += letter
    return parts
