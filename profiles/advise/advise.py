"""Findings of a pipeline: the rules applied, gated by what a faster pipeline could gain, and ordered."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pipeprof.pipelines.changes.edits import HandWritten, PipelineEdit, SetOption
from pipeprof.pipelines.ops.traits import RETAINING_OWNERS, traits
from pipeprof.pipelines.suggest import suggest
from pipeprof.profiles.advise.gone import instead_of
from pipeprof.profiles.advise.order import ordered, worth
from pipeprof.profiles.advise.rule import Rule, Threshold, bar_to_try, by_precedence, trying
from pipeprof.profiles.advise.rule import rules as all_rules
from pipeprof.profiles.advise.text.same_line import join_same_line
from pipeprof.profiles.document.findings import UNVERIFIED, Finding
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.propose.finding import finding_of
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.time.thresholds import HEADSPACE_FROM, STEP_BOUND_BELOW
from pipeprof.profiles.view.attach_spec import with_counts, with_written
from pipeprof.profiles.view.texts import with_texts
from pipeprof.profiles.view.view import MeasuredFacts, PipelineView

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.read.records import ConstantDict, MadeDict
    from pipeprof.pipelines.graph.stages import StageGraph
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.pipelines.spec.models import Ignore
    from pipeprof.pipelines.static.slips import Slip
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.view.view import PipelineView


def unknown_rules(ignore: Sequence[Ignore], known: Collection[str]) -> list[Message]:
    """A warning for each entry whose rule does not exist: it hides nothing."""
    messages = []
    for name in dict.fromkeys(entry.rule for entry in ignore if entry.rule not in known):
        meant = suggest(name, known)
        hint = f" — did you mean {meant}?" if meant else "; `pipeprof rules` lists them"
        said = instead_of(name, known) or f"is not a rule{hint}"
        messages.append(Message(code="unknown-rule", message=f"`ignore` names {name!r}, which {said}"))
    return messages


def without_ignored(
    findings: Iterable[Finding], ignore: Sequence[Ignore], view: PipelineView
) -> tuple[list[Finding], list[Message]]:
    """Leave out what the spec ignores.

    Args:
        ignore: Entries of the spec; one without a stage stands for every stage.
        view: Names and indices of stages.

    Returns:
        The findings that stay, and one message that lists the others with the user's reasons.
    """
    kept, dropped = [], []
    for finding in findings:
        entry = next((entry for entry in ignore if _matches(entry, finding, view)), None)
        if entry is None:
            kept.append(finding)
        else:
            at = f" at {finding.stage}" if finding.stage else ""
            dropped.append(f"{finding.rule}{at} ({' '.join(entry.reason.split())})")
    if not dropped:
        return kept, []
    are = "finding is" if len(dropped) == 1 else "findings are"
    message = f"{len(dropped)} {are} ignored, as the spec says: {', '.join(dropped)}"
    return kept, [Message(code="ignored", message=message)]


def _matches(entry: Ignore, finding: Finding, view: PipelineView) -> bool:
    if entry.rule != finding.rule:
        return False
    if entry.stage is None:
        return True
    if finding.stage is None:
        return False
    stage = view.by_id.get(finding.stage)
    names = {finding.stage, *([stage.name] if stage is not None and stage.name else [])}
    return f"stages.{entry.stage}" == finding.stage if isinstance(entry.stage, int) else entry.stage in names


WAIT_SHARE = Threshold(
    "wait-share",
    STEP_BOUND_BELOW,
    "of the measured time",
    "the TensorFlow profiler's mark: below it a program is not input-bound",
)
HEADSPACE_SHARE = Threshold(
    "headspace-share",
    HEADSPACE_FROM,
    "of a step's time",
    "what cached batches through the same step save at most; less is within the noise of a run",
)
GATE = (WAIT_SHARE, HEADSPACE_SHARE)
"""Findings of the family `speed` are reported only from these two shares on."""

MOST_SUSPICIONS = 3
"""Of what is worth a try, in a run after which nothing is tried."""

_T = TypeVar("_T")
_LONGEST_ERROR = 200


def advise(
    view: PipelineView, *, ignore: Sequence[Ignore] = (), rules: Mapping[str, Rule] | None = None
) -> tuple[list[Finding], list[Message]]:
    """Apply every rule to a pipeline.

    Args:
        ignore: Entries of the spec: findings to leave out, which a message lists.
        rules: By name; all if not given.

    Returns:
        The findings in the order in which they are shown, and messages: rules that failed, findings that were ignored,
        speed that could not be judged.
    """
    known = all_rules() if rules is None else rules
    messages = unknown_rules(ignore, known)
    found = _findings(known, view, messages)
    found, gated = _gate(join_same_line(_merged(found, view), view), view)
    found, ignored = without_ignored(found, ignore, view)
    return ordered(found, view), [*messages, *gated, *ignored]


def worth_a_try(
    view: PipelineView,
    known: Sequence[Finding],
    *,
    ignore: Sequence[Ignore] = (),
    rules: Mapping[str, Rule] | None = None,
) -> list[Finding]:
    """Apply the rules with their bars for a try: edits that only a measurement can decide about.

    Findings about the data are left out, a measurement says nothing about them, and so is what is known already.

    Args:
        rules: By name; all if not given.

    Returns:
        The findings in the order of their predicted gain.
    """
    if view.kind == "static":
        return []
    named = {(finding.rule, finding.stage) for finding in known}
    edits = [finding.edit for finding in known if finding.edit is not None]
    tried_rules = {
        name: rule
        for name, rule in (all_rules() if rules is None else rules).items()
        if rule.family != "correctness" and has_bar_to_try(rule)
    }
    with bar_to_try():
        found, _ = _gate(join_same_line(_merged(_findings(tried_rules, view, []), view), view), view)
    found, _ = without_ignored(found, ignore, view)

    def is_new(finding: Finding) -> bool:
        names = (finding.rule, *tried_rules[finding.rule].yields_to)
        stronger = any((name, finding.stage) in named for name in names)
        return not stronger and (finding.edit is None or finding.edit not in edits)

    return ordered(filter(is_new, found), view)


def pays_in_step(finding: Finding) -> bool:
    """Whether a finding's fix makes the step faster, not the pipeline."""
    rule = all_rules().get(finding.rule)
    return rule is not None and rule.pays_in_step


