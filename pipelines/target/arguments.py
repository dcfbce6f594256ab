"""``--arg name=value``: texts as the annotations of the function's parameters ask, once the file has run."""

from __future__ import annotations

import ast
import collections.abc
import inspect
import os
import types
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.suggest import did_you_mean
from pipeprof.pipelines.target.target import ParsedTarget

_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NONE = {"none": None, "null": None}
_WORDS = {"true": True, "false": False, **_NONE}
_SEVERAL = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)


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


def call(function: Callable[..., Any], target: ParsedTarget, context: Callable[[], object]) -> Any:
    """Call the target's function with its ``--arg`` values.

    Args:
        context: Creates the ``tf.distribute.InputContext`` for a parameter that takes one and has no value.

    Raises:
        UsageError: A name is unknown, a value does not fit its annotation, or a required one is missing.
    """
    parameters = _parameters(function)
    open_ = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    named = {name: one for name, one in parameters.items() if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
    values = {}
    for name, text in target.arguments:
        if name not in named and not open_:
            has = f"it has {', '.join(named) or 'none'}"
            raise UsageError(f"--arg {name}: {target} has no such parameter{did_you_mean(name, named)}; {has}")
        values[name] = _value(text, named.get(name, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)))
    for name, one in named.items():
        if one.default is one.empty and name not in values:
            if name != "input_context" and "InputContext" not in str(one.annotation):
                raise UsageError(f"{target} needs {_shown(one)}: give --arg {name}=…, or measure a function without it")
            values[name] = context()
    first = [values.pop(name) for name, one in named.items() if one.kind is one.POSITIONAL_ONLY and name in values]
    return function(*first, **values)


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters, with annotations as objects where they can be evaluated."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {"given": inspect.Parameter("given", inspect.Parameter.VAR_KEYWORD)}
    names = getattr(inspect.unwrap(getattr(function, "func", function)), "__globals__", {})
    return {name: one.replace(annotation=_evaluated(one.annotation, names)) for name, one in parameters.items()}


def _evaluated(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, names)  # noqa: S307 - the user's code, which has just been imported
    except Exception:
        # It may name what only type checkers import.
        return annotation


def _value(text: str, parameter: inspect.Parameter) -> Any:
    annotation = parameter.annotation
    if annotation is parameter.empty and isinstance(parameter.default, bool | int | float | str | Path | Enum):
        annotation = type(parameter.default)
    try:
        return read_value(text, annotation)
    except ValueError:
        members = inspect.isclass(annotation) and issubclass(annotation, Enum)
        expected = f"one of {', '.join(annotation.__members__)}" if members else _words(annotation)
        raise UsageError(f"--arg {parameter.name}: got {text!r}, expected {expected}") from None
    except TypeError:
        msg = "cannot be given as text; measure a function that creates it itself"
        raise UsageError(f"--arg {parameter.name}: a {_words(annotation)} {msg}") from None


def _words(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _shown(parameter: inspect.Parameter) -> str:
    empty = parameter.annotation is parameter.empty
    return parameter.name if empty else f"{parameter.name} ({_words(parameter.annotation)})"


def read_value(text: str, annotation: Any) -> Any:
    """Convert a text to what an annotation asks for.

    Raises:
        ValueError: The text is no such value.
        TypeError: Values of this annotation have no text.

    Example:
        >>> read_value("1,2", list[int]), read_value("none", int | None), read_value("1", str | int)
        ([1, 2], None, 1)
    """
    kind, inside = get_origin(annotation) or annotation, get_args(annotation)
    if kind is Annotated:
        return read_value(text, inside[0])
    if kind in (Union, types.UnionType):
        return _first_fitting(text, inside)
    if (words := _words_for(kind, inside)) is not None:
        word = text if text in words else text.lower()
        if word not in words:
            raise ValueError(text)
        return words[word]
    if kind in _SEVERAL:
        return _several(text, kind, inside)
    if isinstance(kind, str) or kind in (Any, object, inspect.Parameter.empty):
        return _literal(text)
    reader = Path if inspect.isclass(kind) and issubclass(kind, os.PathLike) else kind
    if reader not in (int, float, str, Path):
        raise TypeError(annotation)
    return reader(text)


def _words_for(kind: Any, inside: tuple[Any, ...]) -> Mapping[str, Any] | None:
    """The values of a kind that has but a few, by their texts."""
    if kind is Literal:
        return {str(value): value for value in reversed(inside)}
    if inspect.isclass(kind) and issubclass(kind, Enum):
        members = list(kind)
        return {one.name.lower(): one for one in members} | {
            name: one for one in members for name in (str(one.value), one.name)
        }
    few: dict[Any, Mapping[str, Any]] = {bool: _FLAGS, None: _NONE, type(None): _NONE}
    return few.get(kind)


def _several(text: str, kind: Any, inside: tuple[Any, ...]) -> Any:
    items = _items(text)
    if kind is not tuple or inside[1:] == (...,) or not inside:
        inside = (inside or (Any,))[:1] * len(items)
    values = [read_value(item, one) for item, one in zip(items, inside, strict=True)]
    return tuple(values) if kind is tuple else values


def _first_fitting(text: str, members: tuple[Any, ...]) -> Any:
    """The value of the strictest member that takes the text: of a string only where nothing else fits."""
    errors: list[Exception] = []
    for member in sorted(members, key=lambda one: (one is not type(None), one is str, one is not int)):
        try:
            return read_value(text, member)
        except (ValueError, TypeError) as error:
            errors.append(error)
    raise errors[-1]


def _items(text: str) -> list[str]:
    """Split ``1,2,3``, ``[1, 2, 3]`` or ``['a', 'b']``."""
    if text[:1] in ("[", "("):
        try:
            return [str(item) for item in ast.literal_eval(text)]
        except (SyntaxError, TypeError) as problem:
            raise ValueError(text) from problem
    return [item.strip() for item in text.split(",")] if text else []


def _literal(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
