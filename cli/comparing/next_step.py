"""The command that is most useful after a comparison or a gate."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeprof.profiles.judge.words import main_metric

if TYPE_CHECKING:
    from pipeprof.profiles.judge.verdicts.result import Result

_PAIRS = {"compare": "--pairs", "gate": "--max-pairs"}
MOST_PAIRS = 60
"""More are not worth the wait: half a minute for each."""


def next_command(result: Result) -> tuple[str, str] | None:
    """The command and what it is for; None where there is nothing to add.

    Args:
        result: Of a command that has ended.
    """
    failed = next((problem for problem in result.errors if problem.code == "side-failed"), None)
    if failed is not None:
        side = result.a if failed.message.startswith("A") else result.b
        return (f"pipeprof run {shlex.quote(side.text)}", "shows why") if side.ref is None else None
    if result.kind == "baseline" and result.pairs and not result.errors:
        words = [word for word in result.command if word not in {"--update-baseline", "--force"}]
        return (shlex.join(words), "judges against it") if words else None
    if not result.metrics or not result.pairs or (result.self_test is not None and result.kind == "self-test"):
        return None
    return _after_pairs(result)


def _after_pairs(result: Result) -> tuple[str, str] | None:
    """What follows from the verdicts of a comparison or a gate."""
    more = [metric.more_pairs for metric in result.metrics if metric.level != "off" and metric.more_pairs]
    needed = len(result.pairs) + max(more, default=0)
    if more and needed <= MOST_PAIRS and result.command:
        return _with_option(result.command, _PAIRS[result.kind], str(needed)), "would settle it"
    if result.kind == "compare" and len(result.changes) > 1 and result.search is None and result.command:
        main = main_metric(result)
        if main is not None and main.words in {"slower", "faster"}:
            return shlex.join([*result.command, "--why"]), "names the change that counts"
    # Against a stored baseline there is no other pipeline to measure.
    stored = any(metric.normalised is not None for metric in result.metrics)
    if result.kind == "gate" and result.verdict == "regressed" and result.b.ref is None and not stored:
        return f"pipeprof compare {shlex.quote(result.a.text)} {shlex.quote(result.b.text)}", "shows the stages"
    return None


def _with_option(command: Sequence[str], flag: str, value: str) -> str:
    """A command with another value of an option.

    Example:
        >>> _with_option(["pipeprof", "gate", "a.yaml", "--max-pairs", "5"], "--max-pairs", "9")
        'pipeprof gate a.yaml --max-pairs 9'
    """
    words, skip = [], False
    for word in command:
        if skip or word == flag or word.startswith(f"{flag}="):
            skip = word == flag
            continue
        words.append(word)
    return shlex.join([*words, flag, value])
