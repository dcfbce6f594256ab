"""Options that do not fit a training script as the target, and those that only a script has."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeprof.cli.options import FixOptions, RerunOptions, RunOptions

if TYPE_CHECKING:
    from pipeprof.profiles.harness.settings import RunSettings

NOT_OF_SCRIPTS: Mapping[str, str] = {
    "step": "--step replaces a step, but a script has its own",
    "dispatch": "--dispatch is for a simulated step, but a script has its own",
    "cold": "--cold is for a spec",
    "args": "--arg is for a function: a script's own arguments follow {arguments}",
    "seed": "--seed is for a spec or a function: a script sets its own",
    "convert_to": "--convert-to is for a spec or a function",
    "dataset_size": "--dataset-size is for a spec or a function",
    "self_test": "--self-test makes steps longer, which a script has of its own: use --against",
    "why": "--why is for specs and functions",
}


OF_SCRIPTS = {"to_end": "--to-end", "allow_writes": "--allow-writes", "rerun": "--rerun", "turns": "--turns"}
AGAIN = ", then again, several times, to try changes"
"""What follows where the script may run again."""
AGAIN_UNTIL_TAKEN = ", then starts again, several times, up to its first batch, to try changes with its step replayed"
"""The same where it trains no more."""
SCRIPT_BUDGET = 150.0
"""Seconds of trying where a script runs again: its processes take longer to start, and a block is whole epochs."""


def check_script_options(given: RunOptions | FixOptions, *, script: bool) -> None:
    """Refuse options that do not fit the kind of target.

    Args:
        script: Whether it is a training script.

    Raises:
        UsageError: One does not.
    """
    from pipeprof.pipelines.errors import UsageError

    if script:
        refuse_for_scripts(given)
        return
    if given.script_args:
        what = " ".join(given.script_args)
        raise UsageError(f"got unexpected arguments ({what}): only a training script, script.py, takes any")
    for name, flag in OF_SCRIPTS.items():
        if getattr(given, name, False):
            raise UsageError(f"{flag} is for a training script, but {given.target} is none: remove it")


def what_a_script_does(settings: RunSettings, again: str = "") -> str:
    """State, before it runs, that the script trains for real, when it ends, and whether it runs again.

    Args:
        again: What follows.
    """
    from pipeprof.profiles.harness.settings import plan

    length = plan(settings).length
    if settings.soak:
        end = f"while its memory is watched for {length}"
    elif settings.to_end:
        end = length
    else:
        end = f"until {length} are measured after the warm-up (--to-end: to its end)"
    how = "with the change" if settings.edits else "as it is"
    return f"{settings.target.path} runs {how} and trains for real {end}{again}"


def refuse_for_scripts(given: object, arguments: str = "--") -> None:
    """Refuse options that no script has.

    Args:
        arguments: What comes before a script's own arguments.

    Raises:
        UsageError: One is given.
    """
    from pipeprof.pipelines.errors import UsageError

    for name, why in NOT_OF_SCRIPTS.items():
        if getattr(given, name, None):
            what = why.format(arguments=arguments)
            raise UsageError(what if ": use " in what else f"{what}: remove it")


def script_settings(given: RerunOptions, text: str) -> dict[str, object]:
    """The settings of a script that several processes run.

    Raises:
        UsageError: The user has not said that it may be run so, or an option does not fit.
    """
    from pipeprof.pipelines.errors import UsageError

    if not given.rerun:
        msg = f"{text} is a training script: each process of a comparison would train for real; add --rerun for that"
        raise UsageError(f"{msg}, or name a function that returns a dataset, {text}:function")
    refuse_for_scripts(given, "--script-args")
    try:
        words = shlex.split(given.script_args or "")
    except ValueError as error:
        raise UsageError(f"--script-args: {str(error).lower()}: expected arguments as in a shell") from None
    return {"script_args": words, "allow_writes": given.allow_writes, "rerun": True}
