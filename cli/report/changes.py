"""What to change: what was measured and holds, upper bounds, what is suspected, and what was tried in vain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeprof.cli.command_line import can_run_again, change_command, rerun
from pipeprof.cli.report.blocks import Block, Card, Code, Heading, Pairs, Text
from pipeprof.cli.report.units import describe_delta, describe_predicted_delta
from pipeprof.cli.report.worth import describe_epoch, describe_kept, describe_price
from pipeprof.pipelines.changes.checked import RefusedEditError, checked_edits
from pipeprof.pipelines.changes.edits import PipelineEdit, SetEnvironment, VectoriseMap, assignment, goes_into_source
from pipeprof.profiles.advise.proposal import Redrawn, Semantics
from pipeprof.profiles.document.findings import FAILED, UNVERIFIED, Finding, Predicted, Verification
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.experiment.evidence import MEMORY_BYTES
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.harness.settings import main_place
from pipeprof.profiles.time.verdict import HEADSPACE_FROM, savable_share
from pipeprof.profiles.wording import (
    AT_LEAST,
    LAST_DIGITS,
    NOT_REPRODUCIBLE,
    if_free,
    percent,
    place_of,
    ratio_text,
    significant,
    span_text,
    stage_label,
    stage_name,
    stage_place,
)

EFFECTS: Mapping[Semantics, str] = {
    "same": "same data",
    "order": "same elements in a new order",
    "randomness": "same elements, new random draws",
    "values": "elements may differ (check them)",
}
"""Effect of a change on the data, by semantics class."""
_REDRAWN: Mapping[Redrawn, str] = {
    "order": "same elements, order random as before",
    "randomness": "same elements, draws random as before",
}
WITHOUT_RULE = frozenset({"measured", "combined"})
"""Names in place of a rule for findings made by a measurement alone."""
_FEW = 3
"""Fewer measurements have no meaningful interval."""
_MOST = 3
"""Upper bounds, changes tried in vain, and changes not tried, that are named in the short report."""
_RUN_FUNCTION = "pipeprof run FILE.py:FUNCTION"
"""Measures changes of a dataset that a notebook, or a call in a script, has measured as it is."""
_UNKNOWN_BOUND = "unknown upper bound"
_NO_BOUND = "no upper bound: "
_IN_WORDS = ("even ", "without ", _UNKNOWN_BOUND)
"""Beginnings of sentences on a bound; others begin with the name of a stage."""
_OPEN_BOUNDS = (_NO_BOUND, _UNKNOWN_BOUND, ", undecided")
"""In the sentence on a stage whose upper bound is not known."""


def build_changes(profile: Profile, *, full: bool, next_line: str = "") -> Iterator[Block]:
    """Build a card for each finding, or the sentence that says why there is none; then what was tried in vain.

    Args:
        next_line: The command that ends the report: no card repeats it.
    """
    if profile.findings is None:
        return
    numbered = list(enumerate(profile.findings, 1))
    by_status = {
        status: [(number, one) for number, one in numbered if one.status == status]
        for status in ("kept", "ceiling", "unverified")
    }
    bounds = profile.verification.bounds if profile.verification is not None else []
    sections = (
        ("What to change", "measured: times as fast as now, with 98 % intervals", by_status["kept"]),
        ("Suspected", _how_far(profile, by_status["unverified"]), by_status["unverified"]),
        ("Upper bounds", "if the stage cost nothing: measured with its output stored", by_status["ceiling"]),
    )
    for title, rest, shown in sections:
        if title == "Upper bounds":
            if not by_status["kept"] and not by_status["unverified"]:
                yield from _none(profile)
            yield from _in_vain(profile, full=full)
        if shown:
            yield Heading(title, rest)
        for place, (number, finding) in enumerate(shown):
            yield run_card(profile, finding, number, full=full, first=not place, hidden=next_line)
    yield from _bounds(bounds if full else bounds[:_MOST], full=full)


def run_card(
    profile: Profile, finding: Finding, number: int, *, full: bool, first: bool = False, hidden: str = ""
) -> Card:
    """A finding of a run, with what its measurement means for the run and the command that takes it.

    Args:
        first: Whether it is the first one of its section, which also says how long an epoch is with it.
        hidden: A command that is shown elsewhere.
    """
    measured = finding.measured or {}
    bound = finding.status == "ceiling" and finding.family != "memory"
    notes = [
        describe_kept(profile, finding.cache, measured.get("peak_rss_delta_bytes") or 0),
        describe_epoch(profile, finding) if first else "",
        describe_price(profile, finding),
        str(measured.get("conclusion") or "") if bound else "",
    ]
    card = finding_card(
        finding,
        profile.stages or (),
        number,
        notes=[note for note in notes if note],
        code=full or shows_code(profile, finding),
        spec=profile.target.kind == "spec",
        bounded=profile.only_bounds(finding),
        full=full,
    )
    command = take_command(profile, finding, number)
    label = "as a patch" if command is not None and command.endswith(".patch") else ""
    last: list[Block] = [Code(command, label=label)] if command and command != hidden else []
    if not command and not full and finding.rule not in WITHOUT_RULE:
        last = [Code(f"pipeprof rules {finding.rule}", label="why" if finding.status != "kept" else "how")]
    return Card(card.title, card.gain, (*card.blocks, *last), number, finding.status)


def finding_card(
    finding: Finding,
    stages: Sequence[Stage],
    number: int,
    *,
    notes: Sequence[str] = (),
    code: bool = True,
    spec: bool = False,
    bounded: bool = False,
    full: bool = True,
) -> Card:
    """A finding: its title with its gain, where it is and what to write.

    Args:
        notes: What follows from its measurement, a sentence each.
        code: With the lines to write, `spec` if into a spec.
        bounded: The predicted gain is the most that there can be.
        full: With the numbers behind it.
    """
    place, change = place_of_finding(finding, stages), finding.change or finding.recommendation
    blocks: list[Block] = []
    if place or change:
        blocks.append(Text("   ".join(filter(None, (place, change)))))
    if finding.sentence and finding.rule not in WITHOUT_RULE and (full or finding.status != "kept"):
        blocks.append(Text(finding.sentence))
    compared = str((finding.measured or {}).get("data") or "")
    blocks += [Text(note) for note in (*notes, compared if NOT_REPRODUCIBLE in compared else "") if note]
    if finding.status == "unverified" and finding.reason not in (None, UNVERIFIED):
        blocks.append(Text(_reason(finding), style="dim"))
    if full:
        blocks.append(Pairs(facts_of(finding, stages, bounded=bounded)))
    in_python = finding.diff or finding.python
    text = finding.patch or in_python if spec else in_python or (finding.patch if full else None)
    if code and text:
        blocks.append(Code(_statements(text), indent=0 if text.startswith("--- ") else 2))
    effect = effect_on_data(finding.semantics, finding.measured, redrawn=finding.redrawn)
    if finding.family == "correctness":
        # The title is what is wrong, not the change.
        effect = ""
    gain = ", ".join(filter(None, (describe_gain(finding, bounded=bounded), effect)))
    return Card(finding.title, gain, blocks, number, finding.status)


def facts_of(finding: Finding, stages: Sequence[Stage], *, bounded: bool = False) -> list[tuple[str, str]]:
    """All that is known of a finding beside its change, as labels and texts in their order."""
    stage = next((stage for stage in stages if stage.id == finding.stage), None)
    measured = finding.measured or {}
    text = describe_measured(measured, rounds=True) if measured else ""
    rows = (
        ("stage", stage_label(stage) if stage is not None else finding.stage or ""),
        ("advice", finding.recommendation if finding.change not in {None, finding.recommendation} else ""),
        ("predicted", _predicted(finding.predicted, bounded=bounded) if finding.predicted is not None else ""),
        ("measured", if_free(text, measured) if text and finding.status == "ceiling" else text),
        ("data", str(measured.get("data") or "")),
        ("status", finding.reason if finding.status not in {"unverified", "ceiling"} else ""),
        ("rule", f"pipeprof rules {finding.rule}" if finding.rule not in WITHOUT_RULE else ""),
    )
    return [(label, text) for label, text in rows if text]


def _statements(text: str) -> str:
    """Code with one statement a line."""
    if text.startswith("--- "):
        return text.rstrip("\n")
    lines = re.sub(r"; (?=options\.|dataset = )", "\n", text).splitlines()
    return "\n".join(line for line in lines if line.strip())


def _predicted(predicted: Predicted, *, bounded: bool) -> str:
    effects = []
    if predicted.speedup is not None and (text := describe_speedup(predicted.speedup)):
        effects.append(f"at most {text}, and nothing where the step sets the pace" if bounded else text)
    if predicted.peak_rss_delta_bytes is not None:
        effects.append(describe_predicted_delta(predicted.peak_rss_delta_bytes))
    return ": ".join(filter(None, (", ".join(effects), predicted.formula or ""))) or "unknown"


def effect_on_data(
    semantics: Semantics | None, measured: Mapping[str, Any] | None, *, redrawn: Redrawn | None = None
) -> str:
    """Effect of a change on the data; empty where it is unknown.

    Args:
        measured: Result of its try, which may show that the first batches differ by rounding only.
        redrawn: The order or the random draws that it changes, where every run has others anyway.
    """
    if semantics == "same" and redrawn is not None:
        return _REDRAWN[redrawn]
    if semantics == "values" and LAST_DIGITS in str((measured or {}).get("data") or ""):
        return "same elements, other last digits"
    return EFFECTS[semantics] if semantics else ""


def describe_gain(finding: Finding, *, bounded: bool = False) -> str:
    """Effect of a change: ``1.83× faster (1.79–1.88), +5 MiB``; what was not measured is predicted, or `bounded`."""
    measured, predicted = finding.measured or {}, finding.predicted
    if measured and finding.status == "kept":
        # What a change that saves memory does to the speed is a sentence of its own.
        saves = finding.family == "memory" and (measured.get("peak_rss_delta_bytes") or 0) < 0
        later = "from the second epoch on " if finding.cache is not None and not measured.get("at_limit") else ""
        return f"{later}{describe_measured({**measured, 'speedup': None} if saves else measured)}"
    if measured and finding.status == "ceiling" and not is_of_stages(finding):
        # Not what the change gains: that may leave a part of the work, or save more than the stage.
        if measured.get("at_limit"):
            return describe_measured(measured)
        more = f"{ratio_text(measured['low'])}, perhaps more" if measured.get(AT_LEAST) else describe_measured(measured)
        return f"up to {more}"
    if finding.unfinished is not None:
        return describe_so_far(finding)
    if predicted is None:
        return ""
    faster = describe_speedup(predicted.speedup or 1.0, 2)
    delta = predicted.peak_rss_delta_bytes
    text = ", ".join(filter(None, (faster, describe_predicted_delta(delta) if delta else "")))
    most = "at most " if bounded and (predicted.speedup or 1.0) > 1 else "predicted " if text else ""
    return f"{most}{text}"


def is_of_stages(finding: Finding) -> bool:
    """Whether an upper bound is that of the stages alone: their change is predicted to gain less, or memory."""
    predicted = finding.predicted.speedup if finding.predicted is not None else None
    less = predicted is not None and predicted <= ((finding.measured or {}).get("speedup") or 0.0)
    return finding.status == "ceiling" and (finding.family == "memory" or less)


def describe_speedup(speedup: float, digits: int = 3) -> str:
    """A predicted speed-up in words, ``1.83× faster`` or ``1.64× slower``; empty where there is none."""
    if significant(speedup, digits) == significant(1.0, digits):
        return ""
    return f"{significant(speedup, digits)}× faster" if speedup > 1 else f"{significant(1 / speedup, digits)}× slower"


def describe_measured(measured: Mapping[str, Any], *, rounds: bool = False) -> str:
    """A measured effect: the speed-up and the change of the peak, from `MEMORY_BYTES` on; in `rounds`, all numbers.

    Example:
        >>> describe_measured({"speedup": 1.43, "low": 1.38, "high": 1.49, "peak_rss_delta_bytes": -25 << 20})
        '1.43× (1.38–1.49), peak −25.0 MiB'
        >>> describe_measured({"speedup": 2.0, "low": 1.5, "high": 2.7, "pairs": [2.0] * 4}, rounds=True)
        '2.00× (1.50–2.70, 4 rounds)'
    """
    parts = []
    if measured.get("speedup") is not None:
        low, high, pairs = measured.get("low"), measured.get("high"), measured.get("pairs")
        alone = measured.get("mode") == "sequential" and len(pairs or ()) > 1
        text = str(measured.get("at_limit") or ratio_text(measured["speedup"]))
        if not measured.get("at_limit") and low and high is not None and (alone or len(pairs or [0] * 9) >= _FEW):
            many = f", {len(pairs)} {'processes' if alone else 'rounds'}" if pairs and rounds else ""
            text += f" ({span_text(low, high)}{many})"
        parts.append(text)
    if (delta := measured.get("peak_rss_delta_bytes")) is not None and (rounds or abs(delta) >= MEMORY_BYTES):
        parts.append(f"peak {describe_delta(delta)}")
    return ", ".join(parts)


def outlook(finding: Finding) -> str:
    """Whether more rounds decide about an unfinished change: not surely where as many as decide else have not."""
    return "decides" if finding.unfinished is None or finding.unfinished.needed <= TRIES.looks[4] else "may decide"


def describe_so_far(finding: Finding) -> str:
    """Present result of an unfinished measurement: ``1.70× so far after 8 of 12 rounds``."""
    speedup, left = (finding.measured or {}).get("speedup"), finding.unfinished
    return f"{ratio_text(speedup)} so far after {left.pairs} of {left.needed} rounds" if speedup and left else ""


def _reason(finding: Finding) -> str:
    """Why a finding is not decided; how far it came stands with its title."""
    if finding.unfinished is None or outlook(finding) != "decides":
        return str(finding.reason)
    return f"--budget {finding.unfinished.budget_seconds} decides it"


def _how_far(profile: Profile, shown: Sequence[tuple[int, Finding]]) -> str:
    """State of findings that are neither proven nor rejected."""
    if profile.target.kind == "script" and profile.verification is None:
        tries = "pipeprof fix" if can_run_again(profile) else _RUN_FUNCTION
        return f"not measured: {tries} tries changes"
    return "not decided" if any(finding.measured for _, finding in shown) else "not measured"


def place_of_finding(finding: Finding, stages: Sequence[Stage]) -> str:
    """The place of a finding's stage, ``spec.yaml:12``; its name where the place is not known."""
    stage = next((stage for stage in stages if stage.id == finding.stage), None)
    if stage is None or (finding.family == "correctness" and finding.location is not None):
        return place_of(finding.location) or ""
    return stage_place(stage) or stage_name(stage)


