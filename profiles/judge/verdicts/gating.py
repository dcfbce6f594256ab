"""What a gate judges, when it has seen enough, and what it ends with: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isclose

from pipeprof.pipelines.spec.budgets import STAGE_UNITS, UNITS, Budget, stage_of
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.experiment.turns import are_usual
from pipeprof.profiles.judge.verdicts.metrics import kinds_of
from pipeprof.profiles.judge.verdicts.result import PairValues, Result, Side
from pipeprof.profiles.judge.verdicts.tabulate import BY_DEFAULT, Judged
from pipeprof.profiles.wording import listed, percent, size

PASSED, FAILED, INCONCLUSIVE = 0, 3, 4
NOTHING, NOT_COMPARABLE = 5, 6
"""Exit codes without a verdict: nothing was measured, or a metric is missing on one side."""
NO_PAIR = "--max-time was over before the end of the first pair"
"""Why a session that was not interrupted, and in which no side failed, has nothing to judge."""


def judged_of(budgets: Mapping[str, Budget | None], flags: Mapping[str, Budget | None]) -> dict[str, Judged]:
    """What counts of each metric: what is judged unasked, the spec's budgets, and those of the command line."""
    found = dict(BY_DEFAULT)
    for given in (budgets, flags):
        for name, budget in given.items():
            if budget is not None:
                found[name] = Judged(floor=budget.change, limit=budget.limit, level=budget.level)
    return found


def other_budgets(
    base: Mapping[str, Budget], judged: Mapping[str, Budget], flags: Mapping[str, Budget | None]
) -> list[str]:
    """What the judged side's spec says of budgets in place of the base's, by which it is judged, in words."""
    names = [name for name in (*UNITS, *base, *judged) if name not in flags and base.get(name) != judged.get(name)]
    return [
        f"budgets.{name}: {_budget_words(name, base.get(name))} → {_budget_words(name, judged.get(name))}"
        for name in dict.fromkeys(names)
    ]


def _budget_words(name: str, budget: Budget | None) -> str:
    if budget is None:
        return "not set"
    words = [f"{100 * budget.change:g} %"] if budget.change is not None else []
    if budget.limit is not None:
        unit = UNITS.get(name, STAGE_UNITS.get(name.rpartition(".")[2], ""))
        value = size(budget.limit) if unit == "B" else f"{budget.limit:g} {unit}" if unit else percent(budget.limit)
        words.append(f"at {'least' if unit == '1/s' else 'most'} {value}")
    return ", ".join([*words, *([budget.level] if budget.level != "error" else [])])


def has_other_batches(a: Side, b: Side) -> bool:
    """Whether a step of one side takes more elements than one of the other, so that step intervals do not compare."""
    sizes = (a.elements_per_batch, b.elements_per_batch)
    return None not in sizes and not isclose(sizes[0] or 0.0, sizes[1] or 0.0, rel_tol=0.01)


def judged_for(a: Side, b: Side, judged: Mapping[str, Judged]) -> dict[str, Judged]:
    """What counts in a session: where batches have other sizes, throughput in place of the step interval.

    A limit stays what it is: it is about one side alone. What a stage takes per batch is not compared then.
    """
    if not has_other_batches(a, b):
        return dict(judged)
    judged = {
        name: replace(one, level="off") if stage_of(name) is not None and one.limit is None else one
        for name, one in judged.items()
    }
    step = judged.get("step_ms")
    if step is None or step.level == "off":
        return dict(judged)
    per_element = {"elements_per_second": judged.get("elements_per_second", replace(step, limit=None))}
    return {**judged, "step_ms": replace(step, level="off" if step.limit is None else step.level), **per_element}


def looks_within(most: int) -> tuple[int, ...]:
    """The numbers of pairs after which a gate looks, which ends at the last one in any case.

    Example:
        >>> looks_within(15), looks_within(8), looks_within(3)
        ((4, 6, 8, 11, 15), (4, 6, 8), (3,))
    """
    return (*(look for look in GATE.looks if look < most), most)


def has_seen_enough(result: Result, most: int, *, each: bool = False) -> bool:
    """Whether the verdict is clear, at a look, or there may be no more pairs.

    It is where something has regressed that must not, and where every metric that is judged is decided.

    Args:
        each: Whether every metric has to be decided, also where one has regressed.
    """
    if len(result.pairs) >= most or len(counted(result.pairs)) not in looks_within(most):
        return len(result.pairs) >= most
    judged = [row for row in result.metrics if row.level != "off"]
    failed = any(row.verdict == "regressed" for row in judged if row.level == "error")
    return (failed and not each) or all(row.verdict != "cannot tell" for row in judged)


def conclude_gate(result: Result, lacking: Sequence[str] = ()) -> None:
    """Write the verdict and the exit code into the result of a session that came to its end.

    Without a pair, and where a metric that is to be judged was not measured, there is no verdict.

    Args:
        lacking: Metrics that are to be judged and that some process lacks.
    """
    if not result.pairs or lacking:
        titles = [kind.title for kind in kinds_of(lacking) if kind.name in lacking]
        what = f"{listed(titles)}: not measured on both sides" if result.pairs else NO_PAIR
        result.errors.append(Message(code="not-measured", message=what))
        result.exit_code = NOT_COMPARABLE if result.pairs else NOTHING
        return
    errors = [row for row in result.metrics if row.level == "error"]
    if any(row.verdict == "regressed" for row in errors):
        result.verdict, result.exit_code = "regressed", FAILED
    elif any(row.verdict == "cannot tell" for row in errors):
        result.verdict, result.exit_code = "cannot tell", INCONCLUSIVE
    else:
        result.verdict, result.exit_code = "not regressed", PASSED
    for row in result.metrics:
        if row.level == "warn" and row.verdict == "regressed":
            message = f"{row.title} has regressed; its budget is a warning"
            result.warnings.append(Message(code="budget", message=message))


def not_measured(result: Result, judged: Mapping[str, Judged]) -> list[str]:
    """Names of metrics that are to be judged and that some process lacks."""
    measured = {row.name for row in result.metrics}
    return [name for name, wanted in judged.items() if wanted.level != "off" and name not in measured]


def mark(pairs: Sequence[PairValues]) -> None:
    """Write into each pair whether it counts.

    Pairs during which a hypervisor gave the cores to other machines for much of the time are left out, whatever they
    show, as long as four count; the number of pairs stays within the user's limit. It takes a core for seconds, from
    one process of a pair more than from the others: pairs of JPEGs differed by up to 70 % where it took 35 to 41 % of
    the cores, and by 12 % where it took 3 to 11 %. Other processes leave no pair out: the kernel shares the cores among
    processes every few milliseconds. Where all pairs have as much taken from them, all count.
    """
    quiet = are_usual([pair.stolen_share for pair in pairs])
    for pair, is_quiet in zip(pairs, quiet, strict=True):
        # As many as a gate looks at first count in any case.
        pair.counts = is_quiet or sum(quiet) < GATE.early


def counted(pairs: Sequence[PairValues]) -> list[PairValues]:
    """The pairs that count."""
    return [pair for pair in pairs if pair.counts]