def pays_in_restarts(finding: Finding) -> bool:
    """Whether a finding's fix makes starts of epochs shorter as well."""
    rule = all_rules().get(finding.rule)
    return rule is not None and rule.pays_in_restarts


def has_bar_to_try(rule: Rule) -> bool:
    """Whether a rule proposes more than it is sure of."""
    return not rule.reports_untried or any(threshold.to_try is not None for threshold in rule.thresholds)


def _only_tried(finding: Finding) -> bool:
    rule = all_rules().get(finding.rule)
    return rule is not None and not rule.reports_untried


def _findings(rules: Mapping[str, Rule], view: PipelineView, messages: list[Message]) -> list[Finding]:
    """The findings of all rules; a hit about a stage of a rule that its own one yields to is left out."""
    kept: dict[str, list[Proposal]] = {}
    found: list[Finding] = []
    for rule in by_precedence(rules):
        # Of edits that are tried, a measurement says which is the stronger one.
        others = () if trying() else rule.yields_to
        stronger = frozenset[str]().union(*(hit.stages for name in others for hit in kept.get(name, ())))
        hits = kept.setdefault(rule.name, [])
        try:
            for hit in _hits(rule, view):
                if not hit.stages & stronger:
                    found.append(_finding(rule, hit, view))
                    hits.append(hit)
        except Exception as error:  # A mistake in one rule must never cost the report; its earlier hits stay.
            message = f"the rule {rule.name} failed ({_one_line(error)}); its findings are missing"
            messages.append(Message(code="rule-failed", message=message))
    return found


def _one_line(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}…"


def _hits(rule: Rule, view: PipelineView) -> Iterable[Proposal]:
    if not rule.reports_untried and not trying():
        return
    if view.kind == "static":
        yield from rule.check(view)
        return
    yield from rule.diagnose(view)
    if not has_costs(view):
        # A rule that compares costs is silent without them; what it can say without a run still holds.
        yield from rule.check(view)


def has_costs(view: PipelineView) -> bool:
    """Whether the time inside a stage is known for any of them."""
    return any(stage.ms_per_batch is not None for stage in view.stages)


