"""Findings in three lines each, and the sentence if there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pipeprof.cli.command_line import can_run_again, change_command, rerun
from pipeprof.cli.text.blocks import Alternatives, Block, Code, Column, Command, Heading, Items, Prose, Table, TextSpan
from pipeprof.cli.text.units import describe_delta, describe_predicted_delta
from pipeprof.pipelines.changes.edits import PipelineEdit, SetEnvironment, VectoriseMap, supports
from pipeprof.pipelines.changes.environment import assignment
from pipeprof.profiles.advise.batch_savings import most_called
from pipeprof.profiles.document.findings import UNVERIFIED
from pipeprof.profiles.time.proven import describe_epoch, describe_kept, describe_price, knows_speed
from pipeprof.profiles.time.thresholds import HEADSPACE_FROM
from pipeprof.profiles.time.top_stage import where_time_is
from pipeprof.profiles.time.verdict import savable_share
from pipeprof.profiles.wording import (
    AT_LEAST,
    LAST_DIGITS,
    LEFT,
    NOT_REPRODUCIBLE,
    percent,
    place_of,
    ratio_text,
    significant,
    span_text,
    stage_name,
    stage_place,
)

if TYPE_CHECKING:
    from pipeprof.profiles.advise.proposal import Redrawn, Semantics
    from pipeprof.profiles.document.findings import Finding, NotTried, Verification
    from pipeprof.profiles.document.profile import Profile

EFFECTS: dict[Semantics, tuple[str, str]] = {
    "same": ("same elements, same order", "same data"),
    "order": ("same elements, new order", "new order"),
    "randomness": ("same elements, new random draws", "new draws"),
    "values": ("elements may differ: check them", "elements may differ"),
}
"""Effect of a fix on the data, by semantics class: for a wide line and for a narrow one."""

_REDRAWN: dict[Redrawn, str] = {"order": "order", "randomness": "draws"}
PROVEN = ("kept", "ceiling")
"""Statuses of findings that were tried and hold."""
NOT_VERIFIED = "predicted, not verified"
_BOUNDED = "at most, and nothing where the step sets the pace"
"""How much is gained where it is not known how long a step takes."""
_RUN_FUNCTION = "pipeprof run FILE.py:FUNCTION"
"""Measures changes of a dataset that a notebook, or a call in a script, has measured as it is."""
FEW_ROUNDS = 3
"""Fewer measurements have no meaningful interval."""
WITHOUT_RULE = frozenset({"measured", "combined"})
"""Names in place of a rule for findings made by a measurement alone."""
MOST_BOUNDS = 2
"""Upper bounds without a finding that are named in the default report."""
MOST_UNTRIED = 2
"""Changes that were not tried, of one reason, that are named in the default report."""
MOST_TRIED = 3
"""Changes that were tried without a gain, or without an answer, that are named in the default report."""
_AFTER_TABLES = 5
"""Goes from a long report after the table of the steps."""
_UNKNOWN_BOUND = "unknown upper bound"
_NO_BOUND = "no upper bound: "
_OPEN_BOUNDS = (_NO_BOUND, _UNKNOWN_BOUND, ", undecided")
"""In the sentence on a stage whose upper bound is not known."""
_DETAIL_INDENT = 7
_LABEL_WIDTH = 6


def build_findings(profile: Profile, *, complete: bool = False) -> Iterator[Block]:
    """Build the list of findings, or the sentence that says why there is none.

    Args:
        complete: Name each edit that was tried without a gain.
    """
    if profile.findings is None:
        return
    if profile.findings:
        yield from _list(profile, profile.findings)
    else:
        yield from _build_none(profile)
    yield from build_further(profile, complete=complete)


def build_further(profile: Profile, *, complete: bool = False) -> Iterator[Block]:
    """Build the line on edits that no rule proposed and that did not help."""
    if profile.verification is None:
        yield from _tried("No gain", _rejected(profile) if not complete else ())
        return
    yield from _build_bounds(profile.verification.bounds, alone=not profile.findings, complete=complete)
    groups: Sequence[NotTried] = profile.verification.not_tried
    for group in groups if complete else ():
        yield Prose(f"{_changes(len(group.changes))} could not be tried: {group.reason}", hang=2)
        yield Items(group.changes)
    if not complete and (text := _not_tried(profile, groups)):
        yield Prose(text, hang=2, style="dim", spare=4 if profile.findings else 7)
    tried = [*profile.verification.without_gain, *profile.verification.undecided]
    if tried and complete:
        yield Prose(f"{len(tried)} further edit{'s' if len(tried) > 1 else ''} tried:")
        yield Items(tried)
    elif not complete:
        yield from _tried("No gain", [*_rejected(profile), *map(_without_numbers, profile.verification.without_gain)])
        yield from _tried("Undecided", profile.verification.undecided)


def _rejected(profile: Profile) -> list[str]:
    """The findings that are not recommended, in words."""
    rejected = [one for one in profile.findings or () if one.status == "rejected"]
    return [_without_numbers(f"{one.title}: {one.reason}" if one.reason else one.title) for one in rejected]


def _without_numbers(text: str) -> str:
    """A change with why it is none, which goes without saying where it was not faster."""
    return text.partition(": no gain")[0]


def _tried(label: str, texts: Sequence[str]) -> Iterator[Block]:
    """Name on one line what was tried."""
    if texts:
        more = f"; {_changes(len(texts) - MOST_TRIED, more=True)}: pipeprof show -v" if texts[MOST_TRIED:] else ""
        yield Prose(f"{label}: {'; '.join(texts[:MOST_TRIED])}{more}", hang=2, style="dim", spare=6)


def _not_tried(profile: Profile, groups: Sequence[NotTried]) -> str:
    """Name changes of one group that could not be tried; empty where no group is worth a word.

    A group that a larger budget can try is always worth one, and comes first; else the group with most changes. The
    others are left out where a change is proven; where there are findings, those whose reason begins with the name of
    a stage: what its function refuses was only a guess.
    """
    names = {stage_name(stage) for stage in profile.stages or ()} if profile.findings else set()
    proven = any(finding.status == "kept" for finding in profile.findings or ())
    open_ones = [
        group for group in groups if group.out_of_budget or not (proven or group.reason.partition(": ")[0] in names)
    ]
    if not open_ones:
        return ""
    shown = max(open_ones, key=lambda group: (group.out_of_budget, len(group.changes)))
    changes = list(dict.fromkeys(" ".join(change.partition(";")[0].split()) for change in shown.changes))
    others = sum(len(group.changes) for group in groups if group is not shown)
    left = others + len(changes[MOST_UNTRIED:])
    more = f"; {_changes(left, more=True)}: pipeprof show -v" if left else ""
    return f"Not tried: {'; '.join(changes[:MOST_UNTRIED])} ({shown.reason}){more}"


def _changes(count: int, *, more: bool = False) -> str:
    return f"{count} {'more ' if more else ''}change{'s' if count > 1 else ''}"


def _build_bounds(bounds: Sequence[str], *, alone: bool, complete: bool) -> Iterator[Block]:
    """Build a line for each stage without which the pipeline was measured to be no faster, or could not be measured.

    Args:
        alone: Whether the report has no finding: then what to do stands here alone.
    """
    for text in bounds if complete else bounds[:MOST_BOUNDS]:
        # It may begin with a stage's name.
        sentence, *advice = (f"Even{text.removeprefix('even')}" if text.startswith("even ") else text).split("\n")
        # That a bound is not known says nothing; what to do there does.
        said = complete or not (sentence.startswith(_UNKNOWN_BOUND) or _NO_BOUND in sentence)
        if said:
            yield Prose(sentence, hang=2, style="" if complete else "dim", spare=0 if alone else 8)
        if advice and not said:
            name = sentence.removeprefix(f"{_UNKNOWN_BOUND} of ").partition(":")[0]
            advice[0] = f"{name}   {advice[0]}"
        if advice:
            yield Prose(advice[0], indent=4 if said else 2, hang=2, spare=0 if alone or advice[1:] else _AFTER_TABLES)
        if advice[1:]:
            yield Code("\n".join(advice[1:]), indent=4, spare=0 if alone else 9)


def _list(profile: Profile, findings: Sequence[Finding]) -> Iterator[Block]:
    """Build three lines for each finding: its title with its gain, the change with its place, and a command."""
    numbered = list(enumerate(findings, 1))
    statuses = ("kept", "ceiling", "unverified")
    kept, bounds, open_ones = ([one for one in numbered if one[1].status == status] for status in statuses)
    proven = [one for one in kept if one[1].cache is None]
    cached = [one for one in kept if one[1].cache is not None]
    if proven:
        yield Heading("What to change", "measured")
        yield from _tables(profile, proven)
    if bounds:
        about = {finding.stage for _, finding in bounds} - {None}
        same = [one for _, one in (*kept, *open_ones) if one.stage in about]
        known = any(map(has_advice, [*(one for _, one in bounds), *same]))
        unknown = "" if known else ", no edit is known"
        yield Heading("If the stage cost nothing", f"measured{unknown}")
        yield from _tables(profile, bounds)
    if cached:
        # What shows a gain on all of the data comes first.
        unfinished = [(number, finding) for number, finding in open_ones if number < cached[0][0]]
        open_ones = [(number, finding) for number, finding in open_ones if number > cached[0][0]]
        if unfinished:
            yield _open_heading(unfinished)
            yield from _tables(profile, unfinished)
        words = _others_than_caches(profile.verification, open_ones)
        without = "" if proven or bounds or unfinished else f"; without a cache {words}"
        yield Heading("From the second epoch on", f"measured{without}")
        yield from _tables(profile, cached)
    if open_ones:
        tried = bool(kept or bounds) or profile.verification is not None
        bounded = [] if tried else [one for one in open_ones if profile.only_bounds(one[1])]
        open_ones = [one for one in open_ones if one not in bounded]
        if open_ones:
            yield _open_heading(open_ones) if tried else Heading("What to change", _not_verified(profile))
        for about_data, shown in groupby(open_ones, key=lambda one: _is_about_data(one[1])):
            yield from _tables(profile, list(shown), spare=10 if (proven or bounds) and not about_data else 0)
        if bounded:
            yield Heading("Worth a try", _BOUNDED)
            yield from _tables(profile, bounded)


def _open_heading(shown: Sequence[tuple[int, Finding]]) -> Heading:
    words = _unfinished(shown)
    return Heading("Not finished", words) if words else Heading("Not verified", _how_far(shown))


def _others_than_caches(done: Verification | None, open_ones: Sequence[object]) -> str:
    """What is known of changes without a cache where none of them is a finding."""
    if done is not None and done.undecided:
        return "some of the trials are undecided"
    if done is not None and done.without_gain:
        return "nothing that was tried helps"
    return "nothing was tried" if open_ones or (done is not None and done.not_tried) else "there was nothing to try"


def _is_about_data(finding: Finding) -> bool:
    """Whether what the data are is at stake: that stays on a screen, however full."""
    return finding.family == "correctness"


def has_advice(finding: Finding) -> bool:
    """Whether a finding states what to do."""
    return bool(finding.python or finding.patch or finding.change or finding.recommendation or finding.edit)


def _unfinished(shown: Sequence[tuple[int, Finding]]) -> str:
    """Progress of unfinished findings that all show a gain; empty if there are other findings."""
    if not all(finding.unfinished is not None for _, finding in shown):
        return ""
    words = f"a larger budget {min((outlook(finding) for _, finding in shown), key=len)}"
    return f"{len(shown)} changes show a gain so far, {words}" if shown[1:] else words


def outlook(finding: Finding) -> str:
    """Whether more rounds decide about an unfinished change: not surely where as many as decide else have not."""
    from pipeprof.profiles.experiment.purposes import TRIES

    return "decides" if finding.unfinished is None or finding.unfinished.needed <= TRIES.looks[4] else "may decide"


def describe_so_far(finding: Finding) -> str:
    """Present result of an unfinished measurement: ``1.70× so far after 8 of 12 rounds``."""
    speedup, left = (finding.measured or {}).get("speedup"), finding.unfinished
    return f"{ratio_text(speedup)} so far after {left.pairs} of {left.needed} rounds" if speedup and left else ""


def _how_far(shown: Sequence[tuple[int, Finding]]) -> str:
    """State of findings that are neither proven nor rejected."""
    undecided = [bool(finding.measured) for _, finding in shown]
    if all(undecided):
        return "measured, not decided"
    if not any(describe_gain(finding) for _, finding in shown):
        return "not measured"
    return "predicted only, or measured and undecided" if any(undecided) else "predicted only"


def _tables(profile: Profile, shown: Sequence[tuple[int, Finding]], spare: int = 0) -> Iterator[Block]:
    tables = [[_table(profile, shown, short=False)], [_table(profile, shown, short=True)]]
    others = Prose(f"{_changes(len(shown))}: pipeprof show -v", style="dim")
    yield Alternatives([*tables, list(_without_columns(profile, shown))], spare=spare, instead=(others,))


def _without_columns(profile: Profile, shown: Sequence[tuple[int, Finding]]) -> Iterator[Block]:
    """Build the same where a title and its gain do not fit on one line: a title is never cut."""
    width = max(len(str(number)) for number, _ in shown)
    for row, (number, finding) in enumerate(shown):
        start = f"{number:<{width}}  "
        yield Prose((TextSpan(start), TextSpan(finding.title, "bold")), hang=len(start))
        effect = effect_on_data(finding.semantics, finding.measured, redrawn=finding.redrawn)[1]
        gain = describe_gain(finding, short=True, bounded=profile.only_bounds(finding))
        if gain := "  ".join(filter(None, (gain, effect))):
            yield Prose(gain, indent=_DETAIL_INDENT, hang=2)
        yield from _details(profile, finding, first=not row)


def effect_on_data(
    semantics: Semantics | None, measured: Mapping[str, Any] | None, *, redrawn: Redrawn | None = None
) -> tuple[str, str]:
    """Effect of a change on the data, for a wide line and for a narrow one.

    Args:
        measured: Result of its try, which may show that the first batches differ by rounding only.
        redrawn: What it changes of what each run draws anew anyway.
    """
    if semantics == "same" and redrawn is not None:
        return f"same elements, {_REDRAWN[redrawn]} random as before", EFFECTS[redrawn][1]
    if semantics and changes_digits(semantics, measured):
        return "same elements, other last digits", "other last digits"
    return EFFECTS[semantics] if semantics else ("", "")


def changes_digits(semantics: Semantics, measured: Mapping[str, Any] | None) -> bool:
    """Whether the first batches of a change were seen to be equal but for rounding."""
    return semantics == "values" and LAST_DIGITS in str((measured or {}).get("data") or "")


def _table(profile: Profile, shown: Sequence[tuple[int, Finding]], *, short: bool) -> Table:
    effects = [
        effect_on_data(finding.semantics, finding.measured, redrawn=finding.redrawn)[short] for _, finding in shown
    ]
    gains = [describe_gain(finding, short=short, bounded=profile.only_bounds(finding)) for _, finding in shown]
    return Table(
        [
            Column("", [str(number) for number, _ in shown], keep=None),
            Column("", [finding.title for _, finding in shown], right=False, style="bold"),
            Column("", gains, right=False, keep=4),
            Column("", effects, right=False, keep=3),
        ],
        below={row: list(_details(profile, finding, first=not row)) for row, (_, finding) in enumerate(shown)},
    )


def _details(profile: Profile, finding: Finding, *, first: bool = True) -> Iterator[Block]:
    """Build the lines below a finding.

    Args:
        first: Whether it is the first one of its list, which also says how long an epoch is with it.
    """
    change, number = finding.change or finding.recommendation, number_of(profile, finding)
    place = place_of_finding(profile, finding)
    if text := "   ".join(filter(None, (place, change))):
        wanted = number == 1 or _is_about_data(finding)
        wanted = wanted or (finding.status == "kept" and not shows_code(profile, finding))
        yield _line(text, 0 if wanted else 7 if finding.status == "ceiling" else 8)
    measured, of_stages = finding.measured or {}, is_of_stages(finding) and finding.family != "memory"
    compared = str(measured.get("data") or "")
    then = str(measured.get("conclusion") or "") if finding.status == "ceiling" and finding.family != "memory" else ""
    for note, spare in (
        (describe_kept(profile, finding.cache, measured.get("peak_rss_delta_bytes") or 0), 9),
        (describe_epoch(profile, finding) if first else "", 7),
        (compared if NOT_REPRODUCIBLE in compared else "", 0),
        (describe_price(profile, finding), 7),
        (finding.reason if of_stages else "", 7),
        # Without it the share of the stages in the table contradicts the bound.
        (then, 9 if then.startswith(LEFT) else 1),
    ):
        if note:
            yield _line(note, spare)
    about_data = _is_about_data(finding)
    if finding.status == "unverified" and finding.reason not in (None, UNVERIFIED) and not about_data:
        yield _line(_reason(finding), 3 if finding.python else 8, style="dim")
    # What was measured needs no reasons.
    explains = about_data or (shows_code(profile, finding) and finding.status != "kept")
    if finding.sentence and finding.rule not in WITHOUT_RULE and explains:
        yield _line(finding.sentence, 0 if about_data else 5)
    if shows_code(profile, finding):
        yield _lines_to_write(profile, finding, number)
    # What is not finished goes on with a larger budget.
    command = try_command(profile, finding) if finding.unfinished is None else None
    if command is not None:
        spare = 2 if finding.status == "kept" else 5
        yield Command("try", command, indent=_DETAIL_INDENT, width=_LABEL_WIDTH, spare=spare)
    elif finding.rule not in WITHOUT_RULE:
        yield Command("why", f"pipeprof explain {finding.rule}", indent=_DETAIL_INDENT, width=_LABEL_WIDTH, spare=1)


def _lines_to_write(profile: Profile, finding: Finding, number: int | None) -> Code:
    """Build the code of a finding: a full screen keeps that of the next step."""
    spare = 0 if number == first_to_write(profile) else 10 if finding.status in PROVEN else 9
    return Code(finding.python or str(finding.diff).rstrip("\n"), indent=_DETAIL_INDENT, spare=spare)


def _line(text: str, spare: int, style: str = "") -> Prose:
    return Prose(text, indent=_DETAIL_INDENT, hang=2, style=style, spare=spare)


def shows_code(profile: Profile, finding: Finding) -> bool:
    """Whether the report has the lines of a finding: not of a spec, nor where its change states the call."""
    shown = bool(finding.python or finding.diff)
    return shown and profile.target.kind != "spec" and any(map(_needs_code, finding.edits))


def first_to_write(profile: Profile) -> int | None:
    """The first finding whose lines the user has to write, by its number, where no proven change can be taken."""
    proven = [one for one in profile.findings or () if one.status == "kept"]
    if any(can_be_taken(profile, one) and is_in_diff(one) for one in proven):
        return None
    for number, finding in enumerate(profile.findings or (), 1):
        if shows_code(profile, finding) and finding.status != "rejected":
            return number
    return None


def is_in_diff(finding: Finding) -> bool:
    """Whether a diff of the user's file may have the change, but for variables of the environment."""
    return all(isinstance(edit, SetEnvironment) or supports(edit, "source") for edit in finding.edits)


