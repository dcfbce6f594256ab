"""The one renderer of edits for reading: each as YAML and as Python.

The YAML is the stage as it would stand in a spec; the Python is the call as it would stand in a chain. Nothing here
changes a file.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.edits.edits import (
    HandWritten,
    InsertStage,
    MoveFilter,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.spec.yaml.writer import flow
from pipeprof.profiles.view.view import AUTOTUNE


def plain_data(value: Any) -> Any:
    """Convert mappings and sequences to the dicts and lists that the YAML writer takes."""
    if isinstance(value, Mapping):
        return {key: plain_data(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(inner) for inner in value]
    return value


def yaml_text(value: Any) -> str:
    """Format a value as YAML in flow style.

    Example:
        >>> yaml_text({"shape": [None, 3], "dtype": "uint8", "python": "f.py:fn", "key": "on"})
        '{shape: [null, 3], dtype: uint8, python: "f.py:fn", key: on}'
    """
    return flow(plain_data(value))


def python_text(value: Any) -> str:
    """A value as Python writes it."""
    return "tf.data.AUTOTUNE" if value == AUTOTUNE else repr(value)


def as_yaml(edit: PipelineEdit) -> str:
    """What an edit changes, in the words of a spec."""
    match edit:
        case InsertStage():
            text = f"- {edit.op}: {yaml_text(edit.arguments)}   # {_where(edit)}"
        case SetArgument():
            text = f"- {edit.op}:   # {edit.stage}\n    {edit.argument}: {yaml_text(edit.value)}"
        case MoveStage():
            text = f"- {edit.op}: …   # {edit.stage}, moved before {edit.before}"
        case MoveFilter():
            text = f"- filter: {{ops: […]}}   # {edit.stage}, before {edit.before}: with the calls that it reads"
        case ReplaceStages(by=()):
            text = f"# remove {', '.join(edit.stages)}"
        case ReplaceStages():
            text = "\n".join(_stage_yaml(stage, index, edit) for index, stage in enumerate(edit.by))
        case VectoriseMap():
            text = f"- map: {{ops: [{{tf.vectorized_map: {{fn: […]}}}}]}}   # {edit.stage}, moved after {edit.batch}"
        case SetOption():
            text = f"options: {yaml_text(_nested(edit.path, edit.value))}"
        case SetEnvironment():
            text = f"# {shell_assignment(edit)} in the environment"
        case HandWritten():
            text = edit.yaml
        case _:
            raise TypeError(edit)
    return text


def as_python(edit: PipelineEdit) -> str:
    """What an edit changes, as a line of Python."""
    match edit:
        case InsertStage():
            text = f"dataset = dataset{_call(edit.op, edit.arguments)}  # {_where(edit)}"
        case SetArgument():
            text = f".{edit.op}(…, {edit.argument}={python_text(edit.value)})  # {edit.stage}"
        case MoveStage():
            text = f".{edit.op}(…)  # {edit.stage}, moved before {edit.before}"
        case MoveFilter():
            text = (
                f"dataset = dataset.filter(lambda *element: predicate(part_of_map(*element)))  # {edit.stage}, "
                f"moved before {edit.before}"
            )
        case ReplaceStages(by=()):
            text = f"# remove {', '.join(edit.stages)}"
        case ReplaceStages():
            calls = "".join(_call(stage.op, stage.arguments) for stage in edit.by)
            of = "tf.data.Dataset" if edit.stages[0].rpartition(".")[2] == "source" else "dataset"
            text = f"dataset = {of}{calls}  # {edit.stages[0]}"
        case VectoriseMap():
            text = (
                f"dataset = dataset.map(lambda *batch: tf.vectorized_map(fn, batch))  # {edit.stage}, moved after "
                f"{edit.batch}"
            )
        case SetOption():
            text = (
                f"options = tf.data.Options(); options.{edit.path} = {python_text(edit.value)}; "
                "dataset = dataset.with_options(options)"
            )
        case SetEnvironment():
            text = f"# in the shell, the process reads it when it starts: {shell_assignment(edit)} python …"
        case HandWritten():
            text = edit.python
        case _:
            raise TypeError(edit)
    return text


def shell_assignment(edit: SetEnvironment) -> str:
    """What stands before a command in the shell.

    Example:
        >>> shell_assignment(SetEnvironment("MALLOC_ARENA_MAX", "2"))
        'MALLOC_ARENA_MAX=2'
    """
    return f"{edit.variable}={shlex.quote(edit.value)}"


def _where(edit: InsertStage) -> str:
    return f"after {edit.after}" if edit.after else "at the end"


def _stage_yaml(stage: NewStage, index: int, edit: ReplaceStages) -> str:
    where = f"   # in place of {', '.join(edit.stages)}" if index == 0 else ""
    return f"- {stage.op}: {yaml_text(stage.arguments)}{where}"


def _nested(path: str, value: Any) -> Any:
    for group in reversed(path.split(".")):
        value = {group: value}
    return value


def _call(op: str, arguments: Mapping[str, Any]) -> str:
    return f".{op}({', '.join(f'{key}={python_text(value)}' for key, value in arguments.items())})"
