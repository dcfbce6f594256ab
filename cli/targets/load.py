"""Targets of commands: find the target, read the spec, refuse Python under ``--no-python``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeprof.cli.options import CheckOptions, MeasuringOptions
from pipeprof.cli.private import SPEC_ENVIRONMENT
from pipeprof.cli.streams import write_stdout
from pipeprof.cli.values import step as parse_step
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
from pipeprof.pipelines.steps.step import Step, check_step, kind_of
from pipeprof.pipelines.target.arguments import parse_arguments
from pipeprof.pipelines.target.names_in_file import describe
from pipeprof.pipelines.target.target import ParsedTarget, listed_file, parse_target


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


def load_given(
    text: str, given: CheckOptions | MeasuringOptions, **more: Any
) -> tuple[ParsedTarget, LoadedSpec | None]:
    """Read a target as `load_target` does, with the options of a command."""
    return load_target(
        text,
        sets=given.set or (),
        env=given.env,
        arguments=given.arg or (),
        step=parse_step(given.step) if isinstance(given, MeasuringOptions) else None,
        no_python=given.no_python,
        **more,
    )


def load_target(
    text: str,
    *,
    sets: Sequence[str] = (),
    env: bool = False,
    arguments: Sequence[str] = (),
    step: Step | None = None,
    no_python: bool = False,
    may_read: Callable[[Path], None] | None = None,
    scripts: bool = False,
) -> tuple[ParsedTarget, LoadedSpec | None]:
    """Read the target, its spec and its arguments; nothing runs.

    Args:
        sets, env: Changes of a spec by the command line.
        arguments: Of a function.
        no_python: Refuse Python code, in the target, the spec or the step.
        may_read: Raises for a file that is no data and must not be read.

    Returns:
        The target, and the spec if it is one.

    Raises:
        UsageError: There is no such target, or it names Python that is refused.
        SpecError: The spec is wrong.
    """
    given = parse_arguments(arguments)
    if text.startswith("git:"):
        raise UsageError(f"{text}: only compare and gate take a target at a git ref")
    target = parse_target(text, scripts=scripts)
    if no_python and (target.kind != "spec" or (step is not None and kind_of(step.kind).real)):
        what = f"the step {step.value}" if target.kind == "spec" and step is not None else text
        raise UsageError(f"--no-python: {what} is Python code; use a spec with TensorFlow ops, or remove --no-python")
    if step is not None:
        check_step(step)
    if target.kind == "script":
        return target, None
    if target.kind == "function":
        return replace(target, arguments=given), None
    environment = SPEC_ENVIRONMENT if env else None
    loaded = load_spec(target.path, sets, environment=environment, may_read=may_read)
    if no_python and (files := loaded.python_files):
        names = ", ".join(sorted({path.name for path in files}))
        raise UsageError(f"--no-python: {text} runs Python code ({names}); use `ops:` instead, or remove --no-python")
    return target, loaded