def _needs_code(edit: PipelineEdit) -> bool:
    """Whether a change in the source takes more than a word: no argument of a call, no call in another place."""
    return isinstance(edit, VectoriseMap) or not (isinstance(edit, SetEnvironment) or supports(edit, "source"))


def _reason(finding: Finding) -> str:
    """Why a finding is not decided; how far it came stands with its title."""
    if finding.unfinished is None or outlook(finding) != "decides":
        return str(finding.reason)
    return f"--budget {finding.unfinished.budget_seconds} decides it"


def try_command(profile: Profile, finding: Finding) -> str | None:
    """The line for the shell that runs the pipeline with a finding's change; None where no command makes it.

    The change is named by its number, else by the variables that make it.
    """
    number = number_of(profile, finding)
    command = change_command(profile, number) if number is not None and can_be_taken(profile, finding) else None
    if command is not None:
        return command
    variables = shell_variables(finding)
    if finding.in_spec or not variables:
        return None
    command = rerun(profile)
    return " ".join([*variables, command]) if command is not None else None


def number_of(profile: Profile, finding: Finding) -> int | None:
    """The number of a finding in its report; None of another profile's."""
    return next((number for number, one in enumerate(profile.findings or (), 1) if one is finding), None)


def _not_verified(profile: Profile) -> str:
    if profile.target.kind != "script":
        return NOT_VERIFIED
    if not can_run_again(profile):
        return f"{NOT_VERIFIED}: {_RUN_FUNCTION} tries them"
    return f"{NOT_VERIFIED}: pipeprof fix tries them"


