"""What went before the first release, and what does the same: each ends with a usage error that says so."""

from __future__ import annotations

_REPLAYED = "pipeprof fix train.py tries changes of a script's dataset, with its step replayed"
_OF_SCRIPTS = "a training script is no target here: name the function that makes its dataset, train.py:make"
_SCRIPT_OPTIONS = ("--rerun", "--script-args", "--allow-writes")
COMMANDS: dict[str, str] = {"exec": "make the changes in the code: pipeprof fix train.py --change 1 --out fast.patch"}
"""What to do instead of a command, by its name."""
OPTIONS: dict[tuple[str, str], str] = {
    ("check", "--python"): 'in Python, pipeprof.dataset("spec.yaml") builds the dataset of a spec',
    ("fix", "--convert-to"): "save what a stage gives once: ds.save(path), then tf.data.Dataset.load(path)",
    ("run", "--rerun"): _REPLAYED,
    ("run", "--turns"): _REPLAYED,
    ("fix", "--rerun"): _REPLAYED,
    **{(name, option): _OF_SCRIPTS for name in ("compare", "gate") for option in _SCRIPT_OPTIONS},
    ("init", "--arg"): "a function is a target as it is: pipeprof run file.py:function --arg NAME=VALUE",
    ("init", "--no-python"): "init runs no Python any more: pipeprof init --from photos/",
    ("init", "--save-arrays"): "a function is a target as it is: pipeprof run file.py:function",
}
"""What to do instead of an option, by the command and the option; an empty command stands for all."""


def command_gone(name: str) -> str | None:
    """Return what to do instead of a command that is gone, in one sentence; None of any other word."""
    instead = COMMANDS.get(name)
    return f"there is no command {name!r}: {instead}" if instead is not None else None


def option_gone(command: str, option: str) -> str | None:
    """Return what to do instead of an option that is gone, in one sentence; None of any other.

    Args:
        command: As typed, without the program's name.
    """
    instead = OPTIONS.get((command, option)) or OPTIONS.get(("", option))
    return f"{command} has no {option}: {instead}" if instead is not None else None