def shows_code(profile: Profile, finding: Finding) -> bool:
    """Whether the report has the lines of a finding: not of a spec, nor where its change states the call."""
    shown = bool(finding.python or finding.diff)
    return shown and profile.target.kind != "spec" and any(map(_needs_code, finding.edits))


def _needs_code(edit: PipelineEdit) -> bool:
    """Whether a change in the source takes more than a word: no argument of a call, no call in another place."""
    return not isinstance(edit, SetEnvironment) and (isinstance(edit, VectoriseMap) or not goes_into_source(edit))


def is_in_diff(finding: Finding) -> bool:
    """Whether a diff of the user's file may have the change, but for variables of the environment."""
    return all(isinstance(edit, SetEnvironment) or goes_into_source(edit) for edit in finding.edits)


def can_be_taken(profile: Profile, finding: Finding) -> bool:
    """Whether ``--change`` takes a finding's change: it is safe to make, and the kind of target lets it be made."""
    documents = [edit.model_dump() for edit in finding.documents]
    if not documents or finding.status == "ceiling":
        return False
    try:
        edits = checked_edits(documents)
    except RefusedEditError:
        return False
    if profile.target.kind == "script" and main_place(profile) is None:
        return False
    in_spec = finding.in_spec or all(isinstance(edit, SetEnvironment) for edit in edits)
    return profile.target.kind != "spec" or in_spec