def can_be_taken(profile: Profile, finding: Finding) -> bool:
    """Whether ``--change`` takes a finding's change: it is safe to make, and the kind of target lets it be made."""
    from pipeprof.pipelines.changes.checked import RefusedEditError, checked_edits

    documents = [edit.model_dump() for edit in finding.documents]
    if not documents or finding.status == "ceiling":
        return False
    try:
        edits = checked_edits(documents)
    except RefusedEditError:
        return False
    if profile.target.kind == "script":
        from pipeprof.profiles.harness.settings import main_place

        if main_place(profile) is None:
            return False
    if profile.target.kind == "spec":
        return finding.in_spec or all(isinstance(edit, SetEnvironment) for edit in edits)
    return all(supports(edit, "calls") for edit in edits)


def shell_variables(finding: Finding) -> list[str]:
    """Assignments before the command, ``OMP_NUM_THREADS=1``; empty if any of the edits is of another kind."""
    found = [assignment(edit.variable, edit.value) for edit in finding.edits if isinstance(edit, SetEnvironment)]
    return found if finding.in_spec or len(found) == len(finding.documents) else []


def place_of_finding(profile: Profile, finding: Finding) -> str:
    """The place of a finding's stage, ``spec.yaml:12``; its name where the place is not known."""
    stage = next((stage for stage in profile.stages or [] if stage.id == finding.stage), None)
    if stage is None or (finding.family == "correctness" and finding.location is not None):
        return place_of(finding.location) or ""
    return stage_place(stage) or stage_name(stage)


