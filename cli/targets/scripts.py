"""Options that do not fit a training script as the target, and those that only a script has."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from pipeprof.cli.options import RerunOptions

NOT_OF_SCRIPTS: Mapping[str, str] = {
    "step": "--step replaces a step, but a script has its own",
    "dispatch": "--dispatch is for a simulated step, but a script has its own",
    "change": "--change is for a spec or a function",
    "cold": "--cold is for a spec",
    "args": "--arg is for a function: a script's own arguments follow {arguments}",
    "seed": "--seed is for a spec or a function: a script sets its own",
    "dataset_size": "--dataset-size is for a spec or a function",
    "self_test": "--self-test makes steps longer, which a script has of its own: use --against",
    "baseline": "--baseline is for a spec or a function: use --against, which measures both",
    "why": "--why is for specs and functions",
}


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
    return {"script_args": words, "allow_writes": given.allow_writes}
