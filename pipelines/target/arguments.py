"""``--arg name=value``: matched with the parameters of the target's function, read from its file or from itself."""

from __future__ import annotations

import ast
import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, get_args

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.suggest import did_you_mean
from pipeprof.pipelines.target.annotations import KNOWN, UnsupportedError, read_value
from pipeprof.pipelines.target.bindings import Bindings, is_foreign, parse_file, read_bindings
from pipeprof.pipelines.target.target import ParsedTarget

# Types of the parameter for one worker's share of the input; without a strategy there is one worker.
INPUT_CONTEXT = "InputContext"
# Largest depth of aliases of aliases.
_MOST_ALIASES = 4


@dataclass(frozen=True)
class TextParameter:
    """A parameter that texts may fill.

    Attributes:
        enums: The enums that the annotation names, where the function is at hand.
    """

    name: str
    annotation: str | None = None
    default: object = None
    required: bool = True
    positional: bool = False
    enums: Mapping[str, type[Enum]] = field(default_factory=dict)
    later: bool = False

    @property
    def is_input_context(self) -> bool:
        """Whether it takes TensorFlow's ``InputContext``."""
        return INPUT_CONTEXT in (self.annotation or "") or self.name == "input_context"

    def __str__(self) -> str:
        kind = f" ({self.annotation})" if self.annotation else ""
        return f"{self.name}{kind}"


@dataclass(frozen=True)
class Signature:
    """Parameters of a function, and whether it accepts other names."""

    parameters: tuple[TextParameter, ...]
    open: bool = False


