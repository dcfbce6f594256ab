"""Python expressions for a spec's values: literals, dtypes, files, arrays, features and signatures."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.ops.calls.element import Required
from pipeprof.pipelines.ops.values.arrays import LinesArray
from pipeprof.pipelines.ops.values.features import FeatureSpec
from pipeprof.pipelines.ops.values.python_ref import PythonRef
from pipeprof.pipelines.ops.values.structures import ARRAYS, ShapeOf, Structure, TensorSpec
from pipeprof.pipelines.ops.values.values import (
    ArrayFile,
    AutotuneConstant,
    DtypeName,
    FilePatterns,
    InputFolder,
    OutputFile,
)
from pipeprof.pipelines.to_python.arrays import array, array_noun, lines_of
from pipeprof.pipelines.to_python.code import call, listed, mapped, scalar, tupled
from pipeprof.pipelines.to_python.files import Files

# Lists of the same scalar longer than this are written with a star.
_MANY_ALIKE = 5
_FEATURE_ARGUMENTS = {
    "FixedLenFeature": ("shape", "dtype", "default_value"),
    "VarLenFeature": ("dtype",),
    "FixedLenSequenceFeature": ("shape", "dtype"),
    "RaggedFeature": ("dtype",),
}


class Values(Files):
    """Renderer of values; needed imports, constants and functions are added to the module."""

    def constant(self, value: Any) -> str:
        """Return an argument: nested lists and mappings of literals, dtypes, arrays, files and features."""
        if isinstance(value, Structure):
            return self.structure(value.value)
        if isinstance(value, FilePatterns):
            return self.files(value)
        if isinstance(value, dict):
            return mapped((str(key), self.constant(inner)) for key, inner in value.items())
        if isinstance(value, list | tuple):
            return self._list(list(value))
        return self.component(value)

    def plain_list(self, value: Any) -> str:
        """Return an argument of a layer, which takes texts as a list."""
        if isinstance(value, LinesArray):
            return lines_of(self, str(value.lines))
        return self.constant(value)

    def structure(self, value: Any) -> str:
        """Render dicts and tuples of components."""
        if isinstance(value, dict):
            return mapped((str(key), self.structure(inner)) for key, inner in value.items())
        if isinstance(value, tuple):
            return tupled(self.structure(inner) for inner in value)
        return self._list(value) if isinstance(value, list) else self.component(value)

    def _list(self, value: list[Any]) -> str:
        items = [self.constant(item) for item in value]
        shown = set(items)
        if len(items) > _MANY_ALIKE and len(shown) == 1 and all(_is_plain(item) for item in value):
            return f"[{shown.pop()}] * {len(items)}"
        if len(items) > 1 and all(isinstance(item, Required) for item in value) and len(shown) == 1:
            # A list that repeats one tensor would be one node of the graph.
            return f"[{shown.pop()} for _ in range({len(items)})]"
        return listed(items)

    def component(self, value: Any) -> str:
        """Return a single value."""
        if isinstance(value, ARRAYS):
            return self.module.constant(array_noun(value, "array"), array(self, value))
        if isinstance(value, AutotuneConstant):
            return "tf.data.AUTOTUNE"
        if isinstance(value, DtypeName):
            return dtype(value)
        if isinstance(value, Required):
            return f"tf.constant([], {dtype(value.dtype)})"
        return self._render_described(value)

    def _render_described(self, value: Any) -> str:
        if isinstance(value, TensorSpec):
            named: dict[str, str] = {"shape": shape(value.shape), "dtype": dtype(value.dtype)}
            if value.kind == "ragged" and value.ragged_rank is not None:
                named["ragged_rank"] = str(value.ragged_rank)
            kinds = {"ragged": "tf.RaggedTensorSpec", "sparse": "tf.SparseTensorSpec"}
            return call(kinds.get(value.kind, "tf.TensorSpec"), **named)
        if isinstance(value, ShapeOf):
            return "tf.TensorShape(None)" if value.dimensions is None else repr(list(value.dimensions))
        if isinstance(value, OutputFile | InputFolder | ArrayFile):
            return self.path(str(value)) if value else '""'
        if isinstance(value, PythonRef):
            return self.module.python(value)
        return self.feature(value) if isinstance(value, FeatureSpec) else scalar(value)

    def feature(self, feature: FeatureSpec) -> str:
        """One feature of a record."""
        positional = _FEATURE_ARGUMENTS.get(feature.kind, ())
        ordered: list[str] = []
        for name in positional:
            if name not in feature.arguments or len(ordered) < positional.index(name):
                break
            ordered.append(self._feature_argument(name, feature.arguments[name]))
        named = {
            name: self._feature_argument(name, value)
            for name, value in feature.arguments.items()
            if name not in positional[: len(ordered)]
        }
        return call(f"tf.io.{feature.kind}", *ordered, **named)

    def _feature_argument(self, name: str, value: Any) -> str:
        return repr(list(value)) if name in ("shape", "size") else self.constant(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | DtypeName) or type(value) is str


def dtype(name: str) -> str:
    """Return the expression of a dtype."""
    return f"tf.{name}"


def shape(dimensions: tuple[int | None, ...] | None) -> str:
    """Return a shape as a tuple."""
    return repr(None if dimensions is None else tuple(dimensions))
