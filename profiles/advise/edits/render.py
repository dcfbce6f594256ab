"""The one renderer of edits for reading: each as YAML and as Python.

The YAML is the stage as it would stand in a spec; the Python is the call as it would stand in a chain. Nothing here
changes a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.changes.in_spec import plain
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
    nested_options,
)
from pipeprof.pipelines.edits.environment import assignment
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.spec.yaml.writer import flow

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.loader import LoadedSpec


def yaml_text(value: Any) -> str:
    """Format a value as YAML in flow style.

    Example:
        >>> yaml_text({"shape": [None, 3], "dtype": "uint8", "python": "f.py:fn", "key": "on"})
        '{shape: [null, 3], dtype: uint8, python: "f.py:fn", key: on}'
    """
    return flow(plain(value))


def python_text(value: Any) -> str:
    """A value as Python writes it."""
    return "tf.data.AUTOTUNE" if value == AUTOTUNE else repr(value)


def yaml_of(loaded: LoadedSpec | None, edits: Sequence[PipelineEdit]) -> str | None:
    """Return the change as a diff of the spec's own file, else as the lines of each edit; None for no edits."""
    if not edits:
        return None
    # Only a finding with a change needs the editor of texts.
    from pipeprof.pipelines.changes.in_spec_text import spec_diff

    diff = spec_diff(loaded, edits) if loaded is not None else None
    return diff or "\n".join(map(as_yaml, edits))


def as_yaml(edit: PipelineEdit) -> str:
    """Return an edit as YAML."""
    return _texts(edit)[0]


def as_python(edit: PipelineEdit) -> str:
    """Return an edit as a line of Python."""
    return _texts(edit)[1]


def _texts(edit: PipelineEdit) -> tuple[str, str]:
    """An edit as YAML and as Python."""
    match edit:
        case InsertStage():
            where = f"after {edit.after}" if edit.after else "at the end"
            yaml = f"- {edit.op}: {yaml_text(edit.arguments)}   # {where}"
            python = f"dataset = dataset{_call(edit.op, edit.arguments)}  # {where}"
        case SetArgument():
            yaml = f"- {edit.op}: {{…, {edit.argument}: {yaml_text(edit.value)}}}   # {edit.stage}"
            python = f".{edit.op}(…, {edit.argument}={python_text(edit.value)})  # {edit.stage}"
        case MoveStage():
            moved = f"{edit.stage}, moved before {edit.before}"
            yaml, python = f"- {edit.op}: …   # {moved}", f".{edit.op}(…)  # {moved}"
        case MoveFilter():
            yaml = f"- filter: {{ops: […]}}   # {edit.stage}, before {edit.before}: with the calls that it reads"
            call = "filter(lambda *element: predicate(part_of_map(*element)))"
            python = f"dataset = dataset.{call}  # {edit.stage}, moved before {edit.before}"
        case ReplaceStages(by=()):
            yaml = python = f"# remove {', '.join(edit.stages)}"
        case ReplaceStages():
            yaml = "\n".join(_stage_yaml(stage, index, edit) for index, stage in enumerate(edit.by))
            calls = "".join(_call(stage.op, stage.arguments) for stage in edit.by)
            of = "tf.data.Dataset" if edit.stages[0].rpartition(".")[2] == "source" else "dataset"
            python = f"dataset = {of}{calls}  # {edit.stages[0]}"
        case VectoriseMap():
            yaml = f"- map: {{ops: [{{tf.vectorized_map: {{fn: […]}}}}]}}   # {edit.stage}, moved after {edit.batch}"
            python = "dataset = dataset.map(lambda *b: tf.vectorized_map(fn, b))  # after batch"
        case SetOption():
            yaml = f"options: {yaml_text(nested_options({edit.path: edit.value}))}"
            python = (
                f"options = tf.data.Options()\noptions.{edit.path} = {python_text(edit.value)}\n"
                "dataset = dataset.with_options(options)"
            )
        case SetEnvironment():
            words = assignment(edit.variable, edit.value)
            yaml = f"# {words} in the environment"
            python = f"# in the shell, the process reads it when it starts: {words} python …"
        case HandWritten():
            yaml, python = edit.yaml, edit.python
        case _:
            raise TypeError(edit)
    return yaml, python


def _stage_yaml(stage: NewStage, index: int, edit: ReplaceStages) -> str:
    where = f"   # in place of {', '.join(edit.stages)}" if index == 0 else ""
    return f"- {stage.op}: {yaml_text(stage.arguments)}{where}"


def _call(op: str, arguments: Mapping[str, Any]) -> str:
    return f".{op}({', '.join(f'{key}={python_text(value)}' for key, value in arguments.items())})"