def describe_gain(finding: Finding, *, short: bool = False, bounded: bool = False) -> str:
    """Effect of a fix: ``1.8× faster, +5 MiB``; as measured if it is proven.

    Where a measurement is undecided, the prediction is called one: ``predicted 1.8× faster, +5 MiB``.

    Args:
        short: Leave out the prediction of what was measured.
        bounded: The prediction is the most that it can gain.
    """
    predicted = finding.predicted
    if finding.measured and finding.status in PROVEN and not is_of_stages(finding):
        unknown = finding.family == "memory" and not knows_speed(finding)
        text = describe_measured({**finding.measured, "speedup": None} if unknown else finding.measured)
        if finding.status == "ceiling":
            # Not what the change gains: that may leave a part of the work, or save more than the stage.
            least = finding.measured.get(AT_LEAST) and not finding.measured.get("at_limit")
            return f"at least {ratio_text(finding.measured['low'])}" if least else text
        if short or predicted is None or predicted.speedup is None:
            return text
        return f"{text}, predicted {ratio_text(predicted.speedup)}"
    if finding.unfinished is not None:
        return describe_so_far(finding)
    if predicted is None:
        return ""
    speedup, delta = predicted.speedup, predicted.peak_rss_delta_bytes
    # That an effect is unknown, or only on memory, is no statement about the speed.
    parts = [text for text in [describe_speedup(speedup or 1.0, 2)] if text != SAME_SPEED]
    if delta:
        parts.append(describe_predicted_delta(delta))
    # Next to a measurement that is undecided, a bare gain would read as that.
    doubtful = finding.measured or finding.rule in WITHOUT_RULE
    faster = bool(parts) and (speedup or 1.0) > 1
    most = "at most " if bounded and faster else "predicted " if parts and doubtful else ""
    return f"{most}{', '.join(parts)}"


