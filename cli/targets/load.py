"""Targets of commands: find the target, read the spec, refuse Python under ``--no-python``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeprof.cli.private import SPEC_ENVIRONMENT
from pipeprof.cli.streams import write_stdout
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
from pipeprof.pipelines.steps.step import Step, check_step, kind_of
from pipeprof.pipelines.target.arguments import parse_arguments
from pipeprof.pipelines.target.names_in_file import describe
from pipeprof.pipelines.target.target import ParsedTarget, listed_file, parse_target


@dataclass(frozen=True)
class Changes:
    """Changes of a spec from the command line.

    Attributes:
        env: Whether ``--env`` was given.
    """

    sets: Sequence[str] = ()
    env: bool = False

    @property
    def flag(self) -> str | None:
        """A flag that was given."""
        return "--set" if self.sets else "--env" if self.env else None


def list_functions(text: str, *, plain: bool, scripts: bool = False) -> bool:
    """Print the functions of a file for a target such as ``file.py:`` or ``file.py``.

    Args:
        plain: Text is what stdout is for; a list is no profile.

    Returns:
        Whether it did.

    Raises:
        UsageError: There is no such file, or the output format is not text.
    """
    path = listed_file(text, scripts=scripts)
    if path is None:
        return False
    name = text.removesuffix(":")
    if not plain:
        raise UsageError(f"{text} lists functions, as text on stdout only; name one of them: {name}:function")
    write_stdout(describe(name, path))
    return True


def load_target(
    text: str,
    changes: Changes,
    *,
    no_python: bool,
    step: Step | None = None,
    arguments: Sequence[str] = (),
    may_read: Callable[[Path], None] | None = None,
    scripts: bool = False,
) -> tuple[ParsedTarget, LoadedSpec | None]:
    """Read the target, its spec and its arguments; nothing runs.

    Args:
        changes: Changes of the spec by the command line.
        no_python: Refuse Python code, in the target, the spec or the step.
        may_read: Raises for a file that is no data and must not be read.

    Returns:
        The target, and the spec if it is one.

    Raises:
        UsageError: There is no such target, the changes do not apply to it, or it names Python that is refused.
        SpecError: The spec is wrong.
    """
    given = parse_arguments(arguments)
    target = parse_target(text, scripts=scripts)
    if no_python and (target.kind != "spec" or (step is not None and kind_of(step.kind).real)):
        what = f"the step {step.value}" if target.kind == "spec" and step is not None else text
        raise UsageError(f"--no-python: {what} is Python code; use a spec with TensorFlow ops, or remove --no-python")
    if step is not None:
        check_step(step)
    if target.kind != "spec" and changes.flag:
        what = "a training script" if target.kind == "script" else "a Python function"
        raise UsageError(f"{changes.flag} changes a spec, but {text} is {what}; remove {changes.flag}")
    if target.kind == "script":
        return target, None
    if target.kind == "function":
        return replace(target, arguments=given), None
    if given:
        raise UsageError(f"--arg passes arguments to a Python function, but {text} is a spec; use --set")
    environment = SPEC_ENVIRONMENT if changes.env else None
    loaded = load_spec(target.path, changes.sets, environment=environment, may_read=may_read)
    if no_python and (files := loaded.python_files):
        names = ", ".join(sorted({path.name for path in files}))
        raise UsageError(f"--no-python: {text} runs Python code ({names}); use `ops:` instead, or remove --no-python")
    return target, loaded
