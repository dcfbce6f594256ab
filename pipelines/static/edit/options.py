"""Options of a dataset set in the text of the function that makes it."""

from __future__ import annotations

import ast

from pipeprof.pipelines.static.edit.chain import OPTIONS, DatasetFunction, MethodCall
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.static.edit.layout import PythonLayout, Replacement

_NAMES = ("options", "pipeline_options", "dataset_options")


def with_option(text: str, function: DatasetFunction, path: str, value: str, tensorflow: str) -> str:
    r"""Set an option: in the options that the function has, or in new ones before its `return`.

    Args:
        function: As it is in the text.
        path: Of the option in ``tf.data.Options``.
        value: As Python.
        tensorflow: What TensorFlow is called there.
    """
    layout = PythonLayout(text)
    given = function.line.options[-1] if function.line.options else None
    if given is not None:
        return _in_given(layout, function, given, path, value)
    return _in_new(layout, function, path, value, tensorflow)


def _in_given(layout: PythonLayout, function: DatasetFunction, given: MethodCall, path: str, value: str) -> str:
    match given.node:
        case ast.Call(args=[ast.Name(id=name)], keywords=[]):
            pass
        case _:
            msg = f"the options in line {given.node.lineno} have no name"
            raise CannotEditSourceError(msg)
    place = function.node.body.index(given.statement)
    for statement in reversed(function.node.body[:place]):
        match statement:
            case ast.Assign(targets=[ast.Attribute() as target], value=old) if ast.unparse(target) == f"{name}.{path}":
                return layout.with_splices(Replacement(layout.start(old), layout.end(old), value.encode()))
    start = layout.line_start(layout.start(given.statement))
    line = layout.indent(start) + f"{name}.{path} = {value}".encode() + layout.newline
    return layout.with_splices(Replacement(start, start, line))


def _in_new(layout: PythonLayout, function: DatasetFunction, path: str, value: str, tensorflow: str) -> str:
    used = {node.id for node in ast.walk(function.node) if isinstance(node, ast.Name)}
    used |= {argument.arg for argument in ast.walk(function.node) if isinstance(argument, ast.arg)}
    name = next((one for one in _NAMES if one not in used), None)
    start = layout.start(function.last)
    if name is None or not layout.leads(start):
        msg = "there is no place for options before the return"
        raise CannotEditSourceError(msg)
    lines = [f"{name} = {tensorflow}.data.Options()", f"{name}.{path} = {value}"]
    splices = []
    if isinstance(function.value, ast.Name):
        lines.append(f"{function.value.id} = {function.value.id}.{OPTIONS}({name})")
    elif isinstance(function.value, ast.Call):
        end = layout.end(function.value)
        splices.append(Replacement(end, end, f".{OPTIONS}({name})".encode()))
    else:
        msg = "what the function returns is neither a name nor a call"
        raise CannotEditSourceError(msg)
    indent = layout.indent(start)
    text = b"".join(line.encode() + layout.newline + indent for line in lines)
    return layout.with_splices(Replacement(start, start, text), *splices)