def _finding(rule: Rule, hit: Proposal, view: PipelineView) -> Finding:
    # Most checks find nothing.
    from pipeprof.pipelines.changes.in_spec import can_change
    from pipeprof.pipelines.static.imports import in_file
    from pipeprof.profiles.advise.text.in_words import describe_change, written_spec
    from pipeprof.profiles.advise.text.source_diff import diff_of

    stage = view.by_id.get(hit.stage or "")
    place = hit.location or (stage.location if stage is not None else None)
    text = view.texts.get(place.file, "") if place is not None else ""
    by_hand = [hit.by_hand] if hit.by_hand is not None else [*hit.edits]
    code = "\n".join(edit.python for edit in by_hand if isinstance(edit, HandWritten)) or hit.python
    proposal = replace(
        hit,
        rule=rule.name,
        title=hit.title or rule.title,
        family=rule.family,
        semantics=hit.semantics or rule.semantics,
        python=in_file(code, text),
        change=describe_change(view, _described(hit), hit.change_detail) or "",
        in_spec=(data := written_spec(view)) is not None and can_change(data, hit.edits),
        location=place,
    )
    finding = finding_of(proposal, patch=_yaml(view, hit.edits), reason=UNVERIFIED)
    if hit.edits and not code and not any(stage.written is not None for stage in view.stages):
        finding.diff = diff_of(view.profile.target if view.profile is not None else None, view.stages, hit.edits)
    return finding


def _yaml(view: PipelineView, edits: Sequence[PipelineEdit]) -> str | None:
    """The change as a diff of the spec's own file, else the lines that a rule wrote."""
    if view.loaded is not None and edits:
        # Only a finding with a change needs the editor of texts.
        from pipeprof.pipelines.changes.in_spec_text import spec_diff

        if diff := spec_diff(view.loaded, edits):
            return diff
    return "\n".join(edit.yaml for edit in edits if isinstance(edit, HandWritten)) or None


def _described(hit: Proposal) -> Sequence[PipelineEdit]:
    """The edits that a finding's change names: code by hand has no options of the graph's edit unless it sets them."""
    code = hit.by_hand.python if isinstance(hit.by_hand, HandWritten) else None
    if code is None or hit.by_hand in hit.edits:
        return hit.edits
    return [edit for edit in hit.edits if not isinstance(edit, SetOption) or edit.path in code]


def _merged(findings: Iterable[Finding], view: PipelineView) -> list[Finding]:
    """One finding for a change of a rule and a stage, or a line: the one worth most, with the evidence of all."""
    merged: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        line = finding.location if finding.stage is None else None
        place = (line.file, line.line) if line is not None else (finding.stage or "", None)
        key = finding.rule, *place, str(finding.documents)
        other = merged.get(key)
        if other is None:
            merged[key] = finding
            continue
        first, second = (other, finding) if worth(other, view) >= worth(finding, view) else (finding, other)
        merged[key] = first.model_copy(update={"evidence": {**second.evidence, **first.evidence}})
    return list(merged.values())


def _gate(findings: list[Finding], view: PipelineView) -> tuple[list[Finding], list[Message]]:
    """Leave out findings on speed where a faster pipeline gains little, or where that is unknown."""
    if view.kind == "static" and view.profile is None:
        return findings, []
    steps = view.profile.steps if view.profile is not None else None
    # Without a step the pipeline itself is all there is to wait for.
    wait = 1.0 if steps is not None and steps.dispatch is None else view.wait_share
    headspace = view.headspace.share if view.headspace is not None else None
    # No stage is faster because of these findings while an epoch starts.
    restarts = (steps.restart_share or 0.0) if steps is not None else 0.0
    speed = [finding for finding in findings if finding.family == "speed" and not pays_in_step(finding)]
    others = [finding for finding in findings if finding not in speed]
    known = [(share, mark) for share, mark in ((wait, WAIT_SHARE), (headspace, HEADSPACE_SHARE)) if share is not None]
    if any(share < threshold.value for share, threshold in known) or _fetches_little(view.profile):
        return others, []
    if any(share - restarts < threshold.value for share, threshold in known):
        return [one for one in findings if one in others or pays_in_restarts(one)], []
    # What was not measured is for a try to decide.
    if len(known) == len(GATE) or trying() or _is_script(view.profile):
        return findings, []
    if not speed:
        return others, []
    unknown = "no step was measured" if wait is None else "the upper bound of a faster pipeline was not measured"
    what = ", ".join(dict.fromkeys(finding.rule for finding in speed))
    message = f"Speed was not judged: {unknown}. Not reported: {what}"
    return others, [Message(code="speed-not-judged", message=message)]


