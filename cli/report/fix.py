"""The result of a search: the best pipeline, each step with its factor and memory, and what to do with it."""

from __future__ import annotations

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from pipeprof.cli.command_line import parse_command, rerun
from pipeprof.cli.options import FixOptions
from pipeprof.cli.report.findings import describe_measured, effect_on_data
from pipeprof.cli.report.blocks import (
    Alternatives,
    Blank,
    Block,
    Code,
    Column,
    Command,
    Heading,
    KeyValue,
    Prose,
    Table,
    TextSpan,
)
from pipeprof.cli.report.units import describe_delta, seconds
from pipeprof.pipelines.changes.environment import assignment
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.findings import Fix, FixStep, LeftOut
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.time.proven import describe_kept, epoch_text
from pipeprof.profiles.time.whole import whole_epoch_seconds
from pipeprof.profiles.wording import listed, ratio_text, size, span_text

_KEY = 10
_DETAIL_INDENT = 7
_FEW_ROUNDS = 3
"""Fewer measurements have no meaningful interval."""
_DIFFER = "of the pipeline itself differ"
_MUCH = 1.2
_MOST_REASONS = 3
"""Why changes were rejected that could not be measured."""
_CLASSES: dict[str, str] = {
    "same": "What changes nothing",
    "order": "Reordering elements",
    "randomness": "Drawing other random numbers",
    "values": "Changing values",
}
UNTRIED = "not tried"
NOT_NOW = "nothing was measured now"
_UNDECIDED = ("the budget", "what is left of the budget", UNTRIED, "no change can be tried", "the changed pipeline")
"""Beginnings of the reasons for which a search ended before it could decide."""
_MOST_ROWS = 12
"""Tried steps that the default report lists; those that were taken are always there."""
_DECIDED = ("taken", "behind", "rejected")
RESULTS = {
    "taken": "taken",
    "behind": "helps, but less than the winner",
    "rejected": "no",
    "unclear": "cannot tell",
    "not-tried": "could not be tried",
}


def build_fix(profile: Profile, fix: Fix, saved: str | None) -> Iterator[Block]:
    """Build the default report of a search.

    Args:
        saved: Path of the saved profile as it is to be shown, if there is one.
    """
    yield build_headline(fix, interrupted=profile.exit_code != 1)
    yield from build_facts(profile, fix)
    shown = [step for step in fix.steps if step.result == "taken"]
    others = [step for step in fix.steps if step.result != "taken"]
    shown += [step for step in others if step.speedup is not None][: max(0, _MOST_ROWS - len(shown))]
    listed = [step for step in fix.steps if any(step is row for row in shown)]
    if listed:
        hidden = len(fix.steps) - len(listed)
        yield Heading("Tried", f"{hidden} further: pipeprof show -v" if hidden else "")
        yield _tried(listed)
    yield from _refused(fix.steps, alone=not listed)
    yield from _changes(fix)
    if saved:
        yield Blank()
        yield Command("Saved", saved, width=_KEY)
    if fix.status in {"fixed", "taken"}:
        yield from _next(profile, fix, saved)
    else:
        yield from build_search_on(profile, fix)


def build_all_steps_tried(profile: Profile, fix: Fix) -> Iterator[Block]:
    """Build every step of a search, with its reason."""
    yield Heading("Search", fix.reason)
    yield from build_facts(profile, fix)
    if fix.steps:
        yield _tried(fix.steps, reasons=True)


def build_headline(fix: Fix, *, interrupted: bool) -> Block:
    """Build the result in one sentence.

    Args:
        interrupted: The user ended the search.
    """
    if fix.status in {"fixed", "taken"}:
        measured = fix.measured or {}
        gain = describe_measured({**measured, "peak_rss_delta_bytes": None})
        taken = fix.status == "taken"
        head = TextSpan("Taken:", "bold") if taken else TextSpan("Fixed:", "bold green")
        text = f" {gain} steps per second"
        return Prose((head, TextSpan(f"{text} in an earlier run; {NOT_NOW}" if taken else text)), indent=0)
    if fix.status == "nothing":
        words = f": {fix.reason}" if fix.reason else ""
        if (most := fix.best_left_out) is not None and not (fix.reason or "").startswith(_UNDECIDED):
            words = f" {listed([f'`{name}`' for name in fix.allow])}. {describe_left_out(most)}"
            return Prose((TextSpan("Nothing within", "bold yellow"), TextSpan(words)), indent=0)
        decided = not fix.steps or any(step.result in _DECIDED and step.speedup is not None for step in fix.steps)
        if not decided or (fix.reason or "").startswith(_UNDECIDED) or any(map(_was_promising, fix.steps)):
            return Prose((TextSpan("Nothing proven", "bold yellow"), TextSpan(words)), indent=0)
        return Prose((TextSpan("Nothing to change", "bold green" if fix.steps else "bold"), TextSpan(words)), indent=0)
    if fix.unfinished is not None:
        return Prose((TextSpan("Not finished:", "bold yellow"), TextSpan(f" {fix.reason}")), indent=0)
    label = ("Interrupted" if interrupted else "Ended early") if fix.status == "interrupted" else "Not proven"
    return Prose((TextSpan(f"{label}:", "bold yellow"), TextSpan(f" {fix.reason}")), indent=0)


