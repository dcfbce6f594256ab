"""The text of a Python file in which a function applies a plan to the dataset that it returns."""

from __future__ import annotations

import ast

from pipeprof.pipelines.edits.plan import apply_call
from pipeprof.pipelines.static.edit.chain import returns_of
from pipeprof.pipelines.static.written_calls import parsed


def with_plan(text: str, function: str, plan: str, data: str | None = None) -> str | None:
    r"""Return the text with the plan applied in the function's ``return``.

    Args:
        plan: Path of the plan, as the function is to open it.
        data: Folder of converted data that the plan reads; None where it reads none.

    Returns:
        None where this is not simply one line: several returns, or more than a dataset returned.

    Example:
        >>> print(with_plan("def make():\n    return dataset()\n", "make", "fast.plan.json"), end="")
        def make():
            import pipeprof
        <BLANKLINE>
            return pipeprof.apply(dataset(), "fast.plan.json")
    """
    last = _only_return(text, function)
    value = last.value if last is not None else None
    if last is None or value is None or isinstance(value, ast.Tuple | ast.List | ast.Dict | ast.Starred):
        return None
    # As Python counts them: a form feed ends none.
    lines = [f"{line}\n" for line in text.split("\n")]
    source = ast.get_source_segment(text, value)
    if source is None or last.end_lineno != value.end_lineno or text.count("\r"):
        return None
    first = lines[last.lineno - 1].encode()
    indent = first[: last.col_offset].decode()
    if indent.strip() or value.lineno != last.lineno:
        # Something else stands on the line, or the value is in brackets of its own.
        return None
    tail = lines[(last.end_lineno or last.lineno) - 1].encode()[last.end_col_offset or 0 :].decode()
    new = f"{indent}import pipeprof\n\n{indent}return {apply_call(source, plan, data)}{tail}"
    return "".join([*lines[: last.lineno - 1], new, *lines[last.end_lineno or last.lineno :]])[:-1]


def _only_return(text: str, function: str) -> ast.Return | None:
    """The ``return`` at the end of a function, if it is the only one."""
    tree = parsed(text)
    body = tree.body if tree is not None else []
    found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == function]
    returns = list(returns_of(found[0])) if len(found) == 1 else []
    return returns[0] if len(returns) == 1 and returns[0] is found[0].body[-1] else None