def is_of_stages(finding: Finding) -> bool:
    """Whether an upper bound is that of the stages alone: their change is predicted to gain less, or memory."""
    predicted = finding.predicted.speedup if finding.predicted is not None else None
    less = predicted is not None and predicted <= ((finding.measured or {}).get("speedup") or 0.0)
    return finding.status == "ceiling" and (finding.family == "memory" or less)


SAME_SPEED = "same speed"


def describe_speedup(speedup: float, digits: int = 3) -> str:
    """A predicted speed-up in words.

    Example:
        >>> describe_speedup(1.834), describe_speedup(0.61), describe_speedup(1.0)
        ('1.83× faster', '1.64× slower', 'same speed')
    """
    if significant(speedup, digits) == significant(1.0, digits):
        return SAME_SPEED
    return f"{significant(speedup, digits)}× faster" if speedup > 1 else f"{significant(1 / speedup, digits)}× slower"


def describe_measured(measured: dict[str, Any]) -> str:
    """A measured effect: the speed-up with its interval and its rounds, and the change of the peak.

    Example:
        >>> describe_measured({"speedup": 1.43, "low": 1.38, "high": 1.49, "peak_rss_delta_bytes": -1048576})
        '1.43× (1.38–1.49), −1.00 MiB'
        >>> describe_measured({"speedup": 2.0, "low": 1.5, "high": 2.7, "pairs": [2.0, 2.0], "mode": "sequential"})
        '2.00× (1.50–2.70, 2 processes)'
        >>> describe_measured({"speedup": 2.6, "at_limit": "as fast as the step allows"})
        'as fast as the step allows'
    """
    parts = []
    if measured.get("at_limit") and measured.get("speedup") is not None:
        parts.append(str(measured["at_limit"]))
    elif measured.get("speedup") is not None:
        text = ratio_text(measured["speedup"])
        low, high, pairs = measured.get("low"), measured.get("high"), measured.get("pairs")
        alone = measured.get("mode") == "sequential" and len(pairs or ()) > 1
        if low and high is not None and (alone or not (pairs and len(pairs) < FEW_ROUNDS)):
            many = f", {len(pairs)} {'processes' if alone else 'rounds'}" if pairs else ""
            text += f" ({span_text(low, high)}{many})"
        parts.append(text)
    if measured.get("peak_rss_delta_bytes") is not None:
        parts.append(describe_delta(measured["peak_rss_delta_bytes"]))
    return ", ".join(parts)