def describe_left_out(change: LeftOut) -> str:
    """Gain of a change that was not tried, and the flag that allows it.

    Example:
        >>> from pipeprof.profiles.document.findings import LeftOut
        >>> order = LeftOut(title="Cache", semantics="order", speedup=5.83, known_by="measured", allow="--allow order")
        >>> describe_left_out(order)
        'Reordering elements was measured at 5.83×: `--allow order`'
    """
    what = _CLASSES[change.semantics]
    how = "was measured at" if change.known_by == "measured" else "is predicted to give"
    return f"{what} {how} {ratio_text(change.speedup or 1.0)}: `{change.allow}`"


def _left_out(fix: Fix) -> Iterator[Block]:
    """Best change of each class that was not allowed, unless the headline has it."""
    best: dict[str, LeftOut] = {}
    for change in fix.left_out:
        if change.speedup is not None:
            best.setdefault(change.semantics, change)
    first = fix.best_left_out
    headline = fix.status == "nothing" and not (fix.reason or "").startswith(_UNDECIDED)
    for change in best.values():
        yield (
            KeyValue("left out", f"{change.title}. {describe_left_out(change)}", indent=2, width=_KEY)
            if not (headline and change is first)
            else KeyValue("change", change.title, indent=2, width=_KEY)
        )
    if headline and first is not None and fix.reason:
        yield KeyValue("search", fix.reason, indent=2, width=_KEY)


def _cached(fix: Fix) -> FixStep | None:
    """The change of the best pipeline that keeps elements for later epochs, if one does."""
    return next((step for step in fix.steps if step.result == "taken" and step.cache is not None), None)


def _cache(profile: Profile, fix: Fix) -> str:
    """For which data a cache of the result is advice, and what there is without it; empty without a cache."""
    step = _cached(fix)
    text = describe_kept(profile, step.cache) if step is not None else ""
    return f"{text}; without it: {rerun(profile, command='fix', no_cache=True)}" if text else ""


def _epoch(profile: Profile, fix: Fix) -> str:
    """How long an epoch of the whole data set takes with the proven pipeline; empty where that is unknown."""
    if fix.status != "fixed":
        return ""
    later = " from the second one on" if _cached(fix) is not None else ""
    return epoch_text(whole_epoch_seconds(profile), (fix.measured or {}).get("speedup"), later=later)


def build_facts(profile: Profile, fix: Fix) -> Iterator[Block]:
    """Result of the proof, and cost of the search."""
    yield from _left_out(fix)
    for label, text in (("cache", _cache(profile, fix)), ("epoch", _epoch(profile, fix))):
        if text:
            yield KeyValue(label, text, indent=2, width=_KEY)
    if fix.peak_bytes is not None and fix.peak_before_bytes is not None:
        change = describe_delta(fix.peak_bytes - fix.peak_before_bytes)
        text = f"peak {size(fix.peak_before_bytes)} → {size(fix.peak_bytes)} in the proof ({change})"
        yield KeyValue("memory", text, indent=2, width=_KEY)
    data = (fix.measured or {}).get("data")
    if data and fix.semantics is not None:
        many = (fix.measured or {}).get("restarts")
        times = "once" if many == 1 else f"up to {many:,} times" if many else ""
        ended = f"; the data set ended and was repeated {times} in a process" if times else ""
        effect = (
            effect_on_data(fix.semantics, fix.measured, redrawn=fix.redrawn)[0]
            if _DIFFER not in data
            else "order and values could not be compared"
        )
        yield KeyValue("data", f"{effect}; {data}{ended}", indent=2, width=_KEY)
    if not fix.budget_seconds:
        return
    if profile.target.kind == "script" and fix.measured:
        yield KeyValue("step", "that of the training, replayed: it only waits", indent=2, width=_KEY)
    measured = f"{seconds(fix.seconds)} of measuring (budget {seconds(fix.budget_seconds)})"
    yield KeyValue("took", f"{measured}, {seconds(fix.wall_seconds)} with starts and builds", indent=2, width=_KEY)