def _fetches_little(profile: Profile | None) -> bool:
    """Whether a loop whose wait is not known is in ``next()`` for so little of the time that no step waits longer."""
    if profile is None or profile.steps is None or not profile.gains_are_bounds or not profile.loop_ms:
        return False
    return profile.steps.fetch_ms.mean < WAIT_SHARE.value * profile.steps.interval_ms.mean


def _is_script(profile: Profile | None) -> bool:
    """Whether a training script ran: how much a faster pipeline gains is not measured in it, and nothing is tried."""
    return profile is not None and profile.target.kind == "script"


def findings_for(
    profile: Profile,
    written: StageGraph | None = None,
    executed: StageGraph | None = None,
    *,
    loaded: LoadedSpec | None = None,
    made: Sequence[MadeDict] = (),
    constants: Sequence[ConstantDict] = (),
    spec_view: Callable[[], PipelineView] | None = None,
    sketch_view: PipelineView | None = None,
    slips: Sequence[Slip] = (),
    tries: bool = False,
) -> tuple[list[Finding] | None, list[Message]]:
    """The findings of a run, from its graphs where they were read, else from the spec as written. Never raises.

    What is only worth a try becomes the profile's `proposals`.

    Args:
        profile: The run's profile: stages, steps, memory, contention, headspace and causes are read.
        made: In-memory sources that were seen while a function built its dataset.
        constants: Arrays that were seen to become constants of a graph.
        spec_view: The view of the spec as written, where a run has it already.
        sketch_view: The view of a function's stages as they were seen being made, for a run without graphs.
        slips: Found in the text of the target's function; none for a spec.
        tries: What is only worth a try will be tried: nothing of it is a finding yet.

    Returns:
        The findings in their order, ``None`` if no rule could be applied; and messages for the profile's warnings,
        among them what could not be judged and why. One that says more than a warning of the profile takes its place.
    """
    messages: list[Message] = []
    measured = _measurement(profile)
    view = None
    known_rules: Mapping[str, Rule] | None = None

    @cache
    def as_written() -> PipelineView:
        view = spec_view() if spec_view is not None else _view_of_spec(profile, loaded)
        return replace(_with_buffers(view, profile), **measured)

    missing = _missing(profile, written, executed)
    if written is not None and executed is not None and (not missing or ((made or constants) and loaded is None)):
        graphs, parts = (written, executed), {**measured, "made": made, "constants": constants}
        view = tried("the graphs", lambda: _view_of_graphs(graphs, by_address=loaded is not None, **parts), messages)
    if view is None and loaded is not None:
        view = tried("the spec", as_written, messages)
        missing = missing and f"{missing}: only the rules that need no run were applied, to the spec as written"
    elif view is None and sketch_view is not None and missing:
        view = replace(_with_buffers(sketch_view, profile), **measured)
        known_rules = {name: rule for name, rule in all_rules().items() if rule.family == "memory"}
        missing = f"{missing}: only the memory rules were applied, to the stages as written"
    elif view is None:
        missing = missing and f"{missing}: no rule was applied"
    elif missing:
        missing = f"{missing}: only the sources in memory and the constants of graphs were judged"
    elif profile.steps is not None and not has_costs(view):
        missing = (
            "TensorFlow keeps no counters of this pipeline, as with autotune off, so the cost of each stage is "
            "unknown: rules that compare costs were not applied"
        )
    if missing and not (view is None and profile.errors):
        messages.append(_not_judged(profile, missing))
    if view is None and profile.training is not None:
        view = PipelineView("measured", (), **measured)
        known_rules = {name: rule for name, rule in all_rules().items() if rule.in_training}
    if view is None:
        return None, messages
    known = with_texts(replace(view, slips=tuple(slips)))
    if loaded is not None:
        known = with_written(view, loaded)
        of = tried("the numbers of elements", as_written, messages)
        known = known if of is None else with_counts(known, of)
    given: dict[str, Any] = {"ignore": loaded.spec.ignore if loaded else (), "rules": known_rules}
    result = tried("the rules", lambda: advise(known, **given), messages)
    if result is None:
        return None, messages
    found, more = result
    further = tried("what is worth a try", lambda: worth_a_try(known, found, **given), []) or []
    if _is_script(profile) and not tries:
        # Nothing is tried after such a run: what may help is reported, but for what no measurement of the run shows.
        likely = [finding for finding in further if not _only_tried(finding)][:MOST_SUSPICIONS]
        found, further = [*found, *likely], [one for one in further if all(one is not other for other in likely)]
    profile.propose(further)
    return found, [*messages, *more]


