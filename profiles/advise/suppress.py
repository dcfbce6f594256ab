"""Findings that a spec leaves out with its ``ignore`` entries."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from pipeprof.pipelines.suggest import suggest
from pipeprof.profiles.document.messages import Message

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.models import Ignore
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.view.view import PipelineView


def unknown_rules(ignore: Sequence[Ignore], known: Collection[str]) -> list[Message]:
    """A warning for each entry whose rule does not exist: it hides nothing."""
    messages = []
    for name in dict.fromkeys(entry.rule for entry in ignore if entry.rule not in known):
        meant = suggest(name, known)
        hint = f" — did you mean {meant}?" if meant else "; `pipeprof rules` lists them"
        messages.append(Message(code="unknown-rule", message=f"`ignore` names {name!r}, which is no rule{hint}"))
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