def shell_variables(finding: Finding) -> list[str]:
    """Assignments before the command, ``OMP_NUM_THREADS=1``; empty if any of the edits is of another kind."""
    found = [assignment(edit.variable, edit.value) for edit in finding.edits if isinstance(edit, SetEnvironment)]
    return found if finding.in_spec or len(found) == len(finding.documents) else []


def try_command(profile: Profile, finding: Finding, number: int) -> str | None:
    """The line for the shell that runs the pipeline with a finding's change; None where no command makes it."""
    command = change_command(profile, number) if can_be_taken(profile, finding) else None
    variables = shell_variables(finding)
    if command is not None or finding.in_spec or not variables:
        return command
    command = rerun(profile)
    return " ".join([*variables, command]) if command is not None else None


def take_command(profile: Profile, finding: Finding, number: int) -> str | None:
    """The command that writes a proven change into the spec or a patch, and measures one that is not proven."""
    if finding.unfinished is not None:
        return None
    in_file = profile.target.kind == "script" or finding.in_spec or not shell_variables(finding)
    if finding.status == "kept" and in_file and can_be_taken(profile, finding):
        command = None
        if finding.diff is not None:
            command = change_command(profile, number, "fix", out=[f"change-{number}.patch"])
        elif profile.target.kind == "spec":
            command = change_command(profile, number, "fix", **({} if profile.target.overrides else {"write": True}))
        if command is not None:
            return command
    return try_command(profile, finding, number)


