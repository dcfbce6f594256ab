"""The history of a gate: opened before anything is measured, judged and continued at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.cli.targets.sides import GivenSide
from pipeprof.pipelines.errors import PipeprofError, ProfileError
from pipeprof.pipelines.spec.budgets import stage_of
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.git.calls import GitCalls, GitView
from pipeprof.profiles.git.refs import first_commit, head_commit
from pipeprof.profiles.history.content import content_of
from pipeprof.profiles.history.creep import drifts, has_only_others, link_of
from pipeprof.profiles.history.entry import (
    KeptGate,
    State,
    describe_class,
    encode_line,
    entry_of,
    host_class,
    state_of,
    step_text,
)
from pipeprof.profiles.history.file import append_line, read_file
from pipeprof.profiles.history.lines import ReadLines, describe_damage, of_target, require_own
from pipeprof.profiles.history.notes import REF, WORD, append_note, read_notes, share_command
from pipeprof.profiles.judge.verdicts.gating import FAILED, INCONCLUSIVE, counted, judged_for
from pipeprof.profiles.judge.verdicts.result import History, Identity, PairValues, Result
from pipeprof.profiles.wording import as_typed

if TYPE_CHECKING:
    from pipeprof.profiles.judge.verdicts.tabulate import Judged

FIRST = "the history has no earlier gate of this target and step: a drift is judged from the next one on"
_THROUGHPUT = "elements_per_second"
ALONE = "no chain of gates joins this pipeline to an earlier one, so no drift is judged"


@dataclass
class OpenHistory:
    """A history that was read, and where its next entry goes.

    Attributes:
        path: The file; None for git notes.
        repository: The first commit of the repository.
    """

    calls: GitCalls
    path: Path | None
    view: GitView | None
    repository: str | None
    read: ReadLines

    def add(self, entry: KeptGate) -> None:
        """Append a gate.

        Raises:
            PipeprofError: It could not be written.
        """
        line = encode_line(entry)
        if self.path is not None:
            append_line(self.path, line)
        elif self.view is not None:
            append_note(self.calls, self.view, line)

    @property
    def share(self) -> str | None:
        """The command that gives the new entry to others."""
        return share_command(self.view) if self.path is None and self.view is not None else None


def open_history(text: str, near: Path, calls: GitCalls, *, missing: bool = True) -> OpenHistory:
    """Read a history, before anything is measured.

    Args:
        text: ``git``, or the name of a file.
        near: The target, whose repository counts.
        missing: Whether there may be none yet.

    Raises:
        UsageError: The file is none, or nothing can be appended there.
        ProfileError: It is of another repository, cannot be read, or is not there and has to be.
    """
    # Without git, or for a repository of somebody else's, a file is as good.
    try:
        view = calls.find(near)
    except ProfileError:
        if text == WORD:
            raise
        view = None
    repository = first_commit(calls, view) if view is not None else None
    if text == WORD:
        if view is None:
            raise ProfileError(f"--history {WORD}: {as_typed(str(near))} is in no git repository; name a file")
        read, path = read_notes(calls, view, repository), None
        if not missing and not read.entries:
            raise ProfileError(read.advice or f"{REF}: no gate has been kept here; pipeprof gate --history git begins")
    else:
        path = Path(text)
        read = read_file(path, repository, missing=missing)
    require_own(read, repository)
    return OpenHistory(calls, path, view, repository, read)


def notes_on(history: OpenHistory) -> list[Message]:
    """What is to be said of a history that was read."""
    said = [("history-damaged", describe_damage(history.read)), ("history-missing", history.read.advice)]
    return [Message(code=code, message=text) for code, text in said if text is not None]


def judge_history(
    history: OpenHistory,
    sides: tuple[GivenSide, GivenSide],
    target: Identity,
    result: Result,
    judged: Mapping[str, Judged],
) -> None:
    """Judge the drift of a gate that has its verdict, and add the gate to the history."""
    states = states_of(history, sides, result)
    assert result.b.host is not None  # noqa: S101 - for the type checker: the session has set it
    host = host_class(result.b.host)
    known = of_target(history.read.entries, target, step_text(result))
    here = [entry for entry in known if entry.host == host]
    found = History(
        place=history.read.place, gates=len(here), elsewhere=len(known) - len(here), host_class=describe_class(host)
    )
    result.history = found
    result.warnings += notes_on(history)
    if result.unchanged is None:
        _judge(found, known, states, result, judged)
    entry = entry_of(result, target, states, history.repository, judged, same=result.unchanged is not None)
    # An unchanged pipeline that is the same text says nothing that a later gate could not see for itself.
    if result.unchanged is None or states[0].digest != states[1].digest:
        try:
            history.add(entry)
            found.kept, found.share = True, history.share
        except PipeprofError as error:
            result.warnings.append(Message(code="history-not-kept", message=str(error)))


def _judge(
    found: History, known: Sequence[KeptGate], states: tuple[State, State], result: Result, judged: Mapping[str, Judged]
) -> None:
    assert result.b.host is not None  # noqa: S101 - for the type checker: the session has set it
    host = host_class(result.b.host)
    pairs = counted(result.pairs)
    wanted = _per_element(judged_for(result.a, result.b, judged), pairs)
    now = link_of(states[0].digest, states[1].digest, pairs, wanted)
    if not known:
        found.note = FIRST
    elif has_only_others(known, host):
        others = sorted({describe_class(entry.host) for entry in known if entry.pairs})
        found.note = f"all earlier gates are of other hosts ({'; '.join(others)}), this one is {found.host_class}"
        if result.exit_code == 0:
            result.verdict, result.exit_code = "cannot tell", INCONCLUSIVE
    elif now is not None:
        found.drifts = drifts(now, states, known, host, wanted)
        if not found.drifts:
            found.note = ALONE
    if any(one.verdict == "regressed" and one.level == "error" for one in found.drifts):
        result.verdict, result.exit_code = "regressed", FAILED


def _per_element(judged: Mapping[str, Judged], pairs: Sequence[PairValues]) -> dict[str, Judged]:
    """What a drift is judged by: throughput in place of the step interval, since batches may change on the way."""
    kept = {name: one for name, one in judged.items() if stage_of(name) is None and one.level != "off"}
    if "step_ms" in kept and all(_THROUGHPUT in pair.a and _THROUGHPUT in pair.b for pair in pairs):
        step = kept.pop("step_ms")
        kept.setdefault(_THROUGHPUT, replace(step, limit=None))
    return kept


def states_of(history: OpenHistory, sides: tuple[GivenSide, GivenSide], result: Result) -> tuple[State, State]:
    """Both sides by their content."""
    head = head_commit(history.calls, history.view) if history.view is not None else None
    found = []
    for side, shown in zip(sides, (result.a, result.b), strict=True):
        assert side.settings is not None  # noqa: S101 - for the type checker: gate refuses saved profiles
        found.append(state_of(shown, content_of(side.settings).digest, head))
    return found[0], found[1]