def _build_none(profile: Profile) -> Iterator[Block]:
    """State that nothing has to change, or that no rule knows a fix."""
    done = profile.verification
    if not profile.complete or profile.exit_code or profile.steps is None:
        return
    if profile.verdict and any(detail.label == "pipeline" for detail in profile.verdict.details):
        return  # It keeps up with the step.
    share = profile.verdict.headspace_share if profile.verdict else None
    if (called := most_called(profile)) is not None and (share is None or share >= HEADSPACE_FROM):
        text = f"calling {stage_name(called)} for each element costs most: one call per batch, after .batch(…)"
        yield Heading("Not tried", text)
    elif profile.verdict is not None and profile.verdict.disturbed:
        yield Heading("Nothing found", "the run was disturbed: measure again")
    elif share is not None and share < HEADSPACE_FROM:
        if profile.verdict is None or not any(one.label == "memory" for one in profile.verdict.details):
            # The verdict says why.
            yield Heading("Nothing to change")
    elif done is not None and not _is_decided(done):
        yield Heading("Not finished", _why_not_finished(done))
    elif share is not None and profile.steps.dispatch is None:
        yield Heading("No change found", "whether this is fast enough depends on your step")
    elif share is not None:
        share = savable_share(profile) or 0.0
        # What the verdict says of restarts is one.
        advised = profile.verdict is not None and any(one.label == "restarts" for one in profile.verdict.details)
        words = f"up to {percent(share)} of the time could be saved, but {_why_none(done)}"
        yield Heading("No other change found" if advised else "No change found", words)
    elif profile.target.kind == "script" and done is None:
        where, nothing = where_time_is(profile), "no finding fits what was measured, and no change was tried"
        yield Heading("Nothing was tried", where) if where else Heading("Nothing suspected", nothing)
    else:
        yield Heading("No change found", "no finding and no idea fits what was measured")