def _bounds(bounds: Sequence[str], *, full: bool) -> Iterator[Block]:
    """A line for each stage without which the pipeline was measured to be no faster, or could not be measured."""
    for text in bounds:
        sentence, *advice = text.split("\n")
        # That a bound is not known says nothing, unless there is something to do.
        if full or advice or not (sentence.startswith(_UNKNOWN_BOUND) or _NO_BOUND in sentence):
            yield Text(f"{sentence[0].upper()}{sentence[1:]}" if sentence.startswith(_IN_WORDS) else sentence)
            yield from (Text(line, indent=4) for line in advice[:1])
        if advice[1:]:
            yield Code("\n".join(advice[1:]), indent=4)


def _in_vain(profile: Profile, *, full: bool) -> Iterator[Block]:
    """What was tried without a gain or without an answer, and what was not tried, a line each."""
    done = profile.verification
    rejected = [one for one in profile.findings or () if one.status == "rejected"]
    no_gain = [f"{one.title}: {one.reason}" if one.reason else one.title for one in rejected]
    tried = [*no_gain, *(done.without_gain if done is not None else ())]
    failed = [text for text in tried if f": {FAILED}" in text]
    fails = [text.replace(f": {FAILED}", ": ") for text in failed]
    lines = [("No gain", [text for text in tried if text not in failed]), ("Fails", fails)]
    if done is not None:
        groups = [group for group in done.not_tried if full or group.out_of_budget or not done.tried]
        lines += [("Undecided", done.undecided), *((f"Not tried ({one.reason})", one.changes) for one in groups)]
    for label, texts in lines:
        # That it was not faster goes without saying.
        short = [text.partition(": no gain: ")[0] for text in texts[:_MOST]]
        if label != "Undecided":
            short = [text.partition(";")[0] for text in short]
        shown = [text.replace(": no gain: ", ": ") for text in texts] if full else short
        more = f"; {len(texts) - len(shown)} more: pipeprof show -v" if len(texts) > len(shown) else ""
        if shown:
            yield Text(f"{label}: {'; '.join(shown)}{more}", style="dim")


