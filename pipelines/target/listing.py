"""Listing for ``file.py:``: functions of a file, with the evidence that they return a dataset.

The file is read, never run; so the evidence is source text, and the listing names it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeprof.pipelines.ops.traits import STAGES, ops_with
from pipeprof.pipelines.target.arguments import TextParameter, signature_of_definition
from pipeprof.pipelines.target.bindings import Binding, Bindings, Definition, bindings_of, is_foreign

UNSEEN = "imported, or created by a call"
Sign = Literal["annotation", "body", "name", "none"]
_NAMES = re.compile(r"(?:^|_)(?:dataset|datasets|ds|data|input_fn|inputs?|pipeline|loader)(?:_|$|\d)", re.IGNORECASE)
_METHODS = ops_with(lambda row: row.distinctive) | {"as_dataset"}
_SHARED = frozenset(STAGES) - _METHODS
"""Methods that other classes have as well: evidence only after another expression that creates a dataset."""
_MAKERS = re.compile(
    r"(?:^|\.)(?:data\.(?:experimental\.)?(?:Dataset\.)?\w+|Dataset\.\w+|TFRecordDataset|TextLineDataset|CsvDataset"
    r"|FixedLengthRecordDataset|\w+_dataset_from_(?:directory|array)|make_csv_dataset|make_batched_features_dataset"
    r"|tfds\.load|[A-Z]\w*Dataset)$"
)


@dataclass(frozen=True)
class ListedFunction:
    """A function of a file."""

    name: str
    line: int
    sign: Sign
    why: str
    required: tuple[TextParameter, ...] = ()


@dataclass(frozen=True)
class _DatasetCallables:
    """Callables known to return a dataset, by the text of their call.

    Attributes:
        short: TensorFlow's names by the file's aliases, as in ``D = tf.data.Dataset``.
    """

    functions: frozenset[str]
    short: Mapping[str, str]

    def __contains__(self, called: str) -> bool:
        name, dot, rest = called.partition(".")
        return called in self.functions or bool(_MAKERS.search(self.short.get(name, name) + dot + rest))


def listed_functions(path: Path) -> list[ListedFunction]:
    """List the functions at a file's top level, the likeliest to return a dataset first, else in order."""
    file = bindings_of(path)
    order: tuple[Sign, ...] = ("annotation", "body", "name", "none")
    sure = _DatasetCallables(frozenset(), _short_names(file))
    while True:
        # A function that returns another one's dataset is found once that one is known.
        looked = (
            _best([_classify(binding, file, sure) for binding in file.of(name)], order) for name in file.callables()
        )
        found = [function for function in looked if function is not None]
        known = frozenset(function.name for function in found if function.sign in ("annotation", "body"))
        if known <= sure.functions:
            return sorted(found, key=lambda one: order.index(one.sign))
        sure = _DatasetCallables(known | sure.functions, sure.short)


def _best(looked: list[ListedFunction | None], order: tuple[Sign, ...]) -> ListedFunction | None:
    return min(
        (function for function in looked if function is not None), key=lambda one: order.index(one.sign), default=None
    )


def _short_names(file: Bindings) -> dict[str, str]:
    short = {binding.name: ast.unparse(binding.node) for binding in file.all if isinstance(binding.node, ast.Attribute)}
    for binding in file.all:
        if isinstance(binding.node, ast.ImportFrom):
            short.update({alias.asname: alias.name for alias in binding.node.names if alias.asname == binding.name})
    return short


def describe(name: str, functions: Iterable[ListedFunction]) -> str:
    """Format the list as lines of text.

    Args:
        name: The file or module as typed, without the colon.
    """
    functions = list(functions)
    likely = [function for function in functions if function.sign != "none"]
    rest = [function.name for function in functions if function.sign == "none" and function.why != UNSEEN]
    unseen = [function.name for function in functions if function.why == UNSEEN]
    if not functions:
        return f"{name} defines no functions.\n"
    lines = ["Functions that probably return a dataset (from the source, nothing was run):"] if likely else []
    width = max((len(function.name) for function in likely), default=0)
    for function in likely:
        needs = " ".join(f"--arg {parameter.name}=…" for parameter in function.required)
        lines.append(f"  {name}:{function.name:<{width}}  {function.why}{f'; needs {needs}' if needs else ''}")
    if rest:
        no = "Not listed:" if likely else f"No function in {name} declares that it returns a dataset. Functions:"
        lines.append(f"{no} {', '.join(rest)}.")
    if unseen:
        lines.append(f"Not inspected, because imported or created by a call: {', '.join(unseen)}.")
    return "\n".join(lines) + "\n"


