"""The Python of every rule can be pasted: it parses, and no function of NumPy gets a tensor."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from unit.advise.test_rule_texts import MORE, VIEWS, hits

from pipeprof.pipelines.changes.edits import HandWritten

WRAPPERS = ("tf.numpy_function", "tf.py_function")


def codes(name: str) -> Iterator[str]:
    rule, make = MORE[name] if name in MORE else (name, VIEWS[name])
    view = make()
    for hit in hits(rule, view):
        by_hand = [hit.by_hand] if hit.by_hand is not None else hit.edits
        code = "\n".join(edit.python for edit in by_hand if isinstance(edit, HandWritten)) or hit.python
        if code:
            yield code


@pytest.mark.parametrize("name", [*VIEWS, *MORE])
def test_no_function_of_numpy_gets_a_tensor(name: str) -> None:
    for code in codes(name):
        lines = code.replace("…", "...").splitlines()
        tree = ast.parse("\n".join(f"dataset{one}" if one[:1] == "." else one for one in lines))
        given = {
            part.id
            for call in ast.walk(tree)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in ("map", "filter")
            for one in call.args[:1]
            for part in [one]
            if isinstance(part, ast.Name)
        }
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name in given:
                inside = {
                    id(part)
                    for call in ast.walk(function)
                    if isinstance(call, ast.Call) and ast.unparse(call.func) in WRAPPERS
                    for part in ast.walk(call)
                }
                used = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == "np"]
                assert all(id(one) in inside for one in used), code
