"""The result of a search: the best pipeline, each step with its factor and memory, and what to do with it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeprof.cli.command_line import rerun
from pipeprof.cli.report.blocks import Block, Code, Column, Heading, Pairs, Span, Table, Text
from pipeprof.cli.report.changes import describe_measured, effect_on_data
from pipeprof.cli.report.units import describe_delta, seconds
from pipeprof.cli.report.worth import describe_kept, epoch_text
from pipeprof.pipelines.changes.edits import assignment
from pipeprof.profiles.document.findings import Fix, FixStep, LeftOut
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.time.flow import whole_epoch_seconds
from pipeprof.profiles.wording import ratio_text, size

_DIFFER = "of the pipeline itself differ"
_MUCH = 1.2
"""Predicted factor of a change that could not be made, from which a search that found nothing has proven nothing."""
_MOST_REASONS = 3
_MOST_ROWS = 12
"""Tried steps that the short report lists; those that were taken are always there."""
_CLASSES = {
    "same": "What changes nothing",
    "order": "Reordering elements",
    "randomness": "Drawing other random numbers",
    "values": "Changing values",
}
_UNDECIDED = ("the budget", "what is left of the budget", "not tried", "no change can be tried", "the changed pipeline")
"""Beginnings of the reasons for which a search ended before it could decide."""
RESULTS = {
    "taken": "taken",
    "behind": "helps, but less than the winner",
    "rejected": "no",
    "unclear": "cannot tell",
    "not-tried": "could not be tried",
}


def build_fix(profile: Profile, fix: Fix, *, full: bool) -> Iterator[Block]:
    """Build what a search has found: the result in one sentence, its facts, the steps, and the changes as a diff."""
    yield _headline(fix, interrupted=profile.exit_code != 1)
    yield Pairs(list(_facts(profile, fix)))
    taken = [step for step in fix.steps if step.result == "taken"]
    measured = [step for step in fix.steps if step.result != "taken" and step.speedup is not None]
    shown = fix.steps if full else [*taken, *measured[: max(0, _MOST_ROWS - len(taken))]]
    rows = [step for step in fix.steps if any(step is one for one in shown)]
    if rows:
        hidden = len(fix.steps) - len(rows)
        yield Heading("Tried", f"{hidden} more: pipeprof show -v" if hidden else "")
        yield _tried(rows, full=full)
    yield from _refused(fix.steps)
    if fix.diff:
        yield Heading("Changes")
        yield Code(fix.diff.rstrip("\n"), indent=0)
    elif fix.edits and fix.changes:
        yield Heading("Changes", "to be made in your code")
        yield Code("\n".join(fix.changes))
    if fix.edits:
        yield from (Code(assignment(*item), label="start with") for item in fix.environment.items())


def build_ending(profile: Profile, fix: Fix, saved: str | None) -> Iterator[Block]:
    """Build the path of the saved profile, and the command that takes the result or goes on with the search."""
    if saved:
        yield Code(saved, label="Saved", indent=0)
    found = _next(profile, fix, saved) if fix.status in {"fixed", "taken"} else _search_on(profile, fix)
    if found is not None and found[0]:
        yield Code(found[0], label="Next ", note=found[1], indent=0)


def _headline(fix: Fix, *, interrupted: bool) -> Text:
    label, text, color = _result(fix, interrupted=interrupted)
    return Text((Span(label, f"bold {color}".strip()), Span(text)), indent=0)


def _result(fix: Fix, *, interrupted: bool) -> tuple[str, str, str]:
    """The result in one sentence: its label, the rest and a colour."""
    gain = describe_measured({**(fix.measured or {}), "peak_rss_delta_bytes": None}, rounds=True)
    ended = "Interrupted:" if interrupted else "Ended early:"
    results = {
        "taken": ("Taken:", f" {gain} steps per second in an earlier run; nothing was measured now", ""),
        "fixed": ("Fixed:", f" {gain} steps per second", "green"),
        "interrupted": (ended, f" {fix.reason}", "yellow"),
        "not-proven": ("Not proven:", f" {fix.reason}", "yellow"),
    }
    if fix.unfinished is not None and fix.status not in {"taken", "fixed"}:
        return "Not finished:", f" {fix.reason}", "yellow"
    return results[fix.status] if fix.status != "nothing" else _nothing(fix)


def _nothing(fix: Fix) -> tuple[str, str, str]:
    """The same where the search has taken nothing: what was decided, and what was not."""
    reason = f": {fix.reason}" if fix.reason else ""
    if (most := _headline_left_out(fix)) is not None:
        more = [name for name in fix.allow if name != "same"]
        allowed = f"with --allow {','.join(more)}" if more else "that leaves the data as they are"
        return "Nothing proven", f" {allowed}. {describe_left_out(most)}", "yellow"
    measured = any(one.result in {"taken", "behind", "rejected"} and one.speedup is not None for one in fix.steps)
    promising = any(one.result == "not-tried" and (one.predicted or 0.0) >= _MUCH for one in fix.steps)
    if (fix.steps and not measured) or (fix.reason or "").startswith(_UNDECIDED) or promising:
        return "Nothing proven", reason, "yellow"
    return "Nothing to change", reason, "green" if fix.steps else ""


def _headline_left_out(fix: Fix) -> LeftOut | None:
    """The change that the headline names, as what is allowed gave nothing."""
    if fix.status != "nothing" or (fix.reason or "").startswith(_UNDECIDED):
        return None
    return fix.best_left_out


def describe_left_out(change: LeftOut) -> str:
    """Gain of a change that was not tried, and the flag that allows it."""
    how = "was measured at" if change.known_by == "measured" else "is predicted to give"
    return f"{_CLASSES[change.semantics]} {how} {ratio_text(change.speedup or 1.0)}: {change.allow} tries it"


def _facts(profile: Profile, fix: Fix) -> Iterator[tuple[str, str]]:
    """Result of the proof, and cost of the search."""
    in_headline = _headline_left_out(fix)
    best: dict[str, LeftOut] = {}
    for change in fix.left_out:
        if change.speedup is not None:
            best.setdefault(change.semantics, change)
    for change in best.values():
        same = change is in_headline
        yield ("change", change.title) if same else ("left out", f"{change.title}. {describe_left_out(change)}")
    if in_headline is not None and fix.reason:
        yield "search", fix.reason
    cached = next((step for step in fix.steps if step.result == "taken" and step.cache is not None), None)
    if cached is not None and (kept := describe_kept(profile, cached.cache)):
        yield "cache", f"{kept}; without it: {rerun(profile, command='fix', no_cache=True)}"
    later = " from the second one on" if cached is not None else ""
    speedup = (fix.measured or {}).get("speedup") if fix.status == "fixed" else None
    if epoch := epoch_text(whole_epoch_seconds(profile), speedup, later=later):
        yield "epoch", epoch
    if fix.peak_bytes is not None and fix.peak_before_bytes is not None:
        delta = describe_delta(fix.peak_bytes - fix.peak_before_bytes)
        yield "memory", f"peak {size(fix.peak_before_bytes)} → {size(fix.peak_bytes)} in the proof ({delta})"
    data, many = (fix.measured or {}).get("data"), (fix.measured or {}).get("restarts")
    if data and fix.semantics is not None:
        effect = effect_on_data(fix.semantics, fix.measured, redrawn=fix.redrawn)
        effect = effect if _DIFFER not in data else "order and values could not be compared"
        times = f"; the data set was repeated up to {many:,} times in a process" if many else ""
        yield "data", f"{effect}; {data}{times}"
    if fix.budget_seconds:
        if profile.target.kind == "script" and fix.measured:
            yield "step", "that of the training, replayed: it only waits"
        measured = f"{seconds(fix.seconds)} of measuring (budget {seconds(fix.budget_seconds)})"
        yield "took", f"{measured}, {seconds(fix.wall_seconds)} with starts and builds"


def _tried(steps: Sequence[FixStep], *, full: bool) -> Table:
    named = Counter(step.title for step in steps)
    # Of changes with one name, as those of the sides of a zip, the stage tells which is which.
    titles = [f"{step.title} ({step.stage})" if named[step.title] > 1 and step.stage else step.title for step in steps]
    changes = [" · ".join(dict.fromkeys(filter(None, (step.change, step.reason if full else "")))) for step in steps]
    return Table(
        [
            Column("race", [str(step.round) if step.round else "" for step in steps], keep=0),
            Column("change", titles, right=False, wrap=True),
            Column("factor", [describe_measured(factor_of(step)) for step in steps], right=False),
            Column("memory", [_memory(step) for step in steps], keep=2),
            Column("", [RESULTS.get(step.result, step.result) for step in steps], right=False, wrap=True),
            Column("", changes, right=False, wrap=True, keep=1, style="dim"),
        ]
    )


def _refused(steps: Sequence[FixStep]) -> Iterator[Block]:
    """The reasons why changes were rejected that could not be measured: they change the data, or they fail."""
    rejected = Counter(step.reason for step in steps if step.result == "rejected" and step.speedup is None)
    impossible = Counter(step.reason for step in steps if step.result == "not-tried")
    for words, reasons in (("could not be tried", impossible), ("rejected", rejected)):
        for reason, number in reasons.most_common(_MOST_REASONS):
            yield Text(f"{number} change{'s' if number > 1 else ''} {words}: {reason}")


def factor_of(step: FixStep) -> dict[str, Any]:
    """The measured factor of a step, in the form that a finding has it."""
    return {"speedup": step.speedup, "low": step.low, "high": step.high, "pairs": step.ratios}


def _memory(step: FixStep) -> str:
    return describe_delta(step.peak_rss_delta_bytes) if step.peak_rss_delta_bytes is not None else ""


def _search_on(profile: Profile, fix: Fix) -> tuple[str | None, str] | None:
    """The command that decides what this search did not: with a larger budget, or with what was left out."""
    most = fix.best_left_out
    if fix.unfinished is not None:
        return rerun(profile, command="fix", budget=str(fix.unfinished.budget_seconds)), "decides"
    if fix.needs_seconds is not None:
        return rerun(profile, command="fix", budget=str(fix.needs_seconds)), "gives enough time for one change"
    if fix.status == "nothing" and most is not None:
        allow = [*(name for name in fix.allow if name != "same"), most.semantics]
        return rerun(profile, command="fix", allow=[",".join(dict.fromkeys(allow))]), "tries them"
    return None


def _next(profile: Profile, fix: Fix, saved: str | None) -> tuple[str | None, str] | None:
    """The command that puts the result into the user's file."""
    if "--write" in profile.command:
        return None
    show = f"pipeprof show {shlex.quote(saved) if saved else 'PROFILE'} --out"
    patch = next((word.rpartition("=")[2] for word in profile.command if word.endswith((".patch", ".diff"))), None)
    if fix.diff is not None and patch is not None:
        return f"git apply {shlex.quote(patch)}", "makes the changes in your file"
    if fix.text is None:
        return (f"{show} fast.patch", "writes the diff, for git apply") if fix.diff is not None else None
    if fix.status == "taken":
        # Nothing is measured for it.
        return rerun(profile, command="fix", write=True), "edits the spec"
    # Paths in a spec are relative to its folder.
    target, name = profile.target, str(Path(profile.target.text).with_suffix(".fast.yaml"))
    if target.overrides or target.variables is not None:
        # A spec is made again from the file alone.
        return rerun(profile, command="fix", out=[name]), "searches again and writes the changed spec"
    return f"{show} {shlex.quote(name)}", "writes the changed spec"
