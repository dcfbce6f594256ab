"""What a session has found: which metrics are judged, when there is enough, and what it ends with. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeprof.pipelines.spec.budgets import LEVELS, Budget, stage_of
from pipeprof.profiles.experiment.decision import Verdict
from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.experiment.turns import are_usual
from pipeprof.profiles.judge import messages
from pipeprof.profiles.judge.metrics import BY_DEFAULT, Judged, kinds_of
from pipeprof.profiles.judge.result import Metric, PairValues, Result, SelfTest, Side

PASSED, FAILED, INCONCLUSIVE = 0, 3, 4
NOTHING, NOT_COMPARABLE = 5, 6
"""Exit codes without a verdict: nothing was measured, or a metric is missing on one side."""
EXIT_CODES = {"passed": PASSED, "failed": FAILED, "inconclusive": INCONCLUSIVE}
_ENDS = {"not regressed": "passed", "regressed": "failed", "cannot tell": "inconclusive"}
_WORST_FIRST: tuple[Verdict, ...] = ("regressed", "cannot tell")
_AGREE, _AGREE_SHARE = math.log(1.05), 0.1
"""Between the change of medians and the mean change, up to which they say the same: of ratios, and as a share of a
difference that is above the floor."""
_SEEN = math.log(1.01)
"""The change of medians from which on a reader sees its direction."""
_TWO = 2
"""Pairs, whose spread is a single difference."""


def judged_of(budgets: Mapping[str, Budget | None], flags: Mapping[str, Budget | None]) -> dict[str, Judged]:
    """What counts of each metric: what is judged unasked, the spec's budgets, and those of the command line."""
    found = dict(BY_DEFAULT)
    for given in (budgets, flags):
        for name, budget in given.items():
            if budget is not None:
                found[name] = Judged(floor=budget.change, limit=budget.limit, level=budget.level)
    return found


def has_other_batches(a: Side, b: Side) -> bool:
    """Whether a step of one side takes more elements than one of the other, so that times per step do not compare."""
    sizes = (a.elements_per_batch, b.elements_per_batch)
    return None not in sizes and not math.isclose(sizes[0] or 0.0, sizes[1] or 0.0, rel_tol=0.01)


def is_per_batch(name: str) -> bool:
    """Whether a metric is about a batch, so that it grows with the batch's size: a step, its wait, a stage."""
    return name in {"step_ms", "wait_ms"} or stage_of(name) is not None


def judged_for(a: Side, b: Side, judged: Mapping[str, Judged]) -> dict[str, Judged]:
    """What counts in a session: where batches have other sizes, throughput in place of the time per step.

    A limit stays what it is: it is about one side alone. What a batch takes is not compared then, and a budget of
    throughput does not make less of the one of the time per step.
    """
    if not has_other_batches(a, b):
        return dict(judged)
    found = dict(judged)
    for name, one in judged.items():
        if is_per_batch(name):
            found[name] = replace(one, compared=False, level="off" if one.limit is None else one.level)
    step, flow = (judged.get(name, Judged(level="off")) for name in ("step_ms", "elements_per_second"))
    if flow.limit is None and LEVELS.index(flow.level) < LEVELS.index(step.level):
        found["elements_per_second"] = replace(step, limit=None)
    return found


def looks_within(most: int) -> tuple[int, ...]:
    """The numbers of pairs after which a gate looks, which ends at the last one in any case."""
    return (*(look for look in GATE.looks if look < most), most)


def has_seen_enough(result: Result, most: int, *, each: bool = False) -> bool:
    """Whether the verdict is clear, at a look, or there may be no more pairs.

    It is where something has regressed that must not (unless each metric is to be decided), and where all are decided.
    """
    if len(result.pairs) >= most or len(counted(result.pairs)) not in looks_within(most):
        return len(result.pairs) >= most
    judged = [row for row in result.metrics if row.level != "off"]
    failed = any(row.verdict == "regressed" for row in judged if row.level == "error")
    return (failed and not each) or all(row.verdict != "cannot tell" for row in judged)


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


def not_measured(result: Result, judged: Mapping[str, Judged]) -> list[str]:
    """Names of metrics that are to be judged and that some process lacks."""
    measured = {row.name for row in result.metrics}
    return [name for name, wanted in judged.items() if wanted.level != "off" and name not in measured]


