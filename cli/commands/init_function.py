"""``pipeprof init --from file.py:function``: the spec of a function that returns a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeprof.profiles.harness.describe_function import DescribedTarget

_INDENT = "  "


def is_function(text: str) -> bool:
    """Whether ``--from`` names a function, or the file of one.

    Example:
        >>> is_function("input.py:train"), is_function("flowers.input:train"), is_function("photos/")
        (True, True, False)
    """
    import os

    from pipeprof.pipelines.target.modules import is_module_name

    file, colon, function = text.rpartition(":")
    if text.endswith(".py"):
        return True
    named = bool(colon) and (not function or is_module_name(function))
    return named and not os.path.lexists(text) and (file.endswith(".py") or is_module_name(file))


def describe_function(
    text: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    arrays: str | None,
    no_python: bool,
    force: bool,
    schema: str | None = None,
) -> DescribedTarget:
    """Call the function in a worker and write its spec.

    Args:
        arguments: Values of ``--arg``.
        arrays: What the names of saved arrays begin with; None to save none.
        force: Whether saved arrays may replace files.
        schema: The schema as the spec's first line names it; None for no such line.

    Raises:
        UsageError: There is no such function, it gives no dataset, or it must not be run.
        PipelineFailedError: It raised.
    """
    from dataclasses import replace

    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.target.arguments import check_arguments, parse_arguments
    from pipeprof.pipelines.target.target import parse_target
    from pipeprof.profiles.harness.describe_function import describe_target

    target = parse_target(text)
    if no_python:
        msg = f"--no-python: {text} is Python code; remove --no-python"
        raise UsageError(msg)
    given = parse_arguments(arguments)
    check_arguments(replace(target, arguments=given))
    return describe_target(
        text, given, folder=folder.resolve(), name=str(target.function), arrays=arrays, force=force, schema=schema
    )


def report(found: DescribedTarget, text: str, written: str) -> str:
    """Summarise which parts of a function became YAML, and whether the graphs are equal.

    Args:
        written: First sentence: what was written, and where.
    """
    lines = list(found.warnings)
    if found.printed:
        lines += [f"{text} printed:", *(f"{_INDENT}{line}" for line in found.printed.splitlines())]
    lines.append(written)
    if found.unsaid:
        lines += ["Could not be written as YAML:", *(f"{_INDENT}{name}" for name in found.unsaid)]
    if found.equal is None:
        lines.append(f"Not verified against the graph of {text}: {found.why}.")
    elif found.equal:
        lines.append(
            f"Verified: TensorFlow builds the same graph from the spec as from {text} (structure, ops, arguments)."
        )
    else:
        lines.append(f"Not equal: TensorFlow builds a different graph from the spec than from {text}:")
        lines += [f"{_INDENT}{difference}" for difference in found.differences]
    return "\n".join(lines)