def _tried(steps: Sequence[FixStep], *, reasons: bool = False) -> Alternatives:
    """Build a row for each step; where the titles do not fit in one, each on lines of its own: none is cut."""
    titles = titles_of(steps)
    below = {
        row: [Prose(" · ".join(dict.fromkeys(filter(None, (step.change, step.reason)))), indent=_DETAIL_INDENT, hang=2)]
        for row, step in enumerate(steps)
        if reasons or step.result == "taken" or _looks_better(step)
    }
    table = Table(
        [
            Column("race", [str(step.round) if step.round else "" for step in steps], keep=2),
            Column("change", titles, right=False),
            Column("factor", [_factor(step) for step in steps], right=False),
            Column("memory", [_memory(step) for step in steps]),
            Column("", [RESULTS.get(step.result, step.result) for step in steps], right=False),
        ],
        below=below,
    )
    return Alternatives([[table], list(_without_columns(steps, titles, below))])


def _without_columns(
    steps: Sequence[FixStep], titles: Sequence[str], below: Mapping[int, Sequence[Block]]
) -> Iterator[Block]:
    for row, (step, title) in enumerate(zip(steps, titles, strict=True)):
        yield Prose((TextSpan(title, "bold"),), hang=2)
        race = f"race {step.round}" if len({one.round for one in steps} - {0}) > 1 and step.round else ""
        facts = (race, _factor(step), _memory(step), RESULTS.get(step.result, step.result))
        yield Prose("  ".join(filter(None, facts)), indent=_DETAIL_INDENT, hang=2)
        yield from below.get(row, ())


def titles_of(steps: Sequence[FixStep]) -> list[str]:
    """The titles, with what tells those apart that are alike: their stages, as the sides of a zip, else their changes.

    Example:
        >>> one, other = (
        ...     FixStep(round=1, title="Run f in parallel", change=f"num_parallel_calls: 1 → {calls}", result="behind",
        ...             reason="") for calls in (2, 4)
        ... )
        >>> titles_of([one, other])
        ['Run f in parallel (num_parallel_calls=2)', 'Run f in parallel (num_parallel_calls=4)']
    """
    stages, changes = defaultdict(set), defaultdict(set)
    for step in steps:
        stages[step.title].add(step.stage)
        changes[step.title, step.stage].add(step.change or "")
    found = []
    for step in steps:
        side = _side(step.stage) if len(stages[step.title]) > 1 else ""
        others = changes[step.title, step.stage]
        change = _shortest(step.change or "", others) if len(others) > 1 else ""
        what = ", ".join(filter(None, (side, change)))
        found.append(f"{step.title} ({what})" if what else step.title)
    return found


def _shortest(change: str, others: Collection[str]) -> str:
    """The shortest form of a change that no other one has."""
    forms = (lambda text: _with_value(_first(text)), lambda text: text)
    form = next((form for form in forms if len({form(other) for other in others}) == len(others)), forms[-1])
    return form(change)


def _first(change: str) -> str:
    return re.split(r"; |, (?=[\w.]+: )", change, maxsplit=1)[0]


def _with_value(change: str) -> str:
    """The value that a change sets, as an argument has it.

    Example:
        >>> _with_value("num_parallel_calls: not set → 16"), _with_value("insert cache() after decode")
        ('num_parallel_calls=16', 'insert cache() after decode')
    """
    found = re.fullmatch(r"(?P<name>[\w.]+): (?:.* → )?(?P<value>\S+)", change)
    return f"{found['name']}={found['value']}" if found is not None else change


def _side(stage: str | None) -> str:
    """Where a stage is, by the inputs that it is in.

    Example:
        >>> _side("source.datasets.1.stages.0"), _side("stages.2")
        ('input 2', 'stages.2')
    """
    inputs = re.findall(r"(?:datasets|inputs)\.(\d+)", stage or "")
    return ", ".join(f"input {int(number) + 1}" for number in inputs) or stage or "all stages"


def _looks_better(step: FixStep) -> bool:
    """Whether a change that was rejected is faster by its number, so that the reader asks why."""
    return step.result == "rejected" and step.low is not None and step.low > 1