def _classify(binding: Binding, file: Bindings, sure: _DatasetCallables) -> ListedFunction | None:
    node = binding.node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        sign, why = _sign(node, sure)
        required = tuple(
            parameter
            for parameter in signature_of_definition(node).parameters
            if parameter.required and not parameter.is_input_context
        )
        return ListedFunction(binding.name, node.lineno, sign, why, required)
    if binding.kind == "import":
        return None if is_foreign(binding) else ListedFunction(binding.name, 0, "none", UNSEEN)
    return _classify_expression(binding, node, file, sure) if isinstance(node, ast.expr) else None


def _classify_expression(
    binding: Binding, node: ast.expr, file: Bindings, sure: _DatasetCallables
) -> ListedFunction | None:
    said = _dataset_evidence(node.body if isinstance(node, ast.Lambda) else node, {}, sure)
    of = _aliased_function(node)
    if said is not None:
        why = f"returns {said}" if isinstance(node, ast.Lambda) else f"is {said}, created when the file is imported"
        return ListedFunction(binding.name, binding.line, "body", why)
    if of in sure.functions:
        why = f"is {of}" if isinstance(node, ast.Name) else f"is {of} with arguments"
        return ListedFunction(binding.name, binding.line, "body", why)
    root: ast.expr = node
    while isinstance(root, ast.Call | ast.Attribute | ast.Subscript):
        root = root.func if isinstance(root, ast.Call) else root.value
    roots = file.of(root.id) if isinstance(root, ast.Name) else ()
    no = of is None and any(is_foreign(root) or root.kind in ("class", "value") for root in roots)
    return None if no else ListedFunction(binding.name, 0, "none", UNSEEN)


def _aliased_function(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).rpartition(".")[2] == "partial":
        return ast.unparse(node.args[0])
    return node.id if isinstance(node, ast.Name) else None


def _sign(definition: Definition, sure: _DatasetCallables) -> tuple[Sign, str]:
    body = list(_own_nodes(definition))
    annotation = ast.unparse(definition.returns) if definition.returns is not None else "Any"
    returned = [node for node in body if isinstance(node, ast.Return) and node.value is not None]
    found: tuple[Sign, str] = "none", "no sign"
    if isinstance(definition, ast.AsyncFunctionDef) or any(
        isinstance(node, ast.Yield | ast.YieldFrom) for node in body
    ):
        found = "none", "async, or a generator"
    elif re.search(r"Dataset\b", annotation):
        found = "annotation", f"annotated -> {annotation}"
    elif annotation not in ("Any", "typing.Any", "object"):
        found = "none", f"annotated -> {annotation}"
    elif said := _returned_evidence(body, returned, sure):
        found = "body", said
    elif returned and _NAMES.search(definition.name):
        found = "name", "guessed from its name"
    return found


def _returned_evidence(body: list[ast.AST], returned: list[ast.Return], sure: _DatasetCallables) -> str | None:
    assigned: dict[str, list[ast.expr]] = {}
    for node in body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    assigned.setdefault(target.id, []).append(node.value)
    made = (
        (return_.lineno, _dataset_evidence(return_.value, assigned, sure))
        for return_ in returned
        if return_.value is not None
    )
    return next((f"returns {said} (line {line})" for line, said in made if said), None)


def _own_nodes(definition: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(definition):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own_nodes(child)


def _dataset_evidence(value: ast.expr, assigned: dict[str, list[ast.expr]], sure: _DatasetCallables) -> str | None:
    """Describe how a returned expression creates a dataset; `None` without evidence."""
    if isinstance(value, ast.Tuple) and value.elts:
        value = value.elts[0]
    if isinstance(value, ast.Name) and value.id in assigned:
        others = {name: values for name, values in assigned.items() if name != value.id}
        return next(
            (
                said
                for expression in reversed(assigned[value.id])
                if (said := _dataset_evidence(expression, others, sure))
            ),
            None,
        )
    if not isinstance(value, ast.Call):
        return None
    called = ast.unparse(value.func)
    if called in sure:
        return f"{called}(…)"
    if not isinstance(value.func, ast.Attribute):
        return None
    method, below = value.func.attr, value.func.value
    alone = method in _METHODS and isinstance(below, ast.Name | ast.Call)
    return f"….{method}(…)" if alone or (method in _SHARED and _dataset_evidence(below, assigned, sure)) else None