def conclude_gate(result: Result, lacking: Sequence[str] = ()) -> None:
    """Write the verdict and the exit code into the result of a session that came to its end.

    Without a pair, and where a process lacks a metric that is to be judged, there is no verdict.
    """
    if not result.pairs or lacking:
        titles = [kind.title for kind in kinds_of(lacking) if kind.name in lacking]
        result.errors.append(messages.not_measured(titles if result.pairs else ()))
        result.exit_code = NOT_COMPARABLE if result.pairs else NOTHING
        return
    verdicts = {row.verdict for row in result.metrics if row.level == "error"}
    result.verdict = next((one for one in _WORST_FIRST if one in verdicts), "not regressed")
    result.exit_code = EXIT_CODES[_ENDS[result.verdict]]
    broken = [row.title for row in result.metrics if row.level == "warn" and row.verdict == "regressed"]
    result.warnings += map(messages.budget_warns, dict.fromkeys(broken))


def conclude(result: Result) -> None:
    """Write the verdict of a comparison: that of the metric which says which side is faster."""
    main = main_metric(result)
    if main is not None:
        result.verdict = main.verdict
        for arm in result.further:
            arm.verdict = next((row.verdict for row in arm.metrics if row.name == main.name), "cannot tell")


def main_metric(result: Result) -> Metric | None:
    """The metric that says which side is faster: per element where batches differ, else per step."""
    by_name = {metric.name: metric for metric in result.metrics if metric.limit is None}
    others = (result.b, *(arm.side for arm in result.further))
    name = "elements_per_second" if any(has_other_batches(result.a, side) for side in others) else "step_ms"
    return by_name.get(name) or by_name.get("step_ms")


def is_interrupted(result: Result) -> bool:
    """Whether the session had to end before its verdict, with complete pairs."""
    return bool(counted(result.pairs)) and any(problem.code == "interrupted" for problem in result.errors)


def ending_of(result: Result) -> str:
    """What a session ended with, in words: of a gate and its self-test its verdict, of a comparison what B is."""
    main = main_metric(result)
    if result.errors and (main is None or result.exit_code):
        return "interrupted" if main is not None and is_interrupted(result) else "no verdict"
    if result.unchanged is not None:
        return "passed"
    if main is None:
        return "no verdict"
    if result.kind == "self-test" and result.self_test is not None:
        return ending_of_self_test(result.self_test)
    if result.kind == "gate":
        return _ENDS[result.verdict]
    return what_it_is(main) if main.pairs else "one process each, no verdict"


def ending_of_self_test(found: SelfTest) -> str:
    """Whether a gate works on a pipeline."""
    return "passed" if found.passed else "failed" if found.alarms or found.missed else "inconclusive"


def what_it_is(metric: Metric) -> str:
    """What B is; where that is unknown, what it is not."""
    return f"not {metric.rules_out}" if metric.rules_out is not None else metric.words


def has_interval(metric: Metric) -> bool:
    """Whether the ends of the interval say anything: those of two pairs that decide nothing may be anywhere."""
    known = metric.low is not None and metric.high is not None
    return known and not (metric.pairs == _TWO and metric.words == "cannot tell")


def is_lacking(metric: Metric) -> bool:
    """Whether a metric that is not judged is about nothing on both sides: no wait, no reads from the disk."""
    if metric.level != "off" or metric.scale != "difference" or metric.limit is not None:
        return False
    return all(value is not None and abs(value) <= metric.floor for value in (metric.a, metric.b, metric.change))


def medians_agree(metric: Metric) -> bool:
    """Whether the values of the two sides say what the change says.

    They are medians, and the change is the mean of those within the pairs: where the machine's speed changes from pair
    to pair, the two are apart, and only the change is what was judged.
    """
    a, b, change = metric.a, metric.b, metric.change
    if a is None or b is None or change is None:
        return True
    if metric.scale == "difference":
        seen = b - a
        opposed = seen * change < 0 and abs(seen) > metric.floor
        return not opposed and abs(seen - change) <= max(metric.floor, _AGREE_SHARE * abs(change))
    if min(a, b, change) <= 0:
        return True
    seen, change = math.log(b / a), math.log(change)
    opposed = seen * change < 0 and abs(seen) > _SEEN
    return not opposed and abs(seen - change) <= _AGREE