def _refused(steps: Sequence[FixStep], *, alone: bool) -> Iterator[Block]:
    """The reasons why changes were rejected that could not be measured: they change the data, or they fail."""
    rejected = Counter(step.reason for step in steps if step.result == "rejected" and step.speedup is None)
    impossible = Counter(step.reason for step in steps if step.result == "not-tried")
    if (rejected or impossible) and alone:
        yield Heading("Tried", "")
    for words, reasons in (("could not be tried", impossible), ("rejected", rejected)):
        for reason, number in reasons.most_common(_MOST_REASONS):
            yield Prose(f"{number} change{'s' if number > 1 else ''} {words}: {reason}", indent=2, hang=2)


def _was_promising(step: FixStep) -> bool:
    """Whether a change that could not be made was predicted to gain much."""
    return step.result == "not-tried" and (step.predicted or 0.0) >= _MUCH


def _factor(step: FixStep) -> str:
    """The factor with its interval.

    Example:
        ``1.79× (1.74–1.83)``
    """
    if step.speedup is None:
        return ""
    text = f"{ratio_text(step.speedup)}"
    if step.low is None or step.high is None or len(step.ratios) < _FEW_ROUNDS:
        return text
    return f"{text} ({span_text(step.low, step.high)})"


def _memory(step: FixStep) -> str:
    return describe_delta(step.peak_rss_delta_bytes) if step.peak_rss_delta_bytes is not None else ""


def _changes(fix: Fix) -> Iterator[Block]:
    """Changes of the best pipeline: a diff, else equivalent Python."""
    if not fix.edits:
        return
    if fix.diff:
        yield Heading("Changes")
        yield Code(fix.diff.rstrip("\n"), indent=0)
    elif fix.changes:
        yield Heading("Changes", "to be made in your code")
        yield Code("\n".join(fix.changes))
    for name, value in fix.environment.items():
        yield Command("start with", assignment(name, value), indent=2, width=12)


def build_search_on(profile: Profile, fix: Fix) -> Iterator[Block]:
    """The command that decides what this search did not: with a larger budget, or with what was left out."""
    most = fix.best_left_out
    if fix.unfinished is not None:
        line = rerun(profile, command="fix", budget=str(fix.unfinished.budget_seconds))
        yield Command("Next", line or "", width=_KEY, note="decides")
    elif fix.needs_seconds is not None:
        line = rerun(profile, command="fix", budget=str(fix.needs_seconds))
        yield Command("Next", line or "", width=_KEY, note="gives enough time for one change")
    elif fix.status == "nothing" and most is not None:
        allow = [*(name for name in fix.allow if name != "same"), most.semantics]
        line = rerun(profile, command="fix", allow=[",".join(dict.fromkeys(allow))])
        yield Command("Next", line or "", width=_KEY, note="tries them")


def _next(profile: Profile, fix: Fix, saved: str | None) -> Iterator[Block]:
    if fix.text is None and (profile.target.kind == "spec" or fix.diff is None):
        return
    given = _given(profile)
    shown, written = f"pipeprof show {saved or 'PROFILE'} --out", list(given.out or ()) if given is not None else []
    patch = next((name for name in written if name.endswith((".patch", ".diff"))), None)
    if fix.diff is not None and (patch is not None or fix.text is None):
        label = "Next"
        if patch is None:
            patch = "fast.patch"
            yield Command(label, f"{shown} {patch}", width=_KEY, note="writes the diff")
            label = "then"
        yield Command(label, f"git apply {shlex.quote(patch)}", width=_KEY, note="makes the changes in your file")
    elif given is not None and given.change is not None and not given.write:
        # Nothing is measured for it.
        yield Command("Next", rerun(profile, command="fix", write=True) or "", width=_KEY, note="edits the spec")
    elif "--write" not in profile.command:
        # Paths in a spec are relative to its folder.
        target, name = profile.target, str(Path(profile.target.text).with_suffix(".fast.yaml"))
        if target.overrides or target.variables is not None:
            # A spec is made again from the file alone.
            yield Command(
                "Next", rerun(profile, command="fix", out=[name]) or "", width=_KEY, note="writes the changed spec"
            )
        else:
            yield Command("Next", f"{shown} {shlex.quote(name)}", width=_KEY, note="writes the changed spec")


def _given(profile: Profile) -> FixOptions | None:
    """The options of the search; None where its command line is not known."""
    try:
        return cast("FixOptions", parse_command("fix", profile.command[2:]))
    except UsageError:
        return None