def parse_arguments(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Split the values of ``--arg`` into names and texts.

    Raises:
        UsageError: One is not ``name=value``, or a name is given twice.

    Example:
        >>> parse_arguments(["split=train", "query=a=b"])
        (('split', 'train'), ('query', 'a=b'))
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise UsageError(f"--arg {text}: expected name=value such as batch_size=64")
        if name in found:
            raise UsageError(f"--arg {name}: given twice ({found[name]!r} and {value!r}); write a list as {name}=1,2,3")
        found[name] = value
    return tuple(found.items())


def written_signature(target: ParsedTarget) -> Signature | None:
    """Read the signature from the target's file; `None` where it is known only after the file has run.

    That is so for a function that was imported, made by a call, or decorated.
    """
    tree = parse_file(target.path)
    file = read_bindings(tree)
    bound = file.of(target.function or "")
    if file.open or len(bound) != 1:
        return None
    definition = bound[0].node
    if definition not in tree.body or not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    if definition.decorator_list:
        return None
    found = signature_of_definition(definition)
    return replace(found, parameters=tuple(_in_file(parameter, file) for parameter in found.parameters))


def _in_file(parameter: TextParameter, file: Bindings) -> TextParameter:
    if parameter.annotation is None:
        return parameter
    try:
        tree = ast.parse(parameter.annotation.strip(), mode="eval").body
    except SyntaxError:
        return parameter
    meaning = _AnnotationResolver(file)
    for _ in range(_MOST_ALIASES):
        tree = meaning.visit(tree)
    return replace(parameter, annotation=ast.unparse(tree), later=meaning.later)


class _AnnotationResolver(ast.NodeTransformer):
    """Transformer that resolves names of an annotation by the definitions of its file.

    Attributes:
        later: A name is an enum, or imported: it is known only after the file has run.
    """

    def __init__(self, file: Bindings) -> None:
        self._file = file
        self.later = False

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Keep the values of a ``Literal``, which are no names."""
        return node if ast.unparse(node.value).endswith("Literal") else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Resolve an annotation in quotes."""
        if not isinstance(node.value, str):
            return node
        try:
            return ast.parse(node.value.strip(), mode="eval").body
        except SyntaxError:
            return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Resolve a name of a module."""
        root: ast.AST = node
        while isinstance(root, ast.Attribute):
            root = root.value
        self._resolve(root.id if isinstance(root, ast.Name) else "", node.attr)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Resolve an alias."""
        bound = self._file.of(node.id)
        if len(bound) == 1 and bound[0].kind == "made" and isinstance(bound[0].node, ast.Subscript | ast.Name):
            return bound[0].node
        if len(bound) == 1 and bound[0].kind == "value" and isinstance(bound[0].node, ast.BinOp):
            return bound[0].node
        self._resolve(node.id, node.id)
        return node

    def _resolve(self, root: str, name: str) -> None:
        for binding in self._file.of(root) if name not in KNOWN else ():
            if binding.kind in ("import", "module"):
                self.later |= not is_foreign(binding)
            elif isinstance(binding.node, ast.ClassDef):
                self.later |= any("Enum" in ast.unparse(base) for base in binding.node.bases)


def signature_of_definition(definition: ast.FunctionDef | ast.AsyncFunctionDef) -> Signature:
    """Read the signature of a ``def``."""
    given = definition.args
    plain = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(given.defaults)), *given.defaults]
    pairs = [*zip(plain, defaults, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    parameters = tuple(
        TextParameter(
            one.arg,
            ast.unparse(one.annotation) if one.annotation is not None else None,
            _constant(default),
            required=default is None,
            positional=one in given.posonlyargs,
        )
        for one, default in pairs
    )
    return Signature(parameters, open=given.kwarg is not None)


def _constant(node: ast.expr | None) -> object:
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return None


def signature_of(function: Callable[..., Any]) -> Signature | None:
    """Read the signature of a function object; `None` if it has none."""
    found = _inspect(function)
    if found is None:
        return None
    kinds = inspect.Parameter
    parameters = tuple(
        TextParameter(
            parameter.name,
            _annotation(parameter.annotation),
            None if parameter.default is kinds.empty else parameter.default,
            required=parameter.default is kinds.empty,
            positional=parameter.kind is kinds.POSITIONAL_ONLY,
            enums=dict(_enums(parameter.annotation)),
        )
        for parameter in found.parameters.values()
        if parameter.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
    )
    return Signature(
        parameters, open=any(parameter.kind is kinds.VAR_KEYWORD for parameter in found.parameters.values())
    )


def _inspect(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function, eval_str=True)
    except Exception:
        # Annotations are the user's code: evaluating them may raise anything.
        with contextlib.suppress(TypeError, ValueError):
            return inspect.signature(function)
    return None


def _enums(annotation: Any) -> Iterator[tuple[str, type[Enum]]]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        yield annotation.__name__, annotation
    for inner in get_args(annotation):
        yield from _enums(inner)


def _annotation(annotation: Any) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def bind(target: ParsedTarget, signature: Signature) -> dict[str, Any]:
    """Convert the target's ``--arg`` values, by name.

    Raises:
        UsageError: A name is unknown, a value does not fit its annotation, or a required one is missing.
    """
    known = {parameter.name: parameter for parameter in signature.parameters}
    values = {}
    for name, text in target.arguments:
        if name not in known and not signature.open:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise UsageError(f"--arg {name}: {target} has no such parameter{did_you_mean(name, known)}; {has}")
        values[name] = _value(text, known.get(name, TextParameter(name)))
    missing = [parameter for parameter in signature.parameters if parameter.required and parameter.name not in values]
    missing = [parameter for parameter in missing if not parameter.is_input_context]
    unreadable = [parameter for parameter in missing if not parameter.later and not _is_readable(parameter)]
    if unreadable:
        msg = f"{target} needs {_list_names(unreadable)}, which cannot be given as text; "
        msg += "measure a function that creates it itself"
        raise UsageError(msg)
    if missing:
        flags = " ".join(f"--arg {parameter.name}=…" for parameter in missing)
        raise UsageError(f"{target} needs {_list_names(missing)}; give {flags}")
    return values


def _is_readable(parameter: TextParameter) -> bool:
    """Return whether values of its annotation can be given as text."""
    try:
        read_value("", parameter.annotation, parameter.default, parameter.enums)
    except UnsupportedError:
        return False
    except ValueError:
        pass
    return True


def _value(text: str, parameter: TextParameter) -> Any:
    try:
        return read_value(text, parameter.annotation, parameter.default, parameter.enums)
    except ValueError as problem:
        msg = f"--arg {parameter.name}: got {text!r}, {problem}"
    except UnsupportedError:
        if parameter.later:
            return text
        msg = (
            f"--arg {parameter.name}: a {parameter.annotation} cannot be given as text, only int, float, bool, str, "
            "Path, Enum, Literal, Optional and lists of these; measure a function that creates it itself"
        )
    raise UsageError(msg)


def _list_names(parameters: Sequence[TextParameter]) -> str:
    return " and ".join(str(parameter) for parameter in parameters)


def call(function: Callable[..., Any], target: ParsedTarget, context: Callable[[], object]) -> Any:
    """Call the target's function with its ``--arg`` values.

    Args:
        context: Creates the ``tf.distribute.InputContext`` for a parameter that is annotated with it and has no value.
    """
    signature = signature_of(function)
    if signature is None:
        return function(**{name: read_value(text, None) for name, text in target.arguments})
    values = bind(target, signature)
    for parameter in signature.parameters:
        if parameter.required and parameter.is_input_context and parameter.name not in values:
            values[parameter.name] = context()
    positional = [
        values.pop(parameter.name)
        for parameter in signature.parameters
        if parameter.positional and parameter.name in values
    ]
    return function(*positional, **values)


def check_arguments(target: ParsedTarget) -> None:
    """Compare ``--arg`` with the function as its file writes it, before anything runs."""
    signature = written_signature(target)
    if signature is not None:
        bind(target, signature)