def _with_buffers(view: PipelineView, profile: Profile) -> PipelineView:
    """The view of a run that was ended: shuffles and caches with what they held at its last reading."""
    rows = {row.id: row for row in profile.stages or () if row.buffered_bytes}
    stages = tuple(
        replace(stage, measured=rows[stage.id])
        if stage.id in rows and traits(stage.op).holds in RETAINING_OWNERS and stage.measured is None
        else stage
        for stage in view.stages
    )
    return replace(view, stages=stages)


def _not_judged(profile: Profile, missing: str) -> Message:
    """Message on what was not judged; merged into a warning about unread stages if the profile has one."""
    unread = next(
        (message for message in profile.warnings if message.code in ("stages-unread", "stages-no-model")), None
    )
    if unread is None:
        return Message(code="not-judged", message=missing)
    profile.warnings.remove(unread)
    _, _, left = missing.rpartition(": ")
    return Message(code=unread.code, message=f"{unread.message.removesuffix('.')}; {left}")


def tried(what: str, make: Callable[[], _T], messages: list[Message]) -> _T | None:
    """Call `make`; if it raises, return ``None`` and append a message that names `what`."""
    try:
        return make()
    except Exception as error:  # Advice comes last, when the measurement is done: nothing in it may cost the report.
        messages.append(Message(code="not-judged", message=f"{what} could not be judged ({_one_line(error)})"))
        return None


def _missing(profile: Profile, written: StageGraph | None, executed: StageGraph | None) -> str:
    """Why there are no graphs to judge by; empty if there are."""
    if written is None or executed is None:
        ended = "the run ended before TensorFlow's graph was read"
        return ended if profile.errors or not profile.complete else "TensorFlow's graph was not read"
    reason = next((graph.reason for graph in (written, executed) if graph.root is None), None)
    if written.root is None or executed.root is None:
        return f"TensorFlow's graph was not read ({reason or 'it is empty'})"
    return ""


def _measurement(profile: Profile) -> dict[str, Any]:
    """Collect what a view carries of a run in addition to its stages, by the names of its fields."""
    # Only a run needs the host.
    from pipeprof.pipelines.changes.environment import VALUES
    from pipeprof.profiles.host.host import installed_allocator

    causes, contention = profile.causes, profile.contention
    facts = MeasuredFacts(
        worker_cores=causes.worker_cores if causes else None,
        others_cores=contention.others_cores if contention else None,
        runnable_wait_share=contention.runnable_wait_share if contention else None,
        disk_bytes_per_second=causes.disk_bytes_per_second if causes else None,
        python_share=causes.python_share if causes else None,
        python_ms_per_batch=causes.python_ms_per_batch if causes else None,
        python_lock_share=causes.python_lock_share if causes else None,
        environment={name: value for name in VALUES if (value := os.environ.get(name)) is not None},
        allocator=installed_allocator(),
    )
    return {"profile": profile, "headspace": profile.headspace, "facts": facts}


def _view_of_graphs(
    graphs: tuple[StageGraph, StageGraph], *, by_address: bool, profile: Profile, **parts: Any
) -> PipelineView:
    from pipeprof.profiles.view.from_graph import view_of_graphs

    cores, limit = profile.host.cores, profile.host.memory_limit_bytes
    return view_of_graphs(
        *graphs, profile.stages or [], by_address=by_address, cores=cores, memory_limit=limit, profile=profile, **parts
    )


def _view_of_spec(profile: Profile, loaded: LoadedSpec | None) -> PipelineView:
    from pipeprof.profiles.view.from_spec import view_of_spec

    assert loaded is not None  # noqa: S101 - for the type checker; only called for a spec
    return view_of_spec(loaded, cores=profile.host.cores, memory_limit_bytes=profile.host.memory_limit_bytes)
