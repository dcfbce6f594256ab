"""Options that do not fit a training script as the target, and those that only a script has."""

from __future__ import annotations

from collections.abc import Mapping

from pipeprof.cli.options import TrialOptions
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.protocol.options import Options

NOT_OF_SCRIPTS: Mapping[str, str] = {
    "step": "--step replaces a step, but a script has its own",
    "arg": "--arg is for a function: a script's own arguments follow --",
    "dataset_size": "--dataset-size is for a spec or a function",
    "cold": "--cold is for a spec or a function",
}
OF_SCRIPTS = {"to_end": "--to-end", "allow_writes": "--allow-writes"}


def check_script_options(given: TrialOptions, *, script: bool) -> None:
    """Refuse options that do not fit the kind of target.

    Args:
        script: Whether it is a training script.

    Raises:
        UsageError: One does not.
    """
    if script:
        for name, why in NOT_OF_SCRIPTS.items():
            if getattr(given, name, None):
                raise UsageError(f"{why}: remove it")
        return
    if given.script_args:
        what = " ".join(given.script_args)
        raise UsageError(f"got unexpected arguments ({what}): only a training script, script.py, takes any")
    for name, flag in OF_SCRIPTS.items():
        if getattr(given, name, False):
            raise UsageError(f"{flag} is for a training script, but {given.target} is none: remove it")


def what_a_script_does(settings: Options, *, tries: bool) -> str:
    """State, before it runs, that the script trains for real, when it ends, and whether changes are tried then."""
    length = settings.length
    if settings.soak:
        end = f"while its memory is watched for {length}"
    elif settings.to_end:
        end = length
    else:
        end = f"until {length} are measured after the warm-up (--to-end: to its end)"
    how = "with the change" if settings.edits else "as it is"
    again = ", then starts again, several times, up to its first batch, to try changes with its step replayed"
    return f"{settings.target.path} runs {how} and trains for real {end}{again if tries else ''}"