def _is_decided(done: Verification) -> bool:
    """Whether something was decided, or nothing was there to decide about."""
    bounded = not all(map(_is_open, done.bounds))
    open_ones = done.undecided or done.not_tried or done.needs_seconds is not None
    late = any(group.out_of_budget for group in done.not_tried)
    return not late and (bool(done.without_gain) or bounded or not (open_ones or done.bounds))


def _is_open(bound: str) -> bool:
    return any(words in bound for words in _OPEN_BOUNDS)


def _why_not_finished(done: Verification) -> str:
    if any(group.out_of_budget for group in done.not_tried):
        return "there was no time for every change"
    if done.undecided:
        return "the trials are undecided"
    return "no change could be tried" if not done.tried else "how fast the pipeline could be is not known"


def _why_none(done: Verification | None) -> str:
    """Why there is no finding: only what was decided does not help."""
    if done is None or not (done.without_gain or done.undecided or done.bounds or done.not_tried):
        return "no finding and no idea fits"
    open_bound = any(map(_is_open, done.bounds))
    if done.undecided or done.not_tried or (done.without_gain and open_bound):
        return "some of the trials are undecided" if done.undecided or open_bound else "nothing that was tried helps"
    if not done.tried and not done.without_gain:
        return "no change could be tried"
    return "nothing that was tried helps"
