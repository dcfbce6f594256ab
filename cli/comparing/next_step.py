"""The command that is most useful after a comparison or a gate."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Sequence
from itertools import pairwise

from pipeprof.cli.options import duration
from pipeprof.profiles.judge.verdicts.counting import counted
from pipeprof.profiles.judge.verdicts.result import Result
from pipeprof.profiles.judge.words import main_metric

_PAIRS = {"compare": "--pairs", "gate": "--max-pairs"}
_OF_THIS_GATE = frozenset({"--against", "--baseline", "--out", "--format", "--max-pairs"})
_SWITCHES = frozenset({"--update-baseline", "--json", "--force"})
_SPARE = 1.2
"""Times the seconds that the pairs need: the sides are started as well."""
MOST_PAIRS = 60
"""More are not worth the wait: half a minute for each."""


def next_command(result: Result) -> tuple[str, str] | None:
    """The command and what it is for; None where there is nothing to add."""
    failed = next((problem for problem in result.errors if problem.code == "side-failed"), None)
    if failed is not None:
        side = result.side(failed.message[0].lower())
        return (f"pipeprof run {shlex.quote(side.text)}", "shows why") if side.ref is None else None
    if result.kind == "baseline" and result.pairs and not result.errors:
        words = _without(result.command, frozenset(), _SWITCHES)
        return (shlex.join(words), "judges against it") if words else None
    if not result.metrics or not result.pairs or result.kind not in _PAIRS:
        return None
    return _after_pairs(result)


def _after_pairs(result: Result) -> tuple[str, str] | None:
    """What follows from the verdicts of a comparison or a gate."""
    rows = [metric for metrics in result.rows().values() for metric in metrics]
    more = [metric.more_pairs for metric in rows if metric.level != "off" and metric.more_pairs]
    needed = len(counted(result.pairs)) + max(more, default=0)
    if more and needed <= MOST_PAIRS and result.command:
        return _longer(result, needed)
    if result.kind == "compare" and len(result.changes) > 1 and result.search is None and result.command:
        main = main_metric(result)
        if main is not None and main.words in {"slower", "faster"}:
            return shlex.join([*result.command, "--why"]), "names the change that counts"
    # Against a stored baseline there is no other pipeline to measure.
    stored = any(metric.normalised is not None for metric in result.metrics)
    if result.kind == "gate" and result.verdict == "regressed" and result.b.ref is None and not stored:
        return f"pipeprof compare {shlex.quote(result.a.text)} {shlex.quote(result.b.text)}", "shows the stages"
    return None


def _longer(result: Result, needed: int) -> tuple[str, str]:
    """The same command with room for so many pairs: more of what has ended the session."""
    if any(warning.code == "disturbed" for warning in result.warnings):
        return shlex.join(result.command), "once nothing else uses the cores: more pairs help little here"
    flag, words = _PAIRS[result.kind], list(result.command)
    over = any(warning.code == "time-over" for warning in result.warnings)
    limit = duration("--max-time", _value_of(words, "--max-time"))
    if over and limit is not None:
        more = _SPARE * limit * needed / max(len(result.pairs), 1)
        words = [*_without(words, {"--max-time"}), "--max-time", str(10 * math.ceil(more / 10))]
        most = _value_of(words, flag)
        if most is None or not most.isdecimal() or int(most) >= needed:
            return shlex.join(words), "would settle it"
    return _with_option(words, flag, str(needed)), "would settle it"


def _value_of(command: Sequence[str], flag: str) -> str | None:
    """The last value of an option in a command; None without it.

    Example:
        >>> _value_of(["gate", "a.yaml", "--max-time=250"], "--max-time")
        '250'
    """
    found = None
    for word, following in pairwise([*command, ""]):
        name, equals, value = word.partition("=")
        if name == flag:
            found = value if equals else following
    return found


def self_test_command(result: Result) -> str:
    """The command that tries the gate on its target, with the step and the arguments of this one.

    Example:
        >>> from pipeprof.profiles.document.subject import Tool
        >>> from pipeprof.profiles.judge.verdicts.result import Result, Side
        >>> words = ["pipeprof", "gate", "a.yaml", "--against", "git:main", "--step", "simulate:9ms", "--json"]
        >>> sides = {"a": Side(text="git:main"), "b": Side(text="a.yaml")}
        >>> self_test_command(Result(kind="gate", tool=Tool(version="1"), command=words, **sides))
        'pipeprof gate a.yaml --step simulate:9ms --self-test'
    """
    if result.command[1:2] != ["gate"]:
        return f"pipeprof gate {shlex.quote(result.b.text)} --self-test"
    return shlex.join([*_without(result.command, _OF_THIS_GATE, _SWITCHES), "--self-test"])


def _with_option(command: Sequence[str], flag: str, value: str) -> str:
    """A command with another value of an option.

    Example:
        >>> _with_option(["pipeprof", "gate", "a.yaml", "--max-pairs", "5"], "--max-pairs", "9")
        'pipeprof gate a.yaml --max-pairs 9'
    """
    return shlex.join([*_without(command, {flag}), flag, value])


def _without(command: Sequence[str], options: Collection[str], switches: Collection[str] = frozenset()) -> list[str]:
    """A command without options that have a value, and without switches that have none."""
    words, skip = [], False
    for word in command:
        if skip or word.partition("=")[0] in options:
            skip = word in options and not skip
            continue
        if word not in switches:
            words.append(word)
    return words
