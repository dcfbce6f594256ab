"""Functions that augment a picture with a library of NumPy, in TensorFlow's ops."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from pipeprof.pipelines.static.imports import Imports
from pipeprof.pipelines.static.instead.tensors import UnknownError, statements_in_ops
from pipeprof.pipelines.static.trees import is_named, is_text
from pipeprof.pipelines.static.written_calls import parsed

_LIBRARY = "albumentations."
_WRAPPERS = ("numpy_function", "py_function")
_IMAGE = "image"
_MEAN, _STD = "(0.485, 0.456, 0.406)", "(0.229, 0.224, 0.225)"
_PAIR = 2


@dataclass(frozen=True)
class Augmented:
    """A function that augments, in ops.

    Attributes:
        lines: Its ``def``.
        call: The call that wraps it for TensorFlow, as written.
        instead: What comes in place of that call.
        line: Where the call stands, from 1.
    """

    lines: tuple[str, ...]
    call: str
    instead: str
    line: int


def augmented(text: str, function: str) -> Augmented | None:
    r"""Return a function that applies transforms of albumentations in TensorFlow's ops; None where one has none.

    A picture has values up to 255, as one of eight bits has; it is no more rounded after each transform.

    Args:
        text: Python source of the whole file.
        function: Its name.

    Example:
        >>> code = "import albumentations as A\nT = A.Compose([A.VerticalFlip(p=0.5)])\ndef f(x):\n"
        >>> code += "    return T(image=x)['image'] / 255\n"
        >>> code += "ds = ds.map(lambda x: tf.numpy_function(f, [x], tf.float32))\n"
        >>> made = augmented(code, "f")
        >>> print(*made.lines, made.instead, sep="\n")
        def f(x):
            x = tf.cast(x, tf.float32)
            x = tf.cond(tf.random.uniform([]) < 0.5, lambda: x[::-1], lambda: x)
            return x / 255
        f(x)
    """
    tree = parsed(text)
    if tree is None:
        return None
    imports = Imports(tree)
    found = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == function]
    wrapped = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and imports.called(one.func) in _WRAPPERS]
    if len(found) != 1 or len(wrapped) != 1 or found[0].decorator_list or len(found[0].args.args) != 1:
        return None
    (call,) = wrapped
    match call.args:
        case [ast.Name(id=given), ast.List(elts=[inputs]) | ast.Tuple(elts=[inputs]), ast.Attribute()]:
            pass
        case _:
            return None
    picture = found[0].args.args[0].arg
    body = copy.deepcopy([node for node in found[0].body if not is_text(node)])
    applied = [_Applied.of(one, picture) for node in body for one in ast.walk(node)]
    (one,) = [made for made in applied if made is not None] or (None,)
    transforms = _transforms(one.made_by, tree, imports) if one is not None else None
    if one is None or transforms is None:
        return None
    try:
        plain = [cast("ast.stmt", _Replaced(one.node, picture).visit(node)) for node in body]
        rest = statements_in_ops(plain, {picture}, tree)
        lines = [line for transform in transforms for line in _in_ops(transform, picture, imports)]
    except UnknownError:
        return None
    written = (f"{picture} = tf.cast({picture}, tf.float32)", *lines, *rest)
    return Augmented(
        (f"def {function}({picture}):", *(f"    {line}" for line in written)),
        ast.unparse(call),
        f"{given}({ast.unparse(inputs)})",
        call.lineno,
    )


@dataclass(frozen=True)
class _Applied:
    """Transforms that are applied to a picture."""

    node: ast.Subscript
    made_by: ast.expr

    @classmethod
    def of(cls, node: ast.AST, picture: str) -> _Applied | None:
        match node:
            case ast.Subscript(
                value=ast.Call(func=made_by, args=[], keywords=[ast.keyword(arg=name, value=given)]),
                slice=ast.Constant(value=key),
            ) if name == key == _IMAGE and is_named(given, picture):
                return cls(node, made_by)
        return None


class _Replaced(ast.NodeTransformer):
    """Puts the picture in place of one expression."""

    def __init__(self, node: ast.AST, picture: str) -> None:
        self._node = node
        self._picture = picture

    def visit(self, node: ast.AST) -> ast.AST:
        """Change the expression."""
        return ast.Name(self._picture, ast.Load()) if node is self._node else self.generic_visit(node)


def _transforms(made_by: ast.expr, tree: ast.Module, imports: Imports) -> list[ast.Call] | None:
    """The transforms of a pipeline of them, also by a name or by a function that makes it."""
    match made_by:
        case ast.Name(id=name):
            values = [
                one.value
                for one in ast.walk(tree)
                if isinstance(one, ast.Assign) and any(is_named(target, name) for target in one.targets)
            ]
            return _transforms(values[0], tree, imports) if len(values) == 1 else None
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]):
            makers = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == name]
            given = [one.value for maker in makers for one in ast.walk(maker) if isinstance(one, ast.Return)]
            return _transforms(given[0], tree, imports) if len(given) == 1 and given[0] is not None else None
        case ast.Call(func=function, args=[ast.List(elts=parts)], keywords=[]) if (
            imports.dotted(function) == f"{_LIBRARY}Compose"
        ):
            calls = [one for one in parts if isinstance(one, ast.Call)]
            return calls if len(calls) == len(parts) else None
    return None


def _in_ops(transform: ast.Call, picture: str, imports: Imports) -> list[str]:
    """One transform as statements.

    Raises:
        UnknownError: It has no form in ops, or one of its arguments has none.
    """
    name = imports.dotted(transform.func).removeprefix(_LIBRARY)
    named = {one.arg: ast.unparse(one.value) for one in transform.keywords if one.arg is not None}
    if transform.args or len(named) < len(transform.keywords) or name not in _MAKERS:
        raise UnknownError
    known, make = _MAKERS[name]
    p = named.pop("p", known.get("p", "1.0"))
    named.pop("always_apply", None)
    if not {*named} <= {*known}:
        raise UnknownError
    value = make({**known, **named}, picture)
    if float(_number(p)) >= 1:
        return [f"{picture} = {value}"]
    return [f"{picture} = tf.cond(tf.random.uniform([]) < {p}, lambda: {value}, lambda: {picture})"]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UnknownError from None


def _limits(text: str, around: float) -> tuple[str, str]:
    """The ends of what is drawn: a pair as written, or a number on both sides of another one."""
    parts = text.strip("()[]").split(",")
    if len(parts) == _PAIR and text[:1] in "([":
        low, high = (_number(one) + around for one in parts)
    else:
        low, high = around - _number(text), around + _number(text)
    return f"{low:g}", f"{high:g}"


def _brighter(given: Mapping[str, str], picture: str) -> str:
    low, high = _limits(given["contrast_limit"], 1.0)
    darkest, brightest = _limits(given["brightness_limit"], 0.0)
    scaled = f"{picture} * tf.random.uniform([], {low}, {high})"
    return f"tf.clip_by_value({scaled} + 255 * tf.random.uniform([], {darkest}, {brightest}), 0, 255)"


def _gamma(given: Mapping[str, str], picture: str) -> str:
    parts = [_number(one) / 100 for one in given["gamma_limit"].strip("()[]").split(",")]
    if len(parts) != _PAIR:
        raise UnknownError
    return f"255 * ({picture} / 255) ** tf.random.uniform([], {parts[0]:g}, {parts[1]:g})"


def _normalized(given: Mapping[str, str], picture: str) -> str:
    return f"({picture} / {given['max_pixel_value']} - {given['mean']}) / {given['std']}"


_Maker = Callable[[Mapping[str, str], str], str]
_SIZE = {"height": "", "width": ""}
_MAKERS: Mapping[str, tuple[Mapping[str, str], _Maker]] = {
    "HorizontalFlip": ({"p": "0.5"}, lambda _, x: f"{x}[:, ::-1]"),
    "VerticalFlip": ({"p": "0.5"}, lambda _, x: f"{x}[::-1]"),
    "RandomBrightnessContrast": ({"p": "0.5", "brightness_limit": "0.2", "contrast_limit": "0.2"}, _brighter),
    "RandomGamma": ({"p": "0.5", "gamma_limit": "(80, 120)"}, _gamma),
    "Normalize": ({"mean": _MEAN, "std": _STD, "max_pixel_value": "255.0"}, _normalized),
    "Resize": (_SIZE, lambda given, x: f"tf.image.resize({x}, [{given['height']}, {given['width']}])"),
    "CenterCrop": (
        _SIZE,
        lambda given, x: f"tf.image.resize_with_crop_or_pad({x}, {given['height']}, {given['width']})",
    ),
    "RandomCrop": (
        _SIZE,
        lambda given, x: (
            f"tf.image.random_crop({x}, tf.concat([[{given['height']}, {given['width']}], tf.shape({x})[2:]], 0))"
        ),
    ),
}
"""Transforms with their arguments and what these are where they are left out, and the same in ops."""