def _none(profile: Profile) -> Iterator[Block]:
    """State that nothing has to change, or that no change is known."""
    verdict, done = profile.verdict, profile.verification
    if not profile.complete or profile.exit_code or profile.steps is None or verdict is None:
        return
    labels, share = {detail.label for detail in verdict.details}, verdict.headspace_share
    if verdict.disturbed:
        yield Heading("Nothing found", "the run was disturbed: measure again")
    elif verdict.bound == "step" or (share is not None and share < HEADSPACE_FROM):
        if "memory" not in labels:
            # The verdict says why.
            yield Heading("Nothing to change")
    elif done is not None and (why := _why_not_finished(done)):
        yield Heading("Not finished", why)
    elif ended_before_costs(profile):
        yield Heading("Not finished", "the script ended before the costs of its stages were read")
    elif share is not None and profile.steps.dispatch is None:
        yield Heading("No change found", "whether this is fast enough depends on your step")
    else:
        tried = done is not None and done.tried
        why = "nothing that was tried helps" if tried else "no known change fits what was measured"
        saved = savable_share(profile) if share is not None else None
        could = f"up to {percent(saved)} of the time could be saved, but " if saved else ""
        yield Heading("No change found", f"{could}{why}")


def ended_before_costs(profile: Profile) -> bool:
    """Whether a script had ended when what its stages cost was to be read, after the measured steps."""
    unread = all(stage.inside_ms is None for stage in profile.stages or ())
    return unread and any(warning.code == "script-ended" for warning in profile.warnings)


def _why_not_finished(done: Verification) -> str:
    """Why it is not known whether a change helps; empty where all that was tried is decided."""
    if any(group.out_of_budget for group in done.not_tried):
        return "there was no time for every change"
    is_open = any(words in bound for bound in done.bounds for words in _OPEN_BOUNDS)
    if not done.tried and (is_open or done.not_tried or done.needs_seconds is not None):
        return "there was no time to try a change" if done.needs_seconds is not None else "no change could be tried"
    return "some of the trials are undecided" if done.undecided or is_open else ""
