"""One finding in full: what was seen, the fix as YAML and Python, its prediction and the numbers behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pipeprof.cli.report.findings import (
    NOT_VERIFIED,
    SAME_SPEED,
    WITHOUT_RULE,
    build_findings,
    build_further,
    changes_digits,
    describe_measured,
    describe_so_far,
    describe_speedup,
    has_advice,
    try_command,
)
from pipeprof.cli.report.blocks import Block, Code, Command, Heading, Prose, TextSpan
from pipeprof.cli.report.units import describe_predicted_delta, seconds
from pipeprof.profiles.document.findings import UNVERIFIED
from pipeprof.profiles.time.proven import describe_epoch, describe_kept, describe_price
from pipeprof.profiles.wording import (
    LAST_DIGITS,
    if_free,
    listed,
    milliseconds,
    percent,
    significant,
    size,
    stage_label,
    stage_name,
)

if TYPE_CHECKING:
    from pipeprof.profiles.advise.proposal import Redrawn, Semantics
    from pipeprof.profiles.document.findings import Finding, Predicted
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

Language = Literal["YAML", "Python"]

SEMANTICS: dict[Semantics, str] = {
    "same": "the same elements in the same order",
    "order": "the same elements in a different order",
    "randomness": "different random draws, or a different random order, from the same distribution",
    "values": "elements may differ: check whether that is acceptable",
}
"""Effect of a fix on the data, by semantics class."""

_ROUNDED = f"the same elements but for {LAST_DIGITS}"
_REDRAWN: dict[Redrawn, str] = {
    "order": "the same elements; the order is drawn anew in each epoch, as before",
    "randomness": "the same elements; the random numbers are drawn anew in each run, as before",
}
_INDENT = 4
_LABEL = 10
_STATEMENTS = re.compile(r"; (?=options\.|dataset = )")
"""Place to break a line of Python that sets an option."""


def build_all_findings(profile: Profile) -> Iterator[Block]:
    """Build every finding in full, or the sentence that says why there is none."""
    if not profile.findings:
        yield from build_findings(profile, complete=True)
        return
    yield Heading("What to change")
    for number in range(1, len(profile.findings) + 1):
        yield from build_finding(profile, number, complete=True)
    yield from build_further(profile, complete=True)


def build_finding(profile: Profile, number: int, *, complete: bool = False) -> Iterator[Block]:
    """Build one finding in full.

    Args:
        number: Number of the finding in the report, from 1 on.
        complete: Show the fix as YAML and as Python, not only in the language of the target.
    """
    finding = (profile.findings or [])[number - 1]
    yield Heading(f"{number}. {finding.title}", describe_status(finding))
    own: Language = "YAML" if profile.target.kind == "spec" else "Python"
    step = profile.steps is not None and profile.steps.dispatch is not None
    languages: Sequence[Language] = ("YAML", "Python") if complete else (own,)
    notes = (
        describe_kept(profile, finding.cache, (finding.measured or {}).get("peak_rss_delta_bytes") or 0),
        describe_epoch(profile, finding),
        describe_price(profile, finding),
    )
    bounded = profile.only_bounds(finding)
    yield from describe_finding(
        finding, profile.stages or [], languages, step=step, bounded=bounded, effects=list(filter(None, notes))
    )
    command = try_command(profile, finding)
    if command:
        yield Command("Try", command, indent=_INDENT, width=_LABEL)


def describe_finding(
    finding: Finding,
    stages: Sequence[Stage],
    languages: Sequence[Language] = ("YAML",),
    *,
    step: bool = False,
    bounded: bool = False,
    effects: Sequence[str] = (),
) -> Iterator[Block]:
    """Build everything but the title of a finding.

    Args:
        languages: In which the fix is shown, where it exists; one that exists only in another is shown in that.
        step: Whether the loop has a step, which may wait for batches.
        bounded: Whether the predicted gain is the most that there can be.
        effects: What follows from the measurement for this run, a sentence each.
    """
    stage = next((stage for stage in stages if stage.id == finding.stage), None)
    if stage is not None or finding.stage:
        yield from _labelled("Stage", stage_label(stage) if stage is not None else finding.stage or "")
    elif finding.location is not None:
        yield from _labelled("Place", f"{finding.location.file}:{finding.location.line}")
    if finding.sentence:
        yield from _labelled("Seen", finding.sentence)
    if finding.recommendation and finding.recommendation != finding.change:
        yield from _labelled("Fix", finding.recommendation)
    if finding.change:
        yield from _labelled("Change", finding.change)
    code: dict[Language, str | None] = {"YAML": finding.patch, "Python": finding.diff or finding.python}
    written = [language for language in languages if code[language]] or list(code)
    for language in written:
        yield from _code(language, code[language])
    if finding.semantics:
        rounded = changes_digits(finding.semantics, finding.measured)
        random = _REDRAWN[finding.redrawn] if finding.redrawn and finding.semantics == "same" else None
        words = _ROUNDED if rounded else random or SEMANTICS[finding.semantics]
        yield from _labelled("Data", words)
    if finding.predicted is not None:
        yield from _labelled("Predicted", _predicted(finding.predicted, step=step, bounded=bounded))
    yield from _measured(finding)
    for text in effects:
        yield from _labelled("Effect", text)
    if finding.evidence:
        yield from _labelled("Evidence", _evidence(finding.evidence, stages))
    if finding.reason and finding.reason != UNVERIFIED:
        yield from _labelled("Status", finding.reason)
    if finding.rule not in WITHOUT_RULE:
        yield from _labelled("Rule", f"pipeprof explain {finding.rule}")


def _measured(finding: Finding) -> Iterator[Block]:
    if finding.measured:
        text = describe_measured(finding.measured)
        yield from _labelled("Measured", if_free(text, finding.measured) if finding.status == "ceiling" else text)
        if finding.measured.get("conclusion"):
            yield from _labelled("Machine", str(finding.measured["conclusion"]))
        if finding.measured.get("data"):
            yield from _labelled("Compared", str(finding.measured["data"]))


def describe_status(finding: Finding) -> str:
    """State how a finding is known."""
    words = {
        "kept": "measured: better by more than the noise",
        "ceiling": "measured as if the stage cost nothing"
        if has_advice(finding)
        else "no edit is known; measured as if the stage cost nothing",
        "unverified": f"not finished: {describe_so_far(finding)}"
        if finding.unfinished
        else "measured, not decided"
        if finding.measured
        else NOT_VERIFIED,
        "rejected": "tried: not recommended",
    }
    return words[finding.status]


def _labelled(label: str, text: str) -> Iterator[Block]:
    yield Prose((TextSpan(label.ljust(_LABEL), "dim"), TextSpan(text)), indent=_INDENT, hang=_LABEL)


def _code(label: str, text: str | None) -> Iterator[Block]:
    """Code as it is, one statement a line."""
    if text is not None and text.startswith("--- "):
        yield from _labelled("Diff", "")
        yield Code(text.rstrip("\n"), indent=0)
        return
    lines = [line for line in _STATEMENTS.sub("\n", text or "").splitlines() if line.strip()]
    if lines:
        yield Code("\n".join(lines), indent=_INDENT, label=label)


def _predicted(predicted: Predicted, *, step: bool, bounded: bool) -> str:
    effects = []
    if predicted.speedup is not None and (text := describe_speedup(predicted.speedup)) != SAME_SPEED:
        effects.append(f"at most {text}, and nothing where the step sets the pace" if bounded else text)
    if predicted.peak_rss_delta_bytes is not None:
        effects.append(describe_predicted_delta(predicted.peak_rss_delta_bytes))
    if predicted.wait_ms is not None and step and not bounded:
        effects.append(f"the step waits {milliseconds(predicted.wait_ms)}")
    what = ", ".join(effects)
    return f"{what}: {predicted.formula}" if what and predicted.formula else what or predicted.formula or "unknown"


def _evidence(evidence: dict[str, Any], stages: Sequence[Stage]) -> str:
    names = {stage.id: stage_name(stage) for stage in stages}
    facts = []
    for name, value in evidence.items():
        known = [names.get(word) for word in str(value).split(", ")] if isinstance(value, str) else []
        facts.append(describe_number(name, listed([one for one in known if one]) if known and all(known) else value))
    return ", ".join(facts)


def describe_number(name: str, value: Any) -> str:
    """A number of the evidence in words, by the unit in its name.

    Example:
        >>> describe_number("buffer_bytes", 120_472_000), describe_number("python_share", 0.974)
        ('buffer 115 MiB', 'python share 97 %')
        >>> describe_number("stage_ms_per_batch", 39.5), describe_number("measured", True)
        ('stage 39.5 ms per batch', 'measured yes')
        >>> describe_number("cores", 2.0), describe_number("worker_cores", 0.0348)
        ('cores 2', 'worker cores 0.0348')
    """
    words = name.split("_")
    if isinstance(value, bool):
        return f"{' '.join(words)} {'yes' if value else 'no'}"
    if not isinstance(value, int | float):
        return f"{' '.join(words)} {value}"
    for unit, write in _UNITS.items():
        if unit in words:
            at = words.index(unit)
            before, after = " ".join(words[:at]), " ".join(words[at + 1 :])
            return " ".join(filter(None, (before, write(value), after)))
    whole = isinstance(value, int) or value.is_integer()
    text = percent(value) if words[-1] == "share" else f"{value:,.0f}" if whole else significant(value)
    return f"{' '.join(words)} {text}"


_UNITS: dict[str, Callable[[float], str]] = {"bytes": size, "ms": milliseconds, "seconds": seconds, "s": seconds}
