"""The sentences that a saved result holds: its warnings and errors, its data, and why nothing was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from pipeprof.pipelines.spec.budgets import STAGE_UNITS, UNITS, Budget
from pipeprof.pipelines.suggest import did_you_mean
from pipeprof.profiles.constants import DISTURBED_FROM
from pipeprof.profiles.document.profile import NOTES, Host, Message, Profile
from pipeprof.profiles.experiment.same_data import DataCheck
from pipeprof.profiles.judge.result import PairValues
from pipeprof.profiles.wording import listed, percent, size

CHANGED = "has changed since the session began"
"""How the message ends on a side whose file is no longer what was measured."""
NO_PAIR = "--max-time was over before the end of the first pair"
"""Why a session that was not interrupted, and in which no side failed, has nothing to judge."""
NO_TIME, NO_STEP, NO_END = ("--max-time was over before it was measured", "no step was measured", "it did not finish")
"""Why a side that was measured alone has no profile."""
INTERRUPTED = Message(code="interrupted", message="Interrupted; the pairs so far are complete.")
TIME_OVER = Message(code="time-over", message="--max-time ended the session.")
OTHER_BATCHES = Message(
    code="other-batches",
    message="the two sides have different batch sizes: waits and stage times per batch are not compared",
)
_OF_ONE_RUN = frozenset({"disturbed", "not-settled"})
"""Codes of warnings about a measurement of one side alone that a comparison judges itself, by its pairs."""
_MOST_NAMED = 3


def side_failed(side: str, reason: str) -> Message:
    """Why the session ended: one side did not come to its end."""
    return Message(code="side-failed", message=f"{side.upper()}: {reason}")


def not_measured(titles: Sequence[str]) -> Message:
    """Why there is no verdict: some process lacks these metrics, or there is no pair."""
    what = f"{listed(titles)}: not measured on both sides" if titles else NO_PAIR
    return Message(code="not-measured", message=what)


def budget_warns(title: str) -> Message:
    """A metric beyond its budget, which has that as a warning."""
    return Message(code="budget", message=f"{title} is beyond its budget, which is a warning")


def disturbed(pairs: Sequence[PairValues]) -> Message | None:
    """Warn where something else had much of the cores: more pairs help little there."""
    shares = [pair.elsewhere_share for pair in pairs if pair.elsewhere_share is not None]
    if not shares or fmean(shares) < DISTURBED_FROM:
        return None
    text = (
        f"Other processes and other machines took {percent(fmean(shares))} of the cores' time, so pairs may differ by "
        "more than the pipelines do. Measure again on a free machine."
    )
    return Message(code="disturbed", message=text)


def warnings_of(profiles: Mapping[str, Profile]) -> list[Message]:
    """What the own runs of the sides warn of, with the names of the sides, each warning once."""
    sides: dict[tuple[str, str], list[str]] = {}
    for name, profile in profiles.items():
        for warning in profile.warnings:
            if warning.code not in NOTES | _OF_ONE_RUN and name not in sides.get((warning.code, warning.message), ()):
                sides.setdefault((warning.code, warning.message), []).append(name)
    return [Message(code=code, message=f"{' and '.join(names)}: {text}") for (code, text), names in sides.items()]


def stage_without_time(side: str, stage: str, names: Sequence[str], fused_with: str | None, *, known: bool) -> Message:
    """Why a stage of a budget has no time, with the names of all stages."""
    if not known:
        text = f"no stage {stage!r}: it has {', '.join(names)}{did_you_mean(stage, names)}"
    elif fused_with is not None:
        text = f"{stage!r} has no time of its own: TensorFlow fused it with {fused_with}"
    else:
        text = f"the time of {stage!r} is not known: TensorFlow's model does not show it"
    return Message(code="stage-not-timed", message=f"{side.upper()}: {text}")


def data_of(side: str, found: DataCheck) -> str:
    """Whether a side gives the data of A."""
    head = f"A and {side.upper()} give the same" if found.same else f"{side.upper()} gives other data"
    return f"{head}: {found.words}"


def unchanged(documents: Sequence[object]) -> str:
    """Why nothing was measured, with the documents that differ."""
    more = f" and {len(documents) - _MOST_NAMED} more" if len(documents) > _MOST_NAMED else ""
    named = f"only documents differ ({', '.join(map(str, documents[:_MOST_NAMED]))}{more})"
    return f"both sides are the same target, and {named if documents else 'no file differs'}"


def other_budgets(
    base: Mapping[str, Budget], judged: Mapping[str, Budget], flags: Mapping[str, Budget | None]
) -> list[str]:
    """What the judged side's spec says of budgets in place of the base's, by which it is judged."""
    names = [name for name in (*UNITS, *base, *judged) if name not in flags and base.get(name) != judged.get(name)]
    return [
        f"budgets.{name}: {_budget(name, base.get(name))} → {_budget(name, judged.get(name))}"
        for name in dict.fromkeys(names)
    ]


def _budget(name: str, budget: Budget | None) -> str:
    if budget is None:
        return "not set"
    words = [f"{100 * budget.change:g} %"] if budget.change is not None else []
    if budget.limit is not None:
        unit = UNITS.get(name, STAGE_UNITS.get(name.rpartition(".")[2], ""))
        value = size(budget.limit) if unit == "B" else f"{budget.limit:g} {unit}" if unit else percent(budget.limit)
        words.append(f"at {'least' if unit == '1/s' else 'most'} {value}")
    return ", ".join([*words, *([budget.level] if budget.level != "error" else [])])


def impossible(value: str, least: float | None, most: float, unit: str) -> str:
    """A value of a saved profile that no process can have."""
    expected = f"at most {most:g}" if least is None else f"0 or {least:g} to {most:g}"
    return f"{value}, expected {expected} {unit}".rstrip()


def differences(a: Profile, b: Profile) -> Iterator[Message]:
    """What makes two profiles no fair comparison: other hosts, other versions, another step."""
    one, other = _facts(a.host), _facts(b.host)
    others = [f"{name} {one[name]} and {other[name]}" for name in one if one[name] != other[name]]
    if others:
        yield Message(code="other-host", message=f"measured on different hosts: {', '.join(others)}")
    versions = [
        f"{name} {a.versions.get(name) or 'n/a'} and {b.versions.get(name) or 'n/a'}"
        for name in sorted({*a.versions, *b.versions})
        if a.versions.get(name) != b.versions.get(name)
    ]
    if versions:
        yield Message(code="other-versions", message=f"measured with different versions: {', '.join(versions)}")
    steps = [profile.device.text if profile.device else None for profile in (a, b)]
    if steps[0] != steps[1]:
        yield Message(code="other-step", message=f"measured with different steps: {steps[0]} and {steps[1]}")


def _facts(host: Host) -> dict[str, str]:
    return {
        "name": str(host.name),
        "processor": str(host.cpu_model),
        "cores": f"{host.cores:g}",
        "memory": size(host.memory_bytes),
        "system": host.system,
    }


def other_steps(steps: Sequence[str]) -> Message:
    """Warn where sides have different steps, so that their times do not compare."""
    each = ", ".join(f"{chr(ord('A') + number)} has step {step}" for number, step in enumerate(steps))
    every = "both" if len(steps) == 2 else "all"
    return Message(code="other-step", message=f"{each}: their times do not compare; --step sets {every}")


def dirty(side: str) -> Message:
    """Warn where the judged work tree has changes that are not committed."""
    return Message(code="dirty-tree", message=f"{side} has uncommitted changes: it is measured as it is")


def judged_by_others(a: str, b: str, differ: Sequence[str]) -> Message:
    """Warn where the judged spec has other budgets, or another step, than the base."""
    text = f"{b} is judged by the budgets and the step of {a}; its own differ: {'; '.join(differ)}"
    return Message(code="other-budgets", message=text)


def not_at_ref(side: str, withheld: Sequence[str]) -> Message:
    """Warn where a function may read what the tree of its ref has not."""
    more = f"; so are {len(withheld) - 1:,} more files" if len(withheld) > 1 else ""
    return Message(code="not-at-ref", message=f"{side}: {withheld[0]}{more}")
